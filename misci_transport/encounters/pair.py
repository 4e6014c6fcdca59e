"""Two neutrinos that meet: exact evolution, what each keeps, and how entangled they part.

docs/encounters.md, Eqs. (N1) and (N2); A. Kost, L. Johns, H. Duan, arXiv:2402.05022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["PAULI", "SWAP", "concurrence", "density_matrix", "encounter", "entropy", "pair_state", "unitary"]

#: Pauli matrices (3, 2, 2).
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
#: Exchange of two spins in the basis ee, ex, xe, xx: (1 + sigma_1 . sigma_2)/2.
SWAP = np.eye(4)[[0, 2, 1, 3]]
_FLIP = np.kron(PAULI[1], PAULI[1])


def density_matrix(polarization: ArrayLike) -> NDArray[np.complex128]:
    """(1 + P . sigma)/2 of P (..., 3): (..., 2, 2)."""
    p = np.asarray(polarization, dtype=np.float64)
    return np.asarray(0.5 * (np.eye(2) + np.einsum("...a,aij->...ij", p, PAULI)))


def unitary(phi: ArrayLike) -> NDArray[np.complex128]:
    """exp(-i (phi/2) sigma_1 . sigma_2) = e^(i phi/2) (cos phi - i sin phi swap) (N1): (..., 4, 4)."""
    angle = np.asarray(phi, dtype=np.float64)[..., None, None]
    return np.asarray(np.exp(0.5j * angle) * (np.cos(angle) * np.eye(4) - 1j * np.sin(angle) * SWAP))


def encounter(
    polarization: ArrayLike, other: ArrayLike, phi: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P' = cos^2 phi P + sin^2 phi Q + sin(2 phi)/2 Q x P and Q' = P + Q - P' (N2), (..., 3) each."""
    p, q = np.asarray(polarization, dtype=np.float64), np.asarray(other, dtype=np.float64)
    angle = np.asarray(phi, dtype=np.float64)[..., None]
    change = np.sin(angle) ** 2 * (q - p) + 0.5 * np.sin(2.0 * angle) * np.cross(q, p)
    return p + change, q - change


def pair_state(polarization: ArrayLike, other: ArrayLike, phi: ArrayLike) -> NDArray[np.complex128]:
    """Density matrix of the pair when they part, U (rho_1 x rho_2) U^+: (..., 4, 4)."""
    one, two = density_matrix(polarization), density_matrix(other)
    product = np.einsum("...ij,...kl->...ikjl", one, two)
    product = product.reshape(*product.shape[:-4], 4, 4)
    u = unitary(phi)
    return np.asarray(u @ product @ np.swapaxes(u, -1, -2).conj())


def entropy(state: ArrayLike) -> NDArray[np.float64]:
    """- Tr rho ln rho in nats of density matrices (..., n, n); negative eigenvalues of round-off count as zero."""
    p = np.linalg.eigvalsh(np.asarray(state))
    return np.asarray(-(p * np.log(np.where(p > 0.0, p, 1.0))).sum(axis=-1))


def concurrence(state: ArrayLike) -> NDArray[np.float64]:
    """Concurrence of two-qubit density matrices (..., 4, 4): max(0, l_1 - l_2 - l_3 - l_4).

    l are the descending roots of the eigenvalues of rho (sigma_y x sigma_y) rho* (sigma_y x sigma_y).
    W. K. Wootters, Phys. Rev. Lett. 80, 2245 (1998). Computed as singular values of sqrt(rho)^T flip sqrt(rho): the
    roots of vanishing eigenvalues would lose half of the digits.
    """
    rho = np.asarray(state, dtype=np.complex128)
    values, vectors = np.linalg.eigh(rho)
    # rho = A A^+, and the roots are the singular values of A^T flip A
    a = vectors * np.sqrt(np.clip(values, 0.0, None))[..., None, :]
    root = np.linalg.svd(np.swapaxes(a, -1, -2) @ _FLIP @ a, compute_uv=False)
    return np.asarray(np.maximum(0.0, 2.0 * root[..., 0] - root.sum(axis=-1)))
