"""The limits T -> 0 from above and from below, Eq. (12): aligned states with levels filled in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..kernels.mixing import density_matrices_batch
from .quantities import entropy_of_levels, moments, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..alignment import AlignmentReport, Batch


@dataclass
class Ground:
    """An aligned state whose levels are filled in order, as far as the alignment found one."""

    report: AlignmentReport
    populations: NDArray[np.float64]  #: (cell, direction, species, group, level) by ascending level of H
    density_matrix: NDArray[np.float64]  #: (cell, direction, species, group, N_f^2 + spectators)
    moments: NDArray[np.float64]  #: (cell, order, N_f^2) cm^-3
    entropy: NDArray[np.float64]  #: (cell,) cm^-3, of the levels that are filled in part


def filled_levels(number: NDArray[np.float64], n_flavors: int, *, hottest: bool) -> NDArray[np.float64]:
    """Occupations by ascending level of H for Tr rho (cell, direction, species, group): (..., level).

    Antineutrinos have the energies -Hbar, so that their lowest state is the uppermost level.
    """
    filled = np.clip(number[..., None] - np.arange(n_flavors), 0.0, 1.0)
    upward = np.array([True, False]) if not hottest else np.array([False, True])
    return np.where(upward[:, None, None], filled, filled[..., ::-1])


def find_ground_state(density_matrix: NDArray[np.float64], batch: Batch, *, hottest: bool = False) -> Ground:
    """Align the filled levels, following the self-interaction up from zero; see `thermodynamics.ground_state`."""
    n = batch.n_flavors
    spectators = density_matrix[..., n * n :]
    levels = filled_levels(numbers(density_matrix, n), n, hottest=hottest)
    populations = np.ascontiguousarray(np.concatenate([levels, spectators], axis=-1))
    cells = replace(batch, populations=populations)
    found = np.zeros((batch.cells, batch.orders, n * n))
    for part in np.linspace(0.0, 1.0, 11):
        report = replace(cells, strength=float(part) * batch.strength).solve(found, 1.0e-12, 60, True)
    out = np.array(density_matrix, copy=True, order="C")
    shared = (
        np.ascontiguousarray(np.broadcast_to(batch.velocity, (batch.cells, *batch.velocity.shape[1:]))),
        *batch.mixing_arguments()[1:],
    )
    density_matrices_batch(populations, found, *shared, out)
    return Ground(report, populations, out, moments(out, batch), entropy_of_levels(populations, batch))
