"""V16: diffusion of a pulse by scattering alone, from thin to very thick cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import BlockMesh
from ..errors import ConfigurationError
from ..grid import RadialMesh
from ..physics.block_boundary import BlockBoundary
from ..physics.boundary import Boundary
from ..quadrature import AngularGrid
from .blocks import AXES, average, directions, is_block, position, resolve
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cell_average, constant_rates, energy_grid, geometry, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

AMPLITUDE = 0.5
EXTENT = 7.0  # of the mesh, in initial widths
WIDTH_MEAN_FREE_PATHS = 30.0
WIDTH_CELLS = 6.0
CFL = 0.5
DIMENSIONS = {"spherical": 3, "plane": 1, "cartesian1": 1, "cartesian2": 2, "cartesian3": 3, "polar2": 3}
#: On blocks, where cells are dear: extent in initial widths, and cells in a width.
BLOCK_EXTENT, BLOCK_WIDTH_CELLS = 6.0, 5.0
THETA = 3  # cells between axis and equator of a polar mesh


class Pulse:
    """E = A (t_0/t)^(n/2) exp(-3 kappa r^2/(4 t)), F = E r/(2 t), n = 3 (spherical) or 1 (plane)."""

    def __init__(self, kappa: float, width: float, geometry: str) -> None:
        self.kappa, self.dimensions = kappa, DIMENSIONS[geometry]
        self.start = 1.5 * kappa * width**2

    def energy(self, r: NDArray[np.float64], t: float) -> NDArray[np.float64]:
        """Mean occupation J."""
        value = AMPLITUDE * (self.start / t) ** (0.5 * self.dimensions) * np.exp(-0.75 * self.kappa * r**2 / t)
        return np.asarray(value)

    def flux(self, r: NDArray[np.float64], t: float) -> NDArray[np.float64]:
        """First moment H."""
        return self.energy(r, t) * r / (2.0 * t)


def pulse_case(kind: str, kappa_dx: float, count: int, directions_: int, energy_groups: int) -> tuple[Case, Pulse]:
    """A mesh of cells of 1 cm around a pulse of at least 30 mean free paths; of a block one quadrant, or half of it."""
    extent, width_cells = (BLOCK_EXTENT, BLOCK_WIDTH_CELLS) if is_block(kind) else (EXTENT, WIDTH_CELLS)
    if count == 0:
        count = int(np.ceil(extent * max(WIDTH_MEAN_FREE_PATHS / kappa_dx, width_cells)))
    width = count / extent
    if width * kappa_dx < 0.999 * WIDTH_MEAN_FREE_PATHS:
        least = int(np.ceil(extent * WIDTH_MEAN_FREE_PATHS / kappa_dx))
        raise ConfigurationError(
            f"V16: cells is {count}; accepted with kappa_dx = {kappa_dx:g}: 0 or at least {least}, "
            f"for a pulse of {WIDTH_MEAN_FREE_PATHS:g} mean free paths"
        )
    pulse = Pulse(kappa_dx, width, kind)
    if is_block(kind):
        return _block_case(kind, kappa_dx, count, directions_, energy_groups, pulse), pulse
    mesh = RadialMesh.uniform(0.0, float(count), count, kind)
    grid = AngularGrid.ordinates(mesh, directions_)
    case = Case(
        mesh,
        grid,
        energy=energy_grid(energy_groups),
        rates=constant_rates(count, energy_groups, scattering=kappa_dx),
        boundary=Boundary("reflecting", "reflecting"),
    )
    mean = cell_average(mesh, lambda r: pulse.energy(r, pulse.start))
    flux = cell_average(mesh, lambda r: pulse.flux(r, pulse.start))
    case.fill(mean[:, None] + 3.0 * grid.direction_cosine * flux[:, None])
    return case, pulse


def _block_case(kind: str, kappa_dx: float, count: int, azimuths: int, energy_groups: int, pulse: Pulse) -> Case:
    end = float(count)
    if kind == "polar2":
        mesh = BlockMesh.uniform((0.0,) * 3, (end, 0.5 * np.pi, 2.0 * np.pi), (count, THETA, 1), "spherical")
        boundary = BlockBoundary((("centre", "reflecting"), ("axis", "reflecting"), ("periodic", "periodic")))
    else:
        mesh = BlockMesh.uniform((0.0,) * 3, (end,) * 3, resolve(kind, count, count, count))
        boundary = BlockBoundary((("reflecting", "reflecting"),) * 3)
    case = Case(
        mesh,
        directions("V16", azimuths),
        energy=energy_grid(energy_groups),
        rates=constant_rates(mesh.size, energy_groups, scattering=kappa_dx),
        boundary=boundary,
    )
    mean, flux = block_answer(mesh, pulse, pulse.start)
    case.fill(mean[:, None] + 3.0 * flux @ case.angles.direction.T)
    return case


def block_answer(mesh: BlockMesh, pulse: Pulse, t: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """E (cell,) and F (cell, axis) in the cells of a block, the pulse around the origin of all resolved axes."""

    def distance(at: NDArray[np.float64]) -> NDArray[np.float64]:
        place = position(mesh.geometry, at)
        resolved = slice(0, 3) if mesh.geometry == "spherical" else slice(0, len(mesh.resolved))
        return np.asarray(np.sqrt((place[:, resolved] ** 2).sum(axis=1)))

    def flux(at: NDArray[np.float64]) -> NDArray[np.float64]:
        along = np.where(np.arange(3) < len(mesh.resolved), at, 0.0)
        if mesh.geometry == "spherical":
            along = np.stack([at[:, 0], 0.0 * at[:, 0], 0.0 * at[:, 0]], axis=1)
        return np.asarray(pulse.energy(distance(at), t)[:, None] * along / (2.0 * t))

    return average(mesh, lambda at: pulse.energy(distance(at), t)), average(mesh, flux)


def errors(case: Case, pulse: Pulse, t: float) -> tuple[float, float, float, float]:
    """Relative L1 errors of E and F over the mesh, and the value and answer of F at the steepest place."""
    mean, flux = case.moments()
    v = case.mesh.volume
    if isinstance(case.mesh, BlockMesh):
        exact_mean, exact_vector = block_answer(case.mesh, pulse, t)
        exact_flux = np.sqrt((exact_vector**2).sum(axis=1))
        steepest = int(np.argmax(exact_flux))
        missed = np.sqrt(((flux - exact_vector) ** 2).sum(axis=1))
        return (
            float((v * np.abs(mean - exact_mean)).sum() / (v * exact_mean).sum()),
            float((v * missed).sum() / (v * exact_flux).sum()),
            float(np.sqrt((flux[steepest] ** 2).sum())),
            float(exact_flux[steepest]),
        )
    exact_mean = cell_average(case.mesh, lambda r: pulse.energy(r, t))
    exact_flux = cell_average(case.mesh, lambda r: pulse.flux(r, t))
    return (
        float((v * np.abs(mean - exact_mean)).sum() / (v * exact_mean).sum()),
        float((v * np.abs(flux - exact_flux)).sum() / (v * exact_flux).sum()),
        float(flux[np.argmax(exact_flux)]),
        float(exact_flux.max()),
    )


@problem(
    "V16",
    "diffusion",
    "diffusion pulse at a given optical depth of the cells",
    [
        geometry(*DIMENSIONS),
        Parameter("kappa_dx", 10.0, "1", "optical depth of a cell", 0.02, 1.0e6),
        Parameter(
            "cells", 0, "1", "number of cells; 0: enough for a pulse of 30 mean free paths and 6 cells", 0, 100000
        ),
        angles(4),
        groups(),
    ],
)
def diffusion(p: dict[str, Any], findings: Findings) -> None:
    """Compare E and F after light-crossing steps, and after the pulse has spread."""
    tau = p["kappa_dx"]
    tolerance = 2.0e-2
    case, pulse = pulse_case(p["geometry"], tau, p["cells"], p["angles"], p["groups"])
    # steps of the light-crossing time: the flux must already be that of diffusion
    count, unit, longest, most = 100, CFL, 0.1 * tau, 8000.0
    if is_block(p["geometry"]):
        unit = CFL * case.light_crossing()
        # explicit steps over diffusion: the thinnest cells count, in all directions together
        longest = 0.25 * tau * case.mesh.widths[:, case.mesh.resolved].min() ** 2 / AXES[p["geometry"]]
        if p["geometry"] == "cartesian3":
            # a step takes a third of a second
            most = 50.0
    results = case.march(count * unit, unit)
    e, f, _, _ = errors(case, pulse, pulse.start + count * unit)
    findings.compare(f"relative L1 error of E after {count} steps of {CFL:g} light-crossing times", e, 0.0, tolerance)
    findings.compare(f"relative L1 error of F after {count} steps of {CFL:g} light-crossing times", f, 0.0, tolerance)
    # longer steps where cells are thick, until the pulse has spread (kappa dx >= 1: to twice the age)
    step = max(unit, longest)
    more = max(min(pulse.start - count * unit, most * step), 10.0 * step)
    results += case.march(more, step)
    t = pulse.start + count * unit + more
    e, f, value, answer = errors(case, pulse, t)
    findings.compare(f"relative L1 error of E at {t / pulse.start:.3g} times the initial age", e, 0.0, tolerance)
    findings.compare(f"relative L1 error of F at {t / pulse.start:.3g} times the initial age", f, 0.0, tolerance)
    findings.compare("largest F", value, answer, tolerance)
    findings.compare("number of corrections", case.total(sum(sum(r.ledger.counts.values()) for r in results)), 0.0, 0.0)
