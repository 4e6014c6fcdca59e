"""What is in a fluid code's snapshot, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..constants import SOLAR_MASS
from .record import AXES
from .units import CODE

if TYPE_CHECKING:
    from .record import HostFile

#: Fields without which neutrinos cannot be transported.
NEEDED = ("mass_density", "temperature", "electron_fraction")


def describe_host(host: HostFile) -> dict[str, Any]:
    """Format, geometry, blocks, time, fields with ranges, total mass, and what is missing; reads every block once."""
    leaves = [n for n, place in enumerate(host.blocks) if place.covered is None or not place.covered.all()]
    levels = sorted({place.level for place in host.blocks})
    low = [min(float(place.faces[axis][0]) for place in host.blocks) for axis in range(3)]
    high = [max(float(place.faces[axis][-1]) for place in host.blocks) for axis in range(3)]
    length = CODE if host.length is None else "cm"
    scale = 1.0 if host.length is None else host.length
    extents = {}
    for axis, name in enumerate(AXES[host.geometry]):
        angle = (host.geometry == "spherical" and axis > 0) or (host.geometry == "cylindrical" and axis == 2)
        unit, factor = ("rad", 1.0) if angle else (length, scale)
        extents[f"{name} [{unit}]"] = {
            "from": low[axis] * factor,
            "to": high[axis] * factor,
            "resolved": axis in host.resolved,
        }
    counted = sum(place.cells if place.covered is None else int((~place.covered).sum()) for place in host.blocks)
    if host.extent == "points":
        extents = {}
    elif host.extent == "line":
        # the distance along it is axis 0, whatever the geometry
        extents = {f"distance [{length}]": next(iter(extents.values()))}
    description: dict[str, Any] = {
        "format": host.format,
        "code": host.code,
        "geometry": host.geometry if host.extent == "volume" else f"a {host.extent}".replace("a points", "points"),
        "extents": extents,
        "blocks": len(host.blocks),
        "leaf blocks": len(leaves),
        "cells": counted,
        "levels": {"coarsest": levels[0], "finest": levels[-1]},
        f"time [{host.time_unit}]": host.time,
        "fields": _fields(host),
        "neutrino moments": _moments(host),
        "other variables": [name for name in host.variables if name not in _used(host)],
        "missing": [name for name in NEEDED if host.source(name) is None],
        "units not known": _unknown(host),
        "total_mass": host.total_mass(),
        "total_mass_unit": host.mass_unit,
    }
    if host.mass_unit == "g" and description["total_mass"] is not None:
        description["total mass [solar masses]"] = description["total_mass"] / SOLAR_MASS
    description |= {"notes": list(host.notes), "citation": host.citation, **host.attributes}
    return description


def _unknown(host: HostFile) -> list[str]:
    lengths = ["length"] if host.length is None else []
    return lengths + [name for name in host.present if host.unit(name) == CODE]


def _used(host: HostFile) -> set[str]:
    used: set[str] = set()
    for name in host.present:
        source = host.source(name)
        assert source is not None
        used |= {*source.names, *([source.divide_by] if source.divide_by else [])}
    return used


def _fields(host: HostFile) -> dict[str, Any]:
    """Ranges over the cells that count."""
    found: dict[str, Any] = {}
    for name in host.present:
        low, high = np.inf, -np.inf
        for block, place in enumerate(host.blocks):
            if place.covered is not None and place.covered.all():
                continue
            values = host.field(block, name)
            if place.covered is not None:
                values = values[..., ~place.covered]
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
        source = host.source(name)
        assert source is not None
        origin = "given by the map" if source.value is not None else ", ".join(source.names)
        found[name] = {"unit": host.unit(name), "minimum": low, "maximum": high, "from": origin}
    return found


def _moments(host: HostFile) -> dict[str, Any]:
    moments = host.moments(0)
    if moments is None:
        return {}
    about: dict[str, Any] = {
        "species": list(moments.species),
        "flavours of each": list(moments.flavors_each),
        "groups": int(moments.energy.shape[1]),
        "frame": moments.frame,
        "kind": moments.kind,
        "flux": moments.flux is not None,
    }
    if moments.group_edges is not None:
        about["group edges [MeV]"] = [float(edge) for edge in moments.group_edges]
    return about
