"""Flavour-locked cells: the electron flavour is an eigenstate to round-off, so that D follows directly.

With b the coupling of nu_e to the heavy flavours and gap its distance from their levels, |U_ek|^2 <= (b/gap)^2 for
every other level k. Where b/gap <= LOCK_ANGLE for all rays, groups and both species, the diagonal of D is known to
LOCK_ANGLE^2, and D_ex solves the linear equations of first-order perturbation theory, with an error of third order.
Derivation and bounds: docs/alignment.md.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numba import njit

from .alignment_newton import CONVERGED, newton, solve_dense
from .alignment_residual import HUGE, SQRT1_2, SQRT2, SQRT2_3, from_coordinates
from .hermitian import LANES
from .mixing import ray_hamiltonian

LOCK_ANGLE = 1.0e-7
# With two flavours the second order is known as well, and what is left out is of fourth order.
LOCK_ANGLE_2 = 1.0e-4
# Relative accuracy of the gaps that D_ex (itself at most LOCK_ANGLE) is computed with.
GAP_ACCURACY = 1.0e-6
EQUAL = 1.0e-14
MAX_PASSES = 5
# Rows of the work array of two flavours: vacuum part, population differences, and sums over rays.
VZ, VX, VY, NU, BAR, Z0, Z1, T0, T1, S0, S1, S0_MU, S1_MU = range(13)
ROWS_2 = 13


@njit(cache=True, error_model="numpy")
def _ray_2(populations, m, z0, hx, hy, sign, w0, w1, mu, lane):
    """Add one ray to the sums in lane; sign is that of h_z for all groups and both species."""
    groups = populations.shape[2]
    a0, a1, t0, t1 = sign * w0, sign * w1, sign * w0 * mu, sign * w1 * mu
    for block in range(lane.shape[0]):
        start = block * LANES
        for i in range(min(LANES, groups - start)):
            lane[block, NU * LANES + i] = populations[m, 0, start + i, 1] - populations[m, 0, start + i, 0]
            lane[block, BAR * LANES + i] = populations[m, 1, start + i, 1] - populations[m, 1, start + i, 0]
        for i in range(LANES):
            vz, vx, vy = lane[block, VZ * LANES + i], lane[block, VX * LANES + i], lane[block, VY * LANES + i]
            plus, minus = z0 + vz, z0 - vz
            # one division for both species
            inverse = 1.0 / (plus * minus)
            over_plus, over_minus = minus * inverse, plus * inverse
            px, py, qx, qy = hx + vx, hy + vy, hx - vx, hy - vy
            # h_z/|h| to the second order of tan = |h_t/h_z|
            nu = lane[block, NU * LANES + i] * (1.0 - 0.5 * (px * px + py * py) * over_plus * over_plus)
            bar = lane[block, BAR * LANES + i] * (1.0 - 0.5 * (qx * qx + qy * qy) * over_minus * over_minus)
            z = nu - bar
            nu *= over_plus
            bar *= over_minus
            both, slope = nu + bar, nu - bar
            lane[block, Z0 * LANES + i] += a0 * z
            lane[block, Z1 * LANES + i] += a1 * z
            lane[block, T0 * LANES + i] += a0 * both
            lane[block, T1 * LANES + i] += a1 * both
            lane[block, S0 * LANES + i] += a0 * slope
            lane[block, S1 * LANES + i] += a1 * slope
            lane[block, S0_MU * LANES + i] += t0 * slope
            lane[block, S1_MU * LANES + i] += t1 * slope


@njit(cache=True, error_model="numpy")
def locked_2(
    x, scale, populations, weight_0, weight_1, direction_cosine, number_weight, vacuum, potential, beta, strength,
    shift, tolerance,
):  # fmt: skip
    """Two flavours: D of a flavour-locked cell into the coordinates x (6), which hold the guess.

    rho_z = s (n_1 - n_0)/2 (1 - |h_t|^2/2 h_z^2) and rho_t = rho_z h_t/h_z with s the sign of h_z; the guess gives h_z
    and the second-order factor, and D_t is then linear in itself.
    Returns (locked or not, passes, bound on the relative residual); x is unchanged if the cell is not locked.
    """
    groups = number_weight.size
    moments = np.empty((2, 4))
    trace = np.zeros(2)
    base = np.empty(9)
    y = x.copy()
    lane = np.zeros(((groups + LANES - 1) // LANES, ROWS_2 * LANES))
    off = 0.0
    farthest = 0.0
    for g in range(groups):
        block, i = g // LANES, g % LANES
        lane[block, VZ * LANES + i] = 0.5 * (vacuum[g, 0] - vacuum[g, 1])
        lane[block, VX * LANES + i] = vacuum[g, 2]
        lane[block, VY * LANES + i] = vacuum[g, 3]
        farthest = max(farthest, abs(lane[block, VZ * LANES + i]))
        off = max(off, abs(vacuum[g, 2]) + abs(vacuum[g, 3]))
    for passes in range(1, MAX_PASSES + 1):
        from_coordinates(y, trace, 2, moments)
        gap = HUGE
        coupling = 0.0
        guessed = 0.0
        if passes > 1:
            lane[:, Z0 * LANES :] = 0.0
        for m in range(direction_cosine.size):
            mu = direction_cosine[m]
            ray_hamiltonian(moments, mu, potential, beta, strength, shift, 2, base)
            z = 0.5 * (base[0] - base[1])
            # no group and neither species is closer; h_z has the same sign in all of them
            closest = abs(z) - farthest
            guess = off + abs(base[2]) + abs(base[3])
            if not (closest > 0.0 and guess <= 2.0 * LOCK_ANGLE_2 * closest):
                return False, passes, 0.0
            gap = min(gap, closest)
            guessed = max(guessed, guess / closest)
            coupling = max(coupling, abs(shift[0, 2] - mu * shift[1, 2]) + abs(shift[0, 3] - mu * shift[1, 3]))
            _ray_2(populations, m, z, base[2], base[3], 1.0 if z > 0.0 else -1.0, weight_0[m], weight_1[m], mu, lane)
        z_sum_0 = z_sum_1 = x_sum_0 = x_sum_1 = y_sum_0 = y_sum_1 = s_0 = s_1 = s_0_mu = s_1_mu = 0.0
        for g in range(groups):
            block, i = g // LANES, g % LANES
            half = 0.5 * number_weight[g]
            t_0, t_1 = half * lane[block, T0 * LANES + i], half * lane[block, T1 * LANES + i]
            z_sum_0 += half * lane[block, Z0 * LANES + i]
            z_sum_1 += half * lane[block, Z1 * LANES + i]
            x_sum_0 += t_0 * vacuum[g, 2]
            x_sum_1 += t_1 * vacuum[g, 2]
            y_sum_0 += t_0 * vacuum[g, 3]
            y_sum_1 += t_1 * vacuum[g, 3]
            s_0 += half * lane[block, S0 * LANES + i]
            s_1 += half * lane[block, S1 * LANES + i]
            s_0_mu += half * lane[block, S0_MU * LANES + i]
            s_1_mu += half * lane[block, S1_MU * LANES + i]
        x_sum_0 += s_0 * shift[0, 2] - s_0_mu * shift[1, 2]
        x_sum_1 += s_1 * shift[0, 2] - s_1_mu * shift[1, 2]
        y_sum_0 += s_0 * shift[0, 3] - s_0_mu * shift[1, 3]
        y_sum_1 += s_1 * shift[0, 3] - s_1_mu * shift[1, 3]
        # (1 - strength s_0) D_0 + strength s_0_mu D_1 = sum_0, -strength s_1 D_0 + (1 + strength s_1_mu) D_1 = sum_1
        a00, a01 = 1.0 - strength * s_0, -strength * s_0_mu
        a10, a11 = strength * s_1, 1.0 + strength * s_1_mu
        determinant = a00 * a11 - a01 * a10
        if not abs(determinant) > 1.0e-6 * (abs(a00 * a11) + abs(a01 * a10)):
            return False, passes, 0.0
        x0 = (a11 * x_sum_0 + a01 * x_sum_1) / determinant
        x1 = (a00 * x_sum_1 + a10 * x_sum_0) / determinant
        y0 = (a11 * y_sum_0 + a01 * y_sum_1) / determinant
        y1 = (a00 * y_sum_1 + a10 * y_sum_0) / determinant
        change = 2.0 * abs(strength) * (abs(SQRT1_2 * y[0] - z_sum_0) + abs(SQRT1_2 * y[3] - z_sum_1))
        turned = abs(SQRT1_2 * y[1] - x0) + abs(SQRT1_2 * y[4] - x1)
        turned = abs(strength) * (turned + abs(SQRT1_2 * y[2] - y0) + abs(SQRT1_2 * y[5] - y1))
        angle = (coupling + off + abs(strength) * (abs(x0) + abs(x1) + abs(y0) + abs(y1))) / gap
        y[0] = SQRT2 * z_sum_0
        y[1] = SQRT2 * x0
        y[2] = SQRT2 * y0
        y[3] = SQRT2 * z_sum_1
        y[4] = SQRT2 * x1
        y[5] = SQRT2 * y1
        if not angle <= 4.0 * LOCK_ANGLE_2:
            return False, passes, 0.0
        angle = max(angle, guessed)
        error = 1.5 * angle * (change + turned) / gap + angle**4
        if change <= GAP_ACCURACY * gap and error <= 0.3 * tolerance:
            for k in range(6):
                x[k] = y[k]
            return True, passes, error
    return False, MAX_PASSES, 0.0


@njit(cache=True, error_model="numpy")
def electron_levels(x, direction_cosine, vacuum, potential, beta, strength, shift):
    """Level (0, 1 or 2) of nu_e at each (direction, species, group) of a locked cell with coordinates x (16)."""
    moments = np.empty((2, 9))
    base = np.empty(9)
    from_coordinates(x, np.zeros(2), 3, moments)
    level = np.empty((direction_cosine.size, 2, vacuum.shape[0]), np.int64)
    for m in range(direction_cosine.size):
        ray_hamiltonian(moments, direction_cosine[m], potential, beta, strength, shift, 3, base)
        for species in range(2):
            sign = 1.0 - 2.0 * species
            for g in range(vacuum.shape[0]):
                h1 = base[1] + sign * vacuum[g, 1]
                h2 = base[2] + sign * vacuum[g, 2]
                xr = base[7] + sign * vacuum[g, 7]
                xi = base[8] + sign * vacuum[g, 8]
                delta = base[0] + sign * vacuum[g, 0] - 0.5 * (h1 + h2)
                xd = 0.5 * (h1 - h2)
                radius = sqrt(xd * xd + xr * xr + xi * xi)
                if abs(delta) < radius:
                    level[m, species, g] = 1
                else:
                    level[m, species, g] = 2 if delta > 0.0 else 0
    return level


@njit(cache=True, error_model="numpy")
def heavy_block(
    x, scale, e_level, populations, weight_0, weight_1, direction_cosine, number_weight, vacuum, strength, shift,
    tolerance,
):  # fmt: skip
    """The two heavy flavours of a locked cell as a two-flavour problem of their own; True if it was solved.

    e_level (direction, species, group) is the level that is nu_e; the others are the heavy ones, in their order.
    Overwrites the heavy components of the three-flavour coordinates x (16).
    """
    directions = direction_cosine.size
    groups = number_weight.size
    heavy = np.empty((directions, 2, groups, 2))
    for m in range(directions):
        for species in range(2):
            for g in range(groups):
                e = e_level[m, species, g]
                heavy[m, species, g, 0] = populations[m, species, g, 1 if e == 0 else 0]
                heavy[m, species, g, 1] = populations[m, species, g, 1 if e == 2 else 2]
    block = np.empty((groups, 4))
    for g in range(groups):
        block[g, 0] = vacuum[g, 1]
        block[g, 1] = vacuum[g, 2]
        block[g, 2] = vacuum[g, 7]
        block[g, 3] = vacuum[g, 8]
    block_shift = np.empty((2, 4))
    y = np.empty(6)
    for order in range(2):
        block_shift[order, 0] = shift[order, 1]
        block_shift[order, 1] = shift[order, 2]
        block_shift[order, 2] = shift[order, 7]
        block_shift[order, 3] = shift[order, 8]
        y[3 * order] = x[8 * order + 1]
        y[3 * order + 1] = x[8 * order + 6]
        y[3 * order + 2] = x[8 * order + 7]
    code, _, _ = newton(
        y, scale, heavy, weight_0, weight_1, direction_cosine, number_weight, block, 0.0, 0.0, strength, block_shift, 2,
        tolerance, 20, np.empty(0), np.empty(6), np.empty((6, 6)), np.empty((6, 6)), np.empty(6), np.empty(6),
        np.empty(6), np.empty(6), np.empty((6, 6)),
    )  # fmt: skip
    for order in range(2):
        x[8 * order + 1] = y[3 * order]
        x[8 * order + 6] = y[3 * order + 1]
        x[8 * order + 7] = y[3 * order + 2]
    return code == CONVERGED


@njit(cache=True, error_model="numpy")
def locked_3(
    x, scale, populations, weight_0, weight_1, direction_cosine, number_weight, vacuum, potential, beta, strength,
    shift, tolerance, sums, matrix, vector,
):  # fmt: skip
    """Three flavours: D of a flavour-locked cell into the coordinates x (16), which hold the guess.

    With X the traceless heavy block, r its norm, delta = H_ee minus its mean, n the mean heavy population and dn the
    difference of the two: rho_xe = (alpha + beta X) H_xe, alpha = ((n_e - n) delta - dn r/2)/(delta^2 - r^2),
    beta = ((n_e - n) - dn delta/2r)/(delta^2 - r^2). sums (28), matrix (8, 8) and vector (8) are work arrays.
    Returns as `locked_2`.
    """
    moments = np.empty((2, 9))
    trace = np.zeros(2)
    base = np.empty(9)
    y = x.copy()
    solved_block = False
    for passes in range(1, MAX_PASSES + 1):
        from_coordinates(y, trace, 3, moments)
        for k in range(28):
            sums[k] = 0.0
        gap = HUGE
        coupling = 0.0
        smallest_radius = HUGE
        unequal = 0.0
        for m in range(direction_cosine.size):
            mu = direction_cosine[m]
            ray_hamiltonian(moments, mu, potential, beta, strength, shift, 3, base)
            guess = abs(base[3]) + abs(base[4]) + abs(base[5]) + abs(base[6])
            diagonal = 0.0
            heavy_d = 0.0
            heavy_r = 0.0
            heavy_i = 0.0
            alpha_sum = 0.0
            beta_d = 0.0
            beta_r = 0.0
            beta_i = 0.0
            c1r = 0.0
            c1i = 0.0
            c2r = 0.0
            c2i = 0.0
            for species in range(2):
                sign = 1.0 - 2.0 * species
                for g in range(number_weight.size):
                    h1 = base[1] + sign * vacuum[g, 1]
                    h2 = base[2] + sign * vacuum[g, 2]
                    xr = base[7] + sign * vacuum[g, 7]
                    xi = base[8] + sign * vacuum[g, 8]
                    delta = base[0] + sign * vacuum[g, 0] - 0.5 * (h1 + h2)
                    xd = 0.5 * (h1 - h2)
                    off = abs(vacuum[g, 3]) + abs(vacuum[g, 4]) + abs(vacuum[g, 5]) + abs(vacuum[g, 6])
                    radius = abs(xd) + abs(xr) + abs(xi)
                    square = xd * xd + xr * xr + xi * xi
                    # The sum of moduli bounds the radius: no square root where nu_e is far from the heavy levels.
                    exact = abs(delta) <= 2.0 * radius
                    if exact:
                        radius = sqrt(square)
                    closest = abs(abs(delta) - radius)
                    if not (closest > 0.0 and off + guess <= LOCK_ANGLE * closest):
                        return False, passes, 0.0
                    gap = min(gap, closest)
                    coupling = max(coupling, off)
                    if abs(delta) < radius:
                        e = populations[m, species, g, 1]
                        low = populations[m, species, g, 0]
                        high = populations[m, species, g, 2]
                    elif delta > 0.0:
                        e = populations[m, species, g, 2]
                        low = populations[m, species, g, 0]
                        high = populations[m, species, g, 1]
                    else:
                        e = populations[m, species, g, 0]
                        low = populations[m, species, g, 1]
                        high = populations[m, species, g, 2]
                    w = sign * number_weight[g]
                    d = w * (e - 0.5 * (low + high))
                    diagonal += d
                    inverse = 1.0 / (delta * delta - square)
                    alpha = d * delta * inverse
                    b = d * inverse
                    if abs(high - low) > EQUAL * (abs(high) + abs(low)):
                        if not exact:
                            radius = sqrt(square)
                        split = 0.5 * w * (high - low)
                        unequal += abs(split * weight_0[m])
                        smallest_radius = min(smallest_radius, radius)
                        if radius > 0.0:
                            alpha -= split * radius * inverse
                            b -= split * delta / radius * inverse
                            heavy_d += split * xd / radius
                            heavy_r += split * xr / radius
                            heavy_i += split * xi / radius
                    alpha_sum += alpha
                    bd = b * xd
                    br = b * xr
                    bi = b * xi
                    beta_d += bd
                    beta_r += br
                    beta_i += bi
                    # H_xe = (conj H_01, conj H_02); X = [[xd, xr + i xi], [xr - i xi, -xd]]
                    v1r = sign * vacuum[g, 3]
                    v1i = -sign * vacuum[g, 4]
                    v2r = sign * vacuum[g, 5]
                    v2i = -sign * vacuum[g, 6]
                    c1r += (alpha + bd) * v1r + br * v2r - bi * v2i
                    c1i += (alpha + bd) * v1i + br * v2i + bi * v2r
                    c2r += (alpha - bd) * v2r + br * v1r + bi * v1i
                    c2i += (alpha - bd) * v2i + br * v1i - bi * v1r
            v1r = shift[0, 3] - mu * shift[1, 3]
            v1i = mu * shift[1, 4] - shift[0, 4]
            v2r = shift[0, 5] - mu * shift[1, 5]
            v2i = mu * shift[1, 6] - shift[0, 6]
            coupling = max(coupling, abs(v1r) + abs(v1i) + abs(v2r) + abs(v2i))
            c1r += (alpha_sum + beta_d) * v1r + beta_r * v2r - beta_i * v2i
            c1i += (alpha_sum + beta_d) * v1i + beta_r * v2i + beta_i * v2r
            c2r += (alpha_sum - beta_d) * v2r + beta_r * v1r + beta_i * v1i
            c2i += (alpha_sum - beta_d) * v2i + beta_r * v1i - beta_i * v1r
            for order in range(2):
                w = weight_0[m] if order == 0 else weight_1[m]
                k = 14 * order
                sums[k] += w * diagonal
                sums[k + 1] += w * heavy_d
                sums[k + 2] += w * heavy_r
                sums[k + 3] += w * heavy_i
                sums[k + 4] += w * c1r
                sums[k + 5] += w * c1i
                sums[k + 6] += w * c2r
                sums[k + 7] += w * c2i
                w *= strength
                for other in range(2):
                    f = w if other == 0 else -w * mu
                    row = 4 * order
                    column = 4 * other
                    if m == 0:
                        for i in range(4):
                            for j in range(4):
                                matrix[row + i, column + j] = 0.0
                    matrix[row, column] -= f * (alpha_sum + beta_d)
                    matrix[row, column + 2] -= f * beta_r
                    matrix[row, column + 3] += f * beta_i
                    matrix[row + 2, column + 2] -= f * (alpha_sum - beta_d)
        # The other rows follow from the first and third of each block (complex numbers as 2 x 2 blocks).
        for row in range(0, 8, 4):
            for column in range(0, 8, 4):
                a = matrix[row, column]
                d = matrix[row + 2, column + 2]
                r = matrix[row, column + 2]
                i = matrix[row, column + 3]
                matrix[row + 1, column + 1] = a
                matrix[row + 3, column + 3] = d
                matrix[row + 1, column + 2] = -i
                matrix[row + 1, column + 3] = r
                matrix[row + 2, column] = r
                matrix[row + 2, column + 1] = -i
                matrix[row + 3, column] = i
                matrix[row + 3, column + 1] = r
        for k in range(8):
            matrix[k, k] += 1.0
        for order in range(2):
            for k in range(4):
                vector[4 * order + k] = sums[14 * order + 4 + k]
        if not solve_dense(matrix, vector, 8):
            return False, passes, 0.0
        if unequal > EQUAL * scale:
            mismatch = 0.0
            for order in range(2):
                mismatch += abs(SQRT2 * sums[14 * order + 1] - y[8 * order + 1])
                mismatch += abs(SQRT2 * sums[14 * order + 2] - y[8 * order + 6])
                mismatch += abs(SQRT2 * sums[14 * order + 3] - y[8 * order + 7])
            if mismatch > 0.3 * tolerance * scale:
                if solved_block:
                    return False, passes, 0.0
                e_level = electron_levels(y, direction_cosine, vacuum, potential, beta, strength, shift)
                if not heavy_block(
                    y, scale, e_level, populations, weight_0, weight_1, direction_cosine, number_weight, vacuum,
                    strength, shift, 0.1 * tolerance,
                ):  # fmt: skip
                    return False, passes, 0.0
                solved_block = True
                continue
        change = 0.0
        for order in range(2):
            k = 14 * order
            o = 8 * order
            change += abs(SQRT2_3 * sums[k] - y[o]) + abs(SQRT2 * sums[k + 1] - y[o + 1])
            change += abs(SQRT2 * sums[k + 2] - y[o + 6]) + abs(SQRT2 * sums[k + 3] - y[o + 7])
            y[o] = SQRT2_3 * sums[k]
            y[o + 1] = SQRT2 * sums[k + 1]
            y[o + 6] = SQRT2 * sums[k + 2]
            y[o + 7] = SQRT2 * sums[k + 3]
            total = 0.0
            for i in range(4):
                value = vector[4 * order + i]
                total += abs(value)
                # D_01 and D_02 are the conjugates of D_10 and D_20.
                y[o + 2 + i] = SQRT2 * value if i % 2 == 0 else -SQRT2 * value
            coupling += abs(strength) * total
        change *= 2.0 * abs(strength)
        if change <= GAP_ACCURACY * gap:
            angle = 2.0 * coupling / gap
            if not angle <= 4.0 * LOCK_ANGLE:
                return False, passes, 0.0
            error = angle * (angle + change / gap)
            if unequal > EQUAL * scale:
                # The heavy levels feel nu_e in second order: coupling^2/gap against their own splitting 2 r.
                error += unequal / scale * angle * coupling / (2.0 * smallest_radius)
                if not error <= tolerance:
                    return False, passes, 0.0
            for k in range(16):
                x[k] = y[k]
            return True, passes, error
    return False, MAX_PASSES, 0.0
