"""What the stationary and implicit solve needs of a radial mesh."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..phase_space import HALO
from .coarse_correction import CoarseCorrection
from .radial_preconditioner import RadialPreconditioner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from ..physics.advection import AdvectionOperator
    from ..physics.boundary import Boundary
    from ..physics.collisions import CollisionOperator
    from ..physics.levels import LevelFrame


class RadialProblem:
    """First-order transport on rays, direct radial solves of the levels, and a coarse correction of what they leave."""

    restart: int | None = None  #: directions that the linear solver keeps: all of them

    def __init__(self, phase_space: PhaseSpace, decomposition: Decomposition, advection: AdvectionOperator) -> None:
        self.phase_space, self.decomposition, self.advection = phase_space, decomposition, advection
        self.preconditioner = RadialPreconditioner(phase_space, decomposition, advection.moving)
        self.coarse = CoarseCorrection(phase_space, decomposition)
        self.width = phase_space.mesh.width[decomposition.cells]
        #: what a balance per volume of phase space is multiplied by for ``solve`` and ``correct``
        self.volume = advection.volume[:, :, None, None, None]
        self.flat = (decomposition.size, phase_space.angles.size, int(np.prod(phase_space.cell_shape[1:])))
        self.ghosted = np.zeros((decomposition.size + 2 * HALO, *phase_space.cell_shape))
        self._direction = np.zeros_like(self.ghosted)

    @property
    def corrects(self) -> bool:
        """Whether ``correct`` does anything."""
        return bool(self.coarse.cells)

    def load(self, f: NDArray[np.float64]) -> None:
        """Set ``ghosted`` to populations f, ghosts included."""
        self.ghosted[HALO:-HALO] = f
        self.advection.fill_ghosts(self.ghosted)

    def advect(self, f: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        """out = -A f with what enters, in cm^-1."""
        self.load(f)
        self.advection.rate(self.ghosted, b, out, second_order=False, fix_up=False)
        np.negative(out, out=out)

    def advect_change(self, df: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        """out = -A df for a change, of which nothing enters."""
        self._direction[HALO:-HALO] = df
        boundary: Boundary = self.advection.boundary
        self.advection.fill_ghosts(self._direction, type(boundary)(boundary.inner, boundary.outer))
        self.advection.rate(self._direction, b, out, second_order=False, fix_up=False)
        np.negative(out, out=out)

    def entering(self, f: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """What comes in through the ends of the mesh on this rank per cm, (direction, species, group, level)."""
        self.load(f)
        flow, _ = self.advection.stage(
            [(slice(None), self.ghosted, b)],
            f,
            1.0,
            np.empty_like(f),
            mean=False,
            second_order=False,
            fix_up=False,
            redistribution=self.advection.redistribution,
        )
        return flow.reshape(self.phase_space.cell_shape)

    def factor(
        self,
        collisions: CollisionOperator,
        frame: LevelFrame,
        b: NDArray[np.float64],
        loss: NDArray[np.float64],
        scattering_0: NDArray[np.float64],
        scattering_1: NDArray[np.float64],
    ) -> None:
        """Take up loss (what is not given back) and scattering, (cell, species, group, level) cm^-1 (collective)."""
        dec = self.decomposition
        flat = (dec.size, prod(loss.shape[1:]))
        whole = [dec.gather(x.reshape(flat)) for x in (loss + scattering_0, scattering_0, scattering_1)]
        last = dec.comm.bcast(b[-1:], root=dec.comm.size - 1)
        faces = np.concatenate([dec.gather(b[:-1]), last])
        self.preconditioner.update(faces, *whole)
        self.coarse.update(collisions, frame, faces, *whole)

    def solve(self, source: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transport with loss and isoenergetic scattering for a source times volume."""
        return self.preconditioner.solve(source.reshape(self.flat)).reshape(source.shape)

    def correct(self, rest: NDArray[np.float64], z: NDArray[np.float64]) -> None:
        """Add to z what slow modes make of the rest of the balance times volume."""
        self.coarse.solve(rest, z)
