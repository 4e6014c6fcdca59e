"""The package's own operators, put together for small problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import roots_legendre

from ..block_mesh import BlockMesh
from ..constants import SPEED_OF_LIGHT
from ..domains import make_domain
from ..energy import EnergyGrid
from ..errors import ConvergenceError
from ..phase_space import PhaseSpace
from ..physics.collisions import CollisionOperator
from ..physics.levels import LevelFrame
from ..physics.mixing import NoMixing
from ..physics.population_scheme import PopulationScheme
from ..rates import Rates
from ..solvers.steady import SteadyReport, SteadySolver
from ..stepper import Mixing, Scheme, Stepper, StepResult
from .registry import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..grid import RadialMesh
    from ..physics.block_boundary import BlockBoundary
    from ..physics.boundary import Boundary
    from ..quadrature import AngularGrid
    from ..sphere import SphereQuadrature

#: Optical depth of a cell above which faces take central values (the default of the transport options).
DIFFUSION_THRESHOLD = 0.05


class Case:
    """Mesh, directions, energies and rates with everything that a step or a stationary solution needs."""

    def __init__(
        self,
        mesh: RadialMesh | BlockMesh,
        angles: AngularGrid | SphereQuadrature,
        *,
        energy: EnergyGrid | None = None,
        rates: Rates | None = None,
        boundary: Boundary | BlockBoundary | None = None,
        n_flavors: int = 3,
        second_order: bool = True,
        comm: Any = None,
    ) -> None:
        # of one kind or the other
        self.mesh: Any = mesh
        self.angles: Any = angles
        self.energy = energy or EnergyGrid.single(10.0)
        self.phase_space = PhaseSpace(mesh, angles, self.energy, n_flavors)
        domain = make_domain(self.phase_space, DIFFUSION_THRESHOLD, comm, boundary)
        self.decomposition: Any = domain.decomposition
        self.boundary: Any = domain.boundary
        self.advection: Any = domain.advection
        self.cells = self.decomposition.cells
        self.rates = (rates or Rates.zero(mesh.size, self.energy.size)).take(self.cells)
        self.collisions = CollisionOperator(self.phase_space, self.rates, self.cells)
        self.mixing: Mixing = NoMixing(self.phase_space, self.cells)
        self.frame = LevelFrame.locked(self.phase_space, self.decomposition.size)
        self.state = domain.empty_state()
        self._second_order = second_order
        self.use(PopulationScheme(self.advection, self.decomposition))

    def use(self, scheme: Scheme) -> None:
        """Advect what the scheme carries."""
        self.stepper = Stepper(
            self.phase_space, self.decomposition, self.advection, scheme, second_order=self._second_order
        )

    def mix(self, mixing: Mixing) -> None:
        """Align with ``mixing`` from now on, and once now."""
        self.mixing = mixing
        self.frame = mixing.align(self.state.owned, self.state.moments)

    def fill(self, occupation: NDArray[np.float64]) -> None:
        """Set the populations from occupation[cell, direction] of the whole mesh, equal for all levels."""
        self.state.owned[:] = occupation[self.cells][:, :, None, None, None]

    def march(self, duration: float, step: float) -> list[StepResult]:
        """Advance by ``duration`` in equal steps no longer than ``step``, both as c t in cm."""
        count = max(1, int(np.ceil(duration / step * (1.0 - 1.0e-12))))
        return [self.step(duration / count) for _ in range(count)]

    def step(self, length: float) -> StepResult:
        """Advance by one step of c dt = length in cm."""
        result, self.frame = self.stepper.step(
            self.state, self.collisions, self.mixing, self.frame, length / SPEED_OF_LIGHT
        )
        return result

    def light_crossing(self) -> float:
        """Light crossing of the smallest phase-space cell of the mesh, cm."""
        return float(self.advection.shortest_crossing)

    def settle(self, step: float, tolerance: float, most: int) -> list[StepResult]:
        """Steps of c dt = step in cm until none changes an occupation by more than ``tolerance`` (collective).

        Raises
        ------
        ConvergenceError
            If that takes more than ``most`` steps.
        """
        results: list[StepResult] = []
        change = np.inf
        while change > tolerance:
            if len(results) == most:
                raise ConvergenceError(f"not stationary after {most} steps: the last one changed {change:g}")
            old = self.state.owned.copy()
            results.append(self.step(step))
            change = max(self.decomposition.comm.allgather(float(np.abs(self.state.owned - old).max())))
        return results

    def steady(self, tolerance: float = 1.0e-11) -> SteadyReport:
        """Replace the state by the stationary one."""
        solver = SteadySolver(
            self.phase_space,
            self.decomposition,
            self.advection,
            self.collisions,
            self.mixing,
            relative_tolerance=tolerance,
            max_newton=30,
            max_krylov=200,
        )
        return solver.solve(self.state)

    def whole(self, local: NDArray[Any]) -> NDArray[Any]:
        """Join the ranks' cells; the whole array on every rank."""
        return np.asarray(self.decomposition.gather(local))

    def populations(self) -> NDArray[np.float64]:
        """Populations of the whole mesh [cell, direction, species, group, level]."""
        return self.whole(self.state.owned)

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """J and H = 1/2 integral(mu^l f dmu) of the whole mesh, first species, group and level: (cell,) each.

        On a block H has three components, (cell, axis).
        """
        f = self.populations()[:, :, 0, 0, 0]
        if isinstance(self.mesh, BlockMesh):
            weights = 0.5 * self.angles.weights[0]
            return f @ weights[0], f @ weights[1:].T
        return 0.5 * (self.angles.weight_0 * f).sum(axis=1), 0.5 * (self.angles.weight_1 * f).sum(axis=1)

    def phase_volume(self) -> NDArray[np.float64]:
        """(cell, direction) volumes of this rank's cells of phase space, as the ledger counts them."""
        if isinstance(self.mesh, BlockMesh):
            return np.outer(self.advection.cell_volume, self.angles.weight)
        return np.asarray(self.advection.volume)

    def corrections(self, results: list[StepResult]) -> int:
        """Number of occupations that these steps had to mend (collective)."""
        return int(self.total(sum(sum(r.ledger.counts.values()) for r in results)))

    def total(self, value: float) -> float:
        """Sum over ranks."""
        return float(self.decomposition.comm.allreduce(value))


def constant_rates(
    cells: int,
    groups: int,
    *,
    emission: NDArray[np.float64] | float = 0.0,
    occupation: float = 0.0,
    scattering: NDArray[np.float64] | float = 0.0,
) -> Rates:
    """Rates with j + 1/lambda = emission opacity (cm^-1), j = opacity * occupation, and isotropic scattering."""
    rates = Rates.zero(cells, groups)
    kappa = np.broadcast_to(np.asarray(emission, dtype=np.float64), (cells,))[:, None, None, None]
    rates.emissivity += kappa * occupation
    rates.absorption += kappa * (1.0 - occupation)
    rates.scattering_0 += np.broadcast_to(np.asarray(scattering, dtype=np.float64), (cells,))[:, None, None]
    return rates


def cell_average(mesh: RadialMesh, function: Any, points: int = 4) -> NDArray[np.float64]:
    """Volume average of function(r) over each cell by Gauss-Legendre quadrature, (cell,)."""
    x, w = roots_legendre(points)
    r = mesh.center[:, None] + 0.5 * mesh.width[:, None] * x
    weight = w * (np.ones_like(r) if mesh.geometry == "plane" else r**2)
    return np.asarray((weight * function(r)).sum(axis=1) / weight.sum(axis=1))


def order(coarse: float, fine: float, factor: float = 2.0) -> float:
    """Convergence order from the errors on two meshes whose cells differ by ``factor``."""
    return float(np.log(coarse / fine) / np.log(factor)) if coarse > 0.0 and fine > 0.0 else float("nan")


def cells(default: int, low: int = 4, high: int = 100000, elsewhere: Mapping[str, int] | None = None) -> Parameter:
    """Key ``cells``."""
    words = "number of cells, of a block: along an axis" if elsewhere else "number of cells"
    return Parameter("cells", default, "1", words, low, high, elsewhere=elsewhere or {})


def angles(default: int, low: int = 2, high: int = 256, elsewhere: Mapping[str, int] | None = None) -> Parameter:
    """Key ``angles``."""
    words = "number of directions"
    if elsewhere:
        words += ", of a block: of azimuths, on half as many levels"
    return Parameter("angles", default, "1", words, low, high, even=True, elsewhere=elsewhere or {})


def groups(default: int = 1, high: int = 64) -> Parameter:
    """Key ``groups``; one group is monochromatic."""
    return Parameter("groups", default, "1", "number of energy groups", 1, high)


def geometry(*choices: str) -> Parameter:
    """Key ``geometry``."""
    return Parameter("geometry", choices[0], "-", "symmetry", choices=choices)


def energy_grid(count: int) -> EnergyGrid:
    """One monochromatic group, or ``count`` groups from 1.5 to 300 MeV."""
    return EnergyGrid.single(10.0) if count == 1 else EnergyGrid.logarithmic(1.5, 300.0, count)
