"""Finite-volume advection along r and in angle: V df/dt = -(a f)_out + (a f)_in - (G f)_{m+1/2} + (G f)_{m-1/2}.

Arrays: f[cell + 2 halo, direction, entry] with the momentum-space entries (species, group, level) flattened
and contiguous; a[face, direction]; G[cell, direction + 1]; volume[cell, direction].
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel

# What _divergence makes of the rate. Numbers of numpy, which the compiler does not make code of its own for.
RATE, FORWARD, MEAN = np.int64(0), np.int64(1), np.int64(2)


@kernel
def upwind_fraction(opacity, width, floor, out):
    """b = max(1/2, floor/(floor + tau)), tau = the smaller opacity * width of the two cells at a face.

    opacity[cell + 2, entry] and width[cell + 2] hold one ghost cell on each side; out[face, entry]. A ghost
    cell without matter gives b = 1 (upwind), as a free surface needs.
    """
    faces, entries = out.shape
    for f in range(faces):
        for e in range(entries):
            left, right = opacity[f, e] * width[f], opacity[f + 1, e] * width[f + 1]
            tau = left if left < right else right
            fraction = floor / (floor + tau)
            out[f, e] = fraction if fraction > 0.5 else 0.5


@kernel
def _limited(left, right):
    """Van Leer's harmonic slope: second order where smooth, zero at an extremum, f >= 0 stays >= 0."""
    product = left * right
    if product <= 0.0:
        return 0.0
    return 2.0 * product / (left + right)


@kernel
def face_values(f, halo, face, direction, inward, b, second_order, out):
    """Value of f on a radial face: b f_up + (1 - b) f_down + (2 b - 1) slope/2, for every entry."""
    up = halo + face - 1
    down = halo + face
    if inward:
        up, down = down, up
    behind = up + (1 if inward else -1)
    entries = f.shape[2]
    if second_order:
        for e in range(entries):
            value = f[up, direction, e]
            step = f[down, direction, e] - value
            slope = _limited(step, value - f[behind, direction, e])
            w = b[face, e]
            out[e] = value + (1.0 - w) * step + (w - 0.5) * slope
    else:
        for e in range(entries):
            w = b[face, e]
            out[e] = w * f[up, direction, e] + (1.0 - w) * f[down, direction, e]


@kernel
def flux_divergence(f, halo, b, area, gamma, diamond, volume, second_order, fix_up, out, inner_flux, outer_flux):
    """Fill out[cell, direction, entry] with df/dt (per cm) and the fluxes through the two ends of the range.

    inner_flux, outer_flux[direction, entry]: a f on the first and last face. With ``fix_up`` a negative
    diamond value between two directions is replaced by zero; returns how many were.
    """
    return _divergence(
        f, halo, b, area, gamma, diamond, volume, second_order, fix_up, RATE, out, 1.0, out, inner_flux, outer_flux
    )


@kernel
def advance(
    f, halo, b, area, gamma, diamond, volume, second_order, fix_up, start, h, out, inner_flux, outer_flux
):  # fmt: skip
    """out = start + h A f with A f as `flux_divergence` gives it; returns the same."""
    return _divergence(
        f, halo, b, area, gamma, diamond, volume, second_order, fix_up, FORWARD, start, h, out, inner_flux, outer_flux
    )


@kernel
def advance_mean(
    f, halo, b, area, gamma, diamond, volume, second_order, fix_up, start, h, out, inner_flux, outer_flux
):  # fmt: skip
    """out = (start + out)/2 + h/2 A f: with out = start + h A f* given, start + h (A f* + A f)/2."""
    return _divergence(
        f, halo, b, area, gamma, diamond, volume, second_order, fix_up, MEAN, start, 0.5 * h, out, inner_flux,
        outer_flux,
    )  # fmt: skip


@kernel
def _divergence(
    f, halo, b, area, gamma, diamond, volume, second_order, fix_up, kind, start, h, out, inner_flux, outer_flux
):  # fmt: skip
    cells, directions, entries = out.shape
    fixed = 0
    # Loops that write one or two rows, indexed without views: the compiler vectorises only what it can check for
    # overlap, and counts references to views.
    here = np.empty(entries)
    rate = np.empty(entries)
    edge = np.empty((2, entries))
    for m in range(directions):
        face_values(f, halo, 0, m, area[0, m] < 0.0, b, second_order, here)
        for e in range(entries):
            inner_flux[m, e] = area[0, m] * here[e]
            outer_flux[m, e] = inner_flux[m, e]
    # cell by cell, so that the few cells whose values a face needs stay in the cache
    for i in range(cells):
        redistributes = False
        for m in range(directions + 1):
            if gamma[i, m] != 0.0:
                redistributes = True
        c = halo + i
        for m in range(directions):
            a, inverse = area[i + 1, m], h / volume[i, m]
            face_values(f, halo, i + 1, m, a < 0.0, b, second_order, here)
            for e in range(entries):
                flux = a * here[e]
                rate[e] = (outer_flux[m, e] - flux) * inverse
                outer_flux[m, e] = flux
            if redistributes:
                below, above = m % 2, (m + 1) % 2
                if m == 0:
                    for e in range(entries):
                        edge[below, e] = f[c, 0, e]
                d = diamond[m]
                if gamma[i, m] == 0.0:
                    # nothing flows in: the first edge lies between two directions, for a start that does not oscillate
                    following = min(m + 1, directions - 1)
                    for e in range(entries):
                        edge[above, e] = d * f[c, m, e] + (1.0 - d) * f[c, following, e]
                    if fix_up:
                        # a steep start must not take out more than there is
                        for e in range(entries):
                            most = 2.0 * f[c, m, e]
                            value = edge[above, e]
                            edge[above, e] = most if value > most else value
                else:
                    part, rest = 1.0 / d, (1.0 - d) / d
                    for e in range(entries):
                        edge[above, e] = part * f[c, m, e] - rest * edge[below, e]
                if fix_up:
                    for e in range(entries):
                        fixed += edge[above, e] < 0.0
                    for e in range(entries):
                        value = edge[above, e]
                        edge[above, e] = 0.0 if value < 0.0 else value
                low, high = gamma[i, m] * inverse, gamma[i, m + 1] * inverse
                for e in range(entries):
                    rate[e] += low * edge[below, e] - high * edge[above, e]
            if kind == RATE:
                for e in range(entries):
                    out[i, m, e] = rate[e]
            elif kind == FORWARD:
                for e in range(entries):
                    out[i, m, e] = start[i, m, e] + rate[e]
            else:
                for e in range(entries):
                    out[i, m, e] = 0.5 * (start[i, m, e] + out[i, m, e]) + rate[e]
    return fixed
