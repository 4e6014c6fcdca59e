"""Any table or HDF5 file whose layout a map describes: the columns of a text, or the datasets of a mesh.

    [file]
    format = "columns"
    columns = ["zone", "mass", "r", "T", "rho", "vr", "Ye"]    # names of the columns, in order
    skip = 2                       # lines before the numbers (blank lines and those with "#" are left out anyway)
    mesh = ["r"]                   # the column along each axis: one for text
    at = "outer face"              # of a row: "centre", "outer face", or "faces" (one row more than there are cells)
    mesh_unit = "cm"

    [file]
    format = "hdf5"
    geometry = "spherical"         # or cartesian, cylindrical
    mesh = ["grid/r", "grid/theta"]
    at = "faces"
    mesh_unit = "km"               # of lengths; angles are in radians
    order = "x slowest"            # of the arrays; default "x fastest"
    time = "info/time"             # a dataset, or a number in s

Fields are named in [fields], each with its unit, unless [units] says what the code's are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from misci_transport.errors import ConfigurationError, ProfileError
from misci_transport.hosts.mapping import FieldMap
from misci_transport.hosts.record import AXES, BlockPlace, HostFile, on_axes, whole_axis
from misci_transport.hosts.units import worth
from misci_transport.options import Section, explain

from .hdf5_source import Hdf5Source
from .text_columns import read_lines, table

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from misci_transport.hosts.mapping import UserMap

NAME = "generic"
NAMES = ("columns", "hdf5")


class FileSection(Section):
    """What a map says of the file itself."""

    format: Literal["columns", "hdf5"] = Field(description="columns of a text, or datasets")
    geometry: Literal["spherical", "cartesian", "cylindrical"] = Field(default="spherical", description="of the mesh")
    mesh: list[str] = Field(min_length=1, max_length=3, description="column or dataset of each axis that is resolved")
    at: Literal["centre", "outer face", "faces"] = Field(default="faces", description="where the mesh's numbers are")
    inner: float = Field(
        default=0.0, description="lowest face of the first axis for centres and outer faces, mesh_unit"
    )
    mesh_unit: str | None = Field(default=None, description="unit of lengths; by default that of [units]")
    columns: list[str] = Field(default_factory=list, description="names of a text's columns")
    skip: int = Field(default=0, ge=0, description="lines before the numbers")
    order: Literal["x fastest", "x slowest"] = Field(default="x fastest", description="of arrays in several dimensions")
    time: float | str | None = Field(default=None, description="s, or a dataset")

    @model_validator(mode="after")
    def _fits(self) -> FileSection:
        if self.format == "columns":
            if not self.columns:
                raise ValueError("columns is missing; accepted: the names of all columns")
            if len(set(self.columns)) < len(self.columns):
                raise ValueError("columns has a name twice; accepted: different names")
            if len(self.mesh) != 1 or self.mesh[0] not in self.columns:
                raise ValueError(f"mesh is {self.mesh!r}; accepted: one of {', '.join(self.columns)}")
            if isinstance(self.time, str):
                raise ValueError("time is a text; accepted: a number in s")
        elif self.columns or self.skip:
            raise ValueError("columns, skip; accepted with hdf5: datasets only")
        return self


def sniff(_path: Path) -> bool:
    """Never: a map has to ask for it."""
    return False


def open_host(path: str | os.PathLike[str], user: UserMap | None = None) -> HostFile:
    """Open a file as its map describes it.

    Raises
    ------
    ConfigurationError
        If [file] is missing or has wrong keys.
    ProfileError
        If a column or dataset is missing, of another shape, or damaged.
    """
    path = Path(path)
    if user is None:
        raise ConfigurationError(f"{path}: no map; accepted: one with [file] format, mesh and at")
    try:
        section = FileSection.model_validate(user.file)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: its map: file.{explain(error, FileSection)}") from None
    length = None if section.mesh_unit is None else worth(section.mesh_unit, "cm", f"{path}: file.mesh_unit")
    source = _Columns(path, section) if section.format == "columns" else _Datasets(path, section)
    faces = [_faces(path, section, axis, source.mesh(name)) for axis, name in enumerate(section.mesh)]
    given = tuple(face.size - 1 for face in faces)
    faces += [whole_axis(section.geometry, axis) for axis in range(len(faces), 3)]
    place = BlockPlace((faces[0], faces[1], faces[2]))

    def read(_: int, name: str) -> Any:
        values = source.values(name, given)
        if section.order == "x slowest":
            values = values.transpose()
        return values.reshape(place.shape)

    return HostFile(
        path,
        section.format,
        "as its map describes it",
        section.geometry,
        [place],
        source.names,
        read,
        FieldMap(),
        length=length,
        fixed_length=length is not None,
        resolved=tuple(range(len(given))),
        time=source.time(),
        notes=(f"mesh from {', '.join(section.mesh)}, at {section.at}",),
    )


def _faces(path: Path, section: FileSection, axis: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Faces of an axis from what the file has."""
    name = f"{path}: {section.mesh[axis]}"
    if values.ndim != 1 or values.size < 2:
        raise ProfileError(f"{name} has shape {values.shape}; accepted: one axis with 2 or more numbers")
    if not (np.isfinite(values).all() and (np.diff(values) > 0.0).all()):
        row = int(np.argmin(np.append(True, np.diff(values) > 0.0) & np.isfinite(values)))
        raise ProfileError(f"{name} is {float(values[row])!r} in row {row + 1}; accepted: increasing finite numbers")
    if section.at == "faces":
        return on_axes(section.geometry, axis, values)
    least = section.inner
    if axis > 0:
        # centres of angles and of other axes: the first half cell is as wide as the second
        least = float(values[0] - 0.5 * (values[1] - values[0]))
    if not least < values[0]:
        raise ProfileError(f"{name} begins at {float(values[0])!r}; accepted: more than file.inner, {least!r}")
    if section.at == "outer face":
        return on_axes(section.geometry, axis, np.append(least, values))
    between = 0.5 * (values[1:] + values[:-1])
    return on_axes(section.geometry, axis, np.concatenate([[least], between, [2.0 * values[-1] - between[-1]]]))


class _Columns:
    """A text."""

    def __init__(self, path: Path, section: FileSection) -> None:
        self.section = section
        lines = read_lines(path)
        kept = [line if not line.lstrip().startswith("#") else "" for line in lines[section.skip :]]
        self.held = table(path, kept, section.skip + 1, section.columns)
        self.names = tuple(section.columns)

    def mesh(self, name: str) -> NDArray[np.float64]:
        return self.held[name]

    def values(self, name: str, cells: tuple[int, ...]) -> NDArray[np.float64]:
        # with faces, the last row's fields belong to no cell
        return self.held[name][: cells[0]]

    def time(self) -> float | None:
        return self.section.time if isinstance(self.section.time, float) else None


class _Datasets:
    """An HDF5 file."""

    def __init__(self, path: Path, section: FileSection) -> None:
        self.section = section
        self.source = Hdf5Source(path)
        found: list[str] = []
        self.source.file.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
        self.names = tuple(found)

    def mesh(self, name: str) -> NDArray[np.float64]:
        values: NDArray[np.float64] = self.source.array(name).astype(np.float64)
        return values

    def values(self, name: str, cells: tuple[int, ...]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = self.source.array(name)
        wanted = cells if self.section.order == "x slowest" else cells[::-1]
        if values.shape != wanted:
            raise ProfileError(
                f"{self.source.path}: {name} has shape {values.shape}; accepted: {wanted}, {self.section.order}, along "
                f"{', '.join(AXES[self.section.geometry][: len(cells)])}"
            )
        return values

    def time(self) -> float | None:
        given = self.section.time
        return float(self.source.array(given).ravel()[0]) if isinstance(given, str) else given
