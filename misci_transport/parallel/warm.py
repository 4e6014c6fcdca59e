"""Compile kernels on one rank before the others need them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import collective

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpi4py import MPI

_ROOT, _NODE_ROOT, _OTHER = range(3)


def _turn(comm: MPI.Comm) -> int:
    """When this rank runs: rank 0, then the first rank of each other node, then everybody else.

    The middle turn serves caches on node-local disks; on a shared disk it only reads.
    """
    from mpi4py import MPI

    node = comm.Split_type(MPI.COMM_TYPE_SHARED, key=comm.rank)
    first_of_node = node.rank == 0
    node.Free()
    if comm.rank == 0:
        return _ROOT
    return _NODE_ROOT if first_of_node else _OTHER


@contextmanager
def first_on_root(comm: MPI.Comm | None) -> Iterator[None]:
    """Run the body on rank 0, then once on each other node, then on all other ranks.

    For a body that compiles kernels. Numba replaces each cache file atomically, but two ranks that add
    different signatures of one kernel at the same time choose the same file name, and the index may then
    name the wrong code. One writer at a time avoids it, and compiles once.

    The body must not communicate. Collective over comm; with None or one rank it is a plain block.

    Raises
    ------
    ParallelError
        On every other rank, if the body fails on one (which raises its own error).
    """
    if comm is None or comm.size == 1:
        yield
        return
    mine = _turn(comm)
    for turn in (_ROOT, _NODE_ROOT, _OTHER):
        with collective(comm):
            if turn == mine:
                yield
