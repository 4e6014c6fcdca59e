"""The alignment interface: physics of two and three flavours, conversions, statuses, arguments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from misci_transport.alignment import (
    CONVERGED,
    EQUILIBRATED,
    LOCKED,
    MAX_ITERATIONS,
    NO_DESCENT,
    NOT_FINITE,
    SINGULAR,
    STATUS_NAMES,
    AlignmentReport,
    align,
    density_matrices,
    eigen_populations,
    mixing_probabilities,
    project,
)
from misci_transport.errors import ConfigurationError
from misci_transport.flavor import MixingParameters, pack, unpack

SPECTRUM = np.array([0.6, 1.0, 0.7])
FREQUENCY = np.array([2.5, 1.0, 0.4])


def vacuum(n, ordering="normal", theta=0.15):
    """M^2/2E with the heavy splitting dm2/2E equal to FREQUENCY."""
    if n == 2:
        mixing = MixingParameters.two_flavor(theta, 2.5e-3 if ordering == "normal" else -2.5e-3)
    else:
        mixing = MixingParameters.global_fit(ordering)
    return mixing.mass_squared_matrix(n)[None] / 2.5e-3 * FREQUENCY[:, None]


def flavour_state(n, potential, strength, ordering="normal", cells=1, directions=4, antineutrinos=0.5, heavy=0.1):
    """Cells in a flavour state: (populations, moments, keyword arguments); nu_e dominate, forward-peaked."""
    cosine, weight = np.polynomial.legendre.leggauss(directions)
    occupation = np.array([[0.8, heavy, heavy], [0.8 * antineutrinos, heavy, heavy]])
    shape = SPECTRUM[:, None] * np.exp(0.5 * (cosine - 1.0))[:, None, None]  # (direction, group, 1)
    f = shape[:, None] * occupation[None, :, None, :]
    components = n * n + 3 - n
    matrix = np.zeros((cells, directions, 2, 3, components))
    matrix[..., :n] = f[..., :n]
    if n == 2:
        matrix[..., 4] = f[..., 2]
    number_weight = np.full(3, 1.0 / 3.0)
    moments = np.zeros((cells, 2, n * n))
    for order, w in enumerate((weight, weight * cosine)):
        moments[:, order, :n] = np.einsum("msgf,m,g,s->f", f[..., :n], w, number_weight, [1.0, -1.0])
    frame = {
        "direction_cosine": cosine,
        "vacuum": vacuum(n, ordering),
        "matter_potential": potential,
        "matter_beta": 0.0,
        "strength": strength,
        "n_flavors": n,
    }
    populations = project(matrix, moments, **frame)
    arguments = {**frame, "weight_0": weight, "weight_1": weight * cosine, "number_weight": number_weight}
    return populations, moments, arguments


def frame_of(arguments):
    return {k: v for k, v in arguments.items() if k not in ("weight_0", "weight_1", "number_weight")}


def moments_of(populations, moments, arguments):
    """D_out, from the density matrices."""
    n = arguments["n_flavors"]
    matrix = density_matrices(populations, moments, **frame_of(arguments))[..., : n * n]
    return np.stack(
        [
            np.einsum("cmsgk,m,g,s->ck", matrix, arguments[name], arguments["number_weight"], [1.0, -1.0])
            for name in ("weight_0", "weight_1")
        ],
        axis=1,
    )


def scale_of(populations, arguments):
    n = arguments["n_flavors"]
    return np.einsum("cmsgk,m,g->", populations[..., :n], arguments["weight_0"], arguments["number_weight"])


@given(st.floats(1e-8, np.pi / 2 - 1e-8), st.floats(-8.0, 8.0), st.sampled_from([1.0, -1.0]))
def test_msw_angle(theta, exponent, sign):
    """tan 2 theta_m = sin 2 theta / (cos 2 theta -+ V/w): the exact mixing in matter of two flavours."""
    potential = 10.0**exponent
    mass = MixingParameters.two_flavor(theta, sign).mass_squared_matrix(2)[None]
    probability = mixing_probabilities(
        np.zeros((2, 4)),
        direction_cosine=[0.3],
        vacuum=mass,
        matter_potential=potential,
        matter_beta=0.0,
        strength=0.0,
        n_flavors=2,
    )
    for species, v in ((0, potential), (1, -potential)):
        h = np.array([v - sign * np.cos(2 * theta), sign * np.sin(2 * theta)]) * (1 if species == 0 else -1)
        top = 0.5 * (1.0 + h[0] / np.hypot(*h))
        # near the resonance the diagonal of H is a difference of rounded numbers
        rounding = 1e-15 * (1.0 + potential) / np.hypot(*h)
        assert probability[0, species, 0, 0, 1] == pytest.approx(top, abs=rounding)
        assert probability[0, species, 0, :2, :2].sum() == pytest.approx(2.0, rel=1e-15)
        smaller = min(probability[0, species, 0, 0, :2])
        exact = 0.5 * h[1] ** 2 / (np.hypot(*h) * (np.hypot(*h) + abs(h[0])))
        assert smaller == pytest.approx(exact, rel=10 * rounding)
    assert probability[0, 0, 0, 2].tolist() == [0.0, 0.0, 1.0]
    assert probability[0, 0, 0, :, 2].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("ordering", ["normal", "inverted"])
def test_survival_probabilities_at_both_ends(ordering):
    """Dense matter: nu_e is the top level, nubar_e too (of Hbar); vacuum: levels are mass states."""
    mixing = MixingParameters.global_fit(ordering)
    common = {
        "direction_cosine": [0.5],
        "vacuum": mixing.mass_squared_matrix(3)[None],
        "matter_beta": 0.0,
        "strength": 0.0,
        "n_flavors": 3,
    }
    dense = mixing_probabilities(np.zeros((2, 9)), matter_potential=1e6, **common)[0, :, 0]
    assert dense[0, 0, 2] == pytest.approx(1.0, abs=1e-15)
    assert dense[1, 0, 2] == pytest.approx(1.0, abs=1e-15)
    free = mixing_probabilities(np.zeros((2, 9)), matter_potential=0.0, **common)[0, :, 0]
    u = abs(mixing.matrix[0]) ** 2
    top, top_bar = (u[2], u[0]) if ordering == "normal" else (u[1], u[2])
    assert free[0, 0, 2] == pytest.approx(top, abs=1e-13)
    assert free[1, 0, 2] == pytest.approx(top_bar, abs=1e-13)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("ordering", ["normal", "inverted"])
@pytest.mark.parametrize("potential", 10.0 ** np.arange(2.0, 9.0))
def test_six_decades_of_matter(n, ordering, potential):
    """Seven iterations suffice where matter keeps the state regular, for six decades of self-interaction each."""
    for strength in 10.0 ** np.arange(-3.0, 4.0):
        populations, moments, arguments = flavour_state(n, potential, strength, ordering)
        for shortcut in (True, False):
            solution = moments.copy()
            report = align(populations, solution, shortcut=shortcut, **arguments)
            assert report.successful, report.describe_failures()
            assert report.iterations.max() <= 7
            assert report.residual.max() <= 1e-12
            scale = scale_of(populations, arguments)
            np.testing.assert_allclose(
                moments_of(populations, solution, arguments), solution, atol=2e-12 * scale, rtol=0.0
            )


@pytest.mark.parametrize("n", [2, 3])
def test_weak_self_interaction_down_to_vacuum(n):
    for potential in (0.0, 0.1, 1.0, 10.0):
        for strength in (0.0, 1e-4, 1e-2):
            populations, moments, arguments = flavour_state(n, potential, strength)
            report = align(populations, moments, **arguments)
            assert report.status.tolist() == [CONVERGED]
            assert report.iterations.max() <= 7
            np.testing.assert_allclose(moments_of(populations, moments, arguments), moments, atol=1e-11)


def test_three_flavours_with_one_decoupled_are_two():
    """Without mixing to nu_mu and with equal populations of what decouples, D of e and tau is that of two flavours."""
    for strength, potential in ((0.3, 2.0), (3.0, 40.0), (1e3, 1e4)):
        populations, moments, arguments = flavour_state(2, potential, strength, heavy=0.1)
        two = moments.copy()
        assert align(populations, two, **arguments).successful
        mixing = MixingParameters.two_flavor(0.15, 2.5e-3)
        full = mixing.mass_squared_matrix(3)[None] / 2.5e-3 * FREQUENCY[:, None]
        matrix = np.zeros((*populations.shape[:-1], 3, 3), complex)
        pair = unpack(density_matrices(populations, two, **frame_of(arguments))[..., :4])
        matrix[..., 0, 0], matrix[..., 0, 2] = pair[..., 0, 0], pair[..., 0, 1]
        matrix[..., 2, 0], matrix[..., 2, 2] = pair[..., 1, 0], pair[..., 1, 1]
        matrix[..., 1, 1] = populations[..., 2]
        guess = np.zeros((1, 2, 9))
        guess[..., 0], guess[..., 2] = two[..., 0], two[..., 1]
        guess[..., 5:7] = two[..., 2:4]
        guess[..., 1] = moments_of_level(populations, arguments)
        other = {**arguments, "vacuum": full, "n_flavors": 3}
        levels = project(pack(matrix), guess, **frame_of(other))
        three = guess.copy()
        three[..., 0] *= 1.001
        assert align(levels, three, **other).successful
        scale = scale_of(populations, arguments)
        np.testing.assert_allclose(three, guess, atol=1e-11 * scale)


def moments_of_level(populations, arguments):
    """Moments of the unmixed level 2."""
    return np.stack(
        [
            np.einsum("cmsg,m,g,s->c", populations[..., 2], arguments[name], arguments["number_weight"], [1.0, -1.0])
            for name in ("weight_0", "weight_1")
        ],
        axis=1,
    )


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.floats(-6.0, 6.0), st.floats(-6.0, 6.0))
def test_random_cells_are_solved_or_reported(seed, n, log_strength, log_potential):
    """Whatever the cell: a state returned as good is self-consistent, and a failure leaves the guess."""
    rng = np.random.default_rng(seed)
    _, guess, arguments = flavour_state(n, 10.0**log_potential, 10.0**log_strength, cells=4)
    populations = rng.uniform(0.0, 1.0, size=(4, 4, 2, 3, 3))
    moments = guess.copy()
    report = align(populations, moments, **arguments)
    good = (report.status == CONVERGED) | (report.status == LOCKED)
    assert (report.residual[good] <= 1e-12).all()
    assert (moments[~good] == guess[~good]).all()
    assert report.failures.tolist() == np.flatnonzero(~good).tolist()
    out = moments_of(populations, moments, arguments)
    scale = np.einsum("cmsgk,m,g->c", populations[..., :n], arguments["weight_0"], arguments["number_weight"])
    # D itself is rounded: what round-off in it does to D_out is bounded by the Jacobian
    error = abs(out - moments).max(axis=(1, 2)) / scale
    assert (error[good] <= 3e-12 + 1e-15 * 10.0**log_strength).all()


@pytest.mark.parametrize("n", [2, 3])
def test_previous_solution_is_a_good_start(n):
    populations, moments, arguments = flavour_state(n, 3.0, 0.05)
    assert align(populations, moments, **arguments).successful
    again = align(populations, moments, **arguments)
    assert again.iterations.max() <= 1
    report = align(populations * 1.001, moments, **arguments)
    assert report.iterations.max() <= 4


@pytest.mark.parametrize("n", [2, 3])
def test_projection_inverts_density_matrices(n):
    populations, moments, arguments = flavour_state(n, 2.0, 0.3)
    frame = frame_of(arguments)
    matrix = density_matrices(populations, moments, **frame)
    assert matrix.shape[-1] == (5 if n == 2 else 9)
    np.testing.assert_allclose(project(matrix, moments, **frame), populations, atol=1e-15)
    traces = matrix[..., :n].sum(axis=-1)
    np.testing.assert_allclose(traces, populations[..., :n].sum(axis=-1), rtol=1e-14)
    probability = mixing_probabilities(moments, **frame)
    np.testing.assert_allclose(
        np.einsum("...fk,...k->...f", probability, populations)[..., :n], matrix[..., :n], atol=1e-15
    )
    np.testing.assert_allclose(probability.sum(axis=-1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(probability.sum(axis=-2), 1.0, rtol=1e-14)
    single = density_matrices(populations[0], moments[0], **frame)
    np.testing.assert_array_equal(single, matrix[0])


@pytest.mark.parametrize("n", [2, 3])
def test_density_matrices_commute_with_their_hamiltonian(n):
    populations, moments, arguments = flavour_state(n, 2.0, 0.3)
    align(populations, moments, **arguments)
    matrix = unpack(density_matrices(populations, moments, **frame_of(arguments))[..., : n * n])[0]
    d = unpack(moments[0])
    for m, mu in enumerate(arguments["direction_cosine"]):
        for species, sign in ((0, 1.0), (1, -1.0)):
            for g in range(3):
                h = sign * unpack(arguments["vacuum"][g]) + 0.3 * (d[0] - mu * d[1])
                h[0, 0] += 2.0
                commutator = h @ matrix[m, species, g] - matrix[m, species, g] @ h
                assert abs(commutator).max() < 1e-13


@pytest.mark.parametrize("n", [2, 3])
def test_eigen_populations_follow_the_previous_order(n):
    rng = np.random.default_rng(3)
    populations = rng.uniform(0.0, 1.0, size=(2, 4, 2, 3, 3))
    _, moments, arguments = flavour_state(n, 2.0, 0.3, cells=2)
    matrix = density_matrices(populations, moments, **frame_of(arguments))
    result = eigen_populations(matrix, populations, n_flavors=n)
    np.testing.assert_allclose(result, populations, atol=1e-14)
    swapped = populations.copy()
    swapped[..., :2] = populations[..., 1::-1]
    np.testing.assert_allclose(eigen_populations(matrix, swapped, n_flavors=n), swapped, atol=1e-14)


def test_matter_motion_and_rays():
    """V (1 - beta mu): for beta = 1 matter is not felt along mu = 1."""
    probability = mixing_probabilities(
        np.zeros((2, 4)),
        direction_cosine=[1.0, -1.0],
        vacuum=vacuum(2),
        matter_potential=5.0,
        matter_beta=1.0,
        strength=0.0,
        n_flavors=2,
    )
    other = mixing_probabilities(
        np.zeros((2, 4)),
        direction_cosine=[0.0],
        vacuum=vacuum(2),
        matter_potential=[10.0],
        matter_beta=0.0,
        strength=0.0,
        n_flavors=2,
    )
    np.testing.assert_allclose(probability[0, 0, :, 0, 1], np.sin(0.15) ** 2, rtol=1e-13)
    np.testing.assert_allclose(probability[1], other[0], rtol=1e-13)


@pytest.mark.parametrize("n", [2, 3])
def test_self_interaction_along_a_ray(n):
    """A shift that equals strength (D_0 - mu D_1) does the same as the moments."""
    _, moments, arguments = flavour_state(n, 1.0, 0.7)
    frame = frame_of(arguments)
    with_moments = mixing_probabilities(moments, **frame)
    with_shift = mixing_probabilities(np.zeros_like(moments), shift=0.7 * moments, **frame)
    np.testing.assert_allclose(with_moments, with_shift, atol=1e-13)


def test_cells_are_independent():
    parts = [flavour_state(2, potential, 0.05) for potential in (0.3, 1e9, 30.0)]
    populations = np.concatenate([p[0] for p in parts])
    moments = np.concatenate([p[1] for p in parts])
    arguments = {**parts[0][2], "matter_potential": [0.3, 1e9, 30.0]}
    cosine = arguments["direction_cosine"]
    arguments["direction_cosine"] = np.tile(cosine, (3, 1))
    report = align(populations, moments, **arguments)
    assert report.status.tolist() == [CONVERGED, LOCKED, CONVERGED]
    assert report.locked.tolist() == [False, True, False]
    for cell, (alone, guess, own) in enumerate(parts):
        single = guess[0].copy()
        align(alone[0], single, **own)
        np.testing.assert_array_equal(moments[cell], single)


def test_failures_are_reported_and_leave_the_guess():
    populations, moments, arguments = flavour_state(2, [1.0, np.nan], 0.5, cells=2)
    before = moments.copy()
    report = align(populations, moments, max_iterations=0, **arguments)
    assert report.status.tolist() == [MAX_ITERATIONS, NOT_FINITE]
    assert report.failures.tolist() == [0, 1]
    assert not report.successful
    np.testing.assert_array_equal(moments, before)
    text = report.describe_failures(numbers=np.arange(7, 7 + report.status.size))
    assert "cell 7: max iterations after 0 iterations" in text
    assert "cell 8: not finite" in text
    assert report.describe_failures(limit=1).endswith("and 1 more cells")


def test_no_vacuum_and_no_matter_has_no_aligned_state_to_find():
    """Neutrinos alone fix no axis: every rotation of a solution is one, and the Jacobian is singular."""
    populations, _, arguments = flavour_state(2, 0.0, 1.0)
    arguments["vacuum"] = np.zeros((3, 4))
    moments = np.zeros((1, 2, 4))
    assert align(populations, moments, **arguments).status[0] in (SINGULAR, NO_DESCENT)
    assert abs(moments).max() == 0.0


def test_status_names():
    assert STATUS_NAMES[LOCKED] == "locked"
    assert STATUS_NAMES[NOT_FINITE] == "not finite"
    assert len(STATUS_NAMES) == EQUILIBRATED + 1
    assert STATUS_NAMES[EQUILIBRATED] == "equilibrated"
    report = AlignmentReport(np.array([0, 1, 3]), np.zeros(3, int), np.zeros(3))
    assert report.failures.tolist() == [2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_flavors": 4}, "n_flavors is 4; accepted: 2 or 3"),
        ({"n_flavors": 3}, r"vacuum has shape \(3, 4\); accepted: \(group, 9\)"),
        ({"weight_0": np.ones(3)}, "weight_0 has shape"),
        ({"weight_1": np.ones((2, 4))}, "weight_1 has shape"),
        ({"number_weight": np.ones(2)}, "number_weight has shape"),
        ({"matter_potential": np.ones(2)}, "matter_potential has shape"),
        ({"direction_cosine": np.empty(0)}, "direction_cosine is empty"),
        ({"direction_cosine": np.zeros(5), "weight_0": np.ones(5), "weight_1": np.ones(5)}, "populations has shape"),
        ({"shift": np.zeros((2, 9))}, "shift has shape"),
        ({"tolerance": 0.0}, r"tolerance is 0.0; accepted: \(0, 1\)"),
        ({"max_iterations": -1}, "max_iterations is -1"),
    ],
)
def test_arguments_that_do_not_fit(change, words):
    populations, moments, arguments = flavour_state(2, 1.0, 0.5)
    with pytest.raises(ConfigurationError, match=words):
        align(populations, moments, **{**arguments, **change})


def test_arrays_that_do_not_fit():
    populations, moments, arguments = flavour_state(2, 1.0, 0.5)
    frame = frame_of(arguments)
    with pytest.raises(ConfigurationError, match="moments must be a writable float64 array"):
        align(populations, moments.astype(np.float32), **arguments)
    with pytest.raises(ConfigurationError, match="populations has 2 axes"):
        align(np.zeros((2, 2)), moments, **arguments)
    with pytest.raises(ConfigurationError, match="populations have 1 levels"):
        align(populations[..., :1], moments, **arguments)
    with pytest.raises(ConfigurationError, match="moments has shape"):
        align(populations, np.zeros((1, 2, 9)), **arguments)
    with pytest.raises(ConfigurationError, match="density_matrix has 3 components"):
        project(np.zeros((1, 4, 2, 3, 3)), moments, **frame)
    with pytest.raises(ConfigurationError, match="previous populations has shape"):
        eigen_populations(np.zeros((1, 4, 2, 3, 5)), np.zeros((1, 4, 2, 3, 2)), n_flavors=2)


def test_moments_that_are_not_contiguous_receive_the_solution():
    populations, moments, arguments = flavour_state(3, 1.0, 0.05)
    strided = np.zeros((1, 2, 18))[..., ::2]
    strided[:] = moments
    assert align(populations, strided, **arguments).successful
    align(populations, moments, **arguments)
    np.testing.assert_array_equal(strided, moments)
