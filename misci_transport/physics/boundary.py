"""What comes in through the two ends of the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..phase_space import HALO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.decomposition import Decomposition
    from ..quadrature import AngularGrid

KINDS = ("reflecting", "inflow")


@dataclass
class Boundary:
    """Kinds of the inner and outer end; an inflow array has shape (direction, species, group, level).

    "reflecting" inside is also the centre of a star (where ordinates have no area); "inflow" without an
    array is free outflow: nothing comes in.
    """

    inner: str = "reflecting"
    outer: str = "inflow"
    inner_populations: NDArray[np.float64] | None = None
    outer_populations: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name, kind in (("inner", self.inner), ("outer", self.outer)):
            if kind not in KINDS:
                raise ConfigurationError(f"boundary.{name} is {kind!r}; accepted: {', '.join(KINDS)}")

    def check(self, angles: AngularGrid) -> None:
        """Refuse a reflecting end where the directions have no mirror images.

        Raises
        ------
        ConfigurationError
            If an end with a finite area reflects and the areas of a direction and of its mirror image differ.
        """
        for name, kind, area in (
            ("inner", self.inner, angles.face_area[0]),
            ("outer", self.outer, angles.face_area[-1]),
        ):
            unequal = np.abs(area + area[angles.mirror]) > 1.0e-10 * np.abs(area).max()
            if kind == "reflecting" and unequal.any():
                raise ConfigurationError(
                    f'boundary.{name} is "reflecting" at a face with directions that have no mirror images; accepted: '
                    'a mesh that begins at r = 0, angles.kind = "ordinates", or an inflow'
                )

    def fill(self, f: NDArray[np.float64], angles: AngularGrid, decomposition: Decomposition) -> None:
        """Set the ghost cells f[cell + 2 HALO, ...] beyond the ends of the mesh."""
        cells = decomposition.size
        if decomposition.is_first:
            for ghost in range(HALO):
                if self.inner == "reflecting":
                    inside = min(HALO + (HALO - 1 - ghost), HALO + cells - 1)
                    f[ghost] = f[inside][angles.mirror]
                else:
                    f[ghost] = 0.0 if self.inner_populations is None else self.inner_populations
        if decomposition.is_last:
            for ghost in range(HALO):
                target = HALO + cells + ghost
                if self.outer == "reflecting":
                    inside = max(HALO + cells - 1 - ghost, HALO)
                    f[target] = f[inside][angles.mirror]
                else:
                    f[target] = 0.0 if self.outer_populations is None else self.outer_populations
