"""What is in a file: outputs, checkpoints, profiles, tables, and snapshots of fluid codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import OutputError
from .hdf5 import import_h5py, is_hdf5
from .hosts.describe import describe_host
from .hosts.own import host_of_profile, host_of_snapshot
from .hosts.registry import adapter_names, check_hdf5, find_adapter, open_host
from .io.read import kind_of, open_output
from .io.snapshots import SnapshotFile
from .profile import Profile, describe, is_table

if TYPE_CHECKING:
    import os

    from .hosts.mapping import UserMap
    from .hosts.record import HostFile

#: Datasets that make an HDF5 file an equation of state in the layout of stellarcollapse.org, and their units.
_EOS_AXES = {"logrho": "log10 g/cm^3", "logtemp": "log10 MeV", "ye": "1"}
_EOS = {
    "logpress": "log10 dyn/cm^2",
    "logenergy": "log10 erg/g, after energy_shift is added",
    "entropy": "k_B/baryon",
    "mu_e": "MeV",
    "mu_n": "MeV",
    "mu_p": "MeV",
    "muhat": "MeV",
    "munu": "MeV",
    **dict.fromkeys(("Xa", "Xh", "Xn", "Xp", "Abar", "Zbar"), "1"),
}
#: Datasets that make an HDF5 file a NuLib table.
_NULIB = ("neutrino_energies", "emissivities", "absorption_opacity", "rho_points", "temp_points", "ye_points")


def describe_file(path: str | os.PathLike[str], user: UserMap | None = None) -> dict[str, Any]:
    """Describe a file, or a directory that is a snapshot, as a nested dict of plain values.

    ``user`` names fields and units of a fluid code's snapshot that its format does not know.

    Raises
    ------
    OutputError
        No such file, or no reader knows it (the message lists what is known); or an output file is damaged.
    ProfileError, UnphysicalInputError
        It is a profile or a snapshot with a defect.
    ConfigurationError
        The map does not fit.
    """
    path = Path(path)
    if not path.exists():
        raise OutputError(f"{path}: no such file")
    named = None if user is None else user.file.get("format")
    if named is not None or find_adapter(path) is not None:
        return {"file": str(path), **describe_host(open_host(path, user))}
    if path.is_dir():
        found = sorted(entry.name for entry in path.iterdir() if entry.suffix == ".h5")
        hint = f"; it contains {', '.join(found)}" if found else ""
        raise OutputError(f"{path}: a directory; accepted: a file, or an AMReX plot file{hint}")
    if is_hdf5(path):
        table = _nulib(path) or _stellarcollapse(path)
        if table is not None:
            return {"file": str(path), **table}
    host = _own_matter(path)
    if host is not None:
        if user is not None:
            host.map = host.own_map.with_user(user)
        known = describe_host(host)
        more = describe(host.profile()) if host.profile is not None else {}
        return {"file": str(path), **known, **{key: value for key, value in more.items() if key in ("title", "joint")}}
    if is_hdf5(path):
        check_hdf5(path)
        return {"file": str(path), **_own(path)}
    tables = ("output", "checkpoint", "profile table", "snapshot", "NuLib table", "stellarcollapse table")
    known_formats = ", ".join([*tables, *adapter_names()])
    raise OutputError(f"{path}: format not recognized; accepted: {known_formats}")


def _own_matter(path: Path) -> HostFile | None:
    """Profiles and block snapshots of this project."""
    if is_table(path):
        return host_of_profile(Profile.read_table(path), path, "profile table")
    if is_hdf5(path) and kind_of(path) == "snapshot":
        return host_of_snapshot(SnapshotFile(path).whole(), path, "misci_transport snapshot")
    return None


def to_text(description: dict[str, Any], indent: int = 0) -> str:
    """A description for people."""
    lines = []
    for key, value in description.items():
        pad = "  " * indent
        if key == "fields" and any("shape" in entry for entry in value.values()):
            lines += [f"{pad}fields:", *(f"{pad}  {_one_line(name, entry)}" for name, entry in value.items())]
        elif key == "fields":
            lines += [f"{pad}fields:", *(f"{pad}  {_range(name, entry)}" for name, entry in value.items())]
        elif key == "extents":
            lines += [f"{pad}extents:", *(f"{pad}  {_extent(name, entry)}" for name, entry in value.items())]
        elif isinstance(value, dict) and value:
            lines += [f"{pad}{key}:", to_text(value, indent + 1)]
        elif isinstance(value, list) and value:
            lines += [f"{pad}{key}:", *(f"{pad}  {item}" for item in value)]
        elif isinstance(value, str) and "\n" in value:
            lines += [f"{pad}{key}:", *(f"{pad}  {line}" for line in value.splitlines())]
        elif value not in (None, "", [], {}):
            lines.append(f"{pad}{key}: {value:.6g}" if isinstance(value, float) else f"{pad}{key}: {value}")
    return "\n".join(line for line in lines if line)


def _range(name: str, entry: dict[str, Any]) -> str:
    unit = "" if entry["unit"] == "1" else f" [{entry['unit']}]"
    return f"{name}{unit}: {entry['minimum']:.6g} to {entry['maximum']:.6g} ({entry['from']})"


def _extent(name: str, entry: dict[str, Any]) -> str:
    return f"{name}: {entry['from']:.6g} to {entry['to']:.6g}{'' if entry['resolved'] else ', not resolved'}"


def _one_line(name: str, entry: dict[str, Any]) -> str:
    shape = " x ".join(str(n) for n in entry["shape"]) or "scalar"
    if "value" in entry:
        limits = f"{entry['value']:.6g}"
    else:
        limits = f"{entry['minimum']:.4g} to {entry['maximum']:.4g}" if "minimum" in entry else "no finite value"
    unit = "" if entry["unit"] == "1" else entry["unit"]
    return f"{name:38s} {shape:22s} {limits} {unit}".rstrip()


def _own(path: Path) -> dict[str, Any]:
    with open_output(path) as reader:
        attributes = dict(reader.attributes)
        configuration = attributes.pop("configuration", "")
        fields = {}
        for name in reader.names:
            about = reader.describe(name)
            values = reader.array(name)
            finite = values[np.isfinite(values)] if values.ndim else values
            entry: dict[str, Any] = {"axes": about.get("axes", ""), "shape": list(values.shape)}
            entry["unit"] = about.get("unit", "")
            if values.ndim == 0:
                entry["value"] = float(values)
            elif finite.size:
                entry |= {"minimum": float(finite.min()), "maximum": float(finite.max())}
                entry["not a number"] = int(values.size - finite.size)
            entry["description"] = about.get("description", "")
            fields[name] = entry
    form = f"{attributes.pop('format')} {attributes.pop('kind')}"
    return {"format": form, **attributes, "fields": fields, "configuration": configuration}


def _stellarcollapse(path: Path) -> dict[str, Any] | None:
    """Axes and ranges of an equation of state; None if it is none."""
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            if not all(name in file for name in (*_EOS_AXES, "logpress", "logenergy")):
                return None
            axes = {
                f"{name} [{unit}]": {
                    "points": int(file[name].size),
                    "minimum": float(np.min(file[name][()])),
                    "maximum": float(np.max(file[name][()])),
                }
                for name, unit in _EOS_AXES.items()
            }
            shape = tuple(int(file[name].size) for name in ("ye", "logtemp", "logrho"))
            quantities, missing = {}, []
            for name, unit in _EOS.items():
                if name not in file:
                    missing.append(name)
                    continue
                values = file[name][()]
                if values.shape != shape:
                    raise OutputError(f"{path}: {name} has shape {values.shape}; accepted: {shape}, (ye, T, density)")
                wrong = int((~np.isfinite(values)).sum())
                good = values[np.isfinite(values)]
                entry: dict[str, Any] = {"unit": unit}
                if good.size:
                    entry |= {"minimum": float(good.min()), "maximum": float(good.max())}
                quantities[name] = entry | ({"not a number": wrong} if wrong else {})
            shift = float(np.ravel(file["energy_shift"][()])[0]) if "energy_shift" in file else None
    except (OSError, RuntimeError, ValueError) as error:
        raise OutputError(f"{path}: truncated or damaged: {error}") from None
    notes = []
    if "muhat" in quantities:
        notes.append("muhat = mu_n - mu_p; whether rest masses are in them differs from table to table")
    return {
        "format": "stellarcollapse table",
        "axes": axes,
        "quantities": quantities,
        "energy_shift [erg/g]": shift,
        "missing": missing,
        "notes": notes,
    }


def _nulib(path: Path) -> dict[str, Any] | None:
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            if not all(name in file for name in _NULIB):
                return None
            axes = {
                name: {
                    "points": int(file[name].size),
                    "minimum": float(file[name][0]),
                    "maximum": float(file[name][-1]),
                }
                for name in ("rho_points", "temp_points", "ye_points", "neutrino_energies")
            }
            groups, species = file["emissivities"].shape[:2]
            kernels = [name for name in ("inelastic_phi0", "epannihil_phi0") if name in file]
    except OSError as error:
        raise OutputError(f"{path}: truncated or damaged: {error}") from None
    return {
        "format": "NuLib table",
        "species": int(species),
        "groups": int(groups),
        "axes [g/cm^3, MeV, 1, MeV]": axes,
        "kernels": kernels,
    }
