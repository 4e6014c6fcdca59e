"""The validity monitor of a run: measures of every cell, flags, and what a run says of itself in its last lines."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ConvergenceError
from ..fields import Field
from ..kernels.collisions import DIAGONAL
from .measures import (
    GAMMA_THRESHOLD,
    Points,
    angular_crossings,
    ray_adiabaticity,
    scale_separation,
    segment_adiabaticity,
)
from .stability import BLOCKS, growth_rate, linearise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..options import ValidityOptions
    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from ..physics.collisions import CollisionOperator
    from ..physics.levels import LevelFrame

#: Growth below this fraction of the threshold over the radius is not looked for.
SLOWEST = 0.25
#: A Newton matrix with a larger condition number leaves fewer than six digits.
LARGEST_CONDITION = 1.0e10
#: Levels nearer than this fraction of |H| count as degenerate.
SMALLEST_DISTANCE = 1.0e-6
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
    weight_0: NDArray[np.float64]
    weight_1: NDArray[np.float64]
    cosine: NDArray[np.float64]
    number_weight: NDArray[np.float64]
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
        """Vacuum term (cell, group, N_f^2) and the rest (cell, 2, N_f^2), cm^-1."""
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

    gamma: NDArray[np.float64]  #: smallest adiabaticity along rays
    gamma_time: NDArray[np.float64]  #: smallest adiabaticity of the last step, infinite without one
    fraction: NDArray[np.float64]  #: share of phase space that is not adiabatic
    crossing_ratio: NDArray[np.float64]  #: largest t_osc/t_cell
    collision_ratio: NDArray[np.float64]  #: largest t_osc/t_collision
    degeneracy: NDArray[np.float64]  #: smallest gap over |H|
    condition: NDArray[np.float64]  #: of the Newton matrix
    depth: NDArray[np.float64]  #: of angular crossings, the deeper of the two heavy flavours
    growth: NDArray[np.float64]  #: (cell, 2) cm^-1, of axially symmetric perturbations and of others; NaN: not computed
    e_folds: NDArray[np.float64]  #: (cell, 2) accumulated along outward rays
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
        growing = "of axially symmetric perturbations and of those that break the symmetry"
        axes = ("cell", "symmetry")
        made += [
            Field(
                "validity/growth", np.nan_to_num(self.growth, nan=-1.0), axes, "1/cm", f"growth {growing}, -1: unknown"
            ),
            Field("validity/e_folds", self.e_folds, axes, "1", f"growth {growing} accumulated along outward rays"),
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
        ]


class ValidityMonitor:
    """Measures the assumptions of local mixing equilibrium on this rank's cells."""

    def __init__(self, phase_space: PhaseSpace, decomposition: Decomposition, options: ValidityOptions) -> None:
        self.phase_space, self.decomposition, self.options = phase_space, decomposition, options
        self._growth = np.full((decomposition.size, len(BLOCKS)), np.nan)
        self._e_folds = np.zeros((decomposition.size, len(BLOCKS)))
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
        dec, mesh = self.decomposition, self.phase_space.mesh
        populations = np.ascontiguousarray(populations)
        vacuum, fields = mixing.effective_hamiltonian(moments)
        points = Points(populations, mixing.cosine, vacuum, fields)
        weight, number = np.abs(mixing.weight_0), self.phase_space.number_weight
        gamma, fraction = self._along_rays(points, weight, mixing)
        gamma_time = np.full(dec.size, np.inf)
        if before is not None:
            earlier = Points(populations, mixing.cosine, *before)
            path = np.full(mixing.cosine.shape, length)
            turned = segment_adiabaticity(earlier, points, weight_0=weight, number_weight=number, ds=path)
            gamma_time, fraction = turned.gamma, np.maximum(fraction, turned.fraction)
        removal = collisions.transport_opacity(frame)
        scales = scale_separation(
            points, weight_0=weight, number_weight=number, width=mesh.width[dec.cells], removal=np.abs(removal)
        )
        crossings = angular_crossings(occupations(populations, frame), weight, number)
        if stability:
            self._growth = self._rates(points, mixing, removal)
        known = np.where(np.isfinite(self._growth), self._growth, 0.0)
        own = np.cumsum(known * mesh.width[dec.cells][:, None], axis=0)
        before_me = dec.comm.exscan(own[-1]) if dec.comm.size > 1 else None
        self._e_folds = own if before_me is None else own + before_me
        grown = (self._e_folds > self.options.e_folds) & (known > 0.0)
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
            depth=crossings.depth.max(axis=1),
            growth=self._growth.copy(),
            e_folds=self._e_folds.copy(),
        )
        validity.flags = {
            "not adiabatic": (np.minimum(gamma, gamma_time) < GAMMA_THRESHOLD) & free,
            "oscillation slower than transport": (scales.crossing > 1.0) & free,
            "collisions faster than oscillations": (scales.collision > 1.0) & free,
            "nearly degenerate": (scales.degeneracy < SMALLEST_DISTANCE) & free,
            "ill-conditioned": ~(condition < LARGEST_CONDITION),
            "several solutions": mixing.roots(populations, moments),
            "angular crossing": crossings.crossed.any(axis=1),
            "unstable": grown[:, 0],
            "axially unstable": grown[:, 1],
            "charge not conserved": collective & mixing.charged & (mixing.charge_angle > LARGEST_ANGLE),
            "charge not held": collective & ~mixing.charged & small,
            "far start": mixing.far,
            "no solution": np.asarray(mixing.failed),
        }
        validity.share = {
            "not adiabatic": fraction,
            "oscillation slower than transport": scales.crossing_fraction,
            "collisions faster than oscillations": scales.collision_fraction,
        }
        self.last = validity
        return validity

    def _along_rays(
        self, points: Points, weight: NDArray[np.float64], mixing: Mixing
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Adiabaticity along rays, with the cells of other ranks next to this one's, region by region."""
        dec = self.decomposition
        arrays = (points.populations, points.direction_cosine, points.vacuum, points.hamiltonian)
        around = Points(*(dec.padded(x) for x in arrays))
        weights, center = dec.padded(weight), self.phase_space.mesh.center
        ends = {0, *mixing.region_faces(), dec.total}
        gamma, fraction = np.full(dec.size, np.inf), np.zeros(dec.size)
        for part in mixing.region_slices():
            # the neighbour on another rank belongs to this region unless the region ends at the rank's end
            low = part.start - (dec.start + part.start not in ends)
            high = part.stop + (dec.start + part.stop not in ends)
            chosen = slice(low + 1, high + 1)
            found = ray_adiabaticity(
                around[chosen],
                center[dec.start + low : dec.start + high],
                weight_0=weights[chosen],
                number_weight=self.phase_space.number_weight,
            )
            inside = slice(part.start - low, part.stop - low)
            gamma[part], fraction[part] = found.gamma[inside], found.fraction[inside]
        return gamma, fraction

    def _rates(self, points: Points, mixing: Mixing, removal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Growth of homogeneous perturbations in a sample of cells, (cell, 2); between two samples the larger one.

        Collisions damp a coherence at the mean rate of its flavours; the mean over what could mix is taken off.
        """
        dec, mesh = self.decomposition, self.phase_space.mesh
        asked = min(self.options.stability_cells, dec.total)
        sample = np.unique(np.round(np.linspace(0, dec.total - 1, asked)).astype(np.int64))
        mine = sample[(sample >= dec.start) & (sample < dec.stop)]
        found = np.full((mine.size, len(BLOCKS)), np.nan)
        for index, cell in enumerate(mine):
            i = int(cell - dec.start)
            modes = linearise(
                points.populations[i],
                weight_0=mixing.weight_0[i],
                weight_1=mixing.weight_1[i],
                direction_cosine=mixing.cosine[i],
                number_weight=self.phase_space.number_weight,
                vacuum=points.vacuum[i],
                hamiltonian=points.hamiltonian[i],
                strength=mixing.hamiltonian.strength,
            )
            # slower than a fraction of the threshold over the size of the system does not matter
            size = float(mesh.center[cell]) if mesh.geometry == "spherical" else float(mesh.face[-1] - mesh.face[0])
            could_mix = self.phase_space.number_weight * np.einsum(
                "m,msg->sg", np.abs(mixing.weight_0[i]), np.ptp(points.populations[i], axis=3)
            )
            damping = float((could_mix * removal[i].mean(axis=2)).sum() / max(could_mix.sum(), 1.0e-300))
            floor = SLOWEST * self.options.e_folds / max(size, float(mesh.width[cell])) + damping
            for block, name in enumerate(BLOCKS):
                if modes.bound(name) <= floor:
                    found[index, block] = 0.0
                    continue
                # a contour that cannot be resolved says nothing
                with suppress(ConvergenceError):
                    found[index, block] = max(growth_rate(modes, 0.0, floor, name).growth - damping, 0.0)
        cells, rates = dec.gather(mine), dec.gather(found)
        own = np.arange(dec.start, dec.stop)
        right = np.clip(np.searchsorted(cells, own), 0, cells.size - 1)
        left = np.clip(right - (cells[right] > own), 0, cells.size - 1)
        larger: NDArray[np.float64] = np.fmax(rates[left], rates[right])
        return larger

    def summary(self) -> tuple[dict[str, float], list[str]]:
        """Numbers of flagged cells and extremes, and the lines that a run ends with (collective)."""
        if self.last is None:
            return {}, []
        comm, total = self.decomposition.comm, self.decomposition.total
        last, numbers, lines = self.last, {}, []
        volume = self.phase_space.mesh.volume[self.decomposition.cells]
        for name, words in FLAGS.items():
            flagged = last.flags[name]
            count = int(comm.allreduce(int(flagged.sum())))
            numbers[f"cells {name}"] = float(count)
            if not count:
                continue
            radii = self.phase_space.mesh.center[self.decomposition.cells][flagged]
            low = min(comm.allgather(float(radii.min(initial=np.inf))))
            high = max(comm.allgather(float(radii.max(initial=-np.inf))))
            text = f"{words}: {count} of {total} cells, r = {low:.4g} to {high:.4g} cm"
            if name in last.share:
                share = last.share[name]
                part = comm.allreduce(float((share * volume)[flagged].sum()))
                whole = comm.allreduce(float(volume[flagged].sum()))
                numbers[f"share {name}"] = part / whole
                text += f", {100.0 * part / whole:.2g} % of their phase space"
            lines.append(text)
        for name, reduce, values in (
            ("smallest gamma", min, np.minimum(last.gamma, last.gamma_time)),
            ("largest t_osc over t_cell", max, last.crossing_ratio),
            ("largest t_osc over t_collision", max, last.collision_ratio),
            ("largest condition", max, last.condition),
            ("largest depth of a crossing", max, last.depth),
            ("largest e-folds", max, last.e_folds[:, 0]),
        ):
            numbers[name] = float(reduce(comm.allgather(float(reduce(values)))))
        return numbers, lines


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
    out[mixed] = np.einsum(
        "cmsgk,cmsgki->cmsgi", populations[mixed], frame.projector[frame.mixed[mixed]][..., :DIAGONAL]
    )
    return out


def _inverse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1/x, 0 for infinity; the files hold finite numbers only."""
    out: NDArray[np.float64] = np.divide(1.0, values, out=np.full(values.shape, 1.0e300), where=values > 1.0e-300)
    return out
