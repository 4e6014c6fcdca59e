"""The formats that can be read, in the order in which they are tried."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from misci_transport.errors import ProfileError
from misci_transport.profile import Profile, is_table

from . import kepler, liebendoerfer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable


class Reader(NamedTuple):
    """A format: its name, a cheap test of a file, and the reader."""

    name: str
    sniff: Callable[[str | os.PathLike[str]], bool]
    read: Callable[[str | os.PathLike[str]], Profile]


READERS: tuple[Reader, ...] = (
    Reader("misci table", is_table, Profile.read_table),
    Reader(liebendoerfer.NAME, liebendoerfer.sniff, liebendoerfer.read),
    Reader(kepler.NAME, kepler.sniff, kepler.read),
)


def names() -> list[str]:
    """Names of the formats."""
    return [reader.name for reader in READERS]


def open_profile(path: str | os.PathLike[str]) -> Profile:
    """Read a profile of any known format.

    Raises
    ------
    ProfileError
        If the file does not exist, no format recognizes it (the message lists them), or it cannot be read.
    UnphysicalInputError
        A value outside its physical range.
    """
    if not Path(path).is_file():
        raise ProfileError(f"{path}: no such file")
    for reader in READERS:
        if reader.sniff(path):
            return reader.read(path)
    raise ProfileError(f"{path}: format not recognized; known formats: {', '.join(names())}")
