"""One time step: fluid -> rates -> transport -> alignment -> ledger -> sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .constants import SPEED_OF_LIGHT
from .errors import MisciError, UnphysicalInputError
from .kernels import angular_sweep
from .kernels.traces import clip_occupations, content, difference_moments, trace, trace_moments
from .parallel.errors import collective
from .phase_space import LEVELS, local_rows
from .physics.exchange import Exchange, Sources, sources_of
from .physics.response import Exchanged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .parallel.block_decomposition import BlockDecomposition
    from .parallel.decomposition import Decomposition
    from .phase_space import PhaseSpace
    from .physics.advection import AdvectionOperator
    from .physics.block_advection import BlockAdvection
    from .physics.block_frame import BlockFrame
    from .physics.collisions import CollisionOperator
    from .physics.frame import FrameTerms
    from .physics.levels import LevelFrame
    from .physics.response import FluidResponse
    from .physics.thermal_ledger import ThermalLedger
    from .rates import Rates
    from .state import State


class Mixing(Protocol):
    """Part two of the step: eigenvectors for populations, moments updated in place."""

    def align(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> LevelFrame:
        """Align every cell and return the frame."""
        ...

    def views(self, ghosted: NDArray[np.float64], b: Any, /) -> list[tuple[slice, NDArray[np.float64], Any]]:
        """Ranges of cells whose levels belong together, with their ghost cells and upwind fractions."""
        ...

    def charge_flow(self, ghosted: NDArray[np.float64], b: Any, second_order: bool, /) -> Any:
        """Advective rate of the conserved charges, (cell, 2) cm^-4, or None if there are none (Eq. E2)."""
        ...

    def change_charges(
        self,
        moved: Any,
        populations: NDArray[np.float64],
        collisions: CollisionOperator,
        frame: LevelFrame,
        h: float,
        /,
    ) -> None:
        """Add what has moved, and what collisions made over h cm, to the charges that the alignment holds."""
        ...

    def undo_charges(self) -> None:
        """Put charges and multipliers before the last ``change_charges`` back."""
        ...


class Scheme(Protocol):
    """What is advected: populations or density matrices (physics.population_scheme, physics.matrix_scheme)."""

    ghosted: NDArray[np.float64]
    diagonal: NDArray[np.int64]  #: components whose sum is the trace over flavours
    divided: int  #: implicit collision steps of single cells that had to be divided, since the start
    positive: bool  #: whether the carried quantity may not be negative

    def load(self, state: State) -> NDArray[np.float64]:
        """Carried quantity of a state; a view of ``ghosted`` without ghost cells."""
        ...

    def boundary(self, state: State, /) -> Any:
        """What enters through the ends, in the carried quantity."""
        ...

    def upwind_fraction(self, collisions: CollisionOperator, frame: LevelFrame, /) -> Any:
        """b of the faces, as the advection takes it."""
        ...

    def collide(
        self,
        start: NDArray[np.float64],
        collisions: CollisionOperator,
        frame: LevelFrame,
        h: float,
        redistribution: NDArray[np.float64],
        out: NDArray[np.float64],
        cells: NDArray[np.int64] | None = None,
        /,
    ) -> int:
        """Solve out = start + h C(out) + h G(out), G the given angular redistribution; the number of its fix-ups.

        With ``cells`` all arguments are for these local cells only.
        """
        ...

    def store(self, state: State, /) -> None:
        """Put the carried quantity back into the state's populations."""
        ...

    def undo(self, state: State, old: NDArray[np.float64], /) -> None:
        """Give the state the populations of the last ``load``; ``old`` is a copy of what that returned."""
        ...

    def heat(self, state: State, /) -> NDArray[np.float64]:
        """Q_kin of the re-alignment, (cell,) MeV cm^-3."""
        ...


@dataclass
class StepLedger:
    """Balance of one step on this rank's cells, per steradian (spherical) or area (plane).

    For each of "energy" (MeV), "neutrinos" and "antineutrinos":
    after - before = collisions + inflow + corrections, to round-off; for energy also + frame_work.
    """

    before: dict[str, float]
    after: dict[str, float]
    collisions: dict[str, float]
    inflow: dict[str, float]
    corrections: dict[str, float]
    counts: dict[str, int] = field(default_factory=dict)
    kinematic_heat: float = 0.0  #: MeV, energy of the re-alignment; zero when populations are advected
    frame_work: float = 0.0  #: MeV, given to neutrinos by Doppler shift and redshift
    mixing: dict[str, float] = field(default_factory=dict)  #: MeV, terms of the first law, with a `ThermalLedger`

    def imbalance(self, quantity: str) -> float:
        """after - before - collisions - inflow - corrections, for energy also - frame_work."""
        return (
            self.after[quantity]
            - self.before[quantity]
            - self.collisions[quantity]
            - self.inflow[quantity]
            - self.corrections[quantity]
            - (self.frame_work if quantity == "energy" else 0.0)
        )


@dataclass
class StepResult:
    """What a step hands back besides the new state."""

    sources: Sources
    ledger: StepLedger


class Stepper:
    """Explicit advection (second order in time) with implicit collisions, then the alignment."""

    def __init__(
        self,
        phase_space: PhaseSpace,
        decomposition: Decomposition | BlockDecomposition,
        advection: AdvectionOperator | BlockAdvection,
        scheme: Scheme,
        *,
        second_order: bool,
    ) -> None:
        cells = decomposition.cells
        self.phase_space, self.decomposition, self.advection = phase_space, decomposition, advection
        self.scheme = scheme
        self.second_order = second_order
        self.exchange = Exchange(phase_space, cells)
        self.cell_volume = phase_space.mesh.volume_at(cells)
        self.response: FluidResponse | None = None  #: of the matter within a step
        self.frame_terms: FrameTerms | BlockFrame | None = None  #: shifts by moving matter and gravity
        self.thermodynamics: ThermalLedger | None = None  #: the first law of mixing
        self._scratch: list[NDArray[np.float64]] = []

    def follow_matter(self, frame_terms: FrameTerms | BlockFrame | None, cell_volume: NDArray[np.float64]) -> None:
        """Take up the shifts that the advection adds, and the proper volumes (cell,) of this rank's cells."""
        self.frame_terms, self.cell_volume = frame_terms, cell_volume

    def step(
        self, state: State, collisions: CollisionOperator, mixing: Mixing, frame: LevelFrame, dt: float
    ) -> tuple[StepResult, LevelFrame]:
        """Advance ``state`` by dt seconds in place; ``frame`` is the one of the last alignment.

            n* = C_h[n + h A n],   n' = C_h[n + h (A n + A n*)/2],   h = c dt

        with A the advection and C_h the implicit collisions: Heun's method where nothing collides, and
        forward Euler advection with backward Euler collisions where the diffusion limit rules.

        Raises
        ------
        ConvergenceError
            If collisions or the alignment of a cell have no solution; on all ranks, with the old state in place.
        """
        if not dt > 0.0 or not np.isfinite(dt):
            raise UnphysicalInputError(f"time step is {dt!r} s; accepted: a finite value > 0")
        carried = self.scheme.load(state)
        old, *_ = self._arrays(carried.shape)
        old[:] = carried
        moments = state.moments.copy()
        try:
            return self._advance(state, carried, collisions, mixing, frame, dt)
        except MisciError:
            # the host may try again, with a shorter step
            self.scheme.undo(state, old)
            state.moments[:] = moments
            mixing.undo_charges()
            raise

    def _advance(
        self,
        state: State,
        carried: NDArray[np.float64],
        collisions: CollisionOperator,
        mixing: Mixing,
        frame: LevelFrame,
        dt: float,
    ) -> tuple[StepResult, LevelFrame]:
        h = SPEED_OF_LIGHT * dt
        scheme, comm = self.scheme, self.decomposition.comm
        boundary = scheme.boundary(state)
        b = scheme.upwind_fraction(collisions, frame)
        explicit, implicit = self.advection.split_redistribution(h)
        old, advected = self._arrays(carried.shape)
        divided = scheme.divided
        limited = 0 if self.response is None else self.response.limited
        exchange = self.exchange
        cells = carried.shape[0]
        before, after, added = (np.empty((cells, len(QUANTITIES))) for _ in range(3))
        content(old, scheme.diagonal, exchange.weight_0, exchange.number, exchange.energy, before)

        shifts = self.frame_terms
        if shifts is not None:
            shifts.work[:] = 0.0
        thermal = self.thermodynamics
        matrices = not scheme.positive
        if thermal is not None:
            thermal.begin(state.owned, frame)

        # transport, Eq. (13): two stages of advection, each with its implicit collisions
        flux_1, fixed_1 = self._advect(mixing, b, boundary, explicit, old, h, advected, mean=False)
        flow_1 = mixing.charge_flow(scheme.ghosted, b, self.second_order)
        if shifts is not None:
            # the first stage counts by half, as what it carries
            shifts.work *= 0.5
        with collective(comm):
            fixed, _ = self._collide(advected, collisions, frame, h, implicit, carried)
            fixed_1 += fixed
        flux_2, fixed_2 = self._advect(mixing, b, boundary, explicit, old, h, advected, mean=True)
        flow_2 = mixing.charge_flow(scheme.ghosted, b, self.second_order)
        with collective(comm):
            fixed, gain = self._collide(advected, collisions, frame, h, implicit, carried)
            fixed_2 += fixed
        collided = self._collided(carried, advected, h, implicit) if gain is None else gain
        if thermal is not None:
            diamond = getattr(self.advection, "diamond", None)
            thermal.moved(old, advected, carried, h, implicit, diamond, self.advection.volume)

        # corrections: occupations stay in [0, 1]
        scheme.store(state)
        negative, above = clip_occupations(
            state.owned, exchange.weight_0, exchange.number, exchange.energy, after, added
        )

        if thermal is not None:
            thermal.corrected(state.owned, matrices=matrices)

        # alignment, Eq. (14), with the conserved charges where they are now
        moved = None if flow_1 is None else 0.5 * h * (flow_1 + flow_2)
        mixing.change_charges(moved, state.owned, collisions, frame, h)
        frame = mixing.align(state.owned, state.moments)
        if thermal is not None:
            thermal.finish(state.owned, frame, matrices=matrices)

        # ledger and sources
        ledger = StepLedger(
            before=self._total(before),
            after=self._total(after),
            collisions=self._total(collided[:, :3]),
            inflow=self._inflow(0.5 * h * (flux_1 + flux_2)),
            corrections=self._total(added),
            counts={
                "negative": negative,
                "above one": above,
                "angular fix-ups": fixed_1 + fixed_2,
                "divided collision steps": scheme.divided - divided,
                "responses cut": 0 if self.response is None else self.response.limited - limited,
            },
            kinematic_heat=float(self.cell_volume @ scheme.heat(state)),
            frame_work=0.0 if shifts is None else float(self.cell_volume @ shifts.work),
            mixing={} if thermal is None else {k: float(self.cell_volume @ v) for k, v in thermal.last.items()},
        )
        sources = sources_of(collided / h)
        state.time += dt
        state.step += 1
        return StepResult(sources, ledger), frame

    def book(
        self,
        before: NDArray[np.float64],
        after: NDArray[np.float64],
        rate: NDArray[np.float64],
        entering: NDArray[np.float64],
        h: float,
    ) -> StepResult:
        """Ledger and sources of an implicit step of h cm that was solved elsewhere.

        Populations before and after, their collision term[cell, direction, species, group, level] in cm^-1, and what
        came in (direction, species, group, level). No correction is made: what the solver leaves is the imbalance.
        """
        levels = np.arange(LEVELS)
        held = [np.empty((before.shape[0], len(QUANTITIES))) for _ in range(2)]
        weights = self.exchange.weight_0, self.exchange.number, self.exchange.energy
        for populations, out in zip((before, after), held, strict=True):
            content(np.ascontiguousarray(populations), levels, *weights, out)
        moments = np.empty((rate.shape[0], 2 + self.exchange.weight.shape[1]))
        trace_moments(rate.sum(axis=4), self.exchange.weight, self.exchange.number, self.exchange.energy, moments)
        ledger = StepLedger(
            before=self._total(held[0]),
            after=self._total(held[1]),
            collisions=self._total(h * moments[:, :3]),
            inflow=self._inflow(entering.sum(axis=3)),
            corrections=dict.fromkeys(QUANTITIES, 0.0),
        )
        return StepResult(sources_of(moments), ledger)

    def _arrays(self, shape: tuple[int, ...]) -> list[NDArray[np.float64]]:
        if not self._scratch or self._scratch[0].shape != shape:
            self._scratch = [np.empty(shape) for _ in range(2)]
        return self._scratch

    def _advect(
        self,
        mixing: Mixing,
        b: Any,
        boundary: Any,
        redistribution: Any,
        start: NDArray[np.float64],
        h: float,
        out: NDArray[np.float64],
        *,
        mean: bool,
    ) -> tuple[NDArray[np.float64], int]:
        """One stage into out; return what enters through the ends of the mesh, (direction, species, group)."""
        ghosted = self.scheme.ghosted
        arriving = self.advection.begin_ghosts(ghosted, boundary)
        entering, fixed = self.advection.stage(
            mixing.views(ghosted, b),
            start,
            h,
            out,
            mean=mean,
            second_order=self.second_order,
            fix_up=self.scheme.positive,
            redistribution=redistribution,
            arriving=arriving,
        )
        return self._trace(entering.reshape(1, *out.shape[1:]))[0], fixed

    def _trace(self, carried: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over flavours, (cell, direction, species, group)."""
        out = np.empty(carried.shape[:4])
        trace(carried, self.scheme.diagonal, out)
        return out

    def _collide(
        self,
        advected: NDArray[np.float64],
        collisions: CollisionOperator,
        frame: LevelFrame,
        h: float,
        redistribution: NDArray[np.float64],
        out: NDArray[np.float64],
    ) -> tuple[int, NDArray[np.float64] | None]:
        """Implicit collisions of one stage into out, with the response of the matter if there is one.

        Returns the number of angular fix-ups, and what collisions gave (`_collided`) where a response had to know it.
        """
        fixed = self.scheme.collide(advected, collisions, frame, h, redistribution, out)
        response = self.response
        if response is None:
            return fixed, None
        collided = self._collided(out, advected, h, redistribution)
        cells = response.cells(Exchanged.of(collided))
        if cells.size == 0:
            return fixed, collided
        start = np.ascontiguousarray(advected[cells])
        answer = np.empty_like(start)
        part = frame.of_cells(cells)
        turning = redistribution if redistribution.shape[0] == 1 else np.ascontiguousarray(redistribution[cells])
        given = Exchanged.of(collided[cells])

        def exchange(rates: Rates) -> Exchanged:
            # a guess that does not depend on how often this is called, which differs from rank to rank
            answer[:] = start
            self.scheme.collide(start, collisions.of_cells(cells, rates), part, h, turning, answer, cells)
            collided[cells] = self._collided(answer, start, h, turning, cells)
            return Exchanged.of(collided[cells])

        response.solve(cells, given, exchange)
        out[cells] = answer
        return fixed, collided

    def _collided(
        self,
        after: NDArray[np.float64],
        before: NDArray[np.float64],
        h: float,
        redistribution: NDArray[np.float64],
        cells: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Gain of the last collisions, (cell, 3 + axes) cm^-3: energy in MeV, both numbers, energy times velocity.

        Of all cells, or of those local ones that the arguments are for.
        """
        exchange, weight, volume = self.exchange, self.exchange.weight, self.advection.volume
        if cells is not None:
            weight, volume = local_rows(weight, cells), local_rows(volume, cells)
        out = np.empty((after.shape[0], 2 + weight.shape[1]))
        weights = exchange.number, exchange.energy
        difference_moments(after, before, self.scheme.diagonal, weight, *weights, out)
        turning = np.flatnonzero(redistribution.any(axis=1))
        if turning.size:
            # turning in angle is no exchange of momentum with matter; such cells are few and lie at the centre
            last = int(turning[-1]) + 1
            turned, moved = np.zeros(after[:last].shape[:4]), np.empty((last, out.shape[1]))
            angular_sweep.subtract_redistribution(
                self._trace(after[:last]),
                h,
                redistribution[:last],
                self.advection.diamond,
                volume[:last],
                turned,
            )
            trace_moments(turned, weight, *weights, moved)
            out[:last] += moved
        return out

    def _total(self, by_cell: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(QUANTITIES, (float(x) for x in self.cell_volume @ by_cell), strict=True))

    def _inflow(self, entering: NDArray[np.float64]) -> dict[str, float]:
        by_group = entering.sum(axis=0)
        return {
            "energy": float(by_group.sum(axis=0) @ self.exchange.energy),
            "neutrinos": float(by_group[0] @ self.exchange.number),
            "antineutrinos": float(by_group[1] @ self.exchange.number),
        }


QUANTITIES = ("energy", "neutrinos", "antineutrinos")
