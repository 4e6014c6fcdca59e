"""The shared library: every call from C, and the example hosts in C++ and Fortran, built and run on 1 and 2 ranks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from misci_transport.cabi import build, glue, session
from misci_transport.cli import main
from misci_transport.parallel.launcher import environment_of_a_child

ROOT = Path(__file__).resolve().parents[2]
HEADER = build.HEADER.read_text(encoding="utf-8")
FORTRAN = build.FORTRAN.read_text(encoding="utf-8")
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
}
PROGRAMS = {
    "mpicc": ("c", "#include <mpi.h>\n#include <Python.h>\nint main(void) { return MPI_Finalize(); }\n"),
    "mpicxx": ("cpp", "#include <mpi.h>\nint main() { return MPI_Finalize(); }\n"),
    "mpif90": ("f90", "program empty\n use mpi\n integer :: error\n call MPI_Finalize(error)\nend program empty\n"),
}


def run(command, **options):
    """Output of a command that must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**environment_of_a_child(), **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def missing(reason):
    """A machine without compilers may leave these tests out; continuous integration may not."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def compiler(tmp_path_factory):
    """A compiler that makes programs with MPI, or a skip."""
    folder = tmp_path_factory.mktemp("compilers")

    def find(name):
        import sysconfig

        ending, text = PROGRAMS[name]
        source = folder / f"empty_{name}.{ending}"
        source.write_text(text, encoding="utf-8")
        command = [name, f"-I{sysconfig.get_path('include')}", str(source), "-o", str(folder / name)]
        kind = {"c": "C", "cpp": "C++", "f90": "Fortran"}[ending]
        if shutil.which(name) is None or subprocess.run(command, capture_output=True, check=False).returncode:
            missing(f"no {kind} compiler with MPI ({name})")
        return name

    return find


@pytest.fixture(scope="module")
def library(tmp_path_factory, compiler):
    """Folder of the library as the command makes it."""
    compiler("mpicc")
    try:
        import cffi  # noqa: F401
    except ImportError:
        missing("no cffi")
    folder = tmp_path_factory.mktemp("library")
    assert main(["c-library", "-o", str(folder)]) == 0
    return folder


def made(library, name):
    """An example host by its Makefile."""
    python = f"{sys.executable} -m misci_transport.cli"
    run(["make", "-s", f"BUILD={library}", f"MISCI={python}", library / name], cwd=ROOT / "examples" / "coupling")
    return library / name


def numbers(text):
    """Lines of a host without remarks: their words, and their numbers."""
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    found = [word for line in lines for word in line]
    values = np.array([float(word) for word in found if re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", word)])
    return [word for word in found if not re.match(r"[-+]?\d", word)], values


def test_one_interface_in_three_languages():
    found = {name: int(value) for name, value in re.findall(r"^    (MT_\w+) = (-?\d+)", HEADER, re.MULTILINE)}
    fortran = {name: int(value) for name, value in re.findall(r":: (MT_\w+) = (-?\d+)", FORTRAN)}
    fields = [f"MT_{name.upper()}" for name in session.FIELDS]
    assert [found[name] for name in fields] == list(range(len(fields)))
    assert f"#define MT_FIELDS {len(fields)}" in HEADER
    assert f"MT_FIELDS = {len(fields)}" in FORTRAN
    assert f"#define MT_ABI_VERSION {glue.ABI_VERSION}" in HEADER
    assert fortran.pop("MT_ABI") == glue.ABI_VERSION
    assert fortran == found
    assert {found[name] for name in found if name.startswith("MT_ERROR")} == {
        *glue.STATUS.values(),
        *(glue.HANDLE, glue.INTERNAL, -8),
    }
    assert [found[f"MT_{name.upper()}"] for name in glue.GEOMETRIES] == [0, 1, 2, 3]
    functions = set(re.findall(r"^int (mt_\w+)\(", HEADER, re.MULTILINE))
    assert functions == set(re.findall(r"function (mt_\w+)\([^)]*\) bind\(c\)", FORTRAN))
    connected = {f"mt_{name}" for name in vars(glue.Library) if not name.startswith("_")}
    assert functions == connected - {"mt_error_words"} | {"mt_last_error"}


@pytest.mark.parametrize("ranks", [1, 3])
def test_every_call_from_c(library, compiler, ranks):
    program = library / "calls"
    source = Path(__file__).with_name("calls.c")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{library}", "-o", program, source]
    run([compiler("mpicc"), *flags, f"-L{library}", "-lmisci_transport", f"-Wl,-rpath,{library}", "-lm"])
    assert run(["mpirun", "-n", ranks, program]) == "all as expected\n"


def test_host_of_blocks(library, compiler):
    compiler("mpicxx")
    program = made(library, "blocks")
    alone = run(["mpirun", "-n", 1, program, 10, 2])
    words, values = numbers(alone)
    energies = values[-4], values[-3]
    given, booked, electrons = (float(x) for x in re.findall(r"(\S+) (?:erg|1)/cm", alone))
    assert given == pytest.approx(booked, rel=1e-9), energies
    assert given < 0.0
    assert electrons < 0.0
    for arguments in ([10, 2], [10, 2, 1]):
        text = run(["mpirun", "-n", 2, program, *arguments])
        assert numbers(text)[0] == words
        np.testing.assert_allclose(numbers(text)[1], values, rtol=1e-8)
        routed = int(re.search(r"routed (\d+)", text)[1])
        assert (routed == 0) == (len(arguments) == 3)


def test_host_of_shells(library, compiler):
    compiler("mpif90")
    program = made(library, "shells")
    alone = run(["mpirun", "-n", 1, program, 2])
    words, values = numbers(alone)
    given, booked = (float(x) for x in re.findall(r"(\S+) erg$", alone, re.MULTILINE))
    assert given == pytest.approx(booked, rel=1e-9)
    text = run(["mpirun", "-n", 2, program, 2])
    assert numbers(text)[0] == words
    np.testing.assert_allclose(numbers(text)[1], values, rtol=1e-8)


def test_a_python_that_cannot_start_is_a_status(library, compiler):
    """Neither an exception nor an end of the host."""
    program, source = library / "broken", library / "broken.c"
    source.write_text(
        '#include <stdio.h>\n#include "misci_transport.h"\n'
        "int main(void) { char words[100]; int status = mt_init(0, 0); mt_last_error(words, 100);\n"
        'printf("%d %s\\n", status, words); return 0; }\n',
        encoding="utf-8",
    )
    run([compiler("mpicc"), f"-I{library}", "-o", program, source, f"-L{library}", "-lmisci_transport"])
    environment = {**environment_of_a_child(), "LD_LIBRARY_PATH": str(library), "PYTHONHOME": "/nowhere"}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stdout == "-8 Python could not be started; the reason is on stderr\n"
