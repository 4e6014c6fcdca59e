"""Alignment with a given frequency and a given phase gradient, along any number of axes, and what it makes of them.

In the basis of the charges (`effective`), with the orders l = 0 (density) and l = 1 .. axes (flux along an axis),
s_0 = 1, s_i = -v_i, and the multipliers lambda_0 = omega_c, lambda_i = k_i,

    H_eff(v) = (+1 nu, -1 nubar) diag(v_g) + sum_l s_l (external_l + strength D_l - lambda_l T),
    D_l = sum w_l (density_matrix - density_matrix_bar),     w_l = w (1, v_i).

The stationary value Phi*(lambda) of Phi = sum w Tr(n H_eff) - strength/2 (Tr D_0^2 - Tr D_i^2) has the derivatives
dPhi*/d omega_c = -Tr(Q D_0) and dPhi*/dk_i = Tr(Q D_i); dTr(Q D_l)/d lambda_m follows from the implicit function
theorem. Of one order, the charge may be given instead, and its multiplier be found. docs/phase.md.
"""

from __future__ import annotations

from math import isfinite, sqrt

import numpy as np

from ..numba_cache import kernel
from .alignment_newton import CONVERGED, MAX_ITERATIONS, NO_DESCENT, NOT_FINITE, SINGULAR
from .alignment_residual import from_coordinates, number_sums
from .bins_2 import BLOCK_ROWS_2, bin_sums_2, fill_blocks_2
from .bins_3 import BIN_ROWS, BLOCK_ROWS_3, bin_sums_3, fill_blocks_3
from .effective import HUGE, fix_gauge
from .effective_newton import SMALLEST_DAMPING, SMALLEST_PHASE
from .hermitian import LANES
from .small_solve import solve_dense

# Steps along the straight line from the parameters of the guess to the wanted ones, where Newton fails.
CONTINUATION = (1, 4, 16, 64)
# Relative residual that no further step makes smaller.
ROUND_OFF = 1.0e-15
# What an evaluation is for: the point itself, a Newton trial, its return to aligned states.
START, TRIAL, RETURN = range(3)


@kernel
def evaluate_closure(
    y,
    target,
    multiplier,
    given,
    n_charges,
    populations,
    weight,
    velocity,
    number_weight,
    low,
    high,
    external,
    strength,
    n_flavors,
    parts,
    lane,
    output,
    response,
):
    """Residual D_out - D into output (orders d), and dD_out_l/d(s_m h) = sum w_l s_m R into response (orders d)^2.

    y: coordinates of D_l; where order `given` is not negative, its first n_charges entries are multipliers, and target
    (n_charges) are the charges there. multiplier (order, n_charges): the other ones. Returns (smallest gap of levels
    with different populations in cm^-1, degenerate or not).
    """
    d = n_flavors * n_flavors - 1
    orders = velocity.shape[1] + 1
    n = orders * d
    # strength D_l - lambda_l T in coordinates
    field = np.empty((orders, d))
    for order in range(orders):
        for a in range(d):
            x = y[order * d + a]
            if a < n_charges:
                if order == given:
                    field[order, a] = strength * target[a] - x
                    output[order * d + a] = -target[a]
                    continue
                field[order, a] = strength * x - multiplier[order, a]
            else:
                field[order, a] = strength * x
            output[order * d + a] = -x
    sign = np.empty(orders)
    ray = np.empty(d)
    packed = np.empty((1, d + 1))
    none = np.zeros(1)
    base = np.empty(9)
    sums = np.empty(8)
    pairs = (d * (d + 1)) // 2
    one = np.empty(pairs)
    total = np.zeros((orders, orders, pairs))
    if n_flavors == 2:
        blocks = np.empty(((2 * number_weight.size + LANES - 1) // LANES, BLOCK_ROWS_2 * LANES))
        fill_blocks_2(low, high, blocks)
    else:
        blocks = np.empty(((2 * number_weight.size * parts + LANES - 1) // LANES, BLOCK_ROWS_3 * LANES))
        fill_blocks_3(low, high, parts, blocks)
    gap = HUGE
    degenerate = False
    for m in range(velocity.shape[0]):
        empty = True
        sign[0] = 1.0
        for order in range(orders):
            empty = empty and weight[order, m] == 0.0
            if order > 0:
                sign[order] = -velocity[m, order - 1]
        if empty:
            continue
        for a in range(d):
            h = 0.0
            for order in range(orders):
                h += sign[order] * field[order, a]
            ray[a] = h
        from_coordinates(ray, none, n_flavors, packed)
        for k in range(d + 1):
            h = packed[0, k]
            for order in range(orders):
                h += sign[order] * external[order, k]
            base[k] = h
        if n_flavors == 2:
            shortest, crossed = bin_sums_2(populations[m], number_weight, base, blocks, True, lane, sums, one)
        else:
            shortest, crossed = bin_sums_3(populations[m], number_weight, base, parts, blocks, True, lane, sums, one)
        gap = min(gap, shortest)
        degenerate = degenerate or crossed
        for order in range(orders):
            w = weight[order, m]
            for a in range(d):
                output[order * d + a] += w * sums[a]
            for other in range(orders):
                factor = w * sign[other]
                for k in range(pairs):
                    total[order, other, k] += factor * one[k]
    for order in range(orders):
        for other in range(orders):
            k = 0
            for a in range(d):
                for b in range(a, d):
                    response[order * d + a, other * d + b] = total[order, other, k]
                    response[order * d + b, other * d + a] = total[order, other, k]
                    k += 1
    for a in range(n):
        for b in range(n):
            if not isfinite(response[a, b]):
                return 0.0, True
    return gap, degenerate


@kernel
def fill_jacobian(y, given, n_charges, strength, n_flavors, scale, response, jacobian, work):
    """Derivative of the residual by y from the response, with the common phases fixed."""
    d = n_flavors * n_flavors - 1
    for b in range(y.size):
        held = given * d <= b < given * d + n_charges
        # by the multiplier: H holds strength x_b, but - lambda_b, along the same generator
        factor = -1.0 if held else strength
        for a in range(y.size):
            jacobian[a, b] = factor * response[a, b]
        if not held:
            jacobian[b, b] -= 1.0
    fix_gauge(y, n_charges, n_flavors, SMALLEST_PHASE * scale, jacobian, work)


@kernel
def newton_closure(
    y,
    scale,
    target,
    multiplier,
    given,
    n_charges,
    populations,
    weight,
    velocity,
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
    response,
):
    """Solve D_out = D from the guess y (overwritten, on failure with the best point reached).

    Damped Newton with the return to aligned states of `newton_effective`. Leaves the response at the solution. Returns
    (status, updates, relative residual).
    """
    n = y.size
    d = n_flavors * n_flavors - 1
    first = given * d
    output = np.empty(n)
    step = np.empty(n)
    point = y.copy()
    jacobian = np.empty((n, n))
    work = np.empty((2, n))
    saved_point = np.empty(n)
    saved_output = np.empty(n)
    saved_response = np.empty((n, n))
    largest = abs(strength) * scale
    for g in range(number_weight.size):
        for k in range(n_flavors):
            largest = max(largest, abs(low[g, k]), abs(high[g, k]))
    iterations = 0
    damping = 1.0
    stage = START
    norm = 0.0
    saved_norm = 0.0
    saved_degenerate = False
    polished = False
    while True:
        _, degenerate = evaluate_closure(
            point, target, multiplier, given, n_charges, populations, weight, velocity, number_weight, low, high,
            external, strength, n_flavors, parts, lane, output, response,
        )  # fmt: skip
        total = 0.0
        for a in range(n):
            total += output[a] * output[a]
        new_norm = sqrt(total)
        if stage == TRIAL and not new_norm <= 0.1 * norm:
            saved_norm = new_norm
            saved_degenerate = degenerate
            for a in range(n):
                saved_point[a] = point[a]
                saved_output[a] = output[a]
                for b in range(n):
                    saved_response[a, b] = response[a, b]
            for a in range(n):
                if given < 0 or not first <= a < first + n_charges:
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
                    response[a, b] = saved_response[a, b]
        if stage != START and not new_norm <= (1.0 - 1.0e-4 * damping) * norm:
            if norm <= tolerance * scale:
                # as good as round-off allows; the response is to be that of the solution
                evaluate_closure(
                    y, target, multiplier, given, n_charges, populations, weight, velocity, number_weight, low, high,
                    external, strength, n_flavors, parts, lane, output, response,
                )  # fmt: skip
                return CONVERGED, iterations, norm / scale
            damping *= 0.5
            if damping < SMALLEST_DAMPING:
                return (SINGULAR if degenerate else NO_DESCENT), iterations, norm / scale
            for a in range(n):
                point[a] = y[a] + damping * step[a]
            stage = TRIAL
            continue
        if stage != START:
            iterations += 1
        norm = new_norm
        for a in range(n):
            y[a] = point[a]
        if not isfinite(norm):
            return NOT_FINITE, iterations, norm / scale
        if norm <= tolerance * scale and degenerate:
            return SINGULAR, iterations, norm / scale
        # A phase gradient feels a residual divided by a small second derivative: one more step than the tolerance asks.
        if norm <= tolerance * scale and (polished or norm <= ROUND_OFF * scale):
            return CONVERGED, iterations, norm / scale
        polished = norm <= tolerance * scale
        if iterations >= max_iterations:
            return MAX_ITERATIONS, iterations, norm / scale
        for a in range(n):
            step[a] = -output[a]
        fill_jacobian(y, given, n_charges, strength, n_flavors, scale, response, jacobian, work)
        if not solve_dense(jacobian, step, n):
            return SINGULAR, iterations, norm / scale
        # no step may turn the Hamiltonian by more than its own size
        change = 0.0
        for a in range(n):
            held = given >= 0 and first <= a < first + n_charges
            change += (step[a] * (1.0 if held else strength)) ** 2
        change = sqrt(change)
        damping = 1.0 if change <= 2.0 * largest else 2.0 * largest / change
        for a in range(n):
            point[a] = y[a] + damping * step[a]
        stage = TRIAL


@kernel
def charge_response(y, n_charges, strength, n_flavors, scale, response, hessian):
    """hessian (orders n_charges)^2 of a solution: dTr(Q_a D_l)/d lambda_mb from the response there; False if singular.

    (strength M - 1) dD/d lambda = M e by the implicit function theorem, M the response: a column for each multiplier.
    y are coordinates throughout.
    """
    n = y.size
    d = n_flavors * n_flavors - 1
    jacobian = np.empty((n, n))
    work = np.empty((2, n))
    column = np.empty(n)
    regular = True
    for m in range(n // d):
        for b in range(n_charges):
            fill_jacobian(y, -n, n_charges, strength, n_flavors, scale, response, jacobian, work)
            for a in range(n):
                column[a] = response[a, m * d + b]
            regular = solve_dense(jacobian, column, n) and regular
            for k in range(n // d):
                for a in range(n_charges):
                    hessian[k * n_charges + a, m * n_charges + b] = column[k * d + a]
    return regular


@kernel
def solve_closures(
    unknowns,
    target,
    multiplier,
    start_target,
    start_multiplier,
    known,
    given,
    populations,
    weight,
    velocity,
    number_weight,
    low,
    high,
    external,
    strength,
    n_flavors,
    parts,
    tolerance,
    max_iterations,
    charge,
    hessian,
    status,
    iterations,
    residual,
):
    """Solve every cell: unknowns (cell, orders d), coordinates of D_l, hold the guess and then the solution.

    target (cell, n_charges) and multiplier (cell, order, n_charges) are the parameters; of order `given`, if it is not
    negative, the multiplier is guess and solution. Where `known`, the guess solves the cell with the start_ parameters,
    and Newton follows it from there in small steps if it must. Media have one row for each cell, or one for all.
    Results: charge (cell, order, n_charges), hessian (cell, orders n_charges, orders n_charges). A cell that fails
    keeps its guess.
    """
    n = unknowns.shape[1]
    d = n_flavors * n_flavors - 1
    n_charges = target.shape[1]
    lane = np.zeros(BIN_ROWS * LANES)
    response = np.empty((n, n))
    trace = np.empty(weight.shape[1])
    y = np.empty(n)
    t = np.empty(n_charges)
    parameter = np.empty((multiplier.shape[1], n_charges))
    for cell in range(unknowns.shape[0]):
        n_of = populations[cell if populations.shape[0] > 1 else 0]
        w_of = weight[cell if weight.shape[0] > 1 else 0]
        v_of = velocity[cell if velocity.shape[0] > 1 else 0]
        low_of = low[cell if low.shape[0] > 1 else 0]
        high_of = high[cell if high.shape[0] > 1 else 0]
        external_of = external[cell if external.shape[0] > 1 else 0]
        scale = number_sums(n_of, w_of, number_weight, n_flavors, trace)
        total = scale + np.sum(unknowns[cell]) + np.sum(target[cell]) + np.sum(multiplier[cell]) + np.sum(external_of)
        iterations[cell] = 0
        if not isfinite(total) or scale == 0.0:
            status[cell] = NOT_FINITE if not isfinite(total) else SINGULAR
            residual[cell] = np.nan
            continue
        code = SINGULAR
        for attempt in range(len(CONTINUATION) if known[cell] else 1):
            steps = CONTINUATION[attempt]
            for a in range(n):
                y[a] = unknowns[cell, a]
            if given >= 0:
                for a in range(n_charges):
                    y[given * d + a] = multiplier[cell, given, a]
            for k in range(1, steps + 1):
                f = k / steps
                for a in range(n_charges):
                    t[a] = (1.0 - f) * start_target[cell, a] + f * target[cell, a] if steps > 1 else target[cell, a]
                    for order in range(multiplier.shape[1]):
                        parameter[order, a] = multiplier[cell, order, a]
                        if steps > 1:
                            parameter[order, a] *= f
                            parameter[order, a] += (1.0 - f) * start_multiplier[cell, order, a]
                code, count, error = newton_closure(
                    y, scale, t, parameter, given, n_charges, n_of, w_of, v_of, number_weight, low_of, high_of,
                    external_of, strength, n_flavors, parts, tolerance, max_iterations, lane, response,
                )  # fmt: skip
                iterations[cell] += count
                residual[cell] = error
                if code != CONVERGED:
                    break
            if code in (CONVERGED, NOT_FINITE):
                break
        if code == CONVERGED:
            if given >= 0:
                for a in range(n_charges):
                    multiplier[cell, given, a] = y[given * d + a]
                    y[given * d + a] = target[cell, a]
            if not charge_response(y, n_charges, strength, n_flavors, scale, response, hessian[cell]):
                code = SINGULAR
        status[cell] = code
        if code == CONVERGED:
            for order in range(multiplier.shape[1]):
                for a in range(n_charges):
                    charge[cell, order, a] = y[order * d + a]
            for a in range(n):
                unknowns[cell, a] = y[a]
