"""Thermodynamics of mixing: energy, entropy, and states of largest entropy; usable alone.

Plain arrays as in `misci_transport.alignment`, for one cell or a batch of cells (leading axis). The state is given as
density_matrix ([cell,] direction, species, group, N_f^2 + spectators), packed, or as populations with the moments that
make their eigenvectors (`alignment.density_matrices`). The medium is

    weight_0, direction_cosine ([cell,] direction), or velocity ([cell,] direction, axis); D_1 is made with w_0 v
    number_weight (group,) cm^-3, vacuum (group, N_f^2) cm^-1, matter_potential and matter_beta ([cell]), strength
    (cm^2), n_flavors, shift ([cell,] order, N_f^2)

Energies are per volume in cm^-3 cm^-1 (times constants.HBAR_C: MeV cm^-3), without the neutrinos' momenta; entropies
and numbers in cm^-3; beta = 1/T in cm. Equation numbers are those of L. Johns, arXiv:2306.14982; signs and numerics:
docs/thermodynamics.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..alignment import density_matrices, medium_batch
from ..errors import ConfigurationError
from .decoherence import Decoherence, decohere
from .ground import Ground, find_ground_state
from .maximum_entropy import (
    BRANCHES,
    CONVERGED,
    LESS_ENTROPY,
    STATUS_NAMES,
    Equilibrium,
    check_density_matrix,
    find_equilibrium,
)
from .quantities import Energy
from .quantities import charge_densities as _charges
from .quantities import energy as _energy
from .quantities import entropy as _entropy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..alignment import Batch

__all__ = [
    "BRANCHES",
    "CONVERGED",
    "LESS_ENTROPY",
    "STATUS_NAMES",
    "Decoherence",
    "Energy",
    "Equilibrium",
    "Ground",
    "charge_densities",
    "decohere",
    "energy",
    "entropy",
    "equilibrium",
    "find_equilibrium",
    "free_energy",
    "ground_state",
    "state_of_populations",
    "thermal_batch",
]


def thermal_batch(
    density_matrix: ArrayLike,
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
    shift: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], Batch]:
    """Checked density matrices with a cell axis, and the medium in the form that everything here takes.

    Raises
    ------
    ConfigurationError
        For arrays whose shapes do not fit.
    UnphysicalInputError
        For eigenvalues outside of [0, 1].
    """
    fields = np.require(density_matrix, np.float64, ["C", "W"])
    if fields.ndim == 4:
        fields = fields[np.newaxis]
    if fields.ndim != 5:
        raise ConfigurationError(f"density_matrix has {fields.ndim} axes; accepted: 4 (one cell) or 5 (batch)")
    first = None
    if direction_cosine is not None:
        first = np.asarray(weight_0, dtype=np.float64) * np.asarray(direction_cosine, dtype=np.float64)
    batch = medium_batch(
        fields.shape[0],
        weight_0=weight_0,
        weight_1=first,
        direction_cosine=direction_cosine,
        velocity=velocity,
        number_weight=number_weight,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
    )
    expected = (batch.cells, batch.velocity.shape[1], 2, batch.vacuum.shape[0])
    if fields.shape[:4] != expected:
        raise ConfigurationError(f"density_matrix has shape {fields.shape}; accepted: {expected} and the components")
    check_density_matrix(fields, n_flavors)
    return fields, batch


def state_of_populations(
    populations: ArrayLike,
    moments: ArrayLike,
    batch: Batch,
) -> NDArray[np.float64]:
    """U diag(n) U^+ with the eigenvectors of the given moments: (cell, direction, species, group, component)."""
    return density_matrices(
        populations,
        moments,
        vacuum=batch.vacuum,
        matter_potential=batch.potential,
        matter_beta=batch.beta,
        velocity=batch.velocity if len(batch.velocity) == batch.cells else np.repeat(batch.velocity, batch.cells, 0),
        strength=batch.strength,
        n_flavors=batch.n_flavors,
        shift=batch.shift,
    )


def energy(density_matrix: NDArray[np.float64], batch: Batch) -> Energy:
    """u = sum w (Tr H1 rho - Tr H1bar rhobar) + strength/2 (Tr D_0^2 - Tr D_1^2), Eq. (5), one- and two-body apart."""
    return _energy(density_matrix, batch)


def entropy(density_matrix: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
    """S = -sum w Tr[rho log rho + (1 - rho) log(1 - rho)], Eqs. (6)-(7): (cell,) cm^-3."""
    return _entropy(density_matrix, batch)


def free_energy(density_matrix: NDArray[np.float64], batch: Batch, temperature: ArrayLike) -> NDArray[np.float64]:
    """F = U - T S with the energy of Eq. (5) and T in cm^-1, of either sign: (cell,) cm^-3 cm^-1."""
    result: NDArray[np.float64] = _energy(density_matrix, batch).total - np.asarray(temperature) * _entropy(
        density_matrix, batch
    )
    return result


def charge_densities(density_matrix: NDArray[np.float64], charges: ArrayLike, batch: Batch) -> NDArray[np.float64]:
    """Tr(Q_a D_0) of packed charges ([cell,] charge, N_f^2): (cell, charge) cm^-3."""
    return _charges(density_matrix, _checked_charges(charges, batch), batch)


def equilibrium(
    density_matrix: NDArray[np.float64],
    batch: Batch,
    *,
    charges: ArrayLike | None = None,
    energy: ArrayLike | None = None,
    charge_density: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
    inverse_temperature: ArrayLike | None = None,
    branches: tuple[str, ...] = BRANCHES,
    tolerance: float = 1.0e-12,
    max_iterations: int = 40,
) -> Equilibrium:
    """rho_p = 1/(exp[beta (H_p - mu_p) + sum_a lambda_a Q_a] + 1), H = H[rho]: Eq. (9), cell by cell.

    Antineutrinos: rhobar_p = 1/(exp[-beta (Hbar_p + mubar_p) - sum_a lambda_a Q_a] + 1). Numbers Tr rho_p are those of
    the input, and so are the energy and the charges unless they are given. Several solutions can exist: the one with
    the largest entropy (with given beta: S - beta U) among those that were found is taken; the report says from which
    start, and how many there were.

    Parameters
    ----------
    charges
        ([cell,] charge, N_f^2) packed Q_a, at most two, that are held; none by default. Use matrices that commute with
        the Hamiltonian (`ChargeAxes.matrices`).
    energy
        (cell,) mixing energy (`Energy.mixing`) instead of the input's.
    charge_density
        (cell, charge) Tr(Q_a D_0) instead of the input's.
    temperature, inverse_temperature
        (cell,) T in cm^-1, or beta in cm, of either sign: the energy is then free. beta = 0 switches it off.
    branches
        Starts that are tried, of `BRANCHES`.
    tolerance
        On D and charges relative to the number that can be polarised, and the energy relative to that times |H|.

    Raises
    ------
    ConfigurationError
        For arguments that exclude each other or do not fit.
    """
    if sum(x is not None for x in (energy, temperature, inverse_temperature)) > 1:
        raise ConfigurationError("accepted: one of energy, temperature and inverse_temperature")
    unknown = set(branches) - set(BRANCHES)
    if unknown or not branches:
        raise ConfigurationError(f"branches are {branches!r}; accepted: one or more of {', '.join(BRANCHES)}")
    if not 0.0 < tolerance < 1.0:
        raise ConfigurationError(f"tolerance is {tolerance!r}; accepted: (0, 1)")
    beta = None if inverse_temperature is None else _of_cells("inverse_temperature", inverse_temperature, batch)
    if temperature is not None:
        t = _of_cells("temperature", temperature, batch)
        if (t == 0.0).any():
            raise ConfigurationError("temperature is 0; accepted: any other value (the limit is `ground_state`)")
        beta = 1.0 / t
    if beta is not None and not np.isfinite(beta).all():
        raise ConfigurationError("inverse temperature is not finite; accepted: a finite value (else `ground_state`)")
    held = None if charges is None else _checked_charges(charges, batch)
    if charge_density is not None and held is None:
        raise ConfigurationError("charge_density is given without charges; accepted: both or none")
    return find_equilibrium(
        density_matrix,
        batch,
        charges=held,
        given_energy=None if energy is None else _of_cells("energy", energy, batch),
        given_charges=None if charge_density is None else np.asarray(charge_density, dtype=np.float64),
        inverse_temperature=beta,
        branches=branches,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def ground_state(density_matrix: NDArray[np.float64], batch: Batch, *, hottest: bool = False) -> Ground:
    """T -> 0 from above (from below: `hottest`), Eq. (12): levels filled from the lowest up to the input's numbers.

    With Tr rho_p given, mu_p lies on a level wherever Tr rho_p is no integer. That level is filled in part, and keeps
    its entropy.
    """
    return find_ground_state(density_matrix, batch, hottest=hottest)


def _of_cells(name: str, values: ArrayLike, batch: Batch) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape not in ((), (batch.cells,)):
        raise ConfigurationError(f"{name} has shape {array.shape}; accepted: () or ({batch.cells},)")
    return np.ascontiguousarray(np.broadcast_to(array, (batch.cells,)))


def _checked_charges(charges: ArrayLike, batch: Batch) -> NDArray[np.float64]:
    array = np.asarray(charges, dtype=np.float64)
    if array.ndim == 2:
        array = np.broadcast_to(array, (batch.cells, *array.shape))
    if array.ndim != 3 or array.shape[0] != batch.cells or array.shape[2] != batch.n_flavors**2 or array.shape[1] > 2:
        raise ConfigurationError(
            f"charges have shape {array.shape}; accepted: ({batch.cells}, 1 or 2, {batch.n_flavors**2})"
        )
    return np.ascontiguousarray(array)
