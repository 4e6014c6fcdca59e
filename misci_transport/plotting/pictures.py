"""The pictures, one function each: an open output in, a matplotlib figure out.

Every function raises OutputError if a field that it needs is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..constants import ERG_PER_MEV
from .style import (
    BLACK,
    FLAVOR_COLORS,
    GREY,
    KILOMETRE,
    LEVEL_COLORS,
    SPECIES_LINES,
    SPECIES_NAMES,
    canvas,
    flavor_label,
    styled,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..io.read import Reader

#: Radius below which neutrinos diffuse: axes need not show the steep inside.
_INSIDE = 3.0e6
#: Radii of the spectra, cm.
_SPECTRUM_RADII = (5.0e6, 1.0e7, 5.0e7)
#: Energy at which mixing is shown against radius, MeV.
_SHOWN_ENERGY = 15.0
#: Rows of the reference table: label, colour, marker.
_PUBLISHED = (
    (r"$\nu_e$", FLAVOR_COLORS[0], "o"),
    (r"$\bar\nu_e$", FLAVOR_COLORS[0], "^"),
    (r"$\nu_x$", FLAVOR_COLORS[1], "s"),
)


def luminosities(reader: Reader) -> Any:
    """Luminosity and rms energy of all flavours against radius, with the published curves where there are any."""
    face, center = _radii(reader)
    flavors = flavors_of(reader)
    luminosity, rms = reader["radiation/luminosity"] / 1.0e51, reader["radiation/rms_energy"]
    with styled():
        figure, axes = canvas(2, 1, 6.4, 6.0, sharex=True)
        upper, lower = axes[:, 0]
        outside = face > _INSIDE
        for species in (0, 1):
            for flavor in range(3):
                style = {
                    "color": FLAVOR_COLORS[flavor],
                    "linestyle": SPECIES_LINES[species],
                    # mu and tau often coincide: the upper one must not hide the lower
                    "linewidth": (1.5, 2.4, 1.0)[flavor],
                    "label": flavor_label(species, flavor, flavors),
                }
                upper.plot(face[outside] / KILOMETRE, luminosity[outside, species, flavor], **style)
                lower.plot(center / KILOMETRE, rms[:, species, flavor], **style)
        if "reference/luminosity" in reader:
            radius = reader["reference/radius"]
            published, energies = reader["reference/luminosity"] / 1.0e51, reader["reference/rms_energy"]
            shown = radius > _INSIDE
            for row, (name, color, marker) in enumerate(_PUBLISHED):
                marks = {
                    "color": color,
                    "linestyle": "none",
                    "marker": marker,
                    "markersize": 3.2,
                    "fillstyle": "none",
                    "markeredgewidth": 0.7,
                }
                upper.plot(radius[shown] / KILOMETRE, published[row, shown], label=f"{name} published", **marks)
                lower.plot(radius[shown] / KILOMETRE, energies[row, shown], **marks)
        high = float(np.nanmax(luminosity[face > 3.0 * _INSIDE], initial=0.0))
        upper.set_ylim(0.0, 1.35 * high if high > 0.0 else 1.0)
        top = float(np.nanmax(rms[center > 1.5 * _INSIDE], initial=0.0))
        lower.set_ylim(0.0, 1.15 * top if top > 0.0 else 1.0)
        _log_radius(lower, max(face[0], _INSIDE), face[-1])
        upper.set_ylabel(r"luminosity [$10^{51}$ erg s$^{-1}$]")
        lower.set_ylabel("rms energy [MeV]")
        upper.legend(ncols=3, loc="upper right")
        titled(figure, reader)
    return figure


def spectra(reader: Reader, unmixed: Reader | None = None) -> Any:
    """Number spectra by flavour at a few radii and at the outermost face; thin grey lines without mixing."""
    face, _ = _radii(reader)
    energy, flavors = reader["energy/center"], flavors_of(reader)
    faces = sorted({*(int(np.argmin(np.abs(face - r))) for r in _SPECTRUM_RADII if r < face[-1]), face.size - 1})
    scale = 1.0e-56
    with styled():
        figure, axes = canvas(2, len(faces), 2.5 * len(faces) + 0.8, 5.0, sharex=True, sharey=True)
        highest = 0.0
        for column, index in enumerate(faces):
            part = slice(index, index + 1)
            spectrum = scale * reader.array("radiation/number_spectrum", part)[0]
            before = None if unmixed is None else scale * unmixed.array("radiation/number_spectrum", part)[0]
            for species in (0, 1):
                panel = axes[species, column]
                for flavor in range(3):
                    if before is not None:
                        panel.plot(energy, before[species, flavor], color=GREY, linewidth=0.6)
                    panel.plot(
                        energy,
                        spectrum[species, flavor],
                        color=FLAVOR_COLORS[flavor],
                        linestyle=("-", "--", ":")[flavor],
                        label=flavor_label(species, flavor, flavors),
                    )
                highest = max(highest, float(spectrum[species].max()))
            axes[0, column].set_title(f"r = {_length(face[index])}")
            axes[1, column].set_xlabel("energy [MeV]")
        axes[0, 0].set_xlim(0.0, 60.0)
        axes[0, 0].set_ylim(0.0, 1.08 * highest or 1.0)
        for species in (0, 1):
            axes[species, 0].set_ylabel(SPECIES_NAMES[species] + r" [$10^{56}$ s$^{-1}$ MeV$^{-1}$]")
            if unmixed is not None:
                axes[species, -1].plot([], [], color=GREY, linewidth=0.6, label="without mixing")
            axes[species, -1].legend()
        titled(figure, reader)
    return figure


def survival(reader: Reader, without_self_interaction: Reader | None = None) -> Any:
    """Survival probability of the electron flavour at the outermost face against energy, with the expected lines."""
    energy = reader["energy/center"]
    expected = reader["survival/adiabatic_vacuum"]
    names = _level_names(reader)
    runs = [("", reader, True)]
    if without_self_interaction is not None:
        runs = [
            ("with self-interaction", reader, True),
            ("without self-interaction", without_self_interaction, False),
        ]
    with styled():
        figure, axes = canvas(1, 2, 7.4, 3.7, sharey=True)
        for species, panel in enumerate(axes[0]):
            panel.axhline(expected[species], color=BLACK, linewidth=0.8, label="adiabatic, no self-interaction")
            for label, run, filled in runs:
                twin, levels = run["survival/surface"][species], run["survival/surface_from_levels"][species]
                about = f" {label}" if label else ""
                if filled:
                    box = {"fillstyle": "none", "markersize": 7.5, "markeredgewidth": 0.8}
                    panel.plot(energy, twin, "o", color=FLAVOR_COLORS[0], markersize=4.0, label=f"twin run{about}")
                    panel.plot(energy, levels, "s", color=FLAVOR_COLORS[0], label=f"level populations{about}", **box)
                else:
                    panel.plot(energy, twin, "x", color=FLAVOR_COLORS[1], markersize=5.5, label=f"twin run{about}")
                    panel.plot(energy, levels, "+", color=FLAVOR_COLORS[1], label=f"level populations{about}")
            panel.set_xscale("log")
            panel.set_xlabel("energy [MeV]")
            panel.set_title(f"{SPECIES_NAMES[species]}, expected: ${names[species]} = {expected[species]:.4f}$")
            panel.set_ylim(-0.05, 1.05)
        axes[0, 0].set_ylabel(r"$(F_e - F_x^0)/(F_e^0 - F_x^0)$")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        titled(figure, reader)
    return figure


def hamiltonian(reader: Reader) -> Any:
    """Matter potential, self-interaction and vacuum frequencies against radius; resonances are marked."""
    face, center = _radii(reader)
    matter = np.abs(reader["mixing/matter_potential"])
    neutrino = reader["mixing/self_interaction"]
    frequency, energy = reader["mixing/vacuum_frequency"], reader["energy/center"]
    with styled():
        figure, axes = canvas(1, 1, 6.4, 4.4)
        panel = axes[0, 0]
        radius = center / KILOMETRE
        panel.plot(radius, matter, color=BLACK, label=r"matter $\sqrt{2} G_F n_e$")
        label = r"neutrinos $\sqrt{2} G_F (D_0 - D_1)_{ee-xx}$"
        panel.plot(radius, np.where(neutrino > 0.0, neutrino, np.nan), color=FLAVOR_COLORS[0], label=label)
        if (neutrino < 0.0).any():
            panel.plot(
                radius,
                np.where(neutrino < 0.0, -neutrino, np.nan),
                color=FLAVOR_COLORS[0],
                linestyle=":",
                label="the same, negative",
            )
        band = (energy >= 5.0) & (energy <= 50.0)
        shown = int(np.argmin(np.abs(energy - _SHOWN_ENERGY)))
        resonant = False
        for split, (name, color) in enumerate(
            ((r"$\Delta m^2_{21}/2E$", FLAVOR_COLORS[2]), (r"$|\Delta m^2_{31}|/2E$", FLAVOR_COLORS[1]))
        ):
            values = np.abs(frequency[:, split])
            if not values.any():
                continue
            if band.any():
                panel.axhspan(values[band].min(), values[band].max(), color=color, alpha=0.2, linewidth=0.0)
            panel.axhline(values[shown], color=color, linewidth=0.9, label=f"{name}, 5 to 50 MeV")
            for crossing in _crossings(radius, matter, values[shown]):
                panel.plot(crossing, values[shown], "o", color=color, markersize=6, fillstyle="none")
                resonant = True
        if resonant:
            panel.plot([], [], "o", color=GREY, fillstyle="none", label=f"resonance at {energy[shown]:.1f} MeV")
        panel.set_yscale("log")
        positive = np.concatenate([matter[matter > 0.0], np.abs(frequency[frequency != 0.0])])
        if positive.size:
            panel.set_ylim(0.1 * positive.min(), 10.0 * positive.max())
        _log_radius(panel, center[0], face[-1])
        panel.set_ylabel(r"potential [cm$^{-1}$]")
        panel.legend(loc="upper right")
        titled(figure, reader)
    return figure


def levels(reader: Reader) -> Any:
    """Electron content of the levels, and what levels and flavours carry, against radius."""
    face, center = _radii(reader)
    energy, flavors = reader["energy/center"], flavors_of(reader)
    group = int(np.argmin(np.abs(energy - _SHOWN_ENERGY)))
    content = reader["mixing/electron_content"][:, :, group]
    carried = reader["mixing/level_number_luminosity"][..., group]
    by_flavor = reader["radiation/number_spectrum"][..., group]
    outside = face > _INSIDE
    with styled():
        figure, axes = canvas(2, 2, 7.4, 5.4, sharex=True)
        for species in (0, 1):
            left, right = axes[species]
            for level in range(3):
                left.plot(
                    center / KILOMETRE,
                    content[:, species, level],
                    color=LEVEL_COLORS[level],
                    label=f"level {level + 1}",
                )
                right.plot(
                    face[outside] / KILOMETRE,
                    1.0e-56 * carried[outside, species, level],
                    color=LEVEL_COLORS[level],
                    linewidth=2.4,
                    alpha=0.6,
                    label=f"level {level + 1}",
                )
            for flavor in range(3):
                right.plot(
                    face[outside] / KILOMETRE,
                    1.0e-56 * by_flavor[outside, species, flavor],
                    color=FLAVOR_COLORS[flavor],
                    linestyle=("-", "--", ":")[flavor],
                    linewidth=1.0,
                    label=flavor_label(species, flavor, flavors),
                )
            left.set_ylim(-0.03, 1.03)
            left.set_ylabel(f"{SPECIES_NAMES[species]}: $|U_{{ek}}|^2$")
            right.set_ylabel(r"carried [$10^{56}$ s$^{-1}$ MeV$^{-1}$]")
            right.set_ylim(0.0, 1.4 * right.get_ylim()[1])
        axes[0, 0].legend(loc="center left")
        axes[0, 1].legend(loc="upper center", ncols=3)
        for panel in axes[1]:
            _log_radius(panel, max(face[0], _INSIDE), face[-1])
        axes[0, 0].set_title(f"electron content of the levels at {energy[group]:.1f} MeV")
        axes[0, 1].set_title("number luminosity of levels and flavours")
        titled(figure, reader)
    return figure


def solver(reader: Reader) -> Any:
    """Residual of the steady solve by iteration, and the alignment's iterations and residual by cell."""
    _, center = _radii(reader)
    with styled():
        steady = "solver/residual_history" in reader
        figure, axes = canvas(1, 2 + steady, 3.1 * (2 + steady) + 0.4, 3.1)
        panels = list(axes[0])
        if steady:
            panel = panels.pop(0)
            history = reader["solver/residual_history"]
            panel.semilogy(np.arange(history.size), np.where(history > 0.0, history, np.nan), "o-", color=BLACK)
            panel.set_xlabel("Newton iteration")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.set_ylabel("residual norm")
            linear = int(reader.scalar("solver/krylov_iterations"))
            panel.set_title(f"stationary state: {linear} linear iterations in all")
        locked = reader["alignment/locked"] > 0.0
        for panel, name, label in (
            (panels[0], "iterations", "Newton iterations a cell"),
            (panels[1], "residual", "residual of the alignment"),
        ):
            values = reader[f"alignment/{name}"]
            if name == "residual":
                values = np.where(values > 0.0, values, np.nan)
                if np.isfinite(values).any():
                    panel.set_yscale("log")
                else:
                    panel.text(0.5, 0.5, "no cell needed iterations", transform=panel.transAxes, ha="center")
            for chosen, color, marker, text in (
                (~locked, FLAVOR_COLORS[0], "o", "aligned by iteration"),
                (locked, GREY, "|", "flavour-locked"),
            ):
                if chosen.any():
                    panel.plot(
                        center[chosen] / KILOMETRE, values[chosen], marker, color=color, markersize=3, label=text
                    )
            # codes of alignment.report: 2 to 5 are failures, 6 is a cell that was moved to its largest entropy
            status = reader["alignment/status"]
            for chosen, text in (((status >= 2) & (status < 6), "failed"), (status == 6, "equilibrated")):
                if chosen.any():
                    marker = "x" if text == "failed" else "^"
                    panel.plot(center[chosen] / KILOMETRE, values[chosen], marker, color=FLAVOR_COLORS[1], label=text)
            panel.set_ylabel(label)
            _log_radius(panel, center[0], center[-1])
        panels[0].set_ylim(-0.5, 1.4 * max(reader["alignment/iterations"].max(), 5.0))
        panels[0].legend(loc="upper left")
        panels[0].set_title(f"{int(locked.sum())} of {locked.size} cells flavour-locked")
        titled(figure, reader)
    return figure


def heating(reader: Reader) -> Any:
    """Energy and electrons given to the matter per baryon, with the published rates where there are any."""
    face, center = _radii(reader)
    with styled():
        figure, axes = canvas(2, 1, 6.4, 5.6, sharex=True)
        low, high = 4.0e6, min(3.0e7, face[-1])
        shown = (center > low) & (center < high)
        for panel, ours, theirs, scale, label in (
            (
                axes[0, 0],
                "heating_per_baryon",
                "energy_rate",
                1.0 / ERG_PER_MEV,
                r"heating [MeV s$^{-1}$ baryon$^{-1}$]",
            ),
            (axes[1, 0], "deleptonization_per_baryon", "lepton_rate", 1.0, r"$dY_e/dt$ [s$^{-1}$]"),
        ):
            values = scale * reader[f"sources/{ours}"]
            panel.axhline(0.0, color=GREY, linewidth=0.6)
            panel.plot(center[shown] / KILOMETRE, values[shown], color=FLAVOR_COLORS[0], label="this run")
            visible = values[shown & (center > 1.5 * low)]
            if f"reference/{theirs}" in reader:
                radius, published = reader["reference/heating_radius"], scale * reader[f"reference/{theirs}"]
                near = (radius > low) & (radius < high)
                panel.plot(
                    radius[near] / KILOMETRE,
                    published[near],
                    "o",
                    color=FLAVOR_COLORS[1],
                    fillstyle="none",
                    markersize=3.2,
                    label="published",
                )
                visible = np.concatenate([visible, published[near & (radius > 1.5 * low)]])
            if visible.size:
                margin = 0.15 * (visible.max() - visible.min()) or 1.0
                panel.set_ylim(visible.min() - margin, visible.max() + margin)
            panel.set_ylabel(label)
            panel.legend()
        axes[1, 0].set_xlim(low / KILOMETRE, high / KILOMETRE)
        axes[1, 0].set_xlabel("radius [km]")
        titled(figure, reader)
    return figure


def ledger(reader: Reader) -> Any:
    """The ledger after every step of a time-dependent run: energies, numbers of particles, counts of corrections."""
    time = 1.0e3 * reader["history/time"]
    names = [name for name in reader.names if name.startswith("history/")]
    names = [name for name in names if name.rpartition("/")[2] not in ("time", "step", "dt")]
    # the energy of mixing is smaller by many orders of magnitude and has a picture of its own
    names = [name for name in names if not name.startswith("history/mixing_")]
    energies = [name for name in names if reader.describe(name)["unit"] == "MeV"]
    counts = [name for name in names if name.startswith("history/count")]
    numbers = [name for name in names if name not in energies and name not in counts]
    palette = (*FLAVOR_COLORS, *LEVEL_COLORS, BLACK, GREY)
    with styled():
        figure, axes = canvas(1, 3, 10.0, 3.4)
        for panel, chosen, label, scale in (
            (axes[0, 0], energies, "energy since the start [erg]", ERG_PER_MEV),
            (axes[0, 1], numbers, "numbers since the start", 1.0),
            (axes[0, 2], counts, "corrections since the start", 1.0),
        ):
            for index, name in enumerate(chosen):
                text = name.removeprefix("history/").replace("_", " ")
                style = ("-", "--", ":")[index // len(palette) % 3]
                color = palette[index % len(palette)]
                panel.plot(time, scale * reader[name], color=color, linestyle=style, label=text)
            panel.set_xlabel("time [ms]")
            panel.set_ylabel(label)
            if chosen:
                panel.legend()
        titled(figure, reader)
    return figure


_TERMS = ("change", "work", "transport", "collisions", "charges", "kinematic", "corrections")


def thermodynamics(reader: Reader) -> Any:
    """The first law of mixing: terms of dU in every cell so far, and how well they close."""
    _, center = _radii(reader)
    palette = (BLACK, *FLAVOR_COLORS, *LEVEL_COLORS, GREY)
    with styled():
        figure, axes = canvas(1, 2, 9.0, 3.6)
        panel = axes[0, 0]
        largest = 0.0
        for index, name in enumerate(_TERMS):
            values = ERG_PER_MEV * reader[f"thermodynamics/{name}"]
            if not values.any():
                continue
            largest = max(largest, float(np.abs(values).max()))
            style = "-" if name == "change" else ("--", ":")[index % 2]
            panel.plot(center / KILOMETRE, values, color=palette[index % len(palette)], linestyle=style, label=name)
        if largest > 0.0:
            panel.set_yscale("symlog", linthresh=1.0e-12 * largest)
        panel.set_ylabel("terms of dU since the start [erg cm$^{-3}$]")
        panel.legend()
        panel = axes[0, 1]
        for name, color, text in (
            ("scale", GREY, "sizes of all summands"),
            ("change", BLACK, "change of U"),
            ("imbalance", FLAVOR_COLORS[0], "what does not close"),
        ):
            values = ERG_PER_MEV * np.abs(reader[f"thermodynamics/{name}"])
            if (values > 0.0).any():
                panel.semilogy(center / KILOMETRE, np.where(values > 0.0, values, np.nan), color=color, label=text)
        panel.set_ylabel("[erg cm$^{-3}$]")
        panel.legend()
        for panel in axes[0]:
            _log_radius(panel, center[0], center[-1])
        titled(figure, reader)
    return figure


def _radii(reader: Reader) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    face = reader["mesh/face"]
    return face, 0.5 * (face[1:] + face[:-1])


def flavors_of(reader: Reader) -> int:
    """Number of flavours that mix."""
    import tomllib

    text = reader.configuration
    return int(tomllib.loads(text)["flavors"]["number"]) if text else 3


def _level_names(reader: Reader) -> tuple[str, str]:
    if flavors_of(reader) == 2:
        sine, cosine = r"\sin^2\theta", r"\cos^2\theta"
        return (cosine, sine) if reader.attributes.get("ordering") == "inverted" else (sine, cosine)
    if reader.attributes.get("ordering") == "inverted":
        return "|U_{e2}|^2", "|U_{e3}|^2"
    return "|U_{e3}|^2", "|U_{e1}|^2"


def _log_radius(panel: Any, low: float, high: float) -> None:
    panel.set_xscale("log")
    panel.set_xlim(low / KILOMETRE, high / KILOMETRE)
    panel.set_xlabel("radius [km]")


def _crossings(radius: NDArray[np.float64], values: NDArray[np.float64], level: float) -> list[float]:
    """Radii where a positive curve crosses a level, interpolated in logarithms."""
    good = values > 0.0
    x, y = np.log(radius[good]), np.log(values[good] / level)
    where = np.flatnonzero((y[:-1] > 0.0) & (y[1:] <= 0.0))
    return [float(np.exp(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i]))) for i in where]


def _length(radius: float) -> str:
    kilometres = radius / KILOMETRE
    if kilometres < 1.0e4:
        return f"{kilometres:.0f} km"
    exponent = int(np.floor(np.log10(kilometres)))
    return rf"${kilometres / 10.0**exponent:.2g}\times 10^{{{exponent}}}$ km"


def titled(figure: Any, reader: Reader, more: str = "") -> None:
    """Title of the case above a figure."""
    title, variant = reader.attributes.get("title", ""), reader.attributes.get("variant", "")
    figure.suptitle(", ".join(part for part in (title, variant, more) if part), fontsize=9.5)
