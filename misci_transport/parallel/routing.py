"""Rows of arrays sent to the ranks that want them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def route(comm: Any, destination: NDArray[np.int64], *arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Send row n of every array to rank destination[n]; return what arrived, and (last) the rank that it came from.

    Rows keep their order within a pair of ranks, and arrive in the order of the ranks. Collective.
    """
    order = np.argsort(destination, kind="stable")
    bounds = np.searchsorted(destination[order], np.arange(comm.size + 1))
    pieces = [tuple(np.ascontiguousarray(array[order[low:high]]) for array in arrays) for low, high in pairwise(bounds)]
    arrived = pieces if comm.size == 1 else comm.alltoall(pieces)
    source = np.repeat(np.arange(comm.size), [len(piece[0]) for piece in arrived])
    return (*(np.concatenate([piece[n] for piece in arrived]) for n in range(len(arrays))), source)
