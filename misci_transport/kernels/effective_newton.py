"""Damped Newton iteration for the alignment with conserved charges: one cell, and a batch of cells."""

from __future__ import annotations

from math import isfinite, sqrt

import numpy as np
from numba import njit

from .alignment_newton import CONVERGED, MAX_ITERATIONS, NO_DESCENT, NOT_FINITE, SINGULAR, solve_dense
from .alignment_residual import number_sums
from .bins_3 import BIN_ROWS
from .effective import evaluate_effective, fix_gauge
from .hermitian import LANES

SMALLEST_DAMPING = 1.0e-4
# A common phase is fixed where the transverse part exceeds this fraction of the scale.
SMALLEST_PHASE = 1.0e-13


@njit(cache=True, error_model="numpy")
def newton_effective(
    y,
    scale,
    target,
    n_charges,
    fixed,
    populations,
    weight_0,
    weight_1,
    direction_cosine,
    number_weight,
    low,
    high,
    external,
    strength,
    n_flavors,
    parts,
    tolerance,
    max_iterations,
    lane,
    output,
    jacobian,
    step,
    point,
    work,
):
    """Solve D_out = D with the charges held, from the guess y (overwritten).

    Returns (status, updates, relative residual). On failure y is the best point reached.
    """
    d = n_flavors * n_flavors - 1
    n = 2 * d
    largest = 0.0
    for g in range(number_weight.size):
        for k in range(n_flavors):
            largest = max(largest, abs(low[g, k]), abs(high[g, k]))
    for order in range(2):
        for k in range(n_flavors * n_flavors):
            largest = max(largest, abs(external[order, k]))
    largest += abs(strength) * scale
    for a in range(n):
        point[a] = y[a]
    iterations = 0
    damping = 1.0
    trial = False
    norm = 0.0
    with_jacobian = True
    while True:
        _, degenerate = evaluate_effective(
            point, target, n_charges, fixed, populations, weight_0, weight_1, direction_cosine, number_weight, low,
            high, external, strength, n_flavors, parts, with_jacobian, lane, output, jacobian,
        )  # fmt: skip
        total = 0.0
        for a in range(n):
            total += output[a] * output[a]
        new_norm = sqrt(total)
        if trial and not new_norm <= (1.0 - 1.0e-4 * damping) * norm:
            damping *= 0.5
            if damping < SMALLEST_DAMPING:
                return (SINGULAR if degenerate else NO_DESCENT), iterations, norm / scale
            for a in range(n):
                point[a] = y[a] + damping * step[a]
            with_jacobian = True
            continue
        if trial:
            iterations += 1
        norm = new_norm
        for a in range(n):
            y[a] = point[a]
        if not isfinite(norm):
            return NOT_FINITE, iterations, norm / scale
        if norm <= tolerance * scale:
            return (SINGULAR if degenerate else CONVERGED), iterations, norm / scale
        if iterations >= max_iterations:
            return MAX_ITERATIONS, iterations, norm / scale
        if not with_jacobian:
            with_jacobian = True
            trial = False
            continue
        fix_gauge(y, n_charges, n_flavors, SMALLEST_PHASE * scale, jacobian, work)
        for a in range(n):
            step[a] = -output[a]
        if not solve_dense(jacobian, step, n):
            return SINGULAR, iterations, norm / scale
        # No step may turn the Hamiltonian by more than its own size.
        change = 0.0
        for a in range(n):
            free = not (fixed * d <= a < fixed * d + n_charges)
            change += (step[a] * (strength if free else 1.0)) ** 2
        change = sqrt(change)
        damping = 1.0 if change <= 2.0 * largest else 2.0 * largest / change
        # close to the solution the next point is expected to be the last one
        with_jacobian = norm > 1.0e-7 * scale
        for a in range(n):
            point[a] = y[a] + damping * step[a]
        trial = True


@njit(cache=True, error_model="numpy")
def align_effective_batch(
    unknowns,
    target,
    n_charges,
    fixed,
    populations,
    weight_0,
    weight_1,
    direction_cosine,
    number_weight,
    low,
    high,
    external,
    strength,
    n_flavors,
    parts,
    tolerance,
    max_iterations,
    status,
    iterations,
    residual,
):
    """Solve every cell: unknowns (cell, 2 d) hold the guess, and the solution where the status is CONVERGED.

    target (cell, 2); low, high (cell, group, N_f); external (cell, 2, N_f^2); n_charges (cell,). Other arrays as
    `align_batch`. A cell that fails keeps its guess.
    """
    d = n_flavors * n_flavors - 1
    lane = np.zeros(BIN_ROWS * LANES)
    y = np.empty(2 * d)
    output = np.empty(2 * d)
    step = np.empty(2 * d)
    point = np.empty(2 * d)
    jacobian = np.empty((2 * d, 2 * d))
    work = np.empty((2, 2 * d))
    trace = np.empty(2)
    for cell in range(populations.shape[0]):
        scale = number_sums(populations[cell], weight_0[cell], weight_1[cell], number_weight, n_flavors, trace)
        total = scale + np.sum(external[cell]) + np.sum(unknowns[cell]) + np.sum(target[cell])
        total += np.sum(low[cell]) + np.sum(high[cell])
        if not isfinite(total):
            status[cell] = NOT_FINITE
            iterations[cell] = 0
            residual[cell] = np.nan
            continue
        if scale == 0.0:
            for a in range(2 * d):
                unknowns[cell, a] = 0.0
            status[cell] = CONVERGED
            iterations[cell] = 0
            residual[cell] = 0.0
            continue
        for a in range(2 * d):
            y[a] = unknowns[cell, a]
        code, count, error = newton_effective(
            y, scale, target[cell], n_charges[cell], fixed, populations[cell], weight_0[cell], weight_1[cell],
            direction_cosine[cell], number_weight, low[cell], high[cell], external[cell], strength, n_flavors, parts,
            tolerance, max_iterations, lane, output, jacobian, step, point, work,
        )  # fmt: skip
        status[cell] = code
        iterations[cell] = count
        residual[cell] = error
        if code == CONVERGED:
            for a in range(2 * d):
                unknowns[cell, a] = y[a]
