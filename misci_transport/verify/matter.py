"""V19 and V20: neutrinos in a hot box, and what the fluid receives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import BlockMesh
from ..constants import ERG_PER_MEV, SPEED_OF_LIGHT
from ..energy import EnergyGrid
from ..fluid import Fluid
from ..grid import RadialMesh
from ..physics.block_boundary import BlockBoundary
from ..physics.boundary import Boundary
from ..physics.microphysics.builtin import BuiltinOptions, builtin_rates
from ..physics.microphysics.equation_of_state import complete, neutrino_chemical_potential
from ..quadrature import AngularGrid
from .blocks import directions, is_block, resolve
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cells, geometry, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..sphere import SphereQuadrature
    from ..stepper import StepResult

SPECIES = ("nu", "nubar")
FLAVORS = ("e", "mu", "tau")
BLOCKS = ("cartesian2", "cartesian3", "polar2", "polar3")


def room(geometry: str, length: float, count: int) -> RadialMesh | BlockMesh:
    """A radial mesh up to ``length``, a box of this side, or the whole ball."""
    if not is_block(geometry):
        return RadialMesh.uniform(0.0, length, count, geometry)
    shape = resolve(geometry, count, count, count)
    if geometry.startswith("cartesian"):
        return BlockMesh.uniform((0.0,) * 3, (length,) * 3, shape)
    return BlockMesh.uniform((0.0,) * 3, (length, np.pi, 2.0 * np.pi), shape, "spherical")


def _density(default: float) -> Parameter:
    return Parameter("mass_density", default, "g/cm^3", "mass density of the matter", 1.0e9, 1.0e15)


def _temperature(default: float) -> Parameter:
    return Parameter("temperature", default, "MeV", "temperature of the matter", 1.0, 50.0)


def _electron_fraction(default: float) -> Parameter:
    return Parameter("electron_fraction", default, "1", "electrons per baryon", 0.02, 0.5)


def box(
    mesh: RadialMesh | BlockMesh,
    p: dict[str, Any],
    options: BuiltinOptions,
    contrast: NDArray[np.float64],
    comm: Any = None,
    ends: str = "reflecting",
) -> tuple[Case, Fluid]:
    """Matter with the given temperature times a factor for each cell; reflecting ends, of a block other ones too."""
    ones = np.ones(mesh.size)
    energy = EnergyGrid.logarithmic(2.0, 30.0 * p["temperature"], p["groups"])
    fluid = complete(
        Fluid(p["mass_density"] * ones, p["temperature"] * contrast, p["electron_fraction"] * ones, 0.0 * ones), options
    )
    boundary: Boundary | BlockBoundary
    grid: AngularGrid | SphereQuadrature
    if isinstance(mesh, BlockMesh):
        grid, boundary = directions("V19, V20", p["angles"]), BlockBoundary.of(mesh, ends)
    else:
        grid, boundary = AngularGrid.ordinates(mesh, p["angles"]), Boundary("reflecting", "reflecting")
    case = Case(mesh, grid, energy=energy, rates=builtin_rates(fluid, energy, options), boundary=boundary, comm=comm)
    return case, fluid


def equilibrium(case: Case, fluid: Fluid) -> NDArray[np.float64]:
    """Fermi-Dirac occupation (cell, species, flavour, group) at the fluid's T and mu."""
    potential = np.zeros((fluid.size, 2, 3))
    potential[:, 0, 0] = neutrino_chemical_potential(fluid)
    potential[:, 1, 0] = -potential[:, 0, 0]
    x = (case.energy.center - potential[..., None]) / fluid.temperature[:, None, None, None]
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(x, 700.0))))


def flavor_occupation(case: Case) -> NDArray[np.float64]:
    """Populations of locked levels as (cell, direction, species, flavour, group)."""
    f = case.populations()
    out = np.empty((*f.shape[:3], 3, f.shape[3]))
    for species in range(2):
        for level in range(3):
            out[:, :, species, case.frame.component[0, species, level]] = f[:, :, species, :, level]
    return out


@problem(
    "V19",
    "equilibration",
    "all species in a hot box end at Fermi-Dirac with the fluid's temperature and chemical potential",
    [
        geometry("plane", "spherical", *BLOCKS),
        _density(1.0e13),
        _temperature(12.0),
        _electron_fraction(0.2),
        cells(2, 1, 100, elsewhere=dict.fromkeys(BLOCKS, 2)),
        angles(4, high=32),
        groups(12),
    ],
)
def equilibration(p: dict[str, Any], findings: Findings) -> None:
    """Implicit collisions with energy coupling until nothing changes, from an anisotropic start far from it."""
    # wide cells: a step may be long against all interactions and short against the crossing of a cell
    length = 1.0e12
    mesh = room(p["geometry"], length * p["cells"], p["cells"])
    case, fluid = box(mesh, p, BuiltinOptions(), np.ones(mesh.size))
    case.fill(0.1 * (1.0 + 0.5 * forward(case)))
    longest = 0.2 * (case.light_crossing() if is_block(p["geometry"]) else length)
    for exponent in np.linspace(2.0, 11.0, 60):
        case.step(float(min(10.0**exponent, longest)))
    found, answer = flavor_occupation(case), equilibrium(case, fluid)[:, None]
    number = case.phase_space.number_weight
    for species, word in enumerate(SPECIES):
        for flavor, name in enumerate(FLAVORS):
            f, exact = found[:, :, species, flavor], answer[:, :, species, flavor]
            deviation = float(np.abs(f - exact).max())
            findings.compare(f"{word}_{name}: largest |f - Fermi-Dirac|", deviation, 0.0, 1.0e-6)
            mean = (case.angles.weight_0[0] @ f[0]) @ number
            findings.compare(f"{word}_{name}: number density (cm^-3)", mean, 2.0 * exact[0, 0] @ number, 1.0e-5)


def forward(case: Case) -> NDArray[np.float64]:
    """Direction cosine with the radius, or with the diagonal of the axes, (cell, direction) of the whole mesh."""
    if isinstance(case.mesh, BlockMesh):
        return np.repeat(case.angles.direction.sum(axis=1)[None] / np.sqrt(3.0), case.mesh.size, axis=0)
    return np.asarray(case.angles.direction_cosine)


def momentum(case: Case) -> NDArray[np.float64]:
    """Momentum of the neutrinos on all ranks along each axis of a block, MeV/c."""
    f = case.state.owned.sum(axis=4)
    weight = case.phase_space.number_weight * case.energy.center
    moments = np.einsum("im,md,imsg,g->d", case.phase_volume(), case.angles.direction, f, weight)
    return np.array([case.total(float(x)) for x in moments])


def balance(case: Case, result: StepResult, h: float) -> tuple[float, float]:
    """|gain of the fluid + gain of the neutrinos - inflow - corrections| of a step over the gross exchange.

    For energy and for electron-lepton number; gross: what is there plus what is emitted and absorbed meanwhile.
    """
    ledger, dt = result.ledger, h / SPEED_OF_LIGHT
    volume = case.mesh.volume[case.cells]
    energy = float(volume @ result.sources.energy) * dt / ERG_PER_MEV
    lepton = float(volume @ result.sources.lepton_number) * dt

    def change(name: str) -> float:
        return ledger.after[name] - ledger.before[name] - ledger.inflow[name] - ledger.corrections[name]

    component = case.frame.component[0, 0]
    f = case.state.owned
    emission, absorption = (
        x[:, :, component].transpose(0, 1, 3, 2)[:, None] for x in (case.rates.emissivity, case.rates.absorption)
    )
    gross = np.einsum("im,imsgk->ig", case.phase_volume(), h * (emission * (1.0 - f) + absorption * f) + f)
    number = case.phase_space.number_weight
    missing_energy = case.total(energy + change("energy"))
    missing_lepton = case.total(lepton + change("neutrinos") - change("antineutrinos"))
    return (
        abs(missing_energy) / case.total(float(gross.sum(axis=0) @ (number * case.energy.center))),
        abs(missing_lepton) / case.total(float(gross.sum(axis=0) @ number)),
    )


@problem(
    "V20",
    "conservation",
    "energy and lepton number given to the fluid are those that the neutrinos lose, every step",
    [
        geometry("spherical", "plane", *BLOCKS),
        _density(1.0e12),
        _temperature(8.0),
        _electron_fraction(0.2),
        Parameter(
            "radius",
            1.0e7,
            "cm",
            "outer end of the mesh",
            1.0e3,
            1.0e12,
            elsewhere=dict.fromkeys(BLOCKS, 1.0e6),
        ),
        cells(24, 2, elsewhere=dict.fromkeys(BLOCKS, 4)),
        angles(6, high=32, elsewhere=dict.fromkeys(BLOCKS, 4)),
        groups(8),
    ],
)
def conservation(p: dict[str, Any], findings: Findings) -> None:
    """Steps of a sphere with hot and cold cells, with all processes and with each that conserves more."""
    mesh = room(p["geometry"], p["radius"], p["cells"])
    contrast = 1.0 + 0.2 * np.cos(np.arange(mesh.size))
    # momentum is kept where no wall takes it, and no basis turns
    boxed = p["geometry"].startswith("cartesian")
    ends = "periodic" if boxed else "reflecting"
    off = dict.fromkeys(
        (
            "charged_current",
            "nucleon_scattering",
            "nucleus_scattering",
            "electron_scattering",
            "pair",
            "bremsstrahlung",
        ),
        False,
    )
    case, _ = box(mesh, p, BuiltinOptions(), contrast, ends=ends)
    h = 0.3 * (case.light_crossing() if isinstance(mesh, BlockMesh) else float(mesh.width[0]))
    case.fill(np.full((mesh.size, case.angles.size), 0.05))
    if boxed:
        case.fill(0.05 * (1.0 + 0.5 * forward(case)))
    worst, unkept, kept = np.zeros(2), 0.0, 0
    for _ in range(20):
        before = momentum(case) if boxed else np.zeros(3)
        result = case.step(h)
        worst = np.maximum(worst, balance(case, result, h))
        # occupations that are set to zero take momentum along, which the ledger does not book
        if boxed and case.corrections([result]) == 0:
            kept += 1
            volume = mesh.volume[case.cells]
            taken = [case.total(float(volume @ x)) * h / ERG_PER_MEV for x in result.sources.momentum.T]
            missing = np.abs(momentum(case) - before + taken).max()
            unkept = max(unkept, float(missing) / case.total(result.ledger.before["energy"]))
    findings.compare("all processes: energy lost between neutrinos and fluid, worst step", worst[0], 0.0, 1.0e-14)
    findings.compare("all processes: lepton number lost, worst step", worst[1], 0.0, 1.0e-14)
    if boxed:
        words = "all processes, steps without corrections"
        findings.at_least(f"{words}: number", kept, 3.0)
        findings.compare(f"{words}: momentum lost over energy content, worst step", unkept, 0.0, 1.0e-14)
    # one process alone leaves whole families of solutions, which long steps approach slowly
    short = h / 30.0
    for name, energy_kept in (("nucleon_scattering", True), ("electron_scattering", False), ("pair", False)):
        case, _ = box(mesh, p, BuiltinOptions(**{**off, name: True}), contrast, ends=ends)
        tilt = 0.05 * (1.0 + 0.5 * forward(case))
        case.fill(tilt)
        given = np.zeros(2)
        for _ in range(5):
            result = case.step(short)
            volume = mesh.volume[case.cells] * short / SPEED_OF_LIGHT
            content = case.total(result.ledger.before["energy"])
            numbers = case.total(result.ledger.before["neutrinos"] + result.ledger.before["antineutrinos"])
            energy = case.total(float(volume @ np.abs(result.sources.energy))) / ERG_PER_MEV / content
            lepton = case.total(float(volume @ np.abs(result.sources.lepton_number))) / numbers
            given = np.maximum(given, (energy, lepton))
        words = name.replace("_", " ")
        if energy_kept:
            findings.compare(f"{words} alone: energy given to the fluid over content", given[0], 0.0, 1.0e-12)
        else:
            findings.at_least(f"{words} alone: energy given to the fluid over content", given[0], 1.0e-12)
        findings.compare(f"{words} alone: lepton number given to the fluid over content", given[1], 0.0, 1.0e-11)
