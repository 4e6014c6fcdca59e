"""Saha equilibrium: conservation and limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.constants import ATOMIC_MASS_UNIT, HBAR_C, NUCLEON_MASS
from misci_transport.kernels.saha import binding_energy, saha


def composition(density, temperature, electron_fraction):
    out = np.empty(6)
    saha(density, density / ATOMIC_MASS_UNIT, temperature, electron_fraction, out)
    return out


@given(
    log_density=st.floats(-12.0, 15.0),
    log_temperature=st.floats(-4.0, 2.0),
    electron_fraction=st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.35, 0.5, 1.0])),
)
def test_baryons_and_charge_are_conserved(log_density, log_temperature, electron_fraction):
    x = composition(10.0**log_density, 10.0**log_temperature, electron_fraction)
    assert (x[:4] >= 0.0).all()
    assert x[:4].sum() == pytest.approx(1.0, abs=1e-12)
    charge = x[1] + 0.5 * x[2] + x[3] * x[5] / x[4]
    assert charge == pytest.approx(electron_fraction, abs=1e-9)


def test_law_of_mass_action_of_alpha_particles():
    density, temperature = 1e9, 0.9
    x = composition(density, temperature, 0.45)
    number = density / ATOMIC_MASS_UNIT * x[:3] / np.array([1.0, 1.0, 4.0])
    quantum = (NUCLEON_MASS * temperature / (2 * np.pi)) ** 1.5 / HBAR_C**3
    right = 4.0**1.5 * (number[0] * number[1] / 4.0) ** 2 / quantum**3 * np.exp(28.2957 / temperature)
    assert x[2] > 1e-3
    assert number[2] == pytest.approx(right, rel=1e-8)


def test_limits():
    hot = composition(1e9, 5.0, 0.4)
    np.testing.assert_allclose(hot[:2], [0.6, 0.4], atol=1e-6)
    cold = composition(1e9, 0.2, 0.45)
    assert cold[3] > 0.9999
    dense = composition(4e14, 10.0, 0.3)
    np.testing.assert_allclose(dense[:4], [0.7, 0.3, 0.0, 0.0], atol=1e-3)


def test_binding_energies():
    # 56Cr, 56Fe, 56Ni of the atomic mass evaluation; a liquid drop below them, where none is stable.
    np.testing.assert_allclose([binding_energy(z) for z in (24.0, 26.0, 28.0)], [488.5, 492.26, 484.0], atol=0.05)
    assert binding_energy(0.35 * 56) == pytest.approx(431.0, rel=0.03)
