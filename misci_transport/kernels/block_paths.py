"""Straight paths out of the cells of a block, for what neutrinos see on their way: docs/validity.md, "Blocks".

A neutrino at the centre of a cell goes straight on in its direction v, until the flat facet through the centres of its
neighbours downstream,

    t = 1/sum_d |v_d|/l_d,    H_end = sum_d (t |v_d|/l_d) H_d,

with l_d the distance of the neighbour along axis d: linear interpolation, exact where H is linear in space, never an
extrapolation, and with one resolved axis the neighbour itself. In spherical coordinates the components of v turn on the
way, v' at the end, and H_d = field_0 - v' . field_1 with the neighbour's field in its own basis: so a flux that has the
symmetry of the coordinates does not turn, and one that is the same everywhere turns only as far as it is interpolated.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel
from .adiabaticity import ray_field


@kernel
def turned_direction(r, cosine, sine, v, length, out):
    """Components of the unit vector v, given in the basis at (r, theta), in the basis length cm farther along v.

    cosine and sine of theta; all three components along (e_r, e_theta, e_phi) into out. On the polar axis e_phi stays.
    """
    x = r + length * v[0]
    y = length * v[1]
    z = length * v[2]
    size = sqrt(x * x + y * y + z * z)
    if size == 0.0:
        out[:] = v
        return
    # e_r at the end, and e_phi along (polar axis) x e_r, with the axis at (cosine, -sine, 0)
    x, y, z = x / size, y / size, z / size
    px = -sine * z
    py = -cosine * z
    pz = cosine * y + sine * x
    length_p = sqrt(px * px + py * py + pz * pz)
    if length_p > 0.0:
        px, py, pz = px / length_p, py / length_p, pz / length_p
    else:
        px, py, pz = 0.0, 0.0, 1.0
    out[0] = v[0] * x + v[1] * y + v[2] * z
    # e_theta = e_phi x e_r
    out[1] = v[0] * (py * z - pz * y) + v[1] * (pz * x - px * z) + v[2] * (px * y - py * x)
    out[2] = v[0] * px + v[1] * py + v[2] * pz


@kernel
def path_ends(field, velocity, neighbour, distance, polar, first, n_flavors, base, length):
    """H without its vacuum term where the paths out of cells first, first + 1, ... end, and their lengths.

    field (row, 4, N_f^2) packed, cm^-1; velocity (direction, 3); neighbour (cell, axis, side) rows, the cell's own
    where there is none; distance (cell, axis, side) in cm, infinite along axes that are not resolved; polar (cell, 3)
    r, cos theta, sin theta, or of size zero in Cartesian coordinates. Out: base (part of cells, direction, N_f^2) up to
    a multiple of the identity, length (part of cells, direction). In spherical coordinates a path ends where its
    direction has turned by about one radian, and the cell itself takes the rest of the weight.
    """
    size = n_flavors * n_flavors
    one = np.empty(9)
    turned = np.empty(3)
    for part in range(base.shape[0]):
        cell = first + part
        for m in range(velocity.shape[0]):
            v = velocity[m]
            rate = 0.0
            for axis in range(3):
                side = 1 if v[axis] > 0.0 else 0
                rate += abs(v[axis]) / distance[cell, axis, side]
            # nothing changes along a path that crosses no resolved axis, and its length does not matter
            t = 1.0 / rate if rate > 0.0 else 1.0
            rest = 0.0 if rate > 0.0 else 1.0
            turned[:] = v
            if polar.size > 0:
                across = sqrt(v[1] * v[1] + v[2] * v[2])
                if t * across > polar[cell, 0]:
                    t = polar[cell, 0] / across
                    rest = 1.0 - t * rate
                turned_direction(polar[cell, 0], polar[cell, 1], polar[cell, 2], v, t, turned)
            length[part, m] = t
            for k in range(size):
                base[part, m, k] = 0.0
            if rest > 0.0:
                ray_field(field[cell], turned, n_flavors, one)
                for k in range(size):
                    base[part, m, k] += rest * one[k]
            for axis in range(3):
                side = 1 if v[axis] > 0.0 else 0
                share = abs(v[axis]) / distance[cell, axis, side]
                share = share / rate * (1.0 - rest) if rate > 0.0 else 0.0
                if share > 0.0:
                    ray_field(field[neighbour[cell, axis, side]], turned, n_flavors, one)
                    for k in range(size):
                        base[part, m, k] += share * one[k]
