"""V14: the homogeneous radiating sphere, stationary, against the formal solution along rays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import roots_legendre

from ..grid import RadialMesh
from ..quadrature import AngularGrid
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cells, constant_rates, energy_grid, geometry, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

OCCUPATION = 0.2  # of the sphere's matter
EXTENT = 4.0  # outer end of the mesh in units of the sphere's radius
RADII = (0.1, 0.5, 0.9, 1.1, 2.0, 3.5)  # where J is compared, in the same unit


def mean_intensity(radius: float, kappa_r: float, points: int = 400) -> float:
    """J(r)/b = 1/2 integral(dmu (1 - exp(-kappa s))), s the path inside a sphere of radius 1, kappa_r its depth."""
    x, w = roots_legendre(points)
    if radius < 1.0:
        # panels join where the path has its kink at the surface, and cluster near mu = 0
        mu = np.concatenate([-((0.5 * (x + 1.0)) ** 3), (0.5 * (x + 1.0)) ** 3])
        weight = np.tile(0.5 * w * 3.0 * (0.5 * (x + 1.0)) ** 2, 2)
        path = radius * mu + np.sqrt(1.0 - radius**2 * (1.0 - mu**2))
        return float(0.5 * weight @ -np.expm1(-kappa_r * path))
    # impact parameter p = sin(a): s = 2 cos(a), dmu = p dp / (r sqrt(r^2 - p^2))
    a = 0.25 * np.pi * (x + 1.0)
    p = np.sin(a)
    weight = 0.25 * np.pi * w * np.cos(a) * p / (radius * np.sqrt(radius**2 - p**2))
    return float(0.5 * weight @ -np.expm1(-2.0 * kappa_r * np.cos(a)))


def luminosity(kappa_r: float) -> float:
    """L/(4 pi^2 R^2 b) = 1 - [1 - e^{-2t}(1 + 2t)]/(2 t^2), t = kappa R; its series where t is small."""
    t = kappa_r
    if t < 1.0e-2:
        return float(4.0 * t / 3.0 - t**2 + 8.0 * t**3 / 15.0 - 2.0 * t**4 / 9.0)
    return float(1.0 - (1.0 - np.exp(-2.0 * t) * (1.0 + 2.0 * t)) / (2.0 * t**2))


def sphere_mesh(radius: float, count: int, kappa_r: float) -> RadialMesh:
    """Two thirds of the cells inside, finer towards the surface where it is optically thick; logarithmic outside."""
    inside = max(2, (2 * count) // 3)
    outside = max(2, count - inside)
    # depth s below the surface: the cells' optical depth grows with the depth
    stretch = np.arcsinh(max(kappa_r / 3.0, 1.0e-3))
    s = np.sinh(stretch * np.linspace(1.0, 0.0, inside + 1)) / np.sinh(stretch)
    inner = radius * (1.0 - s)
    inner[0], inner[-1] = 0.0, radius
    outer = np.geomspace(radius, EXTENT * radius, outside + 1)[1:]
    return RadialMesh(np.concatenate([inner, outer]))


def solve(kappa_r: float, radius: float, count: int, directions: int, energy_groups: int) -> Case:
    """Stationary state of the sphere."""
    mesh = sphere_mesh(radius, count, kappa_r)
    inward = directions // 2
    grazing = max(2, directions // 8)
    rays = AngularGrid.hybrid(
        mesh, radius, inward=inward, grazing=grazing, forward=max(1, directions - inward - grazing), opening_cosine=0.15
    )
    kappa = np.where(mesh.center < radius, kappa_r / radius, 0.0)
    energy = energy_grid(energy_groups)
    case = Case(
        mesh, rays, energy=energy, rates=constant_rates(mesh.size, energy.size, emission=kappa, occupation=OCCUPATION)
    )
    case.steady()
    return case


def profile(case: Case) -> tuple[NDArray[np.float64], float]:
    """J/b in the cells and L/(4 pi^2 R^2 b) at the outer end (R = 1/EXTENT of it)."""
    f = case.populations()[:, :, 0, -1, -1] / OCCUPATION
    mean = 0.5 * (case.angles.weight_0 * f).sum(axis=1)
    end = case.mesh.face[-1]
    return mean, float(2.0 * (case.angles.face_area[-1] * f[-1]).sum() / (end / EXTENT) ** 2)


@problem(
    "V14",
    "radiating_sphere",
    "homogeneous radiating sphere, stationary, against the formal solution",
    [
        geometry("spherical"),
        Parameter("kappa_r", 4.0, "1", "optical depth of the sphere's radius", 1.0e-3, 1.0e5),
        Parameter("radius", 1.0e6, "cm", "radius of the sphere", 1.0e-3, 1.0e13),
        cells(600, 16),
        angles(32, 8),
        groups(),
    ],
)
def radiating_sphere(p: dict[str, Any], findings: Findings) -> None:
    """Compare luminosity and J(r)."""
    case = solve(p["kappa_r"], p["radius"], p["cells"], p["angles"], p["groups"])
    mean, total = profile(case)
    # cells that are optically thin take upwind values, first order in their width
    coarse = max(1.0, 300.0 / p["cells"])
    findings.compare("luminosity / (4 pi^2 R^2 b)", total, luminosity(p["kappa_r"]), 5.0e-3 * coarse)
    x, w = roots_legendre(4)
    for radius in RADII:
        i = int(np.searchsorted(case.mesh.face, radius * p["radius"], side="right")) - 1
        r = (case.mesh.center[i] + 0.5 * case.mesh.width[i] * x) / p["radius"]
        exact = np.array([mean_intensity(float(s), p["kappa_r"]) for s in r])
        findings.compare(
            f"J / b in the cell at r = {radius:g} R", mean[i], (w * r**2) @ exact / ((w * r**2).sum()), 1.0e-2 * coarse
        )
