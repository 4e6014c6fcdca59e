"""What collisions take from the neutrinos, the fluid receives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..constants import ERG_PER_MEV, SPEED_OF_LIGHT
from ..kernels.traces import trace_moments
from ..phase_space import local_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..phase_space import PhaseSpace


@dataclass
class Sources:
    """To be added to the fluid, per volume and time; arrays (cell,)."""

    energy: NDArray[np.float64]  #: erg cm^-3 s^-1
    lepton_number: NDArray[np.float64]  #: electrons (minus positrons) cm^-3 s^-1
    momentum: NDArray[np.float64]  #: dyn cm^-3; radial with one axis, (cell, axis) with more


def sources_of(moments: NDArray[np.float64]) -> Sources:
    """Sources of moments of a collision term, (cell, 3 + axes): energy (MeV), both numbers, energy times velocity.

    In cm^-1 times cm^-3; what the neutrinos lose the fluid gains.
    """
    energy, neutrinos, antineutrinos = np.ascontiguousarray(moments[:, :3].T)
    forward = moments[:, 3].copy() if moments.shape[1] == 4 else moments[:, 3:]
    return Sources(
        -SPEED_OF_LIGHT * ERG_PER_MEV * energy,
        -SPEED_OF_LIGHT * (neutrinos - antineutrinos),
        -ERG_PER_MEV * forward,
    )


class Exchange:
    """Moments of a collision term C[cell, direction, species, group, level] in cm^-1.

    energy = -c sum w_0 n_g E_g C,  lepton number = -c sum w_0 n_g (C_nu - C_nubar),  momentum = -sum w_d n_g E_g C

    of Tr C, with the weight w_d = w_0 v_d of an axis: traces do not depend on the basis, and of all processes only
    charged currents change Tr(rho - rhobar), so its loss is the fluid's gain of electron-lepton number.
    """

    def __init__(self, phase_space: PhaseSpace, cells: slice | NDArray[np.int64]) -> None:
        self.weight = local_rows(phase_space.angles.weights, cells)  #: (cell or 1, order, direction)
        self.weight_0 = np.ascontiguousarray(self.weight[:, 0])
        self.number = phase_space.number_weight
        self.energy = self.number * phase_space.energy.center

    def sources(self, trace: NDArray[np.float64]) -> Sources:
        """Sources for the trace over flavours of a collision term, (cell, direction, species, group) in cm^-1.

        The mean collision term of a step, or that of a stationary state.
        """
        return sources_of(self._moments(trace))

    def content(self, trace: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Energy (MeV cm^-3) and numbers (cm^-3) in each cell for the trace over flavours of occupations."""
        energy, neutrinos, antineutrinos = np.ascontiguousarray(self._moments(trace)[:, :3].T)
        return {"energy": energy, "neutrinos": neutrinos, "antineutrinos": antineutrinos}

    def _moments(self, trace: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.empty((trace.shape[0], 2 + self.weight.shape[1]))
        trace_moments(np.ascontiguousarray(trace), self.weight, self.number, self.energy, out)
        return out
