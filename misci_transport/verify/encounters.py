"""V21 and V22: one encounter, and the gas of encounters with its slow limit (docs/encounters.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import expm

from ..encounters import Group, Setting, mean_map, miscidynamics, modes_of, simulate, slow_equation
from ..encounters.pair import PAULI, concurrence, density_matrix, encounter, pair_state
from ..parallel.petsc import world
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Angle between the polarization vectors of the two groups, rad.
TILT = 2.0
#: Steps over which a rate is measured: few, because what a step adds to the scatter grows with what was before.
RATE_STEPS = 5
#: Multiples of the statistical error that are accepted.
SIGMAS = 4.0
#: The scatter is measured at this gamma and time, in gases of 1, 4 and 16 times n1 + n2, in so many realizations.
SCATTER_GAMMA, SCATTER_TIME, SIZES, REALIZATIONS = 0.1, 1.0, (1, 4, 16), 120
SAMPLES = 10


@problem(
    "V21",
    "encounter",
    "two neutrinos meet once: P' = cos^2 phi P + sin^2 phi Q + sin(2 phi)/2 Q x P",
    [Parameter("phi", 0.3, "rad", "gamma (1 - v_1 . v_2)", -10.0, 10.0)],
)
def one_encounter(p: dict[str, Any], findings: Findings) -> None:
    """The formula against the exponential of the 4 x 4 Hamiltonian and the partial trace; entanglement of pure ones."""
    exchange = sum(np.kron(sigma, sigma) for sigma in PAULI)
    u = expm(-0.5j * p["phi"] * exchange)
    rng = np.random.default_rng(21)
    largest = 0.0
    for _ in range(20):
        one, two = rng.normal(size=(2, 3))
        one, two = one / np.linalg.norm(one) * rng.random(), two / np.linalg.norm(two) * rng.random()
        pair = (u @ np.kron(density_matrix(one), density_matrix(two)) @ u.conj().T).reshape(2, 2, 2, 2)
        traced = [np.einsum("aij,ji->a", PAULI, np.einsum(t, pair)).real for t in ("ijkj->ik", "jijk->ik")]
        found = encounter(one, two, p["phi"])
        largest = max(largest, *(float(np.abs(a - b).max()) for a, b in zip(found, traced, strict=True)))
    findings.compare("largest error of P' and Q' against 4 x 4 matrices", largest, 0.0, 1.0e-14)
    one, two = np.array([0.0, 0.0, 1.0]), np.array([np.sin(TILT), 0.0, np.cos(TILT)])
    expected = 0.5 * abs(np.sin(2.0 * p["phi"])) * (1.0 - one @ two)
    # roots of eigenvalues of size round-off
    computed = float(concurrence(pair_state(one, two, p["phi"])))
    findings.compare("concurrence of pure neutrinos", computed, expected, 1.0e-7, error=abs(computed - expected))


def crossing_beams(gamma: float, n1: int, n2: int, seed: int) -> Setting:
    """nu_e along z and n2 neutrinos turned by `TILT` along x: 1 - v_1 . v_2 = 1 between groups, 0 within."""
    tilted = (float(np.sin(TILT)), 0.0, float(np.cos(TILT)))
    groups = (Group(n1, (0.0, 0.0, 1.0)), Group(n2, tilted, direction=(1.0, 0.0, 0.0)))
    return Setting(groups, gamma, seed=seed)


def total_axis(setting: Setting) -> NDArray[np.float64]:
    """J/|J|."""
    total = setting.numbers @ setting.start
    return np.asarray(total / np.linalg.norm(total))


def entanglement_rate(setting: Setting, comm: Any = None) -> tuple[float, float]:
    """Rate at which (P_1 - P_2) . J falls over mu gamma N/(N - 1): of a gas, and of its average, `RATE_STEPS` steps."""
    steps = np.array([0, RATE_STEPS])
    axis = total_axis(setting)
    found = []
    for means in (simulate(setting, steps, 1, comm).polarization[0], mean_map(setting, steps)):
        first, last = (means[:, 0] - means[:, 1]) @ axis
        rate = -np.log1p((last - first) / first) / (RATE_STEPS * setting.step)
        found.append(float(rate / (setting.mu * setting.gamma * setting.partners)))
    return found[0], found[1]


def scatter(n1: int, n2: int, seed: int, comm: Any = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers of neutrinos, and root mean square distance of one realization from miscidynamics along J."""
    spread = []
    for size in SIZES:
        setting = crossing_beams(SCATTER_GAMMA, n1 * size, n2 * size, seed)
        steps = np.array([0, round(SCATTER_TIME / SCATTER_GAMMA**2)])
        run = simulate(setting, steps, REALIZATIONS, comm)
        misci = miscidynamics(modes_of(setting), run.times).group_means[-1, 0]
        away = (run.polarization[:, -1, 0] - misci) @ total_axis(setting)
        spread.append(float(np.sqrt((away**2).mean())))
    return np.array(SIZES) * (n1 + n2), np.array(spread)


@problem(
    "V22",
    "encounter_gas",
    "gas of encounters: rate of entanglement mu gamma, and miscidynamics on top of averaged runs",
    [
        Parameter("gamma", 0.01, "1", "mu times the time of an encounter", 1.0e-5, 0.2),
        Parameter("n", 1000000, "1", "neutrinos of the gas whose rate is measured", 1000, 100000000, even=True),
        Parameter("n1", 60, "1", "neutrinos of the first group", 2, 1000000, even=True),
        Parameter("n2", 40, "1", "neutrinos of the second group", 2, 1000000, even=True),
        Parameter("seed", 1, "1", "of the random numbers", 0, 2**31),
        Parameter("time", 1.0, "1/(mu gamma)", "length of the run that miscidynamics is compared with", 0.1, 10.0),
    ],
)
def gas(p: dict[str, Any], findings: Findings) -> None:
    """Rate over mu gamma; the averaged run against its mean map, the slow equation and miscidynamics; N^-1/2."""
    comm = world()
    first = 2 * round(0.5 * p["n"] * p["n1"] / (p["n1"] + p["n2"]))
    large = crossing_beams(p["gamma"], first, p["n"] - first, p["seed"])
    computed, average = entanglement_rate(large, comm)
    # 1 + gamma^2/6 of the average; scatter of a few steps in units of 1/sqrt N
    noise = SIGMAS * np.sqrt(RATE_STEPS / p["n"])
    findings.compare("rate of entanglement over mu gamma", computed, 1.0, 0.01 + 0.2 * p["gamma"] ** 2)
    findings.compare("the same, of the average gas", average, 1.0, 1.0e-4 + 0.2 * p["gamma"] ** 2)
    findings.compare("rate of the gas over that of the average", computed / average, 1.0, noise)
    setting = crossing_beams(max(p["gamma"], 0.01), p["n1"], p["n2"], p["seed"])
    steps = np.unique(np.linspace(0, p["time"] / setting.gamma**2, SAMPLES + 1).astype(np.int64))
    run = simulate(setting, steps, max(40, 20000 // setting.size), comm)
    modes, axis = modes_of(setting), total_axis(setting)
    misci = miscidynamics(modes, run.times)
    slow = slow_equation(modes, run.times).group_means
    scale = float(np.abs(slow @ axis).max())
    findings.compare(
        "miscidynamics against the slow equation, along J",
        float(np.abs((misci.group_means - slow) @ axis).max()) / scale,
        0.0,
        1.0e-8,
    )
    across = [
        np.linalg.norm(p - (p @ axis)[..., None] * axis, axis=-1) for p in (misci.group_means, mean_map(setting, steps))
    ]
    findings.compare(
        "miscidynamics against the average gas, across J",
        float(np.abs(across[0] - across[1]).max()),
        0.0,
        1.0e-6 + setting.gamma**2,
    )
    along = run.polarization[:, 1:, 0] @ axis
    error = along.std(axis=0, ddof=1) / np.sqrt(along.shape[0])
    score = np.abs(along.mean(axis=0) - misci.group_means[1:, 0] @ axis) / error
    findings.compare("averaged run against miscidynamics, standard errors", float(score.max()), 0.0, SIGMAS)
    field = slow_equation(replace(modes, gamma=1.0e-12, step=1.0e-12), run.times[:2]).group_means
    turned = slow_equation(modes, run.times[:2], collisions=False).group_means
    findings.compare("gamma -> 0: slow equation against mean field", float(np.abs(field - turned).max()), 0.0, 1.0e-8)
    number, spread = scatter(p["n1"], p["n2"], p["seed"], comm)
    slope = float(np.polyfit(np.log(number), np.log(spread), 1)[0])
    findings.compare("power of N with which the scatter falls", slope, -0.5, 0.1, error=abs(slope + 0.5))
