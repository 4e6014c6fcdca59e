"""Energy groups: centres in geometric progression with the trapezoid weight in ln E."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EnergyGrid:
    """Neutrino energies: integral(E^2 dE X) = sum_g weight_g X_g.

    With centres in geometric progression and weight_g = E_g^3 dlnE this is the trapezoid rule in ln E,
    which converges exponentially for spectra that vanish at both ends; bin averages converge as the
    square of the width only.
    """

    center: NDArray[np.float64]  #: (group,) MeV
    edge: NDArray[np.float64]  #: (group + 1,) MeV
    weight: NDArray[np.float64]  #: (group,) MeV^3

    @property
    def size(self) -> int:
        """Number of groups."""
        return int(self.center.size)

    @classmethod
    def logarithmic(cls, minimum: float, maximum: float, groups: int) -> EnergyGrid:
        """Group centres from minimum to maximum (MeV, both included) in geometric progression.

        Raises
        ------
        ConfigurationError
            If not 0 < minimum < maximum or groups < 2.
        """
        if not 0.0 < minimum < maximum:
            raise ConfigurationError(f"energy range [{minimum!r}, {maximum!r}] MeV: accepted 0 < minimum < maximum")
        if groups < 2:
            raise ConfigurationError(f"number of energy groups is {groups}; accepted: 2 or more")
        center = np.geomspace(minimum, maximum, groups)
        step = np.log(maximum / minimum) / (groups - 1)
        edge = np.concatenate([center * np.exp(-0.5 * step), [center[-1] * np.exp(0.5 * step)]])
        return cls(center, edge, center**3 * step)

    @classmethod
    def single(cls, energy: float) -> EnergyGrid:
        """One monochromatic group whose weight makes the phase-space factor E^2 dE equal to E^2 (per MeV)."""
        if not energy > 0.0:
            raise ConfigurationError(f"energy {energy!r} MeV: accepted > 0")
        return cls(np.array([energy]), np.array([0.5 * energy, 1.5 * energy]), np.array([energy**2]))

    @classmethod
    def from_edges(cls, edge: NDArray[np.float64]) -> EnergyGrid:
        """Groups between the given edges (as of an opacity table): midpoint centre, weight (E_2^3 - E_1^3)/3."""
        edge = np.asarray(edge, dtype=np.float64)
        if edge.ndim != 1 or edge.size < 2 or edge[0] < 0.0 or not (np.diff(edge) > 0.0).all():
            raise ConfigurationError("energy group edges: accepted an increasing sequence of 2 or more values >= 0 MeV")
        return cls(0.5 * (edge[1:] + edge[:-1]), edge, (edge[1:] ** 3 - edge[:-1] ** 3) / 3.0)
