"""Right-hand sides of neutrino flavour kinetics with the commutator: the reference that the alignment is compared with.

Flavour-isospin form: a mode of negative frequency is an antineutrino, its weight is negative, and its polarization
vector (density matrix) is the one that is diagonal together with the neutrinos'. All obey one equation then,

    dP/dt = (w B + V L + mu D) x P,     D = sum of weight P,     L = z,

or i d rho/dt = [w A + V diag(1, 0, 0) + mu D, rho]. States are flat arrays, component by component, modes innermost:
(x, y, z), with collisions (x, y, z, trace), or the nine packed reals of a 3 x 3 Hermitian matrix. Each component has
its own loop: the compiler vectorises a loop only if it has few arrays to tell apart.
"""

from __future__ import annotations

from math import exp, sqrt

import numpy as np

from ..numba_cache import kernel

ISOTROPIC, COLLISIONAL, THREE_FLAVORS, BULB = 0, 1, 2, 3
LINEAR, EXPONENTIAL, POWER = 0.0, 1.0, 2.0
LANES = 8


@kernel
def law(parameters, t):
    """Value at t of a law (kind, a, b, c, d): a + b t, a exp(-t/b), or a ((t + d)/b)^c."""
    if parameters[0] == EXPONENTIAL:
        return parameters[1] * exp(-t / parameters[2])
    if parameters[0] == POWER:
        return parameters[1] * ((t + parameters[4]) / parameters[2]) ** parameters[3]
    return parameters[1] + parameters[2] * t


@kernel
def weighted_sum(weight, y, first):
    """Sum of weight[i] y[first + i], in lanes: one running sum would wait for each addition."""
    n = weight.size
    lanes = np.zeros(LANES)
    whole = n - n % LANES
    for i in range(0, whole, LANES):
        for k in range(LANES):
            lanes[k] += weight[i + k] * y[first + i + k]
    for i in range(whole, n):
        lanes[i - whole] += weight[i] * y[first + i]
    total = 0.0
    for k in range(LANES):
        total += lanes[k]
    return total


@kernel
def isotropic(t, y, frequency, weight, axis, matter, mu, out):
    """out = (w B + V L + mu D) x P of the first three components."""
    n = frequency.size
    m = law(mu, t)
    dx = m * weighted_sum(weight, y, 0)
    dy = m * weighted_sum(weight, y, n)
    dz = m * weighted_sum(weight, y, 2 * n) + law(matter, t)
    bx, by, bz = axis[0], axis[1], axis[2]
    for i in range(n):
        w = frequency[i]
        out[i] = (w * by + dy) * y[2 * n + i] - (w * bz + dz) * y[n + i]
    for i in range(n):
        w = frequency[i]
        out[n + i] = (w * bz + dz) * y[i] - (w * bx + dx) * y[2 * n + i]
    for i in range(n):
        w = frequency[i]
        out[2 * n + i] = (w * bx + dx) * y[n + i] - (w * by + dy) * y[i]


@kernel
def add_collisions(y, rate, equilibrium, out):
    """rho_ee relaxes to f_eq at the rate G, coherences are damped at G/2; out[3n:] is the change of the trace."""
    n = rate.size
    for i in range(n):
        half = 0.5 * rate[i]
        gain = rate[i] * (equilibrium[i] - 0.5 * (y[3 * n + i] + y[2 * n + i]))
        out[i] -= half * y[i]
        out[n + i] -= half * y[n + i]
        out[2 * n + i] += gain
        out[3 * n + i] = gain


@kernel
def three_flavors(t, y, frequency, weight, matrix, matter, mu, out):
    """out = -i [w A + V diag(1, 0, 0) + mu D, rho], packed [00, 11, 22, Re 01, Im 01, Re 02, Im 02, Re 12, Im 12]."""
    n = frequency.size
    m = law(mu, t)
    d = np.empty(9)
    for k in range(9):
        d[k] = m * weighted_sum(weight, y, k * n)
    d[0] += law(matter, t)
    for i in range(n):
        w = frequency[i]
        h00 = w * matrix[0] + d[0]
        h11 = w * matrix[1] + d[1]
        h22 = w * matrix[2] + d[2]
        h01 = complex(w * matrix[3] + d[3], w * matrix[4] + d[4])
        h02 = complex(w * matrix[5] + d[5], w * matrix[6] + d[6])
        h12 = complex(w * matrix[7] + d[7], w * matrix[8] + d[8])
        r00 = y[i]
        r11 = y[n + i]
        r22 = y[2 * n + i]
        r01 = complex(y[3 * n + i], y[4 * n + i])
        r02 = complex(y[5 * n + i], y[6 * n + i])
        r12 = complex(y[7 * n + i], y[8 * n + i])
        # -i (z - conj z) = 2 Im z, z = sum over the other flavours of H_ak rho_ka
        x01 = 2.0 * (h01 * r01.conjugate()).imag
        x02 = 2.0 * (h02 * r02.conjugate()).imag
        x12 = 2.0 * (h12 * r12.conjugate()).imag
        out[i] = x01 + x02
        out[n + i] = x12 - x01
        out[2 * n + i] = -x02 - x12
        c01 = (h00 - h11) * r01 - (r00 - r11) * h01 + h02 * r12.conjugate() - r02 * h12.conjugate()
        c02 = (h00 - h22) * r02 - (r00 - r22) * h02 + h01 * r12 - r01 * h12
        c12 = (h11 - h22) * r12 - (r11 - r22) * h12 + h01.conjugate() * r02 - r01.conjugate() * h02
        out[3 * n + i] = c01.imag
        out[4 * n + i] = -c01.real
        out[5 * n + i] = c02.imag
        out[6 * n + i] = -c02.real
        out[7 * n + i] = c12.imag
        out[8 * n + i] = -c12.real


@kernel
def bulb(r, y, frequency, weight, axis, matter, strength, emission, radius, out):
    """out = dP/dr of v dP/dr = (w B + V L + mu_0 A (S_0 - v S_1)) x P, components (frequency, angle), angles innermost.

    A = (radius/r)^2, v = sqrt(1 - u A) with u the emission (angle,), S_0 = <P/v>, S_1 = <P>: means over the angles,
    weighted sums over the frequencies.
    """
    n_angles = emission.size
    n_w = frequency.size
    n = n_w * n_angles
    area = (radius / r) ** 2
    coupling = law(strength, r) * area / n_angles
    inverse = np.empty(n_angles)
    total = np.zeros((3, n_angles))
    for c in range(3):
        row = total[c]
        for e in range(n_w):
            first = c * n + e * n_angles
            for j in range(n_angles):
                row[j] += weight[e] * y[first + j]
    s0 = np.zeros(3)
    s1 = np.zeros(3)
    for j in range(n_angles):
        inverse[j] = 1.0 / sqrt(1.0 - emission[j] * area)
        for c in range(3):
            s1[c] += total[c, j]
            s0[c] += total[c, j] * inverse[j]
    potential = law(matter, r)
    # H/v = (mu_0 A S_0 + V L)/v - mu_0 A S_1 + w B/v
    for c in range(3):
        row = total[c]
        near = coupling * s0[c] + (potential if c == 2 else 0.0)
        far = coupling * s1[c]
        for j in range(n_angles):
            row[j] = near * inverse[j] - far
    for c in range(3):
        # component c of h x P from the two that follow it in cyclic order
        a = (c + 1) % 3
        b = (c + 2) % 3
        h_a = total[a]
        h_b = total[b]
        for e in range(n_w):
            w_a = frequency[e] * axis[a]
            w_b = frequency[e] * axis[b]
            first = e * n_angles
            for j in range(n_angles):
                out[c * n + first + j] = (h_a[j] + w_a * inverse[j]) * y[b * n + first + j] - (
                    h_b[j] + w_b * inverse[j]
                ) * y[a * n + first + j]


@kernel
def rates(system, t, y, frequency, weight, axis, matter, mu, extra, radius, out):
    """out = dy/dt of a system; extra (row, column): collision rate and equilibrium, or the emission of the angles."""
    if system == BULB:
        bulb(t, y, frequency, weight, axis, matter, mu, extra[0], radius, out)
    elif system == THREE_FLAVORS:
        three_flavors(t, y, frequency, weight, axis, matter, mu, out)
    else:
        isotropic(t, y, frequency, weight, axis, matter, mu, out)
        if system == COLLISIONAL:
            add_collisions(y, extra[0], extra[1], out)
