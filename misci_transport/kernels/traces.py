"""Sums over flavours, and occupations kept in range.

``diagonal`` holds the three components whose sum is the trace: the levels, or the diagonal elements of a density
matrix and the unmixed flavour.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def trace(carried, diagonal, out):
    """out[cell, direction, species, group] = sum of carried[..., c] over the components c in ``diagonal``."""
    cells, directions, species, groups = out.shape
    x, y, z = diagonal[0], diagonal[1], diagonal[2]
    for i in range(cells):
        for m in range(directions):
            for s in range(species):
                row = carried[i, m, s]
                for g in range(groups):
                    out[i, m, s, g] = row[g, x] + row[g, y] + row[g, z]


@njit(cache=True, error_model="numpy")
def trace_difference(after, before, diagonal, out):
    """trace(after - before), element by element before the sum, so that small differences keep their digits."""
    cells, directions, species, groups = out.shape
    x, y, z = diagonal[0], diagonal[1], diagonal[2]
    for i in range(cells):
        for m in range(directions):
            for s in range(species):
                a, b = after[i, m, s], before[i, m, s]
                for g in range(groups):
                    out[i, m, s, g] = (a[g, x] - b[g, x]) + (a[g, y] - b[g, y]) + (a[g, z] - b[g, z])


@njit(cache=True, error_model="numpy")
def content(carried, diagonal, weight_0, number, energy, out):
    """out[cell, 3]: energy, neutrinos and antineutrinos per volume of carried[cell, direction, species, group, c].

    number, energy[group]: density and energy density of a fully occupied unit of integral(dmu).
    """
    cells, directions, species, groups, _ = carried.shape
    x, y, z = diagonal[0], diagonal[1], diagonal[2]
    mean = np.empty(groups)
    for i in range(cells):
        out[i, 0] = 0.0
        for s in range(species):
            mean[:] = 0.0
            for m in range(directions):
                row, w = carried[i, m, s], weight_0[i, m]
                for g in range(groups):
                    mean[g] += w * (row[g, x] + row[g, y] + row[g, z])
            out[i, 1 + s] = np.dot(number, mean)
            out[i, 0] += np.dot(energy, mean)


@njit(cache=True, error_model="numpy")
def trace_moments(trace_values, weight_0, weight_1, number, energy, out):
    """Sums of trace_values[cell, direction, species, group] into out[cell, 4].

    Weighted with w_0 times energy, w_0 times number (neutrinos, then antineutrinos), and w_1 times energy.
    """
    cells, directions, species, groups = trace_values.shape
    mean, flux = np.empty(groups), np.empty(groups)
    for i in range(cells):
        out[i, 0] = 0.0
        out[i, 3] = 0.0
        for s in range(species):
            mean[:] = 0.0
            flux[:] = 0.0
            for m in range(directions):
                row, w0, w1 = trace_values[i, m, s], weight_0[i, m], weight_1[i, m]
                for g in range(groups):
                    mean[g] += w0 * row[g]
                    flux[g] += w1 * row[g]
            out[i, 1 + s] = np.dot(number, mean)
            out[i, 0] += np.dot(energy, mean)
            out[i, 3] += np.dot(energy, flux)


@njit(cache=True, error_model="numpy")
def level_densities(populations, weight, number, out):
    """out[cell, species, level] = sum_m weight sum_g number n_k."""
    cells, directions, species, groups, levels = populations.shape
    out[:] = 0.0
    for i in range(cells):
        for m in range(directions):
            for s in range(species):
                for g in range(groups):
                    w = weight[i, m] * number[g]
                    for k in range(levels):
                        out[i, s, k] += w * populations[i, m, s, g, k]


@njit(cache=True, error_model="numpy")
def combine(start, factor, rate, out):
    """out = start + factor * rate for arrays of one shape, flattened."""
    for j in range(out.size):
        out[j] = start[j] + factor * rate[j]


@njit(cache=True, error_model="numpy")
def combine_two(start, factor, rate_1, rate_2, out):
    """out = start + factor * (rate_1 + rate_2) for arrays of one shape, flattened."""
    for j in range(out.size):
        out[j] = start[j] + factor * (rate_1[j] + rate_2[j])


@njit(cache=True, error_model="numpy")
def clip_occupations(populations, added):
    """Clip populations[cell, direction, species, group, level] to [0, 1] in place.

    added[cell, direction, species, group]: what that adds to the trace. Returns how many were negative and
    how many above one.
    """
    negative, above = 0, 0
    cells, directions, species, groups, levels = populations.shape
    for i in range(cells):
        for m in range(directions):
            for s in range(species):
                for g in range(groups):
                    total = 0.0
                    for k in range(levels):
                        n = populations[i, m, s, g, k]
                        if n < 0.0:
                            negative += 1
                            total -= n
                            populations[i, m, s, g, k] = 0.0
                        elif n > 1.0:
                            above += 1
                            total += 1.0 - n
                            populations[i, m, s, g, k] = 1.0
                    added[i, m, s, g] = total
    return negative, above
