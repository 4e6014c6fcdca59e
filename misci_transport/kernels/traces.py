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
def content(carried, diagonal, weight_0, number, energy, out):
    """out[cell, 3]: energy, neutrinos and antineutrinos per volume of carried[cell, direction, species, group, c].

    number, energy[group]: density and energy density of a fully occupied unit of integral(dmu). carried is contiguous.
    """
    cells, directions, species, groups, components = carried.shape
    entries = species * groups * components
    rows = carried.reshape((cells, directions, entries))
    mean = np.empty(entries)
    for i in range(cells):
        mean[:] = 0.0
        for m in range(directions):
            row, w = rows[i, m], weight_0[i, m]
            for e in range(entries):
                mean[e] += w * row[e]
        _weigh(mean, components, diagonal, number, energy, out[i])


@njit(cache=True, error_model="numpy")
def _weigh(mean, components, diagonal, number, energy, out):
    """out[:3] = energy, neutrinos and antineutrinos of mean[entry], entries in the order species, group, component."""
    x, y, z = diagonal[0], diagonal[1], diagonal[2]
    out[0] = 0.0
    e = 0
    for s in range(2):
        out[1 + s] = 0.0
        for g in range(number.size):
            value = mean[e + x] + mean[e + y] + mean[e + z]
            out[0] += energy[g] * value
            out[1 + s] += number[g] * value
            e += components


@njit(cache=True, error_model="numpy")
def difference_moments(after, before, diagonal, weight_0, weight_1, number, energy, out):
    """out[cell, 4]: `content` of after - before, and its energy weighted with w_1.

    Element by element before the sums, so that small differences keep their digits; the arrays are contiguous.
    """
    cells, directions, species, groups, components = after.shape
    entries = species * groups * components
    rows_1, rows_0 = after.reshape((cells, directions, entries)), before.reshape((cells, directions, entries))
    mean, flux, forward = np.empty(entries), np.empty(entries), np.empty(3)
    for i in range(cells):
        mean[:] = 0.0
        flux[:] = 0.0
        for m in range(directions):
            a, b, w0, w1 = rows_1[i, m], rows_0[i, m], weight_0[i, m], weight_1[i, m]
            for e in range(entries):
                difference = a[e] - b[e]
                mean[e] += w0 * difference
                flux[e] += w1 * difference
        _weigh(mean, components, diagonal, number, energy, out[i])
        _weigh(flux, components, diagonal, number, energy, forward)
        out[i, 3] = forward[0]


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
def clip_occupations(populations, weight_0, number, energy, held, added):
    """Clip populations[cell, direction, species, group, level] (contiguous) to [0, 1] in place.

    held, added[cell, 3]: `content` of the result, and what clipping added to it. Returns how many occupations were
    negative and how many above one.
    """
    negative, above = 0, 0
    cells, directions, species, groups, levels = populations.shape
    entries = species * groups * levels
    rows = populations.reshape((cells, directions, entries))
    diagonal = np.arange(3)
    mean, gain = np.empty(entries), np.empty(entries)
    for i in range(cells):
        mean[:] = 0.0
        gain[:] = 0.0
        for m in range(directions):
            row, w = rows[i, m], weight_0[i, m]
            low, high = 0, 0
            for e in range(entries):
                low += row[e] < 0.0
                high += row[e] > 1.0
            if low + high > 0:
                negative += low
                above += high
                for e in range(entries):
                    n = row[e]
                    kept = 0.0 if n < 0.0 else n
                    kept = 1.0 if n > 1.0 else kept
                    gain[e] += w * (kept - n)
                    row[e] = kept
            for e in range(entries):
                mean[e] += w * row[e]
        _weigh(mean, levels, diagonal, number, energy, held[i])
        _weigh(gain, levels, diagonal, number, energy, added[i])
    return negative, above
