"""Charged current on free nucleons: balance, blocking, weak magnetism."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.constants import (
    AXIAL_COUPLING,
    ELECTRON_MASS,
    FERMI_CONSTANT,
    HBAR_C,
    NEUTRON_PROTON_MASS_DIFFERENCE,
)
from misci_transport.kernels.charged_current import blocked_neutrons, charged_current, recoil_factor

ENERGY = np.geomspace(2.0, 200.0, 9)


def evaluate(density, temperature, neutrons, protons, mu_e, muhat, weak_magnetism=False):
    emissivity = np.empty((1, 2, ENERGY.size))
    absorption = np.empty_like(emissivity)
    matter = (np.array([value]) for value in (density, temperature, neutrons, protons, mu_e, muhat))
    charged_current(*matter, ENERGY, weak_magnetism, emissivity, absorption)
    return emissivity[0], absorption[0]


@given(
    temperature=st.floats(0.5, 50.0),
    degeneracy=st.floats(0.0, 8.0),
    muhat=st.floats(-3.0, 8.0),
    density=st.sampled_from([1e8, 3e12, 3e14]),
    weak_magnetism=st.booleans(),
)
def test_detailed_balance_is_exact(temperature, degeneracy, muhat, density, weak_magnetism):
    baryons = density / 1.66e-24
    mu_e, difference = degeneracy * temperature, muhat * temperature
    emissivity, absorption = evaluate(
        density, temperature, 0.7 * baryons, 0.3 * baryons, mu_e, difference, weak_magnetism
    )
    mu_nu = mu_e - NEUTRON_PROTON_MASS_DIFFERENCE - difference
    for species, sign in ((0, 1.0), (1, -1.0)):
        some = absorption[species] > 0.0
        exponent = -(ENERGY[some] - sign * mu_nu) / temperature
        np.testing.assert_allclose(np.log(emissivity[species, some] / absorption[species, some]), exponent, atol=1e-11)


def test_vacuum_cross_section():
    # Neutrons alone, no electrons: n sigma = n G^2/pi (1 + 3 g_A^2) E_e p_e.
    _, absorption = evaluate(1e3, 0.05, 1e27, 1e7, 0.0, 0.05 * np.log(1e20))
    lepton = ENERGY + NEUTRON_PROTON_MASS_DIFFERENCE
    sigma = FERMI_CONSTANT**2 * HBAR_C**2 / np.pi * (1 + 3 * AXIAL_COUPLING**2)
    np.testing.assert_allclose(absorption[0], 1e27 * sigma * lepton * np.sqrt(lepton**2 - ELECTRON_MASS**2), rtol=1e-12)
    # About 9.5e-44 cm^2 (E/MeV)^2 for E >> m_e.
    assert sigma == pytest.approx(9.5e-44, rel=0.05)


def test_emission_is_left_when_no_neutrons_are():
    # A code rounds X_n to zero: protons must still capture electrons.
    baryons = 1e31
    temperature = 0.6
    muhat = temperature * np.log(1e-20 / 0.06)
    emissivity, _ = evaluate(1.6e7, temperature, 1e-20 * baryons, 0.06 * baryons, 3.0, muhat)
    lepton = ENERGY + NEUTRON_PROTON_MASS_DIFFERENCE
    strength = FERMI_CONSTANT**2 * HBAR_C**2 / np.pi * (1 + 3 * AXIAL_COUPLING**2)
    filled = np.exp(-(lepton - 3.0) / temperature)
    expected = 0.06 * baryons * strength * lepton * np.sqrt(lepton**2 - ELECTRON_MASS**2) * filled / (1.0 + filled)
    np.testing.assert_allclose(emissivity[0], expected, rtol=1e-10)


def test_antineutrinos_below_threshold_are_not_absorbed():
    emissivity = np.empty((1, 2, 1))
    absorption = np.empty((1, 2, 1))
    one = np.ones(1)
    charged_current(1e10 * one, one, 1e33 * one, 1e33 * one, one, 0 * one, 1.5 * one, False, emissivity, absorption)
    assert absorption[0, 1, 0] == emissivity[0, 1, 0] == 0.0
    assert absorption[0, 0, 0] > 0.0


@given(ratio=st.floats(-12.0, 12.0), misfit=st.floats(-500.0, 500.0), density=st.sampled_from([1e9, 1e13]))
def test_blocked_targets_are_never_more_than_the_targets(ratio, misfit, density):
    temperature = 2.0
    neutrons, protons = 1e33 * np.exp(ratio), 1e33
    difference = temperature * (ratio + misfit)
    eta = blocked_neutrons(neutrons, protons, difference, density, temperature)
    assert 0.0 <= eta <= neutrons
    assert np.log(max(eta, 1e-300)) - difference / temperature <= np.log(protons) + 1e-9


def test_dilute_nucleons_are_all_targets():
    # Bruenn's eta_np tends to n_n when muhat = T ln(n_n/n_p).
    muhat = 5.0 * np.log(7.0)
    eta = blocked_neutrons(7e33, 1e33, muhat, 5e11, 5.0)
    assert eta == pytest.approx(7e33, rel=1e-12)


def test_recoil_slopes_of_horowitz():
    # Horowitz 2002: 1 + 1.1 E/M for neutrinos and 1 - 7.1 E/M for antineutrinos, with g_A = 1.26.
    step = 1e-4
    mass = 938.918
    assert (recoil_factor(step, 1.0) - 1.0) / step * mass == pytest.approx(1.1, abs=0.15)
    assert (recoil_factor(step, -1.0) - 1.0) / step * mass == pytest.approx(-7.1, abs=0.15)
    assert recoil_factor(300.0, -1.0) > 0.0
