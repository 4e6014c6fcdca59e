"""Finite-volume advection along r and in angle: V df/dt = -(a f)_out + (a f)_in - (G f)_{m+1/2} + (G f)_{m-1/2}.

Arrays: f[cell + 2 halo, direction, entry] with the momentum-space entries (species, group, level) flattened
and contiguous; a[face, direction]; G[cell, direction + 1]; volume[cell, direction].
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def upwind_fraction(opacity, width, floor, out):
    """b = max(1/2, 1/(1 + tau/floor)), tau = the smaller opacity * width of the two cells at a face.

    opacity[cell + 2, entry] and width[cell + 2] hold one ghost cell on each side; out[face, entry]. A ghost
    cell without matter gives b = 1 (upwind), as a free surface needs.
    """
    faces, entries = out.shape
    for f in range(faces):
        for e in range(entries):
            tau = min(opacity[f, e] * width[f], opacity[f + 1, e] * width[f + 1])
            out[f, e] = max(0.5, 1.0 / (1.0 + tau / floor))


@njit(cache=True, error_model="numpy")
def _limited(left, right):
    """Van Leer's harmonic slope: second order where smooth, zero at an extremum, f >= 0 stays >= 0."""
    product = left * right
    if product <= 0.0:
        return 0.0
    return 2.0 * product / (left + right)


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def flux_divergence(f, halo, b, area, gamma, diamond, volume, second_order, fix_up, out, inner_flux, outer_flux):
    """Fill out[cell, direction, entry] with df/dt (per cm) and the fluxes through the two ends of the range.

    inner_flux, outer_flux[direction, entry]: a f on the first and last face. With ``fix_up`` a negative
    diamond value between two directions is replaced by zero; returns how many were.
    """
    cells, directions, entries = out.shape
    fixed = 0
    here = np.empty(entries)
    below = np.empty(entries)
    above = np.empty(entries)
    # cell by cell, so that the few cells whose values a face needs stay in the cache
    for m in range(directions):
        face_values(f, halo, 0, m, area[0, m] + area[cells, m] < 0.0, b, second_order, here)
        for e in range(entries):
            inner_flux[m, e] = area[0, m] * here[e]
            outer_flux[m, e] = inner_flux[m, e]
    for i in range(cells):
        for m in range(directions):
            face_values(f, halo, i + 1, m, area[0, m] + area[cells, m] < 0.0, b, second_order, here)
            row, passed = out[i, m], outer_flux[m]
            a, inverse = area[i + 1, m], 1.0 / volume[i, m]
            for e in range(entries):
                flux = a * here[e]
                row[e] = (passed[e] - flux) * inverse
                passed[e] = flux
    for i in range(cells):
        redistributes = False
        for m in range(directions + 1):
            if gamma[i, m] != 0.0:
                redistributes = True
        if not redistributes:
            continue
        cell = f[halo + i]
        for e in range(entries):
            below[e] = cell[0, e]
        for m in range(directions):
            low, high = gamma[i, m], gamma[i, m + 1]
            inverse = 1.0 / volume[i, m]
            d = diamond[m]
            row = out[i, m]
            starts = low == 0.0
            if starts:
                # nothing flows in: the first edge lies between two directions, for a start that does not oscillate
                following = min(m + 1, directions - 1)
                for e in range(entries):
                    above[e] = d * cell[m, e] + (1.0 - d) * cell[following, e]
                    if fix_up and above[e] > 2.0 * cell[m, e]:
                        # a steep start must not take out more than there is
                        above[e] = 2.0 * cell[m, e]
            for e in range(entries):
                value = above[e] if starts else (cell[m, e] - (1.0 - d) * below[e]) / d
                if fix_up and value < 0.0:
                    fixed += 1
                    value = 0.0
                above[e] = value
                row[e] += (low * below[e] - high * value) * inverse
            for e in range(entries):
                below[e] = above[e]
    return fixed
