"""Rotation of two-flavour density matrices by their Hamiltonians: exact for a given H, |P| kept to round-off.

rho = (T + P . sigma)/2, H = h_0 + h . sigma: a step turns P about h by the angle 2 |h| dt. With b = h dt sin(y)/y,
a = cos y, y = |h| dt,

    P' = P + 2 b x (b x P + a P),

whose change of |P| by round-off of a and b is of the order of round-off times sin^2 y: 10^5 steps about one axis add
up nothing. sin and cos are the polynomials of fdlibm on |y| < pi/4, after reduction by quarters of the circle.
"""

from __future__ import annotations

from math import floor, sqrt

import numpy as np

from ..numba_cache import kernel
from .kinetic_lanes import BLOCK, add_moments, clear, common_field, load, store, sum_moments

COMPONENTS = 4
# Rows of the scratch array: common part of H (packed), one state (packed), moments at the start and at the middle,
# h dt (x, y, z), y^2, a, sin(y)/y.
FIELD, STATE, NOW, MIDDLE, TURN, SQUARE, COSINE, SINE = 0, 4, 8, 16, 24, 27, 28, 29
ROWS = 30

# (pi/4)^2: below, no reduction.
SMALL = 0.6168502750680849
TWO_OVER_PI = 0.6366197723675814
# pi/2 as a number of 33 bits and the rest.
HALF_PI, HALF_PI_REST = 1.57079632673412561417, 6.07710050650619224932e-11
S1, S2, S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
S4, S5, S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
C1, C2, C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
C4, C5, C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11


@kernel
def half_angle(w, n):
    """Rows COSINE = cos y and SINE = sin(y)/y from row SQUARE = y^2."""
    large = 0
    for i in range(n):
        z = w[SQUARE * BLOCK + i]
        large += z > SMALL
        w[COSINE * BLOCK + i] = 1.0 - 0.5 * z + z * z * (C1 + z * (C2 + z * (C3 + z * (C4 + z * (C5 + z * C6)))))
        w[SINE * BLOCK + i] = 1.0 + z * (S1 + z * (S2 + z * (S3 + z * (S4 + z * (S5 + z * S6)))))
    if large == 0:
        return
    for i in range(n):
        square = w[SQUARE * BLOCK + i]
        if square > SMALL:
            y = sqrt(square)
            quarters = floor(y * TWO_OVER_PI + 0.5)
            r = (y - quarters * HALF_PI) - quarters * HALF_PI_REST
            z = r * r
            cosine = 1.0 - 0.5 * z + z * z * (C1 + z * (C2 + z * (C3 + z * (C4 + z * (C5 + z * C6)))))
            sine = r * (1.0 + z * (S1 + z * (S2 + z * (S3 + z * (S4 + z * (S5 + z * S6))))))
            quarter = quarters - 4 * (quarters // 4)
            if quarter == 1:
                cosine, sine = -sine, cosine
            elif quarter == 2:
                cosine, sine = -cosine, -sine
            elif quarter == 3:
                cosine, sine = sine, -cosine
            w[COSINE * BLOCK + i] = cosine
            w[SINE * BLOCK + i] = sine / y


@kernel
def turn_lanes(w, vx, vy, vz, dt, n):
    """STATE <- exp(-i H dt) STATE exp(+i H dt), H = FIELD + vacuum (vx, vy, vz); FIELD packed."""
    for i in range(n):
        hx = dt * (w[(FIELD + 2) * BLOCK + i] + vx)
        hy = dt * (vy - w[(FIELD + 3) * BLOCK + i])
        hz = dt * (0.5 * (w[FIELD * BLOCK + i] - w[(FIELD + 1) * BLOCK + i]) + vz)
        w[TURN * BLOCK + i] = hx
        w[(TURN + 1) * BLOCK + i] = hy
        w[(TURN + 2) * BLOCK + i] = hz
        w[SQUARE * BLOCK + i] = hx * hx + hy * hy + hz * hz
    half_angle(w, n)
    for i in range(n):
        a = w[COSINE * BLOCK + i]
        s = w[SINE * BLOCK + i]
        bx = s * w[TURN * BLOCK + i]
        by = s * w[(TURN + 1) * BLOCK + i]
        bz = s * w[(TURN + 2) * BLOCK + i]
        electron = w[STATE * BLOCK + i]
        other = w[(STATE + 1) * BLOCK + i]
        # half of P
        x = w[(STATE + 2) * BLOCK + i]
        y = -w[(STATE + 3) * BLOCK + i]
        z = 0.5 * (electron - other)
        ux = by * z - bz * y + a * x
        uy = bz * x - bx * z + a * y
        uz = bx * y - by * x + a * z
        change = 2.0 * (bx * uy - by * ux)
        w[STATE * BLOCK + i] = electron + change
        w[(STATE + 1) * BLOCK + i] = other - change
        w[(STATE + 2) * BLOCK + i] = x + 2.0 * (by * uz - bz * uy)
        w[(STATE + 3) * BLOCK + i] = -(y + 2.0 * (bz * ux - bx * uz))


@kernel
def rotate_2(state, first, last, cosine, weight, number_weight, vacuum, potential, flow, strength, dt):
    """rho <- exp(-i H dt) rho exp(+i H dt) in the cells first to last, H at the middle of the step: second order.

    The moments at the middle are those of a rotation over dt/2 with H of the start.

    Parameters
    ----------
    state
        (direction, species, group, 4, cell) packed, with ghosts; antineutrinos positive.
    first, last
        Cells of the last axis that are rotated.
    cosine, weight
        (direction,) v and weights.
    number_weight
        (group,).
    vacuum
        (group, 4) packed vacuum term of neutrinos, inverse time.
    potential, flow
        (last - first,) V, inverse time, and beta.
    strength, dt
        Self-interaction strength and time.
    """
    groups, row = state.shape[2], state.shape[4]
    flat = state.reshape(-1)
    shape = (groups, COMPONENTS, row)
    w = np.zeros(ROWS * BLOCK)
    for start in range(0, last - first, BLOCK):
        n = min(BLOCK, last - first - start)
        sum_moments(flat, shape, first + start, cosine, weight, number_weight, w, STATE, NOW, n)
        clear(w, MIDDLE, 2 * COMPONENTS)
        for pass_ in range(2):
            middle = pass_ == 1
            for m in range(cosine.size):
                moments = MIDDLE if middle else NOW
                common_field(w, FIELD, moments, COMPONENTS, cosine[m], strength, potential, flow, start, n)
                for s in range(2):
                    sign = 1.0 if s == 0 else -1.0
                    for g in range(groups):
                        at = ((m * 2 + s) * groups + g) * COMPONENTS * row + first + start
                        load(flat, at, row, COMPONENTS, w, STATE, n)
                        vx = sign * vacuum[g, 2]
                        vy = -sign * vacuum[g, 3]
                        vz = sign * 0.5 * (vacuum[g, 0] - vacuum[g, 1])
                        if middle:
                            turn_lanes(w, vx, vy, vz, dt, n)
                            store(flat, at, row, COMPONENTS, w, STATE, n)
                        else:
                            turn_lanes(w, vx, vy, vz, 0.5 * dt, n)
                            factor = sign * weight[m] * number_weight[g]
                            add_moments(w, STATE, COMPONENTS, factor, cosine[m], MIDDLE, n)
