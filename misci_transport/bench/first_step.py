"""A process that does what a user waits for first: import, set-up, one time step."""

from __future__ import annotations

from ..grid import RadialMesh
from ..plugin import Transport
from .star import analytic_star


def main() -> None:
    """Take one step of a small star with the default options."""
    profile = analytic_star(40)
    mesh = RadialMesh(profile.native_faces)
    transport = Transport(mesh)
    fluid = profile.on_faces(mesh.face).take(transport.decomposition.cells)
    transport.step(fluid, transport.max_dt())


if __name__ == "__main__":
    main()
