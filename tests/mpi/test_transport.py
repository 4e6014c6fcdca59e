"""The transport of a host code on several ranks: the same bits, restarts, and failures of one rank alone."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConvergenceError, MisciError, ParallelError, UnphysicalInputError

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]

CELLS, OUTER = 18, 3.0e9


def alone():
    from mpi4py import MPI

    return MPI.COMM_SELF


def stepped(small_star, comm, steps=4, held=None, **sections):
    """Steps of a star with mixing outside, from its stationary state computed alone, or from a checkpoint."""
    transport, fluid = small_star.transport(CELLS, OUTER, comm, **sections)
    if held is None:
        single, whole = small_star.transport(CELLS, OUTER, alone(), **sections)
        single.solve_steady(whole)
        held = whole_checkpoint(single)
    transport.restore(held)
    for _ in range(steps):
        sources = transport.step(fluid, transport.max_dt())
    return transport, sources


def gathered(transport):
    gather = transport.decomposition.gather
    return gather(transport.state.owned), gather(transport.state.moments)


def whole_checkpoint(transport):
    """What a file would hold: the whole arrays on every rank."""
    gather = transport.decomposition.gather
    return {
        name: gather(field.values) if field.placement == "cell" else np.array(field.values)
        for name, field in transport.checkpoint().items()
    }


@pytest.mark.parametrize("sections", [{}, {"flavors": {"mixing": False}}, {"flavors": {"number": 2}}])
def test_steps_are_bitwise_equal_on_any_number_of_ranks(comm, small_star, sections):
    together, sources = stepped(small_star, comm, **sections)
    single, expected = stepped(small_star, alone(), **sections)
    for one, other in zip(gathered(together), gathered(single), strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("energy", "lepton_number", "momentum"):
        whole = together.decomposition.gather(getattr(sources, name))
        np.testing.assert_array_equal(whole, getattr(expected, name))
    assert np.abs(expected.energy).max() > 0.0
    assert together.state.time == single.state.time
    if sections.get("flavors", {}).get("mixing", True):
        assert not single.mixing.locked.all()
    one, other = together.ledger(), single.ledger()
    for name, value in other.items():
        assert one[name] == pytest.approx(value, rel=1e-11, abs=1e-13 * max(map(abs, other.values())))


def test_a_checkpoint_serves_any_number_of_ranks(comm, small_star):
    together, _ = stepped(small_star, comm)
    held = whole_checkpoint(together)
    on_all, _ = stepped(small_star, comm, 2, held)
    on_one, _ = stepped(small_star, alone(), 2, held)
    uninterrupted, _ = stepped(small_star, comm, 6)
    for other in (on_one, uninterrupted):
        for a, b in zip(gathered(on_all), gathered(other), strict=True):
            np.testing.assert_array_equal(a, b)
    assert on_one.state.step == uninterrupted.state.step == 6
    # the same ranks keep the ledger bit for bit
    assert on_all.ledger() == uninterrupted.ledger()


def test_fields_are_those_of_one_rank(comm, small_star):
    together, _ = stepped(small_star, comm)
    single, _ = stepped(small_star, alone())
    parts, expected = together.fields(), small_star.fields(single)
    for field in parts:
        whole = field.values if field.placement == "global" else together.decomposition.gather(field.values)
        np.testing.assert_allclose(whole, expected[field.name], rtol=1e-13, atol=0.0, err_msg=field.name)


def spoiled(fluid, comm, name="temperature", value=np.nan):
    """Bad matter in the last cell of the last rank only."""
    bad = fluid.copy()
    if comm.rank == comm.size - 1:
        getattr(bad, name)[-1] = value
    return bad


@pytest.mark.parametrize("call", ["step", "solve_steady"])
def test_bad_matter_of_one_rank_is_an_error_on_all(comm, small_star, call):
    transport, fluid = small_star.transport(CELLS, 3e7, comm, flavors={"mixing": False})
    dt = transport.max_dt()
    transport.step(fluid, dt)
    before = transport.state.owned.copy()
    bad = spoiled(fluid, comm)
    with pytest.raises((UnphysicalInputError, ParallelError), match=rf"temperature in cell {CELLS - 1} is .*nan") as e:
        transport.step(bad, dt) if call == "step" else transport.solve_steady(bad)
    assert isinstance(e.value, UnphysicalInputError if comm.rank == comm.size - 1 else ParallelError)
    np.testing.assert_array_equal(transport.state.owned, before)
    # nobody is left behind: the next step works, and is the same everywhere
    transport.step(fluid, dt)
    assert comm.allgather(transport.state.step) == [2] * comm.size


def test_wrong_size_on_one_rank_is_an_error_on_all(comm, small_star):
    transport, fluid = small_star.transport(CELLS, 3e7, comm, flavors={"mixing": False})
    if comm.rank == comm.size - 1:
        fluid = fluid.take(slice(0, fluid.size - 1))
    with pytest.raises((UnphysicalInputError, ParallelError), match=r"fluid has \d+ cells on rank"):
        transport.step(fluid, transport.max_dt())


def test_steps_of_different_length_are_an_error_on_all(comm, small_star):
    transport, fluid = small_star.transport(CELLS, 3e7, comm, flavors={"mixing": False})
    dt = transport.max_dt() * (5.0 if comm.rank == comm.size - 1 else 1.0)
    with pytest.raises((UnphysicalInputError, ParallelError), match=r"time step is .* accepted: 0 < dt <="):
        transport.step(fluid, dt)
    assert transport.state.step == 0


def test_a_new_fluid_on_one_rank_only(comm, small_star):
    """Whether rates are made anew is each rank's own matter; no rank waits for another."""
    transport, fluid = small_star.transport(CELLS, 3e7, comm)
    dt = transport.max_dt()
    transport.step(fluid, dt)
    if comm.rank == comm.size - 1:
        fluid.temperature *= 1.01
    transport.step(fluid, dt)
    single, whole = small_star.transport(CELLS, 3e7, alone())
    single.step(whole, dt)
    whole.temperature[transport.decomposition.bounds[-2] :] *= 1.01
    single.step(whole, dt)
    for one, other in zip(gathered(transport), gathered(single), strict=True):
        np.testing.assert_array_equal(one, other)


def test_collisions_that_fail_on_one_rank_leave_the_old_state_on_all(comm, small_star, monkeypatch):
    transport, fluid = small_star.transport(CELLS, 3e7, comm, flavors={"mixing": False})
    dt = transport.max_dt()
    transport.step(fluid, dt)
    before = transport.state.owned.copy()
    collide = transport.stepper.scheme.collide

    def fail(*arguments):
        collide(*arguments)
        raise ConvergenceError(f"implicit collisions in cell {CELLS - 1} did not converge")

    if comm.rank == comm.size - 1:
        monkeypatch.setattr(transport.stepper.scheme, "collide", fail)
    with pytest.raises(MisciError, match=f"cell {CELLS - 1} did not converge"):
        transport.step(fluid, dt)
    np.testing.assert_array_equal(transport.state.owned, before)
    monkeypatch.undo()
    transport.step(fluid, dt)
    assert transport.state.step == 2
