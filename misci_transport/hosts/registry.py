"""Formats of other codes: what installed adapters have registered, and which of them knows a file.

An entry point of the group ``misci_transport.hosts`` loads a module with

    NAME                          of the format
    sniff(path) -> bool           cheap, reads a few bytes, never raises
    open_host(path, user) -> HostFile
                                  ``user`` is a `UserMap` or None; its ``file`` table holds options of the format
    NAMES                         if there are several that ``[file] format`` of a map may say

Snapshots of fluid codes, stars and tables of stars all go this way. The module to copy is ``adapters/skeleton.py``,
the tests that every adapter passes are ``tests/adapters/contract.py``.
"""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, MisciError, ProfileError
from ..hdf5 import import_h5py, is_hdf5
from .record import DAMAGE

if TYPE_CHECKING:
    import os

    from .mapping import UserMap
    from .record import HostFile

logger = logging.getLogger(__name__)

ENTRY_POINTS = "misci_transport.hosts"


def adapters() -> list[Any]:
    """The modules of all registered formats, by name; one that cannot be imported is left out with a warning."""
    found = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            found.append(point.load())
        except Exception as error:
            # somebody else's adapter must not keep files of other formats from being read
            logger.warning("adapter %s is left out: %s: %s", point.name, type(error).__name__, error)
    return found


def adapter_names() -> list[str]:
    """Names of all registered formats, as ``[file] format`` of a map may say them."""
    return [name for adapter in adapters() for name in _names(adapter)]


def _names(adapter: Any) -> tuple[str, ...]:
    return tuple(getattr(adapter, "NAMES", (adapter.NAME,)))


def find_adapter(path: Path, name: str | None = None) -> Any:
    """The module that knows a file (of a format's name if one is given), or None."""
    for adapter in adapters():
        if name is not None:
            if name in _names(adapter):
                return adapter
        elif adapter.sniff(path):
            return adapter
    return None


def open_host(path: str | os.PathLike[str], user: UserMap | None = None) -> HostFile:
    """Open a snapshot of a fluid code in whichever format it is; ``[file] format`` of the map may name it.

    Raises
    ------
    ProfileError
        If there is no such file or directory, no adapter knows it (the message lists them), or it is damaged.
    ConfigurationError
        If the map does not fit the file.
    MissingDependencyError
        If the format needs a package that is not there.
    """
    path = Path(path)
    if not path.exists():
        raise ProfileError(f"{path}: no such file or directory")
    wanted = None if user is None else user.file.get("format")
    adapter = find_adapter(path, wanted)
    if adapter is None:
        if wanted:
            raise ConfigurationError(f"file.format is {wanted!r}; accepted: {', '.join(adapter_names())}")
        check_hdf5(path)
        raise ProfileError(f"{path}: format not recognized; accepted: {', '.join(adapter_names())}")
    try:
        host: HostFile = adapter.open_host(path, user)
    except MisciError:
        raise
    except DAMAGE as error:
        reason = f"{type(error).__name__}: {error}"
        raise ProfileError(f"{path}: damaged, or not what the format {adapter.NAME} is: {reason}") from error
    return _mapped(host, user)


def check_hdf5(path: Path) -> None:
    """Refuse what begins as an HDF5 file but is not a whole one.

    Raises
    ------
    ProfileError
        Truncated or damaged.
    """
    if is_hdf5(path):
        h5py = import_h5py()
        try:
            h5py.File(path, "r").close()
        except (OSError, RuntimeError) as error:
            raise ProfileError(f"{path}: truncated or damaged: {error}") from None


def _mapped(host: HostFile, user: UserMap | None) -> HostFile:
    """The user's map on top of the adapter's; units are those of the whole file, lengths and time among them."""
    host.map = host.own_map.with_user(user)
    units = host.map.units
    given = user is not None and user.units is not None
    if given and host.fixed_length and host.own_map.units is not None:
        raise ConfigurationError(
            f"{host.path}: [units] in its map; accepted: none, the format {host.format} has its own"
        )
    if units is not None and (host.length is None or (given and not host.fixed_length)):
        host.length = units.length
    if units is not None and host.time_unit == "code":
        host.time = None if host.time is None else host.time * units.time
        host.time_unit = "s"
    for name, source in host.map.fields.items():
        # wrong units are told at once, and with the file's name
        try:
            source.scale(name, units)
        except MisciError as error:
            raise type(error)(f"{host.path}: {error}") from None
    return host
