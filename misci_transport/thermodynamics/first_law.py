"""The first law between two aligned states, Eq. (11) of Johns, arXiv:2306.14982, in a form that closes to round-off.

With H = H1 + H2 (H2 the neutrinos' own part), _avg the mean of both states, d their difference, sigma = -1 for
antineutrinos, and H_eff = H - L, L = sum_a (lambda_a - v . k_a) Q_a,

    dU = sum sigma Tr(rho_avg dH1) + d(strength)/2 (D_0 D_0' - D_1 D_1') + sum sigma Tr(H_avg d rho)
    sum sigma Tr(H_avg d rho) = sum sigma <H_eff>_k,avg d n_k                       magnitudes: parts of d n_k
                              + sum sigma Tr(L_avg d rho)                           charges, lambda dq
                              + sum sigma [n_k,avg d<H_eff>_k - Tr(rho_avg dH_eff)] third order in the turning: work

because Tr(rho H_eff) = sum n_k <H_eff>_k, <H_eff>_k = Tr(Pi_k H_eff), holds in each state for any projectors Pi_k.
Printed with the total |H|, Eq. (11) counts the energy of pairs twice (docs/thermodynamics.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..flavor import components_of, flavors_of, packed_of
from ..kernels.collisions import DIAGONAL
from .quantities import SIGN, trace_product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class AlignedState:
    """Density matrices sum_k n_k Pi_k of cells, and the Hamiltonian that they are aligned with."""

    populations: NDArray[np.float64]  #: (cell, direction, species, group, level)
    projector: NDArray[np.float64]  #: (cell, direction, species, group, level, component), Tr(Pi_k A) = sum_c Pi_kc A_c
    vacuum: NDArray[np.float64]  #: (cell or 1, group, N_f^2) cm^-1
    external: NDArray[np.float64]  #: (cell, order, N_f^2) cm^-1: H1 = +-vacuum + external_0 - v . external_1
    charge: NDArray[np.float64]  #: (cell, order, N_f^2) cm^-1: L = charge_0 - v . charge_1, zero without charges
    strength: float  #: cm^2

    @property
    def n_flavors(self) -> int:
        """Number of mixing flavours."""
        return flavors_of(self.vacuum.shape[-1])

    @property
    def density_matrix(self) -> NDArray[np.float64]:
        """Packed, without spectators: (cell, direction, species, group, N_f^2)."""
        components = np.einsum("...k,...ki->...i", self.populations, self.projector)
        components[..., DIAGONAL:] *= 0.5
        return packed_of(components, self.n_flavors)[..., : self.n_flavors**2]


@dataclass(frozen=True)
class PhaseWeights:
    """Weights and directions of the sums over phase space."""

    weight: NDArray[np.float64]  #: (cell or 1, order, direction)
    velocity: NDArray[np.float64]  #: (cell or 1, direction, axis)
    number_weight: NDArray[np.float64]  #: (group,) cm^-3

    def along(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """field_0 - v . field_1 of (cell, order, component): (cell, direction, component)."""
        cells = field.shape[0]
        velocity = np.broadcast_to(self.velocity, (cells, *self.velocity.shape[1:]))
        return np.asarray(field[:, None, 0] - np.einsum("cma,cak->cmk", velocity, field[:, 1:]))

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """sum sigma w_0 N_g values[cell, direction, species, group]: (cell,)."""
        weight = np.broadcast_to(self.weight[:, 0], values.shape[:2])
        return np.asarray(np.einsum("cmsg,cm,s,g->c", values, weight, SIGN, self.number_weight))

    def size(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same sum of sizes."""
        weight = np.abs(np.broadcast_to(self.weight[:, 0], values.shape[:2]))
        return np.asarray(np.einsum("cmsg,cm,g->c", np.abs(values), weight, self.number_weight))

    def moments(self, density_matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """D_0 and D_1 made with w_0 and w_0 v: (cell, order, N_f^2)."""
        cells = density_matrix.shape[0]
        ray = np.einsum("cmsgk,s,g->cmk", density_matrix, SIGN, self.number_weight)
        weight = np.broadcast_to(self.weight[:, 0], ray.shape[:2])
        velocity = np.broadcast_to(self.velocity, (cells, *self.velocity.shape[1:]))
        first = np.einsum("cm,cma,cmk->cak", weight, velocity, ray)
        zeroth = np.einsum("cm,cmk->ck", weight, ray)
        return np.concatenate([zeroth[:, None], first], axis=1)


@dataclass(frozen=True)
class FirstLaw:
    """Terms of dU, each (cell,) in cm^-3 cm^-1, or summed over cells and steps in MeV."""

    change: NDArray[np.float64]  #: dU, the difference of the energies of the two states
    work: NDArray[np.float64]  #: the medium's, and of explicit changes of the self-interaction's strength
    charges: NDArray[np.float64]  #: sum_a lambda_a dq_a, with k also k . d Tr(Q D_1)
    parts: dict[str, NDArray[np.float64]]  #: magnitudes, by what changed the populations
    kinematic: NDArray[np.float64]  #: Q_kin: magnitudes that no part explains
    scale: NDArray[np.float64]  #: sum of the sizes of all summands, which the imbalance is compared with

    @property
    def imbalance(self) -> NDArray[np.float64]:
        """dU minus all terms."""
        explained = self.work + self.charges + self.kinematic
        for part in self.parts.values():
            explained = explained + part
        return np.asarray(self.change - explained)


@dataclass(frozen=True)
class _Evaluated:
    density_matrix: NDArray[np.float64]
    moments: NDArray[np.float64]
    one_body: NDArray[np.float64]
    total: NDArray[np.float64]
    charge: NDArray[np.float64]
    levels: NDArray[np.float64]
    energy: NDArray[np.float64]
    scale: NDArray[np.float64]


def _traceless(packed: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    out = packed.copy()
    out[..., :n] -= packed[..., :n].mean(axis=-1, keepdims=True)
    return out


def _evaluate(state: AlignedState, weights: PhaseWeights, *, traces: bool) -> _Evaluated:
    n = state.n_flavors
    rho = state.density_matrix
    d = weights.moments(rho)
    side = np.r_[1.0, -np.ones(d.shape[1] - 1)]
    one = weights.along(state.external)[:, :, None, None, :] + SIGN[:, None, None] * state.vacuum[:, None, None]
    if not traces:
        one, d = _traceless(one, n), _traceless(d, n)
    total = one + (state.strength * weights.along(d))[:, :, None, None, :]
    charge = np.broadcast_to(weights.along(state.charge)[:, :, None, None, :], total.shape)
    spectators = np.zeros((*total.shape[:-1], state.populations.shape[-1] - n))
    components = components_of(np.concatenate([total - charge, spectators], axis=-1), n)
    levels = np.einsum("...kc,...c->...k", state.projector, components)
    each = trace_product(one, rho, n)
    pairs = trace_product(d, d, n)
    energy = weights.total(each) + 0.5 * state.strength * pairs @ side
    scale = weights.size(each) + 0.5 * abs(state.strength) * np.abs(pairs).sum(axis=1)
    return _Evaluated(rho, d, one, total, charge, levels, energy, scale)


def first_law(
    old: AlignedState,
    new: AlignedState,
    weights: PhaseWeights,
    parts: Mapping[str, NDArray[np.float64]],
    *,
    kinematic: NDArray[np.float64] | None = None,
    matrices: bool = False,
    traces: bool = False,
) -> FirstLaw:
    """Terms of dU between two aligned states; parts are changes of populations (cell, ..., level) by name.

    What populations have changed by beyond the parts is kinematic, unless it is given. With ``matrices`` the parts are
    changes of density matrices (cell, ..., N_f^2 or more) instead, and everything else in sum Tr(H_eff,avg d rho) is
    kinematic.

    U is the mixing energy (`Energy.mixing`: without the traces of H1, rho and D, which numbers alone determine); with
    ``traces`` it is the whole of Eq. (5).
    """
    n = old.n_flavors
    a, b = (_evaluate(state, weights, traces=traces) for state in (old, new))
    rho, d_rho = 0.5 * (a.density_matrix + b.density_matrix), b.density_matrix - a.density_matrix
    medium = trace_product(rho, b.one_body - a.one_body, n)
    side = np.r_[1.0, -np.ones(a.moments.shape[1] - 1)]
    pairs = 0.5 * (new.strength - old.strength) * trace_product(a.moments, b.moments, n)
    occupations = 0.5 * (old.populations + new.populations)
    level_shift = occupations * (b.levels - a.levels)
    effective = (b.total - b.charge) - (a.total - a.charge)
    turning = level_shift.sum(axis=-1) - trace_product(rho, effective, n)
    # eigenvectors of a cell that was moved to another state have not followed their Hamiltonian: that is no work
    jumped = np.zeros(rho.shape[0], dtype=bool) if kinematic is None else kinematic.any(axis=(1, 2, 3, 4))
    turned = weights.total(turning)
    work = weights.total(medium) + pairs @ side
    if not matrices:
        work = work + np.where(jumped, 0.0, turned)
    charge = trace_product(0.5 * (a.charge + b.charge), d_rho, n)
    scale = a.scale + b.scale + weights.size(medium) + weights.size(charge) + np.abs(pairs).sum(axis=1)
    scale = scale + weights.size(level_shift.sum(axis=-1)) + weights.size(trace_product(rho, effective, n))
    mean, mean_h = 0.5 * (a.levels + b.levels), 0.5 * (a.total + b.total - a.charge - b.charge)
    rest = d_rho if matrices else new.populations - old.populations

    def energy_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return trace_product(mean_h, values, n) if matrices else np.asarray((mean * values).sum(axis=-1))

    magnitudes = {}
    for name, values in parts.items():
        each = energy_of(values)
        magnitudes[name] = weights.total(each)
        scale = scale + weights.size(each)
        rest = rest - values[..., : rest.shape[-1]]
    heat = energy_of(rest if kinematic is None else kinematic)
    return FirstLaw(
        b.energy - a.energy,
        work,
        weights.total(charge),
        magnitudes,
        weights.total(heat) + np.where(jumped, turned, 0.0),
        scale + weights.size(heat),
    )
