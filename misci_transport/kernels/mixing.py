"""Hamiltonians along rays, and what their eigenvectors make of populations and density matrices.

One cell: populations (direction, species, group, level), level >= N_f (a third level with N_f = 2 is an unmixed
spectator); velocity (direction, axis) unit vectors along the axes that the moments follow, and beta (axis) that of
matter; moments and shift (1 + axes, N_f^2) packed; vacuum (group, N_f^2) packed M^2/2E; everything in cm^-1 after
multiplication of the moments (cm^-3) by strength (cm^2). Over cells, velocity has a leading axis of one row a cell, or
of a single row that all cells share.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel
from .hermitian import IMAG, LANE_ROWS, LANES, MATRIX, REAL, VALUES, eigen2, eigen3_lanes


@kernel
def drop_identity(n_flavors, base):
    """Subtract the mean of the heavy diagonal of a packed Hamiltonian from its diagonal.

    A multiple of the identity acts on nothing, but could swamp the small splittings of the heavy flavours.
    """
    if n_flavors == 2:
        base[0] -= base[1]
        base[1] = 0.0
    else:
        base[0] -= 0.5 * (base[1] + base[2])
        base[1] = 0.5 * (base[1] - base[2])
        base[2] = -base[1]


@kernel
def ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, n_flavors, base):
    """Base = V (1 - beta . v) diag(1, 0, 0) + strength (D_0 - v . D_1) + shift_0 - v . shift_1 along direction m.

    Without the mean of the heavy diagonal of the neutrino-neutrino part.
    """
    size = n_flavors * n_flavors
    along = 1.0
    for k in range(size):
        base[k] = moments[0, k]
    for axis in range(velocity.shape[1]):
        v = velocity[m, axis]
        along -= beta[axis] * v
        for k in range(size):
            base[k] -= v * moments[1 + axis, k]
    for k in range(size):
        base[k] *= strength
    drop_identity(n_flavors, base)
    base[0] += potential * along
    for k in range(size):
        base[k] += shift[0, k]
    for axis in range(velocity.shape[1]):
        v = velocity[m, axis]
        for k in range(size):
            base[k] -= v * shift[1 + axis, k]


@kernel
def ray_lanes(base, vacuum, start, lane):
    """Fill MATRIX of LANES matrices of one ray, number q = species group_count + group = start, start + 1, ..."""
    groups = vacuum.shape[0]
    for i in range(LANES):
        q = min(start + i, 2 * groups - 1)
        if q < groups:
            for k in range(9):
                lane[(MATRIX + k) * LANES + i] = base[k] + vacuum[q, k]
        else:
            for k in range(9):
                lane[(MATRIX + k) * LANES + i] = base[k] - vacuum[q - groups, k]


@kernel
def eigenvectors(moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, real, imag):
    """U(direction, species, group) = real + i imag, each (direction, species, group, N_f, N_f), columns by level.

    Levels are the ascending eigenvalues of H (species 0) and of Hbar (species 1).
    """
    groups = vacuum.shape[0]
    base = np.empty(9)
    packed = np.empty(4)
    values = np.empty(2)
    lane = np.zeros(LANE_ROWS * LANES)
    for m in range(velocity.shape[0]):
        ray_hamiltonian(moments, velocity, m, potential, beta, strength, shift, n_flavors, base)
        if n_flavors == 2:
            for species in range(2):
                sign = 1.0 - 2.0 * species
                for g in range(groups):
                    for k in range(4):
                        packed[k] = base[k] + sign * vacuum[g, k]
                    eigen2(packed, values, real[m, species, g], imag[m, species, g])
        else:
            for start in range(0, 2 * groups, LANES):
                ray_lanes(base, vacuum, start, lane)
                eigen3_lanes(lane)
                for i in range(min(LANES, 2 * groups - start)):
                    species = (start + i) // groups
                    g = start + i - species * groups
                    for row in range(3):
                        for k in range(3):
                            real[m, species, g, row, k] = lane[(REAL + 3 * row + k) * LANES + i]
                            imag[m, species, g, row, k] = lane[(IMAG + 3 * row + k) * LANES + i]


@kernel
def probabilities_from_vectors(real, imag, probability):
    """probability[direction, species, group, flavour (3), level (3)] = |U_fk|^2; with N_f = 2 flavour 2 is level 2."""
    n = real.shape[3]
    for m in range(real.shape[0]):
        for species in range(2):
            for g in range(real.shape[2]):
                for flavour in range(3):
                    for level in range(3):
                        if flavour < n and level < n:
                            re = real[m, species, g, flavour, level]
                            im = imag[m, species, g, flavour, level]
                            probability[m, species, g, flavour, level] = re * re + im * im
                        else:
                            probability[m, species, g, flavour, level] = 1.0 if flavour == level else 0.0


@kernel
def mixing_probabilities(moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, probability):
    """|U_fk|^2 of one cell from its moments into probability (direction, species, group, flavour 3, level 3)."""
    shape = (velocity.shape[0], 2, vacuum.shape[0], n_flavors, n_flavors)
    real = np.empty(shape)
    imag = np.empty(shape)
    eigenvectors(moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, real, imag)
    probabilities_from_vectors(real, imag, probability)


@kernel
def density_matrices(
    populations, moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, density_matrix
):
    """density_matrix = U diag(n) U^+ of one cell, packed (direction, species, group, N_f^2 + spectators)."""
    groups = vacuum.shape[0]
    n = n_flavors
    shape = (velocity.shape[0], 2, groups, n, n)
    real = np.empty(shape)
    imag = np.empty(shape)
    eigenvectors(moments, velocity, vacuum, potential, beta, strength, shift, n, real, imag)
    for m in range(velocity.shape[0]):
        for species in range(2):
            for g in range(groups):
                for i in range(n):
                    total = 0.0
                    for k in range(n):
                        re = real[m, species, g, i, k]
                        im = imag[m, species, g, i, k]
                        total += populations[m, species, g, k] * (re * re + im * im)
                    density_matrix[m, species, g, i] = total
                component = n
                for i in range(n):
                    for j in range(i + 1, n):
                        re = 0.0
                        im = 0.0
                        for k in range(n):
                            occupation = populations[m, species, g, k]
                            ar = real[m, species, g, i, k]
                            ai = imag[m, species, g, i, k]
                            br = real[m, species, g, j, k]
                            bi = imag[m, species, g, j, k]
                            re += occupation * (ar * br + ai * bi)
                            im += occupation * (ai * br - ar * bi)
                        density_matrix[m, species, g, component] = re
                        density_matrix[m, species, g, component + 1] = im
                        component += 2
                for level in range(n, populations.shape[3]):
                    density_matrix[m, species, g, n * n + level - n] = populations[m, species, g, level]


@kernel
def project(density_matrix, moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, populations):
    """n_k = <h_k| density_matrix |h_k> of one cell; spectators are copied."""
    groups = vacuum.shape[0]
    n = n_flavors
    shape = (velocity.shape[0], 2, groups, n, n)
    real = np.empty(shape)
    imag = np.empty(shape)
    eigenvectors(moments, velocity, vacuum, potential, beta, strength, shift, n, real, imag)
    for m in range(velocity.shape[0]):
        for species in range(2):
            for g in range(groups):
                for k in range(n):
                    total = 0.0
                    for i in range(n):
                        re = real[m, species, g, i, k]
                        im = imag[m, species, g, i, k]
                        total += density_matrix[m, species, g, i] * (re * re + im * im)
                    component = n
                    for i in range(n):
                        for j in range(i + 1, n):
                            ar = real[m, species, g, i, k]
                            ai = imag[m, species, g, i, k]
                            br = real[m, species, g, j, k]
                            bi = imag[m, species, g, j, k]
                            # 2 Re(conj(U_ik) dm_ij U_jk)
                            total += 2.0 * density_matrix[m, species, g, component] * (ar * br + ai * bi)
                            total += 2.0 * density_matrix[m, species, g, component + 1] * (ai * br - ar * bi)
                            component += 2
                    populations[m, species, g, k] = total
                for level in range(n, populations.shape[3]):
                    populations[m, species, g, level] = density_matrix[m, species, g, n * n + level - n]


@kernel
def eigen_populations(density_matrix, previous, n_flavors, populations):
    """Eigenvalues of density_matrix given to the levels in the order of the previous populations (scheme `matrix`).

    N_f = 2: n = tr/2 -+ s |P|/2 with s the previous sign of n_1 - n_0; N_f = 3: the level that held the smallest
    population gets the smallest eigenvalue, and so on. Equal previous populations count as ascending.
    """
    n = n_flavors
    values = np.empty(3)
    lane = np.zeros(LANE_ROWS * LANES)
    groups = density_matrix.shape[2]
    for m in range(density_matrix.shape[0]):
        for species in range(2):
            for start in range(0, groups, LANES):
                if n == 3:
                    for i in range(LANES):
                        g = min(start + i, groups - 1)
                        for k in range(9):
                            lane[(MATRIX + k) * LANES + i] = density_matrix[m, species, g, k]
                    eigen3_lanes(lane)
                for i in range(min(LANES, groups - start)):
                    g = start + i
                    if n == 3:
                        for k in range(3):
                            values[k] = lane[(VALUES + k) * LANES + i]
                    else:
                        z = 0.5 * (density_matrix[m, species, g, 0] - density_matrix[m, species, g, 1])
                        x = density_matrix[m, species, g, 2]
                        y = density_matrix[m, species, g, 3]
                        half = 0.5 * (density_matrix[m, species, g, 0] + density_matrix[m, species, g, 1])
                        length = sqrt(x * x + y * y + z * z)
                        values[0] = half - length
                        values[1] = half + length
                    for k in range(n):
                        rank = 0
                        for other in range(n):
                            a = previous[m, species, g, other]
                            b = previous[m, species, g, k]
                            if a < b or (a == b and other < k):
                                rank += 1
                        populations[m, species, g, k] = values[rank]
                    for level in range(n, populations.shape[3]):
                        populations[m, species, g, level] = density_matrix[m, species, g, n * n + level - n]


@kernel
def mixing_probabilities_batch(moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, probability):
    """`mixing_probabilities` over the leading cell axis of everything but vacuum and strength."""
    for cell in range(moments.shape[0]):
        mixing_probabilities(
            moments[cell],
            velocity[cell % velocity.shape[0]],
            vacuum,
            potential[cell],
            beta[cell],
            strength,
            shift[cell],
            n_flavors,
            probability[cell],
        )


@kernel
def density_matrices_batch(
    populations, moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, density_matrix
):
    """`density_matrices` over the leading cell axis of everything but vacuum and strength."""
    for cell in range(moments.shape[0]):
        density_matrices(
            populations[cell],
            moments[cell],
            velocity[cell % velocity.shape[0]],
            vacuum,
            potential[cell],
            beta[cell],
            strength,
            shift[cell],
            n_flavors,
            density_matrix[cell],
        )


@kernel
def project_batch(density_matrix, moments, velocity, vacuum, potential, beta, strength, shift, n_flavors, populations):
    """`project` over the leading cell axis of everything but vacuum and strength."""
    for cell in range(moments.shape[0]):
        project(
            density_matrix[cell],
            moments[cell],
            velocity[cell % velocity.shape[0]],
            vacuum,
            potential[cell],
            beta[cell],
            strength,
            shift[cell],
            n_flavors,
            populations[cell],
        )


@kernel
def eigen_populations_batch(density_matrix, previous, n_flavors, populations):
    """`eigen_populations` over the leading cell axis of everything but vacuum and strength."""
    for cell in range(density_matrix.shape[0]):
        eigen_populations(density_matrix[cell], previous[cell], n_flavors, populations[cell])
