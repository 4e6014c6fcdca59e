"""A three-dimensional star: a spherical profile turned, its shock moved and wrinkled, rotating.

    mpirun -n 2 python -m mpi4py examples/blocks/turned_star.py --cells 24 --steps 60

Writes turned_star.h5 (fields), and turned_star.png from rank 0: cuts through the centre.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from misci_transport.block_mesh import BlockMesh
from misci_transport.io.output import prepare_directory, write_fields
from misci_transport.options import TransportOptions
from misci_transport.plugin import Transport
from misci_transport.profile import Profile
from misci_transport.turned import Turning, turned_star

HERE = Path(__file__).parent


def main() -> None:
    """March until the field has filled the box, and show where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", type=Path, default=HERE.parent / "g15" / "agile_boltztran_98ms.txt")
    parser.add_argument("--cells", type=int, default=24, help="along each axis")
    parser.add_argument("--half-width", type=float, default=3.0e7, help="of the box, cm")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--flavors", type=int, choices=(2, 3), default=3)
    parser.add_argument("--output", type=Path, default=Path("run_turned_star"))
    arguments = parser.parse_args()
    comm = MPI.COMM_WORLD
    half, n = arguments.half_width, arguments.cells
    mesh = BlockMesh.uniform((-half,) * 3, (half,) * 3, (n, n, n), "cartesian")
    options = TransportOptions.model_validate(
        {
            "angles": {"kind": "lebedev", "degree": 11},
            "energy": {"groups": 12},
            "flavors": {"number": arguments.flavors},
            "collisions": {"electron_scattering": False, "pair": False, "bremsstrahlung": False},
        }
    )
    transport = Transport(mesh, options, comm)
    turning = Turning(shift=(1.2e6, 0.0, 8.0e5), wrinkle=0.06, rotation=60.0)
    fluid = turned_star(Profile.read_table(arguments.profile), mesh, transport.decomposition.cells, turning)
    directory = prepare_directory(arguments.output, comm)
    dt = transport.max_dt()
    for step in range(arguments.steps):
        transport.step(fluid, dt)
        if comm.rank == 0 and (step + 1) % 10 == 0:
            sys.stdout.write(f"step {step + 1} of {arguments.steps}, {transport.state.time * 1e3:.3f} ms\n")
            sys.stdout.flush()
    fields = transport.fields()
    write_fields(directory / "turned_star.h5", fields, {}, transport.decomposition)
    summary, ledger = transport.alignment_summary(), transport.ledger()
    wanted = ("fluid/mass_density", "radiation/energy_density", "radiation/energy_flux", "sources/energy")
    whole = {f.name: transport.decomposition.gather(f.values) for f in fields if f.name in wanted}
    if comm.rank == 0:
        balance = ledger["collisions energy"] + ledger["inflow energy"] + ledger["corrections energy"]
        sys.stdout.write(
            f"{summary['locked']:.0f} of {summary['cells']:.0f} cells flavour-locked; energy emitted "
            f"{ledger['collisions energy']:.4e} MeV, left {-ledger['inflow energy']:.4e} MeV, "
            f"corrections {ledger['corrections energy']:.2e} MeV, held {balance:.4e} MeV\n"
        )
        picture(whole, mesh, directory / "turned_star.png")


def picture(whole: dict[str, np.ndarray], mesh: BlockMesh, path: Path) -> None:
    """Cuts y = 0 of density, energy density of nu_e and nu_x with the flux, and net heating."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    n0, n1, n2 = mesh.shape
    cut = {name: value.reshape(n2, n1, n0, *value.shape[1:])[:, n1 // 2] for name, value in whole.items()}
    edge = mesh.faces[0] / 1.0e5
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 8.0), sharex=True, sharey=True, layout="constrained")
    panels = [
        (np.log10(cut["fluid/mass_density"]), "lg density [g cm$^{-3}$]", "viridis", None),
        (np.log10(cut["radiation/energy_density"][:, :, 0, 0]), r"lg $\nu_e$ energy [erg cm$^{-3}$]", "magma", (0, 0)),
        (np.log10(cut["radiation/energy_density"][:, :, 0, 1]), r"lg $\nu_x$ energy [erg cm$^{-3}$]", "magma", (0, 1)),
    ]
    for axis, (values, title, colors, arrows) in zip(axes.flat, panels, strict=False):
        image = axis.pcolormesh(edge, edge, values, cmap=colors)
        figure.colorbar(image, ax=axis)
        axis.set_title(title)
        if arrows is not None:
            flux = cut["radiation/energy_flux"][:, :, arrows[0], arrows[1]]
            size = np.linalg.norm(flux, axis=2)
            center, every = mesh.center(0) / 1.0e5, max(n0 // 12, 1)
            axis.quiver(
                center[::every], center[::every], (flux[..., 0] / size)[::every, ::every],
                (flux[..., 2] / size)[::every, ::every], color="white", scale=25.0,
            )  # fmt: skip
    heating = cut["sources/energy"] / cut["fluid/mass_density"] * 1.0e-20
    limit = float(np.percentile(np.abs(heating), 90.0))
    image = axes[1, 1].pcolormesh(edge, edge, heating, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(image, ax=axes[1, 1])
    axes[1, 1].set_title("net heating [10$^{20}$ erg g$^{-1}$ s$^{-1}$]")
    for axis in axes.flat:
        axis.set_aspect("equal")
    for axis in axes[1]:
        axis.set_xlabel("x [km]")
    for axis in axes[:, 0]:
        axis.set_ylabel("z [km]")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
