"""V13: what a rotation cannot change, after very many of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..flavor import pack
from ..kinetics import KineticBox, KineticSetup, random_waves
from .registry import Findings, Parameter, problem

CELLS, LENGTH = 6, 0.6


def moving_box(flavors: int, seed: int) -> KineticBox:
    """Two beams with random density matrices, vacuum and matter terms and self-interaction; dt = the cell width."""
    random = np.random.default_rng(seed)
    shape = (2, 2, 1)
    values = random.uniform(0.1, 0.9, size=(*shape, flavors))
    raw = random.normal(size=(*shape, flavors, flavors)) + 1j * random.normal(size=(*shape, flavors, flavors))
    basis, _ = np.linalg.qr(raw)
    state = pack((basis * values[..., None, :]) @ np.swapaxes(basis.conj(), -1, -2))
    mixing = random.normal(size=(1, flavors, flavors)) + 1j * random.normal(size=(1, flavors, flavors))
    vacuum = pack(0.2 * (mixing + np.swapaxes(mixing.conj(), -1, -2)))
    setup = KineticSetup(
        np.array([-1.0, 1.0]),
        np.ones(2),
        vacuum,
        strength=0.5,
        matter_potential=0.4,
        cells=CELLS,
        length=LENGTH,
        boundary="periodic",
    )
    x = (np.arange(CELLS) + 0.5) * setup.cell_width
    return KineticBox(setup, random_waves(state, x, LENGTH, amplitude=0.02, modes=2, seed=seed))


@problem(
    "V13",
    "rotations",
    "traces of powers and entropy of inhomogeneous beams over many steps",
    [
        Parameter("steps", 100000, "1", "number of steps", 100, 10_000_000),
        Parameter("flavors", 2, "-", "2 or 3", 2, 3),
        Parameter("seed", 1, "-", "of the random state", 0, 1_000_000),
    ],
)
def rotations(p: dict[str, Any], findings: Findings) -> None:
    """Integrals of Tr rho, Tr rho^2, Tr rho^3 of each beam, and the entropy, against those of the start."""
    box = moving_box(p["flavors"], p["seed"])
    before, entropy = box.trace_powers(), box.entropy()
    averages = box.average()
    box.march(p["steps"], box.setup.cell_width)
    after = box.trace_powers()
    for power in range(3):
        drift = np.abs(after[power] / before[power] - 1.0)
        findings.compare(f"Tr rho^{power + 1}: largest relative change", float(drift.max()), 0.0, 1.0e-12)
    findings.compare("entropy", box.entropy(), entropy, 1.0e-12)
    findings.at_least(
        "largest change of an average: the state has moved", float(np.abs(box.average() - averages).max()), 0.01
    )
