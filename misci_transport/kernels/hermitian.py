"""Eigen-decomposition of 2 x 2 and 3 x 3 Hermitian matrices in packed form, accurate for graded matrices.

The 3 x 3 problem is brought to real symmetric form by one exact step: the block of flavours 1 and 2 is made
diagonal, and the phases of its two couplings to flavour 0 go into the basis. Cyclic Jacobi rotations finish it.
Jacobi keeps small mixing angles to relative accuracy (J. Demmel and K. Veselic, SIAM J. Matrix Anal. Appl. 13
(1992) 1204), which closed-form eigenvalues do not.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel

# Below this angle the second order of a rotation is under round-off.
SMALL_ANGLE = 1.0e-8
MAX_SWEEPS = 12
# Matrices decomposed side by side by the vectorised version.
LANES = 8
# Rows of the array that the vectorised version works in.
MATRIX, VALUES, REAL, IMAG, WORK = 0, 9, 12, 21, 30
LANE_ROWS = 46
# Squares of smaller numbers underflow.
TINY = 1.0e-150
HUGE = 1.0e300


@kernel
def eigen2(packed, values, real, imag):
    """H = U diag(h) U^+ for packed [H_00, H_11, Re H_01, Im H_01]: ascending h in values (2), U = real + i imag (2, 2).

    Column k of U belongs to values[k]; its larger component is real and positive.
    """
    z = 0.5 * (packed[0] - packed[1])
    mean = 0.5 * (packed[0] + packed[1])
    x = packed[2]
    y = packed[3]
    length = sqrt(x * x + y * y + z * z)
    values[0] = mean - length
    values[1] = mean + length
    c = 1.0
    x_part = 0.0
    y_part = 0.0
    if length > 0.0:
        inverse = 0.5 / length
        c = sqrt(0.5 + abs(z) * inverse)
        inverse /= c
        x_part = x * inverse
        y_part = y * inverse
    if z >= 0.0:
        real[0, 1] = c
        imag[0, 1] = 0.0
        real[1, 1] = x_part
        imag[1, 1] = -y_part
        real[0, 0] = -x_part
        imag[0, 0] = -y_part
        real[1, 0] = c
        imag[1, 0] = 0.0
    else:
        real[0, 1] = x_part
        imag[0, 1] = y_part
        real[1, 1] = c
        imag[1, 1] = 0.0
        real[0, 0] = c
        imag[0, 0] = 0.0
        real[1, 0] = -x_part
        imag[1, 0] = y_part


@kernel
def eigen3_lanes(lane):
    """H = U diag(h) U^+ for LANES 3 x 3 Hermitian matrices side by side, ascending h, first row of U real.

    lane is flat, row by row with the lane as the fast index, so that the loops vectorise. Rows: MATRIX (9, packed
    components, kept), VALUES (3), REAL and IMAG (9 each, element 3 row + column of U), WORK (16).
    """
    for i in range(LANES):
        d1 = lane[(MATRIX + 1) * LANES + i]
        d2 = lane[(MATRIX + 2) * LANES + i]
        r12 = lane[(MATRIX + 7) * LANES + i]
        i12 = lane[(MATRIX + 8) * LANES + i]
        modulus = sqrt(r12 * r12 + i12 * i12)
        inverse = 1.0 / (modulus if modulus > TINY else 1.0)
        cp = r12 * inverse if modulus > TINY else 1.0
        sp = i12 * inverse if modulus > TINY else 0.0
        modulus = modulus if modulus > TINY else 0.0
        half = 0.5 * (d2 - d1)
        root = sqrt(half * half + modulus * modulus)
        root = root if root > TINY else 1.0
        t = (modulus if half >= 0.0 else -modulus) / (abs(half) + root)
        c = 1.0 / sqrt(1.0 + t * t)
        s = t * c
        r01 = lane[(MATRIX + 3) * LANES + i]
        i01 = lane[(MATRIX + 4) * LANES + i]
        r02 = lane[(MATRIX + 5) * LANES + i]
        i02 = lane[(MATRIX + 6) * LANES + i]
        q_r = cp * r02 + sp * i02
        q_i = cp * i02 - sp * r02
        u_r = c * r01 - s * q_r
        u_i = c * i01 - s * q_i
        v_r = s * r01 + c * q_r
        v_i = s * i01 + c * q_i
        p01 = sqrt(u_r * u_r + u_i * u_i)
        p02 = sqrt(v_r * v_r + v_i * v_i)
        inverse = 1.0 / (p01 if p01 > TINY else 1.0)
        u_r = u_r * inverse if p01 > TINY else 1.0
        u_i = -u_i * inverse if p01 > TINY else 0.0
        inverse = 1.0 / (p02 if p02 > TINY else 1.0)
        v_r = v_r * inverse if p02 > TINY else 1.0
        v_i = -v_i * inverse if p02 > TINY else 0.0
        lane[WORK * LANES + i] = lane[MATRIX * LANES + i]
        lane[(WORK + 1) * LANES + i] = d1 - t * modulus
        lane[(WORK + 2) * LANES + i] = d2 + t * modulus
        lane[(WORK + 3) * LANES + i] = p01
        lane[(WORK + 4) * LANES + i] = p02
        lane[(WORK + 5) * LANES + i] = 0.0
        lane[(WORK + 6) * LANES + i] = 1.0
        lane[(WORK + 7) * LANES + i] = 0.0
        lane[(WORK + 8) * LANES + i] = 0.0
        lane[(WORK + 9) * LANES + i] = 0.0
        lane[(WORK + 10) * LANES + i] = 1.0
        lane[(WORK + 11) * LANES + i] = 0.0
        lane[(WORK + 12) * LANES + i] = 0.0
        lane[(WORK + 13) * LANES + i] = 0.0
        lane[(WORK + 14) * LANES + i] = 1.0
        # Columns |1''> and |2''> of the complex basis, flavours 1 and 2.
        lane[IMAG * LANES + i] = c * u_r
        lane[(IMAG + 1) * LANES + i] = c * u_i
        lane[(IMAG + 2) * LANES + i] = s * v_r
        lane[(IMAG + 3) * LANES + i] = s * v_i
        lane[(IMAG + 4) * LANES + i] = -s * (u_r * cp + u_i * sp)
        lane[(IMAG + 5) * LANES + i] = -s * (u_i * cp - u_r * sp)
        lane[(IMAG + 6) * LANES + i] = c * (v_r * cp + v_i * sp)
        lane[(IMAG + 7) * LANES + i] = c * (v_i * cp - v_r * sp)
    for _ in range(MAX_SWEEPS):
        for i in range(LANES):
            a0 = lane[WORK * LANES + i]
            a1 = lane[(WORK + 1) * LANES + i]
            a2 = lane[(WORK + 2) * LANES + i]
            p01 = lane[(WORK + 3) * LANES + i]
            p02 = lane[(WORK + 4) * LANES + i]
            p12 = lane[(WORK + 5) * LANES + i]
            x0 = lane[(WORK + 6) * LANES + i]
            y0 = lane[(WORK + 7) * LANES + i]
            z0 = lane[(WORK + 8) * LANES + i]
            x1 = lane[(WORK + 9) * LANES + i]
            y1 = lane[(WORK + 10) * LANES + i]
            z1 = lane[(WORK + 11) * LANES + i]
            x2 = lane[(WORK + 12) * LANES + i]
            y2 = lane[(WORK + 13) * LANES + i]
            z2 = lane[(WORK + 14) * LANES + i]

            half = 0.5 * (a1 - a0)
            root = sqrt(half * half + p01 * p01)
            root = root if root > TINY else 1.0
            # tangent t = p/q, cosine k and sine w, by one division
            q = abs(half) + root
            p = p01 if half >= 0.0 else -p01
            hypotenuse = sqrt(q * q + p * p)
            inverse = 1.0 / (q * hypotenuse)
            t = p * hypotenuse * inverse
            k = q * q * inverse
            w = p * q * inverse
            a0 -= t * p01
            a1 += t * p01
            h = p02
            p02 = k * h - w * p12
            p12 = w * h + k * p12
            h = x0
            x0 = k * h - w * x1
            x1 = w * h + k * x1
            h = y0
            y0 = k * h - w * y1
            y1 = w * h + k * y1
            h = z0
            z0 = k * h - w * z1
            z1 = w * h + k * z1

            half = 0.5 * (a2 - a0)
            root = sqrt(half * half + p02 * p02)
            root = root if root > TINY else 1.0
            # tangent t = p/q, cosine k and sine w, by one division
            q = abs(half) + root
            p = p02 if half >= 0.0 else -p02
            hypotenuse = sqrt(q * q + p * p)
            inverse = 1.0 / (q * hypotenuse)
            t = p * hypotenuse * inverse
            k = q * q * inverse
            w = p * q * inverse
            a0 -= t * p02
            a2 += t * p02
            p01 = -w * p12
            p12 = k * p12
            h = x0
            x0 = k * h - w * x2
            x2 = w * h + k * x2
            h = y0
            y0 = k * h - w * y2
            y2 = w * h + k * y2
            h = z0
            z0 = k * h - w * z2
            z2 = w * h + k * z2

            half = 0.5 * (a2 - a1)
            root = sqrt(half * half + p12 * p12)
            root = root if root > TINY else 1.0
            # tangent t = p/q, cosine k and sine w, by one division
            q = abs(half) + root
            p = p12 if half >= 0.0 else -p12
            hypotenuse = sqrt(q * q + p * p)
            inverse = 1.0 / (q * hypotenuse)
            t = p * hypotenuse * inverse
            k = q * q * inverse
            w = p * q * inverse
            a1 -= t * p12
            a2 += t * p12
            p02 = w * p01
            p01 = k * p01
            h = x1
            x1 = k * h - w * x2
            x2 = w * h + k * x2
            h = y1
            y1 = k * h - w * y2
            y2 = w * h + k * y2
            h = z1
            z1 = k * h - w * z2
            z2 = w * h + k * z2

            lane[WORK * LANES + i] = a0
            lane[(WORK + 1) * LANES + i] = a1
            lane[(WORK + 2) * LANES + i] = a2
            lane[(WORK + 3) * LANES + i] = p01
            lane[(WORK + 4) * LANES + i] = p02
            lane[(WORK + 5) * LANES + i] = 0.0
            lane[(WORK + 6) * LANES + i] = x0
            lane[(WORK + 7) * LANES + i] = y0
            lane[(WORK + 8) * LANES + i] = z0
            lane[(WORK + 9) * LANES + i] = x1
            lane[(WORK + 10) * LANES + i] = y1
            lane[(WORK + 11) * LANES + i] = z1
            lane[(WORK + 12) * LANES + i] = x2
            lane[(WORK + 13) * LANES + i] = y2
            lane[(WORK + 14) * LANES + i] = z2
            # angles that a further sweep would begin with
            gap = abs(a1 - a0)
            left = abs(p01) / (gap if gap > TINY else TINY)
            gap = abs(a2 - a0)
            other = abs(p02) / (gap if gap > TINY else TINY)
            lane[(WORK + 15) * LANES + i] = left if left > other else other
        converged = True
        for i in range(LANES):
            # A NaN ends the loop too: the caller tests for it.
            if lane[(WORK + 15) * LANES + i] >= SMALL_ANGLE:
                converged = False
        if converged:
            break
    for i in range(LANES):
        a0 = lane[WORK * LANES + i]
        a1 = lane[(WORK + 1) * LANES + i]
        a2 = lane[(WORK + 2) * LANES + i]
        x0 = lane[(WORK + 6) * LANES + i]
        y0 = lane[(WORK + 7) * LANES + i]
        z0 = lane[(WORK + 8) * LANES + i]
        x1 = lane[(WORK + 9) * LANES + i]
        y1 = lane[(WORK + 10) * LANES + i]
        z1 = lane[(WORK + 11) * LANES + i]
        x2 = lane[(WORK + 12) * LANES + i]
        y2 = lane[(WORK + 13) * LANES + i]
        z2 = lane[(WORK + 14) * LANES + i]
        # the last rotations are below SMALL_ANGLE: first order is exact
        gap = a1 - a0
        t = lane[(WORK + 3) * LANES + i] / (gap if abs(gap) > TINY else HUGE)
        h = x0
        x0 -= t * x1
        x1 += t * h
        h = y0
        y0 -= t * y1
        y1 += t * h
        h = z0
        z0 -= t * z1
        z1 += t * h
        gap = a2 - a0
        t = lane[(WORK + 4) * LANES + i] / (gap if abs(gap) > TINY else HUGE)
        h = x0
        x0 -= t * x2
        x2 += t * h
        h = y0
        y0 -= t * y2
        y2 += t * h
        h = z0
        z0 -= t * z2
        z2 += t * h
        swap = a0 > a1
        h = a0
        a0 = a1 if swap else a0
        a1 = h if swap else a1
        h = x0
        x0 = x1 if swap else x0
        x1 = h if swap else x1
        h = y0
        y0 = y1 if swap else y0
        y1 = h if swap else y1
        h = z0
        z0 = z1 if swap else z0
        z1 = h if swap else z1
        swap = a1 > a2
        h = a1
        a1 = a2 if swap else a1
        a2 = h if swap else a2
        h = x1
        x1 = x2 if swap else x1
        x2 = h if swap else x2
        h = y1
        y1 = y2 if swap else y1
        y2 = h if swap else y2
        h = z1
        z1 = z2 if swap else z1
        z2 = h if swap else z2
        swap = a0 > a1
        h = a0
        a0 = a1 if swap else a0
        a1 = h if swap else a1
        h = x0
        x0 = x1 if swap else x0
        x1 = h if swap else x1
        h = y0
        y0 = y1 if swap else y0
        y1 = h if swap else y1
        h = z0
        z0 = z1 if swap else z0
        z1 = h if swap else z1
        f1r = lane[IMAG * LANES + i]
        f1i = lane[(IMAG + 1) * LANES + i]
        g1r = lane[(IMAG + 2) * LANES + i]
        g1i = lane[(IMAG + 3) * LANES + i]
        f2r = lane[(IMAG + 4) * LANES + i]
        f2i = lane[(IMAG + 5) * LANES + i]
        g2r = lane[(IMAG + 6) * LANES + i]
        g2i = lane[(IMAG + 7) * LANES + i]
        lane[VALUES * LANES + i] = a0
        lane[(VALUES + 1) * LANES + i] = a1
        lane[(VALUES + 2) * LANES + i] = a2
        lane[REAL * LANES + i] = x0
        lane[(REAL + 1) * LANES + i] = x1
        lane[(REAL + 2) * LANES + i] = x2
        lane[(REAL + 3) * LANES + i] = f1r * y0 + g1r * z0
        lane[(REAL + 4) * LANES + i] = f1r * y1 + g1r * z1
        lane[(REAL + 5) * LANES + i] = f1r * y2 + g1r * z2
        lane[(REAL + 6) * LANES + i] = f2r * y0 + g2r * z0
        lane[(REAL + 7) * LANES + i] = f2r * y1 + g2r * z1
        lane[(REAL + 8) * LANES + i] = f2r * y2 + g2r * z2
        lane[IMAG * LANES + i] = 0.0
        lane[(IMAG + 1) * LANES + i] = 0.0
        lane[(IMAG + 2) * LANES + i] = 0.0
        lane[(IMAG + 3) * LANES + i] = f1i * y0 + g1i * z0
        lane[(IMAG + 4) * LANES + i] = f1i * y1 + g1i * z1
        lane[(IMAG + 5) * LANES + i] = f1i * y2 + g1i * z2
        lane[(IMAG + 6) * LANES + i] = f2i * y0 + g2i * z0
        lane[(IMAG + 7) * LANES + i] = f2i * y1 + g2i * z1
        lane[(IMAG + 8) * LANES + i] = f2i * y2 + g2i * z2


@kernel
def eigen_batch(packed, values, real, imag):
    """Decompose packed (matrix, N^2) for N = 2 or 3 into values (matrix, N) and U = real + i imag (matrix, N, N)."""
    count = packed.shape[0]
    if packed.shape[1] == 4:
        for i in range(count):
            eigen2(packed[i], values[i], real[i], imag[i])
        return
    lane = np.zeros(LANE_ROWS * LANES)
    for start in range(0, count, LANES):
        for i in range(LANES):
            source = min(start + i, count - 1)
            for k in range(9):
                lane[(MATRIX + k) * LANES + i] = packed[source, k]
        eigen3_lanes(lane)
        for i in range(min(LANES, count - start)):
            for k in range(3):
                values[start + i, k] = lane[(VALUES + k) * LANES + i]
                for row in range(3):
                    real[start + i, row, k] = lane[(REAL + 3 * row + k) * LANES + i]
                    imag[start + i, row, k] = lane[(IMAG + 3 * row + k) * LANES + i]


def eigen_decomposition(packed):
    """Ascending eigenvalues (..., N) and unitary U (..., N, N) of packed Hermitian matrices (..., N^2), N = 2 or 3."""
    packed = np.ascontiguousarray(packed, dtype=np.float64)
    n = 2 if packed.shape[-1] == 4 else 3
    flat = packed.reshape(-1, n * n)
    values = np.empty((flat.shape[0], n))
    real = np.empty((flat.shape[0], n, n))
    imag = np.empty((flat.shape[0], n, n))
    eigen_batch(flat, values, real, imag)
    return values.reshape(*packed.shape[:-1], n), (real + 1j * imag).reshape(*packed.shape[:-1], n, n)
