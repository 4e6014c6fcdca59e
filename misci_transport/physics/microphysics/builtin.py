"""The built-in analytic rates: Bruenn 1985 and later additions, on the composition and potentials of the fluid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...constants import WEAK_MIXING
from ...kernels.bremsstrahlung import bremsstrahlung
from ...kernels.charged_current import charged_current
from ...kernels.electron_scattering import electron_scattering
from ...kernels.nucleon_scattering import nucleon_scattering
from ...kernels.nucleus_scattering import nucleus_scattering
from ...kernels.pair_process import pair_process
from ...rates import ANTINEUTRINO, ELECTRON, NEUTRINO, EnergyCoupling, Rates
from .equation_of_state import LEAST_FRACTION, baryon_density, complete, given

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def electron_couplings() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """C_V + C_A and C_V - C_A of nu_e, nu_mu, nu_tau with electrons, (flavour,) each.

    C_V = 1/2 + 2 sin^2 theta_W and C_A = 1/2 for nu_e, both less by 1 for the others.
    """
    charged = np.array([1.0, 0.0, 0.0])
    vector = -0.5 + 2.0 * WEAK_MIXING + charged
    axial = -0.5 + charged
    return vector + axial, vector - axial


def builtin_rates(
    fluid: Fluid, energy: EnergyGrid, options: BuiltinOptions | None = None, numbers: NDArray[np.int64] | None = None
) -> Rates:
    """Rates of every switched-on process at the group centres, cm^-1 (shapes: see `Rates`).

    Optional fields that the fluid lacks are filled in by the built-in equation of state (`complete`).
    numbers are the global ones of the cells, for messages.

    Raises
    ------
    UnphysicalInputError
        If a field of the fluid is outside its physical range.
    """
    options = options or BuiltinOptions()
    fluid = complete(fluid, options, numbers)
    rates = Rates.zero(fluid.size, energy.size)
    baryons = baryon_density(fluid)
    center = np.ascontiguousarray(energy.center, dtype=np.float64)
    neutrons = baryons * given(fluid, "neutron_fraction")
    protons = baryons * given(fluid, "proton_fraction")
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
        nucleus_scattering(baryons * given(fluid, "alpha_fraction") / 4.0, 2.0 * two, two, center, zero, one)
        mass_number = given(fluid, "heavy_mass_number")
        number = baryons * given(fluid, "heavy_fraction") / np.maximum(mass_number, 1.0)
        nucleus_scattering(number, mass_number, given(fluid, "heavy_charge_number"), center, zero, one)
    for species in (NEUTRINO, ANTINEUTRINO):
        rates.scattering_0[:, species] = zero
        rates.scattering_1[:, species] = one
    weight = np.ascontiguousarray(energy.weight, dtype=np.float64)
    matter = (fluid.temperature, fluid.electron_chemical_potential, center, weight)
    left, right = electron_couplings()
    shape = (fluid.size, 2, energy.size, energy.size)
    if options.electron_scattering:
        arrays = [np.empty(shape) for _ in range(4)]
        electron_scattering(*matter, *arrays)
        # For antineutrinos the left- and the right-handed electron exchange their parts.
        for name, neutrino, antineutrino, i in (("I", left, right, 0), ("II", right, left, 2)):
            amplitude = np.stack([neutrino, antineutrino])
            rates.coupling.append(
                EnergyCoupling(f"electron_scattering_{name}", "scattering", amplitude, arrays[i], arrays[i + 1])
            )
    if options.pair:
        arrays = [np.empty(shape) for _ in range(4)]
        pair_process(*matter, *arrays)
        for name, coupling, i in (("I", left, 0), ("II", right, 2)):
            amplitude = np.stack([coupling, coupling])
            rates.coupling.append(EnergyCoupling(f"pair_{name}", "pair", amplitude, arrays[i], arrays[i + 1]))
    if options.bremsstrahlung:
        first, second = np.empty(shape), np.empty(shape)
        bremsstrahlung(fluid.temperature, neutrons, protons, center, weight, first, second)
        rates.coupling.append(EnergyCoupling("bremsstrahlung", "pair", np.ones((2, 3)), first, second))
    return rates
