# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bone plays which body part: the avatar's map, and that of a clip's own skeleton."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import bpy
from bpy.props import EnumProperty, StringProperty

from ..core.rigs import roles
from ..core.rigs.names import ROLES
from ..core.rigs.rig import RigError, check_sound
from ..core.rigs.roles import RoleMap
from ..core.slices import Slices, apart, at_once
from ..registration import Collection
from ..scene import mapping_pose, stored_avatar
from ..scene.armature.rig import read_rig
from ..scene.typed_data import armature_data
from ..settings import scene_settings
from ..settings.body import BackflipRole
from ..settings.road import turn_to
from . import bone_map_files, reference_clip
from .base import (
    INTERNAL,
    FileStep,
    Need,
    SaveStep,
    Step,
    current_scene,
    need_avatar,
    need_clip_map,
    need_object_mode,
    what_is_missing,
)

AVATAR, CLIP = "AVATAR", "CLIP"


def choose(scene: bpy.types.Scene, armature: bpy.types.Object) -> RoleMap:
    """Make an armature the avatar and guess its map. Raises RigError for one that cannot be worked with."""
    return at_once(choose_slices(scene, armature))


def choose_slices(scene: bpy.types.Scene, armature: bpy.types.Object) -> Slices[RoleMap]:
    """choose() in slices."""
    rig = read_rig(armature, with_skin=False)
    check_sound(rig)
    role_map = yield from apart(roles.guess, rig)
    if (former := stored_avatar.present(scene)) is not None:
        mapping_pose.take_back(former)
    stored_avatar.set_avatar(scene, armature, role_map)
    turn_to(scene_settings(scene), "avatar")
    return role_map


class MapStep(Step):
    """A Step that serves both maps."""

    needs: ClassVar[tuple[Need, ...]] = (need_avatar,)

    of: Annotated[
        str,
        EnumProperty(
            name="Map",
            description="Whose map: the avatar's, or that of the clip's own skeleton",
            items=((AVATAR, "Avatar", "The avatar's bones"), (CLIP, "Clip", "The joints of the clip's own skeleton")),
            options=INTERNAL,
        ),
    ]

    def shown(self, scene: bpy.types.Scene) -> RoleMap:
        """The map as its list shows it. Raises RigError where the clip has none."""
        if self.of == AVATAR:
            return stored_avatar.role_map(scene)
        role_map = stored_avatar.clip_map(scene)
        if role_map is None:
            raise RigError(what_is_missing(scene, need_clip_map))
        return role_map

    def lines(self, scene: bpy.types.Scene) -> Collection[BackflipRole]:
        """The lines of the list. Raises RigError where the clip has none."""
        self.shown(scene)
        return scene_settings(scene).roles if self.of == AVATAR else scene_settings(scene).clip_roles

    def bones(self, scene: bpy.types.Scene) -> Any:
        """The bones to choose from, by name."""
        return (
            armature_data(stored_avatar.avatar(scene)).bones if self.of == AVATAR else scene_settings(scene).clip_joints
        )

    def owner(self, scene: bpy.types.Scene) -> str:
        return stored_avatar.avatar(scene).name if self.of == AVATAR else scene_settings(scene).reference_label

    def show(self, scene: bpy.types.Scene, role_map: RoleMap) -> None:
        """Put another map into the list; the body has to be built, or the clip to be read, anew."""
        if self.of == AVATAR:
            stored_avatar.set_role_map(scene, role_map)
        else:
            stored_avatar.set_clip_map(scene, list(scene_settings(scene).clip_joints.keys()), role_map)

    def line(self, scene: bpy.types.Scene, role: str) -> BackflipRole:
        """The list's line of a body part, the selected one when empty. Raises RigError."""
        items = self.lines(scene)
        index = scene_settings(scene).role_index if self.of == AVATAR else scene_settings(scene).clip_role_index
        if not role and len(items):
            return items[min(index, len(items) - 1)]
        if role not in items:
            raise RigError(f"There is no body part called {role}; it is one of {', '.join(ROLES)}.")
        return items[role]


class MapBones(MapStep, bpy.types.Operator):
    """Guess again which bone is which body part"""

    bl_idname = "backflip.map_bones"
    bl_label = "Map Bones"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, need_object_mode)

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        if self.of == AVATAR:
            choose(scene, stored_avatar.avatar(scene))
            return
        self.lines(scene)
        recording = reference_clip.clip_recording(scene)
        stored_avatar.set_clip_map(scene, recording.rig.bones, recording.guess())


class SetRole(MapStep, bpy.types.Operator):
    """Map a bone to a body part: the active bone, unless one is named"""

    bl_idname = "backflip.set_role"
    bl_label = "Use Active Bone"
    bl_options = {"REGISTER", "UNDO"}

    role: Annotated[str, StringProperty(name="Body Part", options=INTERNAL)]
    bone: Annotated[str, StringProperty(name="Bone", options={"SKIP_SAVE"})]

    def run(self, context: bpy.types.Context) -> None:
        item = self.line(current_scene(context), self.role)
        owner = self.owner(current_scene(context))
        bone = self.bone or (self._active(context) if self.of == AVATAR else "")
        if not bone:
            raise RigError(f"Select a bone of {'the avatar' if self.of == AVATAR else owner} first.")
        if bone not in self.bones(current_scene(context)):
            raise RigError(f"{owner} has no bone called {bone}.")
        item.bone = bone
        self.role, self.bone = item.name, bone

    @staticmethod
    def _active(context: bpy.types.Context) -> str:
        active = context.active_pose_bone or armature_data(stored_avatar.avatar(current_scene(context))).bones.active
        return active.name if active else ""


class ClearRole(MapStep, bpy.types.Operator):
    """Remove the bone of a body part from the map"""

    bl_idname = "backflip.clear_role"
    bl_label = "Clear Body Part"
    bl_options = {"REGISTER", "UNDO"}

    role: Annotated[str, StringProperty(name="Body Part", options=INTERNAL)]

    def run(self, context: bpy.types.Context) -> None:
        self.line(current_scene(context), self.role).bone = ""


class MirrorRoles(MapStep, bpy.types.Operator):
    """Fill in the missing bones of one side from those of the other side"""

    bl_idname = "backflip.mirror_roles"
    bl_label = "Mirror Map"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, need_object_mode)

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        role_map = self.shown(scene)
        own = self.of == AVATAR
        rig = (
            read_rig(stored_avatar.avatar(scene), with_skin=False) if own else reference_clip.clip_recording(scene).rig
        )
        self.show(scene, roles.mirrored(rig, role_map))


class SwapSides(MapStep, bpy.types.Operator):
    """Swap the bones of the left and the right body parts"""

    bl_idname = "backflip.swap_sides"
    bl_label = "Swap Left and Right"
    bl_options = {"REGISTER", "UNDO"}
    needs = (need_avatar, need_object_mode)

    def run(self, context: bpy.types.Context) -> None:
        self.show(current_scene(context), swapped(self.shown(current_scene(context))))


def swapped(role_map: RoleMap) -> RoleMap:
    """A map with the sides exchanged."""
    other = {role: role[:-1] + {"L": "R", "R": "L"}[role[-1]] if "." in role else role for role in ROLES}
    bones, certain = role_map.bones, role_map.certain
    kept = [role for role in ROLES if other[role] in bones]
    return RoleMap(
        {role: bones[other[role]] for role in kept},
        {role: certain.get(other[role], True) for role in kept},
        role_map.family,
    )


class SaveMap(SaveStep, MapStep, bpy.types.Operator):
    """Save the bone map as a preset"""

    bl_idname = "backflip.save_map"
    bl_label = "Save Map"
    suffixes = (".json",)

    def run(self, context: bpy.types.Context) -> None:
        path = Path(self.target())
        bone_map_files.save(path, self.shown(current_scene(context)))
        self.report({"INFO"}, f"Wrote {path}")

    def title(self, context: bpy.types.Context) -> str:
        return f"{self.owner(current_scene(context))} map"


class LoadMap(FileStep, MapStep, bpy.types.Operator):
    """Load a bone map from a preset"""

    bl_idname = "backflip.load_map"
    bl_label = "Load Map"
    bl_options = {"REGISTER", "UNDO"}
    suffixes = (".json",)

    def run(self, context: bpy.types.Context) -> None:
        scene = current_scene(context)
        role_map = bone_map_files.load(Path(bpy.path.abspath(self.filepath)))
        self.lines(scene)
        lost = sorted(bone for bone in role_map.bones.values() if bone not in self.bones(scene))
        if lost:
            owner = self.owner(scene)
            raise RigError(f"{owner} lacks bones of this map, such as {lost[0]}: the map belongs to another rig.")
        self.show(scene, role_map)


CLASSES = (MapBones, SetRole, ClearRole, MirrorRoles, SwapSides, SaveMap, LoadMap)
