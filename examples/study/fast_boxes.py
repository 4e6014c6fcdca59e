"""Where does a fast flavour instability end, and do closures and the thermodynamics of mixing know it beforehand?

    python examples/study/fast_boxes.py [-o DIR] [--quick]
    mpirun -n 2 python -m mpi4py examples/study/fast_boxes.py

Two flavours, one energy, no vacuum term: periodic boxes with several angular distributions are evolved by the quantum
kinetic equation until their averages stand still. What is left of the excess of nu_e in each direction, averaged over
the box and the last third of the time, is compared with: equipartition; mixing equilibrium (Johns 2023, Eq. 9) that
holds the lepton number of each flavour, with and without the energy of the homogeneous state; the box closure (Zaizen
and Nagakura 2023); the equilibrium of pairs; and the alignment, for which every flavour state is a solution. Prints
rms deviations, writes study.json and fast_boxes.png.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from misci_transport.closures import Cell, apply
from misci_transport.errors import MisciError
from misci_transport.kinetics import KineticBox, KineticSetup, angular_spectrum, directions, flavor_state, random_waves
from misci_transport.parallel.petsc import world
from misci_transport.thermodynamics import equilibrium, thermal_batch

#: sigma_z/2, packed as [00, 11, Re 01, Im 01]: the charge that holds the lepton number of each flavour
FLAVOR_AXIS = np.array([[0.5, -0.5, 0.0, 0.0]])
#: occupation of the fullest direction: thermodynamics knows Pauli's principle, kinetics does not need it
DEGENERATE, DILUTE = 0.9, 0.01


@dataclass(frozen=True)
class Spectrum:
    """An angular distribution of the excess of nu_e over nu_x, and of nubar_e over nubar_x."""

    name: str
    kind: str
    parameters: dict[str, Any] = field(default_factory=dict)

    def excess(self, cosine: np.ndarray) -> np.ndarray:
        """(species, direction), the fullest direction at one."""
        found = angular_spectrum(self.kind, cosine, **self.parameters)
        return found / np.abs(found).max()


SPECTRA = (
    Spectrum("G = v", "linear"),
    Spectrum("G = v + 0.3", "linear", {"offset": 0.3}),
    Spectrum("G = v + 0.7", "linear", {"offset": 0.7}),
    Spectrum("Gaussians, 0.97", "gaussians", {"sigma": 0.6, "sigma_bar": 0.45, "asymmetry": 0.97}),
    Spectrum("Gaussians, 0.85", "gaussians", {"sigma": 0.6, "sigma_bar": 0.4, "asymmetry": 0.85}),
    Spectrum("two crossings", "polynomials", {"nu": [0.35, 0.0, 1.0], "nubar": [0.6, 0.1]}),
)


def kinetics(excess: np.ndarray, v: np.ndarray, weight: np.ndarray, size: dict[str, Any], comm: Any) -> dict[str, Any]:
    """What is left of the excess by species and direction: mean and scatter over the last third of the time."""
    setup = KineticSetup(
        v, weight, np.zeros((1, 4)), strength=1.0, cells=size["cells"], length=size["length"], boundary="periodic"
    )
    state = flavor_state(excess, 2)
    first = KineticBox(setup, state, comm)
    seeded = random_waves(state, first.position, size["length"], amplitude=1.0e-3, modes=size["modes"], seed=1)
    box = KineticBox(setup, seeded, comm)
    steps = round(size["time"] / setup.cell_width)
    late = []
    for step in range(1, steps + 1):
        box.step(setup.cell_width)
        if step > 2 * steps // 3 and step % 8 == 0:
            average = box.average()
            late.append(average[:, :, 0, 0] - average[:, :, 0, 1])
    samples = np.array(late)
    net = samples[:, :, 0] - samples[:, :, 1]
    return {"mean": samples.mean(axis=0), "scatter": net.std(axis=0)}


def predictions(excess: np.ndarray, v: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Excess by direction and species that each closure ends with."""
    found: dict[str, np.ndarray] = {"equipartition": np.zeros(excess.T.shape)}
    medium = {
        "weight_0": weight,
        "number_weight": np.ones(1),
        "vacuum": np.zeros((1, 4)),
        "matter_potential": 0.0,
        "matter_beta": 0.0,
        "strength": 1.0,
        "n_flavors": 2,
        "direction_cosine": v,
    }
    for name, filling in (("degenerate", DEGENERATE), ("dilute", DILUTE)):
        state = flavor_state(filling * excess, 2)
        # the strength is that of the kinetic run, where the fullest direction is one
        fields, batch = thermal_batch(state, **{**medium, "strength": 1.0 / filling})
        for kind, constraint in (("energy", {}), ("no energy", {"inverse_temperature": 0.0})):
            result = equilibrium(fields, batch, charges=FLAVOR_AXIS, **constraint)
            rho = result.density_matrix[0]
            good = bool(result.successful)
            end = (rho[:, :, 0, 0] - rho[:, :, 0, 1]) / filling
            found[f"equilibrium, {kind}, {name}"] = end if good else np.full(end.shape, np.nan)
    cell = Cell(weight, np.ones(1), 2, velocity=v, vacuum=np.zeros((1, 4)), strength=1.0)
    occupied = np.zeros((v.size, 2, 1, 2))
    value = 0.9 * excess.T
    occupied[:, :, 0, 0] = np.maximum(value, 0.0)
    occupied[:, :, 0, 1] = np.maximum(-value, 0.0)
    for name in ("box", "pair", "alignment"):
        try:
            end = apply(name, occupied, cell).occupations[:, :, 0]
        except MisciError as error:
            print(f"{name}: {error}")
            continue
        found[name] = (end[..., 0] - end[..., 1]) / 0.9
    return found


def deviation(end: np.ndarray, reference: np.ndarray, excess: np.ndarray, weight: np.ndarray) -> float:
    """Rms over directions of the difference in electron minus heavy lepton number, over that of the beginning."""
    net = (end - reference)[:, 0] - (end - reference)[:, 1]
    return float(np.sqrt(np.sum(weight * net**2) / np.sum(weight * (excess[0] - excess[1]) ** 2)))


def main() -> None:
    """Run all boxes and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", default="output/fast_boxes")
    parser.add_argument("--quick", action="store_true", help="small boxes and short times: to see that it works")
    arguments = parser.parse_args()
    comm = world()
    count = 24 if arguments.quick else 48
    size = (
        {"cells": 256, "length": 60.0, "time": 60.0, "modes": 30}
        if arguments.quick
        else {"cells": 1024, "length": 120.0, "time": 400.0, "modes": 60}
    )
    v, weight = directions("gauss", count)
    results = []
    for spectrum in SPECTRA:
        excess = spectrum.excess(v)
        reference = kinetics(excess, v, weight, size, comm)
        ends = predictions(excess, v, weight)
        rows = {name: deviation(end, reference["mean"], excess, weight) for name, end in ends.items()}
        scatter = float(
            np.sqrt(np.sum(weight * reference["scatter"] ** 2) / np.sum(weight * (excess[0] - excess[1]) ** 2))
        )
        results.append({"spectrum": spectrum, "excess": excess, "kinetics": reference, "ends": ends, "rows": rows})
        if comm.rank == 0:
            print(f"{spectrum.name}: kinetics scatters by {scatter:.3f} in time")
            for name, value in rows.items():
                print(f"    {name:34s} {value:.3f}")
    if comm.rank == 0:
        directory = Path(arguments.output)
        directory.mkdir(parents=True, exist_ok=True)
        table = [{"spectrum": r["spectrum"].name, "deviation": r["rows"]} for r in results]
        (directory / "study.json").write_text(json.dumps(table, indent=2))
        picture(results, v, directory / "fast_boxes.png")
        print(f"wrote {directory / 'study.json'}, {directory / 'fast_boxes.png'}")


def picture(results: list[dict[str, Any]], v: np.ndarray, path: Path) -> None:
    """What is left of the excess against direction, one panel a spectrum; antineutrinos with a minus sign."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    lines = {
        "equilibrium, no energy, dilute": ("C0", "-", "equilibrium, energy free"),
        "equilibrium, energy, dilute": ("C1", "-", "equilibrium, energy held"),
        "equilibrium, energy, degenerate": ("C1", ":", "the same, degenerate"),
        "box": ("C2", "-", "box closure"),
        "pair": ("C3", "--", "pair equilibrium"),
    }
    figure, axes = plt.subplots(2, 3, figsize=(11.0, 6.4), sharex=True, layout="constrained")
    for axis, result in zip(axes.flat, results, strict=True):
        net = result["excess"][0] - result["excess"][1]
        axis.fill_between(v, net, color="0.9", label="beginning")
        mean = result["kinetics"]["mean"]
        axis.plot(v, mean[:, 0] - mean[:, 1], "k-", lw=2.5, label="kinetics")
        for name, (color, style, label) in lines.items():
            if name in result["ends"]:
                end = result["ends"][name]
                axis.plot(v, end[:, 0] - end[:, 1], color=color, ls=style, label=label)
        axis.axhline(0.0, color="0.5", lw=0.5)
        axis.set_title(result["spectrum"].name, fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("direction cosine v")
    for axis in axes[:, 0]:
        axis.set_ylabel("electron minus heavy lepton number")
    axes[0, 0].legend(fontsize=7, loc="upper left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
