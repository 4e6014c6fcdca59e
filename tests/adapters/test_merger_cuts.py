"""Merger remnants between two cuts: small ones in the layout of the published files, and the genuine ones."""

from __future__ import annotations

import numpy as np
import pytest
from misci_adapters.merger_cuts import COLUMNS, FLOOR, read_cut, remnant

from misci_transport.block_mesh import BlockMesh
from misci_transport.constants import NEUTRON_PROTON_MASS_DIFFERENCE
from misci_transport.errors import ProfileError

FILES = "bns_nurates_profiles/BNS/1d/DD2_M12980-12980_M1_LR_t_50ms_{}_axis.txt"


def write(path, index, end=60.0, ye=0.1, points=40):
    """A cut with density as a power of the radius: 1e14 at 10 km."""
    radius = np.geomspace(1.0, end, points)
    column = dict.fromkeys(COLUMNS, np.zeros(points))
    column |= {
        "index": np.arange(1.0, points + 1.0),
        "radius": radius,
        "mass_density": 1.0e14 * (radius / 10.0) ** index,
        "temperature": 20.0 / radius**0.5,
        "electron_fraction": np.full(points, ye),
        "Y_nue": np.full(points, 0.01),
        "E_nux": np.full(points, 0.5),
    }
    column["mu_p"] = np.full(points, 900.0)
    ideal = column["temperature"] * np.log((1.0 - ye) / ye)
    column["mu_n"] = 900.0 + NEUTRON_PROTON_MASS_DIFFERENCE + ideal + 7.0
    lines = ["# a cut", "#", "#  1: index"]
    lines += [" ".join(f"{column[name][i]:.12e}" for name in COLUMNS) for i in range(points)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def cuts(tmp_path):
    return read_cut(write(tmp_path / "x.txt", -2.0)), read_cut(write(tmp_path / "z.txt", -4.0, end=20.0, ye=0.4))


def test_a_cut(cuts):
    equator, axis = cuts
    assert equator.radius[0] == pytest.approx(1.0e5)
    np.testing.assert_allclose(equator.number_density[:, 0], 0.01 * equator.mass_density / 1.66053906660e-24)
    np.testing.assert_allclose(equator.energy_density[:, 2], 0.5 * equator.mass_density / 1.66053906660e-24)
    np.testing.assert_allclose(equator.excess, 7.0, rtol=1e-8)
    # beyond the end by the power of the outer part, down to the floor
    density, temperature, fraction, _ = axis.at(np.array([4.0e6, 1.0e9]))
    assert np.exp(density[0]) == pytest.approx(1.0e14 * 4.0**-4, rel=1e-3)
    assert (np.exp(density[1]), np.exp(temperature[1])) == pytest.approx(FLOOR)
    assert fraction[1] == pytest.approx(0.4)


def test_the_remnant_has_the_matter_of_the_cuts_on_the_axes(cuts):
    mesh = BlockMesh.from_edges(np.geomspace(4.0e5, 1.5e6, 60), np.linspace(0.0, 0.5 * np.pi, 41), geometry="spherical")
    snapshot = remnant(*cuts, mesh, rotation=1000.0, rotation_radius=1.0e12)
    snapshot.validate()
    density, fraction = (
        getattr(snapshot.fluid, name).reshape(40, 59) for name in ("mass_density", "electron_fraction")
    )
    r = mesh.center(0)
    np.testing.assert_allclose(density[-1], 1.0e14 * (r / 1.0e6) ** -2.0, rtol=0.02)
    np.testing.assert_allclose(density[0], 1.0e14 * (r / 1.0e6) ** -4.0, rtol=0.02)
    np.testing.assert_allclose(fraction[[0, -1]], [[0.4], [0.1]] * np.ones(59), rtol=0.01)
    # half way in cos^2: the geometric mean
    middle = np.sqrt(density[19] * density[20])
    np.testing.assert_allclose(middle, 1.0e14 * (r / 1.0e6) ** -3.0, rtol=0.02)
    temperature, muhat = snapshot.fluid.temperature, snapshot.fluid.nucleon_potential_difference
    ideal = temperature * np.log((1.0 - fraction.ravel()) / fraction.ravel())
    np.testing.assert_allclose(muhat, ideal + 7.0, rtol=0.01)
    sine = np.sin(mesh.centers[:, 1])
    # next to the axis the sine is not linear within a cell
    off = sine > 0.1
    found = snapshot.fluid.velocity[off, 2]
    np.testing.assert_allclose(found, 1000.0 * (mesh.centers[:, 0] * sine)[off], rtol=0.03)


def test_defects_are_named(tmp_path, cuts):
    path = write(tmp_path / "bad.txt", -2.0)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1].rsplit(" ", 1)[0]]))
    with pytest.raises(ProfileError, match=r"bad.txt: line 43: 24 columns, expected 25 \(first wrong: f_nux\)"):
        read_cut(path)
    path.write_text("\n".join([*lines[:-1], lines[4]]))
    with pytest.raises(ProfileError, match="line 43: column 'radius' is"):
        read_cut(path)
    words = lines[5].split()
    path.write_text("\n".join([*lines[:5], " ".join([*words[:3], "-1.0", *words[4:]]), *lines[6:]]))
    with pytest.raises(ProfileError, match=r"line 6: temperature is -1.0; accepted: > 0"):
        read_cut(path)
    with pytest.raises(ProfileError, match="mesh of a remnant is cartesian"):
        remnant(*cuts, BlockMesh.uniform((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (2, 2, 2)))


def test_genuine_cuts(sample_data):
    paths = [sample_data / FILES.format(axis) for axis in "xz"]
    if not all(path.is_file() for path in paths):
        pytest.skip(f"no sample data at {paths[0]}")
    equator, axis = (read_cut(path) for path in paths)
    assert (equator.radius.size, axis.radius.size) == (71, 69)
    # free nucleons in the disc and above the pole
    assert abs(equator.excess[-1]) < 0.1 * equator.temperature[-1]
    assert abs(axis.excess[-1]) < 0.05 * axis.temperature[-1]
    assert equator.excess[0] > 50.0
    mesh = BlockMesh.from_edges(np.linspace(0.0, 1.3e7, 30), np.linspace(0.0, 0.5 * np.pi, 7), geometry="spherical")
    remnant(equator, axis, mesh).validate()
