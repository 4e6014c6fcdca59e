"""Three flavours: one ray's density matrices, averaged over energy bins, and their response to the Hamiltonian.

A bin is divided into `parts` equal intervals of 1/2E. Within one of them the Hamiltonian is H(t) = H_0 + t G, |t| <=
1/2, and every pair of levels of H_0 is averaged as a two-level system of its own: its Bloch vector moves on the segment
h_0 + t g, with h_0 half the gap and g the elements of G between the two levels. Exact where only one pair is close;
otherwise the error is of second order in G over the gaps.
"""

from __future__ import annotations

from math import log, sqrt

from numba import njit

from .hermitian import IMAG, LANE_ROWS, LANES, MATRIX, REAL, VALUES, eigen3_lanes
from .segment import SERIES_LIMIT, SMALLEST

SQRT2 = sqrt(2.0)
SQRT3_2 = sqrt(1.5)
SQRT1_2 = sqrt(0.5)
SQRT3 = sqrt(3.0)
HUGE = 1.0e300

# Rows after those of the eigen-decomposition: weighted half differences of populations of the pairs (0, 1), (0, 2),
# (1, 2); the diagonal of G; parts of the segment average of one pair; operators of the pair; sums over the ray.
HALF = LANE_ROWS
CHANGE = HALF + 3
ALONG = CHANGE + 3
END_A = ALONG + 3
END_B = END_A + 1
SQUARE = END_B + 1
MEAN = SQUARE + 1
TENSOR = MEAN + 1
OPERATOR = TENSOR + 6
PRODUCT = OPERATOR + 24
SUM = PRODUCT + 24
RESPONSE = SUM + 8
GAP = RESPONSE + 36
BIN_ROWS = GAP + 1


@njit(cache=True, error_model="numpy")
def fill_lanes(populations, number_weight, low, high, base, parts, start, lane):
    """MATRIX at the middle of an interval, HALF and CHANGE of LANES intervals; True if any populations differ."""
    groups = number_weight.size
    count = 2 * groups * parts
    differ = False
    for i in range(LANES):
        q = min(start + i, count - 1)
        species = q // (groups * parts)
        g = (q // parts) % groups
        part = q % parts
        sign = 1.0 - 2.0 * species
        weight = 0.0 if start + i >= count else 0.5 * sign * number_weight[g] / parts
        n0 = populations[species, g, 0]
        n1 = populations[species, g, 1]
        n2 = populations[species, g, 2]
        lane[HALF * LANES + i] = weight * (n1 - n0)
        lane[(HALF + 1) * LANES + i] = weight * (n2 - n0)
        lane[(HALF + 2) * LANES + i] = weight * (n2 - n1)
        differ = differ or (weight != 0.0 and (n0 != n1 or n0 != n2))
        for k in range(9):
            lane[(MATRIX + k) * LANES + i] = base[k]
        fraction = (part + 0.5) / parts
        for k in range(3):
            step = high[g, k] - low[g, k]
            lane[(MATRIX + k) * LANES + i] += sign * (low[g, k] + fraction * step)
            lane[(CHANGE + k) * LANES + i] = sign * step / parts
    return differ


@njit(cache=True, error_model="numpy")
def pair_operators(low, high, lane):
    """OPERATOR rows: coordinates of sigma_z, sigma_x, sigma_y of a pair of levels (8 each), and g into ALONG (z, x, y).

    sigma_z = |high><high| - |low><low|, sigma_x = |high><low| + h.c., sigma_y = -i |high><low| + h.c.
    """
    for i in range(LANES):
        k0 = lane[(REAL + low) * LANES + i]
        k1r = lane[(REAL + 3 + low) * LANES + i]
        k1i = lane[(IMAG + 3 + low) * LANES + i]
        k2r = lane[(REAL + 6 + low) * LANES + i]
        k2i = lane[(IMAG + 6 + low) * LANES + i]
        l0 = lane[(REAL + high) * LANES + i]
        l1r = lane[(REAL + 3 + high) * LANES + i]
        l1i = lane[(IMAG + 3 + high) * LANES + i]
        l2r = lane[(REAL + 6 + high) * LANES + i]
        l2i = lane[(IMAG + 6 + high) * LANES + i]
        # diagonal elements |U_il|^2 - |U_ik|^2 of sigma_z, and conj(U_il) U_ik = <high|i><i|low>
        z0 = l0 * l0 - k0 * k0
        z1 = l1r * l1r + l1i * l1i - k1r * k1r - k1i * k1i
        z2 = l2r * l2r + l2i * l2i - k2r * k2r - k2i * k2i
        g0 = l0 * k0
        g1r = l1r * k1r + l1i * k1i
        g1i = l1r * k1i - l1i * k1r
        g2r = l2r * k2r + l2i * k2i
        g2i = l2r * k2i - l2i * k2r
        m1r = l1r * k2r + l1i * k2i
        m1i = l1r * k2i - l1i * k2r
        m2r = l2r * k1r + l2i * k1i
        m2i = l2r * k1i - l2i * k1r
        o = OPERATOR
        # Tr(sigma_z T_a); elements (0, 1), (0, 2), (1, 2) of the projectors are U_i conj(U_j)
        lane[o * LANES + i] = SQRT3_2 * z0
        lane[(o + 1) * LANES + i] = SQRT1_2 * (z1 - z2)
        lane[(o + 2) * LANES + i] = SQRT2 * (l0 * l1r - k0 * k1r)
        lane[(o + 3) * LANES + i] = SQRT2 * (k0 * k1i - l0 * l1i)
        lane[(o + 4) * LANES + i] = SQRT2 * (l0 * l2r - k0 * k2r)
        lane[(o + 5) * LANES + i] = SQRT2 * (k0 * k2i - l0 * l2i)
        lane[(o + 6) * LANES + i] = SQRT2 * (l1r * l2r + l1i * l2i - k1r * k2r - k1i * k2i)
        lane[(o + 7) * LANES + i] = SQRT2 * (l1i * l2r - l1r * l2i - k1i * k2r + k1r * k2i)
        # q_a = sqrt 2 <high|T_a|low>: Tr(sigma_x T_a) = sqrt 2 Re q_a, Tr(sigma_y T_a) = sqrt 2 Im q_a up to its sign,
        # which drops out because every term holds sigma_y twice
        lane[(o + 8) * LANES + i] = SQRT2 * SQRT3 * g0
        lane[(o + 9) * LANES + i] = SQRT2 * (g1r - g2r)
        lane[(o + 10) * LANES + i] = SQRT2 * (l0 * k1r + l1r * k0)
        lane[(o + 11) * LANES + i] = SQRT2 * (-l0 * k1i - l1i * k0)
        lane[(o + 12) * LANES + i] = SQRT2 * (l0 * k2r + l2r * k0)
        lane[(o + 13) * LANES + i] = SQRT2 * (-l0 * k2i - l2i * k0)
        lane[(o + 14) * LANES + i] = SQRT2 * (m1r + m2r)
        lane[(o + 15) * LANES + i] = SQRT2 * (m2i - m1i)
        lane[(o + 16) * LANES + i] = 0.0
        lane[(o + 17) * LANES + i] = SQRT2 * (g1i - g2i)
        lane[(o + 18) * LANES + i] = SQRT2 * (l0 * k1i - l1i * k0)
        lane[(o + 19) * LANES + i] = SQRT2 * (l0 * k1r - l1r * k0)
        lane[(o + 20) * LANES + i] = SQRT2 * (l0 * k2i - l2i * k0)
        lane[(o + 21) * LANES + i] = SQRT2 * (l0 * k2r - l2r * k0)
        lane[(o + 22) * LANES + i] = SQRT2 * (m1i + m2i)
        lane[(o + 23) * LANES + i] = SQRT2 * (m1r - m2r)
        c0 = lane[CHANGE * LANES + i]
        c1 = lane[(CHANGE + 1) * LANES + i]
        c2 = lane[(CHANGE + 2) * LANES + i]
        lane[ALONG * LANES + i] = 0.5 * (c0 * z0 + c1 * z1 + c2 * z2)
        lane[(ALONG + 1) * LANES + i] = c0 * g0 + c1 * g1r + c2 * g2r
        lane[(ALONG + 2) * LANES + i] = c1 * g1i + c2 * g2i


@njit(cache=True, error_model="numpy")
def pair_average(low, high, half, lane):
    """Segment average of a pair: SUM += w half <h/|h|>, and TENSOR = w half d<h/|h|>/dh (zz, zx, zy, xx, xy, yy).

    At one point, sum_k n_k Pi_k = tr n/3 + (2/3) sum over pairs of half sigma_z; a pair adds half (<h/|h|> - z) sigma
    to that, hence the 1/3.
    """
    for i in range(LANES):
        h = 0.5 * (lane[(VALUES + high) * LANES + i] - lane[(VALUES + low) * LANES + i])
        gz = lane[ALONG * LANES + i]
        gx = lane[(ALONG + 1) * LANES + i]
        gy = lane[(ALONG + 2) * LANES + i]
        length = sqrt(gz * gz + gx * gx + gy * gy)
        still = not length > 1.0e-14 * h
        inverse = 1.0 / (1.0 if still else length)
        gz = 1.0 if still else gz * inverse
        gx = 0.0 if still else gx * inverse
        gy = 0.0 if still else gy * inverse
        length = 0.0 if still else length
        lane[ALONG * LANES + i] = gz
        lane[(ALONG + 1) * LANES + i] = gx
        lane[(ALONG + 2) * LANES + i] = gy
        # the part of (h, 0, 0) across g has the squared length h^2 (gx^2 + gy^2)
        square = h * h * (gx * gx + gy * gy)
        a = h * gz - 0.5 * length
        b = h * gz + 0.5 * length
        lane[END_A * LANES + i] = a
        lane[END_B * LANES + i] = b
        lane[SQUARE * LANES + i] = square
        total = sqrt(a * a + square) + sqrt(b * b + square)
        inverse = 1.0 / (total + SMALLEST)
        u = length * inverse
        v = u * u
        series = 1.0 + v * (
            1.0 / 3.0 + v * (0.2 + v * (1.0 / 7.0 + v * (1.0 / 9.0 + v * (1.0 / 11.0 + v * (1.0 / 13.0 + v / 15.0)))))
        )
        lane[MEAN * LANES + i] = 2.0 * inverse * series if u <= SERIES_LIMIT else -1.0
    for i in range(LANES):
        if lane[MEAN * LANES + i] < 0.0:
            a = lane[END_A * LANES + i]
            b = lane[END_B * LANES + i]
            square = lane[SQUARE * LANES + i]
            r_a = sqrt(a * a + square)
            r_b = sqrt(b * b + square)
            length = b - a
            if a * b <= 0.0:
                rest = square / (r_a + abs(a) + SMALLEST) + square / (r_b + abs(b) + SMALLEST)
            else:
                rest = r_a + r_b - length
            lane[MEAN * LANES + i] = log((r_a + r_b + length) / (rest + SMALLEST)) / length
    for i in range(LANES):
        weight = lane[(HALF + half) * LANES + i]
        h = 0.5 * (lane[(VALUES + high) * LANES + i] - lane[(VALUES + low) * LANES + i])
        gz = lane[ALONG * LANES + i]
        gx = lane[(ALONG + 1) * LANES + i]
        gy = lane[(ALONG + 2) * LANES + i]
        a = lane[END_A * LANES + i]
        b = lane[END_B * LANES + i]
        square = lane[SQUARE * LANES + i]
        mean = lane[MEAN * LANES + i]
        r_a = sqrt(a * a + square)
        r_b = sqrt(b * b + square)
        inverse = 1.0 / (r_a + r_b + SMALLEST)
        product = 1.0 / (r_a * r_b + SMALLEST)
        middle = a + b
        crosses = a * b < 0.0
        outside = abs(b) * r_a + abs(a) * r_b
        # p^2 E, and E itself only where it is multiplied by components of p
        apart = square * abs(middle) * product / (outside + SMALLEST)
        flat = outside * product / (b - a + SMALLEST) if crosses else apart
        flat = square * mean * product if middle == 0.0 and not crosses else flat
        curve = flat / (square + SMALLEST)
        slope = middle * inverse * product
        parallel = middle * inverse
        pz = h - h * gz * gz
        px = -h * gz * gx
        py = -h * gz * gy
        qz = gz * parallel + pz * mean
        qx = gx * parallel + px * mean
        qy = gy * parallel + py * mean
        for k in range(8):
            lane[(SUM + k) * LANES + i] += weight * (
                (qz - 1.0 / 3.0) * lane[(OPERATOR + k) * LANES + i]
                + qx * lane[(OPERATOR + 8 + k) * LANES + i]
                + qy * lane[(OPERATOR + 16 + k) * LANES + i]
            )
        lane[TENSOR * LANES + i] = weight * (
            gz * gz * flat - 2.0 * slope * gz * pz + mean * (1.0 - gz * gz) - curve * pz * pz
        )
        lane[(TENSOR + 1) * LANES + i] = weight * (
            gz * gx * flat - slope * (gz * px + gx * pz) - mean * gz * gx - curve * pz * px
        )
        lane[(TENSOR + 2) * LANES + i] = weight * (
            gz * gy * flat - slope * (gz * py + gy * pz) - mean * gz * gy - curve * pz * py
        )
        lane[(TENSOR + 3) * LANES + i] = weight * (
            gx * gx * flat - 2.0 * slope * gx * px + mean * (1.0 - gx * gx) - curve * px * px
        )
        lane[(TENSOR + 4) * LANES + i] = weight * (
            gx * gy * flat - slope * (gx * py + gy * px) - mean * gx * gy - curve * px * py
        )
        lane[(TENSOR + 5) * LANES + i] = weight * (
            gy * gy * flat - 2.0 * slope * gy * py + mean * (1.0 - gy * gy) - curve * py * py
        )
        # closest approach to the crossing, of pairs that carry weight
        nearest = sqrt(square) if crosses else (r_a if r_a < r_b else r_b)
        nearest = nearest if weight != 0.0 else HUGE
        smallest = lane[GAP * LANES + i]
        lane[GAP * LANES + i] = nearest if nearest < smallest else smallest


@njit(cache=True, error_model="numpy")
def pair_response(lane):
    """RESPONSE (36, upper triangle) += 1/2 sum_ij TENSOR_ij OPERATOR_i OPERATOR_j of one pair."""
    for i in range(LANES):
        zz = 0.5 * lane[TENSOR * LANES + i]
        zx = 0.5 * lane[(TENSOR + 1) * LANES + i]
        zy = 0.5 * lane[(TENSOR + 2) * LANES + i]
        xx = 0.5 * lane[(TENSOR + 3) * LANES + i]
        xy = 0.5 * lane[(TENSOR + 4) * LANES + i]
        yy = 0.5 * lane[(TENSOR + 5) * LANES + i]
        for k in range(8):
            z = lane[(OPERATOR + k) * LANES + i]
            x = lane[(OPERATOR + 8 + k) * LANES + i]
            y = lane[(OPERATOR + 16 + k) * LANES + i]
            lane[(PRODUCT + k) * LANES + i] = zz * z + zx * x + zy * y
            lane[(PRODUCT + 8 + k) * LANES + i] = zx * z + xx * x + xy * y
            lane[(PRODUCT + 16 + k) * LANES + i] = zy * z + xy * x + yy * y
    row = RESPONSE
    for a in range(8):
        for b in range(a, 8):
            for i in range(LANES):
                lane[row * LANES + i] += (
                    lane[(PRODUCT + a) * LANES + i] * lane[(OPERATOR + b) * LANES + i]
                    + lane[(PRODUCT + 8 + a) * LANES + i] * lane[(OPERATOR + 8 + b) * LANES + i]
                    + lane[(PRODUCT + 16 + a) * LANES + i] * lane[(OPERATOR + 16 + b) * LANES + i]
                )
            row += 1


@njit(cache=True, error_model="numpy")
def bin_sums_3(populations, number_weight, low, high, base, parts, with_response, lane, sums, response):
    """sums (8) of w n_k <Pi_k> and response (36) of their derivatives over one ray, in traceless coordinates.

    H = base (9, packed) + (nu: +1, nubar: -1) diag(v), v from low (group, 3) to high over the bin; lane is a work array
    (BIN_ROWS LANES). Returns (smallest gap of levels with different populations, degenerate or not).
    """
    for row in range(SUM, BIN_ROWS):
        for i in range(LANES):
            lane[row * LANES + i] = 0.0
    for i in range(LANES):
        lane[GAP * LANES + i] = HUGE
    for start in range(0, 2 * number_weight.size * parts, LANES):
        if not fill_lanes(populations, number_weight, low, high, base, parts, start, lane):
            continue
        eigen3_lanes(lane)
        pair_operators(0, 1, lane)
        pair_average(0, 1, 0, lane)
        if with_response:
            pair_response(lane)
        pair_operators(0, 2, lane)
        pair_average(0, 2, 1, lane)
        if with_response:
            pair_response(lane)
        pair_operators(1, 2, lane)
        pair_average(1, 2, 2, lane)
        if with_response:
            pair_response(lane)
    for k in range(8):
        total = 0.0
        for i in range(LANES):
            total += lane[(SUM + k) * LANES + i]
        sums[k] = total
    if with_response:
        for k in range(36):
            total = 0.0
            for i in range(LANES):
                total += lane[(RESPONSE + k) * LANES + i]
            response[k] = total
    shortest = HUGE
    for i in range(LANES):
        shortest = min(shortest, lane[GAP * LANES + i])
    return 2.0 * shortest, not shortest > SMALLEST
