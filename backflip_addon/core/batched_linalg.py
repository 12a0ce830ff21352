# SPDX-License-Identifier: GPL-3.0-or-later
"""Small matrices by the thousand, and a banded one of long rows, without LAPACK.

OpenBLAS wakes its threads for every 4 by 4 matrix that numpy.linalg is given. These work on all matrices at once, in
numpy's own loops; the banded one is for least squares over long rows of unknowns of which each equation knows a few
neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Array, IntArray
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


class BandedMatrix:
    """A symmetric positive definite matrix (N, N) that is zero further than reach from its diagonal.

    block: unknowns that are eliminated together; N is a multiple of it.
    """

    def __init__(self, size: int, reach: int, block: int) -> None:
        self.size, self.reach, self.block = size, reach, block
        # Row j holds columns j - reach ... j + reach; rows past the end let blocks and windows run over it
        self._rows = np.zeros((size + reach + 1, 2 * reach + 1))
        self._blocks = self._windows(reach + 1)

    def _windows(self, width: int) -> Array:
        """View (size, width, width): the square block whose first diagonal element is each row's."""
        row, item = self._rows.strides
        return np.lib.stride_tricks.as_strided(
            self._rows[:, self.reach :], (self.size, width, width), (row, row - item, item)
        )

    def add_blocks(self, starts: IntArray, blocks: Array) -> None:
        """Add square blocks (K, n, n), n at most reach + 1, each with its first diagonal element at starts (K,)."""
        width = blocks.shape[1]
        for start, block in zip(starts, blocks, strict=True):
            self._blocks[start, :width, :width] += block

    def add_to_diagonal(self, values: Array) -> None:
        """Add values (N,)."""
        self._rows[: self.size, self.reach] += values

    def solve(self, right: Array) -> Array:
        """x (N,) of A x = right (N,), by Gauss's elimination of a block at a time: A is used up, and needs no pivoting.

        Raises ValueError where N is no multiple of the block.
        """
        size, block, reach = self.size, self.block, self.reach
        if size % block:
            raise ValueError("the matrix has no whole number of blocks")
        x: Array = np.concatenate([right, np.zeros(reach)])
        for j in range(0, size, block):
            window = self._blocks[j]
            panel = window[:block]
            for k in range(block):
                share = panel[k, k + 1 : block] / panel[k, k]
                panel[k + 1 :, k + 1 :] -= np.multiply.outer(share, panel[k, k + 1 :])
                x[j + k + 1 : j + block] -= share * x[j + k]
            shares = panel[:, block:] / panel.diagonal()[:, None]
            window[block:, block:] -= shares.T @ panel[:, block:]
            x[j + block : j + reach + 1] -= x[j : j + block] @ shares
        for j in range(size - 1, -1, -1):
            row = self._rows[j]
            x[j] = (x[j] - row[reach + 1 :] @ x[j + 1 : j + 1 + reach]) / row[reach]
        return x[:size]
