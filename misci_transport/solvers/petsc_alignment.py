"""The alignment of all local cells as one PETSc SNES problem, on the same kernels as the batched solver.

Every cell's coordinates and residual are divided by that cell's own scale sum |weights n|, so that one norm over all
cells is meaningful. The Jacobian is block-diagonal, one block a cell; its point-block Jacobi inverse is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..alignment import CONVERGED, MAX_ITERATIONS, NO_DESCENT, NOT_FINITE, AlignmentReport, prepare
from ..errors import ConvergenceError
from ..kernels.alignment_batch_residual import evaluate_batch, from_coordinates_batch, to_coordinates_batch
from ..kernels.effective_batch import evaluate_effective_batch
from ..kernels.effective_newton import SMALLEST_PHASE
from ..parallel.petsc import given_options, petsc, refuse_unused

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..alignment import Batch, ChargedCells

PREFIX = "misci_align_"
#: Largest norm of the first guess in units of a cell's scale, which bounds D_0 and D_1.
_LARGEST_START = 2.0


def align_with_petsc(
    populations: ArrayLike,
    moments: NDArray[np.float64],
    *,
    comm: Any,
    tolerance: float = 1.0e-12,
    max_iterations: int = 50,
    numbers: NDArray[np.int64] | None = None,
    petsc_options: dict[str, Any] | None = None,
    **medium: Any,
) -> AlignmentReport:
    """D_out(D) - D = 0 in all cells of all ranks (Eqs. 4 and 14 of Johns, arXiv:2306.14982) by one SNES.

    Arguments (medium: its keywords) as of `misci_transport.alignment.align`, with this rank's cells; numbers are their
    global ones, for messages. PETSc options (those of petsc_options, and the command line's) take the prefix
    ``misci_align_``. Collective over comm. The tolerance holds for the root of the sum over all cells of the squared
    relative residuals, so for every cell too.

    Raises
    ------
    ConfigurationError
        For arrays whose shapes do not fit, and for PETSc options that the solver does not know.
    ConvergenceError
        If SNES gives up: on every rank, naming PETSc's reason and the worst cells with their residuals. The moments
        are left as they were.
    MissingDependencyError
        If petsc4py is missing.
    """
    work, batch = prepare(populations, moments, **medium)
    report = solve_batch_with_petsc(batch, work, comm, tolerance, max_iterations, numbers, petsc_options)
    if not np.may_share_memory(work, moments):
        moments[...] = work.reshape(moments.shape)
    return report


def solve_batch_with_petsc(
    batch: Batch,
    moments: NDArray[np.float64],
    comm: Any,
    tolerance: float,
    max_iterations: int,
    numbers: NDArray[np.int64] | None,
    petsc_options: dict[str, Any] | None,
) -> AlignmentReport:
    """`align_with_petsc` for checked arrays; moments (cell, order, N_f^2) in place."""
    start = np.empty((batch.cells, batch.unknowns))
    to_coordinates_batch(moments, batch.n_flavors, start)
    problem = _Plain(batch)
    start /= problem.unit
    # a start from much richer populations lies outside of what these can make, and Newton would not come back
    start /= np.maximum(np.linalg.norm(start, axis=1, keepdims=True) / _LARGEST_START, 1.0)
    solution, report = _solve(problem, start, comm, tolerance, max_iterations, numbers, petsc_options)
    from_coordinates_batch(solution * problem.unit, problem.trace, batch.n_flavors, moments)
    return report


def align_charged_with_petsc(
    cells: ChargedCells,
    populations: NDArray[np.float64],
    unknowns: NDArray[np.float64],
    charges: NDArray[np.float64],
    *,
    comm: Any,
    tolerance: float = 1.0e-12,
    max_iterations: int = 50,
    numbers: NDArray[np.int64] | None = None,
    petsc_options: dict[str, Any] | None = None,
) -> AlignmentReport:
    """The alignment with charges (Eqs. E3 and E4 of docs/alignment.md) in all cells of all ranks by one SNES.

    Arguments as of `ChargedCells.align`, otherwise as of `align_with_petsc`; unknowns are guess and solution.

    Raises
    ------
    ConfigurationError, ConvergenceError, MissingDependencyError
        As `align_with_petsc`.
    """
    problem = _Charged(cells, populations, charges)
    solution, report = _solve(problem, unknowns / problem.unit, comm, tolerance, max_iterations, numbers, petsc_options)
    unknowns[:] = solution * problem.unit
    return report


def _solve(
    problem: _Problem,
    start: NDArray[np.float64],
    comm: Any,
    tolerance: float,
    max_iterations: int,
    numbers: NDArray[np.int64] | None,
    petsc_options: dict[str, Any] | None,
) -> tuple[NDArray[np.float64], AlignmentReport]:
    """Scaled solution of all local cells; raises ConvergenceError on all ranks if any cell has none."""
    PETSc = petsc(comm)
    options = {name: value for name, value in (petsc_options or {}).items() if name.startswith(PREFIX)}
    cells, block = start.shape
    callbacks = _Callbacks(problem, cells, block, PETSc.IntType)
    sizes = ((cells * block, None), (cells * block, None))
    x = PETSc.Vec().createMPI(sizes[0], bsize=block, comm=comm)
    residual = x.duplicate()
    jacobian = PETSc.Mat().createBAIJ(sizes, block, nnz=(1, 0), comm=comm)
    callbacks.first_block = x.getOwnershipRange()[0] // block
    snes = PETSc.SNES().create(comm)
    ksp = snes.getKSP()
    try:
        snes.setOptionsPrefix(PREFIX)
        snes.setFunction(callbacks.residual, residual)
        snes.setJacobian(callbacks.jacobian, jacobian, jacobian)
        snes.setType("newtonls")
        snes.setTolerances(rtol=0.0, atol=tolerance, stol=0.0, max_it=max_iterations)
        ksp.setType("preonly")
        ksp.getPC().setType("pbjacobi")
        x.getArray()[:] = start.ravel()
        with given_options(PETSc, options):
            snes.setFromOptions()
            snes.solve(None, x)
            refuse_unused(PETSc, options)
        reason = int(snes.getConvergedReason())
        iterations = int(snes.getIterationNumber())
        solution = np.array(x.getArray()).reshape(cells, block)
    finally:
        for thing in (ksp, snes, jacobian, residual, x):
            thing.destroy()
    with np.errstate(invalid="ignore", over="ignore"):
        error: NDArray[np.float64] = np.sqrt((problem.evaluate(solution, False)[0] ** 2).sum(axis=1))
    status = np.full(cells, CONVERGED, dtype=np.int64)
    bad = ~(error <= max(tolerance, 1.0e-15))
    if reason < 0 and bad.any():
        status[bad] = MAX_ITERATIONS if reason == PETSc.SNES.ConvergedReason.DIVERGED_MAX_IT else NO_DESCENT
        status[bad & ~np.isfinite(error)] = NOT_FINITE
    report = AlignmentReport(status, np.full(cells, iterations, dtype=np.int64), error)
    # Cells converge one by one: a line search that stops at round-off of the global norm is no failure by itself.
    failed = comm.allreduce(int(report.failures.size))
    if reason < 0 and failed:
        words = [text for text in comm.allgather(report.describe_failures(numbers)) if text]
        name = _reason_name(PETSc, reason)
        raise ConvergenceError(
            f"alignment by PETSc SNES ended with {name} ({reason}) and {failed} failed cells: {'; '.join(words)}"
        )
    return solution, report


def _reason_name(PETSc: Any, reason: int) -> str:
    for name in dir(PETSc.SNES.ConvergedReason):
        if name.startswith("DIVERGED") and getattr(PETSc.SNES.ConvergedReason, name) == reason:
            return name
    return "DIVERGED"


class _Problem(Protocol):
    """Scaled residual and Jacobian of this rank's cells."""

    def evaluate(
        self, scaled: NDArray[np.float64], with_jacobian: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Residual (cell, unknown) and blocks (cell, unknown, unknown) at scaled unknowns (cell, unknown)."""
        ...


class _Plain:
    """The alignment without charges."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        scale, self.trace = batch.scales()
        self.unit = scale[:, None]
        block = batch.unknowns
        self.output = np.empty((batch.cells, block))
        self.blocks = np.empty((batch.cells, block, block))

    def evaluate(
        self, scaled: NDArray[np.float64], with_jacobian: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        evaluate_batch(
            np.ascontiguousarray(scaled) * self.unit, *self.batch.arguments(), with_jacobian, self.output, self.blocks
        )
        if with_jacobian:
            diagonal = np.arange(self.output.shape[1])
            self.blocks[:, diagonal, diagonal] -= 1.0
        with np.errstate(invalid="ignore", over="ignore"):
            return self.output / self.unit - scaled, self.blocks


class _Charged:
    """The alignment with charges."""

    def __init__(self, cells: ChargedCells, populations: NDArray[np.float64], charges: NDArray[np.float64]) -> None:
        self.cells, self.populations, self.charges = cells, np.ascontiguousarray(populations), charges
        self.scale, self.unit = cells.scales(self.populations)
        self.output = np.empty(self.unit.shape)
        self.blocks = np.empty((*self.unit.shape, self.unit.shape[1]))

    def evaluate(
        self, scaled: NDArray[np.float64], with_jacobian: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        evaluate_effective_batch(
            np.ascontiguousarray(scaled) * self.unit,
            self.charges,
            self.cells.axes.counts,
            self.cells.fixed,
            self.populations,
            *self.cells.medium(),
            SMALLEST_PHASE * self.scale,
            with_jacobian,
            self.output,
            self.blocks,
        )
        with np.errstate(invalid="ignore", over="ignore"):
            return self.output / self.scale[:, None], self.blocks * (self.unit / self.scale[:, None])[:, None, :]


class _Callbacks:
    """What PETSc calls."""

    def __init__(self, problem: _Problem, cells: int, block: int, index_type: Any) -> None:
        self.problem, self.shape, self.index_type = problem, (cells, block), index_type
        self.first_block = 0

    def residual(self, snes: Any, x: Any, f: Any) -> None:
        f.getArray()[:] = self.problem.evaluate(x.getArray(readonly=True).reshape(self.shape), False)[0].ravel()

    def jacobian(self, snes: Any, x: Any, jacobian: Any, preconditioner: Any) -> None:
        _, blocks = self.problem.evaluate(x.getArray(readonly=True).reshape(self.shape), True)
        for cell in range(self.shape[0]):
            row = np.array([self.first_block + cell], dtype=self.index_type)
            preconditioner.setValuesBlocked(row, row, blocks[cell])
        preconditioner.assemble()
        if jacobian != preconditioner:
            jacobian.assemble()
