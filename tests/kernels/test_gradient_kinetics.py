"""Kernels of the gradient-corrected equation against plain matrix algebra, and their exact sums."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from misci_transport.kernels import gradient_kinetics as kernel

PAULI = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def matrices(p):
    """(..., 2, 2) of p (4, ...)."""
    return 0.5 * np.tensordot(np.moveaxis(p, 0, -1), PAULI, axes=1)


def components(rho):
    return np.stack([np.trace(rho @ s, axis1=-2, axis2=-1).real for s in PAULI])


def anti(a, b):
    return a @ b + b @ a


def differences(f, step, axis, periodic):
    out = np.zeros_like(f)
    for s, c in enumerate(kernel.STENCIL, 1):
        for sign in (1, -1):
            shifted = np.roll(f, -sign * s, axis=axis)
            if not periodic:
                gone = [slice(None)] * f.ndim
                gone[axis] = slice(-s, None) if sign == 1 else slice(0, s)
                shifted[tuple(gone)] = 0.0
            out += sign * c * shifted / step
    return out


def state(seed=3, cells=11, sizes=(6, 9)):
    rng = np.random.default_rng(seed)
    momenta = sum(sizes)
    first = np.cumsum([0, *sizes]).astype(np.int64)
    p = rng.normal(size=(4, momenta, cells))
    return p, rng.uniform(0.5, 1.5, momenta), rng.uniform(-1, 1, momenta), rng.normal(size=momenta), first


def test_differences_are_of_order_eight():
    errors = []
    for cells in (24, 48):
        z = np.arange(cells) * (2 * np.pi / cells)
        out = np.empty((1, cells))
        kernel.along(np.sin(2 * z)[None], z[1], out)
        errors.append(np.abs(out[0] - 2 * np.cos(2 * z)).max())
    assert errors[1] < 1e-7
    assert 7.5 < np.log2(errors[0] / errors[1]) < 8.5


def test_rate_is_the_equation_in_matrices():
    p, weight, velocity, slope, first = state()
    mu, dz, dp = 0.7, 0.3, 0.2
    out = np.empty_like(p)
    kernel.rate(p, weight, velocity, slope, first, mu, dz, dp, out)
    rho = matrices(p)  # (momentum, cell, 2, 2)
    whole = rho + np.trace(rho, axis1=-2, axis2=-1)[..., None, None] * np.eye(2)
    f = [mu * np.einsum("m,mcab->cab", weight * velocity**order, whole) for order in range(2)]
    omega = f[0] - velocity[:, None, None, None] * f[1]
    push = -slope[:, None, None, None] * f[1]
    pull = differences(omega, dz, 1, periodic=True)
    d_z = differences(rho, dz, 1, periodic=True)
    expected = -velocity[:, None, None, None] * d_z + 1j * (rho @ omega - omega @ rho)
    expected -= 0.25 * (anti(push, d_z) + differences(anti(push, rho), dz, 1, periodic=True))
    for low, high in pairwise(first):
        beam = slice(low, high)
        d_p = differences(rho[beam], dp, 0, periodic=False)
        pressed = differences(anti(pull[beam], rho[beam]), dp, 0, periodic=False)
        expected[beam] += 0.25 * (anti(pull[beam], d_p) + pressed)
    assert np.abs(components(expected) - out).max() < 1e-12 * np.abs(out).max()


@pytest.mark.parametrize("slopes", [0.0, 1.0])
def test_squares_stay(slopes):
    p, weight, velocity, slope, first = state()
    # one weight a beam, as for equally spaced momenta
    weight = np.repeat([0.8, 1.3], np.diff(first))
    out = np.empty_like(p)
    kernel.rate(p, weight, velocity, slopes * slope, first, 0.7, 0.3, 0.2, out)
    change = (weight[:, None] * p * out).sum()
    assert abs(change) < 1e-13 * np.abs(weight[:, None] * p * out).sum()
