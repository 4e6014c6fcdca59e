"""V18: an isotropic state in a sphere stays isotropic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..grid import RadialMesh
from ..physics.boundary import Boundary
from ..quadrature import AngularGrid
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cells, energy_grid, geometry, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

OCCUPATION = 0.3
STEPS = 200


def uneven_mesh(radius: float, count: int, kind: str) -> RadialMesh:
    """Faces whose spacing varies by a factor of three from place to place."""
    step = 1.0 + 0.5 * np.sin(2.7 * np.arange(count))
    face = np.concatenate([[0.0], np.cumsum(step)])
    return RadialMesh(radius * face / face[-1], kind)


def grids(mesh: RadialMesh, directions: int) -> dict[str, AngularGrid]:
    """The sets of directions that fit the mesh."""
    found = {"ordinates": AngularGrid.ordinates(mesh, directions)}
    if mesh.geometry == "spherical":
        inward, grazing = directions // 2, max(1, directions // 6)
        found["ordinates and rays"] = AngularGrid.hybrid(
            mesh,
            0.4 * float(mesh.face[-1]),
            inward=inward,
            grazing=grazing,
            forward=max(1, directions - inward - grazing),
            opening_cosine=0.3,
        )
    return found


def deviation(case: Case) -> float:
    """Largest |f - f_0| / f_0."""
    return float(np.abs(case.populations() - OCCUPATION).max()) / OCCUPATION


def case_of(mesh: RadialMesh, grid: AngularGrid, outer: str, energy_groups: int) -> Case:
    """A filled sphere with the same field outside."""
    energy = energy_grid(energy_groups)
    shape = (grid.size, 2, energy.size, 3)
    filled: NDArray[np.float64] | None = np.full(shape, OCCUPATION) if outer == "inflow" else None
    case = Case(mesh, grid, energy=energy, boundary=Boundary("reflecting", outer, None, filled))
    case.fill(np.full((mesh.size, grid.size), OCCUPATION))
    return case


@problem(
    "V18",
    "isotropy",
    "an isotropic state in a sphere, collisionless, stays isotropic to round-off",
    [
        geometry("spherical", "plane"),
        Parameter("radius", 1.0e6, "cm", "outer end of the mesh", 1.0e-3, 1.0e13),
        cells(60),
        angles(12),
        groups(2),
    ],
)
def isotropy(p: dict[str, Any], findings: Findings) -> None:
    """Many steps with each set of directions and outer end, and the stationary solution."""
    mesh = uneven_mesh(p["radius"], p["cells"], p["geometry"])
    step = 0.3 * float(mesh.width.min())
    for name, grid in grids(mesh, p["angles"]).items():
        kinds = ("inflow",) if name == "ordinates and rays" else ("inflow", "reflecting")
        for outer in kinds:
            case = case_of(mesh, grid, outer, p["groups"])
            results = case.march(STEPS * step, step)
            words = f"{name}, {outer} outer end, {STEPS} steps"
            findings.compare(f"{words}: largest relative deviation", deviation(case), 0.0, 1.0e-12)
            corrections = case.total(sum(sum(r.ledger.counts.values()) for r in results))
            findings.compare(f"{words}: number of corrections", corrections, 0.0, 0.0)
        case = case_of(mesh, grid, "inflow", p["groups"])
        case.fill(np.zeros((mesh.size, grid.size)))
        case.steady()
        findings.compare(f"{name}, stationary: largest relative deviation", deviation(case), 0.0, 1.0e-9)
