"""V2: adiabatic flavour conversion of one beam through a falling matter potential."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..constants import ATOMIC_MASS_UNIT, EV2_TO_MEV2, FERMI_POTENTIAL, HBAR_C
from ..energy import EnergyGrid
from ..flavor import MixingParameters, unpack
from ..fluid import Fluid
from ..grid import RadialMesh
from ..physics.boundary import Boundary
from ..physics.hamiltonian import Hamiltonian
from ..physics.matrix_scheme import MatrixScheme
from ..physics.mixing import LocalMixing
from ..quadrature import AngularGrid
from .registry import Findings, Parameter, problem
from .setup import Case, cells, order

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPECIES = ("nu", "nubar")
LENGTH = 1.0e8  # cm
AMPLITUDE = 0.5


def mixing_parameters(p: dict[str, Any]) -> MixingParameters:
    """Parameter theta is theta_13, dm2 is |dm2_31|; the others of three flavours are the global fit's."""
    signed = p["dm2"] if p["ordering"] == "normal" else -p["dm2"]
    if p["flavors"] == 2:
        return MixingParameters.two_flavor(p["theta"], signed)
    return replace(MixingParameters.global_fit(p["ordering"]), theta13=p["theta"], dm2_31=signed)


def potentials(p: dict[str, Any], count: int) -> NDArray[np.float64]:
    """V of each cell: a parabola from ``potential`` to ``potential_end``, (cell,) cm^-1."""
    x = np.linspace(1.0, 0.0, count)
    return np.asarray(p["potential_end"] + (p["potential"] - p["potential_end"]) * x**2)


def electron_content(p: dict[str, Any], potential: float) -> NDArray[np.float64]:
    """|U_ek|^2 of the eigenvectors of +-M^2/2E + V diag(1, 0, 0), ascending, (species, level)."""
    mass = unpack(mixing_parameters(p).mass_squared_matrix(p["flavors"])) * EV2_TO_MEV2 / (2.0 * p["energy"] * HBAR_C)
    matter = np.zeros_like(mass)
    matter[0, 0] = potential
    return np.array([np.abs(np.linalg.eigh(sign * mass + matter)[1][0]) ** 2 for sign in (1.0, -1.0)])


def beam(p: dict[str, Any], count: int, scheme: str) -> Case:
    """One outward beam of nu_e and nubar_e with random phases, entering where V is ``potential``."""
    n = p["flavors"]
    mesh = RadialMesh.uniform(0.0, LENGTH, count, "plane")
    energy = EnergyGrid.single(p["energy"])
    entering = np.zeros((1, 2, 1, 3))
    entering[0, :, 0, :n] = AMPLITUDE * electron_content(p, p["potential"])
    case = Case(
        mesh,
        AngularGrid.beams(mesh, np.array([1.0]), np.array([1.0])),
        energy=energy,
        boundary=Boundary("inflow", "inflow", entering, None),
        n_flavors=n,
        second_order=scheme == "adiabatic",
    )
    hamiltonian = Hamiltonian.build(mixing_parameters(p), energy, n, self_interaction=False)
    mixing = LocalMixing(
        case.phase_space,
        case.decomposition,
        hamiltonian,
        solver="local",
        tolerance=1.0e-12,
        max_iterations=50,
        on_failure="stop",
    )
    density = potentials(p, count) * ATOMIC_MASS_UNIT / FERMI_POTENTIAL
    ones = np.ones(count)
    mixing.set_fluid(Fluid(density, ones, ones, 0.0 * ones).take(case.cells))
    case.mix(mixing)
    if scheme == "matrix":
        case.use(MatrixScheme(case.advection, mixing))
    return case


def outcome(case: Case) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Survival probability (species,) and populations (species, level) in the outermost cell."""
    f = case.populations()[-1, 0, :, 0] / AMPLITUDE
    moments = case.whole(case.collisions.moments(case.state.owned, case.frame).copy())
    # one beam of weight 1: J is half the occupation
    return 2.0 * moments[-1, :, 0, 0, 0] / AMPLITUDE, f


def surviving(populations: NDArray[np.float64], entering: NDArray[np.float64]) -> float:
    """Spread of the populations over that at the start: |P|/|P_0| for two flavours."""
    return float((populations.max() - populations.min()) / (entering.max() - entering.min()))


@problem(
    "V2",
    "adiabatic_conversion",
    "adiabatic conversion of one beam through a falling matter potential",
    [
        Parameter("theta", 0.15, "rad", "mixing angle (theta_13 of three flavours)", 1.0e-4, np.pi / 4),
        Parameter("dm2", 2.5e-3, "eV^2", "size of the mass-squared difference (dm2_31)", 1.0e-6, 1.0),
        Parameter("energy", 10.0, "MeV", "neutrino energy", 1.0e-2, 1.0e4),
        Parameter("potential", 2.0e-4, "cm^-1", "matter potential at the start", 0.0, 1.0e3),
        Parameter("potential_end", 0.0, "cm^-1", "matter potential at the end", 0.0, 1.0e3),
        cells(50, 4, 4000),
        Parameter("flavors", 2, "1", "number of mixing flavours", 2, 3),
        Parameter("ordering", "normal", "-", "mass ordering", choices=("normal", "inverted")),
        Parameter("scheme", "adiabatic", "-", "what is advected", choices=("adiabatic", "matrix")),
    ],
)
def adiabatic_conversion(p: dict[str, Any], findings: Findings) -> None:
    """Survival probabilities sum_k |U_ek(start)|^2 |U_ek(end)|^2 after the beam has filled the mesh."""
    first, last = electron_content(p, p["potential"]), electron_content(p, p["potential_end"])
    answer = (first * last).sum(axis=1)
    n = p["cells"]
    if p["scheme"] == "adiabatic":
        case = beam(p, n, "adiabatic")
        case.march(2.0 * LENGTH, 0.5 * LENGTH / n)
        _compare(case, "after two crossings", answer, first, findings)
        case = beam(p, n, "adiabatic")
        case.steady()
        _compare(case, "stationary", answer, first, findings)
        return
    lost, probabilities = [], []
    for count in (n, 2 * n):
        case = beam(p, count, "matrix")
        case.march(4.0 * LENGTH, 0.5 * LENGTH / count)
        probability, populations = outcome(case)
        probabilities.append(probability)
        lost.append([1.0 - surviving(populations[s, : p["flavors"]], first[s]) for s in range(2)])
    for species, word in enumerate(SPECIES):
        # the loss is what the scheme is known for: first order in the width of cells
        coarse, fine = lost[0][species], lost[1][species]
        found = probabilities[0][species]
        findings.compare(
            f"{word}_e survival probability, matrix scheme (absolute error)",
            found,
            answer[species],
            15.0 / n,
            error=abs(found - answer[species]),
        )
        if 1.0e-3 < fine < 0.3:
            found = order(coarse, fine)
            findings.compare(f"{word}: order at which the spread of populations converges", found, 1.0, 0.4)


def _compare(
    case: Case, words: str, answer: NDArray[np.float64], entering: NDArray[np.float64], findings: Findings
) -> None:
    probability, populations = outcome(case)
    for species, word in enumerate(SPECIES):
        findings.compare(f"{word}_e survival probability, {words}", probability[species], answer[species], 1.0e-6)
        moved = float(np.abs(populations[species, : entering.shape[1]] - entering[species]).max())
        findings.compare(f"{word}: change of level populations, {words}", moved, 0.0, 1.0e-6)
