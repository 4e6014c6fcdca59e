"""Self-consistent alignment of neutrino density matrices with their own Hamiltonian; usable alone.

Everything works on plain arrays, for one cell or for a batch of cells (leading axis):

    populations         ([cell,] direction, species, group, level), species 0 = neutrinos, 1 = antineutrinos;
                        levels beyond N_f are spectators that do not mix
    moments             ([cell,] 2, N_f^2): D_0 and D_1 in cm^-3, packed as `misci_transport.flavor.pack` does
    weight_0, weight_1  ([cell,] direction): integrals of dmu and mu dmu over a direction's bin
    direction_cosine    ([cell,] direction): the mu of the Hamiltonian, normally weight_1/weight_0
    number_weight       (group,): cm^-3, so that n = sum_g number_weight_g sum_m weight_0_m f
    vacuum              (group, N_f^2): packed M^2/2E in cm^-1 (sign of neutrinos)
    matter_potential    ([cell]): V in cm^-1, and matter_beta ([cell]) the radial velocity / c of matter
    strength            sqrt 2 G_F in cm^2 (constants.FERMI_POTENTIAL), so that strength * D is in cm^-1
    shift               ([cell,] 2, N_f^2): packed constant part of the Hamiltonian, cm^-1, zero by default

    H_{m,s,g} = (+1 nu, -1 nubar) M^2/2E_g + V (1 - beta mu_m) diag(1, 0, 0) + strength (D_0 - mu_m D_1)
                + shift_0 - mu_m shift_1

The equations are those of L. Johns, arXiv:2306.14982, Eqs. (2)-(4) and (14); levels are ascending eigenvalues.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..kernels import alignment as _kernel
from ..kernels import mixing as _mixing
from ..kernels.alignment_batch_residual import number_sums_batch
from .charges import KINDS, ChargeAxes, charge_axes
from .conserved import DENSITY, FLUX, ChargedCells
from .report import (
    CONVERGED,
    LOCKED,
    MAX_ITERATIONS,
    NO_DESCENT,
    NOT_FINITE,
    SINGULAR,
    STATUS_NAMES,
    AlignmentReport,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "CONVERGED",
    "DENSITY",
    "FLUX",
    "KINDS",
    "LOCKED",
    "MAX_ITERATIONS",
    "NOT_FINITE",
    "NO_DESCENT",
    "SINGULAR",
    "STATUS_NAMES",
    "AlignmentReport",
    "Batch",
    "ChargeAxes",
    "ChargedCells",
    "align",
    "charge_axes",
    "density_matrices",
    "eigen_populations",
    "mixing_probabilities",
    "prepare",
    "project",
]


@dataclass(frozen=True)
class Batch:
    """Checked arrays in the form that the kernels take: every per-cell quantity with a leading cell axis."""

    cells: int
    weight_0: NDArray[np.float64]
    weight_1: NDArray[np.float64]
    direction_cosine: NDArray[np.float64]
    number_weight: NDArray[np.float64]
    vacuum: NDArray[np.float64]
    potential: NDArray[np.float64]
    beta: NDArray[np.float64]
    strength: float
    shift: NDArray[np.float64]
    n_flavors: int
    populations: NDArray[np.float64] | None = None

    def arguments(self) -> tuple[Any, ...]:
        """The arguments of the residual kernels between the unknowns and the options."""
        return (
            self.populations,
            self.weight_0,
            self.weight_1,
            self.direction_cosine,
            self.number_weight,
            self.vacuum,
            self.potential,
            self.beta,
            self.strength,
            self.shift,
            self.n_flavors,
        )

    def scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(cell,) scale sum |weights n| of the residual, 1 for an empty cell, and (cell, 2) traces of D_0 and D_1."""
        scale = np.empty(self.cells)
        trace = np.empty((self.cells, 2))
        number_sums_batch(
            self.populations, self.weight_0, self.weight_1, self.number_weight, self.n_flavors, scale, trace
        )
        scale[scale == 0.0] = 1.0
        return scale, trace


def _per_cell(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Float64 C-contiguous array of the given shape; the leading cell axis may be missing in the input."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape == shape:
        return np.ascontiguousarray(array)
    if array.shape == shape[1:]:
        return np.ascontiguousarray(np.broadcast_to(array, shape))
    raise ConfigurationError(f"{name} has shape {array.shape}; accepted: {shape[1:]} or {shape}")


def _prepare(
    cells: int,
    *,
    direction_cosine: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    shift: ArrayLike | None,
    weight_0: ArrayLike | None = None,
    weight_1: ArrayLike | None = None,
    number_weight: ArrayLike | None = None,
) -> Batch:
    if n_flavors not in (2, 3):
        raise ConfigurationError(f"n_flavors is {n_flavors!r}; accepted: 2 or 3")
    components = n_flavors * n_flavors
    packed_vacuum = np.ascontiguousarray(vacuum, dtype=np.float64)
    if packed_vacuum.ndim != 2 or packed_vacuum.shape[1] != components:
        raise ConfigurationError(f"vacuum has shape {packed_vacuum.shape}; accepted: (group, {components})")
    groups = packed_vacuum.shape[0]
    directions = np.asarray(direction_cosine).shape[-1] if np.ndim(direction_cosine) else 0
    if directions == 0:
        raise ConfigurationError("direction_cosine is empty; accepted: one value or more")
    angular = (cells, directions)
    zero = np.zeros(directions)
    weights = np.ones(groups) if number_weight is None else np.ascontiguousarray(number_weight, dtype=np.float64)
    if weights.shape != (groups,):
        raise ConfigurationError(f"number_weight has shape {weights.shape}; accepted: ({groups},)")
    return Batch(
        cells=cells,
        weight_0=_per_cell("weight_0", zero if weight_0 is None else weight_0, angular),
        weight_1=_per_cell("weight_1", zero if weight_1 is None else weight_1, angular),
        direction_cosine=_per_cell("direction_cosine", direction_cosine, angular),
        number_weight=weights,
        vacuum=packed_vacuum,
        potential=_per_cell("matter_potential", matter_potential, (cells,)),
        beta=_per_cell("matter_beta", matter_beta, (cells,)),
        strength=float(strength),
        shift=_per_cell("shift", np.zeros((2, components)) if shift is None else shift, (cells, 2, components)),
        n_flavors=int(n_flavors),
    )


def _batched(name: str, array: ArrayLike, ndim: int) -> tuple[NDArray[np.float64], bool]:
    """The array with a leading cell axis, and whether that axis had to be added."""
    values = np.ascontiguousarray(array, dtype=np.float64)
    if values.ndim == ndim - 1:
        return values[np.newaxis], True
    if values.ndim == ndim:
        return values, False
    raise ConfigurationError(f"{name} has {values.ndim} axes; accepted: {ndim - 1} (one cell) or {ndim} (batch)")


def _check(name: str, array: NDArray[np.float64], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ConfigurationError(f"{name} has shape {array.shape}; accepted: {expected}")


def _check_populations(populations: NDArray[np.float64], batch: Batch) -> None:
    directions, groups = batch.direction_cosine.shape[1], batch.vacuum.shape[0]
    levels = populations.shape[-1]
    if levels < batch.n_flavors:
        raise ConfigurationError(f"populations have {levels} levels; accepted: {batch.n_flavors} or more")
    _check("populations", populations, (batch.cells, directions, 2, groups, levels))


def prepare(
    populations: ArrayLike,
    moments: NDArray[np.float64],
    *,
    weight_0: ArrayLike,
    weight_1: ArrayLike,
    direction_cosine: ArrayLike,
    number_weight: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    shift: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], Batch]:
    """Check the arguments of `align`; return the moments with a cell axis (a view if possible) and the batch.

    Raises
    ------
    ConfigurationError
        For arrays whose shapes do not fit.
    """
    if not (isinstance(moments, np.ndarray) and moments.dtype == np.float64 and moments.flags.writeable):
        raise ConfigurationError("moments must be a writable float64 array: the guess, which receives the solution")
    fields, _ = _batched("populations", populations, 5)
    work, _ = _batched("moments", moments, 3)
    batch = _prepare(
        fields.shape[0],
        direction_cosine=direction_cosine,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
        weight_0=weight_0,
        weight_1=weight_1,
        number_weight=number_weight,
    )
    _check_populations(fields, batch)
    _check("moments", work, (batch.cells, 2, n_flavors * n_flavors))
    return work, replace(batch, populations=fields)


def align(
    populations: ArrayLike,
    moments: NDArray[np.float64],
    *,
    weight_0: ArrayLike,
    weight_1: ArrayLike,
    direction_cosine: ArrayLike,
    number_weight: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    shift: ArrayLike | None = None,
    tolerance: float = 1.0e-12,
    max_iterations: int = 50,
    shortcut: bool = True,
) -> AlignmentReport:
    """D_l = sum_{m,g} w_l (U diag(n) U^+ - Ubar diag(nbar) Ubar^+), U from H[D_0, D_1]: Eqs. (4), (14), cell by cell.

    Arrays as in the module's docstring; moments hold the guess (the previous step's solution) and receive the
    solution. A cell that fails keeps its guess and is named in the report.

    Parameters
    ----------
    tolerance
        On |D_out - D| (Frobenius norm over D_0 and D_1) relative to sum weight_0 number_weight (tr n + tr nbar).
    max_iterations
        Most updates of the moments per cell.
    shortcut
        Solve flavour-locked cells directly (second-order bound on the mixing, see docs/alignment.md).

    Raises
    ------
    ConfigurationError
        For arrays whose shapes do not fit, or options outside their range.
    """
    if not 0.0 < tolerance < 1.0:
        raise ConfigurationError(f"tolerance is {tolerance!r}; accepted: (0, 1)")
    if max_iterations < 0:
        raise ConfigurationError(f"max_iterations is {max_iterations!r}; accepted: 0 or more")
    work, batch = prepare(
        populations,
        moments,
        weight_0=weight_0,
        weight_1=weight_1,
        direction_cosine=direction_cosine,
        number_weight=number_weight,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
    )
    status = np.zeros(batch.cells, dtype=np.int64)
    iterations = np.zeros(batch.cells, dtype=np.int64)
    residual = np.zeros(batch.cells)
    _kernel.align_batch(
        work, *batch.arguments(), float(tolerance), int(max_iterations), bool(shortcut), status, iterations, residual
    )
    if not np.may_share_memory(work, moments):
        moments[...] = work.reshape(moments.shape)
    return AlignmentReport(status, iterations, residual)


def _mixing_arguments(batch: Batch) -> tuple[Any, ...]:
    return (
        batch.direction_cosine,
        batch.vacuum,
        batch.potential,
        batch.beta,
        batch.strength,
        batch.shift,
        batch.n_flavors,
    )


def mixing_probabilities(
    moments: ArrayLike,
    *,
    direction_cosine: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    shift: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """|U_fk|^2 as ([cell,] direction, species, group, flavour 3, level 3); with N_f = 2 flavour 2 is level 2.

    Raises
    ------
    ConfigurationError
        For arrays whose shapes do not fit.
    """
    work, single = _batched("moments", moments, 3)
    batch = _prepare(
        work.shape[0],
        direction_cosine=direction_cosine,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
    )
    _check("moments", work, (batch.cells, 2, n_flavors * n_flavors))
    result = np.empty((batch.cells, batch.direction_cosine.shape[1], 2, batch.vacuum.shape[0], 3, 3))
    _mixing.mixing_probabilities_batch(work, *_mixing_arguments(batch), result)
    return result[0] if single else result


def density_matrices(
    populations: ArrayLike,
    moments: ArrayLike,
    *,
    direction_cosine: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    shift: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """U diag(n) U^+, packed: ([cell,] direction, species, group, N_f^2 + spectators).

    Raises
    ------
    ConfigurationError
        For arrays whose shapes do not fit.
    """
    fields, single = _batched("populations", populations, 5)
    work, _ = _batched("moments", moments, 3)
    batch = _prepare(
        fields.shape[0],
        direction_cosine=direction_cosine,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
    )
    _check_populations(fields, batch)
    _check("moments", work, (batch.cells, 2, n_flavors * n_flavors))
    result = np.empty((*fields.shape[:-1], n_flavors * n_flavors + fields.shape[-1] - n_flavors))
    _mixing.density_matrices_batch(fields, work, *_mixing_arguments(batch), result)
    return result[0] if single else result


def project(
    density_matrix: ArrayLike,
    moments: ArrayLike,
    *,
    direction_cosine: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    shift: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """n_k = <h_k| density_matrix |h_k>, the inverse of `density_matrices` for aligned states.

    Raises
    ------
    ConfigurationError
        For arrays whose shapes do not fit.
    """
    fields, single = _batched("density_matrix", density_matrix, 5)
    work, _ = _batched("moments", moments, 3)
    batch = _prepare(
        fields.shape[0],
        direction_cosine=direction_cosine,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
    )
    spectators = fields.shape[-1] - n_flavors * n_flavors
    if spectators < 0:
        raise ConfigurationError(
            f"density_matrix has {fields.shape[-1]} components; accepted: {n_flavors * n_flavors} or more"
        )
    expected = (batch.cells, batch.direction_cosine.shape[1], 2, batch.vacuum.shape[0], fields.shape[-1])
    _check("density_matrix", fields, expected)
    _check("moments", work, (batch.cells, 2, n_flavors * n_flavors))
    result = np.empty((*fields.shape[:-1], n_flavors + spectators))
    _mixing.project_batch(fields, work, *_mixing_arguments(batch), result)
    return result[0] if single else result


def eigen_populations(density_matrix: ArrayLike, previous: ArrayLike, *, n_flavors: int) -> NDArray[np.float64]:
    """Eigenvalues of the density matrices, given to the levels in the order of the previous populations.

    density_matrix ([cell,] direction, species, group, N_f^2 + spectators), previous (..., N_f + spectators).

    Raises
    ------
    ConfigurationError
        For arrays whose shapes do not fit.
    """
    fields, single = _batched("density_matrix", density_matrix, 5)
    before, _ = _batched("previous populations", previous, 5)
    spectators = fields.shape[-1] - n_flavors * n_flavors
    _check("previous populations", before, (*fields.shape[:-1], n_flavors + spectators))
    result = np.empty(before.shape)
    _mixing.eigen_populations_batch(fields, before, int(n_flavors), result)
    return result[0] if single else result
