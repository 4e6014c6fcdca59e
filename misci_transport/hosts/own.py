"""Profiles and block snapshots of this project as host files, so that one description and one mapping serve all."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..fluid import Fluid
from .mapping import FieldMap, FieldSource
from .record import BlockPlace, HostFile, whole_axis
from .units import CGS, FIELDS

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from ..profile import Profile
    from ..snapshot import BlockSnapshot


def _own_map(names: list[str]) -> FieldMap:
    """Every field is its own variable, in our unit; velocities have three."""
    own = {name: FieldSource((name,), FIELDS[name][0]) for name in names if name in FIELDS}
    if "velocity" in own:
        found = tuple(name for name in ("velocity", "velocity_1", "velocity_2") if name in names)
        own["velocity"] = FieldSource(found, FIELDS["velocity"][0])
    return FieldMap(own, CGS)


def host_of_profile(profile: Profile, path: str | os.PathLike[str], form: str = "profile", code: str = "") -> HostFile:
    """A spherical star as one block."""
    held: dict[str, NDArray[np.float64]] = {}
    for field in fields(Fluid):
        value = getattr(profile.fluid, field.name)
        if value is not None:
            held[field.name] = value
    if profile.lapse is not None:
        held["lapse"] = profile.lapse
    if profile.metric_gamma is not None:
        held["volume_factor"] = 1.0 / profile.metric_gamma
    place = BlockPlace((profile.faces, whole_axis("spherical", 1), whole_axis("spherical", 2)))
    return HostFile(
        Path(path),
        form,
        code or profile.title or "a table",
        "spherical",
        [place],
        tuple(held),
        lambda _, name: held[name].reshape(1, 1, -1),
        _own_map(list(held)),
        fixed_length=True,
        resolved=(0,),
        time=profile.time,
        notes=tuple(profile.notes),
        citation=str(profile.citation),
        attributes={"title": profile.title} if code and profile.title else {},
        profile=lambda: profile,
    )


def host_of_snapshot(snapshot: BlockSnapshot, path: str | os.PathLike[str], form: str, code: str = "") -> HostFile:
    """A block snapshot as one block."""
    mesh = snapshot.mesh
    shape = mesh.shape[::-1]
    held: dict[str, NDArray[np.float64]] = {}
    for field in fields(Fluid):
        value: Any = getattr(snapshot.fluid, field.name)
        if value is None:
            continue
        if field.name == "velocity":
            for axis in range(3):
                held["velocity" if axis == 0 else f"velocity_{axis}"] = value[:, axis]
        else:
            held[field.name] = value
    return HostFile(
        Path(path),
        form,
        code or snapshot.title or "a snapshot",
        mesh.geometry,
        [BlockPlace(mesh.faces)],
        tuple(held),
        lambda _, name: np.ascontiguousarray(held[name]).reshape(shape),
        _own_map(list(held)),
        fixed_length=True,
        resolved=mesh.resolved,
        time=snapshot.time,
        citation=snapshot.citation,
        attributes={"title": snapshot.title} if code and snapshot.title else {},
    )
