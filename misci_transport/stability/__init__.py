"""Linear stability of flavour states, cell by cell, on plain arrays: what grows, how fast, and what it looks like."""

from __future__ import annotations

from .contour import ACCURACY, Growth, cell_growth, growth_rate, unstable_modes, wave_numbers, wave_vectors
from .eigenmodes import Spectrum, dense_spectrum, spectrum
from .growth import (
    COLLISIONAL,
    FAST,
    KINDS,
    SLOW,
    STABLE,
    CellState,
    Dispersion,
    Fastest,
    dispersion,
    examine,
    fastest,
    trial_wave_numbers,
    trial_wave_vectors,
)
from .modes import (
    AXIAL,
    BLOCKS,
    SPHERE,
    TRANSVERSE,
    FlavorModes,
    LevelModes,
    Modes,
    Terms,
    linearise,
    linearise_flavors,
)
from .scan import Scan, scan_cells

__all__ = [
    "ACCURACY",
    "AXIAL",
    "BLOCKS",
    "COLLISIONAL",
    "FAST",
    "KINDS",
    "SLOW",
    "SPHERE",
    "STABLE",
    "TRANSVERSE",
    "CellState",
    "Dispersion",
    "Fastest",
    "FlavorModes",
    "Growth",
    "LevelModes",
    "Modes",
    "Scan",
    "Spectrum",
    "Terms",
    "cell_growth",
    "dense_spectrum",
    "dispersion",
    "examine",
    "fastest",
    "growth_rate",
    "linearise",
    "linearise_flavors",
    "scan_cells",
    "spectrum",
    "trial_wave_numbers",
    "trial_wave_vectors",
    "unstable_modes",
    "wave_numbers",
    "wave_vectors",
]
