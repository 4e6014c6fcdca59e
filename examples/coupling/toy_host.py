"""A toy host code: a static star whose electron fraction and internal energy follow the neutrinos.

    mpirun -n 2 .venv/bin/python -m mpi4py examples/coupling/toy_host.py

Any number of ranks gives the same star. The equation of state is a toy (ideal nucleons, photons, and massless
pairs), and nothing moves: the point is the exchange with the transport module.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import pi

import numpy as np

from misci_transport.constants import ATOMIC_MASS_UNIT, ERG_PER_MEV, HBAR_C
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import AngleOptions, EnergyOptions, TransportOptions
from misci_transport.plugin import Transport

#: Energy density of photons, electron pairs: RADIATION T^4 in MeV cm^-3.
RADIATION = 11.0 * pi**2 / 60.0 / HBAR_C**3


@dataclass
class Star:
    """The host's own variables on the cells of one rank; density and velocity stay as they are."""

    mass_density: np.ndarray  # g cm^-3
    electron_fraction: np.ndarray
    internal_energy: np.ndarray  # erg cm^-3

    @classmethod
    def at(cls, radius: np.ndarray) -> Star:
        """A hot proto-neutron star with a mantle; radius in cm."""
        x = radius / 1.0e6
        mass_density = 2.0e14 / (1.0 + (x / 1.5) ** 6) + 1.0e11 * x**-3.0
        temperature = 1.0 + 19.0 * np.exp(-((x / 2.2) ** 2))
        star = cls(mass_density, 0.12 + 0.3 * x / (x + 8.0), np.zeros_like(x))
        star.internal_energy = ERG_PER_MEV * star._energy(temperature)
        return star

    def _energy(self, temperature: np.ndarray) -> np.ndarray:
        return 1.5 * self.mass_density / ATOMIC_MASS_UNIT * temperature + RADIATION * temperature**4

    def temperature(self) -> np.ndarray:
        """Invert the equation of state, MeV."""
        target = self.internal_energy / ERG_PER_MEV
        temperature = (target / RADIATION) ** 0.25  # above the root, where Newton's method is monotonic
        for _ in range(60):
            slope = 1.5 * self.mass_density / ATOMIC_MASS_UNIT + 4.0 * RADIATION * temperature**3
            temperature = temperature - (self._energy(temperature) - target) / slope
        return temperature

    def fluid(self) -> Fluid:
        """What the transport module needs to know."""
        return Fluid(self.mass_density, self.temperature(), self.electron_fraction, np.zeros_like(self.mass_density))


def evolve(steps: int, host_dt: float, comm=None) -> dict[str, object]:
    """Take ``steps`` host steps of ``host_dt`` seconds; the star, the totals and the ledger on every rank."""
    mesh = RadialMesh(np.concatenate([np.linspace(0.0, 2.0e6, 11), np.geomspace(2.0e6, 2.0e7, 21)[1:]]))
    options = TransportOptions(
        angles=AngleOptions(kind="ordinates", directions=8), energy=EnergyOptions(minimum=2.0, maximum=200.0, groups=8)
    )
    transport = Transport(mesh, options, comm)

    # the transport decides which rank has which cells; the host follows
    cells = transport.decomposition.cells
    star = Star.at(mesh.center[cells])
    volume = mesh.full_sphere * mesh.volume[cells]

    # neutrinos that fit the star, instead of an empty one
    transport.solve_steady(star.fluid())

    gained = np.zeros(2)  # erg, electrons
    for _ in range(steps):
        fluid = star.fluid()  # kept fixed during a host step
        left = host_dt
        while left > 0.0:
            # equal parts of what is left, none longer than the transport allows
            dt = left / np.ceil(left / transport.max_dt() * (1.0 - 1.0e-12))
            sources = transport.step(fluid, dt)
            star.internal_energy += dt * sources.energy
            star.electron_fraction += dt * sources.lepton_number * ATOMIC_MASS_UNIT / star.mass_density
            gained += dt * np.array([volume @ sources.energy, volume @ sources.lepton_number])
            left = left - dt if left - dt > 1.0e-9 * host_dt else 0.0

    gather, world = transport.decomposition.gather, transport.decomposition.comm
    return {
        "mesh": mesh,
        "electron_fraction": gather(star.electron_fraction),
        "temperature": gather(star.temperature()),
        "energy_gained": world.allreduce(float(gained[0])),
        "electrons_gained": world.allreduce(float(gained[1])),
        "ledger": transport.ledger(),
        "transport": transport,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="host steps")
    parser.add_argument("--dt", type=float, default=2.0e-5, help="host step in s")
    arguments = parser.parse_args()
    result = evolve(arguments.steps, arguments.dt)
    transport = result["transport"]
    if transport.decomposition.is_first:
        time = arguments.steps * arguments.dt
        print(
            f"{transport.state.step} steps of the transport in {time:g} s on {transport.decomposition.comm.size} ranks"
        )
        print("   r [km]      T [MeV]          Ye")
        center = result["mesh"].center
        for i in range(0, center.size, 3):
            print(f"{center[i] / 1e5:9.2f} {result['temperature'][i]:12.6f} {result['electron_fraction'][i]:11.6f}")
        print(f"energy given to the fluid:    {result['energy_gained'] / time:.6e} erg/s")
        print(f"electrons given to the fluid: {result['electrons_gained'] / time:.6e} 1/s")


if __name__ == "__main__":
    main()
