# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of its greatest torque a joint has left at a speed: Hill's curve, as of a muscle that shortens."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Array

# Of Hill's hyperbola: 1/0.41, van Soest and Bobbert 1993, Biological Cybernetics 69, whose muscles have a_rel = 0.41.
CURVATURE = 2.4
# Of the greatest torque, which a servo keeps at any speed: by its torque it is known whether it drives or brakes
LEAST_SHARE = 0.01


def torque_share(speed: ArrayLike, top_speed: ArrayLike) -> Array:
    """Share of the greatest torque (...), 0 to 1, that is left at a speed (...), rad/s, along the torque.

    A joint that brakes (speed below 0) has all of it, as has one without a top_speed (0; Link.top_speed, rad/s).
    """
    driving, top = np.maximum(np.asarray(speed, dtype=float), 0.0), np.asarray(top_speed, dtype=float)
    curve = (top - driving) / np.maximum(top + CURVATURE * driving, 1e-9)
    share: Array = np.where(top > 0, np.maximum(curve, 0.0), 1.0)
    return share
