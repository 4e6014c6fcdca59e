from __future__ import annotations

import importlib.util
import os
import tomllib
from pathlib import Path

import pytest

from misci_transport.config import Case, load_case, to_toml
from misci_transport.errors import ConfigurationError
from misci_transport.options import keys, section_of

MINIMAL = '[profile]\nfile = "star.txt"\n'


@pytest.fixture
def case_file(tmp_path):
    def write(text=MINIMAL):
        path = tmp_path / "case.toml"
        path.write_text(text)
        return path

    return write


def message(path, *overrides):
    with pytest.raises(ConfigurationError) as caught:
        load_case(path, overrides)
    return str(caught.value)


def test_minimal_case_takes_all_defaults(case_file, tmp_path):
    case = load_case(case_file())
    assert case.profile.file == str(tmp_path / "star.txt")
    assert (case.run.mode, case.mesh.faces, case.model) == ("steady", "profile", "miscidynamics")
    assert case.transport.energy.groups == 16


def test_input_paths_start_at_the_case_file_or_the_current_directory(case_file, tmp_path, monkeypatch):
    path = case_file('[profile]\nfile = "../a.txt"\ncontinuation = "/abs/b.txt"\n')
    case = load_case(path)
    assert case.profile.file == os.path.normpath(tmp_path / ".." / "a.txt")
    assert case.profile.continuation == "/abs/b.txt"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_case(path, ["profile.file=c.txt"]).profile.file == str(tmp_path / "elsewhere" / "c.txt")


@pytest.mark.parametrize(
    ("override", "get", "value"),
    [
        ("energy.groups=12", lambda c: c.energy.groups, 12),
        ("energy.minimum = 2", lambda c: c.energy.minimum, 2.0),
        ("angles.ray_radius=3e7", lambda c: c.angles.ray_radius, 3e7),
        ("flavors.ordering=inverted", lambda c: c.flavors.ordering, "inverted"),
        ('flavors.ordering="inverted"', lambda c: c.flavors.ordering, "inverted"),
        ("flavors.mixing=false", lambda c: c.flavors.mixing, False),
        ("title=two words", lambda c: c.title, "two words"),
        ("petsc.misci_align_snes_rtol=1e-9", lambda c: c.petsc, {"misci_align_snes_rtol": 1e-9}),
    ],
)
def test_overrides_are_toml_literals_or_bare_strings(case_file, override, get, value):
    result = get(load_case(case_file(), [override]))
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("energy.group=12", "unknown key energy.group; did you mean energy.groups?"),
        ("enrgy.groups=12", "unknown key enrgy; did you mean energy?"),
        ("run.mod=time", "unknown key run.mod; did you mean run.mode?"),
        ("groups=12", "unknown key groups; did you mean energy.groups?"),
        ("energy.groups=12 13", "energy.groups is '12 13'; accepted: an integer >= 2 and <= 512"),
        ("flavors.mixing=True", "flavors.mixing is 'True'; accepted: true or false"),
        ("energy.minimum=nan", "energy.minimum is nan; accepted: a number > 0"),
        ("energy=3", "energy is 3; accepted: a table of keys"),
        ("model=kinetics", "model is 'kinetics'; accepted: 'miscidynamics'"),
        ("mesh.cells=100", 'mesh.cells is 100; accepted only with faces = "logarithmic" or "uniform"'),
        ("mesh.faces=uniform", 'mesh.cells is missing; accepted with faces = "uniform": an integer >= 2'),
        ("mesh.outer=-1", "mesh.outer is -1; accepted: a number > 0"),
        ("run.mode=time", "run.end_time and max_steps are missing"),
        ("run.dt=1e-5", 'run.dt is 1e-05; accepted only with mode = "time"'),
        ("advection.cfl=2", "advection.cfl is 2; accepted: a number > 0 and <= 1"),
        ("energy.groups", "--set 'energy.groups': accepted: key.sub=value"),
        ("title.x=1", "--set 'title.x=1': title is a value, not a table of keys"),
    ],
)
def test_wrong_overrides_name_key_value_and_range(case_file, override, expected):
    assert expected in message(case_file('title = "t"\n' + MINIMAL), override)


def test_time_mode_refuses_what_only_the_steady_mode_does(case_file):
    assert 'run.twin is True; accepted only with mode = "steady"' in message(
        case_file(), "run.mode=time", "run.max_steps=3", "run.twin=true"
    )


def test_all_wrong_keys_come_in_one_error(case_file):
    text = message(case_file(MINIMAL + "[energy]\ngroups = true\nmaxmum = 3\n[run]\nmode = 'slow'\n"))
    assert "case.toml: 3 wrong keys\n" in text
    assert "energy.groups is True" in text
    assert "did you mean energy.maximum?" in text
    assert "run.mode is 'slow'; accepted: 'steady' or 'time'" in text


def test_missing_profile_and_unreadable_files(case_file, tmp_path):
    assert "key profile is missing; accepted: a table of keys" in message(case_file("title = 'x'"))
    assert "key profile.file is missing; accepted: a non-empty string" in message(case_file("[profile]"))
    assert "is not valid TOML" in message(case_file("[profile"))
    assert "none.toml cannot be read: No such file" in message(tmp_path / "none.toml")


def test_complete_configuration_reads_back(case_file, tmp_path):
    case = load_case(
        case_file('title = "a \\"quoted\\" \\\\ title\\n"\n' + MINIMAL + "[petsc]\nmisci_steady_ksp_type = 'gmres'\n")
    )
    again = tmp_path / "again.toml"
    again.write_text(to_toml(case))
    assert load_case(again) == case
    assert tomllib.loads(to_toml(case))["energy"]["groups"] == 16


def test_every_key_is_described():
    sections = [section_of(field.annotation) for field in Case.model_fields.values()]
    for section in (Case, *(model for model in sections if model is not None)):
        for name, field in section.model_fields.items():
            assert field.description or hasattr(field.annotation, "model_fields"), f"{section.__name__}.{name}"


def test_user_guide_lists_every_key():
    docs = Path(__file__).parents[1] / "docs"
    spec = importlib.util.spec_from_file_location("update_keys", docs / "update_keys.py")
    update_keys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update_keys)
    guide = (docs / "user_guide.md").read_text(encoding="utf-8").partition(update_keys.HEADING)[2]
    assert guide.strip() == update_keys.tables().strip(), "run docs/update_keys.py"
    for key in keys(Case):
        assert f"| `{key.rpartition('.')[2]}` |" in guide or f"### [{key}]" in guide, key


BOX = ["mesh.lower=[-1e7,-1e7,-1e7]", "mesh.upper=[1e7,1e7,1e7]", "mesh.shape=[4,4,4]", 'mesh.geometry="cartesian"']


def test_block_meshes(case_file, tmp_path):
    case = load_case(case_file(), [*BOX, "turning.wrinkle=0.05", 'boundary.low=["reflecting","auto","auto"]'])
    assert case.on_block
    assert case.turning.turning.wrinkle == 0.05
    again = tmp_path / "again.toml"
    again.write_text(to_toml(case))
    assert load_case(again) == case
    snapshot = load_case(case_file('[snapshot]\nfile = "a.h5"\n'))
    assert snapshot.on_block
    assert snapshot.snapshot.file == str(tmp_path / "a.h5")
    assert not load_case(case_file()).on_block


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        (MINIMAL + '[snapshot]\nfile = "a.h5"\n', [], "profile and snapshot are both given; accepted: one of them"),
        (
            '[snapshot]\nfile = "a.h5"\n',
            ["mesh.refine=2"],
            'mesh.geometry is "radial"; accepted with a snapshot: "cartesian", "spherical"',
        ),
        ('[snapshot]\nfile = "a.h5"\n', ["turning.wrinkle=0.1"], "turning is given; accepted with a profile"),
        ('[snapshot]\nfile = "a.h5"\n', ["run.twin=true"], "run.twin is True; accepted on radial meshes"),
        ('[snapshot]\nfile = "a.h5"\n', ["snapshot.coarsen=[2,2]"], "coarsen is [2, 2]; accepted: a list of three"),
        ('[snapshot]\nfile = "a.h5"\n', ["snapshot.coarsen=[2,0,1]"], "snapshot.coarsen.1 is 0; accepted: "),
        (MINIMAL, ["turning.wrinkle=0.1"], 'turning is given; accepted with a profile and mesh.geometry = "cartesian"'),
        (MINIMAL, ['boundary.low=["auto","auto","reflecting"]'], "boundary is given; accepted with a snapshot"),
        (MINIMAL, ["mesh.polar_cells=4"], 'mesh.polar_cells is 4; accepted only with geometry = "spherical"'),
        (MINIMAL, ["mesh.shape=[2,2,2]"], 'mesh.shape is [2, 2, 2]; accepted only with geometry = "cartesian"'),
        (MINIMAL, BOX[1:], 'mesh.lower is missing; accepted with geometry = "cartesian": three numbers'),
        (MINIMAL, [*BOX, "mesh.refine=2"], 'mesh.refine is 2; accepted only with geometry = "radial" or "spherical"'),
        (MINIMAL, [*BOX, "mesh.lower=[0,0,1e7]"], "accepted: lower < upper"),
        (MINIMAL, [*BOX, "mesh.shape=[4,4,1]"], "mesh.shape.2 is 1; accepted: "),
        (MINIMAL, [*BOX, "turning.shift=[9e6,0,0]"], "the shock of a turned star is moved by up to 9e+06 cm"),
        (MINIMAL, [*BOX, "boundary.low=['auto']"], "low is ['auto']; accepted: a list of three, one for each axis"),
        (MINIMAL, ["run.mode=time", "run.max_steps=1", "run.implicit=true"], "dt is missing; accepted with implicit"),
        (MINIMAL, ["run.implicit=true", "run.dt=1.0"], 'accepted only with mode = "time"'),
    ],
)
def test_block_keys_that_do_not_fit(case_file, text, overrides, expected):
    assert expected in message(case_file(text), *overrides)
