"""Number fluxes through the outer faces of cells, by level and by flavour."""

from __future__ import annotations

import numpy as np

from ..numba_cache import kernel
from .advection import face_values
from .collisions import DIAGONAL


@kernel
def face_fluxes(f, halo, area, b, component, mixed, projector, level_flux, flavor_flux):
    """sum_m a_m f on every face of a range of cells, and that with |U_fk|^2 of the cell inside the face.

    f[cell + 2 halo, direction, species, group, level]; level_flux and flavor_flux
    [face, species, group, level or flavour component]. The innermost face takes the cell outside it.
    """
    faces, species, groups, levels = level_flux.shape
    directions = f.shape[1]
    entries = species * groups * levels
    flat = f.reshape((f.shape[0], directions, entries))
    value = np.empty(entries)
    level_flux[:] = 0.0
    flavor_flux[:] = 0.0
    for j in range(faces):
        i = max(j - 1, 0)
        for m in range(directions):
            a = area[j, m]
            face_values(flat, halo, j, m, area[j, m] + area[faces - 1, m] < 0.0, b, False, value)
            for s in range(species):
                for g in range(groups):
                    for k in range(levels):
                        flux = a * value[(s * groups + g) * levels + k]
                        level_flux[j, s, g, k] += flux
                        if mixed[i] < 0:
                            flavor_flux[j, s, g, component[i, s, k]] += flux
                        else:
                            for c in range(DIAGONAL):
                                flavor_flux[j, s, g, c] += projector[mixed[i], m, s, g, k, c] * flux
