"""Stability of a run's cells from its checkpoint, on any number of ranks, and closures in a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from misci_transport.cli import main
from misci_transport.config import load_case
from misci_transport.errors import MisciError
from misci_transport.fluid import Fluid
from misci_transport.io.read import open_output
from misci_transport.profile import Profile
from misci_transport.simulation import run_case
from misci_transport.stability_run import Request, chosen_cells, open_run, report, scan_run, stability_of

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]

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
[flavors]
number = 2
mixing = false
[collisions]
electron_scattering = false
pair = false
bremsstrahlung = false
[output]
populations = true
[validity]
every = 0
[run]
mode = "time"
max_steps = 6
"""


@pytest.fixture
def folder(comm, tmp_path):
    """One directory for all ranks, with a star of 12 cells that has run for 6 steps."""
    shared = Path(comm.bcast(str(tmp_path)))
    if comm.rank == 0:
        face = np.linspace(0.0, 6e6, 13)
        density = 1e13 * np.exp(-face[1:] / 6e5)
        fluid = Fluid(density, np.linspace(8.0, 2.0, 12), np.full(12, 0.2), np.zeros(12))
        Profile(face, fluid, title="ball").write_table(shared / "ball.txt")
        (shared / "case.toml").write_text(CASE)
    comm.Barrier()
    return shared


def test_scan_of_a_checkpoint_and_of_an_output(folder, comm):
    summary = run_case(load_case(folder / "case.toml"), folder / "out", comm)
    request = Request(cells="2:12:3", waves=9)
    # of the whole directory: its last checkpoint
    path = stability_of(str(folder / "out"), None, comm, request)
    assert path == folder / "out" / f"stability_{summary.checkpoints[-1].stem}.h5"
    other = stability_of(str(summary.outputs[-1]), str(folder / "new" / "other.h5"), comm, request)
    with open_output(path) as first, open_output(other) as second:
        assert first["stability/cell"].tolist() == [2, 5, 8, 11]
        assert first["stability/curve"].shape == (4, 9)
        for name in first.names:
            np.testing.assert_allclose(second[name], first[name], rtol=1e-12, atol=1e-300)
        growth, kind, curve = (first[f"stability/{name}"] for name in ("growth", "kind", "curve"))
        assert ((growth > 0.0) == (kind > 0.0)).all()
        assert (first["stability/floor"] > 0.0).all()
    assert sum(int(line.split(": ")[1].split(" of ")[0]) for line in report(path)[:4] if " of 4 cells" in line) == 4
    # the number of ranks does not matter
    if comm.rank == 0:
        from mpi4py import MPI

        transport, fluid, _ = open_run(summary.checkpoints[-1], MPI.COMM_SELF)
        scan, cells = scan_run(transport, fluid, request)
        assert cells.tolist() == [2, 5, 8, 11]
        np.testing.assert_array_equal(scan.values("growth"), growth)
        np.testing.assert_array_equal(scan.curve, curve)
    comm.Barrier()


def test_command_writes_file_and_picture(folder, comm, capfd):
    run_case(load_case(folder / "case.toml"), folder / "out", comm)
    assert main(["stability", str(folder / "out"), "--cells", "3,6", "--waves", "5", "--no-kinds"]) == 0
    words = capfd.readouterr().out
    made = sorted(path.name for path in (folder / "out").glob("stability_*"))
    assert made == ["stability_checkpoint_00000006.h5", "stability_checkpoint_00000006_map.png"]
    if comm.rank == 0:
        assert "of 2 cells" in words
        assert "wrote" in words


def test_refusals(folder, comm):
    with pytest.raises(MisciError, match="no checkpoint in it"):
        open_run(folder, comm)
    assert chosen_cells("all", 5).tolist() == [0, 1, 2, 3, 4]
    assert chosen_cells("auto", 1000).size == 200
    assert chosen_cells("7,1:4", 8).tolist() == [1, 2, 3, 7]
    for text in ("x", "9", "5:2", "1:4:0", "-1", ""):
        with pytest.raises(MisciError, match="--cells"):
            chosen_cells(text, 8)
