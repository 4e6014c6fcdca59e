"""The first law of mixing along a run: work, heats, charges and transport of every cell, Eq. (11)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..constants import HBAR_C
from ..kernels import angular_sweep
from ..thermodynamics.first_law import AlignedState, PhaseWeights, first_law
from ..thermodynamics.quantities import external_field, occupation_entropy, trace_product
from .conserved_mixing import ConservedMixing
from .mixing import LocalMixing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .levels import LevelFrame

#: Terms, in the order in which they are kept.
TERMS = ("change", "work", "charges", "transport", "collisions", "corrections", "kinematic")


def projectors_of(frame: LevelFrame, cells: int, shape: tuple[int, ...], components: int) -> NDArray[np.float64]:
    """Projectors of all cells, (cell, direction, species, group, level, component): pure flavours where locked."""
    out = np.zeros((cells, *shape, components))
    locked = np.flatnonzero(frame.mixed < 0)
    for species in range(2):
        for level in range(shape[-1]):
            component = frame.component[locked, species, level]
            out[locked[:, None], :, species, :, level, component[:, None]] = 1.0
    mixed = frame.mixed_cells
    out[mixed] = frame.projector[frame.mixed[mixed]]
    return out


def aligned_state(mixing: LocalMixing, populations: NDArray[np.float64], frame: LevelFrame) -> AlignedState:
    """What the last alignment left, in the form of the first law; a copy."""
    n = mixing.phase_space.n_flavors
    cells = populations.shape[0]
    external = external_field(mixing.medium)
    charge = np.zeros_like(external)
    vacuum = mixing.hamiltonian.vacuum[None]
    if isinstance(mixing, ConservedMixing):
        axes = mixing.axes()
        external, vacuum = axes.from_basis(axes.external), mixing.cells.vacuum()
        matrices = axes.matrices()
        for order, values in enumerate((mixing.multipliers, mixing.wave_numbers)):
            charge[:, order] = np.einsum("ca,cak->ck", values[:, : n - 1], matrices)
        projector = mixing.projector.copy()
    else:
        projector = projectors_of(frame, cells, populations.shape[1:], mixing.phase_space.components)
    return AlignedState(populations.copy(), projector, vacuum, external, charge, mixing.medium.strength)


@dataclass
class ThermalLedger:
    """Accumulates the terms of dU of this rank's cells over steps, in MeV cm^-3.

    change = work + charges + transport + collisions + corrections + kinematic, each (cell,): the energy of mixing
    without the traces of H, rho and D. "transport" is what moves with populations between cells and directions,
    "collisions" Q_env, "charges" sum_a lambda_a dq_a, "kinematic" Q_kin.
    """

    mixing: LocalMixing
    totals: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    scale: NDArray[np.float64] = field(init=False)  #: sizes of all summands, MeV cm^-3
    last: dict[str, NDArray[np.float64]] = field(default_factory=dict)  #: of the last step
    _state: AlignedState | None = None
    _projector: NDArray[np.float64] | None = None
    _parts: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _carried: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        cells = self.mixing.decomposition.size
        self.scale = np.zeros(cells)
        self.totals = {name: np.zeros(cells) for name in TERMS}
        medium = self.mixing.medium
        self.weights = PhaseWeights(medium.weight, medium.velocity, medium.number_weight)

    def begin(self, populations: NDArray[np.float64], frame: LevelFrame) -> None:
        """Before a step: the state that the last one left, or the present one if it has been replaced since."""
        if self._state is None or not np.array_equal(self._state.populations, populations):
            self._state = aligned_state(self.mixing, populations, frame)
        self._projector = None
        if self.mixing.on_failure == "equilibrate":
            # the eigenvectors that populations move on in this step, for cells that will be moved
            self._projector = aligned_state(self.mixing, populations, frame).projector

    def moved(
        self,
        old: NDArray[np.float64],
        advected: NDArray[np.float64],
        collided: NDArray[np.float64],
        h: float,
        redistribution: NDArray[np.float64],
        diamond: NDArray[np.float64] | None,
        volume: NDArray[np.float64],
    ) -> None:
        """After transport and collisions, of what the scheme carries: populations or density matrices."""
        gained = collided - advected
        turning = np.flatnonzero(redistribution.any(axis=1))
        if turning.size and diamond is not None:
            # turning in angle is implicit, but transport
            last = int(turning[-1]) + 1
            for entry in range(collided.shape[-1]):
                change = np.zeros(collided[:last].shape[:4])
                angular_sweep.subtract_redistribution(
                    np.ascontiguousarray(collided[:last, ..., entry]), h, redistribution[:last], diamond,
                    volume[:last], change,
                )  # fmt: skip
                gained[:last, ..., entry] += change
        self._parts = {"transport": collided - old - gained, "collisions": gained}
        self._carried = collided.copy()

    def corrected(self, populations: NDArray[np.float64], *, matrices: bool) -> None:
        """After occupations were clipped; the eigenvalues of density matrices carry their corrections as Q_kin."""
        assert self._carried is not None
        self._parts["corrections"] = np.zeros_like(self._carried) if matrices else populations - self._carried
        self._carried = populations.copy()

    def finish(self, populations: NDArray[np.float64], frame: LevelFrame, *, matrices: bool) -> None:
        """After the alignment: book the step."""
        assert self._state is not None
        new = aligned_state(self.mixing, populations, frame)
        old, parts = self._state, self._parts
        # what the alignment itself has changed: nothing but in cells that were moved to their largest entropy
        moved = None if matrices or self._carried is None else new.populations - self._carried
        jumped = np.zeros(new.populations.shape[0], dtype=bool) if moved is None else moved.any(axis=(1, 2, 3, 4))
        middle = new
        if jumped.any() and self._projector is not None and self._carried is not None:
            # first transport and collisions on the eigenvectors of the step, then the move in an unchanged medium
            projector = np.where(jumped[:, None, None, None, None, None], self._projector, new.projector)
            middle = replace(new, populations=self._carried, projector=projector)
        nothing = None if matrices else np.zeros_like(new.populations)
        terms = first_law(old, middle, self.weights, parts, kinematic=nothing, matrices=matrices)
        self.last = {"change": terms.change, "work": terms.work, "charges": terms.charges, **terms.parts}
        self.last["kinematic"] = terms.kinematic
        scale = terms.scale
        if middle is not new:
            move = first_law(middle, new, self.weights, {}, kinematic=moved)
            self.last["kinematic"] = terms.kinematic + move.kinematic
            self.last["charges"] = terms.charges + move.charges
            self.last["change"], scale = terms.change + move.change, scale + np.where(jumped, move.scale, 0.0)
        for name in TERMS:
            self.last[name] = HBAR_C * self.last[name]
            self.totals[name] += self.last[name]
        self.scale += HBAR_C * scale
        self._state, self._parts, self._carried = new, {}, None

    @property
    def imbalance(self) -> NDArray[np.float64]:
        """(cell,) change minus all other terms since the start, MeV cm^-3."""
        return np.asarray(self.totals["change"] - sum(self.totals[name] for name in TERMS[1:]))

    def energy_and_entropy(
        self, populations: NDArray[np.float64], frame: LevelFrame
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(cell,) mixing energy, MeV cm^-3, and entropy, cm^-3, of a state."""
        state = aligned_state(self.mixing, populations, frame)
        rho, n, weights = state.density_matrix, state.n_flavors, self.weights
        sign = np.array([1.0, -1.0])[:, None, None]
        one = weights.along(state.external)[:, :, None, None, :] + sign * state.vacuum[:, None, None]
        d = weights.moments(rho)
        one[..., :n] -= one[..., :n].mean(axis=-1, keepdims=True)
        d[..., :n] -= d[..., :n].mean(axis=-1, keepdims=True)
        side = np.r_[1.0, -np.ones(d.shape[1] - 1)]
        energy = weights.total(trace_product(one, rho, n)) + 0.5 * state.strength * trace_product(d, d, n) @ side
        levels = occupation_entropy(populations).sum(axis=-1)
        return HBAR_C * energy, weights.size(levels)
