"""Advection of point values over a whole step: f(x) <- f(x - v dt) by convolution with Lagrange's weights.

The shift v dt/dx is an integer and a fraction; the fraction is interpolated by a polynomial of odd degree through an
even number of cells around the point of departure, which is stable for any shift. The same weights in all cells, whose
sum is one: integrals over a periodic box are kept to round-off. A fraction of zero has the weights 0 and 1.
"""

from __future__ import annotations

from ..numba_cache import kernel

POINTS = 8


@kernel
def shift(state, out, first, last, offset, taps):
    """Fill out[m, ..., i] = sum_k taps[m, k] state[m, ..., i + offset[m] + k] for first <= i < last.

    state, out (direction, species, group, component, cell) with ghosts; offset (direction,), taps (direction, POINTS).
    Where a direction's taps are one and zeros, only that cell is read.
    """
    directions, row = state.shape[0], state.shape[4]
    rows = state.shape[1] * state.shape[2] * state.shape[3]
    n = last - first
    source = state.reshape(-1)
    target = out.reshape(-1)
    for m in range(directions):
        whole = -1
        for k in range(POINTS):
            if taps[m, k] == 1.0:
                whole = k
        t0, t1, t2, t3 = taps[m, 0], taps[m, 1], taps[m, 2], taps[m, 3]
        t4, t5, t6, t7 = taps[m, 4], taps[m, 5], taps[m, 6], taps[m, 7]
        for r in range(rows):
            base = (m * rows + r) * row + first
            at = base + offset[m]
            after = target[base : base + n]
            if whole >= 0:
                after[:] = source[at + whole : at + whole + n]
                continue
            f = source[at : at + n + POINTS - 1]
            for i in range(n):
                after[i] = (
                    t0 * f[i]
                    + t1 * f[i + 1]
                    + t2 * f[i + 2]
                    + t3 * f[i + 3]
                    + t4 * f[i + 4]
                    + t5 * f[i + 5]
                    + t6 * f[i + 6]
                    + t7 * f[i + 7]
                )
