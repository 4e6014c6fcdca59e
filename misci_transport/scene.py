"""What a run is about: the mesh of a case and the matter on it."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .block_mesh import AXES, BlockMesh
from .errors import ConfigurationError
from .fields import Field
from .grid import RadialMesh
from .hosts.mapping import read_map
from .hosts.registry import open_host
from .io.profiles import open_profile
from .io.snapshots import open_snapshot
from .parallel.errors import collective
from .physics.block_boundary import BlockBoundary
from .profile import SPECIES as REFERENCE_SPECIES
from .remap import Remap
from .snapshot import Selection, check_matter
from .turned import Turning, turned_star

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .config import BoundarySection, Case, MeshSection, ProfileSection
    from .fluid import Fluid
    from .profile import Profile

logger = logging.getLogger(__name__)

#: A cut through the profile's zones leaves no cell thinner than this fraction of its neighbour.
_SLIVER = 0.25


@dataclass(frozen=True)
class Scene:
    """A mesh, what comes in at its ends, and the matter on any rank's cells."""

    mesh: RadialMesh | BlockMesh
    boundary: BlockBoundary | None  #: None: what the mesh asks for
    matter: Callable[[Any], Fluid]  #: checked, on the cells of a decomposition; collective, errors on all ranks
    title: str  #: of the matter
    citation: str
    reference: dict[str, Any] | None = None  #: published neutrino results of a profile
    made: dict[str, Any] = field(default_factory=dict)  #: what a mapping of matter did, once it is done

    def attributes(self) -> dict[str, Any]:
        """What output files say about the matter."""
        return {
            "profile_title": self.title,
            "profile_citation": self.citation,
            "reference_citation": str((self.reference or {}).get("citation", "")),
            **self.made,
        }


def read_scene(case: Case) -> Scene:
    """Open the matter of a case and build its mesh.

    Raises
    ------
    ConfigurationError, ProfileError, UnphysicalInputError
        Whatever is wrong with the case's mesh or with the file; every rank sees the same.
    """
    if case.snapshot is not None:
        return _of_snapshot(case)
    assert case.profile is not None
    profile = read_profile(case.profile)
    if case.mesh.geometry != "radial":
        return _of_turned(case, profile)
    mesh = build_mesh(case.mesh, profile)
    star = profile.on_faces(mesh.face)
    star.validate()
    reference = profile.reference

    def matter(decomposition: Any) -> Fluid:
        return star.take(slice(decomposition.start, decomposition.stop))

    return Scene(mesh, None, matter, profile.title, profile.citation, reference)


def _of_turned(case: Case, profile: Profile) -> Scene:
    """A profile turned into several dimensions."""
    mesh = build_block_mesh(case.mesh, profile)
    turning = Turning() if case.turning is None else case.turning.turning
    profile.validate()

    def matter(decomposition: Any) -> Fluid:
        star = turned_star(profile, mesh, decomposition.cells, turning)
        star.validate(decomposition.numbers)
        return star

    return Scene(mesh, build_boundary(case.boundary, mesh), matter, profile.title, profile.citation)


def _of_mapped(case: Case) -> Scene:
    """Blocks of a fluid code mapped onto a mesh of the case's own, of which every rank reads some."""
    section = case.snapshot
    assert section is not None
    host = open_host(section.file, None if section.map is None else read_map(section.map))
    mesh = mapped_mesh(case.mesh)
    made: dict[str, Any] = {}

    def matter(decomposition: Any) -> Fluid:
        fluid, report = Remap(host, mesh, decomposition).fluid()
        made.update({f"mapping_{name}": value for name, value in asdict(report).items()})
        if decomposition.comm.rank == 0:
            logger.info(
                "%s: %.6g of %.6g g on the mesh, %d of %d cells given by their middle, a constant density kept to %.1e",
                host.path,
                report.mesh_mass,
                report.host_mass,
                report.missed,
                report.host_cells,
                report.unevenness,
            )
        with collective(decomposition.comm):
            check_matter(fluid, decomposition.numbers, str(host.path))
        return fluid

    title = f"{host.code}, {host.path.name}"
    return Scene(mesh, build_boundary(case.boundary, mesh), matter, title, host.citation, made=made)


def mapped_mesh(section: MeshSection) -> BlockMesh:
    """Mesh of the case for a snapshot that is mapped onto it."""
    if section.geometry == "cartesian":
        return _box(section)
    inner, outer = section.inner or 0.0, section.outer
    assert outer is not None
    return _shells(section, _refined(section, _spaced(section, 0.0, inner, outer)))


def _box(section: MeshSection) -> BlockMesh:
    """The Cartesian box of a case."""
    assert section.lower is not None
    assert section.upper is not None
    assert section.shape is not None
    return BlockMesh.uniform(section.lower, section.upper, section.shape, "cartesian")


def _shells(section: MeshSection, faces: NDArray[np.float64]) -> BlockMesh:
    """Shells between radial faces in equal parts of theta and phi."""
    theta = np.linspace(0.0, np.pi, section.polar_cells + 1)
    phi = np.linspace(0.0, 2.0 * np.pi, section.azimuthal_cells + 1)
    return BlockMesh.from_edges(faces, theta, phi, geometry="spherical")


def _spaced(section: MeshSection, low: float, inner: float, outer: float) -> NDArray[np.float64]:
    """Radial faces at equal distances, or in geometric progression beyond ``low``."""
    if section.faces == "logarithmic":
        return np.concatenate([[low], np.geomspace(inner, outer, int(section.cells or 0))])
    return np.linspace(inner, outer, int(section.cells or 0) + 1)


def _refined(section: MeshSection, faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every cell divided into ``refine`` equal ones."""
    if section.refine == 1:
        return faces
    part = np.arange(section.refine) / section.refine
    return np.append((faces[:-1, None] + part * np.diff(faces)[:, None]).ravel(), faces[-1])


def _of_snapshot(case: Case) -> Scene:
    """A snapshot of a fluid code, of which every rank reads its own cells."""
    section = case.snapshot
    assert section is not None
    if case.mapped:
        return _of_mapped(case)
    try:
        snapshot = Selection(open_snapshot(section.file, section.map), section.coarsen, section.outer)
    except ConfigurationError as error:
        raise ConfigurationError(f"snapshot.{error}") from None

    def matter(decomposition: Any) -> Fluid:
        return snapshot.part(decomposition.layout.part)

    boundary = build_boundary(case.boundary, snapshot.mesh)
    return Scene(snapshot.mesh, boundary, matter, snapshot.title, snapshot.citation)


def read_profile(section: ProfileSection) -> Profile:
    """Open the star, with its continuation outwards where the case names one."""
    profile = open_profile(section.file, section.map)
    if section.continuation is not None:
        profile = profile.join(open_profile(section.continuation), section.join_radius)
    return profile


def build_mesh(section: MeshSection, profile: Profile) -> RadialMesh:
    """Radial mesh of the case on the range that the profile covers.

    Raises
    ------
    ConfigurationError
        If the mesh would reach outside the profile (key, value and accepted range are named).
    """
    return RadialMesh(radial_faces(section, profile))


def radial_faces(section: MeshSection, profile: Profile) -> NDArray[np.float64]:
    """Faces along the radius, cm.

    Raises
    ------
    ConfigurationError
        As for `build_mesh`.
    """
    native = profile.native_faces
    low, high = float(native[0]), float(native[-1])
    inner = low if section.inner is None else section.inner
    outer = high if section.outer is None else section.outer
    for key, value in (("inner", inner), ("outer", outer)):
        if not low <= value <= high:
            raise ConfigurationError(f"mesh.{key} is {value!r} cm; accepted: {low:.8g} to {high:.8g}, as the profile")
    if not inner < outer:
        raise ConfigurationError(f"mesh.inner is {inner!r} cm, mesh.outer {outer!r} cm; accepted: inner < outer")
    if section.faces != "profile":
        faces = _spaced(section, low, inner, outer)
    else:
        faces = np.concatenate([[inner], native[(native > inner) & (native < outer)], [outer]])
        width = np.diff(faces)
        if width.size > 2 and width[-1] < _SLIVER * width[-2]:
            faces = np.delete(faces, -2)
        if width.size > 2 and width[0] < _SLIVER * width[1]:
            faces = np.delete(faces, 1)
    return _refined(section, faces)


def build_block_mesh(section: MeshSection, profile: Profile) -> BlockMesh:
    """Block mesh of the case: a box around the centre, or shells in equal parts of theta and phi.

    Raises
    ------
    ConfigurationError
        If the mesh would reach outside the profile.
    """
    if section.geometry == "spherical":
        return _shells(section, radial_faces(section, profile))
    assert section.lower is not None
    assert section.upper is not None
    outer = float(profile.native_faces[-1])
    corner = float(np.linalg.norm(np.maximum(np.abs(section.lower), np.abs(section.upper))))
    if corner > outer * (1.0 + 1.0e-12):
        raise ConfigurationError(
            f"the corners of mesh.lower = {section.lower}, mesh.upper = {section.upper} are up to {corner:.8g} cm from "
            f"the centre; accepted: at most {outer:.8g}, as the profile"
        )
    return _box(section)


def build_boundary(section: BoundarySection, mesh: BlockMesh) -> BlockBoundary:
    """What a mesh asks for, and at its open ends what the case says.

    Raises
    ------
    ConfigurationError
        If the case names something for an end that is not open.
    """
    natural = BlockBoundary.of(mesh)
    kinds = [list(pair) for pair in natural.kinds]
    for side, (key, wanted) in enumerate((("low", section.low), ("high", section.high))):
        for axis, kind in enumerate(wanted):
            if kind == "auto":
                continue
            name = AXES[mesh.geometry][axis]
            own = natural.kinds[axis][side]
            if axis not in mesh.resolved or own != "inflow":
                why = "the axis has one cell" if axis not in mesh.resolved else f"it is {own}"
                raise ConfigurationError(
                    f'boundary.{key} for {name} is {kind!r}; accepted for this end: "auto" ({why})'
                )
            kinds[axis][side] = "inflow" if kind == "outflow" else kind
    try:
        boundary = BlockBoundary(tuple((low, high) for low, high in kinds))
        boundary.check(mesh, ())
    except ConfigurationError as error:
        raise ConfigurationError(f"boundary: {error}") from None
    return boundary


def reference_fields(reference: dict[str, Any] | None) -> list[Field]:
    """Published neutrino results of a profile, so that pictures can show them on the same axes."""
    if not reference:
        return []
    units = {"luminosity": "erg/s", "rms_energy": "MeV", "flux_factor": "1", "number_fraction": "1/baryon"}
    radius = np.asarray(reference["radius"], dtype=np.float64)
    fields = [Field("reference/radius", radius, ("reference_radius",), "cm", "where results are published", "global")]
    for name, unit in units.items():
        values = np.array([reference[name][species] for species in REFERENCE_SPECIES], dtype=np.float64)
        about = f"published {name.replace('_', ' ')} of nu_e, nubar_e, nu_x, nubar_x"
        fields.append(
            Field(f"reference/{name}", values, ("reference_species", "reference_radius"), unit, about, "global")
        )
    if "heating_radius" in reference:
        rates = {"heating_radius": "cm", "energy_rate": "erg/s/baryon", "lepton_rate": "1/s/baryon"}
        for name, unit in rates.items():
            values = np.asarray(reference[name], dtype=np.float64)
            about = f"published {name.replace('_', ' ')}"
            fields.append(Field(f"reference/{name}", values, ("heating_radius",), unit, about, "global"))
    return fields
