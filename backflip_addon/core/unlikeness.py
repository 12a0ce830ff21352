# SPDX-License-Identifier: GPL-3.0-or-later
"""How unlike the others each of many things is, by some numbers that describe it."""

from __future__ import annotations

import numpy as np

from .arrays import Array

COMPARED = 64  # others that each is held against: enough to tell what is odd, and no more work for more things
NEIGHBOURS = 5  # that are looked at: one twin does not make a thing usual
_LEAST_SPREAD = 1e-9  # of a number that tells nothing


def unlikeness(values: Array) -> Array:
    """How far each of N things (N, K) is from those nearest to it, (N,); 0 for one that has nothing to be held against.

    Each number counts by how much it varies (the median's distance as the unit, so that one odd thing does not make
    all others alike); one that isn't known, NaN, counts as a usual one.
    """
    count = len(values)
    if count < 2:
        return np.zeros(count)
    known = np.where(np.isfinite(values), values, np.nan)
    known[:, np.isnan(known).all(axis=0)] = 0.0
    middle = np.nanmedian(known, axis=0)
    off = np.where(np.isnan(known), 0.0, known - middle)
    spread = np.median(np.abs(off), axis=0)
    spread = np.where(spread > _LEAST_SPREAD, spread, np.abs(off).mean(axis=0))
    scaled = np.divide(off, spread, out=np.zeros_like(off), where=spread > _LEAST_SPREAD)
    chosen = np.unique(np.linspace(0, count - 1, COMPARED).astype(int))
    others = scaled[chosen]
    squares = (scaled**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2.0 * scaled @ others.T
    squares[chosen, np.arange(len(chosen))] = np.inf  # itself
    near = min(NEIGHBOURS, len(chosen) - 1)
    nearest = np.partition(squares, near - 1, axis=1)[:, :near]
    distances: Array = np.sqrt(np.maximum(nearest, 0.0)).mean(axis=1)
    return distances
