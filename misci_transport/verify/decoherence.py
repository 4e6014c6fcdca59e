"""V4: kinematic decoherence in vacuum as the state of largest entropy, Eqs. (S.1)-(S.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import thermodynamics
from ..constants import EV2_TO_MEV2, HBAR_C
from ..flavor import pack, unpack
from .adiabatic import AMPLITUDE, mixing_parameters
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Window of energies that a detector averages over, and slow oscillations on the way.
WINDOW, TURNS, SAMPLES = 0.4, 200.0, 40001


def averaged_survival(mass: NDArray[np.complex128]) -> float:
    """P_ee of direct oscillation with H = mass/E, averaged over a smooth window around E = 1 far from the source."""
    values, vectors = np.linalg.eigh(mass)
    slowest = float(np.diff(values).min())
    energy = 1.0 + WINDOW * np.linspace(-0.5, 0.5, SAMPLES)
    window = np.cos(np.pi * (energy - 1.0) / WINDOW) ** 2
    phases = np.exp(-2.0j * np.pi * TURNS / slowest * values[:, None] / energy)
    amplitude = (np.abs(vectors[0]) ** 2) @ phases
    return float((window * np.abs(amplitude) ** 2).sum() / window.sum())


@problem(
    "V4",
    "decoherence",
    "kinematic decoherence of nu_e in vacuum by the maximum-entropy solver",
    [
        Parameter("theta", 0.6, "rad", "mixing angle (theta_13 of three flavours)", 1.0e-3, np.pi / 2 - 1.0e-3),
        Parameter("dm2", 2.5e-3, "eV^2", "size of the mass-squared difference (dm2_31)", 1.0e-4, 1.0),
        Parameter("energy", 10.0, "MeV", "neutrino energy", 1.0e-2, 1.0e4),
        Parameter("flavors", 2, "1", "2 or 3", 2, 3),
        Parameter("ordering", "normal", "", "mass ordering", choices=("normal", "inverted")),
    ],
)
def decoherence(p: dict[str, Any], findings: Findings) -> None:
    """rho_ij = rho_ii delta_ij in the basis of masses, <P_ee> = sum |U_ei|^4, for two flavours 1 - sin^2(2 theta)/2."""
    n = p["flavors"]
    parameters = mixing_parameters(p)
    mass = unpack(parameters.mass_squared_matrix(n))
    h = pack(mass * EV2_TO_MEV2 / (2.0 * p["energy"] * HBAR_C))
    given = np.zeros(n * n)
    given[0] = AMPLITUDE
    found = thermodynamics.decohere(given, h)
    vectors = np.linalg.eigh(mass)[1]
    content = np.abs(vectors[0]) ** 2
    expected = float((content**2).sum()) if n == 3 else 1.0 - 0.5 * np.sin(2.0 * p["theta"]) ** 2
    findings.compare("<P_ee> of the state of largest entropy", found.density_matrix[0] / AMPLITUDE, expected, 1.0e-11)
    inside = vectors.conj().T @ unpack(found.density_matrix) @ vectors
    off = np.abs(inside - np.diag(np.diag(inside))).max() / AMPLITUDE
    findings.compare("largest rho_ij between masses", off, 0.0, 1.0e-12)
    apart = np.abs(np.diag(inside).real / AMPLITUDE - content).max()
    findings.compare("largest change of rho_ii", apart, 0.0, 1.0e-12)
    findings.compare("<P_ee> of oscillations averaged over energies", averaged_survival(mass), expected, 1.0e-4)
    # Eq. (9) knows Tr(H rho) alone: the same state for two flavours, more entropy for three
    one, batch = thermodynamics.thermal_batch(
        np.concatenate([given, np.zeros_like(given)]).reshape(1, 1, 2, 1, n * n), weight_0=[1.0],
        direction_cosine=[1.0], number_weight=[1.0], vacuum=h[None], matter_potential=0.0, matter_beta=0.0,
        strength=0.0, n_flavors=n,
    )  # fmt: skip
    canonical = thermodynamics.equilibrium(one, batch)
    kept = one.copy()
    kept[0, 0, 0, 0] = found.density_matrix
    more = float((canonical.entropy - thermodynamics.entropy(kept, batch))[0])
    if n == 2:
        findings.compare("entropy of Eq. (9) above that of (S.6)", more, 0.0, 1.0e-10)
    else:
        findings.at_least("entropy of Eq. (9) above that of (S.6)", more, -1.0e-10)
    gained = float((thermodynamics.entropy(kept, batch) - thermodynamics.entropy(one, batch))[0])
    findings.at_least("entropy gained by decoherence", gained, 0.0)
