"""Direct radial solves: exact for transport with loss and isoenergetic scattering of one level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from misci_transport.constants import SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.grid import RadialMesh
from misci_transport.physics.boundary import Boundary
from misci_transport.physics.frame import Metric
from misci_transport.quadrature import AngularGrid
from misci_transport.solvers.radial_preconditioner import RadialPreconditioner
from misci_transport.verify.setup import Case, constant_rates

CELLS = 9


def problem(geometry, kind, groups=2):
    mesh = RadialMesh(np.cumsum(np.concatenate([[0.0], np.geomspace(0.3, 3.0, CELLS)])), geometry)
    if kind == "hybrid":
        grid = AngularGrid.hybrid(mesh, 4.0, inward=4, grazing=2, forward=4, opening_cosine=0.3)
    else:
        grid = AngularGrid.ordinates(mesh, 6)
    rng = np.random.default_rng(1)
    rates = constant_rates(CELLS, groups)
    rates.absorption[:] = rng.uniform(0.0, 3.0, rates.absorption.shape)
    rates.scattering_0[:] = rng.uniform(0.0, 9.0, rates.scattering_0.shape)
    rates.scattering_1[:] = 0.2 * rates.scattering_0
    # a mirror would couple opposite directions, which the solves leave out (the centre of a star has no area)
    boundary = Boundary("inflow" if geometry == "plane" else "reflecting", "inflow")
    return Case(mesh, grid, energy=EnergyGrid.logarithmic(5.0, 20.0, groups), rates=rates, boundary=boundary)


KINDS = [("spherical", "ordinates"), ("spherical", "hybrid"), ("plane", "")]


@pytest.mark.parametrize(("geometry", "kind"), KINDS)
def test_inverse_of_transport_with_loss_and_scattering(geometry, kind):
    """V (v . grad f - C f) = source, with what the advection and the collision operator compute."""
    check_inverse(problem(geometry, kind))


@pytest.mark.parametrize(("geometry", "kind"), KINDS)
def test_inverse_with_moving_matter(geometry, kind):
    """The same with matter in motion, but for the shifts of energy."""
    case = problem(geometry, kind, groups=4)
    velocity = 0.2 * SPEED_OF_LIGHT * np.sin(np.arange(CELLS) ** 1.3)
    case.advection.follow_matter(velocity, Metric.flat(case.mesh))
    at = case.advection.frame.at
    case.advection.frame.at = replace(at, stretch=np.zeros_like(at.stretch))
    check_inverse(case)


def check_inverse(case):
    preconditioner = RadialPreconditioner(case.phase_space, case.decomposition, case.advection.moving)
    a = case.advection
    b = a.upwind_fraction(case.collisions.transport_opacity(case.frame))
    f = np.zeros_like(case.state.owned)
    moving, colliding = np.empty_like(f), np.empty_like(f)
    case.collisions.rate(f, case.frame, colliding)
    loss = case.collisions.level_loss(case.frame)
    s0, s1 = (np.broadcast_to(x[..., None], loss.shape) for x in (case.rates.scattering_0, case.rates.scattering_1))
    preconditioner.update(b, *(np.ascontiguousarray(x).reshape(CELLS, -1) for x in (loss + s0, s0, s1)))
    f[:] = np.random.default_rng(2).uniform(size=f.shape)
    case.state.owned[:] = f
    a.fill_ghosts(case.state.populations)
    a.rate(case.state.populations, b, moving, second_order=False, fix_up=False)
    case.collisions.rate(f, case.frame, colliding)
    source = (-moving - colliding) * a.volume[:, :, None, None, None]
    flat = (CELLS, case.angles.size, 2 * case.energy.size * 3)
    found = preconditioner.solve(np.ascontiguousarray(source).reshape(flat)).reshape(f.shape)
    np.testing.assert_allclose(found, f, rtol=0.0, atol=1e-10)


def test_every_entry_has_one_rank():
    case = problem("plane", "")
    preconditioner = RadialPreconditioner(case.phase_space, case.decomposition)
    covered = np.concatenate([np.arange(12)[share] for share in preconditioner.shares])
    assert covered.tolist() == list(range(12))
    assert preconditioner.inverse.shape == (12, CELLS, 6, 6)
