"""Where a host's blocks of cells lie in the mesh, and the way of their values to the transport's own cut and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import numbers_at
from ..errors import ConfigurationError
from ..parallel.errors import collective
from ..parallel.routing import route

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How values get from the host's cells to the transport's.
SAME, REORDERED, ROUTED = "same", "reordered", "routed"


class Distribution:
    """The host's blocks on all ranks, which together are every cell of the mesh once. Collective.

    Values of this rank's blocks stand in the order of the blocks, in a block with the first axis fastest. ``way`` is
    "same" if that is the order of the transport's own cells on all ranks, "reordered" if only the order differs, and
    "routed" if values travel between ranks.

    Parameters
    ----------
    shape
        Cells of the mesh along three axes.
    lower, cells
        (block, 3) first cell of each block of this rank, and number of its cells, along three axes.
    decomposition
        The transport's own cut.

    Raises
    ------
    ConfigurationError
        On all ranks, if a block reaches outside the mesh, or a cell of the mesh is in no block or in several.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        lower: NDArray[np.int64],
        cells: NDArray[np.int64],
        decomposition: Any,
    ) -> None:
        self.comm, self.decomposition = decomposition.comm, decomposition
        with collective(self.comm):
            self.lower, self.cells = _checked(shape, lower, cells)
        blocks = zip(self.lower, self.cells, strict=True)
        ranges = [[np.arange(low, low + n) for low, n in zip(*block, strict=True)] for block in blocks]
        #: global numbers of the cells of this rank's blocks
        self.numbers = np.concatenate([np.empty(0, dtype=np.int64), *(numbers_at(shape, axes) for axes in ranges)])
        #: where each block's values begin and end among this rank's
        self.bounds = np.concatenate([[0], np.cumsum(self.cells.prod(axis=1))]).astype(np.int64)
        mine = decomposition.numbers
        self._owner = decomposition.owners(self.numbers)
        arrived, self._source = route(self.comm, self._owner, self.numbers)
        with collective(self.comm):
            _check_cover(arrived, mine)
        # both sides once: cells in ascending order are the same cells
        self._arrival = np.empty(mine.size, dtype=np.int64)
        self._arrival[np.argsort(mine, kind="stable")] = np.argsort(arrived, kind="stable")
        self._back = np.argsort(self._owner, kind="stable")
        kinds = self.comm.allgather(
            ROUTED
            if (self._owner != self.comm.rank).any()
            else SAME
            if np.array_equal(self.numbers, mine)
            else REORDERED
        )
        self.way = ROUTED if ROUTED in kinds else REORDERED if REORDERED in kinds else SAME

    @property
    def size(self) -> int:
        """Number of cells in this rank's blocks."""
        return int(self.numbers.size)

    def to_transport(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows (cell, n) of the host's cells as rows of the transport's. Collective if routed."""
        if self.way == SAME:
            return rows
        if self.way == ROUTED:
            rows = route(self.comm, self._owner, rows)[0]
        return rows[self._arrival]

    def to_host(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows (cell, n) of the transport's cells as rows of the host's. Collective if routed."""
        if self.way == SAME:
            return rows
        sent = np.empty_like(rows)
        sent[self._arrival] = rows
        arrived = route(self.comm, self._source, sent)[0] if self.way == ROUTED else sent
        found = np.empty_like(arrived)
        found[self._back] = arrived
        return found


def own_block(decomposition: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(1, 3) first cell and number of cells of the block that the transport's own cut gives this rank, or (0, 3)."""
    if hasattr(decomposition, "local_shape"):
        low, cells = np.asarray(decomposition.start), np.asarray(decomposition.local_shape)
    else:
        low, cells = np.array([decomposition.start, 0, 0]), np.array([decomposition.size, 1, 1])
    part = slice(0, 1 if decomposition.size else 0)
    return low.astype(np.int64)[None][part], cells.astype(np.int64)[None][part]


def _checked(shape: tuple[int, int, int], lower: Any, cells: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lower, cells = (np.array(values, dtype=np.int64).reshape(-1, 3) for values in (lower, cells))
    if lower.shape != cells.shape:
        raise ConfigurationError(f"{lower.shape[0]} first cells and {cells.shape[0]} shapes of blocks; accepted: pairs")
    bad = ((lower < 0) | (cells < 1) | (lower + cells > np.array(shape))).any(axis=1)
    if bad.any():
        block = int(np.argmax(bad))
        raise ConfigurationError(
            f"block {block} begins at cell {tuple(lower[block].tolist())} and has {tuple(cells[block].tolist())} "
            f"cells; accepted: blocks of one or more cells inside the mesh of {tuple(shape)}"
        )
    return lower, cells


def _check_cover(arrived: NDArray[np.int64], mine: NDArray[np.int64]) -> None:
    found, count = np.unique(arrived, return_counts=True)
    if (count > 1).any():
        raise ConfigurationError(
            f"cell {int(found[np.argmax(count > 1)])} of the mesh is in {int(count.max())} blocks of the host; "
            "accepted: each cell in one block on one rank"
        )
    missing = np.setdiff1d(mine, found)
    if missing.size:
        raise ConfigurationError(
            f"cell {int(missing[0])} of the mesh and {missing.size - 1} more are in no block of the host; accepted: "
            "each cell in one block on one rank"
        )
