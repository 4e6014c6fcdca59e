"""Phase gradients on the faces of a block mesh as linear functions of phases at the centres of its cells.

    k = - grad phi:  across a face the difference of the two centres, along it the mean of the two cells' derivatives

Second order on meshes whose widths vary smoothly. Every rank knows the mesh, so that the only thing to communicate are
values of phi: of neighbours of neighbours, edges included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.sparse import coo_matrix

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..block_mesh import BlockMesh
    from ..parallel.block_decomposition import BlockDecomposition
    from ..physics.phase_closure import ClosureState, PhaseClosure

KINDS = ("flux", "phase", "closed", "periodic")
#: Values at places (place, 3): (place, charge).
Values = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class Places:
    """Where closures are wanted."""

    coordinates: NDArray[np.float64]  #: (place, 3) cm and radians
    cells: NDArray[np.int64]  #: (place, 2) global numbers of the cells on both sides; -1 beyond the mesh

    @property
    def size(self) -> int:
        """Number of places."""
        return int(self.coordinates.shape[0])

    def words(self, n: int) -> str:
        """The cells at a place and its coordinates, for messages."""
        cells = [str(c) for c in sorted({int(c) for c in self.cells[n] if c >= 0})]
        return f"{' and '.join(cells)} at ({', '.join(f'{x:.6g}' for x in self.coordinates[n])})"


class Medium(Protocol):
    """What the neutrinos and the matter are at given places."""

    def closure(self, places: Places) -> PhaseClosure:
        """Populations, directions and Hamiltonian there."""
        ...

    def seed(self, places: Places) -> ClosureState:
        """Converged states on the wanted branch there, from which the solution is followed."""
        ...


@dataclass(frozen=True)
class PhaseBoundary:
    """What holds at the ends of the axes.

    flux: Tr(Q D_axis) is given (along the axis, whichever end). phase: phi is given. closed: no flux, and phi is even
    (mirrors, and poles). periodic: both ends.

    Raises
    ------
    ConfigurationError
        For other words, a periodic end without the other, or missing values.
    """

    kinds: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]
    flux: Values | None = None
    phase: Values | None = None

    def __post_init__(self) -> None:
        for axis, pair in enumerate(self.kinds):
            for kind in pair:
                if kind not in KINDS:
                    raise ConfigurationError(f"phase boundary of axis {axis} is {kind!r}; accepted: {', '.join(KINDS)}")
                if (kind == "flux" and self.flux is None) or (kind == "phase" and self.phase is None):
                    raise ConfigurationError(f"phase boundary of axis {axis} is {kind!r}, and its values are missing")
            if (pair[0] == "periodic") != (pair[1] == "periodic"):
                raise ConfigurationError(f"phase boundaries of axis {axis} are {pair}; accepted: both periodic or none")

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """Which axes are periodic."""
        x, y, z = (pair[0] == "periodic" for pair in self.kinds)
        return x, y, z


@dataclass
class _Rows:
    """Entries of a sparse matrix under construction, and the constant beside it."""

    row: list[NDArray[np.int64]] = field(default_factory=list)
    column: list[NDArray[np.int64]] = field(default_factory=list)
    value: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, row: NDArray[np.int64], column: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        self.row.append(row)
        self.column.append(column)
        self.value.append(np.broadcast_to(value, row.shape))


def lame(mesh: BlockMesh, at: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """(place,) length of a unit of the coordinate: 1, or 1, r, r sin theta."""
    if mesh.geometry == "cartesian" or axis == 0:
        return np.ones(at.shape[0])
    return at[:, 0] * (np.sin(at[:, 1]) if axis == 2 else 1.0)


class PhaseGrid:
    """Faces of this rank's cells, k on them, and the divergence of what flows through them.

    Raises
    ------
    ConfigurationError
        If the axes with one cell, or the ends of the others, do not allow a phase.
    """

    def __init__(
        self, mesh: BlockMesh, decomposition: BlockDecomposition, boundary: PhaseBoundary, charges: int
    ) -> None:
        self.mesh, self.decomposition, self.boundary, self.charges = mesh, decomposition, boundary, charges
        if decomposition.shape != mesh.shape or decomposition.periodic != tuple(
            wraps and axis in mesh.resolved for axis, wraps in enumerate(boundary.periodic)
        ):
            raise ConfigurationError(
                f"decomposition of {decomposition.shape} cells, periodic {decomposition.periodic}; accepted: that of "
                f"the mesh, {mesh.shape}, with the periodic axes of the boundaries, {boundary.periodic}"
            )
        if not decomposition.resolved:
            raise ConfigurationError("a phase needs a mesh with at least one resolved axis")
        self.center = [mesh.center(axis) for axis in range(3)]
        rows = _Rows()
        places: list[NDArray[np.float64]] = []
        neighbors: list[NDArray[np.int64]] = []
        normals: list[NDArray[np.int64]] = []
        constants: list[NDArray[np.float64]] = []
        mine: list[NDArray[np.bool_]] = []
        incidence: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
        self.inflow = np.zeros((decomposition.size, charges))
        count = 0
        for axis in decomposition.resolved:
            at, cells, position, touching = self._faces(axis)
            self._given_flux(axis, at, cells, touching)
            active = (cells >= 0).all(axis=1)
            for side in range(2):
                active |= (cells[:, side] < 0) & (self.boundary.kinds[axis][side] == "phase")
            number = np.where(active, count + np.cumsum(active) - 1, -1)
            for side, (cell, face, area) in enumerate(touching):
                open_ = number[face] >= 0
                sign = 1.0 if side else -1.0
                incidence.append((cell[open_], number[face[open_]], sign * area[open_]))
            # a face between two blocks, or across a periodic end, belongs to the cell above it
            mine.append(((np.arange(active.size) < decomposition.size) | (cells[:, 1] < 0))[active])
            at, cells, position = at[active], cells[active], position[active]
            constants.append(self._gradients(axis, at, cells, position, count + np.arange(at.shape[0]), rows))
            places.append(at)
            neighbors.append(cells)
            normals.append(np.full(at.shape[0], axis))
            count += at.shape[0]
        self.places = Places(np.concatenate(places), np.concatenate(neighbors))
        self.normal = np.concatenate(normals)
        #: faces to be counted here and on no other rank
        self.mine = np.concatenate(mine)
        self._assemble(rows, np.concatenate(constants), incidence)

    @property
    def faces(self) -> int:
        """Number of faces with a closure on this rank; those between ranks are counted by both."""
        return self.places.size

    def _local(self) -> list[NDArray[np.int64]]:
        """Indices (i, j, k) of this rank's cells along the axes."""
        dec = self.decomposition
        index = np.unravel_index(dec.cells, dec.shape[::-1])
        return [np.asarray(index[2 - axis], dtype=np.int64) for axis in range(3)]

    def _flat(self, index: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        n0, n1, _ = self.mesh.shape
        flat: NDArray[np.int64] = index[0] + n0 * (index[1] + n1 * index[2])
        return flat

    def _faces(
        self, axis: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], list[tuple[Any, ...]]]:
        """Faces of this rank's cells along an axis, those at the end of the block last.

        Coordinates (face, 3), global cells on both sides (face, 2), number along the axis (face,), and for the low and
        the high sides of the cells (cell, face, area).
        """
        index = self._local()
        high = int(self.decomposition.stop[axis])
        n = self.mesh.shape[axis]
        local = np.arange(self.decomposition.size)
        last = np.flatnonzero(index[axis] == high - 1)
        right = [np.concatenate([x, x[last] + (1 if d == axis else 0)]) for d, x in enumerate(index)]
        face_of_high = np.empty(local.size, dtype=np.int64)
        face_of_high[last] = local.size + np.arange(last.size)
        stride = int(np.prod(self.decomposition.local_shape[:axis]))
        inside = index[axis] < high - 1
        face_of_high[inside] = local[inside] + stride
        position = right[axis]
        coordinate = [self.center[d][right[d]] if d != axis else self.mesh.faces[d][position] for d in range(3)]
        wraps = self.boundary.periodic[axis]
        left = [x - 1 if d == axis else x for d, x in enumerate(right)]
        cells = np.empty((position.size, 2), dtype=np.int64)
        for side, there in enumerate((left, right)):
            at = [x % n if d == axis else x for d, x in enumerate(there)]
            beyond = (there[axis] < 0) | (there[axis] >= n)
            cells[:, side] = np.where(beyond & (not wraps), -1, self._flat(at))
        areas = [self.mesh.at(self.decomposition.cells).face_area(axis, side) for side in range(2)]
        touching: list[tuple[Any, ...]] = [(local, local, areas[0]), (local, face_of_high, areas[1])]
        return np.stack(coordinate, axis=1), cells, position, touching

    def _given_flux(
        self, axis: int, at: NDArray[np.float64], cells: NDArray[np.int64], touching: list[tuple[Any, ...]]
    ) -> None:
        """Add to `inflow` what the ends with given flux let in."""
        for side, (cell, face, area) in enumerate(touching):
            if self.boundary.kinds[axis][side] != "flux":
                continue
            open_ = cells[face, side] < 0
            if open_.any():
                assert self.boundary.flux is not None
                flux = _checked(self.boundary.flux(at[face[open_]]), (int(open_.sum()), self.charges), "flux")
                self.inflow[cell[open_]] += (-1.0 if side else 1.0) * area[open_, None] * flux

    def _gradients(
        self,
        axis: int,
        at: NDArray[np.float64],
        cells: NDArray[np.int64],
        position: NDArray[np.int64],
        face: NDArray[np.int64],
        rows: _Rows,
    ) -> NDArray[np.float64]:
        """Add the rows of k of these faces; returns the constant part, (face, axis, charge)."""
        constant = np.zeros((face.size, 3, self.charges))
        for other in self.decomposition.resolved:
            h = -1.0 / lame(self.mesh, at, other)
            row = 3 * face + other
            if other == axis:
                self._across(axis, at, cells, position, row, h, rows, constant)
                continue
            for side in range(2):
                has = cells[:, side] >= 0
                # at an end with given phase, the derivative is that of what is given
                share = np.where((cells >= 0).all(axis=1), 0.5, 0.0)[has]
                self._along(other, cells[has, side], row[has], share * h[has], rows, np.flatnonzero(has), constant)
            ends = (cells < 0).any(axis=1)
            if ends.any():
                assert self.boundary.phase is not None
                step = 1.0e-3 * float(np.diff(self.mesh.faces[other]).min())
                beside = [at[ends].copy(), at[ends].copy()]
                beside[0][:, other] -= step
                beside[1][:, other] += step
                low, high = (self.boundary.phase(x) for x in beside)
                constant[ends, other] += h[ends, None] * (high - low) / (2.0 * step)
        return constant

    def _across(
        self,
        axis: int,
        at: NDArray[np.float64],
        cells: NDArray[np.int64],
        position: NDArray[np.int64],
        row: NDArray[np.int64],
        h: NDArray[np.float64],
        rows: _Rows,
        constant: NDArray[np.float64],
    ) -> None:
        """Normal component: difference over distance, from the face itself at an end with given phase."""
        n, x, faces = self.mesh.shape[axis], self.center[axis], self.mesh.faces[axis]
        span = faces[-1] - faces[0]
        left, right = position - 1, position
        x_left = np.where(left < 0, x[-1] - span, x[np.clip(left, 0, n - 1)])
        x_right = np.where(right >= n, x[0] + span, x[np.clip(right, 0, n - 1)])
        ends = (cells < 0).any(axis=1)
        x_left = np.where(ends & (cells[:, 0] < 0), at[:, axis], x_left)
        x_right = np.where(ends & (cells[:, 1] < 0), at[:, axis], x_right)
        factor = h / (x_right - x_left)
        for side, sign in ((0, -1.0), (1, 1.0)):
            has = cells[:, side] >= 0
            rows.add(row[has], cells[has, side], sign * factor[has])
            if (~has).any():
                assert self.boundary.phase is not None
                given = _checked(self.boundary.phase(at[~has]), (int((~has).sum()), self.charges), "phase")
                constant[~has, axis] += sign * factor[~has, None] * given

    def _along(
        self,
        axis: int,
        cells: NDArray[np.int64],
        row: NDArray[np.int64],
        factor: NDArray[np.float64],
        rows: _Rows,
        face: NDArray[np.int64],
        constant: NDArray[np.float64],
    ) -> None:
        """Derivative along an axis at the centres of cells: that of the parabola through the neighbours."""
        nodes, columns, given = self._stencil(axis, cells)
        weights = _parabola(nodes)
        for k in range(3):
            known = columns[:, k] >= 0
            rows.add(row[known], columns[known, k], (factor * weights[:, k])[known])
        fixed = (columns < 0).any(axis=1)
        if fixed.any():
            outside = np.where(columns[fixed] < 0, weights[fixed], 0.0).sum(axis=1)
            constant[face[fixed], axis] += (factor[fixed] * outside)[:, None] * given[fixed]

    def _stencil(
        self, axis: int, cells: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Positions of three nodes relative to the cell's, their cells (-1: given phase), and what is given."""
        unraveled = np.unravel_index(cells, self.mesh.shape[::-1])
        index = [np.asarray(unraveled[2 - d], dtype=np.int64) for d in range(3)]
        n, x, faces = self.mesh.shape[axis], self.center[axis], self.mesh.faces[axis]
        i = index[axis]
        span = faces[-1] - faces[0]
        nodes = np.zeros((cells.size, 3))
        columns = np.stack([cells, cells, cells], axis=1)
        given = np.zeros((cells.size, self.charges))
        for column, side, offset in ((0, 0, -1), (2, 1, 1)):
            there = i + offset
            inside = (there >= 0) & (there < n)
            neighbor = [there % n if d == axis else index[d] for d in range(3)]
            wrapped = np.where(there < 0, -span, np.where(there >= n, span, 0.0))
            nodes[:, column] = x[there % n] + wrapped - x[i]
            columns[:, column] = self._flat(neighbor)
            end = ~inside
            if self.boundary.periodic[axis] or not end.any():
                continue
            kind = self.boundary.kinds[axis][side]
            face = faces[-1] if side else faces[0]
            if kind == "closed":
                nodes[end, column] = 2.0 * (face - x[i[end]])
                columns[end, column] = cells[end]
            elif kind == "phase":
                assert self.boundary.phase is not None
                at = np.stack([face * np.ones(int(end.sum())) if d == axis else self.center[d][index[d][end]]
                               for d in range(3)], axis=1)  # fmt: skip
                nodes[end, column] = face - x[i[end]]
                columns[end, column] = -1
                given[end] = self.boundary.phase(at)
            else:
                # two cells further in, or the same as the other neighbour where there are only two
                further = i[end] - 2 * offset
                further = np.where((further < 0) | (further >= n), i[end], further)
                nodes[end, column] = x[further] - x[i[end]]
                columns[end, column] = self._flat([further if d == axis else index[d][end] for d in range(3)])
        return nodes, columns, given

    def _assemble(
        self,
        rows: _Rows,
        constant: NDArray[np.float64],
        incidence: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]],
    ) -> None:
        """k as a matrix on (this rank's cells, then others'), and the divergence of face values."""
        column = np.concatenate(rows.column)
        owned = self.decomposition.cells
        others = np.setdiff1d(column, owned)
        #: global numbers of the cells that k depends on, this rank's own ones first
        self.columns = np.concatenate([owned, others])
        order = np.argsort(self.columns)
        place = order[np.searchsorted(self.columns, column, sorter=order)]
        self.gradient = coo_matrix(
            (np.concatenate(rows.value), (np.concatenate(rows.row), place)),
            shape=(3 * self.faces, self.columns.size),
        ).tocsr()
        self.constant = constant
        cell, face, area = (np.concatenate([part[n] for part in incidence]) for n in range(3))
        self.divergence = coo_matrix((area, (cell, face)), shape=(owned.size, self.faces)).tocsr()

    def wave_numbers(self, phase: NDArray[np.float64]) -> NDArray[np.float64]:
        """k of the faces (face, axis, charge), cm^-1, from phi (column, charge)."""
        k: NDArray[np.float64] = (self.gradient @ phase).reshape(self.faces, 3, self.charges) + self.constant
        return k


def _parabola(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (place, 3) of values at three nodes, the middle one at zero, in the derivative there.

    Where two nodes are the same, those of the line through the other two.
    """
    a, b = nodes[:, 0], nodes[:, 2]
    weights = np.empty_like(nodes)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights[:, 0] = -b / (a * (a - b))
        weights[:, 2] = a / (b * (a - b))
        line_b = np.where(a == 0.0, 1.0 / b, 0.0)
        line_a = np.where(b == 0.0, 1.0 / a, 0.0)
    weights[:, 0] = np.where(a == 0.0, 0.0, np.where(b == 0.0, line_a, weights[:, 0]))
    weights[:, 2] = np.where(b == 0.0, 0.0, np.where(a == 0.0, line_b, weights[:, 2]))
    weights[:, 1] = -weights[:, 0] - weights[:, 2]
    return weights


def _checked(values: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ConfigurationError(
            f"{name} at the boundary has shape {array.shape}, finite {bool(np.isfinite(array).all())}; accepted: "
            f"{shape}, finite"
        )
    return array
