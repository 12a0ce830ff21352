# SPDX-License-Identifier: GPL-3.0-or-later
"""One performance filmed by two cameras: what the one sees badly the other one tells."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.trainer.video import contacts, reconstruction, two_cameras  # noqa: E402
from backflip_addon.trainer.video.landmarks import Landmarks  # noqa: E402
from tests.trainer.video import projected  # noqa: E402

LATE = 5  # frames by which the second camera began later
FEW = (20, 30, 20)
torch.set_num_threads(1)  # as the trainer does


def flat(seen: Landmarks) -> Landmarks:
    """As networks err: the depth of everything is a third less than it is."""
    return dataclasses.replace(seen, world=seen.world * [1.0, 1.0, 0.65])


def after(seen: Landmarks, frames: int) -> Landmarks:
    """Without its first frames."""
    return dataclasses.replace(
        seen, found=seen.found[frames:], xy=seen.xy[frames:], world=seen.world[frames:], visible=seen.visible[frames:]
    )


def test_a_second_camera_tells_the_depth_that_the_first_does_not_see() -> None:
    """Of a backflip towards the camera, and from its side, 5 frames later: found to half a frame, and the whole way is
    nearer to the truth by a third and more."""
    side = tuple(part[8:44] for part in projected.backflip())
    quarter = rotations.from_axis_angle([0.0, 0.0, 1.0], -np.pi / 2)
    front = rotations.rotate(quarter, side[0]), side[1].copy()
    front[1][:, 0] = rotations.multiply(quarter, side[1][:, 0])
    one, other = flat(projected.seen(*front)), after(flat(projected.seen(*side, seed=1)), LATE)
    alone = reconstruction.reconstruct(one, projected.PERSON, stages=FEW)
    told: list[float] = []
    found = two_cameras.reconstruct(one, other, projected.PERSON, told=told.append, iterations=(20, 40), alone=FEW)
    true = projected.places(*front)[0]
    off = []
    for places in (alone.origins, found.outcome.origins):
        shift = (places - true).mean(axis=(0, 1)) * [1.0, 1.0, 0.0]
        off.append(np.linalg.norm(places - shift - true, axis=-1).mean())
    assert off[1] < 0.67 * off[0]
    assert found.delay * projected.RATE == pytest.approx(LATE, abs=0.5)
    assert (np.diff(told) >= -1e-9).all()
    assert told[-1] > 0.9


def test_videos_that_have_nothing_in_common_are_no_pair() -> None:
    seen = projected.seen(*projected.backflip())
    with pytest.raises(ValueError, match="nothing at the same time"):
        two_cameras.reconstruct(seen, seen, projected.PERSON, delay=10.0, iterations=(1, 1), alone=(1, 1))


def test_the_floor_is_where_somebody_has_put_it() -> None:
    """A quarter of a metre under the feet of one who stands still: then who stands there stands on something."""
    root, q = projected.backflip()
    seen = projected.seen(root[:8], q[:8], noise=0.5)
    soles = float(seen.xy[4, [29, 30, 31, 32], 1].max())
    heights = []
    for floor in (None, (4, soles + 0.25 * contacts.scale_of(seen))):
        found = reconstruction.reconstruct(seen, projected.PERSON, stages=(20, 30, 30), floor=floor)
        heights.append(found.origins[4, :, 2].min())
    assert heights[1] - heights[0] == pytest.approx(0.25, abs=0.06)
