from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.errors import ConfigurationError
from misci_transport.grid import RadialMesh
from misci_transport.quadrature import AngularGrid


def star_mesh():
    return RadialMesh(np.concatenate([np.linspace(0.0, 3.0e6, 20), np.geomspace(3.0e6, 1.0e10, 150)[1:]]))


def hybrid(mesh, **changes):
    options = {"inward": 6, "grazing": 3, "forward": 9, "opening_cosine": 0.3} | changes
    return AngularGrid.hybrid(mesh, 1.0e7, **options)


@given(st.integers(1, 12).map(lambda n: 2 * n), st.integers(0, 12))
def test_ordinates_are_exact_on_each_hemisphere(directions, degree):
    grid = AngularGrid.ordinates(RadialMesh.uniform(0.0, 1.0, 2), directions)
    mu, w = grid.direction_cosine[0], grid.weight_0[0]
    if degree < directions:
        assert w[mu > 0.0] @ mu[mu > 0.0] ** degree == pytest.approx(1.0 / (degree + 1), rel=1e-12)
    np.testing.assert_array_equal(mu[grid.mirror], -mu)


@pytest.mark.parametrize("make", [lambda m: AngularGrid.ordinates(m, 8), hybrid], ids=["ordinates", "hybrid"])
def test_an_isotropic_field_is_stationary(make):
    mesh = star_mesh()
    grid = make(mesh)
    balance = -np.diff(grid.face_area, axis=0) - np.diff(grid.redistribution, axis=1)
    scale = np.abs(grid.face_area[1:]).max(axis=1, keepdims=True)
    assert np.abs(balance / scale).max() < 1e-13
    # angles turn outwards only, and nothing leaves through mu = -1 or mu = +1
    assert (grid.redistribution >= 0.0).all()
    assert (grid.redistribution[:, [0, -1]] == 0.0).all()
    assert (grid.volume > 0.0).all()
    assert np.abs(grid.face_area.sum(axis=1) / np.maximum(mesh.face_area, 1.0)).max() < 1e-14


def test_hybrid_weights_and_moments():
    grid = hybrid(star_mesh())
    assert np.abs(grid.weight_0.sum(axis=1) - 2.0).max() < 0.01
    assert np.abs(grid.weight_1.sum(axis=1)).max() < 1e-13
    assert (np.abs(grid.direction_cosine) <= 1.0).all()


def test_rays_follow_their_impact_parameter():
    mesh = star_mesh()
    grid = hybrid(mesh)
    outside = mesh.face[:-1] > 0.999 * grid.ray_radius
    rays = slice(grid.size - 9, grid.size)
    assert (grid.redistribution[outside, grid.size - 9 :] == 0.0).all()
    np.testing.assert_array_equal(np.ptp(grid.face_area[1:][outside][:, rays], axis=0), 0.0)
    p = mesh.center[:, None] * np.sqrt(1.0 - grid.direction_cosine[:, rays] ** 2)
    # the mean cosine of a path is that of its impact parameter to second order in the width
    far = outside & (mesh.center > 1.0e8)
    middle = p[far][:1]
    assert np.abs(p[far & (mesh.center < 1.0e9)] / middle - 1.0).max() < 0.01


def test_the_rest_of_the_hemisphere_narrows_shell_by_shell():
    mesh = star_mesh()
    grid = hybrid(mesh, shells=3)
    assert grid.size == 6 + 3 + 9 + 3  # shells at 4e7, 1.6e8 and 6.4e8 cm
    assert hybrid(mesh, shells=0).size == 6 + 3 + 9
    sine = np.sqrt(1.0 - grid.direction_cosine[-1, 9:12] ** 2)
    # outermost shell first; each ray is inside the next one's cone
    assert (np.diff(sine) < 0.0).all()
    assert sine[-1] < 1.0e-2


def test_radial_rays_have_constant_area():
    mesh = RadialMesh.uniform(0.0, 5.0, 5)
    grid = AngularGrid.radial(mesh)
    np.testing.assert_array_equal(grid.volume[:, 0], mesh.width)
    np.testing.assert_array_equal(grid.direction_cosine, np.tile([-1.0, 1.0], (5, 1)))
    np.testing.assert_array_equal(grid.mirror, [1, 0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda m: AngularGrid.ordinates(m, 3), "number of directions is 3"),
        (lambda m: hybrid(m, forward=0), "angles.forward is 0"),
        (lambda m: hybrid(m, opening_cosine=1.0), "opening_cosine is 1.0"),
        (lambda m: hybrid(m, shell_ratio=1.0), "shell_ratio is 1.0"),
        (lambda m: hybrid(m, shells=-1), "shells is -1"),
        (lambda m: AngularGrid.hybrid(m, 0.0, inward=1, grazing=1, forward=1, opening_cosine=0.5), "ray_radius is 0.0"),
        (lambda m: AngularGrid.beams(m, np.array([1.0]), np.array([1.0])), "plane geometry only"),
        (lambda _: hybrid(RadialMesh.uniform(0.0, 1.0, 4, "plane")), "spherical geometry only"),
    ],
)
def test_bad_direction_sets(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make(star_mesh())
