"""H = sum_{i<j} mu_ij sigma_i . sigma_j + sum_i b_i sigma_z,i on amplitudes, without a matrix (docs/encounters.md, N8).

sigma_i . sigma_j = 2 swap - 1: s_i s_j on the diagonal, and 2 mu_ij between two states that differ by an exchange of
opposite spins. An index has high bits (the row) and low bits (a pattern within the row); rows of one class have the
same patterns. Amplitudes are (amplitude, 2), real and imaginary parts: H is real and acts on both alike.

    offset (row + 1,)     where a row begins           row_class (row,)   class, -1 if the row is empty
    start (class + 1,)    first pattern of a class     pattern (t,)       low bits, class after class
    ones (t,)             number of up spins           flip_bit, flip_rank (t, low)   low bits, up ones first, and
                          the place of the pattern with that bit flipped within its class
    pair_start (t + 1,), pair_rank, pair_bits (exchange, 2)   exchanges of two opposite low spins

Ranks are unsigned: a signed index costs a comparison, because it may count from the end.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel


@kernel
def gather_rows(psi, place, value, many, width, out):
    """out[x] = sum_n value[n] psi[place[n] + x] for x below width, n below many; psi is flat. Four rows at a time."""
    out[:width] = 0.0
    n = 0
    while n + 4 <= many:
        a, b, c, d = value[n], value[n + 1], value[n + 2], value[n + 3]
        p = psi[place[n] : place[n] + width]
        q = psi[place[n + 1] : place[n + 1] + width]
        r = psi[place[n + 2] : place[n + 2] + width]
        s = psi[place[n + 3] : place[n + 3] + width]
        for x in range(width):
            out[x] += a * p[x] + b * q[x] + c * r[x] + d * s[x]
        n += 4
    while n < many:
        a = value[n]
        p = psi[place[n] : place[n] + width]
        for x in range(width):
            out[x] += a * p[x]
        n += 1


@kernel
def apply_local(
    psi,
    out,
    offset,
    row_class,
    start,
    pattern,
    ones,
    flip_bit,
    flip_rank,
    pair_start,
    pair_rank,
    pair_bits,
    coupling,
    diagonal_high,
    diagonal_low,
    low,
    alpha,
    beta,
    keep,
):
    """out = alpha H psi + beta psi - keep out with the exchanges among this rank's own spins.

    coupling (spin, spin): mu_ij of the own spins, low ones first; diagonal_high (row,) and diagonal_low (t,): the terms
    on the diagonal of rows and of patterns alone. psi and out are different arrays.
    """
    spins = coupling.shape[0]
    high = spins - low
    flat = psi.reshape(-1)
    field = np.empty(low)
    # off-diagonal elements of a row with each low bit, and where the rows begin
    mixed = np.empty((2, low, max(high, 1)))
    place = np.empty((2, max(high, 1)), np.int64)
    many = np.empty(2, np.int64)
    far, far_value = np.empty(max(high * high // 4, 1), np.int64), np.empty(max(high * high // 4, 1))
    longest = 0
    for k in range(start.size - 1):
        longest = max(longest, start[k + 1] - start[k])
    # rows above summed with the couplings of one low bit: of the rows that the row's up and down spins lead to
    summed = np.empty((2, low, 2 * longest))
    whole = np.empty(2 * longest)
    pair_value = np.empty(pair_rank.size)
    for e in range(pair_rank.size):
        pair_value[e] = 2.0 * coupling[pair_bits[e, 0], pair_bits[e, 1]]
    for row in range(row_class.size):
        kind = row_class[row]
        if kind < 0:
            continue
        begin = offset[row]
        first = start[kind]
        length = start[kind + 1] - first
        for j in range(low):
            field[j] = 0.0
        many[0] = 0
        many[1] = 0
        count = 0
        for i in range(high):
            bit = (row >> i) & 1
            n = many[bit]
            place[bit, n] = 2 * offset[row ^ (1 << i)]
            sign = 2.0 * bit - 1.0
            for j in range(low):
                mixed[bit, j, n] = 2.0 * coupling[low + i, j]
                field[j] += sign * coupling[low + i, j]
            many[bit] = n + 1
            if bit == 1:
                for j in range(high):
                    if (row >> j) & 1 == 0:
                        far[count] = 2 * offset[row ^ (1 << i) ^ (1 << j)]
                        far_value[count] = 2.0 * coupling[low + i, low + j]
                        count += 1
        # exchanges above: whole rows
        gather_rows(flat, far, far_value, count, 2 * length, whole)
        for bit in range(2):
            # one up spin fewer above is one more below
            reached = kind + 2 * bit - 1 if start.size > 2 else 0
            if many[bit] > 0 and 0 <= reached < start.size - 1:
                width = 2 * (start[reached + 1] - start[reached])
                for j in range(low):
                    gather_rows(flat, place[bit], mixed[bit, j], many[bit], width, summed[bit, j])
            else:
                summed[bit] = 0.0
        own = psi[begin : begin + length]
        for r in range(length):
            t = first + r
            x, y = own[r, 0], own[r, 1]
            word = pattern[t]
            on_diagonal = diagonal_high[row] + diagonal_low[t]
            for j in range(low):
                on_diagonal += field[j] * (2.0 * ((word >> j) & 1) - 1.0)
            re, im = on_diagonal * x + whole[2 * r], on_diagonal * y + whole[2 * r + 1]
            for e in range(pair_start[t], pair_start[t + 1]):
                at = pair_rank[e]
                re += pair_value[e] * own[at, 0]
                im += pair_value[e] * own[at, 1]
            up = ones[t]
            for e in range(low):
                # an up spin below exchanges with down spins above, and the other way round
                bit = 1 if e >= up else 0
                j, at = flip_bit[t, e], 2 * flip_rank[t, e]
                re += summed[bit, j, at]
                im += summed[bit, j, at + 1]
            out[begin + r, 0] = alpha * re + beta * x - keep * out[begin + r, 0]
            out[begin + r, 1] = alpha * im + beta * y - keep * out[begin + r, 1]


@kernel
def apply_flip(
    psi, out, offset, other_offset, row_class, start, ones, flip_bit, flip_rank, coupling, own_bit, low, alpha
):
    """out += alpha H psi for the exchanges of one spin of another rank's state with this rank's own spins.

    psi are the other rank's amplitudes (rows at other_offset), which differ from this one's by a spin that is own_bit
    here; coupling (spin,): mu between that spin and the own ones.
    """
    high = coupling.size - low
    flat = psi.reshape(-1)
    place, value = np.empty(max(high, 1), np.int64), np.empty(max(high, 1))
    longest = 0
    for k in range(start.size - 1):
        longest = max(longest, start[k + 1] - start[k])
    whole = np.empty(2 * longest)
    for row in range(row_class.size):
        kind = row_class[row]
        if kind < 0:
            continue
        begin, there = offset[row], other_offset[row]
        first = start[kind]
        length = start[kind + 1] - first
        many = 0
        for i in range(high):
            if (row >> i) & 1 != own_bit:
                place[many] = 2 * other_offset[row ^ (1 << i)]
                value[many] = coupling[low + i]
                many += 1
        gather_rows(flat, place, value, many, 2 * length, whole)
        # patterns of the other rank's row; empty where there is nothing to exchange below
        across = psi[there : other_offset[row + 1]]
        for r in range(length):
            t = first + r
            re, im = whole[2 * r], whole[2 * r + 1]
            for e in range(ones[t] if own_bit == 1 else 0, low if own_bit == 1 else ones[t]):
                at, factor = flip_rank[t, e], coupling[flip_bit[t, e]]
                re += factor * across[at, 0]
                im += factor * across[at, 1]
            out[begin + r, 0] += 2.0 * alpha * re
            out[begin + r, 1] += 2.0 * alpha * im


@kernel
def add_scaled(out, psi, factor):
    """out += factor psi, (amplitude, 2) each."""
    for k in range(out.shape[0]):
        out[k, 0] += factor * psi[k, 0]
        out[k, 1] += factor * psi[k, 1]


@kernel
def add_turned(out, psi, factor, quarter):
    """out += factor (-i)^quarter psi, quarter = 0, 1, 2 or 3."""
    if quarter % 2 == 0:
        value = factor if quarter == 0 else -factor
        for k in range(out.shape[0]):
            out[k, 0] += value * psi[k, 0]
            out[k, 1] += value * psi[k, 1]
    else:
        value = factor if quarter == 1 else -factor
        for k in range(out.shape[0]):
            out[k, 0] += value * psi[k, 1]
            out[k, 1] -= value * psi[k, 0]


@kernel
def turn_phase(psi, cosine, sine):
    """Multiply psi by (cosine - i sine) in place."""
    for k in range(psi.shape[0]):
        x, y = psi[k, 0], psi[k, 1]
        psi[k, 0] = cosine * x + sine * y
        psi[k, 1] = cosine * y - sine * x
