#!/usr/bin/env python3
"""Rewrite the tables of keys at the end of user_guide.md from the option models."""

from __future__ import annotations

from pathlib import Path
from typing import get_origin

from misci_transport.config import Case
from misci_transport.options import accepted_values, section_of

GUIDE = Path(__file__).with_name("user_guide.md")
HEADING = "## All keys\n"
ORDER = (
    "profile",
    "snapshot",
    "mesh",
    "turning",
    "boundary",
    "angles",
    "energy",
    "flavors",
    "collisions",
    "advection",
    "frame",
    "alignment",
    "steady",
    "validity",
    "ledger",
    "run",
    "output",
)
PETSC = """### [petsc]

Options of the two PETSc solvers, each under its prefix, such as

```toml
[petsc]
misci_steady_ksp_rtol = 1e-6
```
"""


def default_of(field) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, (int, float)) else str(value or "empty")


def table(prefix: list[str], model) -> str:
    rows = ["| key | accepted | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        listed = get_origin(field.annotation) is list and section_of(field.annotation) is not None
        if listed or section_of(field.annotation) is None:
            accepted = "a list of tables" if listed else accepted_values(Case, [*prefix, name])
            rows.append(f"| `{name}` | {accepted} | {default_of(field)} | {field.description} |")
    return "\n".join(rows)


def tables() -> str:
    parts = ["### Top level\n\n" + table([], Case)]
    names = [name for name, field in Case.model_fields.items() if section_of(field.annotation)]
    for name in sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        model = section_of(Case.model_fields[name].annotation)
        summary = (model.__doc__ or "").strip().splitlines()[0]
        parts.append(f"### [{name}]\n\n{summary}\n\n{table([name], model)}")
        for inner, field in model.model_fields.items():
            item = section_of(field.annotation)
            if item is not None:
                about = (item.__doc__ or "").strip().splitlines()[0]
                parts.append(f"### [[{name}.{inner}]]\n\n{about}\n\n{table([name, inner], item)}")
    return "\n\n".join([*parts, PETSC])


if __name__ == "__main__":
    text = GUIDE.read_text(encoding="utf-8")
    GUIDE.write_text(text.partition(HEADING)[0] + HEADING + "\n" + tables(), encoding="utf-8")
