"""Residual and Jacobian of the alignment with charges over a batch of cells, for solvers that see all cells at once."""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .bins_3 import BIN_ROWS
from .effective import evaluate_effective, fix_gauge
from .hermitian import LANES


@kernel
def evaluate_effective_batch(
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
    smallest_phase,
    with_jacobian,
    output,
    jacobian,
):
    """`evaluate_effective` of every cell: residual (cell, 2 d) and Jacobian (cell, 2 d, 2 d) with its phases fixed.

    smallest_phase (cell,): transverse parts below it have no phase.
    """
    lane = np.zeros(BIN_ROWS * LANES)
    work = np.empty((2, unknowns.shape[1]))
    for cell in range(unknowns.shape[0]):
        evaluate_effective(
            unknowns[cell], target[cell], n_charges[cell], fixed, populations[cell], weight[cell],
            direction_cosine[cell], number_weight, low[cell], high[cell], external[cell], strength, n_flavors, parts,
            with_jacobian, lane, output[cell], jacobian[cell],
        )  # fmt: skip
        if with_jacobian:
            fix_gauge(unknowns[cell], n_charges[cell], n_flavors, smallest_phase[cell], jacobian[cell], work)
