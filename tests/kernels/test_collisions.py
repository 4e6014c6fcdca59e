from __future__ import annotations

import numpy as np
import pytest

from misci_transport.kernels import collision_batch as batch
from misci_transport.kernels import collisions as kernel

DIRECTIONS, GROUPS = 4, 3
X, W = np.polynomial.legendre.leggauss(DIRECTIONS)
BOTH, ALONG = np.stack([W, W * X]), X[:, None]  # weight[order, direction] and velocity[direction, axis] of one axis
WEIGHT = np.array([1.0, 2.0, 4.0])
RATIO = WEIGHT[None, :] / WEIGHT[:, None]
LOCKED = np.array([[1, 2, 0], [2, 1, 0]])


def unitary(rng):
    matrix = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
    return np.linalg.qr(matrix)[0]


def projector_of(u):
    """<k|A|k> = sum projector_c A_c for eigenvectors in the columns of u."""
    q = np.zeros((3, 9))
    for k in range(3):
        v = u[:, k]
        q[k, :3] = np.abs(v) ** 2
        for j, (a, b) in enumerate([(0, 1), (0, 2), (1, 2)]):
            product = np.conj(v[a]) * v[b]
            q[k, 3 + 2 * j], q[k, 4 + 2 * j] = 2.0 * product.real, -2.0 * product.imag
    return q


def matrix_of(components):
    """Hermitian matrix of nine components."""
    m = np.diag(components[:3]).astype(complex)
    for j, (a, b) in enumerate([(0, 1), (0, 2), (1, 2)]):
        m[a, b] = components[3 + 2 * j] + 1j * components[4 + 2 * j]
        m[b, a] = np.conj(m[a, b])
    return m


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def cell(rng):
    """Populations, projectors and rates of one cell with all kinds of processes."""
    f = rng.uniform(0.1, 0.6, (DIRECTIONS, 2, GROUPS, 3))
    u = np.array([[[unitary(rng) for _ in range(GROUPS)] for _ in range(2)] for _ in range(DIRECTIONS)])
    projector = np.array(
        [[[projector_of(u[m, s, g]) for g in range(GROUPS)] for s in range(2)] for m in range(DIRECTIONS)]
    )
    kind = np.array([kernel.SCATTERING, kernel.PAIR])
    kernels = rng.uniform(0.5, 1.0, (2, 2, 2, GROUPS, GROUPS))
    kernels[:, :, 1] *= 0.2
    # number conservation of scattering: weight_g first[g, g'] = weight_g' second[g', g]
    kernels[0, 1] = kernels[0, 0].transpose(0, 2, 1) * RATIO
    flavor_amplitude = rng.uniform(0.5, 1.0, (2, 2, 3))
    flavor_amplitude[1, 1] = flavor_amplitude[1, 0]
    amplitude = np.empty((2, 2, 9))
    amplitude[:, :, :3] = flavor_amplitude**2
    for j, (a, b) in enumerate([(0, 1), (0, 2), (1, 2)]):
        for part in (3 + 2 * j, 4 + 2 * j):
            amplitude[:, :, part] = flavor_amplitude[:, :, a] * flavor_amplitude[:, :, b]
    return {
        "f": f,
        "u": u,
        "projector": projector,
        "kind": kind,
        "kernels": kernels,
        "amplitude": amplitude,
        "flavor_amplitude": flavor_amplitude,
        "emissivity": rng.uniform(size=(2, 3, GROUPS)),
        "absorption": rng.uniform(size=(2, 3, GROUPS)),
        "s0": rng.uniform(1.0, 2.0, (2, GROUPS)),
        "s1": rng.uniform(0.1, 0.3, (2, GROUPS)),
    }


def sphere(levels, azimuths):
    """Product set on the sphere: weight[order, direction], velocity[direction, axis]; the first axis is the polar one.

    Gauss-Legendre levels times equal azimuths.
    """
    mu, w = np.polynomial.legendre.leggauss(levels)
    omega = 2.0 * np.pi * (np.arange(azimuths) + 0.5) / azimuths
    sine = np.sqrt(1.0 - mu**2)[:, None]
    velocity = [np.repeat(mu, azimuths), (sine * np.cos(omega)).ravel(), (sine * np.sin(omega)).ravel()]
    return with_weights(np.repeat(w / azimuths, azimuths), np.stack(velocity, axis=1))


def scattered_directions(rng, directions):
    """Any directions with any weights: sums of products of different axes do not vanish."""
    velocity = rng.normal(size=(directions, 3))
    weight = rng.uniform(0.5, 1.0, directions)
    return with_weights(2.0 * weight / weight.sum(), velocity / np.linalg.norm(velocity, axis=1)[:, None])


def with_weights(weight, velocity):
    return np.stack([weight, *(weight * v for v in velocity.T)]), velocity


def on_sphere(c, rng, directions=None):
    """The cell with three axes, and populations and eigenvectors that differ between the directions."""
    c["weight"], c["velocity"] = sphere(3, 4) if directions is None else directions
    count = len(c["velocity"])
    c["f"] = rng.uniform(0.1, 0.6, (count, 2, GROUPS, 3))
    c["u"] = np.array([[[unitary(rng) for _ in range(GROUPS)] for _ in range(2)] for _ in range(count)])
    c["projector"] = np.array([[[projector_of(x) for x in y] for y in z] for z in c["u"]])
    return c


def gains(c, moments, n, identity=1.0):
    gain, loss = np.zeros_like(moments), np.zeros_like(moments)
    if identity:
        kernel.add_emission_absorption(c["emissivity"], c["absorption"], gain, loss)
    kernel.add_energy_coupling(moments, identity, c["kind"], c["amplitude"][:, :, :n], c["kernels"], RATIO, gain, loss)
    return gain, loss


def locked(c, f=None):
    f = c["f"] if f is None else f
    weight, velocity = c.get("weight", BOTH), c.get("velocity", ALONG)
    moments = np.empty((2, len(weight), GROUPS, 3))
    kernel.locked_moments(f, weight, LOCKED, moments)
    gain, loss = gains(c, moments, 3)
    out = np.empty_like(f)
    kernel.locked_rate(f, velocity, c["s0"], c["s1"], LOCKED, moments, gain, loss, out)
    return out, moments, gain, loss


def mixed(c, f=None):
    f = c["f"] if f is None else f
    weight, velocity = c.get("weight", BOTH), c.get("velocity", ALONG)
    moments = np.empty((2, len(weight), GROUPS, 9))
    kernel.mixed_moments(f, weight, c["projector"], moments)
    gain, loss = gains(c, moments, 9)
    out = np.empty_like(f)
    kernel.mixed_rate(f, velocity, c["s0"], c["s1"], c["projector"], moments, gain, loss, out)
    return out, moments, gain, loss


@pytest.mark.parametrize("axes", [1, 3])
def test_moments_of_mixed_cells_are_those_of_density_matrices(cell, rng, axes):
    if axes == 3:
        on_sphere(cell, rng)
    _, moments, _, _ = mixed(cell)
    u, f = cell["u"], cell["f"]
    dm = np.einsum("msgak,msgk,msgbk->msgab", u, f, u.conj())
    for order, weight in enumerate(cell.get("weight", BOTH)):
        expected = 0.5 * np.einsum("m,msgab->sgab", weight, dm)
        found = np.array([[matrix_of(moments[s, order, g]) for g in range(GROUPS)] for s in range(2)])
        np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("axes", [1, 3])
def test_matrix_structure_against_a_direct_computation(cell, rng, axes):
    """Anticommutators of matrix gains and losses, with amplitudes on both sides, projected on eigenvectors."""
    if axes == 3:
        on_sphere(cell, rng)
    out, moments, _, _ = mixed(cell)
    c = cell
    identity = np.eye(3)
    for m, s, g in ((0, 0, 1), (3, 1, 2)):
        v = cell.get("velocity", ALONG)[m]
        up = np.diag(c["emissivity"][s, :, g]).astype(complex)
        down = np.diag(c["absorption"][s, :, g]).astype(complex)
        for p in range(2):
            amplitude = np.diag(c["flavor_amplitude"][p, s])
            other = s if p == 0 else 1 - s
            for h in range(GROUPS):
                j, *flux = (amplitude @ matrix_of(x) @ amplitude for x in moments[other, :, h])
                along = np.tensordot(v, flux, axes=1)
                first, second = c["kernels"][p, 0, :, g, h], c["kernels"][p, 1, :, g, h]
                if p == 1 and s == 1:
                    first, second = c["kernels"][p, 0, :, h, g] * RATIO[g, h], c["kernels"][p, 1, :, h, g] * RATIO[g, h]
                full = second[0] * j + 3.0 * second[1] * along
                empty = first[0] * (amplitude @ identity @ amplitude - j) - 3.0 * first[1] * along
                up, down = (up + full, down + empty) if p == 0 else (up + empty, down + full)
        n = np.diag(c["f"][m, s, g])
        vectors = c["u"][m, s, g]
        dm = vectors @ n @ vectors.conj().T
        rest = identity - dm
        flux = np.tensordot(v, [matrix_of(x) for x in moments[s, 1:, g]], axes=1)
        scattered = c["s0"][s, g] * (matrix_of(moments[s, 0, g]) - dm) + 3.0 * c["s1"][s, g] * flux
        total = 0.5 * (up @ rest + rest @ up) - 0.5 * (down @ dm + dm @ down) + scattered
        expected = np.diag(vectors.conj().T @ total @ vectors).real
        np.testing.assert_allclose(out[m, s, g], expected, rtol=1e-11)


@pytest.mark.parametrize("rate", [locked, mixed])
def test_axisymmetric_state_on_the_sphere_is_that_of_one_axis(cell, rate):
    """The same populations for all azimuths: the rates of one axis, and no flux across it."""
    one, moments, *_ = rate(cell)
    cell["weight"], cell["velocity"] = sphere(DIRECTIONS, 5)
    for name in ("f", "projector"):
        cell[name] = np.repeat(cell[name], 5, axis=0)
    many, others, *_ = rate(cell)
    np.testing.assert_allclose(many, np.repeat(one, 5, axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(others[:, :2], moments, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(others[:, 2:], 0.0, atol=1e-15)


def test_locked_is_the_special_case_of_mixed(cell):
    u = np.zeros((3, 3))
    for s in range(2):
        u[:] = 0.0
        u[LOCKED[s], np.arange(3)] = 1.0
        cell["projector"][:, s] = projector_of(u)
    a, *_ = locked(cell)
    b, *_ = mixed(cell)
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("rate", [locked, mixed])
def test_isoenergetic_scattering_conserves_each_energy(cell, rng, rate, axes):
    if axes == 3:
        on_sphere(cell, rng)
    cell["emissivity"][:] = cell["absorption"][:] = 0.0
    cell["kind"] = cell["kind"][:0]
    out, *_ = rate(cell)
    np.testing.assert_allclose(np.einsum("m,msgk->sg", cell.get("weight", BOTH)[0], out), 0.0, atol=1e-13)


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("rate", [locked, mixed])
def test_scattering_conserves_number_and_pairs_conserve_lepton_number(cell, rng, rate, axes):
    if axes == 3:
        on_sphere(cell, rng)
    cell["emissivity"][:] = cell["absorption"][:] = 0.0
    kernels = cell["kernels"].copy()
    for process in (0, 1):
        cell["kernels"] = kernels * (np.arange(2) == process)[:, None, None, None, None]
        out, *_ = rate(cell)
        number = np.einsum("m,g,msgk->s", cell.get("weight", BOTH)[0], WEIGHT, out)
        assert abs(number[0]) > 1e-3 or process == 0
        if process == 0:
            np.testing.assert_allclose(number, 0.0, atol=1e-12)
        else:
            assert number[0] == pytest.approx(number[1], rel=1e-12)


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("rate", [locked, mixed])
def test_derivative_against_differences(cell, rng, rate, axes):
    if axes == 3:
        on_sphere(cell, rng)
    weight, velocity = cell.get("weight", BOTH), cell.get("velocity", ALONG)
    n, function = (3, kernel.locked_rate_derivative) if rate is locked else (9, kernel.mixed_rate_derivative)
    _, _, gain, loss = rate(cell)
    df = rng.normal(size=cell["f"].shape)
    dmoments = np.empty((2, len(weight), GROUPS, n))
    if rate is locked:
        kernel.locked_moments(df, weight, LOCKED, dmoments)
        basis = LOCKED
    else:
        kernel.mixed_moments(df, weight, cell["projector"], dmoments)
        basis = cell["projector"]
    dgain, dloss = gains(cell, dmoments, n, identity=0.0)
    out = np.empty_like(df)
    function(cell["f"], df, velocity, cell["s0"], cell["s1"], basis, dmoments, gain, loss, dgain, dloss, out)
    h = 1e-5
    difference = (rate(cell, cell["f"] + h * df)[0] - rate(cell, cell["f"] - h * df)[0]) / (2.0 * h)
    # C is quadratic in f, so that central differences are exact but for round-off
    np.testing.assert_allclose(out, difference, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("shared", [False, True])
def test_batch_equals_cell_by_cell(cell, rng, axes, shared):
    if axes == 3:
        on_sphere(cell, rng)
    weight, velocity = cell.get("weight", BOTH), cell.get("velocity", ALONG)
    f = np.stack([cell["f"], cell["f"]])
    w, v = (np.stack([x] if shared else [x, x]) for x in (weight, velocity))
    component = np.stack([LOCKED, LOCKED])
    mixed_row = np.array([-1, 0])
    projector = cell["projector"][None]
    moments = np.full((2, 2, 1 + axes, GROUPS, 9), np.nan)
    batch.moments(f, w, component, mixed_row, projector, moments)
    gain, loss = np.empty_like(moments), np.empty_like(moments)
    two = {name: np.stack([cell[name]] * 2) for name in ("emissivity", "absorption", "s0", "s1")}
    kernels = np.ascontiguousarray(np.stack([cell["kernels"]] * 2, axis=1))
    batch.gain_loss(
        moments,
        1.0,
        two["emissivity"],
        two["absorption"],
        cell["kind"],
        cell["amplitude"],
        kernels,
        RATIO,
        mixed_row,
        gain,
        loss,
    )
    out = np.empty_like(f)
    batch.rate(f, v, two["s0"], two["s1"], component, mixed_row, projector, moments, gain, loss, out)
    np.testing.assert_allclose(out[0], locked(cell)[0], rtol=1e-13)
    np.testing.assert_allclose(out[1], mixed(cell)[0], rtol=1e-13)
    average = np.empty((2, 2, GROUPS, 3))
    batch.level_average(two["emissivity"], w, component, mixed_row, projector, average)
    np.testing.assert_array_equal(average[0, 0, :, 2], cell["emissivity"][0, 0])
    # the levels together hold each flavour once
    np.testing.assert_allclose(average[1].sum(axis=2), cell["emissivity"].sum(axis=1), rtol=1e-12)
