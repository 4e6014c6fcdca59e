"""Density matrices advected as they are: the collision update and the heat of the re-alignment.

Components as packed by flavor.pack, then the unmixed flavour if N_f = 2; cells as in kernels.mixing.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .implicit_collisions import locked_update, swept_update
from .mixing import ray_hamiltonian
from .plain_collisions import is_turning


@kernel
def component_rates(emissivity, absorption, flavor, gain, loss):
    """gain, loss[species, order, group, component] of (1/2){J, 1 - rho} - (1/2){A, rho} with J, A diagonal.

    flavor[component, 2]: row and column of the component. A coherence is lost at the mean of the two rates.
    """
    gain[:] = 0.0
    loss[:] = 0.0
    for s in range(gain.shape[0]):
        for g in range(gain.shape[2]):
            for c in range(gain.shape[3]):
                a, b = flavor[c, 0], flavor[c, 1]
                turnover = 0.5 * (emissivity[s, a, g] + absorption[s, a, g] + emissivity[s, b, g] + absorption[s, b, g])
                if a == b:
                    gain[s, 0, g, c] = emissivity[s, a, g]
                loss[s, 0, g, c] = turnover - gain[s, 0, g, c]


@kernel
def implicit_matrix_cells(
    start,
    weight,
    velocity,
    h,
    emissivity,
    absorption,
    scattering_0,
    scattering_1,
    flavor,
    gamma,
    diamond,
    volume,
    out,
):
    """out = start + h C(out) for density matrices [cell, direction, species, group, component]; exact per component.

    weight, velocity, gamma and volume have one row a cell, or one for all.
    """
    orders = weight.shape[1]
    species, groups, components = start.shape[2], start.shape[3], start.shape[4]
    gain = np.zeros((species, orders, groups, components))
    loss = np.zeros((species, orders, groups, components))
    moments = np.zeros((species, orders, groups, components))
    component = np.zeros((species, components), dtype=np.int64)
    for s in range(species):
        for c in range(components):
            component[s, c] = c
    for i in range(start.shape[0]):
        component_rates(emissivity[i], absorption[i], flavor, gain, loss)
        w, v, turning = weight[i % weight.shape[0]], velocity[i % velocity.shape[0]], gamma[i % gamma.shape[0]]
        if is_turning(v, turning):
            swept_update(
                start[i],
                w,
                v,
                h,
                scattering_0[i],
                scattering_1[i],
                component,
                gain,
                loss,
                turning,
                diamond,
                volume[i % volume.shape[0]],
                False,
                out[i],
                moments,
            )
            continue
        locked_update(
            start[i], w, v, h, scattering_0[i], scattering_1[i], component, gain, loss, False, out[i], moments
        )


@kernel
def realignment_heat(
    before, after, weight_0, number_weight, moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, out
):
    """out[cell] = sum w Tr[H (after - before)] (minus for antineutrinos), cm^-1 times cm^-3: Q_kin of Eq. (11)."""
    base = np.empty(9)
    n2 = n_flavors * n_flavors
    for i in range(before.shape[0]):
        total = 0.0
        v, w = velocity[i % velocity.shape[0]], weight_0[i % weight_0.shape[0]]
        for m in range(v.shape[0]):
            ray_hamiltonian(moments[i], v, m, potential[i], beta[i], strength, shift[i], n_flavors, base)
            for s in range(2):
                sign = 1.0 - 2.0 * s
                for g in range(vacuum.shape[0]):
                    trace = 0.0
                    for c in range(n2):
                        factor = 1.0 if c < n_flavors else 2.0
                        trace += (
                            factor * (base[c] + sign * vacuum[g, c]) * (after[i, m, s, g, c] - before[i, m, s, g, c])
                        )
                    total += sign * w[m] * number_weight[g] * trace
        out[i] = total
