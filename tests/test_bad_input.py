"""Wrong input through the command line, with the real transport: one clear message, and nothing written is lost."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport import cli
from misci_transport.errors import ConfigurationError, OutputError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.io.output import prepare_directory
from misci_transport.options import TransportOptions
from misci_transport.profile import Profile

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")

CELLS = 8
CASE = """
[profile]
file = "ball.txt"
[angles]
kind = "ordinates"
directions = 4
[energy]
minimum = 4.0
maximum = 100.0
groups = 4
[collisions]
electron_scattering = false
pair = false
bremsstrahlung = false
[run]
mode = "time"
max_steps = 4
checkpoint_every = 2
"""


@pytest.fixture
def folder(tmp_path):
    face = np.linspace(0.0, 6e6, CELLS + 1)
    fluid = Fluid(1e13 * np.exp(-face[1:] / 6e5), np.linspace(8.0, 2.0, CELLS), np.full(CELLS, 0.2), np.zeros(CELLS))
    Profile(face, fluid, title="ball").write_table(tmp_path / "ball.txt")
    (tmp_path / "case.toml").write_text(CASE)
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    def run(*arguments):
        code = cli.main(["run", str(folder / "case.toml"), "-o", str(folder / "out"), *map(str, arguments)])
        return code, capsys.readouterr().err

    return run


def refused(run, *arguments):
    """The one line that a user reads."""
    code, text = run(*arguments)
    assert code == 2
    lines = [line for line in text.splitlines() if line.startswith("misci: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def spoil(path, column, value, row=-1):
    """Replace one number of the profile's table."""
    lines = path.read_text().splitlines()
    rows = [i for i, line in enumerate(lines) if not line.startswith("#")]
    cells = lines[rows[row]].split()
    cells[column] = value
    lines[rows[row]] = " ".join(cells)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("enery.groups=3", ("unknown key enery", "did you mean energy?")),
        ("energy.groups=many", ("energy.groups is 'many'", "accepted: an integer >= 2")),
        ("energy.minimum=-1.0", ("energy.minimum is -1.0", "accepted: a number > 0")),
        ("energy.maximum=nan", ("energy.maximum is nan", "accepted: a number > 0")),
        ("advection.cfl=0.9", ("cfl is 0.9", "0 < cfl <= 0.5")),
        ("run.dt=1.0", ("run.dt is 1.0 s", "accepted: 0 < dt <= ")),
        ("mesh.outer=7e6", ("mesh.outer is 7000000.0 cm", "accepted: 0 to 6000000, as the profile")),
        ("flavors.number=4", ("flavors.number is 4", "accepted: 2 or 3")),
        ("petsc.ksp_rtol=1", ("'ksp_rtol'", "misci_align_ or misci_steady_")),
        ("collisions.source=nulib", ("table is missing",)),
        ("profile.file=missing.txt", ("missing.txt: no such file",)),
    ],
)
def test_wrong_keys(run, folder, override, words):
    line = refused(run, "--set", override)
    assert all(word in line for word in words), line
    assert not list((folder / "out").glob("*.h5"))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (0, "1.0", ("column 'outer_face' is 1.0 in row 8", "accepted: increasing radii")),
        (1, "-1.0", ("mass_density in cell 7 is", "-1.0", "accepted: (0, ")),
        (2, "nan", ("column 'temperature' is 'nan'", "accepted: a finite number")),
        (3, "1.5", ("electron_fraction in cell 7 is", "1.5", "accepted: [0, 1]")),
        (1, "dense", ("ball.txt", "dense")),
    ],
)
def test_wrong_profiles(run, folder, column, value, words):
    spoil(folder / "ball.txt", column, value)
    line = refused(run)
    assert all(word in line for word in words), line
    assert not list((folder / "out").glob("*.h5"))


def test_a_table_that_does_not_cover_the_profile(run, folder, sample_data):
    tables = sorted((sample_data / "nulib").glob("*.h5"))
    if not tables:
        pytest.skip("no NuLib table among the sample data")
    spoil(folder / "ball.txt", 2, "0.001", row=5)
    line = refused(run, "--set", "collisions.source=nulib", "--set", f"collisions.table={tables[0]}")
    assert "temperature in cell 5 is 0.001 MeV; NuLib table" in line
    assert "covers [" in line


def test_an_output_directory_that_cannot_be_written(run, folder):
    (folder / "out").write_text("a file")
    line = refused(run)
    assert "out" in line
    assert "cannot be written" in line
    assert (folder / "out").read_text() == "a file"
    with pytest.raises(OutputError, match="cannot be written"):
        prepare_directory("/proc/nowhere", None)


def test_a_truncated_checkpoint_and_what_was_written_before(run, folder):
    code, _ = run()
    assert code == 0
    written = {path.name: path.read_bytes() for path in (folder / "out").glob("*.h5")}
    whole = folder / "out" / "checkpoint_00000002.h5"
    assert whole.name in written
    short = folder / "short.h5"
    short.write_bytes(written[whole.name][:5000])
    assert "short.h5: truncated or damaged" in refused(run, "--restart", short)
    assert "none.h5" in refused(run, "--restart", folder / "none.h5")
    other = refused(run, "--restart", whole, "--set", "energy.groups=5")
    assert "energy/center of the checkpoint" in other
    assert {path.name: path.read_bytes() for path in (folder / "out").glob("*.h5")} == written
    # and the checkpoint still serves
    assert run("--restart", whole)[0] == 0


def test_a_solve_that_does_not_converge(run):
    changes = ("run={mode='steady', twin=false}", "steady.max_newton=1", "flavors.mixing=false")
    changes += ("collisions.electron_scattering=true", "collisions.pair=true", "steady.relative_tolerance=1e-13")
    line = refused(run, *(word for change in changes for word in ("--set", change)))
    assert "SNES ended with DIVERGED_MAX_IT" in line
    assert "residual" in line


def test_nothing_to_emit_in_steady_mode(run, folder):
    code, text = run("--set", "run={mode='steady', twin=false}", "--set", "collisions.source=none")
    assert code == 0, text
    assert (folder / "out" / "steady.h5").exists()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RadialMesh(np.array([0.0, 2.0, 1.0])), UnphysicalInputError, r"face 1 is .*2.0.*, face 2 is .*1.0"),
        (lambda: RadialMesh(np.array([0.0, np.nan])), UnphysicalInputError, "face 1 is not a finite number"),
        (lambda: RadialMesh(np.array([-1.0, 1.0])), UnphysicalInputError, r"face 0 is .*-1.0.*accepted .*>= 0"),
        (lambda: TransportOptions(energy={"groups": 1}), ConfigurationError, r"energy.groups is 1; accepted: .*>= 2"),
        (lambda: TransportOptions(enrgy={}), ConfigurationError, r"unknown key enrgy; did you mean energy\?"),
        (lambda: TransportOptions(advection={"cfl": 3.0}), ConfigurationError, r"advection.cfl is 3.0; accepted"),
    ],
)
def test_wrong_arguments_of_a_host_code(make, error, message):
    with pytest.raises(error, match=message):
        make()
