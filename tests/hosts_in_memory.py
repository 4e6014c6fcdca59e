"""Hosts that need no file: blocks at several levels with given fields, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, cover
from misci_transport.hosts.units import CGS, FIELDS


def uniform(low, high, cells, level=0):
    """A block with equal cells along each axis."""
    faces = [np.linspace(a, b, n + 1) for a, b, n in zip(low, high, cells, strict=True)]
    return BlockPlace((faces[0], faces[1], faces[2]), level)


def host(geometry, places, functions, resolved=(0, 1, 2), name="memory"):
    """A host file whose variables are functions of the three coordinates of cells' midpoints."""
    places = cover(places)

    def read(block, variable):
        middles = [0.5 * (face[1:] + face[:-1]) for face in places[block].faces]
        z, y, x = np.meshgrid(middles[2], middles[1], middles[0], indexing="ij")
        return np.asarray(functions[variable](x, y, z) + 0.0 * x)

    fields = {n: FieldSource((n,), FIELDS[n][0]) for n in functions if n in FIELDS}
    if "v0" in functions:
        fields["velocity"] = FieldSource(("v0", "v1", "v2"), "cm/s")
    return HostFile(
        Path(name),
        "memory",
        "tests",
        geometry,
        places,
        tuple(functions),
        read,
        FieldMap(fields, CGS),
        resolved=resolved,
    )


def two_levels(low=(-1.0, -1.0, -1.0), high=(1.0, 1.0, 1.0), cells=8):
    """Eight Cartesian blocks, and finer ones over the first of them, which stays in the list as a parent."""
    low, high = np.array(low), np.array(high)
    middle = 0.5 * (low + high)
    places = []
    for k in range(2):
        for j in range(2):
            for i in range(2):
                side = np.array([i, j, k])
                a, b = np.where(side == 0, low, middle), np.where(side == 0, middle, high)
                places.append(uniform(a, b, (cells,) * 3))
    for k in range(2):
        side = np.array([0, 0, k])
        a = np.where(side == 0, low, 0.5 * (low + middle))
        b = np.array([middle[0], middle[1], (0.5 * (low + middle))[2] if k == 0 else middle[2]])
        places.append(uniform([low[0], low[1], a[2]], b, (2 * cells, 2 * cells, cells), 1))
    return places
