"""The slow modes that level-by-level solves miss: energy exchange and diffusion together, in two angular moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..kernels import coarse_solve
from ..kernels.collisions import DIAGONAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from ..physics.collisions import CollisionOperator
    from ..physics.levels import LevelFrame

#: Coupling of groups over a cell below which the correction leaves a cell alone.
_RELEVANT = 1.0e-5


class CoarseCorrection:
    """Galerkin projection of the Jacobian on J + 3 mu H for one flavour component at a time.

    Inelastic scattering conserves number, so deep inside a star the slow modes are shifts of the chemical
    potentials that diffuse; solving each energy alone, with scattering out as a loss, damps them far too much.
    Every rank solves the same small systems: one for each flavour component, blocks of 4 group_count.
    """

    def __init__(self, phase_space: PhaseSpace, decomposition: Decomposition) -> None:
        self.phase_space, self.decomposition = phase_space, decomposition
        self.cells = 0
        angles = phase_space.angles
        self.cosine = np.ascontiguousarray(angles.direction_cosine)

    def update(
        self,
        collisions: CollisionOperator,
        frame: LevelFrame,
        b: NDArray[np.float64],
        loss: NDArray[np.float64],
        scattering_0: NDArray[np.float64],
        scattering_1: NDArray[np.float64],
    ) -> None:
        """Assemble and factor; whole-mesh arrays b[face, entry], loss and scattering[cell, entry]."""
        ps, gather = self.phase_space, self.decomposition.gather
        groups = ps.energy.size
        mean = collisions.component_means()  # (cell, species, group, component), local
        kind, ratio = collisions.kind, collisions.ratio
        exchange = np.zeros((self.decomposition.size, DIAGONAL, 2, groups, 2, groups))
        for i in range(self.decomposition.size):
            for c in range(DIAGONAL):
                coarse_solve.coupling_derivative(
                    np.ascontiguousarray(mean[i, :, :, c]),
                    kind,
                    np.ascontiguousarray(collisions.amplitude[:, :, c]),
                    np.ascontiguousarray(collisions.kernel[:, i, :, 0]),
                    ratio,
                    exchange[i, c],
                )
        strength = np.abs(exchange).sum(axis=(4, 5)).max(axis=(1, 2, 3))
        strength = gather(strength * ps.mesh.width[self.decomposition.cells])
        relevant = np.flatnonzero(strength > _RELEVANT)
        self.cells = n = int(relevant[-1]) + 1 if relevant.size else 0
        if n == 0:
            return
        exchange = gather(exchange)[:n]
        levels = gather(np.argsort(frame.component, axis=2))[:n]  # level of (species, component)
        size = 4 * groups
        shape = (ps.angles.size, 2, groups, frame.component.shape[2])
        b, loss, s0, s1 = (x.reshape(-1, *shape[1:]) for x in (b, loss, scattering_0, scattering_1))
        volume, cosine = ps.angles.volume[:n], self.cosine[:n]
        first = [volume.sum(axis=1), (volume * 3.0 * cosine).sum(axis=1)]
        second = [(volume * cosine).sum(axis=1), (volume * 3.0 * cosine**2).sum(axis=1)]
        self.lower = np.zeros((DIAGONAL, n, 2 * groups, 2, 2))
        self.upper = np.zeros_like(self.lower)
        self.inverse = np.zeros((DIAGONAL, n, size, size))
        self.levels = levels
        for c in range(DIAGONAL):
            blocks = np.zeros((n, size, size))
            for s in range(2):
                # the level of a component is the same in all locked cells
                k = int(levels[0, s, c])
                for g in range(groups):
                    pair = s * groups + g
                    u = 2 * pair
                    diagonal = np.zeros((n, 2, 2))
                    coarse_solve.project_transport(
                        ps.angles.face_area[: n + 1],
                        ps.angles.redistribution[:n],
                        ps.angles.diamond,
                        volume,
                        cosine,
                        np.ascontiguousarray(b[: n + 1, s, g, k]),
                        diagonal,
                        self.lower[c, :, pair],
                        self.upper[c, :, pair],
                    )
                    removal, back_0, back_1 = loss[:n, s, g, k], s0[:n, s, g, k], s1[:n, s, g, k]
                    diagonal[:, 0, 0] += first[0] * (removal - back_0)
                    diagonal[:, 0, 1] += first[1] * (removal - back_1)
                    diagonal[:, 1, 0] += second[0] * (removal - back_0)
                    diagonal[:, 1, 1] += second[1] * (removal - back_1)
                    blocks[:, u : u + 2, u : u + 2] = diagonal
            e = exchange[:, c].reshape(n, 2 * groups, 2 * groups)
            blocks[:, 0::2, 0::2] -= first[0][:, None, None] * e
            blocks[:, 1::2, 0::2] -= second[0][:, None, None] * e
            coarse_solve.factor(blocks, self.lower[c], self.upper[c], self.inverse[c])

    def solve(self, source: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        """Add the correction for source[cell, direction, species, group, level] (times volume) to out; local arrays."""
        if self.cells == 0:
            return
        dec, ps = self.decomposition, self.phase_space
        groups = ps.energy.size
        cosine = self.cosine[dec.cells]
        moments = np.stack([source.sum(axis=1), np.einsum("im,imsgk->isgk", cosine, source)], axis=4)
        whole = dec.gather(moments)[: self.cells]  # (cell, species, group, level, l)
        mine = slice(dec.start, min(dec.stop, self.cells))
        count = max(mine.stop - mine.start, 0)
        for c in range(DIAGONAL):
            k = self.levels[0, :, c]
            right = np.stack([whole[:, 0, :, k[0]], whole[:, 1, :, k[1]]], axis=1).reshape(self.cells, 4 * groups)
            result = np.empty_like(right)
            coarse_solve.solve(self.lower[c], self.upper[c], self.inverse[c], np.ascontiguousarray(right), result)
            if count == 0:
                continue
            shift = result[mine].reshape(count, 2, groups, 2)
            for s in range(2):
                out[:count, :, s, :, k[s]] += (
                    shift[:, None, s, :, 0] + 3.0 * cosine[:count, :, None] * shift[:, None, s, :, 1]
                )
