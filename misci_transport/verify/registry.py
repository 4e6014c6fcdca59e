"""Validation problems as data: parameters with ranges, results with tolerances, one register of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from ..errors import ConfigurationError

Value = float | int | str


@dataclass(frozen=True)
class Parameter:
    """One key of ``--set``: its type is that of the default; text without choices is a list of numbers."""

    name: str
    default: Value
    unit: str
    meaning: str
    low: float = -float("inf")
    high: float = float("inf")
    choices: tuple[str, ...] = ()
    even: bool = False  #: integers only: odd values are refused
    elsewhere: Mapping[str, Value] = field(default_factory=dict)  #: defaults in other geometries than the default one

    @property
    def accepted(self) -> str:
        """The accepted values in words."""
        if self.choices:
            return ", ".join(self.choices)
        if isinstance(self.default, str):
            return "numbers with commas between them"
        kind = "an even integer" if self.even else "an integer" if isinstance(self.default, int) else "a number"
        return f"{kind} in [{self.low:g}, {self.high:g}]"

    def parse(self, problem: str, value: Any) -> Value:
        """Convert and check a value given as text or as a number.

        Raises
        ------
        ConfigurationError
            Naming the problem, the key, the value and what is accepted.
        """
        wrong = ConfigurationError(f"{problem}: {self.name} is {value!r}; accepted: {self.accepted}")
        if isinstance(self.default, str) and self.choices:
            if str(value) not in self.choices:
                raise wrong
            return str(value)
        if isinstance(self.default, str):
            return _list_of_numbers(value, wrong)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise wrong from None
        if not isfinite(number) or not self.low <= number <= self.high:
            raise wrong
        if isinstance(self.default, int):
            if number != int(number) or (self.even and int(number) % 2):
                raise wrong
            return int(number)
        return number


def _list_of_numbers(value: Any, wrong: ConfigurationError) -> str:
    """One number or several, in brackets or not, as text with commas."""
    parts = value if isinstance(value, (list, tuple)) else str(value).strip("[]() ").split(",")
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        raise wrong from None
    if not numbers or not all(isfinite(number) for number in numbers):
        raise wrong
    return ",".join(f"{number:g}" if float(f"{number:g}") == number else repr(number) for number in numbers)


@dataclass(frozen=True)
class Result:
    """One comparison; the error is relative unless the quantity says otherwise."""

    id: str
    name: str
    parameters: dict[str, Value]
    quantity: str
    computed: float
    expected: float
    error: float
    tolerance: float
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary, for JSON."""
        return asdict(self)


class Findings:
    """Collects the results of one problem."""

    def __init__(self, problem: Problem, parameters: dict[str, Value]) -> None:
        self.problem, self.parameters = problem, parameters
        self.results: list[Result] = []

    def compare(
        self, quantity: str, computed: float, expected: float, tolerance: float, error: float | None = None
    ) -> None:
        """Add a comparison; the error defaults to the relative one (absolute if zero is expected)."""
        computed, expected = float(computed), float(expected)
        if error is None:
            error = abs(computed - expected)
            if expected != 0.0:
                error /= abs(expected)
        # written so that a NaN fails
        passed = bool(error <= tolerance)
        self.results.append(
            Result(
                self.problem.id,
                self.problem.name,
                dict(self.parameters),
                quantity,
                computed,
                expected,
                float(error),
                float(tolerance),
                passed,
            )
        )

    def at_least(self, quantity: str, computed: float, least: float) -> None:
        """Add a lower bound; the error is what is missing."""
        self.compare(
            f"{quantity} (at least)",
            computed,
            least,
            0.0,
            error=max(0.0, least - computed) if computed == computed else computed,
        )


Function = Callable[[dict[str, Any], Findings], None]


@dataclass(frozen=True)
class Problem:
    """A validation problem: id of the list of problems, short name, and what computes it."""

    id: str
    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    function: Function

    def values(self, given: dict[str, Any]) -> dict[str, Value]:
        """Defaults, those of the geometry where there are, overridden by ``given``.

        Raises
        ------
        ConfigurationError
            If a key is unknown or a value is not accepted.
        """
        known = {p.name: p for p in self.parameters}
        for key in given:
            if key not in known:
                raise ConfigurationError(f"{self.id}: unknown key {key!r}; accepted: {', '.join(known)}")
        chosen = {name: known[name].parse(self.id, value) for name, value in given.items()}
        symmetry = str(chosen.get("geometry", ""))
        return {name: chosen.get(name, p.elsewhere.get(symmetry, p.default)) for name, p in known.items()}

    def run(self, **given: Any) -> list[Result]:
        """Compute the problem and compare it with its answer. Collective over the ranks of the world."""
        values = self.values(given)
        findings = Findings(self, values)
        self.function(values, findings)
        return findings.results


PROBLEMS: dict[str, Problem] = {}


def problem(
    identifier: str, name: str, summary: str, parameters: Sequence[Parameter]
) -> Callable[[Function], Function]:
    """Register a function (parameters, findings) -> None as a validation problem."""

    def register(function: Function) -> Function:
        PROBLEMS[identifier] = Problem(identifier, name, summary, tuple(parameters), function)
        return function

    return register


def find(name: str) -> Problem:
    """Return the problem of an id or a name, in any case of letters.

    Raises
    ------
    ConfigurationError
        If there is none; the message lists all.
    """
    wanted = name.lower()
    for entry in PROBLEMS.values():
        if wanted in (entry.id.lower(), entry.name.lower()):
            return entry
    raise ConfigurationError(f"unknown validation problem {name!r}; accepted: {listing(PROBLEMS.values())}")


def listing(problems: Iterable[Problem]) -> str:
    """Ids and names on one line."""
    return ", ".join(f"{p.id} ({p.name})" for p in problems)
