"""Weights of the shift by v dt: Lagrange's, of degree seven, with a sum of one to the last digit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor, fsum
from typing import TYPE_CHECKING

import numpy as np

from ..kernels.kinetic_advection import POINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Cells to the left of the point of departure that take part.
_LEFT = POINTS // 2 - 1
#: A shift this close to a whole number of cells is one: v dt/dx of beams has a rounding error.
_WHOLE = 1.0e-12


@dataclass(frozen=True)
class Shift:
    """Offsets and weights of all directions (see the kernel), and how many ghosts they reach on either side."""

    offset: NDArray[np.int64]  #: (direction,)
    taps: NDArray[np.float64]  #: (direction, POINTS)
    left: int
    right: int


def shift_of(cells: NDArray[np.float64]) -> Shift:
    """Weights for shifts by so many cells, v dt/dx (direction,)."""
    offset = np.zeros(cells.size, dtype=np.int64)
    taps = np.zeros((cells.size, POINTS))
    left = right = 0
    for m, moved in enumerate(cells):
        nearest = round(float(moved))
        if abs(moved - nearest) <= _WHOLE * max(1.0, abs(moved)):
            offset[m], taps[m, _LEFT] = -nearest - _LEFT, 1.0
            left, right = max(left, nearest), max(right, -nearest)
            continue
        cell = floor(-moved)
        offset[m] = cell - _LEFT
        taps[m] = lagrange_weights(-float(moved) - cell)
        left, right = max(left, _LEFT - cell), max(right, cell + POINTS - 1 - _LEFT)
    return Shift(offset, taps, left, right)


def lagrange_weights(fraction: float) -> NDArray[np.float64]:
    """Weights of points at -3, ..., 4 for the value at a fraction in [0, 1): of the exact sum one, (POINTS,)."""
    x = Fraction(fraction)
    nodes = range(-_LEFT, POINTS - _LEFT)
    exact = []
    for node in nodes:
        weight = Fraction(1)
        for other in nodes:
            if other != node:
                weight *= (x - other) / (node - other)
        exact.append(float(weight))
    weights = np.array(exact)
    # round-off of the sum would add up over the steps: it goes to the largest weight, and what that rounds off again to
    # the smallest
    for place in (np.argmax(np.abs(weights)), np.argmin(np.abs(weights))):
        weights[place] -= fsum([*weights, -1.0])
    return weights
