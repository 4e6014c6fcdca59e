"""Explicit Runge-Kutta integrator of order 8 by Dormand and Prince, with error estimates of order 5 and 3.

E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, 2nd ed. (1993), sec. II.5 and II.10,
code DOP853; the coefficients are theirs, as double-precision numbers. One step costs twelve right-hand sides.
"""

from __future__ import annotations

from math import isfinite, sqrt

import numpy as np

from ..numba_cache import kernel
from .quantum_kinetics import rates

FINISHED, TOO_MANY_STEPS, STEP_TOO_SMALL, NOT_FINITE = 0, 1, 2, 3
STAGES = 12
# Components that are combined at a time: they and their twelve derivatives stay in the cache.
BLOCK = 512
SAFETY, LARGEST_GROWTH, SMALLEST_SHRINK = 0.9, 6.0, 0.2

STAGE = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.05260015195876773, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0197250569845379, 0.0591751709536137, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.02958758547680685, 0.0, 0.08876275643042054, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.2413651341592667, 0.0, -0.8845494793282861, 0.924834003261792, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.037037037037037035, 0.0, 0.0, 0.17082860872947386, 0.12546768756682242, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.037109375, 0.0, 0.0, 0.17025221101954405, 0.06021653898045596, -0.017578125, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [
            0.03709200011850479,
            0.0,
            0.0,
            0.17038392571223998,
            0.10726203044637328,
            -0.015319437748624402,
            0.008273789163814023,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
        ],
        [
            0.6241109587160757,
            0.0,
            0.0,
            -3.3608926294469414,
            -0.868219346841726,
            27.59209969944671,
            20.154067550477894,
            -43.48988418106996,
            0.0,
            0.0,
            0.0,
            0.0,
        ],
        [
            0.47766253643826434,
            0.0,
            0.0,
            -2.4881146199716677,
            -0.590290826836843,
            21.230051448181193,
            15.279233632882423,
            -33.28821096898486,
            -0.020331201708508627,
            0.0,
            0.0,
            0.0,
        ],
        [
            -0.9371424300859873,
            0.0,
            0.0,
            5.186372428844064,
            1.0914373489967295,
            -8.149787010746927,
            -18.52006565999696,
            22.739487099350505,
            2.4936055526796523,
            -3.0467644718982196,
            0.0,
            0.0,
        ],
        [
            2.273310147516538,
            0.0,
            0.0,
            -10.53449546673725,
            -2.0008720582248625,
            -17.9589318631188,
            27.94888452941996,
            -2.8589982771350235,
            -8.87285693353063,
            12.360567175794303,
            0.6433927460157636,
            0.0,
        ],
    ]
)
NODE = np.array(
    [
        0.0,
        0.05260015195876773,
        0.0789002279381516,
        0.1183503419072274,
        0.2816496580927726,
        0.3333333333333333,
        0.25,
        0.3076923076923077,
        0.6512820512820513,
        0.6,
        0.8571428571428571,
        1.0,
    ]
)
RESULT = np.array(
    [
        0.054293734116568765,
        0.0,
        0.0,
        0.0,
        0.0,
        4.450312892752409,
        1.8915178993145003,
        -5.801203960010585,
        0.3111643669578199,
        -0.1521609496625161,
        0.20136540080403034,
        0.04471061572777259,
    ]
)
ERROR_3 = np.array(
    [
        -0.18980075407240762,
        0.0,
        0.0,
        0.0,
        0.0,
        4.450312892752409,
        1.8915178993145003,
        -5.801203960010585,
        -0.4226823213237919,
        -0.1521609496625161,
        0.20136540080403034,
        0.02265179219836082,
    ]
)
ERROR_5 = np.array(
    [
        0.01312004499419488,
        0.0,
        0.0,
        0.0,
        0.0,
        -1.2251564463762044,
        -0.4957589496572502,
        1.6643771824549864,
        -0.35032884874997366,
        0.3341791187130175,
        0.08192320648511571,
        -0.022355307863886294,
    ]
)


@kernel
def combine(y, h, coefficients, count, k, out):
    """out = y + h sum_(j < count) coefficients[j] k[j]."""
    n = y.size
    for first in range(0, n, BLOCK):
        last = min(n, first + BLOCK)
        for i in range(first, last):
            out[i] = y[i]
        for j in range(count):
            c = h * coefficients[j]
            if c != 0.0:
                row = k[j]
                for i in range(first, last):
                    out[i] += c * row[i]


@kernel
def error_norm(k, h, inverse_scale, fifth, third):
    """h |e_5|^2/sqrt(|e_5|^2 + |e_3|^2/100) over root n: the DOP853 estimate in units of the scale."""
    n = k.shape[1]
    sum_5 = 0.0
    sum_3 = 0.0
    for first in range(0, n, BLOCK):
        last = min(n, first + BLOCK)
        for i in range(first, last):
            fifth[i - first] = 0.0
            third[i - first] = 0.0
        for j in range(STAGES):
            c_5 = ERROR_5[j]
            c_3 = ERROR_3[j]
            if c_3 != 0.0:
                row = k[j]
                for i in range(first, last):
                    fifth[i - first] += c_5 * row[i]
                for i in range(first, last):
                    third[i - first] += c_3 * row[i]
        for i in range(last - first):
            sum_5 += fifth[i] * fifth[i]
            sum_3 += third[i] * third[i]
    if sum_5 == 0.0 and sum_3 == 0.0:
        return 0.0
    return h * inverse_scale * sum_5 / sqrt((sum_5 + 0.01 * sum_3) * n)


@kernel
def integrate(
    system, start, times, tolerance, max_steps, frequency, weight, axis, matter, mu, extra, radius, result, counts
):
    """result[i] = y(times[i]) of dy/dt = rates(system, ...) with y(times[0]) = start; returns the status.

    The root mean square of a step's estimated error is kept below tolerance times the largest |start|. counts
    receives accepted and rejected steps. Steps end at the times.
    """
    n = start.size
    y = start.copy()
    new = np.empty(n)
    k = np.empty((STAGES, n))
    fifth = np.empty(min(n, BLOCK))
    third = np.empty(min(n, BLOCK))
    result[0] = y
    counts[:] = 0
    if times.size == 1:
        return FINISHED
    size = np.max(np.abs(y))
    inverse_scale = 1.0 / (tolerance * size)
    t = times[0]
    rates(system, t, y, frequency, weight, axis, matter, mu, extra, radius, k[0])
    fastest = np.max(np.abs(k[0]))
    if not isfinite(fastest):
        return NOT_FINITE
    h = times[-1] - times[0]
    if fastest > 0.0:
        h = min(h, 0.01 * size / fastest)
    for output in range(1, times.size):
        end = times[output]
        rejected_before = False
        while t < end:
            if counts[0] + counts[1] >= max_steps:
                return TOO_MANY_STEPS
            rest = end - t
            step = h
            # two equal steps rather than a long and a tiny one
            if step >= rest:
                step = rest
            elif 2.0 * step > rest:
                step = 0.5 * rest
            for s in range(1, STAGES):
                combine(y, step, STAGE[s], s, k, new)
                rates(system, t + NODE[s] * step, new, frequency, weight, axis, matter, mu, extra, radius, k[s])
            error = error_norm(k, step, inverse_scale, fifth, third)
            if error < 1.0:
                combine(y, step, RESULT, STAGES, k, new)
                for i in range(n):
                    y[i] = new[i]
                t = end if step == rest else t + step
                counts[0] += 1
                growth = LARGEST_GROWTH if error == 0.0 else min(LARGEST_GROWTH, SAFETY * error ** (-0.125))
                if rejected_before:
                    growth = min(1.0, growth)
                rejected_before = False
                # a step that an output time cut short says nothing against the length before it
                h = max(h, step * growth) if step < h else step * growth
                rates(system, t, y, frequency, weight, axis, matter, mu, extra, radius, k[0])
            else:
                counts[1] += 1
                rejected_before = True
                # far too long a step overflows, since D is quadratic in P: not finite is an error like any other
                h = step * (max(SMALLEST_SHRINK, SAFETY * error ** (-0.125)) if isfinite(error) else SMALLEST_SHRINK)
                if t + 0.1 * h == t:
                    return STEP_TOO_SMALL
        result[output] = y
    return FINISHED
