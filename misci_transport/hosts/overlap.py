"""Volumes that cells of a host's block and cells of this project's mesh have in common.

In the same kind of coordinates they are products of overlaps along the axes, exactly. Otherwise the cells of the mesh
are divided into parts of equal volume, and each part lies in the cell of the host that holds its middle: first order in
the size of the parts, but what is mapped is conserved all the same (`remap`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from .record import volume_factors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..block_mesh import BlockMesh
    from .record import Faces, HostFile

#: Parts of a mesh cell along each resolved axis; an angle that the mesh does not resolve has this many times more. The
#: same for all blocks: only then do the parts that fall into different blocks add up to the cell.
PARTS, MORE_OF_UNRESOLVED = 4, 12
_TURN = 2.0 * np.pi


@dataclass(frozen=True)
class Overlap:
    """Common volumes of one block with the mesh, ordered by cell of the block, then of the mesh."""

    cell: NDArray[np.int64]  #: flat number within the block, axis 0 fastest
    target: NDArray[np.int64]  #: global number of the mesh's cell
    volume: NDArray[np.float64]  #: cm^3
    place: NDArray[np.float64] | None  #: (n, 3) middle of what is in common, Cartesian cm, where coordinates differ
    missed: NDArray[np.bool_]  #: whether no part of the mesh fell into the host's cell: its middle decides alone


def overlap(host: HostFile, block: int, mesh: BlockMesh, length: float, parts: int = PARTS) -> Overlap:
    """Overlap of a block's leaf cells with a mesh; ``length`` is cm per unit of the block's faces.

    Raises
    ------
    ConfigurationError
        If the coordinates cannot be compared: a Cartesian host with axes that it does not resolve on a sphere.
    """
    place = host.blocks[block]
    faces = scaled(host.geometry, place.faces, length)
    leaf = np.ones(place.cells, dtype=bool) if place.covered is None else ~place.covered.ravel()
    if host.geometry == mesh.geometry:
        found = _exact(host.geometry, faces, mesh)
    else:
        if host.geometry == "cartesian" and len(host.resolved) < 3:
            raise ConfigurationError(
                f"{host.path}: {len(host.resolved)} resolved axes of a Cartesian host on a {mesh.geometry} mesh; "
                "accepted: three"
            )
        found = _sampled(host.geometry, faces, mesh, parts, leaf)
    keep = leaf[found.cell]
    return Overlap(
        found.cell[keep],
        found.target[keep],
        found.volume[keep],
        None if found.place is None else found.place[keep],
        found.missed[keep],
    )


def scaled(geometry: str, faces: Faces, length: float) -> Faces:
    """Faces in cm and radians."""
    if geometry == "cartesian":
        x, y, z = (face * length for face in faces)
        return x, y, z
    if geometry == "cylindrical":
        return faces[0] * length, faces[1] * length, faces[2]
    return faces[0] * length, faces[1], faces[2]


def measure(geometry: str, axis: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The coordinate whose differences are an axis's factors of volume: x, R^2/2, r^3/3, -cos theta."""
    if geometry == "spherical" and axis == 0:
        return x**3 / 3.0
    if geometry == "spherical" and axis == 1:
        return -np.cos(x)
    if geometry == "cylindrical" and axis == 0:
        return 0.5 * x**2
    return x


def _exact(geometry: str, faces: Faces, mesh: BlockMesh) -> Overlap:
    pairs = []
    for axis in range(3):
        shifts: Sequence[float] = (0.0,)
        if geometry == "spherical" and axis == 2:
            # azimuths may begin anywhere
            shifts = (-_TURN, 0.0, _TURN)
        pairs.append(_common(geometry, axis, faces[axis], mesh.faces[axis], shifts))
    n0, n1, _ = (face.size - 1 for face in faces)
    m0, m1, _ = mesh.shape
    (i, p, a), (j, q, b), (k, r, c) = pairs
    cell = i[None, None, :] + n0 * (j[None, :, None] + n1 * k[:, None, None])
    target = p[None, None, :] + m0 * (q[None, :, None] + m1 * r[:, None, None])
    volume = a[None, None, :] * b[None, :, None] * c[:, None, None]
    return _ordered(cell.ravel(), target.ravel(), volume.ravel(), None, np.zeros(cell.size, dtype=bool))


def _common(
    geometry: str, axis: int, host: NDArray[np.float64], mesh: NDArray[np.float64], shifts: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Intervals of an axis that overlap, and their common measure."""
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    for shift in shifts:
        moved = host + shift
        both = np.unique(np.concatenate([moved, mesh]))
        both = both[(both >= max(moved[0], mesh[0])) & (both <= min(moved[-1], mesh[-1]))]
        middle = 0.5 * (both[1:] + both[:-1])
        size = np.diff(measure(geometry, axis, both))
        of_host = np.searchsorted(moved, middle, side="right") - 1
        of_mesh = np.searchsorted(mesh, middle, side="right") - 1
        some = size > 0.0
        found.append((of_host[some], of_mesh[some], size[some]))
    of_host, of_mesh, size = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return of_host, of_mesh, size


def _sampled(geometry: str, faces: Faces, mesh: BlockMesh, parts: int, leaf: NDArray[np.bool_]) -> Overlap:
    window = _window(geometry, faces, mesh)
    n0, n1, n2 = (face.size - 1 for face in faces)
    shape = (n2, n1, n0)
    divided = [_divided(mesh, axis, window, parts) for axis in range(3)]
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]] = []
    # one layer of the mesh at a time: the points of all would not fit
    for k in range(*window[2]):
        near = _near(geometry, faces, mesh, window, k)
        if near[0].size == 0:
            continue
        points, owner, volume = _parts(mesh, near, divided, [low for low, _ in window])
        x = cartesian(mesh.geometry, points)
        cell, inside = locate(geometry, faces, x)
        found.append((cell[inside], owner[inside], volume[inside], x[inside]))
    cell = np.concatenate([np.empty(0, dtype=np.int64), *(f[0] for f in found)])
    target = np.concatenate([np.empty(0, dtype=np.int64), *(f[1] for f in found)])
    volume = np.concatenate([np.empty(0), *(f[2] for f in found)])
    place = np.concatenate([np.empty((0, 3)), *(f[3] for f in found)])
    # parts of one pair together
    key, back = np.unique(cell * mesh.size + target, return_inverse=True)
    total = np.bincount(back, volume, key.size)
    weighted = np.stack([np.bincount(back, volume * place[:, d], key.size) for d in range(3)], axis=1)
    middle = weighted / np.where(total > 0.0, total, 1.0)[:, None]
    hit = np.zeros(leaf.size, dtype=bool)
    hit[cell] = True
    lost = np.flatnonzero(~hit & leaf)
    x = cartesian(geometry, _middles(faces)[lost])
    at, inside = locate(mesh.geometry, mesh.faces, x)
    whole = _volumes(geometry, faces, shape).ravel()[lost]
    return _ordered(
        np.concatenate([key // mesh.size, lost[inside]]),
        np.concatenate([key % mesh.size, at[inside]]),
        np.concatenate([total, whole[inside]]),
        np.concatenate([middle, x[inside]]),
        np.concatenate([np.zeros(key.size, dtype=bool), np.ones(int(inside.sum()), dtype=bool)]),
    )


def _ordered(
    cell: NDArray[np.int64],
    target: NDArray[np.int64],
    volume: NDArray[np.float64],
    place: NDArray[np.float64] | None,
    missed: NDArray[np.bool_],
) -> Overlap:
    order = np.lexsort((target, cell))
    return Overlap(cell[order], target[order], volume[order], None if place is None else place[order], missed[order])


def _volumes(geometry: str, faces: Faces, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    x, y, z = volume_factors(geometry, faces)
    return np.broadcast_to(z[:, None, None] * y[None, :, None] * x[None, None, :], shape)


def _middles(faces: Faces) -> NDArray[np.float64]:
    """(cell, 3) midpoints, axis 0 fastest."""
    x, y, z = (0.5 * (face[1:] + face[:-1]) for face in faces)
    grid = np.meshgrid(z, y, x, indexing="ij")
    return np.stack([axis.ravel() for axis in grid[::-1]], axis=1)


def _divided(
    mesh: BlockMesh, axis: int, window: Sequence[tuple[int, int]], parts: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles (in volume) of the parts of a window's cells along an axis, (cell, part), and their measure (cell,)."""
    low, high = (mesh.faces[axis][slice(window[axis][0] + side, window[axis][1] + side)] for side in range(2))
    angle = mesh.geometry == "spherical" and axis > 0
    count = parts * (MORE_OF_UNRESOLVED if angle and axis not in mesh.resolved else 1)
    u, v = measure(mesh.geometry, axis, low), measure(mesh.geometry, axis, high)
    middle = u[:, None] + (v - u)[:, None] * ((np.arange(count) + 0.5) / count)
    return _coordinate(mesh.geometry, axis, middle), (v - u) / count


def _near(
    geometry: str, faces: Faces, mesh: BlockMesh, window: Sequence[tuple[int, int]], k: int
) -> list[NDArray[np.int64]]:
    """Positions of the mesh's cells in a layer of a window that a block can touch."""
    j, i = (n.ravel() for n in np.meshgrid(np.arange(*window[1]), np.arange(*window[0]), indexing="ij"))
    layer = np.full(i.size, k)
    if geometry == "spherical" and mesh.geometry == "cartesian" and i.size:
        index = (i, j, layer)
        ends = [np.stack([mesh.faces[axis][index[axis]], mesh.faces[axis][index[axis] + 1]]) for axis in range(3)]
        nearest = np.sqrt(sum(np.where(e[0] * e[1] <= 0.0, 0.0, np.abs(e).min(axis=0)) ** 2 for e in ends))
        farthest = np.sqrt(sum(np.abs(e).max(axis=0) ** 2 for e in ends))
        keep = (nearest <= faces[0][-1]) & (farthest >= faces[0][0])
        i, j, layer = i[keep], j[keep], layer[keep]
    return [i, j, layer]


def _parts(
    mesh: BlockMesh,
    cells: Sequence[NDArray[np.int64]],
    divided: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    first: Sequence[int],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Middles of the parts of some cells, the cells' numbers, and the parts' volumes."""
    at = [divided[axis][0][cells[axis] - first[axis]] for axis in range(3)]
    share = [divided[axis][1][cells[axis] - first[axis]] for axis in range(3)]
    shape = (cells[0].size, at[2].shape[1], at[1].shape[1], at[0].shape[1])
    points = np.stack(
        [
            np.broadcast_to(at[0][:, None, None, :], shape).ravel(),
            np.broadcast_to(at[1][:, None, :, None], shape).ravel(),
            np.broadcast_to(at[2][:, :, None, None], shape).ravel(),
        ],
        axis=1,
    )
    m0, m1, _ = mesh.shape
    each = shape[1] * shape[2] * shape[3]
    number = cells[0] + m0 * (cells[1] + m1 * cells[2])
    return points, np.repeat(number, each), np.repeat(share[2] * share[1] * share[0], each)


def _coordinate(geometry: str, axis: int, m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of `measure`."""
    if geometry == "spherical" and axis == 0:
        return np.asarray(np.cbrt(3.0 * m))
    if geometry == "spherical" and axis == 1:
        return np.asarray(np.arccos(np.clip(-m, -1.0, 1.0)))
    return m


def cartesian(geometry: str, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) Cartesian positions of points in coordinates of a geometry."""
    if geometry == "cartesian":
        return q
    if geometry == "cylindrical":
        radius, height, phi = q.T
        return np.stack([radius * np.cos(phi), radius * np.sin(phi), height], axis=1)
    r, theta, phi = q.T
    across = r * np.sin(theta)
    return np.stack([across * np.cos(phi), across * np.sin(phi), r * np.cos(theta)], axis=1)


def basis(geometry: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, axis, 3) unit vectors along the axes of a geometry at Cartesian positions."""
    n = x.shape[0]
    if geometry == "cartesian":
        return np.broadcast_to(np.eye(3), (n, 3, 3))
    across = np.hypot(x[:, 0], x[:, 1])
    safe = np.where(across > 0.0, across, 1.0)
    north = np.where(across > 0.0, x[:, 0] / safe, 1.0)
    east = np.where(across > 0.0, x[:, 1] / safe, 0.0)
    zero, one = np.zeros(n), np.ones(n)
    out = np.stack([north, east, zero], axis=1)
    around = np.stack([-east, north, zero], axis=1)
    up = np.stack([zero, zero, one], axis=1)
    if geometry == "cylindrical":
        return np.stack([out, up, around], axis=1)
    r = np.hypot(across, x[:, 2])
    safe = np.where(r > 0.0, r, 1.0)
    sine, cosine = np.where(r > 0.0, across / safe, 0.0), np.where(r > 0.0, x[:, 2] / safe, 1.0)
    radial = sine[:, None] * out + cosine[:, None] * up
    down = cosine[:, None] * out - sine[:, None] * up
    return np.stack([radial, down, around], axis=1)


def locate(geometry: str, faces: Faces, x: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Flat numbers (axis 0 fastest) of the cells that hold Cartesian positions, and whether there is one."""
    if geometry == "cartesian":
        q = [x[:, 0], x[:, 1], x[:, 2]]
    else:
        across = np.hypot(x[:, 0], x[:, 1])
        phi = np.arctan2(x[:, 1], x[:, 0])
        # azimuths as the block counts them
        phi = faces[2][0] + np.mod(phi - faces[2][0], _TURN)
        if geometry == "cylindrical":
            q = [across, x[:, 2], phi]
        else:
            q = [np.hypot(across, x[:, 2]), np.arctan2(across, x[:, 2]), phi]
    inside = np.ones(x.shape[0], dtype=bool)
    number = np.zeros(x.shape[0], dtype=np.int64)
    stride = 1
    for axis in range(3):
        face = faces[axis]
        n = np.searchsorted(face, q[axis], side="right") - 1
        # the outer end belongs to the last cell
        n = np.where(q[axis] == face[-1], face.size - 2, n)
        inside &= (n >= 0) & (n < face.size - 1)
        number += stride * n
        stride *= face.size - 1
    return number, inside


def _window(geometry: str, faces: Faces, mesh: BlockMesh) -> list[tuple[int, int]]:
    """Ranges of the mesh's cells along its axes that a block can touch."""
    (r_low, r_high), (z_low, z_high), (p_low, p_high) = _cylinder(geometry, faces)
    if mesh.geometry == "cartesian":
        angles = [p_low, p_high, *(n * np.pi / 2 for n in range(-8, 9) if p_low < n * np.pi / 2 < p_high)]
        x = [r * np.cos(p) for r in (r_low, r_high) for p in angles]
        y = [r * np.sin(p) for r in (r_low, r_high) for p in angles]
        bounds = [(min(x), max(x)), (min(y), max(y)), (z_low, z_high)]
    else:
        near = 0.0 if z_low <= 0.0 <= z_high else min(abs(z_low), abs(z_high))
        far = max(abs(z_low), abs(z_high))
        theta = [float(np.arctan2(r, z)) for r in (r_low, r_high) for z in (z_low, z_high)]
        bounds = [(float(np.hypot(r_low, near)), float(np.hypot(r_high, far))), (min(theta), max(theta)), (0.0, 0.0)]
        # azimuths wrap around: all of them unless the block is within a part of the turn that the mesh counts alike
        whole = mesh.faces[2]
        bounds[2] = (p_low, p_high)
        if not (whole[0] <= p_low and p_high <= whole[-1]):
            bounds[2] = (float(whole[0]), float(whole[-1]))
    window = []
    for axis, (low, high) in enumerate(bounds):
        face = mesh.faces[axis]
        margin = 1.0e-9 * max(abs(low), abs(high), float(face[-1] - face[0]))
        first = int(np.searchsorted(face, low - margin, side="right") - 1)
        last = int(np.searchsorted(face, high + margin, side="left"))
        window.append((max(first, 0), min(max(last, 0), face.size - 1)))
    return window


def _cylinder(geometry: str, faces: Faces) -> list[tuple[float, float]]:
    """Ranges of a block in distance from the axis, height and azimuth."""
    ends = [(float(face[0]), float(face[-1])) for face in faces]
    if geometry == "cylindrical":
        return ends
    if geometry == "spherical":
        (r0, r1), (t0, t1), phi = ends
        sines = [np.sin(t0), np.sin(t1), *([1.0] if t0 < np.pi / 2 < t1 else [])]
        z = [r * np.cos(t) for r in (r0, r1) for t in (t0, t1)]
        return [(r0 * min(sines), r1 * max(sines)), (min(z), max(z)), phi]
    (x0, x1), (y0, y1), z_range = ends
    near_x = 0.0 if x0 <= 0.0 <= x1 else min(abs(x0), abs(x1))
    near_y = 0.0 if y0 <= 0.0 <= y1 else min(abs(y0), abs(y1))
    far = max(float(np.hypot(x, y)) for x in (x0, x1) for y in (y0, y1))
    if near_x == 0.0 and near_y == 0.0:
        azimuth = (0.0, _TURN)
    else:
        middle = float(np.arctan2(0.5 * (y0 + y1), 0.5 * (x0 + x1)))
        corners = [float(np.arctan2(y, x)) for x in (x0, x1) for y in (y0, y1)]
        # as angles from the middle, so that the cut at pi does no harm
        away = [float(np.mod(c - middle + np.pi, _TURN) - np.pi) for c in corners]
        azimuth = (middle + min(away), middle + max(away))
    return [(float(np.hypot(near_x, near_y)), far), z_range, azimuth]
