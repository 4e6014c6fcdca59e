"""Residual, Jacobian, Newton and locked shortcut of one cell."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.flavor import MixingParameters, pack, unpack
from misci_transport.kernels.alignment import (
    CONVERGED,
    LOCKED,
    MAX_ITERATIONS,
    NO_DESCENT,
    NOT_FINITE,
    SINGULAR,
    align_batch,
)
from misci_transport.kernels.alignment_dressed import DRESS_ANGLE, dressed_3
from misci_transport.kernels.alignment_residual import (
    ALIGNMENT_ROWS,
    evaluate,
    from_coordinates,
    number_sums,
    to_coordinates,
)
from misci_transport.kernels.hermitian import LANES
from misci_transport.kernels.projectors import electron_mixing_bound, quick_mixing_bound, vacuum_extremes

ARGUMENTS = (
    "populations",
    "weight",
    "velocity",
    "number_weight",
    "vacuum",
    "potential",
    "beta",
    "strength",
    "shift",
    "n_flavors",
)


def random_cell(n, seed=0, directions=3, groups=2, strength=0.7, potential=1.0, axes=1):
    rng = np.random.default_rng(seed)
    cosine, zeroth = np.polynomial.legendre.leggauss(directions)
    velocity = cosine[:, None]
    if axes == 3:
        azimuth = rng.uniform(0.0, 2.0 * np.pi, directions)
        sine = np.sqrt(1.0 - cosine**2)
        velocity = np.stack([cosine, sine * np.cos(azimuth), sine * np.sin(azimuth)], axis=1)
    return {
        "populations": rng.uniform(0.0, 1.0, size=(directions, 2, groups, 3)),
        "weight": np.stack([zeroth, *(zeroth * v for v in velocity.T)]),
        "velocity": velocity,
        "number_weight": rng.uniform(0.1, 1.0, groups),
        "vacuum": rng.normal(size=(groups, n * n)),
        "potential": potential,
        "beta": 0.1 * np.arange(1.0, 1.0 + axes),
        "strength": strength,
        "shift": 0.1 * rng.normal(size=(1 + axes, n * n)),
        "n_flavors": n,
    }


def run_evaluate(cell, x, with_jacobian=True):
    size = x.size
    output = np.empty(size)
    jacobian = np.empty((size, size))
    lane = np.zeros(ALIGNMENT_ROWS * LANES)
    report = evaluate(x, *[cell[name] for name in ARGUMENTS], with_jacobian, lane, output, jacobian)
    return output, jacobian, report


def dense_moments(cell, moments):
    """D_out by LAPACK, straight from the formula."""
    n = cell["n_flavors"]
    d, shift = unpack(moments), unpack(cell["shift"])
    out = np.zeros((len(cell["weight"]), n, n), complex)
    for m, v in enumerate(cell["velocity"]):
        base = cell["strength"] * (d[0] - np.tensordot(v, d[1:], 1)) + shift[0] - np.tensordot(v, shift[1:], 1)
        base[0, 0] += cell["potential"] * (1.0 - cell["beta"] @ v)
        for species, sign in ((0, 1.0), (1, -1.0)):
            for g, weight in enumerate(cell["number_weight"]):
                _, u = np.linalg.eigh(sign * unpack(cell["vacuum"][g]) + base)
                density = (u * cell["populations"][m, species, g, :n]) @ u.conj().T
                out += sign * weight * cell["weight"][:, m, None, None] * density
    return pack(out)


def batch_align(cell, moments, tolerance=1e-12, max_iterations=50, shortcut=True):
    """Align one cell in place; returns (status, iterations, residual)."""
    status, iterations = np.zeros(1, np.int64), np.zeros(1, np.int64)
    residual = np.zeros(1)
    values = {name: cell[name] for name in ARGUMENTS}
    for name in ("populations", "weight", "velocity", "beta", "shift"):
        values[name] = values[name][None]
    values["potential"] = np.array([values["potential"]])
    align_batch(moments[None], *values.values(), tolerance, max_iterations, shortcut, status, iterations, residual)
    return int(status[0]), int(iterations[0]), float(residual[0])


@pytest.mark.parametrize("n", [2, 3])
def test_coordinates_are_orthonormal_and_invertible(n):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 2, n * n))
    x, y = np.empty((2, 2 * (n * n - 1)))
    to_coordinates(a, n, x)
    to_coordinates(b, n, y)
    product = 0.0
    for order in range(2):
        traceless = [unpack(p[order]) - np.eye(n) * p[order, :n].mean() for p in (a, b)]
        product += np.trace(traceless[0] @ traceless[1]).real
    assert x @ y == pytest.approx(product, rel=1e-13)
    back = np.empty((2, n * n))
    from_coordinates(x, a[:, :n].sum(axis=1), n, back)
    np.testing.assert_allclose(back, a, atol=1e-14)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("groups", [1, 5])
@pytest.mark.parametrize("axes", [1, 3])
def test_residual_against_lapack(n, groups, axes):
    cell = random_cell(n, groups=groups, axes=axes)
    moments = np.random.default_rng(2).normal(size=(1 + axes, n * n))
    x, expected = np.empty((2, (1 + axes) * (n * n - 1)))
    to_coordinates(moments, n, x)
    output, _, (_, gap, degenerate) = run_evaluate(cell, x, False)
    to_coordinates(dense_moments(cell, moments), n, expected)
    np.testing.assert_allclose(output, expected, atol=1e-13)
    assert gap > 0.0
    assert not degenerate


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("axes", [1, 3])
def test_jacobian_against_differences(n, axes):
    cell = random_cell(n, seed=3, axes=axes)
    size = (1 + axes) * (n * n - 1)
    x = np.random.default_rng(4).normal(size=size)
    _, jacobian, (bound, _, _) = run_evaluate(cell, x)
    numerical = np.empty((size, size))
    step = 2e-3
    for k in range(size):
        shifted = []
        for factor in (-2, -1, 1, 2):
            y = x.copy()
            y[k] += factor * step
            shifted.append(run_evaluate(cell, y, False)[0])
        numerical[:, k] = (shifted[0] - 8 * shifted[1] + 8 * shifted[2] - shifted[3]) / (12 * step)
    np.testing.assert_allclose(jacobian, numerical, atol=1e-7 * abs(jacobian).max())
    assert np.linalg.norm(jacobian, 2) <= bound


@pytest.mark.parametrize("n", [2, 3])
def test_equal_populations_do_not_respond(n):
    cell = random_cell(n)
    cell["populations"][:] = 0.3
    output, jacobian, (bound, _, degenerate) = run_evaluate(cell, np.zeros(2 * (n * n - 1)))
    assert abs(output).max() == 0.0
    assert abs(jacobian).max() == 0.0
    assert bound == 0.0
    assert not degenerate


@pytest.mark.parametrize("n", [2, 3])
def test_degenerate_levels_of_different_populations_are_reported(n):
    cell = random_cell(n, potential=0.0)
    cell["vacuum"][:] = 0.0
    cell["shift"][:] = 0.0
    assert run_evaluate(cell, np.zeros(2 * (n * n - 1)))[2][2]
    moments = np.zeros((2, n * n))
    assert batch_align(cell, moments)[0] in (SINGULAR, NO_DESCENT)
    assert abs(moments).max() == 0.0


def test_number_sums():
    cell = random_cell(3)
    trace = np.empty(2)
    scale = number_sums(cell["populations"], cell["weight"], cell["number_weight"], 3, trace)
    net = np.einsum("msgk,s,g->m", cell["populations"], [1.0, -1.0], cell["number_weight"])
    np.testing.assert_allclose(trace, cell["weight"] @ net, rtol=1e-13)
    total = np.einsum("msgk,m,g->", cell["populations"], cell["weight"][0], cell["number_weight"])
    assert scale == pytest.approx(total)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("strength", "potential"), [(0.0, 1.0), (1e-3, 0.5), (0.05, 3.0), (0.3, 100.0)])
@pytest.mark.parametrize("axes", [1, 3])
def test_solution_is_self_consistent(n, strength, potential, axes):
    cell = random_cell(n, seed=6, strength=strength, potential=potential, axes=axes)
    moments = np.zeros((1 + axes, n * n))
    status, _, residual = batch_align(cell, moments)
    assert status == CONVERGED
    assert residual <= 1e-12
    scale = cell["populations"].sum() * 2.0
    np.testing.assert_allclose(dense_moments(cell, moments), moments, atol=1e-12 * scale)


@pytest.mark.parametrize("heavy_split", [0.0, 1e-6])
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("potential", "strength"), [(1e9, 0.0), (1e9, 1e2), (-1e9, 1e4), (2e9, 1e9)])
@pytest.mark.parametrize("axes", [1, 3])
def test_locked_shortcut_is_the_full_solution(n, heavy_split, potential, strength, axes):
    cell = random_cell(n, seed=7, axes=axes)
    cell["potential"], cell["strength"] = potential, strength
    heavy = np.array([0.2, 0.2 * (1.0 + heavy_split)])
    # nu_e dominates: one sign of V + mu D_ee in the whole cell
    level = 0 if potential < 0.0 else n - 1
    for species, electron in ((0, 0.6), (1, 0.4)):
        occupation = np.insert(heavy[: n - 1], level, electron)
        cell["populations"][:, species, :, :n] = occupation
    if potential < 0.0:
        cell["strength"] = -strength
    guess = np.zeros((1 + axes, n * n))
    full, short = guess.copy(), guess.copy()
    status, _, residual = batch_align(cell, short)
    # Unequal heavy flavours in a gas so dense that they dominate their own Hamiltonian may take the full path.
    dense = n == 3 and heavy_split > 0.0 and strength > 1e6
    assert status == LOCKED or (dense and status == CONVERGED)
    assert residual <= 1e-12
    scale = np.einsum("msgk,m,g->", cell["populations"][..., :n], cell["weight"][0], cell["number_weight"])
    np.testing.assert_allclose(dense_moments(cell, short), short, atol=1e-12 * scale)
    if axes == 3 and dense:
        # from no guess at all Newton's basin is too small
        return
    assert batch_align(cell, full, shortcut=False)[0] == CONVERGED
    np.testing.assert_allclose(short, full, atol=1e-12 * scale)


def test_locked_cell_with_level_crossings_inside():
    """V + mu (D_0 - mu D_1) changes sign between rays: nu_e is the top level on some, the bottom one on others."""
    for n in (2, 3):
        cell = random_cell(n, seed=8, directions=4, potential=0.0)
        cell["shift"][:] = 0.0
        cell["shift"][1, 0] = 1e10
        cell["strength"] = 1e3
        cell["populations"][..., 1:] = 0.25
        for m, mu in enumerate(cell["velocity"][:, 0]):
            top = -mu > 0.0
            cell["populations"][m, :, :, :n] = 0.25
            cell["populations"][m, 0, :, n - 1 if top else 0] = 0.75
        short, full = np.zeros((2, 2, n * n))
        assert batch_align(cell, short)[0] == LOCKED
        assert batch_align(cell, full, shortcut=False)[0] == CONVERGED
        np.testing.assert_allclose(short, full, atol=1e-12 * 10)
        assert short[0, 0] == pytest.approx(cell["populations"][:, 0].max() * 2 * cell["number_weight"].sum()
                                            - 0.25 * 2 * cell["number_weight"].sum(), rel=1e-12)  # fmt: skip


def test_nu_e_between_the_heavy_levels():
    cell = random_cell(3, seed=9, potential=0.0, strength=1e3)
    cell["shift"][:] = 0.0
    cell["shift"][0, 1], cell["shift"][0, 2] = -1e10, 1e10
    cell["populations"][..., 0], cell["populations"][..., 2] = 0.2, 0.3
    short, full = np.zeros((2, 2, 9))
    assert batch_align(cell, short)[0] == LOCKED
    assert batch_align(cell, full, shortcut=False)[0] == CONVERGED
    np.testing.assert_allclose(short, full, atol=1e-12 * 10)


def test_codes_of_failure():
    cell = random_cell(2)
    moments = np.zeros((2, 4))
    assert batch_align(cell, moments, max_iterations=0)[0] == MAX_ITERATIONS
    assert abs(moments).max() == 0.0
    assert batch_align({**cell, "potential": np.nan}, moments)[0] == NOT_FINITE
    broken = cell["populations"].copy()
    broken[0, 1, 0, 0] = np.inf
    assert batch_align({**cell, "populations": broken}, moments)[0] == NOT_FINITE
    assert abs(moments).max() == 0.0
    assert batch_align(cell, np.full((2, 4), np.nan))[0] == NOT_FINITE
    codes = [CONVERGED, LOCKED, SINGULAR, NO_DESCENT, MAX_ITERATIONS, NOT_FINITE]
    assert codes == list(range(6))


def test_empty_cell():
    for n in (2, 3):
        cell = random_cell(n)
        cell["populations"][:] = 0.0
        moments = np.ones((2, n * n))
        assert batch_align(cell, moments) == (CONVERGED, 0, 0.0)
        assert abs(moments).max() == 0.0


def test_mixing_parameters_of_the_global_fit_converge():
    vacuum = MixingParameters.global_fit("inverted").mass_squared_matrix(3) / 2.5e-3
    cell = random_cell(3, seed=10, strength=0.02)
    cell["vacuum"] = vacuum[None] * np.array([[0.5], [2.0]])
    moments = np.zeros((2, 9))
    assert batch_align(cell, moments)[0] == CONVERGED
    np.testing.assert_allclose(dense_moments(cell, moments), moments, atol=1e-11)


@pytest.mark.parametrize("potential", [2e4, 1e5, 1e6, 1e8])
@pytest.mark.parametrize("strength", [0.0, 1e3])
@pytest.mark.parametrize("axes", [1, 3])
def test_the_bound_of_a_locked_cell_of_two_flavours_holds(potential, strength, axes):
    """Mixing angles up to LOCK_ANGLE_2: the second order is in the answer, and the reported bound is one."""
    cell = random_cell(2, seed=3, directions=5, groups=11, strength=strength, potential=potential, axes=axes)
    cell["vacuum"] /= np.abs(cell["vacuum"]).max()
    cell["populations"][:, 0, :, 1], cell["populations"][:, 0, :, 0] = 0.6, 0.1
    moments = np.zeros((1 + axes, 4))
    status, passes, bound = batch_align(cell, moments)
    assert status == LOCKED
    assert passes <= 3
    trace = np.empty(1 + axes)
    scale = number_sums(*(cell[k] for k in ("populations", "weight", "number_weight")), 2, trace)
    error = np.linalg.norm(unpack(dense_moments(cell, moments)) - unpack(moments)) / scale
    assert error <= bound + 1e-14
    assert bound <= 1e-12


@pytest.mark.parametrize("n", [2, 3])
def test_the_quick_bound_of_the_electron_mixing_is_a_bound(n):
    decided = 0
    for seed in range(40):
        cell = random_cell(n, seed, directions=4, groups=3, potential=10.0 ** (seed % 5), strength=0.1)
        moments = np.random.default_rng(seed).normal(size=(2, n * n))
        medium = [cell[k] for k in ("potential", "beta", "strength", "shift", "n_flavors")]
        exact = electron_mixing_bound(moments, cell["velocity"], cell["vacuum"], *medium)
        extremes = vacuum_extremes(cell["vacuum"], n)
        quick = quick_mixing_bound(moments, cell["velocity"], extremes, *medium)
        assert min(quick, 1.0) >= min(exact, 1.0)
        decided += quick < 1.0
    assert decided > 10


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("potential", [0.5, 1e9])
def test_vector_moments_of_an_axisymmetric_gas_are_those_of_its_cosines(n, potential):
    """Four azimuths of each cosine with equal populations: D_1 points along the axis and is the scalar one."""
    cell = random_cell(n, seed=11, strength=0.05, potential=potential)
    cosine, azimuths = cell["velocity"][:, 0], np.pi / 2.0 * (np.arange(4) + 0.5)
    across = np.sqrt(1.0 - cosine**2)[:, None]
    velocity = np.stack(
        [np.repeat(cosine, 4), (across * np.cos(azimuths)).ravel(), (across * np.sin(azimuths)).ravel()], axis=1
    )
    zeroth = np.repeat(cell["weight"][0] / 4.0, 4)
    shift = np.zeros((4, n * n))
    shift[:2] = cell["shift"]
    gas = {
        **cell,
        "populations": np.repeat(cell["populations"], 4, axis=0),
        "velocity": velocity,
        "weight": np.stack([zeroth, *(zeroth * v for v in velocity.T)]),
        "beta": np.array([cell["beta"][0], 0.0, 0.0]),
        "shift": shift,
    }
    moments, vector = np.zeros((2, n * n)), np.zeros((4, n * n))
    assert batch_align(cell, moments)[0] == batch_align(gas, vector)[0]
    np.testing.assert_allclose(vector[:2], moments, atol=1e-11)
    np.testing.assert_allclose(vector[2:], 0.0, atol=1e-11)


def test_cells_may_share_one_set_of_directions():
    cell = random_cell(2, seed=12, strength=0.05, axes=3)
    other = {**cell, "populations": cell["populations"][::-1].copy()}
    alone = np.zeros((2, 4, 4))
    for moments, which in zip(alone, (cell, other), strict=True):
        assert batch_align(which, moments)[0] == CONVERGED
    together = np.zeros((2, 4, 4))
    values = {name: cell[name] for name in ARGUMENTS}
    values["populations"] = np.stack([cell["populations"], other["populations"]])
    for name in ("weight", "velocity"):
        values[name] = values[name][None]
    for name in ("beta", "shift"):
        values[name] = np.stack([values[name]] * 2)
    values["potential"] = np.full(2, values["potential"])
    status, iterations, residual = np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(2)
    align_batch(together, *values.values(), 1e-12, 50, True, status, iterations, residual)
    np.testing.assert_array_equal(together, alone)


# nu_e mixes little with equally populated heavy flavours

LEVELS = {"above": 2, "below": 0, "between": 1}


def mixing_cell(axes, angle=1e-4, seed=0, place="above", groups=3):
    """A cell whose nu_e level lies above, below or between the heavy ones, coupled to them by about angle * gap."""
    cell = random_cell(3, seed, directions=4, groups=groups, strength=0.05, potential=0.0, axes=axes)
    rng = np.random.default_rng(seed + 100)
    vacuum = cell["vacuum"] * angle
    vacuum[:, 0] = {"above": 6.0, "below": -6.0, "between": 0.0}[place]
    vacuum[:, 1], vacuum[:, 2] = (6.0, -6.0) if place == "between" else (1.0, -1.0)
    # antineutrinos have the vacuum term with the other sign: the potential makes both lie on the same side
    cell["vacuum"] = vacuum
    if place != "between":
        cell["vacuum"][:, 0] = 0.0
        cell["potential"] = 6.0 if place == "above" else -6.0
        cell["beta"] = 0.1 * np.ones(axes)
    cell["shift"] = angle * cell["shift"]
    p = cell["populations"]
    level = LEVELS[place]
    heavy = [k for k in range(3) if k != level]
    p[..., heavy[1]] = p[..., heavy[0]]
    p[..., level] = rng.uniform(0.0, 1.0, p.shape[:-1])
    return cell


def direct(cell, moments, tolerance=1e-13):
    orders = 1 + cell["velocity"].shape[1]
    x, trace = np.empty(8 * orders), np.empty(orders)
    to_coordinates(moments, 3, x)
    scale = number_sums(cell["populations"], cell["weight"], cell["number_weight"], 3, trace)
    arguments = [cell[name] for name in ARGUMENTS if name != "n_flavors"]
    work = np.empty((4 * orders, 4 * orders)), np.empty(4 * orders)
    solved, passes, error = dressed_3(x, scale, *arguments, tolerance, *work)
    out = np.zeros((orders, 9))
    from_coordinates(x, trace, 3, out)
    return solved, passes, error, out, scale


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("place", list(LEVELS))
@pytest.mark.parametrize("groups", [3, 8, 9])
def test_the_solution_is_that_of_eigenvectors(axes, place, groups):
    cell = mixing_cell(axes, place=place, groups=groups)
    solved, passes, error, found, scale = direct(cell, np.zeros((1 + axes, 9)))
    assert solved
    assert passes <= 4
    assert error <= 1e-13
    assert np.abs(dense_moments(cell, found) - found).max() < 2e-13 * scale
    # flavours do mix here
    assert np.abs(found[:, 3:]).max() > 1e-7 * scale


def test_what_is_left_out_is_of_fifth_order():
    """The residual of accepted solutions, at round-off up to the largest angle that is accepted."""
    accepted = []
    for angle in np.geomspace(1e-6, 1e-2, 17):
        cell = mixing_cell(1, angle=angle, seed=4)
        solved, _, _, found, scale = direct(cell, np.zeros((2, 9)), 1e-14)
        if solved:
            accepted.append(angle)
            assert np.abs(dense_moments(cell, found) - found).max() < 1e-14 * scale
    assert max(accepted) > 0.1 * DRESS_ANGLE
    assert max(accepted) < 30.0 * DRESS_ANGLE


def test_other_cells_are_refused_and_left_alone():
    rng = np.random.default_rng(2)
    guess = rng.normal(size=(2, 9))
    unequal = mixing_cell(1)
    unequal["populations"][1, 0, 1, 0] *= 0.9
    tilted = mixing_cell(1, angle=0.1)
    for cell in (unequal, tilted):
        solved, _, _, found, _ = direct(cell, guess)
        assert not solved
        np.testing.assert_allclose(found[:, 3:], guess[:, 3:], rtol=1e-14)


@pytest.mark.parametrize("axes", [1, 3])
def test_the_batch_takes_it_and_agrees_with_newton(axes):
    cell = mixing_cell(axes, seed=7)
    fast, slow = np.zeros((2, 1 + axes, 9))
    status, passes, residual = batch_align(cell, fast)
    assert (status, residual <= 1e-12) == (CONVERGED, True)
    assert passes <= 4
    assert batch_align(cell, slow, 1e-14, shortcut=False)[0] == CONVERGED
    np.testing.assert_allclose(fast, slow, rtol=0.0, atol=1e-12 * np.abs(slow).max())
