"""Faces between regions with different charges: populations change their levels there.

The levels of a region belong to its own effective Hamiltonian. What crosses a face into another region is projected on
the levels there, n'_k = sum_j Tr(<Pi'_k> <Pi_j>) n_j: a permutation for pure flavours. The face value there is that of
the cell upstream, so that the trace that leaves one region is the one that enters the other, to round-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..kernels.collisions import DIAGONAL
from ..phase_space import HALO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..parallel.decomposition import Decomposition

    #: Range of cells, field of it with ghost cells, upwind fractions of it.
    View = tuple[slice, NDArray[np.float64], NDArray[np.float64]]
    #: From the local cell inside, the one outside, and projectors (cell + 2, ...): a field (direction, ...) inside.
    Entering = Callable[[int, int, NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Block:
    """Cells of this rank that lie in one region."""

    start: int  #: first local cell
    stop: int
    opens: bool  #: whether a region ends at the face before the first cell
    closes: bool  #: whether a region ends at the face behind the last cell

    @property
    def cells(self) -> slice:
        """Local cells."""
        return slice(self.start, self.stop)

    @property
    def faces(self) -> slice:
        """Local faces."""
        return slice(self.start, self.stop + 1)


class Interfaces:
    """The regions of this rank, from the kinds of charges of all cells of the mesh."""

    def __init__(self, kinds: Sequence[str], decomposition: Decomposition) -> None:
        self.decomposition = decomposition
        whole = [kind for part in decomposition.comm.allgather(list(kinds)) for kind in part]
        #: global faces where a region ends
        self.faces = [i for i in range(1, len(whole)) if whole[i] != whole[i - 1]]
        first, last = decomposition.start, decomposition.stop
        cuts = [first, *(f for f in self.faces if first < f < last), last]
        self.blocks = [Block(a - first, b - first, a in self.faces, b in self.faces) for a, b in pairwise(cuts)]

    @property
    def any(self) -> bool:
        """Whether the mesh has more than one region."""
        return bool(self.faces)

    def views(
        self,
        field: NDArray[np.float64],
        b: NDArray[np.float64],
        projector: NDArray[np.float64],
        outward: NDArray[np.bool_],
        entering: Entering,
    ) -> list[View]:
        """The regions of this rank as they are advected, each by itself (collective).

        field (cell + 2 HALO, direction, ...) and b[face, entry] of all cells; projector (cell, ...) of this rank's;
        outward (direction,): whether a direction moves outwards; entering: what crosses the face into a region.
        """
        if not self.faces:
            return [(slice(0, self.decomposition.size), field, b)]
        # exchanged every time: new matter may renew the eigenvectors of one rank only, which must not communicate
        around = self.decomposition.padded(projector)
        return [
            (block.cells, self._field(block, field, around, outward[:, None, None, None], entering), _upwind(block, b))
            for block in self.blocks
        ]

    def _field(
        self,
        block: Block,
        field: NDArray[np.float64],
        around: NDArray[np.float64],
        outward: NDArray[np.bool_],
        entering: Entering,
    ) -> NDArray[np.float64]:
        """A block with its ghost cells: what moves away from the other region comes from there.

        What moves towards it has no slope at the face.
        """
        f = field[block.start : block.stop + 2 * HALO].copy()
        if block.opens:
            f[:HALO] = np.where(outward, entering(block.start, block.start - 1, around), f[HALO])
        if block.closes:
            f[-HALO:] = np.where(outward, f[-HALO - 1], entering(block.stop - 1, block.stop, around))
        return f


def _upwind(block: Block, b: NDArray[np.float64]) -> NDArray[np.float64]:
    """b[face, entry] of a block, upwind where a region ends."""
    part = b[block.faces].copy()
    if block.opens:
        part[0] = 1.0
    if block.closes:
        part[-1] = 1.0
    return part


def transfer(
    inside: NDArray[np.float64], outside: NDArray[np.float64], populations: NDArray[np.float64]
) -> NDArray[np.float64]:
    """n'_k = sum_j Tr(<Pi'_k> <Pi_j>) n_j of one cell: populations (direction, species, group, level) outside."""
    weight = np.ones(inside.shape[-1])
    # off-diagonal components of a projector hold twice the element
    weight[DIAGONAL:] = 0.5
    matrix = np.einsum("i,msgki,msgi->msgk", weight, inside, np.einsum("msgji,msgj->msgi", outside, populations))
    return np.asarray(matrix)
