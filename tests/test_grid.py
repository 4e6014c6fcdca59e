from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.errors import ConfigurationError, UnphysicalInputError
from misci_transport.grid import RadialMesh

widths = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30)


@given(widths, st.floats(0.0, 1e4))
def test_volumes_of_shells_add_up_to_the_sphere(steps, inner):
    face = inner + np.concatenate([[0.0], np.cumsum(steps)])
    mesh = RadialMesh(face)
    assert mesh.volume.sum() == pytest.approx((face[-1] ** 3 - face[0] ** 3) / 3.0, abs=1e-14 * face[-1] ** 3)
    assert (mesh.volume > 0.0).all()
    assert mesh.width.sum() == pytest.approx(face[-1] - face[0])


def test_plane_geometry():
    mesh = RadialMesh.uniform(-1.0, 3.0, 8, "plane")
    np.testing.assert_array_equal(mesh.volume, np.full(8, 0.5))
    np.testing.assert_array_equal(mesh.face_area, np.ones(9))
    assert mesh.full_sphere == 1.0
    assert RadialMesh.uniform(0.0, 1.0, 2).full_sphere == pytest.approx(4.0 * np.pi)


def test_thin_shells_keep_relative_accuracy():
    mesh = RadialMesh(np.array([1.0e12, 1.0e12 + 1.0]))
    assert mesh.volume[0] == pytest.approx(1.0e24 + 1.0e12, rel=1e-14)


def test_logarithmic_faces():
    mesh = RadialMesh.logarithmic(1.0e6, 1.0e9, 30)
    np.testing.assert_allclose(mesh.face[1:] / mesh.face[:-1], 10.0**0.1)


@pytest.mark.parametrize(
    ("face", "geometry", "error", "words"),
    [
        ([0.0, 1.0, 1.0], "spherical", UnphysicalInputError, "face 1 is .* face 2"),
        ([0.0, 2.0, 1.0], "plane", UnphysicalInputError, "do not increase"),
        ([-1.0, 2.0], "spherical", UnphysicalInputError, "face 0 is .*-1"),
        ([0.0, float("nan")], "spherical", UnphysicalInputError, "face 1 is not a finite"),
        ([0.0], "spherical", ConfigurationError, "2 or more"),
        ([0.0, 1.0], "round", ConfigurationError, "'round'; accepted: spherical, plane"),
    ],
)
def test_bad_meshes(face, geometry, error, words):
    with pytest.raises(error, match=words):
        RadialMesh(np.array(face), geometry)


def test_bad_counts_and_ranges():
    with pytest.raises(ConfigurationError, match="number of cells is 0"):
        RadialMesh.uniform(0.0, 1.0, 0)
    with pytest.raises(ConfigurationError, match="0 < inner < outer"):
        RadialMesh.logarithmic(0.0, 1.0, 3)
