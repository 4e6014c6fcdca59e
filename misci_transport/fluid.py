"""The matter that neutrinos travel through, as plain arrays on the cells of a mesh."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UnphysicalInputError
from .numbering import global_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RANGES: dict[str, tuple[float, float, bool]] = {
    # name: (lowest, highest, lowest value itself accepted)
    "mass_density": (0.0, 1.0e17, False),
    "temperature": (0.0, 1.0e3, False),
    "electron_fraction": (0.0, 1.0, True),
    "velocity": (-2.99792458e10, 2.99792458e10, False),
    "neutron_fraction": (0.0, 1.0, True),
    "proton_fraction": (0.0, 1.0, True),
    "alpha_fraction": (0.0, 1.0, True),
    "heavy_fraction": (0.0, 1.0, True),
    "heavy_mass_number": (0.0, 1.0e4, True),
    "heavy_charge_number": (0.0, 1.0e4, True),
    "electron_chemical_potential": (-1.0e4, 1.0e4, True),
    "nucleon_potential_difference": (-1.0e4, 1.0e4, True),
    "heat_capacity": (0.0, 1.0e60, False),
    "energy_by_electron_fraction": (-1.0e60, 1.0e60, True),
}

_FRACTIONS = ("neutron_fraction", "proton_fraction", "alpha_fraction", "heavy_fraction")


@dataclass
class Fluid:
    """Matter on n cells; every array has shape (n,), on a block mesh velocity has (n, 3); dtype float64.

    The composition (six arrays) is either given whole or left out whole; the chemical potentials are
    optional one by one. What is left out is computed by the equation of state of the rates in use.
    """

    mass_density: NDArray[np.float64]  #: g cm^-3
    temperature: NDArray[np.float64]  #: MeV
    electron_fraction: NDArray[np.float64]  #: electrons per baryon
    velocity: NDArray[np.float64]  #: cm s^-1, radial (outwards positive), or along the axes of a block mesh
    neutron_fraction: NDArray[np.float64] | None = None  #: mass fraction of free neutrons
    proton_fraction: NDArray[np.float64] | None = None  #: mass fraction of free protons
    alpha_fraction: NDArray[np.float64] | None = None  #: mass fraction of alpha particles
    heavy_fraction: NDArray[np.float64] | None = None  #: mass fraction of the representative nucleus
    heavy_mass_number: NDArray[np.float64] | None = None  #: A of the representative nucleus
    heavy_charge_number: NDArray[np.float64] | None = None  #: Z of the representative nucleus
    electron_chemical_potential: NDArray[np.float64] | None = None  #: MeV, with the rest mass
    nucleon_potential_difference: NDArray[np.float64] | None = None  #: muhat = mu_n - mu_p without rest masses, MeV
    heat_capacity: NDArray[np.float64] | None = None  #: d(energy density)/dT at constant density, Y_e: erg cm^-3 MeV^-1
    energy_by_electron_fraction: NDArray[np.float64] | None = None  #: d(energy density)/dY_e at constant T: erg cm^-3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                setattr(self, field.name, np.ascontiguousarray(value, dtype=np.float64))

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(self.mass_density.shape[0])

    @property
    def has_composition(self) -> bool:
        """Whether all six composition arrays are present."""
        return self.neutron_fraction is not None

    def validate(self, numbers: NDArray[np.int64] | None = None) -> None:
        """Check shapes, NaN and physical ranges.

        Parameters
        ----------
        numbers
            Global numbers of the cells, for the message; None: they are the whole mesh.

        Raises
        ------
        UnphysicalInputError
            Naming the field, the (global) cell, the value and the accepted range.
        """
        composition = [f.name for f in fields(self)[4:10]]
        given = [name for name in composition if getattr(self, name) is not None]
        if given and len(given) != len(composition):
            missing = sorted(set(composition) - set(given))
            raise UnphysicalInputError(f"fluid composition is incomplete: {', '.join(missing)} missing")
        for field in fields(self):
            values = getattr(self, field.name)
            if values is None:
                continue
            vector = field.name == "velocity" and values.shape == (self.size, 3)
            if values.shape != (self.size,) and not vector:
                raise UnphysicalInputError(
                    f"fluid field {field.name} has shape {values.shape}, expected ({self.size},)"
                )
            low, high, closed = _RANGES[field.name]
            good = (values >= low if closed else values > low) & (values <= high)
            if not good.all():
                cell = int(np.unravel_index(np.argmin(good), good.shape)[0])
                bracket = "[" if closed else "("
                raise UnphysicalInputError(
                    f"fluid field {field.name} in cell {global_number(numbers, cell)} is {values[cell].tolist()!r}; "
                    f"accepted: {bracket}{low:g}, {high:g}]"
                )

    def check_fractions(self, numbers: NDArray[np.int64] | None = None, begin: str = "") -> None:
        """Check that the mass fractions of a composition add up to 1 within 0.01, as files have them.

        ``numbers``: global numbers of the cells, None: they are the whole mesh; ``begin``: of the message.

        Raises
        ------
        UnphysicalInputError
            Naming the cell and the sum.
        """
        if not self.has_composition:
            return
        total = np.sum([getattr(self, name) for name in _FRACTIONS], axis=0)
        off = np.abs(total - 1.0)
        if not (off < 1.0e-2).all():
            cell = int(np.argmax(off))
            raise UnphysicalInputError(
                f"{begin}mass fractions in cell {global_number(numbers, cell)} add up to {total[cell]:.6g}; "
                "accepted: 1 within 0.01"
            )

    def equals(self, other: Fluid) -> bool:
        """Whether all fields hold the same values."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if (mine is None) != (theirs is None):
                return False
            if mine is not None and not np.array_equal(mine, theirs):
                return False
        return True

    def copy(self) -> Fluid:
        """A copy with arrays of its own."""
        return self.take(slice(None))

    def take(self, selection: slice | NDArray[np.int64]) -> Fluid:
        """Return the fluid on a subset of the cells (a copy)."""
        chosen: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            chosen[field.name] = None if value is None else value[selection].copy()
        return Fluid(**chosen)
