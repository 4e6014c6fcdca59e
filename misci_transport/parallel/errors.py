"""One rank's failure becomes every rank's failure, before the next collective call."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ParallelError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collective(comm: Any) -> Iterator[None]:
    """Run the body on every rank; if it fails on some, raise on all of them.

    A rank that failed raises its own error, every other one a ParallelError with the words of the lowest
    failed rank. The body must not communicate: a rank that left it early would leave the others waiting.
    Collective over comm at the end of the body; with None or one rank it is a plain block.

    Raises
    ------
    ParallelError
        On the ranks whose own body succeeded.
    """
    if comm is None or comm.size == 1:
        yield
        return
    mine: Exception | None = None
    try:
        yield
    except Exception as error:
        mine = error
    # the sum is one word; the messages travel only if there are any
    if comm.allreduce(int(mine is not None)):
        messages = comm.allgather(None if mine is None else f"{_words(mine)}")
        if mine is not None:
            raise mine
        rank, message = next((rank, text) for rank, text in enumerate(messages) if text is not None)
        raise ParallelError(f"rank {rank}: {message}")


def leave_together(comm: Any, patience: float) -> bool:
    """Wait for all ranks to arrive here, at most ``patience`` seconds; return whether they did."""
    if comm.size == 1:
        return True
    request = comm.Ibarrier()
    start = time.monotonic()
    while not request.Test():
        if time.monotonic() - start > patience:
            return False
        time.sleep(1.0e-3)
    return True


def _words(error: Exception) -> str:
    from ..errors import MisciError

    return str(error) if isinstance(error, MisciError) else f"{type(error).__name__}: {error}"
