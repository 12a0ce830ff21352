# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise that both sides of a body have in common: most stunts move them alike, and a search that is told so needs half
the samples."""

from __future__ import annotations

import numpy as np

from ...core.arrays import Array
from ...core.body import Body
from ..imitation.action_layout import ActionLayout
from .cem import KnotDistribution

OTHER_SIDE = {"L": "R", "R": "L"}


class Mirror:
    """Draws candidates of a body's actions, so large a share of their variance (0 to 1) symmetric."""

    def __init__(self, body: Body, layout: ActionLayout, share: float) -> None:
        self.share = share
        self._columns, self._signs = np.arange(layout.width), np.ones(layout.width)
        for link, columns in layout.columns.items():
            part, _, side = body.names[link].partition(".")
            other = f"{part}.{OTHER_SIDE[side]}" if side in OTHER_SIDE else part
            twin = layout.columns.get(body.index(other)) if other in body.names else None
            if twin is not None and len(twin) == len(columns):
                self._columns[columns] = twin
                # Mirrored left to right, rotations about y and z turn round
                self._signs[columns] = (1.0, -1.0, -1.0)[: len(columns)]

    def mirrored(self, actions: Array) -> Array:
        """Actions (..., width) of the body seen in a mirror."""
        seen: Array = actions[..., self._columns] * self._signs
        return seen

    def draw(self, plan: KnotDistribution, window: slice, count: int, random: np.random.Generator) -> Array:
        """Candidates (count, K, width): drawn within the window of knots, the mean elsewhere."""
        own, common = random.standard_normal((2, count, *plan.mean[window].shape))
        common = (common + self.mirrored(common)) / np.sqrt(2)
        noise = np.sqrt(1 - self.share) * own + np.sqrt(self.share) * common
        candidates = np.repeat(plan.mean[None], count, axis=0)
        candidates[:, window] += noise * plan.deviation[window]
        return candidates
