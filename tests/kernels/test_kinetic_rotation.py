"""Rotations of the kinetic equation against the matrix exponential, and what they conserve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from misci_transport.flavor import pack, unpack
from misci_transport.kernels.kinetic_rotation_2 import rotate_2
from misci_transport.kernels.kinetic_rotation_3 import rotate_3

ROTATE = {2: rotate_2, 3: rotate_3}
COSINE, WEIGHT, NUMBER = np.array([-1.0, 0.2, 0.9]), np.array([0.3, 0.5, 0.1]), np.array([1.0, 2.0])


def hermitian(random, n, shape):
    matrix = random.normal(size=(*shape, n, n)) + 1j * random.normal(size=(*shape, n, n))
    return 0.5 * (matrix + np.swapaxes(matrix, -1, -2).conj())


def random_state(n, cells, seed=3):
    random = np.random.default_rng(seed)
    packed = pack(hermitian(random, n, (3, 2, 2, cells)))
    vacuum = pack(hermitian(random, n, (2,)))
    return (
        np.ascontiguousarray(np.moveaxis(packed, -1, -2)),
        vacuum,
        random.normal(size=cells),
        random.uniform(size=cells),
    )


def matrices(state):
    return unpack(np.moveaxis(state, -2, -1))


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("scale", [1.0e-3, 0.3, 3.0, 40.0])
def test_rotation_is_the_exponential_of_a_given_hamiltonian(n, scale):
    """All ranges of the polynomials, quarters of the circle, and the doubling of a large step."""
    cells, dt = 5, 0.7
    state, vacuum, potential, flow = random_state(n, cells)
    before = matrices(state)
    ghosts = np.full((*state.shape[:-1], cells + 3), 7.0)
    ghosts[..., 2:-1] = state
    ROTATE[n](ghosts, 2, cells + 2, COSINE, WEIGHT, NUMBER, scale * vacuum, scale * potential, flow, 0.0, dt)
    assert (ghosts[..., [0, 1, -1]] == 7.0).all()
    after = matrices(ghosts[..., 2:-1])
    worst = 0.0
    for m, v in enumerate(COSINE):
        for s, sign in enumerate((1.0, -1.0)):
            for g in range(2):
                for i in range(cells):
                    h = sign * unpack(vacuum[g])
                    h[0, 0] += potential[i] * (1.0 - flow[i] * v)
                    u = expm(-1j * scale * h * dt)
                    expected = u @ before[m, s, g, i] @ u.conj().T
                    worst = max(worst, np.abs(after[m, s, g, i] - expected).max())
    assert worst < 5.0e-15 * max(10.0, scale)


@pytest.mark.parametrize("n", [2, 3])
def test_self_interaction_is_of_second_order(n):
    """D at the middle of the step: halving the step quarters the difference from a fine solution."""
    state, vacuum, potential, flow = random_state(n, 2)

    def march(steps):
        f = state.copy()
        for _ in range(steps):
            ROTATE[n](f, 0, 2, COSINE, WEIGHT, NUMBER, vacuum, potential, flow, 0.3, 1.0 / steps)
        return f

    fine = march(512)
    errors = np.array([np.abs(march(steps) - fine).max() for steps in (16, 32, 64)])
    assert np.log2(errors[:-1] / errors[1:]) == pytest.approx([2.0, 2.0], abs=0.15)


@pytest.mark.parametrize("n", [2, 3])
def test_lanes_do_not_depend_on_their_place_in_a_block(n):
    """The same cell gives the same digits alone and among others, also where a neighbour needs another branch."""
    state, vacuum, potential, flow = random_state(n, 37)
    potential[5] = 60.0
    whole = state.copy()
    ROTATE[n](whole, 0, 37, COSINE, WEIGHT, NUMBER, vacuum, potential, flow, 0.4, 0.2)
    for cell in (0, 5, 6, 36):
        alone = np.ascontiguousarray(state[..., cell : cell + 1])
        one = slice(cell, cell + 1)
        ROTATE[n](alone, 0, 1, COSINE, WEIGHT, NUMBER, vacuum, potential[one], flow[one], 0.4, 0.2)
        assert np.array_equal(alone[..., 0], whole[..., cell])


@pytest.mark.parametrize(("n", "limit"), [(2, 3.0e-14), (3, 3.0e-14)])
def test_traces_of_powers_do_not_drift(n, limit):
    state, vacuum, potential, flow = random_state(n, 1)
    matrix = matrices(state)
    before = [np.trace(np.linalg.matrix_power(matrix, p), axis1=-2, axis2=-1).real for p in (1, 2, 3)]
    for _ in range(300):
        ROTATE[n](state, 0, 1, COSINE, WEIGHT, NUMBER, vacuum, potential, flow, 0.3, 0.1)
    matrix = matrices(state)
    after = [np.trace(np.linalg.matrix_power(matrix, p), axis1=-2, axis2=-1).real for p in (1, 2, 3)]
    scale = np.abs(before).max()
    assert max(np.abs(a - b).max() for a, b in zip(after, before, strict=True)) < limit * max(1.0, scale)


def test_third_flavour_that_is_decoupled_changes_nothing():
    state, vacuum, potential, flow = random_state(2, 4)
    three = np.zeros((3, 2, 2, 9, 4))
    three[..., [0, 1, 3, 4], :] = state
    three[..., 2, :] = 0.4
    wide = np.zeros((2, 9))
    wide[:, [0, 1, 3, 4]] = vacuum
    for _ in range(20):
        rotate_2(state, 0, 4, COSINE, WEIGHT, NUMBER, vacuum, potential, flow, 0.5, 0.1)
        rotate_3(three, 0, 4, COSINE, WEIGHT, NUMBER, wide, potential, flow, 0.5, 0.1)
    assert np.abs(three[..., [0, 1, 3, 4], :] - state).max() < 1.0e-13
    assert np.abs(three[..., 5:, :]).max() == 0.0
