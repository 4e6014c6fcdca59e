"""Ghost cells arrive whatever the cut, and the answer does not depend on the number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.grid import RadialMesh
from misci_transport.parallel.decomposition import Decomposition
from misci_transport.physics.boundary import Boundary
from misci_transport.physics.microphysics.builtin import BuiltinOptions
from misci_transport.quadrature import AngularGrid
from misci_transport.verify.matter import box
from misci_transport.verify.setup import Case, constant_rates

pytestmark = pytest.mark.mpi


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


@pytest.mark.parametrize("extra", [0, 1, 3, 10])
@pytest.mark.parametrize("halo", [1, 2])
def test_ghost_exchange(comm, extra, halo):
    """Ranges of one cell (extra = 0) need ghosts from beyond the neighbour; others are uneven."""
    cells = comm.size + extra
    cut = Decomposition(cells, comm)
    assert comm.allreduce(cut.size) == cells
    array = np.full((cut.size + 2 * halo, 3), -1.0)
    array[halo : halo + cut.size] = np.arange(cut.start, cut.stop)[:, None] * np.array([1.0, 10.0, 100.0])
    cut.exchange(array, halo)
    for row, cell in enumerate(range(cut.start - halo, cut.stop + halo)):
        expected = np.array([1.0, 10.0, 100.0]) * cell if 0 <= cell < cells else np.full(3, -1.0)
        np.testing.assert_array_equal(array[row], expected)
    # the same from cells without ghosts, and nothing beyond the ends of the mesh
    padded = cut.padded(array[halo:-halo], halo)
    np.testing.assert_array_equal(padded, np.where(array < 0.0, 0.0, array))


def test_owners_and_gather(comm):
    cells = 3 * comm.size + 1
    cut = Decomposition(cells, comm)
    assert [cut.owner(i) for i in range(cells)] == sorted(cut.owner(i) for i in range(cells))
    assert all(cut.owner(i) == comm.rank for i in range(cut.start, cut.stop))
    assert cut.is_first == (comm.rank == 0)
    assert cut.is_last == (comm.rank == comm.size - 1)
    np.testing.assert_array_equal(cut.gather(np.arange(cut.start, cut.stop)), np.arange(cells))


def test_more_ranks_than_cells(comm):
    """The last ranks own nothing; ghosts still come from their owners."""
    cells = max(comm.size - 1, 1)
    cut = Decomposition(cells, comm)
    assert cut.size == (1 if comm.rank < cells else 0)
    assert comm.allgather(cut.is_last) == [rank == cells - 1 for rank in range(comm.size)]
    assert comm.allgather(cut.is_first) == [rank == 0 for rank in range(comm.size)]
    np.testing.assert_array_equal(cut.gather(np.arange(cut.start, cut.stop)), np.arange(cells))
    padded = cut.padded(1.0 + np.arange(cut.start, cut.stop), 1)
    expected = np.concatenate([[0.0], 1.0 + np.arange(cells), [0.0, 0.0]])
    np.testing.assert_array_equal(padded, expected[cut.start : cut.stop + 2])


def marching(comm, cells):
    mesh = RadialMesh(np.cumsum(np.concatenate([[0.0], 1.0 + 0.4 * np.sin(np.arange(cells))])))
    grid = AngularGrid.hybrid(mesh, 0.5 * mesh.face[-1], inward=3, grazing=2, forward=3, opening_cosine=0.3, shells=1)
    rates = constant_rates(cells, 1, emission=np.linspace(2.0, 0.0, cells), occupation=0.4, scattering=0.3)
    case = Case(mesh, grid, rates=rates, boundary=Boundary("reflecting", "inflow"), comm=comm)
    case.march(8.0, 0.2)
    return case


@pytest.mark.parametrize("extra", [0, 9])
def test_time_steps_are_bitwise_equal_on_any_number_of_ranks(comm, extra):
    cells = comm.size + extra
    together, single = marching(comm, cells), marching(alone(), cells)
    np.testing.assert_array_equal(together.populations(), single.populations())
    assert single.populations().max() > 0.1


def test_steps_with_energy_coupling_are_bitwise_equal(comm):
    mesh = RadialMesh.uniform(0.0, 1.0e6, 2 * comm.size + 1)
    p = {"mass_density": 1e12, "temperature": 8.0, "electron_fraction": 0.2, "angles": 4, "groups": 4}
    whole = []
    for communicator in (comm, alone()):
        case, _ = box(mesh, p, BuiltinOptions(), 1.0 + 0.1 * np.arange(mesh.size) / mesh.size, communicator)
        case.march(1.0e6, 1.0e5)
        whole.append(case.populations())
    np.testing.assert_array_equal(*whole)


def stationary(comm, cells):
    mesh = RadialMesh(
        np.concatenate([np.linspace(0.0, 1.0, cells // 2), np.geomspace(1.0, 30.0, cells - cells // 2 + 2)[1:]])
    )
    grid = AngularGrid.hybrid(mesh, 1.5, inward=4, grazing=2, forward=4, opening_cosine=0.3)
    kappa = np.where(mesh.center < 1.0, 5.0, 0.0)
    rates = constant_rates(mesh.size, 1, emission=kappa, occupation=0.4, scattering=2.0 * kappa)
    case = Case(mesh, grid, rates=rates, comm=comm)
    case.steady(1e-12)
    return case


def test_stationary_state_does_not_depend_on_the_ranks(comm):
    cells = 24
    together, single = stationary(comm, cells), stationary(alone(), cells)
    assert single.populations().max() > 0.3
    np.testing.assert_allclose(together.populations(), single.populations(), rtol=0.0, atol=1e-10)
