r"""The common phase of a stationary state in several dimensions: div Tr(Q_a D_1)(k) = Tr(Q_a C), k_a = - grad phi_a.

One scalar equation a charge for phi at the centres of the cells of a block mesh. The fluxes on the faces come from the
local closure (`physics.phase_closure`) with the k of the face; what leaves a cell enters its neighbour. PETSc SNES with
the assembled analytic Jacobian, the closure's second derivatives times the gradient's matrix. Well-posed where these
are definite (elliptic); where they are not, `solvers.phase_march` marches. docs/phase.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import diags

from ..alignment.report import CONVERGED, STATUS_NAMES
from ..errors import ConfigurationError, ConvergenceError
from ..parallel.petsc import given_options, petsc, refuse_unused
from ..physics.phase_closure import PARALLEL
from ..physics.phase_type import ELLIPTIC, ORDINARY, TYPE_NAMES, PhaseType, classify
from .phase_grid import PhaseGrid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..block_mesh import BlockMesh
    from ..parallel.block_decomposition import BlockDecomposition
    from ..physics.phase_closure import ClosureState
    from .phase_grid import Medium, PhaseBoundary, Places

logger = logging.getLogger(__name__)

PREFIX = "misci_phase_"
#: What to do where the type of the equation does not fit the method.
POLICIES = ("stop", "flag")
#: A Newton step is cut to this fraction at a time until every face has a state, down to the smallest one.
CUT, SMALLEST_STEP = 0.5, 1.0e-6


@dataclass
class PhaseReport:
    """How the phases were found, and where their equation is of which type."""

    reason: str  #: PETSc's, or what the march says
    iterations: int  #: Newton iterations, or iterations of all layers of a march
    krylov: int = 0
    residual: float = 0.0  #: norm of the balance over that of the largest possible fluxes
    counts: dict[str, int] = field(default_factory=dict)  #: places of each type, all ranks
    ill_posed: int = 0  #: places where waves in time have complex speeds, all ranks
    places: int = 0  #: all places, all ranks
    growth: float = 0.0  #: largest |Im W|/|q| there
    misfits: list[str] = field(default_factory=list)  #: places whose type does not fit the method (policy "flag")


def describe(
    places: Places, hessian: NDArray[np.float64], kind: NDArray[np.int64], chosen: NDArray[np.int64], limit: int = 5
) -> list[str]:
    """Places with their types and second derivatives of Phi* by k_a of the first charge, in words."""
    words = []
    for n in chosen[:limit]:
        second = hessian[n, 1:, 0, 1:, 0]
        diagonal = ", ".join(f"{x:.3e}" for x in np.diagonal(second))
        words.append(f"cell {places.words(int(n))}: {TYPE_NAMES[kind[n]]}, d2Phi/dk2 = {diagonal}")
    if chosen.size > limit:
        words.append(f"and {chosen.size - limit} more places")
    return words


class PhaseSolver:
    """Newton's method for the phases of a stationary state on all ranks; collective throughout."""

    def __init__(
        self,
        mesh: BlockMesh,
        decomposition: BlockDecomposition,
        medium: Medium,
        boundary: PhaseBoundary,
        *,
        source: ArrayLike = 0.0,
        frequency: ArrayLike = 0.0,
        tolerance: float = 1.0e-10,
        max_newton: int = 30,
        on_type: str = "stop",
        petsc_options: dict[str, Any] | None = None,
    ) -> None:
        """source (cell, charge): Tr(Q C) of this rank's cells, cm^-4; frequency (charge,): the uniform omega, cm^-1.

        on_type: what to do where the equation turns out not to be elliptic: "stop" or "flag".

        Raises
        ------
        ConfigurationError
            For values that are not accepted, and if no end of any axis has a given phase.
        """
        if on_type not in POLICIES:
            raise ConfigurationError(f"on_type is {on_type!r}; accepted: {', '.join(POLICIES)}")
        if not any("phase" in boundary.kinds[axis] for axis in decomposition.resolved):
            raise ConfigurationError(
                "phase: no end of a resolved axis has a given phase, so that only its gradient would be determined; "
                "accepted: at least one end of kind 'phase'"
            )
        self.decomposition, self.tolerance, self.max_newton = decomposition, tolerance, max_newton
        self.on_type = on_type
        self.options = {k: v for k, v in (petsc_options or {}).items() if k.startswith(PREFIX)}
        probe = medium.closure(_first_place(mesh, decomposition))
        self.charges = probe.charges
        self.grid = PhaseGrid(mesh, decomposition, boundary, self.charges)
        if max(decomposition.resolved) >= probe.orders - 1:
            raise ConfigurationError(
                f"the closure follows {probe.orders - 1} axes; accepted: all resolved ones, {decomposition.resolved}"
            )
        self.closure = medium.closure(self.grid.places)
        self.seed = medium.seed(self.grid.places)
        self.frequency = np.broadcast_to(np.asarray(frequency, dtype=np.float64), (self.charges,))
        made = np.broadcast_to(np.asarray(source, dtype=np.float64), (decomposition.size, self.charges))
        self.given = self.grid.inflow + mesh.volume_at(decomposition.cells)[:, None] * made
        self._scale = self._size_of_fluxes()
        self._number()

    def _size_of_fluxes(self) -> float:
        """Root of the sum over cells of (area times what a flux can be at most)^2."""
        flow = abs(self.grid.divergence) @ self.closure.scale
        total = float(np.sqrt(self.decomposition.comm.allreduce(float((flow**2).sum()))))
        return total or 1.0

    def _number(self) -> None:
        """PETSc's numbers of the cells: rank by rank."""
        dec = self.decomposition
        of_cell = np.empty(dec.total, dtype=np.int64)
        of_cell[np.concatenate(dec.comm.allgather(dec.cells))] = np.arange(dec.total)
        self.number = of_cell[self.grid.columns]

    def _extended(self, phase: NDArray[np.float64]) -> NDArray[np.float64]:
        """phi (column, charge) of this rank's cells and of the others that its faces need."""
        self._ghosted.getArray()[:] = phase.ravel()
        self._ghosted.ghostUpdate()
        with self._ghosted.localForm() as local:
            return np.array(local.getArray(readonly=True)).reshape(-1, self.charges)

    def states(self, phase: NDArray[np.float64], guess: ClosureState) -> ClosureState:
        """Closures of the faces for phi (cell, charge) of this rank."""
        k = self.grid.wave_numbers(self._extended(phase))
        multiplier = np.empty((self.grid.faces, self.closure.orders, self.charges))
        multiplier[:, 0] = self.frequency
        multiplier[:, 1:] = k[:, : self.closure.orders - 1]
        return self.closure.solve(guess, multiplier)

    def lost(self, states: ClosureState) -> NDArray[np.int64]:
        """Faces without a state, or with one in which nothing has a phase though the seed has one."""
        parallel = (self.closure.tilt(states) <= PARALLEL) & (self._seed_tilt > PARALLEL)
        return np.flatnonzero((states.status != CONVERGED) | parallel)

    def balance(self, states: ClosureState) -> NDArray[np.float64]:
        """What leaves each cell minus what is made in it, (cell, charge)."""
        faces = np.arange(self.grid.faces)
        flux = states.charge[faces, 1 + self.grid.normal]
        out: NDArray[np.float64] = self.grid.divergence @ flux - self.given
        return out

    def jacobian(self, states: ClosureState) -> list[list[Any]]:
        """d balance_a/d phi_b as sparse matrices (cell, column) for each pair of charges."""
        faces = np.arange(self.grid.faces)
        blocks = []
        for a in range(self.charges):
            line = []
            for b in range(self.charges):
                total: Any = None
                for axis in self.decomposition.resolved:
                    slope = states.response[faces, 1 + self.grid.normal, a, 1 + axis, b]
                    part = self.grid.divergence @ diags(slope) @ self.grid.gradient[axis::3]
                    total = part if total is None else total + part
                line.append(total.tocsr())
            blocks.append(line)
        return blocks

    def solve(self, guess: NDArray[np.float64] | None = None) -> tuple[NDArray[np.float64], ClosureState, PhaseReport]:
        """Solve for phi (cell, charge) of this rank. Returns it with the states of the faces, and how it was found.

        Without a guess, Newton begins with the solution of the equation linearised around the seed of the medium.

        Raises
        ------
        ConvergenceError
            On all ranks, if SNES gives up (PETSc's reason and the worst cells), if faces have no state at the guess,
            or if the equation is not elliptic and ``on_type`` is "stop" (places and second derivatives).
        """
        dec = self.decomposition
        if guess is not None and guess.shape != (dec.size, self.charges):
            raise ConfigurationError(f"guess has shape {guess.shape}; accepted: {(dec.size, self.charges)}")
        PETSc = petsc(dec.comm)
        n = dec.size * self.charges
        ghosts = (self.number[dec.size :, None] * self.charges + np.arange(self.charges)).ravel()
        self._seed_tilt = self.closure.tilt(self.seed)
        self._ghosted = PETSc.Vec().createGhost(ghosts.astype(PETSc.IntType), size=(n, None), comm=dec.comm)
        x = PETSc.Vec().createMPI((n, None), comm=dec.comm)
        matrix = self._empty_matrix(PETSc)
        snes = PETSc.SNES().create(dec.comm)
        ksp = snes.getKSP()
        things = (ksp, snes, matrix, x, self._ghosted)
        try:
            snes.setOptionsPrefix(PREFIX)
            snes.setFunction(self._function, x.duplicate())
            snes.setJacobian(self._update, matrix, matrix)
            snes.setLineSearchPreCheck(self._shorten)
            snes.setType("newtonls")
            snes.setTolerances(rtol=0.0, atol=self.tolerance, stol=0.0, max_it=self.max_newton)
            ksp.setType("gmres")
            ksp.setTolerances(rtol=1.0e-8, max_it=2000)
            ksp.setGMRESRestart(200)
            ksp.getPC().setType("bjacobi")
            # a first guess that is good enough by itself would depend on how the linear solver came to it
            with given_options(PETSc, {PREFIX + "snes_force_iteration": True, **self.options}):
                snes.setFromOptions()
                self._refuse("the seed", np.flatnonzero(self.seed.status != CONVERGED), self.seed)
                if guess is None:
                    self._linear(PETSc, ksp, matrix, x)
                else:
                    x.getArray()[:] = guess.ravel()
                self._accepted = self.states(self._phase(x), self.seed)
                self._refuse("the guess", self.lost(self._accepted), self._accepted)
                snes.solve(None, x)
                refuse_unused(PETSc, self.options)
            return self._finish(PETSc, snes, x)
        finally:
            for thing in things:
                thing.destroy()

    def _empty_matrix(self, PETSc: Any) -> Any:
        """An AIJ matrix with room for every cell that a cell's balance depends on."""
        reach = abs(self.grid.divergence) @ sum(abs(self.grid.gradient[axis::3]) for axis in range(3))
        reach = reach.tocsr()
        size = self.decomposition.size
        own, other = (np.zeros(size, dtype=np.int64) for _ in range(2))
        row = np.repeat(np.arange(size), np.diff(reach.indptr))
        np.add.at(own, row[reach.indices < size], 1)
        np.add.at(other, row[reach.indices >= size], 1)
        # one number for all rows: ranks without rows would have no arrays to give
        comm = self.decomposition.comm
        most = tuple(max(comm.allgather(int(each.max(initial=0)))) * self.charges for each in (own, other))
        n = size * self.charges
        matrix = PETSc.Mat().createAIJ(((n, None), (n, None)), nnz=most, comm=comm)
        matrix.setUp()
        # the whole pattern at once: an entry that is zero at first would have no room later
        self._insert(matrix, [[reach] * self.charges] * self.charges, 0.0)
        return matrix

    def _phase(self, x: Any) -> NDArray[np.float64]:
        phase: NDArray[np.float64] = np.array(x.getArray(readonly=True)).reshape(-1, self.charges)
        return phase

    def _linear(self, PETSc: Any, ksp: Any, matrix: Any, x: Any) -> None:
        """x: solution with fluxes linear in k around the seed."""
        faces, seed = np.arange(self.grid.faces), self.seed
        k = self.grid.wave_numbers(np.zeros((self.grid.columns.size, self.charges)))
        change = np.zeros_like(seed.multiplier)
        change[:, 0] = self.frequency - seed.multiplier[:, 0]
        change[:, 1:] = k[:, : self.closure.orders - 1] - seed.multiplier[:, 1:]
        slope = seed.response[faces, 1 + self.grid.normal]
        flux = seed.charge[faces, 1 + self.grid.normal] + np.einsum("falb,flb->fa", slope, change)
        right = x.duplicate()
        try:
            right.getArray()[:] = ((self.given - self.grid.divergence @ flux) / self._scale).ravel()
            self._fill(matrix, seed)
            ksp.setOperators(matrix, matrix)
            ksp.solve(right, x)
            reason = int(ksp.getConvergedReason())
        finally:
            right.destroy()
        if reason < 0:
            raise ConvergenceError(
                f"phase: the linear problem of the first guess ended with {_name(PETSc.KSP.ConvergedReason, reason)}"
                f"{self._where_not_elliptic(seed)}"
            )

    def _function(self, _snes: Any, x: Any, f: Any) -> None:
        phase = self._phase(x)
        states = self.states(phase, self._accepted)
        balance = self.balance(states) / self._scale
        lost = self.lost(states)
        if lost.size:
            # the line search steps back from where there is no number
            balance[:] = np.nan
        f.getArray()[:] = balance.ravel()

    def _update(self, _snes: Any, x: Any, matrix: Any, _p: Any) -> None:
        self._accepted = self.states(self._phase(x), self._accepted)
        self._fill(matrix, self._accepted)

    def _fill(self, matrix: Any, states: ClosureState) -> None:
        matrix.zeroEntries()
        self._insert(matrix, self.jacobian(states), 1.0 / self._scale)

    def _insert(self, matrix: Any, blocks: list[list[Any]], factor: float) -> None:
        index = np.asarray(self.number, dtype=np.int64)
        for a, line in enumerate(blocks):
            for b, block in enumerate(line):
                for cell in range(self.decomposition.size):
                    part = slice(block.indptr[cell], block.indptr[cell + 1])
                    columns = (index[block.indices[part]] * self.charges + b).astype(np.int32)
                    row = np.array([index[cell] * self.charges + a], dtype=np.int32)
                    matrix.setValues(row, columns, factor * block.data[part])
        matrix.assemble()

    def _shorten(self, x: Any, y: Any) -> None:
        """Cut the step y of x - lambda y until every face has a state: outside of its range a closure says nothing."""
        phase, step = self._phase(x), self._phase(y)
        factor = 1.0
        while factor >= SMALLEST_STEP:
            states = self.states(phase - factor * step, self._accepted)
            if not self.decomposition.comm.allreduce(int(self.lost(states).size)):
                break
            factor *= CUT
        if factor < 1.0:
            logger.info("phase: Newton step cut to %.1e", factor)
            y.scale(factor)

    def _finish(self, PETSc: Any, snes: Any, x: Any) -> tuple[NDArray[np.float64], ClosureState, PhaseReport]:
        comm = self.decomposition.comm
        reason = int(snes.getConvergedReason())
        found = self._phase(x)
        states = self.states(found, self._accepted)
        balance = np.abs(self.balance(states)).max(axis=1) / self._scale
        norm = float(np.sqrt(comm.allreduce(float((self.balance(states) ** 2).sum())))) / self._scale
        # the forced iteration cannot make round-off smaller: the line search then gives up at a solution
        if reason < 0 and not norm <= self.tolerance:
            worst = np.argsort(-np.where(np.isnan(balance), np.inf, balance))[:3]
            words = [f"cell {int(self.decomposition.cells[c])}: balance {balance[c]:.3e}" for c in worst]
            words = [word for part in comm.allgather(words) for word in part]
            raise ConvergenceError(
                f"phase: SNES ended with {_name(PETSc.SNES.ConvergedReason, reason)} (KSP: "
                f"{_name(PETSc.KSP.ConvergedReason, int(snes.getKSP().getConvergedReason()))}) after "
                f"{snes.getIterationNumber()} iterations, residual {norm:.3e} of the largest fluxes; {'; '.join(words)}"
                f"{self._where_not_elliptic(states)}"
            )
        self._refuse("the solution", self.lost(states), states)
        report = PhaseReport(
            _name(PETSc.SNES.ConvergedReason, reason) if reason > 0 else "at round-off",
            int(snes.getIterationNumber()),
            int(snes.getLinearSolveIterations()),
            norm,
        )
        kind = self.type_of(states)
        count(report, kind, self.grid.mine, comm)
        bad = np.flatnonzero((kind.kind != ELLIPTIC) & (kind.kind != ORDINARY) & self.grid.mine)
        words = [
            word for part in comm.allgather(describe(self.grid.places, states.hessian, kind.kind, bad)) for word in part
        ]
        if words and self.on_type == "stop":
            raise ConvergenceError(
                f"phase: the equation is not elliptic at {report.counts['hyperbolic'] + report.counts['mixed']} of "
                f"{report.places} faces, where a boundary-value problem is not well-posed (accepted: a march outwards, "
                f"or on_type 'flag'): {'; '.join(words[:5])}"
            )
        report.misfits = words
        return found, states, report

    def type_of(self, states: ClosureState) -> PhaseType:
        """Type of the equation on this rank's faces."""
        return classify(states.hessian, self.decomposition.resolved)

    def _where_not_elliptic(self, states: ClosureState) -> str:
        """Words for the message of a failure: how many faces are of another type."""
        good = (states.status == CONVERGED) & self.grid.mine
        kind = self.type_of(states).kind
        comm = self.decomposition.comm
        bad = comm.allreduce(int((good & (kind != ELLIPTIC) & (kind != ORDINARY)).sum()))
        total = comm.allreduce(int(self.grid.mine.sum()))
        return f"; not elliptic at {bad} of {total} faces" if bad else ""

    def _refuse(self, what: str, lost: NDArray[np.int64], states: ClosureState) -> None:
        """Raise on all ranks if faces have no state."""
        comm = self.decomposition.comm
        places = self.grid.places
        words = []
        for n in lost[:3]:
            one = STATUS_NAMES[int(states.status[n])]
            k = ", ".join(f"{v:.6g}" for v in states.multiplier[n, 1:, 0])
            words.append(f"cell {places.words(int(n))}: {one}, residual {states.residual[n]:.3e}, last good k = ({k})")
        words = [word for part in comm.allgather(words) for word in part]
        total = comm.allreduce(int(self.grid.mine[lost].sum()))
        if total:
            raise ConvergenceError(
                f"phase: {total} faces have no aligned state with a phase at the k of {what}: {'; '.join(words[:5])}"
            )


def count(report: PhaseReport, kind: PhaseType, mine: NDArray[np.bool_], comm: Any) -> None:
    """Add the numbers of places of each type, of all ranks, to the report (collective)."""
    for n, name in enumerate(TYPE_NAMES):
        report.counts[name] = report.counts.get(name, 0) + int(comm.allreduce(int((mine & (kind.kind == n)).sum())))
    report.ill_posed += int(comm.allreduce(int((mine & ~kind.evolves).sum())))
    report.places += int(comm.allreduce(int(mine.sum())))
    report.growth = max([report.growth, *comm.allgather(float(kind.growth.max(initial=0.0)))])


def _first_place(mesh: BlockMesh, decomposition: BlockDecomposition) -> Places:
    from .phase_grid import Places

    first = decomposition.cells[:1]
    index = np.unravel_index(first, mesh.shape[::-1])
    at = np.stack([mesh.center(axis)[index[2 - axis]] for axis in range(3)], axis=1)
    return Places(at, np.stack([first, first], axis=1))


def _name(enumeration: Any, value: int) -> str:
    """PETSc's own name of a convergence reason."""
    for name, number in vars(enumeration).items():
        if number == value and not name.startswith("_") and name not in ("ITERATING", "CONVERGED_ITERATING"):
            return str(name)
    return str(value)
