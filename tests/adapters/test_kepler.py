"""Progenitor formats: the genuine files, and small ones in the same layouts."""

import numpy as np
import pytest
from misci_adapters import kepler

from misci_transport.constants import KELVIN_PER_MEV, SOLAR_MASS
from misci_transport.errors import ProfileError, UnphysicalInputError
from misci_transport.io.profiles import open_profile

FACES = np.array([0.0, 1e7, 2.5e7, 4e7, 7e7, 1.2e8])
DENSITY = np.array([5e9, 3e9, 1e9, 2e8, 1e7])
KELVIN = np.array([8e9, 7e9, 6e9, 4e9, 2e9])
YE = np.array([0.42, 0.44, 0.46, 0.49, 0.5])
EDGE_VELOCITY = -np.array([1e6, 2e6, 3e6, 2e6, 1e6])
MASS = np.cumsum(4.0 / 3.0 * np.pi * np.diff(FACES**3) * DENSITY)


def flash(points=False):
    middle, velocity = 0.5 * (FACES[1:] + FACES[:-1]), np.arange(5.0)
    head = ["# a star", "number of variables = 4"] + (["number of points = 5"] if points else [])
    rows = [" ".join(repr(float(x)) for x in row) for row in zip(middle, DENSITY, KELVIN, velocity, YE, strict=True)]
    return [*head, "dens", "temp", "velx", "ye  ", *rows]


def short(counted=True):
    rows = zip(MASS, FACES[1:], KELVIN, DENSITY, EDGE_VELOCITY, YE, strict=True)
    text = [" ".join([f"{i + 1:5d}", *(f"{value:.10E}" for value in row)]) for i, row in enumerate(rows)]
    return ["5", *(line + " 0.0" for line in text)] if counted else text


def presn():
    lines = ["VERSION 10100 -- a star", "  grid    cell outer total mass        cell outer radius   and so on"]
    for i in range(5):
        values = [MASS[i], FACES[i + 1], EDGE_VELOCITY[i], DENSITY[i], KELVIN[i], 1.0, 1.0, 1.0, 0.0]
        # free neutrons, hydrogen, helium 4 and iron 56; A_bar and Ye follow
        parts = np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 0, 1], [0, 0.7, 0.3, 0], [0, 0, 1, 0], [0, 0, 0.5, 0.5]][i])
        mean = 1.0 / np.sum(parts / [1, 1, 4, 56])
        ye = np.sum(parts * [0, 1, 0.5, 26 / 56])
        words = [f"{value:.16E}" for value in (*values, mean, ye)] + ["radiative", "NSE"]
        words += [f"{parts[0]:.16E}", f"{parts[1]:.16E}", "---", f"{parts[2]:.16E}", f"{parts[3]:.16E}"]
        lines.append(f"{i + 1:4d}: " + " ".join(words))
    return lines


def woosley_weaver():
    inner = np.append(0.0, MASS[:-1]) / SOLAR_MASS
    rows = zip(inner, FACES[1:], KELVIN, DENSITY, EDGE_VELOCITY, YE, strict=True)
    return [f"{i + 1:8d}" + "".join(f"{value:12.5E}" for value in row) for i, row in enumerate(rows)]


def logarithmic():
    radius = np.sqrt(FACES[1:] * np.append(2e6, FACES[1:-1])) / kepler.SOLAR_RADIUS
    rows = zip(MASS, np.log10(DENSITY), np.log10(KELVIN), np.log10(radius), YE, EDGE_VELOCITY, strict=True)
    text = [" ".join([str(i + 1), *(f"{value:.6E}" for value in row)]) for i, row in enumerate(rows)]
    return ["# meshnumber, Mr, Log10Rho, LogT, Log10R/Rsun, Ye, vel", *text]


WRITERS = {
    "flash": flash,
    "flash with count": lambda: flash(points=True),
    "short": short,
    "short without count": lambda: short(counted=False),
    "presn": presn,
    "woosley weaver": woosley_weaver,
    "logarithmic": logarithmic,
}


def write(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("layout", WRITERS)
def test_layouts(tmp_path, layout):
    path = write(tmp_path / "star", WRITERS[layout]())
    assert kepler.sniff(path)
    profile = open_profile(path)
    np.testing.assert_allclose(profile.fluid.mass_density, DENSITY, rtol=1e-5)
    np.testing.assert_allclose(profile.fluid.temperature, KELVIN / KELVIN_PER_MEV, rtol=1e-5)
    if layout != "logarithmic":
        np.testing.assert_allclose(profile.faces, FACES, rtol=1e-5)
        assert profile.total_mass() == pytest.approx(MASS[-1], rel=1e-5)
    if layout != "presn":
        np.testing.assert_allclose(profile.fluid.electron_fraction, YE, rtol=1e-6)
    if layout.startswith("short"):
        np.testing.assert_allclose(profile.fluid.velocity, [-5e5, -1.5e6, -2.5e6, -2.5e6, -1.5e6], rtol=1e-12)
    if layout.startswith("flash"):
        np.testing.assert_array_equal(profile.fluid.velocity, np.arange(5.0))


def test_presn_composition(tmp_path):
    fluid = open_profile(write(tmp_path / "star", presn())).fluid
    np.testing.assert_allclose(fluid.neutron_fraction, [0.1, 0, 0, 0, 0], atol=1e-15)
    np.testing.assert_allclose(fluid.proton_fraction, [0.2, 0, 0.7, 0, 0], atol=1e-15)
    np.testing.assert_allclose(fluid.alpha_fraction, [0.3, 0, 0.3, 1, 0.5], atol=1e-15)
    np.testing.assert_allclose(fluid.heavy_fraction, [0.4, 1, 0, 0, 0.5], atol=1e-15)
    np.testing.assert_allclose(fluid.heavy_mass_number[[0, 1, 4]], 56.0, rtol=1e-12)
    np.testing.assert_allclose(fluid.heavy_charge_number[[0, 1, 4]], 26.0, rtol=1e-12)


def test_gaps_of_the_thinned_table(tmp_path):
    lines = woosley_weaver()
    kept = [lines[0], lines[2], lines[4]]
    profile = open_profile(write(tmp_path / "star", kept))
    # two zones between 1e7 and 4e7 cm are taken as equal, and the missing one is shared out
    np.testing.assert_allclose(profile.faces, [0.0, 1.75e7, 6e7, 1.2e8], rtol=1e-5)


@pytest.mark.parametrize(
    ("layout", "edit", "message"),
    [
        ("flash", lambda t: [*t[:7], "1.0 2.0"], "line 8: 2 columns, expected 5"),
        ("flash with count", lambda t: t[:-1], "truncated at line 11: 4 rows, line 3 promises 5"),
        ("flash", lambda t: [line.replace("temp", "heat") for line in t], "column 'temp' is missing"),
        ("flash", lambda t: [line.replace("7000000000.0", "nan") for line in t], "line 8: column 'temp' is 'nan'"),
        ("flash", lambda t: t[:8] + t[9:10] + t[8:9], "line 10: column 'r' is"),
        ("flash", lambda t: [*t[:8], "200000000.0 1 1 1 0.5", "200000001.0 1 1 1 0.5"], "not the middle of a zone"),
        ("flash", lambda t: [t[0], "number of variables four", *t[2:]], "line 2 is"),
        ("short", lambda t: t[:-1], "truncated at line 5: 4 rows, line 1 promises 5"),
        ("short", lambda t: [*t[:4], t[5], t[4]], "line 6: column 'radius'"),
        ("short", lambda t: [*t[:5], t[5][:60]], "line 6: 5 columns, expected 8"),
        ("presn", lambda t: [*t[:4], t[4][:120]], "line 5 is truncated"),
        ("presn", lambda t: [*t[:4], "end of file"], "line 5: column 'grid' is 'end'"),
        ("presn", lambda t: t[:2], "no zones"),
        ("woosley weaver", lambda t: [*t[:2], t[2][:60]], "line 3 is truncated in column 'velocity'"),
        ("woosley weaver", lambda t: [*t[:2], t[2][:44] + " " * 12 + t[2][56:]], "line 3: column 'density' is ''"),
        ("logarithmic", lambda t: [*t[:3], t[3] + " 7"], "line 4: 8 columns, expected 7"),
        ("logarithmic", lambda t: t[:1], "no rows of numbers"),
    ],
)
def test_bad_files(tmp_path, layout, edit, message):
    path = write(tmp_path / "star", edit(WRITERS[layout]()))
    with pytest.raises(ProfileError, match=message) as caught:
        open_profile(path)
    assert str(path) in str(caught.value)


def test_unphysical_value_names_the_file(tmp_path):
    path = write(tmp_path / "star", [line.replace("200000000.0", "-2.0") for line in flash()])
    with pytest.raises(UnphysicalInputError, match=r"star: fluid field mass_density in cell 3 is -2\.0"):
        open_profile(path)


def test_unknown_text(tmp_path):
    path = write(tmp_path / "notes", ["Dear reader", "this is not a star"])
    assert not kepler.sniff(path)
    with pytest.raises(ProfileError, match="fits none of the progenitor formats"):
        kepler.read(path)


@pytest.mark.parametrize(
    ("name", "cells", "mass", "tolerance"),
    [
        # masses: last entry of the file's own mass column (g), where it has one
        ("s15.0", 1085, 2.5145136160519839e34, 1e-6),
        ("s20.1d", 1124, 3.1684452296e34, 1e-6),
        ("s15s7b2_short_standarded", 681, 15.0874 * SOLAR_MASS, 1e-4),
        ("h40z002s0", 103, 0.514805e34, 0.03),
        ("s15s7b2", 104, 1.77961 * SOLAR_MASS, 0.01),
        ("s40s7b2", 104, 4.0652 * SOLAR_MASS, 0.01),
        ("u40z002", 476, 21.174 * SOLAR_MASS, 0.05),
    ],
)
def test_genuine_files(sample_data, name, cells, mass, tolerance):
    profile = open_profile(sample_data / "kepler_progenitors" / name)
    assert profile.size == cells
    assert profile.total_mass() == pytest.approx(mass, rel=tolerance)


def test_two_formats_of_one_star_agree(sample_data):
    full = open_profile(sample_data / "kepler_progenitors" / "s15s7b2_short_standarded")
    thin = open_profile(sample_data / "kepler_progenitors" / "s15s7b2")
    faces = thin.faces[5:-1]
    remapped = full.on_faces(faces)
    np.testing.assert_allclose(remapped.temperature, thin.fluid.temperature[5:-1], rtol=0.02)
    np.testing.assert_allclose(remapped.mass_density, thin.fluid.mass_density[5:-1], rtol=0.1)


def test_genuine_composition_is_complete(sample_data):
    fluid = open_profile(sample_data / "kepler_progenitors" / "s15.0").fluid
    total = fluid.neutron_fraction + fluid.proton_fraction + fluid.alpha_fraction + fluid.heavy_fraction
    np.testing.assert_allclose(total, 1.0, atol=1e-3)
    charge = fluid.proton_fraction + 0.5 * fluid.alpha_fraction
    charge += fluid.heavy_fraction * fluid.heavy_charge_number / fluid.heavy_mass_number
    np.testing.assert_allclose(charge, fluid.electron_fraction, atol=2e-3)
    iron = (fluid.electron_fraction < 0.45) & (fluid.heavy_fraction > 0.9)
    assert iron.any()
    assert ((fluid.heavy_mass_number[iron] > 40) & (fluid.heavy_mass_number[iron] < 70)).all()
