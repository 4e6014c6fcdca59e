"""What the levels of a cell are made of: the link between populations and flavours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..phase_space import PhaseSpace


@dataclass
class LevelFrame:
    """Eigenvectors of the Hamiltonian on a range of cells, in the form that collisions need.

    A flavour-locked cell has the pure nu_e as its uppermost mixing level for all momenta; the heavy levels
    are interchangeable for matter. Antineutrino levels ascend in -M^2, so the heavy ones run backwards.
    """

    component: NDArray[np.int64]  #: (cell, species, level) flavour component of a level, locked cells
    mixed: NDArray[np.int64]  #: (cell,) row in projector, or -1 for a locked cell
    projector: NDArray[np.float64]  #: (row, direction, species, group, level, component) <k|A|k> = sum projector A

    @classmethod
    def locked(cls, phase_space: PhaseSpace, cells: int) -> LevelFrame:
        """All cells flavour-locked (also the frame of a run without mixing)."""
        order = np.array([[1, 2, 0], [2, 1, 0]] if phase_space.n_flavors == 3 else [[1, 0, 2], [1, 0, 2]])
        component = np.broadcast_to(order, (cells, 2, 3)).astype(np.int64)
        return cls(
            component.copy(),
            np.full(cells, -1, dtype=np.int64),
            np.zeros((0, *phase_space.cell_shape, phase_space.components)),
        )

    def of_cells(self, cells: NDArray[np.int64]) -> LevelFrame:
        """The part for some cells."""
        rows = self.mixed[cells]
        mixed = np.full(cells.size, -1, dtype=np.int64)
        mixed[rows >= 0] = np.arange(int((rows >= 0).sum()))
        return LevelFrame(
            np.ascontiguousarray(self.component[cells]), mixed, np.ascontiguousarray(self.projector[rows[rows >= 0]])
        )

    def part(self, cells: slice) -> LevelFrame:
        """The part for a range of cells; nothing is copied but the numbers of the projectors."""
        rows = self.mixed[cells]
        mixed = rows[rows >= 0]
        first, last = (int(mixed.min()), int(mixed.max()) + 1) if mixed.size else (0, 0)
        return LevelFrame(self.component[cells], np.where(rows >= 0, rows - first, -1), self.projector[first:last])

    @property
    def mixed_cells(self) -> NDArray[np.int64]:
        """Local numbers of the cells that are not flavour-locked."""
        return np.flatnonzero(self.mixed >= 0)

    def to_levels(self, occupations: NDArray[np.float64]) -> NDArray[np.float64]:
        """n_k = sum_f |U_fk|^2 n_f of density matrices diagonal in flavour, (cell, direction, species, group, flavour).

        Coherence that eigenvectors would have is not there: in mixed cells purity is lost.
        """
        out = np.empty_like(occupations)
        for species in range(occupations.shape[2]):
            level = self.component[:, None, species, None, :]
            out[:, :, species] = np.take_along_axis(occupations[:, :, species], level, axis=3)
        mixed = self.mixed_cells
        shares = self.projector[self.mixed[mixed], ..., : out.shape[4]]
        out[mixed] = np.einsum("cdsgkf,cdsgf->cdsgk", shares, occupations[mixed])
        return out

    def to_flavors(self, populations: NDArray[np.float64]) -> NDArray[np.float64]:
        """n_f = sum_k |U_fk|^2 n_k, (cell, direction, species, group, flavour): diagonal of the density matrices."""
        out = np.empty_like(populations)
        for species in range(populations.shape[2]):
            level = self.component[:, None, species, None, :]
            np.put_along_axis(
                out[:, :, species],
                np.broadcast_to(level, populations[:, :, species].shape),
                populations[:, :, species],
                axis=3,
            )
        mixed = self.mixed_cells
        shares = self.projector[self.mixed[mixed], ..., : out.shape[4]]
        out[mixed] = np.einsum("cdsgkf,cdsgk->cdsgf", shares, populations[mixed])
        return out
