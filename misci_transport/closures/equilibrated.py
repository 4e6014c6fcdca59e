"""Mixing equilibrium as a closure: the largest entropy that numbers and lepton numbers of the flavours allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConvergenceError
from ..flavor import pack
from ..thermodynamics import equilibrium, thermal_batch
from .cell import Cell, Outcome
from .mixing import converted

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mixing_equilibrium(occupations: NDArray[np.float64], cell: Cell) -> Outcome:
    """rho_p = 1/(exp[-eta_p + sum_a lambda_a Q_a] + 1), Eq. (9) with beta = 0 and the lepton numbers of all flavours.

    Fast modes conserve the lepton number of each flavour that mixes, and not the energy of the neutrinos among
    themselves (docs/thermodynamics.md): it is left free, so that H does not matter, and the state is diagonal in
    flavours. Conserves the numbers of every momentum and the lepton numbers.

    Raises
    ------
    ConvergenceError
        If no such state is found.
    """
    n = cell.n_flavors
    state = np.zeros((*occupations.shape[:3], n * n))
    # the transport may leave a little less than nothing
    state[..., :n] = np.clip(occupations[..., :n], 0.0, 1.0)
    fields, batch = thermal_batch(
        state,
        weight_0=cell.weight_0,
        number_weight=cell.number_weight,
        vacuum=np.zeros((cell.number_weight.size, n * n)),
        matter_potential=0.0,
        matter_beta=0.0,
        strength=cell.strength,
        n_flavors=n,
        direction_cosine=np.zeros(cell.weight_0.size),
    )
    # differences of neighbouring flavours: traceless, and with the total number every lepton number
    charges = np.zeros((n - 1, n, n), dtype=np.complex128)
    for a in range(n - 1):
        charges[a, a, a], charges[a, a + 1, a + 1] = 0.5, -0.5
    found = equilibrium(fields, batch, charges=pack(charges), inverse_temperature=0.0)
    if not found.successful:
        raise ConvergenceError(f"closure 'equilibrium': {found.describe_failures()}")
    made = np.array(occupations)
    # what was cut off or lies outside [0, 1] stays with its flavour
    made[..., :n] += found.density_matrix[0][..., :n] - state[..., :n]
    change = converted(occupations, made, cell)
    return Outcome(made, {"cells": float(change > 0.0), "converted": change})
