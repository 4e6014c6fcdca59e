"""Sums over directions, groups and levels, against the same sums written with einsum."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.kernels import traces

CELLS, DIRECTIONS, GROUPS = 3, 7, 4
DIAGONAL = np.arange(3)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture(params=[(2, 1), (2, CELLS), (4, 1), (4, CELLS)], ids=lambda x: f"{x[0] - 1} axes, {x[1]} rows")
def weight(request, rng):
    orders, rows = request.param
    return rng.normal(size=(rows, orders, DIRECTIONS))


def expected_moments(difference, weight, number, energy):
    """(cell, 3 + axes): energy, neutrinos, antineutrinos, energy along every axis."""
    w = np.broadcast_to(weight, (CELLS, *weight.shape[1:]))
    by_energy = np.einsum("iom,imsg,g->io", w, difference, energy)
    by_number = np.einsum("im,imsg,g->is", w[:, 0], difference, number)
    return np.concatenate([by_energy[:, :1], by_number, by_energy[:, 1:]], axis=1)


def test_moments_of_traces_and_of_differences(rng, weight):
    after, before = rng.random((2, CELLS, DIRECTIONS, 2, GROUPS, 3))
    number, energy = rng.random((2, GROUPS))
    expected = expected_moments((after - before).sum(axis=-1), weight, number, energy)
    out = np.full(expected.shape, np.nan)
    traces.difference_moments(after, before, DIAGONAL, weight, number, energy, out)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13)
    out[:] = np.nan
    traces.trace_moments((after - before).sum(axis=-1), weight, number, energy, out)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13)


def test_contents_and_densities(rng, weight):
    carried = rng.random((CELLS, DIRECTIONS, 2, GROUPS, 3))
    number, energy = rng.random((2, GROUPS))
    weight_0 = np.ascontiguousarray(weight[:, 0])
    expected = expected_moments(carried.sum(axis=-1), weight, number, energy)[:, :3]
    out = np.full((CELLS, 3), np.nan)
    traces.content(carried, DIAGONAL, weight_0, number, energy, out)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13)
    levels = np.full((CELLS, 2, 3), np.nan)
    traces.level_densities(carried, weight_0, number, levels)
    rows = np.broadcast_to(weight_0, (CELLS, DIRECTIONS))
    np.testing.assert_allclose(levels, np.einsum("im,imsgk,g->isk", rows, carried, number), rtol=1e-12, atol=1e-13)


def test_clipping_books_what_it_adds(rng, weight):
    occupations = rng.uniform(-0.3, 1.3, (CELLS, DIRECTIONS, 2, GROUPS, 3))
    before = occupations.copy()
    number, energy = rng.random((2, GROUPS))
    held, added = np.empty((2, CELLS, 3))
    weight_0 = np.ascontiguousarray(weight[:, 0])
    negative, above = traces.clip_occupations(occupations, weight_0, number, energy, held, added)
    np.testing.assert_array_equal(occupations, np.clip(before, 0.0, 1.0))
    assert (negative, above) == ((before < 0.0).sum(), (before > 1.0).sum())
    moments = [expected_moments(x.sum(axis=-1), weight, number, energy)[:, :3] for x in (occupations, before)]
    np.testing.assert_allclose(held, moments[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(added, moments[0] - moments[1], rtol=1e-11, atol=1e-12)
