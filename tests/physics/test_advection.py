"""Advection over this rank's cells: balances, face values, ghost cells, the angular split."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.grid import RadialMesh
from misci_transport.phase_space import HALO
from misci_transport.physics.advection import EXPLICIT_ANGLE_LIMIT
from misci_transport.physics.boundary import Boundary
from misci_transport.quadrature import AngularGrid
from misci_transport.verify.setup import DIFFUSION_THRESHOLD, Case

CELLS = 12


def case(geometry="spherical", kind="ordinates", boundary=None):
    mesh = RadialMesh(np.cumsum(np.concatenate([[0.0], 1.0 + 0.3 * np.sin(np.arange(CELLS))])), geometry)
    if kind == "hybrid":
        grid = AngularGrid.hybrid(mesh, 5.0, inward=4, grazing=2, forward=4, opening_cosine=0.3)
    else:
        grid = AngularGrid.ordinates(mesh, 6)
    return Case(mesh, grid, boundary=boundary)


GRIDS = [("spherical", "ordinates"), ("spherical", "hybrid"), ("plane", "ordinates")]


def rate(c, *, second_order=True, fix_up=False, opacity=0.0, redistribution=None):
    a = c.advection
    b = a.upwind_fraction(np.full((CELLS, 2, 1, 3), opacity))
    a.fill_ghosts(c.state.populations)
    out = np.empty_like(c.state.owned)
    inner, outer, fixed = a.rate(
        c.state.populations, b, out, second_order=second_order, fix_up=fix_up, redistribution=redistribution
    )
    return out, inner, outer, fixed


@pytest.mark.parametrize(("geometry", "kind"), GRIDS)
@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("opacity", [0.0, 3.0])
def test_nothing_is_lost(geometry, kind, second_order, opacity):
    """What leaves a cell enters another one or goes through the ends."""
    c = case(geometry, kind)
    c.state.owned[:] = np.random.default_rng(1).uniform(size=c.state.owned.shape)
    out, inner, outer, _ = rate(c, second_order=second_order, opacity=opacity)
    change = np.einsum("im,imsgk->sgk", c.angles.volume, out).ravel()
    np.testing.assert_allclose(change, inner.sum(axis=0) - outer.sum(axis=0), rtol=1e-12)
    assert (outer.sum(axis=0) > 0.0).all()


@pytest.mark.parametrize(("geometry", "kind"), GRIDS)
def test_an_isotropic_field_between_mirrors_is_at_rest(geometry, kind):
    boundary = Boundary("reflecting", "reflecting")
    if kind == "hybrid":
        # its directions have no mirror images: the same field comes in instead
        shape = case(geometry, kind).state.owned.shape[1:]
        boundary = Boundary("inflow", "inflow", np.full(shape, 0.3), np.full(shape, 0.3))
    c = case(geometry, kind, boundary)
    c.state.owned[:] = 0.3
    out, *_ = rate(c)
    speed = (np.abs(c.angles.face_area).max(axis=0) / c.angles.volume).max()
    assert np.abs(out).max() <= 1e-14 * speed


def test_directions_without_mirror_images_cannot_be_reflected():
    mesh = RadialMesh.uniform(2.0, 12.0, CELLS)
    angles = AngularGrid.hybrid(mesh, 6.0, inward=3, grazing=2, forward=4, opening_cosine=0.3)
    with pytest.raises(
        ConfigurationError, match=r'boundary.inner is "reflecting".*accepted: a mesh that begins at r = 0'
    ):
        Case(mesh, angles, boundary=Boundary("reflecting", "inflow"))


def test_a_field_linear_in_the_direction_cosine_and_radius_is_advected_exactly():
    """f = x + 2 mu in plane symmetry, on cells of equal width: mu df/dx = mu."""
    mesh = RadialMesh.uniform(0.0, 12.0, CELLS, "plane")
    c = Case(mesh, AngularGrid.ordinates(mesh, 6))
    cosine = c.angles.direction_cosine
    c.state.owned[:] = (mesh.center[:, None] + 2.0 * cosine)[:, :, None, None, None]
    inside = slice(3, CELLS - 3)
    for opacity in (0.0, 10.0):
        out, *_ = rate(c, opacity=opacity)
        expected = np.broadcast_to(-cosine[inside, :, None, None, None], out[inside].shape)
        np.testing.assert_allclose(out[inside], expected, rtol=1e-12)


def test_face_values_turn_centred_where_a_cell_is_opaque():
    """b = max(1/2, 1/(1 + tau/threshold)), tau the smaller optical depth of the two neighbours."""
    c = case()
    opacity = np.geomspace(1e-4, 10.0, CELLS)
    b = c.advection.upwind_fraction(np.broadcast_to(opacity[:, None, None, None], (CELLS, 2, 1, 3)))
    assert b.shape == (CELLS + 1, 6)
    tau = opacity * c.mesh.width
    for face in range(1, CELLS):
        expected = max(0.5, 1.0 / (1.0 + min(tau[face - 1], tau[face]) / DIFFUSION_THRESHOLD))
        np.testing.assert_allclose(b[face], expected, rtol=1e-14)
    # nothing is known beyond the surface: upwind
    np.testing.assert_array_equal(b[CELLS], 1.0)


def test_angular_redistribution_is_split_without_rest():
    c = case()
    for h in (1e-3, 0.3, 2.0, 1e3):
        explicit, implicit = c.advection.split_redistribution(h)
        np.testing.assert_array_equal(explicit + implicit, c.advection.redistribution)
        fast = h * c.advection.angular_turnover > EXPLICIT_ANGLE_LIMIT
        assert (implicit.any(axis=1) == fast).all()
        assert not explicit[fast].any()
    # a direction turns fastest near the centre
    assert (np.diff(c.advection.angular_turnover[:4]) < 0.0).all()


def test_the_explicit_and_implicit_parts_make_up_the_rate():
    c = case()
    c.state.owned[:] = np.random.default_rng(2).uniform(size=c.state.owned.shape)
    whole, *_ = rate(c)
    none = np.zeros_like(c.advection.redistribution)
    streaming, *_ = rate(c, redistribution=none)
    explicit, implicit = c.advection.split_redistribution(0.5)
    assert implicit.any()
    assert explicit.any()
    one, *_ = rate(c, redistribution=explicit)
    two, *_ = rate(c, redistribution=implicit)
    np.testing.assert_allclose(one + two - streaming, whole, rtol=1e-12, atol=1e-14)


def test_fix_ups_are_counted_and_only_where_asked_for():
    c = case()
    # one direction full, its neighbours empty: diamond differences overshoot
    c.state.owned[:, 2] = 0.9
    assert rate(c)[3] == 0
    assert rate(c, fix_up=True)[3] > 0


@pytest.mark.parametrize("side", ["inner", "outer"])
def test_ghost_cells_hold_what_enters(side):
    entering = np.random.default_rng(3).uniform(size=(6, 2, 1, 3))
    c = case(boundary=Boundary("inflow", "inflow", entering, 2.0 * entering))
    c.advection.fill_ghosts(c.state.populations)
    ghost = c.state.populations[:HALO] if side == "inner" else c.state.populations[-HALO:]
    np.testing.assert_array_equal(ghost, np.broadcast_to((1.0 if side == "inner" else 2.0) * entering, ghost.shape))
    assert not c.state.owned.any()
    c = case(boundary=Boundary("reflecting", "reflecting"))
    c.state.owned[:] = np.random.default_rng(4).uniform(size=c.state.owned.shape)
    c.advection.fill_ghosts(c.state.populations)
    mirror = c.angles.mirror
    np.testing.assert_allclose(c.angles.direction_cosine[0][mirror], -c.angles.direction_cosine[0])
    for n in range(HALO):
        if side == "inner":
            np.testing.assert_array_equal(c.state.populations[HALO - 1 - n], c.state.owned[n][mirror])
        else:
            np.testing.assert_array_equal(c.state.populations[HALO + CELLS + n], c.state.owned[-1 - n][mirror])


def test_unknown_kind_of_boundary():
    with pytest.raises(ConfigurationError, match=r"boundary.outer is 'open'; accepted: reflecting, inflow"):
        Boundary(outer="open")
