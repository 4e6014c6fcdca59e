"""Residual and Jacobian of mixing equilibrium, Eq. (9) of Johns, arXiv:2306.14982, for a batch of cells.

Unknowns of a cell: the coordinates of D_0 and of the components of D_1, then beta, then two multipliers lambda_a.
Residuals in the same order: D_out - D, U - given, Tr(Q_a D_0) - given. Weights are w_0 and w_0 v, so that H follows
from the energy of Eq. (5). docs/thermodynamics.md derives signs and Jacobian.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .alignment_residual import SQRT1_2, SQRT2, SQRT2_3, SQRT6
from .hermitian import eigen_batch
from .thermal_state import generator_elements, occupations, response

CHARGES = 2


@kernel
def pack_traceless(x, n_flavors, packed):
    """Packed matrix of traceless coordinates x (d)."""
    if n_flavors == 2:
        packed[0] = SQRT1_2 * x[0]
        packed[1] = -packed[0]
        packed[2] = SQRT1_2 * x[1]
        packed[3] = SQRT1_2 * x[2]
    else:
        packed[0] = SQRT2_3 * x[0]
        packed[1] = -x[0] / SQRT6 + SQRT1_2 * x[1]
        packed[2] = -x[0] / SQRT6 - SQRT1_2 * x[1]
        for k in range(6):
            packed[3 + k] = SQRT1_2 * x[2 + k]


@kernel
def coordinates_of(packed, n_flavors, x):
    """Traceless coordinates x (d) of a packed matrix."""
    if n_flavors == 2:
        x[0] = (packed[0] - packed[1]) * SQRT1_2
        x[1] = SQRT2 * packed[2]
        x[2] = SQRT2 * packed[3]
    else:
        x[0] = (packed[0] - 0.5 * (packed[1] + packed[2])) * SQRT2_3
        x[1] = (packed[1] - packed[2]) * SQRT1_2
        for k in range(6):
            x[2 + k] = SQRT2 * packed[3 + k]


@kernel
def exponents(y, velocity, vacuum, external, charges, strength, n_flavors, h, packed):
    """H along all momenta as coordinates h (direction, 2, group, d), and X = beta H + lambda Q as packed (row, N^2).

    vacuum (group, d), external (order, d) with H = +-vacuum + external_0 - v . external_1 + strength (D_0 - v . D_1).
    """
    d = n_flavors * n_flavors - 1
    orders = external.shape[0]
    beta = y[orders * d]
    x = np.empty(d)
    row = 0
    for m in range(velocity.shape[0]):
        for s in range(2):
            sign = 1.0 - 2.0 * s
            for g in range(vacuum.shape[0]):
                for c in range(d):
                    value = external[0, c] + strength * y[c]
                    for l in range(1, orders):
                        value -= velocity[m, l - 1] * (external[l, c] + strength * y[l * d + c])
                    value += sign * vacuum[g, c]
                    h[m, s, g, c] = value
                    x[c] = beta * value
                    for q in range(CHARGES):
                        x[c] += y[orders * d + 1 + q] * charges[q, c]
                pack_traceless(x, n_flavors, packed[row])
                row += 1


@kernel
def equilibrium_residual(
    y,
    numbers,
    weight_0,
    velocity,
    number_weight,
    vacuum,
    external,
    charges,
    strength,
    n_flavors,
    energy,
    charge,
    with_jacobian,
    residual,
    jacobian,
):
    """Fill residual (unknowns) and, if wanted, its Jacobian (unknowns, unknowns) for one cell.

    numbers (direction, 2, group) are the traces of rho over the mixing flavours; energy and charge (2) what is given.
    """
    n = n_flavors
    d = n * n - 1
    orders = external.shape[0]
    directions = velocity.shape[0]
    groups = vacuum.shape[0]
    size = orders * d
    rows = directions * 2 * groups
    h = np.empty((directions, 2, groups, d))
    packed = np.empty((rows, n * n))
    values = np.empty((rows, n))
    real = np.empty((rows, n, n))
    imag = np.empty((rows, n, n))
    exponents(y, velocity, vacuum, external, charges, strength, n, h, packed)
    eigen_batch(packed, values, real, imag)
    beta = y[size]
    a = np.empty(n)
    f = np.empty(n)
    hole = np.empty(n)
    tr = np.empty((d, n, n))
    ti = np.empty((d, n, n))
    one = np.empty((d, d))
    along = np.empty((d, d))
    rho = np.empty(d)
    sum_rho = np.empty(d)
    sum_rh = np.empty(d)
    factor = np.empty(orders)
    charge_response = np.empty((CHARGES, d))
    residual[:] = 0.0
    jacobian[:] = 0.0
    row = 0
    for m in range(directions):
        along[:] = 0.0
        sum_rho[:] = 0.0
        sum_rh[:] = 0.0
        hrh = 0.0
        for s in range(2):
            sign = 1.0 - 2.0 * s
            for g in range(groups):
                weight = number_weight[g]
                for k in range(n):
                    a[k] = sign * values[row, k]
                occupations(a, numbers[m, s, g], n, f, hole)
                generator_elements(real[row], imag[row], n, tr, ti)
                for c in range(d):
                    value = 0.0
                    for k in range(n):
                        value += f[k] * tr[c, k, k]
                    rho[c] = sign * weight * value
                    sum_rho[c] += rho[c]
                    residual[size] += weight_0[m] * rho[c] * h[m, s, g, c]
                if with_jacobian and weight != 0.0:
                    response(a, f, hole, tr, ti, n, one)
                    for c in range(d):
                        value = 0.0
                        for e in range(d):
                            along[c, e] += weight * one[c, e]
                            value += one[c, e] * h[m, s, g, e]
                        sum_rh[c] += weight * value
                        hrh += weight * value * h[m, s, g, c]
                row += 1
        factor[0] = 1.0
        for l in range(1, orders):
            factor[l] = -velocity[m, l - 1]
        w = weight_0[m]
        for l in range(orders):
            v = w * abs_sign(l) * factor[l]
            for c in range(d):
                residual[l * d + c] += v * sum_rho[c]
        for q in range(CHARGES):
            for c in range(d):
                residual[size + 1 + q] += w * charges[q, c] * sum_rho[c]
        if with_jacobian:
            for q in range(CHARGES):
                for c in range(d):
                    value = 0.0
                    for e in range(d):
                        value += along[c, e] * charges[q, e]
                    charge_response[q, c] = value
            for l in range(orders):
                v = w * abs_sign(l) * factor[l]
                for c in range(d):
                    i = l * d + c
                    for other in range(orders):
                        slope = v * beta * strength * factor[other]
                        for e in range(d):
                            jacobian[i, other * d + e] += slope * along[c, e]
                    jacobian[i, size] += v * sum_rh[c]
                    for q in range(CHARGES):
                        jacobian[i, size + 1 + q] += v * charge_response[q, c]
            for other in range(orders):
                slope = w * beta * strength * factor[other]
                for e in range(d):
                    jacobian[size, other * d + e] += slope * sum_rh[e]
                    for q in range(CHARGES):
                        jacobian[size + 1 + q, other * d + e] += slope * charge_response[q, e]
            jacobian[size, size] += w * hrh
            for q in range(CHARGES):
                for c in range(d):
                    jacobian[size, size + 1 + q] += w * sum_rh[c] * charges[q, c]
                    jacobian[size + 1 + q, size] += w * sum_rh[c] * charges[q, c]
                    for p in range(CHARGES):
                        jacobian[size + 1 + p, size + 1 + q] += w * charges[p, c] * charge_response[q, c]
    for l in range(orders):
        side = 1.0 if l == 0 else -1.0
        for c in range(d):
            i = l * d + c
            # H counts the energy of pairs twice
            residual[size] -= 0.5 * strength * side * y[i] * y[i]
            jacobian[size, i] += strength * side * (residual[i] - y[i])
            residual[i] -= y[i]
            jacobian[i, i] -= 1.0
    residual[size] -= energy
    for q in range(CHARGES):
        residual[size + 1 + q] -= charge[q]


@kernel
def abs_sign(order):
    """+1 for D_0 and -1 for D_1: turns the factor of D_l in H into that of rho in D_l."""
    return 1.0 if order == 0 else -1.0


@kernel
def equilibrium_residuals(
    y,
    numbers,
    weight_0,
    velocity,
    number_weight,
    vacuum,
    external,
    charges,
    strength,
    n_flavors,
    energy,
    charge,
    with_jacobian,
    residual,
    jacobian,
):
    """`equilibrium_residual` over the leading cell axis of everything but number_weight, vacuum and strength."""
    for cell in range(y.shape[0]):
        equilibrium_residual(
            y[cell],
            numbers[cell],
            weight_0[cell],
            velocity[cell],
            number_weight,
            vacuum,
            external[cell],
            charges[cell],
            strength,
            n_flavors,
            energy[cell],
            charge[cell],
            with_jacobian,
            residual[cell],
            jacobian[cell],
        )


@kernel
def equilibrium_states(
    y,
    numbers,
    velocity,
    vacuum,
    external,
    charges,
    strength,
    n_flavors,
    density_matrix,
    populations,
    degeneracy,
):
    """rho of Eq. (9) as density_matrix[..., :N^2] packed, its eigenvalues by ascending level of X, and eta.

    All with leading axes (cell, direction, 2, group); components beyond N^2 of density_matrix are left alone.
    """
    n = n_flavors
    d = n * n - 1
    directions, groups = velocity.shape[1], vacuum.shape[0]
    rows = directions * 2 * groups
    h = np.empty((directions, 2, groups, d))
    packed = np.empty((rows, n * n))
    values = np.empty((rows, n))
    real = np.empty((rows, n, n))
    imag = np.empty((rows, n, n))
    a = np.empty(n)
    hole = np.empty(n)
    for cell in range(y.shape[0]):
        exponents(y[cell], velocity[cell], vacuum, external[cell], charges[cell], strength, n, h, packed)
        eigen_batch(packed, values, real, imag)
        row = 0
        for m in range(directions):
            for s in range(2):
                for g in range(groups):
                    f = populations[cell, m, s, g]
                    for k in range(n):
                        a[k] = (1.0 - 2.0 * s) * values[row, k]
                    degeneracy[cell, m, s, g] = occupations(a, numbers[cell, m, s, g], n, f, hole)
                    out = density_matrix[cell, m, s, g]
                    for c in range(n * n):
                        out[c] = 0.0
                    for k in range(n):
                        c = n
                        for i in range(n):
                            out[i] += f[k] * (real[row, i, k] ** 2 + imag[row, i, k] ** 2)
                            for j in range(i + 1, n):
                                out[c] += f[k] * (real[row, i, k] * real[row, j, k] + imag[row, i, k] * imag[row, j, k])
                                out[c + 1] += f[k] * (
                                    imag[row, i, k] * real[row, j, k] - real[row, i, k] * imag[row, j, k]
                                )
                                c += 2
                    row += 1
