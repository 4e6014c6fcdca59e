"""A gas of neutrinos that meet in random pairs (docs/encounters.md): realizations, their averages, their scatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigurationError
from ..kernels.encounter_gas import GROUPS, KEPT, REDRAWN, SUMS, advance, group_sums
from ..kernels.encounter_random import LABELS, ROUNDS, VELOCITY, shuffle, uniforms
from ..parallel.errors import collective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["GasHistory", "Group", "Setting", "mean_map", "simulate"]

#: Where the velocities of a gas come from.
VELOCITIES = {"directions": GROUPS, "kept": KEPT, "redrawn": REDRAWN}
PAIRINGS = ("random", "once")
#: Largest number of neutrinos: places in a gas are 32-bit integers.
LARGEST = 2**31 - 2


@dataclass(frozen=True)
class Group:
    """Neutrinos that begin alike.

    direction is their common unit vector ("directions"); cosines the range of v_z in which each of them draws its
    own, with any azimuth ("kept").
    """

    number: int
    polarization: tuple[float, float, float]
    direction: tuple[float, float, float] = (0.0, 0.0, 1.0)
    cosines: tuple[float, float] = (-1.0, 1.0)
    frequency: float = 0.0  #: of the vacuum term, inverse time

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ConfigurationError(f"number of neutrinos of a group is {self.number}; accepted: 1 or more")
        if not np.linalg.norm(self.polarization) <= 1.0 + 1.0e-12:
            raise ConfigurationError(f"polarization is {self.polarization}; accepted: a vector of length 0 to 1")
        if not abs(np.linalg.norm(self.direction) - 1.0) <= 1.0e-12:
            raise ConfigurationError(f"direction is {self.direction}; accepted: a unit vector")
        if not -1.0 <= self.cosines[0] < self.cosines[1] <= 1.0:
            raise ConfigurationError(f"cosines are {self.cosines}; accepted: -1 <= lower < upper <= 1")


@dataclass(frozen=True)
class Setting:
    """A gas: groups, strength, duration of an encounter, and how neutrinos meet.

    velocities: "directions" (of the groups), "kept" (each neutrino draws one within its group's cosines for life), or
    "redrawn" (isotropic, new for every encounter). pairing: "random" (a new perfect matching in every step: a pair
    meets again after about N steps, and the product of two reduced states is assumed then as always), or "once" (rounds
    of a tournament with random places in random order: no pair meets twice, at most N - 1 steps).
    """

    groups: tuple[Group, ...]
    gamma: float
    mu: float = 1.0
    velocities: str = "directions"
    pairing: str = "random"
    vacuum_axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.groups:
            raise ConfigurationError("no groups are given; accepted: one or more")
        if not 0.0 < self.gamma < np.inf or not 0.0 < self.mu < np.inf:
            raise ConfigurationError(f"gamma is {self.gamma}, mu is {self.mu}; accepted: numbers > 0")
        if self.velocities not in VELOCITIES:
            raise ConfigurationError(f"velocities is {self.velocities!r}; accepted: {', '.join(VELOCITIES)}")
        if self.pairing not in PAIRINGS:
            raise ConfigurationError(f"pairing is {self.pairing!r}; accepted: {', '.join(PAIRINGS)}")
        if not 0 <= self.seed < 2**64:
            raise ConfigurationError(f"seed is {self.seed}; accepted: 0 to 2^64 - 1")
        if not abs(np.linalg.norm(self.vacuum_axis) - 1.0) <= 1.0e-12:
            raise ConfigurationError(f"vacuum_axis is {self.vacuum_axis}; accepted: a unit vector")
        if self.size % 2 or not 2 <= self.size <= LARGEST:
            raise ConfigurationError(
                f"number of neutrinos is {self.size}; accepted: an even number from 2 to {LARGEST}"
            )

    @property
    def size(self) -> int:
        """Number of neutrinos N."""
        return sum(group.number for group in self.groups)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(group,) numbers of neutrinos."""
        return np.array([group.number for group in self.groups], dtype=np.int64)

    @property
    def start(self) -> NDArray[np.float64]:
        """(group, 3) polarization vectors at the beginning."""
        return np.array([group.polarization for group in self.groups], dtype=np.float64)

    @property
    def step(self) -> float:
        """Time of one encounter, t_int = gamma/mu."""
        return self.gamma / self.mu

    @property
    def partners(self) -> float:
        """N/(N - 1): nobody meets itself, so that the others are met that much more often than their share of N."""
        return self.size / (self.size - 1)

    @property
    def has_vacuum(self) -> bool:
        """Whether there is a vacuum term."""
        return any(group.frequency != 0.0 for group in self.groups)

    @property
    def coupling(self) -> NDArray[np.float64]:
        """(group, group) 1 - v_1 . v_2 of the groups' directions (ones where velocities are redrawn or kept)."""
        if self.velocities != "directions":
            return np.ones((len(self.groups),) * 2)
        v = np.array([group.direction for group in self.groups], dtype=np.float64)
        return np.asarray(1.0 - v @ v.T)


@dataclass(frozen=True)
class GasHistory:
    """Group means of every realization at the given times."""

    steps: NDArray[np.int64]  #: (time,) encounters of each neutrino so far
    times: NDArray[np.float64]  #: (time,)
    polarization: NDArray[np.float64]  #: (realization, time, group, 3) mean P
    length: NDArray[np.float64]  #: (realization, time, group) mean |P|
    purity: NDArray[np.float64]  #: (realization, time, group) mean Tr rho^2 of one neutrino
    entropy: NDArray[np.float64]  #: (realization, time, group) mean entropy of one neutrino, nats
    encounters: int  #: pairs that met, all realizations

    @property
    def mean(self) -> NDArray[np.float64]:
        """(time, group, 3) mean P over realizations."""
        return np.asarray(self.polarization.mean(axis=0))

    @property
    def error(self) -> NDArray[np.float64]:
        """(time, group, 3) standard error of `mean`; needs two realizations or more."""
        return np.asarray(self.polarization.std(axis=0, ddof=1) / np.sqrt(self.polarization.shape[0]))


def simulate(setting: Setting, steps: ArrayLike, realizations: int = 1, comm: Any = None) -> GasHistory:
    """Run realizations of a gas and record group means after the given numbers of steps. Collective over comm.

    A realization depends on its number and the seed alone: rank r computes the numbers r, r + size, ..., and every
    rank receives all histories, which are bitwise the same on any number of ranks.

    Raises
    ------
    ConfigurationError
        For numbers of steps that are negative or do not increase, or more steps than `once` has partners.
    """
    at = np.asarray(steps, dtype=np.int64)
    if at.ndim != 1 or at.size == 0 or at[0] < 0 or (np.diff(at) <= 0).any() or at[-1] >= 2**32:
        raise ConfigurationError("steps are not accepted: one or more increasing integers from 0 to 2^32 - 1")
    if setting.pairing == "once" and at[-1] > setting.size - 1:
        raise ConfigurationError(
            f"{at[-1]} steps with pairing once: accepted: at most {setting.size - 1}, the number of other neutrinos; "
            "with more, pairs meet again (pairing random)"
        )
    if realizations < 1:
        raise ConfigurationError(f"realizations is {realizations}; accepted: 1 or more")
    rank, size = (0, 1) if comm is None else (comm.rank, comm.size)
    with collective(comm):
        mine = {number: _realization(setting, at, number) for number in range(rank, realizations, size)}
    if size > 1:
        mine = {number: sums for part in comm.allgather(mine) for number, sums in part.items()}
    sums = np.stack([mine[number] for number in range(realizations)]) / setting.numbers[:, None]
    return GasHistory(
        at,
        at * setting.step,
        sums[..., :3],
        sums[..., 3],
        0.5 * (1.0 + sums[..., 4]),
        sums[..., 5],
        int(at[-1]) * (setting.size // 2) * realizations,
    )


def _realization(setting: Setting, at: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Sums (time, group, SUMS) of one realization."""
    count, seed = setting.size, np.uint64(setting.seed)
    group = np.repeat(np.arange(len(setting.groups)), setting.numbers)
    polarization = np.ascontiguousarray(setting.start[group])
    velocity = _velocities(setting, number) if setting.velocities == "kept" else np.empty((0, 3))
    phi = setting.gamma * setting.coupling
    swap, turn = np.sin(phi) ** 2, 0.5 * np.sin(2.0 * phi)
    once = setting.pairing == "once"
    labels, rounds = np.empty(count if once else 0, np.int32), np.empty(count - 1 if once else 0, np.int32)
    if once:
        shuffle(labels, 0, number, LABELS, seed)
        shuffle(rounds, 0, number, ROUNDS, seed)
    angle = np.array([0.5 * g.frequency * setting.step for g in setting.groups])
    order = np.empty(count, np.int32)
    sums = np.empty((at.size, len(setting.groups), SUMS))
    done = 0
    for k, target in enumerate(at):
        advance(
            polarization,
            group,
            velocity,
            VELOCITIES[setting.velocities],
            setting.gamma,
            swap,
            turn,
            once,
            labels,
            rounds,
            np.array(setting.vacuum_axis),
            angle,
            seed,
            number,
            done,
            int(target) - done,
            order,
        )
        done = int(target)
        group_sums(polarization, group, sums[k])
    return sums


def _velocities(setting: Setting, number: int) -> NDArray[np.float64]:
    """Unit vectors (neutrino, 3) with v_z uniform in the group's cosines and any azimuth."""
    count = setting.size
    u = np.empty(2 * count)
    uniforms(0, number, VELOCITY, np.uint64(setting.seed), u)
    low, high = np.repeat([group.cosines for group in setting.groups], setting.numbers, axis=0).T
    cosine = low + (high - low) * u[::2]
    sine, azimuth = np.sqrt(np.maximum(0.0, 1.0 - cosine**2)), 2.0 * np.pi * u[1::2]
    return np.ascontiguousarray(np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1))


def mean_map(setting: Setting, steps: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Group means (time, group, 3) of the average gas, for any gamma, group directions only.

    The average of (N2) over random partners: P_g' = P_g + sum_h f_h [sin^2 phi (P_h - P_g) + sin(2 phi)/2 P_h x P_g],
    f_h = N_h/(N - 1) for h other than g. Exact for two groups (their totals are tied by J), to 1/N for more.

    Raises
    ------
    ConfigurationError
        If velocities are those of single neutrinos, whose means do not follow from means alone.
    """
    if setting.velocities != "directions":
        raise ConfigurationError(f'velocities is {setting.velocities!r}; accepted for the mean map: "directions"')
    fraction = setting.numbers / (setting.size - 1)
    phi = setting.gamma * setting.coupling
    swap, turn = fraction * np.sin(phi) ** 2, fraction * 0.5 * np.sin(2.0 * phi)
    half = [_rotation(setting.vacuum_axis, 0.5 * g.frequency * setting.step) for g in setting.groups]
    p, out, done = setting.start, np.empty((len(steps), len(setting.groups), 3)), 0
    for k, target in enumerate(steps):
        for _ in range(done, int(target)):
            p = np.stack([r @ x for r, x in zip(half, p, strict=True)])
            p = p + swap @ p - swap.sum(axis=1)[:, None] * p + np.cross(turn @ p, p)
            p = np.stack([r @ x for r, x in zip(half, p, strict=True)])
        done = int(target)
        out[k] = p
    return out


def _rotation(axis: tuple[float, float, float], angle: float) -> NDArray[np.float64]:
    x = np.cross(np.asarray(axis), np.eye(3)).T
    return np.asarray(np.eye(3) + np.sin(angle) * x + (1.0 - np.cos(angle)) * (x @ x))
