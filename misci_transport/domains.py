"""What depends on the kind of mesh: phase space, ranks, boundaries, advection, and the fields that people look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .block_mesh import AXES, BlockMesh
from .constants import SPEED_OF_LIGHT
from .errors import ConfigurationError
from .fields import Field
from .parallel.block_decomposition import BlockDecomposition
from .parallel.decomposition import Decomposition
from .phase_space import PhaseSpace
from .physics.advection import AdvectionOperator
from .physics.block_advection import BlockAdvection
from .physics.block_boundary import BlockBoundary
from .physics.boundary import Boundary
from .physics.radiation import local_fields, radiation_fields
from .quadrature import AngularGrid
from .sphere import SphereQuadrature
from .state import State

if TYPE_CHECKING:
    from .energy import EnergyGrid
    from .grid import RadialMesh
    from .options import TransportOptions
    from .physics.collisions import CollisionOperator
    from .physics.levels import LevelFrame


class RadialDomain:
    """A star or a slab in one dimension, with rays and angular recursion."""

    def __init__(
        self, phase_space: PhaseSpace, diffusion_threshold: float, comm: Any, boundary: Boundary | None
    ) -> None:
        self.phase_space = phase_space
        self.decomposition = Decomposition(phase_space.mesh.size, comm)
        self.boundary = Boundary() if boundary is None else boundary
        self.advection = AdvectionOperator(phase_space, self.decomposition, self.boundary, diffusion_threshold)
        #: factor from the ledger's totals to those of the whole sphere
        self.whole = phase_space.mesh.full_sphere

    def empty_state(self) -> State:
        """No neutrinos."""
        return State.empty(self.phase_space, self.decomposition.size)

    def crossing_time(self) -> float:
        """Light crossing of the smallest phase-space cell of the mesh, s."""
        return 1.0 / (self.advection.fastest_loss * SPEED_OF_LIGHT)

    def mesh_fields(self) -> list[Field]:
        """Faces and directions."""
        angles, mesh, cells = self.phase_space.angles, self.phase_space.mesh, self.decomposition.cells
        return [
            Field("mesh/face", mesh.face, ("face",), "cm", "cell faces", "global"),
            Field(
                "angles/direction_cosine",
                np.ascontiguousarray(angles.direction_cosine[cells]),
                ("cell", "direction"),
                "1",
                "mean direction cosine",
            ),
            Field(
                "angles/weight",
                np.ascontiguousarray(angles.weight_0[cells]),
                ("cell", "direction"),
                "1",
                "integral(dmu)",
            ),
        ]

    def radiation_fields(self, collisions: CollisionOperator, state: State, frame: LevelFrame) -> list[Field]:
        """Luminosities and local quantities (collective)."""
        fields: list[Field] = radiation_fields(
            self.phase_space, self.decomposition, self.advection, collisions, state.populations, frame
        )
        return fields


class BlockDomain:
    """A box of cells in up to three dimensions, with the same directions in every cell."""

    def __init__(
        self, phase_space: PhaseSpace, diffusion_threshold: float, comm: Any, boundary: BlockBoundary | None
    ) -> None:
        mesh = phase_space.mesh
        self.phase_space = phase_space
        self.boundary = BlockBoundary.of(mesh) if boundary is None else boundary
        self.decomposition = BlockDecomposition(mesh.shape, self.boundary.periodic, comm, AXES[mesh.geometry])
        self.advection = BlockAdvection(phase_space, self.decomposition, self.boundary, diffusion_threshold)
        self.whole = 1.0

    def empty_state(self) -> State:
        """No neutrinos."""
        cells = self.decomposition.size
        return State.empty(self.phase_space, cells, 0, self.decomposition.rows - cells)

    def crossing_time(self) -> float:
        """Light crossing of the smallest phase-space cell of the mesh, s."""
        return self.advection.shortest_crossing / SPEED_OF_LIGHT

    def mesh_fields(self) -> list[Field]:
        """Faces and directions."""
        angles = self.phase_space.angles
        return [
            *self.phase_space.mesh.face_fields(),
            Field("angles/direction", angles.direction, ("direction", "axis"), "1", "unit vectors", "global"),
            Field("angles/weight", angles.weight, ("direction",), "1", "integral(dOmega)/2 pi", "global"),
        ]

    def radiation_fields(self, collisions: CollisionOperator, state: State, frame: LevelFrame) -> list[Field]:
        """Local quantities."""
        fields: list[Field] = local_fields(self.phase_space, self.decomposition.cells, collisions, state.owned, frame)
        return fields


def make_domain(
    phase_space: PhaseSpace, diffusion_threshold: float, comm: Any = None, boundary: Any = None
) -> RadialDomain | BlockDomain:
    """The domain of the kind that the mesh of the phase space has.

    Faces of cells with an optical depth above the threshold take central values; without a communicator the world's,
    without a boundary a centre or the mesh's own ends and free outflow.

    Raises
    ------
    ConfigurationError
        If the boundary belongs to another kind of mesh.
    """
    if isinstance(phase_space.mesh, BlockMesh):
        if not (boundary is None or isinstance(boundary, BlockBoundary)):
            raise ConfigurationError(f"boundary is {boundary!r}; accepted on a block mesh: BlockBoundary")
        return BlockDomain(phase_space, diffusion_threshold, comm, boundary)
    if not (boundary is None or isinstance(boundary, Boundary)):
        raise ConfigurationError(f"boundary is {boundary!r}; accepted on a radial mesh: Boundary")
    return RadialDomain(phase_space, diffusion_threshold, comm, boundary)


def phase_space_of(mesh: RadialMesh | BlockMesh, options: TransportOptions, energy: EnergyGrid) -> PhaseSpace:
    """Directions and flavours of the options on a mesh.

    Raises
    ------
    ConfigurationError
        If the directions belong to another kind of mesh.
    """
    angles = block_angles(mesh, options) if isinstance(mesh, BlockMesh) else radial_angles(mesh, options)
    return PhaseSpace(mesh, angles, energy, options.flavors.number)


def radial_angles(mesh: RadialMesh, options: TransportOptions) -> AngularGrid:
    """Directions of a radial mesh.

    Raises
    ------
    ConfigurationError
        If the options name directions on the sphere.
    """
    a = options.angles
    if a.kind == "ordinates":
        return AngularGrid.ordinates(mesh, a.directions)
    if a.kind == "radial":
        return AngularGrid.radial(mesh)
    if a.kind != "hybrid":
        raise ConfigurationError(f"angles.kind is {a.kind!r}; accepted on a radial mesh: hybrid, ordinates, radial")
    return AngularGrid.hybrid(
        mesh,
        a.ray_radius,
        inward=a.inward,
        grazing=a.grazing,
        forward=a.forward,
        opening_cosine=a.opening_cosine,
        shells=a.shells,
        shell_ratio=a.shell_ratio,
    )


def block_angles(mesh: BlockMesh, options: TransportOptions) -> SphereQuadrature:
    """Directions of a block mesh.

    Raises
    ------
    ConfigurationError
        If the options name directions of a radial mesh, or other than product sets in spherical coordinates.
    """
    a = options.angles
    if a.kind == "product":
        return SphereQuadrature.product(a.levels, a.azimuths)
    if mesh.geometry == "cartesian" and a.kind == "lebedev":
        return SphereQuadrature.lebedev(a.degree)
    if mesh.geometry == "cartesian" and a.kind == "geodesic":
        return SphereQuadrature.geodesic(a.frequency)
    kinds = "product, lebedev, geodesic" if mesh.geometry == "cartesian" else "product"
    raise ConfigurationError(f"angles.kind is {a.kind!r}; accepted on a {mesh.geometry} block mesh: {kinds}")
