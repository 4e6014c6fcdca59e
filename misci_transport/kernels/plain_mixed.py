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
