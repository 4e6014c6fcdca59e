"""Self-consistent alignment of a batch of cells, each with its own damping and status."""

from __future__ import annotations

from math import isfinite

import numpy as np
from numba import njit

from .alignment_locked import locked_2, locked_3
from .alignment_newton import CONVERGED, LOCKED, MAX_ITERATIONS, NO_DESCENT, NOT_FINITE, SINGULAR, newton
from .alignment_residual import ALIGNMENT_ROWS, from_coordinates, number_sums, to_coordinates
from .hermitian import LANES

__all__ = ["CONVERGED", "LOCKED", "MAX_ITERATIONS", "NOT_FINITE", "NO_DESCENT", "SINGULAR", "align_batch"]


@njit(cache=True, error_model="numpy")
def align_batch(
    moments,
    populations,
    weight_0,
    weight_1,
    direction_cosine,
    number_weight,
    vacuum,
    potential,
    beta,
    strength,
    shift,
    n_flavors,
    tolerance,
    max_iterations,
    shortcut,
    status,
    iterations,
    residual,
):
    """Align every cell: moments (cell, 2, N_f^2) is the guess, and the solution where status is CONVERGED or LOCKED.

    weight_0, weight_1 and direction_cosine are (cell, direction); potential and beta (cell); shift as moments.
    shortcut: whether flavour-locked cells may be solved directly. A cell that fails keeps its moments.
    """
    d = n_flavors * n_flavors - 1
    lane = np.zeros(ALIGNMENT_ROWS * LANES)
    x = np.empty(2 * d)
    output = np.empty(2 * d)
    step = np.empty(2 * d)
    point = np.empty(2 * d)
    jacobian = np.empty((2 * d, 2 * d))
    matrix = np.empty((2 * d, 2 * d))
    locked_sums = np.empty(28)
    locked_matrix = np.empty((8, 8))
    locked_vector = np.empty(8)
    saved_point = np.empty(2 * d)
    saved_output = np.empty(2 * d)
    saved_jacobian = np.empty((2 * d, 2 * d))
    trace = np.empty(2)
    for cell in range(populations.shape[0]):
        scale = number_sums(populations[cell], weight_0[cell], weight_1[cell], number_weight, n_flavors, trace)
        # The sum of everything is finite only if every part is (or the sum overflows, which is as bad).
        total = scale + potential[cell] + beta[cell] + np.sum(shift[cell]) + np.sum(moments[cell])
        if not isfinite(total):
            status[cell] = NOT_FINITE
            iterations[cell] = 0
            residual[cell] = np.nan
            continue
        if scale == 0.0:
            moments[cell, :, :] = 0.0
            status[cell] = CONVERGED
            iterations[cell] = 0
            residual[cell] = 0.0
            continue
        to_coordinates(moments[cell], n_flavors, x)
        locked = False
        count = 0
        error = 0.0
        if shortcut and n_flavors == 2:
            locked, count, error = locked_2(
                x, scale, populations[cell], weight_0[cell], weight_1[cell], direction_cosine[cell], number_weight,
                vacuum, potential[cell], beta[cell], strength, shift[cell], tolerance,
            )  # fmt: skip
        elif shortcut:
            locked, count, error = locked_3(
                x, scale, populations[cell], weight_0[cell], weight_1[cell], direction_cosine[cell], number_weight,
                vacuum, potential[cell], beta[cell], strength, shift[cell], tolerance, locked_sums, locked_matrix,
                locked_vector,
            )  # fmt: skip
        code = LOCKED
        if not locked:
            code, count, error = newton(
                x, scale, populations[cell], weight_0[cell], weight_1[cell], direction_cosine[cell], number_weight,
                vacuum, potential[cell], beta[cell], strength, shift[cell], n_flavors, tolerance, max_iterations, lane,
                output, jacobian, matrix, step, point, saved_point, saved_output, saved_jacobian,
            )  # fmt: skip
        status[cell] = code
        iterations[cell] = count
        residual[cell] = error
        if code in (CONVERGED, LOCKED):
            from_coordinates(x, trace, n_flavors, moments[cell])
