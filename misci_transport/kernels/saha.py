"""Nuclear statistical equilibrium of neutrons, protons, alpha particles and one heavy nucleus, without interactions."""

from __future__ import annotations

import math

from ..constants import HBAR_C, NUCLEON_MASS
from ..numba_cache import kernel

_ALPHA_BINDING = 28.2957  # MeV
_HEAVY_MASS_NUMBER = 56.0
_RATIO_LOW = 0.35  # Z/A of the heavy nucleus follows Y_e between these two
_RATIO_HIGH = 0.5
_DISSOLUTION = 8.0e13  # g/cc, where half of the matter is taken to be free nucleons whatever the temperature
_LOWEST_TEMPERATURE = 0.05  # MeV, below which the composition is that of this temperature


@kernel(error_model="python")
def binding_energy(charge_number):
    """B of A = 56 in MeV: the parabola through 56Cr, 56Fe, 56Ni (488.5, 492.3, 484.0; Wang et al. 2021)."""
    d = charge_number - 26.0
    return 492.26 - 1.125 * d - 1.5025 * d * d


@kernel(error_model="python")
def _fractions(mean, difference, log_quantum, alpha_excess, heavy_excess, charge_number, out):
    """Log mass fractions for ln z_n = mean + difference/2, ln z_p = mean - difference/2 (ratios of n to n_Q)."""
    mass_number = _HEAVY_MASS_NUMBER
    out[0] = math.log(2.0) + mean + 0.5 * difference - log_quantum
    out[1] = math.log(2.0) + mean - 0.5 * difference - log_quantum
    out[2] = math.log(4.0) + 1.5 * math.log(4.0) + 4.0 * mean + alpha_excess - log_quantum
    asymmetry = 0.5 * (mass_number - 2.0 * charge_number) * difference
    out[3] = 2.5 * math.log(mass_number) + mass_number * mean + asymmetry + heavy_excess - log_quantum


@kernel(error_model="python")
def saha(density, number_density, temperature, electron_fraction, out):
    """Mass fractions (n, p, alpha, heavy) and A, Z of the heavy nucleus into out (6,).

    n_i = g_i n_Q A_i^(3/2) exp((N mu_n + Z mu_p + B_i)/T), with sum X_i = 1 and sum X_i Z_i/A_i = Y_e.
    density g/cc, number_density of baryons cm^-3, temperature MeV.
    """
    t = max(temperature, _LOWEST_TEMPERATURE)
    ye = electron_fraction
    ratio = min(max(ye, _RATIO_LOW), _RATIO_HIGH)
    mass_number = _HEAVY_MASS_NUMBER
    charge_number = ratio * mass_number
    out[4] = mass_number
    out[5] = charge_number
    free = 1.0 / (1.0 + (_DISSOLUTION / density) ** 6)
    if ye <= 0.0 or ye >= 1.0 or free > 1.0 - 1e-12:
        out[0] = 1.0 - ye
        out[1] = ye
        out[2] = 0.0
        out[3] = 0.0
        return
    quantum = (NUCLEON_MASS * t / (2.0 * math.pi)) ** 1.5 / HBAR_C**3
    log_quantum = math.log(number_density / quantum)
    alpha = _ALPHA_BINDING / t
    heavy = binding_energy(charge_number) / t
    # Y_e of the equilibrium mixture falls with mu_n - mu_p, and at a fixed difference the total rises with the mean.
    spread = 200.0 + 60.0 / t
    d_low = -spread
    d_high = spread
    for _ in range(100):
        d = 0.5 * (d_low + d_high)
        m_high = 60.0 + abs(log_quantum)
        m_low = -m_high - 2.0 * spread - heavy
        for _ in range(100):
            m = 0.5 * (m_low + m_high)
            _fractions(m, d, log_quantum, alpha, heavy, charge_number, out)
            if max(out[0], out[1], out[2], out[3]) > 1.0:
                too_many = True
            else:
                too_many = math.exp(out[0]) + math.exp(out[1]) + math.exp(out[2]) + math.exp(out[3]) > 1.0
            if too_many:
                m_high = m
            else:
                m_low = m
            if m_high - m_low < 1e-14 * (1.0 + abs(m)):
                break
        charge = math.exp(out[1]) + 0.5 * math.exp(out[2]) + ratio * math.exp(out[3])
        total = math.exp(out[0]) + math.exp(out[1]) + math.exp(out[2]) + math.exp(out[3])
        if charge > ye * total:
            d_low = d
        else:
            d_high = d
        if d_high - d_low < 1e-13 * (1.0 + abs(d)):
            break
    total = 0.0
    for i in range(4):
        out[i] = math.exp(out[i])
        total += out[i]
    charge = (out[1] + 0.5 * out[2] + ratio * out[3]) / total
    for i in range(4):
        out[i] *= (1.0 - free) / total
    # Bound matter with Y_e = charge is dissolved in the proportion free; what rounding left goes to the nucleons.
    out[0] += free * (1.0 - charge)
    out[1] += free * charge
    correction = ye - charge
    if out[0] >= correction and out[1] >= -correction:
        out[0] -= correction
        out[1] += correction


@kernel(error_model="python")
def fill_saha(density, number_density, temperature, electron_fraction, out):
    """`saha` for every cell: inputs (cell,), out (6, cell)."""
    for c in range(density.size):
        saha(density[c], number_density[c], temperature[c], electron_fraction[c], out[:, c])
