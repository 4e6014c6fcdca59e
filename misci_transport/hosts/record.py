"""The record of a fluid code's snapshot: blocks of cells at several levels, read block by block.

    HostFile     what a format's adapter returns: where the blocks lie, which variables they have, how to read one
    BlockPlace   faces of a block, its level, who wrote it, which of its cells finer blocks cover
    NeutrinoMoments  what a code that transports neutrinos itself has of them

Blocks are logically rectangular with axes (x, y, z), (R, z, phi) or (r, theta, phi); arrays of a block are
(n2, n1, n0), axis 0 last. An axis that the code does not resolve has one cell that spans all of it (a unit length in
Cartesian coordinates), so that volumes are whole. Levels overlap: covered cells count nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_mesh import shell_factors
from ..errors import ConfigurationError, MisciError, ProfileError
from .mapping import FieldMap, FieldSource
from .units import CODE, FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

AXES = {"cartesian": ("x", "y", "z"), "cylindrical": ("R", "z", "phi"), "spherical": ("r", "theta", "phi")}
#: Range of an angle that is not resolved, by geometry and axis.
WHOLE = {
    ("spherical", 1): (0.0, float(np.pi)),
    ("spherical", 2): (0.0, 2.0 * float(np.pi)),
    ("cylindrical", 2): (0.0, 2.0 * float(np.pi)),
    ("cylindrical", 1): (0.0, 1.0),
    ("cartesian", 1): (0.0, 1.0),
    ("cartesian", 2): (0.0, 1.0),
}

#: What the cells of a file are: parts of a volume, or points of a line or of no order, which have no mass.
EXTENTS = ("volume", "line", "points")

#: What libraries raise over damaged files where no check of an adapter has found the damage before.
DAMAGE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    MemoryError,
)

Faces = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


@dataclass(frozen=True)
class BlockPlace:
    """Where a block of cells lies; lengths in the file's unit, angles in radians."""

    faces: Faces  #: (cells of the axis + 1,) each, increasing
    level: int = 0  #: of refinement, 0 the coarsest
    owner: int = 0  #: the process that wrote it, where known
    covered: NDArray[np.bool_] | None = None  #: (n2, n1, n0) cells that finer blocks hold; None: none

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n2, n1, n0) cells, axis 0 last."""
        n0, n1, n2 = (face.size - 1 for face in self.faces)
        return n2, n1, n0

    @property
    def cells(self) -> int:
        """Number of cells, covered ones among them."""
        n2, n1, n0 = self.shape
        return n2 * n1 * n0


@dataclass(frozen=True)
class NeutrinoMoments:
    """Energy and flux of neutrinos as a code with moments has them, on the cells of a block."""

    energy: NDArray[np.float64]  #: (species, group, n2, n1, n0) energy, or number, or occupation: see kind
    flux: NDArray[np.float64] | None  #: (species, group, axis, n2, n1, n0)
    species: tuple[str, ...]  #: what the code calls them, and how many flavours one stands for
    flavors_each: tuple[int, ...]  #: flavours that a species stands for (summed, or each alike: see kind)
    frame: str  #: "fluid", "laboratory", or "not said"
    kind: str  #: such as "energy per volume and group, summed over flavours, erg/cm^3"
    group_edges: NDArray[np.float64] | None = None  #: (group + 1,) MeV


@dataclass
class HostFile:
    """A snapshot of a fluid code, opened: everything but the cells' values is here.

    ``read_variable(block, name)`` gives a variable of the file on a block, (n2, n1, n0) as stored, and is called on
    the rank that wants it; ``read_moments(block)`` likewise, or None.
    """

    path: Path
    format: str  #: the adapter's name
    code: str  #: who wrote it
    geometry: str  #: a key of AXES
    blocks: list[BlockPlace]
    variables: tuple[str, ...]  #: names in the file
    read_variable: Callable[[int, str], NDArray[np.float64]]
    own_map: FieldMap  #: what the adapter knows of fields and units
    length: float | None = 1.0  #: cm per unit of the blocks' faces; None: nobody knows
    fixed_length: bool = False  #: `length` is certain: a map's [units] do not change it, or are refused
    resolved: tuple[int, ...] = (0, 1, 2)  #: axes that the code resolves
    time: float | None = None  #: in the file's unit
    time_unit: str = "s"  #: or "code"
    read_moments: Callable[[int], NeutrinoMoments] | None = None
    notes: tuple[str, ...] = ()  #: what a reader of the numbers should know
    citation: str = ""
    extent: str = "volume"  #: of EXTENTS
    attributes: dict[str, Any] = field(default_factory=dict)  #: what else the file says, for people
    profile: Callable[[], Any] | None = None  #: the same as a stellar profile, where the format is one
    map: FieldMap = field(init=False)

    def __post_init__(self) -> None:
        if self.geometry not in AXES:
            raise ProfileError(f"{self.path}: geometry is {self.geometry!r}; accepted: {', '.join(AXES)}")
        if self.extent not in EXTENTS:
            raise ProfileError(f"{self.path}: extent is {self.extent!r}; accepted: {', '.join(EXTENTS)}")
        if not self.blocks:
            raise ProfileError(f"{self.path}: no block of cells in it")
        for number, place in enumerate(self.blocks):
            for axis, face in enumerate(place.faces):
                if not (np.isfinite(face).all() and (np.diff(face) > 0.0).all()):
                    raise ProfileError(
                        f"{self.path}: faces of block {number} along {AXES[self.geometry][axis]} do not increase; "
                        "accepted: finite numbers, each greater than the one before"
                    )
        self.map = self.own_map

    # -- fields ------------------------------------------------------------------------------------------------

    def source(self, name: str) -> FieldSource | None:
        """Where a field comes from, or None if the file has it not."""
        source = self.map.fields.get(name)
        if source is None:
            return None
        if source.value is None:
            wanted = [*source.names, *([source.divide_by] if source.divide_by else [])]
            if not wanted or any(variable not in self.variables for variable in wanted):
                return None
        return source

    @cached_property
    def present(self) -> tuple[str, ...]:
        """Fields that the file has, in the order of the list of all."""
        return tuple(name for name in FIELDS if self.source(name) is not None)

    def unit(self, name: str) -> str:
        """Unit that `field` returns a present field in: ours, or "code"."""
        source = self.source(name)
        assert source is not None
        return CODE if source.scale(name, self.map.units) is None else FIELDS[name][0]

    def require(self, names: Iterable[str]) -> None:
        """Check that fields are present, in units that are known.

        Raises
        ------
        ProfileError
            Naming what is missing, what the map asked for, and what the file has.
        """
        missing = [name for name in names if self.source(name) is None]
        if missing:
            asked = [
                f"{name} (from {', '.join(self.map.fields[name].names)})" if name in self.map.fields else name
                for name in missing
            ]
            raise ProfileError(
                f"{self.path}: missing {', '.join(asked)}; the file has the variables {', '.join(self.variables)}; "
                "accepted: a map that names them, [fields.NAME] with name or value"
            )
        unknown = [name for name in names if self.unit(name) == CODE]
        if unknown or self.length is None:
            what = ", ".join([*(["lengths"] if self.length is None else []), *unknown])
            raise ProfileError(
                f"{self.path}: units of {what} are the code's own; accepted: a map with [units], or with "
                "[fields.NAME] unit"
            )

    def field(self, block: int, name: str) -> NDArray[np.float64]:
        """A field on a block, (n2, n1, n0) or (3, n2, n1, n0) for vectors, in the unit that `unit` names.

        Raises
        ------
        ProfileError
            If the file has it not, or it cannot be read, or values are not finite in cells that count.
        """
        source = self.source(name)
        if source is None:
            self.require([name])
        assert source is not None
        place = self.blocks[block]
        if source.value is not None:
            values = np.full(place.shape, source.value)
            return np.stack([values, 0.0 * values, 0.0 * values]) if name == "velocity" else values
        scale = source.scale(name, self.map.units)
        read = [self._variable(block, variable) for variable in source.names]
        # covered cells may hold anything; what is not finite where it counts is refused below
        with np.errstate(all="ignore"):
            if source.power_of_ten:
                read = [10.0**values for values in read]
            if source.divide_by is not None:
                divisor = self._variable(block, source.divide_by)
                read = [values / divisor for values in read]
            if scale not in (None, 1.0):
                assert scale is not None
                read = [values * scale for values in read]
        counts = True if place.covered is None else ~place.covered
        for variable, values in zip(source.names, read, strict=True):
            wrong = ~np.isfinite(values) & counts
            if wrong.any():
                k, j, i = (int(n[0]) for n in np.nonzero(wrong))
                raise ProfileError(
                    f"{self.path}: {variable} ({name}) is {values[k, j, i]} in cell ({i}, {j}, {k}) of block {block}; "
                    "accepted: finite numbers"
                )
        if name == "velocity":
            read += [np.zeros(place.shape)] * (3 - len(read))
            return np.stack(read)
        if len(read) != 1:
            raise ConfigurationError(f"fields.{name}.name has {len(read)} variables; accepted: one")
        return read[0]

    def moments(self, block: int) -> NeutrinoMoments | None:
        """The code's own neutrinos on a block, or None.

        Raises
        ------
        ProfileError
            If they cannot be read.
        """
        if self.read_moments is None:
            return None
        try:
            return self.read_moments(block)
        except MisciError:
            raise
        except DAMAGE as error:
            raise ProfileError(f"{self.path}: neutrinos of block {block} cannot be read: {error}") from error

    def _variable(self, block: int, name: str) -> NDArray[np.float64]:
        try:
            values = np.asarray(self.read_variable(block, name), dtype=np.float64)
        except MisciError:
            raise
        except DAMAGE as error:
            raise ProfileError(f"{self.path}: {name} of block {block} cannot be read: {error}") from error
        if values.shape != self.blocks[block].shape:
            raise ProfileError(
                f"{self.path}: {name} of block {block} has shape {values.shape}; accepted: {self.blocks[block].shape}"
            )
        return values

    # -- geometry and sums -------------------------------------------------------------------------------------

    def volume(self, block: int) -> NDArray[np.float64]:
        """(n2, n1, n0) volumes of a block's cells in coordinates, in the cube of the file's unit of length."""
        if self.extent != "volume":
            raise ProfileError(
                f"{self.path}: its extent is {self.extent!r}, without volumes; accepted: cells of a star"
            )
        x, y, z = volume_factors(self.geometry, self.blocks[block].faces)
        product: NDArray[np.float64] = z[:, None, None] * y[None, :, None] * x[None, None, :]
        return product

    def leaf_volume(self, block: int) -> NDArray[np.float64]:
        """`volume` times the metric's factor where the file has it, zero in covered cells."""
        volume = self.volume(block)
        if self.source("volume_factor") is not None:
            volume = volume * self.field(block, "volume_factor")
        covered = self.blocks[block].covered
        return volume if covered is None else np.where(covered, 0.0, volume)

    def my_blocks(self, rank: int = 0, ranks: int = 1) -> range:
        """Blocks that a rank of several reads: contiguous parts with about the same number of cells."""
        ends = np.cumsum([0, *(place.cells for place in self.blocks)])
        bounds = np.searchsorted(ends, ends[-1] * np.arange(ranks + 1) / ranks)
        bounds[0], bounds[-1] = 0, len(self.blocks)
        return range(int(bounds[rank]), int(bounds[rank + 1]))

    def total_mass(self, blocks: Iterable[int] | None = None) -> float | None:
        """Sum of mass_density times leaf volume, in g, or in the file's own unit; None without density or volume."""
        if self.source("mass_density") is None or self.extent != "volume":
            return None
        scale = 1.0
        if self.unit("mass_density") != CODE and self.length is not None:
            scale = self.length**3
        parts = []
        for block in range(len(self.blocks)) if blocks is None else blocks:
            covered = self.blocks[block].covered
            if covered is not None and covered.all():
                continue
            density = self.field(block, "mass_density")
            if covered is not None:
                density = np.where(covered, 0.0, density)
            parts.append(float((density * self.leaf_volume(block)).sum()))
        return scale * float(np.sum(parts))

    @property
    def mass_unit(self) -> str:
        """Unit of `total_mass`."""
        known = self.source("mass_density") is not None and self.unit("mass_density") != CODE
        return "g" if known and self.length is not None else CODE


def volume_factors(geometry: str, faces: Faces) -> Faces:
    """Factors along three axes whose product is a cell's volume: dx, R dR, r^2 dr, |d cos theta|, dphi, exactly."""
    x, y, z = faces
    if geometry == "spherical":
        return shell_factors(x, y, z)
    if geometry == "cylindrical":
        return 0.5 * (x[1:] - x[:-1]) * (x[1:] + x[:-1]), np.diff(y), np.diff(z)
    return np.diff(x), np.diff(y), np.diff(z)


def whole_axis(geometry: str, axis: int) -> NDArray[np.float64]:
    """Faces of the one cell of an axis that a code does not resolve."""
    return np.array(WHOLE[geometry, axis])


def on_axes(geometry: str, axis: int, faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Faces of an angle that miss 0, pi or 2 pi by the round-off of single precision, put there."""
    if WHOLE.get((geometry, axis), (0.0, 1.0))[1] == 1.0:
        return faces
    for end in (0.0, np.pi, 2.0 * np.pi):
        faces = np.where(np.abs(faces - end) < 1.0e-6, end, faces)
    return faces


def cover(places: Sequence[BlockPlace]) -> list[BlockPlace]:
    """Mark the cells whose centres lie in blocks of a finer level (for formats that store all levels).

    Finer levels cover whole cells of a coarser one, so that a cell's centre decides; it may lie where two of them meet.
    """
    levels = np.array([place.level for place in places])
    low = np.array([[face[0] for face in place.faces] for place in places])
    high = np.array([[face[-1] for face in place.faces] for place in places])
    result = []
    for number, place in enumerate(places):
        centers = [0.5 * (face[1:] + face[:-1]) for face in place.faces]
        slack = [1.0e-6 * np.diff(face) for face in place.faces]
        finer = levels > place.level
        finer &= ((low < high[number]) & (high > low[number])).all(axis=1)
        covered = np.zeros(place.shape, dtype=bool)
        for other in np.flatnonzero(finer):
            x, y, z = (
                (center > low[other, axis] - off) & (center < high[other, axis] + off)
                for axis, (center, off) in enumerate(zip(centers, slack, strict=True))
            )
            covered |= z[:, None, None] & y[None, :, None] & x[None, None, :]
        result.append(BlockPlace(place.faces, place.level, place.owner, covered if covered.any() else None))
    return result
