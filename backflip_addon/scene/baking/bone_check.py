# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a rig shows what was keyed: something that no bake can reach may move its bones elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import bpy
import numpy as np

from ...core import rotations
from ...core.arrays import Array, IntArray
from ...core.motion import Motion
from ...core.motions import retarget
from ...core.rigs.binding import Binding
from ...core.rigs.control_rig import Controls
from ...core.rigs.rig import Rig
from ..animation import actions
from ..armature.rig import bone_order, without_scale
from .constraints import Driven, held_on
from .pose_basis import Bones

FAR_MM = 1.0  # at the body's scale
TURNED = 0.1  # degrees
_LOOKS = 12  # frames that are looked at, first and last among them
_CAUSE = 0.1  # of the farthest bone's error: what a bone above is off by this much has a part in it


@dataclasses.dataclass(frozen=True)
class Meant:
    """Where the take has its bones at the frames that are looked at.

    bones: name -> world matrices (K, 4, 4), rotation and place. unturned: bones whose rotation the rig may spread over
    others. body: the bones that carry the body's parts, and no control. scale: body metres a world unit.
    size: the rig's, world units.
    """

    frames: IntArray
    bones: dict[str, Array]
    unturned: frozenset[str]
    body: frozenset[str]
    scale: float
    size: float

    @classmethod
    def of(
        cls,
        binding: Binding,
        rig: Rig,
        clip: Motion,
        targets: Mapping[str, Array],
        controls: Controls | None,
        frames: IntArray,
    ) -> Meant:
        """targets: bone -> world matrices (F, 4, 4) at all frames."""
        some = np.unique(np.linspace(0, len(frames) - 1, _LOOKS).astype(int))
        bones = {name: without_scale(matrices[some]) for name, matrices in targets.items()}
        if controls is not None:
            looked_at = dataclasses.replace(clip, position=clip.position[some], rotations=clip.rotations[some])
            played = retarget.bone_matrices(binding, rig, looked_at)
            bones |= {name: played[name] for name in binding.link_bones.values()}
        unturned = frozenset(controls.turned_by if controls else ())
        size = float(np.ptp(rig.heads, axis=0).max())
        return cls(frames[some], bones, unturned, frozenset(binding.bones), binding.scale, size)


def how_far(armature: bpy.types.Object, meant: Meant) -> float:
    """How far the bones are from their places, 1 being as far as they may be."""
    distances, angles = _errors(armature, meant)
    return float(np.maximum(distances / FAR_MM, angles / TURNED).max())


def what_is_off(armature: bpy.types.Object, meant: Meant, bones: Bones, driven: Driven) -> list[str]:
    """A sentence on the bone that keeps the take from being seen, as Blender evaluates the rig, or none."""
    distances, angles = _errors(armature, meant)
    off = np.maximum(distances / FAR_MM, angles / TURNED)
    worst = off.max(axis=0)
    if not worst.max() > 1.0:
        return []
    names = list(meant.bones)
    order = {bone.name: i for i, bone in enumerate(bones.bones)}
    guilty = [name for name, far in zip(names, worst, strict=True) if far > max(1.0, _CAUSE * worst.max())]
    name = min(guilty, key=order.__getitem__)
    column = names.index(name)
    at = int(np.argmax(off[:, column]))
    far = says_how_far(distances[at, column], angles[at, column])
    return [
        f"{name} does not follow the take, {far} off at frame {meant.frames[at]} for one: "
        f"{_reason(armature, name, bones, driven)}."
    ]


def says_how_far(millimetres: float, degrees: float = 0.0) -> str:
    """What is more than it may be, in words."""
    parts = []
    if millimetres > FAR_MM:
        parts.append(f"{millimetres / 10.0:.1f} cm" if millimetres >= 10.0 else f"{millimetres:.1f} mm")
    if degrees > TURNED:
        parts.append(f"{degrees:.1f}°")
    return " and ".join(parts)


def _errors(armature: bpy.types.Object, meant: Meant) -> tuple[Array, Array]:
    """Distances, mm at the body's scale, and angles, degrees (K, B), of the bones from where they are meant to be."""
    names = [bone.name for bone in bone_order(armature)]
    seen = actions.sample_poses(armature, meant.frames)[:, [names.index(name) for name in meant.bones]]
    wanted = np.stack(list(meant.bones.values()), axis=1)
    away = np.linalg.norm(seen[..., :3, 3] - wanted[..., :3, 3], axis=-1) * meant.scale * 1000.0
    orientations = (rotations.from_matrix(part[..., :3, :3]) for part in (seen, wanted))
    turned = np.degrees(rotations.angle_between(*orientations))
    turned[:, [name in meant.unturned for name in meant.bones]] = 0.0
    return away, turned


def _reason(armature: bpy.types.Object, name: str, bones: Bones, driven: Driven) -> str:
    """What may keep a bone from its place, and what to do."""
    line = {name, *(parent.name for parent in armature.data.bones[name].parent_recursive)}
    held = held_on(armature, line, driven)
    if held:
        return f"drivers keep the constraint {held[0]} at work; mute it to see the take as it was performed"
    moving = driven.bones(line)
    if moving:
        return f"drivers go on moving {', '.join(moving)}; mute them to see the take as it was performed"
    if name in bones.fixed:
        return "it is connected to its parent, and no bone above can bring it there; disconnect it in Edit Mode"
    return "something else moves it; look for a constraint, a driver or animated settings of the armature"
