"""V9: collisional flavour instability of monochromatic neutrinos and antineutrinos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from .homogeneous import Gas, from_polarization, polarization, vacuum_matrices
from .kinetics import Collisions, Law, collisional_growth, homogeneous, vacuum_axis
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..alignment import AlignmentReport
    from .kinetics import Kinetics

#: Part of the time before saturation over which the growth rate is measured, and times of saturation that are computed.
LINEAR, WHOLE = 0.5, 1.5
MOST_STEPS = 40000


def tilted(p: dict[str, Any], axis: float, together: bool) -> tuple[NDArray[np.float64], float]:
    """Polarization vectors (2, 3) along their H - omega_c B next to the flavour state, and omega_c.

    With d = mu D_z - omega_c B_z and slopes t = P_x/P_z: mu D_x = t (w B_z + d) = t_bar (d - w B_z). Two solutions:
    both P turn together, and omega_c is of the order of w; or P_x are almost the same, and omega_c B_z is almost
    mu D_z.
    """
    w, mu, x = p["omega"] * axis, p["mu"], p["seed"]
    length = np.array([p["n_e"] - p["n_x"], p["nbar_e"] - p["nbar_x"]])
    slope = x / np.sqrt(length[0] ** 2 - x**2)
    x_bar = x * length[1] / length[0] if together else x
    for _ in range(100):
        if together:
            d = mu * (x - x_bar) / slope - w
            turn = slope * (d + w) / (d - w)
            x_bar = length[1] * turn / np.sqrt(1.0 + turn**2)
        else:
            slope_bar = x_bar / np.sqrt(length[1] ** 2 - x_bar**2)
            d = w * (slope + slope_bar) / (slope_bar - slope)
            x_bar = x - slope * (w + d) / mu
    vectors = np.array([[x, 0.0, np.sqrt(length[0] ** 2 - x**2)], [x_bar, 0.0, np.sqrt(length[1] ** 2 - x_bar**2)]])
    return vectors, float((mu * (vectors[0, 2] - vectors[1, 2]) - d) / axis)


@dataclass(frozen=True)
class Instability:
    """The gas of V9 and what its start is."""

    gas: Gas
    times: NDArray[np.float64]
    vectors: NDArray[np.float64]  #: (2, 3) P at the start
    axis: NDArray[np.float64]  #: B
    collisions: Collisions
    report: AlignmentReport  #: of the start
    growth: float  #: rate, the root of the quadratic
    saturation: float  #: time that the seed needs to saturate

    def kinetic(self, p: dict[str, Any]) -> Kinetics:
        """The same by the kinetic equation."""
        return homogeneous(
            [p["omega"], -p["omega"]],
            [1.0, -1.0],
            self.vectors,
            self.axis,
            mu=self.gas.mu,
            times=self.times,
            collisions=self.collisions,
        )


@problem(
    "V9",
    "collisional_instability",
    "collisional instability of a homogeneous gas: growth, saturation and decay against kinetics",
    [
        Parameter("omega", 0.3, "1/time", "vacuum frequency", 1.0e-3, 1.0e3),
        Parameter("mu", 1000.0, "1/time", "self-interaction strength", 1.0, 1.0e6),
        Parameter("gamma", 0.025, "1/time", "damping rate of coherence, neutrinos", 0.0, 1.0e2),
        Parameter("gamma_bar", 0.0075, "1/time", "damping rate of coherence, antineutrinos", 0.0, 1.0e2),
        Parameter("n_e", 1.0, "1", "nu_e at the start, and in equilibrium", 0.0, 10.0),
        Parameter("n_x", 0.3, "1", "nu_x at the start; not emitted", 0.0, 10.0),
        Parameter("nbar_e", 0.8, "1", "nubar_e at the start, and in equilibrium", 0.0, 10.0),
        Parameter("nbar_x", 0.3, "1", "nubar_x at the start", 0.0, 10.0),
        Parameter("ordering", "normal", "-", "mass ordering: B_z < 0 if normal", choices=("normal", "inverted")),
        Parameter("seed", 1.0e-3, "1", "P_x at the start", 1.0e-6, 1.0e-2),
        Parameter("step", 0.05, "1/time", "time step", 1.0e-4, 10.0),
    ],
)
def collisional_instability(p: dict[str, Any], findings: Findings) -> None:
    """Growth rate against the roots of the exact quadratic; rho_ee and D_z against kinetics until the decay.

    Raises
    ------
    ConfigurationError
        See `unstable_gas`.
    """
    made = unstable_gas(p)
    findings.compare("start: no aligned state", float(not made.report.successful), 0.0, 0.0)
    if not made.report.successful:
        return
    gas, times = made.gas, made.times
    aligned = gas.march(times)[:, :, 0]
    run = made.kinetic(p)
    assert run.trace is not None
    found = polarization(aligned)
    early = times < LINEAR * made.saturation
    slope = np.polyfit(times[early], np.log(np.hypot(found[early, 0, 0], found[early, 0, 1])), 1)[0]
    findings.compare("growth rate", float(slope), made.growth, 0.01)
    electron = np.abs(aligned[..., 0] - 0.5 * (run.trace + run.polarization[..., 2])).max(axis=0)
    for species, name in enumerate(("nu", "nubar")):
        findings.compare(f"rho_ee of {name}: largest difference from kinetics", float(electron[species]), 0.0, 1.0e-3)
    difference = found[:, 0, 2] - found[:, 1, 2] - (run.polarization[:, 0, 2] - run.polarization[:, 1, 2])
    findings.compare("D_z: largest difference from kinetics", float(np.abs(difference).max()), 0.0, 1.0e-3)
    changed = float(np.abs(run.polarization[:, 0, 2] - run.polarization[0, 0, 2]).max())
    findings.at_least(
        "largest change of P_z in kinetics: the phase is not linear", changed, 0.01 * (p["nbar_e"] - p["nbar_x"])
    )
    findings.compare("number of new projections", float(gas.count["reprojected"]), 0.0, 0.0)


def unstable_gas(p: dict[str, Any]) -> Instability:
    """The gas of V9, started on the branch that grows.

    Raises
    ------
    ConfigurationError
        If the neutrinos' n_e - n_x does not exceed the antineutrinos', that is not positive, or nothing grows.
    """
    number = np.array([p["n_e"] - p["n_x"], p["nbar_e"] - p["nbar_x"]])
    if not number[0] > number[1] > 10.0 * p["seed"]:
        raise ConfigurationError(
            f"V9: n_e - n_x, nbar_e - nbar_x are {number[0]:g}, {number[1]:g}; accepted: the first larger than the "
            f"second, and that larger than 10 seed = {10.0 * p['seed']:g}"
        )
    axis = vacuum_axis(0.0, p["ordering"])
    roots = collisional_growth(
        p["omega"] * axis[2],
        p["mu"] * (number[0] - number[1]),
        p["mu"] * number.sum(),
        p["gamma"],
        p["gamma_bar"],
    )
    growing = roots[int(np.argmax(roots.imag))]
    exact = float(growing.imag)
    if exact <= 0.0:
        raise ConfigurationError(f"V9: growth rate is {exact:g}; accepted: parameters of an unstable state")
    saturation = np.log(0.5 * number[1] / p["seed"]) / exact
    steps = int(np.ceil(WHOLE * saturation / p["step"]))
    if steps > MOST_STEPS:
        raise ConfigurationError(
            f"V9: step is {p['step']:g}; accepted here: at least {WHOLE * saturation / MOST_STEPS:.2g}, which takes "
            f"{MOST_STEPS} steps"
        )
    times = np.linspace(0.0, steps * p["step"], steps + 1)
    # P_x + i P_y ~ exp(-i W t): slow, or turning by mu D_z
    together = abs(growing.real) < 0.5 * p["mu"] * (number[0] - number[1])
    vectors, omega_c = tilted(p, axis[2], together)
    trace = np.array([p["n_e"] + p["n_x"], p["nbar_e"] + p["nbar_x"]])
    rate, equilibrium = 2.0 * np.array([p["gamma"], p["gamma_bar"]]), np.array([p["n_e"], p["nbar_e"]])

    def collide(density_matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        change = np.zeros_like(density_matrix)
        change[..., 0] = rate[:, None] * (equilibrium[:, None] - density_matrix[..., 0])
        change[..., 2:] = -0.5 * rate[:, None, None] * density_matrix[..., 2:]
        return change

    mu = Law.constant(p["mu"])
    gas = Gas(
        vacuum_matrices([p["omega"]], axis),
        [1.0],
        from_polarization(vectors, trace)[:, None],
        mu=mu,
        matter=Law.constant(0.0),
        charge="mass",
        collisions=collide,
    )
    report = gas.start_at(omega_c * multiplier_of(gas, axis))
    return Instability(gas, times, vectors, axis, Collisions(rate, equilibrium, trace), report, exact, saturation)


def multiplier_of(gas: Gas, axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """lambda of omega_c = 1, (2,): Q = +-B . sigma/sqrt 2, the sign being that of the basis."""
    sign = polarization(gas.cells.axes.matrices())[0, 0] @ axis
    return np.array([np.sign(sign) / np.sqrt(2.0), 0.0])
