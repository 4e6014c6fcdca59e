r"""Directions of motion on a radial mesh.

One description serves discrete ordinates (fixed direction cosines, with angular redistribution) and
impact-parameter rays (free streaming exact, no redistribution): a direction is defined by its signed face
area a_m(r) = r^2 w_m mu_m and by its phase-space volume in a cell. The coefficients of angular
redistribution then follow from the areas alone,

    Gamma_{m+1/2} = Gamma_{m-1/2} - (a_m(r_out) - a_m(r_in)),

so that an isotropic field is stationary to round-off whatever the set of directions. For ordinates this
is the usual recursion of S_N transport in spherical symmetry; for a ray a_m = d(p^2)/2 is constant, Gamma
is zero and the volume over the area is the length of the ray's path in the cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .grid import RadialMesh


@dataclass(frozen=True)
class AngularGrid:
    """Directions on the cells of one mesh; all arrays cover the whole mesh, whatever the number of ranks."""

    face_area: NDArray[np.float64]  #: (face, direction) signed, cm^2 (spherical) or dimensionless (plane)
    redistribution: NDArray[np.float64]  #: (cell, direction + 1) Gamma, unit of face_area
    volume: NDArray[np.float64]  #: (cell, direction) phase-space volume over 2 pi, cm^3 or cm
    weight_0: NDArray[np.float64]  #: (cell, direction) integral(dmu) of the direction's bin; sums to 2
    weight_1: NDArray[np.float64]  #: (cell, direction) integral(mu dmu) of the direction's bin
    #: (direction,) f_m = d f_{m+1/2} + (1 - d) f_{m-1/2}; where nothing flows in from below (Gamma_{m-1/2} = 0):
    #: f_{m+1/2} = d f_m + (1 - d) f_{m+1}, because diamond differencing never forgets a wrong start
    diamond: NDArray[np.float64]
    mirror: NDArray[np.int64]  #: (direction,) the direction that a reflecting boundary sends m into
    ray_radius: float = np.inf  #: cm; outside, the forward directions are rays
    complete: bool = True  #: whether the directions fill the sphere

    @property
    def size(self) -> int:
        """Number of directions."""
        return int(self.face_area.shape[1])

    @property
    def direction_cosine(self) -> NDArray[np.float64]:
        """(cell, direction) mean direction cosine of the bin."""
        return self.weight_1 / self.weight_0

    @property
    def averaging_weight(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """weight_0 and weight_1 scaled so that weight_0 sums to 2 exactly, (cell, direction) each.

        Rays fill their share of the sphere to the accuracy of a quadrature only; with these weights an average
        over directions is one, and scattering conserves numbers to round-off. Beams, which leave most of the
        sphere empty, keep their weights.
        """
        if not self.complete:
            return self.weight_0, self.weight_1
        scale = 2.0 / self.weight_0.sum(axis=1, keepdims=True)
        return self.weight_0 * scale, self.weight_1 * scale

    @property
    def weights(self) -> NDArray[np.float64]:
        """(cell, order, direction) weight_0 and weight_1: the directions as cell-local kernels see them."""
        return np.stack((self.weight_0, self.weight_1), axis=1)

    @property
    def averaging_weights(self) -> NDArray[np.float64]:
        """(cell, order, direction) ``averaging_weight`` in one array."""
        return np.stack(self.averaging_weight, axis=1)

    @property
    def velocity(self) -> NDArray[np.float64]:
        """(cell, direction, axis) direction_cosine with its single axis."""
        return self.direction_cosine[:, :, None]

    @classmethod
    def ordinates(cls, mesh: RadialMesh, directions: int) -> AngularGrid:
        """Double Gauss-Legendre set: an even number of fixed direction cosines, half of them inwards.

        Exact for polynomials of degree directions - 1 on each hemisphere, so that fluxes through a free
        surface and the diffusion limit are both exact for the angular shapes that matter there.
        """
        if directions < 2 or directions % 2:
            raise ConfigurationError(f"number of directions is {directions}; accepted: an even number >= 2")
        x, w = _gauss_unit(directions // 2)
        cosine = np.concatenate([-x[::-1], x])
        weight = np.concatenate([w[::-1], w])
        return cls._fixed(mesh, cosine, weight)

    @classmethod
    def beams(cls, mesh: RadialMesh, cosine: NDArray[np.float64], weight: NDArray[np.float64]) -> AngularGrid:
        """Given directions and weights in plane symmetry, for beam problems (weights need not sum to 2)."""
        cosine, weight = np.atleast_1d(cosine).astype(np.float64), np.atleast_1d(weight).astype(np.float64)
        if mesh.geometry != "plane":
            raise ConfigurationError("beams with given direction cosines: accepted in plane geometry only")
        if cosine.shape != weight.shape or (np.abs(cosine) > 1.0).any() or (cosine == 0.0).any():
            raise ConfigurationError("beam direction cosines: accepted non-zero values in [-1, 1], one weight each")
        return replace(cls._fixed(mesh, cosine, weight), complete=False)

    @classmethod
    def bulb(cls, mesh: RadialMesh, radius: float, directions: int) -> AngularGrid:
        """Outward rays from a sphere of the given radius (cm), uniform in the square of the sine at its surface.

        The rays have impact parameters radius sqrt(u), u the midpoints of equal intervals of (0, 1); streaming along
        them is exact. They fill the cone under which the sphere is seen, not the whole sphere of directions.
        """
        if mesh.geometry != "spherical" or not 0.0 < radius <= mesh.face[0]:
            raise ConfigurationError(
                f"radius of the bulb is {radius!r} cm; accepted: in spherical symmetry, > 0 and at most the innermost "
                f"face, {mesh.face[0]:g} cm"
            )
        if directions < 1:
            raise ConfigurationError(f"number of directions is {directions}; accepted: 1 or more")
        square = radius**2 * (np.arange(directions) + 0.5) / directions
        share = 0.5 * radius**2 / directions
        path = np.diff(np.sqrt(mesh.face[:, None] ** 2 - square), axis=0)
        area = np.full((mesh.size + 1, directions), share)
        return cls(
            area,
            np.zeros((mesh.size, directions + 1)),
            share * path,
            share * path / mesh.volume[:, None],
            share * mesh.width[:, None] * np.ones(directions) / mesh.volume[:, None],
            np.full(directions, 0.5),
            np.arange(directions),
            0.0,
            False,
        )

    @classmethod
    def radial(cls, mesh: RadialMesh) -> AngularGrid:
        """Two radial rays, mu = -1 and mu = +1: what comes in through the centre goes out again."""
        faces, cells = mesh.size + 1, mesh.size
        area = np.empty((faces, 2))
        area[:, 0], area[:, 1] = -1.0, 1.0
        volume = np.repeat(mesh.width[:, None], 2, axis=1)
        # a ray's weight is its share of the sphere at this radius: one unit of area (cm^2) over r^2
        weight = volume / mesh.volume[:, None]
        return cls(
            area,
            np.zeros((cells, 3)),
            volume,
            weight,
            weight * np.array([-1.0, 1.0]),
            np.array([0.5, 0.5]),
            np.array([1, 0]),
            0.0,
            complete=False,
        )

    @classmethod
    def hybrid(
        cls,
        mesh: RadialMesh,
        ray_radius: float,
        *,
        inward: int,
        grazing: int,
        forward: int,
        opening_cosine: float,
        shells: int = 5,
        shell_ratio: float = 4.0,
    ) -> AngularGrid:
        """Ordinates inside ``ray_radius``, impact-parameter rays for the forward directions outside.

        Panels with Gauss-Legendre nodes at r <= R_0 = ray_radius: [-1, 0] with ``inward`` directions, [c, 1] with
        ``forward`` ones, c = opening_cosine, and [0, c] in between. Outside, the forward directions keep their
        impact parameters p = r sqrt(1 - mu^2) and follow the narrowing cone. What is emitted or scattered at
        larger p narrows as well: at each shell R_k = shell_ratio R_(k-1) inside the mesh the upper half of
        the rest, [b_(k-1)/2, b_(k-1)], turns into one more ray. Beyond the last shell the rest, with ``grazing``
        directions, keeps its share of the hemisphere.

        Raises
        ------
        ConfigurationError
            If the mesh is not spherical, or a count, a ratio or the opening cosine is outside its range.
        """
        if mesh.geometry != "spherical":
            raise ConfigurationError("hybrid directions (rays outside ray_radius): accepted in spherical geometry only")
        for name, count in (("inward", inward), ("grazing", grazing), ("forward", forward)):
            if count < 1:
                raise ConfigurationError(f"angles.{name} is {count}; accepted: 1 or more")
        if shells < 0:
            raise ConfigurationError(f"angles.shells is {shells}; accepted: 0 or more")
        if not shell_ratio > 1.0:
            raise ConfigurationError(f"angles.shell_ratio is {shell_ratio!r}; accepted: > 1")
        if not 0.0 < opening_cosine < 1.0:
            raise ConfigurationError(f"angles.opening_cosine is {opening_cosine!r}; accepted: 0 < value < 1")
        if not ray_radius > 0.0:
            raise ConfigurationError(f"angles.ray_radius is {ray_radius!r} cm; accepted: > 0")
        face = mesh.face
        # rays start at a face, so that every cell is of one kind
        start = int(np.argmin(np.abs(face - ray_radius))) if ray_radius < face[-1] else face.size - 1
        start = max(start, 1) if face[0] == 0.0 else start
        starts = [start]
        while len(starts) <= shells and face[starts[-1]] * shell_ratio < face[-1]:
            nearest = int(np.argmin(np.abs(face - face[starts[-1]] * shell_ratio)))
            starts.append(max(nearest, starts[-1] + 1))
        edges = [_Edge.constant(mesh, 1.0), _Edge.constant(mesh, opening_cosine).from_cone(mesh, starts[0])]
        for index in starts[1:]:
            edges.append(edges[-1].scaled(_SHELL_SHARE).from_cone(mesh, index))
        edges.append(_Edge.constant(mesh, 0.0))
        panels = [_Panel.rays(mesh, edges[0], edges[1], forward, starts[0])]
        for upper, lower, index in zip(edges[1:-2], edges[2:-1], starts[1:], strict=True):
            panels.append(_Panel.rays(mesh, upper, lower, 1, index))
        panels.append(_Panel.ordinates(mesh, edges[-2], edges[-1], grazing))
        x, w = _gauss_unit(inward)
        third = mesh.volume[:, None]
        panels.append(
            _Panel(
                -(face[:, None] ** 2 * (w * x)[::-1]),
                third * w[::-1],
                -third * (w * x)[::-1],
                _diamond(-x[::-1], w[::-1], -1.0),
                -x[::-1],
            )
        )
        panels.reverse()
        area = np.concatenate([p.area for p in panels], axis=1)
        volume = np.concatenate([p.volume for p in panels], axis=1)
        return cls(
            area,
            _redistribution(area),
            volume,
            volume / third,
            np.concatenate([p.first for p in panels], axis=1) / third,
            np.concatenate([p.diamond for p in panels]),
            _mirror(np.concatenate([p.cosine for p in panels])),
            float(face[start]),
        )

    @classmethod
    def _fixed(cls, mesh: RadialMesh, cosine: NDArray[np.float64], weight: NDArray[np.float64]) -> AngularGrid:
        area = mesh.face_area[:, None] * (weight * cosine)
        volume = mesh.volume[:, None] * weight
        ones = np.ones((mesh.size, 1))
        if mesh.geometry == "plane":
            redistribution = np.zeros((mesh.size, cosine.size + 1))
            diamond = np.full(cosine.size, 0.5)
        else:
            redistribution = _redistribution(area)
            diamond = _diamond(cosine, weight, -1.0)
        return cls(
            area,
            redistribution,
            volume,
            ones * weight,
            ones * (weight * cosine),
            diamond,
            _mirror(cosine),
        )


#: Share of the rest of the outward hemisphere that stays when a shell of rays begins.
_SHELL_SHARE = 0.5


@dataclass(frozen=True)
class _Edge:
    """A direction cosine b(r) between two panels, with its integrals over cells."""

    at_face: NDArray[np.float64]  #: (face,) b
    zeroth: NDArray[np.float64]  #: (cell,) integral(b r^2 dr)
    square: NDArray[np.float64]  #: (cell,) integral(b^2 r^2 dr)
    share: float = 0.0  #: b over that of the edge above, below the shell where this edge became a cone

    @classmethod
    def constant(cls, mesh: RadialMesh, value: float) -> _Edge:
        return cls(np.full(mesh.size + 1, value), value * mesh.volume, value**2 * mesh.volume)

    def scaled(self, share: float) -> _Edge:
        return _Edge(share * self.at_face, share * self.zeroth, share**2 * self.square, share)

    def from_cone(self, mesh: RadialMesh, start: int) -> _Edge:
        """The same edge inside face ``start``; outside the cone b = sqrt(1 - (p/r)^2) that begins there."""
        r = mesh.face
        p2 = r[start] ** 2 * (1.0 - self.at_face[start] ** 2)
        outside = np.arange(mesh.size) >= start
        root2 = np.maximum(r**2 - p2, 0.0)
        cone = np.sqrt(root2) / np.maximum(r, r[start])
        zeroth = (root2[1:] ** 1.5 - root2[:-1] ** 1.5) / 3.0
        square = mesh.volume - p2 * (r[1:] - r[:-1])
        return _Edge(
            np.where(np.arange(r.size) > start, cone, self.at_face),
            np.where(outside, zeroth, self.zeroth),
            np.where(outside, square, self.square),
            self.share,
        )


@dataclass(frozen=True)
class _Panel:
    """The directions between two edges."""

    area: NDArray[np.float64]  #: (face, direction)
    volume: NDArray[np.float64]  #: (cell, direction)
    first: NDArray[np.float64]  #: (cell, direction) volume times mean direction cosine
    diamond: NDArray[np.float64]
    cosine: NDArray[np.float64]  #: (direction,) at the innermost face

    @classmethod
    def ordinates(cls, mesh: RadialMesh, upper: _Edge, lower: _Edge, count: int) -> _Panel:
        x, w = _gauss_unit(count)
        high, low = upper.at_face[:, None], lower.at_face[:, None]
        mu = low + (high - low) * x
        # integral(r^2 b_upper b_lower dr): the upper edge is 1, or the lower one a fixed share of it
        product = lower.zeroth if upper.at_face[0] == 1.0 else lower.share * upper.square
        first: NDArray[np.float64] = (
            (1.0 - 2.0 * x) * product[:, None] + x * upper.square[:, None] - (1.0 - x) * lower.square[:, None]
        )
        return cls(
            mesh.face[:, None] ** 2 * (high - low) * w * mu,
            w * (upper.zeroth - lower.zeroth)[:, None],
            w * first,
            _diamond(x, w, 0.0),
            mu[0],
        )

    @classmethod
    def rays(cls, mesh: RadialMesh, upper: _Edge, lower: _Edge, count: int, start: int) -> _Panel:
        """Ordinates inside face ``start``, outside rays with the impact parameters that they have there."""
        inside = cls.ordinates(mesh, upper, lower, count)
        x, w = _gauss_unit(count)
        r = mesh.face
        high, low = upper.at_face[start], lower.at_face[start]
        mu = low + (high - low) * x
        area = r[start] ** 2 * (high - low) * w * mu
        impact2 = r[start] ** 2 * (1.0 - mu**2)
        inner, outer = np.maximum(r[:-1, None], r[start]), np.maximum(r[1:, None], r[start])
        # difference of square roots without cancellation
        length = (outer - inner) * (outer + inner) / (np.sqrt(inner**2 - impact2) + np.sqrt(outer**2 - impact2))
        outside = (np.arange(mesh.size) >= start)[:, None]
        return cls(
            np.where((np.arange(r.size) >= start)[:, None], area, inside.area),
            np.where(outside, area * length, inside.volume),
            np.where(outside, area * (outer - inner), inside.first),
            inside.diamond,
            inside.cosine,
        )


def _gauss_unit(points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(points)  # type: ignore[no-untyped-call]
    return 0.5 * (x + 1.0), 0.5 * w


def _redistribution(area: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gamma of the module's text, (cell, direction + 1), with round-off residues set to zero."""
    change = np.diff(area, axis=0)
    gamma = np.zeros((change.shape[0], change.shape[1] + 1))
    np.cumsum(-change, axis=1, out=gamma[:, 1:])
    scale = np.abs(area).sum(axis=1)
    noise = 1.0e-13 * np.maximum(scale[1:], scale[:-1])[:, None]
    gamma[np.abs(gamma) < noise] = 0.0
    return gamma


def _diamond(cosine: NDArray[np.float64], weight: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Morel and Montry weights: f linear in mu is reproduced exactly (exact diffusion limit).

    The first one interpolates between the first two directions, which is exact for linear f too.
    """
    edge = start + np.concatenate([[0.0], np.cumsum(weight)])
    diamond = (cosine - edge[:-1]) / weight
    if start == -1.0:
        diamond[0] = (cosine[1] - edge[1]) / (cosine[1] - cosine[0]) if cosine.size > 1 else 1.0
    return diamond


def _mirror(cosine: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.array([int(np.argmin(np.abs(cosine + c))) for c in cosine], dtype=np.int64)
