"""Shared by the readers of text tables: lines, numbers, and the errors that name file, line and column."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from misci_transport.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def head(path: Path, lines: int) -> list[str]:
    """First lines of a text file, or none if it cannot be read as text."""
    try:
        with open(path, encoding="utf-8") as stream:
            return [line for _, line in zip(range(lines), iter(lambda: stream.readline(20000), ""), strict=False)]
    except (OSError, UnicodeDecodeError):
        return []


def read_lines(path: Path) -> list[str]:
    """All lines of a text file."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: cannot be read as text: {error}") from None


def number(path: Path, line: int, column: str, word: str) -> float:
    """One finite number; ``line`` counts from 1."""
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ProfileError(f"{path}: line {line}: column {column!r} is {word.strip()!r}; accepted: a finite number")
    return value


def table(path: Path, lines: Sequence[str], first_line: int, columns: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Columns of blank-separated numbers; every line that is not blank has to hold them all."""
    rows = []
    for count, line in enumerate(lines, start=first_line):
        words = line.split()
        if not words:
            continue
        if len(words) != len(columns):
            column = columns[len(words)] if len(words) < len(columns) else "after the last one"
            raise ProfileError(
                f"{path}: line {count}: {len(words)} columns, expected {len(columns)} (first wrong: {column})"
            )
        rows.append([number(path, count, name, word) for name, word in zip(columns, words, strict=True)])
    if not rows:
        raise ProfileError(f"{path}: line {first_line}: no rows of numbers; the file is truncated")
    return dict(zip(columns, np.array(rows).T.copy(), strict=True))


def require_increasing(path: Path, name: str, values: NDArray[np.float64], first_line: int) -> None:
    """Radii have to grow from line to line, from a positive value on."""
    steps = np.diff(values, prepend=0.0)
    if not (steps > 0.0).all():
        row = int(np.argmin(steps > 0.0))
        raise ProfileError(
            f"{path}: line {first_line + row}: column {name!r} is {float(values[row])!r}; "
            "accepted: increasing radii greater than 0"
        )
