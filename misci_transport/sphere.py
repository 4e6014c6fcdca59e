r"""Directions of motion on the whole sphere, the same ones in every cell of a block mesh.

A quadrature is a set of unit vectors v_n with weights w_n (integral(dOmega)/2 pi of the direction, sum 2, so that an
isotropic field of occupation f has the same moments as with the direction cosines of a radial mesh). Components are
along the axes of the block mesh: (x, y, z), or (r, theta, phi) of the cell's own basis.

Only sets with the symmetry of the coordinate planes are accepted, because boundaries reflect. Mirror images are equal
bit for bit: a field that is symmetric stays so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum, pi
from typing import TYPE_CHECKING

import numpy as np

from .errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Largest distance between a reversed direction and its partner in a set; components below it are zero.
_ROUND_OFF = 1.0e-9


@dataclass(frozen=True)
class SphereQuadrature:
    """Unit vectors and weights with sum_n w_n g(v_n) = integral(g dOmega)/2 pi up to degree ``exactness``.

    Direction n of a product set is level * azimuths + azimuth: levels by increasing v_0 = mu, azimuths
    omega_k = (k + 1/2) 2 pi/azimuths, v_1 = sqrt(1 - mu^2) cos omega, v_2 = sqrt(1 - mu^2) sin omega.

    Raises
    ------
    ConfigurationError
        If shapes do not fit, a direction is not a unit vector, a weight is not positive, the weights do not sum to 2,
        or ``mirror`` does not lead to mirror images that are equal bit for bit.
    """

    direction: NDArray[np.float64]  #: (direction, 3) unit vectors
    weight: NDArray[np.float64]  #: (direction,) integral(dOmega)/2 pi, sums to 2
    mirror: NDArray[np.int64]  #: (3, direction) the direction with this component reversed
    exactness: int  #: spherical harmonics up to this degree are integrated exactly (to round-off)
    kind: str = "given"
    levels: int = 0  #: number of values of v_0 of a product set, else 0
    azimuths: int = 0  #: number of directions on each level of a product set, else 0

    def __post_init__(self) -> None:
        v, w, size = self.direction, self.weight, self.weight.size
        if v.shape != (size, 3) or w.shape != (size,) or self.mirror.shape != (3, size) or size == 0:
            raise ConfigurationError(
                f"directions, weights and mirror images have shapes {v.shape}, {w.shape}, {self.mirror.shape}; "
                "accepted: (n, 3), (n,), (3, n) with n > 0"
            )
        length = np.sqrt((v * v).sum(axis=1))
        if not (np.abs(length - 1.0) < 1.0e-14).all():
            n = int(np.argmin(np.abs(length - 1.0) < 1.0e-14))
            raise ConfigurationError(f"direction {n} has length {length[n]!r}; accepted: unit vectors")
        if not (w > 0.0).all():
            n = int(np.argmin(w > 0.0))
            raise ConfigurationError(f"weight of direction {n} is {w[n]!r}; accepted: > 0")
        if not abs(fsum(w) - 2.0) < 1.0e-14:
            raise ConfigurationError(f"weights of the directions sum to {fsum(w)!r}; accepted: 2")
        if self.levels * self.azimuths not in (0, size):
            raise ConfigurationError(
                f"{size} directions, but {self.levels} levels times {self.azimuths} azimuths; accepted: the product"
            )
        for axis in range(3):
            sign = np.ones(3)
            sign[axis] = -1.0
            image = self.mirror[axis]
            if not ((v[image] == sign * v).all() and (w[image] == w).all()):
                raise ConfigurationError(f"directions and their images in axis {axis} are not equal bit for bit")

    @property
    def size(self) -> int:
        """Number of directions."""
        return int(self.weight.size)

    @property
    def complete(self) -> bool:
        """Whether the directions fill the sphere: always."""
        return True

    @property
    def weight_0(self) -> NDArray[np.float64]:
        """(1, direction) integral(dOmega)/2 pi; sums to 2."""
        return self.weight[None, :]

    @property
    def weights(self) -> NDArray[np.float64]:
        """(1, order, direction) weight times (1, v_0, v_1, v_2)."""
        orders = np.concatenate([np.ones((1, self.size)), self.direction.T])
        return np.ascontiguousarray((self.weight * orders)[None])

    @property
    def averaging_weights(self) -> NDArray[np.float64]:
        """(1, order, direction) weights whose order 0 sums to 2, with which scattering conserves numbers.

        The weights themselves: other than the rays of a radial mesh these sets fill the sphere to round-off.
        """
        return self.weights

    @property
    def velocity(self) -> NDArray[np.float64]:
        """(1, direction, axis) components of the unit vectors."""
        return np.ascontiguousarray(self.direction[None])

    @classmethod
    def product(cls, levels: int, azimuths: int) -> SphereQuadrature:
        """Gauss-Legendre levels in v_0 times equal azimuths; exact to min(2 levels - 1, azimuths - 1).

        The azimuths stand off the edges omega = 0 and pi by half a step, so that their bins [k, k + 1] 2 pi/azimuths
        end there. An even number has the symmetry of the coordinate planes; one that is not a multiple of four puts
        two directions of each level in the plane v_1 = 0.

        Raises
        ------
        ConfigurationError
            If levels < 2, or azimuths is odd or < 4 (second moments would not be isotropic).
        """
        if levels < 2:
            raise ConfigurationError(f"number of levels is {levels}; accepted: 2 or more")
        if azimuths < 4 or azimuths % 2:
            raise ConfigurationError(
                f"number of azimuths is {azimuths}; accepted: an even number >= 4 (an odd set has no mirror images)"
            )
        mu, w = np.polynomial.legendre.leggauss(levels)  # type: ignore[no-untyped-call]
        sine = np.sqrt((1.0 - mu) * (1.0 + mu))
        omega = (np.arange(azimuths) + 0.5) * (2.0 * pi / azimuths)
        direction = np.empty((levels, azimuths, 3))
        direction[:, :, 0] = mu[:, None]
        direction[:, :, 1] = sine[:, None] * np.cos(omega)
        direction[:, :, 2] = sine[:, None] * np.sin(omega)
        exactness = min(2 * levels - 1, azimuths - 1)
        weight = np.repeat(w / azimuths, azimuths)
        return replace(
            _folded(direction.reshape(-1, 3), weight, exactness, "product"), levels=levels, azimuths=azimuths
        )

    @classmethod
    def lebedev(cls, degree: int) -> SphereQuadrature:
        """Lebedev's rule of this degree: exact to it with about (degree + 1)^2/3 directions (Lebedev 1976).

        Raises
        ------
        ConfigurationError
            If scipy is older than 1.15, there is no rule of this degree, or it has negative weights (13, 25, 27),
            which would make moments of positive occupations negative.
        """
        try:
            from scipy.integrate import lebedev_rule
        except ImportError as error:
            import scipy

            raise ConfigurationError(
                f"Lebedev directions need scipy >= 1.15, this is {scipy.__version__}; accepted: a newer scipy, or "
                "directions of kind product or geodesic"
            ) from error
        try:
            x, w = lebedev_rule(degree)
        except NotImplementedError as error:
            raise ConfigurationError(
                f"degree of Lebedev's rule is {degree}; accepted: 3, 5, 7, 9, 11, 15, 17, 19, 21, 23, 29, 31, 35, then "
                "every sixth up to 131"
            ) from error
        if not (w > 0.0).all():
            raise ConfigurationError(
                f"Lebedev's rule of degree {degree} has negative weights; accepted: degrees other than 13, 25, 27"
            )
        return _folded(np.ascontiguousarray(x.T), w / (2.0 * pi), degree, "lebedev")

    @classmethod
    def geodesic(cls, frequency: int) -> SphereQuadrature:
        """Vertices of an icosahedron with edges divided into ``frequency`` parts; 10 frequency^2 + 2 directions.

        Weights are the areas of the spherical Voronoi cells. Exact to degree 5, whatever the frequency: the first
        harmonic with the symmetry of the icosahedron has degree 6.

        Raises
        ------
        ConfigurationError
            If frequency < 1.
        """
        if frequency < 1:
            raise ConfigurationError(f"frequency of the geodesic directions is {frequency}; accepted: 1 or more")
        from scipy.spatial import SphericalVoronoi

        v = _geodesic(frequency)
        area = SphericalVoronoi(v).calculate_areas()
        return _folded(v, area / (2.0 * pi), 5, "geodesic")

    @classmethod
    def given(cls, direction: NDArray[np.float64], weight: NDArray[np.float64], exactness: int) -> SphereQuadrature:
        """Any directions (n, 3) and positive weights (n,) with the symmetry of the coordinate planes to 1e-9.

        Directions are scaled to unit length and weights to the sum 2.

        Raises
        ------
        ConfigurationError
            If a direction has no mirror image in one of the axes, or its weight differs from its image's.
        """
        v = np.asarray(direction, dtype=np.float64)
        w = np.asarray(weight, dtype=np.float64)
        if v.ndim != 2 or v.shape[1] != 3 or w.shape != v.shape[:1] or w.size == 0:
            raise ConfigurationError(
                f"directions and weights have shapes {v.shape}, {w.shape}; accepted: (n, 3), (n,) with n > 0"
            )
        length = np.sqrt((v * v).sum(axis=1))
        if not (np.isfinite(length) & (length > 0.0)).all():
            raise ConfigurationError("a direction has no length; accepted: finite vectors that are not zero")
        if not (np.isfinite(w) & (w > 0.0)).all():
            n = int(np.argmin(np.isfinite(w) & (w > 0.0)))
            raise ConfigurationError(f"weight of direction {n} is {w[n]!r}; accepted: > 0")
        return _folded(v / length[:, None], w, exactness, "given")


def _folded(v: NDArray[np.float64], w: NDArray[np.float64], exactness: int, kind: str) -> SphereQuadrature:
    """The set whose mirror images are equal bit for bit: each orbit takes the numbers of its first member."""
    mirror = _mirror(v)
    first = np.arange(w.size)
    for image in mirror:
        first = np.minimum(first, first[image])
    unequal = np.abs(w - w[first]) > _ROUND_OFF * w[first]
    if unequal.any():
        n = int(np.argmax(unequal))
        raise ConfigurationError(
            f"weight of direction {n} is {w[n]!r}, of its mirror image {first[n]} {w[first[n]]!r}; accepted: equal ones"
        )
    magnitude = np.abs(v[first])
    magnitude[magnitude < _ROUND_OFF] = 0.0
    # the sign of a component that is zero but for round-off must not survive as -0
    folded = np.where((v < 0.0) & (magnitude > 0.0), -magnitude, magnitude)
    scaled = w[first]
    return SphereQuadrature(folded, scaled * (2.0 / fsum(scaled)), mirror, exactness, kind)


def _mirror(v: NDArray[np.float64]) -> NDArray[np.int64]:
    """(3, direction) the direction with one component reversed, to round-off.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(v)
    mirror = np.empty((3, v.shape[0]), dtype=np.int64)
    for axis in range(3):
        reversed_ = v.copy()
        reversed_[:, axis] *= -1.0
        distance, mirror[axis] = tree.query(reversed_)
        twice = mirror[axis][mirror[axis]] != np.arange(v.shape[0])
        alone = (distance > _ROUND_OFF) | twice
        if alone.any():
            n = int(np.argmax(alone))
            raise ConfigurationError(
                f"direction {n}, ({v[n, 0]:g}, {v[n, 1]:g}, {v[n, 2]:g}), has no mirror image of its own in axis {axis}"
                "; accepted: distinct directions with the symmetry of the coordinate planes"
            )
    return mirror


def _geodesic(frequency: int) -> NDArray[np.float64]:
    """(10 frequency^2 + 2, 3) the faces of an icosahedron divided into frequency^2 triangles, on the unit sphere.

    The vertices (0, +-1, +-g), (+-g, 0, +-1), (+-1, +-g, 0), g the golden ratio, have the coordinate planes as mirrors.
    """
    golden = 0.5 * (1.0 + 5.0**0.5)
    signs = [(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    corner = np.array(
        [(0.0, a, b * golden) for a, b in signs]
        + [(b * golden, 0.0, a) for a, b in signs]
        + [(a, b * golden, 0.0) for a, b in signs]
    )
    # corners of an edge are at distance 2
    near = np.abs(((corner[:, None] - corner[None]) ** 2).sum(axis=2) - 4.0) < 1.0e-6
    points: dict[tuple[tuple[int, int], ...], NDArray[np.float64]] = {}
    for i in range(12):
        for j in range(i + 1, 12):
            for k in range(j + 1, 12):
                if near[i, j] and near[j, k] and near[i, k]:
                    for a in range(frequency + 1):
                        for b in range(frequency + 1 - a):
                            # points of shared edges and corners have the same shares, hence the same name
                            shares = [(i, a), (j, b), (k, frequency - a - b)]
                            name = tuple(share for share in shares if share[1])
                            points[name] = sum((n * corner[c] for c, n in name), np.zeros(3))
    v = np.array(list(points.values()))
    unit: NDArray[np.float64] = v / np.sqrt((v * v).sum(axis=1, keepdims=True))
    return unit
