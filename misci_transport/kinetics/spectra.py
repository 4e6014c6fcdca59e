"""Directions and angular spectra by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import Polynomial
from scipy.special import roots_legendre

from ..errors import ConfigurationError
from ..flavor import check_flavor_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Names of sets of directions and of angular spectra.
DIRECTIONS = ("gauss", "midpoint", "beams")
SPECTRA = ("linear", "beams", "gaussians", "polynomials", "array")


def directions(kind: str, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and weights (direction,): Gauss-Legendre or midpoints on [-1, 1] (sum of weights 2), beams v = -1, 1.

    The two beams have weights 1.

    Raises
    ------
    ConfigurationError
        For an unknown name, or a number of directions that it cannot have.
    """
    if kind not in DIRECTIONS:
        raise ConfigurationError(f"directions are {kind!r}; accepted: {', '.join(DIRECTIONS)}")
    if count < 1 or (kind == "beams" and count != 2):
        raise ConfigurationError(f"number of directions is {count}; accepted: 2 for beams, else from 1")
    if kind == "beams":
        return np.array([-1.0, 1.0]), np.ones(2)
    if kind == "gauss":
        nodes, weights = roots_legendre(count)
        return np.asarray(nodes), np.asarray(weights)
    return (2.0 * np.arange(count) + 1.0) / count - 1.0, np.full(count, 2.0 / count)


def angular_spectrum(kind: str, cosine: ArrayLike, **parameters: Any) -> NDArray[np.float64]:
    """Excess of nu_e over nu_x and of nubar_e over nubar_x by direction, (species, direction).

    linear
        nu: offset + slope v (slope 1, offset 0), no nubar.
    beams
        nu: zeta_plus for v > 0, zeta_minus for v < 0 (1/2, -1/2), no nubar.
    gaussians
        exp(-(v - 1)^2/(2 s^2)) with s = sigma for nu and sigma_bar for nubar (0.6, 0.5), scaled so that the mean over
        [-1, 1] is 1 for nu and asymmetry for nubar.
    polynomials
        nu, nubar: coefficients of 1, v, v^2, ...
    array
        nu, nubar: values by direction.

    Raises
    ------
    ConfigurationError
        For an unknown name or parameter, or values that do not fit.
    """
    v = np.asarray(cosine, dtype=np.float64)
    known: dict[str, dict[str, Any]] = {
        "linear": {"slope": 1.0, "offset": 0.0},
        "beams": {"zeta_plus": 0.5, "zeta_minus": -0.5},
        "gaussians": {"sigma": 0.6, "sigma_bar": 0.5, "asymmetry": 0.9},
        "polynomials": {"nu": [1.0], "nubar": [0.0]},
        "array": {"nu": None, "nubar": 0.0},
    }
    if kind not in known:
        raise ConfigurationError(f"angular spectrum is {kind!r}; accepted: {', '.join(SPECTRA)}")
    for name in parameters:
        if name not in known[kind]:
            raise ConfigurationError(
                f"angular spectrum {kind!r} has no parameter {name!r}; accepted: {', '.join(known[kind])}"
            )
    p = known[kind] | parameters
    found = np.zeros((2, v.size))
    if kind == "linear":
        found[0] = p["offset"] + p["slope"] * v
    elif kind == "beams":
        found[0] = np.where(v > 0.0, p["zeta_plus"], p["zeta_minus"])
    elif kind == "gaussians":
        for s, (width, number) in enumerate(((p["sigma"], 1.0), (p["sigma_bar"], p["asymmetry"]))):
            if not width > 0.0:
                raise ConfigurationError(f"sigma, sigma_bar are {p['sigma']}, {p['sigma_bar']}; accepted: > 0")
            found[s] = number * np.exp(-0.5 * ((v - 1.0) / width) ** 2) / _mean_gaussian(width)
    elif kind == "polynomials":
        for s, name in enumerate(("nu", "nubar")):
            found[s] = Polynomial(np.atleast_1d(np.asarray(p[name], dtype=np.float64)))(v)
    else:
        for s, name in enumerate(("nu", "nubar")):
            if np.size(p[name]) not in (1, v.size) or p[name] is None:
                raise ConfigurationError(f"array {name} has {np.size(p[name])} values; accepted: {v.size}")
            found[s] = p[name]
    if not np.isfinite(found).all():
        raise ConfigurationError(f"angular spectrum {kind!r} has a value that is not finite")
    return found


def _mean_gaussian(width: float) -> float:
    """Mean of exp(-(v - 1)^2/(2 width^2)) over [-1, 1]."""
    from scipy.special import erf

    return float(0.5 * width * np.sqrt(0.5 * np.pi) * erf(np.sqrt(2.0) / width))


def flavor_state(
    excess: ArrayLike, n_flavors: int = 2, *, filling: ArrayLike = 1.0, pairs: float = 0.0
) -> NDArray[np.float64]:
    """Diagonal density matrices of an excess of e over the others, packed: (direction, species, group, N_f^2).

    rho_ee = pairs + excess where that is positive, each other rho_xx = pairs - excess where it is negative.

    Parameters
    ----------
    excess
        (species, direction) as `angular_spectrum` gives it.
    filling
        (group,) factors of the groups.
    pairs
        Occupation that all flavours have besides.
    """
    check_flavor_count(n_flavors)
    g = np.asarray(excess, dtype=np.float64)
    factor = np.atleast_1d(np.asarray(filling, dtype=np.float64))
    state = np.zeros((g.shape[1], 2, factor.size, n_flavors**2))
    value = g.T[:, :, None] * factor
    state[..., 0] = pairs + np.maximum(value, 0.0)
    for x in range(1, n_flavors):
        state[..., x] = pairs + np.maximum(-value, 0.0)
    return state
