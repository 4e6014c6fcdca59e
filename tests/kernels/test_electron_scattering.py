"""Inelastic scattering on electrons: angular polynomials, total rates, conservation, another code."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.constants import ELECTRON_MASS, FERMI_CONSTANT, HBAR_C, PHASE_SPACE, SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.kernels.electron_scattering import add_target, angular_polynomials, electron_scattering

G = EnergyGrid.logarithmic(1.5, 300.0, 14)


def kernels(temperature, potential, grid):
    shape = (1, 2, grid.size, grid.size)
    arrays = [np.empty(shape) for _ in range(4)]
    electron_scattering(np.array([temperature]), np.array([potential]), grid.center, grid.weight, *arrays)
    return arrays


def invariants_squared(w, v, e, q):
    """Azimuthal means of (k.p)^2 and (k'.p)^2 from explicit four-vectors, q along z."""
    k_z = (w * w - v * v + q * q) / (2 * q)
    k_x = np.sqrt(max(w * w - k_z * k_z, 0.0))
    # |p + q| = e + w - v
    p_z = ((e + w - v) ** 2 - e * e - q * q) / (2 * q)
    p_t = np.sqrt(max(e * e - p_z * p_z, 0.0))
    angle = 2 * np.pi * np.arange(8) / 8
    one = w * e - k_x * p_t * np.cos(angle) - k_z * p_z
    two = v * e - k_x * p_t * np.cos(angle) - (k_z - q) * p_z
    return np.mean(one**2), np.mean(two**2)


@pytest.mark.parametrize(("w", "v"), [(10.0, 10.0), (20.0, 3.0), (7.0, 6.5), (150.0, 2.0)])
@pytest.mark.parametrize("e", [0.4, 2.9, 8.0, 40.0])
def test_polynomials_are_the_integrals_over_momentum_transfer(w, v, e):
    values = np.empty(4)
    angular_polynomials(w, v, e, values)
    low, high = w - v, min(w + v, 2 * e + w - v)
    node, weight = np.polynomial.legendre.leggauss(40)
    # q = low + (high - low) s^2 removes the end point singularity.
    s = 0.5 * (node + 1)
    q = low + (high - low) * s**2
    measure = weight * (high - low) * s
    total = np.zeros(4)
    for a, b in zip(q, measure, strict=True):
        x = (w * w + v * v - a * a) / (2 * w * v)
        one, two = invariants_squared(w, v, e, a)
        total += b * np.array([one, x * one, two, x * two])
    np.testing.assert_allclose(values, total, rtol=1e-9, atol=1e-9 * total.max())


def test_total_rate_on_classical_electrons():
    # sigma_I = G^2 s/(4 pi), sigma_II = sigma_I/3, s = 2 w E (1 - cos): rate = 2 G^2 w (energy density)/(3 pi).
    temperature, potential = 3.0, -60.0
    w = 20.0
    center = np.geomspace(0.02, w + 150.0, 3001)
    weight = center**3 * np.log(center[1] / center[0])
    points, values, total, rate = np.empty(32), np.empty(4), np.empty(4), np.zeros(4)
    for v, states in zip(center, weight, strict=True):
        total[:] = 0.0
        if v <= w:
            add_target(w, v, potential, temperature, points, values, False, total)
        else:
            add_target(v, w, potential, temperature, points, values, False, total)
            total *= np.exp((w - v) / temperature)
        rate += states * total / (w * v) ** 2
    rate *= FERMI_CONSTANT**2 / (4 * np.pi**3 * HBAR_C)
    p, step = np.linspace(0.0, 50.0 * temperature, 20001, retstep=True)
    filled = np.exp(-(np.hypot(p, ELECTRON_MASS) - potential) / temperature)
    energy_density = np.sum(p**3 * filled) * step / np.pi**2
    expected = 2 * FERMI_CONSTANT**2 * w * energy_density / (3 * np.pi * HBAR_C)
    assert rate[0] == pytest.approx(expected, rel=1e-3)
    assert rate[2] == pytest.approx(expected / 3.0, rel=1e-3)


@pytest.mark.parametrize(("temperature", "potential"), [(5.0, 12.0), (1.0, 25.0), (0.3, 2.0), (10.0, 0.0), (0.05, 0.3)])
def test_energy_quadrature_is_converged(temperature, potential):
    points, values = np.empty(32), np.empty(4)
    node, weight = np.polynomial.legendre.leggauss(16)
    for w, v in ((30.0, 12.0), (8.0, 8.0), (4.0, 1.5)):
        got = np.zeros(4)
        add_target(w, v, potential, temperature, points, values, False, got)
        # Brute force: narrow panels up to where nothing is left.
        top = max(potential, ELECTRON_MASS) + 60.0 * temperature
        edges = np.unique(np.concatenate([np.geomspace(1e-4 * temperature, top, 200), np.linspace(0, top, 800), [v]]))
        total = np.zeros(4)
        for a, b in pairwise(edges):
            for x, y in zip(node, weight, strict=True):
                p = 0.5 * (a + b) + 0.5 * (b - a) * x
                below = (np.hypot(p, ELECTRON_MASS) - potential) / temperature
                above = (np.hypot(p + w - v, ELECTRON_MASS) - potential) / temperature
                factor = 0.25 * (1 - np.tanh(0.5 * below)) * (1 + np.tanh(0.5 * above))
                angular_polynomials(w, v, p, values)
                total += 0.5 * (b - a) * y * factor * values
        np.testing.assert_allclose(got, total, rtol=1e-5, atol=1e-9 * np.abs(total).max())


@given(temperature=st.floats(0.05, 40.0), degeneracy=st.floats(0.0, 15.0))
def test_conservation_and_balance(temperature, degeneracy):
    first_i, second_i, first_ii, second_ii = kernels(temperature, degeneracy * temperature, G)
    for first, second in ((first_i, second_i), (first_ii, second_ii)):
        np.testing.assert_allclose(
            G.weight[:, None] * first[0], G.weight[None, :] * np.swapaxes(second[0], -1, -2), rtol=1e-13, atol=1e-290
        )
        exponent = -(G.center[:, None] - G.center) / temperature
        good = (first[0, 0] > 1e-250) & (second[0, 0] > 1e-250)
        ratio = np.log(second[0, 0][good] / first[0, 0][good])
        np.testing.assert_allclose(ratio, exponent[good], atol=1e-9 * np.abs(exponent).max())
        assert (first[0, 0] >= 0.0).all()
        assert (np.abs(first[0, 1]) <= first[0, 0] * (1 + 1e-12)).all()


def test_equilibrium_is_left_alone_at_any_chemical_potential():
    temperature = 4.0
    first, second, *_ = kernels(temperature, 10.0, G)
    for mu in (-8.0, 0.0, 20.0):
        x = (G.center - mu) / temperature
        f = 1 / (1 + np.exp(x))
        gain = (second[0, 0] @ f) * (1 - f)
        loss = (first[0, 0] @ (1 - f)) * f
        assert np.abs(gain - loss).max() <= 1e-13 * np.maximum(gain, loss).max()


def test_positrons_exchange_the_channels():
    # With mu_e = 0 there are as many positrons as electrons, so I and II agree.
    first_i, _, first_ii, _ = kernels(6.0, 0.0, G)
    np.testing.assert_allclose(first_i, first_ii, rtol=1e-12)


def test_cold_and_dilute_matter_scatters_nothing():
    rates = [kernels(t, 0.4, G)[0][0, 0].sum(axis=1).max() for t in (0.2, 0.05, 0.02, 0.01, 1e-3, 1e-4)]
    assert np.isfinite(rates).all()
    assert (np.diff(rates) < 0.0).all()
    # 1e-20 cm^-1 is one scattering in a thousand light days.
    assert rates[-2] < 1e-20


@pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")
def test_kernels_of_nulib(sample_data):
    # NuLib has electrons only: compare where positrons are few.
    h5py = pytest.importorskip("h5py")
    files = sorted((sample_data / "nulib").glob("*.h5"))
    if not files:
        pytest.skip("no NuLib table among the sample data")
    with h5py.File(files[0]) as file:
        temperatures, degeneracies = file["temp_Ipoints"][...], file["eta_Ipoints"][...]
        edge = np.append(file["bin_bottom"][...], file["bin_top"][-1])
        zero, one = file["inelastic_phi0"][...], file["inelastic_phi1"][...]
    grid = EnergyGrid.from_edges(edge)
    i, j = 5, 4
    temperature, eta = temperatures[i], degeneracies[j]
    assert eta > 5.0
    first_i, _, first_ii, _ = kernels(temperature, eta * temperature, grid)
    unit = PHASE_SPACE / SPEED_OF_LIGHT * grid.weight
    for species, left, right in ((0, 1.46, 0.46), (1, 0.46, 1.46)):
        mine = left**2 * first_i[0] + right**2 * first_ii[0]
        lower = np.tril_indices(grid.size)
        theirs = (zero[:, species, :, j, i].T * unit)[lower]
        np.testing.assert_allclose(mine[0][lower], theirs, rtol=7e-3)
        theirs_1 = (one[:, species, :, j, i].T * unit)[lower]
        np.testing.assert_allclose(mine[1][lower], theirs_1, atol=5e-3 * theirs.max(), rtol=1e-2)
