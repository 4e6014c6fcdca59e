r"""Of which type the equations for a common phase are: second derivatives of Phi* and what follows from them.

With omega = omega_0 + d_t eta and k = k_0 - grad eta, small changes eta ~ exp i(q . x - W t) of the phases obey

    det(W^2 Phi_ww + W (Phi_wk . q + q . Phi_kw) + q . Phi_kk . q) = 0        (blocks over the charges)

in time. Complex W: neighbouring states grow apart, and no time step will do. A stationary state has W = 0: with axis 0
as the direction of a march and q along the others, q_0 in units of |q_transverse| are the slopes of characteristics.
All real: hyperbolic, a march along axis 0 is well-posed. All complex: elliptic, a boundary-value problem.
docs/phase.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Type of the stationary equation over the resolved axes.
ORDINARY, HYPERBOLIC, ELLIPTIC, MIXED = range(4)
TYPE_NAMES = ("ordinary", "hyperbolic", "elliptic", "mixed")
#: Discriminants below this fraction of their terms are zero: characteristics that fall together are real.
_ROUND_OFF = 1.0e-11


@dataclass(frozen=True)
class PhaseType:
    """Type and speeds at a batch of places."""

    kind: NDArray[np.int64]  #: (place,) index in `TYPE_NAMES`, over the resolved axes
    steepness: NDArray[np.float64]  #: (place,) largest |q_0| of a wave whose |q| along the other axes is 1
    speed: NDArray[np.complex128]  #: (place, 2 charges) W/q_0 of waves along axis 0, in units of c
    growth: NDArray[np.float64]  #: (place,) largest |Im W|/|q| of waves in any of the directions looked at

    @property
    def outward(self) -> NDArray[np.bool_]:
        """(place,) whether waves along axis 0 all run in its direction."""
        out: NDArray[np.bool_] = (self.speed.real > 0.0).all(axis=1)
        return out

    @property
    def evolves(self) -> NDArray[np.bool_]:
        """(place,) whether the time-dependent equations are well-posed: no complex speed was found."""
        return self.growth <= 0.0


def classify(hessian: NDArray[np.float64], resolved: Sequence[int]) -> PhaseType:
    """Type from d^2 Phi*/d lambda d lambda (place, order, charge, order, charge) over the resolved axes of a mesh.

    The first of them is the direction of a march.

    Waves are looked at along the axes and along the diagonals between any two; with one charge and up to two axes that
    decides, otherwise it is a sample.
    """
    places, orders = hessian.shape[:2]
    axes = [axis for axis in resolved if axis < orders - 1]
    transverse = axes[1:]
    kind = np.full(places, ORDINARY)
    steepness = np.zeros(places)
    if transverse:
        some_real = np.zeros(places, dtype=np.bool_)
        some_complex = np.zeros(places, dtype=np.bool_)
        first = _unit(orders, axes[0])
        for q in _directions(orders, transverse):
            root = _roots(hessian, first, q)
            real = _is_real(root)
            some_real |= real.any(axis=1)
            some_complex |= ~real.all(axis=1)
            steepness = np.maximum(steepness, np.abs(root).max(axis=1))
        kind = np.where(some_complex, np.where(some_real, MIXED, ELLIPTIC), HYPERBOLIC)
    time = np.zeros(orders)
    time[0] = 1.0
    speed = _roots(hessian, time, _unit(orders, 0))
    growth = np.zeros(places)
    for q in _directions(orders, list(range(orders - 1))):
        root = _roots(hessian, time, q)
        growth = np.maximum(growth, np.where(_is_real(root), 0.0, np.abs(root.imag)).max(axis=1))
    return PhaseType(kind, steepness, speed, growth)


def _unit(orders: int, axis: int) -> NDArray[np.float64]:
    q = np.zeros(orders)
    q[1 + axis] = 1.0
    return q


def _directions(orders: int, axes: Sequence[int]) -> list[NDArray[np.float64]]:
    """Unit vectors along the axes and the diagonals between two of them."""
    out = [_unit(orders, axis) for axis in axes]
    for n, a in enumerate(axes):
        for b in axes[:n]:
            out += [(_unit(orders, a) + s * _unit(orders, b)) / np.sqrt(2.0) for s in (1.0, -1.0)]
    return out


def _roots(
    hessian: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """The 2 charges roots x of det(x^2 first H first + x (first H second + second H first) + second H second) = 0."""
    a, c = (np.einsum("l,claMb,M->cab", v, hessian, v) for v in (first, second))
    s = np.einsum("l,claMb,M->cab", first, hessian, second)
    s = s + np.swapaxes(s, 1, 2)
    places, n = a.shape[:2]
    # coordinates in which the two terms of the discriminant are of one size
    size_a, size_c = (np.sqrt((x**2).sum(axis=(1, 2))) for x in (a, c))
    unit = np.sqrt(np.where((size_a > 0.0) & (size_c > 0.0), size_c / np.where(size_a > 0.0, size_a, 1.0), 1.0))
    if n == 1:
        half, product = 0.5 * s[:, 0, 0], a[:, 0, 0] * c[:, 0, 0]
        square = half**2 - product
        square = np.where(np.abs(square) <= _ROUND_OFF * (half**2 + np.abs(product)), 0.0, square)
        root = np.sqrt(square.astype(np.complex128))
        with np.errstate(divide="ignore", invalid="ignore"):
            both = np.stack([(-half + root), (-half - root)], axis=1) / a[:, 0, 0, None]
        return np.where(np.isfinite(both), both, np.inf)
    # x = unit y: (y^2 A + y S/unit + C/unit^2) v = 0 as a pencil that needs no inverse of A
    out = np.empty((places, 2 * n), dtype=np.complex128)
    for cell in range(places):
        scale = size_a[cell] or 1.0
        upper = np.hstack([np.zeros((n, n)), np.eye(n)])
        lower = np.hstack([-c[cell] / (scale * unit[cell] ** 2), -s[cell] / (scale * unit[cell])])
        mass = np.block([[np.eye(n), np.zeros((n, n))], [np.zeros((n, n)), a[cell] / scale]])
        out[cell] = unit[cell] * _pencil(np.vstack([upper, lower]), mass)
    return out


def _pencil(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.complex128]:
    from scipy.linalg import eigvals

    return np.asarray(eigvals(left, right), dtype=np.complex128)


def _is_real(root: NDArray[np.complex128]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        real: NDArray[np.bool_] = np.isinf(root) | (np.abs(root.imag) <= np.sqrt(_ROUND_OFF) * np.abs(root))
    return real
