"""Runs of cases on block meshes: any number of ranks, from snapshots and turned profiles, with restarts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.config import load_case
from misci_transport.errors import ConfigurationError, MisciError
from misci_transport.fluid import Fluid
from misci_transport.inspect_file import describe_file
from misci_transport.io.read import open_output
from misci_transport.io.snapshots import write_snapshot
from misci_transport.profile import Profile
from misci_transport.simulation import run_case
from misci_transport.snapshot import BlockSnapshot

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]

COMMON = """
[validity]
stability_cells = 0
[angles]
kind = "product"
levels = 4
azimuths = 4
[energy]
minimum = 5.0
maximum = 60.0
groups = 3
[collisions]
electron_scattering = false
pair = false
bremsstrahlung = false
[output]
populations = true
"""
SNAPSHOT = """
[snapshot]
file = "ball.h5"
coarsen = [2, 1, 1]
[boundary]
low = ["auto", "reflecting", "auto"]
"""
TURNED = """
[profile]
file = "ball.txt"
[mesh]
geometry = "spherical"
faces = "uniform"
cells = 6
polar_cells = 4
[turning]
shock_radius = 3.0e6
shock_width = 1.0e6
shift = [0.0, 0.0, 3.0e5]
"""
TIME = """
[run]
mode = "time"
max_steps = 4
checkpoint_every = 2
"""


def matter(x):
    r = np.linalg.norm(x, axis=1)
    return Fluid(
        1.0e12 * np.exp(-(r / 1.0e6)) + 1.0e2,
        1.0 + 4.0 * np.exp(-((r / 2.0e6) ** 2)),
        0.1 + 0.4 * r**2 / (r**2 + 4.0e12),
        np.zeros((r.size, 3)),
    )


@pytest.fixture
def folder(comm, tmp_path):
    """One directory for all ranks, with a snapshot in two dimensions and a profile."""
    shared = Path(comm.bcast(str(tmp_path)))
    if comm.rank == 0:
        mesh = BlockMesh.uniform((-3.0e6, 0.0, 0.0), (3.0e6, 4.0e6, 1.0), (10, 4, 1))
        write_snapshot(shared / "ball.h5", BlockSnapshot(mesh, matter(mesh.centers), title="ball"))
        face = np.linspace(0.0, 6.0e6, 13)
        along = matter(np.stack([0.5 * (face[1:] + face[:-1]), np.zeros(12), np.zeros(12)], axis=1))
        along.velocity = np.zeros(12)
        Profile(face, along, title="ball").write_table(shared / "ball.txt")
        (shared / "snapshot.toml").write_text(COMMON + SNAPSHOT)
        (shared / "turned.toml").write_text(COMMON + TURNED)
        (shared / "time.toml").write_text(COMMON + SNAPSHOT + TIME)
        (shared / "turned_time.toml").write_text(COMMON + TURNED + TIME)
    comm.Barrier()
    return shared


def run(folder, case, name, comm, *overrides, restart=None):
    return run_case(load_case(folder / f"{case}.toml", overrides), folder / name, comm, restart)


def physics(path):
    with open_output(path) as reader:
        # totals of the ledger are sums over ranks: equal to round-off only
        return {name: reader[name] for name in reader.names if not name.startswith(("ledger/", "history/"))}


def same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name], equal_nan=True)] == []


@pytest.mark.parametrize("case", ["time", "turned_time"])
def test_run_and_restart_do_not_depend_on_the_number_of_ranks(comm, folder, case):
    from mpi4py import MPI

    together = run(folder, case, "together", comm)
    again = run(folder, case, "again", comm, restart=together.checkpoints[0])
    assert (together.steps, again.steps) == (4, 2)
    assert together.cells == (20 if case == "time" else 24)
    if comm.rank == 0:
        alone = run(folder, case, "alone", MPI.COMM_SELF)
        expected = physics(alone.outputs[-1])
        assert expected["populations"].max() > 1e-3
        for other in (together, again):
            same(expected, physics(other.outputs[-1]))
        text = together.outputs[-1].with_suffix(".xdmf").read_text()
        assert ("5 6" if case == "time" else "2 5 7") in text
        assert describe_file(together.outputs[-1])["profile_title"] == "ball"
    comm.Barrier()


@pytest.mark.parametrize("case", ["snapshot", "turned"])
def test_stationary_states_do_not_depend_on_the_number_of_ranks(comm, folder, case):
    from mpi4py import MPI

    # 1e-10 of the first residual; its entries are populations over their removal rates
    together = run(folder, case, "together", comm, "run.compare_self_interaction=true")
    names = [path.name for path in together.outputs]
    assert names == ["steady_without_self_interaction.h5", "steady.h5"]
    if comm.rank == 0:
        alone = physics(run(folder, case, "alone", MPI.COMM_SELF).outputs[-1])
        other = physics(together.outputs[-1])
        for name in ("radiation/energy_density", "sources/energy", "populations"):
            scale = np.abs(alone[name]).max()
            np.testing.assert_allclose(other[name], alone[name], rtol=0.0, atol=1.0e-7 * scale)
    comm.Barrier()


def test_implicit_steps_reach_the_stationary_state(comm, folder):
    steady = run(folder, "snapshot", "steady", comm)
    steps = ("run.implicit=true", "run.dt=0.1", "run.max_steps=3", "run.checkpoint_every=0")
    marched = run(folder, "time", "marched", comm, *steps)
    assert marched.time == pytest.approx(0.3)
    if comm.rank == 0:
        one, other = physics(steady.outputs[-1]), physics(marched.outputs[-1])
        scale = one["radiation/energy_density"].max()
        np.testing.assert_allclose(
            other["radiation/energy_density"], one["radiation/energy_density"], rtol=0.0, atol=1.0e-6 * scale
        )
    comm.Barrier()


@pytest.mark.parametrize(
    ("case", "overrides", "words"),
    [
        ("snapshot", ["snapshot.coarsen=[3,1,1]"], "snapshot.coarsen along x is 3; accepted for 10 cells"),
        ("snapshot", ["snapshot.outer=1e6"], "snapshot.outer is 1000000.0 cm on a cartesian snapshot"),
        ("snapshot", ["angles.kind=hybrid"], "angles.kind is 'hybrid'; accepted on a cartesian block mesh: product"),
        ("turned", ["mesh.outer=7e6"], "mesh.outer is 7000000.0 cm; accepted: 0 to 6000000, as the profile"),
        (
            "turned",
            ['boundary.low=["reflecting","auto","auto"]'],
            'for r is .reflecting.; accepted for this end: "auto"',
        ),
        ("turned", ['boundary.high=["periodic","auto","auto"]'], "boundary"),
        ("time", ["run.dt=1.0"], "run.dt is 1.0 s; accepted: 0 < dt <="),
        ("time", ["alignment.charges=mass"], 'alignment.charges on a block mesh: accepted "none"'),
    ],
)
def test_what_does_not_fit_is_refused_on_all_ranks(comm, folder, case, overrides, words):
    with pytest.raises(ConfigurationError if comm.size == 1 else MisciError, match=words):
        run(folder, case, "refused", comm, *overrides)


MAPPED = """
[snapshot]
file = "%s"
map = "map.toml"
"""
BOX = """
[mesh]
geometry = "cartesian"
lower = [-0.9e6, -0.9e6, -0.9e6]
upper = [0.9e6, 0.9e6, 0.9e6]
shape = [4, 4, 4]
"""
SHELLS = """
[mesh]
geometry = "spherical"
faces = "uniform"
outer = 0.9e6
cells = 4
polar_cells = 4
"""
MAP = """
[units]
length = 1.0e6
mass = 1.0e30
time = 1.0e-4
[fields.temperature]
value = 5.0
[fields.electron_fraction]
value = 0.3
"""


def refined(folder):
    """An athdf file with blocks at two levels around the centre: density 1 to 2 in the code's units."""
    import h5py
    from hosts_in_memory import two_levels

    places = [p for n, p in enumerate(two_levels(cells=4)) if n > 0]
    whole = [p for p in places if p.level == 0]
    # leaves only, all of one size
    fine = []
    for k in range(2):
        for j in range(2):
            for i in range(2):
                low = -1.0 + 0.5 * np.array([i, j, k])
                fine.append([np.linspace(a, a + 0.5, 5) for a in low])
    faces = [p.faces for p in whole] + fine
    level = [0] * len(whole) + [1] * len(fine)
    with h5py.File(folder / "star.athdf", "w") as file:
        for axis in range(3):
            file[f"x{axis + 1}f"] = np.array([face[axis] for face in faces])
        file["Levels"] = np.array(level)
        file["LogicalLocations"] = np.zeros((len(faces), 3), dtype=np.int64)
        prim = np.zeros((5, len(faces), 4, 4, 4))
        for n, face in enumerate(faces):
            x, y, z = (0.5 * (f[1:] + f[:-1]) for f in face)
            r2 = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
            prim[0, n] = 1.0 + np.exp(-r2)
        file["prim"] = prim
        file.attrs["Coordinates"] = np.bytes_("cartesian")
        file.attrs["DatasetNames"] = np.array(["prim"], dtype="S21")
        file.attrs["NumVariables"] = np.array([5], dtype=np.int32)
        file.attrs["VariableNames"] = np.array(["rho", "press", "vel1", "vel2", "vel3"], dtype="S21")
        file.attrs["MeshBlockSize"] = np.array([4, 4, 4], dtype=np.int32)
        file.attrs["RootGridSize"] = np.array([8, 8, 8], dtype=np.int32)
        file.attrs["RootGridX1"] = file.attrs["RootGridX2"] = file.attrs["RootGridX3"] = np.array([-1.0, 1.0, 1.0])
        file.attrs["Time"], file.attrs["NumCycles"] = 0.0, 0
        file.attrs["MaxLevel"], file.attrs["NumMeshBlocks"] = 1, len(faces)


@pytest.mark.parametrize("mesh", [BOX, SHELLS], ids=["box", "shells"])
def test_blocks_of_a_fluid_code_are_mapped(mesh, folder):
    """Two levels of refinement onto a mesh of the case's own; ranks give the same bits as one."""
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 0:
        refined(folder)
        (folder / "map.toml").write_text(MAP)
        (folder / "case.toml").write_text(COMMON + MAPPED % "star.athdf" + mesh + TIME)
    MPI.COMM_WORLD.Barrier()
    case = load_case(folder / "case.toml", [])
    together = run_case(case, folder / "together")
    alone = run_case(case, folder / f"alone_{MPI.COMM_WORLD.rank}", MPI.COMM_SELF)
    with open_output(together.outputs[-1]) as many, open_output(alone.outputs[-1]) as one:
        for name in ("fluid/mass_density", "alignment/status"):
            np.testing.assert_array_equal(many.array(name), one.array(name))
        assert many.attributes["mapping_host_cells"] == 15 * 64
        assert many.attributes["mapping_uncovered"] == 0
        density = many.array("fluid/mass_density")
    assert density.min() > 1.0e12
    assert density.max() < 2.0e12


def test_what_a_mapped_mesh_must_say(tmp_path):
    for keys, words in (
        ("[mesh]\nfaces = 'uniform'\ncells = 9\n", 'mesh.geometry is "radial"; accepted with a snapshot'),
        (
            "[mesh]\ngeometry = 'spherical'\nouter = 1e6\n",
            "mesh.outer is 1000000.0, mesh.cells None; accepted with a snapshot",
        ),
    ):
        (tmp_path / "case.toml").write_text('[snapshot]\nfile = "x"\n' + keys)
        with pytest.raises(ConfigurationError, match=words):
            load_case(tmp_path / "case.toml", [])
    (tmp_path / "case.toml").write_text('[snapshot]\nfile = "x"\ncoarsen = [2, 2, 2]\n' + BOX)
    with pytest.raises(ConfigurationError, match="coarsen or outer is given"):
        load_case(tmp_path / "case.toml", [])
