"""Numba kernels: pure functions on plain float64 arrays, one formula or short family of formulas a file."""
