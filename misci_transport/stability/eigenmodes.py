"""Eigenvalues and eigenvectors of the linearised equations: all of them by LAPACK, the growing ones of any cell.

The zeros of det M(sigma, K) are eigenvalues of a diagonal matrix of poles plus one of low rank. Small cells are solved
as they are. Large ones are coarsened: poles of a direction that lie close together, of the same sign of n_k - n_l, are
merged; the dense eigenvalues of what is left start Newton's method on det M of all modes; the argument principle tells
how many zeros there are (docs/stability.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..flavor import PAIRS, unpack
from ..kernels.alignment_residual import from_coordinates
from .contour import Contour, checked_block
from .modes import LevelModes, Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .modes import Modes, WaveNumber

#: Terms up to which LAPACK takes a cell as it is, in the search for growing modes.
DENSE_TERMS = 160
#: The same where many wave numbers are looked at and no count follows.
FEW_TERMS = 64
#: Terms up to which `dense_spectrum` solves; it then takes minutes.
LARGEST_DENSE = 6000
#: Coordinates whose terms overlap less than this are taken apart for first guesses.
APART = 1.0e-6
#: Guesses below this part of the floor are not followed.
GUESS = 0.3
NEWTON_STEPS = 60
#: Zeros nearer to each other than this, over their height above the poles, are one of higher multiplicity.
SAME = 1.0e-5
#: Points on the circle that tells the multiplicity of a zero.
CIRCLE = 24
#: 2 pi times the distance to the nearest pole over the spacing of the directions' poles: below, the sum over directions
#: is not the integral (its error is some exp(-resolution)), and the mode is one of the beams, not of the distribution.
RESOLVED = 3.0


@dataclass(frozen=True)
class Spectrum:
    """Eigenmodes of one cell at one wave number, by falling growth; zeros of multiplicity m stand m times."""

    wave_number: WaveNumber  #: cm^-1
    block: str
    frequency: NDArray[np.complex128]  #: (mode,) sigma in cm^-1; Im sigma is the growth rate
    moments: NDArray[np.complex128]  #: (mode, moment, coordinate) dD_0 and dD_1 in coordinates, cm^-3
    perturbation: NDArray[np.complex128]  #: (mode, ...) d_rho as `Modes.elements` puts it; the largest is 1
    resolution: NDArray[np.float64]  #: (mode,) see `RESOLVED`
    floor: float  #: cm^-1: growing modes above it are complete where `complete` says so; -inf: all modes
    complete: bool  #: whether the argument principle counts as many as there are

    @property
    def growth(self) -> NDArray[np.float64]:
        """Im sigma (mode,), cm^-1."""
        return self.frequency.imag

    @property
    def artefact(self) -> NDArray[np.bool_]:
        """Modes of the discrete directions rather than of the distribution that they stand for, (mode,)."""
        return self.resolution < RESOLVED

    def moment_matrices(self, n_flavors: int) -> NDArray[np.complex128]:
        """dD_0, dD_1 as matrices in flavour space, (mode, moment, N_f, N_f) cm^-3; `LevelModes` only.

        Raises
        ------
        ConfigurationError
            If the coordinates are not those of N_f flavours.
        """
        d = n_flavors * n_flavors - 1
        if n_flavors not in PAIRS or self.moments.shape[-1] != d:
            raise ConfigurationError(
                f"moments have {self.moments.shape[-1]} coordinates; accepted: {d} for {n_flavors} flavours"
            )
        basis = np.empty((d, n_flavors * n_flavors))
        for a, unit in enumerate(np.eye(d)):
            whole = np.zeros((1, n_flavors * n_flavors))
            from_coordinates(unit, np.zeros(1), n_flavors, whole)
            basis[a] = whole[0]
        made: NDArray[np.complex128] = np.einsum("nla,aij->nlij", self.moments, unpack(basis))
        return made


def _operator(terms: Terms, modes: Modes, block: str, shift: NDArray[np.float64]) -> tuple[Any, Any, Any]:
    """Poles (term,), and the low rank: A = diag(pole) - into x out, scaled by the root of the amplitudes."""
    left, right = modes.factors(block)
    root = np.sqrt(np.abs(terms.amplitude))
    into = np.einsum("jl,ja->jla", right[terms.direction], terms.vector.conj()).reshape(root.size, -1)
    out = np.einsum("jl,ja->jla", left[terms.direction], terms.vector).reshape(root.size, -1)
    into = modes.strength * (np.sign(terms.amplitude) * root)[:, None] * into
    return terms.pole + shift[terms.direction], into, root[:, None] * out


def dense_spectrum(modes: Modes, wave_number: WaveNumber, block: str | None = None) -> Spectrum:
    """All eigenmodes of the cell's linearised equations by LAPACK, damped ones included.

    Modes between levels of equal populations, which stay where their poles are, are left out. Costs the third power of
    the number of modes.

    Raises
    ------
    ConfigurationError
        If the block is unknown, or there are too many modes.
    """
    block = checked_block(modes, block)
    terms = modes.terms()
    if terms.amplitude.size > LARGEST_DENSE:
        raise ConfigurationError(
            f"the cell has {terms.amplitude.size} modes; accepted by dense_spectrum: up to {LARGEST_DENSE} "
            "(`spectrum` takes any number)"
        )
    pole, into, out = _operator(terms, modes, block, modes.along(wave_number))
    center = _middle(pole)
    found: tuple[Any, Any] = np.linalg.eig(np.diag(pole - center) - into @ out.T)
    values, vectors = found
    order = np.argsort(-values.imag, kind="stable")
    values, vectors = values[order] + center, vectors[:, order]
    moments = (out.T @ vectors).T.reshape(values.size, -1, modes.coordinates)
    weighted = (np.sqrt(np.abs(terms.amplitude))[:, None] * vectors).T
    moments, perturbation = _normalised(modes, moments, weighted)
    resolution = _resolution(modes, wave_number, values)
    return Spectrum(wave_number, block, values, moments, perturbation, resolution, -np.inf, True)


def spectrum(
    modes: Modes,
    wave_number: WaveNumber,
    floor: float,
    block: str | None = None,
    *,
    check: bool = True,
    guesses: NDArray[np.complex128] | None = None,
) -> Spectrum:
    """The eigenmodes with Im sigma > floor, of any number of modes.

    Parameters
    ----------
    check
        Count the zeros above the floor by the argument principle, and look for what is missing.
    guesses
        Frequencies to begin from besides those of the coarsened cell, (guess,) cm^-1.

    Raises
    ------
    ConfigurationError
        If the floor is not a positive number or the block is unknown.
    ConvergenceError
        If the contour of the check cannot be resolved, which a higher floor mends.
    """
    block = checked_block(modes, block, floor)
    contour = Contour(modes, wave_number, block)
    found = _Zeros(modes, wave_number, block, floor)
    if contour.lines and contour.bound > floor:
        begin = coarse_frequencies(modes, wave_number, block, DENSE_TERMS if check else FEW_TERMS)
        if guesses is not None:
            begin = np.concatenate([begin, guesses])
        found.follow(begin[begin.imag > GUESS * floor], contour)
        complete = not check
        if check:
            count = contour.count(floor)
            if found.count < count:
                found.follow(contour.roots(floor, candidates=64), contour)
            complete = found.count == count
    else:
        complete = True
    frequency, vectors = found.result()
    left, right = modes.factors(block)
    terms = modes.terms()
    d = modes.coordinates
    moments = vectors.reshape(frequency.size, left.shape[1], d)
    # y = amplitude u^+ dH/(pole + v . K - sigma), weighted with +-N_g
    field = modes.strength * np.einsum("ml,nla->nma", right, moments)
    along = np.einsum("ja,nja->nj", terms.vector.conj(), field[:, terms.direction])
    pole = terms.pole + modes.along(wave_number)[terms.direction]
    weighted = terms.amplitude * along / (pole - frequency[:, None])
    moments, perturbation = _normalised(modes, moments, weighted)
    resolution = _resolution(modes, wave_number, frequency)
    return Spectrum(wave_number, block, frequency, moments, perturbation, resolution, floor, complete)


def coarse_frequencies(
    modes: Modes, wave_number: WaveNumber, block: str, limit: int = DENSE_TERMS
) -> NDArray[np.complex128]:
    """Eigenvalues of a cell whose modes have been merged to at most about `limit`, by LAPACK; exact if they are fewer.

    Sets of coordinates that have nothing to do with each other are solved one by one.
    """
    # the same for all wave numbers: kept with the modes, which never change
    known: dict[int, Terms] = modes.__dict__.setdefault("_coarse", {})
    if limit not in known:
        known[limit] = _coarsened(_circular(modes.terms(), modes), limit, modes.velocity.shape[0])
    terms = known[limit]
    weight = np.abs(terms.amplitude)[:, None] * np.abs(terms.vector) ** 2
    if not weight.size or weight.max() == 0.0:
        return np.empty(0, np.complex128)
    overlap = np.sqrt(weight).T @ np.sqrt(weight)
    shift = modes.along(wave_number)
    found = []
    for group in _components(overlap > APART * overlap.max()):
        part = weight[:, group].sum(axis=1) > 0.0
        vector = terms.vector[np.ix_(part, group)]
        chosen = Terms(terms.direction[part], terms.pole[part], terms.amplitude[part], vector)
        if chosen.amplitude.size:
            pole, into, out = _operator(chosen, modes, block, shift)
            center = _middle(pole)
            found.append(np.linalg.eigvals(np.diag(pole - center) - into @ out.T) + center)
    return np.concatenate(found) if found else np.empty(0, np.complex128)


def _middle(pole: NDArray[np.complex128]) -> float:
    """Real shift that keeps digits where all poles precess alike."""
    return float(0.5 * (pole.real.min() + pole.real.max())) if pole.size else 0.0


def _circular(terms: Terms, modes: Modes) -> Terms:
    """The same in coordinates |a><b| and |b><a| instead of their real and imaginary parts: flavours stay apart."""
    if not isinstance(modes, LevelModes):
        return terms
    vector = terms.vector.copy()
    first = modes.n_flavors - 1
    real, imag = terms.vector[:, first::2], terms.vector[:, first + 1 :: 2]
    vector[:, first::2] = (real + 1j * imag) / np.sqrt(2.0)
    vector[:, first + 1 :: 2] = (real - 1j * imag) / np.sqrt(2.0)
    return terms._replace(vector=vector)


def _coarsened(terms: Terms, limit: int, directions: int) -> Terms:
    """Merge the terms of a direction whose poles lie close together and whose amplitudes have the same sign.

    A merged pole is the mean, weighted with the amplitudes: exact to first order in the distances. The residue is the
    sum, of as many vectors as it needs.
    """
    if terms.amplitude.size <= limit:
        return terms
    parts = max(limit // (2 * directions), 1)
    made: list[tuple[int, complex, float, Any]] = []
    size = np.abs(terms.amplitude) * (np.abs(terms.vector) ** 2).sum(axis=1)
    key = terms.direction * 2 + (terms.amplitude < 0.0)
    for value in np.unique(key):
        own = np.flatnonzero((key == value) & (size > 0.0))
        if own.size == 0:
            continue
        own = own[np.argsort(terms.pole[own].real, kind="stable")]
        # where the poles are alike a part is enough; between, by equal width and equal weight in turn
        x = terms.pole[own].real
        share = np.cumsum(size[own]) / size[own].sum()
        width = (x - x[0]) / (x[-1] - x[0]) if x[-1] > x[0] else np.zeros(own.size)
        bins = np.minimum((0.5 * (share + width) * parts).astype(np.int64), parts - 1)
        for number in np.unique(bins):
            chosen = own[bins == number]
            vector, amplitude = terms.vector[chosen], terms.amplitude[chosen]
            residue = np.einsum("j,ja,jb->ab", amplitude, vector, vector.conj())
            pole = complex(np.sum(size[chosen] * terms.pole[chosen]) / size[chosen].sum())
            strength, axes = np.linalg.eigh(residue)
            kept = np.abs(strength) > 1.0e-8 * np.abs(strength).max()
            made += [(int(value) // 2, pole, float(s), axes[:, i]) for i, s in enumerate(strength) if kept[i]]
    direction, poles, amplitudes, vectors = zip(*made, strict=True)
    return Terms(np.array(direction), np.array(poles), np.array(amplitudes), np.array(vectors))


def _components(linked: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Sets of coordinates that are linked with each other."""
    left = np.ones(linked.shape[0], dtype=bool) & linked.diagonal()
    groups = []
    while left.any():
        group = np.zeros_like(left)
        group[np.argmax(left)] = True
        while True:
            wider = group | (linked[group].any(axis=0) & left)
            if np.array_equal(wider, group):
                break
            group = wider
        groups.append(np.flatnonzero(group))
        left &= ~group
    return groups


class _Zeros:
    """Zeros of det M above the floor with their multiplicities and null vectors."""

    def __init__(self, modes: Modes, wave_number: WaveNumber, block: str, floor: float) -> None:
        self.modes, self.wave_number, self.block, self.floor = modes, wave_number, block, floor
        self.found: list[tuple[complex, int, NDArray[np.complex128]]] = []

    @property
    def count(self) -> int:
        """With multiplicities."""
        return sum(multiplicity for _, multiplicity, _ in self.found)

    def follow(self, guesses: NDArray[np.complex128], contour: Contour) -> None:
        """Newton's method on det M from each guess, and what is new of where it ends."""
        if guesses.size == 0 or not contour.lines:
            return
        centers = np.array([line.center for line in contour.lines])
        nearest = np.argmin(np.abs(guesses.real[:, None] - centers), axis=1)
        for number, center in enumerate(centers):
            offset = guesses[nearest == number] - center
            if offset.size:
                for zero in self._newton(offset, float(center), contour.bound):
                    self._add(zero, float(center))

    def _newton(self, sigma: NDArray[np.complex128], center: float, bound: float) -> NDArray[np.complex128]:
        sigma = sigma.copy()
        step = np.full(sigma.size, np.inf)
        for _ in range(NEWTON_STEPS):
            moving = (step > 1e-13 * np.abs(sigma.imag)) & (sigma.imag > 0.1 * self.floor) & (sigma.imag < 2.0 * bound)
            if not moving.any():
                break
            at = np.flatnonzero(moving)
            derivative = self._derivative(sigma[at], center)
            change = -1.0 / np.where(derivative == 0.0, 1e-300, derivative)
            step[at] = np.abs(change)
            # No step leads farther than the height above the poles.
            sigma[at] += change * np.minimum(1.0, np.abs(sigma[at].imag) / np.maximum(step[at], 1e-300))
        # a zero of multiplicity m is neared by 1 - 1/m a step, and to the m-th root of round-off
        return sigma[(step < 1e-4 * np.abs(sigma.imag)) & (sigma.imag > (1.0 - 1e-4) * self.floor)]

    def _derivative(self, sigma: NDArray[np.complex128], center: float) -> NDArray[np.complex128]:
        """D log det M/dsigma."""
        matrix, slope = self.modes.matrix(sigma, self.wave_number, self.block, center)
        try:
            derivative: NDArray[np.complex128] = np.trace(np.linalg.solve(matrix, slope), axis1=1, axis2=2)
        except np.linalg.LinAlgError:
            # on a zero to the last bit
            return np.full(sigma.size, np.inf, np.complex128)
        return derivative

    def _add(self, zero: complex, center: float) -> None:
        height = abs(zero.imag)
        if any(abs(old - center - zero) < SAME * height * 30.0 for old, _, _ in self.found):
            return
        radius = 1e-3 * height
        circle = radius * np.exp(2j * np.pi * (np.arange(CIRCLE) + 0.5) / CIRCLE)
        derivative = self._derivative(zero + circle, center)
        multiplicity = round(float(np.mean(circle * derivative).real))
        if multiplicity < 1:
            return
        if multiplicity > 1:
            # the mean of the zeros inside, which Newton's method finds to the m-th root of round-off only
            zero = complex(zero + np.mean(circle**2 * derivative) / multiplicity)
        if zero.imag <= self.floor:
            return
        if any(abs(old - center - zero) < SAME * height for old, _, _ in self.found):
            return
        matrix, _ = self.modes.matrix(np.array([zero]), self.wave_number, self.block, center)
        _, _, right = np.linalg.svd(matrix[0])
        self.found.append((zero + center, multiplicity, right[-multiplicity:][::-1].conj()))

    def result(self) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Frequencies and null vectors by falling growth, zeros of multiplicity m repeated."""
        ordered = sorted(self.found, key=lambda entry: -entry[0].imag)
        frequency = [zero for zero, multiplicity, _ in ordered for _ in range(multiplicity)]
        size = self.modes.vertices[self.block].shape[1] * self.modes.coordinates
        vectors = np.concatenate([v for _, _, v in ordered]) if ordered else np.empty((0, size), np.complex128)
        return np.array(frequency, np.complex128), vectors


def _normalised(
    modes: Modes, moments: NDArray[np.complex128], weighted: NDArray[np.complex128]
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Moments and d_rho from d_rho weighted with +-N_g (mode, term), scaled so that the largest d_rho is 1."""
    perturbation = modes.elements(weighted)
    shape = perturbation.shape
    if not shape[0]:
        return moments, perturbation
    split = perturbation.reshape(shape[0], modes.velocity.shape[0], modes.number.size, -1)
    number = modes.number[:, None]
    split = np.divide(split, number, out=np.zeros_like(split), where=number != 0.0)
    flat = split.reshape(shape[0], -1)
    if flat.size:
        largest = flat[np.arange(flat.shape[0]), np.argmax(np.abs(flat), axis=1)]
        scale = np.divide(1.0, largest, out=np.ones_like(largest), where=largest != 0.0)
        flat, moments = scale[:, None] * flat, scale[:, None, None] * moments
    return moments, flat.reshape(shape)


def _resolution(modes: Modes, wave_number: WaveNumber, sigma: NDArray[np.complex128]) -> NDArray[np.float64]:
    """2 pi times the distance of sigma to a pole over the spacing of the directions' poles there, at its smallest."""
    terms = modes.terms()
    if sigma.size == 0 or terms.amplitude.size == 0 or modes.velocity.shape[0] < 2:
        return np.full(sigma.size, np.inf)
    pole = terms.pole + modes.along(wave_number)[terms.direction]
    spacing = np.maximum(modes.spacing(wave_number), 1e-300)
    return np.asarray((2.0 * np.pi * np.abs(pole - sigma[:, None]) / spacing).min(axis=1))
