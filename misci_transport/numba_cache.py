"""Where numba keeps the compiled kernels: one directory for each state of their sources.

Numba compares a cached kernel with its own source file only. A kernel that inlined a function or a constant
of another file would be loaded stale after that file changed, so the directory carries a hash of all of them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import sys
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LOG = logging.getLogger(__name__)
_PACKAGE = Path(__file__).resolve().parent
_PREFIX = "kernels-"
# Kernels freeze the values of these modules' constants when they are compiled.
_FROZEN_MODULES = ("constants.py", "flavor.py")


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


def cache_key(package: Path = _PACKAGE) -> str:
    """Hash of the kernel sources, the numba and Python versions and the processor, as 16 hexadecimal digits.

    Parameters
    ----------
    package : Path
        Directory of the package, with ``kernels/`` inside.
    """
    digest = hashlib.sha256()
    for word in (_numba_version(), platform.python_version(), platform.machine(), _cpu_name(), str(package)):
        digest.update(word.encode() + b"\0")
    sources = [package / name for name in _FROZEN_MODULES]
    sources += sorted((package / "kernels").rglob("*.py"))
    for source in sources:
        if source.is_file():
            digest.update(str(source.relative_to(package)).encode() + b"\0")
            digest.update(source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _roots() -> list[Path]:
    """Directories that may hold the caches, best first."""
    chosen = os.environ.get("MISCI_CACHE_DIR")
    shared = os.environ.get("XDG_CACHE_HOME")
    roots = [Path(chosen)] if chosen else []
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
    """Directory of the compiled kernels of these sources, or None where no place can be written.

    ``$MISCI_CACHE_DIR``, else ``$XDG_CACHE_HOME/misci_transport``, else ``~/.cache/misci_transport``, else a
    private directory under the temporary one; in it ``kernels-<key>``. A directory that the user gave as
    ``$NUMBA_CACHE_DIR`` is respected as it is.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    # A value of ours, inherited from a parent process, may belong to other sources.
    if given and not Path(given).name.startswith(_PREFIX):
        return Path(given)
    root = _root(tuple(_roots()))
    return None if root is None else root / f"{_PREFIX}{cache_key()}"


def use_keyed_cache() -> Path | None:
    """Let numba keep the kernels in `cache_directory()`, from now on and in child processes; return it.

    Must run before the first kernel is decorated. With no writable place numba's own choice stays.
    """
    directory = cache_directory()
    if directory is None:
        return None
    os.environ["NUMBA_CACHE_DIR"] = str(directory)
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.config.CACHE_DIR = str(directory)
    return directory
