"""Scattering on nucleons and nuclei: Legendre moments against the angular kernels."""

import numpy as np
import pytest
from scipy.integrate import quad

from misci_transport.constants import AXIAL_COUPLING, FERMI_CONSTANT, HBAR_C, WEAK_MIXING
from misci_transport.kernels.fermi_gas import nucleon_blocking
from misci_transport.kernels.nucleon_scattering import nucleon_scattering
from misci_transport.kernels.nucleus_scattering import form_factor_moments, nucleus_scattering

STRENGTH = FERMI_CONSTANT**2 * HBAR_C**2 / np.pi
ENERGY = np.array([3.0, 10.0, 60.0, 250.0])


def empty():
    return np.zeros((1, ENERGY.size)), np.zeros((1, ENERGY.size))


@pytest.mark.parametrize("y", [0.0, 1e-8, 1e-3, 0.3, 0.999, 1.001, 4.0, 60.0])
def test_form_factor_moments_by_quadrature(y):
    for moment, value in enumerate(form_factor_moments(y)):
        exact = (
            0.5 * quad(lambda x, l: x**l * (1 + x) * np.exp(-y * (1 - x)), -1, 1, (moment,), epsabs=0, epsrel=1e-12)[0]
        )
        assert value == pytest.approx(exact, rel=1e-12)


def test_nucleon_moments_are_those_of_the_angular_kernel():
    zero, one = empty()
    neutrons, protons, temperature = 3e35, 1e35, 6.0
    nucleon_scattering(np.array([temperature]), np.array([neutrons]), np.array([protons]), ENERGY, zero, one)
    x, weight = np.polynomial.legendre.leggauss(4)
    axial = (0.5 * AXIAL_COUPLING) ** 2
    kernel = 0.0
    for density, vector in ((neutrons, 0.25), (protons, (0.5 - 2 * WEAK_MIXING) ** 2)):
        kernel = kernel + nucleon_blocking(density, temperature) * (vector * (1 + x) + axial * (3 - x))
    unit = STRENGTH * ENERGY**2
    np.testing.assert_allclose(zero[0], unit * 0.5 * np.sum(weight * kernel), rtol=1e-13)
    np.testing.assert_allclose(one[0], unit * 0.5 * np.sum(weight * x * kernel), rtol=1e-13)


def test_transport_opacity_of_pure_neutrons():
    zero, one = empty()
    nucleon_scattering(np.array([50.0]), np.array([1e30]), np.array([0.0]), ENERGY, zero, one)
    expected = STRENGTH * ENERGY**2 * 2.0 / 3.0 * 1e30 * (0.25 + 1.25 * AXIAL_COUPLING**2)
    np.testing.assert_allclose(zero - one, expected[None], rtol=1e-6)


def test_blocking_limits():
    # Dilute: all nucleons. Degenerate: n 3 T / (2 E_F).
    assert nucleon_blocking(1e30, 10.0) == pytest.approx(1e30, rel=1e-4)
    assert nucleon_blocking(2e38, 0.1) / nucleon_blocking(2e38, 0.05) == pytest.approx(2.0, rel=1e-4)


def test_nuclei_scatter_coherently_and_forward():
    zero, one = empty()
    nucleus_scattering(np.array([1e30]), np.array([56.0]), np.array([26.0]), ENERGY, zero, one)
    charge = 26 * (0.5 - 2 * WEAK_MIXING) - 15.0
    np.testing.assert_allclose(zero[0, 0], STRENGTH * ENERGY[0] ** 2 * 1e30 * charge**2, rtol=5e-3)
    assert one[0, 0] / zero[0, 0] == pytest.approx(1.0 / 3.0, rel=5e-3)
    # Long before the size of the nucleus is resolved the transport opacity has its maximum.
    ratio = (zero - one)[0] / ENERGY**2
    assert (np.diff(ratio) < 0.0).all()
    assert one[0, -1] / zero[0, -1] > 0.9
