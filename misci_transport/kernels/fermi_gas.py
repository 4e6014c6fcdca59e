"""Ideal Fermi gases: electrons with positrons (relativistic) and nucleons (non-relativistic)."""

from __future__ import annotations

import math

import numpy as np

from ..constants import ELECTRON_MASS, HBAR_C, NUCLEON_MASS
from ..numba_cache import kernel

_NODE, _WEIGHT = np.polynomial.legendre.leggauss(16)
_PANEL = 5.0  # panel width in units of T: half of it is less than pi T, the distance of the poles of 1/(e^x + 1)
_TAIL = 40.0  # exp(-40) is below the rounding of the sum


@kernel(error_model="python")
def fermi(x):
    """Return 1 / (exp(x) + 1), without overflow."""
    if x > 0.0:
        e = math.exp(-x)
        return e / (1.0 + e)
    return 1.0 / (1.0 + math.exp(x))


@kernel(error_model="python")
def net_electron_density(chemical_potential, temperature):
    """n(e-) - n(e+) = 1/(pi^2 (hbar c)^3) integral p^2 dp (f_- - f_+), and its derivative by mu.

    MeV -> cm^-3 and cm^-3 MeV^-1; the chemical potential (with rest mass) is >= 0. Relative error < 1e-11.
    """
    mass = ELECTRON_MASS
    mu = chemical_potential
    degenerate = max(mu - mass, 0.0)
    low = max(degenerate - _TAIL * temperature, 0.0)
    panels = math.ceil((degenerate - low) / temperature / _PANEL + _TAIL / _PANEL)
    width = (degenerate + _TAIL * temperature - low) / panels
    a = mu / temperature
    p_low = math.sqrt(low * (low + 2.0 * mass))
    number = p_low**3 / 3.0
    slope = 0.0
    for _ in range(panels):
        high = low + width
        p_high = math.sqrt(high * (high + 2.0 * mass))
        half = 0.5 * (p_high - p_low)
        middle = 0.5 * (p_high + p_low)
        for i in range(_NODE.size):
            p = middle + half * _NODE[i]
            b = math.sqrt(p * p + mass * mass) / temperature
            # f_- - f_+ = sinh a / (cosh a + cosh b): no cancellation when pairs outnumber the net charge.
            top = max(a, b)
            up = math.exp(a - top)
            e_b = math.exp(b - top)
            bottom = up * (1.0 + math.exp(-2.0 * a)) + e_b * (1.0 + math.exp(-2.0 * b))
            measure = half * _WEIGHT[i] * p * p
            number += measure * up * -math.expm1(-2.0 * a) / bottom
            # d/da of the line above is (1 + cosh a cosh b) / (cosh a + cosh b)^2.
            scale = math.exp(-2.0 * top)
            cross = up * (1.0 + math.exp(-2.0 * a)) * e_b * (1.0 + math.exp(-2.0 * b))
            slope += measure * (4.0 * scale + cross) / (bottom * bottom)
        low = high
        p_low = p_high
    unit = 1.0 / (math.pi**2 * HBAR_C**3)
    return number * unit, slope * unit / temperature


@kernel(error_model="python")
def electron_chemical_potential(density, temperature):
    """Solve n(e-) - n(e+) = density for mu_e (MeV, with rest mass).

    density cm^-3 (>= 0), temperature MeV. Safeguarded Newton iteration on ln n, relative error < 1e-10.
    """
    if density <= 0.0:
        return 0.0
    mass = ELECTRON_MASS
    # n = (mu^3 + pi^2 T^2 mu) / (3 pi^2): the massless gas, a lower bound of mu.
    c = 3.0 * math.pi**2 * density * HBAR_C**3
    fermi_momentum = c ** (1.0 / 3.0)
    a = (math.pi * temperature) ** 2
    root = math.sqrt(a / 3.0)
    massless = 2.0 * root * math.sinh(math.asinh(1.5 * c / (a * root)) / 3.0)
    # n = (2/pi^2) m^2 T K_2(m/T) sinh(mu/T): the classical gas, with x^2 K_2(x) e^x bounded by 2 + 2 x + 1.26 x^1.5.
    x = mass / temperature
    log_ratio = math.log(c / (6.0 * temperature**3 * (2.0 + 2.0 * x + 1.26 * x**1.5))) + x
    if log_ratio > 20.0:
        classical = temperature * (log_ratio + math.log(2.0))
    elif log_ratio < -300.0:
        classical = 0.0
    else:
        classical = temperature * math.asinh(math.exp(log_ratio))
    low = 0.0
    high = math.sqrt(fermi_momentum**2 + mass**2) * (1.0 + 1e-12)
    mu = min(max(massless, classical), high)
    target = math.log(density)
    for _ in range(200):
        number, slope = net_electron_density(mu, temperature)
        if number <= 0.0:
            low = mu
            mu = 0.5 * (low + high)
            continue
        miss = target - math.log(number)
        if miss > 0.0:
            low = max(low, mu)
        else:
            high = min(high, mu)
        step = miss * number / slope
        new = mu + step
        if new <= low or new >= high:
            new = 0.5 * (low + high)
        change = abs(new - mu)
        mu = new
        if change <= 1e-12 * mu or high - low <= 1e-15 * high:
            break
    return mu


@kernel(error_model="python")
def nucleon_degeneracy(density, temperature):
    """Solve n = (2 m T)^(3/2) / (2 pi^2 (hbar c)^3) F_{1/2}(eta) for eta = (mu - m)/T; density in cm^-3, T in MeV."""
    unit = (2.0 * NUCLEON_MASS * temperature) ** 1.5 / (2.0 * math.pi**2 * HBAR_C**3)
    log_classical = math.log(density / unit) + math.log(2.0 / math.sqrt(math.pi))
    if log_classical < -30.0:
        return log_classical
    target = density / unit
    # F_{1/2} is below its classical value and above its T = 0 value, which brackets eta.
    low = log_classical
    high = max((1.5 * target) ** (2.0 / 3.0), log_classical + target)
    eta = low
    for _ in range(200):
        bottom = max(eta - _TAIL, 0.0)
        top = max(eta, 0.0) + _TAIL
        panels = math.ceil((top - bottom) / _PANEL)
        width = (top - bottom) / panels
        t_low = math.sqrt(bottom)
        total = 2.0 / 3.0 * t_low**3
        slope = 0.0
        for panel in range(panels):
            t_high = math.sqrt(bottom + (panel + 1) * width)
            half = 0.5 * (t_high - t_low)
            for i in range(_NODE.size):
                t = 0.5 * (t_high + t_low) + half * _NODE[i]
                f = fermi(t * t - eta)
                measure = 2.0 * half * _WEIGHT[i] * t * t
                total += measure * f
                slope += measure * f * fermi(eta - t * t)
            t_low = t_high
        if bottom > 0.0:
            slope += math.sqrt(bottom) * math.exp(-_TAIL)
        miss = math.log(target / total)
        if miss > 0.0:
            low = max(low, eta)
        else:
            high = min(high, eta)
        new = eta + miss * total / slope
        if new < low or new > high:
            new = 0.5 * (low + high)
        change = abs(new - eta)
        eta = new
        if change <= 1e-12 * max(1.0, abs(eta)):
            break
    return eta


@kernel(error_model="python")
def fill_electron_chemical_potential(density, temperature, out):
    """out[c] = mu_e of cell c; density (cell,) cm^-3, temperature (cell,) MeV, out (cell,) MeV."""
    for c in range(density.size):
        out[c] = electron_chemical_potential(density[c], temperature[c])


@kernel(error_model="python")
def fill_nucleon_difference(neutron_density, proton_density, temperature, symmetry, out):
    """out[c] = T (eta_n - eta_p) + symmetry (n_n - n_p); densities cm^-3, symmetry MeV cm^3, out MeV, all (cell,)."""
    for c in range(out.size):
        kinetic = nucleon_degeneracy(neutron_density[c], temperature[c]) - nucleon_degeneracy(
            proton_density[c], temperature[c]
        )
        out[c] = temperature[c] * kinetic + symmetry * (neutron_density[c] - proton_density[c])


@kernel(error_model="python")
def nucleon_blocking(density, temperature):
    """Blocked density eta = n xi / sqrt(1 + xi^2), xi = 3 T / (2 E_F): Mezzacappa and Bruenn 1993 (cm^-3)."""
    if density <= 0.0:
        return 0.0
    fermi_energy = HBAR_C**2 * (3.0 * math.pi**2 * density) ** (2.0 / 3.0) / (2.0 * NUCLEON_MASS)
    xi = 1.5 * temperature / fermi_energy
    return density * xi / math.sqrt(1.0 + xi * xi)
