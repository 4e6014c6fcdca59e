"""V8: matter-neutrino resonance of monochromatic nu_e and nubar_e, V/mu rising through a - 1 ... a + 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConvergenceError
from .homogeneous import Gas, from_polarization, polarization, vacuum_matrices
from .kinetics import Law, homogeneous, vacuum_axis
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Largest turn of the state in one step and in a new projection, and shortest step over the whole time.
LARGEST_CHANGE, LARGEST_PROJECTION, SHORTEST = 0.1, 0.5, 1.0e-7
#: Tolerance of the alignment: H of a mode is smaller than V by w/V, and round-off larger.
ALIGNED = 1.0e-10
KINETIC_TOLERANCE = 1.0e-8
#: V/mu goes from FIRST (a - 1) to a + BEYOND.
FIRST, BEYOND = 0.5, 1.2


def survival(asymmetry: float, ratio: ArrayLike) -> NDArray[np.float64]:
    """Survival probabilities of nu_e and nubar_e at R = V/mu in the limit w/V -> 0, (..., 2).

    P_ee = [1 + (a^2 - R^2 - 1)/(2 R)]/2, P_bar = [1 + (a^2 + R^2 - 1)/(2 a R)]/2 for a - 1 < R < a + 1: V z + mu D = 0.
    """
    a, r = asymmetry, np.clip(np.asarray(ratio, dtype=np.float64), abs(asymmetry - 1.0), asymmetry + 1.0)
    z = np.stack([(a * a - r * r - 1.0) / (2.0 * r), (a * a + r * r - 1.0) / (2.0 * a * r)], axis=-1)
    return np.asarray(0.5 * (1.0 + z))


def fold(asymmetry: float, theta: float, smallness: float) -> float:
    """R = V/mu at which the aligned state ends, B_z > 0, with e = w/V.

    There Hbar = V z + mu D - w B vanishes, P = - B, and |P - D| = a:
    R^2 (1 + e^2 - 2 e c) + 2 R (e - c) + 1 - a^2 = 0, c = cos 2 theta.
    """
    c, e = np.cos(2.0 * theta), smallness
    square, half = 1.0 + e * e - 2.0 * e * c, e - c
    return float((-half + np.sqrt(half * half - square * (1.0 - asymmetry**2))) / square)


def sweep(p: dict[str, Any]) -> tuple[Gas, NDArray[np.float64], NDArray[np.float64]]:
    """The gas, the times, and V/mu at them, which rises evenly."""
    a, w, v = p["asymmetry"], p["omega"], p["potential"]
    first, last = FIRST * (a - 1.0), a + BEYOND
    end = p["tau"] / w
    slope = (last - first) / end
    given = np.stack([from_polarization([[0.0, 0.0, n]], [n]) for n in (1.0, a)])
    gas = Gas(
        vacuum_matrices([w], vacuum_axis(p["theta"], p["ordering"])),
        [1.0],
        given,
        mu=Law.power(v / slope, 1.0, -1.0, first / slope),
        matter=Law.constant(v),
        charge="none",
        largest_change=LARGEST_CHANGE,
        smallest_step=SHORTEST * end,
        largest_projection=LARGEST_PROJECTION,
        tolerance=ALIGNED,
    )
    times = np.linspace(0.0, end, p["steps"] + 1)
    return gas, times, first + slope * times


def follow(gas: Gas, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Density matrices (time, species, group, 4); where no aligned state exists the last one is kept until one does."""
    out = [gas.density_matrix]
    lost = False
    for time in times[1:]:
        try:
            if lost:
                gas.restart(float(time))
            else:
                gas.advance(float(time))
            lost = False
        except ConvergenceError:
            lost = True
        out.append(gas.density_matrix)
    return np.array(out)


def kinetic_survival(p: dict[str, Any], gas: Gas, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Survival probabilities of nu_e and nubar_e by the kinetic equation, (time, 2)."""
    w = p["omega"]
    run = homogeneous(
        [w, -w],
        [1.0, -p["asymmetry"]],
        [0.0, 0.0, 1.0],
        vacuum_axis(p["theta"], p["ordering"]),
        matter=gas.matter,
        mu=gas.mu,
        times=times,
        tolerance=KINETIC_TOLERANCE,
    )
    return np.asarray(0.5 * (1.0 + run.polarization[..., 2]))


def probabilities(p: dict[str, Any], density_matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Survival probabilities of nu_e and nubar_e, (time, 2), of (time, species, group, 4)."""
    z = polarization(density_matrix)[:, :, 0, 2] / np.array([1.0, p["asymmetry"]])
    return np.asarray(0.5 * (1.0 + z))


@problem(
    "V8",
    "matter_neutrino_resonance",
    "matter-neutrino resonance of a homogeneous gas, alignment without charge against formulas and kinetics",
    [
        Parameter("asymmetry", 1.3, "1", "antineutrinos over neutrinos, a", 1.05, 5.0),
        Parameter("theta", 0.1, "rad", "mixing angle", 1.0e-3, 0.5),
        Parameter("ordering", "inverted", "-", "mass ordering: B_z > 0 if inverted", choices=("inverted", "normal")),
        Parameter("potential", 1000.0, "1/time", "constant matter potential V", 1.0e-3, 1.0e7),
        Parameter("omega", 1.0, "1/time", "vacuum frequency w", 1.0e-6, 1.0e6),
        Parameter("ratio", 1.0, "1", "V/mu at which probabilities are compared", 1.0e-2, 10.0),
        Parameter("tau", 400.0, "1/omega", "time in which V/mu rises from (a - 1)/2 to a + 1.2", 10.0, 1.0e5),
        Parameter("steps", 400, "1", "time steps, divided where the state turns fast", 20, 100000),
    ],
)
def matter_neutrino_resonance(p: dict[str, Any], findings: Findings) -> None:
    """Survival probabilities through the resonance, the fold at its end, and the flag where a mode's H vanishes."""
    a, w, v = p["asymmetry"], p["omega"], p["potential"]
    gas, times, ratio = sweep(p)
    gas.start()
    probability = probabilities(p, follow(gas, times))
    end = fold(a, p["theta"], w / v)
    rate = (ratio[-1] - ratio[0]) / times[-1]
    lost = [ratio[0] + rate * event.time for event in gas.events if event.kind in ("failed", "reprojected")]
    early = [place for place in lost if place < 0.99 * end]
    findings.compare(
        "flag: H of a mode vanishes inside the resonance", float(bool(early)), float(p["ordering"] == "normal"), 0.0
    )
    # what ends a branch here is H of one of the two modes that goes through zero
    gap = next((event.gap / w for event in gas.events if event.kind in ("failed", "reprojected")), float("nan"))
    findings.compare("smallest |H| of a mode over w where the alignment ends", gap, 0.0, 1.0e-2)
    apart = np.abs(probability - kinetic_survival(p, gas, times))
    if early:
        findings.at_least("largest difference from kinetics: the flag is justified", float(apart.max()), 0.1)
        return
    # the formulas hold up to terms of the order w/V
    allowed = max(0.02, 8.0 * w / v)
    inside, before = (ratio > a - 1.0) & (ratio < end), ratio < end
    projected = max((event.distance for event in gas.events if event.kind == "reprojected"), default=0.0)
    for species, name in enumerate(("P_ee", "P_ee of antineutrinos")):
        found = float(np.interp(p["ratio"], ratio, probability[:, species]))
        exact = float(survival(a, p["ratio"])[species])
        findings.compare(
            f"{name} at V/mu = {p['ratio']:g} (absolute error)", found, exact, allowed, error=abs(found - exact)
        )
        difference = float(np.abs(probability[inside, species] - survival(a, ratio[inside])[:, species]).max())
        findings.compare(f"{name}: largest difference from the formula", difference, 0.0, allowed)
        findings.compare(
            f"{name}: largest difference from kinetics up to the fold", float(apart[before, species].max()), 0.0, 0.02
        )
        # the new projection shortens P by about the square of what it changes
        findings.compare(
            f"{name}: largest difference from kinetics after the fold",
            float(apart[~before, species].max(initial=0.0)),
            0.0,
            max(0.02, projected**2),
        )
    findings.compare("fold at V/mu", lost[0] if lost else float("nan"), end, 0.01)
    again = gas.count["reprojected"]
    findings.compare("number of new projections, at the fold", float(again), 1.0, 0.0)
