"""Reading what this package wrote: output files and checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CheckpointError, MisciError, OutputError, ProfileError
from ..fields import Field
from ..hdf5 import import_h5py, is_hdf5
from .output import FORMAT, FORMAT_VERSION

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray


class Reader:
    """An open file of this package; use it in a ``with`` block. Arrays are read when asked for."""

    def __init__(self, path: Path, file: Any, error: type[MisciError]) -> None:
        self.path = path
        self._file = file
        self._error = error
        self.attributes: dict[str, Any] = {key: _plain(value) for key, value in file.attrs.items()}
        found: list[str] = []
        datasets = import_h5py().Dataset
        file.visititems(lambda name, item: found.append(name) if isinstance(item, datasets) else None)
        self.names: list[str] = sorted(found)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.array(name)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def kind(self) -> str:
        """What the file is: "output", "checkpoint" or "snapshot"."""
        return str(self.attributes["kind"])

    @property
    def configuration(self) -> str:
        """Complete configuration of the run as TOML text."""
        return str(self.attributes.get("configuration", ""))

    def array(self, name: str, part: slice | tuple[slice, ...] | None = None) -> NDArray[Any]:
        """The values of a field, or a part of them along the first axis or axes.

        Raises
        ------
        OutputError, CheckpointError
            If the field is missing or cannot be read.
        """
        dataset = self._dataset(name)
        try:
            return np.asarray(dataset[()] if part is None else dataset[part])
        except OSError as error:
            raise self._error(f"{self.path}: field {name} cannot be read: {error}") from None

    def scalar(self, name: str) -> float:
        """The value of a field without axes."""
        return float(self.array(name))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a field."""
        return tuple(int(n) for n in self._dataset(name).shape)

    def describe(self, name: str) -> dict[str, str]:
        """Unit, axes, description and placement of a field."""
        return {key: str(_plain(value)) for key, value in self._dataset(name).attrs.items()}

    def field(self, name: str) -> Field:
        """A field with its values."""
        about = self.describe(name)
        axes = tuple(about["axes"].split())
        return Field(name, self.array(name), axes, about["unit"], about["description"], about["placement"])

    def _dataset(self, name: str) -> Any:
        if name not in self.names:
            raise self._error(f"{self.path}: field {name!r} is missing; found {', '.join(self.names) or 'none'}")
        return self._file[name]


def open_output(path: str | os.PathLike[str]) -> Reader:
    """Open an output file (or a checkpoint, which has the same form).

    Raises
    ------
    OutputError
        No such file, not HDF5, truncated, not of this package, or a version that this one does not know.
    """
    return _open(path, ("output", "checkpoint"), OutputError)


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Kind of an HDF5 file of this package; None if it is not one or cannot be opened."""
    try:
        with import_h5py().File(path, "r") as file:
            ours = _plain(file.attrs.get("format")) == FORMAT
            return str(_plain(file.attrs.get("kind"))) if ours else None
    except OSError:
        return None


def open_checkpoint(path: str | os.PathLike[str]) -> Reader:
    """Open a checkpoint.

    Raises
    ------
    CheckpointError
        As for :func:`open_output`, and if the file is not a checkpoint.
    """
    return _open(path, ("checkpoint",), CheckpointError)


def open_snapshot_file(path: str | os.PathLike[str]) -> Reader:
    """Open a block snapshot of this package's format.

    Raises
    ------
    ProfileError
        As for :func:`open_output`, and if the file is not a snapshot.
    """
    return _open(path, ("snapshot",), ProfileError)


def _open(path: str | os.PathLike[str], kinds: tuple[str, ...], error: type[MisciError]) -> Reader:
    path = Path(path)
    if not path.is_file():
        raise error(f"{path}: no such file")
    if not is_hdf5(path):
        raise error(f"{path}: not an HDF5 file; accepted: a {' or '.join(kinds)} file of {FORMAT}")
    h5py = import_h5py()
    try:
        file = h5py.File(path, "r")
    except OSError as reason:
        raise error(f"{path}: truncated or damaged: {reason}") from None
    try:
        _check(path, file, kinds, error)
        return Reader(path, file, error)
    except MisciError:
        file.close()
        raise
    except (OSError, RuntimeError, KeyError) as reason:
        file.close()
        raise error(f"{path}: truncated or damaged: {reason}") from None


def _check(path: Path, file: Any, kinds: tuple[str, ...], error: type[MisciError]) -> None:
    found = _plain(file.attrs.get("format"))
    if found != FORMAT:
        raise error(f"{path}: its format is {found!r}; accepted: {FORMAT!r}")
    version = _plain(file.attrs.get("format_version"))
    if version != FORMAT_VERSION:
        raise error(f"{path}: its format_version is {version!r}; accepted: {FORMAT_VERSION}")
    kind = _plain(file.attrs.get("kind"))
    if kind not in kinds:
        raise error(f"{path}: its kind is {kind!r}; accepted: {' or '.join(kinds)}")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
