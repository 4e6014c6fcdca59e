"""Shifts between groups and directions, and neutrinos carried by matter."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.kernels.frame_terms import STEEPEST, carry_along, shift_directions, shift_energies

HALO = 2
GROUPS = 5


def energies(f, stretch, *, limited, factor=1.0):
    """Rates and work of a shift with plain centred values between groups."""
    cells, directions = stretch.shape
    coefficient = np.zeros((GROUPS - 1, 4))
    coefficient[:, 1:3] = 0.5
    weight = np.arange(1.0, GROUPS + 1.0)
    out, work = np.zeros((cells, directions, *f.shape[2:])), np.zeros(cells)
    ones = np.ones((1, directions))
    heat = np.repeat(np.arange(GROUPS, dtype=float)[:, None], f.shape[4], axis=1) * weight[:, None]
    shift_energies(
        f, HALO, stretch, coefficient, np.ones(GROUPS - 1), weight, limited, factor, out, heat, ones, work
    )  # fmt: skip
    return out, work, weight


@pytest.mark.parametrize("limited", [False, True])
def test_energy_shift_moves_neutrinos_between_groups(limited):
    rng = np.random.default_rng(1)
    f = rng.uniform(0.4, 0.6, size=(2 + 2 * HALO, 2, 1, GROUPS, 3))
    stretch = np.array([[0.1, -0.2], [0.0, 0.3]])
    out, work, weight = energies(f, stretch, limited=limited)
    np.testing.assert_allclose(np.einsum("g,imsgk->imsk", weight, out), 0.0, atol=1e-15)
    assert (out[1, 0] == 0.0).all()
    edge = 0.5 * (f[HALO, 1, 0, 0] + f[HALO, 1, 0, 1])
    np.testing.assert_allclose(out[0, 1, 0, 0], 0.2 * edge, rtol=1e-14)
    np.testing.assert_allclose(work, np.einsum("g,imsgk->i", weight * np.arange(GROUPS), out), rtol=1e-13)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_limited_energy_shift_takes_no_more_than_there_is(sign):
    f = np.zeros((1 + 2 * HALO, 1, 1, GROUPS, 3))
    f[HALO, 0, 0, 2] = 1.0
    f[HALO, 0, 0, 1] = 1.0e-3
    out, _, weight = energies(f, np.array([[sign]]), limited=True)
    plain, _, _ = energies(f, np.array([[sign]]), limited=False)
    if sign > 0.0:
        # the nearly empty group loses a few times what it holds, not half of what its neighbour holds
        assert weight[1] * out[0, 0, 0, 1, 0] == pytest.approx(-STEEPEST * 1.0e-3, rel=0.2)
        assert weight[1] * plain[0, 0, 0, 1, 0] == pytest.approx(-0.5, rel=0.01)
    else:
        # the empty one above loses nothing
        assert (out[0, 0, 0, 3:] == 0.0).all()
        assert (plain[0, 0, 0, 3] < 0.0).all()


@pytest.mark.parametrize("limited", [False, True])
def test_turn_between_directions(limited):
    f = np.random.default_rng(2).uniform(0.5, 1.0, size=(2 + 2 * HALO, 3, 4))
    turn = np.array([[0.0, 0.2, 0.0, 0.0], [0.0, -0.1, 0.3, 0.0]])
    share, volume = np.full((2, 2), 0.25), np.array([[1.0, 2.0, 3.0], [1.5, 1.0, 0.5]])
    out = np.zeros((2, 3, 4))
    shift_directions(f, HALO, turn, share, volume, limited, 2.0, out)
    np.testing.assert_allclose(np.einsum("im,ime->ie", volume, out), 0.0, atol=1e-15)
    value = 0.75 * f[HALO, 0] + 0.25 * f[HALO, 1]
    np.testing.assert_allclose(out[0, 0], -0.4 * value, rtol=1e-14)
    assert (out[0, 2] == 0.0).all()


def test_limited_turn_leaves_empty_directions_empty():
    f = np.zeros((1 + 2 * HALO, 2, 1))
    f[HALO, 1] = 1.0
    out = np.zeros((1, 2, 1))
    shift_directions(f, HALO, np.array([[0.0, 0.3, 0.0]]), np.full((1, 1), 0.5), np.ones((1, 2)), True, 1.0, out)
    assert (out == 0.0).all()


def test_flow_with_matter_where_values_are_centred():
    """Centred plus this is upwind for a flow with matter alone, and nothing is added to upwind values."""
    f = np.random.default_rng(3).uniform(size=(3 + 2 * HALO, 1, 2))
    drag, area = np.array([[0.0], [0.5], [0.5], [0.0]]), np.ones((4, 1))
    b = np.array([[0.5, 1.0]] * 4)
    out = np.zeros((3, 1, 2))
    carry_along(f, HALO, drag, area, b, np.ones((3, 1)), 1.0, out)
    assert (out[:, :, 1] == 0.0).all()
    first, second = (0.5 * (f[HALO + j, 0, 0] - f[HALO + j + 1, 0, 0]) for j in (0, 1))
    np.testing.assert_allclose(out[:, 0, 0], [-first, first - second, second], rtol=1e-13)
