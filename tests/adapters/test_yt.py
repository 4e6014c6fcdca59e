"""The same cells as yt finds in genuine files of FLASH, Athena++ and AMReX, where yt is installed."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.hosts.registry import open_host

#: File, variables for density, pressure and the first component of velocity, and coordinates, as yt calls them.
FILES = {
    "flash_x/sedov1d_spherical/sedov1ds_hdf5_chk_0002": ("flash", "dens", "pres", "velx", "r", "theta", "phi"),
    "flash_x/sedov1d_spherical/sedov1ds_hdf5_plt_cnt_0002": ("flash", "dens", "pres", "velx", "r", "theta", "phi"),
    "athena++/cart3d_amr/BlastAMR.prim.00001.athdf": ("athena_pp", "rho", "press", "vel1", "x", "y", "z"),
    "athena++/spherical_polar/BlastSph1D.prim.00001.athdf": ("athena_pp", "rho", "press", "vel1", "r", "theta", "phi"),
    "castro/sedov1d_spherical/sedov_1d_sph_plt00124": (
        *("boxlib", "density", "pressure", "x_velocity"),
        *("r", "theta", "phi"),
    ),
}


def ours(path):
    """(cell, 7): coordinates, density, pressure, velocity, volume of cells that count."""
    host = open_host(path)
    rows = []
    for block, place in enumerate(host.blocks):
        counts = np.ones(place.shape, bool) if place.covered is None else ~place.covered
        if not counts.any():
            continue
        z, y, x = np.meshgrid(*(0.5 * (face[1:] + face[:-1]) for face in place.faces[::-1]), indexing="ij")
        values = [x, y, z, host.field(block, "mass_density"), host.field(block, "pressure")]
        values += [host.field(block, "velocity")[0], host.volume(block)]
        rows.append(np.stack([value[counts] for value in values], axis=1))
    return np.concatenate(rows)


def ordered(cells):
    """Cells by position, whatever the order of the blocks."""
    position = np.round(cells[:, :3] / np.abs(cells[:, :3]).max(axis=0), 6)
    return cells[np.lexsort(position.T)]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore")
def test_cells_are_those_of_yt(name, sample_data):
    yt = pytest.importorskip("yt")
    yt.set_log_level(50)
    kind, *variables = FILES[name]
    with np.errstate(all="ignore"):
        data = yt.load(str(sample_data / name)).all_data()
        theirs = [np.array(data["index", axis]) for axis in variables[3:]]
        theirs += [np.array(data[kind, variable]) for variable in variables[:3]]
        theirs.append(np.array(data["index", "cell_volume"].to("code_length**3")))
    expected, found = ordered(np.stack(theirs, axis=1)), ordered(ours(sample_data / name))
    assert found.shape == expected.shape
    # theirs keep angles of single precision
    largest = np.abs(expected).max(axis=0)
    scale = np.where(largest > 0.0, largest, 1.0)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0.0, atol=1e-7)
