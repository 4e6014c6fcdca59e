"""Remnants of neutron-star mergers in axisymmetry, made from published cuts along the equator and along the axis.

The cuts of Chiesa et al. (2025) are text files with a header of comments and 25 columns; those used here are radius
(km), density (g/cm^3), temperature (MeV), electron fraction, chemical potentials of nucleons (MeV), and per baryon the
number and the energy (MeV) of nu_e, nubar_e and of one of the heavy-lepton species. Two cuts do not say what is between
them. It is made up here:

    ln q(r, theta) = sin^2(theta) ln q_equator(r) + cos^2(theta) ln q_axis(r),    q = mass_density, temperature

and without logarithms for the electron fraction and for what the chemical potentials of nucleons have beyond an ideal
gas, excess = mu_n - mu_p - (m_n - m_p) c^2 - T ln((1 - Y_e)/Y_e), so that muhat is that of the published equation of
state on the cuts. Both cuts are met exactly; around the equator density falls as
exp(-(z/h)^2) with h = r/sqrt(ln(q_equator/q_axis)), which is a disc. Beyond a cut's last point its density and
temperature go on as powers of r, with the slope of its outer part; inside the first one everything is constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from misci_transport.block_mesh import BlockMesh
from misci_transport.constants import NEUTRON_PROTON_MASS_DIFFERENCE
from misci_transport.errors import ProfileError
from misci_transport.fluid import Fluid
from misci_transport.snapshot import BlockSnapshot, Selection

from .text_columns import read_lines, require_increasing, table

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

CITATION = "Chiesa et al., Phys. Rev. D (2025)"
COLUMNS = (
    "index",
    "radius",
    "mass_density",
    "temperature",
    "electron_fraction",
    *("neutron_fraction", "proton_fraction", "alpha_fraction", "heavy_fraction"),
    *("mu_e", "mu_n", "mu_p", "U_n", "U_p", "m_n", "m_p"),
    *("Y_nue", "Y_anue", "Y_nux", "E_nue", "E_anue", "E_nux", "f_nue", "f_anue", "f_nux"),
)

#: Points of a cut that give the slope beyond its end.
_OUTER = 8
#: Points along each axis at which a cell's matter is sampled.
_SAMPLES = 4
#: Least density (g/cm^3) and temperature (MeV) of what is extrapolated.
FLOOR = (1.0e6, 0.3)
_BARYON = 1.66053906660e-24  #: g


@dataclass
class Cut:
    """Matter and published neutrinos along one axis."""

    radius: NDArray[np.float64]  #: (n,) cm
    mass_density: NDArray[np.float64]
    temperature: NDArray[np.float64]
    electron_fraction: NDArray[np.float64]
    excess: NDArray[np.float64]  #: MeV, of muhat over that of an ideal gas of free nucleons
    number_density: NDArray[np.float64]  #: (n, species) 1/cm^3; nu_e, nubar_e, one of the heavy-lepton species
    energy_density: NDArray[np.float64]  #: (n, species) MeV/cm^3

    def at(self, radius: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Logarithms of density and temperature, the electron fraction, and the excess, at radii in cm."""
        density, temperature = (
            self._continued(np.log(values), radius, np.log(floor))
            for values, floor in zip((self.mass_density, self.temperature), FLOOR, strict=True)
        )
        fraction, excess = (np.interp(radius, self.radius, values) for values in (self.electron_fraction, self.excess))
        return density, temperature, fraction, excess

    def _continued(self, values: NDArray[np.float64], radius: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
        outer = slice(-_OUTER, None)
        slope = min(float(np.polyfit(np.log(self.radius[outer]), values[outer], 1)[0]), 0.0)
        beyond = np.log(np.maximum(radius / self.radius[-1], 1.0))
        inside = np.interp(radius, self.radius, values)
        continued: NDArray[np.float64] = np.maximum(inside + slope * beyond, floor)
        return continued


def read_cut(path: str | os.PathLike[str]) -> Cut:
    """Read one cut.

    Raises
    ------
    ProfileError
        A line with another number of columns, NaN, radii that do not increase: file, line and column are named.
    """
    path = Path(path)
    lines = read_lines(path)
    first = next((count for count, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    column = table(path, lines[first:], first + 1, COLUMNS)
    require_increasing(path, "radius", column["radius"], first + 1)
    for name, top in (("mass_density", np.inf), ("temperature", np.inf), ("electron_fraction", 1.0)):
        good = (column[name] > 0.0) & (column[name] < top)
        if not good.all():
            row = int(np.argmin(good))
            accepted = "> 0" if np.isinf(top) else f"> 0 and < {top:g}"
            raise ProfileError(
                f"{path}: line {first + 1 + row}: {name} is {float(column[name][row])!r}; accepted: {accepted}"
            )
    baryons = column["mass_density"] / _BARYON
    species = ("nue", "anue", "nux")
    difference = column["mu_n"] - column["mu_p"] - NEUTRON_PROTON_MASS_DIFFERENCE
    return Cut(
        1.0e5 * column["radius"],
        column["mass_density"],
        column["temperature"],
        column["electron_fraction"],
        difference - _ideal(column["temperature"], column["electron_fraction"]),
        np.stack([column[f"Y_{name}"] * baryons for name in species], axis=1),
        np.stack([column[f"E_{name}"] * baryons for name in species], axis=1),
    )


def _ideal(temperature: NDArray[np.float64], fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Muhat of free nucleons that do not feel each other, MeV."""
    ideal: NDArray[np.float64] = temperature * np.log((1.0 - fraction) / fraction)
    return ideal


def remnant(
    equator: Cut, axis: Cut, mesh: BlockMesh, rotation: float = 0.0, rotation_radius: float = 2.0e6
) -> BlockSnapshot:
    """The remnant on a spherical mesh in (r, theta): means over points in each cell, by mass.

    Parameters
    ----------
    equator, axis
        The two cuts.
    mesh
        Spherical, phi not resolved.
    rotation, rotation_radius
        Angular velocity rotation/(1 + (distance from the axis/rotation_radius)^2) in rad/s, radius in cm.

    Raises
    ------
    ProfileError
        If the mesh is another one.
    """
    if mesh.geometry != "spherical" or 2 in mesh.resolved:
        raise ProfileError(f"mesh of a remnant is {mesh.geometry}, {mesh.shape} cells; accepted: spherical, one in phi")
    parts = np.arange(_SAMPLES) / _SAMPLES
    faces = [np.append((face[:-1, None] + parts * np.diff(face)[:, None]).ravel(), face[-1]) for face in mesh.faces[:2]]
    # differences of the last digit would make other faces of the joined cells
    for fine, face in zip(faces, mesh.faces, strict=False):
        fine[::_SAMPLES] = face
    points = BlockMesh("spherical", (faces[0], faces[1], mesh.faces[2]))
    radius, theta, _ = points.centers.T
    share = np.sin(theta) ** 2
    density, temperature, fraction, excess = (
        share * along + (1.0 - share) * up for along, up in zip(equator.at(radius), axis.at(radius), strict=True)
    )
    velocity = np.zeros((points.size, 3))
    distance = radius * np.sin(theta)
    velocity[:, 2] = rotation * distance / (1.0 + (distance / rotation_radius) ** 2)
    temperature = np.exp(temperature)
    muhat = excess + _ideal(temperature, fraction)
    sampled = BlockSnapshot(
        points, Fluid(np.exp(density), temperature, fraction, velocity, nucleon_potential_difference=muhat)
    )
    everything = (slice(None), slice(None), slice(None))
    matter = Selection(sampled, (_SAMPLES, _SAMPLES, 1)).part(everything)
    title = "merger remnant between published cuts along equator and axis"
    return BlockSnapshot(mesh, matter, title=title, citation=CITATION)
