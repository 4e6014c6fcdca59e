r"""The common phase of a stationary state where its equation is hyperbolic along axis 0: a march away from the source.

With f_0 = Tr(Q D_1,0) and phi as unknowns on the faces of axis 0 and h the lengths of the other axes' coordinates,

    d_0 phi = - k_0(f_0, k_t),      [area f_0]_high - [area f_0]_low = - sum_t [area f_t(f_0, k_t)] + volume Tr(Q C),

k_t = - d_t phi/h_t. The flux is given and its k_0 is found by the alignment, as in spherical symmetry, where area f_0
is a first integral: where the phase turns fast, a small error of k_0 is a large one of the flux, but not the reverse.
Implicit midpoint rule along axis 0, iterated; centred staggered differences across. docs/phase.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..alignment.report import CONVERGED, STATUS_NAMES
from ..errors import ConfigurationError, ConvergenceError
from ..physics.phase_closure import PARALLEL
from ..physics.phase_type import HYPERBOLIC, ORDINARY, classify
from .phase import PhaseReport, count, describe
from .phase_grid import Places, lame

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..block_mesh import BlockMesh
    from ..parallel.block_decomposition import BlockDecomposition
    from ..physics.phase_closure import ClosureState, PhaseClosure
    from .phase_grid import Medium, PhaseBoundary, Values

logger = logging.getLogger(__name__)

#: What to do where the equation is not hyperbolic along axis 0: stop with an error, go on and say where, or end there.
POLICIES = ("stop", "flag", "end")
#: Steepness times step over transverse width that a step may have; the iteration contracts below one.
COURANT = 0.5
MOST_STEPS = 256
#: A state whose tilt falls to `PARALLEL` in one step from this many times as much has left its branch.
LOST = 1.0e3
#: Changes below this that no longer shrink, so many times in a row, are round-off: of alignments with small second
#: derivatives of Phi*, times the ratio of a long cell's sides. What is left is reported as the residual.
ROUND_OFF, PATIENCE = 1.0e-7, 4


@dataclass
class MarchedPhase:
    """Phases on this rank's cells."""

    phase: NDArray[np.float64]  #: (cell, charge) phi at the centres, NaN where the march did not come
    wave_number: NDArray[np.float64]  #: (cell, axis, charge) k, cm^-1
    outflow: NDArray[np.float64]  #: (cell, charge) Tr(Q D_0-axis) times area through the high face of axis 0
    hessian: NDArray[np.float64]  #: (cell, order, charge, order, charge) second derivatives of Phi* at the centres
    layers: int  #: layers of axis 0 that were done
    report: PhaseReport


@dataclass
class _Slab:
    """State on a face of axis 0, all columns: phi and area times flux, (column, charge)."""

    phase: NDArray[np.float64]
    flow: NDArray[np.float64]


@dataclass
class _Batch:
    """Places of this rank in one step, with their medium and the guess of their states."""

    places: Places
    closure: PhaseClosure
    state: ClosureState
    tilt: NDArray[np.float64]  #: of the guess


class PhaseMarch:
    """Marches along axis 0, cut between ranks in any way: blocks along axis 0 one after the other (collective)."""

    def __init__(
        self,
        mesh: BlockMesh,
        decomposition: BlockDecomposition,
        medium: Medium,
        boundary: PhaseBoundary,
        *,
        source: ArrayLike = 0.0,
        frequency: ArrayLike = 0.0,
        start: Values | None = None,
        tolerance: float = 1.0e-11,
        max_iterations: int = 60,
        on_type: str = "stop",
    ) -> None:
        """source (cell, charge): Tr(Q C) of this rank's cells, cm^-4; start: phi at the low end of axis 0, 0 without.

        The boundary gives the flux at the low end of axis 0; its high end is not looked at. The ends of the other axes
        are closed or periodic.

        Raises
        ------
        ConfigurationError
            For values and boundaries that are not accepted.
        """
        kinds = boundary.kinds
        if on_type not in POLICIES:
            raise ConfigurationError(f"on_type is {on_type!r}; accepted: {', '.join(POLICIES)}")
        across = [axis for axis in decomposition.resolved if axis != 0]
        if kinds[0][0] != "flux" or any(set(kinds[axis]) - {"closed", "periodic"} for axis in across):
            raise ConfigurationError(
                f"phase boundaries of a march are {kinds}; accepted: flux at the low end of axis 0, other axes closed "
                "or periodic"
            )
        if 0 not in decomposition.resolved or decomposition.periodic[0]:
            raise ConfigurationError("a march needs a resolved axis 0 that is not periodic")
        self.mesh, self.decomposition, self.medium, self.boundary = mesh, decomposition, medium, boundary
        self.axes, self.on_type, self.start = across, on_type, start
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self._locate()
        probe = medium.closure(self._centers(float(mesh.center(0)[0]), 0))
        self.charges, self.orders = probe.charges, probe.orders
        if max(decomposition.resolved) >= self.orders - 1:
            raise ConfigurationError(
                f"the closure follows {self.orders - 1} axes; accepted: all resolved ones, {decomposition.resolved}"
            )
        self.frequency = np.broadcast_to(np.asarray(frequency, dtype=np.float64), (self.charges,))
        self.source = np.broadcast_to(np.asarray(source, dtype=np.float64), (decomposition.size, self.charges))

    def _locate(self) -> None:
        """Columns of this rank and of the others of its block of axis 0."""
        dec, mesh = self.decomposition, self.mesh
        # ranks without cells have a block of their own that nobody marches through
        blocks = len(dec.bounds[0]) - 1
        self.block = int(np.searchsorted(dec.bounds[0], dec.start[0], side="right") - 1) if dec.size else blocks
        self.comm = dec.comm.Split(self.block, dec.comm.rank)
        n1, n2 = mesh.shape[1:]
        self.columns = n1 * n2
        j, k = np.arange(dec.start[1], dec.stop[1]), np.arange(dec.start[2], dec.stop[2])
        self.mine = (j[None, :] + n1 * k[:, None]).ravel()
        self.order = np.argsort(np.concatenate(self.comm.allgather(self.mine)))
        self.index = {1: np.tile(np.arange(n1), n2), 2: np.repeat(np.arange(n2), n1)}
        #: of each axis: column below each column (itself at a closed end), whether the face between them is open
        self.below: dict[int, NDArray[np.int64]] = {}
        self.above: dict[int, NDArray[np.int64]] = {}
        self.open: dict[int, NDArray[np.bool_]] = {}
        for axis in self.axes:
            n, i = mesh.shape[axis], self.index[axis]
            stride = 1 if axis == 1 else n1
            column = np.arange(self.columns)
            wraps = self.decomposition.periodic[axis]
            self.open[axis] = (i > 0) | wraps
            self.below[axis] = np.where(i > 0, column - stride, column + (n - 1) * stride if wraps else column)
            self.above[axis] = np.where(i < n - 1, column + stride, column - (n - 1) * stride if wraps else -1)

    def _coordinates(self, x: float, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        at = np.empty((columns.size, 3))
        at[:, 0] = x
        for axis in (1, 2):
            at[:, axis] = self.mesh.center(axis)[self.index[axis][columns]]
        return at

    def _centers(self, x: float, layer: int) -> Places:
        """Centres of this rank's columns at a coordinate of axis 0."""
        cell = layer + self.mesh.shape[0] * self.mine
        return Places(self._coordinates(x, self.mine), np.stack([cell, cell], axis=1))

    def _sides(self, axis: int, x: float, layer: int) -> Places:
        """Open low faces of this rank's columns along another axis."""
        columns = self.mine[self.open[axis][self.mine]]
        at = self._coordinates(x, columns)
        at[:, axis] = self.mesh.faces[axis][self.index[axis][columns]]
        n0 = self.mesh.shape[0]
        return Places(at, np.stack([layer + n0 * self.below[axis][columns], layer + n0 * columns], axis=1))

    def _whole(self, mine: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of all columns from those of this rank (collective over its block of axis 0)."""
        if self.comm.size == 1:
            return mine[self.order]
        return np.asarray(np.concatenate(self.comm.allgather(np.ascontiguousarray(mine)))[self.order])

    def solve(self) -> MarchedPhase:
        """March from the low end of axis 0 to its high end.

        Raises
        ------
        ConvergenceError
            On all ranks: where a cell has no aligned state with the flux that comes in, where the iteration of a step
            does not contract, and, with ``on_type`` "stop", where the equation is not hyperbolic along axis 0; with
            the cells and values.
        """
        dec = self.decomposition
        shape = (dec.size, self.charges)
        self.out = MarchedPhase(
            np.full(shape, np.nan),
            np.full((dec.size, 3, self.charges), np.nan),
            np.full(shape, np.nan),
            np.full((dec.size, self.orders, self.charges, self.orders, self.charges), np.nan),
            0,
            PhaseReport("marched", 0),
        )
        state: Any = None
        blocks = len(dec.bounds[0]) - 1
        for block in range(blocks):
            result: Any = None
            if block == self.block:
                try:
                    result = self._march_block(state)
                except ConvergenceError as error:
                    result = str(error)
            root = dec.owner(int(dec.bounds[0][block]))
            result = dec.comm.bcast(result, root=root)
            if isinstance(result, str):
                raise ConvergenceError(result)
            state = result
            if not state[3]:
                break
        self.out.layers = state[2]
        self._close()
        return self.out

    def _close(self) -> None:
        """Counts of types over all ranks."""
        out, comm = self.out, self.decomposition.comm
        done = ~np.isnan(out.phase[:, 0])
        kind = classify(np.where(np.isnan(out.hessian), 0.0, out.hessian), self.decomposition.resolved)
        count(out.report, kind, done, comm)
        out.report.iterations = int(comm.allreduce(out.report.iterations if self.comm.rank == 0 else 0))
        out.report.residual = max(comm.allgather(out.report.residual))
        out.report.misfits = [word for part in comm.allgather(out.report.misfits) for word in part]

    def _march_block(self, state: Any) -> Any:
        """The layers of this block: (slab, states of the last step, layers done, whether the march goes on)."""
        dec, mesh = self.decomposition, self.mesh
        if state is None:
            slab, kept, done = self._entrance(), None, 0
        else:
            slab, kept, done, _ = state
        self._states: dict[int, Any] = {axis: None for axis in (0, *self.axes)}
        self._kept = kept
        for layer in range(int(dec.start[0]), int(dec.stop[0])):
            low, high = float(mesh.faces[0][layer]), float(mesh.faces[0][layer + 1])
            steps = self._steps(layer, 0.5 * (low + high))
            new = self._layer(layer, np.linspace(low, high, steps + 1), slab)
            if not self._fits(layer):
                return slab, self._keep(), done, False
            slab = new
            done += 1
        return slab, self._keep(), done, True

    def _entrance(self) -> _Slab:
        """phi and area times flux at the low end of axis 0."""
        at = self._coordinates(float(self.mesh.faces[0][0]), np.arange(self.columns))
        assert self.boundary.flux is not None
        flux = np.asarray(self.boundary.flux(at), dtype=np.float64)
        phase = np.zeros((self.columns, self.charges)) if self.start is None else np.asarray(self.start(at))
        if flux.shape != (self.columns, self.charges) or phase.shape != flux.shape:
            raise ConvergenceError(
                f"flux and phase at the source have shapes {flux.shape}, {phase.shape}; accepted: "
                f"{(self.columns, self.charges)}"
            )
        return _Slab(np.array(phase, dtype=np.float64), self._area(float(self.mesh.faces[0][0]))[:, None] * flux)

    def _numbers(self, layer: int) -> NDArray[np.int64]:
        """(column,) numbers of the cells of all columns in a layer of axis 0."""
        return layer + self.mesh.shape[0] * np.arange(self.columns)

    def _area(self, x: float) -> NDArray[np.float64]:
        """(column,) area of the columns at a coordinate of axis 0."""
        area = self.mesh.at(self._numbers(0)).face_area(0, 1)
        if self.mesh.geometry == "spherical":
            return np.asarray(area * (x / self.mesh.faces[0][1]) ** 2)
        return area

    def _keep(self) -> Any:
        """States of the last step, all columns, for the block that follows."""
        return {
            axis: [part for part in self.comm.allgather(self._states[axis]) if part is not None]
            for axis in self._states
        }

    def _batch(self, axis: int, places: Places) -> _Batch:
        """Medium of the places, and the guess: the states of the last step, or those of the seed."""
        closure = self.medium.closure(places)
        last = self._states[axis]
        if last is None and self._kept is not None:
            last = _pick(self._kept[axis], places)
        if last is None:
            seed = self.medium.seed(places)
            return _Batch(places, closure, seed, closure.tilt(seed))
        old, scale = last[1], last[2]
        factor = closure.scale / scale
        guess = old.take(np.arange(places.size))
        # moments follow the numbers of neutrinos, multipliers stay
        guess.unknowns *= factor[:, None]
        guess.charge *= factor[:, None, None]
        return _Batch(places, closure, guess, closure.tilt(guess))

    def _local(self, layer: int) -> NDArray[np.int64]:
        """Cells of this rank in a layer, in the order of its columns."""
        dec = self.decomposition
        local: NDArray[np.int64] = (layer - int(dec.start[0])) + dec.local_shape[0] * np.arange(self.mine.size)
        return local

    def _fits(self, layer: int) -> bool:
        """Whether a layer that was done is hyperbolic; what on_type asks for if not (collective over the block)."""
        local, out = self._local(layer), self.out
        hessian = out.hessian[local]
        kind = classify(hessian, self.decomposition.resolved)
        fits = (kind.kind == ORDINARY) | ((kind.kind == HYPERBOLIC) & kind.outward)
        bad = np.flatnonzero(~fits)
        places = self._centers(float(self.mesh.center(0)[layer]), layer)
        words = [w for part in self.comm.allgather(describe(places, hessian, kind.kind, bad)) for w in part]
        if words and self.on_type == "stop":
            raise ConvergenceError(
                f"phase: the equation is not hyperbolic along axis 0 in layer {layer} (with waves that run outwards), "
                "where a march is not well-posed (accepted: PhaseSolver from there on, or on_type 'flag' or 'end'): "
                f"{'; '.join(words[:5])}"
            )
        if words and self.on_type == "end":
            logger.info("phase: march ends before layer %d: %s", layer, words[0])
            for array in (out.phase, out.wave_number, out.outflow, out.hessian):
                array[local] = np.nan
            return False
        if words and self.comm.rank == 0:
            out.report.misfits += words
        return True

    def _steps(self, layer: int, x: float) -> int:
        """Number of steps that a layer needs by the characteristics of the last one (collective over the block)."""
        batch = self._batch(0, self._centers(x, layer))
        kind = classify(batch.state.hessian, self.decomposition.resolved)
        width = float(np.diff(self.mesh.faces[0])[layer])
        ratio = 0.0
        for axis in self.axes:
            step = lame(self.mesh, batch.places.coordinates, axis)
            step = step * np.diff(self.mesh.faces[axis])[self.index[axis][self.mine]]
            ratio = max(ratio, float((kind.steepness * width / step).max()))
        ratio = max(self.comm.allgather(ratio))
        if not ratio <= COURANT * MOST_STEPS:
            raise ConvergenceError(
                f"phase: layer {layer} would need {ratio / COURANT:.3g} steps, because a characteristic runs along it; "
                f"accepted: at most {MOST_STEPS}"
            )
        steps = max(1, int(np.ceil(ratio / COURANT)))
        return steps + (steps % 2 if steps > 1 else 0)

    def _layer(self, layer: int, x: NDArray[np.float64], slab: _Slab) -> _Slab:
        """March through a layer in steps between the coordinates x, and store what it has."""
        before = slab
        steps = x.size - 1
        middle = None
        total = np.zeros((self.columns, len(self.axes) + 1, self.charges))
        for n in range(steps):
            if 2 * n == steps:
                middle = slab.phase
            slab, k, hessian = self._step(layer, float(x[n]), float(x[n + 1]), slab)
            total += k / steps
        phase = 0.5 * (before.phase + slab.phase) if middle is None else middle
        local, out = self._local(layer), self.out
        out.phase[local], out.outflow[local] = phase[self.mine], slab.flow[self.mine]
        out.wave_number[local] = 0.0
        for n, axis in enumerate((0, *self.axes)):
            out.wave_number[local, axis] = total[self.mine, n]
        out.hessian[local] = hessian
        return slab

    def _step(self, layer: int, low: float, high: float, slab: _Slab) -> tuple[_Slab, Any, Any]:
        """One step of the midpoint rule, iterated; returns also k (column, (0, others), charge) and the Hessians."""
        x = 0.5 * (low + high)
        made = self._whole(self._made(layer, low, high))
        area = self._area(x)
        center = self._batch(0, self._centers(x, layer))
        sides = {axis: self._batch(axis, self._sides(axis, x, layer)) for axis in self.axes}
        new, least, worse = slab, np.inf, 0
        scale = max(self.comm.allgather(float((center.closure.scale * area[self.mine]).max(initial=0.0))))
        for _ in range(self.max_iterations):
            phase, flow = 0.5 * (slab.phase + new.phase), 0.5 * (slab.flow + new.flow)
            slopes = {axis: self._slopes(axis, phase) for axis in self.axes}
            density = flow / area[:, None]
            k = self._center_states(layer, center, slopes, density)
            leaving = np.zeros_like(flow)
            for axis in self.axes:
                leaving += self._through_sides(layer, axis, low, high, sides[axis], slopes, density)
            self.out.report.iterations += 1
            trial = _Slab(slab.phase - (high - low) * k[:, 0], slab.flow - leaving + made)
            turned = float(np.abs(trial.phase - slab.phase).max()) or 1.0
            norm = max(
                float(np.abs(trial.flow - new.flow).max()) / scale,
                float(np.abs(trial.phase - new.phase).max()) / turned,
            )
            new = trial
            worse = worse + 1 if norm > 0.5 * least else 0
            least = min(least, norm)
            if norm <= self.tolerance or (norm <= ROUND_OFF and worse == PATIENCE):
                self.out.report.residual = max(self.out.report.residual, norm)
                break
        else:
            raise ConvergenceError(
                f"phase: the step from {low:.6g} to {high:.6g} of layer {layer} does not contract after "
                f"{self.max_iterations} iterations: the last one changed flux or phase by {norm:.3e}"
            )
        for axis, batch in ((0, center), *sides.items()):
            self._states[axis] = (batch.places, batch.state, batch.closure.scale)
        return new, k, center.state.hessian

    def _made(self, layer: int, low: float, high: float) -> NDArray[np.float64]:
        """Volume times source of this rank's columns in a step."""
        local = self._local(layer)
        volume = self.mesh.volume_at(self.decomposition.cells[local]) * self._share(layer, low, high, 3)
        return np.asarray(volume[:, None] * self.source[local])

    def _share(self, layer: int, low: float, high: float, power: int) -> float:
        """Part of a cell's volume (power 3) or lateral area (power 2) that lies between two coordinates of axis 0."""
        first, last = (float(self.mesh.faces[0][layer + n]) for n in range(2))
        if self.mesh.geometry == "cartesian":
            return (high - low) / (last - first)
        return (high**power - low**power) / (last**power - first**power)

    def _slopes(self, axis: int, phase: NDArray[np.float64]) -> NDArray[np.float64]:
        """d phi by the coordinate of another axis at the low faces of the columns, (column, charge); 0 if closed."""
        x, faces, i = self.mesh.center(axis), self.mesh.faces[axis], self.index[axis]
        below = self.below[axis]
        span = np.where(i > 0, 0.0, faces[-1] - faces[0])
        distance = x[i] - x[self.index[axis][below]] + span
        distance = np.where(self.open[axis], distance, 1.0)
        slope: NDArray[np.float64] = (phase - phase[below]) / distance[:, None]
        return np.where(self.open[axis][:, None], slope, 0.0)

    def _at_centers(self, axis: int, slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the slopes at both faces of the columns."""
        above = self.above[axis]
        upper = np.where((above >= 0)[:, None], slope[above], 0.0)
        mean: NDArray[np.float64] = 0.5 * (slope + upper)
        return mean

    def _center_states(
        self, layer: int, batch: _Batch, slopes: dict[int, NDArray[np.float64]], density: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """k at the centres of all columns (column, (0, others), charge), with the flux given."""
        at = batch.places.coordinates
        multiplier = np.zeros((self.mine.size, self.orders, self.charges))
        multiplier[:, 0] = self.frequency
        for axis in self.axes:
            slope = self._at_centers(axis, slopes[axis])[self.mine]
            multiplier[:, 1 + axis] = -slope / lame(self.mesh, at, axis)[:, None]
        batch.state = batch.closure.solve(batch.state, multiplier, given=1, charge=density[self.mine])
        self._check(layer, batch)
        return self._whole(batch.state.multiplier[:, [1, *(1 + axis for axis in self.axes)]])

    def _through_sides(
        self,
        layer: int,
        axis: int,
        low: float,
        high: float,
        batch: _Batch,
        slopes: dict[int, NDArray[np.float64]],
        density: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """What leaves the columns through their sides along an axis, (column, charge)."""
        columns = self.mine[self.open[axis][self.mine]]
        below, at = self.below[axis][columns], batch.places.coordinates
        flux = np.zeros((self.mine.size, self.charges))
        multiplier = np.zeros((columns.size, self.orders, self.charges))
        multiplier[:, 0] = self.frequency
        multiplier[:, 1 + axis] = -slopes[axis][columns] / lame(self.mesh, at, axis)[:, None]
        for other in self.axes:
            if other != axis:
                mean = self._at_centers(other, slopes[other])
                mean = 0.5 * (mean[below] + mean[columns])
                multiplier[:, 1 + other] = -mean / lame(self.mesh, at, other)[:, None]
        given = 0.5 * (density[below] + density[columns])
        batch.state = batch.closure.solve(batch.state, multiplier, given=1, charge=given)
        self._check(layer, batch)
        flux[self.open[axis][self.mine]] = batch.state.charge[:, 1 + axis]
        area = self.mesh.at(self._numbers(layer)).face_area(axis, 0) * self._share(layer, low, high, 2)
        through = area[:, None] * self._whole(flux)
        above = self.above[axis]
        return np.asarray(np.where((above >= 0)[:, None], through[above], 0.0) - through)

    def _check(self, layer: int, batch: _Batch) -> None:
        """Raise on all ranks of the block if a place has no state."""
        words = []
        state = batch.state
        # the state with everything along the axes of the charges solves the alignment too, and has no phase
        lost = (batch.closure.tilt(state) <= PARALLEL) & (batch.tilt > LOST * PARALLEL)
        for n in np.flatnonzero((state.status != CONVERGED) | lost)[:3]:
            cells = batch.places.words(int(n))
            words.append(f"cell {cells}: {STATUS_NAMES[int(state.status[n])]}, residual {state.residual[n]:.3e}")
        words = [word for part in self.comm.allgather(words) for word in part]
        if words:
            raise ConvergenceError(
                f"phase: no aligned state with a phase and the flux that comes into layer {layer}: "
                f"{'; '.join(words[:5])}"
            )


def _pick(kept: list[Any], places: Places) -> Any:
    """States of the last step of another block, for these places: by their coordinates across."""
    found: dict[tuple[float, float], tuple[Any, int]] = {}
    for part in kept:
        for n, (y, z) in enumerate(part[0].coordinates[:, 1:]):
            found[float(y), float(z)] = (part, n)
    if places.size == 0:
        return kept[0] if kept else None
    chosen = [found[float(y), float(z)] for y, z in places.coordinates[:, 1:]]
    states = [part[1].take(np.array([n])) for part, n in chosen]
    scale = np.array([part[2][n] for part, n in chosen])
    first = states[0]
    joined = type(first)(*(np.concatenate([getattr(s, name) for s in states]) for name in vars(first)))
    return places, joined, scale
