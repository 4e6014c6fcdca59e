"""Stationary states and implicit steps on block meshes do not depend on the number of ranks, but for round-off."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ConvergenceError
from misci_transport.fluid import Fluid
from misci_transport.options import TransportOptions
from misci_transport.plugin import Transport

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


def transport_of(geometry, comm, **sections):
    """A ball off the centre with two flavours, in cells that no number of ranks up to four divides along all axes."""
    if geometry == "cartesian":
        mesh = BlockMesh.uniform((-1e7,) * 3, (1e7,) * 3, (5, 4, 3))
        at = mesh.centers - 2e6
    else:
        mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (1e7, np.pi, 2.0 * np.pi), (7, 5, 1), "spherical")
        r, theta, _ = mesh.centers.T
        at = np.stack([r * np.sin(theta), 0.0 * r, r * np.cos(theta) - 1e6], axis=1)
    given = {
        "angles": {"kind": "product", "levels": 4, "azimuths": 4},
        "flavors": {"number": 2},
        "collisions": {"electron_scattering": False, "pair": False, "bremsstrahlung": False},
        "energy": {"minimum": 4.0, "maximum": 40.0, "groups": 3},
        "steady": {"relative_tolerance": 1e-12},
    }
    transport = Transport(mesh, TransportOptions.model_validate({**given, **sections}), comm)
    r = np.linalg.norm(at, axis=1)
    fluid = Fluid(3e10 * np.exp(-r / 1.5e6) + 1e5, 5.0 * np.exp(-r / 8e6), np.full(r.size, 0.3), np.zeros((r.size, 3)))
    return transport, fluid.take(transport.decomposition.cells)


def compare(together, single, bound):
    """Occupations, and sources weighted with the volume."""
    gather, volume = together.decomposition.gather, single.phase_space.mesh.volume
    assert np.abs(gather(together.state.owned) - single.state.owned).max() < bound
    for name in ("energy", "lepton_number"):
        expected = getattr(single.sources, name)
        difference = np.abs(gather(getattr(together.sources, name)) - expected)
        assert volume @ difference < bound * (volume @ np.abs(expected))


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
def test_one_answer_on_any_number_of_ranks(comm, geometry):
    """The sweeps know only the cells of a rank, so that paths differ, but not where they end."""
    together, fluid = transport_of(geometry, comm)
    report = together.solve_steady(fluid)
    assert report.converged
    single, fluid = transport_of(geometry, alone())
    single.solve_steady(fluid)
    assert single.alignment_summary()["locked"] < single.phase_space.mesh.size
    compare(together, single, 1e-8)


def test_implicit_steps_on_any_number_of_ranks(comm):
    together, fluid = transport_of("cartesian", comm)
    single, matter = transport_of("cartesian", alone())
    for _ in range(2):
        together.step_implicit(fluid, 50.0 * together.max_dt())
        single.step_implicit(matter, 50.0 * single.max_dt())
    compare(together, single, 1e-8)
    ledger, expected = together.ledger(), single.ledger()
    for name in ("collisions energy", "inflow energy"):
        assert ledger[name] == pytest.approx(expected[name], rel=1e-8)


def test_a_solve_that_does_not_converge_fails_on_all_ranks(comm):
    transport, fluid = transport_of("cartesian", comm, steady={"max_newton": 1, "relative_tolerance": 1e-13})
    with pytest.raises(ConvergenceError, match="DIVERGED_MAX_IT"):
        transport.solve_steady(fluid)
    assert comm.allreduce(1) == comm.size
