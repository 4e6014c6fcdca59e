"""V17: a searchlight beam through a block, oblique to the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import BlockMesh
from ..kernels.block_advection import flux_divergence
from ..physics.block_boundary import BlockBoundary
from ..sphere import SphereQuadrature
from .blocks import CFL, average, basis, directions, position, resolve
from .registry import Findings, Parameter, problem
from .setup import Case, angles, cells, energy_grid, geometry, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

OCCUPATION = 0.4
SETTLED = 1.0e-8  # change of an occupation in a step
PATCH = (0.15, 0.4)  # where the beam enters a Cartesian box of side 1, along the other axes
#: Shells from 1 to 2; theta and phi of the mesh and of the patch where the beam enters.
THETA, PHI = (0.25 * np.pi, 0.85 * np.pi), (-0.2 * np.pi, 0.5 * np.pi)
PATCH_THETA, PATCH_PHI = (0.35 * np.pi, 0.5 * np.pi), (-0.1 * np.pi, 0.05 * np.pi)


def oblique(kind: str, angle: float) -> NDArray[np.float64]:
    """Unit vector at ``angle`` degrees to x, in the plane (x, y), or rising in y and z alike."""
    a = np.radians(angle)
    if kind == "cartesian2":
        return np.array([np.cos(a), np.sin(a), 0.0])
    return np.array([np.cos(a), np.sin(a) / np.sqrt(2.0), np.sin(a) / np.sqrt(2.0)])


def beam_set(beam: NDArray[np.float64]) -> SphereQuadrature:
    """The beam's direction and its mirror images, all of the same weight."""
    signs = np.array([(a, b, c) for a in (1.0, -1.0) for b in (1.0, -1.0) for c in (1.0, -1.0)])
    images = np.unique(np.round(signs * beam, 15), axis=0)
    return SphereQuadrature.given(images, np.full(images.shape[0], 2.0 / images.shape[0]), 1)


class Searchlight:
    """The stationary beam: what enters, and what crosses every section of the first axis."""

    def __init__(self, mesh: BlockMesh, grid: SphereQuadrature, beam: int, patch: Any, energy_groups: int) -> None:
        energy = energy_grid(energy_groups)
        side = mesh.size // mesh.shape[0]
        entering = np.zeros((side, grid.size, 2, energy.size, 3))
        #: covered fraction of the cells of the first layer
        self.covered = average(mesh, patch, 8).reshape(-1, mesh.shape[0])[:, 0]
        entering[:, beam] = OCCUPATION * self.covered[:, None, None, None]
        kinds = BlockBoundary.of(mesh).kinds
        self.case = Case(mesh, grid, energy=energy, boundary=BlockBoundary(kinds, {(0, 0): entering}))
        area = mesh.face_area(0, 0).reshape(side, -1)[:, 0]
        #: flux through the part of the boundary that shines
        self.entering = float(grid.weight[beam] * grid.direction[beam, 0] * OCCUPATION * (area * self.covered).sum())

    def settle(self, most: int) -> int:
        """Steps until nothing changes; their number."""
        return len(self.case.settle(CFL * self.case.light_crossing(), SETTLED, most))

    def flux(self) -> NDArray[np.float64]:
        """(face,) flux through the sections of the first axis over what enters, from the face values of the scheme."""
        case = self.case
        a, f = case.advection, case.state.populations
        a.fill_ghosts(f)
        b = a.upwind_fraction(np.zeros((case.decomposition.size, *case.state.owned.shape[2:])))
        rate = np.empty((case.decomposition.size, case.angles.size, f[0, 0].size))
        flux_divergence(
            f.reshape(f.shape[0], case.angles.size, -1),
            case.decomposition.row,
            a.velocity,
            a.ratio,
            a.resolved,
            *b,
            True,
            rate,
        )
        gain = case.whole(a.cell_volume * (rate[:, :, 0] @ case.angles.weight)).reshape(-1, case.mesh.shape[0])
        return np.asarray(1.0 + np.concatenate([[0.0], np.cumsum(gain.sum(axis=0))]) / self.entering)

    def layers(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """(layer, ...) mean of value[cell, direction, ...] over layers of the first axis, weighted with the flux."""
        case = self.case
        f = case.populations()[:, :, 0, 0, 0]
        # areas at the middle of the cells
        area = case.mesh.volume / case.mesh.width(0)
        weight = (area[:, None] * case.angles.weight * case.angles.direction[:, 0] * f).reshape(
            -1, case.mesh.shape[0], case.angles.size
        )
        shaped = value.reshape(*weight.shape, *value.shape[2:])
        mean = np.einsum("sim,sim...->i...", weight, shaped)
        return np.asarray(mean / weight.sum(axis=(0, 2)).reshape(-1, *(1,) * (mean.ndim - 1)))

    def velocity(self) -> NDArray[np.float64]:
        """(layer, 3) Cartesian components of the mean direction of flight."""
        mesh, grid = self.case.mesh, self.case.angles
        return self.layers(grid.direction @ basis(mesh.geometry, mesh.centers))

    def place(self) -> NDArray[np.float64]:
        """(layer, 3) Cartesian components of the beam's centre."""
        mesh, grid = self.case.mesh, self.case.angles
        at = position(mesh.geometry, mesh.centers)
        return self.layers(np.repeat(at[:, None, :], grid.size, axis=1))


def cartesian_beam(kind: str, count: int, angle: float, energy_groups: int) -> tuple[Searchlight, NDArray[np.float64]]:
    """The stationary beam in a box of side 1, and its unit vector."""
    mesh = BlockMesh.uniform((0.0,) * 3, (1.0,) * 3, resolve(kind, count, count, count))
    beam = oblique(kind, angle)
    grid = beam_set(beam)
    chosen = int(np.argmax(grid.direction @ beam))
    across = [axis for axis in mesh.resolved if axis > 0]

    def patch(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(((at[:, across] > PATCH[0]) & (at[:, across] < PATCH[1])).all(axis=1).astype(np.float64))

    light = Searchlight(mesh, grid, chosen, patch, energy_groups)
    light.settle(60 * count)
    return light, beam


def polar_beam(kind: str, count: int, azimuths: int, energy_groups: int) -> tuple[Searchlight, int]:
    """The stationary beam in shells of radius 1 to 2, and the number of its direction in the local basis.

    It is the one nearest to 45 degrees from the radius that runs south and, in three dimensions, as much east.
    """
    mesh = BlockMesh.uniform(
        (1.0, THETA[0], PHI[0] if kind == "polar3" else 0.0),
        (2.0, THETA[1], PHI[1] if kind == "polar3" else 2.0 * np.pi),
        resolve(kind, count, count, count),
        "spherical",
    )
    grid = directions("V17", azimuths)
    chosen = int(np.argmax(grid.direction @ np.array([np.sqrt(0.5), 0.5, 0.5])))

    def patch(at: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = (at[:, 1] > PATCH_THETA[0]) & (at[:, 1] < PATCH_THETA[1])
        if kind == "polar3":
            inside &= (at[:, 2] > PATCH_PHI[0]) & (at[:, 2] < PATCH_PHI[1])
        return np.asarray(inside.astype(np.float64))

    light = Searchlight(mesh, grid, chosen, patch, energy_groups)
    light.settle(200 * count)
    return light, chosen


def polar_answer(
    kind: str, local: NDArray[np.float64], radius: NDArray[np.float64], points: int = 40
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(radius, 3) means of direction and place over the straight lines from the patch: Cartesian components."""
    theta = np.linspace(*PATCH_THETA, 2 * points + 1)[1::2]
    phi = np.linspace(*PATCH_PHI, 2 * points + 1)[1::2] if kind == "polar3" else np.array([np.pi])
    t, p = (x.ravel() for x in np.meshgrid(theta, phi, indexing="ij"))
    start = np.stack([np.ones_like(t), t, p], axis=1)
    weight = np.sin(t) / np.sin(t).sum()
    flight = local @ basis("spherical", start)
    x = position("spherical", start)
    # |x + s v| = r
    path = -local[0] + np.sqrt(radius[:, None] ** 2 - 1.0 + local[0] ** 2)
    place = x + path[..., None] * flight
    velocity = np.broadcast_to(weight @ flight, (radius.size, 3))
    return velocity, weight @ place


def degrees(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Largest angle between two sets of vectors, degrees."""
    cosine = (one * other).sum(axis=-1) / np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).max())


BLOCK = {"cartesian3": 16, "polar2": 24, "polar3": 12}


@problem(
    "V17",
    "searchlight",
    "a searchlight beam oblique to the mesh keeps its direction and its flux",
    [
        geometry("cartesian2", *BLOCK),
        cells(32, 8, elsewhere=BLOCK),
        angles(16, 4, elsewhere={"polar3": 12}),
        Parameter("angle", 30.0, "degrees", "between beam and x, Cartesian boxes", 5.0, 40.0),
        groups(),
    ],
)
def searchlight(p: dict[str, Any], findings: Findings) -> None:
    """Flux through every section, direction and line of the beam's centre."""
    kind = p["geometry"]
    if kind.startswith("polar"):
        _polar(p, findings)
        return
    light, beam = cartesian_beam(kind, p["cells"], p["angle"], p["groups"])
    mesh = light.case.mesh
    # beyond, the beam leaves through the sides
    centre = 0.5 * sum(PATCH)
    far = min(1.0, (0.85 - PATCH[1]) * beam[0] / beam[1])
    within = mesh.center(0) < far
    faces = mesh.faces[0] < far
    findings.compare(
        "largest deviation of the flux through a section", np.abs(light.flux()[faces] - 1.0).max(), 0.0, 1e-4
    )
    velocity, place = light.velocity(), light.place()
    turned = degrees(velocity[within], np.broadcast_to(beam, velocity[within].shape))
    findings.compare("largest angle between mean direction and beam (degrees)", turned, 0.0, 1.0e-5)
    x = mesh.center(0)[within]
    for axis in [axis for axis in mesh.resolved if axis > 0]:
        exact = centre + x * beam[axis] / beam[0]
        off = np.abs(place[within, axis] - exact).max() / (PATCH[1] - PATCH[0])
        findings.compare(
            f"largest distance of the centre from its line along {'xyz'[axis]}, over the width",
            off,
            0.0,
            0.02 * max(1.0, 32.0 / p["cells"]),
        )
        slope = float(np.polyfit(x, place[within, axis], 1)[0])
        findings.compare(f"slope of the line of centres along {'xyz'[axis]}", slope, beam[axis] / beam[0], 0.02)


def _polar(p: dict[str, Any], findings: Findings) -> None:
    kind = p["geometry"]
    light, chosen = polar_beam(kind, p["cells"], p["angles"], p["groups"])
    mesh, grid = light.case.mesh, light.case.angles
    findings.compare("largest deviation of the flux through a shell", np.abs(light.flux() - 1.0).max(), 0.0, 1.0e-4)
    velocity, place = light.velocity(), light.place()
    exact_velocity, exact_place = polar_answer(kind, grid.direction[chosen], mesh.center(0))
    if kind == "polar3":
        findings.compare(
            "largest angle between mean direction and beam (degrees)",
            degrees(velocity, exact_velocity),
            0.0,
            15.0 * 16.0 / p["angles"],
        )
        findings.compare(
            "largest angle between the places of the beam's centre (degrees)",
            degrees(place, exact_place),
            0.0,
            8.0 * 16.0 / p["angles"],
        )
    # a beam of one direction spreads over its neighbours: first order in their distance
    spread = 16.0 / p["angles"]
    off = np.abs(velocity[:, 2] - exact_velocity[:, 2]).max()
    findings.compare("largest error of the mean direction along the polar axis", off, 0.0, 0.15 * spread)
    off = np.abs(place[:, 2] - exact_place[:, 2]).max()
    findings.compare("largest error of the centre along the polar axis", off, 0.0, 0.15 * spread)
