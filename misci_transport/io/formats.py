"""Formats of other codes: what installed adapters have registered."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def adapter_names(group: str) -> list[str]:
    """Names of the adapters of an entry point group, in order."""
    return sorted(point.name for point in entry_points(group=group))


def adapter_reader(group: str, path: Path) -> Any:
    """The ``read`` of the first adapter of a group, by name, whose ``sniff`` recognizes the file; None without one."""
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        adapter = point.load()
        if adapter.sniff(path):
            return adapter.read
    return None
