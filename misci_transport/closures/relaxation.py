"""Relaxation towards a target (Bhatnagar, Gross and Krook)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def relax(
    start: NDArray[np.float64], target: NDArray[np.float64], dt: float, relaxation_time: float
) -> NDArray[np.float64]:
    """Q' = exp(-dt/tau) Q + (1 - exp(-dt/tau)) Q_target, the solution of dQ/dt = (Q_target - Q)/tau for any dt.

    Exact while the target stays what it is. Any shape; dt and tau in the same unit; tau = 0: the target. A sum of start
    and target with weights between 0 and 1, so that it stays between the two, and conserves what is linear in the
    occupations and the same in both.

    Raises
    ------
    ConfigurationError
        If dt or the relaxation time is negative or not a number.
    """
    for name, value in (("dt", dt), ("relaxation_time", relaxation_time)):
        if not value >= 0.0:
            raise ConfigurationError(f"{name} is {value!r}; accepted: 0 or more")
    if relaxation_time == 0.0 or dt == np.inf:
        return np.array(target)
    # expm1 keeps the digits of short steps
    share = -np.expm1(-dt / relaxation_time)
    relaxed: NDArray[np.float64] = np.asarray(start + share * (np.asarray(target) - start))
    return relaxed
