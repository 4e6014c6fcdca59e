"""How matter answers to an exchange with neutrinos within one implicit step: T and Y_e follow, and rates with them.

    C_T dT + C_Y dY_e = -dE,   n_B dY_e = -(dN - dNbar)
    emissivity, absorption = values at the start + derivative by T dT + derivative by Y_e dY_e

with dE, dN what collisions add to the neutrinos over the step at those rates. Without it the rates stay what they were
at the start of the step, and sources overshoot and change sign from step to step once the exchange time of a cell is
shorter than the step: what is emitted in excess is absorbed again in the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..constants import ERG_PER_MEV, HBAR_C
from .microphysics.equation_of_state import (
    baryon_density,
    complete,
    electron_chemical_potential,
    nucleon_potential_difference,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..energy import EnergyGrid
    from ..fluid import Fluid
    from ..rates import Rates
    from .interactions import RateSource

#: A cell whose temperature or electron fraction would change by less than this fraction in a step does not respond.
SMALLEST_CHANGE = 1.0e-4
#: Largest changes in a step that rates are linearised over: of T relative, of Y_e absolute.
LARGEST_CHANGE = (0.2, 0.05)
#: Steps of the numerical derivatives of rates: of T relative, of Y_e absolute.
DERIVATIVE_STEP = (1.0e-3, 1.0e-3)
#: The changes are found to this fraction of the largest ones that are allowed.
TOLERANCE = 1.0e-4
MOST_ITERATIONS = 6


def heat_capacities(fluid: Fluid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(C_T, C_Y): derivatives of the energy density by T (cm^-3) and by Y_e (MeV cm^-3), (cell,) each.

    The fluid's own where it gives them; otherwise nucleons and nuclei as ideal gases, photons, and electrons and
    positrons as an ultra-relativistic Fermi gas, e = T^4/(pi^2 (hbar c)^3) (7 pi^4/60 + pi^2 eta^2/2 + eta^4/4).
    Binding energies are left out.
    """
    if fluid.heat_capacity is not None and fluid.energy_by_electron_fraction is not None:
        return fluid.heat_capacity / ERG_PER_MEV, fluid.energy_by_electron_fraction / ERG_PER_MEV
    whole = complete(fluid)
    assert whole.neutron_fraction is not None
    assert whole.proton_fraction is not None
    assert whole.alpha_fraction is not None
    assert whole.heavy_fraction is not None
    assert whole.heavy_mass_number is not None
    particles = whole.neutron_fraction + whole.proton_fraction + 0.25 * whole.alpha_fraction
    particles = particles + whole.heavy_fraction / np.maximum(whole.heavy_mass_number, 1.0)
    density = baryon_density(fluid)
    t, y = fluid.temperature, fluid.electron_fraction
    step_t, step_y = DERIVATIVE_STEP[0] * t, np.full_like(y, DERIVATIVE_STEP[1])
    by_temperature = (_light_energy(fluid, t + step_t, y) - _light_energy(fluid, t - step_t, y)) / (2.0 * step_t)
    by_fraction = (_light_energy(fluid, t, y + step_y) - _light_energy(fluid, t, y)) / step_y
    return 1.5 * particles * density + by_temperature, by_fraction


def _light_energy(fluid: Fluid, t: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energy density of electrons, positrons and photons, MeV cm^-3."""
    eta = electron_chemical_potential(fluid.mass_density, t, y) / t
    pairs = 7.0 * np.pi**4 / 60.0 + 0.5 * np.pi**2 * eta**2 + 0.25 * eta**4
    energy: NDArray[np.float64] = t**4 / (np.pi**2 * HBAR_C**3) * (pairs + np.pi**4 / 15.0)
    return energy


def displaced(fluid: Fluid, dt: NDArray[np.float64], dy: NDArray[np.float64]) -> Fluid:
    """The fluid at T + dt and Y_e + dy, with what it gives of composition and potentials moved along.

    Free nucleons take up the change of Y_e; given chemical potentials change by as much as the built-in ones do.
    """
    t, y = fluid.temperature + dt, fluid.electron_fraction + dy
    changes: dict[str, NDArray[np.float64]] = {"temperature": t, "electron_fraction": y}
    if fluid.neutron_fraction is not None and fluid.proton_fraction is not None:
        step = np.clip(dy, -fluid.proton_fraction, fluid.neutron_fraction)
        changes["neutron_fraction"] = fluid.neutron_fraction - step
        changes["proton_fraction"] = fluid.proton_fraction + step
    if fluid.electron_chemical_potential is not None:
        before = electron_chemical_potential(fluid.mass_density, fluid.temperature, fluid.electron_fraction)
        after = electron_chemical_potential(fluid.mass_density, t, y)
        changes["electron_chemical_potential"] = fluid.electron_chemical_potential + after - before
    if fluid.nucleon_potential_difference is not None and "neutron_fraction" in changes:
        assert fluid.neutron_fraction is not None
        assert fluid.proton_fraction is not None
        before = nucleon_potential_difference(
            fluid.mass_density, fluid.temperature, fluid.neutron_fraction, fluid.proton_fraction
        )
        after = nucleon_potential_difference(
            fluid.mass_density, t, changes["neutron_fraction"], changes["proton_fraction"]
        )
        changes["nucleon_potential_difference"] = fluid.nucleon_potential_difference + after - before
    return replace(fluid, **changes)


@dataclass
class Exchanged:
    """What one evaluation of the implicit collisions exchanged."""

    energy: NDArray[np.float64]  #: (cell,) MeV cm^-3 that the neutrinos gained
    lepton_number: NDArray[np.float64]  #: (cell,) cm^-3

    @classmethod
    def of(cls, collided: NDArray[np.float64]) -> Exchanged:
        """Of what collisions gave the neutrinos, (cell, 3 + axes): energy, both numbers, energy times velocity."""
        return cls(collided[:, 0], collided[:, 1] - collided[:, 2])


class FluidResponse:
    """Linearised response of the matter of this rank's cells."""

    def __init__(self, fluid: Fluid, rates: Rates, source: RateSource, energy: EnergyGrid) -> None:
        self.fluid, self.base, self.source, self.energy = fluid, rates, source, energy
        self.baryons = baryon_density(fluid)
        self.limited = 0  #: cells whose change was cut to the range of the linearisation, since the start
        self._slopes: tuple[NDArray[np.float64], ...] | None = None
        self._capacities: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def _prepare(self) -> None:
        """Heat capacities and the derivatives of emissivity and absorption; only where a step needs them."""
        if self._slopes is not None:
            return
        self._capacities = heat_capacities(self.fluid)
        t, y = DERIVATIVE_STEP[0] * self.fluid.temperature, np.full_like(self.baryons, DERIVATIVE_STEP[1])
        nothing = np.zeros_like(t)
        warmer = self.source.rates(displaced(self.fluid, t, nothing), self.energy)
        richer = self.source.rates(displaced(self.fluid, nothing, y), self.energy)
        self._slopes = tuple(
            (getattr(other, name) - getattr(self.base, name)) / step[:, None, None, None]
            for other, step in ((warmer, t), (richer, y))
            for name in ("emissivity", "absorption")
        )

    def cells(self, exchanged: Exchanged) -> NDArray[np.int64]:
        """Local cells that would change by more than SMALLEST_CHANGE through what they exchange without response."""
        expected = np.stack([exchanged.energy / self._bound(), exchanged.lepton_number / self.baryons])
        scale = np.stack([self.fluid.temperature, np.maximum(self.fluid.electron_fraction, 0.01)])
        return np.flatnonzero((np.abs(expected) > SMALLEST_CHANGE * scale).any(axis=0))

    def rates(self, cells: NDArray[np.int64], change: NDArray[np.float64]) -> Rates:
        """Rates of the cells at T + change[0] and Y_e + change[1]; not below zero."""
        assert self._slopes is not None
        dt, dy = change[0][:, None, None, None], change[1][:, None, None, None]
        j_t, a_t, j_y, a_y = (slope[cells] for slope in self._slopes)
        base = self.base.take(cells)
        return replace(
            base,
            emissivity=np.maximum(base.emissivity + j_t * dt + j_y * dy, 0.0),
            absorption=np.maximum(base.absorption + a_t * dt + a_y * dy, 0.0),
        )

    def solve(
        self, cells: NDArray[np.int64], given: Exchanged, exchange: Callable[[Rates], Exchanged]
    ) -> NDArray[np.float64]:
        """Changes (2, cell) of T and Y_e that are consistent with what they make neutrinos and matter exchange.

        ``given``: what these cells exchange at the rates of the start. ``exchange`` solves their implicit collisions
        with other rates and says what they exchanged; its last call has the rates of the answer.
        """
        self._prepare()
        temperature, size = self.fluid.temperature[cells], cells.size
        limit = np.stack([LARGEST_CHANGE[0] * temperature, np.full(size, LARGEST_CHANGE[1])])
        change = np.zeros((2, size))
        residual = self._residual(cells, change, given)
        jacobian = np.empty((size, 2, 2))
        for k in range(2):
            trial = np.zeros_like(change)
            trial[k] = 1.0e-3 * limit[k]
            moved = self._residual(cells, trial, exchange(self.rates(cells, trial)))
            jacobian[:, :, k] = ((moved - residual) / trial[k]).T
        regular = np.abs(np.linalg.det(jacobian)) > 0.0
        jacobian[~regular] = np.eye(2)
        cut = np.zeros(size, dtype=bool)
        # every cell stops by itself: its answer must not depend on the cells that share its rank
        moving = regular
        for _ in range(MOST_ITERATIONS):
            step = -np.linalg.solve(jacobian, residual.T[..., None])[..., 0].T
            wanted = change + np.where(moving, step, 0.0)
            new = np.clip(wanted, -limit, limit)
            cut |= (new != wanted).any(axis=0)
            moving = moving & ((np.abs(new - change) / limit).max(axis=0) > TOLERANCE)
            change = new
            residual = self._residual(cells, change, exchange(self.rates(cells, change)))
            if not moving.any():
                break
        self.limited += int(cut.sum())
        return change

    def _bound(self) -> NDArray[np.float64]:
        """A heat capacity (cm^-3) that matter has at least: its baryons' (nuclei of A = 56) and its photons'."""
        t = self.fluid.temperature
        bound: NDArray[np.float64] = 1.5 * self.baryons / 56.0 + 4.0 * np.pi**2 / 15.0 * (t / HBAR_C) ** 3
        return bound

    def _residual(
        self, cells: NDArray[np.int64], change: NDArray[np.float64], exchanged: Exchanged
    ) -> NDArray[np.float64]:
        """(2, cell): C_T dT + C_Y dY + dE and n_B dY + dN - dNbar."""
        assert self._capacities is not None
        by_temperature, by_fraction = (c[cells] for c in self._capacities)
        return np.stack(
            [
                by_temperature * change[0] + by_fraction * change[1] + exchanged.energy,
                self.baryons[cells] * change[1] + exchanged.lepton_number,
            ]
        )
