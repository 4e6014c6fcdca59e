"""The ranks are there, PETSc is the right one, and compilation takes turns."""

from __future__ import annotations

import os
from importlib.util import find_spec

import numpy as np
import pytest

from misci_transport.errors import ParallelError
from misci_transport.parallel.warm import first_on_root

pytestmark = pytest.mark.mpi


def test_world_has_the_expected_size(comm):
    assert comm.size == int(os.environ.get("MISCI_EXPECTED_RANKS", "1"))
    assert comm.allreduce(1) == comm.size


def test_petsc_has_real_scalars_on_the_same_ranks(comm):
    from petsc4py import PETSc

    assert np.dtype(PETSc.ScalarType) == np.float64
    vector = PETSc.Vec().createMPI(3 * comm.size, comm=comm)
    vector.set(2.0)
    assert vector.getLocalSize() == 3
    assert vector.norm(PETSc.NormType.NORM_1) == 6.0 * comm.size
    vector.destroy()


def test_hdf5_writes_collectively(comm, mpi_tmp_path):
    import h5py

    if not h5py.get_config().mpi:
        assert find_spec("h5py._debian_h5py_mpi") is None, "Debian's h5py needs H5PY_ALWAYS_USE_MPI=1"
        pytest.skip("h5py is built without MPI")
    with h5py.File(mpi_tmp_path / "ranks.h5", "w", driver="mpio", comm=comm) as file:
        data = file.create_dataset("rank", (comm.size,), dtype="i8")
        data[comm.rank] = comm.rank
    comm.barrier()
    with h5py.File(mpi_tmp_path / "ranks.h5", "r") as file:
        assert file["rank"][:].tolist() == list(range(comm.size))
    comm.barrier()


def test_root_goes_first(comm, mpi_tmp_path):
    trace = mpi_tmp_path / "trace"
    with first_on_root(comm), open(trace, "a") as stream:
        stream.write(f"{comm.rank}\n")
    order = [int(line) for line in trace.read_text().split()]
    assert order[0] == 0
    assert sorted(order) == list(range(comm.size))
    comm.barrier()


@pytest.mark.parametrize("culprit", ["first", "last"])
def test_failure_while_compiling_reaches_all_ranks(comm, culprit):
    failing = 0 if culprit == "first" else comm.size - 1

    def compile_kernels():
        with first_on_root(comm):
            if comm.rank == failing:
                raise ZeroDivisionError("no code")

    if comm.rank == failing:
        with pytest.raises(ZeroDivisionError, match="no code"):
            compile_kernels()
    else:
        with pytest.raises(ParallelError, match=f"rank {failing}.*ZeroDivisionError: no code"):
            compile_kernels()
    assert comm.allreduce(1) == comm.size


def test_no_communicator_is_a_plain_block():
    visited = []
    with first_on_root(None):
        visited.append(0)
    assert visited == [0]
