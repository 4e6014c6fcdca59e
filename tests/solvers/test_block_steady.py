"""Stationary states and implicit steps on block meshes: sweeps, diffusion, answers, ledger, failures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ConfigurationError, ConvergenceError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import TransportOptions
from misci_transport.physics.block_boundary import BlockBoundary
from misci_transport.plugin import Transport
from misci_transport.solvers.steady import SteadySolver
from misci_transport.sphere import SphereQuadrature
from misci_transport.verify.setup import Case, constant_rates

MIRRORS = (("reflecting", "inflow"), ("inflow", "reflecting"), ("inflow", "inflow"))


def case_of(kind, *, emission=0.1, scattering=0.0):
    """Matter with a fixed occupation, 0.4, and grey opacities in cells of size one."""
    if kind == "spherical":
        mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (5.0, np.pi, 2.0 * np.pi), (5, 4, 4), "spherical")
        angles, boundary = SphereQuadrature.product(4, 8), None
    elif kind == "shells":
        mesh = BlockMesh.from_edges(np.arange(7.0), geometry="spherical")
        angles, boundary = SphereQuadrature.product(4, 4), None
    else:
        mesh = BlockMesh.uniform((0.0,) * 3, (4.0, 5.0, 3.0), (4, 5, 3))
        angles = SphereQuadrature.lebedev(7)
        boundary = BlockBoundary(MIRRORS) if kind == "mirrors" else BlockBoundary()
    rates = constant_rates(mesh.size, 1, emission=emission, occupation=0.4, scattering=scattering)
    rates.scattering_1[:] = 0.2 * rates.scattering_0
    return Case(mesh, angles, rates=rates, boundary=boundary, second_order=False)


def solver_of(case, length=None, tolerance=1e-11):
    return SteadySolver(
        case.phase_space,
        case.decomposition,
        case.advection,
        case.collisions,
        case.mixing,
        relative_tolerance=tolerance,
        max_newton=20,
        max_krylov=200,
        length=length,
    )


def factored(case):
    """A solver whose preconditioner is ready, and its losses (cell, 1, species, group, level)."""
    solver = solver_of(case)
    solver._moments = case.state.moments
    solver._evaluate(case.state.owned)
    solver._factor()
    return solver, solver.collisions.level_loss(solver.frame)[:, None]


@pytest.mark.parametrize("kind", ["box", "mirrors", "shells"])
def test_a_sweep_inverts_upwind_transport(kind):
    case = case_of(kind)
    solver, loss = factored(case)
    upwind = tuple(np.ones_like(b) for b in solver.b)
    source = np.random.default_rng(1).normal(size=case.state.owned.shape)
    z, moved = solver.problem.solve(source), np.empty_like(source)
    solver.problem.advect_change(z, upwind, moved)
    np.testing.assert_allclose(moved + loss * z, source, rtol=0.0, atol=1e-12)


def test_sweeps_on_the_sphere_contract():
    """The ring of azimuths feeds back over the equator, so that one sweep is not all of it."""
    case = case_of("spherical")
    solver, loss = factored(case)
    upwind = tuple(np.ones_like(b) for b in solver.b)
    rest = np.random.default_rng(1).normal(size=case.state.owned.shape)
    moved, sizes = np.empty_like(rest), []
    for _ in range(12):
        sizes.append(np.abs(rest).max())
        z = solver.problem.solve(rest)
        solver.problem.advect_change(z, upwind, moved)
        rest = rest - moved - loss * z
    assert sizes[-1] < 1e-3 * sizes[0]


@pytest.mark.parametrize("kind", ["box", "mirrors", "spherical", "shells"])
def test_diffusion_is_a_projection_of_the_transport(kind):
    """Zeroth moment of the transport of J + 3 v . H, H by Fick; and V M is symmetric."""
    case = case_of(kind, scattering=3.0)
    solver, loss = factored(case)
    problem = solver.problem
    diffusion = problem.diffusion
    rng = np.random.default_rng(2)
    mean, other = rng.normal(size=(2, case.mesh.size, 6))
    image = diffusion.multiply(mean)
    field = np.concatenate([mean[:, None], diffusion._flux[: case.mesh.size]], axis=1)
    f = np.matmul(diffusion.basis[None], field).reshape(case.state.owned.shape)
    moved = np.empty_like(f)
    problem.advect_change(f, solver.b, moved)
    balance = np.einsum("m,cm...->c...", 0.5 * case.angles.weight, moved + loss * f).reshape(image.shape)
    np.testing.assert_allclose(image, balance, rtol=0.0, atol=1e-12 * np.abs(balance).max())
    volume = case.mesh.volume[:, None]
    one = (volume * other * image).sum(axis=0)
    np.testing.assert_allclose((volume * mean * diffusion.multiply(other)).sum(axis=0), one, rtol=1e-11)
    unit = np.zeros_like(mean)
    cell = case.mesh.size // 2
    unit[cell] = 1.0
    np.testing.assert_allclose(diffusion.multiply(unit)[cell], diffusion.diagonal[cell], rtol=1e-12)


@pytest.mark.parametrize(("kind", "depth"), [("box", 10.0), ("box", 100.0), ("mirrors", 30.0), ("spherical", 100.0)])
def test_thick_scattering_takes_few_iterations(kind, depth):
    """Matter that absorbs a thousandth of what it scatters; everything that it makes leaves through the ends."""
    case = case_of(kind, emission=1e-3 * depth, scattering=depth)
    solver = solver_of(case)
    report = solver.solve(case.state)
    assert report.converged
    assert report.krylov_iterations < 40
    made = np.empty_like(case.state.owned)
    case.collisions.rate(case.state.owned, solver.frame, made)
    total = case.mesh.volume @ (made @ np.ones(3)).sum(axis=(2, 3)) @ case.angles.weight
    leaving = -solver.problem.entering(case.state.owned, solver.b).sum()
    assert leaving == pytest.approx(total, rel=1e-8)


@pytest.mark.parametrize("kind", ["box", "mirrors"])
def test_stationary_state_is_that_of_the_march(kind):
    """Heun's method with face values of first order and implicit collisions ends where the solver begins."""
    case = case_of(kind, emission=0.3, scattering=0.5)
    case.steady()
    found = case.populations().copy()
    assert 0.05 < found.min() < found.max() < 0.4
    case.fill(np.zeros(found.shape[:2]))
    case.settle(0.5 * case.light_crossing(), 1e-12, 2000)
    np.testing.assert_allclose(case.populations(), found, rtol=0.0, atol=1e-10)


def test_in_the_middle_of_thick_matter_is_equilibrium():
    case = case_of("mirrors", emission=20.0)
    solver_of(case).solve(case.state)
    j = case.moments()[0].reshape(3, 5, 4)
    assert j[1, 4, 0] == pytest.approx(0.4, rel=1e-3)
    assert (case.populations() <= 0.4 + 1e-12).all()


def transport_of(kind="box", **sections):
    """A hot ball in a box with two or three flavours, thick inside and transparent and mixing outside."""
    if kind == "radial":
        mesh = RadialMesh.uniform(0.0, 4.0e6, 12, "spherical")
        angles = {"kind": "ordinates", "directions": 6}
        r, axes = mesh.center, ()
    else:
        mesh = BlockMesh.uniform((-1e7,) * 3, (1e7,) * 3, (4, 5, 3))
        angles = {"kind": "lebedev", "degree": 5}
        r, axes = np.linalg.norm(mesh.centers - 2e6, axis=1), (3,)
    given = {
        "angles": angles,
        "flavors": {"number": 2},
        "collisions": {"electron_scattering": False, "pair": False, "bremsstrahlung": False, "response": "off"},
        "energy": {"minimum": 4.0, "maximum": 40.0, "groups": 3},
        # upwind also in cells of moderate depth: a ball in so few cells makes negative occupations otherwise
        "advection": {"reconstruction": "constant", "diffusion_threshold": 50.0},
    }
    transport = Transport(mesh, TransportOptions.model_validate({**given, **sections}))
    density, temperature = 3e10 * np.exp(-r / 1.5e6) + 1e5, 5.0 * np.exp(-r / 8e6)
    return transport, Fluid(density, temperature, np.full(r.size, 0.3), np.zeros((r.size, *axes)))


@pytest.fixture(scope="module")
def settled():
    """The stationary state of the ball with two flavours."""
    transport, fluid = transport_of()
    return transport, fluid, transport.solve_steady(fluid)


def test_aligned_stationary_state_is_a_fixed_point_of_the_stepper(settled):
    source, fluid, report = settled
    assert report.converged
    assert report.krylov_iterations < 80
    summary = source.alignment_summary()
    assert summary["failed"] == 0
    assert 0 < summary["locked"] < fluid.size
    transport, _ = transport_of()
    transport.state.owned[:] = source.state.owned
    transport.state.moments[:] = source.state.moments
    for _ in range(3):
        sources = transport.step(fluid, transport.max_dt())
    ledger = transport.ledger()
    # what the solver leaves of heavy flavours, which nothing makes here
    tolerance = transport.options.steady.relative_tolerance
    assert abs(ledger["corrections energy"]) < tolerance * ledger["collisions energy"]
    np.testing.assert_allclose(transport.state.owned, source.state.owned, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(
        sources.energy, source.sources.energy, rtol=0.0, atol=1e-7 * np.abs(source.sources.energy).max()
    )


def test_implicit_steps_go_to_the_stationary_state(settled):
    """Steps of 40 crossings of a cell; the ledger of each closes to the tolerance of the solver."""
    answer, fluid, _ = settled
    transport, _ = transport_of()
    dt = 80.0 * transport.max_dt()
    volume = transport.phase_space.mesh.volume
    distance = []
    for _ in range(6):
        sources = transport.step_implicit(fluid, dt)
        distance.append(np.abs(transport.state.owned - answer.state.owned).max())
    assert transport.state.step == 6
    assert transport.state.time == pytest.approx(6.0 * dt)
    # by 1 + c dt (slowest rate) every step
    assert all(later < 0.5 * earlier for earlier, later in pairwise(distance))
    assert distance[-1] < 1e-4
    ledger = transport.ledger()
    for name in ("energy", "neutrinos", "antineutrinos"):
        held = transport.exchange.content(transport.state.owned.sum(axis=4))[name] @ volume
        gained = ledger[f"collisions {name}"] + ledger[f"inflow {name}"]
        assert held == pytest.approx(gained, rel=1e-7)
        assert ledger[f"inflow {name}"] < 0.0 < ledger[f"collisions {name}"]
    np.testing.assert_allclose(
        sources.energy, answer.sources.energy, rtol=0.0, atol=1e-3 * np.abs(answer.sources.energy).max()
    )


def test_short_implicit_steps_are_the_explicit_ones():
    """Both are consistent: the difference goes with the square of a single step."""
    differences = []
    for part in (0.1, 0.05):
        one, fluid = transport_of()
        other, _ = transport_of()
        dt = part * one.max_dt()
        one.step_implicit(fluid, dt)
        other.step(fluid, dt)
        differences.append(np.abs(one.state.owned - other.state.owned).max())
    assert differences[1] < 0.35 * differences[0]


def test_implicit_steps_on_a_radial_mesh():
    answer, fluid = transport_of("radial")
    answer.solve_steady(fluid)
    transport, _ = transport_of("radial")
    for _ in range(8):
        transport.step_implicit(fluid, 100.0 * transport.max_dt())
    np.testing.assert_allclose(transport.state.owned, answer.state.owned, rtol=0.0, atol=1e-6)
    ledger = transport.ledger()
    solid = transport.domain.whole
    held = transport.exchange.content(transport.state.owned.sum(axis=4))["energy"] @ transport.phase_space.mesh.volume
    assert solid * held == pytest.approx(ledger["collisions energy"] + ledger["inflow energy"], rel=1e-7)


def test_a_step_that_fails_leaves_the_state():
    transport, fluid = transport_of(steady={"max_newton": 1, "relative_tolerance": 1e-13})
    transport.step(fluid, transport.max_dt())
    populations, moments = transport.state.owned.copy(), transport.state.moments.copy()
    with pytest.raises(ConvergenceError, match=r"implicit step: SNES ended with DIVERGED_MAX_IT \(KSP: "):
        transport.step_implicit(fluid, 1e3 * transport.max_dt())
    np.testing.assert_array_equal(transport.state.owned, populations)
    np.testing.assert_array_equal(transport.state.moments, moments)
    assert transport.state.step == 1
    with pytest.raises(UnphysicalInputError, match="time step is nan s"):
        transport.step_implicit(fluid, float("nan"))
    # and another one may go on
    transport.step(fluid, transport.max_dt())


def test_implicit_steps_hold_no_charges():
    transport, fluid = transport_of("radial", alignment={"charges": "mass"})
    with pytest.raises(ConfigurationError, match=r"implicit steps: accepted with alignment\.charges"):
        transport.step_implicit(fluid, 1e-6)
