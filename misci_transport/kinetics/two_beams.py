"""Two opposite beams of neutrinos: the linear regime in closed form, and the box.

    (d_t +- d_z) P_+- = 2 P_-+ x P_+-                                                                          FRS (8)

D. F. G. Fiorillo, G. G. Raffelt, G. Sigl, "Inhomogeneous kinetic equation for mixed neutrinos: tracing the missing
energy" (2024), FRS. Time and length are in units of the inverse interaction strength, P_+- begins along z with
zeta_+-.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from .box import KineticBox
from .energy import derivative
from .seeds import random_waves
from .setup import PERIODIC, KineticSetup
from .spectra import angular_spectrum, directions, flavor_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

MINUS, PLUS = 0, 1  #: places of the beams v = -1 and v = +1


@dataclass(frozen=True)
class TwoBeams:
    """Beams with P_z = zeta_plus and zeta_minus at the start.

    Raises
    ------
    ConfigurationError
        If they are not of opposite signs: then nothing is unstable.
    """

    zeta_plus: float = 0.5
    zeta_minus: float = -0.5

    def __post_init__(self) -> None:
        if not self.zeta_plus * self.zeta_minus < 0.0:
            raise ConfigurationError(
                f"zeta_plus, zeta_minus are {self.zeta_plus:g}, {self.zeta_minus:g}; accepted: of opposite signs"
            )

    @property
    def unstable(self) -> tuple[float, float]:
        """Ends k_1 < k_2 of the unstable range, zeta_- - zeta_+ -+ 2 sqrt(-zeta_- zeta_+)."""
        half = 2.0 * np.sqrt(-self.zeta_plus * self.zeta_minus)
        middle = self.zeta_minus - self.zeta_plus
        return float(middle - half), float(middle + half)

    @property
    def frequency(self) -> float:
        """omega_0 = -zeta_- - zeta_+."""
        return -self.zeta_minus - self.zeta_plus

    def growth(self, k: ArrayLike) -> NDArray[np.float64]:
        """gamma_k = sqrt((k - k_1)(k_2 - k)), zero outside."""
        low, high = self.unstable
        k = np.asarray(k, dtype=np.float64)
        return np.asarray(np.sqrt(np.maximum((k - low) * (high - k), 0.0)))

    def growing(self, k: NDArray[np.float64], plus: NDArray[Any], minus: NDArray[Any]) -> NDArray[np.complex128]:
        """alpha_k of unstable k from the Fourier components of psi_+- = P_x + i P_y at the start: FRS (11)."""
        gamma = self.growth(k)
        both, difference = plus + minus, plus - minus
        return np.asarray(((gamma + 1j * self.frequency) * both - 1j * k * difference) / (4.0 * k * gamma))

    def mode(self, k: float) -> tuple[complex, complex]:
        """psi_+ and psi_- of the growing mode of an unstable k, alpha_k = 1: FRS (10)."""
        gamma = 1j * float(self.growth(k))
        return k + self.frequency + gamma, k - self.frequency - gamma

    def transverse_energy(self, k: NDArray[np.float64], alpha: NDArray[Any], length: float, time: float) -> float:
        """Delta U_osc = L sum 2 k (k - k_mean) |alpha_k|^2 e^{2 gamma_k t} of the components x and y: FRS (12)."""
        mean = 0.5 * sum(self.unstable)
        return self._sum(2.0 * k * (k - mean), k, alpha, length, time)

    def energy_change(self, k: NDArray[np.float64], alpha: NDArray[Any], length: float, time: float) -> float:
        """The whole change of U_osc, L sum 2 k^2 |alpha_k|^2 e^{2 gamma_k t}.

        |P| is kept, so that P_z changes at the second order too: integral P_+z falls by integral |psi_+|^2/(2 zeta_+),
        and P_+z P_-z adds 2 k k_mean |alpha_k|^2 to FRS (12). Only k = 0 keeps its energy, as FRS (7) says.
        """
        return self._sum(2.0 * k**2, k, alpha, length, time)

    def _sum(
        self, factor: NDArray[np.float64], k: NDArray[np.float64], alpha: NDArray[Any], length: float, time: float
    ) -> float:
        return float(length * np.sum(factor * np.abs(alpha) ** 2 * np.exp(2.0 * self.growth(k) * time)))

    # the box

    def setup(self, length: float, cells: int) -> KineticSetup:
        """Periodic box in which beams move by one cell in dt = cell_width."""
        v, weight = directions("beams", 2)
        return KineticSetup(v, weight, np.zeros((1, 4)), strength=1.0, cells=cells, length=length, boundary=PERIODIC)

    def state(self) -> NDArray[np.float64]:
        """Density matrices without perturbation, (direction, species, group, 4)."""
        v, _ = directions("beams", 2)
        excess = angular_spectrum("beams", v, zeta_plus=self.zeta_plus, zeta_minus=self.zeta_minus)
        return flavor_state(excess)

    def random_box(
        self, length: float, cells: int, *, amplitude: float, modes: int, seed: int, comm: Any = None
    ) -> KineticBox:
        """Box with random waves, FRS (13)."""
        setup = self.setup(length, cells)
        position = KineticBox(setup, self.state(), comm).position
        start = random_waves(self.state(), position, length, amplitude=amplitude, modes=modes, seed=seed)
        return KineticBox(setup, start, comm)

    def box_of(
        self,
        length: float,
        cells: int,
        psi: Callable[[NDArray[np.float64]], tuple[NDArray[Any], NDArray[Any]]],
        comm: Any = None,
    ) -> KineticBox:
        """Box whose psi_+ and psi_- at positions z are given; P_z is that of the start."""
        setup = self.setup(length, cells)
        box = KineticBox(setup, self.state(), comm)
        for place, wave in zip((PLUS, MINUS), psi(box.position), strict=True):
            box.density_matrix[place, 0, 0, 2] += 0.5 * np.real(wave)
            box.density_matrix[place, 0, 0, 3] -= 0.5 * np.imag(wave)
        return box


def transverse(box: KineticBox) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """psi_+ and psi_- = P_x + i P_y in the cells of the whole box. Collective."""
    off = box.whole()[:, 0, 0, 2:]
    psi = 2.0 * (off[:, 0] - 1j * off[:, 1])
    return psi[PLUS], psi[MINUS]


def components(box: KineticBox, wave_numbers: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Fourier components of psi_+ and psi_- at k = 2 pi n/L, (1/L) integral psi e^{-ikz} dz. Collective."""
    found = 2.0 * box.fourier(-wave_numbers)[..., 0, 0, 0].conj()
    return found[:, PLUS], found[:, MINUS]


def transverse_energy(box: KineticBox) -> float:
    """Integral of (psi_+ psi_-^* + c.c.)/2 over the box. Collective."""
    plus, minus = transverse(box)
    return float(box.setup.cell_width * np.sum((plus * minus.conj()).real))


def refractive_rate(box: KineticBox) -> float:
    """2 integral P_+ . d_z P_- dz: dU_osc/dt of two beams by FRS (7). Collective."""
    whole = box.whole()[:, 0, 0]
    vectors = np.stack([2.0 * whole[:, 2], -2.0 * whole[:, 3], whole[:, 0] - whole[:, 1]], axis=1)
    change = derivative(vectors[MINUS], box.setup.length, periodic=True)
    return float(2.0 * box.setup.cell_width * np.sum(vectors[PLUS] * change))
