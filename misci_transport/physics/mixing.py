"""Part two of a step seen from the transport: populations in, eigenvectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .levels import LevelFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..phase_space import PhaseSpace


class NoMixing:
    """Flavours are carried without conversion: every cell is locked, nothing is solved."""

    def __init__(self, phase_space: PhaseSpace, cells: slice) -> None:
        self.phase_space = phase_space
        self.frame = LevelFrame.locked(phase_space, cells.stop - cells.start)
        self.weight_0 = phase_space.angles.weight_0[cells]
        self.weight_1 = phase_space.angles.weight_1[cells]

    def align(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> LevelFrame:
        """Set the diagonal of D_0 and D_1, Eq. (4), and return the frame of locked cells."""
        number = self.phase_space.number_weight
        moments[:] = 0.0
        for order, weight in enumerate((self.weight_0, self.weight_1)):
            content = np.einsum("im,imsgk,g->isk", weight, populations, number)
            for level in range(content.shape[2]):
                for species, sign in ((0, 1.0), (1, -1.0)):
                    component = self.frame.component[0, species, level]
                    if component < self.phase_space.n_flavors:
                        moments[:, order, component] += sign * content[:, species, level]
        return self.frame
