"""Directions on the sphere: exactness, symmetry bit for bit, and what is refused."""

from __future__ import annotations

import builtins
from dataclasses import replace
from math import gamma, pi

import numpy as np
import pytest
from scipy.special import lpmv

from misci_transport.errors import ConfigurationError
from misci_transport.quadrature import AngularGrid
from misci_transport.sphere import SphereQuadrature

PRODUCTS = [(2, 4), (4, 8), (5, 6), (8, 12), (3, 16), (12, 10)]
DEGREES = [3, 5, 7, 11, 17, 23, 29, 41]
FREQUENCIES = [1, 2, 3, 4, 6, 9]

SETS = [
    *(pytest.param(lambda n=n: SphereQuadrature.product(*n), id=f"product{n[0]}x{n[1]}") for n in PRODUCTS),
    *(pytest.param(lambda n=n: SphereQuadrature.lebedev(n), id=f"lebedev{n}") for n in DEGREES),
    *(pytest.param(lambda n=n: SphereQuadrature.geodesic(n), id=f"geodesic{n}") for n in FREQUENCIES),
]


def monomial(powers):
    """integral(x^a y^b z^c dOmega)/2 pi = Gamma((a+1)/2) Gamma((b+1)/2) Gamma((c+1)/2) / (pi Gamma((a+b+c+3)/2))."""
    if any(p % 2 for p in powers):
        return 0.0
    a, b, c = ((p + 1) / 2 for p in powers)
    return gamma(a) * gamma(b) * gamma(c) / (pi * gamma(a + b + c))


def errors(quadrature, degree):
    """Of all monomials of this degree; they span the harmonics up to the degree, with its parity."""
    v, w = quadrature.direction, quadrature.weight
    for a in range(degree + 1):
        for b in range(degree + 1 - a):
            powers = (a, b, degree - a - b)
            yield abs((w * (v**powers).prod(axis=1)).sum() - monomial(powers))


def harmonics(quadrature, degree):
    """Averages over the sphere of the harmonics of this degree, normalised so that the average of squares is one."""
    v, w = quadrature.direction, quadrature.weight
    phi = np.arctan2(v[:, 1], v[:, 0])
    for order in range(degree + 1):
        norm = np.sqrt(
            (2 * degree + 1) * (2.0 if order else 1.0) * gamma(degree - order + 1) / gamma(degree + order + 1)
        )
        legendre = norm * lpmv(order, degree, v[:, 2])
        yield abs(0.5 * (w * legendre * np.cos(order * phi)).sum())
        yield abs(0.5 * (w * legendre * np.sin(order * phi)).sum())


class Point:
    """One direction with the weight of the whole sphere."""

    def __init__(self, v):
        self.direction, self.weight = v[None], np.array([2.0])


def test_harmonics_of_the_test():
    """Addition theorem: in one direction the squares of all orders sum to 2 l + 1."""
    quadrature = SphereQuadrature.product(14, 28)
    squares = [sum(h**2 for h in harmonics(Point(v), 12)) for v in quadrature.direction]
    np.testing.assert_allclose(squares, 25.0, rtol=1e-12)


def test_monomials_of_the_test():
    assert monomial((0, 0, 0)) == pytest.approx(2.0)
    assert monomial((0, 2, 0)) == pytest.approx(2.0 / 3.0)
    assert monomial((2, 2, 0)) == pytest.approx(2.0 / 15.0)
    assert monomial((0, 0, 4)) == pytest.approx(2.0 / 5.0)


@pytest.mark.parametrize("make", SETS)
def test_exact_up_to_the_degree_and_not_beyond(make):
    quadrature = make()
    for degree in range(quadrature.exactness + 1):
        assert max(errors(quadrature, degree)) < 1e-14, degree
        if degree > 0:
            assert max(harmonics(quadrature, degree)) < 1e-14, degree
    assert max(harmonics(quadrature, quadrature.exactness + 1)) > 1e-4


@pytest.mark.parametrize("make", SETS)
def test_sum_and_second_moments(make):
    quadrature = make()
    v, w = quadrature.direction, quadrature.weight
    assert w.sum() == pytest.approx(2.0, abs=1e-14)
    np.testing.assert_allclose(np.einsum("n,ni,nj->ij", w, v, v), 2.0 / 3.0 * np.eye(3), rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(np.sqrt((v * v).sum(axis=1)), 1.0, rtol=0.0, atol=4e-16)


@pytest.mark.parametrize("make", SETS)
def test_mirror_images_are_equal_bit_for_bit(make):
    quadrature = make()
    assert quadrature.mirror.shape == (3, quadrature.size)
    for axis in range(3):
        image = quadrature.mirror[axis]
        np.testing.assert_array_equal(image[image], np.arange(quadrature.size))
        expected = quadrature.direction.copy()
        expected[:, axis] *= -1.0
        np.testing.assert_array_equal(quadrature.direction[image], expected)
        np.testing.assert_array_equal(quadrature.weight[image], quadrature.weight)
    assert not np.signbit(quadrature.direction[quadrature.direction == 0.0]).any()
    # distinct directions
    distance = quadrature.direction @ quadrature.direction.T - 2.0 * np.eye(quadrature.size)
    assert distance.max() < 1.0 - 1e-4


@pytest.mark.parametrize("make", SETS)
def test_arrays_for_kernels(make):
    quadrature = make()
    n = quadrature.size
    assert quadrature.weights.shape == (1, 4, n)
    assert quadrature.velocity.shape == (1, n, 3)
    assert quadrature.weight_0.shape == (1, n)
    for array in (quadrature.weights, quadrature.velocity, quadrature.averaging_weights):
        assert array.flags.c_contiguous
    np.testing.assert_array_equal(quadrature.weights[0, 0], quadrature.weight)
    np.testing.assert_array_equal(quadrature.weights[0, 1:], (quadrature.weight[:, None] * quadrature.direction).T)
    np.testing.assert_array_equal(quadrature.velocity[0], quadrature.direction)
    assert quadrature.complete
    assert quadrature.averaging_weights[0, 0].sum() == pytest.approx(2.0, abs=1e-14)
    # mirror images cancel in pairs, whatever the number of directions
    assert np.abs(quadrature.averaging_weights[0, 1:].sum(axis=1)).max() < 1e-15


@pytest.mark.parametrize(("levels", "azimuths"), PRODUCTS)
def test_order_of_product_sets(levels, azimuths):
    quadrature = SphereQuadrature.product(levels, azimuths)
    assert (quadrature.levels, quadrature.azimuths, quadrature.size) == (levels, azimuths, levels * azimuths)
    assert quadrature.exactness == min(2 * levels - 1, azimuths - 1)
    v = quadrature.direction.reshape(levels, azimuths, 3)
    w = quadrature.weight.reshape(levels, azimuths)
    # a level is one number
    np.testing.assert_array_equal(v[:, :, 0], np.repeat(v[:, :1, 0], azimuths, axis=1))
    np.testing.assert_array_equal(w, np.repeat(w[:, :1], azimuths, axis=1))
    assert (np.diff(v[:, 0, 0]) > 0.0).all()
    omega = (np.arange(azimuths) + 0.5) * 2.0 * pi / azimuths
    sine = np.sqrt(1.0 - v[:, :, 0] ** 2)
    np.testing.assert_allclose(v[:, :, 1], sine * np.cos(omega), rtol=0.0, atol=1e-15)
    np.testing.assert_allclose(v[:, :, 2], sine * np.sin(omega), rtol=0.0, atol=1e-15)
    level, azimuth = np.divmod(np.arange(quadrature.size), azimuths)
    np.testing.assert_array_equal(quadrature.mirror[0], (levels - 1 - level) * azimuths + azimuth)
    np.testing.assert_array_equal(quadrature.mirror[1], level * azimuths + (azimuths // 2 - 1 - azimuth) % azimuths)
    np.testing.assert_array_equal(quadrature.mirror[2], level * azimuths + azimuths - 1 - azimuth)


def test_product_sets_have_the_levels_of_gauss():
    """Summed over azimuths the set is that of one dimension: order 0 and 1 of Gauss-Legendre cosines."""
    from misci_transport.grid import RadialMesh

    quadrature = SphereQuadrature.product(6, 8)
    x, w = np.polynomial.legendre.leggauss(6)
    np.testing.assert_allclose(quadrature.weights[0, 0].reshape(6, 8).sum(axis=1), w, rtol=1e-14)
    np.testing.assert_allclose(quadrature.weights[0, 1].reshape(6, 8).sum(axis=1), w * x, rtol=1e-14)
    radial = AngularGrid.ordinates(RadialMesh.uniform(0.0, 1.0, 1), 6)
    assert quadrature.weight.sum() == pytest.approx(radial.weight_0.sum())


def test_only_sets_with_a_multiple_of_four_azimuths_stay_off_the_planes():
    on_plane = [(SphereQuadrature.product(4, n).direction == 0.0).sum() for n in (4, 6, 8, 10, 12)]
    assert on_plane == [0, 8, 0, 8, 0]


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_geodesic_weights_are_nearly_equal(frequency):
    quadrature = SphereQuadrature.geodesic(frequency)
    assert quadrature.size == 10 * frequency**2 + 2
    assert 1.0 <= quadrature.weight.max() / quadrature.weight.min() < 2.0
    if frequency == 1:
        np.testing.assert_allclose(quadrature.weight, 1.0 / 6.0, rtol=1e-14)


@pytest.mark.parametrize("degree", DEGREES)
def test_lebedev_sets_have_the_symmetry_of_the_cube(degree):
    quadrature = SphereQuadrature.lebedev(degree)
    assert quadrature.exactness == degree
    rows = {tuple(v) for v in np.round(quadrature.direction, 12) + 0.0}
    assert rows == {tuple(v) for v in np.round(quadrature.direction[:, [1, 2, 0]], 12) + 0.0}
    assert rows == {tuple(v) for v in np.round(quadrature.direction[:, [1, 0, 2]], 12) + 0.0}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SphereQuadrature.product(1, 8), "levels is 1; accepted: 2 or more"),
        (lambda: SphereQuadrature.product(4, 7), "azimuths is 7; accepted: an even number >= 4"),
        (lambda: SphereQuadrature.product(4, 2), "azimuths is 2"),
        (lambda: SphereQuadrature.lebedev(13), "degree 13 has negative weights"),
        (lambda: SphereQuadrature.lebedev(25), "degree 25 has negative weights"),
        (lambda: SphereQuadrature.lebedev(8), "degree of Lebedev's rule is 8; accepted: 3, 5"),
        (lambda: SphereQuadrature.geodesic(0), "frequency of the geodesic directions is 0"),
    ],
)
def test_bad_numbers(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_old_scipy_is_named(monkeypatch):
    genuine = builtins.__import__

    def without_lebedev(name, globals_=None, locals_=None, fromlist=(), level=0):
        if name == "scipy.integrate" and "lebedev_rule" in (fromlist or ()):
            raise ImportError("cannot import name 'lebedev_rule'")
        return genuine(name, globals_, locals_, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without_lebedev)
    with pytest.raises(ConfigurationError, match=r"need scipy >= 1\.15, this is \d"):
        SphereQuadrature.lebedev(5)


def test_given_directions_are_scaled_and_symmetrised():
    cube = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) * (1.0 + 1e-13)
    noise = 1e-13 * np.sin(np.arange(24.0)).reshape(8, 3)
    quadrature = SphereQuadrature.given(cube + noise, np.full(8, 7.0), 3)
    np.testing.assert_allclose(np.abs(quadrature.direction), 3**-0.5, rtol=1e-12)
    np.testing.assert_array_equal(quadrature.direction[quadrature.mirror[1]], quadrature.direction * [1, -1, 1])
    np.testing.assert_array_equal(quadrature.weight, 0.25)
    assert max(errors(quadrature, 3)) < 1e-14


@pytest.mark.parametrize(
    ("directions", "weights", "words"),
    [
        ([[0.6, 0.8, 0.0], [-0.6, 0.8, 0.0]], [1, 1], r"direction 0, .* no mirror image of its own in axis 1"),
        ([[1, 0, 0], [0, 1, 0], [0, -1, 0]], [1, 1, 1], r"direction 0, \(1, 0, 0\), .* axis 0"),
        ([[1, 0, 0], [-1, 0, 0], [1, 0, 0], [-1, 0, 0]], [1, 1, 1, 1], "distinct directions"),
        ([[1, 0, 0], [-1, 0, 0]], [1, 2], "of direction 1 is .*2.0.*, of its mirror image 0 .*1.0"),
        ([[1, 0, 0], [-1, 0, 0]], [1, -1], "weight of direction 1 is .*; accepted: > 0"),
        ([[1, 0, 0], [0, 0, 0]], [1, 1], "not zero"),
        ([[1, 0], [-1, 0]], [1, 1], r"shapes \(2, 2\), \(2,\)"),
    ],
)
def test_sets_that_are_refused(directions, weights, words):
    with pytest.raises(ConfigurationError, match=words):
        SphereQuadrature.given(np.array(directions, float), np.array(weights, float), 0)


def test_the_class_checks_what_it_is_given():
    quadrature = SphereQuadrature.product(2, 4)
    for change, words in (
        ({"direction": 2.0 * quadrature.direction}, "has length .*; accepted: unit vectors"),
        ({"weight": -quadrature.weight}, "weight of direction 0 is"),
        ({"weight": 2.0 * quadrature.weight}, "sum to .*; accepted: 2"),
        ({"mirror": quadrature.mirror[[1, 0, 2]]}, "images in axis 0"),
        ({"mirror": quadrature.mirror[:2]}, r"\(2, 8\)"),
        ({"levels": 3}, "3 levels times 4 azimuths"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            replace(quadrature, **change)
