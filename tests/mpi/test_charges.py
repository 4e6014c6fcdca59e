"""Charges over several ranks: the march, time steps, and PETSc's solution of the bordered system."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from misci_transport.options import ValidityOptions
from misci_transport.parallel.warm import first_on_root
from misci_transport.solvers.petsc_alignment import align_charged_with_petsc
from misci_transport.validity.monitor import ValidityMonitor
from misci_transport.verify.bulb import box, charge_flux, evolving, stationary, survival

BULB = box("R20", 0.7, 0.05, 4, 8, 60)


pytestmark = pytest.mark.mpi


@pytest.fixture(autouse=True)
def started_petsc():
    """PETSc keeps the communicator that it is started on; that of one test is freed at its end."""
    from petsc4py import PETSc

    assert PETSc.Sys.isInitialized()


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


def marched(comm):
    case, mixing = stationary(BULB, comm)
    return case, mixing, (survival(case, mixing, BULB), case.whole(mixing.multipliers), case.whole(mixing.charges))


def test_march_is_the_same_on_any_number_of_ranks(comm):
    with first_on_root(comm):
        *_, expected = marched(alone())
    case, mixing, found = marched(comm)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)
    # the flux of the charge is one number for all cells
    flux = found[2][:, 0] * case.mesh.volume / case.mesh.width
    assert np.ptp(flux) <= 1e-12 * np.abs(flux).max()
    assert comm.allreduce(int(mixing.failed.sum())) == 0


def test_petsc_agrees_with_the_batched_solver(comm):
    case, mixing, _ = marched(comm)
    y = mixing._known.unknowns
    _, unit = mixing.cells.scales(case.state.owned)
    start = y * (1.0 + 1e-6 * np.cos(np.arange(y.size)).reshape(y.shape))
    by_petsc, by_cell = start.copy(), start.copy()
    report = align_charged_with_petsc(mixing.cells, case.state.owned, by_petsc, mixing.charges, comm=comm)
    assert report.successful
    assert mixing.cells.align(case.state.owned, by_cell, mixing.charges).successful
    assert np.abs((by_petsc - by_cell) / unit).max() <= 1e-10


def stepped(comm):
    begin = replace(BULB, emission=BULB.emission * np.array([1.0, 0.99])[:, None, None])
    case, mixing = evolving(BULB, begin, comm)
    for _ in range(10):
        case.step(0.4 * float(case.mesh.width.min()))
    monitor = ValidityMonitor(case.phase_space, case.decomposition, ValidityOptions(stability_cells=0))
    measured = monitor.measure(case.state.owned, case.state.moments, mixing, case.collisions, case.frame)
    numbers, lines = monitor.summary()
    arrays = case.whole(mixing.charges), charge_flux(case, mixing), case.whole(1.0 / measured.gamma)
    return arrays, numbers, lines


def test_time_steps_and_monitor_on_any_number_of_ranks(comm):
    with first_on_root(comm):
        expected, numbers, lines = stepped(alone())
    found, same_numbers, same_lines = stepped(comm)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    assert same_numbers.keys() == numbers.keys()
    for name, value in numbers.items():
        assert same_numbers[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name
    assert same_lines == lines
