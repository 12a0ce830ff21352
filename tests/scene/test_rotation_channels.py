# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from backflip_addon.core import rotations
from backflip_addon.scene.animation import rotation_channels


def _tumbling(frames: int = 400, bones: int = 5) -> np.ndarray:
    """Orientations that turn over several times about changing axes, through gimbal lock too."""
    rng = np.random.default_rng(3)
    steps = rotations.from_rotation_vector(rng.normal(0, 0.12, (frames, bones, 3)) + [0.0, 0.05, 0.02])
    turns = [steps[0]]
    for step in steps[1:]:
        turns.append(rotations.multiply(step, turns[-1]))
    turns = np.array(turns)
    straight = rotations.from_axis_angle([0.0, 1.0, 0.0], np.linspace(0, 4 * np.pi, frames))
    return np.concatenate([turns, straight[:, None]], axis=1)


def _euler_quaternion(angles: np.ndarray, order: str) -> np.ndarray:
    axes = np.eye(3)
    q = rotations.IDENTITY
    for letter in order:
        i = "XYZ".index(letter)
        q = rotations.multiply(rotations.from_axis_angle(axes[i], angles[..., i]), q)
    return q


@pytest.mark.parametrize("order", rotation_channels.EULER_ORDERS)
def test_eulers_give_the_rotation_back_and_never_jump(order: str) -> None:
    turns = _tumbling()
    angles = rotation_channels.to_channels(turns, order)
    assert rotations.angle_between(_euler_quaternion(angles, order), turns).max() < 1e-5
    assert np.abs(np.diff(angles, axis=0)).max() <= np.pi + 1e-9


def test_a_somersault_in_eulers_counts_whole_turns() -> None:
    turns = rotations.from_axis_angle([1.0, 0.0, 0.0], np.linspace(0, -4 * np.pi, 97))[:, None]
    angles = rotation_channels.to_channels(turns, "XYZ")
    np.testing.assert_allclose(angles[-1, 0], [-4 * np.pi, 0, 0], atol=1e-9)


def test_a_flip_in_axis_angle_counts_whole_turns_about_one_axis() -> None:
    turns = rotations.from_axis_angle([1.0, 0.0, 0.0], np.linspace(0.1, -4 * np.pi, 97))[:, None]
    values = rotation_channels.to_channels(turns, "AXIS_ANGLE")[:, 0]
    np.testing.assert_allclose(values[:, 1:] @ values[0, 1:], 1.0, atol=1e-9)
    assert abs(values[-1, 0] - values[0, 0]) == pytest.approx(4 * np.pi + 0.1)


def test_axis_angles_give_the_rotation_back() -> None:
    turns = _tumbling()
    values = rotation_channels.to_channels(turns, "AXIS_ANGLE")
    back = rotations.from_axis_angle(values[..., 1:], values[..., 0])
    assert rotations.angle_between(back, turns).max() < 1e-6


def test_rest_has_an_axis_too() -> None:
    values = rotation_channels.to_channels(np.tile(rotations.IDENTITY, (4, 2, 1)), "AXIS_ANGLE")
    np.testing.assert_allclose(np.linalg.norm(values[..., 1:], axis=-1), 1.0)


def test_quaternions_stay_in_one_hemisphere() -> None:
    values = rotation_channels.to_channels(_tumbling(), "QUATERNION")
    assert (np.sum(values[1:] * values[:-1], axis=-1) > 0).all()


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown rotation mode"):
        rotation_channels.to_channels(np.tile(rotations.IDENTITY, (2, 1, 1)), "XXX")
