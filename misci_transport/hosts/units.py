"""Units of fields in files of fluid codes, and what they are worth here: cgs, and MeV for temperatures."""

from __future__ import annotations

from dataclasses import dataclass

from ..constants import (
    ATOMIC_MASS_UNIT,
    ERG_PER_MEV,
    KELVIN_PER_MEV,
    SOLAR_MASS,
    SPEED_OF_LIGHT,
)
from ..errors import ConfigurationError
from ..profile import SCHWARZSCHILD_RADIUS_OF_SUN

#: Powers of (length, mass, time) of what has a unit in cgs.
Dimensions = tuple[int, int, int]

#: What each field is measured in here, and its dimensions; None: code units say nothing about it.
FIELDS: dict[str, tuple[str, Dimensions | None]] = {
    "mass_density": ("g/cm^3", (-3, 1, 0)),
    "temperature": ("MeV", None),
    "electron_fraction": ("1", (0, 0, 0)),
    "velocity": ("cm/s", (1, 0, -1)),
    "specific_internal_energy": ("erg/g", (2, 0, -2)),
    "pressure": ("erg/cm^3", (-1, 1, -2)),
    "entropy": ("k_B/baryon", None),
    "lapse": ("1", (0, 0, 0)),
    "volume_factor": ("1", (0, 0, 0)),
    "gravitational_potential": ("cm^2/s^2", (2, 0, -2)),
    "neutron_fraction": ("1", (0, 0, 0)),
    "proton_fraction": ("1", (0, 0, 0)),
    "alpha_fraction": ("1", (0, 0, 0)),
    "heavy_fraction": ("1", (0, 0, 0)),
    "heavy_mass_number": ("1", (0, 0, 0)),
    "heavy_charge_number": ("1", (0, 0, 0)),
    "electron_chemical_potential": ("MeV", None),
    "nucleon_potential_difference": ("MeV", None),
    "neutrino_heating": ("erg/g/s", (2, 0, -3)),
}

#: Names of units that maps and files may use for each of ours, and what they are worth.
_WORTH: dict[str, dict[str, float]] = {
    "cm": {"km": 1.0e5, "m": 1.0e2, "solar radius": 6.957e10},
    "s": {"ms": 1.0e-3},
    "g/cm^3": {"kg/m^3": 1.0e-3},
    "MeV": {"K": 1.0 / KELVIN_PER_MEV, "GK": 1.0e9 / KELVIN_PER_MEV, "keV": 1.0e-3},
    "cm/s": {"km/s": 1.0e5, "m/s": 1.0e2, "c": SPEED_OF_LIGHT},
    "erg/g": {"MeV/baryon": ERG_PER_MEV / ATOMIC_MASS_UNIT, "c^2": SPEED_OF_LIGHT**2},
    "erg/cm^3": {"dyn/cm^2": 1.0},
    "cm^2/s^2": {"c^2": SPEED_OF_LIGHT**2, "erg/g": 1.0},
    "g": {"solar mass": SOLAR_MASS},
}

#: What a file's own units are called where nobody says what they are worth.
CODE = "code"


@dataclass(frozen=True)
class CodeUnits:
    """What one unit of length, mass and time of a code is worth in cgs."""

    length: float  #: cm
    mass: float  #: g
    time: float  #: s

    def worth(self, dimensions: Dimensions) -> float:
        """Worth of a quantity with these dimensions in cgs."""
        length, mass, time = dimensions
        return float(self.length**length * self.mass**mass * self.time**time)


CGS = CodeUnits(1.0, 1.0, 1.0)
#: c = G = (mass of the sun) = 1
GEOMETRIC = CodeUnits(0.5 * SCHWARZSCHILD_RADIUS_OF_SUN, SOLAR_MASS, 0.5 * SCHWARZSCHILD_RADIUS_OF_SUN / SPEED_OF_LIGHT)
SYSTEMS = {"cgs": CGS, "geometric": GEOMETRIC}


def worth(unit: str, wanted: str, about: str) -> float:
    """What one ``unit`` is in the ``wanted`` one.

    Raises
    ------
    ConfigurationError
        If the unit is not known for this quantity; ``about`` begins the message.
    """
    known = {wanted: 1.0, **_WORTH.get(wanted, {})}
    if unit not in known:
        raise ConfigurationError(f"{about} is {unit!r}; accepted: {', '.join(known)}")
    return known[unit]
