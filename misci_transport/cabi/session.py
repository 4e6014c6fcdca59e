"""A host's side of the transport in terms of its own arrays: what the C interface does, in Python."""

from __future__ import annotations

import time
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from ..block_mesh import BlockMesh
from ..config import BoundarySection
from ..errors import ConfigurationError, UnphysicalInputError
from ..fluid import Fluid
from ..grid import RadialMesh
from ..io.checkpoint import restore, write_checkpoint
from ..options import TransportOptions
from ..parallel.errors import collective
from ..phase_space import local_rows
from ..physics.boundary import Boundary
from ..physics.conserved_mixing import ConservedMixing
from ..plugin import Transport
from ..scene import build_boundary
from .distribution import ROUTED, SAME, Distribution, own_block
from .remesh import Remesh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ..physics.block_boundary import BlockBoundary
    from ..physics.exchange import Sources

    #: Views of a host's arrays on the cells of one block without ghosts, (n0, n1, n2) with any strides, by field.
    Block = Mapping[str, NDArray[np.float64]]

GEOMETRIES = ("radial", "plane", "cartesian", "spherical")
_VELOCITIES = ("velocity_1", "velocity_2", "velocity_3")
#: What a host gives on a block, and what it gets there; the order is that of the C interface.
INPUTS = (
    *("mass_density", "temperature", "electron_fraction"),
    *_VELOCITIES,
    *(field.name for field in fields(Fluid)[4:]),
)
OUTPUTS = ("energy_source", "lepton_source", "momentum_source_1", "momentum_source_2", "momentum_source_3")
FIELDS = (*INPUTS, *OUTPUTS)
_NEEDED = INPUTS[:3]


class HostOptions(TransportOptions):
    """Sections of :class:`TransportOptions`, and the ends of the mesh."""

    boundary: BoundarySection = Field(default_factory=BoundarySection)

    @property
    def transport(self) -> TransportOptions:
        """The options of the transport alone."""
        return TransportOptions(**{name: getattr(self, name) for name in TransportOptions.model_fields})


@dataclass
class Traffic:
    """Values (one of a field in a cell) that came from and went to this rank's blocks so far, and seconds."""

    viewed: int = 0  #: used where the host has them
    copied: int = 0  #: copied on this rank
    routed: int = 0  #: of those copied, sent through messages
    calls: int = 0
    seconds: float = 0.0  #: in calls that step or solve
    transport_seconds: float = 0.0  #: of these, in the transport itself


class Session:
    """One transport for a host that has a communicator, configuration text, a mesh in blocks, and arrays.

    All methods are collective over the communicator unless they say otherwise, and errors are raised on all ranks
    together. No array of the host is kept after a call.

    Parameters
    ----------
    comm
        mpi4py communicator; duplicated once, and freed by `close`.
    config
        TOML text, or the path of a TOML file, with sections of the user guide; "" takes the defaults.
    """

    def __init__(self, comm: Any, config: str = "") -> None:
        self.comm = comm.Dup()
        try:
            with collective(self.comm):
                self.options = read_options(config)
        except Exception:
            self.comm.Free()
            raise
        self.transport: Transport | None = None
        self.distribution: Distribution | None = None
        self.traffic = Traffic()
        self._remeshed = {"regrids": 0.0, "regrid cells uncovered": 0.0, "regrid neutrinos lost": 0.0}
        self._kept: dict[str, NDArray[np.float64]] | None = None

    # -- mesh --------------------------------------------------------------------------------------------------

    def set_mesh(
        self,
        geometry: str,
        faces: Sequence[NDArray[np.float64]],
        lower: NDArray[np.int64] | None = None,
        cells: NDArray[np.int64] | None = None,
    ) -> None:
        """Build the transport on a mesh, empty of neutrinos.

        Parameters
        ----------
        geometry
            "radial" (spherical symmetry), "plane" (symmetry), "cartesian" or "spherical" (up to three dimensions).
        faces
            Along each axis of the whole mesh, cm and radians, the same on all ranks; one axis, or three.
        lower, cells
            (block, 3) first cell and number of cells of this rank's blocks along three axes (radial: 0 and 1 along the
            others); None on all ranks: the transport's own cut, see `own_block`.

        Raises
        ------
        ConfigurationError, UnphysicalInputError
            If there is a mesh already, or options, faces or blocks are wrong.
        """
        with collective(self.comm):
            if self.transport is not None:
                raise ConfigurationError("the mesh is there already; accepted: regrid")
        transport = self._build(geometry, faces)
        self.distribution = self._distribution(transport, lower, cells)
        self.transport = transport

    def regrid(
        self,
        geometry: str,
        faces: Sequence[NDArray[np.float64]],
        lower: NDArray[np.int64] | None = None,
        cells: NDArray[np.int64] | None = None,
    ) -> None:
        """Go on with other faces or other blocks, arguments as in `set_mesh`; neutrinos are kept.

        With the same faces only blocks change, and nothing happens to the state. On other faces of the same geometry
        populations are volume averages (`remesh`), aligned anew at the next step. What is kept of `keep` is forgotten.

        Raises
        ------
        ConfigurationError
            Without a mesh, for another geometry, or, with other faces, if directions belong to cells
            (angles.kind = "hybrid") or charges are conserved; nothing has changed then.
        """
        old = self._running()
        mesh = old.phase_space.mesh
        with collective(self.comm):
            new_mesh = _mesh(geometry, faces)
            if not _alike(mesh, new_mesh):
                raise ConfigurationError(
                    f"the mesh is of geometry {geometry!r}; accepted by regrid: that of the first mesh"
                )
            same = all(np.array_equal(a, b) for a, b in zip(_faces(mesh), _faces(new_mesh), strict=True))
            if not same and isinstance(new_mesh, RadialMesh) and self.options.angles.kind == "hybrid":
                raise ConfigurationError(
                    'angles.kind is "hybrid", whose directions belong to their cells; accepted for regrid to other '
                    'faces: "ordinates" or "radial" (or a new session and a steady solve)'
                )
            if not same and isinstance(old.mixing, ConservedMixing):
                raise ConfigurationError(
                    'alignment.charges are conserved; accepted for regrid to other faces: "none", and bin_average "off"'
                )
        if same:
            self.distribution = self._distribution(old, lower, cells)
            return
        new = self._build(geometry, faces)
        distribution = self._distribution(new, lower, cells)
        remesh = Remesh(mesh, old.decomposition, new_mesh, new.decomposition)
        held = {
            name: remesh(field.values) if field.placement == "cell" else np.asarray(field.values)
            for name, field in old.checkpoint().items()
        }
        new.restore(held, local=True, aligned=False)
        self._remeshed["regrids"] += 1.0
        self._remeshed["regrid cells uncovered"] += remesh.uncovered
        self._remeshed["regrid neutrinos lost"] += self._neutrinos(old) - self._neutrinos(new)
        self.transport, self.distribution, self._kept = new, distribution, None

    def own_block(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(block, 3) first cell and number of cells that the transport's own cut gives this rank; not collective.

        A host that holds exactly this block with the first axis fastest and without ghosts is not copied.
        """
        return own_block(self._running().decomposition)

    # -- neutrinos ---------------------------------------------------------------------------------------------

    def step(self, blocks: Sequence[Block], dt: float) -> None:
        """Advance the neutrinos by dt seconds over the matter of the blocks; write sources into the blocks.

        Arrays by the names of `FIELDS`: mass density, temperature and electron fraction are needed, velocities too on
        resolved axes; composition and the rest as in `Fluid`. Sources that a block has no array for are not written.

        Raises
        ------
        UnphysicalInputError, TableError, ConvergenceError
            As `Transport.step`; the state is that of before the step, and no source is written.
        """
        self._run(blocks, lambda transport, fluid: transport.step(fluid, dt))

    def step_implicit(self, blocks: Sequence[Block], dt: float) -> None:
        """Advance by one implicit step of any length (`Transport.step_implicit`); otherwise as `step`."""
        self._run(blocks, lambda transport, fluid: transport.step_implicit(fluid, dt))

    def solve_steady(self, blocks: Sequence[Block]) -> None:
        """Replace the neutrinos by the stationary state over the blocks' matter, and write its sources."""

        def solve(transport: Transport, fluid: Fluid) -> Sources:
            transport.solve_steady(fluid)
            assert transport.sources is not None
            return transport.sources

        self._run(blocks, solve)

    def max_dt(self) -> float:
        """Recommended step, s; with moving matter that of the last fluid. Not collective."""
        return self._running().max_dt()

    def diagnostics(self, measure: bool = False) -> tuple[dict[str, float], list[str]]:
        """Totals and counts by name, and the lines of the validity monitor.

        Names begin with "alignment", "validity", "ledger" (MeV and numbers), or "coupling" (values handed over as
        views, copied and routed; seconds). With ``measure`` the validity of the present state is measured now.
        """
        transport = self._running()
        if measure:
            transport.measure_validity()
        numbers, lines = transport.validity_summary()
        traffic = self.traffic
        counts = self.comm.allreduce(np.array([traffic.viewed, traffic.copied, traffic.routed], dtype=np.float64))
        found = {"time": transport.state.time, "steps": float(transport.state.step)}
        found |= {f"alignment {name}": value for name, value in transport.alignment_summary().items()}
        found |= {f"validity {name}": value for name, value in numbers.items()}
        found |= {f"ledger {name}": value for name, value in transport.ledger().items()}
        found |= {
            f"coupling values {name}": float(count)
            for name, count in zip(("viewed", "copied", "routed"), counts, strict=True)
        }
        found["coupling calls"] = float(traffic.calls)
        found["coupling seconds"] = traffic.seconds
        found["coupling seconds of transport"] = traffic.transport_seconds
        found |= {f"coupling {name}": value for name, value in self._remeshed.items()}
        return found, lines

    # -- going back --------------------------------------------------------------------------------------------

    def checkpoint(self, path: str) -> None:
        """Write a checkpoint file, which any number of ranks can restore."""
        write_checkpoint(path, self._running(), {})

    def restore(self, path: str) -> None:
        """Take up a checkpoint file of the same mesh, directions, energies and flavours."""
        restore(path, self._running())

    def keep(self) -> None:
        """Keep the present state in memory, in place of the one kept before; each rank its part."""
        held = self._running().checkpoint()
        self._kept = {name: np.array(field.values) for name, field in held.items()}

    def go_back(self) -> None:
        """Return to the state of `keep`, which stays kept.

        Raises
        ------
        ConfigurationError
            If there is none.
        """
        transport = self._running()
        with collective(self.comm):
            if self._kept is None:
                raise ConfigurationError("no state is kept; accepted after keep, on the same faces")
        assert self._kept is not None
        transport.restore(self._kept, local=True)

    def close(self) -> None:
        """Forget everything and free the communicator."""
        self.transport = self.distribution = self._kept = None
        if self.comm is not None:
            self.comm.Free()
            self.comm = None

    # -- within ------------------------------------------------------------------------------------------------

    def _running(self) -> Transport:
        if self.transport is None:
            raise ConfigurationError("no mesh yet; accepted: the mesh before anything else")
        return self.transport

    def _build(self, geometry: str, faces: Sequence[NDArray[np.float64]]) -> Transport:
        with collective(self.comm):
            mesh = _mesh(geometry, faces)
            boundary = _boundary(self.options.boundary, mesh)
        first = self.comm.bcast([face.tobytes() for face in _faces(mesh)])
        with collective(self.comm):
            if first != [face.tobytes() for face in _faces(mesh)]:
                raise ConfigurationError(
                    f"faces of the mesh on rank {self.comm.rank} differ from those on rank 0; accepted: the whole "
                    "mesh, the same on all ranks"
                )
        return Transport(mesh, self.options.transport, self.comm, boundary)

    def _distribution(self, transport: Transport, lower: Any, cells: Any) -> Distribution:
        decomposition = transport.decomposition
        if lower is None or cells is None:
            lower, cells = own_block(decomposition)
        return Distribution(_shape(transport.phase_space.mesh), lower, cells, decomposition)

    def _run(self, blocks: Sequence[Block], work: Callable[[Transport, Fluid], Sources]) -> None:
        start = time.perf_counter()
        transport = self._running()
        fluid = self._fluid(blocks)
        began = time.perf_counter()
        sources = work(transport, fluid)
        self.traffic.transport_seconds += time.perf_counter() - began
        self._give(blocks, sources)
        self.traffic.seconds += time.perf_counter() - start
        self.traffic.calls += 1

    def _fluid(self, blocks: Sequence[Block]) -> Fluid:
        """Matter on the transport's own cells: views of the host's arrays where their layout is the transport's."""
        distribution, traffic = self.distribution, self.traffic
        assert distribution is not None
        with collective(self.comm):
            names = self._names(blocks)
        every, some = (self.comm.allgather(names) if self.comm.size > 1 else [names]), set()
        # a rank without blocks takes part with what the others have
        holding = [found for found in every if found is not None]
        some = {name for found in holding for name in found}
        with collective(self.comm):
            for found in holding:
                if set(found) != some:
                    raise UnphysicalInputError(
                        f"fields {', '.join(sorted(some - set(found)))} are given on some ranks only; accepted: the "
                        "same fields in all blocks"
                    )
        given = [name for name in INPUTS if name in some]
        flat = {name: self._joined([block[name] for block in blocks]) for name in given}
        if distribution.way != SAME:
            rows = np.empty((distribution.size, len(given)))
            for column, name in enumerate(given):
                rows[:, column] = flat[name]
            traffic.copied += rows.size
            if distribution.way == ROUTED:
                traffic.routed += rows.size
            rows = distribution.to_transport(rows)
            flat = {name: np.ascontiguousarray(rows[:, column]) for column, name in enumerate(given)}
        size = distribution.decomposition.size
        speeds = [flat.pop(name) if name in flat else np.zeros(size) for name in _VELOCITIES]
        block = isinstance(self._running().phase_space.mesh, BlockMesh)
        velocity = np.stack(speeds, axis=1) if block else speeds[0]
        return Fluid(**flat, velocity=velocity)

    def _names(self, blocks: Sequence[Block]) -> tuple[str, ...] | None:
        """Fluid fields that this rank's blocks have; checks their shapes. None without blocks."""
        distribution, mesh = self.distribution, self._running().phase_space.mesh
        assert distribution is not None
        if len(blocks) != distribution.cells.shape[0]:
            raise UnphysicalInputError(
                f"{len(blocks)} blocks on rank {self.comm.rank}; accepted: {distribution.cells.shape[0]}, as the mesh "
                "has there"
            )
        axes = mesh.resolved if isinstance(mesh, BlockMesh) else (0,)
        momentum = 3 if isinstance(mesh, BlockMesh) else 1
        needed = {*_NEEDED, *(_VELOCITIES[axis] for axis in axes)}
        refused = set() if momentum == 3 else {*_VELOCITIES[1:], *OUTPUTS[3:]}
        for number, block in enumerate(blocks):
            unknown, missing = set(block) - set(FIELDS) | set(block) & refused, needed - set(block)
            if unknown or missing:
                words = [f"has {name}" for name in sorted(unknown)] + [f"lacks {name}" for name in sorted(missing)]
                raise UnphysicalInputError(
                    f"block {number} {', '.join(words)}; accepted on this mesh: "
                    f"{', '.join(name for name in FIELDS if name not in refused)}; "
                    f"needed: {', '.join(sorted(needed))}"
                )
            expected = tuple(distribution.cells[number].tolist())
            for name, values in block.items():
                if values.shape != expected or values.dtype != np.float64:
                    raise UnphysicalInputError(
                        f"{name} of block {number} has shape {values.shape} and type {values.dtype}; accepted: "
                        f"{expected}, float64"
                    )
            if set(block) - set(OUTPUTS) != set(blocks[0]) - set(OUTPUTS):
                raise UnphysicalInputError(
                    f"block {number} has other fields than block 0; accepted: the same fields in all blocks"
                )
        return tuple(name for name in INPUTS if name in blocks[0]) if blocks else None

    def _joined(self, views: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Values of one field on this rank's blocks, the first axis fastest; a view if the host has them so."""
        if len(views) == 1 and views[0].flags.f_contiguous:
            self.traffic.viewed += views[0].size
            flat: NDArray[np.float64] = np.reshape(views[0], -1, order="F")
            return flat
        joined: NDArray[np.float64] = np.concatenate([np.empty(0), *(view.ravel(order="F") for view in views)])
        self.traffic.copied += joined.size
        return joined

    def _give(self, blocks: Sequence[Block], sources: Sources) -> None:
        """Write sources into the host's arrays."""
        distribution, traffic = self.distribution, self.traffic
        assert distribution is not None
        momentum = sources.momentum.reshape(sources.energy.size, -1)
        rows = np.column_stack([sources.energy, sources.lepton_number, momentum])
        rows = distribution.to_host(rows)
        if distribution.way == ROUTED:
            traffic.routed += rows.size
        ends = zip(blocks, distribution.cells, distribution.bounds[:-1], distribution.bounds[1:], strict=True)
        for block, cells, low, high in ends:
            for column, name in enumerate(OUTPUTS[: rows.shape[1]]):
                if name in block:
                    block[name][...] = rows[low:high, column].reshape(cells, order="F")
                    traffic.copied += int(high - low)

    @staticmethod
    def _neutrinos(transport: Transport) -> float:
        """Number of neutrinos and antineutrinos on the whole mesh (in flat volume). Collective."""
        space, decomposition = transport.phase_space, transport.decomposition
        owned = transport.state.owned
        weight = local_rows(space.angles.weights, decomposition.cells)[:, 0]
        content = np.einsum("cmsgk,g->cm", owned, space.number_weight)
        density = (content * np.broadcast_to(weight, content.shape)).sum(axis=1)
        volume = space.mesh.volume_at(decomposition.numbers)
        total = decomposition.gather(density * volume).sum()
        return float(total) * float(transport.domain.whole)


def read_options(config: str) -> HostOptions:
    """Options from TOML text, or from a file if the text is no assignment and no table.

    Raises
    ------
    ConfigurationError
        Naming the key, or saying why the file or the text cannot be read.
    """
    text, where, base = config, "configuration", None
    if config.strip() and not any(sign in config for sign in "=[\n"):
        path = Path(config)
        where, base = str(path), path.resolve().parent
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"configuration file {path} cannot be read ({error}); accepted: a TOML file, or TOML text"
            ) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where} is not valid TOML: {error}") from None
    collisions = data.get("collisions")
    if base is not None and isinstance(collisions, dict) and isinstance(collisions.get("table"), str):
        collisions["table"] = str(base / collisions["table"])
    try:
        return HostOptions(**data)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _mesh(geometry: str, faces: Sequence[NDArray[np.float64]]) -> RadialMesh | BlockMesh:
    if geometry not in GEOMETRIES:
        raise ConfigurationError(f"geometry is {geometry!r}; accepted: {', '.join(GEOMETRIES)}")
    given = [np.array(face, dtype=np.float64) for face in faces]
    if geometry in ("radial", "plane"):
        if len(given) != 1:
            raise ConfigurationError(f"faces of {len(given)} axes; accepted in geometry {geometry!r}: one")
        return RadialMesh(given[0], "spherical" if geometry == "radial" else "plane")
    if len(given) != 3:
        raise ConfigurationError(f"faces of {len(given)} axes; accepted in geometry {geometry!r}: three")
    return BlockMesh(geometry, (given[0], given[1], given[2]))


def _boundary(section: BoundarySection, mesh: RadialMesh | BlockMesh) -> Boundary | BlockBoundary | None:
    """What the section says of the ends; the first entry of each side on radial meshes."""
    if isinstance(mesh, BlockMesh):
        return build_boundary(section, mesh)
    kinds = {"outflow": "inflow", "reflecting": "reflecting"}
    chosen = {"inner": "reflecting", "outer": "inflow"}
    for end, key, wanted in (("inner", "low", section.low), ("outer", "high", section.high)):
        if wanted[0] == "periodic" or wanted[1:] != ["auto", "auto"]:
            raise ConfigurationError(
                f'boundary.{key} is {wanted}; accepted on radial meshes: "auto", "outflow" or "reflecting", and "auto" '
                "for the axes that are not there"
            )
        if wanted[0] != "auto":
            chosen[end] = kinds[wanted[0]]
        elif end == "inner" and mesh.geometry == "spherical" and mesh.face[0] > 0.0:
            # nothing enters through an inner radius unless the host says that it reflects
            chosen[end] = "inflow"
    return Boundary(chosen["inner"], chosen["outer"])


def _alike(old: RadialMesh | BlockMesh, new: RadialMesh | BlockMesh) -> bool:
    return type(old) is type(new) and old.geometry == new.geometry


def _faces(mesh: RadialMesh | BlockMesh) -> tuple[NDArray[np.float64], ...]:
    return mesh.faces if isinstance(mesh, BlockMesh) else (mesh.face,)


def _shape(mesh: RadialMesh | BlockMesh) -> tuple[int, int, int]:
    return mesh.shape if isinstance(mesh, BlockMesh) else (mesh.size, 1, 1)
