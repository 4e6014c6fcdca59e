"""Self-consistent alignment of neutrino density matrices with their own Hamiltonian; usable alone.

Everything works on plain arrays, for one cell or for a batch of cells (leading axis):

    populations         ([cell,] direction, species, group, level), species 0 = neutrinos, 1 = antineutrinos;
                        levels beyond N_f are spectators that do not mix
    moments             ([cell,] order, N_f^2): D_0 and D_1 in cm^-3, packed as `misci_transport.flavor.pack` does
    weight_0, weight_1  ([cell,] direction): integrals of dmu and mu dmu over a direction's bin
    direction_cosine    ([cell,] direction): the mu of the Hamiltonian, normally weight_1/weight_0
    velocity            ([cell,] direction, axis): instead of weight_1 and direction_cosine, unit vectors of directions
                        that are not symmetric about an axis; D_1 then has a component for each axis, moments have
                        1 + axes orders, matter_beta and shift as many axes and orders
    number_weight       (group,): cm^-3, so that n = sum_g number_weight_g sum_m weight_0_m f
    vacuum              (group, N_f^2): packed M^2/2E in cm^-1 (sign of neutrinos)
    matter_potential    ([cell]): V in cm^-1, and matter_beta ([cell]) the radial velocity / c of matter
    strength            sqrt 2 G_F in cm^2 (constants.FERMI_POTENTIAL), so that strength * D is in cm^-1
    shift               ([cell,] 2, N_f^2): packed constant part of the Hamiltonian, cm^-1, zero by default

    H_{m,s,g} = (+1 nu, -1 nubar) M^2/2E_g + V (1 - beta mu_m) diag(1, 0, 0) + strength (D_0 - mu_m D_1)
                + shift_0 - mu_m shift_1                    (with velocity: beta . v_m, v_m . D_1, v_m . shift_1)

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
    EQUILIBRATED,
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
    "EQUILIBRATED",
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
    "medium_batch",
    "mixing_probabilities",
    "prepare",
    "project",
]


@dataclass(frozen=True)
class Batch:
    """Checked arrays in the form that the kernels take: every per-cell quantity with a leading cell axis.

    Those of directions may have one row that all cells share.
    """

    cells: int
    weight: NDArray[np.float64]  #: (cell or 1, order, direction)
    velocity: NDArray[np.float64]  #: (cell or 1, direction, axis)
    number_weight: NDArray[np.float64]  #: (group,) cm^-3
    vacuum: NDArray[np.float64]  #: (group, N_f^2) cm^-1
    potential: NDArray[np.float64]  #: (cell,) cm^-1
    beta: NDArray[np.float64]  #: (cell, axis)
    strength: float
    shift: NDArray[np.float64]  #: (cell, order, N_f^2) cm^-1
    n_flavors: int
    populations: NDArray[np.float64] | None = None

    @property
    def orders(self) -> int:
        """Number of angular moments: D_0 and the components of D_1."""
        return int(self.weight.shape[1])

    @property
    def unknowns(self) -> int:
        """Number of coordinates of the moments of a cell."""
        return self.orders * (self.n_flavors**2 - 1)

    def arguments(self) -> tuple[Any, ...]:
        """The arguments of the residual kernels between the unknowns and the options."""
        return (
            self.populations,
            self.weight,
            self.velocity,
            self.number_weight,
            self.vacuum,
            self.potential,
            self.beta,
            self.strength,
            self.shift,
            self.n_flavors,
        )

    def mixing_arguments(self) -> tuple[Any, ...]:
        """The arguments of the kernels of eigenvectors after the moments."""
        return (self.velocity, self.vacuum, self.potential, self.beta, self.strength, self.shift, self.n_flavors)

    def take(self, cells: NDArray[np.int64], populations: NDArray[np.float64]) -> Batch:
        """Some of the cells, with their populations."""
        return replace(
            self,
            cells=int(cells.size),
            weight=self.weight if len(self.weight) == 1 else self.weight[cells],
            velocity=self.velocity if len(self.velocity) == 1 else self.velocity[cells],
            potential=self.potential[cells],
            beta=self.beta[cells],
            shift=self.shift[cells],
            populations=np.ascontiguousarray(populations[cells]),
        )

    def solve(
        self, moments: NDArray[np.float64], tolerance: float, max_iterations: int, shortcut: bool
    ) -> AlignmentReport:
        """`align` for moments (cell, order, N_f^2), in place."""
        status = np.zeros(self.cells, dtype=np.int64)
        iterations = np.zeros(self.cells, dtype=np.int64)
        residual = np.zeros(self.cells)
        _kernel.align_batch(
            moments,
            *self.arguments(),
            float(tolerance),
            int(max_iterations),
            bool(shortcut),
            status,
            iterations,
            residual,
        )
        return AlignmentReport(status, iterations, residual)

    def scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(cell,) scale sum |weights n| of the residual, 1 for an empty cell; (cell, order) traces of D_0 and D_1."""
        scale = np.empty(self.cells)
        trace = np.empty((self.cells, self.orders))
        number_sums_batch(self.populations, self.weight, self.number_weight, self.n_flavors, scale, trace)
        scale[scale == 0.0] = 1.0
        return scale, trace


def _plain(array: ArrayLike) -> NDArray[np.float64]:
    """Float64, C-contiguous, and writeable though nothing is written: kernels are compiled anew for any other kind."""
    return np.require(array, np.float64, ["C", "W"])


def _per_cell(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Array of the given shape for a kernel; the leading cell axis may be missing in the input."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape == shape:
        return _plain(array)
    if array.shape == shape[1:]:
        return _plain(np.broadcast_to(array, shape))
    raise ConfigurationError(f"{name} has shape {array.shape}; accepted: {shape[1:]} or {shape}")


def _directions(
    cells: int,
    weight_0: ArrayLike | None,
    weight_1: ArrayLike | None,
    direction_cosine: ArrayLike | None,
    velocity: ArrayLike | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (cell, order, direction), zero where they are not given, and velocities (cell, direction, axis)."""
    if (direction_cosine is None) == (velocity is None) or (velocity is not None and weight_1 is not None):
        raise ConfigurationError("directions: accepted direction_cosine (with weight_1), or velocity without them")
    given = np.asarray(direction_cosine if velocity is None else velocity, dtype=np.float64)
    count = 0
    if velocity is None:
        count = given.shape[-1] if given.ndim else 0
    elif given.ndim >= 2:
        count = given.shape[-2]
    name = "direction_cosine" if velocity is None else "velocity"
    if count == 0:
        raise ConfigurationError(f"{name} is empty; accepted: one value or more")
    angular = (cells, count)
    zero = np.zeros(count)
    zeroth = _per_cell("weight_0", zero if weight_0 is None else weight_0, angular)
    if velocity is None:
        first = _per_cell("weight_1", zero if weight_1 is None else weight_1, angular)
        cosine = _per_cell("direction_cosine", given, angular)
        return np.stack([zeroth, first], axis=1), np.ascontiguousarray(cosine[..., np.newaxis])
    vectors = _per_cell("velocity", given, (*angular, given.shape[-1]))
    weights = np.concatenate([zeroth[:, np.newaxis], zeroth[:, np.newaxis] * vectors.transpose(0, 2, 1)], axis=1)
    return np.ascontiguousarray(weights), vectors


def _prepare(
    cells: int,
    *,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    shift: ArrayLike | None,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
    weight_0: ArrayLike | None = None,
    weight_1: ArrayLike | None = None,
    number_weight: ArrayLike | None = None,
) -> Batch:
    if n_flavors not in (2, 3):
        raise ConfigurationError(f"n_flavors is {n_flavors!r}; accepted: 2 or 3")
    components = n_flavors * n_flavors
    packed_vacuum = _plain(vacuum)
    if packed_vacuum.ndim != 2 or packed_vacuum.shape[1] != components:
        raise ConfigurationError(f"vacuum has shape {packed_vacuum.shape}; accepted: (group, {components})")
    groups = packed_vacuum.shape[0]
    weight, vectors = _directions(cells, weight_0, weight_1, direction_cosine, velocity)
    orders, axes = weight.shape[1], vectors.shape[2]
    numbers = np.ones(groups) if number_weight is None else _plain(number_weight)
    if numbers.shape != (groups,):
        raise ConfigurationError(f"number_weight has shape {numbers.shape}; accepted: ({groups},)")
    if velocity is None:
        beta = _per_cell("matter_beta", matter_beta, (cells,))[:, np.newaxis]
    else:
        beta = _per_cell("matter_beta", matter_beta, (cells, axes))
    return Batch(
        cells=cells,
        weight=weight,
        velocity=vectors,
        number_weight=numbers,
        vacuum=packed_vacuum,
        potential=_per_cell("matter_potential", matter_potential, (cells,)),
        beta=np.ascontiguousarray(beta),
        strength=float(strength),
        shift=_per_cell(
            "shift", np.zeros((orders, components)) if shift is None else shift, (cells, orders, components)
        ),
        n_flavors=int(n_flavors),
    )


def _batched(name: str, array: ArrayLike, ndim: int) -> tuple[NDArray[np.float64], bool]:
    """The array with a leading cell axis, and whether that axis had to be added."""
    values = _plain(array)
    if values.ndim == ndim - 1:
        return values[np.newaxis], True
    if values.ndim == ndim:
        return values, False
    raise ConfigurationError(f"{name} has {values.ndim} axes; accepted: {ndim - 1} (one cell) or {ndim} (batch)")


def _check(name: str, array: NDArray[np.float64], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ConfigurationError(f"{name} has shape {array.shape}; accepted: {expected}")


def _check_populations(populations: NDArray[np.float64], batch: Batch) -> None:
    directions, groups = batch.velocity.shape[1], batch.vacuum.shape[0]
    levels = populations.shape[-1]
    if levels < batch.n_flavors:
        raise ConfigurationError(f"populations have {levels} levels; accepted: {batch.n_flavors} or more")
    _check("populations", populations, (batch.cells, directions, 2, groups, levels))


def prepare(
    populations: ArrayLike,
    moments: NDArray[np.float64],
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    weight_1: ArrayLike | None = None,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
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
        velocity=velocity,
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
    _check("moments", work, (batch.cells, batch.orders, n_flavors * n_flavors))
    return work, replace(batch, populations=fields)


def align(
    populations: ArrayLike,
    moments: NDArray[np.float64],
    *,
    weight_0: ArrayLike,
    number_weight: ArrayLike,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    weight_1: ArrayLike | None = None,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
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
        velocity=velocity,
        number_weight=number_weight,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
    )
    report = batch.solve(work, tolerance, max_iterations, shortcut)
    if not np.may_share_memory(work, moments):
        moments[...] = work.reshape(moments.shape)
    return report


def mixing_probabilities(
    moments: ArrayLike,
    *,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
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
        velocity=velocity,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
    )
    _check("moments", work, (batch.cells, batch.orders, n_flavors * n_flavors))
    result = np.empty((batch.cells, batch.velocity.shape[1], 2, batch.vacuum.shape[0], 3, 3))
    _mixing.mixing_probabilities_batch(work, *batch.mixing_arguments(), result)
    return result[0] if single else result


def density_matrices(
    populations: ArrayLike,
    moments: ArrayLike,
    *,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
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
        velocity=velocity,
        vacuum=vacuum,
        matter_potential=matter_potential,
        matter_beta=matter_beta,
        strength=strength,
        n_flavors=n_flavors,
        shift=shift,
    )
    _check_populations(fields, batch)
    _check("moments", work, (batch.cells, batch.orders, n_flavors * n_flavors))
    result = np.empty((*fields.shape[:-1], n_flavors * n_flavors + fields.shape[-1] - n_flavors))
    _mixing.density_matrices_batch(fields, work, *batch.mixing_arguments(), result)
    return result[0] if single else result


def project(
    density_matrix: ArrayLike,
    moments: ArrayLike,
    *,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike,
    strength: float,
    n_flavors: int,
    direction_cosine: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
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
        velocity=velocity,
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
    expected = (batch.cells, batch.velocity.shape[1], 2, batch.vacuum.shape[0], fields.shape[-1])
    _check("density_matrix", fields, expected)
    _check("moments", work, (batch.cells, batch.orders, n_flavors * n_flavors))
    result = np.empty((*fields.shape[:-1], n_flavors + spectators))
    _mixing.project_batch(fields, work, *batch.mixing_arguments(), result)
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


#: Checked arrays of everything but populations, for other modules that work on the same plain arrays.
medium_batch = _prepare
