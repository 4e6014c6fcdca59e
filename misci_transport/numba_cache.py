"""How kernels are compiled, and where numba keeps them: one directory for each state of what a kernel file uses.

Numba compares a cached kernel with its own source file only. A kernel that inlined a function or a constant
of another file would be loaded stale after that file changed, so the directory of a file's kernels carries a hash of
that file and of all files of the package that it imports, directly or not. An edit recompiles what depends on it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_LOG = logging.getLogger(__name__)
_PREFIX = "kernels-"
# Kernels freeze functions and constants of what they import when they are compiled.
_IMPORT = re.compile(r"^from (\.+)([\w.]*) import ([\w, ]*)", re.MULTILINE)


def _cpu_name() -> str:
    """Model name of the processor (compiled kernels use its instruction set)."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if line.startswith(("model name", "CPU part")):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def _numba_version() -> str:
    try:
        return version("numba")
    except PackageNotFoundError:
        return "absent"


@cache
def _machine() -> str:
    """What compiled code depends on besides its sources."""
    return "\0".join((_numba_version(), platform.python_version(), platform.machine(), _cpu_name()))


@cache
def imported_files(source: Path) -> frozenset[Path]:
    """Return a file of the package and all files of the package that it imports, directly or not, but no packages.

    Reads ``from .name import ...`` at the beginning of lines: nothing else is used in kernels.
    """
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for dots, name, words in _IMPORT.findall(file.read_text(encoding="utf-8")):
            folder = file.parents[len(dots) - 1]
            names = [name] if name else [word.split(" as ")[0].strip() for word in words.split(",")]
            candidates = [folder.joinpath(*n.split(".")).with_suffix(".py") for n in names if n]
            waiting += [candidate for candidate in candidates if candidate.is_file()]
    return frozenset(found - {Path(__file__).resolve()})


@cache
def cache_key(source: Path) -> str:
    """Hash of the files that a kernel file uses, numba, Python and the processor, as 16 hexadecimal digits."""
    digest = hashlib.sha256(_machine().encode())
    for file in sorted(imported_files(source), key=lambda file: (file.name, str(file))):
        digest.update(b"\0" + file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _roots() -> list[Path]:
    """Directories that may hold the caches, best first."""
    chosen = os.environ.get("MISCI_CACHE_DIR")
    shared = os.environ.get("XDG_CACHE_HOME")
    roots = [Path(place) for place in (chosen, os.environ.get("NUMBA_CACHE_DIR")) if place]
    if shared:
        roots.append(Path(shared) / "misci_transport")
    try:
        roots.append(Path.home() / ".cache" / "misci_transport")
    except RuntimeError:
        _LOG.debug("this user has no home directory")
    return [*roots, _temporary_root()]


def _temporary_root() -> Path:
    return Path(tempfile.gettempdir()) / f"misci_transport-{os.getuid()}"


def _usable(root: Path) -> bool:
    """Whether root can be written; in the shared temporary directory it must also be the user's alone.

    Numba unpickles what it finds there, so a directory that somebody else prepared must not be trusted.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = root.stat()
    except OSError:
        return False
    if root == _temporary_root() and (root.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o022):
        return False
    return os.access(root, os.W_OK | os.X_OK)


@cache
def _root(candidates: tuple[Path, ...]) -> Path | None:
    for root in candidates:
        if _usable(root):
            return root
        _LOG.warning("compiled kernels cannot be kept in %s: it cannot be written", root)
    return None


def cache_directory() -> Path | None:
    """Directory of all compiled kernels, or None where no place can be written.

    ``$MISCI_CACHE_DIR``, else ``$NUMBA_CACHE_DIR``, else ``$XDG_CACHE_HOME/misci_transport``, else
    ``~/.cache/misci_transport``, else a private directory under the temporary one.
    """
    return _root(tuple(_roots()))


def kernel(
    function: Callable[..., Any] | None = None, *, error_model: str = "numpy", inline: str = "never"
) -> Callable[..., Any]:
    """Compile a kernel at its first call and keep it in the directory of its file's key; numba's njit otherwise.

    Options are numba's; ``fastmath`` and ``parallel`` are off for every kernel. ``error_model = "python"`` raises
    ZeroDivisionError. Where no place can be written the kernel is compiled by every process.
    """
    # `misci doctor` reads this file where numba is missing
    import numba

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        root = cache_directory()
        options = {"error_model": error_model, "inline": inline, "cache": root is not None}
        # Numba settles the directory when it decorates. It is put back: other packages' kernels are not ours.
        before = numba.config.CACHE_DIR
        if root is not None:
            source = Path(body.__code__.co_filename).resolve()
            numba.config.CACHE_DIR = str(root / f"{_PREFIX}{cache_key(source)}")
        try:
            compiled: Callable[..., Any] = numba.njit(**options)(body)
        finally:
            numba.config.CACHE_DIR = before
        return compiled

    return decorate if function is None else decorate(function)
