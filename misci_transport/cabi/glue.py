"""The functions of the shared library in Python: pointers into views, errors into numbers.

Every function of the header has a counterpart here that the C side calls as mt_py_NAME. It returns 1 more than the
function does, or a negative status: what C sees if Python could not be started is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mpi4py
import numpy as np

from ..errors import (
    CheckpointError,
    ConfigurationError,
    ConvergenceError,
    MisciError,
    MissingDependencyError,
    OutputError,
    ParallelError,
    ProfileError,
    TableError,
    UnphysicalInputError,
)
from ..parallel.errors import collective
from .session import FIELDS, GEOMETRIES, Session

if TYPE_CHECKING:
    from collections.abc import Callable

#: Version of the interface, MT_ABI_VERSION of the header.
ABI_VERSION = 1
OWN_CUT = -1
HANDLE, INTERNAL = -7, -9
#: Statuses of the header by error.
STATUS: dict[type[MisciError], int] = {
    ConfigurationError: -1,
    UnphysicalInputError: -2,
    TableError: -3,
    ConvergenceError: -4,
    CheckpointError: -5,
    OutputError: -5,
    ProfileError: -5,
    MissingDependencyError: -6,
}
#: Bytes of a double.
_WIDTH = 8
#: mt_block of the header.
BLOCK = np.dtype(
    [
        ("data", np.uintp, len(FIELDS)),
        ("stride", np.int64, (len(FIELDS), 3)),
        ("shape", np.int64, 3),
        ("ghost", np.int64, 3),
    ]
)


class _NoHandleError(MisciError):
    """A handle that mt_init has not given, or that is finalized."""


class Library:
    """What the host has made in this process: sessions by handle, and the words of the last error."""

    def __init__(self, ffi: Any) -> None:
        self.ffi = ffi
        self.sessions: dict[int, Session] = {}
        self.last_error = ""
        self._next = 1
        self._found: dict[int, tuple[dict[str, float], list[str]]] = {}

    # -- calls of C --------------------------------------------------------------------------------------------

    def abi_version(self) -> int:
        """MT_ABI_VERSION."""
        return self._alone(lambda: ABI_VERSION)

    def init(self, fcomm: int, config: Any) -> int:
        """A session on a copy of the communicator; its handle."""

        def start() -> Any:
            from mpi4py import MPI

            if not MPI.Is_initialized() or MPI.Is_finalized():
                raise ConfigurationError("MPI is not running; accepted: MPI_Init before mt_init")
            comm = MPI.Comm.f2py(fcomm)
            if comm == MPI.COMM_NULL:
                raise ConfigurationError(f"{fcomm} is MPI_COMM_NULL; accepted: ranks of the communicator only")
            return comm

        try:
            comm = start()
        except BaseException as error:
            self.last_error = _words(error)
            return self._status(error)
        handle = self._next

        def begin() -> int:
            self.sessions[handle] = Session(comm, self._text(config))
            return handle

        result = self._together(comm, begin)
        if result > 0:
            self._next += 1
        return result

    def mesh(self, handle: int, *given: Any) -> int:
        """Session.set_mesh."""
        return self._of(handle, lambda session: self._lay(session, session.set_mesh, given))

    def regrid(self, handle: int, *given: Any) -> int:
        """Session.regrid."""
        return self._of(handle, lambda session: self._lay(session, session.regrid, given))

    def own_block(self, handle: int, lower: Any, shape: Any) -> int:
        """Session.own_block, zeros without one."""

        def find() -> int:
            low, cells = self._session(handle).own_block()
            for axis in range(3):
                lower[axis], shape[axis] = (int(low[0, axis]), int(cells[0, axis])) if len(low) else (0, 0)
            return 0

        return self._alone(find)

    def solve_steady(self, handle: int, count: int, blocks: Any) -> int:
        """Session.solve_steady."""
        return self._of(handle, lambda session: session.solve_steady(self._views(session, count, blocks)))

    def step(self, handle: int, count: int, blocks: Any, dt: float) -> int:
        """Session.step."""
        return self._of(handle, lambda session: session.step(self._views(session, count, blocks), dt))

    def step_implicit(self, handle: int, count: int, blocks: Any, dt: float) -> int:
        """Session.step_implicit."""
        return self._of(handle, lambda session: session.step_implicit(self._views(session, count, blocks), dt))

    def max_dt(self, handle: int, dt: Any) -> int:
        """Session.max_dt."""

        def find() -> int:
            dt[0] = self._session(handle).max_dt()
            return 0

        return self._alone(find)

    def diagnostics(self, handle: int, measure: int) -> int:
        """Session.diagnostics, held for the next three."""

        def collect(session: Session) -> int:
            self._found[handle] = found = session.diagnostics(bool(measure))
            return len(found[0])

        return self._of(handle, collect)

    def diagnostic(self, handle: int, name: Any, value: Any) -> int:
        """A value by name."""

        def find() -> int:
            numbers, wanted = self._diagnostics(handle)[0], self._text(name)
            if wanted not in numbers:
                raise ConfigurationError(f"no diagnostic {wanted!r}; accepted: {', '.join(numbers)}")
            value[0] = numbers[wanted]
            return 0

        return self._alone(find)

    def diagnostic_name(self, handle: int, index: int, buffer: Any, size: int) -> int:
        """A name by its number."""

        def find() -> int:
            names = list(self._diagnostics(handle)[0])
            if not 0 <= index < len(names):
                raise ConfigurationError(f"diagnostic {index}; accepted: 0 to {len(names) - 1}")
            return self._put(names[index], buffer, size)

        return self._alone(find)

    def diagnostic_text(self, handle: int, buffer: Any, size: int) -> int:
        """Lines of the validity monitor."""
        return self._alone(lambda: self._put("\n".join(self._diagnostics(handle)[1]), buffer, size))

    def checkpoint(self, handle: int, path: Any) -> int:
        """Session.checkpoint, or keep."""
        name = self._text(path)
        return self._of(handle, lambda session: session.checkpoint(name) if name else session.keep())

    def restore(self, handle: int, path: Any) -> int:
        """Session.restore, or go_back."""
        name = self._text(path)
        return self._of(handle, lambda session: session.restore(name) if name else session.go_back())

    def error_words(self, buffer: Any, size: int) -> int:
        """The words of the last error."""
        return self._put(self.last_error, buffer, size) + 1

    def finalize(self, handle: int) -> int:
        """Session.close."""

        def close() -> int:
            self._session(handle).close()
            del self.sessions[handle]
            self._found.pop(handle, None)
            return 0

        return self._alone(close)

    # -- within ------------------------------------------------------------------------------------------------

    def _session(self, handle: int) -> Session:
        if handle not in self.sessions:
            raise _NoHandleError(f"handle {handle}; accepted: what mt_init has returned, until mt_finalize")
        return self.sessions[handle]

    def _diagnostics(self, handle: int) -> tuple[dict[str, float], list[str]]:
        self._session(handle)
        if handle not in self._found:
            raise ConfigurationError("nothing collected yet; accepted: mt_diagnostics before its values")
        return self._found[handle]

    def _of(self, handle: int, work: Callable[[Session], Any]) -> int:
        """Result of a collective call of a session."""
        if handle not in self.sessions:
            return self._alone(lambda: self._session(handle).comm.size)
        session = self.sessions[handle]
        return self._together(session.comm, lambda: work(session) or 0)

    def _alone(self, work: Callable[[], int]) -> int:
        """Result of a local call."""
        try:
            return work() + 1
        except BaseException as error:
            self.last_error = _words(error)
            return self._status(error)

    def _together(self, comm: Any, work: Callable[[], int]) -> int:
        """Result of a collective call: if it fails anywhere, the same status and words on all ranks."""
        failed: tuple[int, bool, str] | None = None
        result = 0
        try:
            result = work()
        except BaseException as error:
            failed = (self._status(error), isinstance(error, ParallelError), _words(error))
        if not comm.allreduce(int(failed is not None)):
            return result + 1
        # the error itself, rather than what other ranks heard of it
        everybody = [found for found in comm.allgather(failed) if found is not None]
        status, _, self.last_error = min(everybody, key=lambda found: found[1])
        return int(status)

    @staticmethod
    def _status(error: BaseException) -> int:
        if isinstance(error, _NoHandleError):
            return HANDLE
        return next((status for kind, status in STATUS.items() if isinstance(error, kind)), INTERNAL)

    def _text(self, pointer: Any) -> str:
        return "" if pointer == self.ffi.NULL else str(self.ffi.string(pointer), "utf-8", "replace")

    def _put(self, text: str, buffer: Any, size: int) -> int:
        data = text.encode()
        if buffer != self.ffi.NULL and size > 0:
            part = data[: size - 1]
            self.ffi.memmove(buffer, part + b"\0", len(part) + 1)
        return len(data)

    def _lay(self, session: Session, lay: Callable[..., None], given: tuple[Any, ...]) -> None:
        """Call set_mesh or regrid with copies of what the host gives."""
        geometry, cells, *faces, blocks, lower, shape = given
        with collective(session.comm):
            if not 0 <= geometry < len(GEOMETRIES):
                raise ConfigurationError(f"geometry {geometry}; accepted: 0 to {len(GEOMETRIES) - 1} of mt_geometry")
            name = GEOMETRIES[geometry]
            if blocks < OWN_CUT:
                raise ConfigurationError(f"{blocks} blocks; accepted: 0 or more, or MT_OWN_CUT")
            axes = []
            for axis in range(1 if name in ("radial", "plane") else 3):
                if cells[axis] < 1 or faces[axis] == self.ffi.NULL:
                    raise ConfigurationError(
                        f"{cells[axis]} cells along axis {axis + 1}{'' if faces[axis] else ', no faces'}; accepted: "
                        "1 or more, and faces"
                    )
                axes.append(self._array(faces[axis], cells[axis] + 1, np.float64))
            own = blocks == OWN_CUT
            low = None if own else self._array(lower, 3 * blocks, np.int64).reshape(-1, 3)
            extent = None if own else self._array(shape, 3 * blocks, np.int64).reshape(-1, 3)
        lay(name, axes, low, extent)

    def _array(self, pointer: Any, size: int, kind: Any) -> np.ndarray[Any, np.dtype[Any]]:
        if size == 0:
            return np.empty(0, dtype=kind)
        return np.frombuffer(self.ffi.buffer(pointer, _WIDTH * size), dtype=kind).copy()

    def _views(self, session: Session, count: int, blocks: Any) -> list[dict[str, Any]]:
        """The host's arrays without their ghost cells, where they are."""
        with collective(session.comm):
            if count < 0 or (count > 0 and blocks == self.ffi.NULL):
                raise UnphysicalInputError(f"{count} blocks; accepted: 0 or more, and where they are")
            if count == 0:
                return []
            # all structs at once: reading them number by number would take as long as all the rest
            records = np.frombuffer(self.ffi.buffer(blocks, BLOCK.itemsize * count), dtype=BLOCK)
            columns = (records[name].tolist() for name in ("data", "stride", "shape", "ghost"))
            return [self._block(number, *record) for number, record in enumerate(zip(*columns, strict=True))]

    def _block(
        self, number: int, data: list[int], strides: list[list[int]], shape: list[int], ghost: list[int]
    ) -> dict[str, Any]:
        if min(shape) < 1 or min(ghost) < 0:
            raise UnphysicalInputError(
                f"block {number} has shape {shape} and ghost cells {ghost}; accepted: 1 or more, 0 or more"
            )
        views: dict[str, Any] = {}
        cast, buffer = self.ffi.cast, self.ffi.buffer
        for name, address, (s0, s1, s2) in zip(FIELDS, data, strides, strict=True):
            if not address:
                continue
            # the stride along an axis with one cell and no ghosts is never used
            steps = [
                step if cells > 1 or layers > 0 else 1
                for step, cells, layers in zip((s0, s1, s2), shape, ghost, strict=True)
            ]
            if min(steps) < 1:
                raise UnphysicalInputError(f"{name} of block {number} has strides {s0, s1, s2}; accepted: 1 or more")
            a, b, c = steps
            first = a * ghost[0] + b * ghost[1] + c * ghost[2]
            size = a * (shape[0] - 1) + b * (shape[1] - 1) + c * (shape[2] - 1) + 1
            memory = buffer(cast("char *", address + _WIDTH * first), _WIDTH * size)
            views[name] = np.ndarray(shape, np.float64, memory, 0, (_WIDTH * a, _WIDTH * b, _WIDTH * c))
        return views


def prepare_mpi() -> None:
    """Keep mpi4py from starting and ending MPI: the host does."""
    mpi4py.rc.initialize = False
    mpi4py.rc.finalize = False


def connect(ffi: Any) -> Library:
    """Give the C functions of a loaded library their Python counterparts."""
    prepare_mpi()
    if ffi.sizeof("mt_block") != BLOCK.itemsize:
        raise MissingDependencyError("the library was made by another version of misci_transport; make it again")
    library = Library(ffi)
    for name in (
        *("abi_version", "init", "mesh", "regrid", "own_block", "solve_steady", "step", "step_implicit", "max_dt"),
        *("diagnostics", "diagnostic", "diagnostic_name", "diagnostic_text", "checkpoint", "restore", "finalize"),
    ):
        ffi.def_extern(name=f"mt_py_{name}", error=INTERNAL)(getattr(library, name))
    ffi.def_extern(name="mt_py_last_error", error=INTERNAL)(library.error_words)
    return library


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, MisciError) else f"{type(error).__name__}: {error}"
