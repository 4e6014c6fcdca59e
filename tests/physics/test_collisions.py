"""The collision operator over cells: matrix structure, conservation, equilibrium, derivative."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.energy import EnergyGrid
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.phase_space import PhaseSpace
from misci_transport.physics.collisions import CollisionOperator
from misci_transport.physics.levels import LevelFrame
from misci_transport.physics.microphysics.builtin import BuiltinOptions, builtin_rates
from misci_transport.physics.microphysics.equation_of_state import complete, neutrino_chemical_potential
from misci_transport.quadrature import AngularGrid
from misci_transport.rates import Rates

CELLS, DIRECTIONS, GROUPS = 3, 4, 5
PROCESSES = ("charged_current", "nucleon_scattering", "nucleus_scattering", "electron_scattering", "pair")
PROCESSES += ("bremsstrahlung",)
MESH = RadialMesh.uniform(0.0, 3.0e6, CELLS)
ENERGY = EnergyGrid.logarithmic(3.0, 150.0, GROUPS)
NUMBER = ENERGY.weight


def matter(options):
    one = np.ones(CELLS)
    fluid = Fluid(np.array([3e13, 2e12, 1e11]), np.array([12.0, 9.0, 5.0]), np.array([0.15, 0.2, 0.3]), 0.0 * one)
    return complete(fluid, options)


def operator(n_flavors=3, only=None, rates=None):
    options = BuiltinOptions() if only is None else BuiltinOptions(**{name: name == only for name in PROCESSES})
    space = PhaseSpace(MESH, AngularGrid.ordinates(MESH, DIRECTIONS), ENERGY, n_flavors)
    if rates is None:
        rates = builtin_rates(matter(options), ENERGY, options)
    return CollisionOperator(space, rates, slice(0, CELLS))


def projectors(unitary, n_flavors):
    """<k|A|k> = sum_c projector_c A_c for eigenvectors in the columns of unitary[..., flavour, level]."""
    pairs = [(0, 1)] if n_flavors == 2 else [(0, 1), (0, 2), (1, 2)]
    vectors = np.swapaxes(unitary, -1, -2)
    parts = [np.abs(vectors) ** 2]
    for a, b in pairs:
        product = np.conj(vectors[..., a]) * vectors[..., b]
        parts += [2.0 * product.real[..., None], -2.0 * product.imag[..., None]]
    return np.concatenate(parts, axis=-1)


def frame_of(space, unitary):
    frame = LevelFrame.locked(space, CELLS)
    frame.mixed[:] = np.arange(CELLS)
    frame.projector = np.ascontiguousarray(projectors(unitary, space.n_flavors))
    return frame


def random_unitary(rng, n_flavors=3):
    """Any eigenvectors of each cell, direction, species and group; with two flavours the third is unmixed."""
    shape = (CELLS, DIRECTIONS, 2, GROUPS, n_flavors, n_flavors)
    mixing = np.linalg.qr(rng.normal(size=shape) + 1j * rng.normal(size=shape))[0]
    if n_flavors == 3:
        return mixing
    whole = np.zeros((*shape[:4], 3, 3), dtype=complex)
    whole[..., :2, :2], whole[..., 2, 2] = mixing, 1.0
    return whole


def pure(frame):
    """Eigenvectors of a locked frame."""
    unitary = np.zeros((CELLS, DIRECTIONS, 2, GROUPS, 3, 3))
    for species in range(2):
        for level in range(3):
            unitary[:, :, species, :, frame.component[0, species, level], level] = 1.0
    return unitary


def rate(collisions, f, frame):
    out = np.empty_like(f)
    collisions.rate(f, frame, out)
    return out


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def f(rng):
    return rng.uniform(0.05, 0.6, (CELLS, DIRECTIONS, 2, GROUPS, 3))


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_locked_cells_are_the_special_case_of_mixed_ones(f, rng, n_flavors):
    collisions = operator(n_flavors)
    space = collisions.phase_space
    locked = LevelFrame.locked(space, CELLS)
    mixed = frame_of(space, pure(locked))
    df = rng.normal(size=f.shape)
    results = []
    for frame in (locked, mixed):
        c, d = rate(collisions, f, frame), np.empty_like(f)
        collisions.derivative(f, df, frame, d)
        results.append((c, d, collisions.level_loss(frame), collisions.transport_opacity(frame)))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13 * np.abs(one).max())


@pytest.mark.parametrize("n_flavors", [2, 3])
@pytest.mark.parametrize("kind", ["locked", "mixed"])
def test_derivative_is_that_of_the_rate(f, rng, n_flavors, kind):
    collisions = operator(n_flavors)
    space = collisions.phase_space
    unitary = random_unitary(rng, n_flavors)
    frame = LevelFrame.locked(space, CELLS) if kind == "locked" else frame_of(space, unitary)
    df = rng.normal(size=f.shape)
    rate(collisions, f, frame)
    found = np.empty_like(f)
    collisions.derivative(f, df, frame, found)
    step = 1e-3
    # C is quadratic in f, so that the centred difference is exact but for round-off
    expected = (rate(collisions, f + step * df, frame) - rate(collisions, f - step * df, frame)) / (2.0 * step)
    scale = np.abs(expected).max(axis=(1, 2, 3, 4), keepdims=True)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("kind", ["locked", "mixed"])
@pytest.mark.parametrize("name", PROCESSES)
def test_what_each_process_conserves(f, rng, name, kind):
    collisions = operator(only=name)
    space = collisions.phase_space
    frame = LevelFrame.locked(space, CELLS) if kind == "locked" else frame_of(space, random_unitary(rng))
    c = rate(collisions, f, frame)
    by_group = np.einsum("im,imsgk->isg", collisions.weight[:, 0], c)
    gross = np.einsum("im,imsgk->isg", collisions.weight[:, 0], np.abs(c))
    number, size = by_group @ NUMBER, gross @ NUMBER
    energy, energy_size = by_group @ (NUMBER * ENERGY.center), gross @ (NUMBER * ENERGY.center)
    # without heavy nuclei in this matter there is nothing to scatter on
    assert size.min() > 0.0 or name == "nucleus_scattering"
    if name.endswith("scattering"):
        np.testing.assert_allclose(number, 0.0, atol=1e-12 * size.max())
        if name != "electron_scattering":
            np.testing.assert_allclose(by_group, 0.0, atol=1e-12 * gross.max())
        else:
            assert (np.abs(energy) > 1e-3 * energy_size).all()
    elif name == "charged_current":
        assert (np.abs(number[:, 0] - number[:, 1]) > 1e-3 * size.max(axis=1)).all()
    else:
        np.testing.assert_allclose(number[:, 0], number[:, 1], rtol=0.0, atol=1e-12 * size.max())
        assert (np.abs(number) > 1e-3 * size).all()


@pytest.mark.parametrize("name", [*PROCESSES, "all"])
def test_nothing_happens_in_equilibrium(name):
    collisions = operator(only=None if name == "all" else name)
    options = BuiltinOptions()
    fluid = matter(options)
    potential = np.zeros((CELLS, 2, 3))
    potential[:, 0, 0] = neutrino_chemical_potential(fluid)
    potential[:, 1, 0] = -potential[:, 0, 0]
    x = (ENERGY.center - potential[..., None]) / fluid.temperature[:, None, None, None]
    fermi = 1.0 / (1.0 + np.exp(x))  # (cell, species, flavour, group)
    frame = LevelFrame.locked(collisions.phase_space, CELLS)
    f = np.empty((CELLS, DIRECTIONS, 2, GROUPS, 3))
    for species in range(2):
        flavors = fermi[:, species, frame.component[0, species]].transpose(0, 2, 1)
        f[:, :, species] = flavors[:, None]
    c = rate(collisions, f, frame)
    turnover = collisions.level_loss(frame) + collisions.rates.scattering_0[..., None]
    assert turnover.max() > 1e-9 or name == "nucleus_scattering"
    floor = 1e-30
    assert (np.abs(c) <= 1e-9 * turnover[:, None] + floor).all()


def test_equal_flavors_in_equilibrium_stay_so_in_any_basis(rng):
    """A density matrix in proportion to one is diagonal in every basis; pairs and scattering of heavy flavours."""
    options = BuiltinOptions(charged_current=False)
    rates = builtin_rates(matter(options), ENERGY, options)
    space = PhaseSpace(MESH, AngularGrid.ordinates(MESH, DIRECTIONS), ENERGY, 3)
    collisions = CollisionOperator(space, rates, slice(0, CELLS))
    temperature = matter(options).temperature[:, None, None, None, None]
    f = np.broadcast_to(1.0 / (1.0 + np.exp(ENERGY.center[:, None] / temperature)), (CELLS, DIRECTIONS, 2, GROUPS, 3))
    frame = frame_of(space, random_unitary(rng))
    c = rate(collisions, np.ascontiguousarray(f), frame)
    assert (np.abs(c) <= 1e-9 * (collisions.level_loss(frame) + rates.scattering_0[..., None])[:, None]).all()


def test_a_level_is_damped_in_proportion_to_its_flavor_content(f, rng):
    """Absorption alone: C_k = -n_k sum_f |U_fk|^2 / lambda_f."""
    rates = Rates.zero(CELLS, GROUPS)
    rates.absorption[:] = rng.uniform(0.5, 2.0, rates.absorption.shape)
    collisions = operator(rates=rates)
    unitary = random_unitary(rng)
    c = rate(collisions, f, frame_of(collisions.phase_space, unitary))
    content = np.abs(unitary) ** 2
    expected = -f * np.einsum("imsgak,isag->imsgk", content, rates.absorption)
    np.testing.assert_allclose(c, expected, rtol=1e-12)


def test_two_flavors_with_a_spectator_are_three_of_which_one_does_not_mix(f, rng):
    unitary = random_unitary(rng, 2)
    results = []
    for n_flavors in (2, 3):
        collisions = operator(n_flavors)
        frame = frame_of(collisions.phase_space, unitary)
        results.append((rate(collisions, f, frame), collisions.level_loss(frame), collisions.transport_opacity(frame)))
    for two, three in zip(*results, strict=True):
        np.testing.assert_allclose(two, three, rtol=1e-11, atol=1e-13 * np.abs(three).max())
