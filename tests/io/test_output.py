from __future__ import annotations

import os
import shutil

import h5py
import numpy as np
import pytest

from misci_transport.errors import CheckpointError, OutputError
from misci_transport.fields import Field
from misci_transport.io import output
from misci_transport.io.output import prepare_directory, write_fields
from misci_transport.io.read import open_checkpoint, open_output
from misci_transport.io.xdmf import write_xdmf

#: Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


def star(cells=5):
    rng = np.random.default_rng(3)
    return [
        Field("mesh/face", np.linspace(0.0, 1e7, cells + 1), ("face",), "cm", "faces of the cells", "global"),
        Field("fluid/mass_density", rng.random(cells), ("cell",), "g/cm^3", "mass density"),
        Field(
            "radiation/luminosity", rng.random((cells + 1, 2, 3)), ("face", "species", "flavor"), "erg/s", "L", "face"
        ),
        Field("alignment/status", np.arange(cells), ("cell",), "1", "0 is converged"),
        Field(
            "radiation/mean_occupation", rng.random((cells, 2, 3, 4)), ("cell", "species", "flavor", "group"), "1", "f"
        ),
        Field("time", np.float64(0.25), (), "s", "time", "global"),
    ]


def test_round_trip_is_exact(tmp_path):
    path = write_fields(tmp_path / "star.h5", star(), {"title": "G15", "step": 7, "time": 0.25})
    with open_output(path) as reader:
        for field in star():
            stored = reader.field(field.name)
            assert np.array_equal(stored.values, field.values)
            assert stored.values.dtype == np.asarray(field.values).dtype
            assert (stored.axes, stored.unit, stored.description, stored.placement) == (
                field.axes,
                field.unit,
                field.description,
                field.placement,
            )
        assert reader.attributes["title"] == "G15"
        assert reader.attributes["step"] == 7
        assert reader.attributes["format_version"] == 1
        assert reader.scalar("time") == 0.25
        assert np.array_equal(reader.array("fluid/mass_density", slice(1, 3)), star()[1].values[1:3])
        assert "fluid/mass_density" in reader
        assert reader.kind == "output"


def test_missing_field_is_named(tmp_path):
    with (
        open_output(write_fields(tmp_path / "a.h5", star())) as reader,
        pytest.raises(OutputError, match=r"field 'fluid/temperature' is missing; found alignment/status"),
    ):
        reader.array("fluid/temperature")


def test_equal_runs_give_equal_data(tmp_path):
    first, second = (write_fields(tmp_path / name, star(), {"created": "now"}) for name in ("a.h5", "b.h5"))
    assert first.read_bytes() == second.read_bytes()


def test_killed_before_the_rename_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_fields(tmp_path / "star.h5", star(), {"step": 1})
    before = path.read_bytes()

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    monkeypatch.setattr(output.os, "replace", kill)
    with pytest.raises(Killed):
        write_fields(path, star(), {"step": 2})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["star.h5"]


def test_killed_process_never_shows_a_half_file(tmp_path):
    """SIGKILL between the write and the rename: the final name does not exist, and the next write succeeds."""
    pid = os.fork()
    if pid == 0:
        output.os.replace = lambda *_: os.kill(os.getpid(), 9)
        write_fields(tmp_path / "star.h5", star())
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == 9
    assert os.listdir(tmp_path) == [".star.h5.partial"]
    write_fields(tmp_path / "star.h5", star())
    assert os.listdir(tmp_path) == ["star.h5"]


def test_failed_write_leaves_nothing(tmp_path):
    bad = [*star(), Field("time", np.zeros(2), ("cell",), "s", "the same name twice", "global")]
    with pytest.raises(ValueError, match="name already exists"):
        write_fields(tmp_path / "star.h5", bad)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (Field("x", np.zeros((2, 2)), ("cell",), "1", ""), r"field x has shape \(2, 2\) for the axes"),
        (Field("x", np.zeros(2), ("cell",), "1", "", "vertex"), "field x has placement 'vertex'; accepted: cell, face"),
    ],
)
def test_inconsistent_field_is_refused(tmp_path, field, message):
    with pytest.raises(OutputError, match=message):
        write_fields(tmp_path / "x.h5", [field])


def test_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"output directory .*file/sub cannot be written: Not a directory"):
        prepare_directory(tmp_path / "file" / "sub")
    with pytest.raises(OutputError, match=r"gone/star.h5: cannot be written"):
        write_fields(tmp_path / "gone" / "star.h5", star())
    assert prepare_directory(tmp_path / "new" / "deep").is_dir()


def test_other_files_are_refused(tmp_path):
    with pytest.raises(OutputError, match="no such file"):
        open_output(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(OutputError, match="not an HDF5 file"):
        open_output(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1.0
    with pytest.raises(OutputError, match="its format is None; accepted: 'misci_transport'"):
        open_output(tmp_path / "other.h5")
    path = write_fields(tmp_path / "future.h5", star(), {"format_version": 99})
    with pytest.raises(OutputError, match="its format_version is 99; accepted: 1"):
        open_output(path)


@pytest.mark.parametrize("fraction", [0.001, 0.3, 0.9])
def test_truncated_file_is_refused(tmp_path, fraction):
    path = write_fields(tmp_path / "state.h5", star(2000), kind="checkpoint")
    short = shutil.copy(path, tmp_path / "short.h5")
    os.truncate(short, int(fraction * path.stat().st_size))
    with pytest.raises(CheckpointError, match=r"short.h5: truncated or damaged"):
        open_checkpoint(short)
    with open_checkpoint(path) as reader:
        assert reader.kind == "checkpoint"


def test_output_is_not_a_checkpoint(tmp_path):
    path = write_fields(tmp_path / "star.h5", star())
    with pytest.raises(CheckpointError, match="its kind is 'output'; accepted: checkpoint"):
        open_checkpoint(path)


def test_xdmf_points_at_every_scalar_on_the_mesh(tmp_path):
    import xml.etree.ElementTree as ElementTree

    with open_output(write_fields(tmp_path / "star.h5", star(), {"time": 0.25})) as reader:
        tree = ElementTree.parse(write_xdmf(reader))
    names = [item.get("Name") for item in tree.iter("Attribute")]
    assert "fluid/mass_density [g/cm^3]" in names
    assert "radiation/luminosity nubar_tau [erg/s]" in names
    assert len([name for name in names if name.startswith("radiation/luminosity")]) == 6
    assert not any("occupation" in name for name in names)
    assert tree.find(".//Time").get("Value") == "0.25"
    with h5py.File(tmp_path / "star.h5") as file:
        for item in tree.iter("DataItem"):
            if item.get("Format") == "HDF":
                name = item.text.partition(":")[2]
                assert [int(n) for n in item.get("Dimensions").split()] == list(file[name].shape)
