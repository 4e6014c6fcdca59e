"""V1: oscillation at constant density, by the kinetic equation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..constants import EV2_TO_MEV2, HBAR_C
from ..flavor import INVERTED, NORMAL, MixingParameters
from ..kinetics import KineticBox, KineticSetup
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPECIES = ("nu", "nubar")
STEPS, PERIODS = 400, 7.3


def vacuum(p: dict[str, Any]) -> NDArray[np.float64]:
    """Packed M^2/2E, cm^-1: (1, N_f^2). The third flavour is one mass state, which nothing mixes with."""
    signed = p["dm2"] if p["ordering"] == NORMAL else -p["dm2"]
    two = MixingParameters.two_flavor(p["theta"], signed).mass_squared_matrix(2)
    two *= EV2_TO_MEV2 / (2.0 * p["energy"] * HBAR_C)
    if p["flavors"] == 2:
        return np.asarray(two[None])
    three = np.zeros((1, 9))
    three[0, [0, 1, 3, 4]] = two
    three[0, 2] = 0.3 * two[0]
    return three


def expected(p: dict[str, Any], length: NDArray[np.float64]) -> NDArray[np.float64]:
    """P = 1 - sin^2(2 theta_m) sin^2(dm_m^2 L/4E) of nu_e and nubar_e, (species, length)."""
    frequency = p["dm2"] * EV2_TO_MEV2 / (2.0 * p["energy"] * HBAR_C)
    if p["ordering"] == INVERTED:
        frequency = -frequency
    found = []
    for potential in (p["potential"], -p["potential"]):
        along = frequency * np.cos(2.0 * p["theta"]) - potential
        across = frequency * np.sin(2.0 * p["theta"])
        split = np.hypot(along, across)
        found.append(1.0 - (across / split) ** 2 * np.sin(0.5 * split * length) ** 2)
    return np.array(found)


def lengths(p: dict[str, Any]) -> NDArray[np.float64]:
    """Lengths at which it is compared, cm: some vacuum oscillations."""
    return np.asarray(
        np.linspace(0.0, 1.0, STEPS + 1) * PERIODS * 4.0 * np.pi * p["energy"] * HBAR_C / (p["dm2"] * EV2_TO_MEV2)
    )


def survival(p: dict[str, Any]) -> NDArray[np.float64]:
    """rho_ee of nu and nubar at the lengths, (species, length), by steps of the kinetic equation."""
    setup = KineticSetup(
        np.array([1.0]), np.array([1.0]), vacuum(p), matter_potential=p["potential"], cells=1, length=1.0
    )
    state = np.zeros(setup.matrix_shape)
    state[..., 0] = 1.0
    box = KineticBox(setup, state)
    dt = float(lengths(p)[1])
    found = [box.average()[0, :, 0, 0]]
    for _ in range(STEPS):
        box.step(dt)
        found.append(box.average()[0, :, 0, 0])
    return np.array(found).T


@problem(
    "V1",
    "oscillation",
    "oscillation of nu_e and nubar_e at constant density",
    [
        Parameter("theta", 0.3, "rad", "vacuum mixing angle", 1.0e-3, 1.57),
        Parameter("dm2", 2.5e-3, "eV^2", "mass-squared difference, without its sign", 1.0e-6, 1.0),
        Parameter("energy", 10.0, "MeV", "neutrino energy", 1.0e-2, 1.0e4),
        Parameter("potential", 3.0e-6, "1/cm", "matter potential V", 0.0, 1.0),
        Parameter("flavors", 2, "-", "3: with a third one that is decoupled", 2, 3),
        Parameter("ordering", NORMAL, "-", "mass ordering", choices=(NORMAL, INVERTED)),
    ],
)
def oscillation(p: dict[str, Any], findings: Findings) -> None:
    """Largest deviation of the survival probabilities over some oscillations, and their deepest minima."""
    found, exact = survival(p), expected(p, lengths(p))
    for name, computed, answer in zip(SPECIES, found, exact, strict=True):
        deviation = float(np.abs(computed - answer).max())
        findings.compare(f"survival of {name}_e: largest deviation", deviation, 0.0, 1.0e-9)
        findings.compare(f"survival of {name}_e: smallest", float(computed.min()), float(answer.min()), 1.0e-6)
