from __future__ import annotations

import numpy as np
import pytest

from misci_transport.constants import ATOMIC_MASS_UNIT, EV2_TO_MEV2, FERMI_POTENTIAL, HBAR_C
from misci_transport.energy import EnergyGrid
from misci_transport.errors import OutputError
from misci_transport.fields import Field
from misci_transport.flavor import MixingParameters
from misci_transport.io.output import write_fields
from misci_transport.io.read import open_output
from misci_transport.plotting import pictures
from misci_transport.plotting.gallery import PICTURES, plot_output
from misci_transport.plotting.style import save, styled

#: the first warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")

ENERGY = EnergyGrid.logarithmic(1.5, 300.0, 16)
BY_FACE = ("face", "species", "flavor")


def pinched(luminosity, mean):
    """Number spectrum per MeV of a given energy luminosity (erg/s) and mean energy (MeV)."""
    shape = ENERGY.center**3 * np.exp(-4.0 * ENERGY.center / mean)
    step = np.gradient(np.log(ENERGY.center)) * ENERGY.center
    return luminosity / 1.602e-6 * shape / np.sum(shape * ENERGY.center * step)


def star(*, mixing=True, history=False):
    """Fields of an imaginary star: a power-law envelope, constant luminosities, adiabatic conversion."""
    face = np.concatenate([[0.0], np.geomspace(1e6, 1e12, 160)])
    center = 0.5 * (face[1:] + face[:-1])
    matter = FERMI_POTENTIAL * 0.5 * 1e12 * np.minimum((center / 4e6) ** -3, 100.0) / ATOMIC_MASS_UNIT
    parameters = MixingParameters.global_fit("normal")
    splitting = np.array([parameters.dm2_21, parameters.dm2_31]) * EV2_TO_MEV2 / HBAR_C
    frequency = splitting / (2.0 * ENERGY.center[:, None])
    spectrum = np.array(
        [
            [pinched(5e52, 11.0), pinched(2.5e52, 16.0), pinched(2.5e52, 16.0)],
            [pinched(4.8e52, 14.0), pinched(2.5e52, 16.0), pinched(2.5e52, 16.0)],
        ]
    )
    content = np.empty((center.size, 2, ENERGY.size, 3))
    for species, sign in ((0, 1.0), (1, -1.0)):
        mass = np.zeros((ENERGY.size, 3))
        mass[:, 1:] = frequency
        h = sign * np.einsum("ai,gi,bi->gab", parameters.matrix, mass, parameters.matrix.conj())
        for cell in range(center.size):
            total = h.copy()
            total[:, 0, 0] += matter[cell]
            content[cell, species] = np.abs(np.linalg.eigh(total)[1][:, 0, :]) ** 2
    occupied = content[5].argmax(axis=2)  # (species, group): the level that is nu_e deep inside
    levels = np.empty((2, 3, ENERGY.size))
    for species in (0, 1):
        for group in range(ENERGY.size):
            levels[species, :, group] = spectrum[species, 1, group]
            levels[species, occupied[species, group], group] = spectrum[species, 0, group]
    by_face = np.repeat(spectrum[None], face.size, axis=0)
    if mixing:
        electron = np.einsum("skg,csgk->csg", levels, content)
        total = spectrum.sum(axis=1)
        by_face[1:, :, 0] = electron
        by_face[1:, :, 1:] = 0.5 * (total - electron)[:, :, None]
    step = np.gradient(np.log(ENERGY.center)) * ENERGY.center
    luminosity = 1.602e-6 * np.einsum("fskg,g->fsk", by_face, ENERGY.center * step)
    rms = np.sqrt(np.einsum("fskg,g->fsk", by_face, ENERGY.center**2 * step) / np.einsum("fskg,g->fsk", by_face, step))[
        1:
    ]
    turn_on = np.clip(face / 6e6, 0.0, 1.0)[:, None, None] ** 4
    locked = (matter > 1e3 * frequency.max()).astype(float)
    rng = np.random.default_rng(1)
    heat = 120.0 * np.exp(-(((center - 1.2e7) / 4e6) ** 2)) - 300.0 * np.exp(-(((center - 7e6) / 1.5e6) ** 2))
    radius = np.geomspace(3e6, 5e8, 40)
    published = np.array([5.1e52, 4.7e52, 2.4e52, 2.4e52])[:, None] * np.clip(radius / 6e6, 0, 1) ** 4
    probability = np.einsum("sgk,skg->sg", content[-1], levels) - spectrum[:, 1]
    probability /= spectrum[:, 0] - spectrum[:, 1]
    cell = ("cell",)
    fields = [
        Field("mesh/face", face, ("face",), "cm", "faces", "global"),
        Field("energy/center", ENERGY.center, ("group",), "MeV", "energies", "global"),
        Field("radiation/luminosity", luminosity * turn_on, BY_FACE, "erg/s", "L", "face"),
        Field("radiation/rms_energy", rms, ("cell", "species", "flavor"), "MeV", "E"),
        Field("radiation/number_spectrum", by_face, (*BY_FACE, "group"), "1/s/MeV", "N", "face"),
        Field("mixing/matter_potential", matter, cell, "1/cm", "V"),
        Field("mixing/self_interaction", 3e-2 * (center / 4e6) ** -4.0 * np.sign(center - 2e6), cell, "1/cm", "mu"),
        Field("mixing/vacuum_frequency", frequency, ("group", "splitting"), "1/cm", "omega", "global"),
        Field("mixing/electron_content", content, ("cell", "species", "group", "level"), "1", "U"),
        Field(
            "mixing/level_number_luminosity",
            np.repeat(levels[None], face.size, axis=0),
            ("face", "species", "level", "group"),
            "1/s/MeV",
            "N",
            "face",
        ),
        Field("alignment/iterations", np.where(locked, 0.0, rng.integers(1, 8, center.size)), cell, "1", "n"),
        Field("alignment/residual", np.where(locked, 0.0, 1e-14 * rng.random(center.size)), cell, "1", "res"),
        Field("alignment/locked", locked, cell, "1", "locked"),
        Field("alignment/status", np.zeros(center.size), cell, "1", "status"),
        Field("solver/residual_history", np.array([1.0, 1e-2, 1e-6, 1e-11]), ("newton_iteration",), "1", "", "global"),
        Field("solver/krylov_iterations", np.array(41.0), (), "1", "", "global"),
        Field("sources/heating_per_baryon", 1.602e-6 * heat, cell, "erg/s", "q"),
        Field("sources/deleptonization_per_baryon", heat / 40.0, cell, "1/s", "q"),
        Field("survival/surface", probability, ("species", "group"), "1", "P", "global"),
        Field("survival/surface_from_levels", probability, ("species", "group"), "1", "P", "global"),
        Field("survival/adiabatic_vacuum", np.array([0.02215, 0.6767]), ("species",), "1", "P", "global"),
        *(
            Field(f"thermodynamics/{name}", size * turn_on[1:, 0, 0] * (center / 1e7) ** -3, cell, "MeV/cm^3", name)
            for name, size in (
                ("change", 1e20),
                ("work", 6e19),
                ("transport", 4e19),
                ("collisions", 2e16),
                ("charges", 0.0),
                ("kinematic", 0.0),
                ("corrections", 0.0),
                ("imbalance", 1e4),
                ("scale", 1e22),
            )
        ),
        Field("reference/radius", radius, ("r",), "cm", "r", "global"),
        Field("reference/luminosity", published, ("s", "r"), "erg/s", "L", "global"),
        Field(
            "reference/rms_energy",
            np.array([12.0, 15.0, 19.0, 19.0])[:, None] * np.ones(40),
            ("s", "r"),
            "MeV",
            "E",
            "global",
        ),
        Field("reference/heating_radius", radius, ("h",), "cm", "r", "global"),
        Field("reference/energy_rate", 1.5e-6 * np.interp(radius, center, heat), ("h",), "erg/s", "q", "global"),
        Field("reference/lepton_rate", np.interp(radius, center, heat) / 42.0, ("h",), "1/s", "q", "global"),
    ]
    if history:
        t = np.linspace(0.0, 1e-3, 50)
        for name, values in {"time": t, "inflow_energy": -1e55 * t, "collisions_energy": 3e55 * t}.items():
            unit = "s" if name == "time" else "MeV"
            fields.append(Field(f"history/{name}", values, ("step",), unit, name, "global"))
        fields.append(Field("history/count_negative", 100.0 * t, ("step",), "1", "count", "global"))
    return fields


HEADER = {"title": "imaginary star", "ordering": "normal", "variant": ""}


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    with np.errstate(all="ignore"):
        folder = tmp_path_factory.mktemp("star")
        write_fields(folder / "steady.h5", star(history=True), HEADER)
        write_fields(folder / "steady_without_mixing.h5", star(mixing=False), HEADER | {"variant": "without mixing"})
        write_fields(folder / "steady_without_self_interaction.h5", star(), HEADER)
    return folder / "steady.h5"


def test_every_picture_is_made(output, tmp_path):
    made = plot_output(output, tmp_path / "pictures")
    assert [path.name for path in made] == [f"steady_{name}.png" for name, _, _ in PICTURES]
    for path in made:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 10_000


def test_pictures_of_equal_outputs_are_equal(output, tmp_path):
    with open_output(output) as reader:
        first, second = (
            save(pictures.hamiltonian(reader), tmp_path / name).read_bytes() for name in ("a.png", "b.png")
        )
    assert first == second


def test_curves_and_published_values_are_on_the_same_axes(output):
    with open_output(output) as reader:
        upper, lower = pictures.luminosities(reader).axes
        radius, published = reader["reference/radius"], reader["reference/luminosity"]
        luminosity = reader["radiation/luminosity"]
    labels = upper.get_legend_handles_labels()[1]
    assert labels[:2] == [r"$\nu_{e}$", r"$\nu_{\mu}$"]
    assert labels[6:] == [r"$\nu_e$ published", r"$\bar\nu_e$ published", r"$\nu_x$ published"]
    np.testing.assert_allclose(upper.lines[6].get_xdata(), radius[radius > 3e6] / 1e5)
    np.testing.assert_allclose(upper.lines[6].get_ydata(), published[0][radius > 3e6] / 1e51)
    np.testing.assert_allclose(upper.lines[0].get_ydata()[-1], luminosity[-1, 0, 0] / 1e51)
    assert upper.get_xscale() == lower.get_xscale() == "log"
    assert "erg s" in upper.get_ylabel()
    assert lower.get_xlabel() == "radius [km]"


def test_resonances_are_where_matter_equals_the_vacuum_frequency(output):
    with open_output(output) as reader:
        (panel,) = pictures.hamiltonian(reader).axes
        center = 0.5 * (reader["mesh/face"][1:] + reader["mesh/face"][:-1])
        matter, frequency = reader["mixing/matter_potential"], reader["mixing/vacuum_frequency"]
        shown = np.argmin(np.abs(reader["energy/center"] - 15.0))
    marks = [line for line in panel.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    assert len(marks) == 2
    for split, mark in enumerate(marks):
        at = np.exp(np.interp(np.log(mark.get_xdata()[0] * 1e5), np.log(center), np.log(matter)))
        assert at == pytest.approx(abs(frequency[shown, split]), rel=1e-6)


def test_survival_shows_the_expected_line(output):
    with open_output(output) as reader:
        figure = pictures.survival(reader)
    for panel, expected in zip(figure.axes, (0.02215, 0.6767), strict=True):
        assert panel.lines[0].get_ydata()[0] == expected
        # the imaginary star converts adiabatically up to 1e12 cm, where matter still shifts the solar pair a little
        np.testing.assert_allclose(panel.lines[1].get_ydata(), expected, atol=0.01)


def test_two_flavor_names(tmp_path):
    text = "[flavors]\nnumber = 2\n"
    path = write_fields(tmp_path / "two.h5", star(), HEADER | {"configuration": text})
    with open_output(path) as reader:
        labels = pictures.luminosities(reader).axes[0].get_legend_handles_labels()[1]
    assert labels[:3] == [r"$\nu_{e}$", r"$\nu_{x}$", r"$\nu_{x'}$"]


def test_output_without_anything_to_show(tmp_path):
    path = write_fields(tmp_path / "bare.h5", star()[:2], HEADER)
    with pytest.raises(OutputError, match="none of its fields has a picture; found energy/center, mesh/face"):
        plot_output(path, tmp_path)


def test_settings_are_undone(output):
    import matplotlib

    before = dict(matplotlib.rcParams)
    with styled():
        assert matplotlib.rcParams["axes.grid"] is True
    assert dict(matplotlib.rcParams) == before


def test_importing_the_package_does_not_import_matplotlib():
    import subprocess
    import sys

    code = "import sys, misci_transport.plotting.gallery; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
