"""What the measures of validity need to know of the mesh: neighbours on the way, widths, samples, places.

One class for each kind of mesh, with the same methods; the monitor knows nothing else of meshes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import AXES, AXIS_UNITS
from ..kernels.traces import level_densities
from ..parallel.block_decomposition import LAYERS
from ..stability import BLOCKS, SPHERE, wave_vectors
from .measures import Adiabaticity, Paths, path_adiabaticity, ray_adiabaticity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.block_decomposition import BlockDecomposition
    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from ..stability import LevelModes
    from .measures import Points


class RadialSurroundings:
    """A star or a slab: rays keep their index from cell to cell, and the way of the neutrinos is outwards."""

    symmetries = len(BLOCKS)
    symmetry_words = "axially symmetric perturbations and of those that break the symmetry"
    way = "outward rays"

    def __init__(self, phase_space: PhaseSpace, decomposition: Decomposition) -> None:
        self.phase_space, self.decomposition = phase_space, decomposition
        mesh, cells = phase_space.mesh, decomposition.cells
        self.width = mesh.width[cells]  #: (cell,) cm, what is crossed
        whole = mesh.center[cells] if mesh.geometry == "spherical" else float(mesh.face[-1] - mesh.face[0])
        self.size = np.maximum(whole, self.width)  #: (cell,) cm, on which growth matters

    def along_paths(self, points: Points, weight: NDArray[np.float64], mixing: Any) -> Adiabaticity:
        """Adiabaticity along rays, with the cells of other ranks next to this one's, region by region (collective)."""
        dec = self.decomposition
        around = type(points)(
            *(dec.padded(x) for x in (points.populations, points.velocity, points.vacuum, points.hamiltonian))
        )
        weights, center = dec.padded(weight), self.phase_space.mesh.center
        ends = {0, *mixing.region_faces(), dec.total}
        gamma, fraction = np.full(dec.size, np.inf), np.zeros(dec.size)
        for part in mixing.region_slices():
            # the neighbour on another rank belongs to this region unless the region ends at the rank's end
            low = part.start - (dec.start + part.start not in ends)
            high = part.stop + (dec.start + part.stop not in ends)
            chosen = slice(low + 1, high + 1)
            found = ray_adiabaticity(
                around[chosen],
                center[dec.start + low : dec.start + high],
                weight_0=weights[chosen],
                number_weight=self.phase_space.number_weight,
            )
            inside = slice(part.start - low, part.stop - low)
            gamma[part], fraction[part] = found.gamma[inside], found.fraction[inside]
        return Adiabaticity(gamma, fraction)

    def chains(self, _populations: NDArray[np.float64], _crossed: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
        """Global cells in an order in which neighbours resemble each other: by radius."""
        return [np.arange(self.decomposition.total)]

    def directions(self, weight: NDArray[np.float64], velocity: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Directions of one cell as `linearise` takes them."""
        return {"weight_0": weight[0], "weight_1": weight[1], "direction_cosine": velocity[:, 0]}

    def waves(self, _modes: LevelModes, _crossed: bool) -> dict[str, NDArray[np.float64]]:
        """Wave numbers to look at in each block: homogeneous perturbations."""
        return {block: np.zeros(1) for block in BLOCKS}

    def e_folds(self, growth: NDArray[np.float64], _populations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Growth times width, added up outwards, (cell, symmetry) (collective)."""
        # of the whole mesh on every rank: the same sums on any number of ranks
        gained = self.decomposition.gather(growth * self.width[:, None])
        folds: NDArray[np.float64] = np.cumsum(gained, axis=0)[self.decomposition.cells]
        return folds

    def place(self, flagged: NDArray[np.bool_]) -> str:
        """Where flagged cells lie (collective)."""
        radii = self.phase_space.mesh.center[self.decomposition.cells][flagged]
        return _range(self.decomposition.comm, "r", radii, "cm")


class BlockSurroundings:
    """A block: straight paths to the neighbours downstream, and the way of the neutrinos is along their flux."""

    symmetries = 1
    symmetry_words = "perturbations of any direction and symmetry"
    way = "the flux of neutrinos"

    def __init__(self, phase_space: PhaseSpace, decomposition: BlockDecomposition) -> None:
        self.phase_space, self.decomposition = phase_space, decomposition
        mesh, dec = phase_space.mesh, decomposition
        resolved = list(mesh.resolved)
        self.geometry = mesh.at(dec.cells)
        self.widths = self.geometry.widths
        smallest = self.widths[:, resolved].min(axis=1, initial=np.inf)
        extent = [float(mesh.faces[axis][-1] - mesh.faces[axis][0]) for axis in resolved or range(3)]
        #: (cell,) cm, what is crossed: the smallest resolved width
        self.width = smallest
        whole = self.geometry.centers[:, 0] if mesh.geometry == "spherical" else max(extent)
        #: (cell,) cm, on which growth matters: the radius, or the largest extent of a box
        self.size = np.maximum(whole, np.where(np.isfinite(smallest), smallest, 0.0))
        self.paths = self._paths()

    def _paths(self) -> Paths:
        """Neighbours and their distances (collective)."""
        mesh, dec = self.phase_space.mesh, self.decomposition
        widths = np.zeros((dec.rows, 3))
        widths[: dec.size] = self.widths
        dec.exchange(widths)
        own = np.arange(dec.size)
        neighbour = np.repeat(own, 6).reshape(dec.size, 3, 2)
        distance = np.full((dec.size, 3, 2), np.inf)
        inner = slice(LAYERS, -LAYERS)
        for axis in dec.resolved:
            for side, step in enumerate((-1, 1)):
                shifted = [inner] * 3
                shifted[2 - axis] = slice(LAYERS + step, step - LAYERS)
                rows = dec.row[tuple(shifted)].copy()
                end = [slice(None)] * 3
                end[2 - axis] = slice(-1, None) if side else slice(0, 1)
                last = dec.stop[axis] == dec.shape[axis] if side else dec.start[axis] == 0
                if last and not dec.periodic[axis]:
                    # beyond the ends of the mesh nothing changes
                    rows[tuple(end)] = dec.row[inner, inner, inner][tuple(end)]
                neighbour[:, axis, side] = rows.ravel()
                distance[:, axis, side] = 0.5 * (widths[own, axis] + widths[rows.ravel(), axis])
        polar = np.zeros((0, 3))
        if mesh.geometry == "spherical":
            radius, theta, _ = self.geometry.centers.T
            polar = np.stack([radius, np.cos(theta), np.sin(theta)], axis=1)
        return Paths(neighbour, distance, polar)

    def along_paths(self, points: Points, weight: NDArray[np.float64], _mixing: Any) -> Adiabaticity:
        """Adiabaticity on the straight paths to the neighbours downstream (collective)."""
        dec = self.decomposition
        fields = np.zeros((dec.rows, *points.hamiltonian.shape[1:]))
        fields[: dec.size] = points.hamiltonian
        dec.exchange(fields)
        return path_adiabaticity(
            points, fields, self.paths, weight_0=weight, number_weight=self.phase_space.number_weight
        )

    def chains(self, populations: NDArray[np.float64], crossed: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
        """Global cells by falling density of neutrinos: those with an angular crossing, and the others (collective)."""
        density = self._flow(populations)[:, 0]
        every, crosses = self.decomposition.gather(density), self.decomposition.gather(crossed)
        order = np.argsort(-every, kind="stable")
        return [order[crosses[order]], order[~crosses[order]]]

    def directions(self, weight: NDArray[np.float64], velocity: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Directions of one cell as `linearise` takes them."""
        return {"weight_0": weight[0], "velocity": velocity}

    def waves(self, modes: LevelModes, crossed: bool) -> dict[str, NDArray[np.float64]]:
        """Wave numbers to look at: where nothing fast can grow only 0 and K_0, which would cost most elsewhere."""
        waves = wave_vectors(modes)
        return {SPHERE: waves if crossed else waves[[0, -1]]}

    def e_folds(self, growth: NDArray[np.float64], populations: NDArray[np.float64]) -> NDArray[np.float64]:
        """E-folds (cell, 1) of perturbations that go along the flux u of all neutrinos with c (collective).

            e = t growth + sum_d (t |u_d|/width_d) e_upstream(d),    t = 1/sum_d |u_d|/width_d,

        zero where neutrinos enter the mesh. With one resolved axis this is the sum of growth times width. Solved by as
        many passes over all cells as the mesh has cells along its three axes together, or fewer if nothing changes any
        more: where the flux goes round, perturbations grow that long.
        """
        dec = self.decomposition
        if not any(dec.comm.allgather(bool(growth.any()))):
            return np.zeros_like(growth)
        flux = self._flow(populations)[:, 1:]
        size = np.sqrt((flux**2).sum(axis=1))
        speed = np.divide(np.abs(flux), size[:, None], out=np.zeros_like(flux), where=size[:, None] > 0.0)
        rates = np.zeros_like(speed)
        for axis in dec.resolved:
            rates[:, axis] = speed[:, axis] / self.widths[:, axis]
        # across the resolved axes there is no more room than along them
        time = 1.0 / np.maximum(rates.sum(axis=1), 1.0 / self.size)
        share = rates * time[:, None]
        own = np.arange(dec.size)
        upstream = np.stack([self.paths.neighbour[own, axis, (flux[:, axis] < 0.0) * 1] for axis in range(3)], axis=1)
        share[upstream == own[:, None]] = 0.0
        gained = growth * np.where(np.isfinite(time), time, 0.0)[:, None]
        folds = np.zeros((dec.rows, growth.shape[1]))
        folds[: dec.size] = gained
        for _ in range(sum(dec.shape)):
            dec.exchange(folds)
            new = gained.copy()
            for axis in dec.resolved:
                new += share[:, axis, None] * folds[upstream[:, axis]]
            changed = not np.array_equal(new, folds[: dec.size])
            folds[: dec.size] = new
            if not any(dec.comm.allgather(changed)):
                break
        return folds[: dec.size].copy()

    def _flow(self, populations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Density and flux of all neutrinos and antineutrinos, (cell, 4) cm^-3."""
        flow = np.zeros((populations.shape[0], 4))
        content = np.empty((populations.shape[0], 2, populations.shape[4]))
        for order, weight in enumerate(self.phase_space.angles.weights[0]):
            level_densities(populations, weight[None], self.phase_space.number_weight, content)
            for species in range(2):
                for level in range(content.shape[2]):
                    flow[:, order] += content[:, species, level]
        return flow

    def place(self, flagged: NDArray[np.bool_]) -> str:
        """Where flagged cells lie (collective)."""
        mesh, dec = self.phase_space.mesh, self.decomposition
        at = self.geometry.centers[flagged]
        names, units = AXES[mesh.geometry], AXIS_UNITS[mesh.geometry]
        axes = mesh.resolved or (0,)
        return ", ".join(_range(dec.comm, names[axis], at[:, axis], units[axis]) for axis in axes)


def _range(comm: Any, name: str, values: NDArray[np.float64], unit: str) -> str:
    low = min(comm.allgather(float(values.min(initial=np.inf))))
    high = max(comm.allgather(float(values.max(initial=-np.inf))))
    return f"{name} = {low:.4g} to {high:.4g} {unit}"
