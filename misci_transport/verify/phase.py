"""The common phase of stationary states in several dimensions, against closed forms and spherical symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.integrate import solve_bvp, solve_ivp
from scipy.interpolate import CubicSpline
from scipy.special import eval_legendre

from ..block_mesh import BlockMesh
from ..errors import ConvergenceError
from ..parallel.block_decomposition import BlockDecomposition
from ..physics.phase_type import ELLIPTIC, HYPERBOLIC, classify
from ..solvers.phase import PhaseReport, PhaseSolver
from ..solvers.phase_grid import PhaseBoundary
from ..solvers.phase_march import MarchedPhase, PhaseMarch
from .bulb import box
from .phase_media import ROOT2, SphericalMedium, Synchronized, TwoBeams, one_place
from .registry import Findings, Parameter, problem
from .setup import order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Range of radii of the bulb R60 where the equation is hyperbolic, and where it is elliptic.
RANGES = {"hyperbolic": (170.0, 300.0), "elliptic": (390.0, 520.0)}
#: Number of the Legendre polynomial that the flux at the source is perturbed with, and its size.
DEGREE, PERTURBATION = 8, 1.0e-4


def response_error(medium: Any) -> tuple[float, float]:
    """Largest difference of dTr(Q D_l)/d lambda from central differences, and of Tr(Q D_l) from those of Phi*.

    Relative to the largest element, and to the largest charge.
    """
    place = one_place()
    closure, state = medium.closure(place), medium.seed(place)
    slope = np.empty(closure.orders)
    response = np.empty((closure.orders, closure.orders))
    # a small part of the range of multipliers in which the state turns from one end to the other
    h = 1.0e-4 * float(closure.scale[0] / np.abs(state.response).max())
    for order_ in range(closure.orders):
        ends = []
        for sign in (1.0, -1.0):
            multiplier = state.multiplier.copy()
            multiplier[:, order_] += sign * h
            end = closure.solve(state, multiplier)
            ends.append((end.charge[0, :, 0], closure.potential(end)[0]))
        response[:, order_] = (ends[0][0] - ends[1][0]) / (2.0 * h)
        slope[order_] = (ends[0][1] - ends[1][1]) / (2.0 * h)
    charge = state.charge[0, :, 0] * np.where(np.arange(closure.orders) == 0, -1.0, 1.0)
    analytic = state.response[0, :, 0, :, 0]
    return (
        float(np.abs(response - analytic).max() / np.abs(analytic).max()),
        float(np.abs(slope - charge).max() / np.abs(charge).max()),
    )


# closed forms in the plane


def two_beam_phase(at: NDArray[np.float64], derivative: bool = False) -> NDArray[np.float64]:
    """The angle about B that is to be found, (place,), or its gradient (place, 2)."""
    x, y = 1.3 * at[:, 0] + 0.2, 2.1 * at[:, 1] - 0.4
    if derivative:
        return np.asarray(0.1 * np.stack([1.3 * np.cos(x) * np.cos(y) + 0.5, -2.1 * np.sin(x) * np.sin(y)], axis=1))
    return np.asarray(0.1 * (np.sin(x) * np.cos(y) + 0.5 * at[:, 0]))


def two_beam_error(cells: int, comm: Any = None, **options: Any) -> tuple[float, PhaseReport]:
    """Largest error of phi on the unit square, relative to its range, with the source that two_beam_phase needs."""
    beams = TwoBeams()

    def flux(at: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = beams.flux(-two_beam_phase(at, derivative=True))
        return found

    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (cells, cells, 1))
    decomposition = BlockDecomposition(mesh.shape, comm=comm)
    at = mesh.centers[decomposition.cells]
    made, step = np.zeros(at.shape[0]), 1.0e-4
    for axis in range(2):
        shift = step * np.eye(3)[axis]
        made += (flux(at + shift) - flux(at - shift))[:, axis] / (2.0 * step)
    boundary = PhaseBoundary(
        (("flux", "phase"), ("phase", "phase"), ("closed", "closed")),
        flux=lambda x: flux(x)[:, :1] / ROOT2,
        phase=lambda x: two_beam_phase(x)[:, None] / ROOT2,
    )
    solver = PhaseSolver(mesh, decomposition, beams, boundary, source=made[:, None] / ROOT2, **options)
    found, _, report = solver.solve()
    phase = decomposition.gather(found)[:, 0]
    exact = two_beam_phase(mesh.centers) / ROOT2
    return float(np.abs(phase - exact).max() / np.ptp(exact)), report


def synchronized_error(kind: str, strength: float) -> float:
    """Largest difference of d^2 Phi*/dk dk from its expansion in 1/mu, relative along each axis."""
    gas = Synchronized(kind, strength)
    state = gas.seed(one_place())
    found = state.hessian[0, 1:, 0, 1:, 0]
    # the same tilt is at a k that differs by the next order: compared at the k of the state
    exact = gas.hessian(state.multiplier[0, 1:, 0] * ROOT2)
    size = np.sqrt(np.abs(np.diagonal(exact)))
    return float(np.abs((found - exact) / np.outer(size, size)).max())


def plane_wave_error(
    kind: str, cells: int, strength: float = 1.0e3, axes: int = 2, comm: Any = None, medium: Any = None
) -> float:
    """Largest error of a small wave of phi on a plane state of many directions, relative to the wave.

    With d2Phi/dk_x dk_y = 0 the change eta of phi obeys a eta_xx + b eta_yy = 0. The flux f at x = 0 is changed by
    epsilon f cos q y, and with K^2 = q^2 |b/a|,

        hyperbolic, eta(0) = 0:  eta = - (epsilon f/a K) sin K x cos q y,
        elliptic, eta(L) = 0:    eta = (epsilon f/a K) sinh K (L - x)/cosh K L cos q y.

    With three axes the wave is cos q y cos q z, and q^2 is twice as large. medium(gas, decomposition) may stand in for
    the gas.
    """
    gas = Synchronized(kind, strength, axes=axes)
    state = gas.seed(one_place())
    a, b = np.diagonal(state.hessian[0, 1:, 0, 1:, 0])[:2]
    flux, k = state.charge[0, 1, 0], state.multiplier[0, 1, 0]
    q, epsilon = 2.0 * np.pi, 1.0e-5
    rate = q * np.sqrt((axes - 1) * abs(b / a))
    length = 1.0 / rate
    mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (length, 1.0, 1.0), (cells, cells, cells if axes == 3 else 1))
    boundary = PhaseBoundary(
        (("flux", "phase"), ("periodic", "periodic"), ("periodic", "periodic")),
        flux=lambda at: flux * (1.0 + epsilon * np.cos(q * at[:, 1:axes]).prod(axis=1))[:, None],
        phase=lambda at: k * (length - at[:, :1]),
    )
    decomposition = BlockDecomposition(mesh.shape, boundary.periodic, comm)
    x = mesh.centers[:, 0]
    used = gas if medium is None else medium(gas, decomposition)
    if kind == "hyperbolic":
        found = PhaseMarch(mesh, decomposition, used, boundary).solve().phase
        eta = -np.sin(rate * x)
        base = -k * x
    else:
        found = PhaseSolver(mesh, decomposition, used, boundary, tolerance=1.0e-11).solve()[0]
        eta = np.sinh(rate * (length - x)) / np.cosh(rate * length)
        base = k * (length - x)
    eta = eta * np.cos(q * mesh.centers[:, 1:axes]).prod(axis=1) * epsilon * flux / (a * rate)
    return float(np.abs(decomposition.gather(found)[:, 0] - base - eta).max() / np.abs(eta).max())


# the bulb


def bulb_medium(angles: int, energies: int, azimuths: int, asymmetry: float = 0.7) -> SphericalMedium:
    """The bulb R60 out to the end of the ranges."""
    return SphericalMedium(box("R60", asymmetry, 0.05, angles, energies, 100), azimuths, RANGES["elliptic"][1] * 1.02)


def bulb_phase(
    medium: SphericalMedium,
    kind: str,
    cells: Sequence[int],
    perturbation: float = 0.0,
    comm: Any = None,
    **options: Any,
) -> tuple[BlockMesh, NDArray[np.float64], MarchedPhase | PhaseReport]:
    """phi of the whole mesh, (theta, r), from the spherical flux times 1 + perturbation P_l(cos theta) at the source.

    cells: along r and theta. A march for the hyperbolic range, phi = 0 at its low end; SNES for the elliptic one,
    phi = 0 at its high end.
    """
    begin, end = options.pop("radii", RANGES[kind])
    mesh = BlockMesh.uniform((begin, 0.0, 0.0), (end, np.pi, 2.0 * np.pi), (*cells, 1), "spherical")
    decomposition = BlockDecomposition(mesh.shape, comm=comm)

    def flux(at: NDArray[np.float64]) -> NDArray[np.float64]:
        wave = perturbation * eval_legendre(DEGREE, np.cos(at[:, 1])) if perturbation else 0.0
        return np.asarray(medium.flow / at[:, 0] ** 2 * (1.0 + wave))[:, None]

    boundary = PhaseBoundary(
        (("flux", "phase"), ("closed", "closed"), ("closed", "closed")),
        flux=flux,
        phase=lambda at: np.zeros((at.shape[0], 1)),
    )
    report: MarchedPhase | PhaseReport
    if kind == "hyperbolic":
        report = PhaseMarch(mesh, decomposition, medium, boundary, **options).solve()
        phase = report.phase
    else:
        phase, _, report = PhaseSolver(mesh, decomposition, medium, boundary, **options).solve()
    return mesh, decomposition.gather(phase).reshape(mesh.shape[1], mesh.shape[0]), report


def spherical_phase(medium: SphericalMedium, kind: str, mesh: BlockMesh) -> NDArray[np.float64]:
    """phi at the centres of the shells from the first integral, (r,)."""
    begin, end = mesh.faces[0][0], mesh.faces[0][-1]
    phase = medium.phase(np.append(mesh.center(0), end), begin)
    return phase[:-1] if kind == "hyperbolic" else phase[:-1] - phase[-1]


def linear_phase(medium: SphericalMedium, kind: str, mesh: BlockMesh) -> NDArray[np.float64]:
    """Amplitude of P_l in phi at the centres of the shells, for a change P_l of the flux at the source, (r,).

    (r^2 a phi_1')' = l (l + 1) b phi_1 with a = d2Phi/dk_r^2, b = d2Phi/dk_theta^2 and r^2 f_1 = - r^2 a phi_1'.
    """
    begin, end = float(mesh.faces[0][0]), float(mesh.faces[0][-1])
    r = np.linspace(begin, end, 400)
    a, b = (CubicSpline(r, x) for x in medium.second(r))
    factor = DEGREE * (DEGREE + 1)

    def slope(x: Any, y: Any) -> Any:
        return np.array([-factor * b(x) * y[1], -y[0] / (x * x * a(x))])

    if kind == "hyperbolic":
        found = solve_ivp(slope, (begin, end), [medium.flow, 0.0], rtol=1.0e-10, atol=1.0e-12, dense_output=True).sol
    else:
        found = solve_bvp(
            slope,
            lambda low, high: np.array([low[0] / medium.flow - 1.0, high[1]]),
            r,
            np.zeros((2, r.size)),
            tol=1.0e-8,
        ).sol
    return np.asarray(found(mesh.center(0))[1])


def perturbed_error(medium: SphericalMedium, radial: SphericalMedium, kind: str, cells: Sequence[int]) -> float:
    """Largest error of the amplitude of P_l in phi against the linearised equation, relative."""
    mesh, phase, _ = bulb_phase(medium, kind, cells, PERTURBATION)
    _, base, _ = bulb_phase(radial, kind, (cells[0], 1))
    theta = mesh.center(1)
    wave, weight = eval_legendre(DEGREE, np.cos(theta)), np.sin(theta)
    amplitude = ((phase - base) * (wave * weight)[:, None]).sum(axis=0) / (wave**2 * weight).sum()
    exact = PERTURBATION * linear_phase(medium, kind, mesh)
    return float(np.abs(amplitude - exact).max() / np.abs(exact).max())


def flow_error(medium: SphericalMedium, marched: MarchedPhase, mesh: BlockMesh, comm: Any = None) -> float:
    """Largest change of the flux of the charge through the shells of a march, relative."""
    decomposition = BlockDecomposition(mesh.shape, comm=comm)
    flow = decomposition.gather(marched.outflow).reshape(mesh.shape[1], mesh.shape[0]).sum(axis=0)
    return float(np.abs(flow / (4.0 * np.pi * medium.flow) - 1.0).max())


@problem(
    "phase",
    "phase",
    "the common phase of stationary states in several dimensions: closed forms, the spherical answer, linear theory",
    [
        Parameter("part", "all", "-", "which problems", choices=("all", "closure", "plane", "bulb")),
        Parameter("cells", 16, "1", "cells along an axis; along theta twice as many", 16, 128, even=True),
        Parameter("angles", 6, "1", "emission angles of the bulb", 2, 80),
        Parameter("energies", 10, "1", "energy bins, neutrinos and antineutrinos together", 4, 80, even=True),
        Parameter("azimuths", 4, "1", "directions on half a circle around each cone of the bulb", 2, 32),
        Parameter("strength", 1.0e3, "1", "mu of the synchronised gas in units of its frequencies", 300.0, 2.0e3),
    ],
)
def common_phase(p: dict[str, Any], findings: Findings) -> None:
    """The closure's derivatives, the plane problems and the bulb."""
    if p["part"] in ("all", "closure"):
        _closures(p, findings)
    if p["part"] in ("all", "plane"):
        _planes(p, findings)
    if p["part"] in ("all", "bulb"):
        _bulbs(p, findings)


def _closures(p: dict[str, Any], findings: Findings) -> None:
    for name, medium in (
        ("two beams", TwoBeams()),
        ("synchronised, elliptic", Synchronized("elliptic", 100.0)),
        ("synchronised, hyperbolic", Synchronized("hyperbolic", 100.0)),
    ):
        response, slope = response_error(medium)
        findings.compare(f"{name}: response minus central differences", response, 0.0, 1.0e-5)
        findings.compare(f"{name}: charges minus derivatives of Phi*", slope, 0.0, 1.0e-6)
    for kind in ("elliptic", "hyperbolic"):
        errors = [synchronized_error(kind, mu) for mu in (1.0e3, 1.0e4)]
        findings.compare(f"{kind}: second derivatives minus expansion in 1/mu, mu = 1e4", errors[1], 0.0, 0.02)
        findings.at_least(f"{kind}: order of that in 1/mu", order(errors[0], errors[1], 10.0), 0.9)
        state = Synchronized(kind, 1.0e3).seed(one_place())
        wanted = {"elliptic": ELLIPTIC, "hyperbolic": HYPERBOLIC}[kind]
        findings.compare(f"{kind}: type found", float(classify(state.hessian, (0, 1)).kind[0]), float(wanted), 0.0)


def _planes(p: dict[str, Any], findings: Findings) -> None:
    n = int(p["cells"])
    errors = [two_beam_error(cells)[0] for cells in (n // 2, n)]
    findings.compare("two beams, SNES: phi minus closed form", errors[1], 0.0, 5.0e-3 * (16.0 / n) ** 2)
    findings.at_least("two beams: order", order(*errors), 1.8)
    for kind in ("elliptic", "hyperbolic"):
        errors = [plane_wave_error(kind, cells, p["strength"]) for cells in (n // 2, n)]
        findings.compare(f"plane wave, {kind}: error", errors[1], 0.0, 0.02 * (16.0 / n) ** 2)
        findings.at_least(f"plane wave, {kind}: order", order(*errors), 1.7)


def _bulbs(p: dict[str, Any], findings: Findings) -> None:
    n = int(p["cells"])
    around, radial = (bulb_medium(p["angles"], p["energies"], count) for count in (p["azimuths"], 0))
    for kind in ("hyperbolic", "elliptic"):
        errors = []
        for cells in (n // 2, n):
            mesh, phase, report = bulb_phase(radial, kind, (cells, 1))
            exact = spherical_phase(radial, kind, mesh)
            errors.append(float(np.abs(phase[0] - exact).max() / np.ptp(exact)))
        findings.compare(f"bulb, {kind}, (r): phi minus spherical answer", errors[1], 0.0, 1.0e-2 * (16.0 / n) ** 2)
        findings.at_least(f"bulb, {kind}, (r): order", order(*errors), 1.8)
        mesh, both, report = bulb_phase(around, kind, (n, 4))
        findings.compare(
            f"bulb, {kind}, (r, theta) minus (r)", float(np.abs(both - phase).max() / np.ptp(phase)), 0.0, 1.0e-9
        )
        if isinstance(report, MarchedPhase):
            findings.compare(
                "flux of the charge through the shells, largest change", flow_error(around, report, mesh), 0.0, 1.0e-13
            )
            report = report.report
        findings.compare(f"places found {kind}", report.counts[kind] / report.places, 1.0, 0.0)
        findings.compare(
            "places where the time-dependent equations are ill-posed",
            report.ill_posed / report.places,
            float(kind == "elliptic"),
            0.0,
        )
        errors = [perturbed_error(around, radial, kind, (cells, 2 * cells)) for cells in (n // 2, n)]
        findings.compare(
            f"bulb, {kind}, perturbed source against linear theory", errors[1], 0.0, 0.02 * (16.0 / n) ** 2
        )
        findings.at_least(f"bulb, {kind}, perturbed: order", order(*errors), 1.7)
    _misfits(around, findings)


def _misfits(medium: SphericalMedium, findings: Findings) -> None:
    """A method that does not fit the type says so."""
    radii = (RANGES["hyperbolic"][1], RANGES["elliptic"][0])
    _, _, marched = bulb_phase(medium, "hyperbolic", (9, 4), radii=radii, on_type="end")
    assert isinstance(marched, MarchedPhase)
    middle = np.linspace(*radii, 10)
    a, b = medium.second(0.5 * (middle[1:] + middle[:-1]))
    findings.compare("layers marched before the type changes", marched.layers, float(np.argmax(a * b > 0.0)), 0.0)
    refused = 0
    for kind, where in (("hyperbolic", "elliptic"), ("elliptic", "hyperbolic")):
        try:
            bulb_phase(medium, kind, (4, 4), radii=RANGES[where])
        except ConvergenceError:
            refused += 1
    findings.compare("methods refused in the wrong range", refused, 2.0, 0.0)
