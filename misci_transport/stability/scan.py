"""Stability of many cells, dealt out to the ranks of a communicator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..parallel.errors import collective
from .growth import dispersion, examine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .growth import CellState, Fastest


@dataclass(frozen=True)
class Scan:
    """Results of all cells of a scan, by cell number; equal on all ranks."""

    cell: NDArray[np.int64]  #: (scanned,) global cell numbers, ascending
    found: list[Fastest]
    wave_number: NDArray[np.float64]  #: (scanned, wave) or (scanned, wave, 3) cm^-1: those of the curves
    curve: NDArray[np.float64]  #: (scanned, wave) growth over them, cm^-1

    def __len__(self) -> int:
        return int(self.cell.size)

    def values(self, name: str) -> NDArray[np.float64]:
        """One attribute of `Fastest` for all cells."""
        return np.array([getattr(entry, name) for entry in self.found], dtype=np.float64)


def scan_cells(
    states: Mapping[int, CellState],
    floors: Mapping[int, float],
    comm: Any,
    *,
    offsets: NDArray[np.float64] | None = None,
    kinds: bool = True,
    check: bool = True,
) -> Scan:
    """Fastest mode and its kind of every given cell (collective).

    Parameters
    ----------
    states, floors
        This rank's cells by their global number, and the growth in cm^-1 below which nothing is looked for. Cells are
        dealt out in turn, whoever owns them, so that neighbours, which cost alike, go to different ranks.
    offsets
        (wave,): also the growth at K_0 + offset x rate (along the flux on the sphere) of the cell; rate = max(fast,
        sqrt(S slow)) as in `trial_wave_numbers`.

    Raises
    ------
    MisciError
        The same failure on every rank (ParallelError on those that did not see it themselves).
    """
    size = comm.size
    mine = sorted(states)
    every = np.array(sorted(number for part in comm.allgather(mine) for number in part), dtype=np.int64)
    place = {int(number): i for i, number in enumerate(every)}
    sent: list[list[tuple[int, CellState, float]]] = [[] for _ in range(size)]
    for number in mine:
        sent[place[number] % size].append((number, states[number], floors[number]))
    received = sent if size == 1 else comm.alltoall(sent)
    done = []
    with collective(comm):
        for number, state, floor in sorted((job for part in received for job in part), key=lambda job: job[0]):
            found = examine(state, floor, kinds=kinds, check=check)
            waves, curve = _curve(state, floor, found, offsets) if offsets is not None else (np.empty(0), np.empty(0))
            done.append((number, found, waves, curve))
    whole = sorted((entry for part in comm.allgather(done) for entry in part), key=lambda entry: entry[0])
    empty = np.empty((0, 0))
    return Scan(
        every,
        [entry[1] for entry in whole],
        np.stack([entry[2] for entry in whole]) if whole else empty,
        np.stack([entry[3] for entry in whole]) if whole else empty,
    )


def _curve(
    state: CellState, floor: float, found: Fastest, offsets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wave numbers and growth of the pair of flavours and block of the fastest mode."""
    made = state.modes()
    sphere = "velocity" in state.arguments
    if not made:
        return np.full((offsets.size, 3) if sphere else offsets.size, np.nan), np.zeros(offsets.size)
    modes = next((m for m in made if getattr(m, "pair", None) == found.pair), made[0])
    k0, fast, slow = modes.collective
    rate = max(fast, float(np.sqrt(modes.bound() * slow)))
    if not sphere:
        waves = float(k0[0]) + rate * offsets
    else:
        length = float(np.linalg.norm(k0))
        along = k0 / length if length > 0.0 else np.array([1.0, 0.0, 0.0])
        waves = k0 + rate * offsets[:, None] * along
    return waves, dispersion(modes, waves, floor, found.block).growth
