"""Runs of the encounter gas from a case file: realizations, the limits beside them, one output file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import to_toml
from .encounters import SlowHistory, concurrence, miscidynamics, modes_of, pair_state, simulate, slow_equation
from .errors import ConfigurationError
from .fields import Field
from .io.output import prepare_directory, write_fields
from .parallel.errors import collective
from .parallel.warm import first_on_root

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from .encounters import GasHistory, Setting
    from .encounters_case import EncounterCase


def run_encounters(
    case: EncounterCase, directory: str, comm: Any, restart: str | os.PathLike[str] | None = None
) -> list[str]:
    """Compute a case and write its file; the closing lines. Collective.

    Raises
    ------
    MisciError
        The same failure on every rank (ParallelError on those that did not see it themselves).
    """
    if restart is not None:
        raise ConfigurationError('--restart is given; accepted with model = "encounters": none, runs begin at t = 0')
    place = prepare_directory(directory, comm)
    setting = case.setting()
    modes = modes_of(setting, case.run.cosines)
    steps = np.unique(np.linspace(0, case.steps, case.run.outputs + 1).round().astype(np.int64))
    with first_on_root(comm):
        simulate(setting, [1])
    begun = time.perf_counter()
    history = simulate(setting, steps, case.gas.realizations, comm)
    seconds = time.perf_counter() - begun
    limits: dict[str, SlowHistory] = {}
    with collective(comm):
        if case.run.slow_equation:
            limits["slow"] = slow_equation(modes, history.times)
        if case.run.miscidynamics:
            limits["miscidynamics"] = miscidynamics(modes, history.times)
    path = place / f"output_{case.steps:08d}.h5"
    attributes = {"model": "encounters", "title": case.title, "configuration": to_toml(case)}
    if comm.rank == 0:
        attributes["group_names"] = " ".join(case.groups)
    with collective(comm):
        if comm.rank == 0:
            write_fields(path, _fields(setting, history, limits), attributes)
    return [*_closing(setting, history, limits, seconds), f"wrote {path}"]


def axis_of_total(setting: Setting) -> NDArray[np.float64]:
    """Unit vector along J at the start; z where there is none."""
    total = setting.numbers @ setting.start / setting.size
    length = float(np.linalg.norm(total))
    return np.asarray(total / length) if length > 0.0 else np.array([0.0, 0.0, 1.0])


def parting_concurrence(setting: Setting, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Concurrence (time, group, group) of pairs with mean P (time, group, 3) after an encounter."""
    shape = (*mean.shape[:2], mean.shape[1], 3)
    one, two = (np.broadcast_to(p, shape) for p in (mean[:, :, None], mean[:, None]))
    phi = np.broadcast_to(setting.gamma * setting.coupling, shape[:3])
    return concurrence(pair_state(one, two, phi))


def _fields(setting: Setting, history: GasHistory, limits: dict[str, SlowHistory]) -> list[Field]:
    by_group, vectors = ("time", "group"), ("time", "group", "xyz")
    many = history.polarization.shape[0] > 1
    error = history.error if many else np.full(history.mean.shape, np.nan)
    rows = [
        ("series/time", history.times, ("time",), "1/mu", "time"),
        ("series/encounters", history.steps.astype(np.float64), ("time",), "1", "encounters of each neutrino so far"),
        ("groups/number", setting.numbers.astype(np.float64), ("group",), "1", "neutrinos"),
        ("groups/polarization", history.mean, vectors, "1", "mean P, averaged over realizations"),
        ("groups/standard_error", error, vectors, "1", "of the mean P by the scatter of realizations; NaN with one"),
        ("groups/length", history.length.mean(axis=0), by_group, "1", "mean |P| of a neutrino"),
        ("groups/purity", history.purity.mean(axis=0), by_group, "1", "mean Tr rho^2 of a neutrino"),
        ("groups/entropy", history.entropy.mean(axis=0), by_group, "nat", "mean entropy of a neutrino"),
        ("groups/total_axis", axis_of_total(setting), ("xyz",), "1", "direction of the total J, which stays"),
        (
            "realizations/polarization",
            history.polarization,
            ("realization", "time", "group", "xyz"),
            "1",
            "mean P of the groups in each realization",
        ),
    ]
    if setting.velocities == "directions":
        rows.append(
            (
                "groups/concurrence",
                parting_concurrence(setting, history.mean),
                ("time", "group", "group"),
                "1",
                "of two neutrinos with the mean P of their groups, when they part",
            )
        )
    for name, limit in limits.items():
        rows.append((f"{name}/polarization", limit.group_means, vectors, "1", f"mean P by {_WORDS[name]}"))
        if limit.precession is not None:
            rows.append((f"{name}/precession", limit.precession, ("time",), "mu", "frequency Omega about J"))
    return [Field(name, np.asarray(values), axes, unit, about, "global") for name, values, axes, unit, about in rows]


_WORDS = {"slow": "the slow equation", "miscidynamics": "miscidynamics, in the frame that turns about J"}


def _closing(setting: Setting, history: GasHistory, limits: dict[str, SlowHistory], seconds: float) -> list[str]:
    axis = axis_of_total(setting)
    total = np.einsum("g,rtgi->rti", setting.numbers / setting.size, history.polarization)
    entropy = history.entropy.mean(axis=0) @ setting.numbers / setting.size
    lines = [
        f"gas: {setting.size} neutrinos, {history.steps[-1]} encounters each, "
        f"{history.polarization.shape[0]} realizations; {history.encounters / max(seconds, 1e-9):.3g} encounters/s",
    ]
    if not setting.has_vacuum:
        lines.append(f"largest change of the total J/N: {np.abs(total - total[:, :1]).max():.2e}")
    lines.append(f"entropy of a neutrino: {entropy[0]:.6g} to {entropy[-1]:.6g} nat, ln 2 = {np.log(2.0):.6g}")
    for name, limit in limits.items():
        away = (history.mean - limit.group_means) @ axis
        text = f"{name}: largest distance along J {np.abs(away).max():.2e}"
        if history.polarization.shape[0] > 1:
            along = history.polarization @ axis
            error = along.std(axis=0, ddof=1)[1:] / np.sqrt(along.shape[0])
            if (error > 0.0).all():
                text += f", {np.abs(away[1:] / error).max():.2g} standard errors"
        if limit.precession is not None:
            text += f"; Omega {limit.precession[0]:.6g} to {limit.precession[-1]:.6g}"
        lines.append(text)
    return lines
