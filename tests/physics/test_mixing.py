"""Part two of a step seen from the transport: moments, eigenvectors, failures."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from misci_transport.alignment import EQUILIBRATED, LOCKED
from misci_transport.constants import HBAR_C
from misci_transport.energy import EnergyGrid
from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.flavor import MixingParameters, unpack
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.physics.hamiltonian import Hamiltonian
from misci_transport.physics.levels import LevelFrame
from misci_transport.physics.mixing import LocalMixing, NoMixing
from misci_transport.quadrature import AngularGrid
from misci_transport.thermodynamics import energy, entropy, state_of_populations
from misci_transport.verify.setup import Case

ENERGY = EnergyGrid.logarithmic(5.0, 40.0, 3)
#: from vacuum to far above both resonances
DENSITY = np.array([1e14, 1e11, 1e7, 1e4, 2e3, 5e2, 30.0, 1e-3])
OPTIONS = {"solver": "local", "tolerance": 1e-12, "max_iterations": 50, "on_failure": "stop"}


def fluid(density=DENSITY, velocity=0.0):
    one = np.ones_like(density)
    return Fluid(density, one, 0.5 * one, velocity * one)


def occupied(n_flavors=3, self_interaction=False, ordering="normal", *, scale=1.0, **options):
    """A case with forward-peaked populations, larger for the electron flavour, and its alignment."""
    mesh = RadialMesh.uniform(0.0, 1.0e6, DENSITY.size)
    case = Case(mesh, AngularGrid.ordinates(mesh, 6), energy=ENERGY, n_flavors=n_flavors)
    electron = int(np.flatnonzero(case.frame.component[0, 0] == 0)[0])
    level = np.full((2, 3), 0.1)
    level[:, electron] = 0.6, 0.3
    shape = np.exp(case.angles.direction_cosine - 1.0)
    # strength * number density is comparable to the vacuum frequencies
    case.state.owned[:] = 3e-3 * scale * shape[:, :, None, None, None] * level[:, None, :]
    hamiltonian = Hamiltonian.build(
        MixingParameters.global_fit(ordering), ENERGY, n_flavors, self_interaction=self_interaction
    )
    mixing = LocalMixing(case.phase_space, case.decomposition, hamiltonian, **(OPTIONS | options))
    mixing.set_fluid(fluid())
    return case, mixing


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_without_mixing_moments_are_differences_of_flavors(n_flavors):
    case, _ = occupied(n_flavors)
    mixing = NoMixing(case.phase_space, case.cells)
    frame = mixing.align(case.state.owned, case.state.moments)
    assert (frame.mixed == -1).all()
    number = case.phase_space.number_weight
    for order, weight in enumerate((case.angles.weight_0, case.angles.weight_1)):
        by_level = np.einsum("im,imsgk,g->isk", weight, case.state.owned, number)
        for flavor in range(n_flavors):
            expected = sum(
                sign * by_level[:, species, list(frame.component[0, species]).index(flavor)]
                for species, sign in ((0, 1.0), (1, -1.0))
            )
            np.testing.assert_allclose(case.state.moments[:, order, flavor], expected, rtol=1e-13)
        assert not case.state.moments[:, order, n_flavors:].any()
    # the unmixed heavy flavour of two-flavour runs is no part of the Hamiltonian
    assert case.state.moments.shape[2] == n_flavors**2


@pytest.mark.parametrize("n_flavors", [2, 3])
@pytest.mark.parametrize("ordering", ["normal", "inverted"])
def test_eigenvectors_are_those_of_the_hamiltonian(n_flavors, ordering):
    case, mixing = occupied(n_flavors, ordering=ordering)
    frame = mixing.align(case.state.owned, case.state.moments)
    mixed = frame.mixed_cells
    # a density of 1e-3 g/cm^3 is vacuum, one of 1e14 g/cm^3 is not
    assert mixing.locked[:2].all()
    assert not mixing.locked[3:].any()
    assert (mixed == np.flatnonzero(~mixing.locked)).all()
    content = mixing.electron_content(frame)
    np.testing.assert_allclose(content.sum(axis=-1), 1.0, rtol=1e-12)
    for i in range(DENSITY.size):
        for g in range(ENERGY.size):
            for species, sign in ((0, 1.0), (1, -1.0)):
                matrix = sign * unpack(mixing.hamiltonian.vacuum[g])
                matrix = np.asarray(matrix, dtype=complex)
                matrix[0, 0] += mixing.potential[i]
                vectors = np.linalg.eigh(matrix)[1]
                expected = np.abs(vectors[0]) ** 2
                np.testing.assert_allclose(content[i, species, g, :n_flavors], expected, atol=2e-8)
                if n_flavors == 2:
                    assert content[i, species, g, 2] == 0.0


def test_projectors_of_all_levels_sum_to_one():
    case, mixing = occupied(self_interaction=True)
    frame = mixing.align(case.state.owned, case.state.moments)
    total = frame.projector.sum(axis=-2)
    np.testing.assert_allclose(total[..., :3], 1.0, rtol=1e-12)
    np.testing.assert_allclose(total[..., 3:], 0.0, atol=1e-12)


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_moments_are_those_that_the_eigenvectors_make(n_flavors):
    """Self-consistency, Eq. (4): D_l = sum of populations on the eigenvectors of the Hamiltonian that D makes."""
    case, mixing = occupied(n_flavors, self_interaction=True)
    frame = mixing.align(case.state.owned, case.state.moments)
    assert not mixing.failed.any()
    mixed = frame.mixed_cells
    assert mixed.size >= 5
    number = case.phase_space.number_weight
    scale = np.einsum("im,imsgk,g->i", case.angles.weight_0, case.state.owned, number)
    for order, weight in enumerate((case.angles.weight_0, case.angles.weight_1)):
        for component in range(n_flavors):
            made = np.zeros(mixed.size)
            for species, sign in ((0, 1.0), (1, -1.0)):
                matrix = case.state.owned[mixed][:, :, species] * frame.projector[:, :, species, :, :, component]
                made += sign * np.einsum("im,imgk,g->i", weight[mixed], matrix, number)
            difference = (case.state.moments[mixed, order, component] - made) / scale[mixed]
            np.testing.assert_allclose(difference, 0.0, atol=1e-10)


def settled(n_flavors, solver, **options):
    """Aligned by the local solver, then handed over."""
    case, mixing = occupied(n_flavors, self_interaction=True, **options)
    mixing.align(case.state.owned, case.state.moments)
    mixing.solver = solver
    return case, mixing


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_petsc_gives_the_same(n_flavors):
    results = []
    for solver in ("local", "petsc"):
        case, mixing = settled(n_flavors, solver)
        # what a time step changes
        case.state.owned[:, ::2] *= 0.98
        frame = mixing.align(case.state.owned, case.state.moments)
        results.append((case.state.moments.copy(), mixing.electron_content(frame).copy(), mixing.locked.copy()))
    (moments, content, locked), (moments_2, content_2, locked_2) = results
    np.testing.assert_array_equal(locked, locked_2)
    np.testing.assert_allclose(moments, moments_2, rtol=0.0, atol=1e-12 * np.abs(moments).max())
    # two of three levels are 1e-5 of |H| apart: round-off of the moments, 1e-14, is 1e-9 in the eigenvectors
    np.testing.assert_allclose(content, content_2, rtol=0.0, atol=1e-8 if n_flavors == 3 else 1e-12)


def test_petsc_options_of_the_alignment():
    case, mixing = settled(2, "petsc", petsc_options={"misci_align_snes_max_it": 0})
    case.state.owned[:, ::2] *= 0.98
    with pytest.raises(ConvergenceError, match="DIVERGED_MAX_IT"):
        mixing.align(case.state.owned, case.state.moments)
    case, mixing = settled(2, "petsc", petsc_options={"misci_align_snes_maxit": 9})
    with pytest.raises(ConfigurationError, match=r"misci_align_snes_maxit .*not known"):
        mixing.align(case.state.owned, case.state.moments)
    # neither leaves anything behind
    case, mixing = settled(2, "petsc")
    case.state.owned[:, ::2] *= 0.98
    mixing.align(case.state.owned, case.state.moments)
    assert not mixing.failed.any()


def test_an_old_start_from_richer_populations_does_no_harm():
    """The last moments may be larger than what the present populations could make."""
    for solver in ("local", "petsc"):
        case, mixing = settled(3, solver)
        case.state.owned[:] *= 1e-25
        mixing.align(case.state.owned, case.state.moments)
        assert not mixing.failed.any()
        number = np.einsum("im,imsgk,g->i", case.angles.weight_0, case.state.owned, case.phase_space.number_weight)
        assert (np.abs(case.state.moments).max(axis=(1, 2)) <= 2.0 * number).all()


def test_a_cell_without_solution_is_named_or_held(caplog):
    case, mixing = occupied(self_interaction=True, max_iterations=1)
    with pytest.raises(ConvergenceError, match=r'cell \d: .*relative residual .*on_failure = "hold" would keep'):
        mixing.align(case.state.owned, case.state.moments)
    case, mixing = occupied(self_interaction=True, max_iterations=1, on_failure="hold")
    before = case.state.moments.copy()
    with caplog.at_level(logging.WARNING):
        mixing.align(case.state.owned, case.state.moments)
    failed = np.flatnonzero(mixing.failed)
    assert failed.size == mixing.held > 0
    np.testing.assert_array_equal(case.state.moments[failed], before[failed])
    assert "they keep their previous alignment" in caplog.text


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_a_cell_without_solution_is_moved_to_its_largest_entropy(n_flavors, caplog):
    """Policy "equilibrate": same numbers and energy, aligned afterwards, and carried on by the next alignment."""
    case, mixing = occupied(n_flavors, self_interaction=True, scale=1e-5)
    mixing.align(case.state.owned, case.state.moments)
    # far from where they were aligned: the guess is no solution, and no iteration is allowed
    case.state.owned[..., :n_flavors] = case.state.owned[..., :n_flavors][..., ::-1].copy()
    mixing.max_iterations = 0
    mixing.on_failure = "equilibrate"
    before, guess = case.state.owned.copy(), case.state.moments.copy()
    with caplog.at_level(logging.WARNING):
        mixing.align(case.state.owned, case.state.moments)
    moved = np.flatnonzero(mixing.status == EQUILIBRATED)
    assert moved.size >= 2
    assert not mixing.failed.any()
    assert "moved to that of largest entropy" in caplog.text
    assert caplog.text.count("has no aligned state") == moved.size
    np.testing.assert_array_equal(mixing.equilibrated.times, mixing.status == EQUILIBRATED)
    rest = np.setdiff1d(np.arange(DENSITY.size), moved)
    np.testing.assert_array_equal(case.state.owned[rest], before[rest])
    batch = mixing.medium.take(moved, case.state.owned)
    states = [
        state_of_populations(np.ascontiguousarray(f[moved]), np.ascontiguousarray(d[moved]), batch)
        for f, d in ((before, guess), (case.state.owned, case.state.moments))
    ]
    # the same numbers and energy, more entropy
    numbers = [state[..., :n_flavors].sum(axis=-1) for state in states]
    np.testing.assert_allclose(numbers[1], numbers[0], rtol=1e-12)
    energies = [energy(state, batch) for state in states]
    np.testing.assert_allclose(energies[1].mixing, energies[0].mixing, atol=1e-10 * energies[0].scale.max())
    produced = entropy(states[1], batch) - entropy(states[0], batch)
    assert (produced > 0.0).all()
    np.testing.assert_allclose(mixing.equilibrated.entropy[moved], produced, rtol=1e-6)
    # dU is zero: what turns eigenvectors is what populations lose
    done = mixing.equilibrated
    assert np.abs(done.turning[moved]).min() > 0.0
    scale = HBAR_C * energies[0].scale
    np.testing.assert_allclose(done.turning[moved] + done.shrinking[moved], 0.0, atol=1e-11 * scale.max())
    # an ordinary alignment finds it aligned
    mixing.max_iterations = 50
    after = case.state.moments.copy()
    mixing.align(case.state.owned, case.state.moments)
    assert not mixing.failed.any()
    assert (mixing.status != EQUILIBRATED).all()
    assert mixing.iterations[moved].max() <= 1
    np.testing.assert_allclose(case.state.moments, after, atol=1e-9 * np.abs(after).max())


def test_equilibration_is_undone_and_refused_where_populations_are_given():
    case, mixing = occupied(self_interaction=True, max_iterations=0, on_failure="equilibrate")
    mixing.may_equilibrate = False
    with pytest.raises(ConvergenceError, match="has no solution"):
        mixing.align(case.state.owned, case.state.moments)
    mixing.may_equilibrate = True
    # a state that is no state of neutrinos has none of largest entropy
    case.state.owned[:] = np.nan
    with pytest.raises(ConvergenceError, match="nor a state of largest entropy"):
        mixing.align(case.state.owned, case.state.moments)
    mixing.equilibrated.times[0] = 7
    mixing.undo_charges()
    assert mixing.equilibrated.times[0] == 0


def test_continuation_finds_the_solution_without_a_history():
    case, mixing = occupied(self_interaction=True, scale=1e-3)
    mixing.align(case.state.owned, case.state.moments)
    assert mixing.continued == 0
    found, size = case.state.moments.copy(), np.abs(case.state.moments).max()
    mixing.max_iterations = 4
    case.state.moments[:] = 3.0 * size * np.random.default_rng(1).normal(size=found.shape)
    mixing.align(case.state.owned, case.state.moments)
    assert not mixing.failed.any()
    assert mixing.continued >= 3
    assert mixing.residual.max() <= OPTIONS["tolerance"]
    assert mixing.iterations.max() > 4
    apart = np.abs(case.state.moments - found).max(axis=(1, 2)) / np.abs(found).max(axis=(1, 2))
    # one cell has another solution with the same populations
    assert np.sort(apart)[-2] < 1e-9


def test_moving_matter_bends_the_potential():
    """V (1 - beta mu): the forward beam sees less electrons that move with it."""
    case, mixing = occupied()
    frame = mixing.align(case.state.owned, case.state.moments)
    at_rest = frame.projector[frame.mixed[5]].copy()
    mixing.set_fluid(fluid(velocity=6e9))
    frame = mixing.eigenvectors(case.state.moments)
    moving = frame.projector[frame.mixed[5]]
    # the electron content of the lowest level of neutrinos falls with the potential
    assert (moving[-1, 0, :, 0, 0] > at_rest[-1, 0, :, 0, 0]).all()
    assert (moving[0, 0, :, 0, 0] < at_rest[0, 0, :, 0, 0]).all()


def test_empty_space_is_locked_to_nothing():
    case, mixing = occupied(self_interaction=True, scale=0.0)
    mixing.align(case.state.owned, case.state.moments)
    assert not mixing.failed.any()
    assert not case.state.moments.any()


def test_locked_frame_orders_levels_by_their_energy_in_matter():
    case, _ = occupied()
    frame = LevelFrame.locked(case.phase_space, 2)
    # nu_e is the highest level; the heavy levels of antineutrinos run backwards
    assert frame.component[0].tolist() == [[1, 2, 0], [2, 1, 0]]
    assert frame.mixed_cells.size == 0
    assert NoMixing(case.phase_space, case.cells).status[0] == LOCKED
