"""V3 and V7 with other parameters than their defaults, small enough for every day."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.verify import find
from misci_transport.verify.bulb import box, from_flavor_state, luminosity_bulb


def passed(results):
    wrong = [r for r in results if not r.passed]
    assert results
    assert not wrong, wrong


@pytest.mark.parametrize(("gamma", "theta"), [(0.3, 0.4), (2.0, 0.1), (6.0, 0.3)])
def test_landau_zener_is_flagged(gamma, theta):
    passed(find("V3").run(gamma=gamma, theta=theta, cells=20))


def test_bulb_against_kinetics():
    passed(find("V7").run(case="R20", angles=80, energies=20, cells=200, evolve="no", stability="no"))


def test_bulb_of_given_luminosities():
    passed(find("V7").run(case="luminosity", theta=0.1, angles=80, energies=40, cells=150, evolve="no"))


def test_luminosities_are_those_asked_for():
    """1e51 erg/s each: mean energies of Fermi-Dirac spectra with eta = 3, F_3/F_2 = 3.5985 T."""
    bulb = luminosity_bulb(0.1, 4, 400, 10)
    numbers = bulb.emission.sum(axis=1)
    # bins from 1.5 to 60 MeV hold nearly all
    expected = np.array([[1.0, 2.76 / 6.26], [2.76 / 4.01, 2.76 / 6.26]])
    np.testing.assert_allclose(numbers / numbers[0, 0], expected, rtol=2e-2)


def test_symmetric_bulb_begins_farther_inside():
    near, far = (from_flavor_state(box("R20", a, 0.05, 8, 8, 20)) for a in (0.95, 0.7))
    assert far.inner == 60.0
    assert near.inner < 60.0
