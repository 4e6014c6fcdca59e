"""Pictures of block outputs, of fields that no transport made."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest

from misci_transport.block_mesh import AXES, BlockMesh
from misci_transport.fields import Field
from misci_transport.io.output import write_fields
from misci_transport.io.read import open_output
from misci_transport.io.xdmf import write_xdmf
from misci_transport.plotting import cuts
from misci_transport.plotting.gallery import plot_output

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


def mesh_of(kind):
    if kind == "box":
        return BlockMesh.uniform((-2.0e7, -3.0e7, -1.0e7), (2.0e7, 1.0e7, 1.0e7), (4, 5, 3))
    if kind == "sheet":
        return BlockMesh.uniform((0.0, 0.0, 0.0), (1.0e6, 1.0, 2.0e6), (3, 1, 4))
    radius = np.geomspace(1.0e6, 9.0e7, 8)
    cells = {"shells": (1, 1), "axisymmetric": (4, 1), "whole": (5, 6)}[kind]
    return BlockMesh.from_edges(
        radius, np.linspace(0.0, np.pi, cells[0] + 1), np.linspace(0.0, 2.0 * np.pi, cells[1] + 1), geometry="spherical"
    )


def positions(mesh):
    """Cartesian positions of the cells, and the basis (cell, axis, 3) of the mesh there."""
    if mesh.geometry == "cartesian":
        return mesh.centers, np.broadcast_to(np.eye(3), (mesh.size, 3, 3))
    r, theta, phi = mesh.centers.T
    zero = np.zeros_like(r)
    out = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    down = np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), -np.sin(theta)], axis=1)
    along = np.stack([-np.sin(phi), np.cos(phi), zero], axis=1)
    return r[:, None] * out, np.stack([out, down, along], axis=1)


@pytest.fixture
def output(tmp_path):
    """Write an output of a mesh whose flux is the constant vector (1, 2, 3) in space."""

    def write(kind):
        mesh = mesh_of(kind)
        names, cells = AXES[mesh.geometry], mesh.shape[::-1]
        x, basis = positions(mesh)
        r = np.linalg.norm(x, axis=1)
        constant = basis @ np.array([1.0, 2.0, 3.0])
        flux = np.broadcast_to(constant[:, None, None], (mesh.size, 2, 3, 3))
        values = {
            "fluid/mass_density": 1.0e10 * np.exp(-r / 1.0e7),
            "radiation/energy_density": np.broadcast_to((1.0e30 / (1.0 + r))[:, None, None], (mesh.size, 2, 3)),
            "radiation/energy_flux": flux,
            "sources/energy": 1.0e28 * np.sin(r / 1.0e7),
        }
        more = {
            "radiation/energy_density": ("species", "flavor"),
            "radiation/energy_flux": ("species", "flavor", "axis"),
        }
        fields = [
            Field(f"mesh/{name}_face", face, (f"{name}_face",), "cm", "faces", "global")
            for name, face in zip(names, mesh.faces, strict=True)
        ]
        fields += [
            Field(name, v.reshape(*cells, *v.shape[1:]), (*names[::-1], *more.get(name, ())), "1", name)
            for name, v in values.items()
        ]
        return write_fields(tmp_path / f"{kind}.h5", fields, {"title": kind, "time": 0.001})

    return write


@pytest.mark.parametrize(
    ("kind", "pictures"),
    [
        ("sheet", ["xz"]),
        ("shells", ["line"]),
        ("axisymmetric", ["meridian", "meridian_inner"]),
    ],
)
def test_every_kind_of_mesh_has_its_pictures(output, tmp_path, kind, pictures):
    made = plot_output(output(kind), tmp_path / "pictures")
    assert [path.name for path in made] == [f"{kind}_{name}.png" for name in pictures]
    for path in made:
        image = matplotlib.image.imread(path)
        assert image[..., :3].std() > 0.05


@pytest.mark.parametrize("kind", ["box", "whole"])
def test_arrows_and_places_do_not_depend_on_the_coordinates(output, kind):
    with open_output(output(kind)) as reader:
        names, faces = cuts._mesh(reader)
        density, flux = reader["fluid/mass_density"], reader["radiation/energy_flux"][..., 0, 0, :]
        planes = cuts._planes(names, faces, [0, 1, 2])
        for plane, expected in zip(planes, ((0, 2), (0, 1)), strict=True):
            wanted = np.array([1.0, 2.0, 3.0])[list(expected)]
            for patch in plane.patches:
                along = patch.along(patch.values(flux))
                if kind == "whole" and expected == (0, 2):
                    # the first meridian is half a cell off phi = 0
                    wanted = np.array([np.cos(np.pi / 6) + 2.0 * np.sin(np.pi / 6), 3.0])
                np.testing.assert_allclose(along, np.broadcast_to(wanted[:, None, None], along.shape), rtol=1e-12)
                assert patch.values(density).shape == patch.centers[0].shape
                if kind == "whole" and expected == (0, 2):
                    r = np.hypot(*patch.centers)
                    np.testing.assert_allclose(patch.values(density), 1.0e10 * np.exp(-r / 1.0e7), rtol=1e-12)


def test_xdmf_of_a_box(output):
    with open_output(output("box")) as reader:
        text = write_xdmf(reader).read_text()
    assert '<Topology TopologyType="3DRectMesh" Dimensions="4 6 5"/>' in text
    assert text.count('Dimensions="3 5 4" NumberType="Float"') == 2
    assert 'Name="radiation/energy_flux nubar_mu_z [1]"' in text
    assert '<DataItem Dimensions="3 6" Format="XML">0 0 0 1 1 2 1 1 1 1 1 1 3 5 4 1 1 1</DataItem>' in text
