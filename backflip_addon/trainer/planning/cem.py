# SPDX-License-Identifier: GPL-3.0-or-later
"""The cross-entropy method (Rubinstein 1999): the update that all planning shares."""

from __future__ import annotations

import numpy as np

from ...core.arrays import Array


def update_distribution(
    mean: Array, deviation: Array, elites: Array, smoothing: float, least: float
) -> tuple[Array, Array]:
    """Mean and deviation (K, width) moved to elites (E, K, width), best first, weighted by the logarithm of
    their rank; smoothing is the share of the old ones that stays, least the smallest deviation."""
    weights = np.log(len(elites) + 0.5) - np.log(np.arange(1, len(elites) + 1))
    weights /= weights.sum()
    centre = np.einsum("e,ekw->kw", weights, elites)
    spread = np.sqrt(np.einsum("e,ekw->kw", weights, (elites - centre) ** 2))
    spread = smoothing * deviation + (1 - smoothing) * spread
    return smoothing * mean + (1 - smoothing) * centre, np.maximum(spread, least)
