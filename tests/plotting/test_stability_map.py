"""The map of `misci stability`, on a radius and on a block."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.fields import Field
from misci_transport.io.output import write_fields
from misci_transport.plotting.gallery import plot_output

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


def scan(path, geometry, center, growth):
    count = growth.size
    kind = np.where(growth > 0.0, 1.0 + np.arange(count) % 3, 0.0)
    values = {
        "growth": growth,
        "kind": kind,
        "floor": np.full(count, 1e-7),
        "unresolved": np.where(growth == 0.0, 1e-6, 0.0),
    }
    fields = [Field(f"stability/{name}", x, ("scanned",), "1", name, "global") for name, x in values.items()]
    fields.append(Field("stability/center", center, ("scanned", "axis"), "cm", "centre", "global"))
    if center.shape[1] == 1:
        waves = 1.0 + np.linspace(-0.1, 0.1, 7) ** 3 * np.ones((count, 1))
        fields.append(Field("stability/curve_wave_number", waves, ("scanned", "wave"), "1/cm", "K", "global"))
        curve = growth[:, None] * np.linspace(0.0, 1.0, 7)
        fields.append(Field("stability/curve", curve, ("scanned", "wave"), "1/cm", "growth", "global"))
    return write_fields(path, fields, {"geometry": geometry}, None)


@pytest.mark.parametrize("grows", [0.0, 1.0])
@pytest.mark.parametrize("geometry", ["radius", "cartesian", "spherical"])
def test_map_is_made(tmp_path, geometry, grows):
    rng = np.random.default_rng(0)
    growth = grows * np.where(rng.uniform(size=27) < 0.6, rng.uniform(1e-6, 1e-2, 27), 0.0)
    if geometry == "radius":
        center = np.geomspace(1e6, 1e9, 27)[:, None]
    else:
        grid = np.stack(np.meshgrid(*[np.linspace(0.5, 1.5, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        center = grid * (1e6 if geometry == "cartesian" else np.array([1e6, 1.0, 1.0]))
    path = scan(tmp_path / "stability.h5", "spherical" if geometry == "radius" else geometry, center, growth)
    made = plot_output(path, tmp_path / "pictures")
    assert [picture.name for picture in made] == ["stability_map.png"]
    assert made[0].stat().st_size > 10000
