"""The matter that benchmarks run on: a profile table, or an analytic star of the same kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..fluid import Fluid
from ..profile import Profile


def benchmark_profile(path: Path | None) -> Profile:
    """The given table, or `analytic_star` without one."""
    return analytic_star() if path is None else Profile.read_table(path)


def analytic_star(cells: int = 102) -> Profile:
    """A post-bounce star in power laws: core, mantle, shock at 140 km and free fall, 3 km to 6000 km.

    Made to give a benchmark the opacities and the share of flavour-locked cells of a real one, not to model a star.
    """
    faces = np.concatenate([[0.0], np.geomspace(3.0e5, 6.0e8, cells)])
    r = 0.5 * (faces[1:] + faces[:-1])
    density = np.where(r < 1.4e7, 3.0e14 / (1.0 + (r / 9.0e5) ** 5.0), 1.8e8 * (r / 1.5e7) ** -1.5)
    density = np.maximum(density, np.where(r < 1.4e7, 1.5e9, 0.0))
    temperature = np.where(r < 1.4e7, 13.0 * (1.0 + r / 1.0e6) ** -0.85, 0.75 * (r / 1.5e7) ** -0.4)
    electron_fraction = np.where(r < 1.4e7, 0.11 + 0.17 / (1.0 + (r / 1.2e6) ** 2) + 0.3 * (r / 1.4e7) ** 3, 0.49)
    return Profile(faces, Fluid(density, temperature, np.minimum(electron_fraction, 0.49), np.zeros(cells)))
