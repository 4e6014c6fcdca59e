"""XDMF beside an output file, so that visualisation programs open it as a line of cells."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from .read import Reader

_SPECIES = ("nu", "nubar")
_FLAVORS = ("e", "mu", "tau")
_SMALL = {"species": _SPECIES, "flavor": _FLAVORS}


def write_xdmf(reader: Reader) -> Path:
    """Write NAME.xdmf beside NAME.h5: fields on cells and faces, by species and flavour. Not collective.

    Fields with further axes (energy groups, directions) are left out: they are not scalars on a mesh.
    """
    path = reader.path.with_suffix(".xdmf")
    faces = reader.shape("mesh/face")[0]
    lines = [
        '<?xml version="1.0"?>',
        '<Xdmf Version="3.0">',
        "<Domain>",
        '<Grid Name="star" GridType="Uniform">',
        f'<Time Value="{float(reader.attributes.get("time", 0.0))!r}"/>',
        f'<Topology TopologyType="3DRectMesh" Dimensions="1 1 {faces}"/>',
        '<Geometry GeometryType="VXVYVZ">',
        _whole(reader, "mesh/face"),
        '<DataItem Dimensions="1" Format="XML">0</DataItem>',
        '<DataItem Dimensions="1" Format="XML">0</DataItem>',
        "</Geometry>",
    ]
    for name in reader.names:
        about = reader.describe(name)
        axes = about.get("axes", "").split()
        if about.get("placement") not in ("cell", "face") or not set(axes[1:]) <= set(_SMALL):
            continue
        center = "Cell" if about["placement"] == "cell" else "Node"
        shape = reader.shape(name)
        for index in product(*(range(n) for n in shape[1:])):
            words = "_".join(_SMALL[axis][i] for axis, i in zip(axes[1:], index, strict=True))
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
    start = " ".join(str(n) for n in (0, *index))
    stride = " ".join(["1"] * len(shape))
    count = " ".join(str(n) for n in (shape[0], *([1] * len(index))))
    slab = f'<DataItem Dimensions="3 {len(shape)}" Format="XML">{start} {stride} {count}</DataItem>'
    return f'<DataItem ItemType="HyperSlab" Dimensions="{shape[0]}">{slab}{_whole(reader, name)}</DataItem>'
