"""Media with known phases: two beams and a synchronised gas in closed form, and the bulb in spherical symmetry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import roots_legendre

from ..alignment.branches import start_branches
from ..errors import ConvergenceError
from ..flavor import pack
from ..kernels.alignment_residual import to_coordinates
from ..physics.phase_closure import ClosureState, PhaseClosure
from ..physics.phase_closure import medium as make_medium
from ..solvers.phase_grid import Places
from .bulb import Bulb, _alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: A charge is the diagonal generator diag(1, -1)/sqrt 2, its density 1/sqrt 2 of the component of flavour isospin along
#: B, and its multiplier 1/sqrt 2 of the frequency of the turn about B.
ROOT2 = np.sqrt(2.0)
#: Of the logarithm of the radius in the table of spherical answers.
LARGEST_STEP = 0.01


# two beams: exact at any strength, elliptic


@dataclass(frozen=True)
class TwoBeams:
    """Two directions of one frequency w with numbers a_1, a_2 in a plane, in flavour isospin (|B| = 1).

    P_i is along its H_i = m P_j + f_i B, f_i = w - omega + v_i . k, m = strength (1 - v_1 . v_2). The torques give
    f_1 a_1 sin t_1 = - f_2 a_2 sin t_2, and with X_i = f_i P_i . B: X_1 + X_2 = - f_1 f_2/m, X_1^2 - X_2^2 =
    (f_1 a_1)^2 - (f_2 a_2)^2, so that

        P_1 . B = - (1/2) [f_2/m + m a_1^2/f_2 - m a_2^2 f_2/f_1^2] = dPhi*/df_1,   and the same with 1 and 2 exchanged,
        Phi* = - (1/2) [f_1 f_2/m + m a_1^2 f_1/f_2 + m a_2^2 f_2/f_1].

    det d^2 Phi*/df df > 0 and |cos t_i| < 1 are both the triangle inequality of f_1 f_2/m, f_1 a_1, f_2 a_2: elliptic
    wherever there is a phase.
    """

    angles: tuple[float, float] = (0.6, -0.5)
    numbers: tuple[float, float] = (1.0, 0.7)
    coupling: float = 1.0  #: m
    frequency: float = 1.0

    @property
    def velocity(self) -> NDArray[np.float64]:
        """(beam, axis)."""
        return np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)

    def along(self, k: NDArray[np.float64]) -> NDArray[np.float64]:
        """P_i . B at the gradients k (place, axis) of the angle about B: (place, beam)."""
        f = self.frequency + k @ self.velocity.T
        m, a = self.coupling, self.numbers
        parts = [
            f[:, 1 - i] / m + m * a[i] ** 2 / f[:, 1 - i] - m * a[1 - i] ** 2 * f[:, 1 - i] / f[:, i] ** 2
            for i in range(2)
        ]
        return np.asarray(-0.5 * np.stack(parts, axis=1))

    def flux(self, k: NDArray[np.float64]) -> NDArray[np.float64]:
        """B . D_1 (place, axis)."""
        return np.asarray(self.along(k) @ self.velocity)

    def closure(self, places: Places) -> PhaseClosure:
        """Populations in the lower level: P_i is opposite to H_i."""
        v = self.velocity
        level = np.array([[[0.5 * self.frequency, -0.5 * self.frequency]]])
        populations = np.zeros((1, 2, 2, 1, 2))
        populations[0, :, 0, 0, 0] = self.numbers
        weight = np.concatenate([np.ones((1, 2)), v.T])[None]
        strength = self.coupling / (1.0 - float(v[0] @ v[1]))
        return PhaseClosure(
            places.size, level, level, np.zeros((1, 3, 4)), weight, v[None], populations, np.ones(1), strength
        )

    def seed(self, places: Places) -> ClosureState:
        """The states at k = 0."""
        closure = self.closure(one_place())
        along = self.along(np.zeros((1, 2)))
        across = np.sqrt(np.array(self.numbers) ** 2 - along**2) * np.array([1.0, -1.0])
        state = closure.empty()
        vector = np.stack([along, across, np.zeros_like(along)], axis=2) / ROOT2
        state.unknowns[:] = np.einsum("lm,cmd->cld", closure.weight[0], vector).reshape(1, -1)
        state = solved(closure, state, np.zeros((1, 3, 1)))
        return state.take(np.zeros(places.size, dtype=np.int64))


def one_place() -> Places:
    """A place in a uniform medium."""
    return Places(np.zeros((1, 3)), np.zeros((1, 2), dtype=np.int64))


def solved(closure: PhaseClosure, guess: ClosureState, multiplier: NDArray[np.float64], **given: Any) -> ClosureState:
    """Closures that must have a solution.

    Raises
    ------
    ConvergenceError
        If one has none.
    """
    state = closure.solve(guess, multiplier, **given)
    if not state.report.successful:
        raise ConvergenceError(f"seed of the phase: {state.report.describe_failures()}")
    return state


# many directions and frequencies, strong self-interaction


@dataclass(frozen=True)
class Synchronized:
    r"""Directions in a plane that share a spectrum, mu -> infinity: all P parallel to one n, flavour isospin.

    With N_l = sum w_l sP, G = N_0 - v . N_1, F = sum sP (w - omega + v . k), c = n . B, and Q/mu the stationary value
    over u of sum sP (w - omega + v . k - v . u)^2/2G + u^2/2, next-to-leading order in 1/mu is

        Phi = const + c F + (1 - c^2) Q/mu,    stationary in c:  c = F mu/2Q,   Phi* = const + Q/mu + mu F^2/4Q,
        B . D_1 = c N_1 + (1 - c^2) Q'/mu,     F' = N_1,
        d^2Phi*/dk dk = (1 - c^2) Q''/mu + (F' - 2 c Q'/mu)(F' - 2 c Q'/mu)^T mu/2Q.

    F = 0 to leading order: the phase turns along N_1 with the synchronised frequency, and c is carried along N_1. Q''
    is positive for a source with net neutrinos. Q is the spread of the frequencies weighted with sP: positive with
    neutrinos only (elliptic), negative if antineutrinos, at - w, are a good part (hyperbolic).
    """

    kind: str  #: "hyperbolic" or "elliptic"
    strength: float
    tilt: float = 0.4  #: c
    axes: int = 2  #: directions in a plane, or on cones in space
    angles: tuple[float, ...] = (0.4, 0.9)  #: against axis 0
    numbers: tuple[float, ...] = (0.6, 0.4)

    @property
    def velocity(self) -> NDArray[np.float64]:
        """(direction, axis): on each cone two directions in a plane, four in space."""
        around = (np.arange(2) * np.pi) if self.axes == 2 else (np.arange(4) + 0.5) * 0.5 * np.pi
        polar, turn = (x.ravel() for x in np.meshgrid(self.angles, around, indexing="ij"))
        unit = np.stack([np.cos(polar), np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn)], axis=1)
        return np.ascontiguousarray(unit[:, : self.axes])

    @property
    def share(self) -> NDArray[np.float64]:
        """(direction,) part of all numbers."""
        around = 2 * (self.axes - 1)
        return np.repeat(self.numbers, around) / around

    @property
    def spectrum(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """sP and w of the energies, antineutrinos at negative frequencies."""
        if self.kind == "elliptic":
            return np.array([1.0, 0.7]), np.array([0.6, 1.4])
        return np.array([1.0, -0.7]), np.array([1.0, -1.0])

    def expansion(
        self, k: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], float, NDArray[np.float64], NDArray[np.float64]]:
        """F, F', Q/mu and its derivatives Q'/mu, Q''/mu at k (axis,) and omega = 0."""
        numbers, w = self.spectrum
        v = self.velocity
        magnitude = np.outer(self.share, numbers)
        flow = magnitude.sum(axis=1) @ v
        per = magnitude / (magnitude.sum() - v @ flow)[:, None]
        f = w + (v @ k)[:, None]
        tensor = np.einsum("mg,ma,mb->ab", per, v, v)
        vector = np.einsum("mg,mg,ma->a", per, f, v)
        inverse = np.linalg.inv(np.eye(self.axes) + tensor)
        value = 0.5 * (float((per * f * f).sum()) - vector @ inverse @ vector)
        first = vector - tensor @ inverse @ vector
        second = tensor - tensor @ inverse @ tensor
        mu = self.strength
        return float((magnitude * w).sum() + flow @ k), flow, value / mu, first / mu, second / mu

    def wave_number(self) -> NDArray[np.float64]:
        """k along x at which c is the given tilt, (axis,)."""
        k = np.zeros(self.axes)
        for _ in range(50):
            f, flow, q, first, _ = self.expansion(k)
            k[0] -= (f - 2.0 * self.tilt * q) / (flow[0] - 2.0 * self.tilt * first[0])
        return k

    def flux(self, k: NDArray[np.float64]) -> NDArray[np.float64]:
        """B . D_1 (axis,)."""
        f, flow, q, first, _ = self.expansion(k)
        c = 0.5 * f / q
        return np.asarray(c * flow + (1.0 - c * c) * first)

    def hessian(self, k: NDArray[np.float64]) -> NDArray[np.float64]:
        """d^2 Phi*/dk dk (axis, axis)."""
        f, flow, q, first, second = self.expansion(k)
        c = 0.5 * f / q
        slope = flow - 2.0 * c * first
        return np.asarray((1.0 - c * c) * second + np.outer(slope, slope) / (2.0 * q))

    def closure(self, places: Places) -> PhaseClosure:
        """Upper levels are occupied."""
        numbers, w = self.spectrum
        v, n = self.velocity, self.share.size
        positive = np.unique(np.abs(w))
        level = np.stack([0.5 * positive, -0.5 * positive], axis=-1)[None]
        populations = np.zeros((1, n, 2, positive.size, 2))
        for number, frequency in zip(numbers, w, strict=True):
            group = int(np.searchsorted(positive, abs(frequency)))
            populations[0, :, 0 if frequency > 0.0 else 1, group, 1] = abs(number) * self.share
        weight = np.concatenate([np.ones((1, n)), v.T])[None]
        return PhaseClosure(
            places.size,
            level,
            level,
            np.zeros((1, self.axes + 1, 4)),
            weight,
            v[None],
            populations,
            np.ones(positive.size),
            self.strength,
        )

    def seed(self, places: Places) -> ClosureState:
        """The states with the flux c N_1 along x."""
        closure = self.closure(one_place())
        numbers, _ = self.spectrum
        magnitude = np.outer(self.share, numbers).sum(axis=1)
        state = closure.empty()
        along = np.array([self.tilt, np.sqrt(1.0 - self.tilt**2), 0.0]) / ROOT2
        state.unknowns[:] = np.outer(closure.weight[0] @ magnitude, along).reshape(1, -1)
        multiplier = np.zeros((1, self.axes + 1, 1))
        multiplier[0, 1:, 0] = self.wave_number() / ROOT2
        state.multiplier[:] = multiplier
        given = np.array([[self.flux(self.wave_number())[0] / ROOT2]])
        state = solved(closure, state, multiplier, given=1, charge=given)
        return state.take(np.zeros(places.size, dtype=np.int64))


# two and three flavours


@dataclass(frozen=True)
class TiltedGas:
    """Net neutrinos of two energies in five directions, in moving matter, at a strength where all go along together.

    One level is occupied, so that all density matrices lie near one pure state away from the axes of the charges.
    """

    n_flavors: int
    width: float = 0.0  #: half of a bin's width over its energy
    strength: float = 4.0
    matter: tuple[float, float, float] = (0.1, 0.2, -0.1)  #: velocity over c

    def closure(self, places: Places) -> PhaseClosure:
        """Directions around axis 0, neutrinos in their upper level and fewer antineutrinos in theirs."""
        v = np.array([[2.0, 0.3, 0.1], [2.5, -1.0, 0.5], [3.0, 0.2, -1.4], [2.2, 1.1, 0.6], [2.8, -0.5, -0.7]])
        v /= np.linalg.norm(v, axis=1)[:, None]
        splitting = np.diag([-0.5, 0.5] if self.n_flavors == 2 else [-0.5, -0.3, 0.8])
        axes, external = make_medium(
            "mass",
            vacuum=pack(np.array([0.6, 1.4])[:, None, None] * splitting),
            matter_potential=0.05,
            matter_velocity=np.array(self.matter),
            bin_ratio=np.array([[1.0 - self.width, 1.0 + self.width]] * 2),
        )
        weight = np.array([0.6, 0.8, 0.7, 0.9, 0.5])
        orders = np.concatenate([np.ones((5, 1)), v], axis=1)
        populations = np.zeros((1, 5, 2, 2, self.n_flavors))
        populations[0, :, 0, :, -1] = np.array([0.8, 0.6, 0.9, 0.5, 0.7])[:, None]
        populations[0, :, 1, :, -1] = 0.3
        return PhaseClosure(
            places.size,
            axes.low,
            axes.high,
            external,
            np.ascontiguousarray((weight[:, None] * orders).T[None]),
            v[None],
            populations,
            np.ones(2),
            self.strength,
        )

    def seed(self, places: Places) -> ClosureState:
        """The state with the flux of the pure state along axis 0 and k along it."""
        closure = self.closure(one_place())
        n = self.n_flavors
        d = n * n - 1
        vector = np.array([0.6, 0.8]) if n == 2 else np.array([0.4, 0.5, 0.768])
        occupied = closure.populations[0, ..., -1]
        flow = closure.weight[0] @ (occupied[:, 0] - occupied[:, 1]).sum(axis=1)
        # k turns with the synchronised frequency
        turning = np.zeros((1, n * n))
        turning[0, :n] = (closure.weight[0, 0] @ occupied.sum(axis=1)) @ closure.low[0] / (1.0 - self.width)
        x, y = np.empty(d), np.empty(d)
        to_coordinates(pack(np.outer(vector, vector) - np.eye(n) / n)[None], n, x)
        to_coordinates(turning, n, y)
        state = closure.empty()
        state.unknowns[0] = np.outer(flow, x).ravel()
        state.multiplier[0, 1] = -y[: n - 1] / flow[1]
        state = solved(closure, state, state.multiplier, given=1, charge=(flow[1] * x[: n - 1])[None])
        return state.take(np.zeros(places.size, dtype=np.int64))


# the bulb


@dataclass
class SphericalMedium:
    """A bulb's rays in coordinates (r) or (r, theta), with the populations of its stationary state.

    The spherical answer: r^2 Tr(Q D_1r) is what comes in, and k_r(r) follows from the alignment at every r. `table`
    holds the states on the branch at many radii.
    """

    bulb: Bulb
    azimuths: int  #: half a circle of them around each cone; 0: only the radial axis is followed
    outer: float
    populations: NDArray[np.float64] = field(init=False)  #: (direction, species, group, level)
    flow: float = field(init=False)  #: r^2 Tr(Q D_1r), cm^-1
    radii: NDArray[np.float64] = field(init=False)
    table: ClosureState = field(init=False)
    low: NDArray[np.float64] = field(init=False)
    high: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        case, mixing, emitted = self.bulb.case(_alone())
        cell = mixing.cells.take(np.zeros(1, dtype=np.int64))
        begun = start_branches(cell, emitted[None])
        self.low, self.high = cell.axes.low, cell.axes.high
        self.populations = np.repeat(begun.populations[..., :2], max(self.azimuths, 1), axis=1).copy()
        given = mixing.transport.inner
        assert given is not None
        share = case.angles.face_area[0]
        self.flow = float(np.einsum("m,sg,msg->", share, mixing.transport.number, given[..., 0]))
        # from the first cell outwards; a state differs little from the one before
        first = float(case.mesh.center[0])
        guess = self._closure(np.array([first])).empty()
        # D_0 and D_1r; the charge among them is replaced by the flux
        x = np.where(cell.held, begun.charges[:, :1], begun.unknowns)
        guess.unknowns[:, :6] = x
        # H - lambda Q of given densities is H + v k Q with v next to one
        guess.multiplier[0, 1] = -cell.multipliers(begun.unknowns)[0, :1]
        states, radii, step = [self.at(np.array([first]), guess)], [first], LARGEST_STEP
        while radii[-1] < self.outer:
            r = min(radii[-1] * np.exp(step), self.outer)
            try:
                found = self.at(np.array([r]), states[-1])
                tilts = (
                    float(self._closure(np.array([x])).tilt(s)[0]) for x, s in ((radii[-1], states[-1]), (r, found))
                )
                if not next(tilts) < 2.0 * next(tilts):
                    raise ConvergenceError(f"seed of the phase: the branch without a phase at r = {r:g}")
            except ConvergenceError:
                # where the state begins to tilt it changes fast
                if step < 1.0e-3 * LARGEST_STEP:
                    raise
                step *= 0.5
                continue
            states.append(found)
            radii.append(r)
            step = min(2.0 * step, LARGEST_STEP)
        self.radii, self.table = np.array(radii), joined(states)

    def at(self, r: NDArray[np.float64], guess: ClosureState) -> ClosureState:
        """The spherical answer at radii (place,)."""
        closure = self._closure(r)
        multiplier = np.zeros((r.size, closure.orders, 1))
        return solved(closure, guess, multiplier, given=1, charge=(self.flow / r**2)[:, None])

    def exact(self, r: NDArray[np.float64]) -> ClosureState:
        """The spherical answer at any radii of the table's range."""
        nearest = np.abs(np.log(self.radii)[:, None] - np.log(r)).argmin(axis=0)
        return self.at(r, self.table.take(nearest))

    def phase(self, r: NDArray[np.float64], begin: float) -> NDArray[np.float64]:
        """phi = - integral of k_r from `begin` to radii (place,), by Gauss-Legendre quadrature between the radii."""
        x, w = roots_legendre(4)
        ends = np.concatenate([[begin], r])
        middle, half = 0.5 * (ends[1:] + ends[:-1]), 0.5 * np.diff(ends)
        nodes = middle[:, None] + half[:, None] * x
        k = self.exact(nodes.ravel()).multiplier[:, 1, 0].reshape(nodes.shape)
        return np.asarray(-np.cumsum(half * (k @ w)))

    def second(self, r: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """d^2 Phi*/dk_r^2 and d^2 Phi*/dk_theta^2 of the spherical answer at radii."""
        hessian = self.exact(r).hessian[:, :, 0, :, 0]
        return hessian[:, 1, 1], hessian[:, 2, 2]

    def _closure(self, r: NDArray[np.float64]) -> PhaseClosure:
        bulb, n = self.bulb, self.bulb.angles
        # rays with u = sin^2 at the sphere; w_0 v = (R/r)^2 du/2 as of `AngularGrid.bulb`
        square = (bulb.radius / r[:, None]) ** 2 * (np.arange(n) + 0.5) / n
        cosine = np.sqrt(1.0 - square)
        weight = 0.5 * (bulb.radius / r[:, None]) ** 2 / (n * cosine)
        if self.azimuths:
            turn = np.cos((np.arange(self.azimuths) + 0.5) * np.pi / self.azimuths)
            sideways = (np.sqrt(square)[:, :, None] * turn).reshape(r.size, n * self.azimuths)
            cosine, weight = (np.repeat(x, self.azimuths, axis=1) for x in (cosine, weight / self.azimuths))
            velocity = np.stack([cosine, sideways], axis=2)
        else:
            velocity = cosine[:, :, None]
        orders = np.concatenate([np.ones((*cosine.shape, 1)), velocity], axis=2)
        groups = bulb.frequency.size
        return PhaseClosure(
            r.size,
            self.low,
            self.high,
            np.zeros((1, orders.shape[2], 4)),
            np.ascontiguousarray(np.swapaxes(weight[:, :, None] * orders, 1, 2)),
            velocity,
            self.populations,
            np.full(groups, 2.0),
            bulb.strength,
        )

    def closure(self, places: Places) -> PhaseClosure:
        """Rays at the places."""
        return self._closure(places.coordinates[:, 0])

    def seed(self, places: Places) -> ClosureState:
        """The spherical answer at the places."""
        return self.exact(places.coordinates[:, 0])


def joined(states: Sequence[ClosureState]) -> ClosureState:
    """One batch of several."""
    return ClosureState(*(np.concatenate([getattr(s, name) for s in states]) for name in vars(states[0])))
