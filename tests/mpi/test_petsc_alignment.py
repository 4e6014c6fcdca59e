"""The SNES path gives what the batched solver gives, and names the cells that fail."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.alignment import align, project
from misci_transport.errors import ConvergenceError
from misci_transport.flavor import MixingParameters
from misci_transport.parallel.warm import first_on_root
from misci_transport.solvers.petsc_alignment import PREFIX, align_with_petsc

pytestmark = pytest.mark.mpi


@pytest.fixture(autouse=True)
def started_petsc():
    """PETSc keeps the communicator that it is started on; that of one test is freed at its end."""
    from petsc4py import PETSc

    assert PETSc.Sys.isInitialized()


FREQUENCY = np.array([2.5, 1.0, 0.4])


def problem(n, cells, potential, strength, ordering="normal"):
    """Flavour states with falling nubar/nu from cell to cell."""
    cosine, weight = np.polynomial.legendre.leggauss(4)
    mixing = MixingParameters.global_fit(ordering)
    vacuum = mixing.mass_squared_matrix(n)[None] / 2.5e-3 * FREQUENCY[:, None]
    occupation = np.full((cells, 4, 2, 3, n), 0.1)
    occupation[:, :, 0, :, 0] = 0.8 * np.exp(0.5 * (cosine - 1.0))[:, None]
    occupation[:, :, 1, :, 0] = occupation[:, :, 0, :, 0] * np.linspace(0.3, 0.6, cells)[:, None, None]
    matrix = np.zeros((cells, 4, 2, 3, n * n))
    matrix[..., :n] = occupation
    number_weight = np.full(3, 1.0 / 3.0)
    moments = np.zeros((cells, 2, n * n))
    for order, w in enumerate((weight, weight * cosine)):
        moments[:, order, :n] = np.einsum("cmsgf,m,g,s->cf", occupation, w, number_weight, [1.0, -1.0])
    frame = {
        "direction_cosine": cosine,
        "vacuum": vacuum,
        "matter_potential": potential,
        "matter_beta": 0.0,
        "strength": strength,
        "n_flavors": n,
    }
    arguments = {**frame, "weight_0": weight, "weight_1": weight * cosine, "number_weight": number_weight}
    return project(matrix, moments, **frame), moments, arguments


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("potential", "strength"), [(0.1, 1e-2), (30.0, 3.0), (1e4, 1e2), (1e9, 1e4)])
def test_snes_agrees_with_the_batched_solver(comm, n, potential, strength):
    with first_on_root(comm):
        populations, moments, arguments = problem(n, 3 + comm.rank, potential, strength)
        batched = moments.copy()
        report = align(populations, batched, **arguments)
    assert report.successful, report.describe_failures()
    together = align_with_petsc(populations, moments, comm=comm, **arguments)
    assert together.successful
    assert together.residual.max() <= 1e-12
    scale = np.einsum("cmsgk,m,g->c", populations, arguments["weight_0"], arguments["number_weight"])
    assert (abs(moments - batched).max(axis=(1, 2)) <= 1e-10 * scale).all()


def test_failed_cells_are_named_on_every_rank(comm):
    cells = 2
    populations, moments, arguments = problem(2, cells, 0.3, 0.05)
    if comm.rank != comm.size - 1:
        moments[...] = 0.0
        populations[...] = 0.0
    else:
        moments[1] = 0.0
        moments[1, 0, 2] = 5.0
    before = moments.copy()
    last, numbers = cells * comm.size - 1, cells * comm.rank + np.arange(cells)
    with pytest.raises(ConvergenceError, match=rf"DIVERGED_MAX_IT.*cell {last}: max iterations") as caught:
        align_with_petsc(populations, moments, comm=comm, max_iterations=1, numbers=numbers, **arguments)
    assert "relative residual" in str(caught.value)
    np.testing.assert_array_equal(moments, before)
    assert comm.allreduce(1) == comm.size


def test_options_take_the_prefix(comm):
    from petsc4py import PETSc

    populations, moments, arguments = problem(2, 2, 0.3, 0.05)
    moments[...] *= 0.5
    options = PETSc.Options()
    options[f"{PREFIX}snes_max_it"] = 0
    try:
        with pytest.raises(ConvergenceError, match="DIVERGED_MAX_IT"):
            align_with_petsc(populations, moments, comm=comm, **arguments)
    finally:
        options.delValue(f"{PREFIX}snes_max_it")
    assert align_with_petsc(populations, moments, comm=comm, **arguments).successful


def test_empty_cells(comm):
    populations, moments, arguments = problem(3, 2, 0.3, 0.05)
    populations[...] = 0.0
    assert align_with_petsc(populations, moments, comm=comm, **arguments).successful
    np.testing.assert_allclose(moments, 0.0, atol=1e-12)
