"""A profile turned into several dimensions."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.bench.star import analytic_star
from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ConfigurationError, ProfileError
from misci_transport.sphere import SphereQuadrature
from misci_transport.turned import Turning, turned_radiation, turned_star


def box(cells=12, half=3.0e7):
    return BlockMesh.uniform((-half,) * 3, (half,) * 3, (cells, cells, cells), "cartesian")


def test_a_turned_star_keeps_its_mass_in_spherical_coordinates():
    profile = analytic_star()
    mesh = BlockMesh.from_edges(profile.native_faces[:80], geometry="spherical")
    star = turned_star(profile, mesh, np.arange(mesh.size))
    expected = profile.on_faces(profile.native_faces[:80])
    # two points a cell do not see where in it a shock is
    step = np.abs(np.diff(np.log(expected.mass_density)))
    smooth = np.maximum(np.append(step, 0.0), np.append(0.0, step)) < 0.7
    assert smooth.sum() > 70
    np.testing.assert_allclose(star.mass_density[smooth], expected.mass_density[smooth], rtol=0.03)
    mass = star.mass_density @ mesh.volume
    assert mass == pytest.approx(expected.mass_density @ mesh.volume, rel=2e-3)


def test_matter_at_a_point_is_that_of_its_radius():
    profile = analytic_star()
    mesh = box()
    star = turned_star(profile, mesh, np.arange(mesh.size))
    r = np.linalg.norm(mesh.centers, axis=1)
    far = r > 1.8e7
    np.testing.assert_allclose(star.mass_density[far], profile.at(r[far]).mass_density, rtol=0.05)
    cube = star.mass_density.reshape(12, 12, 12)
    np.testing.assert_allclose(cube, cube[::-1, ::-1, ::-1], rtol=1e-12)
    np.testing.assert_allclose(cube, cube.transpose(2, 1, 0), rtol=1e-12)


def test_rotation_is_along_the_azimuth():
    profile = analytic_star()
    turning = Turning(rotation=100.0, rotation_radius=1.0e12)
    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (3.0e7, np.pi, 2.0 * np.pi), (10, 8, 6), "spherical")
    star = turned_star(profile, mesh, np.arange(mesh.size), turning)
    np.testing.assert_allclose(star.velocity[:, :2], 0.0, atol=1e-6)
    # means over the volume of a cell, where density hardly falls within it
    r, theta, _ = mesh.faces
    radius = 0.75 * np.diff(r**4) / np.diff(r**3)
    sine = np.diff(0.5 * theta - 0.25 * np.sin(2.0 * theta)) / -np.diff(np.cos(theta))
    found = star.velocity[:, 2].reshape(6, 8, 10)[:, :, 5:]
    np.testing.assert_allclose(found, 100.0 * np.broadcast_to(np.outer(sine, radius[5:]), found.shape), rtol=0.07)
    cartesian = turned_star(profile, box(), np.arange(box().size), turning)
    x, y, _ = box().centers.T
    # density falls within a cell, so that its mean velocity is that of a place further in
    inside = np.hypot(x, y) > 1.0e7
    np.testing.assert_allclose(cartesian.velocity[inside, 0], -100.0 * y[inside], atol=3.0e8)
    np.testing.assert_allclose(cartesian.velocity[inside, 1], 100.0 * x[inside], atol=3.0e8)


def test_the_shock_is_moved_and_the_core_is_not():
    turning = Turning(shift=(2.0e6, 0.0, 0.0), wrinkle=0.05)
    points = np.array([[1.4e7, 0.0, 0.0], [-1.4e7, 0.0, 0.0], [1.0e5, 0.0, 0.0]])
    s = turning.radius(points)
    # at the shock's radius along x: Y = 3/8, and the shift acts with opposite signs
    wrinkled = 0.05 * 1.4e7 * 3.0 / 8.0
    np.testing.assert_allclose(s[:2], [1.4e7 - 2.0e6 - wrinkled, 1.4e7 + 2.0e6 - wrinkled])
    assert s[2] == pytest.approx(1.0e5, rel=1e-2)


def test_what_is_refused():
    with pytest.raises(ConfigurationError, match="is moved by up to"):
        Turning(shift=(6.0e6, 0.0, 0.0))
    with pytest.raises(ConfigurationError, match="accepted > 0"):
        Turning(shock_width=0.0)
    with pytest.raises(ProfileError, match="points reach"):
        turned_star(analytic_star(), box(half=1.0e9), np.arange(box().size))


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
def test_turned_radiation_is_exact_where_it_is_linear(geometry):
    """f = 0.2 + 0.1 r/R + 0.3 mu at every place and direction, mu against the radius there."""
    outer = 1.0e7
    if geometry == "cartesian":
        mesh = box(4, 0.5 * outer)
        directions = SphereQuadrature.lebedev(5)
        x = mesh.centers
        r = np.linalg.norm(x, axis=1)
        cosine = x @ directions.direction.T / r[:, None]
    else:
        mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (outer, np.pi, 2 * np.pi), (5, 3, 1), "spherical")
        directions = SphereQuadrature.product(4, 4)
        # a cell's place is where its halves have equal volume
        r = np.cbrt(0.5 * (mesh.faces[0][:-1] ** 3 + mesh.faces[0][1:] ** 3))[np.arange(mesh.size) % 5]
        cosine = np.broadcast_to(directions.direction[:, 0], (mesh.size, directions.size))
    radius = outer * np.array([0.0, 0.02, 0.3, 0.55, 1.0])
    nodes = np.sort(np.random.default_rng(3).uniform(-1.0, 1.0, (5, 7)), axis=1)
    nodes[:, 0], nodes[:, -1] = -1.0, 1.0
    given = 0.2 + 0.1 * (radius / outer)[:, None] + 0.3 * nodes
    found = turned_radiation(given[..., None], radius, nodes, mesh, np.arange(mesh.size), directions.direction)
    np.testing.assert_allclose(found[..., 0], 0.2 + 0.1 * r[:, None] / outer + 0.3 * cosine, rtol=1e-13)


def test_radii_of_a_spherical_solution_ascend():
    mesh, directions = box(2), SphereQuadrature.lebedev(5)
    given, nodes = np.zeros((2, 2, 1)), np.array([[-1.0, 1.0]] * 2)
    for radius, cosine in (([2.0, 1.0], nodes), ([1.0, 2.0], nodes[:, ::-1])):
        with pytest.raises(ConfigurationError, match="ascending"):
            turned_radiation(given, np.array(radius), cosine, mesh, np.arange(8), directions.direction)
