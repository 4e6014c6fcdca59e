"""Implicit collisions in one cell: f = f* + h C(f), with h = c dt in cm.

For given gain and loss every occupation follows from the moments of f, so the unknowns are the moments only.
Without processes that couple groups the moments of a flavour-locked cell obey one 2 x 2 system a level;
otherwise they are the fixed point of moments -> gain, loss -> f -> moments, found with Anderson's acceleration.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .collisions import DIAGONAL, _project, add_emission_absorption, add_energy_coupling, mixed_moments

_DEPTH = 10  # differences that Anderson's acceleration remembers


@njit(cache=True)
def _locked_update(
    start, weight_0, weight_1, cosine, h, scattering_0, scattering_1, component, gain, loss, coupled, f, moments
):
    """f and its moments for given gain and loss, isoenergetic scattering solved exactly."""
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
                    inverse = 0.5 / (turn_0 + turn_1 * cosine[m])
                    w0, w1 = weight_0[m] * inverse, weight_1[m] * inverse
                    rest = start[m, s, g, k] + up_0 + up_1 * cosine[m]
                    j_one += w0
                    j_mu += w1
                    h_mu += w1 * cosine[m]
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
                    f[m, s, g, k] = (start[m, s, g, k] + up_0 + up_1 * cosine[m] + s0 * mean + s1 * cosine[m] * flux) / (
                        turn_0 + turn_1 * cosine[m]
                    )


@njit(cache=True)
def _mixed_update(
    start, weight_0, weight_1, cosine, h, scattering_0, scattering_1, projector, gain, loss, moments, f
):
    """f for given gain, loss and moments; then the moments of that f."""
    directions, species, groups, levels = f.shape
    for m in range(directions):
        mu3 = 3.0 * cosine[m]
        for s in range(species):
            for g in range(groups):
                s0, s1 = scattering_0[s, g], scattering_1[s, g]
                for k in range(levels):
                    q = projector[m, s, g, k]
                    up = _project(q, gain[s, 0, g], gain[s, 1, g], mu3)
                    down = _project(q, loss[s, 0, g], loss[s, 1, g], mu3)
                    source = up
                    if s0 != 0.0:
                        source += s0 * _project(q, moments[s, 0, g], moments[s, 1, g], mu3 * s1 / s0)
                    f[m, s, g, k] = (start[m, s, g, k] + h * source) / (1.0 + h * (up + down + s0))
    mixed_moments(f, weight_0, weight_1, projector, moments)


@njit(cache=True)
def implicit_cell(
    start,
    weight_0,
    weight_1,
    cosine,
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
    tolerance,
    max_iterations,
    f,
):
    """Fill f[direction, species, group, level] with the solution for start = f*; f holds the first guess.

    Returns the number of iterations, negative if the tolerance (absolute, on the moments) was not reached.
    """
    directions, species, groups, levels = f.shape
    components = projector.shape[4] if is_mixed else DIAGONAL
    coupled = kind.shape[0] > 0
    gain = np.zeros((species, 2, groups, components))
    loss = np.zeros((species, 2, groups, components))
    moments = np.zeros((species, 2, groups, components))
    if not coupled and not is_mixed:
        add_emission_absorption(emissivity, absorption, gain, loss)
        _locked_update(
            start, weight_0, weight_1, cosine, h, scattering_0, scattering_1, component, gain, loss, False, f, moments
        )
        return 1
    if is_mixed:
        mixed_moments(f, weight_0, weight_1, projector, moments)
    else:
        for m in range(directions):
            for s in range(species):
                for g in range(groups):
                    for k in range(levels):
                        moments[s, 0, g, component[s, k]] += 0.5 * weight_0[m] * f[m, s, g, k]
                        moments[s, 1, g, component[s, k]] += 0.5 * weight_1[m] * f[m, s, g, k]
    size = moments.size
    x = moments.copy().reshape(size)
    old_x, old_step = np.zeros(size), np.zeros(size)
    dx, dstep = np.zeros((_DEPTH, size)), np.zeros((_DEPTH, size))
    known = 0
    for iteration in range(1, max_iterations + 1):
        moments.reshape(size)[:] = x
        gain[:] = 0.0
        loss[:] = 0.0
        add_emission_absorption(emissivity, absorption, gain, loss)
        add_energy_coupling(moments, 1.0, kind, amplitude, kernel, ratio, gain, loss)
        if is_mixed:
            _mixed_update(
                start, weight_0, weight_1, cosine, h, scattering_0, scattering_1, projector, gain, loss, moments, f
            )
        else:
            _locked_update(
                start, weight_0, weight_1, cosine, h, scattering_0, scattering_1, component, gain, loss, True, f, moments
            )
        step = moments.copy().reshape(size) - x
        if np.max(np.abs(step)) <= tolerance:
            return iteration
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
    return -max_iterations


@njit(cache=True)
def implicit_cells(
    start,
    weight_0,
    weight_1,
    cosine,
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
    tolerance,
    max_iterations,
    f,
    iterations,
):
    """implicit_cell on every cell; iterations[cell] is negative where it failed."""
    for i in range(start.shape[0]):
        row = projector[mixed[i]] if mixed[i] >= 0 else np.zeros((1, 1, 1, 1, DIAGONAL))
        iterations[i] = implicit_cell(
            start[i],
            weight_0[i],
            weight_1[i],
            cosine[i],
            h,
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
            tolerance,
            max_iterations,
            f[i],
        )

