"""Which solution of the alignment: the start-up scan over multipliers, and continuation from a known solution.

Solutions coexist. A run begins on the one nearest to its initial density matrices, found by a scan over the
multipliers, and follows it by continuity. Where Newton fails from the last state, the parameters (populations, charges,
matter) are moved to their new values in small steps; where that ends at a turning point, pseudo-arclength continuation
follows the curve around it. docs/alignment.md describes both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..flavor import components_of, pack, unpack
from ..kernels.bins_3 import BIN_ROWS
from ..kernels.effective import evaluate_effective, fix_gauge
from ..kernels.hermitian import LANES
from .report import AlignmentReport

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .conserved import ChargedCells

#: Trial multipliers of the scan: for one charge, and for each of two.
SCAN_POINTS = {1: 129, 2: 21}
#: Local minima of the scan that Newton is started from, at most.
CANDIDATES = 6
#: Steps of a continuation, at most, and the smallest step in the path parameter before arclength takes over.
MAX_STEPS = 400
SMALLEST_STEP = 1.0e-4


@dataclass
class Start:
    """Aligned states next to given density matrices."""

    populations: NDArray[np.float64]  #: (cell, direction, species, group, level)
    unknowns: NDArray[np.float64]  #: (cell, unknown), see `ChargedCells`
    charges: NDArray[np.float64]  #: (cell, 2) of the given density matrices
    report: AlignmentReport
    #: (cell,) root of sum |weight| |aligned - given|^2 over that of |given|^2 (traceless parts): 0 = aligned already
    distance: NDArray[np.float64]


def weights(cells: ChargedCells) -> NDArray[np.float64]:
    """|weight_0| number_weight of (cell, direction, species, group)."""
    both = np.abs(cells.weight_0)[:, :, None, None] * cells.number_weight
    return np.repeat(both, 2, axis=2)


def moments_of(cells: ChargedCells, density_matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """D_l = sum w_l (density_matrix - density_matrix_bar), Eq. (4): (cell, 2, N_f^2) of (cell, ..., N_f^2 + ...)."""
    n = cells.n_flavors**2
    net = np.einsum("g,cmgi->cmi", cells.number_weight, density_matrix[:, :, 0, :, :n] - density_matrix[:, :, 1, :, :n])
    return np.stack([np.einsum("cm,cmi->ci", w, net) for w in (cells.weight_0, cells.weight_1)], axis=1)


def start_branches(
    cells: ChargedCells,
    density_matrix: NDArray[np.float64],
    *,
    charges: NDArray[np.float64] | None = None,
    seed: ArrayLike = 0.0,
    tolerance: float = 1.0e-12,
) -> Start:
    """Aligned states with the charges of density_matrix (cell, direction, species, group, N_f^2 + ...), nearest first.

    For each trial multiplier the density matrices are projected on the levels of H[D] - lambda Q.
    Newton starts where least is lost, and the solution nearest to the given matrices is kept. A cell without a solution
    keeps the projection as its state and is named in the report.

    Parameters
    ----------
    charges
        (cell, 2) to hold, cm^-3; by default those of density_matrix.
    seed
        (cell,) angle to turn the given matrices by. Matrices along the axis of the charges are an exact solution
        whether it is stable or not; what starts an instability is the part of H that does not commute with the charge:
        `ChargeAxes.seed` is its angle.

    Raises
    ------
    ConfigurationError
        For a density_matrix whose shape does not fit.
    """
    least = cells.n_flavors**2 + (cells.n_flavors == 2)
    if density_matrix.ndim != 5 or density_matrix.shape[0] != cells.cells or density_matrix.shape[-1] < least:
        raise ConfigurationError(
            f"density_matrix has shape {density_matrix.shape}; accepted: ({cells.cells}, direction, species, group, "
            f"{least}), with two flavours including the unmixed third one"
        )
    density_matrix = _turned(cells, density_matrix, np.broadcast_to(np.asarray(seed, dtype=np.float64), (cells.cells,)))
    moments = moments_of(cells, density_matrix)
    if charges is None:
        charges = cells.axes.charges(moments, cells.fixed)
    first = cells.unknowns(moments)
    levels = density_matrix.shape[-1] - cells.n_flavors**2 + cells.n_flavors
    populations = np.empty((*density_matrix.shape[:-1], levels))
    distance = np.full(cells.cells, np.inf)
    status = np.zeros(cells.cells, dtype=np.int64)
    iterations = np.zeros(cells.cells, dtype=np.int64)
    residual = np.zeros(cells.cells)
    for cell in range(cells.cells):
        one = cells.take(np.array([cell]))
        given, charge = density_matrix[cell : cell + 1], charges[cell : cell + 1]
        trials = scan(one, first[cell : cell + 1], charge, given, levels)
        # if no candidate leads anywhere, the first one is kept
        far, f, y, report = min(
            (_begin(one, guess, charge, given, levels, tolerance) for guess in trials), key=lambda found: found[0]
        )
        distance[cell], populations[cell] = far, f[0]
        status[cell], iterations[cell], residual[cell] = report.status[0], report.iterations[0], report.residual[0]
        if report.successful:
            first[cell] = y[0]
    return Start(populations, first, charges, AlignmentReport(status, iterations, residual), distance)


def _begin(
    one: ChargedCells,
    guess: NDArray[np.float64],
    charge: NDArray[np.float64],
    given: NDArray[np.float64],
    levels: int,
    tolerance: float,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], AlignmentReport]:
    """Newton of one cell from a guess: distance (infinite without a solution), populations, unknowns, report."""
    f = project_points(one, guess, charge, given, levels)
    y = guess.copy()
    report = one.align(f, y, charge, tolerance=tolerance)
    far = distance_between(one, one.density_matrices(f, y, charge), given)[0] if report.successful else np.inf
    return float(far), f, y, report


def _turned(
    cells: ChargedCells, density_matrix: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Density matrices turned by an angle (cell,) away from the axes of the charges, every pair of them alike."""
    if not angle.any():
        return density_matrix
    n = cells.n_flavors
    generator = np.triu(np.ones((n, n)), 1) - np.tril(np.ones((n, n)), -1)
    values, vectors = np.linalg.eigh(1j * generator)
    basis = cells.axes.basis
    # exp(angle G/2) in the basis of the charges: two flavours turn by the angle
    turn = np.einsum("ik,ck,jk->cij", vectors, np.exp(-0.5j * angle[:, None] * values), vectors.conj())
    turn = basis @ turn @ np.swapaxes(basis, -1, -2).conj()
    out = density_matrix.copy()
    full = unpack(density_matrix[..., : n * n])
    turn = turn[:, None, None, None]
    out[..., : n * n] = pack(turn @ full @ np.swapaxes(turn, -1, -2).conj())
    return out


def transverse(
    cells: ChargedCells,
    populations: NDArray[np.float64],
    unknowns: NDArray[np.float64],
    charges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(cell,) length of the parts of D_0 and D_1 that do not commute with the charges, over sum |weights n|."""
    d, n = cells.n_flavors**2 - 1, cells.n_flavors
    scale, _ = cells.scales(populations)
    x = np.where(cells.held, 0.0, unknowns).reshape(cells.cells, 2, d)[:, :, n - 1 :].copy()
    if n == 3:
        # with one charge the pair (1, 2) commutes with it
        x[:, :, 4:] *= np.where(cells.axes.counts > 1, 1.0, 0.0)[:, None, None]
    size: NDArray[np.float64] = np.sqrt((x**2).sum(axis=(1, 2))) / scale
    return size


def distance_between(
    cells: ChargedCells, aligned: NDArray[np.float64], given: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(cell,) root of sum |weight| |aligned - given|^2 over sum |weight| |given|^2, traceless parts."""
    w = weights(cells)
    total, scale = ((w * _square(x, cells.n_flavors)).sum(axis=(1, 2, 3)) for x in (aligned - given, given))
    ratio: NDArray[np.float64] = np.sqrt(np.divide(total, scale, out=np.zeros_like(total), where=scale > 0.0))
    return ratio


def _square(packed: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Frobenius norm squared of the traceless part of packed matrices."""
    diagonal = packed[..., :n]
    off = packed[..., n : n * n]
    square: NDArray[np.float64] = (diagonal**2).sum(-1) - diagonal.sum(-1) ** 2 / n + 2.0 * (off**2).sum(-1)
    return square


def points(cells: ChargedCells) -> ChargedCells:
    """The same cells with every bin shrunk to its middle: a projection on averaged levels would lose purity."""
    middle = 0.5 * (cells.axes.low + cells.axes.high)
    return replace(cells, axes=replace(cells.axes, low=middle, high=middle))


def project_points(
    cells: ChargedCells,
    unknowns: NDArray[np.float64],
    charges: NDArray[np.float64],
    density_matrix: NDArray[np.float64],
    levels: int,
) -> NDArray[np.float64]:
    """n_k = <h_k| density_matrix |h_k> at the middle of the bins, (cell, direction, species, group, level)."""
    projector, _ = points(cells).projectors(unknowns, charges, levels)
    components = components_of(density_matrix, cells.n_flavors)
    return np.ascontiguousarray(np.einsum("cmsgki,cmsgi->cmsgk", projector, components))


def scan(
    one: ChargedCells,
    unknowns: NDArray[np.float64],
    charge: NDArray[np.float64],
    given: NDArray[np.float64],
    levels: int,
) -> list[NDArray[np.float64]]:
    """Unknowns of one cell with the multipliers at which projecting the given matrices loses least, best first."""
    count = int(one.axes.counts[0])
    if count == 0:
        return [unknowns]
    grid = _trial_multipliers(one, unknowns, charge)
    shape = (grid.size,) * count
    trial = np.stack(np.meshgrid(*([grid] * count), indexing="ij"), axis=-1).reshape(-1, count)
    loss = np.empty(trial.shape[0])
    n = one.n_flavors
    w = weights(one)[0]
    whole = (w * (_square(given, n)[0] + (given[0, ..., :n].sum(-1) ** 2) / n)).sum()
    # a few hundred trial cells at a time
    for begin in range(0, trial.shape[0], 64):
        part = trial[begin : begin + 64]
        many = one.take(np.zeros(part.shape[0], dtype=np.int64))
        y, target, matrices = (np.repeat(x, part.shape[0], axis=0) for x in (unknowns, charge, given))
        y[:, one.held[0]] = part
        f = project_points(many, y, target, matrices, levels)
        loss[begin : begin + 64] = whole - np.einsum("msg,cmsgk->c", w, f[..., :n] ** 2)
    chosen = []
    axes = np.eye(count, dtype=np.int64)
    for flat in np.argsort(loss, kind="stable"):
        nearby = np.clip(np.unravel_index(flat, shape) + np.concatenate([axes, -axes]), 0, grid.size - 1)
        if loss[flat] <= loss.reshape(shape)[tuple(nearby.T)].min() + 1.0e-14 * abs(whole):
            y = unknowns.copy()
            y[:, one.held[0]] = trial[flat]
            chosen.append(y)
        if len(chosen) == CANDIDATES:
            break
    return chosen


def _trial_multipliers(
    one: ChargedCells, unknowns: NDArray[np.float64], charge: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values dense around zero (the vacuum scale) and reaching beyond every frequency of the cell."""
    span = float(np.abs(one.axes.high - one.axes.low).max() + np.abs(one.axes.high).max() + np.abs(one.axes.low).max())
    x = unknowns.copy()
    x[:, one.held[0]] = charge[:, : int(one.axes.counts[0])]
    largest = 2.0 * (span + abs(one.strength) * float(np.abs(x).max()) + float(np.abs(one.axes.external).max()))
    points_each = SCAN_POINTS[int(one.axes.counts[0])] // 2
    smallest = 0.02 * span if span > 0.0 else 1.0e-3 * largest
    if not largest > smallest:
        return np.zeros(1)
    positive = np.geomspace(smallest, largest, points_each)
    return np.concatenate([-positive[::-1], [0.0], positive])


@dataclass(frozen=True)
class Point:
    """Parameters of one cell: what the path parameter moves."""

    populations: NDArray[np.float64]  #: (direction, species, group, level)
    charges: NDArray[np.float64]  #: (2,)
    low: NDArray[np.float64]  #: (group, N_f)
    high: NDArray[np.float64]
    external: NDArray[np.float64]  #: (2, N_f^2)
    weight: NDArray[np.float64]  #: (order, direction)
    direction_cosine: NDArray[np.float64]
    strength: float

    @classmethod
    def of(
        cls, cells: ChargedCells, cell: int, populations: NDArray[np.float64], charges: NDArray[np.float64]
    ) -> Point:
        """The parameters of a cell of a batch."""
        axes = cells.axes
        return cls(
            populations,
            charges,
            axes.low[cell],
            axes.high[cell],
            axes.external[cell],
            cells.weight[cell],
            cells.direction_cosine[cell],
            cells.strength,
        )

    def between(self, other: Point, t: float) -> Point:
        """(1 - t) self + t other."""
        return Point(*((1.0 - t) * getattr(self, f.name) + t * getattr(other, f.name) for f in fields(self)))


@dataclass
class Path:
    """How a continuation went."""

    found: bool  #: whether it reached the new parameters
    unknowns: NDArray[np.float64]  #: (unknown,) solution there, or the last good one
    steps: int
    turns: int  #: turning points passed: more than zero is a change of branch
    farthest: float  #: largest path parameter reached, 1 = the new parameters


class _Curve:
    """F(y, t) = 0 of one cell and its derivatives."""

    def __init__(self, cells: ChargedCells, cell: int, old: Point, new: Point) -> None:
        self.cells, self.cell, self.old, self.new = cells, cell, old, new
        self.n = 2 * (cells.n_flavors**2 - 1)
        self.lane = np.zeros(BIN_ROWS * LANES)
        self.scale = max(self._size(old), self._size(new))
        # unknowns of one size: moments by their scale, multipliers by the frequency that it makes
        self.unit = np.full(self.n, self.scale)
        frequency = float(np.abs(new.high).max() + np.abs(new.external).max() + abs(new.strength) * self.scale)
        self.unit[cells.held[cell]] = frequency or 1.0

    def _size(self, point: Point) -> float:
        n = self.cells.n_flavors
        w = np.abs(point.weight[0])
        return float(np.einsum("m,g,msgk->", w, self.cells.number_weight, np.abs(point.populations[..., :n]))) or 1.0

    def residual(self, y: NDArray[np.float64], t: float) -> NDArray[np.float64]:
        return self.both(y, t, False)[0]

    def both(
        self, y: NDArray[np.float64], t: float, with_jacobian: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        p = self.old.between(self.new, t)
        c, k = self.cells, self.cell
        output, jacobian = np.empty(self.n), np.zeros((self.n, self.n))
        evaluate_effective(
            y,
            p.charges,
            int(c.axes.counts[k]),
            c.fixed,
            p.populations,
            p.weight,
            p.direction_cosine,
            c.number_weight,
            p.low,
            p.high,
            p.external,
            p.strength,
            c.n_flavors,
            c.parts,
            with_jacobian,
            self.lane,
            output,
            jacobian,
        )
        if with_jacobian:
            fix_gauge(y, int(c.axes.counts[k]), c.n_flavors, 1.0e-13 * self.scale, jacobian, np.empty((2, self.n)))
        return output / self.scale, jacobian * (self.unit / self.scale)

    def slope(self, y: NDArray[np.float64], t: float) -> NDArray[np.float64]:
        """dF/dt by a central difference; F is smooth in t."""
        h = 1.0e-5
        return np.asarray((self.residual(y, t + h) - self.residual(y, t - h)) / (2.0 * h))


def continue_branch(
    cells: ChargedCells,
    cell: int,
    old: Point,
    new: Point,
    unknowns: NDArray[np.float64],
    *,
    tolerance: float = 1.0e-12,
) -> Path:
    """Follow the solution `unknowns` of the parameters `old` to the parameters `new`.

    First with steps in the path parameter t; from a turning point on with pseudo-arclength, until t = 1 is crossed or
    the curve returns to where it began.
    """
    curve = _Curve(cells, cell, old, new)
    y, t, step, steps = unknowns.copy(), 0.0, 0.25, 0
    while t < 1.0 and step >= SMALLEST_STEP and steps < MAX_STEPS:
        steps += 1
        target = min(1.0, t + step)
        solution = _correct(curve, y, target, tolerance)
        if solution is None or _jumped(curve, y, solution, target - t):
            step *= 0.5
            continue
        y, t, step = solution, target, min(2.0 * step, 1.0)
    if t >= 1.0:
        return Path(True, y, steps, 0, 1.0)
    return _arclength(curve, y, t, steps, tolerance)


def _jumped(curve: _Curve, y: NDArray[np.float64], new: NDArray[np.float64], step: float) -> bool:
    """Whether Newton went to another solution: a small step in t must not move the state far."""
    return bool(np.linalg.norm((new - y) / curve.unit) > 0.2 and step < 0.05)


def _correct(
    curve: _Curve, y: NDArray[np.float64], t: float, tolerance: float, most: int = 12
) -> NDArray[np.float64] | None:
    """Newton at fixed t without damping; None if it does not converge quickly."""
    y = y.copy()
    last = np.inf
    for _ in range(most):
        f, jacobian = curve.both(y, t)
        norm = float(np.linalg.norm(f))
        if norm <= tolerance:
            return y
        if not norm < 4.0 * last:
            return None
        last = norm
        try:
            y += curve.unit * np.linalg.solve(jacobian, -f)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(y).all():
            return None
    return None


def _arclength(curve: _Curve, y: NDArray[np.float64], t: float, steps: int, tolerance: float) -> Path:
    """Pseudo-arclength continuation from (y, t), t increasing at first."""
    n = curve.n
    tangent = np.zeros(n + 1)
    tangent[n] = 1.0
    length, turns, farthest = 1.0e-2, 0, t
    while steps < MAX_STEPS:
        steps += 1
        _, jacobian = curve.both(y, t)
        extended = np.vstack([np.column_stack([jacobian, curve.slope(y, t)]), tangent])
        try:
            direction = np.linalg.solve(extended, np.append(np.zeros(n), 1.0))
        except np.linalg.LinAlgError:
            break
        direction /= np.linalg.norm(direction)
        if direction[n] * tangent[n] < 0.0:
            turns += 1
        moved = _arc_correct(curve, y, t, direction, length, tolerance)
        if moved is None:
            length *= 0.5
            if length < 1.0e-7:
                break
            continue
        new_y, new_t = moved
        if new_t >= 1.0:
            solution = _correct(curve, new_y + (1.0 - new_t) / (new_t - t) * (new_y - y), 1.0, tolerance)
            if solution is not None:
                return Path(True, solution, steps, turns, 1.0)
            length *= 0.5
            continue
        if new_t < -1.0e-3:
            break
        y, t, tangent = new_y, new_t, direction
        farthest = max(farthest, t)
        length = min(1.5 * length, 0.1)
    return Path(False, y, steps, turns, farthest)


def _arc_correct(
    curve: _Curve, y: NDArray[np.float64], t: float, direction: NDArray[np.float64], length: float, tolerance: float
) -> tuple[NDArray[np.float64], float] | None:
    """Newton on F = 0 and direction . (change) = length."""
    n = curve.n
    new_y, new_t = y + length * direction[:n] * curve.unit, t + length * direction[n]
    for _ in range(10):
        f, jacobian = curve.both(new_y, new_t)
        along = direction @ np.append((new_y - y) / curve.unit, new_t - t) - length
        if np.linalg.norm(f) <= tolerance and abs(along) <= 1.0e-9:
            return new_y, new_t
        extended = np.vstack([np.column_stack([jacobian, curve.slope(new_y, new_t)]), direction])
        try:
            change = np.linalg.solve(extended, -np.append(f, along))
        except np.linalg.LinAlgError:
            return None
        new_y, new_t = new_y + change[:n] * curve.unit, new_t + change[n]
        if not (np.isfinite(new_y).all() and abs(new_t) < 3.0):
            return None
    return None
