"""The parts of the neutrino Hamiltonian that do not depend on the neutrinos: vacuum term and matter potential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..constants import ATOMIC_MASS_UNIT, EV2_TO_MEV2, FERMI_POTENTIAL, HBAR_C, SPEED_OF_LIGHT
from ..flavor import check_flavor_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..energy import EnergyGrid
    from ..flavor import MixingParameters
    from ..fluid import Fluid


def vacuum_hamiltonian(mixing: MixingParameters, energy: EnergyGrid, n_flavors: int) -> NDArray[np.float64]:
    """M^2 / (2 E_g hbar c): packed, (group, N_f^2), cm^-1, traceless; sign of neutrinos.

    Raises
    ------
    ConfigurationError
        If n_flavors is not 2 or 3.
    """
    mass_squared = mixing.mass_squared_matrix(n_flavors) * EV2_TO_MEV2
    return np.ascontiguousarray(mass_squared / (2.0 * energy.center[:, np.newaxis] * HBAR_C))


def matter_potential(fluid: Fluid) -> NDArray[np.float64]:
    """V = sqrt 2 G_F n_e with n_e = Y_e mass_density / m_u, net electrons: (cell,), cm^-1."""
    return FERMI_POTENTIAL * fluid.electron_fraction * fluid.mass_density / ATOMIC_MASS_UNIT


def matter_beta(fluid: Fluid) -> NDArray[np.float64]:
    """Radial velocity of matter over c: (cell,)."""
    return fluid.velocity / SPEED_OF_LIGHT


@dataclass(frozen=True)
class Hamiltonian:
    """H = (+1 nu, -1 nubar) vacuum + V (1 - beta mu) diag(1, 0, 0) + strength (D_0 - mu D_1).

    Johns, arXiv:2306.14982, Eqs. (2)-(4), in cm^-1, without the part that is proportional to the identity.
    """

    n_flavors: int
    vacuum: NDArray[np.float64]  #: (group, N_f^2) packed, cm^-1
    self_interaction: bool = True  #: whether neutrinos act on neutrinos
    matter: bool = True  #: whether matter acts on neutrinos

    def __post_init__(self) -> None:
        check_flavor_count(self.n_flavors)

    @classmethod
    def build(
        cls,
        mixing: MixingParameters,
        energy: EnergyGrid,
        n_flavors: int,
        *,
        self_interaction: bool = True,
        matter: bool = True,
    ) -> Hamiltonian:
        """The Hamiltonian of the given mixing parameters on the given energy groups.

        Raises
        ------
        ConfigurationError
            If n_flavors is not 2 or 3.
        """
        return cls(n_flavors, vacuum_hamiltonian(mixing, energy, n_flavors), self_interaction, matter)

    @property
    def strength(self) -> float:
        """The coupling sqrt 2 G_F in cm^2 (times D in cm^-3: cm^-1), or zero without self-interaction."""
        return FERMI_POTENTIAL if self.self_interaction else 0.0

    def matter_potential(self, fluid: Fluid) -> NDArray[np.float64]:
        """V of each cell in cm^-1, zero if matter is switched off."""
        return matter_potential(fluid) if self.matter else np.zeros(fluid.size)
