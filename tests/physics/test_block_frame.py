"""Moving matter on block meshes: balances, Doppler shift, aberration, expansion, rotation, uniform motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from misci_transport.block_mesh import BlockMesh
from misci_transport.constants import SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.errors import ConfigurationError, UnphysicalInputError
from misci_transport.grid import RadialMesh
from misci_transport.kernels.block_advection import flux_divergence
from misci_transport.kernels.block_turning import turn
from misci_transport.phase_space import PhaseSpace
from misci_transport.physics.block_boundary import BlockBoundary
from misci_transport.physics.block_frame import BlockFrame, Neighbors
from misci_transport.physics.boundary import Boundary
from misci_transport.physics.frame import Metric, coefficients
from misci_transport.quadrature import AngularGrid
from misci_transport.sphere import SphereQuadrature
from misci_transport.verify.blocks import basis, position
from misci_transport.verify.setup import Case, constant_rates, order

C = SPEED_OF_LIGHT
GROUPS = 7
ENERGY = EnergyGrid.logarithmic(1.0, 100.0, GROUPS)


def meshes(kind, n=4):
    if kind == "box":
        return BlockMesh.from_edges(np.array([0.0, 0.7, 1.0, 2.1, 3.0]), np.linspace(0, 2, 4), np.linspace(0, 1, 3))
    if kind == "shells":
        return BlockMesh.from_edges(np.linspace(0.0, 1.0, n + 1) ** 1.2, geometry="spherical")
    if kind == "axisymmetric":
        return BlockMesh.from_edges(np.linspace(0, 1, n + 1), np.linspace(0, np.pi, n + 1), geometry="spherical")
    angles = np.linspace(0, np.pi, n + 1), np.linspace(0, 2 * np.pi, n + 1)
    return BlockMesh.from_edges(np.linspace(0.0, 1.0, n + 1), *angles, geometry="spherical")


def sets(kind):
    return {"lebedev": SphereQuadrature.lebedev, "geodesic": SphereQuadrature.geodesic}.get(
        kind, lambda n: SphereQuadrature.product(n, 2 * n)
    )


CASES = [("box", "product"), ("box", "lebedev"), ("shells", "product"), ("axisymmetric", "product"),
         ("sphere", "product")]  # fmt: skip


def moving(kind, angles="product", value=None, rates=None, boundary=None, **given):
    """A case with smooth velocities of some per cent of c, and at the open ends the given occupation."""
    mesh = meshes(kind)
    directions = sets(angles)(7 if angles == "lebedev" else 4)
    if boundary is None:
        ends = BlockBoundary.of(mesh)
        cell_shape = (directions.size, 2, GROUPS, 3)
        full = {} if value is None else {
            (axis, side): np.full(cell_shape, value)
            for axis in mesh.resolved for side in range(2) if ends.kinds[axis][side] == "inflow"
        }  # fmt: skip
        boundary = BlockBoundary(ends.kinds, full)
    if rates is not None:
        rates = constant_rates(mesh.size, GROUPS, **rates)
    case = Case(mesh, directions, energy=ENERGY, boundary=boundary, rates=rates, **given)
    velocity = 0.1 * np.sin(3.0 * mesh.centers + np.array([0.3, 1.1, 2.0]) + mesh.centers[:, [1, 2, 0]])
    if kind == "shells":
        velocity[:, 1:] = 0.0
    return follow(case, velocity, field(mesh) if kind in ("shells", "sphere") else None)


def field(mesh):
    """The metric of a ball whose radius is some five times its Schwarzschild radius."""
    shells = RadialMesh(mesh.faces[0])
    return Metric.of_mass(shells, 3.0e26 * np.exp(-shells.center), 0.0)


def follow(case, beta, metric=None):
    case.advection.follow_matter(np.ascontiguousarray(beta[case.cells]) * C, metric)
    case.stepper.follow_matter(case.advection.frame, case.advection.cell_volume)
    return case


def rate(case, f, limited):
    """The terms of moving matter for f[row, ...] with ghosts."""
    a, out = case.advection, np.zeros_like(case.state.owned)
    entering = a.frame.add(f, 1.0, out, a.resolved, a.sides, second_order=True, limited=limited)
    return out, entering


@pytest.mark.parametrize(("kind", "angles"), CASES)
def test_a_constant_is_at_rest(kind, angles):
    """In all groups but the first and last, whose outer ends are closed; also with the transport at rest."""
    c = moving(kind, angles, 0.7)
    c.state.owned[:] = 0.7
    c.advection.fill_ghosts(c.state.populations)
    a, frame = c.advection, c.advection.frame
    size = np.abs(frame.stretch).max() + np.abs(frame.ratio).max()
    # what moves at the speed of light has a flow of its own left where there is gravity
    flat = c.state.populations.reshape(-1, c.angles.size, 6 * GROUPS)
    b = a.upwind_fraction(np.ones((c.mesh.size, 2, GROUPS, 3)))
    light = np.empty((c.mesh.size, *flat.shape[1:]))
    flux_divergence(flat, c.decomposition.row, a.velocity, a.ratio, a.resolved, *b, True, light)
    if a.turns:
        turn(flat[: c.mesh.size], 1.0, a.curvature, *a.coefficients, np.zeros(c.mesh.size, dtype=bool), True, light)
    for limited in (False, True):
        out, _ = rate(c, c.state.populations, limited)
        out += light.reshape(out.shape)
        assert np.abs(out[:, :, :, 1:-1]).max() < 1e-14 * size
        assert np.abs(out[:, :, :, [0, -1]]).max() > 1e-3 * np.abs(frame.stretch).max()
    c.step(0.3 * c.light_crossing())
    np.testing.assert_allclose(c.state.owned[:, :, :, 3], 0.7, rtol=1e-13)


@pytest.mark.parametrize(("kind", "angles"), CASES)
@pytest.mark.parametrize("linear", [False, True])
def test_balances_close_in_every_step(kind, angles, linear):
    """Numbers to round-off; energy with the work of the shifts."""
    c = moving(kind, angles, 0.2, {"emission": 0.5, "occupation": 0.3, "scattering": 2.0}, second_order=linear)
    spectrum = 1.0 / (1.0 + np.exp(ENERGY.center / 5.0))
    shape = np.random.default_rng(2).uniform(0.5, 1.0, size=c.state.owned.shape)
    c.state.owned[:] = shape * spectrum[:, None]
    step = 0.4 * c.light_crossing()
    for result in c.march(2.0 * step, step):
        ledger = result.ledger
        for quantity in ("energy", "neutrinos", "antineutrinos"):
            assert abs(ledger.imbalance(quantity)) < 2e-14 * ledger.after[quantity], quantity
        assert abs(ledger.frame_work) > 1e-5 * ledger.after["energy"]


@pytest.mark.parametrize(("kind", "angles"), CASES)
def test_matter_neither_makes_nor_loses_neutrinos(kind, angles):
    c = moving(kind, angles)
    f = np.random.default_rng(3).uniform(size=c.state.populations.shape)
    weight = c.advection.cell_volume[:, None] * c.angles.weight
    for limited in (False, True):
        out, entering = rate(c, f, limited)
        number = np.einsum("im,g,imsgk->sk", weight, ENERGY.weight, out)
        gross = np.einsum("im,g,imsgk->sk", weight, ENERGY.weight, np.abs(out))
        came = np.einsum("g,msgk->sk", ENERGY.weight, entering.reshape(out.shape[1:]))
        assert (np.abs(number - came) < 1e-14 * gross).all()


def on_rings(grid):
    """The directions of a radial mesh, each on four azimuths."""
    mu, weight = grid.direction_cosine[0], grid.weight_0[0]
    mu, weight = 0.5 * (mu - mu[::-1]), 0.5 * (weight + weight[::-1])
    like = SphereQuadrature.product(mu.size, 4)
    sine, turn = np.repeat(np.sqrt(1.0 - mu**2), 4) * np.sqrt(0.5), np.sign(like.direction)
    direction = np.stack([np.repeat(mu, 4), turn[:, 1] * sine, turn[:, 2] * sine], axis=1)
    return replace(like, direction=direction, weight=np.repeat(weight / 4.0, 4))


def test_shells_move_as_on_a_radial_mesh():
    """Shift of energies and flow between levels: those of the radial code; equal where beta is linear in r."""
    errors = []
    for cells in (20, 40):
        faces = np.linspace(0.5, 1.5, cells + 1)
        block, radial = BlockMesh.from_edges(faces, geometry="spherical"), RadialMesh(faces)
        grid = AngularGrid.ordinates(radial, 8)
        angles = on_rings(grid)
        r = radial.center
        c = Case(block, angles, energy=ENERGY)
        worst = []
        for beta, metric in (
            (0.1 * r, Metric.flat(radial)),
            (0.1 * np.sin(3.0 * r), Metric.flat(radial)),
            (0.0 * r, field(block)),
            (0.1 * np.sin(3.0 * r), field(block)),
        ):
            follow(c, np.stack([beta, 0 * r, 0 * r], axis=1), metric)
            frame = c.advection.frame
            at = coefficients(PhaseSpace(radial, grid, ENERGY), Boundary("inflow"), beta * C, metric)
            stretch = frame.stretch.reshape(cells, 8, 4)
            np.testing.assert_allclose(stretch, np.broadcast_to(stretch[:, :, :1], stretch.shape), atol=1e-14)
            between = frame.flow[:, : 7 * 4].reshape(cells, 7, 4).sum(axis=2)
            np.testing.assert_allclose(frame.flow[:, 7 * 4 :], 0.0, atol=1e-15)
            inside = slice(1, -1)
            worst.append(np.abs(stretch[:, :, 0] - at.stretch)[inside].max() / np.abs(at.stretch).max())
            expected = at.turn[:, 1:-1] / (radial.volume / metric.gamma)[:, None]
            worst.append(np.abs(between - expected)[inside].max() / np.abs(at.stretch).max())
        assert max(worst[:2]) < 1e-3 / cells
        errors.append(max(worst[2:]))
    assert errors[1] < 1e-3
    assert order(*errors) > 1.8


def flows(geometry, cells, angles):
    """Largest error of number flux and others of the terms on a field that depends on the fixed direction only.

    f = 2 + k.n + n.P.n, the same everywhere in space, and beta of second degree in x: what the terms do is aberration.
    In spherical coordinates the same field turns with the basis, which everything has to make up for.
    """
    rng = np.random.default_rng(1)
    slope, shift = rng.uniform(-1, 1, (3, 3)), rng.uniform(-1, 1, 3)
    bend, k, p = 0.5 * rng.uniform(-1, 1, (3, 3, 3)), rng.uniform(-1, 1, 3), rng.uniform(-1, 1, (3, 3))
    p = p + p.T
    if geometry == "cartesian":
        mesh = BlockMesh.uniform((0.0,) * 3, (1.0,) * 3, (cells,) * 3)
    else:
        mesh = BlockMesh.uniform((0.5, 0.6, 0.3), (1.5, 1.6, 1.3), (cells,) * 3, "spherical")
    c = Case(mesh, angles, energy=ENERGY, boundary=BlockBoundary())
    e, x = basis(geometry, mesh.centers), position(geometry, mesh.centers)
    beta = 0.01 * (shift + x @ slope.T + np.einsum("ijk,cj,ck->ci", bend, x, x))
    follow(c, np.einsum("cai,ci->ca", e, beta))
    gradient = 0.01 * (slope + np.einsum("ijk,ck->cij", bend, x) + np.einsum("ijk,cj->cik", bend, x))
    n = np.einsum("ma,cai->cmi", angles.direction, e)
    carried = np.einsum("cij,cmj->cmi", gradient, n)
    turning = np.einsum("cmi,cmi->cm", n, carried)[..., None] * n - carried
    exact = -np.einsum("cmi,cmi->cm", turning, k + 2.0 * n @ p)
    f = np.zeros_like(c.state.populations)
    f[: mesh.size] = (2.0 + n @ k + np.einsum("cmi,ij,cmj->cm", n, p, n))[:, :, None, None, None]
    out, _ = rate(c, f, False)
    inner = np.zeros(mesh.shape, dtype=bool)
    inner[2:-2, 2:-2, 2:-2] = True
    inner = inner.ravel(order="F")
    weights = angles.weights[0]
    found, wanted = out[inner, :, 0, 2, 0] @ weights.T, exact[inner] @ weights.T
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize(
    ("geometry", "kind", "sizes", "least"),
    [
        ("cartesian", "product", (4, 8), 1.6),
        ("cartesian", "geodesic", (2, 4), 1.6),
        ("cartesian", "lebedev", (11, 21), 1.5),
        ("spherical", "product", (6, 12), 1.6),
    ],
)
def test_aberration_converges_with_the_directions(geometry, kind, sizes, least):
    errors = [flows(geometry, 5 if n == 0 else 6, sets(kind)(size)) for n, size in enumerate(sizes)]
    assert errors[1] < 0.06
    assert order(*errors) > least


@pytest.mark.parametrize("kind", ["product", "geodesic", "lebedev"])
def test_an_isotropic_field_loses_what_the_gradient_asks_for(kind):
    angles = sets(kind)(7 if kind == "lebedev" else 4)
    neighbors = Neighbors.of(angles)
    lost = np.zeros((angles.size, 10))
    np.add.at(lost, neighbors.pair[:, 0], neighbors.flow.T)
    np.add.at(lost, neighbors.pair[:, 1], -neighbors.flow.T)
    n = angles.direction
    wanted = 3.0 * n[:, :, None] * n[:, None, :] - np.eye(3)
    np.testing.assert_allclose(lost[:, :9] / angles.weight[:, None], wanted.reshape(-1, 9), atol=2e-13)
    np.testing.assert_allclose(lost[:, 9] / angles.weight, 2.0 * n[:, 0], atol=2e-13)


@pytest.mark.parametrize("kind", ["box", "axisymmetric"])
def test_rigid_rotation_shifts_no_energy(kind):
    errors = []
    for n in (8, 16):
        if kind == "box":
            mesh = BlockMesh.uniform((-1.0,) * 3, (1.0,) * 3, (n, n, 2))
            beta = np.stack([-mesh.centers[:, 1], mesh.centers[:, 0], 0.0 * mesh.centers[:, 0]], axis=1)
        else:
            mesh = meshes(kind, n)
            beta = np.zeros((mesh.size, 3))
            beta[:, 2] = mesh.centers[:, 0] * np.sin(mesh.centers[:, 1])
        c = follow(Case(mesh, SphereQuadrature.product(4, 8), energy=ENERGY), 0.1 * beta)
        errors.append(np.abs(c.advection.frame.stretch).max() / 0.1)
    if kind == "box":
        assert max(errors) < 1e-14
    else:
        assert errors[1] < 0.01
        assert order(*errors) > 1.9


def test_uniform_motion_is_no_gradient_in_spherical_coordinates():
    """Matter that moves along the axis: the terms of the basis cancel the differences."""
    errors = []
    for n in (8, 16):
        mesh = meshes("axisymmetric", n)
        beta = np.zeros((mesh.size, 3))
        beta[:, 0], beta[:, 1] = 0.1 * np.cos(mesh.centers[:, 1]), -0.1 * np.sin(mesh.centers[:, 1])
        c = follow(Case(mesh, SphereQuadrature.product(4, 8), energy=ENERGY), beta)
        stretch = np.abs(c.advection.frame.stretch).max(axis=1) * mesh.centers[:, 0]
        away = np.abs(mesh.centers[:, 1] - 0.5 * np.pi) < 0.7
        errors.append(stretch[away].max() / 0.1)
    assert errors[1] < 0.01
    assert order(*errors) > 1.8


@pytest.mark.parametrize("kind", ["cartesian2", "shells"])
def test_homologous_expansion_cools(kind):
    """E a = const: uniform isotropic neutrinos in beta = H x lose energy as exp(-H t), whatever the direction."""
    expansion, duration, groups = 0.1, 0.3, 24
    energy = EnergyGrid.logarithmic(0.3, 150.0, groups)
    if kind == "cartesian2":
        mesh = BlockMesh.uniform((-1.0, -1.0, 0.0), (1.0, 1.0, 1.0), (10, 10, 1))
        beta = expansion * mesh.centers
        beta[:, 2] = 0.0
        inside = (np.abs(mesh.centers[:, :2]) < 0.25).all(axis=1)
    else:
        mesh = BlockMesh.from_edges(np.linspace(0.0, 1.0, 11), geometry="spherical")
        beta = np.zeros((mesh.size, 3))
        beta[:, 0] = expansion * mesh.centers[:, 0]
        inside = mesh.centers[:, 0] < 0.35
    angles = SphereQuadrature.product(4, 4)
    spectrum = 0.8 / (1.0 + np.exp(energy.center / 5.0))
    field = np.broadcast_to(spectrum[:, None], (angles.size, 2, groups, 3)).copy()
    ends = BlockBoundary.of(mesh)
    given = {
        (axis, side): field
        for axis in mesh.resolved for side in range(2) if ends.kinds[axis][side] == "inflow"
    }  # fmt: skip
    c = Case(mesh, angles, energy=energy, boundary=BlockBoundary(ends.kinds, given))
    c.state.owned[:] = field
    follow(c, beta)
    c.march(duration, 0.015)
    f = c.state.owned[inside, :, 0, :, 0]

    def mean(spectrum, power):
        return (energy.weight * energy.center**power * spectrum).sum(axis=-1) / (energy.weight * spectrum).sum(axis=-1)

    if kind == "shells":
        # each direction: E a = const
        for power, tolerance in ((1, 3e-5), (2, 4e-4)):
            np.testing.assert_allclose(
                mean(f, power) / mean(spectrum, power), np.exp(-power * expansion * duration), rtol=tolerance
            )
    # an isotropic field: by a third of div(beta)
    share = 1.0 if kind == "shells" else 2.0 / 3.0
    together = np.einsum("cmg,m->cg", f, angles.weight)
    early = np.exp(-share * expansion * duration)
    np.testing.assert_allclose(mean(together, 1) / mean(spectrum, 1), early, rtol=3e-5 if share == 1.0 else 1e-3)


def test_a_pulse_moves_with_opaque_matter():
    """Uniform motion: the solution at rest, carried along with beta; flux and spectrum are those of matter's frame."""
    mesh = BlockMesh.uniform((0.0,) * 3, (1.0,) * 3, (40, 1, 1))
    periodic = BlockBoundary((("periodic", "periodic"), ("inflow", "inflow"), ("inflow", "inflow")))
    energy = EnergyGrid.logarithmic(1.0, 100.0, 4)
    rates = constant_rates(40, 4, scattering=60.0)
    x = mesh.center(0)
    found = []
    for beta in (0.0, 0.2):
        c = Case(mesh, SphereQuadrature.product(2, 4), energy=energy, boundary=periodic, rates=rates)
        c.fill(np.repeat(0.1 + 0.5 * np.exp(-(((x - 0.4) / 0.1) ** 2))[:, None], 8, axis=1))
        follow(c, np.broadcast_to([beta, 0.1, 0.0], (40, 3)))
        c.march(1.0, 0.0125)
        found.append(np.stack([np.append(m[:, 0] if m.ndim == 2 else m, []) for m in c.moments()]))
    moved = np.roll(found[0], 8, axis=1)
    np.testing.assert_allclose(found[1][0], moved[0], atol=0.01)
    np.testing.assert_allclose(found[1][1], moved[1], atol=0.004)
    assert np.abs(found[0][0] - moved[0]).max() > 0.1
    assert np.abs(moved[1]).max() > 0.005


def test_the_time_step_knows_of_the_motion():
    mesh = BlockMesh.uniform((0.0,) * 3, (1.0,) * 3, (8, 8, 1))
    c = Case(mesh, SphereQuadrature.product(4, 8), energy=ENERGY)
    at_rest = c.light_crossing()
    follow(c, np.zeros((64, 3)))
    assert c.light_crossing() == pytest.approx(at_rest, rel=1e-14)
    follow(c, np.broadcast_to([0.3, 0.0, 0.0], (64, 3)))
    assert 1.0 / c.light_crossing() == pytest.approx(1.0 / at_rest + 0.3 * 8.0, rel=1e-12)
    uniform = c.light_crossing()
    follow(c, np.stack([0.3 * np.cos(7.0 * mesh.centers[:, 0]), *np.zeros((2, 64))], axis=1))
    assert c.light_crossing() < uniform


def test_velocities_that_are_refused():
    c = Case(meshes("shells"), SphereQuadrature.product(2, 4), energy=ENERGY)
    beta = np.zeros((4, 3))
    beta[2, 0] = 0.6
    with pytest.raises(UnphysicalInputError, match=r"speed in cell 2 is 1\.7.*first order in v/c"):
        follow(c, beta)
    beta[2] = [0.0, 0.0, 0.1]
    with pytest.raises(UnphysicalInputError, match=r"velocity in cell 2 has the components 0, .* along theta and phi"):
        follow(c, beta)
    coarse = Case(meshes("shells"), SphereQuadrature.product(2, 4), energy=EnergyGrid.logarithmic(1.0, 9.0, 3))
    with pytest.raises(ConfigurationError, match="number of energy groups is 3"):
        BlockFrame(coarse.phase_space, coarse.decomposition, coarse.boundary)
