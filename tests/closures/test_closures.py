"""Closures on random cells: what each conserves, limits of what is accepted, and the register."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.closures import (
    CLOSURES,
    Cell,
    apply,
    conservation,
    lepton_number,
    pair_numbers,
    relax,
)
from misci_transport.errors import ConfigurationError


def random_cell(n, seed, flavors=3, dense=1.0):
    rng = np.random.default_rng(seed)
    cosine, weight = np.polynomial.legendre.leggauss(8)
    vacuum = np.zeros((4, n * n))
    vacuum[:, 0], vacuum[:, 1], vacuum[:, n] = -1e-6, 1e-6, 3e-7
    cell = Cell(weight, np.geomspace(1e28, 1e30, 4), n, cosine, vacuum, 1e-3)
    occupations = dense * rng.uniform(size=(8, 2, 4, flavors))
    return cell, occupations


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("name", ["alignment", "box", "pair", "equilibrium"])
def test_each_conserves_what_it_says(name, n):
    applied = 0.0
    for seed in range(6):
        cell, before = random_cell(n, seed, dense=10.0 ** -(seed % 3))
        copy = before.copy()
        made = apply(name, before, cell)
        np.testing.assert_array_equal(before, copy)
        changed = conservation(before, made.occupations, cell)
        for key in CLOSURES[name].conserves:
            assert changed[key] < 1e-13
        assert made.occupations.min() >= -1e-15
        assert made.occupations.max() <= 1.0 + 1e-15
        if n == 2:
            # the third flavour is not touched
            np.testing.assert_array_equal(made.occupations[..., 2], before[..., 2])
        applied += made.counts["cells"]
    assert applied > 0.0


@pytest.mark.parametrize("n", [2, 3])
def test_box_leaves_no_crossing(n):
    cell, before = random_cell(n, 3, flavors=n)
    after = apply("box", before, cell).occupations
    old, new = lepton_number(before, cell), lepton_number(after, cell)
    assert old.min() < 0.0 < old.max()
    scale = np.abs(old).max()
    assert min(new.max(), -new.min()) < 1e-13 * scale
    assert cell.weight_0 @ new == pytest.approx(cell.weight_0 @ old, rel=1e-10)
    # nothing is left to do
    again = apply("box", after, cell)
    np.testing.assert_allclose(again.occupations, after, atol=1e-12)


def test_box_does_nothing_without_a_crossing_or_without_neutrinos():
    cell, before = random_cell(3, 1)
    before[:, 0, :, 0] = 0.9
    before[:, 1] = before[:, 0, :, 1:2].mean() * 0.1
    made = apply("box", before, cell)
    np.testing.assert_array_equal(made.occupations, before)
    assert made.counts == {"cells": 0.0, "converted": 0.0}
    assert apply("box", np.zeros_like(before), cell).counts["cells"] == 0.0


@pytest.mark.parametrize("n", [2, 3])
def test_pairs_balance(n):
    share = 1.0 / (n - 1) ** 2
    for numbers in ((1.0, 0.8, 0.3, 0.3), (0.1, 0.0, 2.0, 3.0), (1.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.7)):
        x = pair_numbers(*numbers, n)
        e, ebar, h, hbar = np.array(numbers) + x * np.array([-1.0, -1.0, 1.0, 1.0])
        assert min(e, ebar, h, hbar) > -1e-14
        assert e * ebar == pytest.approx(share * h * hbar, abs=1e-14)
    assert pair_numbers(0.0, 0.0, 0.0, 0.0) == 0.0
    with pytest.raises(ConfigurationError, match="numbers of pairs"):
        pair_numbers(1.0, -1.0, 0.0, 0.0)


def test_pairs_that_find_no_place_are_cut_and_counted():
    cell, _ = random_cell(3, 0)
    before = np.zeros((8, 2, 4, 3))
    before[..., 0] = 1.0
    before[..., 1:] = 0.999
    before[:, 1, :, 1:] = 0.0
    made = apply("pair", before, cell)
    assert made.counts["cut"] == 1.0
    assert made.occupations.min() >= 0.0
    assert made.occupations.max() <= 1.0 + 1e-14
    changed = conservation(before, made.occupations, cell)
    assert max(changed[key] for key in CLOSURES["pair"].conserves) < 1e-13


def test_relaxation_is_exact_in_any_number_of_steps():
    cell, before = random_cell(3, 2)
    target = apply("box", before, cell).occupations
    once = apply("box", before, cell, dt=0.7, relaxation_time=2.0).occupations
    many = before
    for _ in range(7):
        many = relax(many, target, 0.1, 2.0)
    np.testing.assert_allclose(once, many, rtol=1e-13)
    np.testing.assert_allclose(once, target + np.exp(-0.35) * (before - target), rtol=1e-13)
    # a short step keeps its digits
    short = relax(np.zeros(1), np.ones(1), 1e-20, 1.0)
    assert short[0] == pytest.approx(1e-20, rel=1e-14)
    np.testing.assert_array_equal(relax(before, target, 1.0, 0.0), target)
    np.testing.assert_array_equal(relax(before, target, np.inf, 1.0), target)


def test_refusals():
    cell, before = random_cell(3, 0)
    with pytest.raises(ConfigurationError, match="closure is 'boxes'; accepted: alignment, box, pair, equilibrium"):
        apply("boxes", before, cell)
    with pytest.raises(ConfigurationError, match=r"occupations have shape \(8, 2, 4\); accepted: \(8, 2, 4, 4\)"):
        apply("box", before[..., 0], cell)
    with pytest.raises(ConfigurationError, match="not finite"):
        apply("box", before * np.nan, cell)
    with pytest.raises(ConfigurationError, match="closure 'alignment' needs a cell with vacuum"):
        apply("alignment", before, Cell(cell.weight_0, cell.number_weight, 3))
    with pytest.raises(ConfigurationError, match=r"relaxation_time is 1\.0; accepted without dt: 0"):
        apply("box", before, cell, relaxation_time=1.0)
    with pytest.raises(ConfigurationError, match=r"dt is -1\.0; accepted: 0 or more"):
        apply("box", before, cell, dt=-1.0, relaxation_time=1.0)
    with pytest.raises(ConfigurationError, match="n_flavors is 4; accepted: 2 or 3"):
        Cell(cell.weight_0, cell.number_weight, 4)
    with pytest.raises(ConfigurationError, match="velocity is missing"):
        Cell(cell.weight_0, cell.number_weight, 3, vacuum=cell.vacuum)


@pytest.mark.parametrize("n", [2, 3])
def test_equilibrium_holds_lepton_numbers_and_no_other_state_has_more_entropy(n):
    cell, before = random_cell(n, 0)
    made = apply("equilibrium", before, cell)
    changes = conservation(before, made.occupations, cell)
    assert all(changes[name] < 1e-12 for name in CLOSURES["equilibrium"].conserves)
    for f in range(n):
        weight = cell.weight_0[:, None, None] * np.array([1.0, -1.0])[:, None] * cell.number_weight
        net = [float((weight * x[..., f]).sum()) for x in (before, made.occupations)]
        assert net[1] == pytest.approx(net[0], abs=1e-12 * np.abs(weight).sum())

    def entropy(x):
        q = x[..., :n]
        weight = np.abs(cell.weight_0[:, None, None, None] * cell.number_weight[:, None])
        return float(-(weight * (q * np.log(q) + (1 - q) * np.log(1 - q))).sum())

    top = entropy(made.occupations)
    assert top > entropy(before)
    # moves that keep every constraint: nu_a to nu_b in one momentum, back in another
    rng = np.random.default_rng(3)
    weight = cell.weight_0[:, None] * cell.number_weight
    for _ in range(20):
        (m, g), (k, h) = ((rng.integers(cell.weight_0.size), rng.integers(cell.number_weight.size)) for _ in range(2))
        trial = made.occupations.copy()
        a, b = rng.permutation(n)[:2]
        step = 1e-4 * min(weight[m, g], weight[k, h])
        trial[m, 0, g, a] -= step / weight[m, g]
        trial[m, 0, g, b] += step / weight[m, g]
        trial[k, 0, h, a] += step / weight[k, h]
        trial[k, 0, h, b] -= step / weight[k, h]
        assert entropy(trial) <= top + 1e-12 * abs(top)
