"""Collisions of level populations, through the moments of the density matrix in flavour components.

Components c: the three diagonal elements (e, x, x' or the unmixed heavy flavour), then the real and
imaginary parts of the off-diagonal ones. A flavour-locked cell needs the diagonal ones only.

Per cell: f[direction, species, group, level]; moments[species, l, group, c] = 1/2 sum_m weight_l rho_c;
projector[direction, species, group, level, c] with <k|A|k> = sum_c projector_c A_c.

    C_k = <k| lin_0 + 3 mu lin_1 |k> - s_0 n_k
          + <k| gain_0 + 3 mu gain_1 |k> (1 - n_k) - <k| loss_0 + 3 mu loss_1 |k> n_k

lin: isoenergetic scattering (its blocking cancels); gain, loss: emission and absorption and the processes
that couple groups, as anticommutators, whose projection on a common eigenvector is this product.
"""

from __future__ import annotations

import numpy as np
from numba import njit

DIAGONAL = 3  # components that are diagonal elements
SCATTERING, PAIR = 0, 1


@njit(cache=True, error_model="numpy")
def locked_moments(f, weight_0, weight_1, component, out):
    """moments of a flavour-locked cell: level k of species s is component[s, k] everywhere in it."""
    directions, species, groups, levels = f.shape
    out[:] = 0.0
    for m in range(directions):
        w0, w1 = 0.5 * weight_0[m], 0.5 * weight_1[m]
        for s in range(species):
            for g in range(groups):
                for k in range(levels):
                    c = component[s, k]
                    out[s, 0, g, c] += w0 * f[m, s, g, k]
                    out[s, 1, g, c] += w1 * f[m, s, g, k]


@njit(cache=True, error_model="numpy")
def mixed_moments(f, weight_0, weight_1, projector, out):
    """moments of a cell with mixing; the off-diagonal element is half its projector entry."""
    directions, species, groups, levels = f.shape
    components = out.shape[3]
    out[:] = 0.0
    element = np.empty(components)
    for m in range(directions):
        w0, w1 = 0.5 * weight_0[m], 0.5 * weight_1[m]
        for s in range(species):
            for g in range(groups):
                q, n = projector[m, s, g], f[m, s, g]
                for c in range(components):
                    element[c] = q[0, c] * n[0]
                for k in range(1, levels):
                    for c in range(components):
                        element[c] += q[k, c] * n[k]
                zeroth, first = out[s, 0, g], out[s, 1, g]
                for c in range(components):
                    zeroth[c] += w0 * element[c]
                    first[c] += w1 * element[c]
    for s in range(species):
        for order in range(2):
            for g in range(groups):
                for c in range(DIAGONAL, components):
                    out[s, order, g, c] *= 0.5


@njit(cache=True, error_model="numpy")
def add_energy_coupling(moments, identity, kind, amplitude, kernel, ratio, gain, loss):
    """Add the gain and loss matrices of the processes that couple energy groups.

    kind[process]; amplitude[process, species, c] (product of the two flavour amplitudes);
    kernel[process, first/second, l, group, group']; ratio[group, group'] = weight_group' / weight_group;
    identity: 1 for the rates themselves, 0 for their derivative in the direction of ``moments``.
    """
    processes = kind.shape[0]
    species, _, groups, components = moments.shape
    for p in range(processes):
        for s in range(species):
            other = s if kind[p] == SCATTERING else 1 - s
            transposed = kind[p] == PAIR and s == 1
            for g in range(groups):
                for h in range(groups):
                    if transposed:
                        scale = ratio[g, h]
                        first_0, first_1 = kernel[p, 0, 0, h, g] * scale, kernel[p, 0, 1, h, g] * scale
                        second_0, second_1 = kernel[p, 1, 0, h, g] * scale, kernel[p, 1, 1, h, g] * scale
                    else:
                        first_0, first_1 = kernel[p, 0, 0, g, h], kernel[p, 0, 1, g, h]
                        second_0, second_1 = kernel[p, 1, 0, g, h], kernel[p, 1, 1, g, h]
                    for c in range(components):
                        a = amplitude[p, s, c]
                        one = identity if c < DIAGONAL else 0.0
                        j, flux = a * moments[other, 0, h, c], a * moments[other, 1, h, c]
                        empty = a * one - j
                        if kind[p] == SCATTERING:
                            gain[s, 0, g, c] += second_0 * j
                            gain[s, 1, g, c] += second_1 * flux
                            loss[s, 0, g, c] += first_0 * empty
                            loss[s, 1, g, c] -= first_1 * flux
                        else:
                            gain[s, 0, g, c] += first_0 * empty
                            gain[s, 1, g, c] -= first_1 * flux
                            loss[s, 0, g, c] += second_0 * j
                            loss[s, 1, g, c] += second_1 * flux


@njit(cache=True, error_model="numpy")
def add_emission_absorption(emissivity, absorption, gain, loss):
    """Add emissivity and absorption[species, flavour, group], diagonal in flavour and isotropic."""
    species, flavors, groups = emissivity.shape
    for s in range(species):
        for c in range(flavors):
            for g in range(groups):
                gain[s, 0, g, c] += emissivity[s, c, g]
                loss[s, 0, g, c] += absorption[s, c, g]


@njit(cache=True, error_model="numpy")
def locked_rate(f, cosine, scattering_0, scattering_1, component, moments, gain, loss, out):
    """C[direction, species, group, level] of a flavour-locked cell (formula of the module's text)."""
    directions, species, groups, levels = f.shape
    for m in range(directions):
        mu3 = 3.0 * cosine[m]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], mu3 * scattering_1[s, g]
                for k in range(levels):
                    c = component[s, k]
                    n = f[m, s, g, k]
                    up = gain[s, 0, g, c] + mu3 * gain[s, 1, g, c]
                    down = loss[s, 0, g, c] + mu3 * loss[s, 1, g, c]
                    out[m, s, g, k] = (
                        s0 * (moments[s, 0, g, c] - n) + s1 * moments[s, 1, g, c] + up * (1.0 - n) - down * n
                    )


@njit(cache=True, error_model="numpy")
def locked_rate_derivative(
    f, df, cosine, scattering_0, scattering_1, component, dmoments, gain, loss, dgain, dloss, out
):
    """Derivative of locked_rate in the direction df (dmoments, dgain, dloss: those of df)."""
    directions, species, groups, levels = f.shape
    for m in range(directions):
        mu3 = 3.0 * cosine[m]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], mu3 * scattering_1[s, g]
                for k in range(levels):
                    c = component[s, k]
                    n, d = f[m, s, g, k], df[m, s, g, k]
                    turnover = gain[s, 0, g, c] + loss[s, 0, g, c] + mu3 * (gain[s, 1, g, c] + loss[s, 1, g, c])
                    up = dgain[s, 0, g, c] + mu3 * dgain[s, 1, g, c]
                    down = dloss[s, 0, g, c] + mu3 * dloss[s, 1, g, c]
                    out[m, s, g, k] = (
                        s0 * (dmoments[s, 0, g, c] - d)
                        + s1 * dmoments[s, 1, g, c]
                        - turnover * d
                        + up * (1.0 - n)
                        - down * n
                    )


@njit(cache=True, error_model="numpy")
def _project(projector, matrix_0, matrix_1, mu3):
    total = 0.0
    for c in range(projector.shape[0]):
        total += projector[c] * (matrix_0[c] + mu3 * matrix_1[c])
    return total


@njit(cache=True, error_model="numpy")
def mixed_rate(f, cosine, scattering_0, scattering_1, projector, moments, gain, loss, out):
    """C[direction, species, group, level] of a cell with mixing (formula of the module's text)."""
    directions, species, groups, levels = f.shape
    for m in range(directions):
        mu3 = 3.0 * cosine[m]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], scattering_1[s, g]
                for k in range(levels):
                    q = projector[m, s, g, k]
                    n = f[m, s, g, k]
                    up = _project(q, gain[s, 0, g], gain[s, 1, g], mu3)
                    down = _project(q, loss[s, 0, g], loss[s, 1, g], mu3)
                    value = up * (1.0 - n) - down * n - s0 * n
                    if s0 != 0.0:
                        value += s0 * _project(q, moments[s, 0, g], moments[s, 1, g], mu3 * s1 / s0)
                    out[m, s, g, k] = value


@njit(cache=True, error_model="numpy")
def mixed_rate_derivative(
    f, df, cosine, scattering_0, scattering_1, projector, dmoments, gain, loss, dgain, dloss, out
):
    """Derivative of mixed_rate in the direction df at fixed eigenvectors."""
    directions, species, groups, levels = f.shape
    for m in range(directions):
        mu3 = 3.0 * cosine[m]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], scattering_1[s, g]
                for k in range(levels):
                    q = projector[m, s, g, k]
                    n, d = f[m, s, g, k], df[m, s, g, k]
                    turnover = _project(q, gain[s, 0, g], gain[s, 1, g], mu3) + _project(
                        q, loss[s, 0, g], loss[s, 1, g], mu3
                    )
                    value = (
                        _project(q, dgain[s, 0, g], dgain[s, 1, g], mu3) * (1.0 - n)
                        - _project(q, dloss[s, 0, g], dloss[s, 1, g], mu3) * n
                        - (turnover + s0) * d
                    )
                    if s0 != 0.0:
                        value += s0 * _project(q, dmoments[s, 0, g], dmoments[s, 1, g], mu3 * s1 / s0)
                    out[m, s, g, k] = value
