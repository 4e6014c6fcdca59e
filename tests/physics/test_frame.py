"""Moving matter and gravity: balances, Doppler shift, aberration, expansion, redshift."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.constants import SOLAR_MASS, SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.errors import ConfigurationError, UnphysicalInputError
from misci_transport.grid import RadialMesh
from misci_transport.physics.boundary import Boundary
from misci_transport.physics.frame import FASTEST, Metric, coefficients, group_edges
from misci_transport.profile import SCHWARZSCHILD_RADIUS_OF_SUN
from misci_transport.quadrature import AngularGrid
from misci_transport.rates import Rates
from misci_transport.verify.setup import Case, constant_rates, order

GROUPS = 16
C = SPEED_OF_LIGHT
HALF_SUN = 0.5 * SOLAR_MASS


def follow(case, beta, metric=None):
    """Let the case's matter move with beta (cell,) in this metric."""
    metric = metric or Metric.flat(case.mesh)
    case.advection.follow_matter(np.asarray(beta) * C, metric)
    case.stepper.follow_matter(case.advection.frame, (case.mesh.volume / metric.gamma)[case.cells])
    return case


def star(kind="ordinates", geometry="spherical", boundary=None, rates=None, n_flavors=3, **given):
    """Uneven cells from 0 to some 150 km, matter that falls, stops and rises, and a strong field."""
    cells = 14
    face = 1.0e6 * np.cumsum(np.concatenate([[0.0], 1.0 + 0.4 * np.sin(np.arange(cells))]))
    mesh = RadialMesh(face, geometry)
    if kind == "hybrid":
        grid = AngularGrid.hybrid(
            mesh, 6.0e6, inward=4, grazing=2, forward=5, opening_cosine=0.3, shells=1, shell_ratio=1.5
        )
    else:
        grid = AngularGrid.ordinates(mesh, 8)
    energy = EnergyGrid.logarithmic(1.5, 300.0, GROUPS)
    case = Case(mesh, grid, energy=energy, boundary=boundary, rates=rates, n_flavors=n_flavors, **given)
    density = 6.0e13 * np.exp(-mesh.center / 1.5e6)
    metric = Metric.of_mass(mesh, density, 0.0) if geometry == "spherical" else None
    return follow(case, 0.2 * np.sin(np.arange(cells) ** 1.3), metric)


KINDS = [("ordinates", "spherical"), ("hybrid", "spherical"), ("ordinates", "plane")]


@pytest.mark.parametrize(("kind", "geometry"), KINDS)
@pytest.mark.parametrize("limited", [False, True])
def test_a_constant_is_at_rest(kind, geometry, limited):
    """In all groups but the first and last, whose outer ends are closed."""
    shape = star(kind, geometry).state.owned.shape[1:]
    full = np.full(shape, 0.7)
    c = star(kind, geometry, Boundary("inflow", "inflow", full, full))
    c.state.owned[:] = 0.7
    a = c.advection
    a.fill_ghosts(c.state.populations)
    b = a.upwind_fraction(np.full((c.mesh.size, 2, GROUPS, 3), 1.0e-6))
    out = np.empty_like(c.state.owned)
    a.rate(c.state.populations, b, out, second_order=limited, fix_up=limited)
    terms = np.abs(a.frame.at.stretch).max() + (np.abs(a.moving_area[1:]) / a.volume).max()
    assert np.abs(out[:, :, :, 1:-1]).max() < 1e-13 * terms
    assert np.abs(out[:, :, :, [0, -1]]).max() > 1e-3 * np.abs(a.frame.at.stretch).max()


@pytest.mark.parametrize(("kind", "geometry"), KINDS)
@pytest.mark.parametrize("linear", [False, True])
def test_balances_close_in_every_step(kind, geometry, linear):
    """Numbers to round-off with everything on; energy with the work of the shifts."""
    rates = constant_rates(14, GROUPS, emission=1.0e-7, occupation=0.3, scattering=1.0e-6)
    boundary = Boundary("reflecting" if kind == "ordinates" else "inflow", "inflow")
    c = star(kind, geometry, boundary, rates, second_order=linear)
    spectrum = 1.0 / (1.0 + np.exp(c.energy.center / 5.0))
    shape = np.random.default_rng(2).uniform(0.5, 1.0, size=c.state.owned.shape)
    c.state.owned[:] = shape * spectrum[:, None]
    turned = 0.0
    for result in c.march(4.0e5, 1.0e5):
        ledger = result.ledger
        for quantity in ("energy", "neutrinos", "antineutrinos"):
            assert abs(ledger.imbalance(quantity)) < 1e-14 * ledger.after[quantity], quantity
        turned = max(turned, abs(ledger.frame_work) / ledger.after["energy"])
    assert turned > 1e-5


@pytest.mark.parametrize(("kind", "geometry"), KINDS)
def test_shifts_neither_make_nor_lose_neutrinos(kind, geometry):
    c = star(kind, geometry)
    f = np.random.default_rng(3).uniform(size=c.state.populations.shape)
    b = c.advection.upwind_fraction(np.full((c.mesh.size, 2, GROUPS, 3), 1.0e-6))
    for limited in (False, True):
        out = np.zeros_like(c.state.owned)
        c.advection.frame.add(f, 2, b, 1.0, out, slice(None), limited=limited)
        number = np.einsum("im,g,imsgk->sk", c.advection.volume, c.energy.weight, out)
        gross = np.einsum("im,g,imsgk->sk", c.advection.volume, c.energy.weight, np.abs(out))
        assert (np.abs(number) < 1e-14 * gross).all()


def beam(cells, groups, beta, *, inwards=False):
    """Stationary beam in plane symmetry through matter that speeds up smoothly to beta; spectra in the end cells."""
    mesh = RadialMesh.uniform(0.0, 1.0, cells, "plane")
    grid = AngularGrid.beams(mesh, np.array([-1.0, 1.0]), np.array([1.0, 1.0]))
    energy = EnergyGrid.logarithmic(1.0, 300.0, groups)
    enter = np.zeros((2, 2, groups, 3))
    enter[0 if inwards else 1] = (0.5 / (1.0 + np.exp(energy.center / 4.0 - 1.0)))[:, None]
    ends = {"outer_populations" if inwards else "inner_populations": enter}
    c = Case(mesh, grid, energy=energy, boundary=Boundary("inflow", "inflow", **ends))
    x = np.clip(2.0 * mesh.center - 0.5, 0.0, 1.0)
    follow(c, beta * x**2 * (3.0 - 2.0 * x))
    c.steady(1.0e-12)
    spectra = c.populations()[:, 0 if inwards else 1, 0, :, 0]
    return energy, spectra[[0, -1]]


def moment(energy, f, power):
    return (energy.weight * energy.center**power * f).sum(axis=1)


@pytest.mark.parametrize("inwards", [False, True])
def test_a_beam_is_seen_with_the_doppler_factor(inwards):
    """E'/E = 1 - beta mu to first order in beta, 1/(1 + beta mu) for the equations as they are."""
    beta, errors = 0.1, []
    sign = -1.0 if inwards else 1.0
    for cells in (40, 80):
        energy, f = beam(cells, 24, beta, inwards=inwards)
        mean = moment(energy, f, 1) / moment(energy, f, 0)
        errors.append(abs(mean[1] / mean[0] * (1.0 + sign * beta) - 1.0))
        # the number flux is the same everywhere
        number = moment(energy, f, 0)
        assert number[1] * (1.0 + sign * beta) == pytest.approx(number[0], rel=1e-10)
    assert errors[1] < 5e-4
    assert order(*errors) > 0.9
    for small in (0.02, 0.04):
        energy, f = beam(40, 24, small, inwards=inwards)
        mean = moment(energy, f, 1) / moment(energy, f, 0)
        assert mean[1] / mean[0] == pytest.approx(1.0 - sign * small, abs=1.5 * small**2)


def test_the_shift_is_of_fourth_order_in_the_groups():
    """Of E^2 of a smooth spectrum; the energy itself is exact (measured 2e-5 with 12 groups: the closed ends)."""

    def squares(groups):
        energy, f = beam(16, groups, 0.1)
        mean = moment(energy, f, 3) / moment(energy, f, 0)
        return mean[1] / mean[0]

    exact = squares(64)
    errors = [abs(squares(groups) - exact) for groups in (12, 24)]
    # (groups - 1) is what the width of a group goes with
    assert order(*errors, factor=23.0 / 11.0) > 3.7
    assert errors[1] < 2e-4


def test_homologous_expansion_cools():
    """Uniform isotropic neutrinos in v = H r lose energy as exp(-H t), whatever the direction."""
    rate, duration = 0.1, 0.3
    mesh = RadialMesh.uniform(0.0, 1.0, 20)
    energy = EnergyGrid.logarithmic(0.3, 150.0, 24)
    spectrum = np.broadcast_to(0.8 / (1.0 + np.exp(energy.center / 5.0))[:, None], (8, 2, 24, 3))
    c = Case(mesh, AngularGrid.ordinates(mesh, 8), energy=energy, boundary=Boundary(outer_populations=spectrum.copy()))
    c.state.owned[:] = spectrum
    follow(c, rate * mesh.center)
    # short enough for turns near the centre to be explicit: implicit ones see f at another time
    c.march(duration, 0.002)
    inside = c.populations()[:6, :, 0, :, 0]
    np.testing.assert_allclose(inside, np.broadcast_to(inside[:1, :1], inside.shape), atol=1e-12)
    f = inside[0, :1]
    start = spectrum[:1, 0, :, 0]
    for power, tolerance in ((1, 3e-5), (2, 4e-4)):
        cooled = (moment(energy, f, power) / moment(energy, f, 0)) / (
            moment(energy, start, power) / moment(energy, start, 0)
        )
        assert cooled[0] == pytest.approx(np.exp(-power * rate * duration), rel=tolerance)
    colder = 0.8 / (1.0 + np.exp(energy.center * np.exp(rate * duration) / 5.0))
    np.testing.assert_allclose(f[0, 2:-2], colder[2:-2], atol=2e-4)


def test_a_boost_turns_directions():
    """An anisotropic field through smoothly accelerated matter: n' = n - beta j, j' = j - beta n, and so for energy."""
    beta, groups, cells = 0.04, 24, 60
    mesh = RadialMesh.uniform(0.0, 1.0, cells, "plane")
    grid = AngularGrid.ordinates(mesh, 16)
    energy = EnergyGrid.logarithmic(0.5, 250.0, groups)
    mu = grid.direction_cosine[0][:, None]

    def seen(b):
        """f of the lab frame for matter with velocity b."""
        lab = (mu + b) / (1.0 + b * mu)
        heat = energy.center * (1.0 + b * mu) / np.sqrt(1.0 - b**2)
        field = (0.2 + 0.3 * (1.0 + lab) ** 2) / (1.0 + np.exp(heat / 5.0))
        return np.broadcast_to(field[:, None, :, None], (16, 2, groups, 3)).copy()

    c = Case(mesh, grid, energy=energy, boundary=Boundary("inflow", "inflow", seen(0.0), seen(beta)))
    x = np.clip(2.0 * mesh.center - 0.5, 0.0, 1.0)
    follow(c, beta * x**2 * (3.0 - 2.0 * x))
    c.steady(1.0e-12)

    def angular(f, power, order_):
        return np.einsum("m,g,mg->", grid.weight_0[0] * mu[:, 0] ** order_, energy.weight * energy.center**power, f)

    still, moving = seen(0.0)[:, 0, :, 0], c.populations()[-1, :, 0, :, 0]
    n, j = angular(still, 0, 0), angular(still, 0, 1)
    assert angular(moving, 0, 0) == pytest.approx(n - beta * j, rel=2 * beta**2)
    assert angular(moving, 0, 1) == pytest.approx(j - beta * n, rel=6 * beta**2)
    e, flux, pressure = (angular(still, 1, k) for k in range(3))
    assert angular(moving, 1, 0) == pytest.approx(e - 2.0 * beta * flux, rel=4 * beta**2)
    assert angular(moving, 1, 1) == pytest.approx(flux - beta * (e + pressure), rel=8 * beta**2)
    # without the turn between directions the flux would be off by far more
    assert abs(beta * n / j) > 5 * 6 * beta**2


def test_redshift_along_a_free_beam():
    """E alpha = const and alpha times the number flux = const on radial rays around a mass."""
    radius = SCHWARZSCHILD_RADIUS_OF_SUN * 1.5
    energy = EnergyGrid.logarithmic(1.0, 300.0, 24)
    enter = np.zeros((2, 2, 24, 3))
    enter[1] = (0.5 / (1.0 + np.exp(energy.center / 5.0)))[:, None]
    for gravity in ("relativistic", "lapse", "newtonian"):
        errors = []
        for cells in (120, 240):
            mesh = RadialMesh.logarithmic(3.0 * radius, 60.0 * radius, cells)
            metric = Metric.of_mass(mesh, np.zeros(cells), 1.5 * SOLAR_MASS, gravity)
            c = Case(mesh, AngularGrid.radial(mesh), energy=energy, boundary=Boundary("inflow", "inflow", enter))
            follow(c, np.zeros(cells), metric)
            c.steady(1.0e-12)
            f = c.populations()[:, 1, 0, :, 0]
            number, mean = moment(energy, f, 0), moment(energy, f, 1) / moment(energy, f, 0)
            # the value of a cell is the one on its outer face
            alpha = metric.lapse_face[1:]
            np.testing.assert_allclose(number * alpha, number[0] * alpha[0], rtol=1e-10)
            errors.append(np.abs(mean * alpha / (mean[0] * alpha[0]) - 1.0).max())
        assert errors[1] < 5e-4
        assert order(*errors) > 0.9


def test_metric_around_a_mass():
    """Vacuum: Schwarzschild's lapse and Gamma; weak fields: all three are the Newtonian one."""
    radius = SCHWARZSCHILD_RADIUS_OF_SUN
    errors = []
    for cells in (40, 80):
        mesh = RadialMesh.logarithmic(2.0 * radius, 200.0 * radius, cells)
        metric = Metric.of_mass(mesh, np.zeros(cells), SOLAR_MASS)
        exact = np.sqrt(1.0 - radius / mesh.face)
        errors.append(np.abs(metric.lapse_face / exact - 1.0).max())
    assert errors[1] < 5e-3
    assert order(*errors) > 1.8
    np.testing.assert_allclose(metric.gamma, 0.5 * (exact[1:] + exact[:-1]), rtol=2e-3)
    mesh = RadialMesh.uniform(0.0, 1.0e9, 200)
    density = np.full(200, 1.0e6)
    mass = 4.0 / 3.0 * np.pi * 1.0e6 * 1.0e27 / SOLAR_MASS
    potential = -0.25 * mass * radius / 1.0e9 * (3.0 - (mesh.face / 1.0e9) ** 2)
    for gravity in ("newtonian", "lapse", "relativistic"):
        weak = Metric.of_mass(mesh, density, 0.0, gravity)
        np.testing.assert_allclose(weak.lapse_face - 1.0, potential, rtol=1e-2 * mass * radius / 1.0e6)
        assert (weak.gamma == 1.0).all() == (gravity != "relativistic")


@pytest.mark.parametrize(
    ("face", "density", "inner", "text"),
    [
        ([0.0, 1.0e5, 2.0e5], 1.0e17, 0.0, "Schwarzschild radius"),
        ([0.0, 1.0e6, 2.0e6], 1.0e10, 1.0, "accepted on a mesh that begins at the centre: 0"),
    ],
)
def test_impossible_masses_are_refused(face, density, inner, text):
    mesh = RadialMesh(np.array(face))
    with pytest.raises(UnphysicalInputError, match=text):
        Metric.of_mass(mesh, np.full(2, density), inner * SOLAR_MASS)


def test_what_first_order_cannot_do_is_refused():
    c = Case(RadialMesh.uniform(0.0, 1.0, 4), AngularGrid.ordinates(RadialMesh.uniform(0.0, 1.0, 4), 4))
    velocity = np.array([0.0, 0.0, -1.1 * FASTEST * C, 0.0])
    with pytest.raises(UnphysicalInputError, match="velocity in cell 2"):
        coefficients(c.phase_space, c.boundary, velocity, Metric.flat(c.mesh))


@pytest.mark.parametrize(
    ("energy", "text"),
    [
        (EnergyGrid.single(10.0), "4 or more"),
        (EnergyGrid.from_edges(np.linspace(0.0, 50.0, 11)), "geometric progression"),
    ],
)
def test_energy_groups_that_do_not_fit_are_refused(energy, text):
    with pytest.raises(ConfigurationError, match=text):
        group_edges(energy)


def test_groups_between_geometric_edges_are_as_good():
    """Bin averages of a table: a constant is at rest and energies are exact."""
    energy = EnergyGrid.from_edges(np.geomspace(1.0, 300.0, 21))
    coefficient, cube = group_edges(energy)
    np.testing.assert_allclose(np.diff(cube), 3.0 * energy.weight[1:-1], rtol=1e-12)
    f = 1.0 / (1.0 + np.exp(energy.center / 5.0))
    padded = np.concatenate([f[:1], f, f[-1:]])
    phi = np.concatenate([[0.0], sum(coefficient[:, j] * padded[j : j + 19] for j in range(4)), [0.0]])
    assert -np.diff(phi) @ energy.center == pytest.approx((energy.weight * energy.center) @ f, rel=1e-4)


def test_rates_per_coordinate_time():
    rates = constant_rates(3, 4, emission=1.0, occupation=0.2, scattering=0.5)
    slow = rates.scaled(np.array([1.0, 0.5, 0.25]))
    assert isinstance(slow, Rates)
    np.testing.assert_array_equal(slow.emissivity[:, 0, 0, 0] / rates.emissivity[:, 0, 0, 0], [1.0, 0.5, 0.25])
    np.testing.assert_array_equal(slow.scattering_0[:, 1, 2], [0.5, 0.25, 0.125])


def test_trapped_neutrinos_are_carried_along():
    """A stationary flow that outruns diffusion does not oscillate from cell to cell."""
    cells = 30
    mesh = RadialMesh.uniform(0.0, 1.0, cells, "plane")
    energy = EnergyGrid.logarithmic(1.0, 200.0, 12)
    # a hot wall on the left, a cold one on the right, and scattering matter that flows towards the cold one
    wall = np.where((mesh.center > 0.2) & (mesh.center < 0.8), 0.0, 1.0e4)
    rates = constant_rates(cells, 12, emission=wall, occupation=0.0, scattering=3.0e4)
    rates.emissivity[mesh.center < 0.2] = 0.5 * wall[0]
    rates.absorption[mesh.center < 0.2] = 0.5 * wall[0]
    c = Case(mesh, AngularGrid.ordinates(mesh, 4), energy=energy, rates=rates, boundary=Boundary("inflow", "inflow"))
    follow(c, np.full(cells, 0.05))
    c.steady(1.0e-10)
    mean = c.moments()[0]
    inside = mean[(mesh.center > 0.2) & (mesh.center < 0.75)]
    np.testing.assert_allclose(inside, inside[0], rtol=2e-3)
    assert mean[-2] < 1e-2
