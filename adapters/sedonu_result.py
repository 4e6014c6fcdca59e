"""Results of SedonuGR (HDF5): a flat file on radial zones, with units in the datasets' names.

``distribution(erg|ccm,lab)`` (zone, species, group, 4) has energy, flux over c, pressure along r, and the third moment,
integrated over each group; species are nu_e, nubar_e and the sum of the other four. Edges of groups are frequencies.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from misci_transport.constants import ERG_PER_MEV
from misci_transport.errors import ProfileError
from misci_transport.hosts.mapping import FieldMap, FieldSource
from misci_transport.hosts.record import BlockPlace, HostFile, NeutrinoMoments, whole_axis
from misci_transport.hosts.units import CGS

from .hdf5_source import Hdf5Source, holds

if TYPE_CHECKING:
    import os

    from misci_transport.hosts.mapping import UserMap

NAME = "sedonu_result"
CITATION = "S. Richers, D. Kasen, E. O'Connor, R. Fernandez, C. Ott, Astrophys. J. 813, 38 (2015)"
PLANCK = 6.62607015e-27  #: erg s, exactly
_RADIUS, _DISTRIBUTION, _FREQUENCY = "r(cm)", "distribution(erg|ccm,lab)", "distribution_frequency_grid(Hz,lab)"
_ABSORBED, _EMITTED = "H_abs(erg|s|g,com)", "C_emit(erg|s|g,com)"
_HEATING = f"{_ABSORBED} - {_EMITTED}"
_FIELDS = {
    "mass_density": FieldSource(("rho(g|ccm,com)",)),
    "temperature": FieldSource(("T_gas(MeV,com)",), "MeV"),
    "electron_fraction": FieldSource(("Ye",)),
    "neutrino_heating": FieldSource((_HEATING,), "erg/g/s"),
}


def sniff(path: Path) -> bool:
    """Whether the file has the datasets of a result."""
    return holds(Path(path), (_RADIUS, "T_gas(MeV,com)", "Ye"))


def open_host(path: str | os.PathLike[str], _user: UserMap | None = None) -> HostFile:
    """Open a result.

    Raises
    ------
    ProfileError
        If a dataset is missing, damaged or of another shape.
    """
    path = Path(path)
    source = Hdf5Source(path)
    faces = source.array(_RADIUS).astype(np.float64)
    cells = faces.size - 1
    held = [name for name in source.names if source.shape(name) == (cells,)]
    if {_ABSORBED, _EMITTED} <= set(held):
        held.append(_HEATING)

    def read(_: int, name: str) -> Any:
        if name == _HEATING:
            values = source.array(_ABSORBED).astype(np.float64) - source.array(_EMITTED)
        else:
            values = source.array(name)
        return values.reshape(1, 1, -1)

    def moments(_: int) -> NeutrinoMoments:
        values = source.array(_DISTRIBUTION).astype(np.float64)
        if values.ndim != 4 or values.shape[0] != cells or values.shape[3] < 2:
            raise ProfileError(
                f"{path}: {_DISTRIBUTION} has shape {values.shape}; accepted: ({cells}, species, groups, moments)"
            )
        species, groups = values.shape[1:3]
        energy, along = (np.moveaxis(values[..., n], 0, -1)[:, :, None, None] for n in (0, 1))
        flux = np.zeros((species, groups, 3, 1, 1, cells))
        flux[:, :, 0] = along
        known = species == 3
        return NeutrinoMoments(
            np.ascontiguousarray(energy),
            flux,
            ("nu_e", "nubar_e", "nu_x") if known else tuple(f"species {n}" for n in range(species)),
            (1, 1, 4) if known else (1,) * species,
            "laboratory",
            "energy per volume and group, erg/cm^3, nu_x summed over four species; flux over c",
            source.array(_FREQUENCY) * (PLANCK / ERG_PER_MEV),
        )

    return HostFile(
        path,
        NAME,
        "SedonuGR",
        "spherical",
        [BlockPlace((faces, whole_axis("spherical", 1), whole_axis("spherical", 2)))],
        tuple(held),
        read,
        FieldMap(dict(_FIELDS), CGS),
        fixed_length=True,
        resolved=(0,),
        read_moments=moments if _DISTRIBUTION in source.names else None,
        citation=CITATION,
    )
