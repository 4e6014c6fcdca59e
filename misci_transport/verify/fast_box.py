"""V12: fast flavour instability of a continuous angular distribution in a periodic box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..kinetics import KineticBox, KineticSetup, angular_spectrum, directions, flavor_state, random_waves
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Nodes of the integrals over angles in the dispersion relation.
NODES = 2000
SEED, E_FOLDS = 1.0e-8, 6.0
#: Cells to a wave in the linear run, at least, and what the self-interaction may turn a neutrino by in a cell; cells to
#: a wave in the nonlinear run; waves in the nonlinear box, its e-folds, its seed.
LINEAR_CELLS, LINEAR_TURN, CELLS, WAVES, LATE, RANDOM = 128, 0.12, 48, 16, 120.0, 1.0e-4
#: What may be left of the difference of flavours on the side of the crossing that holds less: fluctuations of one box;
#: beside a larger other side it can go a little beyond equal parts.
EQUIPARTITION = {"linear": 0.15, "gaussians": 0.25}


def difference(p: dict[str, Any], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """G(v) of neutrinos minus that of antineutrinos."""
    found = excess(p, v)
    return np.asarray(found[0] - found[1])


def excess(p: dict[str, Any], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """G(v) of neutrinos and of antineutrinos, (2, direction)."""
    if p["distribution"] == "linear":
        return angular_spectrum("linear", v)
    return angular_spectrum("gaussians", v, sigma=p["sigma"], sigma_bar=p["sigma_bar"], asymmetry=p["asymmetry"])


def modes(
    g: NDArray[np.float64], v: NDArray[np.float64], weight: NDArray[np.float64], mu: float, k: float
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Frequencies and vectors of psi_v ~ exp(-i W t + i k x) on given directions, W (mode,), (direction, mode).

        (W - k v + mu (N_0 - v N_1)) psi_v = mu G_v sum_u w_u (1 - v u) psi_u,    N_l = sum w v^l G

    the linearised kinetic equation without vacuum and matter terms.
    """
    moment = [(weight * g).sum(), (weight * v * g).sum()]
    matrix = mu * g[:, None] * weight * (1.0 - np.multiply.outer(v, v))
    matrix[np.diag_indices(v.size)] += k * v - mu * (moment[0] - v * moment[1])
    values, vectors = np.linalg.eig(matrix)
    return values, vectors


def dispersion(p: dict[str, Any], k: float) -> complex:
    """Growing root W of (1 - mu I_0)(1 + mu I_2) + mu^2 I_1^2 = 0 with the largest Im W, 0 if nothing grows.

        I_n = integral v^n G/(z - q v) dv,    z = W + mu N_0, q = k + mu N_1

    by Newton's method from the fastest mode on 64 directions; integrals by Gauss-Legendre.
    """
    v, weight = directions("gauss", NODES)
    g, mu = difference(p, v), p["mu"]
    coarse = directions("gauss", 64)
    values, _ = modes(difference(p, coarse[0]), *coarse, mu, k)
    root = complex(values[np.argmax(values.imag)])
    if root.imag < 1.0e-3 * mu:
        return 0.0 + 0.0j
    shift, q = mu * (weight * g).sum(), k + mu * (weight * v * g).sum()
    for _ in range(50):
        pole = 1.0 / (root + shift - q * v)
        i = [(weight * v**n * g * pole).sum() for n in range(3)]
        d = [-(weight * v**n * g * pole**2).sum() for n in range(3)]
        value = (1.0 - mu * i[0]) * (1.0 + mu * i[2]) + mu**2 * i[1] ** 2
        slope = -mu * d[0] * (1.0 + mu * i[2]) + (1.0 - mu * i[0]) * mu * d[2] + 2.0 * mu**2 * i[1] * d[1]
        change = value / slope
        root -= change
        if abs(change) < 1.0e-13 * mu:
            break
    return root


def fastest(p: dict[str, Any]) -> float:
    """Wave number that grows fastest, to a per cent of the range of unstable ones.

    Raises
    ------
    ConfigurationError
        If none grows.
    """
    v, weight = directions("gauss", 64)
    g, mu = difference(p, v), p["mu"]
    scale = 2.0 * mu * float((weight * np.abs(g)).sum())
    waves = np.linspace(-scale, scale, 401)
    rates = [modes(g, v, weight, mu, k)[0].imag.max() for k in waves]
    if max(rates) < 1.0e-3 * mu:
        raise ConfigurationError("V12: nothing grows; accepted: a distribution whose nu - nubar changes its sign")
    return float(waves[int(np.argmax(rates))])


def setup_of(p: dict[str, Any], length: float, cells: int) -> KineticSetup:
    """Periodic box with Gauss-Legendre directions."""
    v, weight = directions("gauss", p["angles"])
    return KineticSetup(v, weight, np.zeros((1, 4)), strength=p["mu"], cells=cells, length=length, boundary="periodic")


def linear_rate(p: dict[str, Any], k: float, finer: float = 1.0) -> float:
    """Growth rate of one wave in a box of one wavelength, seeded with its fastest mode."""
    v, weight = directions("gauss", p["angles"])
    length = 2.0 * np.pi / abs(k)
    turning = 2.0 * p["mu"] * float(weight @ np.abs(difference(p, v)))
    cells = max(LINEAR_CELLS, int(np.ceil(length * turning / LINEAR_TURN)))
    setup = setup_of(p, length, round(finer * cells))
    both = excess(p, v)
    g = both[0] - both[1]
    values, vectors = modes(g, v, weight, p["mu"], k)
    fast = int(np.argmax(values.imag))
    # psi of each species, whose difference is the mode's: both obey (W - k v + ...) psi = G (...)
    share = vectors[:, fast] / np.where(g == 0.0, 1.0, g)
    psi = SEED * both[..., None] * (share / np.abs(share * g).max())[:, None]
    box = KineticBox(setup, flavor_state(both))
    wave = psi * np.exp(1j * k * box.position)
    box.density_matrix[:, :, 0, 2] += 0.5 * wave.real.swapaxes(0, 1)
    box.density_matrix[:, :, 0, 3] -= 0.5 * wave.imag.swapaxes(0, 1)
    time = E_FOLDS / float(values[fast].imag)
    steps = int(np.ceil(time / setup.cell_width))
    before = np.abs(box.fourier(-k)[0, :, 0, 0, 0])
    box.march(steps, time / steps)
    strong = before > 0.1 * before.max()
    return float(np.log(np.abs(box.fourier(-k)[0, :, 0, 0, 0])[strong] / before[strong]).mean() / time)


@dataclass(frozen=True)
class Relaxed:
    """A nonlinear run: box averages of P_z over its start, by direction, of what both species hold together."""

    times: NDArray[np.float64]
    cosine: NDArray[np.float64]
    start: NDArray[np.float64]  #: (species, direction) P_z
    polarization: NDArray[np.float64]  #: (time, species, direction) box averages of P_z


def relaxed(p: dict[str, Any], k: float, rate: float) -> Relaxed:
    """Long box with random seeds, until long after saturation."""
    length = WAVES * 2.0 * np.pi / abs(k)
    setup = setup_of(p, length, WAVES * CELLS)
    state = flavor_state(excess(p, setup.cosine))
    x = (np.arange(setup.cells) + 0.5) * setup.cell_width
    box = KineticBox(setup, random_waves(state, x, length, amplitude=RANDOM, modes=4 * WAVES, seed=1))
    steps = int(np.ceil(LATE / rate / setup.cell_width))
    times, found = [], []
    for i in range(steps + 1):
        if i % 10 == 0 or i == steps:
            mean = box.average()[:, :, 0]
            times.append(box.time)
            found.append((mean[..., 0] - mean[..., 1]).T)
        if i < steps:
            box.step(setup.cell_width)
    return Relaxed(np.array(times), setup.cosine, excess(p, setup.cosine), np.array(found))


@problem(
    "V12",
    "fast_box",
    "fast instability of a continuous angular distribution: growth and late averages in a periodic box",
    [
        Parameter("distribution", "linear", "-", "nu: G(v) = v, or two Gaussians", choices=("linear", "gaussians")),
        Parameter("mu", 1.0, "1/length", "self-interaction strength", 1.0e-3, 1.0e6),
        Parameter("k", 0.0, "1/length", "wave number in the linear run; 0: the one that grows fastest", -1e7, 1e7),
        Parameter("angles", 48, "1", "Gauss-Legendre directions", 8, 1024, even=True),
        Parameter("sigma", 0.6, "1", "gaussians: width of nu in v", 0.05, 10.0),
        Parameter("sigma_bar", 0.45, "1", "gaussians: width of nubar", 0.05, 10.0),
        Parameter("asymmetry", 0.95, "1", "gaussians: number of nubar over nu", 0.1, 10.0),
    ],
)
def fast_box(p: dict[str, Any], findings: Findings) -> None:
    """Growth of one wave against the dispersion relation, and box averages long after saturation.

    Raises
    ------
    ConfigurationError
        If nothing grows, or not at this wave number.
    """
    k = p["k"] or fastest(p)
    root = dispersion(p, k)
    if root.imag <= 0.0:
        raise ConfigurationError(f"V12: nothing grows at k = {k:g}; accepted: an unstable wave, 0: the fastest")
    v, weight = directions("gauss", p["angles"])
    values, _ = modes(difference(p, v), v, weight, p["mu"], k)
    findings.compare(f"growth rate on {p['angles']} directions, k = {k:.4g}", values.imag.max(), root.imag, 0.01)
    rates = [linear_rate(p, k, finer) for finer in (0.5, 1.0)]
    findings.compare(f"growth rate of the run, k = {k:.4g}", rates[-1], root.imag, 0.01)
    errors = np.abs(np.array(rates) - values.imag.max())
    findings.compare("its order in the step", float(np.log2(errors[0] / errors[1])), 2.0, 0.2)
    best = fastest(p)
    run = relaxed(p, best, dispersion(p, best).imag)
    late = run.times > 0.5 * run.times[-1]
    mean = run.polarization[late].mean(axis=0)
    total = np.einsum("sm,m->s", run.start, weight)
    start = run.start[0] - run.start[1]
    end = mean[0] - mean[1]
    numbers = float(np.abs(total).max() + weight @ np.abs(start))
    lost = float(weight @ (end - start)) / numbers
    # second order in the step: only vacuum terms may change it
    findings.compare("lepton number of the box: change over the number of neutrinos", lost, 0.0, 1.0e-3)
    # which side of the crossing holds less: it can mix completely, the other keeps what is left
    sides = [float(weight @ np.where(sign * start > 0.0, sign * start, 0.0)) for sign in (1.0, -1.0)]
    smaller = -1.0 if sides[0] >= sides[1] else 1.0
    there = smaller * start > 0.0
    before = float(weight[there] @ np.abs(start[there]))
    after = float(weight[there] @ (smaller * end[there]))
    findings.compare(
        "smaller side of the crossing: what is left of nu_e - nu_x, late mean",
        after / before,
        0.0,
        EQUIPARTITION[p["distribution"]],
    )
