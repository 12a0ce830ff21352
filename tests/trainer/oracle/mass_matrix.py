# SPDX-License-Identifier: GPL-3.0-or-later
"""The mass matrices of many bodies, factored along their tree.

M = L' L with L lower triangular (Featherstone 2008, section 6.5): row k of L differs from zero only
in freedoms above k, so that neither factoring nor solving fills in what a tree leaves empty. Where
that is never changes: all parts of all arrays that are ever worked on are looked up once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from backflip_addon.core.arrays import IntArray

from .articulation import Tree
from .batch_math import Batch

EVERYWHERE = -1  # the tip of a row that any freedom may move


Update: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # a block, and the factors taken off it


class _Elimination(NamedTuple):
    """Views of one freedom's part in factoring: its diagonal entry, where 1 over it goes, its row, what it changes."""

    diagonal: torch.Tensor
    scale: torch.Tensor
    row: list[torch.Tensor]
    inner: list[Update]


class _Whitening(NamedTuple):
    """Views of one freedom's part in whitening: 1 over its diagonal entry, its parts of the rows, those above it."""

    scale: torch.Tensor
    own: list[torch.Tensor]
    above: list[Update]


class Factor:
    """L of count bodies, for one mass matrix after another."""

    def __init__(self, tree: Tree, count: int) -> None:
        self.tree, self.count = tree, count
        freedoms = tree.freedoms
        self.entries = torch.zeros(freedoms, freedoms, count)  # the lower half: M, then L
        self.scales = torch.zeros(freedoms, count)  # 1 over L's diagonal
        self._values = values = self.entries.numpy()
        self._chains = [runs(chain) for chain in tree.chains]
        self._blocks = [(own, part, values[own, part]) for own, chain in joints(tree) for part in runs(chain)]
        self._eliminations = [self._elimination(k) for k in reversed(range(freedoms))]

    def _elimination(self, k: int) -> _Elimination:
        entries, chain = self.entries, self._chains[k]
        row = [entries[k, part] for part in chain]
        inner = [
            (entries[a, b], row[i][:, None], row[j][None])
            for i, a in enumerate(chain)
            for j, b in enumerate(chain[: i + 1])
        ]
        return _Elimination(entries[k, k], self.scales[k], row, inner)

    def factorise(self, axes: Batch, momenta: Batch) -> None:
        """Factor the mass matrices of freedoms with axes (F, 6, N) that move momenta (F, 6, N)."""
        for own, part, block in self._blocks:
            np.add.reduce(momenta[own, None] * axes[None, part], axis=2, out=block)
        for diagonal, scale, row, inner in self._eliminations:
            torch.rsqrt(diagonal, out=scale)
            for entries in row:
                entries.mul_(scale)
            for changed, left, right in inner:
                changed.addcmul_(left, right, value=-1)

    def whiten(self, vector: Batch) -> Batch:
        """inv(L') times vectors (F, N)."""
        values, scales = self._values, self.scales.numpy()
        result = vector.copy()
        for k in reversed(range(len(result))):
            result[k] *= scales[k]
            for part in self._chains[k]:
                result[part] -= values[k, part] * result[k]
        return result

    def times(self, vector: Batch) -> Batch:
        """L times vectors (F, N)."""
        values, scales = self._values, self.scales.numpy()
        result: Batch = vector / scales
        for k, chain in enumerate(self._chains):
            for part in chain:
                result[k] += np.add.reduce(values[k, part] * vector[part], axis=0)
        return result

    def solve(self, vector: Batch) -> Batch:
        """x (F, N) with L x = vector."""
        values, scales = self._values, self.scales.numpy()
        result = vector.copy()
        for k, chain in enumerate(self._chains):
            for part in chain:
                result[k] -= np.add.reduce(values[k, part] * result[part], axis=0)
            result[k] *= scales[k]
        return result


class Rows:
    """Rows of a Jacobian, one of them moved by its tip (R,), a freedom, and what is above it.

    values (F, R, N): the rows as columns; whitened they are y = inv(L') J', so that y . y' is how
    far an impulse along one row moves another. They are kept in the tree's order: rows_of (R,)
    says where each is.
    """

    def __init__(self, factor: Factor, tips: IntArray) -> None:
        tree = factor.tree
        order = np.argsort(np.where(tips == EVERYWHERE, tree.freedoms, tips), kind="stable")
        self.rows_of = np.empty(len(tips), dtype=int)
        self.rows_of[order] = np.arange(len(tips))
        self.tips = tips[order]
        self.values = torch.zeros(tree.freedoms, len(tips), factor.count)
        self.array = self.values.numpy()
        moved = [
            runs(np.flatnonzero((self.tips == EVERYWHERE) | (self.tips >= k) & (self.tips < end)))
            for k, end in enumerate(tree.ends)
        ]
        self.moved: list[list[slice]] = moved  # by a freedom
        self._steps = [self._step(factor, k) for k in reversed(range(tree.freedoms)) if moved[k]]
        everywhere = (slice(EVERYWHERE, 0), list(range(tree.freedoms)))
        self.blocks: list[tuple[slice, list[slice]]] = []  # rows of one joint, and the freedoms that move them
        for own, chain in [*joints(tree), everywhere]:
            members = np.flatnonzero((self.tips >= own.start) & (self.tips < own.stop))
            self.blocks += [(part, runs(chain)) for part in runs(members)]

    def _step(self, factor: Factor, k: int) -> _Whitening:
        values, own = self.values, [self.values[k, part] for part in self.moved[k]]
        above = [
            (values[chain, part], factor.entries[k, chain][:, None], mine[None])
            for chain in runs(factor.tree.chains[k])
            for part, mine in zip(self.moved[k], own, strict=True)
        ]
        return _Whitening(factor.scales[k], own, above)

    def along(self, vector: Batch) -> Batch:
        """Products (R, N) of all rows with a vector (F, N)."""
        result = np.empty(self.array.shape[1:], np.float32)
        for rows, (first, *rest) in self.blocks:
            np.add.reduce(self.array[first, rows] * vector[first, None], axis=0, out=result[rows])
            for part in rest:
                result[rows] += np.add.reduce(self.array[part, rows] * vector[part, None], axis=0)
        return result

    def squares(self) -> Batch:
        """Squared lengths (R, N) of all rows."""
        result = np.empty(self.array.shape[1:], np.float32)
        for rows, (first, *rest) in self.blocks:
            np.add.reduce(np.square(self.array[first, rows]), axis=0, out=result[rows])
            for part in rest:
                result[rows] += np.add.reduce(np.square(self.array[part, rows]), axis=0)
        return result

    def add_to(self, vector: Batch, weights: Batch) -> None:
        """Add all rows, times weights (R, N), to a vector (F, N)."""
        for rows, chain in self.blocks:
            for part in chain:
                vector[part] += np.add.reduce(self.array[part, rows] * weights[rows], axis=1)

    def whiten(self) -> None:
        """From a Jacobian to y, in place."""
        for scale, own, above in self._steps:
            for part in own:
                part.mul_(scale)
            for block, left, right in above:
                block.addcmul_(left, right, value=-1)


def runs(indices: Iterable[int | np.integer[Any]]) -> list[slice]:
    """Ascending indices as slices."""
    result: list[slice] = []
    for i in indices:
        if result and result[-1].stop == i:
            result[-1] = slice(result[-1].start, int(i) + 1)
        else:
            result.append(slice(int(i), int(i) + 1))
    return result


def joints(tree: Tree) -> list[tuple[slice, list[int]]]:
    """Freedoms of the root and of every joint, and all of those with what is above them."""
    owns = [slice(0, 6)]
    for first in sorted(tree.first.values()):
        owns.append(slice(first, first + int(np.sum(tree.of_link == tree.of_link[first]))))
    return [(own, [*tree.chains[own.start], *range(own.start, own.stop)]) for own in owns]
