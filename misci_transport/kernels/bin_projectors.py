"""Projectors on the levels of the effective Hamiltonian, averaged over energy bins: sum_k n_k <Pi_k> is the state."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..numba_cache import kernel
from .alignment_residual import from_coordinates
from .bins_3 import (
    BIN_ROWS,
    BLOCK_ROWS_3,
    HALF,
    NEAREST,
    SUM,
    close_segments,
    fill_blocks_3,
    fill_matrices,
    pair_segment,
    pair_sums,
    take_block,
)
from .effective import effective_ray, split_unknowns
from .hermitian import LANES, eigen3_lanes
from .segment import segment

SQRT1_2 = sqrt(0.5)


@kernel
def ray_projectors_2(low, high, base, projector):
    """projector (species, group, level, 3): traceless coordinates of <Pi_k> along one ray, two flavours."""
    z0 = 0.5 * (base[0] - base[1])
    x = base[2]
    y = base[3]
    p_square = x * x + y * y
    for species in range(2):
        sign = 1.0 - 2.0 * species
        for g in range(low.shape[0]):
            a = z0 + sign * 0.5 * (low[g, 0] - low[g, 1])
            b = z0 + sign * 0.5 * (high[g, 0] - high[g, 1])
            parallel, mean, _, _, _ = segment(a, b, p_square)
            for level in range(2):
                half = SQRT1_2 * (2.0 * level - 1.0)
                projector[species, g, level, 0] = half * parallel
                projector[species, g, level, 1] = half * x * mean
                projector[species, g, level, 2] = half * y * mean


@kernel
def add_pair(lower, upper, start, count, groups, parts, lane, projector):
    """Add what a pair of levels, prepared by `pair_segment`, gives to the projectors on both of them."""
    close_segments(lane)
    for k in range(SUM * LANES, (SUM + 8) * LANES):
        lane[k] = 0.0
    # with half = (n_upper - n_lower)/2: what the upper level gains, the lower one loses
    pair_sums(lane)
    for i in range(min(LANES, count - start)):
        q = (start + i) // parts
        species = q // groups
        g = q % groups
        for k in range(8):
            projector[species, g, upper, k] += lane[(SUM + k) * LANES + i]
            projector[species, g, lower, k] -= lane[(SUM + k) * LANES + i]


@kernel
def ray_projectors_3(base, parts, blocks, lane, projector):
    """projector (species, group, level, 8): traceless coordinates of <Pi_k> along one ray, three flavours.

    blocks as `fill_blocks_3` makes them, with HALF = 1/(2 parts).
    """
    groups = projector.shape[1]
    projector[:] = 0.0
    count = 2 * groups * parts
    for k in range(blocks.shape[0]):
        for i in range(LANES):
            lane[NEAREST * LANES + i] = 1.0e300
        take_block(blocks, k, lane)
        fill_matrices(base, lane)
        eigen3_lanes(lane)
        pair_segment(0, 1, 0, lane)
        add_pair(0, 1, k * LANES, count, groups, parts, lane, projector)
        pair_segment(0, 2, 1, lane)
        add_pair(0, 2, k * LANES, count, groups, parts, lane, projector)
        pair_segment(1, 2, 2, lane)
        add_pair(1, 2, k * LANES, count, groups, parts, lane, projector)


@kernel
def bin_projectors_batch(
    rows,
    unknowns,
    target,
    n_charges,
    fixed,
    direction_cosine,
    low,
    high,
    external,
    basis_real,
    basis_imag,
    strength,
    n_flavors,
    parts,
    projector,
    content,
):
    """Averaged projectors of the cells `rows` in flavours, and what a level carries of each charge.

    projector (row, direction, species, group, level, component) as `projectors.fill_projectors`: Tr(<Pi_k> A) = sum
    projector A_components. content (row, direction, species, group, level, 2): Tr(Q_a <Pi_k>), zero for spectators.
    The basis (cell, N_f, N_f) leads from the charges' axes (columns) to flavours.
    """
    n = n_flavors
    d = n * n - 1
    groups = low.shape[1]
    lane = np.zeros(BIN_ROWS * LANES)
    x = np.empty(2 * d)
    multiplier = np.zeros(2)
    moments = np.empty((2, d + 1))
    trace = np.zeros(2)
    base = np.empty(9)
    traceless = np.empty((2, groups, 3, d))
    blocks = np.empty(((2 * groups * parts + LANES - 1) // LANES, BLOCK_ROWS_3 * LANES))
    # coordinates of a projector in the charges' basis -> those components whose sum with A_f is Tr(Pi A), by columns
    matrix_real = np.empty((3, 3))
    matrix_imag = np.empty((3, 3))
    transform = np.zeros((9, d))
    for index in range(rows.size):
        cell = rows[index]
        fill_transform(basis_real[cell], basis_imag[cell], n, matrix_real, matrix_imag, transform)
        split_unknowns(unknowns[cell], target[cell], n_charges[cell], fixed, n, x, multiplier)
        from_coordinates(x, trace, n, moments)
        if n == 3:
            fill_blocks_3(low[cell], high[cell], parts, blocks)
            blocks[:, HALF * LANES :] = 0.5 / parts
        for m in range(direction_cosine.shape[1]):
            effective_ray(
                moments,
                direction_cosine[cell, m],
                external[cell],
                strength,
                multiplier,
                n_charges[cell],
                fixed,
                n,
                base,
            )
            if n == 2:
                ray_projectors_2(low[cell], high[cell], base, traceless)
            else:
                ray_projectors_3(base, parts, blocks, lane, traceless)
            for species in range(2):
                for g in range(groups):
                    for level in range(projector.shape[4]):
                        out = projector[index, m, species, g, level]
                        out[:] = 0.0
                        for a in range(2):
                            content[index, m, species, g, level, a] = 0.0
                        if level >= n:
                            out[level] = 1.0
                            continue
                        for a in range(n_charges[cell]):
                            content[index, m, species, g, level, a] = traceless[species, g, level, a]
                        for row in range(n * n):
                            # components: three diagonal entries, then the off-diagonal ones
                            total = 1.0 / n if row < n else 0.0
                            for k in range(d):
                                total += transform[row, k] * traceless[species, g, level, k]
                            out[row if row < n else row - n + 3] = total


@kernel
def fill_transform(basis_real, basis_imag, n, matrix_real, matrix_imag, transform):
    """transform (N^2, d): W T_k W^+ in flavours; off-diagonal components doubled, as Tr(Pi A) counts them twice."""
    d = n * n - 1
    for k in range(d):
        for i in range(n):
            for j in range(n):
                matrix_real[i, j] = 0.0
                matrix_imag[i, j] = 0.0
        generator(k, n, matrix_real, matrix_imag)
        row = n
        for i in range(n):
            for j in range(i, n):
                re = 0.0
                im = 0.0
                for a in range(n):
                    for b in range(n):
                        t_r = matrix_real[a, b]
                        t_i = matrix_imag[a, b]
                        if t_r == 0.0 and t_i == 0.0:
                            continue
                        # W_ia T_ab conj(W_jb)
                        u = basis_real[i, a] * basis_real[j, b] + basis_imag[i, a] * basis_imag[j, b]
                        v = basis_imag[i, a] * basis_real[j, b] - basis_real[i, a] * basis_imag[j, b]
                        re += u * t_r - v * t_i
                        im += u * t_i + v * t_r
                if i == j:
                    transform[i, k] = re
                else:
                    transform[row, k] = 2.0 * re
                    transform[row + 1, k] = 2.0 * im
                    row += 2


@kernel
def generator(k, n, real, imag):
    """Add the orthonormal generator T_k of `alignment_residual.to_coordinates` to a zero matrix."""
    if n == 2:
        if k == 0:
            real[0, 0] = SQRT1_2
            real[1, 1] = -SQRT1_2
        elif k == 1:
            real[0, 1] = SQRT1_2
            real[1, 0] = SQRT1_2
        else:
            imag[0, 1] = SQRT1_2
            imag[1, 0] = -SQRT1_2
        return
    if k == 0:
        real[0, 0] = 2.0 / sqrt(6.0)
        real[1, 1] = -1.0 / sqrt(6.0)
        real[2, 2] = -1.0 / sqrt(6.0)
    elif k == 1:
        real[1, 1] = SQRT1_2
        real[2, 2] = -SQRT1_2
    else:
        pair = (k - 2) // 2
        i = 0 if pair < 2 else 1
        j = 1 if pair == 0 else 2
        if k % 2 == 0:
            real[i, j] = SQRT1_2
            real[j, i] = SQRT1_2
        else:
            imag[i, j] = SQRT1_2
            imag[j, i] = -SQRT1_2
