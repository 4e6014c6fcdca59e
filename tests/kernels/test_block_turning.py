from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.kernels.block_advection import advance, flux_divergence
from misci_transport.kernels.block_turning import turn, turn_implicit, turning_coefficients
from misci_transport.sphere import SphereQuadrature

UNEVEN = np.cumsum([0.0, 0.4, 0.9, 0.3, 1.1])
SPHERES = {
    "r-theta": BlockMesh.from_edges(UNEVEN, np.pi * np.array([0.0, 0.1, 0.35, 0.4, 0.7, 1.0]), geometry="spherical"),
    "r-theta-phi": BlockMesh.from_edges(
        UNEVEN, np.pi * np.array([0.0, 0.2, 0.6, 1.0]), np.linspace(0.0, 2.0 * np.pi, 5), geometry="spherical"
    ),
    "wedge": BlockMesh.from_edges(UNEVEN + 2.0, [0.3, 0.5, 1.1], [0.2, 0.3, 0.9], geometry="spherical"),
}


def padded_rows(mesh):
    """One more row than cells for each padding cell: (row, rows)."""
    n = mesh.shape[::-1]
    row = np.arange(np.prod(np.add(n, 4))).reshape(np.add(n, 4)) + mesh.size
    row[2:-2, 2:-2, 2:-2] = np.arange(mesh.size).reshape(n)
    return row, int(row.max()) + 1


def resolved(mesh):
    return np.array([d in mesh.resolved for d in range(3)])


def upwind(mesh, entries):
    n0, n1, n2 = mesh.shape
    shapes = (n2, n1, n0 + 1), (n2, n1 + 1, n0), (n2 + 1, n1, n0)
    return [np.ones((*shape, entries)) for shape in shapes]


def coefficients(sphere):
    return turning_coefficients(sphere.direction, sphere.weight, sphere.azimuths)


def turned(f, mesh, sphere, *, h=1.0, second_order=True):
    out = np.zeros((mesh.size, *f.shape[1:]))
    nowhere = np.zeros(mesh.size, dtype=bool)
    turn(f, h, mesh.at().curvature, *coefficients(sphere), nowhere, second_order, out)
    return out


@pytest.mark.parametrize("levels", [2, 3, 5])
@pytest.mark.parametrize("azimuths", [4, 6, 10])
def test_coefficients_are_those_of_the_operator(levels, azimuths):
    sphere = SphereQuadrature.product(levels, azimuths)
    alpha, beta, weight, node = coefficients(sphere)
    velocity = sphere.direction.reshape(levels, azimuths, 3)
    assert alpha[0] == alpha[-1] == 0.0
    assert not beta[:, [0, azimuths // 2, azimuths]].any()
    np.testing.assert_allclose(-np.diff(alpha), weight * velocity[:, 0, 0], atol=1e-15)
    np.testing.assert_allclose(-np.diff(beta, axis=1), velocity[:, :, 1], atol=1e-15)
    assert (alpha[1:-1] > 0.0).all()
    # alpha is (1 - mu^2)/2 and beta -sin(omega) sqrt(1 - mu^2)/width, up to the quadrature
    edge = np.concatenate([[-1.0], -1.0 + np.cumsum(weight)])
    np.testing.assert_allclose(alpha, 0.5 * (1.0 - edge**2), atol=0.5 / levels**2)
    width = 2.0 * np.pi / azimuths
    expected = -np.sin(width * np.arange(azimuths + 1)) * np.hypot(velocity[:, :1, 1], velocity[:, :1, 2])
    np.testing.assert_allclose(beta * 2.0 * np.sin(0.5 * width), expected, atol=1e-14)
    assert ((node[:-1, 0] > 0.0) & (node[:-1, 0] < 1.0)).all()
    assert not node[-1].any()


@pytest.mark.parametrize("name", SPHERES)
@pytest.mark.parametrize("second_order", [False, True])
def test_isotropic_field_is_stationary(name, second_order):
    mesh, sphere = SPHERES[name], SphereQuadrature.product(4, 6)
    row, rows = padded_rows(mesh)
    f = np.full((rows, sphere.size, 2), 0.3)
    out = np.empty((mesh.size, sphere.size, 2))
    flux_divergence(f, row, sphere.direction, mesh.at().area_ratio, resolved(mesh), *upwind(mesh, 2), second_order, out)
    spatial = np.abs(out).max(axis=(1, 2))
    turning = turned(f, mesh, sphere, second_order=second_order)
    scale = 0.3 * np.abs(mesh.at().area_ratio[:, resolved(mesh)]).max(axis=(1, 2))
    assert (spatial > 0.1 * np.abs(mesh.at().curvature[:, 0])).all()
    assert (np.abs(out + turning).max(axis=(1, 2)) < 1e-14 * scale).all()


@pytest.mark.parametrize("name", SPHERES)
def test_implicit_turning_keeps_an_isotropic_field(name):
    mesh, sphere = SPHERES[name], SphereQuadrature.product(4, 6)
    row, rows = padded_rows(mesh)
    f = np.full((rows, sphere.size, 2), 0.3)
    out = np.empty((mesh.size, sphere.size, 2))
    h = 5.0
    advance(
        f, row, sphere.direction, mesh.at().area_ratio, resolved(mesh), *upwind(mesh, 2), True, f[: mesh.size], h, out
    )
    moved = out.copy()
    alpha, beta, weight, _ = coefficients(sphere)
    implicit = np.arange(mesh.size) % 2 == 0
    turn_implicit(out, h, mesh.at().curvature, alpha, beta, weight, implicit, out)
    scale = 1.0 + h * np.abs(mesh.at().area_ratio[:, resolved(mesh)]).max(axis=(1, 2))
    assert (np.abs(out[implicit] - 0.3).max(axis=(1, 2)) < 1e-14 * scale[implicit]).all()
    np.testing.assert_array_equal(out[~implicit], moved[~implicit])


@pytest.mark.parametrize(("levels", "azimuths"), [(2, 4), (3, 8), (5, 6)])
@pytest.mark.parametrize("h", [1e-3, 1.0, 1e4])
def test_implicit_turning_solves_its_equation(levels, azimuths, h):
    mesh, sphere = SPHERES["r-theta"], SphereQuadrature.product(levels, azimuths)
    start = np.random.default_rng(0).random((mesh.size, sphere.size, 2)) ** 20
    alpha, beta, weight, _ = coefficients(sphere)
    out, everywhere = np.empty_like(start), np.ones(mesh.size, dtype=bool)
    turn_implicit(start, h, mesh.at().curvature, alpha, beta, weight, everywhere, out)
    assert out.min() >= 0.0
    change = turned(out, mesh, sphere, h=h, second_order=False)
    np.testing.assert_allclose(out, start + change, rtol=1e-12, atol=1e-14 * (1.0 + h))
    np.testing.assert_allclose(sphere.weight @ out[:, :, 0].T, sphere.weight @ start[:, :, 0].T, rtol=1e-12)


@pytest.mark.parametrize("second_order", [False, True])
def test_turning_conserves_number_and_leaves_implicit_cells(second_order):
    mesh, sphere = SPHERES["r-theta-phi"], SphereQuadrature.product(4, 6)
    f = np.random.default_rng(1).random((mesh.size, sphere.size, 3)) ** 10
    out = turned(f, mesh, sphere, second_order=second_order)
    np.testing.assert_allclose(np.einsum("m,cme->ce", sphere.weight, out), 0.0, atol=1e-13 * np.abs(out).max())
    some = np.arange(mesh.size) % 3 == 0
    added = np.ones_like(out)
    turn(f, 0.5, mesh.at().curvature, *coefficients(sphere), some, second_order, added)
    np.testing.assert_allclose(added[~some], 1.0 + 0.5 * out[~some], rtol=1e-12, atol=1e-13)
    assert (added[some] == 1.0).all()


@pytest.mark.parametrize("levels", [2, 4, 7])
def test_linear_in_mu_is_exact(levels):
    """G (a + b mu): half values at the edges of the bins, hence the exact second moment and diffusion limit."""
    sphere = SphereQuadrature.product(levels, 4)
    mesh = BlockMesh.from_edges(UNEVEN, geometry="spherical")
    alpha, _, weight, _ = coefficients(sphere)
    f = np.ones((mesh.size, sphere.size, 2)) * (2.0 + np.array([1.0, -0.9]) * sphere.direction[:, :1])
    out = turned(f, mesh, sphere).reshape(mesh.size, levels, 4, 2)
    edge = np.concatenate([[-1.0], -1.0 + np.cumsum(weight)])
    half = alpha[:, None] * (2.0 + np.array([1.0, -0.9]) * edge[:, None])
    expected = -np.diff(half, axis=0) / weight[:, None]
    for a in range(4):
        np.testing.assert_allclose(out[:, :, a], mesh.at().curvature[:, :1, None] * expected, rtol=1e-12, atol=1e-13)


def test_half_values_stay_between_the_neighbours():
    """A step that takes out at most what is there: turning out of a direction never exceeds twice the upwind flow."""
    mesh, sphere = SPHERES["r-theta"], SphereQuadrature.product(5, 8)
    alpha, beta, weight, _ = coefficients(sphere)
    p, q = mesh.at().curvature[:, :1, None], mesh.at().curvature[:, 1:, None]
    leaving = p * (alpha[1:] / weight)[:, None] + np.maximum(q * beta[:, 1:], 0.0) + np.maximum(-q * beta[:, :-1], 0.0)
    h = 0.5 / leaving.max()
    for sharpness in (1, 10, 80):
        f = np.random.default_rng(sharpness).random((mesh.size, sphere.size, 4)) ** sharpness
        assert (f + turned(f, mesh, sphere, h=h)).min() >= -1e-16


@pytest.mark.parametrize("latitude", [0.7, np.pi - 0.7])
@pytest.mark.parametrize("azimuth", [1, 6])
def test_azimuths_turn_towards_the_axis_and_back(latitude, azimuth):
    """North of the equator omega goes to 0, south of it to pi, on both halves of the ring."""
    mesh = BlockMesh.from_edges([1.0, 1.1, 1.2], [latitude - 0.1, latitude, latitude + 0.1], geometry="spherical")
    sphere = SphereQuadrature.product(2, 8)
    f = np.zeros((mesh.size, 16, 1))
    # the upper level, from which nothing turns on along mu
    f[:, 8 + azimuth] = 1.0
    out = turned(f, mesh, sphere, second_order=False)[:, 8:]
    towards_zero = -1 if azimuth < 4 else 1
    next_one = azimuth + (towards_zero if latitude < 0.5 * np.pi else -towards_zero)
    assert (out[:, azimuth] < 0.0).all()
    assert (out[:, next_one] > 0.0).all()
    assert np.count_nonzero(out) == 2 * mesh.size


def rates_of_a_smooth_field(cells, levels, azimuths, lower, upper):
    """Errors of A f + G f, and of A f alone, against -v . grad f for three fields f(x, v); relative mean errors."""
    shape = tuple(cells if size else 1 for size in (1, 1, 1))
    mesh = BlockMesh.uniform(lower, upper, shape, geometry="spherical")
    sphere = SphereQuadrature.product(levels, azimuths)
    row, rows = padded_rows(mesh)
    axes = []
    for d, face in enumerate(mesh.faces):
        step = face[1] - face[0]
        axes.append(face[0] + step * (np.arange(shape[d] + 4) - 1.5))
    phi, theta, r = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    e_r = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    e_theta = np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), -np.sin(theta)], axis=-1)
    e_phi = np.stack([-np.sin(phi), np.cos(phi), np.zeros_like(phi)], axis=-1)
    basis = np.stack([e_r, e_theta, e_phi], axis=-2)
    x = r[..., None] * e_r
    # the straight line is straight in Cartesian components
    v = np.einsum("md,kjidx->kjimx", sphere.direction, basis)
    k, n, q = np.array([0.7, -0.4, 0.9]), np.array([0.3, 0.8, -0.5]), np.array([-0.6, 0.5, 0.4])
    phase = (x @ k)[..., None]
    shapes = [np.ones(v.shape[:-1]), 1.0 + 0.5 * v @ n, 1.0 + 0.4 * v @ n + 0.3 * (v @ q) ** 2]
    values = np.stack([2.0 + np.sin(phase) * shape for shape in shapes], axis=-1)
    exact = np.stack([-(v @ k) * np.cos(phase) * shape for shape in shapes], axis=-1)
    f = np.empty((rows, sphere.size, 3))
    f[row] = values
    out = np.empty((mesh.size, sphere.size, 3))
    flux_divergence(f, row, sphere.direction, mesh.at().area_ratio, resolved(mesh), *upwind(mesh, 3), True, out)
    turning = turned(f, mesh, sphere)
    expected = exact[2:-2, 2:-2, 2:-2].reshape(out.shape)
    size = np.abs(expected).mean()
    return [np.abs(rate - expected).mean() / size for rate in (out + turning, out)]


@pytest.mark.parametrize("band", [(0.5, 1.0), (0.5 * np.pi - 0.3, 0.5 * np.pi + 0.4), (2.2, 2.7)])
def test_the_derivative_along_straight_lines(band):
    """Fields of x and of the fixed Cartesian direction: every term and sign.

    The order in mesh and angles together is 1.5 to 1.7: v_theta and v_phi are not smooth in mu at mu = +-1, and slopes
    are cut at extrema.
    """
    lower, upper = (1.0, band[0], 0.3), (1.6, band[1], 0.9)
    coarse, _ = rates_of_a_smooth_field(3, 4, 8, lower, upper)
    fine, without_turning = rates_of_a_smooth_field(6, 8, 16, lower, upper)
    assert np.log2(coarse / fine) > 1.4
    assert fine < 0.05
    assert without_turning > 0.5
