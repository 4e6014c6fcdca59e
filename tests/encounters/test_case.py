"""Case files of encounter gases and of many-body states, from reading to pictures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from misci_transport.config import to_toml
from misci_transport.encounters import Group, Setting, simulate
from misci_transport.encounters_run import run_encounters
from misci_transport.errors import ConfigurationError
from misci_transport.io.read import open_output
from misci_transport.manybody import TwoBeams
from misci_transport.manybody_run import run_manybody
from misci_transport.models import load_case
from misci_transport.parallel.petsc import world
from misci_transport.plotting.gallery import plot_output

#: the first warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "encounters"
SMALL = {
    "two_groups": ["run.end_time=4.0", "run.outputs=4", "gas.gamma=0.2", "gas.realizations=3"],
    "hemispheres": [
        "run.end_time=4.0",
        "run.outputs=4",
        "gas.gamma=0.2",
        "run.cosines=3",
        "groups.up.number=60",
        "groups.down.number=40",
    ],
    "once": ["run.end_time=2.0", "run.outputs=2", "groups.first.number=60", "groups.second.number=40"],
    "two_beams": ['neutrinos.flavors="eeexxx"', "run.end_time=2.0", "run.outputs=4", "run.pairs=[[0, 1], [5, 0]]"],
}


def computed(name, tmp_path, *further):
    model, case = load_case(EXAMPLES / f"{name}.toml", [*SMALL[name], *further])
    lines = model.run(case, str(tmp_path), world(), None)
    (path,) = tmp_path.glob("output_*.h5")
    assert lines[-1] == f"wrote {path}"
    return case, lines, path


@pytest.mark.parametrize("name", sorted(SMALL))
def test_examples_run_and_have_pictures(name, tmp_path):
    case, lines, path = computed(name, tmp_path)
    assert len(lines) >= 4
    made = {picture.name.split("_", 2)[2] for picture in plot_output(path, tmp_path)}
    assert made == ({"neutrinos.png"} if name == "two_beams" else {"groups.png", "entanglement.png"})
    # the file holds the case, and reading that is the case again
    again = tmp_path / "again.toml"
    with open_output(path) as reader:
        again.write_text(reader.configuration)
    assert load_case(again)[1] == case
    assert to_toml(case) == again.read_text()


def test_output_of_a_gas_is_the_gas(tmp_path):
    case, _, path = computed("two_groups", tmp_path)
    tilted = tuple(case.groups["second"].polarization)
    groups = (Group(60, (0.0, 0.0, 1.0)), Group(40, tilted, direction=(1.0, 0.0, 0.0)))
    expected = simulate(Setting(groups, 0.2), [0, 5, 10, 15, 20], 3)
    with open_output(path) as reader:
        np.testing.assert_array_equal(reader["realizations/polarization"], expected.polarization)
        np.testing.assert_allclose(reader["groups/entropy"], expected.entropy.mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(reader["series/time"], expected.times, rtol=1e-14)
        axis = reader["groups/total_axis"]
        # pure neutrinos at the start, 2 rad apart
        first = 0.5 * np.sin(0.4) * (1.0 - np.cos(2.0))
        np.testing.assert_allclose(reader["groups/concurrence"][0], [[0.0, first], [first, 0.0]], atol=1e-7)
        away = (reader["miscidynamics/polarization"] - reader["slow/polarization"]) @ axis
        assert np.abs(away).max() < 1e-8


def test_output_of_many_bodies(tmp_path):
    _, _, path = computed("two_beams", tmp_path)
    exact = TwoBeams(6)
    with open_output(path) as reader:
        p, times = reader["neutrinos/polarization"], reader["series/time"]
        np.testing.assert_allclose(p[:, 0, 2], exact.spin_of_beam(times), atol=1e-11)
        np.testing.assert_allclose(p[:, 5, 2], -exact.spin_of_beam(times), atol=1e-11)
        # neutrinos 0 and 1 of one beam know less of each other than all is worth
        assert (reader["pairs/entropy"][1:] <= 2.0 * reader["neutrinos/entropy"][1:, :1] + 1e-12).all()


def test_tilts_and_frequencies_hold_all_states(tmp_path):
    case, lines, path = computed(
        "two_beams",
        tmp_path,
        "neutrinos.tilts=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]",
        'coupling.kind="isotropic"',
        "coupling.frequencies=[1.0, 0.0, 0.5, 0.2, 0.1, -1.0]",
    )
    assert "all states: 64 amplitudes" in lines[0]
    assert case.ups is None
    with open_output(path) as reader:
        np.testing.assert_allclose(np.linalg.norm(reader["neutrinos/polarization"][0], axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose(reader["series/norm"], 1.0, atol=1e-12)
        np.testing.assert_allclose(reader["neutrinos/polarization"][0, 0, 0], np.sin(0.1), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("two_groups", "gas.gamma=-1.0", "gas.gamma"),
        ("two_groups", "groups.first.number=61", "even"),
        ("two_groups", "groups.first.polarization=[0.0, 1.0]", "list of 3"),
        ("two_groups", "groups.first.direction=[0.0, 0.0, 2.0]", "unit vector"),
        ("two_groups", "run.end_time=1e-9", "encounters"),
        ("two_groups", "gas.speed=1", "speed"),
        ("once", "run.end_time=100.0", "N - 1"),
        ("two_beams", 'neutrinos.flavors="emx"', "flavors"),
        ("two_beams", "neutrinos.tilts=[0.1]", "tilts"),
        ("two_beams", "coupling.frequencies=[0.1]", "frequencies"),
        ("two_beams", "run.pairs=[[0, 0]]", "pairs"),
    ],
)
def test_wrong_cases_are_refused(name, change, words):
    with pytest.raises(ConfigurationError, match=words):
        load_case(EXAMPLES / f"{name}.toml", [*SMALL[name], change])


@pytest.mark.parametrize(("name", "run"), [("two_groups", run_encounters), ("two_beams", run_manybody)])
def test_there_are_no_restarts(name, run, tmp_path):
    with pytest.raises(ConfigurationError, match="restart"):
        run(load_case(EXAMPLES / f"{name}.toml", SMALL[name])[1], str(tmp_path), world(), "checkpoint.h5")


def test_keys_of_the_page_are_those_of_the_models():
    docs = EXAMPLES.parents[1] / "docs"
    spec = importlib.util.spec_from_file_location("update_keys", docs / "update_keys.py")
    update_keys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update_keys)
    page = (docs / "encounters.md").read_text(encoding="utf-8").partition(update_keys.HEADING)[2]
    assert page.strip() == update_keys.encounter_tables().strip(), "run docs/update_keys.py"
