"""Runs of the quantum kinetic equation from a case file: steps, time series, files, and the closing lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import to_toml
from .errors import CheckpointError, ConfigurationError
from .fields import Field
from .hdf5 import import_h5py
from .io.output import prepare_directory, write_fields
from .io.read import open_checkpoint
from .kinetics import HOMOGENEOUS, refractive_energy
from .parallel.errors import collective
from .parallel.warm import first_on_root

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from .kinetics import KineticBox
    from .kinetics_case import KineticCase

logger = logging.getLogger(__name__)

#: Cells of the box that compiles the kernels.
_TRIAL = 16


@dataclass(frozen=True)
class _Measure:
    """One entry of the time series."""

    axes: tuple[str, ...]
    unit: str
    about: str
    value: Callable[[KineticBox], Any]


def _measures(case: KineticCase, start: NDArray[np.float64]) -> dict[str, _Measure]:
    by_mode = ("direction", "species", "group")
    found = {
        "time": _Measure((), "length", "time", lambda box: box.time),
        "average": _Measure(
            (*by_mode, "component"), "1", "density matrices averaged over the box", lambda b: b.average()
        ),
        "survival": _Measure(
            by_mode,
            "1",
            "survival probability of what was in excess, from box averages; NaN where nothing was",
            lambda box: survival(box.average(), start),
        ),
        "coherence": _Measure((*by_mode, "pair"), "1", "root mean square of |rho_ij|", lambda box: box.coherence()),
        "trace_powers": _Measure(
            ("power", *by_mode), "1", "box averages of Tr rho, Tr rho^2, Tr rho^3", lambda box: box.trace_powers()
        ),
        "length_range": _Measure(
            ("end", *by_mode),
            "1",
            "smallest and largest Frobenius norm of rho without its trace",
            lambda box: box.length_range(),
        ),
        "lepton_numbers": _Measure(
            ("flavor",), "1", "box average of the sum of weights times (rho - rhobar)_ff", lambda b: b.lepton_numbers()
        ),
        "refractive_energy": _Measure(
            (), "1", "U_osc of the whole box, neutrinos among themselves", lambda box: refractive_energy(box).refractive
        ),
        "kinetic_energy_rate": _Measure(
            (), "1/length", "dK/dt by gradients of flavour", lambda box: refractive_energy(box).kinetic_rate
        ),
    }
    if case.run.wave_numbers:
        found["fourier_power"] = _Measure(
            ("wave_number", *by_mode, "pair"),
            "1",
            "|(1/L) integral of rho_ij e^{-ikx}|^2",
            lambda box: np.abs(box.fourier(case.run.wave_numbers)) ** 2,
        )
    if case.run.entropy:
        found["entropy"] = _Measure((), "1", "box average of the sum of weights times entropy", lambda b: b.entropy())
    return found


def survival(average: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rho_ee - x)/(e - x) with e and x the occupations of e and of the others (mean) at the start, by mode."""
    n = int(np.sqrt(start.shape[-1]))
    other = start[..., 1:n].mean(axis=-1)
    excess = start[..., 0] - other
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(excess == 0.0, np.nan, (average[..., 0] - other) / excess))


def run_kinetics(
    case: KineticCase, directory: str, comm: Any, restart: str | os.PathLike[str] | None = None
) -> list[str]:
    """Compute a case and write its files; the closing lines. Collective.

    Raises
    ------
    MisciError
        The same failure on every rank (ParallelError on those that did not see it themselves).
    """
    return _Job(case, directory, comm).run(restart)


class _Job:
    def __init__(self, case: KineticCase, directory: str, comm: Any) -> None:
        self.case, self.comm = case, comm
        self.directory = prepare_directory(directory, comm)
        import_h5py(parallel=comm.size > 1)
        self.box = case.make_box(comm)
        _, self.start = case.start()
        longest = case.run.dt if case.run.dt is not None else self.box.setup.cell_width
        #: A whole number of equal steps; an end that is one already but for round-off stays one.
        self.total = max(1, ceil(case.run.end_time / longest * (1.0 - 1.0e-12)))
        self.dt = case.run.end_time / self.total
        self.measures = _measures(case, self.start)
        self.series: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.measures}
        self.content: list[NDArray[np.float64]] = []
        self.seconds = {"steps": 0.0, "measures and output": 0.0}
        self.timed = 0

    def run(self, restart: str | os.PathLike[str] | None) -> list[str]:
        box, every = self.box, self.case.run.measure_every
        if restart is not None:
            self.restore(restart)
        else:
            self.measure()
        written: list[Path] = []
        warm = False
        while box.steps < self.total:
            begun = time.perf_counter()
            if warm:
                box.step(self.dt)
                self.seconds["steps"] += time.perf_counter() - begun
                self.timed += 1
            else:
                # the first step compiles; two ranks must not do that at once, and ghosts need all of them
                self._compile()
                box.step(self.dt)
                warm = True
            last = box.steps == self.total
            begun = time.perf_counter()
            if last or box.steps % every == 0:
                self.measure()
            if last or (self.case.run.checkpoint_every and box.steps % self.case.run.checkpoint_every == 0):
                self.write(f"checkpoint_{box.steps:08d}.h5", "checkpoint")
            self.seconds["measures and output"] += time.perf_counter() - begun
        box.march(0, self.dt)
        written.append(self.write(f"output_{box.steps:08d}.h5", "output"))
        return [*self.closing(), f"wrote {', '.join(str(path) for path in written)}"]

    def _compile(self) -> None:
        """One step of a small box on every rank by itself, one after the other."""
        homogeneous = self.box.setup.boundary == HOMOGENEOUS
        cells = 1 if homogeneous else _TRIAL
        section = self.case.box.model_copy(update={"cells": cells, "length": float(cells)})
        with first_on_root(self.comm):
            self.case.model_copy(update={"box": section}).make_box(None).step(0.5)

    def measure(self) -> None:
        for name, measure in self.measures.items():
            self.series[name].append(np.asarray(measure.value(self.box), dtype=np.float64))
        # the last direction is the one most along the axis
        f = self.box.density_matrix[-1, 0, 0]
        trace = f[: self.box.setup.n_flavors].sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.content.append(np.where(trace > 0.0, f[0] / trace, np.nan))

    # files

    def fields(self) -> list[Field]:
        box, case = self.box, self.case
        state = np.ascontiguousarray(np.moveaxis(box.density_matrix, -1, 0))
        matrices = ("cell", "direction", "species", "group", "component")
        found = [
            Field("box/position", box.position, ("cell",), "length", "centres of the cells"),
            Field("directions/cosine", box.setup.cosine, ("direction",), "1", "cosines", "global"),
            Field("directions/weight", box.setup.weight, ("direction",), "1", "weights in D_0 and D_1", "global"),
            Field("energy/frequency", np.array(case.hamiltonian.frequency), ("group",), "1/length", "dm2/2E", "global"),
            Field("energy/number_weight", box.setup.number_weight, ("group",), "1", "weights of groups", "global"),
            Field("state/density_matrix", state, matrices, "1", "packed density matrices at the end"),
            Field("state/time", np.array(box.time), (), "length", "time of the state", "global"),
            Field("state/steps", np.array(float(box.steps)), (), "1", "steps so far", "global"),
            Field(
                "map/electron_content",
                np.ascontiguousarray(np.array(self.content).T),
                ("cell", "time"),
                "1",
                "share of nu_e in the last direction, first group, at the times of the series",
            ),
        ]
        if case.run.wave_numbers:
            k = np.array(case.run.wave_numbers)
            found.append(Field("series/wave_number", k, ("wave_number",), "1/length", "k of fourier_power", "global"))
        for name, measure in self.measures.items():
            values = np.array(self.series[name])
            found.append(
                Field(f"series/{name}", values, ("time", *measure.axes), measure.unit, measure.about, "global")
            )
        return found

    def write(self, name: str, kind: str) -> Path:
        attributes = {"model": "kinetics", "title": self.case.title, "configuration": to_toml(self.case)}
        return write_fields(self.directory / name, self.fields(), attributes, self.box.range, kind=kind)

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Continue from a checkpoint; the series goes on."""
        box = self.box
        with collective(self.comm), open_checkpoint(path) as reader:
            if reader.attributes.get("model") != "kinetics":
                raise CheckpointError(f"{path}: its model is {reader.attributes.get('model')!r}; accepted: 'kinetics'")
            shape = (box.setup.cells, *box.setup.matrix_shape)
            if reader.shape("state/density_matrix") != shape:
                raise CheckpointError(
                    f"{path}: density matrices have shape {reader.shape('state/density_matrix')}; accepted: {shape}"
                )
            if not np.array_equal(reader["directions/cosine"], box.setup.cosine):
                raise CheckpointError(f"{path}: its directions differ from those of the case")
            steps = int(reader.scalar("state/steps"))
            if steps >= self.total:
                raise ConfigurationError(
                    f"run.end_time is {self.case.run.end_time:g}: {self.total} steps of {self.dt:g}, and the "
                    f"checkpoint is after {steps}; accepted: a later end"
                )
            box.density_matrix[...] = np.moveaxis(reader.array("state/density_matrix", box.range.cells), 0, -1)
            box.time, box.steps = reader.scalar("state/time"), steps
            for name in self.series:
                if f"series/{name}" not in reader:
                    raise CheckpointError(f"{path}: series/{name} is missing; accepted: a run with the same measures")
                self.series[name] = list(reader[f"series/{name}"])
            self.content = list(reader.array("map/electron_content", box.range.cells).T)

    # the end

    @property
    def cost(self) -> float:
        """Nanoseconds of one core per cell, direction, group and step, both species, without the first step."""
        box = self.box
        points = box.setup.cells * box.setup.cosine.size * box.setup.groups * self.timed
        return 1.0e9 * self.seconds["steps"] * box.range.size / points if points else float("nan")

    def closing(self) -> list[str]:
        box, series = self.box, self.series
        clock = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.seconds.items())
        traces = np.array(series["trace_powers"])
        leptons = np.array(series["lepton_numbers"])
        low, high = series["length_range"][0][0], series["length_range"][0][1]
        last = series["length_range"][-1]
        energy = np.array(series["refractive_energy"])
        survived = series["survival"][-1]
        mean = np.nanmean(survived) if np.isfinite(survived).any() else float("nan")
        ranks = box.range.size
        return [
            f"time: {clock}",
            f"state: time {box.time:g}, mean survival probability {mean:.4g}, "
            f"U_osc {energy[0]:.6g} to {energy[-1]:.6g}",
            f"largest change of box averages: Tr rho {np.abs(traces[:, 0] - traces[0, 0]).max():.2e}, "
            f"Tr rho^2 {np.abs(traces[:, 1] - traces[0, 1]).max():.2e}, "
            f"lepton number {np.abs(leptons.sum(axis=1) - leptons[0].sum()).max():.2e}; "
            f"rho without trace, norm: smallest {low.min():.6g} to {last[0].min():.6g}, "
            f"largest {high.max():.6g} to {last[1].max():.6g}",
            f"cost: {self.cost:.0f} ns of one core per cell, direction, group and step ({box.setup.cells} cells, "
            f"{box.setup.cosine.size} directions, {box.setup.groups} groups, {box.steps} steps, "
            f"{ranks} rank{'s' if ranks > 1 else ''})",
        ]
