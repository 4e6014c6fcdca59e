from __future__ import annotations

import numpy as np
import pytest

from misci_transport.grid import RadialMesh
from misci_transport.kernels.advection import flux_divergence
from misci_transport.kernels.radial_solve import factor, solve
from misci_transport.quadrature import AngularGrid

HALO = 2


def operator(grid, b, loss, s0, s1, f):
    """volume (loss f - scattering in) + outflow for f[cell, direction], nothing entering."""
    cells, directions = f.shape
    padded = np.zeros((cells + 4, directions, 1))
    padded[HALO:-HALO, :, 0] = f
    out = np.empty((cells, directions, 1))
    ends = np.empty((directions, 1))
    flux_divergence(
        padded,
        HALO,
        b[:, None],
        grid.face_area,
        grid.redistribution,
        grid.diamond,
        grid.volume,
        False,
        False,
        out,
        ends,
        ends.copy(),
    )
    mean = 0.5 * (grid.weight_0 * f).sum(axis=1, keepdims=True)
    flux = 0.5 * (grid.weight_1 * f).sum(axis=1, keepdims=True)
    scattered = s0[:, None] * mean + 3.0 * grid.direction_cosine * s1[:, None] * flux
    return grid.volume * (loss[:, None] * f - scattered - out[:, :, 0])


def grids():
    spherical = RadialMesh(np.array([0.0, 0.5, 1.0, 2.0, 3.5, 4.0, 8.0, 20.0]))
    return {
        "ordinates": AngularGrid.ordinates(spherical, 6),
        "hybrid": AngularGrid.hybrid(spherical, 1.0, inward=3, grazing=2, forward=3, opening_cosine=0.3, shells=1),
        "plane": AngularGrid.ordinates(RadialMesh.uniform(0.0, 3.0, 7, "plane"), 4),
    }


@pytest.mark.parametrize("name", ["ordinates", "hybrid", "plane"])
def test_the_direct_solution_inverts_the_advection_kernel(name):
    grid = grids()[name]
    cells, directions = grid.volume.shape
    rng = np.random.default_rng(3)
    b = rng.uniform(0.5, 1.0, cells + 1)
    s0, s1 = rng.uniform(0.0, 5.0, cells), rng.uniform(0.0, 0.5, cells)
    loss = s0 + rng.uniform(0.1, 1.0, cells)
    inverse = np.empty((cells, directions, directions))
    still = np.zeros_like(grid.face_area)
    turn, share = np.zeros_like(grid.redistribution), np.zeros((grid.volume.shape[0], grid.size - 1))
    arguments = (grid.face_area, still, grid.redistribution, grid.diamond, turn, share)
    arguments += (grid.volume, grid.weight_0, grid.weight_1)
    factor(*arguments, b, loss, s0, s1, inverse)
    exact = rng.uniform(size=(cells, directions))
    found = np.empty_like(exact)
    solve(grid.face_area, still, b, inverse, operator(grid, b, loss, s0, s1, exact), found)
    np.testing.assert_allclose(found, exact, rtol=1e-10)


def test_infinite_medium_is_in_equilibrium():
    """Absorption and emission in a thick sphere: f is the source over the loss away from the surface."""
    mesh = RadialMesh.uniform(0.0, 100.0, 50)
    grid = AngularGrid.ordinates(mesh, 4)
    b, loss = np.full(51, 0.5), np.full(50, 2.0)
    inverse = np.empty((50, 4, 4))
    still = np.zeros_like(grid.face_area)
    turn, share = np.zeros_like(grid.redistribution), np.zeros((grid.volume.shape[0], grid.size - 1))
    arguments = (grid.face_area, still, grid.redistribution, grid.diamond, turn, share)
    arguments += (grid.volume, grid.weight_0, grid.weight_1)
    factor(*arguments, b, loss, np.ones(50), np.zeros(50), inverse)
    f = np.empty((50, 4))
    solve(grid.face_area, still, b, inverse, grid.volume * 0.3, f)
    np.testing.assert_allclose(f[:25], 0.3, rtol=1e-6)
    assert f[-1].mean() < 0.3
