"""Moving matter and gravity on block meshes: the same bits on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.constants import SPEED_OF_LIGHT
from misci_transport.errors import MisciError
from misci_transport.fluid import Fluid
from misci_transport.options import TransportOptions
from misci_transport.plugin import Transport

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


def moving(kind, comm):
    """Cells that no number of ranks up to four divides along all axes; matter that moves along all of them."""
    if kind == "box":
        mesh, frame = BlockMesh.uniform((-3.0e6, -2.0e6, -1.0e6), (3.0e6, 4.0e6, 5.0e6), (5, 4, 3)), {"doppler": True}
    else:
        mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (6.0e6, np.pi, 2.0 * np.pi), (5, 3, 4), "spherical")
        frame = {"doppler": True, "gravity": "relativistic"}
    options = TransportOptions(
        angles={"kind": "product", "levels": 4, "azimuths": 4},
        energy={"minimum": 5.0, "maximum": 60.0, "groups": 4},
        frame=frame,
        flavors={"mixing": False},
    )
    transport = Transport(mesh, options, comm)
    r = np.linalg.norm(mesh.centers, axis=1) if kind == "box" else mesh.centers[:, 0]
    beta = 0.1 * np.sin(np.arange(3 * mesh.size) ** 1.3).reshape(-1, 3)
    hot = np.exp(-((r / 2.0e6) ** 2))
    fluid = Fluid(1.0e13 * hot + 1.0e4, 1.0 + 4.0 * hot, np.full(r.size, 0.3), beta * SPEED_OF_LIGHT)
    return transport, fluid.take(transport.decomposition.cells)


@pytest.mark.parametrize("kind", ["box", "sphere"])
def test_steps_are_bitwise_equal(comm, kind):
    together, fluid = moving(kind, comm)
    single, whole = moving(kind, alone())
    for _ in range(3):
        sources = together.step(fluid, together.max_dt())
        expected = single.step(whole, single.max_dt())
    assert together.max_dt() == single.max_dt()
    gather = together.decomposition.gather
    np.testing.assert_array_equal(gather(together.state.owned), single.state.owned)
    np.testing.assert_array_equal(gather(sources.energy), expected.energy)
    np.testing.assert_array_equal(gather(sources.momentum), expected.momentum)
    assert single.state.owned.max() > 0.01
    one, other = together.ledger(), single.ledger()
    assert abs(other["frame work"]) > 1e-5 * abs(other["collisions energy"])
    for name, value in other.items():
        assert one[name] == pytest.approx(value, rel=1e-11, abs=1e-13 * max(map(abs, other.values()))), name


def test_matter_too_fast_on_one_rank_fails_on_all(comm):
    transport, fluid = moving("box", comm)
    before = fluid.velocity.copy()
    fluid.velocity[transport.decomposition.numbers == 59] = 0.4 * SPEED_OF_LIGHT
    with pytest.raises(MisciError, match="speed in cell 59"):
        transport.step(fluid, 1.0e-9)
    fluid.velocity[:] = before
    transport.step(fluid, transport.max_dt())
