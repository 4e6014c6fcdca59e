"""Local closure of the phase equation: density and flux of the charges of given frequencies and phase gradients.

H_eff = H - sum_a (omega_a - v . k_a) Q_a (E3) with omega_a and the vectors k_a given; the aligned state has the charges
Tr(Q_a D_0) = - dPhi*/d omega_a and the fluxes Tr(Q_a D_1) = dPhi*/dk_a of a function Phi*, whose second derivatives say
of which type the equation div Tr(Q_a D_1) = Tr(Q_a C) for k_a = - grad phi_a is. docs/phase.md. Works on plain arrays,
for a batch of places, without a mesh or MPI.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ..alignment.charges import charge_axes
from ..alignment.report import CONVERGED, MAX_ITERATIONS, AlignmentReport
from ..errors import ConfigurationError
from ..kernels.phase_closure import solve_closures

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..alignment.charges import ChargeAxes

#: `given` of `PhaseClosure.solve`: no charge is given, all multipliers are.
MULTIPLIERS = -1
#: Transverse part of the moments over sum |weights n| below which all density matrices lie along the charges' axes.
PARALLEL = 1.0e-7


@dataclass
class ClosureState:
    """Aligned states of a batch of places, and the guess of the next ones.

    Orders: 0 is density or frequency, 1 + i flux or phase gradient along axis i. Fluxes are in cm^-3.
    """

    unknowns: NDArray[np.float64]  #: (place, order (N_f^2 - 1)) coordinates of D_0 and D_1 in the basis of the charges
    multiplier: NDArray[np.float64]  #: (place, order, charge) omega_a and k_a, cm^-1
    charge: NDArray[np.float64]  #: (place, order, charge) Tr(Q_a D_order), cm^-3
    response: NDArray[np.float64]  #: (place, order, charge, order, charge) dTr(Q_a D_l)/d lambda_mb, cm^-2
    status: NDArray[np.int64]  #: (place,) codes of `alignment.report`
    iterations: NDArray[np.int64]  #: (place,) Newton updates
    residual: NDArray[np.float64]  #: (place,) |D_out - D| over sum |weights n|

    @property
    def report(self) -> AlignmentReport:
        """Status in words."""
        return AlignmentReport(self.status, self.iterations, self.residual)

    @property
    def hessian(self) -> NDArray[np.float64]:
        """d^2 Phi*/d lambda d lambda (place, order, charge, order, charge), symmetric: response, minus for density."""
        out = self.response.copy()
        out[:, 0] *= -1.0
        return out

    def take(self, places: NDArray[np.int64]) -> ClosureState:
        """Copies of some of the states."""
        return ClosureState(*(getattr(self, f.name)[places] for f in fields(self)))


@dataclass(frozen=True)
class PhaseClosure:
    """What a batch of places is made of; every array has one row for each place, or one for all.

    Raises
    ------
    ConfigurationError
        If shapes do not fit.
    """

    places: int  #: number of places
    low: NDArray[np.float64]  #: (place, group, N_f) diagonal vacuum term at the bins' lower ends of 1/2E, cm^-1
    high: NDArray[np.float64]  #: (place, group, N_f) the same at the upper ends
    #: (place, order, N_f^2) packed, external_0 - v . external in the basis of the charges, cm^-1
    external: NDArray[np.float64]
    weight: NDArray[np.float64]  #: (place, order, direction) w and w v_i
    velocity: NDArray[np.float64]  #: (place, direction, axis)
    populations: NDArray[np.float64]  #: (place, direction, species, group, level)
    number_weight: NDArray[np.float64]  #: (group,) cm^-3
    strength: float  #: sqrt 2 G_F, cm^2
    parts: int = 1  #: intervals that an energy bin is divided into (three flavours only; two are exact)

    def __post_init__(self) -> None:
        directions, axes = self.velocity.shape[-2:]
        groups, n = self.low.shape[-2:]
        if n not in (2, 3) or not 1 <= axes <= 3:
            raise ConfigurationError(f"{n} flavours and {axes} axes; accepted: 2 or 3 flavours, 1 to 3 axes")
        for name, expected in (
            ("low", (groups, n)),
            ("high", (groups, n)),
            ("external", (axes + 1, n * n)),
            ("weight", (axes + 1, directions)),
            ("velocity", (directions, axes)),
            ("populations", (directions, 2, groups)),
        ):
            shape = getattr(self, name).shape
            tail = shape[1:-1] if name == "populations" else shape[1:]
            if tail != expected or shape[0] not in (1, self.places) or (name == "populations" and shape[-1] < n):
                raise ConfigurationError(
                    f"{name} has shape {shape}; accepted: ({self.places} or 1, {', '.join(map(str, expected))}"
                    + (f", {n} or more)" if name == "populations" else ")")
                )
        if self.number_weight.shape != (groups,) or self.parts < 1:
            raise ConfigurationError(
                f"number_weight has shape {self.number_weight.shape}, parts is {self.parts}; accepted: ({groups},), "
                ">= 1"
            )

    @property
    def orders(self) -> int:
        """1 + number of axes."""
        return int(self.velocity.shape[-1]) + 1

    @property
    def n_flavors(self) -> int:
        """Number of mixing flavours."""
        return int(self.low.shape[-1])

    @property
    def charges(self) -> int:
        """Number of charges, N_f - 1."""
        return self.n_flavors - 1

    @property
    def scale(self) -> NDArray[np.float64]:
        """(place,) sum w_0 N_g (tr n + tr nbar), which bounds density and flux, cm^-3."""
        n = np.abs(self.populations[..., : self.n_flavors]).sum(axis=(2, 4)) @ self.number_weight
        total: NDArray[np.float64] = (np.abs(self.weight[:, 0]) * n).sum(axis=1)
        return np.broadcast_to(total, (self.places,))

    def take(self, places: NDArray[np.int64]) -> PhaseClosure:
        """Some of the places."""
        rows = {name: getattr(self, name) for name in _ROWS}
        rows = {name: row if len(row) == 1 and self.places != 1 else row[places] for name, row in rows.items()}
        return replace(self, places=len(places), **rows)

    def empty(self) -> ClosureState:
        """States of zero moments, not converged: a place to put guesses."""
        c, n, a = self.places, self.orders, self.charges
        return ClosureState(
            np.zeros((c, n * (self.n_flavors**2 - 1))),
            np.zeros((c, n, a)),
            np.zeros((c, n, a)),
            np.zeros((c, n, a, n, a)),
            np.full(c, MAX_ITERATIONS, dtype=np.int64),
            np.zeros(c, dtype=np.int64),
            np.full(c, np.inf),
        )

    def solve(
        self,
        guess: ClosureState,
        multiplier: NDArray[np.float64],
        *,
        given: int = MULTIPLIERS,
        charge: NDArray[np.float64] | None = None,
        tolerance: float = 1.0e-12,
        max_iterations: int = 50,
    ) -> ClosureState:
        """D_l = sum w_l density_matrix(H_eff) at the multipliers (place, order, charge): the states next to the guess.

        With ``given`` an order (1 + i: the flux along axis i), charge (place, charge) is what Tr(Q_a D_given) is to be,
        and the multipliers of that order are found. Places that fail keep the guess; the status names them.
        """
        c, a = self.places, self.charges
        if multiplier.shape != (c, self.orders, a) or not MULTIPLIERS <= given < self.orders:
            raise ConfigurationError(
                f"multipliers have shape {multiplier.shape}, given is {given}; accepted: {(c, self.orders, a)}, -1 to "
                f"{self.orders - 1}"
            )
        target = np.zeros((c, a)) if charge is None else np.ascontiguousarray(charge, dtype=np.float64)
        if target.shape != (c, a) or guess.unknowns.shape[0] != c:
            raise ConfigurationError(
                f"charge has shape {target.shape}, the guess {guess.unknowns.shape[0]} places; accepted: {(c, a)}, {c}"
            )
        lam = np.array(multiplier, dtype=np.float64)
        if given >= 0:
            lam[:, given] = guess.multiplier[:, given]
        old = guess.charge[:, max(given, 0)].copy()
        out = replace(
            guess,
            unknowns=guess.unknowns.copy(),
            charge=guess.charge.copy(),
            response=guess.response.copy(),
            status=np.empty(c, dtype=np.int64),
            iterations=np.empty(c, dtype=np.int64),
            residual=np.empty(c),
        )
        blocks = out.response.reshape(c, self.orders * a, self.orders * a)
        solve_closures(
            out.unknowns, target, lam, old, guess.multiplier, guess.status == CONVERGED, given, self.populations,
            self.weight, self.velocity, self.number_weight, self.low, self.high, self.external, self.strength,
            self.n_flavors, self.parts, tolerance, max_iterations, out.charge, blocks, out.status, out.iterations,
            out.residual,
        )  # fmt: skip
        out.response = blocks.reshape(out.response.shape)
        out.multiplier = np.where((out.status == CONVERGED)[:, None, None], lam, guess.multiplier)
        return out

    def tilt(self, state: ClosureState) -> NDArray[np.float64]:
        """(place,) transverse part of D_0 and D_1 over sum |weights n|; at most `PARALLEL`: nothing has a phase."""
        d, n = self.n_flavors**2 - 1, self.n_flavors
        x = state.unknowns.reshape(self.places, self.orders, d)[..., n - 1 :]
        size: NDArray[np.float64] = np.sqrt((x**2).sum(axis=(1, 2))) / self.scale
        return size

    def potential(self, state: ClosureState) -> NDArray[np.float64]:
        """(place,) Phi* = sum w Tr(n H_eff) - strength/2 (Tr D_0^2 - Tr D_i^2), cm^-4, two flavours.

        Raises
        ------
        ConfigurationError
            For three flavours, whose averages over bins have no closed form.
        """
        if self.n_flavors != 2:
            raise ConfigurationError("the closure's potential: accepted for two flavours")
        d = state.unknowns.reshape(self.places, self.orders, 3)
        sign = np.concatenate([np.ones((*self.velocity.shape[:2], 1)), -self.velocity], axis=2)
        fields_ = self.strength * d
        fields_[..., :1] -= state.multiplier
        e = self.external
        fields_ = fields_ + np.stack(
            [(e[..., 0] - e[..., 1]) / np.sqrt(2.0), np.sqrt(2.0) * e[..., 2], np.sqrt(2.0) * e[..., 3]], axis=-1
        )
        # along a ray h = coordinates/sqrt 2
        h = np.einsum("cmo,cod->cmd", sign, fields_) / np.sqrt(2.0)
        total = np.zeros(self.places)
        p2 = (h[..., 1:] ** 2).sum(axis=-1)[..., None]
        for species, s in ((0, 1.0), (1, -1.0)):
            a, b = (h[..., :1] + 0.5 * s * (x[..., 0] - x[..., 1])[:, None, :] for x in (self.low, self.high))
            length = _mean_length(a, b, p2)
            f = self.populations[:, :, species]
            half = s * (f[..., 1] - f[..., 0]) * self.number_weight
            total = total + np.einsum("cm,cmg->c", self.weight[:, 0], half * length)
        return np.asarray(total - 0.5 * self.strength * ((d[:, 0] ** 2).sum(axis=1) - (d[:, 1:] ** 2).sum(axis=(1, 2))))


_ROWS = ("low", "high", "external", "weight", "velocity", "populations")


def _mean_length(a: NDArray[np.float64], b: NDArray[np.float64], p2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average of sqrt(z^2 + p^2) over z = a .. b: [z r + p^2 asinh(z/p)]/(2 (b - a))."""
    width = b - a
    r_a, r_b = np.sqrt(a * a + p2), np.sqrt(b * b + p2)
    p = np.sqrt(p2)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (b * r_b - a * r_a + p2 * (np.arcsinh(b / p) - np.arcsinh(a / p))) / (2.0 * width)
        flat = (b * np.abs(b) - a * np.abs(a)) / (2.0 * width)
    mean = np.where(p > 0.0, mean, flat)
    return np.where(np.abs(width) > 1.0e-9 * (r_a + r_b), mean, np.sqrt((0.5 * (a + b)) ** 2 + p2))


def medium(
    kind: str,
    *,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_velocity: ArrayLike = 0.0,
    bin_ratio: ArrayLike | None = None,
    places: int = 1,
    axes: int = 3,
) -> tuple[ChargeAxes, NDArray[np.float64]]:
    """Axes of the charges, and `PhaseClosure.external` on all axes: what commutes with them of V (1 - beta . v) Pi_e.

    Arguments as of `charge_axes`, with matter_velocity (place, axis) over c.

    Raises
    ------
    ConfigurationError
        As `charge_axes`; and for charge "none" and "total", of which there is no phase equation here.
    """
    if kind not in ("mass", "flavor"):
        raise ConfigurationError(f"charge of the phase equation is {kind!r}; accepted: mass, flavor")
    beta = np.broadcast_to(np.asarray(matter_velocity, dtype=np.float64), (places, axes))
    made = [
        charge_axes(
            kind, vacuum=vacuum, matter_potential=matter_potential, matter_beta=beta[:, axis], cells=places,
            bin_ratio=bin_ratio,
        )
        for axis in range(axes)
    ]  # fmt: skip
    external = np.stack([made[0].external[:, 0], *(one.external[:, 1] for one in made)], axis=1)
    return made[0], np.ascontiguousarray(external)
