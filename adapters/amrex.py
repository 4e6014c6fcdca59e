"""AMReX plot files (a directory): Castro, MAESTROeX, Emu; Cartesian, r-z, or spherical.

``Header`` names the variables, levels and boxes, ``Level_L/Cell_H`` says where each box lies in the binary files.
Levels overlap: cells under finer boxes do not count. A FAB begins with one line of text that gives type and byte order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, cover, on_axes, whole_axis
from misci_transport.hosts.units import CGS

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "amrex"
MAGIC = ("HyperCLaw-V1.1", "NavierStokes-V1.1")
_GEOMETRIES = {0: "cartesian", 1: "cylindrical", 2: "spherical"}
_FAB = re.compile(rb"FAB \(\((\d+), \(([\d ]+)\)\),\((\d+), \(([\d ]+)\)\)\)(.*) (\d+)\s*$")
_BOX = re.compile(r"\(\(([-\d,]+)\) \(([-\d,]+)\) \(([\d,]+)\)\)")
#: What each field may be called, best first.
_NAMES: dict[str, tuple[FieldSource, ...]] = {
    "mass_density": (FieldSource(("density",)), FieldSource(("rho",))),
    # of Emu's T the unit is not known here: a map has to say
    "temperature": (*(FieldSource((name,), "K") for name in ("Temp", "tfromp", "tfromh")), FieldSource(("T",))),
    "electron_fraction": (
        FieldSource(("Ye",)),
        FieldSource(("rho_Ye",), divide_by="density"),
        FieldSource(("rho_ye",), divide_by="density"),
    ),
    "velocity": (
        FieldSource(("x_velocity", "y_velocity", "z_velocity")),
        FieldSource(("xmom", "ymom", "zmom"), divide_by="density"),
        FieldSource(("velx", "vely", "velz")),
        FieldSource(("velx", "vely")),
        FieldSource(("velx",)),
    ),
    "specific_internal_energy": (FieldSource(("rho_e",), divide_by="density"),),
    "pressure": (FieldSource(("pressure",)), FieldSource(("p0pluspi",))),
}


@dataclass(frozen=True)
class _Fab:
    """A box on disk."""

    file: Path
    offset: int
    low: tuple[int, ...]
    high: tuple[int, ...]


def sniff(path: Path) -> bool:
    """Whether the directory has a plot file's Header (a Header itself will do)."""
    header = _header_of(Path(path))
    try:
        with header.open("rb") as stream:
            return stream.readline(40).strip().decode("ascii", "replace") in MAGIC
    except OSError:
        return False


def _header_of(path: Path) -> Path:
    return path / "Header" if path.is_dir() else path


class _Lines:
    """Lines of a header, one after the other, with errors that say where."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.lines = path.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError as error:
            raise ProfileError(f"{path}: cannot be read: {error.strerror}") from None
        self.at = 0

    def next(self) -> str:
        if self.at >= len(self.lines):
            raise ProfileError(f"{self.path}: ends after line {self.at}")
        self.at += 1
        return self.lines[self.at - 1].strip()

    def numbers(self, kind: Any, count: int | None = None) -> list[Any]:
        words = self.next().split()
        try:
            values = [kind(word) for word in words]
        except ValueError:
            values = []
        if (count is not None and len(values) < count) or len(values) != len(words):
            wanted = "numbers" if count is None else f"{count} or more numbers"
            raise ProfileError(f"{self.path}: line {self.at} is {self.lines[self.at - 1]!r}; accepted: {wanted}")
        return values


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """Open a plot file.

    Raises
    ------
    ProfileError
        If a header is damaged, a binary file missing or truncated, or the coordinates are not known.
    """
    given = Path(path)
    header = _Lines(_header_of(given))
    root = header.path.parent
    header.next()
    count = header.numbers(int, 1)[0]
    names = [header.next() for _ in range(count)]
    dimensions = header.numbers(int, 1)[0]
    time = header.numbers(float, 1)[0]
    finest = header.numbers(int, 1)[0]
    low = header.numbers(float, dimensions)
    header.numbers(float, dimensions)
    # refinement ratios: an empty line where there is one level
    header.next()
    domains = header.next()
    origins = [[int(n) for n in match[1].split(",")] for match in _BOX.finditer(domains)]
    if len(origins) != finest + 1 or any(len(origin) != dimensions for origin in origins):
        raise ProfileError(
            f"{header.path}: line {header.at} is {domains!r}; accepted: {finest + 1} boxes ((low) (high) (type))"
        )
    header.next()
    widths = [header.numbers(float, dimensions) for _ in range(finest + 1)]
    coordinates = header.numbers(int, 1)[0]
    if coordinates not in _GEOMETRIES:
        raise ProfileError(f"{given}: coord_sys is {coordinates}; accepted: 0 (cartesian), 1 (r-z), 2 (spherical)")
    geometry = _GEOMETRIES[coordinates]
    header.next()
    places: list[BlockPlace] = []
    fabs: list[_Fab] = []
    for level in range(finest + 1):
        _, boxes, *_ = header.numbers(float, 3)
        header.next()
        for _ in range(int(boxes) * dimensions):
            header.next()
        where = root / f"{header.next()}_H"
        for fab in _boxes(where, count, dimensions):
            faces = []
            for axis in range(3):
                if axis < dimensions:
                    index = np.arange(fab.low[axis], fab.high[axis] + 2) - origins[level][axis]
                    faces.append(on_axes(geometry, axis, low[axis] + widths[level][axis] * index))
                else:
                    faces.append(whole_axis(geometry, axis))
            if not fab.file.is_file():
                raise ProfileError(f"{fab.file}: no such file, which {where} names")
            places.append(BlockPlace((faces[0], faces[1], faces[2]), level))
            fabs.append(fab)
    row = {name: number for number, name in enumerate(names)}

    def read(block: int, name: str) -> Any:
        return _read(fabs[block], row[name], count, dimensions)

    return HostFile(
        given,
        NAME,
        _code(root),
        geometry,
        cover(places),
        tuple(row),
        read,
        FieldMap(_fields(set(names), dimensions), CGS),
        resolved=tuple(range(dimensions)),
        time=time,
        notes=("numbers are taken as cgs and K, which problems without units do not mean",),
    )


def _fields(names: set[str], dimensions: int) -> dict[str, FieldSource]:
    """The first of the possible sources whose variables are there."""
    found = {}
    for field, sources in _NAMES.items():
        for source in sources:
            wanted = source.names[:dimensions] if field == "velocity" else source.names
            if {*wanted, *([source.divide_by] if source.divide_by else [])} <= names:
                found[field] = source
                break
        else:
            found[field] = sources[0]
    return found


def _code(root: Path) -> str:
    """Who wrote it: the first words of job_info."""
    try:
        lines = (root / "job_info").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "AMReX"
    for line in lines[:6]:
        words = line.replace("Job Information", "").strip(" =")
        if words:
            return words
    return "AMReX"


def _boxes(path: Path, count: int, dimensions: int) -> list[_Fab]:
    """Boxes of a level and where they are stored."""
    lines = _Lines(path)
    lines.next()
    lines.next()
    components = lines.numbers(int, 1)[0]
    if components != count:
        raise ProfileError(f"{path}: {components} components, {count} in Header")
    lines.next()
    opening = lines.next().lstrip("(").split()
    if not opening or not opening[0].isdigit():
        raise ProfileError(f"{path}: line {lines.at} is {lines.lines[lines.at - 1]!r}; accepted: (NUMBER 0")
    boxes = []
    for _ in range(int(opening[0])):
        match = _BOX.search(lines.next())
        if match is None:
            raise ProfileError(f"{path}: line {lines.at} is no box: {lines.lines[lines.at - 1]!r}")
        low, high = (tuple(int(n) for n in match[group].split(",")) for group in (1, 2))
        if len(low) != dimensions:
            raise ProfileError(f"{path}: line {lines.at} is a box of {len(low)} dimensions; accepted: {dimensions}")
        if match[3].strip("0,"):
            raise ProfileError(f"{path}: line {lines.at} is a box of type ({match[3]}); accepted: 0, cells")
        boxes.append((low, high))
    lines.next()
    stored = lines.numbers(int, 1)[0]
    if stored != len(boxes):
        raise ProfileError(f"{path}: {stored} boxes on disk, {len(boxes)} listed")
    fabs = []
    for low, high in boxes:
        words = lines.next().split()
        if len(words) != 3 or words[0] != "FabOnDisk:":
            raise ProfileError(f"{path}: line {lines.at} is {' '.join(words)!r}; accepted: FabOnDisk: FILE OFFSET")
        fabs.append(_Fab(path.parent / words[1], int(words[2]), low, high))
    return fabs


def _read(fab: _Fab, component: int, count: int, dimensions: int) -> Any:
    """One component of a box, (nz, ny, nx), without ghosts."""
    try:
        with fab.file.open("rb") as stream:
            stream.seek(fab.offset)
            line = stream.readline(4096)
            match = _FAB.match(line)
            box = None if match is None else _BOX.search(match[5].decode("ascii"))
            if match is None or box is None:
                raise ProfileError(f"{fab.file}: no FAB at {fab.offset}: {line[:60]!r}")
            bytes_each = int(match[3])
            order = match[4].split()
            kind = np.dtype(f"{'<' if int(order[0]) > 1 else '>'}f{bytes_each}")
            low, high = (tuple(int(n) for n in box[group].split(",")) for group in (1, 2))
            shape = tuple(b - a + 1 for a, b in zip(low, high, strict=True))
            cells = int(np.prod(shape))
            if int(match[6]) != count:
                raise ProfileError(f"{fab.file}: FAB at {fab.offset} has {int(match[6])} components, {count} in Header")
            stream.seek(component * cells * bytes_each, 1)
            data = stream.read(cells * bytes_each)
    except OSError as error:
        raise ProfileError(f"{fab.file}: cannot be read: {error.strerror}") from None
    if len(data) < cells * bytes_each:
        raise ProfileError(f"{fab.file}: truncated within the FAB at {fab.offset}")
    values = np.frombuffer(data, dtype=kind).astype(np.float64).reshape(shape[::-1])
    inner = tuple(slice(a - c, b - c + 1) for a, b, c in zip(fab.low, fab.high, low, strict=True))[::-1]
    values = values[inner]
    return values.reshape((1,) * (3 - dimensions) + values.shape)
