"""The report names what is there and says in words what is wrong."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from misci_transport import doctor
from misci_transport._version import __version__
from misci_transport.doctor import Check, DoctorReport


@pytest.fixture
def answers(monkeypatch):
    """Replace the child processes by given answers."""

    def install(**given):
        monkeypatch.setattr(doctor, "_ask", lambda probe, **environment: given[probe])

    return install


@pytest.fixture(scope="module")
def genuine():
    return doctor.report()


def test_report_of_this_installation(genuine):
    assert genuine.healthy, doctor.format_report(genuine)
    assert genuine["misci_transport"].value == __version__
    assert genuine["numpy"].value == np.__version__
    assert "float64 scalars" in genuine["petsc4py"].value
    assert "HDF5" in genuine["h5py"].value
    with pytest.raises(KeyError, match="fortran"):
        genuine["fortran"]


def test_text_of_a_report():
    text = doctor.format_report(
        DoctorReport((Check("a", True, "1"), Check("long", False, "2", "mend it"), Check("b", True, "3", "by the way")))
    )
    assert text.splitlines() == [
        "ok     a     1",
        "WRONG  long  2",
        "             -> mend it",
        "note   b     3",
        "             -> by the way",
        "Wrong: long.",
    ]


def petsc(**changes):
    answer = {"version": "3.26.0", "petsc": "3.26.0", "scalar": "float64", "index_bits": 32, "shares_mpi": True}
    return {**answer, "message": "", **changes}, ""


def test_complex_petsc_is_refused_in_words(answers):
    answers(petsc=petsc(scalar="complex128"))
    check = doctor._check_petsc()
    assert not check.ok
    assert "needs real double precision" in check.advice


def test_two_mpi_libraries(answers):
    answers(petsc=petsc(shares_mpi=False, message="mpi4py is not available"))
    check = doctor._check_petsc()
    assert not check.ok
    assert "different MPI libraries" in check.advice


@pytest.mark.parametrize(
    ("reason", "value", "words"),
    [
        ("ModuleNotFoundError: No module named 'petsc4py'", "absent", "docs/installation.md"),
        ("ImportError: numpy.core.multiarray failed to import", "unusable", "numpy<2"),
        ("MPI_Init failed: not in an allocation", "unusable", "login node"),
    ],
)
def test_broken_dependency(answers, reason, value, words):
    answers(petsc=(None, reason), mpi=(None, reason), h5py=(None, reason))
    for check in (doctor._check_petsc(), doctor._check_mpi(), doctor._check_h5py()):
        assert not check.ok
        assert check.value == value
        assert words in check.advice


def test_serial_hdf5_is_a_note(answers):
    answers(h5py=({"version": "3.12", "hdf5": "1.14.4", "mpi": False}, ""))
    check = doctor._check_h5py()
    assert check.ok
    assert "gathered on one rank" in check.advice


def test_child_that_dies_or_hangs_is_reported(monkeypatch):
    monkeypatch.setattr(doctor.sys, "executable", "/bin/false")
    assert doctor._ask("mpi") == (None, "the process ended with code 1")

    def hang(*args, timeout, **keywords):
        raise subprocess.TimeoutExpired(args, timeout)

    monkeypatch.setattr(doctor.subprocess, "run", hang)
    assert doctor._ask("mpi") == (None, "no answer after 60 s")


def test_launcher_of_another_mpi(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "7")
    check = doctor._check_ranks()
    assert not check.ok
    assert check.value == "1 instead of 7"
    assert "launcher belongs to another MPI" in check.advice


def test_no_place_for_the_cache(monkeypatch):
    monkeypatch.setattr(doctor.numba_cache, "cache_directory", lambda: None)
    check = doctor._check_cache()
    assert not check.ok
    assert "MISCI_CACHE_DIR" in check.advice


def test_report_starts_no_mpi_here():
    code = (
        "import sys; from misci_transport import doctor; doctor.report(); "
        "print('mpi4py.MPI' in sys.modules, 'petsc4py.PETSc' in sys.modules)"
    )
    environment = doctor.environment_of_a_child()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
