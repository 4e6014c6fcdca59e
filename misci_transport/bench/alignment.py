"""Cost of the alignment with conserved charges: a Newton iteration and a residual of one cell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.effective_batch import evaluate_effective_batch
from ..kernels.small_solve import solve_dense

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIRECTIONS, GROUPS, CELLS = 16, 20, 16
#: Goals in ns per cell, direction and group, neutrinos and antineutrinos together: an iteration, by flavours.
ITERATION_GOALS = {2: 40.0, 3: 400.0}


def alignment_costs(flavors: int, repeat: int) -> tuple[float, float]:
    """Least time of a Newton iteration (residual, Jacobian, linear solve) and of a residual alone.

    ns of one core per cell, direction and group, with averages over the energy bins and all charges given.
    """
    arguments, size = _cells(flavors)
    output, jacobian = np.empty((CELLS, size)), np.zeros((CELLS, size, size))
    best = {True: np.inf, False: np.inf}
    for _ in range(repeat + 1):
        for with_jacobian in best:
            start = time.perf_counter()
            evaluate_effective_batch(*arguments, with_jacobian, output, jacobian)
            if with_jacobian:
                for cell in range(CELLS):
                    solve_dense(jacobian[cell], output[cell], size)
            best[with_jacobian] = min(best[with_jacobian], time.perf_counter() - start)
    work = CELLS * DIRECTIONS * GROUPS
    return 1.0e9 * best[True] / work, 1.0e9 * best[False] / work


def _cells(flavors: int) -> tuple[tuple[Any, ...], int]:
    """Arguments of `evaluate_effective_batch` up to the phases, and the number of unknowns of a cell."""
    rng = np.random.default_rng(0)
    n, d = flavors, flavors * flavors - 1
    cosine = np.linspace(-0.95, 0.95, DIRECTIONS)
    weight = np.full(DIRECTIONS, 2.0 / DIRECTIONS)
    edges = 1.0 / np.geomspace(1.0, 200.0, GROUPS + 1)
    slope = np.array([0.5, -0.5]) if n == 2 else np.array([0.7, -0.3, -0.4])

    def every(array: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ascontiguousarray(np.broadcast_to(array, (CELLS, *array.shape)))

    arguments = (
        rng.normal(size=(CELLS, 2 * d)),
        rng.normal(size=(CELLS, 2)),
        np.full(CELLS, n - 1),
        0,
        rng.random((CELLS, DIRECTIONS, 2, GROUPS, 3)),
        every(np.stack([weight, weight * cosine])),
        every(cosine),
        rng.random(GROUPS),
        every(edges[1:, None] * slope),
        every(edges[:-1, None] * slope),
        np.zeros((CELLS, 2, n * n)),
        0.2,
        n,
        1,
        np.full(CELLS, 1.0e-12),
    )
    return arguments, 2 * d
