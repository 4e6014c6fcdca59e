"""Alignment with conserved charges: each density matrix commutes with H - sum_a lambda_a Q_a, and Tr(Q_a D_0) is given.

The equations (E3) and (E4) of docs/alignment.md, averaged over energy bins; L. Johns, arXiv:2306.14982, Eqs. (8), (9)
and (14). Works on plain arrays, for a batch of cells, without a mesh or MPI.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..flavor import packed_of
from ..kernels.alignment_batch_residual import from_coordinates_batch, number_sums_batch, to_coordinates_batch
from ..kernels.bin_projectors import bin_projectors_batch
from ..kernels.collisions import DIAGONAL
from ..kernels.effective_batch import evaluate_effective_batch
from ..kernels.effective_newton import SMALLEST_PHASE, align_effective_batch
from .report import AlignmentReport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .charges import ChargeAxes

#: What of a charge is given: its density Tr(Q D_0), or, in a stationary state, its flux Tr(Q D_1).
DENSITY, FLUX = 0, 1


def density_matrix_of(
    populations: NDArray[np.float64], projector: NDArray[np.float64], n_flavors: int
) -> NDArray[np.float64]:
    """sum_k n_k <Pi_k> of populations (..., level), projector (..., level, component): (..., N_f^2 + spectators)."""
    components = np.einsum("...k,...ki->...i", populations, projector)
    # projectors count off-diagonal elements twice, as a trace of a product does
    components[..., DIAGONAL:] *= 0.5
    return packed_of(components, n_flavors)


@dataclass(frozen=True)
class ChargedCells:
    """A batch of cells with H - sum_a lambda_a Q_a (density given) or H + mu sum_a k_a Q_a (flux given).

    Unknowns (cell, 2 (N_f^2 - 1)): coordinates of D_0 and D_1 in the basis of the charges, in which the entries of the
    given charges hold their multipliers in cm^-1. Take them as opaque; `unknowns` and `moments` convert.
    """

    axes: ChargeAxes
    weight_0: NDArray[np.float64]  #: (cell, direction)
    weight_1: NDArray[np.float64]  #: (cell, direction)
    direction_cosine: NDArray[np.float64]  #: (cell, direction)
    number_weight: NDArray[np.float64]  #: (group,) cm^-3
    strength: float  #: sqrt 2 G_F, cm^2
    fixed: int = DENSITY
    parts: int = 1  #: intervals that an energy bin is divided into (three flavours only; two are exact)

    def __post_init__(self) -> None:
        if self.fixed not in (DENSITY, FLUX):
            raise ConfigurationError(f"fixed is {self.fixed!r}; accepted: 0 (density) or 1 (flux)")
        if self.parts < 1:
            raise ConfigurationError(f"parts is {self.parts!r}; accepted: 1 or more")
        cells, groups = self.axes.low.shape[:2]
        shape = self.direction_cosine.shape
        for name, array, expected in (
            ("direction_cosine", self.direction_cosine, (cells, *shape[1:])),
            ("weight_0", self.weight_0, shape),
            ("weight_1", self.weight_1, shape),
            ("number_weight", self.number_weight, (groups,)),
        ):
            if array.shape != expected or array.ndim > 2:
                raise ConfigurationError(f"{name} has shape {array.shape}; accepted: {expected}")

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.axes.cells

    @property
    def n_flavors(self) -> int:
        """Number of mixing flavours."""
        return self.axes.n_flavors

    @property
    def held(self) -> NDArray[np.bool_]:
        """(cell, unknown): where multipliers stand among the unknowns."""
        start = self.fixed * (self.n_flavors**2 - 1)
        column = np.arange(2 * (self.n_flavors**2 - 1))
        inside: NDArray[np.bool_] = (column >= start) & (column < start + self.axes.counts[:, None])
        return inside

    def _given(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (cell, 2) of charges or multipliers, spread over the unknowns (cell, unknown)."""
        d = self.n_flavors**2 - 1
        out = np.zeros((self.cells, 2 * d))
        most = min(2, d)
        out[:, self.fixed * d : self.fixed * d + most] = values[:, :most]
        return out

    def take(self, cells: NDArray[np.int64]) -> ChargedCells:
        """Some of the cells."""
        return replace(
            self,
            axes=self.axes.take(cells),
            weight_0=self.weight_0[cells],
            weight_1=self.weight_1[cells],
            direction_cosine=self.direction_cosine[cells],
        )

    def medium(self) -> tuple[Any, ...]:
        """The arguments of the kernels between the populations and the options."""
        return (
            self.weight,
            self.direction_cosine,
            self.number_weight,
            self.axes.low,
            self.axes.high,
            self.axes.external,
            self.strength,
            self.n_flavors,
            self.parts,
        )

    @property
    def weight(self) -> NDArray[np.float64]:
        """(cell, order, direction)."""
        return np.stack([self.weight_0, self.weight_1], axis=1)

    def unknowns(
        self, moments: NDArray[np.float64], multipliers: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Unknowns of moments (cell, 2, N_f^2) in flavours and multipliers (cell, 2) in cm^-1 (zero by default)."""
        packed = np.ascontiguousarray(self.axes.to_basis(moments))
        y = np.empty((self.cells, 2 * (self.n_flavors**2 - 1)))
        to_coordinates_batch(packed, self.n_flavors, y)
        given = 0.0 if multipliers is None else self._given(multipliers)
        return np.ascontiguousarray(np.where(self.held, given, y))

    def multipliers(self, unknowns: NDArray[np.float64]) -> NDArray[np.float64]:
        """lambda_a (density given) or k_a (flux given) of the unknowns: (cell, 2), cm^-1."""
        start = self.fixed * (self.n_flavors**2 - 1)
        return np.where(self.held, unknowns, 0.0)[:, start : start + 2].copy()

    def moments(
        self, unknowns: NDArray[np.float64], charges: NDArray[np.float64], populations: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """D_0 and D_1 in flavours (cell, 2, N_f^2), with the traces of the populations (zero without)."""
        x = np.where(self.held, self._given(charges), unknowns)
        trace = np.zeros((self.cells, 2))
        if populations is not None:
            number_sums_batch(
                populations,
                self.weight,
                self.number_weight,
                self.n_flavors,
                np.empty(self.cells),
                trace,
            )
        packed = np.empty((self.cells, 2, self.n_flavors**2))
        from_coordinates_batch(x, trace, self.n_flavors, packed)
        return np.asarray(self.axes.from_basis(packed))

    def scales(self, populations: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(cell,) scale sum |weights n| of the residual, 1 if empty, and (cell, unknown) units of the unknowns."""
        scale = np.empty(self.cells)
        number_sums_batch(
            populations,
            self.weight,
            self.number_weight,
            self.n_flavors,
            scale,
            np.empty((self.cells, 2)),
        )
        scale[scale == 0.0] = 1.0
        frequency = np.abs(self.axes.high).max(axis=(1, 2)) + np.abs(self.axes.external).max(axis=(1, 2))
        frequency = frequency + abs(self.strength) * scale
        frequency[frequency == 0.0] = 1.0
        return scale, np.where(self.held, frequency[:, None], scale[:, None])

    def align(
        self,
        populations: NDArray[np.float64],
        unknowns: NDArray[np.float64],
        charges: NDArray[np.float64],
        *,
        tolerance: float = 1.0e-12,
        max_iterations: int = 50,
    ) -> AlignmentReport:
        """Solve D_l = sum w_l rho and Tr(Q_a D) = charges cell by cell; unknowns are guess and solution (in place).

        populations (cell, direction, species, group, level); charges (cell, 2) in cm^-3, entries beyond the number of
        charges are ignored. A cell that fails keeps its guess and is named in the report.
        """
        status = np.zeros(self.cells, dtype=np.int64)
        iterations = np.zeros(self.cells, dtype=np.int64)
        residual = np.zeros(self.cells)
        align_effective_batch(
            unknowns,
            charges,
            self.axes.counts,
            self.fixed,
            populations,
            *self.medium(),
            tolerance,
            max_iterations,
            status,
            iterations,
            residual,
        )
        return AlignmentReport(status, iterations, residual)

    def jacobian(
        self, populations: NDArray[np.float64], unknowns: NDArray[np.float64], charges: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Derivative of the scaled residual by the scaled unknowns, phases fixed: (cell, unknown, unknown)."""
        scale, unit = self.scales(populations)
        blocks = np.empty((*unknowns.shape, unknowns.shape[1]))
        evaluate_effective_batch(
            unknowns,
            charges,
            self.axes.counts,
            self.fixed,
            populations,
            *self.medium(),
            SMALLEST_PHASE * scale,
            True,
            np.empty(unknowns.shape),
            blocks,
        )
        scaled: NDArray[np.float64] = blocks * (unit / scale[:, None])[:, None, :]
        return scaled

    def invariants(self, unknowns: NDArray[np.float64], charges: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a common turn about the charges leaves: diagonal coordinates, lengths of the others; (cell, ...)."""
        d, n = self.n_flavors**2 - 1, self.n_flavors
        x = np.where(self.held, self._given(charges), unknowns).reshape(self.cells, 2, d)
        if n == 3 and (self.axes.counts < 2).any():
            lengths: NDArray[np.float64] = np.linalg.norm(x, axis=2)
            return lengths
        pairs = x[:, :, n - 1 :].reshape(self.cells, 2, -1, 2)
        parts = [x[:, :, : n - 1].reshape(self.cells, -1), np.linalg.norm(pairs, axis=3).reshape(self.cells, -1)]
        return np.concatenate(parts, axis=1)

    def projectors(
        self,
        unknowns: NDArray[np.float64],
        charges: NDArray[np.float64],
        levels: int,
        rows: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """<Pi_k> in flavour components, and Tr(Q_a <Pi_k>), of the cells `rows` (all by default).

        Shapes (row, direction, species, group, level, component) and (row, direction, species, group, level, 2).
        """
        chosen = np.arange(self.cells) if rows is None else rows
        groups = self.number_weight.size
        shape = (chosen.size, self.direction_cosine.shape[1], 2, groups, levels)
        projector = np.empty((*shape, self.n_flavors**2 + levels - self.n_flavors))
        content = np.empty((*shape, 2))
        bin_projectors_batch(
            chosen,
            unknowns,
            charges,
            self.axes.counts,
            self.fixed,
            self.direction_cosine,
            self.axes.low,
            self.axes.high,
            self.axes.external,
            np.ascontiguousarray(self.axes.basis.real),
            np.ascontiguousarray(self.axes.basis.imag),
            self.strength,
            self.n_flavors,
            self.parts,
            projector,
            content,
        )
        return projector, content

    def density_matrices(
        self, populations: NDArray[np.float64], unknowns: NDArray[np.float64], charges: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """sum_k n_k <Pi_k>, packed: (cell, direction, species, group, N_f^2 + spectators)."""
        projector, _ = self.projectors(unknowns, charges, populations.shape[-1])
        return density_matrix_of(populations, projector, self.n_flavors)

    def fields(self, unknowns: NDArray[np.float64], charges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Energy-independent part of the effective Hamiltonian, field_0 - mu field_1: (cell, 2, N_f^2), flavours."""
        d = self.n_flavors**2 - 1
        x = np.where(self.held, self._given(charges), unknowns) * self.strength
        # - lambda Q, or + mu k Q: the second is minus mu times (- k)
        x -= np.where(self.held, unknowns, 0.0)
        packed = np.empty((self.cells, 2, d + 1))
        from_coordinates_batch(x, np.zeros((self.cells, 2)), self.n_flavors, packed)
        return np.asarray(self.axes.from_basis(packed + self.axes.external))

    def vacuum(self) -> NDArray[np.float64]:
        """Vacuum term of the effective Hamiltonian at the middle of the bins: (cell, group, N_f^2), flavours."""
        groups, n = self.number_weight.size, self.n_flavors
        packed = np.zeros((self.cells, groups, n * n))
        packed[..., :n] = 0.5 * (self.axes.low + self.axes.high)
        return np.asarray(self.axes.from_basis(packed))
