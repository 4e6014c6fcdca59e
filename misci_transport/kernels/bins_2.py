"""Two flavours: one ray's density matrices, averaged over energy bins, and their response to the Hamiltonian.

LANES modes are treated side by side in straight-line loops that the compiler vectorises. Segments that pass close to
h = 0 need a logarithm and are few: they follow one by one.
"""

from __future__ import annotations

from math import sqrt

from ..numba_cache import kernel
from .hermitian import LANES
from .segment import NEAR, SMALLEST, segment, series

SQRT2 = sqrt(2.0)
HUGE = 1.0e300

# Rows of a block of LANES modes: z at the ends of the bin (vacuum part) and w (n_1 - n_0)/2.
END_A, END_B, FACTOR = 0, 1, 2
BLOCK_ROWS_2 = 3
# Rows of the work array after a copy of the block: sums over the blocks of a ray, the smallest |h|, and FACTOR of the
# modes that were left out.
ALONG, ACROSS, SLOPE, CURVE, NEAREST, LEFT_OUT = range(BLOCK_ROWS_2, BLOCK_ROWS_2 + 6)


@kernel
def fill_blocks_2(low, high, blocks):
    """END_A and END_B of blocks (block, BLOCK_ROWS_2 LANES): neutrinos, then antineutrinos."""
    groups = low.shape[0]
    for q in range(blocks.shape[0] * LANES):
        k = q // LANES
        i = q % LANES
        blocks[k, FACTOR * LANES + i] = 0.0
        g = min(q if q < groups else q - groups, groups - 1)
        half = 0.5 if q < groups else -0.5
        blocks[k, END_A * LANES + i] = half * (low[g, 0] - low[g, 1])
        blocks[k, END_B * LANES + i] = half * (high[g, 0] - high[g, 1])


@kernel
def fill_factors_2(populations, number_weight, blocks):
    """FACTOR of blocks: w (n_1 - n_0)/2 along one ray, counted negative for antineutrinos."""
    q = 0
    for species in range(2):
        half = 0.5 if species == 0 else -0.5
        for g in range(number_weight.size):
            difference = populations[species, g, 1] - populations[species, g, 0]
            blocks[q // LANES, FACTOR * LANES + q % LANES] = half * number_weight[g] * difference
            q += 1


@kernel(inline="always")
def add_mode(i, z0, p, p_square, lane):
    """ALONG += w <h_parallel/|h|> and ACROSS += w A of lane i, or leave it out.

    Returns (z_a, z_b, r_a, r_b, 1/R, w or zero if left out).
    """
    a = z0 + lane[END_A * LANES + i]
    b = z0 + lane[END_B * LANES + i]
    factor = lane[FACTOR * LANES + i]
    r_a = sqrt(a * a + p_square)
    r_b = sqrt(b * b + p_square)
    total = r_a + r_b
    some = total > SMALLEST
    inverse = 1.0 / (total if some else 1.0)
    u = (b - a) * inverse
    # compared as numbers: `and` would be a branch
    v = u * u if some else HUGE
    weight = factor if v <= NEAR else 0.0
    left_out = 0.0 if v <= NEAR else factor
    v = v if v <= NEAR else 0.0
    lane[ALONG * LANES + i] += weight * (a + b) * inverse
    lane[ACROSS * LANES + i] += weight * 2.0 * inverse * (1.0 + v * series(v))
    near = r_a if r_a < r_b else r_b
    near = p if a * b < 0.0 else near
    near = near if factor != 0.0 else HUGE
    nearest = lane[NEAREST * LANES + i]
    lane[NEAREST * LANES + i] = near if near < nearest else nearest
    lane[LEFT_OUT * LANES + i] = left_out
    return a, b, r_a, r_b, inverse, weight


@kernel
def block_sums_2(z0, p_square, blocks, index, lane):
    """ALONG and ACROSS of a block of modes; returns how many were left out."""
    # in one array with the sums, or the compiler fears that they overlap
    for k in range(BLOCK_ROWS_2 * LANES):
        lane[k] = blocks[index, k]
    p = sqrt(p_square)
    count = 0
    for i in range(LANES):
        add_mode(i, z0, p, p_square, lane)
        count += 1 if lane[LEFT_OUT * LANES + i] != 0.0 else 0
    return count


@kernel
def block_response_2(z0, p_square, blocks, index, lane):
    """The same with SLOPE += w C and CURVE += w E. One loop: a loop of these alone would be too short to vectorise."""
    for k in range(BLOCK_ROWS_2 * LANES):
        lane[k] = blocks[index, k]
    p = sqrt(p_square)
    count = 0
    for i in range(LANES):
        a, b, r_a, r_b, inverse, weight = add_mode(i, z0, p, p_square, lane)
        product = r_a * r_b
        around = product + a * b + p_square
        both = weight / (product * around if weight != 0.0 else 1.0)
        lane[SLOPE * LANES + i] += (a + b) * around * both * inverse
        lane[CURVE * LANES + i] += (r_a + r_b) * both
        count += 1 if lane[LEFT_OUT * LANES + i] != 0.0 else 0
    return count


@kernel
def lane_total(row, lane):
    """Sum of a row of the work array."""
    k = row * LANES
    return ((lane[k] + lane[k + 4]) + (lane[k + 1] + lane[k + 5])) + (
        (lane[k + 2] + lane[k + 6]) + (lane[k + 3] + lane[k + 7])
    )


@kernel
def bin_sums_2(populations, number_weight, base, blocks, with_response, lane, sums, response):
    """sums (3) of w p and response (6) of w dp/dh over one ray, p = (n_1 - n_0)/2 <h/|h|> averaged over each bin.

    h = (z, x, y) = ((H_00 - H_11)/2, Re H_01, Im H_01) with H = base (4, packed) + the vacuum term of `fill_blocks_2`,
    which goes from one end of the bin to the other. lane is a work array. Returns (smallest |h| times 2, degenerate).
    """
    z0 = 0.5 * (base[0] - base[1])
    x = base[2]
    y = base[3]
    p_square = x * x + y * y
    for k in range(LANES):
        lane[ALONG * LANES + k] = 0.0
        lane[ACROSS * LANES + k] = 0.0
        lane[SLOPE * LANES + k] = 0.0
        lane[CURVE * LANES + k] = 0.0
        lane[NEAREST * LANES + k] = HUGE
    fill_factors_2(populations, number_weight, blocks)
    along = 0.0
    across = 0.0
    slope_sum = 0.0
    flat_sum = 0.0
    degenerate = False
    for k in range(blocks.shape[0]):
        if with_response:
            count = block_response_2(z0, p_square, blocks, k, lane)
        else:
            count = block_sums_2(z0, p_square, blocks, k, lane)
        if count == 0:
            continue
        for i in range(LANES):
            if lane[LEFT_OUT * LANES + i] != 0.0:
                factor = lane[FACTOR * LANES + i]
                a = z0 + lane[END_A * LANES + i]
                b = z0 + lane[END_B * LANES + i]
                parallel, mean, slope, flat, _ = segment(a, b, p_square)
                along += factor * parallel
                across += factor * mean
                slope_sum += factor * slope
                flat_sum += factor * flat
                degenerate = degenerate or abs(a) + abs(b) + sqrt(p_square) <= SMALLEST
    along += lane_total(ALONG, lane)
    across += lane_total(ACROSS, lane)
    sums[0] = SQRT2 * along
    sums[1] = SQRT2 * x * across
    sums[2] = SQRT2 * y * across
    if with_response:
        slope_sum += lane_total(SLOPE, lane)
        flat_sum += lane_total(CURVE, lane) * p_square
        # of the unit vector p/|p| only products are needed, which nothing multiplies where p vanishes
        inverse_square = 1.0 / (p_square + SMALLEST)
        response[0] = flat_sum
        response[1] = -slope_sum * x
        response[2] = -slope_sum * y
        response[3] = across - flat_sum * x * x * inverse_square
        response[4] = -flat_sum * x * y * inverse_square
        response[5] = across - flat_sum * y * y * inverse_square
    shortest = HUGE
    for i in range(LANES):
        shortest = min(shortest, lane[NEAREST * LANES + i])
    return 2.0 * shortest, degenerate
