"""Rates from an opacity table in the HDF5 layout of NuLib (O'Connor 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...constants import ERG_PER_MEV, HBAR_C, PHASE_SPACE, SPEED_OF_LIGHT
from ...energy import EnergyGrid
from ...errors import MissingDependencyError, TableError
from ...numbering import global_number
from ...rates import EnergyCoupling, Rates
from .equation_of_state import electron_chemical_potential

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...fluid import Fluid

#: Number of species in the table -> (index in the table, how many species its emissivity sums) by (species, flavour).
_SCHEMES: dict[int, tuple[tuple[tuple[int, int], ...], ...]] = {
    3: (((0, 1), (2, 4), (2, 4)), ((1, 1), (2, 4), (2, 4))),
    4: (((0, 1), (2, 2), (2, 2)), ((1, 1), (3, 2), (3, 2))),
    6: (((0, 1), (2, 1), (4, 1)), ((1, 1), (3, 1), (5, 1))),
}

_NEEDED = (
    "rho_points",
    "temp_points",
    "ye_points",
    "neutrino_energies",
    "bin_bottom",
    "bin_top",
    "emissivities",
    "absorption_opacity",
    "scattering_opacity",
)
_OPTIONAL = (
    "scattering_delta",
    "temp_Ipoints",
    "eta_Ipoints",
    "inelastic_phi0",
    "inelastic_phi1",
    "epannihil_phi0",
    "epannihil_phi1",
)

_LEAST_OPACITY = 1.0e-60  # cm^-1: keeps the logarithm finite
_EMPTY_OPACITY = 1.0e-28  # cm^-1: NuLib's own floor is 1e-30, where emissivity and opacity no longer belong together
_LEAST_KERNEL = 1.0e-200  # cm^3/s


@dataclass(frozen=True)
class NuLibTable:
    """An opacity table in memory; axes (density, temperature, electron fraction, table species, group)."""

    path: Path
    density: NDArray[np.float64]  #: (n_density,) g cm^-3
    temperature: NDArray[np.float64]  #: (n_temperature,) MeV
    electron_fraction: NDArray[np.float64]  #: (n_electron_fraction,)
    edge: NDArray[np.float64]  #: (group + 1,) MeV
    scheme: tuple[tuple[tuple[int, int], ...], ...]  #: (table index, species summed) by species and flavour
    log_opacity: NDArray[np.float64]  #: ln of the stimulated-corrected absorption opacity, cm^-1
    chemical_potential: NDArray[np.float64]  #: MeV, of the equilibrium that emissivity and opacity define
    log_scattering: NDArray[np.float64]  #: ln of the scattering opacity, cm^-1
    scattering_asymmetry: NDArray[np.float64] | None  #: delta of a kernel in proportion to 1 + delta cos(theta)
    kernel_temperature: NDArray[np.float64] | None  #: (n,) MeV
    kernel_degeneracy: NDArray[np.float64] | None  #: (n,) mu_e / T
    inelastic: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """ln Phi_0 (cm^3/s) and Phi_1/Phi_0 of out-scattering: (temperature, degeneracy, species, group, group')."""
    annihilation: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """ln Phi_0 (cm^3/s) and Phi_1/Phi_0 of annihilation: (temperature, degeneracy, species, group, group')."""

    @classmethod
    def open(cls, path: str | Path) -> NuLibTable:
        """Read a table.

        Raises
        ------
        MissingDependencyError
            If h5py cannot be imported.
        TableError
            If the file cannot be read, lacks a dataset or has an unknown number of species.
        """
        try:
            import h5py
        except ImportError as error:
            raise MissingDependencyError("reading a NuLib table needs h5py, which cannot be imported") from error
        path = Path(path)
        try:
            with h5py.File(path, "r") as file:
                data = {name: np.asarray(file[name], dtype=np.float64) for name in file if name in _NEEDED + _OPTIONAL}
        except OSError as error:
            raise TableError(f"NuLib table {path} cannot be read: {error}") from error
        return cls._from_data(path, data)

    @classmethod
    def _from_data(cls, path: Path, data: dict[str, NDArray[np.float64]]) -> NuLibTable:
        missing = [name for name in _NEEDED if name not in data]
        if missing:
            raise TableError(f"NuLib table {path} has no dataset {', '.join(missing)}")
        points = [data[name] for name in ("rho_points", "temp_points", "ye_points")]
        edge = np.append(data["bin_bottom"], data["bin_top"][-1])
        if not np.allclose(edge[1:], data["bin_top"], rtol=1e-10) or not (np.diff(edge) > 0.0).all():
            raise TableError(f"NuLib table {path}: energy groups bin_bottom, bin_top are not adjacent and increasing")
        for name, values in zip(_NEEDED[:3], points, strict=True):
            if values.size < 2 or not (np.diff(values) > 0.0).all():
                raise TableError(f"NuLib table {path}: {name} is not an increasing sequence of two or more values")
        species = data["emissivities"].shape[1] if data["emissivities"].ndim == 5 else 0
        if species not in _SCHEMES:
            raise TableError(f"NuLib table {path} has {species} species; accepted: {', '.join(map(str, _SCHEMES))}")
        shape = (edge.size - 1, species, points[2].size, points[1].size, points[0].size)
        for name in _NEEDED[6:]:
            if data[name].shape != shape:
                raise TableError(f"NuLib table {path}: {name} has shape {data[name].shape}, expected {shape}")
        scheme = _SCHEMES[species]
        opacity = cls._order(data["absorption_opacity"])
        share = np.ones(species)
        for row in scheme:
            for index, number in row:
                share[index] = number
        emissivity = cls._order(data["emissivities"]) / share[:, None]
        delta = data.get("scattering_delta")
        kernel_temperature = data.get("temp_Ipoints")
        kernel_degeneracy = data.get("eta_Ipoints")
        has_kernels = kernel_temperature is not None and kernel_degeneracy is not None
        inelastic = None
        annihilation = None
        if has_kernels and "inelastic_phi0" in data and "inelastic_phi1" in data:
            inelastic = cls._kernel(data["inelastic_phi0"], data["inelastic_phi1"])
        if has_kernels and "epannihil_phi0" in data and "epannihil_phi1" in data:
            annihilation = cls._kernel(data["epannihil_phi0"][1], data["epannihil_phi1"][1])
        return cls(
            path=path,
            density=points[0],
            temperature=points[1],
            electron_fraction=points[2],
            edge=edge,
            scheme=scheme,
            log_opacity=np.log(np.maximum(opacity, _LEAST_OPACITY)),
            chemical_potential=cls._equilibrium(emissivity, opacity, points[1], 0.5 * (edge[1:] + edge[:-1])),
            log_scattering=np.log(np.maximum(cls._order(data["scattering_opacity"]), _LEAST_OPACITY)),
            scattering_asymmetry=None if delta is None else cls._order(delta),
            kernel_temperature=kernel_temperature,
            kernel_degeneracy=kernel_degeneracy,
            inelastic=inelastic,
            annihilation=annihilation,
        )

    @staticmethod
    def _order(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(group, species, Y_e, T, density) -> (density, T, Y_e, species, group)."""
        return np.ascontiguousarray(values.T)

    @staticmethod
    def _kernel(zero: NDArray[np.float64], one: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(group', species, group, degeneracy, T) -> ln Phi_0, Phi_1/Phi_0 (T, degeneracy, species, group, group')."""
        zero = np.maximum(np.transpose(zero, (4, 3, 1, 2, 0)), _LEAST_KERNEL)
        ratio = np.transpose(one, (4, 3, 1, 2, 0)) / zero
        return np.log(zero), np.clip(ratio, -1.0, 1.0)

    @staticmethod
    def _equilibrium(
        emissivity: NDArray[np.float64],
        opacity: NDArray[np.float64],
        temperature: NDArray[np.float64],
        energy: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return mu of emissivity = kappa* B, B = E^3 c/(2 pi hbar c)^3 / (exp((E - mu)/T) + 1), in MeV.

        Where emissivity or opacity is at its floor, or f_eq rounds to 0 or 1, mu is that of the group closest
        to f = 1/2. Shapes are those of the tables.
        """
        unit = energy**3 * SPEED_OF_LIGHT / (2.0 * np.pi * HBAR_C) ** 3 * ERG_PER_MEV
        f = emissivity / unit / np.maximum(opacity, _LEAST_OPACITY)
        good = (opacity > _EMPTY_OPACITY) & (f > 1e-250) & (f < 1.0 - 1e-12)
        f = np.where(good, f, 0.5)
        x = np.log1p(-f) - np.log(f)
        mu = energy - temperature[:, None, None, None] * x
        best = np.argmin(np.where(good, np.abs(x), np.inf), axis=-1)[..., None]
        reference = np.where(good.any(axis=-1, keepdims=True), np.take_along_axis(mu, best, axis=-1), 0.0)
        return np.where(good, mu, reference)

    def energy_grid(self) -> EnergyGrid:
        """Return the energy groups of the table."""
        return EnergyGrid.from_edges(self.edge)

    def rates(self, fluid: Fluid, energy: EnergyGrid, numbers: NDArray[np.int64] | None = None) -> Rates:
        """kappa* = j + absorption interpolated in its logarithm, j = kappa* / (exp((E - mu)/T) + 1); all in cm^-1.

        mu is interpolated from the table and T is the fluid's: detailed balance holds between the table's points.
        Energy couplings are added where the table has kernels; mu_e comes from the fluid or else from the built-in
        electron gas.

        Parameters
        ----------
        fluid, energy
            Matter, and the groups of `energy_grid`.
        numbers
            Global numbers of the fluid's cells, for messages; None: they are the whole mesh.

        Raises
        ------
        TableError
            If the groups are not the table's, or a cell lies outside the table.
        UnphysicalInputError
            If a field of the fluid is outside its physical range.
        """
        fluid.validate(numbers)
        if energy.edge.shape != self.edge.shape or not np.allclose(energy.edge, self.edge, rtol=1e-8):
            raise TableError(
                f"{energy.size} energy groups with edges {energy.edge[0]:g} ... {energy.edge[-1]:g} MeV are not those "
                f"of NuLib table {self.path}: {self.edge.size - 1} groups, {self.edge[0]:g} ... {self.edge[-1]:g} MeV"
            )
        where = [
            self._locate("mass_density", "g/cc", np.log(self.density), fluid.mass_density, numbers, log=True),
            self._locate("temperature", "MeV", np.log(self.temperature), fluid.temperature, numbers, log=True),
            self._locate("electron_fraction", "", self.electron_fraction, fluid.electron_fraction, numbers),
        ]
        center = 0.5 * (self.edge[1:] + self.edge[:-1])
        opacity = np.exp(_interpolate(self.log_opacity, where))
        exponent = (center - _interpolate(self.chemical_potential, where)) / fluid.temperature[:, None, None]
        tail = np.exp(-np.abs(exponent))
        filled = np.where(exponent > 0.0, tail, 1.0) / (1.0 + tail)
        empty = np.where(exponent > 0.0, 1.0, tail) / (1.0 + tail)
        scattering = np.exp(_interpolate(self.log_scattering, where))
        rates = Rates.zero(fluid.size, energy.size)
        for species, row in enumerate(self.scheme):
            for flavour, (index, _) in enumerate(row):
                rates.emissivity[:, species, flavour] = (opacity * filled)[:, index]
                rates.absorption[:, species, flavour] = (opacity * empty)[:, index]
            rates.scattering_0[:, species] = scattering[:, row[0][0]]
            if self.scattering_asymmetry is not None:
                delta = _interpolate(self.scattering_asymmetry, where)[:, row[0][0]]
                rates.scattering_1[:, species] = rates.scattering_0[:, species] * delta / 3.0
        if self.inelastic is not None or self.annihilation is not None:
            rates.coupling.extend(self._couplings(fluid, energy, numbers))
        return rates

    def _couplings(self, fluid: Fluid, energy: EnergyGrid, numbers: NDArray[np.int64] | None) -> list[EnergyCoupling]:
        """first_l[g, g'] = weight' Phi_l / (4 pi^2 (hbar c)^3 c); the rest by detailed balance at the fluid's T."""
        if self.kernel_temperature is None or self.kernel_degeneracy is None:
            return []
        potential = fluid.electron_chemical_potential
        if potential is None:
            potential = electron_chemical_potential(fluid.mass_density, fluid.temperature, fluid.electron_fraction)
        # At mu_e = 0 the kernels have a limit, which the lowest point of the table stands for.
        degeneracy = np.maximum(potential / fluid.temperature, self.kernel_degeneracy[0])
        where = [
            self._locate("temperature", "MeV", np.log(self.kernel_temperature), fluid.temperature, numbers, log=True),
            self._locate("mu_e / temperature", "", np.log(self.kernel_degeneracy), degeneracy, numbers, log=True),
        ]
        center = 0.5 * (self.edge[1:] + self.edge[:-1])
        temperature = fluid.temperature[:, None, None]
        unit = PHASE_SPACE / SPEED_OF_LIGHT
        made = []
        indices = np.array([[index for index, _ in row] for row in self.scheme])
        if self.inelastic is not None:
            zero = np.exp(_interpolate(self.inelastic[0], where)) * unit
            moments = np.stack([zero, zero * _interpolate(self.inelastic[1], where)], axis=2)
            down = np.tril(moments)
            strict = np.tril(moments, -1)
            up = np.swapaxes(strict, -1, -2)
            # Up-scattering group -> group' > group is exp(-(E' - E)/T) times its reverse.
            factor = np.exp(np.minimum(center[:, None] - center, 0.0) / temperature)[:, None, None]
            out = down + up * factor
            for index in np.unique(indices):
                first = out[:, index] * energy.weight
                second = np.swapaxes(out[:, index], -1, -2) * energy.weight
                amplitude = (indices == index).astype(np.float64)
                made.append(EnergyCoupling(f"nulib_inelastic_{index}", "scattering", amplitude, first, second))
        if self.annihilation is not None:
            zero = np.exp(_interpolate(self.annihilation[0], where)) * unit
            moments = np.stack([zero, zero * _interpolate(self.annihilation[1], where)], axis=2)
            balance = np.exp(-(center[:, None] + center) / temperature)[:, None]
            for index in np.unique(indices[0]):
                second = moments[:, index] * energy.weight
                amplitude = np.tile((indices[0] == index).astype(np.float64), (2, 1))
                made.append(EnergyCoupling(f"nulib_pair_{index}", "pair", amplitude, second * balance, second))
        return made

    def _locate(
        self,
        name: str,
        unit: str,
        points: NDArray[np.float64],
        values: NDArray[np.float64],
        numbers: NDArray[np.int64] | None,
        log: bool = False,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Index of the lower neighbour and the weight of the upper one, (cell,) each."""
        x = np.log(values) if log else values
        slack = 1e-12 * max(1.0, float(np.abs(points).max()))
        good = (x >= points[0] - slack) & (x <= points[-1] + slack)
        if not good.all():
            cell = int(np.argmin(good))
            low, high = (np.exp(points[[0, -1]]) if log else points[[0, -1]]).tolist()
            raise TableError(
                f"{name} in cell {global_number(numbers, cell)} is {values[cell]:g} {unit}".rstrip()
                + f"; NuLib table {self.path} covers [{low:g}, {high:g}]"
            )
        lower = np.clip(np.searchsorted(points, x, side="right") - 1, 0, points.size - 2)
        fraction = np.clip((x - points[lower]) / (points[lower + 1] - points[lower]), 0.0, 1.0)
        return lower, fraction


def _interpolate(
    table: NDArray[np.float64], where: list[tuple[NDArray[np.int64], NDArray[np.float64]]]
) -> NDArray[np.float64]:
    """Multilinear interpolation over the leading axes of a table: (cell, trailing axes)."""
    total = np.zeros((where[0][0].size, *table.shape[len(where) :]))
    trailing = (1,) * (table.ndim - len(where))
    for corner in range(2 ** len(where)):
        weight = np.ones(where[0][0].size)
        index = []
        for axis, (lower, fraction) in enumerate(where):
            upper = (corner >> axis) & 1
            weight = weight * (fraction if upper else 1.0 - fraction)
            index.append(lower + upper)
        total += weight.reshape(-1, *trailing) * table[tuple(index)]
    return total
