"""Case files of the encounter gas: ``model = "encounters"``."""

from __future__ import annotations

from math import cos, sin
from typing import Literal

from pydantic import Field, model_validator

from .encounters import Group, Setting
from .errors import ConfigurationError
from .options import Positive, Section

Vector = list[float]


def _up() -> Vector:
    return [0.0, 0.0, 1.0]


class GasSection(Section):
    """How neutrinos meet."""

    gamma: Positive = Field(description="mu times the time of an encounter")
    mu: Positive = Field(default=1.0, description="self-interaction strength; its inverse is the unit of time")
    velocities: Literal["directions", "kept", "redrawn"] = Field(
        default="directions",
        description="directions: of the groups; kept: each neutrino draws one within its group's cosines for life; "
        "redrawn: isotropic, new for every encounter",
    )
    pairing: Literal["random", "once"] = Field(
        default="random",
        description="random: a new perfect matching in every step, in which a pair may meet again after about N steps; "
        "once: no pair meets twice, at most N - 1 steps",
    )
    realizations: int = Field(default=1, ge=1, le=10_000_000, description="runs that are averaged; shared by ranks")
    seed: int = Field(default=0, ge=0, lt=2**63, description="of all random numbers")
    vacuum_angle: float = Field(default=0.0, description="rad; axis of the vacuum term against z, towards x")


class GroupSection(Section):
    """Neutrinos that begin alike."""

    number: int = Field(ge=1, description="of neutrinos; that of all groups must be even")
    polarization: Vector = Field(default_factory=_up, description="P at the start; nu_e is along + z")
    direction: Vector = Field(default_factory=_up, description='velocities = "directions": unit vector')
    cosines: list[float] = Field(
        default_factory=lambda: [-1.0, 1.0], description='velocities = "kept": range of v_z, with any azimuth'
    )
    frequency: float = Field(default=0.0, description="of the vacuum term, in the unit of mu")

    @model_validator(mode="after")
    def _lengths(self) -> GroupSection:
        for name, count in (("polarization", 3), ("direction", 3), ("cosines", 2)):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted: a list of {count} numbers")
        return self

    def group(self) -> Group:
        """The group."""
        (px, py, pz), (vx, vy, vz), (low, high) = self.polarization, self.direction, self.cosines
        return Group(self.number, (px, py, pz), (vx, vy, vz), (low, high), self.frequency)


class RunSection(Section):
    """Length, and what the average is compared with."""

    end_time: Positive = Field(description="in the unit of 1/mu; rounded to whole encounters")
    outputs: int = Field(default=100, ge=1, le=100_000, description="times at which groups are measured, after t = 0")
    slow_equation: bool = Field(default=True, description="integrate the slow equation too")
    miscidynamics: bool = Field(
        default=False, description="and the miscidynamics of it: without vacuum term, for at most two directions"
    )
    cosines: int = Field(
        default=12, ge=1, le=1000, description='of these two, velocities = "kept": Gauss-Legendre cosines of a group'
    )


class OutputSection(Section):
    """Where results go."""

    directory: str | None = Field(
        default=None, min_length=1, description="relative to the current directory; by default output/NAME of the case"
    )


class EncounterCase(Section):
    """One run of the encounter gas."""

    title: str = Field(default="", description="one line for people")
    model: Literal["encounters"] = Field(description="equations that are solved")
    gas: GasSection
    groups: dict[str, GroupSection] = Field(min_length=1, description="by name")
    run: RunSection
    output: OutputSection = Field(default_factory=OutputSection)

    @model_validator(mode="after")
    def _fits(self) -> EncounterCase:
        try:
            setting = self.setting()
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        steps = self.steps
        if not 1 <= steps < 2**32:
            raise ValueError(
                f"run.end_time is {self.run.end_time}: {steps} encounters of {setting.step:g}; accepted: 1 to 2^32 - 1"
            )
        if setting.pairing == "once" and steps > setting.size - 1:
            raise ValueError(
                f'run.end_time is {self.run.end_time}: {steps} encounters; accepted with gas.pairing = "once": at most '
                f"{(setting.size - 1) * setting.step:g}, N - 1 encounters"
            )
        return self

    @property
    def steps(self) -> int:
        """Encounters of each neutrino in the whole run."""
        return round(self.run.end_time * self.gas.mu / self.gas.gamma)

    def setting(self) -> Setting:
        """The gas."""
        angle = self.gas.vacuum_angle
        return Setting(
            tuple(group.group() for group in self.groups.values()),
            self.gas.gamma,
            self.gas.mu,
            self.gas.velocities,
            self.gas.pairing,
            (sin(angle), 0.0, cos(angle)),
            self.gas.seed,
        )
