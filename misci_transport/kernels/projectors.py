"""From eigenvectors to flavour components, and a bound that tells where flavours do not mix at all.

Components: the three diagonal elements (e, x, x' or, with N_f = 2, the unmixed heavy flavour), then the real and
imaginary parts of the elements (0, 1), (0, 2), (1, 2).
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .collisions import DIAGONAL
from .mixing import eigenvectors, ray_hamiltonian


@kernel
def fill_projector(moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, real, imag, projector):
    """projector[direction, species, group, level, component] of one cell: <k|A|k> = sum_c projector_c A_c.

    real, imag[direction, species, group, flavour, level] are scratch.
    """
    eigenvectors(moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, real, imag)
    directions, species, groups, levels, _ = projector.shape
    projector[:] = 0.0
    for m in range(directions):
        for s in range(species):
            for g in range(groups):
                for k in range(n_flavors):
                    q = projector[m, s, g, k]
                    c = DIAGONAL
                    for i in range(n_flavors):
                        ar, ai = real[m, s, g, i, k], imag[m, s, g, i, k]
                        q[i] = ar * ar + ai * ai
                        for j in range(i + 1, n_flavors):
                            br, bi = real[m, s, g, j, k], imag[m, s, g, j, k]
                            q[c] = 2.0 * (ar * br + ai * bi)
                            q[c + 1] = 2.0 * (ai * br - ar * bi)
                            c += 2
                for k in range(n_flavors, levels):
                    projector[m, s, g, k, k] = 1.0


@kernel
def electron_mixing_bound(moments, velocity, vacuum, potential, beta, strength, shift, n_flavors):
    """Upper bound of 1 - |U_ek|^2 for the uppermost level over all momenta of a cell, or 1 if e is not uppermost.

    With a = coupling of e to the heavy flavours and d = distance of H_ee from the heavy block, the mixing is at
    most (a/d)^2 (Davis and Kahan's theorem for one level).
    """
    base = np.empty(9)
    worst = 0.0
    groups = vacuum.shape[0]
    for m in range(velocity.shape[0]):
        ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, n_flavors, base)
        for g in range(groups):
            v = vacuum[g]
            for s in range(2):
                sign = 1.0 - 2.0 * s
                if n_flavors == 2:
                    distance = base[0] - base[1] + sign * (v[0] - v[1])
                    re, im = base[2] + sign * v[2], base[3] + sign * v[3]
                    coupling = re * re + im * im
                else:
                    a, b = base[1] + sign * v[1], base[2] + sign * v[2]
                    re, im = base[7] + sign * v[7], base[8] + sign * v[8]
                    # the uppermost eigenvalue of the heavy block
                    heavy = 0.5 * (a + b) + np.sqrt(0.25 * (a - b) ** 2 + re * re + im * im)
                    distance = base[0] + sign * v[0] - heavy
                    coupling = 0.0
                    for c in range(3, 7):
                        coupling += (base[c] + sign * v[c]) ** 2
                if distance <= 0.0:
                    return 1.0
                worst = max(worst, coupling / (distance * distance))
    return worst


@kernel
def vacuum_extremes(vacuum, n_flavors):
    """(Lower bound of H_ee minus the uppermost heavy level, largest |H_ex|) of the vacuum part alone."""
    nearest, coupled = np.inf, 0.0
    for g in range(vacuum.shape[0]):
        v = vacuum[g]
        if n_flavors == 2:
            nearest = min(nearest, -abs(v[0] - v[1]))
            square = v[2] * v[2] + v[3] * v[3]
        else:
            radius = np.sqrt(0.25 * (v[1] - v[2]) ** 2 + v[7] * v[7] + v[8] * v[8])
            nearest = min(nearest, -abs(v[0] - 0.5 * (v[1] + v[2])) - radius)
            square = v[3] * v[3] + v[4] * v[4] + v[5] * v[5] + v[6] * v[6]
        coupled = max(coupled, np.sqrt(square))
    return nearest, coupled


@kernel
def quick_mixing_bound(moments, velocity, extremes, potential, beta, strength, shift, n_flavors):
    """A larger bound than electron_mixing_bound, from the `vacuum_extremes` over groups and species."""
    base = np.empty(9)
    nearest, coupled = extremes
    worst = 0.0
    for m in range(velocity.shape[0]):
        ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, n_flavors, base)
        if n_flavors == 2:
            distance = base[0] - base[1] + nearest
            square = base[2] * base[2] + base[3] * base[3]
        else:
            # the uppermost eigenvalue of a sum is at most the sum of the uppermost ones
            radius = np.sqrt(0.25 * (base[1] - base[2]) ** 2 + base[7] * base[7] + base[8] * base[8])
            distance = base[0] - 0.5 * (base[1] + base[2]) - radius + nearest
            square = base[3] * base[3] + base[4] * base[4] + base[5] * base[5] + base[6] * base[6]
        if not distance > 0.0:
            return 1.0
        worst = max(worst, (np.sqrt(square) + coupled) / distance)
    return worst * worst


@kernel
def electron_mixing_bounds(moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, enough, out):
    """electron_mixing_bound of every cell, or quick_mixing_bound where that is <= enough already."""
    extremes = vacuum_extremes(vacuum, n_flavors)
    for i in range(out.size):
        v = velocity[i % velocity.shape[0]]
        out[i] = quick_mixing_bound(moments[i], v, extremes, potential[i], beta[i], strength, shift[i], n_flavors)
        if not out[i] <= enough:
            out[i] = electron_mixing_bound(moments[i], v, vacuum, potential[i], beta[i], strength, shift[i], n_flavors)


@kernel
def fill_projectors(cells, moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, projector):
    """fill_projector for the listed cells; projector[row] belongs to cells[row]."""
    directions, groups = velocity.shape[1], vacuum.shape[0]
    real = np.empty((directions, 2, groups, n_flavors, n_flavors))
    imag = np.empty((directions, 2, groups, n_flavors, n_flavors))
    for row in range(cells.size):
        i = cells[row]
        fill_projector(
            moments[i],
            velocity[i % velocity.shape[0]],
            vacuum,
            potential[i],
            beta[i],
            strength,
            shift[i],
            n_flavors,
            real,
            imag,
            projector[row],
        )
