# SPDX-License-Identifier: GPL-3.0-or-later
"""Constraints that would pull the bones elsewhere rest while a take plays; what cannot be rested is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")


from backflip_addon.scene.baking import bake_error  # noqa: E402

from . import rigs, takes  # noqa: E402
from .baked import bake_one, bound  # noqa: E402


@pytest.fixture(autouse=True)
def _empty() -> None:
    rigs.empty_scene()


def target() -> Any:
    ob = bpy.data.objects.new("Target", None)
    ob.location = (0.0, -1.0, 1.0)
    bpy.context.scene.collection.objects.link(ob)
    return ob


def reached(armature: Any, kind: str, chain: int) -> None:
    """A constraint of a finger, whose chain reaches bones that the take moves."""
    pull = armature.pose.bones["index.L"].constraints.new(kind)
    if kind == "IK":
        pull.target = target()
    else:
        curve = bpy.data.curves.new("Curve", "CURVE")
        curve.dimensions = "3D"
        curve.splines.new("POLY").points.add(2)
        for i, point in enumerate(curve.splines[0].points):
            point.co = (0.3 * i, 0.0, 1.0, 1.0)
        pull.target = bpy.data.objects.new("Curve", curve)
        bpy.context.scene.collection.objects.link(pull.target)
    pull.chain_count = chain


def unmuted_later(armature: Any) -> None:
    limit = armature.pose.bones["forearm.L"].constraints.new("LIMIT_ROTATION")
    limit.use_limit_x = limit.use_limit_y = limit.use_limit_z = True
    for frame, mute in ((30, False), (1, True)):
        limit.mute = mute
        limit.keyframe_insert("mute", frame=frame)


def unmuted_by_a_driver(armature: Any) -> None:
    unmuted_later(armature)
    armature.animation_data_clear()
    limit = armature.pose.bones["forearm.L"].constraints[0]
    limit.driver_add("mute").driver.expression = "frame < 20"


PULLED: dict[str, Callable[[Any], None]] = {
    "a finger's IK with three bones": lambda ob: reached(ob, "IK", 3),
    "a finger's IK up to the root": lambda ob: reached(ob, "IK", 0),
    "a finger's spline IK": lambda ob: reached(ob, "SPLINE_IK", 4),
    "a constraint whose mute is keyed": unmuted_later,
    "a constraint whose mute is driven": unmuted_by_a_driver,
}


@pytest.mark.parametrize("pull", PULLED)
def test_what_would_pull_the_bones_elsewhere_rests_while_the_take_plays(pull: str) -> None:
    armature = rigs.build()
    body, binding = bound(armature)
    PULLED[pull](armature)
    bpy.context.view_layer.update()
    bake_one(armature, (body, binding))
    error = bake_error.bake_error(armature, body, binding, takes.tumble(body), 11, bpy.context.scene)
    assert error[0] < 1.0 and error[1] < 0.1


def scaled_by_a_driver(armature: Any) -> None:
    armature.pose.bones["spine"].driver_add("scale", 1).driver.expression = "1.3"


def stretched(_armature: Any) -> None:
    bpy.context.scene.render.frame_map_new = 200


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(scaled_by_a_driver, "chest does not follow"), (stretched, "stretches time"), (lambda _ob: None, "")],
)
def test_a_rig_that_does_not_show_the_take_is_said(change: Callable[[Any], None], sentence: str) -> None:
    armature = rigs.build()
    of = bound(armature)
    change(armature)
    bpy.context.view_layer.update()
    warnings = bake_one(armature, of).warnings
    assert sentence in warnings[0] if sentence else not warnings
