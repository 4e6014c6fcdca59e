"""Where amplitudes are: sectors of a given number of up spins (or all states), divided among ranks by high bits."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Layout", "Patterns"]

#: Spins of the low bits: a row of a class then fits into the first cache, its tables into the second.
LOW_BITS = 9
LARGEST = 48


@dataclass(frozen=True)
class Patterns:
    """Low bits and their neighbours; see kernels/manybody_hamiltonian for the arrays."""

    low: int
    start: NDArray[np.int64]
    pattern: NDArray[np.int64]
    rank: NDArray[np.uint32]
    ones: NDArray[np.int32]
    flip_bit: NDArray[np.int32]
    flip_rank: NDArray[np.uint32]
    pair_start: NDArray[np.int64]
    pair_rank: NDArray[np.uint32]
    pair_bits: NDArray[np.int32]

    @classmethod
    def of(cls, low: int, by_number: bool) -> Patterns:
        """Tables of 2^low patterns: classes by the number of up spins, or one class of all."""
        word = np.arange(2**low, dtype=np.int64)
        count = np.bitwise_count(word).astype(np.int64) if hasattr(np, "bitwise_count") else _counts(low)
        kind = count if by_number else np.zeros_like(count)
        pattern = word[np.argsort(kind, kind="stable")]
        start = np.concatenate([[0], np.cumsum(np.bincount(kind, minlength=low + 1 if by_number else 1))])
        rank = np.empty(2**low, dtype=np.uint32)
        rank[pattern] = np.arange(2**low) - start[kind[pattern]]
        bits = (pattern[:, None] >> np.arange(low)) & 1
        order = np.argsort(-bits, axis=1, kind="stable").astype(np.int32)
        flipped = pattern[:, None] ^ (1 << order.astype(np.int64))
        # exchanges of two opposite spins i < j
        i, j = np.triu_indices(low, 1)
        opposite = bits[:, i] != bits[:, j]
        at, which = np.nonzero(opposite)
        exchanged = pattern[at] ^ (1 << i[which]) ^ (1 << j[which])
        return cls(
            low,
            start.astype(np.int64),
            pattern,
            rank,
            bits.sum(axis=1).astype(np.int32),
            order,
            rank[flipped],
            np.concatenate([[0], np.cumsum(opposite.sum(axis=1))]).astype(np.int64),
            rank[exchanged],
            np.stack([i[which], j[which]], axis=1).astype(np.int32),
        )


def _counts(bits: int) -> NDArray[np.int64]:
    """Number of ones of 0, ..., 2^bits - 1."""
    out = np.zeros(1, dtype=np.int64)
    for _ in range(bits):
        out = np.concatenate([out, out + 1])
    return out


class Layout:
    """Amplitudes of one rank of 2^k: the k highest spins are the bits of the rank, the others are its own.

    spins: N; ups: number of up spins (nu_e), or None for all states. Spin i is bit i, 1 = up.

    Raises
    ------
    ConfigurationError
        For numbers of spins, of up spins or of ranks that do not fit.
    """

    def __init__(self, spins: int, ups: int | None, rank: int = 0, size: int = 1, low: int = LOW_BITS) -> None:
        if not 1 <= spins <= LARGEST:
            raise ConfigurationError(f"number of neutrinos is {spins}; accepted: 1 to {LARGEST}")
        if ups is not None and not 0 <= ups <= spins:
            raise ConfigurationError(f"number of up spins is {ups}; accepted: 0 to {spins}, the number of neutrinos")
        self.top = size.bit_length() - 1
        if size != 2**self.top or self.top >= spins:
            raise ConfigurationError(f"{size} ranks for {spins} neutrinos; accepted: a power of two below 2^{spins}")
        self.spins, self.ups, self.rank, self.size = spins, ups, rank, size
        self.own = spins - self.top
        self.low = min(low, self.own)
        self.high = self.own - self.low
        self.patterns = Patterns.of(self.low, ups is not None)
        self._count = _counts(self.high)
        self._offsets: dict[int, NDArray[np.int64]] = {}
        self.row_class = self._classes(self._own_ups(rank))

    def _own_ups(self, rank: int) -> int:
        """Number of up spins among a rank's own ones (0 where all states are held)."""
        return 0 if self.ups is None else self.ups - rank.bit_count()

    def _classes(self, own_ups: int) -> NDArray[np.int64]:
        if self.ups is None:
            return np.zeros(2**self.high, dtype=np.int64)
        kind = own_ups - self._count
        return np.where((kind >= 0) & (kind <= self.low), kind, -1)

    def offset(self, rank: int) -> NDArray[np.int64]:
        """(row + 1,) where the rows of a rank begin."""
        own = self._own_ups(rank)
        if own not in self._offsets:
            kind = self._classes(own)
            length = np.where(kind >= 0, np.diff(self.patterns.start)[kind], 0)
            self._offsets[own] = np.concatenate([[0], np.cumsum(length)])
        return self._offsets[own]

    def amplitudes(self, rank: int | None = None) -> int:
        """Number of amplitudes of a rank (this one by default)."""
        rank = self.rank if rank is None else rank
        if self.ups is None:
            return int(2**self.own)
        own = self._own_ups(rank)
        return comb(self.own, own) if 0 <= own <= self.own else 0

    @property
    def dimension(self) -> int:
        """Number of amplitudes of all ranks."""
        return int(2**self.spins) if self.ups is None else comb(self.spins, self.ups)

    @property
    def largest(self) -> int:
        """Number of amplitudes of the rank that has most."""
        return max(self.amplitudes(rank) for rank in range(self.size))

    def top_bit(self, spin: int) -> int:
        """Bit of the rank that is spin N - k + ..., or -1 for an own spin."""
        return spin - self.own if spin >= self.own else -1

    def find(self, word: int) -> tuple[int, int]:
        """Rank and place of the state whose spins are the bits of word."""
        rank, own = word >> self.own, word & ((1 << self.own) - 1)
        row, low = own >> self.low, own & ((1 << self.low) - 1)
        return rank, int(self.offset(rank)[row]) + int(self.patterns.rank[low])
