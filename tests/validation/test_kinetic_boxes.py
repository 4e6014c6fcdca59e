"""V1 and V10 to V13 with parameters other than the defaults, small."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.kinetics.two_beams import TwoBeams
from misci_transport.verify import find
from misci_transport.verify.bipolar import lowest_points, pendulum, thresholds
from misci_transport.verify.fast_box import dispersion, modes

CASES = [
    ("V1", {}),
    ("V1", {"ordering": "inverted", "theta": 0.7, "potential": 1.0e-4, "energy": 3.0}),
    ("V1", {"flavors": 3, "dm2": 7.5e-5, "potential": 1.0e-7}),
    ("V10", {"cells": 1000}),
    ("V10", {"cells": 700, "zeta_plus": -0.3, "zeta_minus": 0.5, "length": 60.0, "k": 1.2}),
    ("V11", {"asymmetry": 0.6, "theta": 0.3, "mu": 6.0}),
    ("V11", {"asymmetry": 1.0, "theta": 0.1, "mu": 5.0, "omega": 2.0}),
    ("V12", {"angles": 16}),
    ("V13", {"steps": 3000}),
    ("V13", {"steps": 2000, "flavors": 3, "seed": 5}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=[f"{n}-{'-'.join(map(str, p.values()))}" for n, p in CASES])
def test_problem(name, parameters):
    results = find(name).run(**parameters)
    assert results
    failed = [
        f"{r.quantity}: {r.computed} for {r.expected}, error {r.error} > {r.tolerance}" for r in results if not r.passed
    ]
    assert not failed


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("V10", {"zeta_plus": 0.5, "zeta_minus": 0.4}, "accepted: of opposite signs"),
        ("V10", {"k": 3.0}, "k is 3.*accepted: in"),
        ("V10", {"cells": 64}, "cells is 64; accepted here: at least 400"),
        ("V11", {"mu": 0.2}, "mu is 0.2; accepted with these parameters"),
        ("V12", {"k": 50.0}, "nothing grows at k = 50"),
        ("V12", {"distribution": "gaussians", "sigma_bar": 0.6, "asymmetry": 0.5}, "nothing grows"),
    ],
)
def test_refusals(name, parameters, words):
    with pytest.raises(ConfigurationError, match=words):
        find(name).run(**parameters)


def test_growing_modes_of_two_beams_solve_the_linearised_equations():
    """FRS (9) with the modes and rates of FRS (10), the amplitudes of (11), and what |P| = const adds to (12)."""
    for plus, minus in ((0.5, -0.5), (0.5, -0.2), (-0.3, 0.7)):
        beams = TwoBeams(plus, minus)
        low, high = beams.unstable
        for k in np.linspace(low, high, 7)[1:-1]:
            matrix = 1j * np.array([[2.0 * minus - k, -2.0 * plus], [-2.0 * minus, k + 2.0 * plus]])
            vector = np.array(beams.mode(k))
            value = float(beams.growth(k)) - 1j * beams.frequency
            assert np.abs(matrix @ vector - value * vector).max() < 1.0e-13
            alpha = beams.growing(np.array([k]), vector[:1], vector[1:])
            assert alpha == pytest.approx(1.0)
            one = np.array([k]), np.ones(1), 1.0, 0.0
            along = (minus - plus) * -0.5 / plus * abs(vector[0]) ** 2
            assert beams.transverse_energy(*one) == pytest.approx((vector[0] * vector[1].conj()).real)
            assert beams.energy_change(*one) == pytest.approx(beams.transverse_energy(*one) + along)


def test_dispersion_relation_of_a_linear_distribution_in_closed_form():
    """G = v: I_n = (1/q) integral v^(n+1)/(x - v) dv with x = z/q by logarithms."""
    p = find("V12").values({"k": "-0.6"})
    root = dispersion(p, -0.6)
    q = -0.6 + 2.0 / 3.0
    x = root / q
    j = [np.log((x + 1.0) / (x - 1.0))]
    for n in range(3):
        j.append(x * j[-1] - (2.0 / (n + 1) if n % 2 == 0 else 0.0))
    i = [j[n + 1] / q for n in range(3)]
    assert abs((1.0 - i[0]) * (1.0 + i[2]) + i[1] ** 2) < 1.0e-10


def test_two_beams_are_two_directions_of_the_dispersion_relation():
    values, _ = modes(np.array([-0.5, 0.5]), np.array([-1.0, 1.0]), np.ones(2), 1.0, -0.7)
    assert values.imag.max() == pytest.approx(float(TwoBeams().growth(-0.7)))


def test_pendulum_of_equal_numbers_without_mixing_never_leaves_its_top():
    p = find("V11").values({"asymmetry": 1.0, "theta": 1.0e-3, "mu": 5.0})
    assert pendulum(p).roots[0] == pytest.approx(-1.0, abs=1e-4)
    assert pendulum(p).roots[1] == pytest.approx(np.cos(0.002 * 10.0 / 9.0), abs=1e-4)
    assert thresholds(p) == (pytest.approx(0.5), float("inf"))
    times = np.linspace(0.0, 20.0, 2001)
    assert lowest_points(times, np.cos(times)) == pytest.approx(np.pi * np.array([1.0, 3.0, 5.0]), abs=1e-6)
