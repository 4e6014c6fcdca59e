"""Machine-readable tables of Liebendoerfer, Rampp, Janka and Mezzacappa (ApJ 620, 840, 2005).

Each file carries a byte-by-byte description of its columns, which this reader follows. "h" files hold the matter,
"r" files the neutrinos, "t" files time series. Two codes wrote them, with different habits:

* Agile-Boltztran: ``Rad`` and ``EMass`` are at the middle of a zone in mass. With the proper volume element
  4 pi r^2 dr / Gamma, the faces from the cumulated sum of ZMass Gamma / Den put every ``Rad`` at the middle of its
  zone in volume, to 4e-4. Without Gamma they drift by several per cent.
* Vertex: ``Rad`` is the arithmetic mean of the zone's faces and ``EMass`` is at the outer one; the volume element is
  flat. The r file gives the middle of the zone in volume, on fewer zones, and both files end in rows of zeros.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.fluid import Fluid
from misci_transport.hosts.own import host_of_profile
from misci_transport.profile import Profile, checked

from .text_columns import head, number, read_lines, require_increasing

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from misci_transport.hosts.mapping import UserMap
    from misci_transport.hosts.record import HostFile

NAME = "liebendoerfer2005"
CITATION = "M. Liebendoerfer, M. Rampp, H.-Th. Janka, A. Mezzacappa, Astrophys. J. 620, 840 (2005)"

_MATTER = ("ZMass", "Rad", "Vel", "Den", "Temp", "Ye", "Xn", "Xp", "Xa", "Xh", "A", "Z", "qE", "qY", "1-alp", "1-Gam")
_SUFFIX = {"nu_e": "nue", "nubar_e": "nuebar", "nu_x": "num", "nubar_x": "numbar"}
_PREFIX = {"rms_energy": "E", "luminosity": "L", "flux_factor": "f", "number_fraction": "Y"}


@dataclass
class _Table:
    """One file: the text of its title block, and its columns by label."""

    code: str
    kind: str
    model: str
    time: float | None  #: s after bounce
    columns: dict[str, NDArray[np.float64]]
    first_line: int


def sniff(path: str | os.PathLike[str]) -> bool:
    """Whether this is one of the h files."""
    lines = head(Path(path), 8)
    return len(lines) == 8 and "Boltzmann Neutrino Transport" in lines[0] and "hydrodynamics" in lines[3]


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """The star as one block: see `read`."""
    profile = read(path)
    return host_of_profile(profile, path, NAME, profile.title.partition(",")[0])


def read(path: str | os.PathLike[str]) -> Profile:
    """Read an h file, with the r file of the same instant where it lies beside it."""
    path = Path(path)
    partner = path.with_name(re.sub(r"h(?=[+-]\d+\.)", "r", path.name))
    return read_profile(path, partner if partner != path and partner.is_file() else None)


def read_profile(h_path: str | os.PathLike[str], r_path: str | os.PathLike[str] | None = None) -> Profile:
    """Read the matter, and the published neutrino results from the r file.

    Raises
    ------
    ProfileError
        Not such a file, a column missing, a truncated line, NaN, radii that do not increase or do not lie between
        the faces that follow from the masses: the message names file and line or column.
    """
    path = Path(h_path)
    source = _read_file(path)
    if source.kind != "hydrodynamics":
        raise ProfileError(f"{path}: this table holds {source.kind} data; accepted: hydrodynamics (the h file)")
    _require(path, source, _MATTER)
    column = source.columns
    curved = source.code == "Agile-Boltztran"
    gamma = 1.0 - column["1-Gam"]
    volume = column["ZMass"] / column["Den"] * (gamma if curved else 1.0)
    faces = np.cbrt(np.append(0.0, np.cumsum(volume)) * 0.75 / np.pi)
    between = (faces[:-1] < column["Rad"]) & (column["Rad"] < faces[1:])
    if not between.all():
        row = int(np.argmin(between))
        raise ProfileError(
            f"{path}: line {source.first_line + row}: column 'Rad' is {float(column['Rad'][row])!r}; "
            f"columns 'ZMass' and 'Den' put the zone at [{faces[row]:.6g}, {faces[row + 1]:.6g}] cm"
        )
    fluid = Fluid(
        mass_density=column["Den"],
        temperature=column["Temp"],
        electron_fraction=column["Ye"],
        velocity=column["Vel"],
        neutron_fraction=_fraction(column["Xn"]),
        proton_fraction=_fraction(column["Xp"]),
        alpha_fraction=_fraction(column["Xa"]),
        heavy_fraction=_fraction(column["Xh"]),
        heavy_mass_number=column["A"],
        heavy_charge_number=column["Z"],
    )
    profile = Profile(
        faces=faces,
        fluid=fluid,
        time=source.time,
        citation=CITATION,
        title=f"{source.code}, model {source.model}",
        # Vertex has a flat volume element, so a Gamma there would spoil its masses.
        metric_gamma=gamma if curved else None,
        lapse=1.0 - column["1-alp"],
    )
    checked(profile, path)
    if r_path is not None:
        profile.reference = _reference(Path(r_path))
        profile.reference.update(heating_radius=column["Rad"], energy_rate=column["qE"], lepton_rate=column["qY"])
    return profile


def read_time_series(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float64]]:
    """Columns of a t file by their published labels and units, but Time is in s: the header's "ms" is wrong."""
    source = _read_file(Path(path))
    if source.kind != "time dependent":
        raise ProfileError(f"{path}: this table holds {source.kind} data; accepted: time dependent (the t file)")
    return source.columns


def _reference(path: Path) -> dict[str, Any]:
    source = _read_file(path)
    if source.kind != "radiation":
        raise ProfileError(f"{path}: this table holds {source.kind} data; accepted: radiation (the r file)")
    _require(path, source, ["Rad", *(p + s for p in _PREFIX.values() for s in _SUFFIX.values())])
    reference: dict[str, Any] = {
        "citation": CITATION,
        "title": f"{source.code}, model {source.model}",
        "radius": source.columns["Rad"],
    }
    for quantity, prefix in _PREFIX.items():
        reference[quantity] = {species: source.columns[prefix + suffix] for species, suffix in _SUFFIX.items()}
    return reference


def _require(path: Path, source: _Table, labels: tuple[str, ...] | list[str]) -> None:
    for label in labels:
        if label not in source.columns:
            raise ProfileError(f"{path}: column {label!r} is missing; found {', '.join(source.columns)}")
    require_increasing(path, "Rad", source.columns["Rad"], source.first_line)


def _fraction(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Round-off of the published numbers reaches -4e-25; anything larger is left for the validation to reject.
    return np.where((values < 0.0) & (values > -1e-12), 0.0, values)


def _read_file(path: Path) -> _Table:
    lines = read_lines(path)
    title = " ".join(lines[:6])
    code = "Agile-Boltztran" if "Agile-Boltztran" in title else "Vertex" if "Vertex" in title else ""
    found = re.search(r"(hydrodynamics|radiation|time dependent)\s+data for model (\w+)", title)
    if not code or not found:
        raise ProfileError(f"{path}: line 4 does not name a table of Liebendoerfer et al. (2005)")
    time = re.search(r"post bounce time of\s+([-+\d.]+) ms", title)
    rules = [index for index, line in enumerate(lines) if line.startswith("----------")]
    if len(rules) < 3:
        raise ProfileError(f"{path}: line {len(lines)}: the byte-by-byte description is truncated")
    layout = []
    for line in lines[rules[1] + 1 : rules[2]]:
        match = re.match(r"\s*(\d+)-\s*(\d+)\s+[IEF][\d.]+\s+\S+\s+(\S+)", line)
        if match:
            layout.append((match[3], int(match[1]) - 1, int(match[2])))
    if not layout:
        raise ProfileError(f"{path}: line {rules[1] + 2}: no columns in the byte-by-byte description")
    rows = []
    first = rules[2] + 2
    for count, line in enumerate(lines[rules[2] + 1 :], start=first):
        if not line.strip():
            continue
        if len(line) < layout[-1][2]:
            short = next(label for label, _, stop in layout if len(line) < stop)
            raise ProfileError(f"{path}: line {count} is truncated in column {short!r}")
        rows.append([number(path, count, label, line[start:stop]) for label, start, stop in layout])
    if not rows:
        raise ProfileError(f"{path}: line {len(lines)}: no rows of numbers; the file is truncated")
    columns = dict(zip([label for label, _, _ in layout], np.array(rows).T.copy(), strict=True))
    if found[1] != "time dependent" and "Rad" in columns:
        # Rows of zeros pad the files of Vertex; a zero in between is an error that the caller reports.
        used = columns["Rad"] != 0.0
        last = int(np.flatnonzero(used)[-1]) + 1 if used.any() else 0
        if last == 0:
            raise ProfileError(f"{path}: column 'Rad' is zero in all rows; accepted: radii greater than 0")
        columns = {label: values[:last] for label, values in columns.items()}
    return _Table(code, found[1], found[2], float(f"{time[1]}e-3") if time else None, columns, first)
