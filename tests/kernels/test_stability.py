"""The stability matrix against the alignment's Jacobian, against LAPACK, and its derivative."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.flavor import pack, unpack
from misci_transport.kernels.alignment_residual import ALIGNMENT_ROWS, evaluate, from_coordinates, to_coordinates
from misci_transport.kernels.hermitian import LANES
from misci_transport.kernels.stability import (
    axial_vertex,
    level_modes,
    mode_products,
    stability_matrix,
    transverse_vertex,
)

AXIAL, TRANSVERSE = 2, 1


def random_cell(n, seed=0, directions=3, groups=4):
    rng = np.random.default_rng(seed)
    cosine, weight = np.polynomial.legendre.leggauss(directions)
    return {
        "populations": rng.uniform(size=(directions, 2, groups, 3)),
        "cosine": cosine,
        "weight_0": weight,
        # w_1 is not w_0 mu in general: a mistake in the order of the two must show
        "weight_1": weight * (cosine + 0.05),
        "number_weight": rng.uniform(0.1, 1.0, groups),
        "vacuum": rng.normal(size=(groups, n * n)),
        "field": rng.normal(size=(2, n * n)),
        "strength": 0.7,
    }


def matrices(cell, offset, wave_number=0.0, center=0.0, blocks=AXIAL):
    n = 2 if cell["field"].shape[1] == 4 else 3
    directions, groups = cell["cosine"].size, cell["number_weight"].size
    pairs, d = n * (n - 1) // 2, n * n - 1
    gap = np.empty((directions, 2 * groups, pairs))
    difference, real = np.empty_like(gap), np.empty((*gap.shape, d))
    imag = np.empty_like(real)
    arguments = [cell[name] for name in ("number_weight", "vacuum", "field")]
    parts = np.empty_like(gap), np.empty((directions, 2 * groups, n, n))
    level_modes(cell["populations"], cell["cosine"][:, None], *arguments, n, gap, difference, *parts, real, imag)
    even, odd = np.empty((gap.size, d * (d + 1) // 2)), np.empty((gap.size, d * (d - 1) // 2))
    mode_products(real.reshape(-1, d), imag.reshape(-1, d), even, odd)
    vertex = np.empty((directions, blocks, blocks))
    if blocks == AXIAL:
        axial_vertex(cell["weight_0"], cell["weight_1"], cell["cosine"], vertex)
    else:
        transverse_vertex(cell["weight_0"], cell["cosine"], vertex)
    offset = np.atleast_1d(np.asarray(offset, complex))
    matrix = np.empty((offset.size, blocks * d, blocks * d), complex)
    slope = np.empty_like(matrix)
    flat = [array.reshape(directions, gap[0].size, -1) for array in (even, odd)]
    modes = [array.reshape(directions, -1) for array in (gap, np.zeros_like(gap), difference)]
    stability_matrix(
        offset, center, wave_number * cell["cosine"], *modes, *flat, vertex, cell["strength"], matrix, slope
    )
    return matrix, slope


def lapack_matrix(cell, sigma, wave_number, blocks):
    """M column by column: dD in coordinates -> dD - response, straight from the formula."""
    n = 2 if cell["field"].shape[1] == 4 else 3
    d = n * n - 1
    field = unpack(cell["field"])
    result = np.empty((blocks * d, blocks * d), complex)
    for column in range(blocks * d):
        x = np.zeros(2 * d)
        x[column] = 1.0
        packed = np.empty((2, n * n))
        from_coordinates(x, np.zeros(2), n, packed)
        change = unpack(packed)
        response = np.zeros((2, n, n), complex)
        for m, mu in enumerate(cell["cosine"]):
            w0, w1 = cell["weight_0"][m], cell["weight_1"][m]
            for species, sign in ((0, 1.0), (1, -1.0)):
                for g, weight in enumerate(cell["number_weight"]):
                    h, u = np.linalg.eigh(sign * unpack(cell["vacuum"][g]) + field[0] - mu * field[1])
                    populations = cell["populations"][m, species, g, :n]
                    gaps = h[:, None] - h[None, :] - (sigma - mu * wave_number)
                    k = (populations[:, None] - populations[None, :]) / gaps
                    dh = change[0] - mu * change[1] if blocks == AXIAL else change[0]
                    part = sign * weight * u @ (k * (u.conj().T @ dh @ u)) @ u.conj().T
                    response[0] += w0 * part if blocks == AXIAL else -0.5 * w0 * (1.0 - mu * mu) * part
                    response[1] += w1 * part
        # A complex matrix has complex coordinates: those of its Hermitian part and of its anti-Hermitian part.
        dagger = np.conj(np.swapaxes(response, -1, -2))
        parts = np.empty((2, 2 * d))
        to_coordinates(pack(0.5 * (response + dagger)), n, parts[0])
        to_coordinates(pack(-0.5j * (response - dagger)), n, parts[1])
        result[:, column] = x[: blocks * d] - cell["strength"] * (parts[0] + 1j * parts[1])[: blocks * d]
    return result


@pytest.mark.parametrize("n", [2, 3])
def test_at_rest_it_is_minus_the_jacobian_of_the_alignment(n):
    cell = random_cell(n)
    size = 2 * (n * n - 1)
    x = np.random.default_rng(9).normal(size=size)
    moments = np.empty((2, n * n))
    from_coordinates(x, np.zeros(2), n, moments)
    shift = np.random.default_rng(8).normal(size=(2, n * n))
    jacobian, output = np.empty((size, size)), np.empty(size)
    weight, velocity = np.stack([cell["weight_0"], cell["weight_1"]]), cell["cosine"][:, None]
    lane = np.zeros(ALIGNMENT_ROWS * LANES)
    evaluate(
        x, cell["populations"], weight, velocity, cell["number_weight"], cell["vacuum"], 1.3, np.array([0.2]),
        cell["strength"], shift, n, True, lane, output, jacobian,
    )  # fmt: skip
    cell["field"] = cell["strength"] * moments + shift
    cell["field"][0, 0] += 1.3
    cell["field"][1, 0] += 1.3 * 0.2
    matrix, _ = matrices(cell, 0.0)
    # d(D_out - D)/dD = jacobian - 1
    np.testing.assert_allclose(matrix[0], np.eye(size) - jacobian, atol=1e-13)


@pytest.mark.parametrize("blocks", [AXIAL, TRANSVERSE])
@pytest.mark.parametrize("n", [2, 3])
def test_agrees_with_the_formula(n, blocks):
    cell = random_cell(n, seed=1)
    sigma = np.array([0.3 + 0.2j, -1.1 + 0.05j, 0.7 - 0.4j])
    matrix, _ = matrices(cell, sigma - 0.25, wave_number=0.6, center=0.25, blocks=blocks)
    for value, found in zip(sigma, matrix, strict=True):
        np.testing.assert_allclose(found, lapack_matrix(cell, value, 0.6, blocks), atol=1e-12)


@pytest.mark.parametrize("n", [2, 3])
def test_derivative_and_many_points(n):
    cell = random_cell(n, seed=2)
    # more points than are worked on together
    sigma = np.linspace(-2.0, 2.0, 75) + 0.3j
    _, slope = matrices(cell, sigma, wave_number=0.4)
    h = 1e-5
    up, _ = matrices(cell, sigma + h, wave_number=0.4)
    down, _ = matrices(cell, sigma - h, wave_number=0.4)
    np.testing.assert_allclose(slope, (up - down) / (2.0 * h), atol=1e-8 * np.abs(slope).max())


@pytest.mark.parametrize("n", [2, 3])
def test_equal_populations_do_not_respond_even_where_levels_meet(n):
    cell = random_cell(n)
    cell["populations"][:] = 0.3
    cell["vacuum"][:] = 0.0
    cell["field"][:] = 0.0
    matrix, slope = matrices(cell, 0.0)
    assert np.array_equal(matrix[0], np.eye(2 * (n * n - 1)))
    assert not slope.any()
