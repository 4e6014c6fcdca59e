"""Pairs: angular polynomials, vacuum annihilation, emissivity, balance."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.constants import ERG_PER_MEV, FERMI_CONSTANT, HBAR_C, PHASE_SPACE, SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.kernels.pair_process import angular_polynomials, pair_process

G = EnergyGrid.logarithmic(1.0, 250.0, 12)


def kernels(temperature, potential, grid):
    shape = (1, 2, grid.size, grid.size)
    arrays = [np.empty(shape) for _ in range(4)]
    pair_process(np.array([temperature]), np.array([potential]), grid.center, grid.weight, *arrays)
    return arrays


@pytest.mark.parametrize(("small", "large"), [(10.0, 10.0), (3.0, 20.0), (6.5, 7.0), (2.0, 150.0)])
@pytest.mark.parametrize("share", [0.003, 0.1, 0.4, 0.5, 0.8, 0.995])
def test_polynomials_are_the_integrals_over_total_momentum(small, large, share):
    top = small + large
    e = share * top
    values = np.empty(4)
    angular_polynomials(small, large, e, values)
    low = max(large - small, abs(top - 2 * e))
    node, weight = np.polynomial.legendre.leggauss(40)
    s = 0.5 * (node + 1)
    q = low + (top - low) * s**2
    measure = weight * (top - low) * s
    angle = 2 * np.pi * np.arange(8) / 8
    total = np.zeros(4)
    for a, b in zip(q, measure, strict=True):
        x = (a * a - small**2 - large**2) / (2 * small * large)
        p_z = (a * a + e * e - (top - e) ** 2) / (2 * a)
        p_t = np.sqrt(max(e * e - p_z * p_z, 0.0))
        for place, (k, other) in enumerate(((small, large), (large, small))):
            k_z = (a * a + k * k - other * other) / (2 * a)
            k_t = np.sqrt(max(k * k - k_z * k_z, 0.0))
            mean = np.mean((k * e - k_t * p_t * np.cos(angle) - k_z * p_z) ** 2)
            total[2 * place] += b * mean
            total[2 * place + 1] += b * x * mean
    np.testing.assert_allclose(values, total, rtol=1e-9, atol=1e-9 * np.abs(total).max())


def test_annihilation_in_vacuum():
    # |M|^2 integrates to G^2 g^2 s^2/(3 pi), so that R = G^2 w w' (1 - x)^2/(3 pi): moments 4/9 and -2/9.
    _, second_i, _, second_ii = kernels(1e-3, 0.0, G)
    unit = FERMI_CONSTANT**2 / np.pi * G.center[:, None] * G.center * G.weight / (2 * np.pi**2 * HBAR_C)
    # Below the electron mass the massless kinematics and 1 - f of massive electrons still give this.
    for second in (second_i, second_ii):
        np.testing.assert_allclose(second[0, 0], 4.0 / 9.0 * unit, rtol=1e-10)
        np.testing.assert_allclose(second[0, 1], -2.0 / 9.0 * unit, rtol=1e-10)


def emissivity(temperature, potential, couplings, points=60):
    grid = EnergyGrid.logarithmic(0.05 * temperature, 40.0 * temperature, points)
    first_i, _, first_ii, _ = kernels(temperature, potential, grid)
    left, right = couplings
    production = left**2 * first_i[0, 0] + right**2 * first_ii[0, 0]
    neutrinos = np.sum(grid.weight * grid.center * production.sum(axis=1))
    partners = np.sum((grid.weight * grid.center)[None, :] * (grid.weight[:, None] * production / grid.weight[None, :]))
    return 2 * PHASE_SPACE * SPEED_OF_LIGHT * ERG_PER_MEV * np.array([neutrinos, partners])


def test_emissivity_at_10_mev():
    # 2.088e33 erg/cm^3/s for one heavy flavour (nu and nubar), 4.66 times that for nu_e: the ratio of C_V^2 + C_A^2.
    heavy = emissivity(10.0, 0.0, (-0.54, 0.46))
    assert heavy.sum() == pytest.approx(2.088e33, rel=1e-3)
    electron = emissivity(10.0, 0.0, (1.46, 0.46))
    assert electron.sum() / heavy.sum() == pytest.approx((1.46**2 + 0.46**2) / (0.54**2 + 0.46**2), rel=1e-9)
    assert heavy[0] == pytest.approx(heavy[1], rel=1e-9)


def test_emissivity_goes_with_the_ninth_power_of_temperature():
    # Massless electrons: Q ~ T^9; the mass is a correction of the order (m/T)^2.
    ratio = emissivity(20.0, 0.0, (-0.54, 0.46)).sum() / emissivity(10.0, 0.0, (-0.54, 0.46)).sum()
    assert ratio == pytest.approx(2.0**9, rel=3e-3)


def test_degenerate_electrons_suppress_pairs():
    values = [emissivity(3.0, mu, (-0.54, 0.46)).sum() for mu in (0.0, 6.0, 15.0, 40.0)]
    assert (np.diff(values) < 0.0).all()
    assert values[-1] < 1e-2 * values[0]


@given(temperature=st.floats(0.05, 40.0), degeneracy=st.floats(0.0, 15.0))
def test_balance_and_exchange(temperature, degeneracy):
    first_i, second_i, first_ii, second_ii = kernels(temperature, degeneracy * temperature, G)
    total = G.center[:, None] + G.center
    for first, second in ((first_i, second_i), (first_ii, second_ii)):
        np.testing.assert_allclose(first[0], second[0] * np.exp(-total / temperature), rtol=1e-12, atol=1e-290)
        assert (np.abs(second[0, 1]) <= second[0, 0] * (1 + 1e-12)).all()
    np.testing.assert_allclose(second_ii[0] / G.weight, np.swapaxes(second_i[0] / G.weight, -1, -2), rtol=1e-13)


@pytest.mark.parametrize(("temperature", "potential"), [(5.0, 12.0), (1.0, 25.0), (0.3, 2.0)])
def test_energy_quadrature_is_converged(temperature, potential):
    grid = EnergyGrid.logarithmic(3.0, 30.0, 3)
    _, second, *_ = kernels(temperature, potential, grid)
    node, weight = np.polynomial.legendre.leggauss(16)
    values = np.empty(4)
    for g, h in ((2, 0), (1, 1), (2, 1)):
        large, small = grid.center[g], grid.center[h]
        top = small + large
        edges = np.unique(np.concatenate([np.linspace(0.0, top, 600), [small, large]]))
        total = 0.0
        for a, b in pairwise(edges):
            for x, y in zip(node, weight, strict=True):
                e = 0.5 * (a + b) + 0.5 * (b - a) * x
                minus = (np.hypot(e, 0.51099895) - potential) / temperature
                plus = (np.hypot(top - e, 0.51099895) + potential) / temperature
                angular_polynomials(small, large, e, values)
                empty = 0.25 * (1 + np.tanh(0.5 * minus)) * (1 + np.tanh(0.5 * plus))
                total += 0.5 * (b - a) * y * empty * values[0]
        expected = grid.weight[h] * FERMI_CONSTANT**2 / (4 * np.pi**3 * HBAR_C) * total / (small * large) ** 2
        assert second[0, 0, g, h] == pytest.approx(expected, rel=1e-6)
