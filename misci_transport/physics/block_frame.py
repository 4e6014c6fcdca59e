r"""Moving matter and gravity on a block mesh: transport with matter, Doppler shift, aberration (docs/geometry.md).

Energies and directions are those that matter sees. To first order in beta = v/c, per cm of c t,

    df/dt + div[(v + beta) f] + div_n[ndot f] + E^-2 d_E[E^2 Edot f] = C
    Edot = -E n_i n_j d_j beta_i,    ndot_i = -(delta_ij - n_i n_j) n_k d_k beta_j

whose divergence in phase space vanishes identically: f = const is at rest and neutrinos are conserved. On spherical
meshes also in the metric of the shells' mean mass, with g = Gamma d_r(alpha) and alpha beta in the place of beta:

    Edot/E = ... - g n_r,    ndot_i = ... - g (delta_ir - n_i n_r)

The terms that the radial version leaves out are left out here (physics/frame).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, prod
from typing import TYPE_CHECKING

import numpy as np

from ..constants import SPEED_OF_LIGHT
from ..errors import ConfigurationError, UnphysicalInputError
from ..kernels import block_frame as kernel
from ..kernels.frame_terms import shift_energies
from ..parallel.block_decomposition import LAYERS
from ..parallel.errors import collective
from .frame import FASTEST, group_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..block_mesh import BlockMesh
    from ..parallel.block_decomposition import BlockDecomposition
    from ..phase_space import PhaseSpace
    from ..sphere import SphereQuadrature
    from .block_boundary import BlockBoundary
    from .frame import Metric

#: Points of the Gauss rule along the arc between two directions.
_POINTS = 8

#: Shorter sides of Voronoi cells, radians, are those of cells that meet in a point.
_POINT = 1.0e-7


@dataclass(frozen=True)
class Neighbors:
    """Pairs of neighbouring directions, and what flows between them by any gradient of beta."""

    pair: NDArray[np.int64]  #: (edge, 2)
    share: NDArray[np.float64]  #: (edge,) of the second direction in the value between the two
    #: (10, edge) from the first to the second for d_j beta_i = 1, entry 3 i + j, and for g = 1
    flow: NDArray[np.float64]

    @classmethod
    def of(cls, angles: SphereQuadrature) -> Neighbors:
        """Levels and rings of a product set, or the sides of the Voronoi cells of another one.

        The flow through the arc l between two directions, integral(ndot . m dl)/2 pi with its normal m, is changed by
        a potential flow (least squares) such that every direction loses

            sum over neighbours of T = w [(3 n_i n_j - delta_ij) d_j beta_i + 2 g n_0]

        which with the flow through faces and the shift of energy leaves an isotropic field at rest to round-off.

        Raises
        ------
        ConfigurationError
            If the directions do not integrate second moments exactly.
        """
        if angles.exactness < 2:
            raise ConfigurationError(
                f"directions of kind {angles.kind} are exact to degree {angles.exactness}; accepted with frame.doppler "
                "on a block mesh: 2 or more"
            )
        pair, share, flow = _product_edges(angles) if angles.levels else _voronoi_edges(angles)
        v, w = angles.direction, angles.weight
        wanted = w[:, None, None] * (3.0 * v[:, :, None] * v[:, None, :] - np.eye(3))
        incidence = np.zeros((w.size, share.size))
        edges = np.arange(share.size)
        incidence[pair[:, 0], edges] = 1.0
        incidence[pair[:, 1], edges] = -1.0
        rest = np.concatenate([wanted.reshape(-1, 9), 2.0 * (w * v[:, 0])[:, None]], axis=1) - incidence @ flow
        # a constant potential moves nothing: the second term makes the matrix regular
        potential = np.linalg.solve(incidence @ incidence.T + 1.0 / w.size, rest)
        return cls(pair, share, np.ascontiguousarray((flow + incidence.T @ potential).T))


def _turning(n: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """ndot . normal at directions n[..., 3] for d_j beta_i = 1, and for g = 1 along axis 0: (..., 10)."""
    along = (n * normal).sum(axis=-1)[..., None] * n - normal
    turning = along[..., :, None] * n[..., None, :]
    return np.concatenate([turning.reshape(*n.shape[:-1], 9), along[..., :1]], axis=-1)


def _product_edges(
    angles: SphereQuadrature,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    levels, azimuths = angles.levels, angles.azimuths
    number = np.arange(levels * azimuths).reshape(levels, azimuths)
    cosine = angles.direction[number[:, 0], 0]
    edge = np.append(-1.0, -1.0 + np.cumsum(angles.weight.reshape(levels, azimuths).sum(axis=1)))
    edge[-1] = 1.0
    step = 2.0 * pi / azimuths
    x, w = np.polynomial.legendre.leggauss(_POINTS)  # type: ignore[no-untyped-call]
    # between levels: arcs of constant mu
    omega = (np.arange(azimuths)[:, None] + 0.5 + 0.5 * x) * step
    mu = edge[1:-1, None, None]
    sine = np.sqrt((1.0 - mu) * (1.0 + mu))
    n = np.stack(np.broadcast_arrays(mu, sine * np.cos(omega), sine * np.sin(omega)), axis=-1)
    upwards = np.broadcast_to(np.array([1.0, 0.0, 0.0]), n.shape)
    between = np.einsum("p,lapt->lat", 0.5 * step * w / (2.0 * pi), _turning(n, upwards))
    # on the rings: meridians
    angle = np.arccos(edge)
    middle, half = 0.5 * (angle[:-1] + angle[1:]), 0.5 * (angle[:-1] - angle[1:])
    polar = (middle[:, None] + half[:, None] * x)[:, None, :]
    omega = ((np.arange(azimuths) + 1.0) * step)[None, :, None]
    n = np.stack(
        np.broadcast_arrays(np.cos(polar), np.sin(polar) * np.cos(omega), np.sin(polar) * np.sin(omega)), axis=-1
    )
    onwards = np.stack(np.broadcast_arrays(0.0 * polar, -np.sin(omega), np.cos(omega)), axis=-1)
    around = np.einsum("l,p,lapt->lat", half / (2.0 * pi), w, _turning(n, onwards))
    pair = np.concatenate(
        [
            np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1),
            np.stack([number.ravel(), np.roll(number, -1, axis=1).ravel()], axis=1),
        ]
    )
    reach = (edge[1:-1] - cosine[:-1]) / np.diff(cosine)
    share = np.concatenate([np.repeat(reach, azimuths), np.full(number.size, 0.5)])
    return pair, share, np.concatenate([between.reshape(-1, 10), around.reshape(-1, 10)])


def _voronoi_edges(
    angles: SphereQuadrature,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    from scipy.spatial import SphericalVoronoi

    v = angles.direction
    cells = SphericalVoronoi(v)
    cells.sort_vertices_of_regions()
    sides: dict[tuple[int, int], list[int]] = {}
    for n, region in enumerate(cells.regions):
        for a, b in zip(region, region[1:] + region[:1], strict=True):
            sides.setdefault((min(a, b), max(a, b)), []).append(n)
    ends = np.array(list(sides))
    pair = np.array([sorted(shared) for shared in sides.values()], dtype=np.int64)
    first, last = cells.vertices[ends[:, 0]], cells.vertices[ends[:, 1]]
    long = np.linalg.norm(last - first, axis=1) > _POINT
    pair, first, last = pair[long], first[long], last[long]
    normal = v[pair[:, 1]] - v[pair[:, 0]]
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    length = np.arccos(np.clip((first * last).sum(axis=1), -1.0, 1.0))
    across = last - (first * last).sum(axis=1)[:, None] * first
    across /= np.linalg.norm(across, axis=1)[:, None]
    x, w = np.polynomial.legendre.leggauss(_POINTS)  # type: ignore[no-untyped-call]
    at = (0.5 * length[:, None] * (1.0 + x))[..., None]
    n = np.cos(at) * first[:, None] + np.sin(at) * across[:, None]
    normals = np.broadcast_to(normal[:, None], n.shape)
    flow = np.einsum("e,p,ept->et", 0.5 * length / (2.0 * pi), w, _turning(n, normals))
    return pair, np.full(pair.shape[0], 0.5), flow


class BlockFrame:
    """The terms of moving matter on this rank's cells, with the energies and directions of one run.

    Raises
    ------
    ConfigurationError
        If the energy groups or the directions have no such terms.
    """

    def __init__(self, phase_space: PhaseSpace, decomposition: BlockDecomposition, boundary: BlockBoundary) -> None:
        energy = phase_space.energy
        self.mesh: BlockMesh = phase_space.mesh
        self.decomposition, self.boundary = decomposition, boundary
        self.neighbors = Neighbors.of(phase_space.angles)
        self.direction = phase_space.angles.direction
        self.weight_0 = np.ascontiguousarray(phase_space.angles.weight_0)
        self.inverse_weight = 1.0 / phase_space.angles.weight
        self.coefficient, self.cube = group_edges(energy)
        self.weight = energy.weight
        self.heat = np.repeat((phase_space.number_weight * energy.center)[:, None], 3, axis=1)
        #: fastest loss of a group for a shift of one e-fold per cm
        self._steepness = float((self.cube / np.minimum(energy.weight[1:], energy.weight[:-1])).max())
        geometry = self.mesh.at(decomposition.cells)
        self._ratio, self._curvature = geometry.area_ratio, geometry.curvature
        self.ratio, self.curvature = self._ratio, self._curvature  #: with alpha, of proper areas and volumes
        self.volume = geometry.volume  #: proper
        size = decomposition.size
        self.work = np.zeros(size)  #: MeV cm^-3 given to neutrinos since it was set to zero
        self.faces = tuple(np.zeros(shape) for shape in self._face_shapes())  #: beta along its axis
        self.gradient = np.zeros((size, 9))  #: d_j beta_i with the turning of the basis, entry 3 i + j, cm^-1
        self.stretch = np.zeros((size, self.direction.shape[0]))  #: d ln E/(c dt), cm^-1
        self.flow = np.zeros((size, self.neighbors.share.size))  #: between directions, cm^-1

    def _face_shapes(self) -> list[tuple[int, int, int]]:
        n0, n1, n2 = self.decomposition.local_shape
        shapes = [(n2, n1, n0 + 1), (n2, n1 + 1, n0), (n2 + 1, n1, n0)]
        resolved = self.decomposition.resolved
        return [
            shape if axis in resolved and self.decomposition.size else (0, 0, 0) for axis, shape in enumerate(shapes)
        ]

    def follow_matter(self, velocity: NDArray[np.float64], metric: Metric | None = None) -> None:
        """Take up velocities[cell, axis] of this rank's cells in cm/s, along the axes of the cells (collective).

        metric: of the shells of the whole mesh, spherical coordinates only; None: no gravity.

        Raises
        ------
        UnphysicalInputError
            If a speed exceeds FASTEST times the speed of light, or matter moves along an angle that a spherical mesh
            of shells does not resolve.
        """
        dec = self.decomposition
        beta = velocity / SPEED_OF_LIGHT
        with collective(dec.comm):
            self._check(beta)
        padded = np.zeros((dec.rows, 3))
        padded[: dec.size] = beta
        dec.exchange(padded)
        if dec.size == 0:
            return
        # alpha on the low and high faces of each axis
        lapse, gamma, pull = np.ones((dec.size, 3, 2)), np.ones(dec.size), np.zeros(dec.size)
        if metric is not None:
            lapse, gamma, pull = self._fall(metric)
        gradient, along = np.zeros((dec.size, 3, 3)), np.zeros((dec.size, 3))
        faces = list(self.faces)
        for axis in dec.resolved:
            low, high = self._at_faces(padded, axis)
            faces[axis] = np.concatenate(
                [low[..., axis], np.take(high[..., axis], [-1], axis=2 - axis)], axis=2 - axis
            ).copy()
            low, high = low.reshape(-1, 3), high.reshape(-1, 3)
            # div(beta) of the transport with matter
            along[:, axis] = self.ratio[:, axis, 1] * high[:, axis] - self.ratio[:, axis, 0] * low[:, axis]
            rise = lapse[:, axis, 1, None] * high - lapse[:, axis, 0, None] * low
            gradient[:, :, axis] = rise / self.mesh.at(dec.cells).widths[:, axis, None]
            if self.mesh.geometry == "spherical" and axis == 1:
                # as its part of div(beta) has it
                step = np.diff(self.mesh.faces[1])[self._position(1)]
                gradient[:, 1, 1] = 0.5 * self._curvature[:, 0] * rise[:, 1] / step
        gradient[:, :, 0] *= gamma[:, None]
        self.faces = tuple(faces)
        if self.mesh.geometry == "cartesian":
            gradient[:, [0, 1, 2], [0, 1, 2]] = along
        else:
            self._curve(gradient, along, lapse[:, 1, 0, None] * beta, gamma)
        self.gradient = np.ascontiguousarray(gradient.reshape(-1, 9))
        # sums in a fixed order: the same bits on any number of ranks
        self.stretch = -pull[:, None] * self.direction[:, 0]
        self.flow = pull[:, None] * self.neighbors.flow[9]
        for n in range(9):
            part = self.direction[:, n // 3] * self.direction[:, n % 3]
            self.stretch -= self.gradient[:, n, None] * part
            self.flow += self.gradient[:, n, None] * self.neighbors.flow[n]

    def _fall(self, metric: Metric) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Areas, volumes and curvatures in a metric; alpha[cell, axis, side], Gamma and g (cell,)."""
        shell = self._position(0)
        lapse = np.empty((shell.size, 3, 2))
        lapse[:] = metric.lapse[shell, None, None]
        lapse[:, 0] = np.stack([metric.lapse_face[shell], metric.lapse_face[shell + 1]], axis=1)
        gamma = metric.gamma[shell]
        self.ratio = self._ratio * lapse
        self.ratio[:, 0] *= gamma[:, None]
        self.curvature = self._curvature * metric.lapse[shell, None]
        self.curvature[:, 0] *= gamma
        self.volume = self.mesh.volume_at(self.decomposition.cells) / gamma
        # what keeps an isotropic field at rest
        pull = self.ratio[:, 0, 1] - self.ratio[:, 0, 0] - self.curvature[:, 0]
        return lapse, gamma, pull

    def _check(self, beta: NDArray[np.float64]) -> None:
        speed = np.sqrt((beta**2).sum(axis=1))
        numbers = self.decomposition.numbers
        if not (speed <= FASTEST).all():
            cell = int(np.argmin(speed <= FASTEST))
            raise UnphysicalInputError(
                f"speed in cell {numbers[cell]} is {speed[cell] * SPEED_OF_LIGHT:g} cm/s; accepted with frame.doppler, "
                f"which is first order in v/c: at most {FASTEST:g} times the speed of light"
            )
        if self.mesh.geometry == "spherical" and 1 not in self.decomposition.resolved:
            sideways = (beta[:, 1:] != 0.0).any(axis=1)
            if sideways.any():
                cell = int(np.argmax(sideways))
                raise UnphysicalInputError(
                    f"velocity in cell {numbers[cell]} has the components {beta[cell, 1] * SPEED_OF_LIGHT:g}, "
                    f"{beta[cell, 2] * SPEED_OF_LIGHT:g} cm/s along theta and phi; accepted with frame.doppler on a "
                    "mesh of whole shells: zero"
                )

    def _position(self, axis: int) -> NDArray[np.int64]:
        """(cell,) position along an axis of the whole mesh."""
        return np.unravel_index(self.decomposition.cells, self.mesh.shape[::-1])[2 - axis].astype(np.int64)

    def _at_faces(self, padded: NDArray[np.float64], axis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """beta on the low and the high face of each cell along an axis, (k, j, i, component) each.

        Linear between two cells. At an end of the mesh it goes on linearly, but a reflecting wall stands still, and
        beside it matter slides freely.
        """
        dec = self.decomposition
        n, start, cells = dec.local_shape[axis], int(dec.start[axis]), dec.shape[axis]
        inner = [slice(LAYERS, -LAYERS)] * 3
        inner[2 - axis] = slice(LAYERS - 1, LAYERS + n + 1)
        values = np.moveaxis(padded[dec.row[tuple(inner)]], 2 - axis, 0)
        width = np.diff(self.mesh.faces[axis])[np.arange(start - 1, start + n + 1) % cells].reshape(-1, 1, 1, 1)
        total = width[1:] + width[:-1]
        face = (values[:-1] * width[1:] + values[1:] * width[:-1]) / total
        for side, kind in enumerate(self.boundary.kinds[axis]):
            if not (start == 0 if side == 0 else start + n == cells) or dec.periodic[axis]:
                continue
            end, cell, other, between = (0, 1, 2, 1) if side == 0 else (-1, -2, -3, -2)
            if kind == "reflecting":
                face[end] = values[cell]
                face[end, ..., axis] = 0.0
            else:
                slope = (values[cell] - values[other]) / total[between]
                face[end] = values[cell] + width[cell] * slope
        return np.moveaxis(face[:-1], 0, 2 - axis), np.moveaxis(face[1:], 0, 2 - axis)

    def _curve(
        self,
        gradient: NDArray[np.float64],
        along: NDArray[np.float64],
        beta: NDArray[np.float64],
        gamma: NDArray[np.float64],
    ) -> None:
        """Add the terms of the spherical basis: of the gradient, and of its turning under way with matter.

        The trace is div(beta) as the transport has it. Away from the trace, 1/r is that of the middle of the cell, so
        that shells that turn like a rigid body shift no energy.
        """
        inverse = 1.0 / self.mesh.center(0)[self._position(0)]
        cotangent = self._curvature[:, 1] / (0.5 * self._curvature[:, 0]) * inverse
        inverse = gamma * inverse
        across = 0.5 * (along[:, 0] - gradient[:, 0, 0])
        around = along[:, 1] - gradient[:, 1, 1]
        gradient[:, 1, 1] += across
        gradient[:, 2, 2] = along[:, 2] + across + around
        _, polar, azimuthal = beta.T
        # twice: once by the gradient, once by the basis, which turns as matter moves on
        gradient[:, 0, 1] -= 2.0 * polar * inverse
        gradient[:, 0, 2] -= 2.0 * azimuthal * inverse
        gradient[:, 1, 0] += polar * inverse
        gradient[:, 2, 0] += azimuthal * inverse
        gradient[:, 1, 2] -= 2.0 * azimuthal * cotangent
        gradient[:, 2, 1] += azimuthal * cotangent

    def leaving(self, velocity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fastest loss of a population by motion in space, in angle and in energy, (cell,) cm^-1."""
        out = np.zeros((self.decomposition.size, velocity.shape[0]))
        for axis in self.decomposition.resolved:
            if self.decomposition.size == 0:
                break
            face = self.faces[axis]
            low = np.take(face, range(face.shape[2 - axis] - 1), axis=2 - axis).reshape(-1, 1)
            high = np.take(face, range(1, face.shape[2 - axis]), axis=2 - axis).reshape(-1, 1)
            v = velocity[:, axis]
            out += (np.maximum(v, 0.0) + np.maximum(high, 0.0)) * self.ratio[:, axis, 1, None]
            out += (np.maximum(-v, 0.0) + np.maximum(-low, 0.0)) * self.ratio[:, axis, 0, None]
        turned = np.zeros(out.T.shape)
        np.add.at(turned, self.neighbors.pair[:, 0], np.maximum(self.flow, 0.0).T)
        np.add.at(turned, self.neighbors.pair[:, 1], np.maximum(-self.flow, 0.0).T)
        out += turned.T * self.inverse_weight + np.abs(self.stretch) * self._steepness
        fastest: NDArray[np.float64] = out.max(axis=1)
        return fastest

    def add(
        self,
        f: NDArray[np.float64],
        factor: float,
        out: NDArray[np.float64],
        resolved: NDArray[np.bool_],
        sides: NDArray[np.bool_],
        *,
        second_order: bool,
        limited: bool,
    ) -> NDArray[np.float64]:
        """out += factor times the terms of f[row, direction, species, group, level], ghosts included.

        Returns what matter carries in through the ends of the mesh on this rank per cm, (direction, entry).
        """
        shift_energies(
            f, 0, self.stretch, self.coefficient, self.cube, self.weight, limited, factor, out, self.heat,
            self.weight_0, self.work,
        )  # fmt: skip
        entries = prod(f.shape[2:])
        flat, rates = f.reshape(*f.shape[:2], entries), out.reshape(*out.shape[:2], entries)
        flow = np.zeros((3, 2, *flat.shape[1:]))
        kernel.carry(
            flat, self.decomposition.row, self.ratio, self.volume, resolved, sides, *self.faces, second_order, factor,
            rates, flow,
        )  # fmt: skip
        shift = self.neighbors
        kernel.shift_between(flat, shift.pair, shift.share, self.flow, self.inverse_weight, limited, factor, rates)
        carried: NDArray[np.float64] = (flow[:, 0].sum(axis=0) - flow[:, 1].sum(axis=0)) / self.inverse_weight[:, None]
        return carried
