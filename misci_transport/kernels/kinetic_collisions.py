"""Collisions over a step, exact for rates that are constant in it.

Emission and absorption by flavour, C = (1/2){em, 1 - rho} - (1/2){ab, rho}, relax every packed component by itself:
rho_ab <- rho_ab e^{-G dt} + equilibrium (1 - e^{-G dt}) with G the mean of em + ab of the two flavours. Isotropic
isoenergetic scattering, C = s (<rho> - rho), leaves the mean over directions and shrinks the rest. The two commute.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel


@kernel
def collide(state, first, last, weight, kept, gained, unscattered):
    """rho <- rho kept + gained, then mean + (rho - mean) unscattered.

    state
        (direction, species, group, component, cell), changed in cells first to last.
    weight
        (direction,).
    kept, gained
        (species, group, component, last - first): e^{-G dt} and (1 - e^{-G dt}) equilibrium.
    unscattered
        (species, group, last - first): e^{-s dt}; empty along the last axis without scattering.
    """
    directions, groups, components = state.shape[0], state.shape[2], state.shape[3]
    n = last - first
    total = 0.0
    for m in range(directions):
        total += weight[m]
    mean = np.empty(n)
    for s in range(2):
        for g in range(groups):
            for c in range(components):
                keep = kept[s, g, c]
                gain = gained[s, g, c]
                for m in range(directions):
                    f = state[m, s, g, c, first:last]
                    for i in range(n):
                        f[i] = f[i] * keep[i] + gain[i]
                if unscattered.shape[2] == 0:
                    continue
                rest = unscattered[s, g]
                mean[:] = 0.0
                for m in range(directions):
                    f = state[m, s, g, c, first:last]
                    share = weight[m] / total
                    for i in range(n):
                        mean[i] += share * f[i]
                for m in range(directions):
                    f = state[m, s, g, c, first:last]
                    for i in range(n):
                        f[i] = mean[i] + (f[i] - mean[i]) * rest[i]
