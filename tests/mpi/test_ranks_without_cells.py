"""More ranks than cells: the last ones own nothing, take part in everything, and change no number."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import TransportOptions
from misci_transport.plugin import Transport

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]

CELLS, OUTER = 3, 6.0e6


def meshes():
    return {
        "cartesian": BlockMesh.uniform((0.0, -2.0e6, -2.0e6), (OUTER, 2.0e6, 2.0e6), (CELLS, 1, 1)),
        "polar": BlockMesh.uniform((0.0, 0.0, 0.0), (OUTER, np.pi, 2.0 * np.pi), (CELLS, 1, 1), "spherical"),
        "radial": RadialMesh(np.linspace(0.0, OUTER, CELLS + 1)),
    }


def transport_of(kind, comm, collisions):
    """A hot dense ball in three cells, thin outside."""
    mesh = meshes()[kind]
    radial = kind == "radial"
    angles = {"kind": "ordinates", "directions": 4} if radial else {"kind": "product", "levels": 4, "azimuths": 4}
    options = {
        "angles": angles,
        "flavors": {"number": 2},
        "energy": {"minimum": 5.0, "maximum": 60.0, "groups": 3},
        "collisions": collisions,
        "validity": {"every": 0, "stability_cells": 0},
    }
    transport = Transport(mesh, TransportOptions.model_validate(options), comm)
    r = mesh.center if radial else mesh.centers[:, 0]
    fluid = Fluid(
        1.0e12 * np.exp(-((r / 1.0e6) ** 2)) + 1.0e2,
        1.0 + 4.0 * np.exp(-((r / 2.0e6) ** 2)),
        0.1 + 0.4 * r**2 / (r**2 + 4.0e12),
        np.zeros(CELLS if radial else (CELLS, 3)),
    )
    return transport, fluid.take(transport.decomposition.cells)


def both(kind, comm, work, collisions):
    from mpi4py import MPI

    out = []
    for ranks in (comm, MPI.COMM_SELF):
        transport, fluid = transport_of(kind, ranks, collisions)
        work(transport, fluid)
        assert transport.alignment_summary()["cells"] == CELLS
        out.append(transport)
    together, single = out
    assert single.state.owned.max() > 1e-3
    return together.decomposition.gather(together.state.owned), single.state.owned, out


@pytest.mark.parametrize("kind", ["cartesian", "polar", "radial"])
def test_time_steps(comm, kind, tmp_path_factory):
    def steps(transport, fluid):
        for _ in range(2):
            transport.step(fluid, transport.max_dt())

    many, one, (together, single) = both(kind, comm, steps, {})
    np.testing.assert_array_equal(many, one)
    # what is written, too
    for field, expected in zip(together.fields(), single.fields(), strict=True):
        assert field.name == expected.name
        if field.axes and field.axes[0] == "cell":
            np.testing.assert_array_equal(together.decomposition.gather(field.values), expected.values, field.name)


@pytest.mark.parametrize("kind", ["cartesian", "radial"])
def test_stationary_state(comm, kind):
    uncoupled = {"electron_scattering": False, "pair": False, "bremsstrahlung": False}
    many, one, _ = both(kind, comm, lambda transport, fluid: transport.solve_steady(fluid), uncoupled)
    np.testing.assert_allclose(many, one, rtol=0.0, atol=1e-9)
