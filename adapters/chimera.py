"""CHIMERA model files (HDF5): spherical coordinates, one file for each slab in phi (``..._01.h5``, ``..._02.h5``).

Groups fluid, mesh, abundance, radiation; the mesh is that of all slabs, and zones beyond ``radial_index_bound`` are
ghosts. cgs and K. Moments psi0 and psi1 are those of the occupation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, NeutrinoMoments, on_axes, whole_axis
from misci_transport.hosts.units import CGS

from .hdf5_source import Hdf5Source, holds

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "chimera"
_FIELDS = {
    "mass_density": FieldSource(("rho_c",)),
    "temperature": FieldSource(("t_c",), "K"),
    "electron_fraction": FieldSource(("ye_c",)),
    "velocity": FieldSource(("u_c", "v_c", "w_c")),
    "pressure": FieldSource(("press",)),
    "entropy": FieldSource(("entropy",), "k_B/baryon"),
    "lapse": FieldSource(("agr_c",)),
    "neutrino_heating": FieldSource(("dudt_nu",)),
}


def sniff(path: Path) -> bool:
    """Whether the file has the groups of a CHIMERA model."""
    return holds(Path(path), ("fluid/rho_c", "mesh/x_ef", "mesh/array_dimensions"))


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """Open a model file, with those of the other slabs in phi where they all lie beside it.

    Raises
    ------
    ProfileError
        If a dataset is missing or damaged, or the slabs are not of one model.
    """
    path = Path(path)
    slabs = [_Slab(Hdf5Source(file)) for file in _files(path)]
    first = slabs[0]
    for slab in slabs[1:]:
        if slab.time != first.time or slab.dimensions != first.dimensions:
            raise ProfileError(
                f"{slab.source.path}: {slab.dimensions} zones at {slab.time!r} s; accepted: as "
                f"{first.source.path.name}, {first.dimensions} at {first.time!r} s"
            )
    source = first.source

    def read(block: int, name: str) -> Any:
        return slabs[block].read(name)

    def moments(block: int) -> NeutrinoMoments:
        psi0, psi1 = (slabs[block].radiation(name) for name in ("psi0_c", "psi1_e"))
        flux = np.zeros((*psi0.shape[3:], 3, *psi0.shape[:3]))
        flux[:, :, 0] = psi1.transpose(3, 4, 0, 1, 2)
        return NeutrinoMoments(
            np.ascontiguousarray(psi0.transpose(3, 4, 0, 1, 2)),
            flux,
            ("nu_e", "nubar_e", "nu_x", "nubar_x"),
            (1, 1, 2, 2),
            "fluid",
            "moments of the occupation; the first one at outer zone edges",
            source.array("radiation/unubi").astype(np.float64),
        )

    notes: tuple[str, ...] = ()
    if len(slabs) < first.count:
        notes = (f"slab {first.number} of {first.count} in phi; the files of the others are not beside it",)
    return HostFile(
        path,
        NAME,
        "CHIMERA",
        "spherical",
        [slab.place() for slab in slabs],
        first.variables,
        read,
        FieldMap(dict(_FIELDS), CGS),
        resolved=tuple(axis for axis, cells in enumerate(first.dimensions) if cells > 1),
        time=first.time,
        read_moments=moments if "psi0_c" in source.file.get("radiation", {}) else None,
        notes=notes,
        attributes={"time of bounce [s]": float(source.array("mesh/t_bounce"))},
    )


def _files(path: Path) -> list[Path]:
    """The files of all slabs in phi: names that differ in the number before the suffix, if all are there."""
    source = Hdf5Source(path)
    count = int(source.array("mesh/nz_hyperslabs")) if "nz_hyperslabs" in source.file["mesh"] else 1
    match = re.fullmatch(r"(.*_)(\d+)", path.stem)
    if count == 1 or match is None:
        return [path]
    digits = len(match[2])
    files = [path.with_name(f"{match[1]}{n:0{digits}d}{path.suffix}") for n in range(1, count + 1)]
    return files if all(file.is_file() for file in files) else [path]


class _Slab:
    """One file: all zones in radius and theta, some in phi. Its mesh is that of all slabs."""

    def __init__(self, source: Hdf5Source) -> None:
        self.source = source
        self.shape = source.shape("fluid/rho_c")
        if len(self.shape) != 3:
            raise ProfileError(f"{source.path}: fluid/rho_c has shape {self.shape}; accepted: (phi, theta, r)")
        mesh = source.file["mesh"]
        self.dimensions = tuple(int(n) for n in source.array("mesh/array_dimensions"))
        self.count = int(source.array("mesh/nz_hyperslabs")) if "nz_hyperslabs" in mesh else 1
        self.number = int(source.array("mesh/my_hyperslab_group")) if "my_hyperslab_group" in mesh else 1
        self.time = float(source.array("mesh/time"))
        first, last = (int(n) for n in source.array("mesh/radial_index_bound"))
        if not 1 <= first <= last <= self.shape[2]:
            raise ProfileError(
                f"{source.path}: mesh/radial_index_bound is {first}, {last}; accepted: from 1 to {self.shape[2]}"
            )
        self.radial = slice(first - 1, last)
        if "ongrid_mask" in mesh and not (source.array("mesh/ongrid_mask") != 0.0).all():
            raise ProfileError(
                f"{source.path}: mesh/ongrid_mask has zeros, as yin-yang meshes do; accepted: one mesh for the sphere"
            )
        held = source.file["fluid"]
        self.variables = tuple(name for name in held if source.shape(f"fluid/{name}") in (self.shape, self.shape[2:]))

    def place(self) -> BlockPlace:
        n2, n1, _ = self.shape
        radius = self.source.array("mesh/x_ef")[self.radial.start : self.radial.stop + 1].astype(np.float64)
        angles = []
        for axis, name, cells in ((1, "mesh/y_ef", n1), (2, "mesh/z_ef", n2)):
            if self.dimensions[axis] == 1:
                # one zone in an angle is all of it
                angles.append(whole_axis("spherical", axis))
                continue
            faces = self.source.array(name).astype(np.float64)
            start = (self.number - 1) * cells if faces.size > cells + 1 and self.count > 1 else 0
            if faces.size < start + cells + 1:
                raise ProfileError(f"{self.source.path}: {name} has {faces.size} faces for zones up to {start + cells}")
            angles.append(on_axes("spherical", axis, faces[start : start + cells + 1]))
        return BlockPlace((radius, angles[0], angles[1]), owner=self.number - 1)

    def read(self, name: str) -> Any:
        values = self.source.array(f"fluid/{name}")
        if values.ndim == 1:
            values = np.broadcast_to(values, self.shape)
        return values[:, :, self.radial]

    def radiation(self, name: str) -> Any:
        return self.source.array(f"radiation/{name}")[:, :, self.radial]
