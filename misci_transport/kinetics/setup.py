"""What a box of neutrinos is: directions, groups, terms of the Hamiltonian, cells and their ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..flavor import flavors_of
from .collisions import KineticCollisions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

HOMOGENEOUS, PERIODIC, OPEN = "homogeneous", "periodic", "open"

#: Value of a term of H at a time.
Law = float | Callable[[float], float]


def _of_shape(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A contiguous copy; fewer axes are repeated over the first ones."""
    given = np.asarray(values, dtype=np.float64)
    try:
        full = np.array(np.broadcast_to(given, shape), order="C")
    except ValueError:
        raise ConfigurationError(f"{name} has shape {given.shape}; accepted: {shape}") from None
    if not np.isfinite(full).all():
        raise ConfigurationError(f"{name} holds a number that is not finite")
    return full


@dataclass
class KineticSetup:
    """Everything about a box but its state.

    Parameters
    ----------
    cosine, weight
        (direction,) v in [-1, 1] and weights of the directions in D_l. Beams: v = +-1 and weights 1.
    vacuum
        (group, N_f^2) packed vacuum terms of neutrinos, inverse lengths; N_f = 2 or 3.
    number_weight
        (group,) weights of the groups in D_l; 1 by default.
    strength
        Of the self-interaction, sqrt2 G_F; a number or a function of time.
    matter_potential, matter_velocity
        V, inverse length, and beta; a number or (cell,) over the whole box.
    cells, length
        Number of equal cells and length of the box.
    boundary
        "homogeneous": nothing moves from cell to cell; "periodic"; "open": what enters is given by ``inflow``, what
        leaves is gone.
    collisions
        Rates; none by default.
    inflow
        Open ends: (direction, species, group, N_f^2) density matrices that enter, from the left for v > 0.

    Raises
    ------
    ConfigurationError
        For shapes that do not fit, numbers that are not finite, directions outside [-1, 1] or an unknown boundary.
    """

    cosine: NDArray[np.float64]
    weight: NDArray[np.float64]
    vacuum: NDArray[np.float64]
    number_weight: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    strength: Law = 0.0
    matter_potential: ArrayLike = 0.0
    matter_velocity: ArrayLike = 0.0
    cells: int = 1
    length: float = 1.0
    boundary: str = HOMOGENEOUS
    collisions: KineticCollisions | None = None
    inflow: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.boundary not in (HOMOGENEOUS, PERIODIC, OPEN):
            raise ConfigurationError(f"boundary is {self.boundary!r}; accepted: {HOMOGENEOUS}, {PERIODIC}, {OPEN}")
        if self.cells < 1 or not (np.isfinite(self.length) and self.length > 0.0):
            raise ConfigurationError(f"cells, length are {self.cells}, {self.length}; accepted: cells >= 1, length > 0")
        size = np.atleast_1d(np.asarray(self.cosine)).size
        self.cosine = _of_shape("cosine", self.cosine, (size,))
        if np.abs(self.cosine).max() > 1.0:
            raise ConfigurationError(f"cosine reaches {np.abs(self.cosine).max():g}; accepted: in [-1, 1]")
        self.weight = _of_shape("weight", self.weight, (size,))
        groups = np.atleast_1d(np.asarray(self.number_weight)).size
        self.number_weight = _of_shape("number_weight", self.number_weight, (groups,))
        components = np.shape(self.vacuum)[-1] if np.ndim(self.vacuum) else 0
        if flavors_of(components) == 0:
            raise ConfigurationError(f"vacuum has shape {np.shape(self.vacuum)}; accepted: ({groups}, 4 or 9)")
        self.vacuum = _of_shape("vacuum", self.vacuum, (groups, components))
        self.matter_potential = _of_shape("matter_potential", self.matter_potential, (self.cells,))
        self.matter_velocity = _of_shape("matter_velocity", self.matter_velocity, (self.cells,))
        if self.boundary == OPEN:
            if self.inflow is None:
                raise ConfigurationError(f"inflow is missing; accepted with open ends: {self.matrix_shape}")
            self.inflow = _of_shape("inflow", self.inflow, self.matrix_shape)
        elif self.inflow is not None:
            raise ConfigurationError(f'inflow is given; accepted with boundary = "{OPEN}" only')
        if self.collisions is not None:
            self.collisions.check(groups, self.n_flavors, self.cells)

    @property
    def components(self) -> int:
        """N_f^2."""
        return int(self.vacuum.shape[1])

    @property
    def n_flavors(self) -> int:
        """Number of flavours."""
        return flavors_of(self.components)

    @property
    def groups(self) -> int:
        """Number of energy groups."""
        return int(self.number_weight.size)

    @property
    def matrix_shape(self) -> tuple[int, int, int, int]:
        """Shape of the density matrices of a cell."""
        return (self.cosine.size, 2, self.groups, self.components)

    @property
    def cell_width(self) -> float:
        """Length of a cell."""
        return self.length / self.cells

    def strength_at(self, time: float) -> float:
        """Self-interaction strength at a time."""
        return float(self.strength(time)) if callable(self.strength) else float(self.strength)
