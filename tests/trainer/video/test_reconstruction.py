# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion comes back out of what a camera would have shown of it, and slow motion is told by its fall."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.core.body import LINK_NAMES  # noqa: E402
from backflip_addon.trainer.video import contacts, inspection, reconstruction, run  # noqa: E402
from tests.trainer.video import projected  # noqa: E402


@pytest.fixture(scope="module")
def flip() -> tuple[np.ndarray, np.ndarray]:
    return projected.backflip()


def test_a_backflip_comes_back_from_its_projection(flip: tuple[np.ndarray, np.ndarray]) -> None:
    """From the side, with 2 pixels of noise: joints within 5 cm about the hips, a whole turn, flight to two frames."""
    root, q = flip
    found = reconstruction.reconstruct(projected.seen(root, q), projected.PERSON, stages=(30, 40, 40, 20))
    true = projected.places(root, q)[0]
    about = [one - one[:, :1] for one in (found.origins, true)]
    assert np.linalg.norm(about[0] - about[1], axis=-1).mean() < 0.05
    spin = rotations.angular_velocity(found.motion.rotations[:, 0], projected.RATE)
    axis = rotations.rotate(found.motion.rotations[0, 0], [1.0, 0.0, 0.0])
    assert (spin @ axis).sum() / projected.RATE == pytest.approx(-2 * np.pi, abs=0.3)
    ((first, last),) = contacts.runs(found.contacts.flight)
    assert abs(first - projected.TAKE_OFF) <= 2
    assert abs(last - projected.LANDING) <= 2
    assert found.height == pytest.approx(projected.PERSON, rel=0.05)
    assert len(found.motion.rotations[0]) == len(LINK_NAMES)


def test_the_fall_is_read_from_the_picture(flip: tuple[np.ndarray, np.ndarray]) -> None:
    """Of a person whose landmarks lie at joints, where the reading takes them to be."""
    seen = projected.seen(*flip, noise=1.0, marked=projected.AT_JOINTS)
    gravity, seconds = contacts.gravity_seen(seen, contacts.scale_of(seen))
    assert gravity == pytest.approx(9.81, rel=0.15)
    assert seconds == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_slow_motion_is_told_by_its_fall(flip: tuple[np.ndarray, np.ndarray], factor: int) -> None:
    """Pictures taken so many times as often, and played as if they had not been."""
    slow = projected.between(*flip, np.arange((projected.FRAMES - 1) * factor + 1) / factor)
    assert inspection.slowness(projected.seen(*slow, noise=0.5)) == pytest.approx(factor, rel=0.3)


def test_frames_of_an_uneven_video_are_not_on_time(
    flip: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third repeats the frame before, as screen recordings do, and the others are early or late: speeds come out
    nearer to the truth where that is reckoned with."""
    late = np.random.default_rng(1).uniform(-0.75, 0.75, projected.FRAMES)
    seen = projected.seen(*projected.between(*flip, np.arange(projected.FRAMES) + late))
    seen = seen.without(range(1, projected.FRAMES, 3))
    true = np.diff(projected.places(*flip)[0][..., 2], axis=0)
    off = []
    for uneven in (1.0, reconstruction.UNEVEN):
        monkeypatch.setattr(reconstruction, "UNEVEN", uneven)
        found = reconstruction.reconstruct(seen, projected.PERSON, stages=(30, 40, 40, 60))
        off.append(np.abs(np.diff(found.origins[..., 2], axis=0) - true).mean())
    assert off[1] < 0.85 * off[0]


def test_a_person_whom_the_network_sees_lean_stands_over_its_feet(flip: tuple[np.ndarray, np.ndarray]) -> None:
    """By 9 degrees towards the camera, as networks do: over the feet's middle to 3 cm, where it would
    be 5.5 off."""
    root, q = flip
    seen = projected.seen(root, q)
    c, s = np.cos(0.15), np.sin(0.15)
    leaning = dataclasses.replace(seen, world=seen.world @ [[1, 0, 0], [0, c, -s], [0, s, c]])
    found = reconstruction.reconstruct(leaning, projected.PERSON, stages=(30, 40, 40, 20))
    parts = [LINK_NAMES.index(name) for name in ("chest", "foot.L", "foot.R")]
    depth = (found.origins[: projected.TAKE_OFF - 4, parts] - found.camera.position) @ found.camera.axes[2]
    assert abs((depth[:, 0] - depth[:, 1:].mean(axis=1)).mean()) < 0.03


def test_the_fit_goes_after_landmarks_that_a_person_has_put_elsewhere(flip: tuple[np.ndarray, np.ndarray]) -> None:
    """A wrist 15 cm higher over five frames: most of the way, and no farther than that a moment before and after."""
    seen = projected.seen(*flip, noise=1.0)
    wrist, frames = 15, range(6, 11)
    up = 0.15 * contacts.scale_of(seen)
    moved = [(f, wrist, seen.xy[f, wrist, 0] / seen.width, (seen.xy[f, wrist, 1] - up) / seen.height) for f in frames]
    heights = []
    for told in ([], moved):
        found = reconstruction.reconstruct(run.corrected(seen, told), projected.PERSON, stages=(20, 30, 10, 5))
        heights.append(found.origins[:, LINK_NAMES.index("hand.L"), 2])
    way = heights[1] - heights[0]
    assert 0.08 < way[8] < 0.2
    assert np.abs(way[20:]).max() < 0.04
