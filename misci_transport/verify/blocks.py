"""Block meshes for the problems: names of geometries, averages over cells, and free streaming in any coordinates."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import roots_legendre

from ..errors import ConfigurationError
from ..sphere import SphereQuadrature

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..block_mesh import BlockMesh

#: Number of resolved axes of each geometry.
AXES = {"cartesian1": 1, "cartesian2": 2, "cartesian3": 3, "polar2": 2, "polar3": 3}

#: Fraction of the light crossing of a cell in a step.
CFL = 0.4


def is_block(name: str) -> bool:
    """Whether a value of the key ``geometry`` names a block mesh."""
    return name in AXES


def resolve(name: str, *cells: int) -> tuple[int, int, int]:
    """Cells along the three axes: those given along the axes that the geometry resolves, one along others."""
    counts = [n if axis < AXES[name] else 1 for axis, n in enumerate(cells)]
    return counts[0], counts[1], counts[2]


def directions(problem: str, azimuths: int) -> SphereQuadrature:
    """Product set of ``azimuths`` directions on half as many levels.

    Raises
    ------
    ConfigurationError
        If there are fewer than four.
    """
    if azimuths < 4:
        raise ConfigurationError(f"{problem}: angles is {azimuths}; accepted on a block: an even integer >= 4")
    return SphereQuadrature.product(azimuths // 2, azimuths)


def average(
    mesh: BlockMesh, function: Callable[[NDArray[np.float64]], NDArray[np.float64]], points: int = 3
) -> NDArray[np.float64]:
    """Volume average of function(coordinates[cell, axis]) -> (cell, ...) over each cell by Gauss-Legendre quadrature.

    Along an axis with one cell the middle is taken: nothing may vary there.
    """
    x, w = roots_legendre(points)
    rules = [(x, w) if axis in mesh.resolved else (np.zeros(1), np.ones(1)) for axis in range(3)]
    half = [0.5 * np.diff(face) for face in mesh.faces]
    grid = np.meshgrid(half[2], half[1], half[0], indexing="ij")
    halves = np.stack([grid[2 - axis].ravel() for axis in range(3)], axis=1)
    centers = mesh.centers
    total: Any = 0.0
    norm = np.zeros(mesh.size)
    for nodes in product(*(range(rule[0].size) for rule in rules)):
        at = centers + halves * np.array([rule[0][n] for rule, n in zip(rules, nodes, strict=True)])
        weight = np.full(mesh.size, np.prod([rule[1][n] for rule, n in zip(rules, nodes, strict=True)]))
        if mesh.geometry == "spherical":
            weight *= at[:, 0] ** 2 * np.sin(at[:, 1])
        value = function(at)
        total = total + weight.reshape(-1, *(1,) * (value.ndim - 1)) * value
        norm += weight
    return np.asarray(total / norm.reshape(-1, *(1,) * (np.ndim(total) - 1)))


def position(geometry: str, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cartesian components of the place with these coordinates, (cell, 3) cm."""
    if geometry == "cartesian":
        return at
    r, theta, phi = at.T
    return np.stack([r * np.sin(theta) * np.cos(phi), r * np.sin(theta) * np.sin(phi), r * np.cos(theta)], axis=1)


def basis(geometry: str, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(cell, axis, 3) Cartesian components of the unit vectors along the axes."""
    if geometry == "cartesian":
        return np.broadcast_to(np.eye(3), (at.shape[0], 3, 3))
    _, theta, phi = at.T
    s, c, sine, cosine = np.sin(theta), np.cos(theta), np.sin(phi), np.cos(phi)
    radial = np.stack([s * cosine, s * sine, c], axis=1)
    polar = np.stack([c * cosine, c * sine, -s], axis=1)
    azimuthal = np.stack([-sine, cosine, np.zeros_like(s)], axis=1)
    return np.stack([radial, polar, azimuthal], axis=1)


def streamed(
    mesh: BlockMesh,
    velocity: NDArray[np.float64],
    profile: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    path: float,
    points: int = 3,
) -> NDArray[np.float64]:
    """f[cell, direction] after a path in vacuum of what began as profile(place[..., 3]) in all directions."""

    def at(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        flight = velocity @ basis(mesh.geometry, coordinates)
        return profile(position(mesh.geometry, coordinates)[:, None, :] - path * flight)

    return average(mesh, at, points)


def relative_error(mesh: BlockMesh, found: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    """L1 norm of the difference over that of the exact values, both (cell, ...), weighted with volumes."""
    weight = mesh.volume.reshape(-1, *(1,) * (found.ndim - 1))
    return float((weight * np.abs(found - exact)).sum() / (weight * np.abs(exact)).sum())
