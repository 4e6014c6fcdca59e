"""Which rank owns which cells, and the exchange of ghost cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .petsc import petsc, world

if TYPE_CHECKING:
    from numpy.typing import NDArray


def owners_of(comm: Any, ranks: int) -> Any:
    """A communicator of the first ranks, or None on the others; ``comm`` itself if they are all of it. Collective."""
    if ranks == comm.size:
        return comm
    owns = comm.rank < ranks
    part = comm.Split(0 if owns else 1, comm.rank)
    return part if owns else None


class Layout(NamedTuple):
    """How a field on cells lies in a file."""

    shape: tuple[int, ...]  #: of the whole mesh, slowest axis first
    part: tuple[slice, ...]  #: this rank's
    names: tuple[str, ...]  #: of the axes

    @property
    def local_shape(self) -> tuple[int, ...]:
        """Shape of this rank's part."""
        return tuple(int(piece.stop - piece.start) for piece in self.part)


class Decomposition:
    """A mesh of ``total`` cells cut into one contiguous range a rank, as a PETSc DMDA cuts it.

    The DMDA has one degree of freedom a cell and carries the cut only: the state holds thousands of values
    a cell, which would overflow 32-bit PETSc indices, and has its own face exchange. Of more ranks than cells the
    last ones own nothing, but take part in everything.
    """

    def __init__(self, cells: int, comm: Any = None) -> None:
        self.comm = world() if comm is None else comm
        self.total = cells
        PETSc = petsc(self.comm)
        owners = owners_of(self.comm, min(cells, self.comm.size))
        self.dmda = None if owners is None else PETSc.DMDA().create([cells], dof=1, stencil_width=1, comm=owners)
        self.start, self.stop = cells, cells
        if self.dmda is not None:
            ((self.start, self.stop),) = self.dmda.getRanges()
        self.bounds = np.array([*self.comm.allgather(self.start), cells])

    @property
    def size(self) -> int:
        """Number of cells of this rank."""
        return int(self.stop - self.start)

    @property
    def cells(self) -> slice:
        """This rank's range of the global cells."""
        return slice(self.start, self.stop)

    @property
    def layout(self) -> Layout:
        """Where this rank's cells are in an array over all cells."""
        return Layout((self.total,), (self.cells,), ("cell",))

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Global numbers of this rank's cells."""
        return np.arange(self.start, self.stop)

    @property
    def is_first(self) -> bool:
        """Whether this rank owns the innermost cell."""
        return bool(self.start == 0)

    @property
    def is_last(self) -> bool:
        """Whether this rank owns the outermost cell."""
        return bool(self.stop == self.total) and self.size > 0

    def owners(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ranks that own global cells."""
        return np.searchsorted(self.bounds, cells, side="right") - 1

    def owner(self, cell: int) -> int:
        """Rank that owns a global cell."""
        return int(self.owners(np.array([cell]))[0])

    def exchange(self, array: NDArray[np.float64], halo: int) -> None:
        """Fill the ghost cells array[:halo] and array[-halo:] that other ranks own, along the first axis.

        Ghost cells beyond the ends of the mesh are left as they are. Ranges shorter than the halo work:
        every ghost cell comes from its owner.
        """
        if self.comm.size == 1:
            return
        requests = []
        for ghost in [*range(self.start - halo, self.start), *range(self.stop, self.stop + halo)]:
            if 0 <= ghost < self.total:
                row = ghost - self.start + halo
                requests.append(self.comm.Irecv(array[row : row + 1], self.owner(ghost), tag=ghost))
        for rank in range(self.comm.size):
            if rank == self.comm.rank:
                continue
            low, high = int(self.bounds[rank]), int(self.bounds[rank + 1])
            for ghost in [*range(low - halo, low), *range(high, high + halo)]:
                if self.start <= ghost < self.stop:
                    row = ghost - self.start + halo
                    requests.append(self.comm.Isend(array[row : row + 1], rank, tag=ghost))
        for request in requests:
            request.Wait()

    def padded(self, array: NDArray[np.float64], halo: int = 1) -> NDArray[np.float64]:
        """A copy of this rank's cells with ghost cells on each side, zero beyond the ends of the mesh (collective)."""
        out = np.zeros((array.shape[0] + 2 * halo, *array.shape[1:]))
        out[halo:-halo] = array
        self.exchange(out, halo)
        return out

    def gather(self, array: NDArray[Any]) -> NDArray[Any]:
        """Join the ranks' parts along the first axis; the whole array on every rank."""
        if self.comm.size == 1:
            return array
        return np.concatenate(self.comm.allgather(np.ascontiguousarray(array)), axis=0)
