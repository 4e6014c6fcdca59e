"""What a closure is told of a cell, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..constants import FERMI_POTENTIAL
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Signs of neutrinos and antineutrinos in lepton numbers.
SPECIES = (1.0, -1.0)


@dataclass(frozen=True)
class Cell:
    """Directions, groups and flavours of one cell; what follows n_flavors is for closures that need a Hamiltonian."""

    weight_0: NDArray[np.float64]  #: (direction,) integrals over the directions' bins
    number_weight: NDArray[np.float64]  #: (group,) cm^-3
    n_flavors: int  #: that mix, 2 or 3
    velocity: NDArray[np.float64] | None = None  #: (direction,) cosines, or (direction, 3)
    vacuum: NDArray[np.float64] | None = None  #: (group, N_f^2) packed M^2/2E, cm^-1
    matter_potential: float = 0.0  #: cm^-1
    strength: float = FERMI_POTENTIAL  #: sqrt 2 G_F, cm^2

    def __post_init__(self) -> None:
        if self.n_flavors not in (2, 3):
            raise ConfigurationError(f"n_flavors is {self.n_flavors!r}; accepted: 2 or 3")
        if self.vacuum is not None and self.velocity is None:
            raise ConfigurationError("velocity is missing; accepted with a vacuum term: (direction,) or (direction, 3)")


@dataclass(frozen=True)
class Outcome:
    """Occupations that a closure made, and what it did."""

    occupations: NDArray[np.float64]  #: (direction, species, group, flavour)
    counts: dict[str, float] = field(default_factory=dict)


def checked(occupations: NDArray[np.float64], cell: Cell) -> NDArray[np.float64]:
    """The occupations as float64 of the shape that the cell asks for.

    Raises
    ------
    ConfigurationError
        If the shape does not fit or a value is not finite.
    """
    occupied = np.require(occupations, np.float64, ["C"])
    flavors = max(cell.n_flavors, occupied.shape[-1] if occupied.ndim else 0)
    expected = (cell.weight_0.size, 2, cell.number_weight.size, flavors)
    if occupied.shape != expected:
        raise ConfigurationError(f"occupations have shape {occupied.shape}; accepted: {expected}")
    if not np.all(np.isfinite(occupied)):
        raise ConfigurationError("occupations hold a value that is not finite; accepted: finite values")
    return occupied
