"""Files of fluid codes on several ranks: every rank reads its own blocks only, and the masses add up."""

from __future__ import annotations

from pathlib import Path

import pytest
from mpi4py import MPI
from writers import WRITERS

from misci_transport.hosts.registry import open_host

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("layout", ["flash", "athena-ghosts", "athenak", "amrex", "carpet", "chimera", "fornax"])
def test_every_rank_reads_its_own_blocks(layout, comm, tmp_path):
    written = comm.bcast(WRITERS[layout](tmp_path) if comm.rank == 0 else None)
    assert Path(written.path).exists()
    host = open_host(written.path, written.user)
    touched = set()
    stored = host.read_variable

    def watched(block, name):
        touched.add(block)
        return stored(block, name)

    host.read_variable = watched
    mine = host.my_blocks(comm.rank, comm.size)
    mass = host.total_mass(mine)
    for block in mine:
        host.field(block, "velocity")
    assert touched <= set(mine)
    shared = comm.allgather(list(mine))
    assert [block for blocks in shared for block in blocks] == list(range(len(host.blocks)))
    whole = open_host(written.path, written.user).total_mass()
    assert comm.allreduce(mass, op=MPI.SUM) == pytest.approx(whole, rel=1e-13)
    # rank 0 clears its folder away after this
    comm.Barrier()


def test_genuine_blocks_on_ranks(comm, sample_data):
    host = open_host(sample_data / "fornax_amr" / "sedov" / "restart_00000006.h5")
    mass = host.total_mass(host.my_blocks(comm.rank, comm.size))
    assert comm.allreduce(mass, op=MPI.SUM) == pytest.approx(64.0, rel=1e-6)
