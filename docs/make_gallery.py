"""Pictures of validation problems for docs/validation.md: ``python docs/make_gallery.py [DIRECTORY [NAME ...]]``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from misci_transport.closures import apply, lepton_number
from misci_transport.encounters import miscidynamics, modes_of, simulate
from misci_transport.kinetics import two_beams as beams_of_two
from misci_transport.manybody import ManyBody, TwoBeams, uniform_beams
from misci_transport.options import ValidityOptions
from misci_transport.plotting.style import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, VERMILLION, canvas, save, styled
from misci_transport.stability import spectrum
from misci_transport.stability.eigenmodes import RESOLVED
from misci_transport.validity.measures import GAMMA_THRESHOLD
from misci_transport.validity.monitor import ValidityMonitor
from misci_transport.verify import (
    PROBLEMS,
    adiabatic,
    bipolar,
    bulb,
    closures,
    collisional,
    diffusion,
    encounters,
    fast_box,
    kinetics,
    landau_zener,
    linear_stability,
    pulses,
    radiating_sphere,
    resonance,
    splits,
    two_beams,
)
from misci_transport.verify.homogeneous import by_frequency, polarization
from misci_transport.verify.registry import Findings
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


def jumps():
    """V3: probability of a jump at a resonance, and gamma as the validity monitor measures it."""
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.0)
        left, right = axes[0]
        gamma = np.geomspace(0.01, 10.0, 200)
        left.semilogx(gamma, np.exp(-0.5 * np.pi * gamma), label=r"$\exp(-\pi\gamma/2)$", **EXACT)
        some = np.geomspace(0.02, 8.0, 14)
        jump = [kinetics.landau_zener(float(g)) for g in some]
        left.plot(some, jump, "o", color=BLUE, markersize=3.5, label="kinetics")
        left.plot(some, [_jump_of_transport(float(g)) for g in some], "s", color=VERMILLION, markersize=3, label="run")
        for axis in axes[0]:
            axis.axvspan(gamma[0], GAMMA_THRESHOLD, color=GREY, alpha=0.12, linewidth=0.0, label="flagged")
        right.loglog(gamma, gamma, label="exact", **EXACT)
        for cells, color, marker, size in ((12, GREEN, "^", 7), (50, VERMILLION, "o", 3)):
            measured = [_measured("V3", "smallest gamma", gamma=float(g), cells=cells) for g in some[::2]]
            look = {"color": color, "markersize": size, "fillstyle": "none", "label": f"{cells} cells"}
            right.plot(some[::2], measured, marker, **look)
        left.set(xlabel=r"adiabaticity $\gamma$ at the resonance", ylabel="probability of a jump", ylim=(-0.03, 1.03))
        right.set(xlabel=r"adiabaticity $\gamma$ at the resonance", ylabel=r"smallest $\gamma$ of the monitor")
        for axis in axes[0]:
            axis.set_xlim(gamma[0], gamma[-1])
            axis.legend()
    return figure


def _measured(name: str, quantity: str, **given) -> float:
    """What a problem computed for the first quantity whose description begins so."""
    return next(r.computed for r in PROBLEMS[name].run(**given) if r.quantity.startswith(quantity))


def _jump_of_transport(gamma: float) -> float:
    """Part of the level's neutrinos that have left it at the end of the beam of V3."""
    case, _, p = landau_zener.resonant_beam(gamma, 0.15, 2.5e-3, 50)
    case.march(4.0 * adiabatic.LENGTH, 0.01 * adiabatic.LENGTH)
    first = adiabatic.electron_content(p, p["potential"])[0]
    n = case.populations()[-1, 0, 0, 0, :2] / adiabatic.AMPLITUDE
    return 0.5 * (1.0 - (n[1] - n[0]) / (first[1] - first[0]))


def spectral_splits():
    """V5 and V6: P along the charge's axis at the end, and the deviation from kinetics against tau and V."""
    looks = ((40.0, VERMILLION), (160.0, ORANGE), (640.0, BLUE))
    with styled():
        figure, axes = canvas(2, 2, 7.5, 5.6)
        both, alone, rate, matter = axes.ravel()
        deviation = {"V5": [], "V6": []}
        for tau, color in looks:
            p = PROBLEMS["V5"].values({"tau": tau})
            gas = _split(p, "mass")
            w, _ = kinetics.box_spectrum(p["modes"], p["asymmetry"])
            axis = splits.axis_of(gas)
            axis = axis * np.sign(axis[2])
            kinetic = splits.kinetic_polarization(p, gas, splits.duration(p["mu0"], tau)) @ axis
            aligned = _aligned(gas) @ axis
            both.plot(w, kinetic, color=color, linewidth=1.1, label=rf"kinetics, $\tau$ = {tau:g}")
            deviation["V5"].append(np.abs(aligned - kinetic).mean())
            q = PROBLEMS["V6"].values({"tau": tau})
            single, frequency, direction = splits.neutrino_gas(q)
            single.start()
            found, expected = splits.split_along_axis(q, single, frequency, direction)
            alone.plot(frequency, expected, color=color, linewidth=1.1)
            deviation["V6"].append(np.abs(found - expected).mean())
        both.plot(w, aligned, "o", color=BLACK, markersize=2, label="alignment")
        alone.plot(frequency, found, "o", color=BLACK, markersize=2)
        alone.axvline(1.0 - q["charge"], color=GREY, linewidth=0.7, linestyle=":")
        for axis, name in ((both, r"V5: $\nu_e$ and $\bar\nu_e$ ($w < 0$)"), (alone, r"V6: $\nu_e$ only")):
            axis.set(xlabel="frequency $w$", ylabel="$P$ along $B$ at the end", title=name, ylim=(-1.08, 1.08))
        both.legend(loc="upper left")
        taus = [tau for tau, _ in looks]
        for name, color, marker in (("V5", BLUE, "o"), ("V6", VERMILLION, "s")):
            rate.loglog(taus, deviation[name], marker + "-", color=color, markersize=3.5, label=name)
        rate.loglog(taus, deviation["V5"][0] * taus[0] / np.array(taus), ":", color=GREY, label=r"$1/\tau$")
        rate.set(xlabel=r"$\tau$ [$1/w_\mathrm{max}$]", ylabel="mean deviation from kinetics")
        rate.set_xticks(taus, [f"{tau:g}" for tau in taus])
        rate.set_xticks([], minor=True)
        _splits_in_matter(matter)
        for axis in (rate, matter):
            axis.legend()
    return figure


def _split(p, kind: str):
    """The gas of V5 at the end."""
    gas = splits.build(p, kind)
    if splits.started(p, gas, Findings(PROBLEMS["V5"], p)) is None:
        raise RuntimeError(f"V5 does not begin with charge {kind}")
    for time in np.linspace(0.0, splits.duration(p["mu0"], p["tau"]), p["steps"] + 1)[1:]:
        gas.advance(float(time))
    return gas


def _aligned(gas) -> np.ndarray:
    """P per neutrino by frequency."""
    matrices = by_frequency(gas.density_matrix)
    return polarization(matrices) / matrices[:, :2].sum(axis=1)[:, None]


def _splits_in_matter(axis) -> None:
    potentials = (0.02, 0.035, 0.06, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.0, 3.0, 6.0, 15.0, 40.0)
    kinds = (("none", GREY, "^"), ("mass", BLUE, "o"), ("flavor", VERMILLION, "s"))
    found = {kind: [] for kind, _, _ in kinds}
    for potential in potentials:
        p = PROBLEMS["V5"].values({"potential": potential})
        kinetic = None
        for kind, _, _ in kinds:
            gas = _split(p, kind)
            if kinetic is None:
                kinetic = splits.kinetic_polarization(p, gas, splits.duration(p["mu0"], p["tau"]))
            along = splits.axis_of(gas)
            found[kind].append(np.abs((_aligned(gas) - kinetic) @ along).mean())
    for kind, color, marker in kinds:
        axis.loglog(potentials, found[kind], marker + "-", color=color, markersize=3, label=kind)
    broken = splits.LOWEST * splits.tolerance(p), splits.HIGHEST
    axis.axvspan(*broken, color=GREY, alpha=0.12, linewidth=0.0, label="flagged")
    axis.axhline(splits.tolerance(p), color=BLACK, linewidth=0.7, linestyle="--", label="tolerance")
    axis.set(xlabel=r"matter potential $V$ [$w_\mathrm{max}$]", ylabel="mean deviation from kinetics")


def bulbs():
    """V7: survival against frequency and radius, where the alignment is right and where it is not."""
    with styled():
        figure, axes = canvas(2, 2, 7.5, 5.4)
        spectrum, radius, wrong, grown = axes.ravel()
        species = ((0, BLUE, r"$\nu_e$"), (1, VERMILLION, r"$\bar\nu_e$"))
        for asymmetry, axis in ((0.7, radius), (0.95, wrong)):
            made = bulb.from_flavor_state(bulb.box("R20", asymmetry, 0.05, 160, 40, 400))
            case, mixing = bulb.stationary(made)
            found = bulb.survival(case, mixing, made)
            radii = np.geomspace(made.inner, made.outer, 500)
            kinetic = 0.5 + 0.5 * made.kinetics(radii, 160).polarization[..., 2].mean(axis=2)
            groups = made.frequency.size
            by_species = (kinetic[:, groups:], kinetic[:, groups - 1 :: -1])
            for s, color, name in species:
                if asymmetry == 0.7:
                    late = radii > 0.85 * made.outer
                    spectrum.plot(made.frequency, by_species[s][late].mean(axis=0), color=color)
                    spectrum.plot(made.frequency, found[-1, :, s].mean(axis=0), "o", color=color, markersize=3)
                look = {"color": color, "linewidth": 0.7, "alpha": 0.7, "label": f"{name}, kinetics"}
                axis.plot(radii / made.radius, by_species[s].mean(axis=1), **look)
                look = {"color": BLACK, "linewidth": 1.1, "label": None if s else "alignment"}
                axis.plot(case.mesh.center / made.radius, found[:, :, s].mean(axis=(1, 2)), "--", **look)
            axis.set(xlabel="$r/R$", ylabel="survival probability", ylim=(-0.03, 1.03))
            axis.set_title(rf"$\bar\nu_e/\nu_e$ = {asymmetry:g}")
        for asymmetry, color in ((0.7, BLUE), (0.8, GREEN), (0.95, VERMILLION)):
            r, folds = _e_folds(asymmetry)
            grown.loglog(r, folds, color=color, label=rf"$\bar\nu_e/\nu_e$ = {asymmetry:g}")
        grown.axhline(ValidityOptions().e_folds, color=BLACK, linewidth=0.7, linestyle="--", label="threshold")
        spectrum.set(xlabel="frequency $w$", ylabel="survival probability", ylim=(-0.03, 1.03))
        spectrum.set_title(r"$\bar\nu_e/\nu_e$ = 0.7, at the end")
        grown.set(xlabel="$r/R$", ylabel="e-folds of the monitor", ylim=(1.0, 5.0e3))
        for axis in (radius, wrong, grown):
            axis.set_xscale("log")
            axis.set_xlim(1.4, 60.0)
            axis.set_xticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
            axis.set_xticks([], minor=True)
        radius.legend(loc="upper right")
        grown.legend(loc="upper left")
    return figure


def _e_folds(asymmetry: float) -> tuple[np.ndarray, np.ndarray]:
    """Radii over R and accumulated growth of axially symmetric perturbations, as V7 has them measured."""
    made = bulb.from_flavor_state(bulb.box("R20", asymmetry, 0.05, 160, 10, 200))
    case, mixing = bulb.stationary(made)
    monitor = ValidityMonitor(case.phase_space, case.decomposition, ValidityOptions(stability_cells=10))
    state = case.state
    measured = monitor.measure(state.owned, state.moments, mixing, case.collisions, case.frame, stability=True)
    return case.mesh.center / made.radius, measured.e_folds[:, 0]


def matter_neutrino():
    """V8: survival through a matter-neutrino resonance, and |H| of both modes, one of which ends the branch."""
    p = PROBLEMS["V8"].values({})
    gas, times, ratio = resonance.sweep(p)
    gas.start()
    states = resonance.follow(gas, times)
    probability, kinetic = resonance.probabilities(p, states), resonance.kinetic_survival(p, gas, times)
    end = resonance.fold(p["asymmetry"], p["theta"], p["omega"] / p["potential"])
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.2)
        left, right = axes[0]
        inside = np.linspace(p["asymmetry"] - 1.0, end, 200)
        formula = resonance.survival(p["asymmetry"], inside)
        vector = polarization(states)[:, :, 0]
        common = p["potential"] / ratio[:, None] * (vector[:, 0] - vector[:, 1]) + [0.0, 0.0, p["potential"]]
        own = p["omega"] * kinetics.vacuum_axis(p["theta"], p["ordering"])
        for s, color, name in ((0, BLUE, r"$\nu_e$"), (1, VERMILLION, r"$\bar\nu_e$")):
            left.plot(ratio, kinetic[:, s], color=color, label=f"{name}, kinetics")
            left.plot(inside, formula[:, s], ":", color=BLACK, linewidth=1.6, label=None if s else "$w/V = 0$")
            look = {"color": color, "markersize": 5, "fillstyle": "none", "label": f"{name}, alignment"}
            left.plot(ratio[::20], probability[::20, s], "o", **look)
            size = np.linalg.norm(common + (1.0 - 2.0 * s) * own, axis=1) / p["omega"]
            right.semilogy(ratio, size, color=color, label=name)
        for axis in axes[0]:
            axis.axvline(end, color=GREY, linewidth=0.7, linestyle="--")
            axis.set_xlabel(r"$V/\mu$")
        left.set_ylabel("survival probability")
        right.set_ylabel("$|H|/w$ of a mode")
        left.legend()
        right.legend()
    return figure


def collisional_growth():
    """V9: rho_ee, and the growth of coherence and of the change of D_z."""
    p = PROBLEMS["V9"].values({})
    made = collisional.unstable_gas(p)
    aligned = made.gas.march(made.times)[:, :, 0]
    run = made.kinetic(p)
    found, exact = polarization(aligned), run.polarization
    electron = 0.5 * (run.trace + exact[..., 2])
    t = made.times
    some = slice(None, None, max(1, t.size // 40))
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.2)
        left, right = axes[0]
        for s, color, name in ((0, BLUE, r"$\nu$"), (1, VERMILLION, r"$\bar\nu$")):
            left.plot(t, electron[:, s], color=color, label=f"{name}, kinetics")
            left.plot(t[some], aligned[some, s, 0], "o", color=color, markersize=3, label=f"{name}, alignment")
        curves = (
            (lambda v: np.hypot(v[:, 0, 0], v[:, 0, 1]), BLUE, r"$P_\perp$ of neutrinos"),
            (lambda v: np.abs(v[:, 0, 2] - v[:, 1, 2] - v[0, 0, 2] + v[0, 1, 2]), GREEN, r"change of $D_z$"),
        )
        for of, color, name in curves:
            right.semilogy(t, of(exact), color=color, label=f"{name}, kinetics")
            right.semilogy(t[some], of(found)[some], "o", color=color, markersize=3, label=f"{name}, alignment")
        early = t < 0.75 * made.saturation
        line = p["seed"] * np.exp(made.growth * t[early])
        right.semilogy(t[early], line, "--", label=f"growth rate {made.growth:.4f}", **EXACT)
        left.set(xlabel="time", ylabel=r"$\rho_{ee}$")
        right.set(xlabel="time", ylim=(1e-6, 1.0))
        left.legend()
        right.legend()
    return figure


def opposite_beams():
    """V10: nu_x content of the beam v = +1 against place and time, and energies, as Fig. 1 of the paper."""
    p = PROBLEMS["V10"].values({})
    beams = beams_of_two.TwoBeams(p["zeta_plus"], p["zeta_minus"])
    box = beams.random_box(p["length"], p["cells"], amplitude=two_beams.SEED, modes=two_beams.WAVES, seed=1)
    k = 2.0 * np.pi / p["length"] * np.arange(-31, 0)
    alpha = beams.growing(k, *beams_of_two.components(box, k))
    run = two_beams.followed(box, 30.0, every=5)
    with styled():
        figure, axes = canvas(2, 1, 6.4, 5.6, sharex=True)
        upper, lower = axes[:, 0]
        upper.grid(visible=False)
        z = (np.arange(p["cells"]) + 0.5) * p["length"] / p["cells"] - 0.5 * p["length"]
        mesh = upper.pcolormesh(run.times[::5], z, run.content.T, cmap="cividis", vmin=0.0, vmax=1.0, rasterized=True)
        figure.colorbar(mesh, ax=upper, label=r"$\nu_x$ content of $v = +1$")
        first = abs(run.energy[0])
        lower.plot(run.times, run.energy / run.energy[0], color=BLUE, label=r"$U_{\rm osc}$")
        lower.plot(run.times, run.kinetic / run.energy[0], color=VERMILLION, label=r"$K - K(0)$")
        total = (run.energy + run.kinetic) / run.energy[0]
        lower.plot(run.times, total, color=GREEN, label="sum")
        early = run.times < 8.0
        grown = np.array([beams.energy_change(k, alpha, p["length"], t) for t in run.times[early]])
        lower.plot(run.times[early], 1.0 - grown / first, ":", label="linear regime", **EXACT)
        lower.axhline(0.0, color=GREY, linewidth=0.6)
        lower.set(xlabel="time", ylabel=r"energy over $U_{\rm osc}(0)$", ylim=(-1.1, 2.1))
        upper.set(ylabel="z")
        lower.legend(ncols=2)
    return figure


def pendulums():
    """V11: growth against the strength, and swings of the pendulum."""
    p = PROBLEMS["V11"].values({})
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.0)
        left, right = axes[0]
        for a, color in ((0.5, GREEN), (0.8, BLUE), (1.0, VERMILLION)):
            q = {**p, "asymmetry": a}
            low, high = bipolar.thresholds(q)
            mu = np.geomspace(0.3, 200.0, 400)
            left.semilogx(mu, [bipolar.growth(q, m).real for m in mu], color=color, label=f"nubar/nu = {a}")
            some = np.geomspace(0.99 * low, min(1.01 * high, 100.0), 9)
            left.plot(some, [bipolar.linear_rate(q, m) for m in some], "o", color=color, markersize=3)
        left.set(xlabel=r"$\mu/\omega$", ylabel=r"growth rate over $\omega$", ylim=(-0.3, 10.0))
        for theta, color in ((0.01, BLUE), (0.1, ORANGE), (0.3, GREEN)):
            q = {**p, "theta": theta}
            times, heights = bipolar.swings(q)
            period = bipolar.pendulum(q).period
            right.plot(times, heights, color=color, label=rf"$\theta$ = {theta}")
            right.plot([0.5 * period, 1.5 * period], 2 * [bipolar.pendulum(q).roots[0]], "o", color=color, markersize=4)
        right.set(xlabel=r"$\omega t$", ylabel=r"$\mathbf{B}\cdot\mathbf{Q}/|\mathbf{Q}|$", xlim=(0.0, 5.0))
        left.legend()
        right.legend()
    return figure


def fast_instability():
    """V12: growth against the wave number, and box averages after saturation."""
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.0)
        left, right = axes[0]
        for distribution, color in (("linear", BLUE), ("gaussians", VERMILLION)):
            p = PROBLEMS["V12"].values({"distribution": distribution})
            best = fast_box.fastest(p)
            waves = best + np.linspace(-1.6, 1.6, 161)
            rates = np.array([fast_box.dispersion(p, k).imag for k in waves])
            left.plot(waves, rates, color=color, label=distribution)
            some = waves[rates > 0.0][:: max(1, int((rates > 0.0).sum()) // 8)]
            measured = [fast_box.linear_rate(p, k) for k in some if abs(k) > 0.09]
            left.plot([k for k in some if abs(k) > 0.09], measured, "o", color=color, markersize=3)
            run = fast_box.relaxed(p, best, fast_box.dispersion(p, best).imag)
            start, late = run.start[0] - run.start[1], run.polarization[run.times > 0.5 * run.times[-1]].mean(axis=0)
            right.plot(run.cosine, start, "--", color=color)
            right.plot(run.cosine, late[0] - late[1], color=color, label=distribution)
        right.axhline(0.0, color=BLACK, linewidth=0.6)
        left.set(xlabel=r"$k/\mu$", ylabel=r"growth rate over $\mu$")
        right.set(xlabel="v", ylabel=r"$\langle G(v)\rangle$, start (dashed) and late")
        left.legend()
        right.legend()
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


def growth_rates():
    """V10S and V12S: growth over the wave number, and errors of coarse directions against their resolution."""
    with styled():
        figure, axes = canvas(1, 3, 9.6, 3.0)
        beams, fast, errors = axes[0]
        k = np.linspace(-3.0, 1.0, 400)
        for (plus, minus), color in (((0.5, -0.5), BLUE), ((0.8, -0.2), VERMILLION)):
            low, high = (minus - plus + sign * 2.0 * np.sqrt(-plus * minus) for sign in (-1.0, 1.0))
            beams.plot(k, np.sqrt(np.maximum((k - low) * (high - k), 0.0)), color=color, linewidth=0.9)
            modes = linear_stability.beam_modes(plus, minus)
            found = [spectrum(modes, float(x), 1e-3).growth.max(initial=0.0) for x in k[::20]]
            label = rf"$\zeta_\pm$ = {plus:g}, {minus:g}"
            beams.plot(k[::20], found, "o", color=color, markersize=3, label=label)
        p = PROBLEMS["V12S"].values({})
        k = np.linspace(-1.6, 2.4, 81)
        net, _ = linear_stability.continuous(p, 8)
        exact = [linear_stability.continuous_growth(net, 1.0, float(x)) for x in k]
        fast.plot(k, exact, label="dispersion relation", **EXACT)
        for angles, color, marker in ((8, VERMILLION, "v"), (32, BLUE, ".")):
            _, modes = linear_stability.continuous(p, angles)
            for x in k[::4]:
                here = spectrum(modes, modes.drift[0] + float(x), 1e-3)
                for growth, artefact in zip(here.growth, here.artefact, strict=True):
                    style = "none" if artefact else "full"
                    fast.plot(x, growth, marker, color=color, markersize=4, fillstyle=style)
            fast.plot([], [], marker, color=color, markersize=4, label=f"{angles} directions")
        for shift, color in ((0.0, BLUE), (0.5, GREEN), (0.9, VERMILLION)):
            resolution, error = _errors_of_directions(shift)
            errors.loglog(resolution, error, "o", color=color, markersize=2.5, label=f"$G = v - {shift:g}$")
        x = np.geomspace(0.3, 30.0, 100)
        errors.loglog(x, np.exp(-x), color=BLACK, linewidth=0.9, label="exp(-resolution)")
        errors.axvspan(0.3, RESOLVED, color=GREY, alpha=0.12, linewidth=0.0)
        beams.set(xlabel="wave number $k$", ylabel="growth rate", title="V10S: two beams")
        fast.set(xlabel=r"$(K - K_0)/\mu$", ylabel=r"growth rate / $\mu$", title="V12S: $G(v) = v$")
        errors.set(
            xlabel="resolution", ylabel="relative error of growth", title="6 to 16 directions", ylim=(1e-10, 20.0)
        )
        errors.set_xlim(0.3, 60.0)
        beams.set_ylim(-0.03, 1.35)
        fast.set_ylim(-0.02, 0.9)
        for axis, place in ((beams, "upper right"), (fast, "upper right"), (errors, "lower left")):
            axis.legend(loc=place)
    return figure


def _errors_of_directions(shift: float) -> tuple[list[float], list[float]]:
    """Resolution and error of growing modes of coarse sets of directions, against 200 directions."""

    def modes(count):
        cosine, weight = np.polynomial.legendre.leggauss(count)
        occupied = np.zeros((count, 2, 2))
        occupied[:, 0, 0], occupied[:, 1, 0] = np.maximum(cosine - shift, 0.0), np.maximum(shift - cosine, 0.0)
        return linear_stability.flavor_gas(cosine, weight, occupied, 1.0)

    fine = modes(200)
    resolution, error = [], []
    for count in (6, 8, 12, 16):
        coarse = modes(count)
        for k in coarse.drift[0] + np.linspace(-2.0, 3.0, 41):
            exact = spectrum(fine, float(k), 1e-4).frequency
            here = spectrum(coarse, float(k), 1e-3)
            for sigma, value in zip(here.frequency, here.resolution, strict=True):
                distance = np.abs(exact - sigma).min(initial=np.inf) / sigma.imag
                resolution.append(float(value))
                error.append(float(min(max(distance, 1e-16), 10.0)))
    return resolution, error


def closed():
    """V24: lepton number and survival over the cosine before and after closures."""
    p = PROBLEMS["V24"].values({})
    nu, bar = (closures.coefficients(name, p[name]) for name in ("nu", "nubar"))
    difference = np.zeros(max(nu.size, bar.size))
    difference[: nu.size] += nu
    difference[: bar.size] -= bar
    net = np.polynomial.Legendre(difference).convert(kind=np.polynomial.Polynomial)
    cell = closures.angular_cell(closures.lobes(net)[2], 40, 3)
    before = np.full((cell.velocity.size, 2, 1, 3), 0.2 * nu[0])
    before[:, 0, 0, 0] = np.polynomial.Legendre(nu)(cell.velocity)
    before[:, 1, 0, 0] = np.polynomial.Legendre(bar)(cell.velocity)
    looks = (("box", {}, BLUE, "-"), ("pair", {}, VERMILLION, "-"))
    looks += (("box", {"dt": 0.5, "relaxation_time": 1.0}, SKY, "--"),)
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.0)
        left, right = axes[0]
        left.plot(cell.velocity, lepton_number(before, cell), label="before", **EXACT)
        for name, given, color, line in looks:
            after = apply(name, before, cell, **given).occupations
            label = name + (", after half a relaxation time" if given else "")
            left.plot(cell.velocity, lepton_number(after, cell), line, color=color, label=label)
            contrast = before[:, 0, 0, 0] - before[:, 0, 0, 1]
            if name == "box":
                kept = (after[:, 0, 0, 0] - before[:, 0, 0, 1]) / contrast
                right.plot(cell.velocity, kept, line, color=color, label=label)
        left.axhline(0.0, color=GREY, linewidth=0.7, linestyle=":")
        right.axhline(1.0 / 3.0, color=GREY, linewidth=0.7, linestyle=":")
        left.set(xlabel="direction cosine $v$", ylabel="electron minus heavy lepton number $G(v)$")
        right.set(xlabel="direction cosine $v$", ylabel=r"survival probability of $\nu_e$", ylim=(0.0, 1.2))
        for axis in axes[0]:
            axis.legend()
    return figure


def encounter_gas():
    """V22: rates of entanglement and of precession, miscidynamics on the averaged gas, and its scatter."""
    with styled():
        figure, axes = canvas(1, 3, 10.0, 3.1)
        left, middle, right = axes[0]
        gamma = np.geomspace(1.0e-5, 1.5, 300)
        left.loglog(gamma, gamma, label=r"$\mu\gamma$", **EXACT)
        left.loglog(gamma, np.sin(gamma) ** 2 / gamma, color=BLUE, label=r"$\sin^2\gamma/\gamma$")
        some = np.array([1.0e-5, 1.0e-4, 1.0e-3, 1.0e-2, 0.1, 0.3])
        measured = []
        for g in some:
            setting = encounters.crossing_beams(float(g), 60000, 40000, 1)
            measured.append(g * encounters.entanglement_rate(setting)[0])
        left.plot(some, measured, "o", color=VERMILLION, markersize=4, label="gas, along J")
        left.loglog(gamma, np.sin(2.0 * gamma) / (2.0 * gamma), "--", color=GREY, label="precession")
        left.set(xlabel=r"$\gamma$", ylabel=r"rate $[\mu]$", ylim=(1e-6, 3.0))
        setting = encounters.crossing_beams(0.02, 60, 40, 1)
        steps = np.linspace(0, 6000, 61).astype(int)
        run = simulate(setting, steps, 100)
        misci = miscidynamics(modes_of(setting), run.times).group_means
        axis = encounters.total_axis(setting)
        for g, color in ((0, BLUE), (1, VERMILLION)):
            for p, line, width in ((run.mean[:, g], "-", 2.2), (misci[:, g], "--", 1.1)):
                along = p @ axis
                across = np.linalg.norm(p - along[:, None] * axis, axis=1)
                shade = color if line == "-" else BLACK
                label = f"{(60, 40)[g]} neutrinos" if line == "-" else None
                middle.plot(run.times, along, line, color=shade, linewidth=width, label=label)
                middle.plot(run.times, across, line, color=shade, linewidth=width, alpha=0.6)
        middle.set(xlabel=r"time $[1/\mu]$", ylabel=r"$P$ along and (paler) across $J$")
        number, spread = encounters.scatter(60, 40, 1)
        right.loglog(number, spread, "o", color=VERMILLION, markersize=4, label="realizations")
        right.loglog(number, spread[0] * np.sqrt(number[0] / number), label=r"$N^{-1/2}$", **EXACT)
        right.set(xlabel="neutrinos", ylabel="rms distance from miscidynamics")
        right.set_xticks(number, [str(n) for n in number])
        right.set_xticks([], minor=True)
        for one in axes[0]:
            one.legend()
    return figure


def many_bodies():
    """V23: P_z of a beam against time, and its first zero."""
    with styled():
        figure, axes = canvas(1, 2, 7.5, 3.0)
        left, right = axes[0]
        for n, color in ((4, BLUE), (8, GREEN), (16, ORANGE), (64, VERMILLION)):
            times = np.linspace(0.0, 8.0, 200)
            exact = TwoBeams(n)
            left.plot(times, exact.spin_of_beam(times), color=color, label=f"N = {n}")
            if n > 16:
                continue
            gas = ManyBody(uniform_beams(n // 2, n // 2, 1.0), ups=n // 2)
            gas.start_flavors(np.arange(n) < n // 2)
            found = []
            for _ in range(16):
                gas.evolve(0.5)
                found.append(gas.polarization()[0, 2])
            left.plot(0.5 * np.arange(1, 17), found, "o", color=color, markersize=3)
        left.axhline(0.0, color=GREY, linewidth=0.6)
        number = 4 * 2 ** np.arange(10)
        zero = [TwoBeams(int(n)).first_zero() for n in number]
        right.loglog(number, zero, "o", color=VERMILLION, markersize=3.5, label="first zero")
        right.loglog(number, zero[-1] * np.sqrt(number / number[-1]), label=r"$\sqrt{N}$", **EXACT)
        left.set(xlabel=r"time $[1/\mu]$", ylabel=r"$P_z$ of the $\nu_e$ beam")
        right.set(xlabel="neutrinos", ylabel=r"time of the first zero $[1/\mu]$")
        for axis in axes[0]:
            axis.legend()
    return figure


PICTURES = {
    "V2": conversion,
    "V3": jumps,
    "V5": spectral_splits,
    "V7": bulbs,
    "V8": matter_neutrino,
    "V9": collisional_growth,
    "V10": opposite_beams,
    "V11": pendulums,
    "V12": fast_instability,
    "V12S": growth_rates,
    "V14": sphere,
    "V15": free_pulses,
    "V16": diffusing,
    "V22": encounter_gas,
    "V23": many_bodies,
    "V24": closed,
}


def main(directory: Path, names: list[str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        print(save(PICTURES[name](), directory / f"{name}.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images", sys.argv[2:])
