"""`misci run` of the kinetic equation: case files, output, restart, pictures, and refusals."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from misci_transport import cli
from misci_transport.errors import CheckpointError, ConfigurationError
from misci_transport.inspect_file import describe_file
from misci_transport.io.read import open_output
from misci_transport.kinetics_case import KineticCase
from misci_transport.models import MODELS, load_case

pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")

BEAMS = """
model = "kinetics"
title = "beams"
[box]
cells = 60
length = 12.0
[directions]
kind = "beams"
[spectrum]
kind = "beams"
[seed]
kind = "random"
amplitude = 1e-2
modes = 5
[run]
end_time = 6.0
measure_every = 3
wave_numbers = [0.5235987755982988]
"""


@pytest.fixture
def case_file(tmp_path):
    def write(text=BEAMS):
        path = tmp_path / "case.toml"
        path.write_text(text)
        return path

    return write


def run(path, directory, *more):
    assert cli.main(["run", str(path), "-o", str(directory), *more]) == 0


def test_run_writes_series_and_state_and_tells_its_cost(case_file, tmp_path, capsys):
    run(case_file(), tmp_path / "out")
    text = capsys.readouterr().out
    for word in (
        "cost: ",
        "ns of one core per cell, direction, group and step (60 cells, 2 directions",
        "Tr rho^2",
        "wrote",
    ):
        assert word in text
    path = tmp_path / "out" / "output_00000030.h5"
    with open_output(path) as reader:
        assert reader.attributes["model"] == "kinetics"
        time = reader["series/time"]
        assert time == pytest.approx(0.6 * np.arange(11))
        assert reader["state/density_matrix"].shape == (60, 2, 2, 1, 4)
        assert reader["map/electron_content"].shape == (60, 11)
        assert reader["series/fourier_power"].shape == (11, 1, 2, 2, 1, 1)
        assert reader["series/survival"][0, :, 0, 0] == pytest.approx(1.0)
        assert np.isnan(reader["series/survival"][:, :, 1]).all()
        # the perturbations grow, and the traces stay
        assert reader["series/coherence"][-1, 0, 0, 0, 0] > 3.0 * reader["series/coherence"][0, 0, 0, 0, 0]
        traces = reader["series/trace_powers"]
        assert np.abs(traces - traces[0]).max() < 1e-14
    about = describe_file(path)
    assert about["model"] == "kinetics"
    assert "series/refractive_energy" in about["fields"]


def test_restart_is_the_uninterrupted_run(case_file, tmp_path):
    run(case_file(), tmp_path / "whole", "--set", "run.checkpoint_every=12")
    run(case_file(), tmp_path / "rest", "--restart", str(tmp_path / "whole" / "checkpoint_00000012.h5"))
    names = ("whole", "rest")
    with (
        h5py.File(tmp_path / names[0] / "output_00000030.h5") as a,
        h5py.File(tmp_path / names[1] / "output_00000030.h5") as b,
    ):
        found = []
        a.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        assert len(found) > 15
        assert all(np.array_equal(a[name], b[name], equal_nan=True) for name in found)


def test_restart_refuses_what_does_not_fit(case_file, tmp_path):
    run(case_file(), tmp_path / "out")
    last = tmp_path / "out" / "checkpoint_00000030.h5"
    model, case = load_case(case_file())
    with pytest.raises(ConfigurationError, match="the checkpoint is after 30; accepted: a later end"):
        run_of(model, case, tmp_path, last)
    model, case = load_case(case_file(), ["box.cells=40"])
    with pytest.raises(CheckpointError, match="density matrices have shape"):
        run_of(model, case, tmp_path, last)
    model, case = load_case(case_file(), ["run.wave_numbers=[]", "run.entropy=true", "run.end_time=9"])
    with pytest.raises(CheckpointError, match="series/entropy is missing"):
        run_of(model, case, tmp_path, last)


def run_of(model, case, directory, restart):
    from mpi4py import MPI

    model.run(case, str(directory / "again"), MPI.COMM_SELF, restart)


def test_pictures_of_a_run(case_file, tmp_path, capsys):
    run(case_file(), tmp_path / "out", "--set", "run.end_time=1.2")
    capsys.readouterr()
    assert cli.main(["plot", str(tmp_path / "out")]) == 0
    made = capsys.readouterr().out.split()
    assert [name.rpartition("_")[2] for name in made] == ["conversion.png", "content.png", "angles.png"]


@pytest.mark.parametrize(
    "text",
    [
        """
        [box]
        boundary = "homogeneous"
        [directions]
        count = 4
        [hamiltonian]
        frequency = [0.5, 1.0]
        theta = 0.2
        ordering = "inverted"
        number_weight = [1.0, 0.5]
        [collisions]
        emission = [0.01, 0.0]
        absorption = [0.02, 0.01]
        scattering = 0.1
        [run]
        end_time = 1.0
        dt = 0.1
        entropy = true
        """,
        """
        [box]
        boundary = "open"
        cells = 12
        flavors = 3
        [spectrum]
        kind = "gaussians"
        sigma = 0.7
        pairs = 0.1
        [hamiltonian]
        frequency = [0.5]
        matter_potential = 2.0
        [seed]
        kind = "wave"
        wave_number = 6.0
        [run]
        end_time = 0.3
        """,
    ],
)
def test_other_boxes_run(case_file, tmp_path, text):
    run(case_file('model = "kinetics"\n' + "\n".join(line.strip() for line in text.splitlines())), tmp_path / "out")
    files = sorted((tmp_path / "out").glob("output_*.h5"))
    with open_output(files[-1]) as reader:
        assert np.isfinite(reader["state/density_matrix"]).all()
        if "series/entropy" in reader:
            # emission and mixing: nothing keeps the entropy, but it is a number
            assert np.isfinite(reader["series/entropy"]).all()


def test_models_are_chosen_by_name(case_file):
    model, case = load_case(case_file())
    assert model is MODELS["kinetics"]
    assert isinstance(case, KineticCase)
    with pytest.raises(ConfigurationError, match="model is 'weather'; accepted: 'miscidynamics', 'kinetics'"):
        load_case(case_file(), ["model=weather"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("box.cels=3", "unknown key box.cels; did you mean box.cells?"),
        ("box.boundary=homogeneous", 'box.cells is 60; accepted with boundary = "homogeneous": 1'),
        ("spectrum.kind=linear", None),
        ("spectrum.slope=2", "angular spectrum 'beams' has no parameter 'slope'"),
        ("directions.count=3", "number of directions is 3"),
        ("collisions.emission=[1.0]", "collisions.emission has 1 rates; accepted: 2"),
        ("hamiltonian.filling=[1.0, 2.0]", "hamiltonian.filling has 2 values"),
        ("run.end_time=-1", "run.end_time is -1; accepted: a number > 0"),
    ],
)
def test_wrong_keys(case_file, change, words):
    if words is None:
        load_case(case_file(), [change])
        return
    with pytest.raises(ConfigurationError) as caught:
        load_case(case_file(), [change])
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["two_beams", "fast_box"])
def test_examples_are_valid(name):
    from pathlib import Path

    path = Path(__file__).parents[2] / "examples" / "kinetics" / f"{name}.toml"
    _, case = load_case(path)
    assert case.make_box(None).setup.cells == case.box.cells


def test_tables_of_keys_are_those_of_the_options():
    import importlib.util
    from pathlib import Path

    docs = Path(__file__).parents[2] / "docs"
    spec = importlib.util.spec_from_file_location("update_keys", docs / "update_keys.py")
    update_keys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update_keys)
    page = (docs / "kinetics.md").read_text(encoding="utf-8").partition(update_keys.HEADING)[2]
    assert page.strip() == update_keys.kinetic_tables().strip(), "run docs/update_keys.py"
