"""The narrowing cone far from a radiating sphere: D_0 - D_1 on ordinates joined to impact-parameter rays."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import roots_legendre

from ..grid import RadialMesh
from ..quadrature import AngularGrid
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cells, constant_rates, energy_grid, geometry, groups

OCCUPATION = 0.2
RAYS_FROM = 1.0  # where rays take over, in units of the sphere's radius


def supernova_mesh(radius: float, outer: float, count: int) -> RadialMesh:
    """Three tenths of the cells inside the sphere, the rest logarithmic."""
    inside = max(4, (3 * count) // 10)
    face = np.concatenate([np.linspace(0.0, radius, inside + 1), np.geomspace(radius, outer, count - inside + 1)[1:]])
    return RadialMesh(face)


@problem(
    "rays",
    "far_cone",
    "D_0 - D_1 far outside a radiating sphere falls as r^-4 on ordinates joined to impact-parameter rays",
    [
        geometry("spherical"),
        Parameter("kappa_r", 20.0, "1", "optical depth of the sphere's radius", 0.1, 1.0e4),
        Parameter("radius", 3.0e6, "cm", "radius of the sphere", 1.0, 1.0e8),
        Parameter("outer", 1.0e10, "cm", "outer end of the mesh", 1.0e9, 1.0e13),
        cells(160, 40),
        angles(18, 8),
        groups(),
    ],
)
def far_cone(p: dict[str, Any], findings: Findings) -> None:
    """Compare the slope from ten radii outwards and the value at the outer end with the formal solution."""
    radius = p["radius"]
    mesh = supernova_mesh(radius, p["outer"], p["cells"])
    inward = p["angles"] // 3
    grazing = max(1, p["angles"] // 6)
    grid = AngularGrid.hybrid(
        mesh,
        RAYS_FROM * radius,
        inward=inward,
        grazing=grazing,
        forward=p["angles"] - inward - grazing,
        opening_cosine=0.05,
    )
    kappa = np.where(mesh.center < radius, p["kappa_r"] / radius, 0.0)
    energy = energy_grid(p["groups"])
    case = Case(
        mesh,
        grid,
        energy=energy,
        rates=constant_rates(mesh.size, energy.size, emission=kappa, occupation=OCCUPATION),
    )
    case.steady()
    mean, flux = case.moments()
    r, difference = mesh.center, mean - flux
    far = r > 10.0 * radius
    slope = np.diff(np.log(difference[far])) / np.diff(np.log(r[far]))
    findings.compare(
        "worst local slope of D_0 - D_1 beyond ten radii", float(slope[np.abs(slope + 4.0).argmax()]), -4.0, 5.0e-2
    )
    spread = difference[far] * r[far] ** 4
    findings.compare("(D_0 - D_1) r^4 at the outer end over that at ten radii", spread[-1], spread[0], 5.0e-2)
    findings.compare(
        "(D_0 - D_1) r^4 / (b R^4) at the outer end", spread[-1] / (OCCUPATION * radius**4), cone(p["kappa_r"]), 5.0e-2
    )


def cone(kappa_r: float) -> float:
    """lim (D_0 - D_1) r^4 / (b R^4) = 1/4 integral(p^3 dp [1 - exp(-2 kappa_r sqrt(1 - p^2))]) over 0 < p < 1."""
    x, w = roots_legendre(200)
    a = 0.25 * np.pi * (x + 1.0)
    weight = 0.25 * np.pi * w * np.cos(a) * np.sin(a) ** 3
    # 1 - mu = p^2/(2 r^2) and dmu = p dp / r^2
    return float(0.25 * weight @ -np.expm1(-2.0 * kappa_r * np.cos(a)))
