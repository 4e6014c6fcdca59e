"""Encounters of neutrinos in pairs: exact evolution of two, then each by itself (docs/encounters.md, N1 and N2).

polarization (neutrino, 3): P of the reduced density matrix (1 + P . sigma)/2. A. Kost, L. Johns, H. Duan,
arXiv:2402.05022.
"""

from __future__ import annotations

from math import cos, log, sin, sqrt

import numpy as np

from ..numba_cache import kernel
from .encounter_random import COSINE, SHUFFLE, philox, shuffle, unit

#: Where 1 - v_1 . v_2 comes from: a table of pairs of groups, each neutrino's velocity, or a new direction each time.
GROUPS, KEPT, REDRAWN = 0, 1, 2
#: Sums of a group: P_x, P_y, P_z, |P|, |P|^2, entropy of one neutrino (nats).
SUMS = 6


@kernel
def meet(polarization, i, j, swap, turn):
    """P' = (1 - swap) P + swap Q + turn Q x P of neutrinos i and j, and likewise Q' (N2).

    swap = sin^2 phi, turn = sin(2 phi)/2.
    """
    px, py, pz = polarization[i, 0], polarization[i, 1], polarization[i, 2]
    qx, qy, qz = polarization[j, 0], polarization[j, 1], polarization[j, 2]
    dx = swap * (qx - px) + turn * (qy * pz - qz * py)
    dy = swap * (qy - py) + turn * (qz * px - qx * pz)
    dz = swap * (qz - pz) + turn * (qx * py - qy * px)
    polarization[i, 0] = px + dx
    polarization[i, 1] = py + dy
    polarization[i, 2] = pz + dz
    polarization[j, 0] = qx - dx
    polarization[j, 1] = qy - dy
    polarization[j, 2] = qz - dz


@kernel
def round_robin(labels, number, order):
    """Order (count,) of round `number` of count - 1 in which everybody meets everybody once: pairs are neighbours.

    The circle method: one stays, the others move on by one place; labels (count,) is who takes which place.
    """
    count = order.size
    circle = count - 1
    order[0], order[1] = labels[circle], labels[number]
    for k in range(1, count // 2):
        order[2 * k] = labels[(number + k) % circle]
        order[2 * k + 1] = labels[(number - k + circle) % circle]


@kernel
def precess(polarization, group, axis, angle):
    """Turn every P about the unit vector axis (3,) by angle (group,): the vacuum term."""
    x, y, z = axis[0], axis[1], axis[2]
    for i in range(group.size):
        a = angle[group[i]]
        c, s = cos(a), sin(a)
        px, py, pz = polarization[i, 0], polarization[i, 1], polarization[i, 2]
        along = (1.0 - c) * (x * px + y * py + z * pz)
        polarization[i, 0] = c * px + s * (y * pz - z * py) + along * x
        polarization[i, 1] = c * py + s * (z * px - x * pz) + along * y
        polarization[i, 2] = c * pz + s * (x * py - y * px) + along * z


@kernel
def advance(
    polarization,
    group,
    velocity,
    source,
    gamma,
    swap,
    turn,
    once,
    labels,
    rounds,
    axis,
    angle,
    seed,
    realization,
    first,
    steps,
    order,
):
    """Steps first, ..., first + steps - 1 of an even number of neutrinos, each of which meets one other in a step.

    group (neutrino,) int64; velocity (neutrino, 3) with source = KEPT, else empty; swap and turn (group, group) with
    source = GROUPS; with `once` the pairs are those of the rounds (step,) of a round robin with labels (neutrino,),
    else a new random matching; axis (3,) and angle (group,): half of the vacuum term of a step before and half after.
    order (neutrino,) int32 is work space.
    """
    count = group.size
    vacuum = False
    for g in range(angle.size):
        vacuum = vacuum or angle[g] != 0.0
    for step in range(first, first + steps):
        if once:
            round_robin(labels, rounds[step], order)
        else:
            shuffle(order, step, realization, SHUFFLE, seed)
        if vacuum:
            precess(polarization, group, axis, angle)
        if source == GROUPS:
            for k in range(count // 2):
                i, j = order[2 * k], order[2 * k + 1]
                a, b = group[i], group[j]
                meet(polarization, i, j, swap[a, b], turn[a, b])
        else:
            for k in range(count // 2):
                i, j = order[2 * k], order[2 * k + 1]
                if source == KEPT:
                    cosine = (
                        velocity[i, 0] * velocity[j, 0]
                        + velocity[i, 1] * velocity[j, 1]
                        + velocity[i, 2] * velocity[j, 2]
                    )
                else:
                    # of two isotropic directions only the angle between them matters
                    word, _ = philox(np.uint64(k), np.uint64(step), np.uint64(realization), np.uint64(COSINE), seed)
                    cosine = 2.0 * unit(word) - 1.0
                phi = gamma * (1.0 - cosine)
                s, c = sin(phi), cos(phi)
                meet(polarization, i, j, s * s, s * c)
        if vacuum:
            precess(polarization, group, axis, angle)


@kernel
def qubit_entropy(length):
    """Entropy in nats of a density matrix with |P| = length."""
    up, down = 0.5 * (1.0 + length), 0.5 * (1.0 - length)
    entropy = 0.0
    if up > 0.0:
        entropy -= up * log(up)
    if down > 0.0:
        entropy -= down * log(down)
    return entropy


@kernel
def group_sums(polarization, group, sums):
    """sums (group, SUMS) of a gas; sums over neutrinos are compensated (Neumaier), not to lose digits at 10^7."""
    sums[:] = 0.0
    lost = np.zeros_like(sums)
    value = np.empty(SUMS)
    for i in range(group.size):
        px, py, pz = polarization[i, 0], polarization[i, 1], polarization[i, 2]
        square = px * px + py * py + pz * pz
        length = sqrt(square)
        value[0], value[1], value[2], value[3], value[4] = px, py, pz, length, square
        value[5] = qubit_entropy(length)
        g = group[i]
        for k in range(SUMS):
            total = sums[g, k] + value[k]
            if abs(sums[g, k]) >= abs(value[k]):
                lost[g, k] += (sums[g, k] - total) + value[k]
            else:
                lost[g, k] += (value[k] - total) + sums[g, k]
            sums[g, k] = total
    sums += lost
