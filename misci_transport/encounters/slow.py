"""The slow equation of the encounter gas and its miscidynamics (docs/encounters.md, Eqs. N3 to N6)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import solve_ivp

from ..alignment import ChargedCells, charge_axes
from ..alignment.branches import distance_between, project_points, start_branches
from ..errors import ConfigurationError, ConvergenceError
from ..flavor import pack
from .pair import PAULI

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .gas import Setting

__all__ = ["Modes", "QuasiSteady", "SlowHistory", "miscidynamics", "modes_of", "slow_equation"]

#: Least |J| and |n| of a quasi-steady state, relative to one neutrino's |P| = 1.
SMALLEST = 1.0e-12
PARALLEL = 1.0e-12
#: Projections of the lengths at the start, at most, and the change that ends them.
MOST_PROJECTIONS, SAME = 60, 1.0e-14

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Modes:
    """Neutrinos that stay alike: fractions of the gas, couplings of pairs, and cosines that make these couplings."""

    group: NDArray[np.int64]  #: (mode,) group of the gas
    fraction: NDArray[np.float64]  #: (mode,) of all neutrinos, sum 1
    start: NDArray[np.float64]  #: (mode, 3) P at the beginning
    coupling: NDArray[np.float64]  #: (mode, mode) <1 - c>
    square: NDArray[np.float64]  #: (mode, mode) <(1 - c)^2>
    frequency: NDArray[np.float64]  #: (mode,) of the vacuum term
    axis: NDArray[np.float64]  #: (3,) of the vacuum term
    gamma: float
    mu: float  #: times N/(N - 1), see `Setting.partners`
    step: float  #: time of an encounter
    #: (mode,) and a factor with coupling = factor (1 - cosine_i cosine_j), for the alignment; None if there are none
    cosine: NDArray[np.float64] | None
    factor: float

    def group_means(self, polarization: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., group, 3) of (..., mode, 3)."""
        count = int(self.group.max()) + 1
        weight = np.where(self.group == np.arange(count)[:, None], self.fraction, 0.0)
        return np.asarray(np.einsum("gm,...mi->...gi", weight / weight.sum(axis=1, keepdims=True), polarization))

    def total(self, polarization: NDArray[np.float64]) -> NDArray[np.float64]:
        """J/N = sum fraction P, (..., 3)."""
        return np.asarray(np.einsum("m,...mi->...i", self.fraction, polarization))

    def field(self, polarization: NDArray[np.float64]) -> NDArray[np.float64]:
        """mu <(1 - c) P_j>, (mode, 3), without the vacuum term."""
        return np.asarray(self.mu * (self.coupling * self.fraction) @ polarization)

    def collisions(self, polarization: NDArray[np.float64], *, printed: bool = False) -> NDArray[np.float64]:
        """What encounters add to the mean field, mu gamma <(1 - c)^2 (P_j - P_i)> - (t_int/2) P''_i, (mode, 3).

        P'' is the second derivative by mean field alone: the exchange of (N2) contains the second order of the
        rotation in t_int, which the mean field makes by itself. With `printed` it is left out, as in the slides.
        """
        weight = self.mu * self.gamma * self.square * self.fraction
        exchange = weight @ polarization - weight.sum(axis=1)[:, None] * polarization
        if printed:
            return np.asarray(exchange)
        field = self.field(polarization)
        first = np.cross(field, polarization)
        second = np.cross(self.field(first), polarization) + np.cross(field, first)
        return np.asarray(exchange - 0.5 * self.step * second)


def modes_of(setting: Setting, cosines: int = 16) -> Modes:
    """The modes of a gas: its groups, or, where each neutrino keeps its velocity, Gauss-Legendre cosines of each group.

    Velocities with the same cosine and any azimuth are alike: <1 - c> = 1 - m m' and <(1 - c)^2> = (1 - m m')^2 +
    (1 - m^2)(1 - m'^2)/2.

    Raises
    ------
    ConfigurationError
        For fewer than one cosine.
    """
    if cosines < 1:
        raise ConfigurationError(f"cosines is {cosines}; accepted: 1 or more")
    fraction = setting.numbers / setting.size
    frequency = np.array([group.frequency for group in setting.groups])
    axis = np.array(setting.vacuum_axis)
    index = np.arange(len(setting.groups))
    found: NDArray[np.float64] | None
    if setting.velocities == "kept":
        node, weight = np.polynomial.legendre.leggauss(cosines)  # type: ignore[no-untyped-call]
        low, high = np.array([group.cosines for group in setting.groups]).T
        m = (0.5 * (low + high)[:, None] + 0.5 * (high - low)[:, None] * node).ravel()
        group = np.repeat(index, cosines)
        coupling = 1.0 - np.outer(m, m)
        square = coupling**2 + 0.5 * np.outer(1.0 - m**2, 1.0 - m**2)
        part = (fraction[:, None] * 0.5 * weight).ravel()
        return Modes(
            group,
            part / part.sum(),
            setting.start[group],
            coupling,
            square,
            frequency[group],
            axis,
            setting.gamma,
            setting.mu * setting.partners,
            setting.step,
            m,
            1.0,
        )
    if setting.velocities == "redrawn":
        # of two isotropic directions <c> = 0 and <c^2> = 1/3
        coupling, square = np.ones((index.size,) * 2), np.full((index.size,) * 2, 4.0 / 3.0)
        found, factor = np.zeros(index.size), 1.0
    else:
        coupling = setting.coupling
        square = coupling**2
        found, factor = _common_cosines(np.array([group.direction for group in setting.groups]))
    return Modes(
        index,
        fraction,
        setting.start,
        coupling,
        square,
        frequency,
        axis,
        setting.gamma,
        setting.mu * setting.partners,
        setting.step,
        found,
        factor,
    )


def _common_cosines(direction: NDArray[np.float64]) -> tuple[NDArray[np.float64] | None, float]:
    """Cosines m and a factor with 1 - v_i . v_j = factor (1 - m_i m_j); None if there are more than two directions."""
    along = direction @ direction[0]
    same = along >= 1.0 - PARALLEL
    others = np.flatnonzero(~same)
    if others.size == 0:
        return np.ones(direction.shape[0]), 1.0
    second = direction[others[0]]
    if not (direction[others] @ second >= 1.0 - PARALLEL).all():
        return None, 1.0
    # (1 - c) between two beams is (1 - c)/2 times that of beams that meet head-on
    return np.where(same, 1.0, -1.0), 0.5 * float(1.0 - along[others[0]])


@dataclass(frozen=True)
class SlowHistory:
    """Modes at the times."""

    times: NDArray[np.float64]  #: (time,)
    polarization: NDArray[np.float64]  #: (time, mode, 3)
    modes: Modes
    precession: NDArray[np.float64] | None = None  #: (time,) Omega, signed along J; of miscidynamics only

    @property
    def group_means(self) -> NDArray[np.float64]:
        """(time, group, 3)."""
        return self.modes.group_means(self.polarization)


def slow_equation(
    modes: Modes, times: ArrayLike, *, collisions: bool = True, printed: bool = False, tolerance: float = 1.0e-10
) -> SlowHistory:
    """(N3) by DOP853: dP/dt = (w B + mu <(1 - c) P_j>) x P + `Modes.collisions`; without collisions the mean field.

    Raises
    ------
    ConvergenceError
        If the integration fails.
    """
    at = np.asarray(times, dtype=np.float64)
    vacuum = modes.frequency[:, None] * modes.axis

    def rate(_: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        p = y.reshape(-1, 3)
        change = np.cross(vacuum + modes.field(p), p)
        return np.asarray((change + modes.collisions(p, printed=printed) if collisions else change).ravel())

    run = solve_ivp(
        rate, (at[0], at[-1]), modes.start.ravel(), method="DOP853", t_eval=at, rtol=tolerance, atol=tolerance
    )
    if not run.success:
        raise ConvergenceError(f"slow equation: {run.message}")
    return SlowHistory(at, np.ascontiguousarray(run.y.T.reshape(at.size, -1, 3)), modes)


class QuasiSteady:
    """States of common precession (N5) of given lengths and total, by the alignment with charge "total".

    Raises
    ------
    ConfigurationError
        If there is a vacuum term, if there are more than two directions, if all pairs interact alike, or if the total
        vanishes.
    """

    def __init__(self, modes: Modes) -> None:
        if modes.frequency.any():
            raise ConfigurationError("frequency is not zero; accepted for miscidynamics: no vacuum term, for J to stay")
        if modes.cosine is None:
            raise ConfigurationError("groups have more than two directions; accepted for miscidynamics: one or two")
        if np.ptp(modes.coupling) == 0.0:
            raise ConfigurationError(
                f"1 - v_i . v_j is {modes.coupling[0, 0]:g} for every pair; accepted for miscidynamics: couplings "
                "that differ (all turn alike about J otherwise, and no state is singled out)"
            )
        self.modes = modes
        self.total = modes.total(modes.start)
        length = float(np.linalg.norm(self.total))
        if length < SMALLEST:
            raise ConfigurationError(f"total |J|/N is {length:.3g}; accepted for miscidynamics: more than {SMALLEST:g}")
        self.axis = self.total / length
        axes = charge_axes(
            "total",
            vacuum=np.zeros((1, 4)),
            matter_potential=0.0,
            cells=1,
            total=pack(0.5 * np.einsum("a,aij->ij", self.total, PAULI))[None],
        )
        m = modes.cosine[None]
        self.cells = ChargedCells(
            axes, modes.fraction[None].copy(), modes.fraction * m, m, np.ones(1), modes.mu * modes.factor
        )
        matrices = self._matrices(modes.start)
        begun = start_branches(self.cells, matrices)
        if not begun.report.successful:
            raise ConvergenceError(f"no quasi-steady state with these lengths: {begun.report}")
        self.unknowns, self.charges = begun.unknowns, begun.charges
        self.sign = float(np.sign(self.charges[0, 0]))
        self.populations = begun.populations
        self._project(matrices)
        #: (mode,) signed lengths at the beginning: + along h_i
        self.lengths = np.asarray(self.populations[0, :, 0, 0, 1] - self.populations[0, :, 0, 0, 0])

    def _project(self, matrices: NDArray[np.float64]) -> None:
        """Project on the levels of the state that is found, and again, until lengths and levels belong together.

        The search begins with trial multipliers, whose levels are not yet those of the solution: a state that is
        quasi-steady already would lose the square of their distance.
        """
        for _ in range(MOST_PROJECTIONS):
            f = project_points(self.cells, self.unknowns, self.charges, matrices, 3)
            change = float(np.abs(f - self.populations).max())
            y = self.unknowns.copy()
            report = self.cells.align(f, y, self.charges)
            if not report.successful:
                raise ConvergenceError(f"quasi-steady state is lost while lengths are projected: {report}")
            self.unknowns, self.populations = y, f
            if change <= SAME:
                break
        else:
            logger.info("lengths still change by %.1e after %d projections", change, MOST_PROJECTIONS)
        aligned = self.cells.density_matrices(self.populations, self.unknowns, self.charges)
        #: of the state that is given from the quasi-steady state, 0: the same
        self.distance = float(distance_between(self.cells, aligned, matrices)[0])

    @staticmethod
    def _matrices(polarization: NDArray[np.float64]) -> NDArray[np.float64]:
        """(1, mode, species, 1, 5): neutrinos only, with the flavour that does not mix empty."""
        out = np.zeros((1, polarization.shape[0], 2, 1, 5))
        out[0, :, 0, 0, :4] = pack(0.5 * (np.eye(2) + np.einsum("ma,aij->mij", polarization, PAULI)))
        return out

    def state(self, lengths: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """P (mode, 3) of the signed lengths (mode,), and Omega; the last solution is the guess.

        Raises
        ------
        ConvergenceError
            If there is no solution near the last one.
        """
        f = self.populations
        f[0, :, 0, 0, 0] = 0.5 * (1.0 - lengths)
        f[0, :, 0, 0, 1] = 0.5 * (1.0 + lengths)
        y = self.unknowns.copy()
        report = self.cells.align(f, y, self.charges)
        if not report.successful:
            raise ConvergenceError(f"quasi-steady state is lost: {report}")
        self.unknowns = y
        packed = self.cells.density_matrices(f, y, self.charges)[0, :, 0, 0, :4]
        p = np.stack([2.0 * packed[:, 2], -2.0 * packed[:, 3], packed[:, 0] - packed[:, 1]], axis=1)
        return p, sqrt(2.0) * self.sign * float(self.cells.multipliers(y)[0, 0])


def miscidynamics(modes: Modes, times: ArrayLike, *, tolerance: float = 1.0e-12) -> SlowHistory:
    """(N4): signed lengths change by (N6), the state is the quasi-steady one of them (N5).

    P is that in the frame that turns with Omega; what is along J, and the lengths across J, are those at rest.

    Raises
    ------
    ConfigurationError
        As `QuasiSteady`.
    ConvergenceError
        If the quasi-steady state is lost.
    """
    at = np.asarray(times, dtype=np.float64)
    steady = QuasiSteady(modes)

    def rate(_: float, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
        p, _ = steady.state(lengths)
        along = p / np.where(np.abs(lengths) > SMALLEST, lengths, np.inf)[:, None]
        return np.asarray((along * modes.collisions(p)).sum(axis=1))

    run = solve_ivp(rate, (at[0], at[-1]), steady.lengths, method="DOP853", t_eval=at, rtol=tolerance, atol=tolerance)
    if not run.success:
        raise ConvergenceError(f"miscidynamics: {run.message}")
    steady.unknowns = QuasiSteady(modes).unknowns
    found = [steady.state(lengths) for lengths in run.y.T]
    return SlowHistory(at, np.stack([p for p, _ in found]), modes, np.array([omega for _, omega in found]))
