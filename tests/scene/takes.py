# SPDX-License-Identifier: GPL-3.0-or-later
"""Motions made by hand: no physics, but every joint busy and the root turning over."""

from __future__ import annotations

import numpy as np

from backflip_addon.core import rotations
from backflip_addon.core.body import HINGE_AXIS, Body
from backflip_addon.core.motion import Motion, Take


def tumble(body: Body, seconds: float = 1.5, rate: float = 120.0) -> Motion:
    """A backward somersault with every joint moving."""
    t = np.arange(int(seconds * rate) + 1) / rate
    rng = np.random.default_rng(7)
    turns = np.zeros((len(t), len(body.links), 4))
    for i, link in enumerate(body.links):
        if link.joint == "hinge":
            sign = -1.0 if link.name.startswith("shin") else 1.0
            angle = sign * (0.8 + 0.7 * np.sin(3 * t + i))
            turns[:, i] = rotations.from_axis_angle(np.tile(HINGE_AXIS, (len(t), 1)), angle)
        elif link.joint == "fixed":
            turns[:, i] = rotations.IDENTITY
        else:
            swing = np.sin(np.outer(t, rng.uniform(1, 5, 3)) + rng.uniform(0, 6, 3)) * 0.6
            turns[:, i] = rotations.from_rotation_vector(swing)
    flip = rotations.from_axis_angle([-1.0, 0.0, 0.0], 2 * np.pi * t / seconds)
    turns[:, 0] = rotations.multiply(flip, turns[:, 0])
    place = np.stack([0.3 * t, 0.4 * t, 1.0 + 2.0 * t * (seconds - t)], axis=1)
    return Motion(rate, place, turns)


def take(body: Body, **meta: object) -> Take:
    motion = tumble(body)
    contacts = np.zeros((motion.frames, len(body.links)), dtype=bool)
    still = np.zeros(motion.frames)
    return Take(motion, contacts, still, still, {"name": "Tumble", "seed": 1, "source": "test", **meta})
