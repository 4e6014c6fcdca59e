"""Adiabaticity of a ray's levels between two points, and the scales that must be separated for local equilibrium.

On a segment of length ds the Hamiltonian is taken as linear, H' = (H_b - H_a)/ds. For levels k, l of H,

    gamma_kl = min over the segment of gap^2 / (2 |<l|H'|k>|),    gap = |h_k - h_l|,

and a resonance passed in isolation jumps with probability exp(-pi gamma/2) (L. D. Landau 1932, C. Zener 1932; for
neutrinos S. J. Parke, Phys. Rev. Lett. 57 (1986) 1275). Two flavours have the closed form
gamma = 2 |h|_min^3 ds/|h_a x h_b| with the Bloch half-vector h, gap = 2 |h|. Numerics: docs/validity.md.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from ..numba_cache import kernel
from .hermitian import IMAG, LANE_ROWS, LANES, MATRIX, REAL, VALUES, eigen3_lanes
from .mixing import drop_identity, ray_lanes

#: Points of a segment at which three-flavour levels are sampled, and steps of refinement from each of them.
SAMPLES = 5
REFINEMENTS = 5
#: Above this gamma no resonance is refined: it is adiabatic beyond any doubt.
RELEVANT = 1.0e3
#: A gap that closes to this fraction of its size at the ends belongs to a crossing without any coupling.
CLOSED = 1.0e-10


@kernel
def ray_field(field, velocity, n_flavors, base):
    """Base = field_0 - v . field_1, up to a multiple of the identity; velocity (axis), field (1 + axes, N_f^2)."""
    for k in range(n_flavors * n_flavors):
        base[k] = field[0, k] - velocity[0] * field[1, k]
    for axis in range(1, velocity.size):
        for k in range(n_flavors * n_flavors):
            base[k] -= velocity[axis] * field[1 + axis, k]
    drop_identity(n_flavors, base)


@kernel
def ray_fields(field, velocity, n_flavors, base):
    """`ray_field` of all cells and directions into base (cell, direction, N_f^2).

    field (cell, 1 + axes, N_f^2); velocity (cell, direction, axis), or (1, direction, axis) the same in all cells.
    """
    for cell in range(base.shape[0]):
        here = cell if velocity.shape[0] > 1 else 0
        for m in range(base.shape[1]):
            ray_field(field[cell], velocity[here, m], n_flavors, base[cell, m])


@kernel
def turning_2(za, xa, ya, zb, xb, yb, ds):
    """gamma = 2 |h|_min^3 ds/|h_a x h_b| of Bloch half-vectors on the straight line from h_a to h_b.

    |h x h'| is the same all along a straight line, so gamma is smallest where |h| is. Infinite if the direction of
    h does not change, zero if it is reversed without turning (levels that cross without a coupling).
    """
    dz = zb - za
    dx = xb - xa
    dy = yb - ya
    cz = xa * yb - ya * xb
    cx = ya * zb - za * yb
    cy = za * xb - xa * zb
    cross = sqrt(cx * cx + cy * cy + cz * cz)
    length = sqrt(dz * dz + dx * dx + dy * dy)
    foot = -(za * dz + xa * dx + ya * dy)
    if foot > 0.0 and foot < length * length:
        # |h|_min = |h_a x h_b|/|h_b - h_a|, without the cancellation of a difference of squares.
        return 2.0 * (cross / length) ** 2 * ds / length
    if cross == 0.0:
        return np.inf
    shortest = sqrt(min(za * za + xa * xa + ya * ya, zb * zb + xb * xb + yb * yb))
    return 2.0 * shortest * shortest * (shortest / cross) * ds


@kernel
def sample_lanes(t, start_lane, change, lane, image, gap, slope, coupling):
    """Levels of H_a + t (H_b - H_a) for LANES matrices: gap, slope = d gap/dt and |<l|H_b - H_a|k>| of the pairs.

    t (LANES); change (9 LANES) packed H_b - H_a; lane (LANE_ROWS LANES) and image (18 LANES) work arrays; gap, slope,
    coupling (3, LANES), pairs (0, 1), (0, 2), (1, 2). Straight loops over the lanes, which the compiler vectorises.
    """
    for k in range(9):
        for i in range(LANES):
            lane[(MATRIX + k) * LANES + i] = start_lane[(MATRIX + k) * LANES + i] + t[i] * change[k * LANES + i]
    eigen3_lanes(lane)
    for k in range(3):
        # image = (H_b - H_a)|k>
        for i in range(LANES):
            ar = lane[(REAL + k) * LANES + i]
            ai = lane[(IMAG + k) * LANES + i]
            br = lane[(REAL + 3 + k) * LANES + i]
            bi = lane[(IMAG + 3 + k) * LANES + i]
            cr = lane[(REAL + 6 + k) * LANES + i]
            ci = lane[(IMAG + 6 + k) * LANES + i]
            x01 = change[3 * LANES + i]
            y01 = change[4 * LANES + i]
            x02 = change[5 * LANES + i]
            y02 = change[6 * LANES + i]
            x12 = change[7 * LANES + i]
            y12 = change[8 * LANES + i]
            d0 = change[i]
            d1 = change[LANES + i]
            d2 = change[2 * LANES + i]
            image[6 * k * LANES + i] = d0 * ar + x01 * br - y01 * bi + x02 * cr - y02 * ci
            image[(6 * k + 1) * LANES + i] = d0 * ai + x01 * bi + y01 * br + x02 * ci + y02 * cr
            image[(6 * k + 2) * LANES + i] = x01 * ar + y01 * ai + d1 * br + x12 * cr - y12 * ci
            image[(6 * k + 3) * LANES + i] = x01 * ai - y01 * ar + d1 * bi + x12 * ci + y12 * cr
            image[(6 * k + 4) * LANES + i] = x02 * ar + y02 * ai + x12 * br + y12 * bi + d2 * cr
            image[(6 * k + 5) * LANES + i] = x02 * ai - y02 * ar + x12 * bi - y12 * br + d2 * ci
    for pair in range(3):
        k = 0 if pair < 2 else 1
        l = 1 if pair == 0 else 2
        for i in range(LANES):
            gap[pair, i] = lane[(VALUES + l) * LANES + i] - lane[(VALUES + k) * LANES + i]
            re = 0.0
            im = 0.0
            rise = 0.0
            for a in range(3):
                kr = lane[(REAL + 3 * a + k) * LANES + i]
                ki = lane[(IMAG + 3 * a + k) * LANES + i]
                lr = lane[(REAL + 3 * a + l) * LANES + i]
                li = lane[(IMAG + 3 * a + l) * LANES + i]
                xr = image[(6 * l + 2 * a) * LANES + i]
                xi = image[(6 * l + 2 * a + 1) * LANES + i]
                re += kr * xr + ki * xi
                im += kr * xi - ki * xr
                rise += lr * xr + li * xi
                rise -= kr * image[(6 * k + 2 * a) * LANES + i] + ki * image[(6 * k + 2 * a + 1) * LANES + i]
            slope[pair, i] = rise
            coupling[pair, i] = sqrt(re * re + im * im)


@kernel
def lower_gamma(pair, gap, coupling, widest, ds, gamma, i):
    """Gamma_kl at the sampled point of lane i, taken into gamma (3, LANES) if it is smaller."""
    if gap[pair, i] <= CLOSED * widest[pair, i]:
        gamma[pair, i] = 0.0
        return
    if coupling[pair, i] == 0.0:
        # nothing turns here: infinite
        return
    here = 0.5 * gap[pair, i] ** 2 / coupling[pair, i] * ds
    if here < gamma[pair, i]:
        gamma[pair, i] = here


@kernel
def turning_3(start_lane, change, ds, lane, gamma):
    """Gamma (3, LANES): the smallest gap^2 ds/(2 |<l|H_b - H_a|k>|) on the segment, of each pair of levels.

    SAMPLES equidistant points, and from each of them, for each pair, up to REFINEMENTS Newton steps to the minimum of
    gap^2, not farther than the next sample. Two levels alone have (gap^2)'' = 2 (slope^2 + 4 coupling^2), and one step
    finds their minimum however narrow the resonance is; the third level makes more steps necessary. No step is made
    where two levels alone would not come below RELEVANT and below the gamma that is known already.
    """
    t = np.zeros(LANES)
    origin = np.zeros(LANES)
    image = np.empty(18 * LANES)
    wanted = np.zeros(LANES, np.bool_)
    gap = np.empty((3, LANES))
    slope = np.empty((3, LANES))
    coupling = np.empty((3, LANES))
    # the state at all samples: position of the predicted minimum, and factor between gamma here and gamma there
    target = np.empty((SAMPLES, 3, LANES))
    promise = np.empty((SAMPLES, 3, LANES))
    widest = np.zeros((3, LANES))
    spacing = 1.0 / (SAMPLES - 1.0)
    gamma[:] = np.inf
    for sample in range(SAMPLES):
        t[:] = sample * spacing
        sample_lanes(t, start_lane, change, lane, image, gap, slope, coupling)
        for pair in range(3):
            for i in range(LANES):
                widest[pair, i] = max(widest[pair, i], gap[pair, i])
                lower_gamma(pair, gap, coupling, widest, ds, gamma, i)
                curvature = slope[pair, i] ** 2 + 4.0 * coupling[pair, i] ** 2
                target[sample, pair, i] = t[i]
                promise[sample, pair, i] = np.inf
                if curvature > 0.0 and gap[pair, i] > 0.0:
                    target[sample, pair, i] -= gap[pair, i] * slope[pair, i] / curvature
                    # gap_min = 2 coupling gap/sqrt(curvature), and gamma is proportional to gap^3
                    promise[sample, pair, i] = 4.0 * coupling[pair, i] ** 2 * gap[pair, i] ** 2 / curvature**1.5 * ds
    for sample in range(SAMPLES):
        for pair in range(3):
            any_wanted = False
            for i in range(LANES):
                t[i] = target[sample, pair, i]
                origin[i] = sample * spacing
                near = abs(t[i] - origin[i]) <= spacing and t[i] >= 0.0 and t[i] <= 1.0
                wanted[i] = (
                    near and t[i] != origin[i] and promise[sample, pair, i] < min(0.95 * gamma[pair, i], RELEVANT)
                )
                any_wanted = any_wanted or wanted[i]
            if not any_wanted:
                continue
            for _ in range(REFINEMENTS):
                for i in range(LANES):
                    if not wanted[i]:
                        t[i] = origin[i]
                sample_lanes(t, start_lane, change, lane, image, gap, slope, coupling)
                any_wanted = False
                for i in range(LANES):
                    if not wanted[i]:
                        continue
                    lower_gamma(pair, gap, coupling, widest, ds, gamma, i)
                    curvature = slope[pair, i] ** 2 + 4.0 * coupling[pair, i] ** 2
                    step = -gap[pair, i] * slope[pair, i] / curvature if curvature > 0.0 else 0.0
                    t[i] = min(max(t[i] + step, max(origin[i] - spacing, 0.0)), min(origin[i] + spacing, 1.0))
                    # within a tenth of the resonance's half width gamma is right to 2 %
                    wanted[i] = 10.0 * abs(step) * sqrt(curvature) > gap[pair, i]
                    any_wanted = any_wanted or wanted[i]
                if not any_wanted:
                    break


@kernel
def largest_population(populations, n_flavors):
    """Return the largest population of the mixing levels of one cell (direction, species, group, level)."""
    largest = 0.0
    for m in range(populations.shape[0]):
        for species in range(2):
            for g in range(populations.shape[2]):
                for k in range(n_flavors):
                    largest = max(largest, populations[m, species, g, k])
    return largest


@kernel
def adiabaticity(
    populations_a,
    vacuum_a,
    base_a,
    populations_b,
    vacuum_b,
    base_b,
    weight_0,
    number_weight,
    ds,
    threshold,
    negligible,
    gamma,
    fraction,
):
    """Gamma (segment): the smallest over directions, species, groups and pairs; fraction (segment) below threshold.

    populations (segment, direction, species, group, level), vacuum (segment, group, N_f^2) and base (segment,
    direction, N_f^2) of `ray_fields` in cm^-1 at both ends; weight_0 (segment, direction); number_weight (group);
    ds (segment, direction) in cm. Phase space is weighted by weight_0 number_weight |n_k - n_l|, the larger difference
    of the two ends. Pairs of levels whose populations differ by less than negligible times the largest are left out.
    """
    n = 2 if base_a.shape[2] == 4 else 3
    groups = number_weight.size
    lane = np.zeros(LANE_ROWS * LANES)
    start_lane = np.zeros(LANE_ROWS * LANES)
    end_lane = np.zeros(LANE_ROWS * LANES)
    change = np.empty(9 * LANES)
    pair_gamma = np.empty((3, LANES))
    counts = np.empty((3, LANES))
    for segment in range(base_a.shape[0]):
        floor = negligible * max(
            largest_population(populations_a[segment], n),
            largest_population(populations_b[segment], n),
        )
        smallest = np.inf
        slow = 0.0
        total = 0.0
        for m in range(base_a.shape[1]):
            first = base_a[segment, m]
            last = base_b[segment, m]
            for start in range(0, 2 * groups, LANES):
                count = min(LANES, 2 * groups - start)
                part = 0.0
                for i in range(count):
                    species = (start + i) // groups
                    g = start + i - species * groups
                    here = populations_a[segment, m, species, g]
                    there = populations_b[segment, m, species, g]
                    pair = 0
                    for k in range(n):
                        for l in range(k + 1, n):
                            difference = max(abs(here[l] - here[k]), abs(there[l] - there[k]))
                            counts[pair, i] = 0.0
                            if difference > floor:
                                counts[pair, i] = weight_0[segment, m] * number_weight[g] * difference
                                part += counts[pair, i]
                            pair += 1
                if part == 0.0:
                    # nobody here could lose anything
                    continue
                if n == 3:
                    ray_lanes(first, vacuum_a[segment], start, start_lane)
                    ray_lanes(last, vacuum_b[segment], start, end_lane)
                    for k in range(9 * LANES):
                        change[k] = end_lane[MATRIX * LANES + k] - start_lane[MATRIX * LANES + k]
                    turning_3(start_lane, change, ds[segment, m], lane, pair_gamma)
                for i in range(count):
                    if n == 2:
                        species = (start + i) // groups
                        g = start + i - species * groups
                        sign = 1.0 - 2.0 * species
                        va = vacuum_a[segment, g]
                        vb = vacuum_b[segment, g]
                        pair_gamma[0, i] = turning_2(
                            0.5 * (first[0] - first[1] + sign * (va[0] - va[1])),
                            first[2] + sign * va[2],
                            first[3] + sign * va[3],
                            0.5 * (last[0] - last[1] + sign * (vb[0] - vb[1])),
                            last[2] + sign * vb[2],
                            last[3] + sign * vb[3],
                            ds[segment, m],
                        )
                    for pair in range(n * (n - 1) // 2):
                        if counts[pair, i] > 0.0:
                            total += counts[pair, i]
                            if pair_gamma[pair, i] < threshold:
                                slow += counts[pair, i]
                            smallest = min(smallest, pair_gamma[pair, i])
        gamma[segment] = smallest
        fraction[segment] = slow / total if total > 0.0 else 0.0


@kernel
def traceless_size(packed, n_flavors):
    """Return sqrt 2 times the Frobenius norm of the traceless part: for two flavours the distance of the levels."""
    trace = 0.0
    square = 0.0
    for k in range(n_flavors):
        trace += packed[k] / n_flavors
    for k in range(n_flavors):
        square += (packed[k] - trace) ** 2
    for k in range(n_flavors, n_flavors * n_flavors):
        square += 2.0 * packed[k] ** 2
    return sqrt(2.0 * square)


@kernel
def scale_separation(
    populations,
    velocity,
    weight_0,
    number_weight,
    vacuum,
    field,
    width,
    removal,
    negligible,
    ratio,
    fraction,
    smallest_gap,
    degeneracy,
):
    """t_osc/t_cell = 2 pi/(gap width), t_osc/t_collision = 2 pi removal/gap: the largest into ratio (cell, 2).

    fraction (cell, 2): share of the phase space, weighted by weight_0 number_weight |n_k - n_l|, where a ratio exceeds
    1. smallest_gap (cell) in cm^-1. degeneracy (cell): the smallest gap over the size of H's parts, |vacuum| + |field|.
    width (cell) in cm; removal (cell, species, group, level) in cm^-1, of a pair the mean; velocity and field as in
    `ray_fields`. Other shapes, and negligible, as in `adiabaticity`.
    """
    n = 2 if field.shape[2] == 4 else 3
    groups = number_weight.size
    base = np.empty(9)
    values = np.empty((3, LANES))
    lane = np.zeros(LANE_ROWS * LANES)
    largest = np.empty(2)
    above = np.empty(2)
    each = np.empty(2)
    for cell in range(field.shape[0]):
        floor = negligible * largest_population(populations[cell], n)
        largest[:] = 0.0
        above[:] = 0.0
        total = 0.0
        shortest = np.inf
        closest = np.inf
        at = cell if velocity.shape[0] > 1 else 0
        for m in range(velocity.shape[1]):
            ray_field(field[cell], velocity[at, m], n, base)
            size = traceless_size(base, n)
            for start in range(0, 2 * groups, LANES):
                if n == 3:
                    ray_lanes(base, vacuum[cell], start, lane)
                    eigen3_lanes(lane)
                for i in range(min(LANES, 2 * groups - start)):
                    species = (start + i) // groups
                    g = start + i - species * groups
                    if n == 3:
                        for k in range(3):
                            values[k, i] = lane[(VALUES + k) * LANES + i]
                    else:
                        sign = 1.0 - 2.0 * species
                        z = 0.5 * (base[0] - base[1] + sign * (vacuum[cell, g, 0] - vacuum[cell, g, 1]))
                        x = base[2] + sign * vacuum[cell, g, 2]
                        y = base[3] + sign * vacuum[cell, g, 3]
                        values[0, i] = 0.0
                        values[1, i] = 2.0 * sqrt(x * x + y * y + z * z)
                    parts = size + traceless_size(vacuum[cell, g], n)
                    for k in range(n):
                        for l in range(k + 1, n):
                            here = populations[cell, m, species, g]
                            difference = abs(here[l] - here[k])
                            if difference <= floor:
                                continue
                            weight = weight_0[cell, m] * number_weight[g] * difference
                            total += weight
                            gap = values[l, i] - values[k, i]
                            shortest = min(shortest, gap)
                            if parts > 0.0:
                                closest = min(closest, gap / parts)
                            loss = 0.5 * (removal[cell, species, g, k] + removal[cell, species, g, l])
                            each[0] = 2.0 * pi / (gap * width[cell])
                            each[1] = 2.0 * pi * loss / gap if loss > 0.0 else 0.0
                            for j in range(2):
                                largest[j] = max(largest[j], each[j])
                                if each[j] > 1.0:
                                    above[j] += weight
        smallest_gap[cell] = shortest
        degeneracy[cell] = closest
        for j in range(2):
            ratio[cell, j] = largest[j]
            fraction[cell, j] = above[j] / total if total > 0.0 else 0.0
