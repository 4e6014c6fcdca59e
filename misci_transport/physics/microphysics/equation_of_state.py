"""The built-in equation of state: what a standalone run needs when the host gives no composition or potentials.

It is an ideal gas with one symmetry potential, not a nuclear equation of state: see docs/microphysics.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...constants import ATOMIC_MASS_UNIT, NEUTRON_PROTON_MASS_DIFFERENCE
from ...errors import UnphysicalInputError
from ...kernels.fermi_gas import fill_electron_chemical_potential, fill_nucleon_difference
from ...kernels.saha import fill_saha

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...fluid import Fluid
    from .builtin import BuiltinOptions

#: MeV cm^3; potential of (n_n - n_p) in muhat, the symmetry potential of Lattimer and Swesty 1991.
SYMMETRY_POTENTIAL = 428.4e-39

#: Least free-nucleon fraction that enters a chemical potential: keeps ln X finite where a code rounds X to zero.
LEAST_FRACTION = 1.0e-20


def given(fluid: Fluid, name: str) -> NDArray[np.float64]:
    """Return an optional field of the fluid, (cell,).

    Raises
    ------
    UnphysicalInputError
        If the fluid lacks it.
    """
    value: NDArray[np.float64] | None = getattr(fluid, name)
    if value is None:
        raise UnphysicalInputError(f"fluid field {name} is missing: complete the fluid with the equation of state")
    return value


def baryon_density(fluid: Fluid) -> NDArray[np.float64]:
    """n_B = mass_density / atomic mass unit, (cell,) cm^-3."""
    return fluid.mass_density / ATOMIC_MASS_UNIT


def electron_chemical_potential(
    mass_density: NDArray[np.float64], temperature: NDArray[np.float64], electron_fraction: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve n(e-) - n(e+) = Y_e n_B of the relativistic Fermi gas for mu_e.

    Arguments (cell,) in g cm^-3, MeV, electrons per baryon; returns (cell,) MeV with the rest mass.
    Relative error below 1e-9 for 1e-12 to 1e15 g cm^-3 and 1e-4 to 100 MeV.
    """
    density = np.ascontiguousarray(mass_density * electron_fraction / ATOMIC_MASS_UNIT, dtype=np.float64)
    out = np.empty_like(density)
    fill_electron_chemical_potential(density, np.ascontiguousarray(temperature, dtype=np.float64), out)
    return out


def nucleon_potential_difference(
    mass_density: NDArray[np.float64],
    temperature: NDArray[np.float64],
    neutron_fraction: NDArray[np.float64],
    proton_fraction: NDArray[np.float64],
    nucleon_potential: bool = True,
) -> NDArray[np.float64]:
    """Return muhat = mu_n - mu_p of two ideal Fermi gases (+ 428.4 MeV fm^3 (n_n - n_p)), without rest masses.

    Arguments (cell,) in g cm^-3, MeV, mass fractions; returns (cell,) MeV. Fractions below 1e-20 count as 1e-20.
    """
    baryons = mass_density / ATOMIC_MASS_UNIT
    out = np.empty_like(baryons)
    fill_nucleon_difference(
        baryons * np.maximum(neutron_fraction, LEAST_FRACTION),
        baryons * np.maximum(proton_fraction, LEAST_FRACTION),
        np.ascontiguousarray(temperature, dtype=np.float64),
        SYMMETRY_POTENTIAL if nucleon_potential else 0.0,
        out,
    )
    return out


def composition(
    mass_density: NDArray[np.float64], temperature: NDArray[np.float64], electron_fraction: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Saha equilibrium of n, p, alpha and a nucleus of A = 56 and Z/A = Y_e within [0.35, 0.5].

    Arguments (cell,) in g cm^-3, MeV; returns (6, cell): X_n, X_p, X_alpha, X_heavy, A, Z. Above about
    8e13 g cm^-3 all is free nucleons; below 0.05 MeV the answer is that of 0.05 MeV.
    """
    out = np.empty((6, mass_density.size))
    fill_saha(
        np.ascontiguousarray(mass_density, dtype=np.float64),
        np.ascontiguousarray(mass_density / ATOMIC_MASS_UNIT, dtype=np.float64),
        np.ascontiguousarray(temperature, dtype=np.float64),
        np.ascontiguousarray(electron_fraction, dtype=np.float64),
        out,
    )
    return out


def complete(fluid: Fluid, options: BuiltinOptions | None = None, numbers: NDArray[np.int64] | None = None) -> Fluid:
    """Return a fluid with every optional field present; what the fluid already gives is kept.

    numbers are the global ones of the cells, for messages.

    Raises
    ------
    UnphysicalInputError
        If a field is outside its physical range.
    """
    fluid.validate(numbers)
    changes: dict[str, NDArray[np.float64]] = {}
    if not fluid.has_composition:
        names = (
            "neutron_fraction",
            "proton_fraction",
            "alpha_fraction",
            "heavy_fraction",
            "heavy_mass_number",
            "heavy_charge_number",
        )
        values = composition(fluid.mass_density, fluid.temperature, fluid.electron_fraction)
        changes.update({name: values[i].copy() for i, name in enumerate(names)})
        fluid = replace(fluid, **changes)
    changes = {}
    if fluid.electron_chemical_potential is None:
        changes["electron_chemical_potential"] = electron_chemical_potential(
            fluid.mass_density, fluid.temperature, fluid.electron_fraction
        )
    if fluid.nucleon_potential_difference is None:
        changes["nucleon_potential_difference"] = nucleon_potential_difference(
            fluid.mass_density,
            fluid.temperature,
            given(fluid, "neutron_fraction"),
            given(fluid, "proton_fraction"),
            nucleon_potential=options is None or options.nucleon_potential,
        )
    return replace(fluid, **changes)


def neutrino_chemical_potential(fluid: Fluid) -> NDArray[np.float64]:
    """mu_nu = mu_e - Q - muhat in beta equilibrium, (cell,) MeV.

    Raises
    ------
    UnphysicalInputError
        If the fluid has no chemical potentials (see `complete`).
    """
    difference = given(fluid, "nucleon_potential_difference") + NEUTRON_PROTON_MASS_DIFFERENCE
    return given(fluid, "electron_chemical_potential") - difference
