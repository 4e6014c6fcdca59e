"""Stars, lines and points of the literature, seen through the same registry; openPMD; files as profile or snapshot."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest
import writers
from misci_adapters import carpetx
from misci_adapters.merger_cuts import read_cut

from misci_transport.config import ProfileSection
from misci_transport.constants import SOLAR_MASS
from misci_transport.errors import ConfigurationError, MissingDependencyError, OutputError, ProfileError
from misci_transport.hosts.convert import profile_of, snapshot_of
from misci_transport.hosts.mapping import UserMap
from misci_transport.hosts.registry import adapters, find_adapter, open_host
from misci_transport.inspect_file import describe_file, to_text
from misci_transport.io.profiles import open_profile
from misci_transport.io.snapshots import open_snapshot
from misci_transport.scene import read_profile

#: Masses in solar masses: of the files' own columns, of the codes' published ones, or of the same matter elsewhere.
STARS = {
    "agile_boltztran_vertex_liebendoerfer2005/AB_G15/*h+100.txt": ("liebendoerfer2005", 1.7612),
    "agile_boltztran_vertex_liebendoerfer2005/VX_G15/*h+100.txt": ("liebendoerfer2005", 1.9882),
    "kepler_progenitors/s15.0": ("kepler", 12.6459),
    "kepler_progenitors/h40z002s0": ("kepler", 2.5195),
    "kepler_progenitors/s20.1d": ("kepler", 15.9346),
    "kepler_progenitors/s15s7b2_short_standarded": ("kepler", 15.0874),
    "gr1d/m1_postbounce_static_background/nsy.short": ("kepler", 1.457766),
    "sedonu/NSY/data_Sherwood_format/douSherw.00120": ("sedonu", 1.457766),
    "sedonu/4timesHigh_1D_withPairBrems.h5": ("sedonu_result", 1.457766),
    "chimera/ChimeraBounce.dat": ("chimera_text", 3.1522),
    "chimera/Chimera009ms.dat": ("chimera_text", 3.1522),
    "chimera/Chimera100ms.dat": ("chimera_text", 3.1524),
    "chimera/chimera_ascii_model.txt": ("chimera_text", 2.3268),
}
LINES = {
    "BNS/1d/*_x_axis.txt": ("a line", 71),
    "BNS/1d/*_z_axis.txt": ("a line", 69),
    "BNS/single_points/*.txt": ("points", 6),
    "CCSN/ccsn_1d.txt": ("a line", 102),
    "CCSN/thermo_points*.txt": ("points", 6),
    "nurates_CCSN/*.txt": ("a line", 102),
    "DD2_*/thermo_points.txt": ("points", 6),
    "DD2_*/thermo_points_with_neutrinos.txt": ("points", 6),
}


@pytest.mark.parametrize("pattern", STARS)
def test_a_genuine_star(pattern, sample_data):
    (path,) = sample_data.glob(pattern)
    name, mass = STARS[pattern]
    assert [adapter.NAME for adapter in adapters() if adapter.sniff(path)] == [name]
    told = describe_file(path)
    assert told["format"] == name
    assert told["total mass [solar masses]"] == pytest.approx(mass, rel=1e-4)
    assert told["missing"] == []
    # what the listing itself says, with four digits of the radii
    listed = told.get("rest mass of the listing [solar masses]")
    assert listed is None or told["total mass [solar masses]"] == pytest.approx(listed, rel=1e-3)


@pytest.mark.parametrize("pattern", LINES)
def test_a_line_has_no_mass(pattern, sample_data):
    (path,) = (sample_data / "bns_nurates_profiles").glob(pattern)
    what, rows = LINES[pattern]
    assert find_adapter(path).NAME == "cuts"
    told = describe_file(path)
    assert (told["geometry"], told["cells"], told["total_mass"], told["missing"]) == (what, rows, None, [])
    assert "not a volume: no mass, no profile and no snapshot" in told["notes"][0]
    assert told["geometry"] in to_text(told)
    with pytest.raises(ProfileError, match=r"without a volume; accepted: cells of a star"):
        open_profile(path)
    with pytest.raises(ProfileError, match=r"without a volume"):
        open_snapshot(path)


def test_a_cut_has_the_same_matter_in_both_readers(sample_data):
    (path,) = (sample_data / "bns_nurates_profiles").glob("BNS/1d/*_x_axis.txt")
    host, cut = open_host(path), read_cut(path)
    assert host.length == 1e5
    np.testing.assert_array_equal(host.field(0, "temperature")[0, 0], cut.temperature)
    fraction = cut.electron_fraction
    ideal = cut.temperature * np.log((1.0 - fraction) / fraction)
    np.testing.assert_allclose(host.field(0, "nucleon_potential_difference")[0, 0], cut.excess + ideal, rtol=1e-12)


CUT = """# a line
#  1: index
#  2: radius (km)
#  3: matter density (g cm^-3)
#  4: temperature (MeV)
#  5: electron fraction (#/baryon)
1 1.0 1e14 10.0 0.1
2 3.0 5e13 9.0 0.2
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CUT.replace("2 3.0", "2 0.5"), r"line 8: column 'radius' is 0.5; accepted: increasing"),
        (CUT.replace("9.0 0.2", "9.0"), r"line 8: 4 columns, expected 5"),
        (CUT.replace("9.0", "nan"), r"line 8: column 'temperature' is 'nan'; accepted: a finite number"),
        (CUT.replace("radius (km)", "radius (furlong)"), r"unit of radius is 'furlong'; accepted: cm, km"),
        (CUT.replace("index", "temperature"), r"two columns have one name"),
        (CUT.replace("#  5: electron", "# electron"), r"no comments that name the columns; accepted: '# 1: NAME"),
    ],
)
def test_defects_of_lines(tmp_path, text, message):
    path = tmp_path / "cut.txt"
    path.write_text(CUT)
    host = open_host(path)
    np.testing.assert_allclose(host.blocks[0].faces[0], [0.0, 2.0, 4.0])
    path.write_text(text)
    with pytest.raises((ProfileError, ConfigurationError), match=message):
        open_host(path, UserMap(file={"format": "cuts"}))


def test_sedonu_result(tmp_path):
    host = open_host(writers.sedonu_result(tmp_path).path)
    moments = host.moments(0)
    assert (moments.energy.shape, moments.flux.shape) == ((3, 2, 1, 1, 8), (3, 2, 3, 1, 1, 8))
    assert (moments.flux[:, :, 0] == 3.0).all()
    np.testing.assert_allclose(moments.group_edges, [0.0, 1.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(host.field(0, "neutrino_heating"), 3e20)


def test_genuine_sedonu_result(sample_data):
    host = open_host(sample_data / "sedonu" / "4timesHigh_1D_withPairBrems.h5")
    moments = host.moments(0)
    with h5py.File(host.path) as file:
        total = file["e_rad(erg|ccm,lab)"][()].T
        edges = file["distribution_frequency_grid(Hz,lab)"][[0, -1]]
    np.testing.assert_allclose(moments.energy.sum(axis=1)[:, 0, 0], total, rtol=1e-5)
    assert moments.group_edges[-1] == pytest.approx(edges[-1] * 4.135667696e-21)


def test_nsy_without_velocities_is_at_rest(sample_data):
    profile = open_profile(sample_data / "sedonu" / "4timesHigh_1D_withPairBrems.h5")
    assert (profile.fluid.velocity == 0.0).all()
    assert "at rest" in profile.notes[-1]


# -- files as profile or snapshot ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["flash-1d", "amrex-1d", "gr1d-text", "gr1d-restart", "chimera-1d"])
def test_a_spherical_file_is_a_profile(layout, tmp_path):
    written = writers.WRITERS[layout](tmp_path)
    host = open_host(written.path)
    profile = open_profile(written.path)
    profile.validate()
    assert profile.total_mass() == pytest.approx(host.total_mass(), rel=1e-12)
    assert profile.time == pytest.approx(host.time)
    assert profile.faces[0] == 0.0
    assert profile.faces[-1] == pytest.approx(writers.RADIUS, rel=1e-7)
    middle = 0.5 * (profile.faces[1:] + profile.faces[:-1]) / writers.RADIUS
    # y and z of the writers' star are at their middles
    np.testing.assert_allclose(profile.fluid.temperature, 2.0 + middle + 0.25 + 0.125, rtol=1e-6)
    np.testing.assert_allclose(profile.fluid.velocity, 1e8 * (1.0 + middle), rtol=1e-6)
    assert (profile.metric_gamma is None) == (written.factor == 1.0)


def test_a_genuine_collapse_is_a_profile(sample_data):
    path = sample_data / "chimera" / "WH07_15M_Sun.h5"
    profile = open_profile(path)
    assert profile.total_mass() == pytest.approx(3.15219 * SOLAR_MASS, rel=1e-5)
    assert profile.lapse is not None
    path = sample_data / "flash_x" / "yahil_lattimer_collapse1d" / "flashx_hdf5_chk_0000"
    with pytest.raises(ProfileError, match=r"missing electron_fraction \(from ye\)"):
        open_profile(path)
    star = profile_of(open_host(path, UserMap(fields={"electron_fraction": {"value": 0.45}})))
    assert star.size == 400 * 8
    assert star.total_mass() == pytest.approx(3.377047 * SOLAR_MASS, rel=1e-5)


def test_a_profile_through_a_map(tmp_path):
    written = writers.columns(tmp_path)
    field_map = tmp_path / "map.toml"
    field_map.write_text(
        '[file]\nformat = "columns"\ncolumns = ["n", "r", "rho", "T", "Ye", "v"]\nskip = 1\nmesh = ["r"]\n'
        'mesh_unit = "km"\nat = "outer face"\n[fields.mass_density]\nname = "rho"\nunit = "g/cm^3"\n'
        '[fields.temperature]\nname = "T"\nunit = "K"\n[fields.electron_fraction]\nname = "Ye"\n'
    )
    profile = open_profile(written.path, field_map)
    assert profile.total_mass() == pytest.approx(open_host(written.path, written.user).total_mass(), rel=1e-12)
    section = ProfileSection(file=str(written.path), map=str(field_map))
    np.testing.assert_array_equal(read_profile(section).faces, profile.faces)
    with pytest.raises(ProfileError, match=r"star.txt: format not recognized; accepted: profile table"):
        open_profile(written.path)


def test_one_block_is_a_snapshot(tmp_path):
    written = writers.flash(tmp_path, single=True)
    host = open_host(written.path)
    snapshot = open_snapshot(written.path)
    assert snapshot.total_mass() == pytest.approx(host.total_mass(), rel=1e-12)
    assert snapshot.mesh.geometry == "spherical"
    np.testing.assert_array_equal(snapshot.fluid.velocity[:, 1], host.field(0, "velocity")[1].ravel())
    with pytest.raises(ProfileError, match=r"spherical, 2 axes resolved; accepted as a profile: spherical along r"):
        open_profile(written.path)
    several = tmp_path / "several"
    several.mkdir()
    with pytest.raises(ProfileError, match=r"5 blocks of cells, spherical; accepted as a snapshot: one block"):
        open_snapshot(writers.flash(several).path)
    folder = tmp_path / "other"
    folder.mkdir()
    with pytest.raises(ProfileError, match=r"cylindrical; accepted as a snapshot: one block, cartesian or spherical"):
        open_snapshot(writers.flash(folder, geometry="cylindrical", single=True).path)
    assert snapshot_of(open_host(written.path)).time == 0.25


def test_gaps_between_cells_are_refused(tmp_path):
    written = writers.flash(tmp_path, dimensions=1)
    with h5py.File(written.path, "r+") as file:
        file["bounding box"][1, 0, 0] += 1e6
    with pytest.raises(ProfileError, match=r"a cell ends at .* the next one begins at .* accepted: cells without gaps"):
        open_profile(written.path)


# -- openPMD ---------------------------------------------------------------------------------------------------------


def test_openpmd_needs_its_package(tmp_path, monkeypatch):
    written = writers.carpetx(tmp_path)
    monkeypatch.setitem(sys.modules, "openpmd_api", None)
    with pytest.raises(
        MissingDependencyError, match=r"openpmd-api, which cannot be imported .*pip install openpmd-api"
    ):
        open_host(written.path)
    assert carpetx.sniff(written.path)


@pytest.mark.parametrize(
    ("template", "name"), [("star.h5", "star.h5"), ("s.it%08T.h5", "s.it00000008.h5"), ("s.bp4", "s.bp4")]
)
def test_openpmd_written_by_the_package(template, name, tmp_path):
    """What the package itself writes has the layout of the small file, in one file, a series of files, and ADIOS2."""
    api = pytest.importorskip("openpmd_api")
    if name.endswith("bp4") and not api.variants["adios2"]:
        pytest.skip("openpmd-api is built without ADIOS2")
    path = tmp_path / name
    series = api.Series(str(tmp_path / template), api.Access.create)
    iteration = series.iterations[8]
    iteration.time, iteration.time_unit_SI = 2.0, 4.92549095e-6
    iteration.set_attribute("chunkInfo_patch00_lev00", [0, 0, 0, 2, 3, 4])
    values = np.arange(24.0).reshape(2, 3, 4) + 1.0
    mesh = iteration.meshes["hydrobasex_rho_patch00_lev00"]
    mesh.axis_labels, mesh.grid_unit_SI = ["z", "y", "x"], 1476.6250402
    points = np.array([5.0, 6.0, 7.0])
    mesh.grid_spacing = list(2.0 * (points - 1.0) / points)
    mesh.grid_global_offset = [-2.0, -2.0, -2.0]
    component = mesh["hydrobasex_rho"]
    component.position = [0.5, 0.5, 0.5]
    component.reset_dataset(api.Dataset(values.dtype, [5, 6, 7]))
    component.store_chunk(values, [1, 1, 1], [2, 3, 4])
    series.flush()
    series.close()
    host = open_host(path)
    (place,) = host.blocks
    np.testing.assert_allclose(place.faces[0], [0.0, 2.0, 4.0, 6.0, 8.0])
    np.testing.assert_allclose(place.faces[2], [0.0, 2.0, 4.0], atol=1e-12)
    np.testing.assert_allclose(host.field(0, "mass_density"), values * 6.17583e17, rtol=1e-4)
    assert host.time == pytest.approx(2.0 * 4.92549e-6, rel=1e-5)


def test_openpmd_of_other_codes(sample_data):
    pytest.importorskip("openpmd_api")
    with pytest.raises(ProfileError, match=r"mesh B has geometry thetaMode; accepted: meshes of CarpetX"):
        open_host(sample_data / "openpmd" / "example-femm-thetaMode.h5")


# -- maps of any file, tables of matter --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at": "corner"}, r"file\..*at"),
        ({"mesh": ["radius"]}, r"mesh is \['radius'\]; accepted: one of n, r, rho"),
        ({"columns": ["n", "r"], "mesh": ["r"]}, r"6 columns, expected 2"),
        ({"colour": "red"}, r"colour"),
        ({"inner": 1e9}, r"begins at .*; accepted: more than file.inner"),
        ({"mesh_unit": "mile"}, r"file.mesh_unit is 'mile'; accepted: cm, km"),
    ],
)
def test_what_is_wrong_with_a_map_of_a_file(tmp_path, change, message):
    written = writers.columns(tmp_path)
    given = {**written.map, "file": {**written.map["file"], **change}}
    with pytest.raises((ConfigurationError, ProfileError), match=message) as caught:
        open_host(written.path, UserMap.model_validate(given))
    assert "star.txt" in str(caught.value)


def test_equation_of_state_table(tmp_path):
    path = tmp_path / "eos.h5"
    with h5py.File(path, "w") as file:
        file["logrho"], file["logtemp"], file["ye"] = np.linspace(3, 15, 4), np.linspace(-2, 2, 3), np.array([0.1, 0.5])
        for name in ("logpress", "logenergy", "mu_e"):
            file[name] = np.full((2, 3, 4), 20.0)
        file["mu_e"][0, 0, 0] = np.nan
        file["energy_shift"] = np.array([2e18])
    told = describe_file(path)
    assert told["format"] == "stellarcollapse table"
    assert told["axes"]["logrho [log10 g/cm^3]"] == {"points": 4, "minimum": 3.0, "maximum": 15.0}
    assert told["quantities"]["mu_e"] == {"unit": "MeV", "minimum": 20.0, "maximum": 20.0, "not a number": 1}
    assert told["energy_shift [erg/g]"] == 2e18
    assert "entropy" in told["missing"]
    assert "points: 4" in to_text(told)
    with h5py.File(path, "r+") as file:
        del file["logpress"]
        file["logpress"] = np.zeros((4, 3, 2))
    with pytest.raises(OutputError, match=r"logpress has shape \(4, 3, 2\); accepted: \(2, 3, 4\)"):
        describe_file(path)


def test_genuine_equations_of_state(sample_data):
    for path in (
        sample_data / "stellarcollapse_eos" / "StellarCollapse2017Sample.h5",
        sample_data / "stellarcollapse_eos_toy_ours" / "toy_eos.h5",
    ):
        told = describe_file(path)
        assert told["format"] == "stellarcollapse table"
        assert told["missing"] == []
