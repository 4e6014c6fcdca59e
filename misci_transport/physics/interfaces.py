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
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..parallel.decomposition import Decomposition


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

    def neighbours(self, projector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Projectors (cell + 2, ...) with those of the cells next to this rank's (collective)."""
        padded = np.zeros((projector.shape[0] + 2, *projector.shape[1:]))
        padded[1:-1] = projector
        self.decomposition.exchange(padded, 1)
        return padded

    def view(
        self,
        block: Block,
        ghosted: NDArray[np.float64],
        projector: NDArray[np.float64],
        outward: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """Populations of a block with ghost cells in its own levels; ghosted and projector as of `neighbours`.

        outward (direction,): whether a direction moves outwards.
        """
        f = ghosted[block.start : block.stop + 2 * HALO].copy()
        if block.opens:
            # what moves outwards comes from the other region; what moves inwards has no slope at the face
            inside, outside = projector[block.start + 1], projector[block.start]
            f[:HALO] = np.where(outward[:, None, None, None], transfer(inside, outside, f[HALO - 1]), f[HALO])
        if block.closes:
            inside, outside = projector[block.stop], projector[block.stop + 1]
            f[-HALO:] = np.where(outward[:, None, None, None], f[-HALO - 1], transfer(inside, outside, f[-HALO]))
        return f

    def upwind(self, block: Block, b: NDArray[np.float64]) -> NDArray[np.float64]:
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
