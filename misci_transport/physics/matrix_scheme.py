"""The scheme that Eq. (13) states word for word: matrix elements are advected, then re-aligned.

It is first order in the mesh width wherever neighbouring cells have different eigenvectors, because averaging
polarisation vectors of different directions shortens them (numerical kinematic decoherence). It is kept as the
reference that the scheme of populations is compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..constants import HBAR_C
from ..errors import ConfigurationError
from ..flavor import elements_of
from ..kernels import matrix_scheme as kernel
from ..kernels import mixing as mixing_kernel
from ..phase_space import HALO, local_rows
from .boundary import Boundary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..state import State
    from .advection import AdvectionOperator
    from .collisions import CollisionOperator
    from .levels import LevelFrame
    from .mixing import LocalMixing


class MatrixScheme:
    """Density matrices of this rank's cells, formed from populations at the start of a step."""

    positive = False
    divided = 0

    def __init__(self, advection: AdvectionOperator, mixing: LocalMixing) -> None:
        ps = mixing.phase_space
        self.advection, self.mixing = advection, mixing
        self.n_flavors = ps.n_flavors
        cells = mixing.decomposition.size
        shape = (*ps.cell_shape[:-1], ps.components)
        self.ghosted = np.zeros((cells + 2 * HALO, *shape))
        self._realigned = np.zeros((cells, *shape))
        self.flavor = elements_of(self.n_flavors)
        self.diagonal = np.flatnonzero(self.flavor[:, 0] == self.flavor[:, 1])

    @property
    def owned(self) -> NDArray[np.float64]:
        """View of the density matrices without ghost cells, (cell, direction, species, group, component)."""
        return self.ghosted[HALO:-HALO]

    def load(self, state: State) -> NDArray[np.float64]:
        """density_matrix = U diag(n) U^+ with the eigenvectors that belong to the state's moments."""
        self._previous = state.owned.copy()
        mixing_kernel.density_matrices_batch(self._previous, state.moments, *self._medium(), self.owned)
        return self.owned

    def upwind_fraction(self, collisions: CollisionOperator, _frame: LevelFrame) -> NDArray[np.float64]:
        """b[face, entry] from the transport opacity of each component."""
        r = collisions.rates
        total = r.emissivity + r.absorption
        pair = 0.5 * (total[:, :, self.flavor[:, 0]] + total[:, :, self.flavor[:, 1]])
        opacity = pair.transpose(0, 1, 3, 2) + (r.scattering_0 - r.scattering_1)[..., None]
        return self.advection.upwind_fraction(np.ascontiguousarray(opacity))

    def boundary(self, state: State) -> Boundary:
        """The boundary's populations as density matrices, with the eigenvectors of the outermost cells."""
        given = self.advection.boundary
        sides: list[NDArray[np.float64] | None] = []
        for populations, cell in ((given.inner_populations, 0), (given.outer_populations, -1)):
            if populations is None:
                sides.append(None)
                continue
            out = np.zeros_like(self.ghosted[:1])
            velocity, vacuum, potential, beta, strength, shift, n = self._medium()
            pick = [cell]
            mixing_kernel.density_matrices_batch(
                np.ascontiguousarray(populations[None]),
                state.moments[pick],
                velocity if len(velocity) == 1 else velocity[pick],
                vacuum,
                potential[pick],
                beta[pick],
                strength,
                shift[pick],
                n,
                out,
            )
            sides.append(out[0])
        return Boundary(given.inner, given.outer, sides[0], sides[1])

    def collide(
        self,
        start: NDArray[np.float64],
        collisions: CollisionOperator,
        _frame: LevelFrame,
        h: float,
        redistribution: NDArray[np.float64],
        out: NDArray[np.float64],
        cells: NDArray[np.int64] | None = None,
    ) -> int:
        """out = start + h C(out), matrix-valued, with the implicit angular redistribution; elements may be negative.

        Raises
        ------
        ConfigurationError
            If the rates couple energy groups: their gains are not diagonal in flavour.
        """
        r = collisions.rates
        if r.coupling:
            names = ", ".join(c.name for c in r.coupling)
            raise ConfigurationError(
                f'advection.scheme = "matrix": accepted without processes that couple groups, but {names} are on'
            )
        kernel.implicit_matrix_cells(
            start,
            collisions.weight,
            collisions.velocity,
            h,
            r.emissivity,
            r.absorption,
            r.scattering_0,
            r.scattering_1,
            self.flavor,
            redistribution,
            self.advection.diamond,
            self.advection.volume if cells is None else local_rows(self.advection.volume, cells),
            out,
        )
        return 0

    def store(self, state: State) -> None:
        """Populations are the eigenvalues of the density matrices, in the order of their old projections.

        The projections on the eigenvectors from before the step tell which level an eigenvalue belongs to, also
        where collisions have made one population overtake another.
        """
        projected = np.empty_like(self._previous)
        mixing_kernel.project_batch(self.owned, state.moments, *self._medium(), projected)
        mixing_kernel.eigen_populations_batch(self.owned, projected, self.n_flavors, state.owned)

    def undo(self, state: State, _old: NDArray[np.float64]) -> None:
        """Put the populations of the last ``load`` back."""
        state.owned[:] = self._previous

    def heat(self, state: State) -> NDArray[np.float64]:
        """Q_kin of the re-alignment, (cell,) MeV cm^-3: what advected matrices lack of the aligned ones' energy."""
        populations, moments = np.ascontiguousarray(state.owned), state.moments
        medium = self._medium()
        mixing_kernel.density_matrices_batch(populations, moments, *medium, self._realigned)
        out = np.empty(moments.shape[0])
        kernel.realignment_heat(
            self.owned,
            self._realigned,
            self.mixing.weight_0,
            self.mixing.number_weight,
            moments,
            *medium,
            out,
        )
        return HBAR_C * out

    def _medium(self) -> tuple[Any, ...]:
        """velocity, vacuum, potential, beta, strength, shift and N_f: what the eigenvectors depend on."""
        return self.mixing.medium.mixing_arguments()
