# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rollouts under a trajectory's feedback land: a quick look in the compiled step, by which feedback is chosen.

What core.metrics asks of takes, this asks of states alone: down on what may touch the floor, facing where the clip does
at its end, at rest on its soles for half a second, and still standing three seconds later with its targets held.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...core import metrics, rotations
from ...core.arrays import Array, BoolArray
from ...core.measures import balance
from ..physics.simulator import CONTROL_RATE
from ..physics.state import States
from .disturbances import Circumstances
from .environment import LARGEST_CORRECTION
from .feedback_rollouts import NEVER, FeedbackRollouts
from .observations import Figures
from .standing import stands_on_soles

STILL_STEPS = round(balance.STILL_SECONDS * CONTROL_RATE)
REST_STEPS = round(balance.REST_SECONDS * CONTROL_RATE)
ROOM = 0.9  # share of a limit that a look grants: feedback is chosen by these trials, and judged by others


def who_lands(
    rollouts: FeedbackRollouts,
    starts: States,
    circumstances: Sequence[Circumstances],
    standing: bool,
    stays: bool = True,
) -> tuple[BoolArray, Array]:
    """Which of bodies (N,) that begin at frame 0 in these states land, and their mean costs (N,).

    standing: whether the clip ends on its feet; of one that does not, who is never lost. stays: whether a landing is to
    stand three seconds on, which takes as long as all before; one in thirty does not.
    """
    trajectory, count = rollouts.trajectory, len(circumstances)
    still, since_clip = STILL_STEPS + REST_STEPS, trajectory.steps - rollouts.track.clip_steps + 1
    kept = min(max(still, since_clip), trajectory.steps) if standing else 0
    offsets = np.zeros((count, trajectory.steps, rollouts.track.layout.width))
    played = rollouts(starts, circumstances, 0, offsets, kept)
    sound, costs = played.failed == NEVER, played.costs.mean(axis=1)
    if not standing:
        return sound, costs
    faces = _faces_as_clip(rollouts, starts, played.passed[-since_clip])
    passed, scenes = played.passed[-still:], [own.scene for own in circumstances]
    rests = np.ones(count, dtype=bool)
    for before, now in zip(passed[:-REST_STEPS], passed[REST_STEPS:], strict=True):
        moved = np.linalg.norm(now.position - before.position, axis=1) * CONTROL_RATE / REST_STEPS
        turned = np.abs(_turns(before, now)) * CONTROL_RATE / REST_STEPS
        rests &= (moved < ROOM * balance.REST_SPEED) & (turned < ROOM * balance.REST_TURN)
        rests &= stands_on_soles(rollouts.track.body, now, scenes)
    lands: BoolArray = faces & rests & sound
    left = np.flatnonzero(lands) if stays else ()
    if len(left):
        last = _corrections(rollouts, passed[-2])
        lands[left] = _stand_on(rollouts, played.ends[left], [circumstances[i] for i in left], last[left])
    return lands, costs


def _faces_as_clip(rollouts: FeedbackRollouts, starts: States, ends: States) -> BoolArray:
    """Which of states (N,) at the clip's end have not twisted off it since they began (metrics.twist_off; a whole turn
    off is none here)."""
    clip, step = rollouts.track.states.rotations[:, 0], rollouts.track.clip_steps
    passed = np.stack([starts.rotations[:, 0], ends.rotations[:, 0]])
    off = np.array([metrics.twist_off(own, clip[[0, step]]) for own in passed.swapaxes(0, 1)])
    faces: BoolArray = np.abs(off) <= ROOM * metrics.TURN_TOLERANCE
    return faces


def _turns(before: States, now: States) -> Array:
    """What roots (N,) turned about the vertical, rad."""
    first, last = (
        rotations.rotate(states.rotations[:, 0], np.array([0.0, -1.0, 0.0]))[:, :2] for states in (before, now)
    )
    turns: Array = np.arctan2(first[:, 0] * last[:, 1] - first[:, 1] * last[:, 0], (first * last).sum(axis=1))
    return turns


def _corrections(rollouts: FeedbackRollouts, states: States) -> Array:
    """What the feedback turns the last targets by (N, width), rad, in states (N,) before the last control step."""
    trajectory, body = rollouts.trajectory, rollouts.track.body
    last = np.full(len(states), trajectory.steps - 1)
    differences = rollouts.observations(Figures.of(body, states), last)
    if not len(trajectory.gains):
        return np.zeros((len(states), rollouts.track.layout.width))
    corrections: Array = np.clip(differences @ trajectory.gains[-1].T, -LARGEST_CORRECTION, LARGEST_CORRECTION)
    return corrections


def _stand_on(
    rollouts: FeedbackRollouts, states: States, circumstances: Sequence[Circumstances], last: Array
) -> BoolArray:
    """Which of states (N,) still stand after metrics.STANDS_SECONDS, the targets of the last control step held."""
    trajectory, count = rollouts.trajectory, round(metrics.STANDS_SECONDS * CONTROL_RATE)
    held = dataclasses.replace(trajectory, gains=np.zeros((0, 0, 0)))
    rollouts.follow(held)
    try:
        played = rollouts(states, circumstances, trajectory.steps, np.repeat(last[:, None], count, axis=1))
    finally:
        rollouts.follow(trajectory)
    ends = played.ends
    slow = np.linalg.norm(ends.velocity, axis=1) < balance.REST_SPEED
    stands: BoolArray = (played.failed == NEVER) & slow & (metrics.root_tilt(ends.rotations) < metrics.UPRIGHT)
    return stands
