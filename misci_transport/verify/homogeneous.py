"""One homogeneous, isotropic gas stepped in time with conserved charges: the alignment's side of V5, V6, V8 and V9.

The problems are stated in flavour-isospin form (`verify.kinetics`): a mode has a frequency w, negative for
antineutrinos, and dP/dt = (w B + V z + mu D) x P. The alignment has positive antineutrino matrices with
Hbar = - vacuum + rest. `vacuum_matrices`, `flavor_state` and `polarization` convert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..alignment import DENSITY, ChargedCells, charge_axes
from ..alignment.branches import (
    Point,
    Start,
    continue_branch,
    distance_between,
    moments_of,
    project_points,
    start_branches,
)
from ..errors import ConfigurationError, ConvergenceError
from ..flavor import components_of, pack, unpack

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..alignment import AlignmentReport
    from .kinetics import Law

#: Levels of a density matrix; with two mixing flavours the third does not mix.
LEVELS = 3
#: Rate of change of packed density matrices (species, group, N_f^2) by collisions, an inverse time.
Collide = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class Event:
    """What happened to the branch: "continued", "reprojected" or "failed"."""

    time: float
    kind: str
    distance: float = 0.0  #: of the new state from the old density matrices (see `Start.distance`)
    gap: float = float("nan")  #: smallest gap of the last state before a new beginning, an inverse time


class Gas:
    """Density matrices that commute with H - sum_a lambda_a Q_a, Eqs. (E1) to (E4) of the alignment without space.

    Parameters
    ----------
    vacuum
        (group, N_f^2) packed vacuum terms of neutrinos at the groups' energies, an inverse time.
    weight
        (group,) number weights.
    density_matrix
        (species, group, N_f^2) packed at the start, antineutrinos positive.
    mu, matter
        Laws of the self-interaction strength and of the matter potential.
    charge
        Kind of charge, see `alignment.charges`.
    bin_ratio
        (group, 2) ends of the bins over the groups' frequencies; none: no average over bins.
    synchronized_frequency
        For charge "synchronized": frequency of the vacuum term over that of group 0.
    parts
        Intervals that a bin is divided into (three flavours).
    collisions
        Rate of change by collisions; none by default.
    time
        At the start.
    largest_change, smallest_step
        Steps that move the state farther (see `Start.distance`) are divided until they are this short.
    largest_projection
        A new beginning farther from the last state than this is refused.
    tolerance
        Of the alignment. It must exceed round-off of H over the smallest gap.
    """

    def __init__(
        self,
        vacuum: ArrayLike,
        weight: ArrayLike,
        density_matrix: ArrayLike,
        *,
        mu: Law,
        matter: Law,
        charge: str,
        bin_ratio: ArrayLike | None = None,
        synchronized_frequency: float | None = None,
        parts: int = 1,
        collisions: Collide | None = None,
        time: float = 0.0,
        largest_change: float = float("inf"),
        smallest_step: float = float("inf"),
        largest_projection: float = float("inf"),
        tolerance: float = 1.0e-12,
    ) -> None:
        self.vacuum = np.asarray(vacuum, dtype=np.float64)
        self.weight = np.asarray(weight, dtype=np.float64)
        self.given = np.asarray(density_matrix, dtype=np.float64)
        groups = self.weight.size
        if self.given.shape != (2, groups, self.vacuum.shape[-1]) or self.vacuum.shape[0] != groups:
            raise ConfigurationError(
                f"vacuum, density_matrix have shapes {self.vacuum.shape}, {self.given.shape}; accepted with {groups} "
                f"groups: ({groups}, 4), (2, {groups}, 4), or 9 instead of 4"
            )
        self.mu, self.matter, self.charge, self.bin_ratio = mu, matter, charge, bin_ratio
        self.synchronized_frequency, self.parts, self.collisions = synchronized_frequency, parts, collisions
        self.time, self.largest_change, self.smallest_step = time, largest_change, smallest_step
        self.largest_projection, self.tolerance = largest_projection, tolerance
        self.events: list[Event] = []
        self.steps = self.iterations = 0  #: alignments and Newton iterations in them
        self._potential = float("nan")  # of `cells`: the axes are those of before unless matter has changed
        self.cells = self._cells(time)
        self._potential = float(matter(time))

    def _cells(self, time: float) -> ChargedCells:
        """The one cell at a time."""
        potential = float(self.matter(time))
        if potential == self._potential:
            return replace(self.cells, strength=float(self.mu(time)))
        if self.charge == "synchronized" and hasattr(self, "cells"):
            raise ConfigurationError('charge "synchronized" of a gas: accepted with a constant matter potential only')
        axes = charge_axes(
            self.charge,
            vacuum=self.vacuum,
            matter_potential=potential,
            cells=1,
            bin_ratio=self.bin_ratio,
            synchronized_frequency=self.synchronized_frequency,
        )
        one = np.ones((1, 1))
        return ChargedCells(
            axes, one, 0.0 * one, 0.0 * one, self.weight, float(self.mu(time)), DENSITY, parts=self.parts
        )

    # the state

    @property
    def density_matrix(self) -> NDArray[np.float64]:
        """Aligned density matrices, packed: (species, group, N_f^2)."""
        full = self.cells.density_matrices(self.populations, self.unknowns, self.charges)
        return np.asarray(full[0, 0, ..., : self.given.shape[-1]])

    @property
    def multipliers(self) -> NDArray[np.float64]:
        """lambda_a, (2,); Q = B . sigma/sqrt 2 of two flavours, omega_c = sqrt 2 lambda."""
        return np.asarray(self.cells.multipliers(self.unknowns)[0])

    @property
    def count(self) -> Counter[str]:
        """Number of events of each kind."""
        return Counter(event.kind for event in self.events)

    @property
    def iterations_per_step(self) -> float:
        """Newton iterations of an alignment on average."""
        return self.iterations / max(1, self.steps)

    def charge_error(self) -> float:
        """Largest |sum weight Tr(Q_a density_matrix) - charge_a| over sum weight tr: zero but for round-off."""
        moments = moments_of(self.cells, self._spectator(self.density_matrix))
        scale, _ = self.cells.scales(self.populations)
        counts = int(self.cells.axes.counts[0])
        found = self.cells.axes.charges(moments)[0, :counts]
        return float(np.abs(found - self.charges[0, :counts]).max(initial=0.0) / scale[0])

    def smallest_gap(self) -> float:
        """Smallest distance of neighbouring levels of the effective Hamiltonian over all modes, an inverse time."""
        field = self.cells.fields(self.unknowns, self.charges)[0, 0]
        vacuum = self.cells.vacuum()[0]
        levels = np.linalg.eigvalsh(unpack(np.concatenate([field + vacuum, field - vacuum])))
        return float(np.diff(levels, axis=-1).min())

    # starting and stepping

    def start(self, seed: float = 0.0) -> Start:
        """Begin next to the given density matrices, turned by the angle `seed` away from the charges' axis."""
        begun = start_branches(self.cells, self._spectator(self.given), seed=np.array([seed]), tolerance=self.tolerance)
        self.populations, self.unknowns, self.charges = begun.populations, begun.unknowns, begun.charges
        return begun

    def start_at(self, multipliers: ArrayLike) -> AlignmentReport:
        """Begin on the branch where the multipliers are about these, (2,): it may be too narrow for a scan to meet."""
        given = self._spectator(self.given)
        moments = moments_of(self.cells, given)
        self.charges = self.cells.axes.charges(moments)
        self.unknowns = self.cells.unknowns(moments, np.asarray(multipliers, dtype=np.float64)[None])
        self.populations = project_points(self.cells, self.unknowns, self.charges, given, LEVELS)
        return self.cells.align(self.populations, self.unknowns, self.charges, tolerance=self.tolerance)

    def advance(self, time: float) -> None:
        """One step: populations and charges by collisions (Heun's method), then alignment from the last state.

        A step that moves the state by more than `largest_change`, or finds no solution, is divided into halves, down
        to `smallest_step`. Then continuation takes over; at a turning point, or where Newton went far in a step that
        short, the gas begins anew next to its last density matrices.

        Raises
        ------
        ConvergenceError
            If there is no aligned state, with the events so far in `events`.
        """
        before = copy(self)
        done = self._step(time, rescue=False)
        if done and self._moved(before) <= self.largest_change:
            return
        divisible = time - before.time > self.smallest_step
        self._return_to(before)
        if divisible:
            self.advance(0.5 * (before.time + time))
            self.advance(time)
        elif done:
            # Newton found another branch: what it made of the populations does not count
            self.restart(time)
        else:
            self._step(time, rescue=True)

    def _return_to(self, before: Gas) -> None:
        for name in ("time", "cells", "_potential", "populations", "unknowns", "charges"):
            setattr(self, name, getattr(before, name))

    def _moved(self, before: Gas) -> float:
        """Distance of the state from another one (see `Start.distance`)."""
        if self.largest_change == float("inf"):
            return 0.0
        old = self._spectator(before.density_matrix)
        return float(distance_between(self.cells, self._spectator(self.density_matrix), old)[0])

    def _step(self, time: float, rescue: bool) -> bool:
        dt = time - self.time
        populations, charges = self.populations, self.charges
        if self.collisions is not None:
            first = self._rates()
            if not self._align(time, populations + dt * first[0], charges + dt * first[1], rescue):
                return False
            second = self._rates()
            populations = populations + 0.5 * dt * (first[0] + second[0])
            charges = charges + 0.5 * dt * (first[1] + second[1])
        if not self._align(time, populations, charges, rescue):
            return False
        self.time = time
        return True

    def march(self, times: ArrayLike) -> NDArray[np.float64]:
        """Step to each of the times after the first; density matrices at all of them (time, species, group, N_f^2)."""
        out = [self.density_matrix]
        for time in np.asarray(times, dtype=np.float64)[1:]:
            self.advance(float(time))
            out.append(self.density_matrix)
        return np.array(out)

    def _rates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Changes of populations Tr(<Pi_k> C) and of charges Tr(Q C) by collisions."""
        assert self.collisions is not None
        change = self.collisions(self.density_matrix)
        projector, _ = self.cells.projectors(self.unknowns, self.charges, LEVELS)
        packed = self._spectator(change)
        rate = np.einsum("cmsgki,sgi->cmsgk", projector, components_of(packed[0, 0], self.cells.n_flavors))
        return rate, self.cells.axes.charges(moments_of(self.cells, packed))

    def _align(self, time: float, populations: NDArray[np.float64], charges: NDArray[np.float64], rescue: bool) -> bool:
        """Newton from the last state; if it fails and `rescue`, continuation or a new beginning."""
        cells = self._cells(time)
        y = self.unknowns.copy()
        report = cells.align(populations, y, charges, tolerance=self.tolerance)
        self.steps += 1
        self.iterations += int(report.iterations[0])
        if not report.successful and not rescue:
            return False
        if not report.successful:
            old = Point.of(self.cells, 0, self.populations[0], self.charges[0])
            new = Point.of(cells, 0, populations[0], charges[0])
            path = continue_branch(cells, 0, old, new, self.unknowns[0], tolerance=self.tolerance)
            if not path.found or path.turns:
                # behind a turning point the curve is another branch
                self.restart(time, charges)
                return True
            y = path.unknowns[None].copy()
            self.events.append(Event(time, "continued"))
        self.cells, self._potential = cells, float(self.matter(time))
        self.populations, self.unknowns, self.charges = populations, y, charges
        return True

    def restart(self, time: float, charges: NDArray[np.float64] | None = None) -> None:
        """Begin again at a time next to the present density matrices, which a projection changes.

        Raises
        ------
        ConvergenceError
            If there is no aligned state within `largest_projection`; the present one is kept.
        """
        last, cells = self._spectator(self.density_matrix), self._cells(time)
        held = (self.charges if charges is None else charges) if cells.axes.counts[0] else None
        gap = self.smallest_gap()
        begun = start_branches(cells, last, charges=held, tolerance=self.tolerance)
        if not begun.report.successful:
            self.events.append(Event(time, "failed", gap=gap))
            raise ConvergenceError(f"no aligned state at time {time:g}: {begun.report.describe_failures()}")
        if begun.distance[0] > self.largest_projection:
            self.events.append(Event(time, "failed", float(begun.distance[0]), gap))
            raise ConvergenceError(f"no aligned state near the last one at time {time:g}: {begun.distance[0]:g} away")
        self.cells, self._potential, self.time = cells, float(self.matter(time)), time
        self.populations, self.unknowns, self.charges = begun.populations, begun.unknowns, begun.charges
        self.events.append(Event(time, "reprojected", float(begun.distance[0]), gap))

    def _spectator(self, density_matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(cell, direction, species, group, component) with the flavour that does not mix, if there are two."""
        n = self.cells.n_flavors
        return np.asarray(np.concatenate([density_matrix, np.zeros((2, self.weight.size, 3 - n))], axis=-1))[None, None]


def vacuum_matrices(frequency: ArrayLike, axis: ArrayLike) -> NDArray[np.float64]:
    """w B . sigma/2 of neutrinos, packed: frequency (group,) > 0, axis (3,), result (group, 4)."""
    bx, by, bz = np.asarray(axis, dtype=np.float64)
    matrix = 0.5 * np.array([[bz, bx - 1j * by], [bx + 1j * by, -bz]])
    return pack(np.multiply.outer(np.asarray(frequency, dtype=np.float64), matrix))


def from_polarization(vector: ArrayLike, trace: ArrayLike) -> NDArray[np.float64]:
    """(trace + P . sigma)/2, packed: P (..., 3), trace (...)."""
    x, y, z = np.moveaxis(np.asarray(vector, dtype=np.float64), -1, 0)
    t = np.asarray(trace, dtype=np.float64)
    return np.asarray(np.stack(np.broadcast_arrays(0.5 * (t + z), 0.5 * (t - z), 0.5 * x, -0.5 * y), axis=-1))


def polarization(density_matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Polarization vectors (..., 3) of packed density matrices (..., 4) of two flavours."""
    a, b, real, imaginary = np.moveaxis(density_matrix, -1, 0)
    return np.stack([2.0 * real, -2.0 * imaginary, a - b], axis=-1)


def by_frequency(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(species, group, ...) as (mode, ...) with ascending w: antineutrinos first, their groups reversed."""
    return np.asarray(np.concatenate([values[1, ::-1], values[0]]))


def uniform_bins(groups: int, width: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles of equal bins on (0, width), (group,), and the bins' ends over them, (group, 2)."""
    edges = width * np.arange(groups + 1) / groups
    middle = 0.5 * (edges[1:] + edges[:-1])
    return middle, np.stack([edges[:-1], edges[1:]], axis=1) / middle[:, None]
