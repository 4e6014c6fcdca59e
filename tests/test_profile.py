"""Profiles: validation, remapping, joining, and the table format."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from misci_transport.constants import SOLAR_MASS
from misci_transport.errors import ProfileError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.profile import (
    SPECIES,
    Profile,
    _interpolate,
    _monotone_cubic,
    cold_composition,
    describe,
    is_table,
    read_reference,
    write_reference,
)

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "g15"


def smooth(name, radius):
    """Smooth fields of r in cm, with a maximum inside the star."""
    x = radius / 1e8
    return {
        "mass_density": 1e10 / (1.0 + 3.0 * x**2) ** 2,
        "temperature": 2.0 * np.exp(-((x - 0.5) ** 2)),
        "electron_fraction": 0.3 + 0.1 * np.sin(2.0 * x),
        "velocity": -1e8 * np.sin(3.0 * x),
    }[name]


def smooth_profile(cells, seed=3):
    jitter = np.random.default_rng(seed).uniform(-0.2, 0.2, cells - 1)
    steps = np.arange(cells + 1.0)
    steps[1:-1] += jitter
    faces = 2e8 * steps / cells
    profile = Profile(faces, Fluid(*np.full((4, cells), 0.5)))
    for name in ("mass_density", "temperature", "electron_fraction", "velocity"):
        setattr(profile.fluid, name, smooth(name, profile.centers))
    return profile


def composed(cells=12):
    """A profile with every optional field."""
    rng = np.random.default_rng(5)
    profile = smooth_profile(cells)
    fractions = rng.dirichlet(np.ones(4), cells).T
    profile.fluid = replace(
        profile.fluid,
        **dict(
            zip(("neutron_fraction", "proton_fraction", "alpha_fraction", "heavy_fraction"), fractions, strict=True)
        ),
        heavy_mass_number=rng.uniform(20, 60, cells),
        heavy_charge_number=rng.uniform(8, 20, cells),
        electron_chemical_potential=rng.uniform(1, 50, cells),
        nucleon_potential_difference=rng.uniform(-1, 50, cells),
    )
    fluid = profile.fluid
    fluid.electron_fraction = (
        fluid.proton_fraction
        + 0.5 * fluid.alpha_fraction
        + fluid.heavy_fraction * fluid.heavy_charge_number / fluid.heavy_mass_number
    )
    profile.lapse, profile.metric_gamma = rng.uniform(0.8, 1, (2, cells))
    profile.time, profile.citation, profile.title, profile.notes = 0.1 / 3, "A. Author (2000)\nB. (2001)", "x", ("n",)
    profile.reference = {
        "radius": profile.centers,
        **{
            quantity: {species: rng.normal(size=cells) for species in SPECIES}
            for quantity in ("luminosity", "rms_energy", "flux_factor", "number_fraction")
        },
        "heating_radius": profile.centers[:-1],
        "energy_rate": rng.normal(size=cells - 1),
        "lepton_rate": rng.normal(size=cells - 1),
    }
    return profile


def assert_same_fluid(first, second):
    for field in fields(Fluid):
        a, b = getattr(first, field.name), getattr(second, field.name)
        assert (a is None) == (b is None), field.name
        if a is not None:
            np.testing.assert_array_equal(a, b, err_msg=field.name)


@pytest.mark.parametrize("name", ["mass_density", "temperature", "electron_fraction", "velocity"])
def test_interpolation_is_second_order(name):
    target = np.sort(np.random.default_rng(11).uniform(0.0, 2e8, 700))
    target[0], target[-1] = 0.0, 2e8
    errors = []
    for cells in (40, 80, 160, 320):
        profile = smooth_profile(cells)
        middle = Profile(target, Fluid(*np.full((4, target.size - 1), 0.5))).centers
        exact = smooth(name, middle)
        errors.append(np.abs(getattr(profile.on_faces(target), name) - exact).mean() / np.abs(exact).max())
    ratios = np.array(errors[:-1]) / errors[1:]
    assert errors[-1] < 2e-5
    assert ratios.mean() > 3.6, ratios


def test_interpolation_makes_no_new_extremum():
    profile = smooth_profile(30)
    profile.fluid.temperature = np.where(profile.centers < 1e8, 10.0, 0.1)
    fine = profile.refine(7).fluid.temperature
    inside = slice(7, -7)
    assert fine[inside].min() >= 0.1 * (1 - 1e-14)
    assert fine[inside].max() <= 10.0 * (1 + 1e-14)
    assert (np.diff(fine[inside]) <= 1e-14).all()


def test_native_cells_come_back_unchanged():
    profile = composed()
    assert_same_fluid(profile.on_faces(profile.native_faces), profile.fluid)
    assert_same_fluid(profile.on_faces(profile.faces[3:8]), profile.fluid.take(slice(3, 7)))
    mixed = np.sort(np.append(profile.faces, 0.5 * (profile.faces[5] + profile.faces[6])))
    assert_same_fluid(profile.on_faces(mixed).take(slice(0, 5)), profile.fluid.take(slice(0, 5)))
    assert_same_fluid(profile.on_faces(mixed).take(slice(7, None)), profile.fluid.take(slice(6, None)))


def test_interpolated_composition_keeps_baryons_and_charge():
    profile = composed(30)
    # away from the centre and the surface, where the extrapolation is clipped to [0, 1]
    fluid = profile.on_faces(np.linspace(profile.centers[0], profile.centers[-1], 77))
    total = fluid.neutron_fraction + fluid.proton_fraction + fluid.alpha_fraction + fluid.heavy_fraction
    charge = fluid.proton_fraction + 0.5 * fluid.alpha_fraction
    charge += fluid.heavy_fraction * fluid.heavy_charge_number / fluid.heavy_mass_number
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
    single = np.diff(np.searchsorted(profile.faces, np.linspace(profile.centers[0], profile.centers[-1], 77))) == 0
    assert single.sum() > 30
    np.testing.assert_allclose(charge[single], fluid.electron_fraction[single], atol=1e-12)


def test_coarse_cells_keep_the_mass():
    profile = smooth_profile(400)
    coarse = profile.on_faces(profile.faces[::40])
    mass = np.sum(coarse.mass_density * np.diff(profile.faces[::40] ** 3)) * 4.0 / 3.0 * np.pi
    assert mass == pytest.approx(profile.total_mass(), rel=1e-4)


def test_mesh_outside_the_profile():
    profile = smooth_profile(10)
    with pytest.raises(ProfileError, match=r"mesh covers \[0, 3e\+08\] cm, the profile only \[0, 2e\+08\]"):
        profile.on_faces(np.array([0.0, 1e8, 3e8]))
    profile = Profile(profile.faces[1:], profile.fluid.take(slice(1, None)))
    with pytest.raises(ProfileError, match="mesh covers"):
        profile.on_faces(np.array([0.0, 1e8]))
    with pytest.raises(ProfileError, match="increasing"):
        profile.on_faces(np.array([1e8, 5e7]))


def test_refine():
    profile = smooth_profile(50)
    fine = profile.refine(3)
    assert fine.size == 150
    np.testing.assert_array_equal(fine.faces[::3], profile.faces)
    assert fine.total_mass() == pytest.approx(profile.total_mass(), rel=1e-3)
    with pytest.raises(ProfileError, match="factor is 0"):
        profile.refine(0)


def test_total_mass_uses_the_metric():
    profile = Profile(np.array([0.0, 1.0, 2.0]), Fluid([3.0, 5.0], [1.0, 1.0], [0.5, 0.5], [0.0, 0.0]))
    assert profile.total_mass() == pytest.approx(4.0 / 3.0 * np.pi * (3.0 + 35.0), rel=1e-15)
    profile.metric_gamma = np.array([0.5, 1.0])
    assert profile.total_mass() == pytest.approx(4.0 / 3.0 * np.pi * (6.0 + 35.0), rel=1e-15)


def split(profile, inside, outside):
    """A profile and its continuation, which overlap between the two faces."""
    core = Profile(profile.faces[: inside + 1], profile.fluid.take(slice(0, inside)), citation="core")
    shell = Profile(profile.faces[outside:], profile.fluid.take(slice(outside, None)), citation="shell")
    return core, shell


def test_join_at_a_common_face_restores_the_star():
    star = smooth_profile(60)
    core, shell = split(star, 40, 20)
    joined = core.join(shell)
    np.testing.assert_array_equal(joined.faces, star.faces)
    assert_same_fluid(joined.fluid, star.fluid)
    assert joined.citation == "core; shell"
    assert joined.joint["radius"] == star.faces[40]
    assert joined.joint["density_ratio"] == pytest.approx(1.0, abs=2e-3)
    assert joined.joint["velocity_difference"] == pytest.approx(0.0, abs=1e6)


def test_join_cuts_the_cells_at_the_joint():
    star = smooth_profile(60)
    core, shell = split(star, 40, 20)
    shell.fluid.mass_density *= 1.25
    radius = 0.5 * (star.faces[30] + star.faces[31])
    joined = core.join(shell, radius)
    joined.validate()
    np.testing.assert_array_equal(joined.faces, np.insert(star.faces, 31, radius))
    np.testing.assert_array_equal(joined.fluid.mass_density[:30], star.fluid.mass_density[:30])
    np.testing.assert_array_equal(joined.fluid.mass_density[32:], 1.25 * star.fluid.mass_density[31:])
    assert joined.joint["density_ratio"] == pytest.approx(1.25, rel=1e-2)
    # a remainder of a tenth of a cell, on either side, goes to its neighbour
    for part in (0.1, 0.9):
        radius = (1 - part) * star.faces[30] + part * star.faces[31]
        faces = core.join(shell, radius).faces
        dropped = 30 if part == 0.1 else 31
        expected = np.sort(np.append(np.delete(star.faces, dropped), radius))
        np.testing.assert_array_equal(faces, expected)


def test_join_completes_composition_and_metric():
    star = smooth_profile(60)
    star.fluid.electron_fraction[50:] = 0.8
    core, shell = split(star, 40, 40)
    core.fluid = replace(core.fluid, **cold_composition(core.fluid.electron_fraction))
    core.lapse = core.metric_gamma = np.full(40, 0.9)
    joined = core.join(shell)
    joined.validate()
    assert joined.fluid.has_composition
    np.testing.assert_allclose(joined.fluid.proton_fraction[50:], 0.6, rtol=1e-14)
    np.testing.assert_allclose(joined.fluid.alpha_fraction[50:], 0.4, rtol=1e-14)
    np.testing.assert_array_equal(joined.lapse[:40], 0.9)
    compactness = 1.0 - joined.lapse[-1] ** 2
    assert compactness == pytest.approx(2.9532e5 * joined.total_mass() / SOLAR_MASS / joined.centers[-1], rel=2e-3)
    # composition known outside only: nothing can be said about the core
    core.fluid = star.fluid.take(slice(0, 40))
    shell.fluid = replace(shell.fluid, **cold_composition(shell.fluid.electron_fraction))
    assert not core.join(shell).fluid.has_composition


def test_join_outside_either_profile():
    star = smooth_profile(60)
    core, shell = split(star, 20, 40)
    with pytest.raises(ProfileError, match="covered by both"):
        core.join(shell)
    core, shell = split(star, 40, 20)
    with pytest.raises(ProfileError, match=r"joint at 1\.9e"):
        core.join(shell, 1.9e8)
    with pytest.raises(ProfileError, match="joint at 1e"):
        core.join(shell, 1e7)


def test_cold_composition_is_complete_and_neutral():
    ye = np.array([0.42, 0.4899, 0.4902, 0.49998, 0.5, 0.50001, 0.7, 0.85, 1.0])
    parts = cold_composition(ye)
    fluid = Fluid(np.ones(ye.size), np.ones(ye.size), ye, np.zeros(ye.size), **parts)
    fluid.validate()
    charge = fluid.proton_fraction + 0.5 * fluid.alpha_fraction
    charge += fluid.heavy_fraction * fluid.heavy_charge_number / fluid.heavy_mass_number
    np.testing.assert_allclose(charge, ye, rtol=1e-14)
    total = fluid.neutron_fraction + fluid.proton_fraction + fluid.alpha_fraction + fluid.heavy_fraction
    np.testing.assert_allclose(total, 1.0, rtol=1e-14)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda p: p.faces.__setitem__(4, p.faces[3]), ProfileError, "not increasing at cell 3"),
        (lambda p: p.faces.__setitem__(4, np.nan), ProfileError, "face 4 is"),
        (lambda p: p.faces.__setitem__(0, -1.0), ProfileError, "face 0 is"),
        (lambda p: p.fluid.mass_density.__setitem__(2, -1.0), UnphysicalInputError, "mass_density in cell 2"),
        (lambda p: p.fluid.temperature.__setitem__(5, np.nan), UnphysicalInputError, "temperature in cell 5"),
        (lambda p: p.fluid.electron_fraction.__setitem__(1, 1.2), UnphysicalInputError, "electron_fraction in cell 1"),
        (lambda p: p.fluid.heavy_fraction.__setitem__(6, 1.0), UnphysicalInputError, "cell 6 add up to"),
        (lambda p: setattr(p, "fluid", p.fluid.take(slice(0, 3))), ProfileError, "3 cells of matter on 12"),
        (lambda p: setattr(p, "faces", np.array([1.0])), ProfileError, "n >= 1"),
        (lambda p: p.lapse.__setitem__(7, 0.0), UnphysicalInputError, "lapse in cell 7"),
        (lambda p: setattr(p, "metric_gamma", np.ones(2)), ProfileError, "metric_gamma has shape"),
    ],
)
def test_validate(change, error, message):
    profile = composed()
    profile.validate()
    change(profile)
    with pytest.raises(error, match=message):
        profile.validate()


def test_table_round_trip_is_exact(tmp_path):
    profile = composed()
    write_reference(tmp_path / "b.txt", profile)
    profile.write_table(tmp_path / "a.txt", reference="b.txt")
    assert is_table(tmp_path / "a.txt")
    assert not is_table(tmp_path / "b.txt")
    back = Profile.read_table(tmp_path / "a.txt")
    assert_same_fluid(back.fluid, profile.fluid)
    for name in ("faces", "lapse", "metric_gamma"):
        np.testing.assert_array_equal(getattr(back, name), getattr(profile, name))
    assert (back.time, back.citation, back.title, back.notes) == (
        profile.time,
        profile.citation,
        profile.title,
        profile.notes,
    )
    for name, value in profile.reference.items():
        if isinstance(value, dict):
            for species in SPECIES:
                np.testing.assert_array_equal(back.reference[name][species], value[species])
        else:
            np.testing.assert_array_equal(back.reference[name], value)


def test_table_without_options_round_trips(tmp_path):
    profile = smooth_profile(5)
    profile.write_table(tmp_path / "a.txt")
    back = Profile.read_table(tmp_path / "a.txt")
    assert_same_fluid(back.fluid, profile.fluid)
    assert back.time is None
    assert back.reference is None
    assert back.notes == ()


def edited(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda p: edited(p, "# misci_transport table: profile", "# other"), "line 1 is not"),
        (lambda p: edited(p, "format_version: 1", "format_version: 9"), "format_version is 9; accepted: 1"),
        (lambda p: p.write_text("\n".join(p.read_text().splitlines()[:-1]) + "\n"), "truncated at line 10: 4 rows"),
        (lambda p: p.write_text("\n".join(p.read_text().splitlines()[:4]) + "\n"), "no '# columns:' line"),
        (lambda p: p.write_text(p.read_text()[:-2]), "truncated at line 11: it does not end"),
        (lambda p: edited(p, "2.0 7.0 0.25 0.25", "2.0 7.0 0.25"), "line 8: 4 numbers, expected 5 .*: velocity"),
        (lambda p: edited(p, "temperature [MeV]", "heat [1]"), "unknown column 'heat'"),
        (lambda p: edited(p, "temperature [MeV]", "temperature [K]"), r"'temperature' is in \[K\]; accepted: \[MeV\]"),
        (lambda p: edited(p, "temperature [MeV]", "temperature"), "accepted: name"),
        (lambda p: edited(p, "temperature [MeV]", "lapse [1]"), "column 'temperature' is missing"),
        (lambda p: edited(p, "\n2.0 ", "\nnan "), "line 8: column 'outer_face' is 'nan'"),
        (lambda p: edited(p, "\n2.0 ", "\n0.5 "), "'outer_face' is 0.5 in row 2"),
        (lambda p: edited(p, "\n2.0 7.0", "\n2.0 -7.0"), "mass_density in cell 1 is"),
        (lambda p: edited(p, "rows: 5", "rows: many"), "header 'rows' is 'many'"),
        (lambda p: edited(p, "# rows", "# reference: gone.txt\n# rows"), "gone.txt: cannot be read"),
        (lambda p: edited(p, "# columns", "1.0 2.0\n# columns"), "line 6: numbers before"),
        (lambda p: p.write_bytes(b"\xff\xfe\x00"), "cannot be read as text"),
    ],
)
def test_bad_tables(tmp_path, edit, message):
    path = tmp_path / "star.txt"
    profile = Profile(np.arange(6.0), Fluid(np.arange(6.0, 11.0), *np.full((3, 5), 0.25)))
    profile.write_table(path)
    edit(path)
    with pytest.raises((ProfileError, UnphysicalInputError), match=message) as caught:
        Profile.read_table(path)
    assert str(tmp_path) in str(caught.value)


def test_bad_reference(tmp_path):
    path = tmp_path / "n.txt"
    profile = composed(4)
    write_reference(path, profile)
    edited(path, "luminosity.nu_x [erg/s]", "other [1]")
    with pytest.raises(ProfileError, match=r"column 'luminosity.nu_x' is missing"):
        read_reference(path)
    profile.reference["radius"] = profile.reference["radius"][::-1]
    write_reference(path, profile)
    with pytest.raises(ProfileError, match=r"column 'radius' is .* in row 2"):
        read_reference(path)
    profile.reference = None
    with pytest.raises(ProfileError, match="no published neutrino results"):
        write_reference(path, profile)


def test_describe():
    profile = composed()
    summary = describe(profile)
    assert summary["cells"] == 12
    assert summary["time [s]"] == profile.time
    assert summary["total_mass [solar masses]"] * SOLAR_MASS == pytest.approx(profile.total_mass())
    assert summary["fields"]["temperature"]["unit"] == "MeV"
    assert summary["fields"]["temperature"]["maximum"] == profile.fluid.temperature.max()
    assert summary["missing"] == []
    assert set(describe(smooth_profile(4))["missing"]) >= {"neutron_fraction", "time", "lapse", "reference"}


def test_shipped_star_reaches_beyond_both_resonances():
    """Masses: 1.742 solar masses enclosed by the middle of the last zone, and half of that zone (published)."""
    core = Profile.read_table(EXAMPLES / "agile_boltztran_98ms.txt")
    assert core.total_mass() == pytest.approx((1.742 + 0.5 * 7.429e31 / 1.989e33) * 1.989e33, rel=5e-4)
    star = core.join(Profile.read_table(EXAMPLES / "s15s7b2.txt"))
    star.validate()
    assert star.time == 0.0981
    assert star.faces[-1] > 1e13
    assert star.fluid.electron_fraction.max() == pytest.approx(0.8529, rel=1e-4)
    assert star.joint["density_ratio"] == pytest.approx(1.0, abs=0.1)
    assert star.joint["temperature_ratio"] == pytest.approx(1.0, abs=0.05)
    assert star.fluid.has_composition
    fluid = star.on_faces(np.concatenate([star.faces[:91], np.geomspace(star.faces[91], 1e12, 60)]))
    fluid.validate()
    np.testing.assert_array_equal(fluid.temperature[:90], core.fluid.temperature[:90])
    reference = star.reference
    index = int(np.searchsorted(reference["radius"], 1e7))
    assert reference["luminosity"]["nu_e"][index] == pytest.approx(4.816e52)
    assert reference["rms_energy"]["nubar_x"][index] == 19.48
    assert reference["energy_rate"].size == core.size


def test_shipped_vertex_star():
    core = Profile.read_table(EXAMPLES / "vertex_100ms.txt")
    star = core.join(Profile.read_table(EXAMPLES / "s15s7b2.txt"))
    star.validate()
    assert core.faces[-1] == pytest.approx(1e9, rel=1e-5)
    assert core.total_mass() == pytest.approx(1.9877 * 1.989e33, rel=6e-4)
    assert star.joint["density_ratio"] == pytest.approx(1.0, abs=0.1)
    assert star.reference["radius"].size < star.reference["heating_radius"].size


def test_temperature_of_a_real_star_from_half_of_its_zones():
    """Luminosities need the temperature to 0.2 %: even half of the zones give it, the dissociation layer apart."""
    star = Profile.read_table(EXAMPLES / "agile_boltztran_98ms.txt")
    center, temperature = star.centers, star.fluid.temperature
    errors = []
    for start in (0, 1):
        kept = np.arange(start, star.size, 2)
        left_out = np.arange(1 - start, star.size, 2)
        left_out = left_out[(center[left_out] > 2e6) & (center[left_out] < 1.25e7)]
        found = _interpolate(center[kept], np.log(temperature[kept]), center[left_out], _monotone_cubic)
        errors.extend(np.abs(np.exp(found) / temperature[left_out] - 1.0))
    assert len(errors) > 30
    assert np.quantile(errors, 0.9) < 2e-3
    assert max(errors) < 1e-2
