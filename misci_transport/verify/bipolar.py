"""V11: bipolar oscillation of monochromatic neutrinos and antineutrinos, and its pendulum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ellipk

from ..errors import ConfigurationError
from ..kinetics import KineticBox, KineticSetup
from .homogeneous import from_polarization, polarization, vacuum_matrices
from .kinetics import vacuum_axis
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED, E_FOLDS = 1.0e-8, 8.0
#: Steps of the linear runs in the fastest rotation.
LINEAR_PARTS = 150
#: Steps of the nonlinear run in one period of the pendulum, at least, and in the fastest rotation; periods.
PARTS, TURNS, PERIODS = 3000, 100, 2
#: Heights that are looked at in a period.
SAMPLES = 1000


def growth(p: dict[str, Any], mu: float) -> complex:
    """(1/2) sqrt(4 a mu^2 - (mu (1 + a) - 2 w)^2), imaginary where it is stable; inverted ordering, no mixing."""
    a, w = p["asymmetry"], p["omega"]
    return complex(0.5 * np.sqrt(complex(4.0 * a * mu**2 - (mu * (1.0 + a) - 2.0 * w) ** 2)))


def thresholds(p: dict[str, Any]) -> tuple[float, float]:
    """mu between 2 w/(1 + sqrt a)^2 and 2 w/(1 - sqrt a)^2 is unstable; the second is infinite for a = 1."""
    root = np.sqrt(p["asymmetry"])
    high = 2.0 * p["omega"] / (1.0 - root) ** 2 if root != 1.0 else float("inf")
    return float(2.0 * p["omega"] / (1.0 + root) ** 2), float(high)


def gas(p: dict[str, Any], mu: float, theta: float, vectors: NDArray[np.float64]) -> KineticBox:
    """Homogeneous isotropic gas; vectors (2, 3) of neutrinos and antineutrinos, of which there are a times as many."""
    axis = vacuum_axis(theta, "inverted")
    state = from_polarization(vectors, np.ones(2))[None, :, None]
    # a times fewer antineutrinos: their matrices, not the weights, which both species share
    state[:, 1] *= p["asymmetry"]
    return KineticBox(KineticSetup(np.zeros(1), np.ones(1), vacuum_matrices([p["omega"]], axis), strength=mu), state)


def vectors_of(box: KineticBox) -> NDArray[np.float64]:
    """P of neutrinos and a P of antineutrinos, (2, 3)."""
    return polarization(box.average()[0, :, 0])


def linear_rate(p: dict[str, Any], mu: float) -> float:
    """Growth rate of the fastest eigenmode of the flavour state without mixing, over some e-folds."""
    a, w = p["asymmetry"], p["omega"]
    # d psi/dt = i M psi of psi = P_x + i P_y of both
    matrix = np.array([[w - mu * a, mu * a], [-mu, mu - w]])
    values, modes = np.linalg.eig(matrix.astype(complex))
    mode = modes[:, np.argmin(values.imag)]
    psi = SEED * mode / np.abs(mode).max()
    box = gas(p, mu, 0.0, np.stack([psi.real, psi.imag, np.ones(2)], axis=1))
    rate = growth(p, mu).real
    time = E_FOLDS / max(rate, 0.05 * w)
    steps = int(np.ceil(time * LINEAR_PARTS * (mu * (1.0 + a) + w) / (2.0 * np.pi)))
    before = np.hypot(*vectors_of(box)[0, :2])
    box.march(steps, time / steps)
    return float(np.log(np.hypot(*vectors_of(box)[0, :2]) / before) / time)


@dataclass(frozen=True)
class Pendulum:
    """Motion of c = B . Q/|Q| with Q = P + a Pbar - (w/mu) B: dc/dt^2 = f(c), a cubic with these roots."""

    roots: tuple[float, float, float]  #: ascending; c moves between the first two
    period: float


def pendulum(p: dict[str, Any]) -> Pendulum:
    """Roots and period 4 K(m)/sqrt(2 mu w |Q| (c_3 - c_1)), m = (c_2 - c_1)/(c_3 - c_1), of the flavour state.

    With D = P - a Pbar: |Q|, D . Q, D . B and w B . Q + mu D^2/2 are constant, dQ/dt = mu D x Q and

        (dc/dt)^2 = (1 - c^2)(2 mu (E - w |Q| c) - mu^2 s^2) - mu^2 (D . B - s c)^2,    s = D . Q/|Q|.
    """
    a, w, mu = p["asymmetry"], p["omega"], p["mu"]
    axis = vacuum_axis(p["theta"], "inverted")
    up = np.array([0.0, 0.0, 1.0])
    q, d = (1.0 + a) * up - w / mu * axis, (1.0 - a) * up
    size = float(np.linalg.norm(q))
    s, along = float(d @ q) / size, float(d @ axis)
    energy = w * float(axis @ q) + 0.5 * mu * float(d @ d)
    slope, free = 2.0 * mu * w * size, 2.0 * mu * energy - mu**2 * s**2
    cubic = np.array([slope, -free - mu**2 * s**2, 2.0 * mu**2 * along * s - slope, free - mu**2 * along**2])
    low, middle, high = np.sort(np.roots(cubic).real)
    period = 4.0 * ellipk((middle - low) / (high - low)) / np.sqrt(slope * (high - low))
    return Pendulum((float(low), float(middle), float(high)), float(period))


def swings(p: dict[str, Any], finer: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (time,) and B . Q/|Q| over some periods, by the kinetic equation."""
    expected = pendulum(p)
    box = gas(p, p["mu"], p["theta"], np.array([[0.0, 0.0, 1.0]] * 2))
    fastest = p["mu"] * (1.0 + p["asymmetry"]) + p["omega"]
    steps = finer * int(np.ceil(max(PARTS, TURNS * fastest * expected.period / (2.0 * np.pi))))
    dt = expected.period / steps
    axis = vacuum_axis(p["theta"], "inverted")

    def height() -> float:
        q = vectors_of(box).sum(axis=0) - p["omega"] / p["mu"] * axis
        return float(q @ axis / np.linalg.norm(q))

    found = [height()]
    every = max(1, steps // SAMPLES)
    for _ in range(int((PERIODS + 0.7) * steps) // every):
        box.march(every, dt)
        found.append(height())
    return every * dt * np.arange(len(found)), np.array(found)


def lowest_points(times: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times of the minima, by parabolas through the lowest points."""
    inner = heights[1:-1]
    at = np.flatnonzero((inner < heights[:-2]) & (inner <= heights[2:])) + 1
    before, here, after = heights[at - 1], heights[at], heights[at + 1]
    return np.asarray(times[at] + 0.5 * (before - after) / (before - 2.0 * here + after) * (times[1] - times[0]))


@problem(
    "V11",
    "bipolar",
    "bipolar instability: growth, thresholds, and the period of the pendulum",
    [
        Parameter("asymmetry", 0.8, "1", "number of nubar over nu", 0.01, 10.0),
        Parameter("omega", 1.0, "1/time", "vacuum frequency", 1.0e-3, 1.0e3),
        Parameter("mu", 10.0, "1/time", "self-interaction strength", 1.0e-3, 1.0e5),
        Parameter("theta", 0.01, "rad", "mixing angle of the pendulum", 1.0e-3, 0.7),
    ],
)
def bipolar(p: dict[str, Any], findings: Findings) -> None:
    """Growth at mu and on both sides of both thresholds; period and lowest point of the pendulum.

    Raises
    ------
    ConfigurationError
        If nothing is unstable at this mu.
    """
    low, high = thresholds(p)
    if not low < p["mu"] < high:
        raise ConfigurationError(f"V11: mu is {p['mu']:g}; accepted with these parameters: in ({low:.4g}, {high:.4g})")
    findings.compare("growth rate", linear_rate(p, p["mu"]), growth(p, p["mu"]).real, 1.0e-3)
    for name, edge in (("lower", low), ("upper", high)):
        if not edge < 1.0e3 * p["omega"]:
            continue
        for factor in (0.98, 1.02):
            mu = factor * edge
            exact = growth(p, mu).real
            computed = linear_rate(p, mu)
            findings.compare(
                f"{name} threshold: growth rate at {factor:g} of it",
                computed,
                exact,
                5.0e-3,
                error=abs(computed - exact) / max(exact, 0.05 * p["omega"]),
            )
    expected = pendulum(p)
    runs = [swings(p, finer) for finer in (1, 2, 4)]
    periods = [float(np.diff(lowest_points(*run)).mean()) for run in runs]
    findings.compare("period of the pendulum", periods[-1], expected.period, 1.0e-3)
    # the energy drifts at the third order, and a pendulum that begins next to its upright position feels that most
    errors = np.abs(np.array(periods) - expected.period)
    findings.at_least("its order in the step", float(np.log2(errors[0] / errors[1])), 1.85)
    heights = runs[-1][1]
    deepest = float(heights.min())
    findings.compare(
        "lowest point of the pendulum, B . Q/|Q|", deepest, expected.roots[0], 1.0e-3, abs(deepest - expected.roots[0])
    )
