"""Charges in the transport: conservation, regions, restarts of the alignment, failures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from misci_transport.alignment import EQUILIBRATED
from misci_transport.alignment.conserved import density_matrix_of
from misci_transport.constants import ATOMIC_MASS_UNIT, FERMI_POTENTIAL, PHASE_SPACE
from misci_transport.energy import EnergyGrid
from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.flavor import MixingParameters, components_of, pack, packed_of, unpack
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.physics.boundary import Boundary
from misci_transport.physics.charge_transport import ChargeTransport
from misci_transport.physics.collisions import CollisionOperator
from misci_transport.physics.conserved_mixing import ConservedMixing
from misci_transport.quadrature import AngularGrid
from misci_transport.rates import Rates
from misci_transport.verify.bulb import ScaledHamiltonian, box, charge_flux, evolving, stationary, survival
from misci_transport.verify.setup import Case


@pytest.fixture(scope="module")
def small():
    return box("R20", 0.7, 0.05, 4, 8, 60)


def test_stationary_march_holds_the_flux_of_the_charge(small):
    case, mixing = stationary(small)
    assert not mixing.failed.any()
    # so few directions make large steps from cell to cell: Newton may need a continuation between two cells
    assert {event.kind for event in mixing.events} <= {"continued"}
    flux = mixing.charges[:, 0] * case.mesh.volume / case.mesh.width
    assert np.ptp(flux) <= 1e-12 * np.abs(flux).max()
    # the moments are those of the aligned state, and they carry the charge
    held = mixing.cells.axes.charges(case.state.moments, 1)
    np.testing.assert_allclose(held, mixing.charges, rtol=1e-9)
    # nu and nubar have exchanged the same numbers, all antineutrinos their flavour
    last = survival(case, mixing, small)[-1].mean(axis=0)
    assert last[1].max() < 0.01
    assert last[0].mean() == pytest.approx(0.3, abs=0.02)


def closed_gas(flavors, kinds, theta=0.1):
    """Neutrinos and antineutrinos between two mirrors, with a lepton number that varies from cell to cell."""
    mesh = RadialMesh.uniform(0.0, 10.0, 12, "plane")
    energy = EnergyGrid(np.array([1.0, 2.0]), np.array([0.5, 1.5, 2.5]), np.ones(2) / PHASE_SPACE)
    case = Case(
        mesh,
        AngularGrid.ordinates(mesh, 4),
        energy=energy,
        boundary=Boundary("reflecting", "reflecting"),
        n_flavors=flavors,
    )
    parameters = MixingParameters.two_flavor(theta, 1.0) if flavors == 2 else MixingParameters.global_fit("normal")
    mass = parameters.mass_squared_matrix(flavors)
    vacuum = mass[None] / np.abs(mass).max() * np.array([1.0, 0.5])[:, None]
    transport = ChargeTransport(case.phase_space, case.decomposition, case.advection)
    mixing = ConservedMixing(
        case.phase_space,
        case.decomposition,
        ScaledHamiltonian(flavors, vacuum, 20.0),
        transport,
        kinds=kinds,
        tolerance=1e-12,
        max_iterations=50,
        on_failure="stop",
        bin_ratio=np.array([[0.8, 1.25], [0.8, 1.25]]),
    )
    given = np.zeros((case.decomposition.size, 4, 2, 2, case.phase_space.components))
    x = mesh.center[case.cells] / 10.0
    given[:, :, 0, :, 0] = (0.5 + 0.2 * np.sin(2.0 * np.pi * x))[:, None, None]
    given[:, :, 1, :, 0] = (0.2 + 0.1 * np.cos(2.0 * np.pi * x))[:, None, None]
    case.state.owned[:] = mixing.start(given, case.state.moments)
    case.mixing, case.frame = mixing, mixing.frame
    return case, mixing


@pytest.mark.parametrize("flavors", [2, 3])
def test_steps_conserve_the_charges_to_round_off(flavors):
    case, mixing = closed_gas(flavors, "mass")
    before = (mixing.charges * case.mesh.volume[:, None]).sum(axis=0)
    begin = mixing.charges.copy()
    for _ in range(20):
        result = case.step(0.4 * case.mesh.width.min())
        held = mixing.cells.axes.charges(case.state.moments)
        np.testing.assert_allclose(held, mixing.charges, rtol=1e-10, atol=1e-13)
        assert abs(result.ledger.imbalance("neutrinos")) <= 1e-12
    after = (mixing.charges * case.mesh.volume[:, None]).sum(axis=0)
    np.testing.assert_allclose(after[: flavors - 1], before[: flavors - 1], rtol=1e-12)
    # and they have moved
    assert np.abs(mixing.charges - begin)[:, 0].max() > 1e-3
    assert not mixing.failed.any()


def test_regions_exchange_neutrinos_to_round_off():
    """Charges along the mass axis on the left, none on the right: numbers are conserved across the face."""
    case, mixing = closed_gas(2, ["mass"] * 6 + ["none"] * 6)
    assert mixing.interfaces.faces == [6]
    for _ in range(10):
        result = case.step(0.4 * case.mesh.width.min())
        for name in ("neutrinos", "antineutrinos", "energy"):
            scale = result.ledger.before[name]
            assert abs(result.ledger.imbalance(name)) <= 1e-13 * scale, name
    assert not mixing.failed.any()
    with pytest.raises(ConfigurationError, match="regions"):
        mixing.begin_flux()


def test_collisions_change_the_charge_by_the_trace_of_their_matrix(small):
    """Tr(Q C) of emission and absorption, with coherences damped at the mean rate of the two flavours."""
    case, mixing = closed_gas(2, "mass", theta=0.3)
    rates = Rates.zero(12, 2)
    rates.emissivity[:, :, 0], rates.absorption[:, :, 0] = 0.02, 0.05
    rates.absorption[:, 1, 1] = 0.01
    collisions = CollisionOperator(case.phase_space, rates, case.cells)
    source = mixing.transport.source(case.state.owned, mixing.frame, collisions, mixing.cells.axes)
    density = unpack(mixing.cells.density_matrices(case.state.owned, mixing._known.unknowns, mixing.charges)[..., :4])
    expected = np.zeros(12)
    charge = unpack(mixing.cells.axes.matrices())[:, 0]
    weight = case.angles.weight_0[0][:, None] * case.phase_space.number_weight
    for species, sign in enumerate((1.0, -1.0)):
        emit = np.diag(rates.emissivity[0, species, :2, 0]).astype(complex)
        absorb = np.diag(rates.absorption[0, species, :2, 0]).astype(complex)
        rho = density[:, :, species]
        term = emit - 0.5 * ((emit + absorb) @ rho + rho @ (emit + absorb))
        expected += sign * np.einsum("mg,cij,cmgji->c", weight, charge, term).real
    np.testing.assert_allclose(source[:, 0], expected, rtol=1e-10)


def test_time_steps_relax_to_the_march(small):
    case, mixing = stationary(small)
    march = survival(case, mixing, small)
    begin = replace(small, emission=small.emission * np.array([1.0, 0.985])[:, None, None])
    case, mixing = evolving(small, begin)
    case.march(1.5 * (small.outer - small.inner), 0.5 * float(case.mesh.width.min()))
    now = survival(case, mixing, small)
    assert np.abs(now - march)[-1].mean() <= 1e-3
    flux = charge_flux(case, mixing)
    assert flux.max() / flux.min() - 1.0 <= 1e-4


def test_a_step_that_fails_leaves_charges_as_they_were(small):
    begin = replace(small, emission=small.emission * np.array([1.0, 0.5])[:, None, None])
    case, mixing = evolving(small, begin)
    charges, multipliers = mixing.charges.copy(), mixing.multipliers.copy()
    moments, populations = case.state.moments.copy(), case.state.owned.copy()
    # populations that no state with these charges can have
    case.boundary.inner_populations = case.boundary.inner_populations * 0.0
    case.mixing.transport.inner = -100.0 * mixing.transport.inner
    with pytest.raises(ConvergenceError, match="cell 0"):
        case.step(0.4 * case.mesh.width.min())
    np.testing.assert_array_equal(mixing.charges, charges)
    np.testing.assert_array_equal(mixing.multipliers, multipliers)
    np.testing.assert_array_equal(case.state.moments, moments)
    np.testing.assert_array_equal(case.state.owned, populations)


def test_fluxes_must_be_turned_into_densities_before_a_step(small):
    case, _ = stationary(small)
    with pytest.raises(ConfigurationError, match="begin_density"):
        case.step(0.4 * case.mesh.width.min())


@pytest.mark.parametrize(("potential", "expected"), [(0.0, "mass"), (1e3, "flavor"), (0.5, "synchronized")])
def test_automatic_charges_follow_what_breaks_them(potential, expected):
    """A gas that acts together and is not locked takes the axis that matter or the vacuum term leaves."""
    case, mixing = closed_gas(2, "auto")
    assert set(mixing.kinds) == {"none"}
    ones = np.ones(12)
    mixing.set_fluid(Fluid(potential * ATOMIC_MASS_UNIT / FERMI_POTENTIAL * ones, ones, ones, 0.0 * ones))
    mixing.locked = np.zeros(12, dtype=bool)
    # what a locked cell has: pure flavours, nu_e on the upper of the two levels
    x = case.mesh.center / 10.0
    case.state.owned[:] = 0.0
    case.state.owned[:, :, 0, :, 1] = (0.5 + 0.2 * np.sin(2.0 * np.pi * x))[:, None, None]
    case.state.owned[:, :, 1, :, 1] = (0.2 + 0.1 * np.cos(2.0 * np.pi * x))[:, None, None]
    mixing.projector[:] = mixing._pure
    before = case.state.owned.copy()
    mixing.choose(case.state.owned, case.state.moments)
    assert set(mixing.kinds) == {expected}
    assert {event.kind for event in mixing.events} == {f"charges {expected}"}
    held = mixing.cells.axes.charges(case.state.moments)
    np.testing.assert_allclose(held, mixing.charges, rtol=1e-9, atol=1e-12)
    # the numbers of neutrinos are what they were
    assert before.sum() == pytest.approx(case.state.owned.sum(), rel=1e-12)
    result = case.step(0.1 * case.mesh.width.min())
    assert abs(result.ledger.imbalance("neutrinos")) <= 1e-12


def test_automatic_charges_leave_locked_and_thin_cells_alone():
    case, mixing = closed_gas(2, "auto")
    mixing.locked = np.ones(12, dtype=bool)
    mixing.choose(case.state.owned, case.state.moments)
    assert set(mixing.kinds) == {"none"}
    mixing.locked = np.zeros(12, dtype=bool)
    mixing.hamiltonian = ScaledHamiltonian(2, mixing.hamiltonian.vacuum, 1e-6)
    mixing.choose(case.state.owned, case.state.moments)
    assert set(mixing.kinds) == {"none"}


def test_phase_gradient_leads_to_the_march_in_all_cells(small):
    """(E5): k grows until the multiplier vanishes, as a steady source with a fixed phase demands."""
    moving = replace(small, phase_gradient=True)
    case, mixing = stationary(moving)
    march, wave_number = survival(case, mixing, moving), mixing.multipliers[:, 0].copy()
    begin = replace(moving, emission=moving.emission * np.array([1.0, 0.985])[:, None, None])
    case, mixing = evolving(moving, begin)
    case.march(1.6 * (small.outer - small.inner), 0.5 * float(case.mesh.width.min()))
    assert np.abs(mixing.multipliers).max() <= 1e-3 * np.abs(wave_number).max()
    np.testing.assert_allclose(mixing.wave_numbers[:, 0], wave_number, rtol=1e-2)
    assert np.abs(survival(case, mixing, moving) - march).mean() <= 1e-4


@pytest.mark.parametrize("flavors", [2, 3])
def test_density_matrices_of_projectors(flavors):
    """sum_k n_k |k><k| with the unmixed flavour behind it; projectors hold twice the off-diagonal elements."""
    rng = np.random.default_rng(3)
    unitary = np.linalg.qr(rng.normal(size=(flavors, flavors)) + 1j * rng.normal(size=(flavors, flavors)))[0]
    populations = np.array([0.1, 0.4, 0.7])
    projector = np.zeros((3, 3 + flavors * (flavors - 1)))
    for level in range(3):
        if level < flavors:
            packed = pack(np.outer(unitary[:, level], unitary[:, level].conj()))
            projector[level, :flavors], projector[level, 3:] = packed[:flavors], 2.0 * packed[flavors:]
        else:
            projector[level, level] = 1.0
    found = density_matrix_of(populations, projector, flavors)
    expected = pack((unitary * populations[:flavors]) @ unitary.conj().T)
    np.testing.assert_allclose(found[: flavors**2], expected, atol=1e-15)
    np.testing.assert_array_equal(found[flavors**2 :], populations[flavors:])
    np.testing.assert_array_equal(packed_of(components_of(found, flavors), flavors), found)


def test_a_cell_with_charges_is_moved_to_its_largest_entropy(small):
    """Policy "equilibrate": the charges that are carried, the numbers and the energy stay; the cell is an event."""
    begin = replace(small, emission=small.emission * np.array([1.0, 0.5])[:, None, None])
    case, mixing = evolving(small, begin)
    mixing.on_failure = "equilibrate"
    case.step(0.4 * case.mesh.width.min())
    # populations that have nothing to do with the last ones, and no way to iterate
    mixing.max_iterations = 0
    mixing._continue = lambda *_: False
    known = mixing._known
    case.state.owned[:, :, 1] *= 0.95
    before = known.cells.density_matrices(case.state.owned, known.unknowns, known.charges)
    begin_charges = mixing.charges.copy()
    mixing.align(case.state.owned, case.state.moments)
    moved = np.flatnonzero(mixing.status == EQUILIBRATED)
    assert moved.size > 0
    assert not mixing.failed.any()
    assert {event.cell for event in mixing.events if event.kind == "equilibrated"} == set(moved)
    np.testing.assert_array_equal(mixing.equilibrated.times[moved], 1)
    np.testing.assert_allclose(mixing.cells.axes.charges(case.state.moments)[moved], begin_charges[moved], rtol=1e-9)
    n = case.phase_space.n_flavors
    numbers = case.state.owned[moved][..., :n].sum(axis=-1)
    np.testing.assert_allclose(numbers, before[moved][..., :n].sum(axis=-1), rtol=1e-10, atol=1e-14)
    assert (mixing.equilibrated.entropy[moved] > -1e-9).all()
    # the next alignment begins there
    mixing.max_iterations = 50
    mixing.align(case.state.owned, case.state.moments)
    assert not mixing.failed.any()
    assert mixing.status[moved].max() < EQUILIBRATED


def test_a_cell_that_is_held_is_an_event(small):
    """Policy "hold": the state goes on, the cells are counted, flagged and named."""
    begin = replace(small, emission=small.emission * np.array([1.0, 0.5])[:, None, None])
    case, mixing = evolving(small, begin)
    mixing.on_failure = "hold"
    case.boundary.inner_populations = case.boundary.inner_populations * 0.0
    mixing.transport.inner = -100.0 * mixing.transport.inner
    case.step(0.4 * case.mesh.width.min())
    assert mixing.failed[0]
    assert ("held", 0) in {(event.kind, event.cell) for event in mixing.events}
