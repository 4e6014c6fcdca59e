"""The object that a host code holds: sources, limits, changing fluids, checkpoints, tables."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.constants import ERG_PER_MEV
from misci_transport.errors import ConfigurationError, ConvergenceError, TableError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import CFL_LIMIT, TransportOptions
from misci_transport.physics.boundary import Boundary
from misci_transport.plugin import Transport
from misci_transport.profile import Profile

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


def totals(transport, sources):
    """Energy (MeV/s) and electron-lepton number (1/s) given to the whole fluid."""
    mesh = transport.phase_space.mesh
    volume = mesh.full_sphere * mesh.volume
    return float(volume @ sources.energy) / ERG_PER_MEV, float(volume @ sources.lepton_number)


def ray_through_a_slab(species):
    """nu_e or nubar_e of 20 MeV or so that enter cold matter from the left; the slab is a few mean free paths deep."""
    mesh = RadialMesh.uniform(0.0, 1.0e8, 20, "plane")
    options = TransportOptions(
        angles={"kind": "ordinates", "directions": 4},
        energy={"minimum": 15.0, "maximum": 25.0, "groups": 2},
        flavors={"mixing": False},
        collisions={"electron_scattering": False, "pair": False, "bremsstrahlung": False, "nucleon_scattering": False},
    )
    transport = Transport(mesh, options)
    entering = np.zeros(transport.phase_space.cell_shape)
    level = int(np.flatnonzero(transport._frame.component[0, species] == 0)[0])
    entering[2:, species, :, level] = 0.05
    transport = Transport(mesh, options, boundary=Boundary("inflow", "inflow", entering))
    one = np.ones(20)
    nucleons = {"neutron_fraction": 0.6 * one, "proton_fraction": 0.4 * one}
    nuclei = {"alpha_fraction": 0.0 * one, "heavy_fraction": 0.0 * one}
    nuclei |= {"heavy_mass_number": 56.0 * one, "heavy_charge_number": 26.0 * one}
    return transport, Fluid(1e9 * one, 0.5 * one, 0.4 * one, 0.0 * one, **nucleons, **nuclei)


@pytest.mark.parametrize("species", [0, 1])
def test_matter_that_absorbs_is_heated_pushed_and_gains_leptons(species):
    transport, fluid = ray_through_a_slab(species)
    transport.solve_steady(fluid)
    sources = transport.sources
    assert (sources.energy > 0.0).all()
    assert (sources.momentum > 0.0).all()
    # nu_e + n make electrons, nubar_e + p make positrons
    assert ((sources.lepton_number if species == 0 else -sources.lepton_number) > 0.0).all()
    # absorption falls with depth (face values that are nearly centred make it fall in pairs of cells)
    assert (np.diff(sources.energy.reshape(10, 2).sum(axis=1)) < 0.0).all()
    # what enters and does not leave stays in the matter
    fields = {field.name: field.values for field in transport.fields()}
    luminosity = fields["radiation/luminosity"].sum(axis=(1, 2))
    given = float(transport.phase_space.mesh.volume @ sources.energy)
    assert given == pytest.approx(luminosity[0] - luminosity[-1], rel=1e-9)
    assert luminosity[-1] < 0.7 * luminosity[0]
    # at the surface every neutrino of direction mu is absorbed at the rate of its opacity
    energy = transport.phase_space.energy
    rates = transport._collisions.rates
    kappa = (rates.emissivity + rates.absorption)[0, species, 0]
    first = transport.state.owned[0]
    absorbed = np.einsum("msgk,m->sg", first, transport.phase_space.angles.weight_0[0])[species]
    expected = 2.99792458e10 * ERG_PER_MEV * (kappa * absorbed * energy.center) @ transport.phase_space.number_weight
    emitted = 2.99792458e10 * ERG_PER_MEV * (
        2.0 * rates.emissivity[0, :, 0] * energy.center * transport.phase_space.number_weight
    ).sum()  # fmt: skip
    assert sources.energy[0] == pytest.approx(expected - emitted, rel=1e-6)


def test_energy_and_leptons_of_a_stationary_star_leave_through_its_surface(small_star):
    transport, fluid = small_star.transport(24)
    transport.solve_steady(fluid)
    fields = small_star.fields(transport)
    energy, lepton = totals(transport, transport.sources)
    luminosity = fields["radiation/luminosity"][-1].sum()
    numbers = fields["radiation/number_luminosity"][-1].sum(axis=1)
    assert -energy * ERG_PER_MEV == pytest.approx(luminosity, rel=1e-6)
    assert -lepton == pytest.approx(numbers[0] - numbers[1], rel=1e-6)
    assert luminosity > 1e52


@pytest.mark.parametrize("scheme", ["adiabatic", "matrix"])
def test_the_ledger_of_many_steps_agrees_with_the_sources(small_star, scheme):
    """V20 through the plugin: the fluid receives what the neutrinos lose, and nothing is lost between them."""
    off = dict.fromkeys(("electron_scattering", "pair", "bremsstrahlung"), False) if scheme == "matrix" else {}
    transport, fluid = small_star.transport(18, advection={"scheme": scheme}, collisions=off)
    transport.solve_steady(fluid)
    transport.state.owned[:] = np.clip(0.9 * transport.state.owned, 0.0, 1.0)

    def content():
        exchange = transport.exchange.content(transport.state.owned.sum(axis=-1))
        return {name: transport.phase_space.mesh.full_sphere * float(transport.phase_space.mesh.volume @ x)
                for name, x in exchange.items()}  # fmt: skip

    before, given = content(), np.zeros(2)
    dt = 0.8 * transport.max_dt()
    for _ in range(6):
        given += dt * np.array(totals(transport, transport.step(fluid, dt)))
    after, ledger = content(), transport.ledger()
    for name in ("energy", "neutrinos", "antineutrinos"):
        booked = sum(ledger[f"{part} {name}"] for part in ("collisions", "inflow", "corrections"))
        assert after[name] - before[name] == pytest.approx(booked, rel=0.0, abs=1e-13 * before[name])
    assert given[0] == pytest.approx(-ledger["collisions energy"], rel=0.0, abs=1e-13 * before["energy"])
    lepton = ledger["collisions neutrinos"] - ledger["collisions antineutrinos"]
    assert given[1] == pytest.approx(-lepton, rel=0.0, abs=1e-13 * before["neutrinos"])
    assert transport.state.step == 6
    assert transport.state.time == pytest.approx(6 * dt)


@pytest.mark.parametrize("reconstruction", ["linear", "constant"])
def test_a_step_above_the_limit_is_refused_with_the_accepted_range(small_star, reconstruction):
    limit = CFL_LIMIT[reconstruction]
    advection = {"reconstruction": reconstruction, "cfl": 0.5 * limit}
    transport, fluid = small_star.transport(18, advection=advection, flavors={"mixing": False})
    largest = 2.0 * transport.max_dt()
    for dt in (1.01 * largest, 0.0, -1e-9, float("nan"), float("inf")):
        with pytest.raises(UnphysicalInputError, match=r"time step is \S+ s; accepted: 0 < dt <= (\S+) s") as caught:
            transport.step(fluid, dt)
        accepted = float(str(caught.value).split("dt <= ")[1].split()[0])
        assert accepted == pytest.approx(largest, rel=1e-6)
        assert transport.fluid is None
        assert transport.state.step == 0
    transport.step(fluid, largest)
    assert transport.state.owned.max() > 1e-3


def test_a_fluid_of_the_wrong_size_is_refused(small_star):
    transport, fluid = small_star.transport(18)
    with pytest.raises(UnphysicalInputError, match=r"fluid has 17 cells on rank 0; accepted: 18, the cells 0 to 17"):
        transport.step(fluid.take(slice(0, 17)), transport.max_dt())
    with pytest.raises(UnphysicalInputError, match="fluid has 17 cells"):
        transport.solve_steady(fluid.take(slice(0, 17)))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mass_density", -1.0, r"mass_density in cell 5 is .*-1.0.*; accepted: \(0, 1e\+17\]"),
        ("electron_fraction", 1.2, r"electron_fraction in cell 5 is .*1.2.*; accepted: \[0, 1\]"),
        ("temperature", np.nan, r"temperature in cell 5 is .*nan.*; accepted: \(0, 1000\]"),
        ("velocity", 4e10, r"velocity in cell 5 is .*; accepted: "),
    ],
)
def test_unphysical_matter_changes_nothing(small_star, name, value, message):
    transport, fluid = small_star.transport(18, flavors={"mixing": False})
    transport.step(fluid, transport.max_dt())
    before = transport.state.owned.copy()
    bad = fluid.copy()
    getattr(bad, name)[5] = value
    for call in (lambda: transport.step(bad, transport.max_dt()), lambda: transport.solve_steady(bad)):
        with pytest.raises(UnphysicalInputError, match=message):
            call()
    np.testing.assert_array_equal(transport.state.owned, before)
    assert transport.fluid.equals(fluid)
    transport.step(fluid, transport.max_dt())
    assert transport.state.step == 2


def test_rates_are_kept_for_the_same_matter_and_made_for_new_one(small_star):
    transport, fluid = small_star.transport(18, flavors={"mixing": False})
    dt = transport.max_dt()
    transport.step(fluid, dt)
    rates = transport._collisions
    transport.step(fluid.copy(), dt)
    assert transport._collisions is rates
    # the host changes its arrays in place: the transport compares values with those of its own copy
    fluid.temperature *= 1.2
    cold = transport.sources
    transport.step(fluid, dt)
    assert transport._collisions is not rates
    hot = transport.sources
    assert hot.energy.sum() < cold.energy.sum() < 0.0
    assert transport.fluid is not fluid


def test_new_matter_turns_the_eigenvectors_before_the_step(small_star):
    """The alignment of the last step holds its moments; a step over other matter starts with that matter's levels."""
    transport, fluid = small_star.transport(24, 3e9)
    transport.solve_steady(fluid)
    assert transport.mixing.locked.sum() < 20
    dense = fluid.copy()
    dense.mass_density[:] = np.maximum(fluid.mass_density, 1e11)
    transport.step(dense, transport.max_dt())
    assert transport.mixing.locked.all()


def test_fields_before_any_step(small_star):
    transport, _ = small_star.transport(18)
    with pytest.raises(ConfigurationError, match="no fluid yet"):
        transport.fields()


def test_all_fields_say_what_they_are(small_star):
    transport, fluid = small_star.transport(18)
    transport.step(fluid, transport.max_dt())
    fields = transport.fields()
    assert len({field.name for field in fields}) == len(fields)
    for field in fields:
        assert field.values.ndim == len(field.axes), field.name
        assert np.isfinite(field.values).all(), field.name
        assert field.unit
        assert field.description
        length = {"cell": 18, "face": 19}.get(field.axes[0] if field.axes else "")
        assert length in (None, field.values.shape[0])


def held(transport):
    return {name: np.array(field.values) for name, field in transport.checkpoint().items()}


@pytest.mark.parametrize(("scheme", "outer"), [("adiabatic", 3e7), ("adiabatic", 3e9), ("matrix", 3e7)])
def test_a_restored_transport_goes_on_bit_for_bit(small_star, scheme, outer):
    off = dict.fromkeys(("electron_scattering", "pair", "bremsstrahlung"), False) if scheme == "matrix" else {}
    sections = {"advection": {"scheme": scheme}, "collisions": off}
    whole, fluid = small_star.transport(18, outer, **sections)
    whole.solve_steady(fluid)
    dt = whole.max_dt()
    for _ in range(2):
        whole.step(fluid, dt)
    kept = held(whole)
    again, _ = small_star.transport(18, outer, **sections)
    again.restore(kept)
    for _ in range(3):
        one, other = whole.step(fluid, dt), again.step(fluid, dt)
    np.testing.assert_array_equal(whole.state.owned, again.state.owned)
    np.testing.assert_array_equal(whole.state.moments, again.state.moments)
    np.testing.assert_array_equal(one.energy, other.energy)
    assert (whole.state.time, whole.state.step) == (again.state.time, again.state.step)
    # the ledger starts after the stationary solve in both
    assert whole.ledger() == again.ledger()


def test_a_checkpoint_of_other_shape_is_refused(small_star):
    transport, _ = small_star.transport(18)
    other, _ = small_star.transport(18, energy={"minimum": 3.0, "maximum": 150.0, "groups": 4})
    with pytest.raises(ConfigurationError, match=r"populations have shape \(18, .*, 2, 4, 3\); accepted here: \(18, "):
        transport.restore(held(other))


def test_an_alignment_that_fails_leaves_the_state_of_before_the_step(small_star):
    transport, fluid = small_star.transport(24, 3e9, alignment={"max_iterations": 1})
    generous, _ = small_star.transport(24, 3e9)
    generous.solve_steady(fluid)
    transport.restore(held(generous))
    before, moments = transport.state.owned.copy(), transport.state.moments.copy()
    # a fluid that has changed much, so that one iteration is not enough
    other = fluid.copy()
    other.mass_density *= 0.5
    with pytest.raises(ConvergenceError, match=r"alignment has no solution in \d+ of 24 cells"):
        transport.step(other, transport.max_dt())
    np.testing.assert_array_equal(transport.state.owned, before)
    np.testing.assert_array_equal(transport.state.moments, moments)
    assert transport.state.step == 0


def test_cells_that_need_continuation_are_counted(small_star):
    """Guesses that are nothing but noise, and few iterations: Newton fails, a growing self-interaction leads there."""
    transport, fluid = small_star.transport(24, 3e9)
    transport.solve_steady(fluid)
    summary = transport.alignment_summary()
    assert summary["continued"] == 0.0
    moments, mixing = transport.state.moments, transport.mixing
    size = np.abs(moments).max(axis=(1, 2), keepdims=True)
    moments[:] = 10.0 * size * np.random.default_rng(1).normal(size=moments.shape)
    mixing.max_iterations = 3
    mixing.align(transport.state.owned, moments)
    after = transport.alignment_summary()
    assert after["continued"] == mixing.continued >= 10
    assert after["failed"] == 0.0
    # all updates on the way are counted
    assert after["iterations"] > summary["iterations"] + mixing.continued
    assert after["largest residual"] <= mixing.tolerance


def test_alignment_by_petsc_steps_as_the_local_one_does(small_star):
    states = []
    for solver in ("local", "petsc"):
        transport, fluid = small_star.transport(24, 3e9, alignment={"solver": solver})
        reference, _ = small_star.transport(24, 3e9)
        reference.solve_steady(fluid)
        transport.restore(held(reference))
        for _ in range(3):
            sources = transport.step(fluid, transport.max_dt())
        assert transport.alignment_summary()["failed"] == 0.0
        assert not transport.mixing.locked.all()
        states.append((transport.state.owned.copy(), transport.state.moments.copy(), sources))
    (one, moments, source), (other, moments_2, source_2) = states
    np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(moments, moments_2, rtol=0.0, atol=1e-9 * np.abs(moments).max())
    np.testing.assert_allclose(source.energy, source_2.energy, rtol=0.0, atol=1e-9 * np.abs(source.energy).max())


@pytest.fixture(scope="module")
def table(sample_data):
    files = sorted((sample_data / "nulib").glob("*.h5"))
    if not files:
        pytest.skip("no NuLib table among the sample data")
    return files[0]


G15 = "examples/g15/agile_boltztran_98ms.txt"


def test_a_nulib_table_as_the_source_of_rates(table, request):
    """The profile of G15 as far as the table reaches; the groups are the table's."""
    profile = Profile.read_table(request.config.rootpath / G15)
    mesh = RadialMesh(profile.native_faces[:80])
    options = TransportOptions(
        angles={"kind": "ordinates", "directions": 8},
        flavors={"mixing": False},
        collisions={"source": "nulib", "table": str(table)},
    )
    transport = Transport(mesh, options)
    assert transport.phase_space.energy.size == transport.rate_source.table.energy_grid().size
    fluid = profile.on_faces(mesh.face)
    assert transport.solve_steady(fluid).converged
    fields = {field.name: field.values for field in transport.fields()}
    luminosity, rms = fields["radiation/luminosity"], fields["radiation/rms_energy"]
    at = int(np.searchsorted(mesh.center, 1.0e7))
    published = np.array([48.18e51, 49.40e51])
    # twelve linear-logarithmic bins and other interactions (weak magnetism, no bremsstrahlung): the right size
    np.testing.assert_allclose(luminosity[at, :, 0], published, rtol=0.3)
    np.testing.assert_allclose(rms[at, :, 0], [12.19, 14.85], rtol=0.15)


def test_matter_outside_a_nulib_table_is_refused(table, request):
    profile = Profile.read_table(request.config.rootpath / G15)
    mesh = RadialMesh(profile.native_faces[:80])
    options = TransportOptions(flavors={"mixing": False}, collisions={"source": "nulib", "table": str(table)})
    transport = Transport(mesh, options)
    fluid = profile.on_faces(mesh.face)
    fluid.temperature[70] = 0.01
    with pytest.raises(TableError, match=r"temperature in cell 70 is 0.01 MeV; NuLib table .* covers \["):
        transport.step(fluid, transport.max_dt())
    with pytest.raises(TableError, match=r"temperature in cell 70 is 0.01 MeV; NuLib table .* covers \["):
        transport.solve_steady(fluid)
    assert not transport.state.owned.any()
