"""The tables of Liebendoerfer et al. 2005: the genuine files, and small ones in the same layout."""

from pathlib import Path

import numpy as np
import pytest
from misci_adapters import liebendoerfer

from misci_transport.errors import ProfileError, UnphysicalInputError
from misci_transport.io.profiles import open_profile
from misci_transport.profile import SPECIES

SUN = 1.989e33  # the value that the files use
FOLDER = "agile_boltztran_vertex_liebendoerfer2005"
H_LABELS = [
    *("Zone", "ZMass", "EMass", "Rad", "Vel", "Den", "Ent", "Temp", "qE", "qY"),
    *("Ye", "Xn", "Xp", "Xa", "Xh", "A", "Z", "1-alp", "1-Gam"),
]
R_LABELS = ["Zone", "EMass", "Rad"] + [q + s for q in "ELfY" for s in ("nue", "nuebar", "num", "numbar")]


def write_file(path, kind, labels, columns, code="Agile-Boltztran"):
    """A file with the byte-by-byte header of the published tables."""
    lines = [
        "Title: Supernova Simulations with Boltzmann Neutrino Transport: A Comparison",
        "       of Methods",
        "Authors: Liebendorfer M., Rampp M., Janka H.-Th., Mezzacappa A.",
        f"Table: {code} {kind}  data for model Q1",
        "       at the post bounce time of   12.5 ms",
        "=" * 80,
        f"Byte-by-byte Description of file: {path.name}",
        "-" * 80,
        "   Bytes Format Units          Label  Explanations",
        "-" * 80,
    ]
    for index, label in enumerate(labels):
        start, stop = (1, 3) if index == 0 else (12 * index - 7, 12 * index + 3)
        lines += [f" {start:3d}-{stop:3d} E11.4  ---            {label:6s} Explanation", " " * 40 + "goes on"]
    lines.append("-" * 80)
    for zone, row in enumerate(zip(*columns, strict=True)):
        lines.append(f"{zone:3d} " + " ".join(f"{value:11.4E}" for value in row))
    path.write_text("\n".join(lines) + "\n")


def matter(cells=6, gamma=0.9, padding=0):
    faces = np.linspace(0.0, 6e6, cells + 1)
    density = np.linspace(3e14, 1e14, cells)
    mass = 4.0 / 3.0 * np.pi * np.diff(faces**3) * density / gamma
    radius = np.cbrt(0.5 * (faces[1:] ** 3 + faces[:-1] ** 3))
    one = np.ones(cells)
    columns = [mass, np.cumsum(mass) / SUN, radius, -1e8 * one, density, one, 5 * one, one, one, 0.3 * one]
    columns += [0.7 * one, 0.3 * one, -4e-25 * one, 0 * one, 4 * one, 1.8 * one, 0.1 * one, (1 - gamma) * one]
    return faces, [np.append(column, np.zeros(padding)) for column in columns]


def test_written_pair(tmp_path):
    faces, columns = matter()
    write_file(tmp_path / "Q1h+010.txt", "hydrodynamics", H_LABELS, columns)
    radiation = [columns[1], columns[2]] + [np.full(6, float(k)) for k in range(16)]
    write_file(tmp_path / "Q1r+010.txt", "radiation", R_LABELS, radiation)
    profile = open_profile(tmp_path / "Q1h+010.txt")
    np.testing.assert_allclose(profile.faces, faces, rtol=2e-4)
    assert profile.time == 0.0125
    assert profile.title == "Agile-Boltztran, model Q1"
    np.testing.assert_array_equal(profile.fluid.alpha_fraction, 0.0)
    np.testing.assert_allclose(profile.metric_gamma, 0.9, rtol=1e-15)
    assert profile.total_mass() == pytest.approx(columns[0].sum(), rel=1e-4)
    found = [profile.reference[q][s][0] for q in ("rms_energy", "luminosity", "flux_factor") for s in SPECIES]
    assert found == list(range(12))
    assert profile.reference["number_fraction"]["nubar_x"][0] == 15.0
    np.testing.assert_array_equal(profile.reference["energy_rate"], 1.0)


def test_flat_volumes_and_padding_of_vertex(tmp_path):
    faces, columns = matter(gamma=1.0, padding=4)
    columns[-1][:6] = 0.2  # its Gamma does not enter the volumes
    write_file(tmp_path / "v.txt", "hydrodynamics", H_LABELS, columns, code="Vertex")
    profile = liebendoerfer.read(tmp_path / "v.txt")
    assert profile.size == 6
    np.testing.assert_allclose(profile.faces, faces, rtol=2e-4)
    assert profile.metric_gamma is None
    assert profile.reference is None


def replace_line(path, index, edit):
    lines = path.read_text().splitlines()
    lines[index] = edit(lines[index])
    path.write_text("\n".join(lines) + "\n")


def set_label(old, new):
    return lambda path: path.write_text(path.read_text().replace(f" {old:6s} Expl", f" {new:6s} Expl"))


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (set_label("Temp", "Heat"), ProfileError, "column 'Temp' is missing; found Zone, ZMass"),
        (lambda p: replace_line(p, -1, lambda s: s[:150]), ProfileError, "line 55 is truncated in column 'Xa'"),
        (lambda p: replace_line(p, -2, lambda s: s[:76] + "   NaN     " + s[87:]), ProfileError, "line 54: .*'Temp'"),
        (lambda p: replace_line(p, -2, lambda s: s[:28] + " 1.0000E+05" + s[39:]), ProfileError, "line 54: .*'Rad'"),
        (lambda p: replace_line(p, -1, lambda s: s[:28] + " 9.0000E+06" + s[39:]), ProfileError, "put the zone at"),
        (lambda p: replace_line(p, -2, lambda s: s[:40] + "-9.0000E+20" + s[51:]), UnphysicalInputError, "cell 4"),
        (lambda p: replace_line(p, 3, lambda s: "Table: other"), ProfileError, "line 4 does not name"),
        (lambda p: p.write_text("\n".join(p.read_text().splitlines()[:30])), ProfileError, "line 30: the byte-by"),
        (lambda p: p.write_text("\n".join(p.read_text().splitlines()[:49])), ProfileError, "no rows of numbers"),
        (lambda p: p.unlink(), ProfileError, "cannot be read as text"),
    ],
)
def test_bad_files(tmp_path, edit, error, message):
    path = tmp_path / "Q1h+010.txt"
    write_file(path, "hydrodynamics", H_LABELS, matter()[1])
    edit(path)
    with pytest.raises(error, match=message) as caught:
        liebendoerfer.read(path)
    assert str(path) in str(caught.value)


def test_wrong_kind(tmp_path):
    path = tmp_path / "Q1r+010.txt"
    columns = matter()[1]
    write_file(path, "radiation", R_LABELS, [columns[1], columns[2]] + [columns[0]] * 16)
    assert not liebendoerfer.sniff(path)
    with pytest.raises(ProfileError, match="holds radiation data"):
        liebendoerfer.read_profile(path)
    with pytest.raises(ProfileError, match="holds radiation data"):
        liebendoerfer.read_time_series(path)
    matter_path = tmp_path / "h.txt"
    write_file(matter_path, "hydrodynamics", H_LABELS, columns)
    with pytest.raises(ProfileError, match="accepted: radiation"):
        liebendoerfer.read_profile(matter_path, matter_path)


@pytest.mark.parametrize("instant", ["+000", "+100"])
def test_genuine_agile_boltztran(sample_data, instant):
    profile = open_profile(sample_data / FOLDER / "AB_G15" / f"datafileAB-G15h{instant}.txt")
    assert profile.size == 102
    radius = profile.reference["radius"]
    middle = np.cbrt(0.5 * (profile.faces[1:] ** 3 + profile.faces[:-1] ** 3))
    # the published radius is the middle of the zone in volume, which is not put in by hand
    np.testing.assert_allclose(middle, radius, rtol=6e-4)
    mass = profile.fluid.mass_density * profile.volumes
    enclosed = (np.cumsum(mass) - 0.5 * mass) / SUN
    lines = (sample_data / FOLDER / "AB_G15" / f"datafileAB-G15h{instant}.txt").read_text().splitlines()[36:]
    np.testing.assert_allclose(enclosed, [float(line[16:27]) for line in lines], rtol=1e-3)


def test_genuine_agile_boltztran_values(sample_data):
    profile = open_profile(sample_data / FOLDER / "AB_G15" / "datafileAB-G15h+100.txt")
    assert profile.time == 0.0981
    cell = int(np.searchsorted(profile.faces, 102.1e5)) - 1
    assert profile.fluid.mass_density[cell] == 6.124e9
    assert profile.fluid.temperature[cell] == 2.477
    assert profile.reference["luminosity"]["nu_e"][cell] == 4.816e52
    assert profile.reference["lepton_rate"][cell] == -14.58


def test_genuine_vertex(sample_data):
    folder = sample_data / FOLDER / "VX_G15"
    profile = open_profile(folder / "datafileVX-G15h+100.txt")
    assert profile.size == 400
    assert profile.time == 0.0996
    assert profile.faces[-1] == pytest.approx(1e9, rel=1e-5)
    np.testing.assert_allclose(
        0.5 * (profile.faces[1:] + profile.faces[:-1]), profile.reference["heating_radius"], rtol=5e-5
    )
    assert profile.reference["radius"].size == 235
    series = liebendoerfer.read_time_series(folder / "datafileVX-G15t.txt")
    assert series["Time"].size > 700
    assert (np.diff(series["Time"]) >= 0).all()
    # the central density peaks at bounce, and the instant of the h file is inside: seconds, not the ms of the header
    assert series["Time"][np.argmax(series["Den"] > 3e14)] == pytest.approx(0.0, abs=2e-3)
    assert 1e7 < series["Shock"][np.searchsorted(series["Time"], profile.time)] < 2e7


def test_shipped_tables_are_those_of_the_files(sample_data):
    examples = Path(__file__).resolve().parents[2] / "examples" / "g15"
    for shipped, source in (
        ("agile_boltztran_98ms.txt", "AB_G15/datafileAB-G15h+100.txt"),
        ("vertex_100ms.txt", "VX_G15/datafileVX-G15h+100.txt"),
    ):
        ours, theirs = open_profile(examples / shipped), open_profile(sample_data / FOLDER / source)
        np.testing.assert_allclose(ours.faces, theirs.faces, rtol=1e-7)
        for name in ("mass_density", "temperature", "electron_fraction", "velocity", "heavy_fraction"):
            np.testing.assert_array_equal(getattr(ours.fluid, name), getattr(theirs.fluid, name))
        for quantity in ("luminosity", "rms_energy", "flux_factor", "number_fraction"):
            for species in SPECIES:
                np.testing.assert_array_equal(ours.reference[quantity][species], theirs.reference[quantity][species])
        np.testing.assert_array_equal(ours.reference["energy_rate"], theirs.reference["energy_rate"])
