"""HDF5 files of fluid codes: opened once, read by parts, with errors that name file and dataset."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.hdf5 import import_h5py, is_hdf5

if TYPE_CHECKING:
    from pathlib import Path


def holds(path: Path, names: tuple[str, ...] = (), attributes: tuple[str, ...] = ()) -> bool:
    """Whether a file is HDF5 with these datasets or groups, and attributes at its root; damaged ones are not."""
    if not (path.is_file() and is_hdf5(path)):
        return False
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            return all(name in file for name in names) and all(name in file.attrs for name in attributes)
    except (OSError, RuntimeError):
        # a damaged file with the right signature: whoever opens it next says so
        return False


#: Files that are held open: sets of thousands of files would use up what a process may open.
OPEN_AT_ONCE = 64
_opened: OrderedDict[int, weakref.ref[Hdf5Source]] = OrderedDict()


class Hdf5Source:
    """A file that is opened at the first reading and stays open until many others have been.

    Raises
    ------
    ProfileError
        From every method: the file or a dataset cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    @property
    def file(self) -> Any:
        """The open file."""
        if self._file is None:
            h5py = import_h5py()
            try:
                self._file = h5py.File(self.path, "r")
            except OSError as error:
                raise ProfileError(f"{self.path}: truncated or damaged: {error}") from None
        _opened.pop(id(self), None)
        _opened[id(self)] = weakref.ref(self)
        while len(_opened) > OPEN_AT_ONCE:
            _, oldest = _opened.popitem(last=False)
            source = oldest()
            if source is not None:
                source.close()
        return self._file

    def close(self) -> None:
        """Close the file; the next reading opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def names(self) -> list[str]:
        """Names at the root."""
        return list(self.file)

    def array(self, name: str, index: Any = ()) -> Any:
        """A dataset, or a part of it, as an array in native byte order."""
        if name not in self.file:
            raise ProfileError(f"{self.path}: dataset {name} is missing; found {', '.join(self.names)}")
        try:
            values = np.asarray(self.file[name][index])
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise ProfileError(f"{self.path}: dataset {name} cannot be read: {error}") from None
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a dataset."""
        if name not in self.file:
            raise ProfileError(f"{self.path}: dataset {name} is missing; found {', '.join(self.names)}")
        return tuple(int(n) for n in self.file[name].shape)

    def attribute(self, name: str) -> Any:
        """An attribute of the root."""
        if name not in self.file.attrs:
            raise ProfileError(f"{self.path}: attribute {name} is missing; found {', '.join(self.file.attrs)}")
        return self.file.attrs[name]


def text(value: Any) -> str:
    """A string that a file holds as bytes, padded or not."""
    return value.decode("ascii", "replace").strip() if isinstance(value, bytes) else str(value).strip()
