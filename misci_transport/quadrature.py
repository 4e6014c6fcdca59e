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

from dataclasses import dataclass
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
    diamond: NDArray[np.float64]  #: (direction,) f_m = d f_{m+1/2} + (1 - d) f_{m-1/2}
    mirror: NDArray[np.int64]  #: (direction,) the direction that a reflecting boundary sends m into
    ray_radius: float = np.inf  #: cm; outside, the forward directions are rays

    @property
    def size(self) -> int:
        """Number of directions."""
        return int(self.face_area.shape[1])

    @property
    def direction_cosine(self) -> NDArray[np.float64]:
        """(cell, direction) mean direction cosine of the bin."""
        return self.weight_1 / self.weight_0

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
        return cls._fixed(mesh, cosine, weight)

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
        )

    @classmethod
    def hybrid(
        cls, mesh: RadialMesh, ray_radius: float, *, inward: int, grazing: int, forward: int, opening_cosine: float
    ) -> AngularGrid:
        """Ordinates inside ``ray_radius``, impact-parameter rays for the forward directions outside.

        Three Gauss-Legendre panels at r <= ray_radius: [-1, 0] with ``inward`` directions, [0, c] with
        ``grazing`` and [c, 1] with ``forward`` directions, c = opening_cosine. Outside, the forward
        directions keep their impact parameters p = r sqrt(1 - mu^2) and follow the narrowing cone; the
        grazing panel fills the widening rest, [0, sqrt(1 - (p_c/r)^2)].

        Raises
        ------
        ConfigurationError
            If the mesh is not spherical, or a count or the opening cosine is outside its range.
        """
        if mesh.geometry != "spherical":
            raise ConfigurationError("hybrid directions (rays outside ray_radius): accepted in spherical geometry only")
        for name, count in (("inward", inward), ("grazing", grazing), ("forward", forward)):
            if count < 1:
                raise ConfigurationError(f"angles.{name} is {count}; accepted: 1 or more")
        if not 0.0 < opening_cosine < 1.0:
            raise ConfigurationError(f"angles.opening_cosine is {opening_cosine!r}; accepted: 0 < value < 1")
        if not ray_radius > 0.0:
            raise ConfigurationError(f"angles.ray_radius is {ray_radius!r} cm; accepted: > 0")
        face = mesh.face
        # rays start at a face, so that every cell is of one kind
        start = int(np.argmin(np.abs(face - ray_radius))) if ray_radius < face[-1] else face.size - 1
        start = max(start, 1) if face[0] == 0.0 else start
        radius = face[start]
        (x_in, w_in), (x_g, w_g), (x_f, w_f) = _gauss_unit(inward), _gauss_unit(grazing), _gauss_unit(forward)
        mu_f, w_f = opening_cosine + (1.0 - opening_cosine) * x_f, (1.0 - opening_cosine) * w_f
        ray_area = radius**2 * w_f * mu_f
        impact_2 = radius**2 * (1.0 - mu_f**2)
        cone_2 = 2.0 * ray_area.sum()  # p_c^2, from the areas so that every face closes exactly

        def opening(r: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(r <= radius, opening_cosine, np.sqrt(np.maximum(1.0 - cone_2 / np.maximum(r, radius) ** 2, 0.0)))

        r2 = face[:, None] ** 2
        c_face = opening(face)[:, None]
        area = np.concatenate(
            [
                -(r2 * (w_in * x_in)[::-1]),
                r2 * c_face**2 * (w_g * x_g),
                np.where(face[:, None] <= radius, r2 * (w_f * mu_f), ray_area),
            ],
            axis=1,
        )
        inner, outer = face[:-1, None], face[1:, None]
        third, is_ray = mesh.volume[:, None], inner >= radius
        safe_in, safe_out = np.maximum(inner, radius), np.maximum(outer, radius)
        cone_in, cone_out = safe_in**2 - cone_2, safe_out**2 - cone_2
        graze_ray = (cone_out**1.5 - cone_in**1.5) / 3.0
        graze = np.where(is_ray, graze_ray, opening_cosine * third) * w_g
        graze_1 = np.where(is_ray, third - cone_2 * (outer - inner), opening_cosine**2 * third) * (w_g * x_g)
        path_in, path_out = np.sqrt(safe_in**2 - impact_2), np.sqrt(safe_out**2 - impact_2)
        # difference of square roots without cancellation
        length = np.where(is_ray, (outer - inner) * (outer + inner), 0.0) / (path_in + path_out)
        forward_0 = np.where(is_ray, ray_area * length, third * w_f)
        forward_1 = np.where(is_ray, ray_area * (outer - inner), third * (w_f * mu_f))
        volume = np.concatenate([third * w_in[::-1], graze, forward_0], axis=1)
        first = np.concatenate([-third * (w_in * x_in)[::-1], graze_1, forward_1], axis=1)
        diamond = np.concatenate([_diamond(-x_in[::-1], w_in[::-1], -1.0), _diamond(x_g, w_g, 0.0), _diamond(x_f, _gauss_unit(forward)[1], 0.0)])
        cosine = np.concatenate([-x_in[::-1], opening_cosine * x_g, mu_f])
        return cls(
            area,
            _redistribution(area),
            volume,
            volume / third,
            first / third,
            diamond,
            _mirror(cosine),
            float(radius),
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


def _gauss_unit(points: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(points)
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
    """Morel and Montry weights: f linear in mu is reproduced exactly (exact diffusion limit)."""
    edge = start + np.concatenate([[0.0], np.cumsum(weight)])
    return (cosine - edge[:-1]) / weight


def _mirror(cosine: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.array([int(np.argmin(np.abs(cosine + c))) for c in cosine], dtype=np.int64)
