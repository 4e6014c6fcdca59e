"""Adiabaticity, separation of scales and angular crossings of a state, cell by cell, on plain arrays.

    populations         (cell, direction, species, group, level), species 0 = neutrinos, 1 = antineutrinos; level k
                        belongs to the ascending eigenvalues of H, levels beyond N_f are spectators
    velocity            (cell, direction, axis) components along the axes that the moments follow: one axis (the
                        direction cosine; the axis may be left out) or three. One row of cells serves all cells
    weight_0            (cell, direction)
    number_weight       (group,), cm^-3
    vacuum              (cell, group, N_f^2) packed M^2/2E in cm^-1
    hamiltonian         (cell, 1 + axes, N_f^2) packed, cm^-1: everything else

    H_{m,s,g} = (+1 nu, -1 nubar) vacuum_g + hamiltonian_0 - v_m . hamiltonian_1

Formulas, thresholds and limits: docs/validity.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..flavor import check_flavor_count, flavors_of
from ..kernels import adiabaticity as _adiabaticity
from ..kernels import block_paths as _block_paths
from ..kernels import crossings as _crossings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: A resonance with gamma = 3 jumps with probability exp(-3 pi/2) = 0.9 %: below, populations do not stay on levels.
GAMMA_THRESHOLD = 3.0
#: Pairs of levels whose populations differ by less, relative to the largest population, do not count.
NEGLIGIBLE_DIFFERENCE = 1.0e-6
#: A crossing shallower than this (smaller over larger lobe) is taken for noise of the transport.
CROSSING_FLOOR = 1.0e-6
#: E-folds after which an instability matters: a seed of 5e-5 (mixing angle in matter) has become of order one.
E_FOLD_THRESHOLD = 20.0
#: Segments whose Hamiltonians are set up together: that bounds the memory.
PART = 512
#: Lobes below this share of all neutrinos of a cell are round-off.
ROUND_OFF = 1.0e-13


@dataclass(frozen=True)
class Points:
    """State at a number of points: cells, or the ends of segments; arrays as in the module's docstring."""

    populations: NDArray[np.float64]
    velocity: NDArray[np.float64]
    vacuum: NDArray[np.float64]
    hamiltonian: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("populations", "velocity", "vacuum", "hamiltonian"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float64))
        if self.velocity.ndim == 2:
            object.__setattr__(self, "velocity", self.velocity[..., None])
        if self.vacuum.ndim != 3:
            raise ConfigurationError(f"vacuum has {self.vacuum.ndim} axes; accepted: (cell, group, N_f^2)")
        n = check_flavor_count(flavors_of(self.vacuum.shape[2]))
        cells, groups = self.vacuum.shape[:2]
        rows, directions, axes = self.velocity.shape if self.velocity.ndim == 3 else (cells, 0, 1)
        levels = max(n, self.populations.shape[-1] if self.populations.ndim else 0)
        _check("populations", self.populations, (cells, directions, 2, groups, levels))
        _check("velocity", self.velocity, (1 if rows == 1 else cells, directions, axes))
        _check("hamiltonian", self.hamiltonian, (cells, 1 + axes, n * n))

    @property
    def n_flavors(self) -> int:
        """Number of mixing flavours."""
        return flavors_of(self.vacuum.shape[2])

    @property
    def cells(self) -> int:
        """Number of points."""
        return int(self.vacuum.shape[0])

    @property
    def directions(self) -> int:
        """Number of directions."""
        return int(self.velocity.shape[1])

    def __getitem__(self, part: slice) -> Points:
        """Some of the points."""
        velocity = self.velocity if self.velocity.shape[0] == 1 and self.cells > 1 else self.velocity[part]
        return Points(self.populations[part], velocity, self.vacuum[part], self.hamiltonian[part])

    def along_rays(self) -> NDArray[np.float64]:
        """H without its vacuum term, packed up to a multiple of the identity, (cell, direction, N_f^2)."""
        base = np.empty((self.cells, self.directions, self.hamiltonian.shape[2]))
        _adiabaticity.ray_fields(self.hamiltonian, self.velocity, self.n_flavors, base)
        return base


@dataclass(frozen=True)
class Adiabaticity:
    """How well levels follow a changing Hamiltonian."""

    gamma: NDArray[np.float64]  #: (segment or cell,) the smallest gap^2/(2 |<l|H'|k>|); infinite if nothing turns
    fraction: NDArray[np.float64]  #: the share of phase space below the threshold


@dataclass(frozen=True)
class ScaleSeparation:
    """Oscillation time, 2 pi over the distance of levels, against the times of transport."""

    crossing: NDArray[np.float64]  #: (cell,) the largest t_osc/t_cell, t_cell = width/c
    collision: NDArray[np.float64]  #: (cell,) the largest t_osc/t_collision
    crossing_fraction: NDArray[np.float64]  #: (cell,) share of phase space with t_osc > t_cell
    collision_fraction: NDArray[np.float64]  #: (cell,) share of phase space with t_osc > t_collision
    gap: NDArray[np.float64]  #: (cell,) cm^-1, the smallest; infinite if no populations differ
    degeneracy: NDArray[np.float64]  #: (cell,) the smallest gap over |vacuum| + |hamiltonian|


@dataclass(frozen=True)
class Crossings:
    """Angular crossings of the electron-lepton number against each heavy flavour."""

    depth: NDArray[np.float64]  #: (cell, 2) min(I_+, I_-)/max(I_+, I_-), between 0 and 1; zero below round-off
    crossed: NDArray[np.bool_]  #: (cell, 2) depth above the floor


def _check(name: str, array: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ConfigurationError(f"{name} has shape {array.shape}; accepted: {shape}")


def _array(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.ascontiguousarray(values, dtype=np.float64)
    _check(name, array, shape)
    return array


def _positive(name: str, values: NDArray[np.float64]) -> None:
    bad = np.argwhere(~(values > 0.0))
    if bad.size:
        at = tuple(int(i) for i in bad[0])
        raise ConfigurationError(f"{name}{list(at)} is {values[at]}; accepted: above 0")


def segment_adiabaticity(
    start: Points,
    end: Points,
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    ds: ArrayLike,
    threshold: float = GAMMA_THRESHOLD,
    negligible: float = NEGLIGIBLE_DIFFERENCE,
) -> Adiabaticity:
    """Return gamma = min gap^2/(2 |<l|H'|k>|) of segments on which H is linear from start to end, length ds.

    Along rays start and end are neighbouring cells and ds (segment, direction) = (r_b - r_a)/|mu|. In time they are one
    cell before and after a step, and ds = c dt.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, or a length or the threshold is not positive.
    """
    count, directions = start.cells, start.directions
    weights = np.ascontiguousarray(number_weight, dtype=np.float64)
    _check("number_weight", weights, (start.vacuum.shape[1],))
    for name in ("populations", "velocity", "vacuum", "hamiltonian"):
        _check(f"end.{name}", getattr(end, name), getattr(start, name).shape)
    length = _array("ds", ds, (count, directions))
    _positive("ds", length)
    _positive("threshold", np.array([threshold], np.float64))
    weight = _array("weight_0", weight_0, (count, directions))
    gamma, fraction = np.empty(count), np.empty(count)
    for first in range(0, count, PART):
        part = slice(first, first + PART)
        here, there = start[part], end[part]
        _adiabaticity.adiabaticity(
            here.populations,
            here.vacuum,
            here.along_rays(),
            there.populations,
            there.vacuum,
            there.along_rays(),
            weight[part],
            weights,
            length[part],
            float(threshold),
            float(negligible),
            gamma[part],
            fraction[part],
        )
    return Adiabaticity(gamma, fraction)


def ray_adiabaticity(
    points: Points,
    radius: ArrayLike,
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    threshold: float = GAMMA_THRESHOLD,
    negligible: float = NEGLIGIBLE_DIFFERENCE,
) -> Adiabaticity:
    """Return gamma of every cell along rays, the worse of the segments to its two neighbours.

    Directions are followed by their index; ds = (r_{i+1} - r_i)/|mu| with the mean of |mu| at both ends. radius
    (cell,) in cm, ascending, weight_0 (cell, direction). One cell alone has gamma = infinity.

    Raises
    ------
    ConfigurationError
        As `segment_adiabaticity`, or if the radii do not ascend.
    """
    cells, directions = points.cells, points.directions
    step = np.diff(_array("radius", radius, (cells,)))
    _positive("radius step ", step)
    cosine = np.abs(np.broadcast_to(points.velocity[..., 0], (cells, directions)))
    slant = 0.5 * (cosine[1:] + cosine[:-1])
    # A direction across the radius never arrives: its path is as long as floating point makes it.
    segments = segment_adiabaticity(
        points[:-1],
        points[1:],
        weight_0=_array("weight_0", weight_0, (cells, directions))[:-1],
        number_weight=number_weight,
        ds=step[:, None] / np.maximum(slant, 1e-12),
        threshold=threshold,
        negligible=negligible,
    )
    gamma, fraction = np.full(cells, np.inf), np.zeros(cells)
    for part in (slice(0, cells - 1), slice(1, cells)):
        gamma[part] = np.minimum(gamma[part], segments.gamma)
        fraction[part] = np.maximum(fraction[part], segments.fraction)
    return Adiabaticity(gamma, fraction)


@dataclass(frozen=True)
class Paths:
    """Where the cells of a block lie: what `path_adiabaticity` needs besides the state; rows are cells, then ghosts."""

    neighbour: NDArray[np.int64]  #: (cell, axis, side) rows of the neighbours, the cell's own where there is none
    distance: NDArray[np.float64]  #: (cell, axis, side) cm between the centres, infinite along unresolved axes
    polar: NDArray[np.float64]  #: (cell, 3) r, cos theta, sin theta of the centres; (0, 3) in Cartesian coordinates


def path_adiabaticity(
    points: Points,
    fields: NDArray[np.float64],
    paths: Paths,
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    threshold: float = GAMMA_THRESHOLD,
    negligible: float = NEGLIGIBLE_DIFFERENCE,
) -> Adiabaticity:
    """Return gamma of every cell of a block along the straight paths of its neutrinos to the neighbours downstream.

    H on a path is linear from the cell's to H_end = sum_d (t |v_d|/l_d) H_d, t = 1/sum_d |v_d|/l_d, at the same
    direction in space (`kernels/block_paths.py`). fields (row, 4, N_f^2) is points.hamiltonian with ghost rows; the
    populations are the cell's own.

    Raises
    ------
    ConfigurationError
        As `segment_adiabaticity`.
    """
    cells, directions, n = points.cells, points.directions, points.n_flavors
    weights = _array("number_weight", number_weight, (points.vacuum.shape[1],))
    weight = _array("weight_0", weight_0, (cells, directions))
    _positive("threshold", np.array([threshold], np.float64))
    _check("velocity", points.velocity, (1, directions, 3))
    for name in ("neighbour", "distance"):
        _check(name, getattr(paths, name), (cells, 3, 2))
    gamma, fraction = np.empty(cells), np.empty(cells)
    for first in range(0, cells, PART):
        part = slice(first, first + PART)
        here = points[part]
        base = np.empty((here.cells, directions, n * n))
        length = np.empty((here.cells, directions))
        _block_paths.path_ends(
            fields, points.velocity[0], paths.neighbour, paths.distance, paths.polar, first, n, base, length
        )
        _adiabaticity.adiabaticity(
            here.populations,
            here.vacuum,
            here.along_rays(),
            here.populations,
            here.vacuum,
            base,
            weight[part],
            weights,
            length,
            float(threshold),
            float(negligible),
            gamma[part],
            fraction[part],
        )
    return Adiabaticity(gamma, fraction)


def scale_separation(
    points: Points,
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    width: ArrayLike,
    removal: ArrayLike,
    negligible: float = NEGLIGIBLE_DIFFERENCE,
) -> ScaleSeparation:
    """Return t_osc = 2 pi/gap of levels with different populations over width/c and over 1/removal, and the gaps.

    width (cell,) in cm; removal (cell, species, group) or (cell, species, group, level) in cm^-1, of two levels the
    mean, which is the rate at which their coherence is damped.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, a width is not positive, or a removal is negative.
    """
    cells, directions = points.cells, points.directions
    groups, levels = points.populations.shape[3:]
    weights = _array("number_weight", number_weight, (groups,))
    widths = _array("width", width, (cells,))
    _positive("width", widths)
    rates = np.asarray(removal, dtype=np.float64)
    if rates.ndim == 3:
        rates = np.repeat(rates[..., None], levels, axis=3)
    rates = _array("removal", rates, (cells, 2, groups, levels))
    if not np.all(rates >= 0.0):
        at = tuple(int(i) for i in np.argwhere(~(rates >= 0.0))[0])
        raise ConfigurationError(f"removal{list(at)} is {rates[at]}; accepted: 0 or more")
    ratio, fraction = np.empty((cells, 2)), np.empty((cells, 2))
    gap, degeneracy = np.empty(cells), np.empty(cells)
    _adiabaticity.scale_separation(
        points.populations,
        points.velocity,
        _array("weight_0", weight_0, (cells, directions)),
        weights,
        points.vacuum,
        points.hamiltonian,
        widths,
        rates,
        float(negligible),
        ratio,
        fraction,
        gap,
        degeneracy,
    )
    return ScaleSeparation(ratio[:, 0], ratio[:, 1], fraction[:, 0], fraction[:, 1], gap, degeneracy)


def angular_crossings(
    occupation: ArrayLike, weight_0: ArrayLike, number_weight: ArrayLike, floor: float = CROSSING_FLOOR
) -> Crossings:
    """Depth min(I_+, I_-)/max(I_+, I_-) of G(v) = sum_g N_g (f_e - f_x - fbar_e + fbar_x), I_+- = int max(+-G, 0) dv.

    Over all directions, against both heavy flavours x. occupation (cell, direction, species, group, flavour 3): the
    diagonals of the density matrices.

    Raises
    ------
    ConfigurationError
        If shapes do not fit.
    """
    occupied = np.ascontiguousarray(occupation, dtype=np.float64)
    if occupied.ndim != 5 or occupied.shape[2] != 2 or occupied.shape[4] != 3:
        raise ConfigurationError(
            f"occupation has shape {occupied.shape}; accepted: (cell, direction, 2, group, flavour 3)"
        )
    cells, directions, _, groups, _ = occupied.shape
    plus, minus, total = np.empty((cells, 2)), np.empty((cells, 2)), np.empty((cells, 2))
    _crossings.angular_crossings(
        occupied,
        _array("weight_0", weight_0, (cells, directions)),
        _array("number_weight", number_weight, (groups,)),
        plus,
        minus,
        total,
    )
    smaller, larger = np.minimum(plus, minus), np.maximum(plus, minus)
    resolved = smaller > ROUND_OFF * total
    depth = np.divide(smaller, larger, out=np.zeros_like(smaller), where=resolved)
    return Crossings(depth, depth > floor)


def e_folds(growth: ArrayLike, width: ArrayLike, start: float = 0.0) -> NDArray[np.float64]:
    """E-folds of a perturbation that moves outwards with the neutrinos: start + sum of growth width so far, (cell,).

    growth (cell,) and width (cell,) in cm^-1 and cm, cells from inside out; start is what the cells further in gave.

    Raises
    ------
    ConfigurationError
        If the shapes differ, or a growth or width is negative or not finite.
    """
    rates, widths = np.asarray(growth, dtype=np.float64), np.asarray(width, dtype=np.float64)
    if rates.ndim != 1 or rates.shape != widths.shape:
        raise ConfigurationError(f"growth, width have shapes {rates.shape}, {widths.shape}; accepted: the same (cell,)")
    for name, values in (("growth", rates), ("width", widths)):
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))
        if bad.size:
            raise ConfigurationError(f"{name} of cell {bad[0]} is {values[bad[0]]}; accepted: finite, 0 or more")
    folds: NDArray[np.float64] = start + np.cumsum(rates * widths)
    return folds
