"""Conserved flavour charges: the axes they belong to, and the Hamiltonian that commutes with them.

A charge is a traceless Hermitian matrix Q whose total Tr(Q D_0) the fast motion conserves. All charges of one choice
share eigenvectors, the columns of the unitary matrix `basis`; in that basis they are diagonal, with the orthonormal
generators diag(1, -1)/sqrt 2 (N_f = 2) and diag(2, -1, -1)/sqrt 6, diag(0, 1, -1)/sqrt 2 (N_f = 3).

    none          no charge: Eq. (14) as printed; the basis is the one of masses
    mass          vacuum mass axis: conserved without matter
    flavor        nu_e and the eigenvectors of (1 - Pi_e) M^2 (1 - Pi_e): conserved where matter dominates
    synchronized  eigenvectors of w_sync M^2/2E + V Pi_e: between the two, while self-interaction rules
    total         eigenvectors of the total D_0: conserved where there is neither vacuum term nor matter

A charge must commute with the Hamiltonian that is used with it: what does not is left out (it rotates rapidly and
averages away). L. Johns, arXiv:2306.14982, Eqs. (8) and (9); docs/alignment.md says where each holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigurationError
from ..flavor import flavors_of, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

#: Names of the charge choices.
KINDS = ("none", "mass", "flavor", "synchronized", "total")


@dataclass(frozen=True)
class ChargeAxes:
    """Charges of a batch of cells and the Hamiltonian in their basis."""

    kind: NDArray[np.int64]  #: (cell,) index in `KINDS`
    basis: NDArray[np.complex128]  #: (cell, N_f, N_f), columns are the common eigenvectors of the charges
    counts: NDArray[np.int64]  #: (cell,) number of charges
    low: NDArray[np.float64]  #: (cell, group, N_f) diagonal vacuum term at the bins' lower ends of 1/2E, cm^-1
    high: NDArray[np.float64]  #: (cell, group, N_f) the same at the upper ends
    external: NDArray[np.float64]  #: (cell, 2, N_f^2) packed, cm^-1: external_0 - mu external_1
    seed: NDArray[np.float64]  #: (cell,) rad: angle of H without self-interaction against the axis of the charges

    @property
    def n_flavors(self) -> int:
        """Number of mixing flavours."""
        return int(self.basis.shape[-1])

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.basis.shape[0])

    def take(self, cells: NDArray[np.int64] | slice) -> ChargeAxes:
        """The axes of some cells."""
        return ChargeAxes(
            self.kind[cells],
            self.basis[cells],
            self.counts[cells],
            self.low[cells],
            self.high[cells],
            self.external[cells],
            self.seed[cells],
        )

    def to_basis(self, packed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Packed matrices (cell, ..., N_f^2) from flavours to the charges' basis: W^+ A W."""
        return _rotate(packed, self.basis.conj())

    def from_basis(self, packed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Packed matrices (cell, ..., N_f^2) from the charges' basis to flavours: W A W^+."""
        return _rotate(packed, np.swapaxes(self.basis, -1, -2))

    def charges(self, moments: NDArray[np.float64], order: int = 0) -> NDArray[np.float64]:
        """Tr(Q_a D_order) of moments (cell, 2, N_f^2) in flavours: (cell, 2), zero where there is no such charge."""
        return self.content(moments[:, order])

    def content(self, packed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tr(Q_a A) of packed matrices A (cell, ..., N_f^2) in flavours: (cell, ..., 2)."""
        d = self.to_basis(packed)
        out = np.zeros((*packed.shape[:-1], 2))
        generators = _GENERATORS[self.n_flavors]
        for a, diagonal in enumerate(generators):
            has = (self.counts > a).reshape(-1, *(1,) * (packed.ndim - 2))
            out[..., a] = np.where(has, d[..., : self.n_flavors] @ diagonal, 0.0)
        return out

    def moving(self, wave_numbers: NDArray[np.float64]) -> ChargeAxes:
        """The axes with + mu sum_a k_a Q_a in H, for phases with gradients k_a (cell, 2) in cm^-1 (Eq. E3)."""
        external = self.external.copy()
        for a, diagonal in enumerate(_GENERATORS[self.n_flavors]):
            k = np.where(self.counts > a, wave_numbers[:, a], 0.0)
            external[:, 1, : self.n_flavors] -= k[:, None] * diagonal
        return replace(self, external=external)

    def matrices(self) -> NDArray[np.float64]:
        """All charges Q_a of the basis in flavours, packed: (cell, N_f - 1, N_f^2), counted or not."""
        diagonals = np.array(_GENERATORS[self.n_flavors])
        return pack(np.einsum("cia,na,cja->cnij", self.basis, diagonals, self.basis.conj()))


_GENERATORS = {
    2: (np.array([1.0, -1.0]) / np.sqrt(2.0),),
    3: (np.array([2.0, -1.0, -1.0]) / np.sqrt(6.0), np.array([0.0, 1.0, -1.0]) / np.sqrt(2.0)),
}


def _rotate(packed: NDArray[np.float64], left: NDArray[np.complex128]) -> NDArray[np.float64]:
    """left^T A conj(left) of packed (cell, ..., N^2), left (cell, N, N)."""
    extra = packed.ndim - 2
    w = left.reshape(left.shape[0], *(1,) * extra, *left.shape[1:])
    return pack(np.swapaxes(w, -1, -2) @ unpack(packed) @ w.conj())


def charge_axes(
    kind: str | Sequence[str],
    *,
    vacuum: ArrayLike,
    matter_potential: ArrayLike,
    matter_beta: ArrayLike = 0.0,
    cells: int,
    count: int | None = None,
    bin_ratio: ArrayLike | None = None,
    synchronized_frequency: ArrayLike | None = None,
    total: ArrayLike | None = None,
    shift: ArrayLike | None = None,
) -> ChargeAxes:
    """Axes of the charges and the part of H that commutes with them: [Q_a, H] = 0, Johns Eqs. (8)-(9).

    Parameters
    ----------
    kind
        One of `KINDS`, or one for each cell.
    vacuum
        (group, N_f^2) packed M^2/2E at the groups' energies, cm^-1. All groups must have the same eigenvectors.
    matter_potential, matter_beta
        (cell,) V in cm^-1, and radial velocity of matter over c.
    cells
        Number of cells.
    count
        Number of charges, N_f - 1 by default; with N_f = 3 and 1, the first axis (m_3, or nu_e) against the rest.
    bin_ratio
        (group, 2): 1/2E at the ends of a group's bin over that at its energy; ones (no average) by default.
    synchronized_frequency
        (cell,) factor f of M^2 for "synchronized": the axis is that of f vacuum_0 + V Pi_e, f in units of group 0.
    total
        (cell, N_f^2) packed total, for "total".
    shift
        (cell, 2, N_f^2) further packed part of H in flavours, shift_0 - mu shift_1, cm^-1.

    Raises
    ------
    ConfigurationError
        For an unknown kind, shapes that do not fit, or a kind whose Hamiltonian does not allow it.
    """
    names = [kind] * cells if isinstance(kind, str) else list(kind)
    for name in names:
        if name not in KINDS:
            raise ConfigurationError(f"charge is {name!r}; accepted: {', '.join(KINDS)}")
    if len(names) != cells:
        raise ConfigurationError(f"{len(names)} kinds of charges are given; accepted: one, or {cells}, one for a cell")
    vacuum = np.asarray(vacuum, dtype=np.float64)
    n = flavors_of(vacuum.shape[-1]) if vacuum.ndim else 0
    if vacuum.ndim != 2 or n == 0:
        raise ConfigurationError(f"vacuum has shape {vacuum.shape}; accepted: (group, 4) or (group, 9)")
    if count is not None and not 1 <= count <= n - 1:
        raise ConfigurationError(f"number of charges is {count!r}; accepted: 1 to {n - 1}")
    ratio = np.ones((vacuum.shape[0], 2)) if bin_ratio is None else np.asarray(bin_ratio, dtype=np.float64)
    if ratio.shape != (vacuum.shape[0], 2):
        raise ConfigurationError(f"bin_ratio has shape {ratio.shape}; accepted: ({vacuum.shape[0]}, 2)")
    codes = np.array([KINDS.index(name) for name in names], dtype=np.int64)
    potential = np.broadcast_to(np.asarray(matter_potential, dtype=np.float64), (cells,))
    beta = np.broadcast_to(np.asarray(matter_beta, dtype=np.float64), (cells,))
    constant = np.zeros((cells, 2, n * n))
    if shift is not None:
        constant += np.asarray(shift, dtype=np.float64)
    # matter that moves with all modes alike only sets the speed of the common precession about nu_e
    constant[:, 0, 0] += np.where(codes == KINDS.index("flavor"), 0.0, potential)
    constant[:, 1, 0] += potential * beta
    matrices = unpack(vacuum)
    basis = np.empty((cells, n, n), dtype=np.complex128)
    for code in np.unique(codes):
        chosen = np.flatnonzero(codes == code)
        name = KINDS[code]
        if name == "total" and (np.abs(vacuum).max(initial=0.0) > 0.0 or np.abs(potential[chosen]).max() > 0.0):
            raise ConfigurationError('charge "total": accepted only without vacuum term and matter')
        basis[chosen] = _basis(
            name, n, matrices, potential[chosen], _of(synchronized_frequency, chosen, cells), _of(total, chosen, cells)
        )
    counts = np.where(codes == KINDS.index("none"), 0, n - 1 if count is None else count)
    diagonal = np.einsum("cia,gij,cja->cga", basis.conj(), matrices, basis).real
    external = _rotate(constant, basis.conj())
    seed = _seeds(counts, basis, matrices, external, potential, codes)
    for one in range(cells):
        if counts[one]:
            external[one, :, n:] *= _commuting(n, int(counts[one]))
    return ChargeAxes(
        codes,
        basis,
        counts,
        np.ascontiguousarray(diagonal * ratio[:, :1]),
        np.ascontiguousarray(diagonal * ratio[:, 1:]),
        np.ascontiguousarray(external),
        seed,
    )


def _seeds(
    counts: NDArray[np.int64],
    basis: NDArray[np.complex128],
    vacuum: NDArray[np.complex128],
    external: NDArray[np.float64],
    potential: NDArray[np.float64],
    codes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Angle of the part of H that does not commute with the charges, at the group of the middle frequency."""
    middle = vacuum[int(np.argsort(np.abs(vacuum).sum(axis=(1, 2)))[vacuum.shape[0] // 2])]
    full = np.einsum("cia,ij,cjb->cab", basis.conj(), middle, basis) + unpack(external[:, 0])
    # along the flavour axis the matter potential was left out of `external` because it commutes
    full[:, 0, 0] += np.where(codes == KINDS.index("flavor"), potential, 0.0)
    off = np.abs(full[:, 0, 1:]).max(axis=1)
    apart = np.abs(full[:, 0, :1] - np.einsum("caa->ca", full)[:, 1:]).min(axis=1)
    angle: NDArray[np.float64] = np.where(counts > 0, np.arctan2(2.0 * off, apart), 0.0)
    return angle


def _of(values: ArrayLike | None, chosen: NDArray[np.int64], cells: int) -> NDArray[np.float64] | None:
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float64)
    return array[chosen] if array.ndim and array.shape[0] == cells else np.broadcast_to(array, (chosen.size,))


def _commuting(n: int, count: int) -> NDArray[np.float64]:
    """Factors 0 or 1 of the packed off-diagonal components: those that commute with the charges stay."""
    if n == 3 and count == 1:
        return np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    return np.zeros(n * (n - 1))


def _basis(
    kind: str,
    n: int,
    vacuum: NDArray[np.complex128],
    potential: NDArray[np.float64],
    frequency: NDArray[np.float64] | None,
    total: NDArray[np.float64] | None,
) -> NDArray[np.complex128]:
    """Unitary matrices (cell, N_f, N_f), or one for all cells."""
    mass = vacuum[int(np.argmax(np.abs(vacuum).sum(axis=(1, 2))))]
    if kind in ("none", "mass"):
        one = _ordered(mass)
        _check_common(vacuum, one)
        return one
    if kind == "flavor":
        one = np.eye(n, dtype=np.complex128)
        if n == 3:
            one[1:, 1:] = np.linalg.eigh(mass[1:, 1:])[1]
        return one
    if kind == "synchronized":
        if frequency is None:
            raise ConfigurationError('charge "synchronized" needs synchronized_frequency')
        electron = np.zeros((n, n), dtype=np.complex128)
        electron[0, 0] = 1.0
        return np.array([_ordered(f * vacuum[0] + v * electron) for f, v in zip(frequency, potential, strict=True)])
    if total is None:
        raise ConfigurationError('charge "total" needs the packed total')
    return np.array([_ordered(matrix) for matrix in unpack(total)])


def _ordered(matrix: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Eigenvectors, the level farthest from the mean first, each with its largest component real and positive."""
    values, vectors = np.linalg.eigh(matrix)
    first = int(np.argmax(np.abs(values - values.mean())))
    order = [first, *(k for k in range(len(values)) if k != first)]
    vectors = np.ascontiguousarray(vectors[:, order])
    for k in range(len(values)):
        largest = vectors[int(np.argmax(np.abs(vectors[:, k]))), k]
        vectors[:, k] *= np.abs(largest) / largest
    return vectors


def _check_common(vacuum: NDArray[np.complex128], basis: NDArray[np.complex128]) -> None:
    rotated = basis.conj().T @ vacuum @ basis
    off = rotated * (1.0 - np.eye(basis.shape[0]))
    if np.abs(off).max(initial=0.0) > 1.0e-10 * np.abs(rotated).max(initial=1.0e-300):
        raise ConfigurationError(
            "vacuum matrices of different groups have different eigenvectors; accepted: M^2/2E with one M^2"
        )
