"""Unstable modes of aligned states: counted by the argument principle, growth rates by counting and Newton's method.

A perturbation of a cell's density matrices grows like exp(i K r - i sigma t) where det M(sigma, K) = 0 with
Im sigma > 0 (`kernels/stability.py`). With directions that are symmetric about the radius K is a number and there are
two blocks; with directions on the whole sphere K is a vector and there is one, with every perturbation in it.
Frequencies, wave numbers and growth rates are in cm^-1 (c = 1). docs/validity.md has the derivation, the numerics and
the limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError, ConvergenceError
from ..flavor import check_flavor_count, flavors_of
from ..kernels import stability as _kernel

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    #: K, cm^-1: a number, or a vector (3,) with directions on the whole sphere.
    WaveNumber: TypeAlias = float | NDArray[np.float64]

#: Perturbations of D_0 and D_1 along the radius, and of the flux across it (they break the axial symmetry).
AXIAL, TRANSVERSE = "axial", "transverse"
BLOCKS = (AXIAL, TRANSVERSE)
#: All perturbations, of D_0 and the vector D_1: directions on the whole sphere.
SPHERE = "sphere"

#: Mismatch of log det M between two points of the contour and the trapezoid of its derivative, above which it is split.
MISMATCH = 0.25
#: Largest change of log det M (by its derivative at both ends) that one step may have.
LARGEST_STEP = 2.0
#: Points of a contour before the count is given up.
MAX_POINTS = 40000
#: Ratio of successive floors in the search for the largest growth rate.
DESCENT = 4.0
#: E-folds after which an instability matters: a seed of 5e-5 (mixing angle in matter) has become of order one.
E_FOLD_THRESHOLD = 20.0
#: The largest growth rate is bracketed to this accuracy where Newton's method finds no root.
ACCURACY = 1.0e-2


@dataclass(frozen=True)
class LevelModes:
    """The linearised equations of one cell: pairs of levels k < l of all directions, species and groups."""

    n_flavors: int  #: 2 or 3
    strength: float  #: sqrt 2 G_F in cm^2
    velocity: NDArray[np.float64]  #: (direction, axis), one axis or three
    gap: NDArray[np.float64]  #: (direction, mode) h_k - h_l in cm^-1
    difference: NDArray[np.float64]  #: (direction, mode) +-N_g (n_k - n_l) in cm^-3
    even: NDArray[np.float64]  #: (direction, mode, product), of `mode_products`
    odd: NDArray[np.float64]  #: (direction, mode, product)
    precession: NDArray[np.float64]  #: (direction, 2 group) H_ee minus the mean of the heavy diagonal, cm^-1
    largest: NDArray[np.float64]  #: (direction,) sum over species and groups of the largest |difference|
    vertices: dict[str, NDArray[np.float64]] = field(default_factory=dict)  #: of the blocks, the first one with D_0

    @property
    def blocks(self) -> tuple[str, ...]:
        """AXIAL and TRANSVERSE, or SPHERE."""
        return tuple(self.vertices)

    def along(self, wave_number: WaveNumber) -> NDArray[np.float64]:
        """(direction,) v . K, cm^-1; a number K is along axis 0.

        Raises
        ------
        ConfigurationError
            If K is a vector of the wrong length.
        """
        if np.ndim(wave_number) == 0:
            shift = self.velocity[:, 0] * float(wave_number)
        else:
            k = np.asarray(wave_number, dtype=np.float64)
            if k.shape != self.velocity.shape[1:]:
                raise ConfigurationError(f"wave number has shape {k.shape}; accepted: () or {self.velocity.shape[1:]}")
            # not by BLAS: the same bits on every machine and for every alignment in memory
            shift = (self.velocity * k).sum(axis=1)
        found: NDArray[np.float64] = shift
        return found

    def bound(self, block: str | None = None) -> float:
        """S = strength sum_m |vertex_m| sum max_kl N_g |n_k - n_l|, cm^-1: |M - 1| <= S/(distance to the nearest pole).

        No zero of det M is farther than S from the nearest pole, and no perturbation grows faster than S.
        """
        size = np.linalg.norm(self.vertices[block or self.blocks[0]], axis=(1, 2))
        return float(abs(self.strength) * np.sum(size * self.largest))

    def poles(self, wave_number: WaveNumber) -> NDArray[np.float64]:
        """Frequencies +-(h_k - h_l) + v . K at which a mode without coupling would stay, ascending, cm^-1."""
        shift = np.broadcast_to(self.along(wave_number)[:, None], self.gap.shape)
        taking_part = self.difference != 0.0
        gap, shift = self.gap[taking_part], shift[taking_part]
        return np.sort(np.concatenate([gap + shift, shift - gap]))

    def matrix(
        self, offset: ArrayLike, wave_number: WaveNumber, block: str | None = None, center: float = 0.0
    ) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """M(center + offset, K) and dM/dsigma, (point, size, size), size (N_f^2 - 1) times 2, 1 (transverse) or 4."""
        points = np.ascontiguousarray(np.atleast_1d(offset), dtype=np.complex128)
        vertex = self.vertices[block or self.blocks[0]]
        size = vertex.shape[1] * (self.n_flavors * self.n_flavors - 1)
        matrix = np.empty((points.size, size, size), np.complex128)
        slope = np.empty_like(matrix)
        _kernel.stability_matrix(
            points,
            float(center),
            np.ascontiguousarray(self.along(wave_number)),
            self.gap,
            self.difference,
            self.even,
            self.odd,
            vertex,
            self.strength,
            matrix,
            slope,
        )
        return matrix, slope

    @cached_property
    def collective(self) -> tuple[NDArray[np.float64], float, float]:
        """Wave number (axis,) and rates of collective modes of nu_e against heavy flavours: K_0, fast, slow in cm^-1.

        H_ee - H_xx = a - v . K_0 + rest (weighted least squares over the modes): perturbations of wave number K_0
        precess alike in all directions; slow is the rms of the rest. fast = strength sum_m w_0 |sum +-N_g (n_e - n_x)|
        is what neutrinos and antineutrinos of a direction leave of the coupling.
        """
        pairs = self.n_flavors * (self.n_flavors - 1) // 2
        # Of three pairs the middle one is (0, 2), lowest and uppermost. The upper level is nu_e where H_ee > H_xx.
        gap = self.precession
        difference = self.difference.reshape(*gap.shape, pairs)[..., pairs // 2] * np.sign(gap)
        weight = np.abs(self.vertices[self.blocks[0]][:, 0, 0])
        weights = weight[:, None] * np.abs(difference)
        fast = abs(self.strength) * float(np.sum(weight * np.abs(difference.sum(axis=1))))
        total = weights.sum()
        if total == 0.0:
            return np.zeros(self.velocity.shape[1]), 0.0, 0.0
        by_direction = weights.sum(axis=1)
        mean = (by_direction[:, None] * self.velocity).sum(axis=0) / total
        mean_gap = np.sum(weights * gap) / total
        away = self.velocity - mean
        spread = (by_direction[:, None, None] * away[:, :, None] * away[:, None, :]).sum(axis=0)
        covariance = ((weights * (gap - mean_gap)).sum(axis=1)[:, None] * away).sum(axis=0)
        size, axes = np.linalg.eigh(spread)
        along = axes.T @ covariance
        tilt = axes @ np.divide(along, size, out=np.zeros_like(along), where=size > 1e-12 * total)
        rest = gap - mean_gap - (away @ tilt)[:, None]
        return -tilt, fast, float(np.sqrt(np.sum(weights * rest**2) / total))

    @property
    def drift(self) -> tuple[float, float, float]:
        """`collective` with K_0 as a number: its component along axis 0."""
        wave_number, fast, slow = self.collective
        return float(wave_number[0]), fast, slow


def linearise(
    populations: NDArray[np.float64],
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    vacuum: ArrayLike,
    hamiltonian: ArrayLike,
    strength: float,
    weight_1: ArrayLike | None = None,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
) -> LevelModes:
    """Linearised equations of one cell whose density matrices are aligned: rho = U diag(n) U^+.

    Parameters
    ----------
    populations
        (direction, species, group, level), level >= N_f, by ascending eigenvalue; further levels are spectators.
    weight_0
        (direction,).
    weight_1, direction_cosine
        (direction,): directions that are symmetric about the radius.
    velocity
        (direction, 3): instead of these two, unit vectors on the whole sphere.
    number_weight
        (group,), cm^-3.
    vacuum
        (group, N_f^2) packed M^2/2E in cm^-1.
    hamiltonian
        (2 or 4, N_f^2) packed, cm^-1: everything else, matter, strength D and multipliers, as field_0 - v . field_1.
    strength
        sqrt 2 G_F in cm^2.

    Raises
    ------
    ConfigurationError
        If a shape does not fit, a value is not finite, or directions are given in both ways or in none.
    """
    sphere = velocity is not None
    if sphere != (direction_cosine is None) or sphere != (weight_1 is None):
        raise ConfigurationError("directions: accepted direction_cosine and weight_1, or velocity without them")
    occupied = np.ascontiguousarray(populations, dtype=np.float64)
    vectors = np.ascontiguousarray(velocity if sphere else direction_cosine, dtype=np.float64)
    if not sphere:
        vectors = vectors[..., None]
    weights = np.ascontiguousarray(number_weight, dtype=np.float64)
    packed = np.ascontiguousarray(vacuum, dtype=np.float64)
    rest = np.ascontiguousarray(hamiltonian, dtype=np.float64)
    w0 = np.ascontiguousarray(weight_0, dtype=np.float64)
    w1 = w0 if weight_1 is None else np.ascontiguousarray(weight_1, dtype=np.float64)
    n = check_flavor_count(flavors_of(packed.shape[-1] if packed.ndim else 0))
    directions, groups, axes = vectors.shape[0], weights.size, 3 if sphere else 1
    levels = max(n, occupied.shape[-1] if occupied.ndim else 0)
    for name, array, shape in (
        ("populations", occupied, (directions, 2, groups, levels)),
        ("weight_0", w0, (directions,)),
        ("velocity" if sphere else "direction_cosine (axis of length one added)", vectors, (directions, axes)),
        ("weight_1", w1, (directions,)),
        ("number_weight", weights, (groups,)),
        ("vacuum", packed, (groups, n * n)),
        ("hamiltonian", rest, (1 + axes, n * n)),
    ):
        if array.shape != shape:
            raise ConfigurationError(f"{name} has shape {array.shape}; accepted: {shape}")
        if not np.all(np.isfinite(array)):
            raise ConfigurationError(f"{name} holds a value that is not finite; accepted: finite values")
    if not np.isfinite(strength):
        raise ConfigurationError(f"strength is {strength!r}; accepted: a finite value")
    pairs, d = n * (n - 1) // 2, n * n - 1
    gap = np.empty((directions, 2 * groups, pairs))
    difference = np.empty_like(gap)
    real = np.empty((*gap.shape, d))
    imag = np.empty_like(real)
    _kernel.level_modes(occupied, vectors, weights, packed, rest, n, gap, difference, real, imag)
    modes = directions * 2 * groups * pairs
    even = np.empty((modes, d * (d + 1) // 2))
    odd = np.empty((modes, d * (d - 1) // 2))
    _kernel.mode_products(real.reshape(modes, d), imag.reshape(modes, d), even, odd)
    own, common = (array[..., 0] - array[..., 1:n].mean(axis=-1) for array in (packed, rest))
    along = common[0] - (vectors * common[1:]).sum(axis=1)
    precession = np.array([1.0, -1.0])[:, None] * own + along[:, None, None]
    if sphere:
        vertices = {SPHERE: np.empty((directions, 4, 4))}
        _kernel.sphere_vertex(w0, vectors, vertices[SPHERE])
    else:
        cosine = np.ascontiguousarray(vectors[:, 0])
        vertices = {AXIAL: np.empty((directions, 2, 2)), TRANSVERSE: np.empty((directions, 1, 1))}
        _kernel.axial_vertex(w0, w1, cosine, vertices[AXIAL])
        _kernel.transverse_vertex(w0, cosine, vertices[TRANSVERSE])
    return LevelModes(
        n_flavors=n,
        strength=float(strength),
        velocity=vectors,
        gap=gap.reshape(directions, -1),
        difference=difference.reshape(directions, -1),
        even=even.reshape(directions, -1, even.shape[1]),
        odd=odd.reshape(directions, -1, odd.shape[1]),
        precession=precession.reshape(directions, 2 * groups),
        largest=np.abs(difference).max(axis=2).sum(axis=1),
        vertices=vertices,
    )


@dataclass
class _Line:
    """One stretch of the contour: log det M' along center + x + i floor; x is refined as needed and kept."""

    center: float
    x: NDArray[np.float64]
    derivative: NDArray[np.complex128] = field(default_factory=lambda: np.empty(0, np.complex128))


class _Contour:
    """Counts zeros of det M above a horizontal line; what it learns of the mesh serves the next, lower line.

    |M - 1| < 1 farther than S from all poles. There log det M = sum log(1 - lambda) (principal values, lambda the
    eigenvalues of 1 - M) is known without integration, so that only the stretches of the line near poles need points.
    """

    def __init__(self, modes: LevelModes, wave_number: WaveNumber, block: str) -> None:
        self.modes, self.wave_number, self.block = modes, wave_number, block
        self.bound = modes.bound(block)
        self.lines: list[_Line] = []
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
            self.lines.append(_Line(center, np.unique(mesh)))

    def _evaluate(
        self, line: _Line, points: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.complex128]]:
        """Phase factor and log modulus of det M, and d log det M/dsigma, at line.center + points."""
        matrix, slope = self.modes.matrix(points, self.wave_number, self.block, line.center)
        sign, modulus = np.linalg.slogdet(matrix)
        derivative = np.trace(np.linalg.solve(matrix, slope), axis1=1, axis2=2)
        return sign, modulus, derivative

    def _outer_phase(self, line: _Line, point: complex) -> float:
        """Im sum log(1 - lambda) at an end of the line, where all |lambda| < 1."""
        matrix, _ = self.modes.matrix(point, self.wave_number, self.block, line.center)
        return float(np.sum(np.angle(np.linalg.eigvals(matrix[0]))))

    def count(self, floor: float) -> int:
        """Return the number of zeros of det M with Im sigma > floor."""
        return sum(self._count(line, floor) for line in self.lines) if floor < self.bound else 0

    def _count(self, line: _Line, floor: float) -> int:
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


def unstable_modes(modes: LevelModes, wave_number: WaveNumber, floor: float, block: str | None = None) -> int:
    """Number of zeros of det M(sigma, K) with Im sigma > floor, by the argument principle.

    The transverse block has two polarisations: its zeros are counted once.

    Raises
    ------
    ConfigurationError
        If the floor is not a positive number or the block is unknown.
    ConvergenceError
        If the contour cannot be resolved, which a higher floor mends.
    """
    return _Contour(modes, wave_number, _checked(modes, floor, block)).count(floor)


def _checked(modes: LevelModes, floor: float, block: str | None) -> str:
    """The block, by default the first."""
    if not (np.isfinite(floor) and floor > 0.0):
        raise ConfigurationError(f"growth floor is {floor!r} cm^-1; accepted: a positive number")
    if block is None:
        return modes.blocks[0]
    if block not in modes.blocks:
        raise ConfigurationError(f"block is {block!r}; accepted: {', '.join(modes.blocks)}")
    return block


def growth_rate(modes: LevelModes, wave_number: WaveNumber, floor: float, block: str | None = None) -> Growth:
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
    block = _checked(modes, floor, block)
    contour = _Contour(modes, wave_number, block)
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


def wave_numbers(modes: LevelModes) -> NDArray[np.float64]:
    """K to look at, cm^-1: 0, and K_0 + (0, +-1/4, +-1/2, +-1, +-2) times the largest of the cell's rates.

    K_0 and the rates are those of `LevelModes.drift`; the rate is max(fast, sqrt(S slow)), S the bound. The spectrum of
    -K is that of K mirrored at the imaginary axis, so one sign of K_0 is enough.
    """
    drift, fast, slow = modes.drift
    rate = max(fast, np.sqrt(modes.bound() * slow))
    steps = np.array([0.0, 0.25, -0.25, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0])
    chosen: NDArray[np.float64] = np.unique(np.concatenate([[0.0], drift + rate * steps]))
    return chosen


def wave_vectors(modes: LevelModes) -> NDArray[np.float64]:
    """K to look at on the sphere, (wave, 3) cm^-1: K_0, K_0 +- rate/2 along K_0 and along each axis, and 0.

    K_0 and the rates are those of `LevelModes.collective`: K_0 is along the flux of the electron-lepton number (and of
    matter), and the rate is max(fast, sqrt(S slow)), S the bound. Where growth is fast the first ones find it, and the
    others are searched above it only.
    """
    drift, fast, slow = modes.collective
    step = 0.5 * max(fast, np.sqrt(modes.bound() * slow))
    size = np.linalg.norm(drift)
    along = step * (np.concatenate([drift[None] / size, np.eye(3)]) if size > 0.0 else np.eye(3))
    chosen: NDArray[np.float64] = np.concatenate([drift[None], drift + along, drift - along, np.zeros((1, 3))])
    return chosen


def cell_growth(modes: LevelModes, floor: float, wave_number: ArrayLike | None = None) -> Growth:
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
