"""Part two of a step seen from the transport: populations in, eigenvectors out."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..alignment import CONVERGED, EQUILIBRATED, LOCKED, STATUS_NAMES, Batch
from ..errors import ConvergenceError
from ..kernels.alignment_batch_residual import evaluate_batch, to_coordinates_batch
from ..kernels.projectors import electron_mixing_bounds, fill_projectors
from ..kernels.traces import level_densities
from ..phase_space import local_rows
from ..thermodynamics.quantities import zeroth_weight
from .equilibration import EquilibrationRecord, equilibrate
from .hamiltonian import matter_beta
from .levels import LevelFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..alignment import AlignmentReport
    from ..fluid import Fluid
    from ..parallel.block_decomposition import BlockDecomposition
    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from .collisions import CollisionOperator
    from .equilibration import Equilibrated
    from .hamiltonian import Hamiltonian

logger = logging.getLogger(__name__)

#: Largest 1 - |U_ek|^2 for which transport and collisions treat a cell's flavours as pure.
PURE_FLAVOR_TOLERANCE = 1.0e-8


#: First and smallest steps of the continuation in the strength of self-interaction.
FIRST_STEP, SMALLEST_STEP = 0.1, 1.0e-4

#: Relative distance of D_0, D_1 from which another solution is another solution.
OTHER_ROOT = 1.0e-6


def condition_numbers(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """2-norm condition numbers of (cell, n, n), rows and columns scaled to one: (cell,), infinite if singular."""
    size = np.abs(matrices).max(axis=1, keepdims=True)
    scaled = matrices / np.where(size > 0.0, size, 1.0)
    size = np.abs(scaled).max(axis=2, keepdims=True)
    number: NDArray[np.float64] = np.linalg.cond(scaled / np.where(size > 0.0, size, 1.0))
    return number


class _Record:
    """Status of the last alignment, cell by cell."""

    def __init__(self, cells: int) -> None:
        self.status = np.full(cells, LOCKED, dtype=np.int64)
        self.iterations = np.zeros(cells, dtype=np.int64)
        self.residual = np.zeros(cells)
        self.locked = np.ones(cells, dtype=bool)  #: flavours pure to PURE_FLAVOR_TOLERANCE
        self.far = np.zeros(cells, dtype=bool)  #: began far from the density matrices they were given
        self.held = 0  #: cells that kept their old alignment, summed over all alignments
        self.continued = 0  #: cells that Newton reached only by continuation, summed over all alignments
        self.equilibrated = EquilibrationRecord.empty(cells)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Cells without a solution in the last alignment."""
        return ~np.isin(self.status, (CONVERGED, LOCKED, EQUILIBRATED))

    def views(self, ghosted: NDArray[np.float64], b: Any) -> list[tuple[slice, NDArray[np.float64], Any]]:
        """All cells are one region."""
        return [(slice(0, self.locked.size), ghosted, b)]

    def region_slices(self) -> list[slice]:
        """Ranges of local cells with the same charges."""
        return [slice(0, self.locked.size)]

    def region_faces(self) -> list[int]:
        """Global faces where charges change."""
        return []

    def charge_flow(self, _ghosted: NDArray[np.float64], _b: Any, _second_order: bool) -> Any:
        """No charges are carried."""
        return None

    def change_charges(
        self,
        _moved: Any,
        _populations: NDArray[np.float64],
        _collisions: CollisionOperator,
        _frame: LevelFrame,
        _h: float,
    ) -> None:
        """No charges are held."""

    def undo_charges(self) -> None:
        """Nothing to undo."""

    def electron_content(self, frame: LevelFrame) -> NDArray[np.float64]:
        """|U_ek|^2 of the most forward direction, (cell, species, group, level)."""
        groups = frame.projector.shape[3]
        content = np.repeat((frame.component == 0).astype(np.float64)[:, :, None, :], groups, axis=2)
        mixed = frame.mixed_cells
        content[mixed] = frame.projector[frame.mixed[mixed], -1, ..., 0]
        return content


class NoMixing(_Record):
    """Flavours are carried without conversion: every cell is locked, nothing is solved."""

    def __init__(self, phase_space: PhaseSpace, cells: slice | NDArray[np.int64]) -> None:
        size = cells.stop - cells.start if isinstance(cells, slice) else cells.size
        super().__init__(size)
        self.phase_space = phase_space
        self.frame = LevelFrame.locked(phase_space, size)
        self.weight = local_rows(phase_space.angles.weights, cells)

    def set_fluid(self, fluid: Fluid) -> None:
        """Matter does not matter here."""

    def eigenvectors(self, _moments: NDArray[np.float64]) -> LevelFrame:
        """The frame of locked cells."""
        return self.frame

    def align(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> LevelFrame:
        """Set the diagonal of D_0 and D_1, Eq. (4), and return the frame of locked cells."""
        number = self.phase_space.number_weight
        moments[:] = 0.0
        content = np.empty((populations.shape[0], 2, populations.shape[4]))
        for order in range(moments.shape[1]):
            level_densities(populations, np.ascontiguousarray(self.weight[:, order]), number, content)
            for level in range(content.shape[2]):
                for species, sign in ((0, 1.0), (1, -1.0)):
                    component = self.frame.component[0, species, level]
                    if component < self.phase_space.n_flavors:
                        moments[:, order, component] += sign * content[:, species, level]
        return self.frame


class LocalMixing(_Record):
    """Self-consistent alignment, Eq. (14), of every cell of this rank by itself."""

    def __init__(
        self,
        phase_space: PhaseSpace,
        decomposition: Decomposition | BlockDecomposition,
        hamiltonian: Hamiltonian,
        *,
        solver: str,
        tolerance: float,
        max_iterations: int,
        on_failure: str,
        petsc_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(decomposition.size)
        cells = decomposition.cells
        self.phase_space, self.hamiltonian = phase_space, hamiltonian
        self.decomposition: Any = decomposition
        self.solver, self.tolerance, self.max_iterations, self.on_failure = (
            solver,
            tolerance,
            max_iterations,
            on_failure,
        )
        self.petsc_options = petsc_options
        weight = local_rows(phase_space.angles.weights, cells)
        velocity = local_rows(phase_space.angles.velocity, cells)
        orders, axes = weight.shape[1], velocity.shape[2]
        #: what the alignment needs to know besides the populations
        self.medium = Batch(
            cells=decomposition.size,
            weight=weight,
            velocity=velocity,
            number_weight=phase_space.number_weight,
            vacuum=hamiltonian.vacuum,
            potential=np.zeros(decomposition.size),
            beta=np.zeros((decomposition.size, axes)),
            strength=hamiltonian.strength,
            shift=np.zeros((decomposition.size, orders, phase_space.n_flavors**2)),
            n_flavors=phase_space.n_flavors,
        )
        # directions that are symmetric about the radius, for what knows no others
        self.weight_0, self.weight_1 = (np.ascontiguousarray(weight[:, order]) for order in range(2))
        self.cosine = np.ascontiguousarray(velocity[..., 0])
        self.number_weight = phase_space.number_weight
        self.frame = LevelFrame.locked(phase_space, decomposition.size)
        self._bound = np.empty(decomposition.size)
        #: whether `align` may change populations: time steps may, a stationary solution asks for given ones
        self.may_equilibrate = True
        self._equilibrated_before: EquilibrationRecord | None = None
        if on_failure == "equilibrate":
            # H must follow from an energy
            zeroth_weight(self.medium)

    def set_fluid(self, fluid: Fluid) -> None:
        """Matter potential and velocity of this rank's cells."""
        beta = np.ascontiguousarray(matter_beta(fluid).reshape(self.medium.beta.shape))
        self.medium = replace(self.medium, potential=self.hamiltonian.matter_potential(fluid), beta=beta)

    @property
    def potential(self) -> NDArray[np.float64]:
        """Matter potential V, (cell,) cm^-1."""
        return self.medium.potential

    @property
    def beta(self) -> NDArray[np.float64]:
        """Radial velocity of matter over c, (cell,)."""
        return np.ascontiguousarray(self.medium.beta[:, 0])

    @property
    def shift(self) -> NDArray[np.float64]:
        """Constant part of the Hamiltonian, (cell, order, N_f^2) cm^-1."""
        return self.medium.shift

    def effective_hamiltonian(self, moments: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """H = (+-) vacuum_g + field_0 - v . field_1, cm^-1: (cell, group, N_f^2) and (cell, order, N_f^2)."""
        vacuum, medium = self.hamiltonian.vacuum, self.medium
        fields: NDArray[np.float64] = medium.strength * moments + medium.shift
        fields[:, 0, 0] += medium.potential
        fields[:, 1:, 0] += medium.potential[:, None] * medium.beta
        return np.broadcast_to(vacuum, (moments.shape[0], *vacuum.shape)), fields

    def conditions(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Condition number of the Newton matrix of each cell, 1 where flavours are locked: (cell,)."""
        out = np.ones(self.decomposition.size)
        free = np.flatnonzero(~self.locked)
        if free.size == 0:
            return out
        block = self.medium.unknowns
        x, output = np.empty((free.size, block)), np.empty((free.size, block))
        to_coordinates_batch(np.ascontiguousarray(moments[free]), self.medium.n_flavors, x)
        jacobian = np.empty((free.size, block, block))
        evaluate_batch(x, *self.medium.take(free, populations).arguments(), True, output, jacobian)
        out[free] = condition_numbers(jacobian - np.eye(block))
        return out

    def roots(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether Newton finds another solution from D = 0 or from -D: (cell,); false where flavours are locked."""
        out = np.zeros(self.decomposition.size, dtype=bool)
        free = np.flatnonzero(~self.locked)
        size = np.linalg.norm(moments[free], axis=(1, 2))
        if free.size == 0:
            return out
        batch = self.medium.take(free, populations)
        for factor in (0.0, -1.0):
            trial = np.ascontiguousarray(factor * moments[free])
            status = batch.solve(trial, self.tolerance, self.max_iterations, True).status
            found = (status == CONVERGED) | (status == LOCKED)
            out[free] |= found & (np.linalg.norm(trial - moments[free], axis=(1, 2)) > OTHER_ROOT * size)
        return out

    @property
    def charge_angle(self) -> NDArray[np.float64]:
        """(cell,) rad: angle of H without self-interaction against the axis of the charges held; 0 without charges."""
        return np.zeros(self.decomposition.size)

    @property
    def charged(self) -> NDArray[np.bool_]:
        """(cell,) whether charges are held."""
        return np.zeros(self.decomposition.size, dtype=bool)

    def align(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> LevelFrame:
        """Solve for D_0, D_1 (in place) and return the eigenvectors (collective).

        With the policy "equilibrate" a cell without a solution gets other populations as well.

        Raises
        ------
        ConvergenceError
            On all ranks, if a cell has no solution and the policy is "stop", or "equilibrate" and it has no state of
            largest entropy either.
        """
        given, populations = populations, np.ascontiguousarray(populations)
        batch = replace(self.medium, populations=populations)
        if self.solver == "petsc":
            report = self._solve_by_snes(batch, moments)
        else:
            report = batch.solve(moments, self.tolerance, self.max_iterations, True)
        self.status[:], self.iterations[:], self.residual[:] = report.status, report.iterations, report.residual
        if self.solver != "petsc":
            for cell in report.failures:
                self._strengthen(int(cell), populations, moments)
        self._equilibrated_before = self.equilibrated.copy()
        if self.on_failure == "equilibrate" and self.may_equilibrate:
            for cell in np.flatnonzero(self.failed):
                self._equilibrate(int(cell), given, moments)
        self._judge()
        self._equilibrated_before = None
        return self.eigenvectors(moments)

    def undo_charges(self) -> None:
        """Forget what a step equilibrated that failed on another rank."""
        if self._equilibrated_before is not None:
            self.equilibrated, self._equilibrated_before = self._equilibrated_before, None

    def _equilibrate(self, cell: int, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> None:
        """Give a cell the populations and moments of its state of largest entropy, if there is one."""
        index = np.array([cell])
        batch = self.medium.take(index, populations)
        new = equilibrate(np.ascontiguousarray(populations[index]), np.ascontiguousarray(moments[index]), batch)
        if not new.found.successful:
            return
        populations[cell], moments[cell] = new.populations[0], new.found.moments[0]
        self._book_equilibration(cell, new)

    def _book_equilibration(self, cell: int, new: Equilibrated) -> None:
        self.status[cell], self.residual[cell] = EQUILIBRATED, new.found.residual[0]
        self.equilibrated.add(cell, new.turning, new.shrinking, new.produced)
        logger.warning(
            "cell %d has no aligned state and was moved to that of largest entropy: Q_kin %.3e MeV cm^-3, "
            "entropy %.3e cm^-3 (before %.3e)",
            self.decomposition.numbers[cell],
            new.turning,
            new.found.entropy[0],
            new.found.entropy_before[0],
        )

    def _strengthen(self, cell: int, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> None:
        """Follow a cell's solution from no self-interaction, where it is unique, to the full one.

        The guess of the last step may lie outside of Newton's basin, as where the first neutrinos arrive. The branch
        that is found is the one without a history; where it ends before the full strength the cell has failed.
        """
        batch = self.medium.take(np.array([cell]), populations)
        found = np.zeros_like(moments[cell : cell + 1])
        reached, step = 0.0, FIRST_STEP
        while reached < 1.0 and step >= SMALLEST_STEP:
            target = min(reached + step, 1.0)
            trial = found.copy()
            report = replace(batch, strength=target * batch.strength).solve(
                trial, self.tolerance, self.max_iterations, True
            )
            if report.status[0] in (CONVERGED, LOCKED):
                found, reached, step = trial, target, 2.0 * step
                self.iterations[cell] += report.iterations[0]
            else:
                step *= 0.25
        if reached == 1.0:
            moments[cell] = found[0]
            self.status[cell], self.residual[cell] = report.status[0], report.residual[0]
            self.continued += 1

    def _solve_by_snes(self, batch: Batch, moments: NDArray[np.float64]) -> AlignmentReport:
        from ..solvers.petsc_alignment import solve_batch_with_petsc

        return solve_batch_with_petsc(
            batch,
            moments,
            self.decomposition.comm,
            self.tolerance,
            self.max_iterations,
            self.decomposition.numbers,
            self.petsc_options,
        )

    def _judge(self) -> None:
        failed = np.flatnonzero(self.failed)
        total = self.decomposition.comm.allreduce(int(failed.size))
        if total == 0:
            return
        self.held += int(failed.size)
        words = [
            f"cell {self.decomposition.numbers[i]}: {STATUS_NAMES[self.status[i]]}, "
            f"relative residual {self.residual[i]:.3e}"
            for i in failed[:5]
        ]
        message = "; ".join(w for part in self.decomposition.comm.allgather(words) for w in part)
        text = f"alignment has no solution in {total} of {self.decomposition.total} cells ({message})"
        if self.on_failure == "equilibrate":
            raise ConvergenceError(f"{text}, nor a state of largest entropy" if self.may_equilibrate else text)
        if self.on_failure == "stop":
            raise ConvergenceError(f'{text}; alignment.on_failure = "hold" would keep their previous alignment')
        if self.decomposition.comm.rank == 0:
            logger.warning("%s; they keep their previous alignment", text)

    def eigenvectors(self, moments: NDArray[np.float64]) -> LevelFrame:
        """Eigenvectors of the Hamiltonian that the given moments make, without solving for them."""
        medium = self.medium.mixing_arguments()
        electron_mixing_bounds(moments, *medium, PURE_FLAVOR_TOLERANCE, self._bound)
        self.locked = self._bound <= PURE_FLAVOR_TOLERANCE
        cells = np.flatnonzero(~self.locked)
        frame = self.frame
        if frame.projector.shape[0] != cells.size:
            frame.projector = np.zeros((cells.size, *self.phase_space.cell_shape, self.phase_space.components))
        frame.mixed[:] = -1
        frame.mixed[cells] = np.arange(cells.size)
        fill_projectors(cells, moments, *medium, frame.projector)
        return frame
