"""The gas of reduced states against all amplitudes, with the same encounters."""

from __future__ import annotations

import numpy as np

from misci_transport.encounters import Group, Setting, simulate
from misci_transport.encounters.pair import PAULI
from misci_transport.kernels.encounter_gas import round_robin
from misci_transport.kernels.encounter_random import LABELS, ROUNDS, shuffle

COUNT, ANGLE = 10, 2.0


def both(gamma, steps, seed):
    """Group means of the gas, and of the state of all neutrinos under the same exchanges."""
    half = COUNT // 2
    tilted = (np.sin(ANGLE), 0.0, np.cos(ANGLE))
    groups = (Group(half, (0.0, 0.0, 1.0)), Group(half, tilted, direction=(1.0, 0.0, 0.0)))
    gas = simulate(Setting(groups, gamma, pairing="once", seed=seed), [steps])
    labels, rounds, order = np.empty(COUNT, np.int32), np.empty(COUNT - 1, np.int32), np.empty(COUNT, np.int32)
    shuffle(labels, 0, 0, LABELS, np.uint64(seed))
    shuffle(rounds, 0, 0, ROUNDS, np.uint64(seed))
    psi = np.ones(1, dtype=complex)
    for i in range(COUNT):
        spinor = [1.0, 0.0] if i < half else [np.cos(0.5 * ANGLE), np.sin(0.5 * ANGLE)]
        psi = np.multiply.outer(psi, spinor).ravel()
    psi = psi.reshape((2,) * COUNT)
    for step in range(steps):
        round_robin(labels, int(rounds[step]), order)
        for i, j in order.reshape(-1, 2):
            if (i < half) != (j < half):
                psi = np.cos(gamma) * psi - 1j * np.sin(gamma) * np.swapaxes(psi, i, j)
    rows = [np.moveaxis(psi, i, 0).reshape(2, -1) for i in range(COUNT)]
    p = np.array([[np.trace(row @ row.conj().T @ sigma).real for sigma in PAULI] for row in rows])
    return gas.polarization[0, 0], p.reshape(2, half, 3).mean(axis=1)


def test_reduced_states_are_exact_while_no_two_have_met_the_same():
    for seed in range(3):
        for steps in (1, 2):
            np.testing.assert_allclose(*both(0.3, steps, seed), atol=1e-13)


def test_reduced_states_are_approximate_when_all_have_met():
    away = np.mean([np.abs(np.subtract(*both(1.0 / 3.0, COUNT - 1, seed))).max() for seed in range(4)])
    assert 1e-3 < away < 0.05
