"""V18: an isotropic state in a sphere stays isotropic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import BlockMesh
from ..grid import RadialMesh
from ..physics.block_boundary import BlockBoundary
from ..physics.boundary import Boundary
from ..quadrature import AngularGrid
from .blocks import directions, is_block, resolve
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cells, energy_grid, geometry, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

OCCUPATION = 0.3
STEPS = 200
BLOCK_STEPS, BLOCK_CFL = 40, 0.5


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


def uneven_block(geometry: str, radius: float, count: int) -> BlockMesh:
    """A box, or the whole ball, with uneven faces along all axes."""
    ends = (radius, radius, radius) if geometry.startswith("cartesian") else (radius, np.pi, 2.0 * np.pi)
    kind = "cartesian" if geometry.startswith("cartesian") else "spherical"
    faces = []
    for end, n in zip(ends, resolve(geometry, count, count, max(4, count // 2)), strict=True):
        face = uneven_mesh(end, n, "plane").face
        # the ends are those of the angles to the bit
        face[-1] = end
        faces.append(face)
    return BlockMesh(kind, (faces[0], faces[1], faces[2]))


def block_case_of(mesh: BlockMesh, azimuths: int, outer: str, energy_groups: int) -> Case:
    """A filled block with the same field outside."""
    energy, grid = energy_grid(energy_groups), directions("V18", azimuths)
    boundary = BlockBoundary.of(mesh, outer)
    filled = np.full((grid.size, 2, energy.size, 3), OCCUPATION)
    open_ends = {
        (axis, side): filled
        for axis in mesh.resolved
        for side, kind in enumerate(boundary.kinds[axis])
        if kind == "inflow"
    }
    case = Case(mesh, grid, energy=energy, boundary=BlockBoundary(boundary.kinds, open_ends))
    case.fill(np.full((mesh.size, grid.size), OCCUPATION))
    return case


def block_isotropy(p: dict[str, Any], findings: Findings) -> None:
    """Many steps of a block, also such that directions turn within the implicit step in a part of the cells."""
    mesh = uneven_block(p["geometry"], p["radius"], p["cells"])
    for outer in ("inflow", "reflecting"):
        case = block_case_of(mesh, p["angles"], outer, p["groups"])
        step = BLOCK_CFL * case.light_crossing()
        turning, _ = case.advection.split_redistribution(step)
        results = case.march(BLOCK_STEPS * step, step)
        words = f"{outer} ends, {BLOCK_STEPS} steps"
        findings.compare(f"{words}: largest relative deviation", deviation(case), 0.0, 1.0e-12)
        findings.compare(f"{words}: number of corrections", case.corrections(results), 0.0, 0.0)
        if mesh.geometry == "spherical":
            count = case.total(int(turning.sum()))
            findings.at_least(f"{words}: cells that turn implicitly", count, 1.0)
            findings.at_least(f"{words}: cells that turn explicitly", mesh.size - count, 1.0)


@problem(
    "V18",
    "isotropy",
    "an isotropic state in a sphere, collisionless, stays isotropic to round-off",
    [
        geometry("spherical", "plane", "cartesian2", "cartesian3", "polar2", "polar3"),
        Parameter("radius", 1.0e6, "cm", "outer end of the mesh", 1.0e-3, 1.0e13),
        cells(60, elsewhere=dict.fromkeys(("cartesian2", "cartesian3", "polar2", "polar3"), 8)),
        angles(12, elsewhere=dict.fromkeys(("cartesian2", "cartesian3", "polar2", "polar3"), 8)),
        groups(2),
    ],
)
def isotropy(p: dict[str, Any], findings: Findings) -> None:
    """Many steps with each set of directions and outer end, and the stationary solution."""
    if is_block(p["geometry"]):
        block_isotropy(p, findings)
        return
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
