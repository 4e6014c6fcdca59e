"""V10 with momenta that move: the gradients of the self-energy give to the kinetic energy what U_osc loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kinetics.gradient_corrected import Beam, GradientCorrectedBeams, Totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..kinetics.two_beams import TwoBeams
    from .registry import Findings

#: Width of the beams' spectra over their momentum, momenta per width, amplitude of the seeds.
WIDTH, FINE, SEED = 0.06, 3.0, 0.02
#: Wavelengths of the fastest mode in the box, cells for each, e-folds that are followed, steps an e-fold.
WAVES, CELLS, EFOLDS, STEPS = 3, 32, 6.0, 20


def seeded(gas: GradientCorrectedBeams, signs: tuple[float, float]) -> NDArray[np.float64]:
    """Both beams in their flavour but for three waves."""
    z = 2.0 * np.pi * gas.position / gas.length
    polarization = np.zeros((2, 3, gas.cells))
    for beam, sign in enumerate(signs):
        for component in range(2):
            for wave in range(1, 2 * WAVES):
                polarization[beam, component] += SEED / WAVES * np.cos(wave * z + 1.3 * beam + 2.1 * component + wave)
        polarization[beam, 2] = sign * np.sqrt(1.0 - (polarization[beam, :2] ** 2).sum(axis=0))
    return gas.fill(polarization)


def march(beams: TwoBeams, r_mu: float, steps: int) -> tuple[list[float], list[Totals]]:
    """Totals along a run; ``steps`` an e-fold of the fastest mode."""
    mean = 0.5 * sum(beams.unstable)
    growth = float(beams.growth(mean))
    momentum = 1.0 / r_mu
    width = WIDTH * momentum
    both = (beams.zeta_plus, beams.zeta_minus)
    gas = GradientCorrectedBeams(
        [Beam(direction * momentum, width, abs(zeta)) for direction, zeta in zip((1.0, -1.0), both, strict=True)],
        2.0 * np.pi * WAVES / abs(mean),
        WAVES * CELLS,
        width / FINE,
    )
    state = seeded(gas, (float(np.sign(both[0])), float(np.sign(both[1]))))
    times, totals = [0.0], [gas.totals(state)]
    dt = 1.0 / (growth * steps)
    for step in range(1, round(EFOLDS * steps) + 1):
        gas.step(state, dt)
        if step % steps == 0:
            times.append(step * dt)
            totals.append(gas.totals(state))
    return times, totals


def gradient_corrected(beams: TwoBeams, p: dict[str, Any], findings: Findings) -> None:
    """FRS (16) on a grid of momenta: K + U of FRS (3), sums of tr rho and tr rho^2, and the order of the steps."""
    errors = []
    for steps in (STEPS, 2 * STEPS):
        _, totals = march(beams, p["r_mu"], steps)
        first, last = totals[0], totals[-1]
        lost = last.oscillation - first.oscillation
        errors.append(abs(last.energy - first.energy) / abs(lost))
    findings.at_least("gradients: change of U_osc over |U_osc(0)|", abs(lost / first.oscillation), 0.02)
    findings.compare(
        "gradients: change of K over that of -U, FRS (3)",
        (first.kinetic - last.kinetic) / (last.refractive - first.refractive),
        1.0,
        1.0e-5,
    )
    findings.compare("gradients: change of K + U over that of U_osc", errors[1], 0.0, 1.0e-5)
    findings.at_least("gradients: its order in the step", float(np.log2(errors[0] / errors[1])), 3.5)
    findings.compare("gradients: relative change of the sum of tr rho", last.number / first.number - 1.0, 0.0, 1.0e-10)
    square = abs(last.square / first.square - 1.0)
    findings.compare("gradients: relative change of the sum of tr rho^2", square, 0.0, 1.0e-6)
    # FRS (S24) is no identity for matrices that do not commute
    findings.at_least(
        "gradients: change of the sum of tr rho^3 over that of tr rho^2",
        abs(last.cube / first.cube - 1.0) / square,
        10.0,
    )
