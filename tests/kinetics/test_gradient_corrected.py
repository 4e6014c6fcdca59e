"""The missing energy: what the gradient-corrected equation conserves, to which order, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.kinetics.gradient_corrected import Beam, GradientCorrectedBeams

LENGTH = 20.0
TWO = (Beam(100.0, 6.0, 0.5), Beam(-100.0, 6.0, 0.5))
FOUR = (Beam(100.0, 6.0, 0.5), Beam(-100.0, 6.0, 0.3), Beam(80.0, 6.0, 0.2, 60.0), Beam(-85.0, 6.0, 0.4, 60.0))


def seeded(gas, size=0.02):
    """Flavours nu_e and nu_x in turn, tilted a little by waves."""
    z = 2.0 * np.pi * gas.position / gas.length
    pol = np.zeros((len(gas.beams), 3, gas.cells))
    for beam in range(len(gas.beams)):
        for c in range(2):
            for n in (2, 3, 5):
                pol[beam, c] += size * np.cos(n * z + 1.7 * beam + 2.1 * c + n)
        pol[beam, 2] = (-1.0) ** beam * np.sqrt(1.0 - pol[beam, 0] ** 2 - pol[beam, 1] ** 2)
    return gas.fill(pol)


def march(beams, cells, spacing, dt, time):
    gas = GradientCorrectedBeams(beams, LENGTH, cells, spacing)
    state = seeded(gas)
    before = gas.totals(state)
    for _ in range(round(time / dt)):
        gas.step(state, dt)
    return gas, state, before, gas.totals(state)


@pytest.mark.parametrize("beams", [TWO, FOUR], ids=["two", "four"])
def test_kinetic_energy_pays_for_refractive(beams):
    _, _, before, after = march(beams, 96, 2.0, 0.05, 5.0)
    gain = after.oscillation - before.oscillation
    assert abs(gain) > 1.0
    assert after.kinetic - before.kinetic == pytest.approx(
        -(after.refractive - before.refractive), abs=2e-6 * abs(gain)
    )
    # the part with numbers changes only as far as they do
    assert after.refractive - before.refractive == pytest.approx(gain, rel=2e-4)
    assert after.number == pytest.approx(before.number, rel=1e-11)
    assert after.square == pytest.approx(before.square, rel=1e-6)


def test_conservation_is_of_the_order_of_the_step():
    def errors(dt):
        _, _, before, after = march(TWO, 96, 2.0, dt, 4.0)
        return abs(after.energy - before.energy), abs(after.square / before.square - 1.0)

    coarse, fine = errors(0.1), errors(0.05)
    for big, small in zip(coarse, fine, strict=True):
        assert 3.5 < np.log2(big / small) < 6.0


def test_entropy_is_not_conserved():
    """FRS24 (S24) is no identity for matrices that do not commute: third moments and entropy move, squares do not."""
    _, _, before, after = march(TWO, 96, 2.0, 0.05, 5.0)
    assert abs(after.cube / before.cube - 1.0) > 1e-4
    assert abs(after.entropy / before.entropy - 1.0) > 1e-4
    assert abs(after.square / before.square - 1.0) < 1e-6


def flavors(width, across):
    """P_z of each beam after a while, all its momenta together."""
    beams = [Beam(sign * 30.0 * width, width, 0.5, across * 30.0 * width) for sign in (1.0, -1.0)]
    gas = GradientCorrectedBeams([*beams, Beam(45.0 * width, width, 0.2)], LENGTH, 96, width / 2.0)
    state = seeded(gas)
    for _ in range(60):
        gas.step(state, 0.05)
    ends = zip(gas.first[:-1], gas.first[1:], strict=True)
    return np.array([state[3, low:high].sum(axis=0) * gas.spacing for low, high in ends])


def test_forces_do_not_change_the_flavor_of_beams_along_the_axis():
    """The force is the same for all momenta of such a beam: it moves them, and their sum obeys the usual equation."""
    assert np.abs(flavors(6.0, 0.0) - flavors(600.0, 0.0)).max() < 1e-12  # the ends hold 1e-11


def test_corrections_vanish_for_wide_spectra():
    far = flavors(2.0e5, 0.5)
    near, nearer = (np.abs(flavors(width, 0.5) - far).max() for width in (20.0, 40.0))
    assert nearer < 1e-3
    assert 0.9 < np.log2(near / nearer) < 1.2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cells": 8}, "cells is 8; accepted: 9 or more"),
        ({"reach": 3.0}, "reach is 3; accepted: at least"),
        ({"beams": (Beam(10.0, 6.0, 0.5),)}, "beam 0: momenta reach from"),
    ],
)
def test_what_is_refused(change, words):
    given = {"beams": TWO, "length": LENGTH, "cells": 96, "spacing": 2.0, **change}
    with pytest.raises(ConfigurationError, match=words):
        GradientCorrectedBeams(
            given["beams"], given["length"], given["cells"], given["spacing"], reach=given.get("reach", 7.0)
        )


def test_polarizations_are_checked():
    gas = GradientCorrectedBeams(TWO, LENGTH, 96, 2.0)
    with pytest.raises(ConfigurationError, match="accepted: \\(2, 3, 96\\)"):
        gas.fill(np.zeros((2, 3, 95)))
    with pytest.raises(ConfigurationError, match="longer than 1"):
        gas.fill(np.ones((2, 3, 96)))
