"""Three flavours: one ray's density matrices, averaged over energy bins, and their response to the Hamiltonian.

A bin is divided into `parts` equal intervals of 1/2E. Within one of them the Hamiltonian is H(t) = H_0 + t G, |t| <=
1/2, and every pair of levels of H_0 is averaged as a two-level system of its own: its Bloch vector moves on the segment
h_0 + t g, with h_0 half the gap and g the elements of G between the two levels. Exact where only one pair is close;
otherwise the error is of second order in G over the gaps.

With h_0 along z, r_a and r_b the lengths at the ends, R = r_a + r_b, v = g^2/R^2, w = (r_b - r_a)^2/R^2 and
S = (atanh(sqrt v)/sqrt v - 1)/v, the averages need neither the direction of g nor its length:

    <1/|h|> = A = (2/R)(1 + v S),     <h/|h|> = h_0 A - g (h_0.g)(2/R^3) S,
    <t^n/|h|^3> = E_n:  E_0 = 8/[R^3 (1-v)(1-w)],  E_1 = -(h_0.g) E_0/R^2,  E_2 = (2/R^3)(S + w/[(1-v)(1-w)]),

and the derivative of <h/|h|> is A - <h h^T/|h|^3>. Segments that pass close to h = 0 (v > NEAR) are few; they follow
one by one, by `segment`. Loops over LANES have literal rows and no branches, so that the compiler vectorises them.
"""

from __future__ import annotations

from math import sqrt

from ..numba_cache import kernel
from .hermitian import IMAG, LANE_ROWS, LANES, MATRIX, REAL, VALUES, eigen3_lanes
from .segment import NEAR, SMALLEST, segment, series

EPSILON = 2.220446049250313e-16
SQRT2 = sqrt(2.0)
SQRT3_2 = sqrt(1.5)
SQRT1_2 = sqrt(0.5)
SQRT6 = sqrt(6.0)
HUGE = 1.0e300

# Rows of a block of LANES intervals: the diagonal vacuum term at the middle, its change over the interval (G), and
# weighted half differences of populations of the pairs (0, 1), (0, 2), (1, 2).
MIDDLE = 0
CHANGE = MIDDLE + 3
HALF = CHANGE + 3
BLOCK_ROWS_3 = HALF + 3

# Rows of the work array after those of the eigen-decomposition: a copy of the block. Of one pair: h_0 and g (z, x, y),
# 1/R, v, w, S; the averages <h/|h|> and their derivative (zz, zx, zy, xx, xy, yy); operators sigma_z, sigma_x, sigma_y
# (8 coordinates each); weights of intervals that were left out, and of all. Then sums over the ray, and the smallest
# |h|^2.
BLOCK = LANE_ROWS
ALONG = BLOCK + BLOCK_ROWS_3
INVERSE = ALONG + 4
RATIO = INVERSE + 1
SKEW = RATIO + 1
SERIES = SKEW + 1
AVERAGE = SERIES + 1
TENSOR = AVERAGE + 3
OPERATOR = TENSOR + 6
LEFT_OUT = OPERATOR + 24
WEIGHT = LEFT_OUT + 1
SUM = WEIGHT + 1
RESPONSE = SUM + 8
NEAREST = RESPONSE + 36
BIN_ROWS = NEAREST + 1


@kernel
def fill_blocks_3(low, high, parts, blocks):
    """MIDDLE and CHANGE of blocks (block, BLOCK_ROWS_3 LANES): neutrinos, then antineutrinos; HALF is set to zero."""
    groups = low.shape[0]
    count = 2 * groups * parts
    for p in range(blocks.shape[0] * LANES):
        block = blocks[p // LANES]
        i = p % LANES
        # entries beyond the last one repeat it
        q = min(p, count - 1)
        species = q // (groups * parts)
        g = (q // parts) % groups
        fraction = (q % parts + 0.5) / parts
        sign = 1.0 - 2.0 * species
        for k in range(3):
            step = high[g, k] - low[g, k]
            block[(MIDDLE + k) * LANES + i] = sign * (low[g, k] + fraction * step)
            block[(CHANGE + k) * LANES + i] = sign * step / parts
            block[(HALF + k) * LANES + i] = 0.0


@kernel
def fill_halves(populations, number_weight, parts, blocks):
    """HALF of blocks along one ray: w (n_l - n_k)/2, counted negative for antineutrinos.

    Returns whether the pairs (0, 1), (0, 2), (1, 2) have different populations anywhere.
    """
    first = False
    second = False
    third = False
    q = 0
    for species in range(2):
        half = (0.5 if species == 0 else -0.5) / parts
        for g in range(number_weight.size):
            weight = half * number_weight[g]
            n0 = populations[species, g, 0]
            n1 = populations[species, g, 1]
            n2 = populations[species, g, 2]
            d01 = weight * (n1 - n0)
            d02 = weight * (n2 - n0)
            d12 = weight * (n2 - n1)
            first = first or d01 != 0.0
            second = second or d02 != 0.0
            third = third or d12 != 0.0
            for _ in range(parts):
                block = q // LANES
                i = q % LANES
                blocks[block, HALF * LANES + i] = d01
                blocks[block, (HALF + 1) * LANES + i] = d02
                blocks[block, (HALF + 2) * LANES + i] = d12
                q += 1
    return first, second, third


@kernel
def take_block(blocks, index, lane):
    """Copy a block into the work array: in one array with the rest, or the compiler fears that they overlap."""
    for k in range(BLOCK_ROWS_3 * LANES):
        lane[BLOCK * LANES + k] = blocks[index, k]


@kernel
def fill_matrices(base, lane):
    """MATRIX = base + vacuum term of the block."""
    for k in range(9):
        value = base[k]
        for i in range(LANES):
            lane[(MATRIX + k) * LANES + i] = value
    for i in range(LANES):
        lane[MATRIX * LANES + i] += lane[(BLOCK + MIDDLE) * LANES + i]
        lane[(MATRIX + 1) * LANES + i] += lane[(BLOCK + MIDDLE + 1) * LANES + i]
        lane[(MATRIX + 2) * LANES + i] += lane[(BLOCK + MIDDLE + 2) * LANES + i]


@kernel(inline="always")
def pair_segment(low, high, pair, lane):
    """Operators of a pair of levels, its segment h_0 + t g, and AVERAGE = <h/|h|>.

    sigma_z = |high><high| - |low><low|, sigma_x = |high><low| + h.c., sigma_y = -i |high><low| + h.c. Marks intervals
    with v > NEAR and returns their number.
    """
    count = 0
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
        # Tr(sigma_z T_a); elements (0, 1), (0, 2), (1, 2) of the projectors are U_i conj(U_j)
        lane[OPERATOR * LANES + i] = SQRT3_2 * z0
        lane[(OPERATOR + 1) * LANES + i] = SQRT1_2 * (z1 - z2)
        lane[(OPERATOR + 2) * LANES + i] = SQRT2 * (l0 * l1r - k0 * k1r)
        lane[(OPERATOR + 3) * LANES + i] = SQRT2 * (k0 * k1i - l0 * l1i)
        lane[(OPERATOR + 4) * LANES + i] = SQRT2 * (l0 * l2r - k0 * k2r)
        lane[(OPERATOR + 5) * LANES + i] = SQRT2 * (k0 * k2i - l0 * l2i)
        lane[(OPERATOR + 6) * LANES + i] = SQRT2 * (l1r * l2r + l1i * l2i - k1r * k2r - k1i * k2i)
        lane[(OPERATOR + 7) * LANES + i] = SQRT2 * (l1i * l2r - l1r * l2i - k1i * k2r + k1r * k2i)
        # q_a = sqrt 2 <high|T_a|low>: Tr(sigma_x T_a) = sqrt 2 Re q_a, Tr(sigma_y T_a) = sqrt 2 Im q_a up to its sign,
        # which drops out because every term holds sigma_y twice
        lane[(OPERATOR + 8) * LANES + i] = SQRT6 * g0
        lane[(OPERATOR + 9) * LANES + i] = SQRT2 * (g1r - g2r)
        lane[(OPERATOR + 10) * LANES + i] = SQRT2 * (l0 * k1r + l1r * k0)
        lane[(OPERATOR + 11) * LANES + i] = SQRT2 * (-l0 * k1i - l1i * k0)
        lane[(OPERATOR + 12) * LANES + i] = SQRT2 * (l0 * k2r + l2r * k0)
        lane[(OPERATOR + 13) * LANES + i] = SQRT2 * (-l0 * k2i - l2i * k0)
        lane[(OPERATOR + 14) * LANES + i] = SQRT2 * (m1r + m2r)
        lane[(OPERATOR + 15) * LANES + i] = SQRT2 * (m2i - m1i)
        lane[(OPERATOR + 16) * LANES + i] = 0.0
        lane[(OPERATOR + 17) * LANES + i] = SQRT2 * (g1i - g2i)
        lane[(OPERATOR + 18) * LANES + i] = SQRT2 * (l0 * k1i - l1i * k0)
        lane[(OPERATOR + 19) * LANES + i] = SQRT2 * (l0 * k1r - l1r * k0)
        lane[(OPERATOR + 20) * LANES + i] = SQRT2 * (l0 * k2i - l2i * k0)
        lane[(OPERATOR + 21) * LANES + i] = SQRT2 * (l0 * k2r - l2r * k0)
        lane[(OPERATOR + 22) * LANES + i] = SQRT2 * (m1i + m2i)
        lane[(OPERATOR + 23) * LANES + i] = SQRT2 * (m1r - m2r)

        c0 = lane[(BLOCK + CHANGE) * LANES + i]
        c1 = lane[(BLOCK + CHANGE + 1) * LANES + i]
        c2 = lane[(BLOCK + CHANGE + 2) * LANES + i]
        gz = 0.5 * (c0 * z0 + c1 * z1 + c2 * z2)
        gx = c0 * g0 + c1 * g1r + c2 * g2r
        gy = c1 * g1i + c2 * g2i
        below = lane[(VALUES + low) * LANES + i]
        above = lane[(VALUES + high) * LANES + i]
        h = 0.5 * (above - below)
        across = gx * gx + gy * gy
        square = gz * gz + across
        a = h - 0.5 * gz
        b = h + 0.5 * gz
        r_a = sqrt(a * a + 0.25 * across)
        r_b = sqrt(b * b + 0.25 * across)
        total = r_a + r_b
        weight = lane[(BLOCK + HALF + pair) * LANES + i]
        lane[WEIGHT * LANES + i] = weight
        # levels that round-off alone keeps apart have no direction
        some = total > 4.0 * EPSILON * (abs(below) + abs(above)) + SMALLEST
        inverse = 1.0 / (total if some else 1.0)
        # compared as numbers: `and` would be a branch
        v = square * inverse * inverse
        left_out = 0.0 if v <= NEAR else weight
        left_out = left_out if some else 0.0
        inverse = inverse if v <= NEAR else 0.0
        inverse = inverse if some else 0.0
        v = v if v <= NEAR else 0.0
        s = series(v)
        along = h * gz
        mean = 2.0 * inverse * (1.0 + v * s)
        turn = 2.0 * along * inverse * inverse * inverse * s
        skew = 2.0 * along * inverse * inverse
        lane[ALONG * LANES + i] = h
        lane[(ALONG + 1) * LANES + i] = gz
        lane[(ALONG + 2) * LANES + i] = gx
        lane[(ALONG + 3) * LANES + i] = gy
        lane[INVERSE * LANES + i] = inverse
        lane[RATIO * LANES + i] = v
        lane[SKEW * LANES + i] = skew * skew
        lane[SERIES * LANES + i] = s
        lane[AVERAGE * LANES + i] = h * mean - gz * turn
        lane[(AVERAGE + 1) * LANES + i] = -gx * turn
        lane[(AVERAGE + 2) * LANES + i] = -gy * turn
        # closest approach to the crossing, of pairs that carry weight
        near = r_a if r_a < r_b else r_b
        near *= near
        crossing = h * h * across / (square if square > 0.0 else 1.0)
        near = crossing if 2.0 * abs(along) < square else near
        near = near if some else -1.0
        near = near if weight != 0.0 else HUGE
        nearest = lane[NEAREST * LANES + i]
        lane[NEAREST * LANES + i] = near if near < nearest else nearest
        lane[LEFT_OUT * LANES + i] = left_out
        count += 1 if left_out != 0.0 else 0
    return count


@kernel
def pair_tensor(lane):
    """TENSOR = 1/2 w d<h/|h|>/dh of the intervals that were not left out."""
    for i in range(LANES):
        weight = 0.5 * lane[WEIGHT * LANES + i]
        h = lane[ALONG * LANES + i]
        gz = lane[(ALONG + 1) * LANES + i]
        gx = lane[(ALONG + 2) * LANES + i]
        gy = lane[(ALONG + 3) * LANES + i]
        inverse = lane[INVERSE * LANES + i]
        v = lane[RATIO * LANES + i]
        w = lane[SKEW * LANES + i]
        s = lane[SERIES * LANES + i]
        mean = 2.0 * weight * inverse * (1.0 + v * s)
        apart = 1.0 / ((1.0 - v) * (1.0 - w))
        cube = 2.0 * weight * inverse * inverse * inverse
        second = cube * (s + w * apart)
        # - h_0 E_1
        first = 4.0 * cube * inverse * inverse * apart * h * h * gz
        mixed = first - gz * second
        lane[TENSOR * LANES + i] = second * (gx * gx + gy * gy)
        lane[(TENSOR + 1) * LANES + i] = mixed * gx
        lane[(TENSOR + 2) * LANES + i] = mixed * gy
        lane[(TENSOR + 3) * LANES + i] = mean - second * gx * gx
        lane[(TENSOR + 4) * LANES + i] = -second * gx * gy
        lane[(TENSOR + 5) * LANES + i] = mean - second * gy * gy


@kernel
def close_segments(lane):
    """AVERAGE and TENSOR of the intervals that were left out, one by one, in the frame along g."""
    for i in range(LANES):
        if lane[LEFT_OUT * LANES + i] == 0.0:
            continue
        weight = 0.5 * lane[WEIGHT * LANES + i]
        h = lane[ALONG * LANES + i]
        gz = lane[(ALONG + 1) * LANES + i]
        gx = lane[(ALONG + 2) * LANES + i]
        gy = lane[(ALONG + 3) * LANES + i]
        across = gx * gx + gy * gy
        length = sqrt(gz * gz + across)
        gz /= length
        gx /= length
        gy /= length
        # h_0 = s along g, p across
        s = h * gz
        pz = h * across / (length * length)
        px = -s * gx
        py = -s * gy
        square = pz * pz + px * px + py * py
        parallel, mean, slope, flat, _ = segment(s - 0.5 * length, s + 0.5 * length, square)
        curve = flat / (square + SMALLEST)
        lane[AVERAGE * LANES + i] = gz * parallel + pz * mean
        lane[(AVERAGE + 1) * LANES + i] = gx * parallel + px * mean
        lane[(AVERAGE + 2) * LANES + i] = gy * parallel + py * mean
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


@kernel
def pair_sums(lane):
    """SUM += w <h/|h|> sigma.

    At one point, sum_k n_k Pi_k = tr n/3 + (2/3) sum over pairs of half sigma_z; a pair adds half (<h/|h|> - z) sigma
    to that, hence the 1/3.
    """
    for i in range(LANES):
        weight = lane[WEIGHT * LANES + i]
        z = weight * (lane[AVERAGE * LANES + i] - 1.0 / 3.0)
        x = weight * lane[(AVERAGE + 1) * LANES + i]
        y = weight * lane[(AVERAGE + 2) * LANES + i]
        lane[SUM * LANES + i] += z * lane[OPERATOR * LANES + i] + x * lane[(OPERATOR + 8) * LANES + i]
        lane[(SUM + 1) * LANES + i] += (
            z * lane[(OPERATOR + 1) * LANES + i]
            + x * lane[(OPERATOR + 9) * LANES + i]
            + y * lane[(OPERATOR + 17) * LANES + i]
        )
        lane[(SUM + 2) * LANES + i] += (
            z * lane[(OPERATOR + 2) * LANES + i]
            + x * lane[(OPERATOR + 10) * LANES + i]
            + y * lane[(OPERATOR + 18) * LANES + i]
        )
        lane[(SUM + 3) * LANES + i] += (
            z * lane[(OPERATOR + 3) * LANES + i]
            + x * lane[(OPERATOR + 11) * LANES + i]
            + y * lane[(OPERATOR + 19) * LANES + i]
        )
        lane[(SUM + 4) * LANES + i] += (
            z * lane[(OPERATOR + 4) * LANES + i]
            + x * lane[(OPERATOR + 12) * LANES + i]
            + y * lane[(OPERATOR + 20) * LANES + i]
        )
        lane[(SUM + 5) * LANES + i] += (
            z * lane[(OPERATOR + 5) * LANES + i]
            + x * lane[(OPERATOR + 13) * LANES + i]
            + y * lane[(OPERATOR + 21) * LANES + i]
        )
        lane[(SUM + 6) * LANES + i] += (
            z * lane[(OPERATOR + 6) * LANES + i]
            + x * lane[(OPERATOR + 14) * LANES + i]
            + y * lane[(OPERATOR + 22) * LANES + i]
        )
        lane[(SUM + 7) * LANES + i] += (
            z * lane[(OPERATOR + 7) * LANES + i]
            + x * lane[(OPERATOR + 15) * LANES + i]
            + y * lane[(OPERATOR + 23) * LANES + i]
        )


@kernel
def pair_response(lane):
    """RESPONSE (36, upper triangle) += sum_ij TENSOR_ij OPERATOR_i OPERATOR_j of one pair."""
    for i in range(LANES):
        zz = lane[TENSOR * LANES + i]
        zx = lane[(TENSOR + 1) * LANES + i]
        zy = lane[(TENSOR + 2) * LANES + i]
        xx = lane[(TENSOR + 3) * LANES + i]
        xy = lane[(TENSOR + 4) * LANES + i]
        yy = lane[(TENSOR + 5) * LANES + i]
        z0 = lane[OPERATOR * LANES + i]
        z1 = lane[(OPERATOR + 1) * LANES + i]
        z2 = lane[(OPERATOR + 2) * LANES + i]
        z3 = lane[(OPERATOR + 3) * LANES + i]
        z4 = lane[(OPERATOR + 4) * LANES + i]
        z5 = lane[(OPERATOR + 5) * LANES + i]
        z6 = lane[(OPERATOR + 6) * LANES + i]
        z7 = lane[(OPERATOR + 7) * LANES + i]
        x0 = lane[(OPERATOR + 8) * LANES + i]
        x1 = lane[(OPERATOR + 9) * LANES + i]
        x2 = lane[(OPERATOR + 10) * LANES + i]
        x3 = lane[(OPERATOR + 11) * LANES + i]
        x4 = lane[(OPERATOR + 12) * LANES + i]
        x5 = lane[(OPERATOR + 13) * LANES + i]
        x6 = lane[(OPERATOR + 14) * LANES + i]
        x7 = lane[(OPERATOR + 15) * LANES + i]
        y1 = lane[(OPERATOR + 17) * LANES + i]
        y2 = lane[(OPERATOR + 18) * LANES + i]
        y3 = lane[(OPERATOR + 19) * LANES + i]
        y4 = lane[(OPERATOR + 20) * LANES + i]
        y5 = lane[(OPERATOR + 21) * LANES + i]
        y6 = lane[(OPERATOR + 22) * LANES + i]
        y7 = lane[(OPERATOR + 23) * LANES + i]
        pz = zz * z0 + zx * x0
        px = zx * z0 + xx * x0
        py = zy * z0 + xy * x0
        lane[RESPONSE * LANES + i] += pz * z0 + px * x0
        lane[(RESPONSE + 1) * LANES + i] += pz * z1 + px * x1 + py * y1
        lane[(RESPONSE + 2) * LANES + i] += pz * z2 + px * x2 + py * y2
        lane[(RESPONSE + 3) * LANES + i] += pz * z3 + px * x3 + py * y3
        lane[(RESPONSE + 4) * LANES + i] += pz * z4 + px * x4 + py * y4
        lane[(RESPONSE + 5) * LANES + i] += pz * z5 + px * x5 + py * y5
        lane[(RESPONSE + 6) * LANES + i] += pz * z6 + px * x6 + py * y6
        lane[(RESPONSE + 7) * LANES + i] += pz * z7 + px * x7 + py * y7
        pz = zz * z1 + zx * x1 + zy * y1
        px = zx * z1 + xx * x1 + xy * y1
        py = zy * z1 + xy * x1 + yy * y1
        lane[(RESPONSE + 8) * LANES + i] += pz * z1 + px * x1 + py * y1
        lane[(RESPONSE + 9) * LANES + i] += pz * z2 + px * x2 + py * y2
        lane[(RESPONSE + 10) * LANES + i] += pz * z3 + px * x3 + py * y3
        lane[(RESPONSE + 11) * LANES + i] += pz * z4 + px * x4 + py * y4
        lane[(RESPONSE + 12) * LANES + i] += pz * z5 + px * x5 + py * y5
        lane[(RESPONSE + 13) * LANES + i] += pz * z6 + px * x6 + py * y6
        lane[(RESPONSE + 14) * LANES + i] += pz * z7 + px * x7 + py * y7
        pz = zz * z2 + zx * x2 + zy * y2
        px = zx * z2 + xx * x2 + xy * y2
        py = zy * z2 + xy * x2 + yy * y2
        lane[(RESPONSE + 15) * LANES + i] += pz * z2 + px * x2 + py * y2
        lane[(RESPONSE + 16) * LANES + i] += pz * z3 + px * x3 + py * y3
        lane[(RESPONSE + 17) * LANES + i] += pz * z4 + px * x4 + py * y4
        lane[(RESPONSE + 18) * LANES + i] += pz * z5 + px * x5 + py * y5
        lane[(RESPONSE + 19) * LANES + i] += pz * z6 + px * x6 + py * y6
        lane[(RESPONSE + 20) * LANES + i] += pz * z7 + px * x7 + py * y7
        pz = zz * z3 + zx * x3 + zy * y3
        px = zx * z3 + xx * x3 + xy * y3
        py = zy * z3 + xy * x3 + yy * y3
        lane[(RESPONSE + 21) * LANES + i] += pz * z3 + px * x3 + py * y3
        lane[(RESPONSE + 22) * LANES + i] += pz * z4 + px * x4 + py * y4
        lane[(RESPONSE + 23) * LANES + i] += pz * z5 + px * x5 + py * y5
        lane[(RESPONSE + 24) * LANES + i] += pz * z6 + px * x6 + py * y6
        lane[(RESPONSE + 25) * LANES + i] += pz * z7 + px * x7 + py * y7
        pz = zz * z4 + zx * x4 + zy * y4
        px = zx * z4 + xx * x4 + xy * y4
        py = zy * z4 + xy * x4 + yy * y4
        lane[(RESPONSE + 26) * LANES + i] += pz * z4 + px * x4 + py * y4
        lane[(RESPONSE + 27) * LANES + i] += pz * z5 + px * x5 + py * y5
        lane[(RESPONSE + 28) * LANES + i] += pz * z6 + px * x6 + py * y6
        lane[(RESPONSE + 29) * LANES + i] += pz * z7 + px * x7 + py * y7
        pz = zz * z5 + zx * x5 + zy * y5
        px = zx * z5 + xx * x5 + xy * y5
        py = zy * z5 + xy * x5 + yy * y5
        lane[(RESPONSE + 30) * LANES + i] += pz * z5 + px * x5 + py * y5
        lane[(RESPONSE + 31) * LANES + i] += pz * z6 + px * x6 + py * y6
        lane[(RESPONSE + 32) * LANES + i] += pz * z7 + px * x7 + py * y7
        pz = zz * z6 + zx * x6 + zy * y6
        px = zx * z6 + xx * x6 + xy * y6
        py = zy * z6 + xy * x6 + yy * y6
        lane[(RESPONSE + 33) * LANES + i] += pz * z6 + px * x6 + py * y6
        lane[(RESPONSE + 34) * LANES + i] += pz * z7 + px * x7 + py * y7
        pz = zz * z7 + zx * x7 + zy * y7
        px = zx * z7 + xx * x7 + xy * y7
        py = zy * z7 + xy * x7 + yy * y7
        lane[(RESPONSE + 35) * LANES + i] += pz * z7 + px * x7 + py * y7


@kernel
def finish_pair(count, with_response, lane):
    """Add the pair that `pair_segment` has prepared, with count intervals left out there, to the sums of the ray."""
    if with_response:
        pair_tensor(lane)
    if count > 0:
        close_segments(lane)
    pair_sums(lane)
    if with_response:
        pair_response(lane)


@kernel
def lane_totals(row, count, lane, totals):
    """totals (count) = sums over the lanes of the rows from row on."""
    for k in range(count):
        q = (row + k) * LANES
        totals[k] = ((lane[q] + lane[q + 4]) + (lane[q + 1] + lane[q + 5])) + (
            (lane[q + 2] + lane[q + 6]) + (lane[q + 3] + lane[q + 7])
        )


@kernel
def bin_sums_3(populations, number_weight, base, parts, blocks, with_response, lane, sums, response):
    """sums (8) of w n_k <Pi_k> and response (36) of their derivatives over one ray, in traceless coordinates.

    H = base (9, packed) + the vacuum term of `fill_blocks_3`, which goes from one end of the bin to the other; lane is
    a work array (BIN_ROWS LANES). Returns (smallest gap of levels with different populations, degenerate or not).
    """
    for k in range(SUM * LANES, NEAREST * LANES):
        lane[k] = 0.0
    for i in range(LANES):
        lane[NEAREST * LANES + i] = HUGE
    first, second, third = fill_halves(populations, number_weight, parts, blocks)
    count = blocks.shape[0] if first or second or third else 0
    for k in range(count):
        take_block(blocks, k, lane)
        fill_matrices(base, lane)
        eigen3_lanes(lane)
        # pairs of levels with equal populations do not respond
        if first:
            finish_pair(pair_segment(0, 1, 0, lane), with_response, lane)
        if second:
            finish_pair(pair_segment(0, 2, 1, lane), with_response, lane)
        if third:
            finish_pair(pair_segment(1, 2, 2, lane), with_response, lane)
    lane_totals(SUM, 8, lane, sums)
    if with_response:
        lane_totals(RESPONSE, 36, lane, response)
    shortest = HUGE
    for i in range(LANES):
        shortest = min(shortest, lane[NEAREST * LANES + i])
    gap = HUGE if shortest == HUGE else 2.0 * sqrt(max(shortest, 0.0))
    return gap, shortest < 0.0
