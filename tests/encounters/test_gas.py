"""The gas against its average, the slow equation, and miscidynamics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from misci_transport.encounters import (
    Group,
    QuasiSteady,
    Setting,
    mean_map,
    miscidynamics,
    modes_of,
    simulate,
    slow_equation,
)
from misci_transport.encounters.slow import Modes
from misci_transport.errors import ConfigurationError

TILTED = (np.sin(2.0), 0.0, np.cos(2.0))


def beams(gamma, n1=60, n2=40, **options):
    first = Group(n1, (0.0, 0.0, 1.0), direction=(0.0, 0.0, 1.0))
    return Setting((first, Group(n2, TILTED, direction=(1.0, 0.0, 0.0))), gamma, **options)


def hemispheres(gamma, n1, n2):
    groups = (Group(n1, (0.0, 0.0, 1.0), cosines=(0.0, 1.0)), Group(n2, TILTED, cosines=(-1.0, 0.0)))
    return Setting(groups, gamma, velocities="kept")


def axis_of(setting):
    total = setting.numbers @ setting.start / setting.size
    return total / np.linalg.norm(total), np.linalg.norm(total)


@pytest.mark.parametrize("velocities", ["directions", "kept", "redrawn"])
def test_total_is_conserved(velocities):
    setting = replace(beams(0.3), velocities=velocities)
    run = simulate(setting, [0, 7, 50], 2)
    total = np.einsum("g,rtgi->rti", setting.numbers, run.polarization)
    np.testing.assert_allclose(total, np.broadcast_to(setting.numbers @ setting.start, total.shape), atol=1e-12)
    assert (np.diff(run.purity.mean(axis=(0, 2))) < 0.0).all()
    assert (np.diff(run.entropy.mean(axis=(0, 2))) > 0.0).all()
    assert run.encounters == 2 * 50 * 50


def test_runs_are_reproducible_and_realizations_differ():
    one, two, other = (simulate(beams(0.2, seed=s), [3, 20], 3).polarization for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-6
    assert np.abs(one[0] - one[1]).max() > 1e-6
    # the number of realizations does not change them
    np.testing.assert_array_equal(simulate(beams(0.2, seed=1), [3, 20], 1).polarization[0], one[0])


@pytest.mark.parametrize(("pairing", "size", "count"), [("random", 1, 400), ("once", 40, 40)])
def test_average_of_realizations_is_the_mean_map(pairing, size, count):
    """With `once` the partners of a life are not independent: few of them of many, or it shows."""
    setting = beams(0.25, 60 * size, 40 * size, pairing=pairing)
    steps = [0, 5, 20, 60]
    run = simulate(setting, steps, count)
    score = (run.mean - mean_map(setting, steps))[1:] / run.error[1:]
    assert np.abs(score).max() < 4.0
    assert np.abs(score).mean() < 1.5


def test_once_means_once():
    with pytest.raises(ConfigurationError, match="at most 99"):
        simulate(beams(0.1, pairing="once"), [100])


def test_full_swap_exchanges_without_entanglement():
    """phi = pi/2: the two leave with each other's flavour, as pure as they came."""
    run = simulate(beams(np.pi / 2), [0, 1, 2])
    np.testing.assert_allclose(run.purity, 1.0, atol=1e-14)
    assert abs(run.polarization[0, 1, 0, 2] - 1.0) > 0.1


def test_vacuum_term_alone_is_a_rotation():
    free = Group(2, (1.0, 0.0, 0.0), frequency=0.7)
    setting = Setting((free,), 0.1, vacuum_axis=(0.0, 0.0, 1.0))
    run = simulate(setting, [0, 30])
    angle = 0.7 * run.times[-1]
    np.testing.assert_allclose(run.polarization[0, 1, 0], [np.cos(angle), np.sin(angle), 0.0], atol=1e-13)
    np.testing.assert_allclose(mean_map(setting, [30])[0, 0], run.polarization[0, 1, 0], atol=1e-13)


def test_mean_map_becomes_the_slow_equation():
    """The error of (N3) at a fixed mu gamma t falls with gamma^2, along J and in the length across it.

    The equation as printed in the slides is wrong by its own order across J: it has one rate of relaxation for both.
    """
    errors, printed = [], []
    for gamma in (0.1, 0.05):
        setting = beams(gamma)
        steps = np.array([0, round(1.0 / gamma**2)])
        axis, _ = axis_of(setting)
        modes, times = modes_of(setting), steps * setting.step
        found = [mean_map(setting, steps)]
        found += [slow_equation(modes, times, printed=p).group_means for p in (False, True)]
        along = [x[-1] @ axis for x in found]
        across = [np.linalg.norm(x[-1] - np.outer(y, axis), axis=1) for x, y in zip(found, along, strict=True)]
        errors.append(max(np.abs(along[1] - along[0]).max(), np.abs(across[1] - across[0]).max()))
        np.testing.assert_allclose(along[2], along[1], atol=1e-8)
        printed.append(np.abs(across[2] - across[0]).max())
    assert errors[0] < 3e-3
    assert errors[1] < errors[0] / 3.5
    assert printed[1] > 0.9 * printed[0] > 0.03


def test_two_rates_of_relaxation_in_a_pure_background():
    """A neutrino among pure ones: what is along them relaxes with ln cos^2 phi, what is across with ln cos phi."""
    groups = (Group(2, (1.0, 0.0, 0.0)), Group(199998, (0.0, 0.0, 1.0), direction=(1.0, 0.0, 0.0)))
    setting = Setting(groups, 0.05)
    steps = np.array([0, 200])
    modes = modes_of(setting)
    slow = slow_equation(modes, steps * setting.step).group_means[-1, 0]
    exact = mean_map(setting, steps)[-1, 0]
    across = np.cos(setting.gamma) ** steps[-1]
    for p in (slow, exact):
        assert np.linalg.norm(p[:2]) == pytest.approx(across, rel=1e-3)
        assert 1.0 - p[2] == pytest.approx(across**2, rel=2e-3)


def test_mean_field_limit():
    """gamma -> 0 at a fixed time: only mean field is left, at first order in gamma."""
    errors = []
    for gamma in (0.02, 0.01):
        setting = beams(gamma)
        steps = np.array([0, round(4.0 / gamma)])
        field = slow_equation(modes_of(setting), steps * setting.step, collisions=False)
        np.testing.assert_allclose(np.linalg.norm(field.polarization, axis=-1), 1.0, atol=1e-8)
        errors.append(np.abs(mean_map(setting, steps) - field.group_means).max())
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("second", [(1.0, 0.0, 0.0), (0.0, 0.0, -1.0)])
def test_miscidynamics_of_two_beams_is_the_slow_equation(second):
    groups = (Group(60, (0.0, 0.0, 1.0)), Group(40, TILTED, direction=second))
    setting = Setting(groups, 0.05)
    modes = modes_of(setting)
    times = np.linspace(0.0, 40.0, 6)
    misci, slow = miscidynamics(modes, times), slow_equation(modes, times)
    axis, length = axis_of(setting)
    np.testing.assert_allclose(misci.group_means @ axis, slow.group_means @ axis, atol=1e-9)
    lengths = [np.linalg.norm(x.polarization, axis=-1) for x in (misci, slow)]
    np.testing.assert_allclose(*lengths, atol=1e-8)
    # the solution of (N3): P_1 - P_2 decays and J stays
    factor = 1.0 - second[2]
    rate = 0.05 * factor**2 * setting.partners
    apart = (misci.group_means[:, 0] - misci.group_means[:, 1]) @ axis
    np.testing.assert_allclose(apart, apart[0] * np.exp(-rate * times), atol=1e-9)
    np.testing.assert_allclose(misci.precession, factor * setting.partners * length, rtol=1e-9)


def test_precession_of_the_gas_is_the_multiplier():
    """Kinematic decoherence, then a quasi-steady state whose Omega the alignment gives."""
    setting = hemispheres(0.01, 1800, 1200)
    # from 0.6 to 1.2 times 1/(mu gamma)
    steps = np.arange(6000, 12001, 20)
    run = simulate(setting, np.concatenate([[0], steps]))
    axis, _ = axis_of(setting)
    aside = np.cross(axis, setting.start[0])
    aside /= np.linalg.norm(aside)
    other = np.cross(aside, axis)
    first = run.polarization[0, :, 0]
    phase = np.unwrap(np.arctan2(first[1:] @ aside, first[1:] @ other))
    omega = np.polyfit(run.times[1:], phase, 1)[0]
    misci = miscidynamics(modes_of(setting, 12), run.times[[0, 1, -1]])
    assert omega == pytest.approx(misci.precession[1:].mean(), rel=0.05)
    # neither that of the total nor that of a neutrino of its group at the beginning
    assert abs(omega / np.linalg.norm(setting.numbers @ setting.start / setting.size) - 1.0) > 0.2
    # neutrinos of a group point in different directions: its mean is shorter than they are
    assert (np.linalg.norm(first[1:60], axis=1) < 0.97 * run.length[0, 1:60, 0]).all()


def test_quasi_steady_states_precess():
    """One state of (N5) under mean field alone turns about J as a whole."""
    modes = modes_of(hemispheres(0.1, 60, 40), 4)
    steady = QuasiSteady(modes)
    assert 0.1 < steady.distance < 0.6
    state, omega = steady.state(steady.lengths)
    times = np.linspace(0.0, 5.0, 4)
    still = replace(modes, start=state)
    moved = slow_equation(still, times, collisions=False, tolerance=1e-12).polarization
    np.testing.assert_allclose(moved @ steady.axis, np.broadcast_to(state @ steady.axis, moved.shape[:2]), atol=1e-9)
    k = steady.axis
    for t, p in zip(times, moved, strict=True):
        along = (state @ k)[:, None] * k
        turned = along + np.cos(omega * t) * (state - along) + np.sin(omega * t) * np.cross(k, state)
        np.testing.assert_allclose(p, turned, atol=1e-9)


def test_miscidynamics_of_many_directions_is_reached_as_gamma_falls():
    """From a quasi-steady state on, (N3) follows (N4) to first order in gamma."""
    errors = []
    for gamma in (0.02, 0.01):
        modes = modes_of(hemispheres(gamma, 60, 40), 6)
        steady = QuasiSteady(modes)
        state, _ = steady.state(steady.lengths)
        still = replace(modes, start=state)
        times = np.linspace(0.0, 1.0, 5) / gamma
        misci = miscidynamics(still, times, tolerance=1e-9)
        slow = slow_equation(still, times, tolerance=1e-9)
        np.testing.assert_allclose(misci.polarization[0] @ steady.axis, state @ steady.axis, atol=1e-9)
        errors.append(np.abs((misci.group_means - slow.group_means) @ steady.axis).max())
    assert errors[0] < 0.03
    assert errors[1] < 0.6 * errors[0]


def test_equilibration_at_last():
    setting = beams(0.3)
    run = simulate(setting, [0, 1000])
    expected = np.broadcast_to(setting.numbers @ setting.start / setting.size, (2, 3))
    np.testing.assert_allclose(run.polarization[0, -1], expected, atol=1e-6)


def test_settings_that_are_refused():
    up = Group(2, (0.0, 0.0, 1.0))
    for wrong, words in (
        ({"gamma": 0.0}, "gamma"),
        ({"velocities": "none"}, "velocities"),
        ({"pairing": "twice"}, "pairing"),
        ({"groups": ()}, "groups"),
        ({"groups": (Group(3, (0.0, 0.0, 1.0)),)}, "even"),
        ({"seed": -1}, "seed"),
        ({"vacuum_axis": (0.0, 0.0, 2.0)}, "vacuum_axis"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            Setting(**({"groups": (up,), "gamma": 0.1} | wrong))
    for wrong, words in (
        ({"number": 0}, "number"),
        ({"polarization": (0.0, 0.0, 1.1)}, "polarization"),
        ({"direction": (0.0, 0.0, 0.9)}, "direction"),
        ({"cosines": (0.5, 0.5)}, "cosines"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            Group(**({"number": 2, "polarization": (0.0, 0.0, 1.0)} | wrong))
    with pytest.raises(ConfigurationError, match="steps"):
        simulate(Setting((up,), 0.1), [3, 2])
    with pytest.raises(ConfigurationError, match="mean map"):
        mean_map(Setting((up,), 0.1, velocities="kept"), [1])


def test_what_miscidynamics_refuses():
    def refused(*groups, **options):
        return modes_of(Setting(tuple(groups), 0.1, **options))

    up, down = Group(2, (0.0, 0.0, 1.0)), Group(2, (0.0, 0.0, -1.0), direction=(1.0, 0.0, 0.0))
    with pytest.raises(ConfigurationError, match="vacuum"):
        QuasiSteady(refused(replace(up, frequency=0.1)))
    with pytest.raises(ConfigurationError, match="two directions"):
        QuasiSteady(refused(up, down, replace(up, direction=(0.0, 1.0, 0.0))))
    with pytest.raises(ConfigurationError, match="total"):
        QuasiSteady(refused(up, down))
    with pytest.raises(ConfigurationError, match="every pair"):
        QuasiSteady(refused(up, down, velocities="redrawn"))
    with pytest.raises(ConfigurationError, match="cosines"):
        modes_of(hemispheres(0.1, 2, 2), 0)


def test_couplings_of_modes():
    modes = modes_of(hemispheres(0.1, 60, 40), 8)
    assert isinstance(modes, Modes)
    # averages over isotropic velocities against random ones
    rng = np.random.default_rng(5)
    azimuth = rng.random(200000) * 2.0 * np.pi
    a, b = modes.cosine[1], modes.cosine[13]
    cosine = a * b + np.sqrt((1 - a * a) * (1 - b * b)) * np.cos(azimuth)
    assert modes.coupling[1, 13] == pytest.approx((1 - cosine).mean(), rel=5e-3)
    assert modes.square[1, 13] == pytest.approx(((1 - cosine) ** 2).mean(), rel=1e-2)
    assert modes.fraction.sum() == pytest.approx(1.0, rel=1e-14)
