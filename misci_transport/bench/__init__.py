"""``misci bench``: what a step, a star and a start cost on this machine, each figure beside its goal."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from ..grid import RadialMesh
from ..options import TransportOptions
from .alignment import ITERATION_GOALS, alignment_costs
from .beyond import beyond_figures
from .blocks import COUPLED, UNCOUPLED, block_figures
from .figure import Figure
from .kinetics import kinetic_figures
from .ranks import rank_figures
from .star import benchmark_profile

if TYPE_CHECKING:
    from ..plugin import Transport
    from ..profile import Profile

#: cm; inside, the cells of a post-bounce star are flavour-locked.
INNER_PART = 3.0e7


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks on one core and print the table; exit code 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="misci bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--profile", type=Path, help="profile table to run on; the default is an analytic star")
    parser.add_argument(
        "--continuation", type=Path, help="table that continues the star outwards, for the steady solve"
    )
    parser.add_argument("--repeat", type=int, default=15, help="timed repetitions; the median counts (default 15)")
    arguments = parser.parse_args(argv)
    profile = benchmark_profile(arguments.profile)
    figures = [
        *(step_cost(profile, flavors, False, arguments.repeat, INNER_PART) for flavors in (2, 3)),
        *(step_cost(profile, flavors, coupled, arguments.repeat) for coupled in (False, True) for flavors in (2, 3)),
        mixing_ratio(profile, 2, arguments.repeat),
        mixing_ratio(profile, 3, arguments.repeat),
        *(figure for flavors in (2, 3) for figure in alignment_figures(flavors)),
        *kinetic_figures(2 * arguments.repeat),
        *beyond_figures(arguments.repeat),
        *block_figures(profile, max(arguments.repeat // 2, 1)),
        *rank_figures(arguments.profile, max(arguments.repeat // 4, 3)),
        steady_time(_continued(profile, arguments.continuation)),
        start_time(),
    ]
    if arguments.json:
        json.dump({"machine": machine(), "figures": [asdict(f) for f in figures]}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(f"{machine()}\n")
        for f in figures:
            goal = "" if f.target is None else f"goal {f.target:g}"
            sys.stdout.write(f"{f.name:56s} {f.value:10.1f} {f.unit:8s} {goal:10s} {f.remark}\n")
    return 0


def machine() -> str:
    """Processor and versions, for the head of the table."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}"


def step_cost(profile: Profile, flavors: int, coupled: bool, repeat: int, outer: float = np.inf) -> Figure:
    """Nanoseconds of one core per cell, direction, group and time step; neutrinos and antineutrinos together."""
    transport, seconds = _timed_steps(profile, flavors, coupled, mixing=True, repeat=repeat, outer=outer)
    space = transport.phase_space
    work = space.mesh.size * space.angles.size * space.energy.size
    unlocked = 1.0 - float(transport.mixing.locked.mean())
    kind = "with energy coupling" if coupled else "without energy coupling"
    if np.isfinite(outer):
        kind += f", r < {outer / 1.0e5:.0f} km"
    return Figure(
        f"step, {flavors} flavours, {kind}",
        1.0e9 * seconds / work,
        "ns",
        None if coupled else {2: 100.0, 3: 500.0}[flavors],
        f"{space.mesh.size} cells, {space.angles.size} directions, {space.energy.size} groups, "
        f"{unlocked:.0%} of the cells not flavour-locked",
    )


def mixing_ratio(profile: Profile, flavors: int, repeat: int) -> Figure:
    """Cost of a step with mixing over that of the same step without, measured in turn."""
    _, mixed = _timed_steps(profile, flavors, coupled=False, mixing=True, repeat=repeat)
    _, plain = _timed_steps(profile, flavors, coupled=False, mixing=False, repeat=repeat)
    return Figure(f"step with mixing over step without, {flavors} flavours", mixed / plain, "", None, "")


def alignment_figures(flavors: int, repeat: int = 200) -> list[Figure]:
    """Nanoseconds of one core per cell, direction and group: Newton iteration and residual with conserved charges."""
    goal = ITERATION_GOALS[flavors]
    remark = "charges given, averages over energy bins, neutrinos and antineutrinos together"
    return [
        Figure(f"alignment, {name}, {flavors} flavours", value, "ns", target, remark)
        for name, value, target in zip(
            ("iteration", "residual"), alignment_costs(flavors, repeat), (goal, 0.5 * goal), strict=True
        )
    ]


def steady_time(profile: Profile) -> Figure:
    """Wall time of one stationary star with three flavours on one core, kernels compiled."""
    transport, fluid = _transport(profile, 3, coupled=True, mixing=True)
    transport.solve_steady(fluid)
    transport, fluid = _transport(profile, 3, coupled=True, mixing=True)
    start = time.perf_counter()
    transport.solve_steady(fluid)
    elapsed = time.perf_counter() - start
    return Figure("steady star, 3 flavours, one core", elapsed, "s", 60.0, f"{transport.phase_space.mesh.size} cells")


def start_time() -> Figure:
    """Wall time of a new process that imports the package and takes one step, with a warm kernel cache."""
    command = [sys.executable, "-m", "misci_transport.bench.first_step"]
    subprocess.run(command, check=True)
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return Figure("import and first step, warm kernel cache", time.perf_counter() - start, "s", 5.0, "new process")


def _transport(
    profile: Profile, flavors: int, coupled: bool, mixing: bool, outer: float = np.inf
) -> tuple[Transport, Any]:
    from ..plugin import Transport

    options = TransportOptions.model_validate(
        {"flavors": {"number": flavors, "mixing": mixing}, "collisions": COUPLED if coupled else UNCOUPLED}
    )
    faces = profile.native_faces
    mesh = RadialMesh(faces[faces <= outer])
    transport = Transport(mesh, options)
    return transport, profile.on_faces(mesh.face).take(transport.decomposition.cells)


def _timed_steps(
    profile: Profile, flavors: int, coupled: bool, mixing: bool, repeat: int, outer: float = np.inf
) -> tuple[Transport, float]:
    """Transport started from the stationary state, and the median time of its steps."""
    transport, fluid = _transport(profile, flavors, coupled, mixing, outer)
    transport.solve_steady(fluid)
    dt = transport.max_dt()
    seconds = []
    for _ in range(repeat + 3):
        start = time.perf_counter()
        transport.step(fluid, dt)
        seconds.append(time.perf_counter() - start)
    # the first steps compile kernels and settle the angular tails of the stationary state
    return transport, median(seconds[3:])


def _continued(profile: Profile, continuation: Path | None) -> Profile:
    return profile if continuation is None else profile.join(benchmark_profile(continuation))
