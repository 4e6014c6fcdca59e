"""The object that a host code holds, and that the command line uses in the same way."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .alignment import DENSITY, FLUX
from .block_mesh import BlockMesh
from .closures.run import RunClosure
from .constants import ATOMIC_MASS_UNIT, EV2_TO_MEV2, FERMI_POTENTIAL, HBAR_C, SOLAR_MASS, SPEED_OF_LIGHT
from .domains import make_domain, phase_space_of
from .energy import EnergyGrid
from .errors import ConfigurationError, MisciError, UnphysicalInputError
from .fields import Field
from .flavor import MixingParameters
from .grid import RadialMesh
from .options import CFL_LIMIT, TransportOptions
from .parallel.errors import collective
from .phase_space import LEVELS, local_rows
from .physics.charge_transport import ChargeTransport
from .physics.collisions import CollisionOperator
from .physics.conserved_mixing import ConservedMixing, bin_ratios
from .physics.exchange import Exchange, Sources
from .physics.frame import FASTEST, Metric, group_edges, shell_means
from .physics.hamiltonian import Hamiltonian
from .physics.interactions import RateSource
from .physics.matrix_scheme import MatrixScheme
from .physics.mixing import LocalMixing, NoMixing
from .physics.population_scheme import PopulationScheme
from .physics.response import FluidResponse
from .physics.thermal_ledger import ThermalLedger
from .solvers.steady import SteadyReport, SteadySolver
from .stepper import Stepper, StepResult
from .validity.monitor import ValidityMonitor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .fluid import Fluid
    from .physics.block_boundary import BlockBoundary
    from .physics.boundary import Boundary
    from .physics.levels import LevelFrame

logger = logging.getLogger(__name__)


class Transport:
    """Neutrino transport in local mixing equilibrium on one mesh.

    Parameters
    ----------
    mesh
        The whole mesh, equal on all ranks: radial, or a block in up to three dimensions.
    options
        Checked options; None takes the defaults.
    comm
        MPI communicator; None takes MPI.COMM_WORLD. PETSc is started on it if it is not running.
    boundary
        What enters through the ends; the default is a centre inside and free outflow outside (on a block what
        `BlockBoundary.of` finds).
    """

    def __init__(
        self,
        mesh: RadialMesh | BlockMesh,
        options: TransportOptions | None = None,
        comm: Any = None,
        boundary: Boundary | BlockBoundary | None = None,
    ) -> None:
        self.options = options = TransportOptions() if options is None else options
        _refuse_idle_petsc_options(options)
        self.rate_source = RateSource(options.collisions)
        energy = self.rate_source.energy_grid() or EnergyGrid.logarithmic(
            options.energy.minimum, options.energy.maximum, options.energy.groups
        )
        if isinstance(mesh, BlockMesh):
            _refuse_on_blocks(options)
        self.phase_space = phase_space_of(mesh, options, energy)
        self.domain = make_domain(self.phase_space, options.advection.diffusion_threshold, comm, boundary)
        # of the kind that the mesh has
        self.decomposition: Any = self.domain.decomposition
        self.boundary: Any = self.domain.boundary
        self.advection: Any = self.domain.advection
        self.state = self.domain.empty_state()
        self._crossing_time = self.domain.crossing_time()
        self.metric: Metric | None = None  #: of the whole mesh, with gravity
        if options.frame.active:
            self._begin_frame(energy)
        self.exchange = Exchange(self.phase_space, self.decomposition.cells)
        flavors = options.flavors
        self.mixing_parameters = _mixing_parameters(options)
        self.hamiltonian = Hamiltonian.build(
            self.mixing_parameters,
            energy,
            flavors.number,
            self_interaction=flavors.self_interaction,
            matter=flavors.matter,
        )
        self.mixing: NoMixing | LocalMixing
        if flavors.mixing and options.alignment.averaged:
            self.mixing = self._conserved_mixing()
        elif flavors.mixing:
            self.mixing = LocalMixing(
                self.phase_space,
                self.decomposition,
                self.hamiltonian,
                solver=options.alignment.solver,
                tolerance=options.alignment.tolerance,
                max_iterations=options.alignment.max_iterations,
                on_failure=options.alignment.on_failure,
                petsc_options=options.petsc,
            )
        else:
            self.mixing = NoMixing(self.phase_space, self.decomposition.cells)
        self.stepper = Stepper(
            self.phase_space,
            self.decomposition,
            self.advection,
            self._scheme(),
            second_order=options.advection.reconstruction == "linear",
        )
        if options.ledger.thermodynamics:
            if not isinstance(self.mixing, LocalMixing):
                raise ConfigurationError("ledger.thermodynamics: accepted with flavors.mixing = true")
            self.stepper.thermodynamics = ThermalLedger(self.mixing)
        self.fluid: Fluid | None = None
        self.sources: Sources | None = None
        self._rates: CollisionOperator | None = None  #: of the fluid, in its own time
        self._collisions: CollisionOperator | None = None  #: the same in coordinate time
        self._frame = NoMixing(self.phase_space, self.decomposition.cells).frame
        self._aligned = False  #: whether the moments belong to the populations
        self._frame_is_old = False  #: whether the Hamiltonian has changed since the frame was made
        self._totals: dict[str, float] = {}
        self.validity = (
            ValidityMonitor(self.phase_space, self.domain.decomposition, options.validity)
            if options.validity.every and isinstance(self.mixing, LocalMixing)
            else None
        )
        self._steady: SteadyReport | None = None
        #: what changes flavours where they are unstable
        self.closure = (
            RunClosure(self.phase_space, self.decomposition, options.closure)
            if options.closure.kind != "none"
            else None
        )

    def _begin_frame(self, energy: EnergyGrid) -> None:
        """Refuse what the frame terms cannot do before any fluid is known."""
        frame, geometry = self.options.frame, self.phase_space.mesh.geometry
        group_edges(energy)
        if isinstance(self.phase_space.mesh, BlockMesh):
            # directions that have no flow between them
            self.advection.begin_frame()
        if frame.gravity != "none" and geometry != "spherical":
            raise ConfigurationError(
                f'frame.gravity is {frame.gravity!r} in {geometry} symmetry; accepted there: "none"'
            )
        if frame.doppler:
            # until velocities are known
            self._crossing_time /= 1.0 + FASTEST

    def _follow_matter(self, fluid: Fluid, collisions: CollisionOperator) -> CollisionOperator:
        """Velocities and metric of the fluid for the transport; its collisions in coordinate time (collective)."""
        frame, mesh, dec = self.options.frame, self.phase_space.mesh, self.decomposition
        block = isinstance(mesh, BlockMesh)
        if frame.gravity != "none":
            density = dec.gather(fluid.mass_density)
            mass = frame.inner_mass * SOLAR_MASS
            shells, density = (RadialMesh(mesh.faces[0]), shell_means(mesh, density)) if block else (mesh, density)
            self.metric = Metric.of_mass(shells, density, mass, frame.gravity)
            collisions = collisions.in_coordinate_time(self.metric.lapse[self._shells])
        if block:
            velocity = fluid.velocity if frame.doppler else np.zeros_like(fluid.velocity)
            self.advection.follow_matter(velocity, self.metric)
            self.stepper.follow_matter(self.advection.frame, self.advection.cell_volume)
            self._crossing_time = self.advection.shortest_crossing / SPEED_OF_LIGHT
            return collisions
        metric = Metric.flat(mesh) if self.metric is None else self.metric
        velocity = dec.gather(fluid.velocity) if frame.doppler else np.zeros(mesh.size)
        self.advection.follow_matter(velocity, metric)
        self.stepper.follow_matter(self.advection.frame, (mesh.volume / metric.gamma)[dec.cells])
        self._crossing_time = self.advection.shortest_crossing / SPEED_OF_LIGHT
        return collisions

    @property
    def _shells(self) -> Any:
        """Where the metric of this rank's cells is."""
        mesh, cells = self.phase_space.mesh, self.decomposition.cells
        return cells % mesh.shape[0] if isinstance(mesh, BlockMesh) else cells

    def _per_proper_time(self, sources: Sources) -> Sources:
        """Sources as matter sees them: per proper volume already, and per proper instead of coordinate time."""
        if self.metric is None:
            return sources
        lapse = self.metric.lapse[self._shells]
        # the momentum may have components
        momentum = (sources.momentum.T / lapse).T
        return Sources(sources.energy / lapse, sources.lepton_number / lapse, momentum)

    def _conserved_mixing(self) -> ConservedMixing:
        alignment, mesh = self.options.alignment, self.phase_space.mesh
        kinds = np.full(mesh.size, alignment.charges, dtype=object)
        for region in reversed(alignment.regions):
            kinds[mesh.center < region.outer_radius] = region.charges
        return ConservedMixing(
            self.phase_space,
            self.decomposition,
            self.hamiltonian,
            ChargeTransport(self.phase_space, self.decomposition, self.advection),
            kinds=list(kinds[self.decomposition.cells]),
            count=alignment.charge_count,
            bin_ratio=bin_ratios(self.phase_space) if alignment.bin_average != "off" else None,
            parts=alignment.bin_parts,
            solver=alignment.solver,
            tolerance=alignment.tolerance,
            max_iterations=alignment.max_iterations,
            on_failure=alignment.on_failure,
            petsc_options=self.options.petsc,
            phase_gradient=alignment.phase_gradient,
        )

    def _scheme(self) -> PopulationScheme | MatrixScheme:
        if self.options.advection.scheme == "adiabatic" or isinstance(self.mixing, NoMixing):
            return PopulationScheme(self.advection, self.decomposition)
        return MatrixScheme(self.advection, self.mixing)

    def observe(self, fluid: Fluid) -> tuple[CollisionOperator, LevelFrame]:
        """Collisions and eigenvectors of the state over ``fluid``, without changing the populations (collective).

        For what looks at a state that was restored, such as the scan of its stability.

        Raises
        ------
        UnphysicalInputError, TableError, ConvergenceError
            As `step`.
        """
        collisions = self._set_fluid(fluid)
        if not self._aligned:
            self._frame = self.mixing.align(self.state.owned, self.state.moments)
            self._aligned = True
        elif self._frame_is_old:
            self._frame = self.mixing.eigenvectors(self.state.moments)
        self._frame_is_old = False
        return collisions, self._frame

    def fill(self, fluid: Fluid, occupations: NDArray[np.float64]) -> None:
        """Begin from density matrices diagonal in flavour, n_f[cell, direction, species, group, flavour] in [0, 1].

        Of this rank's cells, flavours (e, mu, tau), or (e, x, the heavy flavour that does not mix). Populations are
        n_k = sum_f |U_fk|^2 n_f with the eigenvectors of the Hamiltonian that these matrices make, Eq. (14). Time,
        steps and the ledger's totals stay what they are.

        Raises
        ------
        UnphysicalInputError, TableError
            As in `step`, or if occupations have another shape, or one is outside [0, 1]; nothing has changed then.
        ConvergenceError
            Naming the cell without aligned state.
        """
        space = self.phase_space
        with collective(self.decomposition.comm):
            expected = (self.decomposition.size, *space.cell_shape)
            if occupations.shape != expected:
                raise UnphysicalInputError(f"occupations have shape {occupations.shape}; accepted: {expected}")
            wrong = np.argwhere(~((occupations >= 0.0) & (occupations <= 1.0)))
            if wrong.size:
                cell, direction, species, group, flavor = (int(n) for n in wrong[0])
                raise UnphysicalInputError(
                    f"occupation of cell {self.decomposition.numbers[cell]}, direction {direction}, species {species}, "
                    f"group {group}, flavour {flavor} is {occupations[tuple(wrong[0])]!r}; accepted: 0 to 1"
                )
        self._set_fluid(fluid)
        self._let_equilibrate(True)
        net = np.einsum("cmgf,g->cmf", occupations[:, :, 0] - occupations[:, :, 1], space.number_weight)
        weight = local_rows(space.angles.weights, self.decomposition.cells)
        weight = np.broadcast_to(weight, (net.shape[0], *weight.shape[1:]))
        self.state.moments[:] = 0.0
        mixing = slice(0, space.n_flavors)
        self.state.moments[:, :, mixing] = np.einsum("com,cmf->cof", weight, net[:, :, mixing])
        frame = self.mixing.eigenvectors(self.state.moments)
        self.state.owned[:] = frame.to_levels(np.ascontiguousarray(occupations, dtype=np.float64))
        if isinstance(self.mixing, ConservedMixing):
            self._frame = self.mixing.begin_density(self.state.owned, self.state.moments)
        else:
            self._frame = self.mixing.align(self.state.owned, self.state.moments)
        self._aligned, self._frame_is_old = True, False

    def flavor_occupations(self) -> NDArray[np.float64]:
        """n_f[cell, direction, species, group, flavour] of this rank's cells, as `fill` takes them; a copy.

        Before the first step nothing is known of the levels but that cells are flavour-locked.
        """
        return self._frame.to_flavors(self.state.owned)

    def _let_equilibrate(self, allowed: bool) -> None:
        """Whether an alignment may change the populations of a cell without solution: not within an implicit solve."""
        if isinstance(self.mixing, LocalMixing):
            self.mixing.may_equilibrate = allowed

    def step(self, fluid: Fluid, dt: float) -> Sources:
        """Advance the neutrinos by dt seconds over ``fluid`` (this rank's cells); the sources of the step.

        Raises
        ------
        UnphysicalInputError, TableError
            Before the state is changed; on all ranks (ParallelError on those whose own cells are right).
        ConvergenceError
            Naming the cell that failed; the state is the one before the step.
        """
        collisions = self._set_fluid(fluid, dt)
        mixing = self.mixing
        self._let_equilibrate(True)
        if isinstance(mixing, ConservedMixing) and mixing.fixed == FLUX:
            self._frame = mixing.begin_density(self.state.owned, self.state.moments)
            self._frame_is_old = False
        if isinstance(mixing, ConservedMixing):
            mixing.follow_synchronization(self.state.owned, self.state.moments)
            if self._aligned and self._frame_is_old:
                mixing.eigenvectors(self.state.moments)
            mixing.choose(self.state.owned, self.state.moments)
        if not self._aligned:
            self._frame = self.mixing.align(self.state.owned, self.state.moments)
            self._aligned = True
        elif self._frame_is_old:
            self._frame = self.mixing.eigenvectors(self.state.moments)
        self._frame_is_old = False
        due = self.validity is not None and (self.state.step + 1) % self.options.validity.every == 0
        before = self.mixing.effective_hamiltonian(self.state.moments) if due else None  # type: ignore[union-attr]
        result, self._frame = self.stepper.step(self.state, collisions, self.mixing, self._frame, dt)
        if self.closure is not None:
            self._convert(self.closure, result, dt)
        self._book(result, dt)
        if due:
            self._measure(before=before, length=SPEED_OF_LIGHT * dt)
        self.sources = self._per_proper_time(result.sources)
        return self.sources

    def step_implicit(self, fluid: Fluid, dt: float) -> Sources:
        """Advance the neutrinos by dt seconds in one implicit step of any length; the sources of the step.

            (n' - n)/(c dt) = A n' + C(n'),   rho' aligned in every cell

        of first order in time and, as the stationary state that long steps lead to, in space. Matter does not respond
        within the step, and occupations below zero stay, as in `solve_steady`. Collisions and inflow are booked as in
        `step`; their balance closes to about steady.relative_tolerance of what the step moves.

        Raises
        ------
        ConfigurationError
            With conserved charges, moving matter or gravity.
        UnphysicalInputError, TableError
            Before the state is changed; on all ranks (ParallelError on those whose own cells are right).
        ConvergenceError
            If the solver gives up or a cell has no alignment; the state is the one before the step.
        """
        options, comm = self.options, self.decomposition.comm
        if isinstance(self.mixing, ConservedMixing) or options.frame.active or options.advection.scheme == "matrix":
            raise ConfigurationError(
                'implicit steps: accepted with alignment.charges = "none" and without bin averages, '
                'advection.scheme = "adiabatic", frame.doppler = false and frame.gravity = "none"'
            )
        if self.closure is not None:
            raise ConfigurationError(f"closure.kind is {options.closure.kind!r}; accepted for implicit steps: 'none'")
        with collective(comm):
            if not (np.isfinite(dt) and dt > 0.0):
                raise UnphysicalInputError(f"time step is {dt!r} s; accepted: a finite value > 0")
        collisions = self._set_fluid(fluid)
        state, length = self.state, SPEED_OF_LIGHT * dt
        old, moments = state.owned.copy(), state.moments.copy()
        due = self.validity is not None and (state.step + 1) % options.validity.every == 0
        before = self.mixing.effective_hamiltonian(state.moments) if due and self._aligned else None  # type: ignore[union-attr]
        solver = self._solver(collisions, length)
        try:
            self._steady = solver.solve(state)
        except MisciError:
            # the host may try again, with a shorter step
            state.owned[:], state.moments[:] = old, moments
            self._frame_is_old = True
            raise
        self._frame = solver.frame
        self._aligned, self._frame_is_old = True, False
        collided = np.empty_like(state.owned)
        collisions.rate(np.ascontiguousarray(state.owned), self._frame, collided)
        result = self.stepper.book(old, state.owned, collided, solver.entering(), length)
        state.time += dt
        state.step += 1
        self._book(result, dt)
        if due:
            given = {} if before is None else {"before": before, "length": length}
            self._measure(**given)
        self.sources = result.sources
        return result.sources

    def solve_steady(self, fluid: Fluid) -> SteadyReport:
        """Replace the state by the stationary one over ``fluid`` (this rank's cells).

        Raises
        ------
        ConfigurationError
            With moving matter or gravity on a block mesh.
        UnphysicalInputError, TableError, ConvergenceError
            On all ranks (ParallelError on those whose own cells are right).
        """
        if self.closure is not None:
            raise ConfigurationError(
                f"closure.kind is {self.options.closure.kind!r}; accepted for stationary states: 'none' (a closure "
                "changes cells after a step in time)"
            )
        collisions = self._set_fluid(fluid)
        if isinstance(self.mixing, ConservedMixing):
            self.mixing.set_collisions(collisions)
            self.mixing.begin_flux()
        solver = self._solver(collisions)
        self._steady = solver.solve(self.state, self._equilibrium(fluid, collisions, solver.problem.width))
        self._frame = solver.frame
        self._aligned, self._frame_is_old = True, False
        rate = np.empty_like(self.state.owned)
        collisions.rate(np.ascontiguousarray(self.state.owned), self._frame, rate)
        self.sources = self._per_proper_time(self.exchange.sources(rate.sum(axis=4)))
        return self._steady

    def _solver(self, collisions: CollisionOperator, length: float | None = None) -> SteadySolver:
        """The solver of the stationary state, or of an implicit step of ``length`` in cm."""
        steady = self.options.steady
        self._let_equilibrate(False)
        return SteadySolver(
            self.phase_space,
            self.decomposition,
            self.advection,
            collisions,
            self.mixing,
            relative_tolerance=steady.relative_tolerance,
            max_newton=steady.max_newton,
            max_krylov=steady.max_krylov,
            petsc_options=self.options.petsc,
            length=length,
        )

    def _convert(self, closure: RunClosure, result: StepResult, dt: float) -> None:
        """Apply the closure after a step, count what it did, and align what has changed (collective)."""
        assert self.fluid is not None
        context = {
            "vacuum": self.hamiltonian.vacuum,
            "matter_potential": self.hamiltonian.matter_potential(self.fluid),
            "strength": self.hamiltonian.strength,
        }
        done = closure.apply(self.state.owned, self._frame, dt, context)
        result.ledger.counts |= {name: int(value) for name, value in done.items()}
        if any(self.decomposition.comm.allgather(bool(done["closure cells"]))):
            self._frame = self.mixing.align(self.state.owned, self.state.moments)

    def _measure(self, **given: Any) -> None:
        """Measure the validity of the present state (collective)."""
        if self.validity is None or not isinstance(self.mixing, LocalMixing) or self._collisions is None:
            return
        self.validity.measure(self.state.owned, self.state.moments, self.mixing, self._collisions, self._frame, **given)

    def measure_validity(self) -> None:
        """Measure the validity of the state after a step or a solve now (collective); of a restored one, nothing."""
        if self._aligned and not self._frame_is_old:
            self._measure()

    def validity_summary(self) -> tuple[dict[str, float], list[str]]:
        """Numbers of cells where assumptions fail and extremes, and the same in words (collective).

        Of the last measurement: every `validity.every` steps, by `measure_validity`, and for `fields`.
        """
        if self.validity is None:
            return {}, []
        numbers, lines = self.validity.summary()
        for kind, count in self.branch_events().items():
            numbers[f"events {kind}"] = float(count)
        return numbers, lines

    def branch_events(self) -> dict[str, int]:
        """How often cells changed or lost their branch since the start, over all ranks, by kind (collective)."""
        if not isinstance(self.mixing, ConservedMixing):
            return {}
        kinds = [event.kind for part in self.decomposition.comm.allgather(self.mixing.events) for event in part]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def max_dt(self) -> float:
        """Recommended step in seconds: advection.cfl times the light crossing of the smallest phase-space cell."""
        return self.options.advection.cfl * self._crossing_time

    def fields(self) -> list[Field]:
        """Everything worth writing after the last step or solve (collective)."""
        phase_space = self.phase_space
        if self.fluid is None or self._collisions is None:
            raise ConfigurationError("no fluid yet; accepted: a step or a steady solve before fields are asked for")
        fields = [
            *self.domain.mesh_fields(),
            Field("energy/center", phase_space.energy.center, ("group",), "MeV", "group centres", "global"),
            Field("energy/edge", phase_space.energy.edge, ("group_edge",), "MeV", "group edges", "global"),
            Field("energy/weight", phase_space.energy.weight, ("group",), "MeV^3", "integral(E^2 dE)", "global"),
        ]
        for name, unit in (
            ("mass_density", "g/cm^3"),
            ("temperature", "MeV"),
            ("electron_fraction", "1"),
            ("velocity", "cm/s"),
        ):
            values = getattr(self.fluid, name)
            axes = ("cell", "axis")[: values.ndim]
            fields.append(Field(f"fluid/{name}", values, axes, unit, name.replace("_", " ")))
        fields += self.domain.radiation_fields(self._collisions, self.state, self._frame)
        if self.sources is not None:
            baryons = self.fluid.mass_density / ATOMIC_MASS_UNIT
            s = self.sources
            fields += [
                Field("sources/energy", s.energy, ("cell",), "erg/cm^3/s", "energy given to the fluid"),
                Field("sources/lepton_number", s.lepton_number, ("cell",), "1/cm^3/s", "electrons given to the fluid"),
                Field(
                    "sources/momentum",
                    s.momentum,
                    ("cell", "axis")[: s.momentum.ndim],
                    "dyn/cm^3",
                    "momentum given to the fluid: radial, or along the axes of the block",
                ),
                Field("sources/heating_per_baryon", s.energy / baryons, ("cell",), "erg/s", "energy source per baryon"),
                Field(
                    "sources/deleptonization_per_baryon",
                    s.lepton_number / baryons,
                    ("cell",),
                    "1/s",
                    "electron source per baryon",
                ),
            ]
        if self.metric is not None:
            cells = self._shells
            fields += [
                Field("frame/lapse", self.metric.lapse[cells].copy(), ("cell",), "1", "proper over coordinate time"),
                Field(
                    "frame/metric_gamma",
                    self.metric.gamma[cells].copy(),
                    ("cell",),
                    "1",
                    "coordinate over proper radial length",
                ),
            ]
        fields += self._mixing_fields()
        if self.closure is not None:
            fields += self.closure.fields()
        if self.validity is not None:
            self._measure(stability=self.options.validity.stability_cells > 0)
            assert self.validity.last is not None
            fields += self.validity.last.fields()
        fields.append(self._population_field())
        return fields

    def ledger(self) -> dict[str, float]:
        """Totals over all steps and ranks, over the whole sphere (per area in plane symmetry); MeV and numbers."""
        factor = self.domain.whole
        return {name: value * (1.0 if name.startswith("count ") else factor) for name, value in self._totals.items()}

    def alignment_summary(self) -> dict[str, float]:
        """Counts over all cells and ranks of the last alignment, and the largest residual.

        "continued": how often a cell was reached only by continuation in the strength of self-interaction, and
        "equilibrated": how often one was moved to its state of largest entropy, both since the start of the process.
        """
        comm = self.decomposition.comm
        status = self.mixing.status
        summary: dict[str, float] = {
            "cells": float(self.decomposition.total),
            "locked": float(comm.allreduce(int(self.mixing.locked.sum()))),
            "failed": float(comm.allreduce(int(self.mixing.failed.sum()))),
            "iterations": float(comm.allreduce(int(self.mixing.iterations.sum()))),
            "continued": float(comm.allreduce(self.mixing.continued)),
            "equilibrated": float(comm.allreduce(int(self.mixing.equilibrated.times.sum()))),
        }
        largest = float(self.mixing.residual.max()) if status.size else 0.0
        summary["largest residual"] = float(max(comm.allgather(largest)))
        return summary

    def checkpoint(self) -> dict[str, Field]:
        """What a restart needs, independent of the number of ranks."""
        held = {
            "populations": self._population_field(),
            "moments": Field(
                "moments", self.state.moments, ("cell", "order", "component"), "cm^-3", "D_0 and D_1, Eq. (4)"
            ),
            "time": Field("time", np.array(self.state.time), (), "s", "time", "global"),
            "step": Field("step", np.array(float(self.state.step)), (), "1", "steps taken", "global"),
        }
        if isinstance(self.mixing, ConservedMixing):
            mixing = self.mixing
            axes = ("cell", "charge")
            held |= {
                "charges": Field("charges", mixing.charges, axes, "cm^-3", "Tr(Q_a D_0), or Tr(Q_a D_1) if stationary"),
                "multipliers": Field("multipliers", mixing.multipliers, axes, "1/cm", "lambda_a, or k_a if stationary"),
                "wave_numbers": Field("wave_numbers", mixing.wave_numbers, axes, "1/cm", "gradients of the phases"),
                "stationary": Field(
                    "stationary", np.array(float(mixing.fixed == FLUX)), (), "1", "whether fluxes are held", "global"
                ),
            }
        if self.closure is not None:
            held |= {field.name: field for field in self.closure.fields()}
        for name, value in self._totals.items():
            key = f"ledger/{name}"
            held[key] = Field(key, np.array(value), (), "1", "total of the ledger", "global")
        return held

    def restore(self, held: dict[str, NDArray[np.float64]], *, local: bool = False, aligned: bool = True) -> None:
        """Take up a checkpoint: whole arrays, of which every rank takes its cells.

        Parameters
        ----------
        held
            Arrays by the names of `checkpoint`.
        local
            Arrays over cells hold this rank's cells only.
        aligned
            Whether the moments are those of the populations; otherwise they are where the next alignment begins.

        Raises
        ------
        ConfigurationError
            If the arrays do not fit this mesh, naming both shapes.
        """
        cells = slice(None) if local else self.decomposition.cells
        count = self.decomposition.size if local else self.decomposition.total
        expected = (count, *self.phase_space.cell_shape)
        populations = np.asarray(held["populations"])
        if populations.shape != expected:
            raise ConfigurationError(
                f"checkpoint populations have shape {populations.shape}; accepted here: {expected}"
            )
        self.state.owned[:] = populations[cells]
        self.state.moments[:] = np.asarray(held["moments"])[cells]
        if isinstance(self.mixing, ConservedMixing):
            if "charges" not in held:
                raise ConfigurationError(
                    "checkpoint holds no charges; accepted with alignment.charges or bin averages: one of such a run"
                )
            self.mixing.charges = np.array(held["charges"])[cells]
            self.mixing.multipliers = np.array(held["multipliers"])[cells]
            self.mixing.wave_numbers = np.array(held["wave_numbers"])[cells]
            self.mixing.fixed = FLUX if float(held["stationary"]) else DENSITY
        if self.closure is not None:
            self.closure.restore(held, cells)
        self.state.time, self.state.step = float(held["time"]), int(held["step"])
        self._totals = {k.removeprefix("ledger/"): float(v) for k, v in held.items() if k.startswith("ledger/")}
        # the moments are those of the last alignment: solving again would change their last digits
        self._aligned, self._frame_is_old = aligned, True

    def _set_fluid(self, fluid: Fluid, dt: float | None = None) -> CollisionOperator:
        """Rates and Hamiltonian of the fluid; nothing changes unless all ranks accept theirs (collective)."""
        with collective(self.decomposition.comm):
            if dt is not None:
                self._check_step(dt)
            collisions = self._rates_of(fluid)
        # what follows is collective: matter that has changed on one rank has changed on all
        if self.decomposition.comm.allreduce(int(collisions is not self._rates)):
            frame = self.options.frame
            self._rates = collisions
            self._collisions = self._follow_matter(fluid, collisions) if frame.active else collisions
            # in the frame of matter its current vanishes
            at_rest = replace(fluid, velocity=np.zeros_like(fluid.velocity)) if frame.doppler else fluid
            self.mixing.set_fluid(at_rest)
            self.fluid = fluid.copy()
            responds = self.options.collisions.response != "off" and not frame.active
            self.stepper.response = (
                FluidResponse(self.fluid, collisions.rates, self.rate_source, self.phase_space.energy)
                if responds
                else None
            )
            self._frame_is_old = True
        assert self._collisions is not None
        return self._collisions

    def _check_step(self, dt: float) -> None:
        advection = self.options.advection
        limit = CFL_LIMIT[advection.reconstruction] * self._crossing_time
        if not 0.0 < dt <= limit * (1.0 + 1.0e-12):
            raise UnphysicalInputError(
                f"time step is {dt!r} s; accepted: 0 < dt <= {limit:.6e} s, {CFL_LIMIT[advection.reconstruction]:g} "
                f'light-crossing times of the smallest cell with reconstruction = "{advection.reconstruction}"'
            )

    def _rates_of(self, fluid: Fluid) -> CollisionOperator:
        """Rates of a checked fluid; the ones in use while the fluid's values stay the same."""
        if fluid.size != self.decomposition.size:
            raise UnphysicalInputError(
                f"fluid has {fluid.size} cells on rank {self.decomposition.comm.rank}; "
                f"accepted: {self.decomposition.size}, the cells {self.decomposition.numbers[0]} to "
                f"{self.decomposition.numbers[-1]}"
            )
        if self._rates is not None and self.fluid is not None and fluid.equals(self.fluid):
            return self._rates
        numbers = self.decomposition.numbers
        fluid.validate(numbers)
        expected = (fluid.size, 3) if isinstance(self.phase_space.mesh, BlockMesh) else (fluid.size,)
        if fluid.velocity.shape != expected:
            raise UnphysicalInputError(
                f"fluid velocity has shape {fluid.velocity.shape}; accepted on this mesh: {expected}"
            )
        rates = self.rate_source.rates(fluid, self.phase_space.energy, numbers)
        return CollisionOperator(self.phase_space, rates, self.decomposition.cells)

    def _book(self, result: StepResult, dt: float) -> None:
        """Add a step's ledger, summed over ranks, to the totals, which are equal on all ranks."""
        ledger = result.ledger
        entries: dict[str, float] = {}
        for part in ("collisions", "inflow", "corrections"):
            for name, value in getattr(ledger, part).items():
                entries[f"{part} {name}"] = value
        entries |= {f"count {name}": float(count) for name, count in ledger.counts.items()}
        entries["kinematic heat"] = ledger.kinematic_heat
        if self.options.frame.active:
            entries["frame work"] = ledger.frame_work
        entries |= {f"mixing {name}": value for name, value in ledger.mixing.items()}
        sums = np.array(list(entries.values()))
        total = np.empty_like(sums)
        self.decomposition.comm.Allreduce(sums, total)
        for name, value in zip(entries, total, strict=True):
            self._totals[name] = self._totals.get(name, 0.0) + float(value)
        logger.debug("step %d to %.6e s, dt %.3e s", self.state.step, self.state.time, dt)

    def _equilibrium(
        self, fluid: Fluid, collisions: CollisionOperator, width: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Fermi-Dirac occupations as a first guess: emission over absorption for e, no chemical potential for x."""
        # levels as in the first locked cell of the mesh (on a radial mesh the centre), or in the first cell
        mixed, numbers = self._frame.mixed >= 0, self.decomposition.numbers
        mine = [
            (bool(mixed[cell]), int(numbers[cell]), self._frame.component[cell])
            for cell in (range(0) if fluid.size == 0 else [np.argmin(mixed)])
        ]
        candidates = [first for part in self.decomposition.comm.allgather(mine) for first in part]
        *_, component = min(candidates, key=lambda first: first[:2])
        if fluid.size == 0:
            return np.zeros_like(self.state.owned)
        emissivity, absorption = collisions.rates.emissivity, collisions.rates.absorption
        ratio = np.minimum(self.phase_space.energy.center / fluid.temperature[:, None], 600.0)
        guess = np.empty((fluid.size, 2, self.phase_space.energy.size, LEVELS))
        guess[:] = (1.0 / (np.exp(ratio) + 1.0))[:, None, :, None]
        total = emissivity[:, :, 0] + absorption[:, :, 0]
        electron = np.divide(emissivity[:, :, 0], total, out=np.zeros_like(total), where=total > 0.0)
        for species in range(2):
            level = np.flatnonzero(component[species] == 0)
            if level.size:
                guess[:, species, :, level[0]] = electron[:, species]
        # far outside nothing is near equilibrium: the guess fades with the optical depth of a cell
        depth = collisions.transport_opacity(NoMixing(self.phase_space, self.decomposition.cells).frame)
        depth = depth * width[:, None, None, None]
        guess *= depth / (1.0 + depth)
        return np.broadcast_to(guess[:, None], self.state.owned.shape)

    def _vacuum_frequencies(self) -> NDArray[np.float64]:
        splittings = np.abs([self.mixing_parameters.dm2_21, self.mixing_parameters.dm2_31]) * EV2_TO_MEV2
        return splittings / (2.0 * self.phase_space.energy.center[:, None] * HBAR_C)

    def _population_field(self) -> Field:
        return Field(
            "populations",
            self.state.owned,
            ("cell", "direction", "species", "group", "level"),
            "1",
            "occupation of each eigen-level of the Hamiltonian",
        )

    def _charge_fields(self) -> list[Field]:
        mixing = self.mixing
        if not isinstance(mixing, ConservedMixing):
            return []
        events = np.zeros(self.decomposition.size)
        for event in mixing.events:
            events[event.cell - self.decomposition.start] += 1.0
        axes = ("cell", "charge")
        words = ("flux Tr(Q_a D_1)", "k_a") if mixing.fixed == FLUX else ("density Tr(Q_a D_0)", "lambda_a")
        return [
            Field("alignment/charges", mixing.charges, axes, "cm^-3", f"conserved charges held: {words[0]}"),
            Field("alignment/multipliers", mixing.multipliers, axes, "1/cm", f"their multipliers: {words[1]}"),
            Field("alignment/branch_events", events, ("cell",), "1", "continuations and changes of branch so far"),
        ]

    def _thermal_fields(self) -> list[Field]:
        """Terms of the first law so far, energy and entropy of mixing, with ledger.thermodynamics."""
        ledger = self.stepper.thermodynamics
        if ledger is None:
            return []
        words = {
            "change": "dU, change of the energy of mixing",
            "work": "work of the medium",
            "charges": "sum lambda_a dq_a",
            "transport": "energy that moves with populations",
            "collisions": "Q_env, by collisions",
            "corrections": "by corrections of occupations",
            "kinematic": "Q_kin",
        }
        energy, entropy = ledger.energy_and_entropy(np.ascontiguousarray(self.state.owned), self._frame)
        terms = [
            Field(
                f"thermodynamics/{name}", ledger.totals[name].copy(), ("cell",), "MeV/cm^3", f"{text}, all steps so far"
            )
            for name, text in words.items()
        ]
        return [
            *terms,
            Field("thermodynamics/imbalance", ledger.imbalance, ("cell",), "MeV/cm^3", "change minus all other terms"),
            Field("thermodynamics/scale", ledger.scale.copy(), ("cell",), "MeV/cm^3", "sizes of all summands so far"),
            Field("thermodynamics/energy", energy, ("cell",), "MeV/cm^3", "energy of mixing, Eq. (5) without traces"),
            Field("thermodynamics/entropy", entropy, ("cell",), "1/cm^3", "entropy of the neutrinos, Eqs. (6)-(7)"),
        ]

    def _equilibration_fields(self) -> list[Field]:
        """Where and how much cells were moved to states of largest entropy, with that policy."""
        if self.options.alignment.on_failure != "equilibrate":
            return []
        done = self.mixing.equilibrated
        return [
            Field(f"alignment/{name}", values.astype(np.float64), ("cell",), unit, f"{words}, since the process began")
            for name, values, unit, words in (
                ("equilibrated", done.times, "1", "moves to the state of largest entropy"),
                ("equilibration_heat", done.turning, "MeV/cm^3", "Q_kin of these moves: what turns eigenvectors"),
                ("equilibration_populations", done.shrinking, "MeV/cm^3", "their part that changes populations"),
                ("equilibration_entropy", done.entropy, "1/cm^3", "entropy that they produced"),
            )
        ]

    def _mixing_fields(self) -> list[Field]:
        mixing, moments = self.mixing, self.state.moments
        difference = moments[:, 0] - moments[:, 1]
        heavy = 0.5 * (difference[:, 1] + difference[:, 2]) if self.phase_space.n_flavors == 3 else difference[:, 1]
        potential = FERMI_POTENTIAL * (difference[:, 0] - heavy)
        assert self.fluid is not None
        return [
            Field("alignment/status", mixing.status.astype(np.float64), ("cell",), "1", "status code of the alignment"),
            Field("alignment/iterations", mixing.iterations.astype(np.float64), ("cell",), "1", "Newton iterations"),
            Field("alignment/residual", mixing.residual, ("cell",), "1", "relative residual of Eq. (14)"),
            Field("alignment/locked", mixing.locked.astype(np.float64), ("cell",), "1", "1 where flavours are locked"),
            Field("alignment/moments", moments, ("cell", "order", "component"), "cm^-3", "D_0 and D_1, Eq. (4)"),
            *self._charge_fields(),
            *self._equilibration_fields(),
            *self._thermal_fields(),
            Field(
                "mixing/matter_potential",
                self.hamiltonian.matter_potential(self.fluid),
                ("cell",),
                "1/cm",
                "sqrt(2) G_F (n_e- - n_e+)",
            ),
            Field("mixing/self_interaction", potential, ("cell",), "1/cm", "sqrt(2) G_F (D_0 - D_1), e minus heavy"),
            Field(
                "mixing/vacuum_frequency",
                self._vacuum_frequencies(),
                ("group", "splitting"),
                "1/cm",
                "|dm^2|/2E, solar and atmospheric",
                "global",
            ),
            Field(
                "mixing/electron_content",
                mixing.electron_content(self._frame),
                ("cell", "species", "group", "level"),
                "1",
                "|U_ek|^2 of the most forward direction",
            ),
        ]


def _refuse_idle_petsc_options(options: TransportOptions) -> None:
    """Raise ConfigurationError for options of the PETSc alignment when another solver aligns."""
    idle = [name for name in options.petsc if name.startswith("misci_align_")]
    if idle and (options.alignment.solver != "petsc" or not options.flavors.mixing):
        raise ConfigurationError(
            f'petsc.{idle[0]} has no effect here; accepted with alignment.solver = "petsc" and flavors.mixing = true'
        )


def _refuse_on_blocks(options: TransportOptions) -> None:
    """Raise ConfigurationError for what block meshes do not have."""
    for key, value, accepted in (
        ("alignment.charges", options.alignment.averaged, '"none", and bin_average "auto" or "off"'),
        ("advection.scheme", options.advection.scheme == "matrix", '"adiabatic"'),
    ):
        if value:
            raise ConfigurationError(f"{key} on a block mesh: accepted {accepted}; other values on a radial mesh only")


def _mixing_parameters(options: TransportOptions) -> MixingParameters:
    flavors = options.flavors
    given = {
        name: getattr(flavors, name)
        for name in ("theta12", "theta13", "theta23", "delta_cp", "dm2_21", "dm2_31")
        if getattr(flavors, name) is not None
    }
    return replace(MixingParameters.global_fit(flavors.ordering), **given)
