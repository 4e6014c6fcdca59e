"""N neutrinos as plane waves that interact in every pair: amplitudes on ranks, evolution, observables.

docs/encounters.md, Eqs. (N8) to (N10).
"""

from __future__ import annotations

import logging
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import jv

from ..errors import ConfigurationError, ConvergenceError
from ..kernels.manybody_hamiltonian import add_scaled, add_turned, apply_flip, apply_local, turn_phase
from ..kernels.manybody_observables import norm_squared, overlap, up_probabilities
from .layout import LOW_BITS, Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["ManyBody", "memory_plan", "uniform_beams"]

logger = logging.getLogger(__name__)

#: Lanczos steps for the ends of the spectrum, the part of its width that is added on both sides (and to which Ritz
#: values must have converged), and what is round-off.
LEAST_STEPS, LANCZOS_STEPS, MARGIN, ROUND_OFF = 8, 80, 0.01, 1.0e-12
#: Bessel functions below this are left out of the Chebyshev series.
SMALLEST = 1.0e-17
#: Largest change of the norm in one evolution: more means that the spectrum is not inside its bounds.
NORM_CHANGE = 1.0e-10
#: Doubles in one message.
MESSAGE = 2**27
BYTES_OF_AMPLITUDE = 16
#: State vectors that are held at most: the state (as T_k), T_k+1, the result, and what another rank sends.
VECTORS = 4


class ManyBody:
    """The state of N neutrinos; ``coupling`` is mu_ij (spin, spin) in inverse time.

    ups: number of nu_e at all times (a sector of S_z), None for all states. one_body: b_i of sum b_i sigma_z,i, which
    keep S_z. Ranks: the largest power of two among those of comm works, the others receive results only.

    Raises
    ------
    ConfigurationError
        For a coupling that is not symmetric and finite, or numbers that do not fit.
    """

    def __init__(
        self,
        coupling: ArrayLike,
        *,
        ups: int | None,
        one_body: ArrayLike | None = None,
        comm: Any = None,
        low: int = LOW_BITS,
    ) -> None:
        mu = np.array(coupling, dtype=np.float64)
        if mu.ndim != 2 or mu.shape[0] != mu.shape[1] or not np.isfinite(mu).all() or not np.array_equal(mu, mu.T):
            raise ConfigurationError(f"coupling has shape {mu.shape}; accepted: a symmetric matrix of finite numbers")
        np.fill_diagonal(mu, 0.0)
        spins = mu.shape[0]
        b = np.zeros(spins) if one_body is None else np.array(one_body, dtype=np.float64)
        if b.shape != (spins,) or not np.isfinite(b).all():
            raise ConfigurationError(f"one_body has shape {b.shape}; accepted: {spins} finite numbers")
        self.coupling, self.one_body, self.comm = mu, b, comm
        ranks = 1 if comm is None else comm.size
        working = min(1 << (ranks.bit_length() - 1), 1 << max(spins - 1, 0))
        self.working = working
        self.active: Any = None
        rank = 0
        if comm is not None and ranks > 1:
            self.active = comm.Split(0 if comm.rank < working else 1, comm.rank)
            rank = min(comm.rank, working - 1)
            if working < ranks and comm.rank == 0:
                logger.info("%d of %d ranks work: the number must be a power of two", working, ranks)
        self.layout = Layout(spins, ups, rank, working, low)
        self.idle = comm is not None and comm.rank >= working
        self._prepare()
        size = 0 if self.idle else self.layout.amplitudes()
        self.psi = np.zeros((size, 2))
        self._work: list[NDArray[np.float64]] = []
        others = 0 if self.idle or working == 1 else self.layout.largest
        self._received = np.empty((others, 2))
        self._bounds: tuple[float, float] | None = None
        self.applications = 0

    def free(self) -> None:
        """Give the communicator of the working ranks back. Collective."""
        if self.active is not None:
            self.active.Free()
            self.active = None

    def _prepare(self) -> None:
        """Diagonal terms of rows and patterns, with the spins that are bits of the rank as constants."""
        layout, own, low = self.layout, self.layout.own, self.layout.low
        top = 2.0 * ((layout.rank >> np.arange(layout.top)) & 1) - 1.0
        mu, b = self.coupling, self.one_body
        constant = 0.5 * top @ mu[own:, own:] @ top + b[own:] @ top
        single = b[:own] + mu[:own, own:] @ top
        word = np.arange(2**layout.high)[:, None]
        spin = 2.0 * ((word >> np.arange(layout.high)) & 1) - 1.0
        inner = mu[low:own, low:own]
        self._high = 0.5 * np.einsum("ri,ri->r", spin @ inner, spin) + spin @ single[low:own] + constant
        spin = 2.0 * ((layout.patterns.pattern[:, None] >> np.arange(low)) & 1) - 1.0
        self._low = 0.5 * np.einsum("ri,ri->r", spin @ mu[:low, :low], spin) + spin @ single[:low]
        self._own = np.ascontiguousarray(mu[:own, :own])

    # states

    def start_flavors(self, up: Sequence[bool] | NDArray[np.bool_]) -> None:
        """The product state in which neutrino i is nu_e where up[i].

        Raises
        ------
        ConfigurationError
            If the number of nu_e is not that of the sector.
        """
        bits = np.asarray(up, dtype=bool)
        if bits.shape != (self.layout.spins,) or (self.layout.ups is not None and bits.sum() != self.layout.ups):
            raise ConfigurationError(
                f"{int(bits.sum())} of {bits.size} neutrinos are nu_e; accepted: {self.layout.ups} of "
                f"{self.layout.spins}"
            )
        rank, place = self.layout.find(sum(1 << int(i) for i in np.flatnonzero(bits)))
        self.psi[:] = 0.0
        if not self.idle and rank == self.layout.rank:
            self.psi[place, 0] = 1.0

    def start_product(self, polarization: ArrayLike) -> None:
        """The product state of unit vectors P (spin, 3); all states must be held (ups None).

        Raises
        ------
        ConfigurationError
            In a sector, or for vectors that are not of length one.
        """
        p = np.asarray(polarization, dtype=np.float64)
        if self.layout.ups is not None:
            raise ConfigurationError(f"ups is {self.layout.ups}; accepted for tilted neutrinos: None, all states")
        if p.shape != (self.layout.spins, 3) or not np.allclose(np.linalg.norm(p, axis=1), 1.0, rtol=0.0, atol=1e-12):
            raise ConfigurationError(f"polarization has shape {p.shape}; accepted: {self.layout.spins} unit vectors")
        if self.idle:
            return
        theta, phase = np.arccos(np.clip(p[:, 2], -1.0, 1.0)), np.arctan2(p[:, 1], p[:, 0])
        down, up = np.exp(1j * phase) * np.sin(0.5 * theta), np.cos(0.5 * theta)
        own = self.layout.own
        state = np.array(
            [np.prod([(up if self.layout.rank >> t & 1 else down)[own + t] for t in range(self.layout.top)])]
        )
        for i in reversed(range(own)):
            state = np.multiply.outer(state, [down[i], up[i]]).ravel()
        self.psi[:, 0], self.psi[:, 1] = state.real, state.imag

    # the Hamiltonian

    def apply(
        self,
        psi: NDArray[np.float64],
        out: NDArray[np.float64],
        alpha: float = 1.0,
        beta: float = 0.0,
        keep: float = 0.0,
    ) -> None:
        """out = alpha H psi + beta psi - keep out. Collective over the working ranks."""
        layout, tables = self.layout, self.layout.patterns
        rank, own = layout.rank, layout.own
        offset = layout.offset(rank)
        self.applications += 1
        apply_local(
            psi,
            out,
            offset,
            layout.row_class,
            tables.start,
            tables.pattern,
            tables.ones,
            tables.flip_bit,
            tables.flip_rank,
            tables.pair_start,
            tables.pair_rank,
            tables.pair_bits,
            self._own,
            self._high,
            self._low,
            layout.low,
            alpha,
            beta,
            keep,
        )
        for t in range(layout.top):
            partner = rank ^ (1 << t)
            received = self._exchange(psi, partner)
            apply_flip(
                received,
                out,
                offset,
                layout.offset(partner),
                layout.row_class,
                tables.start,
                tables.ones,
                tables.flip_bit,
                tables.flip_rank,
                np.ascontiguousarray(self.coupling[own + t, :own]),
                (rank >> t) & 1,
                layout.low,
                alpha,
            )
            for u in range(t):
                if (rank >> t) & 1 != (rank >> u) & 1:
                    received = self._exchange(psi, rank ^ (1 << t) ^ (1 << u))
                    add_scaled(out, received, 2.0 * alpha * self.coupling[own + t, own + u])

    def _exchange(self, psi: NDArray[np.float64], partner: int) -> NDArray[np.float64]:
        """The amplitudes of another rank, in the one array for them."""
        size = self.layout.amplitudes(partner)
        sent, got = psi.reshape(-1), self._received[:size].reshape(-1)
        for begin in range(0, max(sent.size, got.size), MESSAGE):
            self.active.Sendrecv(
                sent[begin : begin + MESSAGE], partner, recvbuf=got[begin : begin + MESSAGE], source=partner
            )
        return self._received[:size]

    def _sum(self, value: float) -> float:
        return value if self.active is None else float(self.active.allreduce(value))

    def _share(self, value: Any) -> Any:
        """What the working ranks have computed, on all ranks."""
        if self.comm is None or self.working == self.comm.size:
            return value
        return self.comm.bcast(value, root=0)

    def _dot(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return self._sum(float(np.dot(a.reshape(-1), b.reshape(-1))))

    def _norm(self) -> float:
        return self._sum(float(norm_squared(self.psi)))

    def norm(self) -> float:
        """Sum of |psi|^2. Collective."""
        return float(self._share(0.0 if self.idle else self._norm()))

    def energy(self) -> float:
        """<psi|H|psi>. Collective."""
        if self.idle:
            return float(self._share(None))
        work = self._vectors(1)[0]
        self.apply(self.psi, work)
        return float(self._share(self._dot(self.psi, work)))

    def _vectors(self, count: int) -> list[NDArray[np.float64]]:
        while len(self._work) < count:
            self._work.append(np.zeros_like(self.psi))
        return self._work[:count]

    def bounds(self) -> tuple[float, float]:
        """Bounds of the spectrum: extreme Ritz values of Lanczos' method, with their residuals and a margin.

        Collective over the working ranks; holds the state and two more vectors. That nothing lies beyond is checked
        by the norm after each evolution.
        """
        if self._bounds is None:
            v, w = self._vectors(2)
            rng = np.random.default_rng(self.layout.rank)
            v[:] = rng.normal(size=v.shape)
            v /= np.sqrt(self._dot(v, v))
            w[:] = 0.0
            a, b = [], [0.0]
            while True:
                self.apply(v, w, 1.0, 0.0, b[-1])
                a.append(self._dot(v, w))
                add_scaled(w, v, -a[-1])
                b.append(float(np.sqrt(self._dot(w, w))))
                ritz, vectors = np.linalg.eigh(np.diag(a) + np.diag(b[1:-1], 1) + np.diag(b[1:-1], -1))
                width = max(float(ritz[-1] - ritz[0]), float(np.abs(ritz).max()), 1.0e-300)
                # a Ritz value is as near to an eigenvalue as its residual
                spread = b[-1] * float(np.abs(vectors[-1, [0, -1]]).max())
                if b[-1] <= ROUND_OFF * width or len(a) >= LANCZOS_STEPS:
                    break
                if len(a) >= LEAST_STEPS and spread <= MARGIN * width:
                    break
                w /= b[-1]
                v, w = w, v
            spread += MARGIN * width
            self._bounds = float(ritz[0] - spread), float(ritz[-1] + spread)
        return self._bounds

    def evolve(self, time: float) -> int:
        """psi -> exp(-i H t) psi by Chebyshev's series (N9); returns the number of terms. Collective.

        Raises
        ------
        ConvergenceError
            If the norm changes, which means that the spectrum reaches beyond its bounds.
        """
        terms = 0 if self.idle else self._evolve(time)
        return int(self._share(terms))

    def _evolve(self, time: float) -> int:
        low, high = self.bounds()
        center, radius = 0.5 * (low + high), max(0.5 * (high - low), 1.0e-300)
        x = radius * time
        order = np.arange(int(abs(x) + 20.0 * (abs(x) ** (1.0 / 3.0) + 1.0)) + 10)
        bessel = jv(order, x)
        count = int(np.flatnonzero(np.abs(bessel) > SMALLEST)[-1]) + 1
        before = self._norm()
        here = self.psi
        there, result = self._vectors(2)
        np.multiply(here, bessel[0], out=result)
        if count > 1:
            self.apply(here, there, 1.0 / radius, -center / radius, 0.0)
            add_turned(result, there, 2.0 * bessel[1], 1)
        for k in range(2, count):
            # T_k+1 takes the place of T_k-1
            self.apply(there, here, 2.0 / radius, -2.0 * center / radius, 1.0)
            here, there = there, here
            add_turned(result, there, 2.0 * bessel[k], k % 4)
        turn_phase(result, np.cos(center * time), np.sin(center * time))
        self.psi, self._work = result, [here, there]
        after = self._norm()
        if not abs(after - before) <= NORM_CHANGE * before:
            raise ConvergenceError(
                f"norm of the state went from {before:.15g} to {after:.15g} in time {time:g}; accepted: the same to "
                f"{NORM_CHANGE:g} (bounds of the spectrum are {low:g} and {high:g})"
            )
        return count

    # observables

    def up_up(self) -> NDArray[np.float64]:
        """(spin, spin) probability that both are nu_e, on the diagonal that one is. Collective."""
        if self.idle:
            return np.asarray(self._share(None))
        layout = self.layout
        own, tables = layout.own, layout.patterns
        joint = np.zeros((layout.spins, layout.spins))
        part = np.empty((own, own))
        up_probabilities(
            self.psi,
            layout.offset(layout.rank),
            layout.row_class,
            tables.start,
            tables.pattern,
            layout.low,
            own,
            part,
        )
        joint[:own, :own] = part
        top = (layout.rank >> np.arange(layout.top)) & 1
        joint[own:, :own] = top[:, None] * np.diag(part)
        joint[:own, own:] = joint[own:, :own].T
        joint[own:, own:] = np.outer(top, top) * norm_squared(self.psi)
        if self.active is not None:
            joint = self.active.allreduce(joint)
        return np.asarray(self._share(joint))

    def _overlap(self, flips: Sequence[int], conditions: dict[int, int]) -> complex:
        """Sum of psi(b) conj(psi(b with the spins `flips` flipped)) over b with the given spins; working ranks only."""
        layout, tables = self.layout, self.layout.patterns
        rank = layout.rank
        partner, flip, mask, value, here = rank, 0, 0, 0, True
        for spin in flips:
            if spin >= layout.own:
                partner ^= 1 << (spin - layout.own)
            else:
                flip |= 1 << spin
        for spin, bit in conditions.items():
            if spin >= layout.own:
                here &= (rank >> (spin - layout.own)) & 1 == bit
            else:
                mask |= 1 << spin
                value |= bit << spin
        other = self.psi
        if partner != rank:
            other = self._exchange(self.psi, partner)
        total = 0.0j
        if here:
            re, im = overlap(
                self.psi,
                other,
                layout.offset(rank),
                layout.offset(partner),
                layout.row_class,
                tables.start,
                tables.pattern,
                tables.rank,
                layout.low,
                flip,
                mask,
                value,
            )
            total = complex(re, im)
        return total if self.active is None else complex(self.active.allreduce(total))

    def polarization(self) -> NDArray[np.float64]:
        """P of each neutrino, (spin, 3); across z it vanishes in a sector. Collective."""
        p = np.zeros((self.layout.spins, 3))
        p[:, 2] = 2.0 * np.diag(self.up_up()) - self.norm()
        if self.layout.ups is None:
            coherence = None
            if not self.idle:
                # <up|rho|down>
                coherence = np.array([self._overlap([i], {i: 1}) for i in range(self.layout.spins)])
            coherence = self._share(coherence)
            p[:, 0], p[:, 1] = 2.0 * coherence.real, -2.0 * coherence.imag
        return p

    def pair_matrices(self, pairs: Sequence[tuple[int, int]]) -> NDArray[np.complex128]:
        """Density matrices (pair, 4, 4) of pairs (i, j) in the basis ee, ex, xe, xx of (i, j). Collective.

        Raises
        ------
        ConfigurationError
            For a pair that does not exist.
        """
        for i, j in pairs:
            if i == j or not (0 <= i < self.layout.spins and 0 <= j < self.layout.spins):
                raise ConfigurationError(
                    f"pair is ({i}, {j}); accepted: two different numbers below {self.layout.spins}"
                )
        joint, norm = self.up_up(), self.norm()
        out = np.zeros((len(pairs), 4, 4), dtype=np.complex128)
        for matrix, (i, j) in zip(out, pairs, strict=True):
            both = joint[i, j]
            one, two = joint[i, i] - both, joint[j, j] - both
            matrix[np.diag_indices(4)] = both, one, two, norm - both - one - two
            if self.idle:
                continue
            matrix[1, 2] = self._overlap([i, j], {i: 1, j: 0})
            if self.layout.ups is None:
                matrix[0, 3] = self._overlap([i, j], {i: 1, j: 1})
                matrix[0, 1] = self._overlap([j], {i: 1, j: 1})
                matrix[2, 3] = self._overlap([j], {i: 0, j: 1})
                matrix[0, 2] = self._overlap([i], {i: 1, j: 1})
                matrix[1, 3] = self._overlap([i], {i: 1, j: 0})
            matrix += np.triu(matrix, 1).conj().T
        return np.asarray(self._share(out))

    def entropies(self) -> NDArray[np.float64]:
        """Entropy of each neutrino in nats, (spin,). Collective."""
        length = np.minimum(np.linalg.norm(self.polarization(), axis=1), 1.0)
        p = np.stack([0.5 * (1.0 + length), 0.5 * (1.0 - length)])
        return np.asarray(-(p * np.log(np.where(p > 0.0, p, 1.0))).sum(axis=0))

    def pair_entropies(self, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
        """Entropy of pairs in nats, (pair,). Collective."""
        p = np.linalg.eigvalsh(self.pair_matrices(pairs))
        return np.asarray(-(p * np.log(np.where(p > 0.0, p, 1.0))).sum(axis=-1))

    @property
    def bytes_held(self) -> int:
        """Bytes of all state vectors of this rank."""
        return self.psi.nbytes + sum(work.nbytes for work in self._work) + self._received.nbytes


def uniform_beams(n1: int, n2: int, mu: float) -> NDArray[np.float64]:
    """mu_ij of two beams whose pairs all interact alike, mu/N: H = (4 mu/N) J_A . J_B (N10)."""
    beam = np.arange(n1 + n2) >= n1
    return np.where(beam[:, None] != beam, mu / (n1 + n2), 0.0)


def memory_plan(spins: int, ups: int | None, ranks: int) -> dict[str, int]:
    """Amplitudes, those of the fullest rank, and bytes of state vectors and tables of that rank.

    Raises
    ------
    ConfigurationError
        As `Layout`.
    """
    top = ranks.bit_length() - 1
    if ranks != 2**top or top >= spins:
        raise ConfigurationError(f"{ranks} ranks for {spins} neutrinos; accepted: a power of two below 2^{spins}")
    own = spins - top
    total = 2**spins if ups is None else comb(spins, ups)
    largest = 2**own if ups is None else max(comb(own, ups - k) for k in range(top + 1) if 0 <= ups - k <= own)
    vectors = VECTORS if ranks > 1 else VECTORS - 1
    # offsets of three numbers of up spins, classes and diagonals of the rows
    tables = 8 * 5 * 2 ** max(own - LOW_BITS, 0)
    return {
        "amplitudes": total,
        "amplitudes of a rank": largest,
        "bytes of a vector": BYTES_OF_AMPLITUDE * largest,
        "bytes of all vectors": BYTES_OF_AMPLITUDE * largest * vectors,
        "bytes of tables": tables,
    }


def warm() -> None:
    """Compile every kernel, on four neutrinos of this rank alone."""
    small = ManyBody(np.ones((4, 4)), ups=2, low=2)
    small.start_flavors(np.arange(4) < 2)
    small.evolve(0.1)
    small.pair_entropies([(0, 1)])
    half = Layout(4, 2, 0, 2, 2)
    tables = half.patterns
    apply_flip(
        np.zeros((half.amplitudes(1), 2)),
        np.zeros((half.amplitudes(0), 2)),
        half.offset(0),
        half.offset(1),
        half.row_class,
        tables.start,
        tables.ones,
        tables.flip_bit,
        tables.flip_rank,
        np.ones(3),
        0,
        half.low,
        1.0,
    )
