from __future__ import annotations

import pytest
from pydantic import BaseModel

from misci_transport.errors import ConfigurationError
from misci_transport.options import EnergyOptions, TransportOptions, keys


def message(**data):
    with pytest.raises(ConfigurationError) as caught:
        TransportOptions(**data)
    return str(caught.value)


def test_defaults_are_valid_and_frozen():
    options = TransportOptions()
    assert options.angles.kind == "hybrid"
    assert options.energy.groups == 16
    assert options.advection.cfl == 0.5
    with pytest.raises(Exception, match="frozen"):
        options.energy.groups = 3


def test_every_field_is_described():
    def visit(model):
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                visit(field.annotation)
            else:
                assert field.description, f"{model.__name__}.{name}"

    visit(TransportOptions)


def test_unknown_key_is_named_with_a_suggestion():
    text = message(energy={"group": 12})
    assert text.startswith("unknown key energy.group; did you mean energy.groups?")
    assert "minimum, maximum, groups" in text


def test_key_of_another_section_is_found():
    assert "unknown key steady.cfl; did you mean advection.cfl?" in message(steady={"cfl": 0.5})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"energy": {"groups": "12"}}, "energy.groups is '12'; accepted: an integer >= 2 and <= 512"),
        ({"energy": {"groups": True}}, "energy.groups is True; accepted: an integer >= 2 and <= 512"),
        ({"energy": {"groups": 12.0}}, "energy.groups is 12.0; accepted: an integer >= 2 and <= 512"),
        ({"energy": {"minimum": "1.5"}}, "energy.minimum is '1.5'; accepted: a number > 0"),
        ({"energy": {"minimum": float("nan")}}, "energy.minimum is nan; accepted: a number > 0"),
        ({"energy": {"minimum": -1.0}}, "energy.minimum is -1.0; accepted: a number > 0"),
        ({"energy": {"minimum": 400.0}}, "energy.minimum is 400.0, maximum is 300.0 MeV; accepted: minimum < maximum"),
        ({"energy": 3}, "energy is 3; accepted: a table of keys"),
        ({"angles": {"kind": "rays"}}, "angles.kind is 'rays'; accepted: 'hybrid' or 'ordinates' or 'radial'"),
        ({"angles": {"directions": 7}}, "accepted: an integer >= 2 and <= 512 and a multiple of 2"),
        ({"flavors": {"number": True}}, "flavors.number is True; accepted: 2 or 3"),
        ({"flavors": {"number": 4}}, "flavors.number is 4; accepted: 2 or 3"),
        ({"flavors": {"matter": 1}}, "flavors.matter is 1; accepted: true or false"),
        (
            {"alignment": {"solver": "petsc", "on_failure": "hold"}},
            "alignment.on_failure is 'hold'; accepted with solver = \"petsc\": 'stop'",
        ),
        ({"flavors": {"theta13": 2.0}}, "flavors.theta13 is 2.0; accepted: a number >= 0 and <= 1.5708"),
        ({"flavors": {"dm2_31": -1e-3}}, "flavors.dm2_31 is -0.001 eV^2; accepted with normal ordering: > 0"),
        ({"collisions": {"source": "nulib"}}, "collisions.table is missing"),
        ({"collisions": {"table": "x.h5"}}, "collisions.table is 'x.h5'; accepted only with source"),
        ({"advection": {"cfl": 0.7}}, 'advection.cfl is 0.7; accepted with reconstruction = "linear": 0 < cfl <= 0.5'),
        ({"advection": {"cfl": 1.5}}, "advection.cfl is 1.5; accepted: a number > 0 and <= 1"),
        (
            {"alignment": {"on_failure": "equilibrate"}, "advection": {"scheme": "matrix"}},
            "alignment.on_failure is 'equilibrate'; accepted with advection.scheme",
        ),
        (
            {"petsc": {"ksp_type": "gmres"}},
            "petsc has the key 'ksp_type'; accepted: names that start with misci_",
        ),
    ],
)
def test_wrong_values_are_refused_with_what_is_accepted(data, expected):
    assert expected in message(**data)


def test_integer_is_a_number_and_constant_reconstruction_allows_more():
    assert EnergyOptions(minimum=2).minimum == 2.0
    assert TransportOptions(advection={"cfl": 0.7, "reconstruction": "constant"}).advection.cfl == 0.7


def test_all_wrong_keys_are_listed_at_once():
    text = message(energy={"groups": 1, "minimun": 2.0}, steady={"max_newton": 0})
    assert len(text.splitlines()) == 3


def test_petsc_values_keep_their_types():
    options = TransportOptions(petsc={"misci_align_snes_max_it": 7, "misci_steady_ksp_type": "gmres"})
    assert options.petsc["misci_align_snes_max_it"] == 7
    assert type(options.petsc["misci_align_snes_max_it"]) is int


def test_keys_lists_nested_names():
    assert {"energy", "energy.groups", "petsc"} <= set(keys(TransportOptions))
