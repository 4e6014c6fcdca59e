"""Collisions of level populations, through the moments of the density matrix in flavour components.

Components c: the three diagonal elements (e, x, x' or the unmixed heavy flavour), then the real and
imaginary parts of the off-diagonal ones. A flavour-locked cell needs the diagonal ones only.

Per cell: f[direction, species, group, level]; weight[order, direction], velocity[direction, axis] with one order
more than axes; moments[species, order, group, c] = 1/2 sum_m weight_order rho_c;
projector[direction, species, group, level, c] with <k|A|k> = sum_c projector_c A_c.

    C_k = <k| lin_0 + 3 v . lin_1 |k> - s_0 n_k
          + <k| gain_0 + 3 v . gain_1 |k> (1 - n_k) - <k| loss_0 + 3 v . loss_1 |k> n_k

lin: isoenergetic scattering (its blocking cancels); gain, loss: emission and absorption and the processes
that couple groups, as anticommutators, whose projection on a common eigenvector is this product. A first angular
moment (lin_1, gain_1, loss_1) is a vector with one component for each axis. The first axis, often the only one, is
written out and the further ones have functions of their own (_further_...): loops over so few components cost more
than what is done in them.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel

DIAGONAL = 3  # components that are diagonal elements
SCATTERING, PAIR = 0, 1


@kernel
def locked_moments(f, weight, component, out):
    """moments of a flavour-locked cell: level k of species s is component[s, k] everywhere in it."""
    directions, species, groups, levels = f.shape
    out[:] = 0.0
    for m in range(directions):
        w0, w1 = 0.5 * weight[0, m], 0.5 * weight[1, m]
        for s in range(species):
            for g in range(groups):
                for k in range(levels):
                    c = component[s, k]
                    out[s, 0, g, c] += w0 * f[m, s, g, k]
                    out[s, 1, g, c] += w1 * f[m, s, g, k]
    if weight.shape[0] > 2:
        _further_locked_moments(f, weight, component, out)


@kernel
def _further_locked_moments(f, weight, component, out):
    directions, species, groups, levels = f.shape
    for m in range(directions):
        for s in range(species):
            for order in range(2, weight.shape[0]):
                w = 0.5 * weight[order, m]
                for g in range(groups):
                    for k in range(levels):
                        out[s, order, g, component[s, k]] += w * f[m, s, g, k]


@kernel
def mixed_moments(f, weight, projector, out):
    """moments of a cell with mixing; the off-diagonal element is half its projector entry."""
    directions, species, groups, levels = f.shape
    orders, components = weight.shape[0], out.shape[3]
    out[:] = 0.0
    element = np.empty(components)
    for m in range(directions):
        w0, w1 = 0.5 * weight[0, m], 0.5 * weight[1, m]
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
                for order in range(2, orders):
                    w = 0.5 * weight[order, m]
                    for c in range(components):
                        out[s, order, g, c] += w * element[c]
    for s in range(species):
        for order in range(orders):
            for g in range(groups):
                for c in range(DIAGONAL, components):
                    out[s, order, g, c] *= 0.5


@kernel
def add_energy_coupling(moments, identity, kind, amplitude, kernel, ratio, gain, loss):
    """Add the gain and loss matrices of the processes that couple energy groups.

    kind[process]; amplitude[process, species, c] (product of the two flavour amplitudes);
    kernel[process, first/second, l, group, group']; ratio[group, group'] = weight_group' / weight_group;
    identity: 1 for the rates themselves, 0 for their derivative in the direction of ``moments``.
    """
    processes = kind.shape[0]
    species, orders, groups, components = moments.shape
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
    if orders > 2:
        _further_energy_coupling(moments, kind, amplitude, kernel, ratio, gain, loss)


@kernel
def _further_energy_coupling(moments, kind, amplitude, kernel, ratio, gain, loss):
    species, orders, groups, components = moments.shape
    for p in range(kind.shape[0]):
        for s in range(species):
            other = s if kind[p] == SCATTERING else 1 - s
            for g in range(groups):
                for h in range(groups):
                    first, second = kernel[p, 0, 1, g, h], kernel[p, 1, 1, g, h]
                    if kind[p] == PAIR and s == 1:
                        first, second = kernel[p, 0, 1, h, g] * ratio[g, h], kernel[p, 1, 1, h, g] * ratio[g, h]
                    into, out = (second, -first) if kind[p] == SCATTERING else (-first, second)
                    for order in range(2, orders):
                        for c in range(components):
                            flux = amplitude[p, s, c] * moments[other, order, h, c]
                            gain[s, order, g, c] += into * flux
                            loss[s, order, g, c] += out * flux


@kernel
def add_emission_absorption(emissivity, absorption, gain, loss):
    """Add emissivity and absorption[species, flavour, group], diagonal in flavour and isotropic."""
    species, flavors, groups = emissivity.shape
    for s in range(species):
        for c in range(flavors):
            for g in range(groups):
                gain[s, 0, g, c] += emissivity[s, c, g]
                loss[s, 0, g, c] += absorption[s, c, g]


@kernel
def combine(matrix, s, g, tilt, out):
    """out[c] = matrix_0 + sum_d tilt_d matrix_(1 + d) of matrix[species, order, group, c], as many as out holds."""
    for c in range(out.size):
        out[c] = matrix[s, 0, g, c] + tilt[0] * matrix[s, 1, g, c]
    for d in range(1, tilt.size):
        for c in range(out.size):
            out[c] += tilt[d] * matrix[s, 1 + d, g, c]


@kernel
def dot(projector, matrix):
    """<k|A|k> = sum_c projector_c A_c."""
    total = 0.0
    for c in range(matrix.size):
        total += projector[c] * matrix[c]
    return total


@kernel
def locked_rate(f, velocity, scattering_0, scattering_1, component, moments, gain, loss, out):
    """C[direction, species, group, level] of a flavour-locked cell (formula of the module's text)."""
    directions, species, groups, levels = f.shape
    for m in range(directions):
        v3 = 3.0 * velocity[m, 0]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], v3 * scattering_1[s, g]
                for k in range(levels):
                    c = component[s, k]
                    n = f[m, s, g, k]
                    up = gain[s, 0, g, c] + v3 * gain[s, 1, g, c]
                    down = loss[s, 0, g, c] + v3 * loss[s, 1, g, c]
                    out[m, s, g, k] = (
                        s0 * (moments[s, 0, g, c] - n) + s1 * moments[s, 1, g, c] + up * (1.0 - n) - down * n
                    )
    if velocity.shape[1] > 1:
        _further_locked_rate(f, velocity, scattering_1, component, moments, gain, loss, out)


@kernel
def _further_locked_rate(f, velocity, scattering_1, component, moments, gain, loss, out):
    directions, species, groups, levels = f.shape
    for m in range(directions):
        for d in range(1, velocity.shape[1]):
            v3 = 3.0 * velocity[m, d]
            for s in range(species):
                for g in range(groups):
                    s1 = scattering_1[s, g]
                    for k in range(levels):
                        c = component[s, k]
                        n = f[m, s, g, k]
                        out[m, s, g, k] += v3 * (
                            s1 * moments[s, 1 + d, g, c] + gain[s, 1 + d, g, c] * (1.0 - n) - loss[s, 1 + d, g, c] * n
                        )


@kernel
def locked_rate_derivative(
    f, df, velocity, scattering_0, scattering_1, component, dmoments, gain, loss, dgain, dloss, out
):
    """Derivative of locked_rate in the direction df (dmoments, dgain, dloss: those of df)."""
    directions, species, groups, levels = f.shape
    for m in range(directions):
        v3 = 3.0 * velocity[m, 0]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], v3 * scattering_1[s, g]
                for k in range(levels):
                    c = component[s, k]
                    n, change = f[m, s, g, k], df[m, s, g, k]
                    turnover = gain[s, 0, g, c] + loss[s, 0, g, c] + v3 * (gain[s, 1, g, c] + loss[s, 1, g, c])
                    up = dgain[s, 0, g, c] + v3 * dgain[s, 1, g, c]
                    down = dloss[s, 0, g, c] + v3 * dloss[s, 1, g, c]
                    out[m, s, g, k] = (
                        s0 * (dmoments[s, 0, g, c] - change)
                        + s1 * dmoments[s, 1, g, c]
                        - turnover * change
                        + up * (1.0 - n)
                        - down * n
                    )
    if velocity.shape[1] > 1:
        _further_locked_derivative(f, df, velocity, scattering_1, component, dmoments, gain, loss, dgain, dloss, out)


@kernel
def _further_locked_derivative(f, df, velocity, scattering_1, component, dmoments, gain, loss, dgain, dloss, out):
    directions, species, groups, levels = f.shape
    for m in range(directions):
        for d in range(1, velocity.shape[1]):
            v3 = 3.0 * velocity[m, d]
            for s in range(species):
                for g in range(groups):
                    s1 = scattering_1[s, g]
                    for k in range(levels):
                        c = component[s, k]
                        n, change = f[m, s, g, k], df[m, s, g, k]
                        out[m, s, g, k] += v3 * (
                            s1 * dmoments[s, 1 + d, g, c]
                            - (gain[s, 1 + d, g, c] + loss[s, 1 + d, g, c]) * change
                            + dgain[s, 1 + d, g, c] * (1.0 - n)
                            - dloss[s, 1 + d, g, c] * n
                        )


@kernel
def mixed_rate(f, velocity, scattering_0, scattering_1, projector, moments, gain, loss, out):
    """C[direction, species, group, level] of a cell with mixing (formula of the module's text)."""
    directions, species, groups, levels = f.shape
    axes, components = velocity.shape[1], projector.shape[4]
    v3, tilt = np.empty(axes), np.empty(axes)
    up, down, scattered = np.empty(components), np.empty(components), np.empty(components)
    for m in range(directions):
        for d in range(axes):
            v3[d] = 3.0 * velocity[m, d]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], scattering_1[s, g]
                combine(gain, s, g, v3, up)
                combine(loss, s, g, v3, down)
                if s0 != 0.0:
                    for d in range(axes):
                        tilt[d] = v3[d] * s1 / s0
                    combine(moments, s, g, tilt, scattered)
                for k in range(levels):
                    q = projector[m, s, g, k]
                    n = f[m, s, g, k]
                    value = dot(q, up) * (1.0 - n) - dot(q, down) * n - s0 * n
                    if s0 != 0.0:
                        value += s0 * dot(q, scattered)
                    out[m, s, g, k] = value


@kernel
def mixed_rate_derivative(
    f, df, velocity, scattering_0, scattering_1, projector, dmoments, gain, loss, dgain, dloss, out
):
    """Derivative of mixed_rate in the direction df at fixed eigenvectors."""
    directions, species, groups, levels = f.shape
    axes, components = velocity.shape[1], projector.shape[4]
    v3, tilt = np.empty(axes), np.empty(axes)
    up, down, scattered = np.empty(components), np.empty(components), np.empty(components)
    gained, lost = np.empty(components), np.empty(components)
    for m in range(directions):
        for d in range(axes):
            v3[d] = 3.0 * velocity[m, d]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], scattering_1[s, g]
                combine(gain, s, g, v3, up)
                combine(loss, s, g, v3, down)
                combine(dgain, s, g, v3, gained)
                combine(dloss, s, g, v3, lost)
                if s0 != 0.0:
                    for d in range(axes):
                        tilt[d] = v3[d] * s1 / s0
                    combine(dmoments, s, g, tilt, scattered)
                for k in range(levels):
                    q = projector[m, s, g, k]
                    n, change = f[m, s, g, k], df[m, s, g, k]
                    turnover = dot(q, up) + dot(q, down)
                    value = dot(q, gained) * (1.0 - n) - dot(q, lost) * n - (turnover + s0) * change
                    if s0 != 0.0:
                        value += s0 * dot(q, scattered)
                    out[m, s, g, k] = value
