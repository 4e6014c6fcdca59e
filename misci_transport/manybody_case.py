"""Case files of the many-body model: ``model = "manybody"``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from .errors import ConfigurationError
from .manybody import Layout, ManyBody
from .options import Positive, Section

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Neutrinos beyond which the whole space of states is not held.
MOST_TILTED = 30


class NeutrinoSection(Section):
    """Who takes part, and in which flavours at the start."""

    flavors: str = Field(
        min_length=2,
        max_length=48,
        pattern="^[ex]+$",
        description="e or x for each neutrino, for example eeeexxxx; on ranks the last ones are divided among them",
    )
    tilts: list[float] = Field(
        default_factory=list,
        description="rad; angle of each neutrino's P from its flavour, towards x. None: the number of nu_e is kept, "
        "and only the states with that number are held; with tilts all 2^N",
    )

    @model_validator(mode="after")
    def _one_each(self) -> NeutrinoSection:
        if self.tilts and len(self.tilts) != len(self.flavors):
            raise ValueError(f"tilts has {len(self.tilts)} angles; accepted: {len(self.flavors)} or none")
        if self.tilts and len(self.flavors) > MOST_TILTED:
            raise ValueError(f"tilts: {len(self.flavors)} neutrinos; accepted: at most {MOST_TILTED} with tilts")
        return self


class CouplingSection(Section):
    """mu_ij = mu (1 - v_i . v_j)/N."""

    kind: Literal["beams", "isotropic"] = Field(
        default="beams",
        description="beams: the first half of the neutrinos against the second; isotropic: random directions",
    )
    mu: Positive = Field(default=1.0, description="strength; its inverse is the unit of time")
    cosine: float = Field(default=0.0, ge=-1.0, le=1.0, description="beams: v_1 . v_2")
    seed: int = Field(default=0, ge=0, description="isotropic: of the directions")
    frequencies: list[float] = Field(
        default_factory=list,
        description="w_i of sum w_i sigma_z,i/2 for each neutrino, in the unit of mu; none: zero",
    )


class RunSection(Section):
    """Length, and what is measured."""

    end_time: Positive = Field(description="in the unit of 1/mu")
    outputs: int = Field(default=20, ge=1, le=100_000, description="equal steps, after each of which all is measured")
    pairs: list[list[int]] = Field(
        default_factory=list, description="pairs of neutrinos, counted from 0, whose entropy is measured"
    )


class OutputSection(Section):
    """Where results go."""

    directory: str | None = Field(
        default=None, min_length=1, description="relative to the current directory; by default output/NAME of the case"
    )


class ManyBodyCase(Section):
    """One run of the many-body model."""

    title: str = Field(default="", description="one line for people")
    model: Literal["manybody"] = Field(description="equations that are solved")
    neutrinos: NeutrinoSection
    coupling: CouplingSection = Field(default_factory=CouplingSection)
    run: RunSection
    output: OutputSection = Field(default_factory=OutputSection)

    @model_validator(mode="after")
    def _fits(self) -> ManyBodyCase:
        n = self.size
        if self.coupling.frequencies and len(self.coupling.frequencies) != n:
            raise ValueError(
                f"coupling.frequencies has {len(self.coupling.frequencies)} numbers; accepted: {n} or none"
            )
        for pair in self.run.pairs:
            if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= k < n for k in pair):
                raise ValueError(f"run.pairs has {pair}; accepted: two different numbers from 0 to {n - 1}")
        try:
            Layout(n, self.ups, low=1) if n <= 12 else None
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def size(self) -> int:
        """Number of neutrinos."""
        return len(self.neutrinos.flavors)

    @property
    def ups(self) -> int | None:
        """Number of nu_e, None where it is not one number."""
        return None if self.neutrinos.tilts else self.neutrinos.flavors.count("e")

    def couplings(self) -> NDArray[np.float64]:
        """mu_ij, (neutrino, neutrino)."""
        n, c = self.size, self.coupling
        if c.kind == "beams":
            beam = np.arange(n) >= (n + 1) // 2
            return np.where(beam[:, None] != beam, c.mu * (1.0 - c.cosine) / n, 0.0)
        v = np.random.default_rng(c.seed).normal(size=(n, 3))
        v /= np.linalg.norm(v, axis=1)[:, None]
        mu = c.mu * (1.0 - v @ v.T) / n
        return np.asarray(0.5 * (mu + mu.T))

    def make_gas(self, comm: Any = None) -> ManyBody:
        """The neutrinos at the start. Collective."""
        frequencies = np.array(self.coupling.frequencies or np.zeros(self.size))
        gas = ManyBody(self.couplings(), ups=self.ups, one_body=0.5 * frequencies, comm=comm)
        electron = np.array([flavor == "e" for flavor in self.neutrinos.flavors])
        if self.ups is not None:
            gas.start_flavors(electron)
        else:
            angle = np.where(electron, 0.0, np.pi) + np.array(self.neutrinos.tilts)
            gas.start_product(np.stack([np.sin(angle), np.zeros(self.size), np.cos(angle)], axis=1))
        return gas
