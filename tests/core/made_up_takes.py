# SPDX-License-Identifier: GPL-3.0-or-later
"""A somersault landed perfectly, and ways to spoil it in exactly one known way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from backflip_addon.core import metrics, rotations
from backflip_addon.core.constants import GRAVITY
from backflip_addon.core.motion import Motion, Take
from tests.core import performances

BODY = performances.body()
X, Y, Z = np.eye(3)
REFERENCE = performances.somersault(BODY)
TAKE = performances.performed(BODY, REFERENCE)
END = round(REFERENCE.duration * 120)  # frame of the take at the clip's end


def measure(take: Take, reference: Motion = REFERENCE) -> metrics.Measures:
    """By all but the laws of flight, by which nobody made the somersault up."""
    told = metrics.evaluate_motion(BODY, reference, take)
    told = dataclasses.replace(told, flight_parabola_cm=None, flight_momentum_change=None)
    return dataclasses.replace(told, landed_cleanly=metrics.cleanly(vars(told)))


def moved(take: Take, position: np.ndarray | None = None, turns: np.ndarray | None = None) -> Take:
    """The take with other poses; contacts stay as they are."""
    motion = take.motion
    position = motion.position if position is None else position
    return dataclasses.replace(
        take,
        motion=dataclasses.replace(motion, position=position, rotations=motion.rotations if turns is None else turns),
    )


def touching(link: str, frame: int) -> Take:
    contacts = TAKE.contacts.copy()
    contacts[frame, BODY.index(link)] = True
    return dataclasses.replace(TAKE, contacts=contacts)


def cut(take: Take, frames: int) -> Take:
    """The first frames of a take."""
    motion = dataclasses.replace(
        take.motion, position=take.motion.position[:frames], rotations=take.motion.rotations[:frames]
    )
    load = None if take.load is None else take.load[:frames]
    return Take(motion, take.contacts[:frames], take.torque[:frames], take.assist[:frames], take.meta, load)


def loaded(take: Take) -> Take:
    """The take with its weight recorded, evenly on all that touches the floor."""
    shares = take.contacts / np.maximum(take.contacts.sum(axis=1, keepdims=True), 1)
    return dataclasses.replace(take, load=shares * BODY.mass * GRAVITY)


def edited(take: Take, edit: Callable[[np.ndarray, np.ndarray, np.ndarray], None], since: float = END / 120) -> Take:
    """The take with its poses changed by edit(position, turns, seconds), seconds counted from since on, 0 before."""
    position, turns = take.motion.position.copy(), take.motion.rotations.copy()
    edit(position, turns, np.maximum(np.arange(take.motion.frames) / take.motion.rate - since, 0.0))
    return moved(take, position, turns)


def leaning(angle: float, first: int) -> Take:
    """Leaning forward from frame first on: the whole body about its ankles, its feet left flat."""
    position, turns = TAKE.motion.position.copy(), TAKE.motion.rotations.copy()
    lean = rotations.from_axis_angle(X, angle)
    turns[first:, 0] = rotations.multiply(lean, turns[first:, 0])
    for side in ("L", "R"):
        foot = BODY.index(f"foot.{side}")
        turns[first:, foot] = rotations.multiply(rotations.conjugate(lean), turns[first:, foot])
    ankle = np.array([0.0, 0.0, performances.hips_height(BODY) - leg_to_ankle()])
    position[first:] = ankle + rotations.rotate(lean, position[first:] - ankle)
    return moved(TAKE, position, turns)


def leg_to_ankle() -> float:
    return -sum(BODY.links[BODY.index(f"{part}.L")].offset[2] for part in ("thigh", "shin", "foot"))
