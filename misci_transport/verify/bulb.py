"""V7: flavour conversion around a bulb that radiates neutrinos in all directions, stationary and in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..alignment.branches import start_branches
from ..constants import PHASE_SPACE
from ..energy import EnergyGrid
from ..flavor import pack
from ..grid import RadialMesh
from ..physics.boundary import Boundary
from ..physics.charge_transport import ChargeTransport
from ..physics.conserved_mixing import ConservedMixing
from ..physics.hamiltonian import Hamiltonian
from ..quadrature import AngularGrid
from .setup import Case

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Bulb:
    """nu_e and nubar_e from a sphere, box spectrum on 0 < w < 1, self-interaction mu_0 (R/r)^2 (S_0 - v S_1).

    Frequencies in units of the largest w, lengths in its inverse.
    """

    radius: float
    inner: float
    outer: float
    strength: float  #: mu_0
    asymmetry: float = 0.7  #: nubar over nu
    theta: float = 0.05
    angles: int = 80
    energies: int = 80  #: neutrino and antineutrino bins together
    cells: int = 400
    on_failure: str = "stop"

    @property
    def groups(self) -> int:
        """Energy bins of one species."""
        return self.energies // 2

    @property
    def frequency(self) -> NDArray[np.float64]:
        """(group,) w at the middle of the bins."""
        return (np.arange(self.groups) + 0.5) / self.groups

    def case(self) -> tuple[Case, ConservedMixing, NDArray[np.float64]]:
        """The transport problem with nothing in it, its alignment, and what is emitted.

        The last is packed, (direction, species, group, component).
        """
        mesh = RadialMesh.logarithmic(self.inner, self.outer, self.cells)
        angles = AngularGrid.bulb(mesh, self.radius, self.angles)
        w = self.frequency
        # sum_g number_weight weight_0 = (R/r)^2 <1/v>
        energy = EnergyGrid(
            w, np.linspace(0.0, 1.0, self.groups + 1), np.full(self.groups, 2.0 / self.groups) / PHASE_SPACE
        )
        case = Case(mesh, angles, energy=energy, boundary=Boundary("inflow", "inflow"), n_flavors=2)
        c, s = np.cos(2.0 * self.theta), np.sin(2.0 * self.theta)
        vacuum = pack(0.5 * w[:, None, None] * np.array([[c, s], [s, -c]]))
        hamiltonian = _Scaled(2, vacuum, self.strength)
        emitted = np.zeros((self.angles, 2, self.groups, 5))
        emitted[:, 0, :, 0], emitted[:, 1, :, 0] = 1.0, self.asymmetry
        transport = ChargeTransport(case.phase_space, case.decomposition, case.advection)
        edges = np.linspace(0.0, 1.0, self.groups + 1)
        mixing = ConservedMixing(
            case.phase_space,
            case.decomposition,
            hamiltonian,
            transport,
            kinds="mass",
            tolerance=1.0e-12,
            max_iterations=50,
            on_failure=self.on_failure,
            bin_ratio=np.stack([edges[:-1] / w, edges[1:] / w], axis=1),
        )
        axes = mixing.axes().take(np.zeros(1, dtype=np.int64))
        content = axes.content(emitted[None, ..., :4])
        transport.inner = content[0]
        return case, mixing, emitted


class _Scaled(Hamiltonian):
    """A Hamiltonian whose self-interaction has a given strength."""

    def __init__(self, n_flavors: int, vacuum: NDArray[np.float64], strength: float) -> None:
        super().__init__(n_flavors, vacuum)
        object.__setattr__(self, "_strength", strength)

    @property
    def strength(self) -> float:
        return float(self._strength)  # type: ignore[attr-defined]


R20 = {"radius": 20.0, "inner": 60.0, "outer": 1200.0, "strength": 64000.0}
R60 = {"radius": 60.0, "inner": 75.0, "outer": 1500.0, "strength": 1600.0}


def filled(bulb: Bulb) -> tuple[Case, ConservedMixing]:
    """Flavour states along all rays, aligned cell by cell next to them; populations enter as in the first cell."""
    case, mixing, emitted = bulb.case()
    first = mixing.cells.take(np.zeros(1, dtype=np.int64))
    begun = start_branches(first, emitted[None])
    populations = begun.populations[0]
    case.boundary.inner_populations = populations
    case.state.owned[:] = populations
    return case, mixing


def stationary(bulb: Bulb) -> tuple[Case, ConservedMixing]:
    """The stationary state, marched outwards from the flavour state with the fluxes of the charge held."""
    case, mixing, emitted = bulb.case()
    first = mixing.cells.take(np.zeros(1, dtype=np.int64))
    begun = start_branches(first, emitted[None])
    case.boundary.inner_populations = begun.populations[0]
    case.state.owned[:] = begun.populations[0]
    mixing.begin_flux()
    case.state.moments[:] = first.moments(begun.unknowns, begun.charges, begun.populations)
    case.mix(mixing)
    return case, mixing


def survival(case: Case, mixing: ConservedMixing, bulb: Bulb) -> NDArray[np.float64]:
    """Electron share of what each mode carries, (cell, direction, species, group), of the whole mesh."""
    emitted = np.array([1.0, bulb.asymmetry])[:, None]
    electron = np.einsum("cmsgk,cmsgk->cmsg", case.state.owned, mixing.frame.projector[..., 0])
    return case.whole(np.ascontiguousarray(electron / emitted))
