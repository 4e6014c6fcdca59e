"""Residual and Jacobian of the self-consistent alignment of one cell, Eq. (14) of Johns, arXiv:2306.14982.

Unknowns are the traceless parts of D_0 and of the components of D_1 in an orthonormal basis (Tr T_a T_b = delta_ab):

    N_f = 2:  (D_00 - D_11)/sqrt 2, sqrt 2 Re D_01, sqrt 2 Im D_01
    N_f = 3:  (2 D_00 - D_11 - D_22)/sqrt 6, (D_11 - D_22)/sqrt 2, then sqrt 2 (Re, Im) of D_01, D_02, D_12

The residual is F_l(D) = sum_{m,g} w_l (U diag(n) U^+ - Ubar diag(nbar) Ubar^+) - D_l, and its Jacobian follows from
first-order perturbation theory: d(U n U^+) = U (K o U^+ dH U) U^+, K_kl = (n_k - n_l)/(h_k - h_l), dH the same for
all groups and both species of one ray. Rounding and reporting: docs/alignment.md.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel
from .hermitian import IMAG, LANE_ROWS, LANES, REAL, VALUES, eigen3_lanes
from .mixing import ray_hamiltonian, ray_lanes

EPSILON = 2.220446049250313e-16
SQRT2 = sqrt(2.0)
SQRT3_2 = sqrt(1.5)
SQRT2_3 = sqrt(2.0 / 3.0)
SQRT3 = sqrt(3.0)
SQRT6 = sqrt(6.0)
SQRT1_2 = sqrt(0.5)

# Rows of the lane array after those of the eigen-decomposition: weighted population differences of the level pairs
# (0, 1), (0, 2), (1, 2), then sums over the matrices of one ray.
DIFFERENCE = LANE_ROWS
SUM = DIFFERENCE + 3
RESPONSE = SUM + 8
SLOPE = RESPONSE + 36
GAP = SLOPE + 1
FLAG = GAP + 1
ALIGNMENT_ROWS = FLAG + 1

HUGE = 1.0e300


@kernel
def to_coordinates(moments, n_flavors, x):
    """Traceless orthonormal coordinates x (orders (N_f^2 - 1)) of packed moments (order, N_f^2)."""
    for order in range(moments.shape[0]):
        d = moments[order]
        if n_flavors == 2:
            x[3 * order] = (d[0] - d[1]) * SQRT1_2
            x[3 * order + 1] = SQRT2 * d[2]
            x[3 * order + 2] = SQRT2 * d[3]
        else:
            x[8 * order] = (d[0] - 0.5 * (d[1] + d[2])) * SQRT2_3
            x[8 * order + 1] = (d[1] - d[2]) * SQRT1_2
            for k in range(6):
                x[8 * order + 2 + k] = SQRT2 * d[3 + k]


@kernel
def from_coordinates(x, trace, n_flavors, moments):
    """Packed moments (order, N_f^2) of coordinates x and the traces (order)."""
    for order in range(moments.shape[0]):
        d = moments[order]
        if n_flavors == 2:
            d[0] = 0.5 * trace[order] + SQRT1_2 * x[3 * order]
            d[1] = 0.5 * trace[order] - SQRT1_2 * x[3 * order]
            d[2] = SQRT1_2 * x[3 * order + 1]
            d[3] = SQRT1_2 * x[3 * order + 2]
        else:
            a = x[8 * order]
            b = x[8 * order + 1]
            d[0] = trace[order] / 3.0 + SQRT2_3 * a
            d[1] = trace[order] / 3.0 - a / SQRT6 + SQRT1_2 * b
            d[2] = trace[order] / 3.0 - a / SQRT6 - SQRT1_2 * b
            for k in range(6):
                d[3 + k] = SQRT1_2 * x[8 * order + 2 + k]


@kernel
def number_sums(populations, weight, number_weight, n_flavors, trace):
    """trace_l = sum w_l (tr n - tr nbar) into trace (order); returns the scale sum |w_0| (tr |n| + tr |nbar|)."""
    trace[:] = 0.0
    scale = 0.0
    for m in range(weight.shape[1]):
        net = 0.0
        total = 0.0
        for species in range(2):
            sign = 1.0 - 2.0 * species
            for g in range(number_weight.size):
                for k in range(n_flavors):
                    n = number_weight[g] * populations[m, species, g, k]
                    net += sign * n
                    total += abs(n)
        for order in range(weight.shape[0]):
            trace[order] += weight[order, m] * net
        scale += abs(weight[0, m]) * total
    return scale


@kernel
def ray_sums_2(populations, number_weight, vacuum, base, with_jacobian, sums, response):
    """One ray, two flavours: sums (3) of w p, response (6) of w d p/d h, where p = (n_1 - n_0)/2 h/|h|.

    h = (z, x, y) = ((H_00 - H_11)/2, Re H_01, Im H_01). Returns (sum of |w K|, smallest gap, degenerate or not).
    """
    z0 = 0.5 * (base[0] - base[1])
    x0 = base[2]
    y0 = base[3]
    pz = 0.0
    px = 0.0
    py = 0.0
    slope = 0.0
    tzz = 0.0
    txx = 0.0
    tyy = 0.0
    tzx = 0.0
    tzy = 0.0
    txy = 0.0
    shortest = HUGE
    degenerate = False
    for species in range(2):
        sign = 1.0 - 2.0 * species
        for g in range(number_weight.size):
            half = 0.5 * (populations[species, g, 1] - populations[species, g, 0])
            z = z0 + sign * 0.5 * (vacuum[g, 0] - vacuum[g, 1])
            x = x0 + sign * vacuum[g, 2]
            y = y0 + sign * vacuum[g, 3]
            length = sqrt(z * z + x * x + y * y)
            if half == 0.0:
                continue
            if not length > 1.0e-300:
                degenerate = True
                continue
            inverse = 1.0 / length
            factor = sign * number_weight[g] * half * inverse
            pz += factor * z
            px += factor * x
            py += factor * y
            shortest = min(shortest, length)
            slope += abs(factor)
            if with_jacobian:
                z *= inverse
                x *= inverse
                y *= inverse
                fz = factor * z
                fx = factor * x
                tzz += factor - fz * z
                txx += factor - fx * x
                tyy += factor - factor * y * y
                tzx -= fz * x
                tzy -= fz * y
                txy -= fx * y
    sums[0] = SQRT2 * pz
    sums[1] = SQRT2 * px
    sums[2] = SQRT2 * py
    response[0] = tzz
    response[1] = tzx
    response[2] = tzy
    response[3] = txx
    response[4] = txy
    response[5] = tyy
    return slope, 2.0 * shortest, degenerate


@kernel
def lane_differences(populations, number_weight, start, lane):
    """Rows DIFFERENCE: w (n_l - n_k) of the pairs (0, 1), (0, 2), (1, 2), zero on lanes beyond the last matrix.

    Returns whether each pair has any difference.
    """
    groups = number_weight.size
    any01 = False
    any02 = False
    any12 = False
    for i in range(LANES):
        q = start + i
        d01 = 0.0
        d02 = 0.0
        d12 = 0.0
        if q < 2 * groups:
            species = 1 if q >= groups else 0
            g = q - species * groups
            weight = number_weight[g] * (1.0 - 2.0 * species)
            n0 = populations[species, g, 0]
            n1 = populations[species, g, 1]
            n2 = populations[species, g, 2]
            d01 = weight * (n1 - n0)
            d02 = weight * (n2 - n0)
            d12 = weight * (n2 - n1)
        any01 = any01 or d01 != 0.0
        any02 = any02 or d02 != 0.0
        any12 = any12 or d12 != 0.0
        lane[DIFFERENCE * LANES + i] = d01
        lane[(DIFFERENCE + 1) * LANES + i] = d02
        lane[(DIFFERENCE + 2) * LANES + i] = d12
    return any01, any02, any12


@kernel
def add_projector(level, difference, lane):
    """SUM += difference * (coordinates of the projector on a level), lane by lane."""
    for i in range(LANES):
        w = lane[(DIFFERENCE + difference) * LANES + i]
        r0 = lane[(REAL + level) * LANES + i]
        r1 = lane[(REAL + 3 + level) * LANES + i]
        r2 = lane[(REAL + 6 + level) * LANES + i]
        i1 = lane[(IMAG + 3 + level) * LANES + i]
        i2 = lane[(IMAG + 6 + level) * LANES + i]
        lane[SUM * LANES + i] += w * SQRT3_2 * (r0 * r0 - 1.0 / 3.0)
        lane[(SUM + 1) * LANES + i] += w * SQRT1_2 * ((r1 * r1 + i1 * i1) - (r2 * r2 + i2 * i2))
        w *= SQRT2
        lane[(SUM + 2) * LANES + i] += w * (r0 * r1)
        lane[(SUM + 3) * LANES + i] -= w * (r0 * i1)
        lane[(SUM + 4) * LANES + i] += w * (r0 * r2)
        lane[(SUM + 5) * LANES + i] -= w * (r0 * i2)
        lane[(SUM + 6) * LANES + i] += w * (r1 * r2 + i1 * i2)
        lane[(SUM + 7) * LANES + i] += w * (i1 * r2 - r1 * i2)


@kernel
def add_slope(low, high, difference, lane):
    """SLOPE += |w K|, GAP = min(gap), FLAG for a degenerate pair of levels with different populations."""
    for i in range(LANES):
        d = lane[(DIFFERENCE + difference) * LANES + i]
        h_low = lane[(VALUES + low) * LANES + i]
        h_high = lane[(VALUES + high) * LANES + i]
        gap = h_high - h_low
        good = gap > 4.0 * EPSILON * (abs(h_low) + abs(h_high))
        lane[SLOPE * LANES + i] += abs(d) / (gap if good else HUGE)
        gap = gap if d != 0.0 else HUGE
        smallest = lane[GAP * LANES + i]
        lane[GAP * LANES + i] = gap if gap < smallest else smallest
        lane[FLAG * LANES + i] += 0.0 if good or d == 0.0 else 1.0


@kernel
def add_response(low, high, difference, lane):
    """RESPONSE (upper triangle, row by row) += 2 w K Re(q_a conj q_b), q_a = <high| T_a |low>, lane by lane."""
    for i in range(LANES):
        h_low = lane[(VALUES + low) * LANES + i]
        h_high = lane[(VALUES + high) * LANES + i]
        gap = h_high - h_low
        good = gap > 4.0 * EPSILON * (abs(h_low) + abs(h_high))
        # The factor 1/2 of all pairs of q is taken out: q below is sqrt(2) q_a.
        factor = lane[(DIFFERENCE + difference) * LANES + i] / (gap if good else HUGE)
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
        # conj(U_1l) U_1k and conj(U_2l) U_2k
        g1r = l1r * k1r + l1i * k1i
        g1i = l1r * k1i - l1i * k1r
        g2r = l2r * k2r + l2i * k2i
        g2i = l2r * k2i - l2i * k2r
        # conj(U_1l) U_2k and conj(U_2l) U_1k
        m1r = l1r * k2r + l1i * k2i
        m1i = l1r * k2i - l1i * k2r
        m2r = l2r * k1r + l2i * k1i
        m2i = l2r * k1i - l2i * k1r
        r0 = SQRT3 * (l0 * k0)
        r1 = g1r - g2r
        s1 = g1i - g2i
        r2 = l0 * k1r + l1r * k0
        s2 = l0 * k1i - l1i * k0
        r3 = -l0 * k1i - l1i * k0
        s3 = l0 * k1r - l1r * k0
        r4 = l0 * k2r + l2r * k0
        s4 = l0 * k2i - l2i * k0
        r5 = -l0 * k2i - l2i * k0
        s5 = l0 * k2r - l2r * k0
        r6 = m1r + m2r
        s6 = m1i + m2i
        r7 = m2i - m1i
        s7 = m1r - m2r
        fr = factor * r0
        lane[RESPONSE * LANES + i] += fr * r0
        lane[(RESPONSE + 1) * LANES + i] += fr * r1
        lane[(RESPONSE + 2) * LANES + i] += fr * r2
        lane[(RESPONSE + 3) * LANES + i] += fr * r3
        lane[(RESPONSE + 4) * LANES + i] += fr * r4
        lane[(RESPONSE + 5) * LANES + i] += fr * r5
        lane[(RESPONSE + 6) * LANES + i] += fr * r6
        lane[(RESPONSE + 7) * LANES + i] += fr * r7
        fr = factor * r1
        fs = factor * s1
        lane[(RESPONSE + 8) * LANES + i] += fr * r1 + fs * s1
        lane[(RESPONSE + 9) * LANES + i] += fr * r2 + fs * s2
        lane[(RESPONSE + 10) * LANES + i] += fr * r3 + fs * s3
        lane[(RESPONSE + 11) * LANES + i] += fr * r4 + fs * s4
        lane[(RESPONSE + 12) * LANES + i] += fr * r5 + fs * s5
        lane[(RESPONSE + 13) * LANES + i] += fr * r6 + fs * s6
        lane[(RESPONSE + 14) * LANES + i] += fr * r7 + fs * s7
        fr = factor * r2
        fs = factor * s2
        lane[(RESPONSE + 15) * LANES + i] += fr * r2 + fs * s2
        lane[(RESPONSE + 16) * LANES + i] += fr * r3 + fs * s3
        lane[(RESPONSE + 17) * LANES + i] += fr * r4 + fs * s4
        lane[(RESPONSE + 18) * LANES + i] += fr * r5 + fs * s5
        lane[(RESPONSE + 19) * LANES + i] += fr * r6 + fs * s6
        lane[(RESPONSE + 20) * LANES + i] += fr * r7 + fs * s7
        fr = factor * r3
        fs = factor * s3
        lane[(RESPONSE + 21) * LANES + i] += fr * r3 + fs * s3
        lane[(RESPONSE + 22) * LANES + i] += fr * r4 + fs * s4
        lane[(RESPONSE + 23) * LANES + i] += fr * r5 + fs * s5
        lane[(RESPONSE + 24) * LANES + i] += fr * r6 + fs * s6
        lane[(RESPONSE + 25) * LANES + i] += fr * r7 + fs * s7
        fr = factor * r4
        fs = factor * s4
        lane[(RESPONSE + 26) * LANES + i] += fr * r4 + fs * s4
        lane[(RESPONSE + 27) * LANES + i] += fr * r5 + fs * s5
        lane[(RESPONSE + 28) * LANES + i] += fr * r6 + fs * s6
        lane[(RESPONSE + 29) * LANES + i] += fr * r7 + fs * s7
        fr = factor * r5
        fs = factor * s5
        lane[(RESPONSE + 30) * LANES + i] += fr * r5 + fs * s5
        lane[(RESPONSE + 31) * LANES + i] += fr * r6 + fs * s6
        lane[(RESPONSE + 32) * LANES + i] += fr * r7 + fs * s7
        fr = factor * r6
        fs = factor * s6
        lane[(RESPONSE + 33) * LANES + i] += fr * r6 + fs * s6
        lane[(RESPONSE + 34) * LANES + i] += fr * r7 + fs * s7
        fr = factor * r7
        fs = factor * s7
        lane[(RESPONSE + 35) * LANES + i] += fr * r7 + fs * s7


@kernel
def ray_sums_3(populations, number_weight, vacuum, base, with_jacobian, lane, sums, response):
    """One ray, three flavours: sums (8) of w times the coordinates of the density matrix, response (36) to dH.

    Returns (sum of |w K|, smallest gap between levels of different populations, degenerate or not).
    """
    for row in range(SUM, ALIGNMENT_ROWS):
        for i in range(LANES):
            lane[row * LANES + i] = 0.0
    for i in range(LANES):
        lane[GAP * LANES + i] = HUGE
    for start in range(0, 2 * number_weight.size, LANES):
        any01, any02, any12 = lane_differences(populations, number_weight, start, lane)
        if not (any01 or any02 or any12):
            continue
        ray_lanes(base, vacuum, start, lane)
        eigen3_lanes(lane)
        # Relative to n_0: the identity part drops out.
        if any01:
            add_projector(1, 0, lane)
            add_slope(0, 1, 0, lane)
        if any02:
            add_projector(2, 1, lane)
            add_slope(0, 2, 1, lane)
        if any12:
            add_slope(1, 2, 2, lane)
        if with_jacobian:
            if any01:
                add_response(0, 1, 0, lane)
            if any02:
                add_response(0, 2, 1, lane)
            if any12:
                add_response(1, 2, 2, lane)
    for k in range(8):
        total = 0.0
        for i in range(LANES):
            total += lane[(SUM + k) * LANES + i]
        sums[k] = total
    if with_jacobian:
        for k in range(36):
            total = 0.0
            for i in range(LANES):
                total += lane[(RESPONSE + k) * LANES + i]
            response[k] = total
    slope = 0.0
    shortest = HUGE
    degenerate = False
    for i in range(LANES):
        slope += lane[SLOPE * LANES + i]
        shortest = min(shortest, lane[GAP * LANES + i])
        degenerate = degenerate or lane[FLAG * LANES + i] > 0.0
    return slope, shortest, degenerate


@kernel
def evaluate(
    x,
    populations,
    weight,
    velocity,
    number_weight,
    vacuum,
    potential,
    beta,
    strength,
    shift,
    n_flavors,
    with_jacobian,
    lane,
    output,
    jacobian,
):
    """D_out(D) of the coordinates x into output, and d D_out/d D into jacobian if asked for.

    weight (order, direction), velocity (direction, axis), beta (axis); lane: (ALIGNMENT_ROWS LANES) work array.
    Returns (bound on the 2-norm of d D_out/d D, smallest gap in cm^-1, degenerate or not).
    """
    d = n_flavors * n_flavors - 1
    orders = weight.shape[0]
    moments = np.empty((orders, d + 1))
    trace = np.zeros(orders)
    base = np.empty(9)
    sums = np.empty(8)
    response = np.empty(36)
    from_coordinates(x, trace, n_flavors, moments)
    for a in range(orders * d):
        output[a] = 0.0
        if with_jacobian:
            for b in range(orders * d):
                jacobian[a, b] = 0.0
    bound = 0.0
    gap = HUGE
    degenerate = False
    for m in range(velocity.shape[0]):
        speed = 1.0
        square = weight[0, m] ** 2
        for axis in range(orders - 1):
            speed += velocity[m, axis] ** 2
            square += weight[1 + axis, m] ** 2
        if square == 0.0:
            continue
        ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, n_flavors, base)
        if n_flavors == 2:
            slope, shortest, crossed = ray_sums_2(
                populations[m], number_weight, vacuum, base, with_jacobian, sums, response
            )
        else:
            slope, shortest, crossed = ray_sums_3(
                populations[m], number_weight, vacuum, base, with_jacobian, lane, sums, response
            )
        bound += slope * sqrt(speed * square)
        gap = min(gap, shortest)
        degenerate = degenerate or crossed
        for order in range(orders):
            for a in range(d):
                output[order * d + a] += weight[order, m] * sums[a]
        if with_jacobian:
            add_ray(weight, velocity, m, strength, d, response, jacobian)
    if with_jacobian:
        mirror_blocks(orders, d, jacobian)
    return bound * abs(strength), gap, degenerate


@kernel
def add_ray(weight, velocity, m, strength, d, response, jacobian):
    """Add what one ray's response gives to the upper triangles of the blocks of d D_out/d D."""
    orders = weight.shape[0]
    for row in range(orders):
        w = strength * weight[row, m]
        for column in range(orders):
            f = w if column == 0 else -w * velocity[m, column - 1]
            k = 0
            for a in range(d):
                for b in range(a, d):
                    jacobian[row * d + a, column * d + b] += f * response[k]
                    k += 1


@kernel
def mirror_blocks(orders, d, jacobian):
    """Fill the lower triangles of the (orders x orders) blocks, each of which is symmetric."""
    for row in range(orders):
        for column in range(orders):
            for a in range(d):
                for b in range(a):
                    jacobian[row * d + a, column * d + b] = jacobian[row * d + b, column * d + a]
