"""Energy, entropy, numbers, and charges of density matrices: Eqs. (5)-(7) of Johns, arXiv:2306.14982.

Density matrices are packed, (cell, direction, species, group, N_f^2 + spectators); the medium is a `Batch` of the
alignment, whose weights must be w_0 and w_0 v. Energies are per volume in cm^-3 cm^-1 (times hbar c: MeV cm^-3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import xlogy

from ..errors import ConfigurationError
from ..flavor import unpack
from ..kernels.alignment_batch_residual import to_coordinates_batch
from ..kernels.hermitian import eigen_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..alignment import Batch

#: Relative difference of weight_1 and weight_0 direction_cosine that is accepted.
WEIGHT_TOLERANCE = 1.0e-9
SIGN = np.array([1.0, -1.0])


@dataclass(frozen=True)
class Energy:
    """Energy density of Eq. (5) in cm^-3 cm^-1, each (cell,)."""

    one_body: NDArray[np.float64]  #: sum w (Tr H1 rho - Tr H1bar rhobar) with the medium's H1: vacuum, matter, shift
    two_body: NDArray[np.float64]  #: strength/2 (Tr D_0^2 - Tr D_1^2)
    mixing: NDArray[np.float64]  #: both without traces of H1, rho and D: what mixing can change at fixed numbers
    scale: NDArray[np.float64]  #: sum of the sizes of the terms of `mixing`, which errors are compared with

    @property
    def total(self) -> NDArray[np.float64]:
        """u of Eq. (5) without the neutrinos' momenta, one_body + two_body."""
        return self.one_body + self.two_body


def coordinates(packed: NDArray[np.float64], n_flavors: int) -> NDArray[np.float64]:
    """Traceless orthonormal coordinates (..., N_f^2 - 1) of packed matrices (..., N_f^2 or more)."""
    d = n_flavors**2
    flat = np.ascontiguousarray(packed[..., :d]).reshape(-1, 1, d)
    out = np.empty((flat.shape[0], d - 1))
    to_coordinates_batch(flat, n_flavors, out)
    return out.reshape(*packed.shape[:-1], d - 1)


def external_field(batch: Batch) -> NDArray[np.float64]:
    """Matter and shift, packed (cell, order, N_f^2): H1 = +-vacuum + external_0 - v . external_1."""
    field = batch.shift.copy()
    field[:, 0, 0] += batch.potential
    field[:, 1:, 0] += batch.potential[:, None] * batch.beta
    return field


def zeroth_weight(batch: Batch) -> NDArray[np.float64]:
    """w_0 of directions, (cell, direction).

    Raises
    ------
    ConfigurationError
        If a weight is negative, or D_1 is not made with w_0 v: H would follow from no energy.
    """
    weight = np.broadcast_to(batch.weight, (batch.cells, *batch.weight.shape[1:]))
    velocity = np.broadcast_to(batch.velocity, (batch.cells, *batch.velocity.shape[1:]))
    zeroth = np.ascontiguousarray(weight[:, 0])
    if (zeroth < 0.0).any() or (batch.number_weight < 0.0).any():
        raise ConfigurationError("a weight of a direction or group is negative; accepted: 0 or more")
    apart = np.abs(weight[:, 1:] - zeroth[:, None] * velocity.transpose(0, 2, 1)).max(initial=0.0)
    if apart > WEIGHT_TOLERANCE * np.abs(weight).max(initial=0.0):
        raise ConfigurationError(
            "weight_1 differs from weight_0 direction_cosine; accepted: equal, because H must follow from an energy"
        )
    return zeroth


def moments(density_matrix: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
    """D_0 and D_1, Eq. (4), packed (cell, order, N_f^2)."""
    packed = density_matrix[..., : batch.n_flavors**2]
    weight = np.broadcast_to(batch.weight, (batch.cells, *batch.weight.shape[1:]))
    ray = np.einsum("cmsgk,s,g->cmk", packed, SIGN, batch.number_weight)
    out: NDArray[np.float64] = np.einsum("clm,cmk->clk", weight, ray)
    return out


def hamiltonians(d: NDArray[np.float64], batch: Batch, *, one_body: bool = False) -> NDArray[np.float64]:
    """H of all momenta for packed moments d (cell, order, N_f^2): (cell, direction, species, group, N_f^2) cm^-1."""
    field = external_field(batch)
    if not one_body:
        field = field + batch.strength * d
    velocity = np.broadcast_to(batch.velocity, (batch.cells, *batch.velocity.shape[1:]))
    ray = field[:, None, 0] - np.einsum("cma,cak->cmk", velocity, field[:, 1:])
    out: NDArray[np.float64] = ray[:, :, None, None, :] + SIGN[:, None, None] * batch.vacuum
    return out


def trace_product(a: NDArray[np.float64], b: NDArray[np.float64], n_flavors: int) -> NDArray[np.float64]:
    """Tr(A B) of packed matrices (..., N_f^2)."""
    n = n_flavors
    product = a[..., : n * n] * b[..., : n * n]
    return np.asarray(product[..., :n].sum(axis=-1) + 2.0 * product[..., n:].sum(axis=-1))


def phase_space_sum(values: NDArray[np.float64], batch: Batch, *, signed: bool) -> NDArray[np.float64]:
    """sum w_0 N_g (+-) values[cell, direction, species, group], (cell,)."""
    sign = SIGN if signed else np.ones(2)
    weight = np.broadcast_to(batch.weight[:, 0], (batch.cells, batch.weight.shape[2]))
    return np.asarray(np.einsum("cmsg,cm,s,g->c", values, weight, sign, batch.number_weight))


def energy(density_matrix: NDArray[np.float64], batch: Batch) -> Energy:
    """u = sum w (Tr H1 rho - Tr H1bar rhobar) + strength/2 (Tr D_0^2 - Tr D_1^2): Eq. (5)."""
    n = batch.n_flavors
    d = moments(density_matrix, batch)
    h1 = hamiltonians(d, batch, one_body=True)
    one = phase_space_sum(trace_product(h1, density_matrix, n), batch, signed=True)
    side = np.r_[1.0, -np.ones(d.shape[1] - 1)]
    two = 0.5 * batch.strength * trace_product(d, d, n) @ side
    x, y, z = (coordinates(a, n) for a in (h1, density_matrix, d))
    each = np.einsum("cmsgk,cmsgk->cmsg", x, y)
    squares = (z**2).sum(axis=2)
    mixing = phase_space_sum(each, batch, signed=True) + 0.5 * batch.strength * squares @ side
    scale = phase_space_sum(np.abs(each), batch, signed=False) + 0.5 * abs(batch.strength) * squares.sum(axis=1)
    return Energy(one, two, mixing, scale)


def occupation_entropy(occupations: NDArray[np.float64]) -> NDArray[np.float64]:
    """-n log n - (1 - n) log(1 - n) of each occupation; zero for what lies outside of [0, 1]."""
    n = np.clip(occupations, 0.0, 1.0)
    out: NDArray[np.float64] = -xlogy(n, n) - xlogy(1.0 - n, 1.0 - n)
    return out


def eigenvalues(density_matrix: NDArray[np.float64], n_flavors: int) -> NDArray[np.float64]:
    """Ascending eigenvalues of packed density matrices, then the spectators: (..., level)."""
    d = n_flavors**2
    flat = np.ascontiguousarray(density_matrix[..., :d]).reshape(-1, d)
    values = np.empty((flat.shape[0], n_flavors))
    real, imag = (np.empty((flat.shape[0], n_flavors, n_flavors)) for _ in range(2))
    eigen_batch(flat, values, real, imag)
    values = values.reshape(*density_matrix.shape[:-1], n_flavors)
    return np.concatenate([values, density_matrix[..., d:]], axis=-1)


def entropy(density_matrix: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
    """S = -sum w Tr[rho log rho + (1 - rho) log(1 - rho)], Eqs. (6)-(7), spectators included: (cell,) cm^-3.

    Eigenvalues outside of [0, 1] count as empty or full levels; `outside` says how many there are.
    """
    levels = occupation_entropy(eigenvalues(density_matrix, batch.n_flavors)).sum(axis=-1)
    return phase_space_sum(levels, batch, signed=False)


def entropy_of_levels(populations: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
    """Entropy of eigen-populations (cell, direction, species, group, level): (cell,) cm^-3."""
    return phase_space_sum(occupation_entropy(populations).sum(axis=-1), batch, signed=False)


def outside(density_matrix: NDArray[np.float64], n_flavors: int, tolerance: float = 0.0) -> int:
    """Number of eigenvalues below -tolerance or above 1 + tolerance."""
    values = eigenvalues(density_matrix, n_flavors)
    return int(((values < -tolerance) | (values > 1.0 + tolerance)).sum())


def numbers(density_matrix: NDArray[np.float64], n_flavors: int) -> NDArray[np.float64]:
    """Tr rho over the mixing flavours, (..., direction, species, group)."""
    return np.asarray(density_matrix[..., :n_flavors].sum(axis=-1))


def charge_densities(
    density_matrix: NDArray[np.float64], charges: NDArray[np.float64], batch: Batch
) -> NDArray[np.float64]:
    """Tr(Q_a D_0) for packed charges (cell, charge, N_f^2): (cell, charge) cm^-3."""
    d0 = moments(density_matrix, batch)[:, 0]
    return trace_product(charges, d0[:, None], batch.n_flavors)


def commutator(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frobenius norm of [A, B] for packed matrices (..., N_f^2): (...)."""
    x, y = unpack(a), unpack(b)
    return np.asarray(np.linalg.norm(x @ y - y @ x, axis=(-2, -1)))
