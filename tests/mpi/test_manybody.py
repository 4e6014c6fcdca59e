"""Amplitudes divided among ranks by the high bits of their index."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.manybody import ManyBody
from misci_transport.manybody.gas import BYTES_OF_AMPLITUDE, VECTORS


def couplings(spins):
    rng = np.random.default_rng(4)
    mu = rng.normal(size=(spins, spins))
    return mu + mu.T, rng.normal(size=spins)


@pytest.mark.mpi
@pytest.mark.parametrize("ups", [None, 4, 1])
def test_ranks_compute_what_one_computes(comm, ups):
    spins = 8
    mu, b = couplings(spins)
    pairs = [(0, 1), (7, 6), (7, 2), (6, 3), (5, 7)]
    found = []
    for ranks in (comm, None):
        gas = ManyBody(mu, ups=ups, one_body=b, comm=ranks, low=3)
        if ups is None:
            p = np.random.default_rng(5).normal(size=(spins, 3))
            gas.start_product(p / np.linalg.norm(p, axis=1)[:, None])
        else:
            # one up spin belongs to the last neutrino, so that other ranks begin empty
            gas.start_flavors(np.isin(np.arange(spins), [7, 5, 2, 0][:ups]))
        first = gas.energy()
        gas.evolve(0.9)
        found.append([gas.polarization(), gas.pair_matrices(pairs), gas.entropies(), gas.norm(), gas.energy(), first])
        if ranks is not None and not gas.idle:
            largest = gas.layout.largest
            assert gas.bytes_held <= VECTORS * BYTES_OF_AMPLITUDE * largest
        gas.free()
    for here, alone in zip(*found, strict=True):
        np.testing.assert_allclose(here, alone, atol=1e-11)
    assert found[0][3] == pytest.approx(1.0, abs=1e-12)
