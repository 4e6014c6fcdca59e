#!/usr/bin/env python3
"""Rewrite the tables of keys at the end of user_guide.md, kinetics.md and encounters.md from the option models."""

from __future__ import annotations

from pathlib import Path
from typing import get_origin

from misci_transport.config import Case
from misci_transport.encounters_case import EncounterCase
from misci_transport.kinetics_case import KineticCase
from misci_transport.manybody_case import ManyBodyCase
from misci_transport.options import accepted_values, section_of

GUIDE = Path(__file__).with_name("user_guide.md")
KINETICS = Path(__file__).with_name("kinetics.md")
ENCOUNTERS = Path(__file__).with_name("encounters.md")
HEADING = "## All keys\n"
KINETIC_ORDER = ("box", "directions", "spectrum", "hamiltonian", "seed", "collisions", "run", "output")
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
    "closure",
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


def table(prefix: list[str], model, case=Case) -> str:
    rows = ["| key | accepted | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        listed = get_origin(field.annotation) is list and section_of(field.annotation) is not None
        if listed or section_of(field.annotation) is None:
            accepted = "a list of tables" if listed else accepted_values(case, [*prefix, name])
            rows.append(f"| `{name}` | {accepted} | {default_of(field)} | {field.description} |")
    return "\n".join(rows)


def sections(case, order) -> list[str]:
    parts = ["### Top level\n\n" + table([], case, case)]
    names = [name for name, field in case.model_fields.items() if section_of(field.annotation)]
    for name in sorted(names, key=lambda name: order.index(name) if name in order else len(order)):
        model = section_of(case.model_fields[name].annotation)
        summary = (model.__doc__ or "").strip().splitlines()[0]
        parts.append(f"### [{name}]\n\n{summary}\n\n{table([name], model, case)}")
        for inner, field in model.model_fields.items():
            item = section_of(field.annotation)
            if item is not None:
                about = (item.__doc__ or "").strip().splitlines()[0]
                parts.append(f"### [[{name}.{inner}]]\n\n{about}\n\n{table([name, inner], item, case)}")
    return parts


def tables() -> str:
    return "\n\n".join([*sections(Case, ORDER), PETSC])


def kinetic_tables() -> str:
    return "\n\n".join(sections(KineticCase, KINETIC_ORDER)) + "\n"


def encounter_tables() -> str:
    gas = sections(EncounterCase, ("gas", "groups", "run", "output"))
    gas = [part.replace("### [groups]", "### [groups.NAME]") for part in gas]
    many = sections(ManyBodyCase, ("neutrinos", "coupling", "run", "output"))
    return "\n\n".join(['Of `model = "encounters"`:', *gas, 'Of `model = "manybody"`:', *many]) + "\n"


if __name__ == "__main__":
    for page, found in ((GUIDE, tables()), (KINETICS, kinetic_tables()), (ENCOUNTERS, encounter_tables())):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.partition(HEADING)[0] + HEADING + "\n" + found, encoding="utf-8")
