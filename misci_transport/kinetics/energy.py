"""Refractive energy of neutrinos among themselves, and the kinetic energy that it is traded with.

D. F. G. Fiorillo, G. G. Raffelt, G. Sigl, "Inhomogeneous kinetic equation for mixed neutrinos: tracing the missing
energy" (2024), Eqs. (5), (7), (22).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .setup import PERIODIC

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .box import KineticBox


@dataclass(frozen=True)
class BoxEnergy:
    """Energies of a whole box, per unit of area."""

    refractive: float  #: U_osc, Eq. (5)
    kinetic_rate: float  #: dK/dt by the force of gradients of flavour, Eq. (22), which is minus Eq. (7)


def refractive_energy(box: KineticBox) -> BoxEnergy:
    """U_osc = (strength/2) integral Tr(D_0^2 - D_1^2) and the rate of the kinetic energy, D without trace.

        dK/dt = strength integral sum_p sum_p' v (1 - v v') Tr(rho_p' d_x rho_p)                      FRS (21), (22)
              = strength integral Tr(D_0 d_x D_1 - D_1 d_x D_2) = -dU_osc/dt                          FRS (7)

    (two flavours: Tr(A B) = P_A . P_B/2). That the two rates cancel is exact for exact solutions of the kinetic
    equation without vacuum term, matter and collisions. Derivatives are spectral in a periodic box, else of second
    order. Any number of flavours, antineutrinos with a minus sign. Collective; the same on any number of ranks.
    """
    setup, n = box.setup, box.setup.n_flavors
    moments = box.moments(3)
    moments[:, :n] -= moments[:, :n].mean(axis=1, keepdims=True)
    dx, strength = setup.cell_width, setup.strength_at(box.time)

    def trace(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(dx * ((a[:n] * b[:n]).sum() + 2.0 * (a[n:] * b[n:]).sum()))

    change = derivative(moments, setup.length, periodic=setup.boundary == PERIODIC)
    energy = 0.5 * strength * (trace(moments[0], moments[0]) - trace(moments[1], moments[1]))
    return BoxEnergy(energy, strength * (trace(moments[0], change[1]) - trace(moments[1], change[2])))


def derivative(values: NDArray[np.float64], length: float, *, periodic: bool) -> NDArray[np.float64]:
    """d/dx along the last axis: spectral in a periodic box, else by differences of second order."""
    n = values.shape[-1]
    if n == 1:
        return np.zeros_like(values)
    if not periodic:
        return np.asarray(np.gradient(values, length / n, axis=-1, edge_order=2 if n > 2 else 1))
    k = 2.0j * np.pi / length * np.arange(n // 2 + 1)
    if n % 2 == 0:
        # the shortest wave has no derivative at the cells
        k[-1] = 0.0
    return np.asarray(np.fft.irfft(k * np.fft.rfft(values, axis=-1), n, axis=-1))
