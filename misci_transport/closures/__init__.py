"""Mixing closures: what a cell's flavours become where neutrinos convert; one interface for all of them.

A closure takes the occupations n_f[direction, species, group, flavour] of one cell, flavour matrices without coherence
(flavours e, mu, tau or e, x and a heavy one that does not mix), and a `Cell` that says what directions and groups
weigh; it gives occupations of the same shape and counts of what it did. Formulas and what each conserves:
docs/closures.md.
"""

from __future__ import annotations

from .cell import Cell, Outcome
from .mixing import box, lepton_number, pair_equilibrium, pair_numbers
from .registry import CLOSURES, Closure, apply, conservation, find_closure
from .relaxation import relax

__all__ = [
    "CLOSURES",
    "Cell",
    "Closure",
    "Outcome",
    "apply",
    "box",
    "conservation",
    "find_closure",
    "lepton_number",
    "pair_equilibrium",
    "pair_numbers",
    "relax",
]
