"""Moving matter and gravity through the object that hosts hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.constants import SOLAR_MASS, SPEED_OF_LIGHT
from misci_transport.errors import ConfigurationError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import TransportOptions
from misci_transport.physics.frame import Metric
from misci_transport.plugin import Transport

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")

BOTH = {"doppler": True, "gravity": "relativistic"}


def falling(small_star, speed=0.1, **sections):
    """A star with infall outside 150 km."""
    transport, fluid = small_star.transport(24, **sections)
    r = transport.phase_space.mesh.center[transport.decomposition.cells]
    velocity = -speed * SPEED_OF_LIGHT * np.where(r > 1.5e7, np.sqrt(1.5e7 / r), 0.02 * r / 1.5e7)
    return transport, replace(fluid, velocity=velocity)


@pytest.mark.parametrize("flavors", [{"mixing": False}, {"number": 2}])
def test_balances_over_many_steps(small_star, flavors):
    """Lepton number is that of the fluid's loss and of what leaves; energy has the work of the shifts besides."""
    transport, fluid = falling(small_star, flavors=flavors, frame=BOTH)
    exchange = transport.exchange

    def content():
        held = exchange.content(np.ascontiguousarray(transport.state.owned.sum(axis=4)))
        volume = transport.stepper.cell_volume
        return {name: transport.domain.whole * float(volume @ value) for name, value in held.items()}

    given = 0.0
    for _ in range(6):
        dt = transport.max_dt()
        sources = transport.step(fluid, dt)
        # per proper time
        volume = transport.stepper.cell_volume * transport.metric.lapse[transport.decomposition.cells]
        given += transport.domain.whole * dt * float(volume @ sources.lepton_number)
    held, ledger = content(), transport.ledger()
    parts = ("collisions", "inflow", "corrections")
    for name in ("neutrinos", "antineutrinos"):
        assert held[name] == pytest.approx(sum(ledger[f"{part} {name}"] for part in parts), rel=1e-12)
    energy = sum(ledger[f"{part} energy"] for part in parts)
    assert held["energy"] == pytest.approx(energy + ledger["frame work"], rel=1e-12)
    assert abs(ledger["frame work"]) > 1e-5 * held["energy"]
    leptons = ledger["collisions neutrinos"] - ledger["collisions antineutrinos"]
    assert given == pytest.approx(-leptons, rel=1e-10)
    assert ledger["count above one"] == 0.0


def test_time_steps_end_in_the_stationary_state(small_star):
    """Luminosities with both effects, from linear steps with limited shifts and from the linear solve."""
    sections = {
        "flavors": {"mixing": False},
        "frame": BOTH,
        "collisions": {"electron_scattering": False, "pair": False, "bremsstrahlung": False},
    }
    stationary, fluid = falling(small_star, **sections)
    stationary.solve_steady(fluid)
    marching, _ = falling(small_star, **sections)
    marching.state.owned[:] = np.maximum(stationary.state.owned, 0.0)
    for _ in range(250):
        marching.step(fluid, marching.max_dt())
    name = "radiation/luminosity"
    expected, found = (small_star.fields(t)[name][-4:, :, 0] for t in (stationary, marching))
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_gravity_dims_and_infall_brightens(small_star):
    def solved(**frame):
        transport, fluid = falling(small_star, flavors={"mixing": False}, frame=frame)
        transport.solve_steady(fluid)
        return small_star.fields(transport)

    still, doppler, both = solved(), solved(doppler=True), solved(**BOTH)
    assert "frame/lapse" not in still
    name, at = "radiation/luminosity", -2
    # L b^2 with b = 1 - beta, up to what the motion changes where neutrinos decouple
    mesh = small_star.mesh(24)
    beta = -0.1 * np.sqrt(1.5e7 / mesh.face[at])
    brighter = doppler[name][at] / still[name][at]
    np.testing.assert_allclose(brighter, (1.0 - beta) ** 2, rtol=0.03)
    beta = -0.1 * np.sqrt(1.5e7 / mesh.center[at])
    energies = doppler["radiation/mean_energy"][at] / still["radiation/mean_energy"][at]
    np.testing.assert_allclose(energies, 1.0 - beta, rtol=0.02)
    assert (both[name][at] < doppler[name][at]).all()
    assert (np.diff(both["frame/lapse"]) > 0.0).all()
    assert (both["frame/metric_gamma"] < 1.0).all()


def test_steps_respect_the_velocity(small_star):
    still, _ = small_star.transport(24)
    moving, fluid = falling(small_star, frame={"doppler": True})
    assert moving.max_dt() == pytest.approx(still.max_dt() / 1.5)
    moving.step(fluid, moving.max_dt())
    assert still.max_dt() / 1.2 < moving.max_dt() < 1.01 * still.max_dt()


def test_mass_inside_the_mesh(small_star):
    mesh = RadialMesh.logarithmic(5.0e6, 1.0e8, 12)
    fluid = small_star.fluid(mesh, mass_density=np.full(12, 1.0e6))
    options = small_star.options(
        angles={"kind": "ordinates", "directions": 8},
        flavors={"mixing": False},
        frame={"gravity": "relativistic", "inner_mass": 1.4},
    )
    transport = Transport(mesh, options)
    transport.step(fluid, transport.max_dt())
    expected = Metric.of_mass(mesh, fluid.mass_density, 1.4 * SOLAR_MASS)
    np.testing.assert_array_equal(small_star.fields(transport)["frame/lapse"], expected.lapse)
    assert expected.lapse[0] == pytest.approx(0.96, abs=0.01)


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        ({"frame": {"inner_mass": 1.4}}, "inner_mass is 1.4; accepted with gravity"),
        ({"frame": {"doppler": True}, "alignment": {"charges": "mass"}}, "accepted without alignment.charges"),
        ({"frame": {"gravity": "general"}}, "frame.gravity is 'general'"),
    ],
)
def test_options_that_contradict_each_other(sections, text):
    with pytest.raises(ConfigurationError, match=text):
        TransportOptions(**sections)


def test_gravity_needs_a_centre():
    options = TransportOptions(angles={"kind": "ordinates"}, frame={"gravity": "lapse"})
    with pytest.raises(ConfigurationError, match="in plane symmetry"):
        Transport(RadialMesh.uniform(0.0, 1.0, 4, "plane"), options)


def block(**options):
    """Hot matter in shells and angles, which falls and turns."""
    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (1.2e7, np.pi, 2.0 * np.pi), (6, 4, 1), "spherical")
    sections = {
        "angles": {"kind": "product", "levels": 4, "azimuths": 4},
        "energy": {"groups": 6},
        "collisions": {"electron_scattering": False, "pair": False, "bremsstrahlung": False},
    }
    transport = Transport(mesh, TransportOptions.model_validate(sections | options))
    r, theta, _ = mesh.centers.T
    beta = np.stack([-0.1 * np.sin(np.pi * r / 1.2e7), 0.01 * np.sin(2.0 * theta), 0.05 * np.sin(theta)], axis=1)
    one = np.ones_like(r)
    density = 4e13 * np.exp(-r / 1.5e6) + 1e7
    return transport, Fluid(density, 8.0 * np.exp(-r / 6e6), 0.3 * one, beta * SPEED_OF_LIGHT)


@pytest.mark.parametrize("gravity", ["none", "newtonian", "lapse", "relativistic"])
def test_blocks_balance_with_frame_work(gravity):
    mixing = {"number": 2, "mixing": gravity == "relativistic"}
    transport, fluid = block(frame={"doppler": True, "gravity": gravity}, flavors=mixing)
    at_rest, _ = block()
    for _ in range(3):
        sources = transport.step(fluid, transport.max_dt())
    if gravity == "none":
        assert transport.max_dt() < at_rest.max_dt()
    ledger = transport.ledger()
    content = transport.exchange.content(transport.state.owned.sum(axis=4))
    for name in ("energy", "neutrinos", "antineutrinos"):
        balance = sum(ledger[f"{part} {name}"] for part in ("collisions", "inflow", "corrections"))
        balance += ledger["frame work"] if name == "energy" else 0.0
        assert content[name] @ transport.advection.cell_volume == pytest.approx(balance, rel=1e-13)
    assert abs(ledger["frame work"]) > 1e-4 * abs(ledger["collisions energy"])
    fields = {field.name: field.values for field in transport.fields()}
    assert ("frame/lapse" in fields) == (gravity != "none")
    if gravity != "none":
        lapse = fields["frame/lapse"].reshape(4, 6)
        assert (lapse == lapse[0]).all()
        assert (np.diff(lapse[0]) > 0.0).all()
        assert lapse[0, 0] < 0.999
    # sources are per proper time: what collisions gave, summed
    assert np.isfinite(sources.energy).all()


def test_blocks_refuse_what_they_have_not():
    mesh = BlockMesh.uniform((0.0,) * 3, (1.0,) * 3, (3, 1, 1))
    angles = {"kind": "lebedev", "degree": 7}
    with pytest.raises(ConfigurationError, match="in cartesian symmetry"):
        Transport(mesh, TransportOptions(angles=angles, frame={"gravity": "newtonian"}))
    for frame in ({"doppler": True}, {"gravity": "lapse"}):
        transport, fluid = block(frame=frame)
        with pytest.raises(ConfigurationError, match="stationary states on a block mesh"):
            transport.solve_steady(fluid)
        with pytest.raises(ConfigurationError, match="implicit steps"):
            transport.step_implicit(fluid, 1.0e-5)


def test_matter_that_moves_too_fast_leaves_the_state(small_star):
    transport, fluid = falling(small_star, frame={"doppler": True})
    transport.step(fluid, transport.max_dt())
    before = transport.state.owned.copy()
    with pytest.raises(UnphysicalInputError, match="first order in v/c"):
        transport.step(replace(fluid, velocity=6.0 * fluid.velocity), 1.0e-8)
    np.testing.assert_array_equal(transport.state.owned, before)
    transport.step(fluid, transport.max_dt())
