"""Galerkin projection of the first-order transport on J + 3 v . H, with H eliminated: diffusion on a block.

    H_d = q_d/kappa_d - [R_high (J_high - J) + R_low (J - J_low)]/(6 kappa_d)
    (M J)_c = absorption J + sum_d [R_high (H_d + H_d,high) - R_low (H_d,low + H_d)]/2 + sum_faces leak (J - J_beyond)

of centred face values (b = 1/2), and their upwind part as ``leak`` = R (2 b - 1) <|v_d|>/2 and in kappa_d. As in
the transport itself J is seen over two cells; V M is symmetric and positive. Beyond a free end J and H are zero
(Marshak's condition follows from leak), beyond a reflecting one J is the same and H_d reversed.

Arrays: j[row, entry], flux[row, axis, entry] with ghosts of other ranks; conductance[cell, axis, entry] =
1/(6 kappa_d); leak[cell, axis, side, entry]; absorption[cell, entry]; neighbor, ratio as in kernels/block_sweep.py.
"""

from __future__ import annotations

from ..numba_cache import kernel
from .block_sweep import MIRROR


@kernel
def fick(j, neighbor, ratio, resolved, conductance, out):
    """out[cell, axis, entry] = -[R_high (J_high - J) + R_low (J - J_low)] conductance; zero on other axes."""
    cells, entries = conductance.shape[0], j.shape[1]
    for c in range(cells):
        for axis in range(3):
            for e in range(entries):
                out[c, axis, e] = 0.0
            if not resolved[axis]:
                continue
            for side in range(2):
                beyond = neighbor[c, axis, side]
                r = ratio[c, axis, side] if side == 1 else -ratio[c, axis, side]
                if beyond >= 0:
                    for e in range(entries):
                        out[c, axis, e] -= r * (j[beyond, e] - j[c, e]) * conductance[c, axis, e]
                elif beyond != MIRROR:
                    for e in range(entries):
                        out[c, axis, e] += r * j[c, e] * conductance[c, axis, e]


@kernel
def balance(j, flux, neighbor, ratio, resolved, absorption, leak, out):
    """out[cell, entry] = M J, the second line of the module's text, with H = flux."""
    cells, entries = absorption.shape
    for c in range(cells):
        for e in range(entries):
            out[c, e] = absorption[c, e] * j[c, e]
        for axis in range(3):
            if not resolved[axis]:
                continue
            for side in range(2):
                beyond = neighbor[c, axis, side]
                if beyond == MIRROR:
                    continue
                half = 0.5 * ratio[c, axis, side] if side == 1 else -0.5 * ratio[c, axis, side]
                if beyond >= 0:
                    for e in range(entries):
                        out[c, e] += half * (flux[c, axis, e] + flux[beyond, axis, e])
                        out[c, e] += leak[c, axis, side, e] * (j[c, e] - j[beyond, e])
                else:
                    for e in range(entries):
                        out[c, e] += half * flux[c, axis, e] + leak[c, axis, side, e] * j[c, e]


@kernel
def face_terms(b, row, axis, ratio, neighbor, leaving, drag, leak, kappa):
    """Upwind parts of the faces along one axis: sets ``leak`` and adds to kappa[cell, axis, entry].

    b[k, j, i, entry] of the low faces along the axis; leaving = <|v_d|>/2 over all directions; drag[d] = 3/2
    <v_d^2 |v_axis|> of the first moment along d.
    """
    n2, n1, n0 = row.shape[0] - 4, row.shape[1] - 4, row.shape[2] - 4
    dk, dj, di = int(axis == 2), int(axis == 1), int(axis == 0)
    for k in range(n2):
        for j in range(n1):
            for i in range(n0):
                c = (k * n1 + j) * n0 + i
                for side in range(2):
                    r = ratio[c, axis, side]
                    mirrored = neighbor[c, axis, side] == MIRROR
                    for e in range(b.shape[3]):
                        upwind = 2.0 * b[k + side * dk, j + side * dj, i + side * di, e] - 1.0
                        # a mirror reverses H along its axis and keeps J and the rest
                        leak[c, axis, side, e] = 0.0 if mirrored else r * upwind * leaving
                        for d in range(3):
                            share = (2.0 if d == axis else 0.0) if mirrored else 1.0
                            kappa[c, d, e] += share * drag[d] * r * upwind


@kernel
def diagonal(neighbor, ratio, beyond_ratio, resolved, absorption, leak, conductance, out):
    """out[cell, entry] = diagonal of M; conductance[row, axis, entry] and beyond_ratio[row, axis, side] with ghosts."""
    cells, entries = absorption.shape
    for c in range(cells):
        for e in range(entries):
            out[c, e] = absorption[c, e]
        for axis in range(3):
            if not resolved[axis]:
                continue
            # what J of the cell does to its own H
            own = 0.0
            for side in range(2):
                r = ratio[c, axis, side] if side == 1 else -ratio[c, axis, side]
                beyond = neighbor[c, axis, side]
                if beyond != MIRROR:
                    own -= r
                    for e in range(entries):
                        out[c, e] += leak[c, axis, side, e]
                if beyond >= 0:
                    facing = ratio[c, axis, side] * beyond_ratio[beyond, axis, 1 - side]
                    for e in range(entries):
                        out[c, e] += 0.5 * facing * conductance[beyond, axis, e]
            for e in range(entries):
                out[c, e] += 0.5 * own * own * conductance[c, axis, e]
