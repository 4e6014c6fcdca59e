"""Realizations of the encounter gas on several ranks."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.encounters import Group, Setting, simulate
from misci_transport.encounters_case import EncounterCase
from misci_transport.encounters_run import run_encounters
from misci_transport.errors import MisciError
from misci_transport.manybody_case import ManyBodyCase
from misci_transport.manybody_run import run_manybody


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


@pytest.mark.mpi
def test_runs_write_one_file(comm, tmp_path):
    case = EncounterCase.model_validate(
        {
            "model": "encounters",
            "gas": {"gamma": 0.2, "realizations": 3},
            "groups": {"one": {"number": 6}, "two": {"number": 4, "polarization": [1.0, 0.0, 0.0]}},
            "run": {"end_time": 1.0, "outputs": 2},
        }
    )
    place = comm.bcast(str(tmp_path))
    lines = run_encounters(case, place, comm)
    assert lines[-1].endswith("output_00000005.h5")
    many = ManyBodyCase.model_validate(
        {
            "model": "manybody",
            "neutrinos": {"flavors": "exex"},
            "run": {"end_time": 1.0, "outputs": 2, "pairs": [[0, 3]]},
        }
    )
    lines = run_manybody(many, place, comm)
    assert lines[-1].endswith("output_00000002.h5")
    comm.Barrier()
    if comm.rank == 0:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["output_00000002.h5", "output_00000005.h5"]
