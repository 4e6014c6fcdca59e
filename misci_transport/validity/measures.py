"""Adiabaticity, separation of scales and angular crossings of a state, cell by cell, on plain arrays.

    populations         (cell, direction, species, group, level), species 0 = neutrinos, 1 = antineutrinos; level k
                        belongs to the ascending eigenvalues of H, levels beyond N_f are spectators
    direction_cosine    (cell, direction); weight_0 (cell, direction)
    number_weight       (group,), cm^-3
    vacuum              (cell, group, N_f^2) packed M^2/2E in cm^-1
    hamiltonian         (cell, 2, N_f^2) packed, cm^-1: everything else

    H_{m,s,g} = (+1 nu, -1 nubar) vacuum_g + hamiltonian_0 - mu_m hamiltonian_1

Formulas, thresholds and limits: docs/validity.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..flavor import check_flavor_count, flavors_of
from ..kernels import adiabaticity as _adiabaticity
from ..kernels import crossings as _crossings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: A resonance with gamma = 3 jumps with probability exp(-3 pi/2) = 0.9 %: below, populations do not stay on levels.
GAMMA_THRESHOLD = 3.0
#: Pairs of levels whose populations differ by less, relative to the largest population, do not count.
NEGLIGIBLE_DIFFERENCE = 1.0e-6
#: A crossing shallower than this (smaller over larger lobe) is taken for noise of the transport.
CROSSING_FLOOR = 1.0e-6
#: Lobes below this share of all neutrinos of a cell are round-off.
ROUND_OFF = 1.0e-13


@dataclass(frozen=True)
class Points:
    """State at a number of points: cells, or the ends of segments; arrays as in the module's docstring."""

    populations: NDArray[np.float64]
    direction_cosine: NDArray[np.float64]
    vacuum: NDArray[np.float64]
    hamiltonian: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("populations", "direction_cosine", "vacuum", "hamiltonian"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float64))
        if self.vacuum.ndim != 3:
            raise ConfigurationError(f"vacuum has {self.vacuum.ndim} axes; accepted: (cell, group, N_f^2)")
        n = check_flavor_count(flavors_of(self.vacuum.shape[2]))
        cells, groups = self.vacuum.shape[:2]
        directions = self.direction_cosine.shape[1] if self.direction_cosine.ndim == 2 else 0
        levels = max(n, self.populations.shape[-1] if self.populations.ndim else 0)
        _check("populations", self.populations, (cells, directions, 2, groups, levels))
        _check("direction_cosine", self.direction_cosine, (cells, directions))
        _check("hamiltonian", self.hamiltonian, (cells, 2, n * n))

    @property
    def cells(self) -> int:
        """Number of points."""
        return int(self.vacuum.shape[0])

    def __getitem__(self, part: slice) -> Points:
        """Some of the points."""
        return Points(self.populations[part], self.direction_cosine[part], self.vacuum[part], self.hamiltonian[part])


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
    count, directions = start.direction_cosine.shape
    weights = np.ascontiguousarray(number_weight, dtype=np.float64)
    _check("number_weight", weights, (start.vacuum.shape[1],))
    for name in ("populations", "direction_cosine", "vacuum", "hamiltonian"):
        _check(f"end.{name}", getattr(end, name), getattr(start, name).shape)
    length = _array("ds", ds, (count, directions))
    _positive("ds", length)
    _positive("threshold", np.array([threshold], np.float64))
    gamma, fraction = np.empty(count), np.empty(count)
    _adiabaticity.adiabaticity(
        start.populations,
        start.direction_cosine,
        start.vacuum,
        start.hamiltonian,
        end.populations,
        end.direction_cosine,
        end.vacuum,
        end.hamiltonian,
        _array("weight_0", weight_0, (count, directions)),
        weights,
        length,
        float(threshold),
        float(negligible),
        gamma,
        fraction,
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
    cells, directions = points.direction_cosine.shape
    step = np.diff(_array("radius", radius, (cells,)))
    _positive("radius step ", step)
    slant = 0.5 * (np.abs(points.direction_cosine[1:]) + np.abs(points.direction_cosine[:-1]))
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
    cells, directions = points.direction_cosine.shape
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
        points.direction_cosine,
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
    """Depth min(I_+, I_-)/max(I_+, I_-) of G(mu) = sum_g N_g (f_e - f_x - fbar_e + fbar_x), I_+- = int max(+-G, 0) dmu.

    Against both heavy flavours x. occupation (cell, direction, species, group, flavour 3): the diagonals of the
    density matrices.

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
