"""The kernel cache follows the sources, and lands where the user can write."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import misci_transport
from misci_transport import numba_cache

KERNELS = Path(misci_transport.__file__).resolve().parent / "kernels"


@pytest.fixture
def package(tmp_path):
    """A small package: outer uses inner, inner uses a constant, another file is on its own."""
    kernels = tmp_path / "package" / "kernels"
    kernels.mkdir(parents=True)
    (kernels / "outer.py").write_text("from .inner import f\n")
    (kernels / "inner.py").write_text("from ..constants import A\ndef f(x): return A * x\n")
    (kernels / "other.py").write_text("from . import none\ndef g(x): return x\n")
    (kernels.parent / "constants.py").write_text("A = 1.0\n")
    return kernels.parent


def key(file: Path) -> str:
    """The key as another process would find it."""
    numba_cache.imported_files.cache_clear()
    numba_cache.cache_key.cache_clear()
    return numba_cache.cache_key(file)


@pytest.fixture
def clean_environment(monkeypatch):
    for name in ("NUMBA_CACHE_DIR", "MISCI_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("changed", ["kernels/outer.py", "kernels/inner.py", "constants.py"])
def test_key_changes_with_every_file_in_use_and_no_other(package, changed):
    outer, other = package / "kernels" / "outer.py", package / "kernels" / "other.py"
    before, unrelated = key(outer), key(other)
    assert key(outer) == before
    (package / changed).write_text("A = 2.0\ndef f(x): return 2 * x\n")
    assert key(outer) != before
    assert key(other) == unrelated


def test_imports_are_found_as_python_finds_them():
    """The expression that looks for imports misses none in any kernel file."""
    for file in sorted(KERNELS.glob("*.py")):
        expected, waiting = set(), [file]
        while waiting:
            current = waiting.pop()
            expected.add(current)
            for node in ast.walk(ast.parse(current.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level:
                    folder = current.parents[node.level - 1]
                    names = [node.module] if node.module else [alias.name for alias in node.names]
                    files = {(folder / Path(*name.split("."))).with_suffix(".py") for name in names}
                    waiting += sorted(f for f in files - expected if f.is_file() and f.name != "numba_cache.py")
        assert numba_cache.imported_files(file) == expected, file.name


def test_order_of_places(clean_environment, tmp_path):
    clean_environment.setenv("HOME", str(tmp_path / "home"))
    assert numba_cache.cache_directory() == tmp_path / "home" / ".cache" / "misci_transport"
    clean_environment.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert numba_cache.cache_directory() == tmp_path / "xdg" / "misci_transport"
    clean_environment.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert numba_cache.cache_directory() == tmp_path / "numba"
    clean_environment.setenv("MISCI_CACHE_DIR", str(tmp_path / "own"))
    assert numba_cache.cache_directory() == tmp_path / "own"


def test_unwritable_places_are_passed_over(clean_environment, tmp_path):
    (tmp_path / "file").write_text("")
    clean_environment.setenv("MISCI_CACHE_DIR", str(tmp_path / "file"))
    clean_environment.setenv("HOME", str(tmp_path / "file"))
    clean_environment.setattr(tempfile, "tempdir", str(tmp_path))
    assert numba_cache.cache_directory() == tmp_path / f"misci_transport-{os.getuid()}"


def test_foreign_temporary_directory_is_not_trusted(clean_environment, tmp_path):
    (tmp_path / "file").write_text("")
    clean_environment.setenv("HOME", str(tmp_path / "file"))
    clean_environment.setattr(tempfile, "tempdir", str(tmp_path))
    trap = tmp_path / f"misci_transport-{os.getuid()}"
    trap.mkdir()
    trap.chmod(0o777)
    assert numba_cache.cache_directory() is None


def test_kernels_land_in_the_directory_of_their_key(tmp_path):
    code = (
        "import numba, numpy\n"
        "numba.config.CACHE_DIR = 'another'\n"
        "from misci_transport.kernels.small_solve import solve_dense\n"
        "solve_dense(numpy.eye(2), numpy.ones(2), 2)\n"
        "assert numba.config.CACHE_DIR == 'another', 'the directory of other packages was changed'\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment["MISCI_CACHE_DIR"] = str(tmp_path)
    environment["NUMBA_DISABLE_JIT"] = "0"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    folder = tmp_path / f"kernels-{numba_cache.cache_key(KERNELS / 'small_solve.py')}"
    assert list(folder.rglob("small_solve.*.nbc"))
