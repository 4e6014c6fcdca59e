"""Probabilities and coherences of one and two spins from amplitudes; arrays as in manybody_hamiltonian."""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel

#: Terms of a plain sum; such sums are added with compensation, not to lose digits over 10^8 amplitudes.
BLOCK = 512


@kernel
def norm_squared(psi):
    """Sum of |psi|^2 over (amplitude, 2)."""
    total, lost = 0.0, 0.0
    count = psi.shape[0]
    for begin in range(0, count, BLOCK):
        part = 0.0
        for k in range(begin, min(begin + BLOCK, count)):
            part += psi[k, 0] ** 2 + psi[k, 1] ** 2
        # all terms are positive: the sum is the larger one, but for the first
        new = total + part
        lost += (total - new) + part if total >= part else (part - new) + total
        total = new
    return total + lost


@kernel
def up_probabilities(psi, offset, row_class, start, pattern, low, spins, joint):
    """joint (spin, spin) of this rank's amplitudes: probability that both are up; on the diagonal, that one is."""
    high = spins - low
    joint[:] = 0.0
    patterns = np.zeros(pattern.size)
    bits = np.empty(low)
    for row in range(row_class.size):
        kind = row_class[row]
        if kind < 0:
            continue
        begin, first = offset[row], start[kind]
        whole = 0.0
        bits[:] = 0.0
        for r in range(start[kind + 1] - first):
            weight = psi[begin + r, 0] ** 2 + psi[begin + r, 1] ** 2
            whole += weight
            patterns[first + r] += weight
            word = pattern[first + r]
            for j in range(low):
                bits[j] += weight * ((word >> j) & 1)
        for i in range(high):
            if (row >> i) & 1:
                for j in range(low):
                    joint[low + i, j] += bits[j]
                for k in range(i + 1):
                    if (row >> k) & 1:
                        joint[low + i, low + k] += whole
    for t in range(pattern.size):
        for i in range(low):
            if (pattern[t] >> i) & 1:
                for j in range(i + 1):
                    if (pattern[t] >> j) & 1:
                        joint[i, j] += patterns[t]
    for i in range(spins):
        for j in range(i):
            joint[j, i] = joint[i, j]


@kernel
def overlap(psi, other, offset, other_offset, row_class, start, pattern, rank, low, flip, mask, value):
    """Real and imaginary part of the sum of psi(b) conj(other(b ^ flip)) over b with b & mask == value.

    rank (2^low,): place of a pattern in its class; other_offset: rows of the other array.
    """
    below = (1 << low) - 1
    flip_low, flip_high = flip & below, flip >> low
    re, im = 0.0, 0.0
    for row in range(row_class.size):
        kind = row_class[row]
        if kind < 0 or row & (mask >> low) != value >> low:
            continue
        begin, there = offset[row], other_offset[row ^ flip_high]
        first = start[kind]
        row_re, row_im = 0.0, 0.0
        for r in range(start[kind + 1] - first):
            word = pattern[first + r]
            if word & mask & below == value & below:
                at = there + rank[word ^ flip_low]
                x, y = psi[begin + r, 0], psi[begin + r, 1]
                u, v = other[at, 0], other[at, 1]
                row_re += x * u + y * v
                row_im += y * u - x * v
        re += row_re
        im += row_im
    return re, im
