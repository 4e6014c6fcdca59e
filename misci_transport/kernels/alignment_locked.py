"""Flavour-locked cells: the electron flavour is an eigenstate to round-off, so that D follows directly.

With b the coupling of nu_e to the heavy flavours and gap its distance from their levels, |U_ek|^2 <= (b/gap)^2 for
every other level k. Where b/gap <= LOCK_ANGLE for all rays, groups and both species, the diagonal of D is known to
LOCK_ANGLE^2, and D_ex solves the linear equations of first-order perturbation theory, with an error of third order.
Derivation and bounds: docs/alignment.md.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel
from .alignment_newton import CONVERGED, newton
from .alignment_residual import HUGE, SQRT1_2, SQRT2, SQRT2_3, from_coordinates
from .hermitian import LANES
from .mixing import ray_hamiltonian
from .small_solve import solve_dense, solve_pairs

LOCK_ANGLE = 1.0e-7
# With two flavours the second order is known as well, and what is left out is of fourth order.
LOCK_ANGLE_2 = 1.0e-4
# Relative accuracy of the gaps that D_ex (itself at most LOCK_ANGLE) is computed with.
GAP_ACCURACY = 1.0e-6
EQUAL = 1.0e-14
MAX_PASSES = 5
# Rows of the work array of two flavours: vacuum part, number weights, population differences, and sums over rays.
VZ, VX, VY, HALF, NU, BAR, Z, T, S = range(9)
ROWS_2 = 9


@kernel
def _ray_2(populations, m, z0, hx, hy, sign, lane, sums):
    """Sums of one ray over groups and species into sums: z, t v_x, t v_y, s of `locked_2`; sign is that of h_z."""
    groups = populations.shape[2]
    last = lane.shape[0] - 1
    for row in (Z, T, S):
        for i in range(LANES):
            lane[last, row * LANES + i] = 0.0
    sums[1] = 0.0
    sums[2] = 0.0
    for block in range(last):
        start = block * LANES
        for i in range(min(LANES, groups - start)):
            lane[block, NU * LANES + i] = populations[m, 0, start + i, 1] - populations[m, 0, start + i, 0]
            lane[block, BAR * LANES + i] = populations[m, 1, start + i, 1] - populations[m, 1, start + i, 0]
        for i in range(LANES):
            vz, vx, vy = lane[block, VZ * LANES + i], lane[block, VX * LANES + i], lane[block, VY * LANES + i]
            half = lane[block, HALF * LANES + i]
            plus, minus = z0 + vz, z0 - vz
            # one division for both species
            inverse = 1.0 / (plus * minus)
            over_plus, over_minus = minus * inverse, plus * inverse
            px, py, qx, qy = hx + vx, hy + vy, hx - vx, hy - vy
            # h_z/|h| to the second order of tan = |h_t/h_z|
            nu = lane[block, NU * LANES + i] * half * (1.0 - 0.5 * (px * px + py * py) * over_plus * over_plus)
            bar = lane[block, BAR * LANES + i] * half * (1.0 - 0.5 * (qx * qx + qy * qy) * over_minus * over_minus)
            lane[last, Z * LANES + i] += nu - bar
            nu *= over_plus
            bar *= over_minus
            lane[last, S * LANES + i] += nu - bar
            lane[last, T * LANES + i] = nu + bar
        x = y = 0.0
        for i in range(LANES):
            both = lane[last, T * LANES + i]
            x += both * lane[block, VX * LANES + i]
            y += both * lane[block, VY * LANES + i]
        sums[1] += sign * x
        sums[2] += sign * y
    z = s = 0.0
    for i in range(LANES):
        z += lane[last, Z * LANES + i]
        s += lane[last, S * LANES + i]
    sums[0] = sign * z
    sums[3] = sign * s


@kernel
def locked_2(
    x, scale, populations, weight, velocity, number_weight, vacuum, potential, beta, strength, shift, tolerance,
):  # fmt: skip
    """Two flavours: D of a flavour-locked cell into the coordinates x (3 orders), which hold the guess.

    rho_z = s (n_1 - n_0)/2 (1 - |h_t|^2/2 h_z^2) and rho_t = rho_z h_t/h_z with s the sign of h_z; the guess gives h_z
    and the second-order factor, and D_t is then linear in itself.
    Returns (locked or not, passes, bound on the relative residual); x is unchanged if the cell is not locked.
    """
    groups = number_weight.size
    orders = weight.shape[0]
    moments = np.empty((orders, 4))
    trace = np.zeros(orders)
    base = np.empty(9)
    y = x.copy()
    sums = np.empty(4)
    along = np.empty(orders)
    across = np.empty((orders, 2))
    matrix = np.empty((orders, orders))
    blocks = (groups + LANES - 1) // LANES
    # one row a block of groups, the last for sums
    lane = np.zeros((blocks + 1, ROWS_2 * LANES))
    off = 0.0
    farthest = 0.0
    for g in range(groups):
        block, i = g // LANES, g % LANES
        lane[block, VZ * LANES + i] = 0.5 * (vacuum[g, 0] - vacuum[g, 1])
        lane[block, VX * LANES + i] = vacuum[g, 2]
        lane[block, VY * LANES + i] = vacuum[g, 3]
        lane[block, HALF * LANES + i] = 0.5 * number_weight[g]
        farthest = max(farthest, abs(lane[block, VZ * LANES + i]))
        off = max(off, abs(vacuum[g, 2]) + abs(vacuum[g, 3]))
    for passes in range(1, MAX_PASSES + 1):
        from_coordinates(y, trace, 2, moments)
        gap = HUGE
        coupling = 0.0
        guessed = 0.0
        along[:] = 0.0
        across[:] = 0.0
        matrix[:] = 0.0
        for m in range(velocity.shape[0]):
            ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, 2, base)
            z = 0.5 * (base[0] - base[1])
            # no group and neither species is closer; h_z has the same sign in all of them
            closest = abs(z) - farthest
            guess = off + abs(base[2]) + abs(base[3])
            if not (closest > 0.0 and guess <= 2.0 * LOCK_ANGLE_2 * closest):
                return False, passes, 0.0
            gap = min(gap, closest)
            guessed = max(guessed, guess / closest)
            _ray_2(populations, m, z, base[2], base[3], 1.0 if z > 0.0 else -1.0, lane, sums)
            re, im = shift[0, 2], shift[0, 3]
            for axis in range(orders - 1):
                re -= velocity[m, axis] * shift[1 + axis, 2]
                im -= velocity[m, axis] * shift[1 + axis, 3]
            coupling = max(coupling, abs(re) + abs(im))
            re = sums[1] + sums[3] * re
            im = sums[2] + sums[3] * im
            for order in range(orders):
                w = weight[order, m]
                along[order] += w * sums[0]
                across[order, 0] += w * re
                across[order, 1] += w * im
                w *= sums[3]
                matrix[order, 0] += w
                for axis in range(orders - 1):
                    matrix[order, 1 + axis] -= w * velocity[m, axis]
        # D_t = across + strength matrix D_t, with the signs of (1, -v) in the columns of the matrix
        for order in range(orders):
            for k in range(orders):
                matrix[order, k] *= -strength
            matrix[order, order] += 1.0
        if not solve_pairs(matrix, across, orders):
            return False, passes, 0.0
        change = 0.0
        turned = 0.0
        transverse = 0.0
        for order in range(orders):
            o = 3 * order
            change += abs(SQRT1_2 * y[o] - along[order])
            turned += abs(SQRT1_2 * y[o + 1] - across[order, 0]) + abs(SQRT1_2 * y[o + 2] - across[order, 1])
            transverse += abs(across[order, 0]) + abs(across[order, 1])
            y[o] = SQRT2 * along[order]
            y[o + 1] = SQRT2 * across[order, 0]
            y[o + 2] = SQRT2 * across[order, 1]
        change *= 2.0 * abs(strength)
        turned *= abs(strength)
        angle = (coupling + off + abs(strength) * transverse) / gap
        if not angle <= 4.0 * LOCK_ANGLE_2:
            return False, passes, 0.0
        angle = max(angle, guessed)
        error = 1.5 * angle * (change + turned) / gap + angle**4
        if change <= GAP_ACCURACY * gap and error <= 0.3 * tolerance:
            for k in range(3 * orders):
                x[k] = y[k]
            return True, passes, error
    return False, MAX_PASSES, 0.0


@kernel
def electron_levels(x, velocity, vacuum, potential, beta, strength, shift):
    """Level (0, 1 or 2) of nu_e at each (direction, species, group) of a locked cell with coordinates x (8 orders)."""
    orders = 1 + velocity.shape[1]
    moments = np.empty((orders, 9))
    base = np.empty(9)
    from_coordinates(x, np.zeros(orders), 3, moments)
    level = np.empty((velocity.shape[0], 2, vacuum.shape[0]), np.int64)
    for m in range(velocity.shape[0]):
        ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, 3, base)
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


@kernel
def heavy_block(
    x, scale, e_level, populations, weight, velocity, number_weight, vacuum, strength, shift, tolerance, n_flavors,
    max_iterations,
):  # fmt: skip
    """The two heavy flavours of a locked cell as a two-flavour problem of their own; True if it was solved.

    e_level (direction, species, group) is the level that is nu_e; the others are the heavy ones, in their order.
    Overwrites the heavy components of the three-flavour coordinates x (8 orders). n_flavors is 2, handed over so that
    the compiler takes Newton's code as it is elsewhere instead of making another one for this constant.
    """
    directions, orders = velocity.shape[0], weight.shape[0]
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
    n = 3 * orders
    block_shift = np.empty((orders, 4))
    y = np.empty(n)
    for order in range(orders):
        block_shift[order, 0] = shift[order, 1]
        block_shift[order, 1] = shift[order, 2]
        block_shift[order, 2] = shift[order, 7]
        block_shift[order, 3] = shift[order, 8]
        y[3 * order] = x[8 * order + 1]
        y[3 * order + 1] = x[8 * order + 6]
        y[3 * order + 2] = x[8 * order + 7]
    code, _, _ = newton(
        y, scale, heavy, weight, velocity, number_weight, block, 0.0, np.zeros(orders - 1), strength, block_shift,
        n_flavors, tolerance, max_iterations, np.empty(0), np.empty(n), np.empty((n, n)), np.empty((n, n)),
        np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty((n, n)),
    )  # fmt: skip
    for order in range(orders):
        x[8 * order + 1] = y[3 * order]
        x[8 * order + 6] = y[3 * order + 1]
        x[8 * order + 7] = y[3 * order + 2]
    return code == CONVERGED


@kernel
def fill_complex_blocks(matrix, orders):
    """Complete I + matrix (4 orders, 4 orders) of complex numbers as 2 x 2 blocks, from the rows 0 and 2 of each block.

    Given are the entries (0, 0), (2, 2), (0, 2) and (0, 3) of every 4 x 4 block of response, which is Hermitian.
    """
    for row in range(0, 4 * orders, 4):
        for column in range(0, 4 * orders, 4):
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
    for k in range(4 * orders):
        matrix[k, k] += 1.0


@kernel
def locked_3(
    x, scale, populations, weight, velocity, number_weight, vacuum, potential, beta, strength, shift, tolerance, sums,
    matrix, vector,
):  # fmt: skip
    """Three flavours: D of a flavour-locked cell into the coordinates x (8 orders), which hold the guess.

    With X the traceless heavy block, r its norm, delta = H_ee minus its mean, n the mean heavy population and dn the
    difference of the two: rho_xe = (alpha + beta X) H_xe, alpha = ((n_e - n) delta - dn r/2)/(delta^2 - r^2),
    beta = ((n_e - n) - dn delta/2r)/(delta^2 - r^2). Work arrays: sums (14 orders), matrix (4 orders, 4 orders),
    vector (4 orders).
    Returns as `locked_2`.
    """
    orders = weight.shape[0]
    moments = np.empty((orders, 9))
    trace = np.zeros(orders)
    base = np.empty(9)
    y = x.copy()
    solved_block = False
    for passes in range(1, MAX_PASSES + 1):
        from_coordinates(y, trace, 3, moments)
        sums[:] = 0.0
        matrix[:] = 0.0
        gap = HUGE
        coupling = 0.0
        smallest_radius = HUGE
        unequal = 0.0
        for m in range(velocity.shape[0]):
            ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, 3, base)
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
                        unequal += abs(split * weight[0, m])
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
            v1r, v1i, v2r, v2i = shift[0, 3], -shift[0, 4], shift[0, 5], -shift[0, 6]
            for axis in range(orders - 1):
                v = velocity[m, axis]
                v1r -= v * shift[1 + axis, 3]
                v1i += v * shift[1 + axis, 4]
                v2r -= v * shift[1 + axis, 5]
                v2i += v * shift[1 + axis, 6]
            coupling = max(coupling, abs(v1r) + abs(v1i) + abs(v2r) + abs(v2i))
            c1r += (alpha_sum + beta_d) * v1r + beta_r * v2r - beta_i * v2i
            c1i += (alpha_sum + beta_d) * v1i + beta_r * v2i + beta_i * v2r
            c2r += (alpha_sum - beta_d) * v2r + beta_r * v1r + beta_i * v1i
            c2i += (alpha_sum - beta_d) * v2i + beta_r * v1i - beta_i * v1r
            for order in range(orders):
                w = weight[order, m]
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
                for other in range(orders):
                    f = w if other == 0 else -w * velocity[m, other - 1]
                    row = 4 * order
                    column = 4 * other
                    matrix[row, column] -= f * (alpha_sum + beta_d)
                    matrix[row, column + 2] -= f * beta_r
                    matrix[row, column + 3] += f * beta_i
                    matrix[row + 2, column + 2] -= f * (alpha_sum - beta_d)
        fill_complex_blocks(matrix, orders)
        for order in range(orders):
            for k in range(4):
                vector[4 * order + k] = sums[14 * order + 4 + k]
        if not solve_dense(matrix, vector, 4 * orders):
            return False, passes, 0.0
        if unequal > EQUAL * scale:
            mismatch = 0.0
            for order in range(orders):
                mismatch += abs(SQRT2 * sums[14 * order + 1] - y[8 * order + 1])
                mismatch += abs(SQRT2 * sums[14 * order + 2] - y[8 * order + 6])
                mismatch += abs(SQRT2 * sums[14 * order + 3] - y[8 * order + 7])
            if mismatch > 0.3 * tolerance * scale:
                if solved_block:
                    return False, passes, 0.0
                e_level = electron_levels(y, velocity, vacuum, potential, beta, strength, shift)
                if not heavy_block(
                    y, scale, e_level, populations, weight, velocity, number_weight, vacuum, strength, shift,
                    0.1 * tolerance, np.int64(2), np.int64(20),
                ):  # fmt: skip
                    return False, passes, 0.0
                solved_block = True
                continue
        change = 0.0
        for order in range(orders):
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
            for k in range(8 * orders):
                x[k] = y[k]
            return True, passes, error
    return False, MAX_PASSES, 0.0
