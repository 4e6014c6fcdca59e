"""Annihilation and production of neutrino pairs by electron-positron pairs: Legendre moments of the kernel."""

from __future__ import annotations

import math

import numpy as np

from ..constants import FERMI_CONSTANT, HBAR_C
from ..numba_cache import kernel
from .fermi_gas import fermi
from .panels import add_step, blocking_exponent, sort_points

_NODE, _WEIGHT = np.polynomial.legendre.leggauss(6)
_UNIT = FERMI_CONSTANT**2 / (4.0 * math.pi**3 * HBAR_C)


@kernel(error_model="python")
def _lowest(a, b, e):
    """H_0, H_1 for e below both neutrino energies, a the one that the electron is contracted with."""
    f = 4.0 / 15.0 * e**3
    zero = f * (e * e - 5.0 * e * a + 10.0 * a * a)
    one = (
        12.0 * e**4
        - e**3 * (63.0 * a + 21.0 * b)
        + e * e * a * (126.0 * a + 91.0 * b)
        - e * a * a * (105.0 * a + 140.0 * b)
        + 70.0 * a**3 * b
    )
    return zero, f * one / (7.0 * a * b)


@kernel(error_model="python")
def angular_polynomials(small, large, e, out):
    """Write H_0, H_1 contracted with the smaller, then with the larger neutrino energy, into out (4,) (MeV^5).

    H_l = integral dq x^l <(k.p)^2> over q = |k + k'| from max(large - small, |small + large - 2 e|) to small + large:
    the massless kinematics of Bruenn 1985, Eqs. C63-C74. The electron has e, the positron small + large - e.
    """
    s = small
    b = large
    if e < s:
        out[0], out[1] = _lowest(s, b, e)
        out[2], out[3] = _lowest(b, s, e)
    elif e <= b:
        f = 4.0 / 15.0 * s**3
        out[0] = f * (10.0 * e * e - 5.0 * e * s + s * s)
        out[2] = f * (10.0 * e * e - e * (15.0 * s + 20.0 * b) + 6.0 * s * s + 15.0 * s * b + 10.0 * b * b)
        f /= -7.0 * b
        out[1] = f * (e * e * (63.0 * s + 35.0 * b) - e * s * (42.0 * s + 49.0 * b) + s * s * (9.0 * s + 14.0 * b))
        out[3] = f * (
            e * e * (63.0 * s + 35.0 * b)
            - e * (84.0 * s * s + 147.0 * s * b + 70.0 * b * b)
            + 30.0 * s**3
            + 84.0 * s * s * b
            + 84.0 * s * b * b
            + 35.0 * b**3
        )
    else:
        # The positron is now the soft one: exchange the pair.
        rest = max(s + b - e, 0.0)
        out[0], out[1] = _lowest(b, s, rest)
        out[2], out[3] = _lowest(s, b, rest)


@kernel(error_model="python")
def pair_process(temperature, electron_potential, energy, weight, first_i, second_i, first_ii, second_ii):
    """second_l[g, g'] = weight' G^2/(4 pi^3 hbar c E^2 E'^2) integral_0^{E+E'} dE_- (1 - f_-) (1 - f_+) H_l.

    first = exp(-(E + E')/T) second; first: production, second: annihilation; neutrino in group, antineutrino in group';
    II[g, g'] = I[g', g] but for the weight. I multiplies (C_V + C_A)^2.
    Occupations are those of massive electrons, the rest is massless (as for scattering).
    Matter (cell,) MeV; energy MeV and weight MeV^3 (group,); first and second (cell, 2, group, group') cm^-1, written.
    """
    points = np.empty(32)
    values = np.empty(4)
    total = np.empty(4)
    for c in range(temperature.size):
        t = temperature[c]
        mu = electron_potential[c]
        for g in range(energy.size):
            for h in range(g + 1):
                large = energy[g]
                small = energy[h]
                top = small + large
                points[0] = 0.0
                points[1] = top
                points[2] = small
                points[3] = large
                count = 4
                count = add_step(max(mu, 0.0), t, 0.0, top, points, count)
                sort_points(points, count)
                total[:] = 0.0
                for panel in range(count - 1):
                    half = 0.5 * (points[panel + 1] - points[panel])
                    if half <= 1e-14 * top:
                        continue
                    middle = 0.5 * (points[panel + 1] + points[panel])
                    for i in range(_NODE.size):
                        p = middle + half * _NODE[i]
                        factor = fermi(-blocking_exponent(p, mu, t)) * fermi(-blocking_exponent(top - p, -mu, t))
                        factor *= half * _WEIGHT[i]
                        angular_polynomials(small, large, p, values)
                        for k in range(4):
                            total[k] += factor * values[k]
                unit = _UNIT / (small * small * large * large)
                balance = math.exp(-top / t)
                for moment in range(2):
                    # I contracts the electron with the antineutrino, II with the neutrino.
                    with_small = unit * total[moment]
                    with_large = unit * total[2 + moment]
                    second_i[c, moment, g, h] = weight[h] * with_small
                    second_i[c, moment, h, g] = weight[g] * with_large
                    second_ii[c, moment, g, h] = weight[h] * with_large
                    second_ii[c, moment, h, g] = weight[g] * with_small
                    first_i[c, moment, g, h] = weight[h] * with_small * balance
                    first_i[c, moment, h, g] = weight[g] * with_large * balance
                    first_ii[c, moment, g, h] = weight[h] * with_large * balance
                    first_ii[c, moment, h, g] = weight[g] * with_small * balance
