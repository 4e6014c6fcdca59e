"""Which rank owns which block of cells in several dimensions, where ghost cells live, and their exchange."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..block_mesh import numbers_at
from ..errors import ConfigurationError
from .decomposition import Layout, owners_of
from .petsc import petsc, world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Layers of ghost cells on each face: a limited slope upwind of a face reaches two cells.
LAYERS = 2


class BoundaryRows(NamedTuple):
    """Ghosts of one layer beyond one end of the mesh and what a boundary condition may fill them from.

    All arrays have one entry a ghost cell, the lower of the other two axes fastest.
    """

    ghost: NDArray[np.int64]  #: rows to fill
    mirror: NDArray[np.int64]  #: rows of the cells at the same depth on the other side of the boundary
    adjacent: NDArray[np.int64]  #: rows of the cells at the boundary
    cell: NDArray[np.int64]  #: global numbers of the cells at the boundary


class _Message(NamedTuple):
    rank: int
    tag: int
    rows: NDArray[np.int64] | slice  #: a slice where they lie next to each other: no copy is needed then


class Exchange(NamedTuple):
    """A ghost exchange under way; keeps the packed layers alive until they have left."""

    requests: list[Any]
    packed: list[NDArray[np.float64]]


class BlockDecomposition:
    """A box of cells cut into one block a rank, as a PETSc DMDA over its resolved axes cuts it.

    The DMDA has one degree of freedom a cell and carries the cut only, as in one dimension. PETSc chooses the process
    grid; where it finds none (it wants at least one cell a rank along each axis, and gives up where its first guess
    does not fit) the grid with the smallest blocks and the shortest cuts is handed to it. A DMDA has no ranks without
    cells: where no grid fits all ranks, the first ones that a grid fits own the mesh, and the others own nothing but
    take part in everything.

    Rows of an array: this rank's cells, axis 0 fastest, then its ghosts, contiguous for each (axis, side, layer), the
    layers in the order of their coordinate. ``row[k + 2, j + 2, i + 2]`` is the row of the block's cell (i, j, k); -1
    at edges and corners, and beyond the ends of an axis that is not resolved. A ghost of a periodic axis that this
    rank owns itself has no row of its own: the table leads to the cell. That is every one if the axis is not cut.

    Collective over ``comm``.

    Raises
    ------
    ConfigurationError
        If the shape is not three positive numbers.
    """

    def __init__(
        self,
        shape: Sequence[int],
        periodic: Sequence[bool] = (False, False, False),
        comm: Any = None,
        names: tuple[str, ...] = ("x", "y", "z"),
    ) -> None:
        self.names = names  #: of the axes, in files
        self.comm = world() if comm is None else comm
        if len(shape) != 3 or len(periodic) != 3 or min(shape) < 1:
            raise ConfigurationError(
                f"shape of the block mesh is {tuple(shape)}, periodic {tuple(periodic)}; accepted: three axes with one "
                "or more cells each"
            )
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))
        self.resolved = tuple(axis for axis, cells in enumerate(self.shape) if cells > 1)
        #: along an axis with one cell there is nothing to wrap around
        self.periodic = tuple(bool(wraps) and axis in self.resolved for axis, wraps in enumerate(periodic))
        self.total = prod(self.shape)
        self.dmda = self._cut()
        self._locate()
        self._number_rows()
        self._plan()

    @property
    def local_shape(self) -> tuple[int, int, int]:
        """Cells of this rank along each axis."""
        l0, l1, l2 = (int(n) for n in self.stop - self.start)
        return l0, l1, l2

    @property
    def size(self) -> int:
        """Number of cells of this rank."""
        return prod(self.local_shape)

    @property
    def alone(self) -> bool:
        """Whether no ghost of this rank's is another's cell."""
        return not self._receive and not self._send

    @property
    def process_grid(self) -> tuple[int, int, int]:
        """Number of blocks along each axis."""
        p0, p1, p2 = (len(bounds) - 1 for bounds in self.bounds)
        return p0, p1, p2

    @property
    def layout(self) -> Layout:
        """Where this rank's cells are in an array over all cells, the slowest axis first."""
        part = tuple(slice(int(low), int(high)) for low, high in zip(self.start, self.stop, strict=True))
        return Layout(self.shape[::-1], part[::-1], self.names[::-1])

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Global numbers of this rank's cells."""
        return self.cells

    def owners(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ranks that own global cells."""
        ranks = np.empty(self.process_grid, dtype=np.int64)
        for block, rank in self._ranks.items():
            ranks[block] = rank
        places = np.unravel_index(cells, self.shape[::-1])[::-1]
        blocks = (np.searchsorted(b, n, side="right") - 1 for b, n in zip(self.bounds, places, strict=True))
        return np.asarray(ranks[tuple(blocks)])

    def owner(self, cell: int) -> int:
        """Rank that owns a global cell."""
        return int(self.owners(np.array([cell]))[0])

    def local(self, array: NDArray[Any]) -> NDArray[Any]:
        """This rank's part of an array over all cells (leading axis), a copy."""
        if array.shape[:1] != (self.total,):
            raise ConfigurationError(f"array over all cells has shape {array.shape}; accepted: ({self.total}, ...)")
        return np.asarray(array[self.cells])

    def gather(self, array: NDArray[Any]) -> NDArray[Any]:
        """Join the ranks' parts along the first axis, in global order; the whole array on every rank. Collective."""
        if self.comm.size == 1:
            return array
        parts = self.comm.allgather(np.ascontiguousarray(array))
        whole = np.empty((self.total, *parts[0].shape[1:]), dtype=parts[0].dtype)
        for rank, part in enumerate(parts):
            whole[self._cells_of(rank)] = part
        return whole

    def boundary_rows(self, axis: int, side: int, layer: int) -> BoundaryRows:
        """Rows of ghost layer 0 or 1 (from the boundary outwards) beyond the low (side 0) or high end of an axis.

        Empty on ranks that have none of this layer, along periodic axes, and along unresolved ones. A rank whose block
        ends one cell before the boundary has the layer 0 too. ``mirror`` and ``adjacent`` may then be ghosts, or if
        blocks are one cell thick: fill boundaries after the exchange.

        Raises
        ------
        ConfigurationError
            If axis, side or layer do not exist.
        """
        if axis not in (0, 1, 2) or side not in (0, 1) or not 0 <= layer < LAYERS:
            raise ConfigurationError(
                f"boundary layer ({axis}, {side}, {layer}); accepted: axis 0, 1, 2, side 0, 1, layer 0, 1"
            )
        cells = self.shape[axis]
        at, mirror, adjacent = (
            n - int(self.start[axis])
            for n in ((cells + layer, cells - 1 - layer, cells - 1) if side else (-1 - layer, layer, 0))
        )
        if axis not in self.resolved or self.periodic[axis] or not -LAYERS <= at < self.local_shape[axis] + LAYERS:
            none = np.empty(0, dtype=np.int64)
            return BoundaryRows(none, none, none, none)
        edge = [np.arange(low, high) for low, high in zip(self.start, self.stop, strict=True)]
        edge[axis] = np.array([cells - 1 if side else 0])
        return BoundaryRows(
            self._layer(axis, at), self._layer(axis, mirror), self._layer(axis, adjacent), self._flat(edge)
        )

    def exchange(self, array: NDArray[np.float64]) -> None:
        """Fill all ghosts that other ranks own. Collective; ghosts beyond the ends of the mesh stay as they are."""
        self.finish(self.begin(array))

    def begin(self, array: NDArray[np.float64]) -> Exchange:
        """Send this rank's outer layers and expect its ghosts, without waiting: one message per face and neighbour.

        Until `finish`, the cells of the array must not change and its ghosts must not be read. Exchanges that overlap
        must begin in the same order on all ranks.

        Raises
        ------
        ConfigurationError
            If the array is not C-contiguous, not of float64, or has not one row for each cell and ghost.
        """
        if array.shape[:1] != (self.rows,) or array.dtype != np.float64 or not array.flags.c_contiguous:
            raise ConfigurationError(
                f"array for the ghost exchange has shape {array.shape}, type {array.dtype}, C-contiguous "
                f"{array.flags.c_contiguous}; accepted: ({self.rows}, ...), float64, C-contiguous"
            )
        requests = [self.comm.Irecv(array[m.rows], m.rank, tag=m.tag) for m in self._receive]
        packed = [array[m.rows] for m in self._send]
        requests += [self.comm.Isend(part, m.rank, tag=m.tag) for part, m in zip(packed, self._send, strict=True)]
        return Exchange(requests, packed)

    def finish(self, handle: Exchange) -> None:
        """Wait until the ghosts of an exchange have arrived and its own layers have left."""
        for request in handle.requests:
            request.Wait()

    def _cut(self) -> Any:
        """The DMDA over the resolved axes (one cell: over axis 0); None on ranks that own nothing."""
        PETSc = petsc(self.comm)
        axes = self.resolved or (0,)
        grid = _process_grid(self.shape, self.comm.size)
        owners = owners_of(self.comm, prod(grid))
        if owners is None:
            return None
        kinds = PETSc.DM.BoundaryType
        given: dict[str, Any] = {
            "dof": 1,
            "stencil_width": 1,
            "stencil_type": PETSc.DMDA.StencilType.STAR,
            "boundary_type": tuple(kinds.PERIODIC if self.periodic[axis] else kinds.NONE for axis in axes),
            "comm": owners,
        }
        sizes = [self.shape[axis] for axis in axes]
        try:
            return PETSc.DMDA().create(sizes, **given)
        except PETSc.Error:
            return PETSc.DMDA().create(sizes, proc_sizes=[grid[axis] for axis in axes], **given)

    def _locate(self) -> None:
        """The blocks of all ranks, from their corners."""
        self.start, self.stop = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
        if self.dmda is not None:
            self.stop[:] = self.shape
            for axis, (low, high) in zip(self.resolved or (0,), self.dmda.getRanges(), strict=True):
                self.start[axis], self.stop[axis] = low, high
        #: of the ranks that own cells, which are the first ones
        starts = np.array([start for start, size in self.comm.allgather((self.start, self.size)) if size])
        #: faces between the blocks along each axis, ends included
        self.bounds = tuple(np.append(np.unique(starts[:, axis]), self.shape[axis]) for axis in range(3))
        coordinates = [
            tuple(_block(bounds, int(n)) for bounds, n in zip(self.bounds, start, strict=True)) for start in starts
        ]
        self._coordinates = coordinates
        self._ranks = {block: rank for rank, block in enumerate(coordinates)}
        self.cells = self._cells_of(self.comm.rank)

    def _number_rows(self) -> None:
        l0, l1, l2 = self.local_shape
        owned = np.arange(self.size, dtype=np.int64).reshape(l2, l1, l0)
        self.row = np.full((l2 + 2 * LAYERS, l1 + 2 * LAYERS, l0 + 2 * LAYERS), -1, dtype=np.int64)
        self.row[LAYERS:-LAYERS, LAYERS:-LAYERS, LAYERS:-LAYERS] = owned
        self.rows = self.size
        for axis in self.resolved:
            for side in range(2):
                for at in self._ghost_layers(self.local_shape[axis], side):
                    layer = self._layer_index(axis, at)
                    n = int(self.start[axis]) + at
                    inside = n % self.shape[axis] - int(self.start[axis]) if self.periodic[axis] else at
                    if 0 <= inside < self.local_shape[axis]:
                        self.row[layer] = np.take(owned, inside, axis=2 - axis)
                    else:
                        face = self.row[layer]
                        self.row[layer] = np.arange(self.rows, self.rows + face.size).reshape(face.shape)
                        self.rows += face.size

    def _plan(self) -> None:
        """Messages of an exchange: what each block along a line of blocks needs, and which of it this rank has."""
        self._receive: list[_Message] = []
        self._send: list[_Message] = []
        if self.size == 0:
            return
        me = self._coordinates[self.comm.rank]
        for axis in self.resolved:
            for block, side in product(range(self.process_grid[axis]), range(2)):
                for owner, layers in self._needs(axis, block, side):
                    if owner == block or me[axis] not in (owner, block):
                        continue
                    sends = owner == me[axis]
                    other = self._ranks[(*me[:axis], block if sends else owner, *me[axis + 1 :])]
                    positions = [(n % self.shape[axis] if sends else n) - int(self.start[axis]) for n in layers]
                    rows = np.concatenate([self._layer(axis, at) for at in positions])
                    # the side of the receiver tells apart the two messages between two blocks of a periodic axis
                    message = _Message(other, 2 * axis + side, _together(rows))
                    (self._send if sends else self._receive).append(message)

    def _needs(self, axis: int, block: int, side: int) -> list[tuple[int, list[int]]]:
        """Owners of the ghosts of a block on one side, and the layers that each has (numbered past periodic ends)."""
        low, high = (int(n) for n in self.bounds[axis][block : block + 2])
        needs: list[tuple[int, list[int]]] = []
        for at in self._ghost_layers(high - low, side):
            n = low + at
            if not self.periodic[axis] and not 0 <= n < self.shape[axis]:
                continue
            owner = _block(self.bounds[axis], n % self.shape[axis])
            if needs and needs[-1][0] == owner:
                needs[-1][1].append(n)
            else:
                needs.append((owner, [n]))
        return needs

    @staticmethod
    def _ghost_layers(cells: int, side: int) -> range:
        """Positions of the ghosts beside a block, in the order of the coordinate."""
        return range(cells, cells + LAYERS) if side else range(-LAYERS, 0)

    def _layer_index(self, axis: int, at: int) -> tuple[slice | int, ...]:
        """Index of one layer of the padded block, without edges and corners."""
        index: list[slice | int] = [slice(LAYERS, -LAYERS)] * 3
        index[2 - axis] = at + LAYERS
        return tuple(index)

    def _layer(self, axis: int, at: int) -> NDArray[np.int64]:
        """Rows of one layer, the lower of the other two axes fastest."""
        return self.row[self._layer_index(axis, at)].ravel()

    def _flat(self, positions: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        """Global numbers of the cells at all combinations of positions along the axes."""
        return numbers_at(self.shape, positions)

    def _cells_of(self, rank: int) -> NDArray[np.int64]:
        if rank >= len(self._coordinates):
            return np.empty(0, dtype=np.int64)
        block = self._coordinates[rank]
        return self._flat([np.arange(b[n], b[n + 1]) for b, n in zip(self.bounds, block, strict=True)])


def _block(bounds: NDArray[Any], n: int) -> int:
    """Number of the block that holds position n of an axis."""
    return int(np.searchsorted(bounds, n, side="right") - 1)


def _together(rows: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """The slice that these rows are, if they are one; the ghosts of a message always are."""
    return slice(int(rows[0]), int(rows[-1]) + 1) if (np.diff(rows) == 1).all() else rows


def _process_grid(shape: tuple[int, int, int], ranks: int) -> tuple[int, int, int]:
    """Numbers of blocks along the axes: most blocks, smallest largest block, least area of cuts, outer axes first.

    As many blocks as ranks where a product of numbers of blocks, at most one a cell along each axis, is that number.
    """

    def grids(size: int) -> list[tuple[int, int, int]]:
        return [
            (p0, p1, size // (p0 * p1))
            for p0 in range(1, min(size, shape[0]) + 1)
            if size % p0 == 0
            for p1 in range(1, min(size // p0, shape[1]) + 1)
            if size // p0 % p1 == 0 and size // (p0 * p1) <= shape[2]
        ]

    def cost(grid: tuple[int, int, int]) -> tuple[int, int, tuple[int, ...]]:
        largest = prod(-(-n // p) for n, p in zip(shape, grid, strict=True))
        cuts = sum((p - 1) * (prod(shape) // n) for n, p in zip(shape, grid, strict=True))
        return largest, cuts, grid

    # one block always fits
    possible = next(found for size in range(ranks, 0, -1) if (found := grids(size)))
    return min(possible, key=cost)
