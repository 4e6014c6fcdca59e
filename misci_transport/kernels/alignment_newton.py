"""Damped Newton iteration for the self-consistent alignment of one cell."""

from __future__ import annotations

from math import isfinite, sqrt

from ..numba_cache import kernel
from .alignment_residual import evaluate
from .small_solve import solve_dense

CONVERGED, LOCKED, SINGULAR, NO_DESCENT, MAX_ITERATIONS, NOT_FINITE = range(6)

# Contraction factor below which plain iteration is cheaper than Newton.
CONTRACTION = 0.05
SMALLEST_DAMPING = 1.0e-4
# What the current evaluation is for: the point x itself, a Newton trial, its return to aligned states, plain iteration.
START, TRIAL, RETURN, PLAIN = range(4)


@kernel
def newton(
    x,
    scale,
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
    lane,
    output,
    jacobian,
    matrix,
    step,
    point,
    saved_point,
    saved_output,
    saved_jacobian,
):
    """Solve D_out(D) = D for one cell from the guess x (overwritten); returns (status, updates, relative residual).

    Damped Newton; where the Jacobian's norm is proven to be below CONTRACTION, plain iteration D <- D_out.
    Converged: |D_out - D| <= tolerance * scale. On failure x is the best point reached.
    """
    n = weight.shape[0] * (n_flavors * n_flavors - 1)
    largest = abs(potential)
    for k in range(n_flavors * n_flavors):
        largest = max(largest, abs(vacuum[0, k]))
    want_jacobian = abs(strength) * scale > 0.02 * largest
    stage = START
    iterations = 0
    damping = 1.0
    norm = 0.0
    saved_norm = 0.0
    saved_bound = 0.0
    saved_gap = 0.0
    saved_degenerate = False
    was_degenerate = False
    for a in range(n):
        point[a] = x[a]
    # One evaluation a turn: a single call keeps the compiled code small.
    while True:
        bound, gap, degenerate = evaluate(
            point, populations, weight, velocity, number_weight, vacuum, potential, beta, strength,
            shift, n_flavors, want_jacobian, lane, output, jacobian,
        )  # fmt: skip
        total = 0.0
        for a in range(n):
            total += (output[a] - point[a]) ** 2
        new_norm = sqrt(total)
        if stage == TRIAL and not new_norm <= 0.1 * norm:
            # A long step leaves the curved set of aligned states; one plain iteration puts it back on it.
            saved_norm = new_norm
            saved_bound = bound
            saved_gap = gap
            saved_degenerate = degenerate
            for a in range(n):
                saved_point[a] = point[a]
                saved_output[a] = output[a]
                if want_jacobian:
                    for b in range(n):
                        saved_jacobian[a, b] = jacobian[a, b]
            for a in range(n):
                point[a] = output[a]
            stage = RETURN
            continue
        if stage == RETURN and not new_norm < saved_norm:
            new_norm = saved_norm
            bound = saved_bound
            gap = saved_gap
            degenerate = saved_degenerate
            for a in range(n):
                point[a] = saved_point[a]
                output[a] = saved_output[a]
                if want_jacobian:
                    for b in range(n):
                        jacobian[a, b] = saved_jacobian[a, b]
        if stage in (TRIAL, RETURN) and not new_norm <= (1.0 - 1.0e-4 * damping) * norm:
            damping *= 0.5
            if damping < SMALLEST_DAMPING:
                return (SINGULAR if degenerate or was_degenerate else NO_DESCENT), iterations, norm / scale
            for a in range(n):
                point[a] = x[a] + damping * step[a]
            stage = TRIAL
            continue
        if stage in (TRIAL, RETURN, PLAIN):
            iterations += 1
        norm = new_norm
        was_degenerate = degenerate
        for a in range(n):
            x[a] = point[a]
        if not isfinite(norm):
            return NOT_FINITE, iterations, norm / scale
        if norm <= tolerance * scale:
            return (SINGULAR if degenerate else CONVERGED), iterations, norm / scale
        # Within this distance no gap changes by more than a tenth, so the bound on the Jacobian holds (nearly).
        contracting = not degenerate and 30.0 * abs(strength) * norm <= gap and bound <= CONTRACTION
        if contracting and 1.2 * bound * norm <= tolerance * scale:
            for a in range(n):
                x[a] = output[a]
            return CONVERGED, iterations + 1, 1.2 * bound * norm / scale
        if iterations >= max_iterations:
            return MAX_ITERATIONS, iterations, norm / scale
        if contracting:
            for a in range(n):
                point[a] = output[a]
            want_jacobian = False
            stage = PLAIN
            continue
        if not want_jacobian:
            want_jacobian = True
            stage = START
            continue
        for a in range(n):
            for b in range(n):
                matrix[a, b] = -jacobian[a, b]
            matrix[a, a] += 1.0
            step[a] = output[a] - x[a]
        if not solve_dense(matrix, step, n):
            return SINGULAR, iterations, norm / scale
        # Close to the solution the next point is expected to be the last one: it needs no Jacobian.
        want_jacobian = norm > 1.0e-7 * scale
        damping = 1.0
        for a in range(n):
            point[a] = x[a] + step[a]
        stage = TRIAL
