"""The small kinetic integrators against exact answers and against other integrators."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.flavor import pmns_matrix
from misci_transport.kernels.quantum_kinetics import law
from misci_transport.verify.kinetics import (
    Collisions,
    Law,
    box_spectrum,
    bulb,
    collisional_growth,
    homogeneous,
    homogeneous_3,
    landau_zener,
    vacuum_axis,
)

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
LAWS = [Law.constant(2.0), Law.linear(1.0, -0.3), Law.exponential(3.0, 0.7), Law.power(2.0, 1.5, -1.3, 0.4)]


def reference(rate, start, times, dtype=np.complex128):
    """States at the times by scipy's own integrator; rate(t, y) in the shape of start."""
    start = np.asarray(start, dtype=dtype)
    run = solve_ivp(
        lambda t, y: rate(t, y.reshape(start.shape)).ravel(),
        (times[0], times[-1]),
        start.ravel(),
        method="DOP853",
        t_eval=times,
        rtol=1e-12,
        atol=1e-13,
    )
    assert run.success
    return np.moveaxis(run.y, -1, 0).reshape(len(times), *start.shape)


def commutator(a, b):
    return -1j * (a @ b - b @ a)


@pytest.mark.parametrize("of_time", LAWS)
def test_laws_are_the_same_in_the_kernel(of_time):
    for t in (0.0, 0.3, 2.0):
        assert law(np.array(of_time.parameters), t) == pytest.approx(float(of_time(t)), rel=1e-15)


@pytest.mark.parametrize("frequency", [0.7, -3.0])
def test_oscillation_in_constant_matter(frequency):
    """V1: P = 1 - sin^2(2 theta_m) sin^2(|H| t/2)."""
    axis, potential = vacuum_axis(0.3, "normal"), 1.1
    times = np.linspace(0.0, 30.0, 13)
    run = homogeneous([frequency], [0.0], [0, 0, 1], axis, matter=Law.constant(potential), times=times, tolerance=1e-11)
    h = frequency * axis + [0.0, 0.0, potential]
    size = np.linalg.norm(h)
    expected = 1.0 - (h[0] / size) ** 2 * np.sin(0.5 * size * times) ** 2
    assert 0.5 * (1.0 + run.polarization[:, 0, 2]) == pytest.approx(expected, abs=1e-8)
    assert run.length_drift < 1e-8


def test_error_and_cost_follow_the_tolerance():
    """Order 8: a hundredth of the tolerance costs 100^(1/8) = 1.78 times the steps, and the error falls as much."""
    times = [0.0, 400.0]
    errors, steps = [], []
    for tolerance in (1e-6, 1e-8, 1e-10):
        run = homogeneous([1.0], [0.0], [0, 0, 1], [1, 0, 0], times=times, tolerance=tolerance)
        errors.append(np.abs(run.polarization[-1, 0] - [0.0, -np.sin(400.0), np.cos(400.0)]).max())
        steps.append(run.steps)
    assert errors[-1] < 1e-8
    assert np.divide(errors[:-1], errors[1:]) == pytest.approx([100.0, 100.0], rel=0.5)
    assert np.divide(steps[1:], steps[:-1]) == pytest.approx([100**0.125] * 2, rel=0.05)


@pytest.mark.parametrize("colliding", [False, True])
def test_two_flavors_against_density_matrices(colliding):
    """The same equations as complex 2 x 2 matrices, by scipy."""
    random = np.random.default_rng(3)
    # 11 modes: not a multiple of the lanes of the sums
    n = 11
    frequency, weight = random.uniform(-1, 1, n), random.uniform(-1, 1, n)
    polarization = random.uniform(-0.5, 0.5, (n, 3))
    trace, rate, equilibrium = random.uniform(0.9, 1.4, n), random.uniform(0, 0.3, n), random.uniform(0, 1, n)
    axis = vacuum_axis(0.2, "inverted")
    matter, mu = Law.exponential(3.0, 5.0), Law.power(6.0, 2.0, -1.5, 1.0)
    times = np.array([0.0, 0.5, 2.0, 6.0])

    def change(t, rho):
        total = np.einsum("i,iab->ab", weight, rho)
        h = 0.5 * (np.einsum("i,k,kab->iab", frequency, axis, PAULI) + matter(t) * PAULI[2]) + mu(t) * total
        result = commutator(h, rho)
        if colliding:
            result[:, 0, 0] += rate * (equilibrium - rho[:, 0, 0])
            result[:, 0, 1] -= 0.5 * rate * rho[:, 0, 1]
            result[:, 1, 0] -= 0.5 * rate * rho[:, 1, 0]
        return result

    start = 0.5 * (trace[:, None, None] * np.eye(2) + np.einsum("ik,kab->iab", polarization, PAULI))
    expected = reference(change, start, times)
    run = homogeneous(
        frequency,
        weight,
        polarization,
        axis,
        matter=matter,
        mu=mu,
        times=times,
        collisions=Collisions(rate, equilibrium, trace) if colliding else None,
        tolerance=1e-11,
    )
    assert run.polarization == pytest.approx(np.einsum("tiab,kba->tik", expected, PAULI).real, abs=1e-8)
    if colliding:
        assert run.trace == pytest.approx(np.trace(expected, axis1=2, axis2=3).real, abs=1e-8)
    else:
        assert run.trace is None
        assert run.length_drift < 1e-8


def test_three_flavors_against_scipy():
    random = np.random.default_rng(4)
    n = 9
    frequency, weight = random.uniform(-1, 1, n), random.uniform(-1, 1, n)
    start = random.normal(size=(n, 3, 3)) + 1j * random.normal(size=(n, 3, 3))
    start = 0.1 * start @ np.swapaxes(start, 1, 2).conj()
    mixing = pmns_matrix(0.6, 0.15, 0.7, 1.1)
    vacuum = mixing @ np.diag([0.0, 0.2, -1.0]) @ mixing.conj().T
    matter, mu = Law.linear(2.0, -0.3), Law.exponential(4.0, 3.0)
    times = np.array([0.0, 1.0, 5.0])
    electron = np.diag([1.0, 0.0, 0.0])

    def change(t, rho):
        h = frequency[:, None, None] * vacuum + matter(t) * electron + mu(t) * np.einsum("i,iab->ab", weight, rho)
        return commutator(h, rho)

    run = homogeneous_3(frequency, weight, start, vacuum, matter=matter, mu=mu, times=times, tolerance=1e-11)
    assert run.density_matrix == pytest.approx(reference(change, start, times), abs=1e-8)
    assert run.purity_drift < 1e-8


def test_bulb_against_scipy():
    frequency, weight = box_spectrum(6, 0.7)
    axis, radius, strength, angles = vacuum_axis(0.1, "inverted"), 2.0, 30.0, 5
    matter = Law.power(4.0, 2.0, -3.0)
    radii = np.array([3.0, 4.0, 8.0])
    emission = (np.arange(angles) + 0.5) / angles

    def change(r, p):
        area = (radius / r) ** 2
        v = np.sqrt(1.0 - emission * area)[:, None]
        s_0 = np.einsum("w,wuk->k", weight, p / v) / angles
        s_1 = np.einsum("w,wuk->k", weight, p) / angles
        h = frequency[:, None, None] * axis + [0.0, 0.0, matter(r)] + strength * area * (s_0 - v * s_1)
        return np.cross(h, p) / v

    start = np.broadcast_to([0.0, 0.0, 1.0], (6, angles, 3))
    run = bulb(
        frequency,
        weight,
        axis,
        radius=radius,
        strength=strength,
        matter=matter,
        radii=radii,
        angles=angles,
        tolerance=1e-11,
    )
    expected = reference(change, start, radii, float)
    assert run.polarization == pytest.approx(expected, abs=1e-8)
    assert run.survival == pytest.approx(0.5 * (1.0 + expected[..., 2]), abs=1e-8)
    assert run.mean_survival == pytest.approx(run.survival.mean(axis=2), rel=1e-14)


@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.3, 1.0, 3.0, 6.0])
def test_landau_zener(gamma):
    assert landau_zener(gamma) == pytest.approx(np.exp(-0.5 * np.pi * gamma), rel=1e-5)


@pytest.mark.parametrize("charge", [0.3, -0.4])
def test_split_of_a_box(charge):
    """V6: box on 0 < w < 2, all P alike with P.B = charge: the split is at w_s = 1 - charge."""
    modes = 80
    frequency = (np.arange(modes) + 0.5) * (2.0 / modes)
    weight = np.full(modes, 1.0 / modes)
    deviation, position = [], []
    for tau in (40.0, 160.0):
        run = homogeneous(
            frequency,
            weight,
            [np.sqrt(1.0 - charge**2), 0.0, charge],
            [0.0, 0.0, 1.0],
            mu=Law.exponential(20.0, tau),
            times=[0.0, tau * np.log(20.0 / 1e-3)],
        )
        last = run.polarization[-1, :, 2]
        assert last @ weight == pytest.approx(charge, abs=1e-12)
        assert run.length_drift < 1e-6
        above = int(np.argmax(last > 0.0))
        position.append(np.interp(0.0, last[above - 1 : above + 1], frequency[above - 1 : above + 1]))
        deviation.append(np.abs(last - np.sign(frequency - (1.0 - charge))).mean())
    assert position[1] == pytest.approx(1.0 - charge, abs=5e-4)
    # sharper by 2.9 here: the width of the edge falls a little slower than 1/tau
    assert deviation[1] < 0.013
    assert deviation[0] / deviation[1] > 2.5


@pytest.mark.parametrize("ordering", ["inverted", "normal"])
def test_split_of_neutrinos_and_antineutrinos(ordering):
    """V5: inverted ordering swaps all antineutrinos and as many neutrinos; normal ordering neither."""
    frequency, weight = box_spectrum(200, 0.7)
    axis, tau = vacuum_axis(0.05, ordering), 40.0
    run = homogeneous(
        frequency,
        weight,
        [0, 0, 1],
        axis,
        mu=Law.exponential(400.0, tau),
        times=[0.0, tau * np.log(400.0 / 1e-3)],
        tolerance=1e-8,
    )
    charge = np.einsum("i,tik,k->t", weight, run.polarization, axis)
    assert charge[1] == pytest.approx(charge[0], abs=1e-12)
    assert run.length_drift < 1e-6
    last = run.polarization[-1] @ axis
    if ordering == "inverted":
        # nu: 1 - 2 w_s, nubar: +0.7, together D.B = 0.3 cos 2 theta
        split = 0.5 * (1.7 - charge[0])
        assert np.abs(last - np.sign(frequency - split)).mean() < 0.06
        assert np.abs(last + 1.0)[frequency < 0.0].mean() < 1e-3
    else:
        # D.B = -0.3 cos 2 theta instead of -0.3: the split cuts 0.00075 off the neutrinos' upper end
        assert np.abs(last + 1.0).mean() < 1e-3
        assert np.abs(last + 1.0)[frequency < 0.5].max() < 1e-3


def test_default_tolerance_is_enough_for_a_split():
    frequency, weight = box_spectrum(200, 0.7)
    runs = [
        homogeneous(
            frequency,
            weight,
            [0, 0, 1],
            vacuum_axis(0.05, "inverted"),
            mu=Law.exponential(400.0, 40.0),
            times=[0.0, 40.0 * np.log(400.0 / 1e-3)],
            **tolerance,
        )
        for tolerance in ({}, {"tolerance": 1e-11})
    ]
    assert np.abs(runs[0].polarization[-1, :, 2] - runs[1].polarization[-1, :, 2]).max() < 1e-6


@pytest.mark.parametrize("dm21", [0.2, 0.03])
def test_split_of_three_flavors(dm21):
    """Inverted ordering: both charges of the mass basis are conserved, nubar_e end in the lightest mass state."""
    frequency, weight = box_spectrum(100, 0.7)
    mixing = pmns_matrix(0.3, 0.1, 0.2, 0.0)
    vacuum = mixing @ np.diag([0.0, dm21, -1.0]) @ mixing.conj().T
    run = homogeneous_3(
        frequency,
        weight,
        np.diag([1.0, 0.0, 0.0]),
        vacuum,
        mu=Law.exponential(400.0, 40.0),
        times=[0.0, 40.0 * np.log(400.0 / 1e-3)],
        tolerance=1e-8,
    )
    in_masses = np.einsum("ak,tiab,bk->tik", mixing.conj(), run.density_matrix, mixing).real
    charges = np.einsum("i,tik->tk", weight, in_masses)
    assert charges[1] == pytest.approx(charges[0], abs=1e-12)
    assert run.purity_drift < 1e-5
    # m_3 is occupied by the antineutrinos, and by as many neutrinos in its place
    assert in_masses[1, frequency < -0.1, 2].min() > 0.95
    assert weight[frequency > 0.0] @ in_masses[1, frequency > 0.0, 2] == pytest.approx(
        charges[0, 2] + weight[frequency < 0.0] @ -in_masses[1, frequency < 0.0, 2], abs=1e-12
    )


def test_three_flavors_with_one_decoupled_are_two():
    frequency, weight = box_spectrum(40, 0.7)
    axis = vacuum_axis(0.05, "inverted")
    vacuum = np.zeros((3, 3), dtype=complex)
    vacuum[:2, :2] = 0.5 * np.einsum("k,kab->ab", axis, PAULI)
    common = {"matter": Law.constant(0.2), "mu": Law.exponential(60.0, 20.0), "times": [0.0, 60.0], "tolerance": 1e-10}
    two = homogeneous(frequency, weight, [0, 0, 1], axis, **common)
    three = homogeneous_3(frequency, weight, np.diag([1.0, 0.0, 0.0]), vacuum, **common).density_matrix
    assert three[..., 0, 0].real - three[..., 1, 1].real == pytest.approx(two.polarization[..., 2], abs=1e-6)
    assert np.abs(three[..., 2]).max() < 1e-14


@pytest.mark.parametrize("asymmetry", [1.3, 2.0])
def test_matter_neutrino_resonance(asymmetry):
    """V8: the two survival probabilities as functions of R = V/mu, with deviations of first order in w/V."""
    a, span, theta = asymmetry, 400.0, 0.05
    start = 0.5 * (a - 1.0)
    slope = (a + 1.2 - start) / span
    times = np.linspace(0.0, span, 41)
    ratio = start + slope * times
    inside = (ratio > a - 1.0) & (ratio < a + 1.0)
    r = ratio[inside]
    expected = 0.5 * np.array([1.0 + (a**2 - r**2 - 1.0) / (2.0 * r), 1.0 + (a**2 + r**2 - 1.0) / (2.0 * a * r)])
    errors = []
    for potential in (500.0, 1500.0):
        run = homogeneous(
            [1.0, -1.0],
            [1.0, -a],
            [0, 0, 1],
            vacuum_axis(theta, "inverted"),
            matter=Law.constant(potential),
            mu=Law.power(potential / slope, 1.0, -1.0, start / slope),
            times=times,
            tolerance=1e-8,
        )
        survival = 0.5 * (1.0 + run.polarization[inside, :, 2].T)
        errors.append(np.abs(survival - expected).max())
    assert errors[1] < 0.005
    assert errors[0] / errors[1] == pytest.approx(3.0, rel=0.2)


@pytest.mark.parametrize("frequency", [0.0, 0.3, -0.3])
def test_collisional_instability_grows_as_predicted(frequency):
    """V9, linear phase: P_x + i P_y ~ exp(-i W t) once the damped root has gone."""
    mu, p, pbar, damping, damping_bar = 1000.0, 0.7, 0.5, 0.025, 0.0075
    roots = collisional_growth(frequency, mu * (p - pbar), mu * (p + pbar), damping, damping_bar)
    # d/dt (S, Sbar) = M (S, Sbar)
    matrix = np.array(
        [
            [1j * frequency - damping - 1j * mu * pbar, 1j * mu * p],
            [-1j * mu * pbar, -1j * frequency - damping_bar + 1j * mu * p],
        ]
    )
    eigenvalues, vectors = np.linalg.eig(matrix)
    key = np.argsort(eigenvalues.real)
    assert np.sort_complex(-1j * roots) == pytest.approx(eigenvalues[key], abs=1e-9)
    growing = vectors[:, key[1]] / np.abs(vectors[:, key[1]]).max() * 1e-5
    times = np.linspace(0.0, 40.0, 21)
    run = homogeneous(
        [frequency, -frequency],
        [1.0, -1.0],
        np.array([growing.real, growing.imag, [p, pbar]]).T,
        [0.0, 0.0, 1.0],
        mu=Law.constant(mu),
        times=times,
        collisions=Collisions([2 * damping, 2 * damping_bar], [1.0, 0.8], [1.3, 1.1]),
        tolerance=1e-12,
    )
    transverse = run.polarization[..., 0] + 1j * run.polarization[..., 1]
    fastest = -1j * roots[np.argmax(roots.imag)]
    assert transverse / growing == pytest.approx(np.repeat(np.exp(fastest * times)[:, np.newaxis], 2, axis=1), rel=2e-4)
    assert np.polyfit(times, np.log(np.abs(transverse[:, 0])), 1)[0] == pytest.approx(fastest.real, rel=1e-4)


def test_growth_without_vacuum_term_and_strong_coupling():
    """(G - Gbar)/2 S/D - (G + Gbar)/2 = 0.03625 for S/D = 6, up to terms in 1/mu."""
    assert collisional_growth(0.0, 200.0, 1200.0, 0.025, 0.0075).imag.max() == pytest.approx(0.03625, rel=1e-6)


def test_collisions_alone_relax():
    times = np.array([0.0, 1.0, 4.0])
    run = homogeneous([0.0], [0.0], [0.3, 0.0, 0.5], [0, 0, 1], times=times, collisions=Collisions(0.4, 0.9, 1.1))
    electron = 0.9 + (0.8 - 0.9) * np.exp(-0.4 * times)
    assert 0.5 * (run.trace + run.polarization[..., 2])[:, 0] == pytest.approx(electron, abs=1e-8)
    assert 0.5 * (run.trace - run.polarization[..., 2])[:, 0] == pytest.approx(0.3, abs=1e-12)
    assert run.polarization[:, 0, 0] == pytest.approx(0.3 * np.exp(-0.2 * times), abs=1e-8)


def test_bulb_splits_and_keeps_its_charge():
    """V7 (R20): all nubar and as many nu swap, B.S_1 is constant, and fewer angles than needed show."""
    frequency, weight = box_spectrum(20, 0.7)
    axis = vacuum_axis(0.05, "inverted")
    common = {"radius": 20.0, "strength": 64000.0, "radii": np.geomspace(60.0, 1200.0, 5)}
    run = bulb(frequency, weight, axis, angles=80, **common)
    charge = np.einsum("w,rwuk,k->r", weight, run.polarization, axis) / 80
    # to round-off: mu_0 A = 7000, thousands of steps
    assert charge == pytest.approx(charge[0], abs=1e-11)
    assert run.length_drift < 1e-4
    last = run.mean_survival[-1]
    split = 0.5 * (1.7 - charge[0])
    assert np.abs(last - (frequency > split)).mean() < 0.015
    assert last[frequency < 0.0].max() < 0.005
    coarse = bulb(frequency, weight, axis, angles=16, **common)
    assert coarse.mean_survival[-1][frequency < 0.0].max() > 0.1


def test_bulb_with_radial_emission_alone_is_homogeneous():
    """Far outside v = 1 for all angles, S_0 = S_1, nothing interacts: a vacuum oscillation in r."""
    frequency, weight = box_spectrum(4, 0.7)
    axis = vacuum_axis(0.3, "inverted")
    run = bulb(
        frequency, weight, axis, radius=1e-3, strength=10.0, radii=[1.0, 21.0], angles=3, tolerance=1e-11
    ).survival[-1]
    expected = 1.0 - np.sin(0.6) ** 2 * np.sin(0.5 * frequency * 20.0) ** 2
    assert run == pytest.approx(np.repeat(expected[:, np.newaxis], 3, axis=1), abs=1e-5)


GAS = {"frequency": [1.0], "weight": [1.0], "polarization": [0.0, 0.0, 1.0], "axis": [0.0, 0.0, 1.0], "times": [0, 1]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": [0.0, 0.0]}, "ascending"),
        ({"times": []}, "accepted: finite ascending"),
        ({"weight": [1.0, 2.0]}, r"weight has shape \(2,\); accepted: \(1,\)"),
        ({"frequency": [np.nan]}, "frequency has shape"),
        ({"axis": [1.0, 0.0]}, "axis has shape"),
        ({"polarization": [0.0, 0.0, np.inf]}, "polarization holds"),
        ({"polarization": [0.0, 0.0, 0.0]}, "state at the start is zero"),
        ({"tolerance": 0.0}, "tolerance is 0.0"),
        ({"collisions": Collisions(0.1, [1.0, 2.0], 1.0)}, "equilibrium has shape"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        homogeneous(**(GAS | changes))


def test_more_bad_input():
    with pytest.raises(ConfigurationError, match="scale of a law is 0"):
        Law.exponential(1.0, 0.0)
    with pytest.raises(ConfigurationError, match="parameters of a law"):
        Law.linear(1.0, np.inf)
    with pytest.raises(ConfigurationError, match="number of modes is 5"):
        box_spectrum(5, 0.7)
    with pytest.raises(ConfigurationError, match="ordering is 'other'"):
        vacuum_axis(0.1, "other")
    with pytest.raises(ConfigurationError, match="gamma, extent"):
        landau_zener(-1.0)
    with pytest.raises(ConfigurationError, match="vacuum is not Hermitian"):
        homogeneous_3([1.0], [1.0], np.eye(3), np.triu(np.ones((3, 3))), times=[0.0, 1.0])
    with pytest.raises(ConfigurationError, match="radius of the sphere is 2"):
        bulb([1.0], [1.0], [0, 0, 1], radius=2.0, strength=1.0, radii=[1.0, 3.0])
    with pytest.raises(ConfigurationError, match="number of angles is 0"):
        bulb([1.0], [1.0], [0, 0, 1], radius=1.0, strength=1.0, radii=[1.0, 3.0], angles=0)


def test_an_integration_that_cannot_go_on_says_so():
    # the law has no value before t = 1
    bad = Law.power(1.0, 1.0, 0.5, -1.0)
    with pytest.raises(ConvergenceError, match="not finite"):
        homogeneous(**(GAS | {"polarization": [0.6, 0.0, 0.8], "mu": bad}))
    # and this one none after it
    ends = Law.power(1.0, -1.0, 0.5, -1.0)
    with pytest.raises(ConvergenceError, match="step became too small"):
        homogeneous(**(GAS | {"polarization": [0.6, 0.0, 0.8], "matter": ends, "times": [0.0, 2.0]}))
