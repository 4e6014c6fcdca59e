"""Random numbers that are functions of their place: Philox 4x32 with ten rounds.

J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11 (2011), doi:10.1145/2063384.2063405. A number
depends on its counter (index, step, realization, stream) and on the seed only, not on what was drawn before or where.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel

MASK = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MULTIPLY_0, MULTIPLY_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
#: Streams: what the numbers are for.
SHUFFLE, COSINE, LABELS, ROUNDS, VELOCITY = 0, 1, 2, 3, 4
ROUNDS_OF_PHILOX = 10
TO_UNIT = 1.0 / 9007199254740992.0


@kernel
def philox(index, step, realization, stream, seed):
    """Two random 64-bit words of a counter of four 32-bit words and a 64-bit seed (all uint64)."""
    c0, c1, c2, c3 = index & MASK, step & MASK, realization & MASK, stream & MASK
    k0, k1 = seed & MASK, (seed >> HALF) & MASK
    for _ in range(ROUNDS_OF_PHILOX):
        p0 = MULTIPLY_0 * c0
        p1 = MULTIPLY_1 * c2
        c0, c1, c2, c3 = ((p1 >> HALF) ^ c1 ^ k0), p1 & MASK, ((p0 >> HALF) ^ c3 ^ k1), p0 & MASK
        k0 = (k0 + WEYL_0) & MASK
        k1 = (k1 + WEYL_1) & MASK
    return c0 | (c1 << HALF), c2 | (c3 << HALF)


@kernel
def unit(word):
    """A number in [0, 1) from the upper 53 bits of a word."""
    return np.float64(word >> np.uint64(11)) * TO_UNIT


@kernel
def uniforms(step, realization, stream, seed, out):
    """Fill out (count,) with numbers in [0, 1)."""
    count = out.size
    for index in range((count + 1) // 2):
        a, b = philox(np.uint64(index), np.uint64(step), np.uint64(realization), np.uint64(stream), seed)
        out[2 * index] = unit(a)
        if 2 * index + 1 < count:
            out[2 * index + 1] = unit(b)


@kernel
def shuffle(order, step, realization, stream, seed):
    """Order (count,) int32 in place: a random permutation of 0, ..., count - 1 (Fisher and Yates), from scratch.

    A position is floor(u * remaining) with u of 53 bits, biased by count/2^53.
    """
    count = order.size
    for i in range(count):
        order[i] = i
    spare = 0.0
    for i in range(count - 1, 0, -1):
        if i % 2 == 1:
            a, b = philox(np.uint64(i), np.uint64(step), np.uint64(realization), np.uint64(stream), seed)
            u, spare = unit(a), unit(b)
        elif i == count - 1:
            a, b = philox(np.uint64(i + 1), np.uint64(step), np.uint64(realization), np.uint64(stream), seed)
            u = unit(b)
        else:
            u = spare
        j = int(u * (i + 1))
        order[i], order[j] = order[j], order[i]
