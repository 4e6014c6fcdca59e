"""The problems of `misci verify`, small, with parameters other than the defaults too."""

from __future__ import annotations

import json

import numpy as np
import pytest

from misci_transport.errors import ConfigurationError
from misci_transport.verify import PROBLEMS, find, main
from misci_transport.verify.adiabatic import beam, electron_content, outcome, surviving
from misci_transport.verify.diffusion import errors, pulse_case
from misci_transport.verify.pulses import ray_error
from misci_transport.verify.radiating_sphere import luminosity, mean_intensity

CASES = [
    ("V2", {}),
    ("V2", {"cells": 25, "flavors": 3}),
    ("V2", {"cells": 25, "flavors": 3, "ordering": "inverted", "theta": 0.2, "energy": 25.0}),
    ("V2", {"ordering": "inverted", "potential_end": 1.0e-6, "potential": 3.0e-5}),
    ("V2", {"scheme": "matrix", "cells": 60}),
    ("V4", {}),
    ("V4", {"theta": 0.05, "ordering": "inverted"}),
    ("V4", {"flavors": 3, "theta": 0.15}),
    ("V4", {"flavors": 3, "ordering": "inverted"}),
    ("V9S", {}),
    ("V9S", {"omega": 0.3, "mu": 400.0, "gamma": 0.01, "gamma_bar": 0.04}),
    ("V10S", {}),
    ("V10S", {"zeta_plus": 0.8, "zeta_minus": -0.2, "k": -0.7}),
    ("V11S", {}),
    ("V11S", {"asymmetry": 0.3, "omega": 2.0, "mu": 6.0}),
    ("V12S", {}),
    ("V12S", {"k": -0.3, "mu": 3.0, "angles": 20}),
    ("V12S", {"distribution": "gaussian", "k": 0.03, "angles": 12}),
    ("V14", {"cells": 150, "angles": 24}),
    ("V14", {"kappa_r": 0.3, "radius": 2.0, "cells": 150, "angles": 24}),
    ("V14", {"kappa_r": 100.0, "cells": 120, "angles": 24, "groups": 2}),
    ("V15", {"cells": 160}),
    ("V16", {"kappa_dx": 1.0}),
    ("V16", {"kappa_dx": 10.0}),
    ("V16", {"kappa_dx": 10.0, "geometry": "plane"}),
    ("V16", {"kappa_dx": 1000.0}),
    ("V18", {"cells": 20, "groups": 1}),
    ("V18", {"cells": 12, "angles": 4, "geometry": "plane", "groups": 1}),
    ("V19", {}),
    (
        "V19",
        {"geometry": "spherical", "temperature": 8.0, "mass_density": 1.0e14, "electron_fraction": 0.1, "groups": 8},
    ),
    ("V20", {}),
    ("V20", {"geometry": "plane", "temperature": 5.0, "groups": 5}),
    ("V24", {}),
    ("V24", {"flavors": 2, "nu": [1.0, 0.5, 0.2], "nubar": "1.1, 0.2", "angles": 12}),
    ("V24", {"nu": 1.0, "nubar": 0.5}),
    ("V25", {"dt": 0.01, "flavors": 2}),
    ("V25", {"dt": 30.0, "tau": 2.0}),
    ("V26", {}),
    ("V26", {"n_total": 5.0, "n_e": -0.3, "n_x": 0.2, "flavors": 2}),
    ("V26", {"n_total": 1e-3, "n_e": 3e-4, "n_x": 6e-4}),
    ("V21", {"phi": 0.7853981633974483}),
    ("V21", {"phi": 3.0}),
    ("V22", {"gamma": 0.1, "n": 100000, "seed": 5}),
    ("V22", {"gamma": 1.0e-5, "n": 100000, "n1": 50, "n2": 60, "time": 0.1}),
    ("V23", {"n": 4, "time": 20.0}),
    ("V23", {"n": 12}),
    ("phase", {"angles": 4, "energies": 6, "azimuths": 3}),
    ("rays", {}),
    ("rays", {"kappa_r": 2.0, "radius": 2.0e6, "angles": 24}),
]


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=[f"{n}-{'-'.join(map(str, p.values()))}" for n, p in CASES])
def test_problem(name, parameters):
    results = find(name).run(**parameters)
    assert results
    failed = [
        f"{r.quantity}: {r.computed} for {r.expected}, error {r.error} > {r.tolerance}" for r in results if not r.passed
    ]
    assert not failed


@pytest.mark.parametrize("kappa_dx", [0.1, 0.3])
def test_diffusion_in_thin_cells_over_part_of_its_time(kappa_dx):
    """The full problem takes a minute: the pulse holds thirty mean free paths."""
    case, pulse = pulse_case("spherical", kappa_dx, 0, 4, 1)
    case.march(150.0, 0.5)
    e, f, _, _ = errors(case, pulse, pulse.start + 150.0)
    assert e < 2.0e-3
    assert f < 2.0e-2


def test_ray_pulses_converge_to_second_order():
    found = [ray_error(1.0, cells)[0] for cells in (100, 200, 400, 800)]
    orders = np.log2(np.array(found[:-1]) / found[1:])
    assert orders[-1] > 1.8
    assert (np.diff(orders) > 0.0).all()


def test_matrix_scheme_loses_polarization_in_first_order():
    """Adiabatic conversion: populations keep it all at any resolution, matrix elements do not."""
    p = {
        "theta": 0.3,
        "dm2": 2.5e-3,
        "energy": 10.0,
        "potential": 5.0e-5,
        "potential_end": 0.0,
        "flavors": 2,
        "ordering": "normal",
    }
    entering = electron_content(p, p["potential"])
    lost = {}
    for scheme in ("matrix", "adiabatic"):
        for cells in (50, 100, 200):
            case = beam(p, cells, scheme)
            case.march(4.0e8, 0.5e8 / cells)
            _, populations = outcome(case)
            lost[scheme, cells] = 1.0 - surviving(populations[0, :2], entering[0])
    assert max(abs(lost["adiabatic", cells]) for cells in (50, 100, 200)) < 1e-9
    assert lost["matrix", 50] > 0.02
    assert np.log2(lost["matrix", 100] / lost["matrix", 200]) == pytest.approx(1.0, abs=0.2)


def test_formal_solution_of_the_sphere_in_its_limits():
    assert luminosity(1e-4) == pytest.approx(4e-4 / 3.0, rel=1e-3)
    assert luminosity(1e3) == pytest.approx(1.0, rel=1e-6)
    # the series joins the closed form
    assert luminosity(0.99999e-2) == pytest.approx(luminosity(1.00001e-2), rel=1e-4)
    # thick sphere far away: J = b R^2 / (4 r^2)
    assert mean_intensity(100.0, 1e4) == pytest.approx(0.25e-4, rel=1e-3)
    # thin sphere, centre: J = b kappa R
    assert mean_intensity(0.0, 1e-6) == pytest.approx(1e-6, rel=1e-4)


def test_json_form_and_exit_code(capsys):
    assert main(["V2", "--set", "cells=30", "theta=0.2", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    keys = ["id", "name", "parameters", "quantity", "computed", "expected", "error", "tolerance", "passed"]
    assert all(list(result) == keys for result in results)
    assert results[0]["id"] == "V2"
    assert results[0]["parameters"]["cells"] == 30
    assert results[0]["parameters"]["theta"] == 0.2
    # eight directions leave negative values in the isotropic Gaussian: a failure is reported as one
    assert main(["V15", "--set", "cells=40", "angles=4"]) == 1
    assert " NO " in capsys.readouterr().out


def test_list_names_units_and_ranges(capsys):
    assert main(["--list"]) == 0
    text = capsys.readouterr().out
    for entry in PROBLEMS.values():
        assert entry.id in text
        assert all(f"{p.name} = {p.default}" in text for p in entry.parameters)
    assert main(["V16", "--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["parameters"][1]["name"] == "kappa_dx"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["V99"], "unknown validation problem 'V99'.*V2 .*V14"),
        (["V14", "--set", "kapa_r=2"], "unknown key 'kapa_r'; accepted: V14: geometry, kappa_r"),
        (["V14", "--set", "kappa_r=-1"], "V14: kappa_r is '-1'; accepted: a number in"),
        (["V14", "--set", "angles=9"], "angles is '9'; accepted: an even integer"),
        (["V14", "--set", "cells=many"], "cells is 'many'; accepted: an integer"),
        (["V2", "--set", "scheme=fancy"], "scheme is 'fancy'; accepted: adiabatic, matrix"),
        (["V16", "--set", "kappa_dx=1", "cells=20"], "cells is 20; accepted with kappa_dx = 1: 0 or at least 210"),
    ],
)
def test_bad_requests(arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        main(arguments)


def test_a_nan_fails(capsys, monkeypatch):
    entry = find("V15")
    monkeypatch.setitem(
        PROBLEMS,
        "V15",
        type(entry)(entry.id, entry.name, "", (), lambda _p, out: out.compare("x", float("nan"), 1.0, 1.0)),
    )
    assert main(["V15", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["computed"] is None
