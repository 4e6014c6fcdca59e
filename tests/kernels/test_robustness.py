"""Random cells, few of those of benchmarks/robustness.py: every one converges to an aligned state, or says that not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numba
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "robustness.py"

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="thousands of cells need compiled kernels")


@pytest.fixture(scope="module")
def robustness():
    spec = importlib.util.spec_from_file_location("robustness", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def outcome(robustness):
    return robustness.run(11200, seed=1, batch=100)


def fraction(count, name, flavors, guess):
    good, total = count[name, f"{flavors} flavours", guess]
    assert total >= 10
    return good / total


def test_no_state_is_called_converged_that_is_not_aligned(outcome):
    _, wrong = outcome
    assert wrong == 0


@pytest.mark.parametrize("flavors", [2, 3])
@pytest.mark.parametrize("name", ["tilted", "along the axis", "none"])
def test_guess_at_or_near_the_solution(outcome, name, flavors):
    count, _ = outcome
    assert fraction(count, name, flavors, "exact") == 1.0
    assert fraction(count, name, flavors, "near") >= 0.9


@pytest.mark.parametrize("flavors", [2, 3])
def test_weak_self_interaction_from_any_guess(outcome, flavors):
    count, _ = outcome
    assert fraction(count, "plain, density < 1", flavors, "random") >= 0.97
