"""The radiation field as people look at it: luminosities, energies, spectra by flavour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..constants import ERG_PER_MEV, PHASE_SPACE, SPEED_OF_LIGHT
from ..fields import Field
from ..kernels.collisions import DIAGONAL
from ..kernels.face_flux import face_fluxes
from ..phase_space import HALO, local_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parallel.decomposition import Decomposition
    from ..phase_space import PhaseSpace
    from .advection import AdvectionOperator
    from .collisions import CollisionOperator
    from .levels import LevelFrame

_BY_FLAVOR = ("cell", "species", "flavor")


def radiation_fields(
    phase_space: PhaseSpace,
    decomposition: Decomposition,
    advection: AdvectionOperator,
    collisions: CollisionOperator,
    populations: NDArray[np.float64],
    frame: LevelFrame,
) -> list[Field]:
    """Fields below "radiation/" and the level luminosities of a radial mesh; populations carry ghost cells.

    luminosity = c sum_g n_g E_g sum_m a_m rho_ff over the whole sphere (per area in plane symmetry); then those of
    ``local_fields``. Collective.
    """
    energy, number = phase_space.energy.center, phase_space.number_weight
    levels, flavors = _face_fluxes(phase_space, decomposition, advection, collisions, populations, frame)
    total = phase_space.mesh.full_sphere * SPEED_OF_LIGHT
    per_mev = total * PHASE_SPACE * energy**2
    spectrum = flavors * per_mev[:, None]
    return [
        Field(
            "radiation/luminosity",
            total * ERG_PER_MEV * np.einsum("isgf,g->isf", flavors, number * energy),
            ("face", "species", "flavor"),
            "erg/s",
            "energy luminosity",
            "face",
        ),
        Field(
            "radiation/number_luminosity",
            total * np.einsum("isgf,g->isf", flavors, number),
            ("face", "species", "flavor"),
            "1/s",
            "number luminosity",
            "face",
        ),
        Field(
            "radiation/number_spectrum",
            np.ascontiguousarray(spectrum.transpose(0, 1, 3, 2)),
            ("face", "species", "flavor", "group"),
            "1/s/MeV",
            "number luminosity per energy",
            "face",
        ),
        Field(
            "mixing/level_number_luminosity",
            np.ascontiguousarray((levels * per_mev[:, None]).transpose(0, 1, 3, 2)),
            ("face", "species", "level", "group"),
            "1/s/MeV",
            "number luminosity per energy of each eigen-level",
            "face",
        ),
        *local_fields(phase_space, decomposition.cells, collisions, populations[HALO:-HALO], frame),
    ]


def local_fields(
    phase_space: PhaseSpace,
    cells: slice | NDArray[np.int64],
    collisions: CollisionOperator,
    populations: NDArray[np.float64],
    frame: LevelFrame,
) -> list[Field]:
    """Densities, energies and flux factors of cells, below "radiation/"; populations without ghost cells.

    rms energy = sqrt(sum n_g E_g^2 J / sum n_g J); flux factor = sum n_g H / sum n_g J, with J and H the zeroth and
    first angular moments: radial with one axis, (cell, species, flavor, axis) with more.
    """
    energy, number = phase_space.energy.center, phase_space.number_weight
    moments = _flavors(collisions.moments(populations, frame), frame, phase_space.n_flavors)
    mean, flux = moments[:, :, 0], moments[:, :, 1:]  # (cell, species, [axis,] group, flavour)
    axes = flux.shape[2]
    # averages over directions times the solid angle (over 2 pi) that the directions fill
    angles = phase_space.angles
    filled = local_rows(angles.weights, cells)[:, 0].sum(axis=1) if angles.complete else 2.0
    filled = np.broadcast_to(filled, mean.shape[:1])[:, None, None]
    density = filled * np.einsum("isgf,g->isf", mean, number)
    energy_density = filled * np.einsum("isgf,g->isf", mean, number * energy)
    second = filled * np.einsum("isgf,g->isf", mean, number * energy**2)
    first = filled[..., None] * np.einsum("isdgf,g->isfd", flux, number)
    empty = density <= 0.0
    safe = np.where(empty, 1.0, density)
    factor = np.where(empty[..., None], 0.0, first / safe[..., None])
    vectors = []
    if axes > 1:
        # on a radial mesh the luminosities say more
        energy_flux = filled[..., None] * np.einsum("isdgf,g->isfd", flux, number * energy)
        vectors.append(
            Field(
                "radiation/energy_flux",
                SPEED_OF_LIGHT * ERG_PER_MEV * energy_flux,
                (*_BY_FLAVOR, "axis"),
                "erg/cm^2/s",
                "energy flux along the axes of the mesh",
            )
        )
    return [
        *vectors,
        Field("radiation/number_density", density, _BY_FLAVOR, "1/cm^3", "number density"),
        Field("radiation/energy_density", ERG_PER_MEV * energy_density, _BY_FLAVOR, "erg/cm^3", "energy density"),
        Field(
            "radiation/mean_energy",
            np.where(empty, 0.0, energy_density / safe),
            _BY_FLAVOR,
            "MeV",
            "mean energy of the local number density",
        ),
        Field(
            "radiation/rms_energy",
            np.where(empty, 0.0, np.sqrt(np.maximum(second / safe, 0.0))),
            _BY_FLAVOR,
            "MeV",
            "root mean square energy of the local number density",
        ),
        Field(
            "radiation/flux_factor",
            factor[..., 0] if axes == 1 else factor,
            _BY_FLAVOR if axes == 1 else (*_BY_FLAVOR, "axis"),
            "1",
            "number flux over c times number density",
        ),
        Field(
            "radiation/mean_occupation",
            np.ascontiguousarray(mean.transpose(0, 1, 3, 2)),
            ("cell", "species", "flavor", "group"),
            "1",
            "occupation averaged over directions",
        ),
    ]


def _flavors(moments: NDArray[np.float64], frame: LevelFrame, n_flavors: int) -> NDArray[np.float64]:
    """Diagonal components as flavours; the two heavy levels of a locked cell are shared out equally."""
    diagonal = moments[..., :DIAGONAL].copy()
    if n_flavors == 3:
        locked = frame.mixed < 0
        heavy = diagonal[locked][..., 1:].mean(axis=-1, keepdims=True)
        diagonal[locked, ..., 1:] = heavy
    return diagonal


def _face_fluxes(
    phase_space: PhaseSpace,
    decomposition: Decomposition,
    advection: AdvectionOperator,
    collisions: CollisionOperator,
    populations: NDArray[np.float64],
    frame: LevelFrame,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fluxes on the faces that this rank owns: (face, species, group, level) and (face, species, group, flavour)."""
    advection.fill_ghosts(populations)
    b = advection.upwind_fraction(collisions.transport_opacity(frame))
    faces, groups = decomposition.size + 1, phase_space.energy.size
    levels = np.empty((faces, 2, groups, frame.component.shape[2]))
    flavors = np.empty((faces, 2, groups, DIAGONAL))
    # a rank without cells owns no face and has nothing to look at
    if decomposition.size:
        face_fluxes(
            populations, HALO, advection.area, b, frame.component, frame.mixed, frame.projector, levels, flavors
        )
    if phase_space.n_flavors == 3 and decomposition.size:
        locked = frame.mixed[np.maximum(np.arange(faces) - 1, 0)] < 0
        flavors[locked, ..., 1:] = flavors[locked][..., 1:].mean(axis=-1, keepdims=True)
    owned = []
    for flux in (levels, flavors):
        # every rank knows the outer faces of its cells; it owns their inner ones
        inner = decomposition.comm.bcast(flux[:1], root=0)
        whole = np.concatenate([inner, decomposition.gather(flux[1:])])
        stop = decomposition.stop + 1 if decomposition.is_last else decomposition.stop
        owned.append(whole[decomposition.start : stop])
    return owned[0], owned[1]
