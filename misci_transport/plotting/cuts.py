"""Pictures of block outputs: cuts through the middle of the mesh, or lines along its only axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import AXES
from .pictures import flavors_of, titled
from .style import BLACK, FLAVOR_COLORS, GREY, KILOMETRE, SPECIES_LINES, canvas, flavor_label, styled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..io.read import Reader

#: Fields that a cut shows.
NEEDED = ("fluid/mass_density", "radiation/energy_density", "radiation/energy_flux", "sources/energy")
#: cm; a mesh that reaches much further has a second picture of what is inside.
_INNER = 3.0e7
#: Angles are drawn in at least this many steps, because polygons have straight sides.
_STEPS = 64
_ARROWS = 11  #: along a side of a cut, about
#: Share of the area that the scale of heating covers; the rest, deep inside, saturates.
_COVERED = 0.93


@dataclass
class _Patch:
    """A part of a plane: nodes and centres of its cells in cm, how to take its values and to turn its vectors."""

    nodes: tuple[NDArray[np.float64], NDArray[np.float64]]  #: (slow + 1, fast + 1) each
    centers: tuple[NDArray[np.float64], NDArray[np.float64]]  #: (slow, fast) each
    index: tuple[Any, ...]  #: into (axis 2, axis 1, axis 0, ...)
    turn: NDArray[np.float64]  #: (2, 3, slow, fast): along the plane = turn . (components on the mesh's axes)
    steps: int = 1  #: parts that cells are drawn in along the slow axis

    def values(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (slow, fast, ...) of a field on the plane's cells."""
        taken: NDArray[np.float64] = field[self.index]
        return taken

    def along(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Components (2, slow, fast) along the plane of vectors (slow, fast, 3)."""
        turned: NDArray[np.float64] = np.einsum("paij,ija->pij", self.turn, vectors)
        return turned

    @property
    def area(self) -> NDArray[np.float64]:
        """(slow, fast) cm^2, of the quadrilaterals between the nodes (of the first part of each cell)."""
        x, y = (node[:: self.steps] for node in self.nodes)
        first = (x[1:, 1:] - x[:-1, :-1], y[1:, 1:] - y[:-1, :-1])
        other = (x[1:, :-1] - x[:-1, 1:], y[1:, :-1] - y[:-1, 1:])
        area: NDArray[np.float64] = 0.5 * np.abs(first[0] * other[1] - first[1] * other[0])
        return area


@dataclass
class _Plane:
    name: str
    labels: tuple[str, str]
    caption: str
    patches: list[_Patch]

    @property
    def reach(self) -> float:
        """Largest coordinate, cm."""
        return max(float(np.abs(node).max()) for patch in self.patches for node in patch.nodes)


def is_block(reader: Reader) -> bool:
    """Whether the output is of a block mesh."""
    return any(all(f"mesh/{name}_face" in reader for name in names) for names in AXES.values())


def figures(reader: Reader) -> dict[str, Any]:
    """All pictures of a block output by name; empty if fields are missing."""
    if not all(name in reader for name in NEEDED):
        return {}
    names, faces = _mesh(reader)
    resolved = [axis for axis, face in enumerate(faces) if face.size > 2]
    if len(resolved) < 2:
        return {"line": line(reader)}
    made = {}
    for plane in _planes(names, faces, resolved):
        made[plane.name] = cut(reader, plane)
        if plane.reach > 1.5 * _INNER:
            made[f"{plane.name}_inner"] = cut(reader, plane, _INNER)
    return made


def cut(reader: Reader, plane: _Plane, limit: float | None = None) -> Any:
    """Density and net heating, and energy densities of all flavours with the direction of their flux, on a plane."""
    density, heat = reader["fluid/mass_density"], reader["sources/energy"]
    energy, flux = reader["radiation/energy_density"], reader["radiation/energy_flux"]
    flavors = flavors_of(reader)
    reach = plane.reach if limit is None else limit
    low = [float(min(patch.nodes[axis].min() for patch in plane.patches)) for axis in (0, 1)]
    high = [float(max(patch.nodes[axis].max() for patch in plane.patches)) for axis in (0, 1)]
    window = [(max(a, -reach) / KILOMETRE, min(b, reach) / KILOMETRE) for a, b in zip(low, high, strict=True)]
    aspect = (window[1][1] - window[1][0]) / (window[0][1] - window[0][0])
    with styled():
        # as high as panels of this width become
        figure, axes = canvas(2, 4, 11.5, 2.0 * min(1.95 * aspect + 0.4, 5.0) + 0.7, sharex=True, sharey=True)
        _paint(figure, axes[0, 0], plane, reach, [np.log10(p.values(density)) for p in plane.patches],
               r"lg density [g cm$^{-3}$]", "viridis")  # fmt: skip
        heating = [p.values(heat) / p.values(density) * 1.0e-20 for p in plane.patches]
        top = _covering(heating, plane, reach)
        _paint(figure, axes[1, 0], plane, reach, heating, r"net heating [10$^{20}$ erg g$^{-1}$ s$^{-1}$]", "RdBu_r",
               (-top, top))  # fmt: skip
        for species in (0, 1):
            for flavor in range(3):
                panel = axes[species, flavor + 1]
                shown = [np.log10(np.maximum(p.values(energy[..., species, flavor]), 1.0e-300)) for p in plane.patches]
                label = f"lg {flavor_label(species, flavor, flavors)} energy [erg cm$^{{-3}}$]"
                _paint(figure, panel, plane, reach, shown, label, "magma", _range(shown, plane, reach))
                for patch in plane.patches:
                    _arrows(panel, patch, flux[..., species, flavor, :], reach)
        for panel in axes.flat:
            panel.set_aspect("equal")
            panel.grid(visible=False)
            panel.set_xlim(*window[0])
            panel.set_ylim(*window[1])
        for panel in axes[1]:
            panel.set_xlabel(plane.labels[0])
        for panel in axes[:, 0]:
            panel.set_ylabel(plane.labels[1])
        time = 1.0e3 * float(reader.attributes.get("time", 0.0))
        when = f", t = {time:.4g} ms" if time else ""
        titled(figure, reader, f"{plane.caption}{when}")
    return figure


def line(reader: Reader) -> Any:
    """Energy densities of all flavours, density and net heating along the only resolved axis."""
    names, faces = _mesh(reader)
    axis = int(np.argmax([face.size for face in faces]))
    face, name = faces[axis], names[axis]
    scale = KILOMETRE if name in ("x", "y", "z", "r") else 1.0
    at = 0.5 * (face[1:] + face[:-1]) / scale
    energy = reader["radiation/energy_density"].reshape(at.size, 2, 3)
    density = reader["fluid/mass_density"].ravel()
    heating = reader["sources/energy"].ravel() / density * 1.0e-20
    flavors = flavors_of(reader)
    with styled():
        figure, axes = canvas(3, 1, 6.4, 7.5, sharex=True)
        for species in (0, 1):
            for flavor in range(3):
                axes[0, 0].plot(
                    at,
                    energy[:, species, flavor],
                    color=FLAVOR_COLORS[flavor],
                    linestyle=SPECIES_LINES[species],
                    label=flavor_label(species, flavor, flavors),
                )
        axes[0, 0].set_yscale("log")
        axes[0, 0].set_ylabel(r"energy density [erg cm$^{-3}$]")
        axes[0, 0].legend(ncols=3)
        axes[1, 0].plot(at, density, color=BLACK)
        axes[1, 0].set_yscale("log")
        axes[1, 0].set_ylabel(r"density [g cm$^{-3}$]")
        top = float(np.percentile(np.abs(heating), 100.0 * _COVERED)) or 1.0
        axes[2, 0].axhline(0.0, color=GREY, linewidth=0.6)
        axes[2, 0].plot(at, heating, color=FLAVOR_COLORS[0])
        axes[2, 0].set_ylim(-1.3 * top, 1.3 * top)
        axes[2, 0].set_ylabel(r"net heating [10$^{20}$ erg g$^{-1}$ s$^{-1}$]")
        if name == "r":
            axes[2, 0].set_xscale("log")
        axes[2, 0].set_xlabel(f"{name} [km]" if scale == KILOMETRE else f"{name} [rad]")
        titled(figure, reader)
    return figure


def _mesh(reader: Reader) -> tuple[tuple[str, ...], list[NDArray[np.float64]]]:
    for names in AXES.values():
        if all(f"mesh/{name}_face" in reader for name in names):
            return names, [reader[f"mesh/{name}_face"] for name in names]
    raise AssertionError("not a block output")


def _planes(names: tuple[str, ...], faces: list[NDArray[np.float64]], resolved: list[int]) -> list[_Plane]:
    """The planes to show: two of a mesh in three dimensions, the mesh itself in two."""
    if names[0] == "r":
        planes = []
        if 1 in resolved:
            planes.append(_meridian(faces))
        if 2 in resolved:
            planes.append(_equator(faces))
        return planes
    if len(resolved) == 2:
        return [_flat(names, faces, resolved[0], resolved[1])]
    return [_flat(names, faces, 0, 2), _flat(names, faces, 0, 1)]


def _flat(names: tuple[str, ...], faces: list[NDArray[np.float64]], right: int, up: int) -> _Plane:
    """A Cartesian plane through the middle cells of the third axis."""
    other = 3 - right - up
    index: list[Any] = [slice(None)] * 3
    middle = (faces[other].size - 1) // 2
    index[2 - other] = middle
    nodes = np.meshgrid(faces[right], faces[up])
    centers = np.meshgrid(_middle(faces[right]), _middle(faces[up]))
    turn = np.zeros((2, 3, *centers[0].shape))
    turn[0, right], turn[1, up] = 1.0, 1.0
    at = _middle(faces[other])[middle] / KILOMETRE
    caption = f"{names[other]} = {at:.3g} km" if faces[other].size > 2 else ""
    patch = _Patch((nodes[0], nodes[1]), (centers[0], centers[1]), tuple(index), turn)
    return _Plane(f"{names[right]}{names[up]}", (f"{names[right]} [km]", f"{names[up]} [km]"), caption, [patch])


def _meridian(faces: list[NDArray[np.float64]]) -> _Plane:
    """Both half planes of the meridian through the first cells in phi."""
    r, theta, phi = faces
    cells = phi.size - 1
    fine, steps = _finer(theta)
    patches = []
    for sign, cell in ((1.0, 0), (-1.0, cells // 2)):
        if sign < 0.0 and cells > 1 and cells % 2:
            continue  # no cell lies opposite
        nodes = (sign * np.sin(fine)[:, None] * r, np.cos(fine)[:, None] * r)
        angle, radius = _middle(theta)[:, None], _middle(r)
        sine, cosine = np.sin(angle), np.cos(angle)
        shape = (angle.size, radius.size)
        turn = np.zeros((2, 3, *shape))
        turn[0, 0], turn[0, 1], turn[1, 0], turn[1, 1] = sign * sine, sign * cosine, cosine, -sine
        centers = (sign * sine * radius, cosine * radius)
        patches.append(_Patch(nodes, centers, (cell,), turn, steps))
    return _Plane("meridian", (r"$r\,\sin\theta$ [km]", r"$r\,\cos\theta$ [km]"), "meridian", patches)


def _equator(faces: list[NDArray[np.float64]]) -> _Plane:
    """The cells next to the equator."""
    r, theta, phi = faces
    fine, steps = _finer(phi)
    nodes = (np.cos(fine)[:, None] * r, np.sin(fine)[:, None] * r)
    angle, radius = _middle(phi)[:, None], _middle(r)
    turn = np.zeros((2, 3, angle.size, radius.size))
    turn[0, 0], turn[0, 2], turn[1, 0], turn[1, 2] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    centers = (np.cos(angle) * radius, np.sin(angle) * radius)
    cell = (theta.size - 1) // 2
    patch = _Patch(nodes, centers, (slice(None), cell), turn, steps)
    return _Plane("equator", ("x [km]", "y [km]"), rf"$\theta$ = {np.degrees(_middle(theta)[cell]):.3g}°", [patch])


def _finer(face: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Faces with every cell in as many parts as arcs need to look round."""
    steps = -(-_STEPS // (face.size - 1))
    part = np.arange(steps) / steps
    return np.append((face[:-1, None] + part * np.diff(face)[:, None]).ravel(), face[-1]), steps


def _paint(
    figure: Any,
    panel: Any,
    plane: _Plane,
    reach: float,
    values: list[NDArray[np.float64]],
    label: str,
    colors: str,
    limits: tuple[float, float] | None = None,
) -> None:
    low, high = _range(values, plane, reach, None) if limits is None else limits
    image = None
    for patch, shown in zip(plane.patches, values, strict=True):
        drawn = np.repeat(shown, patch.steps, axis=0)
        x, y = patch.nodes
        image = panel.pcolormesh(x / KILOMETRE, y / KILOMETRE, drawn, cmap=colors, vmin=low, vmax=high, rasterized=True)
    figure.colorbar(image, ax=panel)
    panel.set_title(label)


def _inside(patch: _Patch, reach: float) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = np.maximum(np.abs(patch.centers[0]), np.abs(patch.centers[1])) <= reach
    return inside


def _range(
    values: list[NDArray[np.float64]], plane: _Plane, reach: float, decades: float | None = 9.0
) -> tuple[float, float]:
    """Limits of what lies within reach; at most so many decades below the top."""
    seen = np.concatenate([v[_inside(patch, reach)] for patch, v in zip(plane.patches, values, strict=True)])
    seen = seen[np.isfinite(seen)]
    low, high = float(seen.min()), float(seen.max())
    if decades is not None:
        low = max(low, high - decades)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _covering(values: list[NDArray[np.float64]], plane: _Plane, reach: float) -> float:
    """Magnitude that most of the area within reach stays below."""
    inside = [_inside(patch, reach) for patch in plane.patches]
    size = np.concatenate([np.abs(v[where]) for v, where in zip(values, inside, strict=True)])
    area = np.concatenate([patch.area[where] for patch, where in zip(plane.patches, inside, strict=True)])
    order = np.argsort(size)
    share = np.cumsum(area[order]) / area.sum()
    return float(size[order][min(int(np.searchsorted(share, _COVERED)), size.size - 1)]) or 1.0


def _arrows(panel: Any, patch: _Patch, flux: NDArray[np.float64], reach: float) -> None:
    """Directions of a flux along the plane, at places that are about evenly spread."""
    along = patch.along(patch.values(flux))
    size = np.hypot(along[0], along[1])
    x, y = patch.centers
    spacing = 2.0 * reach / _ARROWS
    inside = (np.abs(x) < reach) & (np.abs(y) < reach) & (size > 0.0)
    chosen: dict[tuple[int, int], tuple[int, int]] = {}
    distance: dict[tuple[int, int], float] = {}
    for place in zip(*np.nonzero(inside), strict=True):
        row, column = int(place[0]), int(place[1])
        box = (round(float(x[row, column]) / spacing), round(float(y[row, column]) / spacing))
        off = float(np.hypot(x[row, column] - box[0] * spacing, y[row, column] - box[1] * spacing))
        if off < distance.get(box, np.inf):
            chosen[box], distance[box] = (row, column), off
    if not chosen:
        return
    rows, columns = (np.array(axis) for axis in zip(*chosen.values(), strict=True))
    unit = along[:, rows, columns] / size[rows, columns]
    panel.quiver(
        x[rows, columns] / KILOMETRE, y[rows, columns] / KILOMETRE, unit[0], unit[1],
        color="white", edgecolor="black", linewidth=0.3, scale=20.0, width=0.008, pivot="mid",
    )  # fmt: skip


def _middle(face: NDArray[np.float64]) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = 0.5 * (face[1:] + face[:-1])
    return middle
