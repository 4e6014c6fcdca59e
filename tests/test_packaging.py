"""What pyproject.toml promises is what the source tree holds."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from misci_transport._version import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_listed():
    found = set()
    for name, folder in PROJECT["tool"]["setuptools"]["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(ROOT / folder).parts]))
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(found)


def test_one_version():
    assert version("misci_transport") == __version__
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert citation
    assert citation[1] == __version__


def test_parallel_packages_are_never_pulled_in_by_default():
    required = " ".join(PROJECT["project"]["dependencies"])
    assert not re.search(r"mpi4py|petsc4py|h5py", required)
    parallel = " ".join(PROJECT["project"]["optional-dependencies"]["parallel"])
    assert all(name in parallel for name in ("mpi4py", "petsc4py", "h5py"))
