"""Validation problems with known answers: ``misci verify``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigurationError
from . import diffusion, isotropy, pulses, radiating_sphere  # noqa: F401
from .registry import PROBLEMS, Problem, Result, find, listing

__all__ = ["PROBLEMS", "Problem", "Result", "find", "main", "select"]
