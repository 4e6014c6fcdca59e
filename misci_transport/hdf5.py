"""The one place that imports h5py, and only when a file is opened; what HDF5 files begin with."""

from __future__ import annotations

import os
from typing import Any

from .errors import MissingDependencyError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def import_h5py(*, parallel: bool = False) -> Any:
    """Return the h5py module; ``parallel`` asks for the build with MPI where there are two.

    Raises
    ------
    MissingDependencyError
        If h5py cannot be imported.
    """
    if parallel:
        # Debian installs h5py with and without MPI side by side and chooses at its first import
        os.environ.setdefault("H5PY_ALWAYS_USE_MPI", "1")
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(f"h5py cannot be imported ({error}); see docs/installation.md") from error
    return h5py


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether the file starts as HDF5 does."""
    try:
        with open(path, "rb") as stream:
            return stream.read(8) == _SIGNATURE
    except OSError:
        return False
