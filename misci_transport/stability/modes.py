"""The linearised equations of one cell: modes with their frequencies, and M(sigma, K) with its derivative.

A perturbation exp(i K r - i sigma t) of an aligned state obeys (docs/stability.md, Eq. 1)

    (sigma - v . K + i Gamma_kl) d_rho_kl = (h_k - h_l) d_rho_kl - (n_k - n_l) dH_kl,   dH = strength (dD_0 - v . dD_1),

and summing over the cell M(sigma, K) dD = 0 (`kernels/stability.py`). With directions that are symmetric about the
radius K is a number and there are two blocks; with directions on the whole sphere K is a vector and there is one, with
every perturbation in it. Frequencies, wave numbers, growth and damping rates are in cm^-1 (c = 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ConfigurationError
from ..flavor import PAIRS, check_flavor_count, flavors_of
from ..kernels import stability as _kernel

if TYPE_CHECKING:
    from typing import Self, TypeAlias

    from numpy.typing import ArrayLike, NDArray

    #: K, cm^-1: a number, or a vector (3,) with directions on the whole sphere.
    WaveNumber: TypeAlias = float | NDArray[np.float64]

#: Perturbations of D_0 and D_1 along the radius, and of the flux across it (they break the axial symmetry).
AXIAL, TRANSVERSE = "axial", "transverse"
BLOCKS = (AXIAL, TRANSVERSE)
#: All perturbations, of D_0 and the vector D_1: directions on the whole sphere.
SPHERE = "sphere"


class Terms(NamedTuple):
    """M(sigma, K) = 1 - strength sum_j vertex[direction_j] x u_j u_j^+ amplitude_j/(pole_j + v_j . K - sigma)."""

    direction: NDArray[np.int64]  #: (term,)
    pole: NDArray[np.complex128]  #: (term,) +-(h_k - h_l) - i Gamma, cm^-1
    amplitude: NDArray[np.float64]  #: (term,) +-N_g (n_k - n_l), and minus that for the transposed element, cm^-3
    vector: NDArray[np.complex128]  #: (term, coordinate) u = <l|T_a|k>


@dataclass(frozen=True)
class Modes:
    """What all kinds of modes have in common; a mode is a pair of levels (or flavours) k, l of one momentum."""

    strength: float  #: sqrt 2 G_F in cm^2
    velocity: NDArray[np.float64]  #: (direction, axis), one axis or three
    gap: NDArray[np.float64]  #: (direction, mode) h_k - h_l in cm^-1
    vacuum_gap: NDArray[np.float64]  #: (direction, mode) what the vacuum term gives of it
    damping: NDArray[np.float64]  #: (direction, mode) Gamma >= 0, cm^-1
    difference: NDArray[np.float64]  #: (direction, mode) +-N_g (n_k - n_l) in cm^-3
    number: NDArray[np.float64]  #: (2 group,) +-N_g, neutrinos first, cm^-3
    precession: NDArray[np.float64]  #: (direction, 2 group) H_ee minus the mean of the heavy diagonal, cm^-1
    contrast: NDArray[np.float64]  #: (direction, 2 group) +-N_g (n_e - n_x), cm^-3, as far as levels are flavours
    largest: NDArray[np.float64]  #: (direction,) sum over species and groups of the largest |difference|
    vertices: dict[str, NDArray[np.float64]]  #: of the blocks, the first one with D_0

    @property
    def blocks(self) -> tuple[str, ...]:
        """AXIAL and TRANSVERSE, or SPHERE."""
        return tuple(self.vertices)

    @property
    def coordinates(self) -> int:
        """Number of coordinates of a moment of a perturbation."""
        raise NotImplementedError

    def matrix(
        self, offset: ArrayLike, wave_number: WaveNumber, block: str | None = None, center: float = 0.0
    ) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """M(center + offset, K) and dM/dsigma, (point, size, size); size = coordinates times 2, 1 (transverse) or 4."""
        raise NotImplementedError

    def terms(self) -> Terms:
        """M as a sum of poles, without those of zero amplitude."""
        raise NotImplementedError

    def elements(self, values: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Put values (..., term) where their elements of the density matrices stand; see the classes."""
        raise NotImplementedError

    def without(self, *, vacuum: bool = False, damping: bool = False) -> Self:
        """The same state with these terms of its linearised equations switched off."""
        changes: dict[str, Any] = {}
        if vacuum:
            changes |= {"gap": self.gap - self.vacuum_gap, "vacuum_gap": np.zeros_like(self.gap)}
        if damping:
            changes["damping"] = np.zeros_like(self.gap)
        return replace(self, **changes)

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

        No zero of det M above the real axis is farther than S from the nearest pole, and nothing grows faster than S.
        """
        size = np.linalg.norm(self.vertices[block or self.blocks[0]], axis=(1, 2))
        return float(abs(self.strength) * np.sum(size * self.largest))

    def poles(self, wave_number: WaveNumber) -> NDArray[np.float64]:
        """Real parts of the frequencies at which modes without coupling would stay, ascending, cm^-1."""
        raise NotImplementedError

    def spacing(self, wave_number: WaveNumber) -> NDArray[np.float64]:
        """Distance of each term's pole from the farther one of the directions next to its own, (term,) cm^-1."""
        shift, near = self.along(wave_number), _neighbours(self.velocity)
        moved = (shift[:, None] - shift[near])[:, :, None]
        turned = self.gap[:, None] - self.gap[near]
        direction, mode = np.nonzero(self.difference)
        signs = (1.0, -1.0) if isinstance(self, LevelModes) else (1.0,)
        apart = [np.abs(moved + sign * turned).max(axis=1)[direction, mode] for sign in signs]
        return np.concatenate(apart)

    def factors(self, block: str | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """vertex[m] = left[m] x right[m], (direction, moment) each."""
        vertex = self.vertices[block or self.blocks[0]]
        left, first = vertex[:, :, 0].copy(), vertex[:, :1, 0]
        right = np.zeros_like(left)
        right[:, 0] = 1.0
        np.divide(vertex[:, 0], first, out=right, where=first != 0.0)
        return left, right

    @cached_property
    def collective(self) -> tuple[NDArray[np.float64], float, float]:
        """Wave number (axis,) and rates of collective modes of nu_e against heavy flavours: K_0, fast, slow in cm^-1.

        H_ee - H_xx = a - v . K_0 + rest (weighted least squares over the modes): perturbations of wave number K_0
        precess alike in all directions; slow is the rms of the rest. fast = strength sum_m w_0 |sum +-N_g (n_e - n_x)|
        is what neutrinos and antineutrinos of a direction leave of the coupling.
        """
        gap, difference = self.precession, self.contrast
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


def _neighbours(velocity: NDArray[np.float64]) -> NDArray[np.int64]:
    """The next direction to both sides, or the three nearest ones on the sphere, (direction, 2 or 3)."""
    count, axes = velocity.shape
    if axes == 1:
        order = np.argsort(velocity[:, 0], kind="stable")
        near = np.empty((count, 2), dtype=np.int64)
        near[order, 0], near[order, 1] = (
            order[np.maximum(np.arange(count) - 1, 0)],
            order[np.minimum(np.arange(count) + 1, count - 1)],
        )
        return near
    return np.argsort(-(velocity @ velocity.T), axis=1, kind="stable")[:, 1:4]


@dataclass(frozen=True)
class LevelModes(Modes):
    """An aligned state: pairs of levels k < l of all directions, species and groups, and their transposed elements."""

    n_flavors: int  #: 2 or 3
    element: NDArray[np.complex128]  #: (direction, mode, coordinate) <k|T_a|l>
    even: NDArray[np.float64]  #: (direction, mode, product), of `mode_products`
    odd: NDArray[np.float64]  #: (direction, mode, product)

    @property
    def coordinates(self) -> int:
        """N_f^2 - 1."""
        return self.n_flavors * self.n_flavors - 1

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
        size = vertex.shape[1] * self.coordinates
        matrix = np.empty((points.size, size, size), np.complex128)
        slope = np.empty_like(matrix)
        _kernel.stability_matrix(
            points,
            float(center),
            np.ascontiguousarray(self.along(wave_number)),
            self.gap,
            self.damping,
            self.difference,
            self.even,
            self.odd,
            vertex,
            self.strength,
            matrix,
            slope,
        )
        return matrix, slope

    def terms(self) -> Terms:
        """M as a sum of poles: of every pair of levels the elements kl and lk."""
        direction, mode = np.nonzero(self.difference)
        gap, damping, size = (x[direction, mode] for x in (self.gap, self.damping, self.difference))
        element = self.element[direction, mode]
        return Terms(
            np.concatenate([direction, direction]),
            np.concatenate([gap - 1j * damping, -gap - 1j * damping]),
            np.concatenate([size, -size]),
            np.concatenate([element.conj(), element]),
        )

    def elements(self, values: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """d_rho_kl (..., direction, species, group, pair, 2), kl and lk of the pairs k < l, from values (..., term)."""
        direction, mode = np.nonzero(self.difference)
        out = np.zeros((*values.shape[:-1], *self.gap.shape, 2), np.complex128)
        out[..., direction, mode, 0], out[..., direction, mode, 1] = np.split(values, 2, axis=-1)
        pairs = len(PAIRS[self.n_flavors])
        return out.reshape(*values.shape[:-1], self.gap.shape[0], 2, self.number.size // 2, pairs, 2)


@dataclass(frozen=True)
class FlavorModes(Modes):
    """A state that is diagonal in flavour: the coherence rho_ab of one pair of flavours, with M of size 2, 1 or 4.

    The transposed coherence is its complex conjugate, so that its zeros are those of -K mirrored at the imaginary axis:
    all K of both signs together hold every mode once.
    """

    pair: tuple[int, int]  #: the flavours a, b

    @property
    def coordinates(self) -> int:
        """One, rho_ab itself."""
        return 1

    def poles(self, wave_number: WaveNumber) -> NDArray[np.float64]:
        """Frequencies H_aa - H_bb + v . K, ascending, cm^-1."""
        shift = np.broadcast_to(self.along(wave_number)[:, None], self.gap.shape)
        return np.sort((self.gap + shift)[self.difference != 0.0])

    def matrix(
        self, offset: ArrayLike, wave_number: WaveNumber, block: str | None = None, center: float = 0.0
    ) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """M(center + offset, K) and dM/dsigma, (point, size, size), size 2, 1 (transverse) or 4."""
        points = np.ascontiguousarray(np.atleast_1d(offset), dtype=np.complex128)
        vertex = self.vertices[block or self.blocks[0]]
        response = np.empty((2, 2, self.gap.shape[0], points.size))
        _kernel.pair_response(
            points.real.copy(),
            points.imag.copy(),
            float(center),
            np.ascontiguousarray(self.along(wave_number)),
            self.gap,
            self.damping,
            self.difference,
            response,
        )
        value, slope = self.strength * np.einsum("rmp,mlk->rplk", response[:, 0] + 1j * response[:, 1], vertex)
        return np.eye(vertex.shape[1]) - value, -slope

    def terms(self) -> Terms:
        """M as a sum of poles."""
        direction, mode = np.nonzero(self.difference)
        gap, damping, size = (x[direction, mode] for x in (self.gap, self.damping, self.difference))
        return Terms(direction, gap - 1j * damping, size, np.ones((size.size, 1), np.complex128))

    def elements(self, values: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """d_rho_ab (..., direction, species, group) from values (..., term)."""
        direction, mode = np.nonzero(self.difference)
        out = np.zeros((*values.shape[:-1], *self.gap.shape), np.complex128)
        out[..., direction, mode] = values
        return out.reshape(*values.shape[:-1], self.gap.shape[0], 2, self.number.size // 2)


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
    damping: ArrayLike | None = None,
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
    damping
        (species, group, flavour), flavour >= N_f, cm^-1: rates at which collisions remove each flavour; the coherence
        of levels k, l is damped at the mean of <k|rate|k> and <l|rate|l>. Exact where levels are flavours; elsewhere
        what damping mixes among the levels is left out. None: no collisions.

    Raises
    ------
    ConfigurationError
        If a shape does not fit, a value is not finite or a rate negative, or directions are given in both ways or in
        none.
    """
    cell = _Cell.checked(
        "populations", populations, weight_0, number_weight, vacuum, hamiltonian, strength, weight_1, direction_cosine,
        velocity, damping,
    )  # fmt: skip
    n, groups, directions = cell.n_flavors, cell.number.size, cell.velocity.shape[0]
    pairs, d = n * (n - 1) // 2, n * n - 1
    gap = np.empty((directions, 2 * groups, pairs))
    difference = np.empty_like(gap)
    real = np.empty((*gap.shape, d))
    imag = np.empty_like(real)
    own, common = np.empty_like(gap), np.empty((directions, 2 * groups, n, n))
    _kernel.level_modes(
        cell.occupied, cell.velocity, cell.number, cell.vacuum, cell.field, n, gap, difference, own, common, real, imag
    )
    modes = directions * 2 * groups * pairs
    even = np.empty((modes, d * (d + 1) // 2))
    odd = np.empty((modes, d * (d - 1) // 2))
    _kernel.mode_products(real.reshape(modes, d), imag.reshape(modes, d), even, odd)
    rates = np.einsum("mqkf,qf->mqk", common, cell.damping.reshape(2 * groups, -1)[:, :n])
    damped = np.stack([0.5 * (rates[..., k] + rates[..., l]) for k, l in PAIRS[n]], axis=-1)
    precession = cell.precession(0, None)
    # Of three pairs the middle one is (0, 2), lowest and uppermost. The upper level is nu_e where H_ee > H_xx.
    contrast = -difference[..., pairs // 2] * np.sign(precession)
    flat = (directions, -1)
    return LevelModes(
        strength=cell.strength,
        velocity=cell.velocity,
        gap=gap.reshape(flat),
        vacuum_gap=own.reshape(flat),
        damping=np.ascontiguousarray(damped.reshape(flat)),
        difference=difference.reshape(flat),
        number=cell.signed,
        precession=precession,
        contrast=contrast,
        largest=np.abs(difference).max(axis=2).sum(axis=1),
        vertices=cell.vertices(),
        n_flavors=n,
        element=(real + 1j * imag).reshape(directions, -1, d),
        even=even.reshape(directions, -1, even.shape[1]),
        odd=odd.reshape(directions, -1, odd.shape[1]),
    )


def linearise_flavors(
    occupations: NDArray[np.float64],
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    vacuum: ArrayLike,
    hamiltonian: ArrayLike,
    strength: float,
    pair: tuple[int, int] = (0, 1),
    weight_1: ArrayLike | None = None,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
    damping: ArrayLike | None = None,
) -> FlavorModes:
    """Linearised equations of the coherence rho_ab of one cell whose density matrices are diagonal in flavour.

    (sigma - v . K + i Gamma_ab) d_rho_ab = (H_aa - H_bb) d_rho_ab - (n_a - n_b) dH_ab, Gamma_ab = (Gamma_a + Gamma_b)/2

    with the diagonal elements of H only: vacuum mixing is the seed of what grows. Arguments as for `linearise`, with
    occupations (direction, species, group, flavour), and the pair of flavours (a, b). The sign of K is that of rho_ab,
    which goes as exp(i K r).

    Raises
    ------
    ConfigurationError
        As `linearise`, or if the pair is not one of two different flavours that mix.
    """
    cell = _Cell.checked(
        "occupations", occupations, weight_0, number_weight, vacuum, hamiltonian, strength, weight_1, direction_cosine,
        velocity, damping,
    )  # fmt: skip
    a, b = pair
    if a == b or not (0 <= a < cell.n_flavors and 0 <= b < cell.n_flavors):
        raise ConfigurationError(f"pair is {pair}; accepted: two different flavours below {cell.n_flavors}")
    gap = cell.precession(a, b)
    groups = cell.number.size
    own = np.repeat([1.0, -1.0], groups) * np.tile(cell.vacuum[:, a] - cell.vacuum[:, b], 2)
    occupied = cell.occupied.reshape(gap.shape[0], 2 * groups, -1)
    difference = cell.signed * (occupied[..., a] - occupied[..., b])
    rates = cell.damping.reshape(2 * groups, -1)
    return FlavorModes(
        strength=cell.strength,
        velocity=cell.velocity,
        gap=gap,
        vacuum_gap=np.broadcast_to(own, gap.shape).copy(),
        damping=np.broadcast_to(0.5 * (rates[:, a] + rates[:, b]), gap.shape).copy(),
        difference=difference,
        number=cell.signed,
        precession=gap,
        contrast=difference,
        largest=np.abs(difference).sum(axis=1),
        vertices=cell.vertices(),
        pair=(int(a), int(b)),
    )


@dataclass(frozen=True)
class _Cell:
    """Checked arguments of the functions above."""

    n_flavors: int
    occupied: NDArray[np.float64]
    velocity: NDArray[np.float64]
    weight_0: NDArray[np.float64]
    weight_1: NDArray[np.float64]
    number: NDArray[np.float64]
    vacuum: NDArray[np.float64]
    field: NDArray[np.float64]
    damping: NDArray[np.float64]
    strength: float

    @classmethod
    def checked(
        cls, name: str, occupied: Any, weight_0: Any, number: Any, vacuum: Any, field: Any, strength: float,
        weight_1: Any, cosine: Any, velocity: Any, damping: Any,
    ) -> _Cell:  # fmt: skip
        """Arrays in the form that the kernels take."""
        sphere = velocity is not None
        if sphere != (cosine is None) or sphere != (weight_1 is None):
            raise ConfigurationError("directions: accepted direction_cosine and weight_1, or velocity without them")

        def plain(array: Any) -> NDArray[np.float64]:
            return np.require(array, np.float64, ["C", "W"])

        held, vectors = plain(occupied), plain(velocity if sphere else cosine)
        if not sphere:
            vectors = vectors[..., None]
        weights, packed, rest, w0 = (plain(array) for array in (number, vacuum, field, weight_0))
        w1 = w0 if weight_1 is None else plain(weight_1)
        n = check_flavor_count(flavors_of(packed.shape[-1] if packed.ndim else 0))
        directions, groups, axes = vectors.shape[0], weights.size, 3 if sphere else 1
        levels = max(n, held.shape[-1] if held.ndim else 0)
        rates = np.zeros((2, groups, n)) if damping is None else plain(damping)
        flavors = max(n, rates.shape[-1] if rates.ndim else 0)
        for word, array, shape in (
            (name, held, (directions, 2, groups, levels)),
            ("weight_0", w0, (directions,)),
            ("velocity" if sphere else "direction_cosine (axis of length one added)", vectors, (directions, axes)),
            ("weight_1", w1, (directions,)),
            ("number_weight", weights, (groups,)),
            ("vacuum", packed, (groups, n * n)),
            ("hamiltonian", rest, (1 + axes, n * n)),
            ("damping", rates, (2, groups, flavors)),
        ):
            if array.shape != shape:
                raise ConfigurationError(f"{word} has shape {array.shape}; accepted: {shape}")
            if not np.all(np.isfinite(array)):
                raise ConfigurationError(f"{word} holds a value that is not finite; accepted: finite values")
        if rates.size and rates.min() < 0.0:
            raise ConfigurationError(f"damping holds {rates.min():g}; accepted: 0 or more, cm^-1")
        if not np.isfinite(strength):
            raise ConfigurationError(f"strength is {strength!r}; accepted: a finite value")
        return cls(n, held, vectors, w0, w1, weights, packed, rest, rates, float(strength))

    @property
    def signed(self) -> NDArray[np.float64]:
        """+-N_g, neutrinos first, (2 group,)."""
        return np.concatenate([self.number, -self.number])

    def precession(self, a: int, b: int | None) -> NDArray[np.float64]:
        """H_aa - H_bb, or H_aa minus the mean of the heavy diagonal, (direction, 2 group)."""
        n = self.n_flavors
        own, common = (
            array[..., a] - (array[..., 1:n].mean(axis=-1) if b is None else array[..., b])
            for array in (self.vacuum, self.field)
        )
        along = common[0] - (self.velocity * common[1:]).sum(axis=1)
        found: NDArray[np.float64] = np.concatenate([own, -own]) + along[:, None]
        return found

    def vertices(self) -> dict[str, NDArray[np.float64]]:
        """Vertices of the blocks."""
        directions = self.weight_0.size
        if self.velocity.shape[1] > 1:
            made = {SPHERE: np.empty((directions, 4, 4))}
            _kernel.sphere_vertex(self.weight_0, self.velocity, made[SPHERE])
            return made
        cosine = np.ascontiguousarray(self.velocity[:, 0])
        made = {AXIAL: np.empty((directions, 2, 2)), TRANSVERSE: np.empty((directions, 1, 1))}
        _kernel.axial_vertex(self.weight_0, self.weight_1, cosine, made[AXIAL])
        _kernel.transverse_vertex(self.weight_0, cosine, made[TRANSVERSE])
        return made
