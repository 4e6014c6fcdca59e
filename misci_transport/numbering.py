"""Global numbers of cells in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def global_number(numbers: NDArray[np.int64] | None, cell: int) -> int:
    """Number in the whole mesh of a cell of a part of it: numbers (cell,), or None if the part is all there is."""
    return int(cell) if numbers is None else int(numbers[cell])
