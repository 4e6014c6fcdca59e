"""All pictures of one output file."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError
from ..io.read import Reader, open_output
from . import beyond, cuts, kinetics, pictures, stability_map
from .style import save

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Name of the picture, the fields it needs, the function.
PICTURES: tuple[tuple[str, tuple[str, ...], Callable[..., Any]], ...] = (
    ("luminosity", ("radiation/luminosity", "radiation/rms_energy"), pictures.luminosities),
    ("spectra", ("radiation/number_spectrum",), pictures.spectra),
    ("survival", ("survival/surface", "survival/surface_from_levels"), pictures.survival),
    ("hamiltonian", ("mesh/face", "mixing/matter_potential", "mixing/self_interaction"), pictures.hamiltonian),
    ("levels", ("mixing/electron_content", "mixing/level_number_luminosity"), pictures.levels),
    ("solver", ("mesh/face", "alignment/iterations", "alignment/residual", "alignment/locked"), pictures.solver),
    ("heating", ("mesh/face", "sources/heating_per_baryon", "sources/deleptonization_per_baryon"), pictures.heating),
    ("ledger", ("history/time",), pictures.ledger),
    ("thermodynamics", ("mesh/face", "thermodynamics/change", "thermodynamics/scale"), pictures.thermodynamics),
)
#: Pictures of files that `misci stability` writes.
SCANS: tuple[tuple[str, tuple[str, ...], Callable[..., Any]], ...] = (
    ("map", ("stability/growth", "stability/center"), stability_map.stability),
)
#: The same for runs of the quantum kinetic equation.
BOX_PICTURES: tuple[tuple[str, tuple[str, ...], Callable[..., Any]], ...] = (
    ("conversion", ("series/survival", "series/coherence", "series/refractive_energy"), kinetics.conversion),
    ("content", ("map/electron_content", "series/time", "box/position"), kinetics.content),
    ("angles", ("series/average", "directions/cosine"), kinetics.angles),
)
#: The same for encounter gases and many-body states.
BEYOND_PICTURES: tuple[tuple[str, tuple[str, ...], Callable[..., Any]], ...] = (
    ("groups", ("groups/polarization", "groups/total_axis", "realizations/polarization"), beyond.groups),
    ("entanglement", ("groups/length", "groups/entropy"), beyond.entanglement),
    ("neutrinos", ("neutrinos/polarization", "neutrinos/entropy"), beyond.neutrinos),
)
#: Pictures that also show another run of the same star, and the name of its file.
_COMPANIONS = {"spectra": "steady_without_mixing.h5", "survival": "steady_without_self_interaction.h5"}


def plot_output(path: str | os.PathLike[str], directory: str | os.PathLike[str]) -> list[Path]:
    """Make every picture that the output's fields allow, as NAME_PICTURE.png in ``directory``.

    Raises
    ------
    OutputError
        If the file cannot be read, holds nothing to show, or the directory cannot be written.
    MissingDependencyError
        If matplotlib cannot be imported.
    """
    path, directory = Path(path), Path(directory)
    made = []
    with ExitStack() as stack:
        reader = stack.enter_context(open_output(path))
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"directory of pictures {directory} cannot be written: {error.strerror}") from None
        for name, needed, draw in (*PICTURES, *BOX_PICTURES, *SCANS, *BEYOND_PICTURES):
            if not all(field in reader for field in needed):
                logger.debug("%s: no picture %s, fields are missing", path, name)
                continue
            other = _companion(path, name, stack)
            figure = draw(reader) if other is None else draw(reader, other)
            made.append(_saved(figure, directory / f"{path.stem}_{name}.png"))
        if cuts.is_block(reader):
            for name, figure in cuts.figures(reader).items():
                made.append(_saved(figure, directory / f"{path.stem}_{name}.png"))
    if not made:
        raise OutputError(f"{path}: none of its fields has a picture; found {', '.join(reader.names)}")
    return made


def _saved(figure: Any, target: Path) -> Path:
    try:
        return save(figure, target)
    except OSError as error:
        raise OutputError(f"picture {target} cannot be written: {error.strerror or error}") from None


def _companion(path: Path, name: str, stack: ExitStack) -> Reader | None:
    if name not in _COMPANIONS or path.name != "steady.h5":
        return None
    other = path.with_name(_COMPANIONS[name])
    return stack.enter_context(open_output(other)) if other.is_file() else None
