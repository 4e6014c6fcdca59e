"""Quantum kinetics with the first gradients of the self-energy: FRS24 Eqs. (16)-(20), two flavours, one dimension.

Fiorillo, Raffelt, Sigl, Inhomogeneous kinetic equation for mixed neutrinos. With density matrices
rho = (P^0 + P . sigma)/2 and the same form for the self-energy Omega, at momentum (p_z, p_perp), v = p_z/p,

    d_t P + v d_z P = Omega x P - {d_p Omega, d_z P}/2 + {d_z Omega, d_p P}/2,    d_p = d/dp_z at fixed p_perp,
    Omega = (3 X^0, X),  X = F_0 - v F_1,  F_l = mu sum w v^l P,   {a, b} = (a0 b0 + a . b, a0 b + b0 a).

The brackets are taken as half of {A, d P} + d {A, P}, and differences are antisymmetric: the sum of tr rho^2 is then
constant, and that of tr rho, to round-off. Arrays are (component 0 x y z, momentum, cell), cells innermost.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel

#: Antisymmetric central differences of order 8: f' = sum_s c_s (f(x + s h) - f(x - s h))/h.
STENCIL = (4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0)
REACH = 4


@kernel
def moments(p, weight, velocity, mu, out):
    """out (order 0 1, component, cell) = F_l = mu sum_m w v^l P of p (component, momentum, cell)."""
    out[:] = 0.0
    cells = p.shape[2]
    for a in range(4):
        for m in range(p.shape[1]):
            factor = mu * weight[m]
            turned = factor * velocity[m]
            for i in range(cells):
                out[0, a, i] += factor * p[a, m, i]
                out[1, a, i] += turned * p[a, m, i]


@kernel
def along(f, step, out):
    """out = df/dz of periodic rows f (row, cell)."""
    cells = f.shape[1]
    for row in range(f.shape[0]):
        for i in range(cells):
            total = 0.0
            for s in range(REACH):
                high = i + s + 1
                high = high if high < cells else high - cells
                total += STENCIL[s] * (f[row, high] - f[row, i - s - 1])
            out[row, i] = total / step


@kernel
def bracket(scalar, vector, p, m, out):
    """out (component, momentum m, cell) = {a, P}, a = (scalar, vector) (cell,), (3, cell)."""
    for i in range(p.shape[2]):
        a0 = scalar[i]
        p0 = p[0, m, i]
        out[0, m, i] = a0 * p0 + vector[0, i] * p[1, m, i] + vector[1, i] * p[2, m, i] + vector[2, i] * p[3, m, i]
        for c in range(3):
            out[c + 1, m, i] = a0 * p[c + 1, m, i] + p0 * vector[c, i]


@kernel
def rate(p, weight, velocity, slope, first, mu, dz, dp, out):
    """out = dP/dt without the bracket terms where ``slope`` is zero; p and out (component, momentum, cell).

    slope (momentum,) is d_p v by the same differences; first (beam + 1,) numbers where beams begin and end: momenta of
    one beam have p_perp in common and are dp apart. Outside a beam's momenta there is nothing.
    """
    momenta = p.shape[1]
    cells = p.shape[2]
    f = np.empty((2, 4, cells))
    moments(p, weight, velocity, mu, f)
    df = np.empty((8, cells))
    along(f.reshape(8, cells), dz, df)
    # d_z Omega and its bracket with P
    force = np.empty((4, momenta, cells))
    pressed = np.empty((4, momenta, cells))
    dpz = np.empty((4 * momenta, cells))
    along(p.reshape(4 * momenta, cells), dz, dpz)
    for m in range(momenta):
        v = velocity[m]
        for i in range(cells):
            force[0, m, i] = 3.0 * (df[0, i] - v * df[4, i])
            for c in range(1, 4):
                force[c, m, i] = df[c, i] - v * df[4 + c, i]
        bracket(force[0, m], force[1:, m], p, m, pressed)
    turned = np.empty((4, cells))
    for m in range(momenta):
        v = velocity[m]
        for i in range(cells):
            x = f[0, 1, i] - v * f[1, 1, i]
            y = f[0, 2, i] - v * f[1, 2, i]
            z = f[0, 3, i] - v * f[1, 3, i]
            out[0, m, i] = -v * dpz[m, i]
            out[1, m, i] = -v * dpz[momenta + m, i] + y * p[3, m, i] - z * p[2, m, i]
            out[2, m, i] = -v * dpz[2 * momenta + m, i] + z * p[1, m, i] - x * p[3, m, i]
            out[3, m, i] = -v * dpz[3 * momenta + m, i] + x * p[2, m, i] - y * p[1, m, i]
        if slope[m] != 0.0:
            # d_p Omega = - v' (3 F_1^0, F_1)
            for i in range(cells):
                a0 = -3.0 * slope[m] * f[1, 0, i]
                p0 = p[0, m, i]
                d0 = dpz[m, i]
                turned[0, i] = a0 * p0
                total = a0 * d0
                for c in range(1, 4):
                    a = -slope[m] * f[1, c, i]
                    turned[0, i] += a * p[c, m, i]
                    turned[c, i] = a0 * p[c, m, i] + p0 * a
                    total += a * dpz[c * momenta + m, i]
                    out[c, m, i] -= 0.25 * (a0 * dpz[c * momenta + m, i] + d0 * a)
                out[0, m, i] -= 0.25 * total
            slopes = np.empty((4, cells))
            along(turned, dz, slopes)
            for c in range(4):
                for i in range(cells):
                    out[c, m, i] -= 0.25 * slopes[c, i]
    slopes = np.empty((4, cells))
    for beam in range(first.size - 1):
        low = first[beam]
        high = first[beam + 1]
        for m in range(low, high):
            slopes[:] = 0.0
            for s in range(REACH):
                for sign in (1, -1):
                    n = m + sign * (s + 1)
                    if n < low or n >= high:
                        continue
                    factor = sign * STENCIL[s] / dp
                    for c in range(4):
                        for i in range(cells):
                            slopes[c, i] += factor * p[c, n, i]
                            out[c, m, i] += 0.25 * factor * pressed[c, n, i]
            for i in range(cells):
                a0 = force[0, m, i]
                d0 = slopes[0, i]
                total = a0 * d0
                for c in range(1, 4):
                    total += force[c, m, i] * slopes[c, i]
                    out[c, m, i] += 0.25 * (a0 * slopes[c, i] + d0 * force[c, m, i])
                out[0, m, i] += 0.25 * total
