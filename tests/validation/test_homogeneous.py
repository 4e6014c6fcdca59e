"""Homogeneous gases with conserved charges (V5, V6, V8, V9): the driver, its flags, and how its errors fall."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.verify import find
from misci_transport.verify.homogeneous import (
    Gas,
    by_frequency,
    from_polarization,
    polarization,
    uniform_bins,
    vacuum_matrices,
)
from misci_transport.verify.kinetics import Law, box_spectrum, vacuum_axis
from misci_transport.verify.resonance import fold, survival
from misci_transport.verify.splits import build, deviation, growth, sharp_crossing

CASES = [
    ("V5", {"modes": 60}),
    ("V5", {"modes": 60, "ordering": "normal"}),
    ("V5", {"modes": 60, "theta": 0.2, "asymmetry": 0.4}),
    ("V5", {"modes": 60, "potential": 10.0}),
    ("V5", {"modes": 60, "potential": 0.03, "charge": "synchronized"}),
    ("V5", {"modes": 60, "potential": 0.5}),
    ("V5", {"modes": 40, "flavors": 3}),
    ("V5", {"modes": 40, "flavors": 3, "ordering": "normal", "ratio": 0.1}),
    ("V5", {"modes": 60, "mu0": 20.0}),
    ("V5", {"modes": 60, "mu0": 5.0}),
    ("V5", {"modes": 60, "mu0": 2.0}),
    ("V5", {"modes": 60, "flavors": 3, "mu0": 20.0}),
    ("V6", {"modes": 60}),
    ("V6", {"modes": 75, "charge": -0.35, "tau": 80.0}),
    ("V8", {"potential": 200.0, "steps": 200}),
    ("V8", {"potential": 200.0, "steps": 200, "asymmetry": 1.8, "theta": 0.05, "ratio": 1.5}),
    ("V8", {"potential": 200.0, "steps": 200, "ordering": "normal"}),
    ("V9", {"step": 0.4}),
    ("V9", {"step": 0.4, "ordering": "inverted", "gamma": 0.04, "mu": 500.0}),
    ("V9", {"step": 0.4, "gamma": 0.0025, "gamma_bar": 0.02}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=[f"{n}-{'-'.join(map(str, p.values()))}" for n, p in CASES])
def test_problem(name, parameters):
    results = find(name).run(**parameters)
    failed = [f"{r.quantity}: {r.computed} for {r.expected}, tolerance {r.tolerance}" for r in results if not r.passed]
    assert results
    assert not failed


def flags(name, **parameters):
    return {r.quantity: r.computed for r in find(name).run(**parameters) if r.quantity.startswith("flag")}


def test_flags_are_raised_where_the_alignment_does_not_hold():
    assert list(flags("V5", modes=60, mu0=20.0).values()) == [1.0]
    assert list(flags("V5", modes=60, mu0=20.0, ordering="normal").values()) == [0.0]
    assert list(flags("V5", modes=60, potential=1.0).values()) == [0.0, 1.0]
    assert list(flags("V8", potential=200.0, steps=100, ordering="normal").values()) == [1.0]
    assert list(flags("V8", potential=200.0, steps=100).values()) == [0.0]


def split(**parameters):
    p = {k.name: k.default for k in find("V5").parameters} | {"modes": 100} | parameters
    gas = build(p, p["charge"] if p["charge"] != "auto" else "mass")
    begun = gas.start()
    assert begun.report.successful
    end = p["tau"] * np.log(p["mu0"] / 1.0e-3)
    for time in np.linspace(0.0, end, p["steps"] + 1)[1:]:
        gas.advance(float(time))
    return p, gas, end


def test_split_does_not_depend_on_the_number_of_steps():
    """Without collisions the populations are constant: steps only have to stay on the branch."""
    states = [split(steps=steps)[1].density_matrix for steps in (50, 100, 400)]
    assert np.abs(states[0] - states[2]).max() < 1e-9
    assert np.abs(states[1] - states[2]).max() < 1e-9


def test_deviation_from_kinetics_falls_with_the_adiabaticity():
    errors = [deviation(*split(tau=tau)) for tau in (20.0, 80.0, 320.0)]
    assert errors[0] > 2.5 * errors[1] > 6.0 * errors[2]
    assert deviation(*split(charge="none")) > 0.5


@pytest.mark.parametrize(
    ("charge", "expected"),
    [
        ("mass", {0.03: 0.031, 0.3: 0.096, 1.0: 0.42}),
        ("flavor", {0.03: 0.037, 0.3: 0.116, 1.0: 0.39, 3.0: 0.031, 30.0: 0.031}),
        ("synchronized", {0.03: 0.031, 0.3: 0.098, 1.0: 0.38}),
        ("none", {0.03: 0.76, 0.3: 1.02, 1.0: 1.32, 3.0: 1.70, 30.0: 1.70}),
    ],
)
def test_deviation_with_matter(charge, expected):
    """Neither axis serves where V is like w: figures of an independent prototype, to 20 %."""
    for potential, deviates in expected.items():
        p = {k.name: k.default for k in find("V5").parameters} | {
            "charge": charge,
            "potential": potential,
            "steps": 400,
        }
        gas = build(p, charge)
        gas.start(float(gas.cells.axes.seed[0]) if charge == "flavor" else 0.0)
        end = p["tau"] * np.log(p["mu0"] / 1.0e-3)
        gas.march(np.linspace(0.0, end, p["steps"] + 1))
        assert deviation(p, gas, end) == pytest.approx(deviates, rel=0.2)


def test_swap_of_an_inverted_gas():
    """All antineutrinos and 70 % of the neutrinos change flavour: P along B, ascending w."""
    _, gas, _ = split(theta=0.02)
    axis = vacuum_axis(0.02, "inverted")
    p = by_frequency(polarization(gas.density_matrix)) @ axis
    assert p[:50] == pytest.approx(-0.7, abs=5e-3)
    assert p[50 : 50 + 34] == pytest.approx(-1.0, abs=5e-3)
    assert p[50 + 36 :] == pytest.approx(1.0, abs=5e-3)
    assert gas.charge_error() < 1e-10
    assert gas.iterations_per_step < 3.5


def test_conversions_between_the_two_forms():
    axis = vacuum_axis(0.3, "normal")
    w, ratio = uniform_bins(4, 2.0)
    assert w == pytest.approx([0.25, 0.75, 1.25, 1.75])
    assert (ratio * w[:, None])[1:, 0] == pytest.approx((ratio * w[:, None])[:-1, 1])
    assert polarization(vacuum_matrices(w, axis)) == pytest.approx(w[:, None] * axis)
    vectors = np.random.default_rng(1).normal(size=(2, 4, 3))
    packed = from_polarization(vectors, 2.0)
    assert polarization(packed) == pytest.approx(vectors)
    assert packed[..., :2].sum(axis=-1) == pytest.approx(2.0)
    frequencies = by_frequency(np.stack([w, -w]))
    assert frequencies == pytest.approx(box_spectrum(8, 0.7, 2.0)[0])


def test_growth_of_the_flavour_state_is_the_bipolar_one():
    """Two modes +-w: sqrt(4 a mu^2 - (mu (1 + a) - 2 w)^2)/2, unstable in inverted ordering only."""
    a, w, mu = 0.7, 1.0, 20.0
    found = growth([w, -w], [1.0, -a], [1.0, 1.0], mu)
    assert found == pytest.approx(0.5 * np.sqrt(4.0 * a * mu**2 - (mu * (1.0 + a) - 2.0 * w) ** 2), rel=1e-9)
    assert growth([-w, w], [1.0, -a], [1.0, 1.0], mu) == pytest.approx(0.0, abs=1e-6)
    upper = 2.0 * w / (1.0 - np.sqrt(a)) ** 2
    assert growth([w, -w], [1.0, -a], [1.0, 1.0], 1.01 * upper) == pytest.approx(0.0, abs=1e-6)
    assert growth([w, -w], [1.0, -a], [1.0, 1.0], 0.99 * upper) > 0.1


def test_place_of_a_split_inside_a_bin():
    place, edges = 0.7321, np.linspace(0.0, 2.0, 41)
    averages = np.clip((edges[1:] - place) / 0.05, 0.0, 1.0) * 2.0 - 1.0
    assert sharp_crossing(0.05, averages) == pytest.approx(place)


def test_formulas_of_the_resonance():
    a = 1.3
    assert survival(a, [0.1, a - 1.0])[:] == pytest.approx(1.0)
    assert survival(a, [a + 1.0, 5.0]) == pytest.approx(np.tile([0.0, 1.0], (2, 1)), abs=1e-12)
    # D_z = P - a P_bar is -R
    for r in (0.5, 1.0, 2.0):
        p = 2.0 * survival(a, r) - 1.0
        assert p[0] - a * p[1] == pytest.approx(-r)
    # where Hbar vanishes, P_ee is sin^2(theta)
    place = fold(a, 0.1, 0.0)
    assert survival(a, place)[0] == pytest.approx(np.sin(0.1) ** 2)


def test_divided_steps_follow_a_fast_turn():
    """Between V/mu = 0.29 and 0.32 both modes turn: a single step would end on another branch."""
    axis, v, a = vacuum_axis(0.1, "inverted"), 1000.0, 1.3
    given = np.stack([from_polarization([[0.0, 0.0, n]], [n]) for n in (1.0, a)])

    def end(times, **options):
        gas = Gas(
            vacuum_matrices([1.0], axis),
            [1.0],
            given,
            mu=Law.power(v, 1.0, -1.0, 0.1),
            matter=Law.constant(v),
            charge="none",
            tolerance=1e-10,
            **options,
        )
        gas.start()
        for time in times[1:]:
            gas.advance(time)
        return polarization(gas.density_matrix)[:, 0, 2]

    followed = end([0.0, 0.3], largest_change=0.1, smallest_step=1e-9)
    fine = end(np.linspace(0.0, 0.3, 20001))
    assert followed == pytest.approx(fine, abs=1e-7)
    assert 0.5 * (1.0 + followed[0]) == pytest.approx(survival(a, 0.4)[0], abs=0.01)
    # one step of the same length goes to where both P have changed sides
    assert abs(end([0.0, 0.3])[0] - followed[0]) > 0.5


def test_refusals():
    axis = vacuum_axis(0.1, "inverted")
    given = np.stack([from_polarization([[0.0, 0.0, n]], [n]) for n in (1.0, 0.7)])
    with pytest.raises(ConfigurationError, match=r"\(1, 4\), \(2, 1, 4\)"):
        Gas(
            vacuum_matrices([1.0], axis),
            [1.0],
            given[:1],
            mu=Law.constant(1.0),
            matter=Law.constant(0.0),
            charge="mass",
        )
    gas = Gas(
        vacuum_matrices([1.0], axis),
        [1.0],
        given,
        mu=Law.constant(100.0),
        matter=Law.linear(0.0, 1.0),
        charge="synchronized",
        synchronized_frequency=1.0,
    )
    gas.start()
    with pytest.raises(ConfigurationError, match="constant matter potential"):
        gas.advance(1.0)
    with pytest.raises(ConfigurationError, match="V9: n_e - n_x"):
        find("V9").run(nbar_e=1.5)
    with pytest.raises(ConfigurationError, match="V9: growth rate is"):
        find("V9").run(gamma=0.01, gamma_bar=0.01)
    with pytest.raises(ConfigurationError, match=r"V9: step is 0\.0001"):
        find("V9").run(step=1e-4)
