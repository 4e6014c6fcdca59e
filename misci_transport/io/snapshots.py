"""Block snapshots in files: this project's HDF5, or a format that an installed adapter registered."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import AXES, AXIS_UNITS, GEOMETRIES, BlockMesh
from ..constants import KELVIN_PER_MEV, SPEED_OF_LIGHT
from ..errors import MisciError, ProfileError
from ..fields import Field
from ..fluid import Fluid
from ..hdf5 import is_hdf5
from ..hosts.convert import snapshot_of
from ..hosts.mapping import read_map
from ..hosts.registry import adapter_names, find_adapter, open_host
from ..snapshot import UNITS, BlockSnapshot, check_matter, numbers_of
from .output import write_fields
from .read import open_snapshot_file

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from ..snapshot import Part, SnapshotSource
    from .read import Reader

#: Other units that files may use, and what they are worth in ours.
_OTHER_UNITS = {
    "cm": {"km": 1.0e5, "m": 1.0e2},
    "MeV": {"K": 1.0 / KELVIN_PER_MEV},
    "cm/s": {"km/s": 1.0e5, "c": SPEED_OF_LIGHT},
}
_REQUIRED = ("mass_density", "temperature", "electron_fraction")
_POTENTIALS = ("electron_chemical_potential", "nucleon_potential_difference")


class SnapshotFile:
    """A snapshot in this project's format, of which every rank reads its own cells.

    Raises
    ------
    ProfileError
        If the file is not a snapshot, a dataset or unit is missing or does not fit: file and key are named.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with open_snapshot_file(self.path) as reader:
            self.title = str(reader.attributes.get("title", ""))
            self.citation = str(reader.attributes.get("citation", ""))
            time = reader.attributes.get("time")
            self.time = None if time is None else float(time)
            self.mesh = self._mesh(reader)
            self._names = self._check(reader)

    def part(self, part: Part) -> Fluid:
        """Checked matter on a box of cells."""
        values: dict[str, Any] = {}
        with open_snapshot_file(self.path) as reader:
            for name in self._names:
                factor = self._factor(reader, f"fluid/{name}", UNITS[name])
                read = reader.array(f"fluid/{name}", part).astype(np.float64) * factor
                values[name] = read.reshape(-1, *read.shape[3:])
        cells = values["mass_density"].size
        # matter without a velocity is at rest
        values.setdefault("velocity", np.zeros((cells, 3)))
        matter = Fluid(**values)
        check_matter(matter, numbers_of(self.mesh, part), str(self.path))
        return matter

    def whole(self) -> BlockSnapshot:
        """The snapshot with all its cells."""
        matter = self.part((slice(None), slice(None), slice(None)))
        return BlockSnapshot(self.mesh, matter, self.time, self.title, self.citation)

    def _mesh(self, reader: Reader) -> BlockMesh:
        geometry = reader.attributes.get("geometry")
        if geometry not in GEOMETRIES:
            raise ProfileError(f"{self.path}: attribute geometry is {geometry!r}; accepted: {' or '.join(GEOMETRIES)}")
        faces = []
        for name, unit in zip(AXES[geometry], AXIS_UNITS[geometry], strict=True):
            key = f"mesh/{name}_face"
            faces.append(reader.array(key).astype(np.float64) * self._factor(reader, key, unit))
        try:
            return BlockMesh(geometry, (faces[0], faces[1], faces[2]))
        except MisciError as error:
            raise ProfileError(f"{self.path}: {error}") from None

    def _check(self, reader: Reader) -> list[str]:
        """Names of the fields of the fluid that the file holds."""
        known = [field.name for field in fields(Fluid)]
        names = [name.removeprefix("fluid/") for name in reader.names if name.startswith("fluid/")]
        for name in names:
            if name not in known:
                raise ProfileError(f"{self.path}: field fluid/{name} is not known; accepted: {', '.join(known)}")
        for name in _REQUIRED:
            if name not in names:
                raise ProfileError(f"{self.path}: field fluid/{name} is missing; found {', '.join(names) or 'none'}")
        cells = self.mesh.shape[::-1]
        for name in names:
            self._factor(reader, f"fluid/{name}", UNITS[name])
            shape = reader.shape(f"fluid/{name}")
            expected = (*cells, 3) if name == "velocity" else cells
            if shape != expected:
                raise ProfileError(
                    f"{self.path}: field fluid/{name} has shape {shape}; accepted on this mesh: {expected}, "
                    f"({', '.join(AXES[self.mesh.geometry][::-1])}{', axis' if name == 'velocity' else ''})"
                )
        return names

    def _factor(self, reader: Reader, key: str, unit: str) -> float:
        given = reader.describe(key).get("unit")
        others = {} if key.startswith("fluid/") and key.removeprefix("fluid/") in _POTENTIALS else _OTHER_UNITS
        accepted = {unit: 1.0, **others.get(unit, {})}
        if given not in accepted:
            raise ProfileError(
                f"{self.path}: unit of {key} is {given!r}; accepted in its attribute unit: {' or '.join(accepted)}"
            )
        return accepted[given]


def open_snapshot(path: str | os.PathLike[str], field_map: str | os.PathLike[str] | None = None) -> SnapshotSource:
    """Open a block snapshot in any known format; ``field_map`` is a TOML file that names fields and units.

    Raises
    ------
    ProfileError
        If there is no such file, no format recognizes it (the message lists them), it cannot be read, or it has
        several blocks.
    UnphysicalInputError
        A value outside its physical range.
    ConfigurationError
        If the map does not fit the file.
    """
    path = Path(path)
    if not path.exists():
        raise ProfileError(f"{path}: no such file")
    if field_map is not None:
        return snapshot_of(open_host(path, read_map(field_map)))
    if find_adapter(path) is not None:
        return snapshot_of(open_host(path))
    if is_hdf5(path):
        return SnapshotFile(path)
    known = ", ".join(["snapshot of misci_transport", *adapter_names()])
    raise ProfileError(f"{path}: format not recognized; accepted: {known}")


def write_snapshot(path: str | os.PathLike[str], snapshot: BlockSnapshot) -> Path:
    """Write a checked snapshot in this project's format. Not collective.

    Raises
    ------
    ProfileError, UnphysicalInputError
        If the snapshot has a defect.
    OutputError
        If the file cannot be written.
    """
    snapshot.validate()
    mesh = snapshot.mesh
    items = mesh.face_fields()
    cells, axes = mesh.shape[::-1], AXES[mesh.geometry][::-1]
    for field in fields(snapshot.fluid):
        values: NDArray[np.float64] | None = getattr(snapshot.fluid, field.name)
        if values is not None:
            shaped = values.reshape(*cells, *values.shape[1:])
            about = field.name.replace("_", " ")
            all_axes = (*axes, "axis")[: shaped.ndim]
            items.append(Field(f"fluid/{field.name}", shaped, all_axes, UNITS[field.name], about, "cell"))
    attributes: dict[str, Any] = {
        "geometry": mesh.geometry,
        "title": snapshot.title,
        "citation": snapshot.citation,
    }
    if snapshot.time is not None:
        attributes["time"] = float(snapshot.time)
    return write_fields(path, items, attributes, kind="snapshot")
