# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a clip, from a file or from an armature's action, as a motion of the avatar's body."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..core import bvh, deepmimic, mimickit, retarget, roles, smpl, vrma
from ..core.body import Body
from ..core.fit import Binding
from ..core.motion import Motion
from ..core.reading import UnreadableFile
from ..core.rig import Rig, RigError
from ..core.roles import RoleMap
from ..core.rotations import Array
from . import actions
from .actions import ActionError
from .bake import OwnAnimation, bound_world, scene_rate
from .files import RATE_PROPERTY, FileError, import_clip, remove
from .rig import read_rig

READ_HERE = (".bvh", ".txt", ".json", ".npz", ".vrma")  # formats that need no armature in the scene
MOST_FRAMES = 100_000


@dataclasses.dataclass(frozen=True)
class Source:
    """An armature's action to imitate."""

    armature: bpy.types.Object
    action: bpy.types.Action
    slot: Any


def read_file(path: Path, body: Body) -> Motion:
    """A BVH, SMPL, VRMA, DeepMimic or MimicKit clip on a body. Raises FileError with one sentence."""
    try:
        if (skeleton := read_skeleton(path)) is not None:
            rig, matrices, rate = skeleton
            return retarget.retarget(rig, roles.guess(rig), matrices, rate, body)
        motion, leg = (mimickit if _is_mimickit(path) else deepmimic).load(path)
        return retarget.adapt(motion, leg, body)
    except (ValueError, RigError) as error:
        raise FileError(str(error)) from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from error


def read_skeleton(path: Path) -> tuple[Rig, Array, float] | None:
    """A clip's own skeleton, its bones' world matrices (F, B, 4, 4) and its rate; None for one of joint angles.

    Raises ValueError or OSError.
    """
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        return bvh.read_bvh(path)
    if suffix == ".vrma":
        return vrma.read_vrma(path)
    return smpl.read_smpl(path) if suffix == ".npz" and not _is_mimickit(path) else None


def _is_mimickit(path: Path) -> bool:
    """Whether a file holds a MimicKit motion; a damaged one is left to its reader to refuse."""
    try:
        return path.suffix.lower() in (".npz", ".json") and mimickit.is_motion(path)
    except UnreadableFile:
        return False


def import_source(filepath: str, action_name: str = "") -> tuple[Source, list[str]]:
    """Import an FBX or glTF clip; returns the chosen action and the names of all. Raises FileError.

    Without a name the longest action is taken.
    """
    imported = import_clip(filepath)
    armature, found = max(
        ((ob, [a for a in imported.actions if actions.moves_bones(a, ob)]) for ob in imported.armatures),
        key=lambda pair: len(pair[1]),
    )
    if not found:
        remove(imported)
        raise FileError(f"{Path(filepath).name} moves no bone: choose a file with an animation of a skeleton.")
    names = [action.name for action in found]
    if action_name:
        matching = [a for a in found if action_name in (a.name, a.name.partition("|")[2])]
        if not matching:
            remove(imported)
            raise FileError(f"{Path(filepath).name} has no action called {action_name}; it has {', '.join(names)}.")
        chosen = matching[0]
    else:
        chosen = max(found, key=lambda a: float(np.ptp(actions.action_range(a, actions.pick_slot(a, armature)))))
    return Source(armature, chosen, actions.pick_slot(chosen, armature)), names


def named_source(armature: bpy.types.Object, action_name: str, slot_name: str = "") -> Source:
    """An action of the file by name, the armature's present one when it is empty. Raises ActionError."""
    if action_name:
        action = bpy.data.actions.get(action_name)
        if action is None:
            raise ActionError(f"There is no action called {action_name}; choose one of this file.")
    else:
        data = armature.animation_data
        action = data.action if data else None
        if action is None:
            raise ActionError(f"{armature.name} plays no action; choose one by name.")
    if not actions.moves_bones(action, armature):
        raise ActionError(f"The action {action.name} moves no bone of {armature.name}; choose another one.")
    return Source(armature, action, actions.pick_slot(action, armature, slot_name))


def read_source(scene: bpy.types.Scene, source: Source, body: Body, own: tuple[RoleMap, Binding] | None) -> Motion:
    """An armature's action on a body.

    own: the map and binding when the armature is the avatar itself; then the motion stays where it is.
    Raises RigError, ActionError or ValueError, each with one sentence.
    """
    rate = action_rate(scene, source.action)
    first, last = actions.action_range(source.action, source.slot)
    count = int(round(last - first)) + 1
    if not 2 <= count <= MOST_FRAMES:
        raise ActionError(f"The action {source.action.name} has {count} frames; a clip needs 2 to {MOST_FRAMES}.")
    poses = actions.sample_poses(source.armature, first + np.arange(count), source.action, source.slot)
    if own is not None:
        role_map, binding = own
        rig = read_rig(source.armature, with_skin=False, world=bound_world(source.armature, binding))
        return retarget.retarget(rig, role_map, poses, rate, body, binding=binding)
    rig = read_rig(source.armature, with_skin=False)
    return retarget.retarget(rig, roles.guess(rig), poses, rate, body)


def action_rate(scene: bpy.types.Scene, action: bpy.types.Action) -> float:
    """Frames per second that an action's keys were made for."""
    return float(action.get(RATE_PROPERTY, 0.0)) or scene_rate(scene)


def start_of(source: Source) -> float:
    """The first frame of a source's action."""
    return actions.action_range(source.action, source.slot)[0]


def own_animation(
    scene: bpy.types.Scene, armature: bpy.types.Object, facts: dict[str, Any]
) -> OwnAnimation | None:
    """How the bones that a take leaves alone follow the reference, where it was an action of the avatar itself.

    facts: what reference_facts() told when the job was made.
    """
    action = bpy.data.actions.get(str(facts.get("action", "")))
    if facts.get("kind") != "ACTION" or facts.get("object") != armature.name or action is None:
        return None
    try:
        slot = actions.pick_slot(action, armature, str(facts.get("slot", "")))
    except ActionError:
        return None
    rate = action_rate(scene, action)
    first, last = actions.action_range(action, slot)
    start = first + float(facts.get("trim_start", 0.0)) * rate
    return OwnAnimation(action, slot, start, last, rate / float(facts.get("time_scale", 1.0)))
