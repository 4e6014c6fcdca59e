"""Case files of the quantum kinetic equation in a box: ``model = "kinetics"``."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from .errors import ConfigurationError
from .flavor import INVERTED, MixingParameters
from .kinetics import (
    HOMOGENEOUS,
    OPEN,
    KineticBox,
    KineticCollisions,
    KineticSetup,
    angular_spectrum,
    directions,
    flavor_state,
    plane_wave,
    random_waves,
)
from .options import Positive, Section

if TYPE_CHECKING:
    from numpy.typing import NDArray

Rate = Annotated[float, Field(ge=0.0)]
Rates = list[Rate]


class BoxSection(Section):
    """Cells and flavours."""

    boundary: Literal["homogeneous", "periodic", "open"] = Field(
        default="periodic",
        description="homogeneous: one cell; open: the state of the start, unperturbed, enters at both ends",
    )
    cells: int = Field(default=1, ge=1, le=100_000_000, description="equal cells; homogeneous boxes have one")
    length: Positive = Field(default=1.0, description="any unit, whose inverse is that of all terms of the Hamiltonian")
    flavors: Literal[2, 3] = Field(default=2, description="number of flavours")

    @model_validator(mode="after")
    def _one_cell(self) -> BoxSection:
        if self.boundary == HOMOGENEOUS and self.cells != 1:
            raise ValueError(f'cells is {self.cells}; accepted with boundary = "homogeneous": 1')
        return self


class DirectionsSection(Section):
    """Cosines of the directions against the box's axis."""

    kind: Literal["gauss", "midpoint", "beams"] = Field(
        default="gauss", description="Gauss-Legendre or midpoints on [-1, 1]; beams: v = -1 and 1"
    )
    count: int = Field(default=2, ge=1, le=100_000, description="number of directions; beams have two")


class SpectrumSection(Section):
    """Excess of nu_e over each other flavour by direction at the start; negative values are an excess of the others."""

    kind: Literal["linear", "beams", "gaussians", "polynomials", "array"] = Field(
        default="linear",
        description="linear: nu offset + slope v; beams: nu zeta_plus, zeta_minus; gaussians: around v = 1, mean 1 and "
        "asymmetry; polynomials: coefficients; array: values by direction",
    )
    slope: float | None = Field(default=None, description="linear: default 1")
    offset: float | None = Field(default=None, description="linear: default 0")
    zeta_plus: float | None = Field(default=None, description="beams: v > 0, default 0.5")
    zeta_minus: float | None = Field(default=None, description="beams: v < 0, default -0.5")
    sigma: Positive | None = Field(default=None, description="gaussians: width of nu, default 0.6")
    sigma_bar: Positive | None = Field(default=None, description="gaussians: width of nubar, default 0.5")
    asymmetry: float | None = Field(default=None, ge=0.0, description="gaussians: number of nubar, default 0.9")
    nu: list[float] | None = Field(default=None, description="polynomials, array")
    nubar: list[float] | None = Field(default=None, description="polynomials, array")
    pairs: float = Field(default=0.0, ge=0.0, description="occupation of all flavours of both species besides")

    @property
    def parameters(self) -> dict[str, Any]:
        """What is given."""
        return {k: v for k, v in self.model_dump(exclude={"kind", "pairs"}).items() if v is not None}


class HamiltonianSection(Section):
    """Terms of the Hamiltonian, inverse lengths, and energy groups."""

    strength: float = Field(default=1.0, ge=0.0, description="of the self-interaction")
    matter_potential: float = Field(default=0.0, description="V of nu_e")
    matter_velocity: float = Field(default=0.0, gt=-1.0, lt=1.0, description="of matter along the axis over c")
    frequency: list[float] = Field(
        default_factory=lambda: [0.0], min_length=1, description="w = |dm2_31|/2E of each energy group"
    )
    number_weight: list[Positive] | None = Field(default=None, description="of each group; default 1")
    filling: list[float] | None = Field(default=None, description="factor of the spectrum in each group; default 1")
    theta: float | None = Field(
        default=None, ge=0.0, le=pi / 2, description="rad; theta_13 (default: 0 with two flavours, else the global fit)"
    )
    ordering: Literal["normal", "inverted"] = Field(default="normal", description="of the masses")

    @model_validator(mode="after")
    def _groups(self) -> HamiltonianSection:
        for name in ("number_weight", "filling"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.frequency):
                raise ValueError(
                    f"{name} has {len(value)} values; accepted: one for each of {len(self.frequency)} groups"
                )
        return self

    def vacuum(self, flavors: int) -> NDArray[np.float64]:
        """Packed w M^2/|dm2_31|, (group, N_f^2)."""
        if flavors == 2:
            sign = -1.0 if self.ordering == INVERTED else 1.0
            matrix = MixingParameters.two_flavor(self.theta or 0.0, sign).mass_squared_matrix(2)
        else:
            fit = MixingParameters.global_fit(self.ordering)
            if self.theta is not None:
                fit = MixingParameters(
                    fit.theta12, self.theta, fit.theta23, fit.delta_cp, fit.dm2_21, fit.dm2_31, fit.ordering
                )
            matrix = fit.mass_squared_matrix(3) / abs(fit.dm2_31)
        return np.multiply.outer(np.array(self.frequency), matrix)


class SeedSection(Section):
    """Perturbation of the start."""

    kind: Literal["none", "random", "wave"] = Field(
        default="none",
        description="random: waves of random amplitudes and phases; wave: P_x + i P_y ~ e^{ikx}",
    )
    amplitude: float = Field(
        default=1.0e-6, ge=0.0, description="standard deviation of P_x, P_y of a wave; wave: over P_z"
    )
    modes: int = Field(default=10, ge=0, description="random: shortest wave is length/modes")
    random_seed: int = Field(default=1, ge=0, description="random: of the generator")
    wave_number: float = Field(default=0.0, description="wave: k")


class CollisionsSection(Section):
    """Rates by flavour, inverse lengths, the same in all groups and cells."""

    emission: Rates = Field(default_factory=list, description="of nu_e, nu_x, ...; empty: none")
    absorption: Rates = Field(default_factory=list, description="of nu_e, nu_x, ...")
    emission_bar: Rates = Field(default_factory=list, description="of nubar_e, ...")
    absorption_bar: Rates = Field(default_factory=list, description="of nubar_e, ...")
    scattering: float = Field(default=0.0, ge=0.0, description="isotropic and isoenergetic, both species")


class RunSection(Section):
    """Steps and what is measured."""

    end_time: Positive = Field(description="stop there")
    dt: Positive | None = Field(
        default=None, description="longest step; default: the time that light needs for a cell; required if homogeneous"
    )
    measure_every: int = Field(default=10, ge=1, description="steps between entries of the time series")
    checkpoint_every: int = Field(default=0, ge=0, description="steps between checkpoints; 0: only the last")
    wave_numbers: list[float] = Field(
        default_factory=list,
        description="k at which the power of (1/L) integral rho_ex e^{-ikx} is measured",
    )
    entropy: bool = Field(default=False, description="measure it too: an eigen-decomposition of every matrix")


class OutputSection(Section):
    """Where results go."""

    directory: str | None = Field(
        default=None, min_length=1, description="relative to the current directory; by default output/NAME of the case"
    )


class KineticCase(Section):
    """One run of the quantum kinetic equation."""

    title: str = Field(default="", description="one line for people")
    model: Literal["kinetics"] = Field(description="equations that are solved")
    box: BoxSection = Field(default_factory=BoxSection)
    directions: DirectionsSection = Field(default_factory=DirectionsSection)
    spectrum: SpectrumSection = Field(default_factory=SpectrumSection)
    hamiltonian: HamiltonianSection = Field(default_factory=HamiltonianSection)
    seed: SeedSection = Field(default_factory=SeedSection)
    collisions: CollisionsSection = Field(default_factory=CollisionsSection)
    run: RunSection
    output: OutputSection = Field(default_factory=OutputSection)

    @model_validator(mode="after")
    def _fits(self) -> KineticCase:
        if self.box.boundary == HOMOGENEOUS and self.run.dt is None:
            raise ValueError('run.dt is missing; accepted with boundary = "homogeneous": a number > 0')
        for name in ("emission", "absorption", "emission_bar", "absorption_bar"):
            given = getattr(self.collisions, name)
            if given and len(given) != self.box.flavors:
                raise ValueError(f"collisions.{name} has {len(given)} rates; accepted: {self.box.flavors} or none")
        try:
            self.start()
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return self

    def start(self) -> tuple[KineticSetup, NDArray[np.float64]]:
        """The box, and the unperturbed state."""
        v, weight = directions(self.directions.kind, self.directions.count)
        h = self.hamiltonian
        groups = len(h.frequency)
        state = flavor_state(
            angular_spectrum(self.spectrum.kind, v, **self.spectrum.parameters),
            self.box.flavors,
            filling=h.filling or np.ones(groups),
            pairs=self.spectrum.pairs,
        )
        setup = KineticSetup(
            v,
            weight,
            h.vacuum(self.box.flavors),
            number_weight=np.array(h.number_weight or np.ones(groups)),
            strength=h.strength,
            matter_potential=h.matter_potential,
            matter_velocity=h.matter_velocity,
            cells=self.box.cells,
            length=self.box.length,
            boundary=self.box.boundary,
            collisions=self._collisions(groups),
            inflow=state if self.box.boundary == OPEN else None,
        )
        return setup, state

    def make_box(self, comm: Any = None) -> KineticBox:
        """The box at the start."""
        setup, state = self.start()
        box = KineticBox(setup, state, comm)
        s = self.seed
        if s.kind == "random":
            box.density_matrix[...] = random_waves(
                state, box.position, setup.length, amplitude=s.amplitude, modes=s.modes, seed=s.random_seed
            )
        elif s.kind == "wave":
            box.density_matrix[...] = plane_wave(state, box.position, s.wave_number, s.amplitude)
        return box

    def _collisions(self, groups: int) -> KineticCollisions | None:
        c = self.collisions
        if c == CollisionsSection():
            return None
        zero = [0.0] * self.box.flavors
        rates = [
            np.repeat(np.array([one or zero, other or zero])[:, None], groups, axis=1)
            for one, other in ((c.emission, c.emission_bar), (c.absorption, c.absorption_bar))
        ]
        return KineticCollisions(rates[0], rates[1], scattering=c.scattering)
