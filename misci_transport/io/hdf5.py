"""The one place that imports h5py, and only when a file is opened."""

from __future__ import annotations

import os
from typing import Any

from ..errors import MissingDependencyError


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
