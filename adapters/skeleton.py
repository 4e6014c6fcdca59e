"""A reader to copy: what an adapter is made of, on the smallest format that has all of it.

The format of this example: an ``.npz`` archive of numpy with ``geometry`` and ``time``, and for block number N the
faces ``faces_N_0`` to ``faces_N_2``, ``level_N``, and the variables ``rho_N``, ``kelvin_N``, ``ye_N``, ``v_N``
(3, n2, n1, n0).

To write one of your own:

1. Copy this file into a package of yours, and register it:

       [project.entry-points."misci_transport.hosts"]
       mycode = "mypackage.mycode"

2. ``sniff`` reads as little as it can, never raises, and is true for no other format: look for names that only your
   code writes, not for the suffix alone.
3. ``open_host`` reads where blocks lie, and no cells. Faces are in the file's unit of length and in radians,
   increasing, axes in the order of `misci_transport.hosts.record`. An axis that the code does not resolve is
   `whole_axis`. A format that stores all levels marks coarse cells under fine ones (`cover`); ghosts are left out.
4. ``read_variable(block, name)`` gives one variable on one block as (n2, n1, n0), axis 0 last, as stored: ranks call it
   for their own blocks. Units are in the map, not in the numbers.
5. What is wrong with a file is one ProfileError with file, key, and what is accepted; what is wrong with the map's
   ``[file]`` is a ConfigurationError. Other exceptions of reading are turned into a ProfileError by the caller, but
   only you know what the file should have had.
6. Write a function that makes a small file (``tests/adapters/writers.py``), and call ``contract.check_all`` with it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, cover
from misci_transport.hosts.units import CGS

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

#: What ``[file] format`` of a map calls the format.
NAME = "skeleton"
#: What the format's own variables are here; a user's map goes on top of it. Without units it would be
#: FieldMap(_FIELDS), and HostFile(..., length=None), until a map says what they are worth.
_FIELDS = {
    "mass_density": FieldSource(("rho",)),
    "temperature": FieldSource(("kelvin",), "K"),
    "electron_fraction": FieldSource(("ye",)),
    "velocity": FieldSource(("v_0", "v_1", "v_2"), "km/s"),
}


def sniff(path: Path) -> bool:
    """Whether the archive has what only this format has."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"geometry.npy", "faces_0_0.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """Open an archive.

    Raises
    ------
    ProfileError
        If it is no archive, or an array is missing.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise ProfileError(f"{path}: no archive of numpy: {error}") from None

    def array(name: str) -> Any:
        if name not in names:
            raise ProfileError(f"{path}: array {name} is missing; found {', '.join(names)}")
        with np.load(path, allow_pickle=False) as file:
            return file[name]

    count = sum(name.startswith("level_") for name in names)
    places = []
    for block in range(count):
        x, y, z = (array(f"faces_{block}_{axis}").astype(np.float64) for axis in range(3))
        places.append(BlockPlace((x, y, z), int(array(f"level_{block}"))))
    variables = sorted({name.removesuffix("_0") for name in names if name.endswith("_0") and "faces" not in name})
    # one name for each component of a vector
    variables = [n for n in variables if n not in ("level", "v")] + (["v_0", "v_1", "v_2"] if "v_0" in names else [])

    def read(block: int, name: str) -> Any:
        if name.startswith("v_"):
            return array(f"v_{block}")[int(name[2:])]
        return array(f"{name}_{block}")

    return HostFile(
        path,
        NAME,
        "an example",
        str(array("geometry")),
        cover(places),
        tuple(variables),
        read,
        FieldMap(dict(_FIELDS), CGS),
        time=float(array("time")),
        notes=("what somebody who sees the numbers should know",),
    )
