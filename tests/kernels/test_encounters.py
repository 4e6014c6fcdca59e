"""Random numbers of a place, pairings, and the encounter kernels."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.kernels.encounter_gas import (
    GROUPS,
    KEPT,
    REDRAWN,
    SUMS,
    advance,
    group_sums,
    meet,
    precess,
    qubit_entropy,
    round_robin,
)
from misci_transport.kernels.encounter_random import COSINE, SHUFFLE, philox, shuffle, uniforms, unit

SEED = np.uint64(2026)


def words(counter, key):
    a, b = philox(*(np.uint64(c) for c in counter), np.uint64(key[0] | key[1] << 32))
    return [int(a) & 0xFFFFFFFF, int(a) >> 32, int(b) & 0xFFFFFFFF, int(b) >> 32]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_published_answers_of_philox(counter, key, expected):
    """Known answers that come with the authors' library Random123 (kat_vectors, philox4x32 10)."""
    assert tuple(words(counter, key)) == expected


def test_uniform_numbers():
    out = np.empty(4001)
    uniforms(3, 1, COSINE, SEED, out)
    assert out.min() >= 0.0
    assert out.max() < 1.0
    assert out.mean() == pytest.approx(0.5, abs=4.0 / np.sqrt(12 * out.size))
    assert np.corrcoef(out[:-1], out[1:])[0, 1] == pytest.approx(0.0, abs=4.0 / np.sqrt(out.size))
    assert unit(np.uint64(2**64 - 1)) == 1.0 - 2.0**-53


@pytest.mark.parametrize("count", [2, 5, 6])
def test_shuffle_is_uniform(count):
    """Every value is as often at every place, and places of different steps do not depend on each other."""
    order, trials = np.empty(count, np.int32), 3000
    seen = np.zeros((count, count))
    for step in range(trials):
        shuffle(order, step, 0, SHUFFLE, SEED)
        assert sorted(order) == list(range(count))
        seen[np.arange(count), order] += 1
    expected = trials / count
    chi_square = ((seen - expected) ** 2 / expected).sum()
    # (count - 1)^2 degrees of freedom
    assert chi_square < (count - 1) ** 2 + 5.0 * np.sqrt(2.0) * (count - 1)


@pytest.mark.parametrize("count", [2, 6, 10])
def test_round_robin_lets_everybody_meet_everybody_once(count):
    labels, order = np.random.default_rng(0).permutation(count).astype(np.int32), np.empty(count, np.int32)
    met = set()
    for number in range(count - 1):
        round_robin(labels, number, order)
        assert sorted(order) == list(range(count))
        met |= {frozenset(pair) for pair in order.reshape(-1, 2).tolist()}
    assert len(met) == count * (count - 1) // 2


def test_meeting_keeps_the_total_and_shortens():
    p = np.array([[0.0, 0.0, 1.0], [0.6, 0.0, 0.8]])
    before = p.sum(axis=0)
    phi = 0.3
    meet(p, 0, 1, np.sin(phi) ** 2, 0.5 * np.sin(2 * phi))
    np.testing.assert_allclose(p.sum(axis=0), before, atol=1e-15)
    # 1 - |P'|^2 = (sin^2(2 phi)/4) (1 - P . Q)^2 of pure states
    np.testing.assert_allclose(1.0 - (p**2).sum(axis=1), 0.25 * np.sin(2 * phi) ** 2 * 0.2**2, rtol=1e-12)


def test_vacuum_turns_about_its_axis():
    p = np.array([[1.0, 0.0, 0.5], [0.0, 0.3, 0.0]])
    precess(p, np.array([0, 1]), np.array([0.0, 0.0, 1.0]), np.array([np.pi / 2, np.pi]))
    np.testing.assert_allclose(p, [[0.0, 1.0, 0.5], [0.0, -0.3, 0.0]], atol=1e-15)


def run(source, once, split=False, count=10, steps=6):
    rng = np.random.default_rng(1)
    p = rng.normal(size=(count, 3))
    p /= np.linalg.norm(p, axis=1)[:, None]
    v = rng.normal(size=(count, 3))
    v /= np.linalg.norm(v, axis=1)[:, None]
    group = (np.arange(count) >= 4).astype(np.int64)
    phi = np.array([[0.0, 0.2], [0.2, 0.1]])
    labels, rounds = np.empty(count, np.int32), np.empty(count - 1, np.int32)
    shuffle(labels, 0, 0, 2, SEED)
    shuffle(rounds, 0, 0, 3, SEED)
    parts = [(0, 2), (2, steps - 2)] if split else [(0, steps)]
    for first, number in parts:
        advance(
            p,
            group,
            v if source == KEPT else np.empty((0, 3)),
            source,
            0.2,
            np.sin(phi) ** 2,
            0.5 * np.sin(2 * phi),
            once,
            labels,
            rounds,
            np.array([0.0, 0.6, 0.8]),
            np.array([0.0, 0.05]),
            SEED,
            0,
            first,
            number,
            np.empty(count, np.int32),
        )
    sums = np.empty((2, SUMS))
    group_sums(p, group, sums)
    return p, sums


@pytest.mark.parametrize("source", [GROUPS, KEPT, REDRAWN])
@pytest.mark.parametrize("once", [False, True])
def test_steps_can_be_divided(source, once):
    whole, _ = run(source, once)
    parts, _ = run(source, once, split=True)
    np.testing.assert_array_equal(whole, parts)
    assert np.linalg.norm(whole, axis=1).max() <= 1.0 + 1e-14


def test_sums_of_groups():
    p, sums = run(GROUPS, False)
    for g, chosen in enumerate((p[:4], p[4:])):
        length = np.linalg.norm(chosen, axis=1)
        np.testing.assert_allclose(sums[g, :3], chosen.sum(axis=0), atol=1e-14)
        np.testing.assert_allclose(sums[g, 3:5], [length.sum(), (length**2).sum()], rtol=1e-14)
        q = np.stack([0.5 * (1 + length), 0.5 * (1 - length)])
        np.testing.assert_allclose(sums[g, 5], -(q * np.log(q)).sum(), rtol=1e-13)
    assert qubit_entropy(1.0) == 0.0
    assert qubit_entropy(0.0) == pytest.approx(np.log(2.0), rel=1e-15)
