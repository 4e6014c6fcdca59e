"""Angular redistribution taken implicitly in one cell, direction after direction.

    turnover_m f_m + (h/V_m) (G_{m+1/2} f_{m+1/2} - G_{m-1/2} f_{m-1/2}) = rest_m

with f_m = d f_{m+1/2} + (1 - d) f_{m-1/2}; G flows towards larger direction cosines only, so that the system is
triangular. Close to the centre a step explicit in angle would have to be a small part of the light-crossing time.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def sweep(rest, turnover, h, gamma, diamond, volume, upwind, out):
    """Fill out[direction]; ``upwind`` takes f_{m+1/2} = f_m, which keeps f >= 0 for rest >= 0."""
    below = 0.0
    for m in range(rest.shape[0]):
        rate_low, rate_high = h * gamma[m] / volume[m], h * gamma[m + 1] / volume[m]
        if gamma[m] == 0.0 or upwind:
            # a panel of directions starts here: its first value is its own
            out[m] = (rest[m] + rate_low * below) / (turnover[m] + rate_high)
            below = out[m]
        else:
            d = diamond[m]
            out[m] = (rest[m] + (rate_low + rate_high * (1.0 - d) / d) * below) / (turnover[m] + rate_high / d)
            below = (out[m] - (1.0 - d) * below) / d


@njit(cache=True)
def subtract_redistribution(f, h, gamma, diamond, volume, change):
    """Subtract -h (G_{m+1/2} f_{m+1/2} - G_{m-1/2} f_{m-1/2})/V_m from change[cell, direction, species, group].

    f has the shape of change; gamma[cell, direction + 1] is zero where nothing is to be done.
    """
    cells, directions, species, groups = f.shape
    for i in range(cells):
        if not gamma[i].any():
            continue
        for s in range(species):
            for g in range(groups):
                below = 0.0
                for m in range(directions):
                    above = f[i, m, s, g]
                    if gamma[i, m] != 0.0:
                        above = (above - (1.0 - diamond[m]) * below) / diamond[m]
                    change[i, m, s, g] -= h * (gamma[i, m] * below - gamma[i, m + 1] * above) / volume[i, m]
                    below = above
