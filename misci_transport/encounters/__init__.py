"""Neutrinos that meet in pairs once in their lives: the gas, its slow equation, its miscidynamics.

docs/encounters.md has the equations; A. Kost, L. Johns, H. Duan, arXiv:2402.05022 and arXiv:2508.14331.
"""

from __future__ import annotations

from .gas import GasHistory, Group, Setting, mean_map, simulate
from .pair import concurrence, encounter, entropy, pair_state, unitary
from .slow import Modes, QuasiSteady, SlowHistory, miscidynamics, modes_of, slow_equation

__all__ = [
    "GasHistory",
    "Group",
    "Modes",
    "QuasiSteady",
    "Setting",
    "SlowHistory",
    "concurrence",
    "encounter",
    "entropy",
    "mean_map",
    "miscidynamics",
    "modes_of",
    "pair_state",
    "simulate",
    "slow_equation",
    "unitary",
]
