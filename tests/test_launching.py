"""A failure on one rank, a silent skip or a wrong launcher must fail the whole session, and say why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = """
import os
import numpy as np
import pytest

pytestmark = pytest.mark.mpi
MODE = os.environ["MISCI_TEST_MODE"]


def test_first(comm):
    if MODE == "one rank fails" and comm.rank == 1:
        raise ValueError("only here")
    if MODE == "one rank leaves a collective call":
        if comm.rank == 1:
            raise ValueError("left early")
        comm.barrier()
    if MODE == "skip":
        pytest.skip("not today")
    if MODE == "missing":
        pytest.skip("could not import 'petsc4py': No module named 'petsc4py'")
    if MODE == "division":
        np.ones(1) / np.zeros(1)


def test_second(comm):
    assert comm.allreduce(1) == comm.size
"""


@pytest.fixture
def session(tmp_path):
    """Run the cases above in a session of their own, on a number of ranks."""
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path / "conftest.py")
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider --color=no\n")

    def run(mode, ranks=2, flags=("--with-mpi",), expected=None):
        prefixes = ("OMPI_COMM_WORLD_", "PMIX_", "PMI_", "PYTEST_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
        environment |= {
            "MISCI_TEST_MODE": mode,
            "MISCI_EXPECTED_RANKS": str(expected or ranks),
            "MISCI_RANK_PATIENCE": "2",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "OMPI_MCA_mpi_yield_when_idle": "1",
        }
        launcher = [*os.environ.get("MPIRUN", "mpirun").split(), "-n", str(ranks)] if ranks > 1 else []
        command = [*launcher, sys.executable, "-m", "mpi4py", "-m", "pytest", *flags, str(tmp_path)]
        return subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )

    return run


def test_healthy_session(session):
    done = session("healthy")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("2 passed") == 1, "rank 0 alone reports"


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("one rank fails", ["outcomes by rank: passed, failed", "ValueError: only here", "the ranks parted"]),
        (
            "one rank leaves a collective call",
            ["on rank 1, and the others did not", "ValueError: left early"],
        ),
        ("skip", ["core tests must not be skipped", "not today", "1 failed, 1 passed"]),
        ("division", ["FloatingPointError: divide by zero", "1 failed, 1 passed"]),
    ],
)
def test_failures_reach_the_exit_code_and_the_report(session, mode, words):
    done = session(mode)
    assert done.returncode != 0
    for text in words:
        assert text in done.stdout


def test_missing_core_dependency_is_not_a_skip(session):
    done = session("missing", ranks=1)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout


def test_launcher_without_the_flag(session):
    done = session("healthy", flags=())
    assert done.returncode != 0
    assert "without --with-mpi" in done.stdout


def test_mpi_tests_without_the_flag(session):
    done = session("healthy", ranks=1, flags=())
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "add --with-mpi" in done.stdout


def test_wrong_number_of_ranks(session):
    done = session("healthy", expected=3)
    assert done.returncode != 0
    assert "COMM_WORLD has 2 rank(s), asked for 3" in done.stdout
