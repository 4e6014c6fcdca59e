"""Advection of Eq. (13) on this rank's cells: finite volumes with an asymptotic-preserving face value."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels import advection as kernel
from ..phase_space import HALO
from .frame import FrameTerms, Metric, coefficients

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from .boundary import Boundary
    from .frame import Coefficients


#: Largest h * (loss rate of a population by angular and radial motion) that is stepped explicitly in angle.
EXPLICIT_ANGLE_LIMIT = 1.0


_ALL = slice(None)


class AdvectionOperator:
    """-div(v f) per phase-space volume, in cm^-1, on populations or on density-matrix components."""

    def __init__(
        self, phase_space: PhaseSpace, decomposition: Decomposition, boundary: Boundary, diffusion_threshold: float
    ) -> None:
        cells = decomposition.cells
        angles = phase_space.angles
        boundary.check(angles)
        self.phase_space, self.decomposition, self.boundary = phase_space, decomposition, boundary
        self.threshold = diffusion_threshold
        self.area = np.ascontiguousarray(angles.face_area[cells.start : cells.stop + 1])
        #: area of the transport through the faces: with moving matter not that of the luminosities in its frame
        self.moving_area = self.area
        #: what moving matter and gravity do inside a cell, or None
        self.frame: FrameTerms | None = None
        self.moving: Coefficients | None = None  #: of the whole mesh
        self.redistribution = np.ascontiguousarray(angles.redistribution[cells])
        self.volume = np.ascontiguousarray(angles.volume[cells])
        self.diamond = angles.diamond
        self.angular_turnover = self._turnover()
        #: fastest loss of a population by leaving its cell, of the whole mesh, cm^-1
        self.fastest_loss = _fastest_loss(angles.face_area, angles.volume)
        self._width = np.ones(decomposition.size + 2)
        self._width[1:-1] = phase_space.mesh.width[cells]
        decomposition.exchange(self._width, 1)

    def follow_matter(self, velocity: NDArray[np.float64], metric: Metric) -> None:
        """Take up velocities (cell,) in cm/s and a metric, both of the whole mesh, for all that follows.

        Raises
        ------
        UnphysicalInputError, ConfigurationError
            On all ranks: a velocity that is too large, energy groups that are not in geometric progression.
        """
        cells = self.decomposition.cells
        self.moving = whole = coefficients(self.phase_space, self.boundary, velocity, metric)
        self.fastest_loss = _fastest_loss(whole.area, whole.volume)
        at = whole.take(cells.start, cells.stop)
        if self.frame is None:
            self.frame = FrameTerms(self.phase_space, cells)
        self.frame.at = at
        self.moving_area, self.redistribution, self.volume = at.area, at.redistribution, at.volume
        self.angular_turnover = self._turnover()

    @property
    def shortest_crossing(self) -> float:
        """Light crossing of the smallest phase-space cell of the whole mesh, cm."""
        return 1.0 / self.fastest_loss

    def _turnover(self) -> NDArray[np.float64]:
        """Fastest loss of a population by moving on in angle or in radius, (cell,) cm^-1."""
        outflow = _outflow(self.moving_area)
        angular = np.maximum(self.redistribution[:, 1:], 0.0) / self.diamond
        fastest: NDArray[np.float64] = np.where(angular > 0.0, (outflow + angular) / self.volume, 0.0).max(axis=1)
        return fastest

    def upwind_fraction(self, opacity: NDArray[np.float64]) -> NDArray[np.float64]:
        """b[face, entry] of this rank's faces from opacity[cell, ...] in cm^-1 (ghost cells are exchanged)."""
        cells = self.decomposition.size
        entries = prod(opacity.shape[1:])
        padded = self.decomposition.padded(opacity.reshape(cells, entries))
        out = np.empty((cells + 1, entries))
        kernel.upwind_fraction(padded, self._width, self.threshold, out)
        return out

    def split_redistribution(self, h: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Angular coefficients for an explicit step and, where h (cm) is too long for that, for an implicit one.

        Near the centre a direction turns within less than the crossing time of a cell.
        """
        slow = (h * self.angular_turnover <= EXPLICIT_ANGLE_LIMIT)[:, None]
        return np.where(slow, self.redistribution, 0.0), np.where(slow, 0.0, self.redistribution)

    def fill_ghosts(self, f: NDArray[np.float64], boundary: Boundary | None = None) -> None:
        """Set the ghost cells of f[cell + 2 HALO, ...], from other ranks and from the boundaries."""
        self.decomposition.exchange(f, HALO)
        (boundary or self.boundary).fill(f, self.phase_space.angles, self.decomposition)

    def begin_ghosts(self, f: NDArray[np.float64], boundary: Boundary | None = None) -> None:
        """Set the ghost cells: two cells a rank are not worth working on while they travel."""
        self.fill_ghosts(f, boundary)

    def rate(
        self,
        f: NDArray[np.float64],
        b: NDArray[np.float64],
        out: NDArray[np.float64],
        *,
        second_order: bool,
        fix_up: bool,
        redistribution: NDArray[np.float64] | None = None,
        cells: slice = _ALL,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Fill out[cell, direction, ...] with df/dt over c, cm^-1.

        ``redistribution`` replaces the angular coefficients where a part of them is treated elsewhere; ``cells`` is
        the range of local cells that f (with ghost cells) and out belong to.
        Returns a f on the inner and outer face of this rank's range, (direction, entry), and the number of
        negative angular values that were set to zero (only with ``fix_up``).
        """
        result = self._run(kernel.flux_divergence, f, b, second_order, fix_up, redistribution, (), out, cells)
        self._shift(f, b, 1.0, out, cells, fix_up)
        return result

    def advance(
        self,
        f: NDArray[np.float64],
        b: NDArray[np.float64],
        start: NDArray[np.float64],
        h: float,
        out: NDArray[np.float64],
        *,
        mean: bool,
        second_order: bool,
        fix_up: bool,
        redistribution: NDArray[np.float64],
        cells: slice = _ALL,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """out = start + h A f, or with ``mean``, where out holds start + h A f*, start + h (A f* + A f)/2.

        h in cm; the rest as in ``rate``.
        """
        stage = kernel.advance_mean if mean else kernel.advance
        flat = start.reshape(*start.shape[:2], prod(start.shape[2:]))
        result = self._run(stage, f, b, second_order, fix_up, redistribution, (flat, h), out, cells)
        self._shift(f, b, 0.5 * h if mean else h, out, cells, fix_up)
        return result

    def _shift(
        self,
        f: NDArray[np.float64],
        b: NDArray[np.float64],
        factor: float,
        out: NDArray[np.float64],
        cells: slice,
        limited: bool,
    ) -> None:
        if self.frame is not None:
            self.frame.add(f, HALO, b, factor, out, cells, limited=limited)

    def stage(
        self,
        views: Sequence[tuple[slice, NDArray[np.float64], NDArray[np.float64]]],
        start: NDArray[np.float64],
        h: float,
        out: NDArray[np.float64],
        *,
        mean: bool,
        second_order: bool,
        fix_up: bool,
        redistribution: NDArray[np.float64],
        arriving: Any = None,
    ) -> tuple[NDArray[np.float64], int]:
        """`advance` of every range of cells whose levels belong together, with its ghost cells and upwind fractions.

        Returns what enters through the ends of the mesh on this rank, (direction, entry), and the number of negative
        angular values that were set to zero.
        """
        ends, fixed = [], 0
        for cells, view, fraction in views:
            inner, outer, added = self.advance(
                view,
                fraction,
                start[cells],
                h,
                out[cells],
                mean=mean,
                second_order=second_order,
                fix_up=fix_up,
                redistribution=redistribution,
                cells=cells,
            )
            ends += [inner, outer]
            fixed += added
        entering = np.zeros_like(ends[0])
        if self.decomposition.is_first:
            entering += ends[0]
        if self.decomposition.is_last:
            entering -= ends[-1]
        return entering, fixed

    def _run(
        self,
        stage: Callable[..., int],
        f: NDArray[np.float64],
        b: NDArray[np.float64],
        second_order: bool,
        fix_up: bool,
        redistribution: NDArray[np.float64] | None,
        before: tuple[Any, ...],
        out: NDArray[np.float64],
        cells: slice,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        directions = f.shape[1]
        first, last, _ = cells.indices(self.decomposition.size)
        entries = prod(f.shape[2:])
        inner, outer = np.empty((directions, entries)), np.empty((directions, entries))
        fixed = stage(
            f.reshape(f.shape[0], directions, entries),
            HALO,
            b,
            self.moving_area[first : last + 1],
            (self.redistribution if redistribution is None else redistribution)[first:last],
            self.diamond,
            self.volume[first:last],
            second_order,
            fix_up,
            *before,
            out.reshape(-1, directions, entries),
            inner,
            outer,
        )
        return inner, outer, int(fixed)


def _outflow(area: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area of a cell's faces through which a direction leaves, (cell, direction), of signed ones of the faces."""
    leaving: NDArray[np.float64] = np.maximum(area[1:], 0.0) + np.maximum(-area[:-1], 0.0)
    return leaving


def _fastest_loss(area: NDArray[np.float64], volume: NDArray[np.float64]) -> float:
    return float((_outflow(area) / volume).max())
