"""Radial meshes: finite volumes between faces, in spherical or plane symmetry."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

import numpy as np

from .errors import ConfigurationError, UnphysicalInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

GEOMETRIES = ("spherical", "plane")


@dataclass(frozen=True)
class RadialMesh:
    """Cells between increasing faces.

    ``volume`` is integral(r^2 dr) in spherical and integral(dr) in plane symmetry, without the factor 4 pi:
    all balances of this package are per steradian (spherical) or per area (plane); ``full_sphere`` is the
    factor that turns them into totals.
    """

    face: NDArray[np.float64]  #: (cell + 1,) cm
    geometry: str = "spherical"

    def __post_init__(self) -> None:
        face = np.ascontiguousarray(self.face, dtype=np.float64)
        object.__setattr__(self, "face", face)
        if self.geometry not in GEOMETRIES:
            raise ConfigurationError(f"mesh geometry is {self.geometry!r}; accepted: {', '.join(GEOMETRIES)}")
        if face.ndim != 1 or face.size < 2:
            raise ConfigurationError(f"mesh faces have shape {face.shape}; accepted: one axis with 2 or more values")
        finite = np.isfinite(face)
        if not finite.all():
            raise UnphysicalInputError(f"mesh face {int(np.argmin(finite))} is not a finite number")
        step = np.diff(face)
        if not (step > 0.0).all():
            where = int(np.argmin(step > 0.0))
            raise UnphysicalInputError(
                f"mesh faces do not increase: face {where} is {float(face[where])!r} cm, "
                f"face {where + 1} is {float(face[where + 1])!r} cm"
            )
        if self.geometry == "spherical" and face[0] < 0.0:
            raise UnphysicalInputError(f"mesh face 0 is {float(face[0])!r} cm; accepted in spherical symmetry: >= 0")

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(self.face.size - 1)

    @property
    def width(self) -> NDArray[np.float64]:
        """(cell,) cm."""
        return np.diff(self.face)

    @property
    def center(self) -> NDArray[np.float64]:
        """(cell,) midpoints, cm."""
        return 0.5 * (self.face[1:] + self.face[:-1])

    @property
    def volume(self) -> NDArray[np.float64]:
        """(cell,) integral(r^2 dr) in cm^3 or integral(dr) in cm."""
        if self.geometry == "plane":
            return self.width
        inner, outer = self.face[:-1], self.face[1:]
        # the factored form keeps relative accuracy in thin shells
        return (outer - inner) * (outer**2 + outer * inner + inner**2) / 3.0

    def volume_at(self, cells: slice | NDArray[np.int64]) -> NDArray[np.float64]:
        """(cell,) volume of some cells."""
        return self.volume[cells]

    @property
    def face_area(self) -> NDArray[np.float64]:
        """(cell + 1,) r^2 in cm^2, or 1."""
        return np.ones_like(self.face) if self.geometry == "plane" else self.face**2

    @property
    def full_sphere(self) -> float:
        """4 pi in spherical symmetry, 1 in plane symmetry."""
        return 1.0 if self.geometry == "plane" else 4.0 * pi

    @classmethod
    def uniform(cls, inner: float, outer: float, cells: int, geometry: str = "spherical") -> RadialMesh:
        """Faces at equal distances."""
        if cells < 1:
            raise ConfigurationError(f"number of cells is {cells}; accepted: 1 or more")
        return cls(np.linspace(inner, outer, cells + 1), geometry)

    @classmethod
    def logarithmic(cls, inner: float, outer: float, cells: int, geometry: str = "spherical") -> RadialMesh:
        """Faces in geometric progression from inner > 0."""
        if cells < 1:
            raise ConfigurationError(f"number of cells is {cells}; accepted: 1 or more")
        if not 0.0 < inner < outer:
            raise ConfigurationError(f"mesh range [{inner!r}, {outer!r}] cm: accepted 0 < inner < outer")
        return cls(np.geomspace(inner, outer, cells + 1), geometry)
