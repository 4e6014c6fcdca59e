"""Lobes of the angular distribution of the electron-lepton number."""

from __future__ import annotations

import numpy as np

from misci_transport.kernels.crossings import angular_crossings


def test_lobes_are_the_sums_of_the_formula():
    rng = np.random.default_rng(3)
    occupation = rng.uniform(size=(4, 6, 2, 5, 3))
    weight_0, number_weight = rng.uniform(0.1, 1.0, (4, 6)), rng.uniform(0.1, 1.0, 5)
    plus, minus, total = np.empty((4, 2)), np.empty((4, 2)), np.empty((4, 2))
    angular_crossings(occupation, weight_0, number_weight, plus, minus, total)
    for heavy in (1, 2):
        lepton = occupation[..., 0] - occupation[..., heavy]
        g = np.einsum("cmg,g->cm", lepton[:, :, 0] - lepton[:, :, 1], number_weight)
        np.testing.assert_allclose(plus[:, heavy - 1], (weight_0 * np.maximum(g, 0.0)).sum(1), rtol=1e-13)
        np.testing.assert_allclose(minus[:, heavy - 1], (weight_0 * np.maximum(-g, 0.0)).sum(1), rtol=1e-13)
        every = (occupation[..., 0] + occupation[..., heavy]).sum(2)
        np.testing.assert_allclose(total[:, heavy - 1], np.einsum("cm,cmg,g->c", weight_0, every, number_weight))
