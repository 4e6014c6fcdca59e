"""Steps of the quantum kinetic equation in a periodic box, one core."""

from __future__ import annotations

import time

import numpy as np

from ..kinetics import KineticBox, KineticSetup, angular_spectrum, directions, flavor_state, random_waves
from .figure import Figure

CELLS, DIRECTIONS = 1024, 48
GOALS = {2: 100.0, 3: None}


def kinetic_figures(repeat: int) -> list[Figure]:
    """Nanoseconds per cell, direction and step, neutrinos and antineutrinos of one energy together."""
    return [
        Figure(
            f"kinetics in a periodic box, {flavors} flavours",
            kinetic_cost(flavors, repeat),
            "ns",
            GOALS[flavors],
            f"{CELLS} cells, {DIRECTIONS} directions, one energy, fastest of {max(repeat, 5)} steps",
        )
        for flavors in (2, 3)
    ]


def kinetic_cost(flavors: int, repeat: int, cells: int = CELLS, count: int = DIRECTIONS) -> float:
    """Nanoseconds of the fastest step; the moments cost O(directions), as everything else does."""
    v, weight = directions("gauss", count)
    setup = KineticSetup(
        v,
        weight,
        np.zeros((1, flavors**2)),
        strength=1.0,
        cells=cells,
        length=100.0,
        boundary="periodic",
    )
    state = flavor_state(angular_spectrum("gaussians", v), flavors)
    x = (np.arange(cells) + 0.5) * setup.cell_width
    box = KineticBox(setup, random_waves(state, x, setup.length, amplitude=1.0e-3, modes=10, seed=1))
    box.march(2, setup.cell_width)
    seconds = []
    for _ in range(max(repeat, 5)):
        start = time.perf_counter()
        box.step(setup.cell_width)
        seconds.append(time.perf_counter() - start)
    return 1.0e9 * min(seconds) / (cells * count)
