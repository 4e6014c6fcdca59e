from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from misci_transport import scene, simulation
from misci_transport.config import load_case
from misci_transport.constants import SPEED_OF_LIGHT
from misci_transport.energy import EnergyGrid
from misci_transport.errors import CheckpointError, ConfigurationError, OutputError, ProfileError, UnphysicalInputError
from misci_transport.fields import Field
from misci_transport.fluid import Fluid
from misci_transport.io.read import open_checkpoint, open_output
from misci_transport.options import FlavorOptions
from misci_transport.parallel.decomposition import Layout
from misci_transport.profile import Profile
from misci_transport.scene import build_mesh
from misci_transport.simulation import run_case, survival_probability, vacuum_survival

#: the warning is of Debian's h5py 3.7 on numpy 1.26
pytestmark = pytest.mark.filterwarnings("ignore:.product. is deprecated:DeprecationWarning")


DIRECTIONS = 2


class FakeTransport:
    """The interface of the real one with arithmetic instead of physics."""

    def __init__(self, mesh, options, comm, boundary=None):
        self.options = options
        energy = EnergyGrid.logarithmic(options.energy.minimum, options.energy.maximum, options.energy.groups)
        shape = (DIRECTIONS, 2, energy.size, 3)
        self.phase_space = SimpleNamespace(
            mesh=mesh, energy=energy, angles=SimpleNamespace(size=DIRECTIONS), cell_shape=shape
        )
        rank, size = comm.rank, comm.size
        start, stop = mesh.size * rank // size, mesh.size * (rank + 1) // size
        layout = Layout((mesh.size,), (slice(start, stop),), ("cell",))
        self.decomposition = SimpleNamespace(comm=comm, start=start, stop=stop, total=mesh.size, layout=layout)
        face = Field("mesh/face", mesh.face, ("face",), "cm", "cell faces", "global")
        self.domain = SimpleNamespace(mesh_fields=lambda: [face])
        self.populations = np.zeros((stop - start, *shape))
        self.moments = np.zeros((stop - start, 2, options.flavors.number**2))
        self.state = SimpleNamespace(time=0.0, step=0, moments=self.moments)

    def max_dt(self):
        return self.options.advection.cfl * self.phase_space.mesh.width.min() / SPEED_OF_LIGHT

    def step(self, fluid, dt):
        mesh = self.phase_space.mesh
        cells = np.arange(self.decomposition.start, self.decomposition.stop)
        rate = 1e3 * fluid.mass_density / 1e14 / mesh.center[cells] * 1e6
        self.populations += dt * (rate[:, None, None, None, None] - 30.0 * self.populations)
        self.moments += self.populations.sum(axis=(1, 2, 3, 4))[:, None, None]
        self.state.time += dt
        self.state.step += 1

    def solve_steady(self, fluid):
        self.populations[:] = fluid.mass_density[:, None, None, None, None] / 1e15
        history = [1.0, 1e-4, 1e-11]
        return SimpleNamespace(
            newton_iterations=2,
            krylov_iterations=9,
            refused_trials=0,
            residual_history=history,
            converged=True,
            reason="converged",
        )

    def ledger(self):
        return {"inflow energy": float(self.state.step), "count negative": 0.0}

    def alignment_summary(self):
        return {"failed": 0, "largest residual": 1e-13}

    def validity_summary(self):
        return {"cells not adiabatic": 3.0, "smallest gamma": 0.5}, ["levels turn too fast: 3 of 4 cells"]

    def checkpoint(self):
        return {
            "populations": Field(
                "populations", self.populations, ("cell", "direction", "species", "group", "level"), "1", "occupation"
            ),
            "moments": Field("moments", self.moments, ("cell", "order", "component"), "cm^-3", "D_0 and D_1"),
            "time": Field("time", np.array(self.state.time), (), "s", "time", "global"),
            "step": Field("step", np.array(float(self.state.step)), (), "1", "steps", "global"),
        }

    def restore(self, held):
        part = slice(self.decomposition.start, self.decomposition.stop)
        self.populations[:] = held["populations"][part]
        self.moments[:] = held["moments"][part]
        self.state.time, self.state.step = float(held["time"]), int(held["step"])

    def fields(self):
        mesh, energy, where = self.phase_space.mesh, self.phase_space.energy, self.decomposition
        cells = where.stop - where.start
        faces = mesh.face[where.start : where.stop + (where.stop == where.total)]
        spectra = (
            np.array([[5.0, 2.0, 2.0], [4.0, 2.2, 2.2]])[:, :, None] * energy.center**2 * np.exp(-energy.center / 4)
        )
        if self.options.flavors.mixing:
            content = np.array([[0.3, 0.68, 0.02], [0.68, 0.3, 0.02]])
            occupied = np.array([[2.0, 2.0, 5.0], [4.0, 2.2, 2.2]])
        else:
            content = np.array([[1.0, 0.0, 0.0]] * 2)
            occupied = np.array([[5.0, 2.0, 2.0], [4.0, 2.2, 2.2]])
        shape = energy.center**2 * np.exp(-energy.center / 4)
        levels = occupied[:, :, None] * shape
        mixed = spectra.copy()
        mixed[:, 0] = (content * occupied).sum(axis=1)[:, None] * shape
        face = ("face", "species", "flavor", "group")
        return [
            Field("mesh/face", mesh.face, ("face",), "cm", "faces", "global"),
            Field("energy/center", energy.center, ("group",), "MeV", "energies", "global"),
            Field("energy/weight", energy.weight, ("group",), "MeV^3", "weights", "global"),
            Field("radiation/number_spectrum", np.repeat(mixed[None], faces.size, 0), face, "1/s/MeV", "N", "face"),
            Field(
                "mixing/level_number_luminosity", np.repeat(levels[None], faces.size, 0), face, "1/s/MeV", "N", "face"
            ),
            Field(
                "mixing/electron_content",
                np.broadcast_to(content[None, :, None, :], (cells, 2, energy.size, 3)).copy(),
                ("cell", "species", "group", "level"),
                "1",
                "|U_ek|^2",
            ),
            *[item for item in self.checkpoint().values() if item.name == "populations"],
        ]


class OneRank:
    """What a run asks of a communicator."""

    rank, size = 0, 1

    @staticmethod
    def bcast(value, root=0):
        return value


def star(cells=12, outer=2.4e7):
    radius = np.linspace(0.0, outer, cells + 1)
    density = 1e14 * np.exp(-radius[1:] / 2e6)
    return Profile(radius, Fluid(density, np.full(cells, 5.0), np.full(cells, 0.3), np.zeros(cells)), title="toy")


@pytest.fixture
def make_case(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "make_transport", FakeTransport)
    profile = star()
    radius = np.array([1e6, 2e7])
    species = ("nu_e", "nubar_e", "nu_x", "nubar_x")
    profile.reference = {
        name: {key: np.array([1.0, 2.0]) for key in species}
        for name in ("luminosity", "rms_energy", "flux_factor", "number_fraction")
    }
    profile.reference |= {"radius": radius, "heating_radius": radius, "energy_rate": radius, "lepton_rate": radius}
    monkeypatch.setattr(scene, "open_profile", lambda path, _: profile)
    path = tmp_path / "case.toml"

    def make(text, *overrides):
        path.write_text('title = "toy star"\n[profile]\nfile = "star.txt"\n' + text)
        return load_case(path, overrides)

    return make


TIME = '[run]\nmode = "time"\nmax_steps = 7\noutput_every = 3\ncheckpoint_every = 4\n'


def test_steady_run_with_its_variants(make_case, tmp_path):
    case = make_case("[run]\ntwin = true\ncompare_self_interaction = true\n")
    summary = run_case(case, tmp_path / "out", OneRank())
    names = ["steady_without_mixing.h5", "steady_without_self_interaction.h5", "steady.h5"]
    assert [path.name for path in summary.outputs] == names
    with open_output(tmp_path / "out" / "steady.h5") as reader:
        assert load_toml(reader.configuration)["run"]["twin"] is True
        assert reader.attributes["title"] == "toy star"
        assert "populations" not in reader
        # the fake's mixed spectrum is sum_k F_k |U_ek|^2 with its own |U_ek|^2 on both paths
        probability = reader["survival/probability"]
        assert probability.shape == (13, 2, 16)
        np.testing.assert_allclose(probability[:, 0, :12], 0.02, rtol=1e-12)
        assert np.isnan(probability[:, :, -1]).all()  # exp(-300/4): below round-off of the spectrum
        np.testing.assert_allclose(reader["survival/surface_from_levels"], reader["survival/surface"], rtol=1e-12)
        assert reader["solver/residual_history"].tolist() == [1.0, 1e-4, 1e-11]
        assert reader.describe("ledger/inflow_energy")["unit"] == "MeV"
        assert reader["reference/luminosity"].shape == (4, 2)
        assert reader["reference/energy_rate"].tolist() == [1e6, 2e7]
    with open_output(tmp_path / "out" / "steady_without_mixing.h5") as reader:
        assert reader.attributes["variant"] == "without mixing"
        assert "survival/probability" not in reader
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["outputs"] == names
    assert (tmp_path / "out" / "steady.xdmf").exists()
    assert any(line.startswith("cost: ") for line in summary.lines())
    assert summary.lines()[-1] == "  levels turn too fast: 3 of 4 cells"
    assert "FAIL" in summary.lines()[-2]


def load_toml(text):
    import tomllib

    return tomllib.loads(text)


def test_time_run_writes_on_its_cadence(make_case, tmp_path):
    summary = run_case(make_case(TIME), tmp_path, OneRank())
    assert [path.name for path in summary.outputs] == [f"output_{n:08d}.h5" for n in (3, 6, 7)]
    assert [path.name for path in summary.checkpoints] == [f"checkpoint_{n:08d}.h5" for n in (4, 7)]
    assert summary.steps == 7
    assert summary.cost > 0.0
    with open_output(summary.outputs[-1]) as reader:
        assert reader["history/step"].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_restarted_run_equals_the_uninterrupted_one_bit_for_bit(make_case, tmp_path):
    whole = run_case(make_case(TIME, "output.populations=true"), tmp_path / "a", OneRank())
    first = run_case(make_case(TIME, "run.max_steps=4", "output.populations=true"), tmp_path / "b", OneRank())
    again = run_case(
        make_case(TIME, "output.populations=true"), tmp_path / "c", OneRank(), restart=first.checkpoints[-1]
    )
    assert again.steps == 3
    with open_output(whole.outputs[-1]) as one, open_output(again.outputs[-1]) as other:
        assert one.names == other.names
        for name in one.names:
            assert np.array_equal(one[name], other[name]), name
        assert one["populations"].any()


def test_end_time_is_met_exactly(make_case, tmp_path):
    limit = 0.5 * 2e6 / 2.99792458e10
    case = make_case('[run]\nmode = "time"\n', f"run.end_time={3.3 * limit!r}")
    summary = run_case(case, tmp_path, OneRank())
    assert summary.time == 3.3 * limit
    assert summary.steps == 4


def test_step_beyond_the_limit_is_refused_before_any_step(make_case, tmp_path):
    with pytest.raises(ConfigurationError, match=r"run.dt is 0.01 s; accepted: 0 < dt <= 3.3\d+e-05 s, advection.cfl"):
        run_case(make_case(TIME, "run.dt=0.01"), tmp_path / "out", OneRank())
    assert list((tmp_path / "out").iterdir()) == []


def test_unwritable_directory_is_refused_before_the_profile_is_read(make_case, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        run_case(make_case(TIME), tmp_path / "file" / "out", OneRank())


def test_wrong_restarts_are_refused(make_case, tmp_path):
    done = run_case(make_case(TIME), tmp_path / "a", OneRank())
    with pytest.raises(CheckpointError, match=r"its kind is 'output'; accepted: checkpoint"):
        run_case(make_case(TIME, "run.max_steps=9"), tmp_path / "b", OneRank(), restart=done.outputs[-1])
    with pytest.raises(CheckpointError, match=r"energy/center of the checkpoint \(16 values .*differs.*\(12 values"):
        run_case(make_case(TIME, "energy.groups=12"), tmp_path / "b", OneRank(), restart=done.checkpoints[-1])
    with pytest.raises(CheckpointError, match=r"moments have shape \(12, 2, 9\); accepted for this run: \(12, 2, 4\)"):
        run_case(make_case(TIME, "flavors.number=2"), tmp_path / "b", OneRank(), restart=done.checkpoints[-1])
    with pytest.raises(CheckpointError, match="mesh/face of the checkpoint"):
        run_case(make_case(TIME, "mesh.refine=2"), tmp_path / "b", OneRank(), restart=done.checkpoints[-1])
    with pytest.raises(ConfigurationError, match=r"the checkpoint is at step 7, .* accepted: run.end_time"):
        run_case(make_case(TIME), tmp_path / "b", OneRank(), restart=done.checkpoints[-1])
    with pytest.raises(ConfigurationError, match=r"--restart: accepted only with run.mode"):
        run_case(make_case(""), tmp_path / "b", OneRank(), restart=done.checkpoints[-1])
    data = done.checkpoints[-1].read_bytes()
    (tmp_path / "short.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"short.h5: truncated or damaged"):
        run_case(make_case(TIME, "run.max_steps=9"), tmp_path / "b", OneRank(), restart=tmp_path / "short.h5")
    # what was there before is still whole
    with open_checkpoint(done.checkpoints[-1]) as reader:
        assert reader.attributes["step"] == 7


def test_negative_density_names_the_cell(make_case, tmp_path, monkeypatch):
    bad = star()
    bad.fluid.mass_density[3] = -1.0
    monkeypatch.setattr(bad, "on_faces", lambda faces: bad.fluid, raising=False)
    monkeypatch.setattr(scene, "open_profile", lambda path, _: bad)
    with pytest.raises(UnphysicalInputError, match=r"mass_density in cell 3 is .*-1.0.*accepted: \(0"):
        run_case(make_case(TIME), tmp_path / "out", OneRank())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "mesh.outer=1e9",
            "mesh.outer is 1e+09|mesh.outer is 1000000000.0 cm; accepted: 0 to 24000000, as the profile",
        ),
        ("mesh.inner=3e7", "mesh.inner is 30000000.0 cm; accepted: 0 to 24000000"),
    ],
)
def test_mesh_outside_the_profile(make_case, override, message):
    with pytest.raises(ConfigurationError, match=message):
        build_mesh(make_case("", override).mesh, star())


def test_meshes(make_case):
    own = build_mesh(make_case("").mesh, star())
    assert np.array_equal(own.face, star().faces)
    cut = build_mesh(make_case("", "mesh.outer=1.01e7").mesh, star())
    # 1e5 cm would be a sliver beside 2e6: the last native face gives way
    assert np.allclose(cut.face, [0.0, 2e6, 4e6, 6e6, 8e6, 1.01e7])
    fine = build_mesh(make_case("", "mesh.refine=3").mesh, star())
    assert fine.size == 36
    assert np.array_equal(fine.face[::3], own.face)
    log = build_mesh(make_case("", "mesh.faces=logarithmic", "mesh.inner=1e6", "mesh.cells=5").mesh, star())
    assert log.face[0] == 0.0
    np.testing.assert_allclose(log.face[1:], np.geomspace(1e6, 2.4e7, 5))
    even = build_mesh(make_case("", "mesh.faces=uniform", "mesh.outer=1e7", "mesh.cells=5").mesh, star())
    np.testing.assert_allclose(even.width, 2e6)


def test_continuation_is_joined(make_case, monkeypatch):
    outer = star(20, 4e7)
    monkeypatch.setattr(scene, "open_profile", lambda path, *_: outer if "outer" in str(path) else star())
    case = make_case("", "profile.continuation=outer.txt")
    assert scene.read_profile(case.profile).faces[-1] == 4e7
    with pytest.raises(ProfileError, match="joint at 9e"):
        scene.read_profile(make_case("", "profile.continuation=outer.txt", "profile.join_radius=9e9").profile)


def test_vacuum_survival_of_the_global_fit():
    # |U_e1|^2, |U_e2|^2, |U_e3|^2 from sin^2 theta12 = 0.308, sin^2 theta13 = 0.02215 (NO), 0.02231 (IO)
    assert vacuum_survival(FlavorOptions(ordering="normal")) == pytest.approx(
        {"neutrino": 0.02215, "antineutrino": 0.692 * 0.97785}, rel=1e-9
    )
    assert vacuum_survival(FlavorOptions(ordering="inverted")) == pytest.approx(
        {"neutrino": 0.308 * 0.97769, "antineutrino": 0.02231}, rel=1e-9
    )
    two = vacuum_survival(FlavorOptions(number=2, theta13=0.3))
    assert two == pytest.approx({"neutrino": np.sin(0.3) ** 2, "antineutrino": np.cos(0.3) ** 2})


def test_survival_probability_is_left_out_where_spectra_cross():
    unmixed = np.array([[4.0, 2.0, 1.0, 1e-13], [1.0, 2.0, 3.0, 0.0], [1.0, 2.0, 3.0, 0.0]])
    mixed = np.array([[1.6, 2.0, 2.6, 0.0], [0.0] * 4, [0.0] * 4])
    result = survival_probability(mixed, unmixed)
    np.testing.assert_allclose(result[[0, 2]], 0.2)
    assert np.isnan(result[[1, 3]]).all()
