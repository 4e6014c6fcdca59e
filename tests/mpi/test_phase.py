"""The common phase over several ranks: the march bit for bit, Newton's method to its tolerance."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConvergenceError
from misci_transport.parallel.warm import first_on_root
from misci_transport.verify.bulb import box
from misci_transport.verify.phase import bulb_phase, two_beam_error
from misci_transport.verify.phase_media import SphericalMedium

pytestmark = pytest.mark.mpi


@pytest.fixture(autouse=True)
def started_petsc():
    """PETSc keeps the communicator that it is started on; that of one test is freed at its end."""
    from petsc4py import PETSc

    assert PETSc.Sys.isInitialized()


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


@pytest.fixture(scope="module")
def medium():
    from mpi4py import MPI

    with first_on_root(MPI.COMM_WORLD):
        return SphericalMedium(box("R60", 0.7, 0.05, 4, 6, 100), 3, 530.0)


def test_march_is_the_same_bit_for_bit(comm, medium):
    """Also where blocks are cut along axis 0: the later ones begin with the states that the earlier ones hand on."""
    _, one, first = bulb_phase(medium, "hyperbolic", (8, 6), 1.0e-2, comm=alone())
    _, many, again = bulb_phase(medium, "hyperbolic", (8, 6), 1.0e-2, comm=comm)
    assert (one == many).all()
    assert first.report == again.report


def test_newton_is_the_same(comm, medium):
    _, one, first = bulb_phase(medium, "elliptic", (8, 6), 1.0e-2, comm=alone())
    _, many, again = bulb_phase(medium, "elliptic", (8, 6), 1.0e-2, comm=comm)
    np.testing.assert_allclose(many, one, rtol=0.0, atol=1.0e-10 * np.ptp(one))
    assert first.counts == again.counts
    assert first.places == again.places
    error, report = two_beam_error(9, comm)
    same, alike = two_beam_error(9, alone())
    assert error == pytest.approx(same, rel=1.0e-9)
    assert report.counts == alike.counts


def test_more_ranks_than_cells(comm, medium):
    """Three shells: from four ranks on, some own nothing but take part."""
    for kind in ("hyperbolic", "elliptic"):
        _, one, _ = bulb_phase(medium, kind, (3, 1), comm=alone())
        _, many, _ = bulb_phase(medium, kind, (3, 1), comm=comm)
        np.testing.assert_allclose(many, one, rtol=1.0e-9)


def test_errors_are_raised_on_all_ranks(comm, medium):
    for kind, radii in (("hyperbolic", (300.0, 420.0)), ("elliptic", (170.0, 300.0))):
        with pytest.raises(ConvergenceError, match="accepted") as caught:
            bulb_phase(medium, kind, (6, 4), radii=radii, comm=comm)
        assert len(set(comm.allgather(str(caught.value)))) == 1
    _, phase, marched = bulb_phase(medium, "hyperbolic", (6, 4), radii=(300.0, 420.0), on_type="end", comm=comm)
    assert len(set(comm.allgather(marched.layers))) == 1
    assert 0 < marched.layers < 6
    assert np.isnan(phase[:, marched.layers :]).all()
    assert np.isfinite(phase[:, : marched.layers]).all()
