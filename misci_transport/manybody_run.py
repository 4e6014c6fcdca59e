"""Runs of the many-body model from a case file: evolution, observables, one output file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import to_toml
from .errors import ConfigurationError
from .fields import Field
from .io.output import prepare_directory, write_fields
from .manybody.gas import BYTES_OF_AMPLITUDE, warm
from .parallel.errors import collective
from .parallel.warm import first_on_root

if TYPE_CHECKING:
    import os

    from .manybody_case import ManyBodyCase


def run_manybody(
    case: ManyBodyCase, directory: str, comm: Any, restart: str | os.PathLike[str] | None = None
) -> list[str]:
    """Compute a case and write its file; the closing lines. Collective.

    Raises
    ------
    MisciError
        The same failure on every rank (ParallelError on those that did not see it themselves).
    """
    if restart is not None:
        raise ConfigurationError('--restart is given; accepted with model = "manybody": none, runs begin at t = 0')
    place = prepare_directory(directory, comm)
    with first_on_root(comm):
        warm()
    gas = case.make_gas(comm)
    pairs = [(pair[0], pair[1]) for pair in case.run.pairs]
    times = np.linspace(0.0, case.run.end_time, case.run.outputs + 1)
    series: dict[str, list[Any]] = {name: [] for name in ("polarization", "entropy", "pair_entropy", "norm")}
    terms, evolving = 0, 0.0
    for k, at in enumerate(times):
        if k > 0:
            begun = time.perf_counter()
            terms += gas.evolve(float(at - times[k - 1]))
            evolving += time.perf_counter() - begun
        series["polarization"].append(gas.polarization())
        series["entropy"].append(gas.entropies())
        if pairs:
            series["pair_entropy"].append(gas.pair_entropies(pairs))
        series["norm"].append(gas.norm())
    path = place / f"output_{case.run.outputs:08d}.h5"
    with collective(comm):
        if comm.rank == 0:
            attributes = {"model": "manybody", "title": case.title, "configuration": to_toml(case)}
            write_fields(path, _fields(case, times, series), attributes)
    total = np.array(series["polarization"])[:, :, 2].sum(axis=1)
    layout = gas.layout
    sector = "all states" if layout.ups is None else f"{layout.ups} nu_e"
    held = gas.bytes_held / (BYTES_OF_AMPLITUDE * max(layout.largest, 1))
    lines = [
        f"{layout.spins} neutrinos, {sector}: {layout.dimension} amplitudes on {layout.size} "
        f"rank{'s' if layout.size > 1 else ''}, {held:.1f} state vectors held",
        f"{terms} terms in {evolving:.2f} s, {gas.applications} applications of H with those for its bounds",
        f"norm - 1: {np.abs(np.array(series['norm']) - 1.0).max():.2e}; largest change of the total P_z: "
        f"{np.abs(total - total[0]).max():.2e}",
    ]
    gas.free()
    return [*lines, f"wrote {path}"]


def _fields(case: ManyBodyCase, times: Any, series: dict[str, list[Any]]) -> list[Field]:
    rows: list[tuple[str, Any, tuple[str, ...], str, str]] = [
        ("series/time", times, ("time",), "1/mu", "time"),
        ("series/norm", series["norm"], ("time",), "1", "sum of |psi|^2"),
        ("neutrinos/polarization", series["polarization"], ("time", "neutrino", "xyz"), "1", "P of each neutrino"),
        ("neutrinos/entropy", series["entropy"], ("time", "neutrino"), "nat", "entropy of each neutrino"),
        ("neutrinos/coupling", case.couplings(), ("neutrino", "neutrino"), "mu", "mu_ij"),
    ]
    if case.run.pairs:
        rows += [
            ("pairs/members", np.array(case.run.pairs, dtype=np.float64), ("pair", "member"), "1", "neutrinos"),
            ("pairs/entropy", series["pair_entropy"], ("time", "pair"), "nat", "entropy of each pair"),
        ]
    return [
        Field(name, np.asarray(v, dtype=np.float64), axes, unit, text, "global") for name, v, axes, unit, text in rows
    ]
