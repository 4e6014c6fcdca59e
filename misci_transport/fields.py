"""Named arrays with axes and units: what a run hands to output, plots and host codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass
class Field:
    """One array of results.

    placement: "cell" and "face" arrays are this rank's part along the first axis (a rank owns the faces on
    the inner side of its cells, the last rank the outermost one as well); "global" arrays are equal on all ranks.
    """

    name: str  #: path in the output file, such as "radiation/luminosity"
    values: NDArray[np.float64]
    axes: tuple[str, ...]  #: names of the axes, such as ("face", "species", "flavor")
    unit: str
    description: str
    placement: str = "cell"
