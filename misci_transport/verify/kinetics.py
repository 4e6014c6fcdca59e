"""Neutrino flavour kinetics with the commutator, for small problems: the reference that the alignment is compared with.

Flavour-isospin form: a mode is a frequency w = dm^2/2E, negative for antineutrinos, with a weight that is negative for
antineutrinos; P (or rho) of an antineutrino is the one that is diagonal together with the neutrinos'. Two flavours have
H = (w B + V L + mu D) . sigma/2 with L = z, nu_e along +z; inverted ordering is B = (sin 2 theta, 0, cos 2 theta),
normal ordering B = (sin 2 theta, 0, -cos 2 theta). Lengths and frequencies are in any unit and its inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError, ConvergenceError
from ..flavor import pack, unpack
from ..kernels.dormand_prince import FINISHED, NOT_FINITE, TOO_MANY_STEPS, integrate
from ..kernels.quantum_kinetics import BULB, COLLISIONAL, EXPONENTIAL, ISOTROPIC, LINEAR, POWER, THREE_FLAVORS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BulbKinetics",
    "Collisions",
    "Kinetics",
    "Kinetics3",
    "Law",
    "box_spectrum",
    "bulb",
    "collisional_growth",
    "homogeneous",
    "homogeneous_3",
    "landau_zener",
    "vacuum_axis",
]

MAX_STEPS = 20_000_000


@dataclass(frozen=True)
class Law:
    """A matter potential or self-interaction strength as a function of time or radius, made by the class methods."""

    parameters: tuple[float, float, float, float, float]

    def __post_init__(self) -> None:
        if not np.all(np.isfinite(self.parameters)):
            raise ConfigurationError(f"parameters of a law are {self.parameters}; accepted: finite numbers")

    @classmethod
    def constant(cls, value: float) -> Law:
        """Law f(t) = value."""
        return cls((LINEAR, value, 0.0, 0.0, 0.0))

    @classmethod
    def linear(cls, start: float, slope: float) -> Law:
        """Law f(t) = start + slope t."""
        return cls((LINEAR, start, slope, 0.0, 0.0))

    @classmethod
    def exponential(cls, start: float, scale: float) -> Law:
        """Law f(t) = start exp(-t/scale).

        Raises
        ------
        ConfigurationError
            If the scale is zero or a parameter is not finite.
        """
        return cls((EXPONENTIAL, start, _nonzero("scale", scale), 0.0, 0.0))

    @classmethod
    def power(cls, value: float, scale: float, exponent: float, offset: float = 0.0) -> Law:
        """Law f(t) = value ((t + offset)/scale)^exponent; (t + offset)/scale must stay positive.

        Raises
        ------
        ConfigurationError
            If the scale is zero or a parameter is not finite.
        """
        return cls((POWER, value, _nonzero("scale", scale), exponent, offset))

    def __call__(self, t: ArrayLike) -> NDArray[np.float64]:
        """Value at t (any shape)."""
        kind, a, b, c, d = self.parameters
        t = np.asarray(t, dtype=np.float64)
        if kind == EXPONENTIAL:
            return np.asarray(a * np.exp(-t / b))
        if kind == POWER:
            return np.asarray(a * ((t + d) / b) ** c)
        return np.asarray(a + b * t)


@dataclass(frozen=True)
class Collisions:
    """Emission and absorption of nu_e: d rho_ee/dt = rate (equilibrium - rho_ee), coherences damped at rate/2.

    All arrays are (mode,) or one number; `rate` is an inverse time, `equilibrium` and `trace` are occupations,
    trace = rho_ee + rho_xx at the start (P_z = rho_ee - rho_xx).
    """

    rate: ArrayLike
    equilibrium: ArrayLike
    trace: ArrayLike


@dataclass(frozen=True)
class Kinetics:
    """Polarization vectors at the times, and the cost of the integration."""

    times: NDArray[np.float64]  #: (time,)
    polarization: NDArray[np.float64]  #: (time, mode, 3)
    trace: NDArray[np.float64] | None  #: (time, mode) rho_ee + rho_xx; None without collisions
    steps: int
    rejected: int

    @property
    def length_drift(self) -> float:
        """Largest change of |P| of a mode: the error of the integration without collisions, which conserve it."""
        length = np.linalg.norm(self.polarization, axis=-1)
        return float(np.abs(length - length[0]).max())


@dataclass(frozen=True)
class Kinetics3:
    """Three-flavour density matrices at the times, and the cost of the integration."""

    times: NDArray[np.float64]  #: (time,)
    packed: NDArray[np.float64]  #: (time, mode, 9) packed density matrices
    steps: int
    rejected: int

    @property
    def density_matrix(self) -> NDArray[np.complex128]:
        """(time, mode, 3, 3)."""
        return unpack(self.packed)

    @property
    def purity_drift(self) -> float:
        """Largest change of Tr rho^2 of a mode, which the commutator conserves."""
        squares = self.packed**2
        purity = squares[..., :3].sum(axis=-1) + 2.0 * squares[..., 3:].sum(axis=-1)
        return float(np.abs(purity - purity[0]).max())


@dataclass(frozen=True)
class BulbKinetics:
    """Flux-weighted polarization vectors of a stationary bulb at the radii, and the cost of the integration."""

    radii: NDArray[np.float64]  #: (radius,)
    emission: NDArray[np.float64]  #: (angle,) u = sin^2 of the emission angle
    polarization: NDArray[np.float64]  #: (radius, frequency, angle, 3)
    steps: int
    rejected: int

    @property
    def survival(self) -> NDArray[np.float64]:
        """Survival probability of nu_e of a mode that starts with P = z: (1 + P_z)/2, (radius, frequency, angle)."""
        return 0.5 * (1.0 + self.polarization[..., 2])

    @property
    def mean_survival(self) -> NDArray[np.float64]:
        """Survival probability averaged over the emitted flux (uniform in u), (radius, frequency)."""
        return np.asarray(self.survival.mean(axis=-1))

    @property
    def length_drift(self) -> float:
        """Largest change of |P| of a mode, which the equation conserves: the error of the integration."""
        length = np.linalg.norm(self.polarization, axis=-1)
        return float(np.abs(length - length[0]).max())


def vacuum_axis(theta: float, ordering: str) -> NDArray[np.float64]:
    """Axis B = (sin 2 theta, 0, +-cos 2 theta), + for inverted and - for normal ordering; theta in radians.

    Raises
    ------
    ConfigurationError
        If the ordering is not "normal" or "inverted".
    """
    if ordering not in ("normal", "inverted"):
        raise ConfigurationError(f"ordering is {ordering!r}; accepted: 'normal' or 'inverted'")
    sign = 1.0 if ordering == "inverted" else -1.0
    return np.array([np.sin(2.0 * theta), 0.0, sign * np.cos(2.0 * theta)])


def box_spectrum(modes: int, asymmetry: float, width: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Uniform spectrum on w in (-width, width): frequencies and weights (mode,), sums 1 (nu) and -asymmetry (nubar).

    `modes` midpoints in ascending order, half of them antineutrinos; `asymmetry` is the ratio nubar/nu.

    Raises
    ------
    ConfigurationError
        If modes is not an even positive number.
    """
    if modes < 2 or modes % 2:
        raise ConfigurationError(f"number of modes is {modes!r}; accepted: an even number from 2")
    frequency = width * ((np.arange(modes) + 0.5) * (2.0 / modes) - 1.0)
    return frequency, np.where(frequency > 0.0, 1.0, -asymmetry) * (2.0 / modes)


def collisional_growth(
    frequency: float, lepton_number: float, number: float, damping: float, damping_bar: float
) -> NDArray[np.complex128]:
    """Frequencies W of P_x + i P_y ~ exp(-i W t) about the flavour state of one nu and one nubar mode, (2,) complex.

        W = -A - i g +- sqrt(A^2 - al^2 - 2 i S al),
        S, A = mu (|P_nu| +- |P_nubar|)/2,   g = (G + Gbar)/2,   al = (G - Gbar)/2 - i w B_z

    the roots of the 2 x 2 linearisation, vacuum mixing angle zero; Im W is the growth rate.

    Parameters
    ----------
    frequency
        w B_z of the neutrinos (-w B_z of the antineutrinos), like all others an inverse time.
    lepton_number, number
        mu (|P_nu| - |P_nubar|) and mu (|P_nu| + |P_nubar|), both P along +z.
    damping, damping_bar
        Damping rates of the coherences of neutrinos and antineutrinos.

    The collisional instability: L. Johns, arXiv:2104.11369.
    """
    s, a = 0.5 * number, 0.5 * lepton_number
    g = 0.5 * (damping + damping_bar)
    al = 0.5 * (damping - damping_bar) - 1j * frequency
    root = np.sqrt(a**2 - al**2 - 2j * s * al)
    return np.array([-a - 1j * g + root, -a - 1j * g - root])


def homogeneous(
    frequency: ArrayLike,
    weight: ArrayLike,
    polarization: ArrayLike,
    axis: ArrayLike,
    *,
    matter: Law | None = None,
    mu: Law | None = None,
    times: ArrayLike,
    collisions: Collisions | None = None,
    tolerance: float = 1.0e-9,
) -> Kinetics:
    """Integrate dP_i/dt = (w_i B + V(t) z + mu(t) D) x P_i + collisions, D = sum_i weight_i P_i.

    Parameters
    ----------
    frequency, weight
        (mode,) w_i and the weights; both negative for antineutrinos.
    polarization
        (mode, 3) at the first time, or (3,) for all modes.
    axis
        (3,) B.
    matter, mu
        Laws V(t) and mu(t); zero by default.
    times
        (time,) ascending; the first is the start.
    collisions
        Emission and absorption; the state then carries the trace of every density matrix.
    tolerance
        Root mean square of the error of one step, relative to the largest component at the start.

    Returns
    -------
    Kinetics
        P at the times. |P| is conserved to the tolerance times the number of steps at most: see `length_drift`.

    Raises
    ------
    ConfigurationError
        For shapes that do not fit or numbers that are not finite.
    ConvergenceError
        If the integrator gave up.
    """
    w, weights = _modes(frequency, weight)
    start = _array("polarization", polarization, (w.size, 3))
    system, extra = ISOTROPIC, np.zeros((2, 0))
    state = start.T
    if collisions is not None:
        system = COLLISIONAL
        extra = np.stack([_array(name, getattr(collisions, name), (w.size,)) for name in ("rate", "equilibrium")])
        state = np.vstack([state, _array("trace", collisions.trace, (w.size,))])
    found, steps, rejected = _run(
        system, state, times, tolerance, w, weights, _array("axis", axis, (3,)), matter, mu, extra
    )
    vectors = np.ascontiguousarray(np.moveaxis(found[:, :3], 1, 2))
    trace = None if collisions is None else found[:, 3].copy()
    return Kinetics(_times(times), vectors, trace, steps, rejected)


def homogeneous_3(
    frequency: ArrayLike,
    weight: ArrayLike,
    density_matrix: ArrayLike,
    vacuum: ArrayLike,
    *,
    matter: Law | None = None,
    mu: Law | None = None,
    times: ArrayLike,
    tolerance: float = 1.0e-9,
) -> Kinetics3:
    """Integrate i d rho_i/dt = [w_i A + V(t) diag(1, 0, 0) + mu(t) D, rho_i], D = sum_i weight_i rho_i.

    Parameters
    ----------
    frequency, weight
        (mode,) w_i and the weights; both negative for antineutrinos, whose rho is rhobar (diagonal with the rho).
    density_matrix
        (mode, 3, 3) Hermitian at the first time, or (3, 3) for all modes.
    vacuum
        (3, 3) Hermitian A = M^2/|dm^2_31|, so that w = |dm^2_31|/2E.
    matter, mu, times, tolerance
        As in `homogeneous`.

    Raises
    ------
    ConfigurationError
        For shapes that do not fit or numbers that are not finite.
    ConvergenceError
        If the integrator gave up.
    """
    w, weights = _modes(frequency, weight)
    start = pack(_hermitian("density_matrix", density_matrix, (w.size, 3, 3)))
    matrix = pack(_hermitian("vacuum", vacuum, (3, 3)))
    found, steps, rejected = _run(
        THREE_FLAVORS, start.T, times, tolerance, w, weights, matrix, matter, mu, np.zeros((2, 0))
    )
    return Kinetics3(_times(times), np.ascontiguousarray(np.moveaxis(found, 1, 2)), steps, rejected)


def bulb(
    frequency: ArrayLike,
    weight: ArrayLike,
    axis: ArrayLike,
    *,
    radius: float,
    strength: float | Law,
    matter: Law | None = None,
    radii: ArrayLike,
    angles: int = 160,
    polarization: ArrayLike = (0.0, 0.0, 1.0),
    tolerance: float = 1.0e-7,
) -> BulbKinetics:
    """March v dP/dr = (w B + V(r) z + mu_0 A (S_0 - v S_1)) x P outwards from a sphere that emits isotropically.

    A = (radius/r)^2, v = sqrt(1 - u A), u = sin^2 of the emission angle at the midpoints of equal intervals,
    S_0 = <P/v>, S_1 = <P>: means over u, weighted sums over the frequencies. P is weighted by flux, so that P of a
    mode is constant along its ray but for the rotation.

    Parameters
    ----------
    frequency, weight
        (frequency,) w and weights; both negative for antineutrinos.
    axis
        (3,) B.
    radius
        Radius of the sphere.
    strength
        mu_0; a law of r instead if the emission is not steady.
    matter
        Law V(r); zero by default.
    radii
        (radius,) ascending, larger than `radius` (equal for none); the first is the start.
    angles
        Number of emission angles. Too few give an instability of their own: 160 or more.
    polarization
        At the first radius: (3,) for all modes, (frequency, 1, 3) or (frequency, angle, 3).
    tolerance
        Root mean square of the error of one step, relative to the largest component at the start.

    Raises
    ------
    ConfigurationError
        For shapes that do not fit, numbers that are not finite, or a radius below the sphere's.
    ConvergenceError
        If the integrator gave up.
    """
    w, weights = _modes(frequency, weight)
    if angles < 1:
        raise ConfigurationError(f"number of angles is {angles!r}; accepted: from 1")
    r = _times(radii)
    if not 0.0 < radius <= r[0]:
        raise ConfigurationError(f"radius of the sphere is {radius!r}; accepted: in (0, {r[0]:g}], the first of radii")
    emission = (np.arange(angles) + 0.5) / angles
    start = _array("polarization", polarization, (w.size, angles, 3))
    law = strength if isinstance(strength, Law) else Law.constant(strength)
    state = np.moveaxis(start, 2, 0)
    found, steps, rejected = _run(
        BULB,
        state.reshape(3, -1),
        r,
        tolerance,
        w,
        weights,
        _array("axis", axis, (3,)),
        matter,
        law,
        emission[np.newaxis],
        radius,
    )
    vectors = np.ascontiguousarray(np.moveaxis(found.reshape(r.size, 3, w.size, angles), 1, 3))
    return BulbKinetics(r, emission, vectors, steps, rejected)


def landau_zener(gamma: float, *, extent: float = 60.0, tolerance: float = 1.0e-12) -> float:
    """Probability that one mode jumps between the levels of H = (sqrt(gamma), 0, t), |t| <= extent.

    Exact for an infinite extent: exp(-pi gamma/2), where gamma = dm^2 sin^2(2 theta)/(2E cos 2 theta |dlnV/dr|) is
    B_x^2 over the slope of H_z, the time unit being the slope's root. The mode starts and is measured along the
    adiabatic state with its first correction, so that the finite extent enters as its fifth inverse power.
    Source: C. Zener, Proc. R. Soc. A 137 (1932) 696.

    Raises
    ------
    ConfigurationError
        If gamma is negative or the extent is not positive.
    """
    if not (np.isfinite(gamma) and gamma >= 0.0 and np.isfinite(extent) and extent > 0.0):
        raise ConfigurationError(f"gamma, extent are {gamma!r}, {extent!r}; accepted: gamma >= 0, extent > 0")
    x = float(np.sqrt(gamma))
    first, last = _followed(x, -extent), _followed(x, extent)
    run = homogeneous(
        [1.0], [0.0], first, [x, 0.0, 0.0], matter=Law.linear(0.0, 1.0), times=[-extent, extent], tolerance=tolerance
    )
    # half the square of the difference keeps its digits where the probability is small
    return float(0.25 * np.sum((run.polarization[-1, 0] - last) ** 2))


def _followed(x: float, t: float) -> NDArray[np.float64]:
    """Direction of a P that follows H = (x, 0, t): h + h' x H/|H|^2 with h = H/|H|, normalised."""
    size = np.hypot(x, t)
    # h' = x (-t, 0, x)/|H|^3, and h' x H is along y
    vector = np.array([x / size, x / size**3, t / size])
    return np.asarray(vector / np.linalg.norm(vector))


def _run(
    system: int,
    state: NDArray[np.float64],
    times: ArrayLike,
    tolerance: float,
    frequency: NDArray[np.float64],
    weight: NDArray[np.float64],
    axis: NDArray[np.float64],
    matter: Law | None,
    mu: Law | None,
    extra: NDArray[np.float64],
    radius: float = 0.0,
) -> tuple[NDArray[np.float64], int, int]:
    """States (time, component, mode) at the times, accepted and rejected steps."""
    t = _times(times)
    if not 0.0 < tolerance < 1.0:
        raise ConfigurationError(f"tolerance is {tolerance!r}; accepted: in (0, 1)")
    none = Law.constant(0.0)
    laws = [np.array((law or none).parameters) for law in (matter, mu)]
    result = np.empty((t.size, state.size))
    counts = np.zeros(2, dtype=np.int64)
    start = np.ascontiguousarray(state).ravel()
    if not start.any():
        raise ConfigurationError("the state at the start is zero; accepted: at least one mode that is not")
    status = integrate(
        system,
        start,
        t,
        float(tolerance),
        MAX_STEPS,
        frequency,
        weight,
        axis,
        laws[0],
        laws[1],
        extra,
        float(radius),
        result,
        counts,
    )
    if status != FINISHED:
        reason = {TOO_MANY_STEPS: f"it took more than {MAX_STEPS} steps", NOT_FINITE: "a number is not finite"}
        raise ConvergenceError(
            f"the kinetic integration ended before {t[-1]:g}, after {counts[0]} steps: "
            f"{reason.get(status, 'the step became too small for the tolerance')}"
        )
    return result.reshape(t.size, *state.shape), int(counts[0]), int(counts[1])


def _nonzero(name: str, value: float) -> float:
    if value == 0.0:
        raise ConfigurationError(f"{name} of a law is {value!r}; accepted: any number but zero")
    return value


def _times(times: ArrayLike) -> NDArray[np.float64]:
    t = np.array(times, dtype=np.float64)
    if t.ndim != 1 or t.size == 0 or not np.all(np.isfinite(t)) or np.any(np.diff(t) <= 0.0):
        raise ConfigurationError(f"times or radii have shape {t.shape}; accepted: finite ascending numbers, from one")
    return t


def _modes(frequency: ArrayLike, weight: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    w = np.array(frequency, dtype=np.float64)
    if w.ndim != 1 or w.size == 0 or not np.all(np.isfinite(w)):
        raise ConfigurationError(f"frequency has shape {w.shape}; accepted: (mode,), finite, from one mode")
    return w, _array("weight", weight, (w.size,))


def _array(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A contiguous copy of the shape; fewer axes are repeated over the first ones."""
    given = np.asarray(values, dtype=np.float64)
    try:
        full = np.array(np.broadcast_to(given, shape), order="C")
    except ValueError:
        raise ConfigurationError(f"{name} has shape {given.shape}; accepted: {shape}") from None
    if not np.all(np.isfinite(full)):
        raise ConfigurationError(f"{name} holds a number that is not finite")
    return full


def _hermitian(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    given = np.asarray(values, dtype=np.complex128)
    try:
        full = np.array(np.broadcast_to(given, shape), order="C")
    except ValueError:
        raise ConfigurationError(f"{name} has shape {given.shape}; accepted: {shape}") from None
    if not np.all(np.isfinite(full)):
        raise ConfigurationError(f"{name} holds a number that is not finite")
    if np.abs(full - np.swapaxes(full, -1, -2).conj()).max() > 1.0e-12 * max(1.0, float(np.abs(full).max())):
        raise ConfigurationError(f"{name} is not Hermitian")
    return full
