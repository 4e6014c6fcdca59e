"""Fermi functions of Hermitian matrices: occupations of given trace, Eq. (9) of Johns, arXiv:2306.14982.

For one momentum and species the matrix in the exponent is A = beta H + sum_a lambda_a Q_a (neutrinos) or its negative
with Hbar (antineutrinos), and rho = 1/(exp(A - eta) + 1) with eta from Tr rho. Coordinates of traceless Hermitian
matrices are those of `alignment_residual` (Tr T_a T_b = delta_ab).
"""

from __future__ import annotations

from math import exp, expm1, log

from ..numba_cache import kernel
from .alignment_residual import SQRT1_2, SQRT2_3

# Newton's method with bisection needs far fewer.
MAX_STEPS = 200


@kernel
def occupations(a, number, n_flavors, f, hole):
    """f_k = 1/(exp(a_k - eta) + 1) and hole_k = 1 - f_k with sum f = number; returns eta (infinite if empty or full).

    Newton's method for log(sum f/sum hole), whose slope is 1 where occupations are dilute, inside a bracket.
    """
    if number <= 0.0 or number >= n_flavors:
        full = 1.0 if number > 0.0 else 0.0
        for k in range(n_flavors):
            f[k] = full
            hole[k] = 1.0 - full
        return 1.0e300 if number > 0.0 else -1.0e300
    target = log(number) - log(n_flavors - number)
    low = a[0]
    high = a[0]
    mean = 0.0
    for k in range(n_flavors):
        low = min(low, a[k])
        high = max(high, a[k])
        mean += a[k] / n_flavors
    low += target
    high += target
    eta = mean + target
    for _ in range(MAX_STEPS):
        inside = 0.0
        outside = 0.0
        slope = 0.0
        for k in range(n_flavors):
            f[k] = 1.0 / (1.0 + exp(a[k] - eta))
            hole[k] = 1.0 / (1.0 + exp(eta - a[k]))
            inside += f[k]
            outside += hole[k]
            slope += f[k] * hole[k]
        missing = target - (log(inside) - log(outside))
        if abs(missing) <= 4.0e-16 * (1.0 + abs(target)):
            break
        if missing > 0.0:
            low = eta
        else:
            high = eta
        slope *= 1.0 / inside + 1.0 / outside
        new = eta + missing / slope if slope > 0.0 else 0.5 * (low + high)
        if not low < new < high:
            new = 0.5 * (low + high)
        if new == eta or abs(new - eta) <= 1.0e-16 * (abs(low) + abs(high)):
            break
        eta = new
    return eta


@kernel
def divided_difference(x, f_x, hole_x, y, f_y, hole_y):
    """(f(x) - f(y))/(x - y) of the Fermi function without cancellation; -f (1 - f) for x = y."""
    if x < y:
        x, y = y, x
        f_x, f_y = f_y, f_x
        hole_x, hole_y = hole_y, hole_x
    d = x - y
    # f(y) - f(x) = f(y) (1 - f(x)) (1 - exp(y - x))
    factor = 1.0 if d == 0.0 else -expm1(-d) / d
    return -f_y * hole_x * factor


@kernel
def generator_elements(real, imag, n_flavors, tr, ti):
    """<k|T_c|l> = tr + i ti of all coordinates c, in the basis of eigenvectors real + i imag (columns)."""
    for k in range(n_flavors):
        for l in range(n_flavors):
            # M = |l><k|, <k|T|l> = Tr(T M)
            m00r = real[0, l] * real[0, k] + imag[0, l] * imag[0, k]
            m00i = imag[0, l] * real[0, k] - real[0, l] * imag[0, k]
            m11r = real[1, l] * real[1, k] + imag[1, l] * imag[1, k]
            m11i = imag[1, l] * real[1, k] - real[1, l] * imag[1, k]
            if n_flavors == 2:
                tr[0, k, l] = (m00r - m11r) * SQRT1_2
                ti[0, k, l] = (m00i - m11i) * SQRT1_2
                c = 1
            else:
                m22r = real[2, l] * real[2, k] + imag[2, l] * imag[2, k]
                m22i = imag[2, l] * real[2, k] - real[2, l] * imag[2, k]
                tr[0, k, l] = (m00r - 0.5 * (m11r + m22r)) * SQRT2_3
                ti[0, k, l] = (m00i - 0.5 * (m11i + m22i)) * SQRT2_3
                tr[1, k, l] = (m11r - m22r) * SQRT1_2
                ti[1, k, l] = (m11i - m22i) * SQRT1_2
                c = 2
            for i in range(n_flavors):
                for j in range(i + 1, n_flavors):
                    ar = real[i, l] * real[j, k] + imag[i, l] * imag[j, k]
                    ai = imag[i, l] * real[j, k] - real[i, l] * imag[j, k]
                    br = real[j, l] * real[i, k] + imag[j, l] * imag[i, k]
                    bi = imag[j, l] * real[i, k] - real[j, l] * imag[i, k]
                    tr[c, k, l] = (ar + br) * SQRT1_2
                    ti[c, k, l] = (ai + bi) * SQRT1_2
                    # (-i M_ij + i M_ji)/sqrt 2
                    tr[c + 1, k, l] = (ai - bi) * SQRT1_2
                    ti[c + 1, k, l] = (br - ar) * SQRT1_2
                    c += 2


@kernel
def response(a, f, hole, tr, ti, n_flavors, out):
    """out (d, d) = d rho/d A at fixed trace of rho, in coordinates; symmetric, negative semidefinite.

    First-order perturbation theory with the divided differences K of the Fermi function, and eta that follows:
    R = sum_kl K_kl <k|T|l><l|T'|k> - v v'/sum_k f'_k,  v = sum_k f'_k <k|T|k>.
    """
    d = n_flavors * n_flavors - 1
    for c in range(d):
        for e in range(c + 1):
            out[c, e] = 0.0
    total = 0.0
    for k in range(n_flavors):
        total -= f[k] * hole[k]
    for k in range(n_flavors):
        own = -f[k] * hole[k]
        if own != 0.0:
            for c in range(d):
                # what eta takes back
                mean = 0.0
                for j in range(n_flavors):
                    mean -= f[j] * hole[j] * tr[c, j, j]
                mean /= total
                value = own * (tr[c, k, k] - mean)
                for e in range(c + 1):
                    out[c, e] += value * tr[e, k, k]
        for l in range(k + 1, n_flavors):
            slope = 2.0 * divided_difference(a[k], f[k], hole[k], a[l], f[l], hole[l])
            for c in range(d):
                x = slope * tr[c, k, l]
                y = slope * ti[c, k, l]
                for e in range(c + 1):
                    out[c, e] += x * tr[e, k, l] + y * ti[e, k, l]
    for c in range(d):
        for e in range(c):
            out[e, c] = out[c, e]
