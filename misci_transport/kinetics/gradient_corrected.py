"""Beams of neutrinos that move a little in momentum: where the energy goes that oscillations seem to lose.

The usual kinetic equation conserves the numbers of every momentum, hence the kinetic energy, and still changes the
refractive energy of an inhomogeneous gas (FRS24 Eq. 7). The first gradients of the self-energy close the balance:

    d_t rho + v d_z rho + {d_p Omega, d_z rho}/2 - {d_z Omega, d_p rho}/2 = i [rho, Omega]          (FRS24 Eq. 16)
    K = sum eps tr rho,   U = sum_pp' (1 - v v') (mu/4) (3 P^0 P^0' + P . P')                       (FRS24 Eq. 3)

Momenta have a component p_z along the only direction in which anything varies, and an azimuthally symmetric p_perp
that nothing changes: a bunch of beams with one p_perp is a grid in p_z. In this symmetry the correction of FRS24 Eq.
(18) averages to zero over azimuths. Units: mu times the density, and lengths over c. docs/kinetics.md has the numerics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..kernels import gradient_kinetics as _kernel
from ..thermodynamics.quantities import occupation_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Fraction of its peak that a beam's spectrum may have at the ends of its momenta.
EDGE = 1.0e-10


@dataclass(frozen=True)
class Beam:
    """Neutrinos around one momentum: a Gaussian in p_z of the given width."""

    momentum: float  #: p_z, in units of mu times the density; its sign is the direction
    width: float  #: standard deviation of p_z
    density: float  #: P^0 integrated over the momenta
    across: float = 0.0  #: p_perp


@dataclass(frozen=True)
class Totals:
    """Integrals over the box."""

    number: float  #: integral of sum tr rho
    kinetic: float  #: K, integral of sum eps tr rho
    refractive: float  #: U of FRS24 Eq. (3)
    oscillation: float  #: U_osc of FRS24 Eq. (5)
    square: float  #: integral of sum tr rho^2
    cube: float  #: integral of sum tr rho^3
    entropy: float  #: -integral of sum tr [rho log rho + (1 - rho) log(1 - rho)] of occupations rho/unit

    @property
    def energy(self) -> float:
        """K + U."""
        return self.kinetic + self.refractive


class GradientCorrectedBeams:
    """Density matrices of beams on a periodic box, with the forces of their own self-energy.

    Parameters
    ----------
    beams
        What is in the box.
    length, cells
        Of the box.
    spacing
        Of the momenta, the same for all beams.
    reach
        Momenta of a beam extend this many widths to both sides.
    mu
        Strength of the interaction.
    unit
        P^0 per unit of momentum of a mode that is full, for the entropy; by default twice the largest of the beams,
        so that no eigenvalue comes near one.

    Raises
    ------
    ConfigurationError
        If momenta of a beam change sign, overlap with nothing, or the box is smaller than the stencil.
    """

    def __init__(
        self,
        beams: Sequence[Beam],
        length: float,
        cells: int,
        spacing: float,
        *,
        reach: float = 7.0,
        mu: float = 1.0,
        unit: float | None = None,
    ) -> None:
        if cells < 2 * _kernel.REACH + 1:
            raise ConfigurationError(f"cells is {cells}; accepted: {2 * _kernel.REACH + 1} or more")
        if not (spacing > 0.0 and length > 0.0):
            raise ConfigurationError(f"spacing {spacing!r}, length {length!r}; accepted: > 0")
        self.beams, self.length, self.cells, self.mu, self.spacing = tuple(beams), length, cells, mu, spacing
        momenta, velocity, slope, spectrum, first = [], [], [], [], [0]
        for number, beam in enumerate(beams):
            half = int(np.ceil(reach * beam.width / spacing))
            # the differences of v at the ends use the beam's own formula beyond them
            p = beam.momentum + spacing * np.arange(-half - _kernel.REACH, half + _kernel.REACH + 1)
            if not (np.sign(p) == np.sign(beam.momentum)).all():
                raise ConfigurationError(
                    f"beam {number}: momenta reach from {p[0]:g} to {p[-1]:g}; accepted: one sign (a larger momentum, "
                    "or a smaller width)"
                )
            if reach * beam.width < np.sqrt(-2.0 * np.log(EDGE)) * beam.width:
                raise ConfigurationError(
                    f"reach is {reach:g}; accepted: at least {np.sqrt(-2.0 * np.log(EDGE)):.3g}, where a Gaussian is "
                    f"{EDGE:g} of its peak"
                )
            whole = np.hypot(p, beam.across)
            v = p / whole
            inside = slice(_kernel.REACH, -_kernel.REACH)
            slope.append(sum(c * (np.roll(v, -s) - np.roll(v, s)) for s, c in enumerate(_kernel.STENCIL, 1))[inside])
            if beam.across == 0.0:
                # exactly: v is one number
                slope[-1][:] = 0.0
            momenta.append(whole[inside])
            velocity.append(v[inside])
            shape = np.exp(-0.5 * ((p[inside] - beam.momentum) / beam.width) ** 2)
            spectrum.append(beam.density * shape / (shape.sum() * spacing))
            first.append(first[-1] + shape.size)
        self.energy = np.concatenate(momenta)  #: (momentum,) eps
        self.velocity = np.concatenate(velocity)
        self.slope = np.concatenate(slope) / spacing
        self.spectrum = np.concatenate(spectrum)  #: (momentum,) P^0 at rest, per unit of momentum
        self.first = np.array(first, dtype=np.int64)
        self.weight = np.full(self.energy.size, spacing)
        self.unit = 2.0 * float(self.spectrum.max()) if unit is None else unit
        self.step_z = length / cells
        self._stages = np.empty((5, 0))

    @property
    def position(self) -> NDArray[np.float64]:
        """(cell,) z of the cells."""
        return self.step_z * np.arange(self.cells)

    def fill(self, polarization: NDArray[np.float64]) -> NDArray[np.float64]:
        """State (component, momentum, cell) of beams with given P/P^0, (beam, 3, cell), for all their momenta.

        Raises
        ------
        ConfigurationError
            If the shape is another one, or a polarization is longer than one.
        """
        given = np.asarray(polarization, dtype=np.float64)
        if given.shape != (len(self.beams), 3, self.cells):
            raise ConfigurationError(
                f"polarization has shape {given.shape}; accepted: {(len(self.beams), 3, self.cells)}"
            )
        if (np.sqrt((given**2).sum(axis=1)) > 1.0 + 1.0e-12).any():
            raise ConfigurationError("polarization of a beam is longer than 1; accepted: at most 1")
        state = np.empty((4, self.energy.size, self.cells))
        for beam, (low, high) in enumerate(zip(self.first[:-1], self.first[1:], strict=True)):
            number = self.spectrum[low:high, None]
            state[0, low:high] = number
            state[1:, low:high] = number * given[beam][:, None, :]
        return state

    def rate(self, state: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        """out = dP/dt, FRS24 Eq. (16)."""
        _kernel.rate(
            state,
            self.weight,
            self.velocity,
            self.slope,
            self.first,
            self.mu,
            self.step_z,
            self.spacing,
            out,
        )

    def step(self, state: NDArray[np.float64], dt: float) -> None:
        """Advance the state by dt in place (classical Runge-Kutta, fourth order)."""
        if self._stages.shape[1:] != state.shape:
            self._stages = np.empty((5, *state.shape))
        k1, k2, k3, k4, trial = self._stages
        self.rate(state, k1)
        np.multiply(k1, 0.5 * dt, out=trial)
        trial += state
        self.rate(trial, k2)
        np.multiply(k2, 0.5 * dt, out=trial)
        trial += state
        self.rate(trial, k3)
        np.multiply(k3, dt, out=trial)
        trial += state
        self.rate(trial, k4)
        k2 += k3
        k2 *= 2.0
        k1 += k2
        k1 += k4
        k1 *= dt / 6.0
        state += k1

    def totals(self, state: NDArray[np.float64]) -> Totals:
        """Integrals over the box that the equation conserves, or does not."""
        f = np.empty((2, 4, self.cells))
        _kernel.moments(state, self.weight, self.velocity, 1.0, f)
        numbers = f[0, 0] ** 2 - f[1, 0] ** 2
        flavor = (f[0, 1:] ** 2 - f[1, 1:] ** 2).sum(axis=0)
        weight = self.weight[:, None] * self.step_z
        number = state[0]
        size = np.sqrt((state[1:] ** 2).sum(axis=0))
        high, low = 0.5 * (number + size), 0.5 * (number - size)
        entropy = occupation_entropy(high / self.unit) + occupation_entropy(low / self.unit)
        return Totals(
            number=float((weight * number).sum()),
            kinetic=float((weight * self.energy[:, None] * number).sum()),
            refractive=0.25 * self.mu * self.step_z * float((3.0 * numbers + flavor).sum()),
            oscillation=0.25 * self.mu * self.step_z * float(flavor.sum()),
            square=float((weight * (high**2 + low**2)).sum()),
            cube=float((weight * (high**3 + low**3)).sum()),
            entropy=float((weight * entropy).sum()),
        )
