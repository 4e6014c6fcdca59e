"""The state of one mesh on another: volume averages of populations, as the finite volumes of the transport take them.

    n_t = sum_s n_s V_ts / V_t,    V_ts the volume in common of the new cell t and the old cell s

With directions and energies that do not depend on the cell, neutrinos and their energy are kept by level where the new
mesh covers the old one. New cells beyond it begin empty in that part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, kron

from ..block_mesh import BlockMesh
from ..parallel.routing import route

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..grid import RadialMesh

#: Fraction of a cell that may be uncovered by round-off.
ROUND_OFF = 1.0e-12


class Remesh:
    """Volumes in common of two meshes of one geometry, the new one's cells on their ranks.

    Parameters
    ----------
    old, new
        Both radial, or both blocks, in the same coordinates.
    old_decomposition, new_decomposition
        Their cuts over the same ranks.
    """

    def __init__(
        self, old: RadialMesh | BlockMesh, old_decomposition: Any, new: RadialMesh | BlockMesh, new_decomposition: Any
    ) -> None:
        self.comm, self.old = new_decomposition.comm, old_decomposition
        parts = new_decomposition.layout.part[::-1]
        axes = zip(_coordinates(old), _coordinates(new), parts, strict=True)
        share = csr_array(np.ones((1, 1)))
        for before, after, part in axes:
            share = kron(_common(before, after)[part], share, format="csr")
        #: part of each of this rank's new cells that the old mesh covers
        self.covered = np.asarray(share.sum(axis=1)).ravel()
        self._wanted, columns = np.unique(share.indices, return_inverse=True)
        self._wanted = self._wanted.astype(np.int64)
        self._share = csr_array((share.data, columns, share.indptr), shape=(share.shape[0], self._wanted.size))

    @property
    def uncovered(self) -> int:
        """New cells of all ranks that the old mesh does not cover wholly. Collective."""
        return int(self.comm.allreduce(int((self.covered < 1.0 - ROUND_OFF).sum())))

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Averages over this rank's new cells of values (cell, ...) on its old ones. Collective."""
        asked, asker = route(self.comm, self.old.owners(self._wanted), self._wanted)
        mine = self.old.numbers
        order = np.argsort(mine)
        local = order[np.searchsorted(mine[order], asked)] if asked.size else asked
        rows = np.ascontiguousarray(values).reshape(values.shape[0], -1)
        number, answer, _ = route(self.comm, asker, asked, rows[local])
        found = self._share @ answer[np.argsort(number)]
        return np.asarray(found).reshape(-1, *values.shape[1:])


def _coordinates(mesh: RadialMesh | BlockMesh) -> tuple[NDArray[np.float64], ...]:
    """Faces along the axes in coordinates whose differences multiply to volumes."""
    if not isinstance(mesh, BlockMesh):
        return (mesh.face**3 / 3.0 if mesh.geometry == "spherical" else mesh.face,)
    x, y, z = mesh.faces
    return (x**3 / 3.0, -np.cos(y), z) if mesh.geometry == "spherical" else (x, y, z)


def _common(old: NDArray[np.float64], new: NDArray[np.float64]) -> csr_array:
    """(new, old) part of each new interval in common with each old one."""
    low = np.maximum(new[:-1, None], old[None, :-1])
    common = np.maximum(np.minimum(new[1:, None], old[None, 1:]) - low, 0.0)
    return csr_array(common / np.diff(new)[:, None])
