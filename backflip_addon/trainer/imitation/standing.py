# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a body that has ended its performance on its feet stays on them: played further, its pose held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core import metrics
from ...core.arrays import BoolArray
from ...core.body import FEET, Body
from ...core.measures import balance
from ..physics.recording import RecordingSimulator
from ..physics.simulator import CONTROL_RATE
from ..physics.state import Scene, States
from .observations import Figures

# Who keeps to these bounds for SURE_SECONDS with its targets held stands on: of 1,242 trials of four clips (90 in
# PyBullet) 1,002 stood for three seconds, all of which had kept to them, and none of the others had
SURE_SECONDS = balance.STILL_SECONDS
SURE_INSIDE = 0.25  # of a sole's half length that its capture point is inside the soles
SINKING, BENDING = 0.02, 0.2  # m/s, up or down, and rad/s of a joint


def still_stands(bodies: RecordingSimulator, scene: Scene | None = None) -> bool:
    """Whether the first of some bodies stands on, as who_stands()."""
    return bool(who_stands(bodies, np.arange(bodies.count) == 0, [scene] * bodies.count if scene else None)[0])


def who_stands(
    bodies: RecordingSimulator,
    which: BoolArray,
    scenes: Sequence[Scene] | None = None,
) -> BoolArray:
    """Play the bodies which (N,) on toward the joint targets that were last set; which of them (N,) stand all the
    while, and rest at the end.

    They go on for metrics.STANDS_SECONDS, or to the moment of the fall; nothing is recorded any more. scenes: those
    they are in; where they are told, who rests surely is played no further.
    """
    feet = [bodies.body.index(name) for name in FEET]
    others = np.ones(len(bodies.body.links), dtype=bool)
    others[feet] = False
    bodies.record(())
    stand, sure, rested = which.copy(), np.zeros(len(which), dtype=bool), np.zeros(len(which), dtype=int)
    for _ in range(round(metrics.STANDS_SECONDS * CONTROL_RATE)):
        bodies.step(stand & ~sure)
        states = bodies.states()
        upright = metrics.root_tilt(states.rotations) < metrics.UPRIGHT
        # Compared this way round, numbers that are not finite do not stand
        stand &= upright & ~(bodies.contacts() & others).any(axis=1)
        if scenes:
            rested = np.where(stand & rests_surely(bodies.body, states, scenes), rested + 1, 0)
            sure |= rested >= SURE_SECONDS * CONTROL_RATE
        if not (stand & ~sure).any():
            return stand
    rests: BoolArray = stand & (sure | _slow(bodies.states()) & bodies.contacts()[:, feet].any(axis=1))
    return rests


def rests_surely(body: Body, states: States, scenes: Sequence[Scene]) -> BoolArray:
    """Which of states (N,) all but rest, well inside their soles."""
    margin = SURE_INSIDE / 2 * balance.sole_length(body)
    sinks = np.abs(states.velocity[:, 2]) < SINKING
    still: BoolArray = _slow(states) & sinks & (np.abs(states.joint_velocity).max(axis=(1, 2)) < BENDING)
    return still & stands_on_soles(body, states, scenes, margin) if still.any() else still


def _slow(states: States) -> BoolArray:
    """Whose root (N,) all but rests."""
    slow: BoolArray = np.linalg.norm(states.velocity, axis=1) < balance.REST_SPEED
    slow &= np.abs(states.angular_velocity[:, 2]) < balance.REST_TURN
    return slow


def stands_on_soles(body: Body, states: States, scenes: Sequence[Scene], margin: float = balance.MARGIN) -> BoolArray:
    """Of which of states (N,) the capture point is so far, m, inside the soles on the floor."""
    now, floors = Figures.of(body, states), np.array([scene.floor for scene in scenes])
    gravity = np.array([scene.gravity for scene in scenes])
    capture = balance.capture_point(now.centre, now.velocity, now.centre[:, 2:] - floors[:, None], gravity)
    corners = np.concatenate([balance.sole_corners(body, name, now.positions, now.world) for name in FEET], axis=1)
    on = corners[..., 2] - floors[:, None] < balance.TOUCH
    inside = balance.inside_hulls(corners[..., :2], on, capture) >= margin
    stands: BoolArray = inside & (metrics.root_tilt(now.world) < metrics.UPRIGHT)
    return stands
