"""Inelastic scattering of neutrinos on electrons and positrons: Legendre moments of the kernel."""

from __future__ import annotations

import math

import numpy as np

from ..constants import ELECTRON_MASS, FERMI_CONSTANT, HBAR_C
from ..numba_cache import kernel
from .fermi_gas import fermi
from .panels import add_step, blocking_exponent, momentum, sort_points

_NODE, _WEIGHT = np.polynomial.legendre.leggauss(6)

#: weight' R_l / (hbar c) with R_l = G^2 / (2 pi w^2 v^2) integral and states w'^2 dw' / (2 pi^2): MeV^-4 (MeV cm)^-1.
_UNIT = FERMI_CONSTANT**2 / (4.0 * math.pi**3 * HBAR_C)


@kernel(error_model="python")
def angular_polynomials(w, v, e, out):
    """Write H_0^I, H_1^I, H_0^II, H_1^II of w -> v <= w into out (4,), target energy e (MeV^5).

    H_l = integral dq x^l <(k.p)^2> (I) or <(k'.p)^2> (II) over q from w - v to min(w + v, 2 e + w - v), averaged
    over the azimuth about q: the massless kinematics of Yueh and Buchler 1977 (Bruenn 1985, Eqs. C50-C62).
    """
    if e < v:
        f = 4.0 / 15.0 * e**3
        out[0] = f * (e * e + 5.0 * e * w + 10.0 * w * w)
        out[2] = f * (e * e - 5.0 * e * v + 10.0 * v * v)
        f /= 7.0 * v * w
        e2 = e * e
        e3 = e2 * e
        out[1] = f * (
            -12.0 * e * e3
            + e3 * (21.0 * v - 63.0 * w)
            + e2 * w * (91.0 * v - 126.0 * w)
            + e * w * w * (140.0 * v - 105.0 * w)
            + 70.0 * v * w**3
        )
        out[3] = f * (
            -12.0 * e * e3
            + e3 * (63.0 * v - 21.0 * w)
            + e2 * v * (91.0 * w - 126.0 * v)
            + e * v * v * (105.0 * v - 140.0 * w)
            + 70.0 * v**3 * w
        )
    else:
        f = 4.0 / 15.0 * v**3
        out[0] = f * (10.0 * e * e + e * (20.0 * w - 15.0 * v) + 6.0 * v * v - 15.0 * v * w + 10.0 * w * w)
        out[2] = f * (10.0 * e * e - 5.0 * e * v + v * v)
        f /= 7.0 * w
        out[1] = f * (
            e * e * (63.0 * v - 35.0 * w)
            + e * (-84.0 * v * v + 147.0 * v * w - 70.0 * w * w)
            + 30.0 * v**3
            - 84.0 * v * v * w
            + 84.0 * v * w * w
            - 35.0 * w**3
        )
        out[3] = f * (e * e * (63.0 * v - 35.0 * w) + e * v * (49.0 * w - 42.0 * v) + v * v * (9.0 * v - 14.0 * w))


@kernel(error_model="python")
def add_target(w, v, chemical_potential, temperature, points, values, swap, out):
    """Add integral dp f(E) (1 - f(E')) H(p) over the target's momentum to out (4,), p' = p + w - v (MeV^6).

    E = sqrt(p^2 + m_e^2): the occupations are those of massive electrons, which keeps their number right where T < m_e;
    the matrix element and the kinematics are massless. swap exchanges I and II (positrons). points, values: scratch.
    """
    mu = chemical_potential
    t = temperature
    transfer = w - v
    edge = max(mu, ELECTRON_MASS)
    low = momentum(max(mu - transfer - 30.0 * t, 0.0))
    high = momentum(edge + 30.0 * t)
    count = 2
    points[0] = low
    points[1] = high
    if v > low and v < high:
        points[count] = v
        count += 1
    count = add_step(edge, t, low, high, points, count)
    if mu - transfer + 30.0 * t > ELECTRON_MASS and transfer > 0.0:
        count = add_step(mu - transfer, t, low, high, points, count)
    sort_points(points, count)
    for panel in range(count - 1):
        half = 0.5 * (points[panel + 1] - points[panel])
        if half <= 1e-14 * high:
            continue
        middle = 0.5 * (points[panel + 1] + points[panel])
        for i in range(_NODE.size):
            p = middle + half * _NODE[i]
            factor = fermi(blocking_exponent(p, mu, t)) * fermi(-blocking_exponent(p + transfer, mu, t))
            factor *= half * _WEIGHT[i]
            angular_polynomials(w, v, p, values)
            if swap:
                out[0] += factor * values[2]
                out[1] += factor * values[3]
                out[2] += factor * values[0]
                out[3] += factor * values[1]
            else:
                for k in range(4):
                    out[k] += factor * values[k]


@kernel(error_model="python")
def electron_scattering(temperature, electron_potential, energy, weight, first_i, second_i, first_ii, second_ii):
    """first_l[g, g'] = weight' G^2/(4 pi^3 hbar c E^2 E'^2) integral dE_e f (1 - f') H_l: out-scattering.

    Unit amplitudes; I multiplies (C_V + C_A)^2 for neutrinos, II (C_V - C_A)^2. Up-scattering and in-scattering
    follow from detailed balance, R(E' -> E) = exp((E' - E)/T) R(E -> E').
    Matter (cell,) MeV; energy MeV and weight MeV^3 (group,); first and second (cell, 2, group, group') cm^-1, written.
    """
    points = np.empty(32)
    values = np.empty(4)
    total = np.empty(4)
    for c in range(temperature.size):
        t = temperature[c]
        for g in range(energy.size):
            for h in range(g + 1):
                w = energy[g]
                v = energy[h]
                total[:] = 0.0
                add_target(w, v, electron_potential[c], t, points, values, False, total)
                add_target(w, v, -electron_potential[c], t, points, values, True, total)
                unit = _UNIT / (w * w * v * v)
                up = math.exp((v - w) / t)
                for moment in range(2):
                    down_i = unit * total[moment]
                    down_ii = unit * total[2 + moment]
                    first_i[c, moment, g, h] = weight[h] * down_i
                    first_i[c, moment, h, g] = weight[g] * down_i * up
                    second_i[c, moment, h, g] = weight[g] * down_i
                    second_i[c, moment, g, h] = weight[h] * down_i * up
                    first_ii[c, moment, g, h] = weight[h] * down_ii
                    first_ii[c, moment, h, g] = weight[g] * down_ii * up
                    second_ii[c, moment, h, g] = weight[g] * down_ii
                    second_ii[c, moment, g, h] = weight[h] * down_ii * up
