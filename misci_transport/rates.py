"""Interaction rates of neutrinos with matter on the cells of a mesh: the data that collisions work on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEUTRINO, ANTINEUTRINO = 0, 1  #: index of the species axis
ELECTRON, MUON, TAU = 0, 1, 2  #: index of the flavour axis


@dataclass
class EnergyCoupling:
    """One process that couples energy groups, with an amplitude for each species and flavour.

    With J = 1/2 int f dmu and H = 1/2 int mu f dmu, for a flavour-diagonal field of one flavour with
    amplitude g (kernels: shape (cell, l = 0 or 1, group, group'), cm^-1, phase-space weight of group'
    included, amplitude not included):

    ``kind = "scattering"`` (first = out, second = in; f and f' of the same species)
        gain_g(mu) = g^2 sum_g' (second_0 J'_g' + 3 mu second_1 H'_g')
        loss_g(mu) = g^2 sum_g' (first_0 (1 - J'_g') - 3 mu first_1 H'_g')
        number conservation: weight_g first[g, g'] = weight_g' second[g', g]
    ``kind = "pair"`` (first = production, second = annihilation; f' of the opposite species);
    kernels are written for the neutrino (group) with its antineutrino partner (group'); the
    antineutrino's kernel is weight_g' K[g', g] / weight_g, which the collision operator forms itself
        gain_g(mu) = g^2 sum_g' (first_0 (1 - J'_g') - 3 mu first_1 H'_g')
        loss_g(mu) = g^2 sum_g' (second_0 J'_g' + 3 mu second_1 H'_g')

    In either case C_g(mu) = gain (1 - f) - loss f. For density matrices the amplitudes sit on both sides:
    J' becomes G J' G with G = diag(g), and the products become anticommutators.
    """

    name: str
    kind: str
    amplitude: NDArray[np.float64]  #: (species, flavour)
    first: NDArray[np.float64]  #: (cell, l, group, group') cm^-1
    second: NDArray[np.float64]  #: (cell, l, group, group') cm^-1


@dataclass
class Rates:
    """Rates on n cells, in cm^-1.

    C = emissivity (1 - f) - absorption f  +  scattering_0 (J - f) + 3 mu scattering_1 H  +  energy coupling
    """

    emissivity: NDArray[np.float64]  #: (cell, species, flavour, group) j
    absorption: NDArray[np.float64]  #: (cell, species, flavour, group) 1/lambda, without stimulated part
    scattering_0: NDArray[np.float64]  #: (cell, species, group) isoenergetic, isotropic part
    scattering_1: NDArray[np.float64]  #: (cell, species, group) isoenergetic, linear part (transport = 0 minus 1)
    coupling: list[EnergyCoupling] = field(default_factory=list)

    @classmethod
    def zero(cls, cells: int, groups: int) -> Rates:
        """No interactions at all."""
        return cls(
            np.zeros((cells, 2, 3, groups)),
            np.zeros((cells, 2, 3, groups)),
            np.zeros((cells, 2, groups)),
            np.zeros((cells, 2, groups)),
        )

    def scaled(self, factor: NDArray[np.float64]) -> Rates:
        """Return all rates of each cell times factor (cell,): those per cm of another time."""
        column = factor[:, None, None]
        cells = column[..., None]
        return Rates(
            self.emissivity * cells,
            self.absorption * cells,
            self.scattering_0 * column,
            self.scattering_1 * column,
            [replace(c, first=c.first * cells, second=c.second * cells) for c in self.coupling],
        )

    def take(self, selection: slice | NDArray[np.int64]) -> Rates:
        """Return the rates on a range of cells (a copy)."""
        return Rates(
            self.emissivity[selection].copy(),
            self.absorption[selection].copy(),
            self.scattering_0[selection].copy(),
            self.scattering_1[selection].copy(),
            [replace(c, first=c.first[selection].copy(), second=c.second[selection].copy()) for c in self.coupling],
        )
