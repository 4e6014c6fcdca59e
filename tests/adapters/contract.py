"""What every adapter of `misci_transport.hosts` has to pass: see docs/adapters.md.

Each check takes a `Written` of ``writers.py``: a file, and what it was made of. For an adapter of your own, write a
function like those there, and call `check_all` with it.
"""

from __future__ import annotations

import hashlib
import shutil

import h5py
import numpy as np
import pytest
from writers import star, volumes

from misci_transport.constants import SOLAR_MASS
from misci_transport.errors import ConfigurationError, MisciError, ProfileError
from misci_transport.hosts.describe import describe_host
from misci_transport.hosts.record import BlockPlace
from misci_transport.hosts.registry import adapters, find_adapter, open_host
from misci_transport.inspect_file import describe_file, to_text

SHAPES = {"velocity": lambda shape: (3, *shape)}


def check_all(write, tmp_path):
    """All checks of one layout; ``write(folder, without=None, spoil=False, single=False)`` makes its files."""

    def made(name, **how):
        folder = tmp_path / name
        folder.mkdir()
        return write(folder, **how)

    good = made("good")
    known_by_one(good)
    before = digest(good)
    host = open_host(good.path, good.user)
    blocks_and_volumes(host, good)
    fields(host, good)
    masses(host, good)
    parts(host)
    twice(host, good)
    described(good)
    assert digest(good) == before, "the files were changed"
    single = made("single", single=True)
    blocks_and_volumes(open_host(single.path, single.user), single)
    units(good)
    missing(made("missing", without="temperature"), "temperature")
    missing(made("missing_density", without="mass_density"), "mass_density")
    not_a_number(made("spoiled", spoil=True))
    truncated(good, tmp_path / "truncated")
    other_files(good, tmp_path)


def known_by_one(written):
    """Exactly one adapter knows the file, or none without a map that names the format."""
    assert len([adapter.NAME for adapter in adapters() if adapter.sniff(written.path)]) == int(written.sniffed)


def digest(written):
    """Fingerprint of all files."""
    return [hashlib.sha256(part.read_bytes()).hexdigest() for part in written.parts]


def scale(host):
    assert host.length is not None
    return host.length


def centimetres(host, place):
    """Faces in cm and radians."""
    angles = {"spherical": (1, 2), "cylindrical": (2,)}.get(host.geometry, ())
    return [face * (1.0 if axis in angles else scale(host)) for axis, face in enumerate(place.faces)]


def blocks_and_volumes(host, written):
    """Blocks with increasing faces, whose leaves cover the domain once."""
    assert host.geometry == written.geometry
    assert written.blocks is None or len(host.blocks) == written.blocks
    for place in host.blocks:
        assert isinstance(place, BlockPlace)
        for face in place.faces:
            assert face.dtype == np.float64
            assert (np.diff(face) > 0.0).all()
        assert place.covered is None or place.covered.shape == place.shape
    whole = volumes(written.geometry, [np.array(ends) for ends in written.extents]).item()
    total = sum(float(host.leaf_volume(block).sum()) for block in range(len(host.blocks)))
    angles = {"spherical": 3, "cylindrical": 3}.get(host.geometry, 3)
    assert total * scale(host) ** angles == pytest.approx(whole * written.factor, rel=written.precision)
    every = [centimetres(host, place) for place in host.blocks]
    for axis, (low, high) in enumerate(written.extents):
        span = written.precision * (high - low)
        assert min(faces[axis][0] for faces in every) == pytest.approx(low, abs=span)
        assert max(faces[axis][-1] for faces in every) == pytest.approx(high, abs=span)


def leaves(host):
    """(block, cells that count) of all blocks with any."""
    for block, place in enumerate(host.blocks):
        counts = np.ones(place.shape, bool) if place.covered is None else ~place.covered
        if counts.any():
            yield block, counts


def fields(host, written):
    """Every field has the shape of its block, our unit, and the values that were written."""
    host.require(written.names)
    for name in written.names:
        assert host.unit(name) != "code"
        for block, counts in leaves(host):
            values = host.field(block, name)
            assert values.dtype == np.float64
            assert values.shape == SHAPES.get(name, lambda shape: shape)(host.blocks[block].shape)
            assert np.isfinite(values[..., counts]).all()
            expected = star(name, written.extents, centimetres(host, host.blocks[block]))
            if name == "velocity":
                expected[written.components :] = 0.0
            if written.uneven:
                # cells that are cut keep the value of their point
                whole = counts & full_width(host.blocks[block])
                np.testing.assert_allclose(values[..., counts], expected[..., counts], rtol=0.1)
                counts = whole
            np.testing.assert_allclose(values[..., counts], expected[..., counts], rtol=written.precision)


def full_width(place):
    """Cells that are not cut."""
    x, y, z = (np.diff(face) > 0.75 * np.diff(face).max() for face in place.faces)
    return x[None, None, :] & y[None, :, None] & z[:, None, None]


def masses(host, written):
    """The total mass is the sum over leaves of density times volume."""
    total = 0.0
    for block, counts in leaves(host):
        faces = centimetres(host, host.blocks[block])
        cells = star("mass_density", written.extents, faces) * volumes(host.geometry, faces)
        total += float(cells[counts].sum())
    assert host.mass_unit == "g"
    assert host.total_mass() == pytest.approx(total * written.factor, rel=1e-2 if written.uneven else written.precision)


def parts(host):
    """Ranks share the blocks: each is read once, and the masses of the parts add up."""
    for ranks in (1, 2, 3, 5, len(host.blocks) + 2):
        read = [block for rank in range(ranks) for block in host.my_blocks(rank, ranks)]
        assert read == list(range(len(host.blocks)))
    halves = [host.total_mass(host.my_blocks(rank, 2)) for rank in range(2)]
    assert sum(halves) == pytest.approx(host.total_mass(), rel=1e-13)


def twice(host, written):
    """Another reading gives the same bits."""
    again = open_host(written.path, written.user)
    assert again.variables == host.variables
    for block in range(len(host.blocks)):
        for one, other in zip(host.blocks[block].faces, again.blocks[block].faces, strict=True):
            np.testing.assert_array_equal(one, other)
    for block, _ in leaves(host):
        for name in host.present:
            np.testing.assert_array_equal(host.field(block, name), again.field(block, name))


def described(written):
    """`misci inspect` describes it for people."""
    told = describe_file(written.path, written.user)
    assert told["missing"] == []
    assert told["units not known"] == []
    assert told["total mass [solar masses]"] == pytest.approx(told["total_mass"] / SOLAR_MASS)
    assert "mass_density [g/cm^3]" in to_text(told)
    assert describe_host(open_host(written.path, written.user))["cells"] == told["cells"]


def units(written):
    """Without a map the file says that its units are its own, or they are known."""
    if written.map and written.sniffed:
        host = open_host(written.path)
        with pytest.raises(ProfileError, match=r"units of|missing") as caught:
            host.require(written.names)
        one_clear_message(caught.value, written, "accepted")


def missing(written, name):
    """A field that is not in the file is named, by what the file has and what is accepted."""
    if written is None:
        # the format always has it
        return
    with pytest.raises(MisciError) as caught:
        open_host(written.path, written.user).require(written.names)
    one_clear_message(caught.value, written)
    assert any(word in str(caught.value) for word in (name, "dens", "temp", "Temp", "rho")), caught.value
    assert any(word in str(caught.value) for word in ("accepted", "found", "expected"))


def not_a_number(written):
    """A NaN is refused where it counts, with the variable and the cell."""
    with pytest.raises(MisciError, match=r"nan|not a number|finite") as caught:
        describe_host(open_host(written.path, written.user))
    one_clear_message(caught.value, written, "accepted")


def one_clear_message(error, written, *words):
    assert isinstance(error, MisciError)
    text = str(error)
    assert "\n" not in text
    names = {part.name for part in written.parts} | {written.path.name}
    assert any(name in text for name in names), text
    for word in words:
        assert word in text, text


def read_everything(path, user):
    host = open_host(path, user)
    describe_host(host)
    for block in range(len(host.blocks)):
        host.moments(block)
    return host


def truncated(written, folder):
    """Files that end too early are told, at whatever length, and so is one that is not there."""
    found = 0
    for number, part in enumerate(written.parts[:5]):
        content = part.read_bytes()
        for share in (0.0, 0.02, 0.31, 0.5, 0.95, 1.0):
            length = min(int(share * len(content)), len(content) - 1)
            place = folder / f"{number}_{length}"
            top = written.path if written.path.is_dir() else written.path.parent
            shutil.copytree(top, place / top.name)
            damaged = place / top.name / part.relative_to(top)
            damaged.write_bytes(content[:length])
            path = place / top.name if written.path.is_dir() else place / top.name / written.path.name
            message = ""
            try:
                read_everything(path, written.user)
            except MisciError as error:
                message = str(error)
                found += 1
            if message:
                assert str(place) in message
                assert "\n" not in message
            else:
                # a text may end after any line
                assert not written.counted or not content[length:].strip(), f"{part.name} of {length} bytes passed"
    assert found


def other_files(written, folder):
    """The adapter refuses files of other formats that a map says are its own."""
    name = written.map.get("file", {}).get("format")
    if name is None:
        adapter = find_adapter(written.path)
        name = getattr(adapter, "NAMES", (adapter.NAME,))[0]
    given = dict(written.map)
    given["file"] = {**given.get("file", {}), "format": name}
    from misci_transport.hosts.mapping import UserMap

    user = UserMap.model_validate(given)
    rng = np.random.default_rng(1)
    others = {
        "empty": b"",
        "bytes": rng.integers(0, 256, 2000, dtype=np.uint8).tobytes(),
        "text": b"Dear all,\n\nthis is a letter: 1.0 2.0 3.0\n4 5\n",
        "numbers": b"1.0 2.0\n3.0 4.0\n",
    }
    for label, content in others.items():
        path = folder / f"other_{label}{written.path.suffix}"
        path.write_bytes(content)
        with pytest.raises(MisciError) as caught:
            read_everything(path, user)
        assert path.name in str(caught.value), caught.value
    path = folder / f"other_tree{written.path.suffix}"
    with h5py.File(path, "w") as file:
        file["something/else"] = np.arange(3.0)
    with pytest.raises(MisciError) as caught:
        read_everything(path, user)
    assert path.name in str(caught.value), caught.value
    with pytest.raises((ProfileError, ConfigurationError), match="no such file"):
        open_host(folder / "none", user)
