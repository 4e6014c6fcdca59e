"""Sets of equations that ``misci run`` can solve: the key ``model`` of a case file chooses one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .config import checked, read_case
from .errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from .config import Case

DEFAULT = "miscidynamics"


@dataclass(frozen=True)
class Model:
    """A set of equations; its modules are imported when it is chosen."""

    summary: str
    case: str  #: "module:class" of the case file, an options.Section with output.directory
    runner: str  #: "module:function", (case, directory, comm, restart) -> lines of the closing report

    def section(self) -> Any:
        """The class of its case files."""
        return _named(self.case)

    def run(self, case: Any, directory: str, comm: Any, restart: str | os.PathLike[str] | None) -> list[str]:
        """Compute a case, write its files into the directory, and return the closing lines. Collective."""
        return list(_named(self.runner)(case, directory, comm, restart))


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module, __package__), name)


MODELS: dict[str, Model] = {
    DEFAULT: Model("transport in local mixing equilibrium", ".config:Case", ".models:run_transport"),
    "kinetics": Model(
        "the quantum kinetic equation in a box", ".kinetics_case:KineticCase", ".kinetics_run:run_kinetics"
    ),
    "encounters": Model(
        "neutrinos that meet in pairs once", ".encounters_case:EncounterCase", ".encounters_run:run_encounters"
    ),
    "manybody": Model("all amplitudes of a few neutrinos", ".manybody_case:ManyBodyCase", ".manybody_run:run_manybody"),
}


def load_case(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> tuple[Model, Any]:
    """Read a case file of any model.

    Raises
    ------
    ConfigurationError
        As `config.load_case`; and for a model that is not known.
    """
    data = read_case(path, overrides)
    name = data.get("model", DEFAULT)
    if name not in MODELS:
        raise ConfigurationError(f"{path}: model is {name!r}; accepted: {', '.join(map(repr, MODELS))}")
    model = MODELS[name]
    return model, checked(path, data, model.section())


def run_transport(case: Case, directory: str, comm: Any, restart: str | os.PathLike[str] | None) -> list[str]:
    """Run the default model and report."""
    from .io.published import compare, to_text
    from .io.read import open_output
    from .simulation import run_case

    summary = run_case(case, directory, comm, restart)
    if comm.rank != 0:
        return []
    lines = summary.lines()
    for name, result in summary.survival.items():
        for species, (twin, levels) in result["largest_deviation"].items():
            lines.append(
                f"survival of {species}s ({name}): |U_ek|^2 = {result['expected'][species]:.5f}, "
                f"largest deviation {twin:.1e} (twin run), {levels:.1e} (level populations)"
            )
    if case.run.mode == "steady":
        with open_output(summary.outputs[-1]) as reader:
            rows = compare(reader)
        if rows:
            lines.append(to_text(rows))
    return [*lines, f"wrote {', '.join(str(path) for path in summary.outputs)}"]
