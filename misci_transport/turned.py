"""A star in several dimensions, made by turning a spherical profile, with what supernovae have besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import ConfigurationError
from .fluid import Fluid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .block_mesh import BlockMesh
    from .profile import Profile

#: Points along each resolved axis at which a cell's matter is sampled (midpoints of parts of equal volume).
SAMPLES = 2


@dataclass(frozen=True)
class Turning:
    """How a profile is turned: matter at x is the profile's at the radius s(x), with the shock moved and wrinkled.

    s = |x| - w(|x|) (shift . n + wrinkle Y(n) R),  n = x/|x|
    Y = (35 n_z^4 - 30 n_z^2 + 3)/8 + n_x n_y (n_x^2 - n_y^2)

    with w = exp(-((|x| - R)/width)^2 / 2) around the shock radius R, so that the core and the far outside keep their
    place. The radial velocity is the profile's at s; rotation adds Omega x x, Omega = rotation/(1 + (cylindrical
    radius/rotation_radius)^2) along z.
    """

    shock_radius: float = 1.4e7  #: cm
    shock_width: float = 3.0e6  #: cm, range of radii that the deformation reaches
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)  #: cm, of the shock against the core
    wrinkle: float = 0.0  #: amplitude of the shock's shape over its radius
    rotation: float = 0.0  #: rad/s at the axis
    rotation_radius: float = 1.0e8  #: cm

    def __post_init__(self) -> None:
        if not (self.shock_radius > 0.0 and self.shock_width > 0.0 and self.rotation_radius > 0.0):
            raise ConfigurationError("shock_radius, shock_width and rotation_radius of a turned star: accepted > 0")
        largest = float(np.linalg.norm(self.shift)) + abs(self.wrinkle) * self.shock_radius
        # |ds/d|x|| > 0 needs the largest slope of w, exp(-1/2)/width, times the displacement to stay below one
        if largest * np.exp(-0.5) >= self.shock_width:
            raise ConfigurationError(
                f"the shock of a turned star is moved by up to {largest:.3g} cm; accepted with shock_width "
                f"{self.shock_width:.3g} cm: below {self.shock_width * np.exp(0.5):.3g} cm"
            )

    def radius(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """s(x) of points (point, 3), cm."""
        r = np.linalg.norm(x, axis=1)
        n = x / np.where(r > 0.0, r, 1.0)[:, None]
        shape = (35.0 * n[:, 2] ** 4 - 30.0 * n[:, 2] ** 2 + 3.0) / 8.0
        shape += n[:, 0] * n[:, 1] * (n[:, 0] ** 2 - n[:, 1] ** 2)
        window = np.exp(-0.5 * ((r - self.shock_radius) / self.shock_width) ** 2)
        moved: NDArray[np.float64] = n @ np.array(self.shift) + self.wrinkle * self.shock_radius * shape
        s: NDArray[np.float64] = np.maximum(r - window * moved, 0.0)
        return s


def turned_star(profile: Profile, mesh: BlockMesh, cells: NDArray[np.int64], turning: Turning | None = None) -> Fluid:
    """Matter of a profile on cells of a block mesh around its centre: means over points in each cell, by mass.

    Velocities are along the axes of the mesh, the cell's own basis in spherical coordinates.

    Raises
    ------
    ConfigurationError, ProfileError
        If the deformation folds radii, or the mesh reaches outside the profile.
    """
    how = Turning() if turning is None else turning
    totals: dict[str, NDArray[np.float64]] = {}
    mass = np.zeros(cells.size)
    points = 0
    for place in _places(mesh):
        x, basis = _points(mesh, cells, place)
        s = how.radius(x)
        matter = profile.at(s)
        n = x / np.maximum(np.linalg.norm(x, axis=1), 1.0e-300)[:, None]
        velocity = matter.velocity[:, None] * n
        around = how.rotation / (1.0 + (x[:, 0] ** 2 + x[:, 1] ** 2) / how.rotation_radius**2)
        velocity[:, 0] -= around * x[:, 1]
        velocity[:, 1] += around * x[:, 0]
        weight = matter.mass_density
        mass += weight
        points += 1
        values = {name: value for name, value in vars(matter).items() if value is not None and name != "mass_density"}
        values["velocity"] = np.einsum("pi,pai->pa", velocity, basis)
        for name, value in values.items():
            scaled = weight[:, None] * value if value.ndim == 2 else weight * value
            totals[name] = totals[name] + scaled if name in totals else scaled
    means = {name: value / (mass[:, None] if value.ndim == 2 else mass) for name, value in totals.items()}
    return Fluid(mass_density=mass / points, **means)


def _places(mesh: BlockMesh) -> NDArray[np.float64]:
    """Positions (point, 3) inside a cell as fractions of its three widths (in spherical coordinates of its volume)."""
    inside = (np.arange(SAMPLES) + 0.5) / SAMPLES
    axes = [inside if axis in mesh.resolved else np.array([0.5]) for axis in range(3)]
    points: NDArray[np.float64] = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points


def _points(
    mesh: BlockMesh, cells: NDArray[np.int64], place: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cartesian positions (cell, 3) at a place in each cell, and the basis vectors (cell, axis, 3) there."""
    index = np.unravel_index(cells, mesh.shape[::-1])[::-1]
    faces = mesh.faces
    if mesh.geometry == "spherical":
        # equal parts of the volume
        faces = (faces[0] ** 3, -np.cos(faces[1]), faces[2])
    q = [face[i] + f * (face[i + 1] - face[i]) for face, i, f in zip(faces, index, place, strict=True)]
    if mesh.geometry == "cartesian":
        return np.stack(q, axis=1), np.broadcast_to(np.eye(3), (cells.size, 3, 3))
    r, theta, phi = np.cbrt(q[0]), np.arccos(-q[1]), q[2]
    sine, cosine, east, north = np.sin(theta), np.cos(theta), np.sin(phi), np.cos(phi)
    out = np.stack([sine * north, sine * east, cosine], axis=1)
    down = np.stack([cosine * north, cosine * east, -sine], axis=1)
    along = np.stack([-east, north, np.zeros_like(phi)], axis=1)
    return r[:, None] * out, np.stack([out, down, along], axis=1)


def turned_radiation(
    occupations: NDArray[np.float64],
    radius: NDArray[np.float64],
    direction_cosine: NDArray[np.float64],
    mesh: BlockMesh,
    cells: NDArray[np.int64],
    direction: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Occupations of a spherical solution, (radial cell, direction, ...), on cells and directions of a block mesh.

    f(x, v) = f(|x|, v . x/|x|), linear in radius between the cells' ``radius`` (ascending, cm) and in the ascending
    ``direction_cosine[radial cell, direction]`` between directions; the nearest value beyond the ends. direction
    (m, 3): unit vectors along the axes of the block mesh. Returns (cell, m, ...).

    Raises
    ------
    ConfigurationError
        If radii or cosines do not ascend.
    """
    if (np.diff(radius) <= 0.0).any() or (np.diff(direction_cosine, axis=1) <= 0.0).any():
        raise ConfigurationError("radius and direction_cosine of a spherical solution: accepted in ascending order")
    x, basis = _points(mesh, cells, np.full(3, 0.5))
    r = np.linalg.norm(x, axis=1)
    outward = np.einsum("pi,pai->pa", x / np.maximum(r, 1.0e-300)[:, None], basis)
    cosine = outward @ direction.T
    low, share = _bracket(radius, r)
    out = np.zeros((cells.size, direction.shape[0], *occupations.shape[2:]))
    for p in range(cells.size):
        for cell, part in ((low[p], 1.0 - share[p]), (low[p] + 1, share[p])):
            m, beyond = _bracket(direction_cosine[cell], cosine[p])
            beyond = beyond.reshape(-1, *(1,) * (occupations.ndim - 2))
            out[p] += part * ((1.0 - beyond) * occupations[cell][m] + beyond * occupations[cell][m + 1])
    return out


def _bracket(nodes: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Interval of each x between ascending nodes and where in it, clipped to [0, 1]."""
    low = np.clip(np.searchsorted(nodes, x) - 1, 0, nodes.size - 2)
    return low, np.clip((x - nodes[low]) / (nodes[low + 1] - nodes[low]), 0.0, 1.0)
