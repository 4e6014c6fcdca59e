"""Every kernel file keeps the rules that make kernels safe to cache, to compare and to run on arrays alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import misci_transport.kernels

FOLDER = Path(misci_transport.kernels.__file__).parent
FILES = sorted(path for path in FOLDER.rglob("*.py") if path.name != "__init__.py")
ALLOWED_IMPORTS = {"__future__", "math", "numpy", "typing", "collections"}


@pytest.fixture(params=FILES, ids=[path.relative_to(FOLDER).as_posix() for path in FILES])
def kernel_file(request) -> Path:
    return request.param


def decorators(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                yield decorator.func if isinstance(decorator, ast.Call) else decorator


def test_every_kernel_is_compiled_alike(kernel_file):
    """`numba_cache.kernel` is the only decorator: it keeps fastmath and parallel off and the cache keyed."""
    found = list(decorators(ast.parse(kernel_file.read_text())))
    assert found, "a file in kernels/ without a kernel"
    assert all(isinstance(decorator, ast.Name) and decorator.id == "kernel" for decorator in found)


def test_imports_of_every_kernel(kernel_file):
    for node in ast.walk(ast.parse(kernel_file.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module]
        else:
            continue
        assert {module.split(".")[0] for module in modules} <= ALLOWED_IMPORTS


def test_kernels_import_no_mpi_and_no_files():
    modules = [f"misci_transport.kernels.{path.relative_to(FOLDER).with_suffix('').as_posix()}" for path in FILES]
    code = (
        "import importlib, sys\n"
        f"for name in {[module.replace('/', '.') for module in modules]!r}: importlib.import_module(name)\n"
        "print([name for name in ('mpi4py', 'petsc4py', 'h5py', 'pydantic', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
