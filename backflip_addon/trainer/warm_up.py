# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every kernel of a training once, on a small body, so that all of them are compiled and kept on the disk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core.body import HINGE_LIMITS, LINK_NAMES, LINK_PARENTS, Body, JointKind, Link
from ..core.motion import Motion
from ..core.shapes import Shape
from .imitation.compiled_environment import CompiledEnvironment
from .imitation.compiled_rollouts import CompiledRollouts
from .imitation.disturbances import Circumstances
from .imitation.feedback_rollouts import FeedbackRollouts
from .imitation.reference_track import Track
from .imitation.target_trajectory import TargetTrajectory
from .physics.compiled.batch import CompiledBatch
from .physics.compiled.recorded_batch import RecordedBatch
from .physics.state import Scene


def warm_up(tell: Callable[[str, float], None]) -> None:
    """Compile what is not compiled yet. tell: what comes next, and the share of all that is done."""
    body = _body()
    tell("rollouts", 0.0)
    motion = Motion(30.0, np.tile([0.0, 0.0, 1.0], (3, 1)), np.tile([1.0, 0.0, 0.0, 0.0], (3, len(body.links), 1)))
    track = Track(body, motion, hold=0.0)
    offsets = np.zeros((1, 1, track.layout.width))
    CompiledRollouts(track, lost=1.0)(track.states[:1], [Scene()], 0, offsets)
    tell("rollouts with feedback", 0.65)
    trajectory = TargetTrajectory.of_track(track)
    FeedbackRollouts(track, trajectory)(track.states[:1], [Circumstances(Scene())], 0, offsets)
    tell("environment", 0.85)
    batch = CompiledBatch(body, 1)
    batch.contacts()
    CompiledEnvironment(batch, trajectory, track.allowed).refresh()
    tell("performances", 0.95)
    RecordedBatch(body, 1).step()


def _body() -> Body:
    """A body of all parts, with joints of every kind."""
    return Body("warm-up", tuple(_link(name, parent) for name, parent in LINK_PARENTS.items()), 1.0)


def _link(name: str, parent: str | None) -> Link:
    part = name.partition(".")[0]
    kind: JointKind = "free" if parent is None else "hinge" if part in HINGE_LIMITS else "spherical"
    return Link(
        name=name,
        parent=LINK_NAMES.index(parent) if parent else -1,
        joint="fixed" if part == "hand" else kind,
        offset=(0.0, 0.0, -0.3 if parent else 0.0),
        mass=1.0,
        centre=(0.0, 0.0, 0.0),
        inertia=(0.01, 0.01, 0.01),
        shapes=(Shape("sphere", (0.1,)),),
        torque=10.0,
        kp=10.0,
        kd=1.0,
    )
