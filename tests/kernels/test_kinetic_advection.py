"""The shift of the kinetic equation: exact for whole cells, of order eight in a cell, and conservative."""

from __future__ import annotations

from math import fsum

import numpy as np
import pytest

from misci_transport.kernels.kinetic_advection import shift
from misci_transport.kernels.kinetic_collisions import collide
from misci_transport.kinetics.shift import lagrange_weights, shift_of


def shifted(values, cells):
    found = shift_of(np.array([cells]))
    n = values.size
    f = np.zeros((1, 2, 1, 4, found.left + n + found.right))
    f[..., :] = values[np.arange(-found.left, n + found.right) % n]
    out = np.zeros_like(f)
    shift(f, out, found.left, found.left + n, found.offset, found.taps)
    assert (out[0, 1, 0, 3] == out[0, 0, 0, 0]).all()
    return out[0, 0, 0, 0, found.left : found.left + n]


@pytest.mark.parametrize("cells", [0.0, 1.0, -1.0, 3.0, -2.0, 1.0 + 1.0e-16])
def test_whole_cells_are_moved_exactly(cells):
    values = np.random.default_rng(1).normal(size=12)
    assert np.array_equal(shifted(values, cells), np.roll(values, round(cells)))


@pytest.mark.parametrize("cells", [0.3, -0.3, 0.5, 1.7, -2.2])
def test_order_of_the_interpolation(cells):
    errors = []
    for n in (16, 32):
        x = 2.0 * np.pi * np.arange(n) / n
        moved = shifted(np.sin(x), cells)
        errors.append(np.abs(moved - np.sin(x - 2.0 * np.pi * cells / n)).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(8.0, abs=0.2)


@pytest.mark.parametrize("fraction", [1.0e-9, 0.1, 0.37, 0.5, 0.999])
def test_weights_sum_to_one_and_no_wave_grows(fraction):
    weights = lagrange_weights(fraction)
    assert abs(fsum([*weights, -1.0])) < 1.0e-20
    waves = np.exp(1j * np.multiply.outer(np.linspace(0.0, np.pi, 200), np.arange(weights.size)))
    assert np.abs(waves @ weights).max() < 1.0 + 1.0e-14


def test_integral_over_many_steps():
    values = np.random.default_rng(2).uniform(size=20)
    moved = values
    for _ in range(2000):
        moved = shifted(moved, 0.4)
    assert moved.sum() == pytest.approx(values.sum(), rel=1.0e-13)


def test_collisions_relax_and_scatter_exactly():
    random = np.random.default_rng(5)
    weight = np.array([0.5, 1.0, 0.5])
    state = random.uniform(size=(3, 2, 2, 4, 6))
    kept, gained = random.uniform(size=(2, 2, 4, 5)), random.uniform(size=(2, 2, 4, 5))
    rest = random.uniform(size=(2, 2, 5))
    f = state.copy()
    collide(f, 1, 6, weight, kept, gained, rest)
    relaxed = state[..., 1:] * kept + gained
    mean = np.einsum("m,m...->...", weight / 2.0, relaxed)
    assert np.abs(f[..., 1:] - (mean + (relaxed - mean) * rest[:, :, None])).max() < 1.0e-15
    assert np.array_equal(f[..., 0], state[..., 0])
    without = state.copy()
    collide(without, 1, 6, weight, kept, gained, np.zeros((2, 2, 0)))
    assert np.abs(without[..., 1:] - relaxed).max() < 1.0e-15
