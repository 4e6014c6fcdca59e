"""Small perturbations of a state: one wave, or random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _over_cells(state: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.array(np.broadcast_to(state[..., None], (*state.shape, n)))


def plane_wave(
    state: NDArray[np.float64], position: NDArray[np.float64], wave_number: float, amplitude: float
) -> NDArray[np.float64]:
    """Turn flavour states by a small angle around an axis that turns with kx: P_x + i P_y = amplitude P_z e^{ikx}.

    state (direction, species, group, N_f^2), diagonal; the result has the cells at ``position`` as its last axis. Only
    the flavours e and mu (x) are mixed. P_z is kept, so that |P| grows by the order amplitude^2.
    """
    full = _over_cells(state, position.size)
    n = int(np.sqrt(state.shape[-1]))
    size = 0.5 * amplitude * (state[..., 0] - state[..., 1])[..., None]
    # rho_01 = (P_x - i P_y)/2
    full[..., n, :] += size * np.cos(wave_number * position)
    full[..., n + 1, :] -= size * np.sin(wave_number * position)
    return full


def random_waves(
    state: NDArray[np.float64],
    position: NDArray[np.float64],
    length: float,
    *,
    amplitude: float,
    modes: int,
    seed: int,
) -> NDArray[np.float64]:
    """P_x and P_y = sum_{|n| <= modes} c_n e^{i phi_n + 2 pi i n x/length}, c_n = c_-n, phi_n = -phi_-n: FRS (13).

    c_n normal with standard deviation ``amplitude``, phi_n uniform (phi_0 = 0), for every off-diagonal component,
    direction, species and group that holds neutrinos; the same numbers whatever the number of ranks.

    Raises
    ------
    ConfigurationError
        If modes is negative.
    """
    if modes < 0:
        raise ConfigurationError(f"number of modes is {modes}; accepted: from 0")
    full = _over_cells(state, position.size)
    random = np.random.default_rng(seed)
    n = int(np.sqrt(state.shape[-1]))
    shape = (*state.shape[:-1], n * n - n)
    occupied = (np.abs(state[..., :n]).max(axis=-1) > 0.0)[..., None]
    phase = 2.0 * np.pi * position / length
    full[..., n:, :] += (0.5 * occupied * amplitude * random.normal(size=shape))[..., None]
    for wave in range(1, modes + 1):
        size = amplitude * random.normal(size=shape) * occupied
        offset = random.uniform(0.0, 2.0 * np.pi, size=shape)
        full[..., n:, :] += size[..., None] * np.cos(offset[..., None] + wave * phase)
    return full
