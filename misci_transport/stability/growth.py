"""Growth over wave numbers, the fastest mode of a cell, and what drives it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize_scalar

from ..errors import ConfigurationError, ConvergenceError
from .contour import ACCURACY, growth_rate, wave_vectors
from .eigenmodes import spectrum
from .modes import AXIAL, FlavorModes, LevelModes, linearise, linearise_flavors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .eigenmodes import Spectrum
    from .modes import Modes

#: What drives a mode, by the code of the output. A fast one grows without vacuum term and collisions, a slow one with
#: the vacuum term alone, a collisional one needs collisions.
STABLE, FAST, SLOW, COLLISIONAL = range(4)
KINDS = ("stable", "fast", "slow", "collisional")
#: A mode is of a kind if this part of its growth is left without the other terms.
MAIN = 0.5
#: Trial wave numbers on each side of K_0: from the first to the last times the rate of the cell, by a constant ratio.
TRIALS = (0.02, 3.0, 8)
SPHERE_TRIALS = (0.1, 2.0, 4)
#: Local maxima over the trial wave numbers that are refined.
REFINED = 3
#: Accuracy of the wave number of the fastest mode, relative to the distance of trial wave numbers.
WAVE_ACCURACY = 1.0e-2


@dataclass(frozen=True)
class Dispersion:
    """The fastest modes of a cell over wave numbers; zero where nothing grows above the floor."""

    wave_number: NDArray[np.float64]  #: (wave,) or (wave, 3), cm^-1
    growth: NDArray[np.float64]  #: (wave,) largest Im sigma of resolved modes, cm^-1
    frequency: NDArray[np.float64]  #: (wave,) its Re sigma; NaN where nothing grows
    resolution: NDArray[np.float64]  #: (wave,) of it, as `Spectrum.resolution`
    unresolved: NDArray[np.float64]  #: (wave,) largest Im sigma of modes of the discrete directions, cm^-1
    number: NDArray[np.int64]  #: (wave,) of growing modes, both kinds
    complete: NDArray[np.bool_]  #: (wave,) whether a count agrees (true without a check)


@dataclass(frozen=True)
class Fastest:
    """The fastest growing resolved mode of one cell."""

    growth: float  #: cm^-1; 0 if nothing grows faster than the floor
    frequency: float  #: cm^-1; NaN if nothing grows
    wave_number: NDArray[np.float64]  #: (axis,) cm^-1; NaN if nothing grows
    block: str
    resolution: float
    unresolved: float  #: largest growth of modes of the discrete directions at the wave numbers looked at, cm^-1
    complete: bool  #: whether the argument principle agrees that nothing grows faster at this wave number
    floor: float  #: cm^-1
    pair: tuple[int, int] | None = None  #: of flavours, where the state is diagonal in flavour
    kind: int = STABLE
    without_collisions: float = 0.0  #: growth without damping, cm^-1
    without_vacuum: float = 0.0  #: growth without damping and vacuum term, cm^-1


def dispersion(
    modes: Modes, wave_number: ArrayLike, floor: float, block: str | None = None, *, check: bool = False
) -> Dispersion:
    """Growth over wave numbers (wave,), or (wave, 3) on the sphere; neighbours start from each other's modes.

    Raises
    ------
    ConfigurationError, ConvergenceError
        As `spectrum`.
    """
    waves = np.asarray(wave_number, dtype=np.float64)
    if waves.ndim != (2 if modes.velocity.shape[1] > 1 else 1):
        raise ConfigurationError(f"wave numbers have shape {waves.shape}; accepted: (wave,), on the sphere (wave, 3)")
    found = []
    before = np.empty(0, np.complex128)
    for k in waves:
        here = spectrum(modes, k if waves.ndim > 1 else float(k), floor, block, check=check, guesses=before)
        before = here.frequency
        found.append(here)
    best = [_leading(here) for here in found]
    return Dispersion(
        waves,
        np.array([entry[0] for entry in best]),
        np.array([entry[1] for entry in best]),
        np.array([entry[2] for entry in best]),
        np.array([float(here.growth[here.artefact].max(initial=0.0)) for here in found]),
        np.array([here.growth.size for here in found], dtype=np.int64),
        np.array([here.complete for here in found]),
    )


def _leading(found: Spectrum) -> tuple[float, float, float]:
    """Growth, frequency and resolution of the fastest resolved mode."""
    kept = np.flatnonzero(~found.artefact)
    if kept.size == 0:
        return 0.0, np.nan, np.nan
    first = kept[0]
    return float(found.growth[first]), float(found.frequency[first].real), float(found.resolution[first])


def trial_wave_numbers(modes: Modes, block: str | None = None) -> NDArray[np.float64]:
    """Wave numbers to look at, ascending, (wave,) cm^-1: 0, some around K_0, and some inside the bands of fast modes.

    K_0 and the rates as in `Modes.collective`. Fast modes are neutral where the phase moves with the direction v_c of a
    crossing of the electron-lepton number, which makes a sum with 1/(v - v_c) finite: with p the sum of +-N_g
    (n_e - n_x) of a direction, the neutral K - K_0 are the eigenvalues of strength sum_m vertex_m p_m/(v_m - v_c), and
    bands of growth lie between them (T. Morinaga, arXiv:2103.15267).
    """
    k0, fast, slow = modes.drift
    rate = max(fast, float(np.sqrt(modes.bound() * slow)))
    steps = np.geomspace(*TRIALS)
    trial = [np.zeros(1), k0 + rate * np.concatenate([-steps[::-1], [0.0], steps])]
    order = np.argsort(modes.velocity[:, 0])
    v, p = modes.velocity[order, 0], modes.contrast.sum(axis=1)[order]
    vertex = modes.vertices[block or modes.blocks[0]][order]
    edges = [0.0]
    for at in np.flatnonzero(p[1:] * p[:-1] < 0.0):
        crossing = v[at] - p[at] * (v[at + 1] - v[at]) / (p[at + 1] - p[at])
        values = np.linalg.eigvals(modes.strength * np.einsum("m,mlk->lk", p / (v - crossing), vertex))
        edges += [float(x.real) for x in values if abs(x.imag) < 1e-6 * abs(x)]
    if len(edges) > 1:
        edge = np.sort(edges)
        inside = edge[:-1, None] + np.diff(edge)[:, None] * np.array([0.1, 0.3, 0.5, 0.7, 0.9])
        trial.append(k0 + inside.ravel())
    whole = np.concatenate(trial)
    if isinstance(modes, LevelModes):
        # of both signs, as the other element of every pair
        whole = whole if k0 != 0.0 else np.concatenate([whole, -whole])
    found: NDArray[np.float64] = np.unique(whole)
    return found


def trial_wave_vectors(modes: Modes) -> NDArray[np.float64]:
    """Wave vectors to look at on the sphere, (wave, 3) cm^-1: those of `wave_vectors` and more along the same lines."""
    drift, fast, slow = modes.collective
    rate = max(fast, float(np.sqrt(modes.bound() * slow)))
    size = float(np.linalg.norm(drift))
    lines = np.concatenate([drift[None] / size, np.eye(3)]) if size > 0.0 else np.eye(3)
    steps = rate * np.geomspace(*SPHERE_TRIALS)
    more = (lines[:, None] * np.concatenate([-steps[::-1], steps])[:, None]).reshape(-1, 3)
    return np.concatenate([wave_vectors(modes), drift + more])


def fastest(
    modes: Modes,
    floor: float,
    wave_number: ArrayLike | None = None,
    *,
    blocks: tuple[str, ...] | None = None,
    check: bool = True,
    refine: bool = True,
) -> Fastest:
    """The fastest growing mode over wave numbers (by default the trial ones) and blocks.

    The wave number of the largest growth is refined between its neighbours, on the sphere along the line through K_0.
    With ``check`` the argument principle looks for faster ones at the wave number found (at K_0 if nothing grows).

    Raises
    ------
    ConfigurationError
        If the floor is not a positive number, or a block is unknown.
    """
    sphere = modes.velocity.shape[1] > 1
    best: tuple[float, float, float] = (0.0, np.nan, np.nan)
    wave: Any = None
    chosen, unresolved = modes.blocks[0], 0.0
    for block in blocks or modes.blocks:
        if wave_number is not None:
            trial = np.asarray(wave_number, dtype=np.float64)
        else:
            trial = trial_wave_vectors(modes) if sphere else trial_wave_numbers(modes, block)
        curve = dispersion(modes, trial, floor, block)
        unresolved = max(unresolved, float(curve.unresolved.max(initial=0.0)))
        for at in _peaks(curve.growth, REFINED if refine and not sphere else 1):
            there = float(curve.growth[at]), float(curve.frequency[at]), float(curve.resolution[at])
            peak = trial[at]
            if refine:
                peak, there = _refined(modes, trial, int(at), floor, block, there)
            if there[0] > best[0]:
                best, wave, chosen = there, peak, block
    growth, frequency, resolution = best
    block, complete = chosen, True
    if check:
        looked: Any = modes.collective[0] if wave is None else wave
        looked = looked if sphere else float(np.ravel(looked)[0])
        growth, frequency, resolution, complete = _verified(modes, looked, block, floor, growth, frequency, resolution)
        wave = looked if growth > 0.0 else None
    axes = modes.velocity.shape[1]
    vector = np.full(axes, np.nan) if wave is None else np.array(np.broadcast_to(wave, (axes,)), dtype=np.float64)
    pair = modes.pair if isinstance(modes, FlavorModes) else None
    return Fastest(growth, frequency, vector, block, resolution, unresolved, complete, floor, pair)


def _peaks(growth: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """The highest local maxima above zero, highest first."""
    padded = np.concatenate([[0.0], growth, [0.0]])
    peak = np.flatnonzero((growth > 0.0) & (growth >= padded[:-2]) & (growth > padded[2:]))
    return peak[np.argsort(-growth[peak], kind="stable")][:most]


def _refined(
    modes: Modes,
    trial: NDArray[np.float64],
    at: int,
    floor: float,
    block: str,
    there: tuple[float, float, float],
) -> tuple[Any, tuple[float, float, float]]:
    """Wave number, and growth, frequency and resolution, at the maximum between the neighbours of trial[at]."""
    start = trial[at]
    direction: Any = 1.0
    if trial.ndim == 1:
        below, above = trial[trial < start], trial[trial > start]
        low, high = below.max(initial=-np.inf) - start, above.min(initial=np.inf) - start
        ends = (float(low) if below.size else 0.0, float(high) if above.size else 0.0)
    else:
        away = start - modes.collective[0]
        size = float(np.linalg.norm(away))
        if size == 0.0:
            return start, there
        direction, ends = away / size, (-0.6 * size, 1.2 * size)
    guess = np.array([complex(there[1], there[0])])
    known: dict[float, tuple[float, float, float]] = {0.0: there}

    def falling(step: float) -> float:
        wave = start + step * direction
        known[step] = _leading(
            spectrum(modes, wave if trial.ndim > 1 else float(wave), floor, block, check=False, guesses=guess)
        )
        return -known[step][0]

    if ends[1] > ends[0]:
        minimize_scalar(falling, bounds=ends, method="bounded", options={"xatol": WAVE_ACCURACY * (ends[1] - ends[0])})
    step = max(known, key=lambda x: known[x][0])
    return start + step * direction, known[step]


def _verified(
    modes: Modes, wave: Any, block: str, floor: float, growth: float, frequency: float, resolution: float
) -> tuple[float, float, float, bool]:
    """The same after a count of what grows faster at this wave number; false if it cannot be told."""
    try:
        above = max(floor, (1.0 + ACCURACY) * growth)
        found = spectrum(modes, wave, above, block, check=True)
        if found.complete:
            faster = _leading(found)
            return (growth, frequency, resolution, True) if faster[0] <= growth else (*faster, True)
        rate = growth_rate(modes, wave, above, block)
    except ConvergenceError:
        return growth, frequency, resolution, False
    # a mode that Newton's method does not reach: whether it is resolved is not known
    return max(growth, rate.growth), rate.frequency, resolution, False


@dataclass(frozen=True)
class CellState:
    """One cell as `linearise` and `linearise_flavors` take it; plain arrays that travel between ranks."""

    occupied: NDArray[np.float64]  #: (direction, species, group, level or flavour)
    diagonal: bool  #: whether these are occupations of flavours, without coherence, or populations of levels
    arguments: dict[str, Any]  #: of these functions, with the directions

    def modes(self) -> list[Modes]:
        """Linearised equations: of all pairs of flavours whose occupations differ, or of the levels."""
        if not self.diagonal:
            return [linearise(self.occupied, **self.arguments)]
        flavors = 2 if np.shape(self.arguments["vacuum"])[-1] == 4 else 3
        pairs = combinations(range(flavors), 2)
        made = [linearise_flavors(self.occupied, pair=pair, **self.arguments) for pair in pairs]
        largest = max(m.largest.max(initial=0.0) for m in made)
        kept: list[Modes] = []
        for m in made:
            # two heavy flavours that are alike do not mix, and do the same with nu_e
            alike = any(
                np.allclose(m.difference, other.difference, rtol=0.0, atol=1e-9 * largest)
                and np.allclose(m.vacuum_gap, other.vacuum_gap, rtol=1e-6, atol=0.0)
                for other in kept
            )
            if m.largest.max(initial=0.0) > 1e-9 * largest and not alike:
                kept.append(m)
        return kept


def examine(
    state: CellState,
    floor: float,
    wave_number: ArrayLike | None = None,
    *,
    kinds: bool = True,
    check: bool = True,
) -> Fastest:
    """The fastest mode of a cell, and its kind, found by switching collisions and the vacuum term off.

    Raises
    ------
    ConfigurationError
        As `linearise`, or if the floor is not a positive number.
    """
    made = state.modes()
    if not made:
        axes = 3 if "velocity" in state.arguments else 1
        block = "sphere" if axes == 3 else AXIAL
        return Fastest(0.0, np.nan, np.full(axes, np.nan), block, np.nan, 0.0, True, floor)
    found = [(fastest(m, floor, wave_number, check=check), m) for m in made]
    best, modes = max(found, key=lambda entry: entry[0].growth)
    unresolved = max(entry.unresolved for entry, _ in found)
    best = replace(best, unresolved=unresolved, complete=all(entry.complete for entry, _ in found))
    if not kinds or best.growth == 0.0:
        return best

    def left(**off: bool) -> float:
        return fastest(modes.without(**off), floor, wave_number, blocks=(best.block,), check=False, refine=False).growth

    damped = bool(modes.damping.any())
    slow = left(damping=True) if damped else best.growth
    net = modes.contrast.sum(axis=1)
    smallest = 1e-12 * float(np.abs(net).max(initial=0.0))
    # nothing fast without a crossing
    crossed = bool(net.max(initial=0.0) > smallest and net.min(initial=0.0) < -smallest)
    fast = left(damping=True, vacuum=True) if crossed or not isinstance(modes, FlavorModes) else 0.0
    kind = FAST if fast >= MAIN * best.growth else SLOW if slow >= MAIN * best.growth else COLLISIONAL
    return replace(best, kind=kind, without_collisions=slow, without_vacuum=fast)
