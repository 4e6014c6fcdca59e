"""Configuration of all tests: strict floating point, MPI outcomes shared by all ranks, no silent skips."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# The same examples on every rank and in every run; compilation makes the first example slow.
hypothesis.settings.register_profile("misci", derandomize=True, deadline=None, database=None, max_examples=50)
hypothesis.settings.load_profile("misci")

CORE_DEPENDENCIES = ("numpy", "numba", "scipy", "pydantic", "mpi4py", "petsc4py", "h5py")
# pytest-mpi's min_size; genuine sample files; an h5py from a wheel, with which files are gathered.
PERMITTED_SKIP = re.compile(r"requires \d+ MPI processes|sample data|h5py is built without MPI")
LAUNCH_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")
#: Seconds that a failed rank waits for the others before it ends all of them.
PATIENCE = float(os.environ.get("MISCI_RANK_PATIENCE", "30"))


class Ranks:
    """The ranks of one test session: they agree on every outcome."""

    def __init__(self):
        from mpi4py import MPI

        self.comm = MPI.COMM_WORLD.Dup()
        self.rank, self.size = self.comm.rank, self.comm.size

    def gather(self, value, abort_after=None):
        """Value of every rank; a rank with `abort_after` seconds calls MPI_Abort when the others do not come."""
        request = self.comm.Ibarrier()
        start = time.monotonic()
        while not request.Test():
            if abort_after is not None and time.monotonic() - start > abort_after:
                return None
            time.sleep(2e-4)
        return self.comm.allgather(value)


def launched_size() -> int:
    """Number of ranks that an MPI launcher announces, 1 without one."""
    return max(int(os.environ.get(name, "1")) for name in LAUNCH_VARIABLES)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    np.seterr(all="raise", under="ignore")
    config.ranks = None
    if not config.getoption("--with-mpi"):
        if launched_size() > 1:
            raise pytest.UsageError("started by an MPI launcher without --with-mpi: the tests would not be parallel")
        return
    # Debian's h5py is built twice, and this picks the one with MPI.
    os.environ.setdefault("H5PY_ALWAYS_USE_MPI", "1")
    config.ranks = Ranks()
    expected = int(os.environ.get("MISCI_EXPECTED_RANKS", launched_size()))
    if config.ranks.size != expected:
        raise pytest.UsageError(
            f"COMM_WORLD has {config.ranks.size} rank(s), asked for {expected}: mpirun and mpi4py do not fit together"
        )
    if config.ranks.size > 1:
        # pytest clears away the temporary directories of earlier sessions at its end: ranks in one place would do so
        # at once, and one of them fails over files that another has just removed.
        place = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir()))
        own = place / f"pytest-user-{os.getuid()}-rank-{config.ranks.rank}"
        own.mkdir(exist_ok=True)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(own)
    if config.ranks.rank != 0:
        # Every failure reaches rank 0, which prints it once.
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter._tw._file = open(os.devnull, "w")  # noqa: SIM115 (open as long as the session)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    marked = [item.nodeid for item in items if item.get_closest_marker("mpi")]
    if marked and not config.getoption("--with-mpi"):
        raise pytest.UsageError(
            f"{len(marked)} tests such as {marked[0]} use MPI and would be skipped: add --with-mpi (or -m 'not mpi')"
        )


def pytest_collection_finish(session):
    ranks = session.config.ranks
    if ranks is None:
        return
    collected = ranks.gather([item.nodeid for item in session.items])
    if any(names != collected[0] for names in collected):
        pytest.exit("the ranks collected different tests", returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    ranks = getattr(config, "ranks", None)
    if ranks is not None and ranks.size > 1:
        # A rank that ends with an error ends all of them: rank 0 must have printed its report by then.
        sys.stdout.flush()
        ranks.gather(None, abort_after=PATIENCE)


def forbidden_skip(report, parallel: bool) -> str | None:
    """Reason of a skip that must not happen, or None."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return None
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    missing = re.search(r"could not import '([\w.]+)'|No module named '([\w.]+)'", reason)
    if missing and (missing[1] or missing[2]).split(".")[0] in CORE_DEPENDENCIES:
        return reason
    if parallel and not PERMITTED_SKIP.search(reason):
        return reason
    return None


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    report = (yield).get_result()
    reason = forbidden_skip(report, parallel=False)
    if reason:
        report.outcome = "failed"
        report.longrepr = f"a core dependency must not be skipped: {reason}"


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    reason = forbidden_skip(report, item.get_closest_marker("mpi") is not None)
    if reason:
        report.outcome = "failed"
        report.longrepr = f"skipped, but core tests must not be skipped: {reason}"
    if item.config.ranks is not None and item.config.ranks.size > 1:
        share_outcome(item, report)


def share_outcome(item, report):
    """Make one phase (setup, call, teardown) of a test fail on all ranks if it failed on one.

    A rank alone in going on would meet the others in the wrong collective call later.
    """
    ranks = item.config.ranks
    failed = report.failed
    everybody = ranks.gather(
        (report.outcome, report.longreprtext if failed else ""), abort_after=PATIENCE if failed else None
    )
    if everybody is None:
        manager = item.config.pluginmanager.getplugin("capturemanager")
        with manager.global_and_fixture_disabled():
            print(
                f"\nFAILED {item.nodeid} on rank {ranks.rank}, and the others did not come back from it in "
                f"{PATIENCE:g} s:\n{report.longreprtext}",
                flush=True,
            )
        ranks.comm.Abort(1)
    outcomes = [outcome for outcome, _ in everybody]
    if len(set(outcomes)) == 1 and outcomes[0] != "failed":
        return
    failures = [f"rank {rank}:\n{text}" for rank, (outcome, text) in enumerate(everybody) if outcome == "failed"]
    report.outcome = "failed"
    report.longrepr = f"outcomes by rank: {', '.join(outcomes)}\n" + "\n".join(failures)
    if len(set(outcomes)) > 1:
        # Ranks that parted may have left messages behind: no later test could be trusted.
        item.session.shouldfail = f"the ranks parted in {item.nodeid}"


@pytest.fixture(autouse=True)
def _strict_floating_point():
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Folder of genuine sample files: MISCI_TEST_DATA, else ../shared/data beside the repository."""
    given = os.environ.get("MISCI_TEST_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no folder of sample data at {folder} (set MISCI_TEST_DATA)")
    return folder


@pytest.fixture
def comm(request):
    """A communicator of all ranks for one test alone (no message of another test can reach it)."""
    from mpi4py import MPI

    if request.config.ranks is None and request.node.get_closest_marker("mpi"):
        pytest.fail("this test needs --with-mpi")
    communicator = MPI.COMM_WORLD.Dup()
    yield communicator
    communicator.Free()


class SmallStar:
    """A proto-neutron star with an accretion layer on few cells, for tests of the assembled transport."""

    @staticmethod
    def mesh(cells=24, outer=3.0e7, core=2.0e6):
        from misci_transport.grid import RadialMesh

        inner = cells // 6
        return RadialMesh(
            np.concatenate([np.linspace(0.0, core, inner + 1)[:-1], np.geomspace(core, outer, cells - inner + 1)])
        )

    @staticmethod
    def fluid(mesh, **changes):
        """Matter on the whole mesh; a keyword replaces a field."""
        from misci_transport.fluid import Fluid

        r = mesh.center
        fields = {
            "mass_density": 3e14 / (1 + (r / 1.2e6) ** 2) ** 2 / (1 + (r / 4e6) ** 4) + 1e8 * (1e7 / (r + 1e6)) ** 3,
            "temperature": 1e7 / (r + 1e7) + 14.0 * np.exp(-((r / 4e6) ** 1.2)),
            "electron_fraction": 0.1 + 0.4 * r**2 / (r**2 + 1.5e7**2),
            "velocity": np.zeros_like(r),
        }
        return Fluid(**(fields | changes))

    @staticmethod
    def options(**sections):
        """Few groups and directions; a keyword replaces a section or is a table of its keys."""
        from misci_transport.options import TransportOptions

        given = {
            "angles": {"inward": 4, "grazing": 2, "forward": 6, "ray_radius": 1.0e7},
            "energy": {"minimum": 3.0, "maximum": 150.0, "groups": 6},
        }
        return TransportOptions(**(given | sections))

    @classmethod
    def transport(cls, cells=24, outer=3.0e7, comm=None, **sections):
        """A transport and this rank's matter."""
        from misci_transport.plugin import Transport

        mesh = cls.mesh(cells, outer)
        transport = Transport(mesh, cls.options(**sections), comm)
        return transport, cls.fluid(mesh).take(transport.decomposition.cells)

    @staticmethod
    def fields(transport):
        """Results by name (this rank's part)."""
        return {field.name: field.values for field in transport.fields()}


@pytest.fixture(scope="session")
def small_star():
    return SmallStar
