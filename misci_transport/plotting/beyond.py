"""Pictures of encounter gases and of many-body states: an open output in, a matplotlib figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, canvas, styled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..io.read import Reader

_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
#: Neutrinos that get a colour of their own.
_FEW = 6


def groups(reader: Reader) -> Any:
    """Mean P of the groups along the total J and across it: gas solid, slow equation dotted, miscidynamics dashed."""
    time, axis = reader["series/time"], reader["groups/total_axis"]
    names = str(reader.attributes.get("group_names", "")).split()
    curves = [
        ("groups/polarization", "-", 1.4),
        ("slow/polarization", ":", 1.2),
        ("miscidynamics/polarization", "--", 1.2),
    ]
    with styled():
        figure, axes = canvas(2, 1, 6.4, 5.6, sharex=True)
        for field, line, width in curves:
            if field not in reader:
                continue
            p = reader[field]
            for g in range(p.shape[1]):
                solid = line == "-"
                label = (names[g] if g < len(names) else f"group {g + 1}") if solid else None
                style = {"color": _COLORS[g % len(_COLORS)] if solid else BLACK, "linestyle": line, "linewidth": width}
                for panel, values in zip(axes[:, 0], _parts(p[:, g], axis), strict=True):
                    panel.plot(time, values, label=label, **style)
        _bands(axes, reader, time, axis)
        upper, lower = axes[:, 0]
        upper.set_ylabel(r"$\mathbf{P} \cdot \mathbf{J}/|J|$")
        lower.set_ylabel(r"$|\mathbf{P}|$ across $\mathbf{J}$")
        lower.set_xlabel(r"time [$1/\mu$]")
        upper.legend(title="gas; dotted: slow equation, dashed: miscidynamics")
    return figure


def _parts(p: NDArray[np.float64], axis: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    along = p @ axis
    return along, np.linalg.norm(p - along[:, None] * axis, axis=1)


def _bands(axes: Any, reader: Reader, time: NDArray[np.float64], axis: NDArray[np.float64]) -> None:
    """Scatter of single realizations along J."""
    p = reader["realizations/polarization"] @ axis
    if p.shape[0] > 1:
        middle, spread = p.mean(axis=0), p.std(axis=0, ddof=1)
        for g in range(p.shape[2]):
            axes[0, 0].fill_between(
                time,
                middle[:, g] - spread[:, g],
                middle[:, g] + spread[:, g],
                color=_COLORS[g % len(_COLORS)],
                alpha=0.15,
                linewidth=0.0,
            )


def entanglement(reader: Reader) -> Any:
    """Length, group coherence and entropy of neutrinos against time."""
    time = reader["series/time"]
    length, entropy, mean = reader["groups/length"], reader["groups/entropy"], reader["groups/polarization"]
    with styled():
        figure, axes = canvas(2, 1, 6.4, 5.0, sharex=True)
        upper, lower = axes[:, 0]
        for g in range(length.shape[1]):
            color = _COLORS[g % len(_COLORS)]
            first = g == 0
            upper.plot(time, length[:, g], color=color, label=r"mean of $|\mathbf{P}|$" if first else None)
            across = np.linalg.norm(mean[:, g], axis=1)
            upper.plot(time, across, "--", color=color, label=r"$|$mean of $\mathbf{P}|$" if first else None)
            lower.plot(time, entropy[:, g], color=color)
        lower.axhline(np.log(2.0), color=GREY, linewidth=0.7, linestyle=":")
        upper.set(ylabel="length", ylim=(0.0, 1.03))
        upper.legend()
        lower.set(xlabel=r"time [$1/\mu$]", ylabel="entropy of a neutrino [nat]", ylim=(0.0, 0.75))
    return figure


def neutrinos(reader: Reader) -> Any:
    """P_z and entropy of every neutrino, and entropies of pairs."""
    time, p, entropy = reader["series/time"], reader["neutrinos/polarization"][..., 2], reader["neutrinos/entropy"]
    with styled():
        figure, axes = canvas(2, 1, 6.4, 5.6, sharex=True)
        upper, lower = axes[:, 0]
        up = p[0] > 0.0
        for chosen, color, name in ((up, BLUE, r"$\nu_e$ at the start"), (~up, VERMILLION, r"$\nu_x$ at the start")):
            for k, i in enumerate(np.flatnonzero(chosen)):
                upper.plot(time, p[:, i], color=color, linewidth=0.9, label=name if k == 0 else None)
                label = "one neutrino" if k == 0 and chosen is up else None
                lower.plot(time, entropy[:, i], color=color, linewidth=0.9, label=label)
        if "pairs/entropy" in reader:
            members, pairs = reader["pairs/members"], reader["pairs/entropy"]
            for k in range(min(_FEW, pairs.shape[1])):
                label = f"pair {int(members[k, 0])}, {int(members[k, 1])}"
                lower.plot(time, pairs[:, k], "--", color=_COLORS[(k + 2) % len(_COLORS)], label=label)
        lower.axhline(np.log(2.0), color=GREY, linewidth=0.7, linestyle=":")
        upper.set(ylabel=r"$P_z$", ylim=(-1.05, 1.05))
        lower.set(xlabel=r"time [$1/\mu$]", ylabel="entropy [nat]")
        upper.legend()
        lower.legend()
    return figure
