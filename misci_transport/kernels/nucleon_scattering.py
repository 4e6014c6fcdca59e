"""Isoenergetic scattering on free nucleons."""

from __future__ import annotations

import math

from ..constants import AXIAL_COUPLING, FERMI_CONSTANT, HBAR_C, WEAK_MIXING
from ..numba_cache import kernel
from .fermi_gas import nucleon_blocking

_STRENGTH = FERMI_CONSTANT**2 * HBAR_C**2 / math.pi


@kernel(error_model="python")
def nucleon_scattering(temperature, neutron_density, proton_density, energy, scattering_0, scattering_1):
    """K(x) = S E^2 sum eta (V (1 + x) + A (3 - x)): moments S E^2 sum eta (V + 3 A) and S E^2 sum eta (V - A)/3.

    V = 1/4 (n) or (1/2 - 2 sin^2 theta_W)^2 (p), A = g_A^2/4; eta as of `nucleon_blocking`; Bruenn 1985, C36-C40.
    Matter (cell,) MeV, cm^-3; energy (group,) MeV; scattering_0, scattering_1 (cell, group) cm^-1, added to.
    """
    axial = 0.25 * AXIAL_COUPLING**2
    vector_n = 0.25
    vector_p = (0.5 - 2.0 * WEAK_MIXING) ** 2
    for c in range(temperature.size):
        n = nucleon_blocking(neutron_density[c], temperature[c])
        p = nucleon_blocking(proton_density[c], temperature[c])
        total = n * (vector_n + 3.0 * axial) + p * (vector_p + 3.0 * axial)
        linear = (n * (vector_n - axial) + p * (vector_p - axial)) / 3.0
        for g in range(energy.size):
            unit = _STRENGTH * energy[g] ** 2
            scattering_0[c, g] += unit * total
            scattering_1[c, g] += unit * linear
