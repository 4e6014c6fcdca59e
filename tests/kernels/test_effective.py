"""Residual, Jacobian, gauge and Newton of one cell with conserved charges."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.flavor import pack, unpack
from misci_transport.kernels.alignment_newton import CONVERGED, NO_DESCENT, NOT_FINITE, SINGULAR
from misci_transport.kernels.bin_projectors import bin_projectors_batch
from misci_transport.kernels.bins_3 import BIN_ROWS
from misci_transport.kernels.effective import evaluate_effective, fix_gauge, gauge_vector
from misci_transport.kernels.effective_batch import evaluate_effective_batch
from misci_transport.kernels.effective_newton import (
    align_effective_batch,
    hold_multipliers,
    locked_error,
    transverse_coupling,
)
from misci_transport.kernels.hermitian import LANES

ORDER = (
    "target", "n_charges", "fixed", "populations", "weight", "direction_cosine", "number_weight", "low",
    "high", "external", "strength", "n_flavors", "parts",
)  # fmt: skip


def random_cell(n, seed=0, n_charges=None, fixed=0, width=0.1, strength=0.7, directions=3, groups=2, parts=1):
    rng = np.random.default_rng(seed)
    cosine, weight = np.polynomial.legendre.leggauss(directions)
    middle = rng.normal(size=(groups, n))
    step = width * rng.normal(size=(groups, n))
    external = 0.3 * rng.normal(size=(2, n * n))
    count = n - 1 if n_charges is None else n_charges
    if count:
        external[:, n:] = 0.0
    return {
        "target": rng.normal(size=2),
        "n_charges": count,
        "fixed": fixed,
        "populations": rng.uniform(0.0, 1.0, size=(directions, 2, groups, 3)),
        "weight": np.stack([weight, weight * cosine]),
        "direction_cosine": cosine,
        "number_weight": rng.uniform(0.1, 1.0, groups),
        "low": middle - step,
        "high": middle + step,
        "external": external,
        "strength": strength,
        "n_flavors": n,
        "parts": parts,
    }


def run(cell, y, with_jacobian=True):
    output, jacobian = np.empty(y.size), np.zeros((y.size, y.size))
    lane = np.zeros(BIN_ROWS * LANES)
    report = evaluate_effective(y, *[cell[k] for k in ORDER], with_jacobian, lane, output, jacobian)
    return output, jacobian, report


def align(cell, y, tolerance=1e-12, max_iterations=50):
    """Align one cell in place; returns (status, iterations, residual)."""
    status, iterations, residual = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1)
    values = dict(cell, n_charges=np.array([cell["n_charges"]]))
    for name in ("target", "populations", "weight", "direction_cosine", "low", "high", "external"):
        values[name] = cell[name][None]
    align_effective_batch(y[None], *[values[k] for k in ORDER], tolerance, max_iterations, status, iterations, residual)
    return int(status[0]), int(iterations[0]), float(residual[0])


#: Seeds of cells in which Newton finds a state that is tilted against all axes, for (flavours, fixed).
TILTED = {(2, 0): (7, 11), (2, 1): (7, 11), (3, 0): (73, 85), (3, 1): (24, 381)}


def solved(n, fixed, which=0, width=0.1, strength=5.0):
    """A cell and a tilted state that is aligned with given multipliers: (cell with its charges, unknowns)."""
    seed = TILTED[n, fixed][which]
    rng = np.random.default_rng(seed)
    cell = random_cell(n, seed, 0, fixed, width, strength)
    cell["external"][:, n:] = 0.0
    # more neutrinos than antineutrinos, mostly in one level: D is large
    cell["populations"] *= np.array([0.2, 0.5, 1.0]) * np.array([1.0, 0.3])[:, None, None]
    multiplier = 0.3 * rng.normal(size=2)
    free = dict(cell, external=cell["external"].copy())
    for a in range(n - 1):
        free["external"][fixed, :n] -= multiplier[a] * np.diag(generators(n)[a]).real
    d = n * n - 1
    y = rng.normal(size=2 * d) * np.repeat([1.0, 0.3], d)
    status, _, _ = align(free, y, 1e-13)
    assert status == CONVERGED
    assert np.hypot(y[n - 1 : d : 2], y[n:d:2]).min() > 0.01
    cell["n_charges"] = n - 1
    start = fixed * d
    cell["target"] = np.zeros(2)
    cell["target"][: n - 1] = y[start : start + n - 1]
    y[start : start + n - 1] = multiplier[: n - 1]
    return cell, y


def differences(cell, y, step=1e-3):
    numerical = np.empty((y.size, y.size))
    for k in range(y.size):
        total = 0.0
        for shift, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
            moved = y.copy()
            moved[k] += shift * step
            total = total + weight * run(cell, moved, False)[0]
        numerical[:, k] = total / (12.0 * step)
    return numerical


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("n_charges", [0, 1, 2])
@pytest.mark.parametrize("fixed", [0, 1])
def test_jacobian_against_differences(n, n_charges, fixed):
    """Exact with two flavours; with three the Jacobian leaves out the second order in the bin's width."""
    cell = random_cell(n, 1, min(n_charges, n - 1), fixed, 0.5 if n == 2 else 1e-6)
    y = np.random.default_rng(2).normal(size=2 * (n * n - 1))
    _, jacobian, _ = run(cell, y)
    np.testing.assert_allclose(jacobian, differences(cell, y), atol=2e-8)


def test_jacobian_of_three_flavours_lacks_the_second_order_of_the_width():
    y = np.random.default_rng(2).normal(size=16)
    errors = []
    for width in (0.04, 0.02, 0.01):
        cell = random_cell(3, 1, 2, 0, width)
        errors.append(np.abs(run(cell, y)[1] - differences(cell, y)).max())
    assert errors[1] < errors[0] / 3.0
    assert errors[2] < errors[1] / 3.0


@pytest.mark.parametrize("n", [2, 3])
def test_residual_with_and_without_jacobian_is_the_same(n):
    cell = random_cell(n, 3, groups=7)
    y = np.random.default_rng(4).normal(size=2 * (n * n - 1))
    with_it, _, first = run(cell, y)
    without, untouched, second = run(cell, y, False)
    np.testing.assert_array_equal(with_it, without)
    assert not untouched.any()
    assert first == second


@pytest.mark.parametrize("n", [2, 3])
def test_residual_against_lapack(n):
    cell = random_cell(n, 5, width=0.0, groups=5)
    d = n * n - 1
    y = np.random.default_rng(6).normal(size=2 * d)
    output, _, _ = run(cell, y)
    _, matrices = projected(cell, y)
    moments = np.zeros((2, n, n), complex)
    for m, (w0, w1) in enumerate(cell["weight"].T):
        for species, sign in ((0, 1.0), (1, -1.0)):
            for g, w in enumerate(cell["number_weight"]):
                _, u = np.linalg.eigh(hamiltonian(cell, y, m, sign, g))
                f = cell["populations"][m, species, g, :n]
                density = (u * f) @ u.conj().T
                np.testing.assert_allclose(matrices[m, species, g], density, atol=1e-13)
                moments[0] += sign * w * w0 * density
                moments[1] += sign * w * w1 * density
    x = y.copy()
    x[: cell["n_charges"]] = cell["target"][: cell["n_charges"]]
    np.testing.assert_allclose(output, in_coordinates(moments) - x, atol=1e-13)


def in_coordinates(moments):
    n = moments.shape[-1]
    values = []
    for matrix in moments:
        values += [np.trace(matrix @ t).real for t in generators(n)]
    return np.array(values)


def generators(n):
    diagonal = [np.diag([1.0, -1.0]) / np.sqrt(2.0)]
    pairs = [(0, 1)]
    if n == 3:
        diagonal = [np.diag([2.0, -1.0, -1.0]) / np.sqrt(6.0), np.diag([0.0, 1.0, -1.0]) / np.sqrt(2.0)]
        pairs = [(0, 1), (0, 2), (1, 2)]
    out = [d.astype(complex) for d in diagonal]
    for i, j in pairs:
        for value in (1.0, 1.0j):
            t = np.zeros((n, n), complex)
            t[i, j] = value / np.sqrt(2.0)
            t[j, i] = np.conj(t[i, j])
            out.append(t)
    return out


def hamiltonian(cell, y, m, sign, g):
    """H_eff at the middle of a bin."""
    n = cell["n_flavors"]
    d = n * n - 1
    mu = cell["direction_cosine"][m]
    t = generators(n)
    x = y.copy()
    start = cell["fixed"] * d
    held = slice(start, start + cell["n_charges"])
    x[held] = cell["target"][: cell["n_charges"]]
    field = sum(cell["strength"] * (x[k] - mu * x[d + k]) * t[k] for k in range(d))
    factor = -mu if cell["fixed"] == 1 else 1.0
    field = field - factor * sum((y[start + a] * t[a] for a in range(cell["n_charges"])), np.zeros((n, n)))
    external = unpack(cell["external"])
    middle = 0.5 * (cell["low"][g] + cell["high"][g])
    return field + external[0] - mu * external[1] + sign * np.diag(middle)


def projected(cell, y):
    """Averaged projectors (direction, species, group, level, component) and the density matrices made of them."""
    n = cell["n_flavors"]
    directions, _, groups, levels = cell["populations"].shape
    shape = (1, directions, 2, groups, levels)
    projector = np.empty((*shape, n * n + levels - n))
    content = np.empty((*shape, 2))
    bin_projectors_batch(
        np.array([0]), y[None], cell["target"][None], np.array([cell["n_charges"]]), cell["fixed"],
        cell["direction_cosine"][None], cell["low"][None], cell["high"][None], cell["external"][None], np.eye(n)[None],
        np.zeros((1, n, n)), cell["strength"], n, cell["parts"], projector, content,
    )  # fmt: skip
    total = np.einsum("msgk,msgki->msgi", cell["populations"][..., :n], projector[0, :, :, :, :n])
    packed = np.concatenate([total[..., :n], 0.5 * total[..., 3 : 3 + n * n - n]], axis=-1)
    return content[0], unpack(packed)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("fixed", [0, 1])
def test_projectors_make_the_moments(n, parts, fixed):
    cell = random_cell(n, 7, width=0.4, groups=5, fixed=fixed, parts=parts)
    d = n * n - 1
    y = np.random.default_rng(8).normal(size=2 * d)
    output, _, _ = run(cell, y)
    content, matrices = projected(cell, y)
    net = np.einsum("g,mgij->mij", cell["number_weight"], matrices[:, 0] - matrices[:, 1])
    moments = np.stack([np.einsum("m,mij->ij", w, net) for w in cell["weight"]])
    x = y.copy()
    x[fixed * d : fixed * d + n - 1] = cell["target"][: n - 1]
    np.testing.assert_allclose(in_coordinates(moments) - x, output, atol=1e-13)
    # what the levels carry of the charges is the same
    carried = np.einsum("msgk,msgka->msga", cell["populations"][..., :n], content[..., :n, : n - 1])
    expected = np.einsum("msgij,aji->msga", matrices, np.array(generators(n)[: n - 1])).real
    np.testing.assert_allclose(carried, expected, atol=1e-14)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("fixed", [0, 1])
@pytest.mark.parametrize("width", [0.0, 0.2])
def test_newton_keeps_the_charges(n, fixed, width):
    cell, exact = solved(n, fixed, width=width)
    assert np.linalg.norm(run(cell, exact)[0]) < 1e-11
    y = exact + 1e-3 * np.random.default_rng(10).normal(size=exact.size)
    status, iterations, residual = align(cell, y)
    assert status == CONVERGED
    # the Jacobian of three flavours leaves out the second order of the bins' width: not quadratic then
    assert 1 <= iterations <= (8 if n == 2 or width == 0.0 else 15)
    assert residual <= 1e-12
    _, matrices = projected(cell, y)
    net = np.einsum("g,mgij->mij", cell["number_weight"], matrices[:, 0] - matrices[:, 1])
    weight = cell["weight"][fixed]
    charges = np.einsum("m,mij,aji->a", weight, net, np.array(generators(n)[: n - 1])).real
    np.testing.assert_allclose(charges, cell["target"][: n - 1], atol=1e-11)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("fixed", [0, 1])
def test_gauge_of_a_tilted_solution(n, fixed):
    # the Jacobian of three flavours is exact for points only
    cell, y = solved(n, fixed, width=0.1 if n == 2 else 0.0)
    _, jacobian, _ = run(cell, y)
    size = np.linalg.svd(jacobian, compute_uv=False)
    vector = np.empty(y.size)
    for charge in range(n - 1):
        square = gauge_vector(y, charge, n, vector)
        # the common phase is free: a right null vector, and with the sign of D_1 changed a left one
        np.testing.assert_allclose(jacobian @ vector, 0.0, atol=1e-10 * np.sqrt(square) * size[0])
        left = vector * np.where(np.arange(y.size) < y.size // 2, 1.0, -1.0)
        np.testing.assert_allclose(left @ jacobian, 0.0, atol=1e-10 * np.sqrt(square) * size[0])
    assert size[-1] < 1e-10 * size[0]
    fix_gauge(y, n - 1, n, 1e-13, jacobian, np.empty((2, y.size)))
    assert np.linalg.svd(jacobian, compute_uv=False)[-1] > 1e-6 * size[0]


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("fixed", [0, 1])
def test_converged_guess_is_left_alone(n, fixed):
    cell, y = solved(n, fixed)
    assert align(cell, y)[0] == CONVERGED
    again = y.copy()
    status, iterations, _ = align(cell, again)
    assert (status, iterations) == (CONVERGED, 0)
    np.testing.assert_array_equal(again, y)


def along_the_axis(n, fixed=0, seed=13):
    """A cell whose density matrices commute with the charges: the multipliers move nothing."""
    cell = random_cell(n, seed, fixed=fixed, width=0.05, strength=5.0)
    # levels in the same order on all rays and for both species
    cell["external"][:] = 0.0
    cell["external"][0, :n] = [40.0, -40.0] if n == 2 else [60.0, 0.0, -60.0]
    d = n * n - 1
    y = np.zeros(2 * d)
    output, _, _ = run(dict(cell, n_charges=0), y)
    # D_out does not depend on D: it is the solution
    y = output.copy()
    start = fixed * d
    cell["target"] = np.zeros(2)
    cell["target"][: n - 1] = y[start : start + n - 1]
    y[start : start + n - 1] = 0.0
    return cell, y


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("fixed", [0, 1])
def test_multipliers_without_effect_are_held(n, fixed):
    cell, exact = along_the_axis(n, fixed)
    _, jacobian, _ = run(cell, exact)
    d = n * n - 1
    start = fixed * d
    assert not jacobian[:, start : start + n - 1].any()
    # a flux far off: too far for the bound of a locked cell
    y = exact.copy()
    y[d * (1 - fixed) : d * (1 - fixed) + n - 1] += 4.0
    y[start : start + n - 1] = 0.7
    status, iterations, _ = align(cell, y)
    assert (status, iterations) == (CONVERGED, 1)
    np.testing.assert_array_equal(y[start : start + n - 1], 0.7)
    other = [k for k in range(2 * d) if not start <= k < start + n - 1]
    np.testing.assert_allclose(y[other], exact[other], atol=1e-11)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("fixed", [0, 1])
def test_guess_tilted_against_the_axes_finds_back(n, fixed):
    """A tilt gives the multipliers an effect that the solution does not have."""
    cell, exact = along_the_axis(n, fixed)
    d = n * n - 1
    y = exact + 0.5 * np.where(np.arange(2 * d) % d >= n - 1, 1.0, 0.0)
    status, _, _ = align(cell, y)
    assert status == CONVERGED
    along = [k for k in range(2 * d) if k % d < n - 1 and not fixed * d <= k < fixed * d + n - 1]
    np.testing.assert_allclose(y[along], exact[along], atol=1e-11)
    # a tilt changes the charges with its square: a smaller one than this is a solution too
    across = np.arange(2 * d) % d >= n - 1
    np.testing.assert_allclose(y[across], exact[across], atol=1e-6)


@pytest.mark.parametrize("n", [2, 3])
def test_a_charge_that_no_multiplier_can_give_is_a_failure(n):
    cell, y = along_the_axis(n)
    cell["target"][0] += 1e-3
    start = y.copy()
    status, _, residual = align(cell, y)
    assert status in (SINGULAR, NO_DESCENT)
    assert residual > 1e-6
    np.testing.assert_array_equal(y, start)


@pytest.mark.parametrize("n", [2, 3])
def test_locked_cell_takes_one_residual(n):
    """Populations have changed since the guess: D_out is accepted, without a Jacobian and without a second look."""
    cell, exact = along_the_axis(n)
    y = exact.copy()
    y[n * n - 1] += 0.05
    status, iterations, residual = align(cell, y, max_iterations=0)
    assert (status, iterations) == (CONVERGED, 1)
    assert residual <= 1e-12
    np.testing.assert_allclose(y, exact, atol=1e-13)
    assert np.linalg.norm(run(cell, y)[0]) < 1e-13


def test_bound_of_a_locked_cell_holds():
    """What D_out misses by is below the bound, for transverse parts of all sizes."""
    rng = np.random.default_rng(14)
    accepted = 0
    for size in 10.0 ** np.arange(-14.0, 0.0):
        for n in (2, 3):
            cell, exact = along_the_axis(n)
            d = n * n - 1
            scale = float(
                np.einsum("m,g,msgk->", cell["weight"][0], cell["number_weight"], cell["populations"][..., :n])
            )
            cell["external"][:, n:] = 0.0
            y = exact + 0.02 * rng.normal(size=2 * d) * np.where(np.arange(2 * d) % d >= n - 1, size, 1.0)
            x = y.copy()
            x[: n - 1] = cell["target"][: n - 1]
            output, _, (gap, _) = run(cell, y, False)
            coupling = transverse_coupling(x, cell["external"], cell["strength"], n)
            bound = locked_error(output, coupling, gap, cell["strength"], scale, 0, n - 1, n)
            y[n - 1 :] += output[n - 1 :]
            missed = np.linalg.norm(run(cell, y, False)[0]) / scale
            assert missed <= bound + 1e-15
            accepted += bound < 1e-4
    assert accepted > 10


@pytest.mark.parametrize("first", [0.0, 1.0])
@pytest.mark.parametrize("ratio", [0.0, 0.3, -2.0])
def test_held_combination_of_two_multipliers(first, ratio):
    """Columns c and ratio c: one combination acts, the other is held, and the system becomes regular."""
    rng = np.random.default_rng(15)
    n = 6
    base = rng.normal(size=(n, n))
    symmetric = base @ base.T
    projection = np.eye(n)
    held = np.array([ratio, -1.0]) / np.hypot(ratio, 1.0) if first else np.eye(2)
    for vector in np.atleast_2d(held):
        full = np.zeros(n)
        full[:2] = vector
        projection -= np.outer(full, full)
    singular = projection @ symmetric @ projection
    jacobian, step = singular.copy(), rng.normal(size=n)
    right = step.copy()
    hold_multipliers(jacobian, step, 0, 2, n, 1.0, 1.0)
    assert np.linalg.cond(jacobian) < 1e6
    x = np.linalg.solve(jacobian, step)
    for vector in np.atleast_2d(held):
        assert abs(vector @ x[:2]) < 1e-10
    np.testing.assert_allclose(singular @ x, projection @ right, atol=1e-9)


def test_one_multiplier_with_an_effect_is_not_held():
    jacobian, step = np.eye(4), np.ones(4)
    hold_multipliers(jacobian, step, 2, 1, 4, 1.0, 1.0)
    np.testing.assert_array_equal(jacobian, np.eye(4))
    np.testing.assert_array_equal(step, np.ones(4))


@pytest.mark.parametrize("n", [2, 3])
def test_not_finite_is_a_failure(n):
    cell, y = along_the_axis(n)
    cell["external"][0, 0] = np.nan
    assert align(cell, y)[0] == NOT_FINITE


@pytest.mark.parametrize("n", [2, 3])
def test_empty_cell(n):
    cell, y = along_the_axis(n)
    cell["populations"][:] = 0.0
    assert align(cell, y) == (CONVERGED, 0, 0.0)
    assert not y.any()


@pytest.mark.parametrize("n", [2, 3])
def test_batch_of_cells_is_the_cells(n):
    cell, y = solved(n, 0)
    output, jacobian, _ = run(cell, y)
    fix_gauge(y, n - 1, n, 1e-10, jacobian, np.empty((2, y.size)))
    values = dict(cell, n_charges=np.full(2, cell["n_charges"]))
    for name in ("target", "populations", "weight", "direction_cosine", "low", "high", "external"):
        values[name] = np.stack([cell[name]] * 2)
    outputs, jacobians = np.empty((2, y.size)), np.zeros((2, y.size, y.size))
    evaluate_effective_batch(np.stack([y, y]), *[values[k] for k in ORDER], np.full(2, 1e-10), True, outputs, jacobians)
    for k in range(2):
        np.testing.assert_array_equal(outputs[k], output)
        np.testing.assert_array_equal(jacobians[k], jacobian)


def test_packing_of_the_helpers():
    matrix = sum(k * t for k, t in enumerate(generators(3)))
    np.testing.assert_allclose(unpack(pack(matrix)), matrix)
