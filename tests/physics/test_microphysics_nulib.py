"""NuLib tables: a written one with known contents, and a genuine one."""

import numpy as np
import pytest

from misci_transport.constants import ERG_PER_MEV, HBAR_C, PHASE_SPACE, SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.errors import TableError
from misci_transport.fluid import Fluid
from misci_transport.kernels.electron_scattering import electron_scattering
from misci_transport.kernels.pair_process import pair_process
from misci_transport.physics.microphysics.builtin import BuiltinOptions, builtin_rates
from misci_transport.physics.microphysics.nulib import NuLibTable

# Debian's h5py 3.7 with NumPy 1.26.
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")

EDGE = np.array([0.0, 4.0, 9.0, 16.0, 28.0, 50.0])
GRID = EnergyGrid.from_edges(EDGE)
DENSITY = np.geomspace(1e8, 1e14, 4)
TEMPERATURE = np.geomspace(0.5, 40.0, 5)
FRACTION = np.array([0.05, 0.2, 0.5])
KERNEL_TEMPERATURE = np.geomspace(0.5, 40.0, 4)
KERNEL_DEGENERACY = np.geomspace(0.1, 50.0, 5)
LEFT, RIGHT = np.array([1.46, 0.46, -0.54]), np.array([0.46, 1.46, 0.46])


def opacity(density, temperature, fraction, species, energy):
    """A power law, which interpolation of logarithms reproduces."""
    return (
        1e-6 * (density / 1e11) * (temperature / 5.0) ** 0.5 * (1 + species) * (energy / 10.0) ** 2 * np.exp(fraction)
    )


def potential(density, temperature, fraction, species):
    """Linear in the interpolated variables."""
    return (3.0 * np.log(density / 1e10) + 2.0 * np.log(temperature) + 4.0 * fraction) * (1.0, -1.0, 0.0)[species]


def contents(kernels=True, delta=False):
    """Datasets in the order of the file: (group, species, Y_e, T, density)."""
    fraction, temperature, density = np.meshgrid(FRACTION, TEMPERATURE, DENSITY, indexing="ij")
    shape = (GRID.size, 3, *density.shape)
    absorption, emissivity, scattering = np.empty(shape), np.empty(shape), np.empty(shape)
    for species in range(3):
        for g, energy in enumerate(GRID.center):
            kappa = opacity(density, temperature, fraction, species, energy)
            x = (energy - potential(density, temperature, fraction, species)) / temperature
            black = energy**3 * SPEED_OF_LIGHT / (2 * np.pi * HBAR_C) ** 3 * ERG_PER_MEV / (np.exp(x) + 1)
            absorption[g, species] = kappa
            emissivity[g, species] = kappa * black * (4.0 if species == 2 else 1.0)
            scattering[g, species] = 0.3 * kappa
    data = {
        "rho_points": DENSITY,
        "temp_points": TEMPERATURE,
        "ye_points": FRACTION,
        "neutrino_energies": GRID.center,
        "bin_bottom": EDGE[:-1],
        "bin_top": EDGE[1:],
        "emissivities": emissivity,
        "absorption_opacity": absorption,
        "scattering_opacity": scattering,
        "number_species": np.array([3]),
    }
    if delta:
        data["scattering_delta"] = np.full(shape, -0.12)
    if kernels:
        data["temp_Ipoints"], data["eta_Ipoints"] = KERNEL_TEMPERATURE, KERNEL_DEGENERACY
        unit = PHASE_SPACE / SPEED_OF_LIGHT * GRID.weight
        inelastic = np.zeros((2, GRID.size, 3, GRID.size, KERNEL_DEGENERACY.size, KERNEL_TEMPERATURE.size))
        pair = np.zeros((2, 2, *inelastic.shape[1:]))
        for i, t in enumerate(KERNEL_TEMPERATURE):
            for j, eta in enumerate(KERNEL_DEGENERACY):
                arrays = np.empty((8, 1, 2, GRID.size, GRID.size))
                matter = (np.array([t]), np.array([eta * t]), GRID.center, GRID.weight)
                electron_scattering(*matter, *arrays[:4])
                pair_process(*matter, *arrays[4:])
                for s in range(3):
                    out = (LEFT[s] ** 2 * arrays[0] + RIGHT[s] ** 2 * arrays[2])[0] / unit
                    # The file holds down-scattering only; what stands above the diagonal is not to be used.
                    inelastic[:, :, s, :, j, i] = np.swapaxes(np.tril(out), -1, -2)
                    annihilation = (LEFT[s] ** 2 * arrays[5] + RIGHT[s] ** 2 * arrays[7])[0] / unit
                    pair[:, 1, :, s, :, j, i] = np.swapaxes(annihilation, -1, -2)
        data["inelastic_phi0"], data["inelastic_phi1"] = inelastic
        data["epannihil_phi0"], data["epannihil_phi1"] = pair
    return data


def write(path, data):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[name] = values
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return NuLibTable.open(write(tmp_path_factory.mktemp("nulib") / "table.h5", contents()))


def matter(density, temperature, fraction, **given):
    arrays = [np.atleast_1d(np.asarray(values, dtype=float)) for values in (density, temperature, fraction)]
    return Fluid(*arrays, np.zeros_like(arrays[0]), **given)


def test_energy_grid(table):
    grid = table.energy_grid()
    np.testing.assert_allclose(grid.edge, EDGE)
    np.testing.assert_allclose(grid.center, GRID.center)


def test_power_laws_are_interpolated_exactly(table):
    density, temperature, fraction = np.array([3e9, 2e13]), np.array([1.7, 21.0]), np.array([0.11, 0.43])
    rates = table.rates(matter(density, temperature, fraction), GRID)
    columns = (density[:, None], temperature[:, None], fraction[:, None])
    for species in (0, 1):
        for flavour in range(3):
            index = species if flavour == 0 else 2
            kappa = opacity(*columns, index, GRID.center)
            x = (GRID.center - potential(*columns, index)) / temperature[:, None]
            j = rates.emissivity[:, species, flavour]
            np.testing.assert_allclose(j + rates.absorption[:, species, flavour], kappa, rtol=1e-11)
            # Kirchhoff's law holds at the fluid's temperature, between the points of the table.
            np.testing.assert_allclose(j, kappa / (np.exp(x) + 1), rtol=1e-8)
        np.testing.assert_allclose(rates.scattering_0[:, species], 0.3 * opacity(*columns, species, GRID.center))
    assert (rates.scattering_1 == 0.0).all()


def test_asymmetry_of_scattering(tmp_path):
    table = NuLibTable.open(write(tmp_path / "delta.h5", contents(kernels=False, delta=True)))
    rates = table.rates(matter(1e10, 3.0, 0.3), GRID)
    # A kernel in proportion to 1 + delta x has the first moment delta/3.
    np.testing.assert_allclose(rates.scattering_1, -0.04 * rates.scattering_0, rtol=1e-12)
    assert rates.coupling == []


def test_kernels_at_a_point_of_the_table(table):
    t, eta = KERNEL_TEMPERATURE[2], KERNEL_DEGENERACY[3]
    fluid = matter(1e10, t, 0.3, electron_chemical_potential=np.array([eta * t]))
    couplings = {c.name: c for c in table.rates(fluid, GRID).coupling}
    assert list(couplings) == [*(f"nulib_inelastic_{s}" for s in range(3)), "nulib_pair_0", "nulib_pair_2"]
    arrays = np.empty((8, 1, 2, GRID.size, GRID.size))
    data = (np.array([t]), np.array([eta * t]), GRID.center, GRID.weight)
    electron_scattering(*data, *arrays[:4])
    pair_process(*data, *arrays[4:])
    for s in range(3):
        coupling = couplings[f"nulib_inelastic_{s}"]
        assert coupling.kind == "scattering"
        for got, a in ((coupling.first, 0), (coupling.second, 1)):
            expected = LEFT[s] ** 2 * arrays[a] + RIGHT[s] ** 2 * arrays[a + 2]
            np.testing.assert_allclose(got, expected, rtol=1e-9)
    for s in (0, 2):
        coupling = couplings[f"nulib_pair_{s}"]
        assert coupling.kind == "pair"
        for got, a in ((coupling.first, 4), (coupling.second, 5)):
            expected = LEFT[s] ** 2 * arrays[a] + RIGHT[s] ** 2 * arrays[a + 2]
            np.testing.assert_allclose(got, expected, rtol=1e-9)
    np.testing.assert_array_equal(couplings["nulib_inelastic_2"].amplitude, [[0, 1, 1], [0, 1, 1]])
    np.testing.assert_array_equal(couplings["nulib_inelastic_1"].amplitude, [[0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(couplings["nulib_pair_0"].amplitude, [[1, 0, 0], [1, 0, 0]])


def test_kernels_between_the_points_conserve_number_and_balance(table):
    fluid = matter(np.array([1e9, 3e12]), np.array([2.3, 11.0]), 0.2 * np.ones(2))
    temperature = fluid.temperature[:, None, None]
    for coupling in table.rates(fluid, GRID).coupling:
        first, second = coupling.first[:, 0], coupling.second[:, 0]
        if coupling.kind == "scattering":
            left = GRID.weight[:, None] * first
            np.testing.assert_allclose(left, np.swapaxes(GRID.weight[:, None] * second, -1, -2), rtol=1e-12)
            exponent = GRID.center[:, None] - GRID.center
        else:
            exponent = -(GRID.center[:, None] + GRID.center)
            first, second = second, first
            np.testing.assert_allclose(second / first, np.exp(exponent / temperature), rtol=1e-10)
            continue
        np.testing.assert_allclose(second / first, np.exp(-exponent / temperature), rtol=1e-10)


@pytest.mark.parametrize(
    ("density", "temperature", "fraction", "message"),
    [
        (1e7, 3.0, 0.3, r"mass_density in cell 8 is 1e\+07 g/cc; NuLib table .* covers \[1e\+08, 1e\+14\]"),
        (1e9, 0.4, 0.3, r"temperature in cell 8 is 0.4 MeV; NuLib table .* covers \[0.5, 40\]"),
        (1e9, 41.0, 0.3, r"temperature in cell 8 is 41 MeV"),
        (1e9, 3.0, 0.6, r"electron_fraction in cell 8 is 0.6; NuLib table .* covers \[0.05, 0.5\]"),
    ],
)
def test_cells_outside_the_table(table, density, temperature, fraction, message):
    fluid = matter([1e9, density], [3.0, temperature], [0.3, fraction])
    with pytest.raises(TableError, match=message):
        table.rates(fluid, GRID, numbers=np.arange(7, 7 + fluid.size))


def test_degeneracy_outside_the_table(table):
    fluid = matter(1e9, 3.0, 0.3, electron_chemical_potential=np.array([200.0]))
    with pytest.raises(TableError, match=r"mu_e / temperature in cell 0 is 66.6667; NuLib table .* covers \[0.1, 50\]"):
        table.rates(fluid, GRID)


def test_foreign_energy_groups(table):
    with pytest.raises(
        TableError, match=r"4 energy groups .* are not those of NuLib table .*: 5 groups, 0 \.\.\. 50 MeV"
    ):
        table.rates(matter(1e9, 3.0, 0.3), EnergyGrid.logarithmic(1.0, 50.0, 4))


def test_broken_files(tmp_path):
    with pytest.raises(TableError, match="cannot be read"):
        NuLibTable.open(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("no table")
    with pytest.raises(TableError, match="cannot be read"):
        NuLibTable.open(tmp_path / "text.h5")
    data = contents(kernels=False)
    del data["ye_points"]
    with pytest.raises(TableError, match="has no dataset ye_points"):
        NuLibTable.open(write(tmp_path / "a.h5", data))
    data = contents(kernels=False)
    for name in ("emissivities", "absorption_opacity", "scattering_opacity"):
        data[name] = data[name][:, :2]
    with pytest.raises(TableError, match="has 2 species; accepted: 3, 4, 6"):
        NuLibTable.open(write(tmp_path / "b.h5", data))
    data = contents(kernels=False)
    data["absorption_opacity"] = data["absorption_opacity"][..., :-1]
    with pytest.raises(TableError, match="absorption_opacity has shape"):
        NuLibTable.open(write(tmp_path / "c.h5", data))
    data = contents(kernels=False)
    data["temp_points"] = data["temp_points"][::-1]
    with pytest.raises(TableError, match="temp_points is not an increasing sequence"):
        NuLibTable.open(write(tmp_path / "d.h5", data))


@pytest.fixture(scope="module")
def genuine(sample_data):
    files = sorted((sample_data / "nulib").glob("*.h5"))
    if not files:
        pytest.skip("no NuLib table among the sample data")
    return NuLibTable.open(files[0])


def test_genuine_table_against_the_builtin_charged_current(genuine):
    # The table was made from a gas of n and p with weak magnetism; NuLib counts baryons and g_A slightly differently.
    fraction = genuine.electron_fraction[3]
    one = np.ones(1)
    density, temperature = genuine.density[8] * one, genuine.temperature[6] * one
    protons = fraction * one
    fluid = Fluid(density, temperature, protons, 0 * one, 1 - protons, protons, 0 * one, 0 * one, 56 * one, 26 * one)
    grid = genuine.energy_grid()
    options = BuiltinOptions(weak_magnetism=True, nucleon_potential=False)
    mine = builtin_rates(fluid, grid, options)
    theirs = genuine.rates(fluid, grid)
    for species in (0, 1):
        above = grid.center > 2.5
        ratio = (theirs.emissivity + theirs.absorption)[0, species, 0] / np.maximum(
            (mine.emissivity + mine.absorption)[0, species, 0], 1e-300
        )
        np.testing.assert_allclose(ratio[above], 0.982, atol=0.01)
    soft = grid.center < 10.0
    transport = (mine.scattering_0 - mine.scattering_1)[0]
    np.testing.assert_allclose((theirs.scattering_0[0] / transport)[:, soft], 0.95, atol=0.05)


def test_genuine_table_between_its_points(genuine):
    fluid = matter(np.geomspace(2e6, 1e15, 9), np.geomspace(0.06, 60.0, 9), np.linspace(0.05, 0.5, 9))
    # The kernels end at mu_e = 100 T.
    fluid.electron_chemical_potential = np.minimum(50.0, 20.0 * fluid.temperature)
    rates = genuine.rates(fluid, genuine.energy_grid())
    for values in (rates.emissivity, rates.absorption, rates.scattering_0):
        assert np.isfinite(values).all()
        assert (values >= 0.0).all()
    # Heavy-lepton neutrinos have no chemical potential.
    center = genuine.energy_grid().center
    some = (rates.emissivity[:, 0, 1] > 1e-25) & (rates.absorption[:, 0, 1] > 1e-25)
    x = np.log(rates.absorption[:, 0, 1][some] / rates.emissivity[:, 0, 1][some])
    np.testing.assert_allclose(x, (center / fluid.temperature[:, None])[some], atol=1e-3)
    assert len(rates.coupling) == 3
