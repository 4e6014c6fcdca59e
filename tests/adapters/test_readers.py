"""What single formats do beyond the contract, and the genuine files with their masses."""

from __future__ import annotations

from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import writers
from misci_adapters import hdf5_source
from scipy.integrate import solve_ivp

from misci_transport.constants import SOLAR_MASS, SPEED_OF_LIGHT
from misci_transport.errors import ConfigurationError, ProfileError
from misci_transport.hosts import registry
from misci_transport.hosts.mapping import UserMap
from misci_transport.hosts.registry import adapters, open_host
from misci_transport.inspect_file import describe_file

#: Masses of the genuine files in g, or in units of the code: from the codes' own logs, or measured independently.
MASSES = {
    "flash_x/sedov1d_spherical/*hdf5_chk_000?": 4.1887902,
    "flash_x/sedov1d_spherical/*hdf5_plt_cnt_000?": 4.1887902,
    "flash_x/yahil_lattimer_collapse1d/*hdf5_chk_0000": 3.377047 * SOLAR_MASS,
    "flash_x/yahil_lattimer_collapse1d/*hdf5_chk_0001": 3.377775 * SOLAR_MASS,
    "castro/sedov1d_spherical/*_plt00???": 4.1887902,
    "athena++/cart3d_amr/*.athdf": 1.0,
    "athena++/spherical_polar/*.athdf": 4188.786,
    "athena++/radiation_multigroup/*.athdf": 1.0,
    "athenak/*.bin": 6.75,
    "fornax_amr/*/*.h5": 64.0,
    "chimera/*.h5": 3.15219 * SOLAR_MASS,
    "gr1d/collapse_hybrid_eos/rho.xg": 2.85579e33,
}


@pytest.mark.parametrize("pattern", MASSES)
def test_mass_of_a_genuine_file(pattern, sample_data):
    files = sorted(sample_data.glob(pattern))
    assert files
    for path in files:
        assert len([adapter.NAME for adapter in adapters() if adapter.sniff(path)]) == 1, path
        host = open_host(path)
        mass = host.total_mass()
        assert mass == pytest.approx(MASSES[pattern], rel=1e-5), path
        # leaves cover the box that they span once
        ends = [
            np.array([min(p.faces[n][0] for p in host.blocks), max(p.faces[n][-1] for p in host.blocks)])
            for n in range(3)
        ]
        if host.source("volume_factor") is None:
            total = sum(float(host.leaf_volume(block).sum()) for block in range(len(host.blocks)))
            assert total == pytest.approx(writers.volumes(host.geometry, ends).item(), rel=1e-6), path


def test_gr1d_luminosities(sample_data):
    """The code's own log says 2.0666e52, 2.9676e52, 1.0886e52 erg/s at "300 km": the last zone inside of it."""
    (path,) = (sample_data / "gr1d" / "m1_postbounce_static_background").glob("restart_nt_*_time_0.0012000.h5")
    host = open_host(path)
    moments = host.moments(0)
    face = host.blocks[0].faces[0] * host.length
    center = 0.5 * (face[1:] + face[:-1])
    zone = int(np.searchsorted(face, 3.0e7)) - 2
    luminosity = 4.0 * np.pi * center[zone] ** 2 * SPEED_OF_LIGHT * moments.flux[:, :, 0, 0, 0, zone].sum(axis=1)
    np.testing.assert_allclose(luminosity, [2.066610e52, 2.967623e52, 1.088584e52], rtol=1e-4)
    assert moments.species == ("nu_e", "nubar_e", "nu_x")
    assert moments.group_edges.shape == (13,)
    assert host.attributes["time of bounce [s]"] == pytest.approx(0.0, abs=1.0)


def test_carpet_star(sample_data):
    """A star of K = 100, Gamma = 2, central density 1.28e-3: sum of rho d^3x in isotropic coordinates, an eighth."""
    folder = sample_data / "einstein_toolkit_carpet"
    host = open_host(folder / "rho.xyz.file_1.h5")
    assert [adapter.NAME for adapter in adapters() if adapter.sniff(folder)] == ["carpet"]
    assert [place.level for place in host.blocks] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    total = sum(float(host.leaf_volume(block).sum()) for block in range(len(host.blocks)))
    assert total == pytest.approx(236.0**3, rel=1e-12)
    assert "x >= 0, y >= 0, z >= 0" in host.notes[-1]

    def slopes(radius, values):
        mass, pressure, shift, _ = values
        density = np.sqrt(max(pressure, 0.0) / 100.0)
        energy = density + max(pressure, 0.0)
        inner = radius * (radius - 2.0 * mass)
        slope = (mass + 4.0 * np.pi * radius**3 * pressure) / inner
        # shift = ln(isotropic radius / areal radius), up to a constant
        grown = (1.0 / np.sqrt(1.0 - 2.0 * mass / radius) - 1.0) / radius
        isotropic = radius * np.exp(shift)
        volume = 4.0 * np.pi * isotropic**3 * (1.0 / radius + grown)
        return [4.0 * np.pi * radius**2 * energy, -(energy + pressure) * slope, grown, density * volume]

    def surface(_, values):
        return values[1] - 1e-16

    surface.terminal = True
    central = 1.28e-3
    answer = solve_ivp(slopes, (1e-3, 20.0), [0.0, 100.0 * central**2, 0.0, 0.0], events=surface, rtol=1e-9, atol=1e-20)
    mass, _, shift, flat = answer.y[:, -1]
    radius = answer.t[-1]
    # outside, isotropic radius = (r - M + sqrt(r (r - 2 M)))/2
    true = 0.5 * (radius - mass + np.sqrt(radius * (radius - 2.0 * mass)))
    scale = true / (radius * np.exp(shift))
    assert mass == pytest.approx(1.400, rel=1e-3)
    in_atmosphere = 1e-10 * total
    assert host.total_mass() / SOLAR_MASS == pytest.approx(flat * scale**3 / 8.0 + in_atmosphere, rel=3e-3)


def test_carpet_chooses_an_iteration(tmp_path):
    written = writers.carpet(tmp_path)
    last = open_host(written.path)
    assert last.attributes["iterations"] == [0, 64]
    assert last.time == pytest.approx(0.25)
    first = open_host(written.path, UserMap(file={"iteration": 0}))
    assert (first.time, first.total_mass()) == (0.0, 0.0)
    with pytest.raises(ConfigurationError, match=r"file.iteration is 7; accepted: 0, 64"):
        open_host(written.path, UserMap(file={"iteration": 7}))
    (tmp_path / "temperature.xyz.file_1.h5").unlink()
    last = open_host(written.path)
    with pytest.raises(ProfileError, match=r"temperature has no component 1 .* a file of the set is missing"):
        last.field(len(last.blocks) - 1, "temperature")


def test_carpet_moments_and_many_files(tmp_path, monkeypatch):
    # as if more files than a process may open
    monkeypatch.setattr(hdf5_source, "OPEN_AT_ONCE", 3)
    host = open_host(writers.carpet(tmp_path, moments=True, metric=True).path)
    block = len(host.blocks) - 1
    moments = host.moments(block)
    shape = host.blocks[block].shape
    assert (moments.energy.shape, moments.flux.shape) == ((3, 1, *shape), (3, 1, 3, *shape))
    assert (moments.energy[2] == 12.0).all()
    np.testing.assert_allclose(moments.flux[1, 0, 2], 2.1)
    assert moments.flavors_each == (1, 1, 4)
    np.testing.assert_allclose(host.field(0, "volume_factor"), 1.5)
    assert host.total_mass() > 0.0


def test_carpet_variables_of_one_name(tmp_path):
    written = writers.carpet(tmp_path, grouped=True)
    before = open_host(written.path).total_mass()
    for file in written.files:
        with h5py.File(file, "r+") as source:
            for name in [name for name in source if name.startswith("HYDROBASE::rho ")]:
                other = source.create_dataset(name.replace("HYDROBASE", "THC_CORE"), data=2.0 * source[name][...])
                for key, value in source[name].attrs.items():
                    other.attrs[key] = value
    host = open_host(written.path)
    assert {"rho", "THC_CORE::rho"} <= set(host.variables)
    assert host.total_mass() == before
    doubled = open_host(written.path, UserMap(fields={"mass_density": {"name": "THC_CORE::rho"}}))
    assert doubled.total_mass() == pytest.approx(2.0 * before, rel=1e-12)


def test_multigroup_radiation_of_athena(sample_data):
    path = sorted((sample_data / "athena++" / "radiation_multigroup").glob("*.athdf"))[-1]
    host = open_host(path)
    moments = host.moments(1)
    assert moments.energy.shape == (1, 3, 1, 1, 16)
    assert moments.flux.shape == (1, 3, 3, 1, 1, 16)
    assert (moments.energy > 0.0).all()
    assert describe_file(path)["neutrino moments"]["groups"] == 3


def test_a_broken_adapter_is_left_out(tmp_path, monkeypatch, caplog):
    written = writers.flash(tmp_path)

    def broken():
        raise ImportError("no module named colour")

    found = registry.entry_points(group=registry.ENTRY_POINTS)
    point = SimpleNamespace(name="aaa", load=broken)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point, *found])
    assert open_host(written.path).format == "flash"
    assert "adapter aaa is left out: ImportError: no module named colour" in caplog.text


def test_geometry_of_flash_2(tmp_path):
    written = writers.flash(tmp_path, geometry="cartesian", old=True)
    with h5py.File(written.path, "r+") as file:
        boxes = file["bounding box"][...]
        file["bounding box"][...] = np.abs(boxes) / np.array([[1.0], [1e8]])
    with pytest.raises(ProfileError, match=r"faces of block .* do not increase; accepted: finite numbers"):
        open_host(written.path)
    with h5py.File(written.path, "r+") as file:
        file["bounding box"][...] = (boxes + 1e8) / np.array([[1.0], [1e8]])
    host = open_host(written.path, UserMap(file={"geometry": "spherical"}))
    assert host.geometry == "spherical"
    with pytest.raises(ProfileError, match=r"geometry is 'polar'; accepted: cartesian"):
        open_host(written.path, UserMap(file={"geometry": "polar"}))


def test_gr1d_chooses_a_time(tmp_path):
    written = writers.gr1d_text(tmp_path)
    first = open_host(written.path)
    later = open_host(written.path, UserMap(file={"time": 0.3}))
    assert (first.time, later.time) == (0.125, 0.25)
    assert later.total_mass() == pytest.approx(1.5 * first.total_mass())
    with pytest.raises(ConfigurationError, match=r"file.time is 'late'; accepted: a number in s"):
        open_host(written.path, UserMap(file={"time": "late"}))
    (tmp_path / "ye.xg").write_text((tmp_path / "ye.xg").read_text().split('"Time')[0] + '"Time = 9.0\n 1.0 2.0\n')
    with pytest.raises(ProfileError, match=r"ye.xg: no block at 0.125 s"):
        first.field(0, "electron_fraction")


def test_gr1d_moments(tmp_path):
    moments = open_host(writers.gr1d_restart(tmp_path).path).moments(0)
    assert moments.energy.shape == (3, 2, 1, 1, 8)
    # erg/cm^3 from c = G = solar mass = 1, all directions
    np.testing.assert_allclose(moments.energy, 4e-10 * np.pi * 6.77140812e-6**3 / 5.59424238e-55, rtol=1e-12)
    np.testing.assert_allclose(moments.group_edges, [0.0, 2.0, 5.0])


def test_chimera_slabs_and_moments(tmp_path):
    written = writers.chimera(tmp_path)
    host = open_host(written.path)
    moments = host.moments(1)
    assert moments.energy.shape == (4, 5, 2, 4, 6)
    assert moments.flux.shape == (4, 5, 3, 2, 4, 6)
    assert (moments.flux[:, :, 0] == 0.25).all()
    assert (moments.flux[:, :, 1:] == 0.0).all()
    assert host.field(0, "lapse").shape == host.blocks[0].shape
    # a slab alone is where it belongs, and says that it is one
    written.files[0].unlink()
    alone = open_host(written.files[1])
    assert alone.blocks[0].faces[2][0] == pytest.approx(np.pi)
    assert "slab 2 of 2" in alone.notes[0]


def test_yin_yang_meshes_are_refused(tmp_path):
    written = writers.chimera(tmp_path)
    with h5py.File(written.path, "r+") as file:
        file["mesh/ongrid_mask"] = np.array([[1.0, 0.0]])
    with pytest.raises(ProfileError, match=r"mesh/ongrid_mask has zeros, as yin-yang meshes do; accepted: one mesh"):
        open_host(written.path)


def test_text_and_restart_of_gr1d_agree(sample_data):
    """Numbers in cgs in one, in c = G = solar mass = 1 in the other, 0.02 ms later."""
    folder = sample_data / "gr1d" / "collapse_hybrid_eos"
    text = open_host(folder / "rho.xg", UserMap(file={"time": 0.049978}))
    (path,) = folder.glob("restart_nt_*.h5")
    restart = open_host(path)
    np.testing.assert_allclose(text.blocks[0].faces[0], restart.blocks[0].faces[0], rtol=1e-8)
    for name in ("mass_density", "specific_internal_energy", "pressure", "lapse", "volume_factor"):
        apart = np.abs(restart.field(0, name) / text.field(0, name) - 1.0)
        assert np.median(apart) < 3e-3, name
    falling = np.abs(text.field(0, "velocity")[0]) > 1e8
    apart = np.abs(restart.field(0, "velocity")[0] / text.field(0, "velocity")[0] - 1.0)[falling]
    assert np.median(apart) < 3e-3


def test_fornax_species_and_rad_scale(tmp_path):
    written = writers.fornax(tmp_path)
    host = open_host(written.path, written.user)
    moments = host.moments(len(host.blocks) - 1)
    assert moments.energy.shape == (3, 4, 4, 4, 4)
    temperature = host.field(len(host.blocks) - 1, "temperature")
    np.testing.assert_allclose(moments.energy[1, 2], 1e25 * (60.0 + temperature), rtol=1e-6)
    np.testing.assert_allclose(moments.flux[1, 2, 1], 1e25 * (62.0 + temperature), rtol=1e-6)
    with pytest.raises(ConfigurationError, match=r"file.species is 5; accepted: a divisor of the 12"):
        open_host(written.path, UserMap(file={"species": 5}))


def test_slices_are_refused(tmp_path):
    written = writers.athenak(tmp_path)
    content = written.path.read_bytes().replace(b"nx3 = 4 # cells\n<coord>", b"nx3 = 6 # cells\n<coord>")
    written.path.write_bytes(content)
    with pytest.raises(ProfileError, match=r"block 0 has 4 cells along x3; accepted: the 6 of a mesh block"):
        open_host(written.path)
    written = writers.athena(tmp_path)
    with h5py.File(written.path, "r+") as file:
        file["x3f"][...] = np.linspace(1.0, 1.5, 5)
    with pytest.raises(ProfileError, match=r"blocks reach from 1 to 1.5 along z; accepted: the root grid's 0 to 3"):
        open_host(written.path)


def test_units_of_a_map_are_those_of_the_whole_file(tmp_path):
    written = writers.flash(tmp_path)
    plain = open_host(written.path)
    scaled = open_host(written.path, UserMap(units={"length": 10.0, "mass": 3.0, "time": 2.0}))
    assert scaled.length == 10.0
    assert scaled.total_mass() == pytest.approx(3.0 * plain.total_mass(), rel=1e-12)
    folder = tmp_path / "fixed"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match=r"\[units\] in its map; accepted: none, the format gr1d has its own"):
        open_host(writers.gr1d_restart(folder).path, UserMap(units={"system": "cgs"}))
    athena = open_host(writers.athena(tmp_path).path, UserMap(units={"length": 1.0, "mass": 1.0, "time": 4.0}))
    assert (athena.time, athena.time_unit) == (2.0, "s")


def test_time_of_flash(tmp_path):
    assert open_host(writers.flash(tmp_path).path).time == 0.25
    old = tmp_path / "old"
    old.mkdir()
    assert open_host(writers.flash(old, geometry="cartesian", old=True).path).time == 0.25


def test_what_a_map_must_say_is_told(tmp_path):
    written = writers.athena(tmp_path)
    told = describe_file(written.path)
    assert told["missing"] == ["temperature", "electron_fraction"]
    assert told["units not known"] == ["length", "mass_density", "velocity", "pressure"]
    with pytest.raises(ConfigurationError, match=r"file.format is 'sphinx'; accepted: amrex, athena"):
        open_host(written.path, UserMap(file={"format": "sphinx"}))
    with pytest.raises(ConfigurationError, match=r"athdf: unit of temperature is 'degrees'; accepted: MeV, K"):
        open_host(written.path, UserMap(fields={"temperature": {"name": "press", "unit": "degrees"}}))
    with pytest.raises(ProfileError, match=r"missing temperature \(from heat\); the file has .*accepted: a map"):
        open_host(written.path, UserMap(fields={"temperature": {"name": "heat"}})).require(["temperature"])
