# SPDX-License-Identifier: GPL-3.0-or-later
"""The hull of points on the floor."""

from __future__ import annotations

import numpy as np

from .arrays import Array


def hull_corners(points: Array) -> Array:
    """Corners (M, 2) of the convex hull of points (N, 2), anticlockwise (Andrew's monotone chain)."""
    ordered = sorted(map(tuple, points.tolist()))

    def chain(some: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for x, y in some:
            while len(kept) > 1:
                (ax, ay), (bx, by) = kept[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1])) if len(ordered) > 2 else np.array(ordered)
