from __future__ import annotations

import numpy as np
import pytest

from misci_transport.kernels.small_solve import solve_many, solve_small


@pytest.mark.parametrize("size", [1, 2, 4])
def test_one_system(size):
    rng = np.random.default_rng(size)
    for _ in range(20):
        matrix, right = rng.normal(size=(size, size)), rng.normal(size=size)
        expected = np.linalg.solve(matrix, right)
        solve_small(matrix, right)
        np.testing.assert_allclose(right, expected, rtol=1e-10, atol=1e-12)


def test_a_zero_on_the_diagonal_is_no_obstacle():
    matrix, right = np.array([[0.0, 2.0], [4.0, 1.0]]), np.array([2.0, 9.0])
    solve_small(matrix, right)
    np.testing.assert_array_equal(right, [2.0, 1.0])


def test_many_systems_at_once():
    rng = np.random.default_rng(1)
    matrix, right = np.eye(4)[:, :, None] + 0.2 * rng.normal(size=(4, 4, 7)), rng.normal(size=(4, 7))
    expected = np.linalg.solve(matrix.transpose(2, 0, 1), right.T[:, :, None])[:, :, 0].T
    solve_many(matrix, right, np.empty(7))
    np.testing.assert_allclose(right, expected, rtol=1e-12)
