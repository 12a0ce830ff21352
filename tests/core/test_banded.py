# SPDX-License-Identifier: GPL-3.0-or-later
"""Banded systems, held against numpy's solver of full ones."""

from __future__ import annotations

import numpy as np
import pytest

from backflip_addon.core.batched_linalg import BandedMatrix

RNG = np.random.default_rng(3)


def filled(blocks: int, width: int, span: int) -> tuple[BandedMatrix, np.ndarray]:
    """A matrix of overlapping squares, each over span blocks of so many unknowns, and the same one in full."""
    size, square = blocks * width, span * width
    banded, full = BandedMatrix(size, square - 1, width), np.zeros((size, size))
    starts = np.arange(blocks - span + 1) * width
    squares = np.array([(lambda m: m @ m.T)(RNG.normal(size=(square, square))) for _ in starts])
    banded.add_blocks(starts, squares)
    for start, block in zip(starts, squares, strict=True):
        full[start : start + square, start : start + square] += block
    return banded, full


@pytest.mark.parametrize(("blocks", "width", "span"), [(12, 6, 4), (4, 6, 4), (9, 1, 3), (5, 2, 1)])
def test_it_solves_as_numpy_does(blocks: int, width: int, span: int) -> None:
    banded, full = filled(blocks, width, span)
    diagonal = RNG.uniform(0.1, 1.0, len(full))
    banded.add_to_diagonal(diagonal)
    right = RNG.normal(size=len(full))
    assert np.allclose(banded.solve(right), np.linalg.solve(full + np.diag(diagonal), right), rtol=1e-8, atol=1e-9)


def test_half_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        BandedMatrix(7, 3, 2).solve(np.ones(7))
