"""V23: two beams of plane waves, every pair of different beams interacting alike (docs/encounters.md, N10)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..encounters import Group, Setting, modes_of, slow_equation
from ..manybody import ManyBody, TwoBeams, uniform_beams
from ..parallel.petsc import world
from .registry import Findings, Parameter, problem

#: Numbers of neutrinos between which the first zero is compared.
FEW, MANY = 256, 1024


@problem(
    "V23",
    "two_beam_manybody",
    "N/2 nu_e against N/2 nu_x, H = (4 mu/N) J_A . J_B: all amplitudes against angular momenta",
    [
        Parameter("n", 16, "1", "neutrinos", 4, 30, even=True),
        Parameter("time", 3.0, "1/mu", "length of the run, in two parts", 0.01, 1000.0),
    ],
)
def two_beams(p: dict[str, Any], findings: Findings) -> None:
    """Polarization, return probability, norm and total flavour; first zero; mean field."""
    n = p["n"]
    gas, exact = ManyBody(uniform_beams(n // 2, n // 2, 1.0), ups=n // 2, comm=world()), TwoBeams(n)
    first = np.arange(n) < n // 2
    gas.start_flavors(first)
    largest = norm = total = 0.0
    for time in (0.5 * p["time"], p["time"]):
        gas.evolve(0.5 * p["time"])
        along = gas.polarization()[:, 2]
        expected = np.where(first, 1.0, -1.0) * float(exact.spin_of_beam([time])[0])
        largest = max(largest, float(np.abs(along - expected).max()))
        norm = max(norm, abs(gas.norm() - 1.0))
        total = max(total, abs(float(along.sum())) / n)
    gas.free()
    findings.compare("largest error of P_z of a neutrino", largest, 0.0, 1.0e-10)
    findings.compare("change of the norm", norm, 0.0, 1.0e-12)
    findings.compare("change of the total flavour over N", total, 0.0, 1.0e-12)
    ratio = TwoBeams(MANY).first_zero() / TwoBeams(FEW).first_zero()
    findings.compare(f"first zero of <J_z>, N = {MANY} over {FEW}", ratio, float(np.sqrt(MANY / FEW)), 0.01)
    beams = (Group(n // 2, (0.0, 0.0, 1.0)), Group(n // 2, (0.0, 0.0, -1.0), direction=(1.0, 0.0, 0.0)))
    modes = modes_of(Setting(beams, 1.0))
    moved = slow_equation(modes, [0.0, p["time"]], collisions=False).polarization
    findings.compare("change by mean field", float(np.abs(moved - modes.start).max()), 0.0, 1.0e-15)
