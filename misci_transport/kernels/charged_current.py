"""Neutrino absorption and emission by free nucleons."""

from __future__ import annotations

import math

from ..constants import (
    AXIAL_COUPLING,
    ELECTRON_MASS,
    FERMI_CONSTANT,
    HBAR_C,
    NEUTRON_PROTON_MASS_DIFFERENCE,
    NUCLEON_MASS,
)
from ..numba_cache import kernel
from .fermi_gas import fermi, nucleon_blocking

_STRENGTH = FERMI_CONSTANT**2 * HBAR_C**2 / math.pi  # cm^2 MeV^-2
_ANOMALOUS = 3.706  # F_2 = difference of the anomalous magnetic moments of proton and neutron
_DEGENERATE_DENSITY = 1.0e11  # g/cc, below which the nucleons' blocking is left out


@kernel(error_model="python")
def blocked_neutrons(neutron_density, proton_density, difference, mass_density, temperature):
    """Return eta_np = (n_p - n_n) / (exp(-muhat/T) - 1), Bruenn 1985 Eq. C14 (cm^-3).

    The blocked protons are eta_np exp(-muhat/T).

    Never more than the targets there are: eta_np <= n_n and eta_pn <= n_p. This bound is the answer below 1e11 g/cc
    and whenever the difference given does not fit the composition.
    """
    m = difference / temperature
    bound = min(neutron_density, proton_density * math.exp(min(m, 600.0)))
    if mass_density < _DEGENERATE_DENSITY:
        return bound
    if abs(m) < 1e-6:
        return min(bound, nucleon_blocking(neutron_density, temperature))
    eta = (neutron_density - proton_density) / -math.expm1(-min(max(m, -600.0), 600.0))
    if eta > 0.0 and eta < bound:
        return eta
    return bound


@kernel(error_model="python")
def recoil_factor(energy, sign):
    """Weak magnetism and recoil of the charged current, Horowitz 2002 Eq. 22; sign is +1 (nu) or -1 (nubar)."""
    e = energy / NUCLEON_MASS
    g = AXIAL_COUPLING
    f2 = _ANOMALOUS
    top = (
        (1.0 + 4.0 * e + 16.0 / 3.0 * e * e)
        + 3.0 * g * g * (1.0 + 4.0 / 3.0 * e) ** 2
        + sign * 4.0 * (1.0 + f2) * g * e * (1.0 + 4.0 / 3.0 * e)
        + 8.0 / 3.0 * f2 * e * e
        + 5.0 / 3.0 * e * e * (1.0 + 0.4 * e) * f2 * f2
    )
    return top / ((1.0 + 3.0 * g * g) * (1.0 + 2.0 * e) ** 3)


@kernel(error_model="python")
def charged_current(
    mass_density,
    temperature,
    neutron_density,
    proton_density,
    electron_potential,
    difference,
    energy,
    weak_magnetism,
    emissivity,
    absorption,
):
    """1/lambda = S (1 + 3 g_A^2) eta E_e^2 sqrt(1 - (m_e/E_e)^2) (1 - F(E_e)), Bruenn 1985 Eqs. C13-C20.

    E_e = E + Q (neutrinos on neutrons) or E - Q > m_e (antineutrinos on protons), S = G_F^2 (hbar c)^2 / pi;
    emissivity / absorption = exp(-(E -+ mu_nu)/T), mu_nu = mu_e - Q - muhat.
    Matter arrays (cell,): g/cc, MeV, cm^-3; energy (group,) MeV; both outputs (cell, 2, group) cm^-1, written.
    """
    strength = _STRENGTH * (1.0 + 3.0 * AXIAL_COUPLING**2)
    split = NEUTRON_PROTON_MASS_DIFFERENCE
    for c in range(temperature.size):
        t = temperature[c]
        m = difference[c] / t
        neutrons = blocked_neutrons(neutron_density[c], proton_density[c], difference[c], mass_density[c], t)
        # The larger exponent goes with the smaller of the two, so neither overflows.
        protons = min(proton_density[c], neutrons * math.exp(min(-m, 600.0)))
        for g in range(energy.size):
            lepton = energy[g] + split
            rate = strength * lepton * math.sqrt(lepton**2 - ELECTRON_MASS**2)
            if weak_magnetism:
                rate *= recoil_factor(energy[g], 1.0)
            x = (lepton - electron_potential[c]) / t
            absorption[c, 0, g] = rate * neutrons * fermi(-x)
            emissivity[c, 0, g] = rate * protons * fermi(x)
            lepton = energy[g] - split
            if lepton <= ELECTRON_MASS:
                absorption[c, 1, g] = 0.0
                emissivity[c, 1, g] = 0.0
                continue
            rate = strength * lepton * math.sqrt(lepton**2 - ELECTRON_MASS**2)
            if weak_magnetism:
                rate *= recoil_factor(energy[g], -1.0)
            x = (lepton + electron_potential[c]) / t
            absorption[c, 1, g] = rate * protons * fermi(-x)
            emissivity[c, 1, g] = rate * neutrons * fermi(x)
