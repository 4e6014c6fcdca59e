"""Luminosities, energies and spectra of fields that are known."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.constants import ERG_PER_MEV, HBAR_C, SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.grid import RadialMesh
from misci_transport.physics.boundary import Boundary
from misci_transport.physics.radiation import radiation_fields
from misci_transport.quadrature import AngularGrid
from misci_transport.verify.setup import Case

TEMPERATURE = 4.0
ENERGY = EnergyGrid.logarithmic(0.05, 250.0, 60)


def fields(case):
    found = radiation_fields(
        case.phase_space, case.decomposition, case.advection, case.collisions, case.state.populations, case.frame
    )
    return {field.name: field for field in found}


def values(case):
    return {name: field.values for name, field in fields(case).items()}


def thermal(geometry="spherical", boundary=None, n_flavors=3):
    """Fermi-Dirac occupation without chemical potential, the same in all directions."""
    mesh = RadialMesh.uniform(0.0, 1.0e6, 6, geometry)
    case = Case(mesh, AngularGrid.ordinates(mesh, 4), energy=ENERGY, boundary=boundary, n_flavors=n_flavors)
    case.state.owned[:] = (1.0 / (np.exp(np.minimum(ENERGY.center / TEMPERATURE, 700.0)) + 1.0))[:, None]
    return case


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_densities_of_a_thermal_field(n_flavors):
    """n = 3 zeta(3)/(4 pi^2) (T/hbar c)^3, energy density = 7 pi^2/240 T (T/hbar c)^3 for one species and flavour."""
    found = values(thermal(n_flavors=n_flavors))
    cube = (TEMPERATURE / HBAR_C) ** 3
    number = 0.75 * 1.2020569031595942 / np.pi**2 * cube
    energy = 7.0 * np.pi**2 / 240.0 * TEMPERATURE * cube
    np.testing.assert_allclose(found["radiation/number_density"], number, rtol=1e-6)
    np.testing.assert_allclose(found["radiation/energy_density"], ERG_PER_MEV * energy, rtol=1e-6)
    np.testing.assert_allclose(found["radiation/mean_energy"], energy / number, rtol=1e-6)
    # sqrt(F_4(0)/F_2(0)) = 3.5970... temperatures
    np.testing.assert_allclose(found["radiation/rms_energy"], 3.59714 * TEMPERATURE, rtol=1e-5)
    np.testing.assert_allclose(found["radiation/flux_factor"], 0.0, atol=1e-14)


def test_luminosity_of_a_black_surface():
    """L = 4 pi R^2 c/4 energy density: free outflow of an isotropic interior."""
    case = thermal()
    found = values(case)
    radius = case.mesh.face[-1]
    density = 7.0 * np.pi**2 / 240.0 * TEMPERATURE * (TEMPERATURE / HBAR_C) ** 3 * ERG_PER_MEV
    expected = 4.0 * np.pi * radius**2 * SPEED_OF_LIGHT / 4.0 * density
    np.testing.assert_allclose(found["radiation/luminosity"][-1], expected, rtol=1e-5)
    # nothing comes in, and inside as much goes out as in
    np.testing.assert_allclose(found["radiation/luminosity"][1:-1], 0.0, atol=1e-12 * expected)


def test_spectra_add_up():
    case = thermal()
    found = values(case)
    spectrum, step = found["radiation/number_spectrum"], ENERGY.weight / ENERGY.center**2
    np.testing.assert_allclose((spectrum * step).sum(axis=-1)[-1], found["radiation/number_luminosity"][-1], rtol=1e-12)
    energy = (spectrum * step * ENERGY.center).sum(axis=-1) * ERG_PER_MEV
    np.testing.assert_allclose(energy[-1], found["radiation/luminosity"][-1], rtol=1e-12)
    # as many in the levels as in the flavours
    levels = found["mixing/level_number_luminosity"]
    np.testing.assert_allclose(levels.sum(axis=2)[-1], spectrum.sum(axis=2)[-1], rtol=1e-12)


def test_luminosity_of_rays_does_not_change_on_the_way():
    mesh = RadialMesh(np.geomspace(1.0e6, 1.0e9, 25))
    grid = AngularGrid.hybrid(mesh, 1.2e6, inward=3, grazing=2, forward=5, opening_cosine=0.3)
    entering = np.zeros((grid.size, 2, 3, 3))
    entering[grid.direction_cosine[0] > 0.3] = 0.4
    case = Case(
        mesh, grid, energy=EnergyGrid.logarithmic(5.0, 30.0, 3), boundary=Boundary("inflow", "inflow", entering)
    )
    case.steady(1e-13)
    found = values(case)
    luminosity = found["radiation/luminosity"]
    assert (luminosity > 0.0).all()
    np.testing.assert_allclose(luminosity, np.broadcast_to(luminosity[-1], luminosity.shape), rtol=1e-11)
    # far away all of it moves outwards
    assert (np.diff(found["radiation/flux_factor"][:, 0, 0]) > 0.0).all()
    np.testing.assert_allclose(found["radiation/flux_factor"][-1], 1.0, rtol=1e-4)
    np.testing.assert_allclose(found["radiation/rms_energy"][-1], found["radiation/rms_energy"][0], rtol=1e-12)


def test_an_empty_field_has_no_energy_and_is_no_division_by_zero():
    case = thermal()
    case.state.owned[:] = 0.0
    found = fields(case)
    for name, field in found.items():
        assert not field.values.any(), name
        assert field.unit
        assert field.description
        assert field.values.ndim == len(field.axes)
    assert [field.placement for name, field in found.items() if name == "radiation/luminosity"] == ["face"]


def test_heavy_levels_of_locked_cells_are_shared_between_flavors():
    case = thermal()
    case.state.owned[..., 0] *= 0.5
    found = values(case)["radiation/number_density"]
    np.testing.assert_allclose(found[..., 1], found[..., 2])
    np.testing.assert_allclose(found[..., 1], 0.75 * found[..., 0])
    two = thermal(n_flavors=2)
    two.state.owned[..., 2] *= 0.5  # with two flavours the third level is a flavour by itself
    found = values(two)["radiation/number_density"]
    np.testing.assert_allclose(found[..., 2], 0.5 * found[..., 1])


def test_plane_symmetry_counts_per_area():
    case = thermal("plane")
    found = values(case)["radiation/luminosity"]
    density = 7.0 * np.pi**2 / 240.0 * TEMPERATURE * (TEMPERATURE / HBAR_C) ** 3 * ERG_PER_MEV
    np.testing.assert_allclose(found[-1], SPEED_OF_LIGHT / 4.0 * density, rtol=1e-5)


def test_occupations_are_means_over_directions():
    case = thermal()
    case.state.owned[:] *= (1.0 + 0.5 * case.angles.direction_cosine)[:, :, None, None, None]
    found = values(case)
    expected = 1.0 / (np.exp(ENERGY.center / TEMPERATURE) + 1.0)
    np.testing.assert_allclose(found["radiation/mean_occupation"], np.broadcast_to(expected, (6, 2, 3, 60)), rtol=1e-12)
    # H/J of 1 + mu/2
    np.testing.assert_allclose(found["radiation/flux_factor"], 0.5 / 3.0, rtol=1e-12)
