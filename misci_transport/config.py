"""Case files: TOML text with overrides, checked as a whole before anything is computed."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from .errors import ConfigurationError
from .options import Positive, Section, TransportOptions, explain
from .turned import Turning

if TYPE_CHECKING:
    from collections.abc import Sequence

_Section = TypeVar("_Section", bound=Section)

#: Keys that name input files: relative paths start at the case file's directory.
_INPUT_FILES = (
    ("profile", "file"),
    ("profile", "map"),
    ("profile", "continuation"),
    ("snapshot", "file"),
    ("snapshot", "map"),
    ("collisions", "table"),
)


class ProfileSection(Section):
    """The star."""

    file: str = Field(min_length=1, description="profile table, or a published file that an installed adapter reads")
    map: str | None = Field(default=None, description="TOML file: fields and units of the file, where it needs that")
    continuation: str | None = Field(default=None, description="second profile, joined outwards")
    join_radius: Positive | None = Field(default=None, description="cm; by default the outermost face of the first")


class SnapshotSection(Section):
    """Matter in several dimensions, instead of a star; on its own mesh (one block), or mapped onto [mesh]."""

    file: str = Field(min_length=1, description="block snapshot, or a file that an installed adapter reads")
    map: str | None = Field(default=None, description="TOML file: fields and units of the file, where it needs that")
    coarsen: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="cells along each of the three axes that become one; each divides the number of cells of its axis",
    )
    outer: Positive | None = Field(
        default=None, description="cm; spherical snapshots: leave out what is outside (to the next face)"
    )

    @model_validator(mode="after")
    def _three(self) -> SnapshotSection:
        _require_three(self, "coarsen")
        return self


class TurningSection(Section):
    """How a profile is turned into several dimensions: its shock moved and wrinkled, rotation."""

    shock_radius: Positive = Field(default=1.4e7, description="cm; where the deformation is centred")
    shock_width: Positive = Field(default=3.0e6, description="cm; range of radii that the deformation reaches")
    shift: list[float] = Field(
        default_factory=lambda: [0.0, 0.0, 0.0], description="cm; of the shock against the core along x, y, z"
    )
    wrinkle: float = Field(default=0.0, description="amplitude of the shock's shape over its radius")
    rotation: float = Field(default=0.0, description="rad/s; around z, at the axis")
    rotation_radius: Positive = Field(default=1.0e8, description="cm; from the axis, where rotation has halved")

    @model_validator(mode="after")
    def _folds(self) -> TurningSection:
        _require_three(self, "shift")
        try:
            _ = self.turning
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def turning(self) -> Turning:
        """The same for `turned_star`."""
        x, y, z = self.shift
        given = {name: value for name, value in self.model_dump().items() if name != "shift"}
        return Turning(shift=(x, y, z), **given)


Ends = list[Literal["auto", "outflow", "reflecting", "periodic"]]


def _automatic() -> Ends:
    return ["auto", "auto", "auto"]


class BoundarySection(Section):
    """Ends of a block mesh along its three axes; auto: centre, axis, full turn where there are any, else outflow."""

    low: Ends = Field(default_factory=_automatic, description="ends where the coordinates are lowest")
    high: Ends = Field(default_factory=_automatic, description="the other ends")

    @model_validator(mode="after")
    def _three(self) -> BoundarySection:
        _require_three(self, "low")
        _require_three(self, "high")
        return self


class MeshSection(Section):
    """Mesh of a star: radial, or a block around its centre."""

    geometry: Literal["radial", "cartesian", "spherical"] = Field(
        default="radial",
        description="radial: one dimension, with rays; the others are blocks onto which the star is turned "
        "([turning]): a Cartesian box, or shells in equal parts of theta and phi",
    )
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
    polar_cells: int = Field(default=1, ge=1, le=100_000, description="spherical: cells along theta; 1: not resolved")
    azimuthal_cells: int = Field(default=1, ge=1, le=100_000, description="spherical: cells along phi; 1: not resolved")
    lower: list[float] | None = Field(default=None, description="cartesian: cm; lowest corner of the box, x, y, z")
    upper: list[float] | None = Field(default=None, description="cartesian: cm; highest corner")
    shape: list[Annotated[int, Field(ge=2)]] | None = Field(
        default=None, description="cartesian: equal cells along x, y, z"
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> MeshSection:
        radial = ("faces", "inner", "outer", "cells", "refine")
        shells, box = ("polar_cells", "azimuthal_cells"), ("lower", "upper", "shape")
        foreign = {"radial": shells + box, "spherical": box, "cartesian": radial + shells}[self.geometry]
        for name in foreign:
            if getattr(self, name) != MeshSection.model_fields[name].default:
                kinds = '"cartesian"' if name in box else '"spherical"' if name in shells else '"radial" or "spherical"'
                raise ValueError(f"{name} is {getattr(self, name)!r}; accepted only with geometry = {kinds}")
        if self.geometry == "cartesian":
            for name in box:
                if getattr(self, name) is None:
                    raise ValueError(f'{name} is missing; accepted with geometry = "cartesian": three numbers')
                _require_three(self, name)
            assert self.lower is not None
            assert self.upper is not None
            if not all(low < high for low, high in zip(self.lower, self.upper, strict=True)):
                raise ValueError(f"lower is {self.lower}, upper is {self.upper} cm; accepted: lower < upper")
        return self

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
    implicit: bool = Field(
        default=False,
        description="mode time: implicit steps, of first order and of any length (dt is required)",
    )
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
        if self.implicit and self.dt is None:
            raise ValueError("dt is missing; accepted with implicit = true: a number > 0 (s)")
        time_only = ("end_time", "max_steps", "dt", "implicit", "output_every", "checkpoint_every")
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
    model: str = Field(
        default="miscidynamics",
        description="equations that are solved; other ones have case files of their own: kinetics, encounters, "
        "manybody",
    )
    profile: ProfileSection | None = Field(default=None, description="the star")
    snapshot: SnapshotSection | None = Field(default=None, description="matter in several dimensions, instead")
    mesh: MeshSection = Field(default_factory=MeshSection)
    turning: TurningSection | None = Field(default=None, description="of a profile onto a block; default: as it is")
    boundary: BoundarySection = Field(default_factory=BoundarySection)
    run: RunSection = Field(default_factory=RunSection)
    output: OutputSection = Field(default_factory=OutputSection)

    @field_validator("model")
    @classmethod
    def _known(cls, value: str) -> str:
        if value != "miscidynamics":
            raise ValueError(f"is {value!r}; accepted: 'miscidynamics'")
        return value

    @model_validator(mode="after")
    def _matter(self) -> Case:
        if self.profile is None and self.snapshot is None:
            raise ValueError(
                "key profile is missing; accepted: a table of keys [profile] (a star) or [snapshot] (matter in several "
                "dimensions)"
            )
        if self.profile is not None and self.snapshot is not None:
            raise ValueError("profile and snapshot are both given; accepted: one of them")
        if self.mapped and self.mesh.geometry == "radial":
            raise ValueError(
                'mesh.geometry is "radial"; accepted with a snapshot: "cartesian", "spherical" (its blocks are mapped '
                "onto it), or no mesh at all (the snapshot's own)"
            )
        if self.mapped and self.mesh.geometry == "spherical" and None in (self.mesh.outer, self.mesh.cells):
            raise ValueError(
                f"mesh.outer is {self.mesh.outer}, mesh.cells {self.mesh.cells}; accepted with a snapshot: both, with "
                'mesh.faces = "uniform" or "logarithmic"'
            )
        if self.mapped and self.snapshot is not None and (self.snapshot.coarsen or self.snapshot.outer):
            raise ValueError(
                "snapshot.coarsen or outer is given; accepted with a mesh of the case's own: leave them out"
            )
        if self.turning is not None and (self.snapshot is not None or self.mesh.geometry == "radial"):
            raise ValueError('turning is given; accepted with a profile and mesh.geometry = "cartesian" or "spherical"')
        if not self.on_block and self.boundary != BoundarySection():
            raise ValueError('boundary is given; accepted with a snapshot or mesh.geometry = "cartesian", "spherical"')
        if self.on_block and self.run.twin:
            raise ValueError(
                "run.twin is True; accepted on radial meshes: survival probabilities are those of luminosities"
            )
        return self

    @property
    def mapped(self) -> bool:
        """Whether a snapshot is mapped onto a mesh of the case's own."""
        return self.snapshot is not None and self.mesh != MeshSection()

    @property
    def on_block(self) -> bool:
        """Whether the mesh is a block in up to three dimensions."""
        return self.snapshot is not None or self.mesh.geometry != "radial"

    @model_validator(mode="after")
    def _used(self) -> Case:
        idle = [name for name in self.petsc if name.startswith("misci_steady_")]
        if idle and self.run.mode != "steady":
            raise ValueError(f'petsc.{idle[0]} has no effect here; accepted with run.mode = "steady"')
        if self.closure.kind != "none" and (self.run.mode == "steady" or self.run.implicit):
            raise ValueError(
                f'closure.kind is {self.closure.kind!r}; accepted with run.mode = "steady" or run.implicit: "none" (a '
                "closure changes cells after an explicit step in time)"
            )
        return self

    @property
    def transport(self) -> TransportOptions:
        """The options of the transport module alone."""
        return TransportOptions(**{name: getattr(self, name) for name in TransportOptions.model_fields})


def _require_three(section: Section, name: str) -> None:
    value = getattr(section, name)
    if value is not None and len(value) != 3:
        raise ValueError(f"{name} is {value}; accepted: a list of three, one for each axis")


def load_case(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Case:
    """Read a case file and apply ``key.sub=value`` overrides (values are TOML literals; bare strings are allowed).

    Raises
    ------
    ConfigurationError
        One for all wrong keys, with key, value and what is accepted; or the file cannot be read as TOML.
    """
    return checked(path, read_case(path, overrides), Case)


def read_case(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The keys of a case file of any model, with overrides, unchecked.

    Raises
    ------
    ConfigurationError
        If the file cannot be read as TOML, or an override is no assignment.
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
    return data


def checked(path: str | os.PathLike[str], data: dict[str, Any], model: type[_Section]) -> _Section:
    """The keys as a case of a model.

    Raises
    ------
    ConfigurationError
        One for all wrong keys, with key, value and what is accepted.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = explain(error, model).splitlines()
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
