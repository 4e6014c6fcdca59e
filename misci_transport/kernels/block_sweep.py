"""Transport sweeps on a block: v . grad z + loss z = source with upwind values, cell by cell in the order of travel.

    z_c = (s_c + sum_d |v_d| R_in z_upwind + turning into m)/(loss_c + sum_d |v_d| R_out + turning out of m)

For each direction m, with R = A_face/V of the face where the direction enters or leaves. What other ranks own counts as
zero. In spherical coordinates the turning is G of kernels/block_turning.py with upwind values: along mu it only comes
from the level below, which is done before; on the ring it comes from a neighbour that may be done later, and then
counts as zero.

Arrays: source, out[cell (or row), direction, entry]; loss[cell, entry]; neighbor[cell, axis, side] row beyond the face,
NOTHING where nothing comes in, MIRROR at a reflecting end; velocity[direction, axis], mirror[axis, direction],
ratio[cell, axis, side]. All contiguous.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel

# What lies beyond a face in ``neighbor`` where it is no row.
NOTHING, MIRROR = -1, -2


@kernel
def sweep(source, loss, velocity, mirror, ratio, neighbor, resolved, shape, group, count, out):
    """Fill out by sweeps of a mesh without curvature. group[n, :count[n]]: directions of equal signs, in order."""
    none, flat = np.zeros((0, 2)), np.zeros((1, 1))
    _sweep(source, loss, velocity, mirror, ratio, neighbor, resolved, shape, group, count, none, flat[0], flat, flat[0],
           out)  # fmt: skip


@kernel
def sweep_turning(
    source, loss, velocity, mirror, ratio, neighbor, resolved, shape, group, count, curvature, alpha, beta,
    level_weight, out,
):  # fmt: skip
    """`sweep` in spherical coordinates: levels ascend over the groups, azimuths within each group.

    curvature[cell, 2], alpha[level + 1], beta[level, azimuth + 1], level_weight[level] as kernels/block_turning has
    them.
    """
    _sweep(source, loss, velocity, mirror, ratio, neighbor, resolved, shape, group, count, curvature, alpha, beta,
           level_weight, out)  # fmt: skip


@kernel
def _sweep(
    source, loss, velocity, mirror, ratio, neighbor, resolved, shape, group, count, curvature, alpha, beta,
    level_weight, out,
):  # fmt: skip
    cells, directions, entries = source.shape
    n0, n1, n2 = shape[0], shape[1], shape[2]
    turns = curvature.shape[0] > 0
    azimuths = beta.shape[1] - 1
    # what is not done yet counts as zero
    for c in range(cells):
        for m in range(directions):
            for e in range(entries):
                out[c, m, e] = 0.0
    for n in range(group.shape[0]):
        first = group[n, 0]
        back_0, back_1, back_2 = velocity[first, 0] < 0.0, velocity[first, 1] < 0.0, velocity[first, 2] < 0.0
        for kk in range(n2):
            k = n2 - 1 - kk if back_2 else kk
            for jj in range(n1):
                j = n1 - 1 - jj if back_1 else jj
                for ii in range(n0):
                    i = n0 - 1 - ii if back_0 else ii
                    c = (k * n1 + j) * n0 + i
                    for a in range(count[n]):
                        m = group[n, a]
                        if turns:
                            # on the ring from where the flow begins
                            ascending = (first % azimuths >= azimuths // 2) == (curvature[c, 1] > 0.0)
                            m = group[n, a if ascending else count[n] - 1 - a]
                        for e in range(entries):
                            out[c, m, e] = source[c, m, e]
                        leaving = _move(c, m, velocity, mirror, ratio, neighbor, resolved, out)
                        if turns:
                            leaving += _turn(c, m, azimuths, curvature, alpha, beta, level_weight, out)
                        for e in range(entries):
                            total = loss[c, e] + leaving
                            out[c, m, e] = out[c, m, e] / total if total > 0.0 else 0.0


@kernel
def _move(c, m, velocity, mirror, ratio, neighbor, resolved, out):
    """Add to out[c, m] what comes through the faces; the rate of leaving."""
    leaving = 0.0
    for axis in range(3):
        v = velocity[m, axis]
        if v == 0.0 or not resolved[axis]:
            continue
        side = 0 if v > 0.0 else 1
        v = abs(v)
        leaving += v * ratio[c, axis, 1 - side]
        beyond, direction = neighbor[c, axis, side], m
        if beyond == MIRROR:
            beyond, direction = c, mirror[axis, m]
        if 0 <= beyond < out.shape[0]:
            entering = v * ratio[c, axis, side]
            for e in range(out.shape[2]):
                out[c, m, e] += entering * out[beyond, direction, e]
    return leaving


@kernel
def _turn(c, m, azimuths, curvature, alpha, beta, level_weight, out):
    """Add to out[c, m] what turns into it; the rate of turning away."""
    l, a = m // azimuths, m % azimuths
    p, q = curvature[c, 0], curvature[c, 1]
    low, high = q * beta[l, a], q * beta[l, a + 1]
    if l > 0:
        from_below = p * alpha[l] / level_weight[l]
        for e in range(out.shape[2]):
            out[c, m, e] += from_below * out[c, m - azimuths, e]
    if low > 0.0 or high < 0.0:
        # from the azimuth before or after on the ring
        if low > 0.0:
            side, from_side = m - 1, low
        else:
            side, from_side = m + 1, -high
        for e in range(out.shape[2]):
            out[c, m, e] += from_side * out[c, side, e]
    return p * alpha[l + 1] / level_weight[l] + max(high, 0.0) + max(-low, 0.0)
