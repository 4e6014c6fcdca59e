from __future__ import annotations

import numpy as np
import pytest

from misci_transport.kernels.small_solve import SMALLEST_PIVOT, solve_dense, solve_many, solve_pairs


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_one_system(size):
    rng = np.random.default_rng(size)
    for _ in range(20):
        matrix, right = rng.normal(size=(size, size)), rng.normal(size=size)
        expected = np.linalg.solve(matrix, right)
        assert solve_dense(matrix, right, size)
        np.testing.assert_allclose(right, expected, rtol=1e-10, atol=1e-12)


def test_a_zero_on_the_diagonal_is_no_obstacle():
    matrix, right = np.array([[0.0, 2.0], [4.0, 1.0]]), np.array([2.0, 9.0])
    assert solve_dense(matrix, right, 2)
    np.testing.assert_array_equal(right, [2.0, 1.0])


def test_a_matrix_without_an_inverse_is_refused():
    matrix = np.random.default_rng(5).normal(size=(6, 6))
    matrix[3] = matrix[2]
    assert not solve_dense(matrix, np.ones(6), 6)
    assert not solve_dense(np.zeros((2, 2)), np.ones(2), 2)
    assert not solve_dense(np.full((2, 2), np.nan), np.ones(2), 2)


def test_two_right_sides_of_a_nearly_unit_matrix():
    rng = np.random.default_rng(2)
    matrix, right = np.eye(4) + 0.2 * rng.normal(size=(4, 4)), rng.normal(size=(4, 2))
    expected = np.linalg.solve(matrix, right)
    assert solve_pairs(matrix, right, 4)
    np.testing.assert_allclose(right, expected, rtol=1e-12)
    matrix = np.eye(4)
    matrix[2, 2], matrix[2, 3] = 0.5 * SMALLEST_PIVOT, 1.0
    assert not solve_pairs(matrix, right, 4)


def test_many_systems_at_once():
    rng = np.random.default_rng(1)
    matrix, right = np.eye(4)[:, :, None] + 0.2 * rng.normal(size=(4, 4, 7)), rng.normal(size=(4, 7))
    expected = np.linalg.solve(matrix.transpose(2, 0, 1), right.T[:, :, None])[:, :, 0].T
    solve_many(matrix, right, np.empty(7))
    np.testing.assert_allclose(right, expected, rtol=1e-12)
