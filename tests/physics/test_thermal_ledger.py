"""The first law of mixing, Eq. (11): closure to round-off, and the sizes of work and heats."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.constants import HBAR_C
from misci_transport.errors import ConfigurationError
from misci_transport.grid import RadialMesh
from misci_transport.options import TransportOptions
from misci_transport.physics.matrix_scheme import MatrixScheme
from misci_transport.physics.thermal_ledger import TERMS, ThermalLedger
from misci_transport.plugin import Transport
from misci_transport.thermodynamics import energy as energy_of
from misci_transport.thermodynamics import state_of_populations
from misci_transport.thermodynamics.first_law import AlignedState, PhaseWeights, first_law
from misci_transport.verify import find
from misci_transport.verify.adiabatic import LENGTH, beam, surviving
from misci_transport.verify.collisional import unstable_gas
from misci_transport.verify.splits import build

#: of the sum of the sizes of the terms
CLOSURE = 1.0e-12
BEAM = {
    "theta": 0.15, "dm2": 2.5e-3, "energy": 10.0, "potential": 2.0e-4, "potential_end": 0.0, "flavors": 2,
    "ordering": "normal",
}  # fmt: skip


def aligned(gas):
    """What the one cell of a homogeneous gas holds."""
    cells = gas.cells
    projector, _ = cells.projectors(gas.unknowns, gas.charges, 3)
    multipliers = cells.multipliers(gas.unknowns)[:, : cells.n_flavors - 1]
    charge = np.zeros((1, 2, gas.vacuum.shape[-1]))
    charge[:, 0] = np.einsum("ca,cak->ck", multipliers, cells.axes.matrices())
    external = cells.axes.from_basis(cells.axes.external)
    return AlignedState(gas.populations.copy(), projector, cells.vacuum(), external, charge, cells.strength)


def booked(gas, times, *, by_collisions=False):
    """Sums of the terms over a run, and the largest imbalance of a step over the sizes of its summands."""
    weights = PhaseWeights(np.array([[[1.0], [0.0]]]), np.zeros((1, 1, 1)), gas.weight)
    sums = dict.fromkeys(("change", "work", "charges", "collisions", "kinematic", "imbalance"), 0.0)
    old, worst = aligned(gas), 0.0
    first = old
    for time in times:
        gas.advance(float(time))
        new = aligned(gas)
        parts = {"collisions": new.populations - old.populations} if by_collisions else {}
        law = first_law(old, new, weights, parts)
        for name in ("change", "work", "charges", "kinematic", "imbalance"):
            sums[name] += float(getattr(law, name)[0])
        sums["collisions"] += float(law.parts["collisions"][0]) if by_collisions else 0.0
        worst = max(worst, abs(float(law.imbalance[0])) / float(law.scale[0]))
        old = new
    whole = first_law(first, old, weights, {}).change[0]
    return sums, worst, float(whole)


def test_isentropic_split_is_work_alone():
    """The gas of V5: dU = -9.593, no heat; with the traces, which no oscillation changes, it is -18.593."""
    gas = build(find("V5").values({"tau": 40}), "mass")
    gas.start(0.0)
    sums, worst, whole = booked(gas, 40.0 * np.log(400.0 / 1.0e-3) * np.linspace(0.0, 1.0, 120)[1:])
    assert sums["change"] == pytest.approx(-9.593, abs=1.0e-3)
    assert sums["change"] == pytest.approx(whole, rel=1.0e-12)
    assert sums["kinematic"] == 0.0
    assert abs(sums["charges"]) < 1.0e-10
    assert sums["work"] == pytest.approx(sums["change"], rel=1.0e-11)
    assert worst < CLOSURE
    assert abs(sums["imbalance"]) < CLOSURE * (abs(sums["change"]) + abs(sums["work"]))


def test_collisional_instability_is_heated_by_its_environment():
    """V9: constant medium, so no work but the third order of turning; Q_env and lambda dq are all of dU."""
    made = unstable_gas(find("V9").values({"step": 0.2}))
    sums, worst, whole = booked(made.gas, made.times[1:], by_collisions=True)
    terms = [abs(sums[name]) for name in ("change", "work", "charges", "collisions")]
    assert worst < CLOSURE
    assert abs(sums["imbalance"]) < CLOSURE * sum(terms)
    assert sums["change"] == pytest.approx(whole, rel=1.0e-10)
    assert sums["kinematic"] == 0.0
    assert sums["collisions"] == pytest.approx(0.111, abs=0.005)
    assert sums["charges"] == pytest.approx(17.6, abs=0.1)
    assert abs(sums["work"]) < 1.0e-4 * sums["collisions"]


def passage(cells, scheme):
    """A beam that fills an empty mesh with a resonance in it, and its ledger."""
    case = beam(BEAM, cells, scheme)
    ledger = ThermalLedger(case.mixing)
    case.stepper.thermodynamics = ledger
    results = case.march(2.0 * LENGTH, 0.5 * LENGTH / cells)
    entering = case.boundary.inner_populations[0, :, 0]
    lost = 1.0 - surviving(case.populations()[-1, 0, 0, 0, :2], entering[0, :2])
    return case, ledger, results, lost


@pytest.mark.parametrize("scheme", ["adiabatic", "matrix"])
def test_beam_through_a_resonance_closes(scheme):
    """Q_kin is zero with populations; with matrices it is their loss of polarisation, first order in the width."""
    heats, losses = [], []
    for cells in (40, 80):
        case, ledger, results, lost = passage(cells, scheme)
        assert (np.abs(ledger.imbalance) <= CLOSURE * ledger.scale).all()
        volume = case.mesh.volume[case.cells]
        total = {name: float(volume @ ledger.totals[name]) for name in TERMS}
        terms = sum(abs(value) for value in total.values())
        assert abs(total["change"] - sum(total[name] for name in TERMS[1:])) <= CLOSURE * terms
        # what steps say is the sum over cells
        for name in TERMS:
            assert sum(r.ledger.mixing[name] for r in results) == pytest.approx(
                total[name], rel=1.0e-9, abs=1e-14 * terms
            )
        # the state that is there has the energy that was booked, from nothing
        batch = case.mixing.medium
        state = state_of_populations(case.state.owned, case.state.moments, batch)
        np.testing.assert_allclose(
            HBAR_C * energy_of(state, batch).mixing, ledger.totals["change"], atol=1e-11 * ledger.scale.max()
        )
        assert total["collisions"] == 0.0
        heats.append(abs(total["kinematic"]))
        losses.append(lost)
    if scheme == "adiabatic":
        assert heats == [0.0, 0.0]
        assert max(losses) < 1.0e-12
    else:
        assert heats[0] > 0.0
        assert 0.7 < np.log2(losses[0] / losses[1]) < 1.3
        assert 0.5 < np.log2(heats[0] / heats[1]) < 1.5


def test_a_changing_medium_does_work_on_neutrinos_that_stay():
    """Between two mirrors: all of dU is work but for what flows, and populations are not heated."""
    case, ledger, *_ = passage(20, "adiabatic")
    before = {name: ledger.totals[name].copy() for name in TERMS}
    medium = case.mixing.medium
    case.mixing.medium = type(medium)(**{**medium.__dict__, "potential": 0.5 * medium.potential})
    case.frame = case.mixing.eigenvectors(case.state.moments)
    case.march(0.5 * LENGTH / 20, 0.5 * LENGTH / 20)
    gained = {name: ledger.totals[name] - before[name] for name in TERMS}
    assert (np.abs(gained["work"][:-1]) > 0.0).all()
    assert not gained["kinematic"].any()
    assert (np.abs(ledger.imbalance) <= CLOSURE * ledger.scale).all()


def test_time_dependent_star_writes_its_ledger(small_star):
    """A radial run with collisions: the terms of every cell, in the output and in the totals of the run."""
    transport, fluid = small_star.transport(12, ledger={"thermodynamics": True})
    for _ in range(6):
        transport.step(fluid, transport.max_dt())
    fields = {field.name: field for field in transport.fields()}
    terms = {name: fields[f"thermodynamics/{name}"].values for name in TERMS}
    imbalance = terms["change"] - sum(terms[name] for name in TERMS[1:])
    np.testing.assert_array_equal(fields["thermodynamics/imbalance"].values, imbalance)
    assert (np.abs(imbalance) <= CLOSURE * fields["thermodynamics/scale"].values).all()
    assert (np.abs(terms["collisions"]) > 0.0).any()
    assert not terms["kinematic"].any()
    mesh = transport.phase_space.mesh
    booked_terms = transport.ledger()
    for name in TERMS:
        expected = mesh.full_sphere * float(mesh.volume @ terms[name])
        assert booked_terms[f"mixing {name}"] == pytest.approx(expected, rel=1.0e-9, abs=1e-12 * abs(expected) + 1e-300)
    # U and S of the state itself: it began with nothing
    sizes = fields["thermodynamics/scale"].values
    assert np.abs(fields["thermodynamics/energy"].values - terms["change"]).max() <= 1.0e-11 * sizes.max()
    assert (fields["thermodynamics/entropy"].values >= 0.0).all()


def test_without_mixing_there_is_no_first_law_of_it():
    mesh = RadialMesh.uniform(0.0, 1.0e6, 4)
    options = TransportOptions(flavors={"mixing": False}, ledger={"thermodynamics": True})
    with pytest.raises(ConfigurationError, match=r"ledger\.thermodynamics: accepted with flavors\.mixing"):
        Transport(mesh, options)


def test_matrix_scheme_of_the_beam_is_the_one_that_was_meant():
    case, *_ = passage(8, "matrix")
    assert isinstance(case.stepper.scheme, MatrixScheme)
