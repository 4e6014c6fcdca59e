"""Pictures of runs of the quantum kinetic equation: an open output in, a matplotlib figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SPECIES_LINES,
    SPECIES_NAMES,
    VERMILLION,
    canvas,
    styled,
)

if TYPE_CHECKING:
    from ..io.read import Reader

#: Of the directions that get a curve of their own.
_COLORS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION)


def conversion(reader: Reader) -> Any:
    """Survival probabilities, coherence and refractive energy against time."""
    time, cosine = reader["series/time"], reader["directions/cosine"]
    survival, coherence = reader["series/survival"][..., 0], reader["series/coherence"][:, :, :, 0, 0]
    energy = reader["series/refractive_energy"]
    shown = np.unique(np.linspace(0, cosine.size - 1, min(len(_COLORS), cosine.size)).round().astype(int))
    with styled():
        figure, axes = canvas(3, 1, 6.0, 7.0, sharex=True)
        upper, middle, lower = axes[:, 0]
        for m, color in zip(shown, _COLORS, strict=False):
            for species in (0, 1):
                if not np.isfinite(survival[:, m, species]).any() and not coherence[:, m, species].any():
                    continue
                style = {"color": color, "linestyle": SPECIES_LINES[species]}
                label = f"v = {cosine[m]:.2f}, {SPECIES_NAMES[species]}"
                upper.plot(time, survival[:, m, species], label=label, **style)
                middle.plot(time, coherence[:, m, species], **style)
        upper.set_ylabel("survival probability")
        upper.legend(ncols=2)
        if coherence.any():
            middle.set_yscale("log")
        middle.set_ylabel(r"rms of $|\rho_{ex}|$")
        lower.plot(time, energy / abs(energy[0]) if energy[0] else energy, color=BLACK)
        lower.axhline(0.0, color=GREY, linewidth=0.6)
        lower.set_ylabel(r"$U_{\rm osc}/|U_{\rm osc}(0)|$" if energy[0] else r"$U_{\rm osc}$")
        lower.set_xlabel("time [length]")
    return figure


def content(reader: Reader) -> Any:
    """Share of nu_e in the last direction against place and time."""
    time, position = reader["series/time"], reader["box/position"]
    cosine = reader["directions/cosine"][-1]
    with styled():
        figure, axes = canvas(1, 1, 6.4, 3.2)
        axis = axes[0, 0]
        axis.grid(visible=False)
        mesh = axis.pcolormesh(time, position, reader["map/electron_content"], cmap="cividis", vmin=0.0, vmax=1.0)
        mesh.set_rasterized(True)
        figure.colorbar(mesh, ax=axis, label=rf"share of $\nu_e$ at v = {cosine:.2f}")
        axis.set_xlabel("time [length]")
        axis.set_ylabel("place [length]")
    return figure


def angles(reader: Reader) -> Any:
    """Box averages of nu_e - nu_x against direction, at the start and at the end, one line for each species."""
    cosine, average = reader["directions/cosine"], reader["series/average"][:, :, :, 0]
    excess = average[..., 0] - average[..., 1]
    with styled():
        figure, axes = canvas(1, 1, 5.0, 3.4)
        axis = axes[0, 0]
        for species in (0, 1):
            for moment, color, name in ((0, GREY, "start"), (-1, BLUE, "end")):
                if excess[0, :, species].any() or excess[-1, :, species].any():
                    label = f"{SPECIES_NAMES[species]}, {name}"
                    axis.plot(
                        cosine, excess[moment, :, species], color=color, linestyle=SPECIES_LINES[species], label=label
                    )
        axis.axhline(0.0, color=BLACK, linewidth=0.6)
        axis.set_xlabel("v")
        axis.set_ylabel(r"$\langle\rho_{ee} - \rho_{xx}\rangle$")
        axis.legend()
    return figure
