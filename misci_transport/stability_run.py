"""Linear stability of the cells of a run: from a checkpoint, an output with populations, or a case to run first."""

from __future__ import annotations

import logging
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .block_mesh import BlockMesh
from .config import Case, load_case
from .constants import FERMI_POTENTIAL
from .errors import ConfigurationError, OutputError
from .fields import Field
from .hdf5 import import_h5py
from .io.checkpoint import restore
from .io.output import write_fields
from .io.read import open_output
from .parallel.errors import collective
from .phase_space import local_rows
from .physics.mixing import NoMixing
from .scene import read_scene
from .simulation import make_transport, run_case
from .stability import KINDS, CellState, scan_cells
from .validity.surroundings import BlockSurroundings, RadialSurroundings

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .stability import Scan

logger = logging.getLogger(__name__)

#: Cells that are looked at by default: evenly spread, these many at most.
SAMPLE = 200
#: Growth over the size of the system below which nothing is looked for.
E_FOLDS = 1.0
#: Nor below this fraction of the bound S: round-off of the counts.
SMALLEST = 1.0e-10
#: Wave numbers of the map: K_0 + these times the rate of the cell.
WIDEST = 3.0


@dataclass(frozen=True)
class Request:
    """What `misci stability` was asked for."""

    cells: str = "auto"  #: "auto", "all", or numbers and ranges a:b:c with commas, of the mesh
    floor: float | None = None  #: cm^-1; None: one e-fold over the radius or the extent of the mesh
    waves: int = 61  #: wave numbers of the map; 0: none
    kinds: bool = True
    check: bool = True


def chosen_cells(text: str, total: int) -> NDArray[np.int64]:
    """Global numbers of the cells of "auto", "all" or "3,7,20:40:2".

    Raises
    ------
    ConfigurationError
        If the text is something else, or a cell is not on the mesh.
    """
    if text in ("auto", "all"):
        count = total if text == "all" else min(SAMPLE, total)
        spread: NDArray[np.int64] = np.unique(np.round(np.linspace(0, total - 1, count)).astype(np.int64))
        return spread
    wrong = ConfigurationError(
        f"--cells {text!r}; accepted: auto, all, or numbers and ranges a:b:c from 0 to {total - 1} with commas"
    )
    found: list[int] = []
    for word in text.split(","):
        try:
            parts = [int(part) if part.strip() else None for part in word.split(":")]
        except ValueError:
            raise wrong from None
        if len(parts) == 1 and parts[0] is not None and 0 <= parts[0] < total:
            found.append(parts[0])
        elif len(parts) in (2, 3) and parts[-1] != 0 and all(part is None or part >= 0 for part in parts):
            found += list(range(total))[slice(*parts)]
        else:
            raise wrong
    if not found:
        raise wrong
    return np.unique(np.array(found, dtype=np.int64))


def states_of(transport: Any, fluid: Any, cells: NDArray[np.int64]) -> dict[int, CellState]:
    """Those of this rank's cells that are among the given ones, in the form that `scan_cells` takes (collective).

    A cell whose flavours are locked, or that does not mix, is taken as diagonal in flavour, others by their levels.
    Coherences are damped by emission and absorption.
    """
    collisions, frame = transport.observe(fluid)
    space, mixing, state = transport.phase_space, transport.mixing, transport.state
    if isinstance(mixing, NoMixing):
        vacuum = transport.hamiltonian.vacuum
        # what neutrinos that do not convert would do if they did
        strength = FERMI_POTENTIAL
        fields = strength * state.moments
        fields[:, 0, 0] += transport.hamiltonian.matter_potential(fluid)
        vacuums = np.broadcast_to(vacuum, (fields.shape[0], *vacuum.shape))
    else:
        vacuums, fields = mixing.effective_hamiltonian(state.moments)
        strength = mixing.hamiltonian.strength
    local = transport.decomposition.cells
    weights = local_rows(space.angles.weights, local)
    velocities = local_rows(space.angles.velocity, local)
    rates = collisions.rates
    removal = (rates.emissivity + rates.absorption).transpose(0, 1, 3, 2)
    wanted = set(cells.tolist())
    found = {}
    for i, number in enumerate(transport.decomposition.numbers):
        if int(number) not in wanted:
            continue
        row = 0 if weights.shape[0] == 1 else i
        diagonal = bool(frame.mixed[i] < 0)
        part = slice(i, i + 1)
        occupied = frame.part(part).to_flavors(state.owned[part])[0] if diagonal else state.owned[i]
        arguments: dict[str, Any] = {
            "weight_0": np.abs(weights[row, 0]),
            "number_weight": space.number_weight,
            "vacuum": np.array(vacuums[i]),
            "hamiltonian": np.array(fields[i]),
            "strength": strength,
            "damping": np.maximum(removal[i], 0.0),
        }
        if velocities.shape[2] > 1:
            arguments["velocity"] = velocities[row]
        else:
            arguments |= {"weight_1": weights[row, 1], "direction_cosine": velocities[row, :, 0]}
        found[int(number)] = CellState(np.array(occupied), diagonal, arguments)
    return found


def open_run(target: str | os.PathLike[str], comm: Any, overrides: Sequence[str] = ()) -> tuple[Any, Any, Path]:
    """The transport object and the fluid of a run, and the file they come from (collective).

    target: a checkpoint, an output with populations, a run's directory (its last checkpoint), or a case, which is run.

    Raises
    ------
    MisciError
        The same failure on every rank (ParallelError on those that did not see it themselves).
    """
    path = Path(target)
    if path.suffix == ".toml":
        with collective(comm):
            case = load_case(path, overrides)
        directory = Path(case.output.directory or Path("output") / path.stem)
        path = run_case(case, directory, comm).checkpoints[-1]
    elif overrides:
        raise ConfigurationError(f"--set: accepted with a case file; {path} has its configuration")
    import_h5py(parallel=comm.size > 1)
    with collective(comm):
        path = _last_checkpoint(path)
        with open_output(path) as reader:
            kind, text = reader.kind, reader.configuration
            if kind != "checkpoint" and "populations" not in reader:
                raise OutputError(
                    f"{path} holds no populations; accepted: a checkpoint, or an output with output.populations = true"
                )
        case = Case.model_validate(tomllib.loads(text))
        scene = read_scene(case)
    transport = make_transport(scene.mesh, case.transport, comm, scene.boundary)
    with collective(comm):
        fluid = scene.matter(transport.decomposition)
    if kind == "checkpoint":
        restore(path, transport)
    else:
        _restore_output(path, transport)
    return transport, fluid, path


def _last_checkpoint(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("checkpoint_*.h5"))
    if not found:
        raise OutputError(f"{path}: no checkpoint in it; accepted: a run's directory, a file of it, or a case")
    return found[-1]


def _restore_output(path: Path, transport: Any) -> None:
    """Populations and moments of an output (collective)."""
    with collective(transport.decomposition.comm), open_output(path) as reader:
        cells = transport.decomposition.layout.shape
        total = transport.decomposition.total
        held = {}
        for name, source in (("populations", "populations"), ("moments", "alignment/moments")):
            values = reader.array(source)
            held[name] = values.reshape(total, *values.shape[len(cells) :])
        held |= {name: np.array(float(reader.attributes[name])) for name in ("time", "step")}
        transport.restore(held)


def scan_run(transport: Any, fluid: Any, request: Request) -> tuple[Scan, NDArray[np.int64]]:
    """Fastest modes of the chosen cells (collective).

    Raises
    ------
    MisciError
        The same failure on every rank.
    """
    dec, comm = transport.decomposition, transport.decomposition.comm
    with collective(comm):
        cells = chosen_cells(request.cells, dec.total)
        if request.floor is not None and not request.floor > 0.0:
            raise ConfigurationError(f"--floor is {request.floor!r} cm^-1; accepted: more than 0")
        if request.waves < 0:
            raise ConfigurationError(f"--waves is {request.waves}; accepted: 0 or more")
    states = states_of(transport, fluid, cells)
    block = isinstance(transport.phase_space.mesh, BlockMesh)
    kind: Any = BlockSurroundings if block else RadialSurroundings
    size = kind(transport.phase_space, dec).size
    floors = {}
    for i, number in enumerate(dec.numbers):
        if int(number) in states:
            modes = states[int(number)].modes()
            bound = max((m.bound() for m in modes), default=0.0)
            lowest = E_FOLDS / float(size[i]) if request.floor is None else request.floor
            floors[int(number)] = max(lowest, SMALLEST * bound)
    # closer near K_0, where slow and collisional modes are
    offsets = WIDEST * np.linspace(-1.0, 1.0, request.waves) ** 3 if request.waves else None
    scan = scan_cells(states, floors, comm, offsets=offsets, kinds=request.kinds, check=request.check)
    return scan, cells


def fields_of(scan: Scan, transport: Any) -> list[Field]:
    """The results as fields of a file; all of them are whole."""
    mesh = transport.phase_space.mesh
    block = isinstance(mesh, BlockMesh)
    centers = (mesh.centers if block else mesh.center[:, None])[scan.cell]
    axes = centers.shape[1]
    wave = np.stack([np.resize(entry.wave_number, axes if axes == 3 else 1) for entry in scan.found])
    unknown = np.nan_to_num(wave, nan=0.0)
    kinds = ", ".join(f"{code} {name}" for code, name in enumerate(KINDS))
    one = {
        "growth": ("1/cm", "largest growth rate of modes that the directions resolve; 0: none above the floor"),
        "floor": ("1/cm", "growth below which nothing was looked for"),
        "unresolved": ("1/cm", "largest growth rate of modes of the discrete directions"),
        "kind": ("1", f"of the fastest mode: {kinds}"),
        "without_collisions": ("1/cm", "its growth without damping by collisions"),
        "without_vacuum": ("1/cm", "its growth without collisions and vacuum term"),
        "complete": ("1", "1 where the argument principle agrees that nothing grows faster at this wave number"),
        "frequency": ("1/cm", "Re sigma of the fastest mode"),
        "resolution": ("1", "2 pi times distance over spacing of poles"),
    }
    made = [
        Field(f"stability/{name}", np.nan_to_num(scan.values(name)), ("scanned",), unit, words, "global")
        for name, (unit, words) in one.items()
    ]
    symmetry = np.array([float(entry.block == "transverse") for entry in scan.found])
    made += [
        Field("stability/cell", scan.cell.astype(np.float64), ("scanned",), "1", "number of the cell", "global"),
        Field("stability/center", centers, ("scanned", "axis"), "cm", "centre of the cell (or rad)", "global"),
        Field("stability/wave_number", unknown, ("scanned", "axis"), "1/cm", "of the fastest mode", "global"),
        Field("stability/transverse", symmetry, ("scanned",), "1", "1: breaks the symmetry about the radius", "global"),
    ]
    if scan.curve.shape[1]:
        along: tuple[str, ...] = ("scanned", "wave", "axis")[: scan.wave_number.ndim]
        made += [
            Field(
                "stability/curve_wave_number",
                np.nan_to_num(scan.wave_number),
                along,
                "1/cm",
                "K of the curve",
                "global",
            ),
            Field("stability/curve", scan.curve, ("scanned", "wave"), "1/cm", "growth at K", "global"),
        ]
    return made


def stability_of(target: str, output: str | None, comm: Any, request: Request, overrides: Sequence[str] = ()) -> Path:
    """Scan a run and write its stability beside the file it comes from, or into ``output`` (collective).

    Raises
    ------
    MisciError
        The same failure on every rank (ParallelError on those that did not see it themselves).
    """
    transport, fluid, source = open_run(target, comm, overrides)
    scan, _ = scan_run(transport, fluid, request)
    path = Path(output) if output else source.with_name(f"stability_{source.stem}.h5")
    with collective(comm):
        if comm.rank == 0:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{path.parent} cannot be written: {error.strerror}") from None
    space = transport.phase_space
    geometry = space.mesh.geometry
    attributes = {"source": source.name, "geometry": geometry, "time": float(transport.state.time)}
    return write_fields(path, fields_of(scan, transport), attributes, transport.decomposition)


def report(path: Path) -> list[str]:
    """What was found, in words."""
    with open_output(path) as reader:
        growth, kind = reader["stability/growth"], reader["stability/kind"].astype(int)
        unresolved, complete = reader["stability/unresolved"], reader["stability/complete"]
        center = reader["stability/center"]
    lines = []
    for code, name in enumerate(KINDS):
        here = np.flatnonzero(kind == code) if code else np.flatnonzero(growth == 0.0)
        if here.size and code:
            top = here[np.argmax(growth[here])]
            place = ", ".join(f"{x:.4g}" for x in center[top])
            lines.append(f"{name}: {here.size} of {growth.size} cells, up to {growth[top]:.3e} cm^-1 at ({place})")
        elif here.size:
            lines.append(f"{name}: {here.size} of {growth.size} cells")
    some = int(np.count_nonzero((unresolved > 0.0) & (growth == 0.0)))
    if some:
        lines.append(f"{some} of the stable cells have modes of the discrete directions only")
    if not complete.all():
        lines.append(f"{int(np.count_nonzero(complete == 0.0))} cells where faster modes cannot be excluded")
    return lines


__all__ = ["Request", "chosen_cells", "open_run", "report", "scan_run", "stability_of", "states_of"]
