"""Mixing equilibrium: the state of largest entropy with given numbers, energy and charges, Eq. (9)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError, UnphysicalInputError
from ..flavor import pack, unpack
from ..kernels.alignment_batch_residual import from_coordinates_batch
from ..kernels.thermal_equilibrium import CHARGES, equilibrium_residuals, equilibrium_states
from .quantities import (
    charge_densities,
    coordinates,
    eigenvalues,
    energy,
    entropy,
    entropy_of_levels,
    external_field,
    hamiltonians,
    moments,
    numbers,
    phase_space_sum,
    zeroth_weight,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..alignment import Batch

CONVERGED, NO_DESCENT, MAX_ITERATIONS, NOT_FINITE, LESS_ENTROPY = range(5)
#: Names of the status codes, index = code.
STATUS_NAMES = ("converged", "no descent", "max iterations", "not finite", "less entropy than the input")

#: Branches, in the order in which they are tried; a later one must have more entropy by this, relatively.
BRANCHES = ("input", "path", "diagonal", "axis", "opposed", "axis 021", "axis 102", "axis 120", "axis 201", "tilted")
#: Eigenvalues of D_0 along the levels of the mean one-body Hamiltonian, for the starts of that kind.
_ORDERS: dict[int, dict[str, tuple[int, ...]]] = {
    2: {"axis": (0, 1), "opposed": (1, 0)},
    3: {
        "axis": (0, 1, 2), "opposed": (2, 1, 0), "axis 021": (0, 2, 1), "axis 102": (1, 0, 2), "axis 120": (1, 2, 0),
        "axis 201": (2, 0, 1),
    },
}  # fmt: skip
MORE = 1.0e-9
#: Entropy that may be missing against the input, relative to the entropy of both: round-off.
SECOND_LAW = 1.0e-9
#: Eigenvalues of the input this far outside of [0, 1] are round-off.
OCCUPATION_TOLERANCE = 1.0e-9
FIRST_STEP, SMALLEST_STEP = 0.25, 1.0e-4
SHORTEST = 1.0e-6  #: of a step, in the line search
POLISHING = 2
#: A step whose residual is not smaller than the last one by this is compared with D_out of where it leads.
RETURN = 0.1
RANK = 1.0e-12  #: singular values below this are no directions
TILT = 0.3


@dataclass
class Equilibrium:
    """What was found, cell by cell."""

    status: NDArray[np.int64]  #: (cell,) codes, see STATUS_NAMES
    residual: NDArray[np.float64]  #: (cell,) largest relative residual of D, energy and charges
    iterations: NDArray[np.int64]  #: (cell,) Newton steps of all starts together
    branch: NDArray[np.int64]  #: (cell,) start that led here, see BRANCHES
    branches: NDArray[np.int64]  #: (cell,) number of different solutions that were found
    inverse_temperature: NDArray[np.float64]  #: (cell,) beta in cm, of either sign
    multipliers: NDArray[np.float64]  #: (cell, charge) lambda_a
    degeneracy: NDArray[np.float64]  #: (cell, direction, species, group) beta mu_p (beta mubar_p)
    density_matrix: NDArray[np.float64]  #: (cell, direction, species, group, N_f^2 + spectators) packed
    moments: NDArray[np.float64]  #: (cell, order, N_f^2) D_0 and D_1, cm^-3
    entropy: NDArray[np.float64]  #: (cell,) cm^-3
    entropy_before: NDArray[np.float64]  #: (cell,) of the input, cm^-3
    comparable: NDArray[np.bool_]  #: (cell,) the constraints are those of the input: entropy must not be less
    failures: NDArray[np.int64] = field(init=False)  #: cells without a solution; they hold the input

    def __post_init__(self) -> None:
        self.failures = np.flatnonzero(self.status != CONVERGED)

    @property
    def successful(self) -> bool:
        """Whether every cell has a solution."""
        return self.failures.size == 0

    @property
    def second_law(self) -> str:
        """What S[eq] >= S[in] says: "holds", "violated", or "does not apply" where constraints are not the input's."""
        if not self.comparable.any():
            return "does not apply"
        return "violated" if (self.status[self.comparable] == LESS_ENTROPY).any() else "holds"

    def describe_failures(self, limit: int = 5) -> str:
        """The failed cells with status and residual in words."""
        parts = [
            f"cell {int(c)}: {STATUS_NAMES[int(self.status[c])]}, relative residual {self.residual[c]:.3e}"
            for c in self.failures[:limit]
        ]
        if self.failures.size > limit:
            parts.append(f"and {self.failures.size - limit} more cells")
        return "; ".join(parts)


@dataclass
class _System:
    """The equations of some cells in the kernels' form, with scales; `free` says which unknowns there are."""

    numbers: NDArray[np.float64]
    weight_0: NDArray[np.float64]
    velocity: NDArray[np.float64]
    number_weight: NDArray[np.float64]
    vacuum: NDArray[np.float64]
    external: NDArray[np.float64]
    charges: NDArray[np.float64]  #: (cell, CHARGES, d)
    strength: float
    n_flavors: int
    energy: NDArray[np.float64]
    charge: NDArray[np.float64]
    free: NDArray[np.bool_]  #: (cell, unknown)
    unit: NDArray[np.float64]  #: (cell, unknown)
    residual_unit: NDArray[np.float64]  #: (cell, unknown)

    @property
    def cells(self) -> int:
        return int(self.numbers.shape[0])

    @property
    def size(self) -> int:
        """Number of coordinates of the moments; beta is the next unknown, then the multipliers."""
        return int(self.external.shape[1] * self.external.shape[2])

    def take(self, cells: NDArray[np.int64], **changed: Any) -> _System:
        """Some cells, with arrays for them replaced."""
        kept = {
            name: value if name in ("number_weight", "vacuum", "strength", "n_flavors") else value[cells]
            for name, value in self.__dict__.items()
        }
        return _System(**(kept | changed))

    def evaluate(
        self, y: NDArray[np.float64], *, with_jacobian: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Residual and Jacobian in units of the scales; rows of what is given say nothing."""
        unknowns = y.shape[1]
        residual = np.empty((self.cells, unknowns))
        jacobian = np.empty((self.cells, unknowns, unknowns))
        equilibrium_residuals(
            y, self.numbers, self.weight_0, self.velocity, self.number_weight, self.vacuum, self.external,
            self.charges, self.strength, self.n_flavors, self.energy, self.charge, with_jacobian, residual, jacobian,
        )  # fmt: skip
        residual = np.where(self.free, residual / self.residual_unit, 0.0)
        if with_jacobian:
            jacobian *= self.unit[:, None, :] / self.residual_unit[:, :, None]
            both = self.free[:, :, None] & self.free[:, None, :]
            jacobian = np.where(both, jacobian, np.eye(unknowns))
        return residual, jacobian

    def newton(
        self, y: NDArray[np.float64], tolerance: float, max_iterations: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Damped Newton of all cells side by side, y in place: status, largest residual, steps."""
        status = np.full(self.cells, MAX_ITERATIONS, dtype=np.int64)
        size = np.full(self.cells, np.inf)
        steps = np.zeros(self.cells, dtype=np.int64)
        active = np.arange(self.cells)
        system = self
        work = np.ascontiguousarray(y)
        for count in range(max_iterations + 1):
            f, j = system.evaluate(work, with_jacobian=True)
            worst = np.abs(f).max(axis=1, initial=0.0)
            size[active] = worst
            y[active] = work
            status[active[worst <= tolerance]] = CONVERGED
            status[active[~np.isfinite(worst) | ~np.isfinite(j).all(axis=(1, 2))]] = NOT_FINITE
            going = (worst > tolerance) & (status[active] == MAX_ITERATIONS)
            if count == max_iterations or not going.any():
                break
            rows = np.flatnonzero(going)
            active, work, f, j = active[rows], work[rows], f[rows], j[rows]
            system = system.take(rows)
            step = -_solve(j, f) * system.unit
            work, moved = system._search(work, step, f)
            steps[active] += 1
            stuck = active[~moved]
            status[stuck] = NO_DESCENT
            rows = np.flatnonzero(moved)
            active, work, system = active[rows], np.ascontiguousarray(work[rows]), system.take(rows)
            if active.size == 0:
                break
        # a residual that cannot fall any more may be round-off
        stuck = np.flatnonzero((status == NO_DESCENT) & (size <= 30.0 * tolerance))
        status[stuck] = CONVERGED
        return status, size, steps

    def polish(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Newton steps beyond the tolerance, in place and where they help: rho feels D through beta strength."""
        worst = np.full(self.cells, np.inf)
        step = np.zeros_like(y)
        for _ in range(POLISHING + 1):
            trial = np.ascontiguousarray(y + step)
            f, j = self.evaluate(trial, with_jacobian=True)
            size = np.abs(f).max(axis=1, initial=0.0)
            better = size < worst
            y[better], worst[better] = trial[better], size[better]
            usable = better & np.isfinite(j).all(axis=(1, 2))
            step[:] = 0.0
            if usable.any():
                step[usable] = -(_solve(j[usable], f[usable]) * self.unit[usable])
        return worst

    def _search(
        self, y: NDArray[np.float64], step: NDArray[np.float64], f: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Quarter steps until the norm of the residual falls; (new y, whether it fell)."""
        before = np.linalg.norm(f, axis=1)
        factor = np.ones(self.cells)
        moved = np.zeros(self.cells, dtype=bool)
        out = y.copy()
        waiting = np.arange(self.cells)
        while waiting.size:
            trial = y[waiting] + factor[waiting, None] * step[waiting]
            part = self.take(waiting)
            new, _ = part.evaluate(np.ascontiguousarray(trial), with_jacobian=False)
            after = np.linalg.norm(new, axis=1)
            rows = np.flatnonzero((after > RETURN * before[waiting]) & np.isfinite(after))
            if rows.size:
                # |D| nearly fixed, direction nearly free: a straight step leaves that surface, D_out lies on it
                back = trial[rows]
                back[:, : self.size] += (new * part.residual_unit)[rows, : self.size]
                other, _ = part.take(rows).evaluate(np.ascontiguousarray(back), with_jacobian=False)
                size = np.linalg.norm(other, axis=1)
                better = size < after[rows]
                trial[rows[better]], after[rows[better]] = back[better], size[better]
            good = after < before[waiting] * (1.0 - 1.0e-4 * factor[waiting])
            out[waiting[good]] = trial[good]
            moved[waiting[good]] = True
            waiting = waiting[~good]
            factor[waiting] *= 0.25
            waiting = waiting[factor[waiting] >= SHORTEST]
        return out, moved

    def at_fixed_moments(self) -> _System:
        """The same for beta and the multipliers alone: a convex problem."""
        free = self.free.copy()
        free[:, : self.size] = False
        return self.take(np.arange(self.cells), free=free)


def _solve(matrices: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions of the linear systems; of least norm where a matrix is singular (a free common phase)."""
    try:
        out = np.linalg.solve(matrices, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        out = np.full_like(right, np.nan)
    left = np.linalg.norm(np.einsum("cij,cj->ci", matrices, out) - right, axis=1)
    bad = ~(left <= 1.0e-8 * np.linalg.norm(right, axis=1))
    if bad.any():
        inverse = np.linalg.pinv(matrices[bad], rcond=RANK)
        out[bad] = np.einsum("cij,cj->ci", inverse, right[bad])
    return out


def _system(
    density_matrix: NDArray[np.float64],
    batch: Batch,
    charges: NDArray[np.float64] | None,
    given_energy: NDArray[np.float64] | None,
    given_charges: NDArray[np.float64] | None,
    inverse_temperature: NDArray[np.float64] | None,
) -> tuple[_System, NDArray[np.float64]]:
    """The equations, and the unknowns (cell, unknown) at the input's moments with zero multipliers."""
    n, cells = batch.n_flavors, batch.cells
    d = n * n - 1
    weight_0 = zeroth_weight(batch)
    velocity = np.ascontiguousarray(np.broadcast_to(batch.velocity, (cells, *batch.velocity.shape[1:])))
    external = coordinates(external_field(batch), n)
    vacuum = coordinates(batch.vacuum, n)
    number = np.clip(numbers(density_matrix, n), 0.0, float(n))
    d_in = moments(density_matrix, batch)
    x = coordinates(d_in, n).reshape(cells, -1)
    matrices = np.zeros((cells, CHARGES, d))
    q = np.zeros((cells, CHARGES))
    held = np.zeros((cells, CHARGES), dtype=bool)
    if charges is not None:
        count = charges.shape[1]
        matrices[:, :count] = coordinates(charges, n)
        held[:, :count] = (np.abs(matrices[:, :count]) > 0.0).any(axis=2)
        q[:, :count] = charge_densities(density_matrix, charges, batch) if given_charges is None else given_charges
        # the trace of D_0 is fixed by the numbers: only the traceless part of a charge is one
        trace = charges[..., :n].sum(axis=-1) / n * d_in[:, 0, :n].sum(axis=-1)[:, None]
        q[:, :count] -= trace
    total = phase_space_sum(np.minimum(number, n - number), batch, signed=False)
    h = coordinates(hamiltonians(d_in, batch), n)
    free_number = np.minimum(number, n - number)
    size_h = phase_space_sum(free_number * np.linalg.norm(h, axis=-1), batch, signed=False)
    total = np.where(total > 0.0, total, 1.0)
    size_h = np.where(size_h > 0.0, size_h, total)
    unknowns = x.shape[1] + 1 + CHARGES
    free = np.ones((cells, unknowns), dtype=bool)
    free[:, x.shape[1]] = inverse_temperature is None
    free[:, x.shape[1] + 1 :] = held
    unit = np.ones((cells, unknowns))
    unit[:, : x.shape[1]] = total[:, None]
    unit[:, x.shape[1]] = total / size_h
    residual_unit = np.ones((cells, unknowns))
    residual_unit[:] = total[:, None]
    residual_unit[:, x.shape[1]] = size_h
    y = np.zeros((cells, unknowns))
    y[:, : x.shape[1]] = x
    wanted = energy(density_matrix, batch).mixing if given_energy is None else given_energy
    if inverse_temperature is not None:
        y[:, x.shape[1]] = inverse_temperature
    system = _System(
        np.ascontiguousarray(number), weight_0, velocity, np.ascontiguousarray(batch.number_weight), vacuum,
        np.ascontiguousarray(external), matrices, batch.strength, n, np.array(wanted, dtype=np.float64), q, free, unit,
        residual_unit,
    )  # fmt: skip
    return system, y


def _path(
    system: _System, target: NDArray[np.float64], linear: NDArray[np.float64], tolerance: float, max_iterations: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Follow the equilibrium from infinite temperature, where it is unique, to the constraints.

    Polarisations of the input times t have the charges q t and the energy linear t + (energy - linear) t^2; a given
    beta becomes beta t. Every t therefore has a state that obeys the constraints.
    """
    cells, size = system.cells, system.size
    y = np.zeros_like(target)
    status = np.full(cells, MAX_ITERATIONS, dtype=np.int64)
    worst = np.full(cells, np.inf)
    steps = np.zeros(cells, dtype=np.int64)
    reached, stride = np.zeros(cells), np.full(cells, FIRST_STEP)
    fixed_beta = ~system.free[:, size]
    active = np.arange(cells)
    while active.size:
        t = np.minimum(reached[active] + stride[active], 1.0)
        quadratic = system.energy[active] - linear[active]
        part = system.take(
            active, energy=linear[active] * t + quadratic * t**2, charge=system.charge[active] * t[:, None]
        )
        trial = y[active].copy()
        trial[:, size] = np.where(fixed_beta[active], target[active, size] * t, trial[:, size])
        code, left, count = part.newton(trial, tolerance, max_iterations)
        steps[active] += count
        good = code == CONVERGED
        ok, bad = active[good], active[~good]
        y[ok], reached[ok] = trial[good], t[good]
        worst[ok] = left[good]
        status[bad] = code[~good]
        stride[ok] *= 2.0
        stride[bad] *= 0.25
        status[ok[reached[ok] == 1.0]] = CONVERGED
        active = active[(reached[active] < 1.0) & (stride[active] >= SMALLEST_STEP)]
    return y, status, worst, steps


def _starts(
    system: _System, y: NDArray[np.float64], name: str, max_iterations: int, inner_tolerance: float
) -> NDArray[np.float64]:
    """First guesses of a branch: moments by its name, then beta and multipliers at these moments."""
    guess = y.copy()
    d = system.n_flavors**2 - 1
    part = guess[:, : system.size].reshape(system.cells, -1, d)
    if name == "diagonal":
        part[..., system.n_flavors - 1 :] = 0.0
    elif name in _ORDERS[system.n_flavors]:
        part[:] = _turned_to_axis(system, part, _ORDERS[system.n_flavors][name])
    elif name == "tilted":
        # a fixed direction off all axes: symmetric states have broken ones beside them
        size = np.linalg.norm(part, axis=2, keepdims=True) + 0.1 * system.unit[:, :1, None]
        wave = np.cos(1.0 + np.arange(d) * 2.4 + np.arange(part.shape[1])[:, None])
        part += TILT * size * wave
    system.at_fixed_moments().newton(guess, inner_tolerance, max_iterations)
    return guess


def _turned_to_axis(system: _System, part: NDArray[np.float64], order: tuple[int, ...]) -> NDArray[np.float64]:
    """All moments turned by one unitary matrix, so that D_0 commutes with the mean one-body Hamiltonian.

    Where self-interaction rules, every direction of D_0 is nearly a solution, and Newton would have to follow a
    strongly curved valley; the one-body part decides which of them are.
    """
    n = system.n_flavors
    room = system.numbers * (n - system.numbers) * system.number_weight
    weight = np.einsum("cmsg,cm->cmsg", room, system.weight_0)
    # the sum over both species of sigma rho follows X, so that vacuum terms count with their signs
    field_0 = np.einsum("cmsg,s,gk->ck", weight, np.array([1.0, -1.0]), system.vacuum)
    field_0 = field_0 + weight.sum(axis=(1, 2, 3))[:, None] * system.external[:, 0]
    field_0 = field_0 - np.einsum("cmsg,cma,cak->ck", weight, system.velocity, system.external[:, 1:])
    packed = np.zeros((part.shape[0], part.shape[1] + 1, n * n))
    given = np.ascontiguousarray(np.concatenate([field_0[:, None], part], axis=1))
    from_coordinates_batch(given.reshape(part.shape[0], -1), np.zeros(packed.shape[:2]), n, packed)
    full = unpack(packed)
    axis, own = (np.linalg.eigh(full[:, k])[1] for k in range(2))
    turn = (axis[..., order] @ np.conj(np.swapaxes(own, -1, -2)))[:, None]
    return coordinates(pack(turn @ full[:, 1:] @ np.conj(np.swapaxes(turn, -1, -2))), n)


def find_equilibrium(
    density_matrix: NDArray[np.float64],
    batch: Batch,
    *,
    charges: NDArray[np.float64] | None = None,
    given_energy: NDArray[np.float64] | None = None,
    given_charges: NDArray[np.float64] | None = None,
    inverse_temperature: NDArray[np.float64] | None = None,
    branches: tuple[str, ...] = BRANCHES,
    tolerance: float = 1.0e-12,
    max_iterations: int = 40,
) -> Equilibrium:
    """Solve Eq. (9) for every cell of a batch; see `equilibrium` for the arguments."""
    n = batch.n_flavors
    broken = ~np.isfinite(density_matrix).all(axis=(1, 2, 3, 4))
    handed, density_matrix = density_matrix, np.where(broken[:, None, None, None, None], 0.0, density_matrix)
    system, y = _system(density_matrix, batch, charges, given_energy, given_charges, inverse_temperature)
    cells, size = system.cells, system.size
    before = entropy(density_matrix, batch)
    comparable = np.full(cells, inverse_temperature is None and given_energy is None and given_charges is None)
    found_y = y.copy()
    status = np.full(cells, MAX_ITERATIONS, dtype=np.int64)
    residual = np.full(cells, np.inf)
    iterations = np.zeros(cells, dtype=np.int64)
    branch = np.full(cells, -1, dtype=np.int64)
    solutions = np.zeros(cells, dtype=np.int64)
    best = np.full(cells, -np.inf)
    scale = np.where(before > 0.0, before, 1.0)
    linear = energy(density_matrix, batch)
    one_body = linear.mixing - 0.5 * batch.strength * (
        (y[:, :size].reshape(cells, -1, n * n - 1) ** 2).sum(axis=2) @ np.r_[1.0, -np.ones(batch.orders - 1)]
    )
    out = np.array(density_matrix, dtype=np.float64, copy=True, order="C")
    degeneracy = np.zeros(out.shape[:-1])
    levels = np.empty((*out.shape[:-1], n))
    if given_energy is not None:
        one_body = np.zeros(cells)
    for number in range(len(BRANCHES)):
        name = BRANCHES[number]
        if name not in branches or (name.startswith("axis ") and n == 2):
            continue
        if name == "path":
            trial, code, left, count = _path(system, y, one_body, tolerance, max_iterations)
        else:
            trial = _starts(system, y, name, max_iterations, 1.0e-6)
            code, left, count = system.newton(trial, tolerance, max_iterations)
        iterations += count
        value = _massieu(system, trial, batch, levels, out, degeneracy)
        solved = code == CONVERGED
        apart = np.ones(cells, dtype=bool)
        np.greater(np.abs(value - best), MORE * scale, out=apart, where=np.isfinite(best) & np.isfinite(value))
        solutions += solved & apart
        better = solved & (value > best + MORE * scale)
        found_y[better], best[better], branch[better] = trial[better], value[better], number
        unsolved = status != CONVERGED
        take = better | (unsolved & (left < residual))
        status[take], residual[take] = code[take], left[take]
    status[broken] = NOT_FINITE
    failed = status != CONVERGED
    residual = np.where(failed, residual, system.polish(found_y))
    equilibrium_states(
        found_y, system.numbers, system.velocity, system.vacuum, system.external, system.charges, system.strength, n,
        out, levels, degeneracy,
    )  # fmt: skip
    out[failed] = handed[failed]
    after = np.where(failed, before, entropy_of_levels(np.concatenate([levels, out[..., n * n :]], axis=-1), batch))
    less = ~failed & comparable & (after < before - SECOND_LAW * np.maximum(before, after))
    status[less] = LESS_ENTROPY
    out[less], after[less] = density_matrix[less], before[less]
    beta = found_y[:, size].copy()
    multipliers = found_y[:, size + 1 : size + 1 + (0 if charges is None else charges.shape[1])]
    return Equilibrium(
        status, residual, iterations, branch, solutions, beta, multipliers.copy(), degeneracy, out,
        moments(out, batch), after, before, comparable,
    )  # fmt: skip


def _massieu(
    system: _System,
    y: NDArray[np.float64],
    batch: Batch,
    levels: NDArray[np.float64],
    out: NDArray[np.float64],
    degeneracy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What is largest in equilibrium: S with given energy, S - beta U with given beta; (cell,)."""
    equilibrium_states(
        y, system.numbers, system.velocity, system.vacuum, system.external, system.charges, system.strength,
        system.n_flavors, out, levels, degeneracy,
    )  # fmt: skip
    value = entropy_of_levels(levels, batch)
    fixed = ~system.free[:, system.size]
    if fixed.any():
        value = value - np.where(fixed, y[:, system.size] * energy(out, batch).mixing, 0.0)
    return value


def check_density_matrix(density_matrix: NDArray[np.float64], n_flavors: int) -> None:
    """Refuse density matrices whose eigenvalues are no occupations.

    Raises
    ------
    UnphysicalInputError
        If an eigenvalue lies outside of [0, 1].
    ConfigurationError
        If there are fewer than N_f^2 components.
    """
    if density_matrix.shape[-1] < n_flavors**2:
        raise ConfigurationError(
            f"density_matrix has {density_matrix.shape[-1]} components; accepted: {n_flavors**2} or more"
        )
    values = eigenvalues(density_matrix, n_flavors)
    worst = max(float(-values.min(initial=0.0)), float(values.max(initial=0.0)) - 1.0)
    if not worst <= OCCUPATION_TOLERANCE:
        raise UnphysicalInputError(
            f"an eigenvalue of a density matrix lies {worst:.3g} outside of its range; accepted: [0, 1]"
        )
