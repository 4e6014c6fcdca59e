"""Luminosities, rms energies, flux factors and heating of model G15 beside the published ones.

    python examples/g15/compare.py [--json]

Stationary transport without mixing on the profiles of both codes of Liebendoerfer et al. 2005, each beside its own
table: without and with inelastic electron scattering, and "full", with Doppler shift, aberration and gravity besides.
Prints every deviation and whether it lies within what a solution with that physics should reach (docs/g15.md). Exit
code 1 if not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from misci_transport.grid import RadialMesh
from misci_transport.options import CollisionOptions, FlavorOptions, FrameOptions, TransportOptions
from misci_transport.plugin import Transport
from misci_transport.profile import Profile

HERE = Path(__file__).parent
SPECIES = {"nu_e": (0, 0), "nubar_e": (1, 0), "nu_x": (0, 1), "nubar_x": (1, 1)}
# accepted relative deviations (lowest, highest) of luminosity and rms energy, by case, flavour and radius in km
BANDS = {
    ("static", "e", 100): ((-0.08, 0.08), (-0.04, 0.04)),
    ("static", "x", 100): ((-0.05, 0.25), (0.10, 0.35)),
    ("static", "e", 500): ((-0.10, 0.10), (-0.06, 0.06)),
    ("electron scattering", "e", 100): ((-0.08, 0.08), (-0.04, 0.04)),
    ("electron scattering", "x", 100): ((-0.20, 0.20), (-0.06, 0.06)),
    ("electron scattering", "e", 500): ((-0.10, 0.10), (-0.06, 0.06)),
    ("full", "e", 100): ((-0.04, 0.04), (-0.03, 0.03)),
    ("full", "x", 100): ((-0.08, 0.08), (-0.06, 0.06)),
    ("full", "e", 500): ((-0.07, 0.07), (-0.05, 0.05)),
    ("full", "x", 500): ((-0.07, 0.07), (-0.05, 0.05)),
}
# Agile-Boltztran is fully relativistic, Vertex has the lapse of a relativistic potential in flat space
GRAVITY = {"agile_boltztran": "relativistic", "vertex": "lapse"}
CASES = ("static", "electron scattering", "full")
# heating: range of radii in km, half-width left out around a zero of the published rate, accepted deviation
HEATING = {
    "vertex": {"energy_rate": (60.0, 132.0, 4.0, 0.20), "lepton_rate": (70.0, 132.0, 4.0, 0.10)},
    "agile_boltztran": {"energy_rate": (102.0, 138.0, 4.0, 0.35)},
}
FULL_ENERGY_RATE = {"vertex": 0.12, "agile_boltztran": 0.35}
PROFILES = {"agile_boltztran": "agile_boltztran_98ms.txt", "vertex": "vertex_100ms.txt"}


def solve(name: str, case: str, profile: Profile) -> tuple[RadialMesh, dict[str, np.ndarray]]:
    """The stationary radiation field of a profile on its native zones."""
    mesh = RadialMesh(profile.native_faces)
    options = TransportOptions(
        flavors=FlavorOptions(mixing=False),
        collisions=CollisionOptions(electron_scattering=case != "static"),
        frame=FrameOptions(doppler=True, gravity=GRAVITY[name]) if case == "full" else FrameOptions(),
    )
    transport = Transport(mesh, options)
    transport.solve_steady(profile.on_faces(mesh.face).take(transport.decomposition.cells))
    return mesh, {field.name: field.values for field in transport.fields()}


def compare_radiation(name: str, case: str, profile: Profile, mesh: RadialMesh, fields: dict) -> list[dict]:
    """Rows for luminosity, rms energy and flux factor at 100, 130 and 500 km."""
    rows = []
    reference = profile.reference
    computed = {
        "luminosity": (mesh.face, fields["radiation/luminosity"], 1.0e51),
        "rms_energy": (mesh.center, fields["radiation/rms_energy"], 1.0),
        "flux_factor": (mesh.center, fields["radiation/flux_factor"], 1.0),
    }
    for kilometres in (100, 130, 500):
        radius = 1.0e5 * kilometres
        if radius > reference["radius"][-1]:
            continue
        for species, index in SPECIES.items():
            for quantity, (position, values, unit) in computed.items():
                ours = np.interp(radius, position, values[:, index[0], index[1]]) / unit
                published = np.interp(radius, reference["radius"], reference[quantity][species]) / unit
                band = BANDS.get((case, species[-1], 500 if kilometres == 500 else 100))
                accepted = None
                if band is not None and quantity != "flux_factor" and species != "nubar_x":
                    accepted = band[0] if quantity == "luminosity" else band[1]
                rows.append(_row(name, case, f"{quantity} {species} {kilometres} km", ours, published, accepted))
    return rows


def compare_heating(name: str, case: str, profile: Profile, mesh: RadialMesh, fields: dict) -> list[dict]:
    """Rows for the largest deviation of the rates per baryon from the published ones."""
    rows = []
    reference = profile.reference
    ours_by_name = {
        "energy_rate": fields["sources/heating_per_baryon"],
        "lepton_rate": fields["sources/deleptonization_per_baryon"],
    }
    for quantity, (low, high, gap, accepted) in HEATING[name].items():
        limit = FULL_ENERGY_RATE[name] if (case, quantity) == ("full", "energy_rate") else accepted
        radius, published = reference["heating_radius"] / 1.0e5, reference[quantity]
        inside = (radius >= low) & (radius <= high)
        zeros = radius[:-1][np.diff(np.sign(published)) != 0.0]
        for zero in zeros:
            inside &= np.abs(radius - zero) > gap
        ours = np.interp(radius * 1.0e5, mesh.center, ours_by_name[quantity])
        deviation = ours[inside] / published[inside] - 1.0
        worst = int(np.argmax(np.abs(deviation)))
        where = radius[inside][worst]
        rows.append(
            _row(
                name,
                case,
                f"{quantity} {low:g}-{high:g} km, worst at {where:.0f} km",
                float(ours[inside][worst]),
                float(published[inside][worst]),
                (-limit, limit),
            )
        )
    return rows


def _row(name: str, case: str, quantity: str, ours: float, published: float, accepted: tuple | None) -> dict:
    deviation = float(ours / published - 1.0)
    inside = None if accepted is None else bool(accepted[0] <= deviation <= accepted[1])
    return {
        "profile": name,
        "case": case,
        "quantity": quantity,
        "computed": float(ours),
        "published": float(published),
        "deviation": deviation,
        "accepted": accepted,
        "passed": inside,
    }


def main() -> int:
    """Run all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    rows = []
    for name, file in PROFILES.items():
        profile = Profile.read_table(HERE / file)
        for case in CASES:
            mesh, fields = solve(name, case, profile)
            rows += compare_radiation(name, case, profile, mesh, fields)
            rows += compare_heating(name, case, profile, mesh, fields)
    if arguments.json:
        json.dump(rows, sys.stdout, indent=1)
    else:
        for row in rows:
            accepted = "" if row["accepted"] is None else "[{:+.0%}, {:+.0%}]".format(*row["accepted"])
            verdict = {None: "", True: "ok", False: "OUTSIDE"}[row["passed"]]
            print(
                f"{row['profile']:16s} {row['case']:20s} {row['quantity']:42s} {row['computed']:11.4g} "
                f"{row['published']:11.4g} {row['deviation']:+7.1%} {accepted:14s} {verdict}"
            )
    return 1 if any(row["passed"] is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
