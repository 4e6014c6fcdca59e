"""Growth over wave numbers, the fastest mode of a cell, and what drives it."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.sphere import SphereQuadrature
from misci_transport.stability import (
    AXIAL,
    COLLISIONAL,
    FAST,
    SLOW,
    STABLE,
    TRANSVERSE,
    CellState,
    dispersion,
    examine,
    fastest,
    linearise_flavors,
    scan_cells,
)


def cell(net, vacuum=0.0, damping=0.0, count=16):
    """Two flavours, three energies, Gauss-Legendre cosines: nu_e where net(v) > 0, nubar_e where it is negative."""
    cosine, weight = np.polynomial.legendre.leggauss(count)
    value = net(cosine)
    occupied = np.zeros((count, 2, 3, 2))
    occupied[:, 0, :, 0] = np.maximum(value, 0.0)[:, None]
    occupied[:, 1, :, 0] = np.maximum(-value, 0.0)[:, None]
    field = np.zeros((2, 4))
    field[0, 0], field[1, 0] = weight @ value, (weight * cosine) @ value
    rates = np.zeros((2, 3, 2))
    rates[0, :, 0], rates[1, :, 0] = 2.0 * damping, 0.6 * damping
    return {
        "occupied": occupied,
        "arguments": {
            "weight_0": weight,
            "weight_1": weight * cosine,
            "direction_cosine": cosine,
            "number_weight": np.full(3, 1.0 / 3.0),
            "vacuum": vacuum * np.array([1.0, 0.7, 0.4])[:, None] * np.array([[0.5, -0.5, 0.0, 0.0]]),
            "hamiltonian": field,
            "strength": 1.0,
            "damping": rates,
        },
    }


def state(made):
    return CellState(made["occupied"], True, made["arguments"])


def mixture(excess):
    """nu_e and nubar_e in the same directions, an excess of nu_e: no crossing."""
    made = cell(lambda v: np.ones_like(v))
    made["occupied"][:, 1, :, 0] = 1.0 - excess
    made["arguments"]["hamiltonian"][0, 0] = 2.0 * excess
    return made


def test_dispersion_follows_the_formula_of_linear_distribution():
    # at k = K - K_0 = 0 the growth is 2/3, and the other wave numbers agree with those of many directions
    made, fine = (cell(lambda v: v, count=n) for n in (24, 120))
    modes, exact = (linearise_flavors(m["occupied"], **m["arguments"]) for m in (made, fine))
    k0 = modes.drift[0]
    waves = k0 + np.linspace(-1.2, 1.2, 9)
    curve, reference = dispersion(modes, waves, 1e-3, check=True), dispersion(exact, waves, 1e-3)
    assert curve.complete.all()
    assert curve.growth[4] == pytest.approx(2.0 / 3.0, rel=1e-12)
    np.testing.assert_allclose(curve.growth, reference.growth, rtol=1e-4)
    assert (curve.number[curve.growth > 0.0] == 1).all()
    best = fastest(modes, 1e-3)
    scan = dispersion(modes, k0 + np.linspace(-1.2, 1.2, 241), 1e-3)
    assert best.complete
    assert best.growth >= scan.growth.max() - 1e-12
    assert best.growth == pytest.approx(scan.growth.max(), rel=1e-3)
    assert best.block == AXIAL
    with pytest.raises(ConfigurationError, match=r"wave numbers have shape \(\); accepted: \(wave,\)"):
        dispersion(modes, 1.0, 1e-3)


def test_kinds():
    fast = examine(state(cell(lambda v: v - 0.2, vacuum=1e-3, damping=1e-4)), 1e-3)
    assert fast.kind == FAST
    assert fast.without_vacuum > 0.5 * fast.growth
    slow_cell = mixture(0.3)
    slow_cell["arguments"]["vacuum"] = 0.05 * np.array([1.0, 0.7, 0.4])[:, None] * np.array([[0.5, -0.5, 0.0, 0.0]])
    slow = examine(state(slow_cell), 1e-3)
    assert slow.kind == SLOW
    assert slow.without_vacuum == 0.0
    collisional_cell = mixture(0.2)
    collisional_cell["arguments"]["damping"][0, :, 0] = 2e-3
    collisional = examine(state(collisional_cell), 1e-4)
    assert collisional.kind == COLLISIONAL
    assert (collisional.without_vacuum, collisional.without_collisions) == (0.0, 0.0)
    # the isotropic mode: w = -i g + sqrt(A^2 - al^2 + 2 i G al) + A with the numbers of this cell
    g, al = 0.5e-3, 0.5e-3
    total, lepton = 0.5 * 2.0 * (1.0 + 0.8), 0.5 * 2.0 * (1.0 - 0.8)
    exact = -g + np.sqrt(lepton**2 - al**2 + 2j * total * al).imag
    assert collisional.growth == pytest.approx(exact, rel=1e-6)
    stable = examine(state(mixture(0.2)), 1e-4)
    assert (stable.kind, stable.growth) == (STABLE, 0.0)
    assert np.isnan(stable.wave_number).all()
    assert stable.complete


def test_transverse_modes_are_found():
    # slow modes of the normal ordering break the symmetry of an isotropic gas (and as well along the radius)
    made = mixture(0.3)
    made["arguments"]["vacuum"] = -0.05 * np.ones((3, 1)) * np.array([[0.5, -0.5, 0.0, 0.0]])
    modes = linearise_flavors(made["occupied"], **made["arguments"])
    found = fastest(modes, 1e-3, [0.0], blocks=(TRANSVERSE,))
    assert found.growth > 1e-2
    assert found.growth == pytest.approx(fastest(modes, 1e-3, [0.0], blocks=(AXIAL,)).growth, rel=1e-8)


def test_wave_vectors_on_the_sphere():
    # the axial distribution on a product set: growth along its axis is that of the axial block
    sphere = SphereQuadrature.product(8, 8)
    weight, velocity = sphere.weights[0, 0], sphere.velocity[0]
    net = 0.5 * velocity[:, 0] / np.pi
    occupied = np.zeros((weight.size, 2, 1, 2))
    occupied[:, 0, 0, 0], occupied[:, 1, 0, 0] = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    field = np.zeros((4, 4))
    field[0, 0], field[1:, 0] = weight @ net, (weight * net) @ velocity
    given = {"weight_0": weight, "velocity": velocity, "number_weight": np.ones(1), "strength": weight.sum() ** -1}
    field *= given["strength"]
    modes = linearise_flavors(occupied, vacuum=np.zeros((1, 4)), hamiltonian=field, **given)
    cosine, w = np.polynomial.legendre.leggauss(8)
    plain = cell(lambda v: 0.5 * v / np.pi, count=8)
    plain["arguments"]["strength"] = 0.5
    plain["arguments"]["hamiltonian"] *= 0.5
    axial = linearise_flavors(plain["occupied"], **plain["arguments"])
    k0 = modes.collective[0]
    np.testing.assert_allclose(k0, [axial.drift[0], 0.0, 0.0], atol=1e-12)
    for step in (0.0, 0.03):
        along = dispersion(modes, (k0 + step * np.eye(3)[0])[None], 1e-4)
        expected = dispersion(axial, [axial.drift[0] + step], 1e-4)
        assert along.growth[0] == pytest.approx(expected.growth[0], rel=1e-8)
    best = fastest(modes, 1e-3, check=False)
    assert best.growth >= expected.growth[0] * 0.999
    assert best.wave_number.shape == (3,)
    assert (cosine.size, w.size) == (8, 8)


class OneRank:
    rank, size = 0, 1

    def allgather(self, value):
        return [value]

    def alltoall(self, values):
        return values

    def allreduce(self, value, op=None):
        return value


def test_scan_of_cells():
    states = {7: state(cell(lambda v: v - 0.2)), 3: state(mixture(0.2)), 11: state(cell(lambda v: 0.0 * v))}
    found = scan_cells(states, dict.fromkeys(states, 1e-3), OneRank(), offsets=np.linspace(-1.0, 1.0, 5))
    assert found.cell.tolist() == [3, 7, 11]
    assert len(found) == 3
    assert found.values("kind").tolist() == [STABLE, FAST, STABLE]
    assert found.curve.shape == found.wave_number.shape == (3, 5)
    assert found.curve[1].max() > 0.3
    assert not found.curve[0].any()
    alone = examine(states[7], 1e-3)
    assert found.found[1].growth == alone.growth
