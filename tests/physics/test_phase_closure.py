"""The local closure of the phase equation against central differences, for two and three flavours."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.physics.phase_closure import PARALLEL, PhaseClosure, medium
from misci_transport.physics.phase_type import ELLIPTIC, HYPERBOLIC, ORDINARY, classify
from misci_transport.verify.phase import response_error, synchronized_error
from misci_transport.verify.phase_media import Synchronized, TiltedGas, TwoBeams, one_place


@pytest.mark.parametrize(("n_flavors", "width"), [(2, 0.0), (2, 0.3), (3, 0.0)])
def test_response_is_the_derivative_of_the_charges(n_flavors, width):
    gas = TiltedGas(n_flavors, width)
    closure, state = gas.closure(one_place()), gas.seed(one_place())
    assert closure.tilt(state)[0] > 0.05
    largest = np.abs(state.response).max()
    hessian = state.hessian[0].reshape(4 * (n_flavors - 1), -1)
    assert np.abs(hessian - hessian.T).max() < 1.0e-9 * largest
    h = 1.0e-5
    for order in range(4):
        for a in range(n_flavors - 1):
            ends = []
            for sign in (1.0, -1.0):
                multiplier = state.multiplier.copy()
                multiplier[0, order, a] += sign * h
                ends.append(closure.solve(state, multiplier, tolerance=1.0e-13))
                assert ends[-1].report.successful
            difference = (ends[0].charge - ends[1].charge)[0] / (2.0 * h)
            assert np.abs(difference - state.response[0, :, :, order, a]).max() < 1.0e-5 * largest
            if n_flavors == 2:
                slope = (closure.potential(ends[0]) - closure.potential(ends[1]))[0] / (2.0 * h)
                charge = state.charge[0, order, a] * (-1.0 if order == 0 else 1.0)
                assert abs(slope - charge) < 1.0e-6 * np.abs(state.charge).max()


def test_given_flux_and_given_multipliers_are_the_same_states():
    gas = TiltedGas(2, 0.2)
    closure, state = gas.closure(one_place()), gas.seed(one_place())
    again = closure.solve(state, state.multiplier)
    assert np.abs(again.charge - state.charge).max() < 1.0e-9 * closure.scale[0]
    moved = closure.solve(state, state.multiplier, given=1, charge=0.97 * state.charge[:, 1])
    back = closure.solve(moved, moved.multiplier)
    assert back.charge[0, 1, 0] == pytest.approx(0.97 * state.charge[0, 1, 0], rel=1.0e-9)


def test_closed_forms():
    for beams in (TwoBeams(), TwoBeams(numbers=(0.8, 0.9), coupling=0.7)):
        closure, state = beams.closure(one_place()), beams.seed(one_place())
        for k in np.array([[0.05, -0.1], [-0.1, 0.1], [0.0, 0.15]]):
            multiplier = np.zeros((1, 3, 1))
            multiplier[0, 1:, 0] = k / np.sqrt(2.0)
            found = closure.solve(state, multiplier)
            assert found.report.successful
            assert np.abs(found.charge[0, 1:, 0] * np.sqrt(2.0) - beams.flux(k[None])[0]).max() < 1.0e-11
            assert classify(found.hessian, (0, 1)).kind[0] == ELLIPTIC
    for kind in ("elliptic", "hyperbolic"):
        errors = [synchronized_error(kind, mu) for mu in (1.0e3, 1.0e4)]
        assert errors[1] < 0.02
        assert np.log10(errors[0] / errors[1]) > 0.9
        assert max(response_error(Synchronized(kind, 100.0))) < 1.0e-5


def test_two_beams_without_a_triangle_have_no_phase():
    """Where f_1 f_2/m, f_1 a_1, f_2 a_2 form no triangle, all that is left lies along the axis of the charge."""
    beams = TwoBeams()
    closure, state = beams.closure(one_place()), beams.seed(one_place())
    multiplier = np.zeros((1, 3, 1))
    multiplier[0, 1, 0] = 1.5
    found = closure.solve(state, multiplier)
    assert found.status[0] != 0 or closure.tilt(found)[0] <= PARALLEL


def test_types():
    def of(ww, wr, rr, rt, tt):
        h = np.zeros((1, 3, 1, 3, 1))
        h[0, :, 0, :, 0] = [[ww, wr, 0.0], [wr, rr, rt], [0.0, rt, tt]]
        return classify(h, (0, 1)), classify(h, (0,))

    both, radial = of(-1.0, 0.9, -0.8, 0.0, 0.2)
    assert both.kind[0] == HYPERBOLIC
    assert both.steepness[0] == pytest.approx(0.5)
    assert radial.kind[0] == ORDINARY
    both, _ = of(-1.0, 1.0, -0.8, 0.3, -0.2)
    assert both.kind[0] == ELLIPTIC
    # real speeds along the march, complex ones across: 0.81 - 0.8 and 0 - 0.2
    both, _ = of(1.0, 0.9, 0.8, 0.0, 0.2)
    np.testing.assert_allclose(np.sort(both.speed[0].real), [-1.0, -0.8], rtol=1.0e-12)
    assert np.abs(both.speed.imag).max() == 0.0
    assert not both.evolves[0]
    assert both.growth[0] == pytest.approx(np.sqrt(0.2))
    assert not both.outward[0]
    both, _ = of(-1.0, 0.9, -0.8, 0.0, 0.2)
    assert both.outward[0]


def test_types_of_two_charges_are_those_of_each_if_they_do_not_couple():
    h = np.zeros((1, 3, 2, 3, 2))
    for a, (rr, tt) in enumerate([(-1.0, 0.25), (2.0, -0.5)]):
        h[0, 0, a, 0, a], h[0, 1, a, 1, a], h[0, 2, a, 2, a] = 1.0, rr, tt
    kind = classify(h, (0, 1))
    assert kind.kind[0] == HYPERBOLIC
    assert kind.steepness[0] == pytest.approx(0.5)
    h[0, 2, 1, 2, 1] = 0.5
    assert classify(h, (0, 1)).kind[0] not in (HYPERBOLIC, ELLIPTIC)


def test_bad_input_is_named():
    closure = TiltedGas(2).closure(one_place())
    with pytest.raises(ConfigurationError, match="multipliers have shape"):
        closure.solve(closure.empty(), np.zeros((1, 3, 1)))
    with pytest.raises(ConfigurationError, match="accepted: mass, flavor"):
        medium("total", vacuum=np.zeros((1, 4)), matter_potential=0.0)
    with pytest.raises(ConfigurationError, match="velocity"):
        PhaseClosure(
            2, closure.low, closure.high, closure.external, closure.weight, np.repeat(closure.velocity, 3, axis=0),
            closure.populations, closure.number_weight, 1.0,
        )  # fmt: skip
