# SPDX-License-Identifier: GPL-3.0-or-later
"""The push as an arrow: at the pushed part, at its moment, as long as it is hard."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix, Vector  # noqa: E402

from backflip_addon.core import body as bodies  # noqa: E402
from backflip_addon.core.motion import save_take  # noqa: E402
from backflip_addon.core.rigs import binding as bindings  # noqa: E402
from backflip_addon.jobs.folder import JobFolder  # noqa: E402
from backflip_addon.jobs.messages import Job  # noqa: E402
from backflip_addon.operators import job_monitor, push_arrow, take_places, take_player  # noqa: E402
from backflip_addon.scene import stored_avatar  # noqa: E402
from backflip_addon.settings.road import turn_to  # noqa: E402
from backflip_addon.ui import push_gizmo  # noqa: E402
from tests.job_events import tell  # noqa: E402
from tests.scene import rigs  # noqa: E402
from tests.scene.takes import take  # noqa: E402


def scene() -> Any:
    return bpy.context.scene


def fields() -> Any:
    return scene().backflip.direction


@pytest.fixture
def pushed(ops: Any, tmp_path: Path) -> JobFolder:
    """A character with a job, and a push of its left foot."""
    armature = rigs.build(skin=True, name="Hero")
    ops.pick_avatar()
    ops.build_body()
    body, binding = stored_avatar.body_and_binding(scene())
    folder = JobFolder(tmp_path / "job")
    folder.create(Job(avatar=armature.name, body=bodies.to_json(body), binding=bindings.to_json(binding), settings={}))
    job_monitor.set_job(scene(), folder.path)
    scene().backflip.road.takes = True
    fields().push, fields().push_link, fields().push_at = True, "foot.L", 0.25
    return folder


def test_the_arrow_begins_at_the_part_and_is_as_long_as_the_push_is_hard(pushed: JobFolder) -> None:
    fields().push_strength, fields().push_heading = 80.0, math.radians(90)
    arrow = push_arrow.arrow(scene())
    np.testing.assert_allclose(arrow.place, bpy.data.objects["Hero"].data.bones["foot.L"].head_local, atol=1e-4)
    np.testing.assert_allclose(arrow.way, [0.8, 0.0, 0.0], atol=1e-5)  # to its left
    push_arrow.set_length(scene(), 0.3)
    assert fields().push_strength == pytest.approx(30.0) and push_arrow.length(scene()) == pytest.approx(0.3)
    push_arrow.set_length(scene(), -1.0)
    assert fields().push_strength == 0.0 and push_arrow.length(scene()) > 0.0, "it can be taken hold of again"


def test_the_arrow_stands_where_the_chosen_take_has_the_part_at_that_moment(pushed: JobFolder) -> None:
    body, binding = stored_avatar.body_and_binding(scene())
    performed = take(body)
    save_take(pushed.takes / "0000_search.npz", performed)
    tell(pushed, "take", file="0000_search.npz")
    job_monitor.refresh(scene(), whole=True)
    take_player.figures(scene(), wait=True)
    positions, orientations = body.forward(performed.motion.position[30], performed.motion.rotations[30])
    link = body.index("foot.L")
    one = bodies.Body("one", (body.links[link],), 1.0)
    centre = one.centre_of_mass(positions[[link]], orientations[[link]])
    beside = binding.to_world(centre) + [take_places.SPACING * body.height, 0.0, 0.0]
    np.testing.assert_allclose(push_arrow.arrow(scene()).place, beside, atol=1e-5)
    scene().backflip.browser.timeline = True
    np.testing.assert_allclose(push_arrow.arrow(scene()).place, binding.to_world(centre), atol=1e-5)


def test_rings_turn_the_arrow_left_and_up(pushed: JobFolder) -> None:
    fields().push_heading, fields().push_elevation = 0.4, 0.2
    arrow = push_arrow.arrow(scene())
    along, level, upright = (frame[:3, 2] / np.linalg.norm(frame[:3, 2]) for frame in arrow.frames())
    np.testing.assert_allclose(along, arrow.way / arrow.length, atol=1e-6)
    for axis, name in ((level, "push_heading"), (upright, "push_elevation")):
        before = push_arrow.arrow(scene()).way
        setattr(fields(), name, getattr(fields(), name) + 1e-3)
        change = push_arrow.arrow(scene()).way - before
        np.testing.assert_allclose(change, 1e-3 * np.cross(axis, before), atol=2e-6)
        setattr(fields(), name, getattr(fields(), name) - 1e-3)
    for frame in arrow.frames():
        assert np.linalg.det(frame) > 0.0
    fields().push_elevation = math.radians(90)
    assert all(np.isfinite(frame).all() for frame in push_arrow.arrow(scene()).frames())


def test_no_push_no_arrow(pushed: JobFolder) -> None:
    fields().push = False
    assert push_arrow.arrow(scene()) is None and not push_arrow.shown(scene())


def test_the_arrow_is_shown_while_a_shot_is_looked_at(pushed: JobFolder) -> None:
    shown = push_gizmo.BACKFLIP_GGT_push.poll
    assert shown(bpy.context)
    turn_to(scene().backflip, "bake")
    assert not shown(bpy.context)
    turn_to(scene().backflip, "takes")
    scene().backflip.road.overlays = False
    assert not shown(bpy.context), "what hides all else in the viewport hides it"
    scene().backflip.road.overlays = True
    bpy.ops.object.mode_set(mode="EDIT")
    assert not shown(bpy.context)


def test_an_arrow_that_was_dragged_still_begins_at_the_part(pushed: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender draws an arrow as far ahead of its frame as it was dragged, and goes on to when the drag has ended."""
    undone: list[object] = []
    monkeypatch.setattr(bpy.app.timers, "register", lambda call, **_when: undone.append(call))
    fields().push_strength = 60.0
    shown = [SimpleNamespace(is_modal=False, length=1.0, matrix_basis=Matrix()) for _gizmo in range(3)]
    group: Any = SimpleNamespace(dragged=False, offset=0.0, rest=1.0, arrow=shown[0], level=shown[1], upright=shown[2])
    gizmos = push_gizmo.BACKFLIP_GGT_push
    for way, strength in ((0.4, 100.0), (-0.3, 70.0)):
        gizmos.draw_prepare(group, bpy.context)
        group.arrow.is_modal = True
        gizmos.draw_prepare(group, bpy.context)
        ahead = gizmos._offset(group) + way
        gizmos._drag(group, ahead)
        assert fields().push_strength == pytest.approx(strength)
        group.arrow.is_modal = False
        gizmos.draw_prepare(group, bpy.context)
        begins = group.arrow.matrix_basis @ Vector((0.0, 0.0, ahead))
        np.testing.assert_allclose(begins, push_arrow.arrow(scene()).place, atol=1e-5)
        assert group.arrow.length == pytest.approx(strength / 100)
    assert len(undone) == 2, "each drag is a step of its own"
