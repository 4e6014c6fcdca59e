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

    populations: NDArray[np.float64]  #: (cell + 2 HALO, direction, species, group, level) occupations
    moments: NDArray[np.float64]  #: (cell, order, component) D_0 and D_1, Eq. (4), cm^-3
    time: float = 0.0  #: s
    step: int = 0

    @classmethod
    def empty(cls, phase_space: PhaseSpace, cells: int) -> State:
        """No neutrinos."""
        return cls(
            np.zeros((cells + 2 * HALO, *phase_space.cell_shape)),
            np.zeros((cells, 2, phase_space.n_flavors**2)),
        )

    @property
    def owned(self) -> NDArray[np.float64]:
        """View of the populations without ghost cells."""
        return self.populations[HALO:-HALO]
