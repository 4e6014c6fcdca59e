#!/usr/bin/env python3
"""Run the checks and tests of the project: ``scripts/run_tests.py [STAGE ...]``.

Stages (all of them when none is named):

lint    ruff, formatting, types, import layers
serial  the whole suite on one rank
2 3 4   tests/mpi on that number of ranks
nojit   kernel unit tests as plain Python, with their coverage

Every stage runs even if an earlier one failed. The exit code is zero only if all stages passed
and every test stage has passed at least one test.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv" / "bin"
PYTHON = str(VENV / "python")
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


def run(command: list[str], seconds: int, environment: dict[str, str] | None = None) -> tuple[int, dict[str, int]]:
    """Run one command, show its output as it comes; return its exit code and the counts of pytest's closing line."""
    print("$", " ".join(command), flush=True)
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
            print(line, end="", flush=True)
            found = COUNT.findall(line)
            if found and line.startswith("=") and " in " in line:
                counts = {word.removesuffix("s") if word == "errors" else word: int(n) for n, word in found}
    code = process.returncode
    if code == 124:
        print(f"*** no end after {seconds} s: stopped", flush=True)
    return code, counts


def lint() -> tuple[bool, dict[str, int]]:
    """Check style, formatting, types and the import layers."""
    commands = [
        [str(VENV / "ruff"), "check", "."],
        [str(VENV / "ruff"), "format", "--check", "."],
        [str(VENV / "mypy")],
        [str(VENV / "lint-imports")],
    ]
    return all([run(command, 300)[0] == 0 for command in commands]), {}


def tested(code: int, counts: dict[str, int]) -> tuple[bool, dict[str, int]]:
    """Judge a test stage: a stage without one passed test has tested nothing."""
    if code == 0 and not counts.get("passed"):
        print("*** no test passed in this stage")
        return False, counts
    return code == 0, counts


def serial() -> tuple[bool, dict[str, int]]:
    """Run the whole suite on one rank (MPI tests included)."""
    command = [PYTHON, "-m", "pytest", "--with-mpi", "--durations=10", "tests"]
    return tested(*run(command, 1500, {"MISCI_EXPECTED_RANKS": "1"}))


def parallel(ranks: int) -> tuple[bool, dict[str, int]]:
    """Run tests/mpi on several ranks."""
    launcher = os.environ.get("MPIRUN", "mpirun").split()
    command = [*launcher, "-n", str(ranks), PYTHON, "-m", "mpi4py", "-m", "pytest", "--with-mpi", "tests/mpi"]
    return tested(*run(command, 300, {"MISCI_EXPECTED_RANKS": str(ranks)}))


def nojit() -> tuple[bool, dict[str, int]]:
    """Run the kernel unit tests as plain Python and print which lines they reach."""
    command = [PYTHON, "-m", "coverage", "run", "-m", "pytest", "tests/kernels"]
    ok, counts = tested(*run(command, 1200, {"NUMBA_DISABLE_JIT": "1"}))
    report, _ = run([PYTHON, "-m", "coverage", "report"], 60)
    return ok and report == 0, counts


STAGES = {
    "lint": lint,
    "serial": serial,
    "2": lambda: parallel(2),
    "3": lambda: parallel(3),
    "4": lambda: parallel(4),
    "nojit": nojit,
}


class Aside:
    """A stage in a process of its own, whose output is shown when it has ended."""

    def __init__(self, name: str) -> None:
        self.name, self.start = name, time.monotonic()
        self.output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (lives until the outcome)
        self.process = subprocess.Popen(
            [sys.executable, __file__, name], cwd=ROOT, stdout=self.output, stderr=subprocess.STDOUT
        )

    def outcome(self) -> Outcome:
        """Wait for the end, print what was said, and judge."""
        code = self.process.wait()
        seconds = time.monotonic() - self.start
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        print(text, end="", flush=True)
        counts: dict[str, int] = {}
        for line in text.splitlines():
            if line.startswith("=") and " in " in line and COUNT.findall(line):
                counts = {
                    word.removesuffix("s") if word == "errors" else word: int(n) for n, word in COUNT.findall(line)
                }
        return Outcome(self.name, code == 0, seconds, counts)


def main(names: list[str]) -> int:
    """Run the named stages and print one closing line for all."""
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        print(f"unknown stage {unknown[0]!r}; accepted: {', '.join(STAGES)}", file=sys.stderr)
        return 2
    outcomes = []
    began = time.monotonic()
    # the kernels as plain Python need one core for as long as the serial tests need the other
    aside = None if names else Aside("nojit")
    for name in names or [stage for stage in STAGES if stage != "nojit"]:
        start = time.monotonic()
        ok, counts = STAGES[name]()
        outcomes.append(Outcome(name, ok, time.monotonic() - start, counts))
    if aside is not None:
        outcomes.append(aside.outcome())
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
