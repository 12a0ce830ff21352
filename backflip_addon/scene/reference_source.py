# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose animation is imitated: an armature with its action and slot, or what the armature is seen to do.

What a file brings is paired as its importer bound it: to objects, in their NLA, by name where it is loose.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..core.slices import Slices
from .animation import action_slots, actions, visual_motion
from .animation.action_slots import (
    ActionError,
    SlotError,
    bindings,
    bones_moved,
    moves_bones,
    pick_slot,
    plain_name,
    users_of,
)
from .animation.rna_paths import bone_of
from .importing.importer import FileError, Imported, import_clip_slices, remove
from .typed_data import current_scene, ensure_animation_data, pose_bones, rest_bones


@dataclasses.dataclass(frozen=True)
class Source:
    """An armature and the action of it to imitate.

    Without an action it is what the armature is seen to do from frame first to last, whatever makes it.
    """

    armature: bpy.types.Object
    action: bpy.types.Action | None
    slot: Any = None
    first: int = 0
    last: int = 0

    @property
    def label(self) -> str:
        """What the source is called for the user: its action, else its armature."""
        return self.action.name if self.action is not None else self.armature.name


def named_source(
    armature: bpy.types.Object, action_name: str, slot_name: str = "", frames: tuple[int, int] | None = None
) -> Source:
    """An action of the file by name; when that is empty, what the armature is seen to do. Raises ActionError.

    frames: which of the scene's frames to look at, by default those that are keyed; an action has its own.
    """
    scene = current_scene()
    if action_name:
        named = bpy.data.actions.get(action_name)
        if named is None:
            raise ActionError(f"There is no action called {action_name}; choose one of this file.")
        return _checked(armature, named, pick_slot(named, armature, slot_name))
    data = armature.animation_data
    action = data.action if data is not None else None
    if frames is None and action is not None and visual_motion.plays_action_alone(scene, armature):
        slot = pick_slot(action, armature, slot_name)
        alone = bones_moved(action, slot, rest_bones(armature))
        if alone and not visual_motion.moves_beyond_action(scene, armature, action, slot):
            return Source(armature, action, slot)
    first, last = frames or visual_motion.extent(scene, armature)
    return Source(armature, None, None, first, last)


def bones_in_other_rotation_mode(source: Source) -> list[str]:
    """Bones whose rotation the action keys, but in other modes than they have, so that they stand still."""
    bones = pose_bones(source.armature)
    keyed: dict[str, set[str]] = {}
    for curve in compat.curves(source.action, source.slot) if source.action is not None else ():
        name, channel = bone_of(curve.data_path), curve.data_path.rpartition(".")[2]
        if name in bones and channel.startswith("rotation"):
            keyed.setdefault(name, set()).add(channel)
    return [name for name, channels in keyed.items() if not {_heard(bones[name]), "rotation_mode"} & channels]


def _heard(bone: bpy.types.PoseBone) -> str:
    """The channel that turns a bone in its rotation mode."""
    return {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
        bone.rotation_mode, "rotation_euler"
    )


def _checked(armature: bpy.types.Object, action: bpy.types.Action, slot: Any) -> Source:
    """A source whose slot moves bones. Raises ActionError."""
    if bones_moved(action, slot, rest_bones(armature)):
        return Source(armature, action, slot)
    if moves_bones(action, armature):
        raise ActionError(
            f"The slot {slot.name_display} of the action {action.name} moves no bone of {armature.name}; "
            "choose another slot."
        )
    raise ActionError(f"The action {action.name} moves no bone of {armature.name}; choose another one.")


def import_source_slices(
    filepath: str, action_name: str = "", character: str = ""
) -> Slices[tuple[Source, list[Source], Imported]]:
    """Import an FBX or glTF clip; returns the chosen source, all that the file holds, and what came. Raises FileError.

    Without names, the longest action of the character that moves most is taken.
    """
    imported = yield from import_clip_slices(filepath)
    try:
        found = pairs(imported.armatures, imported.actions)
        chosen = _chosen(Path(filepath).name, found, action_name, character)
    except FileError:
        remove(imported)
        raise
    for source in sorted(found, key=_length):  # the longest last, so that it stays
        if source.armature.animation_data is None or source.armature.animation_data.action is None:
            data = ensure_animation_data(source.armature)
            data.action, data.action_slot = source.action, source.slot
    return chosen, found, imported


def pairs(armatures: list[bpy.types.Object], new_actions: list[bpy.types.Action]) -> list[Source]:
    """Which armature of an import plays which of its actions, by slot: what moves none of its bones is left out."""
    found = []
    for armature in armatures:
        own = dict.fromkeys(bindings(armature.animation_data))
        for action in new_actions:
            if action not in {bound for bound, _slot in own} and _may_be_of(action, armature, armatures):
                own |= dict.fromkeys((action, slot) for slot in _loose_slots(action, armature))
        for action, slot in own:
            if bones_moved(action, slot, rest_bones(armature)):
                found.append(Source(armature, action, slot))
    return found


def _may_be_of(action: bpy.types.Action, armature: bpy.types.Object, armatures: list[bpy.types.Object]) -> bool:
    """Whether an action that an armature does not hold can be its own: no other one's, by binding or by name."""
    others = [ob for ob in armatures if ob != armature]
    if any(ob in users_of(action) for ob in others):
        return False
    owner = action.name.partition("|")[0] if "|" in action.name else ""  # FBX: Armature|Take
    return not any(plain_name(ob.name) == plain_name(owner) for ob in others) or owner == armature.name


def _loose_slots(action: bpy.types.Action, armature: bpy.types.Object) -> list[Any]:
    try:
        return [pick_slot(action, armature)]
    except SlotError:
        return action_slots.slots_for(action)
    except ActionError:
        return []


class NoSuchSource(FileError):
    """A file has no character or action of a name that was asked for."""


def _chosen(file: str, found: list[Source], action_name: str, character: str) -> Source:
    """The source of a file that was asked for. Raises FileError, NoSuchSource when it has none such."""
    if not found:
        raise FileError(f"{file} moves no bone: choose a file with an animation of a skeleton.")
    if character:
        of = [s for s in found if character == s.armature.name] or [
            s for s in found if character == plain_name(s.armature.name)
        ]
        if not of:
            names = ", ".join(dict.fromkeys(source.armature.name for source in found))
            raise NoSuchSource(f"{file} has no character called {character} that moves; it has {names}.")
        found = of
    if action_name:
        named = [s for s in found if f"|{s.label}".endswith(f"|{action_name}")]  # FBX: Armature|Take|Layer
        if not named:
            names = ", ".join(dict.fromkeys(source.label for source in found))
            raise NoSuchSource(f"{file} has no action called {action_name}; it has {names}.")
        found = named
    most = max(found, key=lambda s: _count(s)).armature
    return max((source for source in found if source.armature == most), key=_length)


def _length(source: Source) -> float:
    """How many frames a source's action is long, 0 without one."""
    if source.action is None:
        return 0.0
    first, last = actions.action_range(source.action, source.slot)
    return last - first


def _count(source: Source) -> int:
    """How many bones a source's action moves."""
    return bones_moved(source.action, source.slot, rest_bones(source.armature)) if source.action is not None else 0
