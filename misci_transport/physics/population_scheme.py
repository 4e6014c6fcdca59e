"""The default scheme of Eq. (13): eigen-populations are carried along rays as plain scalars.

Without collisions adiabatic transport leaves the populations n_k of a ray unchanged whatever the eigenvectors do,
so that nothing is lost to the mesh where they turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConvergenceError
from ..kernels import implicit_collisions
from ..phase_space import LEVELS, local_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.block_decomposition import BlockDecomposition
    from ..parallel.decomposition import Decomposition
    from ..state import State
    from .advection import AdvectionOperator
    from .block_advection import BlockAdvection
    from .collisions import CollisionOperator
    from .levels import LevelFrame

#: Absolute tolerance on the moments of occupations where collisions need an iteration.
COLLISION_TOLERANCE = 1.0e-13
COLLISION_ITERATIONS = 500


class PopulationScheme:
    """Carries state.populations in place."""

    positive = True

    def __init__(
        self, advection: AdvectionOperator | BlockAdvection, decomposition: Decomposition | BlockDecomposition
    ) -> None:
        self.advection, self.decomposition = advection, decomposition
        self.diagonal = np.arange(LEVELS)
        self._substeps = np.ones(decomposition.size, dtype=np.int64)
        self.divided = 0  #: implicit steps of single cells that had to be divided, since the start
        self._iterations = np.zeros(decomposition.size, dtype=np.int64)
        self._pure: tuple[CollisionOperator, Any] | None = None

    def load(self, state: State) -> NDArray[np.float64]:
        """This rank's cells of the populations, (cell, direction, species, group, level); ``ghosted``: all rows."""
        self.ghosted = state.populations
        return state.owned

    def boundary(self, _state: State) -> Any:
        """What enters through the ends."""
        return self.advection.boundary

    def upwind_fraction(self, collisions: CollisionOperator, frame: LevelFrame) -> Any:
        """b of the faces, as the advection takes it, from the transport opacity of each level."""
        # without mixed cells on any rank it depends on the matter only, which most steps find as it was
        stale = self._pure is None or self._pure[0] is not collisions
        # matter may have changed on some ranks only, and all of them have to take part in a new one
        mixed, stale = self.decomposition.comm.allreduce(np.array([frame.projector.shape[0], int(stale)]))
        if mixed == 0 and not stale:
            assert self._pure is not None
            return self._pure[1]
        fraction = self.advection.upwind_fraction(collisions.transport_opacity(frame))
        self._pure = (collisions, fraction) if mixed == 0 else None
        return fraction

    def collide(
        self,
        start: NDArray[np.float64],
        collisions: CollisionOperator,
        frame: LevelFrame,
        h: float,
        redistribution: NDArray[np.float64],
        out: NDArray[np.float64],
        cells: NDArray[np.int64] | None = None,
    ) -> int:
        """Solve out = start + h C(out) + h G(out) cell by cell; out holds the first guess.

        G is the given angular redistribution; returns the number of its fix-ups. With ``cells`` all arguments are for
        these local cells only.

        Raises
        ------
        ConvergenceError
            Naming the cell whose energy exchange did not converge.
        """
        rates, volume = collisions.rates, self.advection.volume
        iterations, substeps = self._iterations, self._substeps
        numbers = self.decomposition.numbers
        if cells is not None:
            volume, numbers = local_rows(volume, cells), numbers[cells]
            iterations, substeps = np.zeros_like(cells), np.ones_like(cells)
        fixed = implicit_collisions.implicit_cells(
            start,
            collisions.weight,
            collisions.velocity,
            h,
            rates.emissivity,
            rates.absorption,
            rates.scattering_0,
            rates.scattering_1,
            collisions.kind,
            collisions.amplitude,
            collisions.kernel,
            collisions.ratio,
            frame.component,
            frame.mixed,
            frame.projector,
            redistribution,
            self.advection.diamond,
            volume,
            COLLISION_TOLERANCE,
            COLLISION_ITERATIONS,
            out,
            iterations,
            substeps,
        )
        self.divided += int((substeps > 1).sum())
        if (iterations < 0).any():
            cell = int(numbers[np.argmin(iterations)])
            raise ConvergenceError(
                f"implicit collisions in cell {cell} did not converge to {COLLISION_TOLERANCE:g} in "
                f"{COLLISION_ITERATIONS} iterations, nor did parts of the step; a smaller time step helps"
            )
        return int(fixed)

    def store(self, state: State) -> None:
        """Nothing to do: the populations are the state."""

    def undo(self, state: State, old: NDArray[np.float64]) -> None:
        """Put the populations of the last ``load`` back."""
        state.owned[:] = old

    def heat(self, _state: State) -> NDArray[np.float64]:
        """Q_kin of the re-alignment, zero by construction, (cell,) MeV cm^-3."""
        return np.zeros(self.decomposition.size)
