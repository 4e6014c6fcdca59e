"""What the stationary and implicit solve needs of a block mesh: docs/geometry.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..kernels.block_advection import flux_divergence
from ..kernels.block_sweep import MIRROR, NOTHING, sweep, sweep_turning
from ..kernels.block_turning import turn
from ..physics.block_boundary import BlockBoundary
from .block_diffusion import BlockDiffusion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.block_decomposition import BlockDecomposition
    from ..phase_space import PhaseSpace
    from ..physics.block_advection import BlockAdvection
    from ..physics.collisions import CollisionOperator
    from ..physics.levels import LevelFrame

#: Directions of the linear solver that are kept; two fields of the size of the populations each.
RESTART = 15


class BlockProblem:
    """First-order transport on a block, sweeps along the directions, and diffusion for what they leave.

    Raises
    ------
    ConfigurationError
        If matter moves or there is gravity.
    """

    restart: int | None = RESTART  #: directions that the linear solver keeps
    volume = 1.0  #: what a balance is multiplied by for ``solve`` and ``correct``

    def __init__(self, phase_space: PhaseSpace, decomposition: BlockDecomposition, advection: BlockAdvection) -> None:
        if advection.frame is not None:
            raise ConfigurationError(
                'stationary states on a block mesh: accepted with frame.doppler = false, frame.gravity = "none"; time '
                "steps have both"
            )
        self.phase_space, self.decomposition, self.advection = phase_space, decomposition, advection
        widths = phase_space.mesh.at(decomposition.cells).widths
        axes = list(decomposition.resolved)
        self.width: NDArray[np.float64] = widths[:, axes].min(axis=1) if axes else widths.min(axis=1)
        entries = int(np.prod(phase_space.cell_shape[1:]))
        self.flat = (-1, phase_space.angles.size, entries)
        self.ghosted = np.zeros((decomposition.rows, *phase_space.cell_shape))
        self._all_explicit = np.zeros(decomposition.size, dtype=np.bool_)
        self._nothing_enters = BlockBoundary(advection.boundary.kinds)
        self.neighbor = _neighbors(decomposition, advection.boundary)
        self.mirror = np.ascontiguousarray(phase_space.angles.mirror)
        self._local_shape = np.array(decomposition.local_shape)
        self._groups()
        self._loss = np.zeros((decomposition.size, entries))
        self.diffusion = BlockDiffusion(phase_space, decomposition, advection, self.neighbor)

    @property
    def corrects(self) -> bool:
        """Whether ``correct`` does anything."""
        return self.diffusion.matters

    def _groups(self) -> None:
        """Directions that are swept together, one after the other.

        In spherical coordinates the azimuths of a level with the same signs, levels ascending. Elsewhere one by one,
        those first that run into a mirror, so that their images find what comes back.
        """
        v, kinds = self.advection.velocity, self.advection.boundary.kinds
        if self.phase_space.mesh.geometry == "spherical":
            level = np.arange(v.shape[0]) // self.phase_space.angles.azimuths
            key = np.stack([level, v[:, 1] >= 0.0, v[:, 2] >= 0.0], axis=1)
            _, label = np.unique(key, axis=0, return_inverse=True)
        else:
            towards = [1.0 if pair[1] == "reflecting" and pair[0] != "reflecting" else -1.0 for pair in kinds]
            order = np.argsort(-(np.sign(v) @ np.array(towards)), kind="stable")
            label = np.argsort(order)
        label = label.ravel()
        members = [np.flatnonzero(label == n) for n in range(int(label.max()) + 1)]
        self.count = np.array([m.size for m in members])
        self.group = np.zeros((len(members), int(self.count.max())), dtype=np.int64)
        for n, m in enumerate(members):
            self.group[n, : m.size] = m

    def load(self, f: NDArray[np.float64]) -> None:
        """Set ``ghosted`` to populations f, ghosts included."""
        self.ghosted[: self.decomposition.size] = f
        self.advection.fill_ghosts(self.ghosted)

    def advect(self, f: NDArray[np.float64], b: Any, out: NDArray[np.float64]) -> None:
        """out = -A f with what enters, in cm^-1."""
        self.load(f)
        self._rate(b, out)

    def advect_change(self, df: NDArray[np.float64], b: Any, out: NDArray[np.float64]) -> None:
        """out = -A df for a change, of which nothing enters."""
        self.ghosted[: self.decomposition.size] = df
        self.advection.fill_ghosts(self.ghosted, self._nothing_enters)
        self._rate(b, out)

    def _rate(self, b: Any, out: NDArray[np.float64]) -> None:
        a, f, result = self.advection, self.ghosted.reshape(self.flat), out.reshape(self.flat)
        flux_divergence(f, self.decomposition.row, a.velocity, a.ratio, a.resolved, *b, False, result)
        if a.turns:
            size = self.decomposition.size
            turn(f[:size], 1.0, a.curvature, *a.coefficients, self._all_explicit, False, result)
        np.negative(out, out=out)

    def entering(self, f: NDArray[np.float64], b: Any) -> NDArray[np.float64]:
        """What comes in through the ends of the mesh on this rank per cm, (direction, species, group, level)."""
        self.load(f)
        return self.advection.entering(self.ghosted, b, second_order=False).reshape(self.phase_space.cell_shape)

    def factor(
        self,
        collisions: CollisionOperator,
        frame: LevelFrame,
        b: Any,
        loss: NDArray[np.float64],
        scattering_0: NDArray[np.float64],
        scattering_1: NDArray[np.float64],
    ) -> None:
        """Take up loss (what is not given back) and scattering, (cell, species, group, level) cm^-1 (collective)."""
        parts = [np.ascontiguousarray(x).reshape(self._loss.shape) for x in (loss, scattering_0, scattering_1)]
        self._loss[:] = parts[0] + parts[1]
        self.diffusion.update(b, *parts)

    def solve(self, source: NDArray[np.float64]) -> NDArray[np.float64]:
        """One sweep along every direction, with all collisions as a loss."""
        a, out = self.advection, np.empty_like(source)
        medium = (self._loss, a.velocity, self.mirror, a.ratio, self.neighbor, a.resolved, self._local_shape)
        given = source.reshape(self.flat), *medium, self.group, self.count
        if a.turns:
            alpha, beta, level_weight, _ = a.coefficients
            sweep_turning(*given, a.curvature, alpha, beta, level_weight, out.reshape(self.flat))
        else:
            sweep(*given, out.reshape(self.flat))
        return out

    def correct(self, rest: NDArray[np.float64], z: NDArray[np.float64]) -> None:
        """Add to z what diffusion makes of the rest of the balance."""
        self.diffusion.correct(rest.reshape(self.flat), z.reshape(self.flat))


def _neighbors(decomposition: BlockDecomposition, boundary: BlockBoundary) -> NDArray[np.int64]:
    """[cell, axis, side] row beyond each face of this rank's cells, or NOTHING, or MIRROR."""
    out = np.full((decomposition.size, 3, 2), NOTHING, dtype=np.int64)
    for axis in decomposition.resolved:
        for side in range(2):
            index = [slice(2, -2)] * 3
            index[2 - axis] = slice(3, -1) if side else slice(1, -3)
            beyond = decomposition.row[tuple(index)].ravel().copy()
            rows = decomposition.boundary_rows(axis, side, 0)
            kind = boundary.kinds[axis][side]
            if kind != "periodic" and rows.ghost.size:
                beyond[np.isin(beyond, rows.ghost)] = MIRROR if kind == "reflecting" else NOTHING
            out[:, axis, side] = beyond
    return out
