"""What this installation consists of, and what is wrong with it, in plain words.

MPI_Init aborts the process on many login nodes, and a broken library may crash it, so everything that
starts MPI is asked in a child process.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from . import numba_cache
from ._version import __version__
from .parallel.launcher import environment_of_a_child

PROBE_SECONDS = 60.0
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")


@dataclass(frozen=True)
class Check:
    """One line of the report: advice is empty when there is nothing to say."""

    name: str
    ok: bool
    value: str
    advice: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """All checks, in the order in which they are printed."""

    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Whether no check failed."""
        return all(check.ok for check in self.checks)

    def __getitem__(self, name: str) -> Check:
        """Check of that name; KeyError if there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)


# ---- in the child process --------------------------------------------------------------------------------


def _probe_mpi() -> dict[str, Any]:
    import mpi4py
    from mpi4py import MPI

    vendor, number = MPI.get_vendor()
    return {
        "version": mpi4py.__version__,
        "vendor": f"{vendor} {'.'.join(str(part) for part in number)}",
        "library": MPI.Get_library_version().strip("\0 \n").splitlines()[0],
        "size": MPI.COMM_WORLD.size,
    }


def _probe_petsc() -> dict[str, Any]:
    import numpy as np
    import petsc4py
    from petsc4py import PETSc

    try:
        shared = PETSc.COMM_WORLD.tompi4py().size == PETSc.COMM_WORLD.size
    except Exception as error:  # the child reports whatever goes wrong
        shared = False
        message = str(error)
    else:
        message = ""
    return {
        "version": petsc4py.__version__,
        "petsc": ".".join(str(part) for part in PETSc.Sys.getVersion()),
        "scalar": str(np.dtype(PETSc.ScalarType)),
        "index_bits": 8 * np.dtype(PETSc.IntType).itemsize,
        "shares_mpi": shared,
        "message": message,
    }


def _probe_h5py() -> dict[str, Any]:
    import warnings

    warnings.simplefilter("ignore")
    import h5py

    return {
        "version": h5py.__version__,
        "hdf5": h5py.version.hdf5_version,
        "mpi": bool(h5py.get_config().mpi),
    }


def _answer(probe: str) -> None:
    """Entry of the child process: write the probe's answer as the last line of standard output."""
    sys.stdout.write("\n" + json.dumps(globals()[f"_probe_{probe}"]()) + "\n")


# ---- in this process -------------------------------------------------------------------------------------


def _ask(probe: str, **environment: str) -> tuple[dict[str, Any] | None, str]:
    """Answer of a child process, or None and the reason."""
    command = [sys.executable, "-c", f"from misci_transport import doctor; doctor._answer({probe!r})"]
    try:
        done = subprocess.run(
            command,
            env={**environment_of_a_child(), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer after {PROBE_SECONDS:g} s"
    if done.returncode == 0 and done.stdout.strip():
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer, ""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip(" -")]
    return None, lines[-1] if lines else f"the process ended with code {done.returncode}"


def _absent(name: str, reason: str) -> Check:
    if "No module named" in reason:
        return Check(name, False, "absent", f"{reason}. docs/installation.md tells how to provide it.")
    if "numpy" in reason.lower():
        return Check(
            name, False, "unusable", f"{reason}. It was built for another numpy: Debian's packages need 'numpy<2'."
        )
    return Check(
        name,
        False,
        "unusable",
        f"{reason}. If this is a login node, MPI may be forbidden here: ask again inside a job.",
    )


def _check_package(name: str, advice: str = "") -> Check:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        return Check(name, False, "absent", advice or f"{error}. Install it with pip.")
    return Check(name, True, str(getattr(module, "__version__", "unknown version")))


def _check_python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check(
        "python",
        ok,
        f"{platform.python_version()} ({sys.executable})",
        "" if ok else "Python 3.11 or newer is needed.",
    )


def _check_numba() -> Check:
    found = _check_package("numba")
    if found.ok and os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return Check("numba", True, found.value, "NUMBA_DISABLE_JIT is set: kernels run as plain Python, very slowly.")
    return found


def _launched() -> int | None:
    """Number of ranks that the launcher of this process announced, None without a launcher."""
    for name in _SIZE_VARIABLES:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return None


def _check_mpi() -> Check:
    answer, reason = _ask("mpi")
    if answer is None:
        return _absent("mpi4py", reason)
    return Check("mpi4py", True, f"{answer['version']} with {answer['vendor']} ({answer['library']})")


def _check_ranks() -> Check:
    asked = _launched()
    if asked is None:
        launchers = [name for name in ("mpirun", "mpiexec", "srun") if shutil.which(name)]
        if not launchers:
            return Check("ranks", True, "1", "No mpirun, mpiexec or srun on PATH: runs stay on one rank.")
        return Check("ranks", True, f"1 (launchers: {', '.join(launchers)})")
    try:
        # A launcher started this process, so MPI is allowed here.
        from mpi4py import MPI
    except ImportError as error:
        return Check("ranks", False, f"{asked} asked for", str(error))
    size = MPI.COMM_WORLD.size
    if size != asked:
        return Check(
            "ranks",
            False,
            f"{size} instead of {asked}",
            "The launcher belongs to another MPI than mpi4py: use the mpirun (or srun --mpi=...) of that library.",
        )
    return Check("ranks", True, str(size))


def _check_petsc() -> Check:
    answer, reason = _ask("petsc")
    if answer is None:
        return _absent("petsc4py", reason)
    value = (
        f"{answer['version']} with PETSc {answer['petsc']}, {answer['scalar']} scalars, "
        f"{answer['index_bits']}-bit indices"
    )
    if answer["scalar"] != "float64":
        return Check(
            "petsc4py",
            False,
            value,
            f"PETSc was built with {answer['scalar']} scalars; this program needs real double precision "
            "(./configure --with-scalar-type=real; Debian: python3-petsc4py-real).",
        )
    if not answer["shares_mpi"]:
        return Check("petsc4py", False, value, f"petsc4py and mpi4py use different MPI libraries: {answer['message']}")
    return Check("petsc4py", True, value)


def _check_h5py() -> Check:
    answer, reason = _ask("h5py")
    if answer is None:
        return _absent("h5py", reason)
    value = f"{answer['version']} with HDF5 {answer['hdf5']}"
    if answer["mpi"]:
        return Check("h5py", True, f"{value}, MPI-enabled")
    # Debian installs both builds side by side and takes the parallel one when mpirun is seen.
    switched, _ = _ask("h5py", H5PY_ALWAYS_USE_MPI="1")
    if switched is not None and switched["mpi"]:
        return Check("h5py", True, f"{value}, MPI-enabled under mpirun or with H5PY_ALWAYS_USE_MPI=1")
    return Check(
        "h5py",
        True,
        f"{value}, without MPI",
        "Files are gathered on one rank and written from there; a parallel HDF5 and h5py write faster.",
    )


def _check_threads() -> Check:
    setting = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    value = f"OMP_NUM_THREADS {setting or 'not set'}, {cores} core(s)"
    advice = "" if setting == "1" else "Under mpirun set OMP_NUM_THREADS=1, or the ranks' threads hinder each other."
    return Check("threads", True, value, advice)


def _check_root_user(mpi: Check) -> Check | None:
    """Open MPI's mpirun refuses to be run by root."""
    refuses = "Open MPI" in mpi.value and os.geteuid() == 0 and os.environ.get("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM") != "1"
    if not refuses or _launched() is not None:
        return None
    return Check(
        "user",
        True,
        "root",
        "Open MPI's mpirun needs OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 from root.",
    )


def _check_cache() -> Check:
    directory = numba_cache.cache_directory()
    if directory is None:
        return Check(
            "kernel cache",
            False,
            "none",
            "No writable place for compiled kernels, so every start compiles: set MISCI_CACHE_DIR to a directory.",
        )
    kernels = len(list(directory.rglob("*.nbc"))) if directory.is_dir() else 0
    return Check("kernel cache", True, f"{directory} ({kernels} compiled)")


def report() -> DoctorReport:
    """Examine the installation; takes a few seconds, starts no MPI in a process without a launcher, never raises."""
    mpi = _check_mpi()
    checks = [
        Check("misci_transport", True, __version__),
        _check_python(),
        _check_package("numpy"),
        _check_package("scipy"),
        _check_numba(),
        mpi,
        _check_ranks(),
        _check_petsc(),
        _check_h5py(),
        _check_threads(),
        _check_root_user(mpi),
        _check_cache(),
    ]
    return DoctorReport(tuple(check for check in checks if check is not None))


def format_report(result: DoctorReport) -> str:
    """Text of a report: one line a check, its advice below it, a verdict at the end."""
    width = max(len(check.name) for check in result.checks)
    lines = []
    for check in result.checks:
        mark = "WRONG" if not check.ok else "note" if check.advice else "ok"
        lines.append(f"{mark:5s}  {check.name:{width}s}  {check.value}")
        if check.advice:
            lines.append(f"{'':5s}  {'':{width}s}  -> {check.advice}")
    wrong = [check.name for check in result.checks if not check.ok]
    lines.append(f"Wrong: {', '.join(wrong)}." if wrong else "Everything that is needed is there.")
    return "\n".join(lines)
