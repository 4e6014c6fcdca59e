"""What an alignment did, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..kernels import alignment as _kernel
from ..numbering import global_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONVERGED = _kernel.CONVERGED
LOCKED = _kernel.LOCKED
SINGULAR = _kernel.SINGULAR
NO_DESCENT = _kernel.NO_DESCENT
MAX_ITERATIONS = _kernel.MAX_ITERATIONS
NOT_FINITE = _kernel.NOT_FINITE

#: Without an aligned state, and moved to the state of largest entropy: set by policy, never by the solver.
EQUILIBRATED = 6

#: Names of the status codes, index = code.
STATUS_NAMES = ("converged", "locked", "singular", "no descent", "max iterations", "not finite", "equilibrated")


@dataclass
class AlignmentReport:
    """What `align` did, cell by cell."""

    status: NDArray[np.int64]  #: (cell,) codes, see STATUS_NAMES
    iterations: NDArray[np.int64]  #: (cell,) updates of the moments
    residual: NDArray[np.float64]  #: (cell,) |D_out - D| / sum |weights n|
    locked: NDArray[np.bool_] = field(init=False)  #: (cell,) solved by the flavour-locked shortcut
    failures: NDArray[np.int64] = field(init=False)  #: numbers of the cells without a solution

    def __post_init__(self) -> None:
        self.locked = self.status == LOCKED
        self.failures = np.flatnonzero((self.status != CONVERGED) & (self.status != LOCKED))

    @property
    def successful(self) -> bool:
        """Whether every cell has a solution."""
        return self.failures.size == 0

    def describe_failures(self, numbers: NDArray[np.int64] | None = None, limit: int = 5) -> str:
        """The failed cells with status and residual in words, at most `limit`; named by their global numbers."""
        parts = [
            f"cell {global_number(numbers, int(cell))}: {STATUS_NAMES[int(self.status[cell])]} after "
            f"{int(self.iterations[cell])} iterations, relative residual {self.residual[cell]:.3e}"
            for cell in self.failures[:limit]
        ]
        if self.failures.size > limit:
            parts.append(f"and {self.failures.size - limit} more cells")
        return "; ".join(parts)
