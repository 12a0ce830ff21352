# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from backflip_addon.core.body import Shape  # noqa: E402
from backflip_addon.core.rigs import fit, roles  # noqa: E402
from backflip_addon.scene import overlay  # noqa: E402
from backflip_addon.scene.armature.rig import read_rig  # noqa: E402
from backflip_addon.scene.baking import bake  # noqa: E402

from . import rigs, takes  # noqa: E402


@pytest.fixture
def bound() -> tuple:
    rigs.empty_scene()
    armature = rigs.build(matrix=rigs.SCALED_AND_TURNED, skin=True)
    rig = read_rig(armature)
    return (armature, *fit.fit_body(rig, roles.guess(rig)))


@pytest.mark.parametrize(
    ("shape", "reach"),
    [
        (Shape("sphere", (0.2,)), (0.2, 0.2, 0.2)),
        (Shape("box", (0.1, 0.2, 0.3)), (0.1, 0.2, 0.3)),
        (Shape("capsule", (0.1, 0.5)), (0.1, 0.1, 0.35)),
    ],
)
def test_shapes_are_drawn_to_their_size(shape: Shape, reach: tuple[float, float, float]) -> None:
    lines = overlay.shape_lines(shape).reshape(-1, 3)
    np.testing.assert_allclose(lines.max(axis=0), reach, atol=1e-9)
    np.testing.assert_allclose(lines.min(axis=0), np.negative(reach), atol=1e-9)


def test_the_body_stands_in_the_character(bound: tuple) -> None:
    lines = overlay.body_lines(*bound)
    assert lines[..., 2].min() == pytest.approx(0.0, abs=0.02)
    assert lines[..., 2].max() == pytest.approx(1.76, abs=0.06)
    # arms as the rig holds them, in a T-pose, and not as the neutral pose does
    assert np.ptp(lines[..., 0]) > 1.3


def test_the_body_follows_a_baked_take_and_the_ghost_shows_the_same(bound: tuple) -> None:
    armature, body, binding = bound
    scene = bpy.context.scene
    motion = takes.tumble(body)
    bake.bake_take(armature, binding, motion, name="T", start_frame=3, scene=scene)
    scene.frame_set(20)
    ghost = overlay.ghost_lines(scene, body, binding, motion, 3)
    np.testing.assert_allclose(overlay.body_lines(armature, body, binding), ghost, atol=2e-3)
