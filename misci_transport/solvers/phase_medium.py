"""What neutrinos and matter are on the faces of a block mesh, from populations in its cells: means of the two cells."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..parallel.block_decomposition import LAYERS
from ..physics.phase_closure import ClosureState, PhaseClosure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..alignment.charges import ChargeAxes
    from ..parallel.block_decomposition import BlockDecomposition
    from .phase_grid import Places


class BlockMedium:
    """Directions that are the same in every cell, and this rank's populations, Hamiltonians and states (collective).

    populations (cell, direction, species, group, level); axes of the charges and external (cell, order, N_f^2) as
    `physics.phase_closure.medium` makes them; weight (order, direction) and velocity (direction, axis) of the orders
    that the closure follows; states (cell): known ones, of which faces take the mean as the guess that is solved with
    the mean of the multipliers along the other axes, and of the flux along axis 0.

    Raises
    ------
    ConfigurationError
        If the cells have different axes of their charges, or arrays do not fit.
    """

    def __init__(
        self,
        decomposition: BlockDecomposition,
        axes: ChargeAxes,
        external: NDArray[np.float64],
        weight: NDArray[np.float64],
        velocity: NDArray[np.float64],
        populations: NDArray[np.float64],
        number_weight: NDArray[np.float64],
        strength: float,
        states: ClosureState,
        parts: int = 1,
    ) -> None:
        size = decomposition.size
        for name, array in (("external", external), ("populations", populations), ("states", states.unknowns)):
            if array.shape[0] != size:
                raise ConfigurationError(f"{name} of {array.shape[0]} cells; accepted: {size}, those of this rank")
        if axes.cells not in (1, size) or np.ptp(axes.kind) or np.abs(axes.basis - axes.basis[:1]).max() > 1.0e-12:
            raise ConfigurationError("axes of the charges differ between cells; accepted: one choice for all cells")
        self.decomposition, self.weight, self.velocity = decomposition, weight, velocity
        self.number_weight, self.strength, self.parts = number_weight, strength, parts
        low, high = (np.broadcast_to(x, (size, *x.shape[1:])) for x in (axes.low, axes.high))
        self._row = _rows(decomposition)
        self.low, self.high, self.external, self.populations = (
            self._with_ghosts(x) for x in (low, high, external, populations)
        )
        self.states = ClosureState(*(self._with_ghosts(getattr(states, f.name)) for f in fields(states)))

    def _with_ghosts(self, local: NDArray[Any]) -> NDArray[Any]:
        """Rows of this rank's cells and of their neighbours."""
        out = np.zeros((self.decomposition.rows, *local.shape[1:]))
        out[: self.decomposition.size] = local
        self.decomposition.exchange(out)
        return out.astype(local.dtype)

    def _mean(self, rows: NDArray[Any], places: Places) -> NDArray[np.float64]:
        """Mean over the cells on both sides, of the one cell at an end of the mesh."""
        first, last = (np.where(places.cells[:, n] >= 0, places.cells[:, n], places.cells[:, 1 - n]) for n in range(2))
        a, b = (np.array([self._row[int(cell)] for cell in cells], dtype=np.int64) for cells in (first, last))
        mean: NDArray[np.float64] = 0.5 * (rows[a] + rows[b])
        return mean

    def closure(self, places: Places) -> PhaseClosure:
        """Means of the neighbouring cells."""
        low, high, external, populations = (
            self._mean(x, places) for x in (self.low, self.high, self.external, self.populations)
        )
        return PhaseClosure(
            places.size,
            low,
            high,
            external,
            self.weight[None],
            self.velocity[None],
            populations,
            self.number_weight,
            self.strength,
            self.parts,
        )

    def seed(self, places: Places) -> ClosureState:
        """States with the mean flux along axis 0 and the mean multipliers along the others."""
        parts: dict[str, Any] = {f.name: self._mean(getattr(self.states, f.name), places) for f in fields(self.states)}
        whole: dict[str, Any] = {name: parts.pop(name).astype(np.int64) for name in ("status", "iterations")}
        guess = ClosureState(**parts, **whole)
        return self.closure(places).solve(guess, guess.multiplier, given=1, charge=guess.charge[:, 1])


def _rows(decomposition: BlockDecomposition) -> dict[int, int]:
    """Rows of this rank's cells and ghosts by the global numbers of the cells."""
    table = decomposition.row
    k, j, i = np.nonzero(table >= 0)
    index = [x - LAYERS + int(decomposition.start[axis]) for axis, x in enumerate((i, j, k))]
    inside = np.ones(i.size, dtype=np.bool_)
    for axis, n in enumerate(decomposition.shape):
        if decomposition.periodic[axis]:
            index[axis] = index[axis] % n
        inside &= (index[axis] >= 0) & (index[axis] < n)
    n0, n1, _ = decomposition.shape
    number = index[0] + n0 * (index[1] + n1 * index[2])
    row = table[k, j, i]
    # a cell of this rank comes last and wins over a ghost of it
    order = np.argsort(-row[inside], kind="stable")
    return {int(number[inside][n]): int(row[inside][n]) for n in order}
