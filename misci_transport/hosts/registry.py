"""Formats of fluid codes: what installed adapters have registered, and which of them knows a file.

An entry point of the group ``misci_transport.hosts`` loads a module with

    NAME                          of the format
    sniff(path) -> bool           cheap, reads a few bytes, never raises
    open_host(path, user) -> HostFile
                                  ``user`` is a `UserMap` or None; its ``file`` table holds options of the format

The skeleton is ``adapters/skeleton.py``, the tests that every adapter passes are ``tests/adapters/contract.py``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ProfileError

if TYPE_CHECKING:
    import os

    from .mapping import UserMap
    from .record import HostFile

ENTRY_POINTS = "misci_transport.hosts"


def adapters() -> list[Any]:
    """The modules of all registered formats, by name."""
    return [point.load() for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)]


def find_adapter(path: Path, name: str | None = None) -> Any:
    """The module that knows a file (of a format's name if one is given), or None."""
    for adapter in adapters():
        if name is not None:
            if name == adapter.NAME:
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
    """
    path = Path(path)
    if not path.exists():
        raise ProfileError(f"{path}: no such file or directory")
    wanted = None if user is None else user.file.get("format")
    adapter = find_adapter(path, wanted)
    if adapter is None:
        names = ", ".join(adapter.NAME for adapter in adapters())
        what = f"format {wanted!r} is not known" if wanted else "format not recognized"
        raise ProfileError(f"{path}: {what}; accepted: {names}")
    host: HostFile = adapter.open_host(path, user)
    host.map = host.own_map.with_user(user)
    if host.length is None and host.map.units is not None:
        host.length = host.map.units.length
    for name, source in host.map.fields.items():
        # wrong units are told at once, and with the file's name
        try:
            source.scale(name, host.map.units)
        except Exception as error:
            raise type(error)(f"{path}: {error}") from None
    return host
