"""A fluid code's snapshot as what runs begin with: a spherical star, or matter on one block."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import GEOMETRIES, BlockMesh
from ..errors import MisciError, ProfileError
from ..fluid import Fluid
from ..profile import Profile, checked
from ..snapshot import BlockSnapshot
from .units import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .record import HostFile

NEEDED = ("mass_density", "temperature", "electron_fraction")
_COMPOSITION = (
    "neutron_fraction",
    "proton_fraction",
    "alpha_fraction",
    "heavy_fraction",
    "heavy_mass_number",
    "heavy_charge_number",
)
#: Neighbouring cells of a star may miss each other by this part of the radius: single precision.
_GAP = 1.0e-6


def profile_of(host: HostFile) -> Profile:
    """The star in a file of one spherical dimension, from all its cells that count; at rest without a velocity.

    Raises
    ------
    ProfileError
        If it has another geometry, density, temperature or electron fraction are missing or of unknown unit, or the
        cells leave gaps.
    UnphysicalInputError
        A value outside its physical range.
    """
    if host.profile is not None and host.map == host.own_map:
        profile: Profile = host.profile()
        return profile
    _require_volume(host)
    if host.geometry != "spherical" or set(host.resolved) - {0}:
        raise ProfileError(
            f"{host.path}: {host.geometry}, {len(host.resolved)} axes resolved; accepted as a profile: spherical "
            "along r alone (use it as a [snapshot])"
        )
    host.require(NEEDED)
    assert host.length is not None
    leaves = [(block, _counted(host, block)) for block in range(len(host.blocks))]
    faces = [host.blocks[block].faces[0] * host.length for block, _ in leaves]
    low = np.concatenate([face[:-1][counts] for face, (_, counts) in zip(faces, leaves, strict=True)])
    high = np.concatenate([face[1:][counts] for face, (_, counts) in zip(faces, leaves, strict=True)])
    order = np.argsort(low, kind="stable")
    low, high = low[order], high[order]
    apart = np.abs(low[1:] - high[:-1]) > _GAP * high[:-1]
    if apart.any():
        cell = int(np.argmax(apart))
        raise ProfileError(
            f"{host.path}: a cell ends at {high[cell]:.8g} cm, the next one begins at {low[cell + 1]:.8g} cm; "
            "accepted: cells without gaps"
        )

    def star(name: str) -> Any:
        parts = [host.field(block, name)[..., 0, 0, :][..., counts] for block, counts in leaves if counts.any()]
        return np.concatenate(parts, axis=-1)[..., order]

    matter = _matter(host, star)
    velocity = matter.pop("velocity", None)
    notes = host.notes
    if velocity is None:
        velocity = np.zeros((1, low.size))
        notes = (*notes, "the file has no velocity: matter is at rest")
    lapse, factor = (star(name) if host.source(name) is not None else None for name in ("lapse", "volume_factor"))
    profile = Profile(
        faces=np.append(low, high[-1]),
        fluid=Fluid(**matter, velocity=velocity[0]),
        time=_seconds(host),
        citation=host.citation,
        title=f"{host.code}, {host.path.name}",
        notes=notes,
        lapse=lapse,
        metric_gamma=None if factor is None else 1.0 / factor,
    )
    return checked(profile, host.path)


def snapshot_of(host: HostFile) -> BlockSnapshot:
    """The matter of a file with one block of cells that count; at rest without a velocity.

    Raises
    ------
    ProfileError
        If there are several blocks, the geometry is cylindrical, or fields are missing or of unknown unit.
    UnphysicalInputError
        A value outside its physical range.
    """
    _require_volume(host)
    blocks = [block for block in range(len(host.blocks)) if _counts_anywhere(host, block)]
    if len(blocks) != 1 or host.blocks[blocks[0]].covered is not None or host.geometry not in GEOMETRIES:
        raise ProfileError(
            f"{host.path}: {len(blocks)} blocks of cells, {host.geometry}; accepted as a snapshot: one block, "
            f"{' or '.join(GEOMETRIES)}"
        )
    host.require(NEEDED)
    (block,) = blocks
    faces = list(host.blocks[block].faces)
    assert host.length is not None
    for axis in range(1 if host.geometry == "spherical" else 3):
        faces[axis] = faces[axis] * host.length
    matter = _matter(host, lambda name: host.field(block, name))
    velocity = matter.pop("velocity", np.zeros((3, *host.blocks[block].shape)))
    cells = {name: values.reshape(-1) for name, values in matter.items()}
    try:
        snapshot = BlockSnapshot(
            BlockMesh(host.geometry, (faces[0], faces[1], faces[2])),
            Fluid(**cells, velocity=velocity.reshape(3, -1).T),
            time=_seconds(host),
            title=f"{host.code}, {host.path.name}",
            citation=host.citation,
        )
        snapshot.validate()
    except MisciError as error:
        raise type(error)(f"{host.path}: {error}") from None
    return snapshot


def _require_volume(host: HostFile) -> None:
    if host.extent != "volume":
        what = {"line": "a line", "points": "a set of points"}[host.extent]
        raise ProfileError(f"{host.path}: {what}, without a volume; accepted: cells of a star")


def _counts_anywhere(host: HostFile, block: int) -> bool:
    covered = host.blocks[block].covered
    return covered is None or not covered.all()


def _counted(host: HostFile, block: int) -> NDArray[np.bool_]:
    """Cells along axis 0 that no finer block covers."""
    place = host.blocks[block]
    return np.ones(place.shape[2], dtype=bool) if place.covered is None else ~place.covered[0, 0]


def _matter(host: HostFile, values: Callable[[str], Any]) -> dict[str, Any]:
    """Fields of a fluid that the file has, in our units; a composition only if it is whole."""
    found = {}
    whole = all(host.source(name) is not None for name in _COMPOSITION)
    for field in fields(Fluid):
        name = field.name
        if name not in FIELDS or host.source(name) is None or (name in _COMPOSITION and not whole):
            continue
        if host.unit(name) == FIELDS[name][0]:
            found[name] = values(name)
        elif name == "velocity":
            host.require([name])
    return found


def _seconds(host: HostFile) -> float | None:
    return host.time if host.time_unit == "s" else None
