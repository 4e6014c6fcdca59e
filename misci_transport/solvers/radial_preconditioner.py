"""Direct radial solves, one for each (species, group, level), shared out over the ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..kernels import radial_solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from ..physics.frame import Coefficients
    from ..quadrature import AngularGrid


class RadialPreconditioner:
    """Inverse of transport with loss and isoenergetic scattering, level by level.

    The populations are redistributed so that a rank holds some entries (species, group, level) on all cells;
    each is a block-tridiagonal system in radius that is solved directly. The result therefore does not depend
    on the number of ranks but for round-off.
    """

    def __init__(
        self, phase_space: PhaseSpace, decomposition: Decomposition, moving: Coefficients | None = None
    ) -> None:
        """moving: coefficients with moving matter and gravity, on the whole mesh; shifts of energy are left out."""
        self.decomposition = decomposition
        angles = phase_space.angles
        self.angles: AngularGrid | Coefficients = angles if moving is None else moving
        self.area = angles.face_area if moving is None else moving.area
        self.drag = np.zeros_like(self.area) if moving is None else moving.drag
        self.turn = np.zeros_like(angles.redistribution) if moving is None else moving.turn
        self.share = np.zeros((self.turn.shape[0], angles.size - 1)) if moving is None else moving.share
        self.diamond = angles.diamond
        self.weights = phase_space.angles.averaging_weight
        self.directions = phase_space.angles.size
        self.entries = int(np.prod(phase_space.cell_shape[1:]))
        edges = np.linspace(0, self.entries, decomposition.comm.size + 1).astype(int)
        self.shares = [slice(edges[r], edges[r + 1]) for r in range(decomposition.comm.size)]
        self.mine = self.shares[decomposition.comm.rank]
        count = self.mine.stop - self.mine.start
        self.inverse = np.empty((count, decomposition.total, self.directions, self.directions))
        self.b = np.empty((count, decomposition.total + 1))

    def update(
        self,
        b: NDArray[np.float64],
        loss: NDArray[np.float64],
        scattering_0: NDArray[np.float64],
        scattering_1: NDArray[np.float64],
    ) -> None:
        """Factor for whole-mesh arrays b[face, entry] and loss, scattering_0, scattering_1[cell, entry] (cm^-1)."""
        a = self.angles
        self.b[:] = self._to_entries(b)
        losses, s0, s1 = (self._to_entries(x) for x in (loss, scattering_0, scattering_1))
        for j in range(self.inverse.shape[0]):
            radial_solve.factor(
                self.area,
                self.drag,
                a.redistribution,
                self.diamond,
                self.turn,
                self.share,
                a.volume,
                *self.weights,
                self.b[j],
                losses[j],
                s0[j],
                s1[j],
                self.inverse[j],
            )

    def _to_entries(self, whole: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ascontiguousarray(whole[:, self.mine].T)

    def solve(self, source: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve for source[cell, direction, entry] (per volume times volume); local arrays in and out."""
        whole = self._transpose(source)
        result = np.empty_like(whole)
        for j in range(whole.shape[0]):
            radial_solve.solve(self.area, self.drag, self.b[j], self.inverse[j], whole[j], result[j])
        return self._transpose_back(result)

    def _transpose(self, local: NDArray[np.float64]) -> NDArray[np.float64]:
        """(local cell, direction, entry) -> (my entry, cell, direction)."""
        parts = [np.ascontiguousarray(local[:, :, share].transpose(2, 0, 1)) for share in self.shares]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(self.decomposition.comm.alltoall(parts), axis=1)

    def _transpose_back(self, mine: NDArray[np.float64]) -> NDArray[np.float64]:
        """(my entry, cell, direction) -> (local cell, direction, entry)."""
        bounds = self.decomposition.bounds
        parts = [np.ascontiguousarray(mine[:, bounds[r] : bounds[r + 1]]) for r in range(len(self.shares))]
        received = parts if len(parts) == 1 else self.decomposition.comm.alltoall(parts)
        return np.ascontiguousarray(np.concatenate(received, axis=0).transpose(1, 2, 0))
