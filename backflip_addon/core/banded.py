# SPDX-License-Identifier: GPL-3.0-or-later
"""Least squares over long rows of unknowns of which each equation knows a few neighbours. Without LAPACK, see
batched_linalg."""

from __future__ import annotations

import numpy as np

from .arrays import Array, IntArray


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
