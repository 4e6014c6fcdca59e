"""Profiles that CHIMERA prints: files that begin with "Time from bounce=", and its model listing, "!  j  u  v ...".

Rows run inwards. Radius (cm) and enclosed rest mass (solar) are at a zone's outer edge: the volume between two radii
times the density is the difference of masses. Four digits of the radius give the mass of a thin zone to some percent
only, that of the star to 1e-3.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, whole_axis
from misci_transport.hosts.units import CGS

from .text_columns import head, number, read_lines, require_increasing

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "chimera_text"
_PROFILE = ("i", "u", "v", "w", "r", "restmass", "rho", "T [MeV]", "T(K)", "s", "ah", "ye")
_LISTING = (
    *(
        "j",
        "u",
        "v",
        "w",
        "r",
        "dr",
        "q/p",
        "flat_r",
        "T/F",
        "lum",
        "restmass",
        "rho",
        "T [MeV]",
        "T(K)",
        "s",
        "ah",
        "ye",
    ),
    "EOS",
)
_WORDS = ("T/F", "EOS")
_FIELDS = {
    "mass_density": FieldSource(("rho",)),
    "temperature": FieldSource(("T [MeV]",), "MeV"),
    "electron_fraction": FieldSource(("ye",)),
    "velocity": FieldSource(("u", "v", "w")),
    "entropy": FieldSource(("s",), "k_B/baryon"),
    "heavy_mass_number": FieldSource(("ah",)),
}


def sniff(path: Path) -> bool:
    """Whether the first lines are those of either listing."""
    return _columns(head(Path(path), 6)) is not None


def _columns(lines: list[str]) -> tuple[str, ...] | None:
    lines = [line for line in lines if line.strip()]
    if lines and lines[0].startswith("Time from bounce=") and any("restmass" in line for line in lines):
        return _PROFILE
    if lines and lines[0].startswith("!") and "rstmss" in lines[0] and "flat_r" in lines[0]:
        return _LISTING
    return None


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """Open either listing.

    Raises
    ------
    ProfileError
        If a line has another number of columns, or radii do not grow outwards: file, line and column are named.
    """
    path = Path(path)
    lines = read_lines(path)
    names = _columns(lines[:6])
    if names is None:
        raise ProfileError(f"{path}: line 1 is none of CHIMERA's; accepted: 'Time from bounce=' or '!  j  u  v  w ...'")
    time, rows = None, []
    for count, line in enumerate(lines, start=1):
        # marks of the equation of state stand behind numbers
        words = re.sub(r"(E[+-]\d\d)[*A-Z]", r"\1 ", line).split()
        if line.startswith("Time from bounce="):
            time = number(path, count, "Time from bounce", line.partition("=")[2])
            continue
        if not words or words[0] in (names[0], "!"):
            continue
        if len(words) != len(names):
            raise ProfileError(f"{path}: line {count} has {len(words)} columns; accepted: {len(names)}")
        rows.append(
            [number(path, count, name, word) for name, word in zip(names, words, strict=True) if name not in _WORDS]
        )
    if not rows:
        raise ProfileError(f"{path}: no rows of numbers; accepted: {len(names)} columns")
    held = dict(zip([name for name in names if name not in _WORDS], np.array(rows)[::-1].T.copy(), strict=True))
    # numbers of zones fall by one from line to line: a gap is a lost line
    if not (np.diff(held[names[0]]) == 1.0).all() or held[names[0]][0] > 2.0:
        raise ProfileError(
            f"{path}: zones {held[names[0]][0]:g} to {held[names[0]][-1]:g} with gaps; accepted: from 1 or 2"
        )
    require_increasing(path, "r", held["r"], 1)
    faces = np.append(0.0, held["r"])

    def read(_: int, name: str) -> Any:
        return held[name].reshape(1, 1, -1)

    return HostFile(
        path,
        NAME,
        "CHIMERA",
        "spherical",
        [BlockPlace((faces, whole_axis("spherical", 1), whole_axis("spherical", 2)))],
        tuple(held),
        read,
        FieldMap(dict(_FIELDS), CGS),
        fixed_length=True,
        resolved=(0,),
        time=time,
        notes=("time is after bounce", "radii have four digits"),
        attributes={"rest mass of the listing [solar masses]": float(held["restmass"][-1])},
    )
