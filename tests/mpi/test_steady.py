"""The stationary solve does not depend on the number of ranks, but for the order of sums."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConvergenceError

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]

CELLS, OUTER = 24, 3.0e9
TIGHT = {"relative_tolerance": 1e-12}


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


def solved(small_star, comm, outer=OUTER, **sections):
    transport, fluid = small_star.transport(CELLS, outer, comm, steady=TIGHT, **sections)
    return transport, transport.solve_steady(fluid)


@pytest.mark.parametrize("sections", [{}, {"flavors": {"number": 2}}, {"alignment": {"solver": "petsc"}}])
def test_one_answer_on_any_number_of_ranks(comm, small_star, sections):
    """Residuals of 1e-12 of an empty star's; the scattering core amplifies them by its optical depth.

    Measured on 2, 3 and 4 ranks: occupations equal to 8e-11, luminosities to 3e-13 of the largest.
    """
    together, report = solved(small_star, comm, **sections)
    single, expected = solved(small_star, alone(), **sections)
    assert report.newton_iterations == expected.newton_iterations
    difference = np.abs(together.decomposition.gather(together.state.owned) - single.state.owned).max()
    assert difference < 1e-9
    name = "radiation/luminosity"
    luminosity = together.decomposition.gather(small_star.fields(together)[name])
    one = small_star.fields(single)[name]
    assert np.abs(luminosity - one).max() < 1e-9 * np.abs(one).max()
    for name in ("energy", "lepton_number"):
        whole = together.decomposition.gather(getattr(together.sources, name))
        expected_sources = getattr(single.sources, name)
        volume = single.phase_space.mesh.volume
        assert (volume * np.abs(whole - expected_sources)).sum() < 1e-8 * (volume * np.abs(expected_sources)).sum()


def test_an_empty_star_is_empty_on_all_ranks(comm, small_star):
    transport, report = solved(small_star, comm, collisions={"source": "none"})
    assert report.converged
    assert not transport.state.owned.any()


def test_a_solve_that_does_not_converge_fails_on_all_ranks(comm, small_star):
    transport, fluid = small_star.transport(CELLS, OUTER, comm, steady={"max_newton": 1})
    with pytest.raises(ConvergenceError, match="DIVERGED_MAX_IT"):
        transport.solve_steady(fluid)
    assert comm.allreduce(1) == comm.size


def test_an_alignment_that_fails_on_one_rank_ends_the_solve_on_all(comm, small_star):
    transport, fluid = small_star.transport(CELLS, OUTER, comm, alignment={"max_iterations": 1})
    with pytest.raises(ConvergenceError, match=r"alignment has no solution in \d+ of 24 cells"):
        transport.solve_steady(fluid)
    assert comm.allreduce(1) == comm.size


def test_stepping_goes_on_from_the_stationary_state(comm, small_star):
    """The levels of the solve are those of the first step, on every rank."""
    transport, _ = solved(small_star, comm)
    fluid = transport.fluid.copy()
    before = transport.state.owned.copy()
    transport.step(fluid, transport.max_dt())
    # occupations that the linear face values of a step see otherwise, and none that jumped
    assert np.abs(transport.state.owned - np.clip(before, 0.0, 1.0)).max() < 0.1
    assert transport.alignment_summary()["failed"] == 0.0
