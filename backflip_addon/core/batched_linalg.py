# SPDX-License-Identifier: GPL-3.0-or-later
"""Small matrices by the thousand, without LAPACK.

The OpenBLAS in numpy 1's wheels wakes its threads for every 4 by 4 matrix that numpy.linalg is given.
While a training keeps all cores busy each of them waits for its turn: a bake that takes 0.03 s took
34 s beside one. These work on all matrices at once, in numpy's own loops.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Array
from .rotations import cross


def inverse(matrices: ArrayLike) -> Array:
    """Inverses of affine matrices (..., 4, 4), whose last row is (0, 0, 0, 1)."""
    matrices = np.asarray(matrices, dtype=float)
    turned = inverse_3x3(matrices[..., :3, :3])
    result = np.zeros(matrices.shape)
    result[..., :3, :3] = turned
    result[..., :3, 3] = -np.einsum("...ij,...j->...i", turned, matrices[..., :3, 3])
    result[..., 3, 3] = 1.0
    return result


def inverse_3x3(matrices: Array) -> Array:
    """Inverses of matrices (..., 3, 3), by their columns' cross products."""
    a, b, c = (matrices[..., column] for column in range(3))
    rows = np.stack([cross(b, c), cross(c, a), cross(a, b)], axis=-2)
    inverses: Array = rows / np.sum(rows[..., 0, :] * a, axis=-1)[..., None, None]
    return inverses


def solve(matrices: ArrayLike, vectors: ArrayLike) -> Array:
    """Solutions (..., n) for symmetric positive definite matrices (..., n, n) and vectors (..., n)."""
    matrices = np.asarray(matrices, dtype=float)
    n = matrices.shape[-1]
    both = np.concatenate([matrices, np.asarray(vectors, dtype=float)[..., None]], axis=-1)
    for k in range(n):  # Gauss and Jordan's elimination; a positive definite matrix needs no pivoting
        both[..., k, :] /= both[..., k, k, None].copy()
        others = np.arange(n) != k
        both[..., others, :] -= both[..., others, k, None] * both[..., None, k, :]
    solutions: Array = both[..., -1]
    return solutions
