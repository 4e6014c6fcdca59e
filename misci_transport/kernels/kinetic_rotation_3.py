"""Rotation of three-flavour density matrices by their Hamiltonians: exact for a given H, Tr rho^n kept to round-off.

U = exp(-i Q), Q = (H - Tr H/3) dt, is 1 + G with G = g_0 + g_1 Q + g_2 Q^2: the characteristic polynomial
Q^3 = c_1 Q + c_0 (c_1 = Tr Q^2/2, c_0 = det Q) folds the power series, which needs no eigenvalues and no division.
G is never added to 1, so that U is unitary to round-off times |Q|^2:

    rho' = rho + W + W^+ + W G^+,        W = G rho.

The series has TERMS terms, enough for |Q| <= 1. A larger Q is divided by 2^k and 1 + G squared k times.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .kinetic_lanes import BLOCK, add_moments, clear, common_field, load, store, sum_moments

COMPONENTS = 9
TERMS = 19
#: Largest c_1 of a matrix with eigenvalues up to 1.
LARGEST = 0.75
# Rows of the scratch array: common part of H (packed), one state (packed), moments at the start and at the middle,
# Q (packed), c_0 and c_1, the three coefficients of Horner's scheme (real, imaginary), G and W (3 x 3 each: real parts,
# then imaginary ones), k.
FIELD, STATE, NOW, MIDDLE, TURN, INVARIANT, SERIES, REAL, IMAG, WREAL, WIMAG = 0, 9, 18, 36, 54, 63, 65, 71, 80, 89, 98
DOUBLINGS = 107
ROWS = 108
#: For infinite numbers: 2^60 turns have no phase left.
MOST_DOUBLINGS = 60


@kernel
def _invariants(w, vacuum, sign, dt, n):
    """Rows TURN = Q / 2^k, INVARIANT = c_0, c_1 of it, and DOUBLINGS = k; H = FIELD + sign vacuum."""
    large = 0
    for i in range(n):
        q00 = w[FIELD * BLOCK + i] + sign * vacuum[0]
        q11 = w[(FIELD + 1) * BLOCK + i] + sign * vacuum[1]
        q22 = w[(FIELD + 2) * BLOCK + i] + sign * vacuum[2]
        mean = (q00 + q11 + q22) / 3.0
        q00 = dt * (q00 - mean)
        q11 = dt * (q11 - mean)
        q22 = dt * (q22 - mean)
        r01 = dt * (w[(FIELD + 3) * BLOCK + i] + sign * vacuum[3])
        i01 = dt * (w[(FIELD + 4) * BLOCK + i] + sign * vacuum[4])
        r02 = dt * (w[(FIELD + 5) * BLOCK + i] + sign * vacuum[5])
        i02 = dt * (w[(FIELD + 6) * BLOCK + i] + sign * vacuum[6])
        r12 = dt * (w[(FIELD + 7) * BLOCK + i] + sign * vacuum[7])
        i12 = dt * (w[(FIELD + 8) * BLOCK + i] + sign * vacuum[8])
        a01 = r01 * r01 + i01 * i01
        a02 = r02 * r02 + i02 * i02
        a12 = r12 * r12 + i12 * i12
        c1 = 0.5 * (q00 * q00 + q11 * q11 + q22 * q22) + a01 + a02 + a12
        # q01 q12 conj(q02)
        triple = (r01 * r12 - i01 * i12) * r02 + (r01 * i12 + i01 * r12) * i02
        c0 = q00 * q11 * q22 + 2.0 * triple - q00 * a12 - q11 * a02 - q22 * a01
        w[TURN * BLOCK + i] = q00
        w[(TURN + 1) * BLOCK + i] = q11
        w[(TURN + 2) * BLOCK + i] = q22
        w[(TURN + 3) * BLOCK + i] = r01
        w[(TURN + 4) * BLOCK + i] = i01
        w[(TURN + 5) * BLOCK + i] = r02
        w[(TURN + 6) * BLOCK + i] = i02
        w[(TURN + 7) * BLOCK + i] = r12
        w[(TURN + 8) * BLOCK + i] = i12
        w[INVARIANT * BLOCK + i] = c0
        w[(INVARIANT + 1) * BLOCK + i] = c1
        large += c1 > LARGEST
    if large == 0:
        return False
    for i in range(n):
        doublings = 0
        scale = 1.0
        while w[(INVARIANT + 1) * BLOCK + i] * scale * scale > LARGEST and doublings < MOST_DOUBLINGS:
            scale *= 0.5
            doublings += 1
        w[DOUBLINGS * BLOCK + i] = doublings
        for c in range(COMPONENTS):
            w[(TURN + c) * BLOCK + i] *= scale
        w[INVARIANT * BLOCK + i] *= scale * scale * scale
        w[(INVARIANT + 1) * BLOCK + i] *= scale * scale
    return True


@kernel
def _series(w, n):
    """Rows REAL, IMAG = G from TURN and INVARIANT: Horner's scheme in the ring of polynomials modulo Q^3 = c_1 Q + c_0.

    1 + (-i Q/j)(...) for j = TERMS ... 2, and the last factor without the 1.
    """
    for k in range(6):
        for i in range(n):
            w[(SERIES + k) * BLOCK + i] = 0.0
    for i in range(n):
        w[SERIES * BLOCK + i] = 1.0
    for j in range(TERMS, 0, -1):
        t = 1.0 / j
        one = 1.0 if j > 1 else 0.0
        for i in range(n):
            c0 = w[INVARIANT * BLOCK + i]
            c1 = w[(INVARIANT + 1) * BLOCK + i]
            r0 = w[SERIES * BLOCK + i]
            i0 = w[(SERIES + 1) * BLOCK + i]
            r1 = w[(SERIES + 2) * BLOCK + i]
            i1 = w[(SERIES + 3) * BLOCK + i]
            r2 = w[(SERIES + 4) * BLOCK + i]
            i2 = w[(SERIES + 5) * BLOCK + i]
            w[SERIES * BLOCK + i] = one + t * c0 * i2
            w[(SERIES + 1) * BLOCK + i] = -t * c0 * r2
            w[(SERIES + 2) * BLOCK + i] = t * (i0 + c1 * i2)
            w[(SERIES + 3) * BLOCK + i] = -t * (r0 + c1 * r2)
            w[(SERIES + 4) * BLOCK + i] = t * i1
            w[(SERIES + 5) * BLOCK + i] = -t * r1
    for i in range(n):
        r0 = w[SERIES * BLOCK + i]
        i0 = w[(SERIES + 1) * BLOCK + i]
        r1 = w[(SERIES + 2) * BLOCK + i]
        i1 = w[(SERIES + 3) * BLOCK + i]
        r2 = w[(SERIES + 4) * BLOCK + i]
        i2 = w[(SERIES + 5) * BLOCK + i]
        q00 = w[TURN * BLOCK + i]
        q11 = w[(TURN + 1) * BLOCK + i]
        q22 = w[(TURN + 2) * BLOCK + i]
        x01 = w[(TURN + 3) * BLOCK + i]
        y01 = w[(TURN + 4) * BLOCK + i]
        x02 = w[(TURN + 5) * BLOCK + i]
        y02 = w[(TURN + 6) * BLOCK + i]
        x12 = w[(TURN + 7) * BLOCK + i]
        y12 = w[(TURN + 8) * BLOCK + i]
        a01 = x01 * x01 + y01 * y01
        a02 = x02 * x02 + y02 * y02
        a12 = x12 * x12 + y12 * y12
        # elements of Q^2
        s00 = q00 * q00 + a01 + a02
        s11 = q11 * q11 + a01 + a12
        s22 = q22 * q22 + a02 + a12
        u01 = (q00 + q11) * x01 + x02 * x12 + y02 * y12
        v01 = (q00 + q11) * y01 + y02 * x12 - x02 * y12
        u02 = (q00 + q22) * x02 + x01 * x12 - y01 * y12
        v02 = (q00 + q22) * y02 + x01 * y12 + y01 * x12
        u12 = (q11 + q22) * x12 + x01 * x02 + y01 * y02
        v12 = (q11 + q22) * y12 + x01 * y02 - y01 * x02
        w[REAL * BLOCK + i] = r0 + r1 * q00 + r2 * s00
        w[IMAG * BLOCK + i] = i0 + i1 * q00 + i2 * s00
        w[(REAL + 4) * BLOCK + i] = r0 + r1 * q11 + r2 * s11
        w[(IMAG + 4) * BLOCK + i] = i0 + i1 * q11 + i2 * s11
        w[(REAL + 8) * BLOCK + i] = r0 + r1 * q22 + r2 * s22
        w[(IMAG + 8) * BLOCK + i] = i0 + i1 * q22 + i2 * s22
        # G = A + i B with Hermitian A, B: G_ab = (a_r - b_i) + i (a_i + b_r), G_ba = (a_r + b_i) + i (b_r - a_i)
        ar = r1 * x01 + r2 * u01
        ai = r1 * y01 + r2 * v01
        br = i1 * x01 + i2 * u01
        bi = i1 * y01 + i2 * v01
        w[(REAL + 1) * BLOCK + i] = ar - bi
        w[(IMAG + 1) * BLOCK + i] = ai + br
        w[(REAL + 3) * BLOCK + i] = ar + bi
        w[(IMAG + 3) * BLOCK + i] = br - ai
        ar = r1 * x02 + r2 * u02
        ai = r1 * y02 + r2 * v02
        br = i1 * x02 + i2 * u02
        bi = i1 * y02 + i2 * v02
        w[(REAL + 2) * BLOCK + i] = ar - bi
        w[(IMAG + 2) * BLOCK + i] = ai + br
        w[(REAL + 6) * BLOCK + i] = ar + bi
        w[(IMAG + 6) * BLOCK + i] = br - ai
        ar = r1 * x12 + r2 * u12
        ai = r1 * y12 + r2 * v12
        br = i1 * x12 + i2 * u12
        bi = i1 * y12 + i2 * v12
        w[(REAL + 5) * BLOCK + i] = ar - bi
        w[(IMAG + 5) * BLOCK + i] = ai + br
        w[(REAL + 7) * BLOCK + i] = ar + bi
        w[(IMAG + 7) * BLOCK + i] = br - ai


@kernel
def _double(w, n):
    """G <- 2 G + G^2, DOUBLINGS times in each lane."""
    g = np.empty((3, 3), dtype=np.complex128)
    h = np.empty((3, 3), dtype=np.complex128)
    for i in range(n):
        times = int(w[DOUBLINGS * BLOCK + i])
        if times == 0:
            continue
        for a in range(3):
            for b in range(3):
                g[a, b] = complex(w[(REAL + 3 * a + b) * BLOCK + i], w[(IMAG + 3 * a + b) * BLOCK + i])
        for _ in range(times):
            for a in range(3):
                for b in range(3):
                    h[a, b] = 2.0 * g[a, b] + (g[a, 0] * g[0, b] + g[a, 1] * g[1, b] + g[a, 2] * g[2, b])
            g[:, :] = h
        for a in range(3):
            for b in range(3):
                w[(REAL + 3 * a + b) * BLOCK + i] = g[a, b].real
                w[(IMAG + 3 * a + b) * BLOCK + i] = g[a, b].imag


@kernel
def turn_lanes(w, vacuum, sign, dt, n):
    """STATE <- exp(-i H dt) STATE exp(+i H dt), H = FIELD + sign vacuum (9,), packed."""
    doubled = _invariants(w, vacuum, sign, dt, n)
    _series(w, n)
    if doubled:
        _double(w, n)
    # W = G rho
    for i in range(n):
        r00 = w[STATE * BLOCK + i]
        r11 = w[(STATE + 1) * BLOCK + i]
        r22 = w[(STATE + 2) * BLOCK + i]
        r01 = w[(STATE + 3) * BLOCK + i]
        i01 = w[(STATE + 4) * BLOCK + i]
        r02 = w[(STATE + 5) * BLOCK + i]
        i02 = w[(STATE + 6) * BLOCK + i]
        r12 = w[(STATE + 7) * BLOCK + i]
        i12 = w[(STATE + 8) * BLOCK + i]
        g0 = w[REAL * BLOCK + i]
        h0 = w[IMAG * BLOCK + i]
        g1 = w[(REAL + 1) * BLOCK + i]
        h1 = w[(IMAG + 1) * BLOCK + i]
        g2 = w[(REAL + 2) * BLOCK + i]
        h2 = w[(IMAG + 2) * BLOCK + i]
        w[WREAL * BLOCK + i] = g0 * r00 + g1 * r01 + h1 * i01 + g2 * r02 + h2 * i02
        w[WIMAG * BLOCK + i] = h0 * r00 + h1 * r01 - g1 * i01 + h2 * r02 - g2 * i02
        w[(WREAL + 1) * BLOCK + i] = g0 * r01 - h0 * i01 + g1 * r11 + g2 * r12 + h2 * i12
        w[(WIMAG + 1) * BLOCK + i] = h0 * r01 + g0 * i01 + h1 * r11 + h2 * r12 - g2 * i12
        w[(WREAL + 2) * BLOCK + i] = g0 * r02 - h0 * i02 + g1 * r12 - h1 * i12 + g2 * r22
        w[(WIMAG + 2) * BLOCK + i] = h0 * r02 + g0 * i02 + h1 * r12 + g1 * i12 + h2 * r22
        g0 = w[(REAL + 3) * BLOCK + i]
        h0 = w[(IMAG + 3) * BLOCK + i]
        g1 = w[(REAL + 4) * BLOCK + i]
        h1 = w[(IMAG + 4) * BLOCK + i]
        g2 = w[(REAL + 5) * BLOCK + i]
        h2 = w[(IMAG + 5) * BLOCK + i]
        w[(WREAL + 3) * BLOCK + i] = g0 * r00 + g1 * r01 + h1 * i01 + g2 * r02 + h2 * i02
        w[(WIMAG + 3) * BLOCK + i] = h0 * r00 + h1 * r01 - g1 * i01 + h2 * r02 - g2 * i02
        w[(WREAL + 4) * BLOCK + i] = g0 * r01 - h0 * i01 + g1 * r11 + g2 * r12 + h2 * i12
        w[(WIMAG + 4) * BLOCK + i] = h0 * r01 + g0 * i01 + h1 * r11 + h2 * r12 - g2 * i12
        w[(WREAL + 5) * BLOCK + i] = g0 * r02 - h0 * i02 + g1 * r12 - h1 * i12 + g2 * r22
        w[(WIMAG + 5) * BLOCK + i] = h0 * r02 + g0 * i02 + h1 * r12 + g1 * i12 + h2 * r22
        g0 = w[(REAL + 6) * BLOCK + i]
        h0 = w[(IMAG + 6) * BLOCK + i]
        g1 = w[(REAL + 7) * BLOCK + i]
        h1 = w[(IMAG + 7) * BLOCK + i]
        g2 = w[(REAL + 8) * BLOCK + i]
        h2 = w[(IMAG + 8) * BLOCK + i]
        w[(WREAL + 6) * BLOCK + i] = g0 * r00 + g1 * r01 + h1 * i01 + g2 * r02 + h2 * i02
        w[(WIMAG + 6) * BLOCK + i] = h0 * r00 + h1 * r01 - g1 * i01 + h2 * r02 - g2 * i02
        w[(WREAL + 7) * BLOCK + i] = g0 * r01 - h0 * i01 + g1 * r11 + g2 * r12 + h2 * i12
        w[(WIMAG + 7) * BLOCK + i] = h0 * r01 + g0 * i01 + h1 * r11 + h2 * r12 - g2 * i12
        w[(WREAL + 8) * BLOCK + i] = g0 * r02 - h0 * i02 + g1 * r12 - h1 * i12 + g2 * r22
        w[(WIMAG + 8) * BLOCK + i] = h0 * r02 + g0 * i02 + h1 * r12 + g1 * i12 + h2 * r22
    # rho + W + W^+ + W G^+
    for i in range(n):
        w00 = w[WREAL * BLOCK + i]
        x00 = w[WIMAG * BLOCK + i]
        w01 = w[(WREAL + 1) * BLOCK + i]
        x01 = w[(WIMAG + 1) * BLOCK + i]
        w02 = w[(WREAL + 2) * BLOCK + i]
        x02 = w[(WIMAG + 2) * BLOCK + i]
        w10 = w[(WREAL + 3) * BLOCK + i]
        x10 = w[(WIMAG + 3) * BLOCK + i]
        w11 = w[(WREAL + 4) * BLOCK + i]
        x11 = w[(WIMAG + 4) * BLOCK + i]
        w12 = w[(WREAL + 5) * BLOCK + i]
        x12 = w[(WIMAG + 5) * BLOCK + i]
        w20 = w[(WREAL + 6) * BLOCK + i]
        x20 = w[(WIMAG + 6) * BLOCK + i]
        w21 = w[(WREAL + 7) * BLOCK + i]
        x21 = w[(WIMAG + 7) * BLOCK + i]
        w22 = w[(WREAL + 8) * BLOCK + i]
        x22 = w[(WIMAG + 8) * BLOCK + i]
        g0 = w[REAL * BLOCK + i]
        h0 = w[IMAG * BLOCK + i]
        g1 = w[(REAL + 1) * BLOCK + i]
        h1 = w[(IMAG + 1) * BLOCK + i]
        g2 = w[(REAL + 2) * BLOCK + i]
        h2 = w[(IMAG + 2) * BLOCK + i]
        w[STATE * BLOCK + i] += 2.0 * w00 + (w00 * g0 + x00 * h0 + w01 * g1 + x01 * h1 + w02 * g2 + x02 * h2)
        g0 = w[(REAL + 3) * BLOCK + i]
        h0 = w[(IMAG + 3) * BLOCK + i]
        g1 = w[(REAL + 4) * BLOCK + i]
        h1 = w[(IMAG + 4) * BLOCK + i]
        g2 = w[(REAL + 5) * BLOCK + i]
        h2 = w[(IMAG + 5) * BLOCK + i]
        w[(STATE + 3) * BLOCK + i] += w01 + w10 + (w00 * g0 + x00 * h0 + w01 * g1 + x01 * h1 + w02 * g2 + x02 * h2)
        w[(STATE + 4) * BLOCK + i] += x01 - x10 + (x00 * g0 - w00 * h0 + x01 * g1 - w01 * h1 + x02 * g2 - w02 * h2)
        w[(STATE + 1) * BLOCK + i] += 2.0 * w11 + (w10 * g0 + x10 * h0 + w11 * g1 + x11 * h1 + w12 * g2 + x12 * h2)
        g0 = w[(REAL + 6) * BLOCK + i]
        h0 = w[(IMAG + 6) * BLOCK + i]
        g1 = w[(REAL + 7) * BLOCK + i]
        h1 = w[(IMAG + 7) * BLOCK + i]
        g2 = w[(REAL + 8) * BLOCK + i]
        h2 = w[(IMAG + 8) * BLOCK + i]
        w[(STATE + 5) * BLOCK + i] += w02 + w20 + (w00 * g0 + x00 * h0 + w01 * g1 + x01 * h1 + w02 * g2 + x02 * h2)
        w[(STATE + 6) * BLOCK + i] += x02 - x20 + (x00 * g0 - w00 * h0 + x01 * g1 - w01 * h1 + x02 * g2 - w02 * h2)
        w[(STATE + 7) * BLOCK + i] += w12 + w21 + (w10 * g0 + x10 * h0 + w11 * g1 + x11 * h1 + w12 * g2 + x12 * h2)
        w[(STATE + 8) * BLOCK + i] += x12 - x21 + (x10 * g0 - w10 * h0 + x11 * g1 - w11 * h1 + x12 * g2 - w12 * h2)
        w[(STATE + 2) * BLOCK + i] += 2.0 * w22 + (w20 * g0 + x20 * h0 + w21 * g1 + x21 * h1 + w22 * g2 + x22 * h2)


@kernel
def rotate_3(state, first, last, cosine, weight, number_weight, vacuum, potential, flow, strength, dt):
    """As `rotate_2`, for three flavours: state (direction, species, group, 9, cell), vacuum (group, 9)."""
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
                        if middle:
                            turn_lanes(w, vacuum[g], sign, dt, n)
                            store(flat, at, row, COMPONENTS, w, STATE, n)
                        else:
                            turn_lanes(w, vacuum[g], sign, 0.5 * dt, n)
                            factor = sign * weight[m] * number_weight[g]
                            add_moments(w, STATE, COMPONENTS, factor, cosine[m], MIDDLE, n)
