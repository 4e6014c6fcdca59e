"""The unknowns of the transport on this rank's cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .phase_space import HALO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .phase_space import PhaseSpace


@dataclass
class State:
    """Level populations and the moments that their Hamiltonian depends on."""

    populations: NDArray[np.float64]  #: (row, direction, species, group, level) occupations, rows with ghost cells
    moments: NDArray[np.float64]  #: (cell, order, component) D_0 and D_1, Eq. (4), cm^-3
    rows: slice  #: where this rank's cells are among the rows
    time: float = 0.0  #: s
    step: int = 0

    @classmethod
    def empty(cls, phase_space: PhaseSpace, cells: int, ghosts_before: int = HALO, ghosts_after: int = HALO) -> State:
        """No neutrinos in this rank's cells, nor in the ghost cells before and after them."""
        owned = slice(ghosts_before, ghosts_before + cells)
        return cls(
            np.zeros((owned.stop + ghosts_after, *phase_space.cell_shape)),
            np.zeros((cells, phase_space.angles.weights.shape[1], phase_space.n_flavors**2)),
            owned,
        )

    @property
    def owned(self) -> NDArray[np.float64]:
        """View of the populations without ghost cells."""
        return self.populations[self.rows]
