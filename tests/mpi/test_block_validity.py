"""The monitor of validity on blocks: the same bits and the same words on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.fluid import Fluid
from misci_transport.options import TransportOptions
from misci_transport.plugin import Transport

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]

MEASURES = (
    "gamma", "gamma_time", "fraction", "crossing_ratio", "collision_ratio", "degeneracy", "condition", "depth",
    "growth", "e_folds",
)  # fmt: skip


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


def block(geometry):
    """Cells that no number of ranks up to four divides along all axes."""
    if geometry == "cartesian":
        return BlockMesh.uniform((-9.0e6,) * 3, (9.0e6,) * 3, (5, 4, 3))
    if geometry == "line":
        return BlockMesh.uniform((-9.0e6,) * 3, (9.0e6,) * 3, (3, 1, 1))
    return BlockMesh.uniform((0.0, 0.0, 0.0), (9.0e6, np.pi, 2.0 * np.pi), (5, 3, 4), "spherical")


def measured(geometry, flavors, comm):
    """A hot dense ball that has shone into thin matter for a few steps: what the last step and the output measured."""
    mesh = block(geometry)
    options = {
        "angles": {"kind": "product", "levels": 4, "azimuths": 4},
        "energy": {"minimum": 5.0, "maximum": 60.0, "groups": 3},
        "flavors": {"number": flavors},
        "collisions": {"electron_scattering": False, "pair": False, "bremsstrahlung": False},
        "alignment": {"on_failure": "hold"},
        "validity": {"every": 2, "stability_cells": 4 if flavors == 2 else 1},
    }
    transport = Transport(mesh, TransportOptions.model_validate(options), comm)
    at = mesh.centers
    spherical = geometry == "spherical"
    r = at[:, 0] * (1.0 + 0.2 * np.cos(at[:, 1])) if spherical else np.linalg.norm(at - 1.0e6, axis=1)
    fluid = Fluid(
        1.0e12 * np.exp(-r / 5.0e5) + 1.0e2,
        1.0 + 6.0 * np.exp(-((r / 3.0e6) ** 2)),
        0.1 + 0.3 * np.cos(at[:, 1]) ** 2,
        np.full((mesh.size, 3), 5.0e7),
    ).take(transport.decomposition.cells)
    for _ in range(4):
        transport.step(fluid, transport.max_dt())
    in_time = transport.validity.last
    written = {field.name for field in transport.fields() if field.name.startswith("validity/")}
    return transport, in_time, written


# the line has three cells: the fourth rank owns none
@pytest.mark.parametrize(("geometry", "flavors"), [("cartesian", 2), ("spherical", 3), ("line", 2)])
def test_the_monitor_is_bitwise_equal_on_any_number_of_ranks(comm, geometry, flavors):
    together, in_time, fields = measured(geometry, flavors, comm)
    single, alone_in_time, expected = measured(geometry, flavors, alone())
    gather = together.decomposition.gather
    for found, other in ((in_time, alone_in_time), (together.validity.last, single.validity.last)):
        for name in MEASURES:
            np.testing.assert_array_equal(gather(getattr(found, name)), getattr(other, name), err_msg=name)
        for name, flags in other.flags.items():
            np.testing.assert_array_equal(gather(found.flags[name]), flags, err_msg=name)
    assert fields == expected
    numbers, lines = together.validity_summary()
    same_numbers, same_lines = single.validity_summary()
    assert (numbers, lines) == (same_numbers, same_lines)
    # something was measured, and something failed
    last = single.validity.last
    assert 0.0 < last.gamma.min() < np.inf
    assert np.isfinite(last.growth).any()
    if geometry != "line":
        assert np.nanmax(last.growth) > 0.0
        assert last.depth.max() > 0.0
        assert lines
    assert np.isfinite(alone_in_time.gamma_time).any()
    assert np.isnan(alone_in_time.growth).all()
