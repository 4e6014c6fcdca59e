"""The object that a host holds, on block meshes."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.errors import ConfigurationError, UnphysicalInputError
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.io.checkpoint import restore, write_checkpoint
from misci_transport.io.output import write_fields
from misci_transport.io.read import open_output
from misci_transport.options import TransportOptions
from misci_transport.physics.block_boundary import BlockBoundary
from misci_transport.physics.boundary import Boundary
from misci_transport.plugin import Transport

UNCOUPLED = {"electron_scattering": False, "pair": False, "bremsstrahlung": False}


def make(geometry="cartesian", flavors=2, collisions=UNCOUPLED, groups=6, **options):
    if geometry == "cartesian":
        mesh = BlockMesh.uniform((-1e7,) * 3, (1e7,) * 3, (4, 5, 3), "cartesian")
        angles = {"kind": "lebedev", "degree": 5}
    else:
        mesh = BlockMesh.uniform((0.0, 0.0, 0.0), (1e7, np.pi, 2 * np.pi), (6, 4, 4), "spherical")
        angles = {"kind": "product", "levels": 4, "azimuths": 4}
    given = {"angles": angles, "flavors": {"number": flavors}, "collisions": collisions, "energy": {"groups": groups}}
    transport = Transport(mesh, TransportOptions.model_validate({**given, **options}))
    c = mesh.centers[transport.decomposition.cells]
    r = np.linalg.norm(c - 2e6, axis=1) if geometry == "cartesian" else c[:, 0] * (1.0 + 0.2 * np.cos(c[:, 1]))
    one, fraction = np.ones_like(r), np.full_like(r, 0.3)
    composition = {
        "neutron_fraction": 1.0 - fraction, "proton_fraction": fraction, "alpha_fraction": 0 * one,
        "heavy_fraction": 0 * one, "heavy_mass_number": one, "heavy_charge_number": one,
    }  # fmt: skip
    density, temperature = 1e12 * np.exp(-r / 1e6) + 1e6, 10.0 * np.exp(-r / 6e6)
    return transport, Fluid(density, temperature, fraction, np.full((r.size, 3), 1e8), **composition)


def energy_held(transport):
    content = transport.exchange.content(transport.state.owned.sum(axis=4))["energy"]
    return content @ transport.phase_space.mesh.volume[transport.decomposition.cells]


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
@pytest.mark.parametrize("flavors", [2, 3])
def test_the_ledger_closes_and_every_cell_is_aligned(geometry, flavors):
    transport, fluid = make(geometry, flavors)
    dt = transport.max_dt()
    for _ in range(3):
        sources = transport.step(fluid, dt)
    ledger = transport.ledger()
    balance = ledger["collisions energy"] + ledger["inflow energy"] + ledger["corrections energy"]
    assert energy_held(transport) == pytest.approx(balance, rel=1e-13)
    assert ledger["inflow energy"] < 0.0
    summary = transport.alignment_summary()
    assert summary["failed"] == 0
    assert summary["largest residual"] <= 1e-12
    assert summary["locked"] > 0
    assert sources.momentum.shape == (fluid.size, 3)


def test_energy_coupled_collisions_conserve_lepton_number():
    transport, fluid = make(collisions={}, flavors=3)
    transport.step(fluid, transport.max_dt())
    with_coupling = transport.ledger()
    assert with_coupling["count divided collision steps"] == 0
    # pairs and scattering make as many neutrinos as antineutrinos of each flavour, only charged currents do not; to the
    # tolerance of the iteration, 1e-13 of an occupation
    plain, fluid = make(collisions={"charged_current": False}, flavors=3)
    plain.step(fluid, plain.max_dt())
    ledger = plain.ledger()
    net = ledger["collisions neutrinos"] - ledger["collisions antineutrinos"]
    assert abs(net) <= 1e-10 * ledger["collisions neutrinos"]


def test_mirror_images_stay_mirror_images():
    """A star in the middle of a box: reversing all three axes maps the field onto itself, bit for bit or nearly."""
    mesh = BlockMesh.uniform((-1e7,) * 3, (1e7,) * 3, (4, 4, 4), "cartesian")
    options = TransportOptions.model_validate(
        {
            "angles": {"kind": "lebedev", "degree": 5},
            "flavors": {"number": 2},
            "collisions": UNCOUPLED,
            "energy": {"groups": 4},
        }
    )
    transport = Transport(mesh, options)
    r = np.linalg.norm(mesh.centers, axis=1)
    fluid = Fluid(1e12 * np.exp(-r / 2e6) + 1e6, 8.0 * np.exp(-r / 6e6), np.full(64, 0.3), np.zeros((64, 3)))
    for _ in range(3):
        transport.step(fluid, transport.max_dt())
    populations = transport.state.owned
    angles = transport.phase_space.angles
    opposite = angles.mirror[0][angles.mirror[1]][angles.mirror[2]]
    np.testing.assert_allclose(populations, populations[::-1][:, opposite], rtol=1e-9, atol=1e-14)


def test_output_and_restart(tmp_path):
    transport, fluid = make()
    dt = transport.max_dt()
    transport.step(fluid, dt)
    write_fields(tmp_path / "out.h5", transport.fields(), {}, transport.decomposition)
    with open_output(tmp_path / "out.h5") as reader:
        assert reader.shape("fluid/mass_density") == (3, 5, 4)
        assert reader.describe("radiation/energy_flux")["axes"].split()[:3] == ["z", "y", "x"]
        np.testing.assert_array_equal(reader.array("fluid/mass_density").ravel(), fluid.mass_density)
        assert reader.shape("mesh/y_face") == (6,)
    write_checkpoint(tmp_path / "check.h5", transport, {})
    again, _ = make()
    restore(tmp_path / "check.h5", again)
    transport.step(fluid, dt)
    again.step(fluid, dt)
    np.testing.assert_array_equal(again.state.owned, transport.state.owned)
    assert again.ledger() == transport.ledger()


def test_cells_without_solution_go_to_their_largest_entropy_and_the_first_law_closes():
    """Policy "equilibrate" on a block; one Newton step is not enough for some cells."""
    sections = {"alignment": {"on_failure": "equilibrate", "max_iterations": 1}, "ledger": {"thermodynamics": True}}
    transport, fluid = make("cartesian", 2, groups=3, **sections)
    for _ in range(3):
        transport.step(fluid, transport.max_dt())
    summary = transport.alignment_summary()
    assert summary["failed"] == 0
    assert summary["equilibrated"] > 0
    fields = {field.name: field.values for field in transport.fields()}
    assert fields["alignment/equilibrated"].sum() == summary["equilibrated"]
    moved = fields["alignment/equilibrated"] > 0
    assert (fields["alignment/equilibration_entropy"][moved] > 0.0).all()
    both = fields["alignment/equilibration_heat"] + fields["alignment/equilibration_populations"]
    assert (np.abs(both) <= 1e-10 * fields["thermodynamics/scale"]).all()
    assert (np.abs(fields["thermodynamics/imbalance"]) <= 1e-12 * fields["thermodynamics/scale"]).all()
    assert (np.abs(fields["thermodynamics/kinematic"]) <= 1e-12 * fields["thermodynamics/scale"]).all()
    assert not fields["thermodynamics/kinematic"][~moved].any()
    # nothing is lost: energy and numbers balance as ever
    ledger = transport.ledger()
    balance = ledger["collisions energy"] + ledger["inflow energy"] + ledger["corrections energy"]
    assert energy_held(transport) == pytest.approx(balance, rel=1e-12)


def test_what_is_refused_on_blocks():
    mesh = BlockMesh.uniform((0.0,) * 3, (1.0,) * 3, (2, 2, 2), "cartesian")
    product = {"angles": {"kind": "product"}}
    with pytest.raises(ConfigurationError, match=r"angles\.kind is 'hybrid'; accepted on a cartesian block mesh"):
        Transport(mesh)
    with pytest.raises(ConfigurationError, match=r"angles\.kind is 'product'; accepted on a radial mesh"):
        Transport(RadialMesh.uniform(0.0, 1.0, 4), TransportOptions.model_validate(product))
    with pytest.raises(ConfigurationError, match=r"alignment\.charges on a block mesh"):
        Transport(mesh, TransportOptions.model_validate({**product, "alignment": {"charges": "mass"}}))
    with pytest.raises(ConfigurationError, match=r"advection\.scheme on a block mesh"):
        Transport(mesh, TransportOptions.model_validate({**product, "advection": {"scheme": "matrix"}}))
    with pytest.raises(ConfigurationError, match="boundary is Boundary"):
        Transport(mesh, TransportOptions.model_validate(product), boundary=Boundary())
    with pytest.raises(ConfigurationError, match="boundary is BlockBoundary"):
        Transport(RadialMesh.uniform(0.0, 1.0, 4), boundary=BlockBoundary())
    transport, fluid = make()
    fluid.velocity = fluid.velocity[:, 0].copy()
    with pytest.raises(UnphysicalInputError, match="fluid velocity has shape"):
        transport.step(fluid, transport.max_dt())


@pytest.mark.parametrize("geometry", ["cartesian", "spherical"])
@pytest.mark.parametrize("flavors", [2, 3])
def test_validity_is_measured_and_said(geometry, flavors, tmp_path):
    sections = {"validity": {"every": 2, "stability_cells": 1}, "alignment": {"on_failure": "hold"}}
    transport, fluid = make(geometry, flavors, groups=3, **sections)
    dt = transport.max_dt()
    transport.step(fluid, dt)
    assert transport.validity_summary() == ({}, [])
    for _ in range(5):
        transport.step(fluid, dt)
    last = transport.validity.last
    assert np.isfinite(last.gamma_time).any()
    assert np.isnan(last.growth).all()
    made = transport.fields()
    fields = {field.name: field.values for field in made}
    last, size = transport.validity.last, fluid.size
    np.testing.assert_array_equal(fields["validity/depth"], last.depth)
    assert fields["validity/growth"].shape == fields["validity/e_folds"].shape == (size, 1)
    assert (fields["validity/growth"] >= -1.0).all()
    assert fields["validity/growth"].max() > 0.0
    assert 0.0 < fields["validity/nonadiabaticity"].max() <= 1e300
    assert ((fields["validity/fraction"] >= 0.0) & (fields["validity/fraction"] <= 1.0)).all()
    assert "validity/flag_axially_unstable" not in fields
    numbers, lines = transport.validity_summary()
    assert numbers["cells angular crossing"] == fields["validity/flag_angular_crossing"].sum() > 0
    assert numbers["smallest gamma"] == min(last.gamma.min(), last.gamma_time.min())
    crossing = "the electron-lepton number changes sign with angle (fast flavour instability)"
    place = "x = " if geometry == "cartesian" else "r = "
    (line,) = (line for line in lines if line.startswith(crossing))
    assert f": {numbers['cells angular crossing']:.0f} of {size} cells, {place}" in line
    shares = [line for line in lines if line.endswith("% of their phase space")]
    assert len(shares) == sum(name.startswith("share ") for name in numbers)
    if geometry == "cartesian":
        # thin matter around a small hot ball: a coarse box does not follow neutrinos through it
        assert fields["validity/flag_not_adiabatic"].any()
        assert shares
    write_fields(tmp_path / "out.h5", made, {}, transport.decomposition)
    with open_output(tmp_path / "out.h5") as reader:
        assert reader.shape("validity/flag_unstable") == transport.phase_space.mesh.shape[::-1]


def test_nothing_is_measured_where_it_is_not_asked_for():
    transport, fluid = make(validity={"every": 0})
    transport.step(fluid, transport.max_dt())
    assert transport.validity is None
    assert not any(field.name.startswith("validity/") for field in transport.fields())


@pytest.mark.parametrize("flavors", [2, 3])
def test_beginning_from_flavours(flavors):
    """Occupations come back where flavours are locked; where they mix, traces do, and every cell is aligned."""
    transport, fluid = make("cartesian", flavors)
    shape = (transport.decomposition.size, *transport.phase_space.cell_shape)
    given = np.random.default_rng(5).uniform(0.010, 0.011, shape)
    given[..., 1] = given[..., 2]
    given[..., 0] *= 3.0
    given[:, :, 1, :, 0] *= 0.5
    transport.fill(fluid, given)
    mixed = transport._frame.mixed >= 0
    back = transport.flavor_occupations()
    np.testing.assert_allclose(back[~mixed], given[~mixed], rtol=1e-13)
    np.testing.assert_allclose(back.sum(axis=4), given.sum(axis=4), rtol=1e-12)
    assert (~mixed).any()
    assert transport.alignment_summary()["failed"] == 0
    space = transport.phase_space
    net = np.einsum("m,g,cmgf->cf", space.angles.weight, space.number_weight, given[:, :, 0] - given[:, :, 1])
    np.testing.assert_allclose(transport.state.moments[~mixed, 0, :flavors], net[~mixed, :flavors], rtol=1e-5)
    # a step goes on from there
    transport.step(fluid, transport.max_dt())


def test_occupations_to_begin_from_are_checked():
    transport, fluid = make()
    given = np.zeros((transport.decomposition.size, *transport.phase_space.cell_shape))
    with pytest.raises(UnphysicalInputError, match="occupations have shape"):
        transport.fill(fluid, given[1:])
    given[7, 2, 1, 3, 0] = 1.5
    with pytest.raises(UnphysicalInputError, match=r"cell 7, direction 2, species 1, group 3, flavour 0 is .*1\.5"):
        transport.fill(fluid, given)
    assert transport.state.owned.max() == 0.0
