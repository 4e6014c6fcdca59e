"""Angular crossings of the electron-lepton number: the cheap necessary condition of a fast instability.

Source: T. Morinaga, Phys. Rev. D 105 (2022) L101301, arXiv:2103.15267 (a crossing is necessary and sufficient in a
homogeneous gas); docs/validity.md says what a discrete set of directions can see.
"""

from __future__ import annotations

from ..numba_cache import kernel


@kernel
def angular_crossings(occupation, weight_0, number_weight, plus, minus, total):
    """G(mu) = sum_g N_g (f_e - f_x - fbar_e + fbar_x), I_+- = sum_m w_0 max(+-G, 0): into plus, minus (cell, 2).

    occupation (cell, direction, species, group, flavour 3); weight_0 (cell, direction), number_weight (group), cm^-3.
    The second axis of plus and minus is the heavy flavour x = 1, 2. total (cell, 2) = sum w_0 N_g of all four terms
    taken with positive sign, against which round-off is measured.
    """
    for cell in range(occupation.shape[0]):
        for heavy in range(2):
            up = 0.0
            down = 0.0
            everything = 0.0
            for m in range(occupation.shape[1]):
                difference = 0.0
                number = 0.0
                for g in range(occupation.shape[3]):
                    lepton = occupation[cell, m, 0, g, 0] - occupation[cell, m, 0, g, 1 + heavy]
                    lepton -= occupation[cell, m, 1, g, 0] - occupation[cell, m, 1, g, 1 + heavy]
                    difference += number_weight[g] * lepton
                    for species in range(2):
                        number += number_weight[g] * occupation[cell, m, species, g, 0]
                        number += number_weight[g] * occupation[cell, m, species, g, 1 + heavy]
                if difference > 0.0:
                    up += weight_0[cell, m] * difference
                else:
                    down -= weight_0[cell, m] * difference
                everything += weight_0[cell, m] * number
            plus[cell, heavy] = up
            minus[cell, heavy] = down
            total[cell, heavy] = everything
