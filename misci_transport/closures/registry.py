"""The register of closures, and the interface that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from .aligned import aligned
from .cell import SPECIES, Cell, Outcome, checked
from .equilibrated import mixing_equilibrium
from .mixing import box, pair_equilibrium
from .relaxation import relax

if TYPE_CHECKING:
    from numpy.typing import NDArray

Function = Callable[["NDArray[np.float64]", Cell], Outcome]


@dataclass(frozen=True)
class Closure:
    """One closure by name."""

    name: str
    summary: str
    conserves: tuple[str, ...]  #: keys of `conservation`
    function: Function
    needs_hamiltonian: bool = False  #: whether the cell must know its vacuum term, matter potential and velocities


NUMBERS, ELECTRON, HEAVY = "numbers of every momentum", "electron lepton number", "heavy lepton number"


CLOSURES: Mapping[str, Closure] = {
    entry.name: entry
    for entry in (
        Closure("alignment", "density matrices aligned with their own H, Eq. (14)", (NUMBERS,), aligned, True),
        Closure("box", "flavour equality on the side of the smaller lobe", (NUMBERS, ELECTRON, HEAVY), box),
        Closure("pair", "equilibrium of nu_e nubar_e and nu_x nubar_x", (NUMBERS, ELECTRON, HEAVY), pair_equilibrium),
        Closure("equilibrium", "largest entropy of mixing", (NUMBERS, ELECTRON, HEAVY), mixing_equilibrium),
    )
}


def find_closure(name: str) -> Closure:
    """Return the closure of a name.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if name not in CLOSURES:
        raise ConfigurationError(f"closure is {name!r}; accepted: {', '.join(CLOSURES)}")
    return CLOSURES[name]


def apply(
    name: str,
    occupations: NDArray[np.float64],
    cell: Cell,
    *,
    dt: float | None = None,
    relaxation_time: float = 0.0,
) -> Outcome:
    """The occupations that a closure makes, or what dt of relaxation towards them leaves.

    Q' = exp(-dt/tau) Q + (1 - exp(-dt/tau)) Q_target,    tau = relaxation_time, 0: at once

    Parameters
    ----------
    occupations
        (direction, species, group, flavour) between 0 and 1, of at least as many flavours as mix; it is not changed.
    dt, relaxation_time
        In the same unit; dt is needed if the relaxation time is not zero.

    Raises
    ------
    ConfigurationError
        If the name is unknown, a shape does not fit, a value is not finite, the cell lacks what the closure needs, or
        times are not numbers of 0 or more.
    ConvergenceError
        If the closure has no solution.
    """
    entry = find_closure(name)
    occupied = checked(occupations, cell)
    if entry.needs_hamiltonian and cell.vacuum is None:
        raise ConfigurationError(f"closure {name!r} needs a cell with vacuum, matter_potential and directions")
    made = entry.function(occupied, cell)
    if relaxation_time == 0.0 and (dt is None or dt >= 0.0):
        return made
    if dt is None:
        raise ConfigurationError(f"relaxation_time is {relaxation_time!r}; accepted without dt: 0")
    return Outcome(relax(occupied, made.occupations, dt, relaxation_time), made.counts)


def conservation(before: NDArray[np.float64], after: NDArray[np.float64], cell: Cell) -> dict[str, float]:
    """Relative changes of what a closure may conserve.

    Of the sum over flavours of every momentum, over the cell's largest; of the lepton numbers of nu_e and of all heavy
    flavours together, and of the flux of the former where directions are known, over the number of all neutrinos.
    """
    flavors = slice(0, cell.n_flavors)
    trace = np.abs(after.sum(axis=-1) - before.sum(axis=-1))
    weight = cell.weight_0[:, None, None] * np.array(SPECIES)[:, None] * cell.number_weight
    change = np.einsum("msg,msgf->mf", weight, after - before)[:, flavors]
    total = float(np.einsum("msg,msgf->", np.abs(weight), before[..., flavors]))
    scale = max(total, 1e-300)
    found = {
        NUMBERS: float(trace.max(initial=0.0)) / max(float(before.sum(axis=-1).max(initial=0.0)), 1e-300),
        ELECTRON: abs(float(change[:, 0].sum())) / scale,
        HEAVY: abs(float(change[:, 1:].sum())) / scale,
    }
    if cell.velocity is not None:
        flux = change[:, :1].T @ cell.velocity.reshape(cell.weight_0.size, -1)
        found["flux of the electron lepton number"] = float(np.linalg.norm(flux)) / scale
    return found
