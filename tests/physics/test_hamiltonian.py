"""Vacuum term and matter potential in cm^-1."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.constants import FERMI_POTENTIAL, HBAR_C
from misci_transport.energy import EnergyGrid
from misci_transport.errors import ConfigurationError
from misci_transport.flavor import MixingParameters
from misci_transport.fluid import Fluid
from misci_transport.physics.hamiltonian import Hamiltonian, matter_beta, matter_potential, vacuum_hamiltonian


@pytest.fixture
def fluid():
    return Fluid(
        mass_density=np.array([1e10, 2e3]),
        temperature=np.array([1.0, 0.1]),
        electron_fraction=np.array([0.4, 0.5]),
        velocity=np.array([-2.99792458e9, 0.0]),
    )


def test_coupling():
    """Sqrt 2 G_F n of 1e33 cm^-3 is about 0.13 meV, 6.4 cm^-1 (theory: units)."""
    wave_number = FERMI_POTENTIAL * 1e33
    assert wave_number == pytest.approx(6.4, rel=0.01)
    assert wave_number * HBAR_C * 1e9 == pytest.approx(0.127, rel=0.01)  # meV


def test_matter_potential(fluid):
    """V = 7.6e-14 eV (Y_e mass_density / g cm^-3): a textbook number."""
    electron_volts = matter_potential(fluid) * HBAR_C * 1e6
    np.testing.assert_allclose(electron_volts, 7.63e-14 * np.array([4e9, 1e3]), rtol=2e-3)
    np.testing.assert_allclose(matter_beta(fluid), [-0.1, 0.0])


@pytest.mark.parametrize("n", [2, 3])
def test_oscillation_length(n):
    """L = 2.48 km (E / GeV) / (dm2 / eV^2) = 2 pi / splitting."""
    energy = EnergyGrid.logarithmic(1.0, 100.0, 5)
    mixing = MixingParameters.two_flavor(0.1, 2.5e-3)
    packed = vacuum_hamiltonian(mixing, energy, n)
    assert packed.shape == (5, n * n)
    np.testing.assert_allclose(packed[:, :n].sum(axis=1), 0.0, atol=1e-20)
    coupling = packed[:, 2] if n == 2 else packed[:, 5]
    splitting = 2.0 * coupling / np.sin(0.2)
    np.testing.assert_allclose(2 * np.pi / splitting, 2.480e5 * energy.center / 1e3 / 2.5e-3, rtol=1e-3)


def test_resonance_density():
    """The heavy resonance of 10 MeV neutrinos sits at a few 1e3 g cm^-3 with Y_e = 0.5."""
    energy = EnergyGrid.single(10.0)
    mixing = MixingParameters.global_fit()
    packed = Hamiltonian.build(mixing, energy, 2).vacuum[0]
    gap = packed[1] - packed[0]
    density = gap / (FERMI_POTENTIAL * 0.5 / 1.66053906660e-24)
    assert 1e3 < density < 5e3


def test_switches(fluid):
    energy = EnergyGrid.single(10.0)
    full = Hamiltonian.build(MixingParameters.global_fit(), energy, 3)
    assert full.strength == FERMI_POTENTIAL
    np.testing.assert_array_equal(full.matter_potential(fluid), matter_potential(fluid))
    bare = Hamiltonian.build(MixingParameters.global_fit(), energy, 3, self_interaction=False, matter=False)
    assert bare.strength == 0.0
    assert bare.matter_potential(fluid).tolist() == [0.0, 0.0]
    with pytest.raises(ConfigurationError, match="accepted: 2 or 3"):
        Hamiltonian.build(MixingParameters.global_fit(), energy, 5)
