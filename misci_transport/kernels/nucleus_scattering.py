"""Coherent isoenergetic scattering on nuclei."""

from __future__ import annotations

import math

from ..constants import FERMI_CONSTANT, HBAR_C, WEAK_MIXING
from ..numba_cache import kernel

_STRENGTH = FERMI_CONSTANT**2 * HBAR_C**2 / math.pi


@kernel(error_model="python")
def form_factor_moments(y):
    """1/2 integral_{-1}^{1} x^l (1 + x) exp(-y (1 - x)) dx for l = 0, 1 (1 and 1/3 at y = 0)."""
    if y < 1.0:
        # Power series: the closed form cancels to the third order in y.
        i0 = 0.0
        i1 = 0.0
        i2 = 0.0
        term = 2.0
        for k in range(26):
            i0 += term / (k + 1)
            i1 += 2.0 * term / (k + 2)
            i2 += 4.0 * term / (k + 3)
            term *= -2.0 * y / (k + 1)
    else:
        e = math.exp(-2.0 * y)
        i0 = (1.0 - e) / y
        i1 = (1.0 - e * (1.0 + 2.0 * y)) / y**2
        i2 = (2.0 - e * (4.0 * y * y + 4.0 * y + 2.0)) / y**3
    return 0.5 * (2.0 * i0 - i1), 0.5 * (2.0 * i0 - 3.0 * i1 + i2)


@kernel(error_model="python")
def nucleus_scattering(number_density, mass_number, charge_number, energy, scattering_0, scattering_1):
    """K(x) = S E^2 n W^2 (1 + x) exp(-y (1 - x)), W = Z (1/2 - 2 sin^2 theta_W) - N/2, y = 4 b E^2.

    b = 4.8e-6 A^(2/3) MeV^-2; Bruenn 1985, Eqs. C41-C45. number_density (cell,) cm^-3, A and Z (cell,);
    energy (group,) MeV; scattering_0, scattering_1 (cell, group) cm^-1, added to.
    """
    for c in range(number_density.size):
        if number_density[c] <= 0.0:
            continue
        charge = charge_number[c] * (0.5 - 2.0 * WEAK_MIXING) - 0.5 * (mass_number[c] - charge_number[c])
        b = 4.8e-6 * mass_number[c] ** (2.0 / 3.0)
        for g in range(energy.size):
            zero, one = form_factor_moments(4.0 * b * energy[g] ** 2)
            unit = _STRENGTH * energy[g] ** 2 * number_density[c] * charge**2
            scattering_0[c, g] += unit * zero
            scattering_1[c, g] += unit * one
