"""Small dense systems: Gaussian elimination, in place, for one system or for many that lie next to each other."""

from __future__ import annotations

from ..numba_cache import kernel

# Smallest pivot of a (nearly unit) matrix that is solved without pivoting, relative to its row.
SMALLEST_PIVOT = 1.0e-6


@kernel
def solve_dense(matrix, vector, n):
    """Solve matrix x = vector in place (Gauss, partial pivoting); False if a pivot is below 1e-15 of its column."""
    for column in range(n):
        largest = 0.0
        best = column
        norm = 0.0
        for row in range(n):
            norm = max(norm, abs(matrix[row, column]))
        for row in range(column, n):
            if abs(matrix[row, column]) > largest:
                largest = abs(matrix[row, column])
                best = row
        if not largest > 1.0e-15 * norm:
            return False
        if best != column:
            for k in range(n):
                h = matrix[column, k]
                matrix[column, k] = matrix[best, k]
                matrix[best, k] = h
            h = vector[column]
            vector[column] = vector[best]
            vector[best] = h
        inverse = 1.0 / matrix[column, column]
        for row in range(column + 1, n):
            factor = matrix[row, column] * inverse
            if factor != 0.0:
                for k in range(column + 1, n):
                    matrix[row, k] -= factor * matrix[column, k]
                vector[row] -= factor * vector[column]
    for row in range(n - 1, -1, -1):
        total = vector[row]
        for k in range(row + 1, n):
            total -= matrix[row, k] * vector[k]
        vector[row] = total / matrix[row, row]
    return True


@kernel
def solve_pairs(matrix, right, n):
    """Solve matrix u = right for the two columns of right (n, 2) in place, without pivoting; False if nearly singular.

    For matrices close to the unit matrix.
    """
    for column in range(n):
        size = 0.0
        for k in range(n):
            size += abs(matrix[column, k])
        if not abs(matrix[column, column]) > SMALLEST_PIVOT * size:
            return False
        inverse = 1.0 / matrix[column, column]
        for row in range(column + 1, n):
            factor = matrix[row, column] * inverse
            for k in range(column + 1, n):
                matrix[row, k] -= factor * matrix[column, k]
            for k in range(2):
                right[row, k] -= factor * right[column, k]
    for row in range(n - 1, -1, -1):
        for k in range(2):
            total = right[row, k]
            for j in range(row + 1, n):
                total -= matrix[row, j] * right[j, k]
            right[row, k] = total / matrix[row, row]
    return True


@kernel
def solve_many(matrix, right, factor):
    """Solve matrix x = right in place for every entry of matrix[row, column, entry], right[row, entry].

    Without pivoting, for matrices whose leading minors do not vanish, such as one minus a product of symmetric matrices
    below one. factor[entry] is scratch.
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
