"""Every ghost holds the right cell whatever the shape, the cut and the periodicity."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.parallel import block_decomposition
from misci_transport.parallel.block_decomposition import BlockDecomposition

pytestmark = pytest.mark.mpi

UNTOUCHED = -1.0
FACTORS = np.array([[1.0, 2.0, -3.0], [10.0, 1.0e-3, 7.0]])
PERIODIC = list(product([False, True], repeat=3))
#: axes as multiples of the number of ranks plus a rest: blocks of one cell, uneven ones, and a rest that fits no cut
SHAPES = [
    ((1, 0), (0, 1), (0, 1)),
    ((1, 1), (0, 1), (0, 1)),
    ((3, 2), (0, 1), (0, 1)),
    ((0, 1), (2, 1), (0, 1)),
    ((0, 1), (0, 1), (1, 1)),
    ((1, 0), (0, 2), (0, 1)),
    ((0, 2), (1, 1), (0, 1)),
    ((2, 1), (0, 1), (1, 0)),
    ((0, 5), (0, 7), (0, 1)),
    ((0, 4), (0, 5), (0, 3)),
    ((0, 2), (0, 2), (0, 3)),
    ((0, 2), (0, 3), (1, 0)),
]


def shape_for(comm, lines):
    return tuple(factor * comm.size + rest for factor, rest in lines)


def values(cells):
    """What each global cell holds: two entries by three, different everywhere."""
    return (1.0 + np.asarray(cells)[..., None, None]) * FACTORS


def ghosts(cut):
    """Row and global cell (None beyond the mesh) of every ghost, from the definition of the padded block."""
    start, local = cut.start, cut.local_shape
    for axis in range(3):
        if cut.shape[axis] == 1:
            continue
        for at in (-2, -1, local[axis], local[axis] + 1):
            others = [range(local[d]) for d in range(3)]
            others[axis] = [at]
            for i, j, k in product(*others):
                where = np.array([i, j, k]) + start
                inside = 0 <= where[axis] < cut.shape[axis]
                if cut.periodic[axis]:
                    where[axis] %= cut.shape[axis]
                n0, n1, _ = cut.shape
                number = int(where[0] + n0 * (where[1] + n1 * where[2]))
                yield cut.row[k + 2, j + 2, i + 2], number if inside or cut.periodic[axis] else None


def filled(cut):
    array = np.full((cut.rows, *FACTORS.shape), UNTOUCHED)
    array[: cut.size] = values(cut.cells)
    return array


def check_ghosts(cut, array):
    used = set()
    for row, number in ghosts(cut):
        used.add(int(row))
        expected = np.full(FACTORS.shape, UNTOUCHED) if number is None else values(number)
        np.testing.assert_array_equal(array[row], expected)
    # no row without a ghost, and the cells are as they were
    assert used | set(range(cut.size)) == set(range(cut.rows))
    np.testing.assert_array_equal(array[: cut.size], values(cut.cells))


@pytest.mark.parametrize("lines", SHAPES)
def test_exchange_fills_every_ghost(comm, lines):
    shape = shape_for(comm, lines)
    for periodic in PERIODIC:
        cut = BlockDecomposition(shape, periodic, comm)
        assert comm.allreduce(cut.size) == prod(shape)
        assert prod(cut.process_grid) == comm.size
        array = filled(cut)
        cut.exchange(array)
        check_ghosts(cut, array)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_axis_can_be_the_one_that_is_cut(comm, axis, monkeypatch):
    """With PETSc's choice refused the grid is this project's own, here along one axis into blocks of 1, 2 cells."""
    shape = [3, 3, 3]
    shape[axis] = 2 * comm.size - 1 if comm.size > 1 else 3
    grid = [1, 1, 1]
    grid[axis] = comm.size
    monkeypatch.setattr(block_decomposition, "_process_grid", lambda *_: tuple(grid))
    refuse_petscs_choice(monkeypatch, comm)
    for periodic in PERIODIC:
        cut = BlockDecomposition(shape, periodic, comm)
        assert cut.process_grid == tuple(grid)
        array = filled(cut)
        cut.exchange(array)
        check_ghosts(cut, array)


def refuse_petscs_choice(monkeypatch, comm):
    from misci_transport.parallel.petsc import petsc

    PETSc = petsc(comm)

    class Refusing(PETSc.DMDA):
        def create(self, *args, **given):
            if "proc_sizes" not in given:
                raise PETSc.Error(60)
            return super().create(*args, **given)

    monkeypatch.setattr(PETSc, "DMDA", Refusing)


def test_axes_without_cut_need_no_rows_if_periodic(comm):
    cut = BlockDecomposition((3, 4, 2 * comm.size), (True, True, True), comm)
    uncut = [axis for axis in range(3) if cut.process_grid[axis] == 1]
    for axis, at in product(uncut, (-2, -1, 0, 1)):
        position = at if at < 0 else cut.local_shape[axis] + at
        index = [slice(2, -2)] * 3
        index[2 - axis] = position + 2
        assert (cut.row[tuple(index)] < cut.size).all()
    if comm.size == 1:
        assert cut.rows == cut.size == cut.total


def test_table_outside_of_the_faces(comm):
    cut = BlockDecomposition((2 * comm.size, 1, 5), (False, True, False), comm)
    assert cut.row.dtype == np.int64
    assert cut.row.shape == tuple(n + 4 for n in cut.local_shape[::-1])
    outside = np.zeros(cut.row.shape, dtype=int)
    for d, n in enumerate(cut.row.shape):
        shape = [1, 1, 1]
        shape[d] = n
        outside += np.isin(np.arange(n), [0, 1, n - 2, n - 1]).reshape(shape)
    unresolved = np.zeros(cut.row.shape, dtype=bool)
    unresolved[:, [0, 1, -2, -1], :] = True
    np.testing.assert_array_equal(cut.row == -1, (outside > 1) | unresolved)
    inner = cut.row[2:-2, 2:-2, 2:-2]
    np.testing.assert_array_equal(inner.ravel(), np.arange(cut.size))


def test_exchanges_overlap(comm):
    """Two arrays under way at once, with different entries, and the packed layers outlive the call."""
    cut = BlockDecomposition((4, comm.size + 3, 3), (False, True, False), comm)
    first, second = filled(cut), np.full(cut.rows, UNTOUCHED)
    second[: cut.size] = cut.cells
    handles = cut.begin(first), cut.begin(second)
    for handle in handles[::-1]:
        cut.finish(handle)
    check_ghosts(cut, first)
    for row, number in ghosts(cut):
        assert second[row] == (UNTOUCHED if number is None else number)


@pytest.mark.parametrize("lines", [((3, 1), (0, 1), (0, 1)), ((1, 0), (0, 4), (0, 1)), ((0, 3), (0, 5), (0, 4))])
def test_local_parts_and_gather(comm, lines):
    shape = shape_for(comm, lines)
    cut = BlockDecomposition(shape, comm=comm)
    whole = values(np.arange(cut.total))
    part = cut.local(whole)
    assert part.shape[0] == cut.size
    np.testing.assert_array_equal(cut.gather(part), whole)
    np.testing.assert_array_equal(cut.gather(cut.cells), np.arange(cut.total))
    assert list(cut.numbers) == list(cut.cells)
    assert all(cut.owner(cell) == comm.rank for cell in cut.cells)
    assert cut.gather(np.full(cut.size, comm.rank)).tolist() == [cut.owner(n) for n in range(cut.total)]
    # axis 0 fastest
    low = cut.start[0] + shape[0] * (cut.start[1] + shape[1] * cut.start[2])
    assert cut.numbers[0] == low
    if cut.local_shape[0] > 1:
        assert cut.numbers[1] == low + 1
    with pytest.raises(ConfigurationError, match="array over all cells has shape"):
        cut.local(whole[1:])


@pytest.mark.parametrize("lines", [((1, 0), (0, 1), (0, 2)), ((2, 1), (0, 3), (0, 1)), ((0, 4), (0, 4), (0, 4))])
@pytest.mark.parametrize("kind", ["mirror", "adjacent"])
def test_boundaries_on_any_cut_fill_the_same_ghosts(comm, lines, kind):
    """After exchange and boundary no ghost is left, and each one beyond the mesh holds its mirror image's value."""
    shape = shape_for(comm, lines)
    for periodic in ((False, False, False), (False, True, False)):
        cut = BlockDecomposition(shape, periodic, comm)
        array = filled(cut)
        cut.exchange(array)
        for axis, side, layer in product(range(3), range(2), range(2)):
            rows = cut.boundary_rows(axis, side, layer)
            assert len({part.size for part in rows}) == 1
            if cut.shape[axis] == 1 or cut.periodic[axis]:
                assert rows.ghost.size == 0
            assert (array[rows.ghost] == UNTOUCHED).all()
            np.testing.assert_array_equal(array[rows.adjacent], values(rows.cell))
            array[rows.ghost] = array[getattr(rows, kind)]
        assert (array != UNTOUCHED).all()
        for axis in cut.resolved:
            if cut.periodic[axis]:
                continue
            n, start, local = shape[axis], int(cut.start[axis]), cut.local_shape[axis]
            for at in (-2, -1, local, local + 1):
                beyond = start + at
                if 0 <= beyond < n:
                    continue
                edge = 0 if beyond < 0 else n - 1
                inside = edge if kind == "adjacent" else (-1 - beyond if beyond < 0 else 2 * n - 1 - beyond)
                index = [slice(2, -2)] * 3
                index[2 - axis] = at + 2
                where = [np.arange(a, b) for a, b in zip(cut.start, cut.stop, strict=True)]
                where[axis] = np.array([inside])
                number = (
                    where[0][None, None, :] + shape[0] * (where[1][None, :, None] + shape[1] * where[2][:, None, None])
                ).ravel()
                np.testing.assert_array_equal(array[cut.row[tuple(index)].ravel()], values(number))


def test_repeated_averages_are_bitwise_equal_on_any_number_of_ranks(comm):
    """A nonlinear sweep over all faces, some of them periodic, many times."""
    from mpi4py import MPI

    shape = (comm.size + 1, 5, 3)
    whole = []
    for communicator in (comm, MPI.COMM_SELF):
        cut = BlockDecomposition(shape, (True, False, True), communicator)
        f = np.zeros((cut.rows, 2))
        f[: cut.size] = cut.local(np.sin(1.0 + np.arange(2 * cut.total)).reshape(-1, 2))
        for _ in range(5):
            cut.exchange(f)
            for side, layer in product(range(2), range(2)):
                rows = cut.boundary_rows(1, side, layer)
                f[rows.ghost] = f[rows.mirror]
            new = f[: cut.size].copy()
            for axis in range(3):
                for step in (-2, -1, 1, 2):
                    index = [slice(2, -2)] * 3
                    index[2 - axis] = slice(2 + step, cut.row.shape[2 - axis] - 2 + step)
                    new += 0.1 * np.cos(step * f[cut.row[tuple(index)].ravel()])
            f[: cut.size] = new
        whole.append(cut.gather(f[: cut.size]))
    np.testing.assert_array_equal(*whole)
    assert np.unique(whole[0]).size > cut.total


def test_one_cell(comm):
    cut = BlockDecomposition((1, 1, 1), (True, True, True), comm)
    assert (cut.rows, cut.periodic, cut.resolved) == (int(comm.rank == 0), (False, False, False), ())


def test_more_ranks_than_blocks(comm):
    """Two cells make two blocks; ranks beyond own nothing, and take part in exchange and gathering."""
    cut = BlockDecomposition((1, 2, 1), comm=comm)
    owners = min(comm.size, 2)
    assert comm.allgather(cut.size) == [2 // owners] * owners + [0] * (comm.size - owners)
    assert cut.process_grid == (1, owners, 1)
    field = np.full((cut.rows, 3), -1.0)
    field[: cut.size] = cut.numbers[:, None]
    cut.exchange(field)
    np.testing.assert_array_equal(cut.gather(field[: cut.size])[:, 0], [0.0, 1.0])
    if cut.size == 1:
        # the ghost towards the other cell holds its number
        neighbour = 3 if cut.start[1] == 0 else 1
        assert field[cut.row[2, neighbour, 2], 0] == 1.0 - cut.numbers[0]


def test_bad_input(comm):
    with pytest.raises(ConfigurationError, match="three axes"):
        BlockDecomposition((comm.size, 1), comm=comm)
    with pytest.raises(ConfigurationError, match="one or more cells"):
        BlockDecomposition((comm.size, 0, 1), comm=comm)
    cut = BlockDecomposition((comm.size + 1, 2, 1), comm=comm)
    for wrong in (np.zeros((cut.rows + 1, 2)), np.zeros((cut.rows, 2), np.float32), np.zeros((2, cut.rows)).T):
        with pytest.raises(ConfigurationError, match=rf"accepted: \({cut.rows}, ...\)"):
            cut.begin(wrong)
    with pytest.raises(ConfigurationError, match="layer 0, 1"):
        cut.boundary_rows(0, 0, 2)


@pytest.mark.parametrize(
    ("shape", "ranks", "grid"),
    [
        ((8, 8, 8), 8, (2, 2, 2)),
        ((8, 8, 8), 2, (1, 1, 2)),  # contiguous faces
        ((100, 10, 1), 4, (4, 1, 1)),
        ((5, 1, 1), 5, (5, 1, 1)),
        ((2, 3, 2), 12, (2, 3, 2)),
        ((7, 3, 1), 7, (7, 1, 1)),
    ],
)
def test_own_process_grids(shape, ranks, grid):
    assert block_decomposition._process_grid(shape, ranks) == grid


def test_numbers_of_ranks_that_no_grid_fits():
    """As many blocks as fit: 4 x 3 cells have no grid of 7."""
    assert block_decomposition._process_grid((4, 3, 1), 7) == (2, 3, 1)
