"""Closures in a transport run: counted, the same on any number of ranks, kept through restarts, refused where idle."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.closures import Cell, conservation, lepton_number
from misci_transport.errors import ConfigurationError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import TransportOptions
from misci_transport.plugin import Transport

pytestmark = pytest.mark.mpi

CELLS = 10


def options(**sections):
    given = {
        "angles": {"kind": "ordinates", "directions": 6},
        "energy": {"minimum": 4.0, "maximum": 60.0, "groups": 4},
        "flavors": {"number": 3, "mixing": False},
        "collisions": {"source": "none"},
        "validity": {"every": 0},
    }
    return TransportOptions(**{**given, **sections})


def transport(comm, **sections):
    """A shell of dense matter with more nubar_e than nu_e among forward directions, in its outer half only."""
    made = Transport(RadialMesh(np.linspace(1e6, 2e6, CELLS + 1)), options(**sections), comm)
    cells = made.decomposition.cells
    count = made.decomposition.size
    ones = np.ones(count)
    fluid = Fluid(1e10 * ones, ones, 0.3 * ones, 0.0 * ones)
    cosine = made.phase_space.angles.velocity[0, :, 0]
    occupations = np.zeros((count, *made.phase_space.cell_shape))
    occupations[..., 1:] = 0.01
    occupations[:, :, 0, :, 0] = 0.1
    bar = np.where(np.arange(CELLS)[cells, None] < CELLS // 2, 0.05, 0.05 + 0.1 * np.maximum(cosine, 0.0))
    occupations[:, :, 1, :, 0] = bar[..., None]
    made.fill(fluid, occupations)
    return made, fluid


def whole(made, values):
    return made.decomposition.gather(values)


@pytest.mark.parametrize("mixing", [False, True])
@pytest.mark.parametrize("kind", ["box", "pair"])
def test_flagged_cells_change_and_numbers_stay(comm, kind, mixing):
    given = {"flavors": {"number": 3, "mixing": mixing}}
    plain, fluid = transport(comm, **given)
    closed, _ = transport(comm, closure={"kind": kind}, **given)
    dt = 0.5 * plain.max_dt()
    plain.step(fluid, dt)
    closed.step(fluid, dt)
    before, after = plain.flavor_occupations(), closed.flavor_occupations()
    applied = whole(closed, closed.closure.applied)
    assert 3 <= applied.sum() < CELLS
    assert not applied[: CELLS // 2 - 1].any()
    assert closed.ledger()["count closure cells"] == applied.sum()
    assert closed.ledger()["count closure cells left as mixed"] == 0.0
    changed = whole(closed, np.abs(after - before).max(axis=(1, 2, 3, 4)))
    assert (changed[applied > 0] > 1e-4).all()
    assert changed[applied == 0].max() < 1e-12
    space = closed.phase_space
    cell = Cell(space.angles.weights[0, 0], space.number_weight, 3, space.angles.velocity[0, :, 0])
    for i in range(closed.decomposition.size):
        found = conservation(before[i], after[i], cell)
        # with mixing the occupations are those of aligned levels, pure to 1e-8
        assert max(found[key] for key in list(found)[:3]) < (1e-7 if mixing else 1e-13)
        if kind == "box":
            net = lepton_number(after[i], cell)
            small = min(net.max(), -net.min()) / np.abs(net).max()
            assert small < 1e-3
    # the moments belong to the new populations
    moments = closed.state.moments.copy()
    closed.mixing.align(closed.state.owned, closed.state.moments)
    np.testing.assert_allclose(closed.state.moments, moments, rtol=1e-9, atol=1e-9 * np.abs(moments).max(initial=1.0))


def test_relaxation_approaches_and_restarts_equal(comm):
    near = {"closure": {"kind": "box", "relaxation_time": 3e-5}}
    once, fluid = transport(comm, **near)
    dt = 0.5 * once.max_dt()
    for _ in range(2):
        once.step(fluid, dt)
    held = {name: field.values for name, field in once.checkpoint().items()}
    for name in ("populations", "moments", "closure/applied", "closure/converted"):
        held[name] = whole(once, held[name])
    again, _ = transport(comm, **near)
    again.restore(held)
    for made in (once, again):
        made.step(fluid, dt)
    np.testing.assert_array_equal(once.state.owned, again.state.owned)
    for one, other in zip(once.closure.fields(), again.closure.fields(), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert whole(once, once.closure.applied).max() == 3.0
    names = {field.name for field in once.fields()}
    assert {"closure/applied", "closure/converted"} <= names


def test_refusals(comm):
    made, fluid = transport(comm, closure={"kind": "box"})
    with pytest.raises(ConfigurationError, match=r"closure\.kind is 'box'; accepted for stationary states: 'none'"):
        made.solve_steady(fluid)
    with pytest.raises(ConfigurationError, match=r"closure\.kind is 'box'; accepted for implicit steps: 'none'"):
        made.step_implicit(fluid, 1e-5)
    for sections, words in (
        ({"closure": {"kind": "none", "depth": 0.1}}, "depth is 0.1; accepted without a closure: leave it out"),
        ({"closure": {"kind": "box", "where": "everywhere"}}, "accepted with kind = \"box\": 'crossing'"),
        (
            {"closure": {"kind": "box"}, "advection": {"scheme": "matrix"}},
            'accepted with advection.scheme = "matrix": "none"',
        ),
        (
            {"closure": {"kind": "pair"}, "flavors": {"number": 2}, "alignment": {"charges": "mass"}},
            "accepted with alignment.charges or bin averages",
        ),
    ):
        with pytest.raises(ConfigurationError) as caught:
            options(**sections)
        assert words in str(caught.value)
