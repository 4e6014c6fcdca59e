"""Options of a transport run: checked, immutable, each with its meaning and the reason for its default."""

from __future__ import annotations

import difflib
from math import pi
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .errors import ConfigurationError

#: Prefixes of the PETSc solvers of this package; no other PETSc option is accepted here.
PETSC_PREFIXES = ("misci_align_", "misci_steady_")
#: Largest fraction of the light-crossing time of a cell for which a step keeps occupations in [0, 1].
#: From a von Neumann analysis of the two stages with face values between upwind and centred.
CFL_LIMIT = {"linear": 0.5, "constant": 0.7}

Positive = Annotated[float, Field(gt=0.0)]

if TYPE_CHECKING:
    _Model = BaseModel
else:

    class _Checked(type(BaseModel)):
        """Lets the constructor raise this package's error; nested sections still report to their parent."""

        def __call__(cls, *args, **data):
            try:
                return super().__call__(*args, **data)
            except ValidationError as error:
                raise ConfigurationError(explain(error, cls)) from None

    class _Model(BaseModel, metaclass=_Checked):
        pass


class Section(_Model):
    """Base of all option groups: unknown keys and guessed types are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True)


class AngleOptions(Section):
    """Directions of motion."""

    kind: Literal["hybrid", "ordinates", "radial", "product", "lebedev", "geodesic"] = Field(
        default="hybrid",
        description="radial meshes: hybrid: ordinates inside ray_radius, impact-parameter rays outside; ordinates: "
        "fixed cosines everywhere; radial: two rays. Hybrid, because fixed cosines cannot follow the narrowing cone "
        "far outside. Block meshes: product (the only one in spherical coordinates), lebedev, geodesic",
    )
    levels: int = Field(default=8, ge=2, le=256, description="product: Gauss-Legendre values of the first component")
    azimuths: int = Field(default=8, ge=4, le=256, multiple_of=2, description="product: directions on each level")
    degree: int = Field(default=11, ge=3, le=131, description="lebedev: of the rule; 11 has 50 directions")
    frequency: int = Field(default=3, ge=1, le=64, description="geodesic: parts of an edge; 3 gives 92 directions")
    directions: int = Field(
        default=16, ge=2, le=512, multiple_of=2, description="number of ordinates; 16 converge luminosities to 0.1 %"
    )
    ray_radius: Positive = Field(
        default=1.5e7, description="cm; 150 km is outside the shock, where matter hardly turns a path"
    )
    inward: int = Field(default=6, ge=1, le=256, description="hybrid: directions in [-1, 0]; smooth there, few suffice")
    grazing: int = Field(default=3, ge=1, le=256, description="hybrid: directions in [0, opening_cosine]")
    forward: int = Field(default=9, ge=1, le=256, description="hybrid: directions in [opening_cosine, 1], then rays")
    opening_cosine: float = Field(
        default=0.3, gt=0.0, lt=1.0, description="hybrid: edge of the rays' cone; below it the field is small"
    )
    shells: int = Field(
        default=5,
        ge=0,
        le=64,
        description="hybrid: further radii where a ray begins, for what is scattered outside ray_radius; without them "
        "that stays at wide angles and self-interaction falls as r^-2",
    )
    shell_ratio: float = Field(
        default=4.0,
        gt=1.0,
        le=1.0e6,
        description="hybrid: ratio of these radii; 5 shells of ratio 4 span three decades",
    )


class EnergyOptions(Section):
    """Energy groups: centres in geometric progression, both ends included."""

    minimum: Positive = Field(default=1.5, description="MeV; the trapezoid rule needs spectra that vanish at both ends")
    maximum: Positive = Field(default=300.0, description="MeV; above the chemical potential of electrons at the centre")
    groups: int = Field(default=16, ge=2, le=512, description="12 to 16 converge luminosities to 0.05 %")

    @model_validator(mode="after")
    def _ordered(self) -> EnergyOptions:
        if not self.minimum < self.maximum:
            raise ValueError(
                f"minimum is {self.minimum!r}, maximum is {self.maximum!r} MeV; accepted: minimum < maximum"
            )
        return self


class FlavorOptions(Section):
    """Flavours, mixing parameters, and the terms of the Hamiltonian that are switched on.

    A mixing parameter left out takes the global fit's value for the ordering.
    """

    number: Literal[2, 3] = Field(
        default=3, description="mixing; with 2, e mixes with one heavy flavour, the other is carried unmixed"
    )
    ordering: Literal["normal", "inverted"] = Field(default="normal", description="of the masses; normal fits best")
    mixing: bool = Field(default=True, description="off: flavours are carried without any conversion")
    self_interaction: bool = Field(default=True, description="neutrino-neutrino part of the Hamiltonian")
    matter: bool = Field(default=True, description="matter part of the Hamiltonian")
    theta12: float | None = Field(default=None, ge=0.0, le=pi / 2, description="rad")
    theta13: float | None = Field(default=None, ge=0.0, le=pi / 2, description="rad")
    theta23: float | None = Field(default=None, ge=0.0, le=pi / 2, description="rad")
    delta_cp: float | None = Field(default=None, ge=-2 * pi, le=2 * pi, description="rad")
    dm2_21: float | None = Field(default=None, ge=0.0, le=1.0, description="eV^2, m_2^2 - m_1^2")
    dm2_31: float | None = Field(
        default=None, ge=-1.0, le=1.0, description="eV^2, m_3^2 - m_1^2 signed: > 0 normal, < 0 inverted"
    )

    @field_validator("number", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"is {_show(value)}; accepted: 2 or 3")  # noqa: TRY004  (pydantic collects it)
        return value

    @model_validator(mode="after")
    def _sign(self) -> FlavorOptions:
        if self.dm2_31 is not None and (self.dm2_31 > 0.0) != (self.ordering == "normal"):
            sign = "> 0" if self.ordering == "normal" else "< 0"
            raise ValueError(f"dm2_31 is {self.dm2_31!r} eV^2; accepted with {self.ordering} ordering: {sign}")
        return self


class CollisionOptions(Section):
    """Interactions with matter."""

    source: Literal["builtin", "nulib", "none"] = Field(
        default="builtin", description="rates of this package, a NuLib table, or none; builtin needs no file"
    )
    table: str | None = Field(default=None, description="path of the NuLib table, relative to the case file")
    charged_current: bool = Field(default=True, description="emission and absorption on nucleons and nuclei")
    nucleon_scattering: bool = Field(default=True, description="isoenergetic")
    nucleus_scattering: bool = Field(default=True, description="coherent, isoenergetic")
    electron_scattering: bool = Field(default=True, description="inelastic; lowers the mean energy of nu_x by a fifth")
    pair: bool = Field(default=True, description="e- e+ annihilation, all flavours")
    bremsstrahlung: bool = Field(default=True, description="nucleon-nucleon, all flavours; a quarter of nu_x")
    weak_magnetism: bool = Field(default=False, description="first-order recoil terms; off in the published comparison")
    nucleon_potential: bool = Field(default=True, description="mean-field potentials in the charged current")
    response: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="temperature and electron fraction follow the exchange within a time step, so that sources do not "
        "oscillate where matter answers faster than that; auto: on where a host holds the module and moves the matter, "
        "off in runs over matter that stays as it is, and with frame terms",
    )

    @model_validator(mode="after")
    def _table(self) -> CollisionOptions:
        if self.source == "nulib" and self.table is None:
            raise ValueError('table is missing; accepted with source = "nulib": the path of a NuLib file')
        if self.source != "nulib" and self.table is not None:
            raise ValueError(f'table is {self.table!r}; accepted only with source = "nulib"')
        return self


class AdvectionOptions(Section):
    """Part one of the step, Eq. (13)."""

    scheme: Literal["adiabatic", "matrix"] = Field(
        default="adiabatic", description="carry populations (no numerical decoherence) or matrix elements (reference)"
    )
    reconstruction: Literal["linear", "constant"] = Field(
        default="linear", description="inside a cell; linear is second order where the field is smooth"
    )
    diffusion_threshold: Positive = Field(
        default=0.05, description="optical depth of a cell from which face values turn centred, for the diffusion limit"
    )
    cfl: float = Field(default=0.5, gt=0.0, le=1.0, description="time step over the shortest light-crossing time")

    @model_validator(mode="after")
    def _limit(self) -> AdvectionOptions:
        limit = CFL_LIMIT[self.reconstruction]
        if self.cfl > limit:
            raise ValueError(
                f'cfl is {self.cfl!r}; accepted with reconstruction = "{self.reconstruction}": 0 < cfl <= {limit:g}'
            )
        return self


class FrameOptions(Section):
    """Moving matter and gravity: to first order in v/c, in a static metric; on block meshes in time steps only."""

    doppler: bool = Field(
        default=False,
        description="Doppler shift and aberration by the fluid's velocity: energies and cosines are those that matter "
        "sees. Off: matter is at rest for transport and collisions",
    )
    gravity: Literal["none", "newtonian", "lapse", "relativistic"] = Field(
        default="none",
        description="redshift, bending and lapse by the mass on the mesh and inner_mass: relativistic: in the static "
        "metric of the enclosed rest mass; lapse: its lapse with flat radial lengths (post-Newtonian); newtonian: the "
        "lapse of the Newtonian potential, flat. Blocks: spherical coordinates, the shells' mean density",
    )
    inner_mass: float = Field(
        default=0.0, ge=0.0, le=1.0e3, description="solar masses inside the first face of a mesh that begins at r > 0"
    )

    @property
    def active(self) -> bool:
        """Whether any of it is on."""
        return self.doppler or self.gravity != "none"

    @model_validator(mode="after")
    def _mass(self) -> FrameOptions:
        if self.inner_mass > 0.0 and self.gravity == "none":
            raise ValueError(f'inner_mass is {self.inner_mass!r}; accepted with gravity = "none": leave it out')
        return self


Charge = Literal["none", "mass", "flavor", "synchronized", "auto"]


class ChargeRegion(Section):
    """A range of radii with conserved charges of its own."""

    outer_radius: Positive = Field(description="cm; cells whose centre is below it, and above the regions before it")
    charges: Charge = Field(description="as alignment.charges")


class AlignmentOptions(Section):
    """Part two of the step, Eq. (14)."""

    charges: Charge = Field(
        default="none",
        description="conserved flavour charges: none (Eq. 14 as printed, right where flavours are locked or neutrinos "
        "do not feel each other), the vacuum mass axis (V << dm^2/2E), the flavour axis (V >> dm^2/2E), or the "
        "synchronized axis between them; auto: chosen cell by cell where neutrinos act together and flavours are not "
        "locked, by comparing V with dm^2/2E",
    )
    charge_count: int | None = Field(
        default=None,
        ge=1,
        le=2,
        description="of charges; default: number of flavours minus one, as the theory asks for",
    )
    regions: list[ChargeRegion] = Field(
        default_factory=list, description="from inside out; beyond the last one, alignment.charges holds"
    )
    bin_average: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="average eigenvectors over energy bins; auto: with charges only, where a bin would flip as a whole",
    )
    bin_parts: int = Field(
        default=1, ge=1, le=64, description="intervals of a bin with three flavours; the error falls as the square"
    )

    phase_gradient: bool = Field(
        default=False,
        description="time steps carry the gradient of the common phase (Eq. E5); more exact where rays of different "
        "slope matter, and more fragile",
    )
    solver: Literal["local", "petsc"] = Field(
        default="local", description="Newton cell by cell, or PETSc SNES over all cells (slower, for comparison)"
    )
    tolerance: float = Field(default=1.0e-12, gt=0.0, lt=1.0e-2, description="relative residual, near round-off")
    max_iterations: int = Field(default=50, ge=1, le=10000, description="regular cells need 1 to 7")
    on_failure: Literal["stop", "hold", "reproject", "equilibrate"] = Field(
        default="stop",
        description="stop the run; keep the cell's previous alignment; begin again next to its old density matrices "
        "(with charges or bin averages only); or move the cell to the state of largest entropy with its numbers, "
        "energy and charges (time steps only). All are counted: a silent fallback is a defect",
    )

    @model_validator(mode="after")
    def _policy(self) -> AlignmentOptions:
        if self.solver == "petsc" and self.on_failure != "stop":
            raise ValueError(
                f"on_failure is {self.on_failure!r}; accepted with solver = \"petsc\": 'stop' (one solve for all cells)"
            )
        if self.on_failure == "reproject" and not self.averaged:
            raise ValueError(
                "on_failure is 'reproject'; accepted with charges or bin averages, otherwise 'stop' or 'hold'"
            )
        radii = [region.outer_radius for region in self.regions]
        if radii != sorted(set(radii)):
            raise ValueError(f"regions have outer radii {radii}; accepted: increasing values")
        if self.bin_average == "off" and self.charged:
            raise ValueError(
                "bin_average is 'off'; accepted with charges: 'auto' or 'on' (a bin would flip as a whole)"
            )
        return self

    @property
    def charged(self) -> bool:
        """Whether any cell may have conserved charges."""
        return self.charges != "none" or any(region.charges != "none" for region in self.regions)

    @property
    def averaged(self) -> bool:
        """Whether eigenvectors are averaged over energy bins."""
        return self.bin_average == "on" or self.charged


class ValidityOptions(Section):
    """Where the assumptions of the method fail."""

    every: int = Field(
        default=50, ge=0, description="steps between two measurements; they are also made for every output; 0: never"
    )
    stability_cells: int = Field(
        default=6,
        ge=0,
        le=100000,
        description="cells, evenly spread, whose linear stability is computed for an output; 0: none. A cell takes "
        "seconds",
    )
    e_folds: Positive = Field(
        default=20.0,
        description="of growth along a ray from which a state counts as unstable; seeds of 1e-4 to 1e-18 need 9 to 41, "
        "and few angles and energies make weak growth of their own",
    )


class SteadyOptions(Section):
    """Implicit solve for the stationary state."""

    relative_tolerance: float = Field(default=1.0e-10, gt=0.0, lt=1.0e-2, description="residual over the first one")
    max_newton: int = Field(default=30, ge=1, le=10000, description="a star takes 3")
    max_krylov: int = Field(default=300, ge=1, le=100000, description="linear iterations in one Newton step")


class LedgerOptions(Section):
    """What is booked beside energy and numbers."""

    thermodynamics: bool = Field(
        default=False,
        description="work, heats and charges of mixing in every cell, the first law of Eq. (11), of time steps; holds "
        "projectors of all cells and costs several times a step without inelastic collisions",
    )


class ClosureOptions(Section):
    """What neutrinos become where their flavours are unstable, instead of what the alignment says."""

    kind: Literal["none", "box", "pair", "equilibrium"] = Field(
        default="none",
        description="none: the alignment alone; box: flavour equality on the side of the smaller lobe of the "
        "electron-lepton number; pair: equilibrium of nu_e nubar_e and nu_x nubar_x; equilibrium: "
        "largest entropy with the lepton numbers of all flavours",
    )
    where: Literal["crossing", "everywhere"] = Field(
        default="crossing",
        description="cells whose electron-lepton number changes sign with angle (a fast instability), or all; only "
        "cells whose levels are flavours are changed",
    )
    depth: float = Field(
        default=1.0e-3,
        ge=0.0,
        le=1.0,
        description="smaller over larger lobe, above which a crossing counts; shallower ones are left by coarse angles",
    )
    relaxation_time: float = Field(
        default=0.0, ge=0.0, description="s, of an exponential approach; 0: at once, as fast modes take nanoseconds"
    )

    @model_validator(mode="after")
    def _idle(self) -> ClosureOptions:
        fields = type(self).model_fields
        given = [name for name in ("where", "depth", "relaxation_time") if getattr(self, name) != fields[name].default]
        if self.kind == "none" and given:
            raise ValueError(f"{given[0]} is {getattr(self, given[0])!r}; accepted without a closure: leave it out")
        if self.kind == "box" and self.where == "everywhere":
            raise ValueError("where is 'everywhere'; accepted with kind = \"box\": 'crossing' (nothing else changes)")
        return self


class TransportOptions(Section):
    """All options of the transport module."""

    angles: AngleOptions = Field(default_factory=AngleOptions)
    energy: EnergyOptions = Field(default_factory=EnergyOptions)
    flavors: FlavorOptions = Field(default_factory=FlavorOptions)
    collisions: CollisionOptions = Field(default_factory=CollisionOptions)
    advection: AdvectionOptions = Field(default_factory=AdvectionOptions)
    frame: FrameOptions = Field(default_factory=FrameOptions)
    alignment: AlignmentOptions = Field(default_factory=AlignmentOptions)
    steady: SteadyOptions = Field(default_factory=SteadyOptions)
    closure: ClosureOptions = Field(default_factory=ClosureOptions)
    validity: ValidityOptions = Field(default_factory=ValidityOptions)
    ledger: LedgerOptions = Field(default_factory=LedgerOptions)
    petsc: dict[str, str | float | int | bool] = Field(
        default_factory=dict, description="PETSc options under the prefixes misci_align_ and misci_steady_"
    )

    @model_validator(mode="after")
    def _charges(self) -> TransportOptions:
        alignment, flavors = self.alignment, self.flavors
        if alignment.charge_count == 2 and flavors.number == 2:
            raise ValueError("alignment.charge_count is 2; accepted with flavors.number = 2: 1 (flavours minus one)")
        if alignment.averaged and self.advection.scheme == "matrix":
            raise ValueError(
                'advection.scheme is "matrix"; accepted with alignment.charges or bin averages: "adiabatic" (levels '
                "belong to the effective Hamiltonian)"
            )
        if alignment.on_failure == "equilibrate" and self.advection.scheme == "matrix":
            raise ValueError(
                "alignment.on_failure is 'equilibrate'; accepted with advection.scheme = \"matrix\": 'stop' or 'hold'"
            )
        if alignment.averaged and self.frame.active:
            raise ValueError(
                "frame.doppler and frame.gravity: accepted without alignment.charges and bin averages (charges are "
                "carried without them)"
            )
        if alignment.averaged and not flavors.mixing:
            raise ValueError("alignment.charges has no effect with flavors.mixing = false; accepted: leave it out")
        return self

    @model_validator(mode="after")
    def _closure(self) -> TransportOptions:
        kind = self.closure.kind
        if kind == "none":
            return self
        if self.advection.scheme == "matrix":
            raise ValueError(f'closure.kind is {kind!r}; accepted with advection.scheme = "matrix": "none"')
        if self.alignment.averaged:
            raise ValueError(
                f'closure.kind is {kind!r}; accepted with alignment.charges or bin averages: "none" (conversion would '
                "change the charges that are held)"
            )
        return self

    @field_validator("petsc", mode="after")
    @classmethod
    def _prefixes(cls, value: dict[str, str | float | int | bool]) -> dict[str, str | float | int | bool]:
        for key in value:
            if not key.startswith(PETSC_PREFIXES):
                raise ValueError(f"has the key {key!r}; accepted: names that start with {' or '.join(PETSC_PREFIXES)}")
        return value


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Rewrite a pydantic error: each wrong key with its value and what is accepted, one per line."""
    lines: dict[str, None] = {}
    for item in error.errors():
        # union branches and dictionary markers are pydantic's, not the user's
        path = [part for part in item["loc"] if isinstance(part, int) or "[" not in str(part)]
        key = ".".join(str(part) for part in path)
        kind, value = item["type"], item["input"]
        if kind == "extra_forbidden":
            lines[f"unknown key {key}{_suggest(model, [str(part) for part in path])}"] = None
        elif kind == "missing":
            lines[f"key {key} is missing; accepted: {accepted_values(model, path)}"] = None
        elif kind == "value_error":
            message = str(item["ctx"]["error"])
            separator = " " if message.startswith(("is ", "has ")) else "."
            lines[f"{key}{separator}{message}" if key else message] = None
        else:
            lines[f"{key} is {_show(value)}; accepted: {accepted_values(model, path)}"] = None
    return "\n".join(lines)


def accepted_values(model: type[BaseModel], path: list[Any]) -> str:
    """What the key at ``path`` accepts, in words."""
    section: Any = model
    for depth, name in enumerate(path):
        if not (isinstance(section, type) and issubclass(section, BaseModel)) or name not in section.model_fields:
            break
        field = section.model_fields[name]
        annotation, metadata = field.annotation, list(field.metadata)
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        section = annotation
        inner = section_of(annotation)
        if inner is not None:
            section = inner
        if depth == len(path) - 1:
            return _describe(annotation, metadata)
        if inner is None:
            return _describe(annotation, metadata)
    return "see the user guide"


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted keys of a model, sections included."""
    found = []
    for name, field in model.model_fields.items():
        found.append(prefix + name)
        inner = section_of(field.annotation)
        if inner is not None:
            found += keys(inner, f"{prefix}{name}.")
    return found


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The option group that a field's type stands for, or None."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _describe(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = metadata + more
    choices = [part for part in (get_args(annotation) or (annotation,)) if part is not type(None)]
    if get_origin(annotation) is Literal:
        return " or ".join(repr(choice) for choice in choices)
    if section_of(annotation) is not None:
        return "a table of keys"
    if get_origin(annotation) is dict:
        return "a table of names and values"
    if get_origin(annotation) in (list, tuple):
        return f"a list, each item {_describe(choices[0], [])}"
    if len(choices) == 1 and get_origin(choices[0]) in (list, tuple):
        return _describe(choices[0], [])
    nested = [part for choice in choices if get_origin(choice) is Annotated for part in get_args(choice)[1:]]
    plain = [get_args(choice)[0] if get_origin(choice) is Annotated else choice for choice in choices]
    words = {float: "a number", int: "an integer", bool: "true or false", str: "a string"}
    text = " or ".join(words.get(choice, getattr(choice, "__name__", str(choice))) for choice in plain)
    signs = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
    limits = []
    for entry in _flat(metadata + nested):
        limits += [f"{sign} {getattr(entry, name):g}" for name, sign in signs if getattr(entry, name, None) is not None]
        if getattr(entry, "multiple_of", None) is not None:
            limits.append(f"a multiple of {entry.multiple_of}")
        if getattr(entry, "min_length", None) is not None:
            text = text.replace("a string", "a non-empty string")
    return f"{text} {' and '.join(limits)}".strip()


def _flat(metadata: list[Any]) -> list[Any]:
    return [part for entry in metadata for part in (getattr(entry, "metadata", None) or [entry])]


def _suggest(model: type[BaseModel], path: list[str]) -> str:
    known = keys(model)
    parent = ".".join(path[:-1])
    siblings = [key for key in known if key.rpartition(".")[0] == parent]
    near = difflib.get_close_matches(".".join(path), siblings, n=1, cutoff=0.6)
    if not near:
        by_last = {key.rpartition(".")[2]: key for key in reversed(known)}
        near = [by_last[name] for name in difflib.get_close_matches(path[-1], by_last, n=1, cutoff=0.75)]
    hint = f"; did you mean {near[0]}?" if near else ""
    if siblings:
        hint += f" (accepted {'in ' + parent if parent else 'here'}: "
        hint += ", ".join(key.rpartition(".")[2] for key in siblings) + ")"
    return hint


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
