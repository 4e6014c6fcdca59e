"""The common phase over a block mesh: gradients on faces, Newton's method, the march, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from misci_transport.alignment.charges import charge_axes
from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.flavor import pack
from misci_transport.parallel.block_decomposition import BlockDecomposition
from misci_transport.solvers.phase import PhaseSolver
from misci_transport.solvers.phase_grid import PhaseBoundary, PhaseGrid
from misci_transport.solvers.phase_march import PhaseMarch
from misci_transport.solvers.phase_medium import BlockMedium
from misci_transport.verify.bulb import box, stationary
from misci_transport.verify.phase import (
    bulb_phase,
    flow_error,
    perturbed_error,
    plane_wave_error,
    spherical_phase,
    two_beam_error,
)
from misci_transport.verify.phase_media import SphericalMedium, TiltedGas, TwoBeams, one_place

CLOSED = ("closed", "closed")
BULB = box("R60", 0.7, 0.05, 4, 6, 100)


def zero(at):
    return np.zeros((at.shape[0], 1))


@pytest.fixture(scope="module")
def radial():
    return SphericalMedium(BULB, 0, 530.0)


@pytest.fixture(scope="module")
def around():
    return SphericalMedium(BULB, 3, 530.0)


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
def test_wave_numbers_of_parabolas_are_exact_along_each_axis(geometry):
    """Also on meshes of uneven cells, at given phases, flux ends and periodic ends; tangential parts: linear fields."""
    if geometry == "cartesian":
        faces = [np.array([0.0, 0.5, 1.5, 2.0, 3.0]), np.array([0.0, 1.0, 1.5, 3.0]), np.array([-1.0, 0.0, 2.0, 2.5])]
    else:
        faces = [np.array([1.0, 1.5, 2.5, 3.0]), np.array([0.5, 1.0, 1.2, 2.0]), np.array([0.0, 1.0, 2.5, 3.0])]
    mesh = BlockMesh.from_edges(*faces, geometry=geometry)

    def field(at):
        return (0.3 * at[:, 0] - 0.7 * at[:, 1] + 0.2 * at[:, 2])[:, None]

    ends = ("phase", "flux")
    boundary = PhaseBoundary((ends, ends, ends), flux=zero, phase=field)
    grid = PhaseGrid(mesh, BlockDecomposition(mesh.shape, comm=MPI.COMM_SELF), boundary, 1)
    k = grid.wave_numbers(field(mesh.centers[grid.columns]))[..., 0]
    at = grid.places.coordinates
    length = np.ones((at.shape[0], 3))
    if geometry == "spherical":
        length[:, 1], length[:, 2] = at[:, 0], at[:, 0] * np.sin(at[:, 1])
    np.testing.assert_allclose(k, -np.array([0.3, -0.7, 0.2]) / length, rtol=1.0e-11)
    # what crosses the faces of a cell is its divergence: of a constant vector field in Cartesian coordinates, zero
    if geometry == "cartesian":
        inside = (grid.divergence @ np.ones(grid.faces)).reshape(mesh.shape[::-1])
        np.testing.assert_allclose(inside[:-1, :-1, :-1], 0.0, atol=1.0e-14)


def two_beams(cells, **options):
    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (cells, cells, 1))
    boundary = PhaseBoundary(
        (("flux", "phase"), ("phase", "phase"), CLOSED),
        flux=lambda at: TwoBeams().flux(np.zeros((at.shape[0], 2)))[:, :1] / np.sqrt(2.0) * 1.02,
        phase=lambda at: 0.03 * np.sin(at[:, :1] + at[:, 1:2]),
    )
    return PhaseSolver(mesh, BlockDecomposition(mesh.shape, comm=MPI.COMM_SELF), TwoBeams(), boundary, **options)


def test_jacobian_is_the_derivative_of_the_balance():
    solver = two_beams(5)
    phase, states, report = solver.solve()
    assert report.iterations <= 4
    assert report.residual < 1.0e-10
    assert report.counts["elliptic"] == report.places == report.ill_posed
    # solve() has given its vectors back
    solver._extended = lambda values: values
    matrix = solver.jacobian(states)[0][0].toarray()
    h = 1.0e-6
    for cell in range(0, 25, 4):
        ends = []
        for sign in (1.0, -1.0):
            moved = phase.copy()
            moved[cell] += sign * h
            ends.append(solver.balance(solver.states(moved, states))[:, 0])
        difference = (ends[0] - ends[1]) / (2.0 * h)
        assert np.abs(difference - matrix[:, cell]).max() < 1.0e-7 * np.abs(matrix).max()


def test_jacobian_of_three_flavors_couples_both_phases():
    gas = TiltedGas(3)
    k = gas.seed(one_place()).multiplier[0, 1:]

    def base(at):
        return -(at @ k) + 1.0e-4 * np.sin(3.0 * at[:, :1] + 2.0 * at[:, 1:2]) * np.array([1.0, -0.5])

    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (4, 3, 2))
    ends = ("phase", "phase")
    boundary = PhaseBoundary((ends, ends, ends), phase=base)
    decomposition = BlockDecomposition(mesh.shape, comm=MPI.COMM_SELF)
    solver = PhaseSolver(mesh, decomposition, gas, boundary, on_type="flag", tolerance=1.0e-11)
    phase, states, report = solver.solve()
    assert report.residual < 1.0e-11
    assert np.abs(phase - base(mesh.centers)).max() < 2.0e-4
    solver._extended = lambda values: values
    blocks = solver.jacobian(states)
    for b in range(2):
        largest = max(np.abs(blocks[a][b].toarray()).max() for a in range(2))
        for cell in (0, 10):
            ends = []
            for sign in (1.0, -1.0):
                moved = phase.copy()
                moved[cell, b] += sign * 1.0e-7
                ends.append(solver.balance(solver.states(moved, states)))
            difference = (ends[0] - ends[1]) / 2.0e-7
            for a in range(2):
                assert np.abs(difference[:, a] - blocks[a][b].toarray()[:, cell]).max() < 1.0e-5 * largest


def test_two_beams_converge_to_second_order():
    errors = np.array([two_beam_error(cells, MPI.COMM_SELF)[0] for cells in (6, 12, 24)])
    assert errors[-1] < 1.0e-3
    assert (np.log2(errors[:-1] / errors[1:]) > 1.8).all()


def test_negative_reasons_of_snes_become_errors_with_cells():
    with pytest.raises(ConvergenceError, match=r"SNES ended with DIVERGED_MAX_IT .* cell \d+: balance"):
        two_beams(5, petsc_options={"misci_phase_snes_max_it": 1}, tolerance=1.0e-14).solve()
    with pytest.raises(ConfigurationError, match="misci_phase_snes_max_ti"):
        two_beams(5, petsc_options={"misci_phase_snes_max_ti": 1}).solve()


def test_a_guess_without_a_phase_is_refused():
    guess = np.linspace(0.0, 40.0, 25)[:, None]
    with pytest.raises(ConvergenceError, match=r"no aligned state with a phase at the k of the guess: cell \d+"):
        two_beams(5).solve(guess)


def test_newton_steps_that_leave_the_range_of_phases_are_cut():
    from petsc4py import PETSc

    solver = two_beams(5)
    phase, states, _ = solver.solve()
    at = solver.grid.mesh.centers
    wave = (np.sin(np.pi * at[:, 0]) * np.sin(np.pi * at[:, 1]))[:, None]
    again, _, report = two_beams(5).solve(phase + 0.15 * wave)
    assert report.iterations > 3
    np.testing.assert_allclose(again, phase, atol=1.0e-9)
    # solve() has given its vectors back
    solver._extended, solver._accepted = (lambda values: values), states
    x, y = (PETSc.Vec().createWithArray(values.copy(), comm=MPI.COMM_SELF) for values in (phase, wave))
    assert solver.lost(solver.states(phase - wave, states)).size > 0
    solver._shorten(x, y)
    cut = y.getArray()[:, None] / wave
    np.testing.assert_allclose(cut, cut[0, 0])
    power = float(np.log2(cut[0, 0]))
    assert power == pytest.approx(round(power))
    assert solver.lost(solver.states(phase - cut * wave, states)).size == 0


@pytest.mark.parametrize(("kind", "error"), [("elliptic", 0.02), ("hyperbolic", 0.01)])
def test_waves_in_three_dimensions(kind, error):
    errors = [plane_wave_error(kind, cells, axes=3, comm=MPI.COMM_SELF) for cells in (4, 8)]
    assert errors[1] < error
    assert np.log2(errors[0] / errors[1]) > 1.5


def test_a_medium_of_populations_in_cells_is_the_gas_itself():
    def medium(gas, decomposition):
        one, state = gas.closure(one_place()), gas.seed(one_place())
        cells = decomposition.size
        vacuum = pack(one.low[0, :, :1, None] * np.diag([1.0, -1.0]))
        axes = charge_axes("mass", vacuum=vacuum, matter_potential=0.0, cells=1)

        def copies(x):
            return np.repeat(x, cells, axis=0)

        return BlockMedium(
            decomposition,
            replace(axes, low=one.low, high=one.high),
            copies(one.external),
            one.weight[0],
            one.velocity[0],
            copies(one.populations),
            one.number_weight,
            one.strength,
            state.take(np.zeros(cells, dtype=np.int64)),
        )

    for kind in ("elliptic", "hyperbolic"):
        given = plane_wave_error(kind, 6, comm=MPI.COMM_SELF)
        assert plane_wave_error(kind, 6, comm=MPI.COMM_SELF, medium=medium) == pytest.approx(given, rel=1.0e-6)


def test_spherical_answer_is_that_of_the_radial_march(radial):
    """k_r of `ConservedMixing` holding r^2 Tr(Q D_1r), whose directions are averages over cells: second order."""
    differences = []
    for cells in (60, 120):
        case, mixing = stationary(replace(BULB, cells=cells), MPI.COMM_SELF)
        r = case.mesh.center
        chosen = (r > 150.0) & (r < 500.0)
        exact = radial.exact(r[chosen]).multiplier[:, 1, 0]
        differences.append(np.abs(mixing.multipliers[chosen, 0] / exact - 1.0).max())
    assert differences[1] < 2.0e-3
    assert np.log2(differences[0] / differences[1]) > 1.5


@pytest.mark.parametrize("kind", ["hyperbolic", "elliptic"])
def test_shells_give_the_spherical_answer_in_one_and_two_dimensions(radial, around, kind):
    errors = []
    for cells in (6, 12):
        mesh, phase, report = bulb_phase(radial, kind, (cells, 1), comm=MPI.COMM_SELF)
        exact = spherical_phase(radial, kind, mesh)
        errors.append(np.abs(phase[0] - exact).max() / np.ptp(exact))
    assert errors[1] < 3.0e-3
    assert np.log2(errors[0] / errors[1]) > 1.9
    mesh, both, report = bulb_phase(around, kind, (12, 5), comm=MPI.COMM_SELF)
    np.testing.assert_allclose(both, np.repeat(phase, 5, axis=0), rtol=0.0, atol=1.0e-9 * np.ptp(phase))
    if kind == "hyperbolic":
        assert flow_error(around, report, mesh, MPI.COMM_SELF) < 1.0e-13
        report = report.report
    assert report.counts[kind] == report.places
    assert report.ill_posed == (report.places if kind == "elliptic" else 0)


@pytest.mark.parametrize("kind", ["hyperbolic", "elliptic"])
def test_perturbed_source_follows_linear_theory(radial, around, kind):
    errors = [perturbed_error(around, radial, kind, (cells, 3 * cells)) for cells in (6, 12)]
    assert errors[1] < 0.02
    assert np.log2(errors[0] / errors[1]) > 1.6


def test_methods_that_do_not_fit_the_type_say_so(around):
    self = {"comm": MPI.COMM_SELF}
    with pytest.raises(ConvergenceError, match=r"not hyperbolic along axis 0 in layer 0.*cell 0 at .*: elliptic"):
        bulb_phase(around, "hyperbolic", (4, 4), radii=(390.0, 520.0), **self)
    with pytest.raises(ConvergenceError, match=r"not elliptic at 28 of 28 faces.*hyperbolic"):
        bulb_phase(around, "elliptic", (4, 4), radii=(170.0, 300.0), **self)
    _, phase, marched = bulb_phase(around, "hyperbolic", (6, 4), radii=(280.0, 430.0), on_type="end", **self)
    assert 0 < marched.layers < 6
    assert np.isfinite(phase[:, : marched.layers]).all()
    assert np.isnan(phase[:, marched.layers :]).all()
    _, phase, flagged = bulb_phase(around, "hyperbolic", (6, 4), radii=(280.0, 430.0), on_type="flag", **self)
    assert flagged.layers == 6
    assert np.isfinite(phase).all()
    assert flagged.report.counts["elliptic"] == 4 * (6 - marched.layers)
    assert any("elliptic" in words for words in flagged.report.misfits)


def test_march_names_the_cell_whose_flux_is_too_large(around):
    mesh = BlockMesh.uniform((170.0, 0.0, 0.0), (200.0, np.pi, 2.0 * np.pi), (2, 3, 1), "spherical")
    boundary = PhaseBoundary(
        (("flux", "flux"), CLOSED, CLOSED),
        flux=lambda at: np.where(at[:, 1:2] < 1.0, 3.0, 1.0) * around.flow / at[:, :1] ** 2,
    )
    march = PhaseMarch(mesh, BlockDecomposition(mesh.shape, comm=MPI.COMM_SELF), around, boundary)
    with pytest.raises(ConvergenceError, match=r"with a phase and the flux that comes into layer 0: cell 0 at"):
        march.solve()


def test_boundaries_and_options_that_are_not_accepted():
    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (4, 4, 1))
    cut = BlockDecomposition(mesh.shape, comm=MPI.COMM_SELF)
    with pytest.raises(ConfigurationError, match="'open'; accepted: flux, phase"):
        PhaseBoundary((("open", "phase"), CLOSED, CLOSED))
    with pytest.raises(ConfigurationError, match="its values are missing"):
        PhaseBoundary((("flux", "closed"), CLOSED, CLOSED))
    with pytest.raises(ConfigurationError, match="both periodic or none"):
        PhaseBoundary((("periodic", "closed"), CLOSED, CLOSED))
    with pytest.raises(ConfigurationError, match="at least one end of kind 'phase'"):
        PhaseSolver(mesh, cut, TwoBeams(), PhaseBoundary((("flux", "flux"), CLOSED, CLOSED), flux=zero))
    with pytest.raises(ConfigurationError, match="accepted: stop, flag"):
        two_beams(4, on_type="go")
    with pytest.raises(ConfigurationError, match="flux at the low end of axis 0"):
        PhaseMarch(mesh, cut, TwoBeams(), PhaseBoundary((("phase", "flux"), CLOSED, CLOSED), flux=zero, phase=zero))
    wrapped = PhaseBoundary((("phase", "phase"), ("periodic", "periodic"), CLOSED), phase=zero)
    with pytest.raises(ConfigurationError, match="that of the mesh"):
        PhaseSolver(mesh, cut, TwoBeams(), wrapped)
