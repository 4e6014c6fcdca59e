"""CHIMERA model files (HDF5): spherical coordinates, one file for each slab in phi.

Groups fluid, mesh, abundance, radiation; zones beyond ``radial_index_bound`` are ghosts. cgs and K. Moments psi0 and
psi1 are those of the occupation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, NeutrinoMoments, whole_axis
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
    """Open a model file.

    Raises
    ------
    ProfileError
        If a dataset is missing or damaged.
    """
    path = Path(path)
    source = Hdf5Source(path)
    n2, n1, n0 = source.shape("fluid/rho_c")
    first, last = (int(n) for n in source.array("mesh/radial_index_bound"))
    radial = slice(first - 1, last)
    faces = [source.array("mesh/x_ef")[first - 1 : last + 1].astype(np.float64)]
    for axis, (name, cells) in enumerate((("mesh/y_ef", n1), ("mesh/z_ef", n2)), start=1):
        # one zone in an angle is all of it
        faces.append(
            whole_axis("spherical", axis) if cells == 1 else source.array(name)[: cells + 1].astype(np.float64)
        )
    faces = _inside(faces)
    place = BlockPlace((faces[0], faces[1], faces[2]))
    held = {
        name: source.shape(f"fluid/{name}")
        for name in source.file["fluid"]
        if source.shape(f"fluid/{name}") in ((n2, n1, n0), (n0,))
    }

    def read(_: int, name: str) -> Any:
        values = source.array(f"fluid/{name}")
        if values.ndim == 1:
            values = np.broadcast_to(values, (n2, n1, n0))
        return values[:, :, radial]

    def moments(_: int) -> NeutrinoMoments:
        psi0, psi1 = (source.array(f"radiation/{name}")[:, :, radial] for name in ("psi0_c", "psi1_e"))
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

    slabs = int(source.array("mesh/nz_hyperslabs")) if "nz_hyperslabs" in source.file["mesh"] else 1
    notes: tuple[str, ...] = ()
    if slabs > 1:
        notes = (
            f"slab {int(source.array('mesh/my_hyperslab_group'))} of {slabs} in phi: the others are in other files",
        )
    return HostFile(
        path,
        NAME,
        "CHIMERA",
        "spherical",
        [place],
        tuple(held),
        read,
        FieldMap(dict(_FIELDS), CGS),
        resolved=tuple(axis for axis, cells in enumerate((n0, n1, n2)) if cells > 1),
        time=float(source.array("mesh/time")),
        read_moments=moments if "psi0_c" in source.file.get("radiation", {}) else None,
        notes=notes,
        attributes={"time of bounce [s]": float(source.array("mesh/t_bounce"))},
    )


def _inside(faces: list[Any]) -> list[Any]:
    """Faces of theta that miss the axis by a round-off are on it."""
    theta = faces[1]
    theta = np.where(np.abs(theta - np.pi) < 1.0e-7, np.pi, theta)
    return [faces[0], np.where(np.abs(theta) < 1.0e-7, 0.0, theta), faces[2]]
