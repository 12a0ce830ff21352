# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 5: a take's keyframes on the avatar's rig, and which of its baked takes the avatar plays."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from ..core import metrics, outcome
from ..core.slices import Slices, apart, at_once
from ..core.slope import in_the_world
from ..scene import mapping_pose, stored_avatar
from ..scene import reference as clips
from ..scene.animation.action_slots import ActionError
from ..scene.armature.bind_matrix import SkeletonError, find_bind_matrix
from ..scene.baking import bake, nla
from ..scene.baking.bake import Baked
from ..settings import scene_settings
from ..settings.road import turn_to
from . import follow, job_monitor, take_browser
from .base import INTERNAL, Step, current_scene, need_avatar, need_object_mode
from .sliced_step import SlicedStep
from .takes import Shot, find_take, read_shot, reference_of


def bake_shot(scene: bpy.types.Scene, shot: Shot, start_frame: int, name: str = "") -> Baked:
    """A take's keyframes on the avatar. Raises ActionError or StateError."""
    return at_once(bake_shot_slices(scene, shot, start_frame, name))


def bake_shot_slices(scene: bpy.types.Scene, shot: Shot, start_frame: int, name: str = "") -> Slices[Baked]:
    """bake_shot() in slices."""
    armature = stored_avatar.avatar(scene)
    _check_performer(scene, armature, shot)
    mapping_pose.take_back(armature)
    own = clips.own_animation(scene, armature, shot.reference)
    if not name:
        name = f"{armature.name} {_title(scene, shot, (yield from apart(_measured, shot)))}"
    baked = yield from bake.bake_slices(
        armature, shot.binding, shot.take.motion, name=name, start_frame=start_frame, scene=scene, own=own
    )
    scene_settings(scene).baked_first, scene_settings(scene).baked_last = baked.first, baked.last
    return baked


def _measured(shot: Shot) -> dict[str, Any]:
    """What became of a take as it is measured now, by its measures' names, whatever it says of itself; of one that
    lies outside a job nothing is known."""
    take = dataclasses.replace(shot.take, motion=in_the_world(shot.take, back=True))
    try:
        if (reference := reference_of(shot)) is None:
            return {}
        measures = metrics.evaluate_take(shot.body, reference, take)
        happened = outcome.what_happened(shot.body, reference, take, measures)
    except (OSError, ValueError):
        return {}
    return {**measures.to_json(), **happened.facts()}


def _title(scene: bpy.types.Scene, shot: Shot, measured: dict[str, Any]) -> str:
    """What the take is called in the list: by the user, or by its number and what became of it."""
    facts = job_monitor.facts_of(scene, shot.file.name)
    if facts is not None and (own := take_browser.note_of(scene, shot.file.name).name):
        return own
    if not (words := take_browser.became(measured)):
        return shot.file.stem
    words = take_browser.under(facts.asked if facts is not None else "", words)
    number = shot.file.stem.partition("_")[0]
    return f"Take {int(number)} {words}" if number.isdecimal() and len(number) < 10 else words


def _check_performer(scene: bpy.types.Scene, armature: bpy.types.Object, shot: Shot) -> None:
    """Raises ActionError where the take cannot be this avatar's, with the name of whose it is."""
    try:
        find_bind_matrix(armature, shot.binding)
    except SkeletonError as error:
        if shot.avatar in ("", armature.name):
            raise
        here = stored_avatar.object_named(scene, shot.avatar) is not None
        instead = f"choose {shot.avatar} as the avatar (step 1)" if here else f"train {armature.name} (step 3)"
        raise ActionError(
            f"This take was performed by {shot.avatar}, and the avatar is {armature.name}; {instead}."
        ) from error


def _has_takes(scene: bpy.types.Scene) -> str:
    settings = scene_settings(scene)
    if len(settings.takes) or len(
        job_monitor.scores(scene)[0]
    ):  # while a bake is done over the list is as it was before
        return ""
    if not settings.job_folder:
        return "There is no take yet: train first (step 3)."
    if bpy.app.background and job_monitor.any_take(scene):
        return ""  # without a window nothing keeps the list up to date
    return "There is no take yet: let the avatar train a little longer (step 3)."


def need_bake(scene: bpy.types.Scene) -> str:
    avatar = stored_avatar.present(scene)
    return "" if avatar and nla.baked_tracks(avatar) else "Bake a take first."


def bake_warnings(scene: bpy.types.Scene) -> list[str]:
    """What the take that plays was found to show otherwise than it was performed."""
    avatar = stored_avatar.present(scene)
    return nla.warnings(avatar) if avatar else []


def _unseen(armature: bpy.types.Object) -> list[str]:
    """That nothing of the character is visible, as in a collection that is excluded: the bake seems to do nothing."""
    if any(ob.visible_get() for ob in (armature, *armature.children_recursive)):
        return []
    return [f"{armature.name} is not visible in this view layer: show it to see the take."]


class BakeTake(SlicedStep, bpy.types.Operator):
    """Bake a take to the avatar's rig: a new action on an NLA track of its own"""

    bl_idname = "backflip.bake_take"
    bl_label = "Bake Take"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, _has_takes, need_object_mode)

    take: Annotated[
        str,
        StringProperty(name="Take", description="Name or path of a take; the best one when empty", options=INTERNAL),
    ]
    start_frame: Annotated[
        int, IntProperty(name="Start Frame", description="Scene frame of the take's start", options={"SKIP_SAVE"})
    ]
    name: Annotated[str, StringProperty(name="Name", description="Name of the new action", options={"SKIP_SAVE"})]
    fit_range: Annotated[
        bool,
        BoolProperty(
            name="Fit Frame Range",
            description="Have the scene start and end with the take",
            default=True,
            options={"SKIP_SAVE"},
        ),
    ]

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        scene = current_scene(context)
        shot = read_shot(scene, find_take(scene, self.take))
        yield None
        baked = yield from bake_shot_slices(scene, shot, self.given(scene_settings(scene), "start_frame"), self.name)
        if self.fit_range:
            scene.frame_start, scene.frame_end = max(baked.first, 0), max(baked.last, 0)
            scene.frame_set(scene.frame_start)
        scene_settings(scene).show_take = False  # the character itself plays it now
        follow.unsay()  # that it has landed is no news any more
        turn_to(scene_settings(scene), "bake")
        self.take, self.name = self.take or shot.file.name, baked.action
        for warning in (*baked.warnings, *_unseen(stored_avatar.avatar(scene))):
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, f"{baked.action}: frames {baked.first} to {baked.last}")


class ShowTake(Step, bpy.types.Operator):
    """Play a baked take, or the avatar's own animation again"""

    bl_idname = "backflip.show_take"
    bl_label = "Show Take"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, need_bake)

    track: Annotated[
        str, StringProperty(name="Track", description="NLA track of a take; the latest when empty", options=INTERNAL)
    ]
    own: Annotated[
        bool, BoolProperty(name="Own Animation", description="Mute all takes instead", options={"SKIP_SAVE"})
    ]

    def run(self, context: bpy.types.Context) -> None:
        armature = stored_avatar.avatar(current_scene(context))
        if self.own:
            nla.show_own_animation(armature)
        else:
            self.track = self.track or nla.baked_tracks(armature)[-1].name
            nla.show_track(armature, self.track)
        current_scene(context).frame_set(current_scene(context).frame_current)


CLASSES = (BakeTake, ShowTake)
