"""Realizations of the encounter gas on several ranks."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.encounters import Group, Setting, simulate
from misci_transport.errors import MisciError


def gas(**options):
    groups = (Group(6, (0.0, 0.0, 1.0)), Group(4, (1.0, 0.0, 0.0), direction=(1.0, 0.0, 0.0)))
    return Setting(groups, 0.2, seed=3, **options)


@pytest.mark.mpi
@pytest.mark.parametrize("velocities", ["directions", "kept", "redrawn"])
def test_histories_do_not_depend_on_the_number_of_ranks(comm, velocities):
    here = simulate(gas(velocities=velocities), [0, 3, 9], 5, comm)
    alone = simulate(gas(velocities=velocities), [0, 3, 9], 5)
    for name in ("polarization", "length", "purity", "entropy"):
        np.testing.assert_array_equal(getattr(here, name), getattr(alone, name))
    assert here.encounters == alone.encounters == 5 * 9 * 5


@pytest.mark.mpi
def test_refusals_reach_every_rank(comm):
    with pytest.raises(MisciError):
        simulate(gas(pairing="once"), [10], 3, comm)
