"""Opening a stellar profile: this project's table, or a format that an installed adapter registered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ProfileError
from ..profile import Profile, is_table
from .formats import adapter_names, adapter_reader

if TYPE_CHECKING:
    import os

#: An entry point of this group loads an object with ``sniff(path) -> bool`` and ``read(path) -> Profile``.
ENTRY_POINTS = "misci_transport.profiles"


def open_profile(path: str | os.PathLike[str]) -> Profile:
    """Read a profile in any known format.

    Raises
    ------
    ProfileError
        If there is no such file, no format recognizes it (the message lists them), or it cannot be read.
    UnphysicalInputError
        A value outside its physical range.
    """
    path = Path(path)
    if not path.is_file():
        raise ProfileError(f"{path}: no such file")
    reader = find_reader(path)
    if reader is None:
        known = ["profile table of misci_transport", *adapter_names(ENTRY_POINTS)]
        raise ProfileError(f"{path}: format not recognized; accepted: {', '.join(known)}")
    profile = reader(path)
    assert isinstance(profile, Profile)
    return profile


def find_reader(path: Path) -> Any:
    """The function that reads this file, or None."""
    return Profile.read_table if is_table(path) else adapter_reader(ENTRY_POINTS, path)
