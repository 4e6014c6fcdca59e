"""Lazy access to MPI and PETSc, started on the communicator that the host hands over."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    """Return the petsc4py.PETSc module, started on a copy of ``comm`` if it was not running yet.

    A copy, because PETSc needs its communicator until the process ends, and a host may free its own.

    Raises
    ------
    MissingDependencyError
        If petsc4py cannot be imported or its scalars are complex.
    """
    try:
        import petsc4py
    except ImportError as error:
        raise MissingDependencyError(f"petsc4py cannot be imported ({error}); see docs/installation.md") from error
    if "petsc4py.PETSc" not in sys.modules:
        petsc4py.init(["-no_signal_handler"], comm=comm.Dup())
    from petsc4py import PETSc

    if PETSc.ScalarType().dtype.kind == "c":
        raise MissingDependencyError("this PETSc is built with complex scalars; a build with real scalars is needed")
    return PETSc


@contextmanager
def given_options(PETSc: Any, options: dict[str, Any]) -> Iterator[None]:
    """Put options into PETSc's database for the body; what the user gave there already (command line) wins.

    They are taken out again, because the database is the process's: another solver may want other values.
    """
    database = PETSc.Options()
    mine = [name for name in options if not database.hasName(name)]
    for name in mine:
        database.setValue(name, _text(options[name]))
    try:
        yield
    finally:
        for name in mine:
            database.delValue(name)


def refuse_unused(PETSc: Any, options: dict[str, Any]) -> None:
    """Raise ConfigurationError for options that no solver asked for: a mistyped name would do nothing silently."""
    unused = [name for name in options if not _is_used(PETSc, name)]
    if unused:
        raise ConfigurationError(f"PETSc options {', '.join(sorted(unused))} are not known to the solver that ran")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_used(PETSc: Any, name: str) -> bool:
    database = PETSc.Options()
    if hasattr(database, "used"):
        return bool(database.used(name))
    # petsc4py before 3.19 has no such call; the C function is in the library that is loaded already
    import ctypes

    used = ctypes.c_int(0)
    ctypes.CDLL(PETSc.__file__).PetscOptionsUsed(None, name.encode(), ctypes.byref(used))
    return bool(used.value)
