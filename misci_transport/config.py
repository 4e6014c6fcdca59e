"""Case files: TOML text with overrides, checked as a whole before anything is computed."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from .errors import ConfigurationError
from .options import Positive, Section, TransportOptions, explain

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Keys that name input files: relative paths start at the case file's directory.
_INPUT_FILES = (("profile", "file"), ("profile", "continuation"), ("collisions", "table"))


class ProfileSection(Section):
    """The star."""

    file: str = Field(min_length=1, description="profile table, or a published file that an installed adapter reads")
    continuation: str | None = Field(default=None, description="second profile, joined outwards")
    join_radius: Positive | None = Field(default=None, description="cm; by default the outermost face of the first")


class MeshSection(Section):
    """Radial mesh."""

    faces: Literal["profile", "logarithmic", "uniform"] = Field(
        default="profile",
        description="faces of the profile's own zones (its authors put them where they are needed), "
        "a geometric progression, or equal distances",
    )
    inner: float | None = Field(
        default=None,
        ge=0.0,
        description="cm; profile and uniform: innermost face (default: the profile's); "
        "logarithmic: second face, the first being the profile's",
    )
    outer: Positive | None = Field(default=None, description="cm; outermost face (default: the profile's)")
    cells: int | None = Field(default=None, ge=2, le=10_000_000, description="logarithmic and uniform: number of cells")
    refine: int = Field(
        default=1, ge=1, le=1024, description="cells that each cell is split into, for convergence tests"
    )

    @model_validator(mode="after")
    def _complete(self) -> MeshSection:
        if self.faces == "profile" and self.cells is not None:
            raise ValueError(f'cells is {self.cells}; accepted only with faces = "logarithmic" or "uniform"')
        if self.faces != "profile" and self.cells is None:
            raise ValueError(f'cells is missing; accepted with faces = "{self.faces}": an integer >= 2')
        if self.faces == "logarithmic" and not self.inner:
            raise ValueError(f'inner is {self.inner}; accepted with faces = "logarithmic": a number > 0 (cm)')
        if self.inner is not None and self.outer is not None and not self.inner < self.outer:
            raise ValueError(f"inner is {self.inner!r}, outer is {self.outer!r} cm; accepted: inner < outer")
        return self


class RunSection(Section):
    """What to compute."""

    mode: Literal["steady", "time"] = Field(default="steady", description="stationary state, or steps in time")
    end_time: Positive | None = Field(default=None, description="s; mode time: stop there exactly")
    max_steps: int | None = Field(default=None, ge=1, description="mode time: stop after this many steps")
    dt: Positive | None = Field(default=None, description="s; mode time: by default cfl times the light-crossing time")
    output_every: int = Field(default=0, ge=0, description="mode time: steps between output files, 0: only the last")
    checkpoint_every: int = Field(default=0, ge=0, description="mode time: steps between checkpoints, 0: only the last")
    twin: bool = Field(
        default=False, description="mode steady: solve the star without mixing too, which gives survival probabilities"
    )
    compare_self_interaction: bool = Field(
        default=False, description="mode steady: solve the star without self-interaction too, to see what it changes"
    )

    @model_validator(mode="after")
    def _fits_mode(self) -> RunSection:
        if self.mode == "time" and self.end_time is None and self.max_steps is None:
            raise ValueError('end_time and max_steps are missing; accepted with mode = "time": at least one of them')
        time_only = ("end_time", "max_steps", "dt", "output_every", "checkpoint_every")
        steady_only = ("twin", "compare_self_interaction")
        mode, names = ("time", time_only) if self.mode == "steady" else ("steady", steady_only)
        for name in names:
            if getattr(self, name) != RunSection.model_fields[name].default:
                raise ValueError(f'{name} is {getattr(self, name)!r}; accepted only with mode = "{mode}"')
        return self


class OutputSection(Section):
    """Where results go."""

    directory: str | None = Field(
        default=None, min_length=1, description="relative to the current directory; by default output/NAME of the case"
    )
    populations: bool = Field(default=False, description="write the occupations of all directions and levels as well")


class Case(TransportOptions):
    """One run: the sections of :class:`TransportOptions` and what surrounds them."""

    title: str = Field(default="", description="one line for people")
    model: str = Field(default="miscidynamics", description="equations that are solved; this version has one set")
    profile: ProfileSection
    mesh: MeshSection = Field(default_factory=MeshSection)
    run: RunSection = Field(default_factory=RunSection)
    output: OutputSection = Field(default_factory=OutputSection)

    @field_validator("model")
    @classmethod
    def _known(cls, value: str) -> str:
        if value != "miscidynamics":
            raise ValueError(f"is {value!r}; accepted: 'miscidynamics'")
        return value

    @model_validator(mode="after")
    def _used(self) -> Case:
        idle = [name for name in self.petsc if name.startswith("misci_steady_")]
        if idle and self.run.mode != "steady":
            raise ValueError(f'petsc.{idle[0]} has no effect here; accepted with run.mode = "steady"')
        return self

    @property
    def transport(self) -> TransportOptions:
        """The options of the transport module alone."""
        return TransportOptions(**{name: getattr(self, name) for name in TransportOptions.model_fields})


def load_case(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Case:
    """Read a case file and apply ``key.sub=value`` overrides (values are TOML literals; bare strings are allowed).

    Raises
    ------
    ConfigurationError
        One for all wrong keys, with key, value and what is accepted; or the file cannot be read as TOML.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"case file {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"case file {path} is not valid TOML: {error}") from None
    base = path.resolve().parent
    _resolve(data, base)
    changes: dict[str, Any] = {}
    for text in overrides:
        _set(data, text)
        _set(changes, text)
    # a path given on the command line starts where the user is
    for section, key in _INPUT_FILES:
        if isinstance(changes.get(section), dict) and isinstance(changes[section].get(key), str):
            data[section][key] = str(Path(changes[section][key]).resolve())
    try:
        return Case.model_validate(data)
    except ValidationError as error:
        lines = explain(error, Case).splitlines()
        text = lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} wrong keys", *lines])
        raise ConfigurationError(f"{path}: {text}") from None


def to_toml(case: Section) -> str:
    """The complete configuration, defaults included, as TOML text that :func:`load_case` reads."""
    top, tables = [], []
    for name, value in case.model_dump().items():
        if isinstance(value, dict):
            tables.append("\n".join(["", f"[{name}]", *_assignments(value)]))
        else:
            top += _assignments({name: value})
    return "\n".join([*top, *tables, ""])


def _assignments(values: dict[str, Any]) -> list[str]:
    return [f"{name} = {_literal(value)}" for name, value in values.items() if value is not None]


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
    if isinstance(value, dict):
        return "{" + ", ".join(_assignments(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return repr(value)


def _set(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not equals or not all(names):
        raise ConfigurationError(f"--set {text!r}: accepted: key.sub=value, such as energy.groups=20")
    target = data
    for depth, name in enumerate(names[:-1]):
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise ConfigurationError(f"--set {text!r}: {'.'.join(names[: depth + 1])} is a value, not a table of keys")
    target[names[-1]] = _parse(value.strip())


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _resolve(data: dict[str, Any], base: Path) -> None:
    for section, key in _INPUT_FILES:
        table = data.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
            table[key] = os.path.normpath(base / table[key])
