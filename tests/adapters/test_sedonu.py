"""Snapshots in Sherwood format: a small one in the same layout, and the genuine one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from misci_adapters import sedonu

from misci_transport.constants import NEUTRON_PROTON_MASS_DIFFERENCE, SOLAR_MASS
from misci_transport.errors import ProfileError, UnphysicalInputError
from misci_transport.io.snapshots import open_snapshot

RADII = np.array([0.0, 1.0e6, 3.0e6, 6.0e6])
FOLDER = "sedonu/NSY"


def rows(thetas):
    """One row a cell, radius fastest, in the order of ``thetas``."""
    table = []
    for j, theta in enumerate(thetas):
        for i in range(3):
            row = np.zeros(sedonu.COLUMNS)
            row[0], row[1] = 0.6 * RADII[i + 1] + 0.4 * RADII[i], theta
            row[2:5] = 1.0e12 / (1 + i), 0.1 + 0.1 * j, 8.0 - i
            row[5:8] = -1.0e7 * i, 2.0e6 * (1 + j), 3.0e6
            row[14:17] = 0.01, 0.02, 0.03
            row[17:20] = 1.0e30 * (1 + i), 2.0e30, 3.0e30
            row[32:35] = 40.0 - i, 900.0, 925.0 + j
            table.append(row)
    return np.array(table)


def write(folder, table=None, descending=True, turned_edges=(np.pi, 1.3, 5.2e-8)):
    """A snapshot as the code leaves it: theta from pi down, the last face a round-off off the axis."""
    edges = list(turned_edges) if descending else list(turned_edges)[::-1]
    thetas = [0.5 * (a + b) for a, b in pairwise(edges)]
    (folder / "data").mkdir()
    (folder / "meshdata").mkdir()
    for name, faces in (("rmesh", RADII), ("thmesh", edges)):
        text = "".join(f" {n} {face!r}\n" for n, face in enumerate(float(face) for face in faces))
        (folder / "meshdata" / f"{name}_ascii_edge.dat").write_text(text)
    path = folder / "data" / "dou.001"
    table = rows(thetas) if table is None else table
    path.write_text("\n".join(" ".join(f"{float(v):.17g}" for v in row) for row in table) + "\n")
    return path


@pytest.mark.parametrize("descending", [True, False])
def test_written_snapshot(tmp_path, descending):
    path = write(tmp_path, descending=descending)
    assert sedonu.sniff(path)
    snapshot = open_snapshot(path)
    mesh, fluid = snapshot.mesh, snapshot.fluid
    assert (mesh.geometry, mesh.shape) == ("spherical", (3, 2, 1))
    np.testing.assert_array_equal(mesh.faces[1], [0.0, 1.3, np.pi])
    np.testing.assert_array_equal(mesh.faces[0], RADII)
    # the file's first rows are those next to pi if it goes down
    first = 0.2 if descending else 0.1
    np.testing.assert_allclose(fluid.electron_fraction, [first] * 3 + [0.3 - first] * 3)
    np.testing.assert_allclose(fluid.mass_density.reshape(2, 3), [[1.0e12, 5.0e11, 1.0e12 / 3]] * 2)
    np.testing.assert_allclose(
        fluid.velocity[:3], [[-1.0e7 * i, 4.0e6 if descending else 2.0e6, 3.0e6] for i in range(3)]
    )
    np.testing.assert_allclose(fluid.electron_chemical_potential[:3], [40.0, 39.0, 38.0])
    muhat = (26.0 if descending else 25.0) - NEUTRON_PROTON_MASS_DIFFERENCE
    np.testing.assert_allclose(fluid.nucleon_potential_difference[:3], muhat)
    neutrinos = sedonu.read_neutrinos(path)
    np.testing.assert_allclose(neutrinos["energy_density"][:3, 0], [1.0e30, 2.0e30, 3.0e30])
    np.testing.assert_allclose(neutrinos["number_fraction"], [[0.01, 0.02, 0.03]] * 6)


def test_defects_are_named(tmp_path):
    for index, (change, error, words) in enumerate(
        (
            (lambda t: t[:-1], ProfileError, "5 rows; its meshdata have 6 cells"),
            (lambda t: with_value(t, 2, 0, 9.0e6), ProfileError, r"radius 9000000.0 is outside of its cell 5"),
            (lambda t: with_value(t, 1, 1, 0.1), ProfileError, r"theta 0.1 is outside of its cell 4"),
            (lambda t: with_value(t, 3, 4, np.nan), ProfileError, "line 4: column '5' is 'nan'"),
            (lambda t: with_value(t, 3, 4, -1.0), UnphysicalInputError, "temperature in cell 0 is -1.0"),
        )
    ):
        folder = tmp_path / str(index)
        folder.mkdir()
        path = write(folder, change(rows([0.5 * (np.pi + 1.3), 0.65])))
        with pytest.raises(error, match=words) as caught:
            sedonu.read(path)
        assert str(path) in str(caught.value)


def with_value(table, row, column, value):
    table[row, column] = value
    return table


def test_a_snapshot_without_its_mesh(tmp_path):
    path = write(tmp_path)
    (tmp_path / "meshdata" / "thmesh_ascii_edge.dat").unlink()
    with pytest.raises(ProfileError, match=r"its mesh is missing; looked for .*thmesh_ascii_edge.dat"):
        sedonu.read(path)
    assert not sedonu.sniff(tmp_path / "meshdata" / "rmesh_ascii_edge.dat")


def test_genuine_snapshot(sample_data):
    path = sample_data / FOLDER / "data_Sherwood_format" / "douSherw.00120"
    if not path.is_file():
        pytest.skip(f"no sample data at {path}")
    snapshot = open_snapshot(path)
    assert snapshot.mesh.shape == (384, 2, 1)
    assert snapshot.total_mass() / SOLAR_MASS == pytest.approx(1.45777, rel=1e-4)
    # both hemispheres hold the same matter
    density = snapshot.fluid.mass_density.reshape(2, 384)
    np.testing.assert_array_equal(density[0], density[1])
    # free nucleons at 83 km: muhat = T ln(X_n/X_p)
    fluid = snapshot.fluid.take(np.array([200]))
    ideal = fluid.temperature * np.log((1.0 - fluid.electron_fraction) / fluid.electron_fraction)
    np.testing.assert_allclose(fluid.nucleon_potential_difference, ideal, rtol=5e-3)
