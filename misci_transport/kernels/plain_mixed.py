"""One turn of the implicit collisions of a cell with mixing, without energy coupling and angular redistribution.

    n_k (1 + h (s_0 + <k|J + A|k>)) = n*_k + h <k| s_0 Phi_0 + 3 s_1 v . Phi_1 + J |k>

with J and A the emissivity and absorption (diagonal in flavour), Phi_l the moments of the density matrix.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .collisions import DIAGONAL, mixed_moments


@kernel
def plain_mixed_update(
    start, weight, velocity, h, emissivity, absorption, scattering_0, scattering_1, projector, moments, f
):  # fmt: skip
    """f[direction, species, group, level] for given moments[species, order, group, c]; then their new values."""
    directions, species, groups, levels = f.shape
    axes, components = velocity.shape[1], projector.shape[4]
    source = np.empty(components)
    turnover = np.empty(DIAGONAL)
    for s in range(species):
        for g in range(groups):
            s0, s1 = h * scattering_0[s, g], h * scattering_1[s, g]
            for c in range(DIAGONAL):
                turnover[c] = h * (emissivity[s, c, g] + absorption[s, c, g])
            for m in range(directions):
                for c in range(components):
                    source[c] = s0 * moments[s, 0, g, c]
                for d in range(axes):
                    tilt = 3.0 * velocity[m, d] * s1
                    for c in range(components):
                        source[c] += tilt * moments[s, 1 + d, g, c]
                for c in range(DIAGONAL):
                    source[c] += h * emissivity[s, c, g]
                for k in range(levels):
                    q = projector[m, s, g, k]
                    turn, value = 1.0 + s0, start[m, s, g, k]
                    for c in range(DIAGONAL):
                        turn += q[c] * turnover[c]
                    for c in range(components):
                        value += q[c] * source[c]
                    f[m, s, g, k] = value / turn
    mixed_moments(f, weight, projector, moments)


@kernel
def plain_mixed_update_2(
    start, weight, velocity, h, emissivity, absorption, scattering_0, scattering_1, projector, moments, f
):  # fmt: skip
    """plain_mixed_update with one axis, for two mixing levels with (ee, xx, Re ex, Im ex) and an unmixed one.

    Written out, because loops over so few components cost more than what is done in them.
    """
    directions, species, groups, _ = f.shape
    for s in range(species):
        for g in range(groups):
            s0, s1 = h * scattering_0[s, g], 3.0 * h * scattering_1[s, g]
            e0, e1, e2 = h * emissivity[s, 0, g], h * emissivity[s, 1, g], h * emissivity[s, 2, g]
            turn_0, turn_1 = e0 + h * absorption[s, 0, g], e1 + h * absorption[s, 1, g]
            inverse_2 = 1.0 / (1.0 + s0 + e2 + h * absorption[s, 2, g])
            mean_0, mean_1 = s0 * moments[s, 0, g, 0] + e0, s0 * moments[s, 0, g, 1] + e1
            mean_2, mean_3, mean_4 = s0 * moments[s, 0, g, 2] + e2, s0 * moments[s, 0, g, 3], s0 * moments[s, 0, g, 4]
            flux_0, flux_1, flux_2 = s1 * moments[s, 1, g, 0], s1 * moments[s, 1, g, 1], s1 * moments[s, 1, g, 2]
            flux_3, flux_4 = s1 * moments[s, 1, g, 3], s1 * moments[s, 1, g, 4]
            j0 = j1 = j2 = j3 = j4 = h0 = h1 = h2 = h3 = h4 = 0.0
            for m in range(directions):
                mu, w0, w1 = velocity[m, 0], 0.5 * weight[0, m], 0.5 * weight[1, m]
                a0, a1 = projector[m, s, g, 0, 0], projector[m, s, g, 0, 1]
                a3, a4 = projector[m, s, g, 0, 3], projector[m, s, g, 0, 4]
                b0, b1 = projector[m, s, g, 1, 0], projector[m, s, g, 1, 1]
                b3, b4 = projector[m, s, g, 1, 3], projector[m, s, g, 1, 4]
                q0, q1 = mean_0 + mu * flux_0, mean_1 + mu * flux_1
                q3, q4 = mean_3 + mu * flux_3, mean_4 + mu * flux_4
                turn_a, turn_b = 1.0 + s0 + a0 * turn_0 + a1 * turn_1, 1.0 + s0 + b0 * turn_0 + b1 * turn_1
                # one division for both levels
                inverse = 1.0 / (turn_a * turn_b)
                n_a = (start[m, s, g, 0] + a0 * q0 + a1 * q1 + a3 * q3 + a4 * q4) * (turn_b * inverse)
                n_b = (start[m, s, g, 1] + b0 * q0 + b1 * q1 + b3 * q3 + b4 * q4) * (turn_a * inverse)
                n_c = (start[m, s, g, 2] + mean_2 + mu * flux_2) * inverse_2
                f[m, s, g, 0], f[m, s, g, 1], f[m, s, g, 2] = n_a, n_b, n_c
                r0, r1, r3, r4 = a0 * n_a + b0 * n_b, a1 * n_a + b1 * n_b, a3 * n_a + b3 * n_b, a4 * n_a + b4 * n_b
                j0 += w0 * r0
                j1 += w0 * r1
                j2 += w0 * n_c
                j3 += w0 * r3
                j4 += w0 * r4
                h0 += w1 * r0
                h1 += w1 * r1
                h2 += w1 * n_c
                h3 += w1 * r3
                h4 += w1 * r4
            moments[s, 0, g, 0], moments[s, 0, g, 1], moments[s, 0, g, 2] = j0, j1, j2
            moments[s, 1, g, 0], moments[s, 1, g, 1], moments[s, 1, g, 2] = h0, h1, h2
            # an off-diagonal element is half its projector entry
            moments[s, 0, g, 3], moments[s, 0, g, 4] = 0.5 * j3, 0.5 * j4
            moments[s, 1, g, 3], moments[s, 1, g, 4] = 0.5 * h3, 0.5 * h4


@kernel
def plain_mixed_update_2_axes(
    start, weight, velocity, h, emissivity, absorption, scattering_0, scattering_1, projector, moments, f
):  # fmt: skip
    """plain_mixed_update_2 with any number of axes."""
    directions, species, groups, _ = f.shape
    orders = weight.shape[0]
    back, given, sums = np.empty(orders), np.empty((orders, 5)), np.empty((orders, 5))
    for s in range(species):
        for g in range(groups):
            back[0] = s0 = h * scattering_0[s, g]
            back[1:] = 3.0 * h * scattering_1[s, g]
            for order in range(orders):
                for c in range(5):
                    given[order, c] = back[order] * moments[s, order, g, c]
                    sums[order, c] = 0.0
            for c in range(DIAGONAL):
                given[0, c] += h * emissivity[s, c, g]
            turn_0 = h * (emissivity[s, 0, g] + absorption[s, 0, g])
            turn_1 = h * (emissivity[s, 1, g] + absorption[s, 1, g])
            inverse_2 = 1.0 / (1.0 + s0 + h * (emissivity[s, 2, g] + absorption[s, 2, g]))
            for m in range(directions):
                q0, q1, q2, q3, q4 = given[0, 0], given[0, 1], given[0, 2], given[0, 3], given[0, 4]
                for d in range(1, orders):
                    v = velocity[m, d - 1]
                    q0 += v * given[d, 0]
                    q1 += v * given[d, 1]
                    q2 += v * given[d, 2]
                    q3 += v * given[d, 3]
                    q4 += v * given[d, 4]
                a0, a1 = projector[m, s, g, 0, 0], projector[m, s, g, 0, 1]
                a3, a4 = projector[m, s, g, 0, 3], projector[m, s, g, 0, 4]
                b0, b1 = projector[m, s, g, 1, 0], projector[m, s, g, 1, 1]
                b3, b4 = projector[m, s, g, 1, 3], projector[m, s, g, 1, 4]
                turn_a, turn_b = 1.0 + s0 + a0 * turn_0 + a1 * turn_1, 1.0 + s0 + b0 * turn_0 + b1 * turn_1
                inverse = 1.0 / (turn_a * turn_b)
                n_a = (start[m, s, g, 0] + a0 * q0 + a1 * q1 + a3 * q3 + a4 * q4) * (turn_b * inverse)
                n_b = (start[m, s, g, 1] + b0 * q0 + b1 * q1 + b3 * q3 + b4 * q4) * (turn_a * inverse)
                n_c = (start[m, s, g, 2] + q2) * inverse_2
                f[m, s, g, 0], f[m, s, g, 1], f[m, s, g, 2] = n_a, n_b, n_c
                r0, r1, r3, r4 = a0 * n_a + b0 * n_b, a1 * n_a + b1 * n_b, a3 * n_a + b3 * n_b, a4 * n_a + b4 * n_b
                for order in range(orders):
                    w = 0.5 * weight[order, m]
                    sums[order, 0] += w * r0
                    sums[order, 1] += w * r1
                    sums[order, 2] += w * n_c
                    sums[order, 3] += w * r3
                    sums[order, 4] += w * r4
            for order in range(orders):
                for c in range(5):
                    # an off-diagonal element is half its projector entry
                    moments[s, order, g, c] = sums[order, c] if c < DIAGONAL else 0.5 * sums[order, c]


@kernel
def plain_mixed_cell(
    start,
    weight,
    velocity,
    h,
    emissivity,
    absorption,
    scattering_0,
    scattering_1,
    projector,
    tolerance,
    max_iterations,
    moments,
    f,
):
    """Repeat plain_mixed_update until f is converged; moments is scratch. Returns the number of turns.

    An error of the moments enters f with the factor h s_0 / (1 + h s_0), which therefore is the rate of convergence:
    made for cells where it is small. The first moments are those of the matrix equation, component by component.
    """
    species, orders, groups, components = moments.shape
    mixed_moments(start, weight, projector, moments)
    largest = 0.0
    for s in range(species):
        for g in range(groups):
            s0, s1 = h * scattering_0[s, g], h * scattering_1[s, g]
            largest = max(largest, s0)
            mean = 0.0
            for c in range(DIAGONAL):
                gained = h * emissivity[s, c, g]
                turnover = gained + h * absorption[s, c, g]
                mean += turnover / DIAGONAL
                moments[s, 0, g, c] = (moments[s, 0, g, c] + gained) / (1.0 + turnover)
                for order in range(1, orders):
                    moments[s, order, g, c] /= 1.0 + turnover + s0 - s1
            for c in range(DIAGONAL, components):
                moments[s, 0, g, c] /= 1.0 + mean
                for order in range(1, orders):
                    moments[s, order, g, c] /= 1.0 + mean + s0 - s1
    before = np.empty_like(moments)
    for turn in range(1, max_iterations + 1):
        before[:] = moments
        if components == 5 and orders == 2:
            plain_mixed_update_2(
                start, weight, velocity, h, emissivity, absorption, scattering_0, scattering_1, projector, moments, f
            )  # fmt: skip
        elif components == 5:
            plain_mixed_update_2_axes(
                start, weight, velocity, h, emissivity, absorption, scattering_0, scattering_1, projector, moments, f
            )  # fmt: skip
        else:
            plain_mixed_update(
                start, weight, velocity, h, emissivity, absorption, scattering_0, scattering_1, projector, moments, f
            )  # fmt: skip
        change = 0.0
        for s in range(species):
            for order in range(orders):
                for g in range(groups):
                    for c in range(components):
                        change = max(change, abs(moments[s, order, g, c] - before[s, order, g, c]))
        if largest * change <= tolerance:
            return turn
    return -max_iterations
