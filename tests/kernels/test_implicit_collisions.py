from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from misci_transport.grid import RadialMesh
from misci_transport.kernels.implicit_collisions import implicit_cell
from misci_transport.kernels.plain_mixed import plain_mixed_update, plain_mixed_update_2
from misci_transport.quadrature import AngularGrid

_spec = importlib.util.spec_from_file_location("collision_cases", Path(__file__).with_name("test_collisions.py"))
assert _spec is not None
assert _spec.loader is not None
_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cases)
DIRECTIONS, LOCKED, RATIO, WEIGHT, W, X = (
    getattr(_cases, name) for name in ("DIRECTIONS", "LOCKED", "RATIO", "WEIGHT", "W", "X")
)
cell, rng, locked, mixed = _cases.cell, _cases.rng, _cases.locked, _cases.mixed

STILL = np.zeros(DIRECTIONS + 1)


def solve(c, h, *, is_mixed=False, gamma=STILL, diamond=None, volume=None, weights=(W, W * X), guess=None):
    f = np.array(c["f"] if guess is None else guess)
    iterations, fixed = implicit_cell(
        c["f"],
        *weights,
        weights[1] / weights[0],
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
def test_the_solution_solves_the_equation(cell, h, coupled, is_mixed):
    if not coupled:
        cell["kind"] = cell["kind"][:0]
    f, _ = solve(cell, h, is_mixed=is_mixed)
    change = (mixed if is_mixed else locked)(cell, f)[0]
    np.testing.assert_allclose(f, cell["f"] + h * change, rtol=1e-11, atol=1e-12 * (1.0 + h))


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


def test_two_flavors_written_out_are_the_general_formula(rng):
    directions, groups = 4, 3
    start = rng.random((directions, 2, groups, 3))
    cosine = np.linspace(-0.9, 0.8, directions)
    weight = rng.random(directions)
    rates = rng.random((2, 2, 3, groups))
    scattering = rng.random((2, 2, groups))
    projector = np.zeros((directions, 2, groups, 3, 5))
    projector[..., 2, 2] = 1.0
    angle, phase = rng.uniform(0.0, 3.0, (2, directions, 2, groups))
    for level, (ee, sign) in enumerate(((np.cos(angle) ** 2, 1.0), (np.sin(angle) ** 2, -1.0))):
        projector[..., level, 0], projector[..., level, 1] = ee, 1.0 - ee
        projector[..., level, 3] = sign * np.sin(2.0 * angle) * np.cos(phase)
        projector[..., level, 4] = sign * np.sin(2.0 * angle) * np.sin(phase)
    given = rng.random((2, 2, groups, 5))
    results = []
    for update in (plain_mixed_update, plain_mixed_update_2):
        moments, f = given.copy(), np.empty_like(start)
        update(start, weight, weight * cosine, cosine, 0.4, *rates, *scattering, projector, moments, f)
        results.append((f, moments))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)
