"""Small files in the layouts of other codes, of one known star, for the tests of their readers.

Every writer makes the same fields, smooth and different along all three axes, so that swapped axes, ghosts and covered
cells that count show. ``without`` leaves one of them out, ``spoil`` puts a NaN into the density of one cell that
counts, ``single`` writes one block. A writer returns None where its layout cannot be without a field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from misci_transport.constants import KELVIN_PER_MEV
from misci_transport.hosts.mapping import UserMap

CGS = {"units": {"length": 1.0, "mass": 1.0, "time": 1.0}}
RADIUS = 1.0e8
#: What covered cells and ghosts hold: it must count nowhere.
WRONG = 7.0e30


@dataclass
class Written:
    """What was written, and what a reader has to find."""

    path: Path
    extents: tuple[tuple[float, float], ...]  #: of the three axes, cm and radians
    geometry: str = "cartesian"
    map: dict[str, Any] = field(default_factory=dict)  #: a user's map that makes all units known
    names: tuple[str, ...] = ("mass_density", "temperature", "electron_fraction", "velocity")
    components: int = 3  #: of the velocity that are there
    precision: float = 1e-6
    blocks: int | None = 1  #: None: as many as the reader makes of it
    files: tuple[Path, ...] = ()  #: what may be damaged, if it is not the path
    counted: bool = True  #: whether the format tells that something is missing at its end
    factor: float = 1.0  #: of volume over that of flat space
    sniffed: bool = True  #: whether the file is known without a map
    uneven: bool = False  #: cells at the edges of levels are cut: their values are not those of their middles

    @property
    def user(self) -> UserMap | None:
        return UserMap.model_validate(self.map) if self.map else None

    @property
    def parts(self) -> tuple[Path, ...]:
        return self.files or (self.path,)


def unit_coordinates(extents, centers):
    """Coordinates from 0 to 1; (n2, n1, n0) arrays."""
    x, y, z = ((c - low) / (high - low) for c, (low, high) in zip(centers, extents, strict=True))
    return x[None, None, :], y[None, :, None], z[:, None, None]


def star(name, extents, faces):
    """A field in this project's units at the middles between faces, (n2, n1, n0) or (3, n2, n1, n0)."""
    return star_at(name, extents, [0.5 * (face[1:] + face[:-1]) for face in faces])


def star_at(name, extents, centers):
    """The same at points."""
    x, y, z = unit_coordinates(extents, centers)
    if name == "mass_density":
        return 1e10 * (1.0 + 0.5 * x + 0.3 * y**2 + 0.2 * x * z + 0.1 * z)
    if name == "temperature":
        return 2.0 + x + 0.5 * y + 0.25 * z
    if name == "electron_fraction":
        return 0.3 + 0.1 * x + 0.05 * y - 0.05 * z
    assert name == "velocity"
    one = np.ones(np.broadcast_shapes(x.shape, y.shape, z.shape))
    return 1e8 * np.stack([(1.0 + x) * one, (2.0 + y) * one, (3.0 + z) * one])


def volumes(geometry, faces):
    """Volumes of cells, (n2, n1, n0)."""
    x, y, z = faces
    if geometry == "spherical":
        parts = np.diff(x**3) / 3.0, -np.diff(np.cos(y)), np.diff(z)
    elif geometry == "cylindrical":
        parts = np.diff(x**2) / 2.0, np.diff(y), np.diff(z)
    else:
        parts = np.diff(x), np.diff(y), np.diff(z)
    return parts[2][:, None, None] * parts[1][None, :, None] * parts[0][None, None, :]


def tiles(extents, blocks, cells, geometry=None):
    """Faces of equal blocks, axis 0 fastest, as (place, faces)."""
    found = []
    for k in range(blocks[2]):
        for j in range(blocks[1]):
            for i in range(blocks[0]):
                faces = []
                for (low, high), n, m, at in zip(extents, blocks, cells, (i, j, k), strict=True):
                    ends = np.linspace(low, high, n + 1)
                    faces.append(np.linspace(ends[at], ends[at + 1], m + 1))
                found.append(((i, j, k), faces))
    return found


def fields_of(faces, extents, without=None, spoil=False):
    """All fields of a block by name; velocity by components."""
    return fields_at([0.5 * (face[1:] + face[:-1]) for face in faces], extents, without, spoil)


def fields_at(centers, extents, without=None, spoil=False):
    """The same at points."""
    values = {}
    for name in ("mass_density", "temperature", "electron_fraction"):
        if name != without:
            values[name] = np.array(star_at(name, extents, centers))
    for axis, part in enumerate(star_at("velocity", extents, centers)):
        values[f"velocity_{axis}"] = np.array(part)
    if spoil:
        values["mass_density"][tuple(n // 2 for n in values["mass_density"].shape)] = np.nan
    return values


# -- FLASH ---------------------------------------------------------------------------------------------------------

_FLASH = {
    "dens": ("mass_density", 1.0),
    "temp": ("temperature", KELVIN_PER_MEV),
    "ye": ("electron_fraction", 1.0),
    "velx": ("velocity_0", 1.0),
    "vely": ("velocity_1", 1.0),
    "velz": ("velocity_2", 1.0),
}


def _flash_blocks(geometry, extents, dimensions, cells, single):
    """(faces, level from 1, leaf): one parent whose first half is refined, beside a coarse leaf."""
    whole = [1, 1, 1]
    size = [cells if axis < dimensions else 1 for axis in range(3)]
    if single:
        return [(tiles(extents, whole, size)[0][1], 1, True)]
    root = tiles(extents, [2, 1, 1], size)
    blocks = [(root[0][1], 1, False), (root[1][1], 1, True)]
    part = [(face[0], face[-1]) for face in root[0][1]]
    halves = [2 if axis < dimensions else 1 for axis in range(3)]
    blocks += [(faces, 2, True) for _, faces in tiles(part, halves, size)]
    return blocks


def flash(
    folder, *, without=None, spoil=False, single=False, geometry="spherical", dimensions=2, kind="chk", old=False
):
    """Two levels; ``old`` is FLASH 2: no lists of scalars, boxes of as many axes as there are, blanks in no name."""
    extents = {
        "spherical": [(0.0, RADIUS), (0.0, np.pi), (0.0, 2.0 * np.pi)],
        "cylindrical": [(0.0, RADIUS), (-RADIUS, RADIUS), (0.0, 2.0 * np.pi)],
        "cartesian": [(-RADIUS, RADIUS), (-RADIUS, RADIUS), (0.0, 1.0)],
    }[geometry]
    if geometry == "cartesian" and dimensions == 3:
        extents[2] = (-RADIUS, RADIUS)
    blocks = _flash_blocks(geometry, extents, dimensions, 4, single)
    real = "f4" if kind == "plt" else "f8"
    path = folder / f"star_hdf5_{kind}{'_cnt' if kind == 'plt' else ''}_0001"
    spoiled = next(n for n, block in enumerate(blocks) if block[2])
    data = [fields_of(faces, extents, None, spoil and n == spoiled) for n, (faces, _, _) in enumerate(blocks)]
    names = [name for name, (own, _) in _FLASH.items() if own != without and own not in _components(dimensions, 3)]
    axes = dimensions if old else 3
    with h5py.File(path, "w") as file:
        padded = [name if old else f"{name:4s}" for name in names]
        file["unknown names"] = np.array(padded, dtype="S4")[:, None]
        for name, stored in zip(names, padded, strict=True):
            own, factor = _FLASH[name]
            values = np.array([block[own] * factor for block in data])
            values[[n for n, block in enumerate(blocks) if not block[2]]] = WRONG
            file[stored] = values.astype(real)
        file["bounding box"] = np.array([[[f[0], f[-1]] for f in faces[:axes]] for faces, _, _ in blocks], dtype=real)
        file["refine level"] = np.array([level for _, level, _ in blocks], dtype="i4")
        file["node type"] = np.array([1 if leaf else 2 for _, _, leaf in blocks], dtype="i4")
        if old:
            kinds = [("total blocks", "i4"), ("time", "f8"), ("timestep", "f8"), ("number of steps", "i4")]
            file["simulation parameters"] = np.array([(len(blocks), 0.25, 1e-5, 7)], dtype=kinds)
        else:
            _flash_list(file, "real scalars", "f8", {"time": 0.25})
            _flash_list(file, "integer scalars", "i4", {"dimensionality": dimensions, "globalnumblocks": len(blocks)})
            _flash_list(file, "string scalars", "S80", {"geometry": geometry.encode()})
            _flash_list(file, "real runtime parameters", "f8", {"xmax": RADIUS, "time": -1.0})
    return Written(path, tuple(extents), geometry, blocks=len(blocks), components=dimensions)


def _components(first, last):
    return [f"velocity_{axis}" for axis in range(first, last)]


def _flash_list(file, name, kind, entries):
    rows = [(f"{key:80s}".encode(), value) for key, value in entries.items()]
    file[name] = np.array(rows, dtype=[("name", "S80"), ("value", kind)])


# -- Athena++ ------------------------------------------------------------------------------------------------------


def athena(folder, *, without=None, spoil=False, single=False, coordinates="cartesian", ghosts=0, conserved=False):
    """Leaves of two levels in single precision; cylindrical axes are stored as (R, phi, z)."""
    turn = (0.0, 2.0 * np.pi)
    extents = {
        "cartesian": ((-1.0, 1.0), (-2.0, 2.0), (0.0, 3.0)),
        "spherical_polar": ((0.5, 2.0), (0.0, np.pi), turn),
        "cylindrical": ((0.5, 2.0), (-1.0, 2.0), turn),
    }[coordinates]
    geometry = {"spherical_polar": "spherical"}.get(coordinates, coordinates)
    stored = (0, 2, 1) if coordinates == "cylindrical" else (0, 1, 2)
    cells = (4, 4, 4)
    if single:
        blocks = [((0, 0, 0), 0, tiles(extents, (1, 1, 1), cells)[0][1])]
    else:
        root = tiles(extents, (2, 1, 1), cells)
        part = [(face[0], face[-1]) for face in root[0][1]]
        blocks = [(at, 1, faces) for at, faces in tiles(part, (2, 2, 2), cells)] + [((1, 0, 0), 0, root[1][1])]
    names = (
        ["dens", "Etot", "mom1", "mom2", "mom3", "s0"] if conserved else ["rho", "press", "vel1", "vel2", "vel3", "r0"]
    )
    data = np.full((6, len(blocks), *([4 + 2 * ghosts] * 3)), WRONG, dtype="f4")
    inner = (slice(ghosts, ghosts + 4),) * 3
    swap = (lambda v: v.swapaxes(0, 1)) if coordinates == "cylindrical" else (lambda v: v)
    for n, (_, _, faces) in enumerate(blocks):
        values = fields_of(faces, extents, None, spoil and n == 0)
        density = values["mass_density"]
        data[(0, n, *inner)] = swap(density)
        data[(1, n, *inner)] = swap(values["temperature"])
        for axis in range(3):
            speed = values[f"velocity_{stored[axis]}"] * (density if conserved else 1.0)
            data[(2 + axis, n, *inner)] = swap(speed)
        data[(5, n, *inner)] = swap(values["electron_fraction"] * (density if conserved else 1.0))
    path = folder / "star.prim.00001.athdf"
    held = [n for n in range(6) if not (without == "mass_density" and n == 0)]
    with h5py.File(path, "w") as file:
        attributes = file.attrs
        attributes["NumCycles"], attributes["Time"] = np.int32(32), np.float32(0.5)
        attributes["Coordinates"] = np.bytes_(coordinates)
        attributes["DatasetNames"] = np.array([b"cons" if conserved else b"prim"], dtype="S21")
        attributes["NumVariables"] = np.array([len(held)], dtype=">i4")
        attributes["VariableNames"] = np.array([names[n] for n in held], dtype="S21")
        attributes["MeshBlockSize"] = np.array([4 + 2 * ghosts] * 3, dtype=">i4")
        attributes["NumMeshBlocks"], attributes["MaxLevel"] = np.int32(len(blocks)), np.int32(0 if single else 1)
        attributes["RootGridSize"] = np.array([4 if single else 8, 4, 4], dtype=">i4")
        for axis in range(3):
            attributes[f"RootGridX{axis + 1}"] = np.array([*extents[stored[axis]], 1.0], dtype="f4")
            faces = np.array([block[2][stored[axis]] for block in blocks])
            width = np.diff(faces)[:, :1]
            steps = np.arange(1, ghosts + 1)
            faces = np.hstack([faces[:, :1] - width * steps[::-1], faces, faces[:, -1:] + width * steps])
            file[f"x{axis + 1}f"] = faces.astype("f4")
        file["Levels"] = np.array([level for _, level, _ in blocks], dtype=">i4")
        file["LogicalLocations"] = np.array([at for at, _, _ in blocks], dtype=">i8")
        file["cons" if conserved else "prim"] = data[held]
    scalar, press = ("s0", "Etot") if conserved else ("r0", "press")
    entries = {
        "electron_fraction": {"name": scalar, **({"divide_by": "dens"} if conserved else {})},
        "temperature": {"name": press, "unit": "MeV"},
    }
    entries.pop(without, None)
    return Written(path, extents, geometry, {**CGS, "fields": entries}, blocks=len(blocks))


# -- AthenaK -------------------------------------------------------------------------------------------------------


def athenak(folder, *, without=None, spoil=False, single=False, dimensions=3, ghosts=0):
    """Two levels; one or two dimensions have one cell along the others."""
    extents = ((-1.0, 1.0), (-2.0, 2.0), (0.0, 3.0))
    size = tuple(4 if axis < dimensions else 1 for axis in range(3))
    if single:
        blocks = [((0, 0, 0), 0, tiles(extents, (1, 1, 1), size)[0][1])]
    else:
        root = tiles(extents, (2, 1, 1), size)
        part = [(face[0], face[-1]) for face in root[0][1]]
        halves = tuple(2 if axis < dimensions else 1 for axis in range(3))
        blocks = [(at, 1, faces) for at, faces in tiles(part, halves, size)] + [((1, 0, 0), 0, root[1][1])]
    names = ["dens", "velx", "vely", "velz", "eint", "s_00"]
    if without == "mass_density":
        names.remove("dens")
    sections = "".join(
        f"<{section}>\nnghost = {max(ghosts, 2)}\n" + "".join(f"nx{a + 1} = {n[a]} # cells\n" for a in range(3))
        for section, n in (("mesh", [size[0] * (1 if single else 2), *size[1:]]), ("meshblock", size))
    )
    text = f"#--- PAR_DUMP ---\n<comment>\nproblem = a star\n{sections}<coord>\ngeneral_rel = false\n"
    lines = [
        "Athena binary output version=1.1",
        "  size of preheader=5",
        "  time=5.0e-01",
        "  cycle=7",
        "  size of location=8",
        "  size of variable=4",
        f"  number of variables={len(names)}",
        f"  variables:  {'  '.join(names)}  ",
        f"  header offset={len(text)}",
    ]
    path = folder / "star.hydro_w.00001.bin"
    around = [ghosts if axis < dimensions else 0 for axis in range(3)]
    with path.open("wb") as stream:
        stream.write(("\n".join(lines) + "\n" + text).encode())
        for n, (at, level, faces) in enumerate(blocks):
            first = [2 - g if axis < dimensions else 0 for axis, g in enumerate(around)]
            ends = [f + size[axis] + 2 * around[axis] - 1 for axis, f in enumerate(first)]
            index = [value for axis in range(3) for value in (first[axis], ends[axis])]
            stream.write(np.array([*index, *at, level], dtype="<i4").tobytes())
            stream.write(np.array([end for face in faces for end in (face[0], face[-1])], dtype="<f8").tobytes())
            values = fields_of(faces, extents, None, spoil and n == 0)
            rows = {
                "dens": values["mass_density"],
                "velx": values["velocity_0"],
                "vely": values["velocity_1"],
                "velz": values["velocity_2"],
                "eint": values["temperature"] * values["mass_density"],
                "s_00": values["electron_fraction"],
            }
            for name in names:
                pad = [(g, g) for g in around[::-1]]
                stream.write(np.pad(rows[name], pad, constant_values=WRONG).astype("<f4").tobytes())
    entries = {
        "electron_fraction": {"name": "s_00"},
        "temperature": {"name": "eint", "divide_by": "dens", "unit": "MeV"},
    }
    entries.pop(without, None)
    return Written(path, extents, "cartesian", {**CGS, "fields": entries}, blocks=len(blocks))


# -- AMReX ---------------------------------------------------------------------------------------------------------

_AMREX = {
    "density": lambda v: v["mass_density"],
    "xmom": lambda v: v["mass_density"] * v["velocity_0"],
    "ymom": lambda v: v["mass_density"] * v["velocity_1"],
    "zmom": lambda v: v["mass_density"] * v["velocity_2"],
    "Temp": lambda v: v["temperature"] * KELVIN_PER_MEV,
    "rho_Ye": lambda v: v["mass_density"] * v["electron_fraction"],
}
_DOUBLE = "(8, (64 11 52 0 1 12 0 1023)),(8, ({}))"
_SINGLE = "(8, (32 8 23 0 1 9 0 127)),(4, ({}))"


def amrex(
    folder,
    *,
    without=None,
    spoil=False,
    single=False,
    geometry="spherical",
    dimensions=2,
    real="<f8",
    ghosts=0,
    origin=0,
):
    """Two levels (one without refinement ratio if ``single``), boxes with ghosts, index space from ``origin`` on."""
    extents = {
        "spherical": ((0.0, RADIUS), (0.0, np.pi), (0.0, 2.0 * np.pi)),
        "cylindrical": ((0.0, RADIUS), (-RADIUS, RADIUS), (0.0, 2.0 * np.pi)),
        "cartesian": ((-RADIUS, RADIUS),) * dimensions + ((0.0, 1.0),) * (3 - dimensions),
    }[geometry]
    coordinates = {"cartesian": 0, "cylindrical": 1, "spherical": 2}[geometry]
    d, root = dimensions, 8
    levels = [[((0,) * d, (3, *([7] * (d - 1)))), ((4, *([0] * (d - 1))), (7,) * d)]]
    if single:
        levels = [[((0,) * d, (7,) * d)]]
    else:
        # the middle of the coarse mesh along axis 0, all of the others
        levels.append([((4, *([0] * (d - 1))), (11, *([15] * (d - 1))))])
    path = folder / "plt00007"
    names = [name for name in _AMREX if _AMREX_FIELD[name] != without]
    fmt = lambda values: ",".join(str(int(v)) for v in values)  # noqa: E731
    widths = [[(high - low) / (root * 2**lev) for low, high in extents[:d]] for lev in range(len(levels))]
    domains = " ".join(
        f"(({fmt([origin * 2**lev] * d)}) ({fmt([(origin + root) * 2**lev - 1] * d)}) ({fmt([0] * d)}))"
        for lev in range(len(levels))
    )
    header = ["HyperCLaw-V1.1", str(len(names)), *names, str(d), "0.25", str(len(levels) - 1)]
    header += [" ".join(repr(float(e[side])) for e in extents[:d]) + " " for side in (0, 1)]
    header += ["2 " * (len(levels) - 1), domains, "7 " * len(levels)]
    header += [" ".join(repr(w) for w in width) + " " for width in widths] + [str(coordinates), "0"]
    files = []
    for lev, boxes in enumerate(levels):
        header += [f"{lev} {len(boxes)} 0.25", "7"]
        where = path / f"Level_{lev}"
        where.mkdir(parents=True)
        places, blob, shown = [], b"", []
        for n, (low, high) in enumerate(boxes):
            faces = []
            for axis, (start, _) in enumerate(extents):
                if axis < d:
                    faces.append(start + widths[lev][axis] * np.arange(low[axis], high[axis] + 2))
                    header.append(f"{faces[-1][0]!r} {faces[-1][-1]!r}")
                else:
                    faces.append(np.array(extents[axis]))
            last = lev == len(levels) - 1
            values = fields_of(faces, extents, None, spoil and last and n == 0)
            low, high = (tuple(origin * 2**lev + i for i in corner) for corner in (low, high))
            outer = f"(({fmt(i - ghosts for i in low)}) ({fmt(i + ghosts for i in high)}) ({fmt([0] * d)}))"
            shown.append(f"(({fmt(low)}) ({fmt(high)}) ({fmt([0] * d)}))")
            places.append(f"FabOnDisk: Cell_D_00000 {len(blob)}")
            size = int(real[2])
            order = range(1, size + 1) if real[0] == ">" else range(size, 0, -1)
            kind = (_DOUBLE if size == 8 else _SINGLE).format(" ".join(map(str, order)))
            blob += f"FAB ({kind}){outer} {len(names)}\n".encode()
            for name in names:
                data = _AMREX[name](values)
                if lev == 0 and not single:
                    center = 0.5 * (faces[0][1:] + faces[0][:-1])
                    under = (center > extents[0][0] + 4 * widths[1][0]) & (center < extents[0][0] + 12 * widths[1][0])
                    data[:, :, under] = WRONG
                pad = [(ghosts, ghosts) if 2 - axis < d else (0, 0) for axis in range(3)]
                blob += np.pad(data, pad, constant_values=WRONG).astype(real).tobytes()
        (where / "Cell_D_00000").write_bytes(blob)
        text = ["1", "1", str(len(names)), str(ghosts), f"({len(boxes)} 0", *shown, ")", str(len(boxes)), *places, ""]
        (where / "Cell_H").write_text("\n".join(text))
        header.append(f"Level_{lev}/Cell")
        files += [where / "Cell_H", where / "Cell_D_00000"]
    (path / "Header").write_text("\n".join(header) + "\n")
    (path / "job_info").write_text("=" * 78 + "\n Castro Job Information\n" + "=" * 78 + "\n")
    return Written(path, extents, geometry, blocks=sum(len(boxes) for boxes in levels), files=(path / "Header", *files))


_AMREX_FIELD = {
    "density": "mass_density",
    "xmom": "velocity",
    "ymom": "velocity",
    "zmom": "velocity",
    "Temp": "temperature",
    "rho_Ye": "electron_fraction",
}


# -- CHIMERA -------------------------------------------------------------------------------------------------------


def chimera(folder, *, without=None, spoil=False, single=False, slabs=2, cells=(6, 4, 4)):
    """Slabs in phi in as many files, two ghosts beyond the last zone, moments of the occupation."""
    extents = ((0.0, RADIUS), (0.0, np.pi), (0.0, 2.0 * np.pi))
    count = 1 if single else slabs
    n0, n1, n2 = cells
    files = []
    for number, (_, faces) in enumerate(tiles(extents, (1, 1, count), (n0, n1, n2 // count))):
        path = folder / f"chimera_00001_grid_1_{number + 1:02d}.h5"
        values = fields_of(faces, extents, None, spoil and number == 0)
        held = {
            "rho_c": values["mass_density"],
            "t_c": values["temperature"] * KELVIN_PER_MEV,
            "ye_c": values["electron_fraction"],
            "u_c": values["velocity_0"],
            "v_c": values["velocity_1"],
            "w_c": values["velocity_2"],
        }
        own = {"mass_density": "rho_c", "temperature": "t_c", "electron_fraction": "ye_c"}.get(without)
        with h5py.File(path, "w") as file:
            for name, data in held.items():
                if name != own:
                    file[f"fluid/{name}"] = np.pad(data, [(0, 0), (0, 0), (0, 2)], constant_values=WRONG)
            file["fluid/agr_c"] = np.linspace(0.9, 1.0, n0 + 2)
            mesh = tiles(extents, (1, 1, 1), cells)[0][1]
            width = mesh[0][1] - mesh[0][0]
            file["mesh/x_ef"] = np.append(mesh[0], mesh[0][-1] + width * np.array([1.0, 2.0]))
            file["mesh/y_ef"], file["mesh/z_ef"] = mesh[1], mesh[2]
            file["mesh/array_dimensions"] = np.array([n0 + 2, n1, n2], dtype="i4")
            file["mesh/radial_index_bound"] = np.array([1, n0], dtype="i4")
            file["mesh/nz_hyperslabs"], file["mesh/my_hyperslab_group"] = np.int32(count), np.int32(number + 1)
            file["mesh/time"], file["mesh/t_bounce"] = 0.25, 0.1
            shape = (n2 // count, n1, n0 + 2, 4, 5)
            file["radiation/psi0_c"] = np.full(shape, 0.5)
            file["radiation/psi1_e"] = np.full(shape, 0.25)
            file["radiation/unubi"] = np.linspace(0.0, 100.0, 6)
        files.append(path)
    return Written(files[0], extents, "spherical", blocks=count, files=tuple(files))


# -- FornaxAMR -----------------------------------------------------------------------------------------------------


def fornax(folder, *, without=None, spoil=False, single=False, pairs=12, magnetic=False):
    """An octree: root refined in one corner; x is the slowest index of a block's cells."""
    if without == "mass_density":
        return None
    extents = ((-RADIUS, RADIUS),) * 3
    size = 4
    blocks = [(0, single, tiles(extents, (1, 1, 1), (size,) * 3)[0][1])]
    if not single:
        children = tiles(extents, (2, 2, 2), (size,) * 3)
        blocks += [(1, at != (0, 0, 0), faces) for at, faces in children]
        corner = [(face[0], face[-1]) for face in children[0][1]]
        blocks += [(2, True, faces) for _, faces in tiles(corner, (2, 2, 2), (size,) * 3)]
    hydro = 9 if magnetic else 6
    data = np.full((len(blocks), hydro + 4 * pairs, size**3), WRONG)
    eos = np.full((len(blocks), 3, size**3), WRONG)
    meta = np.zeros((len(blocks), 20))
    spoiled = next(n for n, block in enumerate(blocks) if block[1])
    for n, (level, active, faces) in enumerate(blocks):
        meta[n, 2], meta[n, 3] = level, 1 if active else 0
        meta[n, 4:7], meta[n, 7:10] = [f[0] for f in faces], [f[-1] for f in faces]
        meta[n, 10:13] = [f[1] - f[0] for f in faces]
        if not active:
            continue
        values = fields_of(faces, extents, None, spoil and n == spoiled)
        flat = {name: value.transpose(2, 1, 0).ravel() for name, value in values.items()}
        data[n, 0], data[n, 5] = flat["mass_density"], flat["electron_fraction"]
        for axis in range(3):
            data[n, 1 + axis] = flat[f"velocity_{axis}"]
        data[n, 4] = 1e18
        for pair in range(pairs):
            for moment in range(4):
                data[n, hydro + 4 * pair + moment] = 10.0 * pair + moment + flat["temperature"]
        eos[n, 0], eos[n, 1], eos[n, 2] = 1e28, flat["temperature"], 1.6
    path = folder / "dump_00001.h5"
    with h5py.File(path, "w") as file:
        for name, value in (("block_size", size), ("nblocks", len(blocks)), ("step", 7)):
            file.attrs[name] = np.int32(value)
        file.attrs["root_nx"] = np.array([1, 1, 1], dtype="i4")
        file.attrs["time"], file.attrs["rad_scale"] = 0.25, 1e25
        file["MetaData"] = meta
        file["Data"] = data.astype("f4")
        if without != "temperature":
            file["Eos"] = eos.astype("f4")
    return Written(path, extents, "cartesian", {"fields": {"temperature": {"unit": "MeV"}}}, blocks=len(blocks))


# -- GR1D ----------------------------------------------------------------------------------------------------------

_GR1D = {"rho": "mass_density", "temperature": "temperature", "ye": "electron_fraction", "v": "velocity_0"}


def _gr1d_mesh(cells):
    faces = np.linspace(0.0, RADIUS, cells + 1)
    width = faces[1]
    around = np.concatenate([-width * np.arange(4, 0, -1), faces, RADIUS + width * np.arange(1, 5)])
    extents = ((0.0, RADIUS), (0.0, np.pi), (0.0, 2.0 * np.pi))
    values = fields_of([faces, np.array(extents[1]), np.array(extents[2])], extents)
    return around, extents, {name: np.pad(v[0, 0], 4, constant_values=WRONG) for name, v in values.items()}


def gr1d_text(folder, *, without=None, spoil=False, single=False):
    """A file for each quantity, two times, four ghosts at each end; the metric's X is 1.25 throughout."""
    around, extents, values = _gr1d_mesh(8)
    middle = 0.5 * (around[1:] + around[:-1])
    if spoil:
        values["mass_density"][4] = np.nan
    columns = {name: values[own] for name, own in _GR1D.items() if own != without}
    columns |= {"X": np.full(middle.size, 1.25), "alpha": np.full(middle.size, 0.9), "M1_nue_something": 0.0 * middle}
    for name, column in columns.items():
        text = []
        for time, factor in ((0.125, 1.0), (0.25, 1.0 if name != "rho" else 1.5)):
            text.append(f'"Time =  {time:.15E}')
            text += [f"  {r:.15E}  {value * factor:.15E}" for r, value in zip(middle, column, strict=True)]
            text += ["", ""]
        (folder / f"{name}.xg").write_text("\n".join(text) + "\n")
    path = folder / ("rho.xg" if without != "mass_density" else "ye.xg")
    return Written(path, extents, "spherical", components=1, counted=False, factor=1.25)


def gr1d_restart(folder, *, without=None, spoil=False, single=False):
    """Units of c = G = solar mass = 1, per steradian moments of three species and two groups."""
    around, extents, values = _gr1d_mesh(8)
    middle = 0.5 * (around[1:] + around[:-1])
    if spoil:
        values["mass_density"][4] = np.nan
    path = folder / "restart_nt_0000000007_time_0.2500000.h5"
    scale = {"rho": 1.61930347e-18, "v": 1.0 / 2.99792458e10}
    with h5py.File(path, "w") as file:
        for name, own in _GR1D.items():
            if own != without:
                file[name] = values[own] * scale.get(name, 1.0)
        if without == "mass_density":
            file["v1"] = file["v"][...]
            file["rho_other"] = np.zeros(middle.size)
        else:
            file["v1"] = values["velocity_0"] * scale["v"]
        file["x1"] = middle * 6.77140812e-6
        file["alp"], file["X"] = np.full(middle.size, 0.9), np.full(middle.size, 1.25)
        file["time"], file["t_bounce"] = np.array([0.25]), np.array([0.1])
        file["q_M1"] = np.full((3, 2, 3, middle.size), 1e-10)
        file["nulibtable_ewidths"] = np.array([2.0, 3.0])
    return Written(path, extents, "spherical", components=1, factor=1.25)


# -- Carpet ----------------------------------------------------------------------------------------------------------

_GEOMETRIC = (147662.50402, 1.988409870698051e33, 147662.50402 / 2.99792458e10)  # cm, g, s
#: The root of its determinant is 1.5.
_METRIC = {"gxx": 2.25, "gxy": 0.0, "gxz": 0.0, "gyy": 1.25, "gyz": 0.5, "gzz": 1.0}


def carpet(
    folder,
    *,
    without=None,
    spoil=False,
    single=False,
    active=True,
    centred="points",
    mirror=False,
    corner=False,
    grouped=False,
    metric=False,
    moments=False,
):
    """Two levels on two processes in units of c = G = solar mass = 1, with three ghosts that hold nonsense.

    ``centred`` on points or on cells; ``mirror``: symmetry points behind x = 0; ``corner``: the fine level is an L;
    ``grouped``: all variables in one file a process; ``active``: whether components tell their own points.
    """
    length, mass, time = _GEOMETRIC
    coarse, ghosts, count = 8.0, 3, (12, 8, 8)
    middle = 0.0 if centred == "points" else 0.5  # of the first cell
    ends = [((middle - 0.5) * coarse, (middle + n - 0.5) * coarse) for n in count]
    if mirror:
        ends[0] = (0.0, ends[0][1])
    extents = tuple((length * low, length * high) for low, high in ends)
    # boxes of points of the two processes by level, as (first, last) indices
    boxes = {0: [((0, 0, 0), (11, 7, 3)), ((0, 0, 4), (11, 7, 7))]}
    low = 0 if mirror else 4
    if corner:
        boxes[1] = [((low, 4, 4), (11, 7, 11)), ((low, 8, 4), (17, 11, 11))]
    elif not single:
        # the processes meet within a coarse cell
        boxes[1] = [((low, 4, 4), (15, 11, 8)), ((low, 4, 9), (15, 11, 12))]
    held = {
        "rho": ("HYDROBASE", "mass_density", length**3 / mass),
        "temperature": ("HYDROBASE", "temperature", 1.0),
        "Y_e": ("HYDROBASE", "electron_fraction", 1.0),
        **{f"vel[{n}]": ("HYDROBASE", f"velocity_{n}", 1.0 / 2.99792458e10) for n in range(3)},
    }
    held = {name: about for name, about in held.items() if about[1] != without}
    if metric:
        held |= {name: ("ADMBASE", None, value) for name, value in _METRIC.items()}
    if moments:
        held |= {f"rE[{n}]": ("THC_M1", None, 10.0 + n) for n in range(3)}
        held |= {f"rF{axis}[{n}]": ("THC_M1", None, k + 0.1 * n) for k, axis in enumerate("xyz") for n in range(3)}
    files = []
    for process in range(2):
        for name, (thorn, own, factor) in held.items():
            path = folder / f"{'hydrobase-all' if grouped else name}.xyz.file_{process}.h5"
            with h5py.File(path, "a") as file:
                if path not in files:
                    files.append(path)
                    mirrored = f"ReflectionSymmetry::reflection_x = {'yes' if mirror else 'no'}"
                    file["Parameters and Global Attributes/All Parameters"] = np.bytes_(f"A::b = 1\n{mirrored}")
                for level, owned in boxes.items():
                    first, last = owned[process]
                    width = coarse / 2**level
                    centers = [
                        length * width * (middle + np.arange(a, b + 1)) for a, b in zip(first, last, strict=True)
                    ]
                    values = fields_at(centers, extents, None, spoil and level == max(boxes) and process == 0)
                    data = np.full_like(values["temperature"], factor) if own is None else values[own] * factor
                    # ghosts everywhere but at ends of the mesh; behind a mirror there are symmetry points
                    outer = [
                        (first[n] == 0 and not (mirror and n == 0), last[n] == count[n] * 2**level - 1)
                        for n in range(3)
                    ]
                    pad = [tuple(0 if end else ghosts for end in pair) for pair in outer]
                    data = np.pad(data, pad[::-1], constant_values=WRONG)
                    begin = np.array([a - pair[0] for a, pair in zip(first, pad, strict=True)], dtype="i4")
                    for iteration in (0, 64):
                        name_of_it = f"{thorn}::{name} it={iteration} tl=0 rl={level} c={process}"
                        dataset = file.create_dataset(name_of_it, data=data * (iteration / 64))
                        _carpet_attributes(dataset, level, width, middle, begin, ghosts)
                        dataset.attrs["time"] = 0.25 / time * (iteration / 64)
                        edges = np.array(outer, dtype="i4").ravel()
                        edges[0] |= int(mirror and first[0] == 0)
                        dataset.attrs["cctk_bbox"] = edges
                        if active:
                            a, b = (",".join(str(n) for n in end) for end in (first, last))
                            told = f"bboxset<CCTK_INT4,3>(set<bbox>:{{([0,0,0]:[9,9,9]:[1,1,1]/[{a}]:[{b}]/[9,9,9])}})"
                            dataset.attrs["active"] = np.bytes_(told)
    factor = 1.5 if metric else 1.0
    return Written(
        folder if grouped else files[0], extents, blocks=None, files=tuple(files), factor=factor, uneven=True
    )


def _carpet_attributes(dataset, level, width, middle, begin, ghosts):
    dataset.attrs["level"] = np.int32(level)
    dataset.attrs["origin"] = width * (middle + begin)
    dataset.attrs["delta"], dataset.attrs["iorigin"] = np.full(3, width), begin
    dataset.attrs["cctk_nghostzones"] = np.full(3, ghosts, dtype="i4")


# -- CarpetX ---------------------------------------------------------------------------------------------------------


def carpetx(folder, *, without=None, spoil=False, single=False, metric=False):
    """openPMD in HDF5 as CarpetX writes it: two levels, boxes in an attribute, a spacing that is too small."""
    length, mass, time = _GEOMETRIC
    ghosts, cells, coarse = 2, (8, 6, 4), 8.0
    start = np.array([-32.0, -24.0, 0.0])
    extents = tuple((length * a, length * (a + n * coarse)) for a, n in zip(start, cells, strict=True))
    # (first, last + 1) along x, y, z; boxes of a level meet within a coarse cell
    boxes = {0: [((0, 0, 0), (4, 6, 4)), ((4, 0, 0), (8, 6, 4))]}
    if single:
        boxes[0] = [((0, 0, 0), cells)]
    else:
        boxes[1] = [((4, 2, 2), (9, 10, 6)), ((9, 2, 2), (12, 10, 6))]
    held = {
        "hydrobasex_rho": {"hydrobasex_rho": ("mass_density", length**3 / mass)},
        "hydrobasex_temperature": {"hydrobasex_temperature": ("temperature", 1.0)},
        "hydrobasex_ye": {"hydrobasex_ye": ("electron_fraction", 1.0)},
        "hydrobasex_vel": {f"hydrobasex_vel{'xyz'[n]}": (f"velocity_{n}", 1.0 / 2.99792458e10) for n in range(3)},
    }
    held = {group: {n: about for n, about in parts.items() if about[0] != without} for group, parts in held.items()}
    if metric:
        held["admbasex_metric"] = {f"admbasex_{name}": (None, value) for name, value in _METRIC.items()}
    path = folder / "star.it00000064.h5"
    with h5py.File(path, "w") as file:
        root = {
            "openPMD": "1.1.0",
            "basePath": "/data/%T/",
            "meshesPath": "meshes/",
            "iterationEncoding": "groupBased",
            "iterationFormat": "/data/%T/",
            "software": "openPMD-api",
        }
        for key, value in root.items():
            file.attrs[key] = np.bytes_(value)
        file.attrs["openPMDextension"] = np.uint32(0)
        iteration = file.create_group("data/64")
        iteration.attrs["time"], iteration.attrs["dt"], iteration.attrs["timeUnitSI"] = 0.25 / time, 1.0, time
        for level, listed in boxes.items():
            width = coarse / 2**level
            points = np.array(cells) * 2**level + 1 + 2 * ghosts
            corners = [end for box in listed for corner in box for end in corner[::-1]]
            iteration.attrs[f"chunkInfo_patch00_lev{level:02d}"] = np.array(corners, dtype="i8")
            for group, parts in held.items():
                if not parts:
                    continue
                mesh = iteration.create_group(f"meshes/{group}_patch00_lev{level:02d}")
                mesh.attrs["geometry"], mesh.attrs["dataOrder"] = np.bytes_("cartesian"), np.bytes_("C")
                mesh.attrs["axisLabels"] = np.array([b"z", b"y", b"x"])
                # as the code does: the length of the cells over the number of points
                mesh.attrs["gridSpacing"] = (width * (points - 1.0) / points)[::-1]
                mesh.attrs["gridGlobalOffset"] = (start - ghosts * width)[::-1]
                mesh.attrs["gridUnitSI"], mesh.attrs["timeOffset"] = 0.01 * length, 0.0
                mesh.attrs["unitDimension"] = np.zeros(7)
                for name, (own, factor) in parts.items():
                    data = np.full(points[::-1], WRONG)
                    for low, high in listed:
                        more = 0 if own else 1
                        where = tuple(slice(low[n] + ghosts, high[n] + ghosts + more) for n in (2, 1, 0))
                        if own is None:
                            data[where] = factor
                            continue
                        centers = [length * (start[n] + width * (np.arange(low[n], high[n]) + 0.5)) for n in range(3)]
                        bad = spoil and level == max(boxes) and low == listed[0][0]
                        data[where] = factor * fields_at(centers, extents, None, bad)[own]
                    dataset = mesh.create_dataset(name, data=data)
                    dataset.attrs["unitSI"] = 1.0
                    dataset.attrs["position"] = np.full(3, 0.5 if own else 0.0)
    return Written(path, extents, blocks=1 if single else 4, factor=1.5 if metric else 1.0)


# -- tables of stars -------------------------------------------------------------------------------------------------

_SPHERE = ((0.0, RADIUS), (0.0, np.pi), (0.0, 2.0 * np.pi))


def _sphere(cells=8, without=None, spoil=False):
    """Faces and fields along r."""
    faces = np.linspace(0.0, RADIUS, cells + 1)
    values = fields_of([faces, np.array(_SPHERE[1]), np.array(_SPHERE[2])], _SPHERE, without, False)
    values = {name: value[0, 0] for name, value in values.items()}
    if spoil:
        values["mass_density"][cells // 2] = np.nan
    return faces, values


def chimera_text(folder, *, without=None, spoil=False, single=False, listing=False):
    """What CHIMERA prints, zones from outside in; the columns are always there."""
    if without:
        return None
    faces, values = _sphere(spoil=spoil)
    mass = np.cumsum(values["mass_density"] * 4.0 / 3.0 * np.pi * np.diff(faces**3)) / 1.98841e33
    rows = []
    for zone in range(8)[::-1]:
        v = {name: value[zone] for name, value in values.items()}
        speed = [v[f"velocity_{n}"] for n in range(3)]
        kelvin = v["temperature"] * KELVIN_PER_MEV
        more = [faces[zone + 1] - faces[zone], 0.0, 0.0, "F", 1.0] if listing else []
        tail = [mass[zone], v["mass_density"], v["temperature"], kelvin, 1.5, "1.76E+01*" if listing else 17.6]
        words = [*speed, faces[zone + 1], *more, *tail, v["electron_fraction"], *(["B"] if listing else [])]
        rows.append(f"{zone + 1:5d} " + " ".join(w if isinstance(w, str) else f"{w:.12E}" for w in words))
    if listing:
        head = ["!  j  u  v  w  r  dr  q/p  flat_r  T/F  lum  rstmss  rho  T Mev  T K  S  a_h  Ye  EOS "]
    else:
        head = ["", "Time from bounce= 2.5E-01", "", "  i  u  v  w  r  restmass  rho  T [MeV]  T(K)  s  ah  ye", ""]
    path = folder / "chimera.dat"
    path.write_text("\n".join([*head, *rows, ""]))
    return Written(path, _SPHERE, "spherical", counted=False)


def kepler(folder, *, without=None, spoil=False, single=False):
    """A star of GR1D, with the number of rows."""
    if without:
        return None
    faces, values = _sphere(spoil=spoil)
    mass = np.cumsum(values["mass_density"] * 4.0 / 3.0 * np.pi * np.diff(faces**3))
    speed = values["velocity_0"]
    edge = np.zeros(9)
    for zone in range(8):
        # so that their means are those of the zones
        edge[zone + 1] = 2.0 * speed[zone] - edge[zone]
    columns = [
        mass,
        faces[1:],
        values["temperature"] * KELVIN_PER_MEV,
        np.nan_to_num(values["mass_density"], nan=np.nan),
    ]
    columns += [edge[1:], values["electron_fraction"], np.zeros(8)]
    rows = [f"{zone + 1} " + " ".join(f"{column[zone]:.15E}" for column in columns) for zone in range(8)]
    path = folder / "star.short"
    path.write_text("\n".join(["8", *rows, ""]))
    return Written(path, _SPHERE, "spherical", components=1)


def liebendoerfer(folder, *, without=None, spoil=False, single=False):
    """A table of Agile-Boltztran with its byte-by-byte description; space is flat."""
    faces, values = _sphere(spoil=spoil)
    one = np.ones(8)
    mass = 4.0 / 3.0 * np.pi * np.diff(faces**3) * np.nan_to_num(values["mass_density"], nan=1.0)
    columns = {
        "Zone": np.arange(8.0),
        "ZMass": mass,
        "EMass": np.cumsum(mass),
        "Rad": np.cbrt(0.5 * (faces[1:] ** 3 + faces[:-1] ** 3)),
        "Vel": values["velocity_0"],
        "Den": values["mass_density"],
        "Temp": values["temperature"],
        "Ye": values["electron_fraction"],
        **{"Xn": 0.7 * one, "Xp": 0.3 * one, "Xa": 0.0 * one, "Xh": 0.0 * one, "A": 4.0 * one, "Z": 2.0 * one},
        **{"qE": one, "qY": one, "1-alp": 0.1 * one, "1-Gam": 0.0 * one},
    }
    columns.pop({"temperature": "Temp", "mass_density": "Den"}.get(without, ""), None)
    rule = "-" * 80
    lines = [
        *(
            "Title: Supernova Simulations with Boltzmann Neutrino Transport: A Comparison",
            "       of Methods",
            "Authors: x",
        ),
        *(
            "Table: Agile-Boltztran hydrodynamics  data for model Q1",
            "       at the post bounce time of   12.5 ms",
            "=" * 80,
        ),
        *(
            "Byte-by-byte Description of file: Q1h+010.txt",
            rule,
            "   Bytes Format Units          Label  Explanations",
            rule,
        ),
    ]
    lines += [f" {25 * n + 1}-{25 * n + 24} E24.15  ---  {label}  what it is" for n, label in enumerate(columns)]
    rows = [" ".join(f"{column[zone]:24.15E}" for column in columns.values()) for zone in range(8)]
    path = folder / "Q1h+010.txt"
    path.write_text("\n".join([*lines, rule, *rows, ""]))
    return Written(path, _SPHERE, "spherical", components=1, counted=False)


def sherwood(folder, *, without=None, spoil=False, single=False):
    """A snapshot in "Sherwood format", theta falling, with its mesh beside it."""
    if without:
        return None
    faces = tiles(_SPHERE, (1, 1, 1), (6, 4, 1))[0][1]
    values = {name: value[0] for name, value in fields_of(faces, _SPHERE, None, spoil).items()}
    rows = []
    for j in range(4)[::-1]:
        for i in range(6):
            row = np.zeros(165)
            row[0], row[1] = (0.5 * (face[n] + face[n + 1]) for face, n in ((faces[0], i), (faces[1], j)))
            row[2:5] = [values[name][j, i] for name in ("mass_density", "electron_fraction", "temperature")]
            row[5:8] = [values[f"velocity_{n}"][j, i] for n in range(3)]
            row[17:20], row[32:35] = 1e30, (10.0, 930.0, 940.0)
            rows.append(" ".join(f"{value:.15e}" for value in row))
    path = folder / "snapshot.00120"
    path.write_text("\n".join([*rows, ""]))
    mesh = folder / "meshdata"
    mesh.mkdir()
    files = [path]
    for name, face in (("rmesh_ascii_edge.dat", faces[0]), ("thmesh_ascii_edge.dat", faces[1][::-1])):
        (mesh / name).write_text("".join(f" {n} {value:.15e}\n" for n, value in enumerate(face)))
        files.append(mesh / name)
    return Written(path, _SPHERE, "spherical", files=tuple(files), counted=False)


def sedonu_result(folder, *, without=None, spoil=False, single=False):
    """A result of SedonuGR in single precision."""
    faces, values = _sphere(spoil=spoil)
    held = {"rho(g|ccm,com)": "mass_density", "T_gas(MeV,com)": "temperature", "Ye": "electron_fraction"}
    path = folder / "result.h5"
    with h5py.File(path, "w") as file:
        file["r(cm)"] = faces.astype("f4")
        for name, own in held.items():
            if own == without:
                file[name] = np.zeros(3)
            else:
                file[name] = values[own].astype("f4")
        file["H_abs(erg|s|g,com)"], file["C_emit(erg|s|g,com)"] = np.full(8, 5e20), np.full(8, 2e20)
        file["distribution(erg|ccm,lab)"] = np.full((8, 3, 2, 4), [4.0, 3.0, 2.0, 1.0])
        file["distribution_frequency_grid(Hz,lab)"] = np.array([0.0, 1.0, 3.0]) * 2.417989242e20
    names = ("mass_density", "temperature", "electron_fraction")
    return Written(path, _SPHERE, "spherical", names=names)


def columns(folder, *, without=None, spoil=False, single=False, at="outer face"):
    """A text that only a map explains."""
    faces, values = _sphere(spoil=spoil)
    middle = 0.5 * (faces[1:] + faces[:-1])
    radius = {"outer face": faces[1:], "centre": middle, "faces": faces}[at]
    held = {"n": np.arange(radius.size), "r": radius / 1e5}
    for name, own in (("rho", "mass_density"), ("T", "temperature"), ("Ye", "electron_fraction"), ("v", "velocity_0")):
        if own != without:
            held[name] = np.append(values[own], [0.0] * (radius.size - 8)) * (KELVIN_PER_MEV if name == "T" else 1.0)
    path = folder / "star.txt"
    rows = [" ".join(f"{column[n]:.15e}" for column in held.values()) for n in range(radius.size)]
    path.write_text("\n".join(["a star", "# its columns", *rows, ""]))
    given = {
        "file": {"format": "columns", "columns": list(held), "skip": 1, "mesh": ["r"], "mesh_unit": "km", "at": at},
        "fields": {
            "mass_density": {"name": "rho", "unit": "g/cm^3"},
            "temperature": {"name": "T", "unit": "K"},
            "electron_fraction": {"name": "Ye"},
            "velocity": {"name": "v", "unit": "cm/s"},
        },
    }
    return Written(path, _SPHERE, "spherical", map=given, components=1, counted=False, sniffed=False)


def datasets(folder, *, without=None, spoil=False, single=False, order="x fastest"):
    """An HDF5 file that only a map explains, in (r, theta)."""
    extents = ((0.0, RADIUS), (0.0, np.pi), (0.0, 2.0 * np.pi))
    faces = tiles(extents, (1, 1, 1), (6, 4, 1))[0][1]
    values = {name: value[0] for name, value in fields_of(faces, extents, without, spoil).items()}
    path = folder / "star.h5"
    with h5py.File(path, "w") as file:
        file["grid/r"], file["grid/theta"] = faces[0] / RADIUS, faces[1]
        for name, value in values.items():
            file[f"matter/{name}"] = value.T if order == "x slowest" else value
        file["now"] = 0.25
    given = {
        "units": {"length": RADIUS, "mass": RADIUS**3, "time": RADIUS},
        "file": {"format": "hdf5", "mesh": ["grid/r", "grid/theta"], "at": "faces", "order": order, "time": "now"},
        "fields": {
            "mass_density": {"name": "matter/mass_density"},
            "temperature": {"name": "matter/temperature", "unit": "MeV"},
            "electron_fraction": {"name": "matter/electron_fraction"},
            "velocity": {"name": [f"matter/velocity_{n}" for n in range(3)]},
        },
    }
    return Written(path, extents, "spherical", map=given, sniffed=False)


def skeleton(folder, *, without=None, spoil=False, single=False):
    """The example of ``adapters/skeleton.py``: an archive of numpy with a coarse block and a fine one on half of it."""
    extents = ((-RADIUS, RADIUS), (-RADIUS, RADIUS), (0.0, RADIUS))
    blocks = [(0, tiles(extents, (1, 1, 1), (4, 4, 4))[0][1])]
    if not single:
        blocks.append((1, tiles(((0.0, RADIUS), *extents[1:]), (1, 1, 1), (4, 8, 8))[0][1]))
    arrays = {"geometry": np.array("cartesian"), "time": np.array(0.25)}
    called = {"rho": "mass_density", "kelvin": "temperature", "ye": "electron_fraction"}
    for n, (level, faces) in enumerate(blocks):
        values = fields_of(faces, extents, None, spoil and n == len(blocks) - 1)
        values["temperature"] *= KELVIN_PER_MEV
        arrays |= {f"faces_{n}_{axis}": face for axis, face in enumerate(faces)}
        arrays[f"level_{n}"] = np.array(level)
        arrays |= {f"{name}_{n}": values[own] for name, own in called.items() if own != without}
        arrays[f"v_{n}"] = np.stack([values[f"velocity_{axis}"] for axis in range(3)]) / 1e5
    if not single:
        for name in ("rho", "kelvin", "ye"):
            if f"{name}_0" in arrays:
                arrays[f"{name}_0"][:, :, 2:] = WRONG
    path = folder / "star.npz"
    np.savez(path, **arrays)
    return Written(path, extents, blocks=len(blocks))


#: Every layout, with the variations of it that a reader has to know.
WRITERS = {
    "flash": flash,
    "flash-1d": lambda folder, **how: flash(folder, dimensions=1, **how),
    "flash-cylindrical": lambda folder, **how: flash(folder, geometry="cylindrical", **how),
    "flash-cartesian": lambda folder, **how: flash(folder, geometry="cartesian", dimensions=3, **how),
    "flash-plot": lambda folder, **how: flash(folder, kind="plt", **how),
    "flash-2": lambda folder, **how: flash(folder, geometry="cartesian", old=True, **how),
    "athena": athena,
    "athena-conserved": lambda folder, **how: athena(folder, conserved=True, **how),
    "athena-spherical": lambda folder, **how: athena(folder, coordinates="spherical_polar", **how),
    "athena-cylindrical": lambda folder, **how: athena(folder, coordinates="cylindrical", **how),
    "athena-ghosts": lambda folder, **how: athena(folder, ghosts=2, **how),
    "athenak": athenak,
    "athenak-1d": lambda folder, **how: athenak(folder, dimensions=1, **how),
    "athenak-2d": lambda folder, **how: athenak(folder, dimensions=2, **how),
    "athenak-ghosts": lambda folder, **how: athenak(folder, ghosts=2, **how),
    "amrex": amrex,
    "amrex-1d": lambda folder, **how: amrex(folder, dimensions=1, **how),
    "amrex-r-z": lambda folder, **how: amrex(folder, geometry="cylindrical", **how),
    "amrex-big-endian": lambda folder, **how: amrex(folder, geometry="cartesian", dimensions=3, real=">f8", **how),
    "amrex-single": lambda folder, **how: amrex(folder, real="<f4", ghosts=1, **how),
    "amrex-origin": lambda folder, **how: amrex(folder, origin=-3, ghosts=2, **how),
    "carpet": carpet,
    "carpet-ghosts": lambda folder, **how: carpet(folder, active=False, **how),
    "carpet-cells": lambda folder, **how: carpet(folder, centred="cells", **how),
    "carpet-mirror": lambda folder, **how: carpet(folder, mirror=True, **how),
    "carpet-corner": lambda folder, **how: carpet(folder, corner=True, **how),
    "carpet-folder": lambda folder, **how: carpet(folder, grouped=True, metric=True, **how),
    "carpetx": carpetx,
    "carpetx-metric": lambda folder, **how: carpetx(folder, metric=True, **how),
    "chimera": chimera,
    "chimera-1d": lambda folder, **how: chimera(folder, slabs=1, cells=(6, 1, 1), **how),
    "fornax": fornax,
    "fornax-magnetic": lambda folder, **how: fornax(folder, magnetic=True, **how),
    "gr1d-text": gr1d_text,
    "gr1d-restart": gr1d_restart,
    "chimera-text": chimera_text,
    "chimera-listing": lambda folder, **how: chimera_text(folder, listing=True, **how),
    "kepler": kepler,
    "liebendoerfer": liebendoerfer,
    "sherwood": sherwood,
    "sedonu-result": sedonu_result,
    "columns": columns,
    "columns-centre": lambda folder, **how: columns(folder, at="centre", **how),
    "columns-faces": lambda folder, **how: columns(folder, at="faces", **how),
    "skeleton": skeleton,
    "datasets": datasets,
    "datasets-slowest": lambda folder, **how: datasets(folder, order="x slowest", **how),
}
