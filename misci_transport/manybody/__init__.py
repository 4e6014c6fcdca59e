"""N neutrinos that interact in every pair: all amplitudes, without a matrix, on ranks; docs/encounters.md."""

from __future__ import annotations

from .gas import ManyBody, memory_plan, uniform_beams
from .layout import Layout
from .two_beams import TwoBeams

__all__ = ["Layout", "ManyBody", "TwoBeams", "memory_plan", "uniform_beams"]
