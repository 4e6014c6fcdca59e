"""Opening a stellar profile: this project's table, or a file of another code that an installed adapter reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ProfileError
from ..hosts.convert import profile_of
from ..hosts.mapping import read_map
from ..hosts.registry import adapter_names, check_hdf5, find_adapter, open_host
from ..profile import Profile, is_table

if TYPE_CHECKING:
    import os


def open_profile(path: str | os.PathLike[str], field_map: str | os.PathLike[str] | None = None) -> Profile:
    """Read a profile in any known format; ``field_map`` is a TOML file that names fields and units of another code.

    Raises
    ------
    ProfileError
        If there is no such file, no format recognizes it (the message lists them), it cannot be read, or it is no
        spherical star.
    UnphysicalInputError
        A value outside its physical range.
    ConfigurationError
        If the map does not fit the file.
    """
    path = Path(path)
    if not path.exists():
        raise ProfileError(f"{path}: no such file")
    if field_map is not None:
        return profile_of(open_host(path, read_map(field_map)))
    if is_table(path):
        return Profile.read_table(path)
    if find_adapter(path) is None:
        check_hdf5(path)
        known = ["profile table of misci_transport", *adapter_names()]
        raise ProfileError(f"{path}: format not recognized; accepted: {', '.join(known)}")
    return profile_of(open_host(path))
