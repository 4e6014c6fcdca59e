"""The problems of `misci verify` on block meshes, small; orders of convergence where the solution is smooth."""

from __future__ import annotations

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.verify import find, main
from misci_transport.verify.block_pulses import polar_error, wave_error
from misci_transport.verify.diffusion import errors, pulse_case
from misci_transport.verify.isotropy import block_case_of, deviation, uneven_block
from misci_transport.verify.radiating_sphere import BLOCK_THETA, block_profile, block_solve
from misci_transport.verify.searchlight import polar_answer, polar_beam

CASES = [
    ("V14", {"geometry": "polar2", "cells": 24, "angles": 8, "radius": 2.0e6}),
    ("V14", {"geometry": "cartesian3", "kappa_r": 2.0, "cells": 10}),
    ("V15", {"geometry": "cartesian1", "cells": 60, "groups": 2}),
    ("V15", {"geometry": "cartesian2", "cells": 40}),
    ("V15", {"geometry": "polar2", "cells": 16, "angles": 12}),
    ("V16", {"geometry": "cartesian1", "kappa_dx": 100.0}),
    ("V17", {"cells": 24, "angle": 20.0}),
    ("V17", {"geometry": "cartesian3", "cells": 12}),
    ("V17", {"geometry": "polar2", "cells": 16, "angles": 12}),
    ("V17", {"geometry": "polar3", "cells": 8, "angles": 8}),
    ("V18", {"geometry": "cartesian2", "groups": 1, "cells": 6, "angles": 4}),
    ("V18", {"geometry": "cartesian3", "groups": 1, "cells": 5, "angles": 4}),
    ("V18", {"geometry": "polar2", "groups": 1}),
    ("V18", {"geometry": "polar3", "groups": 1}),
    ("V19", {"geometry": "cartesian3", "groups": 4}),
    ("V19", {"geometry": "polar2", "groups": 4}),
    ("V20", {"geometry": "cartesian2", "groups": 4}),
    ("V20", {"geometry": "cartesian3", "groups": 3, "cells": 3}),
    ("V20", {"geometry": "polar2", "groups": 4}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=[f"{n}-{'-'.join(map(str, p.values()))}" for n, p in CASES])
def test_problem(name, parameters):
    results = find(name).run(**parameters)
    assert results
    failed = [
        f"{r.quantity}: {r.computed} for {r.expected}, error {r.error} > {r.tolerance}" for r in results if not r.passed
    ]
    assert not failed


@pytest.mark.parametrize(
    ("kind", "cells", "least"), [("cartesian2", (24, 48), 1.75), ("cartesian3", (10, 20), 1.4)], ids=["2D", "3D"]
)
def test_oblique_waves_converge_to_second_order(kind, cells, least):
    coarse, fine = (wave_error(kind, 1.0, n, 4)[0] for n in cells)
    assert np.log2(coarse / fine) > least


def test_a_pulse_in_spherical_coordinates_converges_to_second_order():
    """Mesh, directions and steps are refined together."""
    coarse, fine = (polar_error("polar2", "ring", 1.0, n, angles)[0] for n, angles in ((12, 8), (24, 16)))
    assert np.log2(coarse / fine) > 1.65


@pytest.mark.parametrize(
    ("kind", "kappa_dx"), [("cartesian2", 20.0), ("cartesian2", 1000.0), ("cartesian3", 100.0), ("polar2", 1000.0)]
)
def test_diffusion_over_part_of_its_time(kind, kappa_dx):
    """Thick cells: nothing but the diffusion equation may be left, whatever the optical depth."""
    case, pulse = pulse_case(kind, kappa_dx, 24, 4, 1)
    step = 0.5 * case.light_crossing()
    case.march(20.0 * step, step)
    e, f, _, _ = errors(case, pulse, pulse.start + 20.0 * step)
    assert e < 1.0e-2
    assert f < 3.0e-2


def test_a_sphere_stays_one_where_all_cells_turn_explicitly():
    """Nothing depends on theta, nor on the azimuth of a direction, to round-off."""
    case, _ = block_solve("polar2", 4.0, 1.0, 16, 8, 1, cfl=0.1)
    turning, _ = case.advection.split_redistribution(0.1 * case.light_crossing())
    assert not turning.any()
    mean = block_profile(case, 4.0, 1.0)[0].reshape(BLOCK_THETA, -1)
    assert np.ptp(mean, axis=0).max() < 1.0e-13
    f = case.populations()[:, :, 0, 0, 0].reshape(case.mesh.size, -1, case.angles.azimuths)
    assert np.ptp(f, axis=2).max() < 1.0e-13


@pytest.mark.parametrize("kind", ["polar2", "polar3"])
def test_long_steps_keep_isotropy_where_every_cell_turns_implicitly(kind):
    case = block_case_of(uneven_block(kind, 1.0, 6), 8, "inflow", 1)
    step = 4.0 * case.light_crossing()
    turning, _ = case.advection.split_redistribution(step)
    assert turning.sum() > 0
    case.march(3 * step, step)
    assert deviation(case) < 1.0e-13


def test_a_beam_in_spherical_coordinates_sharpens_with_the_directions():
    found = []
    for azimuths in (8, 16):
        light, chosen = polar_beam("polar2", 10, azimuths, 1)
        mesh = light.case.mesh
        exact, _ = polar_answer("polar2", light.case.angles.direction[chosen], mesh.center(0))
        found.append(np.abs(light.velocity()[:, 2] - exact[:, 2]).max())
    assert found[1] < 0.55 * found[0]


def test_defaults_belong_to_the_geometry(capsys):
    values = find("V14").values({"geometry": "cartesian3"})
    assert (values["cells"], values["angles"]) == (16, 8)
    assert find("V14").values({"geometry": "cartesian3", "cells": "20"})["cells"] == 20
    assert find("V14").values({})["cells"] == 600
    assert main(["V14", "--list"]) == 0
    assert "cells = 600, 40 in polar2, 16 in cartesian3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"geometry": "cartesian4"}, "V16: geometry is 'cartesian4'; accepted: spherical, plane, cartesian1"),
        ({"geometry": "cartesian2", "angles": 2}, "V16: angles is 2; accepted on a block: an even integer >= 4"),
        ({"geometry": "cartesian2", "kappa_dx": 1.0, "cells": 20}, "accepted with kappa_dx = 1: 0 or at least 180"),
    ],
)
def test_bad_requests(parameters, words):
    with pytest.raises(ConfigurationError, match=words):
        find("V16").run(**parameters)
