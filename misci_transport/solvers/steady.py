r"""Stationary states and implicit steps: transport, collisions with blocking and alignment as one problem.

    F(n) = (n - n_old)/h + v . grad n_k - <h_k| C[rho(n)] |h_k> = 0,    rho commuting with H[rho] in every cell

with h = c dt, or 1/h = 0 for the stationary state. PETSc SNES around PETSc KSP. The alignment is eliminated inside F
(every evaluation aligns every cell); the Jacobian is exact at fixed eigenvectors. What depends on the kind of mesh,
advection and preconditioner, is in radial_problem.py and block_problem.py.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ConvergenceError
from ..parallel.petsc import given_options, petsc, refuse_unused
from ..physics.block_advection import BlockAdvection
from ..state import State
from .block_problem import BlockProblem
from .radial_problem import RadialProblem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..phase_space import PhaseSpace
    from ..physics.advection import AdvectionOperator
    from ..physics.collisions import CollisionOperator
    from ..physics.levels import LevelFrame

logger = logging.getLogger(__name__)

_PREFIX = "misci_steady_"
#: Parts of the first radial solve that are tried for a first guess in which every cell has an aligned state.
_START_PARTS = (1.0, 0.5, 0.25, 0.0)
#: Halvings of a Newton step, one after the other, that may be spent on finding a point where every cell is aligned.
_MOST_REFUSALS = 6


class Alignment(Protocol):
    """What the solver needs from the alignment: eigenvectors for populations, updating the moments in place."""

    def align(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> LevelFrame:
        """Align every cell and return the frame."""
        ...


@dataclass
class SteadyReport:
    """How the stationary solution was found."""

    converged: bool
    reason: str
    newton_iterations: int
    krylov_iterations: int
    residual_history: list[float] = field(default_factory=list)
    negative: int = 0  #: occupations below zero in the solution
    most_negative: float = 0.0  #: the lowest of them
    refused_trials: int = 0  #: points of the line search where a cell had no aligned state


class SteadySolver:
    """Newton-Krylov solution of F(n) = 0 on all ranks; ``length`` is h in cm, None for the stationary state."""

    def __init__(
        self,
        phase_space: PhaseSpace,
        decomposition: Any,
        advection: AdvectionOperator | BlockAdvection,
        collisions: CollisionOperator,
        alignment: Alignment,
        *,
        relative_tolerance: float,
        max_newton: int,
        max_krylov: int,
        petsc_options: dict[str, Any] | None = None,
        length: float | None = None,
    ) -> None:
        self.phase_space, self.decomposition = phase_space, decomposition
        self.advection, self.collisions, self.alignment = advection, collisions, alignment
        self.relative_tolerance, self.max_newton, self.max_krylov = relative_tolerance, max_newton, max_krylov
        self.petsc_options = {k: v for k, v in (petsc_options or {}).items() if k.startswith(_PREFIX)}
        self.shape = (decomposition.size, *phase_space.cell_shape)
        self.problem: Any = (
            BlockProblem(phase_space, decomposition, advection)
            if isinstance(advection, BlockAdvection)
            else RadialProblem(phase_space, decomposition, advection)
        )
        self._inverse_length = 0.0 if length is None else 1.0 / length
        self._old: NDArray[np.float64] | None = None
        self.name = "steady solve" if length is None else "implicit step"
        self._moving = np.empty(self.shape)
        self._colliding = np.empty(self.shape)
        #: a copy of PETSc's vector, which may not be written to: kernels would be compiled once more for such arrays
        self._trial = np.empty(self.shape)
        self._begun, self._refused_in_a_row = False, 0
        self._refusals: list[str] = []  #: why trials of the line search were refused

    def solve(self, state: State, equilibrium: NDArray[np.float64] | None = None) -> SteadyReport:
        """Replace the populations and moments of ``state`` by the stationary ones, or by those a length h later.

        ``equilibrium``, occupations with the shape of the populations: the first guess takes the partners of
        pair processes from there, so that heavy flavours have a source from the start.

        Raises
        ------
        ConvergenceError
            If SNES or KSP gives up; the message holds PETSc's reason and the residual.
        """
        PETSc = petsc(self.decomposition.comm)
        self._moments, self._refusals = state.moments, []
        if self._inverse_length:
            self._old = state.owned.copy()
        if equilibrium is not None:
            state.owned[:] = equilibrium
        self._prepare(state.owned)
        self._measure_empty()
        if self._empty_norm == 0.0:
            # nothing is emitted and nothing enters; a relative tolerance would have nothing to be relative to
            state.owned[:] = 0.0
            self._evaluate(state.owned)
            self._solution = state.owned
            return SteadyReport(True, "no source and no inflow: empty", 0, 0, [0.0])
        if self._old is None:
            self._start(state)
        x = PETSc.Vec().createMPI((int(np.prod(self.shape)), None), comm=self.decomposition.comm)
        x.getArray()[:] = state.owned.ravel()
        snes = PETSc.SNES().create(self.decomposition.comm)
        snes.setOptionsPrefix(_PREFIX)
        snes.setFunction(self._function, x.duplicate())
        size = x.getSizes()
        jacobian = PETSc.Mat().createPython((size, size), _Jacobian(self), comm=self.decomposition.comm)
        jacobian.setUp()
        snes.setJacobian(self._update_jacobian, jacobian, jacobian)
        snes.setType("newtonls")
        # relative to the residual of an empty star: the first guess may be the solution already
        snes.setTolerances(rtol=0.0, atol=self.relative_tolerance * self._empty_norm, stol=0.0, max_it=self.max_newton)
        ksp = snes.getKSP()
        ksp.setType("fgmres")
        ksp.setGMRESRestart(min(self.max_krylov, self.problem.restart or self.max_krylov))
        ksp.setTolerances(rtol=1.0e-3, max_it=self.max_krylov)
        snes.setUseEW(True, version=2, rtol_0=1.0e-2, rtol_max=1.0e-1)
        pc = ksp.getPC()
        pc.setType("python")
        pc.setPythonContext(_Preconditioner(self))
        history: list[float] = []
        self.krylov = 0
        self._begun, self._refused_in_a_row = False, 0
        snes.setMonitor(lambda _snes, _iteration, norm: self._note(history, norm))
        try:
            with given_options(PETSc, self.petsc_options):
                snes.setFromOptions()
                snes.solve(None, x)
                refuse_unused(PETSc, self.petsc_options)
            return self._finish(PETSc, snes, x, history, state)
        finally:
            # an error's traceback keeps these alive: PETSc must not meet Python contexts after Python has ended
            for thing in (pc, ksp, snes, jacobian, x):
                thing.destroy()

    def _finish(self, PETSc: Any, snes: Any, x: Any, history: list[float], state: State) -> SteadyReport:
        reason = snes.getConvergedReason()
        report = SteadyReport(
            reason > 0,
            _name(PETSc.SNES.ConvergedReason, reason),
            snes.getIterationNumber(),
            snes.getLinearSolveIterations(),
            history,
            refused_trials=len(self._refusals),
        )
        inner = _name(PETSc.KSP.ConvergedReason, snes.getKSP().getConvergedReason())
        if reason > 0:
            state.owned[:] = x.getArray(readonly=True).reshape(self.shape)
            self._count_negative(state, report)
            # the last evaluation may have been a trial of the line search: align once more at the solution
            self._evaluate(state.owned)
            self._solution = state.owned
        if reason < 0:
            raise ConvergenceError(
                f"{self.name}: SNES ended with {report.reason} (KSP: {inner}) after {report.newton_iterations} Newton "
                f"and {report.krylov_iterations} Krylov iterations; residual {history[-1]:.3e} of {history[0]:.3e} "
                "at the start" + (f"; the last trial: {self._refusals[-1]}" if self._refusals else "")
            )
        return report

    def _count_negative(self, state: State, report: SteadyReport) -> None:
        """Say how many occupations are below zero, and how far.

        Diamond differences between directions leave some where the field falls by orders of magnitude from one
        direction to the next (inwards, far outside the source). They are part of the balance and stay: removing
        them would make energy. A time step that starts from here clips them and books that.
        """
        comm = self.decomposition.comm
        report.negative = int(comm.allreduce(int((state.owned < 0.0).sum())))
        report.most_negative = float(min(comm.allgather(float(state.owned.min(initial=0.0)))))
        if report.negative and comm.rank == 0:
            logger.info("%s: %d occupations below zero, down to %.1e", self.name, report.negative, report.most_negative)

    def _note(self, history: list[float], norm: float) -> None:
        history.append(float(norm))
        logger.info("%s: iteration %d, residual %.3e, Krylov %d", self.name, len(history) - 1, norm, self.krylov)

    def _prepare(self, f: NDArray[np.float64]) -> None:
        """Fix the scale of the residual: balance of a cell over its removal rate, an occupation."""
        self._evaluate_collisions(f)
        scattering = self.collisions.rates.scattering_0[..., None]
        removal = self.collisions.level_loss(self.frame) + scattering + 1.0 / self.problem.width[:, None, None, None]
        if self._inverse_length:
            removal = removal + self._inverse_length
        self.scale = 1.0 / removal[:, None]

    def _measure_empty(self) -> None:
        """Norm of the residual of an empty star, the scale of the tolerance."""
        empty = np.zeros(self.shape)
        self._evaluate(empty)
        mine = float((self._residual(empty) ** 2).sum())
        self._empty_norm = float(np.sqrt(self.decomposition.comm.allreduce(mine)))

    def _start(self, state: State) -> None:
        """The first guess: one radial solve of each level, with gains and losses frozen at the present state."""
        f = state.owned
        self._evaluate(f)
        self._factor()
        residual = (self._colliding - self._moving) * self.problem.volume
        change = self.problem.solve(residual)
        base = f.copy()
        for part in _START_PARTS:
            f[:] = base + part * change
            try:
                self.alignment.align(f, self._moments)
            except ConvergenceError as error:
                # some cell has no aligned state there (raised on all ranks together): not that far
                if part == _START_PARTS[-1]:
                    raise
                self._refusals.append(str(error))
            else:
                return

    def _evaluate_collisions(self, f: NDArray[np.float64]) -> None:
        """Align, then set frame and _colliding (C) for populations f."""
        self.frame = self.alignment.align(f, self._moments)
        self.collisions.rate(np.ascontiguousarray(f), self.frame, self._colliding)

    def _evaluate(self, f: NDArray[np.float64]) -> None:
        """Align, then set _moving (advection), _colliding (C), frame and b for populations f."""
        self._evaluate_collisions(f)
        self.b = self.advection.upwind_fraction(self.collisions.transport_opacity(self.frame))
        self.problem.advect(f, self.b, self._moving)

    def _residual(self, f: NDArray[np.float64]) -> NDArray[np.float64]:
        """F over the removal rate for the populations f of the last ``_evaluate``."""
        residual: NDArray[np.float64] = self._moving - self._colliding
        if self._old is not None:
            residual += self._inverse_length * (f - self._old)
        residual *= self.scale
        return residual

    def _function(self, _snes: Any, x: Any, r: Any) -> None:
        f = self._trial
        f[:] = x.getArray(readonly=True).reshape(self.shape)
        try:
            self._evaluate(f)
        except ConvergenceError as error:
            self._refused_in_a_row += 1
            if not self._begun or self._refused_in_a_row > _MOST_REFUSALS:
                raise
            # a trial of the line search has gone where some cell has no aligned state (on all ranks this is raised
            # together): a residual without bounds makes the search come back
            self._refusals.append(str(error))
            r.getArray()[:] = np.inf
            return
        self._begun, self._refused_in_a_row = True, 0
        r.getArray()[:] = self._residual(f).ravel()

    def _update_jacobian(self, _snes: Any, x: Any, jacobian: Any, _p: Any) -> None:
        self._point = x.getArray(readonly=True).reshape(self.shape).copy()
        self._evaluate(self._point)
        self._factor()
        jacobian.assemble()

    def _factor(self) -> None:
        loss = self.collisions.level_loss(self.frame)
        if self._inverse_length:
            loss = loss + self._inverse_length
        s0 = np.broadcast_to(self.collisions.rates.scattering_0[..., None], loss.shape)
        s1 = np.broadcast_to(self.collisions.rates.scattering_1[..., None], loss.shape)
        self.problem.factor(self.collisions, self.frame, self.b, loss, s0, s1)

    def entering(self) -> NDArray[np.float64]:
        """What came in through the ends of the mesh over the length h, (direction, species, group, level).

        Of the solution, on this rank; weighted and times area, as the advection gives it.
        """
        assert self._old is not None
        flow: NDArray[np.float64] = self.problem.entering(self._solution, self.b) / self._inverse_length
        return flow

    def multiply(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Jacobian at fixed eigenvectors times v (local, flat)."""
        df = np.ascontiguousarray(v.reshape(self.shape))
        self.problem.advect_change(df, self.b, self._moving)
        self.collisions.derivative(self._point, df, self.frame, self._colliding)
        product = self._moving - self._colliding
        if self._inverse_length:
            product += self._inverse_length * df
        product *= self.scale
        flat: NDArray[np.float64] = product.ravel()
        return flat

    def precondition(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """Approximate inverse of the Jacobian times r (local, flat).

        Transport of every level with its losses, then the correction of what that leaves.
        """
        self.krylov += 1
        balance = self.problem.volume / self.scale
        z: NDArray[np.float64] = self.problem.solve(r.reshape(self.shape) * balance)
        if self.problem.corrects:
            rest = (r - self.multiply(z.ravel())).reshape(self.shape)
            rest *= balance
            self.problem.correct(rest, z)
        return z.ravel()


class _Jacobian:
    """PETSc's view of ``SteadySolver.multiply``."""

    def __init__(self, solver: SteadySolver) -> None:
        self.solver = solver

    def mult(self, _mat: Any, x: Any, y: Any) -> None:
        y.getArray()[:] = self.solver.multiply(x.getArray(readonly=True))


class _Preconditioner:
    """PETSc's view of ``SteadySolver.precondition``."""

    def __init__(self, solver: SteadySolver) -> None:
        self.solver = solver

    def apply(self, _pc: Any, x: Any, y: Any) -> None:
        y.getArray()[:] = self.solver.precondition(x.getArray(readonly=True))


def _name(enumeration: Any, value: int) -> str:
    """PETSc's own name of a convergence reason."""
    for name, number in vars(enumeration).items():
        if number == value and not name.startswith("_") and name not in ("ITERATING", "CONVERGED_ITERATING"):
            return str(name)
    return str(value)
