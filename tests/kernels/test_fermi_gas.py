"""Electrons with positrons, and nucleons, against quadrature and the known limits."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import kn

from misci_transport.constants import ELECTRON_MASS, HBAR_C, NUCLEON_MASS
from misci_transport.kernels.fermi_gas import electron_chemical_potential, net_electron_density, nucleon_degeneracy


def occupation(x):
    return np.exp(-x) / (1.0 + np.exp(-x)) if x > 0.0 else 1.0 / (1.0 + np.exp(x))


@pytest.mark.parametrize(
    ("density", "temperature"), [(1e26, 0.02), (3e30, 0.3), (1e33, 1.0), (1e34, 9.7), (3e37, 13.7), (1e36, 80.0)]
)
def test_density_at_the_solution_by_adaptive_quadrature(density, temperature):
    mu = electron_chemical_potential(density, temperature)

    def integrand(p):
        energy = np.hypot(p, ELECTRON_MASS)
        return p * p * (occupation((energy - mu) / temperature) - occupation((energy + mu) / temperature))

    step = np.sqrt(max(mu**2 - ELECTRON_MASS**2, 0.0))
    edges = sorted({0.0, max(step - 8 * temperature, 0.0), step, step + 8 * temperature, step + 60 * temperature + 3.0})
    total = sum(quad(integrand, a, b, epsabs=0.0, epsrel=1e-12, limit=400)[0] for a, b in pairwise(edges))
    assert total / (np.pi**2 * HBAR_C**3) == pytest.approx(density, rel=1e-9)


def test_cold_limit():
    for density in (1e28, 1e31, 1e37):
        fermi_momentum = HBAR_C * (3.0 * np.pi**2 * density) ** (1.0 / 3.0)
        mu = electron_chemical_potential(density, 1e-4)
        assert mu == pytest.approx(np.hypot(fermi_momentum, ELECTRON_MASS), rel=1e-5)


def test_hot_limit_is_the_massless_cubic():
    # n = (mu^3 + pi^2 T^2 mu)/(3 pi^2) up to the order (m/T)^2.
    density, temperature = 1e36, 100.0
    mu = electron_chemical_potential(density, temperature)
    massless = (mu**3 + (np.pi * temperature) ** 2 * mu) / (3.0 * np.pi**2 * HBAR_C**3)
    assert massless == pytest.approx(density, rel=2e-5)


def test_dilute_limit_is_the_classical_gas():
    # n = (2/pi^2) m^2 T K_2(m/T) sinh(mu/T)
    density, temperature = 1e22, 0.1
    mu = electron_chemical_potential(density, temperature)
    bessel = kn(2, ELECTRON_MASS / temperature)
    number = 2.0 * ELECTRON_MASS**2 * temperature * bessel * np.sinh(mu / temperature) / (np.pi**2 * HBAR_C**3)
    # The first quantum correction is exp(-(m - mu)/T) / 2^(3/2).
    assert number == pytest.approx(density, rel=np.exp((mu - ELECTRON_MASS) / temperature))


def test_a_net_charge_far_below_the_pairs_is_not_lost():
    density, temperature = 3e11, 100.0
    mu = electron_chemical_potential(density, temperature)
    assert 0.0 < mu < 1e-20
    assert mu == pytest.approx(3.0 * density * HBAR_C**3 / temperature**2, rel=1e-4)


@given(
    log_density=st.floats(np.log(1e10), np.log(1e39)),
    log_temperature=st.floats(np.log(1e-4), np.log(100.0)),
)
def test_solution_everywhere(log_density, log_temperature):
    density, temperature = np.exp(log_density), np.exp(log_temperature)
    mu = electron_chemical_potential(density, temperature)
    number, slope = net_electron_density(mu, temperature)
    assert abs(number - density) / slope <= 1e-9 * mu
    assert electron_chemical_potential(1.01 * density, temperature) > mu


def test_density_slope_is_the_derivative():
    for mu, temperature in ((0.3, 0.05), (5.0, 2.0), (50.0, 1.0)):
        step = 1e-5 * temperature
        up, down = (net_electron_density(mu + s, temperature)[0] for s in (step, -step))
        assert (up - down) / (2 * step) == pytest.approx(net_electron_density(mu, temperature)[1], rel=1e-7)


def test_no_electrons():
    assert electron_chemical_potential(0.0, 1.0) == 0.0


@pytest.mark.parametrize("eta", [-20.0, -3.0, 0.0, 2.5, 30.0, 400.0])
def test_nucleon_degeneracy_inverts_the_fermi_integral(eta):
    temperature = 7.0
    edges = sorted({0.0, *(max(eta + s, 0.0) for s in (-40.0, -10.0, 0.0, 10.0, 60.0))} | {5.0})
    pieces = [
        quad(lambda x: np.sqrt(x) * occupation(x - eta), a, b, epsabs=0.0, epsrel=1e-12, limit=300)[0]
        for a, b in pairwise(edges)
    ]
    density = (2.0 * NUCLEON_MASS * temperature) ** 1.5 / (2.0 * np.pi**2 * HBAR_C**3) * sum(pieces)
    assert nucleon_degeneracy(density, temperature) == pytest.approx(eta, abs=1e-8 * max(1.0, abs(eta)))
