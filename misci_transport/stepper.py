"""One time step: fluid -> rates -> transport -> alignment -> ledger -> sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .constants import SPEED_OF_LIGHT
from .errors import ConvergenceError, UnphysicalInputError
from .kernels import implicit_collisions
from .physics.exchange import Exchange, Sources

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .parallel.decomposition import Decomposition
    from .phase_space import PhaseSpace
    from .physics.advection import AdvectionOperator
    from .physics.collisions import CollisionOperator
    from .physics.levels import LevelFrame
    from .state import State

#: Absolute tolerance on the moments of occupations where collisions need an iteration.
COLLISION_TOLERANCE = 1.0e-13
COLLISION_ITERATIONS = 500


class Mixing(Protocol):
    """Part two of the step: eigenvectors for populations, moments updated in place."""

    def align(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> LevelFrame:
        """Align every cell and return the frame."""
        ...


@dataclass
class StepLedger:
    """Balance of one step on this rank's cells, per steradian (spherical) or area (plane).

    For each of "energy" (MeV), "neutrinos" and "antineutrinos":
    after - before = collisions + inflow + corrections, to round-off.
    """

    before: dict[str, float]
    after: dict[str, float]
    collisions: dict[str, float]
    inflow: dict[str, float]
    corrections: dict[str, float]
    counts: dict[str, int] = field(default_factory=dict)

    def imbalance(self, quantity: str) -> float:
        """after - before - collisions - inflow - corrections."""
        return (
            self.after[quantity]
            - self.before[quantity]
            - self.collisions[quantity]
            - self.inflow[quantity]
            - self.corrections[quantity]
        )


@dataclass
class StepResult:
    """What a step hands back besides the new state."""

    sources: Sources
    ledger: StepLedger
    collision_iterations: int


class Stepper:
    """Explicit advection (second order in time) with implicit collisions, then the alignment."""

    def __init__(
        self,
        phase_space: PhaseSpace,
        decomposition: Decomposition,
        advection: AdvectionOperator,
        *,
        second_order: bool,
    ) -> None:
        cells = decomposition.cells
        self.phase_space, self.decomposition, self.advection = phase_space, decomposition, advection
        self.second_order = second_order
        self.exchange = Exchange(phase_space, cells)
        self.cell_volume = phase_space.mesh.volume[cells]
        shape = (decomposition.size, *phase_space.cell_shape)
        self._first, self._second = np.empty(shape), np.empty(shape)
        self._advected = np.empty(shape)
        self._iterations = np.zeros(decomposition.size, dtype=np.int64)

    def step(
        self, state: State, collisions: CollisionOperator, mixing: Mixing, frame: LevelFrame, dt: float
    ) -> tuple[StepResult, LevelFrame]:
        """Advance ``state`` by dt seconds in place; ``frame`` is the one of the last alignment.

            n* = C_h[n + h A n],   n' = C_h[n + h (A n + A n*)/2],   h = c dt

        with A the advection and C_h the implicit collisions: Heun's method where nothing collides, and
        forward Euler advection with backward Euler collisions where the diffusion limit rules.
        """
        if not dt > 0.0 or not np.isfinite(dt):
            raise UnphysicalInputError(f"time step is {dt!r} s; accepted: a finite value > 0")
        h = SPEED_OF_LIGHT * dt
        old = state.owned.copy()
        b = self.advection.upwind_fraction(collisions.transport_opacity(frame))

        # transport, Eq. (13): first stage
        flux_1, fixed_1 = self._advect(state.populations, b, self._first)
        np.multiply(self._first, h, out=self._advected)
        self._advected += old
        worst_1 = self._collide(self._advected, collisions, frame, h, state.owned)
        # second stage
        flux_2, fixed_2 = self._advect(state.populations, b, self._second)
        self._first += self._second
        np.multiply(self._first, 0.5 * h, out=self._advected)
        self._advected += old
        worst_2 = self._collide(self._advected, collisions, frame, h, state.owned)
        collided = state.owned - self._advected

        # corrections: occupations stay in [0, 1]
        below, above = int((state.owned < 0.0).sum()), int((state.owned > 1.0).sum())
        correction = None
        if below or above:
            correction = np.clip(state.owned, 0.0, 1.0) - state.owned
            state.owned[:] += correction

        # alignment, Eq. (14)
        frame = mixing.align(state.owned, state.moments)

        ledger = StepLedger(
            before=self._totals(old),
            after=self._totals(state.owned),
            collisions=self._totals(collided),
            inflow=self._inflow(0.5 * h * (flux_1 + flux_2)),
            corrections=self._totals(correction) if correction is not None else dict.fromkeys(_QUANTITIES, 0.0),
            counts={"negative": below, "above one": above, "angular fix-ups": fixed_1 + fixed_2},
        )
        sources = self.exchange.sources(collided / h)
        state.time += dt
        state.step += 1
        return StepResult(sources, ledger, max(worst_1, worst_2)), frame

    def _advect(
        self, populations: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], int]:
        """Fill out with A n; return what enters through the ends of the mesh, (direction, entry)."""
        self.advection.fill_ghosts(populations)
        inner, outer, fixed = self.advection.rate(populations, b, out, second_order=self.second_order, fix_up=True)
        entering = np.zeros_like(inner)
        if self.decomposition.is_first:
            entering += inner
        if self.decomposition.is_last:
            entering -= outer
        return entering, fixed

    def _collide(
        self,
        start: NDArray[np.float64],
        collisions: CollisionOperator,
        frame: LevelFrame,
        h: float,
        f: NDArray[np.float64],
    ) -> int:
        """Solve f = start + h C(f) cell by cell; f holds the guess and receives the solution."""
        rates = collisions.rates
        implicit_collisions.implicit_cells(
            start,
            collisions.weight_0,
            collisions.weight_1,
            collisions.cosine,
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
            COLLISION_TOLERANCE,
            COLLISION_ITERATIONS,
            f,
            self._iterations,
        )
        if (self._iterations < 0).any():
            cell = int(np.argmin(self._iterations)) + self.decomposition.start
            raise ConvergenceError(
                f"implicit collisions in cell {cell} did not converge to {COLLISION_TOLERANCE:g} in "
                f"{COLLISION_ITERATIONS} iterations; a smaller time step helps"
            )
        return int(self._iterations.max())

    def _totals(self, f: NDArray[np.float64]) -> dict[str, float]:
        content = self.exchange.content(f)
        return {name: float(self.cell_volume @ content[name]) for name in _QUANTITIES}

    def _inflow(self, entering: NDArray[np.float64]) -> dict[str, float]:
        number = self.phase_space.number_weight
        by_group = entering.reshape(-1, *self.phase_space.cell_shape[1:]).sum(axis=(0, 3))
        return {
            "energy": float(by_group.sum(axis=0) @ self.exchange.energy),
            "neutrinos": float(by_group[0] @ number),
            "antineutrinos": float(by_group[1] @ number),
        }


_QUANTITIES = ("energy", "neutrinos", "antineutrinos")
