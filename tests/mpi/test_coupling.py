"""The toy host of examples/coupling and the recipes of docs/coupling.md, on any number of ranks."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from misci_transport.constants import ERG_PER_MEV
from misci_transport.errors import ParallelError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import AngleOptions, EnergyOptions, TransportOptions
from misci_transport.plugin import Transport

pytestmark = pytest.mark.mpi
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def toy_host():
    spec = importlib.util.spec_from_file_location("toy_host", ROOT / "examples" / "coupling" / "toy_host.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_host"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(comm):
    """A transport of twelve cells and its fluid on this rank."""
    mesh = RadialMesh.uniform(0.0, 6.0e6, 12)
    options = TransportOptions(
        angles=AngleOptions(kind="ordinates", directions=4), energy=EnergyOptions(minimum=4.0, maximum=100.0, groups=4)
    )
    transport = Transport(mesh, options, comm)
    star = Fluid(1e13 * np.exp(-mesh.center / 6e5), np.linspace(8.0, 2.0, 12), np.full(12, 0.2), np.zeros(12))
    return transport, star.take(transport.decomposition.cells)


def test_toy_host_conserves_and_does_not_depend_on_the_ranks(comm, toy_host):
    from mpi4py import MPI

    result = toy_host.evolve(2, 4.0e-6, comm)
    ledger = result["ledger"]
    assert result["transport"].state.time == pytest.approx(8.0e-6, rel=1e-12)
    assert result["energy_gained"] == pytest.approx(-ERG_PER_MEV * ledger["collisions energy"], rel=1e-9)
    electrons = ledger["collisions antineutrinos"] - ledger["collisions neutrinos"]
    assert result["electrons_gained"] == pytest.approx(electrons, rel=1e-9)
    # the mantle loses electrons and the star loses energy or gains it within what 1e53 erg/s can do
    assert result["electrons_gained"] < 0.0
    assert abs(result["energy_gained"]) < 1.0e53 * 8.0e-6
    if comm.rank == 0:
        alone = toy_host.evolve(2, 4.0e-6, MPI.COMM_SELF)
        for name in ("electron_fraction", "temperature"):
            assert np.abs(result[name] / alone[name] - 1.0).max() < 1e-10
    comm.Barrier()


def test_checkpoint_in_memory_as_documented(small):
    transport, fluid = small
    text = (ROOT / "docs" / "coupling.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```python\n(def save.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    dt = transport.max_dt()
    transport.step(fluid, dt)
    before = transport.state.owned.copy()
    exec(compile(recipe, "coupling.md", "exec"), {"transport": transport, "fluid": fluid, "dt": dt})
    assert np.array_equal(transport.state.owned, before)
    assert transport.state.step == 1
    sources = transport.step(fluid, dt)
    after = transport.state.owned.copy()
    assert not np.array_equal(after, before)
    assert np.isfinite(sources.energy).all()


def test_wrong_fluid_on_one_rank_is_an_error_on_all(small):
    transport, fluid = small
    dt = transport.max_dt()
    transport.step(fluid, dt)
    before = transport.state.owned.copy()
    wrong = fluid.copy()
    if transport.decomposition.is_last:
        wrong.electron_fraction[-1] = 1.5
    with pytest.raises((UnphysicalInputError, ParallelError), match=r"electron_fraction in cell 11 is .*accepted"):
        transport.step(wrong, dt)
    assert np.array_equal(transport.state.owned, before)
    with pytest.raises((UnphysicalInputError, ParallelError), match=r"time step is .*accepted"):
        transport.step(fluid, 10.0 * dt)
    # and the host may go on
    transport.step(fluid, dt)
    assert transport.state.step == 2
