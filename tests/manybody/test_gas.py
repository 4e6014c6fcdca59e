"""Evolution and observables of all amplitudes against dense matrices and angular momenta."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from misci_transport.encounters.pair import entropy
from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.manybody import Layout, ManyBody, TwoBeams, memory_plan, uniform_beams

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def operator(matrix, spin, spins):
    return np.kron(np.eye(2 ** (spins - 1 - spin)), np.kron(matrix[::-1, ::-1], np.eye(2**spin)))


def dense(coupling, one_body):
    n = len(one_body)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    exchange = sum(coupling[i, j] * operator(s, i, n) @ operator(s, j, n) for i, j in pairs for s in PAULI)
    return exchange + sum(b * operator(PAULI[2], i, n) for i, b in enumerate(one_body))


def gas_of(spins, seed=0, **options):
    rng = np.random.default_rng(seed)
    mu = rng.normal(size=(spins, spins))
    b = rng.normal(size=spins)
    return ManyBody(mu + mu.T, one_body=b, low=3, **options), mu + mu.T, b


def unit_vectors(count, seed):
    p = np.random.default_rng(seed).normal(size=(count, 3))
    return p / np.linalg.norm(p, axis=1)[:, None]


def test_evolution_of_tilted_neutrinos():
    gas, mu, b = gas_of(6, ups=None)
    p = unit_vectors(6, 1)
    gas.start_product(p)
    np.testing.assert_allclose(gas.polarization(), p, atol=1e-14)
    start = gas.psi[:, 0] + 1j * gas.psi[:, 1]
    h = dense(mu, b)
    energy = gas.energy()
    for time in (0.0, 0.4, 2.5):
        gas.psi[:, 0], gas.psi[:, 1] = start.real, start.imag
        gas.evolve(time)
        expected = expm(-1j * time * h) @ start
        np.testing.assert_allclose(gas.psi[:, 0] + 1j * gas.psi[:, 1], expected, atol=1e-12)
    assert gas.norm() == pytest.approx(1.0, abs=1e-12)
    assert gas.energy() == pytest.approx(energy, abs=1e-11)
    # pairs and single neutrinos by tracing the dense state
    tensor = np.moveaxis(expected.reshape((2,) * 6)[::-1, ::-1, ::-1, ::-1, ::-1, ::-1], range(6), range(5, -1, -1))
    pairs = [(0, 1), (4, 2), (5, 3)]
    matrices = gas.pair_matrices(pairs)
    for (i, j), matrix in zip(pairs, matrices, strict=True):
        two = np.moveaxis(tensor, (i, j), (0, 1)).reshape(4, -1)
        np.testing.assert_allclose(matrix, two @ two.conj().T, atol=1e-12)
    np.testing.assert_allclose(gas.pair_entropies(pairs), entropy(matrices), atol=1e-12)
    one = [np.moveaxis(tensor, i, 0).reshape(2, -1) for i in range(6)]
    np.testing.assert_allclose(gas.entropies(), [entropy(x @ x.conj().T) for x in one], atol=1e-10)


def test_sector_is_a_part_of_all_states():
    up = np.array([1, 0, 1, 1, 0, 0, 1], dtype=bool)
    sector, _, _ = gas_of(7, ups=4)
    whole, _, _ = gas_of(7, ups=None)
    for gas in (sector, whole):
        gas.start_flavors(up)
        gas.evolve(0.8)
    np.testing.assert_allclose(sector.polarization(), whole.polarization(), atol=1e-12)
    pairs = [(0, 1), (6, 2), (3, 5)]
    np.testing.assert_allclose(sector.pair_matrices(pairs), whole.pair_matrices(pairs), atol=1e-12)
    assert sector.polarization()[:, 2].sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("n", [2, 4, 10, 14])
def test_two_beams_are_the_angular_momenta(n):
    """V23, (N10)."""
    exact = TwoBeams(n, 1.5)
    gas = ManyBody(uniform_beams(n // 2, n // 2, 1.5), ups=n // 2)
    gas.start_flavors(np.arange(n) < n // 2)
    for time in (1.0, 2.0):
        gas.evolve(1.0)
        p = gas.polarization()[:, 2]
        expected = np.where(np.arange(n) < n // 2, 1.0, -1.0) * exact.spin_of_beam([time])[0]
        np.testing.assert_allclose(p, expected, atol=1e-11)
        start = gas.layout.find(2 ** (n // 2) - 1)[1]
        assert (gas.psi[start] ** 2).sum() == pytest.approx(exact.survival([time])[0], abs=1e-12)
    assert gas.norm() == pytest.approx(1.0, abs=1e-12)


def test_angular_momenta_agree_with_each_other():
    exact = TwoBeams(40)
    times = np.linspace(0.0, 8.0, 9)
    np.testing.assert_allclose(np.abs(exact.amplitudes(times)[:, 0]) ** 2, exact.survival(times), atol=1e-12)
    np.testing.assert_allclose((np.abs(exact.amplitudes(times)) ** 2).sum(axis=1), 1.0, atol=1e-12)


def test_first_zero_grows_as_the_root_of_n():
    zero = [TwoBeams(n).first_zero() for n in (64, 256, 1024)]
    np.testing.assert_allclose(np.array(zero[1:]) / zero[:-1], 2.0, rtol=0.01)
    assert TwoBeams(64, 2.0).first_zero() == pytest.approx(zero[0] / 2.0, rel=1e-10)


def test_vectors_that_are_held():
    gas, _, _ = gas_of(8, ups=4)
    gas.start_flavors(np.arange(8) < 4)
    gas.evolve(1.0)
    assert gas.bytes_held == 3 * gas.psi.nbytes
    plan = memory_plan(8, 4, 1)
    assert plan["amplitudes"] == 70
    assert plan["bytes of all vectors"] == gas.bytes_held
    plan = memory_plan(36, 18, 64)
    assert plan["amplitudes of a rank"] == 155117520
    assert plan["bytes of all vectors"] == 4 * 16 * 155117520
    assert memory_plan(10, None, 2)["amplitudes of a rank"] == 512


def test_wrong_bounds_are_noticed():
    gas, _, _ = gas_of(8, ups=4)
    gas.start_flavors(np.arange(8) < 4)
    gas._bounds = (-0.5, 0.5)
    with pytest.raises(ConvergenceError, match="norm"):
        gas.evolve(3.0)


def test_what_is_refused():
    with pytest.raises(ConfigurationError, match="symmetric"):
        ManyBody([[0.0, 1.0], [2.0, 0.0]], ups=1)
    with pytest.raises(ConfigurationError, match="one_body"):
        ManyBody(np.zeros((2, 2)), ups=1, one_body=[1.0])
    with pytest.raises(ConfigurationError, match="up spins"):
        Layout(4, 5)
    with pytest.raises(ConfigurationError, match="ranks"):
        Layout(4, 2, 0, 3)
    with pytest.raises(ConfigurationError, match="neutrinos"):
        Layout(60, 2)
    with pytest.raises(ConfigurationError, match="ranks"):
        memory_plan(4, 2, 3)
    gas, _, _ = gas_of(4, ups=2)
    with pytest.raises(ConfigurationError, match="nu_e"):
        gas.start_flavors([True, False, False, False])
    with pytest.raises(ConfigurationError, match="ups"):
        gas.start_product(unit_vectors(4, 0))
    with pytest.raises(ConfigurationError, match="pair"):
        gas.pair_matrices([(0, 4)])
    whole, _, _ = gas_of(4, ups=None)
    with pytest.raises(ConfigurationError, match="unit vectors"):
        whole.start_product(np.zeros((4, 3)))
    with pytest.raises(ConfigurationError, match="even"):
        TwoBeams(5)
