"""Where the rates come from: the built-in microphysics, a table, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rates import Rates
from .microphysics.builtin import BuiltinOptions, builtin_rates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..energy import EnergyGrid
    from ..fluid import Fluid
    from ..options import CollisionOptions
    from .microphysics.nulib import NuLibTable


class RateSource:
    """Rates for a fluid, as the options ask."""

    def __init__(self, options: CollisionOptions) -> None:
        self.options = options
        self.table: NuLibTable | None = None
        if options.source == "nulib":
            from .microphysics.nulib import NuLibTable

            assert options.table is not None
            self.table = NuLibTable.open(options.table)

    def energy_grid(self) -> EnergyGrid | None:
        """The groups that a table prescribes, or None."""
        return None if self.table is None else self.table.energy_grid()

    def rates(self, fluid: Fluid, energy: EnergyGrid, numbers: NDArray[np.int64] | None = None) -> Rates:
        """Rates on the fluid's cells.

        Raises
        ------
        TableError
            If a cell is outside the table.
        """
        o = self.options
        if o.source == "none":
            return Rates.zero(fluid.size, energy.size)
        if self.table is not None:
            return self.table.rates(fluid, energy, numbers)
        return builtin_rates(
            fluid,
            energy,
            BuiltinOptions(
                charged_current=o.charged_current,
                nucleon_scattering=o.nucleon_scattering,
                nucleus_scattering=o.nucleus_scattering,
                electron_scattering=o.electron_scattering,
                pair=o.pair,
                bremsstrahlung=o.bremsstrahlung,
                weak_magnetism=o.weak_magnetism,
                nucleon_potential=o.nucleon_potential,
            ),
            numbers,
        )
