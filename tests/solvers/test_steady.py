"""The stationary solve: its Jacobian, its answers, its failures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import TransportOptions
from misci_transport.physics.boundary import Boundary
from misci_transport.plugin import Transport
from misci_transport.quadrature import AngularGrid
from misci_transport.solvers.steady import SteadySolver
from misci_transport.verify.setup import Case, constant_rates

OUTER = 3.0e10  #: cm; beyond both resonances of the small star


def solver_of(transport):
    """The solver that the transport uses, at the transport's present state."""
    steady = transport.options.steady
    return SteadySolver(
        transport.phase_space,
        transport.decomposition,
        transport.advection,
        transport._collisions,
        transport.mixing,
        relative_tolerance=steady.relative_tolerance,
        max_newton=steady.max_newton,
        max_krylov=steady.max_krylov,
        petsc_options=transport.options.petsc,
    )


@pytest.fixture(scope="module")
def solved(small_star):
    """Solutions by name, each computed once."""
    known = {}

    def get(name="three", outer=OUTER, **sections):
        if name not in known:
            transport, fluid = small_star.transport(36, outer, **sections)
            report = transport.solve_steady(fluid)
            known[name] = transport, fluid, report, small_star.fields(transport)
        return known[name]

    return get


def prepared(transport):
    """A solver around the transport's solution, ready for ``multiply`` and ``precondition``."""
    solver = solver_of(transport)
    state = transport.state
    solver._moments = state.moments.copy()
    solver._prepare(state.owned)
    solver._evaluate(state.owned)
    solver._point = state.owned.copy()
    solver._factor()
    return solver


def test_jacobian_is_the_derivative_of_the_residual(solved):
    """At fixed eigenvectors and face weights: without mixing both are fixed anyway."""
    transport, *_ = solved("unmixed", flavors={"mixing": False})
    solver = prepared(transport)
    rng = np.random.default_rng(1)
    f = transport.state.owned.copy()
    v = rng.normal(size=f.shape) * (np.abs(f) + 1e-3)
    product = solver.multiply(v.ravel()).reshape(f.shape).copy()

    def residual(populations):
        solver._evaluate(populations)
        return (solver._moving - solver._colliding) * solver.scale

    step = 1e-3
    difference = (residual(f + step * v) - residual(f - step * v)) / (2.0 * step)
    scale = np.abs(difference).max(axis=(1, 2, 3, 4), keepdims=True)
    np.testing.assert_allclose(product / scale, difference / scale, rtol=0.0, atol=1e-9)


def test_jacobian_with_mixing_at_fixed_eigenvectors(solved):
    transport, *_ = solved()
    solver = prepared(transport)
    rng = np.random.default_rng(2)
    f = transport.state.owned.copy()
    v = rng.normal(size=f.shape) * (np.abs(f) + 1e-3)
    product = solver.multiply(v.ravel()).reshape(f.shape).copy()
    frame, b = solver.frame, solver.b
    assert frame.mixed_cells.size > 5

    def residual(populations):
        solver.collisions.rate(np.ascontiguousarray(populations), frame, solver._colliding)
        solver.problem.load(populations)
        solver.advection.rate(solver.problem.ghosted, b, solver._moving, second_order=False, fix_up=False)
        return (-solver._moving - solver._colliding) * solver.scale

    step = 1e-3
    difference = (residual(f + step * v) - residual(f - step * v)) / (2.0 * step)
    scale = np.abs(difference).max(axis=(1, 2, 3, 4), keepdims=True)
    np.testing.assert_allclose(product / scale, difference / scale, rtol=0.0, atol=1e-9)


def test_answer_does_not_depend_on_the_coarse_correction(small_star, monkeypatch):
    transport, _ = small_star.transport(36, OUTER, flavors={"mixing": False})
    # a denser star takes thousands of iterations without it
    fluid = small_star.fluid(transport.phase_space.mesh)
    fluid.mass_density *= 3e-3
    report = transport.solve_steady(fluid)
    with monkeypatch.context() as patch:
        patch.setattr("misci_transport.solvers.coarse_correction.CoarseCorrection.update", lambda *_: None)
        other, _ = small_star.transport(36, OUTER, flavors={"mixing": False})
        plain = other.solve_steady(fluid)
    np.testing.assert_allclose(other.state.owned, transport.state.owned, rtol=0.0, atol=1e-8)
    one, two = (small_star.fields(x)["radiation/luminosity"] for x in (transport, other))
    np.testing.assert_allclose(one, two, rtol=0.0, atol=1e-7 * np.abs(one).max())
    assert plain.krylov_iterations > report.krylov_iterations


def balanced(flavors, geometry="spherical"):
    """Smooth warm matter on even cells, where occupations stay positive by themselves."""
    mesh = RadialMesh.uniform(0.0, 4.0e6, 16, geometry)
    x = mesh.center / mesh.face[-1]
    one = np.ones(16)
    fluid = Fluid(1e11 * (1.0 - 0.5 * x), 5.0 * one - x, 0.2 * one, 0.0 * one)
    options = TransportOptions(
        angles={"kind": "ordinates", "directions": 8},
        energy={"minimum": 3.0, "maximum": 30.0, "groups": 4},
        advection={"reconstruction": "constant"},
        flavors=flavors,
        # the matter of a stationary state does not answer
        collisions={"response": "off"},
    )
    return Transport(mesh, options), fluid


@pytest.mark.parametrize("flavors", [{"mixing": False}, {"number": 2}, {"number": 3}])
def test_stationary_state_is_a_fixed_point_of_the_stepper(flavors):
    """n + h A n = n - h C(n), of which backward Euler makes n again: no splitting error is left.

    With reconstruction = "constant", as the solve has it, and where no occupation is mended.
    """
    transport, fluid = balanced(flavors)
    transport.solve_steady(fluid)
    before, steady = transport.state.owned.copy(), transport.sources
    assert before.min() >= 0.0
    for _ in range(5):
        sources = transport.step(fluid, transport.max_dt())
    ledger = transport.ledger()
    assert ledger["count negative"] == ledger["count above one"] == 0.0
    assert ledger["count angular fix-ups"] == 0.0
    np.testing.assert_allclose(transport.state.owned, before, rtol=0.0, atol=1e-11)
    for name in ("energy", "lepton_number", "momentum"):
        one, other = getattr(sources, name), getattr(steady, name)
        np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-7 * np.abs(other).max())
    # what is emitted leaves through the surface
    emitted = -ledger["collisions energy"]
    assert abs(ledger["inflow energy"] - emitted) < 1e-8 * abs(emitted)


def test_time_steps_approach_the_stationary_state():
    transport, fluid = balanced({"number": 3})
    transport.solve_steady(fluid)
    answer = transport.state.owned.copy()
    stepped, _ = balanced({"number": 3})
    distance = []
    for _ in range(3):
        for _ in range(100):
            stepped.step(fluid, stepped.max_dt())
        distance.append(np.abs(stepped.state.owned - answer).max())
    assert distance[0] > 1e-2
    assert all(later < 0.2 * earlier for earlier, later in pairwise(distance))


def test_without_mixing_the_flavors_of_the_locked_core_are_the_same(solved):
    """Mixing begins far outside: what leaves the locked core is what leaves the star without mixing."""
    transport, *_, mixed = solved()
    *_, unmixed = solved("unmixed", flavors={"mixing": False})
    locked = int(np.argmin(transport.mixing.locked))
    assert 8 < locked < 30
    assert not transport.mixing.locked[-5:].any()
    one, other = mixed["radiation/luminosity"][1:locked], unmixed["radiation/luminosity"][1:locked]
    # what comes back in from outside is of another flavour, but hardly anything does
    np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-5 * np.abs(other).max())
    # and all flavours together keep their energy, but for what thin matter absorbs of one and not of another
    one, other = (x["radiation/luminosity"].sum(axis=(1, 2)) for x in (mixed, unmixed))
    np.testing.assert_allclose(one, other, rtol=1e-4)
    # outside they do mix
    assert mixed["radiation/luminosity"][-1, 0, 0] < 0.7 * unmixed["radiation/luminosity"][-1, 0, 0]


def test_two_flavors_are_three_of_which_one_does_not_mix(solved):
    """theta_12 = theta_23 = 0 leaves e and the third flavour mixing by theta_13, as two flavours do."""
    angles = {"theta13": 0.15, "delta_cp": 0.0}
    _, _, _, three = solved("decoupled", flavors={"number": 3, "theta12": 0.0, "theta23": 0.0, **angles})
    _, _, _, two = solved("two", flavors={"number": 2, **angles})
    one, other = three["radiation/luminosity"], two["radiation/luminosity"]
    size = np.abs(other[-1]).max()
    np.testing.assert_allclose(one[-1, :, 0], other[-1, :, 0], rtol=0.0, atol=1e-5 * size)
    np.testing.assert_allclose(one[-1].sum(axis=-1), other[-1].sum(axis=-1), rtol=0.0, atol=1e-8 * size)
    # the heavy flavours: one mixes, one does not, whatever their names
    np.testing.assert_allclose(np.sort(one[-1, :, 1:]), np.sort(other[-1, :, 1:]), rtol=0.0, atol=1e-5 * size)


def test_alignment_by_petsc_gives_the_same_star(solved):
    _, _, _, local = solved("small", 3e9)
    transport, _, report, petsc = solved("petsc", 3e9, alignment={"solver": "petsc"})
    assert report.converged
    assert not transport.mixing.locked[-3:].any()
    size = np.abs(local["radiation/luminosity"]).max()
    np.testing.assert_allclose(petsc["radiation/luminosity"], local["radiation/luminosity"], atol=1e-8 * size)
    np.testing.assert_allclose(petsc["mixing/electron_content"], local["mixing/electron_content"], atol=1e-7)


def test_a_star_without_sources_is_empty(small_star):
    transport, fluid = small_star.transport(collisions={"source": "none"})
    transport.state.owned[:] = 0.3
    report = transport.solve_steady(fluid)
    assert report.converged
    assert "empty" in report.reason
    assert report.newton_iterations == 0
    assert not transport.state.owned.any()
    assert not transport.state.moments.any()
    assert not transport.sources.energy.any()
    assert not small_star.fields(transport)["radiation/luminosity"].any()


def test_scattering_matter_with_inflow_is_not_empty():
    """No emission, but something enters: the solution is what comes in, scattered."""
    mesh = RadialMesh.uniform(0.0, 10.0, 10, "plane")
    grid = AngularGrid.ordinates(mesh, 4)
    entering = np.zeros((4, 2, 1, 3))
    entering[2:] = 0.5
    case = Case(
        mesh, grid, rates=constant_rates(10, 1, scattering=0.3), boundary=Boundary("inflow", "reflecting", entering)
    )
    report = case.steady(1e-12)
    assert report.converged
    np.testing.assert_allclose(case.populations(), 0.5, rtol=1e-9)


def test_too_few_iterations_are_an_error_with_a_diagnosis(small_star):
    transport, fluid = small_star.transport(steady={"max_newton": 1})
    with pytest.raises(
        ConvergenceError,
        match=r"SNES ended with DIVERGED_MAX_IT \(KSP: CONVERGED_\w+\) after 1 Newton and \d+ Krylov .*residual \S+ of",
    ):
        transport.solve_steady(fluid)
    transport, fluid = small_star.transport(steady={"max_krylov": 1, "relative_tolerance": 1e-14})
    with pytest.raises(ConvergenceError, match=r"SNES ended with DIVERGED_LINEAR_SOLVE \(KSP: DIVERGED_\w+\)"):
        transport.solve_steady(fluid)


def test_an_alignment_that_fails_inside_the_solve_names_its_cells(small_star):
    transport, fluid = small_star.transport(36, OUTER, alignment={"max_iterations": 1})
    with pytest.raises(ConvergenceError, match=r"alignment has no solution in \d+ of 36 cells \(cell \d+: "):
        transport.solve_steady(fluid)


def test_petsc_options_take_effect(small_star):
    transport, fluid = small_star.transport(petsc={"misci_steady_snes_max_it": 1})
    with pytest.raises(ConvergenceError, match="DIVERGED_MAX_IT"):
        transport.solve_steady(fluid)
    # and are gone with their transport: another one in this process has its own
    transport, fluid = small_star.transport(petsc={"misci_steady_snes_max_it": 20, "misci_steady_ksp_type": "gmres"})
    assert transport.solve_steady(fluid).converged
    transport, fluid = small_star.transport()
    assert transport.solve_steady(fluid).converged


def test_mistyped_petsc_options_are_refused(small_star):
    transport, fluid = small_star.transport(petsc={"misci_steady_snes_maxit": 3, "misci_steady_ksp_rtol": 1e-2})
    with pytest.raises(ConfigurationError, match="PETSc options misci_steady_snes_maxit are not known"):
        transport.solve_steady(fluid)
