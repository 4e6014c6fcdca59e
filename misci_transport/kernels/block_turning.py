"""Turning of the direction of flight in spherical coordinates: G f, so that A f + G f is the derivative along a line.

    G f = -[(1 - mu^2) f]_mu/r + cot(theta) [sin(omega) sqrt(1 - mu^2) f]_omega/r

on a product set: direction = level * azimuths + azimuth, mu = v_r increasing with the level, omega =
(azimuth + 1/2) 2 pi/azimuths from e_theta towards e_phi. In finite volumes, for direction (l, a),

    (G f)_la = -p (alpha_{l+1/2} f_{l+1/2} - alpha_{l-1/2} f_{l-1/2})/w_l - q (beta_{a+1/2} f_{a+1/2} - beta_{a-1/2}
               f_{a-1/2}),     p = (A_r,high - A_r,low)/V, q = (A_theta,high - A_theta,low)/V (cm^-1)
    alpha_{l+1/2} = alpha_{l-1/2} - w_l v_r,  beta_{l,a+1/2} = beta_{l,a-1/2} - v_theta,  zero at the first edges

so that G 1 = p v_r + q v_theta cancels A 1 = -p v_r - q v_theta to round-off, cell by cell. p > 0 (about 2/r), alpha
is (1 - mu^2)/2 or so and the flow is towards mu = +1. q is about cot(theta)/r, beta about -sin(omega) sqrt(1 -
mu^2)/(2 pi/azimuths): for q > 0 the flow goes from omega = pi to omega = 0 on both halves of the ring, for q < 0
back, and none crosses omega = 0 or pi.

Half values along mu are upwind with limited slopes and not the diamond recursion of one dimension: v_theta and v_phi
go as sqrt(1 - mu^2), no interpolation gives the first half value of such a field to better than first order, and the
recursion carries that error, alternating, to mu = +1, where it is of order one in G f on any set.

Arrays: curvature[cell, 2] = p, q; f, out[cell (or row), direction, entry], owned cells first.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel


@kernel
def turning_coefficients(velocity, weight, azimuths):
    """alpha[level + 1], beta[level, azimuth + 1], level_weight[level], node[level, 2] of a product set.

    velocity[direction, 3] with components along e_r, e_theta, e_phi and weight[direction], sum 2; ``azimuths`` is
    even. node: (mu_{l+1/2} - mu_l)/(mu_{l+1} - mu_l) and (mu_{l+1} - mu_l)/(mu_l - mu_{l-1}) with mu_{l+1/2} = -1 +
    w_0 + ... + w_l, zero where a neighbour is missing. Edges where nothing flows hold exact zeros.
    """
    levels = weight.shape[0] // azimuths
    alpha, beta = np.zeros(levels + 1), np.zeros((levels, azimuths + 1))
    level_weight, node = np.zeros(levels), np.zeros((levels, 2))
    edge = -1.0
    for l in range(levels):
        first = l * azimuths
        cosine = velocity[first, 0]
        for a in range(azimuths):
            level_weight[l] += weight[first + a]
            beta[l, a + 1] = beta[l, a] - velocity[first + a, 1]
        beta[l, azimuths // 2] = 0.0
        beta[l, azimuths] = 0.0
        alpha[l + 1] = alpha[l] - level_weight[l] * cosine
        edge += level_weight[l]
        if l + 1 < levels:
            distance = velocity[first + azimuths, 0] - cosine
            node[l, 0] = (edge - cosine) / distance
            if l > 0:
                node[l, 1] = distance / (cosine - velocity[first - azimuths, 0])
    alpha[levels] = 0.0
    return alpha, beta, level_weight, node


@kernel
def turn(f, h, curvature, alpha, beta, level_weight, node, implicit, second_order, out):
    """out += h G f in the cells that are not ``implicit``, with half values from upwind.

    ``second_order``: limited slopes (van Leer) along mu, for every azimuth, and along omega, on the ring; half values
    are between their two neighbours, never negative, and exact for f linear in mu (exact diffusion limit). Otherwise
    plain upwind. implicit[cell] bool: those cells are left to `turn_implicit`. Coefficients from
    `turning_coefficients`.
    """
    cells, entries = out.shape[0], out.shape[2]
    levels, azimuths = beta.shape[0], beta.shape[1] - 1
    # flows below and above the level, for all azimuths
    edge = np.empty((2 * azimuths, entries))
    ring = np.empty((2, entries))
    for c in range(cells):
        if implicit[c]:
            continue
        p, q = h * curvature[c, 0], h * curvature[c, 1]
        if p != 0.0:
            for a in range(azimuths):
                for e in range(entries):
                    edge[a, e] = 0.0
            for l in range(levels):
                inverse = 1.0 / level_weight[l]
                for a in range(azimuths):
                    m = l * azimuths + a
                    below, above = (l % 2) * azimuths + a, ((l + 1) % 2) * azimuths + a
                    _level_flow(f, c, m, azimuths, l, levels, node, p * alpha[l + 1], second_order, edge, above)
                    for e in range(entries):
                        out[c, m, e] += inverse * (edge[below, e] - edge[above, e])
        if q != 0.0:
            for l in range(levels):
                first = l * azimuths
                for e in range(entries):
                    ring[0, e] = 0.0
                for a in range(azimuths):
                    # the flow through the edge above; none at omega = 0, where the ring closes
                    now, then = a % 2, (a + 1) % 2
                    _ring_flow(f, c, first, a, azimuths, q * beta[l, a + 1], second_order, ring, then)
                    for e in range(entries):
                        out[c, first + a, e] += ring[now, e] - ring[then, e]


@kernel
def _level_flow(f, c, m, azimuths, level, levels, node, flow, second_order, out, to):
    """out[to] = flow times the value between the level of direction m and the next one, at the same azimuth."""
    entries = f.shape[2]
    reach, stretch = node[level, 0], node[level, 1]
    following, before = m + azimuths, m - azimuths
    if level + 1 == levels:
        # nothing flows at mu = 1
        for e in range(entries):
            out[to, e] = 0.0
    elif not second_order:
        for e in range(entries):
            out[to, e] = flow * f[c, m, e]
    elif level == 0:
        for e in range(entries):
            value = f[c, m, e]
            half = value + reach * (f[c, following, e] - value)
            # a steep start must not take out more than there is
            out[to, e] = flow * (half if half < 2.0 * value else 2.0 * value)
    else:
        most = min(2.0 * reach, 1.0)
        for e in range(entries):
            value = f[c, m, e]
            step = f[c, following, e] - value
            back = stretch * (value - f[c, before, e])
            product = step * back
            # 2 back/(step + back) < 2, of the step; beyond the neighbour never
            share = 2.0 * reach * back / (step + back) if product > 0.0 else 0.0
            out[to, e] = flow * (value + (share if share < most else most) * step)


@kernel
def _ring_flow(f, c, first, a, azimuths, flow, second_order, out, to):
    """out[to] = flow times the value between azimuths a and a + 1 of the ring that begins at direction ``first``."""
    entries = f.shape[2]
    if flow == 0.0:
        for e in range(entries):
            out[to, e] = 0.0
        return
    if flow > 0.0:
        up, down, behind = a, a + 1, a - 1
    else:
        up, down, behind = a + 1, a, a + 2
    up, down, behind = first + up % azimuths, first + down % azimuths, first + behind % azimuths
    if second_order:
        for e in range(entries):
            value = f[c, up, e]
            step = f[c, down, e] - value
            back = value - f[c, behind, e]
            product = step * back
            half = product / (step + back) if product > 0.0 else 0.0
            out[to, e] = flow * (value + half)
    else:
        for e in range(entries):
            out[to, e] = flow * f[c, up, e]


@kernel
def turn_implicit(start, h, curvature, alpha, beta, level_weight, implicit, out):
    """out = start + h G out in the ``implicit`` cells, with upwind half values; the others are not touched.

    The flow is towards mu = +1 and, on the ring, away from omega = pi (q > 0) or omega = 0 (q < 0), so that each
    direction follows from two that are done: one sweep. start >= 0 gives out >= 0 for any h > 0, and
    start = f + h A f with isotropic f gives out = f. out may be start.
    """
    cells, entries = out.shape[0], out.shape[2]
    levels, azimuths = beta.shape[0], beta.shape[1] - 1
    half = azimuths // 2
    for c in range(cells):
        if not implicit[c]:
            continue
        p, q = h * curvature[c, 0], h * curvature[c, 1]
        for l in range(levels):
            first = l * azimuths
            from_below = p * alpha[l] / level_weight[l]
            up = p * alpha[l + 1] / level_weight[l]
            for n in range(azimuths):
                # both halves of the ring, from where the flow begins
                a = n if (q > 0.0) == (n >= half) else (half - 1 - n if n < half else azimuths + half - 1 - n)
                m = first + a
                # flow out of and into this direction through the edges a and a + 1
                low, high = q * beta[l, a], q * beta[l, a + 1]
                leaving = up + max(high, 0.0) + max(-low, 0.0)
                scale = 1.0 / (1.0 + leaving)
                below = m - azimuths if l > 0 else m
                if low > 0.0:
                    side, from_side = first + (a - 1) % azimuths, low
                elif high < 0.0:
                    side, from_side = first + (a + 1) % azimuths, -high
                else:
                    side, from_side = m, 0.0
                if l == 0 and from_side == 0.0:
                    for e in range(entries):
                        out[c, m, e] = scale * start[c, m, e]
                elif l == 0:
                    for e in range(entries):
                        out[c, m, e] = scale * (start[c, m, e] + from_side * out[c, side, e])
                elif from_side == 0.0:
                    for e in range(entries):
                        out[c, m, e] = scale * (start[c, m, e] + from_below * out[c, below, e])
                else:
                    for e in range(entries):
                        out[c, m, e] = scale * (
                            start[c, m, e] + from_below * out[c, below, e] + from_side * out[c, side, e]
                        )
