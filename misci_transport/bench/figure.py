"""One line of the table of `misci bench`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Figure:
    """One measured number; ``target`` is None where there is no goal."""

    name: str
    value: float
    unit: str
    target: float | None
    remark: str
