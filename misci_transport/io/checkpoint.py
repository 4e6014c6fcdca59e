"""Checkpoints: the state of a run, independent of the number of ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CheckpointError
from ..fields import Field
from ..parallel.errors import collective
from .output import write_fields
from .read import open_checkpoint

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def write_checkpoint(
    path: str | os.PathLike[str], transport: Any, attributes: Mapping[str, Any], extra: Sequence[Field] = ()
) -> Path:
    """Write what a restart needs: ``transport.checkpoint()`` and the phase space that it belongs to. Collective."""
    fields = [*_grids(transport), *transport.checkpoint().values(), *extra]
    return write_fields(path, fields, attributes, transport.decomposition, kind="checkpoint")


def restore(path: str | os.PathLike[str], transport: Any) -> None:
    """Put the state of a checkpoint into ``transport``. Collective; the transport takes each rank's cells.

    Raises
    ------
    CheckpointError
        If the file is truncated, is not a checkpoint, or belongs to another mesh, directions, energies or flavours.
    """
    space = transport.phase_space
    with collective(transport.decomposition.comm), open_checkpoint(path) as reader:
        for grid in _grids(transport):
            stored = reader.array(grid.name)
            if not np.array_equal(stored, grid.values):
                raise CheckpointError(
                    f"{path}: {grid.name} of the checkpoint ({_range(stored)}) differs from that of the run "
                    f"({_range(grid.values)})"
                )
        cells = transport.decomposition.layout.shape
        moments = (*cells, *transport.state.moments.shape[1:])
        for name, expected, axes in (
            ("populations", (*cells, *space.cell_shape), "cell, direction, species, group, level"),
            ("moments", moments, "cell, order, component; the number of flavours squared"),
        ):
            if reader.shape(name) != expected:
                raise CheckpointError(
                    f"{path}: {name} have shape {reader.shape(name)}; accepted for this run: {expected} ({axes})"
                )
        held = {name: reader.array(name) for name in reader.names}
        for name in reader.names:
            if reader.describe(name)["placement"] == "cell":
                held[name] = held[name].reshape(space.mesh.size, *held[name].shape[len(cells) :])
        transport.restore(held)


def _grids(transport: Any) -> list[Field]:
    """Faces of the mesh and centres of the energy groups, which a restart must share."""
    center = transport.phase_space.energy.center
    return [
        *(field for field in transport.domain.mesh_fields() if field.name.startswith("mesh/")),
        Field("energy/center", center, ("group",), "MeV", "centres of the energy groups", "global"),
    ]


def _range(values: Any) -> str:
    return f"{values.size} values from {values[0]:.6g} to {values[-1]:.6g}"
