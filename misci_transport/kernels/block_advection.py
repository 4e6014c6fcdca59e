"""Finite-volume advection on a block: df/dt = sum_d v_d (R_d,low F_d,low - R_d,high F_d,high), R = A_face/V.

F is the face value of one dimension (kernels/advection.py) along each resolved axis: b f_up + (1 - b) f_down +
(b - 1/2) slope, with slopes at most 2 f_up: f >= 0 stays >= 0 up to CFL 1/2. Arrays, with axis 0 fastest in every
numbering of cells:

    f[row, direction, entry]          owned cells first, then ghosts; entries = (species, group, level) flattened.
                                      Ghosts are finite also behind faces without area.
    row[k + 2, j + 2, i + 2]          the row that holds cell (i, j, k), padded by two cells on every side of every axis
    velocity[direction, axis]         components of the unit vectors along the axes of the cell
    ratio[cell, axis, side]           A_face/V, cm^-1; side 0 low, 1 high
    volume[cell]                      V, cm^3 (or whatever makes ratio * volume the area that the caller wants)
    resolved[axis]                    bool; along the others nothing changes
    b0, b1, b2[k, j, i, entry]        upwind fraction of the low face of cell (i, j, k) along axis 0, 1, 2: one more
                                      face than cells along that axis; of any size for an axis that is not resolved
    start, out[cell, direction, entry]

f, b0, b1 and b2 are contiguous. Every difference is along one axis: the corners of ``row`` are never used.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel

# What _divergence makes of the rate. Numbers of numpy, which the compiler does not make code of its own for.
RATE, FORWARD, MEAN = np.int64(0), np.int64(1), np.int64(2)

#: Directions that are taken through a tile together: enough for long runs of memory, few enough for the face buffers.
WIDTH = 24

#: Bytes of the four planes of a tile: they should survive in the last level of cache until the next plane.
PLANES = 8 << 20

#: Fewest lines along axis 1 of a tile; every tile reads three lines of its neighbours again.
LINES = 4


@kernel
def block_upwind_fraction(opacity, width, row, resolved, floor, b0, b1, b2):
    """b = max(1/2, floor/(floor + tau)), tau = the smaller opacity * width of the two cells at a face.

    opacity[row, entry] in cm^-1 and width[row, axis] in cm, ghosts included: rows beyond a boundary have opacity
    zero, which gives b = 1 (upwind), as a free surface needs. Fills b0, b1, b2 of the resolved axes.
    """
    if resolved[0]:
        _fraction(opacity, width, row, 0, floor, b0)
    if resolved[1]:
        _fraction(opacity, width, row, 1, floor, b1)
    if resolved[2]:
        _fraction(opacity, width, row, 2, floor, b2)


@kernel
def _fraction(opacity, width, row, axis, floor, out):
    dk, dj, di = int(axis == 2), int(axis == 1), int(axis == 0)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                right = row[k + 2, j + 2, i + 2]
                left = row[k + 2 - dk, j + 2 - dj, i + 2 - di]
                near, far = width[left, axis], width[right, axis]
                for e in range(out.shape[3]):
                    here, there = opacity[left, e] * near, opacity[right, e] * far
                    tau = here if here < there else there
                    fraction = floor / (floor + tau)
                    out[k, j, i, e] = fraction if fraction > 0.5 else 0.5


@kernel
def flux_divergence(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, out):
    """out[cell, direction, entry] = A f, the df/dt of the module's text, cm^-1; ``second_order``: limited slopes."""
    lower, upper = _everything(row)
    _divergence(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, RATE, out, 1.0, out, lower, upper)


@kernel
def advance(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, start, h, out):
    """out = start + h A f with A f as `flux_divergence` gives it; start may be the owned rows of f, not out."""
    lower, upper = _everything(row)
    _divergence(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, FORWARD, start, h, out, lower, upper)


@kernel
def advance_mean(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, start, h, out):
    """out = (start + out)/2 + h/2 A f: with out = start + h A f* given, start + h (A f* + A f)/2."""
    lower, upper = _everything(row)
    _divergence(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, MEAN, start, 0.5 * h, out, lower, upper)


@kernel
def advance_box(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, start, h, out, lower, upper):
    """`advance` of the cells lower[axis] <= index < upper[axis] only, to the same bits; out is kept elsewhere.

    Rows of f and faces of b are read up to two cells and one face around the box along the resolved axes: [2, n - 2)
    needs no ghost. The last face of a box is computed again by the next one. start and out must not overlap.
    """
    _divergence(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, FORWARD, start, h, out, lower, upper)


@kernel
def advance_mean_box(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, start, h, out, lower, upper):
    """`advance_mean` of the cells lower[axis] <= index < upper[axis] only, as `advance_box` does it."""
    _divergence(f, row, velocity, ratio, resolved, b0, b1, b2, second_order, MEAN, start, 0.5 * h, out, lower, upper)


@kernel
def _everything(row):
    lower, upper = np.zeros(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    for axis in range(3):
        upper[axis] = row.shape[2 - axis] - 4
    return lower, upper


@kernel
def boundary_flow(f, row, velocity, ratio, volume, sides, b0, b1, b2, second_order, flow):
    """flow[axis, side, direction, entry] += sum of A v F over the faces of the block on the wanted ``sides``.

    sides[axis, side] bool: those sides of the block that lie on the mesh boundary, of resolved axes only. The flow
    is counted along the axis, to the same bits as `flux_divergence` uses it; the sum over faces runs with the lower
    axis fastest.
    """
    n2, n1, n0 = row.shape[0] - 4, row.shape[1] - 4, row.shape[2] - 4
    width = f.shape[1]
    face = np.empty((width, f.shape[2]))
    for axis in range(3):
        for side in range(2):
            if not sides[axis, side]:
                continue
            # the cells of this side: one layer along the axis
            k0, k1, j0, j1, i0, i1 = 0, n2, 0, n1, 0, n0
            if axis == 0:
                i0, i1 = (0, 1) if side == 0 else (n0 - 1, n0)
            elif axis == 1:
                j0, j1 = (0, 1) if side == 0 else (n1 - 1, n1)
            else:
                k0, k1 = (0, 1) if side == 0 else (n2 - 1, n2)
            dk, dj, di = int(axis == 2), int(axis == 1), int(axis == 0)
            for k in range(k0, k1):
                for j in range(j0, j1):
                    for i in range(i0, i1):
                        cell = (k * n1 + j) * n0 + i
                        # rows on both sides of the face, which is the low face of the cell (i + s, ...)
                        z, y, x = k + 2 + side * dk, j + 2 + side * dj, i + 2 + side * di
                        l2, l1 = row[z - 2 * dk, y - 2 * dj, x - 2 * di], row[z - dk, y - dj, x - di]
                        r1, r2 = row[z, y, x], row[z + dk, y + dj, x + di]
                        area = ratio[cell, axis, side] * volume[cell]
                        if axis == 0:
                            b, at = _rows(b0), (k * n1 + j) * (n0 + 1) + i + side
                        elif axis == 1:
                            b, at = _rows(b1), (k * (n1 + 1) + j + side) * n0 + i
                        else:
                            b, at = _rows(b2), ((k + side) * n1 + j) * n0 + i
                        for m in range(width):
                            v = velocity[m, axis]
                            if v > 0.0:
                                _face(f, l1, r1, l2, m, b, at, second_order, face, m)
                            else:
                                _face(f, r1, l1, r2, m, b, at, second_order, face, m)
                            for e in range(f.shape[2]):
                                flow[axis, side, m, e] += area * v * face[m, e]


@kernel
def _rows(b):
    """b[k, j, i, entry] as [face, entry]; one empty row for an axis that is not resolved."""
    entries = max(b.shape[3], 1)
    return b.reshape(b.size // entries, entries)


# Loops that write one or two rows, indexed without views and with indices that the compiler knows to be positive:
# all others stay scalar (inspect_asm shows it). In `_value` the slope is 2 p/q with p/q = step
# back/(step + back) where p > 0.


@kernel
def _value(value, down, behind, b):
    """b f_up + (1 - b) f_down + (b - 1/2) slope, at most 2 f_up where that is positive."""
    step = down - value
    back = value - behind
    product = step * back
    half = product / (step + back) if product > 0.0 else 0.0
    face = value + half + (1.0 - b) * (step - 2.0 * half)
    most = 2.0 * value if value > 0.0 else 0.0
    return most if face > most else face


@kernel
def _face(f, up, down, behind, m, b, at, second_order, out, to):
    """Value on a face, out[to, e] = b f_up + (1 - b) f_down + (b - 1/2) slope."""
    if second_order:
        for e in range(f.shape[2]):
            out[to, e] = _value(f[up, m, e], f[down, m, e], f[behind, m, e], b[at, e])
    else:
        for e in range(f.shape[2]):
            w = b[at, e]
            out[to, e] = w * f[up, m, e] + (1.0 - w) * f[down, m, e]


@kernel
def _cross(f, up, down, behind, m, b, at, second_order, low, high, carry, to, out, cell):
    """out[cell, m, e] += low carry[to, e] - high F, then carry = F, the value on the high face as `_face` has it."""
    if second_order:
        for e in range(f.shape[2]):
            face = _value(f[up, m, e], f[down, m, e], f[behind, m, e], b[at, e])
            out[cell, m, e] += low * carry[to, e] - high * face
            carry[to, e] = face
    else:
        for e in range(f.shape[2]):
            w = b[at, e]
            face = w * f[up, m, e] + (1.0 - w) * f[down, m, e]
            out[cell, m, e] += low * carry[to, e] - high * face
            carry[to, e] = face


@kernel
def _through(
    f, l2, l1, c, r1, r2, first, last, velocity, axis, b, low_face, high_face, begin, second_order, low, high, carry,
    slot, out, cell,
):  # fmt: skip
    """Add the flows along one axis to one cell; carry[slot + m - first] holds the low face, computed if ``begin``."""
    for m in range(first, last):
        v = velocity[m, axis]
        if v == 0.0:
            continue
        to = slot + m - first
        if v > 0.0:
            if begin:
                _face(f, l1, c, l2, m, b, low_face, second_order, carry, to)
            up, down, behind = c, r1, l1
        else:
            if begin:
                _face(f, c, l1, r1, m, b, low_face, second_order, carry, to)
            up, down, behind = r1, c, r2
        _cross(f, up, down, behind, m, b, high_face, second_order, v * low, v * high, carry, to, out, cell)


@kernel
def _begin(kind, start, out, cell, m):
    if kind == RATE:
        for e in range(out.shape[2]):
            out[cell, m, e] = 0.0
    elif kind == FORWARD:
        for e in range(out.shape[2]):
            out[cell, m, e] = start[cell, m, e]
    else:
        for e in range(out.shape[2]):
            out[cell, m, e] = 0.5 * (start[cell, m, e] + out[cell, m, e])


@kernel
def _divergence(
    f, row, velocity, ratio, resolved, b0, b1, b2, second_order, kind, start, h, out, lower, upper
):  # fmt: skip
    n0, directions, entries = upper[0] - lower[0], out.shape[1], out.shape[2]
    width = max(min(directions, WIDTH), 1)
    lines = max(PLANES // max(4 * n0 * width * entries * 8, 1), LINES)
    _tiles(
        f, row, velocity, ratio, resolved, b0, b1, b2, second_order, kind, start, h, out, lower, upper, width, lines
    )  # fmt: skip


@kernel
def _tiles(
    f, row, velocity, ratio, resolved, b0, b1, b2, second_order, kind, start, h, out, lower, upper, width, lines
):  # fmt: skip
    """`_divergence` in tiles of ``lines`` lines along axis 1 and ``width`` directions, to the same bits for any tile.

    Each face is computed once: the last face of every axis is kept in a buffer, of one cell along axis 0, of a line
    along axis 1 and of a plane of the tile along axis 2.
    """
    n1, n0, across = row.shape[1] - 4, row.shape[2] - 4, max(upper[0] - lower[0], 0)
    directions, entries = out.shape[1], out.shape[2]
    lines = max(min(lines, upper[1] - lower[1]), 0)
    x, y, z = resolved[0], resolved[1], resolved[2]
    w0, w1, w2 = _rows(b0), _rows(b1), _rows(b2)
    cell_face = np.empty((width, entries))
    line_face = np.empty((across * width, entries))
    plane_face = np.empty((lines * across * width if z else 1, entries))
    for first in range(0, directions, width):
        last = min(first + width, directions)
        for j0 in range(lower[1], upper[1], max(lines, 1)):
            for k in range(lower[2], upper[2]):
                for j in range(j0, min(j0 + lines, upper[1])):
                    for i in range(lower[0], upper[0]):
                        cell = (k * n1 + j) * n0 + i
                        c = row[k + 2, j + 2, i + 2]
                        for m in range(first, last):
                            _begin(kind, start, out, cell, m)
                        if x:
                            face = (k * n1 + j) * (n0 + 1) + i
                            _through(
                                f, row[k + 2, j + 2, i], row[k + 2, j + 2, i + 1], c, row[k + 2, j + 2, i + 3],
                                row[k + 2, j + 2, i + 4], first, last, velocity, 0, w0, face, face + 1, i == lower[0],
                                second_order, h * ratio[cell, 0, 0], h * ratio[cell, 0, 1], cell_face, 0, out, cell,
                            )  # fmt: skip
                        if y:
                            face = (k * (n1 + 1) + j) * n0 + i
                            _through(
                                f, row[k + 2, j, i + 2], row[k + 2, j + 1, i + 2], c, row[k + 2, j + 3, i + 2],
                                row[k + 2, j + 4, i + 2], first, last, velocity, 1, w1, face, face + n0, j == j0,
                                second_order, h * ratio[cell, 1, 0], h * ratio[cell, 1, 1], line_face,
                                (i - lower[0]) * width,
                                out, cell,
                            )  # fmt: skip
                        if z:
                            face = (k * n1 + j) * n0 + i
                            _through(
                                f, row[k, j + 2, i + 2], row[k + 1, j + 2, i + 2], c, row[k + 3, j + 2, i + 2],
                                row[k + 4, j + 2, i + 2], first, last, velocity, 2, w2, face, face + n1 * n0,
                                k == lower[2], second_order, h * ratio[cell, 2, 0], h * ratio[cell, 2, 1], plane_face,
                                ((j - j0) * across + i - lower[0]) * width, out, cell,
                            )  # fmt: skip
