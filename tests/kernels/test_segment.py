"""Averages over a straight segment against quadrature and against their antiderivatives."""

from __future__ import annotations

from math import asinh, sqrt

import numpy as np
import pytest

from misci_transport.kernels.segment import NEAR, segment, series

NODES, WEIGHTS = np.polynomial.legendre.leggauss(300)


def by_quadrature(a, b, p):
    """(<z/r>, <1/r>, <z/r^3>, p^2 <1/r^3>) of r = sqrt(z^2 + p^2), z = a .. b."""
    z = 0.5 * (a + b) + 0.5 * (b - a) * NODES
    r = np.hypot(z, p)
    return [0.5 * float(WEIGHTS @ f) for f in (z / r, 1.0 / r, z / r**3, p * p / r**3)]


def test_series_to_round_off():
    u = np.sqrt(np.linspace(1e-3, NEAR, 400))
    # the difference from one, formed where it is not small, and the Taylor series where it is
    exact = (np.arctanh(u) / u - 1.0) / u**2
    taylor = sum(u ** (2 * k) / (2 * k + 3) for k in range(40))
    np.testing.assert_allclose(taylor, exact, rtol=1e-12)
    found = np.array([series(v) for v in u**2])
    np.testing.assert_allclose(found, taylor, rtol=0.0, atol=6e-16)
    # what <1/|h|> is made of
    np.testing.assert_allclose(1.0 + u**2 * found, 1.0 + u**2 * taylor, rtol=4.5e-16)
    assert series(0.0) == pytest.approx(1.0 / 3.0, rel=2e-15)


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [
        (0.3, 0.5, 0.2),
        (-0.5, 0.7, 1.0),
        (-0.5, 0.7, 0.3),
        (-1.0, 1.0, 0.4),
        (0.0, 1.0, 0.5),
        (2.0, 2.0, 0.0),
        (2.0, 2.0 + 1e-9, 1e-3),
        (-3.0, -1.0, 1e-8),
        (5.0, 1.0, 0.7),
        (0.0, 0.0, 2.0),
        (-1e-9, 1e-9, 1.0),
    ],
)
def test_against_quadrature(a, b, p):
    parallel, mean, slope, flat, smallest = segment(a, b, p * p)
    expected = by_quadrature(a, b, p)
    np.testing.assert_allclose([parallel, mean, slope, flat], expected, rtol=4e-14, atol=1e-15)
    nearest = p if a * b < 0.0 else min(np.hypot(a, p), np.hypot(b, p))
    assert smallest == pytest.approx(nearest, rel=1e-14)


@pytest.mark.parametrize("p", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12])
def test_close_to_a_crossing(p):
    """Where no quadrature reaches: antiderivatives, p^2 <1/r^3> = (b/r_b - a/r_a)/(b - a)."""
    a, b = -0.3, 0.9
    parallel, mean, slope, flat, _ = segment(a, b, p * p)
    r_a, r_b = sqrt(a * a + p * p), sqrt(b * b + p * p)
    assert mean == pytest.approx((asinh(b / p) - asinh(a / p)) / (b - a), rel=1e-14)
    assert parallel == pytest.approx((r_b - r_a) / (b - a), rel=1e-14)
    assert flat == pytest.approx((b / r_b - a / r_a) / (b - a), rel=1e-14)
    assert slope == pytest.approx((1.0 / r_a - 1.0 / r_b) / (b - a), rel=1e-13)


def test_both_forms_agree_where_they_meet():
    """u^2 just below and just above NEAR."""
    p = 1.0
    # symmetric segment: u = a/sqrt(a^2 + p^2)
    a = p * sqrt(NEAR / (1.0 - NEAR))
    below = segment(-a * (1.0 - 1e-14), a * (1.0 - 1e-14), p * p)
    above = segment(-a * (1.0 + 1e-14), a * (1.0 + 1e-14), p * p)
    np.testing.assert_allclose(below, above, rtol=1e-13, atol=1e-15)


def test_through_zero_everything_but_the_transverse_part_is_finite():
    parallel, _, _, flat, smallest = segment(-1.0, 3.0, 0.0)
    assert parallel == pytest.approx(0.5)
    # derivative of (z_a + z_b)/R along the segment
    assert flat == pytest.approx(0.5)
    assert smallest == 0.0


def test_no_field_at_all():
    assert segment(0.0, 0.0, 0.0) == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_nan_comes_out():
    assert np.isnan(segment(np.nan, 1.0, 1.0)[1])
