"""Eigenvalues and eigenvectors against LAPACK on the linearised equations in the flavour basis, and what they obey."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.flavor import pack, unpack
from misci_transport.sphere import SphereQuadrature
from misci_transport.stability import (
    AXIAL,
    BLOCKS,
    SPHERE,
    TRANSVERSE,
    dense_spectrum,
    linearise,
    linearise_flavors,
    spectrum,
)
from misci_transport.stability.eigenmodes import coarse_frequencies


def aligned_state(n, seed, directions, groups, spread):
    """An aligned state without any symmetry, as the arguments of `linearise`."""
    rng = np.random.default_rng(seed)
    cosine, weight_0 = np.sort(rng.uniform(-1.0, 1.0, directions)), rng.uniform(0.2, 1.0, directions)
    return {
        "populations": rng.uniform(size=(directions, 2, groups, 3)),
        "weight_0": weight_0,
        "weight_1": weight_0 * cosine,
        "direction_cosine": cosine,
        "number_weight": rng.uniform(0.1, 1.0, groups),
        "vacuum": spread * rng.normal(size=(groups, n * n)),
        "hamiltonian": rng.normal(size=(2, n * n)),
        "strength": 1.0,
    }


def flavor_state(n, seed, directions, groups, damped=0.0):
    """A state that is diagonal in flavour, H included, as the arguments of `linearise_flavors`."""
    state = aligned_state(n, seed, directions, groups, 0.3)
    state["occupations"] = state.pop("populations")
    state["vacuum"][:, n:] = 0.0
    state["hamiltonian"][:, n:] = 0.0
    rng = np.random.default_rng(seed + 100)
    return state | {"damping": damped * rng.uniform(size=(2, groups, n))}


def linear_operator(state, wave_number, block):
    """The matrix of i d/dt d_rho in the flavour basis, with collisions as anticommutators."""
    n = 2 if state["vacuum"].shape[1] == 4 else 3
    cosine, groups = state["direction_cosine"], state["number_weight"].size
    held = state.get("populations", state.get("occupations"))
    field = unpack(state["hamiltonian"])
    h = np.zeros((cosine.size, 2, groups, n, n), complex)
    rho = np.zeros_like(h)
    for m, mu in enumerate(cosine):
        for species, sign in ((0, 1.0), (1, -1.0)):
            for g in range(groups):
                h[m, species, g] = sign * unpack(state["vacuum"][g]) + field[0] - mu * field[1]
                u = np.linalg.eigh(h[m, species, g])[1] if "populations" in state else np.eye(n)
                rho[m, species, g] = (u * held[m, species, g, :n]) @ u.conj().T
    mu = cosine[:, None, None, None, None]
    signed = np.array([1.0, -1.0])[None, :, None, None, None] * state["number_weight"][None, None, :, None, None]
    w0, w1 = (state[name][:, None, None, None, None] for name in ("weight_0", "weight_1"))
    rates = np.broadcast_to(state.get("damping", np.zeros((2, groups, n)))[None], (*h.shape[:3], n))
    lost = 0.5 * (rates[..., :, None] + rates[..., None, :])
    columns = []
    for unit in np.eye(h.size):
        change = unit.reshape(h.shape)
        if block == AXIAL:
            d0, d1 = ((w * signed * change).sum((0, 1, 2)) for w in (w0, w1))
            dh = state["strength"] * (d0 - mu * d1)
        else:
            dh = -state["strength"] * (0.5 * w0 * (1.0 - mu * mu) * signed * change).sum((0, 1, 2))
        column = mu * wave_number * change + h @ change - change @ h + dh @ rho - rho @ dh - 1j * lost * change
        columns.append(column.ravel())
    return np.array(columns).T


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("n", "directions", "groups", "seed"), [(2, 4, 4, 0), (2, 3, 4, 3), (3, 3, 2, 1)])
def test_all_growing_modes_of_random_states(n, directions, groups, seed, block):
    state = aligned_state(n, seed, directions, groups, 10.0 ** (-0.5 * seed))
    modes = linearise(**state)
    for wave_number in (0.0, 0.8):
        exact = np.linalg.eigvals(linear_operator(state, wave_number, block))
        exact = exact[np.argsort(-exact.imag)]
        growing = exact[exact.imag > 1e-3]
        assert growing.size > 1
        every = dense_spectrum(modes, wave_number, block)
        found = spectrum(modes, wave_number, 1e-3, block)
        assert found.complete
        assert found.frequency.size == growing.size
        for values in (every.frequency[: growing.size], found.frequency):
            assert apart(values, growing) < 1e-11


def apart(a, b):
    """Largest distance of a value of either set from the other set."""
    distance = np.abs(a[:, None] - b)
    return max(distance.min(axis=0).max(), distance.min(axis=1).max())


def along(a, b):
    """1 - |cos| of the angle between two complex vectors."""
    return 1.0 - abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("n", [2, 3])
def test_moments_are_those_of_the_eigenvectors(n, block):
    state = aligned_state(n, 0, 3, 2, 1.0)
    modes, wave_number = linearise(**state), 0.4
    values, vectors = np.linalg.eig(linear_operator(state, wave_number, block))
    signed = np.array([1.0, -1.0])[:, None] * state["number_weight"]
    weights = [state["weight_0"], state["weight_1"]]
    if block == TRANSVERSE:
        weights = [-0.5 * state["weight_0"] * (1.0 - state["direction_cosine"] ** 2)]
    compared = 0
    for found in (spectrum(modes, wave_number, 1e-3, block), dense_spectrum(modes, wave_number, block)):
        np.testing.assert_allclose(np.abs(found.perturbation).reshape(found.growth.size, -1).max(axis=1), 1.0)
        for sigma, moments in zip(found.frequency, found.moment_matrices(n), strict=True):
            if sigma.imag < 1e-3:
                continue
            change = vectors[:, np.argmin(np.abs(values - sigma))].reshape(3, 2, 2, n, n)
            exact = [np.einsum("m,msgij,sg->ij", w, change, signed) for w in weights]
            assert along(moments, np.array(exact)) < 1e-10
            compared += 1
    assert compared >= 2


@pytest.mark.parametrize("damped", [0.0, 0.3])
@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (0, 2), (1, 2)])
def test_flavor_states_with_damping(pair, damped):
    state = flavor_state(3, 2, 4, 3, damped)
    modes = linearise_flavors(**state, pair=pair)
    a, b = pair
    for block, wave_number in ((AXIAL, 0.7), (TRANSVERSE, -0.4)):
        operator = linear_operator(state, wave_number, block)
        chosen = np.arange(operator.shape[0]).reshape(4, 2, 3, 3, 3)[..., a, b].ravel()
        values, vectors = np.linalg.eig(operator[np.ix_(chosen, chosen)])
        every = dense_spectrum(modes, wave_number, block)
        assert apart(every.frequency, values) < 1e-12
        floor = 1e-3
        found = spectrum(modes, wave_number, floor, block)
        assert found.complete
        assert found.growth.size == np.count_nonzero(values.imag > floor)
        for sigma, change in zip(found.frequency, found.perturbation, strict=True):
            nearest = np.argmin(np.abs(values - sigma))
            assert abs(values[nearest] - sigma) < 1e-12
            assert along(change.ravel(), vectors[:, nearest]) < 1e-12


def test_damping_of_levels_that_are_flavors():
    # the same state through the levels: H diagonal, so that each level is a flavour
    state = flavor_state(2, 5, 4, 3, 0.2)
    given = dict(state)
    occupied, h0, h1 = given.pop("occupations"), state["hamiltonian"][0], state["hamiltonian"][1]
    sign = np.array([1.0, -1.0])[None, :, None]
    cosine = state["direction_cosine"][:, None, None]
    gap = sign * (state["vacuum"][:, 0] - state["vacuum"][:, 1]) + h0[0] - h0[1] - cosine * (h1[0] - h1[1])
    upper = gap > 0.0
    populations = np.zeros((4, 2, 3, 2))
    populations[..., 0] = np.where(upper, occupied[..., 1], occupied[..., 0])
    populations[..., 1] = np.where(upper, occupied[..., 0], occupied[..., 1])
    levels = linearise(populations, **given)
    compared = 0
    for block, wave_number in ((AXIAL, 0.0), (AXIAL, 0.9), (TRANSVERSE, 0.0)):
        found = spectrum(levels, wave_number, 1e-3, block)
        both = [
            spectrum(linearise_flavors(**state, pair=pair), wave_number, 1e-3, block).frequency
            for pair in ((0, 1), (1, 0))
        ]
        expected = np.concatenate(both)
        assert found.complete
        assert found.frequency.size == expected.size
        if expected.size:
            assert apart(found.frequency, expected) < 1e-10
            compared += expected.size
    assert compared > 1


def test_damping_alike_moves_all_modes_down():
    state = flavor_state(2, 1, 5, 3)
    free = dense_spectrum(linearise_flavors(**state), 0.3).frequency
    damped = dense_spectrum(linearise_flavors(**state | {"damping": np.full((2, 3, 2), 0.2)}), 0.3).frequency
    assert apart(damped, free - 0.2j) < 1e-12
    levels = aligned_state(3, 1, 3, 2, 0.5)
    free = dense_spectrum(linearise(**levels), 0.3).frequency
    damped = dense_spectrum(linearise(**levels, damping=np.full((2, 2, 3), 0.2)), 0.3).frequency
    assert apart(damped, free - 0.2j) < 1e-11


def test_many_modes_are_found_from_coarse_ones():
    state = flavor_state(2, 7, 12, 40, 0.01)
    modes = linearise_flavors(**state)
    few = coarse_frequencies(modes, 0.2, AXIAL)
    every = dense_spectrum(modes, 0.2)
    assert few.size < 0.5 * every.frequency.size
    floor = 0.1 * every.growth[0]
    found = spectrum(modes, 0.2, floor)
    assert found.complete
    np.testing.assert_allclose(found.frequency, every.frequency[every.growth > floor], rtol=1e-11)


def test_triple_modes_on_the_sphere():
    # a gas that is the same in all directions has the same growth for fluxes along all axes
    sphere = SphereQuadrature.lebedev(5)
    weight, velocity = sphere.weights[0, 0], sphere.velocity[0]
    one = np.ones(weight.size)
    occupied = np.zeros((weight.size, 2, 1, 2))
    occupied[:, 0, 0, 0], occupied[:, 1, 0, 0] = one, 0.7 * one
    hamiltonian = np.zeros((4, 4))
    hamiltonian[0, 0] = 0.3 * weight.sum()
    given = {"weight_0": weight, "velocity": velocity, "number_weight": np.ones(1), "strength": 1.0}
    vacuum = 0.02 * np.array([[-1.0, 1.0, 0.0, 0.0]])
    modes = linearise_flavors(occupied, vacuum=vacuum, hamiltonian=hamiltonian, **given)
    found = spectrum(modes, np.zeros(3), 1e-2, SPHERE)
    assert found.complete
    assert found.growth.size == 3
    np.testing.assert_allclose(found.growth, found.growth[0], rtol=1e-9)
    exact = np.sort(dense_spectrum(modes, np.zeros(3)).growth)[::-1][:3]
    np.testing.assert_allclose(found.growth, exact, rtol=1e-6)
    # three perturbations, independent of each other
    assert np.linalg.matrix_rank(found.moments[..., 0], tol=1e-6) == 3


def test_modes_of_the_directions_are_flagged():
    def beams(count):
        cosine, weight = np.polynomial.legendre.leggauss(count)
        occupied = np.zeros((count, 2, 1, 2))
        net = cosine - 0.7
        occupied[:, 0, 0, 0], occupied[:, 1, 0, 0] = np.maximum(net, 0.0), np.maximum(-net, 0.0)
        field = np.zeros((2, 4))
        field[0, 0], field[1, 0] = weight @ net, (weight * cosine) @ net
        return linearise_flavors(
            occupied,
            weight_0=weight,
            weight_1=weight * cosine,
            direction_cosine=cosine,
            number_weight=np.ones(1),
            vacuum=np.zeros((1, 4)),
            hamiltonian=field,
            strength=1.0,
        )

    coarse, fine = beams(8), beams(200)
    kept = flagged = 0
    for wave_number in coarse.drift[0] + np.linspace(-4.0, 4.0, 41):
        exact = spectrum(fine, wave_number, 1e-4).frequency
        found = spectrum(coarse, wave_number, 1e-3)
        for sigma, artefact in zip(found.frequency, found.artefact, strict=True):
            error = np.abs(exact - sigma).min(initial=np.inf) / sigma.imag
            if not artefact:
                assert error < 0.2
            kept += not artefact
            flagged += artefact
    assert kept > 5
    assert flagged > 1
    assert not spectrum(fine, fine.drift[0] + 0.1, 1e-3).artefact.any()


def test_refuses_what_does_not_fit(monkeypatch):
    state = flavor_state(2, 0, 3, 2)
    with pytest.raises(ConfigurationError, match=r"pair is \(0, 0\); accepted: two different flavours below 2"):
        linearise_flavors(**state, pair=(0, 0))
    with pytest.raises(ConfigurationError, match="damping holds -1; accepted: 0 or more"):
        linearise_flavors(**state | {"damping": -np.ones((2, 2, 2))})
    with pytest.raises(ConfigurationError, match=r"damping has shape \(2, 3, 2\); accepted: \(2, 2, 2\)"):
        linearise_flavors(**state | {"damping": np.ones((2, 3, 2))})
    modes = linearise_flavors(**state)
    monkeypatch.setattr("misci_transport.stability.eigenmodes.LARGEST_DENSE", 5)
    with pytest.raises(ConfigurationError, match="the cell has 12 modes; accepted by dense_spectrum: up to 5"):
        dense_spectrum(modes, 0.0)
    with pytest.raises(ConfigurationError, match=r"growth floor is 0\.0"):
        spectrum(modes, 0.0, 0.0)
    with pytest.raises(ConfigurationError, match="moments have 1 coordinates; accepted: 3 for 2 flavours"):
        spectrum(modes, 0.0, 1e-3).moment_matrices(2)


def test_packed_flavor_states_need_no_coherence():
    # the off-diagonal elements of H are the seed only
    state = flavor_state(2, 3, 3, 2)
    turned = dict(state)
    turned["hamiltonian"] = pack(unpack(state["hamiltonian"]) + 0.1 * np.array([[0.0, 1.0], [1.0, 0.0]]))
    one, other = (spectrum(linearise_flavors(**s), 0.1, 1e-3).frequency for s in (state, turned))
    np.testing.assert_array_equal(one, other)
