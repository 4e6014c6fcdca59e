"""Advection of Eq. (13) on this rank's block of cells: docs/geometry.md."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..kernels import block_advection as kernel
from ..kernels.block_turning import turn, turn_implicit, turning_coefficients
from ..parallel.block_decomposition import LAYERS
from ..phase_space import LEVELS, SPECIES
from .block_frame import BlockFrame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..parallel.block_decomposition import BlockDecomposition, Exchange
    from ..phase_space import PhaseSpace
    from .block_boundary import BlockBoundary
    from .frame import Metric

    #: first and one past the last cell along each axis
    Box = tuple[NDArray[np.int64], NDArray[np.int64]]

#: Largest h * (loss rate of a population by motion in space and angle) for which directions turn explicitly.
EXPLICIT_ANGLE_LIMIT = 1.0


class Arrival(NamedTuple):
    """Ghosts on their way."""

    array: NDArray[np.float64]
    exchange: Exchange
    boundary: BlockBoundary  #: fills the others when they have come


class BlockAdvection:
    """-div(v f) per phase-space volume, in cm^-1, with the turning of directions in spherical coordinates."""

    def __init__(
        self,
        phase_space: PhaseSpace,
        decomposition: BlockDecomposition,
        boundary: BlockBoundary,
        diffusion_threshold: float,
    ) -> None:
        mesh, angles, cells = phase_space.mesh, phase_space.angles, decomposition.cells
        boundary.check(mesh, phase_space.cell_shape)
        self.phase_space, self.decomposition, self.boundary = phase_space, decomposition, boundary
        self.threshold = diffusion_threshold
        self.velocity = np.ascontiguousarray(angles.direction)
        self.resolved = np.array([axis in decomposition.resolved for axis in range(3)])
        geometry = mesh.at(cells)
        self.ratio, self.cell_volume = geometry.area_ratio, geometry.volume
        # what the kernels of collisions expect where no direction turns within an implicit step
        self.volume, self.diamond, self._no_recursion = np.zeros((1, 0)), np.zeros(0), np.zeros((1, 0))
        self._width = np.zeros((decomposition.rows, 3))
        self._width[: decomposition.size] = geometry.widths
        decomposition.exchange(self._width)
        self.sides = np.zeros((3, 2), dtype=np.bool_)
        for axis in decomposition.resolved:
            ends = (decomposition.start[axis] == 0, decomposition.stop[axis] == decomposition.shape[axis])
            self.sides[axis] = [bool(end) and not decomposition.periodic[axis] for end in ends]
        self._inner, self._outer = _inner_and_outer(decomposition.local_shape, decomposition.resolved)
        #: whether directions turn on their way
        self.turns = mesh.geometry == "spherical"
        #: explicit part of the first stage in the cells that turn implicitly
        self._unturned = np.zeros((0, angles.size, SPECIES * phase_space.energy.size * LEVELS))
        if self.turns:
            self.curvature = geometry.curvature
            self.coefficients = turning_coefficients(self.velocity, angles.weight, angles.azimuths)
        leaving = self._leaving()
        #: fastest loss of a population by moving out of its cell and by turning, (cell,) cm^-1
        self.angular_turnover = leaving + self._turning() if self.turns else np.zeros_like(leaving)
        #: fastest loss of a population by leaving its cell, of the whole mesh, cm^-1; 0 where no axis is resolved
        self.fastest_loss = max(decomposition.comm.allgather(float(leaving.max(initial=0.0))))
        #: what moving matter does, or None
        self.frame: BlockFrame | None = None

    def begin_frame(self) -> None:
        """Have the terms of moving matter, which rests so far.

        Raises
        ------
        ConfigurationError
            If energy groups or directions have none.
        """
        if self.frame is None:
            self.frame = BlockFrame(self.phase_space, self.decomposition, self.boundary)

    def follow_matter(self, velocity: NDArray[np.float64], metric: Metric | None = None) -> None:
        """Take up velocities[cell, axis] of this rank's cells in cm/s for all time steps that follow (collective).

        metric: of the shells of the whole mesh (spherical coordinates); None: no gravity.

        Raises
        ------
        UnphysicalInputError, ConfigurationError
            On all ranks: see `BlockFrame`.
        """
        self.begin_frame()
        assert self.frame is not None
        self.frame.follow_matter(velocity, metric)
        self.ratio, self.cell_volume = self.frame.ratio, self.frame.volume
        leaving = self.frame.leaving(self.velocity)
        if self.turns:
            self.curvature = self.frame.curvature
            self.angular_turnover = leaving + self._turning()
        self.fastest_loss = max(self.decomposition.comm.allgather(float(leaving.max(initial=0.0))))

    @property
    def shortest_crossing(self) -> float:
        """Light crossing of the smallest phase-space cell of the whole mesh, cm."""
        return 1.0 / self.fastest_loss if self.fastest_loss > 0.0 else np.inf

    def _leaving(self) -> NDArray[np.float64]:
        """Largest rate at which a direction leaves a cell through its faces, (cell,) cm^-1."""
        v = self.velocity
        out = np.zeros((self.ratio.shape[0], v.shape[0]))
        for axis in self.decomposition.resolved:
            out += np.maximum(v[:, axis], 0.0) * self.ratio[:, axis, 1, None]
            out += np.maximum(-v[:, axis], 0.0) * self.ratio[:, axis, 0, None]
        largest: NDArray[np.float64] = out.max(axis=1)
        return largest

    def _turning(self) -> NDArray[np.float64]:
        """Largest rate at which a direction turns into its neighbours, (cell,) cm^-1."""
        alpha, beta, level_weight, _ = self.coefficients
        along, around = np.abs(alpha[1:] / level_weight).max(), np.abs(beta).max()
        rate: NDArray[np.float64] = np.abs(self.curvature[:, 0]) * along + np.abs(self.curvature[:, 1]) * around
        return rate

    def upwind_fraction(self, opacity: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """b of this rank's faces along each axis from opacity[cell, ...] in cm^-1 (ghosts are exchanged)."""
        decomposition = self.decomposition
        entries = prod(opacity.shape[1:])
        padded = np.zeros((decomposition.rows, entries))
        padded[: decomposition.size] = opacity.reshape(decomposition.size, entries)
        decomposition.exchange(padded)
        n0, n1, n2 = decomposition.local_shape
        out = []
        for axis, shape in enumerate(((n2, n1, n0 + 1), (n2, n1 + 1, n0), (n2 + 1, n1, n0))):
            out.append(np.empty((*shape, entries) if self.resolved[axis] else (0, 0, 0, entries)))
        kernel.block_upwind_fraction(
            padded, self._width, decomposition.row, self.resolved, self.threshold, out[0], out[1], out[2]
        )
        return tuple(out)

    def split_redistribution(self, h: float) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Cells where directions turn too fast for an explicit step of h cm; no recursion is left to collisions."""
        return h * self.angular_turnover > EXPLICIT_ANGLE_LIMIT, self._no_recursion

    def fill_ghosts(self, f: NDArray[np.float64], boundary: BlockBoundary | None = None) -> None:
        """Set the ghosts of f[row, ...], from other ranks and from the boundaries."""
        self.decomposition.exchange(f)
        (boundary or self.boundary).fill(f, self.phase_space.angles, self.decomposition)

    def begin_ghosts(self, f: NDArray[np.float64], boundary: BlockBoundary | None = None) -> Arrival | None:
        """Start the exchange of the ghosts of f[row, ...], for `stage` to finish; None: they are set already."""
        if self.decomposition.alone or self._inner is None:
            self.fill_ghosts(f, boundary)
            return None
        return Arrival(f, self.decomposition.begin(f), boundary or self.boundary)

    def _finish_ghosts(self, arriving: Arrival) -> None:
        self.decomposition.finish(arriving.exchange)
        arriving.boundary.fill(arriving.array, self.phase_space.angles, self.decomposition)

    def stage(
        self,
        views: Sequence[tuple[slice, NDArray[np.float64], Any]],
        start: NDArray[np.float64],
        h: float,
        out: NDArray[np.float64],
        *,
        mean: bool,
        second_order: bool,
        fix_up: bool,
        redistribution: NDArray[np.bool_],
        arriving: Arrival | None = None,
    ) -> tuple[NDArray[np.float64], int]:
        """out = start + h A f, or with ``mean``, where out holds start + h A f*, start + h (A f* + A f)/2.

        views: all cells in one; redistribution: the cells whose directions turn implicitly, out = ... + h G out;
        arriving: ghosts that are still on their way, for which the cells that need none do not wait.
        Returns what enters through the boundaries of the mesh on this rank, weighted (direction, entry), and the
        number of angular values that had to be mended: none.
        """
        ((_, view, b),) = views
        directions, entries = self.velocity.shape[0], prod(start.shape[2:])
        f = view.reshape(-1, directions, entries)
        flat, result = start.reshape(-1, directions, entries), out.reshape(-1, directions, entries)
        row, size = self.decomposition.row, self.decomposition.size
        medium = (row, self.velocity, self.ratio, self.resolved, *b, second_order)
        if mean:
            # the mean is that of explicit parts
            result[redistribution] = self._unturned
        if arriving is None:
            advance = kernel.advance_mean if mean else kernel.advance
            advance(f, *medium, flat, h, result)
        else:
            assert self._inner is not None
            advance = kernel.advance_mean_box if mean else kernel.advance_box
            advance(f, *medium, flat, h, result, *self._inner)
            self._finish_ghosts(arriving)
            for lower, upper in self._outer:
                advance(f, *medium, flat, h, result, lower, upper)
        carried = self._move_with_matter(view, 0.5 * h if mean else h, out, second_order, fix_up)
        if self.turns:
            alpha, beta, level_weight, node = self.coefficients
            part = 0.5 * h if mean else h
            turn(f[:size], part, self.curvature, alpha, beta, level_weight, node, redistribution, second_order, result)
            self._unturned = result[redistribution]
            turn_implicit(result, h, self.curvature, alpha, beta, level_weight, redistribution, result)
        entering = self.entering(view, b, second_order=second_order)
        return entering if carried is None else entering + carried, 0

    def _move_with_matter(
        self, view: NDArray[np.float64], factor: float, out: NDArray[np.float64], second_order: bool, limited: bool
    ) -> NDArray[np.float64] | None:
        """Add the terms of moving matter; what it carries in through the ends of the mesh (direction, entry)."""
        if self.frame is None:
            return None
        return self.frame.add(view, factor, out, self.resolved, self.sides, second_order=second_order, limited=limited)

    def entering(
        self, ghosted: NDArray[np.float64], b: tuple[NDArray[np.float64], ...], *, second_order: bool
    ) -> NDArray[np.float64]:
        """What enters through the boundaries of the mesh on this rank per cm, weighted (direction, entry)."""
        f = ghosted.reshape(ghosted.shape[0], self.velocity.shape[0], prod(ghosted.shape[2:]))
        flow = np.zeros((3, 2, *f.shape[1:]))
        medium = (self.decomposition.row, self.velocity, self.ratio, self.cell_volume, self.sides)
        kernel.boundary_flow(f, *medium, *b, second_order, flow)
        entering: NDArray[np.float64] = flow[:, 0].sum(axis=0) - flow[:, 1].sum(axis=0)
        entering *= self.phase_space.angles.weight[:, None]
        return entering


def _inner_and_outer(shape: tuple[int, int, int], resolved: tuple[int, ...]) -> tuple[Box | None, list[Box]]:
    """The cells of a block that need no ghost, and disjoint boxes of the others; None if all of them need some."""
    low = np.array([LAYERS if axis in resolved else 0 for axis in range(3)])
    high = np.array(shape) - low
    if (high <= low).any():
        return None, []
    outer = []
    lower, upper = np.zeros(3, dtype=np.int64), np.array(shape)
    # the axis with the longest stride first: its layers are whole, and the largest
    for axis in sorted(resolved, reverse=True):
        for begin, end in ((lower[axis], low[axis]), (high[axis], upper[axis])):
            first, last = lower.copy(), upper.copy()
            first[axis], last[axis] = begin, end
            outer.append((first, last))
        lower[axis], upper[axis] = low[axis], high[axis]
    return (low, high), outer
