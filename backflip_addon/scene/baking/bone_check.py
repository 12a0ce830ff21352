# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a rig shows what was keyed: something that no bake can reach may move its bones elsewhere.

It is held against where a take has its bones at some of its frames.
"""

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
from ...core.slices import Slices, apart
from ..animation import pose_sampling
from ..armature.rig import bone_order, without_scale
from ..typed_data import rest_bones
from .constraints import constraints_driven_on
from .drivers import DrivenChannels
from .pose_basis import Bones

_LOOKS = 12  # frames at which the rig is evaluated, first and last among them
FAR_MM = 1.0  # at the body's scale
TURNED = 0.1  # degrees
_CAUSE = 0.1  # of the farthest bone's error: what a bone above is off by this much has a part in it


@dataclasses.dataclass(frozen=True)
class ExpectedPoses:
    """Where the take has its bones at some of its frames (K,).

    bones: name -> world matrices (K, 4, 4), without scale. unturned: bones whose rotation the rig may spread over
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
    ) -> ExpectedPoses:
        """The poses of a clip on a rig. targets: bone or control -> world matrices (F, 4, 4) at all frames (F,)."""
        some = np.unique(np.linspace(0, len(frames) - 1, _LOOKS).astype(int))
        bones = {name: without_scale(matrices[some]) for name, matrices in targets.items()}
        if controls is not None:
            looked_at = dataclasses.replace(
                clip, position=clip.position[some], rotations=clip.rotations[some], sure=None
            )
            played = retarget.bone_matrices(binding, rig, looked_at)
            bones |= {name: played[name] for name in binding.link_bones.values()}
        unturned = frozenset(controls.turned_by if controls else ())
        size = float(np.ptp(rig.heads, axis=0).max())
        return cls(frames[some], bones, unturned, frozenset(binding.bones), binding.scale, size)


def worst_error_slices(armature: bpy.types.Object, expected: ExpectedPoses) -> Slices[float]:
    """How far the bones are from the expected poses, 1 being as far as they may be."""
    distances, angles = yield from _error_slices(armature, expected)
    return float(np.maximum(distances / FAR_MM, angles / TURNED).max())


def bone_warning_slices(
    armature: bpy.types.Object, expected: ExpectedPoses, bones: Bones, driven: DrivenChannels
) -> Slices[list[str]]:
    """A sentence on the bone that keeps the take from being seen, as Blender evaluates the rig, or none."""
    distances, angles = yield from _error_slices(armature, expected)
    off = np.maximum(distances / FAR_MM, angles / TURNED)
    worst = off.max(axis=0)
    if not worst.max() > 1.0:
        return []
    names = list(expected.bones)
    order = {bone.name: i for i, bone in enumerate(bones.bones)}
    guilty = [name for name, far in zip(names, worst, strict=True) if far > max(1.0, _CAUSE * worst.max())]
    name = min(guilty, key=order.__getitem__)
    column = names.index(name)
    at = int(np.argmax(off[:, column]))
    far = error_text(distances[at, column], angles[at, column])
    return [
        f"{name} does not follow the take, {far} off at frame {expected.frames[at]} for one: "
        f"{_reason(armature, name, bones, driven)}."
    ]


def error_text(millimetres: float, degrees: float = 0.0) -> str:
    """What is more than it may be, in words."""
    parts = []
    if millimetres > FAR_MM:
        parts.append(f"{millimetres / 10.0:.1f} cm" if millimetres >= 10.0 else f"{millimetres:.1f} mm")
    if degrees > TURNED:
        parts.append(f"{degrees:.1f}°")
    return " and ".join(parts)


def _error_slices(armature: bpy.types.Object, expected: ExpectedPoses) -> Slices[tuple[Array, Array]]:
    """Distances, mm at the body's scale, and angles, degrees (K, B), of the bones from the expected poses."""
    names = [bone.name for bone in bone_order(armature)]
    poses = yield from pose_sampling.sample_pose_slices(armature, expected.frames)
    return (yield from apart(_errors, poses[:, [names.index(name) for name in expected.bones]], expected))


def _errors(seen: Array, expected: ExpectedPoses) -> tuple[Array, Array]:
    wanted = np.stack(list(expected.bones.values()), axis=1)
    away = np.linalg.norm(seen[..., :3, 3] - wanted[..., :3, 3], axis=-1) * expected.scale * 1000.0
    orientations = (rotations.from_matrix(part[..., :3, :3]) for part in (seen, wanted))
    turned = np.degrees(rotations.angle_between(*orientations))
    turned[:, [name in expected.unturned for name in expected.bones]] = 0.0
    return away, turned


def _reason(armature: bpy.types.Object, name: str, bones: Bones, driven: DrivenChannels) -> str:
    """What may keep a bone from its place, and what to do."""
    line = {name, *(parent.name for parent in rest_bones(armature)[name].parent_recursive)}
    held = constraints_driven_on(armature, line, driven)
    if held:
        return f"drivers keep the constraint {held[0]} at work; mute it to see the take as it was performed"
    moving = driven.bones(line)
    if moving:
        return f"drivers go on moving {', '.join(moving)}; mute them to see the take as it was performed"
    if name in bones.fixed:
        return "it is connected to its parent, and no bone above can bring it there; disconnect it in Edit Mode"
    return "something else moves it; look for a constraint, a driver or animated settings of the armature"
