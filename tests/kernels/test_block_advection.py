from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.grid import RadialMesh
from misci_transport.kernels import advection, block_advection
from misci_transport.kernels.block_advection import (
    advance,
    advance_box,
    advance_mean,
    advance_mean_box,
    block_upwind_fraction,
    boundary_flow,
    flux_divergence,
)
from misci_transport.quadrature import AngularGrid

SOME = np.array([[0.5, 0.6, 0.2], [-0.3, 0.7, -0.4], [0.1, -0.9, 0.3], [-0.6, -0.2, -0.5], [1.0, 0.0, 0.0]])


def table(shape, periodic=False):
    """row[k, j, i] of a box (n0, n1, n2) and its number of rows; corners and edges point at a row of their own."""
    n = shape[::-1]
    row = np.full([size + 4 for size in n], -1, dtype=np.int64)
    inside = (slice(2, -2),) * 3
    row[inside] = np.arange(np.prod(n)).reshape(n)
    rows = int(np.prod(n))
    for axis in range(3):
        for pad in (0, 1, n[axis] + 2, n[axis] + 3):
            where = list(inside)
            where[axis] = pad
            if periodic:
                source = list(inside)
                source[axis] = 2 + (pad - 2) % n[axis]
                row[tuple(where)] = row[tuple(source)]
            else:
                layer = row[tuple(where)]
                layer[...] = rows + np.arange(layer.size).reshape(layer.shape)
                rows += layer.size
    row[row < 0] = rows
    return row, rows + 1


def fractions(shape, entries, value=1.0, rng=None):
    n0, n1, n2 = shape
    shapes = (n2, n1, n0 + 1, entries), (n2, n1 + 1, n0, entries), (n2 + 1, n1, n0, entries)
    return [np.full(s, value) if rng is None else rng.uniform(0.5, 1.0, s) for s in shapes]


def random_case(shape=(4, 3, 5), entries=3, geometry="cartesian", seed=0):
    rng = np.random.default_rng(seed)
    faces = [np.cumsum(np.concatenate([[0.3], rng.uniform(0.1, 0.3, size)])) for size in shape]
    mesh = BlockMesh.from_edges(*faces, geometry=geometry)
    row, rows = table(shape)
    f = rng.random((rows, len(SOME), entries))
    f[-1] = np.nan  # nobody may look at the corners
    return mesh, row, f, fractions(shape, entries, rng=rng)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("second_order", [False, True])
def test_one_axis_is_the_one_dimensional_kernel(axis, second_order):
    rng = np.random.default_rng(1)
    face = np.cumsum(np.concatenate([[0.0], rng.uniform(0.5, 1.5, 9)]))
    radial = AngularGrid.beams(RadialMesh(face, "plane"), np.array([-0.8, -0.1, 0.3, 1.0]), np.ones(4))
    cells, directions, entries = 9, 4, 5
    # neighbours within a factor of three: beyond that only the block kernel bounds the face value
    f, b = rng.uniform(0.4, 1.1, (cells + 4, directions, entries)), rng.uniform(0.5, 1.0, (cells + 1, entries))
    expected = np.empty((cells, directions, entries))
    inner, outer = np.empty((directions, entries)), np.empty((directions, entries))
    advection.flux_divergence(
        f, 2, b, radial.face_area, radial.redistribution, radial.diamond, radial.volume, second_order, False,
        expected, inner, outer,
    )  # fmt: skip
    edges = [face if d == axis else None for d in range(3)]
    mesh = BlockMesh.from_edges(*edges)
    row, rows = table(mesh.shape)
    values = np.full((rows, directions, entries), np.nan)
    where = [2, 2, 2]
    where[2 - axis] = slice(None)
    line = row[tuple(where)]
    values[line] = f
    velocity = rng.random((directions, 3))
    velocity[:, axis] = radial.direction_cosine[0]
    resolved = np.arange(3) == axis
    fractions_ = [np.empty((0, 0, 0, 0))] * 3
    fractions_[axis] = b.reshape([cells + 1 if 2 - d == axis else 1 for d in range(3)] + [entries])
    out, flow = np.empty_like(expected), np.zeros((3, 2, directions, entries))
    flux_divergence(values, row, velocity, mesh.at().area_ratio, resolved, *fractions_, second_order, out)
    np.testing.assert_allclose(out, expected, rtol=0.0, atol=2e-15 * np.abs(expected).max())
    sides = np.repeat(resolved[:, None], 2, axis=1)
    boundary_flow(values, row, velocity, mesh.at().area_ratio, mesh.volume, sides, *fractions_, second_order, flow)
    np.testing.assert_allclose(flow[axis, 0], inner, rtol=1e-14)
    np.testing.assert_allclose(flow[axis, 1], outer, rtol=1e-14)
    assert not np.delete(flow, axis, axis=0).any()


@pytest.mark.parametrize("second_order", [False, True])
def test_tiles_do_not_change_a_bit(second_order):
    mesh, row, f, b = random_case()
    resolved, outs = np.ones(3, dtype=bool), []
    lower, upper = np.zeros(3, dtype=np.int64), np.array(mesh.shape)
    for width, lines in ((1, 1), (2, 3), (5, 2), (3, 8)):
        out = np.empty((mesh.size, *f.shape[1:]))
        block_advection._tiles(
            f, row, SOME, mesh.at().area_ratio, resolved, *b, second_order, block_advection.FORWARD, f, 0.1, out, lower,
            upper, width, lines,
        )  # fmt: skip
        outs.append(out)
    for out in outs[1:]:
        np.testing.assert_array_equal(out, outs[0])


@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("resolved", [(True, True, True), (True, False, True), (False, True, False)])
def test_boxes_that_cover_the_block_are_the_block(second_order, resolved):
    """Also: a box needs nothing from further away than two cells."""
    mesh, row, f, b = random_case((6, 5, 7))
    resolved, n = np.array(resolved), np.array(mesh.shape)
    common = (row, SOME, mesh.at().area_ratio, resolved, *b, second_order)
    start = f[: mesh.size] + 1.0
    expected, out = np.empty_like(start), np.full_like(start, np.nan)
    advance(f, *common, start, 0.03, expected)
    expected_mean = expected.copy()
    advance_mean(f, *common, start, 0.03, expected_mean)
    # the interior without ghosts, then the shell
    inner, outer = np.where(resolved, 2, 0), np.where(resolved, n - 2, n)
    closed = f.copy()
    closed[mesh.size :] = np.nan
    advance_box(closed, *common, start, 0.03, out, inner, outer)
    cell = np.arange(mesh.size).reshape(mesh.shape[::-1])
    inside = cell[tuple(slice(inner[d], outer[d]) for d in (2, 1, 0))].ravel()
    assert np.isfinite(out[inside]).all()
    assert np.isnan(np.delete(out, inside, axis=0)).all()
    np.testing.assert_array_equal(out[inside], expected[inside])
    shell = []
    for axis in (2, 1, 0):
        # what is left of the block after the slabs of the axes before
        lower, upper = np.where(np.arange(3) > axis, inner, 0), np.where(np.arange(3) > axis, outer, n)
        for first, last in ((0, inner[axis]), (outer[axis], n[axis])):
            lower[axis], upper[axis] = first, last
            shell.append((lower.copy(), upper.copy()))
    for lower, upper in shell:
        advance_box(f, *common, start, 0.03, out, lower, upper)
    np.testing.assert_array_equal(out, expected)
    for lower, upper in [(inner, outer), *shell]:
        advance_mean_box(f, *common, start, 0.03, out, lower, upper)
    np.testing.assert_array_equal(out, expected_mean)


def test_the_three_forms():
    mesh, row, f, b = random_case()
    resolved, cells = np.ones(3, dtype=bool), mesh.size
    rate, first, second = (np.empty((cells, *f.shape[1:])) for _ in range(3))
    start, h = f[:cells], 0.03
    flux_divergence(f, row, SOME, mesh.at().area_ratio, resolved, *b, True, rate)
    advance(f, row, SOME, mesh.at().area_ratio, resolved, *b, True, start, h, first)
    np.testing.assert_allclose(first, start + h * rate, rtol=1e-13, atol=1e-14)
    second[...] = first
    advance_mean(f, row, SOME, mesh.at().area_ratio, resolved, *b, True, start, h, second)
    np.testing.assert_allclose(second, start + h * rate, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
@pytest.mark.parametrize("second_order", [False, True])
def test_only_flow_through_the_boundary_changes_the_sum(geometry, second_order):
    mesh, row, f, b = random_case(geometry=geometry)
    out, flow = np.empty((mesh.size, *f.shape[1:])), np.zeros((3, 2, *f.shape[1:]))
    flux_divergence(f, row, SOME, mesh.at().area_ratio, np.ones(3, dtype=bool), *b, second_order, out)
    sides = np.ones((3, 2), dtype=bool)
    boundary_flow(f, row, SOME, mesh.at().area_ratio, mesh.volume, sides, *b, second_order, flow)
    change = np.einsum("c,cme->me", mesh.volume, out)
    leaving = (flow[:, 1] - flow[:, 0]).sum(axis=0)
    np.testing.assert_allclose(change, -leaving, rtol=0.0, atol=1e-13 * np.abs(flow).max())
    assert np.abs(flow).max() > 0.01
    # it adds to what is there, and only on the wanted sides
    sides[...] = False
    sides[1, 0] = True
    twice = flow.copy()
    boundary_flow(f, row, SOME, mesh.at().area_ratio, mesh.volume, sides, *b, second_order, twice)
    np.testing.assert_allclose(twice[1, 0], 2.0 * flow[1, 0])
    twice[1, 0] = flow[1, 0]
    np.testing.assert_array_equal(twice, flow)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_step_of_one_cell_is_a_shift(axis, sign):
    shape = (4, 3, 5)
    row, rows = table(shape, periodic=True)
    mesh = BlockMesh.uniform((0, 0, 0), shape, shape)
    f = np.random.default_rng(2).random((rows, 1, 2))
    velocity = np.zeros((1, 3))
    velocity[0, axis] = sign
    out = np.empty((mesh.size, 1, 2))
    advance(
        f,
        row,
        velocity,
        mesh.at().area_ratio,
        np.ones(3, dtype=bool),
        *fractions(shape, 2),
        False,
        f[: mesh.size],
        1.0,
        out,
    )
    box = f[: mesh.size].reshape(*shape[::-1], 2)
    # start + low - high: exact to the last bit of the largest
    np.testing.assert_allclose(out.reshape(box.shape), np.roll(box, sign, axis=2 - axis), rtol=0.0, atol=2e-16)


def test_axes_are_alike():
    mesh, row, f, b = random_case()
    cells, order = mesh.size, (1, 2, 0)
    out = np.empty((cells, *f.shape[1:]))
    flux_divergence(f, row, SOME, mesh.at().area_ratio, np.ones(3, dtype=bool), *b, True, out)
    # the same box with axes (y, z, x)
    turned = BlockMesh.from_edges(*(mesh.faces[d] for d in order))
    back = [2 - order[2 - d] for d in range(3)]
    row_turned, rows = table(turned.shape)
    f_turned = np.full((rows, *f.shape[1:]), np.nan)
    f_turned[row_turned] = f[row.transpose(back)]
    b_turned = [np.ascontiguousarray(b[d].transpose([*back, 3])) for d in order]
    result = np.empty_like(out)
    flux_divergence(
        f_turned, row_turned, np.ascontiguousarray(SOME[:, order]), turned.at().area_ratio, np.ones(3, dtype=bool),
        *b_turned, True, result,
    )  # fmt: skip
    expected = out.reshape(*mesh.shape[::-1], *f.shape[1:]).transpose([*back, 3, 4]).reshape(out.shape)
    np.testing.assert_allclose(result, expected, rtol=0.0, atol=1e-14 * np.abs(out).max())


def oblique_pulse_error(cells):
    """Mean error of a smooth wave carried obliquely through a periodic square, with Heun's method."""
    shape, velocity = (cells, cells, 1), np.array([[0.8, -0.6, 0.0]])
    row, rows = table(shape, periodic=True)
    mesh = BlockMesh.uniform((0, 0, 0), (1, 1, 1), shape)
    x, y = mesh.centers[:, 0], mesh.centers[:, 1]

    def wave(time):
        a, b = x - velocity[0, 0] * time, y - velocity[0, 1] * time
        return 1.0 + 0.4 * np.sin(2.0 * np.pi * a) * np.cos(2.0 * np.pi * b)

    steps = cells
    h = 0.3 / steps
    common = (row, velocity, mesh.at().area_ratio, np.array([True, True, False]), *fractions(shape, 1))
    f, stage = np.zeros((rows, 1, 1)), np.zeros((rows, 1, 1))
    f[: mesh.size, 0, 0] = wave(0.0)
    out = np.empty((mesh.size, 1, 1))
    for _ in range(steps):
        advance(f, *common, True, f[: mesh.size], h, out)
        stage[: mesh.size] = out
        advance_mean(stage, *common, True, f[: mesh.size], h, out)
        f[: mesh.size] = out
    return np.abs(out[:, 0, 0] - wave(0.3)).mean()


def test_a_smooth_oblique_pulse_converges_at_second_order():
    coarse, middle, fine = (oblique_pulse_error(cells) for cells in (10, 20, 40))
    assert np.log2(coarse / middle) > 1.6
    assert np.log2(middle / fine) > 1.9


@pytest.mark.parametrize(("second_order", "courant"), [(False, 1.0), (True, 0.5)])
def test_upwind_steps_stay_positive(second_order, courant):
    """With limited slopes a face value is at most twice that of its cell, hence half the Courant number."""
    rng = np.random.default_rng(3)
    shape = (5, 4, 3)
    row, rows = table(shape, periodic=True)
    mesh = BlockMesh.uniform((0, 0, 0), shape, shape)
    velocity = rng.normal(size=(6, 3))
    velocity /= np.abs(velocity).sum(axis=1, keepdims=True)
    out = np.empty((mesh.size, 6, 8))
    for sharpness in (1.0, 5.0, 40.0):
        f = rng.random((rows, 6, 8)) ** sharpness
        advance(
            f, row, velocity, mesh.at().area_ratio, np.ones(3, dtype=bool), *fractions(shape, 8), second_order,
            f[: mesh.size], courant, out,
        )  # fmt: skip
        assert out.min() >= -1e-16
        np.testing.assert_allclose(out.sum(axis=0), f[: mesh.size].sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_upwind_fraction_along_every_axis(axis):
    rng = np.random.default_rng(4)
    shape, entries = (3, 4, 2), 2
    row, rows = table(shape)
    opacity, width = 10.0 ** rng.uniform(-3.0, 1.0, (rows, entries)), rng.uniform(0.1, 1.0, (rows, 3))
    b = [np.full_like(w, np.nan) for w in fractions(shape, entries)]
    block_upwind_fraction(opacity, width, row, np.arange(3) == axis, 0.05, *b)
    for other in range(3):
        assert np.isnan(b[other]).all() == (other != axis)
    lines = np.moveaxis(row, 2 - axis, 2)[2:-2, 2:-2, 1:-1]
    faces = np.moveaxis(b[axis], 2 - axis, 2)
    for p in range(lines.shape[0]):
        for q in range(lines.shape[1]):
            line, expected = lines[p, q], np.empty(faces.shape[2:])
            advection.upwind_fraction(opacity[line], np.ascontiguousarray(width[line, axis]), 0.05, expected)
            np.testing.assert_array_equal(faces[p, q], expected)
    # nothing beyond the boundary: upwind
    opacity[np.prod(shape) :] = 0.0
    block_upwind_fraction(opacity, width, row, np.ones(3, dtype=bool), 0.05, *b)
    for d in range(3):
        ends = np.moveaxis(b[d], 2 - d, 0)
        assert (ends[0] == 1.0).all()
        assert (ends[-1] == 1.0).all()


def test_positive_populations_stay_positive_in_thick_cells():
    """Centred faces (b = 1/2) between cells that differ by orders of magnitude: at CFL 1/2 nothing falls below zero."""
    rng = np.random.default_rng(5)
    mesh, row, f, _ = random_case((6, 5, 4))
    f[:-1] = 10.0 ** rng.uniform(-6.0, 0.0, f[:-1].shape)
    b = fractions((6, 5, 4), f.shape[2])
    for part in b:
        part[:] = 0.5
    leaving = np.abs(SOME)[None, :, :] * mesh.at().area_ratio.max(axis=2)[:, None, :]
    h = 0.5 / leaving.sum(axis=2).max()
    out = np.empty((mesh.size, *f.shape[1:]))
    advance(f, row, SOME, mesh.at().area_ratio, np.ones(3, dtype=bool), *b, True, f[: mesh.size], h, out)
    assert out.min() >= 0.0
    advance(f, row, SOME, mesh.at().area_ratio, np.ones(3, dtype=bool), *b, False, f[: mesh.size], h, out)
    assert out.min() < 0.0
