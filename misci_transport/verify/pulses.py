"""V15: free-streaming pulses that cross in spherical symmetry, and the isotropic Gaussian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..grid import RadialMesh
from ..quadrature import AngularGrid
from .block_pulses import block_pulses
from .blocks import is_block
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cell_average, cells, energy_grid, geometry, groups, order

if TYPE_CHECKING:
    from numpy.typing import NDArray

AMPLITUDE = 0.5
CFL = 0.4


def _ray_pulses(mesh: RadialMesh, radius: float, path: float) -> NDArray[np.float64]:
    """f[cell, ray] after a path: pulses started inwards at 0.6 R and outwards at 0.2 R, width R/10."""
    # the rays' cells are lengths of path, not shells
    plane = RadialMesh(mesh.face, "plane")

    def along(x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pulses on the whole line x, negative on the way in, positive on the way out."""
        start = (x - path) / radius
        return np.asarray(AMPLITUDE * (np.exp(-(((start + 0.6) / 0.1) ** 2)) + np.exp(-(((start - 0.2) / 0.1) ** 2))))

    return np.stack([cell_average(plane, lambda r: along(-r)), cell_average(plane, along)], axis=1)


def ray_error(radius: float, count: int, energy_groups: int = 1) -> tuple[float, int, float]:
    """Relative L1 error of E r^2 after a path of 0.7 R, number of corrections, and the ledger's imbalance."""
    mesh = RadialMesh.uniform(0.0, radius, count)
    case = Case(mesh, AngularGrid.radial(mesh), energy=energy_grid(energy_groups))
    case.fill(_ray_pulses(mesh, radius, 0.0))
    results = case.march(0.7 * radius, CFL * radius / count)
    exact = _ray_pulses(mesh, radius, 0.7 * radius)
    f = case.populations()[:, :, 0, -1, 0]
    corrections = int(case.total(sum(sum(r.ledger.counts.values()) for r in results)))
    flow = case.total(sum(r.ledger.imbalance("energy") for r in results)) / case.total(
        results[0].ledger.before["energy"]
    )
    return float(np.abs(f - exact).sum() / exact.sum()), corrections, abs(flow)


def gaussian_error(radius: float, count: int, directions: int, energy_groups: int = 1) -> tuple[float, int]:
    """Relative L1 error of E(r) after the path t = 2 widths, width = R/6, and the number of corrections."""
    width = radius / 6.0
    mesh = RadialMesh.uniform(0.0, radius, count)
    grid = AngularGrid.ordinates(mesh, directions)
    case = Case(mesh, grid, energy=energy_grid(energy_groups))
    case.fill(
        np.repeat(AMPLITUDE * cell_average(mesh, lambda r: np.exp(-((r / width) ** 2)))[:, None], directions, axis=1)
    )
    path = 2.0
    # cells shrink in angle towards the centre: steps fit the cell at the centre
    results = case.march(path * width, CFL * radius / count)
    f = case.populations()[:, :, 0, -1, 0]
    mean = 0.5 * (grid.weight_0 * f).sum(axis=1)

    def exact(r: NDArray[np.float64]) -> NDArray[np.float64]:
        x = r / width
        return np.asarray(AMPLITUDE * (np.exp(-((x - path) ** 2)) - np.exp(-((x + path) ** 2))) / (4.0 * x * path))

    reference = cell_average(mesh, exact)
    corrections = int(case.total(sum(sum(r.ledger.counts.values()) for r in results)))
    return float((mesh.volume * np.abs(mean - reference)).sum() / (mesh.volume * reference).sum()), corrections


@problem(
    "V15",
    "pulses",
    "crossing free-streaming pulses on radial rays; the isotropic Gaussian with ordinates",
    [
        geometry("spherical", "cartesian1", "cartesian2", "cartesian3", "polar2", "polar3"),
        Parameter("radius", 1.0e6, "cm", "outer end of the mesh", 1.0e-3, 1.0e13),
        cells(200, 8, elsewhere={"cartesian1": 80, "cartesian2": 48, "cartesian3": 24, "polar2": 24, "polar3": 20}),
        angles(16, 4, elsewhere={"cartesian1": 4, "cartesian2": 4, "cartesian3": 4, "polar2": 16, "polar3": 12}),
        groups(),
    ],
)
def pulses(p: dict[str, Any], findings: Findings) -> None:
    """L1 errors, and the order between two meshes and between two sets of directions."""
    if is_block(p["geometry"]):
        block_pulses(p, findings)
        return
    n, radius, directions = p["cells"], p["radius"], p["angles"]
    coarse, _, _ = ray_error(radius, n // 2, p["groups"])
    fine, corrections, flow = ray_error(radius, n, p["groups"])
    findings.compare("crossing pulses on radial rays: relative L1 error of r^2 E", fine, 0.0, 2.5e-2 * (200 / n) ** 1.5)
    findings.at_least("crossing pulses: convergence order from half the cells", order(coarse, fine), 1.5)
    findings.compare("crossing pulses: number of corrections to occupations", corrections, 0.0, 0.0)
    findings.compare("crossing pulses: energy not accounted for", flow, 0.0, 1.0e-12)
    coarse, _ = gaussian_error(radius, n, directions // 2 + directions // 2 % 2, p["groups"])
    fine, corrections = gaussian_error(radius, n, directions, p["groups"])
    tolerance = 1.5e-2 * (16 / directions) ** 1.5 + 5.0e-3 * (200 / n)
    findings.compare("isotropic Gaussian, ordinates: relative L1 error of E", fine, 0.0, tolerance)
    findings.compare("isotropic Gaussian: number of corrections to occupations", corrections, 0.0, 0.0)
    # with many directions the error of the mesh hides theirs
    if coarse > 2.0e-2 * (200 / n):
        findings.at_least("isotropic Gaussian: convergence order from half the directions", order(coarse, fine), 1.3)
