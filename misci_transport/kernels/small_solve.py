"""Small dense systems: Gaussian elimination, in place, for one system or for many that lie next to each other."""

from __future__ import annotations

from numba import njit


@njit(cache=True, error_model="numpy")
def solve_small(matrix, right):
    """Replace right[row] by the solution of matrix[row, column] x = right; the matrix is overwritten."""
    size = right.size
    for p in range(size):
        best = p
        for i in range(p + 1, size):
            if abs(matrix[i, p]) > abs(matrix[best, p]):
                best = i
        if best != p:
            for j in range(p, size):
                matrix[p, j], matrix[best, j] = matrix[best, j], matrix[p, j]
            right[p], right[best] = right[best], right[p]
        inverse = 1.0 / matrix[p, p]
        for i in range(p + 1, size):
            factor = matrix[i, p] * inverse
            for j in range(p + 1, size):
                matrix[i, j] -= factor * matrix[p, j]
            right[i] -= factor * right[p]
    for p in range(size - 1, -1, -1):
        value = right[p]
        for j in range(p + 1, size):
            value -= matrix[p, j] * right[j]
        right[p] = value / matrix[p, p]


@njit(cache=True, error_model="numpy")
def solve_many(matrix, right, factor):
    """solve_small for matrix[row, column, entry] and right[row, entry], without pivoting; factor[entry] is scratch.

    For matrices whose leading minors do not vanish, such as one minus a product of symmetric matrices below one.
    """
    size, entries = right.shape
    for p in range(size):
        for i in range(p + 1, size):
            for e in range(entries):
                factor[e] = matrix[i, p, e] / matrix[p, p, e]
            for j in range(p + 1, size):
                for e in range(entries):
                    matrix[i, j, e] -= factor[e] * matrix[p, j, e]
            for e in range(entries):
                right[i, e] -= factor[e] * right[p, e]
    for p in range(size - 1, -1, -1):
        for j in range(p + 1, size):
            for e in range(entries):
                right[p, e] -= matrix[p, j, e] * right[j, e]
        for e in range(entries):
            right[p, e] /= matrix[p, p, e]
