r"""Moving matter and gravity on a radial mesh: Doppler shift, aberration, redshift, bending and lapse.

Energies E and cosines mu are those that matter sees. To first order in beta = v/c, in the static metric
ds^2 = -alpha^2 c^2 dt^2 + dr^2/Gamma^2 + r^2 dOmega^2, per cm of coordinate time c dt

    df/dt + (Gamma/r^2) d_r[r^2 alpha (mu + beta) f] + d_mu[mudot f] + E^-2 d_E[E^2 Edot f] = alpha C
    Edot  = -E Gamma {alpha' (mu + beta mu^2) + alpha [mu^2 beta' + (1 - mu^2) beta/r]}
    mudot = (1 - mu^2) Gamma {alpha [1/r + mu (beta/r - beta')] - alpha' (1 + beta mu)}

whose divergence in phase space vanishes identically: f = const is at rest, and the integral of f E^2 dE dmu over proper
volumes r^2 dr/Gamma is conserved. Without matter motion E alpha and the number flux alpha r^2 are constant along a ray.
(Mueller, Janka and Dimmelmeier 2010, Astrophys. J. Suppl. 189, 104; Lindquist 1966.)

What is left out: beta mu df/dt (a change arrives early or late by a part beta of its travel time; a stationary state
does not care), terms of order beta^2, and the acceleration of matter and time derivatives of the metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..constants import SOLAR_MASS, SPEED_OF_LIGHT
from ..errors import ConfigurationError, UnphysicalInputError
from ..kernels import frame_terms as kernel
from ..profile import SCHWARZSCHILD_RADIUS_OF_SUN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..block_mesh import BlockMesh
    from ..energy import EnergyGrid
    from ..grid import RadialMesh
    from ..phase_space import PhaseSpace
    from .boundary import Boundary

#: Largest |v|/c that first order in v/c is taken for.
FASTEST = 0.5


@dataclass(frozen=True)
class Metric:
    """Static metric on a whole mesh."""

    lapse_face: NDArray[np.float64]  #: (face,) alpha
    lapse: NDArray[np.float64]  #: (cell,) alpha, mean of the two faces
    gamma: NDArray[np.float64]  #: (cell,) Gamma: proper radial length = coordinate length / Gamma

    @classmethod
    def flat(cls, mesh: RadialMesh) -> Metric:
        """No gravity."""
        return cls(np.ones(mesh.size + 1), np.ones(mesh.size), np.ones(mesh.size))

    @classmethod
    def of_mass(
        cls, mesh: RadialMesh, mass_density: NDArray[np.float64], inner_mass: float, gravity: str = "relativistic"
    ) -> Metric:
        """The field of the rest mass on the mesh and of inner_mass (g) inside its first face; vacuum beyond the last.

        gravity = "relativistic": d ln(alpha)/dr = G m/(c^2 r^2 Gamma^2) with Gamma^2 = 1 - 2 G m/(c^2 r), and
        alpha = sqrt(1 - 2 G m/(c^2 r)) at the outermost face; "lapse": the same alpha, but flat lengths (Gamma = 1)
        in the transport; "newtonian": Gamma = 1 in both. Pressure and internal energy as sources are left out.

        Raises
        ------
        UnphysicalInputError
            If a radius is inside its own Schwarzschild radius.
        """
        r = mesh.face
        inner, outer = r[:-1], r[1:]
        # G m/c^2 in cm; in a cell m = m_0 + k r^3
        per_gram = 0.5 * SCHWARZSCHILD_RADIUS_OF_SUN / SOLAR_MASS
        k = 4.0 * np.pi / 3.0 * per_gram * mass_density
        mass = per_gram * inner_mass + np.concatenate([[0.0], np.cumsum(3.0 * k * mesh.volume)])
        safe = np.where(r > 0.0, r, 1.0)
        compactness = np.where(r > 0.0, 2.0 * mass / safe, 0.0)
        if inner_mass > 0.0 and r[0] == 0.0:
            raise UnphysicalInputError(
                f"frame.inner_mass is {inner_mass / SOLAR_MASS:g} solar masses at r = 0; accepted on a mesh that "
                "begins at the centre: 0"
            )
        if not (compactness < 1.0).all():
            face = int(np.argmax(compactness >= 1.0))
            raise UnphysicalInputError(
                f"mass inside face {face}, {mass[face] / per_gram / SOLAR_MASS:g} solar masses, has a Schwarzschild "
                f"radius of {2.0 * mass[face]:g} cm; accepted: less than the radius of the face, {r[face]:g} cm"
            )
        rest = mass[:-1] - k * inner**3
        point = np.where(inner > 0.0, rest * (outer - inner) / (np.where(inner > 0.0, inner, 1.0) * outer), 0.0)
        field = point + 0.5 * k * (outer**2 - inner**2)
        middle = 1.0 - 0.5 * (compactness[1:] + compactness[:-1])
        flat = np.ones(mesh.size)
        rise = np.cumsum((field / (flat if gravity == "newtonian" else middle))[::-1])[::-1]
        face = np.sqrt(1.0 - compactness[-1]) * np.exp(-np.append(rise, 0.0))
        return cls(face, 0.5 * (face[1:] + face[:-1]), np.sqrt(middle) if gravity == "relativistic" else flat)


def shell_means(mesh: BlockMesh, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(shell,) volume averages of values (cell,) of the whole spherical block mesh."""
    by_shell = mesh.volume.reshape(-1, mesh.shape[0])
    means: NDArray[np.float64] = (by_shell * values.reshape(by_shell.shape)).sum(axis=0) / by_shell.sum(axis=0)
    return means


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of transport on a range of cells; directions as in AngularGrid."""

    area: NDArray[np.float64]  #: (face, direction) signed: alpha r^2 w (mu + beta)
    drag: NDArray[np.float64]  #: (face, direction) half of the |area| of the flow with matter, zero at both ends
    redistribution: NDArray[np.float64]  #: (cell, direction + 1) alpha times that at rest
    volume: NDArray[np.float64]  #: (cell, direction) proper
    stretch: NDArray[np.float64]  #: (cell, direction) d ln E/(c dt), cm^-1
    turn: NDArray[np.float64]  #: (cell, direction + 1) flow between directions beyond ``redistribution``
    share: NDArray[np.float64]  #: (cell, direction - 1) of the upper direction in the value between two

    def take(self, start: int, stop: int) -> Coefficients:
        """Those of the cells start to stop - 1 (a copy)."""
        cells = slice(start, stop)
        local = (self.redistribution, self.volume, self.stretch, self.turn, self.share)
        faces = slice(start, stop + 1)
        return Coefficients(self.area[faces].copy(), self.drag[faces].copy(), *(x[cells].copy() for x in local))


def coefficients(
    phase_space: PhaseSpace, boundary: Boundary, velocity: NDArray[np.float64], metric: Metric
) -> Coefficients:
    """Coefficients on the whole mesh for velocities (cell,) in cm/s (zeros: matter at rest).

    The flow between directions follows from areas and energies by recursion, as that at rest follows from areas
    (quadrature), so that an isotropic field is at rest to round-off. Sets of directions that do not fill the sphere
    have no flow between directions.

    Raises
    ------
    UnphysicalInputError
        If a velocity exceeds FASTEST times the speed of light.
    """
    mesh, angles = phase_space.mesh, phase_space.angles
    beta = velocity / SPEED_OF_LIGHT
    if not (np.abs(beta) <= FASTEST).all():
        cell = int(np.argmax(np.abs(beta)))
        raise UnphysicalInputError(
            f"velocity in cell {cell} is {velocity[cell]:g} cm/s; accepted with frame.doppler, which is first order in "
            f"v/c: at most {FASTEST:g} times the speed of light"
        )
    at_face = np.concatenate([beta[:1], 0.5 * (beta[1:] + beta[:-1]), beta[-1:]])
    # a wall stands still, and so does the centre
    if boundary.inner == "reflecting":
        at_face[0] = 0.0
    if boundary.outer == "reflecting":
        at_face[-1] = 0.0
    alpha, cosine = metric.lapse_face, angles.direction_cosine
    spread = _face_weights(phase_space) * mesh.face_area[:, None]
    carried = (alpha * at_face)[:, None] * spread
    area = alpha[:, None] * angles.face_area + carried
    drag = 0.5 * np.abs(carried)
    drag[[0, -1]] = 0.0
    slope = (np.diff(alpha) / mesh.width)[:, None]
    if mesh.geometry == "plane":
        across = np.zeros((mesh.size, 1))
    else:
        across = (metric.lapse * (at_face[1:] + at_face[:-1]) / (mesh.face[1:] + mesh.face[:-1]))[:, None]
    if angles.complete:
        # d_r(alpha beta) such that an isotropic field is at rest
        square = (angles.volume * cosine**2).sum(axis=1, keepdims=True)
        rest = angles.volume.sum(axis=1, keepdims=True) - square
        flow = np.diff(carried.sum(axis=1))[:, None]
        along = (flow / 3.0 - across * rest) / square
    else:
        along = (np.diff(alpha * at_face) / mesh.width)[:, None]
    stretch = -(slope * cosine + along * cosine**2 + across * (1.0 - cosine**2))
    redistribution = metric.lapse[:, None] * angles.redistribution
    turn = np.zeros_like(redistribution)
    if angles.complete:
        beyond = np.diff(area, axis=0) - metric.lapse[:, None] * np.diff(angles.face_area, axis=0)
        turn[:, 1:] = -np.cumsum(beyond + 3.0 * angles.volume * stretch, axis=1)
        turn[:, -1] = 0.0
    gamma = metric.gamma[:, None]
    return Coefficients(
        area, drag, redistribution, angles.volume / gamma, gamma * stretch, turn, _edge_shares(phase_space)
    )


def _face_weights(phase_space: PhaseSpace) -> NDArray[np.float64]:
    """integral(dmu) of each direction on the faces, (face, direction); sums to 2 if directions fill the sphere."""
    mesh, angles = phase_space.mesh, phase_space.angles
    if angles.complete:
        weight = angles.averaging_weight[0]
    else:
        middle = 0.5 * (mesh.face_area[1:] + mesh.face_area[:-1])
        across = 0.5 * (angles.face_area[1:] + angles.face_area[:-1])
        weight = across / angles.direction_cosine / middle[:, None]
    return np.concatenate([weight[:1], 0.5 * (weight[1:] + weight[:-1]), weight[-1:]])


def _edge_shares(phase_space: PhaseSpace) -> NDArray[np.float64]:
    """Where the edge between two directions lies between their cosines, from 0 to 1, (cell, direction - 1)."""
    angles = phase_space.angles
    if not angles.complete:
        return np.full((angles.volume.shape[0], angles.size - 1), 0.5)
    cosine = angles.direction_cosine
    edge = -1.0 + np.cumsum(angles.averaging_weight[0], axis=1)[:, :-1]
    share = (edge - cosine[:, :-1]) / np.diff(cosine, axis=1)
    return np.ascontiguousarray(np.clip(share, 0.0, 1.0))


class FrameTerms:
    """The shifts inside cells, with the energies of one run and the coefficients of this rank's cells."""

    def __init__(self, phase_space: PhaseSpace, cells: slice) -> None:
        energy = phase_space.energy
        self.coefficient, self.cube = group_edges(energy)
        self.weight = energy.weight
        self.energy = phase_space.number_weight * energy.center
        weight_0 = np.asarray(phase_space.angles.weights[:, 0])
        self.weight_0 = np.ascontiguousarray(weight_0[cells] if weight_0.shape[0] > 1 else weight_0)
        self.at: Coefficients | None = None
        self.work = np.zeros(cells.stop - cells.start)  #: MeV cm^-3 given to neutrinos since it was set to zero

    def add(
        self,
        f: NDArray[np.float64],
        halo: int,
        b: NDArray[np.float64],
        factor: float,
        out: NDArray[np.float64],
        cells: slice,
        *,
        limited: bool,
    ) -> None:
        """out += factor times the shifts of f (with ``halo`` ghost cells); ``cells``: range of local cells of both.

        b[face, entry]: the upwind fractions of the transport through faces, whose values the motion corrects.
        Five axes (cell, direction, species, group, component), 3 components: levels; 5 or 9: density matrices. The
        populations of a level go to the same level of the next group, as along a path without collisions.
        """
        assert self.at is not None
        first, last, _ = cells.indices(self.work.size)
        components = f.shape[4]
        heat = np.zeros((self.energy.size, components))
        heat[:, [0, 1, components - 1 if components == 5 else 2]] = self.energy[:, None]
        weight_0 = self.weight_0 if self.weight_0.shape[0] == 1 else self.weight_0[first:last]
        kernel.shift_energies(
            f, halo, self.at.stretch[first:last], self.coefficient, self.cube, self.weight, limited, factor,
            out, heat, weight_0, self.work[first:last],
        )  # fmt: skip
        flat, rates = f.reshape(*f.shape[:2], prod(f.shape[2:])), out.reshape(*out.shape[:2], prod(out.shape[2:]))
        kernel.carry_along(
            flat, halo, self.at.drag[first : last + 1], self.at.area[first : last + 1], b, self.at.volume[first:last],
            factor, rates,
        )  # fmt: skip
        kernel.shift_directions(
            flat, halo, self.at.turn[first:last], self.at.share[first:last],
            self.at.volume[first:last], limited, factor, rates,
        )  # fmt: skip


def group_edges(energy: EnergyGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Density E^3 f between groups: coefficients (edge, 4) of f_{g-1} to f_{g+2}, and its value (edge,) for f = 1.

    Phi = a (N_g + N_{g+1}) + b (N_{g-1} + N_{g+2}),  N = weight f, with a and b such that the centred difference is
    exact for E^3 f ~ E^3 (f = const is at rest), E^2 f = const, and hence, by summation by parts, for the energy
    integral of any spectrum. Fourth order in the width of a group.

    Raises
    ------
    ConfigurationError
        If the groups are fewer than 4 or not in geometric progression.
    """
    if energy.size < 4:
        raise ConfigurationError(f"number of energy groups is {energy.size}; accepted with frame terms: 4 or more")
    ratio = energy.center[1:] / energy.center[:-1]
    cube = energy.weight / energy.center**3
    if np.ptp(ratio) > 1.0e-6 * ratio[0] or np.ptp(cube) > 1.0e-6 * cube[0]:
        raise ConfigurationError(
            "energy groups are not in geometric progression; accepted with frame terms: the groups of [energy], or a "
            "table's if they are"
        )
    step = float(np.log(energy.center[-1] / energy.center[0]) / (energy.size - 1))
    powers = np.array([1.0, 3.0])
    matrix = 2.0 * np.cosh(0.5 * step * powers[:, None] * np.array([1.0, 3.0]))
    a, b = np.linalg.solve(matrix, powers / (2.0 * np.sinh(0.5 * step * powers)))
    middle = np.sqrt(energy.weight[1:] * energy.weight[:-1])
    grow = np.exp(1.5 * step)
    coefficient = middle[:, None] * np.array([b / grow**3, a / grow, a * grow, b * grow**3])
    return coefficient, coefficient.sum(axis=1)
