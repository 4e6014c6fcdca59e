"""The two schemes of Eq. (13): populations (the default) and density matrices (the reference)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from misci_transport.constants import HBAR_C
from misci_transport.energy import EnergyGrid
from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.flavor import MixingParameters
from misci_transport.fluid import Fluid
from misci_transport.grid import RadialMesh
from misci_transport.physics import population_scheme
from misci_transport.physics.collisions import CollisionOperator
from misci_transport.physics.hamiltonian import Hamiltonian
from misci_transport.physics.matrix_scheme import MatrixScheme
from misci_transport.physics.mixing import LocalMixing
from misci_transport.physics.population_scheme import PopulationScheme
from misci_transport.quadrature import AngularGrid
from misci_transport.rates import EnergyCoupling, Rates
from misci_transport.verify.setup import Case

CELLS, GROUPS = 5, 2
ENERGY = EnergyGrid.logarithmic(5.0, 20.0, GROUPS)


def mixed_case(density, n_flavors=3, rates=None, geometry="plane", **mixing):
    """Populations that differ from level to level in matter of the given density."""
    mesh = RadialMesh.uniform(0.0, 1.0e6, CELLS, geometry)
    # a limiter acts on matrix elements otherwise than on populations
    case = Case(
        mesh, AngularGrid.ordinates(mesh, 4), energy=ENERGY, n_flavors=n_flavors, rates=rates, second_order=False
    )
    rng = np.random.default_rng(5)
    # apart from each other: the matrix scheme tells levels by the order of their populations
    case.state.owned[:] = np.array([0.1, 0.3, 0.6]) * rng.uniform(0.8, 1.2, case.state.owned.shape)
    parameters = MixingParameters.global_fit("normal")
    hamiltonian = Hamiltonian.build(parameters, ENERGY, n_flavors, self_interaction=False)
    options = {"solver": "local", "tolerance": 1e-12, "max_iterations": 50, "on_failure": "stop"} | mixing
    local = LocalMixing(case.phase_space, case.decomposition, hamiltonian, **options)
    one = np.ones(CELLS)
    local.set_fluid(Fluid(density * one, one, 0.5 * one, 0.0 * one))
    case.mix(local)
    return case


def matrix_scheme(case):
    scheme = MatrixScheme(case.advection, case.mixing)
    case.use(scheme)
    return scheme


@pytest.mark.parametrize("n_flavors", [2, 3])
@pytest.mark.parametrize("density", [1e2, 3e3, 1e12])
def test_matrices_lead_back_to_their_populations(n_flavors, density):
    case = mixed_case(density, n_flavors)
    scheme = matrix_scheme(case)
    before = case.state.owned.copy()
    # eigenvalues are given back in the order of the populations that they came from
    scheme.load(case.state)
    scheme.store(case.state)
    np.testing.assert_allclose(case.state.owned, before, rtol=0.0, atol=1e-13)
    content = case.stepper.exchange.content(before.sum(axis=-1))
    turning = HBAR_C * case.mixing.potential * (content["neutrinos"] + content["antineutrinos"])
    assert (np.abs(scheme.heat(case.state)) < 1e-12 * turning).all()


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_the_matrix_of_a_level_has_its_projector(n_flavors):
    """J of populations with the frame's projectors is the mean of the density matrices."""
    case = mixed_case(1e3, n_flavors)
    scheme = matrix_scheme(case)
    matrices = scheme.load(case.state)
    moments = case.collisions.moments(np.ascontiguousarray(case.state.owned), case.frame)
    expected = 0.5 * np.einsum("im,imsgc->isgc", case.collisions.weight[:, 0], matrices)
    found = {tuple(pair): [] for pair in scheme.flavor.tolist()}
    for c, pair in enumerate(scheme.flavor.tolist()):
        found[tuple(pair)].append(expected[..., c])
    diagonal = [found[(a, a)][0] for a in range(3)]
    np.testing.assert_allclose(moments[:, :, 0, :, :3], np.stack(diagonal, axis=-1), atol=1e-13)
    off = [part for (a, b), parts in sorted(found.items()) if a != b for part in parts]
    # the sign of an imaginary part depends on which of the two elements is kept
    np.testing.assert_allclose(np.abs(moments[:, :, 0, :, 3:]), np.abs(np.stack(off, axis=-1)), atol=1e-13)


def test_both_schemes_agree_where_the_eigenvectors_are_the_same_everywhere():
    """At high density nothing turns: a step of matrices is a step of populations."""
    results = []
    rates = Rates.zero(CELLS, GROUPS)
    rng = np.random.default_rng(3)
    rates.emissivity[:] = rng.uniform(0.0, 1e-7, rates.emissivity.shape)
    rates.absorption[:] = rng.uniform(0.0, 1e-6, rates.absorption.shape)
    rates.absorption[:, :, 2], rates.emissivity[:, :, 2] = rates.absorption[:, :, 1], rates.emissivity[:, :, 1]
    rates.scattering_0[:] = 3e-7
    for matrices in (False, True):
        case = mixed_case(1e14, rates=rates)
        if matrices:
            matrix_scheme(case)
        for _ in range(3):
            result = case.step(0.2e6 / 4)
        assert max(abs(result.ledger.imbalance(q)) / result.ledger.before[q] for q in result.ledger.before) < 1e-13
        results.append((case.populations(), result.sources))
    (one, source), (other, source_2) = results
    np.testing.assert_allclose(one, other, atol=1e-9)
    np.testing.assert_allclose(source.energy, source_2.energy, rtol=1e-7)


@pytest.mark.parametrize("n_flavors", [2, 3])
def test_coherence_is_damped_at_the_mean_rate(n_flavors):
    """Backward Euler of d rho_ab/dt = -(kappa_a + kappa_b)/2 rho_ab."""
    rates = Rates.zero(CELLS, GROUPS)
    rng = np.random.default_rng(9)
    rates.absorption[:] = rng.uniform(0.5, 2.0, rates.absorption.shape)
    case = mixed_case(1e3, n_flavors, rates)
    scheme = matrix_scheme(case)
    start = rng.normal(size=scheme.load(case.state).shape)
    out = start.copy()
    h = 0.7
    redistribution = np.zeros_like(case.advection.redistribution)
    assert scheme.collide(start, case.collisions, case.frame, h, redistribution, out) == 0
    a, b = scheme.flavor.T
    kappa = 0.5 * (rates.absorption[:, :, a] + rates.absorption[:, :, b]).transpose(0, 1, 3, 2)
    np.testing.assert_allclose(out, start / (1.0 + h * kappa[:, None]), rtol=1e-13)


def test_matrices_without_energy_coupling_only():
    rates = Rates.zero(CELLS, GROUPS)
    kernel = np.zeros((CELLS, 2, GROUPS, GROUPS))
    rates.coupling.append(EnergyCoupling("electron_scattering", "scattering", np.ones((2, 3)), kernel, kernel))
    case = mixed_case(1e3, rates=rates)
    matrix_scheme(case)
    before = case.state.owned.copy()
    with pytest.raises(ConfigurationError, match=r'scheme = "matrix": accepted without .*, but electron_scattering'):
        case.step(1e4)
    np.testing.assert_allclose(case.state.owned, before, rtol=0.0, atol=0.0)
    assert case.state.step == 0


def test_populations_of_a_failed_step_are_put_back(monkeypatch):
    case = mixed_case(1e12)
    before, moments = case.state.owned.copy(), case.state.moments.copy()

    def refuse(*_):
        raise ConvergenceError("cell 3: no descent")

    align = case.mixing.align
    monkeypatch.setattr(case.mixing, "align", refuse)
    with pytest.raises(ConvergenceError, match="cell 3"):
        case.step(1e5)
    np.testing.assert_array_equal(case.state.owned, before)
    np.testing.assert_array_equal(case.state.moments, moments)
    assert (case.state.time, case.state.step) == (0.0, 0)
    monkeypatch.setattr(case.mixing, "align", align)
    case.step(1e5)
    assert np.abs(case.state.owned - before).max() > 1e-3


def test_collisions_without_a_solution_name_the_cell(monkeypatch):
    monkeypatch.setattr(population_scheme, "COLLISION_ITERATIONS", 1)
    rates = Rates.zero(CELLS, GROUPS)
    kernel = np.zeros((CELLS, 2, GROUPS, GROUPS))
    kernel[2:, 0] = 1e6  # cells 2 and up exchange energy faster than one iteration settles
    rates.coupling.append(EnergyCoupling("exchange", "scattering", np.ones((2, 3)), kernel, kernel))
    case = mixed_case(1e14, rates=rates)
    with pytest.raises(ConvergenceError, match=r"implicit collisions in cell [234] .*time step"):
        case.step(1e5)


def test_opacity_of_matrix_elements_is_the_mean_of_both_flavors():
    rates = Rates.zero(CELLS, GROUPS)
    rates.absorption[:, :, 0] = 4.0
    rates.absorption[:, :, 1:] = 2.0
    case = mixed_case(1e14, rates=rates)
    scheme = matrix_scheme(case)
    seen = []
    scheme.advection = SimpleNamespace(upwind_fraction=lambda opacity: seen.append(opacity) or opacity)
    scheme.upwind_fraction(CollisionOperator(case.phase_space, rates, slice(0, CELLS)), case.frame)
    expected = [4.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 2.0, 2.0]
    np.testing.assert_allclose(seen[0], np.broadcast_to(expected, seen[0].shape))


def test_population_scheme_works_in_place():
    case = mixed_case(1e14)
    scheme = PopulationScheme(case.advection, case.decomposition)
    view = scheme.load(case.state)
    assert np.shares_memory(view, case.state.populations)
    old = view.copy()
    view[:] = 0.0
    scheme.undo(case.state, old)
    np.testing.assert_array_equal(case.state.owned, old)
    assert scheme.heat(case.state).tolist() == [0.0] * CELLS
