"""Validity on blocks: paths to the neighbours, the turning of directions, growth along the flux, samples."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.energy import EnergyGrid
from misci_transport.errors import ConfigurationError
from misci_transport.kernels.block_paths import turned_direction
from misci_transport.parallel.block_decomposition import BlockDecomposition
from misci_transport.phase_space import PhaseSpace
from misci_transport.sphere import SphereQuadrature
from misci_transport.validity.measures import (
    Points,
    angular_crossings,
    path_adiabaticity,
    ray_adiabaticity,
    segment_adiabaticity,
)
from misci_transport.validity.monitor import _samples
from misci_transport.validity.surroundings import BlockSurroundings

SPLIT, COUPLING = 1.0, 0.05


def surroundings(mesh, angles=None, periodic=(False, False, False)):
    space = PhaseSpace(mesh, angles or SphereQuadrature.lebedev(7), EnergyGrid.logarithmic(5.0, 50.0, 2), 2)
    return BlockSurroundings(space, BlockDecomposition(mesh.shape, periodic))


def points_of(around, field, only=None):
    """Two flavours in H = (SPLIT, COUPLING) + field: the upper level filled, in one direction only if it is named."""
    angles = around.phase_space.angles
    populations = np.zeros((field.shape[0], angles.size, 2, 1, 3))
    populations[:, slice(None) if only is None else only, 0, 0, 1] = 1.0
    vacuum = np.broadcast_to(np.array([-0.5 * SPLIT, 0.5 * SPLIT, COUPLING, 0.0]), (field.shape[0], 1, 4))
    return Points(populations, angles.velocity, vacuum, field)


def measured(around, field, only=None):
    """Gamma and share of all cells, with the fields of one rank."""
    dec, points = around.decomposition, points_of(around, field, only)
    weight = np.broadcast_to(around.phase_space.angles.weight, (field.shape[0], around.phase_space.angles.size))
    rows = np.zeros((dec.rows, *field.shape[1:]))
    rows[: dec.size] = field
    return path_adiabaticity(points, rows, around.paths, weight_0=weight, number_weight=np.ones(1))


def uneven():
    return BlockMesh.from_edges([0.0, 3.0, 5.0, 9.0, 10.0], [-2.0, 0.0, 3.0, 4.0], [0.0, 2.0, 3.0, 6.0])


def test_a_linear_hamiltonian_turns_as_it_should():
    """A resonance at the centre of a cell, V and the current both linear in space: gamma = gap^2/|v . grad H_ee|."""
    around = surroundings(uneven())
    at, v = around.phase_space.mesh.centers, around.phase_space.angles.direction
    slope, current = np.array([0.3, -0.2, 0.1]), np.array([[0.1, 0.05, -0.02], [0.0, 0.15, 0.1], [-0.1, 0.0, 0.04]])
    cell = 1 + 4 * (1 + 3 * 1)
    checked = 0
    for m in range(0, v.shape[0], 3):
        field = np.zeros((at.shape[0], 4, 4))
        away = at - at[cell]
        field[:, 0, 0] = SPLIT + away @ slope
        field[:, 1:, 0] = away @ current.T
        gradient = v[m] @ slope - v[m] @ current @ v[m]
        found = measured(around, field, only=m)
        assert found.gamma[cell] == pytest.approx((2.0 * COUPLING) ** 2 / abs(gradient), rel=1e-10)
        assert found.fraction[cell] == 1.0
        checked += 1
    assert checked > 5


def test_a_resonance_between_two_cells_is_found_from_both():
    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (80.0, 80.0, 80.0), (4, 4, 4))
    around = surroundings(mesh)
    field = np.zeros((64, 4, 4))
    # V = 3, 2, 0.4, 0.2: the resonance lies between the second and the third layer
    field[:, 0, 0] = np.array([3.0, 2.0, 0.4, 0.2])[np.arange(64) % 4]
    found = measured(around, field).gamma.reshape(4, 4, 4)
    # the steepest path is along the axis
    np.testing.assert_allclose(found[..., 1:3], (2.0 * COUPLING) ** 2 * 20.0 / 1.6, rtol=1e-12)
    assert found[..., [0, 3]].min() > 10.0 * found[0, 0, 1]
    turned = measured(around, field.reshape(4, 4, 4, 4, 4).transpose(2, 0, 1, 3, 4).reshape(64, 4, 4)).gamma
    np.testing.assert_allclose(turned.reshape(4, 4, 4), found.transpose(2, 0, 1), rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_resolved_axis_is_the_segment_of_one_dimension(axis):
    faces = [None, None, None]
    faces[axis] = [0.0, 10.0, 25.0, 45.0, 50.0]
    around = surroundings(BlockMesh.from_edges(*faces))
    v, at = around.phase_space.angles.direction, around.phase_space.mesh.center(axis)
    rng = np.random.default_rng(3)
    field = np.zeros((4, 4, 4))
    field[:, 0] = rng.normal(size=(4, 4))
    field[:, 1 + axis] = rng.normal(size=(4, 4))
    points = points_of(around, field)
    cosine = np.broadcast_to(v[:, axis], (4, v.shape[0]))
    one = Points(points.populations, cosine, points.vacuum, field[:, [0, 1 + axis]])
    expected = np.full(4, np.inf)
    for forward in (True, False):
        weight = np.where((cosine[1:] > 0.0) == forward, 1.0, 0.0) * (cosine[1:] != 0.0)
        ends = (one[:-1], one[1:]) if forward else (one[1:], one[:-1])
        # only directions that go this way count
        for m in np.flatnonzero(weight[0]):
            begin, end = (Points(p.populations[:, [m]], p.velocity[:, [m]], p.vacuum, p.hamiltonian) for p in ends)
            ds = (np.diff(at) / abs(v[m, axis]))[:, None]
            found = segment_adiabaticity(begin, end, weight_0=np.ones((3, 1)), number_weight=np.ones(1), ds=ds)
            here = slice(0, 3) if forward else slice(1, 4)
            expected[here] = np.minimum(expected[here], found.gamma)
    np.testing.assert_allclose(measured(around, field).gamma, expected, rtol=1e-12)


def test_a_field_that_does_not_change_turns_nothing():
    around = surroundings(uneven())
    field = np.zeros((around.decomposition.size, 4, 4))
    field[:] = np.random.default_rng(1).normal(size=(4, 4))
    assert (measured(around, field).gamma > 1e12).all()


def basis(theta, phi):
    s, c, sp, cp = np.sin(theta), np.cos(theta), np.sin(phi), np.cos(phi)
    return np.array([[s * cp, s * sp, c], [c * cp, c * sp, -s], [-sp, cp, 0.0]])


def test_directions_turn_as_a_straight_line_does():
    rng = np.random.default_rng(5)
    out = np.empty(3)
    for _ in range(50):
        r, theta, phi, length = (
            rng.uniform(0.1, 2.0),
            np.arccos(rng.uniform(-1, 1)),
            rng.uniform(0, 6),
            rng.uniform(0, 4),
        )
        v = rng.normal(size=3)
        v /= np.linalg.norm(v)
        here = basis(theta, phi)
        fixed = v @ here
        x = r * here[0] + length * fixed
        there = basis(np.arccos(x[2] / np.linalg.norm(x)), np.arctan2(x[1], x[0]))
        turned_direction(r, np.cos(theta), np.sin(theta), v, length, out)
        np.testing.assert_allclose(out, there @ fixed, atol=1e-12)
    turned_direction(1.0, 1.0, 0.0, np.array([0.0, 0.0, 1.0]), 0.0, out)
    np.testing.assert_array_equal(out, [0.0, 0.0, 1.0])


def changes(around, field):
    """(H_end - H)_ee over the length of every path, (cell, direction): what a neutrino sees change."""
    from misci_transport.kernels.block_paths import path_ends

    dec, points = around.decomposition, points_of(around, field)
    rows = np.zeros((dec.rows, *field.shape[1:]))
    rows[: dec.size] = field
    base, length = np.empty((dec.size, points.directions, 4)), np.empty((dec.size, points.directions))
    p = around.paths
    path_ends(rows, points.velocity[0], p.neighbour, p.distance, p.polar, 0, 2, base, length)
    return ((base - points.along_rays())[..., 0]) / length


@pytest.mark.parametrize("resolved", [(6, 1, 1), (6, 8, 1), (6, 8, 12)])
def test_a_flux_along_the_radius_turns_with_the_direction(resolved):
    mesh = BlockMesh.uniform((10.0, 0.0, 0.0), (16.0, np.pi, 2.0 * np.pi), resolved, "spherical")
    around = surroundings(mesh, SphereQuadrature.product(4, 8), (False, False, resolved[2] > 1))
    field = np.zeros((mesh.size, 4, 4))
    field[:, 1, 0] = 1.0
    mu, r = around.phase_space.angles.direction[:, 0], mesh.centers[:, 0]
    # -dmu/ds = -(1 - mu^2)/r at the start of a path, less farther out
    found = changes(around, field) * r[:, None]
    np.testing.assert_allclose(found, np.broadcast_to(-(1.0 - mu**2), found.shape), atol=0.35)
    assert found[:, np.abs(mu) < 0.9].max() < 0.0


def test_a_flux_that_is_the_same_everywhere_turns_less_and_less_on_finer_meshes():
    largest = []
    for cells in (8, 16):
        mesh = BlockMesh.uniform(
            (10.0, 0.25 * np.pi, 0.0), (20.0, 0.75 * np.pi, 2.0 * np.pi), (cells, cells // 2, 2 * cells), "spherical"
        )
        around = surroundings(mesh, SphereQuadrature.product(4, 8), (False, False, True))
        theta, phi = mesh.centers[:, 1], mesh.centers[:, 2]
        field = np.zeros((mesh.size, 4, 4))
        # a unit vector along x in the basis of each cell
        x = np.stack([np.sin(theta) * np.cos(phi), np.cos(theta) * np.cos(phi), -np.sin(phi)], axis=1)
        field[:, 1:, 0] = x
        turned = np.abs(changes(around, field) * mesh.centers[:, :1]).reshape(*mesh.shape[::-1], -1)
        largest.append(turned[:, 1:-1, 1:-1].max())
    assert largest[0] < 0.5
    # of first order, as every difference to one side
    assert largest[1] < 0.65 * largest[0]


def test_a_star_in_a_box_and_on_a_radius_agree():
    """The same potential on a radial and on a Cartesian mesh: the smallest gamma is gap^2/|dV/dr| on both."""

    def potential(r):
        return 4.0 * np.exp(-r / 30.0)

    radius = np.linspace(1.0, 99.0, 50)
    vacuum = np.broadcast_to(np.array([-0.5 * SPLIT, 0.5 * SPLIT, COUPLING, 0.0]), (50, 1, 4))
    fields, populations = np.zeros((50, 2, 4)), np.zeros((50, 3, 2, 1, 3))
    fields[:, 0, 0] = potential(radius)
    populations[:, :, 0, 0, 1] = 1.0
    points = Points(populations, np.broadcast_to([0.3, 0.6, 1.0], (50, 3)), vacuum, fields)
    radial = ray_adiabaticity(points, radius, weight_0=np.ones((50, 3)), number_weight=np.ones(1))
    expected = (2.0 * COUPLING) ** 2 / (SPLIT / 30.0)
    assert radial.gamma.min() == pytest.approx(expected, rel=0.05)
    around = surroundings(BlockMesh.uniform((0.0,) * 3, (80.0,) * 3, (20, 20, 20)), SphereQuadrature.lebedev(15))
    field = np.zeros((8000, 4, 4))
    r = np.linalg.norm(around.phase_space.mesh.centers, axis=1)
    field[:, 0, 0] = potential(r)
    box = measured(around, field)
    assert box.gamma.min() == pytest.approx(expected, rel=0.1)
    # the cells with a small gamma are those on the sphere where V is at resonance
    bad = box.gamma < 3.0
    # (gap < 0.22, hence |V - 1| < 0.19 within 6, or a path that comes there: a diagonal of 7)
    assert (np.abs(r[bad] - 30.0 * np.log(4.0)) < 13.0).all()
    assert bad[np.abs(r - 30.0 * np.log(4.0)) < 0.5].all()
    # less of their phase space than of a radial cell: not all paths of a cell reach the resonance
    assert 0.2 < box.fraction[bad].mean() < 1.0


def test_two_beams_of_opposite_lepton_number_cross():
    angles = SphereQuadrature.lebedev(7)
    occupation = np.zeros((2, angles.size, 2, 1, 3))
    neutrinos, antineutrinos = 3, 11
    occupation[:, neutrinos, 0, 0, 0] = 0.8
    occupation[0, antineutrinos, 1, 0, 0] = 0.5
    weight = np.broadcast_to(angles.weight, (2, angles.size))
    found = angular_crossings(occupation, weight, np.ones(1))
    ratio = 0.5 * angles.weight[antineutrinos] / (0.8 * angles.weight[neutrinos])
    np.testing.assert_allclose(found.depth[0], min(ratio, 1.0 / ratio), rtol=1e-13)
    np.testing.assert_array_equal(found.crossed, [[True, True], [False, False]])
    mirrored = angular_crossings(occupation[:, angles.mirror[1]], weight, np.ones(1))
    np.testing.assert_allclose(mirrored.depth, found.depth, rtol=1e-13)


def streaming(around, v):
    """All neutrinos in the direction next to v."""
    angles = around.phase_space.angles
    populations = np.zeros((around.decomposition.size, angles.size, 2, 2, 3))
    populations[:, np.argmax(angles.direction @ np.asarray(v)), 0, :, 0] = 1.0
    return populations


def test_growth_adds_up_along_the_flux():
    mesh = BlockMesh.from_edges([0.0, 3.0, 5.0, 9.0, 10.0], [0.0, 1.0, 2.0])
    around = surroundings(mesh)
    growth = np.arange(8.0)[:, None]
    out = around.e_folds(growth, streaming(around, [1.0, 0.0, 0.0])).reshape(2, 4)
    width = np.array([3.0, 2.0, 4.0, 1.0])
    np.testing.assert_allclose(out, np.cumsum(growth.reshape(2, 4) * width, axis=1), rtol=1e-12)
    back = around.e_folds(growth, streaming(around, [-1.0, 0.0, 0.0])).reshape(2, 4)
    np.testing.assert_allclose(back[:, ::-1], np.cumsum((growth.reshape(2, 4) * width)[:, ::-1], axis=1), rtol=1e-12)
    # across the resolved axes: the extent of the box
    still = around.e_folds(growth, streaming(around, [0.0, 0.0, 1.0]))
    np.testing.assert_allclose(still, 10.0 * growth, rtol=1e-12)
    # no flux, and no growth
    empty = np.zeros_like(streaming(around, [1.0, 0.0, 0.0]))
    np.testing.assert_allclose(around.e_folds(growth, empty), 10.0 * growth, rtol=1e-12)
    np.testing.assert_array_equal(around.e_folds(0.0 * growth, empty), 0.0)


def test_growth_along_a_diagonal_is_the_distance_from_where_neutrinos_enter():
    cells = 12
    around = surroundings(BlockMesh.uniform((0.0,) * 3, (1.0, 1.0, 1.0), (cells, cells, cells)))
    found = around.e_folds(np.ones((cells**3, 1)), streaming(around, [1.0, 1.0, 1.0])).reshape((cells,) * 3)
    # sqrt 3 min(x, y, z), from which upwind differences take off along the edge, as much as its width sqrt(cells)
    assert 0.7 < found[-1, -1, -1] / np.sqrt(3.0) < 1.0
    np.testing.assert_allclose(found, found.transpose(1, 2, 0), rtol=1e-12)
    assert (np.diff(found, axis=0) > 0.0).all()


def test_where_the_flux_goes_round_growth_stops_with_the_size_of_the_mesh():
    mesh = BlockMesh.uniform((0.0,) * 3, (1.0, 1.0, 1.0), (5, 1, 1))
    around = surroundings(mesh, periodic=(True, False, False))
    found = around.e_folds(np.full((5, 1), 2.0), streaming(around, [1.0, 0.0, 0.0]))
    # own cell, and as many passes as cells along the axes (5 + 1 + 1)
    np.testing.assert_allclose(found, 2.0 * 0.2 * 8.0, rtol=1e-12)


def test_samples_are_shared_among_chains():
    assert [at.tolist() for at in _samples([3, 10], 5)] == [[0, 1, 2], [0, 9]]
    assert [at.tolist() for at in _samples([0, 10], 3)] == [[], [0, 4, 9]]
    assert [at.tolist() for at in _samples([4, 2], 100)] == [[0, 1, 2, 3], [0, 1]]
    assert [at.tolist() for at in _samples([40], 0)] == [[]]
    around = surroundings(BlockMesh.uniform((0.0,) * 3, (1.0,) * 3, (4, 1, 1)))
    populations = streaming(around, [1.0, 0.0, 0.0]) * np.array([1.0, 4.0, 3.0, 2.0])[:, None, None, None, None]
    first, second = around.chains(populations, np.array([True, False, True, False]))
    assert (first.tolist(), second.tolist()) == ([2, 0], [1, 3])


def test_refusals():
    around = surroundings(uneven())
    field = np.zeros((36, 4, 4))
    points = points_of(around, field)
    with pytest.raises(ConfigurationError, match=r"velocity has shape \(36, 26, 1\); accepted: \(1, 26, 3\)"):
        path_adiabaticity(
            Points(points.populations, np.zeros((36, 26)), points.vacuum, field[:, :2]),
            field,
            around.paths,
            weight_0=np.ones((36, 26)),
            number_weight=np.ones(1),
        )
