"""Damped Newton iteration for the alignment with conserved charges: one cell, and a batch of cells."""

from __future__ import annotations

from math import isfinite, sqrt

import numpy as np

from ..numba_cache import kernel
from .alignment_newton import CONVERGED, MAX_ITERATIONS, NO_DESCENT, NOT_FINITE, SINGULAR
from .alignment_residual import number_sums
from .bins_3 import BIN_ROWS
from .effective import HUGE, evaluate_effective, fix_gauge
from .hermitian import LANES
from .small_solve import solve_dense

SMALLEST_DAMPING = 1.0e-4
# A common phase is fixed where the transverse part exceeds this fraction of the scale.
SMALLEST_PHASE = 1.0e-13
# A multiplier that moves no density matrix by more than this fraction of the scale is held.
SMALLEST_RESPONSE = 1.0e-13
# Mixing angle of the guess below which the cell may be locked on the axes of the charges.
LOCK_ANGLE = 1.0e-4
# What the current evaluation is for: the point itself, a Newton trial, its return to aligned states.
START, TRIAL, RETURN = range(3)


@kernel
def transverse_coupling(x, external, strength, n_flavors):
    """Bound on the off-diagonal elements of H_eff on all rays, cm^-1: x (2 d) are the coordinates of D_0 and D_1."""
    d = n_flavors * n_flavors - 1
    total = 0.0
    for order in range(2):
        square = 0.0
        for k in range(n_flavors - 1, d):
            square += x[order * d + k] ** 2
        total += abs(strength) * sqrt(square)
        square = 0.0
        for k in range(n_flavors, n_flavors * n_flavors):
            square += external[order, k] ** 2
        total += sqrt(2.0 * square)
    return total


@kernel
def locked_error(output, coupling, gap, strength, scale, start, n_charges, n_flavors):
    """Bound on the relative residual of D_out in a cell whose density matrices lie along the axes of the charges.

    With theta = coupling/gap a bound on the mixing angles, H changes by at most strength |F| if D is replaced by D_out
    = D + F; off-diagonal elements in the basis of the levels are at most theta times that, and strength |F_t| from the
    transverse part. First-order perturbation theory: a density matrix changes by that over the gap. 8 covers both
    moments, three pairs of levels and the change of the gaps, which is required to stay below a tenth. Rows of charges
    cannot be changed and count as they are. Infinite where this does not apply.
    """
    d = n_flavors * n_flavors - 1
    given = 0.0
    along = 0.0
    across = 0.0
    for a in range(2 * d):
        if start <= a < start + n_charges:
            given += output[a] ** 2
        elif a % d < n_flavors - 1:
            along += output[a] ** 2
        else:
            across += output[a] ** 2
    change = 2.0 * abs(strength) * sqrt(along + across)
    if not (gap > 0.0 and change <= 0.1 * gap and coupling <= LOCK_ANGLE * gap):
        return HUGE
    turn = 2.0 * abs(strength) * sqrt(across)
    return 8.0 * (coupling / gap * change + turn) / gap + sqrt(given) / scale


@kernel
def hold_multipliers(jacobian, step, start, n_charges, n, scale, frequency):
    """Keep the multipliers, or the combination of two, that no density matrix feels: their Newton step is zero.

    Columns start .. start + n_charges - 1 of the Jacobian (n, n) are the multipliers'; the rows are as small because
    the response is symmetric. A combination v is negligible where |J v| frequency < SMALLEST_RESPONSE scale. Adding
    v v^T scale/frequency and taking v out of the right-hand side leaves the rest of the system as it is.
    """
    smallest = SMALLEST_RESPONSE * scale / frequency
    unit = scale / frequency
    first = 0.0
    second = 0.0
    both = 0.0
    for a in range(n):
        x = jacobian[a, start]
        first += x * x
        if n_charges > 1:
            y = jacobian[a, start + 1]
            second += y * y
            both += x * y
    if n_charges == 1:
        if not first > smallest * smallest:
            jacobian[start, start] += unit
            step[start] = 0.0
        return
    if not max(first, second) > smallest * smallest:
        for k in range(2):
            jacobian[start + k, start + k] += unit
            step[start + k] = 0.0
        return
    # the part of the smaller column beside the larger one
    large = start if first >= second else start + 1
    small = start + 1 if first >= second else start
    ratio = both / max(first, second)
    rest = 0.0
    for a in range(n):
        rest += (jacobian[a, small] - ratio * jacobian[a, large]) ** 2
    length = 1.0 + ratio * ratio
    if rest / length > smallest * smallest:
        return
    along = (step[small] - ratio * step[large]) / length
    step[small] -= along
    step[large] += ratio * along
    jacobian[small, small] += unit / length
    jacobian[small, large] -= unit * ratio / length
    jacobian[large, small] -= unit * ratio / length
    jacobian[large, large] += unit * ratio * ratio / length


@kernel
def newton_effective(
    y,
    scale,
    target,
    n_charges,
    fixed,
    populations,
    weight,
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
    hold,
    lane,
    output,
    jacobian,
    step,
    point,
    work,
    saved_point,
    saved_output,
    saved_jacobian,
):
    """Solve D_out = D with the charges given, from the guess y (overwritten).

    With `hold` the multipliers keep the values of the guess, and the charges are only tested at the end. Returns
    (status, updates, relative residual). On failure y is the best point reached.
    """
    d = n_flavors * n_flavors - 1
    n = 2 * d
    first = fixed * d
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
    coupling = transverse_coupling(y, external, strength, n_flavors) if n_charges > 0 else HUGE
    iterations = 0
    damping = 1.0
    stage = START
    norm = 0.0
    saved_norm = 0.0
    saved_degenerate = False
    # a locked cell needs one residual and nothing else
    with_jacobian = hold or coupling > LOCK_ANGLE * largest
    # One evaluation a turn: a single call keeps the compiled code small.
    while True:
        gap, degenerate = evaluate_effective(
            point, target, n_charges, fixed, populations, weight, direction_cosine, number_weight, low,
            high, external, strength, n_flavors, parts, with_jacobian, lane, output, jacobian,
        )  # fmt: skip
        total = 0.0
        for a in range(n):
            total += output[a] * output[a]
        new_norm = sqrt(total)
        if stage == TRIAL and with_jacobian and not new_norm <= 0.1 * norm:
            # A long step leaves the curved set of aligned states; one plain iteration, with the multipliers kept, puts
            # it back on it.
            saved_norm = new_norm
            saved_degenerate = degenerate
            for a in range(n):
                saved_point[a] = point[a]
                saved_output[a] = output[a]
                for b in range(n):
                    saved_jacobian[a, b] = jacobian[a, b]
            for a in range(n):
                if not first <= a < first + n_charges:
                    point[a] += output[a]
            stage = RETURN
            continue
        if stage == RETURN and not new_norm < saved_norm:
            new_norm = saved_norm
            degenerate = saved_degenerate
            for a in range(n):
                point[a] = saved_point[a]
                output[a] = saved_output[a]
                for b in range(n):
                    jacobian[a, b] = saved_jacobian[a, b]
        if stage != START and not new_norm <= (1.0 - 1.0e-4 * damping) * norm:
            damping *= 0.5
            if damping < SMALLEST_DAMPING:
                return (SINGULAR if degenerate else NO_DESCENT), iterations, norm / scale
            for a in range(n):
                point[a] = y[a] + damping * step[a]
            with_jacobian = True
            stage = TRIAL
            continue
        if stage != START:
            iterations += 1
        norm = new_norm
        for a in range(n):
            y[a] = point[a]
        if not isfinite(norm):
            return NOT_FINITE, iterations, norm / scale
        if norm <= tolerance * scale:
            return (SINGULAR if degenerate else CONVERGED), iterations, norm / scale
        if stage == START and not with_jacobian and not degenerate:
            error = locked_error(output, coupling, gap, strength, scale, first, n_charges, n_flavors)
            if error <= tolerance:
                for a in range(n):
                    if not first <= a < first + n_charges:
                        y[a] += output[a]
                return CONVERGED, 1, error
        if iterations >= max_iterations:
            return MAX_ITERATIONS, iterations, norm / scale
        if not with_jacobian:
            with_jacobian = True
            stage = START
            continue
        for a in range(n):
            step[a] = -output[a]
        if n_charges > 0:
            if hold:
                for a in range(first, first + n_charges):
                    for b in range(n):
                        jacobian[a, b] = 0.0
                        jacobian[b, a] = 0.0
            else:
                fix_gauge(y, n_charges, n_flavors, SMALLEST_PHASE * scale, jacobian, work)
            hold_multipliers(jacobian, step, first, n_charges, n, scale, largest)
        if not solve_dense(jacobian, step, n):
            return SINGULAR, iterations, norm / scale
        # No step may turn the Hamiltonian by more than its own size.
        change = 0.0
        for a in range(n):
            change += (step[a] * (1.0 if first <= a < first + n_charges else strength)) ** 2
        change = sqrt(change)
        damping = 1.0 if change <= 2.0 * largest else 2.0 * largest / change
        # close to the solution the next point is expected to be the last one
        with_jacobian = norm > 1.0e-7 * scale
        for a in range(n):
            point[a] = y[a] + damping * step[a]
        stage = TRIAL


@kernel
def align_effective_batch(
    unknowns,
    target,
    n_charges,
    fixed,
    populations,
    weight,
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

    target (cell, 2); low, high (cell, group, N_f); external (cell, 2, N_f^2); n_charges (cell,); weight (cell, 2,
    direction), direction_cosine (cell, direction); other arrays as `align_batch`. A cell that fails keeps its guess.
    """
    d = n_flavors * n_flavors - 1
    lane = np.zeros(BIN_ROWS * LANES)
    y = np.empty(2 * d)
    output = np.empty(2 * d)
    step = np.empty(2 * d)
    point = np.empty(2 * d)
    jacobian = np.empty((2 * d, 2 * d))
    work = np.empty((2, 2 * d))
    saved_point = np.empty(2 * d)
    saved_output = np.empty(2 * d)
    saved_jacobian = np.empty((2 * d, 2 * d))
    trace = np.empty(2)
    for cell in range(populations.shape[0]):
        scale = number_sums(populations[cell], weight[cell], number_weight, n_flavors, trace)
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
        # Where Newton fails, once more with the multipliers of the guess: along the axes of the charges they have no
        # effect, and transverse parts of the guess must not move them.
        attempts = 2 if n_charges[cell] > 0 else 1
        code = SINGULAR
        count = 0
        error = 0.0
        for attempt in range(attempts):
            for a in range(2 * d):
                y[a] = unknowns[cell, a]
            last_error = error
            code_now, count_now, error = newton_effective(
                y, scale, target[cell], n_charges[cell], fixed, populations[cell], weight[cell],
                direction_cosine[cell], number_weight, low[cell], high[cell], external[cell], strength, n_flavors,
                parts, tolerance, max_iterations, attempt == 1, lane, output, jacobian, step, point, work,
                saved_point, saved_output, saved_jacobian,
            )  # fmt: skip
            count += count_now
            if attempt == 0 or code_now == CONVERGED:
                code = code_now
            else:
                # the report is about the first attempt
                error = last_error
                count -= count_now
            if code in (CONVERGED, NOT_FINITE):
                break
        status[cell] = code
        iterations[cell] = count
        residual[cell] = error
        if code == CONVERGED:
            for a in range(2 * d):
                unknowns[cell, a] = y[a]
