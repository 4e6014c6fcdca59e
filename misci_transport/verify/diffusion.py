"""V16: diffusion of a pulse by scattering alone, from thin to very thick cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..grid import RadialMesh
from ..physics.boundary import Boundary
from ..quadrature import AngularGrid
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cell_average, constant_rates, energy_grid, geometry, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

AMPLITUDE = 0.5
EXTENT = 7.0  # of the mesh, in initial widths
WIDTH_MEAN_FREE_PATHS = 30.0
WIDTH_CELLS = 6.0
CFL = 0.5


class Pulse:
    """E = A (t_0/t)^(n/2) exp(-3 kappa r^2/(4 t)), F = E r/(2 t), n = 3 (spherical) or 1 (plane)."""

    def __init__(self, kappa: float, width: float, geometry: str) -> None:
        self.kappa, self.dimensions = kappa, 3 if geometry == "spherical" else 1
        self.start = 1.5 * kappa * width**2

    def energy(self, r: NDArray[np.float64], t: float) -> NDArray[np.float64]:
        """Mean occupation J."""
        value = AMPLITUDE * (self.start / t) ** (0.5 * self.dimensions) * np.exp(-0.75 * self.kappa * r**2 / t)
        return np.asarray(value)

    def flux(self, r: NDArray[np.float64], t: float) -> NDArray[np.float64]:
        """First moment H."""
        return self.energy(r, t) * r / (2.0 * t)


def pulse_case(kind: str, kappa_dx: float, count: int, directions: int, energy_groups: int) -> tuple[Case, Pulse]:
    """A mesh of cells of 1 cm around a pulse of at least 30 mean free paths."""
    if count == 0:
        count = int(np.ceil(EXTENT * max(WIDTH_MEAN_FREE_PATHS / kappa_dx, WIDTH_CELLS)))
    width = count / EXTENT
    if width * kappa_dx < 0.999 * WIDTH_MEAN_FREE_PATHS:
        least = int(np.ceil(EXTENT * WIDTH_MEAN_FREE_PATHS / kappa_dx))
        raise ConfigurationError(
            f"V16: cells is {count}; accepted with kappa_dx = {kappa_dx:g}: 0 or at least {least}, "
            f"for a pulse of {WIDTH_MEAN_FREE_PATHS:g} mean free paths"
        )
    mesh = RadialMesh.uniform(0.0, float(count), count, kind)
    grid = AngularGrid.ordinates(mesh, directions)
    case = Case(
        mesh,
        grid,
        energy=energy_grid(energy_groups),
        rates=constant_rates(count, energy_groups, scattering=kappa_dx),
        boundary=Boundary("reflecting", "reflecting"),
    )
    pulse = Pulse(kappa_dx, width, kind)
    mean = cell_average(mesh, lambda r: pulse.energy(r, pulse.start))
    flux = cell_average(mesh, lambda r: pulse.flux(r, pulse.start))
    case.fill(mean[:, None] + 3.0 * grid.direction_cosine * flux[:, None])
    return case, pulse


def errors(case: Case, pulse: Pulse, t: float) -> tuple[float, float, float, float]:
    """Relative L1 errors of E and F over the mesh, and the value and answer of F at the steepest place."""
    mean, flux = case.moments()
    exact_mean = cell_average(case.mesh, lambda r: pulse.energy(r, t))
    exact_flux = cell_average(case.mesh, lambda r: pulse.flux(r, t))
    v = case.mesh.volume
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
        geometry("spherical", "plane"),
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
    count = 100
    results = case.march(count * CFL, CFL)
    e, f, _, _ = errors(case, pulse, pulse.start + count * CFL)
    findings.compare(f"relative L1 error of E after {count} steps of {CFL:g} light-crossing times", e, 0.0, tolerance)
    findings.compare(f"relative L1 error of F after {count} steps of {CFL:g} light-crossing times", f, 0.0, tolerance)
    # longer steps where cells are thick, until the pulse has spread (kappa dx >= 1: to twice the age)
    step = max(CFL, 0.1 * tau)
    more = max(min(pulse.start - count * CFL, 8000.0 * step), 10.0 * step)
    results += case.march(more, step)
    t = pulse.start + count * CFL + more
    e, f, value, answer = errors(case, pulse, t)
    findings.compare(f"relative L1 error of E at {t / pulse.start:.3g} times the initial age", e, 0.0, tolerance)
    findings.compare(f"relative L1 error of F at {t / pulse.start:.3g} times the initial age", f, 0.0, tolerance)
    findings.compare("largest F", value, answer, tolerance)
    findings.compare("number of corrections", case.total(sum(sum(r.ledger.counts.values()) for r in results)), 0.0, 0.0)
