"""The row of `misci bench`, small: the cost does not grow with the number of directions."""

from __future__ import annotations

from misci_transport.bench.kinetics import kinetic_cost


def test_cost_of_a_direction_does_not_depend_on_their_number():
    few, many = (kinetic_cost(2, 60, cells=64, count=count) for count in (8, 64))
    assert 0.0 < many < 2.5 * few
