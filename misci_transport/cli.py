"""The command ``misci``: run, plot, stability, inspect, c-library, doctor, verify, bench."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import MisciError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

#: Seconds that a failed rank waits for the others before it ends all of them.
PATIENCE = 20.0
#: Exit code after an error that the message explains.
EXPLAINED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    An error of this package is one line on stderr from rank 0 and exit code 2. Anything else prints its
    traceback and aborts the communicator, so that no other rank waits for ever.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    options, rest = _parser().parse_known_args(arguments)
    if rest and not options.passes_on:
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return int(options.action(options, rest))
    except MisciError as error:
        return _explain(error)
    except BrokenPipeError:
        # the reader of a pipe has left, as `misci inspect | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit:
        raise
    except BaseException:
        comm = _running_world()
        if comm is None or comm.size == 1:
            raise
        print(f"misci: unexpected error on rank {comm.rank}, aborting all ranks:", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
        comm.Abort(1)
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="misci", description="Neutrino transport of density matrices in local mixing equilibrium."
    )
    parser.add_argument("--version", action="version", version=f"misci {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, action: Any, text: str, *, passes_on: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, add_help=not passes_on)
        sub.set_defaults(action=action, passes_on=passes_on)
        return sub

    run = command("run", _run, "Compute a case (also under mpirun or srun).")
    run.add_argument("case", metavar="CASE.toml")
    run.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key, such as energy.groups=20"
    )
    run.add_argument("-o", "--output", metavar="DIR", help="output directory")
    run.add_argument("--restart", metavar="FILE", help="continue from a checkpoint")
    plot = command("plot", _plot, "Make the pictures of outputs.")
    plot.add_argument("outputs", nargs="+", metavar="OUTPUT", help="output file, or a run's directory")
    plot.add_argument("-o", "--output", metavar="DIR", help="where pictures go (default: beside the output)")
    stability = command("stability", _stability, "Growth of perturbations in the cells of a run (also under mpirun).")
    stability.add_argument("target", metavar="RUN", help="checkpoint, output with populations, directory, or CASE.toml")
    stability.add_argument("-o", "--output", metavar="FILE", help="HDF5 file (default: beside the run's file)")
    stability.add_argument("--cells", default="auto", help="auto, all, or numbers and ranges a:b:c with commas")
    stability.add_argument("--floor", type=float, help="1/cm: nothing slower is looked for (default: one e-fold)")
    stability.add_argument("--waves", type=int, default=61, help="wave numbers of the map, 0: no map")
    stability.add_argument("--no-kinds", action="store_true", help="do not ask what drives the modes")
    stability.add_argument("--no-plot", action="store_true", help="write the file only")
    stability.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the case")
    inspect = command("inspect", _inspect, "Describe an output, a profile, a table, or a snapshot of a fluid code.")
    inspect.add_argument("file", metavar="FILE")
    inspect.add_argument("--map", metavar="MAP.toml", help="fields and units that a snapshot's format does not name")
    inspect.add_argument("--json", action="store_true", help="as JSON")
    library = command("c-library", _c_library, "Make the library for hosts in C, C++ and Fortran.")
    library.add_argument("-o", "--output", metavar="DIR", default=".", help="where they go (default: here)")
    command("doctor", _doctor, "Print versions and what is wrong with the installation.")
    command("verify", _verify, "Run validation problems with known answers.", passes_on=True)
    command("bench", _bench, "Measure the cost of a step.", passes_on=True)
    return parser


def _run(options: argparse.Namespace, _: list[str]) -> int:
    from .models import load_case
    from .parallel.errors import collective
    from .parallel.petsc import world

    comm = world()
    _start_logging(comm)
    with collective(comm):
        model, case = load_case(options.case, options.set)
    directory = options.output or case.output.directory or str(Path("output") / Path(options.case).stem)
    report = model.run(case, directory, comm, options.restart)
    if comm.rank == 0:
        print("\n".join(report), flush=True)
    return 0


def _plot(options: argparse.Namespace, _: list[str]) -> int:
    from .plotting.gallery import plot_output

    with _without_mpi():
        for given in options.outputs:
            for path in _outputs_in(Path(given)):
                directory = Path(options.output) if options.output else path.parent
                for picture in plot_output(path, directory):
                    print(picture)
    return 0


def _stability(options: argparse.Namespace, _: list[str]) -> int:
    from .parallel.errors import collective
    from .parallel.petsc import world
    from .stability_run import Request, report, stability_of

    comm = world()
    _start_logging(comm)
    request = Request(options.cells, options.floor, options.waves, not options.no_kinds)
    path = stability_of(options.target, options.output, comm, request, options.set)
    with collective(comm):
        if comm.rank == 0:
            from .plotting.gallery import plot_output

            for line in report(path):
                print(line)
            pictures = [] if options.no_plot else plot_output(path, path.parent)
            print(f"wrote {', '.join(str(made) for made in (path, *pictures))}", flush=True)
    return 0


def _inspect(options: argparse.Namespace, _: list[str]) -> int:
    from .hosts.mapping import read_map
    from .inspect_file import describe_file, to_text

    with _without_mpi():
        description = describe_file(options.file, None if options.map is None else read_map(options.map))
    print(json.dumps(description, indent=2) if options.json else to_text(description))
    return 0


def _c_library(options: argparse.Namespace, _: list[str]) -> int:
    from .cabi.build import build

    for path in build(options.output):
        print(path)
    return 0


def _doctor(_options: argparse.Namespace, _: list[str]) -> int:
    from .doctor import format_report, report

    result = report()
    print(format_report(result))
    return 0 if result.healthy else 1


def _verify(_: argparse.Namespace, rest: list[str]) -> int:
    from .verify import main as verify

    return int(verify(rest))


def _bench(_: argparse.Namespace, rest: list[str]) -> int:
    from .bench import main as bench

    return int(bench(rest))


def _outputs_in(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    # the variants of a steady run are shown in its own pictures
    found = [path / "steady.h5"] if (path / "steady.h5").is_file() else sorted(path.glob("output_*.h5"))[-1:]
    if not found:
        raise OutputError(f"{path}: no output file in it; accepted: a directory with steady.h5 or output_*.h5")
    return found


@contextmanager
def _without_mpi() -> Iterator[None]:
    """Keep h5py from starting MPI, which would abort on a login node."""
    wanted = os.environ.pop("H5PY_ALWAYS_USE_MPI", None)
    try:
        import mpi4py
    except ImportError:
        yield
        return
    before = mpi4py.rc.initialize
    mpi4py.rc.initialize = False
    try:
        yield
    finally:
        mpi4py.rc.initialize = before
        if wanted is not None:
            os.environ["H5PY_ALWAYS_USE_MPI"] = wanted


def _start_logging(comm: Any) -> None:
    form = "%(message)s" if comm.rank == 0 else f"rank {comm.rank}: %(message)s"
    level = logging.INFO if comm.rank == 0 else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format=form)


def _running_world() -> Any:
    """MPI.COMM_WORLD if MPI is running, else None; never starts it."""
    module = sys.modules.get("mpi4py.MPI")
    if module is None or not module.Is_initialized() or module.Is_finalized():
        return None
    return module.COMM_WORLD


def _explain(error: MisciError) -> int:
    comm = _running_world()
    if comm is None or comm.size == 1:
        print(f"misci: {error}", file=sys.stderr, flush=True)
        return EXPLAINED
    from .parallel.errors import leave_together

    if comm.rank == 0:
        print(f"misci: {error}", file=sys.stderr, flush=True)
    if not leave_together(comm, PATIENCE):
        # the others are waiting in a collective call that this rank will never make
        if comm.rank != 0:
            print(f"misci: rank {comm.rank}: {error}", file=sys.stderr, flush=True)
        comm.Abort(EXPLAINED)
    return EXPLAINED


if __name__ == "__main__":
    sys.exit(main())
