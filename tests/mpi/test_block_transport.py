"""The transport on block meshes on several ranks: the same bits as on one."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.fluid import Fluid
from misci_transport.options import TransportOptions
from misci_transport.plugin import Transport

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]

SPREAD = 2.0e6


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


def block(kind):
    """Cells that no number of ranks up to four divides along all axes."""
    if kind == "cartesian3":
        return BlockMesh.uniform((-3.0e6, -2.0e6, -1.0e6), (3.0e6, 4.0e6, 5.0e6), (5, 4, 3))
    if kind == "thick":
        # on two and three ranks there are cells that need no ghost, which do not wait for the others
        return BlockMesh.uniform((-3.0e6, -2.0e6, -1.0e6), (3.0e6, 4.0e6, 5.0e6), (15, 5, 6))
    return BlockMesh.uniform((0.0, 0.0, 0.0), (6.0e6, np.pi, 2.0 * np.pi), (7, 5, 1), "spherical")


def matter(mesh):
    """A hot dense ball off the centre of the mesh, thin outside, moving."""
    at = mesh.centers
    if mesh.geometry == "spherical":
        at = np.stack([at[:, 0] * np.sin(at[:, 1]), 0.0 * at[:, 0], at[:, 0] * np.cos(at[:, 1]) - 5.0e5], axis=1)
    r = np.sqrt((at**2).sum(axis=1))
    velocity = np.zeros((mesh.size, 3))
    velocity[:, 0], velocity[:, 1] = -1.0e8 * r / (r + SPREAD), 5.0e7
    return Fluid(
        1.0e12 * np.exp(-((2.0 * r / SPREAD) ** 2)) + 1.0e2,
        1.0 + 4.0 * np.exp(-((r / SPREAD) ** 2)),
        0.1 + 0.4 * r**2 / (r**2 + SPREAD**2),
        velocity,
    )


def stepped(kind, comm, steps=3, **sections):
    """Steps from no neutrinos, and this rank's sources of the last one."""
    mesh = block(kind)
    given = {
        "angles": {"kind": "product", "levels": 4, "azimuths": 4},
        "energy": {"minimum": 5.0, "maximum": 60.0, "groups": 3},
    }
    transport = Transport(mesh, TransportOptions(**(given | sections)), comm)
    fluid = matter(mesh).take(transport.decomposition.cells)
    for _ in range(steps):
        sources = transport.step(fluid, transport.max_dt())
    return transport, sources


@pytest.mark.parametrize("kind", ["cartesian3", "thick", "polar2"])
@pytest.mark.parametrize("sections", [{}, {"flavors": {"number": 2}}], ids=["three flavours", "two flavours"])
def test_steps_are_bitwise_equal_on_any_number_of_ranks(comm, kind, sections):
    together, sources = stepped(kind, comm, **sections)
    single, expected = stepped(kind, alone(), **sections)
    gather = together.decomposition.gather
    np.testing.assert_array_equal(gather(together.state.owned), single.state.owned)
    np.testing.assert_array_equal(gather(together.state.moments), single.state.moments)
    for name in ("energy", "lepton_number", "momentum"):
        np.testing.assert_array_equal(gather(getattr(sources, name)), getattr(expected, name))
    # something was emitted, moved across blocks, and mixed
    assert single.state.owned.max() > 0.01
    assert np.abs(expected.energy).max() > 0.0
    assert 0 < np.count_nonzero(~single.mixing.locked) < single.decomposition.total
    assert not single.mixing.failed.any()
    one, other = together.ledger(), single.ledger()
    for name, value in other.items():
        assert one[name] == pytest.approx(value, rel=1e-11, abs=1e-13 * max(map(abs, other.values())))


def test_cells_that_turn_implicitly_do_not_depend_on_the_ranks(comm):
    """At the centre directions turn within the implicit part; no rank sees another's."""
    together, _ = stepped("polar2", comm, 1, angles={"kind": "product", "levels": 8, "azimuths": 4})
    single, _ = stepped("polar2", alone(), 1, angles={"kind": "product", "levels": 8, "azimuths": 4})
    h = 2.99792458e10 * single.max_dt()
    turning, _ = single.advection.split_redistribution(h)
    assert turning.any()
    assert not turning.all()
    np.testing.assert_array_equal(together.decomposition.gather(together.state.owned), single.state.owned)
