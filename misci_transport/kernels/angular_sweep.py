"""Angular redistribution taken implicitly in one cell, direction after direction.

    turnover_m f_m + (h/V_m) (G_{m+1/2} f_{m+1/2} - G_{m-1/2} f_{m-1/2}) = rest_m

with f_m = d f_{m+1/2} + (1 - d) f_{m-1/2}; G flows towards larger direction cosines only, so that the system is
triangular but for its first two directions (see AngularGrid.diamond). Close to the centre a step explicit in angle
would have to be a small part of the light-crossing time.
"""

from __future__ import annotations

from ..numba_cache import kernel


@kernel
def sweep(rest, turnover, h, gamma, diamond, volume, upwind, out):
    """Fill out[direction]; ``upwind`` takes f_{m+1/2} = f_m, which keeps f >= 0 for rest >= 0."""
    directions = rest.shape[0]
    below = 0.0
    for m in range(directions):
        low, high, d = h * gamma[m] / volume[m], h * gamma[m + 1] / volume[m], diamond[m]
        if upwind or (low == 0.0 and (high == 0.0 or m + 1 == directions)):
            out[m] = (rest[m] + low * below) / (turnover[m] + high)
            below = out[m]
        elif low == 0.0:
            # f_{m+1/2} = d f_m + (1 - d) f_{m+1}: the first two directions are solved together
            low_2, high_2, d_2 = h * gamma[m + 1] / volume[m + 1], h * gamma[m + 2] / volume[m + 1], diamond[m + 1]
            carried = low_2 + high_2 * (1.0 - d_2) / d_2
            a, b = turnover[m] + high * d, high * (1.0 - d)
            c, e = -carried * d, turnover[m + 1] + high_2 / d_2 - carried * (1.0 - d)
            determinant = a * e - b * c
            out[m] = (e * rest[m] - b * rest[m + 1]) / determinant
            below = d * out[m] + (1.0 - d) * (a * rest[m + 1] - c * rest[m]) / determinant
        else:
            out[m] = (rest[m] + (low + high * (1.0 - d) / d) * below) / (turnover[m] + high / d)
            below = (out[m] - (1.0 - d) * below) / d


@kernel
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
                    d = diamond[m]
                    if gamma[i, m] != 0.0:
                        above = (f[i, m, s, g] - (1.0 - d) * below) / d
                    else:
                        above = d * f[i, m, s, g] + (1.0 - d) * f[i, min(m + 1, directions - 1), s, g]
                    change[i, m, s, g] -= h * (gamma[i, m] * below - gamma[i, m + 1] * above) / volume[i, m]
                    below = above
