"""Snapshots of the Boltzmann code of Nagakura, Sumiyoshi and Yamada in "Sherwood format", as SedonuGR reads them.

A text file with one row a cell, radius fastest, and 165 columns without a header. The mesh lies in other files:
``meshdata/rmesh_ascii_edge.dat`` and ``thmesh_ascii_edge.dat`` beside the folder of the snapshot (or beside the
snapshot), rows of a number and a face. theta may run from pi down, and its faces are those of Gaussian cosines, which
miss the axis by 5e-8. What is used here (the memo that comes with the files counts from 1):

=======  =======================================================================================
1, 2     radius (cm) and theta inside the cell
3 to 5   density (g/cm^3), electron fraction, temperature (MeV)
6 to 8   velocity along r, theta, phi (cm/s)
15 to 20 neutrinos per baryon and energy density (erg/cm^3) of nu_e, nubar_e, and one of the heavy-lepton species
33 to 35 chemical potentials (MeV) of electrons, protons, neutrons: with all rest masses, up to one common number
=======  =======================================================================================

The composition is not in the files. Matter does not depend on phi.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from misci_transport.block_mesh import BlockMesh
from misci_transport.constants import NEUTRON_PROTON_MASS_DIFFERENCE
from misci_transport.errors import MisciError, ProfileError
from misci_transport.fluid import Fluid
from misci_transport.hosts.own import host_of_snapshot
from misci_transport.hosts.record import HostFile, NeutrinoMoments
from misci_transport.snapshot import BlockSnapshot

from .text_columns import head, number, read_lines, table

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from misci_transport.hosts.mapping import UserMap

NAME = "sedonu"
CITATION = "H. Nagakura, K. Sumiyoshi, S. Yamada, Astrophys. J. Suppl. 214, 16 (2014); S. Richers, SedonuGR"
COLUMNS = 165

#: column of each quantity, from 0
_COLUMN = {
    "radius": 0,
    "theta": 1,
    "mass_density": 2,
    "electron_fraction": 3,
    "temperature": 4,
    "electron_chemical_potential": 32,
    "proton_chemical_potential": 33,
    "neutron_chemical_potential": 34,
}
_VELOCITY = slice(5, 8)
_NUMBER = slice(14, 17)
_ENERGY = slice(17, 20)
#: rad; faces this close to the axis are on it
_AXIS = 1.0e-6


def sniff(path: str | os.PathLike[str]) -> bool:
    """Whether the first line has as many numbers as the format asks for."""
    lines = head(Path(path), 1)
    words = lines[0].split() if lines else []
    if len(words) != COLUMNS:
        return False
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """The matter as one block (see `read`), and the code's own neutrinos summed over energies."""
    path = Path(path)
    snapshot = read(path)
    host = host_of_snapshot(snapshot, path, NAME, "Boltzmann code of Nagakura, Sumiyoshi, Yamada")

    def moments(_: int) -> NeutrinoMoments:
        energy = read_neutrinos(path)["energy_density"].T.reshape(3, 1, *snapshot.mesh.shape[::-1])
        return NeutrinoMoments(
            np.ascontiguousarray(energy),
            None,
            ("nu_e", "nubar_e", "nu_x"),
            (1, 1, 4),
            "not said",
            "energy per volume over all energies, erg/cm^3, nu_x one of four alike",
        )

    host.read_moments = moments
    return host


def read(path: str | os.PathLike[str]) -> BlockSnapshot:
    """Read the matter, in (r, theta); what it says about neutrinos is in `read_neutrinos`.

    Raises
    ------
    ProfileError
        A face file is missing, a truncated line, NaN, rows that do not fit the mesh: the message names file and line.
    UnphysicalInputError
        A value outside its physical range.
    """
    path = Path(path)
    mesh, values = _read(path)
    column = {name: values[:, index] for name, index in _COLUMN.items()}
    difference = column["neutron_chemical_potential"] - column["proton_chemical_potential"]
    snapshot = BlockSnapshot(
        mesh,
        Fluid(
            mass_density=column["mass_density"],
            temperature=column["temperature"],
            electron_fraction=column["electron_fraction"],
            velocity=values[:, _VELOCITY],
            electron_chemical_potential=column["electron_chemical_potential"],
            nucleon_potential_difference=difference - NEUTRON_PROTON_MASS_DIFFERENCE,
        ),
        title=f"Nagakura, Sumiyoshi, Yamada, {path.name}",
        citation=CITATION,
    )
    try:
        snapshot.validate()
    except MisciError as error:
        raise type(error)(f"{path}: {error}") from None
    return snapshot


def read_neutrinos(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float64]]:
    """The code's own neutrinos on the cells of `read`: energy_density (cell, species) in erg/cm^3, number_fraction.

    Species are nu_e, nubar_e, and one of the four of heavy leptons.
    """
    _, values = _read(Path(path))
    return {"energy_density": values[:, _ENERGY].copy(), "number_fraction": values[:, _NUMBER].copy()}


def _read(path: Path) -> tuple[BlockMesh, NDArray[np.float64]]:
    """The mesh, and the values (cell, column) in its order."""
    radius, theta = _faces(path, "rmesh_ascii_edge.dat"), _faces(path, "thmesh_ascii_edge.dat")
    turned = theta[0] > theta[-1]
    if turned:
        theta = theta[::-1].copy()
    for end, pole in ((0, 0.0), (-1, np.pi)):
        if abs(theta[end] - pole) < _AXIS:
            theta[end] = pole
    try:
        mesh = BlockMesh.from_edges(radius, theta, geometry="spherical")
    except MisciError as error:
        raise ProfileError(f"{path}: its meshdata: {error}") from None
    names = [str(index + 1) for index in range(COLUMNS)]
    rows = table(path, read_lines(path), 1, names)
    values = np.stack([rows[name] for name in names], axis=1)
    if values.shape[0] != mesh.size:
        raise ProfileError(f"{path}: {values.shape[0]} rows; its meshdata have {mesh.size} cells")
    if turned:
        n0, n1, _ = mesh.shape
        values = np.ascontiguousarray(values.reshape(n1, n0, COLUMNS)[::-1].reshape(-1, COLUMNS))
    centers = mesh.centers
    half = [0.5 * np.diff(face) for face in mesh.faces[:2]]
    n0, n1, _ = mesh.shape
    for name, index, width in (
        ("radius", 0, np.tile(half[0], n1)),
        ("theta", 1, np.repeat(half[1], n0)),
    ):
        off = np.abs(values[:, _COLUMN[name]] - centers[:, index]) > width * (1.0 + 1.0e-6)
        if off.any():
            cell = int(np.argmax(off))
            raise ProfileError(
                f"{path}: {name} {float(values[cell, _COLUMN[name]])!r} is outside of its cell {cell}, "
                f"{centers[cell, index] - width[cell]:.8g} to {centers[cell, index] + width[cell]:.8g}: "
                "the meshdata belong to another snapshot"
            )
    return mesh, values


def _faces(path: Path, name: str) -> NDArray[np.float64]:
    """Faces of one axis from the rows (number, face) of a file of the mesh."""
    places = [path.parent / "meshdata" / name, path.parent.parent / "meshdata" / name, path.parent / name]
    for place in places:
        if place.is_file():
            lines = read_lines(place)
            faces = []
            for count, line in enumerate(lines, start=1):
                words = line.split()
                if words:
                    if len(words) != 2:
                        raise ProfileError(f"{place}: line {count}: {len(words)} columns; accepted: 2")
                    faces.append(number(place, count, "face", words[1]))
            if len(faces) < 2:
                raise ProfileError(f"{place}: {len(faces)} faces; accepted: 2 or more")
            return np.array(faces)
    raise ProfileError(f"{path}: its mesh is missing; looked for {', '.join(str(place) for place in places)}")
