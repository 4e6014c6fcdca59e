"""The quantum kinetic equation with its commutator, in homogeneous gases and in one dimension (docs/kinetics.md).

    (d_t + v d_x) rho = -i [H, rho] + C,    H = +-vacuum + V diag(1, 0, 0) (1 - beta v) + strength (D_0 - v D_1)

with + for neutrinos, - for antineutrinos, both density matrices positive, and D_l the sum over directions and groups
of weight number_weight v^l (rho - rhobar). Any unit of length, and its inverse for all terms of H; c = 1.

Arrays of density matrices are (direction, species, group, component, cell), components packed as `flavor.pack` does,
cells innermost.
"""

from .box import KineticBox
from .collisions import KineticCollisions
from .energy import BoxEnergy, refractive_energy
from .exchange import CellRange
from .seeds import plane_wave, random_waves
from .setup import HOMOGENEOUS, OPEN, PERIODIC, KineticSetup
from .spectra import angular_spectrum, directions, flavor_state

__all__ = [
    "HOMOGENEOUS",
    "OPEN",
    "PERIODIC",
    "BoxEnergy",
    "CellRange",
    "KineticBox",
    "KineticCollisions",
    "KineticSetup",
    "angular_spectrum",
    "directions",
    "flavor_state",
    "plane_wave",
    "random_waves",
    "refractive_energy",
]
