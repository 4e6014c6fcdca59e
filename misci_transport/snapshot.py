"""Matter on a block mesh at one instant: as a fluid code left it, cut and coarsened for a transport run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .block_mesh import AXES, AXIS_UNITS, BlockMesh, numbers_at
from .constants import SOLAR_MASS
from .errors import ConfigurationError, MisciError, ProfileError, UnphysicalInputError
from .fluid import Fluid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Units of the fields of a fluid, as files name them.
UNITS = {
    "mass_density": "g/cm^3",
    "temperature": "MeV",
    "electron_fraction": "1",
    "velocity": "cm/s",
    "neutron_fraction": "1",
    "proton_fraction": "1",
    "alpha_fraction": "1",
    "heavy_fraction": "1",
    "heavy_mass_number": "1",
    "heavy_charge_number": "1",
    "electron_chemical_potential": "MeV",
    "nucleon_potential_difference": "MeV",
    "heat_capacity": "erg/cm^3/MeV",
    "energy_by_electron_fraction": "erg/cm^3",
}
#: What is per volume; a cell's mean of anything else is by mass.
_BY_VOLUME = ("mass_density", "heat_capacity", "energy_by_electron_fraction")

Part = tuple[slice, slice, slice]  #: of the cells, slowest axis first


class SnapshotSource(Protocol):
    """A mesh, and the matter on any box of its cells."""

    @property
    def mesh(self) -> BlockMesh:
        """The whole mesh."""

    @property
    def title(self) -> str:
        """One line for people."""

    @property
    def citation(self) -> str:
        """Where the matter comes from."""

    def part(self, part: Part) -> Fluid:
        """Checked matter on a box of cells (slices of the slowest axis first), axis 0 fastest."""


@dataclass
class BlockSnapshot:
    """Matter on all cells of a block mesh, axis 0 fastest; velocities (cell, 3) along the axes of the mesh."""

    mesh: BlockMesh
    fluid: Fluid
    time: float | None = None  #: s, after bounce or merger where the source says so
    title: str = ""
    citation: str = ""

    def validate(self) -> None:
        """Check sizes, values and sums of mass fractions.

        Raises
        ------
        ProfileError
            If the matter has not one value for each cell of the mesh.
        UnphysicalInputError
            A field outside its physical range: the message names field, cell, value and range.
        """
        if self.fluid.size != self.mesh.size:
            raise ProfileError(f"snapshot has {self.fluid.size} cells of matter on {self.mesh.size} cells of mesh")
        check_matter(self.fluid)

    def part(self, part: Part) -> Fluid:
        """Matter on a box of cells."""
        return self.fluid.take(numbers_of(self.mesh, part))

    def total_mass(self) -> float:
        """Rest mass, sum(mass_density * volume), in g."""
        return float(self.fluid.mass_density @ self.mesh.volume)

    def describe(self) -> dict[str, Any]:
        """Mesh, mass and ranges of the fields, for people."""
        mesh = self.mesh
        ranges = {}
        for field in fields(self.fluid):
            values = getattr(self.fluid, field.name)
            if values is not None:
                ranges[f"{field.name} [{UNITS[field.name]}]"] = {
                    "minimum": float(values.min()),
                    "maximum": float(values.max()),
                }
        axes = {
            f"{name} [{unit}]": {"cells": n, "from": float(face[0]), "to": float(face[-1])}
            for name, unit, n, face in zip(
                AXES[mesh.geometry], AXIS_UNITS[mesh.geometry], mesh.shape, mesh.faces, strict=True
            )
        }
        return {
            "title": self.title,
            "citation": self.citation,
            "time [s]": self.time,
            "geometry": mesh.geometry,
            "axes": axes,
            "mass on the mesh [solar masses]": self.total_mass() / SOLAR_MASS,
            "matter": ranges,
        }


class Selection:
    """A snapshot inside a radius, with groups of cells joined into one.

        mass_density = sum(mass_density V)/sum(V),   any other q = sum(q mass_density V)/sum(mass_density V)

    and what is per volume by volume. Charge, baryons and momentum along the axes are kept (the axes of joined cells
    in spherical coordinates differ a little; that is left out).

    Parameters
    ----------
    source
        The snapshot.
    coarsen
        Cells of each axis that become one; None: (1, 1, 1).
    outer
        cm, spherical meshes: the mesh ends at the first face there or beyond that leaves whole groups; None: at the
        snapshot's end.

    Raises
    ------
    ConfigurationError
        If the numbers do not fit the mesh.
    """

    def __init__(
        self, source: SnapshotSource, coarsen: Sequence[int] | None = None, outer: float | None = None
    ) -> None:
        self.source = source
        self.title, self.citation = source.title, source.citation
        mesh = source.mesh
        factors = (1, 1, 1) if coarsen is None else tuple(int(n) for n in coarsen)
        if len(factors) != 3 or min(factors) < 1:
            raise ConfigurationError(f"coarsen is {list(factors)}; accepted: three integers >= 1")
        faces = list(mesh.faces)
        if outer is not None:
            if mesh.geometry != "spherical":
                raise ConfigurationError(f"outer is {outer!r} cm on a {mesh.geometry} snapshot; accepted: leave it out")
            whole = faces[0][:: factors[0]]
            if not whole[1] < outer <= whole[-1] * (1.0 + 1.0e-12):
                raise ConfigurationError(
                    f"outer is {outer!r} cm; accepted on this snapshot: above {whole[1]:.8g}, up to {whole[-1]:.8g}"
                )
            cells = factors[0] * int(np.searchsorted(whole, outer * (1.0 - 1.0e-12)))
            faces[0] = faces[0][: cells + 1]
        for name, face, factor in zip(AXES[mesh.geometry], faces, factors, strict=True):
            if (face.size - 1) % factor:
                raise ConfigurationError(
                    f"coarsen along {name} is {factor}; accepted for {face.size - 1} cells: one of its divisors"
                )
        #: of the cells that are kept, before they are joined
        self.fine = BlockMesh(mesh.geometry, (faces[0], faces[1], faces[2]))
        self.factors = factors
        x, y, z = (face[::factor] for face, factor in zip(faces, factors, strict=True))
        self.mesh = BlockMesh(mesh.geometry, (x, y, z))

    def part(self, part: Part) -> Fluid:
        """Matter on a box of the joined cells."""
        f0, f1, f2 = self.factors
        whole = self.mesh.shape[::-1]
        bounds = [piece.indices(n) for piece, n in zip(part, whole, strict=True)]
        slow, middle, fast = (
            slice(start * factor, stop * factor) for (start, stop, _), factor in zip(bounds, (f2, f1, f0), strict=True)
        )
        fine = (slow, middle, fast)
        matter = self.source.part(fine)
        if self.factors == (1, 1, 1):
            return matter
        volume = self.fine.volume_at(numbers_of(self.fine, fine))
        shape = [(stop - start, factor) for (start, stop, _), factor in zip(bounds, (f2, f1, f0), strict=True)]
        split = [n for pair in shape for n in pair]

        def joined(values: NDArray[np.float64]) -> NDArray[np.float64]:
            total: NDArray[np.float64] = values.reshape(*split, *values.shape[1:]).sum(axis=(1, 3, 5))
            return np.ascontiguousarray(total.reshape(-1, *values.shape[1:]))

        mass = volume * matter.mass_density
        means: dict[str, Any] = {}
        for field in fields(matter):
            values = getattr(matter, field.name)
            if values is None:
                continue
            weight = volume if field.name in _BY_VOLUME else mass
            total = joined(weight)
            if values.ndim == 2:
                means[field.name] = joined(weight[:, None] * values) / total[:, None]
            else:
                means[field.name] = joined(weight * values) / total
        return Fluid(**means)


def numbers_of(mesh: BlockMesh, part: Part) -> NDArray[np.int64]:
    """Global numbers of a box of cells, axis 0 fastest."""
    ranges = [np.arange(*piece.indices(n)) for piece, n in zip(part, mesh.shape[::-1], strict=True)]
    return numbers_at(mesh.shape, ranges[::-1])


def check_matter(fluid: Fluid, numbers: NDArray[np.int64] | None = None, where: str = "") -> None:
    """Check values and sums of mass fractions; ``numbers`` are the cells' global ones, ``where`` begins messages.

    Raises
    ------
    UnphysicalInputError
        Naming field, cell, value and accepted range.
    """
    begin = f"{where}: " if where else ""
    try:
        fluid.validate(numbers)
    except MisciError as error:
        raise UnphysicalInputError(f"{begin}{error}") from None
    if fluid.velocity.shape != (fluid.size, 3):
        raise UnphysicalInputError(
            f"{begin}fluid velocity has shape {fluid.velocity.shape}; accepted: {(fluid.size, 3)}, along the axes"
        )
    fluid.check_fractions(numbers, begin)
