"""The validity monitor of a run: measures of every cell, flags, and what a run says of itself in its last lines."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..block_mesh import BlockMesh
from ..errors import ConvergenceError
from ..fields import Field
from ..kernels.collisions import DIAGONAL
from ..stability import ACCURACY, growth_rate, linearise
from .measures import GAMMA_THRESHOLD, Points, angular_crossings, scale_separation, segment_adiabaticity
from .surroundings import BlockSurroundings, RadialSurroundings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..options import ValidityOptions
    from ..parallel.block_decomposition import BlockDecomposition
    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from ..physics.collisions import CollisionOperator
    from ..physics.levels import LevelFrame
    from ..stability import LevelModes

#: Growth below this fraction of the threshold over the radius is not looked for.
SLOWEST = 0.25
#: A Newton matrix with a larger condition number leaves fewer than six digits.
LARGEST_CONDITION = 1.0e10
#: Levels nearer than this fraction of |H| count as degenerate.
SMALLEST_DISTANCE = 1.0e-6
#: Cells whose projectors are taken up together in the search for crossings: that bounds the memory.
CROSSING_PART = 32
#: Self-interaction over vacuum frequency from which modes act together.
COLLECTIVE = 0.1
#: rad; an axis of charges at a larger angle to H without self-interaction is not conserved.
LARGEST_ANGLE = 0.3

#: Flags in the order of the output, with the words of the summary.
FLAGS = {
    "not adiabatic": "levels turn faster than neutrinos follow (gamma < 3)",
    "oscillation slower than transport": "oscillations are slower than the crossing of a cell",
    "collisions faster than oscillations": "collisions are faster than oscillations",
    "nearly degenerate": "levels with different populations are nearly degenerate",
    "ill-conditioned": "the alignment is ill-conditioned",
    "several solutions": "the alignment has several solutions",
    "angular crossing": "the electron-lepton number changes sign with angle (fast flavour instability)",
    "unstable": "the aligned state is unstable, and perturbations have had time to grow",
    "axially unstable": "so are perturbations that break the axial symmetry of the calculation",
    "charge not conserved": "charges are held that matter or the vacuum term breaks",
    "charge not held": "modes act together, and no charge is held",
    "far start": "no aligned state is near the given density matrices",
    "no solution": "the alignment has no solution; the cell kept an older one",
}


class Mixing(Protocol):
    """What the monitor asks of the alignment."""

    locked: NDArray[np.bool_]
    far: NDArray[np.bool_]
    medium: Any  #: weights (cell, order, direction) and velocities (cell, direction, axis); one row: of all cells
    hamiltonian: Any

    @property
    def potential(self) -> NDArray[np.float64]:
        """Matter potential, (cell,) cm^-1."""
        ...

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Cells without a solution."""
        ...

    @property
    def charge_angle(self) -> NDArray[np.float64]:
        """Angle of H without self-interaction against the axis of the charges, rad."""
        ...

    @property
    def charged(self) -> NDArray[np.bool_]:
        """Whether charges are held."""
        ...

    def effective_hamiltonian(self, moments: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Vacuum term (cell, group, N_f^2) and the rest (cell, 1 + axes, N_f^2), cm^-1."""
        ...

    def conditions(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Condition number of the Newton matrix, (cell,)."""
        ...

    def roots(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether there is another solution, (cell,)."""
        ...

    def region_slices(self) -> list[slice]:
        """Ranges of local cells with the same charges."""
        ...

    def region_faces(self) -> list[int]:
        """Global faces where charges change."""
        ...


@dataclass
class Validity:
    """Measures of this rank's cells, (cell,) each."""

    gamma: NDArray[np.float64]  #: smallest adiabaticity on the way to the neighbours
    gamma_time: NDArray[np.float64]  #: smallest adiabaticity of the last step, infinite without one
    fraction: NDArray[np.float64]  #: share of phase space that is not adiabatic
    crossing_ratio: NDArray[np.float64]  #: largest t_osc/t_cell
    collision_ratio: NDArray[np.float64]  #: largest t_osc/t_collision
    degeneracy: NDArray[np.float64]  #: smallest gap over |H|
    condition: NDArray[np.float64]  #: of the Newton matrix
    depth: NDArray[np.float64]  #: of angular crossings, the deeper of the two heavy flavours
    growth: NDArray[np.float64]  #: (cell, symmetry) cm^-1; NaN: not computed
    e_folds: NDArray[np.float64]  #: (cell, symmetry) accumulated on the way of the neutrinos
    symmetries: str  #: of which perturbations
    way: str  #: along which e-folds are accumulated
    flags: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    share: dict[str, NDArray[np.float64]] = field(default_factory=dict)  #: phase space concerned, where it is known

    def fields(self) -> list[Field]:
        """For the output."""
        scalars = {
            "nonadiabaticity": ("1", "largest 1/gamma along rays", _inverse(self.gamma)),
            "nonadiabaticity_time": ("1", "largest 1/gamma of the last step in time", _inverse(self.gamma_time)),
            "fraction": ("1", "share of phase space that is not adiabatic", self.fraction),
            "crossing_ratio": ("1", "largest oscillation time over crossing time of the cell", self.crossing_ratio),
            "collision_ratio": ("1", "largest oscillation time over collision time", self.collision_ratio),
            "degeneracy": ("1", "smallest distance of levels over |H|, 2 if none", np.minimum(self.degeneracy, 2.0)),
            "reciprocal_condition": ("1", "1 over the condition number of the alignment", _inverse(self.condition)),
            "depth": ("1", "depth of the angular crossing of the electron-lepton number", self.depth),
        }
        made = [
            Field(f"validity/{name}", values, ("cell",), unit, words) for name, (unit, words, values) in scalars.items()
        ]
        growing = f"growth of {self.symmetries}"
        axes = ("cell", "symmetry")
        made += [
            Field("validity/growth", np.nan_to_num(self.growth, nan=-1.0), axes, "1/cm", f"{growing}, -1: unknown"),
            Field("validity/e_folds", self.e_folds, axes, "1", f"{growing} accumulated along {self.way}"),
        ]
        return made + [
            Field(
                f"validity/flag_{name.replace(' ', '_').replace('-', '_')}",
                self.flags[name].astype(np.float64),
                ("cell",),
                "1",
                f"1 where {words}",
            )
            for name, words in FLAGS.items()
            if name in self.flags
        ]


class ValidityMonitor:
    """Measures the assumptions of local mixing equilibrium on this rank's cells."""

    def __init__(
        self, phase_space: PhaseSpace, decomposition: Decomposition | BlockDecomposition, options: ValidityOptions
    ) -> None:
        self.phase_space, self.options = phase_space, options
        self.decomposition: Any = decomposition
        kind: Any = BlockSurroundings if isinstance(phase_space.mesh, BlockMesh) else RadialSurroundings
        self.surroundings: RadialSurroundings | BlockSurroundings = kind(phase_space, decomposition)
        self._growth = np.full((decomposition.size, self.surroundings.symmetries), np.nan)
        self.last: Validity | None = None

    def measure(
        self,
        populations: NDArray[np.float64],
        moments: NDArray[np.float64],
        mixing: Mixing,
        collisions: CollisionOperator,
        frame: LevelFrame,
        *,
        before: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
        length: float = 0.0,
        stability: bool = False,
    ) -> Validity:
        """Measure a state (collective). before: vacuum and fields of H a step of `length` = c dt earlier."""
        around = self.surroundings
        cells, directions = populations.shape[:2]
        populations = np.ascontiguousarray(populations)
        vacuum, fields = mixing.effective_hamiltonian(moments)
        velocity, number = mixing.medium.velocity, self.phase_space.number_weight
        points = Points(populations, velocity, vacuum, fields)
        weight = np.ascontiguousarray(np.broadcast_to(np.abs(mixing.medium.weight[:, 0]), (cells, directions)))
        along = around.along_paths(points, weight, mixing)
        gamma, fraction = along.gamma, along.fraction
        gamma_time = np.full(cells, np.inf)
        if before is not None:
            earlier = Points(populations, velocity, *before)
            path = np.full((cells, directions), length)
            turned = segment_adiabaticity(earlier, points, weight_0=weight, number_weight=number, ds=path)
            gamma_time, fraction = turned.gamma, np.maximum(fraction, turned.fraction)
        removal = collisions.transport_opacity(frame)
        scales = scale_separation(
            points, weight_0=weight, number_weight=number, width=around.width, removal=np.abs(removal)
        )
        depth, crossed = self._crossings(populations, weight, frame)
        if stability:
            self._growth = self._rates(points, weight, crossed, mixing, removal)
        known = np.where(np.isfinite(self._growth), self._growth, 0.0)
        e_folds = around.e_folds(known, populations)
        grown = (e_folds > self.options.e_folds) & (known > 0.0)
        condition = mixing.conditions(populations, moments)
        frequency = np.abs(mixing.hamiltonian.vacuum).max()
        self_interaction = mixing.hamiltonian.strength * np.linalg.norm(moments, axis=(1, 2))
        free = ~mixing.locked
        collective = (self_interaction > COLLECTIVE * frequency) & free
        # a charge of matter or of the vacuum term exists where one of them is small
        small = np.minimum(mixing.potential, frequency) < LARGEST_ANGLE * np.maximum(mixing.potential, frequency)
        validity = Validity(
            gamma=gamma,
            gamma_time=gamma_time,
            fraction=fraction,
            crossing_ratio=scales.crossing,
            collision_ratio=scales.collision,
            degeneracy=scales.degeneracy,
            condition=condition,
            depth=depth,
            growth=self._growth.copy(),
            e_folds=e_folds,
            symmetries=around.symmetry_words,
            way=around.way,
        )
        validity.flags = {
            "not adiabatic": (np.minimum(gamma, gamma_time) < GAMMA_THRESHOLD) & free,
            "oscillation slower than transport": (scales.crossing > 1.0) & free,
            "collisions faster than oscillations": (scales.collision > 1.0) & free,
            "nearly degenerate": (scales.degeneracy < SMALLEST_DISTANCE) & free,
            "ill-conditioned": ~(condition < LARGEST_CONDITION),
            "several solutions": mixing.roots(populations, moments),
            "angular crossing": crossed,
            "unstable": grown[:, 0],
            "charge not conserved": collective & mixing.charged & (mixing.charge_angle > LARGEST_ANGLE),
            "charge not held": collective & ~mixing.charged & small,
            "far start": mixing.far,
            "no solution": np.asarray(mixing.failed),
        }
        if self.surroundings.symmetries > 1:
            validity.flags["axially unstable"] = grown[:, 1]
        validity.share = {
            "not adiabatic": fraction,
            "oscillation slower than transport": scales.crossing_fraction,
            "collisions faster than oscillations": scales.collision_fraction,
        }
        self.last = validity
        return validity

    def _crossings(
        self, populations: NDArray[np.float64], weight: NDArray[np.float64], frame: LevelFrame
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Depth of the deeper of the two crossings, and whether there is one, (cell,) each."""
        depth, crossed = np.zeros(weight.shape[0]), np.zeros(weight.shape[0], dtype=bool)
        for first in range(0, weight.shape[0], CROSSING_PART):
            part = slice(first, min(first + CROSSING_PART, weight.shape[0]))
            found = angular_crossings(
                occupations(populations[part], frame.part(part)), weight[part], self.phase_space.number_weight
            )
            depth[part], crossed[part] = found.depth.max(axis=1), found.crossed.any(axis=1)
        return depth, crossed

    def _rates(
        self,
        points: Points,
        weight: NDArray[np.float64],
        crossed: NDArray[np.bool_],
        mixing: Mixing,
        removal: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Growth of perturbations, (cell, symmetry) cm^-1, from a sample of cells of each chain (collective).

        A chain is a sequence of cells of which each resembles the next; between two samples the larger rate counts. The
        samples are shared out over the ranks. Collisions damp a coherence at the mean rate of its flavours; the mean
        over what could mix is taken off.
        """
        dec, around, number = self.decomposition, self.surroundings, self.phase_space.number_weight
        chains = around.chains(points.populations, crossed)
        samples = _samples([chain.size for chain in chains], self.options.stability_cells)
        wanted = np.concatenate([chain[at] for chain, at in zip(chains, samples, strict=True)])
        mine = {int(cell): i for i, cell in enumerate(dec.numbers)}
        sent: list[list[tuple[int, dict[str, Any], bool, float, float]]] = [[] for _ in range(dec.comm.size)]
        for index, cell in enumerate(wanted):
            i = mine.get(int(cell))
            if i is None:
                continue
            could_mix = number * np.einsum("m,msg->sg", weight[i], np.ptp(points.populations[i], axis=3))
            damping = float((could_mix * removal[i].mean(axis=2)).sum() / max(could_mix.sum(), 1.0e-300))
            # slower than a fraction of the threshold over the size of the system does not matter
            floor = SLOWEST * self.options.e_folds / float(around.size[i]) + damping
            row = 0 if mixing.medium.weight.shape[0] == 1 else i
            state = {
                "populations": points.populations[i],
                "vacuum": points.vacuum[i],
                "hamiltonian": points.hamiltonian[i],
                **around.directions(mixing.medium.weight[row], mixing.medium.velocity[row]),
            }
            sent[index % dec.comm.size].append((index, state, bool(crossed[i]), floor, damping))
        received = sent if dec.comm.size == 1 else dec.comm.alltoall(sent)
        found = np.full((wanted.size, around.symmetries), np.nan)
        for index, state, crosses, floor, damping in (job for part in received for job in part):
            modes = linearise(**state, number_weight=number, strength=mixing.hamiltonian.strength)
            for column, (name, waves) in enumerate(around.waves(modes, crosses).items()):
                found[index, column] = _growth(modes, name, waves, floor, damping)
        # of each sample one rank knows the rate
        every = np.stack(dec.comm.allgather(found)) if dec.comm.size > 1 else found[None]
        found = np.fmax.reduce(every, axis=0)
        rates = np.full((dec.total, around.symmetries), np.nan)
        done = 0
        for chain, at in zip(chains, samples, strict=True):
            if at.size == 0:
                continue
            known = found[done : done + at.size]
            done += at.size
            own = np.arange(chain.size)
            right = np.clip(np.searchsorted(at, own), 0, at.size - 1)
            left = np.clip(right - (at[right] > own), 0, at.size - 1)
            rates[chain] = np.fmax(known[left], known[right])
        larger: NDArray[np.float64] = rates[dec.numbers]
        return larger

    def summary(self) -> tuple[dict[str, float], list[str]]:
        """Numbers of flagged cells and extremes, and the lines that a run ends with (collective)."""
        if self.last is None:
            return {}, []
        comm, total = self.decomposition.comm, self.decomposition.total
        last, numbers, lines = self.last, {}, []
        volume = self.phase_space.mesh.volume_at(self.decomposition.cells)
        gather = self.decomposition.gather
        for name, words in FLAGS.items():
            if name not in last.flags:
                continue
            flagged = last.flags[name]
            count = int(comm.allreduce(int(flagged.sum())))
            numbers[f"cells {name}"] = float(count)
            if not count:
                continue
            text = f"{words}: {count} of {total} cells, {self.surroundings.place(flagged)}"
            if name in last.share:
                # in the order of the mesh: the same sum on any number of ranks
                weighted = np.stack([last.share[name] * volume, volume], axis=1) * flagged[:, None]
                part, whole = (float(x) for x in gather(weighted).sum(axis=0))
                numbers[f"share {name}"] = part / whole
                text += f", {100.0 * part / whole:.2g} % of their phase space"
            lines.append(text)
        smallest = min(comm.allgather(float(np.minimum(last.gamma, last.gamma_time).min(initial=np.inf))))
        numbers["smallest gamma"] = smallest
        for name, values in (
            ("largest t_osc over t_cell", last.crossing_ratio),
            ("largest t_osc over t_collision", last.collision_ratio),
            ("largest condition", last.condition),
            ("largest depth of a crossing", last.depth),
            ("largest e-folds", last.e_folds[:, 0]),
        ):
            numbers[name] = max(comm.allgather(float(values.max(initial=0.0))))
        return numbers, lines


def _samples(lengths: list[int], asked: int) -> list[NDArray[np.int64]]:
    """Positions in each chain, evenly spread, ends included; chains share what is asked for, the first ones more."""
    wanted = np.zeros(len(lengths), dtype=np.int64)
    left = min(asked, sum(lengths))
    while left:
        for chain, length in enumerate(lengths):
            if left and wanted[chain] < length:
                wanted[chain] += 1
                left -= 1
    return [
        np.unique(np.round(np.linspace(0, length - 1, int(count))).astype(np.int64))
        for length, count in zip(lengths, wanted, strict=True)
    ]


def _growth(modes: LevelModes, block: str, waves: NDArray[np.float64], floor: float, damping: float) -> float:
    """The largest growth over some wave numbers less the damping, 0 if below the floor, NaN if it cannot be told."""
    if modes.bound(block) <= floor:
        return 0.0
    best, told = 0.0, False
    for wave in waves:
        # a contour that cannot be resolved says nothing
        with suppress(ConvergenceError):
            level = max(floor, (1.0 + ACCURACY) * best)
            best = max(best, growth_rate(modes, wave, level, block).growth)
            told = True
    return max(best - damping, 0.0) if told else np.nan


def occupations(populations: NDArray[np.float64], frame: LevelFrame) -> NDArray[np.float64]:
    """Diagonal elements of the density matrices, (cell, direction, species, group, flavour 3)."""
    out = np.zeros((*populations.shape[:4], DIAGONAL))
    pure = np.flatnonzero(frame.mixed < 0)
    if pure.size:
        # the order of levels is the same in all locked cells
        for species in range(2):
            for level, component in enumerate(frame.component[pure[0], species]):
                out[pure, :, species, :, component] = populations[pure, :, species, :, level]
    mixed = frame.mixed_cells
    occupied, projector = populations[mixed], frame.projector[frame.mixed[mixed]][..., :DIAGONAL]
    # level by level: the order of the sum does not depend on the number of cells
    out[mixed] = sum(occupied[..., k, None] * projector[..., k, :] for k in range(occupied.shape[-1]))
    return out


def _inverse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1/x, 0 for infinity; the files hold finite numbers only."""
    out: NDArray[np.float64] = np.divide(1.0, values, out=np.full(values.shape, 1.0e300), where=values > 1.0e-300)
    return out
