"""Panels of a Gauss-Legendre rule that follow the steps of Fermi-Dirac occupations."""

from __future__ import annotations

import math

import numpy as np

from ..constants import ELECTRON_MASS
from ..numba_cache import kernel

_OFFSET = np.array([-30.0, -19.0, -11.5, -6.5, -3.0, 0.0, 3.0, 6.5, 11.5, 19.0, 30.0])


@kernel(error_model="python")
def momentum(energy):
    """Return p = sqrt(E^2 - m_e^2), 0 below the rest mass (MeV)."""
    return math.sqrt(max(energy * energy - ELECTRON_MASS * ELECTRON_MASS, 0.0))


@kernel(error_model="python")
def blocking_exponent(p, chemical_potential, temperature):
    """(E - mu)/T at momentum p, E = sqrt(p^2 + m_e^2) (MeV)."""
    return (math.sqrt(p * p + ELECTRON_MASS * ELECTRON_MASS) - chemical_potential) / temperature


@kernel(error_model="python")
def add_step(energy, temperature, low, high, points, count):
    """Append the momenta of energy + (-30 ... 30) T that lie between low and high; returns the new count."""
    for k in range(_OFFSET.size):
        p = momentum(max(energy + _OFFSET[k] * temperature, 0.0))
        if p > low and p < high:
            points[count] = p
            count += 1
    return count


@kernel(error_model="python")
def sort_points(points, count):
    """Sort the first count entries in place (they are few)."""
    for i in range(1, count):
        value = points[i]
        j = i - 1
        while j >= 0 and points[j] > value:
            points[j + 1] = points[j]
            j -= 1
        points[j + 1] = value
