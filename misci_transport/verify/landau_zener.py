"""V3: a resonance that is crossed too fast, where the adiabatic assumption fails and the monitor must say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..constants import ATOMIC_MASS_UNIT, EV2_TO_MEV2, FERMI_POTENTIAL, HBAR_C
from ..fluid import Fluid
from ..options import ValidityOptions
from ..physics.mixing import LocalMixing
from ..validity.measures import GAMMA_THRESHOLD
from ..validity.monitor import ValidityMonitor
from .adiabatic import LENGTH, beam
from .kinetics import landau_zener
from .registry import Findings, Parameter, problem
from .setup import cells

if TYPE_CHECKING:
    from .setup import Case


def resonant_beam(gamma: float, theta: float, dm2: float, count: int) -> tuple[Case, LocalMixing, dict[str, Any]]:
    """One beam through a resonance at this gamma, V falling linearly from twice the resonance to zero.

    The beam's energy makes gamma what it should be. With the alignment, and the settings of `adiabatic.beam`.
    """
    frequency = 2.0 * gamma * np.cos(2.0 * theta) / (LENGTH * np.sin(2.0 * theta) ** 2)
    potential = 2.0 * frequency * np.cos(2.0 * theta)
    settings = {
        "theta": theta,
        "dm2": dm2,
        "energy": dm2 * EV2_TO_MEV2 / (2.0 * frequency * HBAR_C),
        "ordering": "normal",
        "flavors": 2,
        "potential": potential,
        "potential_end": 0.0,
    }
    case = beam(settings, count, "adiabatic")
    falling = potential * (1.0 - case.mesh.center[case.cells] / LENGTH)
    ones = np.ones(falling.size)
    mixing = case.mixing
    assert isinstance(mixing, LocalMixing)
    mixing.set_fluid(Fluid(falling * ATOMIC_MASS_UNIT / FERMI_POTENTIAL, ones, ones, 0.0 * ones))
    case.mix(mixing)
    return case, mixing, settings


@problem(
    "V3",
    "landau_zener",
    "one beam through a resonance at the adiabaticity gamma",
    [
        Parameter("gamma", 1.0, "1", "dm^2 sin^2 2th/(2E cos 2th |dlnV/dr|) at the resonance", 1.0e-3, 100.0),
        Parameter("theta", 0.15, "rad", "mixing angle", 1.0e-3, 0.7),
        Parameter("dm2", 2.5e-3, "eV^2", "mass-squared difference", 1.0e-6, 1.0),
        cells(50, 4, 4000),
    ],
)
def crossing(p: dict[str, Any], findings: Findings) -> None:
    """Kinetics jump with exp(-pi gamma/2); the alignment does not, and the monitor gives gamma and flags it below 3."""
    findings.compare(
        "probability of a jump by kinetics", landau_zener(p["gamma"]), float(np.exp(-0.5 * np.pi * p["gamma"])), 1.0e-3
    )
    case, mixing, _ = resonant_beam(p["gamma"], p["theta"], p["dm2"], p["cells"])
    case.march(2.0 * LENGTH, 0.5 * LENGTH / p["cells"])
    monitor = ValidityMonitor(case.phase_space, case.decomposition, ValidityOptions())
    state = case.state
    measured = monitor.measure(state.owned, state.moments, mixing, case.collisions, case.frame)
    smallest = min(case.decomposition.comm.allgather(float(measured.gamma.min())))
    findings.compare("smallest gamma of the monitor", smallest, p["gamma"], 0.02)
    flagged = case.total(float(measured.flags["not adiabatic"].any())) > 0.0
    findings.compare("flagged as not adiabatic (1: yes)", float(flagged), float(p["gamma"] < GAMMA_THRESHOLD), 0.0)
