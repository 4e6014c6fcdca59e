"""Linear stability of an aligned state: the response of a cell's moments at complex frequency and wave number.

A perturbation exp(i K r - i sigma t) of an aligned state obeys i(d_t + mu d_r) rho = [H, rho] to first order if

    M(sigma, K) dD = 0,    M = 1 - strength R,
    R: dD -> sum_{m,s,g} w_l (+1 nu, -1 nubar) N_g U (k o U^+ dH U) U^+,    dH = dD_0 - mu dD_1,
    k_kl = (n_k - n_l)/((h_k - h_l) - i Gamma_kl - (sigma - mu K)),   Gamma the damping of coherences by collisions.

With directions on the whole sphere mu is the unit vector v, K and D_1 are vectors, and every symmetry is included.

Zeros of det M with Im sigma > 0 are instabilities. At sigma = K = 0 M is 1 minus the Jacobian of the alignment
(`alignment_residual.evaluate`). Perturbations that break the axial symmetry have the block
M_T = 1 + strength sum w_0 (1 - mu^2)/2 (...). Coordinates as in `alignment_residual`. Source: S. Airen et al., JCAP 12
(2018) 019, arXiv:1809.09137 (flavour-pure states); derivation and numerics: docs/validity.md.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel
from .adiabaticity import ray_field
from .hermitian import eigen_batch

#: Frequencies that are worked on together: their factors stay in the cache.
POINTS = 32


@kernel
def level_modes(
    populations, velocity, number_weight, vacuum, field, n_flavors, gap, difference, vacuum_gap, content, real, imag
):
    """Modes of one cell: gap h_k - h_l < 0, difference +-N_g (n_k - n_l), and <k|T_a|l> = real + i imag, for k < l.

    populations (direction, species, group, level); velocity (direction, axis); vacuum (group, N_f^2), field (1 + axes,
    N_f^2) packed, cm^-1. Out: gap, difference and what the vacuum term gives of the gap (direction, 2 group, pair),
    content |U_ak|^2 (direction, 2 group, level, flavour), real and imag (direction, 2 group, pair, N_f^2 - 1);
    neutrinos first. T_a is the basis of the coordinates, Tr T_a T_b = delta_ab.
    """
    own = np.empty(3)
    n = n_flavors
    groups = number_weight.size
    base = np.empty(9)
    packed = np.empty((2 * groups, n * n))
    values = np.empty((2 * groups, n))
    vector_r = np.empty((2 * groups, n, n))
    vector_i = np.empty((2 * groups, n, n))
    half = sqrt(0.5)
    for m in range(velocity.shape[0]):
        ray_field(field, velocity[m], n, base)
        for g in range(groups):
            for c in range(n * n):
                packed[g, c] = base[c] + vacuum[g, c]
                packed[groups + g, c] = base[c] - vacuum[g, c]
        eigen_batch(packed, values, vector_r, vector_i)
        for q in range(2 * groups):
            species = q // groups
            g = q - species * groups
            weight = number_weight[g] * (1.0 - 2.0 * species)
            for k in range(n):
                own[k] = 0.0
                coordinate = n
                for a in range(n):
                    ar = vector_r[q, a, k]
                    ai = vector_i[q, a, k]
                    content[m, q, k, a] = ar * ar + ai * ai
                    own[k] += vacuum[g, a] * content[m, q, k, a]
                    for b in range(a + 1, n):
                        pr = ar * vector_r[q, b, k] + ai * vector_i[q, b, k]
                        pi = ar * vector_i[q, b, k] - ai * vector_r[q, b, k]
                        own[k] += 2.0 * (vacuum[g, coordinate] * pr - vacuum[g, coordinate + 1] * pi)
                        coordinate += 2
            pair = 0
            for k in range(n):
                for l in range(k + 1, n):
                    gap[m, q, pair] = values[q, k] - values[q, l]
                    vacuum_gap[m, q, pair] = (1.0 - 2.0 * species) * (own[k] - own[l])
                    difference[m, q, pair] = weight * (populations[m, species, g, k] - populations[m, species, g, l])
                    diagonal_r = np.empty(3)
                    diagonal_i = np.empty(3)
                    coordinate = n - 1
                    for a in range(n):
                        # conj(U_ak) U_bl = p + i q for the pairs of flavours a <= b, and the same with a and b swapped
                        ar = vector_r[q, a, k]
                        ai = vector_i[q, a, k]
                        diagonal_r[a] = ar * vector_r[q, a, l] + ai * vector_i[q, a, l]
                        diagonal_i[a] = ar * vector_i[q, a, l] - ai * vector_r[q, a, l]
                        for b in range(a + 1, n):
                            pr = ar * vector_r[q, b, l] + ai * vector_i[q, b, l]
                            pi = ar * vector_i[q, b, l] - ai * vector_r[q, b, l]
                            ur = vector_r[q, b, k] * vector_r[q, a, l] + vector_i[q, b, k] * vector_i[q, a, l]
                            ui = vector_r[q, b, k] * vector_i[q, a, l] - vector_i[q, b, k] * vector_r[q, a, l]
                            real[m, q, pair, coordinate] = half * (pr + ur)
                            imag[m, q, pair, coordinate] = half * (pi + ui)
                            real[m, q, pair, coordinate + 1] = half * (ui - pi)
                            imag[m, q, pair, coordinate + 1] = half * (pr - ur)
                            coordinate += 2
                    if n == 2:
                        real[m, q, pair, 0] = half * (diagonal_r[0] - diagonal_r[1])
                        imag[m, q, pair, 0] = half * (diagonal_i[0] - diagonal_i[1])
                    else:
                        sixth = 1.0 / sqrt(6.0)
                        real[m, q, pair, 0] = sixth * (2.0 * diagonal_r[0] - diagonal_r[1] - diagonal_r[2])
                        imag[m, q, pair, 0] = sixth * (2.0 * diagonal_i[0] - diagonal_i[1] - diagonal_i[2])
                        real[m, q, pair, 1] = half * (diagonal_r[1] - diagonal_r[2])
                        imag[m, q, pair, 1] = half * (diagonal_i[1] - diagonal_i[2])
                    pair += 1


@kernel
def axial_vertex(weight_0, weight_1, direction_cosine, vertex):
    """Vertex (direction, 2, 2) = (w_0, w_1) (1, -mu): perturbations of D_0 and D_1."""
    for m in range(direction_cosine.size):
        vertex[m, 0, 0] = weight_0[m]
        vertex[m, 0, 1] = -direction_cosine[m] * weight_0[m]
        vertex[m, 1, 0] = weight_1[m]
        vertex[m, 1, 1] = -direction_cosine[m] * weight_1[m]


@kernel
def transverse_vertex(weight_0, direction_cosine, vertex):
    """Vertex (direction, 1, 1) = -w_0 (1 - mu^2)/2: perturbations of the flux across the radius."""
    for m in range(direction_cosine.size):
        vertex[m, 0, 0] = -0.5 * weight_0[m] * (1.0 - direction_cosine[m] ** 2)


@kernel
def sphere_vertex(weight_0, velocity, vertex):
    """Vertex (direction, 4, 4) = w_0 (1, v) (1, -v): perturbations of D_0 and of the vector D_1; v (direction, 3)."""
    for m in range(velocity.shape[0]):
        for l in range(4):
            left = weight_0[m] if l == 0 else weight_0[m] * velocity[m, l - 1]
            vertex[m, l, 0] = left
            for k in range(1, 4):
                vertex[m, l, k] = -left * velocity[m, k - 1]


@kernel
def mode_products(real, imag, even, odd):
    """Even (..., d (d + 1)/2) = Re(V_b V_a^*), a <= b, and odd (..., d (d - 1)/2) = Im(V_b V_a^*), a < b.

    V_a = <k|T_a|l> = real + i imag, flat (mode, d) with d = N_f^2 - 1.
    """
    d = real.shape[1]
    for mode in range(real.shape[0]):
        row = 0
        skew = 0
        for a in range(d):
            for b in range(a, d):
                even[mode, row] = real[mode, a] * real[mode, b] + imag[mode, a] * imag[mode, b]
                row += 1
                if b > a:
                    odd[mode, skew] = imag[mode, b] * real[mode, a] - real[mode, b] * imag[mode, a]
                    skew += 1


@kernel
def response_factors(offset, center, shift, gap, damping, difference, plus, minus):
    """k_kl + k_lk into plus and k_kl - k_lk into minus, (4 point, mode): real, imaginary part, and d/dsigma of both.

    One ray: shift = mu K; gap, damping and difference (mode); the frequencies are center + offset (point).
    """
    count = offset.size
    for point in range(count):
        re = offset[point].real
        above = offset[point].imag
        for mode in range(gap.size):
            p = difference[mode]
            y = above + damping[mode]
            # The center is subtracted first: near a common precession this difference is exact.
            x = ((gap[mode] - center) + shift) - re
            s = 1.0 / (x * x + y * y) if p != 0.0 else 0.0
            ar = x * s
            ai = y * s
            x = ((-gap[mode] - center) + shift) - re
            s = 1.0 / (x * x + y * y) if p != 0.0 else 0.0
            br = x * s
            bi = y * s
            plus[point, mode] = p * (ar - br)
            plus[count + point, mode] = p * (ai - bi)
            minus[point, mode] = p * (ar + br)
            minus[count + point, mode] = p * (ai + bi)
            # d/dsigma of 1/(low - sigma) is its square
            cr = ar * ar - ai * ai
            ci = 2.0 * ar * ai
            dr = br * br - bi * bi
            di = 2.0 * br * bi
            plus[2 * count + point, mode] = p * (cr - dr)
            plus[3 * count + point, mode] = p * (ci - di)
            minus[2 * count + point, mode] = p * (cr + dr)
            minus[3 * count + point, mode] = p * (ci + di)


@kernel
def stability_matrix(offset, center, shift, gap, damping, difference, even, odd, vertex, strength, matrix, slope):
    """M(sigma, K) and dM/dsigma at sigma = center + offset, off all poles, into matrix and slope.

    offset (point) complex; center real; shift (direction) = v . K, cm^-1; gap, damping, difference (direction, mode),
    even, odd (direction, mode, product) from `level_modes` and `mode_products`; vertex (direction, L, L) from
    `axial_vertex`, `transverse_vertex` or `sphere_vertex`; matrix, slope (point, L d, L d) complex, d = N_f^2 - 1. A
    pair of levels k < l gives (k_kl + k_lk) even + i (k_kl - k_lk) odd: a product of matrices, which is left to BLAS.
    """
    blocks = vertex.shape[1]
    d = matrix.shape[1] // blocks
    modes = gap.shape[1]
    matrix[:] = 0.0
    slope[:] = 0.0
    for a in range(blocks * d):
        matrix[:, a, a] = 1.0
    for start in range(0, offset.size, POINTS):
        count = min(POINTS, offset.size - start)
        plus = np.empty((4 * count, modes))
        minus = np.empty((4 * count, modes))
        for m in range(shift.size):
            here = offset[start : start + count]
            response_factors(here, center, shift[m], gap[m], damping[m], difference[m], plus, minus)
            upper = np.dot(plus, even[m])
            skewed = np.dot(minus, odd[m])
            for i in range(count):
                row = 0
                skew = 0
                for a in range(d):
                    for b in range(a, d):
                        value = complex(upper[i, row], upper[count + i, row])
                        value_slope = complex(upper[2 * count + i, row], upper[3 * count + i, row])
                        turn = complex(0.0, 0.0)
                        turn_slope = complex(0.0, 0.0)
                        if b > a:
                            turn = complex(-skewed[count + i, skew], skewed[i, skew])
                            turn_slope = complex(-skewed[3 * count + i, skew], skewed[2 * count + i, skew])
                            skew += 1
                        row += 1
                        for l in range(blocks):
                            for k in range(blocks):
                                factor = strength * vertex[m, l, k]
                                matrix[start + i, l * d + a, k * d + b] -= factor * (value + turn)
                                slope[start + i, l * d + a, k * d + b] -= factor * (value_slope + turn_slope)
                                if b > a:
                                    matrix[start + i, l * d + b, k * d + a] -= factor * (value - turn)
                                    slope[start + i, l * d + b, k * d + a] -= factor * (value_slope - turn_slope)


@kernel
def pair_response(real, imag, center, shift, gap, damping, difference, response):
    """sum_modes p/(gap - i Gamma + shift - sigma) and d/dsigma of it into response (2, 2, direction, point).

    Real and imaginary parts along the second axis. Of one pair of flavours: sigma = center + real + i imag (point);
    gap, damping Gamma, difference p (direction, mode).
    """
    points = real.size
    response[:] = 0.0
    for m in range(shift.size):
        for mode in range(gap.shape[1]):
            p = difference[m, mode]
            if p == 0.0:
                continue
            # The center is subtracted first: near a common precession this difference is exact.
            pole = (gap[m, mode] - center) + shift[m]
            damped = damping[m, mode]
            for point in range(points):
                x = pole - real[point]
                y = imag[point] + damped
                s = 1.0 / (x * x + y * y)
                # 1/(x - i y), and d/dsigma of it is its square
                ar = x * s
                ai = y * s
                response[0, 0, m, point] += p * ar
                response[0, 1, m, point] += p * ai
                response[1, 0, m, point] += p * (ar * ar - ai * ai)
                response[1, 1, m, point] += p * 2.0 * ar * ai
