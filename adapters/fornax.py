"""FornaxAMR dumps and restarts (HDF5): an octree of equal blocks, leaves marked active; x is the slowest index.

``Data`` (block, variable, cell): density, velocity, internal energy, Ye, perhaps a magnetic field, then four moments
for every species and group, in units of the attribute rad_scale. Group edges are in the parameter file only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ConfigurationError, ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, NeutrinoMoments
from misci_transport.hosts.units import CGS

from .hdf5_source import Hdf5Source, holds

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "fornax"
_HYDRO = ("rho", "v1", "v2", "v3", "eint", "ye")
_MAGNETIC = ("B1", "B2", "B3")
_EOS = ("pressure", "temperature", "gamma")
_LEVEL, _ACTIVE, _LOW, _HIGH = 2, 3, slice(4, 7), slice(7, 10)


def sniff(path: Path) -> bool:
    """Whether the file has the datasets of a Fornax dump."""
    return holds(Path(path), ("MetaData", "Data"), ("block_size", "root_nx"))


def open_host(path: str | os.PathLike[str], user: UserMap | None = None) -> HostFile:
    """Open a dump or restart; ``[file] species`` of the map says how many neutrino species there are (default 3).

    Raises
    ------
    ProfileError
        If a dataset is missing or damaged, or the variables do not fit the species.
    """
    path = Path(path)
    source = Hdf5Source(path)
    meta = source.array("MetaData")
    size = int(source.attribute("block_size"))
    blocks, variables, cells = source.shape("Data")
    if cells != size**3 or meta.shape[0] != blocks:
        raise ProfileError(
            f"{path}: Data has shape {source.shape('Data')}, MetaData {meta.shape}; accepted: the same blocks, "
            f"{size}^3 cells"
        )
    # four values a species and group besides what matter has
    hydro = next((n for n in (6, 9) if (variables - n) % 4 == 0), None)
    if hydro is None:
        raise ProfileError(f"{path}: {variables} variables; accepted: 6 or 9 and four for each species and group")
    names = [*_HYDRO, *(_MAGNETIC if hydro == 9 else ())]
    names += [f"radiation_{n}" for n in range(variables - hydro)]
    row: dict[str, tuple[str, int]] = {name: ("Data", n) for n, name in enumerate(names)}
    if "Eos" in source.names:
        row |= {name: ("Eos", n) for n, name in enumerate(_EOS[: source.shape("Eos")[1]])}
    active = meta[:, _ACTIVE] == 1
    places = []
    for block in range(blocks):
        faces = [np.linspace(a, b, size + 1) for a, b in zip(meta[block, _LOW], meta[block, _HIGH], strict=True)]
        covered = None if active[block] else np.ones((size, size, size), dtype=bool)
        places.append(BlockPlace((faces[0], faces[1], faces[2]), int(meta[block, _LEVEL]), 0, covered))

    def read(block: int, name: str) -> Any:
        dataset, number = row[name]
        return source.array(dataset, (block, number)).reshape(size, size, size).transpose(2, 1, 0)

    pairs = (variables - hydro) // 4
    species = _species(user, pairs)
    # restarts hold them as they are
    scale = float(source.file.attrs.get("rad_scale", 1.0))

    def moments(block: int) -> NeutrinoMoments:
        values = source.array("Data", (block, slice(hydro, None))).astype(np.float64) * scale
        whole = values.reshape(species, pairs // species, 4, size, size, size).transpose(0, 1, 2, 5, 4, 3)
        names = ("nu_e", "nubar_e", "nu_x")[:species] if species == 3 else tuple(f"species {n}" for n in range(species))
        each = (1, 1, 4) if species == 3 else (1,) * species
        return NeutrinoMoments(
            np.ascontiguousarray(whole[:, :, 0]),
            np.ascontiguousarray(whole[:, :, 1:]),
            names,
            each,
            "fluid",
            "energy per volume and group, nu_x summed over four species; group edges are in the parameter file",
        )

    fields = {
        "mass_density": FieldSource(("rho",)),
        "velocity": FieldSource(("v1", "v2", "v3")),
        "specific_internal_energy": FieldSource(("eint",)),
        "electron_fraction": FieldSource(("ye",)),
        "pressure": FieldSource(("pressure",)),
        "temperature": FieldSource(("temperature",)),
    }
    return HostFile(
        path,
        NAME,
        "FornaxAMR",
        "cartesian",
        places,
        tuple(row),
        read,
        FieldMap(fields, CGS),
        time=float(source.attribute("time")),
        read_moments=moments if pairs else None,
        notes=("the file does not name the unit of temperature: a map has to, [fields.temperature] unit",),
        attributes={"step": int(source.attribute("step"))},
    )


def _species(user: UserMap | None, pairs: int) -> int:
    species = 3 if user is None else user.file.get("species", 3)
    if not isinstance(species, int) or species < 1 or (pairs and pairs % species):
        raise ConfigurationError(
            f"file.species is {species!r}; accepted: a divisor of the {pairs} pairs of species and group in the file"
        )
    return species
