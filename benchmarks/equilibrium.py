"""Mixing equilibria of random distributions, checked by a calculation of their own in numpy.

    python benchmarks/equilibrium.py --cells 10000

Random numbers of groups and directions, occupations from dilute to nearly full, self-interaction and matter over
decades of the vacuum term, random and flavour-diagonal states, with and without charges, with given energy, and with
given temperatures of both signs. Prints one line for each kind of case, and how large the largest error of what is
returned as good is; ends with status 1 if that is above 1e-10.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from misci_transport import thermodynamics
from misci_transport.alignment import charge_axes
from misci_transport.flavor import MixingParameters, pack, unpack
from misci_transport.thermodynamics.quantities import hamiltonians, moments, numbers

LIMIT = 1.0e-10


def random_cells(rng: np.random.Generator, cells: int, n: int, *, diagonal: bool) -> tuple[np.ndarray, dict]:
    """Density matrices (cell, direction, species, group, N^2) and a medium, in units of the vacuum term."""
    directions, groups = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    cosine, weight = np.polynomial.legendre.leggauss(directions)
    shape = (cells, directions, 2, groups)
    size = 10.0 ** rng.uniform(-4.0, 0.0, size=(cells, 1, 1, 1, 1))
    occupations = size * rng.uniform(0.0, 1.0, size=(*shape, n)) ** 2
    # angular shapes from flat to forward, different for flavours
    tilt = rng.uniform(0.0, 3.0, size=(cells, 1, 2, 1, n))
    occupations = occupations * np.exp(tilt * (cosine[None, :, None, None, None] - 1.0))
    if diagonal:
        state = np.zeros((*shape, n * n))
        state[..., :n] = occupations
    else:
        random = rng.normal(size=(*shape, n, n)) + 1j * rng.normal(size=(*shape, n, n))
        basis, _ = np.linalg.qr(random)
        state = pack((basis * occupations[..., None, :]) @ np.conj(np.swapaxes(basis, -1, -2)))
    number_weight = rng.dirichlet(np.ones(groups))
    total = float((occupations.sum(axis=(2, 4)) * number_weight).sum(axis=2).mean())
    mass = MixingParameters.global_fit("normal" if rng.random() < 0.5 else "inverted").mass_squared_matrix(n)
    return state, {
        "weight_0": weight,
        "direction_cosine": cosine,
        "number_weight": number_weight,
        "vacuum": mass / np.abs(mass).max() * rng.uniform(0.2, 1.0, size=groups)[:, None],
        "matter_potential": np.where(rng.random(cells) < 0.3, 0.0, 10.0 ** rng.uniform(-2.0, 3.0, size=cells)),
        "matter_beta": rng.uniform(-0.1, 0.1, size=cells),
        "strength": float(10.0 ** rng.uniform(-2.0, 3.0)) / total,
        "n_flavors": n,
    }


def errors(state: np.ndarray, batch: object, found: object, charges: np.ndarray | None, *, given: bool) -> np.ndarray:
    """Largest relative error of what was found: density matrices of Eq. (9), numbers, energy, charges; (cell,).

    An occupation feels a relative error of its exponent times the exponent, so the first is divided by the largest
    difference of exponents where that is above one.
    """
    n = batch.n_flavors
    exponent = found.inverse_temperature[:, None, None, None, None, None] * unpack(
        hamiltonians(moments(found.density_matrix, batch), batch)
    )
    if charges is not None:
        held = np.einsum("ca,caij->cij", found.multipliers, unpack(charges))
        exponent = exponent + held[:, None, None, None]
    exponent = exponent * np.array([1.0, -1.0])[:, None, None, None]
    values, vectors = np.linalg.eigh(exponent - np.trace(exponent, axis1=-2, axis2=-1)[..., None, None] / n * np.eye(n))
    with np.errstate(over="ignore"):
        f = 1.0 / (1.0 + np.exp(values - found.degeneracy[..., None]))
    again = pack((vectors * f[..., None, :]) @ np.conj(np.swapaxes(vectors, -1, -2)))
    scale = np.abs(found.density_matrix).max(axis=(1, 2, 3, 4))
    spread = np.maximum(1.0, np.ptp(values, axis=-1).max(axis=(1, 2, 3)))
    worst = np.abs(again - found.density_matrix).max(axis=(1, 2, 3, 4)) / scale / spread
    apart = np.abs(numbers(state, n) - numbers(found.density_matrix, n)).max(axis=(1, 2, 3))
    worst = np.maximum(worst, apart / scale)
    if given:
        before, after = (thermodynamics.energy(x, batch) for x in (state, found.density_matrix))
        size = np.maximum(np.maximum(before.scale, after.scale), 1.0e-300)
        worst = np.maximum(worst, np.abs(after.mixing - before.mixing) / size)
    if charges is not None:
        before, after = (thermodynamics.charge_densities(x, charges, batch) for x in (state, found.density_matrix))
        total = np.einsum("cmsg,m,g->c", numbers(state, n), batch.weight[0, 0], batch.number_weight)
        worst = np.maximum(worst, np.abs(after - before).max(axis=1) / total)
    return worst


def main() -> int:
    """Run all kinds of cases and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10000, help="number of distributions, all kinds together")
    parser.add_argument("--batch", type=int, default=50, help="cells that share a mesh and a strength")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    kinds = [
        (n, diagonal, constraint, kind)
        for n in (2, 3)
        for diagonal in (False, True)
        for constraint in ("energy", "temperature", "infinite")
        for kind in ("none", "mass", "flavor")
    ]
    batches = max(1, round(chosen.cells / chosen.batch / len(kinds)))
    bad, total, unsolved = 0.0, 0, 0
    for n, diagonal, constraint, kind in kinds:
        failures: dict[str, int] = {}
        worst, several, steps, count, begin = 0.0, 0, 0, 0, time.perf_counter()
        for _ in range(batches):
            state, medium = random_cells(rng, chosen.batch, n, diagonal=diagonal)
            state, batch = thermodynamics.thermal_batch(state, **medium)
            charges = None
            if kind != "none":
                axes = charge_axes(
                    kind, vacuum=batch.vacuum, matter_potential=batch.potential, matter_beta=batch.beta[:, 0],
                    cells=batch.cells,
                )  # fmt: skip
                charges = axes.matrices()
            options: dict = {}
            if constraint != "energy":
                beta = 0.0 if constraint == "infinite" else rng.normal(size=batch.cells) * 3.0
                options["inverse_temperature"] = beta
            found = thermodynamics.equilibrium(state, batch, charges=charges, **options)
            good = found.status == thermodynamics.CONVERGED
            wrong = errors(state, batch, found, charges, given=constraint == "energy")[good]
            worst = max(worst, float(wrong.max(initial=0.0)))
            several += int((found.branches > 1).sum())
            steps += int(found.iterations.sum())
            count += batch.cells
            for code in found.status[~good]:
                name = thermodynamics.STATUS_NAMES[code]
                failures[name] = failures.get(name, 0) + 1
        each = (time.perf_counter() - begin) / count
        label = f"N_f={n} {'diagonal' if diagonal else 'random':8s} {constraint:11s} charges {kind:6s}"
        print(
            f"{label}: {count} cells, largest error {worst:.1e}, several branches {several}, "
            f"{steps / count:.0f} steps, {1e3 * each:.2f} ms a cell, not converged: {failures or 'none'}"
        )
        bad, total = max(bad, worst), total + count
        unsolved += sum(failures.values())
    print(f"{total} distributions, {unsolved} reported, largest error of the others {bad:.1e}")
    return 0 if bad <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
