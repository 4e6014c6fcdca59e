"""Boxes of the kinetic equation over ranks: the state is bitwise that of one process."""

from __future__ import annotations

import numpy as np
import pytest
from mpi4py import MPI

from misci_transport.errors import MisciError
from misci_transport.io.read import open_output
from misci_transport.kinetics import (
    KineticBox,
    KineticCollisions,
    KineticSetup,
    angular_spectrum,
    directions,
    flavor_state,
    random_waves,
    refractive_energy,
)
from misci_transport.kinetics_case import KineticCase
from misci_transport.kinetics_run import run_kinetics

CELLS = 41

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


def box(boundary, comm, n_flavors=2, kind="gauss"):
    v, weight = directions(kind, 2 if kind == "beams" else 4)
    vacuum = np.zeros((2, n_flavors**2))
    vacuum[:, 0], vacuum[:, n_flavors] = [0.1, 0.2], [0.05, 0.1]
    state = flavor_state(
        angular_spectrum("polynomials", v, nu=[0.0, 0.3], nubar=[0.1]), n_flavors, filling=[1.0, 0.5], pairs=0.1
    )
    rates = np.array([0.02, 0.01, 0.03])[:n_flavors] + np.zeros((2, 2, n_flavors))
    setup = KineticSetup(
        v,
        weight,
        vacuum,
        number_weight=np.array([1.0, 0.7]),
        strength=3.0,
        matter_potential=np.linspace(0.0, 1.0, CELLS),
        cells=CELLS,
        length=4.0,
        boundary=boundary,
        collisions=KineticCollisions(rates, 2.0 * rates, scattering=0.1),
        inflow=state if boundary == "open" else None,
    )
    part = KineticBox(setup, state, comm)
    start = random_waves(state, part.position, setup.length, amplitude=0.02, modes=3, seed=2)
    return KineticBox(setup, start, comm)


@pytest.mark.parametrize(
    ("boundary", "n_flavors", "kind"),
    [
        ("periodic", 2, "gauss"),
        ("periodic", 2, "beams"),
        ("open", 2, "gauss"),
        ("homogeneous", 2, "gauss"),
        ("periodic", 3, "gauss"),
    ],
)
@pytest.mark.mpi
def test_every_number_of_ranks_gives_the_same_digits(boundary, n_flavors, kind):
    comm = MPI.COMM_WORLD
    spread, alone = box(boundary, comm, n_flavors, kind), box(boundary, None, n_flavors, kind)
    dt = alone.setup.cell_width * (1.0 if kind == "beams" else 0.8)
    for b in (spread, alone):
        b.march(20, dt)
    assert np.array_equal(spread.whole(), alone.density_matrix)
    assert np.array_equal(spread.moments(3), alone.moments(3))
    assert refractive_energy(spread) == refractive_energy(alone)
    for name in ("average", "trace_powers", "lepton_numbers", "length_range", "coherence", "entropy"):
        assert np.asarray(getattr(spread, name)()) == pytest.approx(np.asarray(getattr(alone, name)()), rel=1e-13)
    assert spread.fourier([1.0, -2.0]) == pytest.approx(alone.fourier([1.0, -2.0]), abs=1e-16)


@pytest.mark.mpi(min_size=2)
def test_refusals_reach_all_ranks():
    comm = MPI.COMM_WORLD
    found = box("periodic", comm)
    with pytest.raises(MisciError, match="a step reaches"):
        found.step(3.0)
    bad = found.density_matrix.copy()
    if comm.rank == comm.size - 1:
        bad[...] = np.nan
    with pytest.raises(MisciError, match="not finite"):
        KineticBox(found.setup, bad, comm)


@pytest.mark.mpi
def test_run_and_restart_on_any_number_of_ranks(tmp_path_factory):
    comm = MPI.COMM_WORLD
    folder = comm.bcast(str(tmp_path_factory.mktemp("kinetics")) if comm.rank == 0 else None)
    data = {
        "model": "kinetics",
        "box": {"cells": 50, "length": 10.0},
        "directions": {"count": 3},
        "seed": {"kind": "random", "amplitude": 0.01, "modes": 4},
        "run": {"end_time": 4.0, "checkpoint_every": 10},
    }
    case = KineticCase.model_validate(data)
    lines = run_kinetics(case, f"{folder}/spread", comm)
    assert any(f"{comm.size} rank" in line for line in lines)
    run_kinetics(case, f"{folder}/again", comm, f"{folder}/spread/checkpoint_00000010.h5")
    if comm.rank == 0:
        run_kinetics(case, f"{folder}/alone", MPI.COMM_SELF)
        states = []
        for name in ("spread", "again", "alone"):
            with open_output(f"{folder}/{name}/output_00000020.h5") as reader:
                states.append((reader["state/density_matrix"], reader["map/electron_content"]))
        for state in states[1:]:
            assert all(np.array_equal(a, b) for a, b in zip(state, states[0], strict=True))
    comm.barrier()
