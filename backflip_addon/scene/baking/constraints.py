# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take's keys can reach on a rig, and what would move its bones elsewhere.

Locks are for the hand that poses and keep no key away. A connected bone takes no location; a driver wins over
keys; a constraint comes after them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import bpy
import numpy as np

from ..animation.actions import Channel
from ..animation.rna_paths import bone_path
from ..typed_data import pose_bones, rest_bones, subtype
from .drivers import DrivenChannels


def is_location_keyable(armature: bpy.types.Object, bone: str, driven: DrivenChannels) -> bool:
    """Whether a bone's place follows from its keys."""
    data = rest_bones(armature)[bone]
    if data.use_connect and data.parent:
        return False
    return not driven.holds(bone, "location") and not any(
        _holds_on(pose_bones(armature)[bone], constraint, driven)
        for constraint in pose_bones(armature)[bone].constraints
    )


def influence_channels(
    armature: bpy.types.Object, moved: Collection[str], animated: Collection[str], driven: DrivenChannels, small: bool
) -> list[Channel]:
    """Keys that rest the constraints which would pull the bones elsewhere.

    animated: RNA paths that the user's own actions move. Where a driver holds the influence it is muted instead.
    small: with them those of fingers and the like, which follow what the bones above them followed.
    """
    channels = []
    for bone, constraint in (*_pulling(armature, moved), *(_led_away(armature, frozenset(moved)) if small else ())):
        path = _path(bone, constraint)
        changing = {name for name in ("mute", "enabled", "influence") if path + name in animated} | {
            name for name in ("mute", "enabled", "influence") if path + name in driven.paths
        }
        if constraint.mute and not changing & {"mute", "enabled"}:
            continue
        if constraint.influence == 0.0 and "influence" not in changing:
            continue
        if path + "influence" not in driven.paths:
            channels.append(Channel(f"{path}influence", 0, bone.name, np.zeros(1)))
        elif not _holds_on(bone, constraint, driven):
            channels.append(Channel(f"{path}mute", 0, bone.name, np.ones(1)))
    return channels


def constraints_driven_on(armature: bpy.types.Object, moved: Collection[str], driven: DrivenChannels) -> list[str]:
    """Constraints that go on pulling the bones, since drivers hold all that would rest them: "NAME of BONE"."""
    pulling = _pulling(armature, moved)
    return [f"{constraint.name} of {bone.name}" for bone, constraint in pulling if _holds_on(bone, constraint, driven)]


def constrained_bones(armature: bpy.types.Object) -> set[str]:
    """The bones that a constraint at work moves, by name."""
    at_work = [(b, c) for b in pose_bones(armature) for c in b.constraints if not c.mute and c.influence > 0.0]
    return {name for bone, constraint in at_work for name in _pulled_by(bone, constraint)}


def _holds_on(bone: bpy.types.PoseBone, constraint: bpy.types.Constraint, driven: DrivenChannels) -> bool:
    path = _path(bone, constraint)
    held = {name for name in ("influence", "mute", "enabled") if path + name in driven.paths}
    return "influence" in held and len(held) > 1


def _path(bone: bpy.types.PoseBone, constraint: bpy.types.Constraint) -> str:
    return bone_path(bone.name, f'constraints["{bpy.utils.escape_identifier(constraint.name)}"].')


def _pulling(armature: bpy.types.Object, moved: Collection[str]) -> Iterator[tuple[Any, Any]]:
    """Pose bones and their constraints that move one of the bones."""
    moved = frozenset(moved)
    for bone in pose_bones(armature):
        for constraint in bone.constraints:
            if not moved.isdisjoint(_pulled_by(bone, constraint)):
                yield bone, constraint


def _led_away(armature: bpy.types.Object, moved: frozenset[str]) -> Iterator[tuple[Any, Any]]:
    """Pose bones that hang on moved ones, and their constraints that copy what the moved ones' constraints follow.

    Those would go on copying, say, the fingers of a hand that the take no longer follows.
    """
    leaders = {place for _bone, constraint in _pulling(armature, moved) for place in _followed(constraint)}
    own = {(armature, name) for name in moved}
    for bone in pose_bones(armature) if leaders else ():
        if bone.name in moved or moved.isdisjoint(parent.name for parent in bone.parent_recursive):
            continue
        for constraint in bone.constraints:
            if constraint.type in _COPYING and any(_is_led(*place, leaders, own) for place in _followed(constraint)):
                yield bone, constraint


_COPYING = ("COPY_TRANSFORMS", "COPY_LOCATION", "COPY_ROTATION", "CHILD_OF", "ARMATURE")
_Place = tuple[Any, str]  # an object, and a bone of it or ""


def _followed(constraint: bpy.types.Constraint) -> list[_Place]:
    """What a constraint follows; nothing for one that copies how a bone is turned against its own parent."""
    if getattr(constraint, "owner_space", "WORLD").startswith("LOCAL") and constraint.type in _COPYING[:3]:
        return []
    targets = subtype(constraint).targets if constraint.type == "ARMATURE" else [constraint]
    positions = [(getattr(target, "target", None), getattr(target, "subtarget", "")) for target in targets]
    return [(ob, name) for ob, name in positions if ob is not None]


def _is_led(ob: bpy.types.Object, name: str, leaders: set[_Place], own: set[_Place]) -> bool:
    """Whether a bone of an object, or one that it hangs on, is among the leaders, with none of the own between."""
    bone = pose_bones(ob).get(name) if ob.pose is not None else None
    line: list[_Place] = [(ob, b.name) for b in (bone, *bone.parent_recursive)] if bone is not None else []
    first = next((place for place in line if place in leaders or place in own), None)
    return first is not None and first not in own


def _pulled_by(bone: bpy.types.PoseBone, constraint: bpy.types.Constraint) -> list[str]:
    """The bones that a bone's constraint moves: itself, and the parents that its chain reaches."""
    names = [bone.name]
    if constraint.type in ("IK", "SPLINE_IK"):
        parents = [parent.name for parent in bone.parent_recursive]
        count = subtype(constraint).chain_count
        own = constraint.type == "SPLINE_IK" or subtype(constraint).use_tail  # else the chain starts at the parent
        names += parents[: count - own] if count else parents
    return names
