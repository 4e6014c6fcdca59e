from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from misci_transport import cli
from misci_transport.errors import ConfigurationError
from misci_transport.fields import Field
from misci_transport.fluid import Fluid
from misci_transport.inspect_file import describe_file
from misci_transport.io.output import write_fields
from misci_transport.parallel.launcher import environment_of_a_child
from misci_transport.profile import Profile

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "ball.txt"
    Profile(
        np.linspace(0.0, 1e7, 6),
        Fluid(np.geomspace(1e14, 1e10, 5), np.ones(5), np.full(5, 0.3), np.zeros(5)),
        title="ball",
    ).write_table(path)
    return path


@pytest.fixture
def output(tmp_path):
    fields = [
        Field("mesh/face", np.linspace(0.0, 1e7, 4), ("face",), "cm", "faces", "global"),
        Field("fluid/mass_density", np.array([3.0, np.nan, 1.0]), ("cell",), "g/cm^3", "density"),
        Field("sources/lepton_number", np.array([3.0, 2.0, 1.0]), ("cell",), "1/cm^3/s", "electrons"),
        Field("ledger/energy", np.array(7.0), (), "MeV", "energy", "global"),
    ]
    return write_fields(tmp_path / "out.h5", fields, {"title": "a star", "configuration": 'title = "a star"\n'})


def misci(*arguments, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "misci_transport.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name in ("run", "plot", "inspect", "doctor", "verify", "bench"):
        assert f"    {name} " in text


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["run", "a.toml", "--sett", "x=1"]])
def test_wrong_usage_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: misci" in capsys.readouterr().err


def test_wrong_case_is_one_clear_line_and_exit_code_2(tmp_path):
    case = tmp_path / "case.toml"
    case.write_text('[profile]\nfile = "nothing.txt"\n[energy]\ngroup = 3\n')
    result = misci("run", case)
    assert result.returncode == 2
    assert result.stderr.startswith(f"misci: {case}: unknown key energy.group; did you mean energy.groups?")
    assert len(result.stderr.splitlines()) == 1
    result = misci("run", case, "--set", "energy={}", "-o", tmp_path / "out")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith("nothing.txt: no such file")


def test_unexpected_error_is_not_hidden(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(cli, "_inspect", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.main(["inspect", "x"])


def test_error_of_the_package_is_explained(monkeypatch, capsys):
    def refuse(*_):
        raise ConfigurationError("run.dt is 7")

    monkeypatch.setattr(cli, "_inspect", refuse)
    assert cli.main(["inspect", "x"]) == 2
    assert capsys.readouterr().err == "misci: run.dt is 7\n"


def test_help_and_inspect_do_not_start_mpi(output):
    """On a login node MPI_Init aborts: even importing mpi4py.MPI must not start it."""
    code = (
        "import sys\n"
        "from misci_transport.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "module = sys.modules.get('mpi4py.MPI')\n"
        "assert module is None or not module.Is_initialized()\n"
    )
    for arguments in (["--help"], ["run", "--help"], ["inspect", str(output)], ["doctor"]):
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "H5PY_ALWAYS_USE_MPI": "1"},
        )
        assert "AssertionError" not in result.stderr, arguments
        assert result.returncode == 0, result.stderr


def test_inspect_output(output, capsys):
    assert cli.main(["inspect", str(output)]) == 0
    text = capsys.readouterr().out
    assert "title: a star" in text
    assert any(line.split() == ["fluid/mass_density", "3", "1", "to", "3", "g/cm^3"] for line in text.splitlines())
    assert any(line.split()[-1] == "1/cm^3/s" for line in text.splitlines())
    assert '  title = "a star"' in text
    assert cli.main(["inspect", "--json", str(output)]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["format"] == "misci_transport output"
    assert described["fields"]["fluid/mass_density"]["not a number"] == 1
    assert described["fields"]["ledger/energy"]["value"] == 7.0


def test_inspect_profile(profile, capsys):
    assert cli.main(["inspect", str(profile)]) == 0
    assert "title: ball" in capsys.readouterr().out
    assert describe_file(profile)["cells"] == 5


def test_inspect_nulib(tmp_path):
    with h5py.File(tmp_path / "table.h5", "w") as file:
        for name in ("rho_points", "temp_points", "ye_points", "neutrino_energies"):
            file[name] = np.array([1.0, 2.0])
        file["emissivities"] = np.zeros((2, 3, 1, 1, 1))
        file["absorption_opacity"] = np.zeros((2, 3, 1, 1, 1))
    described = describe_file(tmp_path / "table.h5")
    assert (described["format"], described["species"], described["groups"]) == ("NuLib table", 3, 2)


def test_inspect_what_it_does_not_know(tmp_path, capsys, output):
    (tmp_path / "letter.txt").write_text("dear reader")
    assert cli.main(["inspect", str(tmp_path / "letter.txt")]) == 2
    assert "letter.txt: format not recognized; accepted: output, checkpoint, profile table" in capsys.readouterr().err
    assert cli.main(["inspect", str(tmp_path)]) == 2
    assert "a directory; accepted: a file, or an AMReX plot file; it contains out.h5" in capsys.readouterr().err
    assert cli.main(["inspect", str(tmp_path / "none")]) == 2
    assert "none: no such file" in capsys.readouterr().err
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1.0
    assert cli.main(["inspect", str(tmp_path / "other.h5")]) == 2
    assert "other.h5: its format is None" in capsys.readouterr().err


def test_plot_directory_without_outputs(tmp_path, capsys):
    assert cli.main(["plot", str(tmp_path)]) == 2
    assert "no output file in it; accepted: a directory with steady.h5 or output_*.h5" in capsys.readouterr().err


def test_latest_output_of_a_time_run_is_plotted(tmp_path):
    for step in (3, 20):
        (tmp_path / f"output_{step:08d}.h5").write_text("")
    assert cli._outputs_in(tmp_path) == [tmp_path / "output_00000020.h5"]
    for name in ("steady.h5", "steady_without_mixing.h5"):
        (tmp_path / name).write_text("")
    assert cli._outputs_in(tmp_path) == [tmp_path / "steady.h5"]


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("misci 0.")


def mpirun(ranks, *command):
    """Start a command on several ranks, whatever this process was started by."""
    launcher = shutil.which("mpirun")
    assert launcher is not None, "mpirun is part of the set-up"
    environment = environment_of_a_child()
    environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment |= {"OMPI_MCA_rmaps_base_oversubscribe": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [launcher, "-n", str(ranks), sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


def test_wrong_case_on_two_ranks_is_told_once(tmp_path):
    case = tmp_path / "case.toml"
    case.write_text('[profile]\nfile = "nothing.txt"\n[energy]\ngroup = 3\n')
    result = mpirun(2, "-m", "misci_transport.cli", "run", case)
    assert result.returncode == 2
    assert result.stderr.count("unknown key energy.group;") == 1
    assert "Traceback" not in result.stderr


FAIL = """
import sys
from misci_transport import cli
from misci_transport.errors import ProfileError
from misci_transport.parallel.petsc import world

def act(options, rest):
    comm = world()
    if comm.rank == {guilty}:
        raise {error}
    comm.Barrier()
    return 0

cli._inspect = act
cli.PATIENCE = 1.0
sys.exit(cli.main(["inspect", "x"]))
"""


@pytest.mark.parametrize("guilty", [0, 1])
def test_unexpected_error_of_one_rank_ends_all(guilty):
    result = mpirun(2, "-c", FAIL.format(guilty=guilty, error="ZeroDivisionError('a bug')"))
    assert result.returncode != 0
    assert f"unexpected error on rank {guilty}, aborting all ranks" in result.stderr
    assert "ZeroDivisionError: a bug" in result.stderr


@pytest.mark.parametrize("guilty", [0, 1])
def test_explained_error_of_one_rank_alone_ends_all(guilty):
    result = mpirun(2, "-c", FAIL.format(guilty=guilty, error="ProfileError('star.txt: no such file')"))
    assert result.returncode == 2
    assert result.stderr.count("star.txt: no such file") == 1
