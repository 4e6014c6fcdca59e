"""V15 on block meshes: what streams freely in any direction, against the same pulse moved along straight lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import BlockMesh
from ..physics.block_boundary import BlockBoundary
from .blocks import AXES, CFL, directions, relative_error, resolve, streamed
from .setup import Case, energy_grid, order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .registry import Findings

MEAN, AMPLITUDE = 0.3, 0.2  # of the oblique wave
HEIGHT = 0.5  # of the pulses

#: Cells along the axes of a polar mesh for each cell along the radius.
SHARES = (1.0, 0.5, 0.5)


def wave_error(geometry: str, length: float, count: int, azimuths: int, groups: int = 1) -> tuple[float, int, float]:
    """Plane wave oblique to a periodic Cartesian box, after a path of half a period along the diagonal.

    Relative L1 error of f less its mean, over all directions, number of corrections, and the ledger's imbalance.
    """
    mesh = BlockMesh.uniform((0.0,) * 3, (length,) * 3, resolve(geometry, count, count, count))
    axes = AXES[geometry]
    case = Case(
        mesh,
        directions("V15", azimuths),
        energy=energy_grid(groups),
        boundary=BlockBoundary((("periodic", "periodic"),) * axes + (("inflow", "inflow"),) * (3 - axes)),
    )
    wave = 2.0 * np.pi / length

    def profile(place: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(MEAN + AMPLITUDE * np.sin(wave * place[..., :axes].sum(axis=-1)))

    velocity = case.angles.direction
    case.fill(streamed(mesh, velocity, profile, 0.0))
    path = 0.5 * length / np.sqrt(axes)
    results = case.march(path, CFL * case.light_crossing())
    exact = streamed(mesh, velocity, profile, path)
    f = case.populations()[:, :, 0, -1, 0]
    error = float(np.abs(f - exact).mean() / np.abs(exact - MEAN).mean())
    flow = case.total(sum(r.ledger.imbalance("energy") for r in results))
    return error, case.corrections(results), abs(flow) / case.total(results[0].ledger.before["energy"])


def ring_mesh(geometry: str, radius: float, count: int) -> BlockMesh:
    """A shell from half the radius on, around the equator: neither centre nor axis."""
    cells = resolve(geometry, *(max(2, round(share * count)) for share in SHARES))
    turn = np.pi / 6.0 if geometry == "polar3" else np.pi
    lower, upper = (0.5 * radius, np.pi / 3.0, -turn), (1.5 * radius, 2.0 * np.pi / 3.0, turn)
    return BlockMesh.uniform(lower, upper, cells, "spherical")


def ball_mesh(geometry: str, radius: float, count: int) -> BlockMesh:
    """The whole ball, with centre and axis."""
    cells = resolve(geometry, *(max(4, round(share * count)) for share in SHARES))
    return BlockMesh.uniform((0.0,) * 3, (radius, np.pi, 2.0 * np.pi), cells, "spherical")


def polar_error(
    geometry: str, region: str, radius: float, count: int, azimuths: int, groups: int = 1
) -> tuple[float, float, int, int]:
    """Gaussian in spherical coordinates, of width 0.2 R (ring) or 0.25 R (ball), after a path of 0.15 R or 0.5 R.

    ring: around (R, equator), all around the axis in two dimensions; ball: around (0.3 R, axis), passing the centre.
    Relative L1 errors of f and of J, number of corrections, and the number of cells that turn implicitly.
    """
    ring = region == "ring"
    mesh = ring_mesh(geometry, radius, count) if ring else ball_mesh(geometry, radius, count)
    case = Case(mesh, directions("V15", azimuths), energy=energy_grid(groups))
    # in the ball wide enough for the few directions of a coarse set
    width, path = (0.2 * radius, 0.15 * radius) if ring else (0.25 * radius, 0.5 * radius)

    def profile(place: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y, z = place[..., 0] / width, place[..., 1] / width, place[..., 2] / width
        if not ring:
            return np.asarray(HEIGHT * np.exp(-(x**2) - y**2 - (z - 0.3 * radius / width) ** 2))
        if geometry == "polar2":
            return np.asarray(HEIGHT * np.exp(-((np.sqrt(x**2 + y**2) - radius / width) ** 2) - z**2))
        return np.asarray(HEIGHT * np.exp(-((x - radius / width) ** 2) - y**2 - z**2))

    velocity, weight = case.angles.direction, 0.5 * case.angles.weight
    case.fill(streamed(mesh, velocity, profile, 0.0))
    step = CFL * case.light_crossing()
    implicit, _ = case.advection.split_redistribution(path / np.ceil(path / step))
    results = case.march(path, step)
    exact = streamed(mesh, velocity, profile, path)
    f = case.populations()[:, :, 0, -1, 0]
    return (
        relative_error(mesh, f * weight, exact * weight),
        relative_error(mesh, f @ weight, exact @ weight),
        case.corrections(results),
        int(case.total(int(implicit.sum()))),
    )


#: Largest error with the default cells and directions, and least order.
TOLERANCE = {"cartesian1": 0.005, "cartesian2": 0.02, "cartesian3": 0.06}


def block_pulses(p: dict[str, Any], findings: Findings) -> None:
    """Errors and orders of an oblique wave or of Gaussians, each against straight lines."""
    kind, n, radius, azimuths, groups = p["geometry"], p["cells"], p["radius"], p["angles"], p["groups"]
    if kind.startswith("cartesian"):
        coarse, _, _ = wave_error(kind, radius, n // 2, azimuths, groups)
        fine, corrections, missing = wave_error(kind, radius, n, azimuths, groups)
        default = {"cartesian1": 80, "cartesian2": 48, "cartesian3": 24}[kind]
        findings.compare("oblique wave: relative L1 error", fine, 0.0, TOLERANCE[kind] * (default / n) ** 1.5)
        findings.at_least("oblique wave: order from half the cells", order(coarse, fine), 1.4)
        findings.compare("oblique wave: number of corrections to occupations", corrections, 0.0, 0.0)
        findings.compare("oblique wave: energy not accounted for", missing, 0.0, 1.0e-12)
        return
    for region in ("ring", "ball") if kind == "polar2" else ("ring",):
        few = max(4, azimuths // 2 + azimuths // 2 % 2)
        coarse, mean_coarse, _, _ = polar_error(kind, region, radius, n // 2, few, groups)
        fine, mean_fine, corrections, _ = polar_error(kind, region, radius, n, azimuths, groups)
        scale = (24.0 / n) ** 1.5
        findings.compare(f"{region}: relative L1 error of f", fine, 0.0, 0.2 * scale)
        findings.compare(f"{region}: relative L1 error of J", mean_fine, 0.0, 0.1 * scale)
        findings.at_least(f"{region}: order of f from half the cells and angles", order(coarse, fine), 1.0)
        findings.at_least(f"{region}: order of J from half the cells and angles", order(mean_coarse, mean_fine), 1.0)
        findings.compare(f"{region}: number of corrections to occupations", corrections, 0.0, 0.0)
