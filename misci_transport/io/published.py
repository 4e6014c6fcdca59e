"""Results of a run beside the published ones of the same star."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .read import Reader

#: cm, where published luminosities are usually quoted: below and above the shock, and far outside.
RADII = (1.0e7, 1.3e7, 5.0e7)
#: Columns of a comparison: name, species, flavour.
_COLUMNS = (("nu_e", 0, 0), ("nubar_e", 1, 0), ("nu_x", 0, 1))
_RADIATION = (("luminosity", "erg/s"), ("rms_energy", "MeV"), ("flux_factor", "1"))
_RATES = (
    ("heating_per_baryon", "energy_rate", "erg/s/baryon"),
    ("deleptonization_per_baryon", "lepton_rate", "1/s/baryon"),
)


@dataclass(frozen=True)
class Comparison:
    """One number of a run and its published value."""

    radius: float  #: cm
    quantity: str
    unit: str
    computed: float
    published: float

    @property
    def difference(self) -> float:
        """Computed over published, minus one."""
        return self.computed / self.published - 1.0 if self.published else float("nan")


def compare(reader: Reader, radii: tuple[float, ...] = RADII) -> list[Comparison]:
    """Luminosity, rms energy, flux factor, heating and deleptonization at the radii that both sides cover.

    Luminosities are interpolated between faces, the rest between cell centres; nu_x is the mu neutrino.
    Empty if the output holds no published values.
    """
    if "reference/radius" not in reader:
        return []
    face, published_at = reader["mesh/face"], reader["reference/radius"]
    center = 0.5 * (face[1:] + face[:-1])
    reach = min(center[-1], published_at[-1])
    rows = []
    for radius in (r for r in radii if r <= reach):
        for name, unit in _RADIATION:
            values = reader[f"radiation/{name}"]
            at = face if name == "luminosity" else center
            for row, (label, species, flavor) in enumerate(_COLUMNS):
                ours = float(np.interp(radius, at, values[:, species, flavor]))
                theirs = float(np.interp(radius, published_at, reader[f"reference/{name}"][row]))
                rows.append(Comparison(radius, f"{name} {label}", unit, ours, theirs))
        if "reference/heating_radius" in reader and "sources/heating_per_baryon" in reader:
            for name, other, unit in _RATES:
                ours = float(np.interp(radius, center, reader[f"sources/{name}"]))
                theirs = float(np.interp(radius, reader["reference/heating_radius"], reader[f"reference/{other}"]))
                rows.append(Comparison(radius, name, unit, ours, theirs))
    return rows


def to_text(rows: list[Comparison]) -> str:
    """A table for people."""
    lines = [f"{'r [km]':>7}  {'quantity':28}{'computed':>12}{'published':>12}{'difference':>12}  unit"]
    for row in rows:
        lines.append(
            f"{row.radius / 1.0e5:7.0f}  {row.quantity:28}{row.computed:12.4g}{row.published:12.4g}"
            f"{100.0 * row.difference:+11.1f} %  {row.unit}"
        )
    return "\n".join(lines)
