"""What the rotations of two and of three flavours share: blocks of cells in a flat scratch array, and their moments.

A block is BLOCK cells side by side; row k of the scratch array w is w[k * BLOCK : (k + 1) * BLOCK]. All rows have
constant places in one array: the compiler then knows that they do not overlap, and vectorises. Where places are not
constant, loops run over slices: an index that might be negative would not vectorise. The state is

    f[direction, species, group, component, cell]        packed Hermitian matrices, cells innermost, with ghosts

and passed flat: element ((((m * 2 + s) * groups + g) * components + c) * row + cell).
"""

from __future__ import annotations

from ..numba_cache import kernel

BLOCK = 32


@kernel
def load(flat, at, row, components, w, first, n):
    """Rows first to first + components of w from the state: n cells from element ``at``."""
    for c in range(components):
        target = w[(first + c) * BLOCK : (first + c + 1) * BLOCK]
        source = flat[at + c * row : at + c * row + n]
        for i in range(n):
            target[i] = source[i]


@kernel
def store(flat, at, row, components, w, first, n):
    """The reverse of `load`."""
    for c in range(components):
        source = w[(first + c) * BLOCK : (first + c + 1) * BLOCK]
        target = flat[at + c * row : at + c * row + n]
        for i in range(n):
            target[i] = source[i]


@kernel
def add_moments(w, first, components, factor, cosine, moments, n):
    """Add factor f to D_0 and factor v f to D_1: rows moments and moments + components of w."""
    along = factor * cosine
    for c in range(components):
        source = w[(first + c) * BLOCK : (first + c + 1) * BLOCK]
        d0 = w[(moments + c) * BLOCK : (moments + c + 1) * BLOCK]
        d1 = w[(moments + components + c) * BLOCK : (moments + components + c + 1) * BLOCK]
        for i in range(n):
            d0[i] += factor * source[i]
            d1[i] += along * source[i]


@kernel
def clear(w, first, rows):
    """Set rows to zero."""
    for i in range(first * BLOCK, (first + rows) * BLOCK):
        w[i] = 0.0


@kernel
def common_field(w, out, moments, components, cosine, strength, potential, flow, start, n):
    """H without its vacuum term, V diag(1, 0, 0) (1 - beta v) + strength (D_0 - v D_1), rows out of w.

    potential V, flow beta (cell,), read from cell ``start``; moments is the row of D_0, that of D_1 follows.
    """
    for c in range(components):
        target = w[(out + c) * BLOCK : (out + c + 1) * BLOCK]
        d0 = w[(moments + c) * BLOCK : (moments + c + 1) * BLOCK]
        d1 = w[(moments + components + c) * BLOCK : (moments + components + c + 1) * BLOCK]
        for i in range(n):
            target[i] = strength * (d0[i] - cosine * d1[i])
    target = w[out * BLOCK : (out + 1) * BLOCK]
    v = potential[start : start + n]
    beta = flow[start : start + n]
    for i in range(n):
        target[i] += v[i] * (1.0 - beta[i] * cosine)


@kernel
def sum_moments(flat, shape, cell, cosine, weight, number_weight, w, work, moments, n):
    """D_0 and D_1 of n cells from element ``cell`` of a row, into rows moments of w; work rows hold one matrix.

    shape: (groups, components, row), as for a flat state.
    """
    groups, components, row = shape
    clear(w, moments, 2 * components)
    for m in range(cosine.size):
        for s in range(2):
            for g in range(groups):
                factor = weight[m] * number_weight[g]
                at = ((m * 2 + s) * groups + g) * components * row + cell
                load(flat, at, row, components, w, work, n)
                add_moments(w, work, components, factor if s == 0 else -factor, cosine[m], moments, n)
