"""Steps in three dimensions: a star turned into a Cartesian box, beside memory bandwidth."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from ..block_mesh import BlockMesh
from ..grid import RadialMesh
from ..options import TransportOptions
from ..physics.mixing import LocalMixing
from ..turned import Turning, turned_radiation, turned_star
from .figure import Figure

if TYPE_CHECKING:
    from ..plugin import Transport
    from ..profile import Profile

#: cm, half the width of the box: core, shock and some of the free fall.
HALF_WIDTH = 3.0e7
#: Cells along each axis, by the number of flavours.
CELLS = {2: 20, 3: 16}
STEP_GOALS = {2: 50.0, 3: 250.0}
RATIO_GOALS = {2: 2.0, 3: 4.0}
ITERATION_GOALS = {2: 60.0, 3: 400.0}

COUPLED = {"response": "off"}  #: matter that stays as it is does not respond
UNCOUPLED = {**COUPLED, "electron_scattering": False, "pair": False, "bremsstrahlung": False}


@dataclass
class BoxCost:
    """What a step in the box costs."""

    nanoseconds: float  #: of one core per cell, direction, group and step
    unlocked: float  #: share of cells whose flavours are not locked
    cells: int
    directions: int
    groups: int
    memory: float  #: resident memory of the process over that of the populations array
    exchange: float  #: share of the step in which ghosts are exchanged


def box(
    profile: Profile,
    flavors: int,
    cells: int,
    *,
    mixing: bool = True,
    coupled: bool = False,
    filled: bool = True,
    finer: int = 1,
    comm: Any = None,
) -> tuple[Transport, Any]:
    """Transport and fluid of a turned, deformed and rotating star in a box of cells^3, ``finer`` times as many along z.

    filled: with the neutrinos of the spherical star, or none.
    """
    from ..plugin import Transport

    options = TransportOptions.model_validate(
        {
            "angles": {"kind": "lebedev", "degree": 7},
            "flavors": {"number": flavors, "mixing": mixing},
            "collisions": COUPLED if coupled else UNCOUPLED,
            "alignment": {"on_failure": "hold"},
            "validity": {"every": 0},
        }
    )
    shape = (cells, cells, finer * cells)
    mesh = BlockMesh.uniform((-HALF_WIDTH,) * 3, (HALF_WIDTH,) * 3, shape, "cartesian")
    transport = Transport(mesh, options, comm)
    turning = Turning(shift=(1.0e6, 0.0, 5.0e5), wrinkle=0.05, rotation=50.0)
    fluid = turned_star(profile, mesh, transport.decomposition.cells, turning)
    if filled:
        transport.fill(fluid, _spherical_field(profile, flavors, transport))
    return transport, fluid


def _spherical_field(profile: Profile, flavors: int, transport: Transport) -> Any:
    """Stationary flavours of the spherical star at the cells and directions of the box.

    A box that fills from empty is no star: antineutrinos come first, and much of it is in the matter-neutrino
    resonance, where the alignment has no solution.
    """
    from ..plugin import Transport

    faces = profile.native_faces
    corner = float(np.linalg.norm(transport.phase_space.mesh.centers[:, :3], axis=1).max())
    mesh = RadialMesh(faces[: int(np.searchsorted(faces, corner)) + 1])
    options = TransportOptions.model_validate(
        {
            "angles": {"kind": "ordinates", "directions": 16},
            "flavors": {"number": flavors, "mixing": False},
            "collisions": UNCOUPLED,
        }
    )
    comm = transport.decomposition.comm.Split(transport.decomposition.comm.rank)
    star = Transport(mesh, options, comm)
    star.solve_steady(profile.on_faces(mesh.face))
    occupations = np.clip(star.flavor_occupations(), 0.0, 1.0)
    comm.Free()
    return turned_radiation(
        occupations,
        mesh.center,
        star.phase_space.angles.direction_cosine,
        transport.phase_space.mesh,
        transport.decomposition.cells,
        transport.phase_space.angles.direction,
    )


def box_cost(transport: Transport, fluid: Any, repeat: int) -> BoxCost:
    """Median over steps, after a few that smooth the beginning."""
    dt = transport.max_dt()
    seconds, waited = [], 0.0
    decomposition = transport.decomposition
    begin, finish = decomposition.begin, decomposition.finish

    def timed(part: Any) -> Any:
        def run(argument: Any) -> Any:
            nonlocal waited
            start = time.perf_counter()
            result = part(argument)
            waited += time.perf_counter() - start
            return result

        return run

    first = 2
    for step in range(repeat + first):
        if step == first:
            waited = 0.0
            decomposition.begin, decomposition.finish = timed(begin), timed(finish)
        start = time.perf_counter()
        transport.step(fluid, dt)
        seconds.append(time.perf_counter() - start)
    space = transport.phase_space
    local = transport.decomposition.size * space.angles.size * space.energy.size
    return BoxCost(
        1.0e9 * median(seconds[first:]) / local,
        1.0 - transport.alignment_summary()["locked"] / space.mesh.size,
        space.mesh.size,
        space.angles.size,
        space.energy.size,
        _resident() / transport.state.populations.nbytes,
        waited / sum(seconds[first:]),
    )


def _resident() -> float:
    """Largest resident memory of this process so far, bytes."""
    import resource

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@njit(cache=True)
def _triad(a, b, c, factor):  # type: ignore[no-untyped-def]
    for i in range(a.size):
        a[i] = b[i] + factor * c[i]


def triad(megabytes: float = 400.0, repeat: int = 7) -> float:
    """STREAM triad, GB/s of one process, three arrays counted."""
    a, b, c = (np.zeros(int(megabytes * 1.0e6 / 24.0)) for _ in range(3))
    best = np.inf
    for _ in range(repeat + 1):
        start = time.perf_counter()
        _triad(a, b, c, 1.1)
        best = min(best, time.perf_counter() - start)
    return 24.0e-9 * a.size / best


def advection_bandwidth(transport: Transport, repeat: int = 5) -> float:
    """GB/s of one explicit stage: populations read, their start read, the result written."""
    advection, size = transport.advection, transport.decomposition.size
    f, start = transport.state.populations, transport.state.owned.copy()
    out = np.empty_like(start)
    b = advection.upwind_fraction(np.zeros((size, int(np.prod(start.shape[2:])))))
    turning, _ = advection.split_redistribution(0.0)
    best = np.inf
    for _ in range(repeat + 1):
        begin = time.perf_counter()
        advection.stage(
            [(slice(0, size), f, b)], start, 1.0, out, mean=False, second_order=True, fix_up=False,
            redistribution=turning,
        )  # fmt: skip
        best = min(best, time.perf_counter() - begin)
    return 3.0e-9 * start.nbytes / best


def iteration_cost(transport: Transport) -> tuple[float, float, int]:
    """Cells that are not locked, apart: ns per cell, direction, group and turn; turns of a cell; number of cells.

    As a step does it: from the moments of the state, after its populations have changed by a per cent. A turn is one
    evaluation with what follows from it; the first one makes a Newton step possible, the last one accepts it.
    """
    mixing, state = transport.mixing, transport.state
    assert isinstance(mixing, LocalMixing)
    cells = np.flatnonzero(~mixing.locked)
    if cells.size == 0:
        return np.nan, 0.0, 0
    batch = mixing.medium.take(cells, state.owned)
    assert batch.populations is not None
    batch = replace(batch, populations=0.99 * batch.populations)
    best, turns = np.inf, 0.0
    for _ in range(5):
        moments = state.moments[cells]
        start = time.perf_counter()
        report = batch.solve(moments, mixing.tolerance, mixing.max_iterations, True)
        best = min(best, time.perf_counter() - start)
        turns = float((report.iterations + 1).sum())
    space = transport.phase_space
    return 1.0e9 * best / (turns * space.angles.size * space.energy.size), turns / cells.size, cells.size


def block_figures(profile: Profile, repeat: int) -> list[Figure]:
    """What steps in three dimensions cost on one core."""
    figures = []
    for flavors in (2, 3):
        cells = CELLS[flavors]
        transport, fluid = box(profile, flavors, cells)
        mixed = box_cost(transport, fluid, repeat)
        plain = box_cost(*box(profile, flavors, cells, mixing=False), repeat)
        size = f"{mixed.cells} cells, {mixed.directions} directions, {mixed.groups} groups"
        figures += [
            Figure(
                f"step in 3D, {flavors} flavours, without energy coupling",
                mixed.nanoseconds,
                "ns",
                STEP_GOALS[flavors],
                f"{size}, {mixed.unlocked:.1%} of the cells not flavour-locked",
            ),
            Figure(
                f"step in 3D with mixing over step without, {flavors} flavours",
                mixed.nanoseconds / plain.nanoseconds,
                "",
                RATIO_GOALS[flavors],
                "",
            ),
        ]
        cost, turns, number = iteration_cost(transport)
        figures.append(
            Figure(
                f"alignment in 3D, evaluation, {flavors} flavours, cells not locked",
                cost,
                "ns",
                ITERATION_GOALS[flavors],
                f"{number} cells, {turns:.1f} evaluations each",
            )
        )
        if flavors == 2:
            bandwidth, reference = advection_bandwidth(transport), triad()
            figures.append(
                Figure(
                    "advection in 3D, share of STREAM triad",
                    100.0 * bandwidth / reference,
                    "%",
                    50.0,
                    f"{bandwidth:.1f} of {reference:.1f} GB/s; counted: f and its start read, the result written",
                )
            )
        coupled = box_cost(*box(profile, flavors, cells // 2, coupled=True), max(repeat // 3, 1))
        figures.append(
            Figure(
                f"step in 3D, {flavors} flavours, with energy coupling",
                coupled.nanoseconds,
                "ns",
                None,
                f"{coupled.cells} cells, {coupled.directions} directions, {coupled.groups} groups",
            )
        )
    return figures
