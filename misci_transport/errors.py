"""The exceptions of the project: one root, so that a host code can catch everything at one place."""

from __future__ import annotations


class MisciError(Exception):
    """Root of all errors that this package raises on purpose."""


class ConfigurationError(MisciError):
    """A configuration key is unknown, mistyped, or holds a value outside its accepted range."""


class UnphysicalInputError(MisciError):
    """A fluid or mesh value is outside its physical range (the message names the cell and the range)."""


class ProfileError(MisciError):
    """A snapshot or profile cannot be read, or does not cover the mesh."""


class TableError(MisciError):
    """A microphysics table cannot be read, or does not cover the profile."""


class OutputError(MisciError):
    """An output file or directory cannot be written."""


class CheckpointError(MisciError):
    """A checkpoint cannot be read or does not fit the run."""


class ConvergenceError(MisciError):
    """An iteration ended without a solution (the message names the cells and the residual)."""


class MissingDependencyError(MisciError):
    """A package that is needed for the requested operation cannot be imported."""


class ParallelError(MisciError):
    """Another rank failed; the message carries its error."""
