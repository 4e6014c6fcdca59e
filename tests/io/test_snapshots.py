"""Files of block snapshots."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ProfileError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.inspect_file import describe_file, to_text
from misci_transport.io.snapshots import SnapshotFile, open_snapshot, write_snapshot
from misci_transport.snapshot import BlockSnapshot, numbers_of

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


@pytest.fixture
def snapshot():
    mesh = BlockMesh.from_edges([0.0, 1.0e6, 3.0e6, 7.0e6], np.linspace(0.0, np.pi, 3), geometry="spherical")
    n = mesh.size
    velocity = np.arange(3.0 * n).reshape(n, 3)
    fluid = Fluid(10.0 ** np.linspace(12.0, 9.0, n), np.linspace(9.0, 2.0, n), np.linspace(0.1, 0.4, n), velocity)
    fluid.nucleon_potential_difference = np.linspace(30.0, 1.0, n)
    return BlockSnapshot(mesh, fluid, time=0.05, title="six cells", citation="nobody")


@pytest.fixture
def path(tmp_path, snapshot):
    return write_snapshot(tmp_path / "six.h5", snapshot)


def test_what_is_written_is_read(path, snapshot):
    read = open_snapshot(path)
    assert isinstance(read, SnapshotFile)
    whole = read.whole()
    assert (whole.title, whole.citation, whole.time) == ("six cells", "nobody", 0.05)
    assert whole.fluid.equals(snapshot.fluid)
    for mine, theirs in zip(read.mesh.faces, snapshot.mesh.faces, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    part = (slice(None), slice(1, 2), slice(1, 3))
    assert read.part(part).equals(snapshot.fluid.take(numbers_of(snapshot.mesh, part)))
    text = to_text(describe_file(path))
    assert "format: misci_transport snapshot" in text
    assert "nucleon_potential_difference [MeV]" in text


def test_units_of_other_codes_and_matter_at_rest(path, snapshot):
    with h5py.File(path, "a") as file:
        file["fluid/temperature"][...] *= 1.160451812e10
        file["fluid/temperature"].attrs["unit"] = "K"
        file["mesh/r_face"][...] *= 1.0e-5
        file["mesh/r_face"].attrs["unit"] = "km"
        del file["fluid/velocity"]
    whole = SnapshotFile(path).whole()
    np.testing.assert_allclose(whole.fluid.temperature, snapshot.fluid.temperature, rtol=1e-14)
    np.testing.assert_allclose(whole.mesh.faces[0], snapshot.mesh.faces[0], rtol=1e-14)
    assert not whole.fluid.velocity.any()


def unit(file):
    file["fluid/mass_density"].attrs["unit"] = "kg/m^3"


def missing(file):
    del file["fluid/electron_fraction"]


def unknown(file):
    file["fluid/entropy"] = np.ones(6)


def shape(file):
    values = file["fluid/temperature"][...]
    del file["fluid/temperature"]
    file["fluid/temperature"] = values.ravel()
    file["fluid/temperature"].attrs["unit"] = "MeV"


def geometry(file):
    file.attrs["geometry"] = "cylindrical"


def faces(file):
    file["mesh/r_face"][1] = 4.0e6


def no_faces(file):
    del file["mesh/theta_face"]


def kind(file):
    file.attrs["kind"] = "output"


def version(file):
    file.attrs["format_version"] = 7


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (unit, r"unit of fluid/mass_density is 'kg/m\^3'; accepted in its attribute unit: g/cm\^3"),
        (missing, "field fluid/electron_fraction is missing; found"),
        (unknown, "field fluid/entropy is not known; accepted: mass_density"),
        (shape, r"fluid/temperature has shape \(6,\); accepted on this mesh: \(1, 2, 3\), \(phi, theta, r\)"),
        (geometry, "attribute geometry is 'cylindrical'; accepted: cartesian or spherical"),
        (faces, "mesh faces of axis r do not increase: face 1 is 4000000.0"),
        (no_faces, "field 'mesh/theta_face' is missing"),
        (kind, "its kind is 'output'; accepted: snapshot"),
        (version, "format_version is 7; accepted: 1"),
    ],
)
def test_files_with_a_defect(path, spoil, words):
    with h5py.File(path, "a") as file:
        spoil(file)
    with pytest.raises(ProfileError, match=words) as caught:
        SnapshotFile(path)
    assert str(path) in str(caught.value)


def test_a_bad_value_is_found_by_whoever_reads_its_cell(path):
    with h5py.File(path, "a") as file:
        file["fluid/temperature"][0, 1, 2] = -3.0
    read = SnapshotFile(path)
    assert read.part((slice(0, 1), slice(0, 1), slice(0, 3))).size == 3
    with pytest.raises(UnphysicalInputError, match=r"six.h5: fluid field temperature in cell 5 is -3.0; accepted"):
        read.part((slice(0, 1), slice(1, 2), slice(1, 3)))


def test_files_that_are_no_snapshots(tmp_path):
    with pytest.raises(ProfileError, match="no such file"):
        open_snapshot(tmp_path / "none.h5")
    text = tmp_path / "text.txt"
    text.write_text("hello\n")
    with pytest.raises(ProfileError, match="format not recognized; accepted: snapshot of misci_transport, amrex"):
        open_snapshot(text)
