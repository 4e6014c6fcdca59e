"""V10: two opposite beams of neutrinos, and where their refractive energy goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..kinetics.energy import refractive_energy
from ..kinetics.two_beams import TwoBeams, components, refractive_rate, transverse_energy
from .missing_energy import gradient_corrected
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..kinetics import KineticBox

#: Amplitude of the seeds in the linear regime, and e-folds of the fastest mode over which it is followed.
SMALL, LINEAR = 1.0e-8, 6.0
#: Amplitude of the random seeds of FRS Fig. 1 (variance 1e-8), waves in them, e-folds of the nonlinear run.
SEED, WAVES, NONLINEAR = 1.0e-4, 100, 40.0
#: Late times, as a part of the nonlinear run.
LATE = 0.5


@dataclass(frozen=True)
class Followed:
    """A nonlinear run: energies at the times."""

    times: NDArray[np.float64]
    energy: NDArray[np.float64]  #: U_osc
    kinetic: NDArray[np.float64]  #: integral of dK/dt, by trapezoids over every step
    balance: float  #: largest |dK/dt of FRS (22) + dU_osc/dt of FRS (7)| over the largest |dK/dt|
    content: NDArray[np.float64]  #: (time, cell) nu_x content of the beam v = +1 over its density


def followed(box: KineticBox, until: float, every: int = 1) -> Followed:
    """Steps of one cell until a time; energies after every step, contents every so many."""
    dt = box.setup.cell_width
    found = [refractive_energy(box)]
    rates, content, times = [refractive_rate(box)], [], [box.time]
    for i in range(round(until / dt) + 1):
        if i % every == 0:
            whole = box.whole()[1, 0, 0]
            content.append(whole[1] / (whole[0] + whole[1]))
        if i == round(until / dt):
            break
        box.step(dt)
        found.append(refractive_energy(box))
        rates.append(refractive_rate(box))
        times.append(box.time)
    energy = np.array([e.refractive for e in found])
    rate = np.array([e.kinetic_rate for e in found])
    kinetic = np.concatenate([[0.0], np.cumsum(0.5 * dt * (rate[1:] + rate[:-1]))])
    balance = float(np.abs(rate + np.array(rates)).max() / np.abs(rate).max())
    return Followed(np.array(times), energy, kinetic, balance, np.array(content))


def linear_growth(beams: TwoBeams, length: float, cells: int, k: float) -> tuple[float, KineticBox, float]:
    """Growth rate of one growing mode, its box at the end, and |alpha_k| at the start."""
    size = np.array(beams.mode(k))
    amplitude = SMALL / float(np.abs(size).max())
    plus, minus = amplitude * size
    box = beams.box_of(length, cells, lambda z: (plus * np.exp(1j * k * z), minus * np.exp(1j * k * z)))
    dt = box.setup.cell_width
    steps = max(2, round(LINEAR / float(beams.growth(k)) / dt))
    before = np.log(np.abs(components(box, np.array([k]))[0][0]))
    box.march(steps, dt)
    after = np.log(np.abs(components(box, np.array([k]))[0][0]))
    return float((after - before) / (steps * dt)), box, amplitude


def rates_of_all(beams: TwoBeams, length: float, cells: int, k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Growth rates of waves k from one box with random waves, over the second half of the linear regime."""
    waves = round(float(np.abs(k).max()) * length / (2.0 * np.pi)) + 1
    box = beams.random_box(length, cells, amplitude=SMALL, modes=waves, seed=1)
    dt = box.setup.cell_width
    largest = float(beams.growth(0.5 * sum(beams.unstable)))
    half = round(LINEAR / largest / dt)
    box.march(half, dt)
    before = np.log(np.abs(components(box, k)[0]))
    box.march(half, dt)
    return np.asarray((np.log(np.abs(components(box, k)[0])) - before) / (half * dt))


def wave_number(p: dict[str, Any], beams: TwoBeams) -> float:
    """Nearest wave number of the box to ``k``; 0 asks for the one that grows fastest.

    Raises
    ------
    ConfigurationError
        If that wave is not unstable, or the box has no cells for it.
    """
    low, high = beams.unstable
    asked = p["k"] if p["k"] != 0.0 else 0.5 * (low + high)
    k = float(2.0 * np.pi / p["length"] * round(asked * p["length"] / (2.0 * np.pi)))
    if not beams.growth(k) > 0.0:
        raise ConfigurationError(f"V10: k is {k:.4g} in this box; accepted: in ({low:.4g}, {high:.4g}), 0: the fastest")
    return k


@problem(
    "V10",
    "two_beams",
    "two opposite beams: growth rates, refractive energy in the linear regime, and its loss to kinetic energy",
    [
        Parameter("zeta_plus", 0.5, "1", "P_z of the beam v = +1 at the start", -2.0, 2.0),
        Parameter("zeta_minus", -0.5, "1", "P_z of the beam v = -1", -2.0, 2.0),
        Parameter("k", 0.0, "1/length", "wave that is seeded alone; 0: the one that grows fastest", -20.0, 20.0),
        Parameter("length", 100.0, "length", "of the box", 10.0, 1000.0),
        Parameter("cells", 3000, "1", "of the box", 64, 20000, even=True),
        Parameter("r_mu", 0.01, "1", "mu over the energy, where momenta move", 1.0e-4, 0.03),
    ],
)
def two_beams(p: dict[str, Any], findings: Findings) -> None:
    """Growth rates against FRS (10), energies against FRS (12) and its completion, FRS (7) against FRS (22).

    Raises
    ------
    ConfigurationError
        See `TwoBeams` and `wave_number`; and for cells that are longer than a quarter of the shortest e-fold.
    """
    beams = TwoBeams(p["zeta_plus"], p["zeta_minus"])
    length, cells, k = p["length"], p["cells"], wave_number(p, beams)
    low, high = beams.unstable
    step = length / cells * max(abs(low), abs(high), high - low)
    if step > 0.5:
        raise ConfigurationError(
            f"V10: cells is {cells}; accepted here: at least {int(np.ceil(2.0 * step * cells))}, which resolves all "
            "unstable waves"
        )
    mean = 0.5 * (low + high)
    largest = float(beams.growth(mean))

    def accuracy(wave: float) -> float:
        """Of a growth rate: second order in the cell width, and more where the rate is small."""
        return float(1.0e-4 + 0.12 * step**2 * (largest / float(beams.growth(wave))) ** 2)

    rate, _, _ = linear_growth(beams, length, cells, k)
    findings.compare(f"growth rate at k = {k:.4f}", rate, float(beams.growth(k)), accuracy(k))
    # FRS (12) vanishes at the fastest wave
    k = 2.0 * np.pi / length * round(1.4 * mean * length / (2.0 * np.pi))
    _, box, amplitude = linear_growth(beams, length, cells, k)
    one, alpha = np.array([k]), np.array([amplitude])
    findings.compare(
        f"transverse energy of the wave k = {k:.4f}, FRS (12)",
        transverse_energy(box),
        beams.transverse_energy(one, alpha, length, box.time),
        3.0 * LINEAR * accuracy(k),
    )
    waves = 2.0 * np.pi / length * np.arange(-cells // 4, cells // 4)
    inside = waves[(waves > low) & (waves < high) & (np.abs(waves) > 0.0)]
    strong = inside[beams.growth(inside) > 0.5 * largest]
    found = rates_of_all(beams, length, cells, strong)
    worst = int(np.argmax(np.abs(found - beams.growth(strong))))
    findings.compare(
        f"growth rates of {strong.size} unstable waves, farthest: k = {strong[worst]:.3f}",
        float(found[worst]),
        float(beams.growth(strong[worst])),
        max(0.005, 3.0 * accuracy(float(strong[worst]))),
    )
    start = beams.random_box(length, cells, amplitude=SEED, modes=WAVES, seed=1)
    growing = beams.growing(inside, *components(start, inside))
    energy = refractive_energy(start).refractive
    dt = start.setup.cell_width
    # the growing modes rule after e^8, and P_z is still what it was to a few per cent
    start.march(round(5.0 / float(beams.growth(mean)) / dt), dt)
    findings.compare(
        "U_osc of random waves: change in the linear regime",
        refractive_energy(start).refractive - energy,
        beams.energy_change(inside, growing, length, start.time),
        0.05,
    )
    run = followed(beams.random_box(length, cells, amplitude=SEED, modes=WAVES, seed=1), NONLINEAR / largest)
    late = run.times > LATE * run.times[-1]
    lost = 1.0 - float(np.abs(run.energy[late]).mean() / abs(run.energy[0]))
    findings.at_least("part of |U_osc| that is lost, mean of the late half", lost, 0.5)
    findings.compare("FRS (7) + FRS (22) over the largest rate", run.balance, 0.0, 1.0e-11)
    errors = [_imbalance(beams, length, n) for n in (cells // 2, cells)]
    findings.compare("U_osc + K - U_osc(0) over |U_osc(0)|", errors[1], 0.0, 1.5 * step**2)
    findings.compare("its order in the cell width", float(np.log2(errors[0] / errors[1])), 2.0, 0.1)
    gradient_corrected(beams, p, findings)


def _imbalance(beams: TwoBeams, length: float, cells: int) -> float:
    """Largest |U_osc + K - U_osc(0)| over |U_osc(0)| until U_osc has changed by much, with the same waves."""
    mean = 0.5 * sum(beams.unstable)
    box = beams.random_box(length, cells, amplitude=SEED, modes=WAVES // 2, seed=1)
    run = followed(box, 10.0 / float(beams.growth(mean)))
    return float(np.abs(run.energy + run.kinetic - run.energy[0]).max() / abs(run.energy[0]))
