"""V7: flavour conversion around a bulb that radiates neutrinos in all directions, stationary and in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.integrate import trapezoid
from scipy.special import roots_legendre

from ..alignment.branches import start_branches
from ..constants import ERG_PER_MEV, EV2_TO_MEV2, FERMI_POTENTIAL, HBAR_C, PHASE_SPACE, SPEED_OF_LIGHT
from ..energy import EnergyGrid
from ..flavor import pack
from ..grid import RadialMesh
from ..options import ValidityOptions
from ..physics.boundary import Boundary
from ..physics.charge_transport import ChargeTransport
from ..physics.conserved_mixing import ConservedMixing
from ..physics.hamiltonian import Hamiltonian
from ..quadrature import AngularGrid
from ..validity.monitor import ValidityMonitor
from .kinetics import BulbKinetics, vacuum_axis
from .kinetics import bulb as bulb_kinetics
from .registry import Findings, Parameter, problem
from .setup import Case

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Bulb:
    """Two flavours from a sphere: self-interaction mu_0 (R/r)^2 (S_0 - v S_1), S_0 = <P/v>, S_1 = <P>.

    Any unit of length, frequencies in its inverse. Inverted ordering: nu_e has the larger vacuum energy.
    """

    radius: float  #: R of the sphere
    inner: float  #: where the mesh begins
    outer: float
    strength: float  #: mu_0
    edges: NDArray[np.float64]  #: (group + 1,) w = dm^2/2E, ascending
    emission: NDArray[np.float64]  #: (species, group, flavour) numbers emitted, in units that go with mu_0
    theta: float = 0.05
    angles: int = 80
    cells: int = 400
    phase_gradient: bool = False  #: whether time steps carry k, Eq. (E5)

    @property
    def frequency(self) -> NDArray[np.float64]:
        """(group,) w at the middle of the bins."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def case(self, comm: Any = None) -> tuple[Case, ConservedMixing, NDArray[np.float64]]:
        """The transport problem with nothing in it, its alignment, and what is emitted.

        The last is packed, (direction, species, group, component).
        """
        mesh = RadialMesh.logarithmic(self.inner, self.outer, self.cells)
        angles = AngularGrid.bulb(mesh, self.radius, self.angles)
        w = self.frequency
        # weight_0 is (R/r)^2 <1/v>/2
        energy = EnergyGrid(w, self.edges, np.full(w.size, 2.0) / PHASE_SPACE)
        case = Case(mesh, angles, energy=energy, boundary=Boundary("inflow", "inflow"), n_flavors=2, comm=comm)
        c, s = np.cos(2.0 * self.theta), np.sin(2.0 * self.theta)
        vacuum = pack(0.5 * w[:, None, None] * np.array([[c, s], [s, -c]]))
        hamiltonian = ScaledHamiltonian(2, vacuum, self.strength)
        emitted = np.zeros((self.angles, 2, w.size, 5))
        emitted[..., :2] = self.emission
        transport = ChargeTransport(case.phase_space, case.decomposition, case.advection)
        mixing = ConservedMixing(
            case.phase_space,
            case.decomposition,
            hamiltonian,
            transport,
            kinds="mass",
            tolerance=1.0e-12,
            max_iterations=50,
            on_failure="stop",
            bin_ratio=np.stack([self.edges[:-1] / w, self.edges[1:] / w], axis=1),
            phase_gradient=self.phase_gradient,
        )
        axes = mixing.axes().take(np.zeros(1, dtype=np.int64))
        transport.inner = axes.content(emitted[None, ..., :4])[0]
        return case, mixing, emitted

    def kinetics(self, radii: NDArray[np.float64], angles: int) -> BulbKinetics:
        """The same bulb with the commutator."""
        w = np.concatenate([-self.frequency[::-1], self.frequency])
        net = self.emission[..., 0] - self.emission[..., 1]
        return bulb_kinetics(
            w,
            np.concatenate([-net[1, ::-1], net[0]]),
            vacuum_axis(self.theta, "inverted"),
            radius=self.radius,
            strength=self.strength,
            radii=radii,
            angles=angles,
        )


def box(case: str, asymmetry: float, theta: float, angles: int, energies: int, cells: int) -> Bulb:
    """Only nu_e and nubar_e, box spectrum on 0 < w < 1; energies counts neutrino and antineutrino bins together."""
    groups = energies // 2
    emission = np.zeros((2, groups, 2))
    emission[0, :, 0], emission[1, :, 0] = 1.0 / groups, asymmetry / groups
    return Bulb(
        **GEOMETRY[case],  # type: ignore[arg-type]
        edges=np.linspace(0.0, 1.0, groups + 1),
        emission=emission,
        theta=theta,
        angles=angles,
        cells=cells,
    )


#: nubar over nu from which multi-angle instabilities take all coherence away.
SYMMETRIC = 0.9
#: Distance of the first aligned state from the emitted one, as `Start.distance`.
NEAR = 0.02
GEOMETRY = {
    "R20": {"radius": 20.0, "inner": 60.0, "outer": 1200.0, "strength": 64000.0},
    "R60": {"radius": 60.0, "inner": 75.0, "outer": 1500.0, "strength": 1600.0},
}


class ScaledHamiltonian(Hamiltonian):
    """A Hamiltonian whose self-interaction has a given strength."""

    def __init__(self, n_flavors: int, vacuum: NDArray[np.float64], strength: float) -> None:
        super().__init__(n_flavors, vacuum)
        object.__setattr__(self, "_strength", strength)

    @property
    def strength(self) -> float:
        """The given strength."""
        return float(self._strength)  # type: ignore[attr-defined]


def _first_cell(
    case: Case, mixing: ConservedMixing, emitted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Populations (direction, ...) and moments (1, 2, N_f^2) of the aligned innermost cell (collective)."""
    found = None
    if case.decomposition.is_first:
        first = mixing.cells.take(np.zeros(1, dtype=np.int64))
        begun = start_branches(first, emitted[None])
        found = begun.populations[0], first.moments(begun.unknowns, begun.charges, begun.populations)
    populations, moments = case.decomposition.comm.bcast(found, root=0)
    return populations, moments


def stationary(bulb: Bulb, comm: Any = None) -> tuple[Case, ConservedMixing]:
    """The stationary state, marched outwards from the flavour state with the fluxes of the charge held."""
    case, mixing, emitted = bulb.case(comm)
    populations, moments = _first_cell(case, mixing, emitted)
    case.boundary.inner_populations = populations
    case.state.owned[:] = populations
    mixing.begin_flux()
    case.state.moments[:] = moments
    case.mix(mixing)
    return case, mixing


def survival(case: Case, mixing: ConservedMixing, bulb: Bulb) -> NDArray[np.float64]:
    """(1 + P_z/|P_0|)/2 of each mode, (cell, direction, species, group), of the whole mesh."""
    projector = mixing.projector
    electron = np.einsum("cmsgk,cmsgk->cmsg", case.state.owned, projector[..., 0])
    heavy = np.einsum("cmsgk,cmsgk->cmsg", case.state.owned, projector[..., 1])
    net = bulb.emission[..., 0] - bulb.emission[..., 1]
    return case.whole(np.ascontiguousarray(0.5 + 0.5 * (electron - heavy) / net))


def from_flavor_state(bulb: Bulb) -> Bulb:
    """The bulb with its mesh beginning where an aligned state is next to the emitted one.

    The nearer numbers of nu and nubar are, the farther inside is the end of the range where they turn together. The
    given radius is kept if it will do; otherwise radii down to the sphere's are tried.
    """
    for inner in (bulb.inner, *(bulb.radius * x for x in (2.0, 1.5, 1.25, 1.1, 1.02))):
        if inner > bulb.inner:
            continue
        trial = replace(bulb, inner=inner)
        _, mixing, emitted = trial.case(_alone())
        begun = start_branches(mixing.cells.take(np.zeros(1, dtype=np.int64)), emitted[None])
        if begun.report.successful and begun.distance[0] < NEAR:
            return trial
    return bulb


def _alone() -> Any:
    from mpi4py import MPI

    return MPI.COMM_SELF


def evolving(bulb: Bulb, begin: Bulb, comm: Any = None) -> tuple[Case, ConservedMixing]:
    """A bulb in time, beginning with the stationary state of another one that fills the same mesh.

    A domain filled with flavour states would not do: where those are unstable no aligned state is near them.
    """
    before, held = stationary(begin, comm)
    case, mixing, emitted = bulb.case(comm)
    case.boundary.inner_populations, _ = _first_cell(case, mixing, emitted)
    case.state.owned[:] = before.state.owned
    case.state.moments[:] = before.state.moments
    mixing.fixed, mixing.multipliers = held.fixed, held.multipliers
    case.mixing, case.frame = mixing, mixing.begin_density(case.state.owned, case.state.moments)
    return case, mixing


def luminosity_bulb(theta: float, angles: int, energies: int, cells: int) -> Bulb:
    """Luminosities of 1e51 erg/s in each species from 11 km, T = 2.76, 4.01, 6.26 MeV, eta = 3, dm^2 = -3e-3 eV^2."""
    groups = energies // 2
    radius, luminosity = 1.1e6, 1.0e51 / ERG_PER_MEV
    # bins uniform in 1/2E from 60 to 1.5 MeV
    inverse = np.linspace(1.0 / 60.0, 1.0 / 1.5, groups + 1)
    numbers = np.array([_numbers(luminosity, t, inverse) for t in (2.76, 4.01, 6.26)])
    scale = numbers.sum(axis=1).max()
    emission = np.stack([np.stack([numbers[0], numbers[2]], axis=-1), np.stack([numbers[1], numbers[2]], axis=-1)])
    return Bulb(
        radius=radius,
        inner=4.0e6,
        outer=6.0e7,
        strength=FERMI_POTENTIAL * scale / (4.0 * np.pi * radius**2 * SPEED_OF_LIGHT),
        edges=3.0e-3 * EV2_TO_MEV2 / (2.0 * HBAR_C) * inverse,
        emission=emission / scale,
        theta=theta,
        angles=angles,
        cells=cells,
    )


def _numbers(
    luminosity: float, temperature: float, inverse: NDArray[np.float64], points: int = 16
) -> NDArray[np.float64]:
    """Numbers a second in bins of 1/E (1/MeV) of a Fermi-Dirac spectrum with eta = 3, luminosity in MeV/s."""
    x, weight = roots_legendre(16)
    y = 0.5 * (inverse[1:] + inverse[:-1])[:, None] + 0.5 * np.diff(inverse)[:, None] * x
    # dE = E^2 d(1/E)
    number = 0.5 * np.diff(inverse) * (weight * y**-4 / (np.exp(1.0 / (y * temperature) - 3.0) + 1.0)).sum(axis=1)
    energies = np.linspace(0.0, 40.0 * temperature, 4001)[1:]
    spectrum = energies**2 / (np.exp(energies / temperature - 3.0) + 1.0)
    return np.asarray(luminosity * number / trapezoid(energies * spectrum, energies))


@problem(
    "V7",
    "bulb",
    "flavour conversion around a sphere that radiates neutrinos, all angles",
    [
        Parameter("case", "R20", "-", "which bulb", choices=("R20", "R60", "luminosity")),
        Parameter("asymmetry", 0.7, "1", "antineutrinos over neutrinos (R20 and R60)", 0.05, 0.99),
        Parameter("theta", 0.05, "rad", "vacuum mixing angle", 1.0e-3, 0.5),
        Parameter("angles", 160, "1", "emission angles", 2, 640),
        Parameter("energies", 40, "1", "energy bins, neutrinos and antineutrinos together", 4, 400, even=True),
        Parameter("cells", 400, "1", "number of cells", 20, 4000),
        Parameter("stability", "yes", "-", "whether to compute linear stability", choices=("yes", "no")),
        Parameter("evolve", "yes", "-", "whether to march in time as well", choices=("yes", "no")),
    ],
)
def radiating_bulb(p: dict[str, Any], findings: Findings) -> None:
    """The stationary march against kinetics, the flux of the charge, and time steps against the march."""
    made = _bulb(p)
    case, mixing = stationary(made)
    steps = case.whole(mixing.iterations)
    failed = case.total(float(mixing.failed.sum()))
    findings.compare("cells without a solution", failed, 0.0, 0.0)
    findings.compare("cells that needed continuation", case.total(float(len(mixing.events))), 0.0, 0.0)
    findings.compare("Newton iterations of a cell, mean", steps.mean(), 2.6, 1.0)
    found = survival(case, mixing, made)[-1].mean(axis=0)
    radii = np.linspace(made.inner, made.outer, 80)
    exact = made.kinetics(radii, int(p["angles"])).polarization
    groups = made.frequency.size
    # the outermost radii average over the precession about the axis of masses
    mean = 0.5 + 0.5 * exact[-12:, ..., 2].mean(axis=(0, 2))
    net = np.abs(made.emission[..., 0] - made.emission[..., 1])
    decoheres = p["case"] != "luminosity" and p["asymmetry"] >= SYMMETRIC
    for species, (word, kinetic) in enumerate((("nu", mean[groups:]), ("nubar", mean[groups - 1 :: -1]))):
        weight = net[species] / net[species].sum()
        error = float(weight @ np.abs(found[species] - kinetic))
        if decoheres:
            # a converged alignment that is wrong: all that can be asked for is that the monitor says so
            findings.compare(f"{word}_e survival by kinetics: decohered", weight @ kinetic, 0.5, 0.15)
            continue
        findings.compare(
            f"{word}_e survival against kinetics (error: mean over bins of angle averages)",
            weight @ found[species],
            weight @ kinetic,
            0.02,
            error=error,
        )
    _conserved_number(made, found, findings)
    if p["case"] != "luminosity" and p["stability"] == "yes":
        findings.compare("flagged as unstable (1: yes)", float(_unstable(p)), float(decoheres), 0.0)
    if p["evolve"] == "yes" and not decoheres:
        _evolve(p, findings)


def _unstable(p: dict[str, Any]) -> bool:
    """Whether the validity monitor finds axially symmetric perturbations that have time to grow."""
    # few energies make the linear problem quick; few angles would make instabilities of their own
    case, mixing = stationary(_bulb(p | {"energies": min(p["energies"], 10), "cells": min(p["cells"], 200)}))
    monitor = ValidityMonitor(case.phase_space, case.decomposition, ValidityOptions(stability_cells=10))
    state = case.state
    measured = monitor.measure(state.owned, state.moments, mixing, case.collisions, case.frame, stability=True)
    return bool(case.total(float(measured.flags["unstable"].any())))


def _bulb(p: dict[str, Any]) -> Bulb:
    shape = (p["theta"], p["angles"], p["energies"], p["cells"])
    if p["case"] == "luminosity":
        return luminosity_bulb(*shape)
    return from_flavor_state(box(p["case"], p["asymmetry"], *shape))


def _conserved_number(made: Bulb, survived: NDArray[np.float64], findings: Findings) -> None:
    """Flavour lepton number along the axis of masses: what nu exchange equals what nubar exchange."""
    net = made.emission[..., 0] - made.emission[..., 1]
    swapped = (net * (1.0 - survived)).sum(axis=1)
    scale = np.abs(net).sum()
    findings.compare(
        "nu exchanged minus nubar exchanged, over all emitted (B.D conserved; vacuum mixing at the end: theta^2)",
        (swapped[0] - swapped[1]) / scale,
        0.0,
        2.0 * made.theta**2 + 1.0e-3,
    )


def _evolve(p: dict[str, Any], findings: Findings) -> None:
    """Time steps on a smaller bulb, from the stationary state of a slightly different one."""
    small = p | {"angles": min(p["angles"], 8), "energies": min(p["energies"], 20), "cells": min(p["cells"], 80)}
    made = _bulb(small)
    case, mixing = stationary(made)
    march = survival(case, mixing, made)
    begin = replace(made, emission=made.emission * np.array([1.0, 0.985])[:, None, None])
    net = np.abs(made.emission[..., 0] - made.emission[..., 1])
    for words, gradient in (("k = 0", False), ("k from (E5)", True)):
        case, mixing = evolving(replace(made, phase_gradient=gradient), begin)
        case.march(1.5 * (made.outer - made.inner), 0.5 * float(case.mesh.width.min()))
        difference = np.abs(survival(case, mixing, made) - march).mean(axis=1)
        by_cell = (net * difference).sum(axis=(1, 2)) / net.sum()
        findings.compare(
            f"stationary state of time steps ({words}) minus march, at the end", float(by_cell[-1]), 0.0, 1.0e-3
        )
        if gradient:
            findings.compare("the same in all cells", float(by_cell.max()), 0.0, 1.0e-3)
        flux = charge_flux(case, mixing)
        findings.compare(
            f"flux of the charge ({words}), largest over smallest minus one", float(np.ptp(flux)), 0.0, 1.0e-4
        )


def charge_flux(case: Case, mixing: ConservedMixing) -> NDArray[np.float64]:
    """Tr(Q D_1) times area through every face of the mesh, as the time steps see it, (face,)."""
    scheme = case.stepper.scheme
    scheme.load(case.state)
    case.advection.fill_ghosts(case.state.populations, case.boundary)
    fraction = scheme.upwind_fraction(case.collisions, case.frame)
    rate = case.whole(mixing.charge_flow(case.state.populations, fraction, True))[:, 0]
    assert mixing.transport.inner is not None
    area = case.angles.face_area[0]
    entering = np.einsum("m,sg,msg->", area, mixing.transport.number, mixing.transport.inner[..., 0])
    flux = np.concatenate([[entering], entering - np.cumsum(rate * case.mesh.volume)])
    scaled: NDArray[np.float64] = flux / entering
    return scaled
