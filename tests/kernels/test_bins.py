"""Sums over energy bins of one ray, two and three flavours, against quadrature over the bin."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from misci_transport.flavor import pack, unpack
from misci_transport.kernels.alignment_residual import from_coordinates, to_coordinates
from misci_transport.kernels.bin_projectors import generator, ray_projectors_2, ray_projectors_3
from misci_transport.kernels.bins_2 import BLOCK_ROWS_2, bin_sums_2, fill_blocks_2
from misci_transport.kernels.bins_3 import BIN_ROWS, BLOCK_ROWS_3, HALF, bin_sums_3, fill_blocks_3
from misci_transport.kernels.hermitian import LANES

NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)


def ray(n, seed=0, groups=3, width=0.3):
    """Populations, weights, ends of the bins and the energy-independent part of one ray."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(groups, n))
    step = width * rng.normal(size=(groups, n))
    return {
        "populations": rng.uniform(size=(2, groups, 3)),
        "number_weight": rng.uniform(0.1, 1.0, groups),
        "low": middle - step,
        "high": middle + step,
        "base": rng.normal(size=n * n),
    }


def run(cell, parts=1, with_response=True):
    n = cell["low"].shape[1]
    groups = cell["low"].shape[0]
    lane = np.full(BIN_ROWS * LANES, 7.0)
    d = n * n - 1
    sums, response = np.empty(d), np.empty(d * (d + 1) // 2)
    arguments = cell["populations"], cell["number_weight"], cell["base"]
    if n == 2:
        blocks = np.empty((-(-2 * groups // LANES), BLOCK_ROWS_2 * LANES))
        fill_blocks_2(cell["low"], cell["high"], blocks)
        report = bin_sums_2(*arguments, blocks, with_response, lane, sums, response)
    else:
        blocks = np.empty((-(-2 * groups * parts // LANES), BLOCK_ROWS_3 * LANES))
        fill_blocks_3(cell["low"], cell["high"], parts, blocks)
        report = bin_sums_3(*arguments, parts, blocks, with_response, lane, sums, response)
    full = np.zeros((d, d))
    full[np.triu_indices(d)] = response
    return sums, full + np.triu(full, 1).T, report


def coordinates(matrix):
    """Traceless coordinates of a Hermitian matrix."""
    n = matrix.shape[-1]
    x = np.empty(2 * (n * n - 1))
    to_coordinates(np.tile(pack(matrix), (2, 1)), n, x)
    return x[: n * n - 1]


def by_quadrature(cell, pieces=1):
    """sum of w n_k <Pi_k> with the eigenvectors of LAPACK at the nodes of every bin."""
    n = cell["low"].shape[1]
    nodes = np.concatenate([(k + 0.5 + 0.5 * NODES) / pieces for k in range(pieces)])
    weights = np.tile(0.5 * WEIGHTS / pieces, pieces)
    total = np.zeros((n, n), complex)
    for species, sign in ((0, 1.0), (1, -1.0)):
        for g, w in enumerate(cell["number_weight"]):
            diagonal = cell["low"][g] + nodes[:, None] * (cell["high"][g] - cell["low"][g])
            h = unpack(cell["base"]) + sign * diagonal[:, :, None] * np.eye(n)
            _, u = np.linalg.eigh(h)
            f = cell["populations"][species, g, :n]
            total += sign * w * np.einsum("q,qik,k,qjk->ij", weights, u, f, u.conj())
    return coordinates(total)


@pytest.mark.parametrize("groups", [1, 3, 4, 9])
@pytest.mark.parametrize("width", [0.0, 1e-6, 0.3, 1.0])
def test_two_flavours_to_round_off(groups, width):
    cell = ray(2, seed=1, groups=groups, width=width)
    sums, _, (gap, degenerate) = run(cell)
    np.testing.assert_allclose(sums, by_quadrature(cell, 4), atol=2e-14)
    assert gap > 0.0
    assert not degenerate


def test_two_flavours_close_to_a_crossing():
    """p a hundredth of the bin: the logarithm instead of the polynomial."""
    cell = ray(2, seed=2)
    cell["base"][2:] *= 0.003
    cell["low"], cell["high"] = np.array([[-0.4, 0.4]] * 3), np.array([[0.5, -0.5]] * 3)
    cell["base"][:2] = 0.01, 0.0
    sums, _, (gap, _) = run(cell)
    np.testing.assert_allclose(sums, by_quadrature(cell, 64), atol=2e-14)
    assert gap == pytest.approx(2.0 * np.hypot(*cell["base"][2:]), rel=1e-13)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("width", [0.0, 1e-7])
def test_response_of_narrow_bins_against_differences(n, width):
    cell = ray(n, seed=3, width=width)
    _, response, _ = run(cell)
    np.testing.assert_allclose(response, differences(cell), atol=1e-8)


def test_response_of_two_flavours_is_the_derivative_in_wide_bins():
    for seed in range(4):
        cell = ray(2, seed=seed, width=1.0)
        _, response, _ = run(cell)
        np.testing.assert_allclose(response, differences(cell), rtol=1e-7, atol=1e-8)


def test_response_of_a_close_pair_of_three_flavours_in_a_wide_bin():
    """Far from the third level the pair is a two-level system, and the derivative is exact up to gap over distance."""
    cell = ray(3, seed=5, width=0.5)
    cell["base"][0] += 1.0e6
    _, response, _ = run(cell)
    np.testing.assert_allclose(response, differences(cell), atol=3e-6)


def differences(cell):
    """d sums/d base by a fourth-order formula, in coordinates."""
    n = cell["low"].shape[1]
    d = n * n - 1
    numerical = np.empty((d, d))
    step = 1e-3
    moments = np.empty((2, n * n))
    for k in range(d):
        total = np.zeros(d)
        for shift, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
            x = np.zeros(2 * d)
            x[k] = shift * step
            from_coordinates(x, np.zeros(2), n, moments)
            total += weight * run({**cell, "base": cell["base"] + moments[0]})[0]
        numerical[:, k] = total / (12.0 * step)
    return numerical


def test_three_flavours_converge_with_the_square_of_the_parts():
    cell = ray(3, seed=6, width=0.5)
    exact = by_quadrature(cell, 8)
    errors = [np.abs(run(cell, parts)[0] - exact).max() for parts in (2, 4, 8, 16)]
    assert errors[0] < 0.05
    for coarse, fine in pairwise(errors[1:]):
        assert fine < coarse / 3.0


def test_three_flavours_points_are_exact():
    cell = ray(3, seed=7, groups=5, width=0.0)
    np.testing.assert_allclose(run(cell)[0], by_quadrature(cell), atol=1e-13)


@pytest.mark.parametrize("distance", [1e5, 1e7])
def test_three_flavours_with_one_close_pair_are_exact(distance):
    """Two levels cross inside the bin; the third, far away, does not mix."""
    cell = ray(3, seed=8, groups=2, width=0.0)
    cell["base"][:3] = distance, 0.0, 0.0
    cell["base"][3:7] = 0.0
    cell["base"][7:] = 0.02, 0.05
    cell["low"], cell["high"] = np.array([[0.0, -0.4, 0.3]] * 2), np.array([[0.0, 0.5, -0.6]] * 2)
    np.testing.assert_allclose(run(cell)[0], by_quadrature(cell, 64), atol=1e-13 + 1e-16 * distance)


@pytest.mark.parametrize("n", [2, 3])
def test_projector_on_a_level_along_the_change_is_the_change_of_the_level(n):
    """Tr(G <Pi_k>) = h_k(end) - h_k(begin): Hellmann-Feynman integrated over the bin."""
    cell = ray(n, seed=9, groups=1, width=0.4 if n == 2 else 0.02)
    d = n * n - 1
    projector = np.empty((2, 1, 3, d))
    blocks = np.empty((1 if n == 2 else 16, BLOCK_ROWS_3 * LANES))
    if n == 2:
        ray_projectors_2(cell["low"], cell["high"], cell["base"], projector)
    else:
        parts = 64
        fill_blocks_3(cell["low"], cell["high"], parts, blocks)
        blocks[:, HALF * LANES :] = 0.5 / parts
        ray_projectors_3(cell["base"], parts, blocks, np.zeros(BIN_ROWS * LANES), projector)
    change = np.diag(cell["high"][0] - cell["low"][0]).astype(complex)
    for species, sign in ((0, 1.0), (1, -1.0)):
        begin, end = (
            np.linalg.eigvalsh(unpack(cell["base"]) + sign * np.diag(cell[name][0])) for name in ("low", "high")
        )
        for level in range(n):
            along = projector[species, 0, level] @ coordinates(sign * change) + sign * np.trace(change).real / n
            assert along == pytest.approx(end[level] - begin[level], abs=1e-13 if n == 2 else 1e-7)


@pytest.mark.parametrize("n", [2, 3])
def test_nothing_differs_nothing_comes_out(n):
    cell = ray(n)
    cell["populations"][:] = 0.3
    sums, response, (gap, degenerate) = run(cell)
    assert not sums.any()
    assert not response.any()
    assert gap > 1e200
    assert not degenerate


@pytest.mark.parametrize("n", [2, 3])
def test_degenerate_levels_are_left_out_and_reported(n):
    cell = ray(n, width=0.0)
    cell["base"][:] = 0.0
    cell["low"][:] = cell["high"][:] = 0.0
    sums, response, (gap, degenerate) = run(cell)
    assert degenerate
    assert gap == 0.0
    assert np.isfinite(response).all()
    assert np.isfinite(sums).all()


@pytest.mark.parametrize("n", [2, 3])
def test_nan_comes_out(n):
    cell = ray(n)
    cell["base"][n] = np.nan
    assert np.isnan(run(cell)[0]).any()


@pytest.mark.parametrize("n", [2, 3])
def test_generators_are_the_coordinates(n):
    for k in range(n * n - 1):
        real, imag = np.zeros((2, 3, 3))
        generator(k, n, real, imag)
        x = coordinates((real + 1j * imag)[:n, :n])
        np.testing.assert_allclose(x, np.eye(n * n - 1)[k], atol=1e-15)
