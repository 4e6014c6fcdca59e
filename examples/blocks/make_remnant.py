"""Write the snapshot of a merger remnant that remnant.toml runs, from two published cuts.

    python examples/blocks/make_remnant.py X_AXIS.txt Z_AXIS.txt remnant.h5

The cuts (50 ms after a merger of two neutron stars of 1.298 solar masses) are in the repository of bns_nurates,
inputs/BNS/1d. How the remnant is made from them: misci_adapters.merger_cuts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from misci_adapters.merger_cuts import read_cut, remnant

from misci_transport.block_mesh import BlockMesh
from misci_transport.io.snapshots import write_snapshot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("equator", type=Path)
    parser.add_argument("axis", type=Path)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--width", type=float, default=4.0e4, help="of the cells around the surface at the pole, cm")
    parser.add_argument("--polar-cells", type=int, default=12, help="between the axis and the equator")
    parser.add_argument("--outer", type=float, default=1.3e7, help="cm")
    parser.add_argument("--rotation", type=float, default=0.0, help="rad/s at the axis")
    arguments = parser.parse_args()
    mesh = remnant_mesh(arguments.width, arguments.polar_cells, arguments.outer)
    cuts = read_cut(arguments.equator), read_cut(arguments.axis)
    write_snapshot(arguments.snapshot, remnant(*cuts, mesh, arguments.rotation))


def remnant_mesh(width: float, polar_cells: int, outer: float) -> BlockMesh:
    """One hemisphere: equal shells between 7 and 13 km, twice as thick at the centre, in progression outside."""
    inner = np.linspace(0.0, 7.0e5, max(int(np.ceil(7.0e5 / (2.0 * width))), 2) + 1)
    surface = np.linspace(7.0e5, 1.3e6, int(np.ceil(6.0e5 / width)) + 1)
    ratio = 1.0 + 2.5 * width / 1.3e6
    steps = int(np.ceil(np.log(outer / 1.3e6) / np.log(ratio)))
    far = np.geomspace(1.3e6, outer, steps + 1)
    radius = np.concatenate([inner[:-1], surface[:-1], far])
    return BlockMesh.from_edges(radius, np.linspace(0.0, 0.5 * np.pi, polar_cells + 1), geometry="spherical")


if __name__ == "__main__":
    main()
