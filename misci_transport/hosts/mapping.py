"""Which variables of a file are which fields, in which units: an adapter's own map, and the user's on top of it.

A user's map is a TOML file:

    [units]                      # of a code without units: a system by name, or three numbers in cgs
    system = "geometric"
    length = 1.476625e5
    mass = 1.98841e33
    time = 4.925e-6

    [fields.mass_density]
    name = "rho"

    [fields.temperature]
    name = "T"
    unit = "MeV"                 # or factor = 0.0861733

    [fields.velocity]            # three components, or one along the first axis
    name = ["mom1", "mom2", "mom3"]
    divide_by = "dens"

    [fields.electron_fraction]
    value = 0.5                  # where the file has none
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field as Entry
from pydantic import ValidationError, model_validator

from ..errors import ConfigurationError
from ..options import Section, explain
from .units import CODE, FIELDS, SYSTEMS, CodeUnits, worth

if TYPE_CHECKING:
    import os


@dataclass(frozen=True)
class FieldSource:
    """Where a field comes from: variables of the file, or one number."""

    names: tuple[str, ...] = ()  #: variables; three for a vector, one for its first component
    unit: str = CODE  #: a unit's name, or "code"
    factor: float = 1.0  #: besides the unit's
    divide_by: str | None = None  #: a variable that the others are divided by
    value: float | None = None  #: instead of variables
    power_of_ten: bool = False  #: the variable is the logarithm to base 10

    def scale(self, name: str, units: CodeUnits | None) -> float | None:
        """What the variable is multiplied with; None where nobody knows what its unit is worth."""
        ours, dimensions = FIELDS[name]
        if self.value is not None or (self.unit == ours):
            return self.factor
        if self.unit != CODE:
            return self.factor * worth(self.unit, ours, f"unit of {name}")
        if dimensions == (0, 0, 0):
            return self.factor
        if units is None or dimensions is None:
            return None
        # with divide_by these are the dimensions of the quotient
        return self.factor * units.worth(dimensions)


@dataclass(frozen=True)
class FieldMap:
    """Fields by name, and the code's units if anybody knows them."""

    fields: dict[str, FieldSource] = field(default_factory=dict)
    units: CodeUnits | None = None
    options: dict[str, Any] = field(default_factory=dict)  #: of the format: what its adapter asks for

    def with_user(self, user: UserMap | None) -> FieldMap:
        """This map with a user's entries on top."""
        if user is None:
            return self
        merged = {**self.fields, **{name: entry.source(self.fields.get(name)) for name, entry in user.fields.items()}}
        return replace(
            self,
            fields=merged,
            units=self.units if user.units is None else user.units.value,
            options={**self.options, **user.file},
        )


class UnitsSection(Section):
    """Units of a code that writes none."""

    system: str | None = Entry(default=None, description="cgs, or geometric (c = G = mass of the sun = 1)")
    length: float | None = Entry(default=None, gt=0.0, description="cm")
    mass: float | None = Entry(default=None, gt=0.0, description="g")
    time: float | None = Entry(default=None, gt=0.0, description="s")

    @model_validator(mode="after")
    def _whole(self) -> UnitsSection:
        numbers = (self.length, self.mass, self.time)
        if self.system is not None:
            if self.system not in SYSTEMS:
                raise ValueError(f"system is {self.system!r}; accepted: {', '.join(SYSTEMS)}")
            if any(number is not None for number in numbers):
                raise ValueError("system and numbers; accepted: one of both")
        elif any(number is None for number in numbers):
            raise ValueError("length, mass and time; accepted: all three (cm, g, s), or system")
        return self

    @property
    def value(self) -> CodeUnits:
        """The units as numbers."""
        if self.system is not None:
            return SYSTEMS[self.system]
        assert self.length is not None
        assert self.mass is not None
        assert self.time is not None
        return CodeUnits(self.length, self.mass, self.time)


class FieldEntry(Section):
    """Where a field comes from."""

    name: str | list[str] | None = Entry(default=None, description="variable, or the three of a vector")
    unit: str | None = Entry(default=None, description="its unit; by default that of the code's units")
    factor: float = Entry(default=1.0, description="besides the unit")
    divide_by: str | None = Entry(default=None, description="variable that it is divided by, as a density")
    value: float | None = Entry(default=None, description="one number for all cells, in this project's unit")

    @model_validator(mode="after")
    def _one(self) -> FieldEntry:
        if self.value is not None and self.name is not None:
            raise ValueError("name and value; accepted: one of both")
        return self

    def source(self, before: FieldSource | None) -> FieldSource:
        """With what an adapter knows where the user says nothing."""
        if self.value is not None:
            return FieldSource(value=self.value)
        base = FieldSource() if before is None else before
        names = base.names if self.name is None else ((self.name,) if isinstance(self.name, str) else tuple(self.name))
        return replace(
            base,
            names=names,
            unit=base.unit if self.unit is None else self.unit,
            factor=self.factor,
            divide_by=self.divide_by if self.name is not None else (self.divide_by or base.divide_by),
            value=None,
        )


class UserMap(Section):
    """A map file."""

    units: UnitsSection | None = Entry(default=None, description="units of the code")
    fields: dict[str, FieldEntry] = Entry(default_factory=dict, description="fields by name")
    file: dict[str, Any] = Entry(default_factory=dict, description="what the format's adapter asks for")

    @model_validator(mode="after")
    def _known(self) -> UserMap:
        for name in self.fields:
            if name not in FIELDS:
                raise ValueError(f"fields.{name} is not known; accepted: {', '.join(FIELDS)}")
        return self


def read_map(path: str | os.PathLike[str]) -> UserMap:
    """Read a user's map.

    Raises
    ------
    ConfigurationError
        If there is no such file, it is no TOML, or a key is unknown or has a wrong value.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            given = tomllib.load(stream)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not a TOML file: {error}") from None
    try:
        return UserMap.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {explain(error, UserMap)}") from None
