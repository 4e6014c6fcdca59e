"""Checked interface of the measures: which neighbour counts, floors, thresholds, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.validity.measures import (
    Points,
    angular_crossings,
    ray_adiabaticity,
    scale_separation,
    segment_adiabaticity,
)


def falling_matter(potentials, directions=2, groups=1):
    """Two flavours in a matter potential, splitting 1 and coupling 0.1: a resonance at V = 1."""
    cells = len(potentials)
    populations = np.zeros((cells, directions, 2, groups, 3))
    populations[:, :, 0, :, 1] = 1.0
    hamiltonian = np.zeros((cells, 2, 4))
    hamiltonian[:, 0, 0] = potentials
    vacuum = np.broadcast_to([-0.5, 0.5, 0.1, 0.0], (cells, groups, 4))
    cosine = np.broadcast_to(np.linspace(0.5, 1.0, directions), (cells, directions))
    return Points(populations, cosine, vacuum, hamiltonian)


def test_cells_take_the_worse_of_their_segments():
    points = falling_matter([4.0, 3.0, 0.5, 0.4])
    radius = np.array([0.0, 30.0, 60.0, 90.0])
    result = ray_adiabaticity(points, radius, weight_0=np.ones((4, 2)), number_weight=np.ones(1))
    # gap 0.2, slope 2.5/30, smallest on the steepest ray: gap^2/slope
    assert result.gamma[1] == result.gamma[2] == pytest.approx(0.2**2 * 30.0 / 2.5, rel=1e-12)
    assert result.gamma[0] > 10.0 * result.gamma[1]
    np.testing.assert_array_equal(result.fraction[[0, 3]], 0.0)
    np.testing.assert_array_equal(result.fraction[[1, 2]], 1.0)
    one = ray_adiabaticity(points[:1], radius[:1], weight_0=np.ones((1, 2)), number_weight=np.ones(1))
    assert (one.gamma[0], one.fraction[0]) == (np.inf, 0.0)


def test_time_steps_use_the_same_measure():
    before, after = falling_matter([3.0, 5.0]), falling_matter([0.5, 5.0])
    common = {"weight_0": np.ones((2, 2)), "number_weight": np.ones(1)}
    result = segment_adiabaticity(before, after, ds=np.full((2, 2), 60.0), threshold=0.9, **common)
    assert result.gamma[0] == pytest.approx(0.2**2 * 60.0 / 2.5, rel=1e-12)
    assert result.gamma[1] == np.inf
    np.testing.assert_array_equal(result.fraction, 0.0)
    result = segment_adiabaticity(before, after, ds=np.full((2, 2), 60.0), threshold=1.0, **common)
    np.testing.assert_array_equal(result.fraction, [1.0, 0.0])


def test_small_differences_of_populations_do_not_count():
    before, after = falling_matter([3.0]), falling_matter([0.5])
    before.populations[..., 0] = before.populations[..., 1] * (1.0 - 1e-8)
    after.populations[..., 0] = after.populations[..., 1] * (1.0 - 1e-8)
    common = {"weight_0": np.ones((1, 2)), "number_weight": np.ones(1), "ds": np.ones((1, 2))}
    assert segment_adiabaticity(before, after, **common).gamma[0] == np.inf
    assert np.isfinite(segment_adiabaticity(before, after, negligible=1e-9, **common).gamma[0])


def test_scales_of_one_resonance():
    points = falling_matter([1.0])
    result = scale_separation(
        points, weight_0=np.ones((1, 2)), number_weight=np.ones(1), width=[20.0], removal=np.full((1, 2, 1), 0.05)
    )
    oscillation = 2.0 * np.pi / 0.2
    assert result.gap[0] == pytest.approx(0.2, rel=1e-12)
    assert result.crossing[0] == pytest.approx(oscillation / 20.0)
    assert result.collision[0] == pytest.approx(oscillation * 0.05)
    assert (result.crossing_fraction[0], result.collision_fraction[0]) == (1.0, 1.0)
    assert result.degeneracy[0] == pytest.approx(0.2 / (1.0 + np.hypot(1.0, 0.2)))
    by_level = np.zeros((1, 2, 1, 3))
    by_level[..., 0] = 0.1
    same = scale_separation(points, weight_0=np.ones((1, 2)), number_weight=np.ones(1), width=[20.0], removal=by_level)
    assert same.collision[0] == pytest.approx(result.collision[0])


def test_crossings_floor_and_round_off():
    occupation = np.zeros((4, 4, 2, 1, 3))
    occupation[:, :, 0, 0, 0] = 0.5
    occupation[0, :, 1, 0, 0] = [0.4, 0.4, 0.5, 0.7]
    occupation[1, :, 1, 0, 0] = [0.4, 0.4, 0.5, 0.5 + 1e-8]
    # both lobes are round-off of equal occupations
    occupation[2, :, 1, 0, 0] = 0.5 * (1.0 + 4e-16 * np.array([1, -1, 1, -1]))
    occupation[3, :, 1, 0, 0] = 0.4
    # the second heavy flavour closes the crossing of the first cell
    occupation[0, 3, 1, 0, 2] = 0.3
    found = angular_crossings(occupation, np.ones((4, 4)), np.ones(1))
    assert found.depth[0, 0] == pytest.approx(1.0)
    assert found.depth[1, 0] == pytest.approx(5e-8, rel=1e-6)
    np.testing.assert_array_equal(found.depth[2:], 0.0)
    np.testing.assert_array_equal(found.crossed[:, 0], [True, False, False, False])
    assert not found.crossed[0, 1]
    assert angular_crossings(occupation, np.ones((4, 4)), np.ones(1), floor=1e-8).crossed[1].all()


def test_refusals_name_the_value():
    points = falling_matter([1.0, 2.0])
    common = {"weight_0": np.ones((2, 2)), "number_weight": np.ones(1)}
    with pytest.raises(ConfigurationError, match=r"vacuum has 2 axes"):
        Points(points.populations, points.velocity, points.vacuum[0], points.hamiltonian)
    with pytest.raises(ConfigurationError, match=r"hamiltonian has shape \(1, 2, 4\); accepted: \(2, 2, 4\)"):
        Points(points.populations, points.velocity, points.vacuum, points.hamiltonian[:1])
    with pytest.raises(ConfigurationError, match=r"radius step \[0\] is -1.0; accepted: above 0"):
        ray_adiabaticity(points, [1.0, 0.0], **common)
    with pytest.raises(ConfigurationError, match="threshold"):
        segment_adiabaticity(points, points, ds=np.ones((2, 2)), threshold=0.0, **common)
    with pytest.raises(ConfigurationError, match=r"ds\[0, 1\] is 0.0"):
        segment_adiabaticity(points, points, ds=[[1.0, 0.0], [1.0, 1.0]], **common)
    with pytest.raises(ConfigurationError, match=r"end.populations has shape"):
        segment_adiabaticity(points, points[:1], ds=np.ones((2, 2)), **common)
    with pytest.raises(ConfigurationError, match=r"removal\[0, 0, 0, 0\] is -1.0"):
        scale_separation(points, width=[1.0, 1.0], removal=-np.ones((2, 2, 1)), **common)
    with pytest.raises(ConfigurationError, match=r"width\[1\] is 0.0"):
        scale_separation(points, width=[1.0, 0.0], removal=np.ones((2, 2, 1)), **common)
    with pytest.raises(ConfigurationError, match=r"occupation has shape"):
        angular_crossings(np.ones((2, 2, 2, 1, 2)), np.ones((2, 2)), np.ones(1))
