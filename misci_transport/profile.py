"""Spherical stellar profiles: reading, writing, remapping onto a mesh, and joining a core with its envelope."""

from __future__ import annotations

import logging
import math
import os
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .constants import KELVIN_PER_MEV, SOLAR_MASS
from .errors import ProfileError, UnphysicalInputError
from .fluid import Fluid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
SPECIES = ("nu_e", "nubar_e", "nu_x", "nubar_x")  #: keys of published results; nu_x is one of mu, tau
SCHWARZSCHILD_RADIUS_OF_SUN = 2.95325008e5  #: 2 G M / c^2 in cm, from the nominal solar mass parameter (IAU 2015)

_MAGIC = "# misci_transport table: "
_COMPOSITION = (
    "neutron_fraction",
    "proton_fraction",
    "alpha_fraction",
    "heavy_fraction",
    "heavy_mass_number",
    "heavy_charge_number",
)
_UNITS = {
    "outer_face": "cm",
    "radius": "cm",
    "mass_density": "g/cm^3",
    "temperature": "MeV",
    "velocity": "cm/s",
    "electron_chemical_potential": "MeV",
    "nucleon_potential_difference": "MeV",
    "luminosity": "erg/s",
    "rms_energy": "MeV",
    "energy_rate": "erg/s/baryon",
    "lepton_rate": "1/s/baryon",
}
#: per-species quantities of a reference, in the order of the table's columns
_RADIATION = ("luminosity", "rms_energy", "flux_factor", "number_fraction")
_HEATING = ("energy_rate", "lepton_rate")
#: A joint leaves no cell thinner than this fraction of its outer neighbour.
_SLIVER = 0.25


@dataclass
class Profile:
    """A spherically symmetric star on n cells at one instant.

    ``reference`` holds published neutrino results: ``radius`` (cm) with ``luminosity`` (erg/s), ``rms_energy``
    (MeV), ``flux_factor`` and ``number_fraction`` (per baryon), each a dict over :data:`SPECIES`; and
    ``heating_radius`` (cm) with ``energy_rate`` (erg/s/baryon) and ``lepton_rate`` (1/s/baryon).
    """

    faces: NDArray[np.float64]  #: (n + 1,) cm, increasing, first >= 0
    fluid: Fluid  #: on the n cells
    time: float | None = None  #: s, after bounce where the source says so
    citation: str = ""
    title: str = ""
    notes: tuple[str, ...] = ()
    reference: dict[str, Any] | None = None
    lapse: NDArray[np.float64] | None = None  #: (n,)
    metric_gamma: NDArray[np.float64] | None = None  #: (n,) proper volume = coordinate volume / gamma
    joint: dict[str, float] | None = None  #: what :meth:`join` found at the joint

    def __post_init__(self) -> None:
        self.faces = np.ascontiguousarray(self.faces, dtype=np.float64)
        for name in ("lapse", "metric_gamma"):
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, np.ascontiguousarray(value, dtype=np.float64))

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(self.faces.size) - 1

    @property
    def native_faces(self) -> NDArray[np.float64]:
        """Cell faces of the source (n + 1,) in cm (a copy)."""
        return self.faces.copy()

    @property
    def centers(self) -> NDArray[np.float64]:
        """Volume-weighted mean radius of each cell, (3/4) (r_2^4 - r_1^4)/(r_2^3 - r_1^3), in cm."""
        return _centroids(self.faces)

    @property
    def volumes(self) -> NDArray[np.float64]:
        """Proper volume of each cell, (4 pi/3) (r_2^3 - r_1^3)/Gamma (Gamma = 1 where not given), in cm^3."""
        volume = 4.0 / 3.0 * math.pi * np.diff(self.faces**3)
        return volume if self.metric_gamma is None else volume / self.metric_gamma

    def total_mass(self) -> float:
        """Rest mass, sum(mass_density * volumes), in g."""
        return float(np.sum(self.fluid.mass_density * self.volumes))

    def validate(self) -> None:
        """Check the mesh and every field.

        Raises
        ------
        ProfileError
            Faces not finite, negative or not increasing; sizes that do not fit; fractions that do not add up to 1.
        UnphysicalInputError
            A field outside its physical range. Either message names the cell, the value and the accepted range.
        """
        faces = self.faces
        if faces.ndim != 1 or faces.size < 2:
            raise ProfileError(f"profile faces have shape {faces.shape}; accepted: (n + 1,) with n >= 1")
        if not np.isfinite(faces).all():
            index = int(np.argmin(np.isfinite(faces)))
            raise ProfileError(f"profile face {index} is {float(faces[index])!r}; accepted: finite radii in cm")
        if faces[0] < 0.0:
            raise ProfileError(f"profile face 0 is {float(faces[0])!r} cm; accepted: >= 0")
        if not (np.diff(faces) > 0.0).all():
            cell = int(np.argmin(np.diff(faces) > 0.0))
            raise ProfileError(
                f"profile faces are not increasing at cell {cell}: {float(faces[cell])!r} cm then "
                f"{float(faces[cell + 1])!r} cm"
            )
        if self.fluid.size != self.size:
            raise ProfileError(f"profile has {self.fluid.size} cells of matter on {self.size} cells of mesh")
        self.fluid.validate()
        self.fluid.check_fractions()
        for name in ("lapse", "metric_gamma"):
            value = getattr(self, name)
            if value is None:
                continue
            if value.shape != (self.size,):
                raise ProfileError(f"profile field {name} has shape {value.shape}, expected ({self.size},)")
            good = (value > 0.0) & (value < 10.0)
            if not good.all():
                cell = int(np.argmin(good))
                raise UnphysicalInputError(
                    f"profile field {name} in cell {cell} is {float(value[cell])!r}; accepted: (0, 10)"
                )

    def on_faces(self, faces: NDArray[np.float64]) -> Fluid:
        """Interpolate the matter onto the cells between other faces.

        Density and temperature: monotone cubic in (ln r, ln value). Velocity: monotone cubic in ln r. Electron
        fraction and composition: linear in ln r, which keeps charge and baryon sums. Cells that span native faces
        get the mean over their pieces (density by volume, the rest by mass). A cell whose two faces are faces of
        one native cell gets the native values, unchanged.

        Raises
        ------
        ProfileError
            If the faces are not increasing or reach outside the profile (both ranges are named).
        """
        return self._remap(np.ascontiguousarray(faces, dtype=np.float64))[0]

    def at(self, radius: NDArray[np.float64]) -> Fluid:
        """Matter at points with these radii (cm), interpolated as by `on_faces`; inside the first cell a parabola.

        Raises
        ------
        ProfileError
            If a radius is outside the profile.
        """
        if radius.size and not (radius.min() >= 0.0 and radius.max() <= self.faces[-1] * (1.0 + 1.0e-12)):
            raise ProfileError(
                f"points reach from {radius.min():.8g} to {radius.max():.8g} cm; accepted: 0 to {self.faces[-1]:.8g}"
            )
        sample = _sample(self, np.maximum(radius, 1.0e-3 * self.centers[0]))
        return Fluid(**{name: value for name, value in sample.items() if name not in ("lapse", "metric_gamma")})

    def refine(self, factor: int) -> Profile:
        """Return the profile with every cell split into ``factor`` cells of equal width."""
        if factor < 1:
            raise ProfileError(f"refinement factor is {factor!r}; accepted: an integer >= 1")
        steps = np.arange(factor) / factor
        inner = self.faces[:-1, None] + steps * np.diff(self.faces)[:, None]
        return self._with_faces(np.append(inner.ravel(), self.faces[-1]))

    def join(self, outer: Profile, radius: float | None = None) -> Profile:
        """Continue this profile outwards with another one, from ``radius`` (default: the last face) on.

        Native cells are kept on either side. The cells that contain the joint are cut at it; a remainder thinner
        than a quarter of its neighbour is given to that neighbour. Cut cells get interpolated values. Where only
        this profile has a composition, the outer cells get :func:`cold_composition`; lapse and Gamma continue as
        in vacuum, sqrt(1 - 2 G m/(r c^2)). Title, time and reference are this profile's.

        Raises
        ------
        ProfileError
            If the joint is outside either profile.
        """
        inside = self.faces[-1] if radius is None else float(radius)
        low, high = max(self.faces[0], outer.faces[0]), min(self.faces[-1], outer.faces[-1])
        if not (self.faces[0] < inside <= self.faces[-1] and outer.faces[0] <= inside < outer.faces[-1]):
            raise ProfileError(
                f"joint at {inside:.6g} cm; accepted: [{low:.6g}, {high:.6g}] cm, covered by both profiles "
                f"(inner [{self.faces[0]:.6g}, {self.faces[-1]:.6g}], outer [{outer.faces[0]:.6g}, "
                f"{outer.faces[-1]:.6g}])"
            )
        core_faces = np.append(self.faces[self.faces < inside], inside)
        if core_faces.size > 2 and np.diff(core_faces[-2:])[0] < _SLIVER * np.diff(core_faces[-3:-1])[0]:
            core_faces = np.delete(core_faces, -2)
        shell_faces = np.append(inside, outer.faces[outer.faces > inside])
        if shell_faces.size > 2 and np.diff(shell_faces[:2])[0] < _SLIVER * np.diff(shell_faces[1:3])[0]:
            shell_faces = np.delete(shell_faces, 1)
        core, shell = self._with_faces(core_faces), outer._with_faces(shell_faces)
        core_fluid, shell_fluid = core.fluid, shell.fluid
        if core_fluid.has_composition and not shell_fluid.has_composition:
            shell_fluid = replace(shell_fluid, **cold_composition(shell_fluid.electron_fraction))
        merged: dict[str, Any] = {}
        for field in fields(Fluid):
            first, second = getattr(core_fluid, field.name), getattr(shell_fluid, field.name)
            merged[field.name] = None if first is None or second is None else np.concatenate([first, second])
        result = Profile(
            faces=np.concatenate([core_faces, shell_faces[1:]]),
            fluid=Fluid(**merged),
            time=self.time,
            citation="; ".join(text for text in (self.citation, outer.citation) if text),
            title=self.title,
            notes=self.notes + outer.notes,
            reference=self.reference,
        )
        if core.lapse is not None or core.metric_gamma is not None:
            mass = core.total_mass() + np.cumsum(shell.fluid.mass_density * shell.volumes)
            vacuum = np.sqrt(1.0 - SCHWARZSCHILD_RADIUS_OF_SUN * mass / SOLAR_MASS / shell.centers)
            for name in ("lapse", "metric_gamma"):
                first, second = getattr(core, name), getattr(shell, name)
                if first is not None:
                    setattr(result, name, np.concatenate([first, vacuum if second is None else second]))
        # Both sides are extrapolated to the same radius, else the slope would count as a jump.
        at = np.array([inside])
        left, right = _sample(self, at), _sample(outer, at)
        result.joint = {
            "radius": inside,
            "density_ratio": float(right["mass_density"][0] / left["mass_density"][0]),
            "temperature_ratio": float(right["temperature"][0] / left["temperature"][0]),
            "electron_fraction_difference": float(right["electron_fraction"][0] - left["electron_fraction"][0]),
            "velocity_difference": float(right["velocity"][0] - left["velocity"][0]),
        }
        logger.info(
            "profiles joined at %.4e cm: density outside/inside %.4f, temperature %.4f",
            inside,
            result.joint["density_ratio"],
            result.joint["temperature_ratio"],
        )
        return result

    def write_table(self, path: str | os.PathLike[str], reference: str | None = None) -> None:
        """Write the table format of this project; :meth:`read_table` returns the same numbers, bit for bit.

        ``reference`` is the name of a table of published neutrino results in the same directory
        (:func:`write_reference`), which is then read along with this one.
        """
        self.validate()
        columns = {"outer_face": self.faces[1:]}
        for field in fields(Fluid):
            value = getattr(self.fluid, field.name)
            if value is not None:
                columns[field.name] = value
        for name in ("lapse", "metric_gamma"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)
        header = {"inner_face": repr(float(self.faces[0]))}
        if reference is not None:
            header["reference"] = reference
        _write(Path(path), "profile", self, header, [columns])

    @classmethod
    def read_table(cls, path: str | os.PathLike[str]) -> Profile:
        """Read a table written by :meth:`write_table`, with its reference where it names one.

        Raises
        ------
        ProfileError
            Not this format, truncated, a missing or unknown column or unit, NaN, radii not increasing: the message
            names file and line or column.
        UnphysicalInputError
            A value outside its physical range.
        """
        path = Path(path)
        header, blocks = _read(path, "profile")
        columns = blocks[0]
        known = {field.name for field in fields(Fluid)} | {"outer_face", "lapse", "metric_gamma"}
        unknown = sorted(set(columns) - known)
        if unknown:
            raise ProfileError(f"{path}: unknown column {unknown[0]!r}; accepted: {', '.join(sorted(known))}")
        for name in ("outer_face", "mass_density", "temperature", "electron_fraction", "velocity"):
            if name not in columns:
                raise ProfileError(f"{path}: column {name!r} is missing; found {', '.join(columns)}")
        inner = _number(path, "inner_face", header["inner_face"]) if "inner_face" in header else 0.0
        _require_increasing(path, "outer_face", columns["outer_face"], inner)
        profile = cls(
            faces=np.append(inner, columns.pop("outer_face")),
            lapse=columns.pop("lapse", None),
            metric_gamma=columns.pop("metric_gamma", None),
            fluid=Fluid(**columns),
            time=_number(path, "time", header["time"]) if "time" in header else None,
            citation=header.get("citation", ""),
            title=header.get("title", ""),
            notes=tuple(line for line in header.get("note", "").split("\n") if line),
        )
        checked(profile, path)
        if "reference" in header:
            profile.reference = read_reference(path.parent / header["reference"])
        return profile

    def _with_faces(self, faces: NDArray[np.float64]) -> Profile:
        fluid, extra = self._remap(faces)
        lapse, gamma = extra.get("lapse"), extra.get("metric_gamma")
        return replace(self, faces=faces, fluid=fluid, joint=None, lapse=lapse, metric_gamma=gamma)

    def _remap(self, faces: NDArray[np.float64]) -> tuple[Fluid, dict[str, NDArray[np.float64]]]:
        if faces.ndim != 1 or faces.size < 2 or not (np.diff(faces) > 0.0).all():
            raise ProfileError("mesh faces: accepted an increasing sequence of two or more radii in cm")
        slack = 1e-12 * self.faces[-1]
        if not (faces[0] >= self.faces[0] - 1e-12 * abs(self.faces[0]) and faces[-1] <= self.faces[-1] + slack):
            raise ProfileError(
                f"the mesh covers [{faces[0]:.8g}, {faces[-1]:.8g}] cm, the profile only "
                f"[{self.faces[0]:.8g}, {self.faces[-1]:.8g}] cm"
            )
        native = self.faces[1:-1]
        pieces = np.union1d(faces, native[(native > faces[0]) & (native < faces[-1])])
        start = np.searchsorted(pieces, faces[:-1])
        sample = _sample(self, _centroids(pieces))
        volume = np.diff(pieces**3)
        mass = sample["mass_density"] * volume
        cell_volume, cell_mass = np.add.reduceat(volume, start), np.add.reduceat(mass, start)
        result = {"mass_density": cell_mass / cell_volume}
        heavy = sample.get("heavy_fraction")
        for name, value in sample.items():
            if name == "mass_density":
                continue
            if name in ("heavy_mass_number", "heavy_charge_number") and heavy is not None:
                # A and Z have no meaning without nuclei: weigh with their mass, else A = 4 leaks from outside.
                weight = mass * np.maximum(heavy, 1e-30)
                result[name] = np.add.reduceat(weight * value, start) / np.add.reduceat(weight, start)
            else:
                result[name] = np.add.reduceat(mass * value, start) / cell_mass
        index = np.searchsorted(self.faces, faces[:-1])
        index = np.minimum(index, self.size - 1)
        same = (self.faces[index] == faces[:-1]) & (self.faces[index + 1] == faces[1:])
        for name, value in result.items():
            value[same] = self._field(name)[index[same]]
        extra = {str(name): result.pop(name) for name in ("lapse", "metric_gamma") if name in result}
        return Fluid(**result), extra

    def _field(self, name: str) -> NDArray[np.float64]:
        value: NDArray[np.float64] = getattr(self, name) if hasattr(self, name) else getattr(self.fluid, name)
        return value


def cold_composition(electron_fraction: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Composition of matter too cold for free nucleons, from the electron fraction alone.

    Ye > 1/2 is hydrogen and helium: X_p = 2 Ye - 1, X_alpha = 2 (1 - Ye). Otherwise nuclei only, X_h = 1, with
    Z = Ye A and A = 56 below Ye = 0.49 (iron group), 28 above (silicon, as the tables of Liebendoerfer et al. 2005).
    A rule of convenience: outside the iron core scattering on nuclei is negligible, and only Ye refracts neutrinos.
    """
    hydrogen = electron_fraction > 0.5
    mass_number = np.where(electron_fraction < 0.49, 56.0, 28.0)
    return {
        "neutron_fraction": np.zeros_like(electron_fraction),
        "proton_fraction": np.where(hydrogen, 2.0 * electron_fraction - 1.0, 0.0),
        "alpha_fraction": np.where(hydrogen, 2.0 * (1.0 - electron_fraction), 0.0),
        "heavy_fraction": np.where(hydrogen, 0.0, 1.0),
        "heavy_mass_number": np.where(hydrogen, 4.0, mass_number),
        "heavy_charge_number": np.where(hydrogen, 2.0, mass_number * electron_fraction),
    }


def checked(profile: Profile, path: str | os.PathLike[str]) -> Profile:
    """Return the profile after :meth:`Profile.validate`, with the file's name before any message of it."""
    try:
        profile.validate()
    except (ProfileError, UnphysicalInputError) as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from None
    return profile


def write_reference(path: str | os.PathLike[str], profile: Profile) -> None:
    """Write the published neutrino results of a profile (``Profile.reference``) as a table of this project."""
    reference = profile.reference
    if reference is None:
        raise ProfileError(f"{os.fspath(path)}: the profile has no published neutrino results to write")
    radiation = {"radius": reference["radius"]}
    for name in _RADIATION:
        for species in SPECIES:
            radiation[f"{name}.{species}"] = reference[name][species]
    blocks = [radiation]
    if "heating_radius" in reference:
        blocks.append({"radius": reference["heating_radius"], **{name: reference[name] for name in _HEATING}})
    _write(Path(path), "neutrinos", profile, {}, blocks)


def read_reference(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a table of published neutrino results into the dict that :class:`Profile` describes.

    Raises
    ------
    ProfileError
        As :meth:`Profile.read_table`.
    """
    path = Path(path)
    header, blocks = _read(path, "neutrinos")
    reference: dict[str, Any] = {"citation": header.get("citation", ""), "title": header.get("title", "")}
    for block in blocks:
        wanted = list(_HEATING) if _HEATING[0] in block else [f"{q}.{s}" for q in _RADIATION for s in SPECIES]
        for name in ("radius", *wanted):
            if name not in block:
                raise ProfileError(f"{path}: column {name!r} is missing; found {', '.join(block)}")
        _require_increasing(path, "radius", block["radius"], 0.0)
        if _HEATING[0] in block:
            reference["heating_radius"] = block["radius"]
            reference.update({name: block[name] for name in _HEATING})
        else:
            reference["radius"] = block["radius"]
            for quantity in _RADIATION:
                reference[quantity] = {species: block[f"{quantity}.{species}"] for species in SPECIES}
    if "radius" not in reference:
        raise ProfileError(f"{path}: column 'luminosity.nu_e' is missing; found {', '.join(blocks[0])}")
    return reference


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether the file starts as a profile table of this project."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.readline(200).startswith(_MAGIC + "profile")
    except OSError:
        return False


def describe(profile: Profile) -> dict[str, Any]:
    """Summarize a profile for people: extents, time, range and unit of each field, mass, and what is missing."""
    present: dict[str, dict[str, Any]] = {}
    missing = []
    for field in fields(Fluid):
        value = getattr(profile.fluid, field.name)
        if value is None and field.name in ("heat_capacity", "energy_by_electron_fraction"):
            # a host's, for steps that its matter responds to
            continue
        if value is None:
            missing.append(field.name)
        else:
            present[field.name] = {
                "unit": _UNITS.get(field.name, "1"),
                "minimum": float(value.min()),
                "maximum": float(value.max()),
            }
    for name in ("lapse", "metric_gamma", "time", "reference"):
        value = getattr(profile, name)
        if value is None:
            missing.append(name)
        elif isinstance(value, np.ndarray):
            present[name] = {"unit": "1", "minimum": float(value.min()), "maximum": float(value.max())}
    mass = profile.total_mass()
    return {
        "format": "spherical profile",
        "title": profile.title,
        "citation": profile.citation,
        "notes": list(profile.notes),
        "cells": profile.size,
        "inner_radius [cm]": float(profile.faces[0]),
        "outer_radius [cm]": float(profile.faces[-1]),
        "time [s]": profile.time,
        "fields": present,
        "total_mass [g]": mass,
        "total_mass [solar masses]": mass / SOLAR_MASS,
        "joint": profile.joint,
        "missing": missing,
    }


def kelvin_to_mev(temperature: NDArray[np.float64]) -> NDArray[np.float64]:
    """Temperature in MeV from kelvin."""
    return temperature / KELVIN_PER_MEV


def _centroids(faces: NDArray[np.float64]) -> NDArray[np.float64]:
    inner, outer = faces[:-1], faces[1:]
    # (r2^4 - r1^4)/(r2^3 - r1^3) with the common factor taken out, which is exact for thin shells too
    numerator = (outer + inner) * (outer**2 + inner**2)
    return 0.75 * numerator / (outer**2 + outer * inner + inner**2)


def _sample(profile: Profile, radius: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Every field of a profile at the given radii."""
    center = profile.centers
    fluid = profile.fluid
    result = {}
    for name in ("mass_density", "temperature"):
        result[name] = np.exp(_interpolate(center, np.log(getattr(fluid, name)), radius, _monotone_cubic))
    result["velocity"] = _interpolate(center, fluid.velocity, radius, _monotone_cubic)
    linear = {"electron_fraction": fluid.electron_fraction}
    for name in (*_COMPOSITION[:4], "electron_chemical_potential", "nucleon_potential_difference"):
        if getattr(fluid, name) is not None:
            linear[name] = getattr(fluid, name)
    for name in ("lapse", "metric_gamma"):
        if getattr(profile, name) is not None:
            linear[name] = getattr(profile, name)
    for name, value in linear.items():
        sampled = _interpolate(center, value, radius, _linear)
        result[name] = np.clip(sampled, 0.0, 1.0) if name.endswith("_fraction") else sampled
    if fluid.heavy_fraction is not None and fluid.heavy_mass_number is not None:
        assert fluid.heavy_charge_number is not None
        weight = np.maximum(fluid.heavy_fraction, 1e-30)
        norm = _interpolate(center, weight, radius, _linear, flat=True)
        charge = weight * fluid.heavy_charge_number / np.maximum(fluid.heavy_mass_number, 1e-30)
        mass_number = _interpolate(center, weight * fluid.heavy_mass_number, radius, _linear, flat=True) / norm
        result["heavy_mass_number"] = mass_number
        # X_h Z/A is what carries charge: interpolating it keeps Ye = X_p + X_alpha/2 + X_h Z/A
        result["heavy_charge_number"] = mass_number * _interpolate(center, charge, radius, _linear, flat=True) / norm
    return result


def _interpolate(
    center: NDArray[np.float64],
    value: NDArray[np.float64],
    radius: NDArray[np.float64],
    method: Callable[..., NDArray[np.float64]],
    *,
    flat: bool = False,
) -> NDArray[np.float64]:
    """Interpolate in ln r; a parabola in r inside the first centre, a power law outside the last one."""
    if center.size == 1:
        return np.full_like(radius, value[0])
    x, at = np.log(center), np.log(np.maximum(radius, 1e-3 * center[0]))
    result = method(x, value, np.clip(at, x[0], x[-1]))
    if flat:
        return result
    inner, outer = radius < center[0], radius > center[-1]
    curvature = (value[1] - value[0]) / (center[1] ** 2 - center[0] ** 2)
    slope = (value[-1] - value[-2]) / (x[-1] - x[-2])
    result[inner] = value[0] + curvature * (radius[inner] ** 2 - center[0] ** 2)
    result[outer] = value[-1] + slope * (at[outer] - x[-1])
    return result


def _linear(x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(at, x, y)


def _monotone_cubic(x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic Hermite interpolant with the slopes of Fritsch and Butland (SIAM J. Sci. Stat. Comput. 5, 300, 1984).

    It has no extremum that the data have not.
    """
    step, secant = np.diff(x), np.diff(y) / np.diff(x)
    if secant.size == 1:
        return np.interp(at, x, y)
    slope = np.empty_like(y)
    left, right = 2.0 * step[1:] + step[:-1], step[1:] + 2.0 * step[:-1]
    turning = secant[:-1] * secant[1:] <= 0.0
    below, above = np.where(turning, 1.0, secant[:-1]), np.where(turning, 1.0, secant[1:])
    slope[1:-1] = np.where(turning, 0.0, (left + right) / (left / below + right / above))
    slope[0], slope[-1] = secant[0], secant[-1]
    cell = np.clip(np.searchsorted(x, at, side="right") - 1, 0, step.size - 1)
    h = step[cell]
    t = (at - x[cell]) / h
    value = (1.0 + 2.0 * t) * (1.0 - t) ** 2 * y[cell] + t * (1.0 - t) ** 2 * h * slope[cell]
    value += t**2 * (3.0 - 2.0 * t) * y[cell + 1] - t**2 * (1.0 - t) * h * slope[cell + 1]
    return np.asarray(value)


def _write(
    path: Path,
    kind: str,
    profile: Profile,
    header: dict[str, str],
    blocks: Sequence[dict[str, NDArray[np.float64]]],
) -> None:
    lines = [f"{_MAGIC}{kind}", f"# format_version: {FORMAT_VERSION}", f"# title: {profile.title}"]
    if profile.time is not None:
        lines.append(f"# time: {float(profile.time)!r} s")
    lines += [f"# citation: {line}" for line in profile.citation.splitlines()]
    lines += [f"# note: {line}" for note in profile.notes for line in note.splitlines()]
    lines += [f"# {key}: {value}" for key, value in header.items()]
    for block in blocks:
        rows = [[repr(float(value)) for value in column] for column in block.values()]
        lines.append(f"# rows: {len(rows[0])}")
        lines.append("# columns: " + " | ".join(f"{n} [{_UNITS.get(n.split('.')[0], '1')}]" for n in block))
        lines += [" ".join(row) for row in zip(*rows, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read(path: Path, kind: str) -> tuple[dict[str, str], list[dict[str, NDArray[np.float64]]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: cannot be read as text: {error}") from None
    lines = text.splitlines()
    if not lines or not lines[0].startswith(_MAGIC + kind):
        raise ProfileError(f"{path}: line 1 is not {_MAGIC + kind!r}; this is not a {kind} table of misci_transport")
    if not text.endswith("\n"):
        # A file cut inside its last number would otherwise pass with a wrong value.
        raise ProfileError(f"{path}: truncated at line {len(lines)}: it does not end with a newline")
    header: dict[str, str] = {}
    blocks: list[tuple[list[str], list[list[float]], int]] = []
    for number, line in enumerate(lines[1:], start=2):
        match = re.match(r"#\s*(\w+):\s*(.*?)\s*$", line)
        if match and match[1] == "columns":
            expected = int(_number(path, "rows", header.pop("rows", "-1")))
            blocks.append((_column_names(path, number, match[2]), [], expected))
        elif match:
            key, text = match[1], match[2]
            header[key] = f"{header[key]}\n{text}" if key in header and key in ("citation", "note") else text
        elif line.strip() and not line.startswith("#"):
            if not blocks:
                raise ProfileError(f"{path}: line {number}: numbers before any '# columns:' line")
            names, rows, _ = blocks[-1]
            rows.append(_row(path, number, line, names))
    if header.get("format_version") != str(FORMAT_VERSION):
        found = header.get("format_version", "none")
        raise ProfileError(f"{path}: format_version is {found}; accepted: {FORMAT_VERSION}")
    if not blocks:
        raise ProfileError(f"{path}: no '# columns:' line; the file is truncated")
    for _, rows, expected in blocks:
        if not rows or len(rows) != expected:
            raise ProfileError(
                f"{path}: truncated at line {len(lines)}: {len(rows)} rows of numbers, the header promises {expected}"
            )
    return header, [dict(zip(names, np.array(rows).T.copy(), strict=True)) for names, rows, _ in blocks]


def _column_names(path: Path, number: int, text: str) -> list[str]:
    names = []
    for item in text.split("|"):
        match = re.fullmatch(r"\s*([\w.]+)\s*\[([^\]]*)\]\s*", item)
        if not match:
            raise ProfileError(f"{path}: line {number}: column {item.strip()!r}; accepted: name [unit]")
        unit = _UNITS.get(match[1].split(".")[0], "1")
        if match[2] != unit:
            raise ProfileError(f"{path}: line {number}: column {match[1]!r} is in [{match[2]}]; accepted: [{unit}]")
        names.append(match[1])
    return names


def _row(path: Path, number: int, line: str, names: list[str]) -> list[float]:
    words = line.split()
    if len(words) != len(names):
        column = names[len(words)] if len(words) < len(names) else "after the last one"
        raise ProfileError(
            f"{path}: line {number}: {len(words)} numbers, expected {len(names)} (first wrong column: {column})"
        )
    values = []
    for name, word in zip(names, words, strict=True):
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ProfileError(f"{path}: line {number}: column {name!r} is {word!r}; accepted: a finite number")
        values.append(value)
    return values


def _require_increasing(path: Path, name: str, values: NDArray[np.float64], start: float) -> None:
    good = np.diff(values, prepend=start) > 0.0
    if not good.all():
        row = int(np.argmin(good))
        raise ProfileError(
            f"{path}: column {name!r} is {float(values[row])!r} in row {row + 1}; accepted: increasing radii greater "
            f"than {start!r}"
        )


def _number(path: Path, key: str, text: str) -> float:
    try:
        return float(text.split()[0])
    except (ValueError, IndexError):
        raise ProfileError(f"{path}: header {key!r} is {text!r}; accepted: a number") from None
