"""A run of the Nagakura-Sumiyoshi-Yamada snapshot beside that code, and beside SedonuGR on the same matter.

    python examples/blocks/compare_nsy.py output/nsy/steady.h5 douSherw.00120 [4timesHigh_1D_withPairBrems.h5] [-o PNG]

Both answers are in the SedonuGR repository (tests/NSY_regression). Energy densities are per species, heavy-lepton
neutrinos one of four; SedonuGR's mean energies are those of the frame of matter, everything here is for matter at rest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import h5py
import numpy as np
from misci_adapters import sedonu

from misci_transport.io.read import open_output
from misci_transport.plotting.style import BLACK, FLAVOR_COLORS, GREY, KILOMETRE, canvas, save, styled

#: km, where rows of the table are.
RADII = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0, 150.0, 200.0, 300.0, 400.0)
SPECIES = ((0, 0), (1, 0), (0, 1))  #: species and flavour of nu_e, nubar_e, nu_x
NAMES = ("nu_e", "nubar_e", "nu_x")
BARYON = 1.66053906660e-24  #: g
ERG = 1.602176634e-6  #: per MeV


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("sedonu", type=Path, nargs="?")
    parser.add_argument("-o", "--picture", type=Path)
    arguments = parser.parse_args()
    ours = this_run(arguments.output)
    boltzmann = boltzmann_code(arguments.snapshot)
    others = {"Boltzmann code": boltzmann}
    if arguments.sedonu:
        others["SedonuGR"] = monte_carlo(arguments.sedonu)
    for name, other in others.items():
        sys.stdout.write(f"\nthis run over {name}\n{table(ours, other)}\n")
    if arguments.picture:
        save(picture(ours, others), arguments.picture)


def this_run(path: Path) -> dict:
    """Energy densities, mean energies and heating, and the largest difference between directions theta."""
    with open_output(path) as reader:
        r, density = reader["mesh/r_face"], reader["fluid/mass_density"][0]
        energy = np.stack([reader["radiation/energy_density"][0][..., s, f] for s, f in SPECIES], axis=-1)
        mean = np.stack([reader["radiation/mean_energy"][0][..., s, f] for s, f in SPECIES], axis=-1)
        heating = reader["sources/energy"][0] / density
    spread = float(np.abs(energy / energy.mean(axis=0) - 1.0).max())
    sys.stdout.write(f"largest difference of energy densities between cells along theta: {spread:.1e}\n")
    return {
        "radius": 0.5 * (r[1:] + r[:-1]),
        "energy": energy.mean(axis=0),
        "mean": mean.mean(axis=0),
        "heating": heating.mean(axis=0),
    }


def boltzmann_code(path: Path) -> dict:
    snapshot, neutrinos = sedonu.read(path), sedonu.read_neutrinos(path)
    n0 = snapshot.mesh.shape[0]
    energy, number = neutrinos["energy_density"][:n0], neutrinos["number_fraction"][:n0]
    per_baryon = energy * BARYON / snapshot.fluid.mass_density[:n0, None] / ERG
    mean = per_baryon / np.maximum(number, 1.0e-300)
    return {"radius": snapshot.mesh.center(0), "energy": energy, "mean": mean}


def monte_carlo(path: Path) -> dict:
    with h5py.File(path) as file:
        r = file["r(cm)"][:].astype(float)
        return {
            "radius": 0.5 * (r[1:] + r[:-1]),
            "energy": file["e_rad(erg|ccm,lab)"][:].astype(float),
            "mean": file["avg_E(MeV,com)"][:].astype(float),
            "heating": file["H_abs(erg|s|g,com)"][:].astype(float) - file["C_emit(erg|s|g,com)"][:].astype(float),
        }


def table(ours: dict, other: dict) -> str:
    lines = [f"{'r [km]':>7} {'energy density':>24}   {'mean energy':>24}   net heating [1e20 erg/g/s]"]
    lines.append(f"{'':7} " + "".join(f"{name:>8}" for name in NAMES) + "   " + "".join(f"{n:>8}" for n in NAMES))
    for km in RADII:
        radius = km * KILOMETRE
        if radius > ours["radius"][-1]:
            continue
        row = f"{km:7.0f} "
        for quantity in ("energy", "mean"):
            for species in range(3):
                mine = at(radius, ours["radius"], ours[quantity][:, species])
                row += f"{mine / at(radius, other['radius'], other[quantity][:, species]):8.3f}"
            row += "   "
        if "heating" in other:
            mine, theirs = (np.interp(radius, x["radius"], x["heating"]) * 1.0e-20 for x in (ours, other))
            row += f"{mine:10.4g} {theirs:10.4g}"
        lines.append(row)
    return "\n".join(lines)


def at(radius: float, where: np.ndarray, values: np.ndarray) -> float:
    return float(np.exp(np.interp(np.log(radius), np.log(where), np.log(np.maximum(values, 1.0e-300)))))


def picture(ours: dict, others: dict) -> object:
    with styled():
        figure, axes = canvas(3, 1, 6.4, 8.0, sharex=True)
        for species, name in enumerate((r"$\nu_e$", r"$\bar\nu_e$", r"$\nu_x$")):
            color = (FLAVOR_COLORS[0], FLAVOR_COLORS[1], FLAVOR_COLORS[2])[species]
            axes[0, 0].loglog(ours["radius"] / KILOMETRE, ours["energy"][:, species], color=color, label=name)
            axes[1, 0].semilogx(ours["radius"] / KILOMETRE, ours["mean"][:, species], color=color)
            for mark, other in zip("ox", others.values(), strict=False):
                every = slice(None, None, 6)
                points = {"linestyle": "none", "marker": mark, "markersize": 3.0, "fillstyle": "none", "color": color}
                axes[0, 0].plot(other["radius"][every] / KILOMETRE, other["energy"][every, species], **points)
                axes[1, 0].plot(other["radius"][every] / KILOMETRE, other["mean"][every, species], **points)
        for mark, name in zip("ox", others, strict=False):
            axes[0, 0].plot([], [], color=BLACK, linestyle="none", marker=mark, fillstyle="none", label=name)
        axes[2, 0].axhline(0.0, color=GREY, linewidth=0.6)
        axes[2, 0].plot(ours["radius"] / KILOMETRE, 1.0e-20 * ours["heating"], color=BLACK)
        for mark, other in zip("ox", others.values(), strict=False):
            if "heating" in other:
                points = {"linestyle": "none", "marker": mark, "markersize": 3.0, "color": BLACK}
                axes[2, 0].plot(other["radius"] / KILOMETRE, 1.0e-20 * other["heating"], **points)
        axes[0, 0].set_ylim(1.0e25, 1.0e33)
        axes[0, 0].set_ylabel(r"energy density [erg cm$^{-3}$]")
        axes[0, 0].legend()
        axes[1, 0].set_ylabel("mean energy [MeV]")
        axes[1, 0].set_ylim(0.0, 40.0)
        axes[2, 0].set_ylabel(r"net heating [10$^{20}$ erg g$^{-1}$ s$^{-1}$]")
        axes[2, 0].set_ylim(-8.0, 4.0)
        axes[2, 0].set_xlim(20.0, ours["radius"][-1] / KILOMETRE)
        axes[2, 0].set_xlabel("radius [km]")
    return figure


if __name__ == "__main__":
    main()
