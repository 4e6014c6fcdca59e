"""Unstable modes against exact growth rates and against dense eigenvalues of the linearised equations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import root

from misci_transport.errors import ConfigurationError, ConvergenceError
from misci_transport.flavor import unpack
from misci_transport.sphere import SphereQuadrature
from misci_transport.stability import (
    AXIAL,
    BLOCKS,
    SPHERE,
    TRANSVERSE,
    cell_growth,
    contour,
    growth_rate,
    linearise,
    unstable_modes,
    wave_numbers,
    wave_vectors,
)
from misci_transport.validity.measures import e_folds


def flavor_state(cosine, weight_0, neutrinos, antineutrinos, omega=0.0, strength=1.0, matter=0.0, seed=1e-9):
    """Two flavours, one group: rho_ee = neutrinos, rhobar_ee = antineutrinos of each direction, rho_xx = 0.

    H = omega B + strength D in full vectors (H = Hvec.sigma/2), B = +z up to the angle `seed`: with omega > 0 the
    inverted ordering with nu_e along +z. Levels follow from the sign of H_ee - H_xx.
    """
    cosine, weight_0 = np.asarray(cosine, float), np.asarray(weight_0, float)
    electrons = np.stack([np.asarray(neutrinos, float), np.asarray(antineutrinos, float)], axis=1)
    lepton = electrons[:, 0] - electrons[:, 1]
    hamiltonian = np.zeros((2, 4))
    hamiltonian[0, 0] = strength * np.sum(weight_0 * lepton) + matter
    hamiltonian[1, 0] = strength * np.sum(weight_0 * cosine * lepton)
    vacuum = 0.5 * omega * np.array([[np.cos(seed), -np.cos(seed), np.sin(seed), 0.0]])
    populations = np.zeros((cosine.size, 2, 1, 3))
    for species, sign in ((0, 1.0), (1, -1.0)):
        gap = sign * omega + hamiltonian[0, 0] - cosine * hamiltonian[1, 0]
        populations[np.arange(cosine.size), species, 0, (gap > 0.0).astype(int)] = electrons[:, species]
    return linearise(
        populations,
        weight_0=weight_0,
        weight_1=weight_0 * cosine,
        direction_cosine=cosine,
        number_weight=np.ones(1),
        vacuum=vacuum,
        hamiltonian=hamiltonian,
        strength=strength,
    )


def random_state(n, seed, directions, groups, spread):
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
        "strength": 10.0 ** rng.uniform(-1.5, 1.0),
    }


def dense_eigenvalues(state, wave_number, block):
    """All sigma of sigma d_rho = mu K d_rho + [H, d_rho] + [dH, rho], flavour basis, by LAPACK."""
    cosine, groups = state["direction_cosine"], state["number_weight"].size
    n = 2 if state["vacuum"].shape[1] == 4 else 3
    field = unpack(state["hamiltonian"])
    h = np.zeros((cosine.size, 2, groups, n, n), complex)
    rho = np.zeros_like(h)
    for m, mu in enumerate(cosine):
        for species, sign in ((0, 1.0), (1, -1.0)):
            for g in range(groups):
                h[m, species, g] = sign * unpack(state["vacuum"][g]) + field[0] - mu * field[1]
                _, u = np.linalg.eigh(h[m, species, g])
                rho[m, species, g] = (u * state["populations"][m, species, g, :n]) @ u.conj().T
    mu = cosine[:, None, None, None, None]
    signed = np.array([1.0, -1.0])[None, :, None, None, None] * state["number_weight"][None, None, :, None, None]
    w0, w1 = (state[name][:, None, None, None, None] for name in ("weight_0", "weight_1"))
    columns = []
    for unit in np.eye(h.size):
        change = unit.reshape(h.shape)
        if block == AXIAL:
            d0, d1 = ((w * signed * change).sum((0, 1, 2)) for w in (w0, w1))
            dh = state["strength"] * (d0 - mu * d1)
        else:
            dh = -state["strength"] * (0.5 * w0 * (1.0 - mu * mu) * signed * change).sum((0, 1, 2))
        column = mu * wave_number * change + h @ change - change @ h + dh @ rho - rho @ dh
        columns.append(column.ravel())
    return np.linalg.eigvals(np.array(columns).T)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("wave_number", [0.0, 0.8])
@pytest.mark.parametrize(("n", "directions", "groups"), [(2, 4, 5), (3, 3, 2)])
def test_counts_and_growth_of_random_states(n, directions, groups, wave_number, block):
    compared = 0
    for seed in range(8):
        state = random_state(n, seed, directions, groups, 10.0 ** (-0.5 * seed))
        growth = np.sort(dense_eigenvalues(state, wave_number, block).imag)[::-1]
        modes = linearise(**state)
        for floor in (1e-1, 1e-2, 1e-3, 1e-4):
            if np.min(np.abs(growth / floor - 1.0)) > 1e-2:
                assert unstable_modes(modes, wave_number, floor, block) == np.count_nonzero(growth > floor)
                compared += 1
        found = growth_rate(modes, wave_number, 1e-4, block)
        expected = growth[0] if growth[0] > 1e-4 else 0.0
        assert found.growth == pytest.approx(expected, rel=1e-6)
    assert compared > 20


@pytest.mark.parametrize("ratio", [1.0, 0.6])
def test_two_beams(ratio):
    # nu with mu = +1, nubar with mu = -1. With b = 2 strength N and a = ratio b the linearised equations are
    # (sigma - K + a)(sigma + K - b) + a b = 0: growth = sqrt(4 K (a + b) - 4 K^2 - (a - b)^2)/2, at most sqrt(a b).
    modes = flavor_state([-1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [ratio, 0.0], strength=0.5)
    b, a = 1.0, ratio
    for k in (0.2, 0.5 * (a + b), 1.3):
        square = 4.0 * k * (a + b) - 4.0 * k**2 - (a - b) ** 2
        found = growth_rate(modes, k, 1e-4)
        assert found.growth == pytest.approx(0.5 * np.sqrt(max(square, 0.0)), rel=1e-9)
        mirrored = growth_rate(modes, -k, 1e-4)
        assert mirrored.growth == pytest.approx(found.growth, rel=1e-9)
    assert growth_rate(modes, 0.5 * (a + b), 1e-4).growth == pytest.approx(np.sqrt(a * b), rel=1e-9)
    assert growth_rate(modes, 3.0, 1e-4).growth == 0.0


def test_bipolar_growth_and_its_range():
    # H = omega B + mu D in full vectors, |P| = 1, |Pbar| = a, inverted ordering:
    # growth = sqrt(4 a mu^2 - (mu (1 + a) - 2 omega)^2)/2 for 2 omega/(1 + sqrt a)^2 < mu < 2 omega/(1 - sqrt a)^2.
    omega, a = 1.0, 0.7
    low, high = 2.0 * omega / (1.0 + np.sqrt(a)) ** 2, 2.0 * omega / (1.0 - np.sqrt(a)) ** 2
    for mu in (1.02 * low, 2.0, 10.0, 0.98 * high):
        modes = flavor_state([0.0], [1.0], [1.0], [a], omega, mu)
        expected = 0.5 * np.sqrt(4.0 * a * mu**2 - (mu * (1.0 + a) - 2.0 * omega) ** 2)
        assert growth_rate(modes, 0.0, 1e-3).growth == pytest.approx(expected, rel=1e-6)
        # one mode and its mirror image
        assert unstable_modes(modes, 0.0, 1e-3) == 2
    for mu in (0.98 * low, 1.02 * high):
        modes = flavor_state([0.0], [1.0], [1.0], [a], omega, mu)
        assert unstable_modes(modes, 0.0, 1e-3) == 0
        assert growth_rate(modes, 0.0, 1e-3).growth == 0.0
    # normal ordering is stable
    assert unstable_modes(flavor_state([0.0], [1.0], [1.0], [a], -omega, 10.0), 0.0, 1e-3) == 0


def test_matter_does_not_change_the_growth():
    omega, a, mu = 1.0, 0.7, 10.0
    expected = 0.5 * np.sqrt(4.0 * a * mu**2 - (mu * (1.0 + a) - 2.0 * omega) ** 2)
    found = growth_rate(flavor_state([0.0], [1.0], [1.0], [a], omega, mu, matter=1e7), 0.0, 1e-3)
    assert found.growth == pytest.approx(expected, rel=1e-6)
    assert abs(abs(found.frequency) - 1e7) < 30.0


def test_transverse_block_of_an_isotropic_gas():
    # sum w_0 (1 - mu^2)/2 = (1/3) sum w_0: M_T = 1 + (mu/3) (1/(first - s) - a/(second - s)), first and second below,
    # which is unstable in the normal ordering (G. Raffelt, S. Sarikas, D. Seixas, PRL 111 (2013) 091101).
    cosine, weight = np.polynomial.legendre.leggauss(4)
    omega, a, mu = -1.0, 0.7, 10.0
    one = np.ones(4)
    modes = flavor_state(cosine, weight, one, a * one, omega, 0.5 * mu)
    first, second = omega + mu * (1.0 - a), -omega + mu * (1.0 - a)
    # (first - s)(second - s) + (mu/3) ((second - s) - a (first - s)) = 0
    roots = np.roots([1.0, -(first + second) - mu / 3 * (1.0 - a), first * second + mu / 3 * (second - a * first)])
    assert np.max(roots.imag) > 0.1
    assert growth_rate(modes, 0.0, 1e-3, TRANSVERSE).growth == pytest.approx(np.max(roots.imag), rel=1e-8)
    # an isotropic gas does not know the radius: the flux along it grows at the same rate
    assert growth_rate(modes, 0.0, 1e-3, AXIAL).growth == pytest.approx(np.max(roots.imag), rel=1e-8)
    best = cell_growth(modes, 1e-3, [0.0])
    assert (best.block, best.wave_number) == (AXIAL, 0.0)
    assert best.growth == pytest.approx(np.max(roots.imag), rel=1e-8)


@pytest.mark.parametrize("offset", [0.0, 0.1, -0.25])
def test_continuous_crossing(offset):
    # G(v) = v: with k = K - 2 strength/3 and I_n = strength int v^(n+1)/(s - v k) dv, (1 + I_0)(1 - I_2) + I_1^2 = 0;
    # at k = 0 the growth is 2 strength/3.
    cosine, weight = np.polynomial.legendre.leggauss(48)
    strength = 1.5
    modes = flavor_state(cosine, weight, np.maximum(cosine, 0.0), np.maximum(-cosine, 0.0), strength=strength)
    drift, _, slow = modes.drift
    assert drift == pytest.approx(2.0 * strength / 3.0, rel=1e-12)
    assert slow < 1e-12
    k = offset * strength
    fine, fine_weight = np.polynomial.legendre.leggauss(400)

    def dispersion(x):
        s = complex(*x)
        i0, i1, i2 = (strength * np.sum(fine_weight * fine ** (n + 1) / (s - fine * k)) for n in range(3))
        value = (1.0 + i0) * (1.0 - i2) + i1 * i1
        return [value.real, value.imag]

    exact = root(dispersion, [0.0, 2.0 * strength / 3.0], tol=1e-13)
    assert exact.success
    found = growth_rate(modes, drift + k, 1e-2)
    assert found.growth == pytest.approx(exact.x[1], rel=1e-8)
    assert found.growth == pytest.approx(2.0 * strength / 3.0, rel=1e-12 if offset == 0.0 else 0.5)


def test_no_crossing_no_fast_instability():
    cosine, weight = np.polynomial.legendre.leggauss(12)
    one = np.ones(12)
    modes = flavor_state(cosine, weight, one, 0.5 * one + 0.2 * cosine, seed=0.0)
    trial = wave_numbers(modes)
    assert trial.size > 5
    for block in BLOCKS:
        for k in trial:
            assert unstable_modes(modes, k, 1e-4 * modes.bound(), block) == 0
    result = cell_growth(modes, 1e-4 * modes.bound())
    assert (result.growth, result.above) == (0.0, 1e-4 * modes.bound())


def test_default_wave_numbers_find_a_fast_instability():
    cosine, weight = np.polynomial.legendre.leggauss(16)
    crossed = np.where(cosine > 0.6, 1.3, 0.9)
    modes = flavor_state(cosine, weight, np.ones(16), crossed, matter=300.0)
    best = cell_growth(modes, 1e-3)
    scan = [
        growth_rate(modes, k, 1e-3, block).growth
        for block in BLOCKS
        for k in modes.drift[0] + np.linspace(-1.0, 1.0, 41) * modes.drift[1]
    ]
    assert max(scan) > 1e-2
    assert best.growth > 0.6 * max(scan)


def test_no_growth_without_interaction_or_without_differences():
    state = random_state(2, 0, 3, 2, 0.3)
    free = linearise(**{**state, "strength": 0.0})
    assert (free.bound(), unstable_modes(free, 0.1, 1e-3)) == (0.0, 0)
    equal = linearise(**{**state, "populations": np.full_like(state["populations"], 0.2)})
    assert (growth_rate(equal, 0.1, 1e-3).growth, equal.drift) == (0.0, (0.0, 0.0, 0.0))


def test_search_brackets_by_counts_where_newton_finds_nothing(monkeypatch):
    modes = flavor_state([-1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0], strength=0.5)
    monkeypatch.setattr(contour.Contour, "roots", lambda *_: np.empty(0, complex))
    found = growth_rate(modes, 1.0, 1e-3)
    assert 0.0 <= 1.0 - found.growth < 0.011
    assert np.isnan(found.frequency)


def test_contour_gives_up_with_a_message(monkeypatch):
    monkeypatch.setattr(contour, "MAX_POINTS", 100)
    with pytest.raises(ConvergenceError, match="more than 100 points"):
        unstable_modes(linearise(**random_state(2, 0, 4, 5, 1.0)), 0.0, 1e-3)


def test_e_folds_add_up_along_the_way():
    folds = e_folds([0.0, 2.0, 1.0], [3.0, 2.0, 0.5], start=1.5)
    np.testing.assert_array_equal(folds, [1.5, 5.5, 6.0])
    with pytest.raises(ConfigurationError, match=r"growth of cell 1 is -2"):
        e_folds([0.0, -2.0], [1.0, 1.0])
    with pytest.raises(ConfigurationError, match=r"\(2,\), \(3,\)"):
        e_folds([0.0, 1.0], [1.0, 1.0, 1.0])


def test_refuses_what_does_not_fit():
    state = random_state(2, 0, 3, 2, 0.3)
    with pytest.raises(ConfigurationError, match=r"weight_0 has shape \(2,\); accepted: \(3,\)"):
        linearise(**{**state, "weight_0": np.ones(2)})
    with pytest.raises(ConfigurationError, match="n_flavors"):
        linearise(**{**state, "vacuum": np.ones((2, 5))})
    with pytest.raises(ConfigurationError, match="hamiltonian holds a value that is not finite"):
        linearise(**{**state, "hamiltonian": np.full((2, 4), np.nan)})
    with pytest.raises(ConfigurationError, match="strength"):
        linearise(**{**state, "strength": np.inf})
    modes = linearise(**state)
    for floor in (0.0, np.nan):
        with pytest.raises(ConfigurationError, match="growth floor"):
            unstable_modes(modes, 0.0, floor)
    with pytest.raises(ConfigurationError, match="'radial'; accepted: axial, transverse"):
        growth_rate(modes, 0.0, 1e-3, "radial")


def sphere_state(velocity, weight_0, neutrinos, antineutrinos, omega=0.0, strength=1.0, matter=0.0):
    """As `flavor_state`, with unit vectors (direction, 3)."""
    velocity, weight_0 = np.asarray(velocity, float), np.asarray(weight_0, float)
    electrons = np.stack([np.asarray(neutrinos, float), np.asarray(antineutrinos, float)], axis=1)
    lepton = weight_0 * (electrons[:, 0] - electrons[:, 1])
    hamiltonian = np.zeros((4, 4))
    hamiltonian[0, 0] = strength * np.sum(lepton) + matter
    hamiltonian[1:, 0] = strength * lepton @ velocity
    vacuum = 0.5 * omega * np.array([[1.0, -1.0, 1e-9, 0.0]])
    populations = np.zeros((weight_0.size, 2, 1, 3))
    for species, sign in ((0, 1.0), (1, -1.0)):
        gap = sign * omega + hamiltonian[0, 0] - velocity @ hamiltonian[1:, 0]
        populations[np.arange(weight_0.size), species, 0, (gap > 0.0).astype(int)] = electrons[:, species]
    return linearise(
        populations,
        weight_0=weight_0,
        velocity=velocity,
        number_weight=np.ones(1),
        vacuum=vacuum,
        hamiltonian=hamiltonian,
        strength=strength,
    )


def rotation(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


@pytest.mark.parametrize("seed", [0, 1])
def test_two_beams_in_any_direction(seed):
    # the beams of `test_two_beams` along any axis; K across the beams does nothing
    turn = rotation(seed)
    v = np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]]) @ turn.T
    modes = sphere_state(v, [1.0, 1.0], [0.0, 1.0], [0.6, 0.0], strength=0.5)
    a, b = 0.6, 1.0
    for k in (0.5, 0.5 * (a + b), 1.3):
        square = 4.0 * k * (a + b) - 4.0 * k**2 - (a - b) ** 2
        expected = 0.5 * np.sqrt(max(square, 0.0))
        assert growth_rate(modes, turn @ [0.0, 0.0, k], 1e-4).growth == pytest.approx(expected, rel=1e-8)
        assert growth_rate(modes, turn @ [0.7, -0.2, k], 1e-4).growth == pytest.approx(expected, rel=1e-8)
    # the list of the default has a wave vector with the largest growth nearby
    best = cell_growth(modes, 1e-4)
    assert best.block == SPHERE
    assert 0.9 * np.sqrt(a * b) < best.growth <= np.sqrt(a * b) * (1.0 + 1e-9)
    assert wave_vectors(modes).shape == (10, 3)


def test_beams_at_an_angle():
    # nu and nubar with v_1 . v_2 = c: (sigma - v_1 . K + a (1 - c)) (sigma - v_2 . K - b (1 - c)) + a b (1 - c)^2 = 0;
    # the growth at v_1 . K = -v_2 . K = k is that of opposite beams with strength (1 - c)/2 and K = k
    for c in (-1.0, 0.0, 0.5):
        v = np.array([[1.0, 0.0, 0.0], [c, np.sqrt(1.0 - c * c), 0.0]])
        modes = sphere_state(v, [1.0, 1.0], [1.0, 0.0], [0.0, 0.6], strength=0.5)
        a, b = 0.3 * (1.0 - c), 0.5 * (1.0 - c)
        k = 0.5 * (a + b)
        # the plane of the beams contains K with v_1 . K = -v_2 . K = k
        wave = np.linalg.lstsq(v, np.array([k, -k]), rcond=None)[0]
        assert growth_rate(modes, wave, 1e-5).growth == pytest.approx(np.sqrt(a * b), rel=1e-8)


def test_the_sphere_holds_both_blocks():
    """An isotropic gas: three equal fluxes at the rate of the transverse block, and the bipolar mode of D_0."""
    angles = SphereQuadrature.lebedev(5)
    one = np.ones(angles.size)
    cosine, weight = np.polynomial.legendre.leggauss(4)
    for omega in (-1.0, 1.0):
        flat = flavor_state(cosine, weight, np.ones(4), 0.7 * np.ones(4), omega, 5.0)
        full = sphere_state(angles.direction, angles.weight, one, 0.7 * one, omega, 5.0)
        rates = [growth_rate(flat, 0.0, 1e-3, block).growth for block in BLOCKS]
        counts = [unstable_modes(flat, 0.0, 1e-2, block) for block in BLOCKS]
        # three fluxes make a triple zero, which is known to a third of the digits
        assert growth_rate(full, np.zeros(3), 1e-3).growth == pytest.approx(max(rates), rel=1e-5)
        # the transverse block has two polarisations
        assert unstable_modes(full, np.zeros(3), 1e-2) == counts[0] + 2 * counts[1] > 0


def test_an_axially_breaking_mode_needs_no_assumption():
    """A state that is symmetric about the radius: the sphere's growth is the larger of the two blocks."""
    angles = SphereQuadrature.product(6, 4)
    mu, v = angles.direction[::4, 0], angles.direction
    weight = 4.0 * angles.weight[::4]
    electron, anti = 1.0 + 0.3 * mu, 0.8 + 0.5 * mu
    flat = flavor_state(mu, weight, electron, anti, -1.0, 3.0)
    full = sphere_state(v, angles.weight, np.repeat(electron, 4), np.repeat(anti, 4), -1.0, 3.0)
    rates = [growth_rate(flat, 0.3, 1e-3, block).growth for block in BLOCKS]
    assert rates[1] > 0.0
    assert growth_rate(full, np.array([0.3, 0.0, 0.0]), 1e-3).growth == pytest.approx(max(rates), rel=1e-7)
    # turned as a whole, with K, nothing changes
    turn = rotation(3)
    turned = sphere_state(v @ turn.T, angles.weight, np.repeat(electron, 4), np.repeat(anti, 4), -1.0, 3.0)
    assert growth_rate(turned, turn @ [0.3, 0.0, 0.0], 1e-3).growth == pytest.approx(max(rates), rel=1e-7)
    drift, fast, slow = full.collective
    np.testing.assert_allclose(turned.collective[0], turn @ drift, atol=1e-12)
    np.testing.assert_allclose(turned.collective[1:], (fast, slow), rtol=1e-10)
    assert full.drift == pytest.approx(flat.drift, rel=1e-10)


@pytest.mark.parametrize("n", [2, 3])
def test_sphere_against_dense_eigenvalues(n):
    rng = np.random.default_rng(n)
    groups, directions = 2, 4
    for _ in range(2):
        v = rng.normal(size=(directions, 3))
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        state = {
            "populations": rng.uniform(size=(directions, 2, groups, 3)),
            "weight_0": rng.uniform(0.2, 1.0, directions),
            "velocity": v,
            "number_weight": rng.uniform(0.1, 1.0, groups),
            "vacuum": 0.1 * rng.normal(size=(groups, n * n)),
            "hamiltonian": rng.normal(size=(4, n * n)),
            "strength": 2.0,
        }
        wave = 0.5 * rng.normal(size=3)
        growth = np.sort(dense_sphere(state, wave).imag)[::-1]
        modes = linearise(**state)
        for floor in (1e-1, 1e-2):
            assert unstable_modes(modes, wave, floor) == np.count_nonzero(growth > floor)
        assert growth_rate(modes, wave, 1e-3).growth == pytest.approx(growth[0], rel=1e-6)


def dense_sphere(state, wave):
    """All sigma of sigma d_rho = v . K d_rho + [H, d_rho] + [dH, rho], dH = strength (dD_0 - v . dD_1), by LAPACK."""
    v, groups = state["velocity"], state["number_weight"].size
    n = 2 if state["vacuum"].shape[1] == 4 else 3
    field = unpack(state["hamiltonian"])
    h = np.zeros((v.shape[0], 2, groups, n, n), complex)
    rho = np.zeros_like(h)
    for m in range(v.shape[0]):
        for species, sign in ((0, 1.0), (1, -1.0)):
            for g in range(groups):
                h[m, species, g] = sign * unpack(state["vacuum"][g]) + field[0] - np.tensordot(v[m], field[1:], 1)
                _, u = np.linalg.eigh(h[m, species, g])
                rho[m, species, g] = (u * state["populations"][m, species, g, :n]) @ u.conj().T
    signed = state["weight_0"][:, None, None] * np.array([1.0, -1.0])[:, None] * state["number_weight"]
    orders = np.concatenate([np.ones((v.shape[0], 1)), v], axis=1)
    columns = []
    for unit in np.eye(h.size):
        change = unit.reshape(h.shape)
        moments = np.einsum("msg,ml,msgij->lij", signed, orders, change)
        dh = state["strength"] * np.einsum("ml,lij->mij", orders * [1.0, -1.0, -1.0, -1.0], moments)[:, None, None]
        column = (v @ wave)[:, None, None, None, None] * change + h @ change - change @ h + dh @ rho - rho @ dh
        columns.append(column.ravel())
    return np.linalg.eigvals(np.array(columns).T)


def test_sphere_refusals():
    state = random_state(2, 0, 3, 2, 0.3)
    v = np.eye(3)
    with pytest.raises(ConfigurationError, match="accepted direction_cosine and weight_1, or velocity without"):
        linearise(**state, velocity=v)
    del state["direction_cosine"], state["weight_1"]
    with pytest.raises(ConfigurationError, match=r"hamiltonian has shape \(2, 4\); accepted: \(4, 4\)"):
        linearise(**state, velocity=v)
    modes = linearise(**{**state, "hamiltonian": np.ones((4, 4))}, velocity=v)
    with pytest.raises(ConfigurationError, match=r"wave number has shape \(2,\); accepted: \(\) or \(3,\)"):
        growth_rate(modes, np.ones(2), 1e-3)
    with pytest.raises(ConfigurationError, match="'axial'; accepted: sphere"):
        growth_rate(modes, np.ones(3), 1e-3, AXIAL)
