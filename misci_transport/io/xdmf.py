"""XDMF beside an output file, so that visualisation programs open it as a line or a box of cells."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from ..block_mesh import AXES

if TYPE_CHECKING:
    from .read import Reader

_SPECIES = ("nu", "nubar")
_FLAVORS = ("e", "mu", "tau")
_SMALL = {"species": _SPECIES, "flavor": _FLAVORS}


def write_xdmf(reader: Reader) -> Path:
    """Write NAME.xdmf beside NAME.h5: fields on cells and faces, by species and flavour. Not collective.

    Fields with further axes (energy groups, directions) are left out: they are not scalars on a mesh. Spherical blocks
    are boxes in (r, theta, phi).
    """
    path = reader.path.with_suffix(".xdmf")
    names = [name for names in AXES.values() for name in names if f"mesh/{name}_face" in reader]
    if names:
        mesh = [f"mesh/{name}_face" for name in names]
        sizes = [reader.shape(key)[0] for key in mesh]
        coordinates = [_whole(reader, key) for key in mesh]
    else:
        sizes = [reader.shape("mesh/face")[0], 1, 1]
        coordinates = [_whole(reader, "mesh/face"), *['<DataItem Dimensions="1" Format="XML">0</DataItem>'] * 2]
    lines = [
        '<?xml version="1.0"?>',
        '<Xdmf Version="3.0">',
        "<Domain>",
        '<Grid Name="star" GridType="Uniform">',
        f'<Time Value="{float(reader.attributes.get("time", 0.0))!r}"/>',
        f'<Topology TopologyType="3DRectMesh" Dimensions="{" ".join(str(n) for n in reversed(sizes))}"/>',
        '<Geometry GeometryType="VXVYVZ">',
        *coordinates,
        "</Geometry>",
    ]
    small = {**_SMALL, "axis": tuple(names)}
    for name in reader.names:
        about = reader.describe(name)
        axes = about.get("axes", "").split()
        placement = about.get("placement")
        space = 3 if names and placement == "cell" else 1
        if placement not in ("cell", "face") or not set(axes[space:]) <= set(small):
            continue
        center = "Cell" if placement == "cell" else "Node"
        shape = reader.shape(name)
        for index in product(*(range(n) for n in shape[space:])):
            words = "_".join(small[axis][i] for axis, i in zip(axes[space:], index, strict=True))
            label = f"{name} {words} [{about['unit']}]".replace("  ", " ")
            lines.append(f'<Attribute Name={quoteattr(label)} AttributeType="Scalar" Center="{center}">')
            lines.append(_whole(reader, name) if not index else _part(reader, name, shape, index))
            lines.append("</Attribute>")
    lines += ["</Grid>", "</Domain>", "</Xdmf>", ""]
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text("\n".join(lines), encoding="utf-8")
    os.replace(partial, path)
    return path


def _whole(reader: Reader, name: str) -> str:
    dimensions = " ".join(str(n) for n in reader.shape(name))
    dtype = reader.array(name, slice(0, 1)).dtype
    kind = "Float" if dtype.kind == "f" else "Int"
    head = f'<DataItem Dimensions="{dimensions}" NumberType="{kind}" Precision="{dtype.itemsize}" Format="HDF">'
    return f"{head}{reader.path.name}:/{name}</DataItem>"


def _part(reader: Reader, name: str, shape: tuple[int, ...], index: tuple[int, ...]) -> str:
    space = shape[: len(shape) - len(index)]
    start = " ".join(str(n) for n in (*[0] * len(space), *index))
    stride = " ".join(["1"] * len(shape))
    count = " ".join(str(n) for n in (*space, *([1] * len(index))))
    slab = f'<DataItem Dimensions="3 {len(shape)}" Format="XML">{start} {stride} {count}</DataItem>'
    cells = " ".join(str(n) for n in space)
    return f'<DataItem ItemType="HyperSlab" Dimensions="{cells}">{slab}{_whole(reader, name)}</DataItem>'
