"""Kinematic decoherence as a state of largest entropy: Eqs. (S.1)-(S.8) of Johns, arXiv:2306.14982."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError, ConvergenceError
from ..flavor import pack, unpack

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MAX_ITERATIONS = 200
#: Eigenvalues of H closer than this, relative to its largest splitting, are one.
DEGENERATE = 1.0e-12


@dataclass(frozen=True)
class Decoherence:
    """The state, and the multipliers of Tr rho (first) and Tr(H^n rho), n = 1 ... N_f."""

    density_matrix: NDArray[np.float64]  #: (..., N_f^2) packed
    multipliers: NDArray[np.float64]  #: (..., N_f + 1): -eta, then beta_n, of H centred and in units of its half width
    iterations: int


def decohere(density_matrix: ArrayLike, hamiltonian: ArrayLike, *, tolerance: float = 1.0e-13) -> Decoherence:
    """rho = 1/(exp[sum_n beta_n H^n - eta] + 1) with Tr(H^n rho), 0 <= n <= N_f, those of the input: (S.6)-(S.8).

    Packed matrices (..., N_f^2), one H for all or one for each; H in any unit. The N_f + 1 multipliers are found by
    Newton's method on the convex dual function sum log(1 + e^-x) + multipliers . constraints. H has N_f eigenvalues, so
    one combination of the constraints follows from the others (Cayley and Hamilton): of all equivalent multipliers
    those of least norm are taken. The answer is diagonal in the eigenbasis of H, rho_ij = rho_ii delta_ij (S.1).

    Raises
    ------
    ConfigurationError
        If shapes do not fit, or H has equal eigenvalues (its powers then say nothing about these).
    ConvergenceError
        If Newton's method fails, as where a level is exactly empty or full: multipliers are then infinite.
    """
    given = np.asarray(density_matrix, dtype=np.float64)
    h = np.broadcast_to(np.asarray(hamiltonian, dtype=np.float64), given.shape)
    rho = unpack(given)
    values, vectors = np.linalg.eigh(unpack(h))
    n = rho.shape[-1]
    middle = 0.5 * (values[..., :1] + values[..., -1:])
    width = 0.5 * (values[..., -1:] - values[..., :1])
    if (np.diff(values, axis=-1) <= DEGENERATE * width).any():
        raise ConfigurationError("the Hamiltonian has equal eigenvalues; accepted: N_f different ones")
    x = (values - middle) / width
    powers = x[..., :, None] ** np.arange(n + 1)
    inside = np.einsum("...ik,...ij,...jk->...k", vectors.conj(), rho, vectors).real
    wanted = np.einsum("...k,...kn->...n", inside, powers)
    scale = np.maximum(inside.sum(axis=-1), np.finfo(float).tiny)
    multipliers = np.zeros(wanted.shape)
    multipliers[..., 0] = np.log(np.maximum(n - scale, 1.0e-300) / scale)
    for count in range(MAX_ITERATIONS):
        exponent = np.einsum("...kn,...n->...k", powers, multipliers)
        f = 1.0 / (1.0 + np.exp(exponent))
        missing = np.einsum("...k,...kn->...n", f, powers) - wanted
        if (np.abs(missing).max(axis=-1) <= tolerance * scale).all():
            found = np.einsum("...ik,...k,...jk->...ij", vectors, f, vectors.conj())
            return Decoherence(pack(found), multipliers, count)
        curvature = np.einsum("...kn,...k,...km->...nm", powers, f * (1.0 - f), powers)
        step = np.einsum("...nm,...m->...n", np.linalg.pinv(curvature, rcond=1.0e-14, hermitian=True), missing)
        # the dual is convex, but flat where levels are nearly empty: no exponent moves by more than two
        moved = np.abs(np.einsum("...kn,...n->...k", powers, step)).max(axis=-1, keepdims=True)
        multipliers = multipliers + step * np.minimum(1.0, 2.0 / np.maximum(moved, 1.0e-300))
    worst = float((np.abs(missing).max(axis=-1) / scale).max())
    raise ConvergenceError(
        f"no multipliers of (S.8) in {MAX_ITERATIONS} iterations, relative residual {worst:.3e}; "
        "accepted: levels neither empty nor full"
    )
