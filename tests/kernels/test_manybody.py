"""Kernels on amplitudes against small dense matrices."""

from __future__ import annotations

from math import fsum

import numpy as np
import pytest

from misci_transport.kernels.manybody_hamiltonian import add_scaled, add_turned, gather_rows, turn_phase
from misci_transport.kernels.manybody_observables import norm_squared
from misci_transport.manybody.gas import ManyBody
from misci_transport.manybody.layout import Layout

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def operator(matrix, spin, spins):
    """Matrix of one spin in the order of the indices: bit = 1 is up."""
    return np.kron(np.eye(2 ** (spins - 1 - spin)), np.kron(matrix[::-1, ::-1], np.eye(2**spin)))


def dense(coupling, one_body):
    n = len(one_body)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    exchange = sum(coupling[i, j] * operator(s, i, n) @ operator(s, j, n) for i, j in pairs for s in PAULI)
    return (exchange + sum(b * operator(PAULI[2], i, n) for i, b in enumerate(one_body))).real


def random_couplings(spins, seed=0):
    rng = np.random.default_rng(seed)
    mu = rng.normal(size=(spins, spins))
    return mu + mu.T, rng.normal(size=spins)


@pytest.mark.parametrize("low", [1, 2, 5])
@pytest.mark.parametrize("ups", [None, 0, 1, 2, 3, 5])
def test_hamiltonian_is_the_dense_one(low, ups):
    mu, b = random_couplings(5)
    gas = ManyBody(mu, ups=ups, one_body=b, low=low)
    words = [w for w in range(32) if ups is None or w.bit_count() == ups]
    places = [gas.layout.find(w)[1] for w in words]
    assert sorted(places) == list(range(gas.layout.amplitudes()))
    matrix = dense(mu, b)[np.ix_(words, words)]
    rng = np.random.default_rng(1)
    psi, out = rng.normal(size=(len(words), 2)), rng.normal(size=(len(words), 2))
    expected = 0.5 * matrix @ psi[places] + 0.3 * psi[places] - 2.0 * out[places]
    gas.apply(psi, out, 0.5, 0.3, 2.0)
    np.testing.assert_allclose(out[places], expected, atol=1e-13)


def test_layout_of_ranks_covers_the_sector():
    found = {}
    for word in (w for w in range(2**7) if w.bit_count() == 3):
        rank, place = Layout(7, 3, 0, 4, 2).find(word)
        found.setdefault(rank, []).append(place)
    for rank, places in found.items():
        assert sorted(places) == list(range(Layout(7, 3, rank, 4, 2).amplitudes()))


def test_sums_of_rows():
    rng = np.random.default_rng(2)
    psi, out = rng.normal(size=60), np.empty(8)
    place, value = np.arange(0, 42, 6), rng.normal(size=7)
    for many in range(8):
        gather_rows(psi, place, value, many, 8, out)
        expected = sum((value[n] * psi[place[n] : place[n] + 8] for n in range(many)), np.zeros(8))
        np.testing.assert_allclose(out, expected, atol=1e-14)


def test_phases():
    rng = np.random.default_rng(3)
    psi = rng.normal(size=(5, 2))
    full = psi[:, 0] + 1j * psi[:, 1]
    for quarter in range(4):
        out = np.ones((5, 2))
        add_turned(out, psi, 0.3, quarter)
        np.testing.assert_allclose(out[:, 0] + 1j * out[:, 1], (1 + 1j) + 0.3 * (-1j) ** quarter * full, atol=1e-15)
    out = psi.copy()
    add_scaled(out, psi, 0.5)
    turn_phase(out, np.cos(0.4), np.sin(0.4))
    np.testing.assert_allclose(out[:, 0] + 1j * out[:, 1], 1.5 * np.exp(-0.4j) * full, atol=1e-15)


@pytest.mark.parametrize("count", [0, 1, 600, 2000])
def test_norm(count):
    psi = np.random.default_rng(6).normal(size=(count, 2))
    assert norm_squared(psi) == pytest.approx(fsum((psi**2).ravel()), rel=1e-15)
