"""Implicit collisions in one cell: f = f* + h C(f) + h G(f), with h = c dt in cm.

G is the angular redistribution of the cells where it is too fast for an explicit step (elsewhere gamma is zero); only
directions that follow a single axis have one, with more axes gamma is not looked at and may be empty. Directions as in
kernels.collisions: weight[order, direction], velocity[direction, axis].

For given gain and loss every occupation follows from the moments of f, so the unknowns are the moments only.
Without processes that couple groups the moments of a flavour-locked cell obey one linear system a level, with as many
equations as orders; otherwise they are the fixed point of moments -> gain, loss -> f -> moments, found with Anderson's
acceleration.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .angular_sweep import sweep
from .collisions import (
    DIAGONAL,
    add_emission_absorption,
    add_energy_coupling,
    combine,
    dot,
    locked_moments,
    mixed_moments,
)
from .plain_collisions import is_turning, plain_cell
from .plain_mixed import plain_mixed_cell
from .small_solve import solve_dense

_MOST_PARTS = 64  # implicit steps that a failing one is divided into at most
_SLOW = 0.3  # scattering over a step up to which repeated substitution converges fast
_DEPTH = 10  # differences that Anderson's acceleration remembers


@kernel
def locked_update(start, weight, velocity, h, scattering_0, scattering_1, component, gain, loss, coupled, f, moments):
    """f and its moments[species, order, group, c] for given gain and loss, isoenergetic scattering solved exactly.

    ``coupled``: whether losses depend on direction.
    """
    if velocity.shape[1] == 1:
        _locked_update_1(
            start, weight, velocity, h, scattering_0, scattering_1, component, gain, loss, coupled, f, moments
        )
    else:
        _locked_update_axes(
            start, weight, velocity, h, scattering_0, scattering_1, component, gain, loss, coupled, f, moments
        )


@kernel
def _locked_update_1(
    start, weight, velocity, h, scattering_0, scattering_1, component, gain, loss, coupled, f, moments
):
    """locked_update with one axis."""
    directions, species, groups, levels = f.shape
    for s in range(species):
        for g in range(groups):
            s0, s1 = h * scattering_0[s, g], 3.0 * h * scattering_1[s, g]
            for k in range(levels):
                c = component[s, k]
                up_0, up_1 = h * gain[s, 0, g, c], 3.0 * h * gain[s, 1, g, c]
                turn_0 = 1.0 + s0 + up_0 + h * loss[s, 0, g, c]
                turn_1 = up_1 + 3.0 * h * loss[s, 1, g, c] if coupled else 0.0
                # sums over directions of weight / turnover times 1, mu, f* and the anisotropic gain
                j_one = j_mu = h_mu = j_star = h_star = 0.0
                for m in range(directions):
                    inverse = 0.5 / (turn_0 + turn_1 * velocity[m, 0])
                    w0, w1 = weight[0, m] * inverse, weight[1, m] * inverse
                    rest = start[m, s, g, k] + up_0 + up_1 * velocity[m, 0]
                    j_one += w0
                    j_mu += w1
                    h_mu += w1 * velocity[m, 0]
                    j_star += w0 * rest
                    h_star += w1 * rest
                # (1 - s0 j_one) J - s1 j_mu H = j_star ; -s0 j_mu J + (1 - s1 h_mu) H = h_star
                a, b, d, e = 1.0 - s0 * j_one, -s1 * j_mu, -s0 * j_mu, 1.0 - s1 * h_mu
                determinant = a * e - b * d
                mean = (e * j_star - b * h_star) / determinant
                flux = (a * h_star - d * j_star) / determinant
                moments[s, 0, g, c] = mean
                moments[s, 1, g, c] = flux
                for m in range(directions):
                    f[m, s, g, k] = (
                        start[m, s, g, k] + up_0 + up_1 * velocity[m, 0] + s0 * mean + s1 * velocity[m, 0] * flux
                    ) / (turn_0 + turn_1 * velocity[m, 0])


@kernel
def _locked_update_axes(
    start, weight, velocity, h, scattering_0, scattering_1, component, gain, loss, coupled, f, moments
):
    """locked_update with any number of axes: one equation for every order, X_l = sum_m w_l f_m."""
    directions, species, groups, levels = f.shape
    axes = velocity.shape[1]
    orders = axes + 1
    up, turn, back = np.zeros(orders), np.zeros(orders), np.zeros(orders)
    unit = np.ones((directions, orders))
    unit[:, 1:] = velocity
    rest, inverse = np.empty(directions), np.empty(directions)
    matrix, x = np.empty((orders, orders)), np.empty(orders)
    for s in range(species):
        for g in range(groups):
            back[0] = h * scattering_0[s, g]
            back[1:] = 3.0 * h * scattering_1[s, g]
            for k in range(levels):
                c = component[s, k]
                up[0] = h * gain[s, 0, g, c]
                turn[0] = 1.0 + back[0] + up[0] + h * loss[s, 0, g, c]
                for d in range(1, orders):
                    up[d] = 3.0 * h * gain[s, d, g, c]
                    turn[d] = up[d] + 3.0 * h * loss[s, d, g, c] if coupled else 0.0
                matrix[:] = 0.0
                x[:] = 0.0
                for m in range(directions):
                    value, total = start[m, s, g, k], 0.0
                    for d in range(orders):
                        value += unit[m, d] * up[d]
                        total += unit[m, d] * turn[d]
                    rest[m], inverse[m] = value, 1.0 / total
                    for order in range(orders):
                        w = 0.5 * weight[order, m] * inverse[m]
                        x[order] += w * value
                        for d in range(orders):
                            matrix[order, d] -= w * unit[m, d]
                for order in range(orders):
                    for d in range(orders):
                        matrix[order, d] *= back[d]
                    matrix[order, order] += 1.0
                if not solve_dense(matrix, x, orders):
                    # no answer: the iteration must not take what is left for one
                    x[:] = np.nan
                for order in range(orders):
                    moments[s, order, g, c] = x[order]
                    x[order] *= back[order]
                for m in range(directions):
                    value = rest[m]
                    for d in range(orders):
                        value += unit[m, d] * x[d]
                    f[m, s, g, k] = value * inverse[m]


@kernel
def swept_update(
    start,
    weight,
    velocity,
    h,
    scattering_0,
    scattering_1,
    component,
    gain,
    loss,
    gamma,
    diamond,
    volume,
    positive,
    f,
    moments,
):
    """locked_update with angular redistribution, for one axis.

    ``positive``: an entry that would be negative somewhere takes upwind values in angle; returns how many did.
    """
    directions, species, groups, levels = f.shape
    cosine = velocity[:, 0].copy()
    rest, turnover, one = np.empty(directions), np.empty(directions), np.ones(directions)
    free, flat, tilted = np.empty(directions), np.zeros(directions), np.zeros(directions)
    fixed = 0
    for s in range(species):
        for g in range(groups):
            s0, s1 = h * scattering_0[s, g], 3.0 * h * scattering_1[s, g]
            for k in range(levels):
                c = component[s, k]
                for m in range(directions):
                    mu3 = 3.0 * cosine[m]
                    up = h * (gain[s, 0, g, c] + mu3 * gain[s, 1, g, c])
                    down = h * (loss[s, 0, g, c] + mu3 * loss[s, 1, g, c])
                    rest[m] = start[m, s, g, k] + up
                    turnover[m] = 1.0 + s0 + up + down
                for upwind in (False, True):
                    # the answer is a sum of three sweeps, for the known part and for unit J and H
                    sweep(rest, turnover, h, gamma, diamond, volume, upwind, free)
                    if s0 != 0.0:
                        sweep(one, turnover, h, gamma, diamond, volume, upwind, flat)
                    if s1 != 0.0:
                        sweep(cosine, turnover, h, gamma, diamond, volume, upwind, tilted)
                    j_free = j_flat = j_tilted = h_free = h_flat = h_tilted = 0.0
                    for m in range(directions):
                        w0, w1 = 0.5 * weight[0, m], 0.5 * weight[1, m]
                        j_free += w0 * free[m]
                        j_flat += w0 * flat[m]
                        j_tilted += w0 * tilted[m]
                        h_free += w1 * free[m]
                        h_flat += w1 * flat[m]
                        h_tilted += w1 * tilted[m]
                    a, b, d, e = 1.0 - s0 * j_flat, -s1 * j_tilted, -s0 * h_flat, 1.0 - s1 * h_tilted
                    determinant = a * e - b * d
                    mean = (e * j_free - b * h_free) / determinant
                    flux = (a * h_free - d * j_free) / determinant
                    lowest = 0.0
                    for m in range(directions):
                        f[m, s, g, k] = free[m] + s0 * mean * flat[m] + s1 * flux * tilted[m]
                        lowest = min(lowest, f[m, s, g, k])
                    if lowest >= 0.0 or not positive:
                        break
                    if not upwind:
                        fixed += 1
                moments[s, 0, g, c] = mean
                moments[s, 1, g, c] = flux
    return fixed


@kernel
def _mixed_update(
    start,
    weight,
    velocity,
    h,
    scattering_0,
    scattering_1,
    projector,
    gain,
    loss,
    gamma,
    diamond,
    volume,
    swept,
    moments,
    f,
):
    """f for given gain, loss and moments; then the moments of that f.

    Returns how many entries took upwind values in angle because they would have been negative.
    """
    directions, species, groups, levels = f.shape
    axes, components = velocity.shape[1], projector.shape[4]
    v3, tilt = np.empty(axes), np.empty(axes)
    up, down, scattered = np.empty(components), np.empty(components), np.empty(components)
    rest, turnover = np.empty((levels, directions)), np.empty((levels, directions))
    values = np.empty(directions)
    fixed = 0
    for s in range(species):
        for g in range(groups):
            s0, s1 = scattering_0[s, g], scattering_1[s, g]
            for m in range(directions):
                for d in range(axes):
                    v3[d] = 3.0 * velocity[m, d]
                combine(gain, s, g, v3, up)
                combine(loss, s, g, v3, down)
                if s0 != 0.0:
                    for d in range(axes):
                        tilt[d] = v3[d] * s1 / s0
                    combine(moments, s, g, tilt, scattered)
                for k in range(levels):
                    q = projector[m, s, g, k]
                    gained, lost = dot(q, up), dot(q, down)
                    source = gained
                    if s0 != 0.0:
                        source += s0 * dot(q, scattered)
                    rest[k, m] = start[m, s, g, k] + h * source
                    turnover[k, m] = 1.0 + h * (gained + lost + s0)
            for k in range(levels):
                if not swept:
                    for m in range(directions):
                        f[m, s, g, k] = rest[k, m] / turnover[k, m]
                    continue
                sweep(rest[k], turnover[k], h, gamma, diamond, volume, False, values)
                if values.min() < 0.0:
                    sweep(rest[k], turnover[k], h, gamma, diamond, volume, True, values)
                    fixed += 1
                f[:, s, g, k] = values
    mixed_moments(f, weight, projector, moments)
    return fixed


@kernel
def implicit_cell(
    start,
    weight,
    velocity,
    h,
    emissivity,
    absorption,
    scattering_0,
    scattering_1,
    kind,
    amplitude,
    kernel,
    ratio,
    component,
    is_mixed,
    projector,
    gamma,
    diamond,
    volume,
    tolerance,
    max_iterations,
    f,
):
    """Fill f[direction, species, group, level] with the solution for start = f*; f holds the first guess.

    Returns the number of iterations, negative if the tolerance (absolute, on the moments) was not reached,
    and the number of fix-ups of the angular redistribution.
    """
    _, species, groups, levels = f.shape
    orders = weight.shape[0]
    components = projector.shape[4] if is_mixed else DIAGONAL
    coupled = kind.shape[0] > 0
    swept = is_turning(velocity, gamma)
    if not coupled and not is_mixed:
        fixed = plain_cell(
            start,
            weight,
            velocity,
            h,
            emissivity,
            absorption,
            scattering_0,
            scattering_1,
            component,
            gamma,
            diamond,
            volume,
            np.empty((4, species * groups * levels)),
            f,
        )
        return 1, fixed
    gain = np.zeros((species, orders, groups, components))
    loss = np.zeros((species, orders, groups, components))
    moments = np.zeros((species, orders, groups, components))
    if is_mixed and not coupled and not swept and h * scattering_0.max() <= _SLOW:
        turns = plain_mixed_cell(
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
        )
        return turns, 0
    if is_mixed:
        mixed_moments(f, weight, projector, moments)
    else:
        locked_moments(f, weight, component, moments)
    size = moments.size
    x = moments.copy().reshape(size)
    old_x, old_step = np.zeros(size), np.zeros(size)
    dx, dstep = np.zeros((_DEPTH, size)), np.zeros((_DEPTH, size))
    known = 0
    fixed = 0
    for iteration in range(1, max_iterations + 1):
        moments.reshape(size)[:] = x
        gain[:] = 0.0
        loss[:] = 0.0
        add_emission_absorption(emissivity, absorption, gain, loss)
        add_energy_coupling(moments, 1.0, kind, amplitude, kernel, ratio, gain, loss)
        if is_mixed:
            fixed = _mixed_update(
                start,
                weight,
                velocity,
                h,
                scattering_0,
                scattering_1,
                projector,
                gain,
                loss,
                gamma,
                diamond,
                volume,
                swept,
                moments,
                f,
            )
        elif swept:
            fixed = swept_update(
                start,
                weight,
                velocity,
                h,
                scattering_0,
                scattering_1,
                component,
                gain,
                loss,
                gamma,
                diamond,
                volume,
                True,
                f,
                moments,
            )
        else:
            locked_update(
                start,
                weight,
                velocity,
                h,
                scattering_0,
                scattering_1,
                component,
                gain,
                loss,
                True,
                f,
                moments,
            )
        step = moments.copy().reshape(size) - x
        if np.max(np.abs(step)) <= tolerance:
            return iteration, fixed
        if iteration > 1:
            slot = (iteration - 2) % _DEPTH
            dx[slot] = x - old_x
            dstep[slot] = step - old_step
            known = min(known + 1, _DEPTH)
        old_x[:] = x
        old_step[:] = step
        x = x + step
        if known > 0:
            # the combination of past steps that cancels the present one best
            normal = np.zeros((known, known))
            right = np.zeros(known)
            for a in range(known):
                for b in range(a, known):
                    normal[a, b] = np.dot(dstep[a], dstep[b])
                    normal[b, a] = normal[a, b]
                right[a] = np.dot(dstep[a], step)
            for a in range(known):
                normal[a, a] = normal[a, a] * (1.0 + 1.0e-14) + 1.0e-300
            mix = np.linalg.solve(normal, right)
            for a in range(known):
                x -= mix[a] * (dx[a] + dstep[a])
    return -max_iterations, fixed


@kernel
def implicit_cells(
    start,
    weight,
    velocity,
    h,
    emissivity,
    absorption,
    scattering_0,
    scattering_1,
    kind,
    amplitude,
    kernel,
    ratio,
    component,
    mixed,
    projector,
    gamma,
    diamond,
    volume,
    tolerance,
    max_iterations,
    f,
    iterations,
    substeps,
):
    """implicit_cell on every cell; iterations[cell] is negative where it failed. Returns the angular fix-ups.

    weight, velocity, gamma and volume have one row a cell, or one for all. Where the iteration fails the step is
    divided into 4, 16 or 64 implicit ones; substeps[cell] counts them.
    """
    fixed = 0
    nothing = np.zeros((1, 1, 1, 1, DIAGONAL))
    rates = np.empty((4, f[0, 0].size))
    for i in range(start.shape[0]):
        if kind.shape[0] == 0 and mixed[i] < 0:
            # solved at once
            fixed += plain_cell(
                start[i],
                weight[i % weight.shape[0]],
                velocity[i % velocity.shape[0]],
                h,
                emissivity[i],
                absorption[i],
                scattering_0[i],
                scattering_1[i],
                component[i],
                gamma[i % gamma.shape[0]],
                diamond,
                volume[i % volume.shape[0]],
                rates,
                f[i],
            )
            iterations[i] = 1
            substeps[i] = 1
            continue
        row = projector[mixed[i]] if mixed[i] >= 0 else nothing
        parts = 1
        while parts <= _MOST_PARTS:
            origin = start[i]
            fixes = 0
            for _ in range(parts):
                count, fix = implicit_cell(
                    origin,
                    weight[i % weight.shape[0]],
                    velocity[i % velocity.shape[0]],
                    h / parts,
                    emissivity[i],
                    absorption[i],
                    scattering_0[i],
                    scattering_1[i],
                    kind,
                    amplitude,
                    kernel[:, i],
                    ratio,
                    component[i],
                    mixed[i] >= 0,
                    row,
                    gamma[i % gamma.shape[0]],
                    diamond,
                    volume[i % volume.shape[0]],
                    tolerance,
                    max_iterations,
                    f[i],
                )
                fixes += fix
                iterations[i] = count
                if count < 0:
                    break
                if parts > 1:
                    origin = f[i].copy()
            if iterations[i] >= 0:
                break
            f[i] = start[i]
            parts *= 4
        substeps[i] = parts
        fixed += fixes
    return fixed
