"""Unstable modes of aligned states: counted by the argument principle, growth rates by counting and Newton's method.

A perturbation of a cell's density matrices grows like exp(i K r - i sigma t) where det M(sigma, K) = 0 with
Im sigma > 0 (`modes.py`). docs/validity.md has the derivation, the numerics and the limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError, ConvergenceError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .modes import Modes, WaveNumber

#: Mismatch of log det M between two points of the contour and the trapezoid of its derivative, above which it is split.
MISMATCH = 0.25
#: Largest change of log det M (by its derivative at both ends) that one step may have.
LARGEST_STEP = 2.0
#: Points of a contour before the count is given up.
MAX_POINTS = 40000
#: Ratio of successive floors in the search for the largest growth rate.
DESCENT = 4.0
#: The largest growth rate is bracketed to this accuracy where Newton's method finds no root.
ACCURACY = 1.0e-2


@dataclass
class Line:
    """One stretch of the contour: log det M' along center + x + i floor; x is refined as needed and kept."""

    center: float
    x: NDArray[np.float64]
    derivative: NDArray[np.complex128] = field(default_factory=lambda: np.empty(0, np.complex128))


class Contour:
    """Counts zeros of det M above a horizontal line; what it learns of the mesh serves the next, lower line.

    |M - 1| < 1 farther than S from all poles. There log det M = sum log(1 - lambda) (principal values, lambda the
    eigenvalues of 1 - M) is known without integration, so that only the stretches of the line near poles need points.
    """

    def __init__(self, modes: Modes, wave_number: WaveNumber, block: str) -> None:
        self.modes, self.wave_number, self.block = modes, wave_number, block
        self.bound = modes.bound(block)
        self.lines: list[Line] = []
        poles = modes.poles(wave_number)
        if self.bound == 0.0 or poles.size == 0:
            return
        # Half again as wide as needed, so that no eigenvalue at the ends comes near the branch point.
        margin = 1.5 * self.bound
        for cluster in np.split(poles, np.flatnonzero(np.diff(poles) > 2.0 * margin) + 1):
            center = 0.5 * (cluster[0] + cluster[-1])
            inner = cluster - center
            low, high = inner[0] - margin, inner[-1] + margin
            picked = inner[np.unique(np.linspace(0, inner.size - 1, min(inner.size, 48)).round().astype(np.int64))]
            between = 0.5 * (picked[1:] + picked[:-1])
            mesh = np.concatenate([np.linspace(low, high, 49), picked, between])
            self.lines.append(Line(center, np.unique(mesh)))

    def _evaluate(
        self, line: Line, points: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.complex128]]:
        """Phase factor and log modulus of det M, and d log det M/dsigma, at line.center + points."""
        matrix, slope = self.modes.matrix(points, self.wave_number, self.block, line.center)
        sign, modulus = np.linalg.slogdet(matrix)
        derivative = np.trace(np.linalg.solve(matrix, slope), axis1=1, axis2=2)
        return sign, modulus, derivative

    def _outer_phase(self, line: Line, point: complex) -> float:
        """Im sum log(1 - lambda) at an end of the line, where all |lambda| < 1."""
        matrix, _ = self.modes.matrix(point, self.wave_number, self.block, line.center)
        return float(np.sum(np.angle(np.linalg.eigvals(matrix[0]))))

    def count(self, floor: float) -> int:
        """Return the number of zeros of det M with Im sigma > floor."""
        return sum(self._count(line, floor) for line in self.lines) if floor < self.bound else 0

    def _count(self, line: Line, floor: float) -> int:
        x = line.x
        sign, modulus, derivative = self._evaluate(line, x + 1j * floor)
        while True:
            step = 0.5 * np.diff(x) * (derivative[1:] + derivative[:-1])
            phase = np.angle(sign[1:] * np.conj(sign[:-1]) * np.exp(-1j * step.imag))
            wrong = (np.abs(phase) > MISMATCH) | (np.abs(np.diff(modulus) - step.real) > MISMATCH)
            # A large step could agree by chance, up to a multiple of 2 pi.
            wrong |= 0.5 * np.diff(x) * (np.abs(derivative[1:]) + np.abs(derivative[:-1])) > LARGEST_STEP
            if not wrong.any():
                break
            if np.min(np.diff(x)[wrong]) < 1e-5 * floor:
                # A zero on the line itself: look from a little higher.
                return self._count(line, floor * (1.0 + 1e-3))
            if x.size + np.count_nonzero(wrong) > MAX_POINTS:
                raise ConvergenceError(
                    f"contour at Im sigma = {floor:.3e} cm^-1, K = {_words(self.wave_number)} cm^-1 ({self.block}) "
                    f"needs more than {MAX_POINTS} points; accepted: a higher growth floor"
                )
            at = np.flatnonzero(wrong)
            new = 0.5 * (x[at] + x[at + 1])
            values = self._evaluate(line, new + 1j * floor)
            x = np.insert(x, at + 1, new)
            sign, modulus, derivative = (
                np.insert(old, at + 1, added) for old, added in zip((sign, modulus, derivative), values, strict=True)
            )
        line.x, line.derivative = x, derivative
        outer = self._outer_phase(line, x[-1] + 1j * floor) - self._outer_phase(line, x[0] + 1j * floor)
        # From left to right below the zeros, back through the region where log det M is known.
        turns = (np.sum(step.imag + phase) - outer) / (2.0 * np.pi)
        return round(float(turns))

    def roots(self, floor: float, candidates: int = 16) -> NDArray[np.complex128]:
        """Zeros of det M above the floor that Newton's method reaches from the last contour; not always all of them."""
        found: list[complex] = []
        for line in self.lines:
            points = line.x + 1j * floor
            speed = np.abs(line.derivative)
            # Where log det turns fastest, and nowhere twice on one peak.
            peak = np.flatnonzero((speed[1:-1] >= speed[:-2]) & (speed[1:-1] >= speed[2:]) & (speed[1:-1] > 0.0)) + 1
            peak = peak[np.argsort(speed[peak])[::-1][:candidates]]
            if peak.size == 0:
                continue
            sigma = points[peak] - 1.0 / line.derivative[peak]
            step = np.full(sigma.size, np.inf)
            for _ in range(40):
                moving = (step > 1e-12 * np.abs(sigma.imag)) & (sigma.imag > 0.2 * floor) & (sigma.imag < self.bound)
                if not moving.any():
                    break
                at = np.flatnonzero(moving)
                try:
                    _, _, derivative = self._evaluate(line, sigma[at])
                except np.linalg.LinAlgError:
                    step[at] = 0.0
                    break
                change = -1.0 / np.where(derivative == 0.0, 1e-300, derivative)
                step[at] = np.abs(change)
                # No step leads farther than the height above the poles.
                sigma[at] += change * np.minimum(1.0, sigma[at].imag / step[at])
            done = (step < 1e-6 * np.abs(sigma.imag)) & (sigma.imag > floor)
            found.extend(line.center + sigma[done])
        return np.array(found, np.complex128)


@dataclass(frozen=True)
class Growth:
    """The fastest growing perturbation of one cell."""

    growth: float  #: cm^-1, the largest Im sigma; 0 if nothing grows faster than `above`
    frequency: float  #: cm^-1, its Re sigma; NaN if only the growth is known, or nothing grows
    wave_number: WaveNumber  #: cm^-1
    block: str  #: AXIAL, TRANSVERSE or SPHERE
    above: float  #: cm^-1: no mode of the wave numbers looked at grows faster than max(growth, above)


def _words(wave_number: WaveNumber) -> str:
    return ", ".join(f"{k:.3e}" for k in np.atleast_1d(wave_number))


def unstable_modes(modes: Modes, wave_number: WaveNumber, floor: float, block: str | None = None) -> int:
    """Number of zeros of det M(sigma, K) with Im sigma > floor, by the argument principle.

    The transverse block has two polarisations: its zeros are counted once.

    Raises
    ------
    ConfigurationError
        If the floor is not a positive number or the block is unknown.
    ConvergenceError
        If the contour cannot be resolved, which a higher floor mends.
    """
    return Contour(modes, wave_number, checked_block(modes, block, floor)).count(floor)


def checked_block(modes: Modes, block: str | None, floor: float = 1.0) -> str:
    """The block, by default the first.

    Raises
    ------
    ConfigurationError
        If the floor is not a positive number or the block is unknown.
    """
    if not (np.isfinite(floor) and floor > 0.0):
        raise ConfigurationError(f"growth floor is {floor!r} cm^-1; accepted: a positive number")
    if block is None:
        return modes.blocks[0]
    if block not in modes.blocks:
        raise ConfigurationError(f"block is {block!r}; accepted: {', '.join(modes.blocks)}")
    return block


def growth_rate(modes: Modes, wave_number: WaveNumber, floor: float, block: str | None = None) -> Growth:
    """The largest Im sigma of det M(sigma, K) = 0 above the floor, cm^-1.

    The count goes down from the bound S in steps of `DESCENT` until zeros lie above the line. Newton's method on det M
    locates them, and another count shows that none is higher; where it shows one, the search goes on above the root.
    Without any root the growth is bracketed by counts to `ACCURACY`.

    Raises
    ------
    ConfigurationError
        If the floor is not a positive number or the block is unknown.
    ConvergenceError
        If the contour cannot be resolved, which a higher floor mends.
    """
    block = checked_block(modes, block, floor)
    contour = Contour(modes, wave_number, block)
    high = max(contour.bound, floor)
    low = floor
    found = 0
    while high > floor:
        low = max(high / DESCENT, floor)
        found = contour.count(low)
        if found:
            break
        high = low
    if not found:
        return Growth(0.0, np.nan, wave_number, block, floor)
    while high > (1.0 + ACCURACY) * low:
        roots = contour.roots(low)
        roots = roots[roots.imag < high * (1.0 + ACCURACY)]
        if roots.size:
            root = roots[np.argmax(roots.imag)]
            if contour.count((1.0 + 1e-3) * root.imag) == 0:
                return Growth(float(root.imag), float(root.real), wave_number, block, floor)
            low = max(low, (1.0 + 1e-3) * float(root.imag))
            continue
        middle = np.sqrt(low * high)
        if contour.count(middle):
            low = middle
        else:
            high = middle
    return Growth(float(low), np.nan, wave_number, block, floor)


def wave_numbers(modes: Modes) -> NDArray[np.float64]:
    """K to look at, cm^-1: 0, and K_0 + (0, +-1/4, +-1/2, +-1, +-2) times the largest of the cell's rates.

    K_0 and the rates are those of `Modes.drift`; the rate is max(fast, sqrt(S slow)), S the bound. The spectrum of
    -K is that of K mirrored at the imaginary axis, so one sign of K_0 is enough.
    """
    drift, fast, slow = modes.drift
    rate = max(fast, np.sqrt(modes.bound() * slow))
    steps = np.array([0.0, 0.25, -0.25, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0])
    chosen: NDArray[np.float64] = np.unique(np.concatenate([[0.0], drift + rate * steps]))
    return chosen


def wave_vectors(modes: Modes) -> NDArray[np.float64]:
    """K to look at on the sphere, (wave, 3) cm^-1: K_0, K_0 +- rate/2 along K_0 and along each axis, and 0.

    K_0 and the rates are those of `Modes.collective`: K_0 is along the flux of the electron-lepton number (and of
    matter), and the rate is max(fast, sqrt(S slow)), S the bound. Where growth is fast the first ones find it, and the
    others are searched above it only.
    """
    drift, fast, slow = modes.collective
    step = 0.5 * max(fast, np.sqrt(modes.bound() * slow))
    size = np.linalg.norm(drift)
    along = step * (np.concatenate([drift[None] / size, np.eye(3)]) if size > 0.0 else np.eye(3))
    chosen: NDArray[np.float64] = np.concatenate([drift[None], drift + along, drift - along, np.zeros((1, 3))])
    return chosen


def cell_growth(modes: Modes, floor: float, wave_number: ArrayLike | None = None) -> Growth:
    """The fastest growth of one cell over a list of wave numbers and all blocks.

    By default those of `wave_numbers`, or of `wave_vectors` on the sphere. A wave number is searched only above what
    the ones before it gave.

    Raises
    ------
    ConfigurationError, ConvergenceError
        As `growth_rate`.
    """
    sphere = modes.velocity.shape[1] > 1
    if wave_number is None:
        trial = wave_vectors(modes) if sphere else wave_numbers(modes)
    else:
        given = np.asarray(wave_number, dtype=np.float64)
        trial = np.atleast_2d(given) if sphere else np.atleast_1d(given)
    best = Growth(0.0, np.nan, np.nan, modes.blocks[0], floor)
    for block in modes.blocks:
        for k in trial:
            level = max(floor, (1.0 + ACCURACY) * best.growth)
            here = growth_rate(modes, k if sphere else float(k), level, block)
            if here.growth > best.growth:
                best = Growth(here.growth, here.frequency, here.wave_number, block, floor)
    return best
