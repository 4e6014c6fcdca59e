"""Runs of a small star with the real transport: any number of ranks, with restarts between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from misci_transport.config import load_case
from misci_transport.errors import ConfigurationError, ParallelError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.io.read import open_output
from misci_transport.profile import Profile
from misci_transport.simulation import run_case

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
[collisions]
electron_scattering = false
pair = false
bremsstrahlung = false
[output]
populations = true
[run]
mode = "time"
max_steps = 6
checkpoint_every = 3
"""


@pytest.fixture
def folder(comm, tmp_path):
    """One directory for all ranks, with a star of 12 cells."""
    shared = Path(comm.bcast(str(tmp_path)))
    if comm.rank == 0:
        face = np.linspace(0.0, 6e6, 13)
        density = 1e13 * np.exp(-face[1:] / 6e5)
        Profile(
            face, Fluid(density, np.linspace(8.0, 2.0, 12), np.full(12, 0.2), np.zeros(12)), title="ball"
        ).write_table(shared / "ball.txt")
        (shared / "case.toml").write_text(CASE)
    comm.Barrier()
    return shared


def run(folder, name, comm, *overrides, restart=None):
    return run_case(load_case(folder / "case.toml", overrides), folder / name, comm, restart)


def physics(path):
    with open_output(path) as reader:
        # totals of the ledger are sums over ranks: equal to round-off only
        return {name: reader[name] for name in reader.names if not name.startswith(("ledger/", "history/"))}


def same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name], equal_nan=True)] == []


def test_run_and_restart_do_not_depend_on_the_number_of_ranks(comm, folder):
    from mpi4py import MPI

    together = run(folder, "together", comm)
    again = run(folder, "again", comm, restart=together.checkpoints[0])
    assert (together.steps, again.steps) == (6, 3)
    if comm.rank == 0:
        alone = run(folder, "alone", MPI.COMM_SELF)
        crossed = run(folder, "crossed", MPI.COMM_SELF, restart=together.checkpoints[0])
        expected = physics(alone.outputs[-1])
        assert expected["populations"].max() > 1e-3
        for other in (together, again, crossed):
            same(expected, physics(other.outputs[-1]))
    comm.Barrier()


def test_restart_on_the_same_ranks_keeps_the_ledger_bitwise(comm, folder):
    whole = run(folder, "whole", comm)
    again = run(folder, "again", comm, restart=whole.checkpoints[0])
    with open_output(whole.outputs[-1]) as one, open_output(again.outputs[-1]) as other:
        assert one.names == other.names
        assert [name for name in one.names if not np.array_equal(one[name], other[name], equal_nan=True)] == []
        assert one["history/step"].tolist() == [1, 2, 3, 4, 5, 6]
    comm.Barrier()


def test_bad_input_reaches_all_ranks(comm, folder):
    with pytest.raises(ConfigurationError, match=r"run.dt is 1.0 s; accepted: 0 < dt <="):
        run(folder, "out", comm, "run.dt=1.0")
    if comm.rank == 0:
        text = (folder / "ball.txt").read_text().splitlines()
        columns = text[-1].split()
        columns[1] = "-1.0"
        (folder / "ball.txt").write_text("\n".join([*text[:-1], " ".join(columns)]) + "\n")
    comm.Barrier()
    with pytest.raises((UnphysicalInputError, ParallelError), match=r"mass_density in cell 11 is .*accepted"):
        run(folder, "out", comm)
    comm.Barrier()
