"""A closure in a transport run: which cells it changes after a step, and what is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..fields import Field
from ..parallel.errors import collective
from ..phase_space import local_rows
from ..validity.measures import angular_crossings
from .cell import Cell
from .registry import apply, find_closure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..options import ClosureOptions
    from ..phase_space import PhaseSpace
    from ..physics.levels import LevelFrame

#: Cells whose occupations are taken up together: that bounds the memory.
PART = 64


@dataclass
class _Counts:
    """Of the last application and of all, on this rank."""

    cells: int = 0
    mixed: int = 0
    cut: int = 0
    converted: float = 0.0


class RunClosure:
    """Applies a closure to the flagged flavour-locked cells of this rank.

    Occupations of flavours are what a closure knows. In a cell whose levels are not flavours it would take the
    coherence away, so that such cells are left to the alignment and counted ("mixed").
    """

    def __init__(self, phase_space: PhaseSpace, decomposition: Any, options: ClosureOptions) -> None:
        self.phase_space, self.decomposition, self.options = phase_space, decomposition, options
        find_closure(options.kind)
        cells = decomposition.cells
        self.weight = np.abs(local_rows(phase_space.angles.weights, cells)[:, 0])
        self.velocity = local_rows(phase_space.angles.velocity, cells)
        self.applied = np.zeros(decomposition.size)  #: (cell,) how often since the start of the process
        self.converted = np.zeros(decomposition.size)  #: (cell,) cm^-3 whose electron flavour changed, of all times

    def apply(
        self, populations: NDArray[np.float64], frame: LevelFrame, dt: float, context: dict[str, Any] | None = None
    ) -> dict[str, float]:
        """Change the populations of flagged cells in place; what was done on this rank (collective).

        context: vacuum (group, N_f^2), matter_potential (cell,) and strength for closures that need a Hamiltonian.

        Raises
        ------
        MisciError
            If a cell has no solution, on all ranks, with no population changed.
        """
        counts = _Counts()
        number = self.phase_space.number_weight
        changes: list[tuple[int, NDArray[np.float64]]] = []
        with collective(self.decomposition.comm):
            for first in range(0, populations.shape[0], PART):
                part = slice(first, min(first + PART, populations.shape[0]))
                here = frame.part(part)
                occupied = np.clip(here.to_flavors(np.ascontiguousarray(populations[part])), 0.0, 1.0)
                weight = np.broadcast_to(self.weight if self.weight.shape[0] == 1 else self.weight[part],
                                         occupied.shape[:2])  # fmt: skip
                if self.options.where == "crossing":
                    depth = angular_crossings(occupied, np.ascontiguousarray(weight), number).depth
                    flagged = depth[:, : self.phase_space.n_flavors - 1].max(axis=1) > self.options.depth
                else:
                    flagged = np.ones(occupied.shape[0], dtype=bool)
                for i in np.flatnonzero(flagged):
                    if here.mixed[i] >= 0:
                        counts.mixed += 1
                        continue
                    cell = self._cell(first + int(i), np.array(weight[i]), context)
                    made = apply(
                        self.options.kind, occupied[i], cell, dt=dt, relaxation_time=self.options.relaxation_time
                    )
                    if not made.counts.get("cells"):
                        continue
                    counts.cells += 1
                    counts.cut += int(made.counts.get("cut", 0.0))
                    changed = np.einsum("m,g,msg->", weight[i], number, np.abs(made.occupations - occupied[i])[..., 0])
                    counts.converted += float(changed)
                    changes.append((first + int(i), made.occupations))
                    self.converted[first + i] += changed
        for index, occupations in changes:
            one = frame.part(slice(index, index + 1))
            populations[index] = one.to_levels(occupations[None])[0]
            self.applied[index] += 1.0
        return {
            "closure cells": float(counts.cells),
            "closure cells left as mixed": float(counts.mixed),
            "closure cells cut": float(counts.cut),
        }

    def _cell(self, index: int, weight: NDArray[np.float64], context: dict[str, Any] | None) -> Cell:
        velocity = self.velocity[0 if self.velocity.shape[0] == 1 else index]
        velocity = velocity[:, 0] if velocity.shape[1] == 1 else velocity
        more: dict[str, Any] = {}
        if context is not None:
            more = {
                "vacuum": context["vacuum"],
                "matter_potential": float(context["matter_potential"][index]),
                "strength": context["strength"],
            }
        space = self.phase_space
        return Cell(weight, space.number_weight, space.n_flavors, np.array(velocity), **more)

    def restore(self, held: dict[str, NDArray[np.float64]], cells: Any) -> None:
        """Take up what a checkpoint says of this rank's cells; of a run without closure: nothing yet."""
        for name, own in (("closure/applied", self.applied), ("closure/converted", self.converted)):
            own[:] = np.asarray(held[name])[cells] if name in held else 0.0

    def fields(self) -> list[Field]:
        """For the output."""
        kind = self.options.kind
        return [
            Field("closure/applied", self.applied.copy(), ("cell",), "1", f"steps in which {kind} changed the cell"),
            Field(
                "closure/converted",
                self.converted.copy(),
                ("cell",),
                "1/cm^3",
                "neutrinos and antineutrinos that it moved out of or into electron flavour, of all steps",
            ),
        ]
