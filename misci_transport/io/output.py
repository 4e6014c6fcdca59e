"""Writing fields to HDF5, by all ranks into one file, which appears under its name only when it is whole."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._version import __version__
from ..errors import OutputError
from ..hdf5 import import_h5py
from ..parallel.errors import collective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..fields import Field

FORMAT = "misci_transport"
FORMAT_VERSION = 1


def prepare_directory(path: str | os.PathLike[str], comm: Any = None) -> Path:
    """Make the directory and prove that a file can be written there. Collective.

    Raises
    ------
    OutputError
        If it cannot be made or written (ParallelError on the ranks that did not try).
    """
    directory = Path(path)
    with collective(comm):
        if comm is None or comm.rank == 0:
            probe = directory / ".misci-write-test"
            try:
                directory.mkdir(parents=True, exist_ok=True)
                probe.write_bytes(b"")
                probe.unlink()
            except OSError as error:
                reason = error.strerror or error
                raise OutputError(f"output directory {directory} cannot be written: {reason}") from None
    return directory


def write_fields(
    path: str | os.PathLike[str],
    fields: Sequence[Field],
    attributes: Mapping[str, Any] | None = None,
    decomposition: Any = None,
    *,
    kind: str = "output",
) -> Path:
    """Write one HDF5 file with every field as a dataset of its name. Collective.

    "cell" and "face" fields are this rank's part along the first axis; "global" ones are taken from rank 0. On a block
    mesh the first axis of a cell field becomes three in the file, (z, y, x) or (phi, theta, r).
    With an MPI-enabled h5py all ranks write, else rank 0 writes what it gathered. The file is written under a
    temporary name in the same directory, flushed to disk, and renamed.

    Parameters
    ----------
    attributes
        Further attributes of the file (strings and numbers), taken from rank 0.
    decomposition
        With comm and layout, on a radial mesh start, stop, total (cells) too; None: the fields are whole.

    Raises
    ------
    OutputError
        If the ranks' fields do not fit together or the file cannot be written.
    """
    path = Path(path)
    comm: Any = None if decomposition is None else decomposition.comm
    serial = comm is None or comm.size == 1
    h5py = import_h5py(parallel=not serial)
    with collective(comm):
        plan = [_described(field, decomposition) for field in fields]
    if not serial:
        _agree(plan, comm)
    header = {"format": FORMAT, "format_version": FORMAT_VERSION, "kind": kind, "package_version": __version__}
    header["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    header.update(attributes or {})
    partial = path.with_name(f".{path.name}.partial")
    try:
        if serial:
            _write_alone(h5py, partial, plan, header, [field.values for field in fields])
        elif h5py.get_config().mpi:
            _write_together(h5py, partial, plan, comm.bcast(header), fields, decomposition)
        else:
            parts = [_gathered(field, item, decomposition) for field, item in zip(fields, plan, strict=True)]
            with collective(comm):
                if comm.rank == 0:
                    _write_alone(h5py, partial, plan, header, parts)
        with collective(comm):
            if serial or comm.rank == 0:
                _publish(partial, path)
    except OSError as error:
        _discard(partial, comm)
        raise OutputError(f"{path}: cannot be written: {error}") from None
    except BaseException:
        _discard(partial, comm)
        raise
    return path


def _described(field: Field, decomposition: Any) -> dict[str, Any]:
    """What the file says about a field; its shape is that of the whole."""
    values = np.asarray(field.values)
    if values.ndim != len(field.axes):
        raise OutputError(f"field {field.name} has shape {values.shape} for the axes {field.axes}")
    if field.placement not in ("cell", "face", "global"):
        raise OutputError(f"field {field.name} has placement {field.placement!r}; accepted: cell, face, global")
    shape, axes = values.shape, field.axes
    if decomposition is not None and field.placement != "global":
        if field.placement == "cell":
            layout = decomposition.layout
            expected = prod(layout.local_shape)
            whole, names = layout.shape, layout.names
        else:
            last = decomposition.stop == decomposition.total
            expected = decomposition.stop - decomposition.start + last
            whole, names = (decomposition.total + 1,), field.axes[:1]
        if shape[0] != expected:
            raise OutputError(f"field {field.name} has {shape[0]} entries on this rank, expected {expected}")
        shape, axes = (*whole, *shape[1:]), (*names, *axes[1:])
    return {
        "name": field.name,
        "shape": shape,
        "dtype": values.dtype.str,
        "attributes": {
            "unit": field.unit,
            "axes": " ".join(axes),
            "description": field.description,
            "placement": field.placement,
        },
    }


def _agree(plan: list[dict[str, Any]], comm: Any) -> None:
    others = comm.allgather([(item["name"], item["shape"], item["dtype"]) for item in plan])
    for rank, other in enumerate(others):
        if other != others[0]:
            differing = sorted({str(entry[0]) for entry in set(other) ^ set(others[0])})
            raise OutputError(f"ranks 0 and {rank} have different fields to write: {', '.join(differing)}")


def _create(file: Any, plan: list[dict[str, Any]], header: Mapping[str, Any]) -> list[Any]:
    for key, value in header.items():
        file.attrs[key] = value
    datasets = []
    for item in plan:
        # creation times would make equal runs differ
        dataset = file.create_dataset(item["name"], shape=item["shape"], dtype=item["dtype"], track_times=False)
        for key, value in item["attributes"].items():
            dataset.attrs[key] = value
        datasets.append(dataset)
    return datasets


def _write_alone(h5py: Any, partial: Path, plan: list[dict[str, Any]], header: Mapping[str, Any], values: Any) -> None:
    with h5py.File(partial, "w") as file:
        for dataset, array in zip(_create(file, plan, header), values, strict=True):
            dataset[...] = np.reshape(array, dataset.shape)


def _write_together(
    h5py: Any,
    partial: Path,
    plan: list[dict[str, Any]],
    header: Mapping[str, Any],
    fields: Sequence[Field],
    decomposition: Any,
) -> None:
    comm = decomposition.comm
    with collective(comm):
        if comm.rank == 0:
            # a plain failure here is clearer than what MPI-IO reports
            partial.write_bytes(b"")
    with h5py.File(partial, "w", driver="mpio", comm=comm) as file:
        datasets = _create(file, plan, header)
        for dataset, field in zip(datasets, fields, strict=True):
            values = np.ascontiguousarray(field.values)
            with collective(comm):
                if field.placement == "global":
                    if comm.rank == 0:
                        dataset[...] = values
                elif field.placement == "cell":
                    layout = decomposition.layout
                    with dataset.collective:
                        dataset[layout.part] = values.reshape(*layout.local_shape, *values.shape[1:])
                else:
                    with dataset.collective:
                        dataset[decomposition.start : decomposition.start + values.shape[0]] = values


def _gathered(field: Field, item: dict[str, Any], decomposition: Any) -> Any:
    if field.placement == "global":
        return field.values
    values = np.ascontiguousarray(field.values)
    layout = decomposition.layout if field.placement == "cell" else None
    parts = decomposition.comm.gather((None if layout is None else layout.part, values))
    if parts is None:
        return None
    if layout is None:
        return np.concatenate([part for _, part in parts])
    whole = np.empty(item["shape"], dtype=values.dtype)
    for region, part in parts:
        whole[region] = part.reshape(whole[region].shape)
    return whole


def _publish(partial: Path, path: Path) -> None:
    """Put the finished file under its name: first its bytes on disk, then the name."""
    _flush(partial, os.O_RDWR)
    os.replace(partial, path)
    _flush(path.parent, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _discard(partial: Path, comm: Any) -> None:
    if comm is None or comm.rank == 0:
        with suppress(OSError):
            partial.unlink()
