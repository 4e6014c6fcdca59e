"""Matter from a host's blocks onto this project's mesh, and sources back, conserving what both sides count.

    forward    M_t = sum_s (mass_density)_s W_ts,    N_e,t = sum_s (mass_density Y_e)_s W_ts,
               P_t = sum_s (mass_density v)_s W_ts,  sum_t W_ts = V_s for every host cell inside the mesh
    back       q_s = sum_t q_t W_ts / V_s,           sum_s W_ts = V_t for every mesh cell that the host covers

W are the volumes in common (`hosts.overlap`). Where coordinates differ they are sums of parts, and are scaled in turn
to both sums, last to the one that has to be kept: a constant density then stays constant as far as possible.
Everything else that matter has is a mean by mass: temperatures are not conserved, so that internal energy is only as
far as the gas is ideal. Every rank reads its own blocks; what meets in one cell is added in the order of the host's
cells, so that numbers do not depend on ranks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ConfigurationError, ProfileError
from .fluid import Fluid
from .hosts.overlap import PARTS, basis, cartesian, locate, overlap, scaled
from .parallel.errors import collective
from .parallel.routing import route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .block_mesh import BlockMesh
    from .hosts.record import HostFile

#: Fraction of a mesh cell's volume that the host has to cover.
COVERED = 1.0 - 1.0e-6
#: Scaling to both sums ends here: relative deviation of the other one, and number of turns.
EVEN, MOST_TURNS = 1.0e-4, 20
#: Fields that matter must have.
_NEEDED = ("mass_density", "temperature", "electron_fraction")


@dataclass(frozen=True)
class RemapReport:
    """What a mapping did, of the whole mesh."""

    host_mass: float  #: g, of all leaves of the host
    mesh_mass: float  #: g, on the mesh
    outside: float  #: g, of the host outside the mesh
    host_cells: int  #: leaves
    missed: int  #: host cells that no part of a mesh cell fell into: given to the cell of their middle
    uncovered: int  #: mesh cells that the host does not cover
    unevenness: float  #: largest relative change of a constant density by the mapping
    turns: int  #: of scaling volumes in common to the volumes of both sides' cells


class Remap:
    """Overlap of a host's blocks with a mesh, kept for both directions. Collective over the decomposition's ranks.

    Parameters
    ----------
    host
        The snapshot, with known units.
    mesh
        Block mesh; spherical ones with one cell along both angles serve radial transport.
    decomposition
        Who owns which cells of the mesh.
    parts
        Parts of a mesh cell along each axis, where coordinates differ.

    Raises
    ------
    ProfileError
        If fields or units are missing, or the host does not cover the mesh.
    ConfigurationError
        If the coordinates cannot be compared.
    """

    def __init__(self, host: HostFile, mesh: BlockMesh, decomposition: Any, parts: int = PARTS) -> None:
        self.host, self.mesh, self.decomposition, self.comm = host, mesh, decomposition, decomposition.comm
        self.blocks = host.my_blocks(self.comm.rank, self.comm.size)
        with collective(self.comm):
            host.require(_NEEDED)
            assert host.length is not None
            self.length = host.length
            self.overlaps = [overlap(host, block, mesh, self.length, parts) for block in self.blocks]
        #: numbers of the first cells of all blocks in the order of the file
        self._first = np.cumsum([0, *(place.cells for place in host.blocks)])
        target = _joined([o.target for o in self.overlaps], np.int64)
        self._owner = decomposition.owners(target)
        self._volumes = [host.volume(block).ravel() * self.length**3 for block in self.blocks]  #: cm^3
        # the way of every overlap to the owner of its mesh cell, in the order of the host's cells
        at, number, _ = route(self.comm, self._owner, target, self._numbers())
        local = self._local(at)
        self._order = np.lexsort((number, local))
        self._arrived = local[self._order]
        # and back: every owner is asked once for each of its cells
        wanted, self._back = np.unique(target, return_inverse=True)
        asked, self._asker = route(self.comm, decomposition.owners(wanted), wanted)
        self._asked = self._local(asked)
        number, _ = route(self.comm, self._asker, asked)
        self._returned = np.argsort(number)
        self._ends = np.cumsum([0, *(o.cell.size for o in self.overlaps)])
        self._inside = [
            None if o.place is None else self._wholly_inside(block)
            for block, o in zip(self.blocks, self.overlaps, strict=True)
        ]
        self._scale()

    # -- set-up ------------------------------------------------------------------------------------------------

    def _scale(self) -> None:
        """Volumes in common that add up to the cells of the host (forward) and of the mesh (back)."""
        volume = self.mesh.volume_at(self.decomposition.numbers)
        sampled = self._at_mesh(_joined([np.where(o.missed, 0.0, o.volume) for o in self.overlaps]))
        #: part of each owned cell that the host covers
        self.covered = sampled / volume if volume.size else volume
        self._forward = self._to_volumes_of_host([o.volume for o in self.overlaps])
        self.turns, self.unevenness = 0, 0.0
        while True:
            sums = self._at_mesh(_joined(self._forward))
            factor = np.divide(sampled, sums, out=np.ones(volume.size), where=sums > 0.0)
            worst = float(
                np.abs(np.divide(sums, sampled, out=np.ones(volume.size), where=sampled > 0.0) - 1.0).max(initial=0.0)
            )
            self.unevenness = max(self.comm.allgather(worst))
            each = self._from_mesh(factor)
            self._backward = [
                w * each[low:high] for w, (low, high) in zip(self._forward, pairwise(self._ends), strict=True)
            ]
            if self.unevenness < EVEN or self.turns == MOST_TURNS or self.host.geometry == self.mesh.geometry:
                break
            self._forward = self._to_volumes_of_host(self._backward)
            self.turns += 1
        self.turns = max(self.comm.allgather(self.turns))

    def _to_volumes_of_host(self, volumes: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """Scaled so that host cells wholly inside the mesh arrive whole; of others, what the parts have found."""
        scaled_ = []
        for o, inside, whole, volume in zip(self.overlaps, self._inside, self._volumes, volumes, strict=True):
            if inside is None:
                scaled_.append(volume)
                continue
            lost = np.zeros(inside.size, dtype=bool)
            lost[o.cell[o.missed]] = True
            found = np.bincount(o.cell, volume, inside.size)
            scale = np.where(inside, whole / np.where(found > 0.0, found, 1.0), np.where(lost, 0.0, 1.0))
            scaled_.append(volume * scale[o.cell])
        return scaled_

    def _at_mesh(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over overlaps of values, (n,) or (n, m), on this rank's cells of the mesh. Collective."""
        arrived, _ = route(self.comm, self._owner, values)
        cells, order = self.decomposition.size, self._order
        columns = arrived[order].reshape(order.size, int(np.prod(values.shape[1:], dtype=np.int64)))
        sums = [_sums(self._arrived, columns[:, n], cells) for n in range(columns.shape[1])]
        return np.stack(sums, axis=1).reshape(cells, *values.shape[1:])

    def _from_mesh(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of this rank's cells of the mesh for each overlap. Collective."""
        answer, _ = route(self.comm, self._asker, values[self._asked])
        return np.asarray(answer[self._returned][self._back])

    def _numbers(self) -> NDArray[np.int64]:
        """Numbers of the host's cells in all overlaps of this rank, unique over the file."""
        return _joined(
            [o.cell + self._first[block] for block, o in zip(self.blocks, self.overlaps, strict=True)], np.int64
        )

    def _local(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of global cells among this rank's."""
        mine = self.decomposition.numbers
        order = np.argsort(mine)
        return np.asarray(order[np.searchsorted(mine[order], cells)]) if cells.size else cells

    # -- forward -----------------------------------------------------------------------------------------------

    def fluid(self) -> tuple[Fluid, RemapReport]:
        """Matter on this rank's cells, velocities along the axes of the mesh, and what was done. Collective.

        Raises
        ------
        ProfileError
            If the host does not cover a cell of the mesh, or has values that are not finite.
        """
        names = [field.name for field in fields(Fluid) if field.name in self.host.present]
        composition = [n for n in names if n.endswith(("_fraction", "_number")) and n != "electron_fraction"]
        if len(composition) < 6:
            # given whole or not at all
            names = [name for name in names if name not in composition]
        names = [name for name in names if self.host.unit(name) != "code"]
        scalars = [name for name in names if name not in ("mass_density", "velocity")]
        with collective(self.comm):
            rows = [self._contributions(n, scalars, "velocity" in names) for n in range(len(self.blocks))]
        width = 1 + len(scalars) + 3
        sums = self._at_mesh(np.concatenate([np.empty((0, width)), *(row[0] for row in rows)]))
        report = self._report(rows, sums)
        with collective(self.comm):
            self._check_cover()
        volume = self.mesh.volume_at(self.decomposition.numbers)
        mass = sums[:, 0]
        safe = np.where(mass > 0.0, mass, 1.0)
        matter: dict[str, Any] = {"mass_density": mass / volume, "velocity": sums[:, -3:] / safe[:, None]}
        matter |= {name: sums[:, 1 + n] / safe for n, name in enumerate(scalars)}
        return Fluid(**matter), report

    def _contributions(
        self, number: int, scalars: Sequence[str], moves: bool
    ) -> tuple[NDArray[np.float64], float, float, int]:
        """Mass and what it carries of every overlap, the block's mass, the part of it outside, leaves."""
        host, block, o = self.host, self.blocks[number], self.overlaps[number]
        common, volume, place = self._forward[number], self._volumes[number], host.blocks[block]
        density = host.field(block, "mass_density").ravel()
        factor = host.field(block, "volume_factor").ravel() if host.source("volume_factor") is not None else 1.0
        leaf = np.ones(place.cells, dtype=bool) if place.covered is None else ~place.covered.ravel()
        share = np.bincount(o.cell, common, place.cells) / volume
        mass = density * factor * volume
        weight = (density * factor)[o.cell] * common
        columns = [weight]
        columns += [weight * host.field(block, name).ravel()[o.cell] for name in scalars]
        velocity = np.zeros((o.cell.size, 3))
        if moves:
            velocity = host.field(block, "velocity").reshape(3, -1).T[o.cell]
            if o.place is not None:
                turn = np.einsum("nai,nbi->nab", basis(self.mesh.geometry, o.place), basis(host.geometry, o.place))
                velocity = np.einsum("nab,nb->na", turn, velocity)
        rows = np.concatenate([np.stack(columns, axis=1), weight[:, None] * velocity], axis=1)
        outside = float((mass * (1.0 - share))[leaf].sum())
        return rows, float(mass[leaf].sum()), outside, int(leaf.sum())

    def _wholly_inside(self, block: int) -> NDArray[np.bool_]:
        """Host cells whose corners all lie inside the mesh."""
        place = self.host.blocks[block]
        x, y, z = scaled(self.host.geometry, place.faces, self.length)
        inward = 1.0 - 1.0e-9
        n0, n1, n2 = x.size - 1, y.size - 1, z.size - 1
        inside = np.ones((n2, n1, n0), dtype=bool)
        for i in range(2):
            for j in range(2):
                for k in range(2):
                    ends = [
                        0.5 * (face[1:] + face[:-1]) + (0.5 if side else -0.5) * inward * np.diff(face)
                        for face, side in zip((x, y, z), (i, j, k), strict=True)
                    ]
                    grid = np.meshgrid(ends[2], ends[1], ends[0], indexing="ij")
                    corner = cartesian(self.host.geometry, np.stack([g.ravel() for g in grid[::-1]], axis=1))
                    _, found = locate(self.mesh.geometry, self.mesh.faces, corner)
                    inside &= found.reshape(n2, n1, n0)
        return inside.ravel()

    def _report(self, rows: list[Any], sums: NDArray[np.float64]) -> RemapReport:
        total = self.comm.allreduce(
            np.array(
                [
                    sum(row[1] for row in rows),
                    float(sums[:, 0].sum()),
                    sum(row[2] for row in rows),
                    sum(row[3] for row in rows),
                    sum(int(o.missed.sum()) for o in self.overlaps),
                    int((self.covered < COVERED).sum()),
                ],
                dtype=np.float64,
            )
        )
        return RemapReport(
            float(total[0]),
            float(total[1]),
            float(total[2]),
            int(total[3]),
            int(total[4]),
            int(total[5]),
            self.unevenness,
            self.turns,
        )

    def _check_cover(self) -> None:
        bare = self.covered < COVERED
        if bare.any():
            first = int(np.argmax(bare))
            number = int(self.decomposition.numbers[first])
            raise ProfileError(
                f"{self.host.path}: covers {100.0 * self.covered[first]:.6g} % of cell {number} of the mesh, and not "
                f"all of {int(bare.sum()) - 1} more of this rank; accepted: a mesh inside the snapshot"
            )

    # -- back --------------------------------------------------------------------------------------------------

    def to_host(self, values: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
        """Quantities per volume on this rank's cells, (cell, n), as {block: (n, n2, n1, n0)} on its blocks. Collective.

        Host cells outside the mesh get zero. The sum of value times volume is kept in all mesh cells that the host
        covers.

        Raises
        ------
        ConfigurationError
            If values do not have one row for each cell of this rank.
        """
        with collective(self.comm):
            if values.ndim != 2 or values.shape[0] != self.decomposition.size:
                raise ConfigurationError(
                    f"values have shape {values.shape}; accepted: ({self.decomposition.size}, n), one row a cell"
                )
        row = self._from_mesh(values)
        found: dict[int, NDArray[np.float64]] = {}
        ends = pairwise(self._ends)
        whole = zip(self.blocks, self.overlaps, self._backward, self._volumes, ends, strict=True)
        for block, o, common, volume, (low, high) in whole:
            place = self.host.blocks[block]
            part = row[low:high] * common[:, None]
            sums = np.stack([_sums(o.cell, part[:, n], place.cells) for n in range(values.shape[1])])
            found[block] = (sums / volume).reshape(-1, *place.shape)
        return found


def _joined(parts: Sequence[NDArray[Any]], kind: Any = np.float64) -> NDArray[Any]:
    return np.concatenate([np.ravel(part) for part in parts]) if parts else np.empty(0, dtype=kind)


def _sums(at: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sums of values by position, added one after the other."""
    return np.asarray(np.bincount(at, values, size)[:size], dtype=np.float64) if size else np.empty(0)
