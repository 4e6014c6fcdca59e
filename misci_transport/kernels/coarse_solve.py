"""Two angular moments of linear transport with energy coupling: block tridiagonal in radius.

Trial functions f_m = J + 3 mu_m H, test functions 1 and mu_m, on the same face values as the transport, so that
this is its Galerkin projection. Unknowns of a cell: u = (species group_count + group) 2 + l; the coupling to the
neighbouring cells is a 2 x 2 block for each (species, group).
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel


@kernel
def project_transport(area, gamma, diamond, volume, cosine, b, diagonal, lower, upper):
    """2 x 2 blocks (test, trial) of advection for one entry: diagonal, lower, upper[cell, 2, 2].

    lower multiplies the unknowns of the cell inside, upper those of the cell outside. b[face].
    """
    cells, directions = volume.shape
    below = np.empty(2)
    above = np.empty(2)
    trial = np.empty(2)
    diagonal[:] = 0.0
    lower[:] = 0.0
    upper[:] = 0.0
    for i in range(cells):
        for m in range(directions):
            mu = cosine[i, m]
            trial[0], trial[1] = 1.0, 3.0 * mu
            inner, outer = area[i, m], area[i + 1, m]
            share_in = b[i] if inner < 0.0 else 1.0 - b[i]
            share_out = b[i + 1] if outer > 0.0 else 1.0 - b[i + 1]
            low, high = gamma[i, m], gamma[i, m + 1]
            d = diamond[m]
            for t in range(2):
                if m == 0 or low == 0.0:
                    below[t] = trial[t]
                above[t] = (trial[t] - (1.0 - d) * below[t]) / d
                test = 1.0
                for row in range(2):
                    diagonal[i, row, t] += test * (
                        (outer * share_out - inner * share_in) * trial[t] + high * above[t] - low * below[t]
                    )
                    if i > 0:
                        other = 1.0 if t == 0 else 3.0 * cosine[i - 1, m]
                        lower[i, row, t] -= test * inner * (1.0 - share_in) * other
                    if i < cells - 1:
                        other = 1.0 if t == 0 else 3.0 * cosine[i + 1, m]
                        upper[i, row, t] += test * outer * (1.0 - share_out) * other
                    test = mu
                below[t] = above[t]


@kernel
def factor(blocks, lower, upper, inverse):
    """inverse[cell] of the pivot blocks; blocks[cell, u, u]; lower, upper[cell, pair, 2, 2] with u = 2 pair + l."""
    cells, size, _ = blocks.shape
    for i in range(cells):
        block = blocks[i].copy()
        if i > 0:
            for p in range(size // 2):
                for row in range(2):
                    for q in range(size // 2):
                        for col in range(2):
                            total = 0.0
                            for t in range(2):
                                for v in range(2):
                                    total += (
                                        lower[i, p, row, t]
                                        * inverse[i - 1, 2 * p + t, 2 * q + v]
                                        * upper[i - 1, q, v, col]
                                    )
                            block[2 * p + row, 2 * q + col] -= total
        inverse[i] = np.linalg.inv(block)


@kernel
def solve(lower, upper, inverse, source, out):
    """Solve for source[cell, u] into out[cell, u]."""
    cells, size = source.shape
    work = np.empty(size)
    for i in range(cells):
        for p in range(size // 2):
            for row in range(2):
                value = source[i, 2 * p + row]
                if i > 0:
                    for t in range(2):
                        value -= lower[i, p, row, t] * out[i - 1, 2 * p + t]
                work[2 * p + row] = value
        out[i] = np.dot(inverse[i], work)
    for i in range(cells - 2, -1, -1):
        for p in range(size // 2):
            for row in range(2):
                value = 0.0
                for t in range(2):
                    value += upper[i, p, row, t] * out[i + 1, 2 * p + t]
                work[2 * p + row] = value
        out[i] -= np.dot(inverse[i], work)


@kernel
def coupling_derivative(mean, kind, amplitude, kernel, ratio, out):
    """Off-diagonal part of dC/dJ of one cell for one component: out[species, group, species', group'].

    mean[species, group] occupations; amplitude[process, species]; kernel[process, first/second, group, group']
    (isotropic parts). What a mode loses itself is not included.
    """
    species, groups = mean.shape
    out[:] = 0.0
    for p in range(kind.shape[0]):
        for s in range(species):
            other = s if kind[p] == 0 else 1 - s
            for g in range(groups):
                for h in range(groups):
                    first, second = kernel[p, 0, g, h], kernel[p, 1, g, h]
                    if kind[p] == 1 and s == 1:
                        first, second = kernel[p, 0, h, g] * ratio[g, h], kernel[p, 1, h, g] * ratio[g, h]
                    n = mean[s, g]
                    scattered, paired = second * (1.0 - n) + first * n, -first * (1.0 - n) - second * n
                    value = scattered if kind[p] == 0 else paired
                    out[s, g, other, h] += amplitude[p, s] * value
