"""One turn of the implicit collisions of a cell with mixing, without energy coupling and angular redistribution.

    n_k (1 + h (s_0 + <k|J + A|k>)) = n*_k + h <k| s_0 Phi_0 + 3 mu s_1 Phi_1 + J |k>

with J and A the emissivity and absorption (diagonal in flavour), Phi_l the moments of the density matrix.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .collisions import DIAGONAL, mixed_moments


@njit(cache=True, error_model="numpy")
def plain_mixed_update(
    start,
    weight_0,
    weight_1,
    cosine,
    h,
    emissivity,
    absorption,
    scattering_0,
    scattering_1,
    projector,
    moments,
    f,
):
    """f[direction, species, group, level] for given moments[species, l, group, component]; then their new values."""
    directions, species, groups, levels = f.shape
    components = projector.shape[4]
    source = np.empty(components)
    turnover = np.empty(DIAGONAL)
    for s in range(species):
        for g in range(groups):
            s0, s1 = h * scattering_0[s, g], h * scattering_1[s, g]
            for c in range(DIAGONAL):
                turnover[c] = h * (emissivity[s, c, g] + absorption[s, c, g])
            for m in range(directions):
                tilt = 3.0 * cosine[m] * s1
                for c in range(components):
                    source[c] = s0 * moments[s, 0, g, c] + tilt * moments[s, 1, g, c]
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
    mixed_moments(f, weight_0, weight_1, projector, moments)


@njit(cache=True, error_model="numpy")
def plain_mixed_cell(
    start,
    weight_0,
    weight_1,
    cosine,
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
    species, groups, components = moments.shape[0], moments.shape[2], moments.shape[3]
    mixed_moments(start, weight_0, weight_1, projector, moments)
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
                moments[s, 1, g, c] /= 1.0 + turnover + s0 - s1
            for c in range(DIAGONAL, components):
                moments[s, 0, g, c] /= 1.0 + mean
                moments[s, 1, g, c] /= 1.0 + mean + s0 - s1
    before = np.empty_like(moments)
    for turn in range(1, max_iterations + 1):
        before[:] = moments
        plain_mixed_update(
            start,
            weight_0,
            weight_1,
            cosine,
            h,
            emissivity,
            absorption,
            scattering_0,
            scattering_1,
            projector,
            moments,
            f,
        )
        change = 0.0
        for s in range(species):
            for order in range(2):
                for g in range(groups):
                    for c in range(components):
                        change = max(change, abs(moments[s, order, g, c] - before[s, order, g, c]))
        if largest * change <= tolerance:
            return turn
    return -max_iterations
