# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion comes back out of what a camera would have shown of it, and slow motion is told by its fall."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.core.body import LINK_NAMES  # noqa: E402
from backflip_addon.trainer.video import contacts, inspection, reconstruction  # noqa: E402
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
    seen = projected.seen(*flip, noise=1.0)
    gravity, seconds = contacts.gravity_seen(seen, contacts.scale_of(seen))
    assert gravity == pytest.approx(9.81, rel=0.15)
    assert seconds == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_slow_motion_is_told_by_its_fall(flip: tuple[np.ndarray, np.ndarray], factor: int) -> None:
    """Pictures taken so many times as often, and played as if they had not been."""
    frames = np.arange((projected.FRAMES - 1) * factor + 1) / factor
    low = np.minimum(frames.astype(int), projected.FRAMES - 2)
    share = frames - low
    root, q = flip
    between = root[low] * (1 - share)[:, None] + root[low + 1] * share[:, None]
    turned = rotations.slerp(q[low], q[low + 1], share[:, None])
    assert inspection.slowness(projected.seen(between, turned, noise=0.5)) == pytest.approx(factor, rel=0.3)
