"""Implicit emission, absorption and isoenergetic scattering of a flavour-locked cell, without energy coupling.

    turn f_m + (h/V_m) (G f)_{m+1/2} - (h/V_m) (G f)_{m-1/2} = f*_m + up + s_0 J + 3 s_1 mu_m H

with turn = 1 + h (j + 1/lambda + scattering), up = h j; one pair of unknowns J, H for every (species, group, level).
The innermost loops run over these entries, which lie next to each other in memory.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .angular_sweep import sweep


@njit(cache=True, error_model="numpy")
def entry_rates(h, emissivity, absorption, scattering_0, scattering_1, component, up, turn, back_0, back_1):
    """h times the rates of every entry e = (species group_count + group) level_count + level."""
    species, levels = component.shape
    groups = scattering_0.shape[1]
    e = 0
    for s in range(species):
        for g in range(groups):
            for k in range(levels):
                c = component[s, k]
                up[e] = h * emissivity[s, c, g]
                back_0[e] = h * scattering_0[s, g]
                back_1[e] = 3.0 * h * scattering_1[s, g]
                turn[e] = 1.0 + up[e] + h * absorption[s, c, g] + back_0[e]
                e += 1


@njit(cache=True, error_model="numpy")
def plain_update(start, weight_0, weight_1, cosine, up, turn, back_0, back_1, f):
    """Fill f[direction, entry] for start[direction, entry] without angular redistribution."""
    directions, entries = start.shape
    mean, flux = np.zeros(entries), np.zeros(entries)
    zeroth = first = second = 0.0
    for m in range(directions):
        w0, w1 = 0.5 * weight_0[m], 0.5 * weight_1[m]
        zeroth += w0
        first += w1
        second += w1 * cosine[m]
        for e in range(entries):
            mean[e] += w0 * start[m, e]
            flux[e] += w1 * start[m, e]
    for e in range(entries):
        # (turn - s0 zeroth) J - s1 first H = J* + up zeroth;  -s0 first J + (turn - s1 second) H = H* + up first
        a, b = turn[e] - back_0[e] * zeroth, -back_1[e] * first
        c, d = -back_0[e] * first, turn[e] - back_1[e] * second
        right_0, right_1 = mean[e] + up[e] * zeroth, flux[e] + up[e] * first
        determinant = a * d - b * c
        mean[e] = up[e] + back_0[e] * (d * right_0 - b * right_1) / determinant
        flux[e] = back_1[e] * (a * right_1 - c * right_0) / determinant
    for m in range(directions):
        mu = cosine[m]
        for e in range(entries):
            f[m, e] = (start[m, e] + mean[e] + mu * flux[e]) / turn[e]


@njit(cache=True, error_model="numpy")
def _sweep_entries(source, add, tilt, turn, cosine, h, gamma, diamond, volume, out):
    """kernels.angular_sweep.sweep for every entry: source[direction, entry] + add[entry] + tilt mu on the right."""
    directions, entries = out.shape
    below = np.zeros(entries)
    for m in range(directions):
        low, high, d = h * gamma[m] / volume[m], h * gamma[m + 1] / volume[m], diamond[m]
        constant = tilt * cosine[m]
        if low == 0.0 and (high == 0.0 or m + 1 == directions):
            for e in range(entries):
                out[m, e] = (source[m, e] + add[e] + constant) / (turn[e] + high)
                below[e] = out[m, e]
        elif low == 0.0:
            low_2, high_2, d_2 = h * gamma[m + 1] / volume[m + 1], h * gamma[m + 2] / volume[m + 1], diamond[m + 1]
            following = tilt * cosine[m + 1]
            carried = low_2 + high_2 * (1.0 - d_2) / d_2
            b, c = high * (1.0 - d), -carried * d
            for e in range(entries):
                right, right_2 = source[m, e] + add[e] + constant, source[m + 1, e] + add[e] + following
                a = turn[e] + high * d
                last = turn[e] + high_2 / d_2 - carried * (1.0 - d)
                determinant = a * last - b * c
                value = (last * right - b * right_2) / determinant
                out[m, e] = value
                below[e] = d * value + (1.0 - d) * (a * right_2 - c * right) / determinant
        else:
            mix, scaled, rest = low + high * (1.0 - d) / d, high / d, 1.0 - d
            for e in range(entries):
                value = (source[m, e] + add[e] + constant + mix * below[e]) / (turn[e] + scaled)
                out[m, e] = value
                below[e] = (value - rest * below[e]) / d


@njit(cache=True, error_model="numpy")
def plain_swept_update(start, weight_0, weight_1, cosine, h, up, turn, back_0, back_1, gamma, diamond, volume, f):
    """Fill f[direction, entry] with angular redistribution; an entry that falls below zero takes upwind values.

    Returns how many entries did.
    """
    directions, entries = start.shape
    negative = np.zeros(entries, dtype=np.bool_)
    nothing = np.zeros((directions, entries))
    zero, one = np.zeros(entries), np.ones(entries)
    flat, tilted = np.empty((directions, entries)), np.empty((directions, entries))
    _sweep_entries(start, up, 0.0, turn, cosine, h, gamma, diamond, volume, f)
    _sweep_entries(nothing, one, 0.0, turn, cosine, h, gamma, diamond, volume, flat)
    _sweep_entries(nothing, zero, 1.0, turn, cosine, h, gamma, diamond, volume, tilted)
    sums = np.zeros((6, entries))
    for m in range(directions):
        w0, w1 = 0.5 * weight_0[m], 0.5 * weight_1[m]
        for e in range(entries):
            sums[0, e] += w0 * f[m, e]
            sums[1, e] += w0 * flat[m, e]
            sums[2, e] += w0 * tilted[m, e]
            sums[3, e] += w1 * f[m, e]
            sums[4, e] += w1 * flat[m, e]
            sums[5, e] += w1 * tilted[m, e]
    for e in range(entries):
        a, b = 1.0 - back_0[e] * sums[1, e], -back_1[e] * sums[2, e]
        c, d = -back_0[e] * sums[4, e], 1.0 - back_1[e] * sums[5, e]
        determinant = a * d - b * c
        zero[e] = back_0[e] * (d * sums[0, e] - b * sums[3, e]) / determinant
        one[e] = back_1[e] * (a * sums[3, e] - c * sums[0, e]) / determinant
    for m in range(directions):
        for e in range(entries):
            f[m, e] += zero[e] * flat[m, e] + one[e] * tilted[m, e]
            negative[e] = negative[e] or f[m, e] < 0.0
    fixed = 0
    for e in range(entries):
        if negative[e]:
            fixed += 1
            _upwind_entry(start, weight_0, weight_1, cosine, h, up, turn, back_0, back_1, gamma, diamond, volume, e, f)
    return fixed


@njit(cache=True, error_model="numpy")
def _upwind_entry(start, weight_0, weight_1, cosine, h, up, turn, back_0, back_1, gamma, diamond, volume, e, f):
    """Solve entry e with upwind values in angle, which keep it positive."""
    directions = start.shape[0]
    turnover = np.full(directions, turn[e])
    free, flat, tilted = np.empty(directions), np.empty(directions), np.empty(directions)
    sweep(start[:, e] + up[e], turnover, h, gamma, diamond, volume, True, free)
    sweep(np.ones(directions), turnover, h, gamma, diamond, volume, True, flat)
    sweep(cosine, turnover, h, gamma, diamond, volume, True, tilted)
    j_free = 0.5 * np.sum(weight_0 * free)
    h_free = 0.5 * np.sum(weight_1 * free)
    a = 1.0 - back_0[e] * 0.5 * np.sum(weight_0 * flat)
    b = -back_1[e] * 0.5 * np.sum(weight_0 * tilted)
    c = -back_0[e] * 0.5 * np.sum(weight_1 * flat)
    d = 1.0 - back_1[e] * 0.5 * np.sum(weight_1 * tilted)
    determinant = a * d - b * c
    mean = back_0[e] * (d * j_free - b * h_free) / determinant
    flux = back_1[e] * (a * h_free - c * j_free) / determinant
    for m in range(directions):
        f[m, e] = free[m] + mean * flat[m] + flux * tilted[m]
