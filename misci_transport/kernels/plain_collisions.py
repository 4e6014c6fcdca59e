"""Implicit emission, absorption and isoenergetic scattering of a flavour-locked cell, without energy coupling.

    turn f_m + (h/V_m) (G f)_{m+1/2} - (h/V_m) (G f)_{m-1/2} = f*_m + up + s_0 J + 3 s_1 v_m . H

with turn = 1 + h (j + 1/lambda + scattering), up = h j; one set of unknowns J, H for every (species, group, level).
The innermost loops run over these entries, which lie next to each other in memory. Angular redistribution G is that
of one axis; with more, turn does not depend on direction, and the moments obey a system of their own.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .small_solve import solve_many

_SYMMETRIC = 1.0e-13  # largest sum of w_l v_l' over directions that counts as zero


@kernel
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


@kernel
def plain_update(start, weight, velocity, up, turn, back_0, back_1, f):
    """Fill f[direction, entry] for start[direction, entry] without angular redistribution."""
    if velocity.shape[1] != 1:
        _plain_update_axes(start, weight, velocity, up, turn, back_0, back_1, f)
        return
    directions, entries = start.shape
    mean, flux, inverse = np.zeros(entries), np.zeros(entries), np.empty(entries)
    zeroth = first = second = 0.0
    for m in range(directions):
        w0, w1 = 0.5 * weight[0, m], 0.5 * weight[1, m]
        zeroth += w0
        first += w1
        second += w1 * velocity[m, 0]
        for e in range(entries):
            mean[e] += w0 * start[m, e]
            flux[e] += w1 * start[m, e]
    for e in range(entries):
        # (turn - s0 zeroth) J - s1 first H = J* + up zeroth;  -s0 first J + (turn - s1 second) H = H* + up first
        a, b = turn[e] - back_0[e] * zeroth, -back_1[e] * first
        c, d = -back_0[e] * first, turn[e] - back_1[e] * second
        right_0, right_1 = mean[e] + up[e] * zeroth, flux[e] + up[e] * first
        determinant = 1.0 / (a * d - b * c)
        mean[e] = up[e] + back_0[e] * (d * right_0 - b * right_1) * determinant
        flux[e] = back_1[e] * (a * right_1 - c * right_0) * determinant
    for e in range(entries):
        inverse[e] = 1.0 / turn[e]
    for m in range(directions):
        mu = velocity[m, 0]
        for e in range(entries):
            f[m, e] = (start[m, e] + mean[e] + mu * flux[e]) * inverse[e]


@kernel
def _plain_update_axes(start, weight, velocity, up, turn, back_0, back_1, f):
    """plain_update for any number of axes.

    turn X_l - sum_l' gram_ll' back_l' X_l' = X*_l + gram_l0 up for X = (J, H), gram_ll' = 1/2 sum_m w_l v_l', v_0 = 1.
    gram is symmetric, so that the eigenvalues of gram back are real and below turn: elimination needs no pivots.
    """
    directions, entries = start.shape
    orders = weight.shape[0]
    gram, moment = np.zeros((orders, orders)), np.zeros((orders, entries))
    inverse = np.empty(entries)
    for m in range(directions):
        row = start[m]
        for order in range(orders):
            w, total = 0.5 * weight[order, m], moment[order]
            gram[order, 0] += w
            for d in range(1, orders):
                gram[order, d] += w * velocity[m, d - 1]
            for e in range(entries):
                total[e] += w * row[e]
    largest = 0.0
    for order in range(orders):
        for d in range(orders):
            if d != order:
                largest = max(largest, abs(gram[order, d]))
    if largest <= _SYMMETRIC:
        # every moment by itself; the mean last, with what is left of the others, so that numbers stay
        for e in range(entries):
            moment[0, e] += up[e] * gram[0, 0]
        for d in range(1, orders):
            own, rest = gram[d, d], gram[0, d]
            for e in range(entries):
                moment[d, e] = back_1[e] * moment[d, e] / (turn[e] - back_1[e] * own)
                moment[0, e] += rest * moment[d, e]
        for e in range(entries):
            moment[0, e] = up[e] + back_0[e] * moment[0, e] / (turn[e] - back_0[e] * gram[0, 0])
    else:
        matrix = np.empty((orders, orders, entries))
        for order in range(orders):
            for e in range(entries):
                moment[order, e] += up[e] * gram[order, 0]
                matrix[order, 0, e] = -back_0[e] * gram[order, 0]
            for d in range(1, orders):
                for e in range(entries):
                    matrix[order, d, e] = -back_1[e] * gram[order, d]
            for e in range(entries):
                matrix[order, order, e] += turn[e]
        solve_many(matrix, moment, inverse)
        for e in range(entries):
            moment[0, e] = up[e] + back_0[e] * moment[0, e]
        for d in range(1, orders):
            for e in range(entries):
                moment[d, e] *= back_1[e]
    for e in range(entries):
        inverse[e] = 1.0 / turn[e]
    if orders == 4:
        mean, x, y, z = moment[0], moment[1], moment[2], moment[3]
        for m in range(directions):
            u, v, w = velocity[m, 0], velocity[m, 1], velocity[m, 2]
            for e in range(entries):
                f[m, e] = (start[m, e] + mean[e] + (u * x[e] + v * y[e] + w * z[e])) * inverse[e]
        return
    for m in range(directions):
        for e in range(entries):
            f[m, e] = start[m, e] + moment[0, e]
        for d in range(1, orders):
            for e in range(entries):
                f[m, e] += velocity[m, d - 1] * moment[d, e]
        for e in range(entries):
            f[m, e] *= inverse[e]


@kernel
def _step_up(source, add, constant, mix, rest, part, inverse, below, out):
    """One direction of a sweep: out, and the half value above it in place of the one below."""
    for e in range(out.size):
        value = (source[e] + add[e] + constant + mix * below[e]) * inverse[e]
        out[e] = value
        below[e] = part * value - rest * below[e]


@kernel
def _start_up(source, following, add, constant, constant_2, d, a, b, c, last, inverse, below, out):
    """The first direction of a sweep, solved together with the second."""
    for e in range(out.size):
        right, right_2 = source[e] + add[e] + constant, following[e] + add[e] + constant_2
        value = (last[e] * right - b * right_2) * inverse[e]
        out[e] = value
        below[e] = d * value + (1.0 - d) * (a[e] * right_2 - c * right) * inverse[e]


@kernel
def _sweep_entries(start, up, turn, cosine, h, gamma, diamond, volume, f, flat, tilted):
    """kernels.angular_sweep.sweep for every entry, with start + up, one and the direction cosine on the right."""
    directions, entries = f.shape
    zero, one, inverse = np.zeros(entries), np.ones(entries), np.empty(entries)
    a, last = np.empty(entries), np.empty(entries)
    below, below_flat, below_tilted = np.zeros(entries), np.zeros(entries), np.zeros(entries)
    for m in range(directions):
        low, high, d = h * gamma[m] / volume[m], h * gamma[m + 1] / volume[m], diamond[m]
        mu = cosine[m]
        if low == 0.0 and high != 0.0 and m + 1 < directions:
            low_2, high_2, d_2 = h * gamma[m + 1] / volume[m + 1], h * gamma[m + 2] / volume[m + 1], diamond[m + 1]
            mu_2 = cosine[m + 1]
            carried = low_2 + high_2 * (1.0 - d_2) / d_2
            b, c = high * (1.0 - d), -carried * d
            own, other = high * d, high_2 / d_2 - carried * (1.0 - d)
            for e in range(entries):
                a[e] = turn[e] + own
            for e in range(entries):
                last[e] = turn[e] + other
            for e in range(entries):
                inverse[e] = 1.0 / (a[e] * last[e] - b * c)
            _start_up(start[m], start[m + 1], up, 0.0, 0.0, d, a, b, c, last, inverse, below, f[m])
            _start_up(zero, zero, one, 0.0, 0.0, d, a, b, c, last, inverse, below_flat, flat[m])
            _start_up(zero, zero, zero, mu, mu_2, d, a, b, c, last, inverse, below_tilted, tilted[m])
            continue
        if low == 0.0:
            # nothing turns into this direction, nor beyond it: an equation of its own
            mix, part, rest, loss = 0.0, 1.0, 0.0, high
        else:
            mix, part, rest, loss = low + high * (1.0 - d) / d, 1.0 / d, (1.0 - d) / d, high / d
        for e in range(entries):
            inverse[e] = 1.0 / (turn[e] + loss)
        _step_up(start[m], up, 0.0, mix, rest, part, inverse, below, f[m])
        _step_up(zero, one, 0.0, mix, rest, part, inverse, below_flat, flat[m])
        _step_up(zero, zero, mu, mix, rest, part, inverse, below_tilted, tilted[m])


@kernel
def plain_swept_update(start, weight_0, weight_1, cosine, h, up, turn, back_0, back_1, gamma, diamond, volume, f):
    """Fill f[direction, entry] with angular redistribution; an entry that falls below zero takes upwind values.

    Returns how many entries did.
    """
    directions, entries = start.shape
    negative = np.zeros(entries, dtype=np.bool_)
    zero, one = np.empty(entries), np.empty(entries)
    flat, tilted = np.empty((directions, entries)), np.empty((directions, entries))
    _sweep_entries(start, up, turn, cosine, h, gamma, diamond, volume, f, flat, tilted)
    sums = np.zeros((6, entries))
    for m in range(directions):
        w0, w1 = 0.5 * weight_0[m], 0.5 * weight_1[m]
        _add_both(f[m], w0, w1, sums[0], sums[3])
        _add_both(flat[m], w0, w1, sums[1], sums[4])
        _add_both(tilted[m], w0, w1, sums[2], sums[5])
    for e in range(entries):
        a, b = 1.0 - back_0[e] * sums[1, e], -back_1[e] * sums[2, e]
        c, d = -back_0[e] * sums[4, e], 1.0 - back_1[e] * sums[5, e]
        determinant = a * d - b * c
        zero[e] = back_0[e] * (d * sums[0, e] - b * sums[3, e]) / determinant
        one[e] = back_1[e] * (a * sums[3, e] - c * sums[0, e]) / determinant
    for m in range(directions):
        row, row_flat, row_tilted = f[m], flat[m], tilted[m]
        for e in range(entries):
            row[e] += zero[e] * row_flat[e] + one[e] * row_tilted[e]
        for e in range(entries):
            negative[e] |= row[e] < 0.0
    fixed = 0
    for e in range(entries):
        if negative[e]:
            fixed += 1
            _upwind_entry(
                start, weight_0, weight_1, cosine, h, up, turn, back_0, back_1, gamma, volume, e, flat, tilted, f
            )  # fmt: skip
    return fixed


@kernel
def _add_both(row, w0, w1, mean, flux):
    for e in range(row.size):
        mean[e] += w0 * row[e]
        flux[e] += w1 * row[e]


@kernel
def _upwind_entry(
    start, weight_0, weight_1, cosine, h, up, turn, back_0, back_1, gamma, volume, e, flat, tilted, f
):  # fmt: skip
    """Solve entry e with upwind values in angle, which keep it positive; column e of flat and tilted is scratch."""
    below = below_flat = below_tilted = 0.0
    j_free = j_flat = j_tilted = h_free = h_flat = h_tilted = 0.0
    for m in range(start.shape[0]):
        low = h * gamma[m] / volume[m]
        inverse = 1.0 / (turn[e] + h * gamma[m + 1] / volume[m])
        below = (start[m, e] + up[e] + low * below) * inverse
        below_flat = (1.0 + low * below_flat) * inverse
        below_tilted = (cosine[m] + low * below_tilted) * inverse
        f[m, e], flat[m, e], tilted[m, e] = below, below_flat, below_tilted
        w0, w1 = 0.5 * weight_0[m], 0.5 * weight_1[m]
        j_free += w0 * below
        j_flat += w0 * below_flat
        j_tilted += w0 * below_tilted
        h_free += w1 * below
        h_flat += w1 * below_flat
        h_tilted += w1 * below_tilted
    a, b = 1.0 - back_0[e] * j_flat, -back_1[e] * j_tilted
    c, d = -back_0[e] * h_flat, 1.0 - back_1[e] * h_tilted
    determinant = a * d - b * c
    mean = back_0[e] * (d * j_free - b * h_free) / determinant
    flux = back_1[e] * (a * h_free - c * j_free) / determinant
    for m in range(start.shape[0]):
        f[m, e] += mean * flat[m, e] + flux * tilted[m, e]


@kernel
def plain_cell(
    start, weight, velocity, h, emissivity, absorption, scattering_0, scattering_1, component, gamma, diamond, volume,
    rates, f,
):  # fmt: skip
    """The solution f[direction, species, group, level] of a cell for start = f*; returns the angular fix-ups.

    rates (4, entry) is scratch; gamma[direction + 1] counts with one axis only and may be empty.
    """
    directions = start.shape[0]
    entries = rates.shape[1]
    up, turn, back_0, back_1 = rates[0], rates[1], rates[2], rates[3]
    entry_rates(h, emissivity, absorption, scattering_0, scattering_1, component, up, turn, back_0, back_1)
    flat_start, flat_f = start.reshape((directions, entries)), f.reshape((directions, entries))
    if is_turning(velocity, gamma):
        return plain_swept_update(
            flat_start, weight[0], weight[1], velocity[:, 0], h, up, turn, back_0, back_1, gamma, diamond, volume,
            flat_f,
        )  # fmt: skip
    plain_update(flat_start, weight, velocity, up, turn, back_0, back_1, flat_f)
    return 0


@kernel
def is_turning(velocity, gamma):
    """Whether a cell has angular redistribution to solve for, which only a single axis has."""
    turning = False
    if velocity.shape[1] == 1:
        for m in range(gamma.size):
            turning = turning or gamma[m] != 0.0
    return turning
