"""Two flavours: one ray's density matrices, averaged over energy bins, and their response to the Hamiltonian."""

from __future__ import annotations

from math import sqrt

from numba import njit

from .segment import SMALLEST, segment

SQRT2 = sqrt(2.0)
HUGE = 1.0e300


@njit(cache=True, error_model="numpy")
def bin_sums_2(populations, number_weight, low, high, base, with_response, sums, response):
    """sums (3) of w p and response (6) of w dp/dh over one ray, p = (n_1 - n_0)/2 <h/|h|> averaged over each bin.

    h = (z, x, y) = ((H_00 - H_11)/2, Re H_01, Im H_01) with H = base (4, packed) + (nu: +1, nubar: -1) diag(v), where
    v goes from low (group, 2) to high over the bin. Returns (smallest |h| times 2, degenerate or not).
    """
    z0 = 0.5 * (base[0] - base[1])
    x = base[2]
    y = base[3]
    p_square = x * x + y * y
    inverse_square = 1.0 / (p_square + SMALLEST)
    pz = 0.0
    perpendicular = 0.0
    tzp = 0.0
    curve_sum = 0.0
    shortest = HUGE
    degenerate = False
    for species in range(2):
        sign = 1.0 - 2.0 * species
        for g in range(number_weight.size):
            half = 0.5 * (populations[species, g, 1] - populations[species, g, 0])
            if half == 0.0:
                continue
            a = z0 + sign * 0.5 * (low[g, 0] - low[g, 1])
            b = z0 + sign * 0.5 * (high[g, 0] - high[g, 1])
            parallel, mean, slope, curve, smallest = segment(a, b, p_square)
            shortest = min(shortest, smallest)
            if a == b and not smallest > 1.0e-300:
                degenerate = True
                continue
            factor = sign * number_weight[g] * half
            pz += factor * parallel
            perpendicular += factor * mean
            if with_response:
                tzp -= factor * slope
                curve_sum += factor * curve
    sums[0] = SQRT2 * pz
    sums[1] = SQRT2 * x * perpendicular
    sums[2] = SQRT2 * y * perpendicular
    if with_response:
        # p^2 E is the derivative along z; where p vanishes inside a segment E p^2 stays finite
        ux = x * x * inverse_square
        uy = y * y * inverse_square
        uxy = x * y * inverse_square
        curved = curve_sum * p_square
        response[0] = curved
        response[1] = tzp * x
        response[2] = tzp * y
        response[3] = perpendicular - curved * ux
        response[4] = -curved * uxy
        response[5] = perpendicular - curved * uy
    return 2.0 * shortest, degenerate
