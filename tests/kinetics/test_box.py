"""Boxes of the kinetic equation: exact answers, orders, conservation, collisions, and ends."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.kinetics import (
    KineticBox,
    KineticCollisions,
    KineticSetup,
    angular_spectrum,
    directions,
    flavor_state,
    plane_wave,
    random_waves,
    refractive_energy,
)
from misci_transport.verify.kinetics import Collisions, Law, homogeneous, vacuum_axis

THETA, OMEGA = 0.3, 0.8


def vacuum(n_flavors=2, omega=OMEGA):
    """w B . sigma/2 with B = (sin 2 theta, 0, -cos 2 theta), the third flavour decoupled."""
    packed = np.zeros(n_flavors**2)
    packed[0], packed[1] = -0.5 * omega * np.cos(2.0 * THETA), 0.5 * omega * np.cos(2.0 * THETA)
    packed[n_flavors] = 0.5 * omega * np.sin(2.0 * THETA)
    return packed[None]


def pure_electron(directions_, n_flavors=2):
    state = np.zeros((directions_, 2, 1, n_flavors**2))
    state[..., 0] = 1.0
    return state


def two_beams(cells, *, length=2.0 * np.pi, amplitude=1.0e-2, pairs=0.0):
    v, weight = directions("beams", 2)
    setup = KineticSetup(v, weight, np.zeros((1, 4)), strength=1.0, cells=cells, length=length, boundary="periodic")
    state = flavor_state(angular_spectrum("beams", v), pairs=pairs)
    x = (np.arange(cells) + 0.5) * setup.cell_width
    return KineticBox(setup, plane_wave(state, x, -1.0, amplitude))


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_oscillation_in_vacuum_of_both_species(n_flavors):
    setup = KineticSetup([0.0], [1.0], vacuum(n_flavors))
    box = KineticBox(setup, pure_electron(1, n_flavors))
    for _ in range(30):
        box.step(0.7)
        expected = 1.0 - np.sin(2.0 * THETA) ** 2 * np.sin(0.5 * OMEGA * box.time) ** 2
        assert np.abs(box.average()[0, :, 0, 0] - expected).max() < 1.0e-13


def test_whole_step_is_of_second_order_for_beams_and_for_fractions_of_cells():
    """Two waves, so that |P| varies; beams shift by whole cells, the other directions by fractions."""
    for v, cfl in (([-1.0, 1.0], 1.0), ([-0.9, 0.1, 0.7], 0.8)):
        excess = angular_spectrum("array", v, nu=np.linspace(-0.5, 0.5, len(v)), nubar=0.1)
        results = []
        for cells in (32, 64, 128, 512):
            setup = KineticSetup(
                v, np.ones(len(v)), vacuum(), strength=1.0, cells=cells, length=6.0, boundary="periodic"
            )
            x = (np.arange(cells) + 0.5) * setup.cell_width
            start = random_waves(flavor_state(excess, pairs=0.1), x, 6.0, amplitude=0.05, modes=2, seed=4)
            box = KineticBox(setup, start)
            steps = round(3.0 / (cfl * setup.cell_width))
            box.march(steps, 3.0 / steps)
            waves = np.fft.rfft(box.density_matrix, axis=-1)[..., :6] / cells
            # centres of cells differ from mesh to mesh
            results.append(waves * np.exp(-1j * np.pi * np.arange(6) / cells))
        errors = np.array([np.abs(r - results[-1]).max() for r in results[:-1]])
        orders = np.log2(errors[:-1] / errors[1:])
        assert orders[-1] == pytest.approx(2.0, abs=0.25)


def test_beams_conserve_every_trace_and_the_integrals():
    box = two_beams(40, pairs=0.1)
    before, leptons = box.trace_powers(), box.lepton_numbers().sum()
    entropy = box.entropy()
    box.march(400, box.setup.cell_width)
    assert np.abs(box.trace_powers() - before).max() < 1.0e-14
    assert box.entropy() == pytest.approx(entropy, abs=1.0e-12)
    assert box.lepton_numbers().sum() == pytest.approx(leptons, abs=1.0e-14)
    low, high = box.length_range()
    assert np.abs(high[:, 0] - low[:, 0]).max() < 1.0e-13


def test_energy_that_is_missing_is_kinetic():
    """U_osc of Eq. (5) plus the integral of dK/dt, Eq. (22), stays flat at second order while U_osc changes sign."""
    errors = []
    for cells in (32, 64, 128):
        box = two_beams(cells)
        dt = box.setup.cell_width
        found = [refractive_energy(box)]
        for _ in range(round(8.0 / dt)):
            box.step(dt)
            found.append(refractive_energy(box))
        energy = np.array([e.refractive for e in found])
        rate = np.array([e.kinetic_rate for e in found])
        gained = np.concatenate([[0.0], np.cumsum(0.5 * dt * (rate[1:] + rate[:-1]))])
        assert energy.max() > 0.9 * abs(energy[0])
        errors.append(np.abs(energy + gained - energy[0]).max())
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx([2.0, 2.0], abs=0.2)
    assert errors[-1] < 2.0e-3


def test_collisional_gas_agrees_with_the_adaptive_integrator():
    """V9: emission and absorption at constant rates, dense self-interaction, neutrinos and antineutrinos."""
    axis = vacuum_axis(0.2, "normal")
    rate, equilibrium = np.array([0.05, 0.015]), np.array([1.0, 0.8])
    packed = np.array([[0.15 * axis[2], -0.15 * axis[2], 0.15 * axis[0], 0.0]])
    emission, absorption = np.zeros((2, 1, 2)), np.zeros((2, 1, 2))
    emission[:, 0, 0], absorption[:, 0, 0] = rate * equilibrium, rate * (1.0 - equilibrium)
    start = np.array([0.9, 0.7])
    state = np.zeros((1, 2, 1, 4))
    state[0, :, 0, 0], state[0, :, 0, 1] = start, 0.3
    setup = KineticSetup([0.0], [1.0], packed, strength=20.0, collisions=KineticCollisions(emission, absorption))
    box = KineticBox(setup, state)
    reference = homogeneous(
        [0.3, -0.3],
        [1.0, -1.0],
        np.stack([np.zeros(2), np.zeros(2), start - 0.3], axis=1),
        axis,
        mu=Law.constant(20.0),
        times=[0.0, 20.0],
        collisions=Collisions(rate, equilibrium, start + 0.3),
    )
    errors = []
    for steps in (4000, 8000):
        box = KineticBox(setup, state)
        box.march(steps, 20.0 / steps)
        found = box.average()[0, :, 0]
        assert reference.trace is not None
        expected = 0.5 * (reference.trace[-1] + reference.polarization[-1, :, 2])
        errors.append(np.abs(found[:, 0] - expected).max())
    assert errors[-1] < 1.0e-5
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.3)


def test_scattering_makes_isotropic_and_keeps_numbers():
    v, weight = directions("gauss", 6)
    state = flavor_state(angular_spectrum("linear", v))
    collisions = KineticCollisions(0.0, 0.0, scattering=np.full((2, 1), 0.5))
    box = KineticBox(KineticSetup(v, weight, np.zeros((1, 4)), collisions=collisions), state)
    before = box.average()
    box.march(10, 0.2)
    after = box.average()
    mean = np.einsum("m,m...->...", weight / 2.0, before)
    assert np.abs(after - (mean + (before - mean) * np.exp(-1.0))).max() < 1.0e-14


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_open_box_becomes_stationary_along_its_rays(n_flavors):
    """Beams that enter and oscillate: P(x) = 1 - sin^2 2theta sin^2(w x/2v), for whole cells and for fractions."""
    v = np.array([1.0, -0.5, 0.8])
    inflow = pure_electron(3, n_flavors)
    setup = KineticSetup(v, np.ones(3), vacuum(n_flavors), cells=40, length=5.0, boundary="open", inflow=inflow)
    box = KineticBox(setup, np.zeros_like(inflow))
    box.march(160, setup.cell_width)
    path = np.stack([box.position, 2.0 * (5.0 - box.position), box.position / 0.8])
    expected = 1.0 - np.sin(2.0 * THETA) ** 2 * np.sin(0.5 * OMEGA * path) ** 2
    errors = np.abs(box.density_matrix[:, :, 0, 0] - expected[:, None]).max(axis=(1, 2))
    assert errors[0] < 1.0e-13
    assert errors.max() < 1.0e-5


def test_open_box_with_self_interaction_is_of_second_order():
    """A stationary state of counter-streaming beams, against the finest mesh at the same places."""
    found = {}
    for cells in (20, 40, 80, 320):
        v = np.array([0.9, -0.6])
        inflow = pure_electron(2)
        inflow[:, 1, :, 0] = 0.5
        setup = KineticSetup(
            v, np.array([1.0, 0.4]), vacuum(), strength=0.7, cells=cells, length=2.0, boundary="open", inflow=inflow
        )
        box = KineticBox(setup, inflow)
        box.march(6 * cells, setup.cell_width)
        # at the faces of the coarsest cells, by the four cells around each
        f = box.density_matrix
        at = np.arange(1, 10) * cells // 10
        found[cells] = (9.0 * (f[..., at - 1] + f[..., at]) - f[..., at - 2] - f[..., at + 1]) / 16.0
    errors = [np.abs(found[cells] - found[320]).max() for cells in (20, 40, 80)]
    assert np.log2(errors[1] / errors[2]) > 1.7
    assert errors[-1] < 1.0e-3


def test_outflow_is_stable_and_leaves_nothing_behind():
    random = np.random.default_rng(3)
    v = np.array([0.95, -0.3, 0.1])
    setup = KineticSetup(
        v, np.ones(3), np.zeros((1, 4)), cells=24, length=1.0, boundary="open", inflow=np.zeros((3, 2, 1, 4))
    )
    box = KineticBox(setup, random.uniform(size=(3, 2, 1, 4, 24)))
    for _ in range(12):
        box.march(200, 0.9 * setup.cell_width)
        assert np.abs(box.density_matrix).max() < 3.0
    assert np.abs(box.density_matrix).max() < 1.0e-8


def test_strength_may_depend_on_time():
    """Fast decrease of the strength: second order, and the constant one is a special case."""
    state = flavor_state(np.array([[1.0, 0.5], [0.4, 0.2]]))
    state[..., 2] = 0.05
    common = {"cosine": [0.1, 0.8], "weight": [1.0, 1.0], "vacuum": vacuum()}
    errors = []
    results = []
    for steps in (50, 100, 800):
        box = KineticBox(KineticSetup(**common, strength=lambda t: 3.0 * np.exp(-t)), state)
        box.march(steps, 3.0 / steps)
        results.append(box.average())
    errors = [np.abs(r - results[-1]).max() for r in results[:-1]]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.3)
    boxes = [KineticBox(KineticSetup(**common, strength=s), state) for s in (2.0, lambda _: 2.0)]
    for box in boxes:
        box.march(5, 0.1)
    assert np.array_equal(boxes[0].average(), boxes[1].average())


def test_random_seeds_are_those_of_the_paper():
    x = (np.arange(256) + 0.5) * 100.0 / 256
    state = flavor_state(angular_spectrum("beams", np.array([-1.0, 1.0])))
    seeded = random_waves(state, x, 100.0, amplitude=1.0e-4, modes=100, seed=1)
    assert np.array_equal(seeded[..., :2, :], np.broadcast_to(state[..., :2, None], seeded[..., :2, :].shape))
    assert not seeded[:, 1].any()
    waves = np.fft.rfft(2.0 * seeded[:, 0, 0, 2:], axis=-1) / 256
    assert np.abs(waves[..., 101:]).max() < 1.0e-16
    assert np.sqrt(np.mean(np.abs(waves[..., 1:101]) ** 2)) == pytest.approx(1.0e-4, rel=0.15)
    half = random_waves(state, x[:128], 100.0, amplitude=1.0e-4, modes=100, seed=1)
    assert np.array_equal(half, seeded[..., :128])


def test_gaussian_spectra_have_the_mean_that_is_asked_for():
    v, weight = directions("gauss", 64)
    found = angular_spectrum("gaussians", v, sigma=0.6, sigma_bar=0.5, asymmetry=0.9)
    assert 0.5 * (found @ weight) == pytest.approx([1.0, 0.9], rel=1.0e-10)
    assert directions("midpoint", 4)[0] == pytest.approx([-0.75, -0.25, 0.25, 0.75])
    assert angular_spectrum("polynomials", [0.5], nu=[1.0, 2.0], nubar=[0.5])[:, 0] == pytest.approx([2.0, 0.5])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"boundary": "closed"}, "boundary is 'closed'; accepted: homogeneous, periodic, open"),
        ({"cells": 0}, "cells, length are 0"),
        ({"cosine": [2.0]}, "cosine reaches 2"),
        ({"weight": [1.0, 2.0]}, r"weight has shape \(2,\)"),
        ({"vacuum": np.zeros((1, 5))}, r"vacuum has shape \(1, 5\)"),
        ({"strength": 1.0, "matter_potential": [np.nan]}, "matter_potential holds a number"),
        ({"boundary": "open"}, "inflow is missing"),
        ({"inflow": np.zeros((1, 2, 1, 4))}, "inflow is given"),
        ({"collisions": KineticCollisions([-1.0, 0.0], 0.0)}, "emission has a rate that is negative"),
        ({"collisions": KineticCollisions(np.zeros((2, 3, 2)), 0.0)}, "emission has shape"),
    ],
)
def test_refused_setups(changes, words):
    given = {"cosine": [0.5], "weight": [1.0], "vacuum": np.zeros((1, 4)), **changes}
    with pytest.raises(ConfigurationError, match=words):
        KineticSetup(**given)


def test_refused_states_and_steps():
    setup = KineticSetup([0.5], [1.0], np.zeros((1, 4)), cells=8, boundary="periodic")
    with pytest.raises(ConfigurationError, match="density_matrix has shape"):
        KineticBox(setup, np.zeros((1, 2, 1, 9)))
    with pytest.raises(ConfigurationError, match="not finite"):
        KineticBox(setup, np.full((1, 2, 1, 4), np.inf))
    box = KineticBox(setup, np.zeros((1, 2, 1, 4)))
    with pytest.raises(ConfigurationError, match="dt is -1"):
        box.step(-1.0)
    with pytest.raises(ConfigurationError, match="angular spectrum is 'flat'"):
        angular_spectrum("flat", [0.0])
    with pytest.raises(ConfigurationError, match="no parameter 'width'"):
        angular_spectrum("linear", [0.0], width=1.0)
    with pytest.raises(ConfigurationError, match="number of directions"):
        directions("beams", 3)
    box.density_matrix[...] = np.inf
    with pytest.raises(ConvergenceError, match="not finite after step"), np.errstate(all="ignore"):
        box.march(1, 0.01)
