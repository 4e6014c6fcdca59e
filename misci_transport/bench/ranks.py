"""Two ranks beside one in three dimensions: ``python -m misci_transport.bench.ranks`` measures a box and prints JSON.

Every rank has CELLS_A_RANK^3 cells of the same box, which has the finer cells along z the more ranks there are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..parallel.launcher import environment_of_a_child
from .blocks import box, box_cost, triad
from .figure import Figure
from .star import benchmark_profile

CELLS_A_RANK = 32


def rank_figures(path: Path | None, repeat: int) -> list[Figure]:
    """Memory of one rank, and two ranks beside one at CELLS_A_RANK^3 cells a rank."""
    command = [sys.executable, "-m", "mpi4py", "-m", __name__, "--repeat", str(repeat)]
    command += [] if path is None else ["--profile", str(path)]
    launcher = os.environ.get("MPIRUN", "mpirun").split()
    try:
        one, two = (_measured([*launcher, "-n", str(ranks), *command]) for ranks in (1, 2))
    except (OSError, subprocess.CalledProcessError) as error:
        return [Figure("two ranks beside one", np.nan, "", None, f"not measured: {error}")]
    size = f"{CELLS_A_RANK}^3 cells a rank, 2 flavours"
    streams = f"triad {one['triad']:.1f} GB/s alone, {two['triad']:.1f} GB/s each of two"
    return [
        Figure("memory in 3D over populations array", one["memory"], "", 3.0, f"{size}, from an empty box"),
        Figure("efficiency of two ranks in 3D", 100.0 * one["ns"] / two["ns"], "%", 85.0, f"{size}; {streams}"),
        Figure("exchange of ghosts in 3D, share of a step", 100.0 * two["exchange"], "%", 10.0, size),
    ]


def _measured(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment_of_a_child())
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    """One box with CELLS_A_RANK^3 cells a rank; JSON from rank 0."""
    from mpi4py import MPI

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cells", type=int, default=CELLS_A_RANK)
    arguments = parser.parse_args()
    comm = MPI.COMM_WORLD
    comm.Barrier()
    stream = triad()
    transport, fluid = box(
        benchmark_profile(arguments.profile), 2, arguments.cells, filled=False, finer=comm.size, comm=comm
    )
    cost = box_cost(transport, fluid, arguments.repeat)
    parts = comm.gather({"ns": cost.nanoseconds, "memory": cost.memory, "exchange": cost.exchange, "triad": stream})
    if parts is not None:
        worst = {name: max(part[name] for part in parts) for name in parts[0]}
        worst["triad"] = min(part["triad"] for part in parts)
        json.dump({**worst, "box": asdict(cost)}, sys.stdout)
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
