"""What comes in through the six sides of a block mesh."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..parallel.block_decomposition import LAYERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..block_mesh import BlockMesh
    from ..parallel.block_decomposition import BlockDecomposition
    from ..sphere import SphereQuadrature

SIDES = ("low", "high")
KINDS = ("reflecting", "inflow", "periodic", "axis", "centre")


@dataclass
class BlockBoundary:
    """Kinds of the low and high end of each axis, and what flows in.

    "inflow" without populations is free outflow: nothing comes in. With them, ``populations[axis, side]`` holds
    (direction, species, group, level) for the whole end, or (cell, direction, species, group, level) for its cells in
    global order, lower axis fastest. "reflecting" sends every direction into its mirror image. "axis" (theta = 0 or pi)
    and "centre" (r = 0) have no area, so that nothing passes; their ghosts only give slopes: on the axis the directions
    reversed in both angular components, as of a field without dependence on phi, at the centre all of them reversed.
    """

    kinds: tuple[tuple[str, str], ...] = (("inflow", "inflow"),) * 3
    populations: Mapping[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(cls, mesh: BlockMesh, outer: str = "inflow") -> BlockBoundary:
        """What a mesh asks for: centre, axis and a full turn where it has them; ``outer`` at all other ends."""
        kinds = [[outer, outer] for _ in range(3)]
        if mesh.geometry == "spherical":
            radius, theta, _ = mesh.faces
            if radius[0] == 0.0:
                kinds[0][0] = "centre"
            for side, end, pole in ((0, 0, 0.0), (1, -1, np.pi)):
                if np.isclose(theta[end], pole, rtol=0.0, atol=1.0e-14):
                    kinds[1][side] = "axis"
            if mesh.full_turn:
                kinds[2] = ["periodic", "periodic"]
        return cls(tuple((low, high) for low, high in kinds))

    def __post_init__(self) -> None:
        for axis, pair in enumerate(self.kinds):
            for side, kind in zip(SIDES, pair, strict=True):
                if kind not in KINDS:
                    raise ConfigurationError(
                        f"boundary of axis {axis}, {side} side, is {kind!r}; accepted: {', '.join(KINDS)}"
                    )
            if (pair[0] == "periodic") != (pair[1] == "periodic"):
                raise ConfigurationError(f"boundary of axis {axis} is {pair}; accepted: periodic on both sides or none")

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """Whether each axis is periodic."""
        x, y, z = (pair[0] == "periodic" for pair in self.kinds)
        return x, y, z

    def check(self, mesh: BlockMesh, cell_shape: tuple[int, ...]) -> None:
        """Refuse kinds that the mesh has not, and populations of the wrong shape.

        Raises
        ------
        ConfigurationError
            Naming axis, side and what is accepted.
        """
        for axis in mesh.resolved:
            for side in range(2):
                kind = self.kinds[axis][side]
                open_area, scale = mesh.largest_area(axis, side, end=True), mesh.largest_area(axis, 1 - side)
                if kind in ("axis", "centre") and open_area > 1.0e-12 * scale:
                    raise ConfigurationError(
                        f"boundary of axis {axis}, {SIDES[side]} side, is {kind!r} at a face with an area; accepted: "
                        "r = 0 for centre, theta = 0 or pi for axis"
                    )
                if kind == "periodic" and mesh.geometry == "spherical" and not (axis == 2 and mesh.full_turn):
                    raise ConfigurationError(
                        f"boundary of axis {axis} is periodic; accepted in spherical coordinates: phi from 0 to 2 pi"
                    )
                given = self.populations.get((axis, side))
                if given is None:
                    continue
                cells = mesh.size // mesh.shape[axis]
                if kind != "inflow" or given.shape not in (cell_shape, (cells, *cell_shape)):
                    raise ConfigurationError(
                        f"populations of axis {axis}, {SIDES[side]} side, ({kind}) have shape {given.shape}; accepted "
                        f"with inflow: {cell_shape} or {(cells, *cell_shape)}"
                    )

    def fill(self, f: NDArray[np.float64], directions: SphereQuadrature, decomposition: BlockDecomposition) -> None:
        """Set the ghosts of f[row, direction, ...] beyond the ends of the mesh; after the exchange between ranks."""
        for axis in decomposition.resolved:
            for side in range(2):
                kind = self.kinds[axis][side]
                if kind == "periodic":
                    continue
                for layer in range(LAYERS):
                    rows = decomposition.boundary_rows(axis, side, layer)
                    if rows.ghost.size == 0:
                        continue
                    if kind == "inflow":
                        given = self.populations.get((axis, side))
                        if given is None:
                            f[rows.ghost] = 0.0
                        elif given.ndim == f.ndim:
                            f[rows.ghost] = given[_at_end(rows.cell, axis, decomposition.shape)]
                        else:
                            f[rows.ghost] = given
                        continue
                    image = directions.mirror[axis]
                    if kind == "axis":
                        image = image[directions.mirror[2]]
                    elif kind == "centre":
                        image = image[directions.mirror[1]][directions.mirror[2]]
                    f[rows.ghost] = f[rows.mirror][:, image]


def _at_end(cell: NDArray[np.int64], axis: int, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Numbers among the cells at one end of an axis of cells with these global numbers."""
    k, j, i = np.unravel_index(cell, shape[::-1])
    others = [(i, shape[0]), (j, shape[1]), (k, shape[2])]
    del others[axis]
    (fast, count), (slow, _) = others
    return np.asarray(fast + count * slow, dtype=np.int64)
