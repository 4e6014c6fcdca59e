"""Diffusion on a block for every (species, group, level): what scattering leaves after a transport sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels import block_diffusion as kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.block_decomposition import BlockDecomposition
    from ..phase_space import PhaseSpace
    from ..physics.block_advection import BlockAdvection

#: Scattering depth of a cell below which no cell needs a correction.
RELEVANT = 1.0e-2

#: The residual is brought down by this much, in no more than MOST iterations: the outer solver is flexible.
TOLERANCE, MOST = 1.0e-2, 200

#: Cells whose angular moments are taken together: their populations should stay in cache.
_TOGETHER = 256


class BlockDiffusion:
    """Projection of the transport on J + 3 v . H, one symmetric problem for each entry.

    Conjugate gradients with the diagonal, for all entries at once: the entries are the fastest index everywhere, so
    that an iteration costs about as much as one direction of a sweep, and the sums over ranks are shared.
    """

    def __init__(
        self,
        phase_space: PhaseSpace,
        decomposition: BlockDecomposition,
        advection: BlockAdvection,
        neighbor: NDArray[np.int64],
    ) -> None:
        self.decomposition, self.advection, self.neighbor = decomposition, advection, neighbor
        size, entries = decomposition.size, int(np.prod(phase_space.cell_shape[1:]))
        self.weight = 0.5 * phase_space.angles.averaging_weights[0]  #: (1 + axis, direction)
        velocity = advection.velocity
        #: direction of what is added: J + 3 v . H
        self.basis = np.concatenate([np.ones((velocity.shape[0], 1)), 3.0 * velocity], axis=1)
        mean, speed = self.weight[0], np.abs(velocity)
        self.leaving = 0.5 * (mean @ speed)
        self.drag = 1.5 * np.einsum("m,md,ma->ad", mean, velocity**2, speed)
        self.width = phase_space.mesh.at(decomposition.cells).widths[:, list(decomposition.resolved)]
        largest = max(decomposition.comm.allgather(float(advection.cell_volume.max(initial=0.0))))
        self.volume = advection.cell_volume[:, None] / largest
        self.ratio = np.zeros((decomposition.rows, 3, 2))
        self.ratio[:size] = advection.ratio
        decomposition.exchange(self.ratio)
        self.matters = False
        self.iterations = 0  #: since the start
        self._flux = np.zeros((decomposition.rows, 3, entries))
        self._field = np.zeros((decomposition.rows, entries))

    def update(
        self, b: Any, loss: NDArray[np.float64], scattering_0: NDArray[np.float64], scattering_1: NDArray[np.float64]
    ) -> None:
        """Take up b of the faces, loss and scattering[cell, entry] in cm^-1 (collective)."""
        comm, size = self.decomposition.comm, self.decomposition.size
        depth = float((scattering_0 * self.width.max(axis=1, initial=0.0)[:, None]).max(initial=0.0))
        self.matters = max(comm.allgather(depth)) > RELEVANT
        if not self.matters:
            return
        a, entries = self.advection, loss.shape[1]
        self.absorption = loss
        kappa = np.repeat((loss + scattering_0 - scattering_1)[:, None], 3, axis=1)
        self.leak = np.zeros((size, 3, 2, entries))
        for axis in self.decomposition.resolved:
            kernel.face_terms(
                b[axis],
                self.decomposition.row,
                axis,
                a.ratio,
                self.neighbor,
                self.leaving[axis],
                self.drag[axis],
                self.leak,
                kappa,
            )
        conductance = np.zeros_like(self._flux)
        # where neither collisions nor upwind parts limit H it is left out
        np.divide(1.0 / 6.0, kappa, out=conductance[:size], where=kappa > 0.0)
        self.decomposition.exchange(conductance)
        self.conductance = conductance[:size].copy()
        self.diagonal = np.empty_like(loss)
        medium = (self.neighbor, a.ratio, self.ratio, a.resolved, self.absorption, self.leak)
        kernel.diagonal(*medium, conductance, self.diagonal)
        self.diagonal[self.diagonal <= 0.0] = 1.0

    def correct(self, rest: NDArray[np.float64], z: NDArray[np.float64]) -> None:
        """Add to z[cell, direction, entry] what the projection gives for the rest of the balance (collective)."""
        if not self.matters:
            return
        size = rest.shape[0]
        moments = np.empty((size, 4, rest.shape[2]))
        for first in range(0, size, _TOGETHER):
            part = slice(first, first + _TOGETHER)
            np.matmul(self.weight[None], rest[part], out=moments[part])
        given = 6.0 * self.conductance * moments[:, 1:]
        zero = np.zeros_like(self._field)
        mean = self._solve(moments[:, 0] - self._divergence(zero, given))
        self._exchange(mean)
        flux = self._flux[:size]
        kernel.fick(self._field, self.neighbor, self.advection.ratio, self.advection.resolved, self.conductance, flux)
        moments[:, 0] = mean
        moments[:, 1:] = given + flux
        for first in range(0, size, _TOGETHER):
            part = slice(first, first + _TOGETHER)
            z[part] += np.matmul(self.basis[None], moments[part])

    def _exchange(self, j: NDArray[np.float64]) -> None:
        self._field[: j.shape[0]] = j
        self.decomposition.exchange(self._field)

    def _divergence(self, field: NDArray[np.float64], flux: NDArray[np.float64]) -> NDArray[np.float64]:
        """M of ghosted J with the given H of this rank's cells."""
        a, size = self.advection, self.decomposition.size
        if flux is not self._flux:
            self._flux[:size] = flux
        self.decomposition.exchange(self._flux)
        out = np.empty_like(self.absorption)
        kernel.balance(field, self._flux, self.neighbor, a.ratio, a.resolved, self.absorption, self.leak, out)
        return out

    def multiply(self, j: NDArray[np.float64]) -> NDArray[np.float64]:
        """M j for j[cell, entry] (collective)."""
        a = self.advection
        self._exchange(j)
        kernel.fick(self._field, self.neighbor, a.ratio, a.resolved, self.conductance, self._flux[: j.shape[0]])
        return self._divergence(self._field, self._flux)

    def _solve(self, source: NDArray[np.float64]) -> NDArray[np.float64]:
        """Conjugate gradients in the inner product of the volume, every entry with its own coefficients."""
        x, r = np.zeros_like(source), source
        z = r / self.diagonal
        p = z.copy()
        now = self._dot(r, z)
        goal = TOLERANCE**2 * now
        for _ in range(MOST):
            active = now > goal
            if not active.any():
                break
            self.iterations += 1
            image = self.multiply(p)
            curvature = self._dot(p, image)
            # entries that are done, or that nothing absorbs, stay as they are
            active &= curvature > 0.0
            step = np.divide(now, curvature, out=np.zeros_like(now), where=active)
            x += step * p
            r -= step * image
            np.divide(r, self.diagonal, out=z)
            then = self._dot(r, z)
            p *= np.divide(then, now, out=np.zeros_like(now), where=active)
            p += z
            now = np.where(active, then, 0.0)
        return x

    def _dot(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        mine: NDArray[np.float64] = np.einsum("ce,ce,cz->e", x, y, self.volume)
        total: NDArray[np.float64] = np.empty_like(mine)
        self.decomposition.comm.Allreduce(mine, total)
        return total
