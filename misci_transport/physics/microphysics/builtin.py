"""The built-in analytic rates: Bruenn 1985 and later additions, on the composition and potentials of the fluid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...kernels.charged_current import charged_current
from ...kernels.nucleon_scattering import nucleon_scattering
from ...kernels.nucleus_scattering import nucleus_scattering
from ...rates import ANTINEUTRINO, ELECTRON, NEUTRINO, Rates
from .equation_of_state import LEAST_FRACTION, baryon_density, complete

if TYPE_CHECKING:
    from ...energy import EnergyGrid
    from ...fluid import Fluid


@dataclass(frozen=True)
class BuiltinOptions:
    """Which processes the built-in rates contain."""

    charged_current: bool = True  #: nu_e + n <-> p + e-, nubar_e + p <-> n + e+
    nucleon_scattering: bool = True  #: isoenergetic, on free neutrons and protons
    nucleus_scattering: bool = True  #: coherent, on alpha particles and the representative nucleus
    electron_scattering: bool = True  #: inelastic, on electrons and positrons
    pair: bool = True  #: e- + e+ <-> nu + nubar
    bremsstrahlung: bool = True  #: N + N <-> N + N + nu + nubar
    weak_magnetism: bool = False  #: weak magnetism and recoil of the charged current (Horowitz 2002)
    nucleon_potential: bool = True  #: symmetry potential in muhat, where the fluid gives no muhat itself


def builtin_rates(fluid: Fluid, energy: EnergyGrid, options: BuiltinOptions | None = None) -> Rates:
    """Rates of every switched-on process at the group centres, cm^-1 (shapes: see `Rates`).

    Optional fields that the fluid lacks are filled in by the built-in equation of state (`complete`).

    Raises
    ------
    UnphysicalInputError
        If a field of the fluid is outside its physical range.
    """
    options = options or BuiltinOptions()
    fluid = complete(fluid, options)
    rates = Rates.zero(fluid.size, energy.size)
    baryons = baryon_density(fluid)
    center = np.ascontiguousarray(energy.center, dtype=np.float64)
    neutrons = baryons * fluid.neutron_fraction
    protons = baryons * fluid.proton_fraction
    if options.charged_current:
        emissivity = np.empty((fluid.size, 2, energy.size))
        absorption = np.empty_like(emissivity)
        charged_current(
            fluid.mass_density,
            fluid.temperature,
            np.maximum(neutrons, LEAST_FRACTION * baryons),
            np.maximum(protons, LEAST_FRACTION * baryons),
            fluid.electron_chemical_potential,
            fluid.nucleon_potential_difference,
            center,
            options.weak_magnetism,
            emissivity,
            absorption,
        )
        rates.emissivity[:, :, ELECTRON] = emissivity
        rates.absorption[:, :, ELECTRON] = absorption
    zero = np.zeros((fluid.size, energy.size))
    one = np.zeros_like(zero)
    if options.nucleon_scattering:
        nucleon_scattering(fluid.temperature, neutrons, protons, center, zero, one)
    if options.nucleus_scattering:
        two = np.full(fluid.size, 2.0)
        nucleus_scattering(baryons * fluid.alpha_fraction / 4.0, 2.0 * two, two, center, zero, one)
        number = baryons * fluid.heavy_fraction / np.maximum(fluid.heavy_mass_number, 1.0)
        nucleus_scattering(number, fluid.heavy_mass_number, fluid.heavy_charge_number, center, zero, one)
    for species in (NEUTRINO, ANTINEUTRINO):
        rates.scattering_0[:, species] = zero
        rates.scattering_1[:, species] = one
    return rates
