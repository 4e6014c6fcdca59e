"""The collision formulas of kernels.collisions over a range of cells, locked and mixed ones.

mixed[cell] is the cell's row in projector, or -1 for a flavour-locked cell, whose levels are the
components component[cell, species, level]. weight[cell, order, direction] and velocity[cell, direction, axis] may
have a single row instead, for all cells.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .collisions import (
    DIAGONAL,
    add_emission_absorption,
    add_energy_coupling,
    locked_moments,
    locked_rate,
    locked_rate_derivative,
    mixed_moments,
    mixed_rate,
    mixed_rate_derivative,
)


@kernel
def moments(f, weight, component, mixed, projector, out):
    """out[cell, species, order, group, component] = 1/2 sum_m weight_order rho_c."""
    for i in range(f.shape[0]):
        w = weight[i % weight.shape[0]]
        if mixed[i] < 0:
            out[i, :, :, :, DIAGONAL:] = 0.0
            locked_moments(f[i], w, component[i], out[i, :, :, :, :DIAGONAL])
        else:
            mixed_moments(f[i], w, projector[mixed[i]], out[i])


@kernel
def gain_loss(moments, identity, emissivity, absorption, kind, amplitude, kernel, ratio, mixed, gain, loss):
    """gain, loss[cell, species, order, group, component]; identity = 0 gives their derivative along ``moments``."""
    gain[:] = 0.0
    loss[:] = 0.0
    components = moments.shape[4]
    for i in range(moments.shape[0]):
        n = DIAGONAL if mixed[i] < 0 else components
        if identity != 0.0:
            add_emission_absorption(emissivity[i], absorption[i], gain[i], loss[i])
        add_energy_coupling(
            moments[i, :, :, :, :n],
            identity,
            kind,
            amplitude,
            kernel[:, i],
            ratio,
            gain[i, :, :, :, :n],
            loss[i, :, :, :, :n],
        )


@kernel
def rate(f, velocity, scattering_0, scattering_1, component, mixed, projector, moments, gain, loss, out):
    """C[cell, direction, species, group, level] in cm^-1."""
    for i in range(f.shape[0]):
        v = velocity[i % velocity.shape[0]]
        if mixed[i] < 0:
            locked_rate(f[i], v, scattering_0[i], scattering_1[i], component[i], moments[i], gain[i], loss[i], out[i])
        else:
            mixed_rate(
                f[i],
                v,
                scattering_0[i],
                scattering_1[i],
                projector[mixed[i]],
                moments[i],
                gain[i],
                loss[i],
                out[i],
            )


@kernel
def rate_derivative(
    f, df, velocity, scattering_0, scattering_1, component, mixed, projector, dmoments, gain, loss, dgain, dloss, out
):
    """Derivative of C along df, with dmoments, dgain, dloss those of df."""
    for i in range(f.shape[0]):
        v = velocity[i % velocity.shape[0]]
        if mixed[i] < 0:
            locked_rate_derivative(
                f[i],
                df[i],
                v,
                scattering_0[i],
                scattering_1[i],
                component[i],
                dmoments[i],
                gain[i],
                loss[i],
                dgain[i],
                dloss[i],
                out[i],
            )
        else:
            mixed_rate_derivative(
                f[i],
                df[i],
                v,
                scattering_0[i],
                scattering_1[i],
                projector[mixed[i]],
                dmoments[i],
                gain[i],
                loss[i],
                dgain[i],
                dloss[i],
                out[i],
            )


@kernel
def level_average(diagonal, weight, component, mixed, projector, out):
    """out[cell, species, group, level] = sum_flavour |U_fk|^2 diagonal[cell, species, flavour, group].

    In a mixed cell |U_fk|^2 is averaged over directions.
    """
    cells, species, groups, levels = out.shape
    directions = weight.shape[2]
    for i in range(cells):
        if mixed[i] < 0:
            for s in range(species):
                for g in range(groups):
                    for k in range(levels):
                        out[i, s, g, k] = diagonal[i, s, component[i, s, k], g]
        else:
            q = projector[mixed[i]]
            w = weight[i % weight.shape[0], 0]
            total = np.sum(w)
            for s in range(species):
                for g in range(groups):
                    for k in range(levels):
                        value = 0.0
                        for m in range(directions):
                            for c in range(DIAGONAL):
                                value += w[m] * q[m, s, g, k, c] * diagonal[i, s, c, g]
                        out[i, s, g, k] = value / total
