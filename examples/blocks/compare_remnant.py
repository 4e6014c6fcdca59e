"""Number and energy densities of a remnant along the equator and the axis, beside the published M1 values.

    python examples/blocks/compare_remnant.py output/remnant/steady.h5 X_AXIS.txt Z_AXIS.txt [-o PNG]

The published run is in general relativity with matter in motion, other interactions, and the true matter between the
two cuts; this one is flat, at rest, with what misci_adapters.merger_cuts makes up in between. Factors are this run
over the published one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from misci_adapters.merger_cuts import Cut, read_cut

from misci_transport.constants import ERG_PER_MEV
from misci_transport.io.read import open_output
from misci_transport.plotting.style import BLACK, FLAVOR_COLORS, KILOMETRE, canvas, save, styled

SPECIES = ((0, 0), (1, 0), (0, 1))  #: species and flavour of nu_e, nubar_e, nu_x
NAMES = ("nu_e", "nubar_e", "nu_x")
RADII = {"equator": (2, 5, 8, 12, 16, 20, 30, 40, 60, 80, 100, 120), "axis": (2, 4, 6, 7, 8, 9, 10, 11, 12, 14, 16)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("equator", type=Path)
    parser.add_argument("axis", type=Path)
    parser.add_argument("-o", "--picture", type=Path)
    arguments = parser.parse_args()
    published = {"equator": read_cut(arguments.equator), "axis": read_cut(arguments.axis)}
    ours = this_run(arguments.output)
    for name, cut in published.items():
        sys.stdout.write(f"\n{name}\n{table(ours[name], cut, RADII[name])}\n")
    if arguments.picture:
        save(picture(ours, published), arguments.picture)


def this_run(path: Path) -> dict:
    """Densities in the cells next to the axis, and in those next to the equator."""
    with open_output(path) as reader:
        r, theta = reader["mesh/r_face"], reader["mesh/theta_face"]
        number, energy = reader["radiation/number_density"][0], reader["radiation/energy_density"][0] / ERG_PER_MEV
        density = reader["fluid/mass_density"][0]
    row = {"axis": 0, "equator": int(np.argmin(np.abs(0.5 * (theta[1:] + theta[:-1]) - 0.5 * np.pi)))}
    return {
        name: {
            "radius": 0.5 * (r[1:] + r[:-1]),
            "number": np.stack([number[j][:, s, f] for s, f in SPECIES], axis=1),
            "energy": np.stack([energy[j][:, s, f] for s, f in SPECIES], axis=1),
            "mass_density": density[j],
        }
        for name, j in row.items()
    }


def table(ours: dict, cut: Cut, radii: tuple[int, ...]) -> str:
    lines = [
        f"{'r [km]':>7} {'density':>9}   {'number density':>24}   {'energy density':>24}   {'mean energy':>24}",
        f"{'':17}   " + "   ".join("".join(f"{name:>8}" for name in NAMES) for _ in range(3)),
    ]
    for km in radii:
        radius = km * KILOMETRE
        if not ours["radius"][0] <= radius <= ours["radius"][-1] or radius > cut.radius[-1]:
            continue
        factors = {
            key: [at(radius, ours["radius"], ours[key][:, s]) / at(radius, cut.radius, theirs[:, s]) for s in range(3)]
            for key, theirs in (("number", cut.number_density), ("energy", cut.energy_density))
        }
        factors["mean"] = [e / n for e, n in zip(factors["energy"], factors["number"], strict=True)]
        row = f"{km:7.0f} {at(radius, cut.radius, cut.mass_density):9.1e}   "
        lines.append(row + "   ".join("".join(f"{value:8.2f}" for value in column) for column in factors.values()))
    return "\n".join(lines)


def at(radius: float, where: np.ndarray, values: np.ndarray) -> float:
    return float(np.exp(np.interp(radius, where, np.log(np.maximum(values, 1.0e-300)))))


def picture(ours: dict, published: dict) -> object:
    with styled():
        figure, axes = canvas(2, 2, 8.4, 6.0, sharex="col", sharey="row")
        for column, name in enumerate(published):
            cut, mine = published[name], ours[name]
            shown = mine["radius"] <= cut.radius[-1]
            for species, label in enumerate((r"$\nu_e$", r"$\bar\nu_e$", r"$\nu_x$")):
                for row, key, theirs in ((0, "number", cut.number_density), (1, "energy", cut.energy_density)):
                    panel, color = axes[row, column], FLAVOR_COLORS[species]
                    panel.semilogy(
                        mine["radius"][shown] / KILOMETRE, mine[key][shown, species], color=color, label=label
                    )
                    panel.plot(cut.radius / KILOMETRE, theirs[:, species], "o", color=color, markersize=2.5)
            axes[0, column].plot([], [], "o", color=BLACK, markersize=2.5, label="published M1")
            axes[0, column].set_title(f"along the {name}")
            axes[1, column].set_xlabel("radius [km]")
        axes[0, 0].set_ylabel(r"number density [cm$^{-3}$]")
        axes[1, 0].set_ylabel(r"energy density [MeV cm$^{-3}$]")
        axes[0, 0].set_ylim(1.0e30, 3.0e36)
        axes[1, 0].set_ylim(1.0e31, 3.0e38)
        axes[0, 0].legend()
    return figure


if __name__ == "__main__":
    main()
