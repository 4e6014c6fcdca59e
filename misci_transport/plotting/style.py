"""One look for all pictures: colours that colour-blind people can tell apart, units on every axis."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Palette of M. Okabe and K. Ito.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#56B4E9",
    "#CC79A7",
    "#000000",
)
GREY = "#808080"
FLAVOR_COLORS = (BLUE, VERMILLION, GREEN)
LEVEL_COLORS = (SKY, ORANGE, PURPLE)
SPECIES_LINES = ("-", "--")
SPECIES_NAMES = ("neutrinos", "antineutrinos")
KILOMETRE = 1.0e5

_SETTINGS = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": None,
}


def flavor_label(species: int, flavor: int, flavors: int) -> str:
    """Symbol of a flavour; with two mixing flavours the heavy ones are x and the unmixed x'."""
    names = (("e", r"\mu", r"\tau") if flavors == 3 else ("e", "x", "x'"))[flavor]
    return rf"$\nu_{{{names}}}$" if species == 0 else rf"$\bar\nu_{{{names}}}$"


@contextmanager
def styled() -> Iterator[None]:
    """Settings of all pictures, undone at the end; no window system is ever asked for.

    Raises
    ------
    MissingDependencyError
        If matplotlib cannot be imported.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MissingDependencyError(
            f"matplotlib cannot be imported ({error}); install misci_transport[plot]"
        ) from error
    settings = {key: value for key, value in _SETTINGS.items() if value is not None}
    with matplotlib.rc_context(settings), np.errstate(all="ignore"):
        yield


def canvas(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Any, Any]:
    """A figure of ``rows`` x ``columns`` axes (array of that shape), width and height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(figure: Any, path: Path) -> Path:
    """Write a PNG of 150 dots per inch; its bytes do not depend on the time of day."""
    with styled():
        figure.savefig(path, dpi=150, metadata={"Software": None})
    return path
