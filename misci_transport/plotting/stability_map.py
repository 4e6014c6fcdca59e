"""Pictures of `misci stability`: growth over radius and wave number, or over a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .style import BLUE, GREEN, GREY, KILOMETRE, VERMILLION, canvas, styled

if TYPE_CHECKING:
    from ..io.read import Reader

#: Name, colour and marker of the kinds, by their code.
KINDS = (("stable", GREY, "."), ("fast", VERMILLION, "o"), ("slow", BLUE, "s"), ("collisional", GREEN, "^"))
#: Wave numbers of the map reach to this many rates of the cell from K_0.
WIDEST = 3.0
#: Decades of the colour scale.
DECADES = 4.0


def stability(reader: Reader) -> Any:
    """Largest growth of each cell by its kind, and below it growth over wave numbers (radius) or over the block."""
    center, growth = reader["stability/center"], reader["stability/growth"]
    return _radial(reader, center[:, 0], growth) if center.shape[1] == 1 else _block(reader, center, growth)


def _radial(reader: Reader, radius: Any, growth: Any) -> Any:
    curves = "stability/curve" in reader
    spherical = str(reader.attributes.get("geometry", "")) == "spherical"
    with styled():
        figure, axes = canvas(1 + curves, 1, 6.4, 3.0 + 2.6 * curves, sharex=True)
        top = axes[0, 0]
        kind, floor = reader["stability/kind"].astype(int), reader["stability/floor"]
        x = radius / KILOMETRE
        for code, (name, color, marker) in enumerate(KINDS):
            here = (kind == code) & (growth > 0.0)
            if here.any():
                top.semilogy(x[here], growth[here], marker, color=color, markersize=4, label=name)
        unresolved = reader["stability/unresolved"]
        only = (unresolved > 0.0) & (growth == 0.0)
        if only.any():
            look = {"color": GREY, "markersize": 4, "fillstyle": "none", "label": "of the discrete directions"}
            top.semilogy(x[only], unresolved[only], "v", **look)
        top.semilogy(x, floor, ":", color=GREY, label="looked for above")
        top.set(ylabel="growth rate [1/cm]", title="fastest mode of each cell")
        top.legend()
        last = top
        if curves:
            last = axes[1, 0]
            curve, wave = reader["stability/curve"], reader["stability/curve_wave_number"]
            # K_0 in the middle, and closer around it
            middle, half = 0.5 * (wave[:, -1] + wave[:, 0]), np.maximum(0.5 * (wave[:, -1] - wave[:, 0]), 1e-300)
            away = WIDEST * np.mean((wave - middle[:, None]) / half[:, None], axis=0)
            _colors(figure, last, x, np.cbrt(away), curve.T)
            marks = np.array([-3.0, -1.0, -0.3, -0.05, 0.0, 0.05, 0.3, 1.0, 3.0])
            last.set_yticks(np.cbrt(marks), [f"{mark:g}" for mark in marks])
            last.set(ylabel=r"$(K - K_0)$ / rate of the cell")
        last.set(xlabel="radius [km]" if spherical else "position [km]")
        if spherical and x.size > 1 and x.max() > 30.0 * max(x.min(), 1e-30):
            last.set_xscale("log")
    return figure


def _colors(figure: Any, axis: Any, x: Any, y: Any, values: Any) -> None:
    """Logarithm of values (y, x) in colours, down some decades from the largest."""
    largest = float(values.max(initial=0.0))
    if largest == 0.0 or x.size < 2:
        axis.text(0.5, 0.5, "no growth", transform=axis.transAxes, ha="center", va="center", color=GREY)
        axis.set_ylim(y.min(), y.max())
        return
    shown = np.log10(np.maximum(values, largest * 10.0**-DECADES))
    picture = axis.pcolormesh(x, y, shown, cmap="viridis", shading="nearest", rasterized=True)
    figure.colorbar(picture, ax=axis, label="log10 of growth rate [1/cm]")
    axis.grid(visible=False)


def _block(reader: Reader, center: Any, growth: Any) -> Any:
    spherical = str(reader.attributes.get("geometry", "")) == "spherical"
    kind = reader["stability/kind"].astype(int)
    place = center.copy()
    if spherical:
        r, theta, phi = center.T
        place = np.stack([r * np.sin(theta) * np.cos(phi), r * np.sin(theta) * np.sin(phi), r * np.cos(theta)], axis=1)
    extent = np.ptp(place, axis=0)
    # the two widest axes, and the layer of the third one with the fastest growth
    first, second = sorted(np.argsort(-extent, kind="stable")[:2])
    third = 3 - first - second
    layer = place[np.argmax(growth), third] if growth.size else 0.0
    near = np.abs(place[:, third] - layer) <= 1e-6 * max(float(extent.max()), 1.0)
    if spherical or np.count_nonzero(near) < 4:
        near = np.ones(near.size, dtype=bool)
    with styled():
        figure, axes = canvas(1, 2, 7.6, 3.4)
        left, right = axes[0]
        a, b = place[near, first] / KILOMETRE, place[near, second] / KILOMETRE
        here, code = growth[near], kind[near]
        floor = float(reader["stability/floor"].min())
        shown = np.log10(np.maximum(here, max(here.max(initial=0.0) * 10.0**-DECADES, floor)))
        picture = left.scatter(a, b, c=shown, s=18, marker="s", cmap="viridis")
        figure.colorbar(picture, ax=left, label="log10 of growth rate [1/cm]")
        for number, (name, color, marker) in enumerate(KINDS):
            chosen = (code == number) if number else here == 0.0
            if chosen.any():
                right.plot(a[chosen], b[chosen], marker, color=color, markersize=4, label=name)
        right.legend(loc="upper right")
        names = "xyz"
        title = "all cells" if near.all() else f"{names[third]} = {layer / KILOMETRE:.4g} km"
        for axis in axes[0]:
            axis.set(xlabel=f"{names[first]} [km]", ylabel=f"{names[second]} [km]", title=title, aspect="equal")
    return figure
