"""Eigen-decomposition: residual, unitarity, degeneracies, and relative accuracy of small mixing angles."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.flavor import unpack
from misci_transport.kernels.hermitian import eigen_decomposition

COUNT = 40


def check(packed, tolerance=1e-14):
    values, vectors = eigen_decomposition(packed)
    matrix = unpack(packed)
    norm = np.sqrt((abs(matrix) ** 2).sum(axis=(-1, -2)))
    residual = abs(matrix @ vectors - vectors * values[..., None, :]).max(axis=(-1, -2))
    assert (residual <= tolerance * norm).all()
    unity = vectors.conj().swapaxes(-1, -2) @ vectors
    assert abs(unity - np.eye(values.shape[-1])).max() < tolerance
    assert (np.diff(values, axis=-1) >= 0.0).all()
    return values, vectors


@pytest.mark.parametrize("n", [2, 3])
class TestDecomposition:
    def test_random(self, n):
        packed = np.random.default_rng(1).normal(size=(COUNT, n * n))
        values, _ = check(packed)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(unpack(packed)), atol=1e-14)

    def test_graded(self, n):
        rng = np.random.default_rng(2)
        check(rng.normal(size=(COUNT, n * n)) * 10.0 ** rng.uniform(-14, 0, size=(COUNT, n * n)))

    def test_nearly_degenerate(self, n):
        rng = np.random.default_rng(3)
        packed = rng.normal(size=(COUNT, n * n))
        packed[:, :n] = 1.0
        packed[:, n:] *= 10.0 ** rng.uniform(-20, 0, size=(COUNT, 1))
        check(packed)

    @pytest.mark.parametrize("scale", [1e-140, 1e140])
    def test_scales(self, n, scale):
        check(np.random.default_rng(4).normal(size=(8, n * n)) * scale)

    def test_exactly_degenerate(self, n):
        packed = np.zeros((3, n * n))
        packed[1, :n] = 2.0
        packed[2, :n] = np.arange(n) // 2
        values, _ = check(packed)
        np.testing.assert_array_equal(values, np.sort(packed[:, :n], axis=1))

    def test_scaling_with_a_constant(self, n):
        packed = np.random.default_rng(5).normal(size=(8, n * n))
        values, vectors = eigen_decomposition(packed)
        other, same = eigen_decomposition(8.0 * packed)
        np.testing.assert_array_equal(other, 8.0 * values)
        np.testing.assert_array_equal(same, vectors)


def test_projector_onto_known_vectors():
    rng = np.random.default_rng(6)
    basis = np.linalg.qr(rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)))[0]
    matrix = (basis * np.array([-1.0, 0.5, 2.0])) @ basis.conj().T
    packed = np.array(
        [
            *matrix.diagonal().real,
            *[part for i, j in ((0, 1), (0, 2), (1, 2)) for part in (matrix[i, j].real, matrix[i, j].imag)],
        ]
    )
    values, vectors = eigen_decomposition(packed)
    np.testing.assert_allclose(values, [-1.0, 0.5, 2.0], atol=1e-15)
    np.testing.assert_allclose(abs(vectors.conj().T @ basis), np.eye(3), atol=1e-14)


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-12, 1e-30])
def test_small_mixing_has_relative_accuracy(small):
    """|U_e3| = |H_e3| / (H_33 - H_ee) to relative round-off, where first-order perturbation theory is exact enough."""
    coupling = small * (0.6 - 0.8j)
    values, vectors = eigen_decomposition(np.array([1.0, 3.0, coupling.real, coupling.imag]))
    tangent = 2.0 * small / (2.0 + np.sqrt(4.0 + 4.0 * small**2))
    assert abs(vectors[0, 1]) == pytest.approx(tangent / np.sqrt(1.0 + tangent**2), rel=1e-14)
    packed = np.array([1.0, 3.0, 7.0, 0.0, 0.0, coupling.real, coupling.imag, 0.0, 0.0])
    values, vectors = eigen_decomposition(packed)
    tangent = 2.0 * small / (6.0 + np.sqrt(36.0 + 4.0 * small**2))
    assert abs(vectors[0, 2]) == pytest.approx(tangent / np.sqrt(1.0 + tangent**2), rel=1e-14)
    assert values[2] == pytest.approx(7.0, abs=7 * small**2 + 1e-15)


def test_heavy_block_below_a_large_potential():
    """A potential of 1e12 leaves the splitting and the mixing of the heavy flavours accurate."""
    packed = np.array([1e12, 0.3, -0.3, 0.7, 0.2, 0.1, -0.5, 0.4, 0.3])
    values, vectors = check(packed)
    assert values[1] - values[0] == pytest.approx(2 * np.sqrt(0.3**2 + 0.4**2 + 0.3**2), rel=1e-11)
    assert abs(vectors[0, :2] ** 2).sum() == pytest.approx((0.7**2 + 0.2**2 + 0.1**2 + 0.5**2) / 1e24, rel=1e-10)
