"""openPMD files of CarpetX (AsterX, GRaM-X), through the package openpmd-api, in HDF5 or ADIOS2.

A mesh is a group of variables on a level, ``hydrobasex_rho_patch00_lev01``; its components are the variables. The
attributes ``chunkInfo_patch00_levNN`` of the iteration list the boxes of cells that a level has, as (first, last + 1)
along z, y, x. Datasets span the whole domain with ghosts and one point more than there are cells, so that the written
gridSpacing, (cells + ghosts)/(points + ghosts) of a cell's width, is too small: it is mended here. Variables on points
(the metric) are averaged over a cell's corners.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ConfigurationError, MissingDependencyError, ProfileError
from misci_transport.hdf5 import is_hdf5
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, cover
from misci_transport.hosts.registry import check_hdf5
from misci_transport.hosts.units import GEOMETRIC, CodeUnits

from .hdf5_source import holds

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "carpetx"
_MESH = re.compile(r"(.+)_patch(\d+)_lev(\d+)$")
_METRIC = ("admbasex_gxx", "admbasex_gxy", "admbasex_gxz", "admbasex_gyy", "admbasex_gyz", "admbasex_gzz")
DETERMINANT = "sqrt(det gamma)"
_FIELDS = {
    "mass_density": FieldSource(("hydrobasex_rho",)),
    "temperature": FieldSource(("hydrobasex_temperature",), "MeV"),
    "electron_fraction": FieldSource(("hydrobasex_ye",)),
    "velocity": FieldSource(("hydrobasex_velx", "hydrobasex_vely", "hydrobasex_velz"), "c"),
    "specific_internal_energy": FieldSource(("hydrobasex_eps",)),
    "pressure": FieldSource(("hydrobasex_press",)),
    "entropy": FieldSource(("hydrobasex_entropy",), "k_B/baryon"),
    "lapse": FieldSource(("admbasex_alp",)),
    "volume_factor": FieldSource((DETERMINANT,)),
}


def sniff(path: Path) -> bool:
    """Whether it is an HDF5 file that calls itself openPMD, or a folder of ADIOS2."""
    path = Path(path)
    if path.is_dir():
        return path.suffix in (".bp", ".bp4", ".bp5") and (path / "md.0").is_file()
    return is_hdf5(path) and holds(path, (), ("openPMD",))


def _import() -> Any:
    try:
        import openpmd_api
    except ImportError as error:
        raise MissingDependencyError(
            f"openPMD files need the package openpmd-api, which cannot be imported ({error}); accepted: pip install "
            "openpmd-api"
        ) from error
    return openpmd_api


def open_host(path: str | os.PathLike[str], user: UserMap | None = None) -> HostFile:
    """Open an iteration; ``[file] iteration`` of the map chooses it (default: the last one).

    Raises
    ------
    MissingDependencyError
        Without openpmd-api.
    ProfileError
        If it cannot be read, or is openPMD of another code (one patch, Cartesian, named as CarpetX does).
    ConfigurationError
        If the iteration is not there.
    """
    path = Path(path)
    api = _import()
    # the package's own HDF5 is loud about damaged files
    check_hdf5(path)
    try:
        # a file of a series, name.it00000064.h5, is opened alone
        series = api.Series(str(path), api.Access.read_only)
        iterations = sorted(int(n) for n in series.iterations)
    except Exception as error:
        # the package raises its own kinds, RuntimeError, and whatever its back ends do
        raise ProfileError(f"{path}: not to be read as openPMD: {_line(error)}") from None
    if not iterations:
        raise ProfileError(f"{path}: no iteration in it; accepted: one or more")
    chosen = iterations[-1]
    if user is not None and "iteration" in user.file:
        chosen = user.file["iteration"]
        if chosen not in iterations:
            raise ConfigurationError(f"file.iteration is {chosen!r}; accepted: {', '.join(map(str, iterations))}")
    iteration = series.iterations[chosen]
    found: dict[int, dict[str, Any]] = {}
    for name in iteration.meshes:
        mesh, match = iteration.meshes[name], _MESH.match(name)
        if match is None or "cartesian" not in str(mesh.geometry).lower():
            kind = str(mesh.geometry).rpartition(".")[2]
            raise ProfileError(
                f"{path}: mesh {name} has geometry {kind}; accepted: meshes of CarpetX, GROUP_patchPP_levLL, Cartesian"
            )
        if int(match[2]) != 0:
            raise ProfileError(f"{path}: mesh {name} is of another patch than 00; accepted: one patch")
        for component in mesh:
            found.setdefault(int(match[3]), {})[str(component).lower()] = (mesh, mesh[component])
    if not found:
        raise ProfileError(f"{path}: iteration {chosen} has no mesh; accepted: meshes of CarpetX")
    return _host(path, series, iteration, found, (chosen, iterations))


def _host(path: Path, series: Any, iteration: Any, found: dict[int, Any], chosen: tuple[int, list[int]]) -> HostFile:
    boxes = {level: _boxes(path, iteration, level) for level in found}
    mesh, component = next(iter(found[min(found)].values()))
    coarse = np.array(boxes[min(found)])
    first, last = coarse[:, 0].min(axis=0), coarse[:, 1].max(axis=0)
    # points of the dataset: cells, one more, and ghosts at both ends
    around = (np.array(component.shape)[::-1] - (last - first) - 1) // 2
    if (around < 0).any():
        raise ProfileError(f"{path}: datasets have {component.shape} points for {(last - first)[::-1]} cells")
    places: list[BlockPlace] = []
    parts: list[tuple[int, Any]] = []
    for level, listed in boxes.items():
        mesh, component = next(iter(found[level].values()))
        points = np.array(component.shape, dtype=np.float64)
        spacing = (np.array(mesh.grid_spacing) * points / (points - 1.0))[::-1]
        low = np.array(mesh.grid_global_offset)[::-1] + around * spacing
        for box in listed:
            faces = [low[n] + spacing[n] * np.arange(box[0][n], box[1][n] + 1) for n in range(3)]
            places.append(BlockPlace((faces[0], faces[1], faces[2]), level))
            parts.append((level, box))
    names = sorted({name for level in found.values() for name in level})
    if set(_METRIC) <= set(names):
        names.append(DETERMINANT)

    def stored(block: int, name: str) -> Any:
        level, box = parts[block]
        if name not in found[level]:
            raise ProfileError(f"{path}: {name} is not on level {level}; found {', '.join(sorted(found[level]))}")
        data = found[level][name][1]
        centred = np.array(data.position)[::-1] > 0.25
        start = (np.array(box[0]) + around)[::-1]
        count = (np.array(box[1]) - np.array(box[0]) + ~centred)[::-1]
        try:
            values = data.load_chunk([int(n) for n in start], [int(n) for n in count])
            series.flush()
        except Exception as error:
            raise ProfileError(f"{path}: {name} on level {level} cannot be read: {_line(error)}") from None
        values = np.asarray(values, dtype=np.float64)
        for axis, at_centre in enumerate(centred[::-1]):
            if not at_centre:
                lower, upper = (np.take(values, range(n, values.shape[axis] - 1 + n), axis=axis) for n in (0, 1))
                values = 0.5 * (lower + upper)
        return values

    def read(block: int, name: str) -> Any:
        if name != DETERMINANT:
            return stored(block, name)
        xx, xy, xz, yy, yz, zz = (stored(block, entry) for entry in _METRIC)
        return np.sqrt(xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz))

    length, unit_time = 100.0 * float(mesh.grid_unit_SI), float(iteration.time_unit_SI)
    geometric = abs(length / GEOMETRIC.length - 1.0) < 1.0e-3
    return HostFile(
        path,
        NAME,
        "Einstein Toolkit (CarpetX)",
        "cartesian",
        cover(places),
        tuple(names),
        read,
        FieldMap(dict(_FIELDS), CodeUnits(length, GEOMETRIC.mass, unit_time) if geometric else None),
        length=length if geometric else None,
        time=float(iteration.time),
        time_unit="code",
        notes=(
            f"iteration {chosen[0]} of {', '.join(map(str, chosen[1]))} ([file] iteration of a map chooses another)",
            "velocities are those of Eulerian observers; masses are without the Lorentz factor",
            *(() if geometric else ("units are not c = G = solar mass = 1: a map has to say what they are",)),
        ),
        attributes={"iterations": chosen[1], "iteration": chosen[0]},
    )


def _boxes(path: Path, iteration: Any, level: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Boxes of cells of a level, (first, last + 1) along x, y, z."""
    key = f"chunkInfo_patch00_lev{level:02d}"
    if key not in iteration.attributes:
        raise ProfileError(f"{path}: attribute {key} is missing; accepted: files of CarpetX that list their boxes")
    numbers = np.atleast_1d(iteration.get_attribute(key)).astype(np.int64)
    if numbers.size == 0 or numbers.size % 6:
        raise ProfileError(f"{path}: attribute {key} has {numbers.size} numbers; accepted: six for each box")
    corners = numbers.reshape(-1, 2, 3)[:, :, ::-1]
    if not (corners[:, 0] < corners[:, 1]).all():
        raise ProfileError(f"{path}: attribute {key} has an empty box; accepted: first < last + 1")
    return [(tuple(int(n) for n in low), tuple(int(n) for n in high)) for low, high in corners]


def _line(error: Exception) -> str:
    """An error of another package in one line."""
    return " ".join(str(error).split())
