"""Bremsstrahlung: limits of the fit, balance, and the known emissivity."""

import numpy as np
import pytest

from misci_transport.constants import ATOMIC_MASS_UNIT, ERG_PER_MEV, PHASE_SPACE, SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.kernels.bremsstrahlung import bremsstrahlung, spectral_shape, structure_function, width_correction


def kernels(temperature, neutrons, protons, grid):
    first, second = np.empty((2, 1, 2, grid.size, grid.size))
    bremsstrahlung(
        np.array([temperature]), np.array([neutrons]), np.array([protons]), grid.center, grid.weight, first, second
    )
    return first, second


def test_dilute_rate_goes_with_the_density():
    # S_sigma ~ gamma/x^2 ~ n, and the strength n S_sigma ~ n^2.
    ratio = structure_function(20.0, 2e32, 10.0) / structure_function(20.0, 1e32, 10.0)
    assert ratio == pytest.approx(2.0, rel=1e-3)


def test_shape_is_smooth_down_to_the_lowest_densities():
    eta = np.geomspace(1e-12, 20.0, 800)
    values = np.array([spectral_shape(4.0, 1.94, e) for e in eta])
    assert np.isfinite(values).all()
    assert np.abs(np.diff(np.log(values), 2)).max() < 2e-3
    assert all(width_correction(1.94, e) > 0.0 for e in eta)


def test_multiple_scattering_saturates_the_soft_part():
    # For x << gamma g/2 the Lorentzian turns over: S stays finite at zero energy.
    soft = [structure_function(w, 1e38, 10.0) for w in (1e-2, 1e-3)]
    assert soft[0] == pytest.approx(soft[1], rel=0.05)


def test_balance_symmetry_and_angle():
    grid = EnergyGrid.logarithmic(1.0, 200.0, 10)
    first, second = kernels(8.0, 5e36, 1e36, grid)
    total = grid.center[:, None] + grid.center
    np.testing.assert_allclose(first[0], second[0] * np.exp(-total / 8.0), rtol=1e-13)
    np.testing.assert_allclose(second[0] / grid.weight, np.swapaxes(second[0] / grid.weight, -1, -2), rtol=1e-13)
    # Axial current: 3 - cos(theta) has moments in the ratio -1/9.
    np.testing.assert_allclose(second[0, 1], -second[0, 0] / 9.0, rtol=1e-13)


def test_emissivity_of_dilute_neutrons():
    # One-pion exchange without degeneracy, Thompson, Burrows and Horvath 2000: 1.04e30 zeta (X_n rho_14)^2 T^5.5
    # erg/cm^3/s for one flavour, with zeta about 0.5 for all the corrections of the interaction.
    temperature, density = 10.0, 1e12
    grid = EnergyGrid.logarithmic(0.01, 400.0, 80)
    first, _ = kernels(temperature, density / ATOMIC_MASS_UNIT, 0.0, grid)
    pairs = np.sum((grid.weight * grid.center)[:, None] * first[0, 0])
    emissivity = 2 * 2 * PHASE_SPACE * SPEED_OF_LIGHT * ERG_PER_MEV * pairs
    zeta = emissivity / (1.04e30 * (density / 1e14) ** 2 * temperature**5.5)
    assert 0.25 < zeta < 1.0


def test_neutrons_and_protons_are_alike_and_mixed_pairs_count_28_thirds():
    grid = EnergyGrid.logarithmic(5.0, 50.0, 3)
    only = [kernels(6.0, n, p, grid)[1] for n, p in ((1e35, 0.0), (0.0, 1e35), (1e35, 1e35))]
    np.testing.assert_allclose(only[0], only[1], rtol=1e-13)
    np.testing.assert_allclose(only[2], (2.0 + 28.0 / 3.0) * only[0], rtol=1e-13)


def test_no_nucleons():
    grid = EnergyGrid.logarithmic(1.0, 200.0, 4)
    for temperature in (1e-4, 1.0, 100.0):
        first, second = kernels(temperature, 0.0, 0.0, grid)
        assert (first == 0.0).all()
        assert (second == 0.0).all()
