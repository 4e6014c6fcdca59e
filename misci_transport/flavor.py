"""Flavour algebra: packed Hermitian matrices, the mixing matrix, and the mass-squared matrix in the flavour basis."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, isfinite, pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from .errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NORMAL, INVERTED = "normal", "inverted"

#: Flavours of the off-diagonal elements, in the order of packed matrices.
PAIRS = {2: ((0, 1),), 3: ((0, 1), (0, 2), (1, 2))}
_COUNT = {4: 2, 9: 3}
#: Diagonal elements with those of spectators, flavours that do not mix.
_DIAGONAL = 3
#: Component that stands at each place of a packed matrix: the diagonal elements of spectators come last there.
_PLACES = {n: [*range(n), *range(_DIAGONAL, _DIAGONAL + n * (n - 1)), *range(n, _DIAGONAL)] for n in PAIRS}


def check_flavor_count(n_flavors: int) -> int:
    """Return n_flavors if it is 2 or 3, else raise ConfigurationError."""
    if n_flavors not in PAIRS:
        raise ConfigurationError(f"number of flavours n_flavors is {n_flavors!r}; accepted: 2 or 3")
    return int(n_flavors)


def flavors_of(components: int) -> int:
    """Number of flavours of packed matrices with so many components, 0 if there is none."""
    return _COUNT.get(components, 0)


def pack(matrix: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Hermitian (..., N, N) -> reals (..., N^2): [H_00, H_11, (H_22,) Re H_01, Im H_01, (Re, Im H_02, Re, Im H_12)].

    Only the diagonal and the upper triangle are read.

    Raises
    ------
    ConfigurationError
        If N is not 2 or 3.
    """
    matrix = np.asarray(matrix)
    n = check_flavor_count(matrix.shape[-1])
    packed = np.empty((*matrix.shape[:-2], n * n))
    for i in range(n):
        packed[..., i] = matrix[..., i, i].real
    for pair, (i, j) in enumerate(PAIRS[n]):
        packed[..., n + 2 * pair] = matrix[..., i, j].real
        packed[..., n + 2 * pair + 1] = matrix[..., i, j].imag
    return packed


def unpack(packed: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Reals (..., N^2) -> Hermitian (..., N, N); the inverse of `pack`.

    Raises
    ------
    ConfigurationError
        If the last axis is not 4 or 9 long.
    """
    packed = np.asarray(packed, dtype=np.float64)
    n = flavors_of(packed.shape[-1])
    if n == 0:
        raise ConfigurationError(f"packed Hermitian matrix has {packed.shape[-1]} components; accepted: 4 or 9")
    matrix = np.zeros((*packed.shape[:-1], n, n), dtype=np.complex128)
    for i in range(n):
        matrix[..., i, i] = packed[..., i]
    for pair, (i, j) in enumerate(PAIRS[n]):
        value = packed[..., n + 2 * pair] + 1j * packed[..., n + 2 * pair + 1]
        matrix[..., i, j] = value
        matrix[..., j, i] = value.conj()
    return matrix


def packed_of(components: NDArray[np.float64], n_flavors: int) -> NDArray[np.float64]:
    """Components (..., three diagonal ones and the off-diagonal ones) as packed matrices (..., N_f^2 + spectators).

    Collisions and projectors have components, with the diagonal elements of spectators beside the others.
    """
    return np.take(components, _PLACES[n_flavors], axis=-1)


def components_of(packed: NDArray[np.float64], n_flavors: int) -> NDArray[np.float64]:
    """Components of packed matrices (..., N_f^2 + spectators); the inverse of `packed_of`."""
    return np.take(packed, np.argsort(_PLACES[n_flavors]), axis=-1)


def elements_of(n_flavors: int) -> NDArray[np.int64]:
    """Row and column of the element at each place of a packed matrix with its spectators, (N_f^2 + spectators, 2)."""
    diagonal = [(i, i) for i in range(_DIAGONAL)]
    pairs = [pair for pair in PAIRS[n_flavors] for _ in range(2)]
    return np.array(diagonal[:n_flavors] + pairs + diagonal[n_flavors:])


def pmns_matrix(theta12: float, theta13: float, theta23: float, delta_cp: float) -> NDArray[np.complex128]:
    """U = R_23(theta23) R_13(theta13, delta_cp) R_12(theta12): rows e, mu, tau; columns mass states 1, 2, 3.

    Angles in radians. Source: Particle Data Group 2024, review of neutrino mixing, standard parameterisation
    without Majorana phases (they drop out of oscillations).
    """
    s12, c12 = np.sin(theta12), np.cos(theta12)
    s13, c13 = np.sin(theta13), np.cos(theta13)
    s23, c23 = np.sin(theta23), np.cos(theta23)
    phase = np.exp(1j * delta_cp)
    return np.array(
        [
            [c12 * c13, s12 * c13, s13 / phase],
            [-s12 * c23 - c12 * s13 * s23 * phase, c12 * c23 - s12 * s13 * s23 * phase, c13 * s23],
            [s12 * s23 - c12 * s13 * c23 * phase, -c12 * s23 - s12 * s13 * c23 * phase, c13 * c23],
        ],
        dtype=np.complex128,
    )


@dataclass(frozen=True)
class MixingParameters:
    """Mixing angles (rad), CP phase (rad) and mass-squared differences (eV^2), dm2_ij = m_i^2 - m_j^2.

    Raises
    ------
    ConfigurationError
        If an angle is outside [0, pi/2], the phase outside [-2 pi, 2 pi], dm2_21 negative, the ordering
        unknown, or dm2_31 against the ordering (normal: dm2_31 > 0, inverted: dm2_31 < 0).
    """

    theta12: float
    theta13: float
    theta23: float
    delta_cp: float
    dm2_21: float
    dm2_31: float
    ordering: str = NORMAL

    def __post_init__(self) -> None:
        if self.ordering not in (NORMAL, INVERTED):
            raise ConfigurationError(f"ordering is {self.ordering!r}; accepted: '{NORMAL}' or '{INVERTED}'")
        ranges = {
            "theta12": (0.0, pi / 2),
            "theta13": (0.0, pi / 2),
            "theta23": (0.0, pi / 2),
            "delta_cp": (-2 * pi, 2 * pi),
            "dm2_21": (0.0, 1.0),
            "dm2_31": (0.0, 1.0) if self.ordering == NORMAL else (-1.0, 0.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (isinstance(value, (int, float, np.floating)) and isfinite(value) and low <= value <= high):
                raise ConfigurationError(
                    f"mixing parameter {name} is {value!r} ({self.ordering} ordering); accepted: [{low:g}, {high:g}]"
                )
        if self.dm2_31 == 0.0:
            raise ConfigurationError("mixing parameter dm2_31 is 0; accepted: any other value of the ordering's sign")

    @classmethod
    def global_fit(cls, ordering: str = NORMAL) -> MixingParameters:
        """Best fit of NuFIT 6.0 with Super-Kamiokande atmospheric data (IC24), for the given ordering.

        normal:   sin^2 theta12, theta13, theta23 = 0.308, 0.02215, 0.470; delta_cp = 212 deg;
                  dm2_21 = 7.49e-5, dm2_31 = +2.513e-3 eV^2
        inverted: sin^2 theta12, theta13, theta23 = 0.308, 0.02231, 0.550; delta_cp = 274 deg;
                  dm2_21 = 7.49e-5, dm2_32 = -2.484e-3 eV^2

        Source: I. Esteban et al., JHEP 12 (2024) 216, arXiv:2410.05380, table 1.

        Raises
        ------
        ConfigurationError
            If the ordering is not "normal" or "inverted".
        """
        if ordering not in (NORMAL, INVERTED):
            raise ConfigurationError(f"ordering is {ordering!r}; accepted: '{NORMAL}' or '{INVERTED}'")
        dm2_21 = 7.49e-5
        if ordering == NORMAL:
            sin2_13, sin2_23, delta, dm2_31 = 0.02215, 0.470, 212.0, 2.513e-3
        else:
            sin2_13, sin2_23, delta, dm2_31 = 0.02231, 0.550, 274.0, -2.484e-3 + dm2_21
        return cls(
            theta12=asin(sqrt(0.308)),
            theta13=asin(sqrt(sin2_13)),
            theta23=asin(sqrt(sin2_23)),
            delta_cp=delta * pi / 180.0,
            dm2_21=dm2_21,
            dm2_31=dm2_31,
            ordering=ordering,
        )

    @classmethod
    def two_flavor(cls, theta: float, dm2: float) -> MixingParameters:
        """Mixing of nu_e with one heavy flavour only: angle theta (rad) and dm2 (eV^2; negative is inverted)."""
        return cls(0.0, theta, 0.0, 0.0, 0.0, dm2, INVERTED if dm2 < 0.0 else NORMAL)

    @property
    def matrix(self) -> NDArray[np.complex128]:
        """The 3 x 3 mixing matrix U: rows e, mu, tau; columns mass states 1, 2, 3."""
        return pmns_matrix(self.theta12, self.theta13, self.theta23, self.delta_cp)

    def mass_squared_matrix(self, n_flavors: int) -> NDArray[np.float64]:
        """Packed traceless M^2 = U diag(m^2) U^+ in the flavour basis, eV^2, shape (N_f^2,).

        N_f = 3: all parameters. N_f = 2 (e and x): (dm2_31/2) [[-cos 2t, sin 2t], [sin 2t, cos 2t]], t = theta13.

        Raises
        ------
        ConfigurationError
            If n_flavors is not 2 or 3.
        """
        if check_flavor_count(n_flavors) == 2:
            half = 0.5 * self.dm2_31
            cosine, sine = half * np.cos(2 * self.theta13), half * np.sin(2 * self.theta13)
            return np.array([-cosine, cosine, sine, 0.0])
        mass_squared = np.array([0.0, self.dm2_21, self.dm2_31])
        mass_squared -= mass_squared.mean()
        mixing = self.matrix
        return pack((mixing * mass_squared) @ mixing.conj().T)
