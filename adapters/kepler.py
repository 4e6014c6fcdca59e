"""Pre-supernova stars in the text formats that one-dimensional codes exchange.

What a row means differs, and is settled by the masses that the files carry:

======================  ==================================================================================
FLASH 1D                r is the arithmetic mean of the zone's faces, so faces follow as f' = 2 r - f from 0;
                        all columns are zone averages (reproduces the mass column of s20.1d to 1e-9)
KEPLER presn            mass, radius and velocity at the zone's outer face; the rest in the zone; composition
GR1D .short             i, mass (g), r, T (K), density, v, Ye [, omega]; r and v at the zone's outer face, or at its
                        middle, or all at points: whichever agrees best with the masses
Woosley-Weaver 1995     fixed width: i, mass (solar) at the zone's inner face, r and v at the outer one, T (K),
                        density, Ye in the zone; most zones are left out (the numbers i have gaps)
logarithmic             "# meshnumber, Mr, ..."; log10 of density, T and r/R_sun at points; faces are put at the
                        geometric means of neighbouring radii
======================  ==================================================================================
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.fluid import Fluid
from misci_transport.hosts.own import host_of_profile
from misci_transport.profile import Profile, checked, kelvin_to_mev

from .text_columns import head, number, read_lines, require_increasing, table

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

    from misci_transport.hosts.mapping import UserMap
    from misci_transport.hosts.record import HostFile

NAME = "kepler"
SOLAR_RADIUS = 6.957e10  #: cm, nominal value of the International Astronomical Union (2015)

_WW95_WIDTHS = (8, *([12] * 6))
_WW95_COLUMNS = ("i", "mass", "radius", "temperature", "density", "velocity", "ye")
_SHORT_COLUMNS = ("i", "mass", "radius", "temperature", "density", "velocity", "ye", "omega")
_LOG_COLUMNS = ("meshnumber", "Mr", "Log10Rho", "LogT", "Log10R/Rsun", "Ye", "vel")
_CODES = {
    "_read_flash": "FLASH, initial model",
    "_read_presn": "KEPLER",
    "_read_short": "GR1D, initial model",
    "_read_woosley_weaver": "KEPLER, thinned",
    "_read_logarithmic": "progenitor in logarithms",
}
#: offset of the column in a presn row from the zone number
_PRESN = {"mass": 1, "radius": 2, "velocity": 3, "density": 4, "temperature": 5, "A_bar": 10, "Y_e": 11}
_PRESN_SPECIES = {"neutrons": 14, "H1": 15, "He3": 16, "He4": 17}


def sniff(path: str | os.PathLike[str]) -> bool:
    """Whether the file is in one of the formats of this module."""
    return _format(Path(path)) is not None


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """The star as one block: see `read`."""
    path = Path(path)
    reader = _format(path)
    return host_of_profile(read(path), path, NAME, "" if reader is None else _CODES[reader.__name__])


def read(path: str | os.PathLike[str]) -> Profile:
    """Read a star in any of the formats of this module.

    Raises
    ------
    ProfileError
        Unknown format, a column missing, a truncated line, NaN, radii that do not increase: the message names file
        and line or column.
    UnphysicalInputError
        A value outside its physical range.
    """
    path = Path(path)
    reader = _format(path)
    if reader is None:
        raise ProfileError(
            f"{path}: line 1 fits none of the progenitor formats (FLASH 1D, KEPLER presn, GR1D short, "
            "Woosley-Weaver fixed width, logarithmic)"
        )
    profile = reader(path, read_lines(path))
    profile.title = profile.title or path.name
    return checked(profile, path)


def _format(path: Path) -> Callable[[Path, list[str]], Profile] | None:
    lines = head(path, 3)
    if not lines:
        return None
    if len(lines) > 1 and lines[1].startswith("number of variables"):
        return _read_flash
    if lines[0].startswith("VERSION") and len(lines) > 1 and "cell outer radius" in lines[1]:
        return _read_presn
    if lines[0].startswith("#") and "Log10Rho" in lines[0]:
        return _read_logarithmic
    first = lines[0].rstrip("\n")
    if len(first) == sum(_WW95_WIDTHS) and re.fullmatch(r"\s*\d+ [ \d.E+-]+", first) and first[9:12].strip():
        return _read_woosley_weaver
    second = lines[1].split() if len(lines) > 1 else []
    if re.fullmatch(r"\d+", first.strip()) and len(second) in (7, 8) and second[0] == "1":
        return _read_short
    words = first.split()
    if len(words) in (7, 8) and words[0] == "1" and all(re.fullmatch(r"[-+.\dEeDd]+", word) for word in words):
        return _read_short
    return None


def _read_flash(path: Path, lines: list[str]) -> Profile:
    count = _header_integer(path, 2, lines[1])
    start, points = 2, None
    if len(lines) > 2 and lines[2].startswith("number of points"):
        start, points = 3, _header_integer(path, 3, lines[2])
    names = [line.strip() for line in lines[start : start + count]]
    first_line = start + count + 1
    column = table(path, lines[start + count :], first_line, ["r", *names])
    for name in ("dens", "temp", "ye"):
        if name not in column:
            raise ProfileError(f"{path}: column {name!r} is missing; found r, {', '.join(names)}")
    if points is not None and column["r"].size != points:
        raise ProfileError(f"{path}: truncated at line {len(lines)}: {column['r'].size} rows, line 3 promises {points}")
    radius = column["r"]
    require_increasing(path, "r", radius, first_line)
    faces = _middle_faces(radius)
    if not (np.diff(faces) > 0.0).all():
        zone = int(np.argmin(np.diff(faces) > 0.0))
        raise ProfileError(
            f"{path}: line {first_line + zone}: column 'r' is {float(radius[zone])!r}, which is not the middle "
            f"of a zone that starts at {faces[zone]:.8g} cm"
        )
    return _profile(
        faces,
        column["dens"],
        column["temp"],
        column["ye"],
        column.get("velx", np.zeros_like(radius)),
        title=lines[0].lstrip("# ").strip(),
    )


def _read_presn(path: Path, lines: list[str]) -> Profile:
    names = {**_PRESN, **_PRESN_SPECIES}
    rows = []
    for count, line in enumerate(lines[2:], start=3):
        words = line.split()
        if not words:
            continue
        if not re.fullmatch(r"\d+:", words[0]):
            raise ProfileError(f"{path}: line {count}: column 'grid' is {words[0]!r}; accepted: a zone number and ':'")
        if len(words) <= max(_PRESN.values()):
            raise ProfileError(f"{path}: line {count} is truncated: {len(words)} columns, expected 12 or more")
        # "---" stands for a value that the network does not carry; the last zones may end before the abundances
        rows.append(
            [
                0.0 if offset >= len(words) or words[offset] == "---" else number(path, count, name, words[offset])
                for name, offset in names.items()
            ]
        )
    if not rows:
        raise ProfileError(f"{path}: line 3: no zones; the file is truncated")
    column = dict(zip(names, np.array(rows).T.copy(), strict=True))
    profile = _outer_face_profile(path, column, "Y_e", 3)
    neutron, proton = column["neutrons"], column["H1"]
    alpha = column["He4"] + column["He3"]
    heavy = np.maximum(1.0 - neutron - proton - alpha, 0.0)
    present = heavy > 1e-6
    inverse = 1.0 / column["A_bar"] - neutron - proton - 0.25 * column["He4"] - column["He3"] / 3.0
    mass_number = np.where(present, np.clip(heavy / np.maximum(inverse, 1e-30), 4.0, 300.0), 4.0)
    helium_charge = 0.5 * column["He4"] + 2.0 / 3.0 * column["He3"]
    charge = mass_number * (column["Y_e"] - proton - helium_charge) / np.where(present, heavy, 1.0)
    fluid = profile.fluid
    fluid.neutron_fraction, fluid.proton_fraction, fluid.alpha_fraction = neutron, proton, alpha
    fluid.heavy_fraction, fluid.heavy_mass_number = heavy, mass_number
    fluid.heavy_charge_number = np.where(present, np.clip(charge, 0.0, mass_number), 2.0)
    profile.title = lines[0].strip()
    return profile


def _read_short(path: Path, lines: list[str]) -> Profile:
    counted = len(lines[0].split()) == 1
    first_line = 2 if counted else 1
    columns = _SHORT_COLUMNS[: len(lines[first_line - 1].split())]
    column = table(path, lines[first_line - 1 :], first_line, columns)
    if counted and column["radius"].size != int(lines[0]):
        raise ProfileError(
            f"{path}: truncated at line {len(lines)}: {column['radius'].size} rows, line 1 promises {int(lines[0])}"
        )
    radius, mass, density = column["radius"], column["mass"], column["density"]
    steps = np.diff(radius)
    if not (steps > 0.0).all() or radius.size < 3 or radius[0] < 0.0:
        require_increasing(path, "radius", radius, first_line)
    gained = np.diff(mass)
    middles = _middle_faces(radius)
    ways = {
        "outer": 4.0 / 3.0 * np.pi * np.diff(radius**3) * density[1:],
        "points": 2.0 / 3.0 * np.pi * np.diff(radius**3) * (density[1:] + density[:-1]),
        "middles": 4.0 / 3.0 * np.pi * np.diff(middles**3)[1:] * density[1:],
    }
    good = gained > 0.0
    off = {way: float(np.median(np.abs(made[good] / gained[good] - 1.0))) for way, made in ways.items() if good.any()}
    if radius[0] == 0.0:
        off.pop("outer", None)
    way = min(off, key=lambda name: off[name]) if off else "outer"
    if way == "outer":
        return _outer_face_profile(path, column, "ye", first_line)
    between = 0.5 * (radius[1:] + radius[:-1])
    faces = middles if way == "middles" else np.concatenate([[0.0], between, [2.0 * radius[-1] - between[-1]]])
    return _profile(faces, density, column["temperature"], column["ye"], column["velocity"])


def _middle_faces(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Faces of zones whose middles are given, from 0 on; they need not increase."""
    faces = np.zeros(radius.size + 1)
    for zone, middle in enumerate(radius):
        faces[zone + 1] = 2.0 * middle - faces[zone]
    return faces


def _read_woosley_weaver(path: Path, lines: list[str]) -> Profile:
    rows = []
    for count, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        stops = np.cumsum(_WW95_WIDTHS)
        if len(line.rstrip()) <= stops[-2]:
            short = _WW95_COLUMNS[int(np.searchsorted(stops, len(line.rstrip()), side="right"))]
            raise ProfileError(f"{path}: line {count} is truncated in column {short!r}")
        cells = [line[stop - width : stop] for stop, width in zip(stops, _WW95_WIDTHS, strict=True)]
        rows.append([number(path, count, name, cell) for name, cell in zip(_WW95_COLUMNS, cells, strict=True)])
    column = dict(zip(_WW95_COLUMNS, np.array(rows).T.copy(), strict=True))
    radius = column["radius"]
    require_increasing(path, "radius", radius, 1)
    below = np.append(0.0, radius[:-1])
    # A row's zone is the last of those since the row before; they are taken as equally wide, and the face between
    # two rows is put in the middle of the zones that are left out.
    width = (radius - below) / np.diff(column["i"], prepend=0.0)
    inner = radius - width
    faces = np.append(0.5 * (below + inner), radius[-1])
    faces[0] = 0.0
    middle = radius - 0.5 * width
    velocity = np.interp(middle, np.append(0.0, radius), np.append(0.0, column["velocity"]))
    return _profile(faces, column["density"], column["temperature"], column["ye"], velocity)


def _read_logarithmic(path: Path, lines: list[str]) -> Profile:
    column = table(path, lines[1:], 2, _LOG_COLUMNS)
    radius = SOLAR_RADIUS * 10.0 ** column["Log10R/Rsun"]
    require_increasing(path, "Log10R/Rsun", radius, 2)
    between = np.sqrt(radius[1:] * radius[:-1])
    faces = np.concatenate([[0.0], between, [radius[-1] ** 2 / between[-1]]])
    return _profile(faces, 10.0 ** column["Log10Rho"], 10.0 ** column["LogT"], column["Ye"], column["vel"])


def _outer_face_profile(path: Path, column: dict[str, NDArray[np.float64]], ye: str, first_line: int) -> Profile:
    require_increasing(path, "radius", column["radius"], first_line)
    edge_velocity = np.append(0.0, column["velocity"])
    return _profile(
        np.append(0.0, column["radius"]),
        column["density"],
        column["temperature"],
        column[ye],
        0.5 * (edge_velocity[1:] + edge_velocity[:-1]),
    )


def _profile(
    faces: NDArray[np.float64],
    density: NDArray[np.float64],
    kelvin: NDArray[np.float64],
    ye: NDArray[np.float64],
    velocity: NDArray[np.float64],
    title: str = "",
) -> Profile:
    return Profile(faces=faces, fluid=Fluid(density, kelvin_to_mev(kelvin), ye, velocity), title=title)


def _header_integer(path: Path, line: int, text: str) -> int:
    match = re.search(r"=\s*(\d+)\s*$", text)
    if not match:
        raise ProfileError(f"{path}: line {line} is {text.strip()!r}; accepted: 'name = integer'")
    return int(match[1])
