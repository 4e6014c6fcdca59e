"""GR1D: ``.xg`` text output (a quantity a file, one block a time) and HDF5 restarts in units of c = G = solar mass.

Values are at the centres of zones, four ghosts at each end of the mesh. The metric's X is the factor of proper volume.
A map's ``[file] time`` chooses a block (the nearest one; default: the first).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ConfigurationError, ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, NeutrinoMoments, whole_axis
from misci_transport.hosts.units import CGS

from .hdf5_source import Hdf5Source, holds
from .text_columns import head, number

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from misci_transport.hosts.mapping import UserMap

NAME = "gr1d"
GHOSTS = 4
#: What GR1D multiplies cgs numbers with to get its own (c = G = solar mass = 1).
DENSITY_FACTOR = 1.61930347e-18
LENGTH_FACTOR = 6.77140812e-6
TIME_FACTOR = 2.03001708e5
SPECIFIC_ENERGY_FACTOR = 1.11265006e-21
PRESSURE_FACTOR = 1.80171810e-39
ENERGY_FACTOR = 5.59424238e-55
_FIELDS = {
    "mass_density": FieldSource(("rho",)),
    "temperature": FieldSource(("temperature",), "MeV"),
    "electron_fraction": FieldSource(("ye",)),
    "velocity": FieldSource(("v",)),
    "specific_internal_energy": FieldSource(("eps",)),
    "pressure": FieldSource(("press",)),
    "entropy": FieldSource(("entropy",), "k_B/baryon"),
    "lapse": FieldSource(("alpha",)),
    "volume_factor": FieldSource(("X",)),
    "neutron_fraction": FieldSource(("xn",)),
    "proton_fraction": FieldSource(("xp",)),
    "alpha_fraction": FieldSource(("xa",)),
    "heavy_fraction": FieldSource(("xh",)),
    "heavy_mass_number": FieldSource(("xabar",)),
    "heavy_charge_number": FieldSource(("xzbar",)),
    "neutrino_heating": FieldSource(("depsdt",)),
}
_RESTART = {
    "mass_density": FieldSource(("rho",), "g/cm^3", 1.0 / DENSITY_FACTOR),
    "temperature": FieldSource(("temperature",), "MeV"),
    "electron_fraction": FieldSource(("ye",)),
    "velocity": FieldSource(("v",), "c"),
    "specific_internal_energy": FieldSource(("eps",), "erg/g", 1.0 / SPECIFIC_ENERGY_FACTOR),
    "pressure": FieldSource(("press",), "erg/cm^3", 1.0 / PRESSURE_FACTOR),
    "entropy": FieldSource(("entropy",), "k_B/baryon"),
    "lapse": FieldSource(("alp",)),
    "volume_factor": FieldSource(("X",)),
}


def sniff(path: Path) -> bool:
    """Whether a file is GR1D's: an ``.xg`` file that begins with a time, or a restart."""
    path = Path(path)
    if path.suffix == ".xg":
        return any(line.lstrip().startswith('"Time =') for line in head(path, 1))
    return holds(path, ("x1", "alp", "X", "v1", "rho"))


def open_host(path: str | os.PathLike[str], user: UserMap | None = None) -> HostFile:
    """Open an ``.xg`` file with those beside it, or a restart.

    Raises
    ------
    ProfileError
        If files are damaged, or those beside each other do not have the same zones and time.
    """
    path = Path(path)
    return _text(path, user) if path.suffix == ".xg" else _restart(path)


def faces_of(path: Path, center: NDArray[np.float64]) -> NDArray[np.float64]:
    """Faces of zones whose centres are the arithmetic means of their faces, from the centre of the star outwards.

    Raises
    ------
    ProfileError
        If they do not increase.
    """
    faces = np.empty(center.size + 1)
    faces[0] = 0.0
    for zone, middle in enumerate(center):
        faces[zone + 1] = 2.0 * middle - faces[zone]
    if not (np.diff(faces) > 0.0).all():
        # rounded numbers: halfway between centres is right to second order
        faces[1:-1] = 0.5 * (center[1:] + center[:-1])
        faces[-1] = center[-1] + 0.5 * (center[-1] - center[-2])
    if not (np.diff(faces) > 0.0).all():
        raise ProfileError(f"{path}: radii of the zones do not increase")
    return faces


def _place(faces: NDArray[np.float64]) -> BlockPlace:
    return BlockPlace((faces, whole_axis("spherical", 1), whole_axis("spherical", 2)))


def _blocks(path: Path) -> tuple[list[float], list[NDArray[np.float64]]]:
    """Times and blocks (zone, 2) of an ``.xg`` file."""
    times: list[float] = []
    blocks: list[list[tuple[float, float]]] = []
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: cannot be read as text: {error}") from None
    for count, line in enumerate(lines, start=1):
        words = line.split()
        if line.lstrip().startswith('"Time ='):
            times.append(number(path, count, "time", line.partition("=")[2]))
            blocks.append([])
        elif words:
            if not blocks or len(words) != 2:
                raise ProfileError(f"{path}: line {count} is {line!r}; accepted: a radius and a value, after a time")
            blocks[-1].append((number(path, count, "radius", words[0]), number(path, count, "value", words[1])))
    if not blocks or any(len(block) != len(blocks[0]) for block in blocks):
        sizes = ", ".join(str(len(block)) for block in blocks) or "none"
        raise ProfileError(f"{path}: blocks of {sizes} zones; accepted: one size (the file is truncated)")
    return times, [np.array(block) for block in blocks]


def _text(path: Path, user: UserMap | None) -> HostFile:
    times, blocks = _blocks(path)
    wanted = None if user is None else user.file.get("time")
    if wanted is not None and not isinstance(wanted, int | float):
        raise ConfigurationError(f"file.time is {wanted!r}; accepted: a number in s")
    chosen = 0 if wanted is None else int(np.argmin(np.abs(np.array(times) - wanted)))
    inside = blocks[chosen][:, 0] > 0.0
    # the last ghosts
    inside[-GHOSTS:] = False
    center = blocks[chosen][inside, 0]
    faces = faces_of(path, center)
    others = {
        entry.stem: entry
        for entry in sorted(path.parent.glob("*.xg"))
        if any(entry.stem in source.names for source in _FIELDS.values()) or entry == path
    }

    def read(_: int, name: str) -> Any:
        file = others[name]
        its_times, its_blocks = _blocks(file)
        at = int(np.argmin(np.abs(np.array(its_times) - times[chosen])))
        block = its_blocks[at]
        if abs(its_times[at] - times[chosen]) > 1.0e-9 * max(abs(times[chosen]), 1.0e-3):
            raise ProfileError(f"{file}: no block at {times[chosen]!r} s; found up to {its_times[-1]!r} s")
        if block.shape[0] != inside.size or not np.allclose(block[inside, 0], center, rtol=1e-6):
            raise ProfileError(f"{file}: zones differ from those of {path.name}")
        return block[inside, 1].reshape(1, 1, -1)

    return HostFile(
        path,
        NAME,
        "GR1D",
        "spherical",
        [_place(faces)],
        tuple(others),
        read,
        FieldMap(dict(_FIELDS), CGS),
        fixed_length=True,
        resolved=(0,),
        time=times[chosen],
        notes=(
            f"{len(times)} times from {times[0]:g} to {times[-1]:g} s; this is number {chosen + 1} ([file] time of "
            "a map chooses another)",
        ),
    )


def _restart(path: Path) -> HostFile:
    source = Hdf5Source(path)
    center = source.array("x1") / LENGTH_FACTOR
    inside = slice(GHOSTS, center.size - GHOSTS)
    zones = center.size
    held = [name for name in source.names if source.shape(name) == (zones,)]

    def read(_: int, name: str) -> Any:
        return source.array(name)[inside].reshape(1, 1, -1)

    def moments(_: int) -> NeutrinoMoments:
        values = source.array("q_M1")[:2, :, :, inside] * (4.0 * np.pi)
        # energy per volume in c = G = solar mass = 1
        values = values.transpose(0, 2, 1, 3) * (LENGTH_FACTOR**3 / ENERGY_FACTOR)
        species, groups, cells = values.shape[1:]
        flux = np.zeros((species, groups, 3, 1, 1, cells))
        flux[:, :, 0, 0, 0] = values[1]
        names = ("nu_e", "nubar_e", "nu_x")[:species]
        edges = np.concatenate([[0.0], np.cumsum(source.array("nulibtable_ewidths"))])
        return NeutrinoMoments(
            values[0].reshape(species, groups, 1, 1, cells),
            flux,
            names,
            (1, 1, 4)[:species],
            "laboratory",
            "energy per volume and group, erg/cm^3, nu_x summed over four species; flux over c",
            edges,
        )

    return HostFile(
        path,
        NAME,
        "GR1D",
        "spherical",
        [_place(faces_of(path, center[inside]))],
        tuple(held),
        read,
        FieldMap(dict(_RESTART), CGS),
        fixed_length=True,
        resolved=(0,),
        time=float(source.array("time")[0]),
        read_moments=moments if "q_M1" in source.names else None,
        attributes={"time of bounce [s]": float(source.array("t_bounce")[0])},
    )
