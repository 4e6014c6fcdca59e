"""Self-consistent alignment of a batch of cells, each with its own damping and status."""

from __future__ import annotations

from math import isfinite

import numpy as np

from ..numba_cache import kernel
from .alignment_dressed import dressed_3
from .alignment_locked import locked_2, locked_3
from .alignment_newton import CONVERGED, LOCKED, MAX_ITERATIONS, NO_DESCENT, NOT_FINITE, SINGULAR, newton
from .alignment_residual import ALIGNMENT_ROWS, from_coordinates, number_sums, to_coordinates
from .hermitian import LANES

__all__ = ["CONVERGED", "LOCKED", "MAX_ITERATIONS", "NOT_FINITE", "NO_DESCENT", "SINGULAR", "align_batch"]


@kernel
def align_batch(
    moments,
    populations,
    weight,
    velocity,
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
    """Align every cell: moments (cell, order, N_f^2) is the guess, and where it is CONVERGED or LOCKED the solution.

    weight (cell or 1, order, direction), velocity (cell or 1, direction, axis); potential (cell), beta (cell, axis);
    shift as moments. shortcut: whether flavour-locked cells may be solved directly. A cell that fails keeps its
    moments.
    """
    orders = weight.shape[1]
    n = orders * (n_flavors * n_flavors - 1)
    lane = np.zeros(ALIGNMENT_ROWS * LANES)
    x = np.empty(n)
    output = np.empty(n)
    step = np.empty(n)
    point = np.empty(n)
    jacobian = np.empty((n, n))
    matrix = np.empty((n, n))
    locked_sums = np.empty(14 * orders)
    locked_matrix = np.empty((4 * orders, 4 * orders))
    locked_vector = np.empty(4 * orders)
    saved_point = np.empty(n)
    saved_output = np.empty(n)
    saved_jacobian = np.empty((n, n))
    trace = np.empty(orders)
    for cell in range(populations.shape[0]):
        w, v = weight[cell % weight.shape[0]], velocity[cell % velocity.shape[0]]
        scale = number_sums(populations[cell], w, number_weight, n_flavors, trace)
        # The sum of everything is finite only if every part is (or the sum overflows, which is as bad).
        total = scale + potential[cell] + np.sum(beta[cell]) + np.sum(shift[cell]) + np.sum(moments[cell])
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
                x, scale, populations[cell], w, v, number_weight,
                vacuum, potential[cell], beta[cell], strength, shift[cell], tolerance,
            )  # fmt: skip
        elif shortcut:
            locked, count, error = locked_3(
                x, scale, populations[cell], w, v, number_weight,
                vacuum, potential[cell], beta[cell], strength, shift[cell], tolerance, locked_sums, locked_matrix,
                locked_vector,
            )  # fmt: skip
        code = LOCKED
        dressed = False
        if shortcut and not locked and n_flavors == 3:
            dressed, count, error = dressed_3(
                x, scale, populations[cell], w, v, number_weight,
                vacuum, potential[cell], beta[cell], strength, shift[cell], tolerance, locked_matrix, locked_vector,
            )  # fmt: skip
            code = CONVERGED
        if not (locked or dressed):
            code, count, error = newton(
                x, scale, populations[cell], w, v, number_weight,
                vacuum, potential[cell], beta[cell], strength, shift[cell], n_flavors, tolerance, max_iterations, lane,
                output, jacobian, matrix, step, point, saved_point, saved_output, saved_jacobian,
            )  # fmt: skip
        status[cell] = code
        iterations[cell] = count
        residual[cell] = error
        if code in (CONVERGED, LOCKED):
            from_coordinates(x, trace, n_flavors, moments[cell])
