# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion from a video, read for a body with soles of another shape than the filmed person's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from backflip_addon.core.clips import video_motion
from backflip_addon.core.motion import Motion
from backflip_addon.scene import reference
from tests.core import performances
from tests.operators.test_video import seen


def test_who_hovers_before_a_hop_is_put_on_the_floor(tmp_path: Path) -> None:
    path, person, body = tmp_path / "hop.npz", seen(), performances.body()
    hop = person.motion.position
    hovering = np.repeat(hop[:1] + [0.0, 0.0, 0.05], 15, axis=0)
    position = np.concatenate([hovering, hop, np.repeat(hop[-1:], 20, axis=0)])
    frames = len(position)
    moving = Motion(30.0, position, person.motion.rotations[:1].repeat(frames, axis=0))
    longer = {"sure": person.sure[:1].repeat(frames, axis=0), "marks": person.marks[:1].repeat(frames, axis=0)}
    video_motion.save(path, dataclasses.replace(person, motion=moving, **longer))
    motion = reference.read_file(path, body)
    assert isinstance(motion, Motion)
    lowest = body.lowest_points(*body.forward(motion.position, motion.rotations)).min(axis=1)
    assert np.abs(lowest[:12]).max() < 0.02 and lowest.max() > 0.1
