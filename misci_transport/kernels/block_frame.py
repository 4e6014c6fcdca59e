"""What moving matter does on a block besides shifts of energy: it carries neutrinos along and turns their directions.

    df/ds = -div(beta f) - (outflow of direction m)/w_m,    outflow = sum over the neighbours of T f_between

(docs/geometry.md, "Moving matter"). Every flow leaves one place and enters another, so that numbers are conserved to
round-off. Arrays as in kernels/block_advection.
"""

from __future__ import annotations

from ..numba_cache import kernel
from .frame_terms import STEEPEST


@kernel
def carry(f, row, ratio, volume, resolved, sides, face0, face1, face2, second_order, factor, out, flow):
    """out[cell, direction, entry] -= factor div(beta f), with face values from upwind of the matter.

    face0, face1, face2[k, j, i] = beta along the axis on its faces (one more than cells along that axis; of any size
    for an axis that is not ``resolved``). ``second_order``: limited slopes (van Leer), at most twice the value upwind.
    flow[axis, side, direction, entry] += area beta f, along the axis and without ``factor``, on the wanted
    sides[axis, side] of the block; volume[cell].
    """
    if resolved[0]:
        _carry(f, row, ratio, volume, 0, sides, face0, second_order, factor, out, flow)
    if resolved[1]:
        _carry(f, row, ratio, volume, 1, sides, face1, second_order, factor, out, flow)
    if resolved[2]:
        _carry(f, row, ratio, volume, 2, sides, face2, second_order, factor, out, flow)


@kernel
def _carry(f, row, ratio, volume, axis, sides, face, second_order, factor, out, flow):
    n2, n1, n0 = row.shape[0] - 4, row.shape[1] - 4, row.shape[2] - 4
    dk, dj, di = int(axis == 2), int(axis == 1), int(axis == 0)
    last = (n0, n1, n2)[axis]
    directions, entries = out.shape[1], out.shape[2]
    for k in range(face.shape[0]):
        for j in range(face.shape[1]):
            for i in range(face.shape[2]):
                beta = face[k, j, i]
                if beta == 0.0:
                    continue
                at = (i, j, k)[axis]
                # the cell above the face and the one below, of which one may be a ghost
                above = (k * n1 + j) * n0 + i
                below = above - (1, n0, n0 * n1)[axis]
                z, y, x = k + 2, j + 2, i + 2
                left, right = row[z - dk, y - dj, x - di], row[z, y, x]
                if beta > 0.0:
                    up, down, behind = left, right, row[z - 2 * dk, y - 2 * dj, x - 2 * di]
                else:
                    up, down, behind = right, left, row[z + dk, y + dj, x + di]
                leaving = factor * ratio[below, axis, 1] * beta if at > 0 else 0.0
                entering = factor * ratio[above, axis, 0] * beta if at < last else 0.0
                area = 0.0
                if at == 0 and sides[axis, 0]:
                    area = ratio[above, axis, 0] * volume[above] * beta
                elif at == last and sides[axis, 1]:
                    area = ratio[below, axis, 1] * volume[below] * beta
                for m in range(directions):
                    for e in range(entries):
                        value = f[up, m, e]
                        if second_order:
                            step, back = f[down, m, e] - value, value - f[behind, m, e]
                            product = step * back
                            if product > 0.0:
                                value = min(value + product / (step + back), 2.0 * max(value, 0.0))
                        if at > 0:
                            out[below, m, e] -= leaving * value
                        if at < last:
                            out[above, m, e] += entering * value
                        if area != 0.0:
                            flow[axis, 0 if at == 0 else 1, m, e] += area * value


@kernel
def shift_between(f, pair, share, flow, inverse_weight, limited, factor, out):
    """out[cell, m, e] -= factor outflow/w_m with T = flow[cell, edge] from direction pair[edge, 0] to pair[edge, 1].

    f[row, direction, entry], owned cells first; the value between two directions is (1 - share) f_0 + share f_1,
    ``limited`` as in `frame_terms.shift_energies`; inverse_weight[direction].
    """
    cells, entries = out.shape[0], out.shape[2]
    for c in range(cells):
        for n in range(pair.shape[0]):
            t = factor * flow[c, n]
            if t == 0.0:
                continue
            p, q, a = pair[n, 0], pair[n, 1], share[n]
            lose, gain = t * inverse_weight[p], t * inverse_weight[q]
            up = p if t > 0.0 else q
            for e in range(entries):
                value = (1.0 - a) * f[c, p, e] + a * f[c, q, e]
                if limited:
                    value = min(max(value, 0.0), STEEPEST * max(f[c, up, e], 0.0))
                out[c, p, e] -= lose * value
                out[c, q, e] += gain * value
