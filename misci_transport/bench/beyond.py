"""Cost of encounters and of many-body amplitudes, one core."""

from __future__ import annotations

import time

import numpy as np

from ..encounters import Group, Setting, simulate
from ..manybody import ManyBody
from .figure import Figure

#: Neutrinos of the gases, in cache and far beyond it, and of the many-body state.
GASES = (1000, 10_000_000)
NEUTRINOS = 20
#: Pairs that meet in one measurement, about; the first step of a gas is its start.
PAIRS = 4_000_000


def beyond_figures(repeat: int) -> list[Figure]:
    """Encounters per second, and ns per amplitude and pair of an application of H; minima and maxima of repetitions."""
    return [
        *(encounter_rate(size, repeat) for size in GASES),
        amplitude_cost(None, repeat),
        amplitude_cost(NEUTRINOS // 2, repeat),
    ]


def encounter_rate(size: int, repeat: int) -> Figure:
    """Pairs that meet in a second, random matching included."""
    half = size // 2
    groups = (Group(half, (0.0, 0.0, 1.0)), Group(size - half, (1.0, 0.0, 0.0), direction=(1.0, 0.0, 0.0)))
    setting = Setting(groups, 0.01)
    simulate(setting, [1])
    steps = max(PAIRS // half, 1)
    best = 0.0
    for _ in range(max(repeat // 5, 1)):
        seconds = []
        for count in (1, 1 + steps):
            start = time.perf_counter()
            simulate(setting, [count])
            seconds.append(time.perf_counter() - start)
        best = max(best, steps * half / max(seconds[1] - seconds[0], 1.0e-9))
    return Figure(f"encounters, {size} neutrinos", 1.0e-6 * best, "10^6/s", None, "group directions, random matching")


def amplitude_cost(ups: int | None, repeat: int) -> Figure:
    """Nanoseconds of one application of H per amplitude and pair of neutrinos, couplings all different."""
    v = np.random.default_rng(0).normal(size=(NEUTRINOS, 3))
    v /= np.linalg.norm(v, axis=1)[:, None]
    mu = 1.0 - v @ v.T
    gas = ManyBody(0.5 * (mu + mu.T), ups=ups)
    gas.start_flavors(np.arange(NEUTRINOS) < NEUTRINOS // 2)
    out = np.zeros_like(gas.psi)
    gas.apply(gas.psi, out)
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        gas.apply(gas.psi, out)
        best = min(best, time.perf_counter() - start)
    work = gas.layout.dimension * NEUTRINOS * (NEUTRINOS - 1) / 2
    kind = "all states" if ups is None else f"{ups} nu_e"
    return Figure(
        f"many-body, {NEUTRINOS} neutrinos, {kind}", 1.0e9 * best / work, "ns", None, "per amplitude and pair"
    )
