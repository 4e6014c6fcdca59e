"""Numba kernels: pure functions on plain float64 arrays, one formula or short family of formulas a file."""

from ..numba_cache import use_keyed_cache

# Numba settles a kernel's cache directory when the kernel is decorated, so this comes before any of them.
use_keyed_cache()
