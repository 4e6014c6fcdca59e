"""V24, V25, V26: closures of other codes by their formulas: box, relaxation, pair equilibrium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import Legendre, Polynomial
from scipy.special import roots_legendre

from ..closures import Cell, apply, conservation, relax
from ..closures.registry import ELECTRON, HEAVY, NUMBERS
from ..errors import ConfigurationError
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Largest coefficient of an angular distribution that `nu` and `nubar` may have.
LARGEST = 10.0
ROUND_OFF = 1.0e-12


def coefficients(name: str, value: str) -> NDArray[np.float64]:
    """Legendre coefficients of an angular distribution, from "0.5,0.2".

    Raises
    ------
    ConfigurationError
        If they are large, or the distribution is negative somewhere.
    """
    found = np.array([float(word) for word in value.split(",")])
    if np.abs(found).max() > LARGEST:
        raise ConfigurationError(f"{name} is {value}; accepted: coefficients up to {LARGEST:g}")
    if Legendre(found)(np.linspace(-1.0, 1.0, 2001)).min() < -1e-12:
        raise ConfigurationError(f"{name} is {value}, negative somewhere; accepted: 0 or more for all cosines")
    return found


def lobes(net: Polynomial) -> tuple[float, float, NDArray[np.float64]]:
    """Integrals of the positive and of the negative part over [-1, 1], and the sign changes inside."""
    powers: NDArray[np.float64] = np.trim_zeros(net.coef, "b")
    roots = np.roots(powers[::-1]) if powers.size > 1 else np.empty(0)
    inside = np.sort(roots[np.abs(roots.imag) < 1e-12].real)
    edges = np.concatenate([[-1.0], inside[np.abs(inside) < 1.0], [1.0]])
    order = np.arange(net.coef.size)
    parts = np.diff((net.coef / (order + 1)) @ edges ** (order + 1)[:, None])
    return float(parts[parts > 0.0].sum()), float(-parts[parts < 0.0].sum()), edges[1:-1]


def angular_cell(edges: NDArray[np.float64], angles: int, flavors: int) -> Cell:
    """Gauss-Legendre directions on the panels between the edges, one energy."""
    x, w = roots_legendre(angles)
    bounds = np.concatenate([[-1.0], edges, [1.0]])
    half, middle = 0.5 * np.diff(bounds), 0.5 * (bounds[1:] + bounds[:-1])
    cosine, weight = (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()
    return Cell(weight, np.ones(1), flavors, cosine)


@problem(
    "V24",
    "box_closure",
    "box closure: survival on both sides of the crossing of the electron minus heavy lepton number",
    [
        Parameter("nu", "0.5,0.3", "1", "Legendre coefficients of nu_e over the cosine, with commas; heavy: a fifth"),
        Parameter("nubar", "0.45,0.45", "1", "of nubar_e; heavy: a fifth of nu's isotropic part, as for neutrinos"),
        Parameter("flavors", 3, "-", "2 or 3", 2, 3),
        Parameter("angles", 32, "-", "Gauss-Legendre directions, in all and of each side", 4, 512),
    ],
)
def box_closure(p: dict[str, Any], findings: Findings) -> None:
    """1/N_f on the side of the smaller lobe, 1 - (1 - 1/N_f) I_</I_> on the other; lobes by the polynomials' roots.

    With directions on the panels between the crossings the lobes are exact; with one set over all cosines the error
    falls with their number.
    """
    nu, bar = coefficients("V24: nu", p["nu"]), coefficients("V24: nubar", p["nubar"])
    flavors = int(p["flavors"])
    heavy = 0.2 * max(nu[0], 0.0)
    net = (Legendre(nu) - Legendre(bar)).convert(kind=Polynomial)
    plus, minus, edges = lobes(net)
    mixed = 1.0 - 1.0 / flavors
    crossed = min(plus, minus) > 1e-12 * (plus + minus) > 0.0
    small = 1.0 / flavors if crossed else 1.0
    large = 1.0 - mixed * min(plus, minus) / max(plus, minus) if crossed else 1.0

    def occupied(cell: Cell) -> NDArray[np.float64]:
        assert cell.velocity is not None
        made = np.full((cell.velocity.size, 2, 1, flavors), heavy)
        made[:, 0, 0, 0], made[:, 1, 0, 0] = Legendre(nu)(cell.velocity), Legendre(bar)(cell.velocity)
        return made

    def outcome(cell: Cell) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        before = occupied(cell)
        made = apply("box", before, cell).occupations
        contrast = before[..., 0, 0] - heavy
        usable = np.abs(contrast) > 1e-3 * np.abs(contrast).max(initial=1e-300)
        probability = np.where(usable, (made[..., 0, 0] - heavy) / np.where(usable, contrast, 1.0), np.nan)
        return before, made, probability

    cell = angular_cell(edges, p["angles"], flavors)
    assert cell.velocity is not None
    before, made, probability = outcome(cell)
    positive = net(cell.velocity) > 0.0
    smaller = positive if plus < minus else ~positive
    if not crossed:
        smaller = np.ones_like(smaller)
    for name, side, expected in (("smaller", smaller, small), ("larger", ~smaller, large)):
        values = probability[side]
        values = values[np.isfinite(values)]
        if values.size:
            worst = float(values[np.argmax(np.abs(values - expected))])
            findings.compare(f"survival on the side of the {name} lobe (farthest)", worst, expected, 1.0e-10)
    found = conservation(before, made, cell)
    for name in (NUMBERS, ELECTRON, HEAVY):
        findings.compare(f"change of {name}", found[name], 0.0, ROUND_OFF)
    if crossed:
        after = (made[:, 0, 0, 0] - made[:, 0, 0, 1]) - (made[:, 1, 0, 0] - made[:, 1, 0, 1])
        left = float(np.abs(after[smaller]).max()) / float(np.abs(net(cell.velocity)).max())
        findings.compare("lepton number left on the smaller side, relative", left, 0.0, ROUND_OFF)
        errors = []
        for count in (p["angles"], 4 * p["angles"]):
            whole = angular_cell(np.empty(0), count, flavors)
            assert whole.velocity is not None
            part = outcome(whole)[2]
            other = (net(whole.velocity) > 0.0) == (plus > minus)
            values = part[other]
            errors.append(float(np.abs(values[np.isfinite(values)] - large).max(initial=0.0)))
        if errors[0] > 1e-10:
            # where the crossing lies between two directions jumps about: second order as a bound
            limit = 4.0 / p["angles"] ** 2
            findings.compare("survival with directions over all cosines", large + errors[0], large, limit, errors[0])
            findings.compare("the same with four times as many", large + errors[1], large, limit / 16.0, errors[1])


@problem(
    "V25",
    "bgk_relaxation",
    "relaxation of a cell towards the box closure: exact for any time step",
    [
        Parameter("nu", "0.5,0.3", "1", "Legendre coefficients of nu_e over the cosine, with commas"),
        Parameter("nubar", "0.45,0.45", "1", "of nubar_e"),
        Parameter("flavors", 3, "-", "2 or 3", 2, 3),
        Parameter("tau", 1.0, "time", "relaxation time", 0.0, 1.0e30),
        Parameter("dt", 0.3, "time", "time step", 0.0, 1.0e30),
    ],
)
def bgk(p: dict[str, Any], findings: Findings) -> None:
    """Q' = exp(-dt/tau) Q + (1 - exp(-dt/tau)) Q_target in one step, in a hundred, and what is conserved."""
    nu, bar = coefficients("V25: nu", p["nu"]), coefficients("V25: nubar", p["nubar"])
    cell = angular_cell(np.empty(0), 24, int(p["flavors"]))
    assert cell.velocity is not None
    before = np.full((24, 2, 1, cell.n_flavors), 0.2 * max(nu[0], 0.0))
    before[:, 0, 0, 0], before[:, 1, 0, 0] = Legendre(nu)(cell.velocity), Legendre(bar)(cell.velocity)
    target = apply("box", before, cell).occupations
    dt, tau = p["dt"], p["tau"]
    kept = 0.0 if tau == 0.0 else float(np.exp(-dt / tau))
    exact = kept * before + (1.0 - kept) * target
    once = apply("box", before, cell, dt=dt, relaxation_time=tau).occupations
    findings.compare("one step: largest difference", float(np.abs(once - exact).max()), 0.0, ROUND_OFF)
    many = before
    for _ in range(100):
        many = relax(many, target, dt / 100.0, tau)
    findings.compare("a hundred steps: largest difference", float(np.abs(many - exact).max()), 0.0, ROUND_OFF)
    distance = float(np.abs(before - target).max())
    if distance > 0.0:
        left = float(np.abs(once - target).max()) / distance
        findings.compare("part of the distance that is left", left, kept, 1e-10, abs(left - kept))
    found = conservation(before, once, cell)
    for name in (NUMBERS, ELECTRON, HEAVY):
        findings.compare(f"change of {name}", found[name], 0.0, ROUND_OFF)


@problem(
    "V26",
    "pair_equilibrium",
    "equilibrium of pairs of nu_e nubar_e and nu_x nubar_x at fixed lepton numbers",
    [
        Parameter("n_total", 1.0, "1", "all neutrinos and antineutrinos together", 1.0e-30, 1.0e30),
        Parameter("n_e", 0.1, "1", "electron lepton number n_e - nbar_e", -1.0e30, 1.0e30),
        Parameter("n_x", 0.0, "1", "heavy lepton number n_x - nbar_x, of all heavy flavours", -1.0e30, 1.0e30),
        Parameter("flavors", 3, "-", "2 or 3", 2, 3),
    ],
)
def pair(p: dict[str, Any], findings: Findings) -> None:
    """n_e nbar_e = n_x nbar_x/(N_f - 1)^2 from several starts with the same lepton numbers and total.

    With s = n_e + nbar_e, three flavours: s = (-N + sqrt(4 N^2 + 12 L_e^2 - 3 L_x^2))/3; two: (N^2 + L_e^2 - L_x^2)/2N.

    Raises
    ------
    ConfigurationError
        If the lepton numbers are more than all neutrinos.
    """
    total, electron, heavy, flavors = p["n_total"], p["n_e"], p["n_x"], int(p["flavors"])
    if abs(electron) + abs(heavy) > total * (1.0 - 1e-9):
        raise ConfigurationError(f"V26: |n_e| + |n_x| is {abs(electron) + abs(heavy):g}; accepted: less than n_total")
    if flavors == 3:
        s = (-total + np.sqrt(4.0 * total**2 + 12.0 * electron**2 - 3.0 * heavy**2)) / 3.0
    else:
        s = (total**2 + electron**2 - heavy**2) / (2.0 * total)
    expected = {
        "n_e": 0.5 * (s + electron),
        "nbar_e": 0.5 * (s - electron),
        "n_x": 0.5 * (total - s + heavy),
        "nbar_x": 0.5 * (total - s - heavy),
    }
    # dilute, with shapes of their own in angle and energy
    x, w = roots_legendre(8)
    energy = np.exp(-np.arange(4.0))
    cell = Cell(w, 1.0e3 * total * np.linspace(0.5, 2.0, 4), flavors, x)
    shapes = [np.exp(a * x)[:, None] * energy**b for a, b in ((0.3, 1.0), (0.6, 1.2), (0.1, 0.7), (0.2, 0.8))]
    norm = [float(np.einsum("m,g,mg->", w, cell.number_weight, shape)) for shape in shapes]
    for start in (0.0, 0.5, 1.0):
        # all of what may be pairs as heavy ones, half of it, none
        electrons = abs(electron) + start * (total - abs(electron) - abs(heavy))
        others = total - electrons
        of_species = electrons + electron, electrons - electron, others + heavy, others - heavy
        held = [0.5 * max(number, 0.0) for number in of_species]
        before = np.zeros((8, 2, 4, flavors))
        for species in range(2):
            before[:, species, :, 0] = held[species] / norm[species] * shapes[species]
            other = held[2 + species] / (norm[2 + species] * (flavors - 1)) * shapes[2 + species]
            before[:, species, :, 1:] = other[..., None]
        outcome = apply("pair", before, cell)
        number = np.einsum("m,g,msgf->sf", w, cell.number_weight, outcome.occupations)
        found = {"n_e": number[0, 0], "nbar_e": number[1, 0], "n_x": number[0, 1:].sum(), "nbar_x": number[1, 1:].sum()}
        for name, value in expected.items():
            error = abs(found[name] - value) / total
            findings.compare(f"{name} from start {start:g} (error over n_total)", found[name], value, 1.0e-10, error)
        share = (flavors - 1) ** 2
        balance = abs(found["n_e"] * found["nbar_e"] - found["n_x"] * found["nbar_x"] / share) / total**2
        findings.compare("n_e nbar_e - n_x nbar_x/(N_f - 1)^2 over n_total^2", balance, 0.0, 1.0e-10)
        changes = conservation(before, outcome.occupations, cell)
        for name in (NUMBERS, ELECTRON, HEAVY):
            findings.compare(f"change of {name}", changes[name], 0.0, ROUND_OFF)
        findings.compare("cut short", outcome.counts["cut"], 0.0, 0.0)
