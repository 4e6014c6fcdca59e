"""Mapping a host's blocks onto the mesh and back: what is conserved, how exact it is, and that ranks do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hosts_in_memory import host, two_levels, uniform
from scipy.integrate import simpson

from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ConfigurationError, MisciError
from misci_transport.parallel.block_decomposition import BlockDecomposition
from misci_transport.remap import Remap

pytestmark = pytest.mark.mpi

BALL = {
    "mass_density": lambda x, y, z: 1.0 + np.exp(-4.0 * (x**2 + y**2 + z**2)),
    "temperature": lambda x, y, z: 2.0 + 0.5 * x,
    "electron_fraction": lambda x, y, z: 0.3 + 0.1 * y,
    "v0": lambda x, y, z: 1.0 + 0.0 * x,
    "v1": lambda x, y, z: -2.0 + 0.0 * x,
    "v2": lambda x, y, z: 0.5 + 0.0 * x,
}
EVEN = {
    "mass_density": lambda x, y, z: 3.0,
    "temperature": lambda x, y, z: 1.0,
    "electron_fraction": lambda x, y, z: 0.4,
}


def mapped(source, mesh, **options):
    decomposition = BlockDecomposition(mesh.shape)
    remap = Remap(source, mesh, decomposition, **options)
    fluid, report = remap.fluid()
    return remap, decomposition, fluid, report


def totals(decomposition, mesh, fluid):
    """Mass, electrons, momentum on the mesh."""
    mass = fluid.mass_density * mesh.volume_at(decomposition.cells)
    return decomposition.comm.allreduce(
        np.concatenate([[mass.sum(), (mass * fluid.electron_fraction).sum()], mass @ fluid.velocity])
    )


def content(source):
    """The same of the host's leaves."""
    total = np.zeros(5)
    for block in range(len(source.blocks)):
        mass = source.field(block, "mass_density") * source.leaf_volume(block)
        electrons = mass * source.field(block, "electron_fraction")
        velocity = source.field(block, "velocity")
        total += [mass.sum(), electrons.sum(), *(mass * velocity).sum(axis=(1, 2, 3))]
    return total


def test_the_same_coordinates_are_exact():
    """Refined blocks and parents among them; mass, electrons and momentum to round-off, a constant stays one."""
    source = host("cartesian", two_levels(), BALL)
    mesh = BlockMesh.uniform((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), (7, 5, 6))
    _, decomposition, fluid, report = mapped(source, mesh)
    np.testing.assert_allclose(totals(decomposition, mesh, fluid), content(source), rtol=1e-13)
    assert report.mesh_mass == pytest.approx(report.host_mass, rel=1e-13)
    assert abs(report.outside) < 1e-12
    assert (report.missed, report.uncovered, report.turns) == (0, 0, 0)
    assert report.host_cells == 7 * 8**3 + 2 * 16 * 16 * 8
    _, _, even, _ = mapped(host("cartesian", two_levels(), EVEN), mesh)
    np.testing.assert_allclose(even.mass_density, 3.0, rtol=1e-13)
    np.testing.assert_allclose(even.electron_fraction, 0.4, rtol=1e-13)


@pytest.mark.parametrize("turn", [0.0, -np.pi])
def test_shells_onto_shells(turn):
    """Azimuths may be counted from anywhere."""
    source = host("spherical", [uniform((0.0, 0.0, 0.0), (2.0, np.pi, 2 * np.pi), (10, 6, 8))], BALL)
    faces = np.linspace(0.0, 2.0, 8), np.linspace(0.0, np.pi, 5), np.linspace(turn, turn + 2 * np.pi, 7)
    mesh = BlockMesh.from_edges(*faces, geometry="spherical")
    _, decomposition, fluid, report = mapped(source, mesh)
    np.testing.assert_allclose(totals(decomposition, mesh, fluid), content(source), rtol=1e-12)
    assert abs(report.outside) < 1e-12 * report.host_mass


def box_of_shells(cells):
    """A spherical host around a Cartesian box: the density of the box is known."""
    source = host(
        "spherical", [uniform((0.0, 0.0, 0.0), (2.0, np.pi, 2 * np.pi), (3 * cells, 2 * cells, 4 * cells))], EVEN
    )
    return source, BlockMesh.uniform((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), (cells, cells, cells))


def test_other_coordinates_conserve():
    source = host("cartesian", two_levels(), BALL)
    mesh = BlockMesh.from_edges(
        np.linspace(0.0, 0.95, 7), np.linspace(0.0, np.pi, 5), np.linspace(0.0, 2 * np.pi, 7), geometry="spherical"
    )
    _, decomposition, fluid, report = mapped(source, mesh, parts=8)
    found = totals(decomposition, mesh, fluid)
    assert found[0] == pytest.approx(report.mesh_mass, rel=1e-13)
    assert report.mesh_mass + report.outside == pytest.approx(report.host_mass, rel=1e-13)
    # the velocity is one vector: its length survives the turning of the axes, to the width of a cell
    speed = np.sqrt((fluid.velocity**2).sum(axis=1))
    assert (speed < np.sqrt(5.25) * (1.0 + 1e-12)).all()
    r = np.linspace(0.0, 0.95, 20001)
    exact = simpson(4.0 * np.pi * r**2 * (1.0 + np.exp(-4.0 * r**2)), x=r)
    assert report.mesh_mass == pytest.approx(exact, rel=1e-3)


def test_a_constant_stays_constant_in_other_coordinates():
    source, mesh = box_of_shells(6)
    _, _, fluid, report = mapped(source, mesh)
    worst = float(np.abs(fluid.mass_density / 3.0 - 1.0).max(initial=0.0))
    assert worst <= report.unevenness + 1e-12
    assert report.unevenness < 0.02
    assert report.mesh_mass == pytest.approx(24.0, rel=2e-3)


def test_finer_parts_are_more_exact():
    source, mesh = box_of_shells(4)
    errors = [abs(mapped(source, mesh, parts=parts)[3].mesh_mass / 24.0 - 1.0) for parts in (2, 8)]
    assert errors[1] < 0.3 * errors[0]


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
def test_sources_come_back_whole(geometry):
    source = host("cartesian", two_levels(), BALL)
    if geometry == "cartesian":
        mesh = BlockMesh.uniform((-1.0, -0.9, -0.8), (0.7, 1.0, 1.0), (5, 6, 7))
    else:
        mesh = BlockMesh.from_edges(np.linspace(0.0, 0.9, 6), np.linspace(0.0, np.pi, 5), None, geometry="spherical")
    remap, decomposition, _, _ = mapped(source, mesh)
    values = np.random.default_rng(4).normal(size=(mesh.size, 3))[decomposition.cells]
    back = remap.to_host(values)
    assert sorted(back) == list(remap.blocks)
    mine = sum((rates * source.volume(block)).sum(axis=(1, 2, 3)) for block, rates in back.items())
    wanted = decomposition.comm.allreduce((values * mesh.volume_at(decomposition.cells)[:, None]).sum(axis=0))
    np.testing.assert_allclose(decomposition.comm.allreduce(mine + np.zeros(3)), wanted, rtol=1e-11)
    for block, rates in back.items():
        covered = source.blocks[block].covered
        if covered is not None:
            assert not rates[:, covered].any()


def test_numbers_do_not_depend_on_ranks():
    """A mapping on all ranks and one on this rank alone: the same bits."""
    from mpi4py import MPI

    source = host("cartesian", two_levels(), BALL)
    mesh = BlockMesh.from_edges(
        np.linspace(0.0, 0.9, 6), np.linspace(0.0, np.pi, 4), np.linspace(0, 2 * np.pi, 5), geometry="spherical"
    )
    together = BlockDecomposition(mesh.shape)
    alone = BlockDecomposition(mesh.shape, comm=MPI.COMM_SELF)
    found = [Remap(source, mesh, d).fluid()[0] for d in (together, alone)]
    for name in ("mass_density", "temperature", "electron_fraction", "velocity"):
        whole = together.gather(getattr(found[0], name))
        assert (whole == getattr(found[1], name)).all(), name


def test_what_is_refused():
    mesh = BlockMesh.uniform((-2.0, -1.0, -1.0), (1.0, 1.0, 1.0), (4, 4, 4))
    source = host("cartesian", two_levels(), BALL)
    decomposition = BlockDecomposition(mesh.shape)
    with pytest.raises(MisciError, match=r"memory: covers 0 % of cell"):
        Remap(source, mesh, decomposition).fluid()
    bare = host("cartesian", two_levels(), {"mass_density": BALL["mass_density"]})
    with pytest.raises(MisciError, match=r"memory: missing temperature, electron_fraction; the file has the variables"):
        Remap(bare, mesh, decomposition)
    sphere = BlockMesh.from_edges(np.linspace(0.0, 0.5, 4), None, None, geometry="spherical")
    line = host("cartesian", [uniform((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (8, 1, 1))], BALL, resolved=(0,))
    with pytest.raises(MisciError, match="1 resolved axes of a Cartesian host on a spherical mesh"):
        Remap(line, sphere, BlockDecomposition(sphere.shape))
    remap = Remap(source, sphere, BlockDecomposition(sphere.shape))
    with pytest.raises(ConfigurationError, match="one row a cell"):
        remap.to_host(np.zeros((99, 1)))
