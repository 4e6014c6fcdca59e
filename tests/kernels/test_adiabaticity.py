"""gamma against Landau and Zener, against brute force, and its limits; scales against LAPACK."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from misci_transport.flavor import MixingParameters, pack, unpack
from misci_transport.kernels.adiabaticity import adiabaticity, ray_fields, scale_separation, turning_2


def run_adiabaticity(populations, cosine, vacuum, field_a, field_b, ds=1.0, threshold=3.0, weight_0=None):
    """One segment; the same populations, directions and vacuum at both ends."""
    directions, _, groups, _ = populations.shape
    weight_0 = np.ones(directions) if weight_0 is None else weight_0
    n = 2 if field_a.shape[1] == 4 else 3
    ends = []
    for field in (field_a, field_b):
        base = np.empty((1, directions, n * n))
        ray_fields(field[None], cosine[None, :, None], n, base)
        ends += [populations[None].copy(), vacuum[None].copy(), base]
    gamma, fraction = np.empty(1), np.empty(1)
    adiabaticity(
        *ends,
        weight_0[None],
        np.ones(groups),
        np.full((1, directions), ds),
        threshold,
        1e-6,
        gamma,
        fraction,
    )
    return float(gamma[0]), float(fraction[0])


def brute_force(vacuum, field_a, field_b, populations, points, ds=1.0):
    """The smallest gamma of one direction (mu = 0), one group, both species, from many points on the segment."""
    n = 2 if vacuum.size == 4 else 3
    smallest = np.inf
    for species, sign in ((0, 1.0), (1, -1.0)):
        a, b = (sign * unpack(vacuum) + unpack(field[0]) for field in (field_a, field_b))
        h, u = np.linalg.eigh(a + points[:, None, None] * (b - a))
        turn = np.abs(np.swapaxes(u.conj(), -1, -2) @ (b - a) @ u)
        for k in range(n):
            for l in range(k + 1, n):
                if abs(populations[species, k] - populations[species, l]) > 1e-6:
                    smallest = min(smallest, np.min(0.5 * (h[:, l] - h[:, k]) ** 2 * ds / turn[:, l, k]))
    return smallest


@pytest.mark.parametrize("gap", [0.4, 1.0, 1.3])
def test_landau_zener_jump_probability(gap):
    # H = ((z/2, gap/2), (gap/2, -z/2)), slope 1: gamma = gap^2, and the jump probability is exp(-pi gamma/2).
    gamma = turning_2(-40.0, 0.5 * gap, 0.0, 60.0, 0.5 * gap, 0.0, 200.0)
    assert gamma == pytest.approx(gap**2, rel=1e-13)

    def rhs(t, psi):
        return [-0.5j * (t * psi[0] + gap * psi[1]), -0.5j * (gap * psi[0] - t * psi[1])]

    end = 150.0
    _, u = np.linalg.eigh(0.5 * np.array([[-end, gap], [gap, end]]))
    _, v = np.linalg.eigh(0.5 * np.array([[end, gap], [gap, -end]]))
    psi = solve_ivp(rhs, (-end, end), u[:, 0].astype(complex), rtol=1e-9, atol=1e-11, method="DOP853").y[:, -1]
    assert abs(v[:, 1] @ psi) ** 2 == pytest.approx(np.exp(-0.5 * np.pi * gamma), abs=2e-3)


@pytest.mark.parametrize("theta", [1e-4, 0.15])
def test_resonance_in_matter(theta):
    # gamma = dm^2/2E sin^2 2t/(cos 2t |d ln V/dr|) (S. J. Parke 1986), V linear on the segment.
    split, ds = 3.0, 700.0
    vacuum = MixingParameters.two_flavor(theta, 1.0).mass_squared_matrix(2)[None] * split
    field = np.zeros((2, 2, 4))
    field[0, 0, 0], field[1, 0, 0] = 5.0 * split, 0.3 * split
    populations = np.zeros((1, 2, 1, 3))
    populations[0, 0, 0, 1] = 1.0
    gamma, fraction = run_adiabaticity(populations, np.array([0.2]), vacuum, *field, ds=ds, threshold=3.0)
    slope = 4.7 * split / ds / (split * np.cos(2 * theta))
    expected = split * np.sin(2 * theta) ** 2 / (np.cos(2 * theta) * slope)
    assert gamma == pytest.approx(expected, rel=1e-11)
    assert fraction == (1.0 if expected < 3.0 else 0.0)


def test_two_flavors_against_brute_force():
    rng = np.random.default_rng(4)
    points = np.linspace(0.0, 1.0, 20001)
    for _ in range(20):
        vacuum, field = rng.normal(size=(1, 4)), rng.normal(size=(2, 2, 4))
        populations = rng.uniform(size=(1, 2, 1, 3))
        gamma, _ = run_adiabaticity(populations, np.zeros(1), vacuum, *field)
        assert gamma == pytest.approx(brute_force(vacuum[0], *field, populations[0, :, 0], points), rel=1e-5)


def test_three_flavors_against_brute_force():
    rng = np.random.default_rng(5)
    points = np.linspace(0.0, 1.0, 20001)
    worst = 1.0
    for _ in range(200):
        vacuum, field = rng.normal(size=(1, 9)), 2.0 * rng.normal(size=(2, 2, 9))
        vacuum[:, 3:] *= 0.3
        populations = rng.uniform(size=(1, 2, 1, 3))
        gamma, _ = run_adiabaticity(populations, np.zeros(1), vacuum, *field)
        worst = max(worst, gamma / brute_force(vacuum[0], *field, populations[0, :, 0], points))
    assert 1.0 <= worst < 1.2


@pytest.mark.parametrize("coupling", [1e-2, 1e-4, 1e-7])
def test_three_flavors_find_narrow_resonances(coupling):
    # nu_e falls through both heavy levels; the pairs meet at two places, as in the H and L resonances of a star.
    vacuum = np.array([[0.0, 0.35, 1.0, 1e-3, 0.0, coupling, 0.0, 0.0, 0.0]])
    field = np.zeros((2, 2, 9))
    field[0, 0, 0], field[1, 0, 0] = 1.9, -0.2
    populations = np.zeros((1, 2, 1, 3))
    # the uppermost level alone is filled, which meets the middle one at the H resonance
    populations[0, 0, 0, 2] = 1.0
    gamma, _ = run_adiabaticity(populations, np.zeros(1), vacuum, *field, ds=1.0)
    # gap = 2 coupling up to what the third level pushes, slope 2.1
    assert gamma == pytest.approx((2.0 * coupling) ** 2 / 2.1, rel=3e-3)


@pytest.mark.parametrize("n", [2, 3])
def test_limits(n):
    populations = np.random.default_rng(6).uniform(size=(2, 2, 5, 3))
    vacuum = np.zeros((5, n * n))
    # no degeneracy: the populations of every pair differ
    vacuum[:, :n] = 0.1 * np.arange(n)
    cosine = np.array([-0.5, 0.5])
    field = np.zeros((3, 2, n * n))
    field[:, 0, 0] = [3.0, 6.0, -3.0]
    # nothing turns
    assert run_adiabaticity(populations, cosine, vacuum, field[0], field[1]) == (np.inf, 0.0)
    # levels cross without a coupling: they are not followed at all
    gamma, fraction = run_adiabaticity(populations, cosine, vacuum, field[0], field[2])
    assert gamma == 0.0
    assert 0.0 < fraction <= 1.0
    # no pair with different populations
    populations[:] = 0.4
    assert run_adiabaticity(populations, cosine, vacuum, field[0], field[2]) == (np.inf, 0.0)


@pytest.mark.parametrize("n", [2, 3])
def test_fraction_is_weighted_with_phase_space_and_population_difference(n):
    # Two directions; in the second one the field is constant (D_0 and D_1 change together).
    vacuum = np.zeros((1, n * n))
    vacuum[:, n] = 0.05
    change = np.zeros((2, 2, n * n))
    change[:, 0, 0] = 10.0
    change[1, :, 0] += [-20.0, -20.0]
    if n == 3:
        # nu_tau far above everything else
        change[:, 0, 2] = 1000.0
    populations = np.zeros((2, 2, 1, 3))
    populations[:, 0, 0, 0], populations[:, 0, 0, 1] = [0.5, 0.2], [0.1, 0.9]
    if n == 3:
        populations[:, 0, 0, 2] = populations[:, 0, 0, 1]
    weight_0 = np.array([0.3, 0.6])
    gamma, fraction = run_adiabaticity(populations, np.array([0.0, 1.0]), vacuum, *change, weight_0=weight_0)
    assert gamma < 0.01
    fast, steady = 0.3 * 0.4, 0.6 * 0.7
    if n == 3:
        # the pair (0, 2) counts as well, and nu_tau is out of reach
        assert fraction == pytest.approx(fast / (2.0 * (fast + steady)))
    else:
        assert fraction == pytest.approx(fast / (fast + steady))


@pytest.mark.parametrize("n", [2, 3])
def test_scales_against_lapack(n):
    rng = np.random.default_rng(7)
    cells, directions, groups = 2, 3, 5
    populations = rng.uniform(size=(cells, directions, 2, groups, 3))
    populations[:, :, 1] = 0.5  # antineutrinos do not count
    cosine, weight_0 = rng.uniform(-1, 1, (cells, directions)), rng.uniform(0.1, 1.0, (cells, directions))
    number_weight, vacuum = rng.uniform(0.1, 1.0, groups), rng.normal(size=(cells, groups, n * n))
    field, width = rng.normal(size=(cells, 2, n * n)), np.array([2.0, 5.0])
    removal = rng.uniform(0.0, 1.0, (cells, 2, groups, 3))
    ratio, fraction, gap, degeneracy = np.empty((cells, 2)), np.empty((cells, 2)), np.empty(cells), np.empty(cells)
    scale_separation(
        populations,
        cosine[..., None],
        weight_0,
        number_weight,
        vacuum,
        field,
        width,
        removal,
        1e-6,
        ratio,
        fraction,
        gap,
        degeneracy,
    )
    for cell in range(cells):
        rows = []
        for m in range(directions):
            rest = unpack(field[cell, 0] - cosine[cell, m] * field[cell, 1])
            for g in range(groups):
                h = np.linalg.eigvalsh(unpack(vacuum[cell, g]) + rest)
                parts = 0.0
                for part in (unpack(vacuum[cell, g]), rest):
                    parts += np.sqrt(2.0) * np.linalg.norm(part - np.trace(part) / n * np.eye(n))
                for k in range(n):
                    for l in range(k + 1, n):
                        difference = abs(populations[cell, m, 0, g, k] - populations[cell, m, 0, g, l])
                        loss = 0.5 * (removal[cell, 0, g, k] + removal[cell, 0, g, l])
                        weight = weight_0[cell, m] * number_weight[g] * difference
                        rows.append((h[l] - h[k], parts, loss, weight))
        gaps, sizes, losses, weights = np.array(rows).T
        # The kernel drops the mean of the heavy diagonal, a multiple of the identity: not the traceless part.
        time = 2.0 * np.pi / gaps
        for j, other in enumerate((np.full_like(gaps, width[cell]), 1.0 / losses)):
            assert ratio[cell, j] == pytest.approx(np.max(time / other), rel=1e-10)
            assert fraction[cell, j] == pytest.approx(weights[time > other].sum() / weights.sum(), rel=1e-10)
        assert gap[cell] == pytest.approx(gaps.min(), rel=1e-10)
        assert degeneracy[cell] == pytest.approx(np.min(gaps / sizes), rel=1e-10)


def test_pack_of_the_resonance_is_the_one_of_flavor():
    # turning_2 reads Bloch vectors: the cross product of two packed matrices must be their commutator
    rng = np.random.default_rng(11)
    a, b = (rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2)) for _ in range(2))
    a, b = a + a.conj().T, b + b.conj().T
    pa, pb = pack(a), pack(b)
    vectors = [(0.5 * (p[0] - p[1]), p[2], p[3]) for p in (pa, pb)]
    cross = np.linalg.norm(np.cross(*vectors))
    assert np.linalg.norm(a @ b - b @ a) == pytest.approx(2.0 * np.sqrt(2.0) * cross)
