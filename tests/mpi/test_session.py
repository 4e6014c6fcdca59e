"""Sessions on a host's arrays: any blocks on any ranks give what the transport alone gives, on its own cut."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh, numbers_at
from misci_transport.cabi.session import OUTPUTS, Session
from misci_transport.errors import ConfigurationError, MisciError, ParallelError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.options import TransportOptions
from misci_transport.plugin import Transport

pytestmark = pytest.mark.mpi

CONFIG = """
[angles]
kind = "product"
levels = 2
azimuths = 4
[energy]
minimum = 4.0
maximum = 100.0
groups = 4
"""
RADIAL = CONFIG.replace('"product"', '"ordinates"').replace("levels = 2\nazimuths = 4", "directions = 4")
SECTIONS = {"energy": {"minimum": 4.0, "maximum": 100.0, "groups": 4}}
FACES = (np.linspace(-4.0e6, 4.0e6, 7), np.linspace(-3.0e6, 3.0e6, 5), np.array([0.0, 1.0]))
SHELLS = np.linspace(0.0, 6.0e6, 13)
INPUTS = ("mass_density", "temperature", "electron_fraction", "velocity_1", "velocity_2")


def matter(faces):
    """Fields over the whole mesh, (n0, n1, n2)."""
    x, y, z = np.meshgrid(*(0.5 * (face[1:] + face[:-1]) for face in faces), indexing="ij")
    square = (x**2 + y**2 + 0.0 * z) / 1.0e13
    return {
        "mass_density": 1.0e13 * np.exp(-square) + 1.0e9,
        "temperature": 2.0 + 6.0 * np.exp(-square) + 0.1 * x / 1.0e7,
        "electron_fraction": 0.2 + 0.05 * y / 1.0e7,
        "velocity_1": 1.0e7 * x / 1.0e7,
        "velocity_2": 2.0e7 * y / 1.0e7,
    }


def pillars(rank, size, ghost=0):
    """Columns of two cells of x, dealt out in turn from the last rank: several blocks a rank, none where DMDA cuts."""
    mine = [n for n in range(3) if (size - 1 - n) % size == rank]
    lower = np.array([[2 * n, 0, 0] for n in mine], dtype=np.int64).reshape(-1, 3)
    return lower, np.tile([2, 4, 1], (len(mine), 1))


def blocks_of(lower, cells, fields, ghost=1, outputs=OUTPUTS):
    """Blocks as a host has them: ghost cells full of NaN, fields beside each other in a cell; interior views."""
    blocks = []
    for low, shape in zip(lower, cells, strict=True):
        layers = [ghost if n > 1 else 0 for n in shape]
        whole = np.full([n + 2 * g for n, g in zip(shape, layers, strict=True)] + [len(fields) + 5], np.nan)
        inside = whole[tuple(slice(g, g + n) for g, n in zip(layers, shape, strict=True))]
        part = tuple(slice(a, a + n) for a, n in zip(low, shape, strict=True))
        for number, values in enumerate(fields.values()):
            inside[..., number] = values[part]
        views = {name: inside[..., number] for number, name in enumerate([*fields, *outputs])}
        blocks.append(views)
    return blocks


def gathered(comm, lower, cells, blocks, shape):
    """Sources on the whole mesh, (n, 5) in the order of global numbers."""
    mine = [
        (
            numbers_at(shape, [np.arange(a, a + n) for a, n in zip(low, size, strict=True)]),
            np.stack([block[name].ravel(order="F") for name in OUTPUTS if name in block], axis=1),
        )
        for low, size, block in zip(lower, cells, blocks, strict=True)
    ]
    found = [item for part in comm.allgather(mine) for item in part]
    whole = np.full((int(np.prod(shape)), found[0][1].shape[1]), np.nan)
    for numbers, rows in found:
        whole[numbers] = rows
    return whole


@pytest.fixture
def session(comm):
    made = Session(comm, CONFIG)
    yield made
    made.close()


def alone(steps):
    """The same by the transport itself on its own cut."""
    from mpi4py import MPI

    mesh = BlockMesh("cartesian", FACES)
    angles = {"kind": "product", "levels": 2, "azimuths": 4}
    transport = Transport(mesh, TransportOptions(angles=angles, **SECTIONS), MPI.COMM_SELF)
    flat = {name: values.ravel(order="F") for name, values in matter(FACES).items()}
    velocity = np.stack([flat.pop("velocity_1"), flat.pop("velocity_2"), np.zeros(24)], axis=1)
    fluid = Fluid(**flat, velocity=velocity)
    for _ in range(steps):
        sources = transport.step(fluid, transport.max_dt())
    return transport, np.column_stack([sources.energy, sources.lepton_number, sources.momentum])


def test_any_blocks_give_what_the_transport_gives(comm, session):
    lower, cells = pillars(comm.rank, comm.size)
    session.set_mesh("cartesian", FACES, lower, cells)
    assert session.distribution.way == ("routed" if comm.size > 1 else "reordered")
    blocks = blocks_of(lower, cells, matter(FACES))
    for _ in range(2):
        session.step(blocks, session.max_dt())
    transport, wanted = alone(2)
    found = gathered(comm, lower, cells, blocks, (6, 4, 1))
    scale = np.abs(wanted).max(axis=0)
    assert np.abs(found - wanted)[:, :4].max() == pytest.approx(0.0, abs=1e-9 * scale[:4].max())
    assert (np.abs(found - wanted) <= 1e-10 * np.where(scale > 0.0, scale, 1.0)).all()
    numbers, _ = session.diagnostics(measure=True)
    assert numbers["steps"] == 2.0
    assert numbers["alignment cells"] == 24.0
    assert numbers["coupling values viewed"] == 0.0
    assert (numbers["coupling values routed"] > 0.0) == (comm.size > 1)
    assert numbers["ledger collisions energy"] == pytest.approx(transport.ledger()["collisions energy"], rel=1e-9)
    assert any(name.startswith("validity cells") for name in numbers)
    # ghosts are the host's alone
    for block in blocks:
        assert np.isnan(block["mass_density"].base).any()


def test_the_transports_own_cut_is_not_copied(comm, session):
    session.set_mesh("cartesian", FACES)
    lower, cells = session.own_block()
    assert session.distribution.way == "same"
    fields = matter(FACES)
    part = tuple(slice(a, a + n) for a, n in zip(lower[0], cells[0], strict=True)) if len(lower) else None
    blocks = []
    if part is not None:
        block = {name: np.asfortranarray(values[part]) for name, values in fields.items()}
        block |= {name: np.zeros(cells[0], order="F") for name in OUTPUTS}
        blocks = [block]
    session.step(blocks, session.max_dt())
    _, wanted = alone(1)
    found = gathered(comm, lower, cells, blocks, (6, 4, 1))
    assert np.abs(found - wanted).max() <= 1e-9 * np.abs(wanted).max()
    numbers, _ = session.diagnostics()
    assert numbers["coupling values viewed"] == 5 * 24
    assert numbers["coupling values copied"] == 5 * 24  # the sources
    assert numbers["coupling values routed"] == 0.0
    # the session holds nothing of the host's: what it does with its memory afterwards changes nothing
    before = session.transport.state.owned.copy()
    copy = [{name: values.copy(order="F") for name, values in block.items()} for block in blocks]
    session.keep()
    session.step(copy, session.max_dt())
    after = session.transport.state.owned.copy()
    session.go_back()
    assert np.array_equal(session.transport.state.owned, before)
    for block in blocks:
        for values in block.values():
            values[...] = np.nan
    session.step(copy, session.max_dt())
    assert np.array_equal(session.transport.state.owned, after)


def test_errors_on_all_ranks_and_on_with_it(comm, session):
    lower, cells = pillars(comm.rank, comm.size)
    with pytest.raises(ConfigurationError, match="no mesh yet"):
        session.max_dt()
    with pytest.raises(ConfigurationError, match=r"geometry is 'cubic'; accepted"):
        session.set_mesh("cubic", FACES)
    wider = cells.copy()
    wider[:, 0] = np.where(lower[:, 0] == 2, 3, 2)
    with pytest.raises((ConfigurationError, ParallelError), match="of the mesh is in 2 blocks"):
        session.set_mesh("cartesian", FACES, lower, wider)
    kept = len(lower) - 1 if comm.rank == comm.size - 1 else len(lower)
    with pytest.raises((ConfigurationError, ParallelError), match="in no block of the host"):
        session.set_mesh("cartesian", FACES, lower[:kept], cells[:kept])
    with pytest.raises((ConfigurationError, ParallelError), match="inside the mesh of"):
        session.set_mesh("cartesian", FACES, lower + 1, cells)
    session.set_mesh("cartesian", FACES, lower, cells)
    blocks = blocks_of(lower, cells, matter(FACES))
    dt = session.max_dt()
    session.step(blocks, dt)
    before = session.transport.state.owned.copy()
    sources = [block["energy_source"].copy() for block in blocks]
    owner = comm.rank == comm.size - 1  # of the first column
    if owner:
        blocks[0]["electron_fraction"][1, 2, 0] = 1.5
    with pytest.raises((UnphysicalInputError, ParallelError), match=r"electron_fraction in cell 13 is .*accepted"):
        session.step(blocks, dt)
    if owner:
        blocks[0]["electron_fraction"][1, 2, 0] = 0.2
    lacking = [{name: view for name, view in block.items() if name != "velocity_2"} for block in blocks]
    with pytest.raises((UnphysicalInputError, ParallelError), match="lacks velocity_2"):
        session.step(lacking, dt)
    with pytest.raises((UnphysicalInputError, ParallelError), match=r"time step is .*accepted"):
        session.step(blocks, 100.0 * dt)
    if comm.size > 1:
        some = [dict(block, heavy_fraction=block["temperature"]) if owner else block for block in blocks]
        with pytest.raises((UnphysicalInputError, ParallelError), match="on some ranks only"):
            session.step(some, dt)
    assert np.array_equal(session.transport.state.owned, before)
    assert all(np.array_equal(old, block["energy_source"]) for old, block in zip(sources, blocks, strict=True))
    session.step(blocks, dt)
    assert session.transport.state.step == 2


def test_matter_that_changes_on_one_rank_only(comm, session):
    """Rates are kept where matter stays the same: what ranks compute together must not depend on it."""
    session.set_mesh("cartesian", FACES)
    lower, cells = session.own_block()
    blocks = blocks_of(lower, cells, matter(FACES), ghost=0)
    session.step(blocks, session.max_dt())
    changed = matter(FACES)
    changed["electron_fraction"][0, 0, 0] = 0.25
    if len(lower) and not lower[0].any():
        blocks[0]["electron_fraction"][0, 0, 0] = 0.25
    session.step(blocks, session.max_dt())
    transport, _ = alone(1)
    flat = {name: values.ravel(order="F") for name, values in changed.items()}
    velocity = np.stack([flat.pop("velocity_1"), flat.pop("velocity_2"), np.zeros(24)], axis=1)
    sources = transport.step(Fluid(**flat, velocity=velocity), transport.max_dt())
    found = gathered(comm, lower, cells, blocks, (6, 4, 1))[:, 0]
    assert np.abs(found - sources.energy).max() <= 1e-9 * np.abs(sources.energy).max()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[energy]\ngroups = 1\n", r"groups.*accepted|greater than or equal to 2"),
        ("[energies]\n", "energies"),
        ("[energy\n", "not valid TOML"),
        ("nowhere.toml", "cannot be read"),
    ],
)
def test_wrong_configuration(comm, text, words):
    with pytest.raises(MisciError, match=words):
        Session(comm, text)


def shells(comm, faces, session, cells=None):
    """Radial blocks: this rank's range of an own cut, with the first ranks holding more."""
    total = faces.size - 1
    weights = np.arange(comm.size, 0, -1)
    ends = np.concatenate([[0], np.rint(total * np.cumsum(weights) / weights.sum()).astype(int)])
    low, high = int(ends[comm.rank]), int(ends[comm.rank + 1])
    lower, shape = np.array([[low, 0, 0]]), np.array([[high - low, 1, 1]])
    r = 0.5 * (faces[1:] + faces[:-1])[low:high].reshape(-1, 1, 1)
    fields = {
        "mass_density": 1e13 * np.exp(-r / 6e5),
        "temperature": 8.0 - r / 1e6,
        "electron_fraction": 0.2 + 0.0 * r,
        "velocity_1": 0.0 * r,
    }
    return lower, shape, [fields | {name: np.full(r.shape, np.nan) for name in OUTPUTS[:3]}]


def neutrinos(session):
    """Neutrinos on the mesh, and their energy in MeV, by species."""
    transport = session.transport
    space, dec = transport.phase_space, transport.decomposition
    weight = space.angles.weights.reshape(-1, *space.angles.weights.shape[-2:])[0, 0]
    density = np.einsum("cmsgk,m,g->csg", transport.state.owned, weight, space.number_weight)
    volume = space.mesh.full_sphere * space.mesh.volume[dec.cells]
    by_group = dec.gather(density * volume[:, None, None]).sum(axis=0)
    return by_group.sum(axis=1), by_group @ space.energy.center


def test_other_ranks_and_other_faces(comm, tmp_path):
    session = Session(comm, RADIAL)
    lower, shape, blocks = shells(comm, SHELLS, session)
    session.set_mesh("radial", [SHELLS], lower, shape)
    session.solve_steady(blocks)
    assert all(np.isfinite(blocks[0][name]).all() for name in OUTPUTS[:3])
    session.step(blocks, session.max_dt())
    path = comm.bcast(str(tmp_path / "held.h5"))
    session.checkpoint(path)
    session.step(blocks, session.max_dt())
    dt = session.max_dt()

    # the same mesh, cut otherwise: nothing happens to the neutrinos
    state = session.transport.state.owned.copy()
    session.regrid("radial", [SHELLS])
    assert np.array_equal(session.transport.state.owned, state)
    assert session.distribution.way == "same"
    session.regrid("radial", [SHELLS], lower, shape)

    # every second cell in two, and further out: neutrinos and their energy are kept
    before = neutrinos(session)
    finer = np.unique(np.concatenate([SHELLS, 0.5 * (SHELLS[1:] + SHELLS[:-1])[::2], [7.0e6]]))
    lower, shape, blocks = shells(comm, finer, session)
    session.regrid("radial", [finer], lower, shape)
    after = neutrinos(session)
    np.testing.assert_allclose(after, before, rtol=1e-13)
    assert session.transport.state.step == 2
    numbers, _ = session.diagnostics()
    assert numbers["coupling regrid cells uncovered"] == 1.0
    assert abs(numbers["coupling regrid neutrinos lost"]) < 1e-12 * before[0].sum()
    session.step(blocks, session.max_dt())
    assert session.max_dt() == pytest.approx(0.5 * dt)
    with pytest.raises(ConfigurationError, match="no state is kept"):
        session.go_back()

    # back, the file's state is that of the first step
    lower, shape, blocks = shells(comm, SHELLS, session)
    session.regrid("radial", [SHELLS], lower, shape)
    numbers, _ = session.diagnostics()
    assert numbers["coupling regrids"] == 2.0
    session.restore(path)
    assert session.transport.state.step == 1
    session.step(blocks, dt)
    np.testing.assert_allclose(session.transport.state.owned, state, rtol=1e-12, atol=1e-300)
    session.close()


def test_part_of_the_ranks(comm):
    """A session on a part of the world; the others do not know."""
    part = comm.Split(0 if comm.rank % 2 == 0 else 1, comm.rank)
    if comm.rank % 2 == 0:
        session = Session(part, RADIAL)
        lower, shape, blocks = shells(part, SHELLS, session)
        session.set_mesh("radial", [SHELLS], lower, shape)
        session.step(blocks, session.max_dt())
        assert session.transport.decomposition.comm.size == part.size
        session.close()
    part.Free()


def test_directions_of_their_cells_stay_there(comm):
    session = Session(comm, "")
    session.set_mesh("radial", [SHELLS])
    with pytest.raises(ConfigurationError, match="hybrid"):
        session.regrid("radial", [0.5 * SHELLS])
    with pytest.raises(ConfigurationError, match="of geometry 'plane'"):
        session.regrid("plane", [SHELLS])
    assert isinstance(session.transport.phase_space.mesh, RadialMesh)
    session.close()
