"""Two neutrinos that meet, against matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from misci_transport.encounters.pair import (
    PAULI,
    SWAP,
    concurrence,
    density_matrix,
    encounter,
    entropy,
    pair_state,
    unitary,
)

EXCHANGE = sum(np.kron(sigma, sigma) for sigma in PAULI)


def vectors(seed, length=None):
    rng = np.random.default_rng(seed)
    v = rng.normal(size=3)
    return v / np.linalg.norm(v) * (rng.random() if length is None else length)


def reduced(pair, which):
    tensor = pair.reshape(2, 2, 2, 2)
    rho = np.einsum("ijkj->ik", tensor) if which == 0 else np.einsum("jijk->ik", tensor)
    return np.einsum("aij,ji->a", PAULI, rho).real


@pytest.mark.parametrize("phi", [0.0, 1e-3, 0.4, np.pi / 4, 1.3, 2.5])
def test_encounter_is_that_of_4_by_4_matrices(phi):
    """V21: (N2) against the matrix exponential and the partial trace."""
    u = expm(-0.5j * phi * EXCHANGE)
    np.testing.assert_allclose(unitary(phi), u, atol=1e-14)
    for seed in range(5):
        p, q = vectors(seed), vectors(seed + 100)
        pair = u @ np.kron(density_matrix(p), density_matrix(q)) @ u.conj().T
        one, two = encounter(p, q, phi)
        np.testing.assert_allclose(one, reduced(pair, 0), atol=1e-14)
        np.testing.assert_allclose(two, reduced(pair, 1), atol=1e-14)
        np.testing.assert_allclose(pair_state(p, q, phi), pair, atol=1e-14)
    np.testing.assert_allclose(2.0 * SWAP - np.eye(4), EXCHANGE, atol=1e-15)


def test_many_pairs_at_once():
    p, q, phi = (np.stack([vectors(k + n) for k in range(4)]) for n in (0, 50)), None, np.linspace(0.1, 1.0, 4)
    p, q = p
    one, _ = encounter(p, q, phi)
    for k in range(4):
        np.testing.assert_array_equal(one[k], encounter(p[k], q[k], phi[k])[0])
    assert concurrence(pair_state(p, q, phi)).shape == (4,)


@pytest.mark.parametrize("phi", [0.05, 0.6, np.pi / 4, 1.2])
def test_concurrence_of_pure_neutrinos(phi):
    """|sin 2 phi| (1 - P . Q)/2, which is the root of 1 - |P'|^2."""
    p, q = vectors(3, 1.0), vectors(4, 1.0)
    state = pair_state(p, q, phi)
    expected = abs(np.sin(2 * phi)) * 0.5 * (1.0 - p @ q)
    assert concurrence(state) == pytest.approx(expected, abs=1e-7)
    assert np.sqrt(1.0 - (encounter(p, q, phi)[0] ** 2).sum()) == pytest.approx(expected, rel=1e-10)


def test_concurrence_of_known_states():
    bell = np.zeros((4, 4))
    bell[1:3, 1:3] = [[0.5, -0.5], [-0.5, 0.5]]
    assert concurrence(bell) == pytest.approx(1.0, abs=1e-12)
    # Werner's states: max(0, (3 p - 1)/2)
    for p in (0.2, 0.5, 0.9):
        assert concurrence(p * bell + (1 - p) * np.eye(4) / 4) == pytest.approx(max(0.0, 1.5 * p - 0.5), abs=1e-12)
    assert concurrence(pair_state([0, 0, 1], [0.5, 0, 0], 0.0)) == pytest.approx(0.0, abs=1e-7)


def test_entropy_of_a_pair_does_not_change():
    p, q = vectors(1, 0.6), vectors(2, 0.3)
    apart = entropy(density_matrix(p)) + entropy(density_matrix(q))
    assert entropy(pair_state(p, q, 0.7)) == pytest.approx(apart, rel=1e-12)
    one, two = encounter(p, q, 0.7)
    # mutual information is what the parting neutrinos forget
    assert entropy(density_matrix(one)) + entropy(density_matrix(two)) > apart
