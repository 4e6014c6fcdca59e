"""Alignment as a closure: the flavours of the density matrices that commute with their own Hamiltonian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..alignment import align, mixing_probabilities
from ..errors import ConvergenceError
from .cell import SPECIES, Cell, Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray


def aligned(occupations: NDArray[np.float64], cell: Cell) -> Outcome:
    """n_f = sum_k |U_fk|^2 n_k of the aligned state of the populations n_k = sum_f |U_fk|^2 n_f, Eq. (14).

    The populations are those on the eigenvectors of the H that the given occupations make; where mixing is strong
    their coherence is not there, and purity is lost. Conserves the numbers of every momentum.

    Raises
    ------
    ConvergenceError
        If there is no aligned state.
    """
    n = cell.n_flavors
    assert cell.vacuum is not None
    assert cell.velocity is not None
    axes = 1 if cell.velocity.ndim == 1 else cell.velocity.shape[1]
    velocity = cell.velocity.reshape(cell.weight_0.size, axes)
    medium: dict[str, Any] = {
        "velocity": velocity,
        "vacuum": cell.vacuum,
        "matter_potential": cell.matter_potential,
        "matter_beta": np.zeros(axes),
        "strength": cell.strength,
        "n_flavors": n,
    }
    weight = np.array(SPECIES)[:, None] * cell.number_weight
    net = np.einsum("sg,msgf->mf", weight, occupations)[:, :n] * cell.weight_0[:, None]
    moments = np.zeros((1 + axes, n * n))
    moments[0, :n], moments[1:, :n] = net.sum(axis=0), velocity.T @ net
    share = mixing_probabilities(moments, **medium)
    flavors = occupations.shape[-1]
    if flavors < share.shape[-1]:
        share = share[..., :flavors, :flavors]
    populations = np.einsum("msgfk,msgf->msgk", share, occupations)
    report = align(populations, moments, weight_0=cell.weight_0, number_weight=cell.number_weight, **medium)
    if not report.successful:
        raise ConvergenceError(f"closure 'alignment': {report.describe_failures()}")
    share = mixing_probabilities(moments, **medium)[..., :flavors, :flavors]
    counts = {"cells": 1.0, "iterations": float(report.iterations[0])}
    return Outcome(np.einsum("msgfk,msgk->msgf", share, populations), counts)
