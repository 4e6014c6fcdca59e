"""Pictures of validation problems for docs/validation.md: ``python docs/make_gallery.py [DIRECTORY]``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from misci_transport.plotting.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, canvas, save, styled
from misci_transport.verify import adiabatic, diffusion, pulses, radiating_sphere
from misci_transport.verify.setup import Case

EXACT = {"color": BLACK, "linewidth": 0.9}


def conversion():
    """V2: survival of nu_e against the number of cells, and along the beam."""
    p = {
        "theta": 0.3,
        "dm2": 2.5e-3,
        "energy": 10.0,
        "potential": 5.0e-5,
        "potential_end": 0.0,
        "flavors": 2,
        "ordering": "normal",
    }
    first, last = adiabatic.electron_content(p, p["potential"])[0], adiabatic.electron_content(p, 0.0)[0]
    counts = (25, 50, 100, 200, 400)
    lost = {scheme: [] for scheme in ("adiabatic", "matrix")}
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.0)
        left, right = axes[0]
        x = np.linspace(0.0, 1.0, 400)
        contents = np.array([adiabatic.electron_content(p, p["potential"] * (1.0 - s) ** 2)[0] for s in x])
        left.plot(x, contents @ first, label="exact", **EXACT)
        for scheme, color, marker in (("adiabatic", BLUE, "o"), ("matrix", VERMILLION, "s")):
            for count in counts:
                case = adiabatic.beam(p, count, scheme)
                case.march(4.0 * adiabatic.LENGTH, 0.5 * adiabatic.LENGTH / count)
                n = case.populations()[:, 0, 0, 0, :2] / adiabatic.AMPLITUDE
                if count == 25:
                    potential = adiabatic.potentials(p, count)
                    electron = np.array([adiabatic.electron_content(p, v)[0] for v in potential])
                    center = (np.arange(count) + 0.5) / count
                    left.plot(
                        center,
                        (electron * n).sum(axis=1),
                        marker,
                        color=color,
                        markersize=3,
                        label=f"{scheme}, 25 cells",
                    )
                lost[scheme].append(max(1.0 - np.ptp(n[-1]) / np.ptp(first), 1.0e-17))
            right.loglog(counts, lost[scheme], marker + "-", color=color, markersize=3, label=scheme)
        right.loglog(counts, lost["matrix"][-1] * counts[-1] / np.array(counts), ":", color=GREY, label="first order")
        left.axhline(last @ first, color=GREY, linewidth=0.7, linestyle=":")
        left.set(xlabel="place along the beam", ylabel=r"survival probability of $\nu_e$", ylim=(0.0, 1.02))
        right.set(xlabel="cells", ylabel=r"lost polarization $1 - |P|/|P_0|$", ylim=(1e-17, 2.0))
        right.set_xticks(counts, [str(count) for count in counts])
        right.set_xticks([], minor=True)
        for axis in (left, right):
            axis.legend()
    return figure


def sphere():
    """V14: J(r) of radiating spheres from thin to thick."""
    with styled():
        figure, axes = canvas(2, 1, 5.5, 5.0, sharex=True, height_ratios=[2, 1])
        upper, lower = axes[:, 0]
        for kappa_r, color in ((0.3, GREEN), (4.0, BLUE), (100.0, VERMILLION)):
            case = radiating_sphere.solve(kappa_r, 1.0, 200, 32, 1)
            mean, _ = radiating_sphere.profile(case)
            r = case.mesh.center
            exact = np.array([radiating_sphere.mean_intensity(float(s), kappa_r) for s in r])
            upper.semilogy(r, exact, **EXACT)
            upper.semilogy(r[::5], mean[::5], "o", color=color, markersize=3, label=rf"$\kappa R$ = {kappa_r:g}")
            lower.plot(r, 100.0 * (mean / exact - 1.0), color=color, linewidth=1.0)
        upper.plot([], [], label="formal solution", **EXACT)
        upper.set(ylabel="$J/b$")
        lower.set(xlabel="$r/R$", ylabel="difference [%]", ylim=(-3.0, 3.0))
        upper.legend()
    return figure


def free_pulses():
    """V15: pulses on radial rays, and the isotropic Gaussian for several numbers of directions."""
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.0)
        left, right = axes[0]
        case, exact = _ray_pulses(200)
        r = case.mesh.center
        f = case.populations()[:, :, 0, 0, 0]
        for ray, color, name in ((0, VERMILLION, "inwards"), (1, BLUE, "outwards")):
            left.plot(r, exact[:, ray], **EXACT)
            left.plot(r[::3], f[::3, ray], "o", color=color, markersize=2.5, label=name)
        left.set(xlabel="$r/R$", ylabel="occupation", title="radial rays after a path of $0.7\\,R$")
        for directions, color in ((4, GREY), (8, ORANGE), (16, BLUE)):
            case, exact = _gaussian(200, directions)
            x = 6.0 * case.mesh.center
            right.plot(x, case.moments()[0], color=color, label=f"{directions} directions")
        right.plot(x, exact, label="exact", linestyle="--", **EXACT)
        right.set(
            xlabel="$r$ / initial width", ylabel="$J$", xlim=(0.0, 5.5), title="isotropic Gaussian after 2 widths"
        )
        for axis in (left, right):
            axis.legend()
    return figure


def _ray_pulses(count: int) -> tuple[Case, np.ndarray]:
    from misci_transport.grid import RadialMesh
    from misci_transport.quadrature import AngularGrid

    mesh = RadialMesh.uniform(0.0, 1.0, count)
    case = Case(mesh, AngularGrid.radial(mesh))
    case.fill(pulses._ray_pulses(mesh, 1.0, 0.0))
    case.march(0.7, pulses.CFL / count)
    return case, pulses._ray_pulses(mesh, 1.0, 0.7)


def _gaussian(count: int, directions: int) -> tuple[Case, np.ndarray]:
    from misci_transport.grid import RadialMesh
    from misci_transport.quadrature import AngularGrid

    mesh = RadialMesh.uniform(0.0, 1.0, count)
    grid = AngularGrid.ordinates(mesh, directions)
    case = Case(mesh, grid)
    x = 6.0 * mesh.center
    case.fill(np.repeat(pulses.AMPLITUDE * np.exp(-(x**2))[:, None], directions, axis=1))
    case.march(2.0 / 6.0, pulses.CFL / count)
    exact = pulses.AMPLITUDE * (np.exp(-((x - 2.0) ** 2)) - np.exp(-((x + 2.0) ** 2))) / (8.0 * x)
    return case, exact


def diffusing():
    """V16: a pulse at twice its age, from optically thin cells to very thick ones."""
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.0)
        left, right = axes[0]
        looks = ((1.0, GREEN, "^", 3), (10.0, BLUE, "o", 6), (1000.0, VERMILLION, "x", 4))
        for tau, color, marker, size in looks:
            case, pulse = diffusion.pulse_case("spherical", tau, 0, 4, 1)
            case.march(pulse.start, max(0.5, 0.1 * tau))
            mean, flux = case.moments()
            width = case.mesh.face[-1] / diffusion.EXTENT
            some = slice(None, None, max(1, case.mesh.size // 40))
            x = case.mesh.center / width
            # the flux of diffusion falls with the thickness of the pulse
            scale = pulse.kappa * width / diffusion.AMPLITUDE
            label = rf"$\kappa\,\Delta r$ = {tau:g}, {case.mesh.size} cells"
            look = {"marker": marker, "color": color, "markersize": size, "fillstyle": "none", "linestyle": "none"}
            left.plot(x[some], mean[some] / diffusion.AMPLITUDE, label=label, **look)
            right.plot(x[some], flux[some] * scale, **look)
        r = np.linspace(0.0, case.mesh.face[-1], 300)
        t = 2.0 * pulse.start
        left.plot(r / width, pulse.energy(r, t) / diffusion.AMPLITUDE, label="diffusion", **EXACT)
        right.plot(r / width, pulse.flux(r, t) * scale, **EXACT)
        left.set(xlabel="$r$ / initial width", ylabel="$J$ / amplitude")
        right.set(xlabel="$r$ / initial width", ylabel="flux $H$, times depth of the initial width")
        for axis in (left, right):
            axis.set_xlim(0.0, 5.0)
        left.legend()
    return figure


PICTURES = {"V2": conversion, "V14": sphere, "V15": free_pulses, "V16": diffusing}


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        print(save(draw(), directory / f"{name}.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
