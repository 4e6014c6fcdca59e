"""Direct solution of linear transport for one entry (species, group, level): block tridiagonal in radius.

    volume (loss f - scattering in) + advection(f) = source,   blocks of size (direction, direction)

The coupling to the neighbouring cells is diagonal in direction, so only the diagonal blocks fill in.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel


@kernel
def factor(
    area, drag, gamma, diamond, turn, share, volume, weight_0, weight_1, b, loss, scattering_0, scattering_1, inverse
):  # fmt: skip
    """Fill inverse[cell, direction, direction] with the inverses of the pivot blocks.

    drag[face, direction] of the flow with matter (frame_terms.carry_along), zero at both ends;
    turn[cell, direction + 1], share[cell, direction - 1] as in frame_terms.shift_directions; zeros for matter at rest;
    b[face] upwind fraction; loss[cell] total (with scattering out); scattering_0/1[cell] (cm^-1).
    """
    cells, directions = volume.shape
    block = np.empty((directions, directions))
    below = np.empty(directions)
    above = np.empty(directions)
    for i in range(cells):
        for m in range(directions):
            mu3 = 3.0 * weight_1[i, m] / weight_0[i, m]
            for k in range(directions):
                block[m, k] = (
                    -0.5 * volume[i, m] * (scattering_0[i] * weight_0[i, k] + mu3 * scattering_1[i] * weight_1[i, k])
                )
            block[m, m] += volume[i, m] * loss[i]
            inner, outer = area[i, m], area[i + 1, m]
            # share of this cell in the values on its two faces
            share_in = b[i] if inner < 0.0 else 1.0 - b[i]
            share_out = b[i + 1] if outer > 0.0 else 1.0 - b[i + 1]
            block[m, m] += outer * share_out - inner * share_in
            block[m, m] += _carried(area, drag, b, i, m) + _carried(area, drag, b, i + 1, m)
        below[:] = 0.0
        for m in range(directions):
            low, high = gamma[i, m], gamma[i, m + 1]
            d = diamond[m]
            if low == 0.0:
                above[:] = 0.0
                above[m] = d
                above[min(m + 1, directions - 1)] += 1.0 - d
            else:
                for k in range(directions):
                    above[k] = -(1.0 - d) / d * below[k]
                above[m] += 1.0 / d
            for k in range(directions):
                block[m, k] += high * above[k] - low * below[k]
                below[k] = above[k]
        for m in range(directions - 1):
            flow, part = turn[i, m + 1], share[i, m]
            block[m, m] += flow * (1.0 - part)
            block[m, m + 1] += flow * part
            block[m + 1, m] -= flow * (1.0 - part)
            block[m + 1, m + 1] -= flow * part
        if i > 0:
            for m in range(directions):
                left = _lower(area, drag, b, i, m)
                if left != 0.0:
                    for k in range(directions):
                        block[m, k] -= left * inverse[i - 1, m, k] * _upper(area, drag, b, i - 1, k)
        inverse[i] = np.linalg.inv(block)


@kernel
def _carried(area, drag, b, face, m):
    """What the flow with matter adds to upwind differences at a face."""
    return max(0.0, drag[face, m] - (b[face] - 0.5) * abs(area[face, m]))


@kernel
def _lower(area, drag, b, i, m):
    """Coefficient of f[i - 1] in the balance of cell i."""
    a = area[i, m]
    return -a * (b[i] if a > 0.0 else 1.0 - b[i]) - _carried(area, drag, b, i, m)


@kernel
def _upper(area, drag, b, i, m):
    """Coefficient of f[i + 1] in the balance of cell i."""
    a = area[i + 1, m]
    return a * (1.0 - b[i + 1] if a > 0.0 else b[i + 1]) - _carried(area, drag, b, i + 1, m)


@kernel
def solve(area, drag, b, inverse, source, out):
    """Solve with the factors for source[cell, direction] (per cell, not per volume) into out."""
    cells, directions = source.shape
    work = np.empty(directions)
    for i in range(cells):
        for m in range(directions):
            work[m] = source[i, m]
            if i > 0:
                work[m] -= _lower(area, drag, b, i, m) * out[i - 1, m]
        for m in range(directions):
            total = 0.0
            for k in range(directions):
                total += inverse[i, m, k] * work[k]
            out[i, m] = total
    for i in range(cells - 2, -1, -1):
        for k in range(directions):
            work[k] = _upper(area, drag, b, i, k) * out[i + 1, k]
        for m in range(directions):
            total = 0.0
            for k in range(directions):
                total += inverse[i, m, k] * work[k]
            out[i, m] -= total
