"""The alignment of all local cells as one PETSc SNES problem, on the same kernels as the batched solver.

Every cell's coordinates and residual are divided by that cell's own scale sum |weights n|, so that one norm over all
cells is meaningful. The Jacobian is block-diagonal, one block a cell; its point-block Jacobi inverse is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..alignment import CONVERGED, MAX_ITERATIONS, NO_DESCENT, NOT_FINITE, AlignmentReport, prepare
from ..errors import ConvergenceError
from ..kernels.alignment_batch_residual import evaluate_batch, from_coordinates_batch, to_coordinates_batch
from ..parallel.petsc import given_options, petsc, refuse_unused

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..alignment import Batch

PREFIX = "misci_align_"
#: Largest norm of the first guess in units of a cell's scale, which bounds D_0 and D_1.
_LARGEST_START = 2.0


def align_with_petsc(
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
    comm: Any,
    shift: ArrayLike | None = None,
    tolerance: float = 1.0e-12,
    max_iterations: int = 50,
    first_cell: int = 0,
    petsc_options: dict[str, Any] | None = None,
) -> AlignmentReport:
    """D_out(D) - D = 0 in all cells of all ranks (Eqs. 4 and 14 of Johns, arXiv:2306.14982) by one SNES.

    Arguments as of `misci_transport.alignment.align`, with this rank's cells; first_cell is the global number of the
    first of them, for messages. PETSc options (those of petsc_options, and the command line's) take the prefix
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
    PETSc = petsc(comm)
    options = {name: value for name, value in (petsc_options or {}).items() if name.startswith(PREFIX)}
    cells, block = batch.cells, 2 * (n_flavors**2 - 1)
    problem = _Problem(batch, cells, block, PETSc.IntType)
    sizes = ((cells * block, None), (cells * block, None))
    x = PETSc.Vec().createMPI(sizes[0], bsize=block, comm=comm)
    residual = x.duplicate()
    jacobian = PETSc.Mat().createBAIJ(sizes, block, nnz=(1, 0), comm=comm)
    problem.first_block = x.getOwnershipRange()[0] // block
    snes = PETSc.SNES().create(comm)
    ksp = snes.getKSP()
    try:
        snes.setOptionsPrefix(PREFIX)
        snes.setFunction(problem.residual, residual)
        snes.setJacobian(problem.jacobian, jacobian, jacobian)
        snes.setType("newtonls")
        snes.setTolerances(rtol=0.0, atol=tolerance, stol=0.0, max_it=max_iterations)
        ksp.setType("preonly")
        ksp.getPC().setType("pbjacobi")
        start = np.empty((cells, block))
        to_coordinates_batch(work, n_flavors, start)
        start /= problem.scale[:, None]
        # a start from much richer populations lies outside of what these can make, and Newton would not come back
        start /= np.maximum(np.linalg.norm(start, axis=1, keepdims=True) / _LARGEST_START, 1.0)
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
    error = problem.relative_residual(solution)
    status = np.full(cells, CONVERGED, dtype=np.int64)
    bad = ~(error <= max(tolerance, 1.0e-15))
    if reason < 0 and bad.any():
        status[bad] = MAX_ITERATIONS if reason == PETSc.SNES.ConvergedReason.DIVERGED_MAX_IT else NO_DESCENT
        status[bad & ~np.isfinite(error)] = NOT_FINITE
    report = AlignmentReport(status, np.full(cells, iterations, dtype=np.int64), error)
    # Cells converge one by one: a line search that stops at round-off of the global norm is no failure by itself.
    failed = comm.allreduce(int(report.failures.size))
    if reason < 0 and failed:
        words = [text for text in comm.allgather(report.describe_failures(first_cell)) if text]
        name = _reason_name(PETSc, reason)
        raise ConvergenceError(
            f"alignment by PETSc SNES ended with {name} ({reason}) and {failed} failed cells: {'; '.join(words)}"
        )
    from_coordinates_batch(solution * problem.scale[:, None], problem.trace, n_flavors, work)
    if not np.may_share_memory(work, moments):
        moments[...] = work.reshape(moments.shape)
    return report


def _reason_name(PETSc: Any, reason: int) -> str:
    for name in dir(PETSc.SNES.ConvergedReason):
        if name.startswith("DIVERGED") and getattr(PETSc.SNES.ConvergedReason, name) == reason:
            return name
    return "DIVERGED"


class _Problem:
    """Residual and Jacobian callbacks over this rank's cells."""

    def __init__(self, batch: Batch, cells: int, block: int, index_type: Any) -> None:
        self.batch, self.cells, self.block, self.index_type = batch, cells, block, index_type
        self.first_block = 0
        self.scale, self.trace = batch.scales()
        self.output = np.empty((cells, block))
        self.blocks = np.empty((cells, block, block))

    def evaluate(self, scaled: NDArray[np.float64], with_jacobian: bool) -> None:
        evaluate_batch(
            np.ascontiguousarray(scaled) * self.scale[:, None],
            *self.batch.arguments(),
            with_jacobian,
            self.output,
            self.blocks,
        )

    def relative_residual(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """|D_out - D| / scale of each cell."""
        self.evaluate(scaled, False)
        with np.errstate(invalid="ignore", over="ignore"):
            difference = self.output / self.scale[:, None] - scaled
            return np.asarray(np.sqrt((difference**2).sum(axis=1)))

    def residual(self, snes: Any, x: Any, f: Any) -> None:
        scaled = x.getArray(readonly=True).reshape(self.cells, self.block)
        self.evaluate(scaled, False)
        f.getArray()[:] = (self.output / self.scale[:, None] - scaled).ravel()

    def jacobian(self, snes: Any, x: Any, jacobian: Any, preconditioner: Any) -> None:
        self.evaluate(x.getArray(readonly=True).reshape(self.cells, self.block), True)
        diagonal = np.arange(self.block)
        self.blocks[:, diagonal, diagonal] -= 1.0
        for cell in range(self.cells):
            row = np.array([self.first_block + cell], dtype=self.index_type)
            preconditioner.setValuesBlocked(row, row, self.blocks[cell])
        preconditioner.assemble()
        if jacobian != preconditioner:
            jacobian.assemble()
