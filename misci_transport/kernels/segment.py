"""Average of the unit vector h/|h| over a straight segment, and its derivative: one pair of levels in an energy bin.

Within a bin of 1/2E the Bloch vector h of a pair of levels moves on a straight line from z_a to z_b along one axis, at
the constant distance p from it. With r_a, r_b the lengths at the ends, R = r_a + r_b and Delta = |z_b - z_a|,

    <h_parallel/|h|> = (z_a + z_b)/R,     <1/|h|> = A = ln[(R + Delta)/(R - Delta)]/Delta,

and the derivatives need C = -dA/dz = (z_a + z_b)/(r_a r_b R) and E = <1/|h|^3>. All are free of cancellation and
go over into the values at one point when Delta goes to zero. docs/alignment.md derives them.
"""

from __future__ import annotations

from math import log, sqrt

from numba import njit

# atanh(u)/u = sum u^2k/(2k + 1): eight terms are exact to round-off below this u.
SERIES_LIMIT = 0.1
SMALLEST = 1.0e-300


@njit(cache=True, error_model="numpy", inline="always")
def segment(z_a, z_b, p_square):
    """(<h_parallel/|h|>, A, C, E, smallest |h|) of a segment; E p^2 stays finite where p vanishes on the segment."""
    r_a = sqrt(z_a * z_a + p_square)
    r_b = sqrt(z_b * z_b + p_square)
    total = r_a + r_b
    inverse = 1.0 / (total + SMALLEST)
    length = abs(z_b - z_a)
    product = r_a * r_b
    middle = z_a + z_b
    parallel = middle * inverse
    u = length * inverse
    if u <= SERIES_LIMIT:
        v = u * u
        series = 1.0 + v * (
            1.0 / 3.0 + v * (0.2 + v * (1.0 / 7.0 + v * (1.0 / 9.0 + v * (1.0 / 11.0 + v * (1.0 / 13.0 + v / 15.0)))))
        )
        mean = 2.0 * inverse * series
    elif z_a * z_b <= 0.0:
        # R - Delta without the cancellation of |z| against r
        rest = p_square / (r_a + abs(z_a)) + p_square / (r_b + abs(z_b))
        mean = log((total + length) / (rest + SMALLEST)) / length
    else:
        mean = log((total + length) / (total - length)) / length
    inverse_product = 1.0 / (product + SMALLEST)
    slope = middle * inverse * inverse_product
    if z_a * z_b < 0.0:
        curve = (abs(z_b) * r_a + abs(z_a) * r_b) * inverse_product / (length * (p_square + SMALLEST))
        smallest = sqrt(p_square)
    else:
        curve = abs(middle) * inverse_product / (abs(z_b) * r_a + abs(z_a) * r_b + SMALLEST)
        smallest = min(r_a, r_b)
    if z_a + z_b == 0.0 and u <= SERIES_LIMIT:
        curve = mean * inverse_product
    return parallel, mean, slope, curve, smallest
