from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.grid import RadialMesh
from misci_transport.kernels.advection import advance, advance_mean, face_values, flux_divergence, upwind_fraction
from misci_transport.kernels.angular_sweep import subtract_redistribution, sweep
from misci_transport.quadrature import AngularGrid

HALO = 2


def divergence(f, grid, *, b=1.0, second_order=True, fix_up=False):
    """-div(v f) of f[cell + 4, direction] with one entry."""
    cells, directions = f.shape[0] - 2 * HALO, f.shape[1]
    out = np.empty((cells, directions, 1))
    ends = np.empty((directions, 1)), np.empty((directions, 1))
    fixed = flux_divergence(
        np.ascontiguousarray(f[:, :, None]),
        HALO,
        np.full((cells + 1, 1), b),
        grid.face_area,
        grid.redistribution,
        grid.diamond,
        grid.volume,
        second_order,
        fix_up,
        out,
        *ends,
    )
    return out[:, :, 0], ends[0][:, 0], ends[1][:, 0], fixed


def test_upwind_fraction():
    out = np.empty((3, 1))
    opacity = np.array([[0.0], [0.05], [5.0], [1.0e6]])
    upwind_fraction(opacity, np.ones(4), 0.05, out)
    # the thinner side decides: vacuum beside matter is upwind
    np.testing.assert_allclose(out[:, 0], [1.0, 0.5, 0.5])
    upwind_fraction(opacity[:, :], np.array([1.0, 0.2, 1.0, 1.0]), 0.05, out)
    assert out[1, 0] == pytest.approx(1.0 / 1.2)


def test_face_values_of_a_linear_field_are_exact_in_both_directions():
    f = (3.0 + 0.5 * np.arange(8.0))[:, None, None] * np.ones((1, 2, 1))
    out = np.empty(1)
    for direction, inward in ((0, True), (1, False)):
        for b in (0.5, 0.7, 1.0):
            face_values(f, HALO, 2, direction, inward, np.full((5, 1), b), True, out)
            assert out[0] == pytest.approx(3.0 + 0.5 * 3.5)
    face_values(f, HALO, 2, 0, True, np.full((5, 1), 1.0), False, out)
    assert out[0] == f[4, 0, 0]
    face_values(f, HALO, 2, 1, False, np.full((5, 1), 1.0), False, out)
    assert out[0] == f[3, 0, 0]


@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_limited_face_values_stay_between_the_neighbours(values):
    f = np.array(values)[:, None, None]
    out = np.empty(1)
    face_values(f, 2, 0, 0, False, np.ones((1, 1)), True, out)
    assert min(values[1:3]) - 1e-15 <= out[0] <= max(values[1:3]) + 1e-15


@pytest.mark.parametrize("directions", [2, 6, 12])
@pytest.mark.parametrize("second_order", [False, True])
def test_isotropic_field_in_an_uneven_sphere(directions, second_order):
    face = np.cumsum(np.concatenate([[0.0], 1.0 + 0.5 * np.sin(np.arange(20.0))]))
    grid = AngularGrid.ordinates(RadialMesh(face), directions)
    out, inner, outer, fixed = divergence(np.full((24, directions), 0.3), grid, second_order=second_order)
    assert np.abs(out).max() < 1e-13
    assert inner.sum() == 0.0
    assert abs(outer.sum()) < 1e-13 * face[-1] ** 2
    assert fixed == 0


@given(st.integers(0, 2**32 - 1))
def test_number_is_conserved(seed):
    rng = np.random.default_rng(seed)
    grid = AngularGrid.ordinates(RadialMesh(np.cumsum(rng.uniform(0.1, 1.0, 9))), 6)
    for fix_up in (False, True):
        out, inner, outer, _ = divergence(rng.uniform(size=(12, 6)), grid, b=0.8, fix_up=fix_up)
        total = (grid.volume * out).sum()
        assert total == pytest.approx((inner - outer).sum(), abs=1e-12 * np.abs(grid.face_area).max())


def test_fix_up_removes_negative_edge_values():
    grid = AngularGrid.ordinates(RadialMesh(np.array([1.0, 2.0])), 6)
    f = np.full((5, 6), 1e-3)
    f[:, 2] = 1.0
    assert divergence(f, grid, fix_up=True)[3] > 0
    assert divergence(np.full((5, 6), 0.5), grid, fix_up=True)[3] == 0


def test_linear_field_in_space_and_angle():
    """f = r mu + 3 is a uniform gradient along one axis: v . grad f = 1 everywhere."""
    errors = []
    for cells, directions in ((20, 8), (40, 16)):
        mesh = RadialMesh.uniform(1.0, 2.0, cells)
        grid = AngularGrid.ordinates(mesh, directions)
        step = mesh.width[0]
        r = np.concatenate(
            [mesh.center[0] - step * np.arange(2, 0, -1), mesh.center, mesh.center[-1] + step * np.arange(1, 3)]
        )
        out, *_ = divergence(r[:, None] * grid.direction_cosine[0] + 3.0, grid)
        error = np.abs(out + 1.0) * grid.weight_0
        errors.append(error.mean() * directions / 2.0)
    assert errors[1] < 0.02
    assert np.log2(errors[0] / errors[1]) > 1.5


def test_sweep_solves_the_triangular_system():
    rng = np.random.default_rng(1)
    mesh = RadialMesh(np.array([0.0, 1.0]))
    grid = AngularGrid.ordinates(mesh, 6)
    gamma, volume, d = grid.redistribution[0], grid.volume[0], grid.diamond
    rest, turnover, h = rng.uniform(size=6), rng.uniform(1.0, 2.0, 6), 0.7
    out = np.empty(6)
    sweep(rest, turnover, h, gamma, d, volume, False, out)
    # what sweep adds to turnover * f is minus h times the explicit redistribution of the result
    change = np.zeros((1, 6, 1, 1))
    subtract_redistribution(out.reshape(1, 6, 1, 1), h, grid.redistribution, d, grid.volume, change)
    np.testing.assert_allclose(turnover * out + change[0, :, 0, 0], rest, rtol=1e-12)
    assert (change[0, :, 0, 0] @ volume) == pytest.approx(0.0, abs=1e-14)


def test_upwind_sweep_is_positive():
    grid = AngularGrid.ordinates(RadialMesh(np.array([0.0, 1.0])), 8)
    rest, turnover = np.zeros(8), np.ones(8)
    rest[2], turnover[4:] = 1.0, 50.0
    out = np.empty(8)
    arguments = (rest, turnover, 1.0, grid.redistribution[0], grid.diamond, grid.volume[0])
    sweep(*arguments, False, out)
    assert out.min() < 0.0
    sweep(*arguments, True, out)
    assert out.min() >= 0.0
    assert (turnover * out) @ grid.volume[0] == pytest.approx(rest @ grid.volume[0])


def test_the_stages_of_a_step_are_the_rate_times_the_step():
    rng = np.random.default_rng(3)
    cells, directions, entries = 5, 4, 6
    f, g = rng.random((2, cells + 2 * HALO, directions, entries))
    b = rng.uniform(0.5, 1.0, (cells + 1, entries))
    area = np.linspace(1.0, 2.0, cells + 1)[:, None] * np.array([-0.9, -0.3, 0.3, 0.9])
    gamma = np.zeros((cells, directions + 1))
    gamma[1:, 1:-1] = rng.random((cells - 1, directions - 1))
    medium = (b, area, gamma, np.full(directions, 0.6), rng.uniform(1.0, 2.0, (cells, directions)), True, True)
    ends = np.empty((2, directions, entries))
    rate_1, rate_2, out = np.empty((3, cells, directions, entries))
    start, h = f[HALO:-HALO].copy(), 0.3
    fixed = flux_divergence(f, HALO, *medium, rate_1, *ends), flux_divergence(g, HALO, *medium, rate_2, *ends)
    assert advance(f, HALO, *medium, start, h, out, *ends) == fixed[0]
    np.testing.assert_allclose(out, start + h * rate_1, rtol=0.0, atol=4.0e-15)
    expected = ends.copy()
    assert advance_mean(g, HALO, *medium, start, h, out, *ends) == fixed[1]
    np.testing.assert_allclose(out, start + 0.5 * h * (rate_1 + rate_2), rtol=0.0, atol=4.0e-15)
    flux_divergence(g, HALO, *medium, rate_2, *expected)
    np.testing.assert_array_equal(ends, expected)
