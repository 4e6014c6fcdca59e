"""Cells without an aligned state: move them to the state of largest entropy with what they hold, Eq. (9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..alignment import Batch
from ..constants import HBAR_C
from ..flavor import components_of
from ..kernels.mixing import density_matrices_batch, project_batch
from ..thermodynamics import find_equilibrium
from ..thermodynamics.quantities import energy, hamiltonians, phase_space_sum, trace_product
from ..thermodynamics.quantities import moments as moments_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..alignment.conserved import ChargedCells
    from ..thermodynamics import Equilibrium


@dataclass
class EquilibrationRecord:
    """What equilibration has done since the start of the process, cell by cell."""

    times: NDArray[np.int64]  #: (cell,) how often
    turning: NDArray[np.float64]  #: (cell,) MeV cm^-3, Q_kin: the part of sum w Tr(H d rho) that turns eigenvectors
    shrinking: NDArray[np.float64]  #: (cell,) MeV cm^-3, the part that changes populations; both together are dU
    entropy: NDArray[np.float64]  #: (cell,) cm^-3, entropy that was produced

    @classmethod
    def empty(cls, cells: int) -> EquilibrationRecord:
        """Nothing yet."""
        return cls(np.zeros(cells, dtype=np.int64), *(np.zeros(cells) for _ in range(3)))

    def copy(self) -> EquilibrationRecord:
        """A copy, to go back to."""
        return EquilibrationRecord(self.times.copy(), self.turning.copy(), self.shrinking.copy(), self.entropy.copy())

    def add(self, cell: int, turning: float, shrinking: float, produced: float) -> None:
        """Book one cell."""
        self.times[cell] += 1
        self.turning[cell] += turning
        self.shrinking[cell] += shrinking
        self.entropy[cell] += produced


@dataclass
class Equilibrated:
    """One cell in its state of largest entropy, as the alignment carries it on."""

    found: Equilibrium
    populations: NDArray[np.float64]  #: (1, direction, species, group, level) by ascending level of H
    turning: float  #: MeV cm^-3
    shrinking: float  #: MeV cm^-3

    @property
    def produced(self) -> float:
        """Entropy produced, cm^-3."""
        return float(self.found.entropy[0] - self.found.entropy_before[0])


def _mean_hamiltonian(before: NDArray[np.float64], after: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
    """H_avg = (H[before] + H[after])/2, packed (1, direction, species, group, N_f^2)."""
    first, second = (hamiltonians(moments_of(state, batch), batch) for state in (before, after))
    return 0.5 * (first + second)


def _level_energies(h: NDArray[np.float64], moments: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
    """<h_k|H|h_k> with the eigenvectors that the moments make: (1, direction, species, group, level)."""
    n = batch.n_flavors
    shape = h.shape[:-1]
    out = np.empty((*shape, n))
    matrix = np.empty((*shape, n * n))
    for level in range(n):
        one = np.zeros((*shape, n))
        one[..., level] = 1.0
        density_matrices_batch(one, moments, *batch.mixing_arguments(), matrix)
        out[..., level] = trace_product(h, matrix, n)
    return out


def equilibrate(populations: NDArray[np.float64], moments: NDArray[np.float64], batch: Batch) -> Equilibrated:
    """State of largest entropy of one cell with the numbers and the energy of populations on old eigenvectors, Eq. (9).

    What is given is sum n_k |h_k><h_k| with the eigenvectors that the old moments (1, order, N_f^2) make in the present
    medium: the state before it was to be aligned. The answer commutes with its own H, so that its populations and
    moments are a solution of Eq. (14), which the next alignment begins with.
    """
    n = batch.n_flavors
    spectators = populations.shape[-1] - n
    before = np.empty((*populations.shape[:-1], n * n + spectators))
    density_matrices_batch(populations, moments, *batch.mixing_arguments(), before)
    found = find_equilibrium(before, batch)
    after = found.density_matrix
    projected = np.empty_like(populations)
    project_batch(after, found.moments, *batch.mixing_arguments(), projected)
    # sum w Tr(H_avg d rho) = sum w <H_avg>_k d n_k + what turns eigenvectors; the whole is dU, zero to round-off
    mean = _mean_hamiltonian(before, after, batch)
    levels = 0.5 * (_level_energies(mean, moments, batch) + _level_energies(mean, found.moments, batch))
    part = (levels * (projected - populations)[..., :n]).sum(axis=-1)
    shrinking = HBAR_C * float(phase_space_sum(part, batch, signed=True)[0])
    change = HBAR_C * float((energy(after, batch).mixing - energy(before, batch).mixing)[0])
    return Equilibrated(found, np.clip(projected, 0.0, 1.0), change - shrinking, shrinking)


def heats(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    old: NDArray[np.float64],
    new: NDArray[np.float64],
    projectors: list[NDArray[np.float64]],
    batch: Batch,
) -> tuple[float, float]:
    """(turning, shrinking) of sum w Tr(H_avg d rho), MeV cm^-3, of one cell in an unchanged medium.

    Density matrices and populations before and after, and the projectors (1, direction, species, group, level,
    component) of both. shrinking = sum w <H_avg>_k d n_k, turning is the rest of dU.
    """
    n = batch.n_flavors
    mean = _mean_hamiltonian(before, after, batch)
    spectators = np.zeros((*mean.shape[:-1], old.shape[-1] - n))
    components = components_of(np.concatenate([mean, spectators], axis=-1), n)
    first, second = (np.einsum("...kc,...c->...k", projector, components) for projector in projectors)
    levels = 0.5 * (first + second)
    shrinking = HBAR_C * float(phase_space_sum((levels * (new - old)).sum(axis=-1), batch, signed=True)[0])
    change = HBAR_C * float((energy(after, batch).mixing - energy(before, batch).mixing)[0])
    return change - shrinking, shrinking


def charged_batch(one: ChargedCells, velocity: NDArray[np.float64]) -> Batch:
    """The medium of one cell with charges: the Hamiltonian that commutes with them, at the middle of the bins.

    velocity (1, direction, axis).
    """
    axes = one.axes
    return Batch(
        cells=1,
        weight=one.weight,
        velocity=np.ascontiguousarray(velocity),
        number_weight=one.number_weight,
        vacuum=np.ascontiguousarray(one.vacuum()[0]),
        potential=np.zeros(1),
        beta=np.zeros((1, velocity.shape[2])),
        strength=one.strength,
        shift=np.ascontiguousarray(axes.from_basis(axes.external)),
        n_flavors=one.n_flavors,
    )
