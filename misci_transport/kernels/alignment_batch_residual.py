"""Residual and Jacobian of the alignment over a batch of cells, for solvers that see all cells at once."""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .alignment_residual import ALIGNMENT_ROWS, evaluate, from_coordinates, number_sums, to_coordinates
from .hermitian import LANES


@kernel
def evaluate_batch(
    x,
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
    with_jacobian,
    output,
    jacobian,
):
    """D_out of the coordinates x (cell, orders (N_f^2 - 1)) into output, its derivative into jacobian if asked for."""
    lane = np.zeros(ALIGNMENT_ROWS * LANES)
    for cell in range(x.shape[0]):
        evaluate(
            x[cell],
            populations[cell],
            weight[cell % weight.shape[0]],
            velocity[cell % velocity.shape[0]],
            number_weight,
            vacuum,
            potential[cell],
            beta[cell],
            strength,
            shift[cell],
            n_flavors,
            with_jacobian,
            lane,
            output[cell],
            jacobian[cell],
        )


@kernel
def to_coordinates_batch(moments, n_flavors, x):
    """`to_coordinates` over the leading cell axis."""
    for cell in range(moments.shape[0]):
        to_coordinates(moments[cell], n_flavors, x[cell])


@kernel
def from_coordinates_batch(x, trace, n_flavors, moments):
    """`from_coordinates` over the leading cell axis; trace (cell, order)."""
    for cell in range(moments.shape[0]):
        from_coordinates(x[cell], trace[cell], n_flavors, moments[cell])


@kernel
def number_sums_batch(populations, weight, number_weight, n_flavors, scale, trace):
    """`number_sums` over the leading cell axis: scale (cell) and trace (cell, order)."""
    for cell in range(populations.shape[0]):
        scale[cell] = number_sums(
            populations[cell], weight[cell % weight.shape[0]], number_weight, n_flavors, trace[cell]
        )
