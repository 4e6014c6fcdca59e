#!/usr/bin/env python3
"""Run the checks and tests of the project: ``scripts/run_tests.py [STAGE ...]``.

Stages (all of them when none is named):

lint    ruff, formatting, types, import layers
serial  the whole suite on one rank, each folder of tests/ in a session of its own, two sessions at a time
nojit   kernel unit tests as plain Python, with their coverage; beside the serial ones when both are wanted
2 3 4   tests/mpi on that number of ranks

Every stage runs even if an earlier one failed. The exit code is zero only if all stages passed
and every test session has passed at least one test.
"""

from __future__ import annotations

import functools
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv" / "bin"
PYTHON = str(VENV / "python")
#: Folders whose sessions come first: they take longest, and compile what the others use.
FIRST = ["kernels", "validation", "mpi", "physics", "solvers"]
#: Whether all went well, and the numbers of tests by outcome.
Verdict = tuple[bool, dict[str, int]]
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|deselected)")

# An Open MPI started by root, or with more ranks than cores, needs to be told; harmless elsewhere.
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
    "H5PY_ALWAYS_USE_MPI": "1",
    "MPLBACKEND": "Agg",
    # One cache of pytest cannot be written by several ranks; mpirun's terminal would turn colours on.
    "PYTEST_ADDOPTS": f"-p no:cacheprovider --color=no {os.environ.get('PYTEST_ADDOPTS', '')}".strip(),
}


@dataclass
class Outcome:
    """What one stage left."""

    name: str
    ok: bool
    seconds: float
    counts: dict[str, int]


def run(
    command: list[str], seconds: int, environment: dict[str, str] | None = None, say: TextIO = sys.stdout
) -> tuple[int, dict[str, int]]:
    """Run one command, show its output as it comes; return its exit code and the counts of pytest's closing line."""
    print("$", " ".join(command), file=say, flush=True)
    counts: dict[str, int] = {}
    # temporary files in a place of this command's own: pytest clears those of earlier sessions away, and two sessions
    # that do it at once trip over each other (tests/conftest.py parts the ranks)
    with (
        tempfile.TemporaryDirectory(prefix="misci-tests-", ignore_cleanup_errors=True) as scratch,
        subprocess.Popen(
            ["timeout", "--kill-after=10", str(seconds), *command],
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT, "PYTEST_DEBUG_TEMPROOT": scratch, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=say, flush=True)
            found = COUNT.findall(line)
            if found and line.startswith("=") and " in " in line:
                counts = {word.removesuffix("s") if word == "errors" else word: int(n) for n, word in found}
    code = process.returncode
    if code == 124:
        print(f"*** no end after {seconds} s: stopped", file=say, flush=True)
    return code, counts


def lint() -> bool:
    """Check style, formatting, types and the import layers."""
    commands = [
        [str(VENV / "ruff"), "check", "."],
        [str(VENV / "ruff"), "format", "--check", "."],
        [str(VENV / "mypy")],
        [str(VENV / "lint-imports")],
    ]
    return all([run(command, 300)[0] == 0 for command in commands])


def judged(command: list[str], seconds: int, environment: dict[str, str], say: TextIO = sys.stdout) -> Verdict:
    """Run and judge a test session: one without a passed test has tested nothing."""
    code, counts = run(command, seconds, environment, say)
    if code == 0 and not counts.get("passed"):
        print("*** no test passed in this session", file=say)
        return False, counts
    return code == 0, counts


def parts() -> list[list[str]]:
    """The suite in parts: the folders of tests/, those that compile most first, then the files beside them."""
    tests = ROOT / "tests"
    folders = sorted(path.name for path in tests.iterdir() if any(path.glob("test_*.py")))
    folders.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    files = sorted(f"tests/{path.name}" for path in tests.glob("test_*.py"))
    return [*([f"tests/{name}"] for name in folders), files]


def session(paths: list[str], say: TextIO) -> Verdict:
    """Run a part of the suite on one rank (MPI tests included)."""
    command = [PYTHON, "-m", "pytest", "--with-mpi", "--durations=5", *paths]
    return judged(command, 1500, {"MISCI_EXPECTED_RANKS": "1"}, say)


def parallel(ranks: int) -> Verdict:
    """Run tests/mpi on several ranks."""
    launcher = os.environ.get("MPIRUN", "mpirun").split()
    command = [*launcher, "-n", str(ranks), PYTHON, "-m", "mpi4py", "-m", "pytest", "--with-mpi", "tests/mpi"]
    return judged(command, 300, {"MISCI_EXPECTED_RANKS": str(ranks)})


def nojit(say: TextIO) -> Verdict:
    """Run the kernel unit tests as plain Python and print which lines they reach."""
    command = [PYTHON, "-m", "coverage", "run", "-m", "pytest", "tests/kernels"]
    ok, counts = judged(command, 1200, {"NUMBA_DISABLE_JIT": "1"}, say)
    report, _ = run([PYTHON, "-m", "coverage", "report"], 60, None, say)
    return ok and report == 0, counts


def side_by_side(jobs: list[tuple[str, Callable[[TextIO], Verdict]]]) -> list[Outcome]:
    """Run jobs, as many at a time as there are cores but at most two; show each one's output when it has ended."""
    workers = min(len(os.sched_getaffinity(0)), 2)
    shown = threading.Lock()

    def one(job: tuple[str, Callable[[TextIO], Verdict]]) -> Outcome:
        name, work = job
        start = time.monotonic()
        say = io.StringIO()
        ok, counts = work(say)
        seconds = time.monotonic() - start
        with shown:
            print(say.getvalue(), end="", flush=True)
        return Outcome(name, ok, seconds, counts)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, jobs))


def compiled_and_plain(names: list[str]) -> list[Outcome]:
    """The stages "serial" and "nojit", those that are wanted, in sessions side by side."""
    jobs: list[tuple[str, Callable[[TextIO], Verdict]]] = []
    if "serial" in names:
        jobs += [("serial", functools.partial(session, paths)) for paths in parts()]
    if "nojit" in names:
        # second: while the first sessions compile what all need, this one needs nothing compiled
        jobs.insert(min(len(jobs), 1), ("nojit", nojit))
    outcomes = []
    start = time.monotonic()
    done = side_by_side(jobs)
    for name in ("serial", "nojit"):
        own = [outcome for outcome in done if outcome.name == name]
        if own:
            counts: dict[str, int] = {}
            for outcome in own:
                for word, number in outcome.counts.items():
                    counts[word] = counts.get(word, 0) + number
            seconds = own[0].seconds if len(own) == 1 else time.monotonic() - start
            outcomes.append(Outcome(name, all(outcome.ok for outcome in own), seconds, counts))
    return outcomes


STAGES = ("lint", "serial", "nojit", "2", "3", "4")


def main(names: list[str]) -> int:
    """Run the named stages and print one closing line for all."""
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        print(f"unknown stage {unknown[0]!r}; accepted: {', '.join(STAGES)}", file=sys.stderr)
        return 2
    outcomes = []
    began = time.monotonic()
    wanted = names or list(STAGES)
    if "lint" in wanted:
        start = time.monotonic()
        outcomes.append(Outcome("lint", lint(), time.monotonic() - start, {}))
    outcomes += compiled_and_plain(wanted)
    for name in wanted:
        if name.isdigit():
            start = time.monotonic()
            ok, counts = parallel(int(name))
            outcomes.append(Outcome(name, ok, time.monotonic() - start, counts))
    print()
    total = dict.fromkeys(("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "error"), 0)
    for outcome in outcomes:
        words = ", ".join(f"{number} {word}" for word, number in outcome.counts.items())
        print(f"{outcome.name:8s} {'ok' if outcome.ok else 'FAILED':8s} {outcome.seconds:7.1f} s   {words}")
        for word, number in outcome.counts.items():
            total[word] += number
        if not outcome.ok and not outcome.counts.keys() & {"failed", "error"}:
            total["error"] += 1
    bad = [outcome.name for outcome in outcomes if not outcome.ok]
    if bad:
        print(f"failed stages: {' '.join(bad)}")
    words = ", ".join(f"{number} {word}" for word, number in total.items() if number) or "all checks passed"
    print(f" {words} in {time.monotonic() - began:.2f}s ".center(100, "="))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
