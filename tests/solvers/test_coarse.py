"""The coarse correction: a Galerkin solve of the slow modes that energy exchange and diffusion make together."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConvergenceError
from misci_transport.phase_space import HALO
from misci_transport.solvers.coarse_correction import CoarseCorrection
from misci_transport.solvers.steady import SteadySolver


@pytest.fixture(scope="module")
def solver(small_star):
    """A solver with everything set at the stationary state of a small star without mixing."""
    transport, fluid = small_star.transport(24, flavors={"mixing": False})
    transport.solve_steady(fluid)
    solver = SteadySolver(
        transport.phase_space,
        transport.decomposition,
        transport.advection,
        transport._collisions,
        transport.mixing,
        relative_tolerance=1e-10,
        max_newton=30,
        max_krylov=300,
    )
    solver._moments = transport.state.moments
    solver._prepare(transport.state.owned)
    solver._evaluate(transport.state.owned)
    solver._point = transport.state.owned.copy()
    solver._factor()
    solver.krylov = 0
    return solver


def project(solver, r):
    """Zeroth and first angular moments of a residual times volume, in the cells of the correction."""
    cosine = solver.problem.coarse.cosine
    whole = np.stack([r.sum(axis=1), np.einsum("im,imsgk->isgk", cosine, r)], axis=-1)
    return whole[: solver.problem.coarse.cells]


def test_it_covers_the_dense_inner_part(solver):
    assert 4 < solver.problem.coarse.cells <= 24


def test_numbers_of_what_is_left_vanish(solver):
    """Galerkin: after the correction the residual of a slow mode has no zeroth angular moment in the opaque core.

    The first moments stay: exchange of energy acts on the zeroth ones only in the coarse operator.
    """
    rng = np.random.default_rng(4)
    ps, cells = solver.phase_space, solver.problem.coarse.cells
    # nearly isotropic, smooth in radius, every group by itself
    shape = (24, 1, *ps.cell_shape[1:])
    smooth = np.exp(-(((np.arange(24) - 0.2 * cells) / 3.0) ** 2))[:, None, None, None, None]
    cosine = solver.problem.coarse.cosine[:, :, None, None, None]
    mode = smooth * (rng.uniform(size=shape) + 0.1 * cosine * rng.uniform(size=shape))
    balance = solver.advection.volume[:, :, None, None, None] / solver.scale
    source = solver.multiply(mode.ravel()).reshape(mode.shape) * balance
    found = np.zeros_like(mode)
    solver.problem.coarse.solve(source, found)
    rest = source - solver.multiply(found.ravel()).reshape(mode.shape) * balance
    before, after = (np.abs(project(solver, r)[..., 0]).max(axis=(1, 2, 3)) for r in (source, rest))
    assert (after[:8] < 1e-3 * before[:8]).all()


def test_it_saves_iterations(small_star, monkeypatch):
    """Shifts of chemical potentials that diffuse are slow modes, which solves of each level alone leave."""
    needed = []
    for on in (True, False):
        transport, fluid = small_star.transport(24, flavors={"mixing": False}, steady={"max_krylov": 40})
        if not on:
            monkeypatch.setattr(CoarseCorrection, "update", lambda *_: None)
            with pytest.raises(ConvergenceError, match="DIVERGED_LINEAR_SOLVE"):
                transport.solve_steady(fluid)
        else:
            needed.append(transport.solve_steady(fluid).krylov_iterations)
    assert needed[0] < 40


def test_a_star_without_energy_coupling_has_no_use_for_it(small_star):
    off = dict.fromkeys(("electron_scattering", "pair", "bremsstrahlung"), False)
    transport, fluid = small_star.transport(flavors={"mixing": False}, collisions=off)
    transport.solve_steady(fluid)
    coarse = CoarseCorrection(transport.phase_space, transport.decomposition)
    ps, n = transport.phase_space, 24
    frame = transport.mixing.frame
    entries = int(np.prod(ps.cell_shape[1:]))
    transport._collisions.moments(np.ascontiguousarray(transport.state.populations[HALO:-HALO]), frame)
    nothing = np.zeros((n, entries))
    coarse.update(transport._collisions, frame, np.ones((n + 1, entries)), nothing, nothing, nothing)
    assert coarse.cells == 0
    out = np.zeros_like(transport.state.owned)
    coarse.solve(np.ones_like(out), out)
    assert not out.any()
