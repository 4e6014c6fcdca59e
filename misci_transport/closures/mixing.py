"""Closures that move neutrinos between nu_e and heavy flavours of the same momentum: box, and pair equilibrium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from .cell import SPECIES, Cell, Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Lobes below this share of all neutrinos of a cell are round-off.
ROUND_OFF = 1.0e-13


def lepton_number(occupations: NDArray[np.float64], cell: Cell) -> NDArray[np.float64]:
    """G(v) = sum_g N_g (n_e - n_x - nbar_e + nbar_x), n_x the mean of the heavy ones that mix, (direction,) cm^-3."""
    heavy = occupations[..., 1 : cell.n_flavors].mean(axis=-1)
    weight = np.array(SPECIES)[:, None] * cell.number_weight
    found: NDArray[np.float64] = ((occupations[..., 0] - heavy) * weight).sum(axis=(1, 2))
    return found


def survival(net: NDArray[np.float64], weight_0: NDArray[np.float64], n_flavors: int) -> NDArray[np.float64]:
    """Survival probability of the box closure in each direction, (direction,).

        1/N_f on the side of the smaller lobe I_< of G, and 1 - (1 - 1/N_f) I_</I_> on the other one

    so that G vanishes on the smaller side and the lobes' difference stays: three flavours 1/3 and 1 - (2/3) I_</I_>,
    two flavours 1/2 and 1 - I_</(2 I_>). Source: M. Zaizen and H. Nagakura, PRD 107 (2023) 103022, arXiv:2211.09343.
    """
    plus = float(np.sum(weight_0 * np.maximum(net, 0.0)))
    minus = float(np.sum(weight_0 * np.maximum(-net, 0.0)))
    smaller, larger = min(plus, minus), max(plus, minus)
    mixed = 1.0 - 1.0 / n_flavors
    if larger == 0.0:
        return np.ones_like(net)
    on_smaller = net < 0.0 if plus >= minus else net > 0.0
    return np.where(on_smaller, 1.0 - mixed, 1.0 - mixed * smaller / larger)


def box(occupations: NDArray[np.float64], cell: Cell) -> Outcome:
    """Flavour equality where the smaller lobe of the electron minus heavy lepton number is, the same number elsewhere.

        n_e' = P n_e + (1 - P) n_x,    n_x' = (1 - P)/(N_f - 1) n_e + (1 - (1 - P)/(N_f - 1)) n_x

    with P of `survival`, n_x in the first formula the mean of the heavy flavours; alike for antineutrinos and all
    energies. With three flavours mu and tau do not mix with each other. Conserves the numbers of every momentum and the
    lepton numbers of nu_e and of the heavy flavours together (of each of them, if mu and tau are alike); not their
    fluxes. Without a crossing nothing changes.
    """
    net = lepton_number(occupations, cell)
    total = np.einsum("m,g,msgf->", cell.weight_0, cell.number_weight, occupations[..., : cell.n_flavors])
    plus, minus = (float(np.sum(cell.weight_0 * np.maximum(sign * net, 0.0))) for sign in (1.0, -1.0))
    counts = {"cells": 0.0, "converted": 0.0}
    if min(plus, minus) <= ROUND_OFF * float(total):
        return Outcome(np.array(occupations), counts)
    share = (1.0 - survival(net, cell.weight_0, cell.n_flavors))[:, None, None]
    made = np.array(occupations)
    for x in range(1, cell.n_flavors):
        moved = share / (cell.n_flavors - 1) * (occupations[..., 0] - occupations[..., x])
        made[..., 0] -= moved
        made[..., x] += moved
    counts["cells"] = 1.0
    counts["converted"] = converted(occupations, made, cell)
    return Outcome(made, counts)


def pair_numbers(electron: float, electron_bar: float, heavy: float, heavy_bar: float, n_flavors: int = 3) -> float:
    """Number x of pairs nu_e nubar_e that become pairs of heavy flavours until they balance, any unit.

        (n_e - x)(nbar_e - x) = (n_x + x)(nbar_x + x)/(N_f - 1)^2

    n_x and nbar_x of all heavy flavours together (three flavours: n_e nbar_e = n_x nbar_x/4). The root that leaves no
    number negative; x < 0 if pairs of heavy flavours become nu_e and nubar_e.

    Raises
    ------
    ConfigurationError
        If a number is negative or not finite.
    """
    numbers = (electron, electron_bar, heavy, heavy_bar)
    if not all(np.isfinite(n) and n >= 0.0 for n in numbers):
        raise ConfigurationError(f"numbers of pairs are {numbers}; accepted: finite, 0 or more")
    share = 1.0 / (n_flavors - 1) ** 2
    # (1 - s) x^2 - b x + c = 0; b >= 0, and the smaller root is the one between the limits
    a, b = 1.0 - share, electron + electron_bar + share * (heavy + heavy_bar)
    c = electron * electron_bar - share * heavy * heavy_bar
    if b == 0.0:
        return 0.0
    # this form loses no digits where a is small or zero
    return 2.0 * c / (b + float(np.sqrt(max(b * b - 4.0 * a * c, 0.0))))


def pair_equilibrium(occupations: NDArray[np.float64], cell: Cell) -> Outcome:
    """Equilibrium of nu_e nubar_e <-> nu_x nubar_x at fixed lepton numbers: n_e nbar_e = n_x nbar_x/(N_f - 1)^2.

    Numbers are those of the whole cell, n_x and nbar_x of all heavy flavours together. Neutrinos and antineutrinos move
    by the same number (`pair_numbers`) between flavours of the same momentum, in proportion to n (1 - n') of where they
    come from and where they go, so that no occupation leaves [0, 1]. Conserves the numbers of every momentum and the
    lepton numbers of nu_e and of the heavy flavours together; not their fluxes. Where too few places are free the
    change stops short ("cut").
    """
    n = cell.n_flavors
    weight = cell.weight_0[:, None, None] * cell.number_weight
    # the transport may leave a little less than nothing
    number = np.maximum(np.einsum("mg,msgf->sf", weight[:, 0], occupations[..., :n]), 0.0)
    heavy = number[:, 1:].sum(axis=1)
    pairs = pair_numbers(number[0, 0], number[1, 0], heavy[0], heavy[1], n)
    made = np.array(occupations)
    counts = {"cells": 0.0, "converted": 0.0, "cut": 0.0}
    if abs(pairs) <= ROUND_OFF * float(number.sum()):
        return Outcome(made, counts)
    # what can go from flavour a to b in each momentum: (1 - n_b) n_a, from nu_e to each of the heavy ones or back
    to_heavy = pairs > 0.0
    electron, others = occupations[..., :1], occupations[..., 1:n]
    free = electron * (1.0 - others) / (n - 1) if to_heavy else others * (1.0 - electron)
    possible = np.einsum("mg,msgx->s", weight[:, 0], free)
    # up to this fraction no place is emptied or overfilled
    limit = 1.0 if to_heavy else 1.0 / max(1.0, float(others.sum(axis=-1).max(initial=0.0)))
    fraction = np.divide(abs(pairs), possible, out=np.full(2, np.inf), where=possible > 0.0)
    if fraction.max() > limit:
        # neutrinos and antineutrinos by the same number still
        counts["cut"] = 1.0
        fraction = fraction * (limit / fraction.max()) if np.isfinite(fraction).all() else np.zeros(2)
    moved = fraction[:, None, None] * free * (1.0 if to_heavy else -1.0)
    made[..., 0] -= moved.sum(axis=-1)
    made[..., 1:n] += moved
    counts["cells"] = float(bool(fraction.any()))
    counts["converted"] = converted(occupations, made, cell)
    return Outcome(made, counts)


def converted(before: NDArray[np.float64], after: NDArray[np.float64], cell: Cell) -> float:
    """Neutrinos and antineutrinos whose electron flavour changed, cm^-3."""
    change = np.abs(after[..., 0] - before[..., 0])
    return float(np.einsum("m,g,msg->", cell.weight_0, cell.number_weight, change))
