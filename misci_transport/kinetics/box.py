"""A box of neutrinos that takes steps of the kinetic equation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError, ConvergenceError
from ..flavor import pack, unpack
from ..kernels.kinetic_advection import shift
from ..kernels.kinetic_collisions import collide
from ..kernels.kinetic_rotation_2 import rotate_2
from ..kernels.kinetic_rotation_3 import rotate_3
from ..parallel.errors import collective
from ..thermodynamics.quantities import occupation_entropy
from .exchange import CellRange
from .setup import HOMOGENEOUS, OPEN, PERIODIC
from .shift import shift_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .setup import KineticSetup
    from .shift import Shift

#: Degree of the polynomial that continues a field beyond an end where it leaves.
_EXTRAPOLATION = 3


class KineticBox:
    """State and steps: C/2 R/2 A R/2 C/2, collisions, rotation by H and advection, second order in dt as a whole.

    Parameters
    ----------
    setup
        The box.
    density_matrix
        (direction, species, group, N_f^2), the same in all cells, or with a last axis of this rank's cells.
    comm
        Communicator over which the cells are spread; None: this process has all of them.
    time
        At the start.

    Raises
    ------
    ConfigurationError
        If the shape does not fit or a number is not finite. On all ranks together.
    """

    def __init__(self, setup: KineticSetup, density_matrix: ArrayLike, comm: Any = None, time: float = 0.0) -> None:
        self.setup, self.comm, self.time = setup, comm, float(time)
        self.steps = 0
        self.range = CellRange(setup.cells, comm)
        given = np.asarray(density_matrix, dtype=np.float64)
        with collective(comm):
            shape = (*setup.matrix_shape, self.range.count)
            if given.shape == setup.matrix_shape:
                given = given[..., None]
            elif given.shape != shape:
                raise ConfigurationError(
                    f"density_matrix has shape {given.shape}; accepted: {setup.matrix_shape} or {shape}"
                )
            if not np.isfinite(given).all():
                raise ConfigurationError("density_matrix holds a number that is not finite")
        self._left = self._right = 0
        self._state = np.array(np.broadcast_to(given, shape), order="C")
        self._spare = np.empty(0)
        self._dt = float("nan")
        self._shift: Shift | None = None
        cells = self.range.cells
        self._potential = np.ascontiguousarray(np.asarray(setup.matter_potential)[cells])
        self._flow = np.ascontiguousarray(np.asarray(setup.matter_velocity)[cells])
        self._rotate = rotate_2 if setup.n_flavors == 2 else rotate_3

    # the state

    @property
    def density_matrix(self) -> NDArray[np.float64]:
        """This rank's cells: (direction, species, group, component, cell), a view."""
        return self._state[..., self._left : self._left + self.range.count]

    @property
    def position(self) -> NDArray[np.float64]:
        """Centres of this rank's cells; the box begins at 0."""
        return (np.arange(self.range.start, self.range.stop) + 0.5) * self.setup.cell_width

    @property
    def whole_position(self) -> NDArray[np.float64]:
        """Centres of all cells."""
        return (np.arange(self.setup.cells) + 0.5) * self.setup.cell_width

    def whole(self) -> NDArray[np.float64]:
        """Density matrices of the whole box on all ranks. Collective."""
        return np.asarray(self.range.whole(self.density_matrix))

    # steps

    def step(self, dt: float) -> None:
        """One step of any length that the ghosts allow. Collective.

        Raises
        ------
        ConfigurationError
            If dt is not positive, or neutrinos cross more cells in it than a rank has.
        """
        if dt != self._dt:
            self._prepare(dt)
        setup, t = self.setup, self.time
        self._collide()
        if setup.boundary == HOMOGENEOUS:
            self._turn(dt, t + 0.5 * dt)
        else:
            self._turn(0.5 * dt, t + 0.25 * dt)
            self._advect()
            self._turn(0.5 * dt, t + 0.75 * dt)
        self._collide()
        self.time = t + dt
        self.steps += 1

    def march(self, steps: int, dt: float) -> None:
        """So many steps, then a check that all numbers are finite. Collective.

        Raises
        ------
        ConvergenceError
            If one is not.
        """
        for _ in range(steps):
            self.step(dt)
        with collective(self.comm):
            if not np.isfinite(self.density_matrix).all():
                raise ConvergenceError(f"density matrices are not finite after step {self.steps}, time {self.time:g}")

    def _prepare(self, dt: float) -> None:
        """Weights, ghosts and factors of collisions for steps of a length."""
        setup = self.setup
        if not (np.isfinite(dt) and dt > 0.0):
            raise ConfigurationError(f"dt is {dt!r}; accepted: a number > 0")
        if setup.boundary != HOMOGENEOUS:
            found = shift_of(setup.cosine * dt / setup.cell_width)
            reach = max(found.left, found.right)
            least = max(_EXTRAPOLATION + 1, reach) if self.range.size > 1 or setup.boundary == OPEN else 1
            if self.range.fewest < least:
                raise ConfigurationError(
                    f"dt is {dt:g}: with cells of {setup.cell_width:g} a step reaches {reach} cells; accepted: at "
                    f"least {least} cells on each of {self.range.size} ranks, there are {self.range.fewest}"
                )
            owned = self.density_matrix.copy()
            self._shift, self._left, self._right = found, found.left, found.right
            self._state = np.zeros((*owned.shape[:-1], found.left + owned.shape[-1] + found.right))
            self._spare = np.zeros_like(self._state)
            self.density_matrix[...] = owned
        if setup.collisions is not None:
            self._kept, self._gained, self._unscattered = setup.collisions.over(0.5 * dt, self.range.cells)
        self._dt = dt

    def _turn(self, dt: float, time: float) -> None:
        setup = self.setup
        self._rotate(
            self._state,
            self._left,
            self._left + self.range.count,
            setup.cosine,
            setup.weight,
            setup.number_weight,
            setup.vacuum,
            self._potential,
            self._flow,
            setup.strength_at(time),
            dt,
        )

    def _advect(self) -> None:
        assert self._shift is not None
        self.range.fill(self._state, self._left, self._right, periodic=self.setup.boundary == PERIODIC)
        if self.setup.boundary == OPEN:
            self._fill_ends()
        first, last = self._left, self._left + self.range.count
        shift(self._state, self._spare, first, last, self._shift.offset, self._shift.taps)
        self._state, self._spare = self._spare, self._state

    def _fill_ends(self) -> None:
        """Beyond the ends: what enters, and where neutrinos leave the cubic through the last four cells."""
        f, n, left = self._state, self.range.count, self._left
        cosine = self.setup.cosine
        if self.range.rank == 0 and left:
            entering = cosine > 0.0
            f[entering, ..., :left] = self._entering(entering, left, np.arange(left, 0, -1) - 0.5)
            for i in range(left - 1, -1, -1):
                f[~entering, ..., i] = f[~entering, ..., i + 1 : i + 5] @ _CONTINUE
        if self.range.rank == self.range.size - 1 and self._right:
            entering = cosine < 0.0
            end = left + n
            f[entering, ..., end:] = self._entering(entering, end - 1, np.arange(self._right) + 0.5)
            for i in range(end, end + self._right):
                f[~entering, ..., i] = f[~entering, ..., i - 4 : i] @ _CONTINUE[::-1]

    def _entering(self, chosen: NDArray[np.bool_], cell: int, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Given matrices at so many cell widths before an end, (direction, species, group, component, distance).

        Turned by H of the end's cell over dt/2, which the box has behind it in this step, less the time to the end: a
        stationary beam is then one smooth field on both sides, and what enters has turned since it did.
        """
        setup = self.setup
        assert setup.inflow is not None
        own = self._state[..., cell]
        difference = np.einsum("g,mgc->mc", setup.number_weight, own[:, 0] - own[:, 1])
        moments = [(setup.weight * setup.cosine**order) @ difference for order in (0, 1)]
        v = setup.cosine[chosen]
        place = cell - self._left
        field = setup.strength_at(self.time + 0.5 * self._dt) * (moments[0] - v[:, None] * moments[1])
        field[:, 0] += self._potential[place] * (1.0 - self._flow[place] * v)
        signed = np.stack([setup.vacuum, -setup.vacuum])
        values, basis = np.linalg.eigh(unpack(field[:, None, None] + signed))
        duration = 0.5 * self._dt - distance * setup.cell_width / np.abs(v)[:, None]
        phase = np.exp(-1j * np.einsum("msgk,md->dmsgk", values, duration))
        turn = np.einsum("msgik,dmsgk,msgjk->dmsgij", basis, phase, basis.conj())
        found = pack(turn @ unpack(setup.inflow[chosen]) @ np.swapaxes(turn.conj(), -1, -2))
        return np.moveaxis(found, 0, -1)

    def _collide(self) -> None:
        if self.setup.collisions is None:
            return
        first, last = self._left, self._left + self.range.count
        collide(self._state, first, last, self.setup.weight, self._kept, self._gained, self._unscattered)

    # what is measured

    def moments(self, orders: int = 2) -> NDArray[np.float64]:
        """D_l = sum of weight number_weight v^l (rho - rhobar) for l < orders, whole box: (order, component, cell).

        Collective; the same on any number of ranks.
        """
        setup = self.setup
        f = self.density_matrix
        difference = np.einsum("g,mgcx->mcx", setup.number_weight, f[:, 0] - f[:, 1])
        powers = setup.weight * setup.cosine ** np.arange(orders)[:, None]
        return np.asarray(self.range.whole(np.einsum("lm,mcx->lcx", powers, difference)))

    def average(self) -> NDArray[np.float64]:
        """Density matrices averaged over the box: (direction, species, group, component). Collective."""
        return np.asarray(self.range.total_of(self.density_matrix.sum(axis=-1)) / self.setup.cells)

    def lepton_numbers(self) -> NDArray[np.float64]:
        """Box average of sum of weights (rho - rhobar)_ff, (flavour,). Collective."""
        return np.asarray(self.moments(1)[0, : self.setup.n_flavors].mean(axis=-1))

    def trace_powers(self) -> NDArray[np.float64]:
        """Box averages of Tr rho, Tr rho^2, Tr rho^3: (power, direction, species, group). Collective."""
        f, n = self.density_matrix, self.setup.n_flavors
        diagonal, off = f[..., :n, :], f[..., n:, :]
        first = diagonal.sum(axis=-2)
        second = (diagonal**2).sum(axis=-2) + 2.0 * (off**2).sum(axis=-2)
        if n == 2:
            # Tr rho^3 = (3 T S - T^3)/2 of 2 x 2 matrices
            third = 0.5 * first * (3.0 * second - first**2)
        else:
            matrix = unpack(np.moveaxis(f, -2, -1))
            third = np.einsum("...ij,...jk,...ki->...", matrix, matrix, matrix).real
        sums = np.stack([first, second, third]).sum(axis=-1)
        return np.asarray(self.range.total_of(sums) / self.setup.cells)

    def length_range(self) -> NDArray[np.float64]:
        """Smallest and largest |rho - Tr rho/N_f| (Frobenius; |P|/sqrt 2) in the box: (2, direction, species, group).

        Rotation keeps it; interpolation between cells that differ shrinks it. Collective.
        """
        f, n = self.density_matrix, self.setup.n_flavors
        diagonal = f[..., :n, :] - f[..., :n, :].mean(axis=-2, keepdims=True)
        size = np.sqrt((diagonal**2).sum(axis=-2) + 2.0 * (f[..., n:, :] ** 2).sum(axis=-2))
        return np.stack([self.range.smallest(size.min(axis=-1)), self.range.largest(size.max(axis=-1))])

    def entropy(self) -> float:
        """Box average of the sum over directions, species, groups of weights times -Tr[rho ln rho + (1-rho) ln(1-rho)].

        NaN if an eigenvalue is outside [0, 1] by more than round-off. Collective.
        """
        values = np.linalg.eigvalsh(unpack(np.moveaxis(self.density_matrix, -2, -1)))
        values = np.where((values > -1.0e-10) & (values < 1.0 + 1.0e-10), np.clip(values, 0.0, 1.0), np.nan)
        setup = self.setup
        part = np.einsum("m,g,msgxk->", setup.weight, setup.number_weight, occupation_entropy(values))
        return float(self.range.total_of(part) / setup.cells)

    def fourier(self, wave_numbers: ArrayLike) -> NDArray[np.complex128]:
        """(1/L) integral of rho_ij e^{-ikx} dx of the off-diagonal elements, (k, direction, species, group, pair).

        P_x + i P_y of two flavours is 2 conj(rho_01): its Fourier component at k is 2 conj of that of rho_01 at -k.
        Collective.
        """
        n = self.setup.n_flavors
        off = self.density_matrix[..., n:, :]
        values = off[..., 0::2, :] + 1j * off[..., 1::2, :]
        phases = np.exp(
            -1j * np.multiply.outer(np.atleast_1d(np.asarray(wave_numbers, dtype=np.float64)), self.position)
        )
        part = np.einsum("msgpx,kx->kmsgp", values, phases)
        return np.asarray(self.range.total_of(part) / self.setup.cells)

    def coherence(self) -> NDArray[np.float64]:
        """Root mean square over the box of |rho_ij|, (direction, species, group, pair). Collective."""
        n = self.setup.n_flavors
        off = self.density_matrix[..., n:, :]
        part = (off[..., 0::2, :] ** 2 + off[..., 1::2, :] ** 2).sum(axis=-1)
        return np.asarray(np.sqrt(self.range.total_of(part) / self.setup.cells))


#: f[-1] of the cubic through f[0], ..., f[3].
_CONTINUE = np.array([4.0, -6.0, 4.0, -1.0])
