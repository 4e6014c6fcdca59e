from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError, OutputError, ParallelError
from misci_transport.fields import Field
from misci_transport.io import output
from misci_transport.io.output import prepare_directory, write_fields
from misci_transport.io.read import open_output
from misci_transport.parallel.decomposition import Layout
from misci_transport.parallel.errors import collective, leave_together

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = [pytest.mark.mpi, pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")]


def cut(comm, total=11):
    bounds = [total * rank // comm.size for rank in range(comm.size + 1)]
    start, stop = bounds[comm.rank], bounds[comm.rank + 1]
    layout = Layout((total,), (slice(start, stop),), ("cell",))
    return SimpleNamespace(comm=comm, start=start, stop=stop, total=total, layout=layout)


def parts(where):
    cells, faces = np.arange(where.total), np.arange(where.total + 1)
    last = where.stop == where.total
    return [
        Field("fluid/mass_density", 1.0 * cells[where.start : where.stop], ("cell",), "g/cm^3", "rho"),
        Field("alignment/status", cells[where.start : where.stop], ("cell",), "1", "status"),
        Field(
            "radiation/luminosity",
            np.multiply.outer(faces[where.start : where.stop + last], np.arange(6.0).reshape(2, 3)),
            ("face", "species", "flavor"),
            "erg/s",
            "L",
            "face",
        ),
        Field("mesh/face", 1.0 * faces, ("face",), "cm", "faces", "global"),
        Field("time", np.float64(2.0), (), "s", "time", "global"),
    ]


@pytest.fixture
def shared(comm, tmp_path):
    """One directory for all ranks."""
    from pathlib import Path

    return Path(comm.bcast(str(tmp_path)))


@pytest.mark.parametrize("parallel_hdf5", [True, False])
def test_fields_are_joined_whichever_way_they_are_written(comm, shared, monkeypatch, parallel_hdf5):
    h5py = output.import_h5py(parallel=True)
    if not parallel_hdf5:
        monkeypatch.setattr(h5py, "get_config", lambda: SimpleNamespace(mpi=False))
    elif comm.size > 1:
        assert h5py.get_config().mpi
    path = write_fields(shared / "star.h5", parts(cut(comm)), {"title": f"from rank {comm.rank}"}, cut(comm))
    comm.Barrier()
    whole = {field.name: field.values for field in parts(SimpleNamespace(start=0, stop=11, total=11))}
    with open_output(path) as reader:
        assert reader.attributes["title"] == "from rank 0"
        for name, values in whole.items():
            assert np.array_equal(reader[name], values), name
            assert reader[name].dtype == np.asarray(values).dtype
    assert [entry.name for entry in shared.iterdir()] == ["star.h5"]
    comm.Barrier()


def test_ranks_that_disagree_are_refused_together(comm, shared):
    fields = parts(cut(comm))
    if comm.rank == comm.size - 1 and comm.size > 1:
        fields[1] = Field("alignment/other", fields[1].values, ("cell",), "1", "status")
    if comm.size == 1:
        write_fields(shared / "star.h5", fields, None, cut(comm))
        assert (shared / "star.h5").exists()
        return
    with pytest.raises(OutputError, match=r"different fields to write: alignment/other, alignment/status"):
        write_fields(shared / "star.h5", fields, None, cut(comm))
    comm.Barrier()
    assert not (shared / "star.h5").exists()


def test_wrong_part_of_one_rank_fails_on_all(comm, shared):
    fields = parts(cut(comm))
    guilty = comm.size - 1
    if comm.rank == guilty:
        fields[0] = Field("fluid/mass_density", np.zeros(99), ("cell",), "g/cm^3", "rho")
    expected = OutputError if comm.rank == guilty else ParallelError
    with pytest.raises(expected, match="field fluid/mass_density has 99 entries on this rank"):
        write_fields(shared / "star.h5", fields, None, cut(comm))


def test_unwritable_directory_fails_on_all(comm, shared):
    if comm.rank == 0:
        (shared / "file").write_text("")
    comm.Barrier()
    expected = OutputError if comm.rank == 0 else ParallelError
    with pytest.raises(expected, match="cannot be written: Not a directory"):
        prepare_directory(shared / "file" / "deep", comm)
    with pytest.raises((OutputError, ParallelError), match="No such file or directory"):
        write_fields(shared / "gone" / "star.h5", parts(cut(comm)), None, cut(comm))
    comm.Barrier()


def fail_on(comm, guilty, error):
    with collective(comm):
        if comm.rank == guilty:
            raise error


@pytest.mark.parametrize("guilty", [0, -1])
def test_error_of_one_rank_reaches_all(comm, guilty):
    guilty %= comm.size
    expected = ConfigurationError if comm.rank == guilty else ParallelError
    with pytest.raises(expected, match="cfl is 7") as caught:
        fail_on(comm, guilty, ConfigurationError("cfl is 7"))
    if comm.rank != guilty:
        assert str(caught.value) == f"rank {guilty}: cfl is 7"
    # the next collective call finds everybody in step
    assert comm.allreduce(1) == comm.size


def test_all_may_fail_with_their_own_errors(comm):
    with pytest.raises(KeyError, match=str(comm.rank)), collective(comm):
        raise KeyError(comm.rank)


def test_unexpected_error_is_named(comm):
    expected = ZeroDivisionError if comm.rank == 0 else ParallelError
    with pytest.raises(expected, match="ZeroDivisionError: by hand" if comm.rank else "by hand"):
        fail_on(comm, 0, ZeroDivisionError("by hand"))


def test_no_error_passes(comm):
    with collective(comm), collective(None):
        done = True
    assert done
    assert leave_together(comm, 10.0)


def test_a_rank_that_does_not_come_is_noticed(comm):
    if comm.size == 1:
        assert leave_together(comm, 0.0)
        return
    other = comm.Dup()
    # rank 0 comes only after the others have given up
    came = True if comm.rank == 0 else leave_together(other, 0.05)
    comm.Barrier()
    if comm.rank == 0:
        came = leave_together(other, 10.0)
    assert came is (comm.rank == 0)
    comm.Barrier()
    other.Free()
