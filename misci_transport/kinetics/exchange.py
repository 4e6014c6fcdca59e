"""Cells of a box over ranks, their ghosts, and sums over the whole box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RIGHTWARDS, _LEFTWARDS = 71, 72


@dataclass(frozen=True)
class CellLayout:
    """How `io.output.write_fields` places a rank's cells in the whole."""

    shape: tuple[int]
    local_shape: tuple[int]
    part: tuple[slice]
    names: tuple[str] = ("cell",)


@dataclass(frozen=True)
class CellRange:
    """Contiguous ranges of ``total`` cells, as equal as they can be; comm None is one process without MPI."""

    total: int
    comm: Any = None

    def __post_init__(self) -> None:
        if self.total < self.size:
            raise ConfigurationError(f"{self.total} cells on {self.size} ranks; accepted: at least one cell a rank")

    @property
    def size(self) -> int:
        """Number of ranks."""
        return 1 if self.comm is None else int(self.comm.size)

    @property
    def rank(self) -> int:
        """This rank."""
        return 0 if self.comm is None else int(self.comm.rank)

    @property
    def start(self) -> int:
        """First cell of this rank."""
        return self.total * self.rank // self.size

    @property
    def stop(self) -> int:
        """One past its last cell."""
        return self.total * (self.rank + 1) // self.size

    @property
    def cells(self) -> slice:
        """This rank's cells in the whole box."""
        return slice(self.start, self.stop)

    @property
    def count(self) -> int:
        """Number of this rank's cells."""
        return self.stop - self.start

    @property
    def layout(self) -> CellLayout:
        """Place of this rank's cells in output files."""
        return CellLayout((self.total,), (self.count,), (self.cells,))

    @property
    def fewest(self) -> int:
        """Smallest number of cells of a rank."""
        return self.total // self.size

    def fill(self, f: NDArray[np.float64], left: int, right: int, *, periodic: bool) -> None:
        """Ghosts of f (..., left + cells + right) from their owners; without ``periodic`` the ends stay. Collective."""
        n = self.count
        if self.size == 1:
            if periodic:
                # a box of few cells goes into its ghosts more than once
                f[..., :left] = f[..., left + np.arange(-left, 0) % n]
                f[..., left + n :] = f[..., left + np.arange(right) % n]
            return
        before, after = (self.rank - 1) % self.size, (self.rank + 1) % self.size
        first, last = self.rank == 0 and not periodic, self.rank == self.size - 1 and not periodic
        self._pass(f, slice(left + n - left, left + n), after, last, slice(0, left), before, first, _RIGHTWARDS)
        end = f.shape[-1]
        self._pass(f, slice(left, left + right), before, first, slice(end - right, end), after, last, _LEFTWARDS)

    def _pass(
        self,
        f: NDArray[np.float64],
        out: slice,
        to: int,
        no_send: bool,
        into: slice,
        source: int,
        no_receive: bool,
        tag: int,
    ) -> None:
        """Send the columns ``out`` to one neighbour and put what comes from the other into ``into``."""
        if out.start == out.stop:
            return
        received = np.empty((*f.shape[:-1], into.stop - into.start))
        # to and from no neighbour at the ends: ranks below zero are MPI's empty one
        null = self._null()
        self.comm.Sendrecv(
            np.ascontiguousarray(f[..., out]),
            dest=null if no_send else to,
            sendtag=tag,
            recvbuf=received,
            source=null if no_receive else source,
            recvtag=tag,
        )
        if not no_receive:
            f[..., into] = received

    @staticmethod
    def _null() -> int:
        from mpi4py import MPI

        return int(MPI.PROC_NULL)

    def whole(self, part: NDArray[Any]) -> NDArray[Any]:
        """(..., cell) of the whole box, on all ranks, from every rank's part. Collective."""
        if self.size == 1:
            return part
        return np.concatenate(self.comm.allgather(np.ascontiguousarray(part)), axis=-1)

    def total_of(self, part: Any) -> Any:
        """Sum over the ranks, equal on all of them. Collective."""
        if self.size == 1:
            return part
        return sum(self.comm.allgather(part))

    def largest(self, part: Any) -> Any:
        """Largest over the ranks, element by element. Collective."""
        return part if self.size == 1 else np.maximum.reduce(self.comm.allgather(part))

    def smallest(self, part: Any) -> Any:
        """Smallest over the ranks, element by element. Collective."""
        return part if self.size == 1 else np.minimum.reduce(self.comm.allgather(part))
