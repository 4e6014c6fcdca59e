"""Matter that answers to its exchange with neutrinos within a step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from misci_transport.constants import ATOMIC_MASS_UNIT, ERG_PER_MEV
from misci_transport.energy import EnergyGrid
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import TransportOptions
from misci_transport.physics.boundary import Boundary
from misci_transport.physics.microphysics.builtin import builtin_rates
from misci_transport.physics.microphysics.equation_of_state import complete
from misci_transport.physics.response import displaced, heat_capacities
from misci_transport.plugin import Transport


def matter(density=1e12, temperature=8.0, fraction=0.2, cells=2, **extra):
    y = np.full(cells, fraction)
    zero = np.zeros(cells)
    composition = {
        "neutron_fraction": 1.0 - y, "proton_fraction": y.copy(), "alpha_fraction": zero.copy(),
        "heavy_fraction": zero.copy(), "heavy_mass_number": zero + 1.0, "heavy_charge_number": zero + 1.0,
    }  # fmt: skip
    return Fluid(np.full(cells, density), np.full(cells, temperature), y, zero.copy(), **composition, **extra)


def box(response, cells=2, width=1e6):
    options = TransportOptions.model_validate(
        {
            "angles": {"kind": "ordinates", "directions": 2},
            "flavors": {"mixing": False},
            "collisions": {
                "response": response, "electron_scattering": False, "pair": False, "bremsstrahlung": False,
            },
            "energy": {"groups": 10},
        }
    )  # fmt: skip
    mesh = RadialMesh.uniform(0.0, cells * width, cells, "plane")
    return Transport(mesh, options, boundary=Boundary("reflecting", "reflecting"))


def march(response, steps, fluid, width=1e7):
    """Temperatures and electron fractions of a closed box whose host takes over the sources."""
    transport = box(response, width=width)
    dt = transport.max_dt()
    capacity, by_fraction = heat_capacities(fluid)
    history = []
    for _ in range(steps):
        sources = transport.step(fluid, dt)
        dy = sources.lepton_number * dt * ATOMIC_MASS_UNIT / fluid.mass_density
        de = sources.energy * dt / ERG_PER_MEV
        temperature = fluid.temperature + (de - by_fraction * dy) / capacity
        moved = displaced(fluid, temperature - fluid.temperature, dy)
        fluid = replace(moved, electron_chemical_potential=None, nucleon_potential_difference=None)
        history.append((fluid.temperature[0], fluid.electron_fraction[0]))
    return np.array(history), transport, fluid


def test_heat_capacity_of_nucleons_and_radiation():
    """Hot and thin: e+-, photons: C_T = 4 (7/4 + 1) pi^2/15 T^3; cold and dense: 3/2 n_B beside the electrons."""
    hot = matter(density=1e4, temperature=20.0, fraction=0.5)
    expected = 4.0 * (1.75 + 1.0) * np.pi**2 / 15.0 * (20.0 / 1.973269804e-11) ** 3
    np.testing.assert_allclose(heat_capacities(hot)[0], expected, rtol=1e-3)
    dense = matter(density=1e12, temperature=1.0, fraction=1e-3)
    nucleons = 1.5 * 1e12 / ATOMIC_MASS_UNIT
    assert heat_capacities(dense)[0][0] == pytest.approx(nucleons, rel=0.3)
    given = replace(dense, heat_capacity=np.full(2, 3.0), energy_by_electron_fraction=np.full(2, 5.0))
    by_temperature, by_fraction = heat_capacities(given)
    np.testing.assert_allclose(by_temperature, 3.0 / ERG_PER_MEV)
    np.testing.assert_allclose(by_fraction, 5.0 / ERG_PER_MEV)


def test_displaced_matter_keeps_charge_and_moves_given_potentials():
    energy = EnergyGrid.logarithmic(2.0, 100.0, 6)
    fluid = matter()
    dt, dy = np.full(2, 0.1), np.full(2, 0.01)
    moved = displaced(fluid, dt, dy)
    np.testing.assert_allclose(moved.proton_fraction, moved.electron_fraction)
    np.testing.assert_allclose(moved.neutron_fraction + moved.proton_fraction, 1.0)
    # with the potentials given the rates must move as they do without
    whole = complete(fluid)
    free, fixed = builtin_rates(moved, energy), builtin_rates(displaced(whole, dt, dy), energy)
    np.testing.assert_allclose(fixed.emissivity, free.emissivity, rtol=1e-6)


def test_stiff_exchange_neither_oscillates_nor_misses_equilibrium():
    """A box of dense matter with steps of many exchange times: with the response T and Y_e settle monotonously."""
    start = matter(density=2e12, temperature=8.0, fraction=0.25)
    quiet, transport, _ = march("on", 40, start)
    assert transport.ledger()["count responses cut"] == 0
    # each quantity runs to its value without turning back by more than a hundredth of the way
    for column in quiet.T:
        way = np.abs(column[-1] - column[0])
        turns = np.diff(column) * np.sign(column[-1] - column[0])
        assert turns.min() >= -0.02 * way
    assert np.abs(np.diff(quiet[-5:], axis=0)).max() < 1e-3
    # and there emission and absorption balance: nu_e are Fermi-Dirac at T and mu_e - muhat - Q
    rates = transport._collisions.rates
    kappa = rates.emissivity + rates.absorption
    equilibrium = rates.emissivity[0, 0, 0] / kappa[0, 0, 0]
    found = transport.state.owned[0, :, 0, :, 2].mean(axis=0)
    np.testing.assert_allclose(found, equilibrium, atol=5e-3)


def test_without_the_response_the_same_steps_oscillate():
    start = matter(density=2e12, temperature=8.0, fraction=0.25)
    loud, _, _ = march("off", 12, start)
    quiet, _, _ = march("on", 12, start)
    swing = [np.abs(np.diff(np.sign(np.diff(h[:, 1])))).sum() for h in (loud, quiet)]
    assert swing[0] > swing[1]


def test_gentle_exchange_is_left_alone():
    """Where nothing changes by more than 1e-4 in a step the result is bit for bit that without a response."""
    start = matter(density=1e8, temperature=2.0, fraction=0.3)
    with_response, without = box("on", width=1e4), box("off", width=1e4)
    for transport in (with_response, without):
        transport.step(start, transport.max_dt())
    # only the first guess differs, and plain collisions need none
    np.testing.assert_array_equal(with_response.state.owned, without.state.owned)


def test_the_ledger_closes_with_a_response():
    start = matter(density=2e12)
    transport = box("on", width=1e7)
    transport.step(start, transport.max_dt())
    ledger = transport.ledger()
    content = transport.exchange.content(transport.state.owned.sum(axis=4))
    for name in ("energy", "neutrinos", "antineutrinos"):
        held = content[name] @ transport.phase_space.mesh.volume
        booked = sum(ledger[f"{part} {name}"] for part in ("collisions", "inflow", "corrections"))
        assert held == pytest.approx(booked, rel=1e-13)
