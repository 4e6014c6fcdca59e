"""The phase space of a run: mesh, directions, energies and flavours in one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .constants import PHASE_SPACE
from .errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .energy import EnergyGrid

SPECIES = 2  #: neutrinos, antineutrinos
LEVELS = 3  #: with two mixing flavours the third level is the unmixed heavy flavour
HALO = 2  #: ghost cells on each side, for second-order face values


def local_rows(whole: NDArray[np.float64], cells: slice | NDArray[np.int64]) -> NDArray[np.float64]:
    """Contiguous rows of ``cells`` from an array with one row for each cell of the mesh, or with one row for all."""
    return np.ascontiguousarray(whole if whole.shape[0] == 1 else whole[cells])


@dataclass(frozen=True)
class PhaseSpace:
    """Axes of populations[cell, direction, species, group, level]."""

    mesh: Any  #: RadialMesh or BlockMesh
    angles: Any  #: AngularGrid of a radial mesh, SphereQuadrature of a block
    energy: EnergyGrid
    n_flavors: int = 3

    def __post_init__(self) -> None:
        if self.n_flavors not in (2, 3):
            raise ConfigurationError(f"flavors.number is {self.n_flavors}; accepted: 2 or 3")

    @property
    def cell_shape(self) -> tuple[int, int, int, int]:
        """(direction, species, group, level) of one cell."""
        return (self.angles.size, SPECIES, self.energy.size, LEVELS)

    @property
    def components(self) -> int:
        """Flavour components of a density matrix: N_f^2, and one for the unmixed flavour if N_f = 2."""
        return 9 if self.n_flavors == 3 else 5

    @property
    def number_weight(self) -> NDArray[np.float64]:
        """(group,) cm^-3 per unit of occupation and of integral(dmu)."""
        return PHASE_SPACE * self.energy.weight
