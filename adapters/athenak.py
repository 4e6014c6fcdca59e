"""AthenaK ``.bin`` files ("Athena binary output version=1.1"): a text header, the input file, then blocks.

Every block: ten int32 (index ranges, logical location, level), six reals (extents), then the variables as
[variable][k][j][i]. Ghost zones, where a run wrote them, are left out. Cartesian, only leaves, code units. ``eint`` is
per volume; scalars are s_00 and so on.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "athenak"
MAGIC = b"Athena binary output version="
VERSIONS = ("1.1",)
_REALS = {4: "<f4", 8: "<f8"}


def sniff(path: Path) -> bool:
    """Whether the first line is that of AthenaK."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """Open a binary output.

    Raises
    ------
    ProfileError
        If the version is another one, the header is damaged, or the file ends within a block.
    """
    path = Path(path)
    with path.open("rb") as stream:
        header = _header(path, stream)
        begin = stream.tell()
        size = stream.seek(0, 2)
        places, offsets, parts = _blocks(path, stream, header, begin, size)
    names, real = header["variables"], header["real"]
    row = {name: number for number, name in enumerate(names)}

    def read(block: int, name: str) -> Any:
        shape, inside = parts[block]
        cells = shape[0] * shape[1] * shape[2]
        with path.open("rb") as stream:
            stream.seek(offsets[block] + row[name] * cells * real)
            values = np.frombuffer(stream.read(cells * real), dtype=_REALS[real])
        return values.reshape(shape)[inside]

    if "mom1" in row:
        velocity = FieldSource(("mom1", "mom2", "mom3"), divide_by="dens")
    else:
        velocity = FieldSource(("velx", "vely", "velz"))
    fields = {
        "mass_density": FieldSource(("dens",)),
        "velocity": velocity,
        "specific_internal_energy": FieldSource(("eint",), divide_by="dens"),
    }
    return HostFile(
        path,
        NAME,
        "AthenaK",
        "cartesian",
        places,
        tuple(names),
        read,
        FieldMap(fields),
        length=None,
        resolved=tuple(axis for axis in range(3) if any(place.shape[2 - axis] > 1 for place in places)),
        time=header["time"],
        time_unit="code",
        notes=(
            "code units: a map with [units] says what they are worth; s_00 is often the electron fraction",
            *(("relativistic: velocities are W v, without the metric",) if header["relativistic"] else ()),
        ),
        attributes={"cycle": header["cycle"]},
    )


def _header(path: Path, stream: Any) -> dict[str, Any]:
    first = stream.readline().decode("ascii", "replace").strip()
    version = first.partition("=")[2]
    if version not in VERSIONS:
        raise ProfileError(f"{path}: Athena binary output version {version!r}; accepted: {', '.join(VERSIONS)}")
    found: dict[str, str] = {}
    variables: list[str] = []
    while "header offset" not in found:
        line = stream.readline()
        if not line or len(found) > 50:
            raise ProfileError(f"{path}: the header ends before 'header offset'")
        words = line.decode("ascii", "replace").strip()
        if words.startswith("variables:"):
            variables = words.split()[1:]
        else:
            key, _, value = words.partition("=")
            found[key.strip()] = value.strip()
    try:
        real, place = int(found["size of variable"]), int(found["size of location"])
        time, cycle, offset = float(found["time"]), int(found["cycle"]), int(found["header offset"])
        count = int(found["number of variables"])
    except (KeyError, ValueError) as error:
        raise ProfileError(f"{path}: damaged header: {error}") from None
    if real not in _REALS or place not in _REALS or count != len(variables):
        raise ProfileError(
            f"{path}: {count} variables ({' '.join(variables)}) of {real} bytes, locations of {place}; accepted: "
            "as many names as variables, 4 or 8 bytes"
        )
    text = stream.read(offset).decode("ascii", "replace")
    if len(text) < offset:
        raise ProfileError(f"{path}: truncated in the input file that the header holds")
    return {
        "time": time,
        "cycle": cycle,
        "variables": variables,
        "real": real,
        "place": place,
        "cells": [_parameter(text, "meshblock", f"nx{n}") or _parameter(text, "mesh", f"nx{n}") for n in (1, 2, 3)],
        "relativistic": bool(re.search(r"^\s*(general_rel|special_rel)\s*=\s*(true|1)", text, re.MULTILINE)),
    }


def _parameter(text: str, section: str, key: str) -> int | None:
    """An integer of the input file."""
    match = re.search(rf"^<{section}>$(?:\n(?!<).*)*?\n\s*{key}\s*=\s*(\d+)", text, re.MULTILINE)
    return None if match is None else int(match[1])


def _blocks(
    path: Path, stream: Any, header: dict[str, Any], begin: int, size: int
) -> tuple[list[BlockPlace], list[int], list[tuple[Any, Any]]]:
    """Places of the blocks, where their data begin, and (stored shape, cells that are not ghosts)."""
    places: list[BlockPlace] = []
    offsets: list[int] = []
    parts: list[tuple[Any, Any]] = []
    at = begin
    while at < size:
        stream.seek(at)
        head = stream.read(40 + 6 * header["place"])
        if len(head) < 40 + 6 * header["place"]:
            raise ProfileError(f"{path}: truncated in the head of block {len(places)}")
        i0, i1, j0, j1, k0, k1, *_, level = np.frombuffer(head[:40], dtype="<i4").tolist()
        extent = np.frombuffer(head[40:], dtype=_REALS[header["place"]]).astype(np.float64)
        shape = (k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
        length = len(header["variables"]) * header["real"] * shape[0] * shape[1] * shape[2]
        if min(shape) < 1 or at + len(head) + length > size:
            raise ProfileError(f"{path}: truncated or damaged in block {len(places)} of {shape[::-1]} cells")
        ghosts = []
        for axis, cells in enumerate(header["cells"]):
            stored = shape[2 - axis]
            if cells is not None and (stored < cells or (stored - cells) % 2):
                raise ProfileError(
                    f"{path}: block {len(places)} has {stored} cells along x{axis + 1}; accepted: the {cells} of a "
                    "mesh block, with or without ghosts (no slices)"
                )
            ghosts.append(0 if cells is None else (stored - cells) // 2)
        inside = tuple(slice(ghosts[axis], shape[2 - axis] - ghosts[axis]) for axis in (2, 1, 0))
        parts.append((shape, inside))
        inner = [shape[2 - axis] - 2 * ghosts[axis] for axis in range(3)]
        faces = [np.linspace(extent[2 * n], extent[2 * n + 1], inner[n] + 1) for n in range(3)]
        places.append(BlockPlace((faces[0], faces[1], faces[2]), level))
        offsets.append(at + len(head))
        at += len(head) + length
    return places, offsets, parts
