"""Conservative transport of flavour charges: (d_t + div) of Tr(Q_a D_0), Tr(Q_a D_1) = Tr(Q_a C), Eq. (E2).

b = Tr(Q_a density_matrix) of the aligned state is rebuilt in every step: it is not conserved momentum by momentum, only
its sum over momenta is. The flux through a face is that of b, with the face values of the populations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..flavor import packed_of, unpack
from ..phase_space import HALO
from .boundary import Boundary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ..alignment import ChargeAxes
    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from .advection import AdvectionOperator
    from .collisions import CollisionOperator
    from .levels import LevelFrame

#: From b with ghost cells and its upwind fractions: range of cells, b of it with ghost cells, upwind fractions of it.
Blocks = Callable[
    ["NDArray[np.float64]", "NDArray[np.float64]"],
    "Iterable[tuple[slice, NDArray[np.float64], NDArray[np.float64]]]",
]

SIGN = np.array([1.0, -1.0])
CHARGES = 2


class ChargeTransport:
    """Fluxes and sources of the charges on this rank's cells."""

    def __init__(
        self,
        phase_space: PhaseSpace,
        decomposition: Decomposition,
        advection: AdvectionOperator,
        inner: NDArray[np.float64] | None = None,
        outer: NDArray[np.float64] | None = None,
    ) -> None:
        """inner, outer: Tr(Q_a density_matrix) of what comes in at the ends, (direction, species, group, 2).

        Without them the inflowing populations are taken as aligned like the cell that they enter.
        """
        self.phase_space, self.decomposition, self.advection = phase_space, decomposition, advection
        self.inner, self.outer = inner, outer
        self.weight_0 = phase_space.angles.weight_0[decomposition.cells]
        self.number = SIGN[:, None] * phase_space.number_weight
        self._still = np.zeros((decomposition.size, phase_space.angles.size + 1))

    def carried(self, populations: NDArray[np.float64], content: NDArray[np.float64]) -> NDArray[np.float64]:
        """b with ghost cells, (cell + 2 HALO, direction, species, group, 2), of populations with ghost cells."""
        b = self.decomposition.padded(np.einsum("cmsgk,cmsgka->cmsga", populations[HALO:-HALO], content), HALO)
        inner, outer = (
            np.einsum("msgk,msgka->msga", populations[end], content[end]) if given is None else given
            for given, end in ((self.inner, 0), (self.outer, -1))
        )
        kinds = self.advection.boundary
        Boundary(kinds.inner, kinds.outer, inner, outer).fill(b, self.phase_space.angles, self.decomposition)
        return b

    def rate(
        self,
        populations: NDArray[np.float64],
        content: NDArray[np.float64],
        upwind: NDArray[np.float64],
        second_order: bool,
        blocks: Blocks,
    ) -> NDArray[np.float64]:
        """- div Tr(Q_a D_1), (cell, 2) in cm^-4, of populations with ghost cells.

        upwind[face, entry] is that of the populations; blocks gives the regions that are advected by themselves.
        Turning in angle moves no charge out of a cell.
        """
        b = self.carried(populations, content)
        faces, levels = upwind.shape[0], populations.shape[-1]
        widest = np.repeat(upwind.reshape(faces, upwind.shape[1] // levels, levels).max(axis=2), CHARGES, axis=1)
        out = np.empty((self.decomposition.size, *b.shape[1:]))
        for part, view, fraction in blocks(b, widest):
            self.advection.rate(
                np.ascontiguousarray(view),
                np.ascontiguousarray(fraction),
                out[part],
                second_order=second_order,
                fix_up=False,
                redistribution=self._still,
                cells=part,
            )
        total: NDArray[np.float64] = np.einsum("cm,sg,cmsga->ca", self.weight_0, self.number, out)
        return total

    def source(
        self,
        populations: NDArray[np.float64],
        frame: LevelFrame,
        collisions: CollisionOperator,
        axes: ChargeAxes,
    ) -> NDArray[np.float64]:
        """Tr(Q_a C) summed over momenta, (cell, 2) in cm^-4, of populations without ghost cells.

        C is an anticommutator with gains and losses, Blaschke and Cirigliano (2016): coherences are damped at the mean
        rate. Isoenergetic scattering is blind to flavour and moves no charge.
        """
        n = self.phase_space.n_flavors
        moments, gain, loss = collisions.gain_loss(populations, frame)
        rho, up, down = (unpack(packed_of(x, n)[..., : n * n]) for x in (moments, gain, loss))
        removal = up + down
        zeroth = _anticommutator(removal[:, :, 0], rho[:, :, 0])
        first = _anticommutator(removal[:, :, 1], rho[:, :, 1])
        rate = 2.0 * up[:, :, 0] - zeroth - 3.0 * first
        net = np.einsum("sg,csgij->cij", self.number, rate)
        q = unpack(axes.matrices())
        out = np.zeros((net.shape[0], CHARGES))
        out[:, : n - 1] = np.einsum("caij,cji->ca", q, net).real
        return np.where(np.arange(CHARGES) < axes.counts[:, None], out, 0.0)


def _anticommutator(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> NDArray[np.complex128]:
    product: NDArray[np.complex128] = a @ b + b @ a
    return product
