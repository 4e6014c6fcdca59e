"""Newton for the alignment on random cells: python benchmarks/robustness.py [--cells N] [--seed S].

Every cell must either converge to 1e-12 and then be aligned according to LAPACK, or be reported as a failure. Prints
the fractions that converged, by class. Self-interaction and matter potential span 1e-6 to 1e6 times the vacuum term.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from dataclasses import replace

import numpy as np

from misci_transport.alignment import align, density_matrices
from misci_transport.alignment.branches import moments_of, transverse
from misci_transport.alignment.charges import KINDS, charge_axes
from misci_transport.alignment.conserved import ChargedCells
from misci_transport.flavor import pack, unpack

TOLERANCE = 1.0e-12
DIRECTIONS, GROUPS = 4, 3
POPULATIONS = ("any", "two equal", "one flavour", "all equal but one mode", "empty levels")
ANGLES = ("isotropic", "forward", "crossed")
GUESSES = ("exact", "near", "far", "random")


def random_matrices(rng, n, frequency):
    """M^2/2E of all groups with one random mixing matrix: (group, N^2) packed."""
    q, _ = np.linalg.qr(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    values = np.concatenate([[0.0, 0.05, 1.0][: n - 1], [1.0]]) if n == 3 else np.array([-0.5, 0.5])
    mass = (q * (values - values.mean())) @ q.conj().T
    return pack(frequency[:, None, None] * mass)


def random_populations(rng, kind, angles, cells, n):
    """(cell, direction, species, group, level) of order one, and the quadrature (cosines, weights)."""
    cosine, weight = np.polynomial.legendre.leggauss(DIRECTIONS)
    f = rng.uniform(0.1, 1.0, size=(cells, DIRECTIONS, 2, GROUPS, 3))
    if kind == "two equal":
        f[..., 2] = f[..., 1]
    elif kind == "one flavour":
        f[..., :] *= np.eye(3)[rng.integers(0, n, size=(cells, 1, 2, 1))]
    elif kind == "all equal but one mode":
        f[...] = 0.5
        f[:, 0, 0, 0, 0] = 0.9
    elif kind == "empty levels":
        f *= rng.integers(0, 2, size=f.shape)
    shape = np.ones(f.shape)
    if angles == "forward":
        shape *= np.exp(3.0 * (cosine - 1.0))[None, :, None, None, None]
    elif angles == "crossed":
        slope = rng.uniform(-1.0, 1.0, size=(cells, 1, 2, 1, 1))
        shape *= np.exp(2.0 * slope * cosine[None, :, None, None, None])
    return f * shape, cosine, weight


def random_cells(rng, n, kind, averaged, fixed, cells):
    """A batch of `ChargedCells` with populations, all of one class."""
    populations_kind = POPULATIONS[rng.integers(len(POPULATIONS))]
    angles = ANGLES[rng.integers(len(ANGLES))]
    f, cosine, weight = random_populations(rng, populations_kind, angles, cells, n)
    frequency = 10.0 ** rng.uniform(-1.0, 0.5, size=GROUPS)
    vacuum = np.zeros((GROUPS, n * n)) if kind == "total" else random_matrices(rng, n, frequency)
    density = 10.0 ** rng.uniform(-6.0, 6.0, size=cells)
    potential = np.zeros(cells) if kind == "total" else 10.0 ** rng.uniform(-6.0, 6.0, size=cells)
    if rng.random() < 0.5:
        potential = np.minimum(potential, 1.0)
    f *= (density / f.sum(axis=(1, 2, 3, 4)))[:, None, None, None, None]
    width = rng.uniform(0.02, 0.5, size=(GROUPS, 1)) if averaged else np.zeros((GROUPS, 1))
    total = pack(hermitian(rng, (cells,), n))
    axes = charge_axes(
        kind,
        vacuum=vacuum,
        matter_potential=potential,
        matter_beta=rng.uniform(-0.3, 0.3, size=cells),
        cells=cells,
        count=None if n == 2 else int(rng.integers(1, 3)),
        bin_ratio=1.0 + width * np.array([[-1.0, 1.0]]),
        synchronized_frequency=rng.uniform(0.1, 3.0, size=cells),
        total=total,
    )
    batch = ChargedCells(
        axes,
        np.tile(weight, (cells, 1)),
        np.tile(weight * cosine, (cells, 1)),
        np.tile(cosine, (cells, 1)),
        np.ones(GROUPS),
        1.0,
        fixed=fixed,
    )
    return batch, f, (populations_kind, angles), density, potential


def hermitian(rng, shape, n):
    """Random Hermitian matrices."""
    a = rng.normal(size=(*shape, n, n)) + 1j * rng.normal(size=(*shape, n, n))
    return a + np.swapaxes(a, -1, -2).conj()


def without_charges(cells, multipliers):
    """The same cells with the multipliers given: - lambda Q (or + mu k Q) is a part of H like another."""
    n = cells.n_flavors
    d = n * n - 1
    generators = unpack(cells.axes.to_basis(cells.axes.matrices()))
    term = np.einsum(
        "ca,caij->cij", multipliers[:, : n - 1] * (np.arange(n - 1) < cells.axes.counts[:, None]), generators
    )
    external = cells.axes.external.copy()
    # H_eff = ... - factor lambda Q with factor 1 (density) or - mu (flux)
    external[:, cells.fixed] -= pack(term)
    assert external.shape[-1] == d + 1
    return replace(cells, axes=replace(cells.axes, counts=np.zeros_like(cells.axes.counts), external=external))


def aligned_residual(cells, f, unknowns, charges):
    """(cell,) |D_out - D|/scale and the same of the charges, by LAPACK, and the round-off to be expected of it."""
    n = cells.n_flavors
    field = unpack(cells.fields(unknowns, charges))
    vacuum = unpack(cells.vacuum())
    mu = cells.direction_cosine[:, :, None, None]
    ray = field[:, None, 0] - mu * field[:, None, 1]
    sign = np.array([1.0, -1.0])[:, None, None, None]
    h = ray[:, :, None, None] + sign * vacuum[:, None, None]
    h = h - np.eye(n) * (np.einsum("...ii->...", h)[..., None, None] / n)
    values, u = np.linalg.eigh(h)
    populations = f[..., :n]
    density = np.einsum("...ik,...k,...jk->...ij", u, populations, u.conj())
    net = np.einsum("g,cmgij->cmij", cells.number_weight, density[:, :, 0] - density[:, :, 1])
    moments = np.stack([np.einsum("cm,cmij->cij", w, net) for w in (cells.weight_0, cells.weight_1)], axis=1)
    given = unpack(cells.moments(unknowns, charges, None))
    moments = moments - np.eye(n) * (np.einsum("clii->cl", moments)[..., None, None] / n)
    scale, _ = cells.scales(f)
    error = np.sqrt((np.abs(moments - given) ** 2).sum(axis=(1, 2, 3))) / scale
    # an eigenvector is known to eps |H|/gap, weighted with the difference of the populations
    size = np.abs(values).max(axis=-1) + terms(cells, unknowns)[:, None, None, None]
    noise = np.zeros(f.shape[:-1])
    for i in range(n):
        for j in range(i):
            difference = np.abs(populations[..., i] - populations[..., j])
            gap = np.abs(values[..., i] - values[..., j])
            noise += np.where(difference > 0.0, difference * size / np.maximum(gap, 1.0e-300), 0.0)
    weight = np.abs(cells.weight_0)[:, :, None, None] * cells.number_weight
    return error, 2.0e-15 * (weight * noise).sum(axis=(1, 2, 3)) / scale


def terms(cells, unknowns):
    """(cell,) size of the terms of H_eff, which may cancel: their round-off stays."""
    moments = np.abs(np.where(cells.held, 0.0, unknowns)).max(axis=1)
    given = np.abs(cells.axes.external).max(axis=(1, 2)) + np.abs(cells.multipliers(unknowns)).max(axis=1)
    return given + cells.strength * moments


def guess_of(rng, cells, f, solution, kind):
    """Unknowns to start from."""
    _, unit = cells.scales(f)
    if kind == "exact":
        return solution.copy()
    if kind == "near":
        return solution * (1.0 + 1.0e-3 * rng.normal(size=solution.shape)) + 1.0e-6 * unit * rng.normal(size=unit.shape)
    if kind == "far":
        return solution + 0.1 * unit * rng.normal(size=unit.shape)
    return unit * rng.normal(size=unit.shape) * 10.0 ** rng.uniform(-3.0, 0.0, size=(unit.shape[0], 1))


def charged_batch(rng, n, cells, count):
    """Run one batch; returns class names, how many converged of how many, wrong ones, and cells that hang."""
    kind = KINDS[rng.integers(len(KINDS))]
    averaged = bool(rng.integers(2))
    fixed = int(rng.integers(2))
    batch, f, names, density, _ = random_cells(rng, n, kind, averaged, fixed, cells)
    scale, _ = batch.scales(f)
    vacuum = np.abs(batch.axes.high).max(axis=(1, 2))
    frequency = vacuum + density + np.abs(batch.axes.external).max(axis=(1, 2))
    if rng.random() < 0.7:
        # multipliers among the vacuum frequencies and a common direction: these states are tilted
        multipliers = vacuum[:, None] * rng.normal(size=(cells, 2))
        direction = hermitian(rng, (cells, 1), n) * np.array([1.0, 0.1])[:, None, None]
        direction /= np.linalg.norm(direction, axis=(-1, -2))[:, :1, None, None]
    else:
        multipliers = frequency[:, None] * rng.normal(size=(cells, 2)) * 10.0 ** rng.uniform(-3.0, 0.5, size=(cells, 1))
        direction = 0.4 * hermitian(rng, (cells, 2), n)
    free = without_charges(batch, multipliers)
    solution = free.unknowns(pack(direction) * (scale * rng.uniform(0.1, 0.7, size=cells))[:, None, None])
    no_charge = np.zeros((cells, 2))
    made = free.align(f, solution, no_charge, tolerance=TOLERANCE)
    good = made.status == 0
    moments = free.moments(solution, no_charge, f)
    charges = batch.axes.charges(moments, fixed)
    exact = batch.unknowns(moments, multipliers)
    wrong = check(free, f, solution, no_charge, good, averaged)
    for name, chosen in {"": density > 0.0, ", density > 100": density > 1.0e2}.items():
        label = f"no charge, bins{name}" if averaged else f"no charge{name}"
        count[label, f"{n} flavours", "random"] += ((good & chosen).sum(), chosen.sum())
    # along the axis no multiplier has an effect until levels cross, and charges are those of the populations
    tilted = transverse(batch, f, exact, charges) > 1.0e-6
    for guess in GUESSES:
        y = guess_of(rng, batch, f, exact, guess)
        start = y.copy()
        report = batch.align(f, y, charges, tolerance=TOLERANCE)
        done = report.status == 0
        assert np.array_equal(y[~done], start[~done]), "a cell that failed must keep its guess"
        wrong += check(batch, f, y, charges, done, averaged)
        # where the cell has a solution for sure
        labels = {kind: good}
        if kind != "none":
            strong = density > 1.0e2
            labels |= {"tilted": good & tilted, "along the axis": good & ~tilted}
            labels |= {
                "tilted, density > 100": good & tilted & strong,
                names[0]: good & tilted,
                names[1]: good & tilted,
            }
        for name, chosen in labels.items():
            count[name, f"{n} flavours", guess] += ((done & chosen).sum(), chosen.sum())
    # charges that no state may have
    y = guess_of(rng, batch, f, exact, "random")
    charges = charges + scale[:, None] * rng.normal(size=(cells, 2))
    report = batch.align(f, y, charges, tolerance=TOLERANCE)
    wrong += check(batch, f, y, charges, report.status == 0, averaged)
    count["any charge", f"{n} flavours", "random"] += ((report.status == 0).sum(), cells)
    return wrong


def check(cells, f, unknowns, charges, done, averaged):
    """Number of cells that are called converged and are not aligned."""
    if not done.any():
        return 0
    chosen = np.flatnonzero(done)
    part = cells.take(chosen)
    y, q, populations = unknowns[chosen], charges[chosen], f[chosen]
    scale, _ = part.scales(populations)
    # D of the density matrices, and the charges among its components
    density = part.density_matrices(populations, y, q)
    again = moments_of(part, density)
    given = part.moments(y, q, populations)
    error = np.sqrt(((again - given) ** 2).sum(axis=(1, 2))) / scale
    bad = ~(error <= 2.0 * TOLERANCE + 1.0e-13)
    if not averaged:
        error, noise = aligned_residual(part, populations, y, q)
        bad |= ~(error <= 2.0 * TOLERANCE + noise)
        bad |= ~(commutator(part, density, y, q) <= 1.0e-11)
    return int(bad.sum())


def commutator(cells, density, unknowns, charges, moments=None):
    """(cell,) largest |[density_matrix, H_eff]| over |density_matrix| (|H_eff| + 1e-4 terms that cancel in it).

    So 1e-11 is 1e-11 of H_eff and five units of round-off of the terms. Moments in flavours that were rounded with
    their traces are a term.
    """
    cancelling = terms(cells, unknowns)
    if moments is not None:
        cancelling = cancelling + cells.strength * np.abs(moments).max(axis=(1, 2))
    n = cells.n_flavors
    field = unpack(cells.fields(unknowns, charges))
    ray = field[:, None, 0] - cells.direction_cosine[:, :, None, None] * field[:, None, 1]
    sign = np.array([1.0, -1.0])[:, None, None, None]
    h = ray[:, :, None, None] + sign * unpack(cells.vacuum())[:, None, None]
    rho = unpack(density[..., : n * n])
    product = rho @ h
    largest = np.abs(h).max(axis=(-1, -2)) + 1.0e-4 * cancelling[:, None, None, None]
    size = np.abs(rho).max(axis=(-1, -2)) * largest
    difference = np.abs(product - np.swapaxes(product, -1, -2).conj()).max(axis=(-1, -2))
    return (difference / np.maximum(size, 1.0e-300)).max(axis=(1, 2, 3))


def plain_batch(rng, n, cells, count):
    """The same without charges, by `misci_transport.alignment.align`."""
    names = POPULATIONS[rng.integers(len(POPULATIONS))], ANGLES[rng.integers(len(ANGLES))]
    f, cosine, weight = random_populations(rng, *names, cells, n)
    vacuum = random_matrices(rng, n, 10.0 ** rng.uniform(-1.0, 0.5, size=GROUPS))
    density = 10.0 ** rng.uniform(-6.0, 6.0, size=cells)
    potential = 10.0 ** rng.uniform(-6.0, 6.0, size=cells)
    beta = rng.uniform(-0.3, 0.3, size=cells)
    f *= (density / f.sum(axis=(1, 2, 3, 4)))[:, None, None, None, None]
    medium = {
        "weight_0": weight,
        "weight_1": weight * cosine,
        "direction_cosine": cosine,
        "number_weight": np.ones(GROUPS),
        "vacuum": vacuum,
        "matter_potential": potential,
        "matter_beta": beta,
        "strength": 1.0,
        "n_flavors": n,
    }
    size = density[:, None, None] * 10.0 ** rng.uniform(-3.0, 0.0, size=(cells, 1, 1))
    moments = pack(hermitian(rng, (cells, 2), n)) * size
    moments[rng.random(cells) < 0.3] = 0.0
    start = moments.copy()
    report = align(f, moments, **medium, tolerance=TOLERANCE)
    done = (report.status == 0) | report.locked
    assert np.array_equal(moments[~done], start[~done]), "a cell that failed must keep its guess"
    count["plain", f"{n} flavours", "random"] += (done.sum(), cells)
    count["plain, density < 1", f"{n} flavours", "random"] += ((done & (density < 1.0)).sum(), (density < 1.0).sum())
    if not done.any():
        return 0
    axes = charge_axes("none", vacuum=vacuum, matter_potential=potential, matter_beta=beta, cells=cells, bin_ratio=None)
    w = np.tile(weight, (cells, 1))
    same = ChargedCells(axes, w, w * cosine, np.tile(cosine, (cells, 1)), np.ones(GROUPS), 1.0)
    nothing = np.zeros((cells, 2))
    chosen = np.flatnonzero(done)
    part = same.take(chosen)
    y = same.unknowns(moments)[chosen]
    error, noise = aligned_residual(part, f[chosen], y, nothing[chosen])
    medium["matter_potential"], medium["matter_beta"] = potential[chosen], beta[chosen]
    for name in ("weight_0", "weight_1", "number_weight"):
        del medium[name]
    matrices = density_matrices(f[chosen], moments[chosen], **medium)
    return int((~(error <= 2.0 * TOLERANCE + noise)).sum()) + int(
        (~(commutator(part, matrices, y, nothing[chosen], moments[chosen]) <= 1.0e-11)).sum()
    )


def run(cells, seed=1, batch=200):
    """Fractions by class {(class, flavours, guess): (converged, cells)} and the number of wrong states."""
    rng = np.random.default_rng(seed)
    count = defaultdict(lambda: np.zeros(2, dtype=np.int64))
    wrong = 0
    done = 0
    while done < cells:
        for n in (2, 3):
            wrong += charged_batch(rng, n, batch, count)
            wrong += plain_batch(rng, n, batch, count)
        # six charged problems and a plain one for each of two numbers of flavours
        done += 2 * 7 * batch
    return count, wrong


def main():
    """Print the table; exit code 1 if a state that is not aligned was called converged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    start = time.perf_counter()
    count, wrong = run(arguments.cells, arguments.seed)
    for label in sorted(count):
        good, total = count[label]
        sys.stdout.write(
            f"{label[0]:24s} {label[1]:10s} {label[2]:12s} {good:8d} of {total:8d} {good / max(total, 1):8.4f}\n"
        )
    sys.stdout.write(f"{wrong} wrong states, {time.perf_counter() - start:.0f} s\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
