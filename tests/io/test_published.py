from __future__ import annotations

import numpy as np
import pytest

from misci_transport.fields import Field
from misci_transport.io.output import write_fields
from misci_transport.io.published import compare, to_text
from misci_transport.io.read import open_output

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


def star(*, published=True):
    face = np.linspace(0.0, 4e7, 41)
    center = 0.5 * (face[1:] + face[:-1])
    ones = np.ones((2, 3))
    fields = [
        Field("mesh/face", face, ("face",), "cm", "", "global"),
        Field(
            "radiation/luminosity",
            2e45 * face[:, None, None] * ones,
            ("face", "species", "flavor"),
            "erg/s",
            "",
            "face",
        ),
        Field("radiation/rms_energy", 1e-6 * center[:, None, None] * ones, ("cell", "species", "flavor"), "MeV", ""),
        Field("radiation/flux_factor", 0.5 * np.ones((40, 2, 3)), ("cell", "species", "flavor"), "1", ""),
        Field("sources/heating_per_baryon", 1e-10 * center, ("cell",), "erg/s", ""),
        Field("sources/deleptonization_per_baryon", -1e-7 * center, ("cell",), "1/s", ""),
    ]
    if published:
        radius = np.array([1e6, 2e8])
        for name in ("luminosity", "rms_energy", "flux_factor"):
            scale = {"luminosity": 1e45, "rms_energy": 8e-7, "flux_factor": 0.0}[name]
            values = scale * np.arange(1, 5)[:, None] * radius
            fields.append(Field(f"reference/{name}", values, ("s", "r"), "", "", "global"))
        fields += [
            Field("reference/radius", radius, ("r",), "cm", "", "global"),
            Field("reference/heating_radius", radius, ("h",), "cm", "", "global"),
            Field("reference/energy_rate", 2e-10 * radius, ("h",), "", "", "global"),
            Field("reference/lepton_rate", -1e-7 * radius, ("h",), "", "", "global"),
        ]
    return fields


def test_numbers_are_compared_where_both_sides_reach(tmp_path):
    with open_output(write_fields(tmp_path / "star.h5", star())) as reader:
        rows = compare(reader)
    # 500 km is outside the mesh
    assert {row.radius for row in rows} == {1e7, 1.3e7}
    found = {(row.radius, row.quantity): row for row in rows}
    assert len(rows) == len(found) == 22
    for species, factor in (("nu_e", 1.0), ("nubar_e", 2.0), ("nu_x", 3.0)):
        row = found[1.3e7, f"luminosity {species}"]
        assert row.computed == pytest.approx(2.6e52)
        assert row.difference == pytest.approx(2.0 / factor - 1.0)
        assert found[1e7, f"rms_energy {species}"].difference == pytest.approx(1.25 / factor - 1.0)
    assert found[1e7, "heating_per_baryon"].difference == pytest.approx(-0.5)
    assert found[1e7, "deleptonization_per_baryon"].published == pytest.approx(-1.0)
    assert np.isnan(found[1e7, "flux_factor nu_e"].difference)
    line = next(text for text in to_text(rows).splitlines() if "luminosity nubar_e" in text)
    assert line.split() == ["100", "luminosity", "nubar_e", "2e+52", "2e+52", "+0.0", "%", "erg/s"]


def test_nothing_published(tmp_path):
    with open_output(write_fields(tmp_path / "star.h5", star(published=False))) as reader:
        assert compare(reader) == []
