"""Steps in three dimensions: a star turned into a Cartesian box, beside memory bandwidth and beside two ranks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from ..block_mesh import BlockMesh
from ..grid import RadialMesh
from ..options import TransportOptions
from ..turned import Turning, turned_radiation, turned_star

if TYPE_CHECKING:
    from ..plugin import Transport
    from ..profile import Profile

#: cm, half the width of the box: core, shock and some of the free fall.
HALF_WIDTH = 3.0e7
_UNCOUPLED = {"electron_scattering": False, "pair": False, "bremsstrahlung": False}


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


def box(profile: Profile, flavors: int, cells: int, *, mixing: bool = True, comm: Any = None) -> tuple[Transport, Any]:
    """Transport and fluid of a turned, deformed and rotating star in a box of cells^3."""
    from ..plugin import Transport

    options = TransportOptions.model_validate(
        {
            "angles": {"kind": "lebedev", "degree": 7},
            "flavors": {"number": flavors, "mixing": mixing},
            "collisions": {**_UNCOUPLED, "response": "off"},
            "alignment": {"on_failure": "hold"},
            "validity": {"every": 0},
        }
    )
    mesh = BlockMesh.uniform((-HALF_WIDTH,) * 3, (HALF_WIDTH,) * 3, (cells, cells, cells), "cartesian")
    transport = Transport(mesh, options, comm)
    turning = Turning(shift=(1.0e6, 0.0, 5.0e5), wrinkle=0.05, rotation=50.0)
    fluid = turned_star(profile, mesh, transport.decomposition.cells, turning)
    transport.fill(fluid, _spherical_field(profile, flavors, transport))
    return transport, fluid


def _spherical_field(profile: Profile, flavors: int, transport: Transport) -> Any:
    """Stationary flavours of the spherical star at the cells and directions of the box.

    A box that fills from empty is no star: antineutrinos come first, and much of it is in the matter-neutrino
    resonance, where the alignment has no solution.
    """
    from ..plugin import Transport

    faces = profile.native_faces
    mesh = RadialMesh(faces[: int(np.searchsorted(faces, 2.0 * HALF_WIDTH)) + 1])
    options = TransportOptions.model_validate(
        {
            "angles": {"kind": "ordinates", "directions": 16},
            "flavors": {"number": flavors, "mixing": False},
            "collisions": _UNCOUPLED,
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


def box_cost(
    profile: Profile, flavors: int, cells: int, repeat: int, *, mixing: bool = True, comm: Any = None
) -> BoxCost:
    """Median over steps, after a few that smooth the beginning."""
    transport, fluid = box(profile, flavors, cells, mixing=mixing, comm=comm)
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

    for step in range(repeat + 4):
        if step == 4:
            waited = 0.0
            decomposition.begin, decomposition.finish = timed(begin), timed(finish)
        start = time.perf_counter()
        transport.step(fluid, dt)
        seconds.append(time.perf_counter() - start)
    space = transport.phase_space
    local = transport.decomposition.size * space.angles.size * space.energy.size
    return BoxCost(
        1.0e9 * median(seconds[4:]) / local,
        1.0 - transport.alignment_summary()["locked"] / space.mesh.size,
        space.mesh.size,
        space.angles.size,
        space.energy.size,
        _resident() / transport.state.populations.nbytes,
        waited / sum(seconds[4:]),
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
    b = advection.upwind_fraction(np.zeros((size, start[0, 0].size)))
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
