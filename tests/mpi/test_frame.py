"""Moving matter and gravity do not depend on the number of ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from misci_transport.constants import SPEED_OF_LIGHT
from misci_transport.errors import MisciError

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]

FRAME = {"doppler": True, "gravity": "relativistic"}


def star(small_star, comm, speed=0.1):
    transport, fluid = small_star.transport(24, comm=comm, frame=FRAME, steady={"relative_tolerance": 1e-12})
    r = transport.phase_space.mesh.center[transport.decomposition.cells]
    beta = speed * np.where(r > 1.5e7, np.sqrt(1.5e7 / r), 0.02 * r / 1.5e7)
    return transport, replace(fluid, velocity=-beta * SPEED_OF_LIGHT)


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


def test_steps_are_bitwise_equal(comm, small_star):
    together, fluid = star(small_star, comm)
    single, whole = star(small_star, alone())
    for _ in range(3):
        together.step(fluid, together.max_dt())
        single.step(whole, single.max_dt())
    assert together.max_dt() == single.max_dt()
    np.testing.assert_array_equal(together.decomposition.gather(together.state.owned), single.state.owned)
    expected = single.ledger()
    for name, value in together.ledger().items():
        assert value == pytest.approx(expected[name], rel=1e-12, abs=1e-14 * expected["collisions energy"]), name


def test_one_stationary_answer(comm, small_star):
    together, fluid = star(small_star, comm)
    single, whole = star(small_star, alone())
    together.solve_steady(fluid)
    single.solve_steady(whole)
    assert np.abs(together.decomposition.gather(together.state.owned) - single.state.owned).max() < 1e-8


def test_matter_too_fast_on_one_rank_fails_on_all(comm, small_star):
    transport, fluid = star(small_star, comm)
    fast = np.where(transport.decomposition.numbers == 23, 0.7 * SPEED_OF_LIGHT, fluid.velocity)
    with pytest.raises(MisciError, match="velocity in cell 23"):
        transport.step(replace(fluid, velocity=fast), 1.0e-9)
    transport.step(fluid, transport.max_dt())
