"""A run from a case: fluid -> rates -> transport -> alignment -> ledger -> sources -> output."""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import to_toml
from .errors import ConfigurationError, ConvergenceError, OutputError
from .fields import Field
from .flavor import MixingParameters
from .hdf5 import import_h5py
from .io.checkpoint import restore, write_checkpoint
from .io.output import prepare_directory, write_fields
from .io.read import Reader, open_output
from .io.xdmf import write_xdmf
from .parallel.errors import collective
from .scene import read_scene, reference_fields

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from .block_mesh import BlockMesh
    from .config import Case
    from .fluid import Fluid
    from .grid import RadialMesh
    from .options import FlavorOptions, TransportOptions
    from .physics.block_boundary import BlockBoundary
    from .scene import Scene

logger = logging.getLogger(__name__)

#: Seconds between progress lines where there is no terminal.
_LINE_INTERVAL = 10.0
#: Where the electron and heavy flavours' spectra differ by less than this fraction, no survival probability is formed.
_SPECTRUM_CONTRAST = 1.0e-3
#: Nor where the difference is below this fraction of its largest value over energy: round-off of the solve.
_SPECTRUM_FLOOR = 1.0e-12
#: Entries of the ledger that tell what the scheme had to mend.
_BOOKED = ("corrections", "count")


@dataclass
class RunSummary:
    """What a run did."""

    outputs: list[Path] = field(default_factory=list)
    checkpoints: list[Path] = field(default_factory=list)
    steps: int = 0  #: time steps, or Newton iterations of all steady solves
    first_steps: int = 0  #: those of the first step or solve, whose time includes compilation
    step_name: str = "step"
    time: float = 0.0  #: s
    cells: int = 0
    directions: int = 0
    groups: int = 0
    ranks: int = 1
    seconds: dict[str, float] = field(
        default_factory=dict
    )  #: wall-clock time of set-up, first step or solve, steps, output
    alignment: dict[str, float] = field(default_factory=dict)
    ledger: dict[str, float] = field(default_factory=dict)
    validity: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)  #: where the assumptions of the method fail
    survival: dict[str, Any] = field(default_factory=dict)  #: steady with twin: at the outermost face

    @property
    def cost(self) -> float:
        """Nanoseconds of one core per cell, direction, group and step, without the first part where there is more."""
        later = self.steps - self.first_steps
        seconds, steps = (self.seconds["steps"], later) if later else (self.seconds["first"], self.first_steps)
        points = self.cells * self.directions * self.groups * steps
        return 1.0e9 * seconds * self.ranks / points if points else float("nan")

    def lines(self) -> list[str]:
        """The closing lines for people."""
        clock = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.seconds.items())
        numbers = ", ".join(f"{key} {value:.6g}" for key, value in self.alignment.items())
        booked = ", ".join(f"{key} {value:.3g}" for key, value in self.ledger.items() if key.startswith(_BOOKED))
        return [
            f"time: {clock}",
            f"alignment: {numbers or 'off'}; corrections: {booked or 'none'}",
            f"cost: {self.cost:.0f} ns of one core per cell, direction, group and {self.step_name} "
            f"({self.cells} cells, {self.directions} directions, {self.groups} groups, {self.steps} {self.step_name}s, "
            f"{self.ranks} rank{'s' if self.ranks > 1 else ''})",
            *self.judgement(),
        ]

    def judgement(self) -> list[str]:
        """Whether the assumptions of the method hold, and where they do not."""
        if not self.validity:
            return ["validity: not measured"]
        if not self.warnings:
            return ["validity: no assumption of local mixing equilibrium fails"]
        return ["validity: the assumptions of local mixing equilibrium FAIL", *(f"  {line}" for line in self.warnings)]


def run_case(
    case: Case,
    output_directory: str | os.PathLike[str],
    comm: Any = None,
    restart: str | os.PathLike[str] | None = None,
) -> RunSummary:
    """Compute a case and write its files into ``output_directory``. Collective.

    Everything that can be wrong with the input is checked before the first step.

    Raises
    ------
    MisciError
        The same failure on every rank (ParallelError on those that did not see it themselves).
    """
    if comm is None:
        from .parallel.petsc import world

        comm = world()
    summary = RunSummary(ranks=comm.size)
    clock = _Clock(summary.seconds)
    with clock("set-up"):
        directory = prepare_directory(output_directory, comm)
        # the build of h5py is chosen at its first import, which a snapshot may need
        import_h5py(parallel=comm.size > 1)
        with collective(comm):
            scene = read_scene(case)
    job = _Job(case, directory, comm, scene, summary, clock)
    if case.run.mode == "steady":
        if restart is not None:
            raise ConfigurationError('--restart: accepted only with run.mode = "time"')
        job.steady()
    else:
        job.march(restart)
    summary.cells, summary.directions = job.transport.phase_space.mesh.size, job.transport.phase_space.angles.size
    summary.groups = job.transport.phase_space.energy.size
    job.write_summary()
    return summary


def make_transport(
    mesh: RadialMesh | BlockMesh, options: TransportOptions, comm: Any, boundary: BlockBoundary | None = None
) -> Any:
    """The object that a host code would hold as well; matter that nobody moves does not respond."""
    from .plugin import Transport

    if options.collisions.response == "auto":
        collisions = options.collisions.model_copy(update={"response": "off"})
        options = options.model_copy(update={"collisions": collisions})
    return Transport(mesh, options, comm, boundary)


def vacuum_survival(flavors: FlavorOptions) -> dict[str, float]:
    """Electron survival probabilities after adiabatic conversion from high density to vacuum.

    Neutrinos are born in the highest level of H, antineutrinos in the lowest of their matter-dominated ordering:
    normal |U_e3|^2 and |U_e1|^2, inverted |U_e2|^2 and |U_e3|^2; two flavours sin^2 and cos^2 of theta13.
    Source: A. S. Dighe, A. Yu. Smirnov, Phys. Rev. D 62, 033007 (2000).
    """
    names = ("theta12", "theta13", "theta23", "delta_cp", "dm2_21", "dm2_31")
    given = {name: getattr(flavors, name) for name in names if getattr(flavors, name) is not None}
    mixing = replace(MixingParameters.global_fit(flavors.ordering), **given)
    normal = flavors.ordering == "normal"
    if flavors.number == 2:
        sine, cosine = float(np.sin(mixing.theta13) ** 2), float(np.cos(mixing.theta13) ** 2)
        return {"neutrino": sine if normal else cosine, "antineutrino": cosine if normal else sine}
    electron = np.abs(mixing.matrix[0]) ** 2
    return {
        "neutrino": float(electron[2] if normal else electron[1]),
        "antineutrino": float(electron[0] if normal else electron[2]),
    }


def survival_probability(spectrum: NDArray[np.float64], unmixed: NDArray[np.float64]) -> NDArray[np.float64]:
    """P = (F_e - F_x0)/(F_e0 - F_x0), F_x0 the mean of the heavy flavours without mixing.

    Arguments have the flavour axis at -2 and the group axis last; the result has lost the flavour axis. It is
    NaN where F_e0 and F_x0 are too close to each other to tell, or both are round-off.
    """
    electron_0, heavy_0 = unmixed[..., 0, :], 0.5 * (unmixed[..., 1, :] + unmixed[..., 2, :])
    contrast = electron_0 - heavy_0
    size = np.abs(contrast)
    usable = size > _SPECTRUM_CONTRAST * (np.abs(electron_0) + np.abs(heavy_0))
    usable &= size > _SPECTRUM_FLOOR * size.max(axis=-1, keepdims=True)
    result = np.full(contrast.shape, np.nan)
    np.divide(spectrum[..., 0, :] - heavy_0, contrast, out=result, where=usable)
    return result


class _Clock:
    """Wall-clock time by part of the run."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def __call__(self, name: str) -> _Clock:
        self.name = name
        return self

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + time.perf_counter() - self.start


class _History:
    """The ledger after every step, carried through restarts."""

    def __init__(self) -> None:
        self.columns: dict[str, list[float]] = {}

    def add(self, row: dict[str, float]) -> None:
        for name, value in row.items():
            self.columns.setdefault(_slug(name), []).append(float(value))

    def fields(self) -> list[Field]:
        return [
            Field(f"history/{name}", np.array(values), ("step",), _ledger_unit(name), name, "global")
            for name, values in self.columns.items()
        ]

    def read(self, reader: Reader) -> None:
        for name in reader.names:
            if name.startswith("history/"):
                self.columns[name.removeprefix("history/")] = [float(value) for value in reader.array(name)]


@dataclass
class _Job:
    """One run in progress."""

    case: Case
    directory: Path
    comm: Any
    scene: Scene
    summary: RunSummary
    clock: _Clock
    transport: Any = None

    # ---- stationary state ----------------------------------------------------------------------------------

    def steady(self) -> None:
        """Solve the case, after its variants without mixing and without self-interaction where asked for."""
        options = self.case.transport
        unmixed = None
        if self.case.run.twin and options.flavors.mixing:
            self.solve("without mixing", _with(options, mixing=False))
            unmixed = _named(self.transport.fields(), "radiation/number_spectrum")
        if self.case.run.compare_self_interaction and options.flavors.self_interaction and options.flavors.mixing:
            self.solve("without self-interaction", _with(options, self_interaction=False), unmixed)
        self.solve("", options, unmixed)
        with self.clock("output"):
            self.checkpoint("checkpoint_steady.h5")

    def solve(self, variant: str, options: TransportOptions, unmixed: Field | None = None) -> None:
        """Stationary state of the star with these options, and its output file."""
        with self.clock("set-up"):
            fluid = self.begin(options)
        space = self.transport.phase_space
        logger.info(
            "steady state%s: %d cells, %d directions, %d groups, %d flavours, %s ordering",
            f" {variant}" if variant else "",
            space.mesh.size,
            space.angles.size,
            space.energy.size,
            options.flavors.number,
            options.flavors.ordering,
        )
        summary = self.summary
        with self.clock("steps" if summary.steps else "first"):
            report = self.transport.solve_steady(fluid)
        iterations = max(int(report.newton_iterations), 1)
        summary.step_name = "Newton iteration"
        summary.first_steps = summary.first_steps or iterations
        summary.steps += iterations
        with self.clock("output"):
            fields = [*self.transport.fields(), *self.solver_fields(report)]
            if unmixed is not None:
                fields += self.survival_fields(fields, unmixed, options, variant)
            name = "steady.h5" if not variant else f"steady_{variant.replace(' ', '_').replace('-', '_')}.h5"
            attributes = {"variant": variant, "converged": bool(report.converged), "reason": str(report.reason)}
            self.write(name, fields, attributes)
        first, last = (*report.residual_history[:1], *report.residual_history[-1:]) or (np.nan, np.nan)
        logger.info(
            "%s after %d Newton and %d linear iterations, residual %.1e -> %.1e",
            report.reason,
            report.newton_iterations,
            report.krylov_iterations,
            first,
            last,
        )
        if not report.converged:
            raise ConvergenceError(
                f"steady state{' ' + variant if variant else ''}: {report.reason}; residual {last:.3e} of {first:.3e}, "
                f"accepted: steady.relative_tolerance = {options.steady.relative_tolerance:g} "
                f"(the state reached is in {self.directory / name})"
            )

    def solver_fields(self, report: Any) -> list[Field]:
        """Iterations of a steady solve."""
        history = np.array(report.residual_history, dtype=np.float64)
        return [
            Field("solver/residual_history", history, ("newton_iteration",), "1", "norm of the residual", "global"),
            _scalar("solver/newton_iterations", report.newton_iterations, "1", "nonlinear iterations"),
            _scalar("solver/krylov_iterations", report.krylov_iterations, "1", "linear iterations"),
            _scalar(
                "solver/refused_trials", report.refused_trials, "1", "trials of the line search without aligned state"
            ),
        ]

    def survival_fields(
        self, fields: list[Field], unmixed: Field, options: TransportOptions, variant: str
    ) -> list[Field]:
        """Survival probabilities from the twin run, and from level populations times |U_ek|^2 at the surface."""
        spectrum = _named(fields, "radiation/number_spectrum")
        probability = survival_probability(spectrum.values, unmixed.values)
        # levels carry what the electron flavour is made of: F_e = sum_k F_k |U_ek|^2
        levels = _named(fields, "mixing/level_number_luminosity").values[-1]
        content = _named(fields, "mixing/electron_content").values[-1]
        from_levels = unmixed.values[-1].copy()
        from_levels[:, 0] = np.einsum("skg,sgk->sg", levels, content)
        surface = np.stack([probability[-1], survival_probability(from_levels, unmixed.values[-1])])
        surface = self.comm.bcast(surface, root=self.comm.size - 1)  # the last rank owns the outermost face
        expected = vacuum_survival(options.flavors)
        self.summary.survival[variant or "full"] = {
            "expected": expected,
            "largest_deviation": {
                name: [_largest(surface[0, s] - expected[name]), _largest(surface[1, s] - expected[name])]
                for s, name in enumerate(("neutrino", "antineutrino"))
            },
        }
        about = "electron flavour, from the twin run without mixing"
        return [
            Field("survival/probability", probability, ("face", "species", "group"), "1", about, "face"),
            Field("survival/surface", surface[0], ("species", "group"), "1", f"{about}, outermost face", "global"),
            Field(
                "survival/surface_from_levels",
                surface[1],
                ("species", "group"),
                "1",
                "the same from level populations times |U_ek|^2 of the outermost cell",
                "global",
            ),
            Field(
                "survival/adiabatic_vacuum",
                np.array([expected["neutrino"], expected["antineutrino"]]),
                ("species",),
                "1",
                "|U_ek|^2 expected after adiabatic conversion without self-interaction",
                "global",
            ),
        ]

    # ---- time-dependent ------------------------------------------------------------------------------------

    def march(self, restart: str | os.PathLike[str] | None) -> None:
        """Step to the end time or the last step, with output and checkpoints on the way."""
        run = self.case.run
        with self.clock("set-up"):
            fluid = self.begin(self.case.transport)
            limit = np.inf if run.implicit else float(self.transport.max_dt())
            if run.dt is not None and run.dt > limit:
                raise ConfigurationError(
                    f"run.dt is {run.dt!r} s; accepted: 0 < dt <= {limit:.6g} s, "
                    f"advection.cfl = {self.case.advection.cfl:g} times the shortest light-crossing time of a cell"
                )
            history = _History()
            if restart is not None:
                restore(restart, self.transport)
                with collective(self.comm), open_output(restart) as reader:
                    history.read(reader)
        state = self.transport.state
        first_step, done_steps = state.step, 0
        step_size = limit if run.dt is None else run.dt
        if _finished(state, run.end_time, run.max_steps):
            raise ConfigurationError(
                f"the checkpoint is at step {state.step}, {state.time:g} s; "
                "accepted: run.end_time or run.max_steps beyond it"
            )
        advance = self.transport.step_implicit if run.implicit else self.transport.step
        progress = _Progress(self.comm, state, run.end_time, run.max_steps, limit)
        while not _finished(state, run.end_time, run.max_steps):
            dt = step_size if run.end_time is None else min(step_size, run.end_time - state.time)
            with self.clock("steps" if done_steps else "first"):
                advance(fluid, dt)
            if run.end_time is not None and run.end_time - state.time < 1.0e-12 * run.end_time:
                state.time = run.end_time  # what is left is round-off of the sum, not a step
            done_steps = state.step - first_step
            history.add({"step": state.step, "time": state.time, "dt": dt, **self.transport.ledger()})
            finished = _finished(state, run.end_time, run.max_steps)
            progress.show(state)
            with self.clock("output"):
                if finished or (run.output_every and state.step % run.output_every == 0):
                    fields = [*self.transport.fields(), *history.fields()]
                    self.write(f"output_{state.step:08d}.h5", fields, {"variant": ""})
                if finished or (run.checkpoint_every and state.step % run.checkpoint_every == 0):
                    self.checkpoint(f"checkpoint_{state.step:08d}.h5", history.fields())
        progress.close()
        self.summary.steps, self.summary.first_steps, self.summary.time = done_steps, 1, state.time

    # ---- common --------------------------------------------------------------------------------------------

    def begin(self, options: TransportOptions) -> Fluid:
        """Make the transport; the matter on this rank's cells."""
        scene = self.scene
        self.transport = make_transport(scene.mesh, options, self.comm, scene.boundary)
        with collective(self.comm):
            return scene.matter(self.transport.decomposition)

    def write(self, name: str, fields: list[Field], attributes: dict[str, Any]) -> None:
        """One output file with its XDMF."""
        transport = self.transport
        self.summary.ledger = {key: float(value) for key, value in transport.ledger().items()}
        self.summary.alignment = {key: float(value) for key, value in transport.alignment_summary().items()}
        self.summary.validity, self.summary.warnings = transport.validity_summary()
        if not self.case.output.populations:
            fields = [item for item in fields if item.name != "populations"]
        fields = [
            *fields,
            *(_scalar(f"ledger/{_slug(key)}", v, _ledger_unit(key), key) for key, v in self.summary.ledger.items()),
            *(_scalar(f"alignment_summary/{_slug(key)}", v, "1", key) for key, v in self.summary.alignment.items()),
            *reference_fields(self.scene.reference),
        ]
        path = write_fields(self.directory / name, fields, self.attributes() | attributes, transport.decomposition)
        with collective(self.comm):
            if self.comm.rank == 0:
                with open_output(path) as reader:
                    write_xdmf(reader)
        self.summary.outputs.append(path)

    def checkpoint(self, name: str, extra: list[Field] | None = None) -> None:
        """One checkpoint."""
        path = self.directory / name
        self.summary.checkpoints.append(write_checkpoint(path, self.transport, self.attributes(), extra or []))

    def attributes(self) -> dict[str, Any]:
        """What a file says about the run that made it."""
        state = self.transport.state
        return {
            "title": self.case.title,
            "configuration": to_toml(self.case),
            **self.scene.attributes(),
            "ordering": self.case.flavors.ordering,
            "time": float(state.time),
            "step": int(state.step),
        }

    def write_summary(self) -> None:
        """The summary as JSON beside the outputs."""
        summary = self.summary
        content = {
            "outputs": [path.name for path in summary.outputs],
            "checkpoints": [path.name for path in summary.checkpoints],
            "steps": summary.steps,
            "time [s]": summary.time,
            f"cost [ns per cell, direction, group and {summary.step_name}]": summary.cost,
            "seconds": summary.seconds,
            "ranks": summary.ranks,
            "cells": summary.cells,
            "directions": summary.directions,
            "groups": summary.groups,
            "alignment": summary.alignment,
            "ledger": summary.ledger,
            "validity": {key: _finite(value) for key, value in summary.validity.items()},
            "warnings": summary.warnings,
            "survival": summary.survival,
        }
        with collective(self.comm):
            if self.comm.rank == 0:
                path = self.directory / "summary.json"
                partial = path.with_name(f".{path.name}.partial")
                partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
                partial.replace(path)


class _Progress:
    """Time, step, step limit and ETA on rank 0: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, comm: Any, state: Any, end_time: float | None, max_steps: int | None, limit: float) -> None:
        self.active = comm.rank == 0
        self.end_time, self.max_steps, self.limit = end_time, max_steps, limit
        self.began, self.begin_fraction, self.last = time.monotonic(), self.fraction(state), time.monotonic()
        self.bar: Any = None
        if self.active and sys.stderr.isatty():
            from tqdm import tqdm

            layout = "{percentage:5.1f}% |{bar}| {postfix} [{elapsed} < {remaining}]"
            self.bar = tqdm(total=1.0, initial=self.begin_fraction, bar_format=layout, dynamic_ncols=True)

    def fraction(self, state: Any) -> float:
        """How much of the run is done."""
        by_time = 0.0 if self.end_time is None else state.time / self.end_time
        return max(by_time, 0.0 if self.max_steps is None else state.step / self.max_steps)

    def show(self, state: Any) -> None:
        """Tell where the run is."""
        if not self.active:
            return
        words = f"t = {state.time:.4e} s, step {state.step}"
        words += f", step limit {self.limit:.2e} s" if np.isfinite(self.limit) else ""
        done = self.fraction(state)
        if self.bar is not None:
            self.bar.set_postfix_str(words, refresh=False)
            self.bar.update(min(done, 1.0) - self.bar.n)
        elif time.monotonic() - self.last > _LINE_INTERVAL:
            self.last = time.monotonic()
            rate = (done - self.begin_fraction) / (self.last - self.began)
            logger.info("%s, %.1f %% done, ETA %.0f s", words, 100.0 * done, (1.0 - done) / rate if rate else np.inf)

    def close(self) -> None:
        """Finish the bar."""
        if self.bar is not None:
            self.bar.close()


def _finished(state: Any, end_time: float | None, max_steps: int | None) -> bool:
    return (end_time is not None and state.time >= end_time) or (max_steps is not None and state.step >= max_steps)


def _with(options: TransportOptions, **changes: bool) -> TransportOptions:
    return options.model_copy(update={"flavors": options.flavors.model_copy(update=changes)})


def _named(fields: list[Field], name: str) -> Field:
    for item in fields:
        if item.name == name:
            return item
    raise OutputError(f"field {name} is missing from the transport's results")


def _scalar(name: str, value: float, unit: str, description: str) -> Field:
    return Field(name, np.array(float(value)), (), unit, description, "global")


def _slug(name: str) -> str:
    return name.replace(" ", "_").replace("-", "_")


def _finite(value: float) -> float | None:
    """None for what JSON has no number for."""
    return value if np.isfinite(value) else None


def _ledger_unit(name: str) -> str:
    if name in ("time", "dt"):
        return "s"
    return "MeV" if "energy" in name or "heat" in name else "1"


def _largest(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else float("nan")
