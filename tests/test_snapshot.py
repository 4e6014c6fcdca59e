"""Matter on block meshes: cut, coarsened, checked."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ConfigurationError, ProfileError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.snapshot import BlockSnapshot, Selection, numbers_of

EVERYTHING = (slice(None), slice(None), slice(None))


def snapshot(geometry="spherical"):
    if geometry == "spherical":
        mesh = BlockMesh.from_edges(np.geomspace(1.0e5, 1.0e7, 13), np.linspace(0.0, np.pi, 5), geometry="spherical")
    else:
        mesh = BlockMesh.uniform((-1.0, 0.0, 2.0), (1.0, 3.0, 5.0), (4, 6, 2))
    random = np.random.default_rng(5)
    n = mesh.size
    fraction = random.dirichlet(np.ones(4), n).T
    return BlockSnapshot(
        mesh,
        Fluid(
            10.0 ** random.uniform(8.0, 14.0, n),
            random.uniform(1.0, 20.0, n),
            random.uniform(0.1, 0.5, n),
            random.normal(0.0, 1.0e8, (n, 3)),
            *fraction,
            random.uniform(20.0, 60.0, n),
            random.uniform(10.0, 26.0, n),
            heat_capacity=random.uniform(1.0, 2.0, n),
        ),
        title="noise",
    )


@pytest.mark.parametrize(("geometry", "factors"), [("spherical", [3, 2, 1]), ("cartesian", [2, 3, 2])])
def test_coarsening_keeps_mass_charge_momentum_and_heat(geometry, factors):
    fine = snapshot(geometry)
    coarse = Selection(fine, factors)
    assert coarse.mesh.size * np.prod(factors) == fine.mesh.size
    matter = coarse.part(EVERYTHING)
    old, new = fine.mesh.volume, coarse.mesh.volume
    before, after = old * fine.fluid.mass_density, new * matter.mass_density
    assert after.sum() == pytest.approx(before.sum(), rel=1e-13)
    for name in ("electron_fraction", "temperature", "neutron_fraction", "heavy_mass_number"):
        assert after @ getattr(matter, name) == pytest.approx(before @ getattr(fine.fluid, name), rel=1e-13)
    np.testing.assert_allclose(after @ matter.velocity, before @ fine.fluid.velocity, rtol=1e-11)
    assert new @ matter.heat_capacity == pytest.approx(old @ fine.fluid.heat_capacity, rel=1e-13)
    # a box of cells is that part of the whole
    part = (slice(0, None), slice(1, 2), slice(0, 2))
    piece = coarse.part(part)
    assert piece.equals(matter.take(numbers_of(coarse.mesh, part)))


def test_the_outer_radius_is_the_next_face_that_leaves_whole_groups():
    fine = snapshot()
    face = fine.mesh.faces[0]
    cut = Selection(fine, [2, 1, 1], float(face[5]))
    assert cut.mesh.faces[0][-1] == face[6]
    np.testing.assert_array_equal(cut.mesh.faces[0], face[:7:2])
    rows = fine.fluid.mass_density.reshape(1, 4, 12)[:, :, :6].reshape(1, 4, 3, 2)
    volume = fine.mesh.volume.reshape(1, 4, 12)[:, :, :6].reshape(1, 4, 3, 2)
    expected = (rows * volume).sum(-1) / volume.sum(-1)
    np.testing.assert_allclose(cut.part(EVERYTHING).mass_density, expected.ravel(), rtol=1e-13)
    same = Selection(fine, None, float(face[-1]))
    assert same.part(EVERYTHING).equals(fine.fluid)


@pytest.mark.parametrize(
    ("geometry", "coarsen", "outer", "words"),
    [
        ("spherical", [5, 1, 1], None, "coarsen along r is 5; accepted for 12 cells: one of its divisors"),
        ("spherical", [1, 1, 2], None, "coarsen along phi is 2; accepted for 1 cells"),
        ("spherical", [0, 1, 1], None, "three integers >= 1"),
        ("spherical", None, 2.0e7, "outer is 20000000.0 cm; accepted on this snapshot: above 146779.93, up to 1000000"),
        ("cartesian", None, 1.0, "outer is 1.0 cm on a cartesian snapshot; accepted: leave it out"),
    ],
)
def test_selections_that_do_not_fit(geometry, coarsen, outer, words):
    with pytest.raises(ConfigurationError, match=words):
        Selection(snapshot(geometry), coarsen, outer)


def test_defects_are_named():
    good = snapshot()
    good.validate()
    assert good.describe()["axes"]["r [cm]"] == {"cells": 12, "from": 1.0e5, "to": pytest.approx(1.0e7)}
    good.fluid.temperature[7] = np.nan
    with pytest.raises(UnphysicalInputError, match="temperature in cell 7 is nan"):
        good.validate()
    good.fluid.temperature[7] = 1.0
    good.fluid.neutron_fraction[9] += 0.5
    with pytest.raises(UnphysicalInputError, match=r"mass fractions in cell 9 add up to 1\.5"):
        good.validate()
    with pytest.raises(ProfileError, match="47 cells of matter on 48 cells of mesh"):
        BlockSnapshot(good.mesh, good.fluid.take(slice(1, None))).validate()
    flat = BlockSnapshot(good.mesh, Fluid(np.ones(48), np.ones(48), np.full(48, 0.4), np.zeros(48)))
    with pytest.raises(UnphysicalInputError, match=r"velocity has shape \(48,\); accepted: \(48, 3\)"):
        flat.validate()
