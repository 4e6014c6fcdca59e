"""FLASH and Flash-X checkpoints and plot files (HDF5): blocks of PARAMESH, leaves marked by their node type.

One dataset a variable, (block, nz, ny, nx) without guard cells; names have four characters. Blocks have equal cells
between the two corners in ``bounding box``, angles in radians. cgs and K; ``ye`` is a mass scalar.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, on_axes, whole_axis
from misci_transport.hosts.units import CGS

from .hdf5_source import Hdf5Source, holds, text

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "flash"
LEAF = 1
_VARIABLES = {
    "mass_density": FieldSource(("dens",)),
    "temperature": FieldSource(("temp",), "K"),
    "electron_fraction": FieldSource(("ye",)),
    "velocity": FieldSource(("velx", "vely", "velz")),
    "specific_internal_energy": FieldSource(("eint",)),
    "pressure": FieldSource(("pres",)),
    "entropy": FieldSource(("entr",), "k_B/baryon"),
    "gravitational_potential": FieldSource(("gpot",)),
}


def sniff(path: Path) -> bool:
    """Whether the file has the datasets of a FLASH file."""
    return holds(Path(path), ("bounding box", "refine level", "node type", "unknown names"))


def open_host(path: str | os.PathLike[str], user: UserMap | None = None) -> HostFile:
    """Open a checkpoint or plot file; ``[file] geometry`` of the map says what FLASH 2 does not (default: Cartesian).

    Raises
    ------
    ProfileError
        If a dataset is missing or damaged, or the geometry is polar.
    """
    path = Path(path)
    source = Hdf5Source(path)
    variables = {text(name): bytes(name).decode("ascii") for name in source.array("unknown names").ravel()}
    scalars = _scalars(source)
    given = None if user is None else user.file.get("geometry")
    geometry = given or scalars.get("geometry", "cartesian")
    if geometry not in ("cartesian", "cylindrical", "spherical"):
        raise ProfileError(f"{path}: geometry is {geometry!r}; accepted: cartesian, cylindrical, spherical")
    stored = {name: _stored(source, name, padded) for name, padded in variables.items()}
    first = next(iter(stored.values()), None)
    if first is None:
        raise ProfileError(f"{path}: unknown names lists no variable")
    blocks, *cells = source.shape(first)
    box, kind, level = (source.array(name) for name in ("bounding box", "node type", "refine level"))
    # FLASH 2 has as many axes as are resolved, and no list of scalars
    dimensions = int(scalars.get("dimensionality", box.shape[1]))
    if box.shape[0] != blocks or box.shape[1] < dimensions or kind.shape != (blocks,) or level.shape != (blocks,):
        raise ProfileError(
            f"{path}: {first} has {blocks} blocks, bounding box {box.shape}, node type {kind.shape}, refine level "
            f"{level.shape}; accepted: one entry for each block, {dimensions} axes"
        )
    owner = source.array("processor number") if "processor number" in source.names else np.zeros(blocks, dtype=int)
    places = []
    for block in range(blocks):
        faces = []
        for axis in range(3):
            if axis < dimensions:
                low, high = (float(x) for x in box[block, axis])
                faces.append(on_axes(geometry, axis, np.linspace(low, high, cells[2 - axis] + 1)))
            else:
                faces.append(whole_axis(geometry, axis))
        covered = None if kind[block] == LEAF else np.ones(cells, dtype=bool)
        places.append(BlockPlace((faces[0], faces[1], faces[2]), int(level[block]) - 1, int(owner[block]), covered))
    fields = dict(_VARIABLES)
    # plot files may leave out components, from the last one on
    moving = next(n for n in (3, 2, 1) if n == 1 or set(("velx", "vely", "velz")[:n]) <= set(variables))
    fields["velocity"] = FieldSource(("velx", "vely", "velz")[:moving])

    def read(block: int, name: str) -> Any:
        return source.array(stored[name], block)

    return HostFile(
        path,
        NAME,
        str(scalars.get("flash version", "FLASH")) or "FLASH",
        geometry,
        places,
        tuple(variables),
        read,
        FieldMap(fields, CGS),
        resolved=tuple(range(dimensions)),
        time=float(scalars["time"]) if "time" in scalars else None,
        notes=("numbers are taken as cgs and K, which problems without units do not mean",),
    )


def _stored(source: Hdf5Source, name: str, padded: str) -> str:
    """The dataset of a variable: its name is padded with blanks in some versions."""
    for candidate in (padded, f"{name:4s}", name):
        if candidate in source.file:
            return candidate
    raise ProfileError(f"{source.path}: dataset {name} is missing, which unknown names lists")


def _scalars(source: Hdf5Source) -> dict[str, Any]:
    """What the compound lists say, by name; parameters of the run first, so that scalars win."""
    found: dict[str, Any] = {}
    if "simulation parameters" in source.names:
        # FLASH 2
        parameters = source.array("simulation parameters").ravel()[:1]
        found |= {name: parameters[name][0] for name in (parameters.dtype.names or ())}
    for group in ("runtime parameters", "scalars"):
        for kind in ("integer", "real", "string", "logical"):
            name = f"{kind} {group}"
            if name in source.names:
                for key, value in source.array(name).ravel().tolist():
                    found[text(key)] = text(value) if isinstance(value, bytes) else value
    if "sim info" in source.names:
        info = source.array("sim info")
        if "flash version" in (info.dtype.names or ()):
            found["flash version"] = text(info["flash version"].ravel()[0])
    return found
