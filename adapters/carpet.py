"""Carpet HDF5 of the Einstein Toolkit: THC, GRHydro, IllinoisGRMHD; ``var.xyz.file_P.h5``, one of them or their folder.

A dataset ``THORN::var it=I tl=0 rl=L c=C`` is a component: points at origin + delta i, (nz, ny, nx). A point is the
middle of a cell here. Variables go by their short names; where two thorns have one name, those of HydroBase and ADMBase
keep it, and others are ``THORN::var``. What a component has beyond its own points (ghosts of other processes, buffer
zones, symmetry points) is told by its attribute ``active``; without that, ghosts are left out at faces where
cctk_bbox = 0, and points that two components have count once.

Levels are often centred on points: a fine cell then straddles two coarse ones. A coarse cell is superseded if fine
cells cover all of it, and at the edges of what is superseded fine cells are cut, so that cells still cover everything
once. With ReflectionSymmetry, x >= 0 is kept, and the cell at 0 is cut there. Units are c = G = solar mass = 1 and MeV
if a map does not say otherwise. Where the metric is there, volumes are proper ones, sqrt(det gamma) d^3x.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ConfigurationError, ProfileError
from misci_transport.hdf5 import import_h5py, is_hdf5
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, NeutrinoMoments
from misci_transport.hosts.units import GEOMETRIC

from .hdf5_source import Hdf5Source, text

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from misci_transport.hosts.mapping import UserMap

NAME = "carpet"
_DATASET = re.compile(r"(\S+)::(\S+) it=(\d+) tl=(\d+)(?: m=(\d+))?(?: ml=\d+)?(?: rl=(\d+))?(?: c=(\d+))?$")
_FILE = re.compile(r"(.+?)\.xyz(?:\.file_\d+)?\.h5$")
_ACTIVE = re.compile(r"/\[(-?\d+),(-?\d+),(-?\d+)\]:\[(-?\d+),(-?\d+),(-?\d+)\]/")
_BASE = ("HYDROBASE", "ADMBASE")
_METRIC = ("gxx", "gxy", "gxz", "gyy", "gyz", "gzz")
DETERMINANT = "sqrt(det gamma)"
_FIELDS = {
    "mass_density": FieldSource(("rho",)),
    "temperature": FieldSource(("temperature",), "MeV"),
    "electron_fraction": FieldSource(("Y_e",)),
    "velocity": FieldSource(("vel[0]", "vel[1]", "vel[2]"), "c"),
    "specific_internal_energy": FieldSource(("eps",)),
    "pressure": FieldSource(("press",)),
    "entropy": FieldSource(("entropy",), "k_B/baryon"),
    "lapse": FieldSource(("alp",)),
    "volume_factor": FieldSource((DETERMINANT,)),
}
_SPECIES = ("nu_e", "nubar_e", "nu_x")
#: Part of a cell's width that positions may be off.
_OFF = 1.0e-3

Box = tuple[tuple[int, int, int], tuple[int, int, int]]  #: first and last index along x, y, z


def sniff(path: Path) -> bool:
    """Whether a file has datasets named as Carpet does, or a folder such files."""
    path = Path(path)
    if path.is_dir():
        return any(_FILE.match(entry.name) and _is_carpet(entry) for entry in sorted(path.iterdir())[:2000])
    return _is_carpet(path)


def _is_carpet(path: Path) -> bool:
    if not (path.is_file() and is_hdf5(path)):
        return False
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            return any(_DATASET.match(name) for name, _ in zip(file, range(8), strict=False))
    except (OSError, RuntimeError):
        return False


@dataclass(frozen=True)
class _Component:
    """The points of one process on a level, as stored."""

    own: tuple[Box, ...]  #: boxes of its own points
    whole: Box  #: all of them
    trimmed: Box  #: the same by ghosts, for files that do not tell


@dataclass
class _Level:
    """Geometry of a refinement level: the point with index i is at base + width i."""

    base: NDArray[np.float64]
    width: NDArray[np.float64]
    components: dict[int, _Component]

    def faces(self, axis: int, first: int, last: int) -> NDArray[np.float64]:
        """Faces of the cells of some points."""
        faces: NDArray[np.float64] = self.base[axis] + self.width[axis] * (np.arange(first, last + 2) - 0.5)
        return faces


@dataclass(frozen=True)
class _Part:
    """A block: some points of a component."""

    level: int
    component: int
    box: Box


def open_host(path: str | os.PathLike[str], user: UserMap | None = None) -> HostFile:
    """Open the files of one iteration; ``[file] iteration`` of the map chooses it (default: the last one).

    Raises
    ------
    ProfileError
        If files are damaged, components do not fit, or there are several patches.
    ConfigurationError
        If the iteration is not there.
    """
    path = Path(path)
    wanted = {name for source in _FIELDS.values() for name in source.names} | set(_METRIC)
    if user is not None:
        entries = user.fields.values()
        wanted |= {
            name for entry in entries for name in ([entry.name] if isinstance(entry.name, str) else entry.name or [])
        }
        wanted |= {entry.divide_by for entry in entries if entry.divide_by}
    held = _index(path, {name.rpartition("::")[2] for name in wanted})
    iterations = sorted({iteration for stored in held.values() for iteration in stored})
    chosen = iterations[-1]
    if user is not None and "iteration" in user.file:
        chosen = user.file["iteration"]
        if chosen not in iterations:
            raise ConfigurationError(f"file.iteration is {chosen!r}; accepted: {', '.join(map(str, iterations))}")
    variables = {name: stored[chosen] for name, stored in held.items() if chosen in stored}
    reference = "rho" if "rho" in variables else sorted(variables)[0]
    levels, time, reflected = _levels(path, variables[reference])
    places, parts = _blocks(levels, reflected)
    names = [*variables, *([DETERMINANT] if set(_METRIC) <= set(variables) else [])]

    def stored(block: int, name: str) -> Any:
        part = parts[block]
        where = variables[name].get((part.level, part.component))
        if where is None:
            raise ProfileError(
                f"{path}: {name} has no component {part.component} on level {part.level} at iteration {chosen}, which "
                f"{reference} has; a file of the set is missing"
            )
        source, dataset = where
        low = levels[part.level].components[part.component].whole[0]
        index = tuple(slice(part.box[0][n] - low[n], part.box[1][n] - low[n] + 1) for n in (2, 1, 0))
        return source.array(dataset, index)

    def read(block: int, name: str) -> Any:
        if name != DETERMINANT:
            return stored(block, name)
        xx, xy, xz, yy, yz, zz = (np.asarray(stored(block, entry), dtype=np.float64) for entry in _METRIC)
        return np.sqrt(xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz))

    species = 0
    while f"rE[{species}]" in variables:
        species += 1

    def moments(block: int) -> NeutrinoMoments:
        energy = np.stack([np.asarray(read(block, f"rE[{n}]"), dtype=np.float64) for n in range(species)])
        flux = None
        if all(f"rF{axis}[{n}]" in variables for axis in "xyz" for n in range(species)):
            parts = [[read(block, f"rF{axis}[{n}]") for axis in "xyz"] for n in range(species)]
            flux = np.asarray(parts, dtype=np.float64)[:, None]
        known = species == len(_SPECIES)
        return NeutrinoMoments(
            energy[:, None],
            flux,
            _SPECIES if known else tuple(f"species {n}" for n in range(species)),
            (1, 1, 4) if known else (1,) * species,
            "laboratory",
            "energy of all groups as THC_M1 evolves it, in code units; nu_x summed over four species",
        )

    fields = dict(_FIELDS)
    moving = next(n for n in (3, 2, 1) if n == 1 or f"vel[{n - 1}]" in variables)
    fields["velocity"] = FieldSource(tuple(f"vel[{n}]" for n in range(moving)), "c")
    notes = [
        f"iteration {chosen} of {', '.join(map(str, iterations))} ([file] iteration of a map chooses another)",
        "velocities are those of Eulerian observers; masses are without the Lorentz factor",
    ]
    if DETERMINANT not in names:
        notes.append("no metric beside it: volumes are those of coordinates")
    if any(reflected):
        kept = ", ".join(f"{axis} >= 0" for axis, mirrored in zip("xyz", reflected, strict=True) if mirrored)
        notes.append(f"mirror symmetry: the file and its mass are those of {kept}")
    return HostFile(
        path,
        NAME,
        "Einstein Toolkit (Carpet)",
        "cartesian",
        places,
        tuple(names),
        read,
        FieldMap(fields, GEOMETRIC),
        length=GEOMETRIC.length,
        time=time,
        time_unit="code",
        read_moments=moments if species else None,
        notes=tuple(notes),
        attributes={"iterations": iterations, "iteration": chosen},
    )


# -- files -----------------------------------------------------------------------------------------------------------

_Stored = dict[str, dict[int, dict[tuple[int, int], tuple[Hdf5Source, str]]]]


def _index(path: Path, wanted: set[str]) -> _Stored:
    """Where each component is: by variable, iteration, and (level, component)."""
    folder = path if path.is_dir() else path.parent
    files = [entry for entry in sorted(folder.iterdir()) if _wanted(entry.name, wanted) or entry == path]
    found: dict[tuple[str, str], dict[int, dict[tuple[int, int], tuple[Hdf5Source, str]]]] = {}
    for file in files:
        if not is_hdf5(file):
            raise ProfileError(f"{file}: not an HDF5 file; accepted: a file of Carpet")
        source = Hdf5Source(file)
        for name in source.names:
            match = _DATASET.match(name)
            if match is None or match[4] != "0":
                continue
            if match[5] not in (None, "0"):
                raise ProfileError(f"{file}: dataset {name} is of patch {match[5]}; accepted: one patch, m=0")
            stored = found.setdefault((match[1].upper(), match[2]), {}).setdefault(int(match[3]), {})
            stored[int(match[6] or 0), int(match[7] or 0)] = (source, name)
    if not found:
        raise ProfileError(f"{path}: no dataset 'THORN::variable it=I tl=0 rl=L c=C' in it; accepted: files of Carpet")
    # two thorns may have a variable of one name: the base thorns' keep it
    named: _Stored = {}
    for (thorn, variable), its in found.items():
        others = [other for other, name in found if name == variable and other != thorn]
        short = not others or (thorn in _BASE and not any(other in _BASE for other in others))
        named[variable if short else f"{thorn}::{variable}"] = its
    return named


def _wanted(name: str, wanted: set[str]) -> bool:
    """Files of single variables that a map names, and files of groups (thorn-group.xyz.h5)."""
    match = _FILE.match(name)
    return match is not None and (match[1] in wanted or "-" in match[1] or match[1][:2] in ("rE", "rF"))


def _levels(
    path: Path, components: dict[tuple[int, int], tuple[Hdf5Source, str]]
) -> tuple[dict[int, _Level], float, list[bool]]:
    """Geometry of every level, time, and the axes with mirror symmetry."""
    levels: dict[int, _Level] = {}
    time = 0.0
    for (level, component), (source, name) in sorted(components.items(), key=lambda entry: entry[0]):
        dataset = source.file[name]
        attributes = dataset.attrs
        for key in ("origin", "delta", "iorigin", "cctk_nghostzones", "cctk_bbox", "time"):
            if key not in attributes:
                raise ProfileError(f"{source.path}: {name} has no attribute {key}; found {', '.join(attributes)}")
        if len(dataset.shape) != 3:
            raise ProfileError(f"{source.path}: {name} has shape {dataset.shape}; accepted: (nz, ny, nx)")
        time = float(attributes["time"])
        width = np.asarray(attributes["delta"], dtype=np.float64)
        low = tuple(int(n) for n in attributes["iorigin"])
        base = np.asarray(attributes["origin"], dtype=np.float64) - width * np.array(low)
        own = levels.setdefault(level, _Level(base, width, {}))
        if np.abs(own.base - base).max() > _OFF * width.max() or np.abs(own.width - width).max() > _OFF * width.max():
            raise ProfileError(f"{source.path}: {name} does not lie on the points of the other components of its level")
        shape = dataset.shape[::-1]
        ghosts = [int(n) for n in attributes["cctk_nghostzones"]]
        ends = [int(n) for n in attributes["cctk_bbox"]]
        first = [low[n] + (0 if ends[2 * n] else ghosts[n]) for n in range(3)]
        last = [low[n] + shape[n] - 1 - (0 if ends[2 * n + 1] else ghosts[n]) for n in range(3)]
        whole = _box(low, [low[n] + shape[n] - 1 for n in range(3)])
        boxes = [_common(whole, box) for box in _active(attributes)]
        own.components[component] = _Component(
            tuple(box for box in boxes if box is not None),
            whole,
            _box(first, last),
        )
    source = next(iter(components.values()))[0]
    return levels, time, _reflected(source)


def _active(attributes: Any) -> list[Box]:
    """Boxes of the points that a component has for itself; none if it does not say."""
    if "active" not in attributes:
        return []
    found = []
    for match in _ACTIVE.finditer(text(attributes["active"])):
        numbers = [int(n) for n in match.groups()]
        found.append(_box(numbers[:3], numbers[3:]))
    return found


def _reflected(source: Hdf5Source) -> list[bool]:
    """Axes along which the run has a mirror."""
    group = source.file.get("Parameters and Global Attributes", {})
    parameters = text(group["All Parameters"][()]) if "All Parameters" in group else ""
    return [
        re.search(
            rf"^reflectionsymmetry::reflection_{axis}\s*=\s*\"?(yes|true|1)", parameters, re.IGNORECASE | re.MULTILINE
        )
        is not None
        for axis in "xyz"
    ]


# -- boxes of points -------------------------------------------------------------------------------------------------


def _box(low: Sequence[int], high: Sequence[int]) -> Box:
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))


def _full(box: Box) -> bool:
    """Whether there is a point in it."""
    return all(a <= b for a, b in zip(*box, strict=True))


def _common(one: Box, other: Box) -> Box | None:
    """Points in both boxes."""
    box = _box(
        [max(a, b) for a, b in zip(one[0], other[0], strict=True)],
        [min(a, b) for a, b in zip(one[1], other[1], strict=True)],
    )
    return box if _full(box) else None


def _without(box: Box, other: Box) -> list[Box]:
    """Boxes of the points that are not in the other box."""
    common = _common(box, other)
    if common is None:
        return [box]
    pieces: list[Box] = []
    low, high = list(box[0]), list(box[1])
    for axis in range(3):
        for side in (0, 1):
            piece_low, piece_high = list(low), list(high)
            if side == 0:
                piece_high[axis] = common[0][axis] - 1
                low[axis] = common[0][axis]
            else:
                piece_low[axis] = common[1][axis] + 1
                high[axis] = common[1][axis]
            if piece_low[axis] <= piece_high[axis]:
                pieces.append(_box(piece_low, piece_high))
    return pieces


def _owned(level: _Level, number: int, reflected: list[bool]) -> list[_Part]:
    """Disjoint boxes of a level: a point belongs to the first component that has it."""
    components = level.components
    if all(component.own for component in components.values()):
        boxes = {c: list(component.own) for c, component in components.items()}
    else:
        whole = [item.whole for item in components.values()]
        overlap = any(_common(one, other) for n, one in enumerate(whole) for other in whole[:n])
        # neighbours without common points have no ghosts in the file
        strip = overlap or len(components) == 1
        boxes = {c: [item.trimmed if strip else item.whole] for c, item in components.items()}
    taken: list[Box] = []
    parts = []
    least = [
        int(np.ceil(-level.base[axis] / level.width[axis] - _OFF)) if reflected[axis] else None for axis in range(3)
    ]
    for component, own in boxes.items():
        for box in own:
            kept = _box([a if b is None else max(a, b) for a, b in zip(box[0], least, strict=True)], box[1])
            pieces = [kept] if _full(kept) else []
            for other in taken:
                pieces = [rest for piece in pieces for rest in _without(piece, other)]
            taken += pieces
            parts += [_Part(number, component, piece) for piece in pieces]
    return parts


@dataclass
class _Mask:
    """Cells of a level, by index, in a box around them."""

    low: tuple[int, int, int]
    cells: NDArray[np.bool_]  #: x, y, z

    def at(self, indices: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
        """Whether cells (a product of indices along x, y, z) are in; outside of the box they are not."""
        sizes = self.cells.shape
        x, y, z = (
            (index >= low) & (index < low + size) for index, low, size in zip(indices, self.low, sizes, strict=True)
        )
        clipped = [np.clip(index - low, 0, size - 1) for index, low, size in zip(indices, self.low, sizes, strict=True)]
        found: NDArray[np.bool_] = self.cells[np.ix_(*clipped)] & x[:, None, None] & y[None, :, None] & z[None, None, :]
        return found


def _painted(boxes: list[Box]) -> _Mask:
    low, high = _box(
        [min(box[0][n] for box in boxes) for n in range(3)], [max(box[1][n] for box in boxes) for n in range(3)]
    )
    cells = np.zeros([b - a + 1 for a, b in zip(low, high, strict=True)], dtype=bool)
    for first, last in boxes:
        cells[tuple(slice(first[n] - low[n], last[n] - low[n] + 1) for n in range(3))] = True
    return _Mask(low, cells)


def _superseded(coarse: _Level, whole: _Mask, fine: _Level, occupied: _Mask, reflected: list[bool]) -> _Mask:
    """Coarse cells (of those that are whole) that fine cells cover completely."""
    ratio = coarse.width / fine.width
    ranges, windows = [], []
    for axis in range(3):
        low, size = occupied.low[axis], occupied.cells.shape[axis]
        ends = (
            fine.base[axis] + fine.width[axis] * np.array([low - 0.5, low + size - 0.5]) - coarse.base[axis]
        ) / coarse.width[axis]
        ranges.append(np.arange(int(np.floor(ends[0] + _OFF)), int(np.ceil(ends[1] - _OFF)) + 1))
        middle = (coarse.base[axis] + coarse.width[axis] * ranges[-1] - fine.base[axis]) / fine.width[axis]
        first = np.floor(middle - 0.5 * ratio[axis] + 0.5 + _OFF).astype(np.int64)
        last = np.ceil(middle + 0.5 * ratio[axis] - 0.5 - _OFF).astype(np.int64)
        windows.append((first, last))
    covered = whole.at(ranges)
    for shift in product(*(range(int((last - first).max()) + 1) for first, last in windows)):
        indices = []
        for axis, (first, last) in enumerate(windows):
            index = np.minimum(first + shift[axis], last)
            if reflected[axis]:
                # what is behind the mirror is as what is before it
                index = np.maximum(index, int(np.ceil(-fine.base[axis] / fine.width[axis] - _OFF)))
            indices.append(index)
        covered &= occupied.at(indices)
    return _Mask((int(ranges[0][0]), int(ranges[1][0]), int(ranges[2][0])), covered)


def _rectangles(mask: _Mask) -> list[Box]:
    """Disjoint boxes that make up a mask."""
    left = mask.cells.copy()
    boxes: list[Box] = []
    while left.any():
        start = np.unravel_index(int(np.argmax(left)), left.shape)
        low = [int(n) for n in start]
        high = list(low)
        for axis in (2, 1, 0):
            while high[axis] + 1 < left.shape[axis]:
                piece = [slice(a, b + 1) for a, b in zip(low, high, strict=True)]
                piece[axis] = slice(high[axis] + 1, high[axis] + 2)
                if not left[tuple(piece)].all():
                    break
                high[axis] += 1
        left[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = False
        first, last = ([n + o for n, o in zip(corner, mask.low, strict=True)] for corner in (low, high))
        boxes.append(_box(first, last))
    return boxes


def _blocks(levels: dict[int, _Level], reflected: list[bool]) -> tuple[list[BlockPlace], list[_Part]]:
    """Blocks of all levels, cut where they supersede coarser ones, with the cells that finer ones supersede marked."""
    numbers = sorted(levels)
    owned = {number: _owned(levels[number], number, reflected) for number in numbers}
    bounds: dict[int, list[Any]] = {numbers[0]: [[(-np.inf, np.inf)] * 3]}
    parts: dict[int, list[tuple[_Part, list[NDArray[np.float64]]]]] = {}
    covered: dict[int, _Mask] = {}
    for number, finer in zip(numbers, [*numbers[1:], None], strict=True):
        level = levels[number]
        parts[number] = []
        whole: list[Box] = []
        for limits in bounds[number]:
            for part in owned[number]:
                cut = _cut(level, part, limits, reflected)
                if cut is not None:
                    piece, faces, uncut = cut
                    parts[number].append((piece, faces))
                    whole += uncut
        if finer is None:
            continue
        boxes = [part.box for part in owned[finer]]
        if not whole or not boxes:
            bounds[finer] = []
            continue
        mask = _superseded(level, _painted(whole), levels[finer], _painted(boxes), reflected)
        covered[number] = mask
        bounds[finer] = [
            [
                (
                    level.base[axis] + level.width[axis] * (box[0][axis] - 0.5),
                    level.base[axis] + level.width[axis] * (box[1][axis] + 0.5),
                )
                for axis in range(3)
            ]
            for box in _rectangles(mask)
        ]
    places, flat = [], []
    for number in numbers:
        for part, faces in parts[number]:
            hidden = None
            if number in covered:
                indices = [np.arange(part.box[0][n], part.box[1][n] + 1) for n in range(3)]
                hidden = covered[number].at(indices).transpose(2, 1, 0)
            places.append(
                BlockPlace(
                    (faces[0], faces[1], faces[2]),
                    number,
                    part.component,
                    hidden if hidden is not None and hidden.any() else None,
                )
            )
            flat.append(part)
    return places, flat


def _cut(
    level: _Level, part: _Part, limits: Any, reflected: list[bool]
) -> tuple[_Part, list[NDArray[np.float64]], list[Box]] | None:
    """The cells of a part between limits: their box and faces, and the box of those that are not cut."""
    low, high, first, last, faces = [], [], [], [], []
    for axis in range(3):
        own = level.faces(axis, part.box[0][axis], part.box[1][axis])
        least, most = limits[axis]
        off = _OFF * level.width[axis]
        if reflected[axis]:
            least = max(least, 0.0)
        kept = np.flatnonzero((own[1:] > least + off) & (own[:-1] < most - off))
        if kept.size == 0:
            return None
        a, b = int(kept[0]), int(kept[-1])
        low.append(part.box[0][axis] + a)
        high.append(part.box[0][axis] + b)
        # behind a mirror nothing is missing
        cut_low = own[a] < least - off and not (reflected[axis] and least == 0.0)
        cut_high = own[b + 1] > most + off
        first.append(low[-1] + int(cut_low))
        last.append(high[-1] - int(cut_high))
        faces.append(np.clip(own[a : b + 2], least, most))
    inner = _box(first, last)
    return _Part(part.level, part.component, _box(low, high)), faces, [inner] if _full(inner) else []
