"""The kernel cache follows the sources, and lands where the user can write."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from misci_transport import numba_cache


@pytest.fixture
def package(tmp_path):
    """A small package with one kernel that calls a function of another file."""
    kernels = tmp_path / "package" / "kernels"
    kernels.mkdir(parents=True)
    (kernels / "outer.py").write_text("from inner import f\n")
    (kernels / "inner.py").write_text("def f(x): return x\n")
    (kernels.parent / "constants.py").write_text("A = 1.0\n")
    return kernels.parent


@pytest.fixture
def clean_environment(monkeypatch):
    for name in ("NUMBA_CACHE_DIR", "MISCI_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("changed", ["kernels/inner.py", "constants.py", "kernels/new.py"])
def test_key_changes_with_every_source(package, changed):
    before = numba_cache.cache_key(package)
    assert numba_cache.cache_key(package) == before
    (package / changed).write_text("def f(x): return 2 * x\n")
    assert numba_cache.cache_key(package) != before


def test_order_of_places(clean_environment, tmp_path):
    clean_environment.setenv("HOME", str(tmp_path / "home"))
    assert numba_cache.cache_directory().parent == tmp_path / "home" / ".cache" / "misci_transport"
    clean_environment.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert numba_cache.cache_directory().parent == tmp_path / "xdg" / "misci_transport"
    clean_environment.setenv("MISCI_CACHE_DIR", str(tmp_path / "own"))
    assert numba_cache.cache_directory().parent == tmp_path / "own"
    clean_environment.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert numba_cache.cache_directory() == tmp_path / "numba"


def test_inherited_value_of_other_sources_is_replaced(clean_environment, tmp_path):
    clean_environment.setenv("MISCI_CACHE_DIR", str(tmp_path))
    clean_environment.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels-0123456789abcdef"))
    assert numba_cache.cache_directory() == tmp_path / f"kernels-{numba_cache.cache_key()}"


def test_unwritable_places_are_passed_over(clean_environment, tmp_path):
    (tmp_path / "file").write_text("")
    clean_environment.setenv("MISCI_CACHE_DIR", str(tmp_path / "file"))
    clean_environment.setenv("HOME", str(tmp_path / "file"))
    clean_environment.setattr(tempfile, "tempdir", str(tmp_path))
    assert numba_cache.cache_directory().parent == tmp_path / f"misci_transport-{os.getuid()}"


def test_foreign_temporary_directory_is_not_trusted(clean_environment, tmp_path):
    (tmp_path / "file").write_text("")
    clean_environment.setenv("HOME", str(tmp_path / "file"))
    clean_environment.setattr(tempfile, "tempdir", str(tmp_path))
    trap = tmp_path / f"misci_transport-{os.getuid()}"
    trap.mkdir()
    trap.chmod(0o777)
    assert numba_cache.cache_directory() is None


def test_kernels_land_in_the_keyed_directory(tmp_path):
    code = (
        "import numba, misci_transport.kernels\n"
        "from misci_transport.numba_cache import cache_directory\n"
        "assert numba.config.CACHE_DIR == str(cache_directory())\n"
        "print(cache_directory())"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment["MISCI_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == tmp_path / f"kernels-{numba_cache.cache_key()}"
