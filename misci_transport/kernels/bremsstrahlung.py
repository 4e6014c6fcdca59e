"""Nucleon-nucleon bremsstrahlung of neutrino pairs: the structure function fitted by Hannestad and Raffelt 1998."""

from __future__ import annotations

import math

import numpy as np

from ..constants import AXIAL_COUPLING, FERMI_CONSTANT, HBAR_C, NUCLEON_MASS
from ..numba_cache import kernel

_PI = math.pi


@kernel(error_model="python")
def spectral_shape(x, y, eta):
    """Return s(x, y, eta), Hannestad and Raffelt 1998, Eqs. 45, 46, 49, 50.

    x = energy/T > 0, y = m_pi^2/(m_N T), eta = p_F^2/(2 m_N T).
    """
    root = math.sqrt(_PI)
    dilute = 2.0 * root * (x + 2.0 - math.exp(-y / 12.0)) ** 1.5 * (x * x + 2.0 * x * y + 5.0 / 3.0 * y * y + 1.0)
    dilute /= root + (_PI**0.125 + x + y) ** 4
    u2 = y / (2.0 * eta)
    u = math.sqrt(u2)
    if u > 300.0:
        # The terms of f cancel to the second order in 1/u^2.
        f = 112.0 / (45.0 * u2 * u2)
    else:
        v = math.sqrt(2.0 * u2 + 4.0)
        f = 1.0 - 5.0 * u / 6.0 * math.atan(2.0 / u) + u2 / (3.0 * (u2 + 4.0))
        f += u2 / (6.0 * v) * math.atan(2.0 * v / u2)
    dense = 3.0 * (0.5 * _PI) ** 2.5 * eta**-2.5 * (x * x + 4.0 * _PI**2) * x / (-4.0 * _PI**2 * math.expm1(-x)) * f
    p = 0.67 + 0.18 * y**0.4
    big_f = 1.0 + 1.0 / ((3.0 + (x - 1.2) ** 2 + x**-4) * (1.0 + eta * eta) * (1.0 + y**4))
    big_g = 1.0 - 0.0044 * x**1.1 * y / (0.8 + 0.06 * y**1.05) * math.sqrt(eta) / (eta + 0.2)
    h = 0.1 * eta / (2.39 + 0.1 * eta**1.1)
    big_c = 1.1 * x**1.1 * h / (2.3 + h * x**0.93 + 0.0001 * x**1.2) * 30.0 / (30.0 + 0.005 * x**2.8)
    if dense > dilute:
        blend = dilute * (1.0 + (dilute / dense) ** p) ** (-1.0 / p)
    else:
        blend = dense * (1.0 + (dense / dilute) ** p) ** (-1.0 / p)
    return blend * big_f * (1.0 + big_c * big_g)


@kernel(error_model="python")
def width_correction(y, eta):
    """Return g(y, eta), Hannestad and Raffelt 1998, Eqs. 52 and 53."""
    z = 25.0 * y * y
    a1 = (0.5 * eta + 1.0) / (eta + 1.0) / (z + 1.0) + (0.5 + eta / 15.6) * z / (z + 1.0)
    a2 = (0.63 + 0.04 * eta**1.45) / (1.0 + 0.02 * eta**2.5)
    a3 = 1.2 * math.exp(0.6 * eta - 0.4 * eta**1.5)
    p1 = (1.8 + 0.45 * eta) / (1.0 + 0.15 * eta**1.5)
    p2 = 2.3 - 0.05 * eta / (1.0 + 0.025 * eta)
    return (a1 + a2 * y**p1) / (1.0 + a3 * y**p2 + a2 * y ** (p1 + 2.0) / 13.75)


@kernel(error_model="python")
def structure_function(total_energy, density, temperature):
    """S_sigma = (1/T) gamma / (x^2 + (gamma g/2)^2) s, x = (E + E')/T: absorption by one kind of nucleon (MeV^-1).

    density cm^-3, energies MeV; Hannestad and Raffelt 1998, Eqs. 35-38.
    """
    eta = HBAR_C**2 * (3.0 * _PI**2 * density) ** (2.0 / 3.0) / (2.0 * NUCLEON_MASS * temperature)
    # So dilute a gas emits nothing; the limit keeps powers of eta finite.
    if eta < 1e-30:
        return 0.0
    gamma = 1.63 * eta**1.5 * temperature / 10.0
    y = 19.4 / temperature
    x = total_energy / temperature
    damping = 0.5 * gamma * width_correction(y, eta)
    return gamma / (x * x + damping * damping) * spectral_shape(x, y, eta) / temperature


@kernel(error_model="python")
def bremsstrahlung(temperature, neutron_density, proton_density, energy, weight, first, second):
    """second_l[g, g'] = weight'/(2 pi^2) (hbar c)^2 G^2 (g_A/2)^2 (3, -1/3)_l sum n S_sigma(E + E').

    first = exp(-(E + E')/T) second; first: production, second: annihilation.

    Sum over nn, pp and 28/3 np (np at the geometric mean density); R is in proportion to 3 - x. S_sigma is normalised
    to integral dw/(2 pi) S_sigma = 1, for which scattering has the rate G^2 E^2 3 (g_A/2)^2 n / pi.
    Matter (cell,) MeV, cm^-3; energy MeV, weight MeV^3 (group,); first, second (cell, 2, group, group') cm^-1, written.
    """
    unit = (0.5 * AXIAL_COUPLING * FERMI_CONSTANT * HBAR_C) ** 2 / (2.0 * _PI**2)
    moments = np.array([3.0, -1.0 / 3.0])
    for c in range(temperature.size):
        t = temperature[c]
        n = neutron_density[c]
        p = proton_density[c]
        mixed = math.sqrt(n * p)
        for g in range(energy.size):
            for h in range(g + 1):
                total = energy[g] + energy[h]
                strength = n * structure_function(total, n, t)
                strength += p * structure_function(total, p, t)
                strength += 28.0 / 3.0 * mixed * structure_function(total, mixed, t)
                balance = math.exp(-total / t)
                for moment in range(2):
                    annihilation = unit * moments[moment] * strength
                    second[c, moment, g, h] = weight[h] * annihilation
                    second[c, moment, h, g] = weight[g] * annihilation
                    first[c, moment, g, h] = weight[h] * annihilation * balance
                    first[c, moment, h, g] = weight[g] * annihilation * balance
