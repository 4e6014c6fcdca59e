"""Sums over flavours, and occupations kept in range.

``diagonal`` holds the three components whose sum is the trace: the levels, or the diagonal elements of a density
matrix and the unmixed flavour. Weights over cells (weight_0[cell, direction], weight[cell, order, direction]) may
have a single row instead, for all cells.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel


@kernel
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


@kernel
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
            row, w = rows[i, m], weight_0[i % weight_0.shape[0], m]
            for e in range(entries):
                mean[e] += w * row[e]
        _weigh(mean, components, diagonal, number, energy, out[i])


@kernel
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


@kernel
def difference_moments(after, before, diagonal, weight, number, energy, out):
    """out[cell, 3 + axes]: `content` of after - before, and its energy weighted with w_d for every axis d.

    Element by element before the sums, so that small differences keep their digits; the arrays are contiguous.
    """
    cells, directions, species, groups, components = after.shape
    entries = species * groups * components
    orders = weight.shape[1]
    rows_1, rows_0 = after.reshape((cells, directions, entries)), before.reshape((cells, directions, entries))
    sums, difference, forward = np.empty((orders, entries)), np.empty(entries), np.empty(3)
    for i in range(cells):
        sums[:] = 0.0
        w = weight[i % weight.shape[0]]
        if orders == 2:
            mean, flux = sums[0], sums[1]
            for m in range(directions):
                a, b, w0, w1 = rows_1[i, m], rows_0[i, m], w[0, m], w[1, m]
                for e in range(entries):
                    change = a[e] - b[e]
                    mean[e] += w0 * change
                    flux[e] += w1 * change
        else:
            for m in range(directions):
                a, b = rows_1[i, m], rows_0[i, m]
                for e in range(entries):
                    difference[e] = a[e] - b[e]
                for order in range(orders):
                    total, factor = sums[order], w[order, m]
                    for e in range(entries):
                        total[e] += factor * difference[e]
        _weigh(sums[0], components, diagonal, number, energy, out[i])
        for order in range(1, orders):
            _weigh(sums[order], components, diagonal, number, energy, forward)
            out[i, 2 + order] = forward[0]


@kernel
def trace_moments(trace_values, weight, number, energy, out):
    """Sums of trace_values[cell, direction, species, group] into out[cell, 3 + axes].

    Weighted with w_0 times energy, w_0 times number (neutrinos, then antineutrinos), and w_d times energy for every
    axis d.
    """
    cells, directions, species, groups = trace_values.shape
    orders = weight.shape[1]
    sums = np.empty((orders, groups))
    mean, flux = sums[0], sums[1]
    for i in range(cells):
        out[i] = 0.0
        w = weight[i % weight.shape[0]]
        for s in range(species):
            sums[:] = 0.0
            for m in range(directions):
                row, w0, w1 = trace_values[i, m, s], w[0, m], w[1, m]
                for g in range(groups):
                    mean[g] += w0 * row[g]
                    flux[g] += w1 * row[g]
                for order in range(2, orders):
                    total, factor = sums[order], w[order, m]
                    for g in range(groups):
                        total[g] += factor * row[g]
            out[i, 1 + s] = np.dot(number, sums[0])
            out[i, 0] += np.dot(energy, sums[0])
            for order in range(1, orders):
                out[i, 2 + order] += np.dot(energy, sums[order])


@kernel
def level_densities(populations, weight, number, out):
    """out[cell, species, level] = sum_m weight sum_g number n_k."""
    cells, directions, species, groups, levels = populations.shape
    out[:] = 0.0
    for i in range(cells):
        for m in range(directions):
            for s in range(species):
                for g in range(groups):
                    w = weight[i % weight.shape[0], m] * number[g]
                    for k in range(levels):
                        out[i, s, k] += w * populations[i, m, s, g, k]


@kernel
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
            row, w = rows[i, m], weight_0[i % weight_0.shape[0], m]
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
