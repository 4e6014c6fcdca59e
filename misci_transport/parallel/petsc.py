"""Lazy access to MPI and PETSc, started on the communicator that the host hands over."""

from __future__ import annotations

from typing import Any

from ..errors import MissingDependencyError


def world() -> Any:
    """Return MPI.COMM_WORLD; importing mpi4py initialises MPI if the host has not.

    Raises
    ------
    MissingDependencyError
        If mpi4py cannot be imported.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise MissingDependencyError(f"mpi4py cannot be imported ({error}); see docs/installation.md") from error
    return MPI.COMM_WORLD


def petsc(comm: Any) -> Any:
    """Return the petsc4py.PETSc module, started on ``comm`` if it was not running yet.

    Raises
    ------
    MissingDependencyError
        If petsc4py cannot be imported or its scalars are complex.
    """
    try:
        import petsc4py
    except ImportError as error:
        raise MissingDependencyError(f"petsc4py cannot be imported ({error}); see docs/installation.md") from error
    # PETSc keeps the first communicator that it is started with; later calls do nothing
    petsc4py.init(["-no_signal_handler"], comm=comm)
    from petsc4py import PETSc

    if PETSc.ScalarType().dtype.kind == "c":
        raise MissingDependencyError("this PETSc is built with complex scalars; a build with real scalars is needed")
    return PETSc
