"""Published lines and points through supernovae and merger remnants, whose comments name the columns.

Either a list, ``#  3: matter density (g cm^-3)``, or one line, ``# id, rho [g cm-3], T [MeV], Ye, ...``; the one with
as many entries as there are columns counts. With a column of radii the file is a line, without one a set of points.
Neither has a volume or a mass, or can be a profile or a snapshot; `merger_cuts.remnant` makes a remnant of two lines.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.constants import NEUTRON_PROTON_MASS_DIFFERENCE
from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile
from misci_transport.hosts.units import CGS, worth

from .text_columns import head, read_lines, require_increasing, table

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "cuts"
_ENTRY = re.compile(r"^\s*#\s*(\d+):\s*(.+?)\s*$")
_UNIT = re.compile(r"\s*[\[(]([^\[\]()]*)[\])]\s*$")
_UNITS = {"g cm^-3": "g/cm^3", "g cm-3": "g/cm^3", "g/cm^3": "g/cm^3", "mev": "MeV", "km": "km", "cm": "cm"}
#: What either kind of header calls the fields.
_CALLED = {
    "radius": ("radius", "r"),
    "mass_density": ("matter density", "rho"),
    "temperature": ("temperature", "T"),
    "electron_fraction": ("electron fraction", "Ye"),
    "neutron_fraction": ("neutron fraction", "Yn"),
    "proton_fraction": ("proton fraction", "Yp"),
    "alpha_fraction": ("alpha particle fraction", "Ya"),
    "heavy_fraction": ("heavy nuclei fraction", "Yh"),
    "electron_chemical_potential": ("electron chemical potential", "electron chemical potential w/ rest mass", "mu_e"),
    "nucleon_potential_difference": ("neutron - proton chemical potential difference w/o rest mass",),
}
_NEUTRON, _PROTON = "neutron chemical potential", "proton chemical potential"
_DIFFERENCE = "mu_n - mu_p - (m_n - m_p) c^2"
_REST_MASS = "all chemical potentials include the rest mass contribution"


def sniff(path: Path) -> bool:
    """Whether comments at the beginning name density and temperature, and a row of as many numbers follows."""
    lines = head(Path(path), 60)
    found = _columns(lines)
    return found is not None and {"mass_density", "temperature"} <= {_field(name) for name, _ in found}


def _field(name: str) -> str | None:
    return next((field for field, called in _CALLED.items() if name in called), None)


def _first_row(lines: list[str]) -> int | None:
    """The first line that is neither blank nor a comment, if it is one of numbers."""
    for count, line in enumerate(lines):
        words = line.split()
        if words and not words[0].startswith("#"):
            try:
                [float(word) for word in words]
            except ValueError:
                return None
            return count
    return None


def _columns(lines: list[str]) -> list[tuple[str, str]] | None:
    """Name and unit of every column, as the comments before the first row say; None without."""
    first = _first_row(lines)
    if first is None:
        return None
    count = len(lines[first].split())
    listed = {int(match[1]): match[2] for line in lines[:first] if (match := _ENTRY.match(line))}
    if sorted(listed) == list(range(1, count + 1)):
        return [_split(listed[n]) for n in range(1, count + 1)]
    for line in lines[:first]:
        entries = line.strip().lstrip("#").split(",")
        if len(entries) == count and count > 2:
            return [_split(entry) for entry in entries]
    return None


def _split(entry: str) -> tuple[str, str]:
    match = _UNIT.search(entry)
    name = (entry if match is None else entry[: match.start()]).strip()
    return name, "" if match is None else match[1].strip()


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """Open a line or a set of points.

    Raises
    ------
    ProfileError
        If no comment names the columns, a line has another number of them, or radii do not increase.
    """
    path = Path(path)
    lines = read_lines(path)
    columns = _columns(lines)
    first = _first_row(lines)
    if columns is None or first is None:
        raise ProfileError(
            f"{path}: no comments that name the columns; accepted: '# 1: NAME (UNIT)' for each, or '# NAME [UNIT], ...'"
        )
    names = [name for name, _ in columns]
    if len(set(names)) < len(names):
        raise ProfileError(f"{path}: two columns have one name; found {', '.join(names)}")
    held = table(path, lines[first:], first + 1, names)
    fields: dict[str, FieldSource] = {}
    place, length = None, 1.0
    for name, unit in columns:
        field = _field(name)
        if field == "radius":
            place, length = name, worth(_UNITS.get(unit.lower(), unit), "cm", f"{path}: unit of {name}")
        elif field is not None:
            known = _UNITS.get(unit.lower(), "")
            fields[field] = FieldSource((name,), known) if known else FieldSource((name,))
    if {_NEUTRON, _PROTON} <= set(names) and any(_REST_MASS in line for line in lines[:first]):
        held[_DIFFERENCE] = held[_NEUTRON] - held[_PROTON] - NEUTRON_PROTON_MASS_DIFFERENCE
        fields["nucleon_potential_difference"] = FieldSource((_DIFFERENCE,), "MeV")
    if place is None:
        faces = np.arange(held[names[0]].size + 1.0)
    else:
        radius = held[place]
        require_increasing(path, place, radius, first + 1)
        if radius.size < 2:
            raise ProfileError(f"{path}: {radius.size} rows; accepted: 2 or more")
        between = 0.5 * (radius[1:] + radius[:-1])
        faces = np.concatenate([[max(0.0, 2.0 * radius[0] - between[0])], between, [2.0 * radius[-1] - between[-1]]])
    across = np.array([0.0, 1.0])

    def read(_: int, name: str) -> Any:
        return held[name].reshape(1, 1, -1)

    title = next((line.strip("# \n") for line in lines[:first] if line.strip("# \n")), "")
    what = "points of no order" if place is None else "a line"
    return HostFile(
        path,
        NAME,
        "published values",
        "cartesian",
        [BlockPlace((faces, across, across))],
        tuple(held),
        read,
        FieldMap(fields, CGS),
        length=length,
        fixed_length=True,
        resolved=(0,),
        notes=(f"{what}, not a volume: no mass, no profile and no snapshot",),
        extent="points" if place is None else "line",
        attributes={"title": title},
    )
