"""What moving matter and gravity do inside a cell: shifts between energy groups and between directions.

    df/ds = -e (Phi_{g+1/2} - Phi_{g-1/2})/w_g - (T_{m+1/2} f_{m+1/2} - T_{m-1/2} f_{m-1/2})/V_m

with e = d ln E/ds (cm^-1) of a direction and Phi the phase-space density E^3 f between two groups. Nothing leaves
through the ends of either axis, so that numbers are conserved to round-off.
"""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel

#: A limited value between two groups or directions is at most this many times the one on its upwind side: keeps
#: occupations positive while a step shifts less than about a fifteenth of a group.
STEEPEST = 4.0


@kernel
def shift_energies(f, halo, stretch, coefficient, cube, weight, limited, factor, out, heat, weight_0, work):
    """out -= factor e (Phi_{g+1/2} - Phi_{g-1/2})/w_g, and add what that gives in energy to work.

    f[cell + 2 halo, direction, species, group, component]; stretch[cell, direction] = e, cm^-1;
    coefficient[edge, 4], cube[edge]: Phi = sum_j coefficient_j f_{g-1+j} between groups g and g + 1, which is cube
    for f = 1 (MeV^3; groups beyond the ends hold what the last one holds); weight[group], MeV^3. ``limited`` keeps
    Phi/cube in [0, 1] and below STEEPEST times the f that moves. heat[group, component]: energy density of an
    occupied group, zero for components that are not on the diagonal; weight_0[cell or 1, direction]; work[cell].
    """
    cells, directions, species, groups, components = out.shape
    flux = np.empty((groups + 1, components))
    flux[0] = 0.0
    flux[groups] = 0.0
    for i in range(cells):
        total = 0.0
        for m in range(directions):
            e = factor * stretch[i, m]
            if e == 0.0:
                continue
            gained = 0.0
            for s in range(species):
                row, target = f[halo + i, m, s], out[i, m, s]
                for g in range(groups - 1):
                    before, behind = max(g - 1, 0), min(g + 2, groups - 1)
                    c0, c1, c2, c3 = coefficient[g, 0], coefficient[g, 1], coefficient[g, 2], coefficient[g, 3]
                    for k in range(components):
                        flux[g + 1, k] = c0 * row[before, k] + c1 * row[g, k] + c2 * row[g + 1, k] + c3 * row[behind, k]
                    if limited:
                        source = g if e > 0.0 else g + 1
                        for k in range(components):
                            most = cube[g] * min(1.0, STEEPEST * max(row[source, k], 0.0))
                            flux[g + 1, k] = min(max(flux[g + 1, k], 0.0), most)
                for g in range(groups):
                    share = e / weight[g]
                    for k in range(components):
                        change = share * (flux[g, k] - flux[g + 1, k])
                        target[g, k] += change
                        gained += heat[g, k] * change
            total += gained * weight_0[i % weight_0.shape[0], m]
        work[i] += total


@kernel
def shift_directions(f, halo, turn, share, volume, limited, factor, out):
    """out -= factor (T_{m+1/2} f_{m+1/2} - T_{m-1/2} f_{m-1/2})/V_m, f_{m+1/2} = (1 - share) f_m + share f_{m+1}.

    f[cell + 2 halo, direction, entry]; turn[cell, direction + 1] = T of either sign, zero at both ends;
    share[cell, direction - 1]; volume[cell, direction]. ``limited`` as in ``shift_energies``.
    """
    cells, directions, entries = out.shape
    for i in range(cells):
        for m in range(directions - 1):
            t = factor * turn[i, m + 1]
            if t == 0.0:
                continue
            low, high, a = t / volume[i, m], t / volume[i, m + 1], share[i, m]
            here, there = f[halo + i, m], f[halo + i, m + 1]
            below, above = out[i, m], out[i, m + 1]
            for n in range(entries):
                value = (1.0 - a) * here[n] + a * there[n]
                if limited:
                    value = min(max(value, 0.0), STEEPEST * max(here[n] if t > 0.0 else there[n], 0.0))
                below[n] -= low * value
                above[n] += high * value


@kernel
def carry_along(f, halo, drag, area, b, volume, factor, out):
    """Where face values are centred, take those of the flow with matter from upwind.

    out += factor (F_in - F_out)/V_m,  F = -max(0, drag - (b - 1/2) |area|) (f_outside - f_inside), for
    f[cell + 2 halo, direction, entry]; drag[face, direction] = half of the area of the flow with matter, cm^2;
    area[face, direction]; b[face, entry] the upwind fraction. Centred values of a flow that outruns diffusion would
    oscillate from cell to cell.
    """
    cells, directions, entries = out.shape
    for j in range(cells + 1):
        for m in range(directions):
            most = drag[j, m]
            if most == 0.0:
                continue
            size = abs(area[j, m])
            inside, outside = f[halo + j - 1, m], f[halo + j, m]
            for e in range(entries):
                flux = max(0.0, most - (b[j, e] - 0.5) * size) * (inside[e] - outside[e])
                if j > 0:
                    out[j - 1, m, e] -= factor / volume[j - 1, m] * flux
                if j < cells:
                    out[j, m, e] += factor / volume[j, m] * flux
