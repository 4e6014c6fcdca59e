"""The collision term C of Eq. (13) on a range of cells, for level populations."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from ..flavor import PAIRS
from ..kernels import collision_batch
from ..kernels.collisions import DIAGONAL, PAIR, SCATTERING
from ..phase_space import local_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..phase_space import PhaseSpace
    from ..rates import Rates
    from .levels import LevelFrame

_KIND = {"scattering": SCATTERING, "pair": PAIR}


class CollisionOperator:
    """C[populations] with the matrix structure of the module kernels.collisions.

    Arrays are local to a rank: f[cell, direction, species, group, level]; results in cm^-1. weight (cell or 1, order,
    direction) and velocity (cell or 1, direction, axis) are the directions; with one row they hold in all cells.
    """

    def __init__(self, phase_space: PhaseSpace, rates: Rates, cells: slice | NDArray[np.int64]) -> None:
        self.phase_space = phase_space
        self.rates = rates
        self.cells = cells
        angles = phase_space.angles
        self.weight = local_rows(angles.averaging_weights, cells)
        self.velocity = np.ascontiguousarray((self.weight[:, 1:] / self.weight[:, :1]).transpose(0, 2, 1))
        groups, components = phase_space.energy.size, phase_space.components
        n = rates.scattering_0.shape[0]
        weight = phase_space.energy.weight
        self.ratio = weight[None, :] / weight[:, None]
        self.kind = np.array([_KIND[c.kind] for c in rates.coupling], dtype=np.int64)
        self.kernel = np.zeros((len(rates.coupling), n, 2, 2, groups, groups))
        self.amplitude = np.zeros((len(rates.coupling), 2, components))
        for p, process in enumerate(rates.coupling):
            self.kernel[p, :, 0], self.kernel[p, :, 1] = process.first, process.second
            g = process.amplitude
            self.amplitude[p, :, :DIAGONAL] = g**2
            for j, (a, b) in enumerate(PAIRS[phase_space.n_flavors]):
                self.amplitude[p, :, DIAGONAL + 2 * j] = g[:, a] * g[:, b]
                self.amplitude[p, :, DIAGONAL + 2 * j + 1] = g[:, a] * g[:, b]
        self._moments = np.zeros((n, 2, self.weight.shape[1], groups, components))
        self._gain, self._loss = np.zeros_like(self._moments), np.zeros_like(self._moments)
        self._dmoments = np.zeros_like(self._moments)
        self._dgain, self._dloss = np.zeros_like(self._moments), np.zeros_like(self._moments)

    def in_coordinate_time(self, lapse: NDArray[np.float64]) -> CollisionOperator:
        """The same collisions per cm of coordinate time, lapse (cell,) times those per cm of proper time."""
        return CollisionOperator(self.phase_space, self.rates.scaled(lapse), self.cells)

    def of_cells(self, cells: NDArray[np.int64], rates: Rates) -> CollisionOperator:
        """The part for some cells with other rates (of these cells), for implicit steps: it has no work arrays."""
        other = copy(self)
        other.rates = rates
        other.weight, other.velocity = local_rows(self.weight, cells), local_rows(self.velocity, cells)
        other.kernel = np.ascontiguousarray(self.kernel[:, cells])
        return other

    def moments(self, f: NDArray[np.float64], frame: LevelFrame) -> NDArray[np.float64]:
        """1/2 sum_m weight_order rho_c, shape (cell, species, order, group, component); order 0 is the mean."""
        collision_batch.moments(f, self.weight, frame.component, frame.mixed, frame.projector, self._moments)
        return self._moments

    def rate(self, f: NDArray[np.float64], frame: LevelFrame, out: NDArray[np.float64]) -> None:
        """Fill out with C_k = <k|C[rho]|k>, cm^-1; keeps gain and loss for ``derivative`` and ``level_loss``."""
        self.moments(f, frame)
        self._fill(self._moments, 1.0, frame, self._gain, self._loss)
        r = self.rates
        collision_batch.rate(
            f,
            self.velocity,
            r.scattering_0,
            r.scattering_1,
            frame.component,
            frame.mixed,
            frame.projector,
            self._moments,
            self._gain,
            self._loss,
            out,
        )

    def gain_loss(
        self, f: NDArray[np.float64], frame: LevelFrame
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Moments, gain and loss (cm^-1) of populations f: (cell, species, order, group, component) each."""
        self.moments(f, frame)
        self._fill(self._moments, 1.0, frame, self._gain, self._loss)
        return self._moments, self._gain, self._loss

    def derivative(
        self, f: NDArray[np.float64], df: NDArray[np.float64], frame: LevelFrame, out: NDArray[np.float64]
    ) -> None:
        """Fill out with dC along df at fixed eigenvectors, around the f of the last ``rate``."""
        collision_batch.moments(df, self.weight, frame.component, frame.mixed, frame.projector, self._dmoments)
        self._fill(self._dmoments, 0.0, frame, self._dgain, self._dloss)
        r = self.rates
        collision_batch.rate_derivative(
            f,
            df,
            self.velocity,
            r.scattering_0,
            r.scattering_1,
            frame.component,
            frame.mixed,
            frame.projector,
            self._dmoments,
            self._gain,
            self._loss,
            self._dgain,
            self._dloss,
            out,
        )

    def component_means(self) -> NDArray[np.float64]:
        """Occupations of the diagonal components, averaged over directions, of the last ``moments``."""
        return self._moments[:, :, 0, :, :DIAGONAL]

    def transport_opacity(self, frame: LevelFrame) -> NDArray[np.float64]:
        """Emission, absorption and transport scattering of each level, (cell, species, group, level) cm^-1."""
        diagonal = self.rates.emissivity + self.rates.absorption
        return self._average(diagonal, frame) + (self.rates.scattering_0 - self.rates.scattering_1)[..., None]

    def level_loss(self, frame: LevelFrame) -> NDArray[np.float64]:
        """gain + loss of each level around the f of the last ``rate`` (cell, species, group, level) cm^-1."""
        diagonal = (self._gain + self._loss)[:, :, 0, :, :DIAGONAL].transpose(0, 1, 3, 2)
        return self._average(np.ascontiguousarray(diagonal), frame)

    def _average(self, diagonal: NDArray[np.float64], frame: LevelFrame) -> NDArray[np.float64]:
        cells, species, _, groups = diagonal.shape
        out = np.empty((cells, species, groups, frame.component.shape[2]))
        collision_batch.level_average(diagonal, self.weight, frame.component, frame.mixed, frame.projector, out)
        return out

    def _fill(
        self,
        moments: NDArray[np.float64],
        identity: float,
        frame: LevelFrame,
        gain: NDArray[np.float64],
        loss: NDArray[np.float64],
    ) -> None:
        collision_batch.gain_loss(
            moments,
            identity,
            self.rates.emissivity,
            self.rates.absorption,
            self.kind,
            self.amplitude,
            self.kernel,
            self.ratio,
            frame.mixed,
            gain,
            loss,
        )
