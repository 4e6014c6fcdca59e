"""Thermodynamics of mixing on plain arrays: Eqs. (5)-(12) and (S.1)-(S.8)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from misci_transport import thermodynamics
from misci_transport.alignment import align, charge_axes
from misci_transport.errors import ConfigurationError, UnphysicalInputError
from misci_transport.flavor import MixingParameters, pack, unpack
from misci_transport.thermodynamics import maximum_entropy
from misci_transport.thermodynamics.quantities import (
    commutator,
    eigenvalues,
    hamiltonians,
    numbers,
)

DIRECTIONS, GROUPS = 3, 2
COSINE, WEIGHT = np.polynomial.legendre.leggauss(DIRECTIONS)


def random_state(rng, cells, n, directions=DIRECTIONS, groups=GROUPS):
    """Density matrices with random eigenvectors and occupations between 0.05 and 0.95."""
    shape = (cells, directions, 2, groups, n, n)
    basis, _ = np.linalg.qr(rng.normal(size=shape) + 1j * rng.normal(size=shape))
    f = rng.uniform(0.05, 0.95, size=shape[:-1])
    return pack((basis * f[..., None, :]) @ np.conj(np.swapaxes(basis, -1, -2)))


def medium(n, *, strength=1.0, potential=0.7, groups=GROUPS, ordering="normal"):
    """Vacuum term of order one, matter, a shift that breaks every symmetry."""
    mass = MixingParameters.global_fit(ordering).mass_squared_matrix(n)
    return {
        "weight_0": WEIGHT,
        "direction_cosine": COSINE,
        "number_weight": np.linspace(0.3, 0.7, groups),
        "vacuum": mass / np.abs(mass).max() * np.linspace(1.0, 0.4, groups)[:, None],
        "matter_potential": potential,
        "matter_beta": 0.05,
        "strength": strength,
        "n_flavors": n,
    }


def mass_charges(batch):
    """Packed charges of the mass basis."""
    axes = charge_axes(
        "mass", vacuum=batch.vacuum, matter_potential=batch.potential, matter_beta=batch.beta[:, 0], cells=batch.cells
    )
    return axes.matrices()


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("n", [2, 3])
def test_jacobian_is_the_derivative_of_the_residual(rng, n):
    state, batch = thermodynamics.thermal_batch(random_state(rng, 3, n), **medium(n))
    system, y = maximum_entropy._system(state, batch, mass_charges(batch), None, None, None)
    y[:, system.size : system.size + n] = rng.normal(size=(3, n))
    _, jacobian = system.evaluate(y, with_jacobian=True)
    errors = []
    for step in (1.0e-3, 5.0e-4):
        error = 0.0
        for k in range(system.size + n):
            moved = []
            for sign in (1.0, -1.0):
                trial = y.copy()
                trial[:, k] += sign * step * system.unit[:, k]
                moved.append(system.evaluate(trial, with_jacobian=False)[0])
            error = max(error, np.abs((moved[0] - moved[1]) / (2.0 * step) - jacobian[:, :, k]).max())
        errors.append(error)
    assert errors[1] < 1.0e-5
    # central differences: second order
    assert 3.8 < errors[0] / errors[1] < 4.2


def entropy_of_vector(x, n):
    """-S of matrices from real parameters, with a smooth map to eigenvalues in (0, 1): rho = 1/(exp A + 1)."""
    values, vectors = np.linalg.eigh(unpack(x))
    f = 1.0 / (1.0 + np.exp(values))
    rho = pack((vectors * f[..., None, :]) @ np.conj(np.swapaxes(vectors, -1, -2)))
    s = -(f * np.log(f) + (1.0 - f) * np.log1p(-f)).sum(axis=-1)
    return rho, s


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("n", [2, 3])
def test_direct_maximisation_finds_the_same_state(rng, n, held):
    """Signs of Eq. (9): scipy maximises S with numbers, energy and charge given, and knows nothing of Eq. (9)."""
    options = medium(n, groups=1) | {"weight_0": [1.2], "direction_cosine": [0.4], "number_weight": [1.0]}
    state, batch = thermodynamics.thermal_batch(random_state(rng, 1, n, 1, 1), **options)
    charges = mass_charges(batch) if held else None
    found = thermodynamics.equilibrium(state, batch, charges=charges)
    assert found.successful
    assert found.second_law == "holds"
    shape = (1, 1, 2, 1, n * n)

    def constraints(x):
        rho, _ = entropy_of_vector(x.reshape(shape), n)
        rows = [(numbers(rho, n) - numbers(state, n)).ravel()]
        rows.append(thermodynamics.energy(rho, batch).total - thermodynamics.energy(state, batch).total)
        if held:
            rows.append(
                (
                    thermodynamics.charge_densities(rho, charges, batch)
                    - thermodynamics.charge_densities(state, charges, batch)
                ).ravel()
            )
        return np.concatenate(rows)

    values, vectors = np.linalg.eigh(unpack(state))
    start = pack((vectors * np.log(1.0 / values - 1.0)[..., None, :]) @ np.conj(np.swapaxes(vectors, -1, -2)))
    # its search can end in a corner where constraints are dependent ("rank-deficient"): then from beside the start
    for _ in range(10):
        best = minimize(
            lambda x: -1.2 * entropy_of_vector(x.reshape(shape), n)[1].sum(),
            start.ravel() + 1.0e-2 * rng.normal(size=start.size),
            method="SLSQP",
            constraints={"type": "eq", "fun": constraints},
            options={"maxiter": 400, "ftol": 1.0e-14},
        )
        if best.success:
            break
    assert best.success
    assert np.abs(constraints(best.x)).max() < 1.0e-9
    assert found.entropy[0] == pytest.approx(-best.fun, rel=1.0e-8)
    rho, _ = entropy_of_vector(best.x.reshape(shape), n)
    assert np.abs(rho - found.density_matrix).max() < 2.0e-4


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("strength", [0.0, 1.0, 30.0])
def test_constraints_hold_and_the_state_is_aligned(rng, n, strength):
    state, batch = thermodynamics.thermal_batch(random_state(rng, 8, n), **medium(n, strength=strength))
    charges = mass_charges(batch)
    for held in (None, charges):
        found = thermodynamics.equilibrium(state, batch, charges=held)
        assert found.successful
        assert (found.entropy >= found.entropy_before).all()
        assert np.abs(numbers(found.density_matrix, n) - numbers(state, n)).max() < 1.0e-12
        before, after = (thermodynamics.energy(x, batch) for x in (state, found.density_matrix))
        assert np.abs(after.mixing - before.mixing).max() < 1.0e-10 * before.scale.max()
        assert np.abs(after.total - before.total).max() < 1.0e-10 * before.scale.max()
        h = hamiltonians(found.moments, batch)
        if held is not None:
            apart = thermodynamics.charge_densities(found.density_matrix, held, batch)
            assert np.abs(apart - thermodynamics.charge_densities(state, held, batch)).max() < 1.0e-11
            # both species commute with beta H + lambda Q
            extra = np.einsum("ca,cak->ck", found.multipliers, held)[:, None, None, None]
            h = found.inverse_temperature[:, None, None, None, None] * h + extra
        assert commutator(h, found.density_matrix).max() < 1.0e-9 * max(1.0, np.abs(h).max())


def test_directions_on_the_sphere(rng):
    """D_1 is a vector: a state that is turned as a whole has a turned equilibrium with the same entropy."""
    directions = 5
    velocity = rng.normal(size=(directions, 3))
    velocity /= np.linalg.norm(velocity, axis=1, keepdims=True)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    state = random_state(rng, 2, 2, directions)
    options = {k: v for k, v in medium(2, strength=3.0).items() if k != "direction_cosine"}
    results = []
    for given in (velocity, velocity @ turn.T):
        beta = np.array([0.1, 0.0, 0.05])
        changed = {"velocity": given, "weight_0": np.ones(directions)}
        changed["matter_beta"] = beta if given is velocity else turn @ beta
        fields, batch = thermodynamics.thermal_batch(state, **options | changed)
        found = thermodynamics.equilibrium(fields, batch)
        assert found.successful
        assert commutator(hamiltonians(found.moments, batch), found.density_matrix).max() < 1.0e-11
        results.append(found)
    first, second = results
    assert second.entropy == pytest.approx(first.entropy, rel=1.0e-10)
    assert second.moments[:, 0] == pytest.approx(first.moments[:, 0], abs=1.0e-8)
    assert second.moments[:, 1:] == pytest.approx(np.einsum("ab,cbk->cak", turn, first.moments[:, 1:]), abs=1.0e-8)


def test_equilibrating_again_changes_nothing(rng):
    state, batch = thermodynamics.thermal_batch(random_state(rng, 5, 3), **medium(3))
    first = thermodynamics.equilibrium(state, batch)
    again = thermodynamics.equilibrium(first.density_matrix, batch)
    assert (again.entropy >= first.entropy * (1.0 - 1.0e-12)).all()
    assert np.abs(again.density_matrix - first.density_matrix).max() < 1.0e-9
    assert again.inverse_temperature == pytest.approx(first.inverse_temperature, rel=1.0e-7)


@pytest.mark.parametrize("temperature", [0.6, -0.8])
def test_free_energy_has_a_minimum_at_given_temperature(rng, temperature):
    """F = U - T S among states with the same numbers; a maximum for negative temperatures."""
    state, batch = thermodynamics.thermal_batch(0.5 * random_state(rng, 1, 2), **medium(2, strength=0.5))
    found = thermodynamics.equilibrium(state, batch, temperature=temperature)
    assert found.successful
    assert found.second_law == "does not apply"
    least = thermodynamics.free_energy(found.density_matrix, batch, temperature)[0]
    sign = np.sign(temperature)
    shape = found.density_matrix.shape
    changes = []
    for size in (1.0e-2, 5.0e-3):
        worst = np.inf
        total = 0.0
        for seed in range(20):
            random = np.random.default_rng(seed).normal(size=shape) * found.density_matrix[..., :1]
            random[..., 1] = -random[..., 0]
            moved = found.density_matrix + size * random
            assert eigenvalues(moved, 2).min() > 0.0
            assert eigenvalues(moved, 2).max() < 1.0
            change = sign * (thermodynamics.free_energy(moved, batch, temperature)[0] - least)
            worst, total = min(worst, change), total + change
        assert worst > 0.0
        changes.append(total)
    # stationary: the change is of second order
    assert changes[0] / changes[1] == pytest.approx(4.0, rel=0.05)


def test_infinite_temperature_without_charges_is_equipartition(rng):
    """beta = 0: the energy constraint off."""
    state, batch = thermodynamics.thermal_batch(random_state(rng, 2, 3), **medium(3))
    found = thermodynamics.equilibrium(state, batch, inverse_temperature=0.0)
    expected = numbers(state, 3) / 3.0
    assert np.abs(found.density_matrix[..., :3] - expected[..., None]).max() < 1.0e-14
    assert np.abs(found.density_matrix[..., 3:]).max() < 1.0e-14
    with_charges = thermodynamics.equilibrium(state, batch, inverse_temperature=0.0, charges=mass_charges(batch))
    assert with_charges.successful
    assert (with_charges.entropy < found.entropy).all()
    assert (with_charges.entropy > with_charges.entropy_before).all()


@pytest.mark.parametrize("hottest", [False, True])
@pytest.mark.parametrize("n", [2, 3])
def test_low_temperatures_approach_the_aligned_ground_state(rng, n, hottest):
    """Eq. (12): deviations fall faster than any power of T; populations are those of filled levels."""
    state = random_state(rng, 1, n)
    # integers, and a level that is filled in part, which keeps its entropy
    scale = np.ones((DIRECTIONS, 2, GROUPS))
    scale[0], scale[1] = 1.0 / numbers(state, n)[0, 0], 0.4
    state *= scale[None, ..., None]
    state, batch = thermodynamics.thermal_batch(state, **medium(n, strength=0.2))
    ground = thermodynamics.ground_state(state, batch, hottest=hottest)
    assert ground.report.successful
    side = -1.0 if hottest else 1.0
    far = []
    for temperature in (0.1, 0.03, 3.0e-3) if n == 2 else (2.0e-2, 5.0e-3, 3.0e-4):
        found = thermodynamics.equilibrium(state, batch, temperature=side * temperature, branches=("path",))
        assert found.successful
        far.append(np.abs(found.density_matrix - ground.density_matrix).max())
    assert far[0] > 3.0 * far[1]
    assert far[2] < 1.0e-12
    assert found.entropy == pytest.approx(ground.entropy, rel=1.0e-5)
    assert ground.entropy[0] > 0.1
    # the same state by the alignment with |P| as large as the numbers allow
    guess = ground.moments.copy()
    options = medium(n, strength=0.2)
    report = align(
        ground.populations, guess, weight_1=WEIGHT * COSINE,
        **{k: v for k, v in options.items() if k not in ("matter_potential", "matter_beta")},
        matter_potential=batch.potential, matter_beta=batch.beta[:, 0],
    )  # fmt: skip
    assert report.successful
    assert guess == pytest.approx(ground.moments, abs=1.0e-11)


def test_input_in_its_ground_state_is_found_at_a_low_temperature():
    """The equilibrium of a ground state is this state; beta is as large as the tolerance can tell."""
    options = medium(2, strength=0.0) | {"matter_beta": 0.0}
    state = np.zeros((1, DIRECTIONS, 2, GROUPS, 4))
    for g in range(GROUPS):
        for species, sign in ((0, 1.0), (1, -1.0)):
            h = sign * options["vacuum"][g] + np.array([0.7, 0.0, 0.0, 0.0])
            _, vectors = np.linalg.eigh(unpack(h))
            lowest = vectors[:, species : species + 1]
            state[:, :, species, g] = 0.3 * pack(lowest @ lowest.conj().T)
    state, batch = thermodynamics.thermal_batch(state, **options)
    found = thermodynamics.equilibrium(state, batch)
    assert found.successful
    assert found.inverse_temperature[0] > 20.0
    assert found.density_matrix == pytest.approx(state, abs=1.0e-9)


@pytest.mark.parametrize("strength", [0.3, 5.0])
def test_decoupled_third_flavor_is_two_flavors(rng, strength):
    """A flavour whose mass is large against T, and that does not mix, is empty in both species."""
    two = random_state(rng, 4, 2)
    options = medium(2, strength=strength)
    small, batch = thermodynamics.thermal_batch(two, **options)
    place = [0, 1, 3, 4]
    three = np.zeros((*two.shape[:-1], 9))
    three[..., place] = two
    vacuum = np.zeros((GROUPS, 9))
    vacuum[:, place] = options["vacuum"]
    # neutrinos have the energy H, antineutrinos -Hbar: the mass term lifts the flavour in both
    vacuum[:, 2] = 200.0
    big, big_batch = thermodynamics.thermal_batch(three, **options | {"n_flavors": 3, "vacuum": vacuum})
    assert thermodynamics.energy(big, big_batch).total == pytest.approx(thermodynamics.energy(small, batch).total)
    assert thermodynamics.entropy(big, big_batch) == pytest.approx(thermodynamics.entropy(small, batch))
    expected = thermodynamics.equilibrium(small, batch, temperature=1.5)
    found = thermodynamics.equilibrium(big, big_batch, temperature=1.5)
    assert expected.successful
    assert found.successful
    assert found.density_matrix[..., place] == pytest.approx(expected.density_matrix, abs=1.0e-10)
    assert np.abs(found.density_matrix[..., 2]).max() < 1.0e-10
    assert found.entropy == pytest.approx(expected.entropy, rel=1.0e-10)


def test_second_law_of_every_call_and_faults_of_input(rng):
    state, batch = thermodynamics.thermal_batch(random_state(rng, 2, 2), **medium(2))
    with pytest.raises(ConfigurationError, match="one of energy, temperature"):
        thermodynamics.equilibrium(state, batch, energy=0.0, temperature=1.0)
    with pytest.raises(ConfigurationError, match="temperature is 0"):
        thermodynamics.equilibrium(state, batch, temperature=0.0)
    with pytest.raises(ConfigurationError, match="branches"):
        thermodynamics.equilibrium(state, batch, branches=("nearest",))
    with pytest.raises(ConfigurationError, match="charges have shape"):
        thermodynamics.equilibrium(state, batch, charges=np.zeros((3, 4)))
    with pytest.raises(UnphysicalInputError, match=r"eigenvalue of a density matrix lies .* accepted: \[0, 1\]"):
        thermodynamics.thermal_batch(2.0 * state, **medium(2))
    negative, other = thermodynamics.thermal_batch(state, **medium(2) | {"weight_0": -WEIGHT})
    with pytest.raises(ConfigurationError, match="weight of a direction"):
        thermodynamics.equilibrium(negative, other)
    # an energy that no state has is a reported failure, and the input is handed back
    none = thermodynamics.equilibrium(state, batch, energy=1.0e3, branches=("input", "path"))
    assert none.failures.tolist() == [0, 1]
    assert "relative residual" in none.describe_failures()
    assert none.density_matrix == pytest.approx(state)
    assert none.second_law == "does not apply"


@pytest.mark.parametrize("n", [2, 3])
def test_kinematic_decoherence_keeps_the_diagonal_in_the_mass_basis(rng, n):
    """(S.1) from (S.8); with three flavours Eq. (9), which knows Tr(H rho) only, has more entropy."""
    state = random_state(rng, 1, n, 1, 1)
    h = MixingParameters.global_fit().mass_squared_matrix(n)
    given = state[0, 0, 0, 0]
    found = thermodynamics.decohere(given, h)
    _, vectors = np.linalg.eigh(unpack(h))
    inside = vectors.conj().T @ unpack(given) @ vectors
    expected = (vectors * np.diag(inside).real) @ vectors.conj().T
    assert np.abs(unpack(found.density_matrix) - expected).max() < 1.0e-12
    assert found.multipliers.shape == (n + 1,)
    options = {
        "weight_0": [1.0], "direction_cosine": [1.0], "number_weight": [1.0], "vacuum": h[None],
        "matter_potential": 0.0, "matter_beta": 0.0, "strength": 0.0, "n_flavors": n,
    }  # fmt: skip
    one = np.zeros_like(state)
    one[0, 0, 0, 0] = given
    one, batch = thermodynamics.thermal_batch(one, **options)
    canonical = thermodynamics.equilibrium(one, batch)
    assert canonical.successful
    apart = np.abs(canonical.density_matrix[0, 0, 0, 0] - found.density_matrix).max()
    assert (apart < 1.0e-10) if n == 2 else (apart > 1.0e-3)
    with pytest.raises(ConfigurationError, match="equal eigenvalues"):
        thermodynamics.decohere(given, np.zeros(n * n))
    # an empty level needs infinite multipliers; large ones are as good
    pure = pack(vectors[:, :1] @ vectors[:, :1].conj().T)
    assert thermodynamics.decohere(pure, h).density_matrix == pytest.approx(pure, abs=1.0e-12)


def test_random_distributions_converge_or_are_reported(rng):
    """A small part of benchmarks/equilibrium.py."""
    for n in (2, 3):
        state = random_state(rng, 40, n)
        strength = 10.0 ** rng.uniform(-2, 2)
        state, batch = thermodynamics.thermal_batch(state * 10.0 ** rng.uniform(-3, 0), **medium(n, strength=strength))
        found = thermodynamics.equilibrium(state, batch)
        good = found.status == thermodynamics.CONVERGED
        assert good.mean() > 0.95
        assert (found.residual[good] <= 1.0e-10).all()
        assert set(np.flatnonzero(~good)) == set(found.failures)
