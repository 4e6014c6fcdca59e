"""V5 and V6: spectral splits of a homogeneous gas whose self-interaction fades, mu = mu0 exp(-t/tau)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..flavor import MixingParameters, pack, pmns_matrix, unpack
from .homogeneous import Gas, by_frequency, from_polarization, polarization, uniform_bins, vacuum_matrices
from .kinetics import Law, box_spectrum, homogeneous, homogeneous_3, vacuum_axis
from .registry import Findings, Parameter, problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Self-interaction at the end, in units of the largest frequency.
MU_END = 1.0e-3
#: Largest mean deviation from kinetics for three rates of change: it falls with the adiabaticity.
TAU, DEVIATION = (40.0, 160.0, 640.0), (0.03, 0.01, 0.003)
#: Factors with a matter potential (or a vacuum axis very near to the flavour axis), and for V6, where every mode is a
#: part of the split.
WITH_MATTER, NEUTRINOS_ONLY = 1.25, 1.4
#: Factors of three flavours: with one small angle, and with two splits.
THREE_FLAVORS = {"equal": 0.019 / 0.03, "global": 0.036 / 0.03}
#: Matter breaks both charges between V = LOWEST times the tolerance and HIGHEST, in units of the largest frequency.
LOWEST, HIGHEST = 1.4, 1.6
#: A start farther away than this, beyond the angle of the vacuum axis, is not nearby.
NEARBY = 0.05
ON_AXIS = 1.0e-9
KINETIC_TOLERANCE = 1.0e-8

STEPS = Parameter("steps", 200, "1", "time steps of the alignment", 1, 100000)


def adiabatic(tau: float) -> float:
    """Mean deviation of a split from kinetics through (tau, deviation) = (40, 0.03), (160, 0.01), (640, 0.003)."""
    x = float(np.clip(tau, TAU[0], TAU[-1]))
    return float(np.exp(np.interp(np.log(x), np.log(TAU), np.log(DEVIATION)))) * x / tau


def tolerance(p: dict[str, Any]) -> float:
    """Largest mean deviation of V5 from kinetics that is accepted."""
    allowed = adiabatic(p["tau"])
    if p["flavors"] == 3:
        return THREE_FLAVORS["global" if p["ordering"] == "normal" else p["angles"]] * allowed
    if p["ordering"] == "normal" and p["potential"] == 0.0:
        # nothing splits; what deviates are the modes of lowest frequency, and more of them with these
        more = max(1.0, (float(p["theta"]) / 0.05) ** 2) * max(1.0, abs(1.0 - p["asymmetry"]) / 0.3)
        return float(allowed * min(1.0, more * max(1.0, np.sqrt(p["modes"] / 200.0)) / 30.0))
    return allowed * (WITH_MATTER if p["potential"] > 0.0 or p["theta"] < 0.05 else 1.0)


def vacuum_matrix(p: dict[str, Any]) -> NDArray[np.complex128]:
    """M^2/|dm^2_31| of three flavours, traceless, (3, 3)."""
    if p["angles"] == "equal":
        mixing = pmns_matrix(p["theta"], p["theta"], p["theta"], 0.0)
    else:
        known = MixingParameters.global_fit(p["ordering"])
        mixing = pmns_matrix(known.theta12, p["theta"], known.theta23, 0.0)
    levels = np.array([0.0, p["ratio"], 1.0 if p["ordering"] == "normal" else -1.0])
    return np.asarray((mixing * (levels - levels.mean())) @ mixing.conj().T)


def build(p: dict[str, Any], kind: str) -> Gas:
    """nu_e and nubar_e with a box spectrum on 0 < w < 1, `asymmetry` = nubar/nu."""
    groups, a = p["modes"] // 2, p["asymmetry"]
    w, ratio = uniform_bins(groups)
    if p["flavors"] == 2:
        vacuum = vacuum_matrices(w, vacuum_axis(p["theta"], p["ordering"]))
    else:
        vacuum = pack(w[:, None, None] * vacuum_matrix(p))
    given = np.zeros((2, groups, p["flavors"] ** 2))
    given[0, :, 0], given[1, :, 0] = 1.0, a
    # sum(sP w)/sum(sP) of the flavour state
    synchronized = 0.5 * (1.0 + a) / (1.0 - a) if a != 1.0 else 1.0e3
    return Gas(
        vacuum,
        np.full(groups, 1.0 / groups),
        given,
        mu=Law.exponential(p["mu0"], p["tau"]),
        matter=Law.constant(p["potential"]),
        charge=kind,
        bin_ratio=ratio,
        synchronized_frequency=synchronized / w[0],
        parts=2,
    )


def chosen_charge(p: dict[str, Any]) -> tuple[str, bool]:
    """Kind of charge, and whether matter breaks the charges of both axes."""
    broken = LOWEST * tolerance(p) < p["potential"] < HIGHEST
    if p["charge"] != "auto":
        return p["charge"], broken
    return ("synchronized" if broken else "mass" if p["potential"] < HIGHEST else "flavor"), broken


def growth(frequency: ArrayLike, weight: ArrayLike, along: ArrayLike, mu: float) -> float:
    """Largest growth rate of modes with P along the axis of B: d S = i [(w + mu D) S - mu P sum(weight S)].

    frequency w B_axis, weight and `along` = P_axis are (mode,); weights negative for antineutrinos.
    """
    w, g, z = (np.asarray(x, dtype=np.float64) for x in (frequency, weight, along))
    matrix = np.diag(w + mu * (g @ z)) - mu * np.outer(z, g)
    return float(np.linalg.eigvals(matrix).imag.max())


def started(p: dict[str, Any], gas: Gas, findings: Findings) -> float | None:
    """Begin near the flavour state; compare whether that was possible with the state's linear stability.

    Returns the distance of the aligned state, or None if there is none nearby.
    """
    seed = float(gas.cells.axes.seed[0]) if gas.charge == "flavor" else 0.0
    begun = gas.start(seed)
    w, g = box_spectrum(p["modes"], p["asymmetry"])
    along = np.sign(vacuum_axis(p["theta"], p["ordering"])[2])
    # one e-fold while mu falls by e is no longer adiabatic
    unstable = growth(w * along, g, np.ones(w.size), p["mu0"]) * p["tau"] > 1.0
    far = not begun.report.successful
    if not far:
        far = bool(begun.distance[0] > NEARBY + np.sin(2.0 * p["theta"]))
        # along the axis there is always a solution, stable or not
        far |= on_axis(gas) and unstable
    if gas.charge != "none":
        findings.compare("flag: no aligned state near the flavour state", float(far), float(unstable), 0.0)
    return None if far else float(begun.distance[0])


def on_axis(gas: Gas) -> bool:
    """Whether D_0 has no part that mixes the first level of the charges' basis with another one."""
    n = gas.cells.n_flavors
    scale, _ = gas.cells.scales(gas.populations)
    moments = gas.cells.moments(gas.unknowns, gas.charges, gas.populations)[:, 0]
    off = gas.cells.axes.to_basis(moments)[0, n : n + 2 * (n - 1)] / scale[0]
    return bool(np.hypot(off[::2], off[1::2]).min() < ON_AXIS)


def axis_of(gas: Gas) -> NDArray[np.float64]:
    """Axis of the charge of two flavours, (3,)."""
    vector = gas.cells.axes.basis[0, :, 0]
    return polarization(pack(np.outer(vector, vector.conj())))


def duration(mu: float, tau: float) -> float:
    """Time in which the self-interaction falls from mu to MU_END."""
    return float(tau * np.log(max(mu, np.e * MU_END) / MU_END))


def kinetic_polarization(p: dict[str, Any], gas: Gas, end: float) -> NDArray[np.float64]:
    """P of two flavours at the end by the kinetic equation, (mode, 3)."""
    w, g = box_spectrum(p["modes"], p["asymmetry"])
    run = homogeneous(
        w,
        g,
        [0.0, 0.0, 1.0],
        vacuum_axis(p["theta"], p["ordering"]),
        matter=gas.matter,
        mu=gas.mu,
        times=[0.0, end],
        tolerance=KINETIC_TOLERANCE,
    )
    return np.asarray(run.polarization[-1])


def deviation(p: dict[str, Any], gas: Gas, end: float) -> float:
    """Mean |difference| over modes of the state, per neutrino, from kinetics at the end.

    Two flavours: of P along the axis of the charge, which the fast precession leaves alone. Three flavours: of the
    occupations of the mass states (matter: of nu_e), averaged over the three.
    """
    w, g = box_spectrum(p["modes"], p["asymmetry"])
    aligned = by_frequency(gas.density_matrix)
    trace = aligned[:, : p["flavors"]].sum(axis=1)
    keep = trace > 0.0
    aligned = aligned[keep] / trace[keep, None]
    if p["flavors"] == 2:
        kinetic = kinetic_polarization(p, gas, end)[keep]
        return float(np.abs((polarization(aligned) - kinetic) @ axis_of(gas)).mean())
    run3 = homogeneous_3(
        w,
        g,
        np.diag([1.0, 0.0, 0.0]),
        vacuum_matrix(p),
        matter=gas.matter,
        mu=gas.mu,
        times=[0.0, end],
        tolerance=KINETIC_TOLERANCE,
    )
    basis = gas.cells.axes.basis[0]
    difference = unpack(aligned) - run3.density_matrix[-1, keep]
    return float(np.abs(np.einsum("ia,mij,ja->ma", basis.conj(), difference, basis).real).mean())


@problem(
    "V5",
    "spectral_split",
    "homogeneous gas of nu_e and nubar_e through a spectral split, alignment with conserved charges against kinetics",
    [
        Parameter("theta", 0.05, "rad", "mixing angle (theta_13 of three flavours)", 1.0e-3, np.pi / 4),
        Parameter("ordering", "inverted", "-", "mass ordering", choices=("inverted", "normal")),
        Parameter("asymmetry", 0.7, "1", "antineutrinos over neutrinos", 0.0, 10.0),
        Parameter("mu0", 400.0, "w_max", "self-interaction at the start", 1.0e-2, 1.0e5),
        Parameter("tau", 40.0, "1/w_max", "time in which mu falls by e", 1.0, 1.0e4),
        Parameter("modes", 200, "1", "frequencies, neutrinos and antineutrinos together", 4, 4000, even=True),
        Parameter("potential", 0.0, "w_max", "constant matter potential", 0.0, 1.0e3),
        Parameter(
            "charge", "auto", "-", "axis of the charges", choices=("auto", "none", "mass", "flavor", "synchronized")
        ),
        Parameter("flavors", 2, "1", "number of mixing flavours", 2, 3),
        Parameter("ratio", 0.2, "1", "dm^2_21/|dm^2_31|, three flavours", 1.0e-3, 0.9),
        Parameter("angles", "equal", "-", "theta_12, theta_23 of three flavours", choices=("equal", "global")),
        STEPS,
    ],
)
def spectral_split(p: dict[str, Any], findings: Findings) -> None:
    """Modes after the split against kinetics; the charge; flags where there is no aligned state or no charge."""
    kind, broken = chosen_charge(p)
    gas = build(p, kind)
    distance = started(p, gas, findings)
    if distance is None:
        return
    end = duration(p["mu0"], p["tau"])
    for time in np.linspace(0.0, end, p["steps"] + 1)[1:]:
        gas.advance(float(time))
    # kinetics precess about the aligned state that is nearest at the start: their mean is shorter by the square
    allowed, found = tolerance(p) + distance**2, deviation(p, gas, end)
    if kind != "none" and p["potential"] > 0.0:
        findings.compare("flag: matter breaks the charges of both axes", float(broken), float(found > allowed), 0.0)
    if not broken or kind == "none":
        findings.compare("mean deviation from kinetics along the charges' axis", found, 0.0, allowed)
    findings.compare("total of the charge (relative to all neutrinos)", gas.charge_error(), 0.0, 1.0e-10)
    lost = max((event.distance for event in gas.events), default=0.0)
    findings.compare("part of the state lost in projections", lost, 0.0, 1.0e-3)
    needed = gas.iterations_per_step
    findings.compare("Newton iterations per step (at most)", needed, 5.0, 0.0, error=max(0.0, needed - 5.0))


def crossing(frequency: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Frequency at which values change from negative to positive, interpolated."""
    i = int(np.argmax(values > 0.0))
    x, y = frequency[i - 1 : i + 1], values[i - 1 : i + 1]
    return float(x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0]))


def sharp_crossing(width: float, averages: NDArray[np.float64]) -> float:
    """Frequency at which a step from -1 to 1 has these averages over bins from 0 on."""
    i = int(np.argmin(np.abs(averages)))
    return float(width * (i + 0.5 * (1.0 - averages[i])))


def neutrino_gas(p: dict[str, Any]) -> tuple[Gas, NDArray[np.float64], NDArray[np.float64]]:
    """The gas of V6, its frequencies (mode,) and B."""
    groups = p["modes"]
    w, ratio = uniform_bins(groups, 2.0)
    axis = vacuum_axis(0.5 * np.arccos(p["charge"]), "inverted")
    weight = np.full(groups, 1.0 / groups)
    given = np.stack([from_polarization(np.tile([0.0, 0.0, 1.0], (groups, 1)), 1.0), np.zeros((groups, 4))])
    mu, matter = Law.exponential(p["mu"], p["tau"]), Law.constant(0.0)
    gas = Gas(vacuum_matrices(w, axis), weight, given, mu=mu, matter=matter, charge="mass", bin_ratio=ratio)
    return gas, w, axis


def split_along_axis(
    p: dict[str, Any], gas: Gas, frequency: NDArray[np.float64], axis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P.B of V6 at the end, (mode,) each: of the gas, which has been started, and by the kinetic equation."""
    end = duration(p["mu"], p["tau"])
    for time in np.linspace(0.0, end, p["steps"] + 1)[1:]:
        gas.advance(float(time))
    run = homogeneous(
        frequency,
        gas.weight,
        [0.0, 0.0, 1.0],
        axis,
        mu=gas.mu,
        matter=gas.matter,
        times=[0.0, end],
        tolerance=KINETIC_TOLERANCE,
    )
    return polarization(gas.density_matrix[0]) @ axis, run.polarization[-1] @ axis


@problem(
    "V6",
    "neutrino_split",
    "split of a box spectrum of neutrinos on 0 < w < 2 w_0, w_0 = 1",
    [
        Parameter("charge", 0.3, "1", "D.B per |P|: cosine of the angle between P at the start and B", -0.95, 0.95),
        Parameter("mu", 100.0, "w_0", "self-interaction at the start", 5.0, 1.0e5),
        Parameter("tau", 40.0, "1/w_0", "time in which mu falls by e", 5.0, 1.0e4),
        Parameter("modes", 200, "1", "frequencies", 10, 4000),
        STEPS,
    ],
)
def neutrino_split(p: dict[str, Any], findings: Findings) -> None:
    """Split at w_0 (1 - D.B): G. Raffelt and A. Smirnov, arXiv:0705.1830."""
    c = p["charge"]
    gas, w, axis = neutrino_gas(p)
    begun = gas.start()
    findings.compare("start: no aligned state", float(not begun.report.successful), 0.0, 0.0)
    if not begun.report.successful:
        return
    aligned, kinetic = split_along_axis(p, gas, w, axis)
    width = 2.0 / p["modes"]
    found = sharp_crossing(width, aligned)
    findings.compare("frequency of the split, alignment", found, 1.0 - c, 1.0e-3)
    # kinetics: modes at a point; the split is wider than in the alignment
    found = crossing(w, kinetic)
    findings.compare(
        "frequency of the split, kinetics (absolute error)",
        found,
        1.0 - c,
        0.5 * width + 0.5 / p["tau"],
        error=abs(found - 1.0 + c),
    )
    findings.compare(
        "mean deviation from kinetics along B",
        float(np.abs(aligned - kinetic).mean()),
        0.0,
        NEUTRINOS_ONLY * adiabatic(p["tau"]),
    )
    findings.compare("total of the charge (relative to all neutrinos)", gas.charge_error(), 0.0, 1.0e-10)
