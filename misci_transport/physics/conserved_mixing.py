"""Part two of a step with conserved flavour charges: populations and charges in, eigenvectors and multipliers out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..alignment import CONVERGED, DENSITY, FLUX, LOCKED, ChargeAxes, ChargedCells, charge_axes
from ..alignment.branches import Point, Start, continue_branch, distance_between, project_points, start_branches
from ..alignment.conserved import density_matrix_of
from ..errors import ConfigurationError
from ..phase_space import HALO
from ..thermodynamics import find_equilibrium
from .equilibration import Equilibrated, charged_batch, heats
from .interfaces import Interfaces, transfer
from .mixing import OTHER_ROOT, PURE_FLAVOR_TOLERANCE, LocalMixing, condition_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..alignment import AlignmentReport
    from ..fluid import Fluid
    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from ..thermodynamics import Equilibrium
    from .charge_transport import ChargeTransport
    from .collisions import CollisionOperator
    from .hamiltonian import Hamiltonian
    from .interfaces import View
    from .levels import LevelFrame

logger = logging.getLogger(__name__)

#: First state farther than this from the given density matrices: no aligned state is near.
LARGEST_DISTANCE = 0.3
#: Charges chosen by the code.
AUTO = "auto"
#: Self-interaction over vacuum frequency below which modes do not act together.
WEAK = 0.01
#: Ratio of matter potential and vacuum frequency from which the axis of the larger one is conserved.
APART = 10.0
#: Bound of w_sync in units of the largest vacuum frequency: beyond it the axis is that of masses.
LARGEST_SYNCHRONIZED = 1.0e3


@dataclass
class Event:
    """Something that happened to the branch of a cell."""

    cell: int  #: global number
    #: "continued", "turned" (another branch behind a turning point), "reprojected", "equilibrated", "held", or
    #: "charges KIND" (chosen)
    kind: str
    lost: float = 0.0  #: part of sum |weight| |density_matrix|^2 that a projection lost


@dataclass
class _Known:
    """The last good alignment: where continuation begins."""

    cells: ChargedCells
    populations: NDArray[np.float64]
    charges: NDArray[np.float64]
    unknowns: NDArray[np.float64]


class ConservedMixing(LocalMixing):
    """Self-consistent alignment with the effective Hamiltonian H - sum_a lambda_a Q_a, Eqs. (E3) and (E4).

    In time steps the charges' densities are given (they are carried by `ChargeTransport`); in a stationary solution
    their fluxes are, which are first integrals in spherical symmetry.
    """

    def __init__(
        self,
        phase_space: PhaseSpace,
        decomposition: Decomposition,
        hamiltonian: Hamiltonian,
        transport: ChargeTransport,
        *,
        kinds: str | Sequence[str],
        tolerance: float,
        max_iterations: int,
        on_failure: str,
        count: int | None = None,
        bin_ratio: NDArray[np.float64] | None = None,
        parts: int = 1,
        solver: str = "local",
        petsc_options: dict[str, Any] | None = None,
        phase_gradient: bool = False,
    ) -> None:
        super().__init__(
            phase_space,
            decomposition,
            hamiltonian,
            solver=solver,
            tolerance=tolerance,
            max_iterations=max_iterations,
            on_failure=on_failure,
            petsc_options=petsc_options,
        )
        self.transport, self.count, self.parts = transport, count, parts
        wanted = [kinds] * decomposition.size if isinstance(kinds, str) else list(kinds)
        #: cells whose charges are chosen by `choose`; they hold none until then
        self.automatic = np.array([kind == AUTO for kind in wanted])
        self.kinds = ["none" if kind == AUTO else kind for kind in wanted]
        self.synchronized_frequency = np.ones(decomposition.size)
        self.bin_ratio = bin_ratio
        self.charges = np.zeros((decomposition.size, 2))  #: Tr(Q_a D_0), or Tr(Q_a D_1) of a stationary state, cm^-3
        self.multipliers = np.zeros((decomposition.size, 2))  #: lambda_a, or k_a of a stationary state, cm^-1
        self.phase_gradient = phase_gradient
        #: (cell, 2) k_a of time steps, the gradient of the common phase, cm^-1; zero unless (E5) is integrated
        self.wave_numbers = np.zeros((decomposition.size, 2))
        self.fixed = DENSITY
        self.events: list[Event] = []
        self.content = np.zeros((decomposition.size, *phase_space.cell_shape, 2))
        #: (cell, direction, species, group, level, component) <Pi_k> of all cells; pure flavours at the beginning
        self.projector = np.zeros((decomposition.size, *phase_space.cell_shape, phase_space.components))
        self._pure = np.zeros((*phase_space.cell_shape, phase_space.components))
        for species in range(2):
            for level, component in enumerate(self.frame.component[0, species]):
                self._pure[:, species, :, level, component] = 1.0
        self.projector[:] = self._pure
        self._is_locked = np.zeros(decomposition.size, dtype=bool)
        self.interfaces = Interfaces(self.kinds, decomposition)
        self._outward = phase_space.angles.face_area[[0, -1]].sum(axis=0) >= 0.0
        self._known: _Known | None = None
        self._before: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None = None
        self._collisions: CollisionOperator | None = None
        self._cells: ChargedCells | None = None

    # the Hamiltonian of a fluid

    def set_fluid(self, fluid: Fluid) -> None:
        """Matter potential and velocity of this rank's cells, and the axes of the charges that go with them."""
        super().set_fluid(fluid)
        self._cells = None

    def follow_synchronization(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> None:
        """Axes of "synchronized" cells for these populations: n ~ w_sync B + V L, w_sync = sum(sP w)/sum(sP).

        The charges become those of the new axes; D_0 and D_1 stay what they are.
        """
        chosen = np.array([kind == "synchronized" for kind in self.kinds])
        if not chosen.any():
            return
        n = self.phase_space.n_flavors
        spread = populations[..., n - 1] - populations[..., 0]
        weight = np.abs(self.weight_0)[:, :, None] * self.number_weight
        vacuum = np.abs(self.hamiltonian.vacuum).sum(axis=1)
        ratio = vacuum / vacuum[0]
        # an antineutrino counts as frequency -w with polarisation -sP
        above = np.einsum("cmg,cmsg,g->c", weight, spread, ratio)
        below = np.einsum("cmg,cmsg,s->c", weight, spread, np.array([1.0, -1.0]))
        largest = float(ratio.max(initial=0.0)) * LARGEST_SYNCHRONIZED
        frequency = np.divide(above, below, out=np.full(above.shape, largest), where=below != 0.0)
        frequency = np.clip(frequency, -largest, largest)
        self.synchronized_frequency = np.where(chosen, frequency, 1.0)
        self._cells = None
        if self.fixed == DENSITY:
            self.charges = np.where(chosen[:, None], self.cells.axes.charges(moments), self.charges)

    def set_collisions(self, collisions: CollisionOperator) -> None:
        """Collisions that make or destroy charges in a stationary solution."""
        self._collisions = collisions

    @property
    def cells(self) -> ChargedCells:
        """This rank's cells as the alignment takes them."""
        if self._cells is None or self._cells.fixed != self.fixed:
            axes = self.axes()
            if self.fixed == DENSITY and self.phase_gradient:
                axes = axes.moving(self.wave_numbers)
            self._cells = ChargedCells(
                axes, self.weight_0, self.weight_1, self.cosine, self.number_weight,
                self.hamiltonian.strength, self.fixed, self.parts,
            )  # fmt: skip
        return self._cells

    def axes(self) -> ChargeAxes:
        """Axes of the charges for the present matter."""
        return charge_axes(
            self.kinds,
            vacuum=self.hamiltonian.vacuum,
            matter_potential=self.potential,
            matter_beta=self.beta,
            cells=self.decomposition.size,
            count=self.count,
            bin_ratio=self.bin_ratio,
            synchronized_frequency=self.synchronized_frequency,
        )

    # which charges, by comparing what breaks them

    def choose(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> None:
        """Choose the charges of automatic cells for the present matter and neutrinos (collective).

        None where flavours are locked or self-interaction is weak; otherwise the axis that the larger of the vacuum
        term and the matter potential breaks least. A cell that changes begins again next to its density matrices;
        populations and moments are changed in place.

        Raises
        ------
        ConvergenceError
            On all ranks, if such a cell has no aligned state and the policy is "stop".
        """
        comm = self.decomposition.comm
        if not comm.allreduce(int(self.automatic.any())):
            return
        wanted = list(self.kinds)
        frequency = self._mean_frequency(populations)
        matter = np.abs(self.potential)
        strong = self.hamiltonian.strength * np.linalg.norm(moments, axis=(1, 2)) > WEAK * frequency
        for cell in np.flatnonzero(self.automatic):
            if self.locked[cell] or not strong[cell]:
                wanted[cell] = "none"
            elif matter[cell] < frequency[cell] / APART:
                wanted[cell] = "mass"
            else:
                wanted[cell] = "flavor" if matter[cell] > frequency[cell] * APART else "synchronized"
        changed = np.array([i for i, (old, new) in enumerate(zip(self.kinds, wanted, strict=True)) if old != new], int)
        if not comm.allreduce(int(changed.size)):
            return
        given = density_matrix_of(populations[changed], self.projector[changed], self.phase_space.n_flavors)
        self.kinds, self._cells, self._known = wanted, None, None
        self.interfaces = Interfaces(self.kinds, self.decomposition)
        self.follow_synchronization(populations, moments)
        cells = self.cells.take(changed)
        begun = start_branches(cells, given, seed=cells.axes.seed, tolerance=self.tolerance)
        self.status[changed], self.residual[changed] = begun.report.status, begun.report.residual
        self._judge()
        good = np.isfinite(begun.distance)
        self.far[changed] = begun.distance > LARGEST_DISTANCE
        kept = changed[good]
        populations[kept] = begun.populations[good]
        self.charges = self.charges.copy()
        self.charges[changed] = begun.charges
        self.multipliers[changed] = cells.multipliers(begun.unknowns)
        moments[kept] = cells.moments(begun.unknowns, begun.charges, begun.populations)[good]
        for cell, far in zip(changed, begun.distance, strict=True):
            self._note(int(cell), f"charges {wanted[cell]}", float(far))
        self._set_frame(self.cells.unknowns(moments, self.multipliers), self.charges)

    def _mean_frequency(self, populations: NDArray[np.float64]) -> NDArray[np.float64]:
        """(cell,) size of the vacuum term averaged over what differs in population; over all groups if nothing does."""
        values = np.abs(self.hamiltonian.vacuum).max(axis=1)
        spread = np.ptp(populations[..., : self.phase_space.n_flavors], axis=-1)
        weight = np.einsum("cm,g,cmsg->cg", np.abs(self.weight_0), self.number_weight, spread)
        total = weight.sum(axis=1)
        mean: NDArray[np.float64] = np.divide(
            weight @ values, total, out=np.full(total.shape, values.mean()), where=total > 0.0
        )
        return mean

    # what the validity monitor asks for

    def effective_hamiltonian(self, moments: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """H_eff = (+-) vacuum_g + field_0 - mu field_1, without the parts that do not commute with the charges."""
        cells = self.cells
        return cells.vacuum(), cells.fields(cells.unknowns(moments, self.multipliers), self.charges)

    def conditions(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Condition number of the bordered Newton matrix of each cell, 1 where flavours are locked: (cell,)."""
        out = np.ones(self.decomposition.size)
        free = np.flatnonzero(~self.locked)
        if free.size:
            cells = self.cells.take(free)
            y = cells.unknowns(np.ascontiguousarray(moments[free]), self.multipliers[free])
            out[free] = condition_numbers(
                cells.jacobian(np.ascontiguousarray(populations[free]), y, self.charges[free])
            )
        return out

    def roots(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether Newton finds another solution with the same charges, without or against the transverse part of D."""
        out = np.zeros(self.decomposition.size, dtype=bool)
        free = np.flatnonzero(~self.locked)
        if free.size == 0:
            return out
        cells, charges = self.cells.take(free), self.charges[free]
        given = np.ascontiguousarray(populations[free])
        y = cells.unknowns(np.ascontiguousarray(moments[free]), self.multipliers[free])
        here = cells.moments(y, charges, given)
        size = np.linalg.norm(here, axis=(1, 2))
        for factor in (0.0, -1.0):
            trial = np.where(cells.held, y, factor * y)
            report = cells.align(given, trial, charges, tolerance=self.tolerance, max_iterations=self.max_iterations)
            there = cells.moments(trial, charges, given)
            # a turn about the axis of the charges is no other solution: compare lengths and what commutes
            apart = np.abs(cells.invariants(trial, charges) - cells.invariants(y, charges)).max(axis=1)
            out[free] |= (
                (report.status == CONVERGED) & (apart > OTHER_ROOT * size) & np.isfinite(there).all(axis=(1, 2))
            )
        return out

    @property
    def charge_angle(self) -> NDArray[np.float64]:
        """(cell,) rad: angle of H without self-interaction against the axis of the charges held; 0 without charges."""
        return self.cells.axes.seed

    @property
    def charged(self) -> NDArray[np.bool_]:
        """(cell,) whether charges are held."""
        held: NDArray[np.bool_] = self.cells.axes.counts > 0
        return held

    # starting points

    def start(self, density_matrix: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Begin next to density_matrix (cell, direction, species, group, N_f^2 + spectators), densities given.

        Sets moments, charges and multipliers; returns the populations. Cells whose nearest aligned state is far away
        are marked in `far`, for the validity monitor.

        Raises
        ------
        ConvergenceError
            On all ranks, if a cell has no aligned state and the policy is "stop".
        """
        self.fixed, self._known = DENSITY, None
        begun = start_branches(self.cells, density_matrix, tolerance=self.tolerance)
        self.status[:], self.iterations[:] = begun.report.status, begun.report.iterations
        self.residual[:] = begun.report.residual
        self.far = begun.distance > LARGEST_DISTANCE
        self._judge()
        self._accept(begun.populations, begun.unknowns, begun.charges, moments)
        return begun.populations

    def begin_density(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> LevelFrame:
        """After a stationary solution: hold densities from now on, at the values that they have (collective)."""
        speed = np.einsum("cm->c", self.weight_1) / np.einsum("cm->c", self.weight_0)
        if self.fixed == FLUX:
            flow = np.einsum("cm,g,cmsgk->c", np.abs(self.weight_1), self.number_weight, np.abs(populations))
            total = np.einsum("cm,g,cmsgk->c", np.abs(self.weight_0), self.number_weight, np.abs(populations))
            speed = np.divide(flow, total, out=speed, where=total > 0.0)
            if self.phase_gradient:
                self.wave_numbers, self.multipliers = self.multipliers, np.zeros_like(self.multipliers)
            else:
                # H + mu k Q of a beam is H - lambda Q with lambda = - mu k
                self.multipliers = -speed[:, None] * self.multipliers
        self.fixed, self._known, self._cells = DENSITY, None, None
        self.charges = self.cells.axes.charges(moments)
        return self.align(populations, moments)

    def begin_flux(self) -> None:
        """Hold fluxes from now on: the next alignment marches outwards from the first cell.

        Raises
        ------
        ConfigurationError
            If the mesh has regions with different charges: a first integral holds in one of them only.
        """
        if self.interfaces.any:
            raise ConfigurationError(
                "stationary solution: alignment.regions with different charges; accepted: the same charges everywhere "
                "(time steps take regions)"
            )
        self.fixed, self._known = FLUX, None

    # alignment

    def align(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> LevelFrame:
        """Solve for D_0, D_1 and the multipliers with the charges given (in place; collective).

        Raises
        ------
        ConvergenceError
            On all ranks, if a cell has no solution and the policy is "stop".
        """
        if not populations.flags.c_contiguous:
            populations = np.ascontiguousarray(populations)
        if self.fixed == FLUX and not self.decomposition.comm.allreduce(int(populations.any())):
            # an empty mesh has no branch; the one that is known is kept
            return self.frame
        if self.fixed == FLUX and self._known is None:
            self._march(populations, moments)
        else:
            self._align_from_last(populations, moments)
        return self.frame

    def _align_from_last(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> None:
        cells = self.cells
        charges = self.flux_charges(populations) if self.fixed == FLUX else self.charges
        y = cells.unknowns(moments, self.multipliers)
        self._lock(populations, moments, y)
        free = np.flatnonzero(~self._is_locked)
        if free.size or self.solver == "petsc":
            guess = y[free]
            report = self._solve(cells.take(free), np.ascontiguousarray(populations[free]), guess, charges[free])
            y[free] = guess
            self.status[free], self.iterations[free] = report.status, report.iterations
            self.residual[free] = report.residual
            for cell in free[report.failures]:
                self._rescue(int(cell), populations, charges, y)
        self._equilibrated_before = self.equilibrated.copy()
        if self.on_failure == "equilibrate" and self.may_equilibrate and self.fixed == DENSITY:
            for cell in np.flatnonzero(self.failed):
                self._equilibrate_charged(int(cell), populations, charges, y)
        self._judge()
        self._equilibrated_before = None
        for cell in np.flatnonzero(self.failed):
            self._note(int(cell), "held")
        self._accept(populations, y, charges, moments)

    def _lock(self, populations: NDArray[np.float64], moments: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Solve flavour-locked cells without charges directly: where nothing mixes, bins need no average either.

        Sets `_is_locked`, and the unknowns and the status of these cells.
        """
        self._is_locked[:] = False
        chosen = np.flatnonzero(self.cells.axes.counts == 0)
        if chosen.size == 0 or self.solver == "petsc":
            return
        found = np.ascontiguousarray(moments[chosen])
        report = self.medium.take(chosen, populations).solve(found, self.tolerance, 0, True)
        locked = report.status == LOCKED
        cells = chosen[locked]
        if cells.size:
            y[cells] = self.cells.take(cells).unknowns(found[locked])
            self._is_locked[cells] = True
            self.status[cells], self.iterations[cells], self.residual[cells] = LOCKED, 1, report.residual[locked]

    def _solve(
        self,
        cells: ChargedCells,
        populations: NDArray[np.float64],
        y: NDArray[np.float64],
        charges: NDArray[np.float64],
    ) -> AlignmentReport:
        if self.solver == "petsc":
            from ..solvers.petsc_alignment import align_charged_with_petsc

            return align_charged_with_petsc(
                cells,
                populations,
                y,
                charges,
                comm=self.decomposition.comm,
                tolerance=self.tolerance,
                max_iterations=self.max_iterations,
                numbers=self.decomposition.numbers,
                petsc_options=self.petsc_options,
            )
        return cells.align(populations, y, charges, tolerance=self.tolerance, max_iterations=self.max_iterations)

    def _rescue(
        self, cell: int, populations: NDArray[np.float64], charges: NDArray[np.float64], y: NDArray[np.float64]
    ) -> None:
        """Continuation from the last good state; a solution is put into y and the status."""
        known, cells = self._known, self.cells
        if known is None:
            return
        old = Point.of(known.cells, cell, known.populations[cell], known.charges[cell])
        new = Point.of(cells, cell, populations[cell], charges[cell])
        found = self._continue(cell, old, new, known.unknowns[cell], y)
        if not found and self.on_failure == "reproject" and self.fixed == DENSITY:
            self._reproject(cell, known, populations, charges, y)

    def _continue(
        self, cell: int, old: Point, new: Point, unknowns: NDArray[np.float64], y: NDArray[np.float64]
    ) -> bool:
        """Follow the solution `unknowns` from old to new; where it leads there, y and the status are set."""
        path = continue_branch(self.cells, cell, old, new, unknowns, tolerance=self.tolerance)
        if path.found:
            y[cell], self.status[cell] = path.unknowns, CONVERGED
            self._note(cell, "turned" if path.turns else "continued")
        return path.found

    def _reproject(
        self,
        cell: int,
        known: _Known,
        populations: NDArray[np.float64],
        charges: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> None:
        """Begin again next to the new populations on the old eigenvectors; changes populations, y and the status."""
        index = np.array([cell])
        before = known.cells.take(index).density_matrices(
            populations[index], known.unknowns[index], known.charges[index]
        )
        begun = start_branches(self.cells.take(index), before, charges=charges[index], tolerance=self.tolerance)
        if begun.report.successful:
            populations[cell], y[cell] = begun.populations[0], begun.unknowns[0]
            self.status[cell], self.residual[cell] = CONVERGED, begun.report.residual[0]
            self._note(cell, "reprojected", float(begun.distance[0]))

    def _equilibrate_charged(
        self, cell: int, populations: NDArray[np.float64], charges: NDArray[np.float64], y: NDArray[np.float64]
    ) -> None:
        """Give a cell the aligned state next to that of largest entropy with its numbers, energy and charges.

        Eq. (9) is solved at the middle of the bins; where a bin's average differs, the aligned state is near it only,
        and how far is the event's loss.
        """
        known = self._known
        if known is None:
            return
        index = np.array([cell])
        old, new = known.cells.take(index), self.cells.take(index)
        before = old.density_matrices(populations[index], known.unknowns[index], known.charges[index])
        batch = charged_batch(new, self.medium.take(index, populations).velocity)
        count = int(new.axes.counts[0])
        found = find_equilibrium(
            before,
            batch,
            charges=new.axes.matrices()[:, :count] if count else None,
            given_charges=charges[index, :count] if count else None,
        )
        if not found.successful:
            return
        begun = self._begin_at(new, found, charges[index])
        if not begun.report.successful:
            return
        after = new.density_matrices(begun.populations, begun.unknowns, begun.charges)
        projectors = [
            cells.projectors(unknowns, held, populations.shape[-1])[0]
            for cells, unknowns, held in (
                (old, known.unknowns[index], known.charges[index]),
                (new, begun.unknowns, begun.charges),
            )
        ]
        turning, shrinking = heats(before, after, populations[index], begun.populations, projectors, batch)
        populations[cell], y[cell] = begun.populations[0], begun.unknowns[0]
        self._book_equilibration(cell, Equilibrated(found, begun.populations, turning, shrinking))
        self._note(cell, "equilibrated", float(begun.distance[0]))

    def _begin_at(self, one: ChargedCells, found: Equilibrium, charges: NDArray[np.float64]) -> Start:
        """The aligned state next to an equilibrium, which commutes with H + (lambda/beta) Q."""
        given, beta = found.density_matrix, found.inverse_temperature[:, None]
        multipliers = np.zeros((1, 2))
        if found.multipliers.size and beta[0, 0] != 0.0:
            multipliers[:, : found.multipliers.shape[1]] = -found.multipliers / beta
        y = one.unknowns(found.moments, multipliers)
        populations = project_points(one, y, charges, given, self.phase_space.cell_shape[-1])
        report = one.align(populations, y, charges, tolerance=self.tolerance)
        if report.successful:
            far = distance_between(one, one.density_matrices(populations, y, charges), given)
            return Start(populations, y, charges, report, far)
        return start_branches(one, given, charges=charges, tolerance=self.tolerance)

    def _note(self, cell: int, kind: str, lost: float = 0.0) -> None:
        self.events.append(Event(self.decomposition.start + cell, kind, lost))
        logger.info("cell %d: branch %s", self.decomposition.start + cell, kind)

    def _accept(
        self,
        populations: NDArray[np.float64],
        y: NDArray[np.float64],
        charges: NDArray[np.float64],
        moments: NDArray[np.float64],
    ) -> None:
        cells = self.cells
        self.charges = charges
        self.multipliers = cells.multipliers(y)
        moments[:] = cells.moments(y, charges, populations)
        self._known = _Known(cells, populations.copy(), charges.copy(), y.copy())
        self._set_frame(y, charges)

    def eigenvectors(self, moments: NDArray[np.float64]) -> LevelFrame:
        """Eigenvectors of the effective Hamiltonian of the given moments and the present multipliers."""
        self._set_frame(self.cells.unknowns(moments, self.multipliers), self.charges)
        return self.frame

    def _set_frame(self, y: NDArray[np.float64], charges: NDArray[np.float64]) -> None:
        frame, levels = self.frame, self.phase_space.cell_shape[-1]
        free = np.flatnonzero(~self._is_locked)
        self.projector[self._is_locked] = self._pure
        self.projector[free], self.content[free] = self.cells.projectors(y, charges, levels, free)
        # in cells of pure flavours with nu_e on top, transport and collisions need no projectors
        electron = np.abs(self.projector[..., 0] - self._pure[..., 0])
        self.locked = electron.max(axis=(1, 2, 3, 4)) <= PURE_FLAVOR_TOLERANCE
        mixed = np.flatnonzero(~self.locked)
        frame.mixed[:] = -1
        frame.mixed[mixed] = np.arange(mixed.size)
        frame.projector = self.projector[mixed]

    # the charges between two alignments, Eq. (E2)

    def region_slices(self) -> list[slice]:
        """Ranges of local cells with the same charges."""
        return [part.cells for part in self.interfaces.blocks]

    def region_faces(self) -> list[int]:
        """Global faces where charges change."""
        return self.interfaces.faces

    def charge_flow(self, ghosted: NDArray[np.float64], b: NDArray[np.float64], second_order: bool) -> Any:
        """- div Tr(Q_a D_1), (cell, 2) in cm^-4, with the eigenvectors of the last alignment."""
        n = self.phase_space.n_flavors

        def entering(inside: int, outside: int, projector: NDArray[np.float64]) -> NDArray[np.float64]:
            # the populations outside, with the charges of the region that is entered
            packed = density_matrix_of(ghosted[outside + HALO], projector[outside + 1], n)[..., : n * n]
            content: NDArray[np.float64] = self.cells.axes.take(np.array([inside])).content(packed[None])[0]
            return content

        def regions(charge: NDArray[np.float64], upwind: NDArray[np.float64]) -> list[View]:
            return self.interfaces.views(charge, upwind, self.projector, self._outward, entering)

        return self.transport.rate(ghosted, self.content, b, second_order, regions)

    def views(self, ghosted: NDArray[np.float64], b: NDArray[np.float64]) -> list[View]:
        """Regions of this rank: cells, populations with ghost cells in the region's own levels, upwind fractions."""

        def entering(inside: int, outside: int, projector: NDArray[np.float64]) -> NDArray[np.float64]:
            return transfer(projector[inside + 1], projector[outside + 1], ghosted[outside + HALO])

        return self.interfaces.views(ghosted, b, self.projector, self._outward, entering)

    def change_charges(
        self,
        moved: Any,
        populations: NDArray[np.float64],
        collisions: CollisionOperator,
        frame: LevelFrame,
        h: float,
    ) -> None:
        """Charges after a step: what has moved, and what collisions made with the new populations."""
        if self.fixed == FLUX:
            raise ConfigurationError("charges are held as fluxes; accepted: begin_density before a time step")
        self._before = self.charges, self.multipliers, self.wave_numbers
        if self.phase_gradient:
            self._move_phases(h)
        if self.cells.axes.counts.any():
            made = self.transport.source(populations, frame, collisions, self.cells.axes)
            self.charges = self.charges + moved + h * made

    def undo_charges(self) -> None:
        """Put charges and multipliers before the last ``change_charges`` back."""
        super().undo_charges()
        if self._before is not None:
            self.charges, self.multipliers, self.wave_numbers = self._before
            self._before, self._cells = None, None

    def _move_phases(self, h: float) -> None:
        """(E5): d_t k + grad lambda = 0, with what comes from inside; a steady source fixes the phase, lambda = 0."""
        dec, mesh = self.decomposition, self.phase_space.mesh
        padded = dec.padded(self.multipliers)
        center = mesh.center
        inner = np.concatenate([[mesh.face[0]], center[:-1]])[dec.cells]
        slope = (padded[1:-1] - padded[:-2]) / (center[dec.cells] - inner)[:, None]
        self.wave_numbers = self.wave_numbers - h * slope
        self._cells = None

    # stationary solutions

    def flux_charges(self, populations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tr(Q_a D_1) of every cell from what enters and what collisions make, (cell, 2) (collective).

        In spherical symmetry div Tr(Q D_1) = Tr(Q C) has the first integral r^2 Tr(Q D_1) = inflow + sum of sources.
        """
        angles, dec = self.phase_space.angles, self.decomposition
        volume = self.phase_space.mesh.volume[dec.cells]
        source = np.zeros((dec.size, 2))
        if self._collisions is not None and self.cells.axes.counts.any():
            source = self.transport.source(populations, self.frame, self._collisions, self.cells.axes)
        made = np.cumsum(source * volume[:, None], axis=0)
        before = dec.comm.exscan(made[-1]) if dec.comm.size > 1 else None
        if before is None:
            before = np.zeros(2)
        entering = dec.comm.bcast(self._entering(populations) if dec.is_first else None, root=0)
        through = entering + before + made - 0.5 * source * volume[:, None]
        area = angles.face_area[dec.start : dec.stop + 1]
        mean_area = np.abs(0.5 * (area[1:] + area[:-1])).sum(axis=1)
        per_flux = np.abs(self.weight_1).sum(axis=1)
        return np.asarray(through * (per_flux / mean_area)[:, None])

    def _entering(self, populations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Flux of the charges through the inner end of the mesh, (2,)."""
        area = self.phase_space.angles.face_area[0]
        if self.transport.advection.boundary.inner == "reflecting":
            return np.zeros(2)
        b = np.einsum("msgk,msgka->msga", populations[0], self.content[0])
        given = self.transport.inner
        inflow = self.transport.advection.boundary.inner_populations
        if given is None:
            given = np.zeros_like(b) if inflow is None else np.einsum("msgk,msgka->msga", inflow, self.content[0])
        through = np.where((area > 0.0)[:, None, None, None], given, b) * area[:, None, None, None]
        return np.asarray(np.einsum("sg,msga->a", self.transport.number, through))

    def _march(self, populations: NDArray[np.float64], moments: NDArray[np.float64]) -> None:
        """First alignment with given fluxes: from cell to cell outwards, rank by rank."""
        dec, cells = self.decomposition, self.cells
        charges = self.flux_charges(populations)
        guess = cells.unknowns(moments, self.multipliers)
        last: tuple[Point, NDArray[np.float64]] | None = None
        if not dec.is_first:
            last = dec.comm.recv(source=dec.comm.rank - 1)
        self._lock(populations, moments, guess)
        y = guess.copy()
        for cell in range(dec.size):
            one = cells.take(np.array([cell]))
            here = Point.of(cells, cell, populations[cell], charges[cell])
            if self._is_locked[cell]:
                last = (here, y[cell])
                continue
            trial = guess[cell : cell + 1].copy()
            if last is not None:
                trial[0] = last[1] * _dilution(cells, last[0], here)
            report = one.align(
                populations[cell : cell + 1],
                trial,
                charges[cell : cell + 1],
                tolerance=self.tolerance,
                max_iterations=self.max_iterations,
            )
            self.status[cell], self.iterations[cell] = report.status[0], report.iterations[0]
            self.residual[cell] = report.residual[0]
            if report.successful:
                y[cell] = trial[0]
            elif last is not None:
                self._continue(cell, last[0], here, last[1], y)
            last = (here, y[cell])
        if not dec.is_last:
            dec.comm.send(last, dest=dec.comm.rank + 1)
        self._judge()
        self._accept(populations, y, charges, moments)


def _dilution(cells: ChargedCells, old: Point, new: Point) -> NDArray[np.float64]:
    """Factor of each unknown from one cell to the next: moments follow the weights, multipliers stay."""
    d = cells.n_flavors**2 - 1
    factor = np.ones(2 * d)
    for order, (a, b) in enumerate(zip(old.weight, new.weight, strict=True)):
        before = float(np.abs(a).sum())
        factor[order * d : (order + 1) * d] = float(np.abs(b).sum()) / before if before > 0.0 else 1.0
    start = cells.fixed * d
    factor[start : start + int(cells.axes.counts.max(initial=0))] = 1.0
    return factor


def bin_ratios(phase_space: PhaseSpace) -> NDArray[np.float64]:
    """1/2E at the ends of each group's bin over that at its centre: (group, 2), lower end of 1/2E first.

    Raises
    ------
    ConfigurationError
        If a bin does not contain its centre.
    """
    energy = phase_space.energy
    if energy.size == 1:
        # one group stands for one energy
        return np.ones((1, 2))
    ratio: NDArray[np.float64] = np.stack(
        [energy.center / energy.edge[1:], energy.center / np.maximum(energy.edge[:-1], 1.0e-300)], axis=1
    )
    if not ((ratio[:, 0] <= 1.0) & (ratio[:, 1] >= 1.0)).all() or energy.edge[0] <= 0.0:
        raise ConfigurationError(
            "alignment.bin_average: accepted with energy groups whose edges are above zero and enclose their centres"
        )
    return ratio
