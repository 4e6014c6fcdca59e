"""Rates of collisions in a box, and their exact effect over a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..flavor import PAIRS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass
class KineticCollisions:
    """C = (1/2){emission, 1 - rho} - (1/2){absorption, rho} + scattering (<rho> - rho), <> the mean over directions.

    emission, absorption are (species, group, flavour) or, different from cell to cell, (species, group, flavour, cell);
    scattering (species, group) or (species, group, cell). Inverse lengths, not negative.
    """

    emission: ArrayLike
    absorption: ArrayLike
    scattering: ArrayLike = 0.0

    def check(self, groups: int, n_flavors: int, cells: int) -> None:
        """Bring the rates to their full shapes.

        Raises
        ------
        ConfigurationError
            For other shapes, and numbers that are negative or not finite.
        """
        for name, inner in (("emission", (n_flavors,)), ("absorption", (n_flavors,)), ("scattering", ())):
            given = np.asarray(getattr(self, name), dtype=np.float64)
            shape = (2, groups, *inner)
            if given.ndim <= len(shape):
                given = given[..., None]
            try:
                full = np.array(np.broadcast_to(given, (*shape, cells)))
            except ValueError:
                raise ConfigurationError(
                    f"{name} has shape {np.shape(getattr(self, name))}; accepted: {shape} or {(*shape, cells)}"
                ) from None
            if not (np.isfinite(full).all() and (full >= 0.0).all()):
                raise ConfigurationError(f"{name} has a rate that is negative or not finite; accepted: from 0")
            setattr(self, name, full)

    def over(self, dt: float, cells: slice) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """What a step keeps and gains, (species, group, component, cell), and what stays unscattered."""
        emission, absorption = np.asarray(self.emission)[..., cells], np.asarray(self.absorption)[..., cells]
        scattering = np.asarray(self.scattering)[..., cells]
        rate = emission + absorption
        n = rate.shape[2]
        between = [0.5 * (rate[:, :, i] + rate[:, :, j]) for i, j in PAIRS[n] for _ in range(2)]
        kept = np.exp(-dt * np.concatenate([rate, np.stack(between, axis=2)], axis=2))
        gained = np.zeros_like(kept)
        # emission over rate is the equilibrium; nothing is gained where the rate is zero
        np.divide(emission * -np.expm1(-dt * rate), rate, out=gained[:, :, :n], where=rate > 0.0)
        unscattered = np.exp(-dt * scattering) if scattering.any() else np.zeros((*scattering.shape[:2], 0))
        return kept, gained, np.ascontiguousarray(unscattered)
