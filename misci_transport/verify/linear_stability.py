"""V9S, V10S, V11S, V12S: growth rates of the eigenvalue solver where they are known: collisional, beams, slow, fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.integrate import quad_vec
from scipy.optimize import root
from scipy.special import roots_legendre

from ..errors import ConfigurationError
from ..stability import AXIAL, FlavorModes, dense_spectrum, linearise, linearise_flavors, spectrum, unstable_modes
from .kinetics import collisional_growth
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..stability import LevelModes

#: Of the bound S: what grows more slowly is not looked for.
FLOOR = 1.0e-6
#: Angle between the vacuum term and the flavour axis where the levels of a state are asked for.
SEED = 1.0e-7


def flavor_gas(
    cosine: NDArray[np.float64],
    weight: NDArray[np.float64],
    occupied: NDArray[np.float64],
    mu: float,
    omega: float = 0.0,
    damping: tuple[float, float] = (0.0, 0.0),
) -> FlavorModes:
    """Modes of two flavours, one energy: rho_ee and rho_xx of (direction, species, flavour 2), diagonal in flavour.

    H = omega sigma_z/2 (minus that for antineutrinos) + mu sum w (1 - v v') (rho - rhobar): with |P| = rho_ee - rho_xx
    mu is the strength in P' = (omega z + mu D) x P, and omega > 0 is the inverted ordering without mixing.
    """
    return linearise_flavors(occupied[:, :, None], **_arguments(cosine, weight, occupied, mu, omega, damping))


def level_gas(
    cosine: NDArray[np.float64], weight: NDArray[np.float64], occupied: NDArray[np.float64], mu: float, omega: float
) -> LevelModes:
    """The same state as `flavor_gas` on the levels of H, with a vacuum term that is turned by `SEED`."""
    arguments = _arguments(cosine, weight, occupied, mu, omega, (0.0, 0.0))
    arguments["vacuum"][:, 2] = 0.5 * omega * SEED
    field = arguments["hamiltonian"]
    populations = np.zeros((cosine.size, 2, 1, 2))
    for species, sign in ((0, 1.0), (1, -1.0)):
        gap = sign * omega + field[0, 0] - field[0, 1] - cosine * (field[1, 0] - field[1, 1])
        upper = (gap > 0.0).astype(int)
        populations[np.arange(cosine.size), species, 0, upper] = occupied[:, species, 0]
        populations[np.arange(cosine.size), species, 0, 1 - upper] = occupied[:, species, 1]
    return linearise(populations, **arguments)


def _arguments(
    cosine: NDArray[np.float64],
    weight: NDArray[np.float64],
    occupied: NDArray[np.float64],
    mu: float,
    omega: float,
    damping: tuple[float, float],
) -> dict[str, Any]:
    net = occupied[:, 0] - occupied[:, 1]
    field = np.zeros((2, 4))
    field[0, :2], field[1, :2] = mu * weight @ net, mu * (weight * cosine) @ net
    return {
        "weight_0": weight,
        "weight_1": weight * cosine,
        "direction_cosine": cosine,
        "number_weight": np.ones(1),
        "vacuum": 0.5 * omega * np.array([[1.0, -1.0, 0.0, 0.0]]),
        "hamiltonian": field,
        "strength": mu,
        # of each flavour: the coherence is damped at the mean
        "damping": np.repeat(np.array(damping)[:, None, None], 2, axis=2),
    }


@problem(
    "V9S",
    "collisional_growth",
    "collisional instability of a homogeneous gas by the eigenvalue solver",
    [
        Parameter("omega", 0.0, "1/time", "vacuum frequency, normal ordering", 0.0, 1.0e3),
        Parameter("mu", 1000.0, "1/time", "self-interaction strength", 1.0, 1.0e6),
        Parameter("gamma", 0.025, "1/time", "damping rate of coherence, neutrinos", 0.0, 1.0e2),
        Parameter("gamma_bar", 0.0075, "1/time", "damping rate of coherence, antineutrinos", 0.0, 1.0e2),
        Parameter("n_e", 1.0, "1", "nu_e", 0.0, 10.0),
        Parameter("n_x", 0.3, "1", "nu_x", 0.0, 10.0),
        Parameter("nbar_e", 0.8, "1", "nubar_e", 0.0, 10.0),
        Parameter("nbar_x", 0.3, "1", "nubar_x", 0.0, 10.0),
    ],
)
def collisional(p: dict[str, Any], findings: Findings) -> None:
    """Both frequencies against w = -A - i g +- sqrt(A^2 - al^2 + 2 i G al), G, A = mu (S +- D)/2, g, al likewise."""
    size = np.array([p["n_e"] - p["n_x"], p["nbar_e"] - p["nbar_x"]])
    occupied = np.array([[[p["n_e"], p["n_x"]], [p["nbar_e"], p["nbar_x"]]]])
    rates = p["gamma"], p["gamma_bar"]
    modes = flavor_gas(np.zeros(1), np.ones(1), occupied, p["mu"], -p["omega"], rates)
    found = dense_spectrum(modes, 0.0).frequency
    # rho_ex goes as (P_x + i P_y)^*: the frequencies are those of the formula mirrored at the imaginary axis
    lepton, number = p["mu"] * (size[0] - size[1]), p["mu"] * (size[0] + size[1])
    exact = -collisional_growth(-p["omega"], lepton, number, *rates).conj()
    scale = float(np.abs(exact).max())
    apart = np.abs(found[:, None] - exact).min(axis=0) if found.size else np.abs(exact)
    for i, w in enumerate(exact[np.argsort(-exact.imag)]):
        nearest = float(found[np.argmin(np.abs(found - w))].imag) if found.size else float("nan")
        off = abs(nearest - float(w.imag)) / max(scale, 1e-300)
        findings.compare(f"growth of mode {i} (error over the largest |w|)", nearest, float(w.imag), 1e-10, off)
    findings.compare(
        "largest distance of frequencies over the largest |w|", apart.max() / max(scale, 1e-300), 0.0, 1e-10
    )
    growing = max(float(exact.imag.max()), 0.0)
    floor = 0.1 * growing if growing > FLOOR * modes.bound() else max(10.0 * growing, FLOOR * modes.bound())
    if modes.bound() > 0.0 and abs(growing / floor - 1.0) > 0.05:
        above = float(np.sum(exact.imag > floor))
        findings.compare("modes above a floor by the argument principle", unstable_modes(modes, 0.0, floor), above, 0.0)


@problem(
    "V10S",
    "beam_growth",
    "two opposite beams: growth over the wave number by the eigenvalue solver",
    [
        Parameter("zeta_plus", 0.5, "1", "P_z of the beam along +z", -10.0, 10.0),
        Parameter("zeta_minus", -0.5, "1", "P_z of the beam along -z", -10.0, 10.0),
        Parameter("k", -1.0, "1/length", "wave number of the coherence", -1.0e3, 1.0e3),
    ],
)
def beams(p: dict[str, Any], findings: Findings) -> None:
    """gamma_k = sqrt((k - k_1)(k_2 - k)), k_1,2 = zeta_- - zeta_+ -+ 2 sqrt(-zeta_- zeta_+), at k and over the band."""
    plus, minus = p["zeta_plus"], p["zeta_minus"]
    modes = beam_modes(plus, minus)
    square = max(-plus * minus, 0.0)
    low, high = (minus - plus - 2.0 * np.sqrt(square), minus - plus + 2.0 * np.sqrt(square))

    def exact(k: float) -> float:
        return float(np.sqrt(max((k - low) * (high - k), 0.0)))

    def grown(k: float) -> float:
        return max(float(dense_spectrum(modes, k).growth.max(initial=0.0)), 0.0)

    scale = max(abs(plus), abs(minus), 1e-300)
    found, expected = grown(p["k"]), exact(p["k"])
    off = abs(found - expected) / scale
    findings.compare("growth rate at k (error over the larger zeta)", found, expected, 1e-6, off)
    if square > 0.0:
        inside = low + (high - low) * np.linspace(0.02, 0.98, 25)
        floor = 0.5 * min(exact(k) for k in inside)
        worst = max(abs(_top(spectrum(modes, float(k), floor).growth) / exact(k) - 1.0) for k in inside)
        findings.compare("growth rates over the band, largest relative error", worst, 0.0, 1.0e-8)
        top = spectrum(modes, 0.5 * (low + high), 0.5 * exact(0.5 * (low + high)))
        findings.compare("largest growth rate", _top(top.growth), 2.0 * np.sqrt(square), 1.0e-10)
        ratio = top.perturbation[0, 1, 0, 0] / top.perturbation[0, 0, 0, 0]
        k, w = 0.5 * (low + high), -plus - minus + 1j * exact(0.5 * (low + high))
        findings.compare(
            "eigenvector: psi_-/psi_+, distance from (k - w)/(k + w)", abs(ratio - (k - w) / (k + w)), 0.0, 1e-8
        )
    outside = (low - 0.5 * scale, high + 0.5 * scale)
    findings.compare("largest growth outside of the band", max(grown(k) for k in outside), 0.0, 1.0e-6)


def beam_modes(plus: float, minus: float) -> FlavorModes:
    """The two beams, as psi = P_x + i P_y, that is rho_xe: H = 2 P of the other beam."""
    occupied = np.zeros((2, 2, 2))
    for beam, zeta in enumerate((plus, minus)):
        occupied[beam, 0] = 0.5 * (abs(zeta) + zeta), 0.5 * (abs(zeta) - zeta)
    arguments = _arguments(np.array([1.0, -1.0]), np.ones(2), occupied, 1.0, 0.0, (0.0, 0.0))
    return linearise_flavors(occupied[:, :, None], pair=(1, 0), **arguments)


def _top(growth: NDArray[np.float64]) -> float:
    return float(growth.max(initial=0.0))


@problem(
    "V11S",
    "bipolar_growth",
    "bipolar oscillations of nu_e and nubar_e: growth rate by the eigenvalue solver",
    [
        Parameter("asymmetry", 0.7, "1", "nubar/nu", 1.0e-3, 0.999),
        Parameter("omega", 1.0, "1/time", "vacuum frequency, inverted ordering", 1.0e-3, 1.0e3),
        Parameter("mu", 10.0, "1/time", "self-interaction strength", 1.0e-3, 1.0e6),
    ],
)
def bipolar(p: dict[str, Any], findings: Findings) -> None:
    """1/2 sqrt(4 a mu^2 - (mu (1 + a) - 2 om)^2) between 2 om/(1 +- sqrt a)^2, of flavours and of aligned levels."""
    a, omega, mu = p["asymmetry"], p["omega"], p["mu"]
    occupied = np.array([[[1.0, 0.0], [a, 0.0]]])
    zero, one = np.zeros(1), np.ones(1)

    def exact(strength: float) -> float:
        return 0.5 * float(np.sqrt(max(4.0 * a * strength**2 - (strength * (1.0 + a) - 2.0 * omega) ** 2, 0.0)))

    def grown(strength: float) -> float:
        return max(_top(dense_spectrum(flavor_gas(zero, one, occupied, strength, omega), 0.0).growth), 0.0)

    found, scale = grown(mu), max(exact(mu), 1e-6 * max(mu, omega))
    findings.compare("growth rate", found, exact(mu), 1.0e-6, abs(found - exact(mu)) / scale)
    if exact(mu) > 1e-3 * max(mu, omega):
        levels = spectrum(level_gas(zero, one, occupied, mu, omega), 0.0, 0.5 * exact(mu))
        findings.compare("growth rate of the aligned levels", _top(levels.growth), exact(mu), 1.0e-6)
        findings.compare("all modes found (1: yes)", float(levels.complete), 1.0, 0.0)
    low, high = 2.0 * omega / (1.0 + np.sqrt(a)) ** 2, 2.0 * omega / (1.0 - np.sqrt(a)) ** 2
    for name, edge, inside in (("lower", low, 1.0 + 1e-4), ("upper", high, 1.0 - 1e-4)):
        findings.compare(f"{name} end: growth just inside", grown(edge * inside), exact(edge * inside), 1.0e-4)
        findings.compare(f"{name} end: growth just outside", grown(edge / inside) / edge, 0.0, 1.0e-6)


@problem(
    "V12S",
    "fast_growth",
    "fast instability of a continuous angular distribution by the eigenvalue solver",
    [
        Parameter(
            "distribution",
            "linear",
            "-",
            "linear: G(v) = v; gaussian: nu and nubar around v = 1",
            choices=("linear", "gaussian"),
        ),
        Parameter("sigma", 0.6, "1", "gaussian: width of nu_e", 0.1, 10.0),
        Parameter("sigma_bar", 0.5, "1", "gaussian: width of nubar_e", 0.1, 10.0),
        Parameter("asymmetry", 0.97, "1", "gaussian: nubar/nu in number", 0.01, 10.0),
        Parameter("mu", 1.0, "1/length", "strength: H_v = mu int G(v') (1 - v v') dv'", 1.0e-3, 1.0e6),
        Parameter("k", 0.0, "1", "(K - K_0)/mu; K_0 = mu int v G dv", -10.0, 10.0),
        Parameter("angles", 64, "-", "Gauss-Legendre directions", 4, 512),
    ],
)
def fast(p: dict[str, Any], findings: Findings) -> None:
    """Growth rate of discrete directions against the dispersion relation, integrated adaptively and solved by itself.

        (1 + I_0)(1 - I_2) + I_1^2 = 0,  I_n = mu int G v^n/(s - v k) dv,   s = sigma - mu int G dv, k = K - K_0

    For G = v and k = 0 the growth rate is 2 mu/3.
    """
    mu, kappa = p["mu"], p["k"] * p["mu"]
    electron, modes = continuous(p, p["angles"])
    exact = continuous_growth(electron, mu, kappa)
    wave = modes.drift[0] + kappa
    floor = max(1.0e-3 * mu, 0.3 * exact)
    found = spectrum(modes, wave, floor)
    if exact <= floor:
        findings.compare("resolved growth over mu", _top(found.growth[~found.artefact]) / mu, 0.0, floor / mu)
        return
    # exponential in what the directions resolve, and never better than the equations' round-off
    findings.compare("growth rate", _top(found.growth), exact, 1.0e-3)
    findings.compare("growing modes are all found (1: yes)", float(found.complete), 1.0, 0.0)
    findings.compare("resolved by the directions (1: yes)", float(not found.artefact[0]), 1.0, 0.0)
    if p["distribution"] == "linear" and p["k"] == 0.0:
        findings.compare("growth rate against 2 mu/3", _top(found.growth), 2.0 * mu / 3.0, 1.0e-10)
    fewer = spectrum(continuous(p, max(p["angles"] // 2, 4))[1], wave, 0.1 * exact).growth
    coarse = abs(_top(fewer) / exact - 1.0)
    order = np.log2(max(coarse, 1e-15) / max(abs(_top(found.growth) / exact - 1.0), 1e-15))
    if 1e-8 < coarse < 0.02:
        findings.at_least("order of convergence from half the directions", float(order), 2.0)


def continuous(p: dict[str, Any], angles: int) -> tuple[Callable[[Any], Any], FlavorModes]:
    """G(v) = nu_e minus nubar_e, and the modes of the distribution on Gauss-Legendre directions.

    Raises
    ------
    ConfigurationError
        If the distribution is empty.
    """
    if p["distribution"] == "linear":

        def both(v: Any) -> tuple[Any, Any]:
            return np.maximum(v, 0.0), np.maximum(-v, 0.0)

    else:
        fine, fine_weight = _gauss(400)
        shape = [np.exp(-((fine - 1.0) ** 2) / (2.0 * p[name] ** 2)) for name in ("sigma", "sigma_bar")]
        norm = [float(fine_weight @ x) for x in shape]
        if min(norm) <= 0.0:
            raise ConfigurationError(f"V12S: sigma, sigma_bar are {p['sigma']}, {p['sigma_bar']}; accepted: wider")

        def both(v: Any) -> tuple[Any, Any]:
            nu, bar = (np.exp(-((v - 1.0) ** 2) / (2.0 * p[name] ** 2)) for name in ("sigma", "sigma_bar"))
            return nu / norm[0], p["asymmetry"] * bar / norm[1]

    cosine, weight = _gauss(angles)
    occupied = np.zeros((angles, 2, 2))
    occupied[:, 0, 0], occupied[:, 1, 0] = both(cosine)

    def net(v: Any) -> Any:
        nu, bar = both(v)
        return nu - bar

    return net, flavor_gas(cosine, weight, occupied, p["mu"])


def _gauss(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found: tuple[NDArray[np.float64], NDArray[np.float64]] = roots_legendre(count)
    return found


def continuous_growth(net: Callable[[Any], Any], mu: float, kappa: float) -> float:
    """The largest Im s of the dispersion relation; 0 if none above 1e-3 mu is found from the roots of a coarse sum."""

    def integrals(s: complex) -> NDArray[np.complex128]:
        def integrand(v: float) -> NDArray[np.complex128]:
            values: NDArray[np.complex128] = mu * net(v) * v ** np.arange(3) / (s - v * kappa)
            return values

        found, _ = quad_vec(integrand, -1.0, 1.0, epsabs=0.0, epsrel=1e-11, points=[0.0], limit=2000)
        values: NDArray[np.complex128] = np.asarray(found)
        return values

    def dispersion(x: NDArray[np.float64]) -> list[float]:
        # below the real axis the integral is another function: keep to this side
        s = complex(x[0], abs(x[1]) + 1e-13 * mu)
        i0, i1, i2 = integrals(s)
        value = (1.0 + i0) * (1.0 - i2) + i1**2
        return [value.real, value.imag]

    # a coarse sum tells where to begin
    best = 0.0
    v, w = _gauss(96)
    gap = np.diag(kappa * v).astype(complex)
    vertex = np.stack([np.ones_like(v), v], axis=1) @ np.stack([w * net(v), -v * w * net(v)])
    for start in np.linalg.eigvals(gap - mu * vertex.T):
        if start.imag < 1e-3 * mu:
            continue
        found = root(dispersion, [start.real, start.imag], tol=1e-11)
        if np.abs(found.fun).max() < 1e-8 and abs(found.x[1]) > best:
            best = float(abs(found.x[1]))
    return best


__all__ = ["AXIAL", "beam_modes", "continuous", "continuous_growth", "flavor_gas", "level_gas"]
