"""Average of the unit vector h/|h| over a straight segment, and its derivative: one pair of levels in an energy bin.

Within a bin of 1/2E the Bloch vector h of a pair of levels moves on a straight line from z_a to z_b along one axis, at
the constant distance p from it. With r_a, r_b the lengths at the ends, R = r_a + r_b and Delta = |z_b - z_a|,

    <h_parallel/|h|> = (z_a + z_b)/R,
    <1/|h|> = A = ln[(R + Delta)/(R - Delta)]/Delta = (2/R) atanh(u)/u,  u = Delta/R,

and the derivatives need C = -dA/dz = (z_a + z_b)/(r_a r_b R) and E = <1/|h|^3> = R/[r_a r_b (r_a r_b + z_a z_b + p^2)].
All go over into the values at one point when Delta goes to zero. docs/alignment.md derives them.
"""

from __future__ import annotations

from math import log, sqrt

from ..numba_cache import kernel

# Largest u^2 of the polynomial; beyond, the segment passes close to h = 0 and the logarithm is taken.
NEAR = 0.36
SMALLEST = 1.0e-300


@kernel(inline="always")
def series(v):
    """(atanh(u)/u - 1)/v with v = u^2 = 0 .. NEAR, to 4e-16: interpolation in the Chebyshev nodes of that interval.

    Summed in pairs, which shortens the chain of dependent operations.
    """
    v2 = v * v
    v4 = v2 * v2
    low = (0.3333333333333336 + 0.19999999999969675 * v) + v2 * (0.1428571429197967 + 0.11111110601879062 * v)
    middle = (0.09090930686014795 + 0.07691758533411501 * v) + v2 * (0.06675735117013065 + 0.05780316935319453 * v)
    high = (0.06067780593169579 + 0.0025605593940091144 * v) + v2 * (0.22256333704949285 - 0.4568825328549549 * v)
    top = 0.9612294885375793 + v * (-1.0206926558058775 + 0.6209979481183319 * v)
    return (low + v4 * middle) + (v4 * v4) * (high + v4 * top)


@kernel
def segment(z_a, z_b, p_square):
    """(<h_parallel/|h|>, A, C, p^2 E, smallest |h|) of any segment; p^2 E has a limit where p vanishes.

    Without cancellation: R - Delta and the sum below p^2 E are written as sums of positive numbers. Where h = 0 on the
    whole segment all are zero.
    """
    r_a = sqrt(z_a * z_a + p_square)
    r_b = sqrt(z_b * z_b + p_square)
    total = r_a + r_b
    if total <= SMALLEST:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    length = abs(z_b - z_a)
    inverse = 1.0 / total
    middle = z_a + z_b
    crosses = z_a * z_b < 0.0
    u = length * inverse
    v = u * u
    if v <= NEAR:
        mean = 2.0 * inverse * (1.0 + v * series(v))
    elif crosses or z_a * z_b == 0.0:
        rest = p_square / (r_a + abs(z_a) + SMALLEST) + p_square / (r_b + abs(z_b) + SMALLEST)
        mean = log((total + length) / (rest + SMALLEST)) / length
    else:
        mean = log((total + length) / (total - length)) / length
    product = r_a * r_b + SMALLEST
    outside = abs(z_b) * r_a + abs(z_a) * r_b
    if crosses:
        flat = outside / (product * length)
        smallest = sqrt(p_square)
    else:
        flat = p_square * (abs(middle) / (outside * product) if outside > SMALLEST else mean / product)
        smallest = min(r_a, r_b)
    return middle * inverse, mean, middle * inverse / product, flat, smallest
