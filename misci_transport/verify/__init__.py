"""Validation problems with known answers: ``misci verify``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigurationError
from ..parallel.petsc import world
from . import (  # noqa: F401
    adiabatic,
    bipolar,
    bulb,
    closures,
    collisional,
    decoherence,
    diffusion,
    encounters,
    fast_box,
    isotropy,
    landau_zener,
    linear_stability,
    manybody,
    matter,
    oscillation,
    phase,
    pulses,
    radiating_sphere,
    rays,
    resonance,
    rotations,
    searchlight,
    splits,
    two_beams,
)
from .registry import PROBLEMS, Problem, Result, find, listing

__all__ = ["PROBLEMS", "Problem", "Result", "find", "listing", "main", "select"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``misci verify [NAME ...] [--set key=value ...] [--list] [--json]``; 0 if all passed, else 1.

    Raises
    ------
    ConfigurationError
        If a problem or key is unknown or a value is not accepted.
    """
    parser = argparse.ArgumentParser(prog="misci verify", description="Compute problems with known answers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="ids or names; all problems if none is given")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="key=value", help="change a parameter")
    parser.add_argument("--list", action="store_true", help="print problems and parameters instead")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    arguments = parser.parse_args(argv)
    chosen = select([*arguments.names, *(word for word in arguments.set if "=" not in word)])
    if arguments.list:
        _say(_json(_catalogue(chosen)) if arguments.json else _described(chosen))
        return 0
    given = settings([word for word in arguments.set if "=" in word], chosen)
    results: list[Result] = []
    if not arguments.json:
        _say(_HEADER)
    for entry in chosen:
        found = entry.run(**given[entry.id])
        results += found
        if not arguments.json:
            _say("\n".join(_line(result) for result in found))
    failed = sum(not result.passed for result in results)
    if arguments.json:
        _say(_json([result.as_dict() for result in results]))
    else:
        _say(f"{len(results) - failed} of {len(results)} comparisons passed")
    return 1 if failed else 0


def select(names: Sequence[str]) -> list[Problem]:
    """Return the problems of the names, all if there are none.

    Raises
    ------
    ConfigurationError
        If a name is unknown.
    """
    return [find(name) for name in names] if names else list(PROBLEMS.values())


def settings(words: Sequence[str], chosen: Sequence[Problem]) -> dict[str, dict[str, Any]]:
    """Give each problem the ``key=value`` words that it knows, checked.

    Raises
    ------
    ConfigurationError
        If no chosen problem knows a key, or a value is not accepted.
    """
    given: dict[str, dict[str, Any]] = {entry.id: {} for entry in chosen}
    for word in words:
        key, _, value = word.partition("=")
        key = key.strip()
        takers = [entry for entry in chosen if any(p.name == key for p in entry.parameters)]
        if not takers:
            known = "; ".join(f"{entry.id}: {', '.join(p.name for p in entry.parameters)}" for entry in chosen)
            raise ConfigurationError(f"unknown key {key!r}; accepted: {known}")
        for entry in takers:
            given[entry.id][key] = value.strip()
    for entry in chosen:
        entry.values(given[entry.id])
    return given


_HEADER = f"{'problem':<8}{'computed':>16}{'expected':>16}{'error':>10}{'tolerance':>11}  {'pass':<5}quantity"


def _line(result: Result) -> str:
    return (
        f"{result.id:<8}{result.computed:>16.8g}{result.expected:>16.8g}{result.error:>10.1e}{result.tolerance:>11.1e}"
        f"  {'yes' if result.passed else 'NO':<5}{result.quantity}"
    )


def _catalogue(chosen: Sequence[Problem]) -> list[dict[str, Any]]:
    return [
        {
            "id": entry.id,
            "name": entry.name,
            "summary": entry.summary,
            "parameters": [
                {
                    "name": p.name,
                    "default": p.default,
                    "default_in_geometry": dict(p.elsewhere),
                    "unit": p.unit,
                    "meaning": p.meaning,
                    "accepted": p.accepted,
                }
                for p in entry.parameters
            ],
        }
        for entry in chosen
    ]


def _described(chosen: Sequence[Problem]) -> str:
    lines = []
    for entry in chosen:
        lines.append(f"{entry.id} ({entry.name}): {entry.summary}")
        for p in entry.parameters:
            other = "".join(f", {value} in {geometry}" for geometry, value in p.elsewhere.items())
            lines.append(f"    {p.name} = {p.default}{other}  [{p.unit}]  {p.meaning}; accepted: {p.accepted}")
    return "\n".join(lines)


def _json(data: list[dict[str, Any]]) -> str:
    def plain(value: Any) -> Any:
        # JSON knows no NaN and no infinity
        if isinstance(value, float) and (value != value or abs(value) == float("inf")):
            return None
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list) else value

    return json.dumps(plain(data), indent=2, allow_nan=False)


def _say(text: str) -> None:
    """Print on rank 0 only: all ranks compute the same results."""
    if world().rank == 0:
        print(text, flush=True)
