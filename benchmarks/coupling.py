"""What the C interface costs: python benchmarks/coupling.py [CELLS] [STEPS].

Builds the host of blocks of examples/coupling and takes steps on CELLS x CELLS cells (default 64 x 64, 4 steps), in
blocks of 8 x 8 cells dealt out to the ranks, and in the transport's own cut. What is not spent in the transport itself
(the call, views, copies, messages, sources, the return) is overhead; the goal is 1 % of a step.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from misci_transport.parallel.launcher import environment_of_a_child

HOSTS = Path(__file__).resolve().parent.parent / "examples" / "coupling"
#: Per cent of a step.
GOAL = 1.0


def main(cells: int = 64, steps: int = 4) -> None:
    environment = environment_of_a_child() | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        misci = f"MISCI={sys.executable} -m misci_transport.cli"
        make = ["make", "-s", f"BUILD={folder}", misci, f"{folder}/blocks"]
        subprocess.run(make, cwd=HOSTS, check=True, stdout=subprocess.DEVNULL)
        for ranks, cut, words in (
            (1, 0, "blocks of 8 x 8 cells, 1 rank"),
            (1, 1, "one block, the transport's own cut, 1 rank"),
            (2, 0, "blocks of 8 x 8 cells routed between 2 ranks"),
        ):
            command = [os.environ.get("MPIRUN", "mpirun"), "-n", str(ranks), f"{folder}/blocks"]
            command += [str(cells), str(steps), str(cut)]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            found = re.search(r"seconds of calls (\S+), of the transport in them (\S+)", done.stdout)
            assert found
            calls, transport = (float(word) / (steps - 1) for word in found.groups())
            share = 100.0 * (calls - transport) / calls
            print(
                f"{words:48s} step {calls:8.3f} s, overhead {1e3 * (calls - transport):7.2f} ms, "
                f"{share:6.3f} % of a step, goal {GOAL:g} %",
                flush=True,
            )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
