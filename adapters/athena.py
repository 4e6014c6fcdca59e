"""Athena++ ``.athdf`` files: only leaves are stored, on faces of their own; code units that the file does not name.

Ghost zones, where a run wrote them, are recognized by faces outside of the root grid and left out. Primitive (rho,
press, vel1..) or conserved (dens, mom1..) variables; Ye is usually the passive scalar r0, and there is no temperature:
a map has to name them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import AXES, BlockPlace, HostFile, NeutrinoMoments, on_axes

from .hdf5_source import Hdf5Source, holds, text

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "athena"
_GEOMETRY = {
    "cartesian": "cartesian",
    "minkowski": "cartesian",
    "spherical_polar": "spherical",
    "cylindrical": "cylindrical",
    "schwarzschild": "spherical",
    "kerr-schild": "spherical",
}
_GROUP = re.compile(r"Er_(\d+)$")


def sniff(path: Path) -> bool:
    """Whether the file has the attributes of an athdf file."""
    return holds(Path(path), ("Levels", "LogicalLocations", "x1f"), ("MeshBlockSize", "VariableNames"))


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """Open an athdf file.

    Raises
    ------
    ProfileError
        If a dataset is missing or damaged, or coordinates are of a kind that is not known.
    """
    path = Path(path)
    source = Hdf5Source(path)
    coordinates = text(source.attribute("Coordinates"))
    if coordinates not in _GEOMETRY:
        raise ProfileError(f"{path}: Coordinates are {coordinates!r}; accepted: {', '.join(_GEOMETRY)}")
    geometry = _GEOMETRY[coordinates]
    # (R, phi, z) there, (R, z, phi) here
    swapped = coordinates == "cylindrical"
    order = (0, 2, 1) if swapped else (0, 1, 2)
    size = [int(n) for n in source.attribute("RootGridSize")]
    faces, inside = [], []
    for axis, stored in enumerate(order):
        found, cells = _faces(source, stored, size[stored])
        faces.append(on_axes(geometry, axis, found))
        inside.append(cells)
    size = [size[stored] for stored in order]
    levels = source.array("Levels")
    places = [BlockPlace((faces[0][b], faces[1][b], faces[2][b]), int(levels[b])) for b in range(levels.size)]
    _check_whole(path, geometry, places, source, order)
    held = _variables(source)

    def read(block: int, name: str) -> Any:
        dataset, row = held[name]
        values = source.array(dataset, (row, block))
        if swapped:
            values = values.swapaxes(0, 1)
        return values[inside[2], inside[1], inside[0]]

    groups = sorted(int(match[1]) for name in held if (match := _GROUP.match(name)))

    def moments(block: int) -> NeutrinoMoments:
        energy = np.stack([read(block, f"Er_{g}") for g in groups])[None]
        order = (1, 3, 2) if swapped else (1, 2, 3)
        flux = np.stack([[read(block, f"Fr_{g}_{axis}") for axis in order] for g in groups])[None]
        return NeutrinoMoments(
            energy.astype(np.float64),
            flux.astype(np.float64),
            ("radiation",),
            (1,),
            "laboratory",
            "energy per volume and group, code units",
        )

    return HostFile(
        path,
        NAME,
        "Athena++",
        geometry,
        places,
        tuple(held),
        read,
        FieldMap(_fields(held, swapped)),
        length=None,
        resolved=tuple(axis for axis in range(3) if size[axis] > 1),
        time=float(source.attribute("Time")),
        time_unit="code",
        read_moments=moments if groups else None,
        notes=(
            "code units: a map with [units] says what they are worth; r0 is often the electron fraction",
            *(("volumes are those of flat space",) if coordinates in ("schwarzschild", "kerr-schild") else ()),
        ),
        attributes={"cycle": int(source.attribute("NumCycles")), "coordinates": coordinates},
    )


def _faces(source: Hdf5Source, axis: int, cells: int) -> tuple[Any, slice]:
    """Faces (block, n + 1) of a stored axis without ghosts, and the cells of a block that are not ghosts."""
    faces = source.array(f"x{axis + 1}f").astype(np.float64)
    lowest = float(source.attribute(f"RootGridX{axis + 1}")[0])
    first = faces[np.argmin(faces[:, 0])]
    ghosts = int((first < lowest - 0.25 * np.diff(first).min()).sum()) if cells > 1 else 0
    stop = faces.shape[1] - ghosts
    return faces[:, ghosts:stop], slice(ghosts, stop - 1)


def _check_whole(path: Path, geometry: str, places: list[BlockPlace], source: Hdf5Source, order: Any) -> None:
    """Slices are no part of the star that neutrinos could be transported in."""
    for axis, stored in enumerate(order):
        low, high = (float(x) for x in source.attribute(f"RootGridX{stored + 1}")[:2])
        ends = min(place.faces[axis][0] for place in places), max(place.faces[axis][-1] for place in places)
        if max(abs(ends[0] - low), abs(ends[1] - high)) > 1.0e-5 * max(abs(low), abs(high), high - low):
            raise ProfileError(
                f"{path}: blocks reach from {ends[0]:.6g} to {ends[1]:.6g} along {AXES[geometry][axis]}; accepted: the "
                f"root grid's {low:.6g} to {high:.6g} (no slices)"
            )


def _variables(source: Hdf5Source) -> dict[str, tuple[str, int]]:
    """Dataset and row of every variable."""
    names = [text(name) for name in source.attribute("VariableNames")]
    datasets = [text(name) for name in source.attribute("DatasetNames")]
    numbers = [int(n) for n in source.attribute("NumVariables")]
    if sum(numbers) != len(names) or len(numbers) != len(datasets):
        raise ProfileError(
            f"{source.path}: {len(names)} VariableNames for NumVariables = {numbers} in {', '.join(datasets)}"
        )
    held, first = {}, 0
    for dataset, count in zip(datasets, numbers, strict=True):
        for row in range(count):
            held[names[first + row]] = (dataset, row)
        first += count
    return held


def _fields(held: dict[str, tuple[str, int]], swapped: bool) -> dict[str, FieldSource]:
    order = (1, 3, 2) if swapped else (1, 2, 3)
    if "rho" in held:
        fields = {
            "mass_density": FieldSource(("rho",)),
            "velocity": FieldSource(tuple(f"vel{axis}" for axis in order)),
            "pressure": FieldSource(("press",)),
        }
    else:
        fields = {
            "mass_density": FieldSource(("dens",)),
            "velocity": FieldSource(tuple(f"mom{axis}" for axis in order), divide_by="dens"),
        }
    return fields
