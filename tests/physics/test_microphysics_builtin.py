"""The built-in rates on matter of model G15, and the equation of state behind them."""

import numpy as np
import pytest

from misci_transport.constants import ATOMIC_MASS_UNIT, ERG_PER_MEV, PHASE_SPACE, SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.errors import UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.physics.microphysics.builtin import BuiltinOptions, builtin_rates, electron_couplings
from misci_transport.physics.microphysics.equation_of_state import (
    complete,
    electron_chemical_potential,
    neutrino_chemical_potential,
)

# Zones 24, 35, 50 and 1 of the Agile-Boltztran table of model G15 at 98.1 ms (Liebendoerfer et al. 2005):
# g/cc, MeV, Y_e, X_n, X_p, X_alpha.
G15 = np.array(
    [
        [2.858e12, 9.681, 0.1166, 0.8828, 0.1158, 1.4e-3],
        [2.411e11, 4.815, 0.1260, 0.8738, 0.1255, 7.0e-4],
        [6.124e9, 2.477, 0.3362, 0.6636, 0.3362, 2.0e-4],
        [3.729e14, 13.68, 0.2846, 0.7154, 0.2845, 1.0e-4],
    ]
)


def g15_matter() -> Fluid:
    density, temperature, electron_fraction, neutrons, protons, alphas = G15.T
    zero = np.zeros(4)
    return Fluid(density, temperature, electron_fraction, zero, neutrons, protons, alphas, zero, zero + 4.0, zero + 1.8)


def matter(density, temperature, electron_fraction, **given) -> Fluid:
    one = np.ones(np.broadcast(density, temperature, electron_fraction).shape or 1)
    return Fluid(one * density, one * temperature, one * electron_fraction, 0.0 * one, **given)


def test_chemical_potentials_of_g15():
    fluid = complete(g15_matter())
    np.testing.assert_allclose(fluid.electron_chemical_potential[:3], [27.32, 11.52, 3.79], atol=0.005)
    # Beta equilibrium at the centre: 168.1 MeV follow from the table's own Y_nue.
    mu_nu = neutrino_chemical_potential(fluid)
    np.testing.assert_allclose(mu_nu[:3], [5.48, 0.80, 0.81], atol=0.005)
    assert mu_nu[3] == pytest.approx(168.8, abs=0.05)


def test_opacities_of_g15_at_10_and_20_mev():
    rates = builtin_rates(g15_matter(), EnergyGrid.logarithmic(10.0, 20.0, 2))
    corrected = (rates.emissivity + rates.absorption)[:3]
    transport = (rates.scattering_0 - rates.scattering_1)[:3]
    electron = [[4.845e-6, 2.821e-5], [8.776e-7, 5.016e-6], [2.961e-8, 1.078e-7]]
    anti = [[1.550e-6, 6.489e-6], [1.431e-7, 6.139e-7], [9.174e-9, 4.215e-8]]
    scattering = [[4.201e-6, 1.680e-5], [3.586e-7, 1.434e-6], [8.915e-9, 3.566e-8]]
    np.testing.assert_allclose(corrected[:, 0, 0], electron, rtol=6e-4)
    np.testing.assert_allclose(corrected[:, 1, 0], anti, rtol=6e-4)
    np.testing.assert_allclose(transport[:, 0], scattering, rtol=6e-4)
    np.testing.assert_array_equal(transport[:, 0], transport[:, 1])


def test_detailed_balance_of_emission():
    energy = EnergyGrid.logarithmic(2.0, 150.0, 10)
    fluid = complete(g15_matter())
    rates = builtin_rates(fluid, energy)
    mu = neutrino_chemical_potential(fluid)[:, None]
    for species, sign in ((0, 1.0), (1, -1.0)):
        exponent = -(energy.center - sign * mu) / fluid.temperature[:, None]
        some = rates.absorption[:, species, 0] > 0.0
        ratio = rates.emissivity[:, species, 0][some] / rates.absorption[:, species, 0][some]
        np.testing.assert_allclose(ratio, np.exp(exponent)[some], rtol=1e-10)


def test_only_electron_neutrinos_feel_the_charged_current():
    rates = builtin_rates(g15_matter(), EnergyGrid.logarithmic(5.0, 50.0, 4))
    assert (rates.emissivity[:, :, 1:] == 0.0).all()
    assert (rates.absorption[:, :, 1:] == 0.0).all()


def test_switches():
    energy = EnergyGrid.logarithmic(5.0, 50.0, 4)
    names = ("charged_current", "nucleon_scattering", "nucleus_scattering", "electron_scattering", "pair")
    off = dict.fromkeys((*names, "bremsstrahlung"), False)
    nothing = builtin_rates(g15_matter(), energy, BuiltinOptions(**off))
    for values in (nothing.emissivity, nothing.absorption, nothing.scattering_0, nothing.scattering_1):
        assert (values == 0.0).all()
    assert nothing.coupling == []
    everything = builtin_rates(g15_matter(), energy)
    assert [(c.name, c.kind) for c in everything.coupling] == [
        ("electron_scattering_I", "scattering"),
        ("electron_scattering_II", "scattering"),
        ("pair_I", "pair"),
        ("pair_II", "pair"),
        ("bremsstrahlung", "pair"),
    ]
    alone = builtin_rates(g15_matter(), energy, BuiltinOptions(**{**off, "bremsstrahlung": True}))
    np.testing.assert_array_equal(alone.coupling[0].first, everything.coupling[-1].first)
    weak = builtin_rates(g15_matter(), energy, BuiltinOptions(weak_magnetism=True))
    ratio = weak.absorption[0, :, 0, -1] / everything.absorption[0, :, 0, -1]
    assert ratio[0] > 1.0 > ratio[1]
    bare = complete(g15_matter(), BuiltinOptions(nucleon_potential=False))
    shift = complete(g15_matter()).nucleon_potential_difference - bare.nucleon_potential_difference
    expected = 428.4e-39 * G15[:, 0] / ATOMIC_MASS_UNIT * (G15[:, 3] - G15[:, 4])
    np.testing.assert_allclose(shift, expected, rtol=1e-6)
    assert 38.0 < shift[3] < 42.0


def test_amplitudes():
    left, right = electron_couplings()
    np.testing.assert_allclose(left, [1.46, -0.54, -0.54])
    np.testing.assert_allclose(right, [0.46, 0.46, 0.46])
    coupling = {c.name: c.amplitude for c in builtin_rates(g15_matter(), EnergyGrid.logarithmic(5.0, 50.0, 3)).coupling}
    np.testing.assert_allclose(coupling["electron_scattering_I"], [left, right])
    np.testing.assert_allclose(coupling["electron_scattering_II"], [right, left])
    np.testing.assert_allclose(coupling["pair_I"], [left, left])
    np.testing.assert_allclose(coupling["pair_II"], [right, right])
    np.testing.assert_allclose(coupling["bremsstrahlung"], np.ones((2, 3)))


def test_pair_emissivity_of_one_heavy_flavour():
    # 2.088e33 erg/cm^3/s at 10 MeV without net electrons: nu_mu and nubar_mu together.
    energy = EnergyGrid.logarithmic(0.5, 400.0, 48)
    rates = builtin_rates(matter(1e6, 10.0, 0.5, electron_chemical_potential=np.zeros(1)), energy)
    emitted = np.zeros(3)
    for coupling in rates.coupling:
        if not coupling.name.startswith("pair"):
            continue
        kernel = coupling.first[0, 0]
        partner = energy.weight[:, None] * kernel / energy.weight
        energies = energy.weight * energy.center
        total = energies @ kernel.sum(axis=1) + energies @ partner.sum(axis=0)
        emitted += coupling.amplitude[0] ** 2 * total
    emitted *= 2 * PHASE_SPACE * SPEED_OF_LIGHT * ERG_PER_MEV
    np.testing.assert_allclose(emitted[1:], 2.088e33, rtol=1e-3)
    # C_V^2 + C_A^2 of nu_e over that of nu_mu.
    np.testing.assert_allclose(emitted[0] / emitted[1], (0.96**2 + 0.25) / (0.04**2 + 0.25), rtol=1e-9)


def test_everything_is_finite_from_the_void_to_the_centre():
    density, temperature, fraction = (
        a.ravel() for a in np.meshgrid(10.0 ** np.arange(-12, 16, 3.0), 10.0 ** np.arange(-4, 2.1), [0.02, 0.3, 0.5])
    )
    fluid = matter(density, temperature, fraction)
    rates = builtin_rates(fluid, EnergyGrid.logarithmic(1.0, 300.0, 6))
    arrays = [rates.emissivity, rates.absorption, rates.scattering_0, rates.scattering_1]
    for coupling in rates.coupling:
        arrays += [coupling.first, coupling.second]
        assert (coupling.first[:, 0] >= 0.0).all()
        assert (coupling.second[:, 0] >= 0.0).all()
    for values in arrays:
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
    assert (rates.emissivity >= 0.0).all()
    assert (rates.scattering_0 >= np.abs(rates.scattering_1)).all()


def test_given_fields_are_kept():
    fluid = g15_matter()
    fluid.electron_chemical_potential = np.array([1.0, 2.0, 3.0, 4.0])
    filled = complete(fluid)
    np.testing.assert_array_equal(filled.electron_chemical_potential, [1.0, 2.0, 3.0, 4.0])
    assert filled.neutron_fraction is not None
    np.testing.assert_array_equal(filled.neutron_fraction, fluid.neutron_fraction)
    assert fluid.nucleon_potential_difference is None
    filled.validate()


def test_missing_composition_is_filled_in():
    filled = complete(matter(np.array([1e9, 1e9, 1e14]), np.array([0.3, 4.0, 12.0]), 0.45))
    total = filled.neutron_fraction + filled.proton_fraction + filled.alpha_fraction + filled.heavy_fraction
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    assert filled.heavy_fraction[0] > 0.99
    np.testing.assert_allclose(filled.proton_fraction[1], 0.45, rtol=1e-3)


def test_codes_that_round_fractions_to_zero():
    fluid = matter(5e7, 0.57, 0.5)
    one = np.ones(1)
    fluid = Fluid(
        fluid.mass_density,
        fluid.temperature,
        fluid.electron_fraction,
        fluid.velocity,
        0 * one,
        0.06 * one,
        0.01 * one,
        0.93 * one,
        54.2 * one,
        25.1 * one,
    )
    rates = builtin_rates(fluid, EnergyGrid.logarithmic(3.0, 60.0, 5))
    assert np.isfinite(rates.emissivity).all()
    assert (rates.emissivity[0, 0, 0] > 0.0).all()
    # No neutrons: nothing absorbs neutrinos, 1e-20 of all baryons being the floor.
    assert rates.absorption[0, 0, 0].max() < 1e-25


def test_hot_electrons_are_massless():
    mu = electron_chemical_potential(np.array([1e12]), np.array([60.0]), np.array([0.2]))
    density = (mu**3 + (np.pi * 60.0) ** 2 * mu) / (3 * np.pi**2 * 1.973269804e-11**3)
    assert density * ATOMIC_MASS_UNIT / 0.2 == pytest.approx(1e12, rel=1e-4)


def test_bad_fluid_is_named():
    fluid = g15_matter()
    fluid.temperature[2] = -1.0
    with pytest.raises(UnphysicalInputError, match=r"temperature in cell 2 is -1.0; accepted: \(0, 1000\]"):
        builtin_rates(fluid, EnergyGrid.logarithmic(1.0, 300.0, 4))
    with pytest.raises(UnphysicalInputError, match="temperature in cell 102"):
        builtin_rates(fluid, EnergyGrid.logarithmic(1.0, 300.0, 4), numbers=np.arange(100, 100 + fluid.size))
    with pytest.raises(UnphysicalInputError, match="nucleon_potential_difference is missing"):
        neutrino_chemical_potential(g15_matter())


def test_charged_current_of_bns_nurates(sample_data):
    # Emission and absorption at 10.08 MeV along a core, 1e14 to 3e11 g/cc, by another code with its own constants.
    file = sample_data / "bns_nurates_profiles" / "nurates_CCSN" / "nurates_1.008E+01.txt"
    if not file.is_file():
        pytest.skip("no bns_nurates rates among the sample data")
    columns = np.loadtxt(file, skiprows=2)
    columns = columns[columns[:, 2] > 3e11]
    # Zones where that code's composition is n and p alone.
    columns = columns[np.abs(columns[:, 9] + columns[:, 10] - 1.0) < 0.01]
    assert len(columns) > 20
    density, temperature, fraction, mu_e, muhat = columns[:, 2:7].T
    zero = np.zeros(len(columns))
    fluid = Fluid(
        density,
        temperature,
        fraction,
        zero,
        columns[:, 10],
        columns[:, 9],
        zero,
        zero,
        zero + 56.0,
        zero + 26.0,
        mu_e,
        muhat,
    )
    rates = builtin_rates(fluid, EnergyGrid.single(10.079454858851342), BuiltinOptions(weak_magnetism=True))
    emission = rates.emissivity[:, :, 0, 0].T * SPEED_OF_LIGHT / columns[:, [12, 14]].T
    absorption = rates.absorption[:, :, 0, 0].T / columns[:, [13, 15]].T
    # One factor for both species, from g_A and the baryon mass; no trend along the core.
    for ratio in (*emission, *absorption):
        np.testing.assert_allclose(ratio, 1.05, rtol=4e-3)
