"""Write the tables of this directory from the published files.

python make_tables.py --agile H_FILE R_FILE --vertex H_FILE R_FILE --progenitor S15S7B2_FILE [-o DIRECTORY]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from misci_adapters import kepler, liebendoerfer

from misci_transport.profile import Profile, write_reference

#: The models put their own core inside; the progenitor is needed outside this radius (cm) only.
PROGENITOR_INNER_RADIUS = 1.0e7
WOOSLEY_WEAVER = "S. E. Woosley, T. A. Weaver, Astrophys. J. Suppl. 101, 181 (1995)"


def rounded(values: np.ndarray, digits: int = 8) -> np.ndarray:
    """Round to significant decimal digits: the sources have 4 to 7."""
    return np.array([float(f"{value:.{digits - 1}e}") for value in values])


def core(h_path: Path, r_path: Path, name: str, directory: Path) -> None:
    """Write one code's matter and neutrino tables."""
    profile = liebendoerfer.read_profile(h_path, r_path)
    profile.faces = rounded(profile.faces)
    for field in ("lapse", "metric_gamma"):
        if getattr(profile, field) is not None:
            setattr(profile, field, rounded(getattr(profile, field)))
    profile.notes = ("faces follow from zone masses and densities; everything else is as published",)
    profile.write_table(directory / f"{name}.txt", reference=f"{name}_neutrinos.txt")
    profile.notes = ("luminosity and rms energy in the comoving frame; nu_x is one of the mu and tau species",)
    write_reference(directory / f"{name}_neutrinos.txt", profile)


def progenitor(path: Path, target: Path) -> None:
    """Write the progenitor without its innermost zones, which no joined star keeps."""
    star = kepler.read(path)
    first = int(np.searchsorted(star.faces, PROGENITOR_INNER_RADIUS, side="right")) - 1
    star = Profile(rounded(star.faces[first:]), star.fluid.take(slice(first, None)))
    star.fluid.temperature = rounded(star.fluid.temperature)
    star.title = "s15s7b2, 15 solar masses, before collapse"
    star.citation = WOOSLEY_WEAVER
    star.notes = (f"zones inside {PROGENITOR_INNER_RADIUS:.0e} cm left out",)
    star.write_table(target)


def main() -> None:
    """Read the command line and write the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agile", nargs=2, type=Path, metavar=("H_FILE", "R_FILE"))
    parser.add_argument("--vertex", nargs=2, type=Path, metavar=("H_FILE", "R_FILE"))
    parser.add_argument("--progenitor", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    if options.agile:
        core(*options.agile, "agile_boltztran_98ms", options.output)
    if options.vertex:
        core(*options.vertex, "vertex_100ms", options.output)
    if options.progenitor:
        progenitor(options.progenitor, options.output / "s15s7b2.txt")


if __name__ == "__main__":
    main()
