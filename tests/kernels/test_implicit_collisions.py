from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from misci_transport.grid import RadialMesh
from misci_transport.kernels.implicit_collisions import implicit_cell, implicit_cells
from misci_transport.kernels.plain_mixed import plain_mixed_update, plain_mixed_update_2, plain_mixed_update_2_axes
from misci_transport.quadrature import AngularGrid

_spec = importlib.util.spec_from_file_location("collision_cases", Path(__file__).with_name("test_collisions.py"))
assert _spec is not None
assert _spec.loader is not None
_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cases)
DIRECTIONS, GROUPS, LOCKED, RATIO, WEIGHT, W, X, BOTH, ALONG = (
    getattr(_cases, name) for name in ("DIRECTIONS", "GROUPS", "LOCKED", "RATIO", "WEIGHT", "W", "X", "BOTH", "ALONG")
)
cell, rng, locked, mixed = _cases.cell, _cases.rng, _cases.locked, _cases.mixed
sphere, on_sphere, scattered_directions = _cases.sphere, _cases.on_sphere, _cases.scattered_directions

STILL = np.zeros(DIRECTIONS + 1)


def solve(c, h, *, is_mixed=False, gamma=STILL, diamond=None, volume=None, weights=None, guess=None):
    f = np.array(c["f"] if guess is None else guess)
    weight, velocity = c.get("weight", BOTH), c.get("velocity", ALONG)
    if weights is not None:
        weight, velocity = np.stack(weights), (weights[1] / weights[0])[:, None]
    iterations, fixed = implicit_cell(
        c["f"],
        weight,
        velocity,
        h,
        c["emissivity"],
        c["absorption"],
        c["s0"],
        c["s1"],
        c["kind"],
        c["amplitude"],
        c["kernels"],
        RATIO,
        LOCKED,
        is_mixed,
        c["projector"] if is_mixed else np.zeros((1, 1, 1, 1, 3)),
        gamma,
        np.full(DIRECTIONS, 0.5) if diamond is None else diamond,
        np.ones(DIRECTIONS) if volume is None else volume,
        1.0e-13,
        500,
        f,
    )
    assert iterations > 0
    return f, fixed


@pytest.mark.parametrize("h", [1e-3, 0.1, 3.0])
@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("is_mixed", [False, True])
@pytest.mark.parametrize("directions", ["one axis", "product", "uneven"])
def test_the_solution_solves_the_equation(cell, rng, h, coupled, is_mixed, directions):
    if directions != "one axis":
        on_sphere(cell, rng, scattered_directions(rng, 9) if directions == "uneven" else None)
    if not coupled:
        cell["kind"] = cell["kind"][:0]
    f, _ = solve(cell, h, is_mixed=is_mixed)
    change = (mixed if is_mixed else locked)(cell, f)[0]
    np.testing.assert_allclose(f, cell["f"] + h * change, rtol=1e-11, atol=1e-12 * (1.0 + h))


@pytest.mark.parametrize("h", [0.1, 3.0, 1e5])
@pytest.mark.parametrize("uneven", [False, True])
def test_three_axes_against_a_dense_solution(cell, rng, h, uneven):
    """Emission, absorption and isoenergetic scattering of each entry as one system for its directions."""
    cell["kind"] = cell["kind"][:0]
    on_sphere(cell, rng, scattered_directions(rng, 9) if uneven else sphere(4, 6))
    weight, velocity = cell["weight"], cell["velocity"]
    f, fixed = solve(cell, h, gamma=np.empty(0))
    assert fixed == 0
    for s in range(2):
        for g in range(GROUPS):
            for k in range(3):
                j, a = (cell[name][s, LOCKED[s, k], g] for name in ("emissivity", "absorption"))
                into = cell["s0"][s, g] + 3.0 * cell["s1"][s, g] * velocity @ velocity.T
                matrix = (1.0 + h * (j + a + cell["s0"][s, g])) * np.eye(len(velocity)) - h * into * 0.5 * weight[0]
                expected = np.linalg.solve(matrix, cell["f"][:, s, g, k] + h * j)
                np.testing.assert_allclose(f[:, s, g, k], expected, rtol=1e-10)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("is_mixed", [False, True])
def test_axisymmetric_state_on_the_sphere_is_that_of_one_axis(cell, coupled, is_mixed):
    if not coupled:
        cell["kind"] = cell["kind"][:0]
    one, _ = solve(cell, 0.7, is_mixed=is_mixed)
    cell["weight"], cell["velocity"] = sphere(DIRECTIONS, 5)
    for name in ("f", "projector"):
        cell[name] = np.repeat(cell[name], 5, axis=0)
    many, _ = solve(cell, 0.7, is_mixed=is_mixed, gamma=np.empty(0))
    np.testing.assert_allclose(many, np.repeat(one, 5, axis=0), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("h", [0.1, 1e3])
@pytest.mark.parametrize("uneven", [False, True])
def test_isoenergetic_scattering_conserves_numbers_to_round_off(cell, rng, h, uneven):
    cell["kind"] = cell["kind"][:0]
    cell["emissivity"][:] = cell["absorption"][:] = 0.0
    weight, velocity = scattered_directions(rng, 15)
    # every direction and its opposite: no mean flux, which would scatter into a number
    pairs = np.tile(0.5 * weight, 2) * np.repeat([[1.0, 1.0], *[[1.0, -1.0]] * 3], 15, axis=1)
    on_sphere(cell, rng, (pairs, np.concatenate([velocity, -velocity])) if uneven else sphere(8, 16))
    f, _ = solve(cell, h)
    before, after = (np.einsum("m,msgk->sgk", cell["weight"][0], x) for x in (cell["f"], f))
    np.testing.assert_allclose(after, before, rtol=1e-15 * (1.0 + h) + 4e-15)


@pytest.mark.parametrize("is_mixed", [False, True])
@pytest.mark.parametrize("uneven", [False, True])
def test_equilibrium_stays(cell, rng, is_mixed, uneven):
    """The same occupation j/(j + 1/lambda) of all flavours in all directions."""
    cell["kind"] = cell["kind"][:0]
    cell["emissivity"][:] = 0.25 * cell["absorption"]
    on_sphere(cell, rng, None if not uneven else scattered_directions(rng, 12))
    if uneven:
        cell["s1"][:] = 0.0  # the directions have a mean flux
    cell["f"][:] = 0.2
    for h in (0.05, 5.0):
        f, _ = solve(cell, h, is_mixed=is_mixed)
        np.testing.assert_allclose(f, 0.2, rtol=1e-11)


def test_other_numbers_of_axes(cell, rng):
    """Two axes: directions in a plane, whose populations scatter as the projection of the sphere would."""
    cell["kind"] = cell["kind"][:0]
    weight, velocity = scattered_directions(rng, 7)
    on_sphere(cell, rng, (np.ascontiguousarray(weight[:3]), np.ascontiguousarray(velocity[:, :2])))
    f, _ = solve(cell, 0.8)
    np.testing.assert_allclose(f, cell["f"] + 0.8 * locked(cell, f)[0], rtol=1e-11)


def test_empty_redistribution_is_none_with_one_axis_too(cell):
    cell["kind"] = cell["kind"][:0]
    np.testing.assert_array_equal(solve(cell, 0.7)[0], solve(cell, 0.7, gamma=np.empty(0))[0])


def test_cells_may_share_their_directions(cell, rng):
    on_sphere(cell, rng)
    shape = cell["f"].shape
    start = rng.uniform(0.1, 0.6, (3, *shape))
    mixed_row, projector = np.array([-1, 0, -1]), cell["projector"][None]
    results = []
    for rows in (1, 3):
        f = start.copy()
        counts = np.zeros((2, 3), dtype=np.int64)
        implicit_cells(
            start,
            np.repeat(cell["weight"][None], rows, axis=0),
            np.repeat(cell["velocity"][None], rows, axis=0),
            0.4,
            *(np.repeat(cell[name][None], 3, axis=0) for name in ("emissivity", "absorption", "s0", "s1")),
            cell["kind"],
            cell["amplitude"],
            np.repeat(cell["kernels"][:, None], 3, axis=1),
            RATIO,
            np.repeat(LOCKED[None], 3, axis=0),
            mixed_row,
            projector,
            np.empty((1, 0)),
            np.empty(0),
            np.empty((1, 0)),
            1.0e-13,
            500,
            f,
            *counts,
        )
        assert (counts[0] > 0).all()
        assert (counts[1] == 1).all()
        results.append(f)
    np.testing.assert_array_equal(*results)
    for i in range(3):
        cell["f"] = start[i]
        change = (mixed if i == 1 else locked)(cell, results[0][i])[0]
        np.testing.assert_allclose(results[0][i], start[i] + 0.4 * change, rtol=1e-11, atol=1e-12)


def test_emission_and_absorption_alone_have_a_closed_form(cell):
    cell["kind"] = cell["kind"][:0]
    cell["s0"][:] = cell["s1"][:] = 0.0
    for h in (0.1, 10.0, 1e8):
        f, _ = solve(cell, h)
        j = cell["emissivity"][np.arange(2)[:, None], LOCKED].transpose(0, 2, 1)
        a = cell["absorption"][np.arange(2)[:, None], LOCKED].transpose(0, 2, 1)
        np.testing.assert_allclose(f, (cell["f"] + h * j) / (1.0 + h * (j + a)), rtol=1e-13)


def test_strong_isoenergetic_scattering_keeps_the_mean_only(cell):
    cell["kind"] = cell["kind"][:0]
    cell["emissivity"][:] = cell["absorption"][:] = 0.0
    f, _ = solve(cell, 1e5)
    mean = np.einsum("m,msgk->sgk", W, cell["f"]) / 2.0
    np.testing.assert_allclose(f, np.broadcast_to(mean, f.shape), rtol=1e-4)
    np.testing.assert_allclose(np.einsum("m,msgk->sgk", W, f) / 2.0, mean, rtol=1e-9)


def test_coupling_conserves_number_to_the_tolerance(cell):
    cell["emissivity"][:] = cell["absorption"][:] = 0.0
    cell["kernels"] = cell["kernels"] * (np.arange(2) == 0)[:, None, None, None, None]
    f, _ = solve(cell, 2.0)
    number = np.einsum("m,g,msgk->s", W, WEIGHT, f - cell["f"])
    np.testing.assert_allclose(number, 0.0, atol=1e-10)


@pytest.fixture
def centre():
    return AngularGrid.ordinates(RadialMesh(np.array([0.0, 1.0])), DIRECTIONS)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("is_mixed", [False, True])
def test_implicit_redistribution_at_the_centre(cell, centre, coupled, is_mixed):
    """A uniform isotropic field that enters and turns at once stays; number changes by the collisions alone."""
    if not coupled:
        cell["kind"] = cell["kind"][:0]
    weights = centre.weight_0[0], centre.weight_1[0]
    arguments = {
        "is_mixed": is_mixed,
        "gamma": centre.redistribution[0],
        "diamond": centre.diamond,
        "volume": centre.volume[0],
        "weights": weights,
    }
    still, _ = solve(cell, 0.5, weights=weights, is_mixed=is_mixed)
    turned, _ = solve(cell, 0.5, **arguments)
    assert np.abs(turned - still).max() > 1e-3
    cell["emissivity"][:] = cell["absorption"][:] = 0.0
    cell["s0"][:] = cell["s1"][:] = 0.0
    cell["kind"] = cell["kind"][:0]
    radial = -np.diff(centre.face_area, axis=0)[0] / centre.volume[0]
    h = 4.0
    cell["f"][:] = 0.3 * (1.0 + h * radial)[:, None, None, None]
    f, fixed = solve(cell, h, **arguments)
    np.testing.assert_allclose(f, 0.3, rtol=1e-12)
    assert fixed == 0


def test_negative_spectra_take_upwind_values(cell, centre):
    cell["kind"] = cell["kind"][:0]
    cell["s0"][:] = cell["s1"][:] = 0.0
    cell["emissivity"][:] = 0.0
    cell["absorption"][:] = 0.0
    cell["f"][:] = 0.0
    cell["f"][1] = 1.0
    weights = centre.weight_0[0], centre.weight_1[0]
    for is_mixed in (False, True):
        f, fixed = solve(
            cell,
            0.05,
            is_mixed=is_mixed,
            gamma=centre.redistribution[0],
            diamond=centre.diamond,
            volume=centre.volume[0],
            weights=weights,
        )
        assert f.min() >= 0.0
        assert fixed > 0
        np.testing.assert_allclose(np.einsum("m,msgk->sgk", weights[0], f), weights[0][1], rtol=1e-12)


@pytest.mark.parametrize("axes", [1, 3])
def test_two_flavors_written_out_are_the_general_formula(rng, axes):
    directions, groups = 4, 3
    start = rng.random((directions, 2, groups, 3))
    if axes == 1:
        cosine = np.linspace(-0.9, 0.8, directions)
        weight, velocity = rng.random(directions) * np.stack([np.ones(directions), cosine]), cosine[:, None]
    else:
        weight, velocity = scattered_directions(rng, directions)
    rates = rng.random((2, 2, 3, groups))
    scattering = rng.random((2, 2, groups))
    projector = np.zeros((directions, 2, groups, 3, 5))
    projector[..., 2, 2] = 1.0
    angle, phase = rng.uniform(0.0, 3.0, (2, directions, 2, groups))
    for level, (ee, sign) in enumerate(((np.cos(angle) ** 2, 1.0), (np.sin(angle) ** 2, -1.0))):
        projector[..., level, 0], projector[..., level, 1] = ee, 1.0 - ee
        projector[..., level, 3] = sign * np.sin(2.0 * angle) * np.cos(phase)
        projector[..., level, 4] = sign * np.sin(2.0 * angle) * np.sin(phase)
    given = rng.random((2, 1 + axes, groups, 5))
    results = []
    for update in (plain_mixed_update, plain_mixed_update_2_axes, plain_mixed_update_2)[: 3 if axes == 1 else 2]:
        moments, f = given.copy(), np.empty_like(start)
        update(start, weight, velocity, 0.4, *rates, *scattering, projector, moments, f)
        results.append((f, moments))
    for written_out in results[1:]:
        for one, other in zip(results[0], written_out, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)
