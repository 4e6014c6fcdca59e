"""What an MPI launcher leaves in the environment of the processes that it starts."""

from __future__ import annotations

import os

#: With these a child process would take itself for a rank of its parent's job.
_RANK_PREFIXES = (
    "OMPI_COMM_WORLD_",
    "OMPI_APP_",
    "OMPI_UNIVERSE_",
    "OMPI_MCA_ess",
    "OMPI_MCA_orte_",
    "OMPI_MCA_pmix",
    "ORTE_",
    "PMIX_",
    "PMI_",
    "HYDI_",
)


def environment_of_a_child() -> dict[str, str]:
    """This process's environment for a child that is no rank of its job, but alone or a launcher itself."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_RANK_PREFIXES)}
