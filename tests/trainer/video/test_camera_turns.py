# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera that pans is followed by its background, and its person stays where it stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backflip_addon.core import rotations  # noqa: E402
from backflip_addon.trainer.video import camera_turns  # noqa: E402
from tests.trainer.video import projected  # noqa: E402

WIDTH, HEIGHT, FOCAL, FRAMES = 320, 180, 352.0, 7
RNG = np.random.default_rng(0)
STILL = np.tile(np.eye(3), (FRAMES, 1, 1))
WALL = torch.nn.functional.interpolate(
    torch.from_numpy(RNG.normal(128, 40, (1, 1, 60, 120))).float(), size=(600, 1200), mode="bicubic"
)


class Panned:
    """Pictures of a wall far off as a camera sees it that turns and zooms, and somebody before it who does not keep
    still."""

    def __init__(self, turns: np.ndarray, zooms: Sequence[float] = (1.0,) * FRAMES) -> None:
        self.turns, self.zooms, self.width, self.height = turns, zooms, WIDTH, HEIGHT

    def __len__(self) -> int:
        return len(self.turns)

    def __getitem__(self, frame: int) -> Any:
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        rays = np.stack([x - WIDTH / 2, y - HEIGHT / 2, np.full_like(x, FOCAL * self.zooms[frame])], axis=-1)
        rays = rays @ self.turns[frame]
        places = rays[..., :2] / rays[..., 2:] * FOCAL / [600, 300]
        grid = torch.from_numpy(places).float()[None]
        seen = torch.nn.functional.grid_sample(WALL, grid, align_corners=False).repeat(1, 3, 1, 1)
        seen[:, :, 60:160, 40 + 20 * frame : 80 + 20 * frame] = 250.0
        return seen + torch.from_numpy(RNG.normal(0, 2, (1, 3, HEIGHT, WIDTH))).float()


def behind(pictures: Panned) -> camera_turns.Behind:
    every: Any = pictures
    torch.set_num_threads(1)  # as the trainer does
    return camera_turns.camera_turns(every, range(FRAMES), [None] * FRAMES, FOCAL, lambda _share: None)


def test_a_camera_that_pans_is_followed() -> None:
    """By 13 degrees, with a sway: to a tenth of a degree in every frame. One that keeps still does not turn."""
    sway = 0.02 * np.sin(np.arange(FRAMES))
    true = rotations.to_matrix(
        rotations.from_rotation_vector(np.stack([sway, np.linspace(0.0, 0.23, FRAMES), sway / 2], axis=1))
    )
    seen = behind(Panned(true))
    found = seen.turns
    off = np.einsum("fij,fkj->fik", found, true)
    assert np.arccos(np.clip((np.trace(off, axis1=1, axis2=2) - 1) / 2, -1, 1)).max() < np.radians(0.1)
    assert seen.zoom < 1.02 and not seen.lost
    still = behind(Panned(STILL))
    assert not len(still.turns)
    assert still.zoom < 1.01


def test_a_camera_that_zooms_is_told() -> None:
    """By a third; and a background that is another one from one frame to the next."""
    assert behind(Panned(STILL, list(np.linspace(1.0, 1.33, FRAMES)))).zoom == pytest.approx(1.33, rel=0.03)
    elsewhere = STILL.copy()
    elsewhere[4:] = rotations.to_matrix(rotations.from_axis_angle([0.0, 1.0, 0.0], 0.6))
    assert behind(Panned(elsewhere)).lost == pytest.approx(3 / FRAMES)


def test_landmarks_stay_where_the_person_stands_while_the_camera_turns() -> None:
    """What a panning camera saw of a backflip is what a still one would have seen."""
    still = projected.seen(*projected.backflip(), noise=0.0)
    focal, frames = projected.FOCAL, still.frames
    turns = rotations.to_matrix(rotations.from_axis_angle([0.0, 1.0, 0.0], np.linspace(0.0, 0.3, frames)))
    middle = np.array([still.width, still.height]) / 2
    rays = np.concatenate([still.xy - middle, np.full((frames, 33, 1), focal)], axis=-1)
    seen = np.einsum("fij,fmj->fmi", turns, rays)
    panned = dataclasses.replace(
        still,
        xy=seen[..., :2] / seen[..., 2:] * focal + middle,
        world=np.einsum("fij,fmj->fmi", turns, still.world),
        turns=turns,
    )
    found = camera_turns.steadied(panned, focal)
    np.testing.assert_allclose(found.xy, still.xy, atol=1e-6)
    np.testing.assert_allclose(found.world, still.world, atol=1e-9)
    assert camera_turns.steadied(found, focal) is found
