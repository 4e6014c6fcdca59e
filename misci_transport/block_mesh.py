"""Block meshes: boxes of finite volumes between the faces of three axes, Cartesian or spherical."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ConfigurationError, UnphysicalInputError
from .fields import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

GEOMETRIES = ("cartesian", "spherical")
AXES = {"cartesian": ("x", "y", "z"), "spherical": ("r", "theta", "phi")}
AXIS_UNITS = {"cartesian": ("cm", "cm", "cm"), "spherical": ("cm", "rad", "rad")}

#: Relative: 2 pi as a difference of two azimuths is a round-off away from 2 pi.
_ROUND_OFF = 1.0e-12


def numbers_at(shape: Sequence[int], positions: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Global numbers of the cells at all combinations of positions along the axes, axis 0 fastest."""
    i, j, k = (np.asarray(p, dtype=np.int64) for p in positions)
    n0, n1, _ = shape
    return (i[None, None, :] + n0 * (j[None, :, None] + n1 * k[:, None, None])).ravel()


@dataclass(frozen=True)
class BlockMesh:
    """Cells between increasing faces of the axes (x, y, z) or (r, theta, phi); cm and radians.

    Cells are numbered with axis 0 fastest, and every array over cells is flattened so. An axis with one cell is not
    resolved: nothing varies along it. In spherical coordinates an unresolved theta spans 0 to pi and an unresolved
    phi a full turn, so that volumes are those of the whole sphere and no face of such an axis is open.

        V = (r^3/3)| (-cos theta)| (phi)|     A_r = r^2 (-cos theta)| (phi)|
        A_theta = (r^2/2)| sin theta (phi)|   A_phi = (r^2/2)| (theta)|

    Raises
    ------
    ConfigurationError
        If the geometry is unknown, there are not three axes of faces, an unresolved angle does not span its range, or
        a spherical mesh has a single shell (its curvature would turn directions that do not move).
    UnphysicalInputError
        If faces are not finite, do not increase, or leave r >= 0, 0 <= theta <= pi, a full turn of phi.
    """

    geometry: str
    faces: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]  #: (cells of the axis + 1,) each

    def __post_init__(self) -> None:
        if self.geometry not in GEOMETRIES:
            raise ConfigurationError(f"mesh geometry is {self.geometry!r}; accepted: {', '.join(GEOMETRIES)}")
        if len(self.faces) != 3:
            raise ConfigurationError(f"mesh has faces of {len(self.faces)} axes; accepted: 3")
        faces = tuple(np.ascontiguousarray(face, dtype=np.float64) for face in self.faces)
        object.__setattr__(self, "faces", faces)
        for name, face in zip(AXES[self.geometry], faces, strict=True):
            if face.ndim != 1 or face.size < 2:
                raise ConfigurationError(
                    f"mesh faces of axis {name} have shape {face.shape}; accepted: one axis with 2 or more values"
                )
            finite = np.isfinite(face)
            if not finite.all():
                raise UnphysicalInputError(f"mesh face {int(np.argmin(finite))} of axis {name} is not a finite number")
            increasing = np.diff(face) > 0.0
            if not increasing.all():
                where = int(np.argmin(increasing))
                raise UnphysicalInputError(
                    f"mesh faces of axis {name} do not increase: face {where} is {float(face[where])!r}, "
                    f"face {where + 1} is {float(face[where + 1])!r}"
                )
        if self.geometry == "spherical":
            self._check_spherical()

    def _check_spherical(self) -> None:
        r, theta, phi = self.faces
        turn = float(phi[-1] - phi[0])
        if r[0] < 0.0:
            raise UnphysicalInputError(f"mesh face 0 of axis r is {float(r[0])!r} cm; accepted: >= 0")
        if theta[0] < 0.0 or theta[-1] > pi:
            raise UnphysicalInputError(
                f"mesh faces of axis theta range from {float(theta[0])!r} to {float(theta[-1])!r}; accepted: in [0, pi]"
            )
        if turn > 2.0 * pi * (1.0 + _ROUND_OFF):
            raise UnphysicalInputError(f"mesh faces of axis phi span {turn!r}; accepted: at most 2 pi")
        if r.size == 2:
            raise ConfigurationError("mesh has one cell along r; accepted in spherical geometry: 2 or more")
        if theta.size == 2 and (theta[0] != 0.0 or theta[-1] != pi):
            raise ConfigurationError(
                f"the only cell along theta spans {float(theta[0])!r} to {float(theta[-1])!r}; accepted: 0 to pi"
            )
        if phi.size == 2 and not self.full_turn:
            raise ConfigurationError(f"the only cell along phi spans {turn!r}; accepted: 2 pi")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of cells along each axis."""
        n0, n1, n2 = (int(face.size - 1) for face in self.faces)
        return n0, n1, n2

    @property
    def size(self) -> int:
        """Number of cells."""
        n0, n1, n2 = self.shape
        return n0 * n1 * n2

    @property
    def resolved(self) -> tuple[int, ...]:
        """Axes with more than one cell."""
        return tuple(axis for axis, cells in enumerate(self.shape) if cells > 1)

    @property
    def full_turn(self) -> bool:
        """Whether phi goes around the axis (to round-off), so that its ends are the same face."""
        turn = self.faces[2][-1] - self.faces[2][0]
        return self.geometry == "spherical" and bool(abs(turn - 2.0 * pi) <= 2.0 * pi * _ROUND_OFF)

    def center(self, axis: int) -> NDArray[np.float64]:
        """(cell of the axis,) midpoints of the coordinate, cm or radians."""
        return 0.5 * (self.faces[axis][1:] + self.faces[axis][:-1])

    def at(self, cells: NDArray[np.int64] | None = None) -> CellGeometry:
        """Geometry of some cells, by their global numbers, all of them by default."""
        return CellGeometry(self, cells)

    def volume_at(self, cells: NDArray[np.int64]) -> NDArray[np.float64]:
        """(cell,) cm^3 of some cells, by their global numbers."""
        return self.at(cells).volume

    @property
    def centers(self) -> NDArray[np.float64]:
        """(cell, axis) midpoints of the coordinates."""
        return self.at().centers

    def width(self, axis: int) -> NDArray[np.float64]:
        """(cell,) physical width along an axis, cm."""
        return self.at().width(axis)

    @property
    def widths(self) -> NDArray[np.float64]:
        """(cell, axis) physical widths, cm."""
        return self.at().widths

    @property
    def volume(self) -> NDArray[np.float64]:
        """(cell,) cm^3, over the whole solid angle of the cell (no 4 pi is left out)."""
        return self.at().volume

    def face_area(self, axis: int, side: int) -> NDArray[np.float64]:
        """(cell,) area of each cell's low (side 0) or high (side 1) face of an axis, cm^2."""
        return self.at().face_area(axis, side)

    def largest_area(self, axis: int, side: int, *, end: bool = False) -> float:
        """Largest area of the cells' low or high faces of an axis, cm^2; with ``end`` of those at this end of it."""
        x, y, z = self.area_factors(axis, side)
        largest = [float(factor[-side] if end and d == axis else factor.max()) for d, factor in enumerate((x, y, z))]
        return largest[2] * largest[1] * largest[0]

    def area_factors(
        self, axis: int, side: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Factors along the three axes whose product is the area of a cell's face."""
        x, y, z = self.faces
        if self.geometry == "cartesian":
            first, second, third = (
                np.ones(n) if d == axis else np.diff(self.faces[d]) for d, n in enumerate(self.shape)
            )
            return first, second, third
        if axis == 0:
            return _of_side(x, side) ** 2, _cosines(y), np.diff(z)
        if axis == 1:
            return _squares(x), _sine(_of_side(y, side)), np.diff(z)
        return _squares(x), np.diff(y), np.ones(z.size - 1)

    def face_fields(self) -> list[Field]:
        """Faces along each axis, as files hold them."""
        return [
            Field(f"mesh/{name}_face", face, (f"{name}_face",), unit, f"cell faces along {name}", "global")
            for name, unit, face in zip(AXES[self.geometry], AXIS_UNITS[self.geometry], self.faces, strict=True)
        ]

    @classmethod
    def from_edges(
        cls,
        first: ArrayLike,
        second: ArrayLike | None = None,
        third: ArrayLike | None = None,
        geometry: str = "cartesian",
    ) -> BlockMesh:
        """Given faces; an axis without is one cell: 0 to 1 cm, or 0 to pi and 0 to 2 pi in spherical geometry."""
        whole = (1.0, pi, 2.0 * pi) if geometry == "spherical" else (1.0, 1.0, 1.0)
        given = zip((first, second, third), whole, strict=True)
        x, y, z = (np.asarray([0.0, end] if face is None else face, dtype=np.float64) for face, end in given)
        return cls(geometry, (x, y, z))

    @classmethod
    def uniform(
        cls,
        lower: Sequence[float],
        upper: Sequence[float],
        cells: Sequence[int],
        geometry: str = "cartesian",
    ) -> BlockMesh:
        """Faces at equal distances along each axis.

        Raises
        ------
        ConfigurationError
            If there are not three bounds and numbers of cells, or a number of cells is < 1.
        """
        if not len(lower) == len(upper) == len(cells) == 3:
            raise ConfigurationError(
                f"mesh has {len(lower)}, {len(upper)} bounds, {len(cells)} cells; accepted: 3 each"
            )
        for name, number in zip(("first", "second", "third"), cells, strict=True):
            if number < 1:
                raise ConfigurationError(f"number of cells along the {name} axis is {number}; accepted: 1 or more")
        x, y, z = (np.linspace(a, b, n + 1) for a, b, n in zip(lower, upper, cells, strict=True))
        return cls(geometry, (x, y, z))


def shell_factors(
    r: NDArray[np.float64], theta: NDArray[np.float64], phi: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Factors (r^3/3)|, (-cos theta)|, (phi)| of volumes in spherical coordinates."""
    return _cubes(r), _cosines(theta), np.diff(phi)


def _of_side(face: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    return face[1:] if side else face[:-1]


def _cubes(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r^3/3)| in the factored form, which keeps relative accuracy in thin shells."""
    inner, outer = r[:-1], r[1:]
    return (outer - inner) * (outer**2 + outer * inner + inner**2) / 3.0


def _squares(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r^2/2)|."""
    return 0.5 * (r[1:] - r[:-1]) * (r[1:] + r[:-1])


def _cosines(theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """(-cos theta)| = 2 sin(mean) sin(half the width), without cancellation."""
    half: NDArray[np.float64] = np.sin(0.5 * (theta[1:] - theta[:-1]))
    return 2.0 * _sine(0.5 * (theta[1:] + theta[:-1])) * half


def _sine(theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sine of a polar angle; zero at pi, and the same at equal distances from the two poles."""
    sine: NDArray[np.float64] = np.sin(np.where(theta > 0.5 * pi, pi - theta, theta))
    return sine


class CellGeometry:
    """Centres, widths, volumes and faces of some cells of a block mesh, or of all: products of three factors each.

    A rank of a large run asks for its own cells only; a cell's numbers have the same bits whoever asks.

    Parameters
    ----------
    mesh
        The self.mesh.
    cells
        (cell,) global numbers; None: all cells.
    """

    def __init__(self, mesh: BlockMesh, cells: NDArray[np.int64] | None = None) -> None:
        self.mesh = mesh
        self.size = mesh.size if cells is None else int(cells.size)
        self._positions = None if cells is None else np.unravel_index(cells, mesh.shape[::-1])[::-1]

    def _product(self, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(cell,) products of the three axes' factors."""
        product: NDArray[np.float64]
        if self._positions is None:
            product = z[:, None, None] * y[None, :, None] * x[None, None, :]
            return product.ravel()
        i, j, k = self._positions
        product = z[k] * y[j] * x[i]
        return product

    @property
    def centers(self) -> NDArray[np.float64]:
        """(cell, axis) midpoints of the coordinates."""
        one = [np.ones(n) for n in self.mesh.shape]
        return np.stack(
            [
                self._product(*(self.mesh.center(axis) if axis == d else one[axis] for axis in range(3)))
                for d in range(3)
            ],
            axis=1,
        )

    def width(self, axis: int) -> NDArray[np.float64]:
        """(cell,) physical width along an axis: dx, or dr, r dtheta, r sin theta dphi at the midpoint, cm."""
        step = [np.diff(face) if d == axis else np.ones(face.size - 1) for d, face in enumerate(self.mesh.faces)]
        if self.mesh.geometry == "spherical" and axis > 0:
            step[0] = self.mesh.center(0)
            if axis == 2:
                step[1] = _sine(self.mesh.center(1))
        return self._product(*step)

    @property
    def widths(self) -> NDArray[np.float64]:
        """(cell, axis) physical widths, cm."""
        return np.stack([self.width(axis) for axis in range(3)], axis=1)

    @property
    def volume(self) -> NDArray[np.float64]:
        """(cell,) cm^3, over the whole solid angle of the cell (no 4 pi is left out)."""
        x, y, z = self.mesh.faces
        if self.mesh.geometry == "cartesian":
            return self._product(np.diff(x), np.diff(y), np.diff(z))
        return self._product(*shell_factors(x, y, z))

    def face_area(self, axis: int, side: int) -> NDArray[np.float64]:
        """(cell,) area of each cell's low (side 0) or high (side 1) face of an axis, cm^2."""
        return self._product(*self.mesh.area_factors(axis, side))

    @property
    def area_ratio(self) -> NDArray[np.float64]:
        """(cell, axis, side) A_face/V, cm^-1; Cartesian: 1/dx. Side 0 is the low face, 1 the high one.

        Factors that area and volume share are left out, so that cells that differ only in them agree bit for bit.
        """
        x, y, z = self.mesh.faces
        one = [np.ones(n) for n in self.mesh.shape]
        ratio = np.empty((self.size, 3, 2))
        for side in range(2):
            if self.mesh.geometry == "cartesian":
                for axis, face in enumerate(self.mesh.faces):
                    ratio[:, axis, side] = self._product(
                        *(1.0 / np.diff(face) if d == axis else one[d] for d in range(3))
                    )
            else:
                wedge = _squares(x) / _cubes(x)
                ratio[:, 0, side] = self._product(_of_side(x, side) ** 2 / _cubes(x), one[1], one[2])
                ratio[:, 1, side] = self._product(wedge, _sine(_of_side(y, side)) / _cosines(y), one[2])
                ratio[:, 2, side] = self._product(wedge, np.diff(y) / _cosines(y), 1.0 / np.diff(z))
        return ratio

    @property
    def curvature(self) -> NDArray[np.float64]:
        """(cell, 2) (A_r,out - A_r,in)/V and (A_theta,high - A_theta,low)/V, cm^-1; zero in Cartesian coordinates.

        These drive the angular redistribution. Differences are factored, so that thin cells keep relative accuracy:
        3 (r_1 + r_2)/(r_1^2 + r_1 r_2 + r_2^2), and half of it times cot of the mean theta.
        """
        curvature = np.zeros((self.size, 2))
        if self.mesh.geometry == "spherical":
            x, y, z = self.mesh.faces
            inner, outer = x[:-1], x[1:]
            bend = 3.0 * (inner + outer) / (inner**2 + inner * outer + outer**2)
            middle = self.mesh.center(1)
            # cos as a sine, which is zero at the equator
            cotangent = np.sin(0.5 * pi - middle) / _sine(middle)
            curvature[:, 0] = self._product(bend, np.ones(y.size - 1), np.ones(z.size - 1))
            curvature[:, 1] = self._product(0.5 * bend, cotangent, np.ones(z.size - 1))
        return curvature
