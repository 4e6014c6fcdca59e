"""Three flavours where nu_e mixes little with heavy flavours that are equally populated: D without eigenvectors.

With equal heavy populations n, density_matrix = n + (n_e - n) |e><e|, so that all depends on the level that is nearly
nu_e. H = [[H_ee, c^+], [c, mean + X]], X traceless, delta = H_ee - mean, r the norm of X: that level is (1, y) with

    y = (lambda - X)^-1 c,  lambda = delta + c^+ y,  (lambda - X)^-1 = (lambda + X)/(lambda^2 - r^2)

Two turns of it leave an error of fifth order in theta = |c|/gap. Newton's method for D_0 and D_1 takes the response of
D_xe to H_xe to first order in theta, and to H_ee; what it leaves out is of second order. Bounds: docs/alignment.md.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel
from .alignment_locked import EQUAL, MAX_PASSES, fill_complex_blocks
from .alignment_residual import HUGE, SQRT1_2, SQRT2, SQRT2_3, from_coordinates
from .hermitian import LANES
from .mixing import ray_hamiltonian
from .small_solve import solve_dense

#: Largest |c|/gap: its fifth power is round-off.
DRESS_ANGLE = 5.0e-4

# Rows of the work array, each of LANES numbers: of the vacuum for one block of groups, ...
VD, VXD, VXR, VXI, V1R, V1I, V2R, V2I, WEIGHT = range(9)
# ... and in its last block those of one ray: what a species' Hamiltonian and populations are, then sums.
DELTA, XD, XR, XI, C1R, C1I, C2R, C2I, RADIUS, OFF, N0, N1, N2, D = range(14)
(
    S_EE, S_1R, S_1I, S_2R, S_2I, S_11, S_22, S_12R, S_12I, S_A, S_BD, S_BR, S_BI, S_Z1R, S_Z1I, S_Z2R, S_Z2I
) = range(14, 31)  # fmt: skip
GAP, UNEQUAL, BAD = range(31, 34)
DRESSED_ROWS = 34
SUMS = GAP - S_EE


@kernel
def vacuum_lanes(vacuum, number_weight):
    """Work array (blocks + 1, DRESSED_ROWS LANES): what the vacuum term adds to delta, X and c, and number weights."""
    groups = vacuum.shape[0]
    blocks = (groups + LANES - 1) // LANES
    lane = np.zeros((blocks + 1, DRESSED_ROWS * LANES))
    for g in range(groups):
        block, i = g // LANES, g % LANES
        v = vacuum[g]
        lane[block, WEIGHT * LANES + i] = number_weight[g]
        lane[block, VD * LANES + i] = v[0] - 0.5 * (v[1] + v[2])
        lane[block, VXD * LANES + i] = 0.5 * (v[1] - v[2])
        lane[block, VXR * LANES + i] = v[7]
        lane[block, VXI * LANES + i] = v[8]
        # H_xe = (conj H_01, conj H_02)
        lane[block, V1R * LANES + i] = v[3]
        lane[block, V1I * LANES + i] = -v[4]
        lane[block, V2R * LANES + i] = v[5]
        lane[block, V2I * LANES + i] = -v[6]
    return lane


@kernel
def _hamiltonian_lanes(base, sign, block, lane):
    """Delta, X, c, r and |c| (sum of moduli) of one block of groups."""
    last = lane.shape[0] - 1
    delta = base[0] - 0.5 * (base[1] + base[2])
    xd, xr, xi = 0.5 * (base[1] - base[2]), base[7], base[8]
    c1r, c1i, c2r, c2i = base[3], -base[4], base[5], -base[6]
    for i in range(LANES):
        lane[last, DELTA * LANES + i] = delta + sign * lane[block, VD * LANES + i]
        d = xd + sign * lane[block, VXD * LANES + i]
        r = xr + sign * lane[block, VXR * LANES + i]
        m = xi + sign * lane[block, VXI * LANES + i]
        lane[last, XD * LANES + i] = d
        lane[last, XR * LANES + i] = r
        lane[last, XI * LANES + i] = m
        lane[last, RADIUS * LANES + i] = sqrt(d * d + r * r + m * m)
        a = c1r + sign * lane[block, V1R * LANES + i]
        b = c1i + sign * lane[block, V1I * LANES + i]
        e = c2r + sign * lane[block, V2R * LANES + i]
        f = c2i + sign * lane[block, V2I * LANES + i]
        lane[last, C1R * LANES + i] = a
        lane[last, C1I * LANES + i] = b
        lane[last, C2R * LANES + i] = e
        lane[last, C2I * LANES + i] = f
        lane[last, OFF * LANES + i] = abs(a) + abs(b) + abs(e) + abs(f)


@kernel
def _level_lanes(lane):
    """Add what the nearly pure level of each lane makes of its population difference D to the sums."""
    last = lane.shape[0] - 1
    for i in range(LANES):
        delta = lane[last, DELTA * LANES + i]
        xd = lane[last, XD * LANES + i]
        xr = lane[last, XR * LANES + i]
        xi = lane[last, XI * LANES + i]
        c1r = lane[last, C1R * LANES + i]
        c1i = lane[last, C1I * LANES + i]
        c2r = lane[last, C2R * LANES + i]
        c2i = lane[last, C2I * LANES + i]
        d = lane[last, D * LANES + i]
        square = xd * xd + xr * xr + xi * xi
        first = 1.0 / (delta * delta - square)
        # the second turn of y, with lambda from the first
        y1r = ((delta + xd) * c1r + xr * c2r - xi * c2i) * first
        y1i = ((delta + xd) * c1i + xr * c2i + xi * c2r) * first
        y2r = ((delta - xd) * c2r + xr * c1r + xi * c1i) * first
        y2i = ((delta - xd) * c2i + xr * c1i - xi * c1r) * first
        level = delta + c1r * y1r + c1i * y1i + c2r * y2r + c2i * y2i
        second = 1.0 / (level * level - square)
        y1r = ((level + xd) * c1r + xr * c2r - xi * c2i) * second
        y1i = ((level + xd) * c1i + xr * c2i + xi * c2r) * second
        y2r = ((level - xd) * c2r + xr * c1r + xi * c1i) * second
        y2i = ((level - xd) * c2i + xr * c1i - xi * c1r) * second
        one = y1r * y1r + y1i * y1i
        two = y2r * y2r + y2i * y2i
        p = d / (1.0 + one + two)
        lane[last, S_EE * LANES + i] += p
        lane[last, S_1R * LANES + i] += p * y1r
        lane[last, S_1I * LANES + i] += p * y1i
        lane[last, S_2R * LANES + i] += p * y2r
        lane[last, S_2I * LANES + i] += p * y2i
        lane[last, S_11 * LANES + i] += p * one
        lane[last, S_22 * LANES + i] += p * two
        lane[last, S_12R * LANES + i] += p * (y1r * y2r + y1i * y2i)
        lane[last, S_12I * LANES + i] += p * (y1i * y2r - y1r * y2i)
        b = d * first
        lane[last, S_A * LANES + i] += b * delta
        lane[last, S_BD * LANES + i] += b * xd
        lane[last, S_BR * LANES + i] += b * xr
        lane[last, S_BI * LANES + i] += b * xi
        # response of d y to delta: -(delta - X)^-1 y
        b = -b
        lane[last, S_Z1R * LANES + i] += b * ((delta + xd) * y1r + xr * y2r - xi * y2i)
        lane[last, S_Z1I * LANES + i] += b * ((delta + xd) * y1i + xr * y2i + xi * y2r)
        lane[last, S_Z2R * LANES + i] += b * ((delta - xd) * y2r + xr * y1r + xi * y1i)
        lane[last, S_Z2I * LANES + i] += b * ((delta - xd) * y2i + xr * y1i - xi * y1r)


@kernel
def _difference_lanes(sign, block, lane):
    """D, n_e minus the mean heavy population with sign and weight; GAP, UNEQUAL and BAD of the lanes in use."""
    last = lane.shape[0] - 1
    for i in range(LANES):
        delta = lane[last, DELTA * LANES + i]
        radius = lane[last, RADIUS * LANES + i]
        n0 = lane[last, N0 * LANES + i]
        n1 = lane[last, N1 * LANES + i]
        n2 = lane[last, N2 * LANES + i]
        weight = lane[block, WEIGHT * LANES + i]
        # the level of nu_e: in the middle, on top, or at the bottom
        upper = n2 if delta > 0.0 else n0
        lower = n0 if delta > 0.0 else n1
        higher = n1 if delta > 0.0 else n2
        between = abs(delta) < radius
        e = n1 if between else upper
        low = n0 if between else lower
        high = n2 if between else higher
        lane[last, D * LANES + i] = sign * weight * (e - 0.5 * (low + high))
        closest = abs(abs(delta) - radius)
        smallest = lane[last, GAP * LANES + i]
        smaller = closest if closest < smallest else smallest
        lane[last, GAP * LANES + i] = smaller if weight > 0.0 else smallest
        apart = abs(high - low)
        apart = apart if apart > EQUAL * (abs(high) + abs(low)) else 0.0
        lane[last, UNEQUAL * LANES + i] += weight * apart
        good = 0.0 if lane[last, OFF * LANES + i] <= DRESS_ANGLE * closest else 1.0
        good = good if closest > 0.0 else 1.0
        lane[last, BAD * LANES + i] += good if weight > 0.0 else 0.0


@kernel
def _ray(populations, m, base, lane, sums):
    """Sums over groups and species of one ray; returns (usable or not, smallest gap, unequal heavy populations)."""
    last = lane.shape[0] - 1
    groups = populations.shape[2]
    for k in range(S_EE * LANES, DRESSED_ROWS * LANES):
        lane[last, k] = 0.0
    for i in range(LANES):
        lane[last, GAP * LANES + i] = HUGE
    for block in range(last):
        start = block * LANES
        count = min(LANES, groups - start)
        for species in range(2):
            sign = 1.0 - 2.0 * species
            _hamiltonian_lanes(base, sign, block, lane)
            for i in range(count):
                lane[last, N0 * LANES + i] = populations[m, species, start + i, 0]
                lane[last, N1 * LANES + i] = populations[m, species, start + i, 1]
                lane[last, N2 * LANES + i] = populations[m, species, start + i, 2]
            for i in range(count, LANES):
                # lanes beyond the last group
                lane[last, DELTA * LANES + i] = 1.0
                for row in range(XD, D):
                    lane[last, row * LANES + i] = 0.0
            _difference_lanes(sign, block, lane)
            for i in range(LANES):
                if lane[last, BAD * LANES + i] > 0.0:
                    return False, 0.0, 0.0
            _level_lanes(lane)
    for k in range(SUMS):
        total = 0.0
        for i in range(LANES):
            total += lane[last, (S_EE + k) * LANES + i]
        sums[k] = total
    gap = HUGE
    unequal = 0.0
    for i in range(LANES):
        gap = min(gap, lane[last, GAP * LANES + i])
        unequal += lane[last, UNEQUAL * LANES + i]
    return True, gap, unequal


@kernel
def dressed_3(
    x, scale, populations, weight, velocity, number_weight, vacuum, potential, beta, strength, shift, tolerance, matrix,
    vector,
):  # fmt: skip
    """Solve D_out(D) = D of a cell into the coordinates x (8 orders), which hold the guess.

    Work arrays: matrix (4 orders, 4 orders), vector (4 orders). Returns (solved or not, passes, relative error); if
    not, x is as it was.
    """
    orders = weight.shape[0]
    moments = np.empty((orders, 9))
    trace = np.zeros(orders)
    base = np.empty(9)
    sums = np.empty(SUMS)
    y = x.copy()
    output = np.empty(8 * orders)
    turn = np.empty((4 * orders, orders))
    lane = vacuum_lanes(vacuum, number_weight)
    for passes in range(1, MAX_PASSES + 1):
        from_coordinates(y, trace, 3, moments)
        output[:] = 0.0
        matrix[:] = 0.0
        turn[:] = 0.0
        gap = HUGE
        unequal = 0.0
        for m in range(velocity.shape[0]):
            ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, 3, base)
            usable, closest, different = _ray(populations, m, base, lane, sums)
            if not usable:
                return False, passes, 0.0
            gap = min(gap, closest)
            unequal += abs(weight[0, m]) * different
            for order in range(orders):
                w = weight[order, m]
                k = 8 * order
                heavy_1, heavy_2 = sums[S_11 - S_EE], sums[S_22 - S_EE]
                output[k] += w * SQRT2_3 * (sums[0] - 0.5 * (heavy_1 + heavy_2))
                output[k + 1] += w * SQRT1_2 * (heavy_1 - heavy_2)
                # D_01 and D_02 are the conjugates of D_10 and D_20
                w *= SQRT2
                output[k + 2] += w * sums[S_1R - S_EE]
                output[k + 3] -= w * sums[S_1I - S_EE]
                output[k + 4] += w * sums[S_2R - S_EE]
                output[k + 5] -= w * sums[S_2I - S_EE]
                output[k + 6] += w * sums[S_12R - S_EE]
                output[k + 7] += w * sums[S_12I - S_EE]
                w = strength * weight[order, m]
                alpha, beta_d = sums[S_A - S_EE], sums[S_BD - S_EE]
                for other in range(orders):
                    f = w if other == 0 else -w * velocity[m, other - 1]
                    row, column = 4 * order, 4 * other
                    matrix[row, column] -= f * (alpha + beta_d)
                    matrix[row, column + 2] -= f * sums[S_BR - S_EE]
                    matrix[row, column + 3] += f * sums[S_BI - S_EE]
                    matrix[row + 2, column + 2] -= f * (alpha - beta_d)
                    for part in range(4):
                        turn[row + part, other] += f * sums[S_Z1R - S_EE + part]
        if unequal > EQUAL * scale:
            return False, passes, 0.0
        total = 0.0
        for k in range(8 * orders):
            total += (output[k] - y[k]) ** 2
        distance = sqrt(total)
        if not distance <= scale:
            return False, passes, 0.0
        if distance <= tolerance * scale:
            for k in range(8 * orders):
                x[k] = y[k]
            return True, passes, distance / scale
        fill_complex_blocks(matrix, orders)
        for order in range(orders):
            k = 8 * order
            vector[4 * order] = SQRT1_2 * (output[k + 2] - y[k + 2])
            vector[4 * order + 1] = -SQRT1_2 * (output[k + 3] - y[k + 3])
            vector[4 * order + 2] = SQRT1_2 * (output[k + 4] - y[k + 4])
            vector[4 * order + 3] = -SQRT1_2 * (output[k + 5] - y[k + 5])
        for row in range(4 * orders):
            for other in range(orders):
                vector[row] += turn[row, other] * (output[8 * other] - y[8 * other]) / SQRT2_3
        if not solve_dense(matrix, vector, 4 * orders):
            return False, passes, 0.0
        moved = 0.0
        for order in range(orders):
            k = 8 * order
            for part in (0, 1, 6, 7):
                step = output[k + part] - y[k + part]
                y[k + part] += step
                moved += step * step
            for part in range(4):
                step = SQRT2 * vector[4 * order + part]
                if part % 2 == 1:
                    step = -step
                y[k + 2 + part] += step
                moved += step * step
        # what Newton's step leaves: of second order in the change of H over the gap, and theta^2 of the change itself
        change = abs(strength) * sqrt(moved) / gap
        ahead = abs(strength) * scale / gap
        left = 4.0 * sqrt(moved) / scale * (change + DRESS_ANGLE**2 * (1.0 + ahead))
        if left <= 0.1 * tolerance:
            for k in range(8 * orders):
                x[k] = y[k]
            return True, passes, left
    return False, MAX_PASSES, 0.0
