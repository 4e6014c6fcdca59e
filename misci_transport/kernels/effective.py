"""Alignment with the effective Hamiltonian H - sum_a lambda_a Q_a of one cell, averaged over energy bins.

Everything is in the basis of the charges: the Q_a are the orthonormal diagonal generators T_a of
`alignment_residual.to_coordinates`, and the part of H that depends on energy is diagonal. Then Tr(Q_a D_l) is the
coordinate a of D_l: a conserved charge fixes that coordinate and frees its multiplier, so that the bordered system has
the size of the plain one. Unknowns y (2 d, d = N_f^2 - 1): coordinates of D_0 and D_1, in which the entries
a < n_charges of the block `fixed` (0: density, 1: flux) are replaced by the multipliers.

    H_{m,s,g} = (+1 nu, -1 nubar) diag(v_g) + external_0 - mu external_1 + strength (D_0 - mu D_1) - (1 or -mu) lambda T

(E3) and (E4) of docs/alignment.md; Johns, arXiv:2306.14982, Eqs. (8), (9) and (14).
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel
from .alignment_residual import from_coordinates, mirror_blocks
from .bins_2 import BLOCK_ROWS_2, bin_sums_2, fill_blocks_2
from .bins_3 import BLOCK_ROWS_3, bin_sums_3, fill_blocks_3
from .hermitian import LANES
from .mixing import drop_identity

HUGE = 1.0e300
SQRT1_2 = sqrt(0.5)
SQRT6 = sqrt(6.0)
SQRT2_3 = sqrt(2.0 / 3.0)


@kernel
def split_unknowns(y, target, n_charges, fixed, n_flavors, x, multiplier):
    """Coordinates x (2 d) and multipliers (n_charges) of the unknowns y; target (n_charges) are the given charges."""
    d = n_flavors * n_flavors - 1
    for a in range(2 * d):
        x[a] = y[a]
    for a in range(n_charges):
        multiplier[a] = y[fixed * d + a]
        x[fixed * d + a] = target[a]


@kernel
def effective_ray(moments, mu, external, strength, multiplier, n_charges, fixed, n_flavors, base):
    """Energy-independent part of H_eff along a ray, packed, in cm^-1; a multiple of the identity is left out."""
    for k in range(n_flavors * n_flavors):
        base[k] = strength * (moments[0, k] - mu * moments[1, k])
    drop_identity(n_flavors, base)
    factor = -mu if fixed == 1 else 1.0
    if n_flavors == 2:
        if n_charges > 0:
            base[0] -= factor * multiplier[0] * 2.0 * SQRT1_2
    else:
        if n_charges > 0:
            base[0] -= factor * multiplier[0] * 3.0 / SQRT6
        if n_charges > 1:
            base[1] -= factor * multiplier[1] * SQRT1_2
            base[2] += factor * multiplier[1] * SQRT1_2
    for k in range(n_flavors * n_flavors):
        base[k] += external[0, k] - mu * external[1, k]


@kernel
def evaluate_effective(
    y,
    target,
    n_charges,
    fixed,
    populations,
    weight,
    direction_cosine,
    number_weight,
    low,
    high,
    external,
    strength,
    n_flavors,
    parts,
    with_jacobian,
    lane,
    output,
    jacobian,
):
    """Residual D_out - D of the unknowns y into output (2 d), and its derivative by y into jacobian (2 d, 2 d).

    low, high (group, N_f) are the diagonal vacuum term at the ends of the bins; external (2, N_f^2); lane a work array
    (BIN_ROWS LANES). Returns (smallest gap of levels with different populations in cm^-1, degenerate or not).
    """
    d = n_flavors * n_flavors - 1
    x = np.empty(2 * d)
    multiplier = np.zeros(2)
    moments = np.empty((2, d + 1))
    trace = np.zeros(2)
    base = np.empty(9)
    sums = np.empty(8)
    pairs = (d * (d + 1)) // 2
    response = np.empty(pairs)
    # sums over the rays of the response times w_0, w_1, w_0 mu, w_1 mu
    packed = np.zeros((4, pairs))
    if n_flavors == 2:
        blocks = np.empty(((2 * number_weight.size + LANES - 1) // LANES, BLOCK_ROWS_2 * LANES))
        fill_blocks_2(low, high, blocks)
    else:
        blocks = np.empty(((2 * number_weight.size * parts + LANES - 1) // LANES, BLOCK_ROWS_3 * LANES))
        fill_blocks_3(low, high, parts, blocks)
    split_unknowns(y, target, n_charges, fixed, n_flavors, x, multiplier)
    from_coordinates(x, trace, n_flavors, moments)
    for a in range(2 * d):
        output[a] = -x[a]
    gap = HUGE
    degenerate = False
    for m in range(direction_cosine.size):
        mu = direction_cosine[m]
        w0 = weight[0, m]
        w1 = weight[1, m]
        if w0 == 0.0 and w1 == 0.0:
            continue
        effective_ray(moments, mu, external, strength, multiplier, n_charges, fixed, n_flavors, base)
        if n_flavors == 2:
            shortest, crossed = bin_sums_2(
                populations[m], number_weight, base, blocks, with_jacobian, lane, sums, response
            )
        else:
            shortest, crossed = bin_sums_3(
                populations[m], number_weight, base, parts, blocks, with_jacobian, lane, sums, response
            )
        gap = min(gap, shortest)
        degenerate = degenerate or crossed
        for a in range(d):
            output[a] += w0 * sums[a]
            output[d + a] += w1 * sums[a]
        if with_jacobian:
            for k in range(pairs):
                packed[0, k] += w0 * response[k]
                packed[1, k] += w1 * response[k]
                packed[2, k] += w0 * mu * response[k]
                packed[3, k] += w1 * mu * response[k]
    if with_jacobian:
        k = 0
        for a in range(d):
            for b in range(a, d):
                jacobian[a, b] = packed[0, k]
                jacobian[a, d + b] = -packed[2, k]
                jacobian[d + a, b] = packed[1, k]
                jacobian[d + a, d + b] = -packed[3, k]
                k += 1
        mirror_blocks(2, d, jacobian)
        for b in range(2 * d):
            free = not (fixed * d <= b < fixed * d + n_charges)
            # by the multiplier: H holds strength x_b, but - lambda_b, along the same generator
            factor = strength if free else -1.0
            for a in range(2 * d):
                jacobian[a, b] *= factor
            if free:
                jacobian[b, b] -= 1.0
    return gap, degenerate


@kernel
def gauge_vector(y, charge, n_flavors, vector):
    """Direction in which a common rotation about charge a moves the unknowns: vector (orders d); returns its square."""
    d = n_flavors * n_flavors - 1
    total = 0.0
    for a in range(y.size):
        vector[a] = 0.0
    for order in range(y.size // d):
        o = order * d
        if n_flavors == 2:
            vector[o + 1] = -y[o + 2]
            vector[o + 2] = y[o + 1]
        else:
            # eigenvalue differences of T_0 = diag(2, -1, -1)/sqrt 6 and T_1 = diag(0, 1, -1)/sqrt 2 times sqrt 2/3
            # and sqrt 2: (0, 1), (0, 2), (1, 2)
            for pair in range(3):
                first = 0.0 if pair == 2 else 1.0
                second = 2.0 if pair == 2 else 2.0 * pair - 1.0
                rate = first if charge == 0 else second
                vector[o + 2 + 2 * pair] = -rate * y[o + 3 + 2 * pair]
                vector[o + 3 + 2 * pair] = rate * y[o + 2 + 2 * pair]
    for a in range(y.size):
        total += vector[a] * vector[a]
    return total


@kernel
def fix_gauge(y, n_charges, n_flavors, smallest, jacobian, work):
    """Make the Jacobian regular where nothing fixes the common phase about a charge.

    The residual's torque about a charge vanishes identically, so with n the rotation's direction and S = diag(1, -1)
    over D_0 and the components of D_1, S n is a left null vector of the Jacobian and n, at a solution, a right one.
    Adding S n n^T/|n|^2 leaves every Newton step without a component along n. Phases of states with |n| < smallest mean
    nothing.
    """
    n = y.size
    density = n_flavors * n_flavors - 1
    first = 0.0
    for charge in range(n_charges):
        vector = work[charge]
        square = gauge_vector(y, charge, n_flavors, vector)
        if charge == 1 and first > 0.0:
            overlap = 0.0
            for a in range(n):
                overlap += work[0, a] * vector[a]
            square = 0.0
            for a in range(n):
                vector[a] -= overlap / first * work[0, a]
                square += vector[a] * vector[a]
        if not square > smallest * smallest:
            continue
        if charge == 0:
            first = square
        for a in range(n):
            sign = 1.0 if a < density else -1.0
            for b in range(n):
                jacobian[a, b] -= sign * vector[a] * vector[b] / square
