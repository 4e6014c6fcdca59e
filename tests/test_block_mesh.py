"""Block meshes: volumes and areas against their integrals, in thin cells too, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ConfigurationError, UnphysicalInputError

steps = st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=6)


def increasing(widths, low, high):
    face = np.concatenate([[0.0], np.cumsum(widths)])
    face = low + (high - low) * face / face[-1]
    face[-1] = high
    return face


@st.composite
def spherical(draw):
    # zero, or far enough from it for products not to underflow
    inner = draw(st.just(0.0) | st.floats(1.0e-6, 5.0))
    r = increasing(draw(steps), inner, inner + draw(st.floats(0.1, 10.0)))
    whole = draw(st.booleans())
    low, high = (0.0, pi) if whole else sorted((draw(st.just(0.0) | st.floats(1.0e-6, 1.5)), draw(st.floats(1.6, 3.1))))
    phi = draw(st.floats(-3.0, 3.0))
    return BlockMesh(
        "spherical",
        (r, increasing(draw(steps), low, high), increasing(draw(steps), phi, phi + draw(st.floats(0.1, 6.2)))),
    )


def in_three(mesh, array):
    """Axes (k, j, i)."""
    return array.reshape(*mesh.shape[::-1], *array.shape[1:])


@given(spherical(), st.data())
def test_some_cells_have_the_bits_of_the_whole(mesh, data):
    some = np.array(data.draw(st.lists(st.integers(0, mesh.size - 1), min_size=1, max_size=8)))
    part, whole = mesh.at(some), mesh.at()
    for name in ("volume", "centers", "widths", "area_ratio", "curvature"):
        assert (getattr(part, name) == getattr(whole, name)[some]).all(), name
    for axis in range(3):
        for side in range(2):
            area = whole.face_area(axis, side)
            assert (part.face_area(axis, side) == area[some]).all()
            assert mesh.largest_area(axis, side) == area.max()
            ends = in_three(mesh, area).swapaxes(0, 2 - axis)[-side]
            assert mesh.largest_area(axis, side, end=True) == ends.max()
    assert (mesh.volume_at(some) == mesh.volume[some]).all()


@given(spherical())
def test_volumes_and_faces_add_up(mesh):
    r, theta, phi = mesh.faces
    solid = (np.cos(theta[0]) - np.cos(theta[-1])) * (phi[-1] - phi[0])
    whole = (r[-1] ** 3 - r[0] ** 3) / 3.0 * solid
    assert mesh.volume.sum() == pytest.approx(whole, rel=1e-12)
    assert mesh.volume.shape == (mesh.size,)
    assert (mesh.volume > 0.0).all()
    outer = in_three(mesh, mesh.face_area(0, 1))[:, :, -1]
    assert outer.sum() == pytest.approx(r[-1] ** 2 * solid, rel=1e-12)
    high = in_three(mesh, mesh.face_area(1, 1))[:, -1, :]
    assert high.sum() == pytest.approx(
        0.5 * (r[-1] ** 2 - r[0] ** 2) * np.sin(pi - theta[-1]) * (phi[-1] - phi[0]), rel=1e-12, abs=1e-12
    )
    side = in_three(mesh, mesh.face_area(2, 0))[0]
    assert side.sum() == pytest.approx(0.5 * (r[-1] ** 2 - r[0] ** 2) * (theta[-1] - theta[0]), rel=1e-12)


@given(spherical())
def test_ratios_are_areas_over_volumes(mesh):
    ratio, curvature = mesh.at().area_ratio, mesh.at().curvature
    assert ratio.shape == (mesh.size, 3, 2)
    for axis in range(3):
        for side in range(2):
            np.testing.assert_allclose(ratio[:, axis, side] * mesh.volume, mesh.face_area(axis, side), rtol=1e-13)
    # divergence of a constant vector's components: the faces of a cell are closed
    scale = ratio.max(axis=2)
    for axis in range(2):
        np.testing.assert_array_less(
            # the distance of theta = 3.1 from the pole is known to 1e-14 only
            np.abs(ratio[:, axis, 1] - ratio[:, axis, 0] - curvature[:, axis]),
            2e-13 * scale[:, axis],
        )
    np.testing.assert_array_equal(ratio[:, 2, 0], ratio[:, 2, 1])


@given(spherical())
def test_faces_between_cells_are_shared_bit_for_bit(mesh):
    for axis in range(3):
        low, high = (in_three(mesh, mesh.face_area(axis, side)) for side in range(2))
        number = mesh.shape[axis]
        np.testing.assert_array_equal(
            np.take(low, range(1, number), axis=2 - axis), np.take(high, range(number - 1), axis=2 - axis)
        )


def test_spherical_cells_against_their_integrals():
    """Midpoint sums over fine parts of every cell: volume, areas, and the faces they belong to."""
    mesh = BlockMesh.from_edges([0.0, 1.0, 1.5], [0.0, 0.4, 1.9, pi], [0.0, 1.0, 2.5], "spherical")
    n = 200
    fine = [np.linspace(face[:-1], face[1:], 2 * n + 1, axis=1)[:, 1::2] for face in mesh.faces]
    width = [np.diff(face) / n for face in mesh.faces]
    cubes = (fine[0] ** 2).sum(axis=1) * width[0]
    cosines = np.sin(fine[1]).sum(axis=1) * width[1]
    squares = fine[0].sum(axis=1) * width[0]
    span = np.diff(mesh.faces[2])
    cell = 0
    for k in range(2):
        for j in range(3):
            for i in range(2):
                assert mesh.volume[cell] == pytest.approx(cubes[i] * cosines[j] * span[k], rel=2e-5)
                for side in range(2):
                    r, theta = mesh.faces[0][i + side], mesh.faces[1][j + side]
                    assert mesh.face_area(0, side)[cell] == pytest.approx(r**2 * cosines[j] * span[k], rel=2e-5)
                    assert mesh.face_area(1, side)[cell] == pytest.approx(
                        squares[i] * np.sin(theta) * span[k], rel=2e-5, abs=1e-15
                    )
                    assert mesh.face_area(2, side)[cell] == pytest.approx(
                        squares[i] * np.diff(mesh.faces[1])[j], rel=2e-5
                    )
                cell += 1
    assert cell == mesh.size
    # what shrinks to a line is closed exactly
    assert (in_three(mesh, mesh.face_area(0, 0))[:, :, 0] == 0.0).all()
    assert (in_three(mesh, mesh.face_area(1, 0))[:, 0] == 0.0).all()
    assert (in_three(mesh, mesh.face_area(1, 1))[:, -1] == 0.0).all()


def test_the_sphere_of_one_dimension():
    mesh = BlockMesh.from_edges([0.0, 1.0, 3.0], geometry="spherical")
    assert mesh.shape == (2, 1, 1)
    assert mesh.resolved == (0,)
    np.testing.assert_allclose(mesh.volume, 4.0 * pi / 3.0 * np.array([1.0, 26.0]), rtol=1e-15)
    np.testing.assert_allclose(mesh.face_area(0, 1), 4.0 * pi * np.array([1.0, 9.0]), rtol=1e-15)
    np.testing.assert_allclose(mesh.at().curvature[:, 0], [3.0, 24.0 / 26.0], rtol=1e-15)
    assert (mesh.at().curvature[:, 1] == 0.0).all()
    assert (mesh.at().area_ratio[:, 1] == 0.0).all()
    assert mesh.full_turn


def test_thin_cells_keep_relative_accuracy():
    r, d = 1.0e9, 2.0**-10
    theta, e = 1.0, 2.0**-30
    mesh = BlockMesh.from_edges([r, r + d, r + 2 * d], [theta, theta + e, theta + 2 * e], geometry="spherical")
    thin = Fraction(d) * (Fraction(r) ** 2 + Fraction(r) * Fraction(d) + Fraction(d) ** 2 / 3)
    # -cos| and sin| by Taylor's series: the next term is e^4 times smaller
    step = e - e**3 / 24.0
    polar = np.sin(theta + 0.5 * e) * step
    assert mesh.volume[0] == pytest.approx(float(thin) * polar * 2.0 * pi, rel=1e-15)
    area = float((Fraction(r) + Fraction(d)) ** 2 - Fraction(r) ** 2)
    assert mesh.at().curvature[0, 0] == pytest.approx(area / float(thin), rel=1e-15)
    half = float(Fraction(d) * (Fraction(r) + Fraction(d) / 2))
    assert mesh.at().curvature[0, 1] == pytest.approx(half / float(thin) / np.tan(theta + 0.5 * e), rel=1e-15)
    assert mesh.at().area_ratio[0, 1, 1] == pytest.approx(half * np.sin(theta + e) / (float(thin) * polar), rel=1e-15)


def test_the_two_hemispheres_are_alike():
    mesh = BlockMesh.from_edges([1.0, 2.0, 4.0], [0.0, 0.5, 0.5 * pi, pi - 0.5, pi], geometry="spherical")
    volume, curvature = in_three(mesh, mesh.volume), in_three(mesh, mesh.at().curvature)
    np.testing.assert_allclose(volume, volume[:, ::-1], rtol=1e-15)
    np.testing.assert_allclose(curvature[..., 1], -curvature[:, ::-1, :, 1], rtol=1e-14)
    # a cell around the equator has no preference
    around = BlockMesh.from_edges([1.0, 2.0, 4.0], [0.0, 1.0, pi - 1.0, pi], geometry="spherical")
    assert (in_three(around, around.at().curvature)[:, 1, :, 1] == 0.0).all()


def test_cartesian():
    mesh = BlockMesh.from_edges([0.0, 1.0, 3.0], [-1.0, 0.0, 0.5, 4.0], [0.0, 2.0])
    assert (mesh.shape, mesh.size, mesh.resolved) == ((2, 3, 1), 6, (0, 1))
    # axis 0 fastest
    np.testing.assert_allclose(mesh.volume, [2.0, 4.0, 1.0, 2.0, 7.0, 14.0])
    np.testing.assert_allclose(mesh.widths[:, 0], [1.0, 2.0] * 3)
    np.testing.assert_allclose(mesh.widths[:, 1], [1.0, 1.0, 0.5, 0.5, 3.5, 3.5])
    np.testing.assert_allclose(mesh.width(2), 2.0)
    np.testing.assert_allclose(mesh.centers[:, 1], [-0.5, -0.5, 0.25, 0.25, 2.25, 2.25])
    np.testing.assert_allclose(mesh.center(0), [0.5, 2.0])
    np.testing.assert_array_equal(mesh.at().area_ratio, 1.0 / mesh.widths[:, :, None] * np.ones(2))
    for axis in range(3):
        np.testing.assert_allclose(mesh.face_area(axis, 1) * mesh.width(axis), mesh.volume)
    assert (mesh.at().curvature == 0.0).all()
    assert mesh.at().curvature.shape == (6, 2)
    assert not mesh.full_turn


def test_equal_cells_agree_bit_for_bit():
    """A field that does not depend on an axis stays so, even at cells whose shape differs only there."""
    mesh = BlockMesh.from_edges([0.0, 1.0, 2.7], [0.0, 0.3, 2.0, pi], np.linspace(0.0, 2.0 * pi, 8), "spherical")
    ratio = in_three(mesh, mesh.at().area_ratio)
    np.testing.assert_array_equal(ratio[:, :, :, 0], np.broadcast_to(ratio[:1, :1, :, 0], (7, 3, 2, 2)))
    np.testing.assert_array_equal(ratio[:, :, :, 1], np.broadcast_to(ratio[:1, :, :, 1], (7, 3, 2, 2)))


def test_spherical_widths():
    mesh = BlockMesh.from_edges([1.0, 3.0, 4.0], [0.0, 1.0, pi], [0.0, 0.5, 0.7], "spherical")
    for cell, (k, j, i) in enumerate(np.ndindex(2, 2, 2)):
        r, theta, _ = (mesh.center(axis)[n] for axis, n in enumerate((i, j, k)))
        dr, dtheta, dphi = (np.diff(mesh.faces[axis])[n] for axis, n in enumerate((i, j, k)))
        np.testing.assert_allclose(mesh.widths[cell], [dr, r * dtheta, r * np.sin(theta) * dphi], rtol=1e-15)
        np.testing.assert_array_equal(mesh.centers[cell], [r, theta, mesh.center(2)[k]])


def test_uniform():
    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (2.0, pi, 2.0 * pi), (4, 3, 6), "spherical")
    assert mesh.shape == (4, 3, 6)
    assert mesh.faces[1][-1] == pi
    assert mesh.full_turn
    assert mesh.volume.sum() == pytest.approx(4.0 * pi / 3.0 * 8.0, rel=1e-14)
    np.testing.assert_allclose(mesh.faces[0], [0.0, 0.5, 1.0, 1.5, 2.0])
    assert BlockMesh.uniform((0, 0, 0), (1, 1, 1), (2, 1, 1)).volume.tolist() == [0.5, 0.5]


R, THETA, PHI = [0.0, 1.0, 2.0], [0.0, 1.0, pi], [0.0, 1.0, 2.0 * pi]


@pytest.mark.parametrize(
    ("faces", "geometry", "error", "words"),
    [
        ((R, THETA), "cartesian", ConfigurationError, "faces of 2 axes"),
        ((R, THETA, PHI), "plane", ConfigurationError, "'plane'; accepted: cartesian, spherical"),
        ((R, [1.0], PHI), "cartesian", ConfigurationError, "axis y have shape .1,."),
        ((R, [[0.0, 1.0]], PHI), "spherical", ConfigurationError, "axis theta have shape"),
        ((R, [0.0, 2.0, 1.0], PHI), "cartesian", UnphysicalInputError, "axis y do not increase: face 1 is 2.0"),
        ((R, THETA, [0.0, float("nan")]), "cartesian", UnphysicalInputError, "face 1 of axis z is not a finite"),
        (([-1.0, 1.0, 2.0], THETA, PHI), "spherical", UnphysicalInputError, "face 0 of axis r is -1.0 cm"),
        (([0.0, 1.0], THETA, PHI), "spherical", ConfigurationError, "one cell along r"),
        ((R, [-0.1, 1.0, 2.0], PHI), "spherical", UnphysicalInputError, "theta range from -0.1"),
        ((R, [0.0, 1.0, 3.2], PHI), "spherical", UnphysicalInputError, "theta range .* to 3.2"),
        ((R, THETA, [0.0, 1.0, 6.3]), "spherical", UnphysicalInputError, "phi span 6.3; accepted: at most 2 pi"),
        ((R, [0.0, 3.0], PHI), "spherical", ConfigurationError, "only cell along theta spans 0.0 to 3.0"),
        ((R, [0.1, pi], PHI), "spherical", ConfigurationError, "only cell along theta"),
        ((R, THETA, [0.0, 6.0]), "spherical", ConfigurationError, "only cell along phi spans 6.0; accepted: 2 pi"),
    ],
)
def test_bad_meshes(faces, geometry, error, words):
    with pytest.raises(error, match=words):
        BlockMesh(geometry, tuple(np.array(face) for face in faces))


def test_bad_counts():
    with pytest.raises(ConfigurationError, match="cells along the second axis is 0"):
        BlockMesh.uniform((0, 0, 0), (1, 1, 1), (2, 0, 1))
    with pytest.raises(ConfigurationError, match="accepted: 3 each"):
        BlockMesh.uniform((0, 0), (1, 1, 1), (2, 1, 1))


def test_a_turn_that_starts_anywhere_is_whole():
    phi = 0.1 + 2.0 * pi * np.arange(8) / 7
    mesh = BlockMesh.from_edges(R, THETA, phi, "spherical")
    assert mesh.full_turn
    assert not BlockMesh.from_edges(R, THETA, phi[:-1], "spherical").full_turn
