"""Packing, the mixing matrix and the mass-squared matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misci_transport.errors import ConfigurationError
from misci_transport.flavor import (
    MixingParameters,
    components_of,
    elements_of,
    flavors_of,
    pack,
    packed_of,
    pmns_matrix,
    unpack,
)

angle = st.floats(0.0, np.pi / 2)


@pytest.mark.parametrize("n", [2, 3])
def test_packing_is_invertible_and_hermitian(n):
    packed = np.random.default_rng(1).normal(size=(5, 4, n * n))
    matrix = unpack(packed)
    assert matrix.shape == (5, 4, n, n)
    assert (matrix == matrix.conj().swapaxes(-1, -2)).all()
    assert (pack(matrix) == packed).all()


def test_order_of_the_components():
    assert unpack(np.arange(4.0)).tolist() == [[0, 2 + 3j], [2 - 3j, 1]]
    expected = [[0, 3 + 4j, 5 + 6j], [3 - 4j, 1, 7 + 8j], [5 - 6j, 7 - 8j, 2]]
    assert unpack(np.arange(9.0)).tolist() == expected


def test_components_stand_beside_packed_matrices():
    """The diagonal element of a spectator comes last in a packed matrix, and third in components."""
    components = np.arange(5.0)
    assert packed_of(components, 2).tolist() == [0.0, 1.0, 3.0, 4.0, 2.0]
    assert elements_of(2).tolist() == [[0, 0], [1, 1], [0, 1], [0, 1], [2, 2]]
    for n, count in ((2, 5), (3, 9)):
        components = np.random.default_rng(n).normal(size=(3, count))
        packed = packed_of(components, n)
        np.testing.assert_array_equal(components_of(packed, n), components)
        matrix = unpack(packed[:, : n * n])
        for place, (i, j) in enumerate(elements_of(n)[: n * n]):
            part = matrix[:, i, j].real if i == j or place % 2 == n % 2 else matrix[:, i, j].imag
            np.testing.assert_array_equal(packed[:, place], part)
        assert flavors_of(n * n) == n
    assert flavors_of(5) == 0


@given(angle, angle, angle, st.floats(-6.0, 6.0))
def test_mixing_matrix_is_unitary(theta12, theta13, theta23, delta):
    u = pmns_matrix(theta12, theta13, theta23, delta)
    assert abs(u @ u.conj().T - np.eye(3)).max() < 1e-15
    assert abs(abs(u[0, 2]) - np.sin(theta13)) < 1e-15


@pytest.mark.parametrize("ordering", ["normal", "inverted"])
def test_global_fit(ordering):
    mixing = MixingParameters.global_fit(ordering)
    eigenvalues, vectors = np.linalg.eigh(unpack(mixing.mass_squared_matrix(3)))
    assert abs(eigenvalues.sum()) < 1e-18
    order = [0, 1, 2] if ordering == "normal" else [2, 0, 1]
    differences = np.array([0.0, mixing.dm2_21, mixing.dm2_31])[order]
    np.testing.assert_allclose(eigenvalues - eigenvalues[0], differences - differences[0], rtol=1e-11, atol=1e-18)
    np.testing.assert_allclose(abs(vectors) ** 2, abs(mixing.matrix[:, order]) ** 2, atol=1e-11)
    # the heavy pair of the fit: |dm2_3l| is 2.5e-3 in both orderings, sin^2 theta13 about 0.022
    assert abs(abs(mixing.dm2_31) - 2.5e-3) < 1e-4
    assert abs(np.sin(mixing.theta13) ** 2 - 0.0222) < 2e-4
    if ordering == "inverted":
        assert mixing.dm2_31 - mixing.dm2_21 == pytest.approx(-2.484e-3, rel=1e-14)


def test_three_flavours_with_one_decoupled_are_two():
    mixing = MixingParameters.two_flavor(0.3, 2.5e-3)
    full = unpack(mixing.mass_squared_matrix(3))
    pair = full[np.ix_([0, 2], [0, 2])]
    pair -= np.eye(2) * np.trace(pair) / 2
    np.testing.assert_allclose(pack(pair), mixing.mass_squared_matrix(2), atol=1e-18)
    assert full[0, 1] == 0
    assert full[1, 2] == 0


def test_two_flavours():
    packed = MixingParameters.two_flavor(0.2, -3e-3).mass_squared_matrix(2)
    np.testing.assert_allclose(packed, [1.5e-3 * np.cos(0.4), -1.5e-3 * np.cos(0.4), -1.5e-3 * np.sin(0.4), 0.0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"theta12": -0.1}, "theta12"),
        ({"theta13": 2.0}, "theta13"),
        ({"theta23": float("nan")}, "theta23"),
        ({"delta_cp": 7.0}, "delta_cp"),
        ({"dm2_21": -1e-5}, "dm2_21"),
        ({"dm2_31": -2.5e-3}, "dm2_31"),
        ({"dm2_31": 0.0}, "dm2_31"),
        ({"theta12": "0.5"}, "theta12"),
        ({"ordering": "upside-down"}, "ordering"),
    ],
)
def test_parameters_out_of_range(change, words):
    values = {"theta12": 0.6, "theta13": 0.15, "theta23": 0.8, "delta_cp": 1.0, "dm2_21": 7e-5, "dm2_31": 2.5e-3}
    with pytest.raises(ConfigurationError, match=rf"{words}.*accepted"):
        MixingParameters(**{**values, **change})


def test_wrong_sizes():
    with pytest.raises(ConfigurationError, match="accepted: 2 or 3"):
        pack(np.eye(4))
    with pytest.raises(ConfigurationError, match="accepted: 4 or 9"):
        unpack(np.zeros(5))
    with pytest.raises(ConfigurationError, match="ordering is 'nomal'"):
        MixingParameters.global_fit("nomal")
    with pytest.raises(ConfigurationError, match="accepted: 2 or 3"):
        MixingParameters.global_fit().mass_squared_matrix(4)
