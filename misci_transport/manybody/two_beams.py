"""Two beams, H = (4 mu/N) J_A . J_B: the exact answer by angular momenta (docs/encounters.md, N10).

With N/2 nu_e in one beam and N/2 nu_x in the other, J_A = J_B = N/4 and the state stays in the N/2 + 1 states
|m, -m>. A. Friedland, C. Lunardini, Phys. Rev. D 68, 013007 (2003), arXiv:hep-ph/0304055, have the same solution.
"""

from __future__ import annotations

from math import lgamma
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["TwoBeams"]


class TwoBeams:
    """Exact evolution of N/2 nu_e against N/2 nu_x; n is even.

    Raises
    ------
    ConfigurationError
        If n is odd or below two.
    """

    def __init__(self, n: int, mu: float = 1.0) -> None:
        if n < 2 or n % 2:
            raise ConfigurationError(f"number of neutrinos is {n}; accepted: an even number from 2 on")
        self.n, self.mu, self.spin = n, mu, 0.25 * n
        j = self.spin
        m = j - np.arange(n // 2 + 1)
        factor = 4.0 * mu / n
        # <m', -m'| J_A . J_B |m, -m>: -m^2, and (j(j+1) - m(m-1))/2 between m and m - 1
        self.m = m
        self._levels, self._vectors = eigh_tridiagonal(
            -factor * m * m, factor * 0.5 * (j * (j + 1.0) - m[:-1] * (m[:-1] - 1.0))
        )

    def amplitudes(self, times: ArrayLike) -> NDArray[np.complex128]:
        """(time, m) amplitudes of |m, -m>, beginning with |j, -j>."""
        phase = np.exp(-1j * np.multiply.outer(np.asarray(times, dtype=np.float64), self._levels))
        return np.asarray((phase * self._vectors[0]) @ self._vectors.T)

    def spin_of_beam(self, times: ArrayLike) -> NDArray[np.float64]:
        """<J_z> of the first beam over N/4, (time,): the mean P_z of its neutrinos."""
        return np.asarray((np.abs(self.amplitudes(times)) ** 2) @ self.m / self.spin)

    def first_zero(self) -> float:
        """Time of the first zero of <J_z> of a beam."""
        step = 0.02 * float(np.sqrt(self.n)) / self.mu
        t = step
        while self.spin_of_beam([t])[0] > 0.0:
            t += step
        return float(brentq(lambda x: float(self.spin_of_beam([x])[0]), t - step, t, xtol=1e-14))

    def survival(self, times: ArrayLike) -> NDArray[np.float64]:
        """|<psi(0)|psi(t)>|^2 by total angular momenta: sum_J <j j j -j|J 0>^2 exp(-i (2 mu/N) J (J + 1) t).

        <j j j -j|J 0>^2 = (2J + 1) (2j)!^2/((2j - J)! (2j + J + 1)!).
        """
        top = self.n // 2
        j = np.arange(top + 1)
        logarithm = [2.0 * lgamma(top + 1) - lgamma(top - k + 1) - lgamma(top + k + 2) for k in j]
        weight = (2.0 * j + 1.0) * np.exp(logarithm)
        phase = np.multiply.outer(np.asarray(times, dtype=np.float64), 2.0 * self.mu / self.n * j * (j + 1.0))
        return np.asarray(np.abs(np.exp(-1j * phase) @ weight) ** 2)
